package sqlstore

import (
	"context"
	"errors"
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
		s.remove(ctx, before.Pushes, s.q.OldPushes, s.q.DeletePush),
		s.remove(ctx, before.RefreshTokens, s.q.OldRefreshTokens, s.q.DeleteOldRefreshToken),
		s.remove(ctx, before.Links, s.q.OldLinks, s.q.DeleteLink, s.q.DeleteVisits),
		s.remove(ctx, before.Exchanges, s.q.OldExchanges, s.q.DeleteExchange),
		s.remove(ctx, now, s.q.OldLeases, s.q.DeleteLease),
		s.remove(ctx, now.Add(-store.ExpiredValuesKept), s.q.OldValues, s.q.DeleteValue),
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
