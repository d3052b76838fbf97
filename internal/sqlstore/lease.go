package sqlstore

import (
	"context"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// AcquireLease implements [store.Leases].
func (s *Store) AcquireLease(ctx context.Context, key, holder string, ttl time.Duration) (store.Lease, error) {
	return writeFor(ctx, s, 1, func(tx Tx) (store.Lease, error) {
		r, err := tx.One(s.q.SelectLease, key, s.shift())
		if err != nil {
			return store.Lease{}, err
		}
		held := store.Lease{Key: key, Holder: r.Text(), Epoch: r.Int64(), Until: r.Time()}
		now := r.Time()
		if remaining := held.Until.Sub(now); remaining > 0 && held.Holder != holder {
			return store.Lease{}, &store.LeaseHeldError{Key: key, Holder: held.Holder, Remaining: remaining}
		}
		l, taken, err := s.take(tx, held, holder, now.Add(ttl))
		if err == nil && !taken {
			err = errRaced
		}
		return l, err
	})
}

// take claims a lease that was found like this, unless it has been claimed since.
func (s *Store) take(tx Tx, found store.Lease, holder string, until time.Time) (l store.Lease, taken bool, err error) {
	l = store.Lease{Key: found.Key, Holder: holder, Epoch: found.Epoch + 1, Until: kept(until)}
	var changed int64
	if found.Epoch == 0 {
		changed, err = tx.Exec(s.q.InsertLease, l.Key, l.Holder, l.Until)
	} else {
		changed, err = tx.Exec(s.q.TakeLease, l.Key, found.Epoch, l.Holder, l.Until)
	}
	return l, changed > 0, err
}

// ReleaseLease implements [store.Leases].
func (s *Store) ReleaseLease(ctx context.Context, l store.Lease) error {
	return s.write(ctx, 1, func(tx Tx) error {
		released, err := s.release(tx, l)
		if err == nil && !released {
			return store.ErrLeaseLost
		}
		return err
	})
}

// release ends a lease if it is still this very one.
func (s *Store) release(tx Tx, l store.Lease) (released bool, err error) {
	if l.Holder == "" {
		return false, nil // nobody's
	}
	changed, err := tx.Exec(s.q.ReleaseLease, l.Key, l.Holder, l.Epoch)
	return changed > 0, err
}

// Leases implements [store.Leases].
func (s *Store) Leases(ctx context.Context, prefix string) ([]store.Lease, error) {
	return readAll(ctx, s, func(r Row) (store.Lease, error) {
		return store.Lease{Key: r.Text(), Holder: r.Text(), Epoch: r.Int64(), Until: r.Time()}, nil
	}, s.q.SelectLeases, prefix, prefix+"\U0010FFFF", s.shift()) // nothing comes after that
}

// ClaimDue implements [store.Authorizers].
func (s *Store) ClaimDue(ctx context.Context, at time.Time, holder string, ttl time.Duration, n int) ([]store.Due, error) {
	if s.q.ClaimDue != "" {
		return writeFor(ctx, s, 1, func(tx Tx) (claimed []store.Due, err error) {
			err = each(tx, func(r Row) {
				d := store.Due{Authorization: authorization(&r), RefreshAt: r.Time()}
				key := store.TokenLease(tuoguan.AuthorizerToken(d.Component, d.Authorizer))
				d.Lease = store.Lease{Key: key, Holder: holder, Epoch: r.Int64(), Until: r.Time()}
				claimed = append(claimed, d)
			}, s.q.ClaimDue, at, s.shift(), limit(n), holder, ttl.Milliseconds())
			return claimed, err
		})
	}
	return writeFor(ctx, s, 2, func(tx Tx) ([]store.Due, error) {
		rows, err := tx.Query(s.q.LockDue, at, s.shift(), limit(n))
		if err != nil {
			return nil, err
		}
		var claimed []store.Due
		for _, r := range rows {
			d := store.Due{Authorization: authorization(&r), RefreshAt: r.Time()}
			owner := tuoguan.AuthorizerToken(d.Component, d.Authorizer)
			free := store.Lease{Key: store.TokenLease(owner), Epoch: r.Int64()}
			var taken bool
			if d.Lease, taken, err = s.take(tx, free, holder, r.Time().Add(ttl)); err != nil {
				return nil, err
			}
			if taken {
				claimed = append(claimed, d)
			}
		}
		return claimed, nil
	})
}
