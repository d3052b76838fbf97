import { Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate } from 'react-router';
import { useApiMutation } from '@/api/client';
import { randomAESKey, randomToken } from '@/setup/random';
import { Copy, Field, FormErrors, notify, PageHeader, useForm, useOperations } from '@/shared';
import { shapes } from './credential';
import './style.css';

/** Adds a component; its page then says what goes into WeChat's console. */
export default function NewComponent() {
  const { t } = useTranslation('components');
  const navigate = useNavigate();
  const { reason } = useOperations();
  const put = useApiMutation('post', '/v1/components', { invalidates: ['/v1/components', '/v1/components/{appid}', '/v1/overview'] });
  const form = useForm({
    draft: 'component',
    initial: { appid: '', secret: '', token: '', encoding_aes_key: '' },
    secrets: ['secret', 'token', 'encoding_aes_key'],
    check: (values) => ({
      appid: shapes.appid.test(values.appid.trim()) ? '' : t('shape.appid'),
      secret: values.secret.trim() ? '' : t('shape.secret'),
      token: shapes.token.test(values.token.trim()) ? '' : t('shape.token'),
      encoding_aes_key: shapes.encoding_aes_key.test(values.encoding_aes_key.trim()) ? '' : t('shape.key', { count: values.encoding_aes_key.trim().length }),
    }),
    async submit(values) {
      const { appid } = await put.mutateAsync({
        body: {
          appid: values.appid.trim(),
          secret: values.secret.trim(),
          token: values.token.trim(),
          encoding_aes_key: values.encoding_aes_key.trim(),
        },
      });
      put.reset(); // what it was sent holds the secrets
      notify('success', t('add.done', { appid }));
      void navigate(`/components/${appid}`, { replace: true });
    },
  });
  const { values, set } = form;
  const why = reason('components:write');
  const generated = (name: 'token' | 'encoding_aes_key', make: () => string, what: string) => (
    <>
      <Button variant="outline" aria-label={t('generateOf', { what })} onClick={() => set(name, make())}>
        {t('generate')}
      </Button>
      {values[name] && <Copy text={values[name]} what={what} />}
    </>
  );
  return (
    <>
      <PageHeader title={t('add.action')} note={<Link to="/components">{t('back')}</Link>} />
      <form className="form panel components-form" noValidate onSubmit={form.submit}>
        <p>{t('add.intro')}</p>
        <Field form={form} name="appid" label="AppID" hint={t('add.appidHint')} placeholder="wx…" autocomplete="off" monospace required />
        <Field form={form} name="secret" label="AppSecret" hint={t('add.secretHint')} type="password" autocomplete="off" monospace required />
        <Field form={form} name="token" label={t('credential.token')} hint={t('add.tokenHint')} autocomplete="off" monospace required suffix={generated('token', randomToken, t('credential.token'))} />
        <Field
          form={form}
          name="encoding_aes_key"
          label={t('credential.key')}
          hint={t('add.keyHint')}
          autocomplete="off"
          monospace
          required
          suffix={generated('encoding_aes_key', randomAESKey, t('credential.key'))}
        />
        <p className="hint">{t('add.existing')}</p>
        <FormErrors form={form} />
        <Button tag="button" type="submit" loading={form.busy} disabled={!!why} {...(why ? { title: why } : {})}>
          {t('add.submit')}
        </Button>
      </form>
    </>
  );
}
