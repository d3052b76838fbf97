// Checks that every zh.ts and en.ts beside each other have the same keys and placeholders,
// and that every key written out in the code of a namespace exists.
import { readdirSync, readFileSync, existsSync } from 'node:fs';
import { dirname, join, basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const source = fileURLToPath(new URL('../src', import.meta.url));
const files = readdirSync(source, { recursive: true }).map((name) => join(source, name));
const mistakes = [];

async function texts(path) {
  const { outputText } = ts.transpileModule(readFileSync(path, 'utf8'), { compilerOptions: { module: ts.ModuleKind.ESNext } });
  return flat((await import(`data:text/javascript,${encodeURIComponent(outputText)}`)).default);
}

function flat(tree, prefix = '') {
  return Object.entries(tree).flatMap(([name, value]) =>
    typeof value === 'object' ? flat(value, `${prefix}${name}.`) : [[prefix + name, String(value)]],
  );
}

// English has a singular, Chinese has not.
const plain = (key) => key.replace(/_(one|other)$/, '');
const placeholders = (text) => [...new Set(text.match(/\{\{\s*\w+/g) ?? [])].map((p) => p.replace(/\W/g, '')).sort().join();

const namespaces = new Map();
for (const zhPath of files.filter((path) => basename(path) === 'zh.ts')) {
  const folder = dirname(zhPath);
  const enPath = join(folder, 'en.ts');
  if (!existsSync(enPath)) {
    mistakes.push(`${folder}: no en.ts`);
    continue;
  }
  const zh = new Map((await texts(zhPath)).map(([key, text]) => [plain(key), text]));
  const en = await texts(enPath);
  for (const [key, text] of en) {
    const other = zh.get(plain(key));
    if (other === undefined) mistakes.push(`${zhPath}: no ${key}`);
    else if (placeholders(other) !== placeholders(text) && !key.endsWith('_one')) mistakes.push(`${enPath}: other placeholders in ${key}`);
  }
  const enKeys = new Set(en.map(([key]) => plain(key)));
  for (const key of zh.keys()) if (!enKeys.has(key)) mistakes.push(`${enPath}: no ${key}`);
  namespaces.set(basename(folder), new Set([...zh.keys()]));
}
for (const enPath of files.filter((path) => basename(path) === 'en.ts')) {
  if (!existsSync(join(dirname(enPath), 'zh.ts'))) mistakes.push(`${dirname(enPath)}: no zh.ts`);
}

// `const { t } = useTranslation('ns')` and then t('key'): where a file has one namespace only.
for (const path of files.filter((name) => name.endsWith('.tsx'))) {
  const code = readFileSync(path, 'utf8');
  const used = new Set([...code.matchAll(/useTranslation\(\s*'(\w[\w-]*)'/g)].map((match) => match[1]));
  for (const name of used) if (!namespaces.has(name)) mistakes.push(`${path}: no namespace ${name}`);
  if (used.size !== 1 || /const \{ t: /.test(code)) continue;
  const keys = namespaces.get([...used][0]);
  for (const [, key] of code.matchAll(/(?<![\w.])t\(\s*'([\w.-]+)'/g)) {
    if (keys && !keys.has(key)) mistakes.push(`${path}: no text ${key}`);
  }
}

if (mistakes.length > 0) {
  console.error(mistakes.join('\n'));
  process.exit(1);
}
console.log(`${namespaces.size} namespaces, ${[...namespaces.values()].reduce((sum, keys) => sum + keys.size, 0)} texts in two languages`);
