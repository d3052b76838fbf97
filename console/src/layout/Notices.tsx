import { Button } from 'tdesign-react';
import { CloseIcon } from 'tdesign-icons-react';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { useSignal } from '@/api/signal';
import { dismiss, notices } from '@/shared/notify';

/** Shows what notify() says, above open dialogs too. */
export function Notices() {
  const { t } = useTranslation('shared');
  const all = useSignal(notices);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // A popover is put above the dialogs that are open when it is shown.
    box.current?.hidePopover();
    if (all.length > 0) box.current?.showPopover();
  }, [all]);
  return (
    <div ref={box} popover="manual" className="notices" role="status" aria-live="polite">
      {all.map((notice) => (
        <div key={notice.id} className={`notice ${notice.theme}`}>
          <span>{notice.text}</span>
          <Button
            size="small"
            variant="text"
            shape="square"
            icon={<CloseIcon />}
            aria-label={t('close')}
            onClick={() => dismiss(notice.id)}
          />
        </div>
      ))}
    </div>
  );
}
