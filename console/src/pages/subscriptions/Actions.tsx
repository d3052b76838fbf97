import { Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';
import { useApiMutation } from '@/api/client';
import { notify, useOperations } from '@/shared';
import { signed, type Subscription } from './subscription';

/** What opens a dialog of the page. */
export type Action = 'test' | 'rotate' | 'replay' | 'delete';

const changes = ['/v1/subscriptions', '/v1/subscriptions/{id}'];

/** What can be done with a subscription, and why not. */
export function Actions({ subscription, onOpen }: { subscription: Subscription; onOpen: (action: Action) => void }) {
  const { t } = useTranslation('subscriptions');
  const { t: ts } = useTranslation('shared');
  const { reason } = useOperations();
  const navigate = useNavigate();
  const pause = useApiMutation('post', '/v1/subscriptions/{id}/pause', { invalidates: changes });
  const resume = useApiMutation('post', '/v1/subscriptions/{id}/resume', { invalidates: changes });
  const { id, state, sink } = subscription;
  const write = reason('subscriptions:write');
  const replay = reason('events:replay');
  const delivers = sink?.type !== 'answer';
  const change = (to: typeof pause | typeof resume, done: string) =>
    to.mutate({ params: { path: { id } } }, { onSuccess: () => notify('success', done), onError: notify });
  return (
    <>
      {delivers && (
        <Button tag="button" disabled={write !== undefined} title={write} onClick={() => onOpen('test')}>
          {t('test.action')}
        </Button>
      )}
      {state === 'active' ? (
        <Button variant="outline" tag="button" disabled={write !== undefined} title={write} loading={pause.isPending} onClick={() => change(pause, t('paused'))}>
          {t('pause')}
        </Button>
      ) : (
        <Button variant="outline" tag="button" disabled={write !== undefined} title={write} loading={resume.isPending} onClick={() => change(resume, t('resumed'))}>
          {t('resume')}
        </Button>
      )}
      <Button variant="outline" tag="button" disabled={write !== undefined} title={write} onClick={() => void navigate(`/subscriptions/${id}/edit`)}>
        {ts('edit')}
      </Button>
      {delivers && (
        <Button variant="outline" tag="button" disabled={replay !== undefined} title={replay} onClick={() => onOpen('replay')}>
          {t('replay.action')}
        </Button>
      )}
      {signed(sink) && (
        <Button variant="outline" tag="button" disabled={write !== undefined} title={write} onClick={() => onOpen('rotate')}>
          {t('rotate.action')}
        </Button>
      )}
      <Button theme="danger" variant="outline" tag="button" disabled={write !== undefined} title={write} onClick={() => onOpen('delete')}>
        {ts('delete')}
      </Button>
    </>
  );
}
