package spill_test

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan/internal/spill"
)

// BenchmarkRatioPut compares the latency of Put, at so many callers, with what a
// single writer needs for the least that is durable: overwriting 4 KiB of a file
// that is there already, and fsync. Both alternate within one run. BENCH_DIR says
// which disk is meant; a temporary directory may be in memory.
func BenchmarkRatioPut(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			dir, err := os.MkdirTemp(os.Getenv("BENCH_DIR"), "spill")
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = os.RemoveAll(dir) })
			f := openWith(b, spill.Config{Path: dir + "/test.spill", Cipher: sealing(1)})
			bare, err := os.Create(dir + "/bare")
			if err != nil {
				b.Fatal(err)
			}
			defer bare.Close()
			block := make([]byte, blockSize)
			least := func() {
				if _, err := bare.WriteAt(block, 0); err != nil {
					b.Fatal(err)
				}
				if err := bare.Sync(); err != nil {
					b.Fatal(err)
				}
			}
			least()
			a := fullAnswers(b)[0]
			var ours, floor time.Duration
			for b.Loop() {
				var mu sync.Mutex
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						start := time.Now()
						id, err := f.Put(b.Context(), a)
						took := time.Since(start)
						if err != nil {
							b.Error(err)
							return
						}
						mu.Lock()
						ours += took
						mu.Unlock()
						if err := f.Forget(id); err != nil {
							b.Error(err)
						}
					})
				}
				wg.Wait()
				start := time.Now()
				least()
				floor += time.Since(start)
			}
			n := float64(b.N)
			b.ReportMetric(ours.Seconds()/n/float64(callers)*1e6, "us/put")
			b.ReportMetric(floor.Seconds()/n*1e6, "us/fsync")
			b.ReportMetric(ours.Seconds()/float64(callers)/floor.Seconds(), "ratio")
		})
	}
}
