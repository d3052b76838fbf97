package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/client"
)

// reveal returns the value of a token that must have come.
func reveal(t *testing.T) func(tuoguan.AccessToken, error) string {
	return func(token tuoguan.AccessToken, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return token.Value.Reveal()
	}
}

func TestTokenComesFromMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		s, c := serve(t, client.Config{}, func(w http.ResponseWriter, r *http.Request) {
			asked++
			if r.URL.Path != "/v1/authorizers/wxaaaaaaaaaaaaaaaa/access-token" || r.URL.RawQuery != "component=wx0123456789abcdef" {
				t.Errorf("asked for %s", r.URL)
			}
			if r.Header.Get("Authorization") != "Bearer "+key {
				t.Error("the key is not sent")
			}
			token(w, fmt.Sprint("token-", asked), 2*time.Hour)
		})
		for range 100 {
			if got := reveal(t)(c.Token(t.Context(), owner)); got != "token-1" {
				t.Fatalf("got %s", got)
			}
		}
		if s.count() != 1 {
			t.Fatalf("%d requests within a moment", s.count())
		}
		// The server may have refreshed since, and is asked.
		time.Sleep(time.Minute)
		if got := reveal(t)(c.Token(t.Context(), owner)); got != "token-2" {
			t.Errorf("a minute later the token is %s", got)
		}
	})
}

func TestTokenIsNeverHandedOutPastItsExpiry(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{0, time.Hour, -time.Hour} { // of the server's clock
		t.Run(skew.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, c := serve(t, client.Config{Patience: -1}, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
					token(w, "a-token", skew+10*time.Minute)
				})
				began := time.Now()
				reveal(t)(c.Token(t.Context(), owner))
				s.setDown(true)
				served := time.Duration(0)
				for time.Since(began) < 20*time.Minute {
					if _, err := c.Token(t.Context(), owner); err == nil {
						served = time.Since(began)
					} else if !errors.Is(err, client.ErrUnavailable) || !errors.Is(err, errRefused) {
						t.Fatalf("the server is away, and the error is %v", err)
					}
					time.Sleep(time.Second)
				}
				if served > 10*time.Minute-2*time.Second || served < 9*time.Minute+40*time.Second {
					t.Errorf("while the server was away, a token of 10m was served for %v", served)
				}
			})
		})
	}
}

func TestOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := serve(t, client.Config{}, func(w http.ResponseWriter, _ *http.Request) { token(w, "a-token", time.Hour) })
		// Away from the start, back within the client's patience.
		s.setDown(true)
		time.AfterFunc(3*time.Second, func() { s.setDown(false) })
		began := time.Now()
		reveal(t)(c.Token(t.Context(), owner))
		if waited := time.Since(began); waited < 3*time.Second || waited > 6*time.Second {
			t.Errorf("waited %v", waited)
		}
		// Away while a token is at hand: it is served without waiting, and the server
		// is not asked each time.
		time.Sleep(time.Minute)
		s.setDown(true)
		before := s.count()
		for range 60 {
			began := time.Now()
			reveal(t)(c.Token(t.Context(), owner))
			if waited := time.Since(began); waited != 0 {
				t.Fatalf("waited %v", waited)
			}
			time.Sleep(time.Second)
		}
		if asked := s.count() - before; asked < 5 || asked > 30 {
			t.Errorf("asked %d times in a minute", asked)
		}
	})
}

func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		patience, deadline, want time.Duration
		asked                    int
	}{
		"the client's":     {patience: 5 * time.Second, deadline: time.Hour, want: 5 * time.Second},
		"the caller's":     {patience: time.Minute, deadline: 2 * time.Second, want: 2 * time.Second},
		"a single attempt": {patience: -1, deadline: time.Hour, want: 0, asked: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, api := serve(t, client.Config{Patience: c.patience}, nil)
				s.setDown(true)
				ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
				defer cancel()
				began := time.Now()
				_, err := api.Token(ctx, owner)
				if waited := time.Since(began); waited > c.want || waited < c.want-2*time.Second {
					t.Errorf("waited %v", waited)
				}
				if !errors.Is(err, client.ErrUnavailable) || !errors.Is(err, errRefused) {
					t.Errorf("the error is %v", err)
				}
				if c.asked != 0 && s.count() != c.asked {
					t.Errorf("asked %d times", s.count())
				}
			})
		})
	}
}

func TestOneFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := serve(t, client.Config{}, func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			token(w, "a-token", time.Hour)
		})
		var callers sync.WaitGroup
		for range 50 {
			callers.Go(func() {
				if got := reveal(t)(c.Token(t.Context(), owner)); got != "a-token" {
					t.Errorf("got %s", got)
				}
			})
		}
		callers.Wait()
		if s.count() != 1 {
			t.Errorf("50 callers caused %d requests", s.count())
		}
	})
}

// A call that hangs holds up nobody beyond what he is ready to wait, and those who
// stay get a token although the one who asked for it has left.
func TestHungCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		_, c := serve(t, client.Config{}, func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) == 1 {
				<-r.Context().Done()
				return
			}
			token(w, "a-token", time.Hour)
		})
		wait := func(d time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			began := time.Now()
			_, err := c.Token(ctx, owner)
			if waited := time.Since(began); waited > d {
				t.Errorf("ready to wait %v, waited %v", d, waited)
			}
			return err
		}
		var callers sync.WaitGroup
		callers.Go(func() {
			if err := wait(2 * time.Second); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the one who asks: %v", err)
			}
		})
		synctest.Wait()
		callers.Go(func() {
			if err := wait(time.Second); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("one who waits a little: %v", err)
			}
		})
		callers.Go(func() {
			if err := wait(10 * time.Second); err != nil {
				t.Errorf("one who waits on: %v", err)
			}
		})
		callers.Wait()
	})
}

func TestInvalidate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		current, refreshes := "token-1", 0
		s, c := serve(t, client.Config{}, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			if strings.HasSuffix(r.URL.Path, "/invalid") {
				if body := text(t, r.Body); body != `{"access_token":"token-1"}` {
					t.Errorf("reported %s", body)
				}
				refreshes++
				current = "token-2"
			}
			token(w, current, time.Hour)
		})
		first, err := c.Token(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				if got := reveal(t)(c.Invalidate(t.Context(), owner, first.Value)); got != "token-2" {
					t.Errorf("in place of the refused token came %s", got)
				}
			})
		}
		synctest.Wait()
		callers.Go(func() { // reads meanwhile wait for the new one
			if got := reveal(t)(c.Token(t.Context(), owner)); got != "token-2" {
				t.Errorf("a read meanwhile got %s", got)
			}
		})
		callers.Wait()
		if got := reveal(t)(c.Invalidate(t.Context(), owner, first.Value)); got != "token-2" {
			t.Errorf("who is late gets %s", got)
		}
		if refreshes != 1 || s.count() != 2 {
			t.Errorf("%d reports, %d requests", refreshes, s.count())
		}
	})
}

// A read that began before a report may bring the token that was refused.
func TestReadBesideReport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var current atomic.Value
		current.Store("token-1")
		_, c := serve(t, client.Config{}, func(w http.ResponseWriter, r *http.Request) {
			value := current.Load().(string)
			if strings.HasSuffix(r.URL.Path, "/invalid") {
				value = "token-2"
				current.Store(value)
			} else {
				time.Sleep(5 * time.Second)
			}
			token(w, value, time.Hour)
		})
		var reader sync.WaitGroup
		reader.Go(func() {
			if got := reveal(t)(c.Token(t.Context(), owner)); got != "token-2" {
				t.Errorf("the read got %s", got)
			}
		})
		synctest.Wait()
		reveal(t)(c.Invalidate(t.Context(), owner, tuoguan.NewSecret("token-1")))
		reader.Wait()
		if got := reveal(t)(c.Token(t.Context(), owner)); got != "token-2" {
			t.Errorf("afterwards came %s", got)
		}
	})
}

func TestRefusalsEndWhatIsAtHand(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		want   error // nil: the token at hand goes on
	}{
		"revoked":               {http.StatusConflict, client.ErrRevoked},
		"needs-reauthorization": {http.StatusConflict, client.ErrNeedsReauthorization},
		"unknown-authorizer":    {http.StatusNotFound, client.ErrUnknownAuthorizer},
		"revoked-key":           {http.StatusUnauthorized, client.ErrRevokedKey},
		"missing-scope":         {http.StatusForbidden, client.ErrMissingScope},
		"rate-limited":          {http.StatusTooManyRequests, nil},
		"storage-unavailable":   {http.StatusServiceUnavailable, nil},
		"wechat-refused":        {http.StatusBadGateway, nil},
		"unavailable":           {http.StatusServiceUnavailable, nil},
		"refresh-needed":        {http.StatusConflict, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				refused := false
				_, api := serve(t, client.Config{}, func(w http.ResponseWriter, _ *http.Request) {
					if refused {
						refuse(w, c.status, name)
						return
					}
					token(w, "a-token", time.Hour)
				})
				reveal(t)(api.Token(t.Context(), owner))
				refused = true
				time.Sleep(time.Minute)
				_, err := api.Token(t.Context(), owner)
				if !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
			})
		})
	}
}

