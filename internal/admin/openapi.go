package admin

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tuoguan/tuoguan/internal/problem"
)

// routeKey is where an operation of huma's holds its route.
const routeKey = "route"

// anywhere are the problems that every route may answer with.
var anywhere = []problem.Problem{
	problem.BadRequest, problem.Unauthorized, problem.ExpiredKey, problem.RevokedKey, problem.ForbiddenAddress, problem.MissingScope,
	problem.NoSession, problem.CrossOrigin, problem.MustChangePassword, problem.MustSetTOTP, problem.RateLimited, problem.InternalError, problem.StorageUnavailable, problem.Unavailable,
}

// groups say what the resources are.
var groups = []*huma.Tag{
	{Name: "overview", Description: "How everything is at a glance · 概览"},
	{Name: "authorizers", Description: "Accounts that have authorized a component, and their access tokens · 已授权账号及其令牌"},
	{Name: "authorization-links", Description: "Links through which merchants authorize · 商家授权链接"},
	{Name: "components", Description: "Third-party platforms · 第三方平台"},
	{Name: "events", Description: "What WeChat has pushed, and events of our own · 微信推送与自有事件"},
	{Name: "subscriptions", Description: "Who is told of which events, and where · 事件订阅"},
	{Name: "deliveries", Description: "What became of events that were to be delivered · 投递记录"},
	{Name: "gateway", Description: "What the gateway does · 网关"},
	{Name: "calls", Description: "Calls of WeChat's endpoints, made by the gateway · 通过网关调用微信接口"},
	{Name: "catalogue", Description: "WeChat's endpoints and their fields · 微信接口目录"},
	{Name: "permission-sets", Description: "What merchants can grant · 权限集"},
	{Name: "errcodes", Description: "What WeChat's errcodes mean · 微信错误码"},
	{Name: "doctor", Description: "What is wrong with the installation · 诊断"},
	{Name: "oauth", Description: "Web logins on behalf of official accounts · 公众号网页授权"},
	{Name: "api-keys", Description: "Keys of those who call this API and the gateway · API 密钥"},
	{Name: "setup", Description: "The first user of the console · 控制台初始化"},
	{Name: "session", Description: "Signing in to the console, and one's own account · 控制台登录与本人账号"},
	{Name: "users", Description: "People who use the console · 控制台用户"},
	{Name: "audit", Description: "Who did what · 审计日志"},
	{Name: "jobs", Description: "Long work of the server's · 后台任务"},
}

// register makes the API from the table of routes.
func (a *API) register() {
	format := huma.Format{Marshal: func(w io.Writer, v any) error {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(v)
	}}
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	a.rest = huma.NewAPI(huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Tuoguan · 托管", Version: "1",
				Description: "The REST API of the admin listener. Every request carries an API key, or the session of a browser that is signed in to the console; errors are problem documents in English and Chinese, see docs/problems.md.\n\n管理监听地址的 REST API。请求须携带 API 密钥或控制台会话；错误为中英双语 problem 文档，见 docs/problems.md。",
			},
			Tags: groups,
			Components: &huma.Components{
				Schemas: registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"key":     {Type: "http", Scheme: "bearer", Description: "An API key · API 密钥"},
					"session": {Type: "apiKey", In: "cookie", Name: secureCookie, Description: "The session of a browser; on a loopback host without TLS the cookie is " + loopbackCookie + " · 浏览器会话；本机回环地址且无 TLS 时 cookie 名为 " + loopbackCookie},
				},
			},
			Security: []map[string][]string{{"key": {}}, {"session": {}}},
		},
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{framework},
	}, adapter{a})
	for i := range routes {
		routes[i].mount(a, &routes[i])
	}
	requests := make(map[*huma.Schema]bool)
	for _, item := range a.rest.OpenAPI().Paths {
		for _, op := range operationsOf(item) {
			if body := op.RequestBody; body != nil && body.Content["application/json"] != nil {
				requests[registry.SchemaFromRef(body.Content["application/json"].Schema.Ref)] = true
			}
		}
	}
	schemas := registry.Map()
	delete(schemas, "ErrorModel") // huma's own, which nothing answers with
	delete(schemas, "ErrorDetail")
	for _, schema := range schemas {
		if !requests[schema] {
			schema.AdditionalProperties = nil // replies may get more fields
		}
		for name, property := range schema.Properties {
			if property.Type == huma.TypeArray && name != "wanted_permission_sets" {
				property.Nullable = false // no list of ours is null
			}
		}
	}
}

