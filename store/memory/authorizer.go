package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// authorizer is a record with its place in the due heap.
type authorizer struct {
	store.Authorizer
	at int // index in the heap, -1 if it is not there
}

// copied returns the record without anything that is shared with the store.
func (a *authorizer) copied() store.Authorizer {
	c := a.Authorizer
	c.PermissionSets = slices.Clone(a.PermissionSets)
	c.Tags = slices.Clone(a.Tags)
	return c
}

func compare(a, b tuoguan.Authorization) int {
	return cmp.Or(cmp.Compare(a.Component, b.Component), cmp.Compare(a.Authorizer, b.Authorizer))
}

// changed brings the indexes in line with a record.
func (s *Store) changed(a *authorizer) {
	a.UpdatedAt = kept(s.clock.Now())
	s.note(tuoguan.AuthorizerToken(a.Component, a.Authorization.Authorizer))
	s.due.put(a)
	if a.State == tuoguan.StateActive && a.ProfileGrant < a.Grant {
		s.profilesDue[a.Authorization] = struct{}{}
	} else {
		delete(s.profilesDue, a.Authorization)
	}
}

// change runs f on a record that exists. F reports whether it changed anything.
func (s *Store) change(ctx context.Context, id tuoguan.Authorization, f func(*authorizer) bool) (changed bool, err error) {
	err = s.write(ctx, func() error {
		a, ok := s.authorizers[id]
		if !ok {
			return store.ErrNotFound
		}
		if changed = f(a); changed {
			s.changed(a)
		}
		return nil
	})
	return changed, err
}

// Authorizer implements [store.Authorizers].
func (s *Store) Authorizer(ctx context.Context, id tuoguan.Authorization) (found store.Authorizer, err error) {
	err = s.read(ctx, func() error {
		a, ok := s.authorizers[id]
		if !ok {
			return store.ErrNotFound
		}
		found = a.copied()
		return nil
	})
	return found, err
}

// Authorizers implements [store.Authorizers].
func (s *Store) Authorizers(ctx context.Context, q store.AuthorizerQuery) (all []store.Authorizer, err error) {
	q.Text = strings.ToLower(q.Text)
	err = s.read(ctx, func() error {
		first, found := slices.BinarySearchFunc(s.order, q.After, compare)
		if found {
			first++
		}
		for _, id := range s.order[first:] {
			if len(all) == limit(q.Limit) {
				break
			}
			if a := s.authorizers[id]; matches(a, q) {
				all = append(all, a.copied())
			}
		}
		return nil
	})
	return all, err
}

// matches expects the text in lower case.
func matches(a *authorizer, q store.AuthorizerQuery) bool {
	return (q.Component == "" || a.Component == q.Component) &&
		(q.Authorizer == "" || a.Authorization.Authorizer == q.Authorizer) &&
		(q.State == "" || a.State == q.State) &&
		(q.Kind == "" || a.Profile.Kind == q.Kind) &&
		(q.PermissionSet == 0 || slices.Contains(a.PermissionSets, q.PermissionSet)) &&
		(q.Tag == "" || slices.Contains(a.Tags, q.Tag)) &&
		q.Reach.Contains(a.Authorization, a.Tags) &&
		(q.Text == "" || strings.ToLower(string(a.Authorization.Authorizer)) == q.Text ||
			strings.ToLower(a.Profile.UserName) == q.Text ||
			strings.Contains(strings.ToLower(a.Profile.NickName), q.Text))
}

// CountAuthorizers implements [store.Authorizers].
func (s *Store) CountAuthorizers(ctx context.Context) (all []store.AuthorizerCount, err error) {
	err = s.read(ctx, func() error {
		type group struct {
			component tuoguan.ComponentAppID
			state     tuoguan.State
		}
		counts := make(map[group]int64)
		for _, a := range s.authorizers {
			counts[group{a.Component, a.State}]++
		}
		for g, n := range counts {
			all = append(all, store.AuthorizerCount{Component: g.component, State: g.state, Count: n})
		}
		slices.SortFunc(all, func(a, b store.AuthorizerCount) int {
			return cmp.Or(cmp.Compare(a.Component, b.Component), cmp.Compare(a.State, b.State))
		})
		return nil
	})
	return all, err
}

