package keeper

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
)

// BenchmarkRatioToken compares Token on a warm keeper with 10,000 authorizers with
// the least anybody could do: reading a map of the same size under an RWMutex.
// Both sides alternate within one run, so that a noisy machine hits both.
func BenchmarkRatioToken(b *testing.B) {
	const authorizers = 10_000
	k := &Keeper{cache: newCache(nil, time.Now, true)}
	owners := make([]tuoguan.TokenOwner, authorizers)
	var mu sync.RWMutex
	floor := make(map[tuoguan.TokenOwner]tuoguan.AccessToken, authorizers)
	for i := range owners {
		o := tuoguan.AuthorizerToken("wx0123456789abcdef", tuoguan.AuthorizerAppID(fmt.Sprintf("wx%016x", uint64(i)*0x9e3779b97f4a7c15)))
		t := tuoguan.AccessToken{Value: tuoguan.NewSecret(fmt.Sprintf("token-%d", i)), ExpiresAt: time.Now().Add(2 * time.Hour)}
		owners[i], floor[o] = o, t
		k.cache.put(o, t, version{}, k.cache.generation(o))
	}
	ctx := b.Context()
	if n := testing.AllocsPerRun(1000, func() { _, _ = k.Token(ctx, owners[7]) }); n != 0 {
		b.Fatalf("Token allocates %v times", n)
	}
	ours := func(n int) {
		for i := range n {
			if t, err := k.Token(ctx, owners[i%authorizers]); err != nil || t.Value.IsZero() {
				b.Error("no token")
			}
		}
	}
	least := func(n int) {
		for i := range n {
			mu.RLock()
			t, ok := floor[owners[i%authorizers]]
			mu.RUnlock()
			if !ok || t.Value.IsZero() {
				b.Error("no token")
			}
		}
	}
	parallel := func(side func(int)) func(int) {
		return func(n int) {
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() { side(n / 2) })
			}
			wg.Wait()
		}
	}
	for _, c := range []struct {
		name        string
		ours, least func(int)
	}{
		{"one reader", ours, least},
		{"two readers", parallel(ours), parallel(least)},
	} {
		b.Run(c.name, func(b *testing.B) {
			const batch = 20_000
			var spent [2]time.Duration
			for b.Loop() {
				for side, f := range []func(int){c.ours, c.least} {
					began := time.Now()
					f(batch)
					spent[side] += time.Since(began)
				}
			}
			b.ReportMetric(float64(spent[0])/float64(spent[1]), "ratio")
			b.ReportMetric(float64(spent[0].Nanoseconds())/float64(b.N*batch), "ns/token")
			b.ReportMetric(float64(spent[1].Nanoseconds())/float64(b.N*batch), "ns/floor")
			b.ReportMetric(0, "ns/op")
		})
	}
}
