package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// PutComponent implements [store.Components].
func (s *Store) PutComponent(ctx context.Context, c store.Component) error {
	return s.write(ctx, func() error {
		c.CreatedAt, c.UpdatedAt = kept(c.CreatedAt), kept(c.UpdatedAt)
		if old, ok := s.components[c.AppID]; ok {
			c.CreatedAt = old.CreatedAt
		}
		s.components[c.AppID] = c
		s.note(tuoguan.ComponentToken(c.AppID))
		return nil
	})
}

// Component implements [store.Components].
func (s *Store) Component(ctx context.Context, id tuoguan.ComponentAppID) (c store.Component, err error) {
	err = s.read(ctx, func() error {
		var ok bool
		if c, ok = s.components[id]; !ok {
			return store.ErrNotFound
		}
		return nil
	})
	return c, err
}

// Components implements [store.Components].
func (s *Store) Components(ctx context.Context) (all []store.Component, err error) {
	err = s.read(ctx, func() error {
		for _, id := range slices.Sorted(maps.Keys(s.components)) {
			all = append(all, s.components[id])
		}
		return nil
	})
	return all, err
}

// addTicket is part of AcceptPush.
func (s *Store) addTicket(t store.Ticket) {
	t.CreatedAt, t.ReceivedAt = kept(t.CreatedAt), kept(t.ReceivedAt)
	// A new one comes before its equals, and the sort is stable.
	tickets := append([]store.Ticket{t}, s.tickets[t.Component]...)
	slices.SortStableFunc(tickets, func(a, b store.Ticket) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), b.ReceivedAt.Compare(a.ReceivedAt))
	})
	s.tickets[t.Component] = tickets[:min(len(tickets), 3)]
}

// Tickets implements [store.Components].
func (s *Store) Tickets(ctx context.Context, id tuoguan.ComponentAppID) (all []store.Ticket, err error) {
	err = s.read(ctx, func() error {
		all = slices.Clone(s.tickets[id])
		return nil
	})
	return all, err
}

// ComponentToken implements [store.Components].
func (s *Store) ComponentToken(ctx context.Context, id tuoguan.ComponentAppID) (t store.ComponentToken, err error) {
	err = s.read(ctx, func() error {
		var ok bool
		if t, ok = s.componentTokens[id]; !ok {
			return store.ErrNotFound
		}
		return nil
	})
	return t, err
}

// SaveComponentToken implements [store.Components].
func (s *Store) SaveComponentToken(ctx context.Context, t store.ComponentToken) (moved bool, err error) {
	err = s.write(ctx, func() error {
		old, ok := s.componentTokens[t.Component]
		if moved = !ok || old.Epoch < t.Epoch; moved {
			t.ObtainedAt, t.ExpiresAt = kept(t.ObtainedAt), kept(t.ExpiresAt)
			s.componentTokens[t.Component] = t
		}
		return nil
	})
	return moved, err
}
