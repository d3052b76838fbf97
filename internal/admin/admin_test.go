package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/admin"
	"github.com/tuoguan/tuoguan/internal/audit"
	"github.com/tuoguan/tuoguan/internal/authorize"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/delivery"
	"github.com/tuoguan/tuoguan/internal/gateway"
	"github.com/tuoguan/tuoguan/internal/jobs"
	"github.com/tuoguan/tuoguan/internal/oauth"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/internal/operator"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
	"github.com/tuoguan/tuoguan/wxapi"
)

const (
	key       = "0123456789abcdef0123456789abcdef"
	component = tuoguan.ComponentAppID("wx0123456789abcdef")
	other     = tuoguan.ComponentAppID("wxfedcba9876543210")
	account   = tuoguan.AuthorizerAppID("wxaaaaaaaaaaaaaaaa")
)

var expiry = time.Date(2026, 11, 21, 10, 0, 0, 0, time.FixedZone("CST", 8*3600))

// world is an admin listener with a store and a keeper that does as the test says.
type world struct {
	t     testing.TB
	store *memory.Store
	clock tuoguan.Clock
	keys  *access.Keys

	operators *operator.Operators

	subscriptions *subscription.Set
	unopened      []int64                                  // events whose text does not open
	send          func(sink.Message) (sink.Receipt, error) // nil: every event is taken
	audit         *audit.Log
	auditFails    bool
	api           *admin.API
	handler       http.Handler
	log           bytes.Buffer
	problems      []obs.Problem
	began         time.Time

	token       func(owner tuoguan.TokenOwner) (tuoguan.AccessToken, error)
	peek        func(owner tuoguan.TokenOwner) (tuoguan.AccessToken, error) // as token if nil
	putting     func() error                                                // before a component is stored
	reconciled  []tuoguan.ComponentAppID
	invalidated []string
	refreshed   atomic.Int64
	explored    explored
	rekeyed     chan struct{} // closed to let the job end
}

