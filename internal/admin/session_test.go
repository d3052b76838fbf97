package admin_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/admin"
	"github.com/tuoguan/tuoguan/internal/operator"
	"github.com/tuoguan/tuoguan/store"
)

const (
	loopbackCookie = "tuoguan-session"
	secureCookie   = "__Host-tuoguan"
	password       = "a password of nobody else"

	// cheap is a hash of it that costs less than those that are made.
	cheap = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$cZIOj1PRKAmqpOGWuEQkbEay23hgeJWCD5J0sEQ1qWs"
)

func withPassword(u *store.User) { u.Password = cheap }

// addUser adds a user, without a password unless change gives one, and returns the id.
func (w *world) addUser(name string, role operator.Role, change ...func(*store.User)) string {
	w.t.Helper()
	u := store.User{ID: strings.ToLower(rand.Text())[:16], Name: name, Role: string(role), CreatedAt: time.Now(), UpdatedAt: time.Now()}
	for _, c := range change {
		c(&u)
	}
	if _, err := w.store.PutUser(w.t.Context(), u); err != nil {
		w.t.Fatal(err)
	}
	return u.ID
}

// begin begins a session of a user and returns its token.
func (w *world) begin(user string) string {
	w.t.Helper()
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	token := base64.RawURLEncoding.EncodeToString(raw)
	hash := sha256.Sum256([]byte(token))
	now := time.Now()
	err := w.store.PutSession(w.t.Context(), store.Session{
		Hash: hash[:], ID: strings.ToLower(rand.Text())[:12], User: user, Method: operator.MethodPassword,
		CreatedAt: now, LastSeenAt: now, ExpiresAt: w.clock.Now().Add(time.Hour),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// browse makes a request as a browser on the server's own machine does, with the token
// of a session unless it is "".
func (w *world) browse(token, method, target, body string, change ...func(*http.Request)) response {
	w.t.Helper()
	r := newRequest(w.t, method, target, body)
	r.Host = "localhost:8081"
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("User-Agent", "Browser/1.0")
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.AddCookie(&http.Cookie{Name: loopbackCookie, Value: token})
	}
	for _, c := range change {
		c(r)
	}
	return w.serve(r)
}

// cookie returns a cookie that a reply sets.
func (r response) cookie(t *testing.T, name string) *http.Cookie {
	t.Helper()
	for _, c := range (&http.Response{Header: r.header}).Cookies() {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no cookie %s in %d %v", name, r.status, r.header)
	return nil
}

// signIn signs in with a password and returns the token.
func (w *world) signIn(t *testing.T, name, secret string) string {
	t.Helper()
	r := w.browse("", "POST", "/v1/session", body(map[string]string{"name": name, "password": secret}))
	if r.status != http.StatusOK {
		t.Fatalf("%s does not get in: %d %s", name, r.status, r.body)
	}
	return r.cookie(t, loopbackCookie).Value
}

func body(fields map[string]string) string {
	raw, err := json.Marshal(fields)
	if err != nil {
		panic(err) // texts always encode
	}
	return string(raw)
}

// expect demands a status and, if it is one of a problem, its name.
func (r response) expect(t *testing.T, status int, problem string) response {
	t.Helper()
	if r.status != status || problem != "" && r.name(t) != problem {
		t.Errorf("got %d %s, want %d %s", r.status, r.body, status, problem)
	}
	return r
}

// setUp makes the first owner through the API and returns the token of the session.
func (w *world) setUp(t *testing.T, name string) string {
	t.Helper()
	if r := w.browse("", "GET", "/v1/setup", ""); r.status != http.StatusOK || !strings.Contains(r.body, `"needed":true`) {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	logged := regexp.MustCompile(`set_up_with=(\S+)`).FindStringSubmatch(w.log.String())
	if logged == nil {
		t.Fatalf("no set-up token in the log: %s", w.log.String())
	}
	r := w.browse("", "POST", "/v1/setup", body(map[string]string{"setup_token": logged[1], "name": name, "full_name": "值班", "password": password}))
	r.expect(t, http.StatusCreated, "")
	if strings.Contains(w.log.String(), password) {
		t.Error("the password is in the log")
	}
	return r.cookie(t, loopbackCookie).Value
}

type auditLine struct {
	Actor, ActorName, Operation, Target, Result string
}

// recorded returns the audit log, oldest first, and its text.
func (w *world) recorded(t *testing.T) ([]auditLine, string) {
	t.Helper()
	entries, err := w.audit.PageBackwards(t.Context(), 0, 500)
	if err != nil {
		t.Fatal(err)
	}
	var lines []auditLine
	for _, e := range slices.Backward(entries) {
		lines = append(lines, auditLine{e.Actor, e.ActorName, e.Operation, e.Target, e.Result})
	}
	raw, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	return lines, string(raw)
}

// TestSession follows the first owner from the set-up to the end of a session.
func TestSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.browse("", "POST", "/v1/setup", `{"setup_token":"wrong","name":"duty","password":"`+password+`"}`).expect(t, http.StatusForbidden, "setup-refused")
	first := w.setUp(t, "duty")
	w.browse("", "POST", "/v1/setup", `{"setup_token":"wrong","name":"intruder","password":"`+password+`"}`).expect(t, http.StatusForbidden, "setup-refused")
	if r := w.browse("", "GET", "/v1/setup", ""); !strings.Contains(r.body, `"needed":false`) {
		t.Errorf("got %s", r.body)
	}

	r := w.browse(first, "GET", "/v1/session", "").expect(t, http.StatusOK, "")
	var shown struct {
		ID          string
		User        struct{ ID, Name, Role string }
		Operations  []string
		Must        []string
		IdleSeconds int `json:"idle_seconds"`
	}
	if err := json.Unmarshal([]byte(r.body), &shown); err != nil {
		t.Fatal(err)
	}
	id := shown.User.ID
	if shown.User.Name != "duty" || shown.User.Role != "owner" || !slices.Equal(shown.Operations, []string{"*"}) || len(shown.Must) > 0 || shown.IdleSeconds != 1800 {
		t.Errorf("got %s", r.body)
	}

	out := w.browse(first, "DELETE", "/v1/session", "").expect(t, http.StatusNoContent, "")
	if c := out.cookie(t, loopbackCookie); c.MaxAge >= 0 || c.Value != "" {
		t.Errorf("the cookie stays: %v", c)
	}
	over := w.browse(first, "GET", "/v1/authorizers", "").expect(t, http.StatusUnauthorized, "no-session")
	if c := over.cookie(t, loopbackCookie); c.MaxAge >= 0 {
		t.Errorf("the cookie stays: %v", c)
	}
	w.browse("", "GET", "/v1/session", "").expect(t, http.StatusUnauthorized, "unauthorized")

	wrong := w.browse("", "POST", "/v1/session", `{"name":"duty","password":"wrong password 1"}`).expect(t, http.StatusUnauthorized, "login-refused")
	unknown := w.browse("", "POST", "/v1/session", `{"name":"wrong password 2","password":"wrong password 1"}`).expect(t, http.StatusUnauthorized, "login-refused")
	if diff := cmp.Diff(wrong.body, unknown.body); diff != "" {
		t.Errorf("an answer tells whether there is such a user:\n%s", diff)
	}
	second := w.signIn(t, "DUTY", password)
	if second == first {
		t.Error("two sessions have one token")
	}

	lines, text := w.recorded(t)
	actor := "user:" + id
	want := []auditLine{
		{actor, "duty", "set-up", shown.ID, "ok"},
		{actor, "duty", "sign-out", shown.ID, "ok"},
		{"", "duty", "sign-in", id, "refused"},
		{"", "", "sign-in", "", "refused"},
		{actor, "duty", "sign-in", lines[len(lines)-1].Target, "ok"},
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("audit log:\n%s", diff)
	}
	for _, secret := range []string{password, "wrong password", first, second} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in the audit log", secret)
		}
	}
}

// TestUnrecorded demands that nobody gets in while that cannot be recorded.
func TestUnrecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	id := w.addUser("duty", operator.Owner, withPassword)
	w.auditFails = true
	r := w.browse("", "POST", "/v1/session", body(map[string]string{"name": "duty", "password": password})).expect(t, http.StatusServiceUnavailable, "storage-unavailable")
	if r.header.Get("Set-Cookie") != "" {
		t.Error("there is a cookie")
	}
	if sessions, err := w.operators.Sessions(t.Context(), id); err != nil || len(sessions) > 0 {
		t.Errorf("there are %d sessions, %v", len(sessions), err)
	}
}

