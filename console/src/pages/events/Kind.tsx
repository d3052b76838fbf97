import { useLanguage } from '@/shared';
import { kindText } from './kinds';
import './style.css';

/** A kind in words, and as WeChat spells it. */
export function Kind({ kind }: { kind: string }) {
  const { text } = useLanguage();
  const words = kindText(kind);
  return (
    <span className="events-kind">
      {words && <span>{text(words)}</span>} <code>{kind}</code>
    </span>
  );
}
