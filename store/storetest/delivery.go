package storetest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

func fullSubscription() store.Subscription {
	return store.Subscription{
		ID: "sub_1", Name: "订单 service", Spec: `{"kinds":["event.*"]}`, Secrets: []byte("whsec\x00_1"),
		State: store.SubscriptionDisabled, Problem: "410 since Tuesday",
		CreatedAt: at(0), UpdatedAt: at(time.Millisecond), Version: 1,
	}
}

// subscribe stores new subscriptions.
func (e *env) subscribe(ids ...string) {
	e.t.Helper()
	for _, id := range ids {
		must[store.Subscription](e)(e.PutSubscription(e.ctx, store.Subscription{ID: id, State: store.SubscriptionActive}))
	}
}

func testSubscriptions(t *testing.T, s *suite) {
	put := func(e *env, sub store.Subscription) store.Subscription {
		e.t.Helper()
		return must[store.Subscription](e)(e.PutSubscription(e.ctx, sub))
	}
	newOne := func(id string) store.Subscription {
		sub := fullSubscription()
		sub.ID, sub.Version = id, 0
		return sub
	}
	s.run(t, "every field comes back", func(e *env) {
		want := fullSubscription()
		e.equal(put(e, newOne("sub_1")), want)
		got := must[store.Subscription](e)(e.other.Subscription(e.ctx, "sub_1"))
		e.equal(got, want)
		e.full(got)
		for n, secrets := range [][]byte{nil, {}, {0, 255}, bytes.Repeat([]byte("x"), 60_000)} {
			sub := newOne(fmt.Sprint("secrets ", n))
			sub.Secrets = secrets
			put(e, sub)
			e.equal(must[store.Subscription](e)(e.Subscription(e.ctx, sub.ID)).Secrets, secrets)
		}
	})
	s.run(t, "only the version that was read is replaced", func(e *env) {
		for _, version := range []int64{1, 7} {
			sub := newOne("sub_1")
			sub.Version = version
			_, err := e.PutSubscription(e.ctx, sub) // there is none
			e.is(err, store.ErrConflict)
		}
		first := put(e, newOne("sub_1"))
		_, err := e.PutSubscription(e.ctx, newOne("sub_1"))
		e.is(err, store.ErrConflict)
		changed := first
		changed.Name, changed.Spec, changed.Secrets, changed.State, changed.Problem = "new", "{}", nil, store.SubscriptionPaused, ""
		changed.CreatedAt, changed.UpdatedAt = at(time.Hour), at(time.Hour)
		second := put(e, changed)
		changed.Version, changed.CreatedAt = 2, first.CreatedAt
		e.equal(second, changed)
		_, err = e.PutSubscription(e.ctx, first)
		e.is(err, store.ErrConflict)
		e.equal(must[store.Subscription](e)(e.other.Subscription(e.ctx, "sub_1")), changed)
	})
	s.run(t, "pages by id", func(e *env) {
		for _, id := range []string{"c", "a", "B", "d", "b"} {
			e.subscribe(id)
		}
		list := func(after string, limit int) (ids []string) {
			for _, sub := range must[[]store.Subscription](e)(e.other.Subscriptions(e.ctx, after, limit)) {
				ids = append(ids, sub.ID)
			}
			return ids
		}
		e.equal(list("", 0), []string{"B", "a", "b", "c", "d"})
		e.equal(list("a", 2), []string{"b", "c"})
		e.equal(list("d", 2), []string(nil))
	})
	s.run(t, "only the version that was read is deleted", func(e *env) {
		e.subscribe("a", "b")
		for _, version := range []int64{0, 2} {
			e.is(e.DeleteSubscription(e.ctx, "a", version), store.ErrConflict)
		}
		e.is(e.DeleteSubscription(e.ctx, "unknown", 1), store.ErrConflict)
		e.ok(e.DeleteSubscription(e.ctx, "a", 1))
		e.is(e.DeleteSubscription(e.ctx, "a", 1), store.ErrConflict)
		_, err := e.other.Subscription(e.ctx, "a")
		e.is(err, store.ErrNotFound)
		must[store.Subscription](e)(e.other.Subscription(e.ctx, "b"))
		e.subscribe("a") // begins anew
	})
	s.run(t, "is not shared with the caller", func(e *env) {
		sub := newOne("sub_1")
		put(e, sub).Secrets[0] = 'X'
		sub.Secrets[1] = 'X'
		must[store.Subscription](e)(e.Subscription(e.ctx, "sub_1")).Secrets[2] = 'X'
		must[[]store.Subscription](e)(e.Subscriptions(e.ctx, "", 1))[0].Secrets[3] = 'X'
		e.equal(must[store.Subscription](e)(e.Subscription(e.ctx, "sub_1")).Secrets, fullSubscription().Secrets)
	})
	s.run(t, "of 16 who change one does", func(e *env) {
		e.winner(16, func(i int) error { _, err := e.handle(i).PutSubscription(e.ctx, newOne("a")); return err }, store.ErrConflict)
		e.winner(16, func(i int) error {
			if i%3 == 0 {
				return e.handle(i).DeleteSubscription(e.ctx, "a", 1)
			}
			sub := newOne("a")
			sub.Version = 1
			_, err := e.handle(i).PutSubscription(e.ctx, sub)
			return err
		}, store.ErrConflict)
	})
}

