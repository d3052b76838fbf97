package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/problem"
)

// Route is one route of the REST API.
type Route struct {
	Method  string
	Pattern string // of net/http
	ID      string // names the operation in the OpenAPI document and in the audit log
	Summary string // English · Chinese
	// Needs is the operation that the scope of a caller has to include. It is empty where
	// one of the next two is set.
	Needs access.Operation
	// Open: anybody may call the route, with neither a key nor a session.
	Open bool
	// Own: the route concerns the session that it is called with. Every user may call it,
	// and an API key finds no session there.
	Own bool
	// Self: every user may call the route for what is the user's own, whatever the role.
	Self bool
	// Whole: the route concerns the whole installation, and is not for callers whose
	// scope is bound to components, accounts or tags.
	Whole bool
	// Status is that of a success, and Or another one, if it is not 0.
	Status, Or int
	// Problems are those that are particular to the route.
	Problems []problem.Problem
	// NotKept: the reply to a request with an Idempotency-Key is not kept, because it has
	// a token, and asking again is harmless.
	NotKept bool

	mount func(*API, *Route)
}

// changes reports whether requests may change something.
func (r *Route) changes() bool { return r.Method != http.MethodGet }

// group is the resource that the route belongs to.
func (r *Route) group() string {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.Pattern, "/v1/"), "/")
	return name
}

// needs says who may call the route, in both languages.
func (r *Route) needs() string {
	switch {
	case r.Open:
		return "Needs neither a key nor a session · 无需密钥或会话"
	case r.Own:
		return "Needs a session; an API key has none · 需要会话，API 密钥没有会话"
	}
	return "Needs " + string(r.Needs) + " · 所需权限 " + string(r.Needs)
}

// handle makes a handler fit for the table of routes.
func handle[I, O any](handler func(*API, context.Context, *I) (*O, error)) func(*API, *Route) {
	return func(a *API, route *Route) {
		operation := a.operation(route)
		huma.Register(a.rest, operation, func(ctx context.Context, in *I) (*O, error) {
			out, err := handler(a, ctx, in)
			if err != nil {
				p := problem.Of(err)
				problem.Log(ctx, a.cfg.Logger, route.Method, route.Pattern, p, err)
				return nil, failure{p}
			}
			return out, nil
		})
		if in, ok := any(new(I)).(interface{ bodyType() reflect.Type }); ok {
			registry := a.rest.OpenAPI().Components.Schemas
			operation.RequestBody.Content["application/json"].Schema = registry.Schema(in.bodyType(), true, route.ID+"Request")
			_, optional := any(in).(interface{ optional() })
			operation.RequestBody.Required = !optional
		}
	}
}

// failure is a problem as a handler of huma's returns it.
type failure struct{ problem.Problem }

func (f failure) GetStatus() int          { return f.Status }
func (failure) ContentType(string) string { return "application/problem+json" }

func (f failure) GetHeaders() http.Header {
	header := make(http.Header)
	if f.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	if f.Status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", challenge)
	}
	return header
}

// framework turns errors that huma makes by itself into problems of ours. Parameters
// and bodies are checked here, so there are few.
func framework(_ huma.Context, _ string, reply any) (any, error) {
	e, ok := reply.(*huma.ErrorModel)
	if !ok {
		return reply, nil
	}
	var p problem.Problem
	switch e.Status {
	case http.StatusBadRequest:
		p = emptyBody
	case http.StatusRequestEntityTooLarge:
		p = problem.BodyTooLarge
	case http.StatusRequestTimeout:
		p = problem.BadRequest.With("the body did not arrive in time", "请求体未能及时到达")
	case http.StatusInternalServerError:
		p = problem.BadRequest.With("the body cannot be read", "无法读取请求体")
	default:
		p = problem.BadRequest
	}
	p.Status = e.Status // is written already
	return p, nil
}

// adapter hands the routes that huma knows to the mux, behind what is common to all.
type adapter struct{ *API }

func (a adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.v1.ServeHTTP(w, r) }

// Handle implements huma.Adapter.
func (a adapter) Handle(op *huma.Operation, handler func(huma.Context)) {
	route := op.Metadata[routeKey].(*Route)
	parameters := parametersOf(op)
	if route.Or != 0 {
		op.Responses[strconv.Itoa(route.Or)] = op.Responses[strconv.Itoa(route.Status)]
	}
	if slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.Name == "If-None-Match" }) {
		op.Responses[strconv.Itoa(http.StatusNotModified)] = &huma.Response{Description: "It is as the caller has it · 未改变"}
	}
	serve := func(w http.ResponseWriter, r *http.Request) { handler(humago.NewContext(op, r, w)) }
	a.v1.HandleFunc(op.Method+" "+op.Path, func(w http.ResponseWriter, r *http.Request) {
		c := callOf(r.Context())
		err := a.admit(c, route, r.PathValue("id"))
		if err == nil {
			err = parameters.check(r.URL.RawQuery)
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		if route.changes() && !route.NotKept && r.Header["Idempotency-Key"] != nil {
			a.once(w, r, c, serve)
			return
		}
		serve(w, r)
	})
}

// Input is embedded in the input of routes that take a JSON object.
type Input[T any] struct {
	RawBody []byte `contentType:"application/json"`
}

func (Input[T]) bodyType() reflect.Type { return reflect.TypeFor[T]() }

// OptionalInput is Input for routes whose body may be left out.
type OptionalInput[T any] struct{ Input[T] }

func (OptionalInput[T]) optional() {}

func (in *OptionalInput[T]) decode() (body T, err error) {
	if len(in.RawBody) == 0 {
		return body, nil
	}
	return in.Input.decode()
}

// decode reads the JSON object. It takes no unknown fields and nothing behind the
// object.
func (in *Input[T]) decode() (body T, err error) {
	decoder := json.NewDecoder(strings.NewReader(string(in.RawBody)))
	decoder.DisallowUnknownFields()
	if err = decoder.Decode(&body); err == nil {
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			return body, nil
		}
		err = errors.New("there is something behind the JSON object")
	}
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType) && wrongType.Field == "":
		return body, problem.BadRequest.With("the body has to be a JSON object", "请求体须为 JSON 对象")
	case errors.As(err, &wrongType):
		return body, problem.BadRequest.Field(wrongType.Field, "has the wrong type", "类型错误")
	case errors.Is(err, io.EOF):
		return body, emptyBody
	}
	// What is left is malformed JSON or an unknown field, which the text names.
	return body, problem.BadRequest.With(strings.TrimPrefix(err.Error(), "json: "), "请求体不是合法的 JSON，或含有未知字段")
}

var emptyBody = problem.BadRequest.With("the body is empty, a JSON object is needed", "请求体为空，需要 JSON 对象")

// maxBody bounds the body of a request.
const maxBody = 64 << 10

// readTimeout is how long a request may take. It is longer than anything that a handler
// waits for.
const readTimeout = 40 * time.Second

// Paging is embedded in the input of lists that have pages.
type Paging struct {
	Cursor string `query:"cursor" doc:"next_cursor of the page before · 上一页的 next_cursor"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"How many items a page has · 每页条数"`
}

// maxPage is how many items a page may have at most.
const maxPage = 500

// maxScan is about how many records are looked at for one page: what is rare among
// millions must not hold a request up. The page is short then, and has a next one.
const maxScan = 5000

// list is a page of a list.
type list[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor" doc:"Where the next page begins; empty on the last one · 下一页的游标，末页为空"`
}

// output is a reply with a body and nothing else.
type output[T any] struct {
	Status int
	Body   T
}
