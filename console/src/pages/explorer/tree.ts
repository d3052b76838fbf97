import type { Schema } from '@/api/client';

export type Field = Schema<'Field'>;

/** A field of a JSON object with those that lie in it. */
export interface Node {
  /** Its name; "*" stands for any. */
  name: string;
  field: Field | undefined;
  list: boolean;
  children: Node[];
}

/** Puts dotted names into each other: "list[].id" is the field id of each element of list. */
export function treeOf(fields: Field[]): Node[] {
  const roots: Node[] = [];
  for (const field of fields) {
    let level = roots;
    let node: Node | undefined;
    for (const segment of field.name.split('.')) {
      const name = segment.replaceAll('[]', '');
      node = level.find((other) => other.name === name);
      if (!node) {
        node = { name, field: undefined, list: false, children: [] };
        level.push(node);
      }
      if (segment.endsWith('[]')) node.list = true;
      level = node.children;
    }
    if (!node) continue;
    node.field = field;
    if (field.type.startsWith('array<')) node.list = true;
  }
  return roots;
}

/** What a field is in a form. */
export type Shape = 'map' | 'object' | 'objects' | 'values' | 'value' | 'json';

export function shapeOf(node: Node): Shape {
  if (node.children.some((child) => child.name === '*')) return 'map';
  if (node.children.length > 0) return node.list ? 'objects' : 'object';
  const type = typeOf(node);
  if (type === 'object' || type === 'any') return 'json';
  return node.list ? 'values' : 'value';
}

/** The type of a field, or of the elements of a list. */
export function typeOf(node: Node): string {
  const type = node.field?.type ?? 'object';
  return /^array<(.+)>$/.exec(type)?.[1] ?? type;
}

export function isRequired(node: Node): boolean {
  return node.field?.required === 'yes';
}
