package access

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

const (
	// DefaultGrace is how long a key stays valid after its rotation if nothing else is said.
	DefaultGrace = 24 * time.Hour
	// MaxGrace is the longest that can be asked for.
	MaxGrace = 30 * 24 * time.Hour

	// attempts is how often a change is tried when others change the key meanwhile.
	attempts = 5
)

// Key is a key as it may be shown: everything but the key itself.
type Key struct {
	ID        string
	Name      string
	Scope     Scope
	CreatedAt time.Time
	UpdatedAt time.Time
	ExpiresAt time.Time // zero: never
	RevokedAt time.Time // zero unless revoked
	// PreviousUntil is until when the key before the last rotation is taken; zero if
	// there was none.
	PreviousUntil time.Time
	LastUsedAt    time.Time // to the minute, and up to half a minute late; zero: never
	Version       int64     // counts the changes, from 1
}

func show(k store.APIKey) Key {
	scope, err := parseScope(k.Scope)
	if err != nil {
		// The key is of no use to this version, but may be to a later one: who wants to
		// rotate it must hold all that it could allow there.
		scope = Scope{Operations: []Operation{Everything}}
	}
	return Key{
		ID: k.ID, Name: k.Name, Scope: scope,
		CreatedAt: k.CreatedAt, UpdatedAt: k.UpdatedAt, ExpiresAt: k.ExpiresAt, RevokedAt: k.RevokedAt,
		PreviousUntil: k.PreviousUntil, LastUsedAt: k.LastUsedAt, Version: k.Version,
	}
}

// NewKey is what a key is made from.
type NewKey struct {
	Name      string // a line of at most 128 bytes
	Scope     Scope
	ExpiresAt time.Time // zero: never
}

// Rotation is how a key is replaced.
type Rotation struct {
	Version int64 // of the key that is to be rotated; 0: whatever it is
	// Grace is how long the old key stays valid beside the new one; 0: not at all. One
	// that is still valid from the rotation before ends now.
	Grace time.Duration
	// ExpiresAt replaces the instant at which the key expires; zero: it stays.
	ExpiresAt time.Time
}

// Change is what is to be different about a key; nil fields stay.
type Change struct {
	Version   int64 // of the key that is to be changed; 0: whatever it is
	Name      *string
	Scope     *Scope
	ExpiresAt *time.Time // to the zero time: never
}

// Create makes a key and returns it, this once. The error is a [Mistakes] if the
// request is at fault.
func (k *Keys) Create(ctx context.Context, n NewKey) (Key, tuoguan.Secret, error) {
	now := k.cfg.Clock.Now()
	var wrong Mistakes
	name, scope := checkName(&wrong, n.Name), checkScope(&wrong, n.Scope)
	checkExpiry(&wrong, n.ExpiresAt, now)
	if len(wrong) > 0 {
		return Key{}, tuoguan.Secret{}, wrong
	}
	id, key := Generate()
	hash := hashOf(key.Reveal())
	stored, err := k.cfg.Store.PutAPIKey(ctx, store.APIKey{
		ID: id, Name: name, Hash: hash[:], Scope: scope, CreatedAt: now, UpdatedAt: now, ExpiresAt: n.ExpiresAt,
	})
	if err != nil {
		return Key{}, tuoguan.Secret{}, storeError(err)
	}
	k.cache.put(id, newRecord(stored))
	return show(stored), key, nil
}

// Rotate replaces the secret of a key and returns the new key, this once. The error is
// store.ErrNotFound, store.ErrConflict if the version is another, [ErrRevokedKey], or a
// [Mistakes].
func (k *Keys) Rotate(ctx context.Context, id string, r Rotation) (Key, tuoguan.Secret, error) {
	var key tuoguan.Secret
	changed, err := k.change(ctx, id, r.Version, func(stored *store.APIKey, now time.Time) error {
		var wrong Mistakes
		if r.Grace < 0 || r.Grace > MaxGrace {
			wrong.add("grace", "must be between 0 and 30 days", "取值为 0 至 30 天")
		}
		if !r.ExpiresAt.IsZero() {
			stored.ExpiresAt = r.ExpiresAt
		}
		checkExpiry(&wrong, stored.ExpiresAt, now)
		if len(wrong) > 0 {
			return wrong
		}
		key = generateFor(id)
		hash := hashOf(key.Reveal())
		stored.PreviousHash, stored.PreviousUntil = stored.Hash, now.Add(r.Grace)
		stored.Hash = hash[:]
		return nil
	})
	if err != nil {
		return Key{}, tuoguan.Secret{}, err
	}
	return changed, key, nil
}

