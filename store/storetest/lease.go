package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

func (e *env) acquire(key, holder string, ttl time.Duration) store.Lease {
	e.t.Helper()
	return must[store.Lease](e)(e.AcquireLease(e.ctx, key, holder, ttl))
}

func testLeases(t *testing.T, s *suite) {
	s.run(t, "every field is set", func(e *env) {
		before := e.clock.Now()
		l := e.acquire("k", "me", time.Minute)
		e.full(l)
		if l.Key != "k" || l.Holder != "me" || l.Until.Location() != time.UTC ||
			l.Until.Before(before.Add(time.Minute-time.Millisecond)) || l.Until.After(e.clock.Now().Add(time.Minute)) {
			e.t.Errorf("got %+v", l)
		}
	})
	s.run(t, "one holder at a time", func(e *env) {
		e.acquire("k", "me", time.Minute)
		_, err := e.AcquireLease(e.ctx, "k", "you", time.Minute)
		e.is(err, store.ErrLeaseHeld)
		var held *store.LeaseHeldError
		if !errors.As(err, &held) || held.Key != "k" || held.Holder != "me" || held.Remaining <= 0 || held.Remaining > time.Minute {
			e.t.Errorf("got %+v", held)
		}
		e.acquire("other", "you", time.Minute)
	})
	s.run(t, "ends by the store's clock", func(e *env) {
		first := e.acquire("k", "me", time.Minute)
		e.clock.Advance(59 * time.Second)
		_, err := e.AcquireLease(e.ctx, "k", "you", time.Minute)
		e.is(err, store.ErrLeaseHeld)
		e.clock.Advance(time.Second)
		second := e.acquire("k", "you", time.Minute)
		if second.Epoch <= first.Epoch {
			e.t.Errorf("epoch %d after %d", second.Epoch, first.Epoch)
		}
		e.is(e.ReleaseLease(e.ctx, first), store.ErrLeaseLost)
		_, err = e.AcquireLease(e.ctx, "k", "me", time.Minute)
		e.is(err, store.ErrLeaseHeld)
	})
	s.run(t, "one's own may be claimed anew", func(e *env) {
		first := e.acquire("k", "me", time.Minute)
		second := e.acquire("k", "me", time.Hour)
		if second.Epoch <= first.Epoch || !second.Until.After(first.Until) {
			e.t.Errorf("%+v, then %+v", first, second)
		}
		e.is(e.ReleaseLease(e.ctx, first), store.ErrLeaseLost)
		e.ok(e.ReleaseLease(e.ctx, second))
	})
	s.run(t, "released, it is free, and the epoch goes on", func(e *env) {
		first := e.acquire("k", "me", time.Minute)
		e.ok(e.ReleaseLease(e.ctx, first))
		e.is(e.ReleaseLease(e.ctx, first), store.ErrLeaseLost)
		if second := e.acquire("k", "you", time.Minute); second.Epoch <= first.Epoch {
			e.t.Errorf("epoch %d after %d", second.Epoch, first.Epoch)
		}
	})
	s.run(t, "past its end but not taken it can be released", func(e *env) {
		l := e.acquire("k", "me", time.Minute)
		e.clock.Advance(time.Hour)
		e.ok(e.ReleaseLease(e.ctx, l))
	})
	s.run(t, "only as the very one", func(e *env) {
		l := e.acquire("k", "me", time.Minute)
		for _, other := range []store.Lease{
			{Key: "x", Holder: "me", Epoch: l.Epoch}, {Key: "k", Holder: "you", Epoch: l.Epoch},
			{Key: "k", Holder: "me", Epoch: l.Epoch + 1}, {Key: "k", Epoch: l.Epoch},
		} {
			e.is(e.ReleaseLease(e.ctx, other), store.ErrLeaseLost)
		}
		e.ok(e.ReleaseLease(e.ctx, l))
	})
}

func testLeaseLists(t *testing.T, s *suite) {
	s.run(t, "those in force, in order", func(e *env) {
		e.equal(must[[]store.Lease](e)(e.Leases(e.ctx, "")), []store.Lease(nil))
		b := e.acquire("a/b", "me", time.Hour)
		a := e.acquire("a/a", "you", time.Hour)
		under := e.acquire("a_/c", "me", time.Hour) // no wildcard
		top := e.acquire("a", "me", time.Hour)
		released := e.acquire("a/r", "me", time.Hour)
		e.ok(e.ReleaseLease(e.ctx, released))
		e.acquire("a/x", "me", time.Minute)
		e.clock.Advance(time.Minute)
		for prefix, want := range map[string][]store.Lease{
			"": {top, a, b, under}, "a/": {a, b}, "a": {top, a, b, under}, "a_": {under}, "a/b": {b}, "b": nil,
		} {
			e.equal(must[[]store.Lease](e)(e.other.Leases(e.ctx, prefix)), want)
		}
	})
}

