package delivery_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/store"
)

// Of several replicas one delivers.
func TestReplicasDoNotMeet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.subscribe("s", subscription.Spec{}, func(context.Context, sink.Message) error {
			time.Sleep(100 * time.Millisecond)
			return nil
		})
		for i := range 3 {
			w.run(w.config(fmt.Sprint("replica", i)))
		}
		for range 500 {
			w.push("wxa", "s")
			time.Sleep(50 * time.Millisecond)
		}
		after(5 * time.Second)
		if n := len(r.arrivals()); n != 500 {
			t.Errorf("%d arrivals of 500", n)
		}
	})
}

// A replica that comes later gets its share.
func TestReplicasShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range 30 {
			w.subscribe(fmt.Sprint("s", i), subscription.Spec{}, nil)
		}
		var alive atomic.Int64
		for i := range 3 {
			cfg := w.config(fmt.Sprint("replica", i))
			cfg.Alive = func() int { return int(alive.Load()) }
			alive.Add(1)
			w.run(cfg)
			after(30 * time.Second)
		}
		leases, err := w.store.Leases(t.Context(), store.DeliveryLease(""))
		if err != nil {
			t.Fatal(err)
		}
		count := make(map[string]int)
		for _, l := range leases {
			count[l.Holder]++
		}
		for i := range 3 {
			if n := count[fmt.Sprint("replica", i)]; n != 10 {
				t.Errorf("replica %d has %d of 30", i, n)
			}
		}
	})
}

// A replica that cannot renew its lease stops sending before it is over, and what it had
// sent is recorded as delivered all the same.
func TestLeaseLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.subscribe("s", subscription.Spec{Concurrency: 1}, func(_ context.Context, m sink.Message) error {
			time.Sleep(time.Second)
			if m.Event.Seq == 1 {
				time.Sleep(19 * time.Second)
			}
			return nil
		})
		for range 30 {
			w.push("wxa", "s")
		}
		away := &spy{Store: w.store}
		cfg := w.config("a")
		cfg.Store = away
		w.run(cfg)
		after(time.Second)
		away.set(func(s *spy) { s.leases = func(context.Context) error { return errAway } })
		after(time.Second)
		w.run(w.config("b"))
		after(12 * time.Second)
		if n := len(r.arrivals()); n != 1 {
			t.Fatalf("%d arrivals while the first hangs", n)
		}
		after(15 * time.Second) // the other replica has it now
		if holder := w.holder("s"); holder != "b" {
			t.Errorf("%s delivers", holder)
		}
		after(2 * time.Minute)
		if got := w.states("s"); got[store.DeliveryDelivered] != 30 {
			t.Errorf("%v", got)
		}
		count := make(map[int64]int)
		for _, a := range r.arrivals() {
			count[a.Event.Seq]++
		}
		for seq, n := range count {
			if n != 1 && (seq != 1 || n != 2) {
				t.Errorf("event %d arrived %d times", seq, n)
			}
		}
	})
}

// holder is who delivers to a subscription.
func (w *world) holder(id string) string {
	leases, err := w.store.Leases(context.Background(), store.DeliveryLease(id))
	if err != nil || len(leases) != 1 {
		return ""
	}
	return leases[0].Holder
}

// A replica that dies is followed within 16 seconds or so.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.subscribe("s", subscription.Spec{}, nil)
		a := w.spied("a")
		after(2 * time.Second)
		w.spied("b")
		after(10 * time.Second)
		if w.holder("s") != "a" {
			t.Fatal("the one that was first does not deliver")
		}
		a.crash()
		w.push("wxa", "s")
		began := time.Now()
		for len(r.taken()) == 0 && time.Since(began) < time.Minute {
			after(100 * time.Millisecond)
		}
		if took := time.Since(began); took > 17*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// What cannot be recorded for a while is, later; and not sent again.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.subscribe("s", subscription.Spec{}, nil)
		a := w.spied("a")
		after(2 * time.Second)
		a.spy.set(func(s *spy) {
			s.save = func() error { return errAway }
			s.leases = func(context.Context) error { return errAway }
		})
		for range 1000 {
			w.push("wxa", "s")
		}
		after(30 * time.Second)
		sent := len(r.arrivals())
		if sent == 0 || sent > 300 {
			t.Errorf("%d were sent that could not be recorded", sent)
		}
		a.spy.set(func(s *spy) { s.save, s.leases = nil, nil })
		after(30 * time.Second)
		if got := w.states("s"); got[store.DeliveryDelivered] != 1000 || len(r.arrivals()) != 1000 {
			t.Errorf("%v, %d arrivals", got, len(r.arrivals()))
		}
	})
}

