package keeper_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// deaf is a store that may keep to itself what others change.
type deaf struct {
	store.Store
	on atomic.Bool
}

func (d *deaf) Changes(ctx context.Context, since time.Time) (store.Changes, error) {
	if d.on.Load() {
		return store.Changes{}, errors.New("connection lost")
	}
	return d.Store.Changes(ctx, since)
}

// TestReplicaThatHearsNothingAsks keeps a replica from hearing what others change, as
// after it was paused or cut off. What it has in memory it hands out for a second
// only; after that it asks the store.
func TestReplicaThatHearsNothingAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, true)
		ears := &deaf{Store: w.store}
		k, err := keeper.New(keeper.Config{
			Store: ears, Shared: true, Clock: new(tuoguan.Clock),
			API: wxapi.Config{HTTPClient: &http.Client{Transport: w.sim.RoundTripper()}},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := k.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		defer func() {
			cancel()
			running.Wait()
			if err := k.Close(context.WithoutCancel(ctx)); err != nil {
				t.Error(err)
			}
		}()
		appid := w.account()
		w.authorize(appid)
		want := w.good(w.owner(appid))
		time.Sleep(10 * time.Second)
		if got, err := k.Token(t.Context(), w.owner(appid)); err != nil || !got.Value.Equal(want.Value) {
			t.Fatalf("the replica has another token: %v", err)
		}

		ears.on.Store(true)
		time.Sleep(time.Second)
		if _, err := w.sim.Unauthorize(t.Context(), appid, w.component.AppID); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Token(t.Context(), w.owner(appid)); !errors.Is(err, keeper.ErrRevoked) {
			t.Errorf("it has not heard of the revocation, and does not ask: %v", err)
		}
	})
}
