package storetest

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

func testSettings(t *testing.T, s *suite) {
	s.run(t, "a value comes back with its version", func(e *env) {
		for i, value := range [][]byte{{}, []byte("one"), {0, 255, 0}} {
			name := "setting " + strconv.Itoa(i)
			e.ok(e.PutSetting(e.ctx, name, value, 0))
			got, version, err := e.other.Setting(e.ctx, name)
			e.ok(err)
			e.equal(append([]byte{}, got...), value)
			if version < 1 {
				e.t.Errorf("version %d of what is there", version)
			}
		}
	})
	s.run(t, "only the version that was read is replaced", func(e *env) {
		e.is(e.PutSetting(e.ctx, "a", []byte("x"), 1), store.ErrConflict) // there is none
		e.ok(e.PutSetting(e.ctx, "a", []byte("one"), 0))
		e.is(e.PutSetting(e.ctx, "a", []byte("x"), 0), store.ErrConflict)
		_, first, err := e.Setting(e.ctx, "a")
		e.ok(err)
		e.ok(e.PutSetting(e.ctx, "a", []byte("two"), first))
		e.is(e.PutSetting(e.ctx, "a", []byte("x"), first), store.ErrConflict)
		e.is(e.PutSetting(e.ctx, "b", []byte("x"), first), store.ErrConflict)
		value, second, err := e.Setting(e.ctx, "a")
		e.ok(err)
		if string(value) != "two" || second == first {
			e.t.Errorf("%q of version %d after %d", value, second, first)
		}
		e.ok(e.PutSetting(e.ctx, "b", []byte("other"), 0))
	})
	s.run(t, "is not shared with the caller", func(e *env) {
		value := []byte("abc")
		e.ok(e.PutSetting(e.ctx, "a", value, 0))
		value[0] = 'X'
		got, _, err := e.Setting(e.ctx, "a")
		e.ok(err)
		got[1] = 'X'
		got, _, err = e.Setting(e.ctx, "a")
		e.ok(err)
		e.equal(string(got), "abc")
	})
	s.run(t, "64 who count one up", func(e *env) {
		const counters = 64
		var wg sync.WaitGroup
		for i := range counters {
			wg.Go(func() {
				for {
					value, version, err := e.handle(i).Setting(e.ctx, "counter")
					if err != nil && !errors.Is(err, store.ErrNotFound) {
						e.t.Error(err)
						return
					}
					n, _ := strconv.Atoi(string(value))
					err = e.handle(i).PutSetting(e.ctx, "counter", []byte(strconv.Itoa(n+1)), version)
					if !errors.Is(err, store.ErrConflict) {
						if err != nil {
							e.t.Error(err)
						}
						return
					}
				}
			})
		}
		wg.Wait()
		value, _, err := e.Setting(e.ctx, "counter")
		e.ok(err)
		e.equal(string(value), strconv.Itoa(counters))
	})
}

// changes returns what the other handle tells, in a certain order.
func (e *env) changes(since time.Time) store.Changes {
	e.t.Helper()
	c := must[store.Changes](e)(e.other.Changes(e.ctx, since))
	byOwner := func(a, b store.Change) int { return cmp.Compare(a.Owner.String(), b.Owner.String()) }
	slices.SortFunc(c.Authorizers, byOwner)
	slices.SortFunc(c.ComponentTokens, byOwner)
	slices.Sort(c.Components)
	return c
}

