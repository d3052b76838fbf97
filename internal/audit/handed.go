package audit

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// handedBound bounds how many tokens are known to have been handed to whom. Of a
	// token beyond it the next handing is recorded as if it were the first.
	handedBound = 100_000
	// handedFor is how long that is known at least, if there is room; no token of WeChat's lives longer.
	handedFor = 2 * time.Hour
)

// Handed returns once it is durable that a token was handed to the actor of an event.
// The fingerprint stands for the token. When the actor gets the same one again, by the
// same operation and at the same address, that is counted in memory and recorded as a
// total within a minute, so it works while the store is away; a crash loses the count
// of the last minute, never the first handing.
func (l *Log) Handed(ctx context.Context, e Event, fingerprint string) error {
	if l.Repeat(e, fingerprint) {
		return nil
	}
	if err := l.Record(ctx, e); err != nil {
		return err
	}
	l.handed.remember(keyOf(&e, fingerprint), l.now())
	return nil
}

// Repeat counts that a token is handed to the actor of an event once more, and reports
// whether it is recorded that he was handed it before. If not, nothing is counted, and
// [Log.Handed] has to be called.
func (l *Log) Repeat(e Event, fingerprint string) bool {
	return l.handed.count(keyOf(&e, fingerprint), e.ActorName, l.now())
}

// handedKey names a token in the hands of an actor.
type handedKey struct{ actor, address, operation, component, authorizer, fingerprint string }

func keyOf(e *Event, fingerprint string) handedKey {
	return handedKey{e.Actor, e.Address, e.Operation, e.Component, e.Authorizer, fingerprint}
}

// totalKey names what repeats are counted by.
type totalKey struct{ actor, address, operation, component string }

// total counts repeats since the last one was recorded.
type total struct {
	actorName string
	repeats   int64
	since     time.Time
}

// handed knows which tokens were handed to whom.
type handed struct {
	mu sync.Mutex
	// What is not used while young fills up or grows old is dropped with old.
	young, old map[handedKey]struct{}
	youngSince time.Time
	totals     map[totalKey]*total
}

func newHanded() handed {
	return handed{young: make(map[handedKey]struct{}), totals: make(map[totalKey]*total)}
}

func (h *handed) remember(key handedKey, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keep(key, now)
}

func (h *handed) keep(key handedKey, now time.Time) {
	if len(h.young) == 0 {
		h.youngSince = now
	}
	if len(h.young) >= handedBound/2 || now.Sub(h.youngSince) > handedFor {
		h.young, h.old, h.youngSince = make(map[handedKey]struct{}), h.young, now
	}
	h.young[key] = struct{}{}
	delete(h.old, key)
}

// count counts a repeat, if it is one.
func (h *handed) count(key handedKey, actorName string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, young := h.young[key]; !young {
		if _, old := h.old[key]; !old {
			return false
		}
		h.keep(key, now)
	}
	by := totalKey{key.actor, key.address, key.operation, key.component}
	t := h.totals[by]
	if t == nil {
		t = &total{actorName: actorName, since: now}
		h.totals[by] = t
	}
	t.repeats++
	return true
}

// take returns the totals as events and begins anew.
func (h *handed) take() []Event {
	h.mu.Lock()
	totals := h.totals
	h.totals = make(map[totalKey]*total)
	h.mu.Unlock()
	events := make([]Event, 0, len(totals))
	for by, t := range totals {
		events = append(events, Event{
			Actor: by.actor, ActorName: t.actorName, Address: by.address, Operation: by.operation, Component: by.component,
			Result: "ok", Repeats: t.repeats, Since: t.since,
		})
	}
	slices.SortFunc(events, func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.Actor, b.Actor), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Component, b.Component))
	})
	return events
}

// giveBack adds totals that could not be recorded to those of the time since.
func (h *handed) giveBack(events []Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range events {
		by := totalKey{e.Actor, e.Address, e.Operation, e.Component}
		t := h.totals[by]
		if t == nil {
			t = &total{actorName: e.ActorName}
			h.totals[by] = t
		}
		t.repeats, t.since = t.repeats+e.Repeats, e.Since
	}
}
