import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { FailureText } from '@/pages/events/FailureText';
import { Time } from '@/shared';
import type { Subscription } from './subscription';
import { SuccessRate } from './SuccessRate';

/** How delivering goes. */
export function Health({ subscription }: { subscription: Subscription }) {
  const { t } = useTranslation('subscriptions');
  const { pending, dead, since, last_error } = subscription.status;
  return (
    <section className="panel">
      <h2>{t('health')}</h2>
      <dl>
        <div>
          <dt>{t('rate.title')}</dt>
          <dd>
            <SuccessRate subscription={subscription} />
          </dd>
        </div>
        <div>
          <dt>{t('backlog')}</dt>
          <dd>
            {t('pending', { count: pending })}
            {since && (
              <span className="hint">
                {' '}
                {t('overdueSince')} <Time at={since} />
              </span>
            )}
          </dd>
        </div>
        <div>
          <dt>{t('dead')}</dt>
          <dd>{dead > 0 ? <Link to={`/events/dead-letters?subscription=${subscription.id}`}>{t('deadCount', { count: dead })}</Link> : t('deadNone')}</dd>
        </div>
        {last_error && (
          <div>
            <dt>{t('lastError')}</dt>
            <dd>
              <FailureText status={Number(/^refused with (\d{3})/.exec(last_error)?.[1] ?? 0)} error={last_error} />
            </dd>
          </div>
        )}
      </dl>
    </section>
  );
}
