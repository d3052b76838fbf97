// Package delivery takes events from the store to those who subscribe to them. What is to
// be delivered are rows that came into being with the event ([store.Deliveries]); this
// package sends them, each until it is delivered or dead.
//
// For each subscription one replica at a time holds the lease of [store.DeliveryLease] and
// has a courier who sends: so many at once as the subscription allows, and for an ordered one
// no two of the same authorization. A row is marked after the receiver has confirmed, so an
// event may arrive twice where a process ends or a lease changes hands in between, and then
// has the same id. There is no state of being delivered: what a courier has under way is in
// its memory alone.
package delivery

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/store"
)

// Store is what deliveries need of a store.
type Store interface {
	store.Deliveries
	store.Events
	store.Leases
	store.Values
}

// Subscriptions are those there are. It is implemented by [subscription.Set].
type Subscriptions interface {
	All() []subscription.Subscription
	Get(id string) (subscription.Subscription, bool)
	// Changed returns a channel that is closed when they change next.
	Changed() <-chan struct{}
}

// Config says how to deliver. Store, Subscriptions, Sinks, Disable and Holder are required.
type Config struct {
	Store         Store
	Subscriptions Subscriptions
	// Sinks returns the sink of a subscription. It must not wait for the other side.
	Sinks func(subscription.Subscription) (sink.Sink, error)
	// Disable sets a subscription aside, as one that has failed for too long or whose
	// receiver is gone, and tells why in Chinese and in English.
	Disable func(ctx context.Context, id, zh, en string) error

	Holder  string            // names this replica in leases
	Clock   *tuoguan.Clock    // nil: the system's
	Logger  *slog.Logger      // nil: nothing is logged
	Observe func(Observation) // is told of every attempt; must not block; nil: nobody
	Drain   time.Duration     // how long Run waits for what is under way when it ends; 0: 5 s
	Alive   func() int        // how many replicas there are; nil: one
}

// Results of an attempt, for [Observation].
const (
	Delivered   = "delivered"
	Refused     = "refused"     // the other side answered, and did not take it
	Unreachable = "unreachable" // it did not answer
	Blocked     = "blocked"     // its address is not allowed
	Dead        = "dead"        // given up with this attempt
)

// Observation is one attempt that has ended.
type Observation struct {
	Subscription string
	Kind         string // of the event
	Result       string
	Latency      time.Duration // of the attempt
	Lag          time.Duration // since the event was received
}

const (
	// leaseTTL is how long a replica that has died keeps its subscriptions.
	leaseTTL   = 15 * time.Second
	leaseRenew = 5 * time.Second
	// leaseMargin is how long before the end of a lease its holder stops trusting it.
	leaseMargin = 2 * time.Second
	// lookEvery is how often a replica looks for subscriptions that nobody delivers to.
	lookEvery = time.Second
	// spread is by how much replicas differ in when they reach for a subscription.
	spread = 100 * time.Millisecond
	// forsaken is for how long a subscription has nobody before a replica takes it that
	// has its share already.
	forsaken = 3 * time.Second

	defaultDrain       = 5 * time.Second
	defaultConcurrency = 16
	defaultMaxAge      = 72 * time.Hour
)

// Dispatcher delivers. Each replica has one.
type Dispatcher struct {
	cfg   Config
	log   *slog.Logger
	clock *tuoguan.Clock

	mu       sync.RWMutex
	couriers map[string]*courier // by subscription
}

// New returns a dispatcher that does not do anything yet.
func New(cfg Config) (*Dispatcher, error) {
	var missing []error
	for name, ok := range map[string]bool{
		"Store": cfg.Store != nil, "Subscriptions": cfg.Subscriptions != nil, "Sinks": cfg.Sinks != nil,
		"Disable": cfg.Disable != nil, "Holder": cfg.Holder != "",
	} {
		if !ok {
			missing = append(missing, errors.New("delivery: "+name+" is required"))
		}
	}
	if err := errors.Join(missing...); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Observe == nil {
		cfg.Observe = func(Observation) {}
	}
	if cfg.Alive == nil {
		cfg.Alive = func() int { return 1 }
	}
	if cfg.Drain <= 0 {
		cfg.Drain = defaultDrain
	}
	return &Dispatcher{cfg: cfg, log: cfg.Logger, clock: cfg.Clock, couriers: make(map[string]*courier)}, nil
}

// Run delivers until ctx ends. Then nothing more is sent; it returns when what is under way
// has ended or was cut off, and what became of it is stored.
func (d *Dispatcher) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	free := make(map[string]time.Time) // since when nobody is seen to deliver
	timer := time.NewTimer(0)
	defer timer.Stop()
	changed := d.cfg.Subscriptions.Changed()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			changed = d.cfg.Subscriptions.Changed()
			d.tellAll()
		case <-timer.C:
			timer.Reset(lookEvery - lookEvery/8 + time.Duration(share(d.cfg.Holder)*float64(lookEvery)/4))
		}
		d.look(ctx, &work, free)
	}
}