// TestFixation demands that no session has a token that was there before it.
func TestFixation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	first := w.begin(w.addUser("duty", operator.Owner, withPassword))
	planted := w.begin(w.addUser("intruder", operator.Viewer))
	for _, given := range []string{planted, first, base64.RawURLEncoding.EncodeToString(make([]byte, 32))} {
		r := w.browse(given, "POST", "/v1/session", body(map[string]string{"name": "duty", "password": password})).expect(t, http.StatusOK, "")
		if r.cookie(t, loopbackCookie).Value == given {
			t.Error("a token from before is adopted")
		}
	}
	if r := w.browse(planted, "GET", "/v1/session", ""); !strings.Contains(r.body, "intruder") {
		t.Errorf("the planted token is somebody else's now: %s", r.body)
	}

	changed := w.browse(first, "POST", "/v1/session/password", body(map[string]string{"current": password, "new": "another password"})).expect(t, http.StatusOK, "")
	next := changed.cookie(t, loopbackCookie).Value
	w.browse(first, "GET", "/v1/session", "").expect(t, http.StatusUnauthorized, "no-session")
	w.browse(next, "GET", "/v1/session", "").expect(t, http.StatusOK, "")
	w.browse(next, "POST", "/v1/session/password", body(map[string]string{"current": password, "new": "yet another password"})).expect(t, http.StatusUnprocessableEntity, "invalid-field")
	lines, _ := w.recorded(t)
	if last := lines[len(lines)-1]; last.Operation != "change-own-password" || last.Result != "refused" {
		t.Errorf("a refused change is recorded as %+v", last)
	}
}

