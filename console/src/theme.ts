import { signal, useSignal } from './api/signal';

/** What the operator chose; "system" follows the machine. */
export type ThemeChoice = 'light' | 'dark' | 'system';

const key = 'tuoguan.theme';
const systemDark = matchMedia('(prefers-color-scheme: dark)');

const choice = signal<ThemeChoice>((localStorage.getItem(key) as ThemeChoice | null) ?? 'system');
const dark = signal(isDark());

function isDark(): boolean {
  return choice.get() === 'dark' || (choice.get() === 'system' && systemDark.matches);
}

function apply(): void {
  dark.set(isDark());
  document.documentElement.setAttribute('theme-mode', dark.get() ? 'dark' : 'light');
}

/** Applies the theme, and follows the machine's. */
export function startTheme(): void {
  systemDark.addEventListener('change', apply);
  apply();
}

export function useTheme(): { choice: ThemeChoice; dark: boolean; setTheme: (choice: ThemeChoice) => void } {
  return {
    choice: useSignal(choice),
    dark: useSignal(dark),
    setTheme(next) {
      localStorage.setItem(key, next);
      choice.set(next);
      apply();
    },
  };
}
