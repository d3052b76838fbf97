package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// notesKept is how long changes are remembered. Whoever asks for older ones is told
// everything.
const notesKept = 10 * time.Minute

type setting struct {
	value   []byte
	version int64
}

// note says that something of an owner has changed: the token set of an
// authorizer, the credentials of a component.
type note struct {
	owner tuoguan.TokenOwner
	at    time.Time
}

// Setting implements [store.Settings].
func (s *Store) Setting(ctx context.Context, name string) (value []byte, version int64, err error) {
	err = s.read(ctx, func() error {
		known, ok := s.settings[name]
		if !ok {
			return store.ErrNotFound
		}
		value, version = slices.Clone(known.value), known.version
		return nil
	})
	return value, version, err
}

// PutSetting implements [store.Settings].
func (s *Store) PutSetting(ctx context.Context, name string, value []byte, version int64) error {
	return s.write(ctx, func() error {
		if s.settings[name].version != version {
			return store.ErrConflict
		}
		s.settings[name] = setting{slices.Clone(value), version + 1}
		return nil
	})
}

// note remembers a change for a while.
func (s *Store) note(owner tuoguan.TokenOwner) {
	now := s.clock.Now()
	if len(s.notes) > 0 && now.Sub(s.notes[0].at) > 2*notesKept {
		s.notesFrom = now.Add(-notesKept)
		s.notes = slices.Clone(s.notes[s.notesSince(s.notesFrom):])
	}
	s.notes = append(s.notes, note{owner, now})
}

func (s *Store) notesSince(at time.Time) int {
	first, _ := slices.BinarySearchFunc(s.notes, at, func(n note, at time.Time) int { return n.at.Compare(at) })
	return first
}

// everything is a note of whatever there is.
func (s *Store) everything() (all []note) {
	for _, id := range slices.Sorted(maps.Keys(s.components)) {
		all = append(all, note{owner: tuoguan.ComponentToken(id)})
	}
	for _, id := range s.order {
		all = append(all, note{owner: tuoguan.AuthorizerToken(id.Component, id.Authorizer)})
	}
	return all
}

// Changes implements [store.Store].
func (s *Store) Changes(ctx context.Context, since time.Time) (c store.Changes, err error) {
	err = s.read(ctx, func() error {
		c.Now = kept(s.clock.Now())
		if since.IsZero() {
			return nil
		}
		notes := s.notes[s.notesSince(since):]
		if since.Before(s.notesFrom) {
			notes = s.everything()
		}
		seen := make(map[tuoguan.TokenOwner]bool)
		for _, n := range notes {
			if seen[n.owner] {
				continue
			}
			seen[n.owner] = true
			if n.owner.IsComponent() {
				c.Components = append(c.Components, n.owner.Component())
			} else if a := s.authorizers[n.owner.Authorization()]; a != nil {
				c.Authorizers = append(c.Authorizers, store.Change{Owner: n.owner, State: a.State, Grant: a.Grant, Epoch: a.Epoch})
			}
		}
		for id, t := range s.componentTokens {
			c.ComponentTokens = append(c.ComponentTokens, store.Change{Owner: tuoguan.ComponentToken(id), Epoch: t.Epoch})
		}
		for key := range s.pending {
			if e := *s.exchanges[key]; e.Authorizer != "" {
				e.Code = tuoguan.Secret{}
				c.Exchanges = append(c.Exchanges, e)
			}
		}
		slices.SortFunc(c.Exchanges, func(a, b store.Exchange) int {
			return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.CodeHash, b.CodeHash))
		})
		return nil
	})
	return c, err
}
