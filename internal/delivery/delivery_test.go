package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/delivery"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/store"
)

var (
	errDown = errors.New("connection refused")
	busy    = &sink.Refusal{Status: 404, Text: "not yet"} // a refusal that does not open the breaker
)

func never(err error) func(context.Context, sink.Message) error {
	return func(context.Context, sink.Message) error { return err }
}

func TestNewNamesAllThatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := delivery.New(delivery.Config{})
	for _, name := range []string{"Store", "Subscriptions", "Sinks", "Disable", "Holder"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}

func TestDelivers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		one, two := w.subscribe("one", subscription.Spec{}, nil), w.subscribe("two", subscription.Spec{}, nil)
		w.push("wxa", "one", "two") // before anybody delivers
		r := w.run(w.config("a"))
		after(time.Second)
		for range 999 {
			w.push("wxa", "one")
		}
		r.Wake([]store.Route{{Subscription: "one"}})
		after(time.Second)
		if n := len(one.taken()); n != 1000 {
			t.Errorf("%d of 1000 arrived", n)
		}
		if got := two.taken(); !cmp.Equal(got, []int64{1}) {
			t.Errorf("the other got %v", got)
		}
		if got := w.states("one"); got[store.DeliveryDelivered] != 1000 {
			t.Errorf("recorded: %v", got)
		}
		checkIDs(t, one)
		d := w.deliveries("two")[0]
		if log := sink.ParseLog(d.Log); d.Attempts != 1 || d.FinishedAt.IsZero() || len(log) != 1 || log[0].Status != 200 || log[0].Error != "" {
			t.Errorf("recorded: %+v, log %+v", d, log)
		}
		if o := w.observed()[0]; o.Subscription == "" || o.Kind != "text" || o.Result != delivery.Delivered {
			t.Errorf("observed: %+v", o)
		}
	})
}

// What this replica takes in is sent at once; what another one does, within a second or so.
func TestWake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.subscribe("s", subscription.Spec{}, nil)
		d := w.run(w.config("a"))
		after(3333 * time.Millisecond)
		w.push("wxa", "s")
		d.Wake([]store.Route{{Subscription: "s"}, {Subscription: "unknown"}})
		after(10 * time.Millisecond)
		if len(r.taken()) != 1 {
			t.Error("not sent when woken")
		}
		w.push("wxa", "s")
		after(1100 * time.Millisecond)
		if len(r.taken()) != 2 {
			t.Error("not found unless woken")
		}
	})
}

func TestConcurrency(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		spec, want int
	}{{"default", 0, 16}, {"as asked", 3, 3}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.subscribe("s", subscription.Spec{Concurrency: test.spec}, func(context.Context, sink.Message) error {
					time.Sleep(10 * time.Second)
					return nil
				})
				for range 40 {
					w.push("wxa", "s")
				}
				w.run(w.config("a"))
				after(11 * time.Second)
				if n := len(r.taken()); n != test.want {
					t.Errorf("%d at a time, want %d", n, test.want)
				}
				after(3 * time.Minute)
				if n := len(r.taken()); n != 40 {
					t.Errorf("%d of 40 arrived", n)
				}
			})
		})
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.subscribe("s", subscription.Spec{}, never(busy))
		w.push("wxa", "s")
		w.run(w.config("a"))
		after(80 * time.Hour)
		steps := []time.Duration{
			5 * time.Second, 30 * time.Second, 5 * time.Minute, 30 * time.Minute,
			2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour, 24 * time.Hour,
		}
		got := r.arrivals()
		first, last := got[0].at, got[len(got)-1].at
		for i := 1; i < len(got); i++ {
			wait, step := got[i].at.Sub(got[i-1].at), steps[min(i, len(steps))-1]
			if wait > step*12/10+2*time.Second || wait < step*8/10 && i < len(got)-1 {
				t.Errorf("attempt %d came after %v, want about %v", i+1, wait, step)
			}
			if got[i].Attempt != i+1 {
				t.Errorf("attempt %d says it is %d", i+1, got[i].Attempt)
			}
		}
		if d := last.Sub(first) - 72*time.Hour; d.Abs() > 2*time.Second {
			t.Errorf("the last attempt was %v after the first", last.Sub(first))
		}
		d := w.deliveries("s")[0]
		if d.State != store.DeliveryDead || d.Attempts != len(got) || d.FinishedAt.IsZero() {
			t.Errorf("recorded: %+v", d)
		}
		if log := sink.ParseLog(d.Log); len(log) != len(got) || log[0].Status != 404 || log[0].Error == "" {
			t.Errorf("log: %+v", log)
		}
		checkIDs(t, r)
	})
}

func TestMaxAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.subscribe("s", subscription.Spec{MaxAge: 60}, never(busy))
		w.push("wxa", "s")
		w.run(w.config("a"))
		after(10 * time.Minute)
		if n := len(r.arrivals()); n != 4 { // 0, 5 s, 35 s, 60 s
			t.Errorf("%d attempts", n)
		}
		if got := w.states("s"); got[store.DeliveryDead] != 1 {
			t.Errorf("%v", got)
		}
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		err      error
		least    time.Duration // until the second attempt
		most     time.Duration
		dead     bool
		disabled bool
		result   string
	}{
		{name: "connection refused", err: errDown, least: 4 * time.Second, most: 7 * time.Second, result: delivery.Unreachable},
		{name: "server error", err: &sink.Refusal{Status: 500}, least: 4 * time.Second, most: 7 * time.Second, result: delivery.Refused},
		{name: "redirect", err: &sink.Refusal{Status: 302}, least: 4 * time.Second, most: 7 * time.Second, result: delivery.Refused},
		{name: "retry after", err: &sink.Refusal{Status: 429, RetryAfter: 100 * time.Second}, least: 100 * time.Second, most: 102 * time.Second, result: delivery.Refused},
		{name: "retry after a day", err: &sink.Refusal{Status: 503, RetryAfter: 24 * time.Hour}, least: time.Hour, most: time.Hour + 2*time.Second, result: delivery.Refused},
		{name: "blocked", err: fmt.Errorf("dial: %w", sink.ErrBlocked), least: 5 * time.Minute, most: 5*time.Minute + 2*time.Second, result: delivery.Blocked},
		{name: "gone", err: &sink.Refusal{Status: 410, Gone: true}, disabled: true, result: delivery.Refused},
		{name: "final", err: &sink.Refusal{Final: true, Text: "too large"}, dead: true, result: delivery.Dead},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.subscribe("s", subscription.Spec{}, never(test.err))
				w.push("wxa", "s")
				w.run(w.config("a"))
				after(2 * time.Hour)
				got := r.arrivals()
				if n := len(got); (test.dead || test.disabled) != (n == 1) {
					t.Fatalf("%d attempts", n)
				}
				if len(got) > 1 {
					if wait := got[1].at.Sub(got[0].at); wait < test.least || wait > test.most {
						t.Errorf("tried again after %v", wait)
					}
				}
				if dead := w.states("s")[store.DeliveryDead] == 1; dead != test.dead {
					t.Errorf("dead: %v", dead)
				}
				if n := len(w.complaints()); (n == 1) != test.disabled {
					t.Errorf("disabled %d times", n)
				}
				if w.observed()[0].Result != test.result {
					t.Errorf("observed as %s", w.observed()[0].Result)
				}
			})
		})
	}
}

// A receiver that is away for three days gets everything afterwards, or it is dead.
func TestOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		back := time.Now().Add(3 * 24 * time.Hour)
		r := w.subscribe("s", subscription.Spec{}, func(context.Context, sink.Message) error {
			if time.Now().Before(back) {
				return errDown
			}
			return nil
		})
		for time.Since(back) < 30*time.Hour { // replicas come and go meanwhile
			d := w.run(w.config("a"))
			for i := 0; i < 5 && w.pushes < 500; i++ {
				w.push("wxa", "s")
				time.Sleep(time.Minute)
			}
			after(2 * time.Minute)
			d.stop()
			after(50 * time.Minute)
		}
		got := w.states("s")
		if got[store.DeliveryDelivered]+got[store.DeliveryDead] != 500 || got[store.DeliveryDelivered] < 480 {
			t.Errorf("after the outage: %v", got)
		}
		if len(w.complaints()) != 0 {
			t.Errorf("disabled: %v", w.complaints())
		}
		checkIDs(t, r)
	})
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var down atomic.Bool
		down.Store(true)
		r := w.subscribe("s", subscription.Spec{Concurrency: 1}, func(context.Context, sink.Message) error {
			if down.Load() {
				return errDown
			}
			return nil
		})
		for range 1000 {
			w.push("wxa", "s")
		}
		d := w.run(w.config("a"))
		after(10 * time.Minute)
		if n := len(r.arrivals()); n < 15 || n > 30 {
			t.Errorf("%d attempts while nobody was there", n)
		}
		status, err := d.Status(t.Context())
		if err != nil || len(status) != 1 || !status[0].Open || status[0].Holder != "a" || status[0].Backlog.Pending != 1000 {
			t.Errorf("status: %+v, %v", status, err)
		}
		attempts := 0
		for _, each := range w.deliveries("s") {
			attempts += each.Attempts
		}
		if attempts != len(r.arrivals()) {
			t.Errorf("%d attempts were counted, %d made", attempts, len(r.arrivals()))
		}
		down.Store(false)
		after(15 * time.Minute)
		if got := w.states("s"); got[store.DeliveryDelivered] != 1000 {
			t.Errorf("afterwards: %v", got)
		}
		if status, _ := d.Status(t.Context()); status[0].Open {
			t.Error("it stays open")
		}
	})
}

