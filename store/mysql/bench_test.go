package mysql_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/services/servicetest"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/storetest"
)

// BenchmarkRefresh measures what refreshes cost the store: claims of 64, and a save
// with its release for each, by 16 workers. It reports refreshes per second.
func BenchmarkRefresh(b *testing.B) {
	const (
		authorizers = 10_000
		workers     = 16
		claim       = 64
	)
	s := open(b, config(servicetest.MariaDB(b)))
	defer s.Close()
	ctx := context.Background()
	each := func(n int, f func(i int) error) {
		b.Helper()
		var next atomic.Int64
		var work sync.WaitGroup
		for range workers {
			work.Go(func() {
				for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
					if err := f(int(i)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		work.Wait()
	}
	start := time.Now()
	each(authorizers, func(i int) error {
		_, _, err := s.SaveGrant(ctx, store.Grant{
			Authorization: tuoguan.Authorization{Component: "wxc0000000000000", Authorizer: tuoguan.AuthorizerAppID(fmt.Sprintf("wx%014d", i))},
			Tokens:        tuoguan.TokenSet{AccessToken: token("access", i, 0), RefreshToken: token("refresh", i, 0), ExpiresAt: start},
			ObtainedAt:    start, RefreshAt: start, Source: store.FromExchange,
		})
		return err
	})
	if b.Failed() {
		return
	}
	var saved atomic.Int64
	b.ResetTimer()
	each((b.N+claim-1)/claim, func(int) error {
		now := time.Now()
		due, err := s.ClaimDue(ctx, now, "bench", 20*time.Second, claim)
		if err != nil {
			return err
		}
		for _, d := range due {
			n := int(saved.Add(1))
			moved, err := s.SaveTokens(ctx, store.TokenWrite{
				Authorization: d.Authorization, Grant: 1, Epoch: d.Lease.Epoch,
				Tokens:     tuoguan.TokenSet{AccessToken: token("access", n, 1), RefreshToken: token("refresh", n, 1), ExpiresAt: now.Add(2 * time.Hour)},
				ObtainedAt: now, RefreshAt: now, Source: store.FromRefresh, Release: d.Lease,
			})
			if err != nil || !moved {
				return fmt.Errorf("moved %v: %w", moved, err)
			}
		}
		return nil
	})
	b.ReportMetric(float64(saved.Load())/b.Elapsed().Seconds(), "refreshes/s")
}

// token is as long as WeChat's are.
func token(kind string, i, turn int) tuoguan.Secret {
	return tuoguan.NewSecret(fmt.Sprintf("%s-%d-%d-%0120d", kind, i, turn, i))
}

func BenchmarkDeliveries(b *testing.B) {
	storetest.Bench(b, func(b *testing.B, pushes int) store.Store {
		url := servicetest.MariaDB(b)
		s := open(b, config(url))
		b.Cleanup(func() { _ = s.Close() })
		if pushes > 0 {
			exec(b, url, fmt.Sprintf(`INSERT INTO pushes (seq, dedup_key, component, authorizer, kind, created_at, received_at)
				SELECT seq, CONCAT('old/', seq), 'wxc', CONCAT('wxold', seq %% 10000), 'text', %d, %[1]d FROM seq_1_to_%d`,
				time.Now().UnixMilli(), pushes))
			exec(b, url, `INSERT INTO deliveries (event, subscription, due_at, attempts, log, finished_at)
				SELECT id, s.n, received_at, 0, '', 0 FROM pushes, (SELECT 'sub_1' AS n UNION ALL SELECT 'sub_2' UNION ALL SELECT 'sub_3') s`)
		}
		return s
	})
}
