import { Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate } from 'react-router';
import { useApiQuery } from '@/api/client';
import { Time, useOperations } from '@/shared';
import { useRefresh } from './Actions';
import { paramsOf, pathOf, reauthorizationPath, type AuthorizerDetail } from './authorizer';
import { Explanation, useErrcode, type Errcode } from './Explanation';

/** What an operator does about an authorization in trouble. */
type Remedy = 'reauthorize' | 'retry' | 'quota' | 'component';

function remedyFor({ state }: AuthorizerDetail, found: Errcode['class'] | undefined): Remedy {
  if (state !== 'active') return 'reauthorize';
  switch (found) {
    case 'quota':
      return 'quota';
    case 'ticket_invalid':
    case 'config':
      return 'component';
    case 'refresh_token_invalid':
    case 'not_authorized':
    case 'permission':
      return 'reauthorize';
    default:
      return 'retry';
  }
}

/** The errcode behind the trouble; what failed last may not have had one, then it is the last on record. */
function useCode(of: AuthorizerDetail): number {
  const own = of.trouble?.errcode ?? 0;
  const { path, query } = paramsOf({ appid: of.appid, component: of.component_appid });
  const history = useApiQuery(
    '/v1/authorizers/{appid}/history',
    { path, query: { ...query, limit: 50 } },
    { enabled: own === 0 && of.state === 'needs_reauthorization' },
  );
  return own || (history.data?.items.find(({ errcode }) => errcode !== 0)?.errcode ?? 0);
}

/** Why an authorizer has no good token, in words, and the button for it. Nothing while all is well. */
export function TroubleNote({ of }: { of: AuthorizerDetail }) {
  const { t } = useTranslation('authorizers');
  const code = useCode(of);
  const errcode = useErrcode(code);
  if (of.state === 'active' && !of.trouble) return null;
  const remedy = remedyFor(of, errcode.data?.class);
  return (
    <section className={`panel trouble ${of.state}`} aria-labelledby="trouble">
      <h2 id="trouble">{t(`trouble.${of.state}.title`)}</h2>
      <p>
        {t(`trouble.${of.state}.detail`)}{' '}
        {of.state === 'revoked' && of.revoked_at && <Time at={of.revoked_at} />}
      </p>
      {of.trouble && (
        <dl>
          <div>
            <dt>{t('trouble.failures')}</dt>
            <dd>
              {t('trouble.times', { count: of.trouble.failures })}
              {of.trouble.suspect_since && (
                <>
                  {' · '}
                  {t('trouble.since')} <Time at={of.trouble.suspect_since} />
                </>
              )}
            </dd>
          </div>
          {of.trouble.message && (
            <div>
              <dt>{t('trouble.said')}</dt>
              <dd>
                <code>{of.trouble.message}</code>
              </dd>
            </div>
          )}
        </dl>
      )}
      {code !== 0 && (
        <>
          <h3>{t('errcode.code', { code })}</h3>
          <Explanation code={code} />
        </>
      )}
      <div className="row">
        <RemedyButton of={of} remedy={remedy} />
        <Link to={pathOf({ appid: of.appid, component: of.component_appid }, 'history')} replace>
          {t('trouble.history')}
        </Link>
      </div>
    </section>
  );
}

function RemedyButton({ of, remedy }: { of: AuthorizerDetail; remedy: Remedy }) {
  const { t } = useTranslation('authorizers');
  const { reason } = useOperations();
  const refresh = useRefresh(of);
  const navigate = useNavigate();
  const { needs, act } = {
    reauthorize: { needs: 'links:write', act: () => void navigate(reauthorizationPath(of, of.wanted_permission_sets ?? [])) },
    quota: { needs: 'authorizers:read', act: () => void navigate(pathOf({ appid: of.appid, component: of.component_appid }, 'calls'), { replace: true }) },
    component: { needs: 'components:read', act: () => void navigate(`/components/${of.component_appid}`) },
    retry: { needs: 'tokens:refresh', act: () => refresh.mutate() },
  }[remedy];
  const why = reason(needs);
  return (
    <Button tag="button" loading={refresh.isPending} disabled={why !== undefined} {...(why ? { title: why } : {})} onClick={act}>
      {t(`remedy.${remedy}`)}
    </Button>
  );
}
