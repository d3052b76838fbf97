import { Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import type { Schema } from '@/api/client';
import { Copy, Dialog, JsonView, Secret } from '@/shared';

/** The one time that a key can be seen, and how it is used. */
export function ShownKey({ made, onClose }: { made: Schema<'NewAPIKey'>; onClose: () => void }) {
  const { t } = useTranslation('access');
  return (
    <Dialog wide title={t('key.shownOf', { name: made.name })} footer={<Button onClick={onClose}>{t('kept')}</Button>}>
      <p>{t('key.once')}</p>
      <p className="row">
        <Secret what={t('key.key')} hint={t('hides')} reveal={() => Promise.resolve(made.key)} />
        <Copy text={made.key} what={t('key.key')} label />
      </p>
      <h3>{t('key.try')}</h3>
      <JsonView value={curlOf(made)} what={t('key.curl')} />
      <p className="hint">{t('key.tryHint')}</p>
    </Dialog>
  );
}

/** A call that the key may make; the key itself is asked for, so that no history keeps it. */
function curlOf({ scope }: Schema<'NewAPIKey'>): string {
  const may = (operation: string) => scope.operations.includes(operation) || scope.operations.includes('*');
  const account = scope.authorizers?.[0] ?? 'wx…';
  const reads: Array<[string, string]> = [
    ['tokens:read', `/v1/authorizers/${account}/access-token`],
    ['authorizers:read', '/v1/authorizers'],
    ['components:read', '/v1/components'],
    ['events:read', '/v1/events?order=desc'],
    ['subscriptions:read', '/v1/subscriptions'],
    ['links:read', '/v1/authorization-links'],
    ['jobs:read', '/v1/jobs'],
    ['audit:read', '/v1/audit'],
    ['keys:read', '/v1/api-keys'],
    ['users:read', '/v1/users'],
  ];
  const path = reads.find(([operation]) => may(operation))?.[1];
  // Of the gateway the console knows the usual port only.
  const url = path ? `${location.origin}${path}` : `http://127.0.0.1:8082/as/${account}/cgi-bin/get_api_domain_ip`;
  return `read -rs TUOGUAN_KEY\ncurl -H "Authorization: Bearer $TUOGUAN_KEY" "${url}"`;
}
