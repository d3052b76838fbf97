package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/gateway"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/simulator/simtest"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
	"github.com/tuoguan/tuoguan/wxapi"
)

// site is a gateway on loopback with its keys, accounts and log.
type site struct {
	t         testing.TB
	store     *memory.Store
	keys      *access.Keys
	directory *access.Directory
	gateway   *gateway.Gateway
	url       string
	key       string // may do all that the gateway does
	clock     *tuoguan.Clock

	mu    sync.Mutex
	log   bytes.Buffer
	calls []gateway.Call
}

// options are what tests want different.
type options struct {
	tokens    wxapi.TokenSource
	wechat    *wxapi.Client
	values    store.Values
	baseURLs  []string
	transport http.RoundTripper
	floor     int
	rate      float64 // of keys and accounts; 0: none
	short     func(gateway.Shortage)
}

func newSite(t testing.TB, st *memory.Store, clock *tuoguan.Clock, o options) *site {
	t.Helper()
	s := &site{t: t, store: st, clock: clock}
	logger := slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if o.rate == 0 {
		o.rate = -1
	}
	if o.values == nil {
		o.values = st
	}
	var err error
	if s.keys, err = access.New(access.Config{Store: st, Clock: clock, Logger: logger, KeyRate: o.rate, AuthorizerRate: o.rate}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.keys.Run(ctx) })
	if s.directory, err = access.NewDirectory(access.DirectoryConfig{Store: st, Logger: logger}); err != nil {
		t.Fatal(err)
	}
	s.gateway, err = gateway.New(gateway.Config{
		Keys: s.keys, Directory: s.directory, Tokens: o.tokens, WeChat: o.wechat, Values: o.values, TokenKey: [32]byte{1, 2, 3},
		BaseURLs: o.baseURLs, Transport: o.transport, QuotaFloor: o.floor, Clock: clock, Logger: logger, Short: o.short,
		Observe: func(c gateway.Call) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.calls) < 1000 {
				s.calls = append(s.calls, c)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(s.gateway)
	server.Config.DisableGeneralOptionsHandler = true
	server.Start()
	s.url = server.URL
	t.Cleanup(func() {
		server.Close()
		if err := s.gateway.Close(context.Background()); err != nil {
			t.Error(err)
		}
		cancel()
		running.Wait()
		s.directory.Close()
	})
	s.key, _ = s.newKey(access.Scope{Operations: []access.Operation{access.CallGateway}})
	return s
}

func (s *site) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *site) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

func (s *site) lastCall() gateway.Call {
	s.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		n := len(s.calls)
		if n > 0 {
			defer s.mu.Unlock()
			return s.calls[n-1]
		}
		s.mu.Unlock()
	}
	s.t.Fatal("no call was observed")
	return gateway.Call{}
}

func (s *site) newKey(scope access.Scope) (key, id string) {
	s.t.Helper()
	k, secret, err := s.keys.Create(context.Background(), access.NewKey{Name: "test", Scope: scope})
	if err != nil {
		s.t.Fatal(err)
	}
	return secret.Reveal(), k.ID
}

