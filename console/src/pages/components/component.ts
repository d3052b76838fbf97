import { useApiQuery, type Schema } from '@/api/client';
import { ticketOf, tokenOf, type Freshness } from '@/pages/overview/freshness';

export type Component = Schema<'Component'>;

/** How fresh the ticket and the token of each component are, by the server's clock. */
export function useFreshness(): (appid: string) => { ticket: Freshness; token: Freshness } | undefined {
  const read = useApiQuery('/v1/overview', undefined, { refetchInterval: 5_000 });
  return (appid) => {
    const found = read.data?.components.find((component) => component.appid === appid);
    return read.data && found && { ticket: ticketOf(found, read.data.now), token: tokenOf(found, read.data.now) };
  };
}

/** One component, live. */
export function useComponent(appid: string) {
  return useApiQuery('/v1/components/{appid}', { path: { appid } }, { refetchInterval: 3_000 });
}
