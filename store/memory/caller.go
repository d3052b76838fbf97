package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tuoguan/tuoguan/store"
)

// copiedKey returns the key with instants as they are kept and hashes of its own.
func copiedKey(k store.APIKey) store.APIKey {
	k.Hash, k.PreviousHash = cloneHash(k.Hash), cloneHash(k.PreviousHash)
	for _, t := range []*time.Time{&k.PreviousUntil, &k.CreatedAt, &k.UpdatedAt, &k.ExpiresAt, &k.RevokedAt, &k.LastUsedAt} {
		*t = kept(*t)
	}
	return k
}

// cloneHash returns nil for none.
func cloneHash(hash []byte) []byte { return append([]byte(nil), hash...) }

// PutAPIKey implements [store.APIKeys].
func (s *Store) PutAPIKey(ctx context.Context, k store.APIKey) (stored store.APIKey, err error) {
	err = s.write(ctx, func() error {
		old, known := s.apiKeys[k.ID]
		if old.Version != k.Version {
			return store.ErrConflict
		}
		if known {
			k.CreatedAt, k.LastUsedAt = old.CreatedAt, old.LastUsedAt
		}
		k.Version++
		s.apiKeys[k.ID] = copiedKey(k)
		stored = copiedKey(k)
		return nil
	})
	return stored, err
}

// APIKey implements [store.APIKeys].
func (s *Store) APIKey(ctx context.Context, id string) (k store.APIKey, err error) {
	err = s.read(ctx, func() error {
		found, ok := s.apiKeys[id]
		if !ok {
			return store.ErrNotFound
		}
		k = copiedKey(found)
		return nil
	})
	return k, err
}

// APIKeys implements [store.APIKeys].
func (s *Store) APIKeys(ctx context.Context, after string, n int) (all []store.APIKey, err error) {
	err = s.read(ctx, func() error {
		for _, id := range slices.Sorted(maps.Keys(s.apiKeys)) {
			if id > after && len(all) < limit(n) {
				all = append(all, copiedKey(s.apiKeys[id]))
			}
		}
		return nil
	})
	return all, err
}

// TouchAPIKeys implements [store.APIKeys].
func (s *Store) TouchAPIKeys(ctx context.Context, used map[string]time.Time) error {
	return s.write(ctx, func() error {
		for id, at := range used {
			if k, ok := s.apiKeys[id]; ok {
				k.LastUsedAt = latest(k.LastUsedAt, kept(at))
				s.apiKeys[id] = k
			}
		}
		return nil
	})
}

// copiedAudit returns the record as it is kept, without anything shared.
func copiedAudit(r store.AuditRecord) store.AuditRecord {
	r.At = kept(r.At)
	r.Body, r.Hash = append([]byte{}, r.Body...), append([]byte{}, r.Hash...)
	return r
}

// AppendAudit implements [store.Audits].
func (s *Store) AppendAudit(ctx context.Context, records []store.AuditRecord) error {
	return s.write(ctx, func() error {
		for i, r := range records {
			if r.Seq != int64(len(s.audit)+i+1) {
				return store.ErrConflict
			}
		}
		for _, r := range records {
			s.audit = append(s.audit, copiedAudit(r))
		}
		return nil
	})
}

// LastAudit implements [store.Audits].
func (s *Store) LastAudit(ctx context.Context) (r store.AuditRecord, err error) {
	err = s.read(ctx, func() error {
		if len(s.audit) == 0 {
			return store.ErrNotFound
		}
		r = copiedAudit(s.audit[len(s.audit)-1])
		return nil
	})
	return r, err
}

// searchAudit returns where the record with the number is, or would be.
func (s *Store) searchAudit(seq int64) (int, bool) {
	return slices.BinarySearchFunc(s.audit, seq, func(r store.AuditRecord, seq int64) int { return cmp.Compare(r.Seq, seq) })
}

// Audit implements [store.Audits].
func (s *Store) Audit(ctx context.Context, after int64, n int) (all []store.AuditRecord, err error) {
	err = s.read(ctx, func() error {
		first, found := s.searchAudit(after)
		if found {
			first++
		}
		for _, r := range s.audit[first:min(len(s.audit), first+limit(n))] {
			all = append(all, copiedAudit(r))
		}
		return nil
	})
	return all, err
}

// AuditBackwards implements [store.Audits].
func (s *Store) AuditBackwards(ctx context.Context, before int64, n int) (all []store.AuditRecord, err error) {
	err = s.read(ctx, func() error {
		end := len(s.audit)
		if before != 0 {
			end, _ = s.searchAudit(before)
		}
		for _, r := range slices.Backward(s.audit[max(0, end-limit(n)):end]) {
			all = append(all, copiedAudit(r))
		}
		return nil
	})
	return all, err
}

// living returns a copy of the value of a key if it has not expired.
func (s *Store) living(key string) (store.Value, bool) {
	v, ok := s.values[key]
	v.Data = slices.Clone(v.Data)
	return v, ok && v.ExpiresAt.After(s.clock.Now())
}

// Value implements [store.Values].
func (s *Store) Value(ctx context.Context, key string) (v store.Value, err error) {
	err = s.read(ctx, func() error {
		found, ok := s.living(key)
		if !ok {
			return store.ErrNotFound
		}
		v = found
		return nil
	})
	return v, err
}

// PutValue implements [store.Values].
func (s *Store) PutValue(ctx context.Context, v store.Value) error {
	return s.write(ctx, func() error {
		version := int64(0)
		if old, ok := s.living(v.Key); ok {
			version = old.Version
		}
		if version != v.Version {
			return store.ErrConflict
		}
		v.Data, v.ExpiresAt = slices.Clone(v.Data), kept(v.ExpiresAt)
		v.Version++
		s.values[v.Key] = v
		return nil
	})
}

// TakeValue implements [store.Values].
func (s *Store) TakeValue(ctx context.Context, key string) (v store.Value, err error) {
	err = s.write(ctx, func() error {
		found, ok := s.living(key)
		if !ok {
			return store.ErrNotFound
		}
		v = found
		delete(s.values, key)
		return nil
	})
	return v, err
}

// collectValues removes what has been expired for long enough.
func (s *Store) collectValues() {
	before := s.clock.Now().Add(-store.ExpiredValuesKept)
	maps.DeleteFunc(s.values, func(_ string, v store.Value) bool { return v.ExpiresAt.Before(before) })
}
