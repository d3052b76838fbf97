package oauth_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/oauth"
	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/simulator/simtest"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
	"github.com/tuoguan/tuoguan/wxapi"
	"github.com/tuoguan/tuoguan/wxcrypt"
)

const (
	base = "https://login.example.com"
	shop = "https://shop.example.com/after"
)

// world is two replicas of the relay on one store, the simulated WeChat, and a service
// that visitors come back to.
type world struct {
	t         *testing.T
	sim       *simulator.Simulator
	clock     *tuoguan.Clock
	component tuoguan.ComponentAppID
	account   tuoguan.AuthorizerAppID
	store     *memory.Store
	api       *wxapi.Client
	logs      *bytes.Buffer

	standing []tuoguan.Authorization
	replicas []replica
	turn     int // which replica is asked next
}

type replica struct {
	*oauth.Relay
	mux *http.ServeMux
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, logs: new(bytes.Buffer)}
	tickets := make(chan tuoguan.Secret, 8)
	c := simtest.Component("Acme", base)
	w.sim = simtest.New(t, simulator.Config{Seed: 1, PushTransport: simtest.HandlerTransport{Handler: ticketReader(t, c, tickets)}})
	w.clock = w.sim.Clock()
	simtest.Register(t, w.sim, c)
	w.component = tuoguan.ComponentAppID(c.AppID)
	if _, err := w.sim.PushTicket(t.Context(), c.AppID); err != nil {
		t.Fatal(err)
	}
	source := new(tokenSource)
	api, err := wxapi.New(wxapi.Config{Tokens: source, HTTPClient: &http.Client{Transport: w.sim.RoundTripper()}, Clock: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	w.api = api
	if source.token, err = api.CreateComponentToken(t.Context(), w.component, tuoguan.NewSecret(c.Secret), <-tickets); err != nil {
		t.Fatal(err)
	}
	w.account = w.authorize()
	w.store = memory.New(memory.Config{Clock: w.clock})
	w.replicas = []replica{w.replica(nil), w.replica(nil)}
	return w
}

// ticketReader is the component's push address. It keeps the tickets.
func ticketReader(t *testing.T, c simulator.Component, tickets chan<- tuoguan.Secret) http.HandlerFunc {
	crypter, err := wxcrypt.New(wxcrypt.Config{AppID: c.AppID, Token: c.Token, EncodingAESKey: c.EncodingAESKey})
	if err != nil {
		t.Fatal(err)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		envelope, err := wxcrypt.ParseEnvelope(body)
		if err != nil {
			t.Errorf("push: %v", err)
		}
		q := r.URL.Query()
		message, err := crypter.Open(wxcrypt.Query{Timestamp: q.Get("timestamp"), Nonce: q.Get("nonce"), MsgSignature: q.Get("msg_signature")}, envelope.Encrypt)
		if err != nil {
			t.Errorf("push: %v", err)
		}
		var event struct{ ComponentVerifyTicket string }
		if xml.Unmarshal(message.Body, &event) == nil && event.ComponentVerifyTicket != "" {
			tickets <- tuoguan.NewSecret(event.ComponentVerifyTicket)
		}
		_, _ = io.WriteString(w, "success")
	}
}

// tokenSource has the one token that web OAuth needs.
type tokenSource struct{ token tuoguan.AccessToken }

func (s *tokenSource) Token(context.Context, tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
	return s.token, nil
}

func (s *tokenSource) Invalidate(context.Context, tuoguan.TokenOwner, tuoguan.Secret) (tuoguan.AccessToken, error) {
	return tuoguan.AccessToken{}, errors.New("the token is good")
}

// authorize makes an account that has authorized the component.
func (w *world) authorize() tuoguan.AuthorizerAppID {
	w.t.Helper()
	a, err := w.sim.AddAccount(simulator.Account{})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.sim.Authorize(w.t.Context(), a.AppID, simulator.AuthorizeRequest{ComponentAppID: string(w.component)}); err != nil {
		w.t.Fatal(err)
	}
	id := tuoguan.AuthorizerAppID(a.AppID)
	w.standing = append(w.standing, tuoguan.Authorization{Component: w.component, Authorizer: id})
	return id
}

func (w *world) config() oauth.Config {
	return oauth.Config{
		Store: w.store, WeChat: w.api, Clock: w.clock, BaseURL: base,
		Logger: slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Key:    tuoguan.NewSecret(strings.Repeat("k", 32)),
		Standing: func(_ context.Context, a tuoguan.AuthorizerAppID, c tuoguan.ComponentAppID) (found []tuoguan.Authorization, _ error) {
			for _, one := range w.standing {
				if one.Authorizer == a && (c == "" || one.Component == c) {
					found = append(found, one)
				}
			}
			return found, nil
		},
		ReturnURLs: []string{"https://shop.example.com/"},
	}
}

func (w *world) replica(change func(*oauth.Config)) replica {
	w.t.Helper()
	cfg := w.config()
	if change != nil {
		change(&cfg)
	}
	relay, err := oauth.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	mux := http.NewServeMux()
	relay.Register(mux)
	return replica{relay, mux}
}

// RoundTrip is the internet: the replicas in turn, WeChat, and the service.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.URL.Host {
	case "login.example.com":
		w.turn++
		return simtest.HandlerTransport{Handler: w.replicas[w.turn%len(w.replicas)].mux}.RoundTrip(r)
	case "open.weixin.qq.com":
		return w.sim.RoundTripper().RoundTrip(r)
	case "shop.example.com":
		return simtest.HandlerTransport{Handler: http.NotFoundHandler()}.RoundTrip(r)
	}
	w.t.Errorf("the browser was sent to %s", r.URL.Host)
	return nil, errors.New("no such host")
}

