package sqlstore

import (
	"context"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// Changes implements [store.Store]. A change bears the instant of its statement and is
// seen from its commit on, so whoever asks again has to look back a little.
func (s *Store) Changes(ctx context.Context, since time.Time) (store.Changes, error) {
	return readFor(ctx, s, func(tx Tx) (c store.Changes, err error) {
		if c.Now, err = s.now(tx); err != nil || since.IsZero() {
			return c, err
		}
		err = each(tx, func(r Row) {
			a := authorization(&r)
			c.Authorizers = append(c.Authorizers, store.Change{
				Owner: tuoguan.AuthorizerToken(a.Component, a.Authorizer),
				State: tuoguan.State(r.Text()), Grant: r.Int64(), Epoch: r.Int64(),
			})
		}, s.q.ChangedAuthorizers, since)
		if err != nil {
			return c, err
		}
		err = each(tx, func(r Row) {
			owner := tuoguan.ComponentToken(tuoguan.ComponentAppID(r.Text()))
			c.ComponentTokens = append(c.ComponentTokens, store.Change{Owner: owner, Epoch: r.Int64()})
		}, s.q.SelectComponentEpochs)
		if err != nil {
			return c, err
		}
		err = each(tx, func(r Row) {
			c.Components = append(c.Components, tuoguan.ComponentAppID(r.Text()))
		}, s.q.ChangedComponents, since)
		if err != nil {
			return c, err
		}
		err = each(tx, func(r Row) {
			c.Exchanges = append(c.Exchanges, exchange(&r).Exchange)
		}, s.q.PendingExchanges)
		return c, err
	})
}

// each calls f for every row of a query.
func each(tx Tx, f func(Row), query string, args ...any) error {
	rows, err := tx.Query(query, args...)
	for _, r := range rows {
		f(r)
	}
	return err
}
