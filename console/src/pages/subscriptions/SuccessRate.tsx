import { useTranslation } from 'react-i18next';
import { useApiQuery } from '@/api/client';
import { useOperations } from '@/shared';
import type { Subscription } from './subscription';

const looked = 100;

/** How many of the last deliveries succeeded. Those that have not been tried do not count. */
export function SuccessRate({ subscription }: { subscription: Subscription }) {
  const { t } = useTranslation('subscriptions');
  const { may } = useOperations();
  const delivers = subscription.sink?.type !== 'answer';
  const read = useApiQuery(
    '/v1/deliveries',
    { query: { subscription: subscription.id, limit: looked } },
    { enabled: delivers && may('events:read'), refetchInterval: 10_000 },
  );
  if (!delivers) return <span>{t('rate.answer')}</span>;
  const tried = read.data?.items.filter((d) => d.state !== 'pending' || d.log.length > 0) ?? [];
  if (!read.data) return <span>…</span>;
  if (tried.length === 0) return <span>{t('rate.none')}</span>;
  const delivered = tried.filter((d) => d.state === 'delivered').length;
  // Rounded down, so that 100 % means that none has failed.
  const percent = Math.floor((delivered / tried.length) * 100);
  return (
    <span className={percent < 90 ? 'subscriptions-low' : undefined}>
      {percent} % <span className="hint">{t('rate.of', { count: tried.length })}</span>
    </span>
  );
}
