package wxapi_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/wxapi"
)

func TestCall(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		req  wxapi.CallRequest
		want seen
	}{
		{"on behalf", wxapi.CallRequest{Owner: accountToken, Path: "/wxa/modify_domain", Body: map[string]any{"action": "<get>&"}},
			seen{"POST", "/wxa/modify_domain", url.Values{"access_token": {"77_authorizerTokenOfTheTest"}}, `{"action":"<get>&"}`}},
		{"no body", wxapi.CallRequest{Owner: accountToken, Path: "/wxa/release"},
			seen{"POST", "/wxa/release", url.Values{"access_token": {"77_authorizerTokenOfTheTest"}}, `{}`}},
		{"GET with a query", wxapi.CallRequest{Owner: accountToken, Method: http.MethodGet, Path: "/cgi-bin/user/info", Query: url.Values{"openid": {"o&1"}}},
			seen{"GET", "/cgi-bin/user/info", url.Values{"access_token": {"77_authorizerTokenOfTheTest"}, "openid": {"o&1"}}, ""}},
		{"component, its own path", wxapi.CallRequest{Owner: ownToken, Path: "/cgi-bin/component/fastregisterweapp", Query: url.Values{"action": {"create"}}},
			seen{"POST", "/cgi-bin/component/fastregisterweapp", url.Values{"component_access_token": {"77_componentTokenOfTheTest"}, "action": {"create"}}, `{}`}},
		{"component, another path", wxapi.CallRequest{Owner: ownToken, Method: http.MethodGet, Path: "/wxa/gettemplatelist"},
			seen{"GET", "/wxa/gettemplatelist", url.Values{"access_token": {"77_componentTokenOfTheTest"}}, ""}},
		{"account on a component path", wxapi.CallRequest{Owner: accountToken, Path: "/cgi-bin/component/setprivacysetting", Body: json.RawMessage(`{"a":[1]}`)},
			seen{"POST", "/cgi-bin/component/setprivacysetting", url.Values{"access_token": {"77_authorizerTokenOfTheTest"}}, `{"a":[1]}`}},
		{"no token", wxapi.CallRequest{Path: "/cgi-bin/free"},
			seen{"POST", "/cgi-bin/free", url.Values{}, `{}`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t, says(http.StatusOK, `{"errcode":0,"answer":[1,2]}`))
			var out struct {
				Answer []int `json:"answer"`
			}
			if err := clientOf(t, p).Call(t.Context(), tt.req, &out); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]int{1, 2}, out.Answer); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]seen{tt.want}, p.requests()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCallOutput(t *testing.T) {
	t.Parallel()
	const body = `{"errcode":0, "big":12345678901234567890}`
	p := newPlatform(t, says(http.StatusOK, body))
	client := clientOf(t, p)
	var raw json.RawMessage
	if err := client.Call(t.Context(), wxapi.CallRequest{Owner: accountToken, Path: "/a"}, &raw); err != nil || string(raw) != body {
		t.Errorf("%s, %v", raw, err)
	}
	if err := client.Call(t.Context(), wxapi.CallRequest{Owner: accountToken, Path: "/a"}, nil); err != nil {
		t.Error(err)
	}
	wantClasses(t, client.Call(t.Context(), wxapi.CallRequest{Owner: accountToken, Path: "/a", MaxReply: 10}, nil), "unusable", "unknown")
}

func TestCallRefusesBadRequests(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, says(http.StatusOK, `{}`))
	client := clientOf(t, p)
	tests := map[string]wxapi.CallRequest{
		"no path":           {},
		"relative":          {Path: "wxa/commit"},
		"other host":        {Path: "//evil.example/x"},
		"user part":         {Path: "/x@evil.example"},
		"dots":              {Path: "/wxa/../cgi-bin/token"},
		"escaped":           {Path: "/wxa/%2e%2e/x"},
		"query in the path": {Path: "/wxa/commit?access_token=x"},
		"fragment":          {Path: "/wxa/commit#x"},
		"line break":        {Path: "/wxa/commit\r\nX: y"},
		"line break at end": {Path: "/wxa/commit\n"},
		"trailing slash":    {Path: "/wxa/commit/"},
		"own token":         {Path: "/wxa/commit", Query: url.Values{"access_token": {"x"}}},
		"own other token":   {Path: "/wxa/commit", Query: url.Values{"component_access_token": {"x"}}},
		"other method":      {Path: "/wxa/commit", Method: http.MethodDelete},
		"GET with a body":   {Path: "/wxa/commit", Method: http.MethodGet, Body: struct{}{}},
		"body of no JSON":   {Path: "/wxa/commit", Body: func() {}},
		"a Secret in body":  {Path: "/wxa/commit", Body: map[string]any{"s": tuoguan.NewSecret("sesame")}},
	}
	for name, req := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req.Owner = accountToken
			err := client.Call(t.Context(), req, nil)
			if err == nil {
				t.Fatal("accepted")
			}
			if strings.Contains(err.Error(), "sesame") {
				t.Errorf("%v", err)
			}
		})
	}
	t.Cleanup(func() {
		if n := len(p.requests()); n != 0 {
			t.Errorf("%d requests were sent", n)
		}
	})
}
