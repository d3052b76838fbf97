package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
)

// unreliable is a store that can be slow or away, and counts.
type unreliable struct {
	*memory.Store
	appends atomic.Int64
	delay   atomic.Int64 // of each append, a time.Duration
	away    atomic.Bool
	// twice makes one append happen twice, as where the store tries again after a
	// connection was lost during a commit.
	twice atomic.Bool
}

var errAway = errors.New("connection refused")

func (s *unreliable) AppendAudit(ctx context.Context, records []store.AuditRecord) error {
	s.appends.Add(1)
	select {
	case <-time.After(time.Duration(s.delay.Load())):
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.away.Load() {
		return errAway
	}
	if s.twice.Swap(false) {
		if err := s.Store.AppendAudit(ctx, records); err != nil {
			return err
		}
	}
	return s.Store.AppendAudit(ctx, records)
}

func newLog(t testing.TB, s store.Audits) *Log {
	t.Helper()
	l, err := New(Config{Store: s, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return l
}

func event(n int) Event {
	return Event{Actor: "key", Operation: "component.update", RequestID: fmt.Sprint("r", n), Result: "ok"}
}

// whole fails unless the log of a store is, and returns its entries.
func whole(t testing.TB, s store.Audits) []Entry {
	t.Helper()
	report, err := Verify(t.Context(), s, Head{}, nil)
	if err != nil || report.Break != nil {
		t.Fatalf("Verify = %+v, %+v, %v", report, report.Break, err)
	}
	records, err := s.Audit(t.Context(), 0, 1_000_000)
	if err != nil || int64(len(records)) != report.Records {
		t.Fatalf("%d records are listed, %d verified, %v", len(records), report.Records, err)
	}
	entries, _ := decodeAll(records, nil)
	return entries
}

// TestBody pins what is hashed: records that are stored must stay readable.
func TestBody(t *testing.T) {
	t.Parallel()
	e := Event{
		Actor: "id", ActorName: "订单<服务>", Address: "192.0.2.1", Operation: "token.read", Component: "wxc", Authorizer: "wxa",
		Target: "link-1", Result: "ok", RequestID: "r1", Detail: map[string]string{"b": "2", "a": "&"}, Repeats: 3,
		Since: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC),
	}
	const want = `{"v":1,"actor":"id","actor_name":"订单<服务>","address":"192.0.2.1","operation":"token.read",` +
		`"component_appid":"wxc","authorizer_appid":"wxa","target":"link-1","result":"ok","request_id":"r1",` +
		`"detail":{"a":"&","b":"2"},"repeats":3,"since":"2026-01-02T03:04:05.006Z"}`
	if diff := cmp.Diff(want, string(e.body())); diff != "" {
		t.Error(diff)
	}
	decoded := Decode(store.AuditRecord{Seq: 7, At: e.Since, Body: []byte(want), Hash: []byte{1}})
	if diff := cmp.Diff(Entry{Seq: 7, At: e.Since, Hash: []byte{1}, Event: e}, decoded); diff != "" {
		t.Error(diff)
	}
	if got := string(Event{Operation: "x"}.body()); got != `{"v":1,"actor":"","operation":"x"}` {
		t.Errorf("an event with an operation alone is %s", got)
	}
	if !Decode(store.AuditRecord{Body: []byte("{")}).Unreadable {
		t.Error("what is not JSON is not said to be unreadable")
	}

	huge := Event{Operation: "x\xff", Target: strings.Repeat("托", 1000), Detail: make(map[string]string)}
	for i := range 100 {
		huge.Detail[fmt.Sprintf("%03d", i)] = strings.Repeat("y", 5000)
	}
	body := huge.body()
	got := Decode(store.AuditRecord{Body: body})
	if len(got.Target) > maxText || !strings.HasSuffix(got.Target, "托…") || len(got.Detail) != maxDetail || got.Operation != "x\uFFFD" || got.Unreadable {
		t.Errorf("%d bytes: target of %d bytes, %d details, operation %q", len(body), len(got.Target), len(got.Detail), got.Operation)
	}
}

// TestHash pins the chain, as computed by another program.
func TestHash(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_700_000_000_123)
	records, head := chain(Head{}, []link{{at: at, body: []byte(`{"v":1}`)}, {at: at, body: []byte(`{"v":1}`)}})
	if head.String() != "2:3df1d13bae6ea63d39e6ffdab7221e2bd372deea382752914eb3ba92718ad399" || (Head{Seq: 1, Hash: [32]byte(records[0].Hash)}).String() != "1:076b80cae86a1cbe8ee7b44352fa14e5ac265dc815e66a6e01ffe0fa0a170b5a" {
		t.Errorf("heads %x, %v", records[0].Hash, head)
	}
	parsed, err := ParseHead(" " + head.String() + "\n")
	if err != nil || parsed != head {
		t.Errorf("ParseHead = %v, %v", parsed, err)
	}
	for _, wrong := range []string{"", "1", "0:" + head.String()[2:], "2:00", "x" + head.String(), head.String() + "0"} {
		if _, err := ParseHead(wrong); err == nil {
			t.Errorf("ParseHead(%q) takes it", wrong)
		}
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &unreliable{Store: memory.New(memory.Config{})}
		l := newLog(t, db)
		if err := l.Record(t.Context(), event(1)); err != nil {
			t.Fatal(err)
		}
		entries := whole(t, db)
		if diff := cmp.Diff([]Entry{{Seq: 1, At: time.Now().UTC(), Hash: entries[0].Hash, Event: event(1)}}, entries); diff != "" {
			t.Error(diff)
		}
		if err := l.Record(t.Context(), Event{Actor: "key"}); err == nil {
			t.Error("an event without operation is recorded")
		}

		// Whoever waits meanwhile is written together.
		db.appends.Store(0)
		db.delay.Store(int64(10 * time.Millisecond))
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				if err := l.Record(t.Context(), event(i)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if appends := db.appends.Load(); appends > 4 {
			t.Errorf("200 events took %d appends", appends)
		}
		if n := len(whole(t, db)); n != 201 {
			t.Errorf("%d records", n)
		}
		head, err := l.Head(t.Context())
		if err != nil || head.Seq != 201 {
			t.Errorf("Head = %v, %v", head, err)
		}

		first, err := l.Page(t.Context(), 0, 2)
		last, err2 := l.PageBackwards(t.Context(), 0, 2)
		before, err3 := l.PageBackwards(t.Context(), 3, 10)
		if errors.Join(err, err2, err3) != nil || len(first) != 2 || first[0].Seq != 1 || len(last) != 2 || last[0].Seq != 201 || len(before) != 2 || before[0].Seq != 2 {
			t.Errorf("pages %v, %v, %v", first, last, before)
		}
	})
}

// TestReplicas: two processes write one chain.
func TestReplicas(t *testing.T) {
	t.Parallel()
	db := memory.New(memory.Config{})
	one, err := New(Config{Store: db, Logger: slog.New(slog.DiscardHandler), Timeout: time.Minute})
	two, err2 := New(Config{Store: db, Logger: slog.New(slog.DiscardHandler), Timeout: time.Minute})
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i, l := range []*Log{one, two} {
		for j := range 8 {
			all.Go(func() {
				for n := range 100 {
					if err := l.Record(t.Context(), event(1e6*i+1e4*j+n)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	if err := errors.Join(one.Close(t.Context()), two.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, e := range whole(t, db) {
		seen[e.RequestID] = true
	}
	if n := len(whole(t, db)); n != 1600 || len(seen) != 1600 {
		t.Errorf("%d records of %d events, want 1600", n, len(seen))
	}
}

// TestOwnConflict: a store that tries again after a commit that it has not heard of
// reports a conflict with the very records; they are not written twice.
func TestOwnConflict(t *testing.T) {
	t.Parallel()
	db := &unreliable{Store: memory.New(memory.Config{})}
	l := newLog(t, db)
	for i := range 3 {
		db.twice.Store(true)
		if err := l.Record(t.Context(), event(i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(whole(t, db)); n != 3 {
		t.Errorf("%d records of 3 events", n)
	}
}

func TestStoreAway(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(s *unreliable, away bool){
		"refusing": func(s *unreliable, away bool) { s.away.Store(away) },
		"hanging": func(s *unreliable, away bool) {
			s.delay.Store(0)
			if away {
				s.delay.Store(int64(time.Hour))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				db := &unreliable{Store: memory.New(memory.Config{})}
				l := newLog(t, db)
				read := Event{Actor: "key", ActorName: "orders", Address: "192.0.2.1", Operation: "token.read", Component: "c", Authorizer: "a", Result: "ok"}
				if err := l.Handed(t.Context(), read, "token 1"); err != nil {
					t.Fatal(err)
				}
				set(db, true)
				var all sync.WaitGroup
				for range 2 * queueLength {
					all.Go(func() {
						began := time.Now()
						if err := l.Record(t.Context(), event(1)); !errors.Is(err, ErrUnavailable) || time.Since(began) > DefaultTimeout {
							t.Errorf("Record = %v after %v", err, time.Since(began))
						}
						ctx, cancel := context.WithTimeout(t.Context(), DefaultTimeout/2)
						defer cancel()
						if err := l.Record(ctx, event(1)); !errors.Is(err, ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("Record with an impatient caller = %v", err)
						}
					})
				}
				all.Wait()
				if err := l.Handed(t.Context(), read, "token 1"); err != nil {
					t.Errorf("a token that is recorded to be in his hands: %v", err)
				}
				for what, change := range map[string]func(*Event){
					"key": func(e *Event) { e.Actor = "other" }, "address": func(e *Event) { e.Address = "192.0.2.2" },
					"operation": func(e *Event) { e.Operation = "token.proxy" }, "component": func(e *Event) { e.Component = "d" },
					"account": func(e *Event) { e.Authorizer = "b" },
				} {
					other := read
					change(&other)
					if err := l.Handed(t.Context(), other, "token 1"); !errors.Is(err, ErrUnavailable) {
						t.Errorf("the same token, other %s: %v", what, err)
					}
				}
				if err := l.Handed(t.Context(), read, "token 2"); !errors.Is(err, ErrUnavailable) {
					t.Errorf("another token: %v", err)
				}
				set(db, false)
				time.Sleep(2 * time.Second)
				if err := l.Record(t.Context(), event(2)); err != nil {
					t.Errorf("once the store is back: %v", err)
				}
				if n := len(whole(t, db)); n != 2 {
					t.Errorf("%d records of 2 events", n)
				}
			})
		})
	}
}

func TestHanded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &unreliable{Store: memory.New(memory.Config{})}
		l, err := New(Config{Store: db, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		read := func(account, token string) {
			t.Helper()
			e := Event{Actor: "key", ActorName: "orders", Address: "192.0.2.1", Operation: "token.read", Component: "c", Authorizer: account, Result: "ok"}
			if err := l.Handed(t.Context(), e, token); err != nil {
				t.Fatal(err)
			}
		}
		total := func(repeats int64, since time.Time) Event {
			return Event{Actor: "key", ActorName: "orders", Address: "192.0.2.1", Operation: "token.read", Component: "c", Result: "ok",
				Repeats: repeats, Since: since}
		}
		last := func() Event { entries := whole(t, db); return entries[len(entries)-1].Event }

		began := time.Now().UTC()
		for range 100 {
			read("a", "1")
			read("b", "2")
		}
		if n := len(whole(t, db)); n != 2 {
			t.Errorf("%d records before a minute is over", n)
		}
		time.Sleep(time.Minute + 1)
		if diff := cmp.Diff(total(198, began), last()); diff != "" || len(whole(t, db)) != 3 {
			t.Errorf("%d records, the last: %s", len(whole(t, db)), diff)
		}
		time.Sleep(10 * time.Minute)
		if n := len(whole(t, db)); n != 3 {
			t.Errorf("%d records after minutes without a repeat", n)
		}

		// Totals survive a store that is away, and are complete at the end.
		began = time.Now().UTC().Truncate(time.Millisecond)
		read("a", "1")
		db.away.Store(true)
		time.Sleep(3 * time.Minute)
		read("a", "1")
		db.away.Store(false)
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(total(2, began), last()); diff != "" {
			t.Error(diff)
		}
		if err := l.Record(t.Context(), event(1)); !errors.Is(err, ErrClosed) {
			t.Errorf("Record after Close = %v", err)
		}
		if err := l.Close(t.Context()); err != nil {
			t.Errorf("a second Close = %v", err)
		}
	})
}

// TestCloseWritesAll: what was accepted before Close is recorded.
func TestCloseWritesAll(t *testing.T) {
	t.Parallel()
	db := &unreliable{Store: memory.New(memory.Config{})}
	db.delay.Store(int64(time.Millisecond))
	l := newLog(t, db)
	var recorded atomic.Int64
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			switch err := l.Record(t.Context(), event(i)); {
			case err == nil:
				recorded.Add(1)
			case !errors.Is(err, ErrClosed):
				t.Error(err)
			}
		})
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if n := int64(len(whole(t, db))); n != recorded.Load() {
		t.Errorf("%d records, %d callers were told so", n, recorded.Load())
	}
}

func TestHandedBounded(t *testing.T) {
	t.Parallel()
	h, now := newHanded(), time.Unix(0, 0)
	used := handedKey{fingerprint: "used"}
	h.remember(used, now)
	for i := range handedBound + handedBound/5 {
		h.remember(handedKey{fingerprint: fmt.Sprint(i)}, now)
		if i%1000 == 0 && !h.count(used, "", now) {
			t.Fatal("what is used was forgotten")
		}
	}
	if n := len(h.young) + len(h.old); n > handedBound {
		t.Errorf("%d are remembered", n)
	}
	for range 3 {
		now = now.Add(handedFor + 1)
		h.remember(handedKey{fingerprint: now.String()}, now)
	}
	if n := len(h.young) + len(h.old); n > 3 {
		t.Errorf("%d are remembered hours later", n)
	}
}

func TestRepeatAllocatesNothing(t *testing.T) {
	l := newLog(t, memory.New(memory.Config{}))
	e := Event{Actor: "key", Operation: "token.read", Component: "c", Authorizer: "a"}
	if err := l.Handed(t.Context(), e, "token"); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(1000, func() {
		if err := l.Handed(t.Context(), e, "token"); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Timeout: -1})
	for _, field := range []string{"Store", "Logger", "Timeout"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("New = %v, does not name %s", err, field)
		}
	}
}

func BenchmarkRepeat(b *testing.B) {
	l := newLog(b, memory.New(memory.Config{}))
	e := Event{Actor: "000000000000", Address: "192.0.2.1", Operation: "token.read", Component: "wx00000000000000c1", Authorizer: "wx00000000000000a1"}
	if err := l.Handed(b.Context(), e, "token"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Handed(b.Context(), e, "token"); err != nil {
			b.Fatal(err)
		}
	}
}

// TestRefusedIsNotRecorded: once the store is back, the log is not filled with what
// had to be refused while it was away.
func TestRefusedIsNotRecorded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &unreliable{Store: memory.New(memory.Config{})}
		l := newLog(t, db)
		db.delay.Store(int64(time.Hour))
		var all sync.WaitGroup
		for i := range 2 * maxBatch {
			all.Go(func() {
				if err := l.Record(t.Context(), event(i)); !errors.Is(err, ErrUnavailable) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		db.delay.Store(0)
		time.Sleep(2 * DefaultTimeout)
		if n := len(whole(t, db)); n != 0 {
			t.Errorf("%d records of what was refused", n)
		}
	})
}
