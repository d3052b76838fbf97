package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// newKey is a key that is not stored yet.
func newKey(id string) store.APIKey {
	k := fullAPIKey()
	k.ID, k.Version = id, 0
	return k
}

func (e *env) putKey(k store.APIKey) store.APIKey {
	e.t.Helper()
	return must[store.APIKey](e)(e.PutAPIKey(e.ctx, k))
}

// key reads by the other handle.
func (e *env) key(id string) store.APIKey {
	e.t.Helper()
	return must[store.APIKey](e)(e.other.APIKey(e.ctx, id))
}

func testAPIKeys(t *testing.T, s *suite) {
	s.run(t, "every field comes back", func(e *env) {
		want := newKey("k1")
		got := e.putKey(want)
		want.Version = 1
		e.equal(got, want)
		e.equal(e.key("k1"), want)
		e.full(e.key("k1"))
	})
	s.run(t, "hashes and instants may be missing", func(e *env) {
		want := store.APIKey{ID: "k1"}
		e.putKey(want)
		want.Version = 1
		e.equal(e.key("k1"), want)
	})
	s.run(t, "instants are kept in UTC to the millisecond", func(e *env) {
		k := newKey("k1")
		k.ExpiresAt = time.Date(2026, 1, 2, 3, 4, 5, 678_999_999, time.FixedZone("UTC+8", 8*3600))
		got := e.putKey(k)
		e.equal(got.ExpiresAt, time.Date(2026, 1, 1, 19, 4, 5, 678_000_000, time.UTC))
		e.equal(e.key("k1"), got)
	})
	s.run(t, "only the version that was read is replaced", func(e *env) {
		refused := func(k store.APIKey) {
			e.t.Helper()
			got, err := e.PutAPIKey(e.ctx, k)
			e.is(err, store.ErrConflict)
			e.equal(got, store.APIKey{})
		}
		absent := newKey("k1")
		absent.Version = 1
		refused(absent)
		first := e.putKey(newKey("k1"))
		refused(newKey("k1"))
		changed := first
		changed.Name, changed.Hash, changed.PreviousHash = "renamed", []byte("new hash"), nil
		changed.PreviousUntil, changed.Scope, changed.UpdatedAt = time.Time{}, "{}", at(time.Hour)
		changed.ExpiresAt, changed.RevokedAt = time.Time{}, at(2*time.Hour)
		want := changed
		want.Version = 2
		changed.CreatedAt, changed.LastUsedAt = at(-time.Hour), at(-time.Hour) // are kept
		e.equal(e.putKey(changed), want)
		e.equal(e.key("k1"), want)
		refused(changed) // is of version 1
		other := newKey("k2")
		other.Version = 2
		refused(other)
		e.putKey(newKey("k2"))
		e.equal(e.key("k1"), want)
	})
	s.run(t, "all are listed in order", func(e *env) {
		var want []store.APIKey
		for _, n := range []int{3, 1, 4, 0, 2} {
			k := newKey(fmt.Sprintf("k%d", n))
			switch n {
			case 1:
				k.RevokedAt = time.Time{}
			case 2:
				k.ExpiresAt = at(-time.Hour)
			}
			want = append(want, e.putKey(k))
		}
		slices.SortFunc(want, func(a, b store.APIKey) int { return bytes.Compare([]byte(a.ID), []byte(b.ID)) })
		list := func(after string, limit int) []store.APIKey {
			e.t.Helper()
			return must[[]store.APIKey](e)(e.other.APIKeys(e.ctx, after, limit))
		}
		e.equal(list("", 0), want)
		e.equal(list("", 2), want[:2])
		e.equal(list("k1", 2), want[2:4])
		e.equal(list("k1x", 9), want[2:])
		e.equal(list("k4", 9), []store.APIKey(nil))
	})
	s.run(t, "limit defaults", func(e *env) {
		for n := range store.DefaultLimit + 1 {
			e.putKey(newKey(fmt.Sprintf("k%04d", n)))
		}
		if n := len(must[[]store.APIKey](e)(e.APIKeys(e.ctx, "", 0))); n != store.DefaultLimit {
			e.t.Errorf("%d keys", n)
		}
	})
	s.run(t, "last use", func(e *env) {
		for n := range 250 { // more than are written in one go
			k := newKey(fmt.Sprintf("k%03d", n))
			k.LastUsedAt = time.Time{}
			e.putKey(k)
		}
		used := map[string]time.Time{"unknown": at(time.Hour), "k007": at(time.Hour + 999*time.Microsecond)}
		for n := 10; n < 250; n++ {
			used[fmt.Sprintf("k%03d", n)] = at(time.Duration(n) * time.Second)
		}
		e.ok(e.TouchAPIKeys(e.ctx, used))
		e.ok(e.TouchAPIKeys(e.ctx, map[string]time.Time{
			"k007": at(time.Minute), "k010": at(11 * time.Second), "k011": {}, // only later ones count
		}))
		e.ok(e.TouchAPIKeys(e.ctx, nil))
		want := newKey("k007")
		want.Version, want.LastUsedAt = 1, at(time.Hour) // and that is no change of the key
		e.equal(e.key("k007"), want)
		for id, at := range map[string]time.Time{"k000": {}, "k010": at(11 * time.Second), "k011": at(11 * time.Second), "k249": at(249 * time.Second)} {
			e.equal(e.key(id).LastUsedAt, at)
		}
		_, err := e.APIKey(e.ctx, "unknown")
		e.is(err, store.ErrNotFound)
	})
	s.run(t, "is not shared with the caller", func(e *env) {
		k := newKey("k1")
		k.Hash = []byte("hash")
		put := e.putKey(k)
		k.Hash[0], put.Hash[1] = 'X', 'X'
		e.key("k1").Hash[2] = 'X'
		e.equal(string(e.key("k1").Hash), "hash")
	})
	s.run(t, "16 who change a key, and as many who use it", func(e *env) {
		const n, rounds = 16, 4
		first := newKey("k1")
		first.LastUsedAt = time.Time{}
		e.putKey(first)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				for range rounds {
					for {
						k, err := e.handle(i).APIKey(e.ctx, "k1")
						if err != nil {
							e.t.Error(err)
							return
						}
						k.Name = fmt.Sprintf("version %d", k.Version+1)
						stored, err := e.handle(i).PutAPIKey(e.ctx, k)
						if errors.Is(err, store.ErrConflict) {
							continue
						}
						if err != nil || stored.Version != k.Version+1 || stored.Name != k.Name || stored.LastUsedAt.Before(k.LastUsedAt) {
							e.t.Errorf("after version %d: %+v, %v", k.Version, stored, err)
						}
						break
					}
				}
			})
			wg.Go(func() {
				for round := range rounds {
					if err := e.handle(i).TouchAPIKeys(e.ctx, map[string]time.Time{"k1": at(time.Duration(i*rounds+round) * time.Second)}); err != nil {
						e.t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		got := e.key("k1")
		if got.Version != n*rounds+1 || got.Name != fmt.Sprintf("version %d", n*rounds+1) || got.LastUsedAt != at((n*rounds-1)*time.Second) {
			e.t.Errorf("got %+v", got)
		}
	})
	s.run(t, "of 16 who add a key one does", func(e *env) {
		e.winner(16, func(i int) error {
			_, err := e.handle(i).PutAPIKey(e.ctx, newKey("k1"))
			return err
		}, store.ErrConflict)
	})
}

// winner has n callers try the same at once, and demands that one of them succeeds and
// the others fail with a certain error.
func (e *env) winner(n int, try func(i int) error, want error) {
	e.t.Helper()
	var won atomic.Int32
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			if err := try(i); err == nil {
				won.Add(1)
			} else if !errors.Is(err, want) {
				e.t.Errorf("got error %v, want %v", err, want)
			}
		})
	}
	close(start)
	wg.Wait()
	if won.Load() != 1 {
		e.t.Errorf("%d of %d succeeded", won.Load(), n)
	}
}