func newWorld(t testing.TB, apiKey string, change ...func(*admin.Config)) *world {
	t.Helper()
	w := &world{rekeyed: make(chan struct{}), t: t, began: time.Now()}
	w.store = memory.New(memory.Config{Clock: &w.clock})
	w.token = func(tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
		return tuoguan.AccessToken{Value: tuoguan.NewSecret("access-token-1"), ExpiresAt: expiry}, nil
	}
	log := slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	wechat, err := wxapi.New(wxapi.Config{})
	if err != nil {
		t.Fatal(err)
	}
	links, err := authorize.New(authorize.Config{Store: w.store, Keeper: w, WeChat: wechat, Logger: log, BaseURL: "https://open.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	runner := jobs.New(map[string]jobs.Work{"rekey": func(_ context.Context, progress func(done, total int64)) error {
		progress(3, 7)
		<-w.rekeyed
		return nil
	}}, nil, log)
	t.Cleanup(func() {
		select {
		case <-w.rekeyed:
		default:
			close(w.rekeyed)
		}
		runner.Close()
	})
	w.keys, err = access.New(access.Config{Store: w.store, Bootstrap: tuoguan.NewSecret(apiKey), Clock: &w.clock, Logger: log, KeyRate: -1, AuthorizerRate: -1})
	if err != nil {
		t.Fatal(err)
	}
	directory, err := access.NewDirectory(access.DirectoryConfig{Store: w.store, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(directory.Close)
	if w.audit, err = audit.New(audit.Config{Store: w.store, Clock: &w.clock, Logger: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.audit.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	w.subscriptions, err = subscription.NewSet(subscription.SetConfig{Store: w.store, Clock: &w.clock, Logger: log, Tags: w.tags})
	if err != nil {
		t.Fatal(err)
	}
	dispatcher, err := delivery.New(delivery.Config{
		Store: w.store, Subscriptions: w.subscriptions, Sinks: w.sink, Disable: func(context.Context, string, string, string) error { return nil },
		Holder: "test", Clock: &w.clock, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.operators, err = operator.New(operator.Config{Store: w.store, Clock: &w.clock, Logger: log, TOTP: operator.TOTPOff})
	if err != nil {
		t.Fatal(err)
	}
	cfg := admin.Config{
		Operators: w.operators, ConsoleTOTP: operator.TOTPOff,
		Subscriptions: w.subscriptions, Delivery: dispatcher, Matching: w.matching, CheckURL: checkURL,
		Keeper: w, Store: damaged{w.store, w}, Access: w.keys, Directory: directory, Audit: w, OAuth: relay{}, Gateway: busy{w}, WeChat: w, Doctor: w.doctor, Values: w.store,
		Links: links, Metrics: obs.NewMetrics().Handler(), Clock: &w.clock, Logger: log,
		Problems: func(context.Context) []obs.Problem { return w.problems },
		Jobs:     runner, PublicURL: "https://open.example.com",
	}
	for _, c := range change {
		c(&cfg)
	}
	w.api, err = admin.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.handler = w.api.Handler()
	return w
}

func (w *world) tags(ctx context.Context, a tuoguan.Authorization) ([]string, error) {
	found, err := w.store.Authorizer(ctx, a)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return found.Tags, err
}

func (w *world) matching(ctx context.Context, p store.Push) []string {
	var ids []string
	for _, route := range w.subscriptions.Routes(ctx, p, push.Parse(tuoguan.Authorization{Component: p.Component, Authorizer: p.Authorizer}, p.Body)) {
		ids = append(ids, route.Subscription)
	}
	return ids
}

func checkURL(address string) error {
	if strings.Contains(address, "//10.") {
		return errors.New("10.0.0.0/8 is a private network")
	}
	return nil
}

func (w *world) sink(subscription.Subscription) (sink.Sink, error) { return receiver{w}, nil }

// damaged is the store of a world, with events that do not open.
type damaged struct {
	*memory.Store
	w *world
}

func (d damaged) Events(ctx context.Context, q store.EventQuery) ([]store.Push, error) {
	found, err := d.Store.Events(ctx, q)
	opened := slices.DeleteFunc(found, func(p store.Push) bool { return slices.Contains(d.w.unopened, p.ID) })
	if err == nil && len(opened) < len(found) {
		err = store.ErrQuarantined
	}
	return opened, err
}

// receiver is where the events of all subscriptions go.
type receiver struct{ w *world }

func (r receiver) Send(_ context.Context, m sink.Message) (sink.Receipt, error) {
	if r.w.send != nil {
		return r.w.send(m)
	}
	return sink.Receipt{Status: http.StatusOK}, nil
}

func (receiver) Close() error { return nil }

func (w *world) Token(_ context.Context, owner tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
	return w.token(owner)
}

// Record, Handed and PageBackwards are the audit log's, which may be out of order.
func (w *world) Record(ctx context.Context, e audit.Event) error {
	if w.auditFails {
		return audit.ErrUnavailable
	}
	return w.audit.Record(ctx, e)
}

func (w *world) Handed(ctx context.Context, e audit.Event, fingerprint string) error {
	if w.auditFails {
		return audit.ErrUnavailable
	}
	return w.audit.Handed(ctx, e, fingerprint)
}

func (w *world) PageBackwards(ctx context.Context, before int64, limit int) ([]audit.Entry, error) {
	return w.audit.PageBackwards(ctx, before, limit)
}

func (w *world) Peek(_ context.Context, owner tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
	if w.peek != nil {
		return w.peek(owner)
	}
	return w.token(owner)
}

func (w *world) Reconcile(_ context.Context, id tuoguan.ComponentAppID) (keeper.Reconciliation, error) {
	w.reconciled = append(w.reconciled, id)
	return keeper.Reconciliation{Listed: 7, Adopted: 1}, nil
}

func (w *world) Invalidate(_ context.Context, owner tuoguan.TokenOwner, failed tuoguan.Secret) (tuoguan.AccessToken, error) {
	w.invalidated = append(w.invalidated, failed.Reveal())
	return w.token(owner)
}

func (w *world) Refresh(_ context.Context, owner tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
	w.refreshed.Add(1)
	return w.token(owner)
}

func (w *world) Component(ctx context.Context, id tuoguan.ComponentAppID) (store.Component, error) {
	c, err := w.store.Component(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return c, fmt.Errorf("%w: %s", keeper.ErrUnknownComponent, id)
	}
	return c, err
}

func (w *world) PutComponent(ctx context.Context, c store.Component) error {
	if w.putting != nil {
		if err := w.putting(); err != nil {
			return err
		}
	}
	c.UpdatedAt = w.clock.Now()
	return w.store.PutComponent(ctx, c)
}

func (w *world) Status(ctx context.Context) (keeper.Status, error) {
	records, err := w.store.Components(ctx)
	var s keeper.Status
	for _, r := range records {
		s.Components = append(s.Components, keeper.ComponentStatus{AppID: r.AppID, TicketReceivedAt: w.began.Add(-3 * time.Minute), TokenExpiresAt: w.began.Add(time.Hour), Authorizers: map[tuoguan.State]int64{tuoguan.StateActive: 2}})
	}
	return s, err
}

func (w *world) Redirect(context.Context, keeper.Redirect) (store.Exchange, error) {
	return store.Exchange{}, errors.New("not here")
}

func (w *world) addComponent(id tuoguan.ComponentAppID) {
	w.t.Helper()
	c := store.Component{AppID: id, Secret: tuoguan.NewSecret("app-secret"), Token: tuoguan.NewSecret("push-token"), EncodingAESKey: tuoguan.NewSecret(strings.Repeat("a", 43))}
	if err := w.store.PutComponent(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) authorize(c tuoguan.ComponentAppID, a tuoguan.AuthorizerAppID, reference string) {
	w.t.Helper()
	_, _, err := w.store.SaveGrant(w.t.Context(), store.Grant{
		Authorization:  tuoguan.Authorization{Component: c, Authorizer: a},
		Tokens:         tuoguan.TokenSet{AccessToken: tuoguan.NewSecret("stored-access"), RefreshToken: tuoguan.NewSecret("stored-refresh"), ExpiresAt: expiry},
		AuthorizedAt:   expiry.Add(-2 * time.Hour),
		ObtainedAt:     expiry.Add(-2 * time.Hour),
		PermissionSets: []tuoguan.PermissionSet{1, 7}, Reference: reference,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

type response struct {
	status int
	header http.Header
	body   string
}

// call makes a request with the API key.
func (w *world) call(method, target, body string) response {
	w.t.Helper()
	return w.callAs("Bearer "+key, method, target, body)
}

func (w *world) callAs(authorization, method, target, body string) response {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, target, strings.NewReader(body))
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return w.serve(r)
}

// callWith makes a request with the API key and with one more header.
func (w *world) callWith(header, value, method, target, body string) response {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set(header, value)
	return w.serve(r)
}

func (w *world) serve(r *http.Request) response {
	w.t.Helper()
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	raw, err := io.ReadAll(recorder.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	answered := response{recorder.Code, recorder.Header(), string(raw)}
	w.conforms(r.Method, r.URL.RequestURI(), answered)
	return answered
}

// relay knows one code.
type relay struct{}

func (relay) Redeem(_ context.Context, code string) (oauth.Identity, error) {
	if code != "right" {
		return oauth.Identity{}, oauth.ErrUnknownCode
	}
	return oauth.Identity{AuthorizerAppID: account, ComponentAppID: component, OpenID: "openid-1", Scope: wxapi.ScopeBase}, nil
}

// busy has served one account.
type busy struct{ w *world }

func (busy) Busiest(int) []gateway.AccountCalls {
	return []gateway.AccountCalls{{Component: component, Authorizer: account, Calls: 3, Sent: 30}}
}

// problem decodes a problem document and checks its form.
func (r response) problem(t *testing.T) problem.Problem {
	t.Helper()
	var p problem.Problem
	if err := json.Unmarshal([]byte(r.body), &p); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	if got := r.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type is %q", got)
	}
	if p.Status != r.status || p.Title == "" || p.Detail == "" || p.DetailZh == "" {
		t.Errorf("incomplete problem with status %d: %s", r.status, r.body)
	}
	return p
}

func (r response) name(t *testing.T) string {
	t.Helper()
	name, ok := strings.CutPrefix(r.problem(t).Type, problem.Base)
	if !ok {
		t.Errorf("type is %q", r.problem(t).Type)
	}
	return name
}

func TestAPIKey(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		configured, header string
		open               bool
	}{
		"right":              {key, "Bearer " + key, true},
		"scheme in capitals": {key, "BEARER " + key, true},
		"none":               {key, "", false},
		"wrong":              {key, "Bearer " + strings.Repeat("x", 32), false},
		"longer":             {key, "Bearer " + key + "x", false},
		"other scheme":       {key, "Basic " + key, false},
		"empty":              {key, "Bearer ", false},
		"none configured":    {"", "Bearer ", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.configured)
			for _, target := range []string{"/v1/authorizers", "/v1/nothing"} {
				r := w.callAs(tt.header, "GET", target, "")
				if tt.open {
					if r.status == http.StatusUnauthorized {
						t.Errorf("%s is refused", target)
					}
					continue
				}
				if r.status != http.StatusUnauthorized || r.name(t) != "unauthorized" || !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Bearer") {
					t.Errorf("%s got %d %v", target, r.status, r.header)
				}
			}
		})
	}
	t.Run("two headers", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, key)
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/authorizers", nil)
		r.Header["Authorization"] = []string{"Bearer " + key, "Bearer " + key}
		recorder := httptest.NewRecorder()
		w.handler.ServeHTTP(recorder, r)
		if recorder.Code != http.StatusUnauthorized {
			t.Errorf("got %d", recorder.Code)
		}
	})
}

func TestEveryRouteNeedsTheKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	for _, route := range admin.Routes() {
		target := strings.NewReplacer("{appid}", string(account), "{id}", "x").Replace(route.Pattern)
		if r := w.callAs("", route.Method, target, "{}"); (r.status == http.StatusUnauthorized) == route.Open {
			t.Errorf("%s %s answers %d without a key", route.Method, route.Pattern, r.status)
		}
		if route.Summary == "" {
			t.Errorf("%s %s has no summary", route.Method, route.Pattern)
		}
	}
}

func TestUnknownRouteAndMethod(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	if r := w.call("GET", "/v1/nothing", ""); r.status != http.StatusNotFound || r.name(t) != "no-such-route" {
		t.Errorf("got %d %s", r.status, r.body)
	}
	r := w.call("DELETE", "/v1/authorizers/"+string(account), "")
	if r.status != http.StatusMethodNotAllowed || r.name(t) != "method-not-allowed" || !strings.Contains(r.header.Get("Allow"), "GET") {
		t.Errorf("got %d %v %s", r.status, r.header, r.body)
	}
}

func TestAccessToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.authorize(component, account, "shop-1")
	for _, target := range []string{"", "?component=" + string(component)} {
		r := w.call("GET", "/v1/authorizers/"+string(account)+"/access-token"+target, "")
		if r.status != http.StatusOK || strings.TrimSpace(r.body) != `{"access_token":"access-token-1","expires_at":"2026-11-21T02:00:00Z"}` {
			t.Errorf("got %d %s", r.status, r.body)
		}
		if got := r.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control is %q", got)
		}
	}
	r := w.call("POST", "/v1/authorizers/"+string(account)+"/access-token/invalid", `{"access_token":"access-token-0"}`)
	if r.status != http.StatusOK || !strings.Contains(r.body, "access-token-1") || !cmp.Equal(w.invalidated, []string{"access-token-0"}) {
		t.Errorf("got %d %s after %v", r.status, r.body, w.invalidated)
	}
	if r := w.call("POST", "/v1/authorizers/"+string(account)+"/refresh", ""); r.status != http.StatusOK || w.refreshed.Load() != 1 {
		t.Errorf("got %d %s", r.status, r.body)
	}
}

