import { Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import { call } from '@/api/client';
import { Field, FormErrors, useForm } from '@/shared/form';
import type { Session } from './session';

/** Changes the password of the operator who is signed in. */
export function PasswordForm({ forced = false, onDone }: { forced?: boolean; onDone: (session: Session) => void }) {
  const { t } = useTranslation('session');
  const form = useForm({
    initial: { current: '', new: '', repeated: '' },
    check: (values) => ({
      current: values.current ? '' : t('passwordNeeded'),
      new: [...values.new].length < 10 ? t('passwordShort') : '',
      repeated: values.repeated === values.new ? '' : t('passwordDiffers'),
    }),
    async submit(values) {
      onDone(await call('post', '/v1/session/password', { body: { current: values.current, new: values.new } }));
      form.reset();
    },
  });
  return (
    <form className="form" onSubmit={form.submit} noValidate>
      {forced && <p>{t('passwordForced')}</p>}
      <Field form={form} name="current" label={t('passwordCurrent')} type="password" autocomplete="current-password" />
      <Field form={form} name="new" label={t('passwordNew')} type="password" autocomplete="new-password" hint={t('passwordHint')} />
      <Field form={form} name="repeated" label={t('passwordRepeated')} type="password" autocomplete="new-password" />
      <FormErrors form={form} />
      <Button type="submit" loading={form.busy}>
        {t('passwordChange')}
      </Button>
    </form>
  );
}
