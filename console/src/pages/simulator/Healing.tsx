import { Button } from 'tdesign-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useApiMutation, useApiQuery } from '@/api/client';
import type { AuthorizerDetail } from '@/pages/authorizers/authorizer';
import { History } from '@/pages/authorizers/History';
import '@/pages/authorizers/style.css';
import { Empty, Loading, ProblemNote, StateTag, useOperations } from '@/shared';
import { standing, useAccounts, useControl } from './platform';

/** Ends a token early and watches how it heals. */
export function Healing() {
  const { t } = useTranslation('simulator');
  const accounts = useAccounts();
  const [chosen, setChosen] = useState('');
  const all = accounts.data?.flatMap((account) =>
    standing(account).map(({ component_appid: component }) => ({ key: `${account.appid} ${component}`, appid: account.appid, component, name: account.nick_name })),
  );
  const authorization = all?.find(({ key }) => key === chosen) ?? all?.[0];
  if (!all) return accounts.error ? <ProblemNote error={accounts.error} retry={() => void accounts.refetch()} /> : <Loading />;
  if (!authorization) return <Empty>{t('healing.none')}</Empty>;
  return (
    <>
      <p>{t('healing.explain')}</p>
      <div className="panel stack">
        <label className="field">
          <span>{t('healing.account')}</span>
          <select value={authorization.key} onChange={(event) => setChosen(event.target.value)}>
            {all.map(({ key, name, appid }) => (
              <option key={key} value={key}>
                {name} · {appid}
              </option>
            ))}
          </select>
        </label>
        <Break key={authorization.key} appid={authorization.appid} component={authorization.component} />
      </div>
      <Watched appid={authorization.appid} component={authorization.component} />
    </>
  );
}

function Break({ appid, component }: { appid: string; component: string }) {
  const { t } = useTranslation('simulator');
  const { reason } = useOperations();
  const expire = useControl<{ expired: number }>();
  const expireComponent = useControl<{ expired: number }>();
  const call = useApiMutation('post', '/v1/calls', { invalidates: ['/v1/authorizers/{appid}/history', '/v1/authorizers/{appid}/calls'] });
  const why = reason('authorizers:write');
  const noCall = reason('gateway:call');
  return (
    <>
      <div className="row">
        <Button tag="button" theme="danger" variant="outline" loading={expire.isPending} disabled={!!why} {...(why ? { title: why } : {})} onClick={() => expire.mutate({ path: '/tokens/expire', body: { authorizer_appid: appid, component_appid: component } })}>
          {t('healing.break')}
        </Button>
        <Button tag="button" theme="danger" variant="outline" loading={expireComponent.isPending} disabled={!!why} {...(why ? { title: why } : {})} onClick={() => expireComponent.mutate({ path: '/tokens/expire', body: { component_appid: component } })}>
          {t('healing.breakComponent')}
        </Button>
        <Button tag="button"
          loading={call.isPending}
          disabled={!!noCall}
          {...(noCall ? { title: noCall } : {})}
          onClick={() => call.mutate({ body: { authorizer_appid: appid, component_appid: component, method: 'GET', path: '/cgi-bin/account/getaccountbasicinfo' } })}
        >
          {t('healing.call')}
        </Button>
      </div>
      <div aria-live="polite">
        <ProblemNote error={expire.error ?? expireComponent.error ?? call.error} />
        {(expire.data || expireComponent.data) && <p>{t('healing.broken')}</p>}
        {call.data && (
          <p className="row">
            <StateTag state={call.data.errcode ? 'failed' : 'ok'} />
            {call.data.errcode ? t('healing.failed', { code: call.data.errcode }) : t('healing.healed', { ms: call.data.duration_ms })}
          </p>
        )}
      </div>
    </>
  );
}

function Watched({ appid, component }: { appid: string; component: string }) {
  const read = useApiQuery('/v1/authorizers/{appid}', { path: { appid }, query: { component } }, { refetchInterval: 3_000 });
  if (!read.data) return read.error ? <ProblemNote error={read.error} retry={() => void read.refetch()} /> : <Loading />;
  return <History key={`${appid} ${component}`} of={read.data as AuthorizerDetail} />;
}
