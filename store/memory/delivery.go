package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// copiedSubscription returns the subscription with instants as they are kept and
// secrets of its own.
func copiedSubscription(sub store.Subscription) store.Subscription {
	sub.Secrets = slices.Clone(sub.Secrets)
	sub.CreatedAt, sub.UpdatedAt = kept(sub.CreatedAt), kept(sub.UpdatedAt)
	return sub
}

// PutSubscription implements [store.Subscriptions].
func (s *Store) PutSubscription(ctx context.Context, sub store.Subscription) (stored store.Subscription, err error) {
	err = s.write(ctx, func() error {
		old, known := s.subscriptions[sub.ID]
		if old.Version != sub.Version {
			return store.ErrConflict
		}
		if known {
			sub.CreatedAt = old.CreatedAt
		}
		sub.Version++
		s.subscriptions[sub.ID] = copiedSubscription(sub)
		stored = copiedSubscription(sub)
		return nil
	})
	return stored, err
}

// Subscription implements [store.Subscriptions].
func (s *Store) Subscription(ctx context.Context, id string) (sub store.Subscription, err error) {
	err = s.read(ctx, func() error {
		found, ok := s.subscriptions[id]
		if !ok {
			return store.ErrNotFound
		}
		sub = copiedSubscription(found)
		return nil
	})
	return sub, err
}

// Subscriptions implements [store.Subscriptions].
func (s *Store) Subscriptions(ctx context.Context, after string, n int) (all []store.Subscription, err error) {
	err = s.read(ctx, func() error {
		for _, id := range slices.Sorted(maps.Keys(s.subscriptions)) {
			if id > after && len(all) < limit(n) {
				all = append(all, copiedSubscription(s.subscriptions[id]))
			}
		}
		return nil
	})
	return all, err
}

// DeleteSubscription implements [store.Subscriptions].
func (s *Store) DeleteSubscription(ctx context.Context, id string, version int64) error {
	return s.write(ctx, func() error {
		if old, ok := s.subscriptions[id]; !ok || old.Version != version {
			return store.ErrConflict
		}
		delete(s.subscriptions, id)
		return nil
	})
}

// outbox holds the deliveries to one subscription. The event of each has its id alone.
type outbox struct {
	all     map[int64]*store.Delivery
	pending []*store.Delivery // in the order in which they are due
}

func compareDue(a, b *store.Delivery) int {
	return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(a.Event.ID, b.Event.ID))
}

// dueAt returns an instant as that of a pending delivery is kept: at once is not never.
func dueAt(t time.Time) time.Time {
	if t.IsZero() {
		return time.UnixMilli(1).UTC()
	}
	return kept(t)
}

// put replaces a delivery.
func (o *outbox) put(d store.Delivery) {
	if old := o.all[d.Event.ID]; old != nil && old.State == store.DeliveryPending {
		at, _ := slices.BinarySearchFunc(o.pending, old, compareDue)
		o.pending = slices.Delete(o.pending, at, at+1)
	}
	if d.State == store.DeliveryPending {
		d.DueAt, d.FinishedAt = dueAt(d.DueAt), time.Time{}
		at, _ := slices.BinarySearchFunc(o.pending, &d, compareDue)
		o.pending = slices.Insert(o.pending, at, &d)
	} else {
		d.DueAt, d.FinishedAt = time.Time{}, kept(d.FinishedAt)
	}
	o.all[d.Event.ID] = &d
}

// outbox returns the one of a subscription, which need not be known.
func (s *Store) outbox(subscription string) *outbox {
	o := s.outboxes[subscription]
	if o == nil {
		o = &outbox{all: make(map[int64]*store.Delivery)}
		s.outboxes[subscription] = o
	}
	return o
}

