package authorize_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/authorize"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
	"github.com/tuoguan/tuoguan/wxapi"
)

const (
	component = tuoguan.ComponentAppID("wx0123456789abcdef")
	account   = tuoguan.AuthorizerAppID("wxaaaaaaaaaaaaaaaa")
	code      = "queryauthcode@@@secret-code"
)

// world is a set of links with its surroundings: a store, and a keeper and WeChat
// that do as the test says.
type world struct {
	t     *testing.T
	store *memory.Store
	clock *tuoguan.Clock
	links *authorize.Links
	log   bytes.Buffer
	mux   *http.ServeMux

	preAuthCodes int
	preAuthError error
	redirects    []keeper.Redirect
	// redirect does what the keeper would with a code; by default it succeeds.
	redirect func(context.Context, keeper.Redirect) (store.Exchange, error)
	granted  []tuoguan.PermissionSet
	account  tuoguan.AuthorizerAppID
}

func newWorld(t *testing.T) *world {
	t.Helper()
	clock := new(tuoguan.Clock)
	w := &world{t: t, clock: clock, store: memory.New(memory.Config{Clock: clock}), account: account, granted: []tuoguan.PermissionSet{1, 2}}
	w.redirect = w.exchanged
	api, err := wxapi.New(wxapi.Config{})
	if err != nil {
		t.Fatal(err)
	}
	links, err := authorize.New(authorize.Config{
		Store: w.store, Keeper: w, WeChat: wechat{api, w}, Clock: clock, BaseURL: "https://open.example.com",
		Logger: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})), WaitLimit: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.links, w.mux = links, http.NewServeMux()
	links.Register(w.mux)
	return w
}

func (w *world) Component(_ context.Context, id tuoguan.ComponentAppID) (store.Component, error) {
	if id != component {
		return store.Component{}, fmt.Errorf("%w: %s", keeper.ErrUnknownComponent, id)
	}
	return store.Component{AppID: id}, nil
}

func (w *world) Redirect(ctx context.Context, r keeper.Redirect) (store.Exchange, error) {
	w.redirects = append(w.redirects, r)
	return w.redirect(ctx, r)
}

// wechat makes real addresses and counted pre-auth codes.
type wechat struct {
	*wxapi.Client
	w *world
}

func (c wechat) CreatePreAuthCode(context.Context, tuoguan.ComponentAppID) (wxapi.PreAuthCode, error) {
	if c.w.preAuthError != nil {
		return wxapi.PreAuthCode{}, c.w.preAuthError
	}
	c.w.preAuthCodes++
	return wxapi.PreAuthCode{Code: tuoguan.NewSecret(fmt.Sprintf("preauthcode@@@%d", c.w.preAuthCodes))}, nil
}

// record puts the exchange of a redirect into the store, in the given state.
func (w *world) record(ctx context.Context, r keeper.Redirect, change func(*store.Exchange)) store.Exchange {
	e := store.Exchange{
		Component: r.Component, Code: r.Code, CodeHash: keeper.HashCode(r.Code), Visit: r.Visit,
		State: store.ExchangePending, CreatedAt: w.clock.Now(),
	}
	e, _, err := w.store.PutExchange(ctx, e)
	if err != nil {
		w.t.Error(err)
	}
	if change != nil && e.State == store.ExchangePending {
		change(&e)
		if err := w.store.UpdateExchange(ctx, e); err != nil {
			w.t.Error(err)
		}
	}
	return e
}

func (w *world) exchanged(ctx context.Context, r keeper.Redirect) (store.Exchange, error) {
	visit, err := w.store.VisitByNonce(ctx, r.Visit)
	if err != nil {
		return store.Exchange{}, err
	}
	e := w.record(ctx, r, nil)
	_, _, err = w.store.SaveGrant(ctx, store.Grant{
		Authorization:  tuoguan.Authorization{Component: component, Authorizer: w.account},
		Tokens:         tuoguan.TokenSet{AccessToken: tuoguan.NewSecret("access-secret"), RefreshToken: tuoguan.NewSecret("refresh-secret"), ExpiresAt: w.clock.Now().Add(time.Hour)},
		ObtainedAt:     w.clock.Now(),
		PermissionSets: w.granted,
		CodeHash:       e.CodeHash, Link: visit.Link,
	})
	return e, err
}

