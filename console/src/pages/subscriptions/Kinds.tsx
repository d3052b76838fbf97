import { useTranslation } from 'react-i18next';
import { kindText } from '@/pages/events/kinds';
import { useLanguage } from '@/shared';

const shown = 3;

/** The kinds that a subscription matches, in words; `all` shows every one. */
export function Kinds({ kinds, all = false }: { kinds: string[]; all?: boolean }) {
  const { t } = useTranslation('subscriptions');
  const { text } = useLanguage();
  const named = (kind: string) => {
    const words = kindText(kind);
    return words ? `${text(words)} (${kind})` : kind;
  };
  const listed = all ? kinds : kinds.slice(0, shown);
  return (
    <span title={kinds.map(named).join('\n')}>
      {listed.map(named).join(t('comma'))}
      {listed.length < kinds.length && t('andMore', { count: kinds.length - listed.length })}
    </span>
  );
}
