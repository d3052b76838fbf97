import { useTranslation } from 'react-i18next';
import { Loading, ProblemNote } from '@/shared';
import { AccountRow } from './AccountRow';
import type { Screen } from './Phone';
import { standing, useAccounts } from './platform';

export function Home({ go }: { go: (screen: Screen) => void }) {
  const { t } = useTranslation('simulator');
  const accounts = useAccounts();
  const followed = accounts.data?.filter((account) => standing(account).length > 0);
  return (
    <>
      <button type="button" className="simulator-main" onClick={() => go({ name: 'scan' })}>
        {t('home.scan')}
      </button>
      <button type="button" className="simulator-plain" onClick={() => go({ name: 'accounts' })}>
        {t('home.direct')}
      </button>
      <h3>{t('home.chats')}</h3>
      <ProblemNote error={accounts.error} retry={() => void accounts.refetch()} />
      {!accounts.data && !accounts.error && <Loading />}
      {followed?.length === 0 && <p className="hint">{t('home.none')}</p>}
      <ul className="simulator-rows">
        {followed?.map((account) => (
          <li key={account.appid}>
            <AccountRow account={account} onChoose={() => go({ name: 'chat', appid: account.appid })} />
          </li>
        ))}
      </ul>
    </>
  );
}
