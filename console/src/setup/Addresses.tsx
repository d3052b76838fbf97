import { Alert, Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import { useApiQuery } from '@/api/client';
import { Copy } from '@/shared/Copy';
import { Loading, ProblemNote } from '@/shared/feedback';
import { Secret } from '@/shared/Secret';
import type { Progress } from './progress';

/** What to paste where in WeChat's console. */
export function Addresses({ progress }: { progress: Progress }) {
  const { t } = useTranslation('setup');
  const component = useApiQuery('/v1/components/{appid}', { path: { appid: progress.appid } });
  if (!component.data) {
    return component.error ? (
      <>
        <ProblemNote error={component.error} retry={() => void component.refetch()} />
        <Button variant="outline" onClick={() => progress.go('component')}>
          {t('back')}
        </Button>
      </>
    ) : (
      <Loading />
    );
  }
  const { event_url, message_url } = component.data;
  const domain = URL.canParse(event_url) ? new URL(event_url).host : '';
  const { secrets } = progress;
  const rows = [
    ...(domain ? [{ name: t('addresses.domain'), value: domain }] : []),
    { name: t('addresses.eventURL'), value: event_url },
    { name: t('addresses.messageURL'), value: message_url },
  ];
  return (
    <div className="stack">
      <p>{t('addresses.intro')}</p>
      <ol className="setup-paste">
        {rows.map(({ name, value }) => (
          <li key={name}>
            <strong>{name}</strong>
            <span className="row">
              <code>{value}</code>
              <Copy text={value} what={name} label />
            </span>
          </li>
        ))}
        {secrets ? (
          <>
            <li>
              <strong>{t('component.token')}</strong>
              <Secret what={t('component.token')} hint={t('addresses.secretHint')} reveal={() => Promise.resolve(secrets.token)} />
            </li>
            <li>
              <strong>{t('component.key')}</strong>
              <Secret what={t('component.key')} hint={t('addresses.secretHint')} reveal={() => Promise.resolve(secrets.encodingAESKey)} />
            </li>
          </>
        ) : (
          <li>
            <strong>{t('addresses.secrets')}</strong>
            <p>{t('addresses.secretsGone')}</p>
          </li>
        )}
        <li>
          <strong>{t('addresses.whitelist')}</strong>
          <p>{t('addresses.whitelistHint')}</p>
        </li>
      </ol>
      <Alert theme="info" message={t('addresses.appidHint')} />
      <div className="row">
        <Button variant="outline" onClick={() => progress.go('component')}>
          {t('back')}
        </Button>
        <Button onClick={() => progress.go('ticket')}>{t('addresses.next')}</Button>
      </div>
    </div>
  );
}
