package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/store"
)

// Replay says what is to be delivered again: exactly one of Events, Query and Dead.
type Replay struct {
	Subscription string
	Events       []int64 // by their number in the store, whether the subscription matches them or not
	// Query selects events likewise. Its bounds of the id are those of the replay; its Limit
	// and Backwards do not count.
	Query *store.EventQuery
	Dead  bool // all that are dead
}

// replayPage is how many events are made due in one step.
const replayPage = 1000

// ErrUnknownSubscription: there is no such subscription, or nothing is delivered to it.
var ErrUnknownSubscription = errors.New("delivery: there is no such subscription to deliver to")

// Replay makes events due again for a subscription and returns how many; they are delivered
// as soon as it is active. Progress, if not nil, is told how many it is so far. A replay that
// was cut short may be repeated; events that were delivered meanwhile are so again.
func (d *Dispatcher) Replay(ctx context.Context, r Replay, progress func(done int64)) (int64, error) {
	if s, ok := d.cfg.Subscriptions.Get(r.Subscription); !ok || s.Spec.Sink.Type == subscription.Answer {
		return 0, fmt.Errorf("%w: %s", ErrUnknownSubscription, r.Subscription)
	}
	next, err := d.pages(r)
	if err != nil {
		return 0, err
	}
	done := int64(0)
	for {
		ids, more, err := next(ctx)
		if err != nil {
			return done, fmt.Errorf("replay: %w", err)
		}
		if len(ids) > 0 {
			at, err := d.receipt(ctx, slices.Min(ids))
			if err != nil {
				return done, fmt.Errorf("replay: %w", err)
			}
			n, err := d.cfg.Store.PutDeliveries(ctx, r.Subscription, ids, at)
			if err != nil {
				return done, fmt.Errorf("replay: %w", err)
			}
			done += int64(n)
			if progress != nil {
				progress(done)
			}
			d.Wake([]store.Route{{Subscription: r.Subscription}})
		}
		if !more {
			return done, nil
		}
	}
}

// receipt returns when an event was received, or the one after it if it is gone. What is
// replayed is due since then, so that it is not due after what came later.
func (d *Dispatcher) receipt(ctx context.Context, event int64) (time.Time, error) {
	found, err := d.cfg.Store.Events(ctx, store.EventQuery{After: event - 1, Limit: 1})
	if err != nil && !errors.Is(err, store.ErrQuarantined) {
		return time.Time{}, err
	}
	now := d.clock.Now()
	if len(found) == 0 || found[0].ReceivedAt.After(now) {
		return now, nil
	}
	return found[0].ReceivedAt, nil
}

// pages returns what gives one page of the events of a replay after the other.
func (d *Dispatcher) pages(r Replay) (func(context.Context) (ids []int64, more bool, err error), error) {
	switch {
	case len(r.Events) > 0 && r.Query == nil && !r.Dead:
		chunks := slices.Collect(slices.Chunk(r.Events, replayPage))
		return func(context.Context) ([]int64, bool, error) {
			ids := chunks[0]
			chunks = chunks[1:]
			return ids, len(chunks) > 0, nil
		}, nil
	case r.Query != nil && len(r.Events) == 0 && !r.Dead:
		q := *r.Query
		q.Limit, q.Backwards = replayPage, false
		if q.Until.IsZero() {
			q.Until = d.clock.Now() // what comes meanwhile is not part of it
		}
		return func(ctx context.Context) (ids []int64, more bool, err error) {
			events, err := d.cfg.Store.Events(ctx, q)
			if err != nil && !errors.Is(err, store.ErrQuarantined) {
				return nil, false, err
			}
			for _, p := range events {
				if event.Deliverable(p.Kind) {
					ids = append(ids, p.ID)
				}
				q.After = p.ID
			}
			return ids, len(events) == replayPage, nil
		}, nil
	case r.Dead && len(r.Events) == 0 && r.Query == nil:
		q := store.DeliveryQuery{Subscription: r.Subscription, State: store.DeliveryDead, Limit: replayPage}
		return func(ctx context.Context) (ids []int64, more bool, err error) {
			dead, err := d.cfg.Store.Deliveries(ctx, q)
			if err != nil {
				return nil, false, err
			}
			for _, dd := range dead {
				ids, q.Before = append(ids, dd.Event.ID), dd.Event.ID
			}
			return ids, len(dead) == replayPage, nil
		}, nil
	}
	return nil, errors.New("replay: name either events, or a query, or the dead ones")
}
