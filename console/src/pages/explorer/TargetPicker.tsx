import { useId } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { useApiQuery, type Schema } from '@/api/client';
import { AccountPicker } from '@/pages/events/AccountPicker';
import { ProblemNote, StateTag, useOperations } from '@/shared';
import type { Target } from './endpoint';

export type Account = Schema<'Authorizer'>;

/** The account chosen, as it is now. */
export function useAccount({ authorizer, component }: Target) {
  const read = useApiQuery(
    '/v1/authorizers/{appid}',
    { path: { appid: authorizer }, query: component ? { component } : {} },
    { enabled: authorizer !== '', refetchInterval: 10_000 },
  );
  return { ...read, account: authorizer ? (read.data as Account | undefined) : undefined };
}

/** For which account, or as which component, is called. */
export function TargetPicker({
  allowed,
  target,
  wrong,
  onChange,
}: {
  allowed: Array<'account' | 'component'>;
  target: Target;
  wrong: string | undefined;
  onChange: (target: Target) => void;
}) {
  const { t } = useTranslation('explorer');
  const id = useId();
  const asAccount = allowed.includes('account');
  const asComponent = allowed.includes('component');
  return (
    <fieldset className="explorer-part">
      <legend>{t('target.title')}</legend>
      {asAccount && (
        <div className={`field${wrong ? ' wrong' : ''}`}>
          <label htmlFor={`${id}-account`}>{t(asComponent ? 'target.accountOr' : 'target.account')}</label>
          <AccountPicker
            id={`${id}-account`}
            aria-invalid={wrong !== undefined}
            aria-describedby={wrong ? `${id}-wrong` : undefined}
            value={target.authorizer}
            onChoose={(authorizer, component) => onChange({ authorizer, component })}
          />
          <Chosen target={target} onChange={onChange} />
        </div>
      )}
      {asComponent && (!asAccount || !target.authorizer) && <ComponentField target={target} onChange={onChange} />}
      {wrong && (
        <p id={`${id}-wrong`} className="mistake">
          {wrong}
        </p>
      )}
    </fieldset>
  );
}

function Chosen({ target, onChange }: { target: Target; onChange: (target: Target) => void }) {
  const { t } = useTranslation('explorer');
  const { account, error } = useAccount(target);
  if (error) {
    return (
      <>
        <ProblemNote error={error} />
        {error.components.length > 0 && (
          <label className="field">
            <span>{t('target.which')}</span>
            <select value="" onChange={(event) => onChange({ ...target, component: event.target.value })}>
              <option value="">{t('unset')}</option>
              {error.components.map((component) => (
                <option key={component} value={component}>
                  {component}
                </option>
              ))}
            </select>
          </label>
        )}
      </>
    );
  }
  if (!account) return null;
  return (
    <p className="row explorer-chosen">
      <Link to={`/authorizers/${account.appid}`}>{account.nick_name || account.appid}</Link>
      <StateTag state={account.state} />
      <span className="hint">{t('target.of', { component: account.component_appid })}</span>
    </p>
  );
}

function ComponentField({ target, onChange }: { target: Target; onChange: (target: Target) => void }) {
  const { t } = useTranslation('explorer');
  const { may } = useOperations();
  const components = useApiQuery('/v1/components', {}, { enabled: may('components:read') });
  return (
    <label className="field">
      <span>{t('target.component')}</span>
      <select value={target.component} onChange={(event) => onChange({ authorizer: '', component: event.target.value })}>
        <option value="">{t('unset')}</option>
        {components.data?.items.map(({ appid }) => (
          <option key={appid} value={appid}>
            {appid}
          </option>
        ))}
      </select>
    </label>
  );
}