func (w *world) create(n authorize.NewLink) store.Link {
	w.t.Helper()
	n.Component = component
	link, err := w.links.Create(w.t.Context(), n)
	if err != nil {
		w.t.Fatal(err)
	}
	return link
}

// get opens an address as a browser would.
func (w *world) get(address string, header ...string) *http.Response {
	w.t.Helper()
	return w.do(http.MethodGet, address, header...)
}

func (w *world) do(method, address string, header ...string) *http.Response {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, strings.TrimPrefix(address, "https://open.example.com"), nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	w.mux.ServeHTTP(recorder, r)
	return recorder.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return html.UnescapeString(string(raw))
}

var href = regexp.MustCompile(`href="(https://mp\.weixin\.qq\.com/[^"]*)"`)

// open opens a link and returns the redirect URI that WeChat would be given.
func (w *world) open(link store.Link, header ...string) *url.URL {
	w.t.Helper()
	response := w.get(w.links.URL(link.ID), header...)
	page := body(w.t, response)
	found := href.FindStringSubmatch(page)
	if response.StatusCode != http.StatusOK || found == nil {
		w.t.Fatalf("got %d %s", response.StatusCode, page)
	}
	target, err := url.Parse(found[1])
	if err != nil {
		w.t.Fatal(err)
	}
	back, err := url.Parse(target.Query().Get("redirect_uri"))
	if err != nil {
		w.t.Fatal(err)
	}
	return back
}

// with returns an address with parameters added, as WeChat adds them.
func with(u *url.URL, parameters ...string) string {
	text := u.String()
	for i := 0; i < len(parameters); i += 2 {
		text += "&" + parameters[i] + "=" + url.QueryEscape(parameters[i+1])
	}
	return text
}

func TestEntryPage(t *testing.T) {
	t.Parallel()
	const (
		pcBrowser  = "Mozilla/5.0 (Windows NT 10.0) Chrome/140"
		phone      = "Mozilla/5.0 (Linux; Android 14) Chrome/140 Mobile"
		wechat     = "Mozilla/5.0 (iPhone) Mobile MicroMessenger/8.0.50"
		wechatOnPC = "Mozilla/5.0 (Windows NT 10.0) Chrome/122 MicroMessenger/7.0 WindowsWechat"
	)
	tests := map[string]struct {
		query, language, agent string
		say                    []string
		button                 string // host that the main button leads to
	}{
		"Chinese on a PC":         {agent: pcBrowser, language: "zh-CN", say: []string{"前往微信扫码授权", `lang="zh-CN"`, "消息管理"}, button: "mp.weixin.qq.com"},
		"English on a PC":         {agent: pcBrowser, language: "en-US", say: []string{"Go to WeChat and scan", `lang="en"`, "messages"}, button: "mp.weixin.qq.com"},
		"chosen language":         {agent: pcBrowser, language: "zh-CN", query: "?lang=en", say: []string{"Go to WeChat and scan"}, button: "mp.weixin.qq.com"},
		"inside WeChat":           {agent: wechat, say: []string{"在微信中授权"}, button: "open.weixin.qq.com"},
		"a phone outside WeChat":  {agent: phone, language: "en", say: []string{"open this page inside WeChat"}, button: "mp.weixin.qq.com"},
		"WeChat on a PC can scan": {agent: wechatOnPC, say: []string{"前往微信扫码授权"}, button: "mp.weixin.qq.com"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			link := w.create(authorize.NewLink{AuthType: 1, BizAppID: account, PermissionSets: []tuoguan.PermissionSet{1}})
			response := w.get(w.links.URL(link.ID)+tt.query, "User-Agent", tt.agent, "Accept-Language", tt.language)
			page := body(t, response)
			if response.StatusCode != http.StatusOK {
				t.Fatalf("got %d %s", response.StatusCode, page)
			}
			for _, want := range append(tt.say, "auth_type=1", "biz_appid="+string(account)) {
				if !strings.Contains(page, want) {
					t.Errorf("%q is missing in %s", want, page)
				}
			}
			if want := `class="button" href="https://` + tt.button; !strings.Contains(page, want) {
				t.Errorf("the button does not lead to %s: %s", tt.button, page)
			}
			for name, want := range map[string]string{
				"Referrer-Policy": "strict-origin-when-cross-origin", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			} {
				if got := response.Header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if policy := response.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") {
				t.Errorf("Content-Security-Policy is %q", policy)
			}
			if strings.Contains(page, "<script") {
				t.Error("there is a script on the page")
			}
		})
	}
}

func TestEveryVisitGetsItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	link := w.create(authorize.NewLink{})
	first, second := w.open(link), w.open(link)
	if first.Query().Get("nonce") == second.Query().Get("nonce") || len(first.Query().Get("nonce")) < 22 {
		t.Errorf("nonces %q and %q", first.Query().Get("nonce"), second.Query().Get("nonce"))
	}
	if w.preAuthCodes != 2 {
		t.Errorf("%d pre-auth codes for 2 visits", w.preAuthCodes)
	}
	if got := first.Scheme + "://" + first.Host + first.Path; got != w.links.URL(link.ID)+"/done" {
		t.Errorf("the redirect is %s", got)
	}
}

func TestLinkThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		prepare func(*world, *store.Link)
		status  int
		say     string
	}{
		"unknown": {func(_ *world, l *store.Link) { l.ID = "0123456789abcdef" }, http.StatusNotFound, "no such link"},
		"expired": {func(w *world, _ *store.Link) { w.clock.Advance(8 * 24 * time.Hour) }, http.StatusGone, "has expired"},
		"used": {func(w *world, l *store.Link) {
			w.get(with(w.open(*l), "auth_code", code, "expires_in", "600"))
			w.preAuthCodes = 0
		}, http.StatusGone, "has been used"},
		"no ticket yet": {func(w *world, _ *store.Link) {
			w.preAuthError = fmt.Errorf("%w: %s", keeper.ErrNoTicket, component)
		}, http.StatusServiceUnavailable, "verify ticket"},
		"refused by WeChat": {func(w *world, _ *store.Link) {
			w.preAuthError = &wxapi.APIError{Op: "api_create_preauthcode", Code: 61004, Class: wxapi.ErrConfig}
		}, http.StatusBadGateway, "61004"},
		"WeChat away": {func(w *world, _ *store.Link) {
			w.preAuthError = &wxapi.TransportError{Op: "api_create_preauthcode", Err: errors.New("no route")}
		}, http.StatusBadGateway, "reload this page later"},
		"store away": {func(w *world, _ *store.Link) {
			if err := w.store.Close(); err != nil {
				w.t.Error(err)
			}
		}, http.StatusServiceUnavailable, "unavailable"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			link := w.create(authorize.NewLink{})
			tt.prepare(w, &link)
			for _, lang := range []string{"en", "zh"} {
				response := w.get(w.links.URL(link.ID) + "?lang=" + lang)
				page := body(t, response)
				if response.StatusCode != tt.status {
					t.Errorf("got %d, want %d: %s", response.StatusCode, tt.status, page)
				}
				if lang == "en" && !strings.Contains(page, tt.say) {
					t.Errorf("%q is missing in %s", tt.say, page)
				}
				if href.MatchString(page) {
					t.Error("the page leads to WeChat nevertheless")
				}
			}
			if w.preAuthCodes != 0 {
				t.Errorf("%d pre-auth codes were made", w.preAuthCodes)
			}
		})
	}
}

