package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan/internal/delivery"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/store"
)

// checkOrder fails if the first attempts at the events of an account were not in the order
// of their numbers.
func checkOrder(t testing.TB, r *receiver) {
	t.Helper()
	last := make(map[string]int64)
	seen := make(map[string]bool)
	for _, a := range r.arrivals() {
		if seen[a.ID] {
			continue
		}
		seen[a.ID] = true
		if a.Event.Seq < last[a.Key()] {
			t.Errorf("%s: %d was seen after %d", a.Key(), a.Event.Seq, last[a.Key()])
		}
		last[a.Key()] = a.Event.Seq
	}
}

// One that fails holds back those of its account, however many, and no others.
func TestOrder(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		failures int
		events   int // of each account
		replace  time.Duration
	}{
		{name: "none fails", events: 300},
		{name: "one fails", failures: 3, events: 300},
		{name: "more than are read at once", failures: 2, events: 3000},
		{name: "another replica takes over", failures: 3, events: 700, replace: 10 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.subscribe("s", subscription.Spec{Ordered: true}, func(_ context.Context, m sink.Message) error {
					time.Sleep(time.Millisecond)
					if m.Event.Authorizer == "wxb" && m.Event.Seq == 5 && m.Attempt <= test.failures {
						return busy
					}
					return nil
				})
				for range test.events {
					for _, account := range []string{"wxa", "wxb", "wxc"} {
						w.push(account, "s")
					}
				}
				d := w.run(w.config("a"))
				for i := range 20 { // more come while some are held back
					after(400 * time.Millisecond)
					w.push("wxb", "s")
					w.push(fmt.Sprint("wx", i), "s")
					d.Wake([]store.Route{{Subscription: "s"}})
				}
				if test.failures > 0 {
					for _, each := range w.deliveries("s") {
						if each.State == store.DeliveryPending && each.Event.Authorizer == "wxa" {
							t.Fatalf("event %d of another account waits", each.Event.Seq)
						}
					}
				}
				if test.replace > 0 {
					after(test.replace - 8*time.Second)
					d.stop()
					w.push("wxb", "s")
					w.run(w.config("b"))
				}
				after(10 * time.Minute)
				if got := w.states("s"); got[store.DeliveryPending] != 0 {
					t.Errorf("%v", got)
				}
				checkOrder(t, r)
				if got := len(r.arrivals()); got != len(w.deliveries("s"))+test.failures {
					t.Errorf("%d arrivals of %d events", got, len(w.deliveries("s")))
				}
			})
		})
	}
}

// What was replayed need not wait for its time, and nothing overtakes it.
func TestReplayOfWhatIsHeldBack(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		replay func(events []int64) []int64
		early  []int64 // what is to arrive before its time, by number
	}{
		"all":                 {func(e []int64) []int64 { return e }, []int64{1, 2, 3, 4}},
		"the one that failed": {func(e []int64) []int64 { return e[:1] }, []int64{1}},
		"all but the second":  {func(e []int64) []int64 { return []int64{e[0], e[2]} }, []int64{1}},
		"one behind it":       {func(e []int64) []int64 { return e[1:2] }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				away := true
				r := w.subscribe("s", subscription.Spec{Ordered: true}, func(context.Context, sink.Message) error {
					if away {
						return &sink.Refusal{Status: 400, Text: "not now"}
					}
					return nil
				})
				d := w.run(w.config("a"))
				var events []int64
				for range 3 {
					events = append(events, w.push("wxa", "s").ID)
				}
				d.Wake([]store.Route{{Subscription: "s"}})
				after(time.Minute) // two attempts have failed, the next one is minutes away
				away = false
				if _, err := d.Replay(t.Context(), delivery.Replay{Subscription: "s", Events: test.replay(events)}, nil); err != nil {
					t.Fatal(err)
				}
				w.push("wxa", "s")
				after(10 * time.Second)
				if got := r.taken(); !slices.Equal(got, test.early) {
					t.Errorf("%v have arrived, want %v", got, test.early)
				}
				after(time.Hour)
				if got := r.taken(); !slices.Equal(got, []int64{1, 2, 3, 4}) {
					t.Errorf("%v have arrived", got)
				}
				checkOrder(t, r)
			})
		})
	}
}