// A receiver that hangs takes up its own places and nobody else's.
func TestHangingReceiver(t *testing.T) {
	t.Parallel()
	lags := func(t *testing.T, hanging bool) (p99 time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			var ids []string
			for i := range 100 {
				id := fmt.Sprintf("s%02d", i)
				ids = append(ids, id)
				w.subscribe(id, subscription.Spec{}, func(ctx context.Context, _ sink.Message) error {
					wait := 5 * time.Millisecond
					if hanging && id == "s00" {
						wait = 15 * time.Second
					}
					time.Sleep(wait)
					if hanging && id == "s00" {
						return context.DeadlineExceeded
					}
					return nil
				})
			}
			d := w.run(w.config("a"))
			after(3 * time.Second)
			for range 100 {
				w.push("wxa", ids...)
				var routes []store.Route
				for _, id := range ids {
					routes = append(routes, store.Route{Subscription: id})
				}
				d.Wake(routes)
				time.Sleep(20 * time.Millisecond)
			}
			after(time.Minute)
			var all []time.Duration
			for _, o := range w.observed() {
				if o.Subscription != "s00" {
					all = append(all, o.Lag)
				}
			}
			if len(all) != 9900 {
				t.Errorf("%d of 9900 arrived", len(all))
			}
			slices.Sort(all)
			p99 = all[len(all)*99/100]
		})
		return p99
	}
	without, with := lags(t, false), lags(t, true)
	if with > without*11/10 {
		t.Errorf("p99 is %v instead of %v", with, without)
	}
}

// An event over which the sink stumbles is dead alone.
func TestPoison(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]subscription.Spec{"unordered": {}, "ordered": {Ordered: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.subscribe("s", spec, func(_ context.Context, m sink.Message) error {
					switch m.Event.Seq {
					case 3:
						panic("secret: " + string(m.Event.Body))
					case 4:
						return []error{}[len(m.ID)]
					}
					return nil
				})
				for range 10 {
					w.push("wxa", "s")
				}
				w.run(w.config("a"))
				after(5 * time.Second)
				if n := len(r.taken()); n != 8 {
					t.Errorf("%d of the others arrived", n)
				}
				for _, d := range w.deliveries("s") {
					poison := d.Event.Seq == 3 || d.Event.Seq == 4
					if (d.State == store.DeliveryDead) != poison {
						t.Errorf("event %d is %s", d.Event.Seq, d.State)
					}
					if strings.Contains(string(d.Log), "secret") {
						t.Errorf("the log tells: %s", d.Log)
					}
				}
				if len(w.complaints()) != 0 {
					t.Errorf("disabled: %v", w.complaints())
				}
			})
		})
	}
}

func TestTicketIsNeverDelivered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.subscribe("s", subscription.Spec{}, nil)
		p, _, err := w.store.AcceptPush(t.Context(), store.Intake{Push: store.Push{
			Key: "ticket", Component: component, Kind: "component_verify_ticket", Body: []byte("<xml/>"), ReceivedAt: time.Now(),
		}})
		if err != nil {
			t.Fatal(err)
		}
		d := w.run(w.config("a"))
		if n, err := d.Replay(t.Context(), delivery.Replay{Subscription: "s", Events: []int64{p.ID}}, nil); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		after(5 * time.Second)
		if len(r.arrivals()) != 0 || w.states("s")[store.DeliveryDead] != 1 {
			t.Errorf("%d sent; %v", len(r.arrivals()), w.states("s"))
		}
	})
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	for _, state := range []store.SubscriptionState{store.SubscriptionPaused, store.SubscriptionDisabled} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.subscribe("s", subscription.Spec{}, nil)
				w.run(w.config("a"))
				after(2 * time.Second)
				w.subs.setState("s", state)
				synctest.Wait()
				for range 10 {
					w.push("wxa", "s")
				}
				after(time.Hour)
				if n := len(r.arrivals()); n != 0 {
					t.Fatalf("%d sent meanwhile", n)
				}
				if got := w.states("s"); got[store.DeliveryPending] != 10 {
					t.Fatalf("meanwhile: %v", got)
				}
				w.subs.setState("s", store.SubscriptionActive)
				after(2 * time.Second)
				if n := len(r.taken()); n != 10 {
					t.Errorf("%d of 10 sent afterwards", n)
				}
			})
		})
	}
}

