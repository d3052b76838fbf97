import { Button } from 'tdesign-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useApiQuery, type Schema } from '@/api/client';
import { DataTable, Duration, StateTag, Time, type Column } from '@/shared';
import type { Target } from './endpoint';

type RecentCall = Schema<'RecentCall'>;

/** How many are shown before somebody asks for all. */
const few = 8;

/** What was called last for an account, by whomever. */
export function RecentCalls({ target }: { target: Target }) {
  const { t } = useTranslation('explorer');
  const [all, setAll] = useState(false);
  const read = useApiQuery(
    '/v1/authorizers/{appid}/calls',
    { path: { appid: target.authorizer }, query: target.component ? { component: target.component } : {} },
    { refetchInterval: 5_000 },
  );
  const items = read.data?.items;
  const columns: Array<Column<RecentCall>> = [
    {
      key: 'path',
      title: t('calls.path'),
      render: (row) => (
        <code>
          {row.method} {row.path}
        </code>
      ),
    },
    { key: 'at', title: t('calls.at'), render: (row) => <Time at={row.at} /> },
    {
      key: 'result',
      title: t('calls.result'),
      render: (row) => {
        const fine = row.errcode === 0 && !row.problem && row.status < 400;
        return <StateTag state={fine ? 'ok' : 'error'} label={fine ? t('calls.ok') : row.errcode ? `errcode ${row.errcode}` : row.problem || `HTTP ${row.status}`} />;
      },
    },
    { key: 'took', title: t('calls.took'), render: (row) => <Duration ms={row.duration_ms} /> },
    { key: 'caller', title: t('calls.caller'), render: (row) => row.caller || '—' },
  ];
  return (
    <section>
      <h2>{t('calls.title')}</h2>
      <p className="hint">{t('calls.hint')}</p>
      <DataTable
        label={t('calls.title')}
        columns={columns}
        rows={all ? items : items?.slice(0, few)}
        rowKey={(row) => `${row.at} ${row.request_id} ${row.path}`}
        error={read.error}
        retry={() => void read.refetch()}
        empty={t('calls.none')}
      />
      {!all && items && items.length > few && (
        <Button variant="text" onClick={() => setAll(true)}>
          {t('calls.all', { count: items.length })}
        </Button>
      )}
    </section>
  );
}
