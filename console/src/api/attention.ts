import { queryClient } from './queries';
import { signal } from './signal';

// Reading again and again would keep a session alive that nobody uses any more. So that
// rests, and the session's idle time begins to count.
const patience = 15 * 60_000;

/** Whether somebody has touched this page lately. */
export const attended = signal(true);

let timer: ReturnType<typeof setTimeout>;

function touched(): void {
  clearTimeout(timer);
  timer = setTimeout(() => attended.set(false), patience);
  if (attended.get()) return;
  attended.set(true);
  void queryClient.invalidateQueries();
}

/** Watches for input. */
export function startAttention(): void {
  for (const event of ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart']) {
    addEventListener(event, touched, { passive: true });
  }
  touched();
}
