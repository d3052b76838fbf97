import { Button } from 'tdesign-react';
import { AddIcon } from 'tdesign-icons-react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate } from 'react-router';
import { DataTable, PageHeader, StateTag, Time, useCursorPages, useOperations, type Column, type CursorPages } from '@/shared';
import { Kinds } from './Kinds';
import { destination, type Subscription } from './subscription';
import { SuccessRate } from './SuccessRate';
import './style.css';

export default function Subscriptions() {
  const { t } = useTranslation('subscriptions');
  const { reason } = useOperations();
  const navigate = useNavigate();
  const pages = useCursorPages('/v1/subscriptions', { query: { limit: 50 } }, { refetchInterval: 5_000 });
  const missing = reason('subscriptions:write');
  const columns: Array<Column<Subscription>> = [
    { key: 'name', title: t('name'), render: (row) => <Link to={`/subscriptions/${row.id}`}>{row.name}</Link> },
    { key: 'state', title: t('state'), render: (row) => <StateTag state={row.state} theme={row.state === 'disabled' ? 'danger' : undefined} /> },
    {
      key: 'sink',
      title: t('sink.title'),
      render: (row) => (
        <>
          {row.sink && t(`sink.${row.sink.type}.name`)}
          {row.sink?.url && (
            <>
              {' '}
              <code>{destination(row.sink)}</code>
            </>
          )}
        </>
      ),
    },
    { key: 'kinds', title: t('match.kinds'), render: (row) => <Kinds kinds={row.match.kinds} /> },
    { key: 'rate', title: t('rate.title'), render: (row) => <SuccessRate subscription={row} /> },
    {
      key: 'backlog',
      title: t('backlog'),
      render: (row) => (
        <>
          {t('pending', { count: row.status.pending })}
          {row.status.since && (
            <span className="hint">
              {' '}
              {t('overdueSince')} <Time at={row.status.since} />
            </span>
          )}
        </>
      ),
    },
    {
      key: 'dead',
      title: t('dead'),
      render: (row) =>
        row.status.dead > 0 ? <Link to={`/events/dead-letters?subscription=${row.id}`}>{t('deadCount', { count: row.status.dead })}</Link> : 0,
    },
  ];
  return (
    <>
      <PageHeader title={t('title')} note={t('note')}>
        <Button icon={<AddIcon />} tag="button" disabled={missing !== undefined} title={missing} onClick={() => void navigate('/subscriptions/new')}>
          {t('create')}
        </Button>
      </PageHeader>
      <DataTable
        label={t('title')}
        columns={columns}
        rowKey={(row) => row.id}
        pages={pages as CursorPages<Subscription>}
        empty={t('none')}
      />
    </>
  );
}
