package sqlite_test

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/sqlite"
	"github.com/tuoguan/tuoguan/store/storetest"
)

// benchOpen opens a store in the directory named by BENCH_DIR, for the disk is what
// is measured; a temporary directory may be in memory.
func benchOpen(b *testing.B) *sqlite.Store {
	b.Helper()
	dir, err := os.MkdirTemp(os.Getenv("BENCH_DIR"), "tuoguan")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	return open(b, dir+"/bench.db")
}

// concurrently spreads b.N calls over a number of callers.
func concurrently(b *testing.B, callers int, f func(n int64) error) {
	b.Helper()
	b.ReportAllocs()
	var next atomic.Int64
	failed := make(chan error, callers)
	b.ResetTimer()
	for range callers {
		go func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := f(n); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range callers {
		if err := <-failed; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

func BenchmarkAcceptPush(b *testing.B) {
	body := make([]byte, 400)
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := benchOpen(b)
			now := time.Now()
			concurrently(b, callers, func(n int64) error {
				_, _, err := s.AcceptPush(b.Context(), store.Intake{Push: store.Push{
					Key:       fmt.Sprintf("wx0123456789abcdef/wx%016d/%d", n%10_000, 24_000_000_000_000+n),
					Component: "wx0123456789abcdef", Authorizer: tuoguan.AuthorizerAppID(fmt.Sprintf("wx%016d", n%10_000)),
					Kind: "text", Body: body, CreatedAt: now, ReceivedAt: now,
				}})
				return err
			})
		})
	}
}

