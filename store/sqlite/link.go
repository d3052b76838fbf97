package sqlite

import (
	"context"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// CreateLink implements [store.Links].
func (s *Store) CreateLink(ctx context.Context, l store.Link) error {
	return s.insert(ctx, insertLink, l.ID, l.Component, l.AuthType, l.BizAppID, joinPermissionSets(l.PermissionSets),
		l.Reference, l.ReturnURL, l.CreatedAt, l.ExpiresAt, l.UsedAt, l.UsedBy)
}

// insert adds a record, or returns store.ErrConflict if it is there.
func (s *Store) insert(ctx context.Context, query string, args ...any) error {
	return s.write(ctx, 1, func(tx *conn) error {
		inserted, _, err := tx.exec(query, args...)
		if err == nil && inserted == 0 {
			return store.ErrConflict
		}
		return err
	})
}

func link(r row) (store.Link, error) {
	return store.Link{
		ID:             r.text(),
		Component:      tuoguan.ComponentAppID(r.text()),
		AuthType:       r.int(),
		BizAppID:       tuoguan.AuthorizerAppID(r.text()),
		PermissionSets: permissionSets(r.text()),
		Reference:      r.text(),
		ReturnURL:      r.text(),
		CreatedAt:      r.time(),
		ExpiresAt:      r.time(),
		UsedAt:         r.time(),
		UsedBy:         tuoguan.AuthorizerAppID(r.text()),
	}, nil
}

// Link implements [store.Links].
func (s *Store) Link(ctx context.Context, id string) (store.Link, error) {
	return readOne(ctx, s, link, selectLink, id)
}

// Links implements [store.Links].
func (s *Store) Links(ctx context.Context, component tuoguan.ComponentAppID, after string, n int) ([]store.Link, error) {
	if component == "" {
		return readAll(ctx, s, link, selectLinks, after, limit(n))
	}
	return readAll(ctx, s, link, selectLinksOf, after, limit(n), component)
}

// CreateVisit implements [store.Links].
func (s *Store) CreateVisit(ctx context.Context, v store.Visit) error {
	return s.insert(ctx, insertVisit, v.NonceHash, v.PreAuthHash, v.Link, v.Component, v.CreatedAt)
}

func visit(r row) (store.Visit, error) {
	return store.Visit{
		NonceHash:   r.text(),
		PreAuthHash: r.text(),
		Link:        r.text(),
		Component:   tuoguan.ComponentAppID(r.text()),
		CreatedAt:   r.time(),
	}, nil
}

// VisitByNonce implements [store.Links].
func (s *Store) VisitByNonce(ctx context.Context, nonceHash string) (store.Visit, error) {
	return readOne(ctx, s, visit, selectVisitByNonce, nonceHash)
}

// VisitByPreAuth implements [store.Links].
func (s *Store) VisitByPreAuth(ctx context.Context, preAuthHash string) (store.Visit, error) {
	return readOne(ctx, s, visit, selectVisitByPreAuth, preAuthHash)
}

// CountVisits implements [store.Links].
func (s *Store) CountVisits(ctx context.Context, link string, since time.Time) (int, error) {
	return readOne(ctx, s, func(r row) (int, error) { return r.int(), nil }, countVisits, link, since)
}
