import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

/** A text, usually a URL, as a QR code. `what` names it for screen readers. */
export function QrCode({ text, what, size = 192 }: { text: string; what: string; size?: number }) {
  const { t } = useTranslation('shared');
  const [source, setSource] = useState<string>();
  useEffect(() => {
    let current = true;
    void import('qrcode').then(async ({ toString }) => {
      const svg = await toString(text, { type: 'svg', margin: 2 });
      if (current) setSource(`data:image/svg+xml,${encodeURIComponent(svg)}`);
    });
    return () => {
      current = false;
    };
  }, [text]);
  return <img className="qr" src={source} width={size} height={size} alt={t('qr', { what })} />;
}
