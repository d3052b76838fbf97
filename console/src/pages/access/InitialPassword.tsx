import { Button } from 'tdesign-react';
import { useTranslation } from 'react-i18next';
import { Copy, Dialog, Secret } from '@/shared';

/** The one time that an initial password can be seen. */
export function InitialPassword({ name, password, onClose }: { name: string; password: string; onClose: () => void }) {
  const { t } = useTranslation('access');
  return (
    <Dialog title={t('user.initialOf', { name })} footer={<Button onClick={onClose}>{t('kept')}</Button>}>
      <p>{t('user.initialOnce')}</p>
      <p className="row">
        <Secret what={t('user.initial')} hint={t('hides')} reveal={() => Promise.resolve(password)} />
        <Copy text={password} what={t('user.initial')} label />
      </p>
      <p className="hint">{t('user.initialHandOver')}</p>
    </Dialog>
  );
}