// browser follows no redirects by itself.
func (w *world) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: w, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// open opens an address and returns the status, where it leads, and the page.
func (w *world) open(b *http.Client, address string) (status int, location, body string) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := b.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if request.URL.Host == "login.example.com" {
		for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
			if got := response.Header.Get(name); got != want {
				w.t.Errorf("%s of %s is %q, want %q", name, request.URL.Path, got, want)
			}
		}
	}
	return response.StatusCode, response.Header.Get("Location"), string(text)
}

// leads opens an address that has to redirect, and returns where.
func (w *world) leads(b *http.Client, address string) string {
	w.t.Helper()
	status, location, body := w.open(b, address)
	if status != http.StatusFound {
		w.t.Fatalf("%s: %d %s", address, status, body)
	}
	return location
}

func (w *world) start(a tuoguan.AuthorizerAppID, query url.Values) string {
	return base + "/oauth/" + string(a) + "/start?" + query.Encode()
}

// toBack has a browser go to WeChat and returns the address that WeChat sends it to.
func (w *world) toBack(b *http.Client, query url.Values) string {
	w.t.Helper()
	address := w.leads(b, w.start(w.account, query))
	if query.Get("scope") == "snsapi_userinfo" {
		address = strings.Replace(address, "#", "&wxsim_allow=1#", 1)
	}
	return w.leads(b, address)
}

// queryOf returns the query of the service's address, having checked the rest of it.
func (w *world) queryOf(address string) url.Values {
	w.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		w.t.Fatal(err)
	}
	if got := u.Scheme + "://" + u.Host + u.Path; got != shop {
		w.t.Fatalf("the browser was sent to %s", got)
	}
	return u.Query()
}

func TestJourney(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	openid := w.visitorOf(w.account)
	tests := map[string]struct {
		query url.Values
		want  oauth.Identity
		state string
	}{
		"silent": {
			query: url.Values{"return_url": {shop}, "state": {"cart=7&x=\"y\""}},
			want:  oauth.Identity{OpenID: openid, Scope: wxapi.ScopeBase},
			state: "cart=7&x=\"y\"",
		},
		"own query and component": {
			query: url.Values{"return_url": {shop + "?a=1&b=%2F"}, "component": {string(w.component)}, "scope": {"snsapi_base"}},
			want:  oauth.Identity{OpenID: openid, Scope: wxapi.ScopeBase},
		},
		"with profile": {
			query: url.Values{"return_url": {shop}, "scope": {"snsapi_userinfo"}, "state": {"s"}},
			want: oauth.Identity{
				OpenID: openid, UnionID: "uSim" + openid[4:], Scope: wxapi.ScopeUserInfo,
				UserInfo: &oauth.UserInfo{NickName: "模拟用户", HeadImageURL: "https://wx.qlogo.example/user/0"},
			},
			state: "s",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := w.browser()
			got := w.queryOf(w.leads(b, w.toBack(b, tt.query)))
			if got.Get("state") != tt.state || got.Has("error") || got.Has("appid") {
				t.Errorf("came back with %v", got)
			}
			tt.want.AuthorizerAppID, tt.want.ComponentAppID = w.account, w.component
			who, err := w.replicas[0].Redeem(t.Context(), got.Get("code"))
			if diff := cmp.Diff(tt.want, who); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
			if _, err := w.replicas[1].Redeem(t.Context(), got.Get("code")); !errors.Is(err, oauth.ErrUnknownCode) {
				t.Errorf("redeemed twice: %v", err)
			}
		})
	}
	simtest.WithoutSecrets(t, w.sim, "the log", w.logs.String())
}

