package sqlstore

import (
	"context"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// CreateLink implements [store.Links].
func (s *Store) CreateLink(ctx context.Context, l store.Link) error {
	return s.insert(ctx, s.q.InsertLink, l.ID, l.Component, l.AuthType, l.BizAppID, joinPermissionSets(l.PermissionSets),
		l.Reference, l.ReturnURL, l.CreatedAt, l.ExpiresAt, l.UsedAt, l.UsedBy)
}

func link(r Row) (store.Link, error) {
	return store.Link{
		ID:             r.Text(),
		Component:      tuoguan.ComponentAppID(r.Text()),
		AuthType:       r.Int(),
		BizAppID:       tuoguan.AuthorizerAppID(r.Text()),
		PermissionSets: permissionSets(r.Text()),
		Reference:      r.Text(),
		ReturnURL:      r.Text(),
		CreatedAt:      r.Time(),
		ExpiresAt:      r.Time(),
		UsedAt:         r.Time(),
		UsedBy:         tuoguan.AuthorizerAppID(r.Text()),
	}, nil
}

// Link implements [store.Links].
func (s *Store) Link(ctx context.Context, id string) (store.Link, error) {
	return readOne(ctx, s, link, s.q.SelectLink, id)
}

// Links implements [store.Links].
func (s *Store) Links(ctx context.Context, component tuoguan.ComponentAppID, after string, n int) ([]store.Link, error) {
	if component == "" {
		return readAll(ctx, s, link, s.q.SelectLinks, after, limit(n))
	}
	return readAll(ctx, s, link, s.q.SelectLinksOf, after, limit(n), component)
}

// CreateVisit implements [store.Links].
func (s *Store) CreateVisit(ctx context.Context, v store.Visit) error {
	return s.insert(ctx, s.q.InsertVisit, v.NonceHash, v.PreAuthHash, v.Link, v.Component, v.CreatedAt)
}

func visit(r Row) (store.Visit, error) {
	return store.Visit{
		NonceHash:   r.Text(),
		PreAuthHash: r.Text(),
		Link:        r.Text(),
		Component:   tuoguan.ComponentAppID(r.Text()),
		CreatedAt:   r.Time(),
	}, nil
}

// VisitByNonce implements [store.Links].
func (s *Store) VisitByNonce(ctx context.Context, nonceHash string) (store.Visit, error) {
	return readOne(ctx, s, visit, s.q.SelectVisitByNonce, nonceHash)
}

// VisitByPreAuth implements [store.Links].
func (s *Store) VisitByPreAuth(ctx context.Context, preAuthHash string) (store.Visit, error) {
	return readOne(ctx, s, visit, s.q.SelectVisitByPreAuth, preAuthHash)
}

// CountVisits implements [store.Links].
func (s *Store) CountVisits(ctx context.Context, link string, since time.Time) (int, error) {
	return readOne(ctx, s, func(r Row) (int, error) { return r.Int(), nil }, s.q.CountVisits, link, since)
}
