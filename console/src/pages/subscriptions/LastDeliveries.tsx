import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import type { Schema } from '@/api/client';
import { Attempts } from '@/pages/events/Attempts';
import { Kind } from '@/pages/events/Kind';
import { DataTable, Dialog, StateTag, Time, useCursorPages, useOperations, type Column } from '@/shared';
import { Button } from 'tdesign-react';

type Delivery = Schema<'Delivery'>;
const states = ['pending', 'delivered', 'dead'] as const;

/** What was delivered last, as it goes on. */
export function LastDeliveries({ id }: { id: string }) {
  const { t } = useTranslation('subscriptions');
  const { t: ts } = useTranslation('shared');
  const { may } = useOperations();
  const [state, setState] = useState<'' | (typeof states)[number]>('');
  const [shown, setShown] = useState<Delivery>();
  const pages = useCursorPages(
    '/v1/deliveries',
    { query: { subscription: id, limit: 20, ...(state ? { state } : {}) } },
    { refetchInterval: 3_000, enabled: may('events:read') },
  );
  if (!may('events:read')) return null;
  const columns: Array<Column<Delivery>> = [
    {
      key: 'kind',
      title: t('deliveries.kind'),
      render: (row) => (
        <Link to={`/events/${row.event.id}`}>
          <Kind kind={row.event.kind} />
        </Link>
      ),
    },
    { key: 'state', title: t('state'), render: (row) => <StateTag state={row.state} /> },
    { key: 'account', title: t('deliveries.account'), render: (row) => <code>{row.event.authorizer_appid || '—'}</code> },
    { key: 'received', title: t('deliveries.received'), render: (row) => <Time at={row.event.received_at} exact /> },
    { key: 'due', title: t('deliveries.next'), render: (row) => <Time at={row.due_at} /> },
    {
      key: 'attempts',
      title: t('deliveries.attempts'),
      render: (row) => (
        <Button
          size="small"
          variant="text"
          tag="button"
          disabled={row.log.length === 0}
          aria-label={t('deliveries.attemptsOf', { id: row.event.id, count: row.attempts })}
          onClick={() => setShown(row)}
        >
          {row.attempts}
        </Button>
      ),
    },
  ];
  return (
    <section>
      <h2>{t('deliveries.title')}</h2>
      <div className="filters">
        <label className="field">
          <span>{t('state')}</span>
          <select value={state} onChange={(event) => setState(event.target.value as typeof state)}>
            <option value="">{ts('all')}</option>
            {states.map((one) => (
              <option key={one} value={one}>
                {ts(`state.${one}`)}
              </option>
            ))}
          </select>
        </label>
      </div>
      <DataTable label={t('deliveries.title')} columns={columns} rowKey={(row) => row.event.id} pages={pages} filtered={state !== ''} empty={t('deliveries.none')} />
      {shown && (
        <Dialog wide title={t('deliveries.attempts')} onClose={() => setShown(undefined)}>
          <Attempts log={shown.log} label={t('deliveries.attempts')} />
        </Dialog>
      )}
    </section>
  );
}
