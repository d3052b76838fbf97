package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

type exchangeKey struct {
	component tuoguan.ComponentAppID
	codeHash  string
}

// PutExchange implements [store.Exchanges].
func (s *Store) PutExchange(ctx context.Context, e store.Exchange) (stored store.Exchange, isNew bool, err error) {
	err = s.write(ctx, func() error {
		stored, isNew = s.putExchange(e)
		return nil
	})
	return stored, isNew, err
}

func (s *Store) putExchange(e store.Exchange) (stored store.Exchange, isNew bool) {
	e.AuthorizedAt, e.ExpiresAt, e.DueAt = kept(e.AuthorizedAt), kept(e.ExpiresAt), kept(e.DueAt)
	e.RevokedAt, e.CreatedAt, e.FinishedAt = kept(e.RevokedAt), kept(e.CreatedAt), kept(e.FinishedAt)
	key := exchangeKey{e.Component, e.CodeHash}
	old, ok := s.exchanges[key]
	if !ok {
		s.exchanges[key] = &e
		if e.State == store.ExchangePending {
			s.pending[key] = struct{}{}
		}
		return e, true
	}
	if old.State == store.ExchangeDone && old.AuthorizedAt.IsZero() && !e.AuthorizedAt.IsZero() {
		a := s.authorizers[tuoguan.Authorization{Component: old.Component, Authorizer: old.Authorizer}]
		if a != nil && a.Grant == old.Grant {
			a.AuthorizedAt = e.AuthorizedAt
			s.changed(a)
		}
	}
	if old.State == store.ExchangePending && old.Code.IsZero() {
		old.Code = e.Code
	}
	old.Authorizer = cmp.Or(old.Authorizer, e.Authorizer)
	old.PreAuthHash = cmp.Or(old.PreAuthHash, e.PreAuthHash)
	old.Visit = cmp.Or(old.Visit, e.Visit)
	old.AuthorizedAt = cmp.Or(old.AuthorizedAt, e.AuthorizedAt)
	old.ExpiresAt = cmp.Or(old.ExpiresAt, e.ExpiresAt)
	return *old, false
}

// Exchange implements [store.Exchanges].
func (s *Store) Exchange(ctx context.Context, component tuoguan.ComponentAppID, codeHash string) (found store.Exchange, err error) {
	err = s.read(ctx, func() error {
		e, ok := s.exchanges[exchangeKey{component, codeHash}]
		if !ok {
			return store.ErrNotFound
		}
		found = *e
		return nil
	})
	return found, err
}

// DueExchanges implements [store.Exchanges].
func (s *Store) DueExchanges(ctx context.Context, at time.Time, n int) (all []store.Exchange, err error) {
	err = s.read(ctx, func() error {
		for key := range s.pending {
			if e := s.exchanges[key]; !e.DueAt.After(at) {
				all = append(all, *e)
			}
		}
		slices.SortFunc(all, func(a, b store.Exchange) int {
			return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(a.Component, b.Component), cmp.Compare(a.CodeHash, b.CodeHash))
		})
		all = all[:min(len(all), limit(n))]
		return nil
	})
	return all, err
}

// UpdateExchange implements [store.Exchanges].
func (s *Store) UpdateExchange(ctx context.Context, e store.Exchange) error {
	return s.write(ctx, func() error {
		key := exchangeKey{e.Component, e.CodeHash}
		old, ok := s.exchanges[key]
		switch {
		case !ok:
			return store.ErrNotFound
		case old.State == store.ExchangeDone:
			return nil
		}
		old.State, old.Grant, old.Attempts, old.Problem = e.State, e.Grant, e.Attempts, e.Problem
		old.DueAt, old.FinishedAt = kept(e.DueAt), kept(e.FinishedAt)
		old.Authorizer = cmp.Or(e.Authorizer, old.Authorizer)
		if e.State == store.ExchangePending {
			s.pending[key] = struct{}{}
		} else {
			old.Code = tuoguan.Secret{}
			delete(s.pending, key)
		}
		return nil
	})
}