func testEvents(t *testing.T, s *suite) {
	s.run(t, "by key", func(e *env) {
		p := e.accept(store.Intake{Push: push(1)})
		e.ok(e.SaveReply(e.ctx, p.Key, []byte("reply")))
		p.Reply = []byte("reply")
		e.equal(must[store.Push](e)(e.other.PushByKey(e.ctx, p.Key)), p)
		_, err := e.PushByKey(e.ctx, "key 2")
		e.is(err, store.ErrNotFound)
	})

	// Events 1 to 8; a tag of wxA1 in wxc0, and of nobody else.
	type event struct {
		component  tuoguan.ComponentAppID
		authorizer tuoguan.AuthorizerAppID
		kind       string
	}
	events := []event{
		{"wxc0", "", "component_verify_ticket"}, {"wxc0", "wxA1", "text"}, {"wxc0", "wxA2", "event.subscribe"},
		{"wxc1", "wxA1", "text"}, {"wxc0", "wxA1", "event.SCAN"}, {"wxc1", "wxA3", "event.scan"},
		{"wxc0", "wxA2", "%ex_"}, {"wxc1", "", "eventual"},
	}
	received := func(n int) time.Time { return at(time.Duration(n) * time.Minute) }
	accounts := func(ids ...tuoguan.AuthorizerAppID) store.Reach { return store.Reach{Authorizers: ids} }
	for _, tt := range []struct {
		name  string
		query store.EventQuery
		want  []int // counted from 1
	}{
		{"all", store.EventQuery{}, []int{1, 2, 3, 4, 5, 6, 7, 8}},
		{"component", store.EventQuery{Component: "wxc1"}, []int{4, 6, 8}},
		{"account", store.EventQuery{Authorizer: "wxA1"}, []int{2, 4, 5}},
		{"account of a component", store.EventQuery{Component: "wxc0", Authorizer: "wxA1"}, []int{2, 5}},
		{"kind", store.EventQuery{Kind: "text"}, []int{2, 4}},
		{"a part of a kind is not enough", store.EventQuery{Kind: "tex"}, nil},
		{"kinds that begin so", store.EventQuery{Kind: "event.*"}, []int{3, 5, 6}},
		{"kinds that begin so, in other case", store.EventQuery{Kind: "Event*"}, nil},
		{"kinds that begin so, in the same case", store.EventQuery{Kind: "event.s*"}, []int{3, 6}},
		{"no wildcards but the last", store.EventQuery{Kind: "%*"}, []int{7}},
		{"no wildcards within", store.EventQuery{Kind: "te_t*"}, nil},
		{"any kind", store.EventQuery{Kind: "*"}, []int{1, 2, 3, 4, 5, 6, 7, 8}},
		{"since", store.EventQuery{Since: received(6)}, []int{6, 7, 8}},
		{"until", store.EventQuery{Until: received(3)}, []int{1, 2}},
		{"since and until", store.EventQuery{Since: received(2), Until: received(5), Kind: "text"}, []int{2, 4}},
		{"limit", store.EventQuery{Limit: 2}, []int{1, 2}},
		{"backwards", store.EventQuery{Backwards: true}, []int{8, 7, 6, 5, 4, 3, 2, 1}},
		{"backwards, of an account", store.EventQuery{Backwards: true, Authorizer: "wxA1", Limit: 2}, []int{5, 4}},
		{"backwards, since", store.EventQuery{Backwards: true, Since: received(6), Limit: 2}, []int{8, 7}},
		{"reach of a component", store.EventQuery{Reach: store.Reach{Components: []tuoguan.ComponentAppID{"wxc1", "wxother"}}}, []int{4, 6, 8}},
		{"reach of an account", store.EventQuery{Reach: accounts("wxA2")}, []int{3, 7}},
		{"reach of no account", store.EventQuery{Reach: accounts("")}, nil},
		{"reach of accounts", store.EventQuery{Reach: accounts("wxA2", "wxA3", "wxA")}, []int{3, 6, 7}},
		{"reach of a tag", store.EventQuery{Reach: store.Reach{Tags: []string{"vip"}}}, []int{2, 5}},
		{"reach of another tag", store.EventQuery{Reach: store.Reach{Tags: []string{"vi", "north"}}}, nil},
		{"reach of accounts or tags", store.EventQuery{Reach: store.Reach{Authorizers: []tuoguan.AuthorizerAppID{"wxA3"}, Tags: []string{"vip"}}}, []int{2, 5, 6}},
		{"reach of accounts or tags of a component", store.EventQuery{Reach: store.Reach{
			Components: []tuoguan.ComponentAppID{"wxc1"}, Authorizers: []tuoguan.AuthorizerAppID{"wxA3"}, Tags: []string{"vip"},
		}}, []int{6}},
		{"reach and everything else", store.EventQuery{
			Reach: store.Reach{Tags: []string{"vip"}}, Kind: "event.*", Component: "wxc0", Authorizer: "wxA1",
			Since: received(1), Until: received(9), Backwards: true, Limit: 5,
		}, []int{5}},
	} {
		s.run(t, tt.name, func(e *env) {
			for _, component := range []tuoguan.ComponentAppID{"wxc0", "wxc1"} {
				g := fullGrant()
				g.Component, g.Authorizer, g.Link, g.CodeHash = component, "wxA1", "", ""
				e.grant(g)
			}
			e.ok(e.SaveTags(e.ctx, tuoguan.Authorization{Component: "wxc0", Authorizer: "wxA1"}, []string{"first", "vip"}))
			var all []store.Push
			for n, event := range events {
				p := push(n + 1)
				p.Component, p.Authorizer, p.Kind, p.ReceivedAt = event.component, event.authorizer, event.kind, received(n+1)
				all = append(all, e.accept(store.Intake{Push: p}))
			}
			var want []store.Push
			for _, n := range tt.want {
				want = append(want, all[n-1])
			}
			list := func(q store.EventQuery) []store.Push {
				return must[[]store.Push](e)(e.other.Events(e.ctx, q))
			}
			e.equal(list(tt.query), want)
			if len(want) < 2 || tt.query.Limit > 0 {
				return
			}
			first, last := want[0].ID, want[len(want)-1].ID // and a part of it
			q := tt.query
			if q.Backwards {
				first, last = last, first
			}
			q.After, q.Before = first, last
			e.equal(list(q), append([]store.Push(nil), want[1:len(want)-1]...))
		})
	}
	s.run(t, "is not shared with the caller", func(e *env) {
		e.accept(store.Intake{Push: push(1)})
		must[[]store.Push](e)(e.Events(e.ctx, store.EventQuery{}))[0].Body[0] = 'X'
		must[store.Push](e)(e.PushByKey(e.ctx, "key 1")).Body[0] = 'X'
		e.equal(must[[]store.Push](e)(e.Events(e.ctx, store.EventQuery{}))[0].Body, push(1).Body)
	})
}

// of returns a push of an account.
func of(id tuoguan.Authorization, n int) store.Push {
	p := push(n)
	p.Key, p.Component, p.Authorizer = fmt.Sprintf("%s/%d", id, n), id.Component, id.Authorizer
	return p
}

