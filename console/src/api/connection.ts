import { queryClient } from './queries';
import { signal } from './signal';

/** Whether the server answered last time. */
export const connected = signal(true);

const firstPause = 1_000;
const longestPause = 10_000;

/** Notes that the server did not answer, and asks until it does; then everything shown is read again. */
export function lost(): void {
  if (!connected.get()) return;
  connected.set(false);
  void recover();
}

async function recover(): Promise<void> {
  for (let pause = firstPause; ; pause = Math.min(pause * 1.5, longestPause)) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (await healthy()) break;
  }
  connected.set(true);
  await queryClient.invalidateQueries();
}

async function healthy(): Promise<boolean> {
  try {
    return (await fetch('/healthz', { cache: 'no-store', signal: AbortSignal.timeout(5_000) })).ok;
  } catch {
    return false;
  }
}
