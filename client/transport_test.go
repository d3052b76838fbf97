package client_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/client"
)

// recorder notes every request that leaves, with the host that it goes to, and
// answers by path.
type recorder struct {
	sent    []*http.Request
	answers map[string]string // a path and where it redirects to
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r.sent = append(r.sent, request.Clone(request.Context()))
	w := httptest.NewRecorder()
	if to := r.answers[request.URL.EscapedPath()]; to != "" {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	} else {
		w.WriteString(`{"errcode":0}`)
	}
	response := w.Result()
	response.Request = request
	return response, nil
}

// leaks reports whether a request carries the key in any place.
func leaks(r *http.Request) bool {
	var all strings.Builder
	_ = r.Header.Write(&all)
	return strings.Contains(all.String()+r.URL.String()+r.Host, key)
}

func TestTransport(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, gateway, address, want string }{
		{"a call", "http://gateway.internal:8082", "https://api.weixin.qq.com/cgi-bin/user/info?openid=o1&lang=zh_CN", "http://gateway.internal:8082/as/wxaaaaaaaaaaaaaaaa/cgi-bin/user/info?openid=o1&lang=zh_CN"},
		{"another host of WeChat's", "http://gateway.internal:8082/", "https://API2.weixin.qq.com:443/cgi-bin/menu/get", "http://gateway.internal:8082/as/wxaaaaaaaaaaaaaaaa/cgi-bin/menu/get"},
		{"a gateway below a path", "https://proxy.internal/tuoguan", "http://api.weixin.qq.com/a/b", "https://proxy.internal/tuoguan/as/wxaaaaaaaaaaaaaaaa/a/b"},
		{"an escaped path", "http://gateway.internal", "https://api.weixin.qq.com/a%2Fb/%2e%2e/c", "http://gateway.internal/as/wxaaaaaaaaaaaaaaaa/a%2Fb/%2e%2e/c"},
		{"a path up", "http://gateway.internal", "https://api.weixin.qq.com/../../v1", "http://gateway.internal/as/wxaaaaaaaaaaaaaaaa/../../v1"},
		{"no path", "http://gateway.internal", "https://api.weixin.qq.com", "http://gateway.internal/as/wxaaaaaaaaaaaaaaaa"},
		{"a stranger", "http://gateway.internal", "https://example.com/cgi-bin/user/info", ""},
		{"a host that looks like WeChat's", "http://gateway.internal", "https://api.weixin.qq.com.example.com/", ""},
		{"a user that looks like WeChat's", "http://gateway.internal", "https://api.weixin.qq.com@example.com/", ""},
		{"the gateway itself", "http://gateway.internal", "http://gateway.internal/as/wxcccccccccccccccc/a", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			network := &recorder{}
			c, err := client.New(client.Config{GatewayURL: tt.gateway, APIKey: tuoguan.NewSecret(key), HTTPClient: &http.Client{Transport: network}})
			if err != nil {
				t.Fatal(err)
			}
			wechat := &http.Client{Transport: c.Transport(owner)}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, tt.address, strings.NewReader("a body"))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "the caller's own")
			response, err := wechat.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			sent := network.sent[0]
			if tt.want == "" {
				if leaks(sent) || sent.URL.String() != tt.address {
					t.Errorf("%s went out as %s with %v", tt.address, sent.URL, sent.Header)
				}
				return
			}
			// The request line, which URL.String may differ from.
			if sent.URL.Scheme+"://"+sent.URL.Host+sent.URL.RequestURI() != tt.want || sent.Host != "" && sent.Host != sent.URL.Host {
				t.Errorf("sent to %s (%s), want %s", sent.URL, sent.Host, tt.want)
			}
			if sent.Header.Get("X-Tuoguan-Key") != key || sent.Header.Get("Authorization") != "the caller's own" {
				t.Errorf("sent with %v", sent.Header)
			}
			if got := text(t, sent.Body); got != "a body" {
				t.Errorf("sent the body %q", got)
			}
			if leaks(request) || leaks(response.Request) {
				t.Error("the caller's own request has the key in it")
			}
		})
	}
}

// Redirects of the gateway's lead nowhere with the key.
func TestTransportRedirects(t *testing.T) {
	t.Parallel()
	for name, to := range map[string]string{
		"a stranger": "https://example.com/", "another port": "http://gateway.internal:9999/", "another scheme": "https://gateway.internal:8082/",
		"no scheme": "//example.com/", "the same gateway": "http://gateway.internal:8082/v1", "a path": "/as/wxbbbbbbbbbbbbbbbb/x", "WeChat": "https://api.weixin.qq.com/x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			network := &recorder{answers: map[string]string{"/as/wxaaaaaaaaaaaaaaaa/start": to}}
			c, err := client.New(client.Config{GatewayURL: "http://gateway.internal:8082", APIKey: tuoguan.NewSecret(key), HTTPClient: &http.Client{Transport: network}})
			if err != nil {
				t.Fatal(err)
			}
			wechat := &http.Client{Transport: c.Transport(owner)}
			response, err := wechat.Get("https://api.weixin.qq.com/start")
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if len(network.sent) != 2 {
				t.Fatalf("%d requests", len(network.sent))
			}
			for _, sent := range network.sent {
				ours := sent.URL.Scheme == "http" && sent.URL.Host == "gateway.internal:8082" && strings.HasPrefix(sent.URL.Path, "/as/wxaaaaaaaaaaaaaaaa/")
				if leaks(sent) && !ours {
					t.Errorf("the key went to %s", sent.URL)
				}
			}
		})
	}
}

// Nor do redirects of the REST API's.
func TestRedirectsOfTheServer(t *testing.T) {
	t.Parallel()
	network := &recorder{answers: map[string]string{"/v1/components": "https://example.com/"}}
	c, err := client.New(client.Config{APIKey: tuoguan.NewSecret(key), HTTPClient: &http.Client{Transport: network}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Components(t.Context())
	refused, ok := errors.AsType[*client.Error](err)
	if !ok || refused.Status != http.StatusFound || len(network.sent) != 1 {
		t.Errorf("%d requests, and %v", len(network.sent), err)
	}
}

func TestProblem(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		header http.Header
		body   string
		want   string // "" for none
	}{
		{"WeChat's answer", http.Header{"Content-Type": {"application/json"}}, `{"errcode":40013}`, ""},
		{"a picture", http.Header{"Content-Type": {"image/png"}}, "…", ""},
		{"the gateway's", http.Header{"Content-Type": {"application/problem+json; charset=utf-8"}, "Retry-After": {"7"}},
			`{"type":"https://github.com/tuoguan/tuoguan/blob/main/docs/problems.md#revoked","title":"a title","detail":"a detail"}`, "a title: a detail"},
		{"somebody else's", http.Header{"Content-Type": {"application/problem+json"}}, `{"type":"about:blank"}`, "the gateway answered 409 Conflict, which is not an answer of tuoguan's"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			response := &http.Response{Status: "409 Conflict", StatusCode: http.StatusConflict, Header: tt.header, Body: io.NopCloser(strings.NewReader(tt.body))}
			err := client.Problem(response)
			if tt.want == "" {
				if err != nil || text(t, response.Body) != tt.body {
					t.Errorf("got %v, or the body is read", err)
				}
				return
			}
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v", err)
			}
		})
	}
}
