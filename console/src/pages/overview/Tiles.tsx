import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { Duration } from '@/shared';
import { ticketOf, tokenOf, worst } from './freshness';
import type { OverviewData } from './Overview';
import { Tile } from './Tile';
import { useNumbers } from './numbers';

/** The figures of now and of the last five minutes. */
export function Tiles({ overview }: { overview: OverviewData }) {
  const { t } = useTranslation('overview');
  return (
    <section aria-labelledby="figures" className="stack">
      <h2 id="figures">{t('figures')}</h2>
      <div className="grid tiles">
        <Custody overview={overview} />
        <Traffic overview={overview} />
      </div>
    </section>
  );
}

function Custody({ overview: { components, authorizers, now, last_five_minutes: last } }: { overview: OverviewData }) {
  const { t } = useTranslation('overview');
  const { share, number } = useNumbers();
  const ticket = worst(components.map((c) => ticketOf(c, now)), true);
  const token = worst(components.map((c) => tokenOf(c, now)), false);
  const failed = last.refresh_failures > 0;
  return (
    <>
      <Tile
        title={t('ticket.title')}
        value={ticket?.seconds === undefined ? t('ticket.none') : <Duration seconds={ticket.seconds} />}
        {...(ticket ? { state: ticket.level } : {})}
        hint={t('ticket.hint')}
      />
      <Tile
        title={t('token.title')}
        value={
          token?.seconds === undefined ? t('token.none') : token.seconds > 0 ? <Duration seconds={token.seconds} /> : t('token.expired')
        }
        {...(token ? { state: token.level } : {})}
        hint={t('token.hint')}
      />
      <Tile
        title={t('authorizers.title')}
        value={<Link to="/authorizers?state=active">{t('authorizers.active', { count: authorizers.active, text: number(authorizers.active) })}</Link>}
        {...(authorizers.needs_reauthorization > 0 ? { state: 'warning' } : {})}
        hint={t('authorizers.hint')}
      >
        <Link to="/authorizers?state=needs_reauthorization">
          {t('authorizers.waiting', { text: number(authorizers.needs_reauthorization) })}
        </Link>
        <Link to="/authorizers?state=revoked">{t('authorizers.revoked', { text: number(authorizers.revoked) })}</Link>
      </Tile>
      <Tile
        title={t('refresh.title')}
        value={last.refreshes === 0 ? t('refresh.none') : share(last.refreshes - last.refresh_failures, last.refreshes)}
        {...(failed ? { state: 'warning' } : {})}
        hint={t('refresh.hint')}
      >
        {last.refreshes > 0 && (
          <>
            <span>{t('refresh.count', { count: last.refreshes, failed: last.refresh_failures })}</span>
            <span>{t('percentiles', { p50: Math.round(last.refresh_ms_p50), p95: Math.round(last.refresh_ms_p95) })}</span>
          </>
        )}
      </Tile>
    </>
  );
}

function Traffic({ overview: { deliveries, quota, last_five_minutes: last } }: { overview: OverviewData }) {
  const { t } = useTranslation('overview');
  const { perMinute, number } = useNumbers();
  const shortest = [...quota].sort((a, b) => a.remaining - b.remaining)[0];
  return (
    <>
      <Tile title={t('pushes.title')} value={t('perMinute', { rate: perMinute(last.pushes, 300) })} hint={t('pushes.hint')}>
        <span>{t('pushes.refused', { text: number(last.pushes_refused) })}</span>
        {last.pushes > 0 && <span>{t('p95', { p95: Math.round(last.push_ms_p95) })}</span>}
      </Tile>
      <Tile
        title={t('deliveries.title')}
        value={t('perMinute', { rate: perMinute(last.deliveries, 300) })}
        {...(last.delivery_failures > 0 ? { state: 'warning' } : {})}
        hint={t('deliveries.hint')}
      >
        <span>{t('deliveries.failed', { text: number(last.delivery_failures) })}</span>
        <span>{t('deliveries.pending', { text: number(deliveries.pending) })}</span>
        {deliveries.oldest_pending_seconds > 0 && (
          <span>
            {t('deliveries.oldest')} <Duration seconds={deliveries.oldest_pending_seconds} />
          </span>
        )}
      </Tile>
      <Tile
        title={t('dead.title')}
        value={number(deliveries.dead)}
        state={deliveries.dead > 0 ? 'warning' : 'ok'}
        hint={t('dead.hint')}
      >
        <Link to="/events/dead-letters">{t('dead.go')}</Link>
      </Tile>
      <Tile
        title={t('gateway.title')}
        value={t('perMinute', { rate: perMinute(last.gateway, 300) })}
        hint={t('gateway.hint')}
      >
        <span>{t('gateway.failed', { text: number(last.gateway_failures) })}</span>
      </Tile>
      <Tile
        title={t('quota.title')}
        value={shortest ? t('quota.left', { text: number(shortest.remaining) }) : t('quota.enough')}
        state={shortest ? 'warning' : 'ok'}
        hint={t('quota.hint')}
      >
        {shortest && (
          <>
            <code>{shortest.endpoint}</code>
            {shortest.appid && (
              <Link to={`/authorizers/${shortest.appid}?${new URLSearchParams({ component: shortest.component_appid, section: 'calls' })}`}>
                {shortest.appid}
              </Link>
            )}
          </>
        )}
      </Tile>
    </>
  );
}
