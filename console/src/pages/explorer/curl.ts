import type { Endpoint, Target } from './endpoint';
import type { Query } from './QueryFields';

/** A path of the gateway, with its query. */
export function gatewayPath(endpoint: Endpoint, target: Target, query: Query): string {
  const asAccount = target.authorizer !== '' || endpoint.token === 'authorizer';
  const prefix = asAccount ? `/as/${target.authorizer || 'AUTHORIZER_APPID'}` : `/component/${target.component || 'COMPONENT_APPID'}`;
  return prefix + endpoint.path + queryText(query);
}

/** "?a=b", or nothing. Nothing in it needs quoting in a shell. */
export function queryText(query: Query): string {
  const encode = (text: string) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  const pairs = Object.entries(query).map(([name, value]) => `${encode(name)}=${encode(value)}`);
  return pairs.length > 0 ? `?${pairs.join('&')}` : '';
}

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** The same call by curl, through the gateway. */
export function curl(endpoint: Endpoint, target: Target, query: Query, body: string | undefined): string {
  const lines = [
    `curl -sS "$GATEWAY${gatewayPath(endpoint, target, query)}"`,
    `-H "Authorization: Bearer $KEY"`,
    ...(target.authorizer && target.component ? [`-H 'X-Tuoguan-Component: ${target.component}'`] : []),
    ...(endpoint.body === 'multipart'
      ? endpoint.request.filter(({ name }) => !name.includes('.')).map(({ name, type }) => `-F ${quoted(`${name}=${type === 'file' ? '@file' : '…'}`)}`)
      : []),
    ...(endpoint.body !== 'multipart' && endpoint.method === 'POST' ? [`-H 'Content-Type: application/json'`, `-d ${quoted(body ?? '{}')}`] : []),
    ...(endpoint.response_kind === 'json' ? [] : ['-o reply']),
  ];
  return `GATEWAY=http://127.0.0.1:8082 KEY=…\n${lines.join(' \\\n  ')}`;
}
