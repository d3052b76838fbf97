package delivery

import (
	"cmp"
	"slices"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// queue are deliveries that were read and not yet sent. In an ordered one only the first
// of each authorization may be sent, and none while one of it is under way.
type queue struct {
	ordered bool
	ready   []store.Delivery
	// behind has a key for each authorization that has one ready or under way, and those
	// that come after that.
	behind map[tuoguan.Authorization][]store.Delivery
	flying map[tuoguan.Authorization]bool // has one under way
	size   int                            // of all that were not sent
}

func newQueue(ordered bool) queue {
	return queue{
		ordered: ordered,
		behind:  make(map[tuoguan.Authorization][]store.Delivery),
		flying:  make(map[tuoguan.Authorization]bool),
	}
}

func authorization(d store.Delivery) tuoguan.Authorization {
	return tuoguan.Authorization{Component: d.Event.Component, Authorizer: d.Event.Authorizer}
}

// push adds deliveries, in the order in which they are due. Those of an authorization are
// sent by their numbers.
func (q *queue) push(read []store.Delivery) {
	q.size += len(read)
	if !q.ordered {
		q.ready = append(q.ready, read...)
		return
	}
	fresh := make(map[tuoguan.Authorization]bool)
	var first []tuoguan.Authorization
	for _, d := range read {
		a := authorization(d)
		if _, taken := q.behind[a]; !taken && !fresh[a] {
			first = append(first, a)
		}
		fresh[a] = true
		q.behind[a] = append(q.behind[a], d)
	}
	for a := range fresh {
		slices.SortFunc(q.behind[a], func(x, y store.Delivery) int {
			return cmp.Or(cmp.Compare(x.Event.Seq, y.Event.Seq), cmp.Compare(x.Event.ID, y.Event.ID))
		})
	}
	for _, a := range first {
		q.step(a)
	}
}

// step makes the next of an authorization ready.
func (q *queue) step(a tuoguan.Authorization) {
	if rest := q.behind[a]; len(rest) > 0 {
		q.ready, q.behind[a] = append(q.ready, rest[0]), rest[1:]
	} else {
		delete(q.behind, a)
	}
}

// next takes out the first that may be sent and is due.
func (q *queue) next(now time.Time) (store.Delivery, bool) {
	for i, d := range q.ready {
		if !d.DueAt.After(now) {
			if i == 0 {
				q.ready[0] = store.Delivery{}
				q.ready = q.ready[1:]
			} else {
				q.ready = slices.Delete(q.ready, i, i+1)
			}
			q.size--
			if q.ordered {
				q.flying[authorization(d)] = true
			}
			return d, true
		}
	}
	return store.Delivery{}, false
}

// settled says that the one of an authorization that was under way is done with.
func (q *queue) settled(a tuoguan.Authorization) {
	if q.ordered {
		delete(q.flying, a)
		q.step(a)
	}
}

// holdBack says that the one of an authorization that was under way has to come again, and
// takes out those after it.
func (q *queue) holdBack(a tuoguan.Authorization) []store.Delivery {
	held := q.behind[a]
	delete(q.flying, a)
	delete(q.behind, a)
	q.size -= len(held)
	return held
}

// clear takes out all.
func (q *queue) clear() []store.Delivery {
	all := q.ready
	q.ready, q.size = nil, 0
	for a, rest := range q.behind {
		all = append(all, rest...)
		if q.flying[a] {
			q.behind[a] = nil
		} else {
			delete(q.behind, a)
		}
	}
	return all
}

// dueAt is when the first that may be sent is due, as an instant of the system's clock.
func (q *queue) dueAt(clock *tuoguan.Clock) time.Time {
	now := time.Now()
	var due time.Time
	for _, d := range q.ready {
		if due.IsZero() || d.DueAt.Before(due) {
			due = d.DueAt
		}
	}
	if due.IsZero() {
		return now.Add(readEvery)
	}
	return now.Add(due.Sub(clock.Now()))
}
