package gateway_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/gateway"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/simulator"
)

// operator is a caller who came in by another door than the listener's.
var operator = access.Caller{KeyID: "user:1", Name: "Ming", Scope: access.Scope{Operations: []access.Operation{access.CallGateway}}}

func TestDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	request := gateway.Request{
		Caller: operator, ID: "request-1", Authorizer: tuoguan.AuthorizerAppID(w.account),
		Method: http.MethodGet, Path: "/cgi-bin/user/get", Query: url.Values{"next_openid": {"secret-cursor"}, "access_token": {"somebody's"}},
	}
	answer, err := w.gateway.Do(t.Context(), request)
	if err != nil || answer.Status != http.StatusOK || answer.Errcode != 0 || !json.Valid(answer.Body) || answer.Cut {
		t.Fatalf("%d %s, %v", answer.Status, answer.Body, err)
	}
	if observed := w.lastCall(); observed.KeyID != "user:1" || observed.Endpoint != "/cgi-bin/user/get" || observed.Authorizer != tuoguan.AuthorizerAppID(w.account) {
		t.Errorf("observed %+v", observed)
	}

	request = gateway.Request{
		Caller: operator, ID: "request-2", Authorizer: tuoguan.AuthorizerAppID(w.account), Component: tuoguan.ComponentAppID(w.component),
		Method: http.MethodPost, Path: "/cgi-bin/openapi/quota/get", Body: []byte(`{"cgi_path":"/cgi-bin/user/info"}`),
	}
	if answer, err = w.gateway.Do(t.Context(), request); err != nil || answer.Errcode != 0 {
		t.Fatalf("%s, %v", answer.Body, err)
	}
	calls, quotas := w.gateway.Recent(tuoguan.Authorization{Component: tuoguan.ComponentAppID(w.component), Authorizer: tuoguan.AuthorizerAppID(w.account)})
	if len(calls) != 2 || calls[0].RequestID != "request-2" || calls[0].Method != "POST" || calls[1].Path != "/cgi-bin/user/get" || calls[1].Caller != "Ming" || calls[1].Status != 200 || time.Since(calls[1].At) > time.Minute {
		t.Errorf("recent calls: %+v", calls)
	}
	if len(quotas) != 1 || quotas[0].Path != "/cgi-bin/user/info" || quotas[0].Limit == nil || *quotas[0].Limit == 0 || *quotas[0].Limit-*quotas[0].Used != quotas[0].Remaining {
		t.Errorf("quotas: %+v", quotas)
	}
	if shown := fmt.Sprintf("%+v %+v", calls, quotas); strings.Contains(shown, "secret-cursor") || strings.Contains(shown, "somebody") {
		t.Errorf("the recent calls tell of queries: %s", shown)
	}
}

