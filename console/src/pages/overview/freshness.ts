import type { OverviewData } from './Overview';

type Component = OverviewData['components'][number];

export type Level = 'ok' | 'warning' | 'critical';

/** How urgent each level is. */
const rank: Level[] = ['ok', 'warning', 'critical'];

/** A component's verify ticket or token as it stands: how many seconds old, or to live. */
export interface Freshness {
  seconds: number | undefined;
  level: Level;
}

/** WeChat pushes a ticket every ten minutes; one is missed now and then, three are not. */
export function ticketOf({ ticket_received_at: at }: Component, now: string): Freshness {
  if (!at) return { seconds: undefined, level: 'critical' };
  const seconds = Math.max(0, (Date.parse(now) - Date.parse(at)) / 1_000);
  return { seconds, level: seconds > 1_800 ? 'critical' : seconds > 1_200 ? 'warning' : 'ok' };
}

/** The component access token is refreshed long before its end. */
export function tokenOf({ token_expires_at: at }: Component, now: string): Freshness {
  if (!at) return { seconds: undefined, level: 'warning' };
  const seconds = (Date.parse(at) - Date.parse(now)) / 1_000;
  return { seconds, level: seconds <= 0 ? 'critical' : seconds < 60 ? 'warning' : 'ok' };
}

/** The one to worry about most; undefined where there is none. */
export function worst(all: Freshness[], older: boolean): Freshness | undefined {
  const order = (a: Freshness) => (a.seconds === undefined ? Infinity : older ? a.seconds : -a.seconds);
  return [...all].sort((a, b) => rank.indexOf(b.level) - rank.indexOf(a.level) || order(b) - order(a))[0];
}
