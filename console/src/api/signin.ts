import { signal } from './signal';

/** Whether requests wait for the operator to sign in again. */
export const signInWanted = signal(false);

let waiting: Array<(again: boolean) => void> = [];

/** Opens the sign-in dialog above the page; true once the operator signed in, false if they gave up. */
export function askForSignIn(): Promise<boolean> {
  signInWanted.set(true);
  return new Promise((resolve) => waiting.push(resolve));
}

/** Closes the dialog and lets the waiting requests be sent again, or fail. */
export function settleSignIn(again: boolean): void {
  signInWanted.set(false);
  const all = waiting;
  waiting = [];
  all.forEach((resolve) => resolve(again));
}
