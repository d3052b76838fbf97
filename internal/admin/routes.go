package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Route is one route of the REST API.
type Route struct {
	Method  string
	Pattern string // of net/http
	Summary string
	handle  func(*API, *http.Request) (reply, error)
}

var routes = []Route{
	{"GET", "/v1/authorizers", "list authorizers", (*API).listAuthorizers},
	{"GET", "/v1/authorizers/{appid}", "one authorizer", (*API).getAuthorizer},
	{"GET", "/v1/authorizers/{appid}/access-token", "a valid access token", (*API).getToken},
	{"POST", "/v1/authorizers/{appid}/access-token/invalid", "report a token that WeChat refused", (*API).invalidateToken},
	{"POST", "/v1/authorizers/{appid}/refresh", "refresh the access token now", (*API).refreshToken},
	{"GET", "/v1/authorization-links", "list authorization links", (*API).listLinks},
	{"POST", "/v1/authorization-links", "make an authorization link", (*API).createLink},
	{"GET", "/v1/authorization-links/{id}", "one authorization link", (*API).getLink},
	{"GET", "/v1/components", "list components", (*API).listComponents},
	{"POST", "/v1/components", "add a component or replace its credentials", (*API).putComponent},
	{"GET", "/v1/components/{appid}", "one component", (*API).getComponent},
	{"GET", "/v1/jobs", "list the jobs of this replica", (*API).listJobs},
	{"POST", "/v1/jobs", "start a job: rekey", (*API).startJob},
	{"GET", "/v1/jobs/{id}", "how far a job has come", (*API).getJob},
}

// Routes returns every route of the REST API.
func Routes() []Route { return slices.Clone(routes) }

// reply is a success.
type reply struct {
	status int // 200 if zero
	body   any
}

func (a *API) serve(route Route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		reply, err := route.handle(a, r)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		if reply.status == 0 {
			reply.status = http.StatusOK
		}
		writeJSON(w, "application/json", reply.status, reply.body)
	}
}

func writeJSON(w http.ResponseWriter, contentType string, status int, body any) {
	header := w.Header()
	header.Set("Content-Type", contentType)
	// No reply of the API may be kept: some hold tokens, all are out of date at once.
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body) // the client went away
}

// maxBody bounds the body of a request.
const maxBody = 64 << 10

// decode reads a request's JSON object into body. It takes no unknown fields and
// nothing behind the object.
func decode(r *http.Request, body any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(body)
	if err == nil {
		if _, err = decoder.Token(); err == nil {
			err = errors.New("there is something behind the JSON object")
		} else if errors.Is(err, io.EOF) {
			return nil
		}
	}
	var tooLarge *http.MaxBytesError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &tooLarge):
		return bodyTooLarge
	case errors.As(err, &wrongType):
		if wrongType.Field == "" {
			return badRequest.with("the body has to be a JSON object", "请求体须为 JSON 对象")
		}
		return badRequest.field(wrongType.Field, "has the wrong type", "类型错误")
	case errors.Is(err, io.EOF):
		return badRequest.with("the body is empty, a JSON object is needed", "请求体为空，需要 JSON 对象")
	}
	// What is left is malformed JSON or an unknown field, which the text names.
	return badRequest.with(strings.TrimPrefix(err.Error(), "json: "), "请求体不是合法的 JSON，或含有未知字段")
}

// query reads the parameters of a list. All names have to be known, and given once.
type query struct {
	values url.Values
	err    error
}

func parseQuery(r *http.Request, known ...string) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &query{values: values}
	if err != nil {
		q.err = badRequest.with("the query is malformed", "查询参数格式错误")
		return q
	}
	for name, given := range values {
		switch {
		case !slices.Contains(known, name):
			q.err = badRequest.field(name, "unknown parameter", "未知参数")
		case len(given) > 1:
			q.err = badRequest.field(name, "is given more than once", "重复给出")
		}
	}
	return q
}

func (q *query) text(name string) string { return q.values.Get(name) }

func (q *query) number(name string, least, most, otherwise int) int {
	text := q.values.Get(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		q.err = badRequest.field(name, "must be a number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most), "须为 "+strconv.Itoa(least)+" 至 "+strconv.Itoa(most)+" 的整数")
		return otherwise
	}
	return n
}

func (q *query) choice(name string, choices ...string) string {
	text := q.values.Get(name)
	if text != "" && !slices.Contains(choices, text) {
		q.err = badRequest.field(name, "must be one of "+strings.Join(choices, ", "), "取值为 "+strings.Join(choices, "、"))
		return ""
	}
	return text
}

const (
	defaultLimit = 100
	maxLimit     = 500
)

// limit reads how many items a page of a list has.
func (q *query) limit() int { return q.number("limit", 1, maxLimit, defaultLimit) }

// list is a page of a list. NextCursor is "" on the last one.
type list[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor"`
}
