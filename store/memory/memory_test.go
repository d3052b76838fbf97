package memory_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
	"github.com/tuoguan/tuoguan/store/storetest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(_ *testing.T, clock *tuoguan.Clock) store.Store {
		return memory.New(memory.Config{Clock: clock})
	})
}

// TestThreeDays refreshes 10,000 authorizers through three days of simulated time,
// asking every ten seconds what is due.
func TestThreeDays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const authorizers, cycle, days = 10_000, 90 * time.Minute, 3
		s := memory.New(memory.Config{})
		ctx := t.Context()
		began := time.Now()
		for i := range authorizers {
			id := tuoguan.Authorization{Component: "wxc", Authorizer: tuoguan.AuthorizerAppID(fmt.Sprintf("wx%05d", i))}
			due := began.Add(cycle * time.Duration(i) / authorizers)
			_, _, err := s.SaveGrant(ctx, store.Grant{Authorization: id, ObtainedAt: began, RefreshAt: due})
			if err != nil {
				t.Fatal(err)
			}
		}
		refreshed := 0
		for time.Since(began) < days*24*time.Hour {
			due, err := s.ClaimDue(ctx, time.Now(), "holder", time.Second, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range due {
				moved, err := s.SaveTokens(ctx, store.TokenWrite{
					Authorization: d.Authorization, Grant: 1, Epoch: d.Lease.Epoch, Release: d.Lease,
					ObtainedAt: time.Now(), RefreshAt: d.RefreshAt.Add(cycle),
				})
				if err != nil || !moved {
					t.Fatalf("moved %v, %v", moved, err)
				}
				refreshed++
			}
			time.Sleep(10 * time.Second)
		}
		if want := authorizers * int(days*24*time.Hour/cycle); refreshed < want-authorizers || refreshed > want {
			t.Errorf("%d refreshes, want about %d", refreshed, want)
		}
	})
}
