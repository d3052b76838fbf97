package insight_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/insight"
)

func TestLastFiveMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := insight.New(insight.Config{})
		r.Refresh("ok", 3*time.Millisecond) // too old at the end
		time.Sleep(5*time.Minute + insight.FineStep)
		for i := range 100 {
			result := "ok"
			if i < 3 {
				result = "busy"
			}
			r.Refresh(result, time.Duration(i+1)*time.Millisecond)
		}
		for _, outcome := range []string{"stored", "replied", "duplicate", "failed", "refused_signature"} {
			r.Push(outcome, 2*time.Millisecond)
		}
		time.Sleep(time.Minute)
		r.Delivery("delivered", time.Second)
		r.Delivery("unreachable", time.Second)
		r.Gateway("ok", time.Second)
		r.Gateway("refused", time.Second)
		got := r.LastFiveMinutes()
		for name, quantile := range map[string][2]float64{
			"refresh p50": {got.RefreshP50, 50}, "refresh p95": {got.RefreshP95, 95}, "push p95": {got.PushP95, 2},
		} {
			if quantile[0] < 0.75*quantile[1] || quantile[0] > 1.25*quantile[1] {
				t.Errorf("%s: %v ms, want %v", name, quantile[0], quantile[1])
			}
		}
		got.RefreshP50, got.RefreshP95, got.PushP95 = 0, 0, 0
		want := insight.Totals{Refreshes: 100, RefreshFailures: 3, Pushes: 5, PushesRefused: 2, Deliveries: 2, DeliveryFailures: 1, Gateway: 2, GatewayFailures: 1}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestQuantilesOfExtremes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		took       time.Duration
		from, upTo float64
	}{
		"nothing":        {0, 0, 0.1},
		"negative":       {-time.Second, 0, 0.1},
		"a quarter":      {250 * time.Microsecond, 0.2, 0.3},
		"a second":       {time.Second, 750, 1250},
		"a minute":       {time.Minute, 45_000, 75_000},
		"longer than it": {time.Hour, 50_000, 70_000}, // the last bucket
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := insight.New(insight.Config{})
			r.Refresh("ok", test.took)
			if got := r.LastFiveMinutes().RefreshP95; got < test.from || got > test.upTo {
				t.Errorf("%v is told as %v ms", test.took, got)
			}
		})
	}
	if got := insight.New(insight.Config{}).LastFiveMinutes(); got != (insight.Totals{}) {
		t.Errorf("nothing happened, and is told as %+v", got)
	}
}

func TestSeries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var waiting, dead atomic.Int64
		waiting.Store(7)
		dead.Store(1)
		r := insight.New(insight.Config{Backlogs: func(context.Context) ([]insight.Backlog, error) {
			return []insight.Backlog{{Subscription: "a", Pending: int(waiting.Load())}, {Subscription: "b", Pending: 3, Dead: int(dead.Load())}}, nil
		}})
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() { _ = r.Run(ctx) })
		synctest.Wait()
		if s := r.Series(60); len(s.Points) != 1 || s.StepSeconds != 10 || s.Points[0].Pending != 10 || s.Points[0].Dead != 1 {
			t.Errorf("at the start: %+v", s)
		}
		for range 2 * 60 * 6 { // two hours
			r.Call("ok", time.Millisecond)
			r.Call("refused", time.Millisecond)
			r.Gateway("ok", 40*time.Millisecond)
			time.Sleep(insight.FineStep)
		}
		waiting.Store(0)
		dead.Store(0)
		time.Sleep(insight.FineStep)
		synctest.Wait()
		for _, test := range []struct {
			name              string
			minutes, step     int
			points            int
			calls, lastButOne int64
		}{
			{"a minute", 1, 10, 6, 2 * 6, 2},
			{"an hour", 60, 10, 360, 2 * 360, 2},
			{"more than an hour", 61, 60, 61, 2 * 6 * 61, 12},
			{"a day, of which two hours were", 1440, 60, 121, 2 * 720, 12},
		} {
			s := r.Series(test.minutes)
			var calls, refusals int64
			for i, p := range s.Points {
				calls += p.WeChatCalls
				refusals += p.WeChatRefusals
				if i > 0 && p.At.Sub(s.Points[i-1].At) != time.Duration(test.step)*time.Second {
					t.Fatalf("%s: after %v comes %v", test.name, s.Points[i-1].At, p.At)
				}
			}
			// The last steps are those of the pause, and one is the first of the hour.
			if s.StepSeconds != test.step || len(s.Points) != test.points || calls < test.calls-2*test.lastButOne-4 || calls > test.calls || refusals*2 != calls {
				t.Errorf("%s: %d points of %d s with %d calls, %d refused; want %d of %d with about %d", test.name, len(s.Points), s.StepSeconds, calls, refusals, test.points, test.step, test.calls)
			}
			if last := s.Points[len(s.Points)-1]; last.Pending != 3 || last.Dead != 0 {
				t.Errorf("%s: %d pending, %d dead at the end", test.name, last.Pending, last.Dead)
			}
		}
		if p := r.Series(60).Points[0]; p.GatewayP95 < 35 || p.GatewayP95 > 45 {
			t.Errorf("the gateway took %v ms", p.GatewayP95)
		}
		cancel()
		work.Wait()
	})
}

func TestSamplesOfYesterdayAreGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := insight.New(insight.Config{})
		r.Call("ok", 0)
		time.Sleep(insight.CoarseReach + insight.CoarseStep) // one round of the ring, and its length
		for _, minutes := range []int{60, 1440} {
			for _, p := range r.Series(minutes).Points {
				if p.WeChatCalls != 0 {
					t.Errorf("%d minutes: a call of a day ago at %v", minutes, p.At)
				}
			}
		}
	})
}

func TestBacklogsAreReadOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reads, failure := 0, error(nil)
		r := insight.New(insight.Config{Backlogs: func(context.Context) ([]insight.Backlog, error) {
			time.Sleep(time.Second)
			reads++
			return []insight.Backlog{{Subscription: "a", Pending: 1}}, failure
		}})
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				if found, err := r.Backlogs(t.Context()); err != nil || len(found) != 1 {
					t.Errorf("%+v, %v", found, err)
				}
			})
		}
		callers.Wait()
		if reads != 1 {
			t.Errorf("read %d times", reads)
		}
		failure = errors.New("the store is away")
		time.Sleep(insight.FineStep)
		if _, err := r.Backlogs(t.Context()); !errors.Is(err, failure) {
			t.Errorf("a failure is told as %v", err)
		}
	})
}

func TestShortages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := insight.New(insight.Config{})
		until := time.Now().Add(time.Hour)
		of := func(a tuoguan.AuthorizerAppID) tuoguan.Authorization {
			return tuoguan.Authorization{Component: "wx1", Authorizer: a}
		}
		r.Short(insight.Shortage{Authorization: of("b"), Path: "/x", Remaining: 9, Until: until})
		r.Short(insight.Shortage{Authorization: of("a"), Path: "/x", Remaining: 9, Until: until.Add(time.Hour)})
		r.Short(insight.Shortage{Authorization: of("b"), Path: "/y", Remaining: 0, Until: until})
		r.Short(insight.Shortage{Authorization: of("b"), Path: "/x", Remaining: 8, Until: until})
		names := func() (all []string) {
			for _, q := range r.Shortages() {
				all = append(all, string(q.Authorizer)+q.Path)
			}
			return all
		}
		if diff := cmp.Diff([]string{"b/y", "b/x", "a/x"}, names()); diff != "" {
			t.Error(diff)
		}
		time.Sleep(time.Hour)
		if diff := cmp.Diff([]string{"a/x"}, names()); diff != "" {
			t.Error("after midnight:", diff)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	r := insight.New(insight.Config{})
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for range 1000 {
				r.Refresh("ok", time.Millisecond)
				r.Push("stored", time.Millisecond)
				_ = r.LastFiveMinutes()
			}
		})
	}
	work.Wait()
	if got := r.LastFiveMinutes(); got.Refreshes != 8000 || got.Pushes != 8000 {
		t.Errorf("%+v", got)
	}
}

func BenchmarkRecord(b *testing.B) {
	r := insight.New(insight.Config{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.Gateway("ok", 40*time.Millisecond)
		}
	})
}
