package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

func testLinks(t *testing.T, s *suite) {
	s.run(t, "every field comes back", func(e *env) {
		e.ok(e.CreateLink(e.ctx, fullLink()))
		e.equal(must[store.Link](e)(e.Link(e.ctx, "link1")), fullLink())
	})
	s.run(t, "no permission sets come back as nil", func(e *env) {
		l := fullLink()
		l.PermissionSets = []tuoguan.PermissionSet{}
		e.ok(e.CreateLink(e.ctx, l))
		l.PermissionSets = nil
		e.equal(must[store.Link](e)(e.Link(e.ctx, "link1")), l)
	})
	s.run(t, "an id is taken once", func(e *env) {
		e.ok(e.CreateLink(e.ctx, fullLink()))
		other := fullLink()
		other.Reference = "other"
		e.is(e.CreateLink(e.ctx, other), store.ErrConflict)
		e.equal(must[store.Link](e)(e.Link(e.ctx, "link1")), fullLink())
	})
	s.run(t, "pages, newest first", func(e *env) {
		var all []store.Link
		for n := range 6 {
			l := fullLink()
			l.ID = fmt.Sprintf("link%d", 5-n)
			l.Component = tuoguan.ComponentAppID(fmt.Sprintf("wxc%d", n%2))
			e.ok(e.CreateLink(e.ctx, l))
			all = append(all, l)
		}
		links := func(c tuoguan.ComponentAppID, after string, limit int) []store.Link {
			return must[[]store.Link](e)(e.Links(e.ctx, c, after, limit))
		}
		e.equal(links("", "", 4), all[:4])
		e.equal(links("", "link2", 4), all[4:])
		e.equal(links("wxc1", "", 0), []store.Link{all[1], all[3], all[5]})
		e.equal(links("wxc1", "link4", 1), []store.Link{all[3]})
		if got := links("wxother", "", 10); len(got) != 0 {
			e.t.Errorf("got %v", got)
		}
	})
}

func testVisits(t *testing.T, s *suite) {
	s.run(t, "is found by nonce and by pre-auth code", func(e *env) {
		e.ok(e.CreateVisit(e.ctx, fullVisit()))
		e.equal(must[store.Visit](e)(e.VisitByNonce(e.ctx, "noncehash")), fullVisit())
		e.equal(must[store.Visit](e)(e.VisitByPreAuth(e.ctx, "preauthhash")), fullVisit())
		_, err := e.VisitByNonce(e.ctx, "preauthhash")
		e.is(err, store.ErrNotFound)
		_, err = e.VisitByPreAuth(e.ctx, "noncehash")
		e.is(err, store.ErrNotFound)
	})
	s.run(t, "a nonce is taken once", func(e *env) {
		e.ok(e.CreateVisit(e.ctx, fullVisit()))
		e.is(e.CreateVisit(e.ctx, fullVisit()), store.ErrConflict)
	})
	s.run(t, "the newest of a pre-auth code counts", func(e *env) {
		newest := fullVisit()
		newest.NonceHash, newest.CreatedAt = "another", newest.CreatedAt.Add(time.Minute)
		e.ok(e.CreateVisit(e.ctx, newest))
		e.ok(e.CreateVisit(e.ctx, fullVisit()))
		e.equal(must[store.Visit](e)(e.VisitByPreAuth(e.ctx, "preauthhash")), newest)
	})
	s.run(t, "are counted since an instant", func(e *env) {
		for n := range 4 {
			v := fullVisit()
			v.NonceHash, v.CreatedAt = fmt.Sprintf("nonce%d", n), at(time.Duration(n)*time.Minute)
			e.ok(e.CreateVisit(e.ctx, v))
		}
		other := fullVisit()
		other.NonceHash, other.Link = "other", "link2"
		e.ok(e.CreateVisit(e.ctx, other))
		e.equal(must[int](e)(e.CountVisits(e.ctx, "link1", at(time.Minute))), 3)
		e.equal(must[int](e)(e.CountVisits(e.ctx, "link1", time.Time{})), 4)
		e.equal(must[int](e)(e.CountVisits(e.ctx, "link3", time.Time{})), 0)
	})
}
