import { useId, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useApiMutation, type Schema } from '@/api/client';
import { ConfirmDialog, notify } from '@/shared';

/** Asks to whom an event is delivered again, and has it done. */
export function ReplayEvent({
  id,
  to,
  subscriptions,
  onClose,
}: {
  id: string;
  /** The subscription offered first; empty: all that match. */
  to: string;
  subscriptions: Array<Schema<'Subscription'>>;
  onClose: () => void;
}) {
  const { t } = useTranslation('events');
  const field = useId();
  const [chosen, setChosen] = useState(to);
  const replay = useApiMutation('post', '/v1/events/{id}/replay', { invalidates: ['/v1/deliveries', '/v1/subscriptions'] });
  const run = async () => {
    const done = await replay.mutateAsync({ params: { path: { id } }, body: chosen ? { subscription: chosen } : {} });
    const count = done.subscriptions.length;
    notify(count > 0 ? 'success' : 'info', t(count > 0 ? 'replay.done' : 'replay.nobody', { count }));
  };
  return (
    <ConfirmDialog title={t('replay.title')} action={t('replay.action')} onConfirm={run} onClose={onClose}>
      <p>{t('replay.explain')}</p>
      <div className="field">
        <label htmlFor={field}>{t('replay.to')}</label>
        <select id={field} value={chosen} onChange={(event) => setChosen(event.target.value)}>
          <option value="">{t('replay.all')}</option>
          {subscriptions.map((s) => (
            <option key={s.id} value={s.id}>
              {s.name}
            </option>
          ))}
        </select>
      </div>
    </ConfirmDialog>
  );
}