func testChanges(t *testing.T, s *suite) {
	owner := func(id tuoguan.Authorization) tuoguan.TokenOwner {
		return tuoguan.AuthorizerToken(id.Component, id.Authorizer)
	}
	// settle lets so much time pass that nothing earlier is told any more.
	settle := func(e *env) time.Time {
		e.clock.Advance(time.Minute)
		return e.changes(time.Time{}).Now
	}
	s.run(t, "the present alone", func(e *env) {
		e.grant(fullGrant())
		e.ok(e.PutComponent(e.ctx, fullComponent()))
		before := e.clock.Now()
		c := e.changes(time.Time{})
		if now := c.Now; now.Before(before.Add(-time.Millisecond)) || now.After(e.clock.Now()) || now.Location() != time.UTC {
			e.t.Errorf("now is %v", now)
		}
		e.equal(c, store.Changes{Now: c.Now})
		e.clock.Advance(time.Hour)
		if moved := e.changes(time.Time{}).Now.Sub(c.Now); moved < time.Hour {
			e.t.Errorf("the clock was moved an hour, but went on by %v", moved)
		}
	})
	for _, tt := range []struct {
		name   string
		change func(*env)
		want   store.Change
	}{
		{"a grant", func(e *env) { e.grant(later(time.Hour, "2")) }, store.Change{State: tuoguan.StateActive, Grant: 2}},
		{"a refresh", func(e *env) { must[bool](e)(e.SaveTokens(e.ctx, fullTokenWrite())) },
			store.Change{State: tuoguan.StateActive, Grant: 1, Epoch: 5}},
		{"a revocation", func(e *env) { must[bool](e)(e.Revoke(e.ctx, id1, at(time.Hour))) },
			store.Change{State: tuoguan.StateRevoked, Grant: 1}},
		{"a revocation by a push", func(e *env) { e.accept(store.Intake{Push: push(1), Revoke: at(time.Hour)}) },
			store.Change{State: tuoguan.StateRevoked, Grant: 1}},
		{"a trouble", func(e *env) { e.trouble(fullTrouble()) }, store.Change{State: fullTrouble().State, Grant: 1}},
	} {
		s.run(t, tt.name, func(e *env) {
			e.grant(fullGrant())
			other := fullGrant()
			other.Authorization = id2
			e.grant(other)
			now := settle(e)
			e.equal(e.changes(now).Authorizers, []store.Change(nil))
			tt.change(e)
			tt.want.Owner = owner(id1)
			e.equal(e.changes(now).Authorizers, []store.Change{tt.want})
			e.equal(e.changes(settle(e)).Authorizers, []store.Change(nil))
			all := e.changes(now.Add(-10 * time.Minute)).Authorizers
			if len(all) != 2 {
				e.t.Errorf("%d changes since long ago, want 2", len(all))
			}
		})
	}
	s.run(t, "what follows at once", func(e *env) {
		now := e.changes(time.Time{}).Now
		e.grant(fullGrant())
		if n := len(e.changes(now).Authorizers); n != 1 {
			e.t.Errorf("%d changes", n)
		}
	})
	s.run(t, "credentials", func(e *env) {
		now := settle(e)
		e.ok(e.PutComponent(e.ctx, fullComponent()))
		e.equal(e.changes(now).Components, []tuoguan.ComponentAppID{wxc})
		now = settle(e)
		e.equal(e.changes(now).Components, []tuoguan.ComponentAppID(nil))
		e.ok(e.PutComponent(e.ctx, fullComponent()))
		e.equal(e.changes(now).Components, []tuoguan.ComponentAppID{wxc})
	})
	s.run(t, "component tokens", func(e *env) {
		other := fullComponentToken()
		other.Component, other.Epoch = "wxother", 9
		must[bool](e)(e.SaveComponentToken(e.ctx, fullComponentToken()))
		must[bool](e)(e.SaveComponentToken(e.ctx, other))
		e.equal(e.changes(settle(e)).ComponentTokens, []store.Change{
			{Owner: tuoguan.ComponentToken(wxc), Epoch: 3}, {Owner: tuoguan.ComponentToken("wxother"), Epoch: 9},
		})
	})
	s.run(t, "exchanges on their way", func(e *env) {
		late := byPush()
		late.CodeHash, late.CreatedAt = "late", at(time.Hour)
		e.put(late)
		e.put(byPush())
		redirect := byRedirect()
		redirect.CodeHash = "of nobody known"
		e.put(redirect)
		failed := byPush()
		failed.CodeHash, failed.State = "failed", store.ExchangeFailed
		e.put(failed)
		first := byPush()
		first.Code, late.Code = tuoguan.Secret{}, tuoguan.Secret{}
		e.equal(e.changes(settle(e)).Exchanges, []store.Exchange{first, late})
		e.grant(fullGrant())
		e.equal(e.changes(settle(e)).Exchanges, []store.Exchange{late})
	})
}
