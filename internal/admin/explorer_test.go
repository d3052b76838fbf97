package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/doctor"
	"github.com/tuoguan/tuoguan/internal/gateway"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// explored is what a world is asked for by those who look around in it, and what it says.
type explored struct {
	requests []gateway.Request
	answer   gateway.Answer
	failure  error

	options map[string]string // by name; one that is missing is refused with 61007
	verify  func() error
}

func (w *world) doctor(context.Context) doctor.Report {
	return doctor.Report{OK: true, Checks: []doctor.Check{{Name: "clock", Status: doctor.OK, Detail: "agrees", DetailZh: "一致"}}}
}

func (w *world) GetAuthorizerOptionV2(_ context.Context, _ tuoguan.Authorization, name string) (string, error) {
	if value, ok := w.explored.options[name]; ok {
		return value, nil
	}
	return "", &wxapi.APIError{Op: "get_authorizer_option", Code: 61007, Class: wxapi.ErrPermission}
}

func (w *world) SetAuthorizerOptionV2(_ context.Context, _ tuoguan.Authorization, name, value string) error {
	if w.explored.options == nil {
		return nil
	}
	if _, ok := w.explored.options[name]; !ok {
		return &wxapi.APIError{Op: "set_authorizer_option", Code: 61007, Class: wxapi.ErrPermission}
	}
	w.explored.options[name] = value
	return nil
}

func (w *world) Verify(context.Context, tuoguan.Authorization) error {
	if w.explored.verify == nil {
		return nil
	}
	return w.explored.verify()
}

func (busy) Recent(a tuoguan.Authorization) ([]gateway.RecentCall, []gateway.SeenQuota) {
	if a != (tuoguan.Authorization{Component: component, Authorizer: account}) {
		return []gateway.RecentCall{}, []gateway.SeenQuota{}
	}
	return []gateway.RecentCall{{At: expiry, Method: "GET", Path: "/cgi-bin/user/get", Status: 200, Caller: "crm"}},
		[]gateway.SeenQuota{{Path: "/cgi-bin/user/get", Remaining: 7, At: expiry}}
}

func (b busy) Do(ctx context.Context, request gateway.Request) (gateway.Answer, error) {
	q := store.AuthorizerQuery{Authorizer: request.Authorizer, Limit: 2}
	if known, err := b.w.store.Authorizers(ctx, q); err != nil {
		return gateway.Answer{}, err
	} else if q.Reach = request.Caller.Reach(); len(known) > 0 {
		if reached, err := b.w.store.Authorizers(ctx, q); err != nil || len(reached) == 0 {
			return gateway.Answer{}, problem.UnknownAuthorizer
		}
	}
	b.w.explored.requests = append(b.w.explored.requests, request)
	return b.w.explored.answer, b.w.explored.failure
}