func TestPreAuthCodesAreNotWasted(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		method string
		header []string
	}{
		"HEAD":          {http.MethodHead, nil},
		"prefetch":      {http.MethodGet, []string{"Sec-Purpose", "prefetch;prerender"}},
		"old prefetch":  {http.MethodGet, []string{"Purpose", "prefetch"}},
		"crawler":       {http.MethodGet, []string{"User-Agent", "Mozilla/5.0 (compatible; Baiduspider/2.0)"}},
		"link unfurler": {http.MethodGet, []string{"User-Agent", "Slackbot-LinkExpanding 1.0"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			link := w.create(authorize.NewLink{})
			response := w.do(tt.method, w.links.URL(link.ID), tt.header...)
			if response.StatusCode != http.StatusOK || w.preAuthCodes != 0 {
				t.Errorf("got %d and spent %d pre-auth codes", response.StatusCode, w.preAuthCodes)
			}
		})
	}
	t.Run("a person taken for a robot", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		link := w.create(authorize.NewLink{})
		if response := w.get(w.links.URL(link.ID)+"?open=1", "User-Agent", "Slackbot"); response.StatusCode != http.StatusOK || w.preAuthCodes != 1 {
			t.Errorf("got %d and spent %d pre-auth codes, want 1", response.StatusCode, w.preAuthCodes)
		}
	})
	t.Run("somebody who reloads for ever", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		link, other := w.create(authorize.NewLink{}), w.create(authorize.NewLink{})
		var last *http.Response
		for range 100 {
			last = w.get(w.links.URL(link.ID))
		}
		if last.StatusCode != http.StatusTooManyRequests || last.Header.Get("Retry-After") == "" || w.preAuthCodes > 15 {
			t.Errorf("got %d after %d pre-auth codes", last.StatusCode, w.preAuthCodes)
		}
		if response := w.get(w.links.URL(other.ID)); response.StatusCode != http.StatusOK {
			t.Errorf("another link got %d", response.StatusCode)
		}
	})
}

func TestAuthorized(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.granted = []tuoguan.PermissionSet{1, 2}
	link := w.create(authorize.NewLink{
		PermissionSets: []tuoguan.PermissionSet{1, 4, 7}, BizAppID: "wxbbbbbbbbbbbbbbbb", ReturnURL: "https://app.example.com/back?a=1&b=2",
	})
	redirect := with(w.open(link), "auth_code", code, "expires_in", "600")
	response := w.get(redirect)
	clean := response.Header.Get("Location")
	if response.StatusCode != http.StatusSeeOther || clean == "" {
		t.Fatalf("got %d to %q", response.StatusCode, clean)
	}
	if strings.Contains(clean, "auth_code") || strings.Contains(clean, "secret-code") {
		t.Errorf("the code is in the address %s", clean)
	}
	if got := response.Header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("Referrer-Policy is %q", got)
	}
	if len(w.redirects) != 1 || w.redirects[0].Code.Reveal() != code || w.redirects[0].ExpiresIn != 10*time.Minute {
		t.Fatalf("the keeper was told %v", w.redirects)
	}
	for range 2 { // reloading changes nothing
		response = w.get(clean + "&lang=en")
		page := body(t, response)
		if response.StatusCode != http.StatusOK {
			t.Fatalf("got %d %s", response.StatusCode, page)
		}
		for _, want := range []string{
			"Authorized", string(account), "meant for another account", "wxbbbbbbbbbbbbbbbb",
			"<li>messages</li>", "<li>users</li>", // granted
			"web pages", "held by another platform", // missing and exclusive
			"mass", "not ticked, or the account is not able", // missing and not exclusive
			`href="https://app.example.com/back?a=1&b=2"`,
		} {
			if !strings.Contains(page, want) {
				t.Errorf("%q is missing in %s", want, page)
			}
		}
		for _, secret := range []string{"secret-code", "access-secret", "refresh-secret"} {
			if strings.Contains(page, secret) {
				t.Errorf("%q is on the page", secret)
			}
		}
	}
	if page := body(t, w.get(clean+"&lang=zh")); !strings.Contains(page, "网页服务") || !strings.Contains(page, "已授予另一平台") {
		t.Errorf("the Chinese page is %s", page)
	}
	if len(w.redirects) != 1 {
		t.Errorf("the code was exchanged %d times", len(w.redirects))
	}
	// The browser may bring the redirect a second time.
	if again := w.get(redirect); again.Header.Get("Location") != clean {
		t.Errorf("the second time leads to %q", again.Header.Get("Location"))
	}
	if strings.Contains(w.log.String(), "secret-code") {
		t.Errorf("the code is in the log: %s", w.log.String())
	}
}

