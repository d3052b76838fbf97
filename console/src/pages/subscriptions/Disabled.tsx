import { Alert } from 'tdesign-react';
import { useTranslation } from 'react-i18next';

/** Why nothing is delivered any more, and what to do. */
export function Disabled({ problem }: { problem: string }) {
  const { t } = useTranslation('subscriptions');
  return (
    <Alert
      theme="error"
      title={t('disabled.title')}
      message={
        <>
          <p>{problem}</p>
          <ol className="subscriptions-steps">
            <li>{t('disabled.repair')}</li>
            <li>{t('disabled.test')}</li>
            <li>{t('disabled.resume')}</li>
            <li>{t('disabled.replay')}</li>
          </ol>
        </>
      }
    />
  );
}
