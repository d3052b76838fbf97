import { useMemo } from 'react';
import { useLanguage } from '@/shared';

/** Figures as the language of the console writes them. */
export function useNumbers() {
  const { language } = useLanguage();
  return useMemo(() => {
    const locale = language === 'zh' ? 'zh-CN' : 'en';
    const whole = new Intl.NumberFormat(locale);
    const short = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 });
    const percent = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 1 });
    return {
      number: (value: number) => whole.format(value),
      /** So many within so many seconds, as a rate. */
      perMinute: (count: number, seconds: number) => short.format((count * 60) / seconds),
      /** Rounded down, so that 100% means all of them. */
      share: (part: number, whole: number) => percent.format(Math.floor((part / whole) * 1_000) / 1_000),
    };
  }, [language]);
}
