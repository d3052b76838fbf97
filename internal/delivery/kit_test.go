package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/delivery"
	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
)

const component tuoguan.ComponentAppID = "wxcomponent"

// subs are subscriptions that a test changes.
type subs struct {
	mu      sync.Mutex
	all     []subscription.Subscription
	changed chan struct{}
}

func (s *subs) All() []subscription.Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

func (s *subs) Get(id string) (subscription.Subscription, bool) {
	for _, each := range s.All() {
		if each.ID == id {
			return each, true
		}
	}
	return subscription.Subscription{}, false
}

func (s *subs) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// put adds a subscription, or replaces it by one that is a version later.
func (s *subs) put(sub subscription.Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.Version, sub.UpdatedAt = 1, time.Now()
	if i := slices.IndexFunc(s.all, func(old subscription.Subscription) bool { return old.ID == sub.ID }); i >= 0 {
		sub.Version = s.all[i].Version + 1
		s.all[i] = sub
	} else {
		s.all = append(s.all, sub)
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// setState changes the state of a subscription.
func (s *subs) setState(id string, state store.SubscriptionState) {
	sub, _ := s.Get(id)
	sub.State = state
	s.put(sub)
}

// receiver is the other side of a sink: it takes note of what arrives.
type receiver struct {
	answer func(ctx context.Context, m sink.Message) error // nil: takes it

	mu     sync.Mutex
	got    []arrival
	closed int
}

type arrival struct {
	sink.Message
	at    time.Time
	taken bool
}

func (r *receiver) Send(ctx context.Context, m sink.Message) (sink.Receipt, error) {
	r.mu.Lock()
	n := len(r.got)
	r.got = append(r.got, arrival{Message: m, at: time.Now()})
	r.mu.Unlock()
	if r.answer != nil {
		if err := r.answer(ctx, m); err != nil {
			return sink.Receipt{Status: 200}, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got[n].taken = true
	return sink.Receipt{Status: 200}, nil
}

func (r *receiver) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed++
	return nil
}

func (r *receiver) arrivals() []arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) closes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// taken returns the numbers of the events taken, in the order in which they were.
func (r *receiver) taken() (seqs []int64) {
	for _, a := range r.arrivals() {
		if a.taken {
			seqs = append(seqs, a.Event.Seq)
		}
	}
	return seqs
}

// spy is a store with faults.
type spy struct {
	delivery.Store
	mu     sync.Mutex
	leases func(ctx context.Context) error // before a lease is acquired
	save   func() error                    // before outcomes are stored
	dead   bool                            // whoever used it
	slow   time.Duration                   // what is read or stored comes so late
	closed int64                           // the number of an event that does not open
}

// DueDeliveries returns what was due when it was called.
func (s *spy) DueDeliveries(ctx context.Context, id string, at time.Time, limit int) ([]store.Delivery, error) {
	s.mu.Lock()
	slow, closed := s.slow, s.closed
	s.mu.Unlock()
	due, err := s.Store.DueDeliveries(ctx, id, at, limit)
	time.Sleep(slow)
	for i := range due {
		if due[i].Event.ID == closed {
			due[i].Event.Body, err = nil, store.ErrQuarantined
		}
	}
	return due, err
}

func (s *spy) set(f func(s *spy)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *spy) AcquireLease(ctx context.Context, key, holder string, ttl time.Duration) (store.Lease, error) {
	s.mu.Lock()
	fault, dead := s.leases, s.dead
	s.mu.Unlock()
	if dead {
		return store.Lease{}, errAway
	}
	if fault != nil {
		if err := fault(ctx); err != nil {
			return store.Lease{}, err
		}
	}
	return s.Store.AcquireLease(ctx, key, holder, ttl)
}

func (s *spy) ReleaseLease(ctx context.Context, l store.Lease) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return errAway
	}
	return s.Store.ReleaseLease(ctx, l)
}

