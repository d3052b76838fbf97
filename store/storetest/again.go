package storetest

import (
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// testSavedAgain has a refresh saved twice, and release the lease it was made under.
func testSavedAgain(t *testing.T, s *suite) {
	for _, tt := range []struct {
		name  string
		then  func(*env)
		again func(*store.TokenWrite)
		moved bool
	}{
		{name: "it tells the same", moved: true},
		{name: "by another", again: func(w *store.TokenWrite) { w.ObtainedAt = w.ObtainedAt.Add(time.Millisecond) }},
		{name: "after a revocation", then: func(e *env) { must[bool](e)(e.Revoke(e.ctx, id1, at(3*time.Hour))) }},
		{name: "after another grant", then: func(e *env) { e.grant(later(3*time.Hour, "new")) }},
		{name: "after the next refresh", then: func(e *env) {
			w := fullTokenWrite()
			w.Epoch, w.Tokens.RefreshToken = 6, secret("refresh 3")
			must[bool](e)(e.SaveTokens(e.ctx, w))
		}},
	} {
		s.run(t, tt.name, func(e *env) {
			e.grant(fullGrant())
			w := fullTokenWrite()
			must[bool](e)(e.SaveTokens(e.ctx, w))
			if tt.then != nil {
				tt.then(e)
			}
			if tt.again != nil {
				tt.again(&w)
			}
			before, history := e.authorizer(id1), e.history(id1)
			if moved := must[bool](e)(e.SaveTokens(e.ctx, w)); moved != tt.moved {
				e.t.Errorf("moved is %v", moved)
			}
			e.equal(e.authorizer(id1), before)
			e.equal(e.history(id1), history)
		})
	}
	for _, tt := range []struct {
		name    string
		prepare func(*env)
		moved   bool
	}{
		{"the lease ends", func(*env) {}, true},
		{"the lease ends though nothing moved", func(e *env) { e.grant(later(time.Hour, "2")) }, false},
	} {
		s.run(t, tt.name, func(e *env) {
			e.grant(fullGrant())
			tt.prepare(e)
			w := fullTokenWrite()
			w.Release = e.acquire(tokenKey(id1), "me", time.Minute)
			if moved := must[bool](e)(e.SaveTokens(e.ctx, w)); moved != tt.moved {
				e.t.Errorf("moved is %v", moved)
			}
			if next := e.acquire(tokenKey(id1), "you", time.Minute); next.Epoch <= w.Release.Epoch {
				e.t.Errorf("epoch %d after %d", next.Epoch, w.Release.Epoch)
			}
		})
	}
	s.run(t, "a lease that is somebody else's by now stays", func(e *env) {
		e.grant(fullGrant())
		w := fullTokenWrite()
		w.Release = e.acquire(tokenKey(id1), "me", time.Minute)
		e.clock.Advance(time.Minute)
		e.acquire(tokenKey(id1), "you", time.Minute)
		must[bool](e)(e.SaveTokens(e.ctx, w))
		_, err := e.AcquireLease(e.ctx, tokenKey(id1), "me", time.Minute)
		e.is(err, store.ErrLeaseHeld)
	})
}

// testTakenBack has accounts take an authorization back before its code has become
// a grant.
func testTakenBack(t *testing.T, s *suite) {
	revoke := map[string]func(*env, time.Time){
		"by a push": func(e *env, at time.Time) {
			p := push(1)
			p.Key = "key " + at.String()
			e.accept(store.Intake{Push: p, Revoke: at})
		},
		"by Revoke": func(e *env, at time.Time) {
			_, err := e.Authorizer(e.ctx, id1)
			changed, err2 := e.Revoke(e.ctx, id1, at)
			if (err == nil) != (err2 == nil) || changed && err != nil {
				e.t.Errorf("known: %v, changed %v, %v", err == nil, changed, err2)
			}
			if err2 != nil {
				e.is(err2, store.ErrNotFound)
			}
		},
	}
	for name, revoke := range revoke {
		s.run(t, name, func(e *env) {
			hash := func(name string) string { return "hash " + name }
			put := func(name string, change func(*store.Exchange)) {
				x := byPush()
				x.CodeHash = hash(name)
				change(&x)
				e.put(x)
			}
			began := byPush().AuthorizedAt
			put("before", func(*store.Exchange) {})
			put("at once", func(x *store.Exchange) { x.AuthorizedAt = began.Add(time.Minute) })
			put("unknown", func(x *store.Exchange) { x.AuthorizedAt = time.Time{} })
			put("after", func(x *store.Exchange) { x.AuthorizedAt = began.Add(time.Minute + time.Second) })
			put("failed", func(x *store.Exchange) { x.State = store.ExchangeFailed })
			put("other account", func(x *store.Exchange) { x.Authorizer = id2.Authorizer })
			put("no account", func(x *store.Exchange) { x.Authorizer = "" })
			check := func(at time.Time) {
				e.t.Helper()
				for name, marked := range map[string]bool{
					"before": true, "at once": true, "unknown": true,
					"after": false, "failed": false, "other account": false, "no account": false,
				} {
					want := time.Time{}
					if marked {
						want = at
					}
					if got := e.exchange(hash(name)).RevokedAt; got != want {
						e.t.Errorf("%s: taken back at %v, want %v", name, got, want)
					}
				}
			}
			revoke(e, began.Add(time.Minute))
			check(began.Add(time.Minute))
			revoke(e, began.Add(time.Minute+time.Millisecond)) // the latest counts
			check(began.Add(time.Minute + time.Millisecond))
			revoke(e, began.Add(time.Second))
			check(began.Add(time.Minute + time.Millisecond))
		})
	}
	for name, revoke := range revoke {
		for _, order := range []string{"grant, then revocation", "revocation, then grant"} {
			s.run(t, name+": "+order, func(e *env) {
				e.put(byPush())
				g := fullGrant()
				g.AuthorizedAt = time.Time{} // known from the exchange
				steps := []func(){
					func() {
						a, moved := e.grant(g)
						if !moved {
							e.t.Error("moved is false")
						}
						e.equal(e.authorizer(id1), a)
					},
					func() { revoke(e, at(time.Minute)) },
				}
				if order != "grant, then revocation" {
					steps[0], steps[1] = steps[1], steps[0]
				}
				for _, step := range steps {
					step()
				}
				want := granted()
				want.AuthorizedAt = byPush().AuthorizedAt
				want.State, want.RevokedAt, want.RefreshAt = tuoguan.StateRevoked, at(time.Minute), time.Time{}
				e.equal(e.stamped(e.authorizer(id1)), want)
				e.equal(e.claimDue("me", at(24*time.Hour), 9), []store.Due(nil))
				if moved := must[bool](e)(e.SaveTokens(e.ctx, fullTokenWrite())); moved {
					e.t.Error("a refresh brought it back")
				}
				again := later(time.Hour, "again")
				e.grant(again)
				e.equal(e.authorizer(id1).State, tuoguan.StateActive)
				e.equal(e.authorizer(id1).RevokedAt, time.Time{})
				e.equal(e.authorizer(id1).RefreshAt, again.RefreshAt)
			})
		}
	}
	s.run(t, "a grant of another exchange is not touched", func(e *env) {
		x := byPush()
		x.CodeHash = "another"
		e.put(x)
		e.put(byPush())
		e.accept(store.Intake{Push: push(1), Revoke: at(time.Minute)})
		e.grant(later(time.Hour, "no exchange of it"))
		e.equal(e.authorizer(id1).State, tuoguan.StateActive)
	})
	s.run(t, "an account known before", func(e *env) {
		e.grant(fullGrant())
		x := byPush()
		x.CodeHash, x.AuthorizedAt = "codehash 2", at(time.Hour)
		e.put(x)
		must[bool](e)(e.Revoke(e.ctx, id1, at(2*time.Hour)))
		g := later(time.Hour, "2") // began at one hour, taken back at two
		if a, moved := e.grant(g); moved || a.State != tuoguan.StateRevoked || a.RevokedAt != at(2*time.Hour) {
			e.t.Errorf("moved %v, state %s, revoked at %v", moved, a.State, a.RevokedAt)
		}
		g.AuthorizedAt = time.Time{} // unknown to the caller, known to the exchange
		g.CodeHash = "codehash 3"
		x.CodeHash, x.AuthorizedAt = "codehash 3", time.Time{}
		e.put(x)
		must[bool](e)(e.Revoke(e.ctx, id1, at(3*time.Hour)))
		a, moved := e.grant(g)
		if !moved || a.State != tuoguan.StateRevoked || a.RevokedAt.Before(at(3*time.Hour)) || !a.RefreshAt.IsZero() {
			e.t.Errorf("moved %v, state %s, revoked at %v, due at %v", moved, a.State, a.RevokedAt, a.RefreshAt)
		}
	})
}

// testUsedSince has a grant come when its refresh token has been used already: as
// when WeChat's list told it before the exchange of the code was stored.
func testUsedSince(t *testing.T, s *suite) {
	for _, tt := range []struct {
		name    string
		then    func(*env)
		g       store.Grant
		moved   bool
		renewed bool // AuthorizedAt is that of the grant
	}{
		{name: "the one before the one in force", g: grantOf("refresh 1", 3*time.Hour), renewed: true},
		{name: "the one in force, obtained before", g: grantOf("refresh 2", time.Hour), renewed: true},
		{name: "the one in force, obtained since", g: grantOf("refresh 2", 3*time.Hour), moved: true, renewed: true},
		{name: "a new one", g: grantOf("refresh 3", 3*time.Hour), moved: true, renewed: true},
		{name: "a candidate found since", g: grantOf("refresh 3", 3*time.Hour), moved: true, renewed: true, then: func(e *env) {
			must[bool](e)(e.AppendRefreshToken(e.ctx, store.RefreshToken{
				Authorization: id1, Grant: 1, Value: secret("refresh 3"), Source: store.FromList, ReceivedAt: at(150 * time.Minute),
			}))
		}},
		{name: "of one that was revoked", g: grantOf("refresh 1", 3*time.Hour), moved: true, renewed: true, then: func(e *env) {
			must[bool](e)(e.Revoke(e.ctx, id1, at(2*time.Minute)))
		}},
	} {
		s.run(t, tt.name, func(e *env) {
			e.grant(fullGrant())
			must[bool](e)(e.SaveTokens(e.ctx, fullTokenWrite()))
			if tt.then != nil {
				tt.then(e)
			}
			before := e.authorizer(id1)
			after, moved := e.grant(tt.g)
			if moved != tt.moved {
				e.t.Errorf("moved is %v", moved)
			}
			if !moved && (after.Grant != before.Grant || !after.Tokens.RefreshToken.Equal(before.Tokens.RefreshToken) || after.Epoch != before.Epoch) {
				e.t.Errorf("the token set moved: %+v", after)
			}
			if got := after.AuthorizedAt.Equal(tt.g.AuthorizedAt); got != tt.renewed {
				e.t.Errorf("AuthorizedAt is %v", after.AuthorizedAt)
			}
		})
	}
}

// grantOf is a grant given five minutes later, by a code of its own.
func grantOf(refreshToken string, obtained time.Duration) store.Grant {
	g := later(5*time.Minute, "5")
	g.Tokens.RefreshToken, g.ObtainedAt = secret("%s", refreshToken), at(obtained)
	return g
}
