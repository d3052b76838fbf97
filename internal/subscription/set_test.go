package subscription

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
)

// shelf is a store of subscriptions.
type shelf struct {
	mu     sync.Mutex
	rows   map[string]store.Subscription
	err    error  // of everything, if set
	dead   string // begins the ids of those that do not open
	meddle func() // called before a subscription is put
}

func (s *shelf) PutSubscription(_ context.Context, r store.Subscription) (store.Subscription, error) {
	if s.meddle != nil {
		s.meddle()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return store.Subscription{}, s.err
	}
	before, found := s.rows[r.ID]
	if before.Version != r.Version {
		return store.Subscription{}, store.ErrConflict
	}
	if found {
		r.CreatedAt = before.CreatedAt
	}
	r.Version++
	s.rows[r.ID] = r
	return r, nil
}

func (s *shelf) Subscription(_ context.Context, id string) (store.Subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, found := s.rows[id]
	if s.err == nil && !found {
		return r, store.ErrNotFound
	}
	return r, s.err
}

func (s *shelf) Subscriptions(_ context.Context, after string, limit int) ([]store.Subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []store.Subscription
	for _, id := range slices.Sorted(maps.Keys(s.rows)) {
		if id > after && len(list) < limit {
			list = append(list, s.rows[id])
		}
	}
	all := len(list)
	list = slices.DeleteFunc(list, func(r store.Subscription) bool { return s.dead != "" && strings.HasPrefix(r.ID, s.dead) })
	if len(list) < all {
		return list, store.ErrQuarantined
	}
	return list, s.err
}

func (s *shelf) DeleteSubscription(_ context.Context, id string, version int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if s.rows[id].Version != version {
		return store.ErrConflict
	}
	delete(s.rows, id)
	return nil
}

