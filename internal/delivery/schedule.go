package delivery

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/store"
)

// steps are the waits after the first, second … attempt that failed; the last one goes on.
var steps = [...]time.Duration{
	5 * time.Second, 30 * time.Second, 5 * time.Minute, 30 * time.Minute,
	2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour, 24 * time.Hour,
}

const (
	stepJitter = 0.2
	// retryAfterMost is how long a receiver may ask us to wait.
	retryAfterMost = time.Hour
	// blockedWait is the least wait after an address was not allowed: somebody has to
	// change the configuration first.
	blockedWait = 5 * time.Minute
)

// precision is that of the instants in the store. Deliveries that are held back are due
// at the very instant of the one before them.
const precision = time.Millisecond

// retryAt says when an event is tried again whose attempt failed at the instant given; not
// ok: it has been tried for its time. The last attempt is at the end of that time.
func retryAt(err error, attempts int, first, now time.Time, maxAge time.Duration) (at time.Time, ok bool) {
	end := first.Add(maxAge)
	if !now.Before(end) {
		return time.Time{}, false
	}
	wait := steps[min(max(attempts, 1), len(steps))-1]
	wait = time.Duration(float64(wait) * (1 + stepJitter*(2*rand.Float64()-1)))
	if refusal, ok := errors.AsType[*sink.Refusal](err); ok {
		wait = max(wait, min(refusal.RetryAfter, retryAfterMost))
	}
	if errors.Is(err, sink.ErrBlocked) {
		wait = max(wait, blockedWait)
	}
	at = now.Add(wait)
	if at.After(end) {
		at = end
	}
	return at.Add(precision - 1).Truncate(precision), true
}

// firstAttempt says when a delivery was tried first since it was put, as its log tells.
func firstAttempt(d store.Delivery, now time.Time) time.Time {
	entries := sink.ParseLog(d.Log)
	if d.Attempts == 0 || len(entries) == 0 {
		return now
	}
	return entries[max(len(entries)-d.Attempts, 0)].At
}
