import { signal } from '@/api/signal';
import { Problem } from '@/api/problem';

export interface Notice {
  id: number;
  theme: 'success' | 'error' | 'info';
  text: string;
}

export const notices = signal<Notice[]>([]);

let last = 0;

/** Says something for a few seconds, also to screen readers: `notify('success', text)` or `notify(problem)`. */
export function notify(theme: Notice['theme'], text: string): void;
export function notify(problem: unknown): void;
export function notify(themeOrProblem: unknown, text?: string): void {
  const notice: Notice =
    text === undefined
      ? { id: ++last, theme: 'error', text: themeOrProblem instanceof Problem ? themeOrProblem.detail : String(themeOrProblem) }
      : { id: ++last, theme: themeOrProblem as Notice['theme'], text };
  notices.set([...notices.get(), notice]);
  setTimeout(() => dismiss(notice.id), notice.theme === 'error' ? 8_000 : 4_000);
}

export function dismiss(id: number): void {
  notices.set(notices.get().filter((notice) => notice.id !== id));
}