// What was read may be out of date by the time it is there.
func TestSlowReads(t *testing.T) {
	t.Parallel()
	for _, ordered := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			r := w.subscribe("s", subscription.Spec{Ordered: ordered}, func(context.Context, sink.Message) error {
				time.Sleep(3 * time.Millisecond)
				return nil
			})
			a := w.spied("a")
			after(2 * time.Second)
			for i := range 2000 {
				w.push(fmt.Sprint("wx", i%7), "s")
				a.Wake([]store.Route{{Subscription: "s"}})
				time.Sleep(time.Millisecond)
			}
			after(10 * time.Second)
			if n := len(r.arrivals()); n != 2000 || w.states("s")[store.DeliveryDelivered] != 2000 {
				t.Errorf("ordered %v: %d arrivals of 2000; %v", ordered, n, w.states("s"))
			}
			if ordered {
				checkOrder(t, r)
			}
		})
	}
}

// An event that does not open any more is dead alone.
func TestQuarantinedEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.subscribe("s", subscription.Spec{}, nil)
		a := w.spied("a")
		var third int64
		for i := range 5 {
			if p := w.push("wxa", "s"); i == 2 {
				third = p.ID
			}
		}
		a.spy.set(func(s *spy) { s.closed = third })
		after(5 * time.Second)
		if got := w.states("s"); got[store.DeliveryDead] != 1 || got[store.DeliveryDelivered] != 4 || len(r.arrivals()) != 4 {
			t.Errorf("%v, %d arrivals", got, len(r.arrivals()))
		}
	})
}

// mortal is a replica that may crash.
type mortal struct {
	replica
	spy *spy
}

// spied runs a replica whose store has faults.
func (w *world) spied(holder string) mortal {
	s := &spy{Store: w.store, slow: 20 * time.Millisecond}
	cfg := w.config(holder)
	cfg.Store = s
	cfg.Drain = time.Nanosecond
	return mortal{w.run(cfg), s}
}

// crash ends a replica: nothing it does reaches the store any more.
func (m mortal) crash() {
	m.spy.set(func(s *spy) { s.dead = true })
	m.stop()
}

// Whatever happens, every event is delivered or dead in the end, no more often than faults
// explain, under one id, and in order where that was asked for.
func TestHistories(t *testing.T) {
	t.Parallel()
	histories := 10
	if testing.Short() {
		histories = 3
	}
	base := uint64(time.Now().UnixNano())
	for i := range histories {
		seed := base + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { history(t, seed) })
		})
	}
}

