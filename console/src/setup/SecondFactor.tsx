import { Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import { keepSession, useSession } from '@/session/session';
import { TOTPForm } from '@/session/TOTPForm';
import type { Progress } from './progress';

export function SecondFactor({ progress }: { progress: Progress }) {
  const { t } = useTranslation('setup');
  const required = useSession().must.includes('totp');
  return (
    <>
      <p>{t(required ? 'totp.required' : 'totp.optional')}</p>
      <TOTPForm
        onDone={(session) => {
          progress.go('component');
          keepSession(session);
        }}
      />
      {!required && (
        <Button variant="text" onClick={() => progress.go('component')}>
          {t('totp.skip')}
        </Button>
      )}
    </>
  );
}