func testSequences(t *testing.T, s *suite) {
	s.run(t, "each account is numbered by itself", func(e *env) {
		other := tuoguan.Authorization{Component: "wxother", Authorizer: id1.Authorizer}
		alone := tuoguan.Authorization{Component: wxc}
		for n := range 3 {
			for _, id := range []tuoguan.Authorization{id1, id2, other, alone} {
				in := store.Intake{Push: of(id, n)}
				in.Push.Seq = 77 // is not the caller's
				p := e.accept(in)
				if p.Seq != int64(n+1) {
					e.t.Errorf("%s: push %d has number %d", id, n, p.Seq)
				}
				_, duplicate, err := e.other.AcceptPush(e.ctx, in) // consumes none
				if !duplicate || err != nil {
					e.t.Errorf("duplicate is %v, %v", duplicate, err)
				}
				e.equal(must[store.Push](e)(e.other.Push(e.ctx, p.ID)).Seq, p.Seq)
			}
		}
	})
	s.run(t, "numbers are never given twice", func(e *env) {
		e.accept(store.Intake{Push: of(id1, 1)})
		e.ok(e.Collect(e.ctx, store.Retention{Pushes: at(time.Hour)}))
		e.equal(e.accept(store.Intake{Push: of(id1, 2)}).Seq, int64(2))
	})
	s.run(t, "64 who accept pushes of a few accounts", func(e *env) {
		const callers, each, accounts, routes = 64, 12, 5, 2
		seed := rand.Uint64()
		e.t.Logf("seed %d", seed)
		id := func(n int) tuoguan.Authorization {
			return tuoguan.Authorization{Component: wxc, Authorizer: tuoguan.AuthorizerAppID(fmt.Sprintf("wxA%d", n))}
		}
		subscriptions := []string{"a", "b"}
		e.subscribe(subscriptions...)
		stop := make(chan struct{})
		var watching, work sync.WaitGroup
		for reader := range 2 { // whoever sees a number sees those before it
			watching.Go(func() {
				seen := make(map[tuoguan.Authorization]int64)
				for after := int64(0); ; {
					select {
					case <-stop:
						return
					default:
					}
					all, err := e.handle(reader).Events(e.ctx, store.EventQuery{Authorizer: id(reader).Authorizer, After: after})
					if err != nil {
						e.t.Error(err)
						return
					}
					for _, p := range all {
						a := tuoguan.Authorization{Component: p.Component, Authorizer: p.Authorizer}
						if seen[a]++; p.Seq != seen[a] {
							e.t.Errorf("%s: number %d is seen where %d was to come", a, p.Seq, seen[a])
							return
						}
						after = p.ID
					}
				}
			})
		}
		for caller := range callers {
			random := rand.New(rand.NewPCG(seed, uint64(caller)))
			work.Go(func() {
				for n := range each {
					a := id(random.IntN(accounts))
					in := store.Intake{Push: of(a, caller/2*1000+n)} // each comes twice, about
					for _, subscription := range subscriptions {
						in.Routes = append(in.Routes, store.Route{Subscription: subscription, DueAt: at(0)})
					}
					h := e.handle(random.IntN(2))
					p, _, err := h.AcceptPush(e.ctx, in)
					if err != nil {
						e.t.Error(err)
						return
					}
					same, duplicate, err := e.handle(random.IntN(2)).AcceptPush(e.ctx, in)
					if err != nil || !duplicate || same.ID != p.ID || same.Seq != p.Seq {
						e.t.Errorf("again: %v, duplicate %v, %d of number %d after %d of number %d", err, duplicate, same.ID, same.Seq, p.ID, p.Seq)
					}
				}
			})
		}
		work.Wait()
		close(stop)
		watching.Wait()
		last := make(map[tuoguan.Authorization]int64)
		all := must[[]store.Push](e)(e.Pushes(e.ctx, 0, callers*each))
		for _, p := range all {
			a := tuoguan.Authorization{Component: p.Component, Authorizer: p.Authorizer}
			if last[a]++; p.Seq != last[a] {
				e.t.Errorf("%s: number %d of id %d, want %d", a, p.Seq, p.ID, last[a])
			}
		}
		for _, subscription := range subscriptions {
			due := must[[]store.Delivery](e)(e.DueDeliveries(e.ctx, subscription, at(0), callers*each))
			if len(due) != len(all) {
				e.t.Errorf("%d deliveries of %d pushes", len(due), len(all))
			}
			for i, d := range due {
				if i < len(all) && d.Event.ID != all[i].ID {
					e.t.Errorf("delivery %d is of event %d, want %d", i, d.Event.ID, all[i].ID)
				}
			}
		}
	})
	s.run(t, "copies that come together are one", func(e *env) {
		const copies = 64
		var wg sync.WaitGroup
		seqs, fresh := make([]int64, copies), make([]bool, copies)
		for i := range copies {
			wg.Go(func() {
				in := store.Intake{Push: of(id1, i/32), Routes: []store.Route{{Subscription: "a", DueAt: at(0)}}}
				p, duplicate, err := e.handle(i).AcceptPush(e.ctx, in)
				if err != nil {
					e.t.Error(err)
				}
				seqs[i], fresh[i] = p.Seq, !duplicate
			})
		}
		wg.Wait()
		n := 0
		for i := range copies {
			if fresh[i] {
				n++
			}
			if seqs[i] != seqs[i/32*32] || seqs[i] < 1 || seqs[i] > 2 {
				e.t.Errorf("copy %d has number %d", i, seqs[i])
			}
		}
		if due := must[[]store.Delivery](e)(e.DueDeliveries(e.ctx, "a", at(0), 0)); n != 2 || len(due) != 2 {
			e.t.Errorf("%d were new, %d are due", n, len(due))
		}
	})
}

func route(subscription string, due time.Time) store.Route {
	return store.Route{Subscription: subscription, DueAt: due}
}

// events accepts n pushes that go to subscriptions, the first due at the instant given
// and the others each a second later.
func (e *env) events(n int, due time.Time, subscriptions ...string) (all []store.Push) {
	e.t.Helper()
	for i := range n {
		in := store.Intake{Push: push(i + 1)}
		for _, id := range subscriptions {
			in.Routes = append(in.Routes, store.Route{Subscription: id, DueAt: due.Add(time.Duration(i) * time.Second)})
		}
		all = append(all, e.accept(in))
	}
	return all
}

// due returns the events of what is due.
func (e *env) due(subscription string, at time.Time) (ids []int64) {
	e.t.Helper()
	for _, d := range must[[]store.Delivery](e)(e.other.DueDeliveries(e.ctx, subscription, at, 0)) {
		if d.State != store.DeliveryPending || d.Subscription != subscription || d.DueAt.After(at) || d.DueAt.IsZero() {
			e.t.Errorf("due is %+v", d)
		}
		ids = append(ids, d.Event.ID)
	}
	return ids
}

