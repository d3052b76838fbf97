package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

func fullUser() store.User {
	return store.User{
		ID: "u1", Name: "Ming.Li", FullName: "李明", Role: "owner",
		Password: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", PasswordExpired: true, TOTP: secret("one-time secret"), TOTPUsed: 58,
		Subject: "https://id.example.com 0123", Disabled: true,
		CreatedAt: at(0), UpdatedAt: at(time.Millisecond), LastSeenAt: at(time.Minute), Version: 1,
	}
}

// newUser is a user who is not stored yet, with a name and a subject of its own.
func newUser(id string) store.User {
	u := fullUser()
	u.ID, u.Name, u.Subject, u.Version = id, "Name of "+id, "subject of "+id, 0
	return u
}

func (e *env) putUser(u store.User) store.User {
	e.t.Helper()
	return must[store.User](e)(e.PutUser(e.ctx, u))
}

// user reads by the other handle.
func (e *env) user(id string) store.User {
	e.t.Helper()
	return must[store.User](e)(e.other.User(e.ctx, id))
}

// refuseUser demands that a user is not stored.
func (e *env) refuseUser(u store.User) {
	e.t.Helper()
	got, err := e.PutUser(e.ctx, u)
	e.is(err, store.ErrConflict)
	e.equal(got, store.User{})
}