func testContention(t *testing.T, s *suite) {
	const writers = 100
	s.run(t, "100 writers of one token set", func(e *env) {
		e.grant(fullGrant())
		var wg sync.WaitGroup
		var mu sync.Mutex
		last := int64(0) // the greatest epoch that moved the token set
		for i := range writers {
			wg.Go(func() {
				w := fullTokenWrite()
				w.Epoch = int64(i/2 + 1) // every epoch is contended
				w.Tokens.RefreshToken, w.Tokens.AccessToken = secret("refresh %d/%d", w.Epoch, i), secret("access %d/%d", w.Epoch, i)
				moved, err := e.handle(i).SaveTokens(e.ctx, w)
				if err != nil {
					e.t.Error(err)
				}
				if moved {
					mu.Lock()
					last = max(last, w.Epoch)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		got := e.authorizer(id1)
		if got.Epoch != writers/2 || last != writers/2 {
			e.t.Errorf("epoch %d is current, %d was the last to move it, want %d", got.Epoch, last, writers/2)
		}
		var a, b int
		_, err := fmt.Sscanf(got.Tokens.RefreshToken.Reveal(), "refresh %d/%d", &a, &b)
		e.ok(err)
		if want := fmt.Sprintf("access %d/%d", a, b); int64(a) != got.Epoch || got.Tokens.AccessToken.Reveal() != want {
			e.t.Errorf("token sets are mixed: %q beside %q", got.Tokens.RefreshToken.Reveal(), got.Tokens.AccessToken.Reveal())
		}
		if n := len(e.history(id1)); n != writers+1 {
			e.t.Errorf("%d refresh tokens in the history, want %d", n, writers+1)
		}
	})
	s.run(t, "each epoch moves at most once", func(e *env) {
		e.grant(fullGrant())
		var wg sync.WaitGroup
		var moves atomic.Int64
		for i := range writers {
			wg.Go(func() {
				w := fullTokenWrite()
				w.Tokens.RefreshToken = secret("refresh by %d", i)
				w.ObtainedAt = w.ObtainedAt.Add(time.Duration(i) * time.Millisecond) // else they were one
				moved, err := e.handle(i/2).SaveTokens(e.ctx, w)
				if err != nil {
					e.t.Error(err)
				}
				if moved {
					moves.Add(1)
				}
			})
		}
		wg.Wait()
		if moves.Load() != 1 {
			e.t.Errorf("moved %d times", moves.Load())
		}
	})
	s.run(t, "100 claims of one lease", func(e *env) {
		var wg sync.WaitGroup
		var holders, inside atomic.Int64
		epochs := make(chan int64, writers)
		for i := range writers {
			wg.Go(func() {
				l, err := e.claim(e.handle(i), fmt.Sprintf("holder %d", i))
				if err != nil {
					e.t.Error(err)
					return
				}
				if inside.Add(1) > 1 {
					e.t.Error("two holders at a time")
				}
				holders.Add(1)
				epochs <- l.Epoch
				inside.Add(-1)
				if err := e.handle(i).ReleaseLease(e.ctx, l); err != nil {
					e.t.Error(err)
				}
			})
		}
		wg.Wait()
		close(epochs)
		last := int64(0)
		for epoch := range epochs { // sent while holding it, hence in order
			if epoch <= last {
				e.t.Errorf("epoch %d after %d", epoch, last)
			}
			last = epoch
		}
		if holders.Load() != writers {
			e.t.Errorf("%d had it, want %d", holders.Load(), writers)
		}
	})
	s.run(t, "100 grants at once", func(e *env) {
		var wg sync.WaitGroup
		numbers := make([]int64, writers)
		for i := range writers {
			wg.Go(func() {
				g := later(0, fmt.Sprint(i))
				a, moved, err := e.handle(i).SaveGrant(e.ctx, g)
				if err != nil || !moved {
					e.t.Errorf("moved %v, %v", moved, err)
				}
				if !a.Tokens.RefreshToken.Equal(g.Tokens.RefreshToken) {
					e.t.Error("the authorizer returned is not the one granted")
				}
				numbers[i] = a.Grant
			})
		}
		wg.Wait()
		seen := make(map[int64]bool)
		for _, n := range numbers {
			if n < 1 || n > writers || seen[n] {
				e.t.Errorf("grant number %d", n)
			}
			seen[n] = true
		}
		if n := len(e.history(id1)); n != writers {
			e.t.Errorf("%d refresh tokens in the history, want %d", n, writers)
		}
	})
	s.run(t, "a read after a write sees it", func(e *env) {
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				c := fullComponent()
				c.AppID = tuoguan.ComponentAppID(fmt.Sprintf("wx%d", i))
				for n := range 10 {
					c.Secret = secret("secret %d", n)
					if err := e.handle(n).PutComponent(e.ctx, c); err != nil {
						e.t.Error(err)
					}
					got, err := e.handle(n/2).Component(e.ctx, c.AppID)
					if err != nil || !got.Secret.Equal(c.Secret) {
						e.t.Errorf("write %d: read another value, %v", n, err)
					}
				}
			})
		}
		wg.Wait()
	})
}

// claim takes the lease "k" as soon as it is free.
func (e *env) claim(s store.Store, holder string) (store.Lease, error) {
	for {
		l, err := s.AcquireLease(e.ctx, "k", holder, time.Minute)
		if !errors.Is(err, store.ErrLeaseHeld) {
			return l, err
		}
		if err := context.Cause(e.ctx); err != nil {
			return l, err
		}
	}
}

func testCollect(t *testing.T, s *suite) {
	s.run(t, "nothing without a limit", func(e *env) {
		p := e.accept(store.Intake{Push: push(1)})
		e.put(fullExchange())
		e.ok(e.CreateLink(e.ctx, fullLink()))
		must[bool](e)(e.AppendRefreshToken(e.ctx, store.RefreshToken{Authorization: id1, Value: secret("x"), ReceivedAt: at(0)}))
		e.ok(e.Collect(e.ctx, store.Retention{}))
		must[store.Push](e)(e.Push(e.ctx, p.ID))
		e.exchange("codehash")
		must[store.Link](e)(e.Link(e.ctx, "link1"))
		e.equal(e.history(id1), []string{"x"})
	})
	s.run(t, "pushes received before", func(e *env) {
		var want []store.Push
		for n := range 500 { // more than is removed in one go
			p := e.accept(store.Intake{Push: push(n)})
			if n >= 450 {
				want = append(want, p)
			}
		}
		e.ok(e.Collect(e.ctx, store.Retention{Pushes: at(450 * time.Second)}))
		e.equal(must[[]store.Push](e)(e.Pushes(e.ctx, 0, 1000)), want)
		// What is gone is not known any more.
		e.accept(store.Intake{Push: push(0)})
	})
	s.run(t, "exchanges finished before, with their leases", func(e *env) {
		for name, finished := range map[string]time.Time{"old": at(0), "new": at(time.Hour), "pending": {}} {
			x := byRedirect()
			x.CodeHash = name
			e.put(x)
			if !finished.IsZero() {
				x.State, x.FinishedAt = store.ExchangeFailed, finished
				e.ok(e.UpdateExchange(e.ctx, x))
			}
			e.acquire(store.ExchangeLease(wxc, name), "me", time.Minute)
		}
		e.acquire(string(wxc), "me", time.Minute)
		e.acquire(id1.String(), "me", time.Minute)
		e.acquire(store.ExchangeLease(wxc, "gone but held"), "me", time.Hour)
		e.clock.Advance(2 * time.Minute)
		e.ok(e.Collect(e.ctx, store.Retention{Exchanges: at(time.Hour)}))
		_, err := e.Exchange(e.ctx, wxc, "old")
		e.is(err, store.ErrNotFound)
		e.exchange("new")
		e.exchange("pending")
		for key, epoch := range map[string]int64{
			store.ExchangeLease(wxc, "old"):           1, // begins anew
			store.ExchangeLease(wxc, "new"):           2,
			store.ExchangeLease(wxc, "pending"):       2,
			store.ExchangeLease(wxc, "gone but held"): 2,
			string(wxc):  2,
			id1.String(): 2,
		} {
			if l := e.acquire(key, "me", time.Minute); l.Epoch != epoch {
				e.t.Errorf("lease on %s has epoch %d, want %d", key, l.Epoch, epoch)
			}
		}
	})
	s.run(t, "links expired before, with their visits", func(e *env) {
		for name, expires := range map[string]time.Time{"old": at(0), "new": at(time.Hour), "never": {}} {
			l, v := fullLink(), fullVisit()
			l.ID, l.ExpiresAt = name, expires
			v.NonceHash, v.Link = name, name
			e.ok(e.CreateLink(e.ctx, l))
			e.ok(e.CreateVisit(e.ctx, v))
		}
		e.ok(e.Collect(e.ctx, store.Retention{Links: at(time.Hour)}))
		for name, want := range map[string]error{"old": store.ErrNotFound, "new": nil, "never": nil} {
			_, err := e.Link(e.ctx, name)
			e.is(err, want)
			_, err = e.VisitByNonce(e.ctx, name)
			e.is(err, want)
		}
	})
	s.run(t, "refresh tokens of earlier grants received before", func(e *env) {
		e.grant(fullGrant())
		must[bool](e)(e.SaveTokens(e.ctx, fullTokenWrite()))
		second := later(time.Hour, "G2")
		e.grant(second)
		w := fullTokenWrite()
		w.Grant, w.Tokens.RefreshToken = 2, secret("refresh G2 b")
		must[bool](e)(e.SaveTokens(e.ctx, w))
		stray := store.RefreshToken{Authorization: id2, Value: secret("stray"), ReceivedAt: at(0)}
		must[bool](e)(e.AppendRefreshToken(e.ctx, stray))

		e.ok(e.Collect(e.ctx, store.Retention{RefreshTokens: at(2 * time.Hour)}))
		e.equal(e.history(id1), []string{"refresh G2 b", "refresh G2", "refresh 2"})
		e.ok(e.Collect(e.ctx, store.Retention{RefreshTokens: at(24 * time.Hour)}))
		e.equal(e.history(id1), []string{"refresh G2 b", "refresh G2"})
		e.equal(e.history(id2), []string{"stray"}) // nobody's grant, perhaps somebody's only copy
		e.equal(e.authorizer(id1).Tokens.RefreshToken, secret("refresh G2 b"))
	})
}