// delivery returns the one of an event to a subscription.
func (e *env) delivery(event int64, subscription string) store.Delivery {
	e.t.Helper()
	all := must[[]store.Delivery](e)(e.other.Deliveries(e.ctx, store.DeliveryQuery{Event: event, Subscription: subscription}))
	if len(all) != 1 {
		e.t.Fatalf("%d deliveries of event %d to %s", len(all), event, subscription)
	}
	return all[0]
}

// ids returns the ids of pushes.
func ids(all []store.Push) (ids []int64) {
	for _, p := range all {
		ids = append(ids, p.ID)
	}
	return ids
}

func testDueDeliveries(t *testing.T, s *suite) {
	s.run(t, "come with their events, the longest overdue first", func(e *env) {
		var all []store.Push
		for n, due := range []time.Duration{3, 1, 2, 1, 9} {
			all = append(all, e.accept(store.Intake{
				Push: push(n), Routes: []store.Route{route("a", at(due*time.Second)), route("b", at(due*time.Second))},
			}))
		}
		e.accept(store.Intake{Push: push(7)}) // goes to nobody
		e.ok(e.SaveReply(e.ctx, all[1].Key, []byte("reply")))
		all[1].Reply = []byte("reply")
		got := must[[]store.Delivery](e)(e.other.DueDeliveries(e.ctx, "a", at(3*time.Second), 0))
		var want []store.Delivery
		for _, n := range []int{1, 3, 2, 0} {
			due := at([]time.Duration{3, 1, 2, 1}[n] * time.Second)
			want = append(want, store.Delivery{Subscription: "a", Event: all[n], State: store.DeliveryPending, DueAt: due})
		}
		e.equal(got, want)
		e.equal(must[[]store.Delivery](e)(e.DueDeliveries(e.ctx, "a", at(3*time.Second), 2)), want[:2])
		e.equal(e.due("a", at(time.Second-time.Millisecond)), []int64(nil))
		e.equal(e.due("unknown", at(time.Hour)), []int64(nil))
		got[0].Event.Body[0] = 'X'
		e.equal(must[[]store.Delivery](e)(e.DueDeliveries(e.ctx, "a", at(3*time.Second), 0)), want)
	})
	s.run(t, "without an instant at once", func(e *env) {
		p := e.accept(store.Intake{Push: push(1), Routes: []store.Route{{Subscription: "a"}}})
		e.equal(e.due("a", at(0)), []int64{p.ID})
		if since := must[store.Backlog](e)(e.Backlog(e.ctx, "a", 9)).Since; since.IsZero() {
			e.t.Error("nothing is waiting")
		}
	})
	s.run(t, "in the order of their numbers, whatever those who receive believe the time to be", func(e *env) {
		var want []int64
		var fair store.Push
		for n, received := range []time.Duration{30, 7, 12, 90, 31} {
			p := of(id1, n)
			p.ReceivedAt = at(received * time.Second)
			p = e.accept(store.Intake{Push: p, Routes: []store.Route{route("a", p.ReceivedAt), route("later", p.ReceivedAt.Add(10*time.Second))}})
			e.equal(p.ReceivedAt, at(received*time.Second))
			want = append(want, p.ID)
			if n == 1 { // another account is not held up
				other := of(id2, n)
				other.ReceivedAt = at(8 * time.Second)
				fair = e.accept(store.Intake{Push: other, Routes: []store.Route{route("a", other.ReceivedAt)}})
			}
		}
		e.equal(e.due("a", at(8*time.Second)), []int64{fair.ID})
		e.equal(e.due("a", at(30*time.Second)), []int64{fair.ID, want[0], want[1], want[2]})
		e.equal(e.due("a", at(90*time.Second)), slices.Concat([]int64{fair.ID}, want))
		e.equal(e.due("later", at(22*time.Second)), []int64{want[1], want[2]})

		// One that is wrong by more does not hold up the others for so long.
		p := of(id1, 9)
		p.ReceivedAt = at(3 * time.Second)
		p = e.accept(store.Intake{Push: p, Routes: []store.Route{route("b", p.ReceivedAt)}})
		e.equal(e.due("b", at(3*time.Second)), []int64{p.ID})
	})
	s.run(t, "each subscription once", func(e *env) {
		p := e.accept(store.Intake{Push: push(1), Routes: []store.Route{route("a", at(0)), route("a", at(0))}})
		e.equal(e.due("a", at(0)), []int64{p.ID})
	})
	s.run(t, "a duplicate makes none", func(e *env) {
		e.accept(store.Intake{Push: push(1)})
		_, _, err := e.AcceptPush(e.ctx, store.Intake{Push: push(1), Routes: []store.Route{route("a", at(0))}})
		e.ok(err)
		e.equal(e.due("a", at(time.Hour)), []int64(nil))
	})
	s.run(t, "beside every other change", func(e *env) {
		e.grant(fullGrant())
		ticket, x := fullTicket(1), byPush()
		var want []int64
		for n, in := range []store.Intake{{Ticket: &ticket}, {Exchange: &x}, {Revoke: at(time.Hour)}} {
			in.Push, in.Routes = push(n), []store.Route{route("a", at(0))}
			p := e.accept(in)
			e.equal(p.Seq, int64(n+1))
			want = append(want, p.ID)
		}
		e.equal(e.due("a", at(0)), want)
		if len(must[[]store.Ticket](e)(e.Tickets(e.ctx, wxc))) != 1 || e.authorizer(id1).State != tuoguan.StateRevoked {
			e.t.Error("the changes were not made")
		}
	})
	s.run(t, "what is held back", func(e *env) {
		held := func(after time.Duration) map[tuoguan.Authorization]time.Time {
			return must[map[tuoguan.Authorization]time.Time](e)(e.other.HeldBack(e.ctx, "a", at(after)))
		}
		none := map[tuoguan.Authorization]time.Time{}
		e.equal(held(0), none)
		for n, due := range []time.Duration{5, 2, 8} {
			e.accept(store.Intake{Push: of(id1, n), Routes: []store.Route{route("a", at(due*time.Second))}})
		}
		p := e.accept(store.Intake{Push: of(id2, 0), Routes: []store.Route{route("a", at(3*time.Second)), route("b", at(time.Second))}})
		e.equal(held(0), map[tuoguan.Authorization]time.Time{id1: at(8 * time.Second), id2: at(3 * time.Second)})
		e.equal(held(3*time.Second), map[tuoguan.Authorization]time.Time{id1: at(8 * time.Second)})
		e.equal(held(8*time.Second), none)
		for _, state := range []store.DeliveryState{store.DeliveryDead, store.DeliveryDelivered} {
			e.ok(e.SaveDeliveries(e.ctx, []store.Delivery{{Subscription: "a", Event: p, State: state, FinishedAt: at(0)}}))
			e.equal(held(0), map[tuoguan.Authorization]time.Time{id1: at(8 * time.Second)})
			if state == store.DeliveryDead {
				e.equal(must[int](e)(e.PutDeliveries(e.ctx, "a", []int64{p.ID}, at(time.Second))), 1)
			}
		}
	})
}