func TestTokenErrors(t *testing.T) {
	t.Parallel()
	refusal := &wxapi.APIError{Op: "api_authorizer_token", Code: 61004, Message: "access clientip is not registered, ip: 203.0.113.7", RID: "6590-1", Class: wxapi.ErrConfig}
	tests := map[string]struct {
		err    error
		status int
		name   string
	}{
		"unknown account":        {keeper.ErrUnknownAuthorizer, 404, "unknown-authorizer"},
		"unknown component":      {keeper.ErrUnknownComponent, 404, "unknown-component"},
		"revoked":                {keeper.ErrRevoked, 409, "revoked"},
		"needs re-authorization": {keeper.ErrNeedsReauthorization, 409, "needs-reauthorization"},
		"no ticket":              {keeper.ErrNoTicket, 503, "no-ticket"},
		"gated":                  {keeper.ErrGated, 503, "gated"},
		"storage":                {keeper.ErrStorage, 503, "storage-unavailable"},
		"storage, from below":    {store.ErrUnavailable, 503, "storage-unavailable"},
		"refused by WeChat":      {refusal, 502, "wechat-refused"},
		"no answer":              {&wxapi.TransportError{Op: "x", Sent: true, Err: errors.New("reset")}, 502, "wechat-unanswered"},
		"not sent":               {&wxapi.TransportError{Op: "x", Err: errors.New("refused")}, 502, "wechat-unanswered"},
		"unusable answer":        {&wxapi.ReplyError{Op: "x", Reason: "html"}, 502, "wechat-nonsense"},
		"closed":                 {keeper.ErrClosed, 503, "unavailable"},
		"too slow":               {context.DeadlineExceeded, 503, "unavailable"},
		"anything else":          {errors.New("surprise"), 500, "internal-error"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, key)
			w.authorize(component, account, "")
			w.token = func(tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
				return tuoguan.AccessToken{}, fmt.Errorf("token of %s: %w", account, tt.err)
			}
			base := "/v1/authorizers/" + string(account)
			for _, r := range []response{
				w.call("GET", base+"/access-token", ""),
				w.call("POST", base+"/access-token/invalid", `{"access_token":"x"}`),
				w.call("POST", base+"/refresh", ""),
			} {
				if r.status != tt.status || r.name(t) != tt.name {
					t.Errorf("got %d %s", r.status, r.body)
				}
				if tt.status == 503 && r.header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
				if strings.Contains(r.body, "surprise") {
					t.Errorf("an unknown error is shown: %s", r.body)
				}
			}
		})
	}
	t.Run("errcode and rid", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, key)
		w.authorize(component, account, "")
		w.token = func(tuoguan.TokenOwner) (tuoguan.AccessToken, error) { return tuoguan.AccessToken{}, refusal }
		p := w.call("GET", "/v1/authorizers/"+string(account)+"/access-token", "").problem(t)
		if p.Errcode != 61004 || p.RID != "6590-1" || !strings.Contains(p.Detail, "203.0.113.7") || !strings.Contains(p.DetailZh, "203.0.113.7") {
			t.Errorf("got %+v", p)
		}
	})
}

