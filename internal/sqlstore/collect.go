package sqlstore

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan/store"
)

// collectRows is how many rows are removed in one step.
const collectRows = 200

// Collect implements [store.Store]. What it was asked to keep it keeps; where it
// is interrupted the rest is removed the next time.
func (s *Store) Collect(ctx context.Context, before store.Retention) error {
	now, err := readFor(ctx, s, s.now)
	if err != nil {
		return err
	}
	return errors.Join(
		s.collectDeliveries(ctx),
		s.collectPushes(ctx, before),
		s.remove(ctx, before.RefreshTokens, s.q.OldRefreshTokens, s.q.DeleteOldRefreshToken),
		s.remove(ctx, before.Links, s.q.OldLinks, s.q.DeleteLink, s.q.DeleteVisits),
		s.remove(ctx, before.Exchanges, s.q.OldExchanges, s.q.DeleteExchange),
		s.remove(ctx, now, s.q.OldLeases, s.q.DeleteLease),
		s.remove(ctx, now.Add(-store.ExpiredValuesKept), s.q.OldValues, s.q.DeleteValue),
		s.remove(ctx, before.Sessions, "SELECT session_hash FROM sessions WHERE expires_at < ? LIMIT ?",
			"DELETE FROM sessions WHERE session_hash = ? AND expires_at < ?"),
		s.collectTokenEvents(ctx, before),
	)
}

// remove deletes the rows that find yields for the instant given.
func (s *Store) remove(ctx context.Context, before time.Time, find string, deletions ...string) error {
	if before.IsZero() {
		return nil
	}
	for {
		rows, err := readFor(ctx, s, func(tx Tx) ([]Row, error) { return tx.Query(find, before, collectRows) })
		if err != nil || len(rows) == 0 {
			return err
		}
		err = s.write(ctx, len(rows), func(tx Tx) error {
			for _, r := range rows {
				args := append(r.values[:len(r.values):len(r.values)], before)
				for _, deletion := range deletions {
					if _, err := tx.Exec(deletion, args...); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil || len(rows) < collectRows {
			return err
		}
	}
}

// collectDeliveries removes what is still to be delivered to subscriptions that are
// gone, and what was given up.
func (s *Store) collectDeliveries(ctx context.Context) error {
	for subscription := ""; ; {
		r, err := readFor(ctx, s, func(tx Tx) (Row, error) { return tx.One(s.q.NextOutbox, subscription) })
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		subscription = r.Text()
		_, err = readFor(ctx, s, func(tx Tx) (Row, error) { return tx.One(s.q.SelectSubscription, subscription) })
		if err == nil {
			continue
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		for {
			rows, err := readFor(ctx, s, func(tx Tx) ([]Row, error) {
				return tx.Query("SELECT event FROM deliveries WHERE subscription = ? AND due_at > 0 LIMIT ?", subscription, collectRows)
			})
			if err != nil {
				return err
			}
			if len(rows) == 0 {
				break
			}
			events := padded(numbersOf(rows))
			err = s.write(ctx, 1, func(tx Tx) error {
				_, err := tx.Exec("DELETE FROM deliveries WHERE subscription = ? AND due_at > 0 AND "+oneOf("event", len(events)),
					append([]any{subscription}, events...)...)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
}

// numbersOf returns the first value of each row.
func numbersOf(rows []Row) (all []int64) {
	for _, r := range rows {
		all = append(all, r.Int64())
	}
	return all
}

// collectPushes removes pushes with their deliveries: the old ones, and those that are
// too many. One of which a delivery is pending stays.
func (s *Store) collectPushes(ctx context.Context, before store.Retention) error {
	var errs []error
	if !before.Pushes.IsZero() {
		errs = append(errs, s.removePushes(ctx, before.Pushes, "received_at", "id"))
	}
	if before.PushCount > 0 {
		r, err := readFor(ctx, s, func(tx Tx) (Row, error) {
			return tx.One("SELECT id FROM pushes ORDER BY id DESC LIMIT 1 OFFSET ?", before.PushCount)
		})
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			errs = append(errs, err)
		default:
			errs = append(errs, s.removePushes(ctx, r.Int64()+1, "id"))
		}
	}
	return errors.Join(errs...)
}

// removePushes removes pushes of which the first column of an index, which ends with the
// id, is less than a bound. It passes over each once, however many must stay.
func (s *Store) removePushes(ctx context.Context, bound any, index ...string) error {
	noneWaits := "NOT EXISTS (SELECT 1 FROM deliveries WHERE event = id AND " + pending + ")"
	columns := strings.Join(index, ", ")
	after := make([]any, len(index))
	for i := range after {
		after[i] = int64(math.MinInt64)
	}
	for {
		condition, args := s.after(index, after)
		rows, err := readFor(ctx, s, func(tx Tx) ([]Row, error) {
			return tx.Query("SELECT "+columns+", CASE WHEN "+noneWaits+" THEN 1 ELSE 0 END FROM pushes WHERE "+index[0]+" < ? AND "+condition+
				" ORDER BY "+columns+" LIMIT ?", append(append([]any{bound}, args...), collectRows)...)
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		var ids []int64
		for _, r := range rows {
			id := int64(0)
			for i := range after {
				id = r.Int64()
				after[i] = id
			}
			if r.Int64() == 1 {
				ids = append(ids, id)
			}
		}
		if len(ids) > 0 {
			if err := s.deletePushes(ctx, ids, noneWaits); err != nil {
				return err
			}
		}
		if len(rows) < collectRows {
			return nil
		}
	}
}

// deletePushes removes pushes with their deliveries, where a condition still holds.
func (s *Store) deletePushes(ctx context.Context, ids []int64, condition string) error {
	args := padded(ids)
	named := oneOf("id", len(args))
	return s.write(ctx, 3, func(tx Tx) error {
		if s.q.ForUpdate != "" { // so that nobody makes a delivery of one meanwhile
			if _, err := tx.Query("SELECT id FROM pushes WHERE "+named+" ORDER BY id"+s.q.ForUpdate, args...); err != nil {
				return err
			}
		}
		if _, err := tx.Exec("DELETE FROM pushes WHERE "+named+" AND "+condition, args...); err != nil {
			return err
		}
		_, err := tx.Exec("DELETE FROM deliveries WHERE "+oneOf("event", len(args))+
			" AND NOT EXISTS (SELECT 1 FROM pushes WHERE id = event)", args...)
		return err
	})
}