// visitorOf returns the openid of the one visitor that the simulator knows.
func (w *world) visitorOf(a tuoguan.AuthorizerAppID) string {
	w.t.Helper()
	b := w.browser()
	got := w.queryOf(w.leads(b, w.toBack(b, url.Values{"return_url": {shop}})))
	who, err := w.replicas[0].Redeem(w.t.Context(), got.Get("code"))
	if err != nil || who.OpenID == "" || who.AuthorizerAppID != a {
		w.t.Fatalf("%+v, %v", who, err)
	}
	return who.OpenID
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	_, _, page := w.open(b, w.leads(b, w.start(w.account, url.Values{"return_url": {shop}, "scope": {"snsapi_userinfo"}, "state": {"s"}})))
	_, rest, _ := strings.Cut(page, `button plain" href="`)
	reject, _, _ := strings.Cut(rest, `"`)
	got := w.queryOf(w.leads(b, strings.ReplaceAll(reject, "&amp;", "&")))
	if diff := cmp.Diff(url.Values{"error": {"access_denied"}, "state": {"s"}}, got); diff != "" {
		t.Error(diff)
	}
}

// oddWeChat says of every visitor that it made them up, tells the union id late, and
// may refuse the profile.
type oddWeChat struct {
	*wxapi.Client
	profile error
}

func (c oddWeChat) OAuthAccessToken(ctx context.Context, a tuoguan.Authorization, code tuoguan.Secret) (wxapi.UserToken, error) {
	user, err := c.Client.OAuthAccessToken(ctx, a, code)
	user.SnapshotUser, user.UnionID = true, ""
	return user, err
}

func (c oddWeChat) GetUserInfo(ctx context.Context, token tuoguan.Secret, openID string) (wxapi.UserInfo, error) {
	if c.profile != nil {
		return wxapi.UserInfo{}, c.profile
	}
	return c.Client.GetUserInfo(ctx, token, openID)
}

func TestProfile(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]error{"given": nil, "refused": wxapi.ErrNotSent} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.replicas = []replica{w.replica(func(c *oauth.Config) { c.WeChat = oddWeChat{w.api, refusal} })}
			b := w.browser()
			got := w.queryOf(w.leads(b, w.toBack(b, url.Values{"return_url": {shop}, "scope": {"snsapi_userinfo"}})))
			who, err := w.replicas[0].Redeem(t.Context(), got.Get("code"))
			if err != nil || who.OpenID == "" || !who.SnapshotUser {
				t.Errorf("%+v, %v", who, err)
			}
			if given := refusal == nil; given != (who.UserInfo != nil) || given != (who.UnionID != "") {
				t.Errorf("%+v", who)
			}
		})
	}
}