func testUsers(t *testing.T, s *suite) {
	s.run(t, "every field comes back", func(e *env) {
		want := fullUser()
		want.Version = 0
		got := e.putUser(want)
		want.Version = 1
		e.equal(got, want)
		e.full(e.user("u1"))
		e.equal(e.user("u1"), want)
		e.equal(must[store.User](e)(e.other.UserByName(e.ctx, want.Name)), want)
		e.equal(must[store.User](e)(e.other.UserBySubject(e.ctx, want.Subject)), want)
		e.equal(must[[]store.User](e)(e.other.Users(e.ctx, "", 0)), []store.User{want})
	})
	s.run(t, "nearly everything may be missing", func(e *env) {
		for n := range 3 { // and several may be without a subject
			want := store.User{ID: fmt.Sprintf("u%d", n), Name: fmt.Sprint(n)}
			e.putUser(want)
			want.Version = 1
			e.equal(e.user(want.ID), want)
		}
		_, err := e.UserBySubject(e.ctx, "")
		e.is(err, store.ErrNotFound)
	})
	s.run(t, "instants are kept in UTC to the millisecond", func(e *env) {
		u := newUser("u1")
		u.LastSeenAt = time.Date(2026, 1, 2, 3, 4, 5, 678_999_999, time.FixedZone("UTC+8", 8*3600))
		got := e.putUser(u)
		e.equal(got.LastSeenAt, time.Date(2026, 1, 1, 19, 4, 5, 678_000_000, time.UTC))
		e.equal(e.user("u1"), got)
	})
	s.run(t, "only the version that was read is replaced", func(e *env) {
		absent := newUser("u1")
		absent.Version = 1
		e.refuseUser(absent)
		first := e.putUser(newUser("u1"))
		again := newUser("u1")
		again.Name, again.Subject = "somebody else", ""
		e.refuseUser(again)
		changed := first
		changed.Name, changed.FullName, changed.Role, changed.Password = "renamed", "", "viewer", ""
		changed.PasswordExpired, changed.TOTP, changed.TOTPUsed, changed.Subject = false, secret("next"), 0, "another"
		changed.Disabled, changed.UpdatedAt = false, at(time.Hour)
		want := changed
		want.Version = 2
		changed.CreatedAt, changed.LastSeenAt = at(-time.Hour), at(time.Hour) // are kept
		e.equal(e.putUser(changed), want)
		e.equal(e.user("u1"), want)
		e.refuseUser(changed) // is of version 1
		changed.Version = 3
		e.refuseUser(changed)
		for _, gone := range []func() (store.User, error){
			func() (store.User, error) { return e.UserByName(e.ctx, first.Name) },
			func() (store.User, error) { return e.UserBySubject(e.ctx, first.Subject) },
		} {
			_, err := gone()
			e.is(err, store.ErrNotFound)
		}
		taker := newUser("u2") // what is given up is free
		taker.Name, taker.Subject = first.Name, first.Subject
		e.putUser(taker)
		e.equal(e.user("u1"), want)
	})
	s.run(t, "a name is one user's, in whatever case", func(e *env) {
		ming := newUser("u1")
		ming.Name = "Ming-Z@Ü.例"
		ming = e.putUser(ming)
		for _, name := range []string{"Ming-Z@Ü.例", "ming-z@Ü.例", "MING-Z@Ü.例"} {
			e.equal(must[store.User](e)(e.other.UserByName(e.ctx, name)), ming)
			second := newUser("u2")
			second.Name = name
			e.refuseUser(second)
		}
		for i, name := range []string{"ming-z@ü.例", "ming-z@Ü.例 ", " ming-z@Ü.例", "ming_z@Ü.例", "ming", "ſ", "s"} {
			_, err := e.UserByName(e.ctx, name)
			e.is(err, store.ErrNotFound)
			other := newUser(fmt.Sprint("other", i))
			other.Name = name
			other = e.putUser(other)
			e.equal(must[store.User](e)(e.UserByName(e.ctx, name)), other)
			other.Name = "mING-z@Ü.例"
			e.refuseUser(other)
		}
		ming.Name = strings.ToUpper("ming-z") + "@Ü.例" // one's own
		e.equal(e.putUser(ming).Name, ming.Name)
	})
	s.run(t, "a subject is one user's", func(e *env) {
		first := e.putUser(newUser("u1"))
		second := newUser("u2")
		second.Subject = first.Subject
		e.refuseUser(second)
		for i, subject := range []string{strings.ToUpper(first.Subject), first.Subject + " ", strings.Repeat("x", 700)} {
			other := newUser(fmt.Sprint("other", i))
			other.Subject = subject
			other = e.putUser(other)
			e.equal(must[store.User](e)(e.other.UserBySubject(e.ctx, subject)), other)
			other.Subject = first.Subject
			e.refuseUser(other)
		}
		e.putUser(first)
		_, err := e.UserBySubject(e.ctx, "unknown")
		e.is(err, store.ErrNotFound)
	})
	s.run(t, "all are listed in order", func(e *env) {
		var want []store.User
		for _, n := range []int{3, 1, 4, 0, 2} {
			want = append(want, e.putUser(newUser(fmt.Sprintf("u%d", n))))
		}
		slices.SortFunc(want, func(a, b store.User) int { return strings.Compare(a.ID, b.ID) })
		list := func(after string, limit int) []store.User {
			e.t.Helper()
			return must[[]store.User](e)(e.other.Users(e.ctx, after, limit))
		}
		e.equal(list("", 0), want)
		e.equal(list("", 2), want[:2])
		e.equal(list("u1", 2), want[2:4])
		e.equal(list("u1x", 9), want[2:])
		e.equal(list("u4", 9), []store.User(nil))
	})
	s.run(t, "limit defaults", func(e *env) {
		for n := range store.DefaultLimit + 1 {
			e.putUser(newUser(fmt.Sprintf("u%04d", n)))
		}
		if n := len(must[[]store.User](e)(e.Users(e.ctx, "", 0))); n != store.DefaultLimit {
			e.t.Errorf("%d users", n)
		}
	})
	s.run(t, "who is deleted is gone, with all sessions", func(e *env) {
		e.is(e.DeleteUser(e.ctx, "u1", 1), store.ErrNotFound)
		first, other := e.putUser(newUser("u1")), e.putUser(newUser("u2"))
		mine, theirs := e.putSession("mine", "u1"), e.putSession("theirs", "u2")
		e.is(e.DeleteUser(e.ctx, "u1", 2), store.ErrConflict)
		e.is(e.DeleteUser(e.ctx, "u1", 0), store.ErrConflict)
		e.equal(e.user("u1"), first)
		e.session(mine.Hash)
		e.ok(e.DeleteUser(e.ctx, "u1", 1))
		_, err := e.other.User(e.ctx, "u1")
		e.is(err, store.ErrNotFound)
		e.noSession(mine.Hash)
		e.equal(e.user("u2"), other)
		e.session(theirs.Hash)
		e.is(e.DeleteUser(e.ctx, "u1", 1), store.ErrNotFound)
		e.refuseUser(first) // is no new one
		e.equal(e.putUser(newUser("u1")).Version, int64(1))
	})
	s.run(t, "16 who change a user, and as many who use the console", func(e *env) {
		const n, rounds = 16, 4
		first := newUser("u1")
		first.LastSeenAt = time.Time{}
		e.putUser(first)
		o := e.putSession("token", "u1")
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				for range rounds {
					for {
						u, err := e.handle(i).User(e.ctx, "u1")
						if err != nil {
							e.t.Error(err)
							return
						}
						u.Name = fmt.Sprintf("version %d", u.Version+1)
						stored, err := e.handle(i).PutUser(e.ctx, u)
						if errors.Is(err, store.ErrConflict) {
							continue
						}
						if err != nil || stored.Version != u.Version+1 || stored.Name != u.Name || stored.LastSeenAt.Before(u.LastSeenAt) {
							e.t.Errorf("after version %d: %+v, %v", u.Version, stored, err)
						}
						break
					}
				}
			})
			wg.Go(func() {
				for round := range rounds {
					if err := e.handle(i).TouchSession(e.ctx, o.Hash, at(time.Duration(i*rounds+round)*time.Second)); err != nil {
						e.t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		got := e.user("u1")
		if got.Version != n*rounds+1 || got.Name != fmt.Sprintf("version %d", n*rounds+1) || got.LastSeenAt != at((n*rounds-1)*time.Second) {
			e.t.Errorf("got %+v", got)
		}
	})
	s.run(t, "of 16 who want the same one gets it", func(e *env) {
		put := func(change func(*store.User, int)) func(int) error {
			return func(i int) error {
				u := newUser(fmt.Sprintf("%p%d", change, i))
				u.Subject = ""
				change(&u, i)
				_, err := e.handle(i).PutUser(e.ctx, u)
				return err
			}
		}
		e.winner(16, put(func(u *store.User, i int) { u.ID = "u1" }), store.ErrConflict)
		e.winner(16, put(func(u *store.User, i int) { u.Name = []string{"Wang", "wang", "wanG"}[i%3] }), store.ErrConflict)
		e.winner(16, put(func(u *store.User, i int) { u.Subject = "subject" }), store.ErrConflict)
		for i := range 16 {
			u := newUser(fmt.Sprint("renamed", i))
			u.Subject = ""
			e.putUser(u)
		}
		e.winner(16, func(i int) error {
			u := e.user(fmt.Sprint("renamed", i))
			u.Name = []string{"Zhao", "zhao", "zhaO"}[i%3]
			_, err := e.handle(i).PutUser(e.ctx, u)
			return err
		}, store.ErrConflict)
	})
}

func fullSession() store.Session {
	return store.Session{
		Hash: []byte{0, 1, 255}, ID: "s1", User: "u1", Address: "2001:db8::1", Agent: "Mozilla/5.0 微信", Method: "password",
		CreatedAt: at(0), LastSeenAt: at(time.Minute), ExpiresAt: at(time.Hour),
	}
}

// newSession is a session that lasts for an hour by the clock.
func (e *env) newSession(token, user string) store.Session {
	o := fullSession()
	o.Hash, o.ID, o.User = []byte("hash of "+token+"\x00\xff"), "id of "+token, user
	o.ExpiresAt = e.clock.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
	return o
}

func (e *env) putSession(token, user string) store.Session {
	e.t.Helper()
	o := e.newSession(token, user)
	e.ok(e.PutSession(e.ctx, o))
	return o
}

// session reads by the other handle.
func (e *env) session(hash []byte) store.Session {
	e.t.Helper()
	return must[store.Session](e)(e.other.Session(e.ctx, hash))
}

// noSession demands that there is none.
func (e *env) noSession(hash []byte) {
	e.t.Helper()
	got, err := e.other.Session(e.ctx, hash)
	e.is(err, store.ErrNotFound)
	e.equal(got, store.Session{})
}

func (e *env) sessionsOf(user string) []store.Session {
	e.t.Helper()
	return must[[]store.Session](e)(e.other.SessionsOf(e.ctx, user))
}

func testSessions(t *testing.T, s *suite) {
	s.run(t, "every field comes back", func(e *env) {
		want := e.putSession("token", "u1")
		e.full(e.session(want.Hash))
		e.equal(e.session(want.Hash), want)
		e.equal(e.sessionsOf("u1"), []store.Session{want})
		e.noSession([]byte("unknown"))
		e.noSession(want.Hash[:len(want.Hash)-1])
		e.noSession(append(want.Hash[:len(want.Hash):len(want.Hash)], ' '))
		e.noSession(nil)
	})
	s.run(t, "a hash has one session", func(e *env) {
		first := e.putSession("token", "u1")
		second := e.newSession("token", "u2")
		second.ID, second.Method, second.LastSeenAt = "another", "totp", at(-time.Hour)
		e.ok(e.PutSession(e.ctx, second))
		e.equal(e.session(first.Hash), second)
		e.equal(e.sessionsOf("u1"), []store.Session(nil))
	})
	s.run(t, "those of a user are listed, the newest first", func(e *env) {
		var want []store.Session
		for _, n := range []int{3, 1, 4, 0, 2} {
			o := e.newSession(fmt.Sprint(n), "u1")
			o.CreatedAt = at(time.Duration(n) * time.Second)
			e.ok(e.PutSession(e.ctx, o))
			want = append(want, o)
		}
		e.putSession("of another", "u10")
		slices.SortFunc(want, func(a, b store.Session) int { return b.CreatedAt.Compare(a.CreatedAt) })
		e.equal(e.sessionsOf("u1"), want)
		e.equal(e.sessionsOf("nobody"), []store.Session(nil))
	})
	s.run(t, "what has expired is absent", func(e *env) {
		short, long := e.putSession("short", "u1"), e.newSession("long", "u1")
		long.ExpiresAt = long.ExpiresAt.Add(time.Hour)
		e.ok(e.PutSession(e.ctx, long))
		never := e.newSession("never", "u1")
		never.ExpiresAt = time.Time{}
		e.ok(e.PutSession(e.ctx, never))
		e.noSession(never.Hash)
		e.session(short.Hash)
		e.clock.Advance(time.Hour)
		e.noSession(short.Hash)
		e.equal(e.sessionsOf("u1"), []store.Session{long})
		e.equal(e.session(long.Hash), long)
	})
	s.run(t, "when it was last used", func(e *env) {
		u := newUser("u1")
		u.LastSeenAt = at(time.Second)
		u = e.putUser(u)
		other := e.putUser(newUser("u2"))
		first, second := e.putSession("first", "u1"), e.putSession("second", "u1")
		e.ok(e.TouchSession(e.ctx, first.Hash, at(time.Hour+999*time.Microsecond)))
		first.LastSeenAt, u.LastSeenAt = at(time.Hour), at(time.Hour)
		for _, earlier := range []time.Time{at(59 * time.Minute), {}} {
			e.ok(e.TouchSession(e.ctx, first.Hash, earlier))
		}
		e.ok(e.TouchSession(e.ctx, second.Hash, at(30*time.Minute))) // is no later for the user
		second.LastSeenAt = at(30 * time.Minute)
		e.ok(e.TouchSession(e.ctx, []byte("unknown"), at(9*time.Hour)))
		orphan := e.putSession("orphan", "nobody")
		e.ok(e.TouchSession(e.ctx, orphan.Hash, at(2*time.Hour)))
		e.equal(e.session(orphan.Hash).LastSeenAt, at(2*time.Hour))
		e.equal(e.session(first.Hash), first)
		e.equal(e.session(second.Hash), second)
		e.equal(e.user("u1"), u) // and that is no change of the user
		e.equal(e.user("u2"), other)
	})
	s.run(t, "ends", func(e *env) {
		first, second := e.putSession("first", "u1"), e.putSession("second", "u1")
		e.ok(e.DeleteSession(e.ctx, first.Hash))
		e.ok(e.DeleteSession(e.ctx, first.Hash))
		e.ok(e.DeleteSession(e.ctx, nil))
		e.noSession(first.Hash)
		e.equal(e.sessionsOf("u1"), []store.Session{second})
	})
	s.run(t, "all of a user end but one", func(e *env) {
		var all []store.Session
		for n := range 5 {
			all = append(all, e.putSession(fmt.Sprint(n), "u1"))
		}
		theirs := e.putSession("theirs", "u2")
		old := e.newSession("old", "u1")
		old.ExpiresAt = at(-24 * time.Hour)
		e.ok(e.PutSession(e.ctx, old))
		end := func(user string, except []byte, want int) {
			e.t.Helper()
			e.equal(must[int](e)(e.DeleteSessionsOf(e.ctx, user, except)), want)
		}
		end("nobody", nil, 0)
		end("u1", all[2].Hash, 4)
		e.equal(e.sessionsOf("u1"), all[2:3])
		end("u1", all[2].Hash, 0)
		end("u1", theirs.Hash, 1)
		e.equal(e.sessionsOf("u1"), []store.Session(nil))
		end("u2", nil, 1)
		e.noSession(theirs.Hash)
	})
	s.run(t, "is not shared with the caller", func(e *env) {
		o := e.newSession("token", "u1")
		hash := slices.Clone(o.Hash)
		e.ok(e.PutSession(e.ctx, o))
		o.Hash[0] = 'X'
		e.session(hash).Hash[1] = 'X'
		e.sessionsOf("u1")[0].Hash[2] = 'X'
		e.equal(e.session(hash).Hash, hash)
	})
	s.run(t, "8 who begin, use and end them at once", func(e *env) {
		const n, rounds = 8, 10
		e.putUser(newUser("u1"))
		shared := e.newSession("shared", "u1")
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				h := e.handle(i)
				for round := range rounds {
					own := e.newSession(fmt.Sprintf("%d/%d", i, round), "u1")
					_, errAll := h.DeleteSessionsOf(e.ctx, "u1", own.Hash)
					err := errors.Join(h.PutSession(e.ctx, shared), h.PutSession(e.ctx, own),
						h.TouchSession(e.ctx, own.Hash, at(time.Duration(i)*time.Hour)),
						h.TouchSession(e.ctx, shared.Hash, at(time.Duration(i)*time.Hour)), h.DeleteSession(e.ctx, own.Hash), errAll)
					if err != nil {
						e.t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if got := e.sessionsOf("u1"); len(got) > 1 || len(got) == 1 && got[0].ID != shared.ID {
			e.t.Errorf("left are %+v", got)
		}
	})
	s.run(t, "Collect removes those expired before", func(e *env) {
		now := e.clock.Now().UTC().Truncate(time.Millisecond)
		put := func(token string, expires time.Duration) []byte {
			o := e.newSession(token, "u1")
			o.ExpiresAt = now.Add(expires)
			e.ok(e.PutSession(e.ctx, o))
			return o.Hash
		}
		var old [][]byte
		for n := range 250 { // more than are removed in one go
			old = append(old, put(fmt.Sprint("old ", n), -time.Second))
		}
		lately, lives := put("lately", time.Second), put("lives", time.Hour)
		e.ok(e.Collect(e.ctx, store.Retention{}))
		e.clock.Advance(-time.Hour) // to where none has expired
		for _, hash := range append(old, lately, lives) {
			e.session(hash)
		}
		e.ok(e.Collect(e.ctx, store.Retention{Sessions: now}))
		for _, hash := range old {
			e.noSession(hash)
		}
		e.session(lately)
		e.session(lives)
	})
}

func fullTokenEvent() store.TokenEvent {
	return store.TokenEvent{
		Authorization: id1, ID: 1, Kind: "refresh", Result: "transient", Cause: "asked", Actor: "订单 service",
		Errcode: -1, Message: "system error 托管", Replica: "r1", At: at(0), Duration: 123456789 * time.Nanosecond,
	}
}

// tokenEvents are n events that happened from an instant on, second by second.
func tokenEvents(a tuoguan.Authorization, from time.Duration, n int) (all []store.TokenEvent) {
	for i := range n {
		ev := fullTokenEvent()
		ev.Authorization, ev.ID = a, 0
		ev.At = at(from + time.Duration(i)*time.Second)
		ev.Message = fmt.Sprintf("%v %d", from, i)
		all = append(all, ev)
	}
	return all
}

// tokenEvents reads everything by the other handle, page by page and newest first.
// Numbers must descend; they are left out of what is returned.
func (e *env) tokenEvents(a tuoguan.Authorization) (all []store.TokenEvent) {
	e.t.Helper()
	for before := int64(0); ; {
		page := must[[]store.TokenEvent](e)(e.other.TokenEvents(e.ctx, a, before, 70))
		for _, ev := range page {
			if ev.ID <= 0 || before != 0 && ev.ID >= before {
				e.t.Fatalf("%d comes before %d", before, ev.ID)
			}
			before, ev.ID = ev.ID, 0
			all = append(all, ev)
		}
		if len(page) < 70 {
			return all
		}
	}
}

// backwards is a copy the other way round.
func backwards[T any](all []T) []T {
	all = slices.Clone(all)
	slices.Reverse(all)
	return all
}

func testTokenEvents(t *testing.T, s *suite) {
	s.run(t, "every field comes back", func(e *env) {
		want := fullTokenEvent()
		e.ok(e.AppendTokenEvents(e.ctx, []store.TokenEvent{want}))
		all := must[[]store.TokenEvent](e)(e.other.TokenEvents(e.ctx, id1, 0, 0))
		if len(all) != 1 {
			e.t.Fatalf("got %+v", all)
		}
		e.full(all[0])
		want.ID = all[0].ID
		e.equal(all[0], want)
	})
	s.run(t, "nearly everything may be missing", func(e *env) {
		want := store.TokenEvent{ID: 77, Authorization: id1}
		e.ok(e.AppendTokenEvents(e.ctx, []store.TokenEvent{want, want}))
		want.ID = 0
		e.equal(e.tokenEvents(id1), []store.TokenEvent{want, want})
	})
	s.run(t, "as many as there are", func(e *env) {
		e.ok(e.AppendTokenEvents(e.ctx, nil))
		var want []store.TokenEvent
		for i, n := range []int{1, 2, 3, 63, 64, 65, 200} { // more than go into one statement
			batch := tokenEvents(id1, time.Duration(i)*time.Hour, n)
			e.ok(e.AppendTokenEvents(e.ctx, batch))
			want = append(want, batch...)
		}
		e.equal(e.tokenEvents(id1), backwards(want))
	})
	s.run(t, "each account has its own", func(e *env) {
		other := tuoguan.Authorization{Component: "wxother", Authorizer: id1.Authorizer}
		var mixed []store.TokenEvent
		want := make(map[tuoguan.Authorization][]store.TokenEvent)
		for n := range 90 {
			id := []tuoguan.Authorization{id1, id2, other}[n%3]
			ev := tokenEvents(id, time.Duration(n)*time.Minute, 1)
			mixed, want[id] = append(mixed, ev...), append(want[id], ev...)
		}
		e.ok(e.AppendTokenEvents(e.ctx, mixed))
		for id, events := range want {
			e.equal(e.tokenEvents(id), backwards(events))
		}
		e.equal(e.tokenEvents(tuoguan.Authorization{Component: wxc, Authorizer: "wxnobody"}), []store.TokenEvent(nil))
	})
	s.run(t, "pages", func(e *env) {
		const n = store.DefaultLimit + 7
		for range 2 { // of two accounts in turn
			e.ok(e.AppendTokenEvents(e.ctx, tokenEvents(id2, 0, 3)))
			e.ok(e.AppendTokenEvents(e.ctx, tokenEvents(id1, 0, n)))
		}
		all := must[[]store.TokenEvent](e)(e.TokenEvents(e.ctx, id1, 0, 2*n))
		e.equal(len(all), 2*n)
		for _, tt := range []struct {
			before int64
			limit  int
			want   []store.TokenEvent
		}{
			{0, 0, all[:store.DefaultLimit]},
			{0, 2, all[:2]},
			{all[0].ID + 100, 2, all[:2]},
			{all[0].ID, 2, all[1:3]},
			{all[n-1].ID, 2, all[n : n+2]},
			{all[n].ID + 1, 2, all[n : n+2]},
			{all[2*n-2].ID, 5, all[2*n-1:]},
			{all[2*n-1].ID, 5, nil},
		} {
			e.equal(must[[]store.TokenEvent](e)(e.other.TokenEvents(e.ctx, id1, tt.before, tt.limit)), tt.want)
		}
	})
	s.run(t, "8 who append at once", func(e *env) {
		const n, rounds = 8, 5
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				for round := range rounds {
					if err := e.handle(i).AppendTokenEvents(e.ctx, tokenEvents(id1, time.Duration(i*rounds+round)*time.Hour, 70)); err != nil {
						e.t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		all := e.tokenEvents(id1)
		e.equal(len(all), n*rounds*70)
		for i := range n { // each one's own are in its order
			last := time.Time{}
			for _, ev := range slices.Backward(all) {
				begun := at(time.Duration(i*rounds) * time.Hour)
				if ev.At.Before(begun) || !ev.At.Before(begun.Add(rounds*time.Hour)) {
					continue
				}
				if !ev.At.After(last) {
					e.t.Fatalf("%v comes after %v", ev.At, last)
				}
				last = ev.At
			}
		}
	})
	s.run(t, "Collect removes what is old", func(e *env) {
		all := tokenEvents(id1, 0, 600) // more than are removed in one go
		e.ok(e.AppendTokenEvents(e.ctx, all))
		e.ok(e.Collect(e.ctx, store.Retention{TokenEventCount: 600}))
		e.ok(e.Collect(e.ctx, store.Retention{TokenEvents: at(0)}))
		e.equal(len(e.tokenEvents(id1)), 600)
		e.ok(e.Collect(e.ctx, store.Retention{TokenEvents: at(450 * time.Second)}))
		e.equal(e.tokenEvents(id1), backwards(all[450:]))
		late := tokenEvents(id1, 0, 1)
		e.ok(e.AppendTokenEvents(e.ctx, late))
		e.ok(e.Collect(e.ctx, store.Retention{TokenEvents: at(599 * time.Second)}))
		e.equal(e.tokenEvents(id1), append(late, all[599])) // it stands behind one that is kept
		e.ok(e.Collect(e.ctx, store.Retention{TokenEvents: at(600 * time.Second)}))
		e.equal(e.tokenEvents(id1), []store.TokenEvent(nil))
	})
	s.run(t, "Collect removes what is too much", func(e *env) {
		all := tokenEvents(id1, 0, 600)
		e.ok(e.AppendTokenEvents(e.ctx, all))
		last := must[[]store.TokenEvent](e)(e.TokenEvents(e.ctx, id1, 0, 1))[0].ID
		for _, keep := range []int{599, 310, 7} {
			e.ok(e.Collect(e.ctx, store.Retention{TokenEventCount: int64(keep)}))
			e.equal(e.tokenEvents(id1), backwards(all[600-keep:]))
		}
		// Both bounds hold, and no number is given twice.
		e.ok(e.Collect(e.ctx, store.Retention{TokenEventCount: 5, TokenEvents: at(598 * time.Second)}))
		e.equal(e.tokenEvents(id1), backwards(all[598:]))
		e.ok(e.Collect(e.ctx, store.Retention{TokenEventCount: 1, TokenEvents: at(time.Hour)}))
		e.equal(e.tokenEvents(id1), []store.TokenEvent(nil))
		e.ok(e.AppendTokenEvents(e.ctx, all[:1]))
		if id := must[[]store.TokenEvent](e)(e.TokenEvents(e.ctx, id1, 0, 1))[0].ID; id <= last {
			e.t.Errorf("event %d after %d", id, last)
		}
	})
}