// A changed subscription takes effect at once; the sink before it ends with what it sends.
func TestChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		old := w.subscribe("s", subscription.Spec{}, func(context.Context, sink.Message) error {
			time.Sleep(10 * time.Second)
			return nil
		})
		w.push("wxa", "s")
		w.run(w.config("a"))
		after(5 * time.Second)
		changed := w.subscribe("s", subscription.Spec{}, nil)
		w.push("wxa", "s")
		after(2 * time.Second)
		if old.closes() != 0 || len(changed.taken()) != 1 {
			t.Errorf("closed %d times while sending; the new one got %d", old.closes(), len(changed.taken()))
		}
		after(10 * time.Second)
		if old.closes() != 1 || len(old.taken()) != 1 {
			t.Errorf("closed %d times; got %d", old.closes(), len(old.taken()))
		}
		if got := w.states("s"); got[store.DeliveryDelivered] != 2 {
			t.Errorf("%v", got)
		}
	})
}

func TestDisablesAfterFiveDays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		began := time.Now()
		var down atomic.Bool
		down.Store(true)
		r := w.subscribe("s", subscription.Spec{}, func(context.Context, sink.Message) error {
			if down.Load() {
				return errDown
			}
			return nil
		})
		// Replicas come and go meanwhile: what has failed for how long is known to each.
		n := 0
		for time.Since(began) < 119*time.Hour {
			w.push("wxa", "s")
			d := w.run(w.config(fmt.Sprint("replica", n)))
			after(3 * time.Minute)
			d.stop()
			after(7 * time.Hour)
			n++
		}
		if len(w.complaints()) != 0 {
			t.Fatalf("disabled after %v: %v", time.Since(began), w.complaints())
		}
		w.push("wxa", "s")
		w.run(w.config("last"))
		after(3 * time.Hour)
		if len(w.complaints()) != 1 {
			t.Fatalf("not disabled after %v: %v", time.Since(began), w.complaints())
		}
		sent := len(r.arrivals())
		after(time.Hour)
		if len(r.arrivals()) != sent {
			t.Error("sent to while disabled")
		}
		// Resumed, it has its days anew, and a success makes all forgotten.
		w.subs.setState("s", store.SubscriptionActive)
		after(time.Hour)
		if len(w.complaints()) != 1 {
			t.Error("disabled again at once")
		}
		down.Store(false)
		w.push("wxa", "s")
		after(time.Hour)
		if got := w.states("s"); got[store.DeliveryDelivered] == 0 {
			t.Errorf("afterwards: %v", got)
		}
		if v, err := w.store.Value(t.Context(), "delivery/failing/s"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("it is still noted as failing: %s, %v", v.Data, err)
		}
	})
}

func TestDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.subscribe("s", subscription.Spec{Concurrency: 2}, func(ctx context.Context, m sink.Message) error {
			wait := 3 * time.Second
			if m.Event.Seq == 2 {
				wait = time.Minute
			}
			select {
			case <-time.After(wait):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		for range 5 {
			w.push("wxa", "s")
		}
		d := w.run(w.config("a"))
		after(time.Second)
		began := time.Now()
		d.stop()
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("it took %v", took)
		}
		if got := r.taken(); !cmp.Equal(got, []int64{1}) {
			t.Errorf("taken: %v", got)
		}
		for _, each := range w.deliveries("s") {
			want := store.DeliveryPending
			if each.Event.Seq == 1 {
				want = store.DeliveryDelivered
			}
			if each.State != want || want == store.DeliveryPending && each.Attempts != 0 {
				t.Errorf("event %d: %s after %d attempts", each.Event.Seq, each.State, each.Attempts)
			}
		}
		if leases, err := w.store.Leases(t.Context(), "delivery/"); err != nil || len(leases) != 0 {
			t.Errorf("leases left: %v, %v", leases, err)
		}
		if r.closes() != 1 {
			t.Errorf("the sink was closed %d times", r.closes())
		}
	})
}

func TestTest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var answer error
		r := w.subscribe("s", subscription.Spec{Match: subscription.Match{Components: []tuoguan.ComponentAppID{component}}}, func(context.Context, sink.Message) error {
			time.Sleep(20 * time.Millisecond)
			return answer
		})
		d, err := delivery.New(w.config("a"))
		if err != nil {
			t.Fatal(err)
		}
		s, _ := w.subs.Get("s")
		if got, err := d.Test(t.Context(), s); err != nil || got != (delivery.Result{Status: 200, LatencyMS: 20}) {
			t.Errorf("%+v, %v", got, err)
		}
		answer = &sink.Refusal{Status: 403, Text: "forbidden"}
		if got, err := d.Test(t.Context(), s); err != nil || got.Status != 403 || got.Error == "" {
			t.Errorf("%+v, %v", got, err)
		}
		if got := r.arrivals()[0]; got.Event.Kind != "tuoguan.test" || got.Event.Component != component || got.ID == "" {
			t.Errorf("%+v", got)
		}
		if r.closes() != 2 {
			t.Errorf("closed %d times", r.closes())
		}
	})
}