// TestBruteForce guesses a password through the API.
func TestBruteForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.addUser("duty", operator.Owner, withPassword)
	for range 10 {
		w.browse("", "POST", "/v1/session", `{"name":"duty","password":"a wrong password"}`).expect(t, http.StatusUnauthorized, "login-refused")
	}
	r := w.browse("", "POST", "/v1/session", body(map[string]string{"name": "duty", "password": password})).expect(t, http.StatusTooManyRequests, "login-locked")
	if r.header.Get("Retry-After") == "" {
		t.Error("nothing says when to try again")
	}
	lines, _ := w.recorded(t)
	if len(lines) != 10 {
		t.Errorf("%d records, want one of each refused attempt: %v", len(lines), lines)
	}
	from := func(r *http.Request) { r.RemoteAddr = "198.51.100.7:1" }
	w.browse("", "POST", "/v1/session", body(map[string]string{"name": "duty", "password": password}), from).expect(t, http.StatusOK, "")
}

// TestStrangers demands that what is open to everybody cannot be called without end.
func TestStrangers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	refused := false
	for range 10_000 {
		if refused = w.browse("", "GET", "/v1/setup", "").status == http.StatusTooManyRequests; refused {
			break
		}
	}
	if !refused {
		t.Error("ten thousand requests in a row are taken")
	}
	r := w.browse("", "GET", "/v1/setup", "", func(r *http.Request) { r.RemoteAddr = "198.51.100.7:1" })
	r.expect(t, http.StatusOK, "")
}

// easy is operators whom any password is right for.
type easy struct {
	*operator.Operators
	w     *world
	user  string
	other string // where a sign-in by the identity provider begins
}

func (e *easy) Login(ctx context.Context, _ operator.Login, v operator.Visitor) (operator.Session, tuoguan.Secret, error) {
	token := e.w.begin(e.user)
	s, err := e.Session(ctx, token, v)
	return s, tuoguan.NewSecret(token), err
}

func (e *easy) OIDC() (string, bool) { return "Example", true }