func history(t *testing.T, seed uint64) {
	w := newWorld(t)
	chance := rand.New(rand.NewPCG(seed, 1))
	var healed atomic.Bool
	ids := []string{"plain", "ordered", "narrow"}
	receivers := make(map[string]*receiver)
	lied := make(map[string]*atomic.Int64) // taken, and answered with an error
	for i, id := range ids {
		own := rand.New(rand.NewPCG(seed, uint64(i+2)))
		lied[id] = new(atomic.Int64)
		dice := make(chan float64)
		done := make(chan struct{})
		go func() { // the dice of a receiver are thrown by one goroutine
			for {
				select {
				case dice <- own.Float64():
				case <-done:
					return
				}
			}
		}()
		t.Cleanup(func() { close(done) })
		receivers[id] = w.subscribe(id, subscription.Spec{Ordered: id == "ordered", Concurrency: map[string]int{"narrow": 1}[id], MaxAge: 600}, func(ctx context.Context, m sink.Message) error {
			time.Sleep(time.Duration(<-dice * float64(20*time.Millisecond)))
			if m.Event.Seq%50 == 49 {
				panic("poison")
			}
			if healed.Load() {
				return nil
			}
			switch roll := <-dice; {
			case roll < 0.02:
				return errDown
			case roll < 0.04:
				return busy
			case roll < 0.05:
				lied[id].Add(1)
				return fmt.Errorf("%w, though it was taken", context.DeadlineExceeded)
			case roll < 0.06:
				select {
				case <-time.After(15 * time.Second):
				case <-ctx.Done():
				}
				return context.DeadlineExceeded
			}
			return nil
		})
	}
	faults := int64(0)
	replicas := []mortal{w.spied("a0"), w.spied("b0")}
	pushed := 0
	for step := range 150 {
		for range chance.IntN(8) {
			w.push(fmt.Sprint("wx", chance.IntN(4)), ids...)
			pushed++
		}
		var routes []store.Route
		for _, id := range ids {
			routes = append(routes, store.Route{Subscription: id})
		}
		n := chance.IntN(len(replicas))
		replicas[n].Wake(routes)
		switch chance.IntN(12) {
		case 0:
			faults++
			replicas[n].crash()
			replicas[n] = w.spied(fmt.Sprint(string(rune('a'+n)), step))
		case 1: // cut off from the store
			faults++
			replicas[n].spy.set(func(s *spy) {
				s.save = func() error { return errAway }
				s.leases = func(context.Context) error { return errAway }
			})
		case 2, 3:
			for _, r := range replicas {
				r.spy.set(func(s *spy) { s.save, s.leases = nil, nil })
			}
		case 4:
			id := ids[chance.IntN(len(ids))]
			state := store.SubscriptionPaused
			if s, _ := w.subs.Get(id); s.State == state {
				state = store.SubscriptionActive
			}
			w.subs.setState(id, state)
		}
		time.Sleep(time.Duration(chance.IntN(2000)) * time.Millisecond)
	}
	healed.Store(true)
	for _, r := range replicas {
		r.spy.set(func(s *spy) { s.save, s.leases = nil, nil })
	}
	for _, id := range ids {
		w.subs.setState(id, store.SubscriptionActive)
	}
	after(20 * time.Minute)

	for _, id := range ids {
		r := receivers[id]
		checkIDs(t, r)
		taken := make(map[string]int64)
		var extra int64
		for _, a := range r.arrivals() {
			if a.taken {
				if taken[a.ID]++; taken[a.ID] > 1 {
					extra++
				}
			}
		}
		all := w.deliveries(id)
		if len(all) != pushed {
			t.Errorf("%s: %d deliveries of %d", id, len(all), pushed)
		}
		for _, d := range all {
			p, err := w.store.Push(t.Context(), d.Event.ID)
			if err != nil {
				t.Fatal(err)
			}
			n := taken[event.ID(p.Key)]
			switch poison := d.Event.Seq%50 == 49; {
			case d.State == store.DeliveryPending:
				t.Errorf("%s: event %d is still pending", id, d.Event.ID)
			case d.State == store.DeliveryDelivered && (n == 0 || poison):
				t.Errorf("%s: event %d is recorded as delivered, and was not", id, d.Event.ID)
			case d.State == store.DeliveryDead && !poison && !strings.Contains(string(d.Log), "error"):
				t.Errorf("%s: event %d is dead for no reason: %s", id, d.Event.ID, d.Log)
			case n > 1+faults:
				t.Errorf("%s: event %d was taken %d times, with %d faults", id, d.Event.ID, n, faults)
			}
		}
		if faults == 0 && extra > 0 {
			t.Errorf("%s: %d duplicates without a fault", id, extra)
		}
	}
	checkOrder(t, receivers["ordered"])
}
