import { Tag } from 'tdesign-react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { call } from '@/api/client';
import { AppID, Secret, Time, useOperations } from '@/shared';
import { paramsOf, type AuthorizerDetail } from './authorizer';

/** Who the account is, and how its token stands. */
export function Profile({ of }: { of: AuthorizerDetail }) {
  return (
    <div className="halves">
      <Account of={of} />
      <Token of={of} />
    </div>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children || '—'}</dd>
    </div>
  );
}

function Account({ of }: { of: AuthorizerDetail }) {
  const { t } = useTranslation('authorizers');
  const kind = of.kind || 'unknown';
  return (
    <section className="panel" aria-labelledby="account">
      <h2 id="account">{t('section.profile')}</h2>
      <dl>
        <Fact name={t('field.nick_name')}>{of.nick_name}</Fact>
        <Fact name={t('kind.kind')}>
          {t(`kind.${kind}`)}
          {kind !== 'unknown' && ` · ${t(`service.${kind}.${of.service_type}`, { defaultValue: t('service.other', { type: of.service_type }) })}`}
        </Fact>
        <Fact name={t('field.verify_type')}>{t(of.verify_type < 0 ? 'verify.none' : `verify.${of.verify_type}`, { defaultValue: t('verify.other', { type: of.verify_type }) })}</Fact>
        <Fact name={t('field.account_status')}>{of.account_status === 0 ? '' : t(`status.${of.account_status}`, { defaultValue: String(of.account_status) })}</Fact>
        <Fact name={t('field.principal_name')}>{of.principal_name}</Fact>
        <Fact name={t('field.user_name')}>{of.user_name && <AppID id={of.user_name} />}</Fact>
        <Fact name={t('field.alias')}>{of.alias}</Fact>
        <Fact name={t('component')}>
          <AppID id={of.component_appid} />
        </Fact>
        <Fact name={t('field.reference')}>{of.reference}</Fact>
        <Fact name={t('tags.tags')}>
          {of.tags.length > 0 && (
            <span className="row">
              {of.tags.map((tag) => (
                <Link key={tag} to={`/authorizers?${new URLSearchParams({ tag })}`}>
                  <Tag variant="outline">{tag}</Tag>
                </Link>
              ))}
            </span>
          )}
        </Fact>
      </dl>
    </section>
  );
}

function Token({ of }: { of: AuthorizerDetail }) {
  const { t } = useTranslation('authorizers');
  const { reason } = useOperations();
  const why = reason('tokens:read');
  const reveal = async () => {
    const { access_token } = await call('get', '/v1/authorizers/{appid}/access-token', {
      params: paramsOf({ appid: of.appid, component: of.component_appid }),
    });
    return access_token;
  };
  return (
    <section className="panel" aria-labelledby="token">
      <h2 id="token">{t('token.title')}</h2>
      <p className="hint">{t('token.hint')}</p>
      <dl>
        <Fact name={t('authorizedAt')}>
          <Time at={of.authorized_at} exact />
        </Fact>
        <Fact name={t('token.grant')}>{t('token.grants', { count: of.grant })}</Fact>
        {of.revoked_at && (
          <Fact name={t('token.revoked')}>
            <Time at={of.revoked_at} exact />
          </Fact>
        )}
        <Fact name={t('token.refreshed')}>
          <Time at={of.refreshed_at} />
        </Fact>
        <Fact name={t('tokenExpires')}>
          <Time at={of.token_expires_at} />
        </Fact>
        <Fact name={t('token.next')}>{of.state === 'active' && <Time at={of.refresh_at} />}</Fact>
        {of.state === 'active' && (
          <Fact name={t('token.access')}>
            {why ? <span className="hint">{why}</span> : <Secret what="access_token" reveal={reveal} />}
          </Fact>
        )}
      </dl>
      {of.state === 'active' && !why && <p className="warn">{t('token.warning')}</p>}
    </section>
  );
}