func (e *easy) BeginOIDC(_ context.Context, returnTo string, _ operator.Visitor) (redirect, bind tuoguan.Secret, err error) {
	if e.other == "" {
		return redirect, bind, operator.ErrProvider
	}
	return tuoguan.NewSecret(e.other + "?state=" + url.QueryEscape(returnTo)), tuoguan.NewSecret("binding"), nil
}

func (e *easy) FinishOIDC(ctx context.Context, bind, state, code string, v operator.Visitor) (operator.Session, tuoguan.Secret, string, error) {
	if bind != "binding" || code != "right" {
		return operator.Session{}, tuoguan.Secret{}, "", operator.ErrRefused
	}
	s, token, err := e.Login(ctx, operator.Login{}, v)
	return s, token, state, err
}

func newEasyWorld(t *testing.T) (*world, *easy) {
	t.Helper()
	e := new(easy)
	w := newWorld(t, key, func(cfg *admin.Config) {
		e.Operators = cfg.Operators.(*operator.Operators)
		cfg.Operators = e
		cfg.Console = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "console "+r.URL.RequestURI()) })
	})
	e.w, e.user = w, w.addUser("duty", operator.Operator)
	return w, e
}

func TestCookie(t *testing.T) {
	t.Parallel()
	w, _ := newEasyWorld(t)
	for name, tt := range map[string]struct {
		host   string
		tls    bool
		proto  string
		cookie string // "": nobody signs in
	}{
		"tls":                   {"tuoguan.example.com", true, "", secureCookie},
		"tls before us":         {"tuoguan.example.com", false, "https", secureCookie},
		"tls on loopback":       {"localhost:8443", true, "", secureCookie},
		"localhost":             {"localhost:8081", false, "", loopbackCookie},
		"below localhost":       {"tuoguan.localhost", false, "", loopbackCookie},
		"IPv4 loopback":         {"127.0.0.1:8081", false, "", loopbackCookie},
		"another IPv4 loopback": {"127.8.9.1", false, "http", loopbackCookie},
		"IPv6 loopback":         {"[::1]:8081", false, "", loopbackCookie},
		"plain":                 {"tuoguan.example.com", false, "", ""},
		"plain before us":       {"tuoguan.example.com", false, "http", ""},
		"plain, private":        {"10.0.0.7:8081", false, "", ""},
		"named like loopback":   {"localhost.example.com", false, "", ""},
		"127 as a name":         {"127.0.0.1.example.com", false, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := func(r *http.Request) {
				r.Host = tt.host
				if tt.tls {
					r.TLS = new(tls.ConnectionState)
				}
				if tt.proto != "" {
					r.Header.Set("X-Forwarded-Proto", tt.proto)
				}
			}
			r := w.browse("", "POST", "/v1/session", `{"name":"duty","password":"x"}`, change)
			if tt.cookie == "" {
				r.expect(t, http.StatusForbidden, "insecure-connection")
				if r.header.Get("Set-Cookie") != "" {
					t.Error("there is a cookie")
				}
				return
			}
			got := *r.expect(t, http.StatusOK, "").cookie(t, tt.cookie)
			token := got.Value
			want := http.Cookie{Name: tt.cookie, Value: token, Path: "/", Secure: tt.cookie == secureCookie, HttpOnly: true, SameSite: http.SameSiteStrictMode}
			got.Raw = ""
			if diff := cmp.Diff(want, got); diff != "" || token == "" {
				t.Errorf("cookie:\n%s", diff)
			}
			with := func(name string) response {
				return w.browse("", "GET", "/v1/session", "", change, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: name, Value: token}) })
			}
			with(tt.cookie).expect(t, http.StatusOK, "")
			for _, other := range []string{secureCookie, loopbackCookie} {
				if other != tt.cookie {
					with(other).expect(t, http.StatusUnauthorized, "unauthorized")
				}
			}
		})
	}
}

