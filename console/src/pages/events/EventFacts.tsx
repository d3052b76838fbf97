import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import type { Schema } from '@/api/client';
import { AppID, Time } from '@/shared';

/** What is known of an event besides what it says. */
export function EventFacts({ event }: { event: Schema<'Event'> }) {
  const { t } = useTranslation('events');
  return (
    <section className="panel">
      <h2>{t('facts.title')}</h2>
      <dl>
        <div>
          <dt>{t('column.kind')}</dt>
          <dd>
            <code>{event.kind}</code>
          </dd>
        </div>
        <div>
          <dt>{t('column.account')}</dt>
          <dd>
            {event.authorizer_appid ? (
              <Link to={`/authorizers/${event.authorizer_appid}`}>
                <code>{event.authorizer_appid}</code>
              </Link>
            ) : (
              t('ofComponent')
            )}
          </dd>
        </div>
        <div>
          <dt>{t('column.component')}</dt>
          <dd>{event.component_appid ? <AppID id={event.component_appid} /> : '—'}</dd>
        </div>
        <div>
          <dt>{t('facts.eventId')}</dt>
          <dd>
            <AppID id={event.event_id} />
            <p className="hint">{t('facts.eventIdHint')}</p>
          </dd>
        </div>
        <div>
          <dt>{t('column.seq')}</dt>
          <dd>
            {event.seq}
            <p className="hint">{t('facts.seqHint')}</p>
          </dd>
        </div>
        <div>
          <dt>{t('facts.created')}</dt>
          <dd>
            <Time at={event.created_at} exact />
          </dd>
        </div>
        <div>
          <dt>{t('column.received')}</dt>
          <dd>
            <Time at={event.received_at} exact />
          </dd>
        </div>
      </dl>
    </section>
  );
}
