package keeper_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
)

// everybody is a Router by which one subscription gets all events.
type everybody struct {
	mu     sync.Mutex
	asked  []string // kinds
	parsed int      // how many of them were read
	stored int      // routes
}

func (e *everybody) Routes(_ context.Context, p store.Push, parsed *push.Push) []store.Route {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = append(e.asked, p.Kind)
	if parsed != nil {
		e.parsed++
	}
	return []store.Route{{Subscription: "sub_all", DueAt: p.ReceivedAt}}
}

func (e *everybody) Stored(routes []store.Route) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stored += len(routes)
}

// newTold makes a world in which one subscription is told of everything.
func newTold(t *testing.T, run bool) (*world, *everybody) {
	t.Helper()
	router := new(everybody)
	w := newRoutedWorld(t, nil, run, router)
	if _, err := w.store.Store.(*memory.Store).PutSubscription(t.Context(), store.Subscription{ID: "sub_all", Spec: "{}", State: store.SubscriptionActive}); err != nil {
		t.Fatal(err)
	}
	return w, router
}

// due returns the kinds of the events that are to be delivered, and the last of them.
func (w *world) due() (kinds []string, last store.Push) {
	w.t.Helper()
	all, err := w.store.Store.(*memory.Store).DueDeliveries(w.t.Context(), "sub_all", time.Now().Add(time.Hour), 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range all {
		if d.Event.Kind != "component_verify_ticket" {
			kinds, last = append(kinds, d.Event.Kind), d.Event
		}
	}
	return kinds, last
}

func TestEventsAreRouted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, router := newTold(t, true)
		appid := w.account()
		w.authorize(appid)
		w.good(w.owner(appid))
		kinds, last := w.due()
		if diff := cmp.Diff([]string{"authorized", event.Authorized}, kinds); diff != "" {
			t.Fatal(diff)
		}
		var body event.GrantBody
		if err := json.Unmarshal(last.Body, &body); err != nil || string(body.Authorizer) != appid || body.AuthorizedAt.IsZero() || len(body.PermissionSets) == 0 {
			t.Errorf("%s, %v", last.Body, err)
		}

		w.authorize(appid, 1, 2)
		time.Sleep(time.Second)
		if kinds, _ := w.due(); !slices.Equal(kinds[2:], []string{"updateauthorized", event.Updated}) {
			t.Errorf("authorized again: %q", kinds)
		}

		before := len(router.asked)
		if _, err := w.sim.SendMessage(t.Context(), appid, simulator.Message{From: "oUser", Type: "text", Fields: map[string]any{"content": "hi"}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if kinds, _ := w.due(); kinds[len(kinds)-1] != "text" || !slices.Equal(router.asked[before:], []string{"text"}) {
			t.Errorf("%q, asked about %q", kinds, router.asked[before:])
		}
		if kinds, _ := w.due(); router.stored < len(kinds) || router.parsed >= len(router.asked) {
			t.Errorf("%d stored, %d of %d parsed", router.stored, router.parsed, len(router.asked))
		}
	})
}

func TestLostAuthorizationIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := newTold(t, true)
		appid := w.account()
		w.authorize(appid)
		w.good(w.owner(appid))
		time.Sleep(5 * time.Second)
		w.faults(func(f *simulator.Faults) { f.LostPush = 1 })
		if _, err := w.sim.Unauthorize(t.Context(), appid, w.component.AppID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour)
		kinds, last := w.due()
		n := 0
		for _, kind := range kinds {
			if kind == event.NeedsReauthorization {
				n++
			}
		}
		var body event.NeedsReauthorizationBody
		if err := json.Unmarshal(last.Body, &body); err != nil || n != 1 || body.Authorizer != tuoguan.AuthorizerAppID(appid) || body.Code == 0 {
			t.Errorf("%q, %s, %v", kinds, last.Body, err)
		}
	})
}

// Silence is announced once, by whoever notices it, and again only after a ticket.
func TestOverdueTicketsAreAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := newTold(t, false)
		other := w.newKeeper()
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = w.keeper.Run(ctx) })
		running.Go(func() { _ = other.Run(ctx) })
		defer running.Wait()
		defer cancel()
		overdue := func() (n int) {
			kinds, _ := w.due()
			for _, kind := range kinds {
				if kind == event.TicketOverdue {
					n++
				}
			}
			return n
		}
		time.Sleep(29 * time.Minute)
		if n := overdue(); n != 0 {
			t.Errorf("announced after 29 minutes")
		}
		time.Sleep(time.Hour)
		if n := overdue(); n != 1 {
			t.Errorf("announced %d times within an hour and a half", n)
		}
		w.ticket()
		time.Sleep(2 * time.Hour)
		if n := overdue(); n != 2 {
			t.Errorf("announced %d times of two silences", n)
		}
	})
}
