package keeper

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestPace starts as many as it may at random instants, some of them late, and counts
// in every second, wherever that begins.
func TestPace(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{1, 10, 166.7, 500, 20_000} {
		random := rand.New(rand.NewPCG(1, uint64(rate)))
		var p pace
		var at []time.Duration
		first := 0
		now := time.Duration(random.IntN(1e9))
		end := now + 20*time.Second
		for now < end {
			left, wait := p.left(now, rate)
			if left > 0 {
				p.start()
				at = append(at, now)
				for now-at[first] >= time.Second {
					first++
				}
				if n := len(at) - first; n > max(int(rate), 1) {
					t.Fatalf("%v a second: %d start within %v", rate, n, now-at[first])
				}
				continue
			}
			now += wait
			if random.IntN(20) == 0 {
				now += time.Duration(random.IntN(300)) * time.Millisecond // somebody was busy
			}
		}
		if got, want := float64(len(at)), 20*rate; got < 0.9*want {
			t.Errorf("%v a second: only %v of %v start", rate, got, want)
		}
	}
}

// TestPaceAfterAPause goes on after a long time as if nothing had been.
func TestPaceAfterAPause(t *testing.T) {
	t.Parallel()
	var p pace
	for _, now := range []time.Duration{0, time.Minute, 24 * time.Hour} {
		n := 0
		for left, _ := p.left(now, 100); left > 0; left, _ = p.left(now, 100) {
			p.start()
			n++
		}
		if n != 11 { // double the rate for a twentieth of a second, and one
			t.Errorf("%d start at %v", n, now)
		}
	}
}