func (s *shelf) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// set returns a set of these subscriptions, and where they are stored.
func set(t testing.TB, all ...Subscription) (*Set, *shelf) {
	t.Helper()
	st := &shelf{rows: make(map[string]store.Subscription)}
	for _, s := range all {
		r, err := s.Record()
		if err != nil {
			t.Fatal(err)
		}
		r.Version = 1
		st.rows[r.ID] = r
	}
	s, err := NewSet(SetConfig{Store: st, Tags: noTags, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, st
}

func noTags(context.Context, tuoguan.Authorization) ([]string, error) { return nil, nil }

// of returns a subscription with an id and wishes.
func of(id string, m Match, change ...func(*Subscription)) Subscription {
	s := webhook()
	s.ID, s.Spec.Match = id, m
	for _, f := range change {
		f(&s)
	}
	return s
}

func reply(priority int) func(*Subscription) {
	return func(s *Subscription) { s.Spec.Reply, s.Spec.Priority = true, priority }
}

func static(priority int) func(*Subscription) {
	return func(s *Subscription) {
		s.Spec.Sink, s.Spec.Priority = Sink{Type: Answer, Answer: &Reply{MsgType: "text", Content: "always"}}, priority
	}
}

func state(state store.SubscriptionState) func(*Subscription) {
	return func(s *Subscription) { s.State = state }
}

var received = time.Date(2026, 11, 1, 2, 3, 4, 0, time.UTC)

// arrived returns a push as it is parsed and as it is stored.
func arrived(fields string) (store.Push, *push.Push) {
	p := push.Parse(tuoguan.Authorization{Component: someComponent, Authorizer: someAuthorizer},
		[]byte("<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>1700000000</CreateTime>"+fields+"</xml>"))
	return store.Push{ID: 1, Key: p.DedupeKey(), Component: p.Component, Authorizer: p.Authorizer, Kind: p.Kind(), Body: p.Body, ReceivedAt: received}, p
}

const aText = "<MsgType>text</MsgType><MsgId>1</MsgId><Content>我要 REFUND 退款</Content>"

func TestRoutes(t *testing.T) {
	t.Parallel()
	const soon, later = "soon", "later"
	all := Match{Kinds: []string{"*"}}
	text, parsedText := arrived(aText)
	subscribe, parsedSubscribe := arrived("<MsgType>event</MsgType><Event>subscribe</Event>")
	garbled, parsedGarbled := arrived("<a><b></a>")
	image, parsedImage := arrived("<MsgType>image</MsgType><Content>refund</Content>")
	_, both := arrived("<InfoType>notify_apply_icpfiling_result</InfoType><MsgType>event</MsgType>")
	_, elsewhere := arrived("<MsgType>event</MsgType><Event>notify_apply_icpfiling_result</Event>")
	elsewhere = push.Parse(tuoguan.Authorization{Component: someComponent}, elsewhere.Body)
	own := store.Push{Component: someComponent, Kind: "tuoguan.ticket_overdue", Body: []byte("{}"), ReceivedAt: received}
	ticket := store.Push{Component: someComponent, Kind: "component_verify_ticket", ReceivedAt: received}
	notice := store.Push{Component: someComponent, Authorizer: someAuthorizer, Kind: "unauthorized", ReceivedAt: received}
	parsedNotice := push.Parse(tuoguan.Authorization{Component: someComponent}, []byte("<xml><InfoType>unauthorized</InfoType></xml>"))
	for name, test := range map[string]struct {
		match  Match
		change []func(*Subscription)
		p      store.Push
		parsed *push.Push
		want   string // "" for no route
	}{
		"all":                  {match: all, p: text, parsed: parsedText, want: soon},
		"all of our own":       {match: all, p: own, want: soon},
		"never a ticket":       {match: all, p: ticket},
		"kind":                 {match: Match{Kinds: []string{"image", "text"}}, p: text, parsed: parsedText, want: soon},
		"other kind":           {match: Match{Kinds: []string{"tex", "texts", "event.*"}}, p: text, parsed: parsedText},
		"beginning":            {match: Match{Kinds: []string{"event.*"}}, p: subscribe, parsed: parsedSubscribe, want: soon},
		"exact event":          {match: Match{Kinds: []string{"event.subscribe"}}, p: subscribe, parsed: parsedSubscribe, want: soon},
		"kind and more":        {match: Match{Kinds: []string{"event.subscribe", "event.*", "*"}}, p: subscribe, parsed: parsedSubscribe, want: soon},
		"other case":           {match: Match{Kinds: []string{"event.Subscribe"}}, p: subscribe, parsed: parsedSubscribe},
		"unparsed":             {match: Match{Kinds: []string{"unparsed"}}, p: garbled, parsed: parsedGarbled, want: soon},
		"component":            {match: Match{Kinds: []string{"*"}, Components: []tuoguan.ComponentAppID{"other", someComponent}}, p: text, parsed: parsedText, want: soon},
		"other component":      {match: Match{Kinds: []string{"*"}, Components: []tuoguan.ComponentAppID{"other"}}, p: text, parsed: parsedText},
		"authorizer":           {match: Match{Kinds: []string{"text"}, Authorizers: []tuoguan.AuthorizerAppID{"other", someAuthorizer}}, p: text, parsed: parsedText, want: soon},
		"its other kind":       {match: Match{Kinds: []string{"image", "event.*"}, Authorizers: []tuoguan.AuthorizerAppID{someAuthorizer}}, p: text, parsed: parsedText},
		"its events":           {match: Match{Kinds: []string{"text", "event.*"}, Authorizers: []tuoguan.AuthorizerAppID{someAuthorizer}}, p: subscribe, parsed: parsedSubscribe, want: soon},
		"other authorizer":     {match: Match{Kinds: []string{"*"}, Authorizers: []tuoguan.AuthorizerAppID{"other"}}, p: text, parsed: parsedText},
		"tag":                  {match: Match{Kinds: []string{"*"}, Tags: []string{"gold", "vip"}}, p: text, parsed: parsedText, want: soon},
		"other tag":            {match: Match{Kinds: []string{"*"}, Tags: []string{"gold"}}, p: text, parsed: parsedText},
		"authorizer or tag":    {match: Match{Kinds: []string{"*"}, Tags: []string{"vip"}, Authorizers: []tuoguan.AuthorizerAppID{"other"}}, p: text, parsed: parsedText, want: soon},
		"tag or authorizer":    {match: Match{Kinds: []string{"*"}, Tags: []string{"gold"}, Authorizers: []tuoguan.AuthorizerAppID{someAuthorizer}}, p: text, parsed: parsedText, want: soon},
		"neither":              {match: Match{Kinds: []string{"*"}, Tags: []string{"gold"}, Authorizers: []tuoguan.AuthorizerAppID{"other"}}, p: text, parsed: parsedText},
		"component alone":      {match: Match{Kinds: []string{"*"}, Tags: []string{"vip"}}, p: own},
		"its authorizers":      {match: Match{Kinds: []string{"*"}, Authorizers: []tuoguan.AuthorizerAppID{someAuthorizer}}, p: own},
		"contains":             {match: Match{Kinds: []string{"*"}, Contains: []string{"nothing", "refund"}}, p: text, parsed: parsedText, want: soon},
		"contains Chinese":     {match: Match{Kinds: []string{"*"}, Contains: []string{"退款"}}, p: text, parsed: parsedText, want: soon},
		"contains in capitals": {match: Match{Kinds: []string{"*"}, Contains: []string{"ReFuNd"}}, p: text, parsed: parsedText, want: soon},
		"contains not":         {match: Match{Kinds: []string{"*"}, Contains: []string{"order"}}, p: text, parsed: parsedText},
		"no text":              {match: Match{Kinds: []string{"*"}, Contains: []string{"s"}}, p: subscribe, parsed: parsedSubscribe},
		"no text but an image": {match: Match{Kinds: []string{"*"}, Contains: []string{"refund"}}, p: image, parsed: parsedImage},
		"no text of ours":      {match: Match{Kinds: []string{"*"}, Contains: []string{"{"}}, p: own},

		"paused":                        {match: all, change: []func(*Subscription){state(store.SubscriptionPaused)}, p: text, parsed: parsedText, want: soon},
		"disabled":                      {match: all, change: []func(*Subscription){state(store.SubscriptionDisabled)}, p: text, parsed: parsedText, want: soon},
		"asked":                         {match: all, change: []func(*Subscription){reply(0)}, p: text, parsed: parsedText, want: later},
		"asked on an event":             {match: all, change: []func(*Subscription){reply(0)}, p: subscribe, parsed: parsedSubscribe, want: later},
		"paused, not asked":             {match: all, change: []func(*Subscription){reply(0), state(store.SubscriptionPaused)}, p: text, parsed: parsedText, want: soon},
		"no answer to that":             {match: all, change: []func(*Subscription){reply(0)}, p: notice, parsed: parsedNotice, want: soon},
		"none to a notice in two forms": {match: all, change: []func(*Subscription){reply(0)}, p: notice, parsed: both, want: soon},
		"none on the other URL":         {match: all, change: []func(*Subscription){reply(0)}, p: notice, parsed: elsewhere, want: soon},
		"none to our own":               {match: all, change: []func(*Subscription){reply(0)}, p: own, want: soon},
		"none to what is garbled":       {match: all, change: []func(*Subscription){reply(0)}, p: garbled, parsed: parsedGarbled, want: soon},
		"a static answer":               {match: all, change: []func(*Subscription){static(0)}, p: text, parsed: parsedText},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := set(t, of("sub_a", test.match, test.change...))
			s.cfg.Tags = func(_ context.Context, a tuoguan.Authorization) ([]string, error) {
				if a != (tuoguan.Authorization{Component: someComponent, Authorizer: someAuthorizer}) {
					t.Errorf("the tags of %v are looked up", a)
				}
				if len(test.match.Tags) == 0 {
					t.Error("tags are looked up that nobody has asked for")
				}
				return []string{"vip", "west"}, nil
			}
			var want []store.Route
			switch test.want {
			case soon:
				want = []store.Route{{Subscription: "sub_a", DueAt: received}}
			case later:
				want = []store.Route{{Subscription: "sub_a", DueAt: received.Add(10 * time.Second)}}
			}
			got := s.Routes(t.Context(), test.p, test.parsed)
			if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
				t.Errorf("Routes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRoutesAnswerer checks who is left out for a while because it is asked: the one
// with the highest priority of those that may answer, be that an answer that is static.
func TestRoutesAnswerer(t *testing.T) {
	t.Parallel()
	all := Match{Kinds: []string{"text"}}
	p, parsed := arrived(aText)
	for name, test := range map[string]struct {
		subscriptions []Subscription
		want          string // who is asked
	}{
		"highest": {[]Subscription{of("sub_a", all, reply(1)), of("sub_b", all, reply(2)), of("sub_c", all)}, "sub_b"},
		"tie":     {[]Subscription{of("sub_b", Match{Kinds: []string{"*"}}, reply(1)), of("sub_c", all, reply(1))}, "sub_b"},
		"tie of ways to be found": {[]Subscription{
			of("sub_a", Match{Kinds: []string{"*"}}, reply(1)), of("sub_b", all, reply(1)),
			of("sub_c", Match{Kinds: []string{"*"}, Authorizers: []tuoguan.AuthorizerAppID{someAuthorizer}}, reply(1)),
		}, "sub_a"},
		"negative":     {[]Subscription{of("sub_a", all, reply(-2)), of("sub_b", all, reply(-1)), of("sub_c", all)}, "sub_b"},
		"paused":       {[]Subscription{of("sub_a", all, reply(1)), of("sub_b", all, reply(2), state(store.SubscriptionPaused))}, "sub_a"},
		"static":       {[]Subscription{of("sub_a", all, reply(1)), of("sub_b", all, static(2))}, "none"},
		"static below": {[]Subscription{of("sub_a", all, reply(2)), of("sub_b", all, static(1))}, "sub_a"},
		"other match":  {[]Subscription{of("sub_a", all, reply(1)), of("sub_b", Match{Kinds: []string{"image"}}, reply(9))}, "sub_a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := set(t, test.subscriptions...)
			for _, route := range s.Routes(t.Context(), p, parsed) {
				if late := route.DueAt.After(received); late != (route.Subscription == test.want) {
					t.Errorf("%s is put off: %t", route.Subscription, late)
				}
			}
		})
	}
}

// TestTagsOfAStoreThatIsAway checks that an event waits for what decides about it,
// rather than to be stored for nobody.
func TestTagsOfAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	p, parsed := arrived(aText)
	for name, test := range map[string]struct {
		fail   []error
		routes int
		waits  time.Duration
	}{
		"back again":    {[]error{store.ErrUnavailable, store.ErrUnavailable}, 1, 2 * tagsPause},
		"away":          {slices.Repeat([]error{store.ErrUnavailable}, 1000), 0, time.Second},
		"unknown":       {[]error{store.ErrNotFound}, 0, 0},
		"does not open": {[]error{fmt.Errorf("x: %w", store.ErrQuarantined)}, 0, 0},
		"known at once": {nil, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, _ := set(t, of("sub_a", Match{Kinds: []string{"*"}, Tags: []string{"vip"}}), of("sub_b", Match{Kinds: []string{"text"}, Tags: []string{"x"}}))
				asked := 0
				s.cfg.Tags = func(context.Context, tuoguan.Authorization) ([]string, error) {
					if asked++; asked <= len(test.fail) {
						return nil, test.fail[asked-1]
					}
					return []string{"vip"}, nil
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				if got := s.Routes(ctx, p, parsed); len(got) != test.routes {
					t.Errorf("routes %v, want %d", got, test.routes)
				}
				if waited := time.Since(start); waited != test.waits {
					t.Errorf("Routes has waited for %v, want %v", waited, test.waits)
				}
			})
		})
	}
}

func TestSetKeepsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, st := set(t, of("sub_b", Match{Kinds: []string{"text"}}))
		var log bytes.Buffer
		s.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- s.Run(ctx) }()
		put := func(id string, version int64, change func(*store.Subscription)) {
			r, err := of(id, Match{Kinds: []string{"text"}}).Record()
			if err != nil {
				t.Fatal(err)
			}
			r.Version = version
			change(&r)
			st.mu.Lock()
			defer st.mu.Unlock()
			st.rows[id] = r
		}
		within := func(what string, changes bool, want ...string) {
			t.Helper()
			changed := s.Changed()
			time.Sleep(readEvery)
			synctest.Wait()
			select {
			case <-changed:
				if !changes {
					t.Errorf("%s: a change is reported", what)
				}
			default:
				if changes {
					t.Errorf("%s: no change is reported", what)
				}
			}
			var got []string
			for _, one := range s.All() {
				got = append(got, one.ID+" "+string(one.State))
				if same, ok := s.Get(one.ID); !ok || same.Version != one.Version {
					t.Errorf("%s: Get does not know what All does", what)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		within("at first", false, "sub_b active")
		put("sub_a", 1, func(*store.Subscription) {})
		within("added", true, "sub_a active", "sub_b active")
		put("sub_a", 2, func(r *store.Subscription) { r.State = store.SubscriptionPaused })
		within("changed", true, "sub_a paused", "sub_b active")
		st.fail(store.ErrUnavailable)
		within("the store is away", false, "sub_a paused", "sub_b active")
		within("still away", false, "sub_a paused", "sub_b active")
		if n := strings.Count(log.String(), "last known"); n != 1 {
			t.Errorf("the outage is logged %d times:\n%s", n, &log)
		}
		st.fail(store.ErrQuarantined)
		put("sub_c", 1, func(r *store.Subscription) { r.Secrets = nil })
		within("one does not open", true, "sub_a paused", "sub_b active", "sub_c disabled")
		st.fail(nil)
		put("sub_c", 1, func(*store.Subscription) {})
		within("it opens", true, "sub_a paused", "sub_b active", "sub_c active")
		put("sub_a", 3, func(r *store.Subscription) { r.Spec = `{"newer":true}` })
		within("one of tomorrow", true, "sub_b active", "sub_c active")
		within("which is told once", false, "sub_b active", "sub_c active")
		if n := strings.Count(log.String(), "cannot be read\" subscription=sub_a"); n != 1 {
			t.Errorf("a subscription of a newer version is logged %d times:\n%s", n, &log)
		}
		st.mu.Lock()
		delete(st.rows, "sub_b")
		st.mu.Unlock()
		within("deleted", true, "sub_c active")
		if _, ok := s.Get("sub_b"); ok {
			t.Error("Get knows what was deleted")
		}
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
}

func TestSetOfManyPages(t *testing.T) {
	t.Parallel()
	var all []Subscription
	for i := range 2*pageSize + 1 {
		all = append(all, of(fmt.Sprintf("sub_%05d", i), Match{Kinds: []string{"text"}}))
	}
	s, st := set(t, all...)
	p, parsed := arrived(aText)
	if got := s.Routes(t.Context(), p, parsed); len(got) != len(all) {
		t.Errorf("%d routes to %d subscriptions", len(got), len(all))
	}

	// Those that do not open are missing from the first two pages.
	st.dead = "sub_003"
	var log bytes.Buffer
	s.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	for range 2 {
		if err := s.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Routes(t.Context(), p, parsed); len(got) != len(all)-100 {
		t.Errorf("%d routes where 100 of %d subscriptions do not open", len(got), len(all))
	}
	if n := strings.Count(log.String(), "left out"); n != 1 {
		t.Errorf("that is logged %d times:\n%s", n, &log)
	}
}

func TestChange(t *testing.T) {
	t.Parallel()
	s, st := set(t)
	ctx := t.Context()
	created, err := s.Create(ctx, "orders", Spec{Match: Match{Kinds: []string{"text", "text"}}, Sink: Sink{Type: Webhook, URL: "https://receiver.example"}}, Secrets{})
	if err != nil {
		t.Fatal(err)
	}
	if known, ok := s.Get(created.ID); !ok || known.State != store.SubscriptionActive || len(known.Spec.Match.Kinds) != 1 || len(known.Secrets.Signing) != 1 {
		t.Fatalf("created is %+v", known)
	}

	renamed, err := s.Update(ctx, created.ID, created.Version, func(c *Subscription) error { c.Name, c.ID = "sales", "sub_other"; return nil })
	if err != nil || renamed.Name != "sales" || renamed.Version != 2 || renamed.ID != created.ID {
		t.Fatalf("Update() = %+v, %v", renamed, err)
	}
	if _, err := s.Update(ctx, created.ID, created.Version, func(*Subscription) error { return nil }); !errors.Is(err, store.ErrConflict) {
		t.Errorf("an update of an old version: %v", err)
	}
	if _, err := s.Update(ctx, "sub_none", 0, func(*Subscription) error { return nil }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an update of nothing: %v", err)
	}
	var mistakes Mistakes
	if _, err := s.Update(ctx, created.ID, 0, func(c *Subscription) error { c.Spec.Match.Kinds = nil; return nil }); !errors.As(err, &mistakes) {
		t.Errorf("an update with a mistake: %v", err)
	}
	if _, err := s.Update(ctx, created.ID, 0, func(*Subscription) error { return errors.ErrUnsupported }); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("an update that is not wanted: %v", err)
	}

	meddled := 0
	st.meddle = func() {
		if meddled++; meddled < 3 {
			st.mu.Lock()
			defer st.mu.Unlock()
			r := st.rows[created.ID]
			r.Version++
			st.rows[created.ID] = r
		}
	}
	paused, err := s.SetState(ctx, created.ID, store.SubscriptionDisabled, "gone")
	if err != nil || paused.State != store.SubscriptionDisabled || paused.Problem != "gone" || meddled != 3 {
		t.Errorf("SetState() among others = %+v, %v", paused, err)
	}
	st.meddle = nil

	rotated, key, err := s.Rotate(ctx, created.ID, 0, time.Hour)
	if err != nil || len(rotated.Secrets.Signing) != 2 || !rotated.Secrets.Signing[0].Key.Equal(key) || rotated.Secrets.Signing[1].Until.IsZero() {
		t.Errorf("Rotate() = %+v, %v", rotated, err)
	}

	// Signatures end with the format that has them.
	wechat, err := s.Update(ctx, created.ID, 0, func(c *Subscription) error {
		c.Spec.Sink.Format, c.Secrets.Token, c.Secrets.EncodingAESKey = WeChat, tuoguan.NewSecret("token1"), tuoguan.NewSecret(strings.Repeat("k", 43))
		return nil
	})
	if err != nil || len(wechat.Secrets.Signing) != 0 {
		t.Errorf("in the format of WeChat: %+v, %v", wechat, err)
	}
	if _, _, err := s.Rotate(ctx, created.ID, 0, time.Hour); !errors.As(err, &mistakes) {
		t.Errorf("Rotate of what signs nothing: %v", err)
	}

	if err := s.Delete(ctx, created.ID, 1); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Delete of an old version: %v", err)
	}
	if err := s.Delete(ctx, created.ID, 0); err != nil || len(s.All()) != 0 {
		t.Errorf("Delete: %v, there is %v", err, s.All())
	}
	if err := s.Delete(ctx, created.ID, 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Delete of nothing: %v", err)
	}
	if _, err := s.Create(ctx, "", Spec{}, Secrets{}); !errors.As(err, &mistakes) {
		t.Errorf("Create with mistakes: %v", err)
	}
}

// TestStateOfWhatWasPassedBefore checks that a receiver that is gone can be disabled
// though its subscription would not be accepted any more.
func TestStateOfWhatWasPassedBefore(t *testing.T) {
	t.Parallel()
	s, _ := set(t, of("sub_a", Match{}))
	if got, err := s.SetState(t.Context(), "sub_a", store.SubscriptionDisabled, "gone"); err != nil || got.State != store.SubscriptionDisabled {
		t.Errorf("SetState() = %+v, %v", got, err)
	}
}

func TestNewSetRefuses(t *testing.T) {
	t.Parallel()
	_, err := NewSet(SetConfig{})
	for _, name := range []string{"Store", "Tags", "Logger"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("NewSet() without %s: %v", name, err)
		}
	}
}