// TestBack brings addresses back that are not, or no longer, those that WeChat sends a
// browser to. None may lead anywhere, and none may show a code.
func TestBack(t *testing.T) {
	t.Parallel()
	edit := func(change func(url.Values)) func(*world, *http.Client, string) (*http.Client, string) {
		return func(w *world, b *http.Client, address string) (*http.Client, string) {
			u, err := url.Parse(address)
			if err != nil {
				w.t.Fatal(err)
			}
			query := u.Query()
			change(query)
			u.RawQuery = query.Encode()
			return b, u.String()
		}
	}
	tests := map[string]struct {
		change func(w *world, b *http.Client, address string) (*http.Client, string)
		status int
		again  bool // the page offers to begin anew
	}{
		"another browser": {func(w *world, _ *http.Client, address string) (*http.Client, string) { return w.browser(), address }, 400, false},
		"twice": {func(w *world, b *http.Client, address string) (*http.Client, string) {
			cookies := b.Jar.Cookies(must(url.Parse(base)))
			w.leads(b, address)
			if left := b.Jar.Cookies(must(url.Parse(base))); len(left) != 0 {
				w.t.Errorf("cookies are left: %v", left)
			}
			thief := w.browser() // who has got hold of the cookie, too
			for _, c := range cookies {
				c.Path, c.Secure = "/", true
			}
			thief.Jar.SetCookies(must(url.Parse(base)), cookies)
			return thief, address
		}, 400, true},
		"too late": {func(w *world, b *http.Client, address string) (*http.Client, string) {
			w.clock.Advance(10 * time.Minute)
			return b, address
		}, 400, true},
		"a refusal, too late": {func(w *world, b *http.Client, address string) (*http.Client, string) {
			w.clock.Advance(10 * time.Minute)
			return edit(func(q url.Values) { q.Del("code") })(w, b, address)
		}, 400, true},
		"the code is too old for WeChat": {func(w *world, b *http.Client, address string) (*http.Client, string) {
			w.clock.Advance(9 * time.Minute)
			return b, address
		}, 400, true},
		"state of another visit": {func(w *world, b *http.Client, address string) (*http.Client, string) {
			other := must(url.Parse(w.toBack(w.browser(), url.Values{"return_url": {shop}}))).Query().Get("state")
			return edit(func(q url.Values) { q.Set("state", other) })(w, b, address)
		}, 400, false},
		"cookie of another visit": {func(w *world, b *http.Client, address string) (*http.Client, string) {
			other := w.browser()
			second := w.toBack(other, url.Values{"return_url": {shop}})
			mine, theirs := b.Jar.Cookies(must(url.Parse(base))), other.Jar.Cookies(must(url.Parse(base)))
			other.Jar.SetCookies(must(url.Parse(base)), []*http.Cookie{{Name: theirs[0].Name, Value: mine[0].Value, Path: "/", Secure: true}})
			return other, second
		}, 400, false},
		"path of another account": {func(w *world, b *http.Client, address string) (*http.Client, string) {
			return b, strings.Replace(address, "/oauth/"+string(w.account), "/oauth/"+string(w.authorize()), 1)
		}, 400, false},
		"state cut short":     {edit(func(q url.Values) { q.Set("state", q.Get("state")[:29]) }), 400, false},
		"state changed":       {edit(func(q url.Values) { q.Set("state", strings.ToUpper(q.Get("state"))) }), 400, false},
		"no state":            {edit(func(q url.Values) { q.Del("state") }), 400, false},
		"two states":          {edit(func(q url.Values) { q.Add("state", q.Get("state")) }), 400, false},
		"two codes":           {edit(func(q url.Values) { q.Add("code", "other") }), 400, false},
		"appid of another":    {edit(func(q url.Values) { q.Set("appid", "wxbbbbbbbbbbbbbbbb") }), 400, false},
		"code of nobody":      {edit(func(q url.Values) { q.Set("code", "0013thisIsNotACode") }), 400, true},
		"code without an end": {edit(func(q url.Values) { q.Set("code", strings.Repeat("c", 1025)) }), 400, false},
		"WeChat is busy": {func(w *world, b *http.Client, address string) (*http.Client, string) {
			f := w.sim.Faults()
			f.HTTP5xx = 1
			if err := w.sim.SetFaults(f); err != nil {
				w.t.Fatal(err)
			}
			return b, address
		}, 502, true},
		"rule withdrawn": {func(w *world, b *http.Client, address string) (*http.Client, string) {
			w.replicas = []replica{w.replica(func(c *oauth.Config) { c.ReturnURLs = []string{"https://other.example.com/"} })}
			return b, address
		}, 400, false},
		"key replaced": {func(w *world, b *http.Client, address string) (*http.Client, string) {
			w.replicas = []replica{w.replica(func(c *oauth.Config) { c.Key = tuoguan.NewSecret(strings.Repeat("x", 32)) })}
			return b, address
		}, 400, false},
		"store away": {func(w *world, b *http.Client, address string) (*http.Client, string) {
			if err := w.store.Close(); err != nil {
				w.t.Fatal(err)
			}
			return b, address
		}, 503, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.browser()
			address := w.toBack(b, url.Values{"return_url": {shop}, "state": {"s"}})
			code := must(url.Parse(address)).Query().Get("code")
			b, address = tt.change(w, b, address)
			status, location, page := w.open(b, address)
			if status != tt.status || location != "" {
				t.Errorf("%d to %q, want %d", status, location, tt.status)
			}
			if again := strings.Contains(page, "/oauth/"+string(w.account)+"/start?"); again != tt.again {
				t.Errorf("offers to begin anew: %t, want %t", again, tt.again)
			}
			for _, text := range []string{page, w.logs.String()} {
				if strings.Contains(text, code) || strings.Contains(text, "thisIsNotACode") {
					t.Errorf("a code is shown: %s", text)
				}
			}
			simtest.WithoutSecrets(t, w.sim, "page and log", page+w.logs.String())
		})
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// TestAgain follows the offer to begin anew.
func TestAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	address := w.toBack(b, url.Values{"return_url": {shop}, "state": {"a&b"}})
	w.clock.Advance(10 * time.Minute)
	_, _, page := w.open(b, address)
	_, rest, _ := strings.Cut(page, `class="button" href="`)
	again, _, _ := strings.Cut(rest, `"`)
	back := w.leads(b, w.leads(b, strings.ReplaceAll(again, "&amp;", "&")))
	if got := w.queryOf(w.leads(b, back)); got.Get("state") != "a&b" || got.Get("code") == "" {
		t.Errorf("came back with %v", got)
	}
}

