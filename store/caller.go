package store

import (
	"context"
	"time"
)

// APIKeys keeps the keys of those who call this installation. The secret part of a
// key is known to its owner alone; what is kept is a hash.
type APIKeys interface {
	// PutAPIKey adds a key, or replaces it where its version is still the one given; a
	// version of 0 stands for a key that is not there yet. Else ErrConflict. It returns
	// the key as it is stored now, its version one higher. LastUsedAt and CreatedAt of an
	// existing key are kept.
	PutAPIKey(ctx context.Context, k APIKey) (APIKey, error)
	APIKey(ctx context.Context, id string) (APIKey, error)
	// APIKeys lists keys with an id greater than after, ordered by id, revoked and
	// expired ones included.
	APIKeys(ctx context.Context, after string, limit int) ([]APIKey, error)
	// TouchAPIKeys records when keys were last used. An earlier instant than the stored
	// one changes nothing, nor does an unknown id.
	TouchAPIKeys(ctx context.Context, used map[string]time.Time) error
}

// APIKey is a key with what it may do.
type APIKey struct {
	ID   string
	Name string // for people
	Hash []byte // SHA-256 of the whole key

	// PreviousHash is that of the key before its rotation, which is taken until PreviousUntil.
	PreviousHash  []byte
	PreviousUntil time.Time

	Scope string // what it may do, JSON; its form is the business of whoever checks it

	CreatedAt  time.Time
	UpdatedAt  time.Time
	ExpiresAt  time.Time // zero: never
	RevokedAt  time.Time // zero unless revoked
	LastUsedAt time.Time // zero: never
	Version    int64     // counts the changes, from 1
}

// Audits keeps the audit log: a chain of records of which each holds the hash of the
// one before.
type Audits interface {
	// AppendAudit adds records to the end, in one step and durably. The first has to
	// follow the last one stored, and each the one before it, by Seq; else ErrConflict
	// and nothing is stored.
	AppendAudit(ctx context.Context, records []AuditRecord) error
	// LastAudit returns the last record, or ErrNotFound.
	LastAudit(ctx context.Context) (AuditRecord, error)
	// Audit lists records with a Seq greater than after, oldest first. Backwards, those
	// with a smaller one, newest first, and a before of 0 begins at the end.
	Audit(ctx context.Context, after int64, limit int) ([]AuditRecord, error)
	AuditBackwards(ctx context.Context, before int64, limit int) ([]AuditRecord, error)
}

// AuditRecord is one link of the chain. Body and Hash are what internal/audit makes of
// an event; the store gives them back byte for byte.
type AuditRecord struct {
	Seq  int64 // from 1, without gaps
	At   time.Time
	Body []byte // JSON; holds no secret
	Hash []byte // of the record before, and of this one
}

// ExpiredValuesKept is how long [Store.Collect] leaves a value where it is after it has
// expired.
const ExpiredValuesKept = time.Hour

// Values keeps small secrets of a short life that all processes share: replies kept
// for requests that are repeated, tickets, codes that may be used once. As with leases,
// it is the store's clock that says whether one has expired.
type Values interface {
	// Value returns the value of a key, or ErrNotFound if there is none that lives.
	Value(ctx context.Context, key string) (Value, error)
	// PutValue stores a value if the version of the living one is still the one given;
	// 0 stands for none. Else ErrConflict. The stored version is one higher than that.
	PutValue(ctx context.Context, v Value) error
	// TakeValue removes the value of a key and returns it: of several callers one gets
	// it, the others ErrNotFound.
	TakeValue(ctx context.Context, key string) (Value, error)
}

// Value is one value. [Store.Collect] removes it once it has been expired for [ExpiredValuesKept].
type Value struct {
	Key       string    // at most 191 bytes, ASCII
	Data      []byte    // sealed at rest
	ExpiresAt time.Time // exclusive; a zero instant is long over
	Version   int64     // counts the changes, from 1 whenever there was none that lives
}