func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	w, e := newEasyWorld(t)
	token := w.begin(e.user)
	const refused = "cross-origin"
	for name, tt := range map[string]struct {
		method, target, body string
		headers              map[string]string // "" removes one
		want                 string
	}{
		"our own page":                  {"PUT", "/v1/authorizers/x/tags", `{"tags":[]}`, nil, "unknown-authorizer"},
		"with a charset":                {"PUT", "/v1/authorizers/x/tags", `{"tags":[]}`, map[string]string{"Content-Type": "application/json; charset=utf-8"}, "unknown-authorizer"},
		"no browser":                    {"PUT", "/v1/authorizers/x/tags", `{"tags":[]}`, map[string]string{"Sec-Fetch-Site": ""}, "unknown-authorizer"},
		"another site":                  {"PUT", "/v1/authorizers/x/tags", `{"tags":[]}`, map[string]string{"Sec-Fetch-Site": "cross-site"}, refused},
		"a sister":                      {"PUT", "/v1/authorizers/x/tags", `{"tags":[]}`, map[string]string{"Sec-Fetch-Site": "same-site"}, refused},
		"an old browser, another site":  {"PUT", "/v1/authorizers/x/tags", `{"tags":[]}`, map[string]string{"Sec-Fetch-Site": "", "Origin": "https://evil.example.com"}, refused},
		"an old browser, our own":       {"PUT", "/v1/authorizers/x/tags", `{"tags":[]}`, map[string]string{"Sec-Fetch-Site": "", "Origin": "http://localhost:8081"}, "unknown-authorizer"},
		"a frame without origin":        {"PUT", "/v1/authorizers/x/tags", `{"tags":[]}`, map[string]string{"Sec-Fetch-Site": "", "Origin": "null"}, refused},
		"a form":                        {"POST", "/v1/authorizers/x/refresh", "a=b", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, refused},
		"text":                          {"POST", "/v1/authorizers/x/refresh", "{}", map[string]string{"Content-Type": "text/plain"}, refused},
		"no type":                       {"PUT", "/v1/authorizers/x/tags", `{"tags":[]}`, map[string]string{"Content-Type": ""}, refused},
		"no body":                       {"POST", "/v1/authorizers/x/refresh", "", nil, "unknown-authorizer"},
		"no body, another site":         {"POST", "/v1/authorizers/x/refresh", "", map[string]string{"Sec-Fetch-Site": "cross-site"}, refused},
		"a read, another site":          {"GET", "/v1/authorizers/x", "", map[string]string{"Sec-Fetch-Site": "cross-site"}, "unknown-authorizer"},
		"a key, whatever a proxy added": {"POST", "/v1/authorizers/x/refresh", "", map[string]string{"Sec-Fetch-Site": "cross-site", "Authorization": "Bearer " + key}, "unknown-authorizer"},
		"signing in from another site":  {"POST", "/v1/session", `{"name":"intruder","password":"x"}`, map[string]string{"Sec-Fetch-Site": "cross-site"}, refused},
		"signing in by a form":          {"POST", "/v1/session", `{"name":"intruder","password":"x"}`, map[string]string{"Content-Type": "text/plain"}, refused},
		"signing out from another site": {"DELETE", "/v1/session", "", map[string]string{"Sec-Fetch-Site": "cross-site"}, refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := w.browse(token, tt.method, tt.target, tt.body, func(r *http.Request) {
				for name, value := range tt.headers {
					r.Header.Del(name)
					if value != "" {
						r.Header.Set(name, value)
					}
				}
			})
			if got := r.name(t); got != tt.want || got == refused && r.status != http.StatusForbidden {
				t.Errorf("got %d %s, want %s", r.status, r.body, tt.want)
			}
		})
	}
	w.browse(token, "GET", "/v1/session", "").expect(t, http.StatusOK, "")
}

