import type { Schema } from '@/api/client';

export type APIKey = Schema<'APIKey'>;

/** Days that a key may live: 0 for ever. */
export const lives = [7, 30, 90, 365, 0];
export const defaultLife = 90;

/** As it is; only where a key is changed. */
export const unchanged = -1;

/** The form of a key. Names with a dot are where the server says that something is wrong. */
export interface KeyForm {
  name: string;
  'scope.operations': string[];
  'scope.components': string[];
  accounts: 'all' | 'some';
  'scope.authorizers': string;
  'scope.tags': string;
  'scope.paths': string;
  'scope.networks': string;
  'scope.rate': string;
  expires_in: number;
}

export const emptyKey: KeyForm = {
  name: '',
  'scope.operations': [],
  'scope.components': [],
  accounts: 'all',
  'scope.authorizers': '',
  'scope.tags': '',
  'scope.paths': '',
  'scope.networks': '',
  'scope.rate': '',
  expires_in: defaultLife,
};

export function formOf({ name, scope }: APIKey): KeyForm {
  const { operations, components = [], authorizers = [], tags = [], paths = [], networks = [], rate } = scope;
  return {
    name,
    'scope.operations': operations,
    'scope.components': components,
    accounts: authorizers.length + tags.length > 0 ? 'some' : 'all',
    'scope.authorizers': authorizers.join('\n'),
    'scope.tags': tags.join('\n'),
    'scope.paths': paths.join('\n'),
    'scope.networks': networks.join('\n'),
    'scope.rate': rate ? String(rate) : '',
    expires_in: unchanged,
  };
}

export function bodyOf(values: KeyForm): Schema<'KeyBody'> {
  const some = values.accounts === 'some';
  return {
    name: values.name.trim(),
    scope: {
      operations: values['scope.operations'],
      components: values['scope.components'],
      authorizers: some ? entries(values['scope.authorizers']) : [],
      tags: some ? entries(values['scope.tags'], /[\n,，]/) : [],
      paths: values['scope.operations'].some((operation) => operation === 'gateway:call' || operation === '*') ? entries(values['scope.paths']) : [],
      networks: entries(values['scope.networks']).map(networkOf),
      rate: Number(values['scope.rate'] || 0),
    },
    ...(values.expires_in === unchanged ? {} : values.expires_in === 0 ? { never_expires: true } : { expires_in: values.expires_in * 86_400 }),
  };
}

/** What is wrong, by the names of texts. */
export function mistakesOf(values: KeyForm): Partial<Record<keyof KeyForm, string>> {
  const rate = Number(values['scope.rate'] || 0);
  return {
    ...(values.name.trim() ? {} : { name: 'name' }),
    ...(values['scope.operations'].length > 0 ? {} : { 'scope.operations': 'operations' }),
    ...(values.accounts === 'all' || entries(values['scope.authorizers']).length + entries(values['scope.tags'], /[\n,，]/).length > 0
      ? {}
      : { 'scope.authorizers': 'accounts' }),
    ...(entries(values['scope.networks']).every((entry) => network.test(networkOf(entry))) ? {} : { 'scope.networks': 'networks' }),
    ...(rate >= 0 && rate <= 1_000_000 ? {} : { 'scope.rate': 'rate' }),
  };
}

const network = /^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)\/[0-9]{1,3}$/;

/** A single address is a network of one. */
function networkOf(entry: string): string {
  if (entry.includes('/')) return entry;
  return `${entry}/${entry.includes(':') ? 128 : 32}`;
}

function entries(text: string, separator: RegExp = /[\s,，]+/): string[] {
  return [...new Set(text.split(separator).map((entry) => entry.trim()).filter(Boolean))];
}

/** What has become of a key. */
export function stateOf({ revoked_at: revoked, expires_at: expires }: APIKey, now: number): 'active' | 'revoked' | 'expired' {
  if (revoked) return 'revoked';
  return expires && Date.parse(expires) <= now ? 'expired' : 'active';
}
