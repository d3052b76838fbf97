package keeper_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/simulator/simtest"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
	"github.com/tuoguan/tuoguan/wxapi"
)

// world is a keeper and a simulator that reach each other without a network, in a
// synctest bubble: hours pass in no time and every run is the same.
type world struct {
	t         *testing.T
	sim       *simulator.Simulator
	store     *flaky
	keeper    *keeper.Keeper
	component simulator.Component
	id        tuoguan.ComponentAppID
	router    keeper.Router
}

// flaky is a store whose writes can be made to fail.
type flaky struct {
	store.Store
	mu     sync.Mutex
	claims error // of AcquireLease and Probe
	saves  error // of SaveTokens
}

func (f *flaky) fail(claims, saves error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.claims, f.saves = claims, saves
}

func (f *flaky) failing() (claims, saves error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.claims, f.saves
}

func (f *flaky) AcquireLease(ctx context.Context, key, holder string, ttl time.Duration) (store.Lease, error) {
	if err, _ := f.failing(); err != nil {
		return store.Lease{}, err
	}
	return f.Store.AcquireLease(ctx, key, holder, ttl)
}

func (f *flaky) ClaimDue(ctx context.Context, at time.Time, holder string, ttl time.Duration, n int) ([]store.Due, error) {
	if err, _ := f.failing(); err != nil {
		return nil, err
	}
	return f.Store.ClaimDue(ctx, at, holder, ttl, n)
}

func (f *flaky) Probe(ctx context.Context) error {
	if err, _ := f.failing(); err != nil {
		return err
	}
	return f.Store.Probe(ctx)
}

func (f *flaky) SaveTokens(ctx context.Context, w store.TokenWrite) (bool, error) {
	if _, err := f.failing(); err != nil {
		return false, err
	}
	return f.Store.SaveTokens(ctx, w)
}

// newWorld makes a world with one component that has its first ticket. The keeper
// does background work only if run is set.
func newWorld(t *testing.T, faults *simulator.Faults, run bool) *world {
	t.Helper()
	return newRoutedWorld(t, faults, run, nil)
}

