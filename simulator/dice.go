package simulator

import (
	"hash/fnv"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// dice are many independent streams of numbers, one for every pair of a purpose
// and a subject. Concurrency can reorder what happens in one stream but never
// lets one stream disturb another, and a fault that is switched off draws
// nothing.
type dice struct {
	seed    uint64
	streams sync.Map // of uint64 (hash of purpose and subject) to *atomic.Uint64
}

// next returns the next number of a stream.
func (d *dice) next(purpose, subject string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, purpose)
	_, _ = h.Write([]byte{0})
	_, _ = io.WriteString(h, subject)
	stream := h.Sum64()
	counter, ok := d.streams.Load(stream)
	if !ok {
		counter, _ = d.streams.LoadOrStore(stream, new(atomic.Uint64))
	}
	return scramble(d.seed ^ scramble(stream^scramble(counter.(*atomic.Uint64).Add(1))))
}

// scramble is the finalizer of SplitMix64.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// share returns a number in [0, 1).
func (d *dice) share(purpose, subject string) float64 {
	return float64(d.next(purpose, subject)>>11) / (1 << 53)
}

// between returns a duration in [low, high).
func (d *dice) between(purpose, subject string, low, high time.Duration) time.Duration {
	return low + time.Duration(d.share(purpose, subject)*float64(high-low))
}
