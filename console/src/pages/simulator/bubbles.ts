import { signal } from '@/api/signal';

/** What somebody said in a chat. */
export interface Bubble {
  id: string;
  from: 'user' | 'account' | 'wechat';
  text: string;
  /** By WeChat's clock, in milliseconds. */
  at: number;
  /** What became of it. */
  note?: string;
}

/** The openid of the user who holds the phone. */
export const visitor = 'oConsoleVisitor000000000001';

/** The chats by account, while the console is open. */
export const chats = signal<Record<string, Bubble[]>>({});

export function say(appid: string, bubble: Bubble): void {
  const all = chats.get();
  chats.set({ ...all, [appid]: [...(all[appid] ?? []).filter(({ id }) => id !== bubble.id), bubble] });
}
