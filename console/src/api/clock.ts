/**
 * The server's time, in milliseconds. It differs from the browser's where that clock is
 * wrong, and in the demo, where time is moved.
 */
let ahead = 0;

export function serverNow(): number {
  return Date.now() + ahead;
}

/** Takes the Date header of a reply into account. It has whole seconds, so small differences are none. */
export function learnTime(date: string | null): void {
  const told = date ? Date.parse(date) : NaN;
  if (Number.isNaN(told)) return;
  const difference = told - Date.now();
  ahead = Math.abs(difference) < 3_000 ? 0 : difference;
}
