import { useEffect, useRef, useState } from 'react';
import { useApiQuery } from '@/api/client';
import type { Session } from '@/session/session';

export const steps = ['administrator', 'totp', 'component', 'addresses', 'ticket', 'doctor', 'done'] as const;
export type Step = (typeof steps)[number];

/** What goes into WeChat's console beside the addresses; in memory only. */
export interface PushSecrets {
  token: string;
  encodingAESKey: string;
}

export interface Progress {
  ready: boolean;
  step: Step;
  go: (step: Step) => void;
  /** The component being connected; empty before. */
  appid: string;
  setAppID: (appid: string) => void;
  secrets: PushSecrets | undefined;
  setSecrets: (secrets: PushSecrets) => void;
}

const key = 'tuoguan.setup';

interface Kept {
  step: Step;
  appid: string;
}

/**
 * Where the operator is. It survives a reload; in another browser it is found from what the
 * server has: a component, and its ticket.
 */
export function useProgress(session: Session | null): Progress {
  const [kept, setKept] = useState(read);
  const [secrets, setSecrets] = useState<PushSecrets>();
  const ask = kept === undefined && (session?.operations.length ?? 0) > 0;
  const components = useApiQuery('/v1/components', undefined, { enabled: ask });
  const known = components.data?.items?.[0];
  const found: Kept = !known
    ? { step: 'totp', appid: '' }
    : { step: known.ticket_received_at ? 'doctor' : 'addresses', appid: known.appid };
  const now = kept ?? found;
  const latest = useRef(now);
  useEffect(() => {
    latest.current = now;
  });
  const keep = (change: Partial<Kept>) => {
    latest.current = { ...latest.current, ...change };
    sessionStorage.setItem(key, JSON.stringify(latest.current));
    setKept(latest.current);
  };
  return {
    ready: !ask || components.isFetched,
    ...now,
    go: (step) => keep({ step }),
    setAppID: (appid) => keep({ appid }),
    secrets,
    setSecrets,
  };
}

function read(): Kept | undefined {
  try {
    const kept = JSON.parse(sessionStorage.getItem(key) ?? 'null') as Kept | null;
    return kept && steps.includes(kept.step) ? kept : undefined;
  } catch {
    return undefined;
  }
}