func testSaveDeliveries(t *testing.T, s *suite) {
	// outcome is what became of the first event for a.
	outcome := func(p store.Push, state store.DeliveryState, attempts int) store.Delivery {
		d := store.Delivery{Subscription: "a", Event: p, State: state, Attempts: attempts, Log: fmt.Appendf(nil, "[%d]\x00", attempts)}
		if state == store.DeliveryPending {
			d.DueAt = at(time.Duration(attempts) * time.Minute)
		} else {
			d.FinishedAt = at(time.Duration(attempts)*time.Minute + time.Millisecond)
		}
		return d
	}
	listed := func(d store.Delivery) store.Delivery {
		d.Event.Key, d.Event.Body, d.Event.Reply = "", nil, nil
		return d
	}
	for _, state := range []store.DeliveryState{store.DeliveryPending, store.DeliveryDelivered, store.DeliveryDead} {
		s.run(t, "every field comes back: "+string(state), func(e *env) {
			all := e.events(2, at(0), "a", "b")
			d := outcome(all[0], state, 3)
			e.ok(e.SaveDeliveries(e.ctx, []store.Delivery{d}))
			e.equal(e.delivery(all[0].ID, "a"), listed(d))
			untouched := store.Delivery{Subscription: "b", Event: all[0], State: store.DeliveryPending, DueAt: at(0)}
			e.equal(e.delivery(all[0].ID, "b"), listed(untouched))
			e.equal(e.due("b", at(time.Hour)), ids(all))
			want := []int64{all[1].ID}
			if state == store.DeliveryPending {
				want = append(want, all[0].ID)
				e.equal(must[[]store.Delivery](e)(e.DueDeliveries(e.ctx, "a", at(time.Hour), 0))[1], d)
			}
			e.equal(e.due("a", at(time.Hour)), want)
			d.Log[0] = 'X'
			e.delivery(all[0].ID, "a").Log[1] = 'X'
			e.equal(string(e.delivery(all[0].ID, "a").Log), "[3]\x00")
		})
	}
	s.run(t, "instants that do not belong to the state are none", func(e *env) {
		all := e.events(2, at(0), "a")
		for n, state := range []store.DeliveryState{store.DeliveryPending, store.DeliveryDead} {
			d := outcome(all[n], state, 1)
			d.DueAt, d.FinishedAt = at(time.Second), at(time.Second)
			e.ok(e.SaveDeliveries(e.ctx, []store.Delivery{d}))
		}
		if got := e.delivery(all[0].ID, "a"); !got.FinishedAt.IsZero() || !got.DueAt.Equal(at(time.Second)) {
			e.t.Errorf("pending: %+v", got)
		}
		if got := e.delivery(all[1].ID, "a"); !got.DueAt.IsZero() || !got.FinishedAt.Equal(at(time.Second)) {
			e.t.Errorf("dead: %+v", got)
		}
	})
	const pending, delivered, dead = store.DeliveryPending, store.DeliveryDelivered, store.DeliveryDead
	for _, tt := range []struct {
		name         string
		stored       store.DeliveryState
		attempts     int
		given        store.DeliveryState
		with         int
		takesItsTurn bool
	}{
		{"a later attempt", pending, 2, pending, 3, true},
		{"the same attempt", pending, 2, pending, 2, true},
		{"an earlier attempt", pending, 2, pending, 1, false},
		{"given up after an earlier attempt", pending, 2, dead, 1, false},
		{"given up", pending, 2, dead, 2, true},
		{"delivered by an earlier attempt", pending, 2, delivered, 1, true},
		{"delivered stays", delivered, 2, pending, 3, false},
		{"delivered is not given up", delivered, 2, dead, 3, false},
		{"delivered is not delivered anew", delivered, 2, delivered, 3, false},
		{"dead stays", dead, 2, pending, 3, false},
		{"dead is not delivered", dead, 2, delivered, 3, false},
	} {
		s.run(t, tt.name, func(e *env) {
			p := e.events(1, at(0), "a")[0]
			before, after := outcome(p, tt.stored, tt.attempts), outcome(p, tt.given, tt.with)
			after.Log = []byte("after")
			e.ok(e.SaveDeliveries(e.ctx, []store.Delivery{before}))
			e.ok(e.SaveDeliveries(e.ctx, []store.Delivery{after}))
			want := listed(before)
			if tt.takesItsTurn {
				want = listed(after)
			}
			e.equal(e.delivery(p.ID, "a"), want)
		})
	}
	s.run(t, "one after the other in one call", func(e *env) {
		all := e.events(2, at(0), "a")
		e.ok(e.SaveDeliveries(e.ctx, []store.Delivery{
			outcome(all[1], pending, 1), outcome(all[0], pending, 1), outcome(all[1], pending, 2), outcome(all[1], dead, 3), outcome(all[1], delivered, 4),
		}))
		e.equal(e.delivery(all[0].ID, "a"), listed(outcome(all[0], pending, 1)))
		e.equal(e.delivery(all[1].ID, "a"), listed(outcome(all[1], dead, 3)))
	})
	s.run(t, "unknown ones are passed over", func(e *env) {
		p := e.events(1, at(0), "a")[0]
		unknown := outcome(p, delivered, 1)
		unknown.Subscription = "unknown"
		other := outcome(store.Push{ID: p.ID + 1000}, delivered, 1)
		e.ok(e.SaveDeliveries(e.ctx, []store.Delivery{unknown, other, outcome(p, delivered, 1)}))
		e.equal(len(must[[]store.Delivery](e)(e.Deliveries(e.ctx, store.DeliveryQuery{}))), 1)
		e.equal(e.due("a", at(time.Hour)), []int64(nil))
		e.ok(e.SaveDeliveries(e.ctx, nil))
	})
	s.run(t, "many at once", func(e *env) {
		const n = 300
		all := e.events(n, at(0), "a", "b")
		var done []store.Delivery
		for i, p := range all {
			done = append(done, outcome(p, []store.DeliveryState{pending, delivered, dead}[i%3], i+1))
		}
		rand.Shuffle(len(done), func(i, j int) { done[i], done[j] = done[j], done[i] })
		e.ok(e.SaveDeliveries(e.ctx, done))
		slices.SortFunc(done, func(a, b store.Delivery) int { return cmp.Compare(b.Event.ID, a.Event.ID) })
		for i := range done {
			done[i] = listed(done[i])
		}
		e.equal(must[[]store.Delivery](e)(e.other.Deliveries(e.ctx, store.DeliveryQuery{Subscription: "a", Limit: 2 * n})), done)
		e.equal(must[store.Backlog](e)(e.Backlog(e.ctx, "b", 1000)).Pending, n)
	})
	s.run(t, "16 who finish what they find", func(e *env) {
		const n = 200
		all := e.events(n, at(0), "a", "b")
		var work sync.WaitGroup
		for i := range 16 {
			work.Go(func() {
				subscription := []string{"a", "b"}[i%2]
				for {
					found, err := e.handle(i/2).DueDeliveries(e.ctx, subscription, at(time.Hour), 20)
					if err != nil {
						e.t.Error(err)
						return
					}
					if len(found) == 0 {
						return
					}
					for j := range found {
						found[j].State, found[j].FinishedAt, found[j].Log = delivered, at(0), fmt.Appendf(nil, "%d", i)
					}
					if err := e.handle(i/2).SaveDeliveries(e.ctx, found); err != nil {
						e.t.Error(err)
						return
					}
				}
			})
		}
		work.Wait()
		for _, subscription := range []string{"a", "b"} {
			got := must[[]store.Delivery](e)(e.Deliveries(e.ctx, store.DeliveryQuery{Subscription: subscription, State: delivered, Limit: 2 * n}))
			if len(got) != len(all) {
				e.t.Errorf("%d were delivered to %s", len(got), subscription)
			}
		}
	})
}

