import { useQuery } from '@tanstack/react-query';
import { attended } from '@/api/attention';
import { connected } from '@/api/connection';
import { Problem, queryClient } from '@/api/client';

/** One line of what the simulated WeChat saw and did. */
export interface Entry {
  seq: number;
  time: string;
  kind: 'request' | 'push' | 'issue' | 'control' | 'fault';
  method: string;
  path: string;
  status: number;
  authorizer_appid?: string;
  errcode?: number;
  secret?: string;
  state?: string;
  event?: string;
  attempt?: number;
  latency_ms?: number;
  accepted?: boolean;
  problem?: string;
  fault?: string;
}

const key = ['/simulator/journal'];
const shown = 300;

/** The newest lines of the journal, live; the oldest of them first. */
export function useJournal() {
  return useQuery<Entry[], Problem>({
    queryKey: key,
    async queryFn({ signal }) {
      const before = queryClient.getQueryData<Entry[]>(key) ?? [];
      const after = before.at(-1)?.seq ?? (await nearEnd(signal));
      return [...before, ...(await read(after, 1_000, signal))].slice(-shown);
    },
    refetchInterval: () => (connected.get() && attended.get() ? 2_000 : false),
  });
}

/** Lines after a number, the oldest first; they come as one JSON object a line. */
async function read(after: number, limit: number, signal: AbortSignal): Promise<Entry[]> {
  const response = await fetch(`/simulator/journal?${new URLSearchParams({ after: String(after), limit: String(limit) })}`, { signal });
  if (!response.ok) throw await Problem.from(response);
  const lines = (await response.text()).split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Entry);
}

/** A number not far before the last, which the journal does not tell: it is looked for by halving. */
async function nearEnd(signal: AbortSignal): Promise<number> {
  const more = async (after: number) => (await read(after, 1, signal)).length > 0;
  let low = 0;
  let step = 1_024;
  while (await more(low + step)) {
    low += step;
    step *= 2;
  }
  let high = low + step;
  while (high - low > shown / 2) {
    const middle = Math.floor((low + high) / 2);
    if (await more(middle)) low = middle;
    else high = middle;
  }
  return Math.max(0, low - shown / 2);
}
