import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { Preferences } from '@/layout/Preferences';
import { SignIn } from './SignIn';
import { useSetup } from './session';

/** The page that asks who is there. */
export function Login() {
  const { t } = useTranslation('session');
  const setup = useSetup();
  useEffect(() => {
    document.title = `${t('signIn')} · ${t('app')}`;
  }, [t]);
  return (
    <div className="login">
      <header className="top">
        <span className="brand">
          <img src="/console/icon.svg" alt="" width="24" height="24" />
          {t('app')}
        </span>
        <div className="top-end">
          <Preferences />
        </div>
      </header>
      <main>
        <h1>{t('signIn')}</h1>
        <SignIn />
        {setup.data && <p className="version">{setup.data.version}</p>}
      </main>
    </div>
  );
}