func TestOwners(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, c := serve(t, client.Config{Component: ours}, func(w http.ResponseWriter, r *http.Request) { token(w, r.URL.String(), time.Hour) })
		for _, tt := range []struct {
			owner tuoguan.TokenOwner
			want  string
		}{
			{owner, "http://127.0.0.1:8081/v1/authorizers/wxaaaaaaaaaaaaaaaa/access-token?component=wx0123456789abcdef"},
			{tuoguan.AuthorizerToken("", other), "http://127.0.0.1:8081/v1/authorizers/wxbbbbbbbbbbbbbbbb/access-token?component=wx0123456789abcdef"},
			{tuoguan.AuthorizerToken("wx1", "a/../b"), "http://127.0.0.1:8081/v1/authorizers/a%2F..%2Fb/access-token?component=wx1"},
			{tuoguan.ComponentToken("wx1"), "http://127.0.0.1:8081/v1/components/wx1/access-token"},
			{tuoguan.AuthorizerToken("wx1", ".."), "http://127.0.0.1:8081/v1/authorizers/%2E%2E/access-token?component=wx1"},
		} {
			if got := reveal(t)(c.Token(t.Context(), tt.owner)); got != tt.want {
				t.Errorf("%v: asked for %s, want %s", tt.owner, got, tt.want)
			}
		}
	})
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		s, c := serve(t, client.Config{}, func(w http.ResponseWriter, r *http.Request) {
			asked++
			token(w, r.Method+fmt.Sprint(asked), time.Hour)
		})
		reveal(t)(c.Token(t.Context(), owner))
		if got := reveal(t)(c.Refresh(t.Context(), owner)); got != "POST2" {
			t.Errorf("refreshed to %s", got)
		}
		if got := reveal(t)(c.Token(t.Context(), owner)); got != "POST2" || s.count() != 2 {
			t.Errorf("afterwards came %s, after %d requests", got, s.count())
		}
		s.setDown(true)
		if _, err := c.Refresh(t.Context(), owner); !errors.Is(err, client.ErrUnavailable) || s.count() != 3 {
			t.Errorf("a refresh was tried %d times: %v", s.count()-2, err)
		}
	})
}

// The API takes no report of a component's own token; what the server has is asked for
// again.
func TestComponentToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		current := "token-1"
		_, c := serve(t, client.Config{}, func(w http.ResponseWriter, _ *http.Request) { token(w, current, time.Hour) })
		component := tuoguan.ComponentToken(ours)
		reveal(t)(c.Token(t.Context(), component))
		if _, err := c.Invalidate(t.Context(), component, tuoguan.NewSecret("token-1")); !errors.Is(err, client.ErrComponentToken) {
			t.Errorf("the server has no other yet: %v", err)
		}
		current = "token-2"
		if got := reveal(t)(c.Invalidate(t.Context(), component, tuoguan.NewSecret("token-1"))); got != "token-2" {
			t.Errorf("got %s", got)
		}
		if _, err := c.Refresh(t.Context(), component); !errors.Is(err, client.ErrComponentToken) {
			t.Errorf("a refresh: %v", err)
		}
	})
}

// A server that hangs holds up one caller for a moment, and the others not at all,
// while there is a token at hand.
func TestHungServerBesideAToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hangs := false
		_, c := serve(t, client.Config{}, func(w http.ResponseWriter, r *http.Request) {
			if hangs {
				<-r.Context().Done()
				return
			}
			token(w, "a-token", time.Hour)
		})
		reveal(t)(c.Token(t.Context(), owner))
		time.Sleep(time.Minute)
		hangs = true
		var callers sync.WaitGroup
		var held atomic.Int32
		for range 10 {
			callers.Go(func() {
				began := time.Now()
				reveal(t)(c.Token(t.Context(), owner))
				if waited := time.Since(began); waited > 2*time.Second {
					t.Errorf("waited %v", waited)
				} else if waited > 0 {
					held.Add(1)
				}
			})
		}
		callers.Wait()
		if held.Load() != 1 {
			t.Errorf("%d callers were held up", held.Load())
		}
	})
}
