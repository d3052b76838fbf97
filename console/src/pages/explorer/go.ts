import { namesAccount, type Endpoint, type Target } from './endpoint';
import { queryText } from './curl';
import type { Query } from './QueryFields';

/** The same call in Go, as a program that runs. */
export function goProgram(endpoint: Endpoint, target: Target, query: Query, body: string | undefined): string {
  const file = endpoint.body === 'multipart' || endpoint.response_kind !== 'json' || namesAccount(endpoint) || endpoint.token === 'none';
  return file ? throughGateway(endpoint, target, query, body) : byWxapi(endpoint, target, query, body);
}

const literal = (text: string) => JSON.stringify(text);
const block = (text: string) => (text.includes('`') ? literal(text) : `\`${text}\``);

function owner(endpoint: Endpoint, target: Target): string {
  if (target.authorizer || endpoint.token === 'authorizer' || namesAccount(endpoint)) {
    return `tuoguan.AuthorizerToken(${literal(target.component)}, ${literal(target.authorizer || 'AUTHORIZER_APPID')})`;
  }
  return `tuoguan.ComponentToken(${literal(target.component || 'COMPONENT_APPID')})`;
}

function program(imports: string[], body: string): string {
  const standard = ['context', 'fmt', 'log', 'os', ...imports.filter((path) => !path.includes('.'))].sort();
  const own = ['github.com/tuoguan/tuoguan', 'github.com/tuoguan/tuoguan/client', ...imports.filter((path) => path.includes('.'))].sort();
  return `package main

import (
${standard.map((path) => `\t"${path}"`).join('\n')}

${own.map((path) => `\t"${path}"`).join('\n')}
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	c, err := client.New(client.Config{
		AdminURL:   os.Getenv("TUOGUAN_ADMIN"),   // http://127.0.0.1:8081 if empty
		GatewayURL: os.Getenv("TUOGUAN_GATEWAY"), // http://127.0.0.1:8082 if empty
		APIKey:     tuoguan.NewSecret(os.Getenv("TUOGUAN_API_KEY")),
	})
	if err != nil {
		return err
	}
${body}}
`;
}

/** With tokens, which the client keeps fresh. */
function byWxapi(endpoint: Endpoint, target: Target, query: Query, body: string | undefined): string {
  const pairs = Object.entries(query).map(([name, value]) => `${literal(name)}: {${literal(value)}}`);
  const fields = [
    ['Owner', owner(endpoint, target)],
    ['Method', endpoint.method === 'GET' ? 'http.MethodGet' : 'http.MethodPost'],
    ['Path', literal(endpoint.path)],
    ...(pairs.length > 0 ? [['Query', `url.Values{${pairs.join(', ')}}`]] : []),
    ...(endpoint.method === 'POST' && body !== undefined ? [['Body', `json.RawMessage(${block(body)})`]] : []),
    ...(endpoint.read ? [['Repeatable', 'true']] : []),
  ];
  const imports = ['encoding/json', 'net/http', 'github.com/tuoguan/tuoguan/wxapi', ...(pairs.length > 0 ? ['net/url'] : [])];
  return program(
    imports,
    `	wechat, err := wxapi.New(wxapi.Config{Tokens: c})
	if err != nil {
		return err
	}
	var reply json.RawMessage
	err = wechat.Call(ctx, wxapi.CallRequest{
${aligned(fields)}
	}, &reply)
	if err != nil {
		return err // a *wxapi.APIError where WeChat refused
	}
	fmt.Printf("%s\\n", reply)
	return nil
`,
  );
}

/** As gofmt writes the fields of a struct. What spans lines stands apart. */
function aligned(fields: string[][]): string {
  let width = 0;
  return fields
    .map(([name, value], i) => {
      const run = (at: number, step: number): number => {
        const next = fields[at + step];
        return next && !next[1]!.includes('\n') && !fields[at]![1]!.includes('\n') ? Math.max(next[0]!.length, run(at + step, step)) : 0;
      };
      width = value!.includes('\n') ? name!.length : Math.max(name!.length, run(i, 1), run(i, -1));
      return `\t\t${`${name}:`.padEnd(width + 2)}${value},`;
    })
    .join('\n');
}

/** Through the gateway, which any http.Client can use. */
function throughGateway(endpoint: Endpoint, target: Target, query: Query, body: string | undefined): string {
  const multipart = endpoint.body === 'multipart';
  const file = endpoint.request.find(({ type }) => type === 'file')?.name ?? 'media';
  const post = endpoint.method === 'POST';
  const prepare = multipart
    ? `	file, err := os.ReadFile("file")
	if err != nil {
		return err
	}
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	part, err := parts.CreateFormFile(${literal(file)}, "file")
	if err != nil {
		return err
	}
	if _, err := part.Write(file); err != nil {
		return err
	}
	if err := parts.Close(); err != nil {
		return err
	}
`
    : '';
  const sent = multipart ? '&form' : post ? `strings.NewReader(${block(body ?? '{}')})` : 'nil';
  const type = multipart ? 'parts.FormDataContentType()' : '"application/json"';
  const imports = ['io', 'net/http', ...(multipart ? ['bytes', 'mime/multipart'] : post ? ['strings'] : [])];
  return program(
    imports,
    `${prepare}	request, err := http.NewRequestWithContext(ctx, http.Method${post ? 'Post' : 'Get'},
		${literal(`https://api.weixin.qq.com${endpoint.path}${queryText(query)}`)}, ${sent})
	if err != nil {
		return err
	}
${post ? `	request.Header.Set("Content-Type", ${type})\n` : ''}	wechat := &http.Client{Transport: c.Transport(${owner(endpoint, target)})}
	response, err := wechat.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if err := client.Problem(response); err != nil { // the gateway's own answer, not WeChat's
		return err
	}
	reply, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
${endpoint.response_kind === 'json' ? '	fmt.Printf("%s\\n", reply)\n	return nil' : '	fmt.Println(response.Header.Get("Content-Type"), len(reply))\n	return os.WriteFile("reply", reply, 0o600)'}
`,
  );
}
