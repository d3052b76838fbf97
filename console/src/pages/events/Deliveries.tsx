import { Button } from 'tdesign-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { useApiQuery, type Schema } from '@/api/client';
import { Empty, Loading, ProblemNote, StateTag, Time, useOperations } from '@/shared';
import { Attempts } from './Attempts';
import { deliverable } from './kinds';
import { ReplayEvent } from './ReplayEvent';
import { useSubscriptions } from './useSubscriptions';

/** What became of an event at each subscription, as it goes on. */
export function Deliveries({ event }: { event: Schema<'Event'> }) {
  const { t } = useTranslation('events');
  const { reason } = useOperations();
  const [replaying, setReplaying] = useState<{ to: string }>();
  const subscriptions = useSubscriptions();
  const read = useApiQuery('/v1/deliveries', { query: { event: event.id, limit: 500 } }, { refetchInterval: 2_000 });
  const nameOf = (id: string) => subscriptions.data?.items.find((s) => s.id === id)?.name ?? id;
  const refused = deliverable(event.kind) ? reason('events:replay') : t('deliveries.ticket');
  return (
    <section className="panel">
      <div className="events-heading">
        <h2>{t('deliveries.title')}</h2>
        <Button variant="outline" tag="button" disabled={refused !== undefined} title={refused} onClick={() => setReplaying({ to: '' })}>
          {t('deliveries.replay')}
        </Button>
      </div>
      <ProblemNote error={read.error} retry={() => void read.refetch()} />
      {!read.data && !read.error && <Loading />}
      {read.data?.items.length === 0 && <Empty>{t('deliveries.none')}</Empty>}
      <div className="stack">
        {read.data?.items.map((delivery) => (
          <article key={delivery.subscription_id} className="events-delivery">
            <div className="events-heading">
              <h3>
                <Link to={`/subscriptions/${delivery.subscription_id}`}>{nameOf(delivery.subscription_id)}</Link>
              </h3>
              <Button
                size="small"
                variant="text"
                tag="button"
                disabled={refused !== undefined}
                title={refused}
                aria-label={t('deliveries.replayTo', { name: nameOf(delivery.subscription_id) })}
                onClick={() => setReplaying({ to: delivery.subscription_id })}
              >
                {t('deliveries.again')}
              </Button>
            </div>
            <p className="row">
              <StateTag state={delivery.state} />
              <span>{t('deliveries.attempts', { count: delivery.attempts })}</span>
              {delivery.due_at && (
                <span>
                  {t('deliveries.due')} <Time at={delivery.due_at} />
                </span>
              )}
              {delivery.finished_at && (
                <span>
                  {t('deliveries.finished')} <Time at={delivery.finished_at} exact />
                </span>
              )}
            </p>
            <Attempts log={delivery.log} label={t('attempts.of', { name: nameOf(delivery.subscription_id) })} />
          </article>
        ))}
      </div>
      {replaying && (
        <ReplayEvent id={event.id} to={replaying.to} subscriptions={subscriptions.data?.items ?? []} onClose={() => setReplaying(undefined)} />
      )}
    </section>
  );
}
