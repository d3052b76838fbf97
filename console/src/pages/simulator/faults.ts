/** The knobs that are probabilities, by what they strike. */
export const probabilities = {
  replies: [
    'busy', 'http_5xx', 'html_reply', 'truncated_reply', 'slow_reply', 'connection_reset', 'drop_reply_after_processing', 'errcode_string',
    'expires_in_string', 'odd_expires_in', 'odd_reply', 'extra_fields', 'empty_refresh_token', 'false_61003', 'quota_exhausted',
  ],
  pushes: ['duplicate_push', 'reorder_push', 'late_push', 'lost_push', 'lost_redirect', 'redirect_first', 'withhold_ticket', 'previous_key'],
  tokens: ['early_dead_token'],
} as const;

/** The knobs that are one of several. */
export const modes = {
  refresh_token_mode: ['static', 'rotate-grace', 'rotate-strict'],
  list_mode: ['newest', 'stale', 'empty', 'error'],
  info_mode: ['newest', 'stale', 'empty', 'error'],
  revoked_errcode: [40001, 61003],
} as const;

/** The knobs that are lengths of time, in seconds, or in milliseconds where the name says so. */
export const lengths = [
  'refresh_token_grace', 'component_token_overlap', 'authorizer_token_overlap', 'component_token_ttl', 'authorizer_token_ttl', 'pre_auth_code_ttl',
  'authorization_code_ttl', 'slow_reply_ms', 'reply_latency_ms', 'late_push_ms',
] as const;

export const presets = ['off', 'default', 'hostile'] as const;

/** The faults in force. */
export type FaultValues = Record<string, number | string>;