// audits are n records that follow the one with the number given.
func audits(after int64, n int) (all []store.AuditRecord) {
	for i := range n {
		r := fullAuditRecord()
		r.Seq = after + int64(i) + 1
		r.At = at(time.Duration(r.Seq) * time.Millisecond)
		r.Body = fmt.Appendf(nil, `{"n": %d, "actor": "k1"}`, r.Seq)
		r.Hash = fmt.Appendf(nil, "hash %d\x00\xff", r.Seq)
		all = append(all, r)
	}
	return all
}

// audit reads everything by the other handle.
func (e *env) audit() (all []store.AuditRecord) {
	e.t.Helper()
	for after := int64(0); ; {
		page := must[[]store.AuditRecord](e)(e.other.Audit(e.ctx, after, 70))
		all = append(all, page...)
		if len(page) < 70 {
			return all
		}
		after = page[len(page)-1].Seq
	}
}

func testAudits(t *testing.T, s *suite) {
	s.run(t, "every field comes back", func(e *env) {
		want := fullAuditRecord()
		e.ok(e.AppendAudit(e.ctx, []store.AuditRecord{want}))
		e.equal(must[store.AuditRecord](e)(e.other.LastAudit(e.ctx)), want)
		e.equal(e.audit(), []store.AuditRecord{want})
		e.full(e.audit()[0])
	})
	s.run(t, "bytes come back as they were", func(e *env) {
		r := fullAuditRecord()
		r.Body, r.Hash = []byte("{ \"b\" : 1, \"a\":\"托管\\u0000\" }\n\x00\xff"), nil
		r.At = time.Date(2026, 1, 2, 3, 4, 5, 678_999_999, time.FixedZone("UTC+8", 8*3600))
		e.ok(e.AppendAudit(e.ctx, []store.AuditRecord{r}))
		got := e.audit()[0]
		e.equal(got.Body, r.Body)
		e.equal(len(got.Hash), 0)
		e.equal(got.At, time.Date(2026, 1, 1, 19, 4, 5, 678_000_000, time.UTC))
	})
	s.run(t, "nothing to append", func(e *env) {
		e.ok(e.AppendAudit(e.ctx, nil))
		e.ok(e.AppendAudit(e.ctx, audits(0, 1)))
		e.ok(e.AppendAudit(e.ctx, nil))
		e.equal(e.audit(), audits(0, 1))
	})
	s.run(t, "as many as there are", func(e *env) {
		last := int64(0)
		for _, n := range []int{1, 2, 3, 63, 64, 65, 200} { // more than go into one statement
			e.ok(e.AppendAudit(e.ctx, audits(last, n)))
			last += int64(n)
		}
		e.equal(e.audit(), audits(0, int(last)))
	})
	s.run(t, "only what follows the last", func(e *env) {
		refused := func(records ...store.AuditRecord) {
			e.t.Helper()
			before := e.audit()
			e.is(e.AppendAudit(e.ctx, records), store.ErrConflict)
			e.equal(e.audit(), before)
		}
		refused(audits(1, 1)...) // there is no first
		refused(audits(-1, 2)...)
		e.ok(e.AppendAudit(e.ctx, audits(0, 3)))
		refused(audits(0, 3)...)
		refused(audits(0, 4)...) // begins before the end
		refused(audits(2, 1)...)
		refused(audits(4, 1)...)
		next := audits(3, 3)
		refused(next[0], next[2])          // has a gap
		refused(next[0], next[1], next[1]) // has one twice
		refused(next[1], next[0])
		many := audits(3, 100)
		many[99].Seq++
		refused(many...) // in a statement of its own
		e.ok(e.AppendAudit(e.ctx, next))
		e.equal(e.audit(), audits(0, 6))
	})
	s.run(t, "pages", func(e *env) {
		const n = store.DefaultLimit + 7
		all := audits(0, n)
		e.ok(e.AppendAudit(e.ctx, all))
		backwards := slices.Clone(all)
		slices.Reverse(backwards)
		for _, tt := range []struct {
			from  int64
			limit int
			after []store.AuditRecord
			back  []store.AuditRecord
		}{
			{0, 2, all[:2], backwards[:2]},
			{0, 0, all[:store.DefaultLimit], backwards[:store.DefaultLimit]},
			{3, 2, all[3:5], backwards[n-2:]},
			{4, 2, all[4:6], backwards[n-3 : n-1]},
			{n, 5, nil, backwards[1:6]},
			{n + 1, 5, nil, backwards[:5]},
			{n + 100, 1, nil, backwards[:1]},
			{n - 2, 1000, all[n-2:], backwards[3:]},
			{1, 1000, all[1:], nil},
		} {
			e.equal(must[[]store.AuditRecord](e)(e.Audit(e.ctx, tt.from, tt.limit)), tt.after)
			e.equal(must[[]store.AuditRecord](e)(e.AuditBackwards(e.ctx, tt.from, tt.limit)), tt.back)
		}
		e.equal(must[store.AuditRecord](e)(e.LastAudit(e.ctx)), all[n-1])
	})
	s.run(t, "of an empty log", func(e *env) {
		e.equal(must[[]store.AuditRecord](e)(e.Audit(e.ctx, 0, 1)), []store.AuditRecord(nil))
		e.equal(must[[]store.AuditRecord](e)(e.AuditBackwards(e.ctx, 0, 1)), []store.AuditRecord(nil))
	})
	s.run(t, "is not shared with the caller", func(e *env) {
		records := audits(0, 1)
		e.ok(e.AppendAudit(e.ctx, records))
		records[0].Body[0], records[0].Hash[0] = 'X', 'X'
		e.audit()[0].Body[1] = 'X'
		must[store.AuditRecord](e)(e.LastAudit(e.ctx)).Hash[1] = 'X'
		e.equal(e.audit(), audits(0, 1))
	})
	for _, n := range []int{1, 3, 70} {
		s.run(t, fmt.Sprintf("of 16 who append the same %d one does", n), func(e *env) {
			e.ok(e.AppendAudit(e.ctx, audits(0, 2)))
			e.winner(16, func(i int) error { return e.handle(i).AppendAudit(e.ctx, audits(2, n)) }, store.ErrConflict)
			e.equal(e.audit(), audits(0, n+2))
		})
	}
	s.run(t, "16 who append without gaps", func(e *env) {
		const writers, rounds = 16, 6
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				for round := range rounds {
					for {
						last, err := e.handle(i).LastAudit(e.ctx)
						if err != nil && !errors.Is(err, store.ErrNotFound) {
							e.t.Error(err)
							return
						}
						records := audits(last.Seq, 1+round%3)
						for j := range records {
							records[j].Body = fmt.Appendf(nil, "%d/%d/%d", i, round, j)
							records[j].Hash = append(bytes.Clone(last.Body), records[j].Body...)
							last = records[j]
						}
						err = e.handle(i).AppendAudit(e.ctx, records)
						if errors.Is(err, store.ErrConflict) {
							continue
						}
						if err != nil {
							e.t.Error(err)
						}
						break
					}
				}
			})
		}
		wg.Wait()
		all := e.audit()
		if want := writers * rounds / 3 * (1 + 2 + 3); len(all) != want {
			e.t.Errorf("%d records, want %d", len(all), want)
		}
		var before []byte
		seen := make(map[string]bool)
		for i, r := range all {
			if r.Seq != int64(i+1) || string(r.Hash) != string(before)+string(r.Body) || seen[string(r.Body)] {
				e.t.Errorf("record %d is %+v after %q", i+1, r, before)
			}
			before, seen[string(r.Body)] = r.Body, true
		}
	})
}