func testPutDeliveries(t *testing.T, s *suite) {
	s.run(t, "as new, but for their log", func(e *env) {
		all := e.events(5, at(0), "a", "b")
		e.ok(e.SaveDeliveries(e.ctx, []store.Delivery{
			{Subscription: "a", Event: all[0], State: store.DeliveryDelivered, Attempts: 1, Log: []byte("one"), FinishedAt: at(1)},
			{Subscription: "a", Event: all[1], State: store.DeliveryDead, Attempts: 2, Log: []byte("two"), FinishedAt: at(2)},
			{Subscription: "a", Event: all[2], State: store.DeliveryPending, Attempts: 3, Log: []byte("three"), DueAt: at(time.Hour)},
		}))
		unrouted := e.accept(store.Intake{Push: push(10)})
		e.equal(e.due("a", at(time.Minute)), ids(all[3:]))
		events := []int64{all[0].ID, all[1].ID, all[2].ID, unrouted.ID, unrouted.ID + 1000, all[1].ID}
		e.equal(must[int](e)(e.other.PutDeliveries(e.ctx, "a", events, at(time.Second))), 4)
		got := must[[]store.Delivery](e)(e.DueDeliveries(e.ctx, "a", at(time.Second), 0))
		var want []store.Delivery
		for i, p := range append(all[:3:3], unrouted) {
			want = append(want, store.Delivery{
				Subscription: "a", Event: p, State: store.DeliveryPending, DueAt: at(time.Second),
				Log: [][]byte{[]byte("one"), []byte("two"), []byte("three"), nil}[i],
			})
		}
		e.equal(got, want)
		e.equal(e.due("b", at(time.Hour)), ids(all))
		e.equal(must[int](e)(e.PutDeliveries(e.ctx, "a", nil, at(0))), 0)
	})
	s.run(t, "a thousand", func(e *env) {
		p := e.events(1, at(0))[0]
		events := make([]int64, 1000)
		for i := range events {
			events[i] = p.ID + int64(i)
		}
		e.equal(must[int](e)(e.PutDeliveries(e.ctx, "a", events, at(0))), 1)
	})
	s.run(t, "16 at once", func(e *env) {
		all := e.events(50, at(0), "a")
		var work sync.WaitGroup
		for i := range 16 {
			work.Go(func() {
				n, err := e.handle(i).PutDeliveries(e.ctx, []string{"a", "b", "c"}[i%3], ids(all), at(0))
				if n != len(all) || err != nil {
					e.t.Errorf("%d, %v", n, err)
				}
			})
		}
		work.Wait()
		for _, subscription := range []string{"a", "b", "c"} {
			e.equal(e.due(subscription, at(0)), ids(all))
		}
	})
}

