package memory

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// keptUser returns the user with instants as they are kept.
func keptUser(u store.User) store.User {
	u.CreatedAt, u.UpdatedAt, u.LastSeenAt = kept(u.CreatedAt), kept(u.UpdatedAt), kept(u.LastSeenAt)
	return u
}

// PutUser implements [store.Users].
func (s *Store) PutUser(ctx context.Context, u store.User) (stored store.User, err error) {
	err = s.write(ctx, func() error {
		old, known := s.users[u.ID]
		if old.Version != u.Version {
			return store.ErrConflict
		}
		for _, other := range s.users {
			if other.ID != u.ID && (other.FoldedName() == u.FoldedName() || u.Subject != "" && other.Subject == u.Subject) {
				return store.ErrConflict
			}
		}
		if known {
			u.CreatedAt, u.LastSeenAt = old.CreatedAt, old.LastSeenAt
		}
		u.Version++
		stored = keptUser(u)
		s.users[u.ID] = stored
		return nil
	})
	return stored, err
}

// User implements [store.Users].
func (s *Store) User(ctx context.Context, id string) (store.User, error) {
	return s.findUser(ctx, func(u store.User) bool { return u.ID == id })
}

// UserByName implements [store.Users].
func (s *Store) UserByName(ctx context.Context, name string) (store.User, error) {
	folded := store.User{Name: name}.FoldedName()
	return s.findUser(ctx, func(u store.User) bool { return u.FoldedName() == folded })
}

// UserBySubject implements [store.Users].
func (s *Store) UserBySubject(ctx context.Context, subject string) (store.User, error) {
	return s.findUser(ctx, func(u store.User) bool { return subject != "" && u.Subject == subject })
}

// findUser returns the user who is meant.
func (s *Store) findUser(ctx context.Context, meant func(store.User) bool) (u store.User, err error) {
	err = s.read(ctx, func() error {
		for _, known := range s.users {
			if meant(known) {
				u = known
				return nil
			}
		}
		return store.ErrNotFound
	})
	return u, err
}

// Users implements [store.Users].
func (s *Store) Users(ctx context.Context, after string, n int) (all []store.User, err error) {
	err = s.read(ctx, func() error {
		for _, id := range slices.Sorted(maps.Keys(s.users)) {
			if id > after && len(all) < limit(n) {
				all = append(all, s.users[id])
			}
		}
		return nil
	})
	return all, err
}

// DeleteUser implements [store.Users].
func (s *Store) DeleteUser(ctx context.Context, id string, version int64) error {
	return s.write(ctx, func() error {
		u, ok := s.users[id]
		if !ok {
			return store.ErrNotFound
		}
		if u.Version != version {
			return store.ErrConflict
		}
		delete(s.users, id)
		maps.DeleteFunc(s.sessions, func(_ string, o store.Session) bool { return o.User == id })
		return nil
	})
}

// copiedSession returns the session as it is kept, with a hash of its own.
func copiedSession(o store.Session) store.Session {
	o.Hash = bytes.Clone(o.Hash)
	o.CreatedAt, o.LastSeenAt, o.ExpiresAt = kept(o.CreatedAt), kept(o.LastSeenAt), kept(o.ExpiresAt)
	return o
}

// PutSession implements [store.Sessions].
func (s *Store) PutSession(ctx context.Context, o store.Session) error {
	return s.write(ctx, func() error {
		s.sessions[string(o.Hash)] = copiedSession(o)
		return nil
	})
}

// Session implements [store.Sessions].
func (s *Store) Session(ctx context.Context, hash []byte) (o store.Session, err error) {
	err = s.read(ctx, func() error {
		found, ok := s.sessions[string(hash)]
		if !ok || !found.ExpiresAt.After(s.clock.Now()) {
			return store.ErrNotFound
		}
		o = copiedSession(found)
		return nil
	})
	return o, err
}

// SessionsOf implements [store.Sessions].
func (s *Store) SessionsOf(ctx context.Context, user string) (all []store.Session, err error) {
	err = s.read(ctx, func() error {
		now := s.clock.Now()
		for _, o := range s.sessions {
			if o.User == user && o.ExpiresAt.After(now) {
				all = append(all, copiedSession(o))
			}
		}
		slices.SortFunc(all, func(a, b store.Session) int {
			return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), bytes.Compare(a.Hash, b.Hash))
		})
		return nil
	})
	return all, err
}

// TouchSession implements [store.Sessions].
func (s *Store) TouchSession(ctx context.Context, hash []byte, at time.Time) error {
	return s.write(ctx, func() error {
		o, ok := s.sessions[string(hash)]
		if !ok {
			return nil
		}
		o.LastSeenAt = latest(o.LastSeenAt, kept(at))
		s.sessions[string(hash)] = o
		if u, ok := s.users[o.User]; ok {
			u.LastSeenAt = latest(u.LastSeenAt, kept(at))
			s.users[o.User] = u
		}
		return nil
	})
}

// DeleteSession implements [store.Sessions].
func (s *Store) DeleteSession(ctx context.Context, hash []byte) error {
	return s.write(ctx, func() error {
		delete(s.sessions, string(hash))
		return nil
	})
}

// DeleteSessionsOf implements [store.Sessions].
func (s *Store) DeleteSessionsOf(ctx context.Context, user string, except []byte) (n int, err error) {
	err = s.write(ctx, func() error {
		now := s.clock.Now()
		for hash, o := range s.sessions {
			if o.User == user && hash != string(except) && o.ExpiresAt.After(now) {
				delete(s.sessions, hash)
				n++
			}
		}
		return nil
	})
	return n, err
}

// collectSessions removes what has expired for long enough.
func (s *Store) collectSessions(before store.Retention) {
	maps.DeleteFunc(s.sessions, func(_ string, o store.Session) bool {
		return !before.Sessions.IsZero() && o.ExpiresAt.Before(kept(before.Sessions))
	})
}

// AppendTokenEvents implements [store.TokenEvents].
func (s *Store) AppendTokenEvents(ctx context.Context, events []store.TokenEvent) error {
	return s.write(ctx, func() error {
		for _, e := range events {
			s.lastTokenEvent++
			e.ID, e.At = s.lastTokenEvent, kept(e.At)
			s.tokenEvents = append(s.tokenEvents, e)
		}
		return nil
	})
}

// TokenEvents implements [store.TokenEvents].
func (s *Store) TokenEvents(ctx context.Context, a tuoguan.Authorization, before int64, n int) (all []store.TokenEvent, err error) {
	err = s.read(ctx, func() error {
		for _, e := range slices.Backward(s.tokenEvents) {
			if len(all) == limit(n) {
				break
			}
			if e.Authorization == a && (before == 0 || e.ID < before) {
				all = append(all, e)
			}
		}
		return nil
	})
	return all, err
}

// collectTokenEvents removes from the beginning what is old, and what is too much.
func (s *Store) collectTokenEvents(before store.Retention) {
	n := 0
	if !before.TokenEvents.IsZero() {
		for n < len(s.tokenEvents) && s.tokenEvents[n].At.Before(kept(before.TokenEvents)) {
			n++
		}
	}
	if before.TokenEventCount > 0 {
		n = max(n, len(s.tokenEvents)-int(before.TokenEventCount))
	}
	s.tokenEvents = slices.Delete(s.tokenEvents, 0, n)
}