// operation describes a route.
func (a *API) operation(route *Route) huma.Operation {
	schema := a.rest.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[problem.Problem](), true, "")
	possible := append(slices.Clone(anywhere), route.Problems...)
	if route.changes() {
		possible = append(possible, problem.BodyTooLarge, problem.InvalidField)
	}
	op := huma.Operation{
		OperationID: route.ID, Method: route.Method, Path: route.Pattern, Summary: route.Summary,
		Description:   route.needs(),
		Tags:          []string{route.group()},
		DefaultStatus: route.Status,
		MaxBodyBytes:  maxBody + 1, // which is refused
		// The request ends with it, even while its handler waits for WeChat.
		BodyReadTimeout: readTimeout,
		Responses:       make(map[string]*huma.Response),
		Metadata:        map[string]any{routeKey: route},
		Extensions:      map[string]any{"x-needs": string(route.Needs)},

		SkipValidateParams: true, // see parameters
		SkipValidateBody:   true, // see Input.decode
	}
	switch {
	case route.Open:
		op.Security = []map[string][]string{{}}
	case route.Own:
		op.Security = []map[string][]string{{"session": {}}}
	}
	if route.changes() {
		op.RequestBody = &huma.RequestBody{Content: make(map[string]*huma.MediaType)}
		if !route.NotKept {
			possible = append(possible, problem.IdempotencyConflict, problem.IdempotencyRunning)
			op.Parameters = append(op.Parameters, &huma.Param{
				Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: huma.TypeString, MaxLength: new(maxIdempotencyKey)},
				Description: "A text of the caller's choice: within 24 hours the same request with the same key is made once and gets the same answer · 自定义文本：24 小时内携带相同值的同一请求只执行一次，应答相同",
			})
		}
	}
	names := make(map[int][]string)
	for _, p := range possible {
		if name := "`" + p.Name() + "`"; !slices.Contains(names[p.Status], name) {
			names[p.Status] = append(names[p.Status], name)
		}
	}
	for status, these := range names {
		op.Responses[strconv.Itoa(status)] = &huma.Response{
			Description: strings.Join(these, ", "),
			Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: schema}},
		}
	}
	return op
}

// openAPI serves the OpenAPI document in one form. It is made when somebody asks for it.
func (a *API) openAPI(contentType string, form func() ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := form()
		if err != nil {
			a.fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(text) // the caller went away
	}
}

func (a *API) json() ([]byte, error) { return json.MarshalIndent(a.rest.OpenAPI(), "", "  ") }
func (a *API) yaml() ([]byte, error) { return a.rest.OpenAPI().YAML() }

// operationsOf returns the operations of a path.
func operationsOf(item *huma.PathItem) []*huma.Operation {
	all := []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete}
	return slices.DeleteFunc(all, func(op *huma.Operation) bool { return op == nil })
}

// operations returns all operations of a group, by path.
func (a *API) operations(group string) []*huma.Operation {
	var found []*huma.Operation
	for _, item := range a.rest.OpenAPI().Paths {
		for _, op := range operationsOf(item) {
			if slices.Contains(op.Tags, group) {
				found = append(found, op)
			}
		}
	}
	slices.SortFunc(found, func(x, y *huma.Operation) int {
		return cmp.Or(strings.Compare(x.Path, y.Path), strings.Compare(x.Method, y.Method))
	})
	return found
}
