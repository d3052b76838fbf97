package delivery

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/tuoguan/tuoguan/internal/sink"
)

const (
	// breakAfter is how many failures of the way in a row open a breaker.
	breakAfter = 10
	// An open breaker lets one through after a while, which doubles from probeFirst to
	// probeMost.
	probeFirst = time.Second
	probeMost  = time.Minute
)

// breaker keeps events back from a receiver that is not there, so that they are not tried
// in vain until they are dead.
type breaker struct {
	failures int           // in a row
	wait     time.Duration // until the next probe; 0: closed
	probe    time.Time     // when that is due
	probing  bool          // it is under way
}

func (b *breaker) open() bool { return b.wait > 0 }

// allows reports whether an event may be sent.
func (b *breaker) allows(now time.Time) bool {
	return !b.open() || !b.probing && !now.Before(b.probe)
}

// sending says that one is sent.
func (b *breaker) sending() (probe bool) {
	b.probing = b.open()
	return b.probing
}

// ended takes note of what became of one that was sent.
func (b *breaker) ended(err error, probe bool, now time.Time) {
	switch {
	case !lostWay(err):
		*b = breaker{}
	case probe:
		b.probing = false
		b.hold(min(2*b.wait, probeMost), now)
	default:
		if b.failures++; b.failures >= breakAfter && !b.open() {
			b.hold(probeFirst, now)
		}
	}
}

// trip holds everything back, as nothing can be sent at all.
func (b *breaker) trip(now time.Time) { b.hold(min(max(2*b.wait, probeFirst), probeMost), now) }

func (b *breaker) hold(wait time.Duration, now time.Time) {
	b.wait = wait
	b.probe = now.Add(time.Duration(float64(wait) * (1 + stepJitter*(2*rand.Float64()-1))))
}

// lostWay reports whether a failure is one of the way or of the other side as a whole, and
// would meet any event.
func lostWay(err error) bool {
	if err == nil {
		return false
	}
	refusal, ok := errors.AsType[*sink.Refusal](err)
	if !ok {
		return true
	}
	switch refusal.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	}
	return !refusal.Final && (refusal.Status == 0 || refusal.Status >= 500)
}
