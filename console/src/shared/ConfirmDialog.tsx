import { Button, Input } from 'tdesign-react';
import { useState, type ReactNode } from 'react';
import { Trans, useTranslation } from 'react-i18next';
import { Dialog } from './Dialog';
import { ProblemNote } from './feedback';

/**
 * Asks before something that matters. With `word` it must be typed first, as for what cannot
 * be undone. It stays open, busy, until onConfirm has ended, and shows the problem it threw.
 */
export function ConfirmDialog({
  title,
  children,
  word,
  action,
  danger = word !== undefined,
  onConfirm,
  onClose,
}: {
  title: string;
  children?: ReactNode;
  word?: string;
  /** What the button says. */
  action?: string;
  danger?: boolean;
  onConfirm: () => Promise<unknown> | void;
  onClose: () => void;
}) {
  const { t } = useTranslation('shared');
  const [typed, setTyped] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const ready = word === undefined || typed.trim() === word;
  const run = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await onConfirm();
      onClose();
    } catch (thrown) {
      setError(thrown);
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={title}
      onClose={onClose}
      footer={
        <>
          <Button variant="outline" theme="default" onClick={onClose}>
            {t('cancel')}
          </Button>
          <Button tag="button" theme={danger ? 'danger' : 'primary'} disabled={!ready} loading={busy} onClick={() => void run()}>
            {action ?? t('confirm')}
          </Button>
        </>
      }
    >
      {children}
      {word !== undefined && (
        <label className="field">
          <span>
            <Trans t={t} i18nKey="confirmType" values={{ word }}>
              Type <code>{word}</code> to confirm
            </Trans>
          </span>
          <Input value={typed} onChange={setTyped} autocomplete="off" onEnter={() => ready && void run()} />
        </label>
      )}
      <ProblemNote error={error} />
    </Dialog>
  );
}
