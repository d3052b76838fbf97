import { Button } from 'tdesign-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useParams } from 'react-router';
import { useApiMutation } from '@/api/client';
import { ConfirmDialog, Field, FormErrors, Loading, notify, PageHeader, ProblemNote, useForm, useOperations } from '@/shared';
import { useComponent, useFreshness, type Component } from './component';
import { Fresh } from './Fresh';
import { Step } from './Step';
import './style.css';

/** Replaces the AppSecret without a gap: step by step. */
export default function RotateSecret() {
  const { t } = useTranslation('components');
  const { appid = '' } = useParams();
  const read = useComponent(appid);
  return (
    <div className="stack components-page">
      <PageHeader title={t('secret.title')} note={<Link to={`/components/${appid}`}>{t('backTo', { appid })}</Link>} />
      <p>{t('secret.intro')}</p>
      <ProblemNote error={read.error} retry={() => void read.refetch()} />
      {!read.data && !read.error && <Loading />}
      {read.data && <Steps of={read.data} />}
    </div>
  );
}

function Steps({ of }: { of: Component }) {
  const { t } = useTranslation('components');
  const fresh = useFreshness()(of.appid);
  const [begunAt] = useState(of.updated_at);
  const [withdrawn, setWithdrawn] = useState(false);
  const staged = of.staged_secret;
  const done = !staged && !withdrawn && of.updated_at !== begunAt;
  return (
    <ol className="components-steps">
      <Step title={t('secret.step1')} where="here" state={staged || done ? 'done' : 'now'}>
        <p>{t('secret.step1How')}</p>
        <p className="row">
          {t('token.title')} <Fresh of={fresh?.token} text={(left) => <span>{t('token.left')} {left}</span>} />
        </p>
      </Step>
      <Step title={t('secret.step2')} where="wechat" state={staged || done ? 'done' : 'now'}>
        <p>{t('secret.step2How')}</p>
      </Step>
      <Step title={t('secret.step3')} where="here" state={staged || done ? 'done' : 'now'}>
        <p>{t('secret.step3How')}</p>
        <StageForm appid={of.appid} onStaged={() => setWithdrawn(false)} />
      </Step>
      <Step title={t('secret.step4')} where="here" state={done ? 'done' : staged ? 'now' : 'todo'}>
        <div aria-live="polite">{done ? <p>{t('secret.taken')}</p> : staged ? <Waiting of={of} onWithdrawn={() => setWithdrawn(true)} /> : <p>{t('secret.step4How')}</p>}</div>
      </Step>
    </ol>
  );
}

function StageForm({ appid, onStaged }: { appid: string; onStaged: () => void }) {
  const { t } = useTranslation('components');
  const { reason } = useOperations();
  const change = useApiMutation('patch', '/v1/components/{appid}', { invalidates: ['/v1/components', '/v1/components/{appid}'] });
  const form = useForm({
    initial: { staged_secret: '' },
    check: (values) => ({ staged_secret: values.staged_secret.trim() ? '' : t('shape.secret') }),
    async submit(values) {
      await change.mutateAsync({ params: { path: { appid } }, body: { staged_secret: values.staged_secret.trim() } });
      change.reset(); // what it was sent holds the secret
      form.reset();
      onStaged();
      notify('success', t('secret.stagedNow'));
    },
  });
  const why = reason('components:write');
  return (
    <form className="form" noValidate onSubmit={form.submit}>
      <Field form={form} name="staged_secret" label={t('secret.new')} type="password" autocomplete="off" monospace required />
      <FormErrors form={form} />
      <Button tag="button" type="submit" loading={form.busy} disabled={!!why} {...(why ? { title: why } : {})}>
        {t('secret.stage')}
      </Button>
    </form>
  );
}

function Waiting({ of, onWithdrawn }: { of: Component; onWithdrawn: () => void }) {
  const { t } = useTranslation('components');
  const { reason } = useOperations();
  const [asking, setAsking] = useState(false);
  const withdraw = useApiMutation('patch', '/v1/components/{appid}', { invalidates: ['/v1/components', '/v1/components/{appid}'] });
  const why = reason('components:write');
  return (
    <>
      <p>{t('secret.waiting')}</p>
      {of.problem && <p className="mistake">{of.problem}</p>}
      <Button tag="button" variant="outline" theme="danger" disabled={!!why} {...(why ? { title: why } : {})} onClick={() => setAsking(true)}>
        {t('secret.withdraw')}
      </Button>
      {asking && (
        <ConfirmDialog
          title={t('secret.withdraw')}
          action={t('secret.withdraw')}
          danger
          onConfirm={async () => {
            onWithdrawn();
            await withdraw.mutateAsync({ params: { path: { appid: of.appid } }, body: { staged_secret: '' } });
          }}
          onClose={() => setAsking(false)}
        >
          <p>{t('secret.withdrawExplain')}</p>
        </ConfirmDialog>
      )}
    </>
  );
}
