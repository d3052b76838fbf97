import { QueryClient, replaceEqualDeep } from '@tanstack/react-query';
import { etagOf, keepETag } from './etag';
import { Problem } from './problem';

/** All that was read from the server, by [path, parameters]. */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // A lost connection is seen by the requests themselves, whatever the browser believes.
      networkMode: 'always',
      staleTime: 5_000,
      retry: (failures, error) => failures < 2 && error instanceof Problem && error.status === 503,
      structuralSharing(old, read) {
        const etag = etagOf(read);
        return keepETag(replaceEqualDeep(old, read), etag);
      },
    },
    mutations: { networkMode: 'always' },
  },
});