func TestWhichComponent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	path := "/v1/authorizers/" + string(account)
	if r := w.call("GET", path+"/access-token", ""); r.status != 404 || r.name(t) != "unknown-authorizer" {
		t.Errorf("got %d %s", r.status, r.body)
	}
	if r := w.call("GET", path+"?component="+string(component), ""); r.status != 404 || r.name(t) != "unknown-authorizer" {
		t.Errorf("got %d %s", r.status, r.body)
	}
	w.authorize(component, account, "")
	w.authorize(other, account, "")
	for _, r := range []response{w.call("GET", path, ""), w.call("GET", path+"/access-token", ""), w.call("POST", path+"/refresh", "")} {
		if r.status != 409 || r.name(t) != "ambiguous-component" || !cmp.Equal(r.problem(t).Components, []string{string(component), string(other)}) {
			t.Errorf("got %d %s", r.status, r.body)
		}
	}
	var asked tuoguan.TokenOwner
	w.token = func(owner tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
		asked = owner
		return tuoguan.AccessToken{Value: tuoguan.NewSecret("x"), ExpiresAt: expiry}, nil
	}
	if r := w.call("GET", path+"/access-token?component="+string(other), ""); r.status != 200 || asked != tuoguan.AuthorizerToken(other, account) {
		t.Errorf("got %d for %v", r.status, asked)
	}
}

func TestTokenWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.authorize(component, account, "")
	path := "/v1/authorizers/" + string(account) + "/access-token"
	if r := w.call("GET", path, ""); r.status != 200 {
		t.Fatalf("got %d", r.status)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	if r := w.call("GET", path, ""); r.status != 200 {
		t.Errorf("a token in memory is refused with %d %s", r.status, r.body)
	}
	w.token = func(tuoguan.TokenOwner) (tuoguan.AccessToken, error) { return tuoguan.AccessToken{}, keeper.ErrStorage }
	if r := w.call("GET", path, ""); r.status != 503 || r.name(t) != "storage-unavailable" {
		t.Errorf("got %d %s", r.status, r.body)
	}
	for _, target := range []string{"/v1/authorizers", "/v1/authorization-links", "/v1/authorization-links/x", "/v1/components"} {
		if r := w.call("GET", target, ""); r.status != 503 || r.name(t) != "storage-unavailable" {
			t.Errorf("%s got %d %s", target, r.status, r.body)
		}
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	invalid := "/v1/authorizers/" + string(account) + "/access-token/invalid"
	tests := map[string]struct {
		target, body string
		status       int
		field        string
	}{
		"empty body":            {invalid, "", 400, ""},
		"no token":              {invalid, "{}", 400, "access_token"},
		"empty token":           {invalid, `{"access_token":""}`, 400, "access_token"},
		"not JSON":              {invalid, "access_token=x", 400, ""},
		"not an object":         {invalid, `["x"]`, 400, ""},
		"wrong type":            {invalid, `{"access_token":5}`, 400, "access_token"},
		"unknown field":         {invalid, `{"access_token":"x","force":true}`, 400, ""},
		"two objects":           {invalid, `{"access_token":"x"}{}`, 400, ""},
		"too large":             {invalid, `{"access_token":"` + strings.Repeat("x", 70<<10) + `"}`, 413, ""},
		"link, no component":    {"/v1/authorization-links", `{}`, 400, "component_appid"},
		"link, unknown one":     {"/v1/authorization-links", `{"component_appid":"wx9999999999999999"}`, 422, "component_appid"},
		"link, auth_type 0":     {"/v1/authorization-links", `{"component_appid":"` + string(component) + `","auth_type":0}`, 422, "auth_type"},
		"link, auth_type 7":     {"/v1/authorization-links", `{"component_appid":"` + string(component) + `","auth_type":7}`, 422, "auth_type"},
		"link, expires_in 0":    {"/v1/authorization-links", `{"component_appid":"` + string(component) + `","expires_in":0}`, 422, "expires_in"},
		"link, endless":         {"/v1/authorization-links", `{"component_appid":"` + string(component) + `","expires_in":9223372036854775807}`, 422, "expires_in"},
		"link, expires_in text": {"/v1/authorization-links", `{"component_appid":"` + string(component) + `","expires_in":"1h"}`, 400, "expires_in"},
		"link, return_url":      {"/v1/authorization-links", `{"component_appid":"` + string(component) + `","return_url":"javascript:x"}`, 422, "return_url"},
		"component, empty":      {"/v1/components", `{}`, 422, "appid"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, key)
			w.addComponent(component)
			w.authorize(component, account, "")
			r := w.call("POST", tt.target, tt.body)
			p := r.problem(t)
			if r.status != tt.status {
				t.Errorf("got %d %s", r.status, r.body)
			}
			if tt.field != "" && (len(p.Errors) == 0 || p.Errors[0].Field != tt.field) {
				t.Errorf("the field %s is not named: %s", tt.field, r.body)
			}
			if len(w.invalidated) != 0 {
				t.Error("it had an effect")
			}
		})
	}
}

