import { useTranslation } from 'react-i18next';
import { StateTag } from '@/shared';
import type { Authorizer } from './authorizer';

/** The state of an authorization, and that refreshing it fails where it does. */
export function Health({ of }: { of: Authorizer }) {
  const { t } = useTranslation('authorizers');
  return (
    <span className="row">
      <StateTag state={of.state} />
      {of.trouble && (
        <span className="mistake">
          {t('trouble.short', { count: of.trouble.failures })}
          {of.trouble.errcode !== 0 && ` · ${t('errcode.code', { code: of.trouble.errcode })}`}
        </span>
      )}
    </span>
  );
}
