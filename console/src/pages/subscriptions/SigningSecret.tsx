import { Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import { Dialog, Secret } from '@/shared';

/** The one time that a new signing secret can be seen. */
export function SigningSecretDialog({ secret, onClose }: { secret: string; onClose: () => void }) {
  const { t } = useTranslation('subscriptions');
  return (
    <Dialog title={t('signing.new')} footer={<Button onClick={onClose}>{t('signing.kept')}</Button>}>
      <SigningSecret secret={secret} />
    </Dialog>
  );
}

/** A new signing secret, hidden until somebody looks. */
export function SigningSecret({ secret }: { secret: string }) {
  const { t } = useTranslation('subscriptions');
  return (
    <>
      <p>{t('signing.once')}</p>
      <Secret what={t('signing.secret')} hint={t('signing.hides')} reveal={() => Promise.resolve(secret)} />
      <p className="hint">{t('signing.verify')}</p>
    </>
  );
}
