/** The operations that a key may be given, by what they are about. */
export const operationGroups = {
  tokens: ['tokens:read', 'tokens:refresh', 'gateway:call', 'oauth:relay'],
  accounts: ['authorizers:read', 'authorizers:write', 'links:read', 'links:write', 'components:read', 'components:write'],
  events: ['events:read', 'events:replay', 'subscriptions:read', 'subscriptions:write'],
  running: ['jobs:read', 'jobs:run', 'audit:read'],
  people: ['keys:read', 'keys:write', 'users:read', 'users:write'],
} as const;

/** All of them, also those of later versions. */
export const everything = '*';

/** What services usually need. */
export const presets = {
  service: ['authorizers:read', 'tokens:read', 'tokens:refresh'],
  gateway: ['gateway:call'],
  monitor: ['authorizers:read', 'components:read', 'events:read', 'jobs:read', 'links:read', 'subscriptions:read'],
} as const;

/** The key of its texts: i18next takes a colon for something else. */
export function textOf(operation: string): string {
  return operation === everything ? 'operation.everything' : `operation.${operation.replace(':', '.')}`;
}
