import { setTimeout as pause } from 'node:timers/promises';

/** Asks again and again until the answer is true, or `seconds` have passed; then the last error tells why. */
export async function until(what, ask, seconds = 20) {
  const deadline = Date.now() + seconds * 1_000;
  for (;;) {
    let reason;
    try {
      const answer = await ask();
      if (answer) return answer;
    } catch (error) {
      reason = error;
    }
    if (Date.now() > deadline) throw new Error(`after ${seconds} s still not so: ${what}`, { cause: reason });
    await pause(50);
  }
}