func testDeliveryLists(t *testing.T, s *suite) {
	// Events 1 to 6 go to a, and every other one to b; a has been told of two of them,
	// and given up another two.
	fill := func(e *env) (all []store.Push) {
		for n := range 6 {
			in := store.Intake{Push: push(n + 1), Routes: []store.Route{route("a", at(time.Duration(n+1)*time.Second))}}
			if n%2 == 1 {
				in.Routes = append(in.Routes, store.Route{Subscription: "b", DueAt: at(0)})
			}
			all = append(all, e.accept(in))
		}
		e.ok(e.SaveDeliveries(e.ctx, []store.Delivery{
			{Subscription: "a", Event: all[0], State: store.DeliveryDelivered, FinishedAt: at(0)},
			{Subscription: "a", Event: all[3], State: store.DeliveryDelivered, FinishedAt: at(0)},
			{Subscription: "a", Event: all[1], State: store.DeliveryDead, FinishedAt: at(0)},
			{Subscription: "a", Event: all[4], State: store.DeliveryDead, FinishedAt: at(0)},
		}))
		return all
	}
	const pending, delivered, dead = store.DeliveryPending, store.DeliveryDelivered, store.DeliveryDead
	for _, tt := range []struct {
		name          string
		event, before int // counted from 1
		query         store.DeliveryQuery
		want          []string
	}{
		{"of an event", 2, 0, store.DeliveryQuery{}, []string{"2 a", "2 b"}},
		{"of an event to one", 2, 0, store.DeliveryQuery{Subscription: "b"}, []string{"2 b"}},
		{"of an event in a state", 2, 0, store.DeliveryQuery{State: dead}, []string{"2 a"}},
		{"of an event in another", 2, 0, store.DeliveryQuery{State: delivered}, nil},
		{"to a subscription", 0, 0, store.DeliveryQuery{Subscription: "a"}, []string{"6 a", "5 a", "4 a", "3 a", "2 a", "1 a"}},
		{"to another", 0, 0, store.DeliveryQuery{Subscription: "b"}, []string{"6 b", "4 b", "2 b"}},
		{"to nobody", 0, 0, store.DeliveryQuery{Subscription: "c"}, nil},
		{"pending", 0, 0, store.DeliveryQuery{Subscription: "a", State: pending}, []string{"6 a", "3 a"}},
		{"delivered", 0, 0, store.DeliveryQuery{Subscription: "a", State: delivered}, []string{"4 a", "1 a"}},
		{"dead", 0, 0, store.DeliveryQuery{Subscription: "a", State: dead}, []string{"5 a", "2 a"}},
		{"before", 0, 5, store.DeliveryQuery{Subscription: "a"}, []string{"4 a", "3 a", "2 a", "1 a"}},
		{"dead, before", 0, 5, store.DeliveryQuery{Subscription: "a", State: dead}, []string{"2 a"}},
		{"pending, before", 0, 6, store.DeliveryQuery{Subscription: "a", State: pending}, []string{"3 a"}},
		{"limit", 0, 0, store.DeliveryQuery{Subscription: "a", Limit: 2}, []string{"6 a", "5 a"}},
		{"dead, limit", 0, 0, store.DeliveryQuery{Subscription: "a", State: dead, Limit: 1}, []string{"5 a"}},
	} {
		s.run(t, tt.name, func(e *env) {
			all := fill(e)
			if tt.event > 0 {
				tt.query.Event = all[tt.event-1].ID
			}
			if tt.before > 0 {
				tt.query.Before = all[tt.before-1].ID
			}
			var got []string
			for _, d := range must[[]store.Delivery](e)(e.other.Deliveries(e.ctx, tt.query)) {
				n := slices.Index(ids(all), d.Event.ID)
				want := all[n]
				want.Key, want.Body, want.Reply = "", nil, nil
				e.equal(d.Event, want)
				got = append(got, fmt.Sprintf("%d %s", n+1, d.Subscription))
			}
			e.equal(got, tt.want)
		})
	}
	s.run(t, "backlog", func(e *env) {
		e.equal(must[store.Backlog](e)(e.Backlog(e.ctx, "a", 10)), store.Backlog{})
		fill(e)
		backlog := func(subscription string, most int) store.Backlog {
			return must[store.Backlog](e)(e.other.Backlog(e.ctx, subscription, most))
		}
		e.equal(backlog("a", 10), store.Backlog{Pending: 2, Dead: 2, Since: at(3 * time.Second)})
		e.equal(backlog("b", 10), store.Backlog{Pending: 3, Since: at(0)})
		e.equal(backlog("b", 2), store.Backlog{Pending: 2, Since: at(0)})
		e.equal(backlog("a", 1), store.Backlog{Pending: 1, Dead: 1, Since: at(3 * time.Second)})
		e.equal(backlog("c", 1), store.Backlog{})
	})
}

func testAnnouncements(t *testing.T, s *suite) {
	announce := func(n int) *store.Intake {
		return &store.Intake{Push: push(n), Routes: []store.Route{route("a", at(0))}}
	}
	kept := func(e *env, keys ...string) {
		e.t.Helper()
		var got, due []string
		for n, p := range must[[]store.Push](e)(e.other.Pushes(e.ctx, 0, 0)) {
			got = append(got, p.Key)
			if p.Seq != int64(n+1) {
				e.t.Errorf("%s has number %d, want %d", p.Key, p.Seq, n+1)
			}
		}
		for _, d := range must[[]store.Delivery](e)(e.other.DueDeliveries(e.ctx, "a", at(0), 0)) {
			due = append(due, d.Event.Key)
		}
		e.equal(got, keys)
		e.equal(due, keys)
	}
	s.run(t, "of a grant, if it moved", func(e *env) {
		g := fullGrant()
		g.Announce = announce(1)
		e.grant(g)
		kept(e, "key 1")
		p := must[store.Push](e)(e.PushByKey(e.ctx, "key 1"))
		e.equal(p.Body, push(1).Body)
		stale := later(-time.Hour, "stale")
		stale.Announce = announce(2)
		if _, moved := e.grant(stale); moved {
			e.t.Fatal("moved")
		}
		kept(e, "key 1")
		next := later(time.Hour, "next")
		next.Announce = announce(3)
		e.grant(next)
		again := later(2*time.Hour, "again")
		again.Announce = announce(3) // is known already
		if _, moved := e.grant(again); !moved {
			e.t.Error("did not move")
		}
		kept(e, "key 1", "key 3")
	})
	s.run(t, "of a trouble, if it is recorded", func(e *env) {
		e.grant(fullGrant())
		must[bool](e)(e.SaveTokens(e.ctx, fullTokenWrite()))
		trouble := fullTrouble()
		trouble.Announce = announce(1)
		if !e.trouble(trouble) {
			e.t.Fatal("not recorded")
		}
		kept(e, "key 1")
		trouble.Epoch, trouble.Announce = 1, announce(2)
		if must[bool](e)(e.SaveTrouble(e.ctx, trouble)) {
			e.t.Fatal("recorded")
		}
		kept(e, "key 1")
		trouble.Authorization, trouble.Announce = id2, announce(3)
		_, err := e.SaveTrouble(e.ctx, trouble)
		e.is(err, store.ErrNotFound)
		kept(e, "key 1")
	})
	s.run(t, "beside pushes of the same account", func(e *env) {
		e.grant(fullGrant())
		must[bool](e)(e.SaveTokens(e.ctx, fullTokenWrite()))
		var work sync.WaitGroup
		for i := range 32 {
			work.Go(func() {
				var err error
				in := store.Intake{Push: push(i), Routes: []store.Route{route("a", at(0))}}
				if i%2 == 0 {
					_, _, err = e.handle(i/2).AcceptPush(e.ctx, in)
				} else {
					trouble := fullTrouble()
					trouble.Announce = &in
					_, err = e.handle(i/2).SaveTrouble(e.ctx, trouble)
				}
				if err != nil {
					e.t.Error(err)
				}
			})
		}
		work.Wait()
		var keys []string
		for _, p := range must[[]store.Push](e)(e.Pushes(e.ctx, 0, 0)) {
			keys = append(keys, p.Key)
		}
		if len(keys) != 32 {
			e.t.Errorf("%d are stored", len(keys))
		}
		kept(e, keys...)
	})
}

