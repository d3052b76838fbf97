import type { Reply } from '@/api/client';

/** An authorization as the list has it. */
export type Authorizer = Reply<'get', '/v1/authorizers'>['items'][number];

/** An authorization as its own page has it. */
export type AuthorizerDetail = Reply<'get', '/v1/authorizers/{appid}'>;

/** One authorization: an account may have authorized several components. */
export interface Authorization {
  appid: string;
  component: string;
}

/** Its path and query for calls about one authorization. */
export function paramsOf({ appid, component }: Authorization) {
  return { path: { appid }, query: { component } };
}

/** Its page in the console. */
export function pathOf({ appid, component }: Authorization, section?: string): string {
  const query = new URLSearchParams({ component, ...(section ? { section } : {}) });
  return `/authorizers/${encodeURIComponent(appid)}?${query}`;
}

/** The form of a link with which the merchant authorizes again. */
export function reauthorizationPath(of: Authorizer, sets: number[] = []): string {
  const query = new URLSearchParams({ component_appid: of.component_appid, biz_appid: of.appid });
  if (of.reference) query.set('reference', of.reference);
  if (sets.length > 0) query.set('permission_sets', sets.join());
  return `/links/new?${query}`;
}