func (s *spy) SaveDeliveries(ctx context.Context, done []store.Delivery) error {
	s.mu.Lock()
	fault, dead, slow := s.save, s.dead, s.slow
	s.mu.Unlock()
	time.Sleep(slow / 2)
	if dead {
		return errAway
	}
	if fault != nil {
		if err := fault(); err != nil {
			return err
		}
	}
	return s.Store.SaveDeliveries(ctx, done)
}

var errAway = errors.New("the store is away")

// world is a store, its subscriptions and their receivers.
type world struct {
	t     testing.TB
	store *memory.Store
	subs  *subs

	mu        sync.Mutex
	receivers map[string]*receiver
	pushes    int
	disabled  []string
	seen      []delivery.Observation
}

func newWorld(t testing.TB) *world {
	w := &world{
		t: t, store: memory.New(memory.Config{}), subs: &subs{changed: make(chan struct{})}, receivers: make(map[string]*receiver),
	}
	t.Cleanup(func() { _ = w.store.Close() })
	return w
}

// subscribe adds an active subscription with a receiver.
func (w *world) subscribe(id string, spec subscription.Spec, answer func(ctx context.Context, m sink.Message) error) *receiver {
	r := &receiver{answer: answer}
	w.mu.Lock()
	w.receivers[id] = r
	w.mu.Unlock()
	if spec.Sink.Type == "" {
		spec.Sink.Type = subscription.Webhook
	}
	w.subs.put(subscription.Subscription{ID: id, State: store.SubscriptionActive, Spec: spec})
	return r
}

// config is that of a replica.
func (w *world) config(holder string) delivery.Config {
	return delivery.Config{
		Store: w.store, Subscriptions: w.subs, Holder: holder,
		Sinks: func(s subscription.Subscription) (sink.Sink, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.receivers[s.ID], nil
		},
		Disable: func(_ context.Context, id, zh, en string) error {
			w.mu.Lock()
			w.disabled = append(w.disabled, id+": "+en)
			w.mu.Unlock()
			w.subs.setState(id, store.SubscriptionDisabled)
			return nil
		},
		Observe: func(o delivery.Observation) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.seen = append(w.seen, o)
		},
	}
}

// replica is a dispatcher that runs.
type replica struct {
	*delivery.Dispatcher
	stop func() // ends it and waits
}

func (w *world) run(cfg delivery.Config) replica {
	w.t.Helper()
	d, err := delivery.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(stop)
	return replica{d, stop}
}

// push takes in a push of an account for subscriptions.
func (w *world) push(account string, to ...string) store.Push {
	w.t.Helper()
	routes := make([]store.Route, len(to))
	now := time.Now()
	for i, id := range to {
		routes[i] = store.Route{Subscription: id, DueAt: now}
	}
	w.mu.Lock()
	w.pushes++
	key := fmt.Sprint("push/", w.pushes)
	w.mu.Unlock()
	p, duplicate, err := w.store.AcceptPush(context.Background(), store.Intake{
		Push: store.Push{
			Key: key, Component: component, Authorizer: tuoguan.AuthorizerAppID(account), Kind: "text",
			Body: []byte("<xml>" + key + "</xml>"), CreatedAt: now, ReceivedAt: now,
		},
		Routes: routes,
	})
	if err != nil || duplicate {
		w.t.Fatal(duplicate, err)
	}
	return p
}

// states counts the deliveries to a subscription by state.
func (w *world) states(id string) map[store.DeliveryState]int {
	counts := make(map[store.DeliveryState]int)
	for _, d := range w.deliveries(id) {
		counts[d.State]++
	}
	return counts
}

func (w *world) deliveries(id string) []store.Delivery {
	w.t.Helper()
	all, err := w.store.Deliveries(context.Background(), store.DeliveryQuery{Subscription: id, Limit: 1 << 30})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func (w *world) complaints() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.disabled)
}

func (w *world) observed() []delivery.Observation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen)
}

// after lets time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// checkIDs fails if an event arrived under different ids.
func checkIDs(t testing.TB, r *receiver) {
	t.Helper()
	for _, a := range r.arrivals() {
		if want := event.ID(a.Event.Key); a.ID != want {
			t.Errorf("event %d arrived as %s, want %s", a.Event.ID, a.ID, want)
		}
	}
}
