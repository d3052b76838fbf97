import { useTranslation } from 'react-i18next';
import { StateTag, useNow } from '@/shared';
import { stateOf, type APIKey } from './keyForm';

export function KeyState({ of }: { of: APIKey }) {
  const { t } = useTranslation('access');
  const state = stateOf(of, useNow());
  return <StateTag state={state} label={t(`key.state.${state}`)} />;
}