func TestForgedRedirectChangesNothing(t *testing.T) {
	t.Parallel()
	tests := map[string]func(link, other store.Link, real *url.URL) string{
		"no nonce":      func(l, _ store.Link, u *url.URL) string { return u.Path + "?auth_code=" + code },
		"unknown nonce": func(l, _ store.Link, u *url.URL) string { return u.Path + "?nonce=guess&auth_code=" + code },
		"empty nonce":   func(l, _ store.Link, u *url.URL) string { return u.Path + "?nonce=&auth_code=" + code },
		"two nonces":    func(l, _ store.Link, u *url.URL) string { return with(u, "nonce", "x", "auth_code", code) },
		"nonce of another link": func(_, o store.Link, u *url.URL) string {
			return "/authorize/" + o.ID + "/done?" + u.RawQuery + "&auth_code=" + code
		},
		"unknown link": func(_, _ store.Link, u *url.URL) string {
			return "/authorize/nothing/done?" + u.RawQuery + "&auth_code=" + code
		},
		"no code":    func(_, _ store.Link, u *url.URL) string { return u.String() },
		"two codes":  func(_, _ store.Link, u *url.URL) string { return with(u, "auth_code", code, "auth_code", code) },
		"giant code": func(_, _ store.Link, u *url.URL) string { return with(u, "auth_code", strings.Repeat("x", 5000)) },
		"unknown exchange": func(_, _ store.Link, u *url.URL) string {
			return with(u, "exchange", keeper.HashCode(tuoguan.NewSecret("x")))
		},
	}
	for name, forge := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			link, other := w.create(authorize.NewLink{}), w.create(authorize.NewLink{})
			response := w.get(forge(link, other, w.open(link)) + "&lang=en")
			page := body(t, response)
			if response.StatusCode != http.StatusBadRequest || !strings.Contains(page, "Nothing changed") {
				t.Errorf("got %d %s", response.StatusCode, page)
			}
			if len(w.redirects) != 0 {
				t.Error("a code was exchanged")
			}
			for _, l := range []store.Link{link, other} {
				now, err := w.store.Link(t.Context(), l.ID)
				if err != nil || w.links.StateOf(now) != authorize.Open {
					t.Errorf("the link is %v, %v", w.links.StateOf(now), err)
				}
			}
		})
	}
}

func TestResultIsForItsVisitorOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine, theirs := w.create(authorize.NewLink{}), w.create(authorize.NewLink{})
	nosy := w.open(theirs)
	clean, err := url.Parse(w.get(with(w.open(mine), "auth_code", code)).Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	response := w.get(with(nosy, "exchange", clean.Query().Get("exchange")))
	if page := body(t, response); response.StatusCode != http.StatusBadRequest || strings.Contains(page, string(account)) {
		t.Errorf("got %d %s", response.StatusCode, page)
	}
	// Nor does it help to bring somebody else's code once more.
	again := w.get(with(nosy, "auth_code", code))
	if page := body(t, w.get(again.Header.Get("Location"))); strings.Contains(page, string(account)) {
		t.Errorf("got %s", page)
	}
}

func TestCodeThatWeChatDoesNotKnow(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		attempts, status int
		say              string
	}{
		"refused at once":             {1, http.StatusBadRequest, "Nothing changed"},
		"after an answer that failed": {2, http.StatusOK, "Being verified"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.redirect = func(ctx context.Context, r keeper.Redirect) (store.Exchange, error) {
				return w.record(ctx, r, func(e *store.Exchange) {
					e.State, e.Attempts, e.FinishedAt, e.Problem = store.ExchangeFailed, tt.attempts, w.clock.Now(), "errcode 61009"
				}), nil
			}
			link := w.create(authorize.NewLink{})
			clean := w.get(with(w.open(link), "auth_code", "made-up")).Header.Get("Location")
			response := w.get(clean + "&lang=en")
			page := body(t, response)
			if response.StatusCode != tt.status || !strings.Contains(page, tt.say) {
				t.Errorf("got %d %s", response.StatusCode, page)
			}
			if now, _ := w.store.Link(t.Context(), link.ID); w.links.StateOf(now) != authorize.Open {
				t.Errorf("the link is %v", w.links.StateOf(now))
			}
		})
	}
}