// newRoutedWorld makes one whose keeper asks a router.
func newRoutedWorld(t *testing.T, faults *simulator.Faults, run bool, router keeper.Router) *world {
	t.Helper()
	w := &world{t: t, store: &flaky{Store: memory.New(memory.Config{})}, router: router}
	var handler http.Handler
	w.sim = simtest.New(t, simulator.Config{
		Seed:   1,
		Faults: faults,
		PushTransport: simtest.HandlerTransport{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			handler.ServeHTTP(rw, r)
		})},
	})
	w.component = simtest.Register(t, w.sim, simtest.Component("main", "http://127.0.0.1"))
	w.id = tuoguan.ComponentAppID(w.component.AppID)
	w.keeper = w.newKeeper()
	handler = w.handler(w.keeper)
	if err := w.keeper.PutComponent(t.Context(), store.Component{
		AppID:          w.id,
		Secret:         tuoguan.NewSecret(w.component.Secret),
		Token:          tuoguan.NewSecret(w.component.Token),
		EncodingAESKey: tuoguan.NewSecret(w.component.EncodingAESKey),
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	if run {
		running.Go(func() {
			if err := w.keeper.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		running.Go(func() { _ = w.sim.Run(ctx) })
	}
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if err := w.keeper.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	w.ticket()
	return w
}

func (w *world) newKeeper() *keeper.Keeper {
	k, err := keeper.New(keeper.Config{
		Store: w.store, Router: w.router,
		API: wxapi.Config{HTTPClient: &http.Client{Transport: w.sim.RoundTripper()}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return k
}

func (w *world) handler(k *keeper.Keeper) http.Handler {
	h, err := push.NewHandler(push.Config{Components: k, Sink: k, Accounts: k})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(h.Wait)
	return h
}

func (w *world) ticket() {
	w.t.Helper()
	r, err := w.sim.PushTicket(w.t.Context(), w.component.AppID)
	if err != nil || !r.Accepted {
		w.t.Fatalf("ticket not accepted: %+v, %v", r, err)
	}
}

// account adds a merchant's account.
func (w *world) account() string {
	w.t.Helper()
	a, err := w.sim.AddAccount(simulator.Account{Kind: simulator.OfficialAccount})
	if err != nil {
		w.t.Fatal(err)
	}
	return a.AppID
}

// authorize lets the merchant confirm; the push arrives.
func (w *world) authorize(appid string, sets ...int) simulator.AuthorizeResult {
	w.t.Helper()
	r, err := w.sim.Authorize(w.t.Context(), appid, simulator.AuthorizeRequest{ComponentAppID: w.component.AppID, PermissionSets: sets})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) owner(appid string) tuoguan.TokenOwner {
	return tuoguan.AuthorizerToken(w.id, tuoguan.AuthorizerAppID(appid))
}

// good reads a token that WeChat has to take.
func (w *world) good(owner tuoguan.TokenOwner) tuoguan.AccessToken {
	w.t.Helper()
	token, err := w.keeper.Token(w.t.Context(), owner)
	if err != nil {
		w.t.Fatalf("token of %s: %v", owner, err)
	}
	if s := w.sim.Token(token.Value.Reveal()); s.Errcode != 0 {
		w.t.Fatalf("the token of %s is refused with %d", owner, s.Errcode)
	}
	return token
}

func (w *world) record(appid string) store.Authorizer {
	w.t.Helper()
	a, err := w.store.Authorizer(w.t.Context(), w.owner(appid).Authorization())
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) calls(op string) int { return w.sim.Stats().Calls["/cgi-bin/component/"+op] }

func (w *world) faults(change func(*simulator.Faults)) {
	w.t.Helper()
	f := w.sim.Faults()
	change(&f)
	if err := w.sim.SetFaults(f); err != nil {
		w.t.Fatal(err)
	}
}

func TestManyCallersOneRefresh(t *testing.T) {
	for _, kind := range []string{"component", "authorizer"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil, false)
				appid := w.account()
				w.authorize(appid)
				owner, op := tuoguan.ComponentToken(w.id), "api_component_token"
				if kind == "authorizer" {
					owner, op = w.owner(appid), "api_authorizer_token"
				}
				w.good(w.owner(appid))
				time.Sleep(3 * time.Hour)
				w.ticket()
				if kind == "authorizer" {
					w.good(tuoguan.ComponentToken(w.id))
				}
				w.faults(func(f *simulator.Faults) { f.ReplyLatencyMS = 800 })

				before := w.calls(op)
				tokens := make([]tuoguan.AccessToken, 64)
				var callers sync.WaitGroup
				for i := range tokens {
					callers.Go(func() {
						var err error
						if tokens[i], err = w.keeper.Token(t.Context(), owner); err != nil {
							t.Errorf("caller %d: %v", i, err)
						}
					})
				}
				callers.Wait()
				for i := range tokens {
					if !tokens[i].Value.Equal(tokens[0].Value) {
						t.Fatalf("caller %d got another token than caller 0", i)
					}
				}
				if n := w.calls(op) - before; n != 1 {
					t.Errorf("%d calls of %s, want 1", n, op)
				}
			})
		})
	}
}

func TestInvalidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		appid := w.account()
		w.authorize(appid)
		owner := w.owner(appid)
		first := w.good(owner)

		before := w.calls("api_authorizer_token")
		var callers sync.WaitGroup
		got := make([]tuoguan.AccessToken, 64)
		for i := range got {
			callers.Go(func() {
				var err error
				if got[i], err = w.keeper.Invalidate(t.Context(), owner, first.Value); err != nil {
					t.Error(err)
				}
			})
		}
		callers.Wait()
		for _, g := range got {
			if g.Value.Equal(first.Value) || !g.Value.Equal(got[0].Value) {
				t.Fatal("not all callers got the one new token")
			}
		}
		if n := w.calls("api_authorizer_token") - before; n != 1 {
			t.Errorf("%d refreshes, want 1", n)
		}
		// Whoever comes late with the old token must not cause another refresh.
		late, err := w.keeper.Invalidate(t.Context(), owner, first.Value)
		if err != nil || !late.Value.Equal(got[0].Value) {
			t.Errorf("late report: another token, %v", err)
		}
		if n := w.calls("api_authorizer_token") - before; n != 1 {
			t.Errorf("%d refreshes after a late report, want 1", n)
		}
	})
}

// A token that was reported is not handed out again while no refresh goes well.
func TestReportedTokenIsNotServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		appid := w.account()
		w.authorize(appid)
		owner := w.owner(appid)
		dead := w.good(owner)
		w.faults(func(f *simulator.Faults) { f.Busy = 1 })
		if _, err := w.keeper.Refresh(t.Context(), owner); err == nil {
			t.Fatal("a refresh went well although WeChat is busy")
		}
		w.good(owner) // nobody has said that it is bad
		time.Sleep(10 * time.Second)
		if _, err := w.keeper.Invalidate(t.Context(), owner, dead.Value); !errors.Is(err, wxapi.ErrBusy) {
			t.Errorf("report: %v, want ErrBusy", err)
		}
		if token, err := w.keeper.Token(t.Context(), owner); err == nil && token.Value.Equal(dead.Value) {
			t.Error("the token reported as dead is handed out")
		}
		w.faults(func(f *simulator.Faults) { f.Busy = 0 })
		time.Sleep(10 * time.Second)
		if fresh := w.good(owner); fresh.Value.Equal(dead.Value) {
			t.Error("the token reported as dead came back")
		}
	})
}

func TestCodeBeforeTheFirstTicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		other := simtest.Component("other", "http://127.0.0.1")
		id := tuoguan.ComponentAppID(other.AppID)
		if err := w.keeper.PutComponent(t.Context(), store.Component{
			AppID: id, Secret: tuoguan.NewSecret(other.Secret),
			Token: tuoguan.NewSecret(other.Token), EncodingAESKey: tuoguan.NewSecret(other.EncodingAESKey),
		}); err != nil {
			t.Fatal(err)
		}
		body := `<xml><AppId>` + other.AppID + `</AppId><CreateTime>` + unix(time.Now()) + `</CreateTime><InfoType>authorized</InfoType><AuthorizerAppid>wxaaaaaaaaaaaaaaaa</AuthorizerAppid><AuthorizationCode>code</AuthorizationCode></xml>`
		if _, err := w.keeper.Accept(t.Context(), push.Parse(tuoguan.Authorization{Component: id}, []byte(body))); err != nil {
			t.Fatal(err)
		}
		if _, err := w.keeper.Token(t.Context(), tuoguan.AuthorizerToken(id, "wxaaaaaaaaaaaaaaaa")); !errors.Is(err, keeper.ErrNoTicket) {
			t.Errorf("token: %v, want ErrNoTicket", err)
		}
	})
}

func TestTicketWithValidTokenCausesNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, true)
		w.good(tuoguan.ComponentToken(w.id))
		before := w.sim.Stats().Calls
		for range 3 {
			time.Sleep(time.Minute)
			w.ticket()
		}
		time.Sleep(time.Minute)
		for path, n := range w.sim.Stats().Calls {
			if n != before[path] {
				t.Errorf("%s was called %d times more", path, n-before[path])
			}
		}
	})
}

func TestSilentTicketsAreRestarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = w.keeper.Run(ctx) }) // nobody pushes tickets
		defer running.Wait()
		defer cancel()
		time.Sleep(19 * time.Minute)
		if n := w.calls("api_start_push_ticket"); n != 0 {
			t.Fatalf("asked for tickets %d times after 19 minutes", n)
		}
		time.Sleep(2 * time.Minute)
		if n := w.calls("api_start_push_ticket"); n != 1 {
			t.Fatalf("asked for tickets %d times after 21 minutes, want once", n)
		}
		time.Sleep(8 * time.Minute)
		if n := w.calls("api_start_push_ticket"); n != 1 {
			t.Fatalf("asked for tickets %d times within ten minutes, want once", n)
		}
	})
}

func TestPreviousTicketIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		// A ticket that WeChat does not take (yet) arrives after a good one.
		handled, err := w.keeper.Accept(t.Context(), push.Parse(tuoguan.Authorization{Component: w.id}, []byte(
			`<xml><AppId>`+w.component.AppID+`</AppId><CreateTime>4000000000</CreateTime><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>ticket@@@bad</ComponentVerifyTicket></xml>`)))
		if err != nil || handled.Duplicate {
			t.Fatalf("ticket not stored: %+v, %v", handled, err)
		}
		w.good(tuoguan.ComponentToken(w.id))
	})
}

func TestNoTicketYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		other := simtest.Component("other", "http://127.0.0.1")
		if err := w.keeper.PutComponent(t.Context(), store.Component{
			AppID: tuoguan.ComponentAppID(other.AppID), Secret: tuoguan.NewSecret(other.Secret),
			Token: tuoguan.NewSecret(other.Token), EncodingAESKey: tuoguan.NewSecret(other.EncodingAESKey),
		}); err != nil {
			t.Fatal(err)
		}
		_, err := w.keeper.Token(t.Context(), tuoguan.ComponentToken(tuoguan.ComponentAppID(other.AppID)))
		if !errors.Is(err, keeper.ErrNoTicket) {
			t.Errorf("error is %v, want ErrNoTicket", err)
		}
		_, err = w.keeper.Token(t.Context(), tuoguan.ComponentToken("wxffffffffffffffff"))
		if !errors.Is(err, keeper.ErrUnknownComponent) {
			t.Errorf("error is %v, want ErrUnknownComponent", err)
		}
		_, err = w.keeper.Token(t.Context(), w.owner("wxffffffffffffffff"))
		if !errors.Is(err, keeper.ErrUnknownAuthorizer) {
			t.Errorf("error is %v, want ErrUnknownAuthorizer", err)
		}
	})
}

func TestRedirectAndPushRace(t *testing.T) {
	for name, order := range map[string][]string{
		"push alone": {"push"}, "redirect alone": {"redirect"},
		"push first": {"push", "redirect"}, "redirect first": {"redirect", "push"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil, false)
				appid := w.account()
				w.faults(func(f *simulator.Faults) { f.LostPush = 1 })
				r := w.authorize(appid)
				at := time.Now()
				for _, way := range order {
					if way == "push" {
						body := `<xml><AppId>` + w.component.AppID + `</AppId><CreateTime>` + unix(at) + `</CreateTime><InfoType>authorized</InfoType><AuthorizerAppid>` + appid +
							`</AuthorizerAppid><AuthorizationCode>` + r.AuthorizationCode + `</AuthorizationCode><AuthorizationCodeExpiredTime>` + unix(at.Add(time.Hour)) +
							`</AuthorizationCodeExpiredTime><PreAuthCode>preauthcode@@@x</PreAuthCode></xml>`
						if _, err := w.keeper.Accept(t.Context(), push.Parse(tuoguan.Authorization{Component: w.id}, []byte(body))); err != nil {
							t.Fatal(err)
						}
						continue
					}
					e, err := w.keeper.Redirect(t.Context(), keeper.Redirect{Component: w.id, Code: tuoguan.NewSecret(r.AuthorizationCode), ExpiresIn: time.Hour})
					if err != nil || e.State != store.ExchangeDone {
						t.Fatalf("redirect: %s, %v", e.State, err)
					}
				}
				w.good(w.owner(appid))
				if n := w.calls("api_query_auth"); n != 1 {
					t.Errorf("%d exchanges, want 1", n)
				}
				if g := w.record(appid).Grant; g != 1 {
					t.Errorf("grant %d, want 1", g)
				}
			})
		})
	}
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

func TestForgedRedirectChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		e, err := w.keeper.Redirect(t.Context(), keeper.Redirect{Component: w.id, Code: tuoguan.NewSecret("queryauthcode@@@made-up")})
		if err != nil || e.State != store.ExchangeFailed {
			t.Fatalf("state %q, %v; want failed", e.State, err)
		}
		all, err := w.store.Authorizers(t.Context(), store.AuthorizerQuery{})
		if err != nil || len(all) != 0 {
			t.Errorf("%d authorizers, %v; want none", len(all), err)
		}
	})
}

func TestLostExchangeReplyIsRecovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, true)
		appid := w.account()
		w.good(tuoguan.ComponentToken(w.id))
		w.faults(func(f *simulator.Faults) { f.DropReplyAfterProcessing = 1 })
		w.authorize(appid) // the code is used up, and nobody hears the answer
		time.Sleep(3 * time.Second)
		w.faults(func(f *simulator.Faults) { f.DropReplyAfterProcessing = 0 })
		time.Sleep(time.Minute)
		w.good(w.owner(appid))
	})
}

func TestReauthorizationReplacesTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		appid := w.account()
		w.authorize(appid, 1, 2)
		old := w.good(w.owner(appid))
		w.authorize(appid, 1, 2, 3)
		// Nothing has been exchanged yet, but the old token is dead: it must not be seen again.
		if fresh := w.good(w.owner(appid)); fresh.Value.Equal(old.Value) {
			t.Error("the token of the old grant was handed out")
		}
		if g := w.record(appid).Grant; g != 2 {
			t.Errorf("grant %d, want 2", g)
		}
	})
}

func TestRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, true)
		appid := w.account()
		w.authorize(appid)
		w.good(w.owner(appid))
		time.Sleep(5 * time.Second)

		// A refresh is under way when the revocation arrives; its result must not
		// bring the authorization back.
		w.faults(func(f *simulator.Faults) { f.ReplyLatencyMS = 2000 })
		refreshed := make(chan error, 1)
		go func() {
			_, err := w.keeper.Refresh(t.Context(), w.owner(appid))
			refreshed <- err
		}()
		time.Sleep(time.Second)
		if r, err := w.sim.Unauthorize(t.Context(), appid, w.component.AppID); err != nil || !r.Accepted {
			t.Fatalf("revocation not accepted: %+v, %v", r, err)
		}
		if _, err := w.keeper.Token(t.Context(), w.owner(appid)); !errors.Is(err, keeper.ErrRevoked) {
			t.Errorf("after the revocation: %v, want ErrRevoked", err)
		}
		if err := <-refreshed; err == nil {
			t.Error("the refresh handed out a token after the revocation")
		}
		if s := w.record(appid).State; s != tuoguan.StateRevoked {
			t.Errorf("state %s", s)
		}
		w.faults(func(f *simulator.Faults) { f.ReplyLatencyMS = 0 })

		time.Sleep(5 * time.Second)
		w.authorize(appid)
		time.Sleep(5 * time.Second)
		w.good(w.owner(appid))
	})
}

func TestReplayedRevocationChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, true)
		appid := w.account()
		w.authorize(appid)
		w.good(w.owner(appid))
		time.Sleep(10 * time.Second)
		revoked := time.Now()
		if _, err := w.sim.Unauthorize(t.Context(), appid, w.component.AppID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		w.authorize(appid)
		time.Sleep(10 * time.Second)
		w.good(w.owner(appid))
		// The old revocation comes once more, so that its key is unknown to the store.
		body := `<xml><AppId>` + w.component.AppID + `</AppId><CreateTime>` + unix(revoked.Add(-time.Second)) + `</CreateTime><InfoType>unauthorized</InfoType><AuthorizerAppid>` + appid + `</AuthorizerAppid></xml>`
		if _, err := w.keeper.Accept(t.Context(), push.Parse(tuoguan.Authorization{Component: w.id}, []byte(body))); err != nil {
			t.Fatal(err)
		}
		w.good(w.owner(appid))
	})
}

// Authorized and revoked within one second, and the pushes overtake each other: only
// WeChat knows which came last.
func TestRevocationInTheSecondOfTheAuthorization(t *testing.T) {
	for _, stands := range []bool{true, false} {
		t.Run(strconv.FormatBool(stands), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil, true)
				appid := w.account()
				w.authorize(appid)
				w.good(w.owner(appid))
				if !stands {
					w.faults(func(f *simulator.Faults) { f.LostPush = 1 })
					if _, err := w.sim.Unauthorize(t.Context(), appid, w.component.AppID); err != nil {
						t.Fatal(err)
					}
				}
				at := w.record(appid).AuthorizedAt
				body := `<xml><AppId>` + w.component.AppID + `</AppId><CreateTime>` + unix(at) + `</CreateTime><InfoType>unauthorized</InfoType><AuthorizerAppid>` + appid + `</AuthorizerAppid></xml>`
				if _, err := w.keeper.Accept(t.Context(), push.Parse(tuoguan.Authorization{Component: w.id}, []byte(body))); err != nil {
					t.Fatal(err)
				}
				if s := w.record(appid).State; s != tuoguan.StateRevoked {
					t.Errorf("state %s right after the push, want revoked", s)
				}
				time.Sleep(10 * time.Second)
				if stands {
					w.good(w.owner(appid))
				} else if _, err := w.keeper.Token(t.Context(), w.owner(appid)); !errors.Is(err, keeper.ErrRevoked) {
					t.Errorf("token: %v, want ErrRevoked", err)
				}
			})
		})
	}
}

func TestDenialIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, true)
		appid := w.account()
		w.authorize(appid)
		w.good(w.owner(appid))
		w.faults(func(f *simulator.Faults) { f.False61003 = 1 })
		if _, err := w.keeper.Refresh(t.Context(), w.owner(appid)); err == nil {
			t.Fatal("a refresh went well although WeChat denies everything")
		}
		if s := w.record(appid).State; s != tuoguan.StateActive {
			t.Fatalf("state %s after one denial", s)
		}
		w.good(w.owner(appid)) // the token in force lives on
		time.Sleep(5 * time.Second)
		w.faults(func(f *simulator.Faults) { f.False61003 = 0 })
		time.Sleep(time.Minute)
		a := w.record(appid)
		if a.State != tuoguan.StateActive || a.Trouble.Failures != 0 {
			t.Errorf("a minute after the false alarm: %s, %d failures", a.State, a.Trouble.Failures)
		}
		w.good(w.owner(appid))
	})
}

func TestDeadAuthorizationIsParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, true)
		appid := w.account()
		w.authorize(appid)
		w.good(w.owner(appid))
		time.Sleep(5 * time.Second)
		w.faults(func(f *simulator.Faults) { f.LostPush = 1 })
		if _, err := w.sim.Unauthorize(t.Context(), appid, w.component.AppID); err != nil {
			t.Fatal(err)
		}
		_, _ = w.keeper.Refresh(t.Context(), w.owner(appid))
		time.Sleep(30 * time.Second)
		if s := w.record(appid).State; s != tuoguan.StateNeedsReauthorization {
			t.Fatalf("state %s half a minute after the authorization was lost", s)
		}
		if _, err := w.keeper.Token(t.Context(), w.owner(appid)); !errors.Is(err, keeper.ErrNeedsReauthorization) {
			t.Errorf("token: %v, want ErrNeedsReauthorization", err)
		}
		if w.record(appid).Tokens.RefreshToken.IsZero() {
			t.Error("the refresh token was deleted")
		}
		// It must not be asked about for ever.
		time.Sleep(time.Hour)
		before := w.calls("api_authorizer_token")
		time.Sleep(24 * time.Hour)
		if n := w.calls("api_authorizer_token") - before; n > 24 {
			t.Errorf("%d attempts in a day", n)
		}
	})
}

func TestLostRefreshReply(t *testing.T) {
	for _, mode := range []simulator.RefreshTokenMode{simulator.Static, simulator.RotateGrace, simulator.RotateStrict} {
		t.Run(string(mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil, true)
				appid := w.account()
				w.authorize(appid)
				w.good(w.owner(appid))
				w.faults(func(f *simulator.Faults) { f.RefreshTokenMode = mode; f.DropReplyAfterProcessing = 1 })
				_, _ = w.keeper.Refresh(t.Context(), w.owner(appid)) // done over there, and nobody hears of it
				w.faults(func(f *simulator.Faults) { f.DropReplyAfterProcessing = 0 })
				time.Sleep(time.Minute)
				if a := w.record(appid); a.State != tuoguan.StateActive {
					t.Fatalf("state %s: %s", a.State, a.Trouble.Message)
				}
				time.Sleep(3 * time.Hour)
				w.good(w.owner(appid))
			})
		})
	}
}

func TestEmptyRefreshTokenNeverReplacesOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		appid := w.account()
		w.authorize(appid)
		w.good(w.owner(appid))
		kept := w.record(appid).Tokens.RefreshToken
		w.faults(func(f *simulator.Faults) { f.EmptyRefreshToken = 1 })
		if _, err := w.keeper.Refresh(t.Context(), w.owner(appid)); err != nil {
			t.Fatal(err)
		}
		if got := w.record(appid).Tokens.RefreshToken; !got.Equal(kept) {
			t.Error("the refresh token changed though the reply had none")
		}
	})
}

