package sqlstore

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/sqlkit"
	"github.com/tuoguan/tuoguan/store"
)

// A row of deliveries says by due_at how far it has come, so that one index finds both
// what is due and what was given up: 0 where it is delivered, neverDue where it is dead.
const neverDue = math.MaxInt64

// pending and dead are conditions on a row of deliveries. The first half of pending is
// by what the index is restricted.
var (
	pending = "due_at > 0 AND due_at < " + strconv.FormatInt(neverDue, 10)
	dead    = "due_at > 0 AND due_at = " + strconv.FormatInt(neverDue, 10)
)

// dueAt is how the instant of a pending delivery is kept: at once is not never.
func dueAt(t time.Time) int64 {
	return min(max(sqlkit.Millis(t), 1), neverDue-1)
}

// due is dueAt for a delivery in any state.
func due(d store.Delivery) int64 {
	switch d.State {
	case store.DeliveryDelivered:
		return 0
	case store.DeliveryDead:
		return neverDue
	}
	return dueAt(d.DueAt)
}

// progress reads due_at, attempts, log and finished_at.
func progress(r *Row, d *store.Delivery) {
	switch ms := r.Int64(); ms {
	case 0:
		d.State = store.DeliveryDelivered
	case neverDue:
		d.State = store.DeliveryDead
	default:
		d.State, d.DueAt = store.DeliveryPending, sqlkit.Time(ms)
	}
	d.Attempts, d.Log, d.FinishedAt = r.Int(), nilIfNone(r.Blob()), r.Time()
}

// DueDeliveries implements [store.Deliveries].
func (s *Store) DueDeliveries(ctx context.Context, subscription string, at time.Time, n int) ([]store.Delivery, error) {
	rows, err := readFor(ctx, s, func(tx Tx) ([]Row, error) {
		return tx.Query(`SELECT due_at, attempts, log, finished_at, `+pushColumns+`
			FROM (SELECT event, due_at, attempts, log, finished_at FROM deliveries
				WHERE subscription = ? AND due_at > 0 AND due_at <= ? ORDER BY due_at, event LIMIT ?) due
			JOIN pushes ON id = event ORDER BY due_at, event`, subscription, dueAt(at), limit(n))
	})
	if err != nil {
		return nil, err
	}
	var all []store.Delivery
	var errs []error
	for _, r := range rows {
		d := store.Delivery{Subscription: subscription}
		progress(&r, &d)
		d.Event, err = s.push(r)
		if err != nil {
			d.Event.Body = nil
			errs = append(errs, err)
		}
		all = append(all, d)
	}
	return all, errors.Join(errs...)
}

// HeldBack implements [store.Deliveries].
func (s *Store) HeldBack(ctx context.Context, subscription string, after time.Time) (map[tuoguan.Authorization]time.Time, error) {
	return readFor(ctx, s, func(tx Tx) (map[tuoguan.Authorization]time.Time, error) {
		held := make(map[tuoguan.Authorization]time.Time)
		err := each(tx, func(r Row) {
			a := authorization(&r)
			held[a] = r.Time()
		}, `SELECT component, authorizer, MAX(due_at) FROM deliveries JOIN pushes ON id = event
			WHERE subscription = ? AND due_at > ? AND `+pending+` GROUP BY component, authorizer`, subscription, after)
		return held, err
	})
}

const (
	// deliveryRows is how many deliveries are written by one statement at most.
	deliveryRows = 64
	// maxPutDeliveries is how many events PutDeliveries takes.
	maxPutDeliveries = 1000
)

