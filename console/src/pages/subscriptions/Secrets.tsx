import { useTranslation } from 'react-i18next';
import { Time } from '@/shared';
import type { Subscription } from './subscription';

/** Which secrets a subscription has; none of them can be seen again. */
export function Secrets({ subscription }: { subscription: Subscription }) {
  const { t } = useTranslation('subscriptions');
  const { signing, token, encoding_aes_key, headers, user, password } = subscription.secrets;
  const others = [
    ...(token ? [t('secret.token')] : []),
    ...(encoding_aes_key ? [t('secret.aesKey')] : []),
    ...headers.map((name) => t('secret.header', { name })),
    ...(user ? [t('secret.user')] : []),
    ...(password ? [t('secret.password')] : []),
  ];
  if (signing.length + others.length === 0) return null;
  return (
    <section className="panel">
      <h2>{t('secret.title')}</h2>
      <p className="hint">{t('secret.hint')}</p>
      <dl>
        {signing.map((key) => (
          <div key={key.fingerprint}>
            <dt>{t(key.until ? 'signing.old' : 'signing.inForce')}</dt>
            <dd>
              {t('signing.fingerprint')} <code>{key.fingerprint}</code>
              {key.until && (
                <>
                  {' '}
                  {t('signing.until')} <Time at={key.until} exact />
                </>
              )}
            </dd>
          </div>
        ))}
        {others.map((name) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{t('secret.set')}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
