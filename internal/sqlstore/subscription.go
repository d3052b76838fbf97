package sqlstore

import (
	"context"

	"github.com/tuoguan/tuoguan/store"
)

func subscriptionPlace(id string) store.Place {
	return store.Place{Field: "subscription_secrets", Row: id}
}

func (s *Store) subscription(r Row) (sub store.Subscription, err error) {
	sub.ID, sub.Name, sub.Spec = r.Text(), r.Text(), r.Text()
	sealed := r.Blob()
	sub.State, sub.Problem = store.SubscriptionState(r.Text()), r.Text()
	sub.CreatedAt, sub.UpdatedAt, sub.Version = r.Time(), r.Time(), r.Int64()
	sub.Secrets, err = s.openBytes(subscriptionPlace(sub.ID), sealed)
	return sub, err
}

// PutSubscription implements [store.Subscriptions].
func (s *Store) PutSubscription(ctx context.Context, sub store.Subscription) (store.Subscription, error) {
	sealed, err := s.sealBytes(subscriptionPlace(sub.ID), sub.Secrets)
	if err != nil {
		return store.Subscription{}, err
	}
	query := s.q.UpdateSubscription
	args := []any{sub.ID, sub.Name, sub.Spec, sealed, string(sub.State), sub.Problem, sub.CreatedAt, sub.UpdatedAt, sub.Version}
	if sub.Version == 0 {
		query, args = s.q.InsertSubscription, args[:len(args)-1]
	}
	row, err := writeFor(ctx, s, 2, func(tx Tx) (Row, error) { // so that what is read is what was put
		changed, err := tx.Exec(query, args...)
		if err == nil && changed == 0 {
			err = store.ErrConflict
		}
		if err != nil {
			return Row{}, err
		}
		return tx.One(s.q.SelectSubscription, sub.ID)
	})
	if err != nil {
		return store.Subscription{}, err
	}
	return whole(s.subscription(row))
}

// Subscription implements [store.Subscriptions].
func (s *Store) Subscription(ctx context.Context, id string) (store.Subscription, error) {
	return readOne(ctx, s, s.subscription, s.q.SelectSubscription, id)
}

// Subscriptions implements [store.Subscriptions].
func (s *Store) Subscriptions(ctx context.Context, after string, n int) ([]store.Subscription, error) {
	return readAll(ctx, s, s.subscription, s.q.SelectSubscriptions, after, limit(n))
}

// DeleteSubscription implements [store.Subscriptions].
func (s *Store) DeleteSubscription(ctx context.Context, id string, version int64) error {
	return s.write(ctx, 1, func(tx Tx) error {
		deleted, err := tx.Exec(s.q.DeleteSubscription, id, version)
		if err == nil && deleted == 0 {
			err = store.ErrConflict
		}
		return err
	})
}
