package memory

import (
	"context"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan/store"
)

// AcquireLease implements [store.Leases].
func (s *Store) AcquireLease(ctx context.Context, key, holder string, ttl time.Duration) (l store.Lease, err error) {
	err = s.write(ctx, func() error {
		now := s.clock.Now()
		old := s.leases[key]
		if remaining := old.Until.Sub(now); remaining > 0 && old.Holder != holder {
			return &store.LeaseHeldError{Key: key, Holder: old.Holder, Remaining: remaining}
		}
		l = store.Lease{Key: key, Holder: holder, Epoch: old.Epoch + 1, Until: kept(now.Add(ttl))}
		s.leases[key] = l
		return nil
	})
	return l, err
}

// ReleaseLease implements [store.Leases].
func (s *Store) ReleaseLease(ctx context.Context, l store.Lease) error {
	return s.write(ctx, func() error {
		held := s.leases[l.Key]
		if held.Holder == "" || held.Holder != l.Holder || held.Epoch != l.Epoch {
			return store.ErrLeaseLost
		}
		// The epoch stays, for the next one must be greater.
		s.leases[l.Key] = store.Lease{Key: l.Key, Epoch: l.Epoch}
		return nil
	})
}

// collectLeases removes leases on exchanges that are gone.
func (s *Store) collectLeases() {
	known := make(map[string]bool, len(s.exchanges))
	for key := range s.exchanges {
		known[store.ExchangeLease(key.component, key.codeHash)] = true
	}
	for key, l := range s.leases {
		ended := !l.Until.After(s.clock.Now())
		if strings.HasPrefix(key, "exchange/") && !known[key] && ended { // as made by store.ExchangeLease
			delete(s.leases, key)
		}
	}
}
