import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'react-router';
import { Empty, Loading, PageHeader, ProblemNote, useOperations } from '@/shared';
import { DeadOf } from './DeadOf';
import { Tabs } from './Tabs';
import { useSubscriptions } from './useSubscriptions';
import './style.css';

/** What could not be delivered, by subscription. */
export default function DeadLetters() {
  const { t } = useTranslation('events');
  const { reason } = useOperations();
  const [search, setSearch] = useSearchParams();
  const subscriptions = useSubscriptions(3_000);
  const chosen = search.get('subscription') ?? '';
  const listed = subscriptions.data?.items.filter((s) => s.status.dead > 0 || s.id === chosen) ?? [];
  const current = listed.find((s) => s.id === chosen) ?? listed[0];
  const missing = reason('subscriptions:read');
  return (
    <>
      <PageHeader title={t('dead.title')} note={t('dead.note')} />
      <Tabs />
      {missing && <p>{missing}</p>}
      <ProblemNote error={subscriptions.error} retry={() => void subscriptions.refetch()} />
      {!missing && !subscriptions.data && !subscriptions.error && <Loading />}
      {subscriptions.data && !current && <Empty>{t('dead.none')}</Empty>}
      {current && (
        <>
          <div className="filters">
            <label className="field events-dead">
              <span>{t('dead.subscription')}</span>
              <select value={current.id} onChange={(event) => setSearch({ subscription: event.target.value }, { replace: true })}>
                {listed.map((s) => (
                  <option key={s.id} value={s.id}>
                    {t('dead.option', { name: s.name, dead: s.status.dead })}
                  </option>
                ))}
              </select>
            </label>
          </div>
          <DeadOf key={current.id} subscription={current} />
        </>
      )}
    </>
  );
}
