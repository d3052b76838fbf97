// The console's own texts, so that journeys find things by the words that an operator reads.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const source = fileURLToPath(new URL('../src', import.meta.url));

async function read(language) {
  const namespaces = {};
  for (const name of readdirSync(source, { recursive: true })) {
    if (basename(name) !== `${language}.ts`) continue;
    const { outputText } = ts.transpileModule(readFileSync(join(source, name), 'utf8'), {
      compilerOptions: { module: ts.ModuleKind.ESNext },
    });
    const texts = await import(`data:text/javascript,${encodeURIComponent(outputText)}`);
    namespaces[basename(dirname(name))] = texts.default;
  }
  return namespaces;
}

/** `t('events:tail.new', { count: 2 })`, as the console says it in a language. */
export async function textsIn(language) {
  const namespaces = await read(language);
  return (name, values = {}) => {
    const [namespace, key] = name.split(':');
    const find = (path) => path.split('.').reduce((tree, part) => tree?.[part], namespaces[namespace]);
    const text = find(key) ?? find(`${key}_${values.count === 1 ? 'one' : 'other'}`);
    if (typeof text !== 'string') throw new Error(`the console has no text ${name} in ${language}`);
    return text.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, value) => values[value]);
  };
}
