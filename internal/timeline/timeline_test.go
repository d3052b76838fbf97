package timeline_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/timeline"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
)

// book is a store of events.
type book struct {
	mu      sync.Mutex
	batches [][]store.TokenEvent
	stuck   bool // writes wait until they are given up
	err     error
}

func (b *book) AppendTokenEvents(ctx context.Context, events []store.TokenEvent) error {
	b.mu.Lock()
	stuck := b.stuck
	b.mu.Unlock()
	if stuck {
		<-ctx.Done()
		return ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	b.batches = append(b.batches, events)
	return nil
}

var account = tuoguan.Authorization{Component: "wx1", Authorizer: "wx2"}

func refresh(n int) keeper.Observation {
	return keeper.Observation{Kind: "refresh", Authorization: account, Result: "ok", Duration: time.Duration(n)}
}

func newLog(t *testing.T, b *book) *timeline.Log {
	t.Helper()
	l, err := timeline.New(timeline.Config{Store: b, Replica: "one"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestObserve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := new(book)
		l := newLog(t, b)
		at := time.Now()
		l.Observe(keeper.Observation{
			Kind: "refresh", Authorization: account, Result: "denied", Err: errors.New("refused"), Errcode: 61023,
			Cause: keeper.Cause{Kind: keeper.Reported, Actor: "shop"}, Duration: time.Second,
		})
		l.Observe(keeper.Observation{Kind: "ticket", Authorization: account, Result: "ok"})                                               // of no interest
		l.Observe(keeper.Observation{Kind: "refresh", Authorization: tuoguan.Authorization{Component: "wx1"}, Result: "ok"})              // of nobody
		l.Observe(keeper.Observation{Kind: "state", Authorization: account, Result: "active", Err: errors.New(strings.Repeat("托", 200))}) // too long
		time.Sleep(2 * time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		want := [][]store.TokenEvent{{
			{Authorization: account, Kind: "refresh", Result: "denied", Cause: "reported", Actor: "shop", Errcode: 61023, Message: "refused", Replica: "one", At: at, Duration: time.Second},
			{Authorization: account, Kind: "state", Result: "active", Message: strings.Repeat("托", 100), Replica: "one", At: at},
		}}
		if diff := cmp.Diff(want, b.batches, cmpopts.EquateApproxTime(0)); diff != "" {
			t.Error(diff)
		}
		if err := l.Close(t.Context()); err != nil || l.Dropped() != 0 {
			t.Errorf("%v, %d dropped", err, l.Dropped())
		}
	})
}

func TestCloseWritesWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := new(book)
		l := newLog(t, b)
		for i := range 1234 {
			l.Observe(refresh(i))
		}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		var sizes []int
		next := 0
		for _, batch := range b.batches {
			sizes = append(sizes, len(batch))
			for _, e := range batch {
				if int(e.Duration) != next {
					t.Fatalf("event %d comes where %d should", e.Duration, next)
				}
				next++
			}
		}
		if diff := cmp.Diff(append(slices.Repeat([]int{50}, 24), 34), sizes); diff != "" {
			t.Error(diff)
		}
		l.Observe(refresh(0))
		if l.Dropped() != 1 {
			t.Errorf("after Close %d are dropped", l.Dropped())
		}
		if err := l.Close(t.Context()); err != nil {
			t.Error("closed again:", err)
		}
	})
}

func TestStuckStoreHoldsNothingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &book{stuck: true}
		l := newLog(t, b)
		began := time.Now()
		for i := range 30_000 {
			l.Observe(refresh(i))
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("observing took %v", took)
		}
		if n := l.Dropped(); n < 19_000 || n > 20_000 {
			t.Errorf("%d dropped of 30000, 10000 may wait", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
		if l.Dropped() != 30_000 {
			t.Errorf("%d dropped in the end", l.Dropped())
		}
	})
}

func TestFailedWritesAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &book{err: fmt.Errorf("no room")}
		l := newLog(t, b)
		l.Observe(refresh(1))
		time.Sleep(2 * time.Second)
		b.mu.Lock()
		b.err = nil
		b.mu.Unlock()
		l.Observe(refresh(2))
		if err := l.Close(t.Context()); err != nil || l.Dropped() != 1 || len(b.batches) != 1 {
			t.Errorf("%v, %d dropped, %d batches", err, l.Dropped(), len(b.batches))
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	l, err := timeline.New(timeline.Config{Store: new(book)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		l.Observe(refresh(1))
	}
	_ = l.Close(b.Context())
}
