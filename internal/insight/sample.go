package insight

import (
	"cmp"
	"math/bits"
	"time"
)

// count is how often something happened, and how often it went wrong.
type count struct{ all, failed int64 }

func (c *count) add(failed bool) {
	c.all++
	if failed {
		c.failed++
	}
}

func (c *count) merge(other count) {
	c.all += other.all
	c.failed += other.failed
}

// A histogram has four buckets to every doubling of the time, up to 67 s: what
// it tells is off by less than a quarter.
const (
	unit    = 64 * time.Microsecond
	buckets = 72
)

// histogram counts how long things took.
type histogram [buckets]uint32

func (h *histogram) add(took time.Duration) { h[bucketOf(took)]++ }

func (h *histogram) merge(other *histogram) {
	for i, n := range other {
		h[i] += n
	}
}

// bucketOf returns the bucket of a time: the position of its highest bit, and the two
// bits behind that.
func bucketOf(took time.Duration) int {
	n := uint64(max(took, 0)/unit) + 4
	octave := bits.Len64(n) - 3
	return min(octave*4+int(n>>octave)-4, buckets-1)
}

// lower returns where a bucket begins.
func lower(bucket int) time.Duration {
	return time.Duration((4+bucket%4)<<(bucket/4)-4) * unit
}

// quantile returns the time within which a share of everything was done, in
// milliseconds; 0 if there was nothing.
func (h *histogram) quantile(share float64) float64 {
	var total uint64
	for _, n := range h {
		total += uint64(n)
	}
	rank := share * float64(total)
	var below float64
	for i, n := range h {
		if n == 0 || below+float64(n) < rank {
			below += float64(n)
			continue
		}
		begin, end := lower(i), lower(i+1)
		within := begin + time.Duration((rank-below)/float64(n)*float64(end-begin))
		return float64(within.Round(100*time.Microsecond)/(100*time.Microsecond)) / 10
	}
	return 0
}

// sample is what happened in one step.
type sample struct {
	step int64 // since the epoch, in steps; tells whether the sample is the one looked for

	refreshes, pushes, deliveries, gateway, calls count
	refreshTime, pushTime, gatewayTime            histogram

	pending, dead int // gauges
	sampled       bool
}

func (s *sample) merge(other *sample) {
	s.refreshes.merge(other.refreshes)
	s.pushes.merge(other.pushes)
	s.deliveries.merge(other.deliveries)
	s.gateway.merge(other.gateway)
	s.calls.merge(other.calls)
	s.refreshTime.merge(&other.refreshTime)
	s.pushTime.merge(&other.pushTime)
	s.gatewayTime.merge(&other.gatewayTime)
}

// ring holds the samples of the last steps. Nobody has to clear it: a sample knows its
// step, and one that is left from an earlier round is none.
type ring struct {
	length  time.Duration // of a step
	samples []sample
}

func newRing(length, reach time.Duration) ring {
	return ring{length: length, samples: make([]sample, reach/length+1)}
}

func (r *ring) step(at time.Time) int64 { return at.UnixNano() / int64(r.length) }

// at returns the sample of an instant to be added to.
func (r *ring) at(now time.Time) *sample {
	step := r.step(now)
	s := &r.samples[step%int64(len(r.samples))]
	if s.step != step {
		*s = sample{step: step}
	}
	return s
}

// find returns the sample of a step, or nil if nothing happened in it.
func (r *ring) find(step int64) *sample {
	s := &r.samples[step%int64(len(r.samples))]
	if s.step != step {
		return nil
	}
	return s
}

func compareShortages(x, y Shortage) int {
	return cmp.Or(cmp.Compare(x.Remaining, y.Remaining), cmp.Compare(x.Component, y.Component), cmp.Compare(x.Authorizer, y.Authorizer), cmp.Compare(x.Path, y.Path))
}
