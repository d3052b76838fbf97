/** Any JSON. Whole numbers longer than a double can tell, such as message ids, are bigints. */
export type Json = null | boolean | number | bigint | string | Json[] | { [name: string]: Json };

export type JsonObject = { [name: string]: Json };

/** Reads JSON without rounding its whole numbers. Throws a SyntaxError. */
export function readJson(text: string): Json {
  return JSON.parse(text, (_, value: Json, context?: { source?: string }) =>
    typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '')
      ? BigInt(context!.source!)
      : value,
  ) as Json;
}

// Browsers that cannot write a bigint as a number cannot read one exactly either.
const raw = (JSON as { rawJSON?: (text: string) => unknown }).rawJSON;

/** Writes JSON, bigints as numbers. */
export function writeJson(value: unknown, indent = 0): string {
  return JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? (raw ? raw(String(part)) : Number(part)) : part), indent);
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