func TestRedeem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := func() string {
		b := w.browser()
		return w.queryOf(w.leads(b, w.toBack(b, url.Values{"return_url": {shop}}))).Get("code")
	}
	tests := map[string]func() string{
		"nothing":        func() string { return "" },
		"nonsense":       func() string { return strings.Repeat("a", 43) },
		"long nonsense":  func() string { return strings.Repeat("a", 1<<20) },
		"a minute later": func() string { c := code(); w.clock.Advance(time.Minute); return c },
		"changed":        func() string { return strings.ToUpper(code()) },
	}
	for name, make := range tests {
		t.Run(name, func(t *testing.T) {
			if who, err := w.replicas[0].Redeem(t.Context(), make()); !errors.Is(err, oauth.ErrUnknownCode) {
				t.Errorf("%+v, %v", who, err)
			}
		})
	}
	t.Run("many at once", func(t *testing.T) {
		c := code()
		var got sync.Map
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				if who, err := w.replicas[i%2].Redeem(t.Context(), c); err == nil {
					got.Store(i, who)
				}
			})
		}
		all.Wait()
		n := 0
		got.Range(func(any, any) bool { n++; return true })
		if n != 1 {
			t.Errorf("%d got the identity", n)
		}
	})
	t.Run("store away", func(t *testing.T) {
		c := code()
		if err := w.store.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := w.replicas[0].Redeem(t.Context(), c); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%v", err)
		}
	})
}

func TestStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	twice := w.authorize()
	w.standing = append(w.standing, tuoguan.Authorization{Component: "wxcccccccccccccccc", Authorizer: twice})
	tests := map[string]struct {
		account tuoguan.AuthorizerAppID
		query   url.Values
		status  int
		shows   string
	}{
		"no return URL":     {w.account, url.Values{}, 400, "return_url"},
		"two return URLs":   {w.account, url.Values{"return_url": {shop, shop}}, 400, "return_url"},
		"foreign":           {w.account, url.Values{"return_url": {"https://evil.example/"}}, 400, "return_url"},
		"scope":             {w.account, url.Values{"return_url": {shop}, "scope": {"snsapi_login"}}, 400, "scope"},
		"long state":        {w.account, url.Values{"return_url": {shop}, "state": {strings.Repeat("s", 257)}}, 400, "state"},
		"binary state":      {w.account, url.Values{"return_url": {shop}, "state": {"\x00"}}, 400, "state"},
		"unknown account":   {"wxdddddddddddddddd", url.Values{"return_url": {shop}}, 404, ""},
		"not that platform": {w.account, url.Values{"return_url": {shop}, "component": {"wxcccccccccccccccc"}}, 404, ""},
		"which platform":    {twice, url.Values{"return_url": {shop}}, 400, "component"},
		"that platform":     {twice, url.Values{"return_url": {shop}, "component": {string(w.component)}}, 302, ""},
		"longest":           {w.account, url.Values{"return_url": {shop + "?" + strings.Repeat("&", 1023-len(shop))}, "state": {strings.Repeat(`"`, 256)}}, 302, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := w.browser()
			status, location, page := w.open(b, w.start(tt.account, tt.query))
			if status != tt.status || !strings.Contains(page, tt.shows) || strings.Contains(page, "evil") {
				t.Errorf("%d %s, want %d and %q", status, page, tt.status, tt.shows)
			}
			if (status == 302) != strings.HasPrefix(location, "https://open.weixin.qq.com/connect/oauth2/authorize?") {
				t.Errorf("leads to %q", location)
			}
			for _, c := range b.Jar.Cookies(must(url.Parse(base))) {
				if size := len(c.Name) + len(c.Value); size > 4000 {
					t.Errorf("a cookie of %d bytes: browsers keep 4096", size)
				}
			}
		})
	}
	t.Run("nobody knows the account", func(t *testing.T) {
		w.replicas = []replica{w.replica(func(c *oauth.Config) {
			c.Standing = func(context.Context, tuoguan.AuthorizerAppID, tuoguan.ComponentAppID) ([]tuoguan.Authorization, error) {
				return nil, store.ErrUnavailable
			}
		})}
		if status, _, _ := w.open(w.browser(), w.start(w.account, url.Values{"return_url": {shop}})); status != 503 {
			t.Errorf("got %d", status)
		}
	})
	t.Run("malformed query", func(t *testing.T) {
		if status, _, _ := w.open(w.browser(), base+"/oauth/"+string(w.account)+"/start?return_url=%zz"); status != 400 {
			t.Errorf("got %d", status)
		}
	})
}

