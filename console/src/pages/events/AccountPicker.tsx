import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useApiQuery } from '@/api/client';
import { useDebounced } from '@/shared';
import { Suggest, type ControlProps } from './Suggest';

const appid = /^wx[0-9A-Za-z]{16}$/;

/**
 * Chooses an authorized account by a part of its name, or by its AppID. An account may have
 * authorized several components, so the component comes along; it is empty where an AppID
 * was typed in full.
 */
export function AccountPicker({
  value,
  onChoose,
  ...control
}: ControlProps & { value: string; onChoose: (authorizer: string, component: string) => void }) {
  const { t } = useTranslation('events');
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  const q = useDebounced(typed.trim());
  const found = useApiQuery('/v1/authorizers', { query: { limit: 20, ...(q && q !== value ? { q } : {}) } }, { keepPrevious: true });
  const items = found.data?.items ?? [];
  const settle = () => {
    const text = typed.trim();
    if (text === value) return;
    setTyped(value);
    if (text === '' || appid.test(text)) onChoose(text, '');
  };
  return (
    <Suggest
      {...control}
      label={t('picker.found')}
      placeholder={t('picker.placeholder')}
      value={typed}
      options={items.map((account) => ({
        value: `${account.appid} ${account.component_appid}`,
        label: account.nick_name || account.appid,
      }))}
      onChange={setTyped}
      onChoose={(pair) => {
        const [authorizer = '', component = ''] = pair.split(' ');
        setTyped(value); // until the owner says otherwise
        onChoose(authorizer, component);
      }}
      onEnter={settle}
      onLeave={settle}
    />
  );
}
