import './style.css';
import { Button } from 'tdesign-react';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate, useSearchParams } from 'react-router';
import { useApiMutation, useApiQuery } from '@/api/client';
import { Field, FormErrors, Loading, PageHeader, ProblemNote, useForm, useOperations } from '@/shared';
import { AuthType } from './AuthType';
import { defaultLife, lives, toBody, type LinkForm } from './linkForm';
import { SetPicker } from './SetPicker';

/** Makes a link; its address may preset component_appid, biz_appid, reference and permission_sets. */
export default function NewLink() {
  const { t } = useTranslation('links');
  const { reason } = useOperations();
  const components = useApiQuery('/v1/components');
  const why = reason('links:write');
  return (
    <div className="stack link-page">
      <PageHeader title={t('create')} note={<Link to="/links">{t('back')}</Link>} />
      <p className="note">{t('intro')}</p>
      {why && <p className="mistake">{why}</p>}
      <ProblemNote error={components.error} retry={() => void components.refetch()} />
      {!components.data && !components.error && <Loading />}
      {components.data && <CreateForm components={components.data.items.map(({ appid }) => appid)} refused={why} />}
    </div>
  );
}

function CreateForm({ components, refused }: { components: string[]; refused: string | undefined }) {
  const { t } = useTranslation('links');
  const navigate = useNavigate();
  const [preset] = useSearchParams();
  const biz = preset.get('biz_appid') ?? '';
  const create = useApiMutation('post', '/v1/authorization-links', {
    invalidates: ['/v1/authorization-links'],
    onSuccess: ({ id }) => void navigate(`/links/${id}`, { replace: true }),
  });
  const form = useForm<LinkForm>({
    draft: `link.${biz}`,
    initial: {
      component_appid: preset.get('component_appid') || (components[0] ?? ''),
      auth_type: 3,
      biz_appid: biz,
      permission_sets: (preset.get('permission_sets') ?? '').split(',').filter(Boolean).map(Number),
      reference: preset.get('reference') ?? '',
      return_url: '',
      expires_in: defaultLife,
    },
    check: ({ component_appid }) => ({ component_appid: component_appid ? undefined : t('componentMissing') }),
    submit: (values) => create.mutateAsync({ body: toBody(values) }),
  });
  // A component that was deleted since the draft was kept cannot be chosen.
  const { values, set } = form;
  useEffect(() => {
    if (values.component_appid && !components.includes(values.component_appid)) set('component_appid', components[0] ?? '');
  }, [components, values.component_appid, set]);
  if (components.length === 0) {
    return (
      <p className="panel">
        {t('noComponent')} <Link to="/components">{t('connect')}</Link>
      </p>
    );
  }
  return (
    <form className="form panel link-form" noValidate onSubmit={form.submit}>
      <Field form={form} name="component_appid" label={t('component')} required hint={t('componentHint')}>
        {(control) => (
          <select {...control} value={values.component_appid} onChange={(event) => set('component_appid', event.target.value)}>
            {components.map((appid) => (
              <option key={appid}>{appid}</option>
            ))}
          </select>
        )}
      </Field>
      <Field form={form} name="biz_appid" label={t('bizAppid')} hint={t('bizAppidHint')} placeholder="wx…" monospace />
      <AuthType form={form} />
      <SetPicker form={form} />
      <Field form={form} name="reference" label={t('reference')} hint={t('referenceHint')} />
      <Field form={form} name="return_url" label={t('returnUrl')} hint={t('returnUrlHint')} placeholder="https://" />
      <Field form={form} name="expires_in" label={t('life.title')} hint={t('life.hint')}>
        {(control) => (
          <select {...control} value={values.expires_in} onChange={(event) => set('expires_in', Number(event.target.value))}>
            {lives.map((seconds) => (
              <option key={seconds} value={seconds}>
                {t(`life.${seconds}`)}
              </option>
            ))}
          </select>
        )}
      </Field>
      <FormErrors form={form} />
      <div className="row">
        <Button tag="button" type="submit" loading={form.busy} disabled={refused !== undefined} {...(refused ? { title: refused } : {})}>
          {t('create')}
        </Button>
        <Button variant="text" onClick={form.reset}>
          {t('startOver')}
        </Button>
      </div>
    </form>
  );
}
