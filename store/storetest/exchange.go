package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// put puts an exchange and says whether it was new.
func (e *env) put(x store.Exchange) (store.Exchange, bool) {
	e.t.Helper()
	stored, isNew, err := e.PutExchange(e.ctx, x)
	e.ok(err)
	return stored, isNew
}

func (e *env) exchange(hash string) store.Exchange {
	e.t.Helper()
	return must[store.Exchange](e)(e.Exchange(e.ctx, wxc, hash))
}

// byRedirect is what the redirect knows about the code of fullExchange.
func byRedirect() store.Exchange {
	return store.Exchange{
		Component: wxc, CodeHash: "codehash", Code: secret("queryauthcode@@@1"), Visit: "noncehash", ExpiresAt: at(time.Hour),
		State: store.ExchangePending, DueAt: at(2 * time.Second), CreatedAt: at(2 * time.Second),
	}
}

// byPush is what the push knows about it.
func byPush() store.Exchange {
	return store.Exchange{
		Component: wxc, CodeHash: "codehash", Code: secret("queryauthcode@@@1"), Authorizer: id1.Authorizer,
		PreAuthHash: "preauthhash", AuthorizedAt: at(1 * time.Second), ExpiresAt: at(2 * time.Hour),
		State: store.ExchangePending, DueAt: at(4 * time.Second), CreatedAt: at(4 * time.Second),
	}
}

