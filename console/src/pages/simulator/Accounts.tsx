import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Loading, ProblemNote, useOperations } from '@/shared';
import { AccountRow } from './AccountRow';
import type { Screen } from './Phone';
import { standing, useAccounts, useControl, type Account } from './platform';

/** The accounts whose administrator holds the phone, and a way to get another one. */
export function Accounts({ go }: { go: (screen: Screen) => void }) {
  const { t } = useTranslation('simulator');
  const { reason } = useOperations();
  const [kind, setKind] = useState<Account['kind']>('official_account');
  const [name, setName] = useState('');
  const accounts = useAccounts();
  const add = useControl<Account>();
  const why = reason('authorizers:write');
  return (
    <>
      <p>{t('accounts.explain')}</p>
      <form
        className="simulator-form"
        onSubmit={(event) => {
          event.preventDefault();
          add.mutate(
            { path: '/accounts', body: { kind, ...(name.trim() ? { nick_name: name.trim() } : {}) } },
            { onSuccess: (account) => go({ name: 'sets', account: { ...account, authorizations: [] } }) },
          );
        }}
      >
        <label>
          {t('accounts.kind')}
          <select value={kind} onChange={(event) => setKind(event.target.value as Account['kind'])}>
            <option value="official_account">{t('kind.official_account')}</option>
            <option value="mini_program">{t('kind.mini_program')}</option>
          </select>
        </label>
        <label>
          {t('accounts.nickName')}
          <input type="text" value={name} onChange={(event) => setName(event.target.value)} />
        </label>
        <button type="submit" className="simulator-plain" disabled={why !== undefined || add.isPending} {...(why ? { title: why } : {})}>
          {t('accounts.add')}
        </button>
      </form>
      <ProblemNote error={add.error ?? accounts.error} />
      {!accounts.data && !accounts.error && <Loading />}
      <ul className="simulator-rows">
        {accounts.data?.map((account) => (
          <li key={account.appid}>
            <AccountRow
              account={account}
              {...(standing(account).length > 0 ? { note: t('accounts.authorized') } : {})}
              onChoose={() => go({ name: 'sets', account })}
            />
          </li>
        ))}
      </ul>
    </>
  );
}
