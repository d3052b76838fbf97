package keeper_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// adopt makes so many authorizers, without access tokens, so that all are due.
func (w *world) adopt(n int) {
	w.t.Helper()
	seeded, err := w.sim.Seed(w.component.AppID, n)
	if err != nil {
		w.t.Fatal(err)
	}
	for range seeded { // makes them
	}
	if r, err := w.keeper.Reconcile(w.t.Context(), w.id); err != nil || r.Adopted != n {
		w.t.Fatalf("adopted %d of %d: %v", r.Adopted, n, err)
	}
}

// TestRefreshesAreSpread gets tokens for many at about the same time. They are not
// all due again at the same time.
func TestRefreshesAreSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const authorizers = 1000
		w := newWorld(t, nil, true)
		w.adopt(authorizers)
		time.Sleep(time.Minute)
		all, err := w.store.Authorizers(t.Context(), store.AuthorizerQuery{Limit: authorizers})
		if err != nil {
			t.Fatal(err)
		}
		minutes := make(map[int]int)
		for _, a := range all {
			life := a.Tokens.ExpiresAt.Sub(a.ObtainedAt)
			after := a.RefreshAt.Sub(a.ObtainedAt)
			if after < life/2 || after > 9*life/10+time.Second {
				t.Errorf("%s is due %v after it got a token that lives %v", a.Authorizer, after, life)
			}
			minutes[int(after/time.Minute)]++
		}
		for minute, n := range minutes {
			if n > authorizers/15 {
				t.Errorf("%d of %d are due in minute %d", n, len(all), minute)
			}
		}
		if len(all) != authorizers || len(minutes) < 40 {
			t.Errorf("%d authorizers are due in %d different minutes", len(all), len(minutes))
		}
	})
}

// TestReplicasShareTheRate lets two keepers on one store work off what is due. Both
// together start no more refreshes than one may alone, and no fewer.
func TestReplicasShareTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rate, lasts = 20, 60
		w := newWorld(t, nil, false)
		w.adopt(4 * rate * lasts)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for _, holder := range []string{"one", "two"} {
			k, err := keeper.New(keeper.Config{
				Store: w.store, Shared: true, Holder: holder, RefreshRate: rate, Clock: new(tuoguan.Clock),
				API: wxapi.Config{HTTPClient: &http.Client{Transport: w.sim.RoundTripper()}},
			})
			if err != nil {
				t.Fatal(err)
			}
			running.Go(func() {
				if err := k.Run(ctx); err != nil {
					t.Error(err)
				}
				if err := k.Close(context.WithoutCancel(ctx)); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(20 * time.Second) // until they know of each other
		before := w.calls("api_authorizer_token")
		time.Sleep(lasts * time.Second)
		got := w.calls("api_authorizer_token") - before
		cancel()
		running.Wait()
		if got > rate*lasts*11/10 || got < rate*lasts*8/10 {
			t.Errorf("%d refreshes in %d s, want about %d", got, lasts, rate*lasts)
		}
	})
}