// TestKeyBesideCookie demands that of two credentials the key counts.
func TestKeyBesideCookie(t *testing.T) {
	t.Parallel()
	w, e := newEasyWorld(t)
	token := w.begin(e.user)
	with := func(authorization string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", authorization) }
	}
	w.browse(token, "GET", "/v1/api-keys", "", with("Bearer "+key)).expect(t, http.StatusOK, "")
	w.browse(token, "GET", "/v1/audit", "", with("Bearer "+key)).expect(t, http.StatusOK, "") // an operator may not
	w.browse(token, "GET", "/v1/api-keys", "", with("Bearer wrong")).expect(t, http.StatusUnauthorized, "unauthorized")
	w.browse("wrong", "GET", "/v1/api-keys", "", with("Bearer "+key)).expect(t, http.StatusOK, "")
	w.browse(token, "GET", "/v1/session", "", with("Bearer "+key)).expect(t, http.StatusNotFound, "unknown-session")
	w.browse(token, "DELETE", "/v1/session", "", with("Bearer "+key)).expect(t, http.StatusNotFound, "unknown-session")
	wrong := w.browse("wrong", "GET", "/v1/api-keys", "").expect(t, http.StatusUnauthorized, "no-session")
	if c := wrong.cookie(t, loopbackCookie); c.MaxAge >= 0 {
		t.Errorf("the cookie stays: %v", c)
	}
}

// TestMust demands that who has to do something first can do nothing else.
func TestMust(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key, func(cfg *admin.Config) {
		o, err := operator.New(operator.Config{Store: cfg.Values.(operator.Store), Logger: cfg.Logger, Clock: cfg.Clock, TOTP: operator.TOTPAll})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Operators = o
	})
	expired := w.addUser("duty", operator.Owner, func(u *store.User) { u.PasswordExpired = true })
	unarmed := w.addUser("wang", operator.Owner)
	for _, route := range admin.Routes() {
		for user, want := range map[string]string{expired: "must-change-password", unarmed: "must-set-totp"} {
			target := regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(route.Pattern, "x")
			switch r := w.browse(w.begin(user), route.Method, target, ""); {
			case route.Open:
			case route.Own:
				if r.status == http.StatusForbidden || r.status == http.StatusUnauthorized {
					t.Errorf("%s: got %d %s", route.ID, r.status, r.body)
				}
			case r.status != http.StatusForbidden || r.name(t) != want:
				t.Errorf("%s: got %d %s, want %s", route.ID, r.status, r.body, want)
			}
		}
	}
}

// TestSecured looks at the headers of everything that the listener serves.
func TestSecured(t *testing.T) {
	t.Parallel()
	w, e := newEasyWorld(t)
	token := w.begin(e.user)
	for _, target := range []string{
		"/", "/console/", "/console", "/console/users", "/console/oidc/start", "/console/oidc/callback", "/docs", "/openapi.json", "/openapi.yaml", "/healthz", "/readyz", "/metrics", "/nothing",
		"/v1/session", "/v1/setup", "/v1/authorizers", "/v1/audit", "/v1/nothing",
	} {
		for _, overTLS := range []bool{false, true} {
			r := w.browse(token, "GET", target, "", func(r *http.Request) {
				if overTLS {
					r.TLS = new(tls.ConnectionState)
				}
			})
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
			} {
				if got := r.header.Values(name); len(got) != 1 || got[0] != want {
					t.Errorf("%s: %s is %q", target, name, got)
				}
			}
			policy := r.header.Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
				if !strings.Contains(policy, part) {
					t.Errorf("%s: no %s in %q", target, part, policy)
				}
			}
			if strings.Contains(policy, "unsafe") || r.header.Get("Permissions-Policy") == "" {
				t.Errorf("%s: got %v", target, r.header)
			}
			if hsts := r.header.Get("Strict-Transport-Security"); (hsts != "") != overTLS {
				t.Errorf("%s: Strict-Transport-Security is %q, over TLS: %v", target, hsts, overTLS)
			}
		}
	}
}

// strict is a browser as far as SameSite goes: on a navigation that another site began,
// redirects included, it sends no Strict cookie.
type strict struct {
	*cookiejar.Jar
	strictly map[string]bool // cookies by name
	foreign  bool            // another site began the navigation
}

func (s *strict) SetCookies(u *url.URL, cookies []*http.Cookie) {
	for _, c := range cookies {
		s.strictly[c.Name] = c.SameSite == http.SameSiteStrictMode
	}
	s.Jar.SetCookies(u, cookies)
}

func (s *strict) Cookies(u *url.URL) []*http.Cookie {
	return slices.DeleteFunc(s.Jar.Cookies(u), func(c *http.Cookie) bool { return s.foreign && s.strictly[c.Name] })
}