func testExchanges(t *testing.T, s *suite) {
	s.run(t, "every field comes back", func(e *env) {
		stored, isNew := e.put(fullExchange())
		if !isNew {
			e.t.Error("isNew is false")
		}
		e.equal(stored, fullExchange())
		e.equal(e.exchange("codehash"), fullExchange())
	})
	s.run(t, "components have their own", func(e *env) {
		other := fullExchange()
		other.Component = "wxother"
		e.put(fullExchange())
		if _, isNew := e.put(other); !isNew {
			e.t.Error("the same hash of another component was taken for a duplicate")
		}
	})
	for _, tt := range []struct {
		name          string
		first, second store.Exchange
		want          func(*store.Exchange)
	}{
		{"redirect, then push", byRedirect(), byPush(), func(x *store.Exchange) {
			x.Authorizer, x.PreAuthHash, x.AuthorizedAt = id1.Authorizer, "preauthhash", at(1*time.Second)
		}},
		{"push, then redirect", byPush(), byRedirect(), func(x *store.Exchange) { x.Visit = "noncehash" }},
		{"twice the same", byPush(), byPush(), func(*store.Exchange) {}},
	} {
		s.run(t, tt.name, func(e *env) {
			e.put(tt.first)
			got, isNew := e.put(tt.second)
			want := tt.first
			tt.want(&want)
			if isNew {
				e.t.Error("isNew is true")
			}
			e.equal(got, want)
			e.equal(e.exchange("codehash"), want)
		})
	}
	s.run(t, "a failed one stays failed", func(e *env) {
		x := byRedirect()
		e.put(x)
		x.State, x.FinishedAt, x.Problem = store.ExchangeFailed, at(time.Minute), "unknown code"
		e.ok(e.UpdateExchange(e.ctx, x))
		got, _ := e.put(byPush())
		want := x
		want.Code = tuoguan.Secret{}
		want.Authorizer, want.PreAuthHash, want.AuthorizedAt = id1.Authorizer, "preauthhash", at(1*time.Second)
		e.equal(got, want)
	})
	s.run(t, "the push that comes late dates the grant", func(e *env) {
		e.put(byRedirect())
		g := fullGrant()
		g.AuthorizedAt = time.Time{}
		e.grant(g)
		x, isNew := e.put(byPush())
		if isNew || x.State != store.ExchangeDone || !x.Code.IsZero() {
			e.t.Errorf("new: %v, got %+v", isNew, x)
		}
		e.equal(e.authorizer(id1).AuthorizedAt, byPush().AuthorizedAt)
		again := byPush()
		again.AuthorizedAt = at(time.Hour) // what is known is not replaced
		e.put(again)
		e.equal(e.authorizer(id1).AuthorizedAt, byPush().AuthorizedAt)
	})
	s.run(t, "the push that comes late leaves a newer grant alone", func(e *env) {
		e.put(byRedirect())
		g := fullGrant()
		g.AuthorizedAt = time.Time{}
		e.grant(g)
		newer := later(time.Hour, "2")
		e.grant(newer)
		e.put(byPush())
		e.equal(e.authorizer(id1).AuthorizedAt, newer.AuthorizedAt)
	})
	s.run(t, "an attempt is recorded", func(e *env) {
		e.put(byRedirect())
		u := fullExchange()
		u.DueAt, u.FinishedAt = at(time.Hour), time.Time{}
		u.Code, u.PreAuthHash, u.Visit = secret("ignored"), "ignored", "ignored"
		u.CreatedAt, u.AuthorizedAt, u.ExpiresAt = at(9*time.Hour), at(9*time.Hour), at(9*time.Hour)
		e.ok(e.UpdateExchange(e.ctx, u))
		want := byRedirect()
		want.State, want.Attempts, want.DueAt, want.Problem, want.Grant = u.State, u.Attempts, u.DueAt, u.Problem, u.Grant
		want.Authorizer = id1.Authorizer
		e.equal(e.exchange("codehash"), want)
		u.Authorizer = ""
		e.ok(e.UpdateExchange(e.ctx, u))
		e.equal(e.exchange("codehash"), want)
	})
	for _, state := range []store.ExchangeState{store.ExchangeDone, store.ExchangeFailed} {
		s.run(t, "the code is forgotten once "+string(state), func(e *env) {
			e.put(byRedirect())
			u := byRedirect()
			u.State, u.Grant, u.FinishedAt = state, 4, at(time.Minute)
			e.ok(e.UpdateExchange(e.ctx, u))
			want := u
			want.Code = tuoguan.Secret{}
			e.equal(e.exchange("codehash"), want)
		})
	}
	s.run(t, "what is done stays done", func(e *env) {
		e.put(byRedirect())
		e.grant(fullGrant())
		done := e.exchange("codehash")
		u := byRedirect()
		u.State, u.Attempts, u.Problem = store.ExchangeFailed, 9, "late answer"
		e.ok(e.UpdateExchange(e.ctx, u))
		e.equal(e.exchange("codehash"), done)
		e.grant(later(time.Hour, "2")) // names another exchange
		e.equal(e.exchange("codehash"), done)
	})
	s.run(t, "due ones, the longest overdue first", func(e *env) {
		hash := func(n int) string { return fmt.Sprintf("hash%d", n) }
		for _, n := range []int{2, 0, 3, 1} {
			x := byRedirect()
			x.CodeHash, x.DueAt, x.Code = hash(n), at(time.Duration(n)*time.Minute), secret("code %d", n)
			e.put(x)
		}
		finished := e.exchange(hash(1))
		finished.State, finished.FinishedAt = store.ExchangeFailed, at(0)
		e.ok(e.UpdateExchange(e.ctx, finished))
		due := func(at time.Time, limit int) []store.Exchange {
			return must[[]store.Exchange](e)(e.DueExchanges(e.ctx, at, limit))
		}
		e.equal(due(at(2*time.Minute), 10), []store.Exchange{e.exchange(hash(0)), e.exchange(hash(2))})
		e.equal(due(at(time.Hour), 2), []store.Exchange{e.exchange(hash(0)), e.exchange(hash(2))})
		if n := len(due(at(time.Hour), 0)); n != 3 {
			e.t.Errorf("%d are due, want 3", n)
		}
		e.equal(due(at(0), 10)[0].Code, secret("code 0"))
	})
}