func TestDoKeepsTheRules(t *testing.T) {
	t.Parallel()
	s, _ := newStub(t, options{}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"errcode":0,"echo":%q}`, r.URL.Query().Get("access_token"))
	})
	narrow := operator
	narrow.Scope.Paths = []string{"/wxa/*"}
	elsewhere := operator
	elsewhere.Scope.Authorizers = []tuoguan.AuthorizerAppID{"wxbbbbbbbbbbbbbbbb"}
	reader := operator
	reader.Scope.Operations = []access.Operation{access.ReadAuthorizers}
	usual := gateway.Request{Caller: operator, Authorizer: stubAccount, Method: "GET", Path: "/cgi-bin/user/get"}
	for name, test := range map[string]struct {
		change func(*gateway.Request)
		want   error
	}{
		"usual":             {func(*gateway.Request) {}, nil},
		"no operation":      {func(r *gateway.Request) { r.Caller = reader }, problem.MissingScope},
		"path not in scope": {func(r *gateway.Request) { r.Caller = narrow }, problem.MissingScope},
		"out of reach":      {func(r *gateway.Request) { r.Caller = elsewhere }, problem.UnknownAuthorizer},
		"token call":        {func(r *gateway.Request) { r.Path = "/cgi-bin/token" }, problem.PathRefused},
		"keeper's call":     {func(r *gateway.Request) { r.Path = "/cgi-bin/component/api_query_auth" }, problem.PathRefused},
		"query in the path": {func(r *gateway.Request) { r.Path += "?access_token=x" }, problem.PathRefused},
		"path upwards":      {func(r *gateway.Request) { r.Path = "/wxa/../cgi-bin/token" }, problem.PathRefused},
		"path in the appid": {func(r *gateway.Request) { r.Authorizer += "/cgi-bin" }, problem.PathRefused},
		"method":            {func(r *gateway.Request) { r.Method = "DELETE" }, problem.InvalidField},
		"unknown account":   {func(r *gateway.Request) { r.Authorizer = "wxcccccccccccccccc" }, problem.UnknownAuthorizer},
		"other component":   {func(r *gateway.Request) { r.Component = "wxffffffffffffffff" }, problem.UnknownAuthorizer},
		"component's own":   {func(r *gateway.Request) { r.Authorizer, r.Component = "", stubComponent }, problem.PathRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := usual
			test.change(&request)
			answer, err := s.gateway.Do(t.Context(), request)
			if test.want == nil {
				if err != nil || answer.Status != 200 || strings.Contains(string(answer.Body), "stubToken") {
					t.Errorf("%d %s %v", answer.Status, answer.Body, err)
				}
				return
			}
			if !errors.Is(err, test.want) || len(answer.Body) > 0 {
				t.Errorf("got %v and %s, want %v", err, answer.Body, test.want)
			}
		})
	}
}

func TestDoOfLongAndBrokenReplies(t *testing.T) {
	t.Parallel()
	s, _ := newStub(t, options{}, func(w http.ResponseWriter, r *http.Request) {
		size := gateway.MaxAnswer
		switch r.URL.Query().Get("what") {
		case "long":
			size++
		case "broken":
			w.Header().Set("Content-Length", fmt.Sprint(2*size))
		}
		w.Header().Set("Content-Type", "image/jpeg")
		_, _ = w.Write([]byte(strings.Repeat("x", size)))
	})
	get := func(what string) (gateway.Answer, error) {
		return s.gateway.Do(t.Context(), gateway.Request{
			Caller: operator, Authorizer: stubAccount, Method: "GET", Path: "/cgi-bin/media/get", Query: url.Values{"what": {what}},
		})
	}
	if answer, err := get("fits"); err != nil || len(answer.Body) != gateway.MaxAnswer || answer.Cut {
		t.Errorf("one that fits: %d bytes, %v %v", len(answer.Body), answer.Cut, err)
	}
	if answer, err := get("long"); err != nil || len(answer.Body) != 0 || !answer.Cut || answer.Status != 200 {
		t.Errorf("one that is too long: %d bytes, %v %v", len(answer.Body), answer.Cut, err)
	}
	// As long as it fits, it is found out only in the end that it broke off.
	if _, err := get("broken"); !errors.Is(problem.Of(err), problem.WeChatNonsense) {
		t.Errorf("one that breaks off: %v", err)
	}
}

// Where a quota is used up, no call is made, by whichever door.
func TestDoAfterTheQuota(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.faults(func(f *simulator.Faults) { f.QuotaExhausted = 1 })
	request := gateway.Request{Caller: operator, Authorizer: tuoguan.AuthorizerAppID(w.account), Method: "GET", Path: "/cgi-bin/user/get"}
	if answer, err := w.gateway.Do(t.Context(), request); err != nil || answer.Errcode != 45009 {
		t.Fatalf("%s %v", answer.Body, err)
	}
	if _, err := w.gateway.Do(t.Context(), request); !errors.Is(err, problem.QuotaExhausted) {
		t.Errorf("got %v", err)
	}
	calls, quotas := w.gateway.Recent(tuoguan.Authorization{Component: tuoguan.ComponentAppID(w.component), Authorizer: tuoguan.AuthorizerAppID(w.account)})
	if len(calls) != 2 || calls[0].Problem != "quota-exhausted" || calls[1].Errcode != 45009 {
		t.Errorf("recent calls: %+v", calls)
	}
	if len(quotas) != 1 || quotas[0].Limit != nil || quotas[0].Remaining != 0 {
		t.Errorf("quotas: %+v", quotas)
	}
}
