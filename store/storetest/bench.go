package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// benchSubscriptions are those to which deliveries wait.
var benchSubscriptions = []string{"sub_1", "sub_2", "sub_3"}

// Bench measures what pushes and their deliveries cost a store. Waiting opens one that
// holds so many pushes, of the component wxc and the accounts wxold0 to wxold9999, kind
// text, received at the present, each waiting to be delivered to sub_1, sub_2 and sub_3.
// Their bodies need not open. It closes the store itself.
func Bench(b *testing.B, waiting func(b *testing.B, pushes int) store.Store) {
	const million = 333_334 // pushes, of which a million deliveries wait
	for _, pushes := range []int{0, million} {
		b.Run(fmt.Sprintf("fan out/waiting=%d", 3*pushes), func(b *testing.B) { benchFanOut(b, waiting(b, pushes)) })
	}
	for _, batch := range []int{16, 256} {
		b.Run(fmt.Sprintf("outcomes/batch=%d", batch), func(b *testing.B) {
			benchOutcomes(b, waiting(b, max(b.N, 1000)), batch)
		})
	}
	b.Run("find", func(b *testing.B) { benchFind(b, waiting(b, million)) })
}

// benchFanOut has 64 callers store pushes that go to three subscriptions.
func benchFanOut(b *testing.B, s store.Store) {
	var routes []store.Route
	for _, id := range benchSubscriptions {
		routes = append(routes, route(id, time.Now()))
	}
	var next atomic.Int64
	var work sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range 64 {
		work.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				now := time.Now()
				_, _, err := s.AcceptPush(b.Context(), store.Intake{Routes: routes, Push: store.Push{
					Key:       fmt.Sprintf("wx0123456789abcdef/wx%016d/%d", n%10_000, 24_000_000_000_000+n),
					Component: "wx0123456789abcdef", Authorizer: tuoguan.AuthorizerAppID(fmt.Sprintf("wx%016d", n%10_000)),
					Kind: "text", Body: make([]byte, 400), CreatedAt: now, ReceivedAt: now,
				}})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pushes/s")
}

// benchOutcomes has one caller find what is due and record that it was delivered.
func benchOutcomes(b *testing.B, s store.Store, batch int) {
	b.ResetTimer()
	for done := 0; done < b.N; {
		due, err := s.DueDeliveries(b.Context(), benchSubscriptions[1], time.Now(), batch)
		if err != nil && !errors.Is(err, store.ErrQuarantined) || len(due) == 0 {
			b.Fatal(len(due), err)
		}
		for i := range due {
			due[i].State, due[i].Attempts, due[i].FinishedAt = store.DeliveryDelivered, 1, time.Now()
			due[i].Log = []byte(`[{"at":"2026-11-21T08:30:00.123Z","status":204,"latency_ms":12}]`)
		}
		if err := s.SaveDeliveries(b.Context(), due); err != nil {
			b.Fatal(err)
		}
		done += len(due)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
}

// benchFind finds things where much waits.
func benchFind(b *testing.B, s store.Store) {
	ctx, now := b.Context(), time.Now()
	for _, id := range benchSubscriptions {
		if _, err := s.PutSubscription(ctx, store.Subscription{ID: id}); err != nil {
			b.Fatal(err)
		}
	}
	deliveries := func(state store.DeliveryState) error {
		_, err := s.Deliveries(ctx, store.DeliveryQuery{Subscription: "sub_2", State: state})
		return err
	}
	events := func(q store.EventQuery) error {
		all, err := s.Events(ctx, q)
		if len(all) == 0 && err == nil {
			err = errors.New("none was found")
		}
		return err
	}
	for _, find := range []struct {
		name string
		f    func() error
	}{
		{"due", func() error { _, err := s.DueDeliveries(ctx, "sub_2", now, 100); return err }},
		{"held back, none", func() error { _, err := s.HeldBack(ctx, "sub_2", now.Add(time.Hour)); return err }},
		{"backlog", func() error { _, err := s.Backlog(ctx, "sub_2", 10_000); return err }},
		{"deliveries", func() error { return deliveries("") }},
		{"pending deliveries", func() error { return deliveries(store.DeliveryPending) }},
		{"dead letters", func() error { return deliveries(store.DeliveryDead) }},
		{"deliveries of an event", func() error { _, err := s.Deliveries(ctx, store.DeliveryQuery{Event: 1000}); return err }},
		{"events", func() error { return events(store.EventQuery{Backwards: true}) }},
		{"events of an account", func() error {
			return events(store.EventQuery{Component: "wxc", Authorizer: "wxold77", Backwards: true})
		}},
		{"events of a component", func() error { return events(store.EventQuery{Component: "wxc", Kind: "te*", Backwards: true}) }},
		{"events since", func() error { return events(store.EventQuery{Since: now.Add(-24 * time.Hour), Backwards: true}) }},
	} {
		b.Run(find.name, func(b *testing.B) {
			for b.Loop() {
				if err := find.f(); err != nil && !errors.Is(err, store.ErrQuarantined) {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("nothing to collect", func(b *testing.B) {
		for b.Loop() {
			if err := s.Collect(ctx, store.Retention{Pushes: now.Add(-time.Hour), PushCount: 400_000}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("events that are not there", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Events(ctx, store.EventQuery{Kind: "event.none", Backwards: true}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("delivered, none", func(b *testing.B) {
		for b.Loop() {
			if err := deliveries(store.DeliveryDelivered); err != nil {
				b.Fatal(err)
			}
		}
	})
}