// replied demands a status and decodes a reply.
func replied[T any](t *testing.T, r response, status int) (v T) {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	r := w.call("GET", "/v1/catalogue", "")
	all := replied[struct {
		Items []struct {
			ID, Title, Path string
			TitleZh         string `json:"title_zh"`
			PermissionSets  []int  `json:"permission_sets"`
		}
	}](t, r, http.StatusOK)
	if len(all.Items) < 400 {
		t.Errorf("%d endpoints", len(all.Items))
	}
	for _, e := range all.Items {
		if e.Title == "" || e.TitleZh == "" || e.PermissionSets == nil {
			t.Errorf("%+v", e)
		}
	}
	if again := w.callWith("If-None-Match", r.header.Get("ETag"), "GET", "/v1/catalogue", ""); again.status != http.StatusNotModified {
		t.Errorf("with its ETag: %d", again.status)
	}
	one := replied[struct {
		Body     string
		Request  []struct{ Name, Type, Required string }
		Errcodes []struct {
			Code    int
			Meaning string
		}
	}](t, w.call("GET", "/v1/catalogue/commit", ""), http.StatusOK)
	if one.Body != "json" || !slices.ContainsFunc(one.Request, func(f struct{ Name, Type, Required string }) bool {
		return f.Name == "template_id" && f.Type == "integer" && f.Required == "yes"
	}) || len(one.Errcodes) == 0 || one.Errcodes[0].Meaning == "" {
		t.Errorf("%+v", one)
	}
	if r := w.call("GET", "/v1/catalogue/nothing", ""); r.status != http.StatusNotFound || r.name(t) != "unknown-endpoint" {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestPermissionSetsAndErrcodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	sets := replied[struct {
		Items []struct {
			ID        int
			Name      string
			Kind      string
			Exclusive bool
		}
	}](t, w.call("GET", "/v1/permission-sets", ""), http.StatusOK)
	kinds := make(map[int]string)
	for _, s := range sets.Items {
		kinds[s.ID] = s.Kind
		if s.ID == 18 && !s.Exclusive || s.ID == 1 && s.Exclusive {
			t.Errorf("%+v", s)
		}
	}
	if kinds[1] != "official_account" || kinds[18] != "mini_program" || kinds[143] != "channels" {
		t.Errorf("kinds: %v", kinds)
	}
	for code, want := range map[string]string{"45009": "quota", "61003": "not_authorized", "0": "ok", "-1": "busy", "999999": "bug"} {
		e := replied[struct {
			Class     string
			Known     bool
			MeaningZh string `json:"meaning_zh"`
		}](t, w.call("GET", "/v1/errcodes/"+code, ""), http.StatusOK)
		if e.Class != want || e.MeaningZh == "" || e.Known != (code != "999999") {
			t.Errorf("%s: %+v", code, e)
		}
	}
	if r := w.call("GET", "/v1/errcodes/many", ""); r.status != http.StatusBadRequest {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestCallWeChat(t *testing.T) {
	t.Parallel()
	header := http.Header{"Content-Type": {"application/json; encoding=utf-8"}}
	type want struct {
		request        gateway.Request
		body, text, b6 string
		errcode        int
		explained      string
	}
	for name, test := range map[string]struct {
		body   string
		answer gateway.Answer
		want   want
	}{
		"by id": {
			`{"authorizer_appid":"` + string(account) + `","endpoint":"user_info","query":{"openid":"o1"}}`,
			gateway.Answer{Status: 200, Header: header, Body: []byte(`{"subscribe":1,"id":12345678901234567890}`)},
			want{request: gateway.Request{Authorizer: account, Method: "GET", Path: "/cgi-bin/user/info", Query: url.Values{"openid": {"o1"}}}, body: `{"subscribe":1,"id":12345678901234567890}`},
		},
		"what is fixed is put in": {
			`{"authorizer_appid":"` + string(account) + `","endpoint":"get_history_versions"}`,
			gateway.Answer{Status: 200, Header: header, Body: []byte(`{}`)},
			want{request: gateway.Request{Authorizer: account, Method: "GET", Path: "/wxa/revertcoderelease", Query: url.Values{"action": {"get_history_version"}}}, body: `{}`},
		},
		"by path, refused": {
			`{"authorizer_appid":"` + string(account) + `","component_appid":"` + string(component) + `","method":"POST","path":"/cgi-bin/message/custom/send","body":{"touser":"o1","big":12345678901234567890}}`,
			gateway.Answer{Status: 200, Header: header, Errcode: 45015, Body: []byte(`{"errcode":45015,"errmsg":"too late"}`)},
			want{
				request: gateway.Request{Authorizer: account, Component: component, Method: "POST", Path: "/cgi-bin/message/custom/send", Query: url.Values{}, Body: []byte(`{"touser":"o1","big":12345678901234567890}`)},
				body:    `{"errcode":45015,"errmsg":"too late"}`, errcode: 45015, explained: "user",
			},
		},
		"the component's own, of an account": {
			`{"authorizer_appid":"` + string(account) + `","component_appid":"` + string(component) + `","endpoint":"get_templates"}`,
			gateway.Answer{Status: 200, Header: header, Body: []byte(`{"template_list":[]}`)},
			want{request: gateway.Request{Component: component, Method: "GET", Path: "/wxa/gettemplatelist", Query: url.Values{}}, body: `{"template_list":[]}`},
		},
		"a POST has a body": {
			`{"authorizer_appid":"` + string(account) + `","endpoint":"release"}`,
			gateway.Answer{Status: 200, Header: header, Body: []byte(`{"errcode":0}`)},
			want{request: gateway.Request{Authorizer: account, Method: "POST", Path: "/wxa/release", Query: url.Values{}, Body: []byte(`{}`)}, body: `{"errcode":0}`},
		},
		"tokens are masked": {
			`{"authorizer_appid":"` + string(account) + `","endpoint":"jscode2session","query":{"js_code":"c"}}`,
			gateway.Answer{Status: 200, Header: header, Body: []byte(`{"openid":"o1","n":12345678901234567890,"session_key":"SECRET","more":[{"access_token":"SECRET"}]}`)},
			want{
				request: gateway.Request{Authorizer: account, Method: "GET", Path: "/sns/component/jscode2session", Query: url.Values{"js_code": {"c"}, "grant_type": {"authorization_code"}}},
				body:    `{"more":[{"access_token":"***"}],"n":12345678901234567890,"openid":"o1","session_key":"***"}`,
			},
		},
		"tickets are masked": {
			`{"authorizer_appid":"` + string(account) + `","endpoint":"jsapi_ticket","query":{"type":"jsapi"}}`,
			gateway.Answer{Status: 200, Header: header, Body: []byte(`{"ticket":"SECRET"}`)},
			want{request: gateway.Request{Authorizer: account, Method: "GET", Path: "/cgi-bin/ticket/getticket", Query: url.Values{"type": {"jsapi"}}}, body: `{"ticket":"***"}`},
		},
		"a file": {
			`{"authorizer_appid":"` + string(account) + `","endpoint":"get_wxacode","body":{"path":"p"}}`,
			gateway.Answer{Status: 200, Header: http.Header{"Content-Type": {"image/jpeg"}}, Body: []byte{0xff, 0xd8, 0xff}},
			want{request: gateway.Request{Authorizer: account, Method: "POST", Path: "/wxa/getwxacode", Query: url.Values{}, Body: []byte(`{"path":"p"}`)}, body: `null`, b6: "/9j/"},
		},
		"a text": {
			`{"authorizer_appid":"` + string(account) + `","method":"GET","path":"/wxa/unknown"}`,
			gateway.Answer{Status: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte("hello")},
			want{request: gateway.Request{Authorizer: account, Method: "GET", Path: "/wxa/unknown", Query: url.Values{}}, body: `null`, text: "hello"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, key)
			w.explored.answer = test.answer
			raw := w.call("POST", "/v1/calls", test.body)
			got := replied[struct {
				Status      int
				Body        json.RawMessage
				Text        string
				Base64      string
				Errcode     int
				Explanation *struct{ Class string }
				RequestID   string `json:"request_id"`
			}](t, raw, http.StatusOK)
			if len(w.explored.requests) != 1 {
				t.Fatalf("%d requests", len(w.explored.requests))
			}
			request := w.explored.requests[0]
			if request.Caller.KeyID != access.BootstrapID || request.ID != got.RequestID || got.RequestID != raw.header.Get("X-Request-Id") {
				t.Errorf("the request is %q's, %q", request.Caller.KeyID, request.ID)
			}
			request.Caller, request.ID = access.Caller{}, ""
			if diff := cmp.Diff(test.want.request, request); diff != "" {
				t.Error(diff)
			}
			if string(got.Body) != test.want.body || got.Text != test.want.text || got.Base64 != test.want.b6 || got.Errcode != test.want.errcode {
				t.Errorf("%s", raw.body)
			}
			if (got.Explanation == nil) != (test.want.explained == "") || got.Explanation != nil && got.Explanation.Class != test.want.explained {
				t.Errorf("explained as %v", got.Explanation)
			}
			if strings.Contains(raw.body, "SECRET") {
				t.Errorf("a secret is shown: %s", raw.body)
			}
			entries, err := w.PageBackwards(t.Context(), 0, 1)
			if err != nil || len(entries) != 1 || entries[0].Operation != "call-wechat" || entries[0].Target != request.Method+" "+request.Path {
				t.Errorf("recorded %+v, %v", entries, err)
			}
		})
	}
}

func TestCallWeChatRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	for body, want := range map[string]string{
		`{"endpoint":"user_info"}`:                                                            "bad-request",
		`{"authorizer_appid":"wxaaaaaaaaaaaaaaaa"}`:                                           "bad-request",
		`{"authorizer_appid":"wxaaaaaaaaaaaaaaaa","endpoint":"user_info","path":"/x"}`:        "bad-request",
		`{"authorizer_appid":"wxaaaaaaaaaaaaaaaa","endpoint":"nothing"}`:                      "invalid-field",
		`{"authorizer_appid":"wxaaaaaaaaaaaaaaaa","endpoint":"media_upload"}`:                 "invalid-field",
		`{"authorizer_appid":"wxaaaaaaaaaaaaaaaa","method":"GET","path":"/x/y","body":{}}`:    "invalid-field",
		`{"authorizer_appid":"wxaaaaaaaaaaaaaaaa","endpoint":"user_info","query":{"a":true}}`: "bad-request",
	} {
		if r := w.call("POST", "/v1/calls", body); r.name(t) != want {
			t.Errorf("%s: %s", body, r.body)
		}
	}
	if len(w.explored.requests) != 0 {
		t.Errorf("called: %v", w.explored.requests)
	}
	w.explored.failure = problem.PathRefused
	usual := `{"authorizer_appid":"wxaaaaaaaaaaaaaaaa","endpoint":"user_info"}`
	if r := w.call("POST", "/v1/calls", usual); r.status != http.StatusForbidden || r.name(t) != "path-refused" {
		t.Errorf("%d %s", r.status, r.body)
	}
	w.auditFails = true
	before := len(w.explored.requests)
	if r := w.call("POST", "/v1/calls", usual); r.name(t) != "storage-unavailable" || len(w.explored.requests) != before {
		t.Errorf("what could not be recorded was done: %s", r.body)
	}
}

func TestAuthorizerCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.addComponent(component)
	w.authorize(component, account, "")
	got := replied[struct {
		Items []gateway.RecentCall
		Quota []gateway.SeenQuota
	}](t, w.call("GET", "/v1/authorizers/"+string(account)+"/calls", ""), http.StatusOK)
	if len(got.Items) != 1 || got.Items[0].Path != "/cgi-bin/user/get" || len(got.Quota) != 1 || got.Quota[0].Limit != nil || got.Quota[0].Remaining != 7 {
		t.Errorf("%+v", got)
	}
	if r := w.call("GET", "/v1/authorizers/wxbbbbbbbbbbbbbbbb/calls", ""); r.name(t) != "unknown-authorizer" {
		t.Errorf("%s", r.body)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.addComponent(component)
	w.authorize(component, account, "") // grants sets 1 and 7
	w.explored.options = map[string]string{"voice_recognize": "0"}
	target := "/v1/authorizers/" + string(account) + "/options"
	type shown struct {
		Name, Value, Error string
		Writable           bool
		Values             []struct{ Value, Title string }
	}
	all := replied[struct{ Items []shown }](t, w.call("GET", target, ""), http.StatusOK).Items
	if len(all) != 3 {
		t.Fatalf("%+v", all)
	}
	for _, o := range all {
		if granted := o.Name == "voice_recognize"; o.Writable != granted || (o.Error == "") != granted || granted && o.Value != "0" || len(o.Values) < 2 {
			t.Errorf("%+v", o)
		}
	}
	if o := replied[shown](t, w.call("PUT", target+"/voice_recognize", `{"value":"1"}`), http.StatusOK); o.Value != "1" || w.explored.options["voice_recognize"] != "1" {
		t.Errorf("%+v", o)
	}
	entries, err := w.PageBackwards(t.Context(), 0, 1)
	if err != nil || len(entries) != 1 || entries[0].Operation != "put-authorizer-option" || entries[0].Target != "voice_recognize" || entries[0].Detail["value"] != "1" {
		t.Errorf("recorded %+v, %v", entries, err)
	}
	for path, want := range map[string]string{"/voice_recognize": "invalid-field", "/nothing": "no-such-route"} {
		if r := w.call("PUT", target+path, `{"value":"2"}`); r.name(t) != want {
			t.Errorf("%s: %s", path, r.body)
		}
	}
	if r := w.call("PUT", target+"/location_report", `{"value":"2"}`); r.name(t) != "wechat-refused" || r.problem(t).Errcode != 61007 {
		t.Errorf("%s", r.body)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.addComponent(component)
	w.authorize(component, account, "")
	of := tuoguan.Authorization{Component: component, Authorizer: account}
	target := "/v1/authorizers/" + string(account) + "/verify"
	type shown struct {
		Authorizer struct {
			NickName string `json:"nick_name"`
			State    string
		}
		Changed []string
		Problem *string
	}
	if got := replied[shown](t, w.call("POST", target, ""), http.StatusOK); len(got.Changed) != 0 || got.Problem != nil || got.Authorizer.State != "active" {
		t.Errorf("nothing has changed: %+v", got)
	}
	w.explored.verify = func() error {
		return w.store.SaveProfile(t.Context(), of, store.Profile{Grant: 1, NickName: "New name", Kind: tuoguan.KindOfficialAccount, PermissionSets: []tuoguan.PermissionSet{1}, ReadAt: time.Now()})
	}
	got := replied[shown](t, w.call("POST", target, ""), http.StatusOK)
	if diff := cmp.Diff([]string{"kind", "nick_name", "permission_sets"}, got.Changed); diff != "" || got.Authorizer.NickName != "New name" {
		t.Errorf("%s\n%+v", diff, got)
	}
	w.explored.verify = func() error { return fmt.Errorf("verify: %w", keeper.ErrNeedsReauthorization) }
	if got := replied[shown](t, w.call("POST", target, ""), http.StatusOK); got.Problem == nil || *got.Problem != problem.NeedsReauthorization.Detail {
		t.Errorf("%+v", got)
	}
	w.explored.verify = func() error { return errors.Join(keeper.ErrStorage) }
	if r := w.call("POST", target, ""); r.name(t) != "storage-unavailable" {
		t.Errorf("%s", r.body)
	}
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	if got := replied[doctor.Report](t, w.call("POST", "/v1/doctor", ""), http.StatusOK); !got.OK || len(got.Checks) != 1 {
		t.Errorf("%+v", got)
	}
}