// route makes the deliveries of an event.
func (s *Store) route(p *store.Push, routes []store.Route) {
	for _, r := range routes {
		due := r.DueAt
		if !due.IsZero() && kept(due).Equal(p.ReceivedAt) {
			due = s.lastDue[tuoguan.Authorization{Component: p.Component, Authorizer: p.Authorizer}]
		}
		s.outbox(r.Subscription).put(store.Delivery{
			Subscription: r.Subscription, Event: store.Push{ID: p.ID}, State: store.DeliveryPending, DueAt: due,
		})
	}
}

// delivered returns a copy of a delivery with its event.
func (s *Store) delivered(d *store.Delivery) store.Delivery {
	c := *d
	c.Log = slices.Clone(d.Log)
	if at, ok := s.search(d.Event.ID); ok {
		c.Event = copiedPush(s.pushes[at])
	}
	return c
}

// DueDeliveries implements [store.Deliveries].
func (s *Store) DueDeliveries(ctx context.Context, subscription string, at time.Time, n int) (all []store.Delivery, err error) {
	err = s.read(ctx, func() error {
		if o := s.outboxes[subscription]; o != nil {
			for _, d := range o.pending {
				if len(all) == limit(n) || d.DueAt.After(at) {
					break
				}
				all = append(all, s.delivered(d))
			}
		}
		return nil
	})
	return all, err
}

// HeldBack implements [store.Deliveries].
func (s *Store) HeldBack(ctx context.Context, subscription string, after time.Time) (held map[tuoguan.Authorization]time.Time, err error) {
	err = s.read(ctx, func() error {
		held = make(map[tuoguan.Authorization]time.Time)
		if o := s.outboxes[subscription]; o != nil {
			for _, d := range o.pending {
				if d.DueAt.After(kept(after)) {
					p := s.delivered(d).Event
					held[tuoguan.Authorization{Component: p.Component, Authorizer: p.Authorizer}] = d.DueAt // the last one stays
				}
			}
		}
		return nil
	})
	return held, err
}

// SaveDeliveries implements [store.Deliveries].
func (s *Store) SaveDeliveries(ctx context.Context, done []store.Delivery) error {
	return s.write(ctx, func() error {
		for _, d := range done {
			o := s.outbox(d.Subscription)
			old := o.all[d.Event.ID]
			if old == nil || old.State != store.DeliveryPending || old.Attempts > d.Attempts && d.State != store.DeliveryDelivered {
				continue
			}
			d.Event, d.Log = store.Push{ID: d.Event.ID}, cloneLog(d.Log)
			o.put(d)
		}
		return nil
	})
}

// cloneLog returns nil for none.
func cloneLog(log []byte) []byte { return append([]byte(nil), log...) }

// PutDeliveries implements [store.Deliveries].
func (s *Store) PutDeliveries(ctx context.Context, subscription string, events []int64, at time.Time) (n int, err error) {
	err = s.write(ctx, func() error {
		o := s.outbox(subscription)
		for _, id := range slices.Compact(slices.Sorted(slices.Values(events))) {
			if _, ok := s.search(id); !ok {
				continue
			}
			d := store.Delivery{Subscription: subscription, Event: store.Push{ID: id}, State: store.DeliveryPending, DueAt: at}
			if old := o.all[id]; old != nil {
				d.Log = old.Log
			}
			o.put(d)
			n++
		}
		return nil
	})
	return n, err
}

// Deliveries implements [store.Deliveries].
func (s *Store) Deliveries(ctx context.Context, q store.DeliveryQuery) (all []store.Delivery, err error) {
	err = s.read(ctx, func() error {
		var found []*store.Delivery
		for subscription, o := range s.outboxes {
			if q.Subscription != "" && q.Subscription != subscription {
				continue
			}
			for id, d := range o.all {
				if (q.Event == 0 || q.Event == id) && (q.State == "" || q.State == d.State) && (q.Before == 0 || id < q.Before) {
					found = append(found, d)
				}
			}
		}
		slices.SortFunc(found, func(a, b *store.Delivery) int {
			return cmp.Or(cmp.Compare(b.Event.ID, a.Event.ID), cmp.Compare(a.Subscription, b.Subscription))
		})
		for _, d := range found[:min(len(found), limit(q.Limit))] {
			c := s.delivered(d)
			c.Event.Key, c.Event.Body, c.Event.Reply = "", nil, nil
			all = append(all, c)
		}
		return nil
	})
	return all, err
}

