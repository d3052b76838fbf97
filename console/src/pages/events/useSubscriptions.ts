import { useApiQuery } from '@/api/client';
import { useOperations } from '@/shared';

/** The subscriptions that the session may see; none without the permission. */
export function useSubscriptions(refetchInterval: number | false = false) {
  const { may } = useOperations();
  return useApiQuery('/v1/subscriptions', { query: { limit: 500 } }, { enabled: may('subscriptions:read'), refetchInterval });
}
