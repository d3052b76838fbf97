import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { useSession } from '@/session/session';

/** What the session may do, by the operations of the API ("authorizers:write"). */
export function useOperations() {
  const { operations } = useSession();
  const { t } = useTranslation('shared');
  const may = (...needed: string[]) => needed.every((operation) => operations.includes('*') || operations.includes(operation));
  return {
    may,
    /** Why something is disabled, as a title for its control; undefined if it is not. */
    reason: (...needed: string[]) => {
      const missing = needed.find((operation) => !may(operation));
      return missing === undefined ? undefined : t('missing', { operation: missing });
    },
  };
}

/** Shows its children only to those who may. */
export function May({ operation, children }: { operation: string; children: ReactNode }) {
  return useOperations().may(operation) ? children : null;
}