// grant stores an authorization as if the merchant had given it.
func (s *site) grant(component tuoguan.ComponentAppID, account tuoguan.AuthorizerAppID) {
	s.t.Helper()
	_, _, err := s.store.SaveGrant(context.Background(), store.Grant{
		Authorization: tuoguan.Authorization{Component: component, Authorizer: account},
		Tokens:        tuoguan.TokenSet{RefreshToken: tuoguan.NewSecret("refresh")}, ObtainedAt: time.Now(), Source: store.FromExchange,
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// answer is what a caller gets.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) field(name string) any {
	var fields map[string]any
	_ = json.Unmarshal(a.body, &fields)
	return fields[name]
}

func (a answer) text(name string) string { s, _ := a.field(name).(string); return s }

func (a answer) errcode() int {
	n, _ := a.field("errcode").(float64)
	return int(n)
}

// problem is the name of the problem document, or "".
func (a answer) problem() string {
	if a.header.Get("Content-Type") != "application/problem+json" {
		return ""
	}
	_, name, _ := strings.Cut(a.text("type"), "#")
	return name
}

// send makes a request with the site's key, unless header has another.
func (s *site) send(method, target string, body io.Reader, header http.Header) answer {
	s.t.Helper()
	a, err := s.try(method, target, body, header)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *site) try(method, target string, body io.Reader, header http.Header) (answer, error) {
	r, err := http.NewRequest(method, s.url+target, body)
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	maps.Copy(r.Header, header)
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, text}, err
}

func (s *site) get(target string) answer { s.t.Helper(); return s.send("GET", target, nil, nil) }

func (s *site) post(target, body string) answer {
	s.t.Helper()
	return s.send("POST", target, strings.NewReader(body), http.Header{"Content-Type": {"application/json"}})
}

// token asks for a token as an SDK does.
func (s *site) token(account, key string) answer {
	s.t.Helper()
	return s.send("GET", "/cgi-bin/token?"+url.Values{"grant_type": {"client_credential"}, "appid": {account}, "secret": {key}}.Encode(), nil, http.Header{"Authorization": nil})
}

// world is a site before the simulator, with a keeper between them.
type world struct {
	*site
	sim       *simtest.Sim
	keeper    *keeper.Keeper
	component string
	account   string
}

func newWorld(t testing.TB, o options) *world {
	t.Helper()
	st, clock := memory.New(memory.Config{}), new(tuoguan.Clock)
	var pushes http.Handler
	w := &world{sim: simtest.Start(t, simulator.Config{
		Seed: 1, Clock: clock,
		PushTransport: simtest.HandlerTransport{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { pushes.ServeHTTP(rw, r) })},
	})}
	if o.baseURLs == nil {
		o.baseURLs = []string{w.sim.URL}
	}
	var err error
	w.keeper, err = keeper.New(keeper.Config{Store: st, Clock: clock, API: wxapi.Config{BaseURLs: []string{w.sim.URL}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.keeper.Close(context.Background()) })
	h, err := push.NewHandler(push.Config{Components: w.keeper, Sink: w.keeper, Accounts: w.keeper, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Wait)
	pushes = h
	if o.tokens == nil {
		o.tokens = w.keeper
	}
	o.wechat = w.keeper.API()
	w.site = newSite(t, st, clock, o)
	w.component = w.addComponent("main")
	w.account = w.addAccount(w.component, simulator.OfficialAccount)
	return w
}

// addComponent registers a component that has a ticket.
func (w *world) addComponent(name string) string {
	w.t.Helper()
	c := simtest.Register(w.t, w.sim.Simulator, simtest.Component(name, "http://127.0.0.1"))
	if err := w.keeper.PutComponent(context.Background(), store.Component{
		AppID: tuoguan.ComponentAppID(c.AppID), Secret: tuoguan.NewSecret(c.Secret), Token: tuoguan.NewSecret(c.Token), EncodingAESKey: tuoguan.NewSecret(c.EncodingAESKey),
	}); err != nil {
		w.t.Fatal(err)
	}
	if r, err := w.sim.PushTicket(context.Background(), c.AppID); err != nil || !r.Accepted {
		w.t.Fatalf("ticket: %+v %v", r, err)
	}
	return c.AppID
}

// addAccount makes an account that authorizes a component.
func (w *world) addAccount(component, kind string) string {
	w.t.Helper()
	a, err := w.sim.AddAccount(simulator.Account{Kind: kind})
	if err != nil {
		w.t.Fatal(err)
	}
	w.authorize(a.AppID, component)
	return a.AppID
}

func (w *world) authorize(account, component string) {
	w.t.Helper()
	if _, err := w.sim.Authorize(context.Background(), account, simulator.AuthorizeRequest{ComponentAppID: component}); err != nil {
		w.t.Fatal(err)
	}
	for range 500 { // the exchange is the keeper's own work
		if _, err := w.keeper.Token(context.Background(), tuoguan.AuthorizerToken(tuoguan.ComponentAppID(component), tuoguan.AuthorizerAppID(account))); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatal("the authorization did not arrive")
}

func (w *world) faults(change func(*simulator.Faults)) {
	w.t.Helper()
	f := w.sim.Faults()
	change(&f)
	if err := w.sim.SetFaults(f); err != nil {
		w.t.Fatal(err)
	}
}

// userWrites opens the window in which the account may write to a user.
func (w *world) userWrites(openid string) {
	w.t.Helper()
	if _, err := w.sim.SendMessage(context.Background(), w.account, simulator.Message{From: openid, Type: "text", Fields: map[string]any{"content": "hi"}}); err != nil {
		w.t.Fatal(err)
	}
}

// stub is WeChat's side of a test that needs replies which the simulator does not make.
type stub struct {
	mu     sync.Mutex
	tokens map[tuoguan.TokenOwner]string
}

// text returns the token in force. mu is held.
func (s *stub) text(owner tuoguan.TokenOwner) string {
	if s.tokens == nil {
		s.tokens = make(map[tuoguan.TokenOwner]string)
	}
	if s.tokens[owner] == "" {
		s.tokens[owner] = "77_stubTokenStubTokenStubTokenStubToken_" + strings.ReplaceAll(owner.String(), "/", "_")
	}
	return s.tokens[owner]
}

// Token implements wxapi.TokenSource.
func (s *stub) Token(_ context.Context, owner tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return tuoguan.AccessToken{Value: tuoguan.NewSecret(s.text(owner)), ExpiresAt: time.Now().Add(time.Hour)}, nil
}

// Invalidate implements wxapi.TokenSource.
func (s *stub) Invalidate(ctx context.Context, owner tuoguan.TokenOwner, failed tuoguan.Secret) (tuoguan.AccessToken, error) {
	s.mu.Lock()
	if failed.Reveal() == s.text(owner) {
		s.tokens[owner] += "_next"
	}
	s.mu.Unlock()
	return s.Token(ctx, owner)
}

const (
	stubComponent = "wx0123456789abcdef"
	stubAccount   = "wxaaaaaaaaaaaaaaaa"
)

// newStub makes a site before a WeChat that answers as told, with one account.
func newStub(t testing.TB, o options, wechat http.HandlerFunc) (*site, *stub) {
	t.Helper()
	source := &stub{}
	if wechat != nil {
		server := httptest.NewServer(wechat)
		t.Cleanup(server.Close)
		o.baseURLs = append(o.baseURLs, server.URL)
	}
	api, err := wxapi.New(wxapi.Config{BaseURLs: o.baseURLs, Tokens: source})
	if err != nil {
		t.Fatal(err)
	}
	o.wechat, o.tokens = api, source
	s := newSite(t, memory.New(memory.Config{}), new(tuoguan.Clock), o)
	s.grant(stubComponent, stubAccount)
	return s, source
}
