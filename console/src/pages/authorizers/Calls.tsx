import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { useApiQuery } from '@/api/client';
import { DataTable, Duration, StateTag, Time } from '@/shared';
import { paramsOf, type AuthorizerDetail } from './authorizer';

/** The last calls made for this account through the gateway, and what WeChat has shown of its quotas. */
export function Calls({ of }: { of: AuthorizerDetail }) {
  const { t } = useTranslation('authorizers');
  const read = useApiQuery(
    '/v1/authorizers/{appid}/calls',
    paramsOf({ appid: of.appid, component: of.component_appid }),
    { refetchInterval: 5_000 },
  );
  const rest = { error: read.error, retry: () => void read.refetch() };
  return (
    <div className="stack">
      <div className="stack">
        <h2>{t('calls.quota')}</h2>
        <p className="hint">{t('calls.quotaHint')}</p>
        <DataTable
          label={t('calls.quota')}
          {...(read.data ? { rows: read.data.quota } : {})}
          {...rest}
          rowKey={({ path }) => path}
          empty={t('calls.noQuota')}
          columns={[
            { key: 'path', title: t('calls.endpoint'), render: ({ path }) => <code>{path}</code> },
            {
              key: 'remaining',
              title: t('calls.remaining'),
              render: ({ remaining }) => (
                <span className="row">
                  {remaining}
                  {remaining === 0 && <StateTag state="warning" label={t('calls.usedUp')} />}
                </span>
              ),
            },
            { key: 'used', title: t('calls.used'), render: ({ used, limit }) => (used === null ? '—' : `${used} / ${limit ?? '—'}`) },
            { key: 'at', title: t('calls.seen'), render: ({ at }) => <Time at={at} /> },
          ]}
        />
      </div>
      <div className="stack">
        <h2>{t('calls.recent')}</h2>
        <p className="hint">
          {t('calls.hint')} <Link to={`/explorer?${new URLSearchParams({ account: of.appid, component: of.component_appid })}`}>{t('calls.explore')}</Link>
        </p>
        <DataTable
          label={t('calls.recent')}
          {...(read.data ? { rows: read.data.items.map((call, index) => ({ ...call, index })) } : {})}
          rowKey={({ at, request_id, index }) => `${at} ${request_id} ${index}`}
          empty={t('calls.empty')}
          columns={[
            {
              key: 'path',
              title: t('calls.endpoint'),
              render: ({ method, path }) => (
                <code>
                  {method} {path}
                </code>
              ),
            },
            { key: 'at', title: t('calls.at'), render: ({ at }) => <Time at={at} /> },
            {
              key: 'answer',
              title: t('calls.answer'),
              render: ({ status, errcode, problem }) => {
                const good = status < 400 && errcode === 0 && problem === '';
                return (
                  <span className="row">
                    <StateTag state={good ? 'ok' : 'failed'} />
                    <span>
                      HTTP {status}
                      {errcode !== 0 && ` · ${t('errcode.code', { code: errcode })}`}
                      {problem && ` · ${problem}`}
                    </span>
                  </span>
                );
              },
            },
            { key: 'caller', title: t('calls.caller'), render: ({ caller }) => caller || '—' },
            { key: 'duration', title: t('calls.duration'), render: ({ duration_ms: ms }) => <Duration ms={ms} /> },
          ]}
        />
      </div>
    </div>
  );
}