// Two keepers, neither of which can save: the lease of the first lapses, and the second
// is answered without a refresh token, for one older than that which the first has got.
func TestEmptyRefreshTokenLeavesWhatWasSavedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		w.faults(func(f *simulator.Faults) { f.RefreshTokenMode, f.RefreshTokenGrace = simulator.RotateGrace, 60 })
		appid := w.account()
		owner := w.owner(appid)
		w.authorize(appid)
		w.good(owner)

		// The second refresh token is in the history only, and the first is dead.
		a := w.record(appid)
		second, err := w.keeper.API().RefreshAuthorizerToken(t.Context(), a.Authorization, a.Tokens.RefreshToken)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if _, err := w.store.AppendRefreshToken(t.Context(), store.RefreshToken{
			Authorization: a.Authorization, Grant: a.Grant, Value: second.RefreshToken, Source: store.FromRefresh, ReceivedAt: time.Now(),
		}); err != nil {
			t.Fatal(err)
		}

		others := &flaky{Store: w.store.Store}
		other, err := keeper.New(keeper.Config{Store: others, API: wxapi.Config{HTTPClient: &http.Client{Transport: w.sim.RoundTripper()}}})
		if err != nil {
			t.Fatal(err)
		}
		down := errors.New("connection lost")
		w.store.fail(nil, down)
		others.fail(nil, down)
		// Nobody waits that long, but what was answered is kept.
		if _, err := w.keeper.Refresh(t.Context(), owner); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("refresh by the first: %v", err)
		}
		w.faults(func(f *simulator.Faults) { f.EmptyRefreshToken = 1 })
		if _, err := other.Refresh(t.Context(), owner); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("refresh by the second: %v", err)
		}

		w.store.fail(nil, nil)
		time.Sleep(10 * time.Second)
		third := w.record(appid)
		if r := third.Tokens.RefreshToken; r.Equal(a.Tokens.RefreshToken) || r.Equal(second.RefreshToken) {
			t.Fatal("the first keeper has not saved the third refresh token")
		}
		others.fail(nil, nil)
		time.Sleep(10 * time.Second)
		last := w.record(appid)
		if last.Epoch <= third.Epoch || last.Tokens.AccessToken.Equal(third.Tokens.AccessToken) {
			t.Error("the second keeper has not saved its access token")
		}
		if !last.Tokens.RefreshToken.Equal(third.Tokens.RefreshToken) {
			t.Error("an older refresh token has replaced the newest")
		}
		if err := other.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestStoreThatCannotWriteStopsRefreshing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, true)
		appid := w.account()
		w.authorize(appid)
		w.good(w.owner(appid))
		full := errors.New("disk full")
		w.store.fail(full, nil)
		before := w.calls("api_authorizer_token")
		if _, err := w.keeper.Refresh(t.Context(), w.owner(appid)); !errors.Is(err, keeper.ErrStorage) {
			t.Errorf("refresh: %v, want ErrStorage", err)
		}
		time.Sleep(90*time.Minute + 30*time.Second) // the refresh ahead of time is due meanwhile
		if n := w.calls("api_authorizer_token") - before; n != 0 {
			t.Errorf("WeChat was asked %d times for tokens that could not be kept", n)
		}
		problems := w.keeper.Health(t.Context())
		if len(problems) == 0 || problems[0].Code != "store_unavailable" || !problems[0].Blocking {
			t.Errorf("health: %+v", problems)
		}
		w.good(w.owner(appid)) // from memory
		w.store.fail(nil, nil)
		time.Sleep(10 * time.Second)
		if problems := w.keeper.Health(t.Context()); len(problems) != 0 {
			t.Errorf("health after the store recovered: %+v", problems)
		}
		time.Sleep(time.Hour)
		w.good(w.owner(appid))
	})
}

func TestAnswerThatCannotBeSavedIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, true)
		appid := w.account()
		w.authorize(appid)
		w.good(w.owner(appid))
		w.faults(func(f *simulator.Faults) { f.RefreshTokenMode = simulator.RotateStrict })
		w.store.fail(nil, errors.New("connection lost"))
		refreshed := make(chan error, 1)
		go func() {
			_, err := w.keeper.Refresh(context.WithoutCancel(t.Context()), w.owner(appid))
			refreshed <- err
		}()
		time.Sleep(10 * time.Second)
		unsaved := false
		for _, p := range w.keeper.Health(t.Context()) {
			unsaved = unsaved || p.Code == "token_unsaved"
		}
		if !unsaved {
			t.Error("health says nothing of the token that is in memory only")
		}
		w.store.fail(nil, nil)
		if err := <-refreshed; err != nil {
			t.Fatalf("refresh: %v", err)
		}
		w.good(w.owner(appid))
		if problems := w.keeper.Health(t.Context()); len(problems) != 0 {
			t.Errorf("health: %+v", problems)
		}
	})
}

// What cannot be saved is not handed out. The token in force is, until WeChat refuses it.
func TestTokenInForceIsServedWhileANewOneCannotBeSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		appid := w.account()
		owner := w.owner(appid)
		w.authorize(appid)
		old := w.good(owner)
		w.store.fail(nil, errors.New("connection lost"))
		if _, err := w.keeper.Refresh(t.Context(), owner); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("refresh: %v", err)
		}
		time.Sleep(time.Duration(w.sim.Faults().AuthorizerTokenOverlap)*time.Second + time.Minute)
		if token, err := w.keeper.Token(t.Context(), owner); err != nil || !token.Value.Equal(old.Value) {
			t.Fatalf("the token in force is not handed out: %v", err)
		}
		if code := w.sim.Token(old.Value.Reveal()).Errcode; code == 0 {
			t.Fatal("WeChat still takes the token in force")
		}
		if _, err := w.keeper.Invalidate(t.Context(), owner, old.Value); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("report: %v, want to wait for the new token", err)
		}
		if _, err := w.keeper.Token(t.Context(), owner); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("read: %v, want to wait for the new token", err)
		}
		waiting := make(chan error, 1)
		go func() {
			_, err := w.keeper.Invalidate(t.Context(), owner, old.Value)
			waiting <- err
		}()
		time.Sleep(time.Second)
		w.store.fail(nil, nil)
		if err := <-waiting; err != nil {
			t.Errorf("whoever waited gets %v", err)
		}
		if token := w.good(owner); token.Value.Equal(old.Value) {
			t.Error("the token reported as dead came back")
		}
	})
}

