// Sums what a browser fetches before the overview stands there without its charts: the
// page, its scripts and styles, one language's texts. Fails above the budget.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const budget = 350 * 1024;
const dist = process.argv[2] ?? fileURLToPath(new URL('../../internal/console/dist', import.meta.url));
const manifest = JSON.parse(readFileSync(`${dist}/.vite/manifest.json`, 'utf8'));

// Besides the entry itself, these are imported dynamically and still needed.
const first = [
  'index.html',
  'src/shared/zh.ts',
  'src/layout/zh.ts',
  'src/session/zh.ts',
  ...Object.keys(manifest).filter((key) => /^src\/pages\/overview\/(zh\.ts|[A-Z]\w*\.tsx)$/.test(key)),
];

const files = new Set(['index.html']);
const seen = new Set();
function add(key) {
  if (seen.has(key)) return;
  seen.add(key);
  const chunk = manifest[key];
  if (!chunk) throw new Error(`${key} is not in the manifest`);
  files.add(chunk.file);
  chunk.css?.forEach((name) => files.add(name));
  chunk.imports?.forEach(add);
}
first.forEach(add);

const rows = [...files]
  .map((name) => [name, gzipSync(readFileSync(`${dist}/${name}`), { level: 9 }).length])
  .sort((a, b) => b[1] - a[1]);
const total = rows.reduce((sum, [, size]) => sum + size, 0);
const kb = (size) => `${(size / 1024).toFixed(1).padStart(8)} KB`;
for (const [name, size] of rows) console.log(kb(size), name);
console.log(kb(total), `of ${budget / 1024} KB compressed: the first load`);
if (total > budget) {
  console.error('The first load is above its budget.');
  process.exit(1);
}
