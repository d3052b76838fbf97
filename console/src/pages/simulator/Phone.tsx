import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { Accounts } from './Accounts';
import { Chat } from './Chat';
import { Home } from './Home';
import { PermissionSets } from './PermissionSets';
import type { Account } from './platform';
import { Scan } from './Scan';

/** Where somebody is on the phone. */
export type Screen =
  | { name: 'home' }
  | { name: 'scan' }
  | { name: 'accounts' }
  | { name: 'sets'; account: Account }
  | { name: 'done'; appid: string; component: string }
  | { name: 'chat'; appid: string };

/** A phone on which the administrator of an account authorizes, and a user chats with it. */
export function Phone() {
  const { t } = useTranslation('simulator');
  const [screen, go] = useState<Screen>({ name: 'home' });
  return (
    <div className="simulator-desk">
      <section className="simulator-phone" aria-label={t('phone.name')}>
        <div className="simulator-bar">
          <strong>{t(`phone.${screen.name}`)}</strong>
          {screen.name !== 'home' && (
            <button type="button" className="simulator-back" onClick={() => go({ name: 'home' })}>
              {t('phone.back')}
            </button>
          )}
        </div>
        <div className="simulator-screen" tabIndex={0} role="group" aria-label={t(`phone.${screen.name}`)}>
          <Shown screen={screen} go={go} />
        </div>
      </section>
      <section className="stack" aria-labelledby="how">
        <div className="panel">
          <h2 id="how">{t('how.title')}</h2>
          <ol>
            <li>{t('how.scan')}</li>
            <li>
              {t('how.see')} <Link to="/authorizers">{t('how.authorizers')}</Link>
            </li>
            <li>
              {t('how.chat')} <Link to="/events">{t('how.events')}</Link>
            </li>
            <li>{t('how.revoke')}</li>
          </ol>
          <p className="hint">{t('how.real')}</p>
        </div>
      </section>
    </div>
  );
}

function Shown({ screen, go }: { screen: Screen; go: (screen: Screen) => void }) {
  switch (screen.name) {
    case 'home':
      return <Home go={go} />;
    case 'scan':
      return <Scan go={go} />;
    case 'accounts':
      return <Accounts go={go} />;
    case 'sets':
      return <PermissionSets key={screen.account.appid} account={screen.account} go={go} />;
    case 'done':
      return <Done appid={screen.appid} component={screen.component} go={go} />;
    case 'chat':
      return <Chat key={screen.appid} appid={screen.appid} go={go} />;
  }
}

function Done({ appid, component, go }: { appid: string; component: string; go: (screen: Screen) => void }) {
  const { t } = useTranslation('simulator');
  return (
    <div className="simulator-done" role="status">
      <p className="simulator-tick" aria-hidden="true">
        ✓
      </p>
      <h3>{t('done.title')}</h3>
      <p>{t('done.explain', { appid })}</p>
      <p>
        <Link to={`/authorizers/${appid}?${new URLSearchParams({ component })}`}>{t('done.see')}</Link>
      </p>
      <button type="button" className="simulator-main" onClick={() => go({ name: 'chat', appid })}>
        {t('done.chat')}
      </button>
    </div>
  );
}
