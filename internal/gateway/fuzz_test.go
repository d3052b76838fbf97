package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/gateway"
	"github.com/tuoguan/tuoguan/internal/gateway/catalogue"
)

// FuzzPath sends any request target to the gateway. Whatever it is, a request goes to
// the host that was configured, below its path, with one token, which is the right
// one, and to nothing that is the keeper's.
func FuzzPath(f *testing.F) {
	const base = "https://wechat.example/base"
	reached := &recorder{}
	s, tokens := newStub(f, options{transport: reached, baseURLs: []string{base}}, nil)
	opaque := s.token(stubAccount, s.key).text("access_token")
	of := map[string]string{}
	for _, owner := range []tuoguan.TokenOwner{tuoguan.AuthorizerToken(stubComponent, stubAccount), tuoguan.ComponentToken(stubComponent)} {
		token, err := tokens.Token(f.Context(), owner)
		if err != nil {
			f.Fatal(err)
		}
		of[token.Value.Reveal()] = owner.String()
	}
	for _, seed := range []string{
		"/as/" + stubAccount + "/cgi-bin/user/info?openid=o", "/as/" + stubAccount + "//evil.example/x", "/as/" + stubAccount + "/../x", "/as/" + stubAccount + "/a%2f..%2fb",
		"/as/" + stubAccount + "/a@evil.example/b", "/as/" + stubAccount + "/x?access_token=y;component_access_token=z&ACCESS%5fTOKEN=1", "http://evil.example/x", "//evil.example/", "*", "",
		"/component/" + stubComponent + "/wxa/gettemplatelist", "/component/" + stubComponent + "/sns/component/jscode2session?appid=" + stubAccount + "&js_code=a",
		"/as/" + stubAccount + "/cgi-bin/component/api_query_auth", "/cgi-bin/user/info?access_token={opaque}", "/cgi-bin/clear_quota?access_token={opaque}", "/x?access_token={opaque}&access_token=2#f",
		"/as/" + stubAccount + "/x?\x00\r\n=%0d%0a", "/quota/" + stubAccount + "?path=/cgi-bin/user/info",
	} {
		f.Add("GET", seed)
		f.Add("POST", seed)
	}
	f.Fuzz(func(t *testing.T, method, target string) {
		target = strings.ReplaceAll(target, "{opaque}", opaque)
		if strings.HasPrefix(target, "/quota/") {
			return // the client's call, which has tests of its own
		}
		before := len(reached.seen())
		r := &http.Request{
			Method: method, RequestURI: target, URL: &url.URL{Path: "/"}, Header: http.Header{"X-Tuoguan-Key": {s.key}}, RemoteAddr: "127.0.0.1:1", Host: "evil.example",
		}
		w := httptest.NewRecorder()
		s.gateway.ServeHTTP(w, r.WithContext(t.Context()))
		for _, sent := range reached.seen()[before:] {
			u, err := url.ParseRequestURI(sent)
			if err != nil || u.Scheme != "https" || u.Host != "wechat.example" || u.User != nil || u.RawPath != "" || u.Fragment != "" {
				t.Fatalf("%q became %q (%v)", target, sent, err)
			}
			path, ok := strings.CutPrefix(u.Path, "/base/")
			if !ok || strings.Contains(path, "..") || strings.Contains(path, "//") || strings.Contains(strings.ToLower(path), "clear_quota") {
				t.Fatalf("%q became the path %q", target, u.Path)
			}
			if _, known := catalogue.Lookup("/" + path); strings.HasPrefix(strings.ToLower(path), "cgi-bin/component/") && !known {
				t.Fatalf("%q became the path %q", target, u.Path)
			}
			query, err := url.ParseQuery(u.RawQuery)
			if err != nil || strings.Contains(u.RawQuery, opaque) {
				t.Fatalf("%q became the query %q (%v)", target, u.RawQuery, err)
			}
			if e, known := catalogue.Lookup("/" + path); known && e.Token == catalogue.NoToken {
				continue
			}
			n := 0
			for name, values := range query {
				if strings.EqualFold(strings.TrimSpace(name), "access_token") || strings.EqualFold(strings.TrimSpace(name), "component_access_token") {
					n += len(values)
					if of[values[0]] == "" {
						t.Fatalf("%q sends %s=%q", target, name, values[0])
					}
				}
			}
			if n != 1 {
				t.Fatalf("%q sends %d tokens: %q", target, n, u.RawQuery)
			}
		}
	})
}

// FuzzToken tries any text as a token of the gateway's. None is taken but those that
// it gave out.
func FuzzToken(f *testing.F) {
	reached := &recorder{}
	s, _ := newStub(f, options{transport: reached}, func(http.ResponseWriter, *http.Request) {})
	opaque := s.token(stubAccount, s.key).text("access_token")
	for _, seed := range []string{opaque, opaque[:len(opaque)-1], opaque + "A", "tgt_", "tgt_AAAA", "77_x", "", strings.ToUpper(opaque), gateway.TokenPrefix + strings.Repeat("A", 508)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		before := len(reached.seen())
		r := &http.Request{
			Method: "GET", RequestURI: "/cgi-bin/user/info?access_token=" + url.QueryEscape(token), URL: &url.URL{Path: "/"}, Header: http.Header{}, RemoteAddr: "127.0.0.1:1",
		}
		s.gateway.ServeHTTP(httptest.NewRecorder(), r.WithContext(t.Context()))
		if n := len(reached.seen()) - before; (n != 0) != (token == opaque) {
			t.Fatalf("%q: %d requests reached WeChat", token, n)
		}
	})
}