// SaveDeliveries implements [store.Deliveries]. All go through them in the same order,
// so none waits for another who waits for him.
func (s *Store) SaveDeliveries(ctx context.Context, done []store.Delivery) error {
	done = slices.Clone(done)
	same := func(a, b store.Delivery) int {
		return cmp.Or(cmp.Compare(a.Event.ID, b.Event.ID), cmp.Compare(a.Subscription, b.Subscription))
	}
	slices.SortStableFunc(done, same)
	var statements [][]any
	for len(done) > 0 {
		n := 1 // of the same one no statement says two things
		for n < len(done) && same(done[n-1], done[n]) != 0 {
			n++
		}
		for part := range chunks(done[:n], deliveryRows) {
			args := make([]any, 0, 6*len(part))
			for _, d := range part {
				finished := d.FinishedAt
				if d.State == store.DeliveryPending {
					finished = time.Time{}
				}
				args = append(args, d.Event.ID, d.Subscription, due(d), d.Attempts, notNil(d.Log), finished)
			}
			statements = append(statements, args)
		}
		done = done[n:]
	}
	if len(statements) == 0 {
		return ctx.Err()
	}
	return s.write(ctx, len(statements), func(tx Tx) error {
		for _, args := range statements {
			if _, err := tx.Exec(s.q.SaveDeliveries(len(args)/6), args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// PutDeliveries implements [store.Deliveries]. The events are locked, so that nobody
// removes one meanwhile.
func (s *Store) PutDeliveries(ctx context.Context, subscription string, events []int64, at time.Time) (int, error) {
	if len(events) > maxPutDeliveries {
		return 0, errors.New("sqlstore: more than 1,000 deliveries at a time")
	}
	ids := padded(slices.Compact(slices.Sorted(slices.Values(events))))
	return writeFor(ctx, s, 2, func(tx Tx) (int, error) {
		known, err := tx.Query("SELECT id FROM pushes WHERE "+oneOf("id", len(ids))+" ORDER BY id"+s.q.ForUpdate, ids...)
		if err != nil {
			return 0, err
		}
		for part := range chunks(known, deliveryRows) {
			var args []any
			for _, r := range part {
				args = append(args, r.Int64(), subscription, dueAt(at))
			}
			_, err := tx.Exec("INSERT INTO deliveries (event, subscription, due_at, attempts, log, finished_at) VALUES "+
				repeated("(?, ?, ?, 0, '', 0)", len(part))+s.q.PutDeliveries, args...)
			if err != nil {
				return 0, err
			}
		}
		return len(known), nil
	})
}

// Deliveries implements [store.Deliveries]. The selection is found first, in an index
// that holds nothing else, and read afterwards, for it may be sorted on the way.
func (s *Store) Deliveries(ctx context.Context, q store.DeliveryQuery) ([]store.Delivery, error) {
	var where conditions
	order := "event DESC"
	where.add(q.Event != 0, "event = ?", q.Event)
	where.add(q.Subscription != "", "subscription = ?", q.Subscription)
	where.add(q.Before != 0, "event < ?", q.Before)
	where.add(q.State == store.DeliveryPending, pending)
	where.add(q.State == store.DeliveryDead, dead)
	where.add(q.State == store.DeliveryDelivered, "due_at = 0")
	where.add(len(where.all) == 0, "event > 0")
	if q.Subscription == "" {
		order += ", subscription"
	}
	where.args = append(where.args, limit(q.Limit))
	return readAll(ctx, s, func(r Row) (d store.Delivery, err error) {
		d.Subscription = r.Text()
		progress(&r, &d)
		d.Event.ID, d.Event.Seq = r.Int64(), r.Int64()
		a := authorization(&r)
		d.Event.Component, d.Event.Authorizer = a.Component, a.Authorizer
		d.Event.Kind, d.Event.CreatedAt, d.Event.ReceivedAt = r.Text(), r.Time(), r.Time()
		return d, nil
	}, `SELECT subscription, due_at, attempts, log, finished_at, id, seq, component, authorizer, kind, created_at, received_at
		FROM (SELECT event AS of_event, subscription AS of_subscription FROM deliveries
			WHERE `+where.String()+` ORDER BY `+order+` LIMIT ?) selected
		JOIN deliveries ON event = of_event AND subscription = of_subscription
		JOIN pushes ON id = event ORDER BY `+order, where.args...)
}

// Backlog implements [store.Deliveries].
func (s *Store) Backlog(ctx context.Context, subscription string, most int) (store.Backlog, error) {
	r, err := readFor(ctx, s, func(tx Tx) (Row, error) {
		return tx.One(`SELECT
			(SELECT count(*) FROM (SELECT event FROM deliveries WHERE subscription = ?1 AND `+pending+` LIMIT ?2) waiting),
			(SELECT count(*) FROM (SELECT event FROM deliveries WHERE subscription = ?1 AND `+dead+` LIMIT ?2) given_up),
			(SELECT MIN(due_at) FROM deliveries WHERE subscription = ?1 AND `+pending+`)`, subscription, most)
	})
	if err != nil {
		return store.Backlog{}, err
	}
	return store.Backlog{Pending: r.Int(), Dead: r.Int(), Since: r.Time()}, nil
}