// SaveGrant implements [store.Authorizers].
func (s *Store) SaveGrant(ctx context.Context, g store.Grant) (stored store.Authorizer, moved bool, err error) {
	err = s.write(ctx, func() error {
		a, known := s.authorizers[g.Authorization]
		if !known {
			a = &authorizer{Authorizer: store.Authorizer{Authorization: g.Authorization}, at: -1}
		}
		e := s.exchanges[exchangeKey{g.Component, g.CodeHash}]
		if g.AuthorizedAt.IsZero() && e != nil {
			g.AuthorizedAt = e.AuthorizedAt
		}
		g.AuthorizedAt = kept(g.AuthorizedAt)
		before := latest(a.AuthorizedAt, a.RevokedAt)
		done := known && e != nil && e.State == store.ExchangeDone
		newer := g.AuthorizedAt.IsZero() || !before.After(g.AuthorizedAt)
		used := known && a.State != tuoguan.StateRevoked && s.superseded(a, g)
		if used && newer && !done && g.AuthorizedAt.After(a.AuthorizedAt) {
			a.AuthorizedAt = g.AuthorizedAt
			s.changed(a)
		}
		if moved = !done && newer && !used; moved {
			if !known {
				a.CreatedAt = kept(s.clock.Now())
				s.authorizers[g.Authorization] = a
				at, _ := slices.BinarySearchFunc(s.order, g.Authorization, compare)
				s.order = slices.Insert(s.order, at, g.Authorization)
			}
			a.grant(g, before)
			if e != nil && !e.RevokedAt.IsZero() {
				a.revoke(latest(e.RevokedAt, a.AuthorizedAt))
			}
			s.changed(a)
			if l := s.links[g.Link]; l != nil && l.UsedAt.IsZero() {
				l.UsedAt, l.UsedBy = kept(g.ObtainedAt), g.Authorization.Authorizer
			}
		}
		s.remember(store.RefreshToken{
			Authorization: g.Authorization, Grant: a.Grant,
			Value: g.Tokens.RefreshToken, Source: g.Source, ReceivedAt: g.ObtainedAt,
		})
		if e != nil && e.State != store.ExchangeDone {
			e.State, e.Code, e.Problem = store.ExchangeDone, tuoguan.Secret{}, ""
			e.Authorizer, e.Grant, e.FinishedAt = g.Authorization.Authorizer, a.Grant, kept(g.ObtainedAt)
			delete(s.pending, exchangeKey{g.Component, g.CodeHash})
		}
		if moved {
			s.announce(g.Announce)
		}
		stored = a.copied()
		return nil
	})
	return stored, moved, err
}

// superseded reports whether the token set in force came from the one of g, or is
// the same and younger.
func (s *Store) superseded(a *authorizer, g store.Grant) bool {
	if a.Tokens.RefreshToken.Equal(g.Tokens.RefreshToken) {
		return !g.Tokens.RefreshToken.IsZero() && a.ObtainedAt.After(kept(g.ObtainedAt))
	}
	at := func(value tuoguan.Secret) int {
		return slices.IndexFunc(s.history[g.Authorization], func(t store.RefreshToken) bool { return t.Value.Equal(value) })
	}
	came := at(g.Tokens.RefreshToken)
	return came >= 0 && came < at(a.Tokens.RefreshToken)
}

// grant begins a new grant.
func (a *authorizer) grant(g store.Grant, before time.Time) {
	if g.AuthorizedAt.IsZero() {
		g.AuthorizedAt = latest(g.ObtainedAt.Truncate(time.Second), before)
	}
	a.State = tuoguan.StateActive
	a.Grant++
	a.AuthorizedAt, a.RevokedAt = g.AuthorizedAt, time.Time{}
	a.Reference = cmp.Or(g.Reference, a.Reference)
	a.setPermissionSets(g.PermissionSets, g.FuncInfo)
	a.setTokens(g.Tokens, g.ObtainedAt, 0, g.RefreshAt)
}

