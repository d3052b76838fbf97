package sqlstore

import (
	"context"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// sealedExchange is an exchange whose code has not been opened yet.
type sealedExchange struct {
	store.Exchange
	code []byte
}

// exchange decodes a row without the code.
func exchange(r *Row) sealedExchange {
	var e sealedExchange
	e.Component, e.CodeHash = tuoguan.ComponentAppID(r.Text()), r.Text()
	e.code = r.Blob()
	e.Authorizer, e.PreAuthHash, e.Visit = tuoguan.AuthorizerAppID(r.Text()), r.Text(), r.Text()
	e.AuthorizedAt, e.ExpiresAt, e.RevokedAt = r.Time(), r.Time(), r.Time()
	e.State, e.Grant = store.ExchangeState(r.Text()), r.Int64()
	e.Attempts, e.DueAt, e.Problem = r.Int(), r.Time(), r.Text()
	e.CreatedAt, e.FinishedAt = r.Time(), r.Time()
	return e
}

func (s *Store) exchange(r Row) (store.Exchange, error) {
	e := exchange(&r)
	var err error
	e.Code, err = s.open(codePlace(e.Exchange), e.code)
	return e.Exchange, err
}

func codePlace(e store.Exchange) store.Place {
	return store.Place{Component: e.Component, Field: "code", Row: e.CodeHash}
}

// putExchangeResult is what the writer reports about a code.
type putExchangeResult struct {
	row   Row
	isNew bool
}

// PutExchange implements [store.Exchanges].
func (s *Store) PutExchange(ctx context.Context, e store.Exchange) (store.Exchange, bool, error) {
	code, err := s.seal(codePlace(e), e.Code)
	if err != nil {
		return store.Exchange{}, false, err
	}
	put, err := writeFor(ctx, s, 3, func(tx Tx) (putExchangeResult, error) {
		isNew, err := s.putExchange(tx, e, code)
		if err != nil {
			return putExchangeResult{}, err
		}
		r, err := tx.One(s.q.SelectExchange, e.Component, e.CodeHash)
		return putExchangeResult{r, isNew}, err
	})
	if err != nil {
		return store.Exchange{}, false, err
	}
	stored, err := whole(s.exchange(put.row))
	return stored, put.isNew, err
}

func (s *Store) putExchange(tx Tx, e store.Exchange, code []byte) (isNew bool, err error) {
	inserted, err := tx.Exec(s.q.InsertExchange, e.Component, e.CodeHash, code, e.Authorizer, e.PreAuthHash, e.Visit,
		e.AuthorizedAt, e.ExpiresAt, e.RevokedAt, e.State, e.Grant, e.Attempts, e.DueAt, e.Problem, e.CreatedAt, e.FinishedAt)
	if err != nil || inserted > 0 {
		return inserted > 0, err
	}
	if _, err := tx.One(s.q.LockExchange, e.Component, e.CodeHash); err != nil {
		return false, err
	}
	if !e.AuthorizedAt.IsZero() {
		if _, err := tx.Exec(s.q.InheritAuthorizedAt, e.Component, e.CodeHash, e.AuthorizedAt, s.shift()); err != nil {
			return false, err
		}
	}
	_, err = tx.Exec(s.q.CompleteExchange, e.Component, e.CodeHash, code, e.Authorizer, e.PreAuthHash, e.Visit,
		e.AuthorizedAt, e.ExpiresAt)
	return false, err
}

// Exchange implements [store.Exchanges].
func (s *Store) Exchange(ctx context.Context, component tuoguan.ComponentAppID, codeHash string) (store.Exchange, error) {
	return readOne(ctx, s, s.exchange, s.q.SelectExchange, component, codeHash)
}

// DueExchanges implements [store.Exchanges].
func (s *Store) DueExchanges(ctx context.Context, at time.Time, n int) ([]store.Exchange, error) {
	return readAll(ctx, s, s.exchange, s.q.SelectDueExchanges, at, limit(n))
}

// UpdateExchange implements [store.Exchanges].
func (s *Store) UpdateExchange(ctx context.Context, e store.Exchange) error {
	return s.write(ctx, 1, func(tx Tx) error {
		changed, err := tx.Exec(s.q.UpdateExchange, e.Component, e.CodeHash, e.State, e.Grant, e.Attempts, e.DueAt,
			e.Problem, e.Authorizer, e.FinishedAt)
		if err != nil || changed > 0 {
			return err
		}
		_, err = tx.One(s.q.SelectExchange, e.Component, e.CodeHash)
		return err
	})
}