func TestCookies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	var backs []string
	for range 5 {
		backs = append(backs, w.toBack(b, url.Values{"return_url": {shop}}))
		w.clock.Advance(time.Second)
	}
	if left := b.Jar.Cookies(must(url.Parse(base))); len(left) != 3 {
		t.Errorf("%d visits are under way, want 3", len(left))
	}
	if status, _, _ := w.open(b, backs[0]); status != 400 {
		t.Errorf("the oldest visit gave %d", status)
	}
	for _, back := range backs[2:] {
		w.queryOf(w.leads(b, back))
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.start(w.account, url.Values{"return_url": {shop}}), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := w.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for _, c := range response.Cookies() {
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 600 {
			t.Errorf("cookie %s", c.Raw)
		}
	}
}

// TestPlainCookies is a trial without TLS: browsers refuse a __Host- cookie there.
func TestPlainCookies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	local := w.replica(func(c *oauth.Config) { c.BaseURL = "http://127.0.0.1:8080" })
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, w.start(w.account, url.Values{"return_url": {shop}}), nil)
	rec := httptest.NewRecorder()
	local.mux.ServeHTTP(rec, r)
	cookies := rec.Result().Cookies()
	if len(cookies) != 1 || cookies[0].Secure || strings.HasPrefix(cookies[0].Name, "__") {
		t.Errorf("%d %v", rec.Code, cookies)
	}
	if target := rec.Header().Get("Location"); !strings.Contains(target, "redirect_uri=http%3A%2F%2F127.0.0.1%3A8080%2Foauth%2F"+string(w.account)+"%2Fback&") {
		t.Errorf("leads to %s", target)
	}
}

// TestLook asks with HEAD, as programs do that show a preview: that must not use a
// visit up.
func TestLook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	address := w.toBack(b, url.Values{"return_url": {shop}})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodHead, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := b.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		t.Errorf("got %d", response.StatusCode)
	}
	w.queryOf(w.leads(b, address))
}

func TestRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.authorize()
	w.replicas = w.replicas[:1]
	b := w.browser()
	refused := false
	for range 2000 {
		status, _, _ := w.open(b, w.start(w.account, url.Values{"return_url": {shop}}))
		if refused = status == http.StatusTooManyRequests; refused {
			break
		}
	}
	if !refused {
		t.Error("nothing was refused")
	}
	if status, _, _ := w.open(b, w.start(other, url.Values{"return_url": {shop}})); status != http.StatusFound {
		t.Errorf("another account got %d", status)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := oauth.New(oauth.Config{}); err == nil {
		t.Error("the zero Config was taken")
	}
	for name, rule := range map[string]string{
		"plain http": "http://shop.example.com/", "user": "https://a@shop.example.com/", "query": "https://shop.example.com/?a",
		"fragment": "https://shop.example.com/#a", "no host": "https:///a", "relative": "/a", "dots": "https://shop.example.com/a/../b",
		"script": "javascript://shop.example.com/", "capitals": "HTTPS://shop.example.com/", "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := w.config()
			cfg.ReturnURLs = []string{rule}
			if _, err := oauth.New(cfg); err == nil {
				t.Errorf("%q was taken", rule)
			}
		})
	}
}
