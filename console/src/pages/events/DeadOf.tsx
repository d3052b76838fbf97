import { Button } from 'tdesign-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { useApiMutation, type Schema } from '@/api/client';
import { ConfirmDialog, DataTable, notify, ProgressDialog, Time, useCursorPages, useOperations, type Column } from '@/shared';
import { FailureText } from './FailureText';
import { Kind } from './Kind';

type Delivery = Schema<'Delivery'>;

/** The dead letters of one subscription, and how to have them delivered after all. */
export function DeadOf({ subscription }: { subscription: Schema<'Subscription'> }) {
  const { t } = useTranslation('events');
  const { t: ts } = useTranslation('shared');
  const { reason } = useOperations();
  const [ids, setIds] = useState<string[]>([]);
  const [asking, setAsking] = useState(false);
  const [job, setJob] = useState<string>();
  const pages = useCursorPages('/v1/deliveries', { query: { subscription: subscription.id, state: 'dead', limit: 50 } }, { refetchInterval: 3_000 });
  const replay = useApiMutation('post', '/v1/subscriptions/{id}/replay', {
    invalidates: ['/v1/deliveries', '/v1/subscriptions'],
    onSuccess: (started) => {
      setIds([]);
      setJob(started.id);
    },
  });
  const start = (body: Schema<'ReplayBody'>) => replay.mutateAsync({ params: { path: { id: subscription.id } }, body });
  const missing = reason('events:replay');
  const columns: Array<Column<Delivery>> = [
    {
      key: 'kind',
      title: t('column.kind'),
      render: (row) => (
        <Link to={`/events/${row.event.id}`}>
          <Kind kind={row.event.kind} />
        </Link>
      ),
    },
    { key: 'account', title: t('column.account'), render: (row) => <code>{row.event.authorizer_appid || '—'}</code> },
    { key: 'received', title: t('column.received'), render: (row) => <Time at={row.event.received_at} exact /> },
    { key: 'died', title: t('dead.givenUp'), render: (row) => <Time at={row.finished_at} /> },
    { key: 'attempts', title: t('dead.attempts'), render: (row) => row.attempts },
    {
      key: 'why',
      title: t('dead.why'),
      render: (row) => {
        const last = row.log.at(-1);
        return last ? <FailureText status={last.status} error={last.error} /> : '—';
      },
    },
    {
      key: 'actions',
      title: ts('actions'),
      render: (row) => (
        <Button
          size="small"
          variant="outline"
          tag="button"
          disabled={missing !== undefined || replay.isPending}
          title={missing}
          aria-label={t('dead.replayOne', { id: row.event.id })}
          onClick={() => void start({ events: [row.event.id] }).catch(notify)}
        >
          {t('deliveries.again')}
        </Button>
      ),
    },
  ];
  return (
    <>
      {subscription.state !== 'active' && (
        <p className="hint">
          {t(`dead.${subscription.state}`)} <Link to={`/subscriptions/${subscription.id}`}>{subscription.name}</Link>
        </p>
      )}
      <div className="row events-bar">
        <Button tag="button" disabled={missing !== undefined || subscription.status.dead === 0} title={missing} onClick={() => setAsking(true)}>
          {t('dead.all')}
        </Button>
        <Button
          variant="outline"
          tag="button"
          disabled={missing !== undefined || ids.length === 0 || replay.isPending}
          title={missing}
          onClick={() => void start({ events: ids }).catch(notify)}
        >
          {t('dead.selected', { count: ids.length })}
        </Button>
      </div>
      <DataTable
        label={t('dead.title')}
        columns={columns}
        rowKey={(row) => row.event.id}
        pages={pages}
        empty={t('dead.noneHere')}
        selection={{ ids, onChange: setIds, name: (row) => `${row.event.kind} ${row.event.id}` }}
      />
      {asking && (
        <ConfirmDialog
          title={t('dead.all')}
          action={t('replay.action')}
          onConfirm={() => start({ dead: true })}
          onClose={() => setAsking(false)}
        >
          <p>{t('dead.allExplain', { count: subscription.status.dead, name: subscription.name })}</p>
        </ConfirmDialog>
      )}
      {job && <ProgressDialog id={job} title={t('dead.progress', { name: subscription.name })} onClose={() => setJob(undefined)} />}
    </>
  );
}
