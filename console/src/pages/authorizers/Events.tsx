import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { DataTable, Time, useCursorPages, useOperations } from '@/shared';
import type { AuthorizerDetail } from './authorizer';

/** What WeChat has pushed about this account, newest first. */
export function Events({ of }: { of: AuthorizerDetail }) {
  const { t } = useTranslation('authorizers');
  const { may, reason } = useOperations();
  const pages = useCursorPages(
    '/v1/events',
    { query: { authorizer: of.appid, component: of.component_appid, order: 'desc', limit: 20 } },
    { refetchInterval: 3_000, enabled: may('events:read') },
  );
  if (!may('events:read')) return <p className="hint">{reason('events:read')}</p>;
  return (
    <div className="stack">
      <h2>{t('section.events')}</h2>
      <p>
        <Link to={`/events?${new URLSearchParams({ authorizer: of.appid, component: of.component_appid })}`}>{t('events.all')}</Link>
      </p>
      <DataTable
        label={t('section.events')}
        pages={pages}
        rowKey={({ id }) => id}
        empty={t('events.empty')}
        columns={[
          { key: 'kind', title: t('events.kind'), render: ({ kind }) => <code>{kind}</code> },
          { key: 'received', title: t('events.received'), render: ({ received_at: at }) => <Time at={at} /> },
          { key: 'created', title: t('events.created'), render: ({ created_at: at }) => <Time at={at} exact /> },
          {
            key: 'open',
            title: t('events.deliveries'),
            render: ({ id }) => (
              <Link to={`/events/${encodeURIComponent(id)}`} aria-label={`${t('events.open')} ${id}`}>
                {t('events.open')}
              </Link>
            ),
          },
        ]}
      />
    </div>
  );
}
