import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate, useParams } from 'react-router';
import { useApiMutation, useApiQuery } from '@/api/client';
import { ConfirmDialog, Loading, PageHeader, ProblemNote, ProgressDialog, StateTag } from '@/shared';
import { Actions, type Action } from './Actions';
import { Disabled } from './Disabled';
import { Health } from './Health';
import { LastDeliveries } from './LastDeliveries';
import { ReplayDialog } from './ReplayDialog';
import { RotateDialog } from './RotateDialog';
import { Secrets } from './Secrets';
import { Settings } from './Settings';
import type { Subscription } from './subscription';
import { TestDialog } from './TestDialog';
import './style.css';

export default function SubscriptionPage() {
  const { t } = useTranslation('subscriptions');
  const { t: ts } = useTranslation('shared');
  const { id = '' } = useParams();
  const navigate = useNavigate();
  const [open, setOpen] = useState<Action>();
  const [job, setJob] = useState<string>();
  const read = useApiQuery('/v1/subscriptions/{id}', { path: { id } }, { refetchInterval: 3_000 });
  const remove = useApiMutation('delete', '/v1/subscriptions/{id}', {
    invalidates: ['/v1/subscriptions'],
    onSuccess: () => void navigate('/subscriptions', { replace: true }),
  });
  const subscription = read.data as Subscription | undefined;
  const close = () => setOpen(undefined);
  return (
    <>
      <p className="subscriptions-back">
        <Link to="/subscriptions">{t('back')}</Link>
      </p>
      <PageHeader
        title={subscription?.name ?? id}
        note={subscription && <StateTag state={subscription.state} theme={subscription.state === 'disabled' ? 'danger' : undefined} />}
      >
        {subscription && <Actions subscription={subscription} onOpen={setOpen} />}
      </PageHeader>
      <ProblemNote error={read.error} retry={() => void read.refetch()} />
      {!subscription && !read.error && <Loading />}
      {subscription && (
        <div className="stack">
          {subscription.state === 'disabled' && <Disabled problem={subscription.problem} />}
          {subscription.state === 'paused' && <p>{t('pausedHint')}</p>}
          {subscription.sink?.type !== 'answer' && <Health subscription={subscription} />}
          <Settings subscription={subscription} />
          <Secrets subscription={subscription} />
          {subscription.sink?.type !== 'answer' && <LastDeliveries id={id} />}
        </div>
      )}
      {subscription && open === 'test' && <TestDialog id={id} onClose={close} />}
      {subscription && open === 'rotate' && <RotateDialog subscription={subscription} onClose={close} />}
      {subscription && open === 'replay' && <ReplayDialog id={id} onStarted={setJob} onClose={close} />}
      {subscription && open === 'delete' && (
        <ConfirmDialog
          title={t('deleteOf', { name: subscription.name })}
          word={subscription.name}
          action={ts('delete')}
          onConfirm={() => remove.mutateAsync({ params: { path: { id } } })}
          onClose={close}
        >
          <p>{t('deleteExplain', { pending: subscription.status.pending, dead: subscription.status.dead })}</p>
        </ConfirmDialog>
      )}
      {job && <ProgressDialog id={job} title={t('replay.progress', { name: subscription?.name ?? id })} onClose={() => setJob(undefined)} />}
    </>
  );
}