// A code that a redirect brought alone was used up and the answer lost. Only the list
// can tell who it was, so it is asked at once and not ten minutes after the start.
func TestLostExchangeOfARedirectIsFoundInTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, true)
		appid := w.account()
		w.good(tuoguan.ComponentToken(w.id))
		w.faults(func(f *simulator.Faults) { f.LostPush, f.DropReplyAfterProcessing = 1, 1 })
		r := w.authorize(appid)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := w.keeper.Redirect(ctx, keeper.Redirect{Component: w.id, Code: tuoguan.NewSecret(r.AuthorizationCode), ExpiresIn: time.Hour}); err == nil {
			t.Error("the exchange went well although no answer arrived")
		}
		w.faults(func(f *simulator.Faults) { f.LostPush, f.DropReplyAfterProcessing = 0, 0 })
		time.Sleep(time.Minute)
		w.good(w.owner(appid))
	})
}

func TestReconcileAdoptsWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		accounts, err := w.sim.Seed(w.component.AppID, 1200)
		if err != nil {
			t.Fatal(err)
		}
		r, err := w.keeper.Reconcile(t.Context(), w.id)
		if err != nil {
			t.Fatal(err)
		}
		if r.Listed != 1200 || r.Adopted != 1200 {
			t.Errorf("%+v, want 1200 adopted", r)
		}
		for appid := range accounts {
			w.good(w.owner(appid))
			break
		}
		if r, err = w.keeper.Reconcile(t.Context(), w.id); err != nil || r.Adopted+r.Renewed+r.Candidates+r.Unlisted != 0 {
			t.Errorf("the second comparison changed something: %+v, %v", r, err)
		}
	})
}

func TestAnOlderCodeDoesNotHideANewerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		appid := w.account()
		w.authorize(appid)
		old := w.good(w.owner(appid))
		// Two codes were told and not exchanged before the process ended: one from before
		// the grant that is stored, which comes last, and a newer one.
		granted := w.record(appid).AuthorizedAt
		for name, at := range map[string]time.Duration{"newer": time.Minute, "older": -time.Minute} {
			code := tuoguan.NewSecret("queryauthcode@@@" + name)
			if _, _, err := w.store.PutExchange(t.Context(), store.Exchange{
				Component: w.id, Code: code, CodeHash: keeper.HashCode(code), Authorizer: tuoguan.AuthorizerAppID(appid),
				State: store.ExchangePending, AuthorizedAt: granted.Add(at), CreatedAt: granted.Add(at), DueAt: granted.Add(-at),
			}); err != nil {
				t.Fatal(err)
			}
		}
		w.faults(func(f *simulator.Faults) { f.Busy = 1 })
		for range 4 {
			next := w.newKeeper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			token, err := next.Token(ctx, w.owner(appid))
			cancel()
			if err == nil && token.Value.Equal(old.Value) {
				t.Error("the token of the grant before was handed out")
			}
			if err := next.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestPeekNeverAsksWeChat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		appid := w.account()
		w.authorize(appid)
		owner := w.owner(appid)
		token := w.good(owner)
		for name, k := range map[string]*keeper.Keeper{"in memory": w.keeper, "in the store": w.newKeeper()} {
			peeked, err := k.Peek(t.Context(), owner)
			if err != nil || !peeked.Value.Equal(token.Value) {
				t.Errorf("%s: %v, %v", name, peeked, err)
			}
		}
		calls := w.calls("api_authorizer_token")
		time.Sleep(2 * time.Hour)
		if peeked, err := w.keeper.Peek(t.Context(), owner); !errors.Is(err, keeper.ErrRefreshNeeded) {
			t.Errorf("after its end: %v, %v", peeked, err)
		}
		if _, err := w.keeper.Peek(t.Context(), w.owner("wxffffffffffffffff")); !errors.Is(err, keeper.ErrUnknownAuthorizer) {
			t.Errorf("unknown: %v", err)
		}
		if n := w.calls("api_authorizer_token") - calls; n != 0 {
			t.Errorf("%d refreshes", n)
		}
	})
}

func TestStagedSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		w.good(tuoguan.ComponentToken(w.id))
		c, err := w.keeper.Component(t.Context(), w.id)
		if err != nil {
			t.Fatal(err)
		}
		changed := w.component
		changed.Secret = "0123456789abcdef0123456789abcdef"
		c.StagedSecret = tuoguan.NewSecret(changed.Secret)
		if err := w.keeper.PutComponent(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if _, err := w.keeper.Refresh(t.Context(), tuoguan.ComponentToken(w.id)); err != nil {
			t.Fatalf("before WeChat knows the new secret: %v", err)
		}
		simtest.Register(t, w.sim, changed)
		if _, err := w.keeper.Refresh(t.Context(), tuoguan.ComponentToken(w.id)); err != nil {
			t.Fatalf("after: %v", err)
		}
		stored, err := w.store.Component(t.Context(), w.id)
		if err != nil || !stored.Secret.Equal(c.StagedSecret) || !stored.StagedSecret.IsZero() {
			t.Errorf("the staged secret did not replace the one before: %v", err)
		}
	})
}

