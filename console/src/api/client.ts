import { useMutation, useQuery, type UseMutationResult, type UseQueryResult } from '@tanstack/react-query';
import createClient, { type MaybeOptionalInit } from 'openapi-fetch';
import type { HttpMethod, PathsWithMethod, SuccessResponse } from 'openapi-typescript-helpers';
import { useRef } from 'react';
import { attended } from './attention';
import { learnTime } from './clock';
import { connected, lost } from './connection';
import { keepETag } from './etag';
import { Problem } from './problem';
import { queryClient } from './queries';
import type { components, paths } from './schema';
import { askForSignIn } from './signin';

export { etagOf } from './etag';
export { Problem } from './problem';
export { queryClient } from './queries';

/** The schemas of api/openapi.yaml by name, as in Schema<'Authorizer'>. */
export type Schema<Name extends keyof components['schemas']> = components['schemas'][Name];

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
type Operation<M extends HttpMethod, P> = P extends keyof paths ? (M extends keyof paths[P] ? paths[P][M] : never) : never;

/** What a call may be given: { params: { path, query, header }, body, signal }. */
export type Init<M extends Method, P extends PathsWithMethod<paths, M>> = MaybeOptionalInit<paths[P], M>;

/** What a successful call returns. */
export type Reply<M extends Method, P extends PathsWithMethod<paths, M>> =
  Operation<M, P> extends { responses: infer R extends Record<string | number, unknown> }
    ? SuccessResponse<R, 'application/json'>
    : never;

/**
 * Sends a request, and throws the Problem of every reply that is not a success. One that
 * finds no session waits for the operator to sign in and is sent again.
 */
async function fetchSignedIn(request: Request): Promise<Response> {
  const again = request.clone();
  const response = await fetchConnected(request);
  if (response.ok) return response;
  const problem = await Problem.from(response);
  if (problem.signedOut && (await askForSignIn())) return fetchSignedIn(again);
  throw problem;
}

async function fetchConnected(request: Request): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(request);
  } catch (error) {
    if (request.signal.aborted) throw error;
    lost();
    throw Problem.disconnected();
  }
  if (new URL(request.url).pathname.startsWith('/v1/')) learnTime(response.headers.get('Date'));
  // A proxy in front answers so while the server is away.
  const away = response.status >= 502 && response.status <= 504;
  if (away && !response.headers.get('Content-Type')?.startsWith('application/problem+json')) {
    lost();
    throw Problem.disconnected();
  }
  return response;
}

const client = createClient<paths>({ baseUrl: location.origin, fetch: fetchSignedIn });

/**
 * Calls an operation of the API: `call('get', '/v1/jobs/{id}', { params: { path: { id } } })`.
 *
 * @throws Problem
 */
export async function call<M extends Method, P extends PathsWithMethod<paths, M>>(
  method: M,
  path: P,
  init?: Init<M, P>,
): Promise<Reply<M, P>> {
  const { data, response } = await client.request(method, path, ...([init] as never));
  return keepETag(data as Reply<M, P>, response.headers.get('ETag'));
}

/** Calls what api/openapi.yaml does not describe: the simulator's control. Throws a Problem. */
export async function send<T>(
  method: Uppercase<Method>,
  path: string,
  init: { query?: Record<string, string | number | boolean | undefined>; body?: unknown; headers?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<T> {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(init.query ?? {})) {
    if (value !== undefined && value !== '') url.searchParams.set(name, String(value));
  }
  const request = new Request(url, {
    method,
    headers: { ...(init.body === undefined ? {} : { 'Content-Type': 'application/json' }), ...init.headers },
    ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
    ...(init.signal ? { signal: init.signal } : {}),
  });
  const response = await fetchSignedIn(request);
  return response.status === 204 ? (undefined as T) : ((await response.json()) as T);
}

type Get = PathsWithMethod<paths, 'get'>;

export interface QueryOptions {
  /** Milliseconds between readings; false (the default) for none. Rests while disconnected, hidden or left alone. */
  refetchInterval?: number | false;
  /** False to read nothing yet. */
  enabled?: boolean;
  /** True to show the last page's data while another is read. */
  keepPrevious?: boolean;
}

/**
 * Reads from the API and keeps it: `useApiQuery('/v1/authorizers', { query: { state } })`.
 * Its key is [path, params], so that `invalidate('/v1/authorizers')` reads all of them again.
 */
export function useApiQuery<P extends Get>(
  path: P,
  params?: NonNullable<Init<'get', P>>['params'],
  options: QueryOptions = {},
): UseQueryResult<Reply<'get', P>, Problem> {
  return useQuery<Reply<'get', P>, Problem>({
    queryKey: [path, params ?? {}],
    queryFn: ({ signal }) => call('get', path, { params, signal } as unknown as Init<'get', P>),
    ...queryOptions(options),
  });
}

/** As {@link useApiQuery}, for what api/openapi.yaml does not describe. */
export function useSendQuery<T>(
  path: string,
  query: Record<string, string | number | boolean | undefined> = {},
  options: QueryOptions = {},
): UseQueryResult<T, Problem> {
  return useQuery<T, Problem>({
    queryKey: [path, query],
    queryFn: ({ signal }) => send<T>('GET', path, { query, signal }),
    ...queryOptions(options),
  });
}

function queryOptions({ refetchInterval = false, enabled = true, keepPrevious = false }: QueryOptions) {
  return {
    enabled,
    refetchInterval: () => (connected.get() && attended.get() ? refetchInterval : false),
    ...(keepPrevious ? { placeholderData: <T>(previous: T) => previous } : {}),
  };
}

/** Reads again whatever is shown of these paths. */
export async function invalidate(...pathsChanged: string[]): Promise<void> {
  await Promise.all(pathsChanged.map((path) => queryClient.invalidateQueries({ queryKey: [path] })));
}

/**
 * Changes something: `const pause = useApiMutation('post', '/v1/subscriptions/{id}/pause',
 * { invalidates: ['/v1/subscriptions'] })`, then `pause.mutate({ params: { path: { id } } })`.
 * A POST that was not answered may be sent again unchanged: its Idempotency-Key stays the same.
 */
export function useApiMutation<M extends Exclude<Method, 'get'>, P extends PathsWithMethod<paths, M>>(
  method: M,
  path: P,
  { invalidates = [], onSuccess }: { invalidates?: string[]; onSuccess?: (reply: Reply<M, P>) => void } = {},
): UseMutationResult<Reply<M, P>, Problem, Init<M, P>> {
  const unanswered = useRef<{ request: string; key: string }>(null);
  return useMutation<Reply<M, P>, Problem, Init<M, P>>({
    async mutationFn(init) {
      if (method !== 'post') return call(method, path, init);
      const request = JSON.stringify(init ?? {});
      const key = unanswered.current?.request === request ? unanswered.current.key : crypto.randomUUID();
      unanswered.current = { request, key };
      try {
        return await call(method, path, { ...init, headers: { 'Idempotency-Key': key } } as Init<M, P>);
      } catch (error) {
        if (!(error instanceof Problem && error.name === 'disconnected')) unanswered.current = null;
        throw error;
      }
    },
    async onSuccess(reply) {
      unanswered.current = null;
      onSuccess?.(reply);
      await invalidate(...invalidates);
    },
  });
}