// TestOIDC signs in by an identity provider as a browser does.
func TestOIDC(t *testing.T) {
	t.Parallel()
	w, e := newEasyWorld(t)
	ours := httptest.NewServer(w.handler)
	t.Cleanup(ours.Close)
	code := "right"
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, ours.URL+"/console/oidc/callback?state="+url.QueryEscape(r.URL.Query().Get("state"))+"&code="+code, http.StatusFound)
	}))
	t.Cleanup(provider.Close)
	e.other = provider.URL

	visit := func(t *testing.T, jar *strict, target string) (*http.Response, string) {
		t.Helper()
		browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, via []*http.Request) error {
			jar.foreign = jar.foreign || r.URL.Host != via[0].URL.Host
			return nil
		}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ours.URL+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		raw, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer, string(raw)
	}
	newJar := func(t *testing.T) *strict {
		t.Helper()
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		return &strict{Jar: jar, strictly: make(map[string]bool)}
	}

	jar := newJar(t)
	answer, shown := visit(t, jar, "/console/oidc/start?return="+url.QueryEscape("/console/links?x=1"))
	if answer.StatusCode != http.StatusOK || shown != "console /console/links?x=1" {
		t.Fatalf("got %d %s", answer.StatusCode, shown)
	}
	if answer.Request.Header.Get("Cookie") != "" {
		t.Error("the test's browser sends a Strict cookie where a real one does not")
	}
	if policy := answer.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self'") {
		t.Errorf("the page has the policy %q", policy)
	}
	jar.foreign = false // what the page asks for comes from this site
	if answer, shown := visit(t, jar, "/v1/session"); answer.StatusCode != http.StatusOK || !strings.Contains(shown, "duty") {
		t.Errorf("the page is not signed in: %d %s", answer.StatusCode, shown)
	}
	lines, text := w.recorded(t)
	if len(lines) != 1 || lines[0].Operation != "sign-in" || lines[0].Actor != "user:"+e.user || !strings.Contains(text, "Browser") && lines[0].Result != "ok" {
		t.Errorf("recorded is %v", lines)
	}

	bind := w.browse("", "GET", "/console/oidc/start", "").cookie(t, loopbackCookie+"-oidc")
	if !bind.HttpOnly || bind.SameSite != http.SameSiteLaxMode || bind.MaxAge != 600 || bind.Path != "/" {
		t.Errorf("the binding cookie is %v", bind)
	}
	over := w.browse("", "GET", "/console/oidc/start", "", func(r *http.Request) { r.TLS = new(tls.ConnectionState) })
	if c := over.cookie(t, secureCookie+"-oidc"); !c.Secure {
		t.Errorf("over TLS the binding cookie is %v", c)
	}

	problemOf := func(r response) string {
		t.Helper()
		if r.status != http.StatusSeeOther || strings.Contains(r.header.Get("Set-Cookie"), loopbackCookie+"=") {
			t.Errorf("got %d %v", r.status, r.header)
		}
		name, _ := strings.CutPrefix(r.header.Get("Location"), "/console/?problem=")
		return name
	}
	bound := func(r *http.Request) { r.AddCookie(&http.Cookie{Name: loopbackCookie + "-oidc", Value: "binding"}) }
	if got := problemOf(w.browse("", "GET", "/console/oidc/callback?state=/console/&code=right", "")); got != "login-refused" {
		t.Errorf("begun in another browser: %s", got)
	}
	if got := problemOf(w.browse("", "GET", "/console/oidc/callback?state=/console/&error=access_denied", "", bound)); got != "login-refused" {
		t.Errorf("declined: %s", got)
	}
	if got := problemOf(w.browse("", "GET", "/console/oidc/callback?state=/console/&code=wrong", "", bound)); got != "login-refused" {
		t.Errorf("a wrong code: %s", got)
	}
	w.auditFails = true
	if got := problemOf(w.browse("", "GET", "/console/oidc/callback?state=/console/&code=right", "", bound)); got != "storage-unavailable" {
		t.Errorf("not recorded: %s", got)
	}
	w.auditFails = false
	e.other = ""
	if got := problemOf(w.browse("", "GET", "/console/oidc/start", "")); got != "provider-unavailable" {
		t.Errorf("the provider is away: %s", got)
	}
	if got := problemOf(w.browse("", "GET", "/console/oidc/start", "", func(r *http.Request) { r.Host = "tuoguan.example.com" })); got != "insecure-connection" {
		t.Errorf("over plain http: %s", got)
	}
	plain := newWorld(t, key)
	if got := problemOf(plain.browse("", "GET", "/console/oidc/start", "")); got != "no-such-route" {
		t.Errorf("no provider: %s", got)
	}
}

