import { Button } from 'tdesign-react';
import { BrowseIcon, BrowseOffIcon } from 'tdesign-icons-react';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Copy } from './Copy';
import { notify } from './notify';

const shownFor = 30_000;

/**
 * A secret that is not in the page until somebody asks: `reveal` fetches it then (use
 * `call`, never a query, so that it is kept nowhere). After 30 seconds it is gone again.
 */
export function Secret({ what, reveal, hint }: { what: string; reveal: () => Promise<string>; hint?: string }) {
  const { t } = useTranslation('shared');
  const [value, setValue] = useState<string>();
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    if (value === undefined) return;
    const timer = setTimeout(() => setValue(undefined), shownFor);
    return () => clearTimeout(timer);
  }, [value]);
  const shown = value !== undefined;
  const toggle = async () => {
    if (shown) {
      setValue(undefined);
      return;
    }
    setBusy(true);
    try {
      setValue(await reveal());
    } catch (problem) {
      notify(problem);
    } finally {
      setBusy(false);
    }
  };
  return (
    <span className="secret">
      <code>{shown ? value : <span aria-label={t('secret.hidden')} role="img">••••••••</span>}</code>
      {shown && <Copy text={value} what={what} />}
      <Button
        size="small"
        variant="text"
        loading={busy}
        icon={shown ? <BrowseOffIcon /> : <BrowseIcon />}
        aria-label={`${t(shown ? 'secret.hide' : 'secret.reveal')} ${what}`}
        title={hint ?? t('secret.hint')}
        onClick={() => void toggle()}
      >
        {t(shown ? 'secret.hide' : 'secret.reveal')}
      </Button>
    </span>
  );
}
