import { useTranslation } from 'react-i18next';
import { connected } from '@/api/connection';
import { useSignal } from '@/api/signal';

/** A bar above everything while the server does not answer. */
export function Disconnected() {
  const { t } = useTranslation('layout');
  const there = useSignal(connected);
  return (
    <div role="status" className="disconnected-place">
      {!there && <p className="disconnected">{t('disconnected')}</p>}
    </div>
  );
}
