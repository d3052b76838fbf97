import { Button, ConfigProvider } from 'tdesign-react';
import { CloseIcon } from 'tdesign-icons-react';
import { Suspense, useCallback, useEffect, useId, useRef, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Loading } from './feedback';

/**
 * A modal dialog: the browser's own, which keeps the focus inside and gives it back.
 * TDesign's would need a style element, which the content security policy refuses.
 * It is mounted only while open. Without onClose it cannot be closed by the operator.
 */
export function Dialog({
  title,
  onClose,
  footer,
  side = false,
  wide = false,
  children,
}: {
  title: ReactNode;
  onClose?: () => void;
  /** Buttons, the main one last. */
  footer?: ReactNode;
  /** At the side, as a drawer. */
  side?: boolean;
  wide?: boolean;
  children: ReactNode;
}) {
  const { t } = useTranslation('shared');
  const id = useId();
  const [element, setElement] = useState<HTMLDialogElement | null>(null);
  const closeRef = useRef(onClose);
  useEffect(() => {
    closeRef.current = onClose;
  });
  useEffect(() => {
    if (!element) return;
    const before = document.activeElement;
    element.showModal();
    return () => {
      element.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, [element]);
  const attach = useCallback(() => element ?? document.body, [element]);
  return (
    <dialog
      ref={setElement}
      className={`dialog${side ? ' drawer' : ''}${wide ? ' wide' : ''}`}
      aria-labelledby={id}
      onCancel={(event) => {
        if (event.target !== event.currentTarget) return;
        event.preventDefault();
        closeRef.current?.();
      }}
      onKeyDown={(event) => {
        // The browser closes on a second Escape whatever onCancel says.
        if (event.key !== 'Escape' || event.defaultPrevented) return;
        event.preventDefault();
        event.stopPropagation();
        closeRef.current?.();
      }}
    >
      <header>
        <h2 id={id}>{title}</h2>
        {onClose && (
          <Button variant="text" shape="square" aria-label={t('close')} icon={<CloseIcon />} onClick={onClose} />
        )}
      </header>
      {/* What opens inside, as a list of options, belongs to the dialog's layer. */}
      <ConfigProvider globalConfig={{ attach }}>
        {/* What waits for its texts waits here: outside, the dialog would be hidden and shown without end. */}
        <div className="dialog-body">
          <Suspense fallback={<Loading />}>{element && children}</Suspense>
        </div>
        {footer && <footer>{footer}</footer>}
      </ConfigProvider>
    </dialog>
  );
}