func BenchmarkDeliveries(b *testing.B) {
	storetest.Bench(b, func(b *testing.B, pushes int) store.Store {
		dir, err := os.MkdirTemp(os.Getenv("BENCH_DIR"), "tuoguan")
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = os.RemoveAll(dir) })
		path := dir + "/bench.db"
		if err := open(b, path).Close(); err != nil {
			b.Fatal(err)
		}
		if pushes > 0 {
			execSQL(b, path, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
				INSERT INTO pushes (seq, dedup_key, component, authorizer, kind, body, created_at, received_at)
				SELECT i, 'old/' || i, 'wxc', 'wxold' || (i % 10000), 'text', randomblob(430), ?2, ?2 FROM n`, pushes, time.Now().UnixMilli())
			execSQL(b, path, `INSERT INTO deliveries (event, subscription, due_at, attempts, log, finished_at)
				SELECT id, s.column1, received_at, 0, '', 0 FROM pushes, (VALUES ('sub_1'), ('sub_2'), ('sub_3')) s`)
		}
		return open(b, path)
	})
}

// BenchmarkRefresh is what a refresh costs the store: claim, save, release.
func BenchmarkRefresh(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s, ids := benchOpen(b), grants(b)
			for _, id := range ids {
				if _, _, err := s.SaveGrant(b.Context(), store.Grant{Authorization: id}); err != nil {
					b.Fatal(err)
				}
			}
			concurrently(b, callers, func(n int64) error {
				id := ids[n%int64(len(ids))]
				lease, err := s.AcquireLease(b.Context(), id.String(), fmt.Sprint(n), 15*time.Second)
				if err != nil {
					return err
				}
				_, err = s.SaveTokens(b.Context(), store.TokenWrite{
					Authorization: id, Grant: 1, Epoch: lease.Epoch, RefreshAt: time.Now().Add(time.Hour),
					Tokens: tuoguan.TokenSet{
						AccessToken:  tuoguan.NewSecret(fmt.Sprintf("access%0130d", n)),
						RefreshToken: tuoguan.NewSecret(fmt.Sprintf("refreshtoken@@@%030d", n)),
					},
				})
				if err != nil {
					return err
				}
				return s.ReleaseLease(b.Context(), lease)
			})
		})
	}
}

func grants(b *testing.B) (ids []tuoguan.Authorization) {
	b.Helper()
	for i := range 1000 {
		ids = append(ids, tuoguan.Authorization{Component: "wxc", Authorizer: tuoguan.AuthorizerAppID(fmt.Sprintf("wx%016d", i))})
	}
	return ids
}

func BenchmarkRead(b *testing.B) {
	s, ids := benchOpen(b), grants(b)
	for _, id := range ids {
		_, _, err := s.SaveGrant(b.Context(), store.Grant{
			Authorization: id, PermissionSets: []tuoguan.PermissionSet{1, 2, 3, 17}, RefreshAt: time.Now(),
			Tokens: tuoguan.TokenSet{
				AccessToken: tuoguan.NewSecret("access"), RefreshToken: tuoguan.NewSecret("refresh"),
			},
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("Authorizer/callers=%d", callers), func(b *testing.B) {
			concurrently(b, callers, func(n int64) error {
				_, err := s.Authorizer(b.Context(), ids[n%int64(len(ids))])
				return err
			})
		})
	}
	b.Run("Authorizers/100", func(b *testing.B) {
		concurrently(b, 1, func(int64) error {
			_, err := s.Authorizers(b.Context(), store.AuthorizerQuery{})
			return err
		})
	})
}

// BenchmarkClaimDue is what a refresh costs the store where many are due: they are
// claimed in batches, and saving ends the lease.
func BenchmarkClaimDue(b *testing.B) {
	for _, batch := range []int{50, 256} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			s, ids := benchOpen(b), grants(b)
			for _, id := range ids {
				if _, _, err := s.SaveGrant(b.Context(), store.Grant{Authorization: id, RefreshAt: time.Now()}); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			for done := 0; done < b.N; {
				claimed, err := s.ClaimDue(b.Context(), time.Now(), "me", 15*time.Second, batch)
				if err != nil {
					b.Fatal(err)
				}
				var wg sync.WaitGroup
				for _, d := range claimed {
					wg.Go(func() {
						_, err := s.SaveTokens(b.Context(), store.TokenWrite{
							Authorization: d.Authorization, Grant: 1, Epoch: d.Lease.Epoch, RefreshAt: time.Now(), Release: d.Lease,
							Tokens: tuoguan.TokenSet{
								AccessToken:  tuoguan.NewSecret(fmt.Sprintf("access%0130d", d.Lease.Epoch)),
								RefreshToken: tuoguan.NewSecret("refreshtoken@@@of this account, the same as ever"),
							},
						})
						if err != nil {
							b.Error(err)
						}
					})
				}
				wg.Wait()
				done += len(claimed)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

// BenchmarkArchive is what a record of a backup costs: dumped, loaded, sealed anew.
func BenchmarkArchive(b *testing.B) {
	const accounts = 10_000
	full := benchOpen(b)
	var wg sync.WaitGroup
	for worker := range 64 {
		wg.Go(func() {
			for i := worker; i < accounts; i += 64 {
				_, _, err := full.SaveGrant(b.Context(), store.Grant{
					Authorization:  tuoguan.Authorization{Component: "wxc", Authorizer: tuoguan.AuthorizerAppID(fmt.Sprintf("wx%016d", i))},
					PermissionSets: []tuoguan.PermissionSet{1, 2, 3, 17},
					Tokens: tuoguan.TokenSet{
						AccessToken: tuoguan.NewSecret(fmt.Sprintf("access%0130d", i)), RefreshToken: tuoguan.NewSecret(fmt.Sprintf("refresh%030d", i)),
					},
				})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	records := 0
	b.Run("dump", func(b *testing.B) {
		for b.Loop() {
			records = 0
			for _, err := range full.Dump(b.Context()) {
				if err != nil {
					b.Fatal(err)
				}
				records++
			}
		}
		b.ReportMetric(float64(records*b.N)/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			if err := benchOpen(b).Load(b.Context(), full.Dump(b.Context())); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(records*b.N)/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("reseal", func(b *testing.B) {
		s, err := sqlite.Open(b.Context(), sqlite.Config{Path: newPath(b), Keys: store.Under(neverCurrent{newCipher(b, 1)})})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		if err := s.Load(b.Context(), full.Dump(b.Context())); err != nil {
			b.Fatal(err)
		}
		changed := 0
		for b.Loop() {
			for after := ""; ; {
				r, err := s.Reseal(b.Context(), after, 500)
				if err != nil {
					b.Fatal(err)
				}
				changed += r.Changed
				if after = r.Next; after == "" {
					break
				}
			}
		}
		b.ReportMetric(float64(changed)/b.Elapsed().Seconds(), "records/s")
	})
}

// neverCurrent would seal every value anew.
type neverCurrent struct{ store.Cipher }

func (neverCurrent) Current([]byte) bool { return false }