// look sets couriers off for subscriptions that nobody delivers to.
func (d *Dispatcher) look(ctx context.Context, work *sync.WaitGroup, free map[string]time.Time) {
	var wanted []subscription.Subscription
	var ours []*courier
	for _, s := range d.cfg.Subscriptions.All() {
		if !deliverable(s) {
			continue
		}
		if c := d.courier(s.ID); c == nil {
			wanted = append(wanted, s)
		} else if !c.yielded.Load() {
			ours = append(ours, c)
		}
	}
	alive := max(d.cfg.Alive(), 1)
	fair := (len(ours) + len(wanted) + alive - 1) / alive
	yield(ours, fair)
	if len(wanted) == 0 {
		return
	}
	asked, cancel := context.WithTimeout(ctx, leaseRenew)
	leases, err := d.cfg.Store.Leases(asked, store.DeliveryLease(""))
	cancel()
	if err != nil {
		if ctx.Err() == nil {
			d.log.Warn("who delivers to which subscription cannot be read", "error", err)
		}
		return
	}
	taken := make(map[string]bool, len(leases))
	for _, l := range leases {
		taken[l.Key] = l.Holder != d.cfg.Holder
	}
	now, busy := time.Now(), len(ours)
	still := make(map[string]bool, len(wanted))
	for _, s := range wanted {
		if taken[store.DeliveryLease(s.ID)] {
			continue
		}
		still[s.ID] = true
		if _, ok := free[s.ID]; !ok {
			free[s.ID] = now
		}
		if busy >= fair && now.Sub(free[s.ID]) < forsaken {
			continue // another replica may have none
		}
		busy++
		c := newCourier(d, s)
		d.mu.Lock()
		d.couriers[s.ID] = c
		d.mu.Unlock()
		work.Go(func() {
			c.run(ctx)
			d.mu.Lock()
			delete(d.couriers, s.ID)
			d.mu.Unlock()
		})
	}
	for id := range free {
		if !still[id] {
			delete(free, id)
		}
	}
}

// yield gives up a part of what is more than our share, so that replicas that came later
// take it over.
func yield(ours []*courier, fair int) {
	for n := (len(ours) - fair + 3) / 4; n > 0; n-- {
		c := ours[len(ours)-n]
		c.yielded.Store(true)
		c.rouse()
	}
}

// deliverable reports whether something is sent to a subscription at present.
func deliverable(s subscription.Subscription) bool {
	return s.State == store.SubscriptionActive && s.Spec.Sink.Type != subscription.Answer
}

// Wake has what a push has just been routed to delivered at once, where this replica is
// the one who delivers to it. It does not block.
func (d *Dispatcher) Wake(routes []store.Route) {
	for _, r := range routes {
		if c := d.courier(r.Subscription); c != nil {
			c.rouse()
		}
	}
}

func (d *Dispatcher) courier(id string) *courier {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.couriers[id]
}

// tellAll has every courier look at its subscription again.
func (d *Dispatcher) tellAll() {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, c := range d.couriers {
		c.changed.Store(true)
		c.rouse()
	}
}

// SubscriptionStatus is how delivering to a subscription goes.
type SubscriptionStatus struct {
	ID      string
	State   store.SubscriptionState
	Holder  string // the replica that delivers to it; "" if none does
	Open    bool   // this replica delivers to it, and holds back because the way fails
	Backlog store.Backlog
}

// backlogMost is how far a backlog is counted.
const backlogMost = 10_000

// Status returns how delivering goes, of every subscription.
func (d *Dispatcher) Status(ctx context.Context) ([]SubscriptionStatus, error) {
	leases, err := d.cfg.Store.Leases(ctx, store.DeliveryLease(""))
	if err != nil {
		return nil, err
	}
	holders := make(map[string]string, len(leases))
	for _, l := range leases {
		holders[l.Key] = l.Holder
	}
	var all []SubscriptionStatus
	for _, s := range d.cfg.Subscriptions.All() {
		backlog, err := d.cfg.Store.Backlog(ctx, s.ID, backlogMost)
		if err != nil {
			return nil, err
		}
		c := d.courier(s.ID)
		all = append(all, SubscriptionStatus{
			ID: s.ID, State: s.State, Holder: holders[store.DeliveryLease(s.ID)],
			Open: c != nil && c.open.Load(), Backlog: backlog,
		})
	}
	return all, nil
}

// share returns a share in [0, 1) that depends on the words alone.
func share(words ...string) float64 {
	h := fnv.New64a()
	for _, w := range words {
		_, _ = h.Write([]byte(w))
		_, _ = h.Write([]byte{0})
	}
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}
