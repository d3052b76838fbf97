package admin

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/gateway"
	"github.com/tuoguan/tuoguan/internal/gateway/catalogue"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/wxapi"
)

type callBody struct {
	ComponentAppID  tuoguan.ComponentAppID  `json:"component_appid,omitempty" doc:"Whose call it is; with authorizer_appid, needed only where the account has authorized several components · 第三方平台；已指定账号时仅在账号授权了多个平台时需要"`
	AuthorizerAppID tuoguan.AuthorizerAppID `json:"authorizer_appid,omitempty" doc:"The account to call for; empty for a call of the component's own · 代哪个账号调用；第三方平台自身的接口留空"`
	Endpoint        string                  `json:"endpoint,omitempty" doc:"Its id in the catalogue; or else method and path · 接口目录中的 id，或改用 method 与 path"`
	Method          string                  `json:"method,omitempty" enum:"GET,POST"`
	Path            string                  `json:"path,omitempty" doc:"Such as /cgi-bin/user/info · 如 /cgi-bin/user/info"`
	Query           map[string]string       `json:"query,omitempty" doc:"Besides the token, which is put in · 查询参数，令牌由服务填入"`
	Body            json.RawMessage         `json:"body,omitempty" doc:"JSON, sent as it is; a POST without one sends {} · 原样发送的 JSON；POST 缺省发送 {}"`
}

// calledAnswer is WeChat's reply to a call.
type calledAnswer struct {
	Status      int             `json:"status" doc:"HTTP status · HTTP 状态码"`
	ContentType string          `json:"content_type"`
	Body        json.RawMessage `json:"body" doc:"The reply, if it is JSON; tokens in it are masked · JSON 应答，其中的令牌已遮盖"`
	Text        string          `json:"text" doc:"The reply, if it is text · 文本应答"`
	Base64      string          `json:"base64" doc:"The reply, if it is a file · 文件应答"`
	TooLong     bool            `json:"too_long" doc:"The reply is longer than 1 MiB and not shown: call through the gateway · 应答超过 1 MiB 未返回，请通过网关调用"`
	Errcode     int             `json:"errcode"`
	Errmsg      string          `json:"errmsg"`
	Explanation *explanation    `json:"explanation" doc:"What the errcode means; null for 0 · 错误码说明，0 时为 null"`
	DurationMS  int64           `json:"duration_ms"`
	RequestID   string          `json:"request_id"`
}

type callWeChatInput struct{ Input[callBody] }

// callWeChat makes any call that the gateway passes on, as the gateway does it.
func (a *API) callWeChat(ctx context.Context, in *callWeChatInput) (*output[calledAnswer], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	request, err := body.request()
	if err != nil {
		return nil, err
	}
	c := callOf(ctx)
	request.Caller, request.ID = c.Caller, c.request
	if err := a.record(ctx, tuoguan.Authorization{Component: request.Component, Authorizer: request.Authorizer}, request.Method+" "+request.Path, nil); err != nil {
		return nil, err
	}
	began := time.Now()
	answer, err := a.cfg.Gateway.Do(ctx, request)
	if err != nil {
		return nil, err
	}
	shown := calledAnswer{
		Status: answer.Status, ContentType: answer.Header.Get("Content-Type"), Errcode: answer.Errcode, TooLong: answer.Cut,
		DurationMS: time.Since(began).Milliseconds(), RequestID: c.request,
	}
	shown.read(request.Path, answer.Body)
	if shown.Errcode != 0 {
		shown.Explanation = &explanation{Errcode: showErrcode(wxapi.Explain(shown.Errcode))}
	}
	return &output[calledAnswer]{http.StatusOK, shown}, nil
}

