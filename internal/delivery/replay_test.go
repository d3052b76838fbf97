package delivery_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan/internal/delivery"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/store"
)

func TestReplay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		poison := true
		r := w.subscribe("s", subscription.Spec{}, func(_ context.Context, m sink.Message) error {
			if m.Event.Seq%1000 == 7 && poison {
				return &sink.Refusal{Final: true}
			}
			return nil
		})
		other := w.subscribe("other", subscription.Spec{}, nil)
		w.subscribe("static", subscription.Spec{Sink: subscription.Sink{Type: subscription.Answer}}, nil)
		d := w.run(w.config("a"))
		var ids []int64
		for range 2500 {
			ids = append(ids, w.push("wxa", "s").ID)
		}
		after(10 * time.Second)
		if got := w.states("s"); got[store.DeliveryDead] != 3 || got[store.DeliveryDelivered] != 2497 {
			t.Fatalf("at first: %v", got)
		}

		poison = false
		if n, err := d.Replay(t.Context(), delivery.Replay{Subscription: "s", Dead: true}, nil); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		after(time.Second)
		if got := w.states("s"); got[store.DeliveryDelivered] != 2500 {
			t.Errorf("the dead ones: %v", got)
		}

		// To another subscription, which does not match them.
		if n, err := d.Replay(t.Context(), delivery.Replay{Subscription: "other", Events: []int64{ids[4], 1 << 40}}, nil); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		var progress []int64
		q := &store.EventQuery{Kind: "te*", After: ids[9], Limit: 5, Backwards: true}
		if n, err := d.Replay(t.Context(), delivery.Replay{Subscription: "s", Query: q}, func(n int64) { progress = append(progress, n) }); n != 2490 || err != nil {
			t.Fatal(n, err)
		}
		if !cmp.Equal(progress, []int64{1000, 2000, 2490}) {
			t.Errorf("progress: %v", progress)
		}
		after(10 * time.Second)
		if got := other.taken(); !cmp.Equal(got, []int64{5}) {
			t.Errorf("the other got %v", got)
		}
		if n := len(r.taken()); n != 2500+2490 {
			t.Errorf("%d were taken", n)
		}
		checkIDs(t, r)

		for _, wrong := range []delivery.Replay{
			{Subscription: "s"},
			{Subscription: "s", Dead: true, Events: ids},
			{Subscription: "unknown", Dead: true},
			{Subscription: "static", Dead: true},
		} {
			_, err := d.Replay(t.Context(), wrong, nil)
			if err == nil || errors.Is(err, delivery.ErrUnknownSubscription) != (wrong.Subscription != "s") {
				t.Errorf("%+v: %v", wrong, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		_, err := d.Replay(ctx, delivery.Replay{Subscription: "s", Events: ids}, func(int64) { cancel() })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cut short: %v", err)
		}
	})
}
