import { Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import { call } from '@/api/client';
import { keepSession, useSetup } from '@/session/session';
import { Field, FormErrors, useForm } from '@/shared/form';

/** The token from the log proves who may make the first administrator. */
export function Administrator() {
  const { t } = useTranslation('setup');
  const setup = useSetup();
  const form = useForm({
    draft: 'setup.administrator',
    initial: { setup_token: '', name: 'admin', full_name: '', password: '', repeated: '' },
    secrets: ['setup_token', 'password', 'repeated'],
    check: (values) => ({
      setup_token: values.setup_token.trim() ? '' : t('administrator.tokenNeeded'),
      name: values.name.trim() ? '' : t('administrator.nameNeeded'),
      password: [...values.password].length < 10 ? t('administrator.passwordShort') : '',
      repeated: values.repeated === values.password ? '' : t('administrator.passwordDiffers'),
    }),
    async submit({ setup_token, name, full_name, password }) {
      const session = await call('post', '/v1/setup', {
        body: { setup_token: setup_token.trim(), name: name.trim(), ...(full_name.trim() ? { full_name: full_name.trim() } : {}), password },
      });
      keepSession(session);
      await setup.refetch();
    },
  });
  return (
    <form className="form" onSubmit={form.submit} noValidate>
      <p>{t('administrator.intro')}</p>
      <pre tabIndex={0} aria-label={t('administrator.example')}>
        "level":"WARN", "msg":"nobody uses the console yet…", "set_up_with":"…"
      </pre>
      <Field form={form} name="setup_token" label={t('administrator.token')} hint={t('administrator.tokenHint')} autocomplete="off" monospace required />
      <Field form={form} name="name" label={t('administrator.name')} autocomplete="username" required />
      <Field form={form} name="full_name" label={t('administrator.fullName')} autocomplete="name" />
      <Field form={form} name="password" label={t('administrator.password')} hint={t('administrator.passwordHint')} type="password" autocomplete="new-password" required />
      <Field form={form} name="repeated" label={t('administrator.repeated')} type="password" autocomplete="new-password" required />
      <FormErrors form={form} />
      <Button type="submit" loading={form.busy}>
        {t('administrator.submit')}
      </Button>
    </form>
  );
}
