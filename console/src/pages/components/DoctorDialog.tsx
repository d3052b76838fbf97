import '@/setup/style.css';
import { useTranslation } from 'react-i18next';
import { Doctor } from '@/setup/Doctor';
import { Dialog } from '@/shared';

/** Examines the installation, with what to do about each finding. */
export function DoctorDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation('components');
  return (
    <Dialog wide title={t('doctor.title')} onClose={onClose}>
      <p>{t('doctor.explain')}</p>
      <Doctor />
    </Dialog>
  );
}