func latest(instants ...time.Time) (last time.Time) {
	for _, t := range instants {
		if t.After(last) {
			last = t
		}
	}
	return last
}

func (a *authorizer) setPermissionSets(sets []tuoguan.PermissionSet, funcInfo string) {
	a.PermissionSets = slices.Compact(slices.Sorted(slices.Values(sets)))
	a.FuncInfo = funcInfo
}

// setTokens replaces the token set and forgets troubles.
func (a *authorizer) setTokens(set tuoguan.TokenSet, obtainedAt time.Time, epoch int64, refreshAt time.Time) {
	if set.RefreshToken.IsZero() {
		set.RefreshToken = a.Tokens.RefreshToken
	}
	set.ExpiresAt = kept(set.ExpiresAt)
	a.Tokens, a.ObtainedAt, a.Epoch = set, kept(obtainedAt), epoch
	a.Trouble, a.RefreshAt = store.TroubleInfo{}, kept(refreshAt)
}

// SaveTokens implements [store.Authorizers].
func (s *Store) SaveTokens(ctx context.Context, w store.TokenWrite) (moved bool, err error) {
	repeated := false
	moved, err = s.change(ctx, w.Authorization, func(a *authorizer) bool {
		_ = s.release(w.Release) // it may be somebody else's by now
		late := w.Tokens.RefreshToken.IsZero() && a.Epoch != w.Found
		if w.Tokens.RefreshToken.IsZero() {
			w.Tokens.RefreshToken = w.Used
		}
		s.remember(store.RefreshToken{
			Authorization: w.Authorization, Grant: w.Grant,
			Value: w.Tokens.RefreshToken, Source: w.Source, ReceivedAt: w.ObtainedAt,
		})
		if a.Grant != w.Grant || a.State == tuoguan.StateRevoked || a.Epoch >= w.Epoch {
			repeated = a.Grant == w.Grant && a.State != tuoguan.StateRevoked && a.Epoch == w.Epoch && a.ObtainedAt.Equal(kept(w.ObtainedAt))
			return false
		}
		if late {
			w.Tokens.RefreshToken = tuoguan.Secret{} // one that was saved since stays
		}
		a.State = tuoguan.StateActive
		a.setTokens(w.Tokens, w.ObtainedAt, w.Epoch, w.RefreshAt)
		return true
	})
	return moved || repeated, err
}

// remember adds a refresh token to the history.
func (s *Store) remember(t store.RefreshToken) (added bool) {
	if t.Value.IsZero() {
		return false
	}
	t.ReceivedAt = kept(t.ReceivedAt)
	history := s.history[t.Authorization]
	at := slices.IndexFunc(history, func(known store.RefreshToken) bool { return known.Value.Equal(t.Value) })
	switch {
	case at < 0:
	case history[at].Grant >= t.Grant:
		return false
	default:
		history = slices.Delete(history, at, at+1)
	}
	s.history[t.Authorization] = append(history, t)
	return at < 0
}

// AppendRefreshToken implements [store.Authorizers].
func (s *Store) AppendRefreshToken(ctx context.Context, t store.RefreshToken) (added bool, err error) {
	err = s.write(ctx, func() error {
		added = s.remember(t)
		return nil
	})
	return added, err
}

// RefreshTokens implements [store.Authorizers].
func (s *Store) RefreshTokens(ctx context.Context, a tuoguan.Authorization) (all []store.RefreshToken, err error) {
	err = s.read(ctx, func() error {
		all = slices.Clone(s.history[a])
		slices.Reverse(all)
		return nil
	})
	return all, err
}

