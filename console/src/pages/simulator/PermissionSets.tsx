import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useApiQuery } from '@/api/client';
import { Loading, ProblemNote, useLanguage, useOperations } from '@/shared';
import type { Screen } from './Phone';
import { standing, useControl, useSimulatedComponents, type Account, type Push } from './platform';

/** What the administrator grants; confirming is what makes the authorization. */
export function PermissionSets({ account, go }: { account: Account; go: (screen: Screen) => void }) {
  const { t } = useTranslation('simulator');
  const { language } = useLanguage();
  const { reason } = useOperations();
  const components = useSimulatedComponents();
  const named = useApiQuery('/v1/permission-sets');
  const [chosenComponent, setComponent] = useState('');
  const [refused, setRefused] = useState<number[]>([]);
  const confirm = useControl<Push>();
  const why = reason('authorizers:write');
  if (!components.data || !named.data) {
    return components.error || named.error ? <ProblemNote error={components.error ?? named.error} /> : <Loading />;
  }
  const component = components.data.find(({ appid }) => appid === chosenComponent) ?? components.data[0];
  if (!component) return <p>{t('sets.noComponent')}</p>;
  const offered = named.data.items.filter(({ id, kind }) => kind === account.kind && component.permission_sets.includes(id));
  const granted = offered.filter(({ id }) => !refused.includes(id)).map(({ id }) => id);
  const already = standing(account).some(({ component_appid: appid }) => appid === component.appid);
  return (
    <>
      <p>{t('sets.explain', { account: account.nick_name, component: component.name })}</p>
      {components.data.length > 1 && (
        <label className="simulator-form">
          {t('component')}
          <select value={component.appid} onChange={(event) => setComponent(event.target.value)}>
            {components.data.map(({ appid, name }) => (
              <option key={appid} value={appid}>
                {name}
              </option>
            ))}
          </select>
        </label>
      )}
      {already && <p className="simulator-note">{t('sets.already')}</p>}
      <ul className="simulator-sets">
        {offered.map((set) => (
          <li key={set.id}>
            <label>
              <input
                type="checkbox"
                checked={!refused.includes(set.id)}
                onChange={() => setRefused(refused.includes(set.id) ? refused.filter((id) => id !== set.id) : [...refused, set.id])}
              />
              <span>
                {language === 'zh' ? set.name_zh : set.name} <small>{set.id}</small>
              </span>
            </label>
          </li>
        ))}
      </ul>
      <ProblemNote error={confirm.error} />
      <button
        type="button"
        className="simulator-main"
        disabled={why !== undefined || granted.length === 0 || confirm.isPending}
        {...(why ? { title: why } : {})}
        onClick={() =>
          confirm.mutate(
            { path: `/accounts/${account.appid}/authorize`, body: { component_appid: component.appid, permission_sets: granted } },
            { onSuccess: () => go({ name: 'done', appid: account.appid, component: component.appid }) },
          )
        }
      >
        {t('sets.confirm')}
      </button>
      <button type="button" className="simulator-plain" onClick={() => go({ name: 'home' })}>
        {t('sets.cancel')}
      </button>
    </>
  );
}