// BenchmarkRoutes matches a text of which ten subscriptions want to hear.
func BenchmarkRoutes(b *testing.B) {
	var all []Subscription
	for i := range 10 {
		m := Match{Kinds: []string{"text"}}
		switch i % 5 {
		case 1:
			m.Kinds = []string{"*"}
		case 2:
			m.Kinds, m.Authorizers = []string{"event.*", "text"}, []tuoguan.AuthorizerAppID{someAuthorizer}
		case 3:
			m.Components = []tuoguan.ComponentAppID{someComponent}
		case 4:
			m.Tags = []string{"vip"}
		}
		all = append(all, of(fmt.Sprintf("sub_%d", i), m))
	}
	vip := []string{"vip"}
	p, parsed := arrived(aText)
	s, _ := set(b, all...)
	s.cfg.Tags = func(context.Context, tuoguan.Authorization) ([]string, error) { return vip, nil }
	if got := len(s.Routes(b.Context(), p, parsed)); got != len(all) {
		b.Fatalf("%d routes", got)
	}
	b.Run("all of 10", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Routes(b.Context(), p, parsed)
		}
	})
	other := p
	other.Kind, other.Authorizer = "event.VIEW", "wx0000000000000a02"
	none, _ := set(b, of("sub_a", Match{Kinds: []string{"text"}}), of("sub_b", Match{Kinds: []string{"event.subscribe"}}))
	b.Run("none", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			none.Routes(b.Context(), other, parsed)
		}
	})
	var many []Subscription
	for i := range 10_000 {
		many = append(many, of(fmt.Sprintf("sub_%05d", i), Match{Kinds: []string{"*"}, Authorizers: []tuoguan.AuthorizerAppID{tuoguan.AuthorizerAppID(fmt.Sprintf("wx%016d", i))}}))
	}
	one, _ := set(b, many...)
	other.Authorizer = "wx0000000000000007"
	b.Run("one of 10000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			one.Routes(b.Context(), other, parsed)
		}
	})
}
