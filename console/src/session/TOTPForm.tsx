import { Button } from 'tdesign-react';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { call, type Schema } from '@/api/client';
import { Copy } from '@/shared/Copy';
import { Loading, ProblemNote } from '@/shared/feedback';
import { Field, FormErrors, useForm } from '@/shared/form';
import { QrCode } from '@/shared/QrCode';
import type { Session } from './session';

/** Sets up the second factor: a secret to scan, in force once a code proves that it was. */
export function TOTPForm({ onDone }: { onDone: (session: Session) => void }) {
  const { t } = useTranslation('session');
  const [offer, setOffer] = useState<Schema<'NewTOTP'>>();
  const [error, setError] = useState<unknown>();
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    let current = true;
    setError(undefined);
    call('post', '/v1/session/totp').then(
      (made) => current && setOffer(made),
      (problem: unknown) => current && setError(problem),
    );
    return () => {
      current = false;
    };
  }, [attempt]);
  const form = useForm({
    initial: { code: '' },
    check: ({ code }) => ({ code: /^\d{6}$/.test(code.replace(/\s/g, '')) ? '' : t('codeShape') }),
    submit: async ({ code }) => onDone(await call('put', '/v1/session/totp', { body: { code: code.replace(/\s/g, '') } })),
  });
  if (error) return <ProblemNote error={error} retry={() => setAttempt(attempt + 1)} />;
  if (!offer) return <Loading />;
  return (
    <form className="form" onSubmit={form.submit} noValidate>
      <p>{t('totpIntro')}</p>
      <QrCode text={offer.url} what={t('totpQr')} />
      <p className="secret">
        <code>{offer.secret}</code>
        <Copy text={offer.secret} what={t('totpSecret')} />
      </p>
      <Field form={form} name="code" label={t('code')} autocomplete="one-time-code" monospace />
      <FormErrors form={form} />
      <Button type="submit" loading={form.busy}>
        {t('totpConfirm')}
      </Button>
    </form>
  );
}
