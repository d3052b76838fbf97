import type { Schema } from '@/api/client';
import type { Field } from './tree';

export type Endpoint = Schema<'Endpoint'>;
export type Summary = Schema<'EndpointSummary'>;

/** For whom a call is made: an account, or the component itself. */
export interface Target {
  authorizer: string;
  component: string;
}

/** Logging users in: the component's token, and the account named in the query. The server fills that in. */
export function namesAccount(endpoint: Endpoint): boolean {
  return endpoint.query.some(({ name }) => name === 'appid') && endpoint.query.some(({ name }) => name === 'component_appid');
}

const filledIn = ['appid', 'component_appid', 'grant_type'];

/** The parameters that a caller gives. */
export function ownQuery(endpoint: Endpoint): Field[] {
  return namesAccount(endpoint) ? endpoint.query.filter(({ name }) => !filledIn.includes(name)) : endpoint.query;
}

/** Whose call it can be. */
export function targets(endpoint: Endpoint): Array<'account' | 'component'> {
  if (endpoint.token === 'authorizer' || namesAccount(endpoint)) return ['account'];
  if (endpoint.token === 'component') return ['component'];
  return ['account', 'component'];
}
