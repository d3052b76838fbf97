import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { serverNow } from '@/api/clock';
import { signal, useSignal } from '@/api/signal';
import { useLanguage } from '@/i18n';

const now = signal(serverNow());
let watchers = 0;
let ticking: ReturnType<typeof setInterval> | undefined;

/** The server's time now, in milliseconds, moving every second while anything shows it. */
export function useNow(): number {
  useEffect(() => {
    if (watchers++ === 0) ticking = setInterval(() => now.set(serverNow()), 1_000);
    return () => {
      if (--watchers === 0) clearInterval(ticking);
    };
  }, []);
  return useSignal(now);
}

const units: Array<[Intl.RelativeTimeFormatUnit, number]> = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];

function relative(seconds: number, language: string): string {
  const format = new Intl.RelativeTimeFormat(language === 'zh' ? 'zh-CN' : 'en', { numeric: 'auto', style: 'short' });
  for (const [unit, length] of units) {
    if (Math.abs(seconds) >= length) return format.format(Math.trunc(seconds / length), unit);
  }
  // "now" within ten seconds, rather than a number that flickers.
  return format.format(Math.abs(seconds) < 10 ? 0 : Math.round(seconds / 10) * 10, 'second');
}

/** An instant: how long ago or until then, exact in its title; `exact` shows it the other way round. */
export function Time({ at, exact = false }: { at: string | null | undefined; exact?: boolean }) {
  const { t } = useTranslation('shared');
  const { language } = useLanguage();
  const current = useNow();
  const instant = at ? Date.parse(at) : NaN;
  // The zero time of the API means never.
  if (Number.isNaN(instant) || instant < 0) return <span>{t('time.none')}</span>;
  const exactly = new Intl.DateTimeFormat(language === 'zh' ? 'zh-CN' : 'en', {
    dateStyle: 'medium',
    timeStyle: 'medium',
  }).format(instant);
  const ago = relative((instant - current) / 1_000, language);
  return (
    <time dateTime={at ?? undefined} title={exact ? ago : exactly}>
      {exact ? exactly : ago}
    </time>
  );
}

/** A length of time, in its largest fitting unit. */
export function Duration({ ms, seconds }: { ms?: number | null; seconds?: number | null }) {
  const { t } = useTranslation('shared');
  const total = ms ?? (seconds == null ? undefined : seconds * 1_000);
  if (total === undefined) return <span>{t('time.none')}</span>;
  const [unit, length] = largest(Math.abs(total));
  const count = total / length;
  return <span>{t(`duration.${unit}`, { count: Math.round(count * 10) / 10 })}</span>;
}

function largest(ms: number): [string, number] {
  if (ms < 1_000) return ['ms', 1];
  if (ms < 120_000) return ['s', 1_000];
  if (ms < 7_200_000) return ['m', 60_000];
  if (ms < 172_800_000) return ['h', 3_600_000];
  return ['d', 86_400_000];
}

/** A value that lags behind by so many milliseconds: for searching while typing. */
export function useDebounced<T>(value: T, ms = 300): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}
