package subscription

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// maxConflicts bounds how often a change is made anew because of changes by others.
const maxConflicts = 5

// Create adds an active subscription. A webhook in the format CloudEvents gets a signing
// key if none is given.
//
// Errors: [Mistakes], those of the store.
func (s *Set) Create(ctx context.Context, name string, spec Spec, secrets Secrets) (Subscription, error) {
	now := s.cfg.Clock.Now()
	created := Subscription{ID: NewID(), Name: name, State: store.SubscriptionActive, Spec: spec, Secrets: secrets, CreatedAt: now}
	created.settleSigning(now)
	if err := created.Check(); err != nil {
		return Subscription{}, err
	}
	return s.put(ctx, created, now)
}

// Update changes a subscription as it is stored now by calling change. A version other
// than 0 is the one that it must still have. Where it is 0 and somebody else changes the
// subscription at the same time, change is called again. What change makes of ID,
// CreatedAt and Version does not count.
//
// Errors: [store.ErrNotFound], [store.ErrConflict], [Mistakes], that of change, those of
// the store.
func (s *Set) Update(ctx context.Context, id string, version int64, change func(*Subscription) error) (Subscription, error) {
	return s.update(ctx, id, version, func(changed *Subscription) error {
		if err := change(changed); err != nil {
			return err
		}
		changed.settleSigning(s.cfg.Clock.Now())
		return changed.Check()
	})
}

// settleSigning makes a signing key where one is needed and none is there, and drops
// those that are used for nothing.
func (s *Subscription) settleSigning(at time.Time) {
	switch {
	case !s.Spec.signed():
		s.Secrets.Signing = nil
	case len(s.Secrets.Signing) == 0:
		s.Secrets.RotateSigning(at, 0)
	}
}

// update is Update without a check, for changes of what is not checked: those must not
// fail because of what an older version has let pass.
func (s *Set) update(ctx context.Context, id string, version int64, change func(*Subscription) error) (Subscription, error) {
	for attempt := 1; ; attempt++ {
		stored, err := s.cfg.Store.Subscription(ctx, id)
		if err != nil {
			return Subscription{}, fmt.Errorf("subscription %s: %w", id, err)
		}
		if version != 0 && stored.Version != version {
			return Subscription{}, fmt.Errorf("subscription %s: %w", id, store.ErrConflict)
		}
		before, err := Parse(stored)
		if err != nil {
			return Subscription{}, err
		}
		after := before
		if err := change(&after); err != nil {
			return Subscription{}, err
		}
		after.ID, after.CreatedAt, after.Version = before.ID, before.CreatedAt, before.Version
		after, err = s.put(ctx, after, s.cfg.Clock.Now())
		if version != 0 || attempt == maxConflicts || !errors.Is(err, store.ErrConflict) {
			return after, err
		}
	}
}

// SetState pauses, resumes or disables a subscription. The problem says why it is
// disabled.
//
// Errors: those of [Set.Update].
func (s *Set) SetState(ctx context.Context, id string, state store.SubscriptionState, problem string) (Subscription, error) {
	return s.update(ctx, id, 0, func(changed *Subscription) error {
		changed.State, changed.Problem = state, problem
		return nil
	})
}

// Rotate gives a subscription a new signing key, and returns it. The one before it stays
// in force for the overlap.
//
// Errors: those of [Set.Update]; [Mistakes] where nothing is signed.
func (s *Set) Rotate(ctx context.Context, id string, version int64, overlap time.Duration) (Subscription, tuoguan.Secret, error) {
	var key tuoguan.Secret
	rotated, err := s.update(ctx, id, version, func(changed *Subscription) error {
		if !changed.Spec.signed() {
			return unsigned
		}
		key = changed.Secrets.RotateSigning(s.cfg.Clock.Now(), overlap)
		return nil
	})
	if err != nil {
		return Subscription{}, tuoguan.Secret{}, err
	}
	return rotated, key, nil
}

// unsigned is the mistake of whoever rotates a key that is used for nothing.
var unsigned = Mistakes{{
	Field: "sink.format", Text: "only webhooks in the format cloudevents are signed", TextZH: "仅 cloudevents 格式的 webhook 使用签名密钥",
}}

// Delete removes a subscription, whose version must still be the one given; 0: whatever
// it is. What was still to be delivered to it is dropped.
//
// Errors: [store.ErrNotFound], [store.ErrConflict], those of the store.
func (s *Set) Delete(ctx context.Context, id string, version int64) error {
	for attempt := 1; ; attempt++ {
		expected := version
		if expected == 0 {
			stored, err := s.cfg.Store.Subscription(ctx, id)
			if err != nil && !errors.Is(err, store.ErrQuarantined) {
				return fmt.Errorf("subscription %s: %w", id, err)
			}
			expected = stored.Version
		}
		err := s.cfg.Store.DeleteSubscription(ctx, id, expected)
		if err == nil {
			s.refresh(ctx)
			return nil
		}
		if version != 0 || attempt == maxConflicts || !errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("subscription %s: %w", id, err)
		}
	}
}

// put stores a subscription, and has the set know it.
func (s *Set) put(ctx context.Context, changed Subscription, now time.Time) (Subscription, error) {
	changed.UpdatedAt = now
	changed.Spec = changed.Spec.Normalize()
	record, err := changed.Record()
	if err != nil {
		return Subscription{}, err
	}
	stored, err := s.cfg.Store.PutSubscription(ctx, record)
	if err != nil {
		return Subscription{}, fmt.Errorf("subscription %s: %w", changed.ID, err)
	}
	s.refresh(ctx)
	return Parse(stored)
}

// refresh has the set know a change at once. If it cannot, Run does within a second.
func (s *Set) refresh(ctx context.Context) { _ = s.Load(ctx) }
