package sqlite

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
	return errors.Join(
		s.remove(ctx, before.Pushes, oldPushes, deletePush),
		s.remove(ctx, before.RefreshTokens, oldRefreshTokens, deleteOldRefreshToken),
		s.remove(ctx, before.Links, oldLinks, deleteLink, deleteVisits),
		s.remove(ctx, before.Exchanges, oldExchanges, deleteExchange),
		s.remove(ctx, s.clock.Now(), oldLeases, deleteLease),
	)
}

// remove deletes the rows that find yields for the instant given.
func (s *Store) remove(ctx context.Context, before time.Time, find string, deletions ...string) error {
	if before.IsZero() {
		return nil
	}
	for {
		rows, err := read(ctx, s, func(c *conn) ([]row, error) { return c.query(find, before, collectRows) })
		if err != nil || len(rows) == 0 {
			return err
		}
		err = s.write(ctx, len(rows), func(tx *conn) error {
			for _, r := range rows {
				id := r.take()
				for _, deletion := range deletions {
					if _, _, err := tx.exec(deletion, id, before); err != nil {
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
