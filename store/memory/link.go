package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// CreateLink implements [store.Links].
func (s *Store) CreateLink(ctx context.Context, l store.Link) error {
	return s.write(ctx, func() error {
		if _, ok := s.links[l.ID]; ok {
			return store.ErrConflict
		}
		l.PermissionSets = cloneSets(l.PermissionSets)
		l.CreatedAt, l.ExpiresAt, l.UsedAt = kept(l.CreatedAt), kept(l.ExpiresAt), kept(l.UsedAt)
		s.links[l.ID] = &l
		return nil
	})
}

// cloneSets returns nil for none.
func cloneSets(sets []tuoguan.PermissionSet) []tuoguan.PermissionSet {
	return append([]tuoguan.PermissionSet(nil), sets...)
}

func copiedLink(l *store.Link) store.Link {
	c := *l
	c.PermissionSets = cloneSets(l.PermissionSets)
	return c
}

// Link implements [store.Links].
func (s *Store) Link(ctx context.Context, id string) (found store.Link, err error) {
	err = s.read(ctx, func() error {
		l, ok := s.links[id]
		if !ok {
			return store.ErrNotFound
		}
		found = copiedLink(l)
		return nil
	})
	return found, err
}

// Links implements [store.Links].
func (s *Store) Links(ctx context.Context, component tuoguan.ComponentAppID, after string, n int) (all []store.Link, err error) {
	err = s.read(ctx, func() error {
		for id, l := range s.links {
			if (component == "" || l.Component == component) && (after == "" || id < after) {
				all = append(all, copiedLink(l))
			}
		}
		slices.SortFunc(all, func(a, b store.Link) int { return cmp.Compare(b.ID, a.ID) })
		all = all[:min(len(all), limit(n))]
		return nil
	})
	return all, err
}

// CreateVisit implements [store.Links].
func (s *Store) CreateVisit(ctx context.Context, v store.Visit) error {
	return s.write(ctx, func() error {
		if _, ok := s.visits[v.NonceHash]; ok {
			return store.ErrConflict
		}
		v.CreatedAt = kept(v.CreatedAt)
		s.visits[v.NonceHash] = v
		return nil
	})
}

// VisitByNonce implements [store.Links].
func (s *Store) VisitByNonce(ctx context.Context, nonceHash string) (v store.Visit, err error) {
	err = s.read(ctx, func() error {
		var ok bool
		if v, ok = s.visits[nonceHash]; !ok {
			return store.ErrNotFound
		}
		return nil
	})
	return v, err
}

// VisitByPreAuth implements [store.Links].
func (s *Store) VisitByPreAuth(ctx context.Context, preAuthHash string) (found store.Visit, err error) {
	err = s.read(ctx, func() error {
		known := false
		for _, v := range s.visits {
			if v.PreAuthHash == preAuthHash && (!known || newer(v, found)) {
				found, known = v, true
			}
		}
		if !known {
			return store.ErrNotFound
		}
		return nil
	})
	return found, err
}

func newer(a, b store.Visit) bool {
	if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
		return c > 0
	}
	return a.NonceHash < b.NonceHash
}

// CountVisits implements [store.Links].
func (s *Store) CountVisits(ctx context.Context, link string, since time.Time) (n int, err error) {
	err = s.read(ctx, func() error {
		for _, v := range s.visits {
			if v.Link == link && !v.CreatedAt.Before(kept(since)) {
				n++
			}
		}
		return nil
	})
	return n, err
}