// Backlog implements [store.Deliveries].
func (s *Store) Backlog(ctx context.Context, subscription string, most int) (b store.Backlog, err error) {
	err = s.read(ctx, func() error {
		o := s.outboxes[subscription]
		if o == nil {
			return nil
		}
		b.Pending = min(len(o.pending), most)
		if len(o.pending) > 0 {
			b.Since = o.pending[0].DueAt
		}
		for _, d := range o.all {
			if d.State == store.DeliveryDead && b.Dead < most {
				b.Dead++
			}
		}
		return nil
	})
	return b, err
}

// PushByKey implements [store.Events].
func (s *Store) PushByKey(ctx context.Context, key string) (found store.Push, err error) {
	err = s.read(ctx, func() error {
		p, ok := s.pushKeys[key]
		if !ok {
			return store.ErrNotFound
		}
		found = copiedPush(p)
		return nil
	})
	return found, err
}

// Events implements [store.Events].
func (s *Store) Events(ctx context.Context, q store.EventQuery) (all []store.Push, err error) {
	err = s.read(ctx, func() error {
		events := slices.All(s.pushes)
		if q.Backwards {
			events = slices.Backward(s.pushes)
		}
		for _, p := range events {
			if len(all) == limit(q.Limit) {
				break
			}
			if s.selects(q, p) {
				all = append(all, copiedPush(p))
			}
		}
		return nil
	})
	return all, err
}

// selects reports whether a query does so with an event.
func (s *Store) selects(q store.EventQuery, p *store.Push) bool {
	kind, begins := strings.CutSuffix(q.Kind, "*")
	return (q.Component == "" || q.Component == p.Component) &&
		(q.Authorizer == "" || q.Authorizer == p.Authorizer) &&
		(q.Kind == "" || kind == p.Kind || begins && strings.HasPrefix(p.Kind, kind)) &&
		(q.Since.IsZero() || !p.ReceivedAt.Before(kept(q.Since))) &&
		(q.Until.IsZero() || p.ReceivedAt.Before(kept(q.Until))) &&
		p.ID > q.After && (q.Before == 0 || p.ID < q.Before) &&
		s.reaches(q.Reach, p)
}

func (s *Store) reaches(r store.Reach, p *store.Push) bool {
	id := tuoguan.Authorization{Component: p.Component, Authorizer: p.Authorizer}
	var tags []string
	if a := s.authorizers[id]; a != nil {
		tags = a.Tags
	}
	alone := p.Authorizer == "" && len(r.Authorizers)+len(r.Tags) > 0
	return !alone && r.Contains(id, tags)
}

// collectPushes removes old pushes with their deliveries, and what was to be delivered
// to subscriptions that are gone.
func (s *Store) collectPushes(before store.Retention) {
	for id, o := range s.outboxes {
		if _, known := s.subscriptions[id]; !known {
			maps.DeleteFunc(o.all, func(_ int64, d *store.Delivery) bool { return d.State != store.DeliveryDelivered })
			o.pending = nil
		}
	}
	waits := make(map[int64]bool)
	for _, o := range s.outboxes {
		for _, d := range o.pending {
			waits[d.Event.ID] = true
		}
	}
	surplus := int64(0) // as many of the oldest are too many
	if before.PushCount > 0 {
		surplus = int64(len(s.pushes)) - before.PushCount
	}
	place := int64(-1)
	s.pushes = slices.DeleteFunc(s.pushes, func(p *store.Push) bool {
		place++
		if waits[p.ID] || place >= surplus && !isBefore(p.ReceivedAt, before.Pushes) {
			return false
		}
		delete(s.pushKeys, p.Key)
		for _, o := range s.outboxes {
			delete(o.all, p.ID)
		}
		return true
	})
}
