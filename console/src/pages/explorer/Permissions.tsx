import { Alert } from 'tdesign-react';
import { CheckIcon, CloseIcon } from 'tdesign-icons-react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { useApiQuery } from '@/api/client';
import { useLanguage } from '@/shared';
import type { Endpoint } from './endpoint';
import type { Account } from './TargetPicker';

/** Which permission sets allow a call, and which of them the account has granted. */
export function Permissions({ endpoint, account }: { endpoint: Endpoint; account: Account | undefined }) {
  const { t } = useTranslation('explorer');
  const { language } = useLanguage();
  const sets = useApiQuery('/v1/permission-sets');
  if (endpoint.token === 'component' || endpoint.token === 'none') return null;
  if (endpoint.permission_sets.length === 0) return <p className="hint">{t('permissions.any')}</p>;
  // Those of the other kind of account do not concern this one.
  const kindOf = (id: number) => sets.data?.items.find((set) => set.id === id)?.kind;
  const concerning = endpoint.permission_sets.filter((id) => !account?.kind || !kindOf(id) || kindOf(id) === account.kind);
  const listed = concerning.length > 0 ? concerning : endpoint.permission_sets;
  const granted = listed.some((id) => account?.permission_sets.includes(id));
  const name = (id: number) => {
    const set = sets.data?.items.find((other) => other.id === id);
    return set ? (language === 'zh' ? set.name_zh : set.name) : t('permissions.unnamed');
  };
  return (
    <>
      <p className="explorer-sets-title">{t('permissions.title')}</p>
      <ul className="explorer-sets">
        {listed.map((id) => {
          const has = account?.permission_sets.includes(id);
          return (
            <li key={id}>
              {account && (has ? <CheckIcon aria-hidden="true" /> : <CloseIcon aria-hidden="true" />)} {name(id)} ({id})
              {account && <span className="hint"> {t(has ? 'permissions.granted' : 'permissions.missing')}</span>}
            </li>
          );
        })}
      </ul>
      {account && !granted && (
        <Alert
          theme="warning"
          message={
            <>
              {t('permissions.none')} <Link to={`/authorizers/${account.appid}`}>{t('permissions.ask')}</Link>
            </>
          }
        />
      )}
    </>
  );
}