// value is a new value that lives for a minute.
func (e *env) value(key, data string) store.Value {
	return store.Value{Key: key, Data: []byte(data), ExpiresAt: e.clock.Now().Add(time.Minute).Truncate(time.Millisecond).UTC()}
}

func testValues(t *testing.T, s *suite) {
	get := func(e *env, key string) store.Value {
		e.t.Helper()
		return must[store.Value](e)(e.other.Value(e.ctx, key))
	}
	absent := func(e *env, key string) {
		e.t.Helper()
		_, err := e.other.Value(e.ctx, key)
		e.is(err, store.ErrNotFound)
	}
	s.run(t, "every field comes back", func(e *env) {
		for _, data := range [][]byte{[]byte("data"), {}, nil, {0, 255, 0}, bytes.Repeat([]byte("x"), 1<<17)} {
			want := e.value(fmt.Sprintf("key %d", len(data)), "")
			if want.Data = data; data == nil {
				want.Key = "nothing"
			}
			e.ok(e.PutValue(e.ctx, want))
			want.Version = 1
			e.equal(get(e, want.Key), want)
			e.equal(must[store.Value](e)(e.TakeValue(e.ctx, want.Key)), want)
			absent(e, want.Key)
		}
	})
	s.run(t, "only the version that was read is replaced", func(e *env) {
		v := e.value("k", "one")
		v.Version = 1
		e.is(e.PutValue(e.ctx, v), store.ErrConflict) // there is none
		v.Version = 0
		e.ok(e.PutValue(e.ctx, v))
		e.is(e.PutValue(e.ctx, v), store.ErrConflict)
		v.Version, v.Data, v.ExpiresAt = 1, []byte("two"), v.ExpiresAt.Add(time.Hour)
		e.ok(e.PutValue(e.ctx, v))
		e.is(e.PutValue(e.ctx, v), store.ErrConflict)
		v.Version = 2
		e.equal(get(e, "k"), v)
		v.Key = "other"
		e.is(e.PutValue(e.ctx, v), store.ErrConflict)
		v.Version = 0
		e.ok(e.PutValue(e.ctx, v))
	})
	s.run(t, "what is taken is gone", func(e *env) {
		e.ok(e.PutValue(e.ctx, e.value("k", "one")))
		e.ok(e.PutValue(e.ctx, e.value("k2", "two")))
		e.equal(string(must[store.Value](e)(e.TakeValue(e.ctx, "k")).Data), "one")
		_, err := e.other.TakeValue(e.ctx, "k")
		e.is(err, store.ErrNotFound)
		v := e.value("k", "again")
		e.ok(e.PutValue(e.ctx, v))
		v.Version = 1
		e.equal(get(e, "k"), v)
		e.equal(string(get(e, "k2").Data), "two")
	})
	s.run(t, "what has expired is absent", func(e *env) {
		v := e.value("k", "one")
		e.ok(e.PutValue(e.ctx, v))
		v.Version = 1
		e.ok(e.PutValue(e.ctx, v)) // version 2
		e.clock.Advance(time.Minute)
		absent(e, "k")
		_, err := e.TakeValue(e.ctx, "k")
		e.is(err, store.ErrNotFound)
		for _, version := range []int64{1, 2, 3} {
			again := e.value("k", "x")
			again.Version = version
			e.is(e.PutValue(e.ctx, again), store.ErrConflict)
		}
		again := e.value("k", "again")
		e.ok(e.PutValue(e.ctx, again))
		again.Version = 1
		e.equal(get(e, "k"), again)
		e.is(e.PutValue(e.ctx, e.value("k", "x")), store.ErrConflict)
	})
	s.run(t, "what expires in the past is absent", func(e *env) {
		for _, expires := range []time.Time{{}, e.clock.Now().Add(-time.Second)} {
			v := e.value("k", "one")
			v.ExpiresAt = expires
			e.ok(e.PutValue(e.ctx, v))
			absent(e, "k")
		}
	})
	s.run(t, "a value may be given a longer life", func(e *env) {
		v := e.value("k", "one")
		e.ok(e.PutValue(e.ctx, v))
		v.Version, v.ExpiresAt = 1, v.ExpiresAt.Add(time.Hour)
		e.ok(e.PutValue(e.ctx, v))
		e.clock.Advance(time.Hour)
		v.Version = 2
		e.equal(get(e, "k"), v)
	})
	s.run(t, "is not shared with the caller", func(e *env) {
		v := e.value("k", "abc")
		e.ok(e.PutValue(e.ctx, v))
		v.Data[0] = 'X'
		get(e, "k").Data[1] = 'X'
		e.equal(string(get(e, "k").Data), "abc")
	})
	s.run(t, "of 32 who take a value one gets it", func(e *env) {
		for round := range 4 {
			data := fmt.Sprint("code ", round)
			e.ok(e.PutValue(e.ctx, e.value("k", data)))
			e.winner(32, func(i int) error {
				v, err := e.handle(i).TakeValue(e.ctx, "k")
				if err == nil && string(v.Data) != data {
					err = fmt.Errorf("took %q, want %q", v.Data, data)
				}
				return err
			}, store.ErrNotFound)
		}
	})
	s.run(t, "of 16 who put a value one does", func(e *env) {
		e.winner(16, func(i int) error { return e.handle(i).PutValue(e.ctx, e.value("k", "new")) }, store.ErrConflict)
		e.clock.Advance(time.Hour)
		e.winner(16, func(i int) error { return e.handle(i).PutValue(e.ctx, e.value("k", "expired")) }, store.ErrConflict)
		e.winner(16, func(i int) error {
			v := e.value("k", "next")
			v.Version = 1
			return e.handle(i).PutValue(e.ctx, v)
		}, store.ErrConflict)
		if v := get(e, "k"); v.Version != 2 || string(v.Data) != "next" {
			e.t.Errorf("got %q of version %d", v.Data, v.Version)
		}
	})
	s.run(t, "8 who put and take at once", func(e *env) {
		// Whatever was put is taken once, or is there in the end.
		const n, rounds = 8, 20
		var put, taken sync.Map
		var wg sync.WaitGroup
		take := func(h store.Store) error {
			v, err := h.TakeValue(e.ctx, "k")
			if err != nil {
				return err
			}
			if _, twice := taken.LoadOrStore(string(v.Data), true); twice {
				e.t.Errorf("%q was taken twice", v.Data)
			}
			return nil
		}
		for i := range n {
			wg.Go(func() {
				for round := range rounds {
					v := e.value("k", fmt.Sprintf("%d/%d", i, round))
					switch err := e.handle(i).PutValue(e.ctx, v); {
					case err == nil:
						put.Store(string(v.Data), true)
					case !errors.Is(err, store.ErrConflict):
						e.t.Error(err)
					}
				}
			})
			wg.Go(func() {
				for range rounds {
					if err := take(e.handle(i)); err != nil && !errors.Is(err, store.ErrNotFound) {
						e.t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if err := take(e.Store); err != nil {
			e.is(err, store.ErrNotFound)
		}
		put.Range(func(data, _ any) bool {
			if _, ok := taken.Load(data); !ok {
				e.t.Errorf("%q was put, and has gone", data)
			}
			return true
		})
		taken.Range(func(data, _ any) bool {
			if _, ok := put.Load(data); !ok {
				e.t.Errorf("%q was taken, but not put", data)
			}
			return true
		})
	})
	s.run(t, "Collect removes what expired long ago", func(e *env) {
		for n := range 250 { // more than is removed in one go
			e.ok(e.PutValue(e.ctx, e.value(fmt.Sprint("old ", n), "x")))
		}
		e.clock.Advance(time.Minute + store.ExpiredValuesKept - time.Second)
		lives := e.value("lives", "x")
		e.ok(e.PutValue(e.ctx, lives))
		e.ok(e.Collect(e.ctx, store.Retention{}))
		e.clock.Advance(2 * time.Second)
		e.ok(e.Collect(e.ctx, store.Retention{}))
		lives.Version = 1
		e.equal(get(e, "lives"), lives)
		e.clock.Advance(-2 * time.Hour) // to where none has expired
		for n := range 250 {
			absent(e, fmt.Sprint("old ", n))
		}
	})
	s.run(t, "Collect leaves what may still be wanted", func(e *env) {
		v := e.value("k", "x")
		e.ok(e.PutValue(e.ctx, v))
		e.clock.Advance(time.Minute + store.ExpiredValuesKept - 10*time.Second)
		e.ok(e.Collect(e.ctx, store.Retention{}))
		e.clock.Advance(-store.ExpiredValuesKept - 20*time.Second) // to where it has not expired
		v.Version = 1
		e.equal(get(e, "k"), v)
	})
}

func testTags(t *testing.T, s *suite) {
	s.run(t, "are kept until they are replaced", func(e *env) {
		e.is(e.SaveTags(e.ctx, id1, []string{"a"}), store.ErrNotFound)
		e.grant(fullGrant())
		e.equal(e.authorizer(id1).Tags, []string(nil))
		given := []string{"vip", "beijing", "vip", "a.b-c_d", "北京 %'\"_"}
		e.ok(e.SaveTags(e.ctx, id1, given))
		want := []string{"a.b-c_d", "beijing", "vip", "北京 %'\"_"}
		e.equal(given[0], "vip") // is not touched
		e.equal(e.authorizer(id1).Tags, want)
		other := fullGrant()
		other.Authorization = id2
		e.grant(other)
		for name, change := range map[string]func(){
			"refresh":    func() { must[bool](e)(e.SaveTokens(e.ctx, fullTokenWrite())) },
			"profile":    func() { e.ok(e.SaveProfile(e.ctx, id1, fullProfile())) },
			"revocation": func() { must[bool](e)(e.Revoke(e.ctx, id1, at(time.Hour))) },
			"grant":      func() { e.grant(later(2*time.Hour, "2")) },
		} {
			change()
			e.equal(e.authorizer(id1).Tags, want)
			if e.authorizer(id2).Tags != nil {
				e.t.Errorf("a %s has given tags to another", name)
			}
		}
		a, _ := e.grant(later(3*time.Hour, "3"))
		e.equal(a.Tags, want)
		a.Tags[0], given[1] = "X", "X"
		e.equal(e.authorizer(id1).Tags, want)
		before := e.authorizer(id1)
		e.ok(e.SaveTags(e.ctx, id1, []string{"one"}))
		e.equal(e.authorizer(id1).Tags, []string{"one"})
		e.ok(e.SaveTags(e.ctx, id1, nil))
		after := e.authorizer(id1)
		e.equal(after.Tags, []string(nil))
		before.Tags, before.UpdatedAt = nil, after.UpdatedAt
		e.equal(after, before) // nothing else has changed
	})

	// Accounts a0 … a5 of two components with these tags.
	tags := [][]string{{"vip"}, {"vip", "north"}, {"vip2"}, {"north"}, nil, {"a", "_", "%"}}
	id := func(n int) tuoguan.Authorization {
		return tuoguan.Authorization{
			Component:  tuoguan.ComponentAppID(fmt.Sprintf("wxc%d", n/3)),
			Authorizer: tuoguan.AuthorizerAppID(fmt.Sprintf("wxA%d", n)),
		}
	}
	components := func(ids ...tuoguan.ComponentAppID) store.Reach { return store.Reach{Components: ids} }
	accounts := func(ids ...tuoguan.AuthorizerAppID) store.Reach { return store.Reach{Authorizers: ids} }
	tagged := func(tags ...string) store.Reach { return store.Reach{Tags: tags} }
	for _, tt := range []struct {
		name  string
		query store.AuthorizerQuery
		want  []int
	}{
		{"tag", store.AuthorizerQuery{Tag: "vip"}, []int{0, 1}},
		{"tag, the last of several", store.AuthorizerQuery{Tag: "north"}, []int{1, 3}},
		{"a part of a tag is not enough", store.AuthorizerQuery{Tag: "vi"}, nil},
		{"the end of a tag is not enough", store.AuthorizerQuery{Tag: "ip"}, nil},
		{"tag in other case", store.AuthorizerQuery{Tag: "VIP"}, nil},
		{"no wildcards: %", store.AuthorizerQuery{Tag: "%"}, []int{5}},
		{"no wildcards: _", store.AuthorizerQuery{Tag: "_"}, []int{5}},
		{"tag and component", store.AuthorizerQuery{Tag: "north", Component: "wxc1"}, []int{3}},
		{"reach of a component", store.AuthorizerQuery{Reach: components("wxc1")}, []int{3, 4, 5}},
		{"reach of components", store.AuthorizerQuery{Reach: components("wxc1", "wxother", "wxc0")}, []int{0, 1, 2, 3, 4, 5}},
		{"reach of another component", store.AuthorizerQuery{Reach: components("wxother")}, nil},
		{"reach of an account", store.AuthorizerQuery{Reach: accounts("wxA4")}, []int{4}},
		{"reach of accounts", store.AuthorizerQuery{Reach: accounts("wxA4", "wxA0", "wxA", "wxA2", "wxa1")}, []int{0, 2, 4}},
		{"reach of a tag", store.AuthorizerQuery{Reach: tagged("vip")}, []int{0, 1}},
		{"reach of tags", store.AuthorizerQuery{Reach: tagged("vip2", "a", "nobody's")}, []int{2, 5}},
		{"reach of accounts or tags", store.AuthorizerQuery{
			Reach: store.Reach{Authorizers: []tuoguan.AuthorizerAppID{"wxA4", "wxA0"}, Tags: []string{"north"}},
		}, []int{0, 1, 3, 4}},
		{"reach of accounts or tags of a component", store.AuthorizerQuery{Reach: store.Reach{
			Components: []tuoguan.ComponentAppID{"wxc0"}, Authorizers: []tuoguan.AuthorizerAppID{"wxA4", "wxA0"}, Tags: []string{"north"},
		}}, []int{0, 1}},
		{"reach and everything else", store.AuthorizerQuery{
			Reach: tagged("vip", "north"), Tag: "north", Component: "wxc0", Text: "wxa1", State: tuoguan.StateActive,
		}, []int{1}},
		{"what is asked for is out of reach", store.AuthorizerQuery{Authorizer: "wxA3", Reach: tagged("vip")}, nil},
		{"limit within reach", store.AuthorizerQuery{Reach: tagged("north"), Limit: 1}, []int{1}},
		{"after, within reach", store.AuthorizerQuery{Reach: tagged("north", "a"), After: id(1), Limit: 2}, []int{3, 5}},
	} {
		s.run(t, tt.name, func(e *env) {
			for n := range tags {
				g := fullGrant()
				g.Authorization, g.Link, g.CodeHash = id(n), "", ""
				e.grant(g)
				e.ok(e.SaveTags(e.ctx, id(n), tags[n]))
			}
			var want, got []tuoguan.Authorization
			for _, n := range tt.want {
				want = append(want, id(n))
			}
			for _, a := range must[[]store.Authorizer](e)(e.other.Authorizers(e.ctx, tt.query)) {
				got = append(got, a.Authorization)
				e.equal(a, e.authorizer(a.Authorization))
			}
			e.equal(got, want)
			if !strings.HasPrefix(tt.name, "reach of ") {
				return
			}
			for n := range tags {
				if tt.query.Reach.Contains(id(n), tags[n]) != slices.Contains(tt.want, n) {
					e.t.Errorf("Contains is of another opinion about %v", id(n))
				}
			}
		})
	}
	s.run(t, "a reach of very many", func(e *env) {
		e.grant(fullGrant())
		e.ok(e.SaveTags(e.ctx, id1, []string{"tag 1500"}))
		var r store.Reach
		for n := range 2000 {
			r.Tags = append(r.Tags, fmt.Sprintf("tag %d", n))
			r.Authorizers = append(r.Authorizers, tuoguan.AuthorizerAppID(fmt.Sprintf("wx%d", n)))
		}
		list := func() int {
			e.t.Helper()
			return len(must[[]store.Authorizer](e)(e.Authorizers(e.ctx, store.AuthorizerQuery{Reach: r})))
		}
		e.equal(list(), 1)
		r.Tags = slices.Delete(r.Tags, 1500, 1501)
		e.equal(list(), 0)
		r.Authorizers = append(r.Authorizers, id1.Authorizer)
		e.equal(list(), 1)
	})
}
