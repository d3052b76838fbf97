package keeper_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan/store"
)

// collecting tells what a keeper has removed.
type collecting struct {
	store.Store
	asked chan store.Retention
}

func (c *collecting) Collect(ctx context.Context, before store.Retention) error {
	c.asked <- before
	return c.Store.Collect(ctx, before)
}

// What the console keeps is removed in time: sessions a day after they have expired, and
// what happened to tokens a week after it did, or earlier if there is very much.
func TestSessionsAndTokenEventsAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		c := &collecting{Store: w.store.Store, asked: make(chan store.Retention)}
		w.store.Store = c
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		running.Go(func() {
			if err := w.keeper.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		asked := <-c.asked
		const day = 24 * time.Hour
		now := time.Now()
		if got := now.Sub(asked.Sessions); got != day {
			t.Errorf("expired sessions are kept for %v", got)
		}
		if got := now.Sub(asked.TokenEvents); got != 7*day || asked.TokenEventCount != 1_000_000 {
			t.Errorf("%d token events are kept for %v", asked.TokenEventCount, got)
		}
	})
}
