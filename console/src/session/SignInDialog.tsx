import { Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import { signInWanted } from '@/api/signin';
import { useSignal } from '@/api/signal';
import { Dialog } from '@/shared/Dialog';
import { SignIn } from './SignIn';
import { signOut } from './session';

/** Asks to sign in again above the page, which stays as it is. */
export function SignInDialog() {
  const { t } = useTranslation('session');
  if (!useSignal(signInWanted)) return null;
  return (
    <Dialog
      title={t('again')}
      footer={
        <Button variant="text" onClick={() => void signOut()}>
          {t('leave')}
        </Button>
      }
    >
      <p>{t('ended')}</p>
      <SignIn />
    </Dialog>
  );
}
