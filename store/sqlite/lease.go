package sqlite

import (
	"context"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan/store"
)

// AcquireLease implements [store.Leases].
func (s *Store) AcquireLease(ctx context.Context, key, holder string, ttl time.Duration) (store.Lease, error) {
	return writeFor(ctx, s, 1, func(tx *conn) (store.Lease, error) {
		now := s.clock.Now()
		until := kept(now.Add(ttl))
		rows, err := tx.query(acquireLease, key, s.session+holder, until, now, s.session)
		if err != nil {
			return store.Lease{}, err
		}
		if len(rows) > 0 {
			return store.Lease{Key: key, Holder: holder, Epoch: rows[0].int64(), Until: until}, nil
		}
		r, err := tx.one(selectLease, key)
		if err != nil {
			return store.Lease{}, err
		}
		return store.Lease{}, &store.LeaseHeldError{Key: key, Holder: strings.TrimPrefix(r.text(), s.session), Remaining: r.time().Sub(now)}
	})
}

// ReleaseLease implements [store.Leases].
func (s *Store) ReleaseLease(ctx context.Context, l store.Lease) error {
	return s.write(ctx, 1, func(tx *conn) error {
		changed, _, err := tx.exec(releaseLease, l.Key, s.session+l.Holder, l.Epoch)
		if err == nil && changed == 0 {
			return store.ErrLeaseLost
		}
		return err
	})
}