func TestListAuthorizers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	for i := range 5 {
		w.authorize(component, tuoguan.AuthorizerAppID(fmt.Sprintf("wx%016d", i)), fmt.Sprint("shop-", i))
	}
	w.authorize(other, account, "")
	if _, err := w.store.Revoke(t.Context(), tuoguan.Authorization{Component: other, Authorizer: account}, expiry); err != nil {
		t.Fatal(err)
	}
	list := func(query string) (appIDs []string, next string) {
		t.Helper()
		r := w.call("GET", "/v1/authorizers"+query, "")
		var page struct {
			Items []struct {
				AppID string `json:"appid"`
			} `json:"items"`
			NextCursor *string `json:"next_cursor"`
		}
		if err := json.Unmarshal([]byte(r.body), &page); err != nil || r.status != 200 || page.Items == nil || page.NextCursor == nil {
			t.Fatalf("got %d %s", r.status, r.body)
		}
		for _, item := range page.Items {
			appIDs = append(appIDs, item.AppID)
		}
		return appIDs, *page.NextCursor
	}
	var all []string
	pages := 0
	for cursor := ""; ; pages++ {
		appIDs, next := list("?limit=2&cursor=" + cursor)
		all = append(all, appIDs...)
		if cursor = next; cursor == "" {
			break
		}
	}
	want := []string{"wx0000000000000000", "wx0000000000000001", "wx0000000000000002", "wx0000000000000003", "wx0000000000000004", string(account)}
	if diff := cmp.Diff(want, all); diff != "" || pages != 2 {
		t.Errorf("%d pages: %s", pages, diff)
	}
	for query, want := range map[string]int{
		"":                                      6,
		"?component=" + string(component):       5,
		"?state=revoked":                        1,
		"?state=active":                         5,
		"?q=wx0000000000000003":                 1,
		"?permission_set=7":                     6,
		"?permission_set=99":                    0,
		"?kind=mini_program":                    0,
		"?component=wx9999999999999999&limit=1": 0,
	} {
		if got, _ := list(query); len(got) != want {
			t.Errorf("%q finds %v, want %d", query, got, want)
		}
	}
	for _, query := range []string{"?state=gone", "?kind=x", "?limit=0", "?limit=501", "?limit=x", "?cursor=!!", "?permission_set=-1", "?unknown=1", "?state=active&state=revoked", "?%zz"} {
		if r := w.call("GET", "/v1/authorizers"+query, ""); r.status != 400 || r.name(t) != "bad-request" {
			t.Errorf("%q got %d %s", query, r.status, r.body)
		}
	}
}

