package memory

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan/store"
)

// AcquireLease implements [store.Leases].
func (s *Store) AcquireLease(ctx context.Context, key, holder string, ttl time.Duration) (l store.Lease, err error) {
	err = s.write(ctx, func() error {
		l, err = s.acquire(key, holder, ttl)
		return err
	})
	return l, err
}

func (s *Store) acquire(key, holder string, ttl time.Duration) (store.Lease, error) {
	now := s.clock.Now()
	old := s.leases[key]
	if remaining := old.Until.Sub(now); remaining > 0 && old.Holder != holder {
		return store.Lease{}, &store.LeaseHeldError{Key: key, Holder: old.Holder, Remaining: remaining}
	}
	l := store.Lease{Key: key, Holder: holder, Epoch: old.Epoch + 1, Until: kept(now.Add(ttl))}
	s.leases[key] = l
	return l, nil
}

// ReleaseLease implements [store.Leases].
func (s *Store) ReleaseLease(ctx context.Context, l store.Lease) error {
	return s.write(ctx, func() error { return s.release(l) })
}

func (s *Store) release(l store.Lease) error {
	held := s.leases[l.Key]
	if held.Holder == "" || held.Holder != l.Holder || held.Epoch != l.Epoch {
		return store.ErrLeaseLost
	}
	// The epoch stays, for the next one must be greater.
	s.leases[l.Key] = store.Lease{Key: l.Key, Epoch: l.Epoch}
	return nil
}

// Leases implements [store.Leases].
func (s *Store) Leases(ctx context.Context, prefix string) (all []store.Lease, err error) {
	err = s.read(ctx, func() error {
		now := s.clock.Now()
		for key, l := range s.leases {
			if strings.HasPrefix(key, prefix) && l.Until.After(now) {
				all = append(all, l)
			}
		}
		slices.SortFunc(all, func(a, b store.Lease) int { return strings.Compare(a.Key, b.Key) })
		return nil
	})
	return all, err
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
