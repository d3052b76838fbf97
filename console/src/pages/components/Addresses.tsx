import { useTranslation } from 'react-i18next';
import { Copy } from '@/shared';
import type { Component } from './component';

/** What goes where in WeChat's console. */
export function Addresses({ of }: { of: Component }) {
  const { t } = useTranslation('components');
  const domain = URL.canParse(of.event_url) ? new URL(of.event_url).host : '';
  const rows = [
    ...(domain ? [{ name: 'domain', value: domain }] : []),
    { name: 'event', value: of.event_url },
    { name: 'message', value: of.message_url },
  ];
  return (
    <section className="panel" aria-labelledby="addresses">
      <h2 id="addresses">{t('addresses.title')}</h2>
      <p className="hint">{t('addresses.explain')}</p>
      <dl className="components-addresses">
        {rows.map(({ name, value }) => (
          <div key={name}>
            <dt>{t(`addresses.${name}`)}</dt>
            <dd>
              <span className="row">
                <code>{value}</code>
                <Copy text={value} what={t(`addresses.${name}`)} label />
              </span>
              <p className="hint">{t(`addresses.${name}Hint`)}</p>
            </dd>
          </div>
        ))}
        <div>
          <dt>{t('whitelist.title')}</dt>
          <dd>
            {of.egress_ip ? (
              <span className="row">
                <code>{of.egress_ip}</code>
                <Copy text={of.egress_ip} what="IP" label />
              </span>
            ) : (
              t('whitelist.fine')
            )}
            <p className="hint">{t('whitelist.hint')}</p>
          </dd>
        </div>
      </dl>
    </section>
  );
}
