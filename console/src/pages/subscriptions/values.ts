import type { Schema } from '@/api/client';
import type { Answer, Sink, SinkType, Subscription } from './subscription';

export interface Header {
  name: string;
  value: string;
}

/** What the form holds. Its names are the paths by which the server names mistakes. */
export interface Values {
  name: string;
  'match.kinds': string[];
  'match.components': string[];
  'match.authorizers': string[];
  'match.tags': string[];
  'match.contains': string[];
  'sink.type': SinkType;
  'sink.format': 'cloudevents' | 'wechat';
  'sink.url': string;
  'sink.headers': Header[];
  'sink.timeout': string;
  'sink.subject': string;
  'sink.exchange': string;
  'sink.max_len': string;
  'sink.answer': Answer;
  'secrets.token': string;
  'secrets.encoding_aes_key': string;
  'secrets.headers': Header[];
  'secrets.user': string;
  'secrets.password': string;
  /** Secrets to be taken away: "user", "password", or "headers." and a name. */
  cleared: string[];
  reply: boolean;
  priority: string;
  ordered: boolean;
  concurrency: string;
  /** In hours. */
  max_age: string;
}

export const secretValues: Array<keyof Values> = [
  'secrets.token',
  'secrets.encoding_aes_key',
  'secrets.headers',
  'secrets.user',
  'secrets.password',
];

const numberText = (n: number | undefined) => (n ? String(n) : '');

/** What a form begins with: a new subscription, or one that is to be changed. */
export function valuesOf(s?: Subscription): Values {
  return {
    name: s?.name ?? '',
    'match.kinds': s?.match.kinds ?? [],
    'match.components': s?.match.components ?? [],
    'match.authorizers': s?.match.authorizers ?? [],
    'match.tags': s?.match.tags ?? [],
    'match.contains': s?.match.contains ?? [],
    'sink.type': s?.sink?.type ?? 'webhook',
    'sink.format': s?.sink?.format ?? 'cloudevents',
    'sink.url': s?.sink?.url ?? '',
    'sink.headers': Object.entries(s?.sink?.headers ?? {}).map(([name, value]) => ({ name, value })),
    'sink.timeout': numberText(s?.sink?.timeout),
    'sink.subject': s?.sink?.subject ?? '',
    'sink.exchange': s?.sink?.exchange ?? '',
    'sink.max_len': numberText(s?.sink?.max_len),
    'sink.answer': s?.sink?.answer ?? { msg_type: 'text', content: '' },
    'secrets.token': '',
    'secrets.encoding_aes_key': '',
    'secrets.headers': [],
    'secrets.user': '',
    'secrets.password': '',
    cleared: [],
    reply: s?.reply ?? false,
    priority: numberText(s?.priority),
    ordered: s?.ordered ?? false,
    concurrency: numberText(s?.concurrency),
    max_age: s?.max_age ? String(s.max_age / 3_600) : '',
  };
}

const numbers = ['sink.timeout', 'sink.max_len', 'priority', 'concurrency', 'max_age'] as const;

/** Which field lacks something, or is no number; the words are the form's. */
export function mistakesOf(v: Values): Partial<Record<keyof Values, 'required' | 'number' | 'kinds'>> {
  const found: Partial<Record<keyof Values, 'required' | 'number' | 'kinds'>> = {};
  if (v.name.trim() === '') found.name = 'required';
  if (v['sink.type'] !== 'answer' && v['sink.url'].trim() === '') found['sink.url'] = 'required';
  if (v['match.kinds'].length === 0) found['match.kinds'] = 'kinds';
  for (const name of numbers) {
    if (v[name].trim() !== '' && !(name === 'max_age' ? /^\d+(\.\d+)?$/ : /^-?\d+$/).test(v[name].trim())) found[name] = 'number';
  }
  return found;
}

/** What is sent: only what means something for the type of the sink. */
export function bodyOf(v: Values): Schema<'SubscriptionBody'> {
  const type = v['sink.type'];
  return {
    name: v.name.trim(),
    match: {
      kinds: v['match.kinds'],
      components: v['match.components'],
      authorizers: v['match.authorizers'],
      tags: v['match.tags'],
      contains: v['match.contains'],
    },
    sink: sinkOf(v),
    secrets: secretsOf(v),
    reply: type === 'webhook' && v.reply,
    priority: Number(v.priority),
    ordered: type !== 'answer' && v.ordered,
    concurrency: Number(v.concurrency),
    max_age: Math.round(Number(v.max_age) * 3_600),
  };
}

function sinkOf(v: Values): Sink {
  const type = v['sink.type'];
  if (type === 'answer') return { type, answer: v['sink.answer'] };
  const common = { type, url: v['sink.url'].trim(), timeout: Number(v['sink.timeout']) };
  if (type === 'webhook') return { ...common, format: v['sink.format'], headers: record(v['sink.headers']) };
  return {
    ...common,
    subject: v['sink.subject'].trim(),
    ...(type === 'rabbitmq' ? { exchange: v['sink.exchange'].trim() } : {}),
    ...(type === 'redis' ? { max_len: Number(v['sink.max_len']) } : {}),
  };
}

function secretsOf(v: Values): Schema<'GivenSecrets'> {
  const type = v['sink.type'];
  const secrets: Schema<'GivenSecrets'> = {};
  if (type === 'webhook') {
    const cleared = v.cleared.filter((name) => name.startsWith('headers.')).map((name) => [name.slice('headers.'.length), '']);
    const headers = { ...Object.fromEntries(cleared), ...record(v['secrets.headers']) };
    if (Object.keys(headers).length > 0) secrets.headers = headers;
    if (v['sink.format'] === 'wechat') {
      if (v['secrets.token']) secrets.token = v['secrets.token'].trim();
      if (v['secrets.encoding_aes_key']) secrets.encoding_aes_key = v['secrets.encoding_aes_key'].trim();
    }
  } else if (type !== 'answer') {
    if (v['secrets.user'] || v.cleared.includes('user')) secrets.user = v['secrets.user'];
    if (v['secrets.password'] || v.cleared.includes('password')) secrets.password = v['secrets.password'];
  }
  return secrets;
}

function record(headers: Header[]): Record<string, string> {
  return Object.fromEntries(headers.filter(({ name }) => name.trim() !== '').map(({ name, value }) => [name.trim(), value]));
}