// TestRoles calls every route as every role, and demands that exactly those get through
// whose operations include what the route needs.
func TestRoles(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	users := make(map[operator.Role]string)
	for _, role := range operator.Roles() {
		users[role] = m.addUser("one-"+string(role), role)
	}
	m.addUser("another-owner", operator.Owner, withPassword) // so that no last one is in the way
	for _, route := range admin.Routes() {
		request, ok := requests[route.ID]
		if !ok && !route.Open && !route.Own {
			t.Errorf("%s %s: every route has to be in the matrix of TestAuthority", route.Method, route.Pattern)
			continue
		}
		for _, role := range operator.Roles() {
			target, sent := route.Pattern, ""
			if ok {
				m.renew(t, route, request.about)
				target = request.target(m)
				if request.body != nil {
					sent = request.body(m)
				}
			}
			r := m.browse(m.begin(users[role]), route.Method, target, sent)
			allowed := route.Open || route.Own || slices.ContainsFunc(role.Operations(), func(held access.Operation) bool { return implied(held, route.Needs) })
			switch {
			case !allowed:
				if r.status != http.StatusForbidden || r.name(t) != "missing-scope" || !strings.Contains(r.body, string(route.Needs)) {
					t.Errorf("%s as %s: got %d %s, want missing-scope", route.ID, role, r.status, r.body)
				}
			case route.Open || route.Own: // what there is to say is said by other tests
				if r.status == http.StatusForbidden || r.status == http.StatusUnauthorized {
					t.Errorf("%s as %s: got %d %s", route.ID, role, r.status, r.body)
				}
			case r.status != route.Status && r.status != route.Or && r.status != http.StatusConflict:
				t.Errorf("%s as %s: got %d %s, want %d", route.ID, role, r.status, r.body, route.Status)
			}
		}
	}
}

// TestOwnSessions: whoever is signed in sees and ends the sessions of the same user, and
// of nobody else.
func TestOwnSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	viewer, other := w.addUser("viewer", operator.Viewer), w.addUser("other", operator.Viewer)
	here, elsewhere := w.begin(viewer), w.begin(viewer)
	w.begin(other)

	var listed struct {
		Items []struct {
			ID      string `json:"id"`
			Current bool   `json:"current"`
		}
	}
	r := w.browse(here, "GET", "/v1/users/"+viewer+"/sessions", "").expect(t, http.StatusOK, "")
	if err := json.Unmarshal([]byte(r.body), &listed); err != nil || len(listed.Items) != 2 {
		t.Fatalf("%d sessions, %v", len(listed.Items), err)
	}
	for _, s := range listed.Items {
		if !s.Current {
			w.browse(here, "DELETE", "/v1/users/"+viewer+"/sessions/"+s.ID, "").expect(t, http.StatusNoContent, "")
		}
	}
	w.browse(elsewhere, "GET", "/v1/session", "").expect(t, http.StatusUnauthorized, "no-session")
	w.browse(here, "GET", "/v1/session", "").expect(t, http.StatusOK, "")
	w.browse(here, "GET", "/v1/users/"+other+"/sessions", "").expect(t, http.StatusForbidden, "missing-scope")
	w.browse(here, "DELETE", "/v1/users/"+other+"/sessions", "").expect(t, http.StatusForbidden, "missing-scope")
	w.browse(here, "DELETE", "/v1/users/"+viewer, "").expect(t, http.StatusForbidden, "missing-scope")
}