func TestReconcileRevivesWhatOnlyTheListAndTheHistoryKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		w.faults(func(f *simulator.Faults) { f.RefreshTokenMode = simulator.RotateStrict })
		appid := w.account()
		w.authorize(appid)
		w.good(w.owner(appid))
		time.Sleep(time.Minute)
		if _, err := w.sim.Unauthorize(t.Context(), appid, w.component.AppID); err != nil {
			t.Fatal(err)
		}
		// What is restored later comes from here, but the refresh token of the next
		// authorization has survived in a spill file.
		backup := w.store.Store.(*memory.Store).Clone()
		time.Sleep(time.Minute)
		w.authorize(appid)
		w.good(w.owner(appid))
		since := w.record(appid)
		w.store.Store = backup
		if _, err := backup.AppendRefreshToken(t.Context(), store.RefreshToken{
			Authorization: since.Authorization, Grant: since.Grant, Value: since.Tokens.RefreshToken, Source: store.FromExchange, ReceivedAt: since.ObtainedAt,
		}); err != nil {
			t.Fatal(err)
		}
		restored := w.newKeeper()
		defer func() { _ = restored.Close(context.Background()) }()
		r, err := restored.Reconcile(t.Context(), w.id)
		if err != nil || r.Renewed != 1 {
			t.Errorf("%+v, %v", r, err)
		}
		token, err := restored.Token(t.Context(), w.owner(appid))
		if err != nil {
			t.Fatal(err)
		}
		if s := w.sim.Token(token.Value.Reveal()); s.Errcode != 0 {
			t.Errorf("its token is refused with %d", s.Errcode)
		}
	})
}

// stalled is a network on which nothing moves for a while, whoever gives up meanwhile: as
// for a process that is stopped.
type stalled struct {
	http.RoundTripper
	until chan struct{}
}

func (s stalled) RoundTrip(r *http.Request) (*http.Response, error) {
	<-s.until
	return s.RoundTripper.RoundTrip(r)
}

// A keeper that stood still until its lease was over says nothing of how it fared:
// others have tried since, and what they wrote down holds.
func TestTroubleFromBeforeIsNotRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		appid := w.account()
		owner := w.owner(appid)
		w.authorize(appid)
		w.good(owner)

		network := stalled{w.sim.RoundTripper(), make(chan struct{})}
		other, err := keeper.New(keeper.Config{Store: w.store.Store, API: wxapi.Config{HTTPClient: &http.Client{Transport: network}}})
		if err != nil {
			t.Fatal(err)
		}
		asked, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := other.Refresh(asked, owner); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("refresh by the keeper that stands still: %v", err)
		}
		w.faults(func(f *simulator.Faults) { f.Busy = 1 })
		for failures := 1; failures <= 3; failures++ {
			time.Sleep(time.Minute) // the lease lapses, and then the time to wait after a failure
			if _, err := w.keeper.Refresh(t.Context(), owner); err == nil {
				t.Fatal("refreshed although WeChat is busy")
			}
			if got := w.record(appid).Trouble.Failures; got != failures {
				t.Fatalf("%d failures are recorded, not %d", got, failures)
			}
		}
		before := w.record(appid)
		close(network.until)
		time.Sleep(time.Second)
		if after := w.record(appid); !after.RefreshAt.Equal(before.RefreshAt) || after.Trouble != before.Trouble {
			t.Errorf("what was recorded, %+v and due at %v, became %+v and %v", before.Trouble, before.RefreshAt, after.Trouble, after.RefreshAt)
		}
		if err := other.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// An answer that is saved when the lease is long over may have killed the token that
// somebody else has got meanwhile: another refresh is due.
func TestAnswerSavedTooLateMakesARefreshDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		appid := w.account()
		owner := w.owner(appid)
		w.authorize(appid)
		w.good(owner)

		others := &flaky{Store: w.store.Store}
		other, err := keeper.New(keeper.Config{Store: others, API: wxapi.Config{HTTPClient: &http.Client{Transport: w.sim.RoundTripper()}}})
		if err != nil {
			t.Fatal(err)
		}
		others.fail(nil, errors.New("connection lost"))
		// Nobody waits that long, but what was answered is kept.
		if _, err := other.Refresh(t.Context(), owner); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("refresh: %v", err)
		}
		if _, err := w.keeper.Refresh(t.Context(), owner); err != nil {
			t.Fatal(err)
		}
		if due := w.record(appid).RefreshAt; !due.After(time.Now()) {
			t.Fatalf("due at %v although nothing else has been saved", due)
		}
		others.fail(nil, nil)
		time.Sleep(10 * time.Second)
		if due := w.record(appid).RefreshAt; due.After(time.Now()) {
			t.Errorf("the next refresh is due at %v", due)
		}
		if err := other.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
