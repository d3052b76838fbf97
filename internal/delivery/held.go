package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// In an ordered subscription an event that has failed holds back those of its authorization
// that come after it: they become due at the very instant at which it does, and deliveries
// due at the same instant come in the order of their events. There may be more of them than
// are read at a time, so for a while some are due late and others, that come after these,
// are not. The courier knows until when an authorization is held back and moves whatever of it
// is due earlier. One who takes over has to be told: that is what the note is for, which is
// stored before the first is moved and removed when nobody is held back any more.

// heldBack is what an ordered subscription holds back.
type heldBack struct {
	until map[tuoguan.Authorization]time.Time
	// returning counts deliveries that come again, and of which that is not stored yet.
	returning map[tuoguan.Authorization]int
	// doubted are those of which one that had failed is due again before its time, as after
	// a replay; each with until when it was held back then. The store is asked whether
	// anything else of it still waits.
	doubted map[tuoguan.Authorization]time.Time

	noted  bool      // the store says that somebody may be held back
	noting bool      // that is being changed
	noteAt time.Time // not before
}

func newHeldBack() heldBack {
	return heldBack{until: make(map[tuoguan.Authorization]time.Time), returning: make(map[tuoguan.Authorization]int)}
}

// returned says that a delivery is stored, or none of our business any more.
func (h *heldBack) returned(d store.Delivery) {
	if d.State != store.DeliveryPending {
		return
	}
	a := authorization(d)
	if h.returning[a]--; h.returning[a] <= 0 {
		delete(h.returning, a)
	}
}

// doubt says that an authorization may not be held back any more.
func (h *heldBack) doubt(a tuoguan.Authorization, until time.Time) {
	if h.doubted == nil {
		h.doubted = make(map[tuoguan.Authorization]time.Time)
	}
	h.doubted[a] = until
}

// heldNoteEvery is how often the note is removed at most.
const heldNoteEvery = 10 * time.Second

func heldKey(subscription string) string { return "delivery/held/" + subscription }

// loadHeld reads who is held back.
func loadHeld(ctx context.Context, s Store, subscription string, now time.Time) (heldBack, error) {
	h := heldBack{noted: true}
	v, err := s.Value(ctx, heldKey(subscription))
	if errors.Is(err, store.ErrNotFound) {
		h.noted, err = false, nil
	}
	since := now
	if err == nil && h.noted {
		since, err = time.Parse(time.RFC3339Nano, string(v.Data))
	}
	if err == nil {
		h.until, err = s.HeldBack(ctx, subscription, since)
	}
	if err != nil {
		return heldBack{}, fmt.Errorf("read who is held back: %w", err)
	}
	if h.until == nil {
		h.until = make(map[tuoguan.Authorization]time.Time)
	}
	return h, nil
}

// noteHeld notes that from now on somebody is held back.
func noteHeld(ctx context.Context, s Store, subscription string, now time.Time) error {
	err := s.PutValue(ctx, store.Value{
		Key: heldKey(subscription), Data: []byte(now.Add(-skew).UTC().Format(time.RFC3339Nano)), ExpiresAt: now.Add(noteKept),
	})
	if errors.Is(err, store.ErrConflict) {
		return nil // it is noted
	}
	return err
}

// forgetHeld removes the note once it is needless.
func (c *courier) forgetHeld() {
	h := &c.held
	if c.lapsed || !h.noted || h.noting || len(h.until) > 0 || len(h.returning) > 0 || c.flights > 0 || c.queue.size > 0 || time.Now().Before(h.noteAt) {
		return
	}
	h.noting, h.noteAt = true, time.Now().Add(heldNoteEvery)
	c.background(func() func() {
		ctx, cancel := context.WithTimeout(c.ctx, leaseMargin)
		defer cancel()
		_, err := c.d.cfg.Store.TakeValue(ctx, heldKey(c.id))
		return func() {
			c.held.noting = false
			if err == nil || errors.Is(err, store.ErrNotFound) {
				c.held.noted = false
			}
		}
	})
}

// holdBack has the deliveries after one that has failed come again with it.
func (c *courier) holdBack(d store.Delivery) {
	a := authorization(d)
	c.held.until[a] = d.DueAt
	for _, behind := range c.queue.holdBack(a) {
		behind.DueAt = d.DueAt
		c.settled(behind)
	}
}

// disown forgets what an ordered subscription was to do again: another replica may have the
// lease by now and goes by what it finds in the store.
func (c *courier) disown() {
	if !c.queue.ordered {
		return
	}
	c.done = slices.DeleteFunc(c.done, func(d store.Delivery) bool {
		if d.State != store.DeliveryPending {
			return false
		}
		c.held.returned(d)
		c.unbusy(d.Event.ID)
		return true
	})
}

// replayed reports whether a delivery had failed and was put again since. Those that come
// after one that failed were not tried.
func replayed(d store.Delivery) bool { return d.Attempts == 0 && len(d.Log) > 0 }

// resolve takes in, of authorizations in doubt, which are held back still and until when.
// It returns those of which what was replayed may go ahead.
func (h *heldBack) resolve(doubted, still map[tuoguan.Authorization]time.Time) map[tuoguan.Authorization]bool {
	ahead := make(map[tuoguan.Authorization]bool, len(doubted))
	for a, until := range doubted {
		if !h.until[a].Equal(until) {
			continue // it has failed again meanwhile
		}
		if later, held := still[a]; held {
			h.until[a], ahead[a] = later, true
		} else {
			delete(h.until, a)
		}
	}
	return ahead
}

// uncut leaves the first n, and of the others those that come before one of these: a
// replay makes what is older due after what is newer.
func uncut(due []store.Delivery, n int) []store.Delivery {
	last := make(map[tuoguan.Authorization]int64)
	for _, d := range due[:n] {
		last[authorization(d)] = max(last[authorization(d)], d.Event.ID)
	}
	left := due[:n]
	for _, d := range due[n:] {
		if d.Event.ID < last[authorization(d)] {
			left = append(left, d)
		}
	}
	return left
}

// inOrder leaves those of an authorization that is not held back, and of which none can
// be missing that comes before; and those replayed of the ones that may go ahead.
func (c *courier) inOrder(due []store.Delivery, full bool, ahead map[tuoguan.Authorization]bool) []store.Delivery {
	c.wide = 0
	if full && len(due) > 0 {
		// What is due a little later than the last one was not read, and may come before it.
		seen := due[len(due)-1].DueAt.Add(-skew)
		n, _ := slices.BinarySearchFunc(due, seen, func(d store.Delivery, t time.Time) int {
			if d.DueAt.After(t) {
				return 1
			}
			return -1
		})
		if n == 0 && len(due) < windowMost {
			c.wide = min(4*len(due), windowMost)
			return nil
		}
		if n > 0 {
			due = uncut(due, n)
		}
	}
	for _, d := range due {
		a := authorization(d)
		if until, held := c.held.until[a]; held && replayed(d) && d.DueAt.Before(until) && c.held.returning[a] == 0 && !ahead[a] {
			c.held.doubt(a, until)
			c.readAt = time.Now()
		}
	}
	free := due[:0]
	for _, d := range due {
		a := authorization(d)
		if _, doubted := c.held.doubted[a]; doubted {
			continue // until the store has been asked
		}
		if ahead[a] && replayed(d) {
			free = append(free, d)
			continue
		}
		until, held := c.held.until[a]
		if held && (c.held.returning[a] > 0 || d.DueAt.Before(until)) {
			c.busy[d.Event.ID] = true
			d.DueAt = until
			c.settled(d)
			continue
		}
		delete(c.held.until, a)
		free = append(free, d)
	}
	return free
}