func TestStillProcessing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.redirect = func(ctx context.Context, r keeper.Redirect) (store.Exchange, error) {
		e := w.record(ctx, r, nil)
		<-ctx.Done() // as long as the page waits
		return e, ctx.Err()
	}
	link := w.create(authorize.NewLink{})
	clean := w.get(with(w.open(link), "auth_code", code)).Header.Get("Location")
	for range 3 {
		response := w.get(clean + "&lang=en")
		if page := body(t, response); response.StatusCode != http.StatusOK || !strings.Contains(page, `http-equiv="refresh"`) {
			t.Fatalf("got %d %s", response.StatusCode, page)
		}
	}
	w.clock.Advance(time.Hour)
	if page := body(t, w.get(clean+"&lang=en")); strings.Contains(page, `http-equiv="refresh"`) {
		t.Error("the page reloads itself for ever")
	}
	if len(w.redirects) != 1 {
		t.Errorf("the code was exchanged %d times", len(w.redirects))
	}
	if _, err := w.exchanged(t.Context(), w.redirects[0]); err != nil {
		t.Fatal(err)
	}
	if page := body(t, w.get(clean+"&lang=en")); !strings.Contains(page, string(account)) || strings.Contains(page, `http-equiv="refresh"`) {
		t.Errorf("got %s", page)
	}
}

func TestRedirectThatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.redirect = func(context.Context, keeper.Redirect) (store.Exchange, error) {
		return store.Exchange{}, store.ErrUnavailable
	}
	response := w.get(with(w.open(w.create(authorize.NewLink{})), "auth_code", code))
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("got %d", response.StatusCode)
	}
}

func TestCodesAreNotTriedForEver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.redirect = func(ctx context.Context, r keeper.Redirect) (store.Exchange, error) {
		return w.record(ctx, r, func(e *store.Exchange) { e.State, e.Attempts = store.ExchangeFailed, 1 }), nil
	}
	back := w.open(w.create(authorize.NewLink{}))
	var last *http.Response
	for i := range 100 {
		last = w.get(with(back, "auth_code", fmt.Sprint("guess", i)))
	}
	if last.StatusCode != http.StatusTooManyRequests || len(w.redirects) > 15 {
		t.Errorf("got %d after %d exchanges", last.StatusCode, len(w.redirects))
	}
}

func TestNewLinkMistakes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		link  authorize.NewLink
		field string
	}{
		"no component":           {authorize.NewLink{}, "component_appid"},
		"unknown component":      {authorize.NewLink{Component: "wx9999999999999999"}, "component_appid"},
		"auth_type":              {authorize.NewLink{Component: component, AuthType: 7}, "auth_type"},
		"biz_appid":              {authorize.NewLink{Component: component, BizAppID: "gh_1"}, "biz_appid"},
		"permission set":         {authorize.NewLink{Component: component, PermissionSets: []tuoguan.PermissionSet{0}}, "permission_sets"},
		"reference with newline": {authorize.NewLink{Component: component, Reference: "a\nb"}, "reference"},
		"long reference":         {authorize.NewLink{Component: component, Reference: strings.Repeat("x", 257)}, "reference"},
		"javascript URL":         {authorize.NewLink{Component: component, ReturnURL: "javascript:alert(1)"}, "return_url"},
		"relative URL":           {authorize.NewLink{Component: component, ReturnURL: "/back"}, "return_url"},
		"URL with a password":    {authorize.NewLink{Component: component, ReturnURL: "https://user:pw@example.com/"}, "return_url"},
		"too long a life":        {authorize.NewLink{Component: component, ExpiresIn: 91 * 24 * time.Hour}, "expires_in"},
		"negative life":          {authorize.NewLink{Component: component, ExpiresIn: -1}, "expires_in"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, err := w.links.Create(t.Context(), tt.link)
			var field *authorize.FieldError
			if !errors.As(err, &field) || field.Field != tt.field {
				t.Errorf("got %v, want an error about %s", err, tt.field)
			}
		})
	}
}

func TestLinkIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ids []string
	seen := make(map[string]bool)
	for range 50 {
		id := w.create(authorize.NewLink{}).ID
		if seen[id] || len(id) < 26 || url.PathEscape(id) != id {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
		ids = append(ids, id)
		w.clock.Advance(time.Millisecond)
	}
	if !slices.IsSorted(ids) {
		t.Error("ids do not sort by age")
	}
}
