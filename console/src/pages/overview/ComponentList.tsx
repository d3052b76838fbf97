import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { AppID, DataTable, Duration, StateTag } from '@/shared';
import { ticketOf, tokenOf, type Freshness } from './freshness';
import type { OverviewData } from './Overview';

/** Every component with its ticket, its token and its authorizers. */
export function ComponentList({ overview: { components, now } }: { overview: OverviewData }) {
  const { t } = useTranslation('overview');
  return (
    <div>
      <h2>{t('components.title')}</h2>
      <DataTable
        label={t('components.title')}
        rows={components}
        rowKey={({ appid }) => appid}
        empty={<Link to="/components">{t('verdict.connect')}</Link>}
        columns={[
          { key: 'appid', title: t('components.appid'), render: ({ appid }) => <AppID id={appid} /> },
          { key: 'ticket', title: t('ticket.title'), render: (c) => <Fresh {...ticketOf(c, now)} /> },
          { key: 'token', title: t('token.title'), render: (c) => <Fresh {...tokenOf(c, now)} /> },
          {
            key: 'authorizers',
            title: t('authorizers.title'),
            render: ({ appid, authorizers }) => (
              <Link to={`/authorizers?component=${encodeURIComponent(appid)}`}>
                {t('components.counts', {
                  active: authorizers.active,
                  waiting: authorizers.needs_reauthorization,
                  revoked: authorizers.revoked,
                })}
              </Link>
            ),
          },
          {
            key: 'go',
            title: t('components.settings'),
            render: ({ appid }) => (
              <Link to={`/components/${encodeURIComponent(appid)}`} aria-label={`${t('components.open')} ${appid}`}>
                {t('components.open')}
              </Link>
            ),
          },
        ]}
      />
    </div>
  );
}

function Fresh({ seconds, level }: Freshness) {
  return (
    <span className="row">
      <Duration seconds={seconds ?? null} />
      <StateTag state={level} />
    </span>
  );
}
