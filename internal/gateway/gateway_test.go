package gateway_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"

	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/simulator/simtest"
)

func TestCallsOfAnAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	as := "/as/" + w.account

	if a := w.get(as + "/cgi-bin/user/info?openid=oUser&lang=zh_CN"); a.status != 200 || a.text("openid") != "oUser" {
		t.Errorf("user/info: %d %s", a.status, a.body)
	}
	if a := w.post(as+"/cgi-bin/menu/create", `{"button":[{"type":"click","name":"菜单 <b>","key":"k"}]}`); a.status != 200 || a.errcode() != 0 {
		t.Errorf("menu/create: %d %s", a.status, a.body)
	}
	if a := w.get(as + "/cgi-bin/menu/get"); !strings.Contains(string(a.body), "菜单 <b>") {
		t.Errorf("menu/get: %d %s", a.status, a.body)
	}
	// WeChat's own refusals pass as they are.
	if a := w.get(as + "/cgi-bin/user/info"); a.status != 200 || a.errcode() != 40003 || !strings.Contains(a.text("errmsg"), "rid: ") {
		t.Errorf("user/info without openid: %d %s", a.status, a.body)
	}
	if c := w.lastCall(); c.Endpoint == "" || c.KeyID == "" {
		t.Errorf("observed %+v", c)
	}

	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	file, err := parts.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="media"; filename="a.gif"`}, "Content-Type": {"image/gif"},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.Write(bytes.Repeat([]byte("picture"), 100_000)) // 700 KB: streamed
	_ = parts.Close()
	a := w.send("POST", as+"/cgi-bin/media/upload?type=image", &form, http.Header{"Content-Type": {parts.FormDataContentType()}})
	id := a.text("media_id")
	if a.status != 200 || id == "" {
		t.Fatalf("media/upload: %d %s", a.status, a.body)
	}
	a = w.get(as + "/cgi-bin/media/get?media_id=" + id)
	if a.status != 200 || a.header.Get("Content-Type") != "image/gif" || len(a.body) != 700_000 || !bytes.HasPrefix(a.body, []byte("picture")) || a.header.Get("Content-Disposition") == "" {
		t.Errorf("media/get: %d %v, %d bytes", a.status, a.header, len(a.body))
	}

	busiest := w.gateway.Busiest(5)
	if len(busiest) != 1 || string(busiest[0].Authorizer) != w.account || busiest[0].Calls < 6 || busiest[0].Refused != 1 || busiest[0].Received < 700_000 {
		t.Errorf("busiest: %+v", busiest)
	}
	simtest.WithoutSecrets(t, w.sim.Simulator, "the log", w.logged())
}

func TestCallsOfAComponent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	if a := w.get("/component/" + w.component + "/wxa/gettemplatelist?template_type=0"); a.status != 200 || a.errcode() != 0 {
		t.Errorf("gettemplatelist: %d %s", a.status, a.body)
	}
	w.account = w.addAccount(w.component, simulator.MiniProgram)
	code, err := w.sim.Login(w.account, "oUser")
	if err != nil {
		t.Fatal(err)
	}
	// The appids are the gateway's to fill in, whatever the caller says.
	a := w.get("/as/" + w.account + "/sns/component/jscode2session?appid=wxffffffffffffffff&component_appid=x&js_code=" + code)
	if a.status != 200 || a.text("openid") != "oUser" {
		t.Errorf("jscode2session of an account: %d %s", a.status, a.body)
	}
	if code, err = w.sim.Login(w.account, "oUser"); err != nil {
		t.Fatal(err)
	}
	a = w.get("/component/" + w.component + "/sns/component/jscode2session?grant_type=other&appid=" + w.account + "&js_code=" + code)
	if a.status != 200 || a.text("openid") != "oUser" {
		t.Errorf("jscode2session of a component: %d %s", a.status, a.body)
	}
	for name, test := range map[string]struct{ target, problem string }{
		"an account's call":     {"/component/" + w.component + "/cgi-bin/user/info", "path-refused"},
		"an unknown call":       {"/component/" + w.component + "/wxa/of_the_future", "path-refused"},
		"a component's call":    {"/as/" + w.account + "/wxa/gettemplatelist", "path-refused"},
		"no appid":              {"/component/" + w.component + "/sns/component/jscode2session?js_code=x", "bad-request"},
		"an account of another": {"/component/" + w.component + "/sns/component/jscode2session?js_code=x&appid=wxffffffffffffffff", "unknown-authorizer"},
		"an unknown component":  {"/component/wxffffffffffffffff/wxa/gettemplatelist", "unknown-component"},
	} {
		if a := w.get(test.target); a.problem() != test.problem {
			t.Errorf("%s: %d %s, want %s", name, a.status, a.body, test.problem)
		}
	}
}

func TestDeadToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	if n, err := w.sim.ExpireTokens("", w.account); err != nil || n == 0 {
		t.Fatal(n, err)
	}
	before := w.sim.Stats().Calls["/cgi-bin/component/api_authorizer_token"]
	if a := w.post("/as/"+w.account+"/cgi-bin/tags/create", `{"tag":{"name":"x"}}`); a.status != 200 || a.errcode() != 0 {
		t.Errorf("small body: %d %s", a.status, a.body)
	}
	if c := w.lastCall(); !c.Renewed {
		t.Errorf("observed %+v", c)
	}

	// A large body is gone; the next call has the new token.
	if _, err := w.sim.ExpireTokens("", w.account); err != nil {
		t.Fatal(err)
	}
	large := `{"tag":{"name":"` + strings.Repeat("x", 100_000) + `"}}`
	if a := w.post("/as/"+w.account+"/cgi-bin/tags/create", large); a.status != 200 || a.errcode() == 0 || a.header.Get("X-Tuoguan-Retry") != "no" {
		t.Errorf("large body: %d %s %v", a.status, a.body, a.header)
	}
	if a := w.post("/as/"+w.account+"/cgi-bin/tags/create", large); a.status != 200 || a.errcode() != 0 {
		t.Errorf("large body again: %d %s", a.status, a.body)
	}
	if n := w.sim.Stats().Calls["/cgi-bin/component/api_authorizer_token"] - before; n != 2 {
		t.Errorf("%d refreshes, want 2", n)
	}
}

// With replies dropped after processing, no message goes out twice.
func TestLostReplies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{baseURLs: nil})
	w.userWrites("oUser")
	if a := w.get("/as/" + w.account + "/cgi-bin/menu/get"); a.status != 200 { // leaves a connection open
		t.Fatalf("menu/get: %d %s", a.status, a.body)
	}
	w.faults(func(f *simulator.Faults) { f.DropReplyAfterProcessing = 1 })
	// A GET that changes something is not repeated either, not even by net/http, which
	// repeats others when a connection that it had used before turns out to be dead.
	if a := w.get("/as/" + w.account + "/cgi-bin/menu/delete"); a.problem() != "wechat-unanswered" {
		t.Errorf("menu/delete: %d %s", a.status, a.body)
	}
	const message = `{"touser":"oUser","msgtype":"text","text":{"content":"once"}}`
	a := w.post("/as/"+w.account+"/cgi-bin/message/custom/send", message)
	if a.status != 502 || a.problem() != "wechat-unanswered" || !strings.Contains(a.text("detail"), "outcome unknown") || a.header.Get("Retry-After") != "" {
		t.Errorf("message: %d %s", a.status, a.body)
	}
	w.faults(func(f *simulator.Faults) { f.DropReplyAfterProcessing = 0 })
	if sent, err := w.sim.Sent(w.account); err != nil || len(sent) != 1 {
		t.Errorf("%d messages were sent, %v", len(sent), err)
	}
	calls := w.sim.Stats().Calls
	if calls["/cgi-bin/message/custom/send"] != 1 || calls["/cgi-bin/menu/delete"] != 1 {
		t.Errorf("calls: %v", calls)
	}
	// The drop-in form answers with a code for which no SDK repeats a call by itself.
	opaque := w.token(w.account, w.key).text("access_token")
	w.faults(func(f *simulator.Faults) { f.DropReplyAfterProcessing = 1 })
	if a := w.post("/cgi-bin/message/custom/send?access_token="+opaque, message); a.status != 502 || a.errcode() != -502 {
		t.Errorf("drop-in message: %d %s", a.status, a.body)
	}
}

// A GET that only reads goes to the next address when its answer was lost.
func TestFailover(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	dropping := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(dropping.Close)
	failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	t.Cleanup(failing.Close)
	well := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
	}
	large := strings.Repeat(" ", 100_000)
	for name, test := range map[string]struct {
		first, method, path, body string
		problem                   string
	}{
		"cannot connect, read":         {closed.URL, "GET", "/cgi-bin/user/info", "", ""},
		"cannot connect, write":        {closed.URL, "POST", "/cgi-bin/message/custom/send", "{}", ""},
		"cannot connect, large body":   {closed.URL, "POST", "/cgi-bin/message/custom/send", large, ""},
		"answer lost, read":            {dropping.URL, "GET", "/cgi-bin/user/info", "", ""},
		"answer lost, write":           {dropping.URL, "POST", "/cgi-bin/message/custom/send", "{}", "wechat-unanswered"},
		"answer lost, a GET's write":   {dropping.URL, "GET", "/cgi-bin/menu/delete", "", "wechat-unanswered"},
		"answer lost, an unknown GET":  {dropping.URL, "GET", "/wxa/of_the_future", "", "wechat-unanswered"},
		"answer lost, a POST's read":   {dropping.URL, "POST", "/cgi-bin/user/info/batchget", "{}", "wechat-unanswered"},
		"answered with 502, read":      {failing.URL, "GET", "/cgi-bin/user/info", "", ""},
		"answered with 502, write":     {failing.URL, "POST", "/cgi-bin/message/custom/send", "{}", "wechat-unanswered"},
		"answered with 502, large one": {failing.URL, "POST", "/cgi-bin/message/custom/send", large, "wechat-unanswered"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := newStub(t, options{baseURLs: []string{test.first}}, well)
			a := s.send(test.method, "/as/"+stubAccount+test.path, strings.NewReader(test.body), nil)
			if a.problem() != test.problem || test.problem == "" && a.status != 200 {
				t.Errorf("%d %s, want %q", a.status, a.body, test.problem)
			}
			if strings.Contains(s.logged(), "stubToken") {
				t.Errorf("a token is in the log: %s", s.logged())
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		s, _ := newStub(t, options{baseURLs: []string{closed.URL, closed.URL}}, nil)
		a := s.post("/as/"+stubAccount+"/cgi-bin/message/custom/send", "{}")
		if a.problem() != "wechat-unanswered" || !strings.Contains(a.text("detail"), "not sent") || a.header.Get("Retry-After") == "" {
			t.Errorf("%d %s", a.status, a.body)
		}
		opaque := s.token(stubAccount, s.key).text("access_token")
		if a := s.post("/cgi-bin/message/custom/send?access_token="+opaque, "{}"); a.errcode() != -1 {
			t.Errorf("drop-in: %d %s", a.status, a.body)
		}
	})
}

func TestRepliesThatAreNotPassedOn(t *testing.T) {
	t.Parallel()
	const page = "<html><body>busy</body></html>"
	for name, test := range map[string]struct {
		path   string
		answer http.HandlerFunc
		want   string // the problem, or "" where the reply passes
	}{
		"page where JSON is due":  {"/cgi-bin/user/info", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) }, "wechat-nonsense"},
		"page in place of a file": {"/cgi-bin/media/get", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) }, "wechat-nonsense"},
		"page of an unknown call": {"/wxa/of_the_future", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "  <!DOCTYPE html>") }, "wechat-nonsense"},
		"broken JSON":             {"/cgi-bin/user/info", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"openid":"o`) }, "wechat-nonsense"},
		"nothing":                 {"/cgi-bin/user/info", func(http.ResponseWriter, *http.Request) {}, "wechat-nonsense"},
		"204":                     {"/cgi-bin/user/info", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "wechat-nonsense"},
		"an array":                {"/cgi-bin/user/info", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `[{"errcode":0}]`) }, "wechat-nonsense"},
		"404":                     {"/wxa/of_the_future", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, "wechat-nonsense"},
		"404 with JSON": {"/wxa/of_the_future", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			_, _ = io.WriteString(w, `{"errcode":40066}`)
		}, ""},
		"redirect": {"/cgi-bin/user/info", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://example.com/", http.StatusFound)
		}, "wechat-nonsense"},
		"500": {"/cgi-bin/user/info", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "wechat-unanswered"},
		"compressed": {"/cgi-bin/user/info", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, `{}`)
		}, "wechat-nonsense"},
		"cut off": {"/cgi-bin/user/info", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{}`)
		}, "wechat-nonsense"},
		"a file of an unknown call": {"/wxa/of_the_future", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write([]byte{0x89, 'P'})
		}, ""},
		"a file that looks like JSON": {"/cgi-bin/media/get", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/png")
			_, _ = io.WriteString(w, "{not")
		}, ""},
		"JSON under another type": {"/cgi-bin/user/info", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, ` {"a":1}`)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := newStub(t, options{}, test.answer)
			a := s.get("/as/" + stubAccount + test.path)
			if a.problem() != test.want {
				t.Errorf("%d %s, want %q", a.status, a.body, test.want)
			}
		})
	}
}

func TestReplyFilter(t *testing.T) {
	t.Parallel()
	echo := func(w http.ResponseWriter, r *http.Request) {
		token := r.URL.Query().Get("access_token")
		for name, value := range map[string]string{
			"Set-Cookie": "a=b", "X-Echo": "t=" + token, "X-Tuoguan-Retry": "no", "Connection": "X-Hop", "X-Hop": "1", "Alt-Svc": `h3="evil:443"`,
			"Location": "/?access_token=" + token, "Content-Disposition": "attachment",
		} {
			w.Header().Set(name, value)
		}
		switch r.URL.Path {
		case "/wxa/small":
			_, _ = io.WriteString(w, `{"errcode":40013,"errmsg":"bad: `+token+` and `+token+`"}`)
		case "/wxa/large":
			w.Header().Set("Content-Type", "application/octet-stream")
			// The token stands at every place in relation to the chunks that are read.
			for i := range 200 {
				_, _ = io.WriteString(w, strings.Repeat("-", 1000+i)+token)
			}
		}
	}
	s, _ := newStub(t, options{}, echo)
	for _, path := range []string{"/wxa/small", "/wxa/large"} {
		a := s.get("/as/" + stubAccount + path)
		if a.status != 200 || bytes.Contains(a.body, []byte("stubToken")) || !bytes.Contains(a.body, []byte("*****")) {
			t.Errorf("%s: %d, %d bytes", path, a.status, len(a.body))
		}
		for _, name := range []string{"Set-Cookie", "X-Echo", "X-Tuoguan-Retry", "X-Hop", "Alt-Svc", "Location"} {
			if v := a.header.Get(name); v != "" {
				t.Errorf("%s: header %s: %s", path, name, v)
			}
		}
		if a.header.Get("Content-Disposition") == "" {
			t.Errorf("%s: the other headers are missing: %v", path, a.header)
		}
	}
	if a := s.get("/as/" + stubAccount + "/wxa/large"); bytes.Count(a.body, []byte("-*"))+bytes.Count(a.body, []byte("*-")) != 399 {
		t.Errorf("large: %d marks", bytes.Count(a.body, []byte("-*"))+bytes.Count(a.body, []byte("*-")))
	}
}

// What a caller sends besides the call does not reach WeChat.
func TestRequestFilter(t *testing.T) {
	t.Parallel()
	var got *http.Request
	s, _ := newStub(t, options{}, func(w http.ResponseWriter, r *http.Request) {
		got = r
		_, _ = io.WriteString(w, "{}")
	})
	a := s.send("POST", "/as/"+stubAccount+"/wxa/x?access_token=mine&a=1&component_access_token=2&ACCESS_TOKEN=3&access%5Ftoken=4&+access_token=5&b=x;y%20z&&c", strings.NewReader("{}"), http.Header{
		"Cookie": {"a=b"}, "X-Tuoguan-Key": {s.key}, "X-Forwarded-For": {"1.2.3.4"}, "Idempotency-Key": {"k"}, "Connection": {"X-Mine"}, "X-Mine": {"1"},
		"Content-Type": {"application/json"}, "Wechatmp-Signature": {"abc"}, "Referer": {"https://example.com/"},
	})
	if a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	query := got.URL.RawQuery
	if token := got.URL.Query()["access_token"]; len(token) != 1 || !strings.HasPrefix(token[0], "77_stub") || !strings.HasSuffix(query, "&a=1&b=x%3By%20z&c") {
		t.Errorf("query %q", query)
	}
	for name := range got.Header {
		switch name {
		case "Content-Type", "Content-Length", "User-Agent", "Wechatmp-Signature":
		default:
			t.Errorf("header %s reached WeChat", name)
		}
	}
	if got.UserAgent() != "tuoguan" {
		t.Errorf("User-Agent %q", got.UserAgent())
	}
}

func TestRefusedPaths(t *testing.T) {
	t.Parallel()
	dialled := &recorder{}
	s, _ := newStub(t, options{transport: dialled}, func(http.ResponseWriter, *http.Request) {})
	as := "/as/" + stubAccount
	for _, path := range []string{
		"/cgi-bin/token", "/cgi-bin/stable_token", "/CGI-BIN/Token", "/cgi-bin/clear_quota", "/cgi-bin/clear_quota/v2", "/cgi-bin/openapi/quota/clear",
		"/cgi-bin/openapi/rid/get", "/cgi-bin/component/api_component_token", "/cgi-bin/component/api_query_auth", "/cgi-bin/component/api_authorizer_token",
		"/cgi-bin/component/api_create_preauthcode", "/cgi-bin/component/api_start_push_ticket", "/cgi-bin/component/api_get_authorizer_info",
		"/cgi-bin/component/api_get_authorizer_list", "/cgi-bin/Component/api_query_auth", "/cgi-bin/component/clear_quota", "/cgi-bin/component/clear_quota/v2",
		"/cgi-bin/component/of_the_future", "/cgi-bin/component/x/../api_query_auth",
		"/../x", "/a/../b", "/a/./b", "/a//b", "//evil.example/x", "/a%2fb", "/a%2e%2e/b", "/a@b", "/a:b", "/a;b", "/a/", "/.a", "/a\\b", "/ü", "/a%0d%0ab", "/" + strings.Repeat("a", 600),
	} {
		for _, prefix := range []string{as, "/component/" + stubComponent} {
			// As it is, without a client that tidies up.
			if status, text := s.raw("GET " + prefix + path + " HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\nAuthorization: Bearer " + s.key + "\r\n\r\n"); status != 403 && status != 400 {
				t.Errorf("%s: %d %s", prefix+path, status, text)
			}
		}
	}
	for _, line := range []string{
		"GET http://evil.example/as/" + stubAccount + "/cgi-bin/user/info HTTP/1.1", "CONNECT evil.example:443 HTTP/1.1", "OPTIONS * HTTP/1.1",
		"GET /as/" + stubAccount + " HTTP/1.1", "GET /as//cgi-bin/user/info HTTP/1.1", "DELETE " + as + "/cgi-bin/user/info HTTP/1.1",
		"GET " + as + "/cgi-bin/user/info?x=%zz HTTP/1.1",
	} {
		if status, text := s.raw(line + "\r\nHost: evil.example\r\nConnection: close\r\nAuthorization: Bearer " + s.key + "\r\n\r\n"); status < 400 || status >= 500 {
			t.Errorf("%s: %d %s", line, status, text)
		}
	}
	if n := len(dialled.seen()); n != 0 {
		t.Errorf("%d requests reached a host: %v", n, dialled.seen())
	}
	if a := s.post(as+"/cgi-bin/component/set_authorizer_option", "{}"); len(dialled.seen()) != 1 {
		t.Errorf("set_authorizer_option is refused: %d %s", a.status, a.body)
	}
}

// raw sends bytes as they are and returns the status and the text of the answer.
func (s *site) raw(request string) (int, string) {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, request); err != nil {
		s.t.Fatal(err)
	}
	text, _ := io.ReadAll(conn)
	if len(text) < 12 {
		return 0, string(text)
	}
	status := 0
	for _, b := range text[9:12] {
		status = status*10 + int(b-'0')
	}
	return status, string(text)
}
