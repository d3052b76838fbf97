import { Button } from 'tdesign-react';
import { CheckIcon, CopyIcon } from 'tdesign-icons-react';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { notify } from './notify';

/** Copies a text. `what` names it for screen readers; `label` shows words beside the icon. */
export function Copy({ text, what, label }: { text: string; what: string; label?: boolean }) {
  const { t } = useTranslation('shared');
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 2_000);
    return () => clearTimeout(timer);
  }, [copied]);
  const name = t('copy.of', { what });
  return (
    <Button
      className="copy"
      variant={label ? 'outline' : 'text'}
      shape={label ? 'rectangle' : 'square'}
      size="small"
      aria-label={name}
      title={name}
      icon={copied ? <CheckIcon /> : <CopyIcon />}
      onClick={(event) => {
        event.stopPropagation();
        void copy(text, event.currentTarget).then((ok) => {
          setCopied(ok);
          notify(ok ? 'success' : 'error', t(ok ? 'copy.done' : 'copy.failed'));
        });
      }}
    >
      {label ? t('copy.copy') : undefined}
    </Button>
  );
}

/** Copies also where the clipboard is refused, as on plain HTTP: by a selection inside the open dialog. */
async function copy(text: string, beside: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'visually-hidden';
    area.setAttribute('aria-hidden', 'true');
    (beside.closest('dialog') ?? document.body).append(area);
    area.select();
    const ok = document.execCommand('copy');
    area.remove();
    beside.focus();
    return ok;
  }
}