// Revoke takes a key back for ever. It is no error if that was done before.
func (k *Keys) Revoke(ctx context.Context, id string, version int64) (Key, error) {
	revoked, err := k.change(ctx, id, version, func(stored *store.APIKey, now time.Time) error {
		stored.RevokedAt = now
		return nil
	})
	if errors.Is(err, ErrRevokedKey) {
		return k.Get(ctx, id)
	}
	return revoked, err
}

// Update changes a key that is not revoked. The error is as that of [Keys.Rotate].
func (k *Keys) Update(ctx context.Context, id string, c Change) (Key, error) {
	return k.change(ctx, id, c.Version, func(stored *store.APIKey, now time.Time) error {
		var wrong Mistakes
		if c.Name != nil {
			stored.Name = checkName(&wrong, *c.Name)
		}
		if c.Scope != nil {
			stored.Scope = checkScope(&wrong, *c.Scope)
		}
		if c.ExpiresAt != nil {
			checkExpiry(&wrong, *c.ExpiresAt, now)
			stored.ExpiresAt = *c.ExpiresAt
		}
		return wrong.orNil()
	})
}

// Get returns a key as it is stored, or store.ErrNotFound.
func (k *Keys) Get(ctx context.Context, id string) (Key, error) {
	stored, err := k.cfg.Store.APIKey(ctx, id)
	if err != nil {
		return Key{}, storeError(err)
	}
	return show(stored), nil
}

// List returns keys with an id greater than after, ordered by id, revoked and expired
// ones included.
func (k *Keys) List(ctx context.Context, after string, limit int) ([]Key, error) {
	stored, err := k.cfg.Store.APIKeys(ctx, after, limit)
	if err != nil {
		return nil, storeError(err)
	}
	keys := make([]Key, len(stored))
	for i := range stored {
		keys[i] = show(stored[i])
	}
	return keys, nil
}

// change reads a key that is not revoked, lets edit change it, and writes it.
func (k *Keys) change(ctx context.Context, id string, version int64, edit func(*store.APIKey, time.Time) error) (Key, error) {
	for attempt := 1; ; attempt++ {
		stored, err := k.cfg.Store.APIKey(ctx, id)
		if err != nil {
			return Key{}, storeError(err)
		}
		switch {
		case version != 0 && version != stored.Version:
			return Key{}, store.ErrConflict
		case !stored.RevokedAt.IsZero():
			return Key{}, ErrRevokedKey
		}
		now := k.cfg.Clock.Now()
		if err := edit(&stored, now); err != nil {
			return Key{}, err
		}
		stored.UpdatedAt = now
		stored, err = k.cfg.Store.PutAPIKey(ctx, stored)
		if errors.Is(err, store.ErrConflict) && attempt < attempts {
			continue
		}
		if err != nil {
			// It may have been written nevertheless.
			k.cache.expire(id)
			return Key{}, storeError(err)
		}
		k.cache.put(id, newRecord(stored))
		return show(stored), nil
	}
}

// storeError passes on what the contract says and marks the rest.
func storeError(err error) error {
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrStorage, err)
}

func checkName(wrong *Mistakes, name string) string {
	if !isLine(name, maxName) {
		wrong.add("name", "is required, a line of at most 128 bytes", "必填，须为单行且不超过 128 字节")
	}
	return name
}

// checkScope returns the form in which a scope is stored.
func checkScope(wrong *Mistakes, s Scope) string {
	normalized, err := s.Normalized()
	if inScope, ok := errors.AsType[Mistakes](err); ok {
		for _, e := range inScope {
			wrong.add("scope."+e.Field, e.Problem, e.Chinese)
		}
	}
	return normalized.text()
}

func checkExpiry(wrong *Mistakes, at, now time.Time) {
	if !at.IsZero() && !at.After(now) {
		wrong.add("expires_at", "must be in the future", "须晚于当前时间")
	}
}
