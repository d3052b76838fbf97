package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

func tokenKey(id tuoguan.Authorization) string {
	return store.TokenLease(tuoguan.AuthorizerToken(id.Component, id.Authorizer))
}

// claimDue claims for a minute.
func (e *env) claimDue(holder string, at time.Time, limit int) []store.Due {
	e.t.Helper()
	return must[[]store.Due](e)(e.ClaimDue(e.ctx, at, holder, time.Minute, limit))
}

func testDue(t *testing.T, s *suite) {
	id := func(n int) tuoguan.Authorization {
		return tuoguan.Authorization{Component: wxc, Authorizer: tuoguan.AuthorizerAppID(fmt.Sprintf("wxa%d", n))}
	}
	grant := func(e *env, n int, due time.Time) {
		g := fullGrant()
		g.Authorization, g.RefreshAt, g.Link, g.CodeHash = id(n), due, "", ""
		e.grant(g)
	}
	numbers := func(e *env, all []store.Due) (ns []int) {
		for _, d := range all {
			var n int
			_, err := fmt.Sscanf(string(d.Authorizer), "wxa%d", &n)
			e.ok(err)
			e.equal(d, store.Due{Authorization: id(n), RefreshAt: e.authorizer(id(n)).RefreshAt, Lease: d.Lease})
			ns = append(ns, n)
		}
		return ns
	}
	// due says what is due, without keeping it.
	due := func(e *env, at time.Time, limit int) []int {
		all := e.claimDue("me", at, limit)
		for _, d := range all {
			e.ok(e.ReleaseLease(e.ctx, d.Lease))
		}
		return numbers(e, all)
	}
	s.run(t, "the longest overdue come first", func(e *env) {
		for _, n := range []int{3, 0, 4, 1, 5, 2} {
			grant(e, n, at(time.Duration(n)*time.Minute))
		}
		e.equal(due(e, at(-time.Millisecond), 10), []int(nil))
		e.equal(due(e, at(0), 10), []int{0})
		e.equal(due(e, at(3*time.Minute), 10), []int{0, 1, 2, 3})
		e.equal(due(e, at(time.Hour), 2), []int{0, 1})
		e.equal(due(e, at(time.Hour), 10), []int{0, 1, 2, 3, 4, 5})
	})
	s.run(t, "moves with every write", func(e *env) {
		for n := range 3 {
			grant(e, n, at(time.Duration(n)*time.Minute))
		}
		w := fullTokenWrite()
		w.Authorization, w.RefreshAt = id(0), at(10*time.Minute)
		must[bool](e)(e.SaveTokens(e.ctx, w))
		e.equal(due(e, at(time.Hour), 10), []int{1, 2, 0})
		trouble := fullTrouble()
		trouble.Authorization, trouble.RefreshAt = id(1), at(5*time.Minute)
		e.trouble(trouble)
		e.equal(due(e, at(time.Hour), 10), []int{2, 1, 0})
	})
	s.run(t, "a zero instant is never", func(e *env) {
		grant(e, 0, at(0))
		grant(e, 1, time.Time{})
		e.equal(due(e, at(time.Hour), 10), []int{0})
		trouble := fullTrouble()
		trouble.Authorization, trouble.RefreshAt = id(0), time.Time{}
		e.trouble(trouble)
		e.equal(due(e, at(time.Hour), 10), []int(nil))
	})
	s.run(t, "what is claimed is leased", func(e *env) {
		grant(e, 0, at(0))
		before := e.clock.Now()
		l := e.claimDue("me", at(0), 10)[0].Lease
		e.full(l)
		if l.Key != tokenKey(id(0)) || l.Holder != "me" || l.Until.Before(before.Add(time.Minute-time.Millisecond)) ||
			l.Until.After(e.clock.Now().Add(time.Minute)) {
			e.t.Errorf("got %+v", l)
		}
		_, err := e.other.AcquireLease(e.ctx, l.Key, "you", time.Minute)
		e.is(err, store.ErrLeaseHeld)
		if own := e.acquire(l.Key, "me", time.Minute); own.Epoch <= l.Epoch {
			e.t.Errorf("epoch %d after %d", own.Epoch, l.Epoch)
		}
		e.is(e.ReleaseLease(e.ctx, l), store.ErrLeaseLost)
	})
	s.run(t, "what is held is passed over", func(e *env) {
		for n := range 5 {
			grant(e, n, at(time.Duration(n)*time.Minute))
		}
		e.acquire(tokenKey(id(1)), "you", time.Minute)
		e.acquire(tokenKey(id(3)), "me", time.Minute)
		first := e.claimDue("me", at(time.Hour), 2)
		e.equal(numbers(e, first), []int{0, 2})
		e.equal(numbers(e, e.claimDue("me", at(time.Hour), 2)), []int{4}) // not even one's own
		e.equal(numbers(e, e.claimDue("you", at(time.Hour), 9)), []int(nil))
		e.ok(e.ReleaseLease(e.ctx, first[1].Lease))
		again := e.claimDue("you", at(time.Hour), 9)
		e.equal(numbers(e, again), []int{2})
		if a, b := first[1].Lease.Epoch, again[0].Lease.Epoch; b <= a {
			e.t.Errorf("epoch %d after %d", b, a)
		}
		e.clock.Advance(2 * time.Minute)
		e.equal(numbers(e, e.claimDue("they", at(time.Hour), 9)), []int{0, 1, 2, 3, 4})
	})
	s.run(t, "claimed by several, each goes to one", func(e *env) {
		const accounts, claimers = 120, 16
		for n := range accounts {
			grant(e, n, at(time.Duration(n)*time.Second))
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		holders := make(map[tuoguan.Authorization]string)
		for i := range claimers {
			wg.Go(func() {
				holder := fmt.Sprint("holder ", i)
				for {
					claimed, err := e.handle(i).ClaimDue(e.ctx, at(time.Hour), holder, time.Minute, 7)
					if err != nil {
						e.t.Error(err)
						return
					}
					mu.Lock()
					for _, d := range claimed {
						if other := holders[d.Authorization]; other != "" || d.Lease.Holder != holder {
							e.t.Errorf("%s was claimed by %s and %s", d.Authorization, other, d.Lease.Holder)
						}
						holders[d.Authorization] = holder
					}
					left := accounts - len(holders)
					mu.Unlock()
					if left == 0 {
						return
					}
				}
			})
		}
		wg.Wait()
		e.equal(len(must[[]store.Lease](e)(e.Leases(e.ctx, string(wxc)+"/"))), accounts)
	})
	s.run(t, "revoked ones are never due", func(e *env) {
		grant(e, 0, at(0))
		must[bool](e)(e.Revoke(e.ctx, id(0), at(time.Hour)))
		e.equal(due(e, at(24*time.Hour), 10), []int(nil))
	})
	s.run(t, "profiles of the current grant are wanted", func(e *env) {
		for n := range 4 {
			grant(e, n, at(0))
		}
		p := fullProfile()
		e.ok(e.SaveProfile(e.ctx, id(0), p))
		e.ok(e.SaveProfile(e.ctx, id(1), p))
		again := later(time.Hour, "again")
		again.Authorization = id(1)
		e.grant(again)
		must[bool](e)(e.Revoke(e.ctx, id(2), at(time.Hour)))
		e.equal(must[[]tuoguan.Authorization](e)(e.ProfilesDue(e.ctx, 10)), []tuoguan.Authorization{id(1), id(3)})
		e.equal(must[[]tuoguan.Authorization](e)(e.ProfilesDue(e.ctx, 1)), []tuoguan.Authorization{id(1)})
		p.Grant = 2
		e.ok(e.SaveProfile(e.ctx, id(1), p))
		e.equal(must[[]tuoguan.Authorization](e)(e.ProfilesDue(e.ctx, 10)), []tuoguan.Authorization{id(3)})
	})
}