func testCollectDeliveries(t *testing.T, s *suite) {
	collect := func(e *env, r store.Retention) {
		e.t.Helper()
		e.ok(e.Collect(e.ctx, r))
	}
	left := func(e *env, want ...store.Push) {
		e.t.Helper()
		e.equal(ids(must[[]store.Push](e)(e.other.Pushes(e.ctx, 0, 1000))), ids(want))
	}
	s.run(t, "what is pending stays, what is finished goes along", func(e *env) {
		e.subscribe("a", "b")
		all := e.events(5, at(time.Hour), "a", "b") // received from second 1 on
		e.ok(e.SaveDeliveries(e.ctx, []store.Delivery{
			{Subscription: "a", Event: all[0], State: store.DeliveryDelivered}, {Subscription: "b", Event: all[0], State: store.DeliveryDead},
			{Subscription: "a", Event: all[1], State: store.DeliveryDelivered}, // b is still to be told
			{Subscription: "a", Event: all[2], State: store.DeliveryDead}, {Subscription: "b", Event: all[2], State: store.DeliveryDelivered},
			{Subscription: "a", Event: all[4], State: store.DeliveryDelivered}, {Subscription: "b", Event: all[4], State: store.DeliveryDelivered},
		}))
		collect(e, store.Retention{Pushes: at(5 * time.Second)}) // the fifth was received at that instant
		left(e, all[1], all[3], all[4])
		rest := must[[]store.Delivery](e)(e.Deliveries(e.ctx, store.DeliveryQuery{}))
		if len(rest) != 6 {
			e.t.Errorf("%d deliveries are left", len(rest))
		}
		e.equal(must[int](e)(e.PutDeliveries(e.ctx, "a", ids(all), at(0))), 3)
	})
	s.run(t, "all but the newest", func(e *env) {
		e.subscribe("a")
		waits := e.events(1, at(0), "a")
		var all []store.Push
		for n := range 9 {
			all = append(all, e.accept(store.Intake{Push: push(100 + n)}))
		}
		collect(e, store.Retention{PushCount: 10})
		left(e, append(waits, all...)...)
		collect(e, store.Retention{PushCount: 4})
		left(e, append(waits, all[5:]...)...)
		collect(e, store.Retention{PushCount: 3, Pushes: at(0)}) // none is that old
		left(e, append(waits, all[6:]...)...)
		collect(e, store.Retention{PushCount: 100, Pushes: at(time.Hour)})
		left(e, waits...)
		collect(e, store.Retention{}) // keeps all
		left(e, waits...)
	})
	s.run(t, "more than are removed in one go", func(e *env) {
		e.subscribe("a")
		var stays []store.Push
		for n := range 650 {
			in := store.Intake{Push: push(n)}
			in.Push.ReceivedAt = at(time.Duration(n%7) * time.Second)
			if n%5 == 0 {
				in.Routes = []store.Route{route("a", at(0))}
			}
			if p := e.accept(in); n%5 == 0 || n%7 == 6 {
				stays = append(stays, p)
			}
		}
		collect(e, store.Retention{Pushes: at(6 * time.Second)})
		left(e, stays...)
		stays = slices.DeleteFunc(stays, func(p store.Push) bool {
			return p.ID < stays[len(stays)-10].ID && len(must[[]store.Delivery](e)(e.Deliveries(e.ctx, store.DeliveryQuery{Event: p.ID}))) == 0
		})
		collect(e, store.Retention{PushCount: 10})
		left(e, stays...)
	})
	s.run(t, "what was to go to a subscription that is gone", func(e *env) {
		e.subscribe("a", "b", "c")
		all := e.events(450, at(0), "a", "b", "c")
		e.ok(e.SaveDeliveries(e.ctx, []store.Delivery{
			{Subscription: "b", Event: all[0], State: store.DeliveryDelivered, FinishedAt: at(0)},
			{Subscription: "b", Event: all[1], State: store.DeliveryDead, FinishedAt: at(0)},
		}))
		e.ok(e.DeleteSubscription(e.ctx, "b", 1))
		collect(e, store.Retention{})
		e.equal(must[store.Backlog](e)(e.Backlog(e.ctx, "b", 1000)), store.Backlog{})
		rest := must[[]store.Delivery](e)(e.Deliveries(e.ctx, store.DeliveryQuery{Subscription: "b"}))
		if len(rest) != 1 || rest[0].Event.ID != all[0].ID {
			e.t.Errorf("%d are left", len(rest))
		}
		for _, subscription := range []string{"a", "c"} {
			e.equal(must[store.Backlog](e)(e.Backlog(e.ctx, subscription, 1000)).Pending, len(all))
		}
		e.ok(e.DeleteSubscription(e.ctx, "a", 1))
		e.ok(e.DeleteSubscription(e.ctx, "c", 1))
		collect(e, store.Retention{Pushes: at(time.Hour)}) // nobody waits for them any more
		left(e)
		e.equal(len(must[[]store.Delivery](e)(e.Deliveries(e.ctx, store.DeliveryQuery{}))), 0)
	})
	s.run(t, "beside those who make deliveries", func(e *env) {
		e.subscribe("a")
		all := e.events(60, at(0))
		put := make(map[int64]bool)
		var mu sync.Mutex
		var work sync.WaitGroup
		for i := range 8 {
			work.Go(func() {
				for n, p := range all {
					if n%8 != i {
						continue
					}
					known, err := e.handle(i).PutDeliveries(e.ctx, "a", []int64{p.ID}, at(0))
					if err != nil {
						e.t.Error(err)
					}
					if known == 1 {
						mu.Lock()
						put[p.ID] = true
						mu.Unlock()
					}
				}
			})
		}
		work.Go(func() {
			if err := e.other.Collect(e.ctx, store.Retention{Pushes: at(time.Hour)}); err != nil && !errors.Is(err, store.ErrUnavailable) {
				e.t.Error(err)
			}
		})
		work.Wait()
		got := e.due("a", at(0))
		e.equal(got, slices.Sorted(maps.Keys(put)))
		e.equal(ids(must[[]store.Push](e)(e.Pushes(e.ctx, 0, 0))), got)
	})
}