func TestAuthorizer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.authorize(component, account, "shop-1")
	a := tuoguan.Authorization{Component: component, Authorizer: account}
	if err := w.store.SaveProfile(t.Context(), a, store.Profile{Grant: 1, Kind: tuoguan.KindOfficialAccount, NickName: "Coffee <b>", UserName: "gh_1", ReadAt: expiry}); err != nil {
		t.Fatal(err)
	}
	r := w.call("GET", "/v1/authorizers/"+string(account), "")
	var got map[string]any
	if err := json.Unmarshal([]byte(r.body), &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"appid": string(account), "component_appid": string(component), "state": "active", "kind": "official_account", "nick_name": "Coffee <b>",
		"reference": "shop-1", "authorized_at": "2026-11-21T00:00:00Z", "token_expires_at": "2026-11-21T02:00:00Z",
		"permission_sets": []any{1.0, 7.0}, "revoked_at": nil, "trouble": nil, "user_name": "gh_1", "grant": 1.0,
	} {
		if diff := cmp.Diff(want, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if strings.Contains(r.body, "stored-") {
		t.Errorf("a token is shown: %s", r.body)
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.addComponent(component)
	r := w.call("POST", "/v1/authorization-links", `{"component_appid":"`+string(component)+`","permission_sets":[1,7],"reference":"shop-1","expires_in":60,"auth_type":1,"biz_appid":"`+string(account)+`","return_url":"https://app.example.com/"}`)
	var made struct {
		ID        string    `json:"id"`
		URL       string    `json:"url"`
		ExpiresAt time.Time `json:"expires_at"`
		State     string    `json:"state"`
		Reference string    `json:"reference"`
	}
	if err := json.Unmarshal([]byte(r.body), &made); err != nil || r.status != http.StatusCreated {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	if made.URL != "https://open.example.com/authorize/"+made.ID || made.State != "open" || made.Reference != "shop-1" {
		t.Errorf("got %s", r.body)
	}
	if left := time.Until(made.ExpiresAt); left > time.Minute || left < 50*time.Second {
		t.Errorf("it expires in %v", left)
	}
	if again := w.call("GET", "/v1/authorization-links/"+made.ID, ""); again.status != 200 || again.body != r.body {
		t.Errorf("got %d %s, want %s", again.status, again.body, r.body)
	}
	if unknown := w.call("GET", "/v1/authorization-links/nothing", ""); unknown.status != 404 || unknown.name(t) != "unknown-link" {
		t.Errorf("got %d %s", unknown.status, unknown.body)
	}
	second := w.call("POST", "/v1/authorization-links", `{"component_appid":"`+string(component)+`"}`)
	if second.status != http.StatusCreated {
		t.Fatalf("got %d %s", second.status, second.body)
	}
	first := w.call("GET", "/v1/authorization-links?limit=1&component="+string(component), "")
	var page struct {
		Items      []struct{ ID string }
		NextCursor string `json:"next_cursor"`
	}
	if err := json.Unmarshal([]byte(first.body), &page); err != nil || len(page.Items) != 1 || page.NextCursor == "" {
		t.Fatalf("got %s", first.body)
	}
	newest := page.Items[0].ID // both may be of the same millisecond
	rest := w.call("GET", "/v1/authorization-links?limit=1&cursor="+page.NextCursor, "")
	page.Items, page.NextCursor = nil, ""
	if err := json.Unmarshal([]byte(rest.body), &page); err != nil || len(page.Items) != 1 || page.NextCursor != "" || page.Items[0].ID == newest {
		t.Errorf("got %s", rest.body)
	}
}

func TestComponents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	aes := strings.Repeat("b", 43)
	put := func(secret, token, key string) response {
		return w.call("POST", "/v1/components", fmt.Sprintf(`{"appid":%q,"secret":%q,"token":%q,"encoding_aes_key":%q}`, component, secret, token, key))
	}
	if r := put("app-secret", "pushtoken", aes); r.status != http.StatusCreated {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	if r := put("app-secret", "pushtoken2", aes); r.status != http.StatusOK {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	stored, err := w.store.Component(t.Context(), component)
	if err != nil {
		t.Fatal(err)
	}
	if stored.Token.Reveal() != "pushtoken2" || stored.PreviousToken.Reveal() != "pushtoken" || !stored.PreviousEncodingAESKey.IsZero() {
		t.Errorf("token %q, previous %q, previous key %q", stored.Token.Reveal(), stored.PreviousToken.Reveal(), stored.PreviousEncodingAESKey.Reveal())
	}
	list, one := w.call("GET", "/v1/components", ""), w.call("GET", "/v1/components/"+string(component), "")
	for _, r := range []response{list, one} {
		if r.status != 200 {
			t.Errorf("got %d %s", r.status, r.body)
		}
		for _, want := range []string{string(component), "https://open.example.com/wx/" + string(component) + "/event", "/message/$APPID$", `"active":2`, `"revoked":0`} {
			if !strings.Contains(r.body, want) {
				t.Errorf("%q is missing in %s", want, r.body)
			}
		}
		for _, secret := range []string{"app-secret", "pushtoken", aes} {
			if strings.Contains(r.body, secret) {
				t.Errorf("a secret is shown: %s", r.body)
			}
		}
	}
	if r := w.call("GET", "/v1/components/"+string(other), ""); r.status != 404 || r.name(t) != "unknown-component" {
		t.Errorf("got %d %s", r.status, r.body)
	}
	if strings.Contains(w.log.String(), "app-secret") {
		t.Errorf("a secret is logged: %s", w.log.String())
	}
}

func TestPutComponent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	c := configured("app-secret", "tokenone", strings.Repeat("a", 43))
	puts := &counted{world: w}
	steps := []struct {
		change        func()
		added         bool
		puts          int
		previousToken string
		previousKey   string
	}{
		{func() {}, true, 1, "", ""},
		{func() {}, false, 1, "", ""}, // nothing new
		{func() { c.Token = tuoguan.NewSecret("tokentwo") }, false, 2, "tokenone", ""},
		{func() {}, false, 2, "tokenone", ""},
		{func() { c.EncodingAESKey = tuoguan.NewSecret(strings.Repeat("b", 43)) }, false, 3, "tokenone", strings.Repeat("a", 43)},
		{func() { c.PreviousToken = tuoguan.NewSecret("tokenzero") }, false, 4, "tokenzero", strings.Repeat("a", 43)},
		{func() {}, false, 4, "tokenzero", strings.Repeat("a", 43)},
	}
	for i, step := range steps {
		step.change()
		added, err := admin.PutComponent(t.Context(), puts, c)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := w.store.Component(t.Context(), component)
		if err != nil {
			t.Fatal(err)
		}
		if added != step.added || puts.n != step.puts || stored.PreviousToken.Reveal() != step.previousToken || stored.PreviousEncodingAESKey.Reveal() != step.previousKey {
			t.Errorf("step %d: added %v, %d writes, previous %q and %q", i, added, puts.n, stored.PreviousToken.Reveal(), stored.PreviousEncodingAESKey.Reveal())
		}
	}
}

func configured(secret, token, key string) config.Component {
	return config.Component{AppID: component, Secret: tuoguan.NewSecret(secret), Token: tuoguan.NewSecret(token), EncodingAESKey: tuoguan.NewSecret(key)}
}

// counted counts writes.
type counted struct {
	*world
	n int
}

func (c *counted) PutComponent(ctx context.Context, s store.Component) error {
	c.n++
	return c.world.PutComponent(ctx, s)
}

func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	empty := w.callAs("", "GET", "/?lang=en", "")
	if empty.status != 200 || !strings.Contains(empty.body, "None yet") || !strings.Contains(empty.body, "All is well") {
		t.Errorf("got %d %s", empty.status, empty.body)
	}
	w.addComponent(component)
	w.problems = []obs.Problem{{Code: "ticket_overdue", Component: string(component), Message: "no ticket", Action: "look <here>", ActionChinese: "请检查"}}
	r := w.callAs("", "GET", "/?lang=en", "")
	for _, want := range []string{string(component), "ticket_overdue", "look &lt;here&gt;", "2 active", "/message/$APPID$", "ago"} {
		if !strings.Contains(r.body, want) {
			t.Errorf("%q is missing in %s", want, r.body)
		}
	}
	if zh := w.callAs("", "GET", "/?lang=zh", ""); !strings.Contains(zh.body, "请检查") || !strings.Contains(zh.body, "前收到") {
		t.Errorf("got %s", zh.body)
	}
	for _, secret := range []string{"app-secret", "push-token", strings.Repeat("a", 43), key} {
		if strings.Contains(r.body, secret) {
			t.Errorf("a secret is on the page: %s", r.body)
		}
	}
	if strings.Contains(r.body, "<script") || !strings.Contains(r.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("the page is not locked down: %v", r.header)
	}
	for target, want := range map[string]int{
		"/healthz": 200, "/readyz": 200, "/metrics": 200, "/console/": 501, "/console/login": 501, "/console": 308, "/nothing": 404, "/openapi.json": 200, "/openapi.yaml": 200, "/docs": 200,
	} {
		if r := w.callAs("", "GET", target, ""); r.status != want {
			t.Errorf("%s got %d, want %d", target, r.status, want)
		}
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	if r := w.callAs("", "GET", "/?lang=en", ""); r.status != 200 || !strings.Contains(r.body, "cannot be read") {
		t.Errorf("got %d %s", r.status, r.body)
	}
}

func TestJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	for body, want := range map[string]int{`{"kind":"sing"}`: 422, `{}`: 422, `{"job":"rekey"}`: 400} {
		if r := w.call("POST", "/v1/jobs", body); r.status != want {
			t.Errorf("%s: got %d %s", body, r.status, r.body)
		}
	}
	var job jobs.Job
	r := w.call("POST", "/v1/jobs", `{"kind":"rekey"}`)
	if err := json.Unmarshal([]byte(r.body), &job); err != nil || r.status != http.StatusAccepted || job.Kind != "rekey" || job.State != jobs.Running {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	if r := w.call("POST", "/v1/jobs", `{"kind":"rekey"}`); r.status != http.StatusConflict || r.name(t) != "job-running" || !strings.Contains(r.body, job.ID) {
		t.Errorf("second: got %d %s", r.status, r.body)
	}
	if r := w.call("GET", "/v1/jobs/nothing", ""); r.status != http.StatusNotFound || r.name(t) != "unknown-job" {
		t.Errorf("unknown: got %d %s", r.status, r.body)
	}
	if r := w.call("GET", "/v1/jobs", ""); r.status != http.StatusOK || !strings.Contains(r.body, job.ID) {
		t.Errorf("list: got %d %s", r.status, r.body)
	}
	close(w.rekeyed)
	for job.State == jobs.Running {
		r := w.call("GET", "/v1/jobs/"+job.ID, "")
		if err := json.Unmarshal([]byte(r.body), &job); err != nil {
			t.Fatalf("got %d %s", r.status, r.body)
		}
	}
	if job.State != jobs.Done || job.Done != 3 || job.Total != 7 || job.EndedAt.IsZero() {
		t.Errorf("got %+v", job)
	}
}
