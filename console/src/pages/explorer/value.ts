import { isObject, type Json, type JsonObject } from './exact';
import { isRequired, shapeOf, typeOf, type Node } from './tree';

/** Where a value lies: names of fields and numbers of elements. */
export type Path = Array<string | number>;

/** A path as it is written: "list[0].id". */
export function pathText(path: Path): string {
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? part : `.${part}`)).join('');
}

export function valueAt(root: Json | undefined, path: Path): Json | undefined {
  return path.reduce<Json | undefined>((value, part) => {
    if (Array.isArray(value)) return typeof part === 'number' ? value[part] : undefined;
    return isObject(value) ? value[String(part)] : undefined;
  }, root);
}

/** Returns root with another value at a path; undefined takes it away, and objects that are empty then. */
export function withValue(root: Json | undefined, path: Path, value: Json | undefined): Json | undefined {
  const [part, ...rest] = path;
  if (part === undefined) return value;
  if (typeof part === 'number') {
    const list = Array.isArray(root) ? [...root] : [];
    const changed = withValue(list[part], rest, value);
    if (changed !== undefined) list[part] = changed;
    else if (rest.length === 0) list.splice(part, 1);
    else list[part] = {};
    return list;
  }
  const object: JsonObject = isObject(root) ? { ...root } : {};
  const changed = withValue(object[part], rest, value);
  if (changed === undefined) delete object[part];
  else object[part] = changed;
  return Object.keys(object).length === 0 ? undefined : object;
}

/** What was typed, as a value of a type; text that is none stays, and is a mistake. */
export function typed(text: string, type: string): Json | undefined {
  if (text === '') return undefined;
  if (type === 'integer' && /^-?(0|[1-9]\d*)$/.test(text)) return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text);
  if (type === 'number' && String(Number(text)) === text) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

export type Mistake = 'required' | 'string' | 'integer' | 'number' | 'boolean' | 'object' | 'list' | 'values';

/** What is wrong with a body, by path. */
export function mistakesIn(nodes: Node[], value: Json | undefined, path: Path = []): Record<string, Mistake> {
  const found: Record<string, Mistake> = {};
  if (value !== undefined && !isObject(value)) return { [pathText(path)]: 'object' };
  for (const node of nodes) {
    if (node.name === '*') {
      for (const name of Object.keys(value ?? {})) Object.assign(found, mistakesOf(node, value![name], [...path, name]));
    } else Object.assign(found, mistakesOf(node, value?.[node.name], [...path, node.name]));
  }
  return found;
}

function mistakesOf(node: Node, value: Json | undefined, path: Path): Record<string, Mistake> {
  const at = pathText(path);
  const shape = shapeOf(node);
  if (value === undefined) {
    if (!isRequired(node)) return {};
    const inner = shape === 'object' ? mistakesIn(node.children, undefined, path) : {};
    return Object.keys(inner).length > 0 ? inner : { [at]: 'required' };
  }
  switch (shape) {
    case 'object':
    case 'map':
      return mistakesIn(node.children, value, path);
    case 'objects':
      if (!Array.isArray(value)) return { [at]: 'list' };
      return Object.assign({}, ...value.map((element, i) => mistakesIn(node.children, element, [...path, i]))) as Record<string, Mistake>;
    case 'values':
      if (!Array.isArray(value)) return { [at]: 'list' };
      return Object.assign({}, ...value.map((element, i) => wrongValue(node, element, [...path, i]))) as Record<string, Mistake>;
    case 'value':
      return wrongValue(node, value, path);
    case 'json':
      return {};
  }
}

function wrongValue(node: Node, value: Json, path: Path): Record<string, Mistake> {
  const type = typeOf(node);
  const values = node.field?.values;
  const wrong =
    type === 'string' ? typeof value !== 'string'
    : type === 'integer' ? !(typeof value === 'bigint' || Number.isInteger(value))
    : type === 'number' ? !(typeof value === 'number' || typeof value === 'bigint')
    : type === 'boolean' ? typeof value !== 'boolean'
    : false;
  if (wrong) return { [pathText(path)]: type as Mistake };
  if (values?.length && !node.list && !values.some((allowed) => String(allowed) === String(value))) return { [pathText(path)]: 'values' };
  return {};
}

/** What a body begins with: the fields that can have only one value, and must. */
export function beginning(nodes: Node[]): JsonObject {
  const object: JsonObject = {};
  for (const node of nodes) {
    if (!isRequired(node) || node.name === '*') continue;
    const only = node.field?.values?.length === 1 ? (node.field.values[0] as Json) : undefined;
    if (shapeOf(node) === 'value' && only !== undefined) object[node.name] = only;
    if (shapeOf(node) === 'object') {
      const inner = beginning(node.children);
      if (Object.keys(inner).length > 0) object[node.name] = inner;
    }
  }
  return object;
}