// request checks what is to be called.
func (b callBody) request() (gateway.Request, error) {
	r := gateway.Request{Component: b.ComponentAppID, Authorizer: b.AuthorizerAppID, Method: b.Method, Path: b.Path, Query: make(url.Values), Body: b.Body}
	switch {
	case b.ComponentAppID == "" && b.AuthorizerAppID == "":
		return r, problem.BadRequest.Field("authorizer_appid", "is required, or component_appid for a call of the component's own", "必填；调用第三方平台自身接口时填写 component_appid")
	case b.Endpoint != "" && (b.Method != "" || b.Path != ""):
		return r, problem.BadRequest.Field("endpoint", "cannot be given together with method and path", "不能与 method、path 同时给出")
	case b.Endpoint == "" && b.Path == "":
		return r, problem.BadRequest.Field("endpoint", "is required, or method and path", "必填，或给出 method 与 path")
	}
	for name, value := range b.Query {
		r.Query.Set(name, value)
	}
	if b.Endpoint != "" {
		e, ok, err := catalogue.Find(b.Endpoint)
		switch {
		case err != nil:
			return r, err
		case !ok:
			return r, problem.InvalidField.Field("endpoint", "is not in the catalogue", "不在接口目录中")
		}
		r.Method, r.Path = e.Method, e.Path
		for _, f := range e.Query {
			if fixed, ok := f.Fixed(); ok && !r.Query.Has(f.Name) {
				r.Query.Set(f.Name, fixed)
			}
		}
	}
	known, _ := catalogue.Lookup(r.Path)
	switch {
	case known.Multipart:
		return r, problem.InvalidField.Field("endpoint", "takes a file; upload it through the gateway", "该接口上传文件，请通过网关调用")
	case r.Method == http.MethodGet && len(r.Body) > 0:
		return r, problem.InvalidField.Field("body", "cannot be sent with GET", "GET 请求不能携带请求体")
	case r.Method == http.MethodPost && len(r.Body) == 0:
		r.Body = []byte("{}") // WeChat refuses an empty one
	}
	if known.Token == catalogue.ComponentToken && !known.AppID && r.Component != "" {
		r.Authorizer = "" // it is the component's own, whichever account it concerns
	}
	return r, nil
}

// read takes the body of a reply apart.
func (s *calledAnswer) read(path string, body []byte) {
	var fields map[string]any
	switch {
	case len(body) == 0:
	case json.Valid(body):
		s.Body = masked(path, body)
		if json.Unmarshal(body, &fields) == nil {
			s.Errmsg, _ = fields["errmsg"].(string)
		}
	case utf8.Valid(body):
		s.Text = string(body)
	default:
		s.Base64 = base64.StdEncoding.EncodeToString(body)
	}
	if s.Body == nil {
		s.Body = json.RawMessage("null")
	}
}

// secretFields are the fields of replies that nobody is shown: who needs such a thing
// is a program, and calls through the gateway.
var secretFields = []string{
	"access_token", "refresh_token", "authorizer_access_token", "authorizer_refresh_token", "component_access_token", "component_verify_ticket",
	"session_key", "appsecret", "app_secret", "secret", "password", "tmpsecretkey", "tmpsecretid", "tmp_secret_key", "tmp_secret_id", "secretkey", "secretid", "sessiontoken",
	"encrypt_key", "encodingaeskey", "aes_key",
}

// masked returns JSON without the tokens and keys in it.
func masked(path string, text []byte) json.RawMessage {
	hidden := secretFields
	if path == "/cgi-bin/ticket/getticket" {
		hidden = append(slices.Clone(hidden), "ticket")
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber() // ids are longer than a float64 can tell
	var document any
	if decoder.Decode(&document) != nil {
		return nil
	}
	if !mask(document, hidden) {
		return text // in its own order
	}
	out, err := json.Marshal(document)
	if err != nil {
		return nil
	}
	return out
}

// mask replaces the texts of some fields, and reports whether there were any.
func mask(document any, hidden []string) (found bool) {
	switch document := document.(type) {
	case map[string]any:
		for _, name := range slices.Collect(maps.Keys(document)) {
			if text, ok := document[name].(string); ok && text != "" && slices.Contains(hidden, strings.ToLower(name)) {
				document[name], found = "***", true
			}
			found = mask(document[name], hidden) || found
		}
	case []any:
		for _, element := range document {
			found = mask(element, hidden) || found
		}
	}
	return found
}

// callHistory is what the gateway did for one account.
type callHistory struct {
	Items []gateway.RecentCall `json:"items" doc:"Of this replica, newest first · 本实例，由新到旧"`
	Quota []gateway.SeenQuota  `json:"quota" doc:"What WeChat has shown of the account's quotas · 微信告知的接口额度"`
}

type listCallsInput struct{ Account }

func (a *API) listCalls(ctx context.Context, in *listCallsInput) (*output[callHistory], error) {
	found, err := a.authorizer(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	calls, quotas := a.cfg.Gateway.Recent(found.Authorization)
	return &output[callHistory]{http.StatusOK, callHistory{calls, quotas}}, nil
}
