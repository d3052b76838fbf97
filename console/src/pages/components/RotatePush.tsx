import { Button } from 'tdesign-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useParams, useSearchParams } from 'react-router';
import { useApiMutation } from '@/api/client';
import { randomAESKey, randomToken } from '@/setup/random';
import { ConfirmDialog, Copy, Field, FormErrors, Loading, notify, PageHeader, ProblemNote, Secret, Time, useForm, useOperations } from '@/shared';
import { useComponent, type Component } from './component';
import { shapes } from './credential';
import { Step } from './Step';
import './style.css';

type Which = 'token' | 'encoding_aes_key';

/** Replaces the Token or the EncodingAESKey without losing a push: ?which= says which. */
export default function RotatePush() {
  const { t } = useTranslation('components');
  const { appid = '' } = useParams();
  const [search] = useSearchParams();
  const which: Which = search.get('which') === 'encoding_aes_key' ? 'encoding_aes_key' : 'token';
  const read = useComponent(appid);
  return (
    <div className="stack components-page">
      <PageHeader title={t(`push.${which}.title`)} note={<Link to={`/components/${appid}`}>{t('backTo', { appid })}</Link>} />
      <p>{t(`push.${which}.intro`)}</p>
      <p className="hint">{t('push.oneByOne')}</p>
      <ProblemNote error={read.error} retry={() => void read.refetch()} />
      {!read.data && !read.error && <Loading />}
      {read.data && <Steps key={which} which={which} of={read.data} />}
    </div>
  );
}

function Steps({ which, of }: { which: Which; of: Component }) {
  const { t } = useTranslation('components');
  // In memory only: to be copied until the page is left.
  const [fresh, setFresh] = useState<string>();
  const [pasted, setPasted] = useState(false);
  const name = t(which === 'token' ? 'credential.token' : 'credential.key');
  const previous = which === 'token' ? of.previous_token : of.previous_encoding_aes_key;
  const heard = pasted && Date.parse(of.ticket_received_at ?? '') > Date.parse(of.updated_at ?? '');
  return (
    <ol className="components-steps">
      <Step title={t('push.step1', { name })} where="here" state={fresh ? 'done' : previous ? 'done' : 'now'}>
        <p>{t('push.step1How', { name })}</p>
        {previous && !fresh && <p className="components-warn">{t('push.underWay', { name })}</p>}
        {fresh ? (
          <p className="row">
            <Secret what={name} hint={t('push.hides')} reveal={() => Promise.resolve(fresh)} />
            <Copy text={fresh} what={name} label />
          </p>
        ) : (
          <NewValue appid={of.appid} which={which} name={name} onKept={setFresh} />
        )}
      </Step>
      <Step title={t('push.step2', { name })} where="wechat" state={pasted ? 'done' : previous ? 'now' : 'todo'}>
        <p>{t('push.step2How', { name })}</p>
        <label className="components-check">
          <input type="checkbox" checked={pasted} disabled={!previous} onChange={(event) => setPasted(event.target.checked)} />
          <span>{t('push.pasted')}</span>
        </label>
      </Step>
      <Step title={t('push.step3')} where="here" state={heard ? 'done' : pasted ? 'now' : 'todo'}>
        <p>{t('push.step3How')}</p>
        <p role="status">
          {t('push.lastTicket')} <Time at={of.ticket_received_at} />
        </p>
      </Step>
      <Step title={t('push.step4', { name })} where="here" state={previous ? (heard ? 'now' : 'todo') : fresh ? 'done' : 'todo'}>
        <p>{t('push.step4How', { name })}</p>
        {previous ? <Withdraw appid={of.appid} which={which} name={name} /> : <p className="hint">{t('push.noPrevious', { name })}</p>}
      </Step>
    </ol>
  );
}

function NewValue({ appid, which, name, onKept }: { appid: string; which: Which; name: string; onKept: (value: string) => void }) {
  const { t } = useTranslation('components');
  const { reason } = useOperations();
  const change = useApiMutation('patch', '/v1/components/{appid}', { invalidates: ['/v1/components', '/v1/components/{appid}'] });
  const form = useForm({
    initial: { value: '' },
    check: ({ value }) => ({
      value: shapes[which].test(value.trim()) ? '' : which === 'token' ? t('shape.token') : t('shape.key', { count: value.trim().length }),
    }),
    async submit({ value }) {
      await change.mutateAsync({ params: { path: { appid } }, body: { [which]: value.trim() } });
      change.reset(); // what it was sent holds the value
      onKept(value.trim());
      notify('success', t('push.kept', { name }));
    },
  });
  const why = reason('components:write');
  return (
    <form className="form" noValidate onSubmit={form.submit}>
      <Field
        form={form}
        name="value"
        label={t('push.new', { name })}
        hint={t(which === 'token' ? 'shape.token' : 'push.keyShape')}
        autocomplete="off"
        monospace
        required
        suffix={
          <Button variant="outline" aria-label={t('generateOf', { what: name })} onClick={() => form.set('value', which === 'token' ? randomToken() : randomAESKey())}>
            {t('generate')}
          </Button>
        }
      />
      <FormErrors form={form} />
      <Button tag="button" type="submit" loading={form.busy} disabled={!!why} {...(why ? { title: why } : {})}>
        {t('push.keep')}
      </Button>
    </form>
  );
}

function Withdraw({ appid, which, name }: { appid: string; which: Which; name: string }) {
  const { t } = useTranslation('components');
  const { reason } = useOperations();
  const [asking, setAsking] = useState(false);
  const change = useApiMutation('patch', '/v1/components/{appid}', { invalidates: ['/v1/components', '/v1/components/{appid}'] });
  const why = reason('components:write');
  return (
    <>
      <Button tag="button" variant="outline" theme="danger" disabled={!!why} {...(why ? { title: why } : {})} onClick={() => setAsking(true)}>
        {t('push.withdraw')}
      </Button>
      {asking && (
        <ConfirmDialog
          title={t('push.withdrawOf', { name })}
          action={t('push.withdraw')}
          danger
          onConfirm={() => change.mutateAsync({ params: { path: { appid } }, body: { [`previous_${which}`]: '' } })}
          onClose={() => setAsking(false)}
        >
          <p>{t('push.withdrawExplain', { name })}</p>
        </ConfirmDialog>
      )}
    </>
  );
}
