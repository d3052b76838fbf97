const etags = new WeakMap<object, string>();

/** The ETag that a resource was read with, to be sent back as If-Match; undefined if there was none. */
export function etagOf(resource: unknown): string | undefined {
  return typeof resource === 'object' && resource !== null ? etags.get(resource) : undefined;
}

export function keepETag<T>(resource: T, etag: string | null | undefined): T {
  if (etag && typeof resource === 'object' && resource !== null) etags.set(resource, etag);
  return resource;
}
