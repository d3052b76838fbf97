import { mkdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { evidence } from './journey.mjs';

const kept = process.argv.includes('--screenshots') || process.env.SCREENSHOTS;
const folder = kept ? fileURLToPath(new URL('../../docs/screenshots', import.meta.url)) : join(evidence, 'screenshots');

/** Writes what is in the window: to docs/screenshots where that is asked for, else beside the evidence. */
export async function capture(visitor, name) {
  const session = await visitor.context.newCDPSession(visitor.page);
  // Playwright has no WebP, which is a third of a PNG.
  const { data } = await session.send('Page.captureScreenshot', { format: 'webp', quality: 80 });
  await session.detach();
  mkdirSync(folder, { recursive: true });
  await writeFile(join(folder, `${name}.webp`), Buffer.from(data, 'base64'));
}
