import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { AppID, StateTag, Time, useLanguage } from '@/shared';
import type { OverviewData } from './Overview';

type Alert = OverviewData['alerts'][number];

/** Where in the console an alert is seen to, with the key of what the link says. */
function remedy(alert: Alert): { to: string; key: string } | undefined {
  const account = new URLSearchParams({ component: alert.component_appid });
  switch (alert.code) {
    case 'needs_reauthorization':
      return alert.authorizer_appid
        ? { to: `/authorizers/${alert.authorizer_appid}?${account}`, key: 'account' }
        : { to: '/authorizers?state=needs_reauthorization', key: 'accounts' };
    case 'quota_low':
      return alert.authorizer_appid
        ? { to: `/authorizers/${alert.authorizer_appid}?${account}&section=calls`, key: 'calls' }
        : { to: `/components/${alert.component_appid}`, key: 'component' };
    case 'dead_letters':
    case 'dead_letters':
      return { to: `/events/dead-letters?${new URLSearchParams({ subscription: alert.subscription })}`, key: 'dead' };
    case 'subscription_disabled':
      return { to: `/subscriptions/${alert.subscription}`, key: 'subscription' };
    case 'key_expiring':
      return { to: '/access/keys', key: 'keys' };
    case 'component_missing':
      return { to: '/components', key: 'components' };
    case 'ticket_missing':
    case 'ticket_overdue':
    case 'component_token_failing':
    case 'gate_closed':
      return alert.component_appid ? { to: `/components/${alert.component_appid}`, key: 'component' } : { to: '/components', key: 'components' };
    default:
      return undefined;
  }
}

/** What needs somebody, the most urgent first, with what to do and where. */
export function Alerts({ alerts }: { alerts: Alert[] }) {
  const { t } = useTranslation('overview');
  const { language } = useLanguage();
  if (alerts.length === 0) return null;
  return (
    <section className="panel" aria-labelledby="alerts">
      <h2 id="alerts">{t('alerts.title', { count: alerts.length })}</h2>
      <ul className="alerts">
        {alerts.map((alert) => {
          const found = remedy(alert);
          return (
            <li key={[alert.code, alert.component_appid, alert.authorizer_appid, alert.subscription, alert.message].join(' ')} className={alert.severity}>
              <div className="row">
                <StateTag state={alert.severity} />
                <strong>{language === 'zh' ? alert.message_zh : alert.message}</strong>
                <span className="hint">
                  {t('alerts.since')} <Time at={alert.since} />
                </span>
              </div>
              <p>
                <span className="hint">{t('alerts.todo')}</span> {language === 'zh' ? alert.action_zh : alert.action}
              </p>
              <div className="row">
                {found && <Link to={found.to}>{t(`alerts.go.${found.key}`)}</Link>}
                {alert.code === 'needs_reauthorization' && alert.authorizer_appid && (
                  <Link to={`/links/new?${new URLSearchParams({ component_appid: alert.component_appid, biz_appid: alert.authorizer_appid })}`}>
                    {t('alerts.go.link')}
                  </Link>
                )}
                {(alert.authorizer_appid || alert.component_appid) && <AppID id={alert.authorizer_appid || alert.component_appid} />}
              </div>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