// What is replayed is due since it was received: due now, it would be due after what has
// come since, and be overtaken.
func TestReplayedEventsAreDueBeforeLaterOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.subscribe("s", subscription.Spec{Ordered: true}, nil)
		var old []int64
		first := w.push("wxa", "s")
		old = append(old, first.ID)
		for range 1500 { // more than a page
			old = append(old, w.push("wxa", "s").ID)
		}
		time.Sleep(time.Hour)
		w.push("wxa", "s")
		d, err := delivery.New(w.config("a"))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := d.Replay(t.Context(), delivery.Replay{Subscription: "s", Events: old}, nil); n != int64(len(old)) || err != nil {
			t.Fatal(n, err)
		}
		due, err := w.store.DueDeliveries(t.Context(), "s", time.Now(), 5000)
		if err != nil || len(due) != len(old)+1 || !due[0].DueAt.Equal(first.ReceivedAt) {
			t.Fatalf("%d are due, the first since %v, %v", len(due), due[0].DueAt, err)
		}
		for i, d := range due {
			if d.Event.Seq != int64(i+1) {
				t.Fatalf("number %d is due as the %dth", d.Event.Seq, i+1)
			}
		}
	})
}

// Instants of events may contradict their order a little: clocks do.
func TestOrderDespiteClocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.subscribe("s", subscription.Spec{Ordered: true}, nil)
		w.run(w.config("a"))
		for i := range 300 {
			_, _, err := w.store.AcceptPush(t.Context(), store.Intake{
				Push:   store.Push{Key: fmt.Sprint(i), Component: component, Authorizer: "wxa", Kind: "text", Body: []byte("<xml/>"), ReceivedAt: time.Now()},
				Routes: []store.Route{{Subscription: "s", DueAt: time.Now().Add(time.Duration(300-i*37%300) * time.Millisecond)}},
			})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(i%3) * 10 * time.Millisecond)
		}
		after(time.Minute)
		if n := len(r.taken()); n != 300 {
			t.Errorf("%d of 300 arrived", n)
		}
		checkOrder(t, r)
	})
}

// A subscription may become an ordered one, and stop being one, at any time.
func TestOrderChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		answer := func(context.Context, sink.Message) error {
			time.Sleep(200 * time.Millisecond)
			return nil
		}
		r := w.subscribe("s", subscription.Spec{}, answer)
		for range 200 {
			w.push("wxa", "s")
		}
		w.run(w.config("a"))
		after(time.Second)
		for i := range 4 {
			s, _ := w.subs.Get("s")
			s.Spec.Ordered = i%2 == 0
			w.subs.put(s)
			after(2 * time.Second)
		}
		after(time.Minute)
		if n := len(r.arrivals()); n != 200 {
			t.Errorf("%d arrivals of 200", n)
		}
	})
}

// Nothing overtakes an event that is under way, though what comes after it was forgotten
// and read again.
func TestOrderWhileUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.subscribe("s", subscription.Spec{Ordered: true}, func(_ context.Context, m sink.Message) error {
			if m.Event.Seq == 1 {
				time.Sleep(10 * time.Second)
				return busy
			}
			return nil
		})
		w.push("wxa", "s")
		w.push("wxa", "s")
		w.run(w.config("a"))
		after(2 * time.Second)
		w.subs.setState("s", store.SubscriptionPaused)
		after(time.Second)
		w.subs.setState("s", store.SubscriptionActive)
		after(9 * time.Second)
		if n := len(r.arrivals()); n != 1 {
			t.Errorf("%d arrivals while the first is under way or waits", n)
		}
	})
}

// What a replica without a lease learns about an event that has to come again does not
// change what the one with the lease has recorded.
func TestOrderAfterTakeOver(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]time.Duration{"outcome not recorded in time": time.Second, "attempt that ends late": 17 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				calls := make(chan int, 1)
				calls <- 0
				r := w.subscribe("s", subscription.Spec{Ordered: true}, func(_ context.Context, m sink.Message) error {
					if m.Event.Seq != 1 {
						return nil
					}
					n := <-calls + 1
					calls <- n
					switch n {
					case 1: // of the first replica
						time.Sleep(late)
						return &sink.Refusal{Status: 503, RetryAfter: time.Hour}
					case 2: // of the second one
						return busy
					}
					return nil
				})
				w.push("wxa", "s")
				w.push("wxa", "s")
				a := w.spied("a")
				after(time.Second)
				away := func(context.Context) error { return errAway }
				a.spy.set(func(s *spy) { s.leases, s.save = away, func() error { return errAway } })
				w.spied("b")
				after(16 * time.Second)
				if w.holder("s") != "b" {
					t.Fatal("it was not taken over")
				}
				a.spy.set(func(s *spy) { s.leases, s.save = nil, nil })
				after(time.Minute)
				if got := w.states("s"); got[store.DeliveryDelivered] != 2 {
					t.Errorf("%v", got)
				}
				got := r.taken()
				if len(got) != 2 || got[0] != 1 {
					t.Errorf("taken in the order %v", got)
				}
			})
		})
	}
}
