import { Button } from 'tdesign-react';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useLocation } from 'react-router';
import { call, Problem } from '@/api/client';
import { settleSignIn } from '@/api/signin';
import { Field, FormErrors, useForm } from '@/shared/form';
import { PasswordForm } from './PasswordForm';
import { forget, keepSession, sessionKey, useSetup, type Session } from './session';
import { TOTPForm } from './TOTPForm';

/** Name and password, then the code of the second factor, then whatever else has to be done. */
export function SignIn() {
  const { t } = useTranslation('session');
  const client = useQueryClient();
  const before = client.getQueryData<Session | null>(sessionKey);
  const [pending, setPending] = useState(before && before.must.length > 0 ? before : null);
  const [codeNeeded, setCodeNeeded] = useState(false);
  const { pathname, search } = useLocation();
  const { oidc } = useSetup().data ?? {};

  const signedIn = (session: Session) => {
    if (session.must.length > 0) {
      setPending(session);
      return;
    }
    if (before && before.user.id !== session.user.id) {
      // Somebody else's page is not for these eyes.
      forget();
      location.assign('/console/');
      return;
    }
    keepSession(session);
    settleSignIn(true);
  };

  const form = useForm({
    initial: { name: before?.user.name ?? '', password: '', code: '' },
    check: ({ name, password, code }) => ({
      name: name ? '' : t('nameNeeded'),
      password: password ? '' : t('passwordNeeded'),
      code: codeNeeded && !/^\d{6}$/.test(code) ? t('codeShape') : '',
    }),
    async submit({ name, password, code }) {
      try {
        signedIn(await call('post', '/v1/session', { body: { name, password, ...(code ? { code } : {}) } }));
      } catch (error) {
        if (!(error instanceof Problem && error.name === 'code-needed')) throw error;
        setCodeNeeded(true);
      }
    },
  });

  if (pending?.must.includes('password')) return <PasswordForm forced onDone={signedIn} />;
  if (pending?.must.includes('totp')) return <TOTPForm onDone={signedIn} />;
  return (
    <form className="form" onSubmit={form.submit} noValidate>
      {codeNeeded ? (
        <>
          <p>{t('codeHint')}</p>
          <Field form={form} name="code" label={t('code')} autocomplete="one-time-code" monospace />
        </>
      ) : (
        <>
          <Field form={form} name="name" label={t('name')} autocomplete="username" />
          <Field form={form} name="password" label={t('password')} type="password" autocomplete="current-password" />
        </>
      )}
      <FormErrors form={form} />
      <Button type="submit" block size="large" loading={form.busy}>
        {t('signIn')}
      </Button>
      {codeNeeded && (
        <Button variant="text" block onClick={() => { setCodeNeeded(false); form.set('code', ''); }}>
          {t('otherUser')}
        </Button>
      )}
      {oidc && !codeNeeded && (
        <Button
          tag="a"
          variant="outline"
          block
          size="large"
          href={`/console/oidc/start?return=${encodeURIComponent(`/console${pathname}${search}`)}`}
        >
          {t('oidc', { name: oidc.name })}
        </Button>
      )}
    </form>
  );
}