// SaveTrouble implements [store.Authorizers].
func (s *Store) SaveTrouble(ctx context.Context, t store.Trouble) (changed bool, err error) {
	return s.change(ctx, t.Authorization, func(a *authorizer) bool {
		if a.Grant != t.Grant || a.Epoch != t.Epoch || a.State == tuoguan.StateRevoked {
			return false
		}
		a.State, a.Trouble, a.RefreshAt = t.State, t.Info, kept(t.RefreshAt)
		a.Trouble.SuspectSince = kept(t.Info.SuspectSince)
		if t.State == tuoguan.StateRevoked {
			a.RevokedAt, a.RefreshAt = kept(t.At), time.Time{}
		}
		s.announce(t.Announce)
		return true
	})
}

// Revoke implements [store.Authorizers].
func (s *Store) Revoke(ctx context.Context, id tuoguan.Authorization, at time.Time) (changed bool, err error) {
	err = s.write(ctx, func() error {
		known := false
		changed, known = s.revoke(id, kept(at))
		if !known {
			return store.ErrNotFound
		}
		return nil
	})
	return changed, err
}

// revoke marks an authorizer revoked, and its pending exchanges as taken back.
func (s *Store) revoke(id tuoguan.Authorization, at time.Time) (changed, known bool) {
	for key := range s.pending {
		e := s.exchanges[key]
		if e.Component == id.Component && e.Authorizer == id.Authorizer && !e.AuthorizedAt.After(at) {
			e.RevokedAt = latest(e.RevokedAt, at)
		}
	}
	a, known := s.authorizers[id]
	if known && a.revoke(at) {
		s.changed(a)
		return true, true
	}
	return false, known
}

func (a *authorizer) revoke(at time.Time) bool {
	switch {
	case a.State == tuoguan.StateRevoked:
		// A later revocation of what is revoked counts against grants that come late.
		a.RevokedAt = latest(a.RevokedAt, at)
		return false
	case a.AuthorizedAt.After(at):
		return false
	}
	a.State, a.RevokedAt, a.RefreshAt = tuoguan.StateRevoked, at, time.Time{}
	return true
}

// SaveProfile implements [store.Authorizers].
func (s *Store) SaveProfile(ctx context.Context, id tuoguan.Authorization, p store.Profile) error {
	_, err := s.change(ctx, id, func(a *authorizer) bool {
		if p.Grant < a.ProfileGrant {
			return false
		}
		if p.PermissionSets != nil && p.Grant == a.Grant {
			a.setPermissionSets(p.PermissionSets, p.FuncInfo)
		}
		a.ProfileGrant, a.Profile = p.Grant, p
		a.Profile.PermissionSets, a.Profile.FuncInfo = nil, ""
		a.Profile.ReadAt = kept(p.ReadAt)
		return true
	})
	return err
}

// SaveTags implements [store.Authorizers].
func (s *Store) SaveTags(ctx context.Context, id tuoguan.Authorization, tags []string) error {
	_, err := s.change(ctx, id, func(a *authorizer) bool {
		a.Tags = slices.Compact(slices.Sorted(slices.Values(tags)))
		return true
	})
	return err
}

// ClaimDue implements [store.Authorizers].
func (s *Store) ClaimDue(ctx context.Context, at time.Time, holder string, ttl time.Duration, n int) (all []store.Due, err error) {
	err = s.write(ctx, func() error {
		now := s.clock.Now()
		all = s.due.first(kept(at), limit(n), func(a *authorizer) bool {
			key := store.TokenLease(tuoguan.AuthorizerToken(a.Component, a.Authorization.Authorizer))
			return !s.leases[key].Until.After(now)
		})
		for i, d := range all {
			all[i].Lease, err = s.acquire(store.TokenLease(tuoguan.AuthorizerToken(d.Component, d.Authorizer)), holder, ttl)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// ProfilesDue implements [store.Authorizers].
func (s *Store) ProfilesDue(ctx context.Context, n int) (all []tuoguan.Authorization, err error) {
	err = s.read(ctx, func() error {
		for id := range s.profilesDue {
			all = append(all, id)
		}
		slices.SortFunc(all, compare)
		all = all[:min(len(all), limit(n))]
		return nil
	})
	return all, err
}
