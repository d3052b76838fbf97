// What journeys have in common: one browser, one demo, a visitor each.
import { after, before, describe, test } from 'node:test';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDemo } from './demo.mjs';
import { openBrowser, variants, Visitor } from './visitor.mjs';

/** Where a failed journey leaves what it saw, and every run the screenshots that nobody keeps. */
export const evidence = mkdtempSync(join(tmpdir(), 'tuoguan-journeys-evidence-'));

/** All that was read by anybody, for the search for secrets: { what, text }. */
export const seen = [];

export let browser;
export let demo;
const states = {};

before(async () => {
  [browser, demo] = await Promise.all([openBrowser(), startDemo()]);
});

after(async () => {
  await browser?.close();
  await demo?.stop();
  console.log(`screenshots, and what is left of failures: ${evidence}`);
});

/** Somebody who is signed in already, as the demo's user. */
export async function signedIn(variant) {
  const known = states[variant.language];
  const visitor = await Visitor.arrive(browser, demo, variant, { state: known });
  if (!known) {
    await visitor.signIn();
    states[variant.language] = await visitor.context.storageState();
  }
  return visitor;
}

/** Somebody who has just opened the browser. */
export const stranger = (variant, at = demo) => Visitor.arrive(browser, at, variant);

/**
 * One journey, in Chinese on a wide light screen and in English on a narrow dark one.
 * `arrive` says who walks; whatever fails on the way leaves evidence.
 */
export function journey(name, walk, { arrive = signedIn, of = Object.values(variants) } = {}) {
  describe(name, { concurrency: true }, () => {
    for (const variant of of) {
      const look = `${variant.language} ${variant.width} ${variant.theme}`;
      test(look, async () => {
        const visitor = await arrive(variant);
        try {
          await walk(visitor);
          await visitor.judge();
          seen.push(...visitor.replies);
        } catch (error) {
          await visitor.keep(evidence, `${name} ${look}`);
          console.error([`${name} · ${look}: see ${evidence}`, ...visitor.mistakes].join('\n  '));
          throw error;
        } finally {
          await visitor.context.close();
          if (visitor.demo !== demo) await visitor.demo.stop();
        }
      });
    }
  });
}
