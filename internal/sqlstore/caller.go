package sqlstore

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tuoguan/tuoguan/store"
)

// notNil returns bytes for a column that is not sealed, and so never NULL.
func notNil(b []byte) []byte { return append([]byte{}, b...) }

// nilIfNone is the reverse of notNil, where none are nil.
func nilIfNone(b []byte) []byte { return append([]byte(nil), b...) }

func apiKey(r Row) (store.APIKey, error) {
	return store.APIKey{
		ID: r.Text(), Name: r.Text(),
		Hash: nilIfNone(r.Blob()), PreviousHash: nilIfNone(r.Blob()), PreviousUntil: r.Time(),
		Scope:     r.Text(),
		CreatedAt: r.Time(), UpdatedAt: r.Time(), ExpiresAt: r.Time(), RevokedAt: r.Time(), LastUsedAt: r.Time(),
		Version: r.Int64(),
	}, nil
}

// PutAPIKey implements [store.APIKeys].
func (s *Store) PutAPIKey(ctx context.Context, k store.APIKey) (store.APIKey, error) {
	query := s.q.UpdateAPIKey
	args := []any{
		k.ID, k.Name, notNil(k.Hash), notNil(k.PreviousHash), k.PreviousUntil, k.Scope,
		k.CreatedAt, k.UpdatedAt, k.ExpiresAt, k.RevokedAt, k.LastUsedAt, k.Version,
	}
	if k.Version == 0 {
		query, args = s.q.InsertAPIKey, args[:len(args)-1]
	}
	row, err := writeFor(ctx, s, 2, func(tx Tx) (Row, error) { // so that what is read is what was put
		changed, err := tx.Exec(query, args...)
		if err == nil && changed == 0 {
			err = store.ErrConflict
		}
		if err != nil {
			return Row{}, err
		}
		return tx.One(s.q.SelectAPIKey, k.ID)
	})
	if err != nil {
		return store.APIKey{}, err
	}
	return apiKey(row)
}

// APIKey implements [store.APIKeys].
func (s *Store) APIKey(ctx context.Context, id string) (store.APIKey, error) {
	return readOne(ctx, s, apiKey, s.q.SelectAPIKey, id)
}

// APIKeys implements [store.APIKeys].
func (s *Store) APIKeys(ctx context.Context, after string, n int) ([]store.APIKey, error) {
	return readAll(ctx, s, apiKey, s.q.SelectAPIKeys, after, limit(n))
}

// touchRows is how many keys are touched in one transaction.
const touchRows = 100

// TouchAPIKeys implements [store.APIKeys]. All go through the keys in the same order,
// so none waits for another who waits for him.
func (s *Store) TouchAPIKeys(ctx context.Context, used map[string]time.Time) error {
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(used)), touchRows) {
		err := s.write(ctx, len(ids), func(tx Tx) error {
			for _, id := range ids {
				if _, err := tx.Exec(s.q.TouchAPIKey, id, used[id]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

func auditRecord(r Row) (store.AuditRecord, error) {
	return store.AuditRecord{Seq: r.Int64(), At: r.Time(), Body: r.Blob(), Hash: r.Blob()}, nil
}

// auditRows is how many records are inserted by one statement at most.
const auditRows = 64

// insertAudit inserts so many records.
func insertAudit(rows int) string {
	return "INSERT INTO audit (seq, recorded_at, body, hash) VALUES " + repeated("(?, ?, ?, ?)", rows)
}

// AppendAudit implements [store.Audits]. Who was overtaken between the look at the last
// record and the insert violates the key, looks again, and finds the conflict.
func (s *Store) AppendAudit(ctx context.Context, records []store.AuditRecord) error {
	var statements [][]any
	for part := range chunks(records, auditRows) {
		var args []any
		for _, r := range part {
			args = append(args, r.Seq, r.At, notNil(r.Body), notNil(r.Hash))
		}
		statements = append(statements, args)
	}
	return s.write(ctx, len(statements), func(tx Tx) error {
		last, err := tx.Query(s.q.LastAudit)
		if err != nil {
			return err
		}
		seq := int64(0)
		for _, r := range last {
			seq = r.Int64()
		}
		for _, r := range records {
			if seq++; r.Seq != seq {
				return store.ErrConflict
			}
		}
		for _, args := range statements {
			if _, err := tx.Exec(insertAudit(len(args)/4), args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// LastAudit implements [store.Audits].
func (s *Store) LastAudit(ctx context.Context) (store.AuditRecord, error) {
	return readOne(ctx, s, auditRecord, s.q.LastAudit)
}

// Audit implements [store.Audits].
func (s *Store) Audit(ctx context.Context, after int64, n int) ([]store.AuditRecord, error) {
	return readAll(ctx, s, auditRecord, s.q.SelectAudit, after, limit(n))
}

// AuditBackwards implements [store.Audits].
func (s *Store) AuditBackwards(ctx context.Context, before int64, n int) ([]store.AuditRecord, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	return readAll(ctx, s, auditRecord, s.q.AuditBackwards, before, limit(n))
}

// valuePlace is where a kept value belongs.
func valuePlace(key string) store.Place { return store.Place{Field: "value", Row: key} }

func (s *Store) value(r Row) (v store.Value, err error) {
	v.Key = r.Text()
	sealed := r.Blob()
	v.ExpiresAt, v.Version = r.Time(), r.Int64()
	v.Data, err = s.openBytes(valuePlace(v.Key), sealed)
	return v, err
}

// Value implements [store.Values].
func (s *Store) Value(ctx context.Context, key string) (store.Value, error) {
	return readOne(ctx, s, s.value, s.q.SelectValue, key, s.shift())
}

// PutValue implements [store.Values].
func (s *Store) PutValue(ctx context.Context, v store.Value) error {
	sealed, err := s.sealBytes(valuePlace(v.Key), v.Data)
	if err != nil {
		return err
	}
	queries := []string{s.q.UpdateValue}
	if v.Version == 0 {
		queries = []string{s.q.InsertValue, s.q.ReplaceExpiredValue}
	}
	return s.write(ctx, 1, func(tx Tx) error {
		for _, query := range queries {
			changed, err := tx.Exec(query, v.Key, sealed, v.ExpiresAt, s.shift(), v.Version)
			if err != nil || changed > 0 {
				return err
			}
		}
		return store.ErrConflict
	})
}

// TakeValue implements [store.Values]. The lock keeps the value that is read the one
// that is deleted; one that does not open stays.
func (s *Store) TakeValue(ctx context.Context, key string) (store.Value, error) {
	return writeFor(ctx, s, 2, func(tx Tx) (store.Value, error) {
		r, err := tx.One(s.q.LockValue, key, s.shift())
		if err != nil {
			return store.Value{}, err
		}
		v, err := s.value(r)
		if err != nil {
			return store.Value{}, err
		}
		_, err = tx.Exec(s.q.TakeValue, key)
		return v, err
	})
}
