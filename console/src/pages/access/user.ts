import type { Schema } from '@/api/client';
import { useSession } from '@/session/session';
import { useOperations } from '@/shared';
import { useTranslation } from 'react-i18next';

export type User = Schema<'User'>;
export type Role = User['role'];

/** The mightiest first. */
export const roles: Role[] = ['owner', 'admin', 'operator', 'auditor', 'viewer'];

/** Whether the session may change users of a role: undefined, or why not. */
export function useRefusal() {
  const { t } = useTranslation('access');
  const { user } = useSession();
  const { reason } = useOperations();
  return (of: Role): string | undefined =>
    reason('users:write') ?? (of === 'owner' && user.role !== 'owner' ? t('user.ownersOnly') : undefined);
}
