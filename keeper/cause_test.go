package keeper_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/wxapi"
)

func TestCauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		var mu sync.Mutex
		var told []string
		k, err := keeper.New(keeper.Config{
			Store: w.store, API: wxapi.Config{HTTPClient: &http.Client{Transport: w.sim.RoundTripper()}},
			Observe: func(o keeper.Observation) {
				if o.Authorization.Authorizer == "" || o.Kind == "profile" {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				told = append(told, o.Kind+" "+o.Result+" "+o.Cause.Kind+" "+o.Cause.Actor)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close(t.Context())
		expect := func(name string, want ...string) {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			if diff := cmp.Diff(want, told); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			told = nil
		}
		appid := w.account()
		w.authorize(appid)
		owner := w.owner(appid)
		shop := tuoguan.WithActor(t.Context(), "shop")
		get := func(get func() (tuoguan.AccessToken, error)) tuoguan.AccessToken {
			t.Helper()
			token, err := get()
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		first := get(func() (tuoguan.AccessToken, error) { return k.Token(shop, owner) })
		mu.Lock()
		told = nil // how it came to be authorized depends on which keeper was first
		mu.Unlock()

		get(func() (tuoguan.AccessToken, error) { return k.Invalidate(shop, owner, first.Value) })
		expect("reported", "refresh ok reported shop")
		get(func() (tuoguan.AccessToken, error) { return k.Refresh(shop, owner) })
		expect("asked", "refresh ok asked shop")
		get(func() (tuoguan.AccessToken, error) { return k.Refresh(t.Context(), owner) })
		expect("asked by nobody known", "refresh ok asked ")

		time.Sleep(3 * time.Hour) // nobody refreshes ahead here
		w.ticket()
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() { _, _ = k.Token(shop, owner) })
		}
		callers.Wait()
		expect("read by several", "refresh ok read shop")
	})
}
