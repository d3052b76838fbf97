package delivery

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/failpoint"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/store"
)

const (
	// window is how many deliveries are read at a time, besides those that are in memory.
	window = 256
	// windowMost is how many are, for an ordered subscription, in order to see enough.
	windowMost = 16 * window
	// readAhead is for how many rounds of sending a courier has deliveries in memory.
	readAhead = 4
	// readEvery is how often a courier looks for what other replicas have taken in, and for
	// what has become due; readGap is how often at most.
	readEvery = time.Second
	readGap   = 5 * time.Millisecond
	// unsavedMost is how many outcomes wait to be stored before nothing more is sent: those
	// are what would be sent again if the process ended.
	unsavedMost = 256
	saveMost    = 1000 // at once
	// skew is by how much instants of events may contradict their order: replicas have
	// clocks, and those of one replica are stored side by side.
	skew = 500 * time.Millisecond

	storeTimeout = 5 * time.Second
	storeAgain   = time.Second
)

// courier delivers to one subscription, for as long as its lease is ours. All but the
// first group of fields belongs to the goroutine that runs it; the others hand over by
// results.
type courier struct {
	d       *Dispatcher
	id      string
	woken   chan struct{}
	changed atomic.Bool // the subscription may have
	yielded atomic.Bool // somebody else is to have it
	open    atomic.Bool // the breaker is

	ctx     context.Context // ends when Run is to
	sends   context.Context // ends when what is under way is cut off
	results chan func()
	pending int // results to come

	sub     subscription.Subscription
	wanted  bool // it is to be delivered to
	settle  bool // nothing is started until nothing is under way
	outlet  *outlet
	breaker breaker
	failure failure

	lease    store.Lease
	lapsed   bool      // the lease is not ours, or nobody knows
	term     int       // counts how often it was so
	trusted  time.Time // until when it is believed to be
	claimAt  time.Time
	claiming bool

	queue   queue
	held    heldBack
	busy    map[int64]bool // events that are in memory: read, under way, or not stored yet
	late    []int64        // stored while a read was under way that may not have seen it
	flights int

	readAt   time.Time
	lastRead time.Time
	reading  bool
	scrap    bool // what is being read is out of date
	wide     int  // how many an ordered subscription reads; 0: as usual

	done    []store.Delivery // outcomes to store
	saving  []store.Delivery
	saveAt  time.Time
	trouble bool // the store has failed, and that was said
}

// outlet is a sink with those who use it.
type outlet struct {
	sink    sink.Sink
	flights int
	retired bool
}

func newCourier(d *Dispatcher, s subscription.Subscription) *courier {
	return &courier{
		d: d, id: s.ID, sub: s, wanted: true, lapsed: true, queue: newQueue(s.Spec.Ordered),
		woken: make(chan struct{}, 1), results: make(chan func()),
		held: newHeldBack(), busy: make(map[int64]bool),
	}
}

// rouse has a courier look at once what there is to do. It does not block.
func (c *courier) rouse() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// run delivers until ctx ends, the subscription wants no more, or the lease is somebody
// else's; and until what is under way has ended and is stored.
func (c *courier) run(ctx context.Context) {
	sends, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	c.ctx, c.sends = ctx, sends
	timer := time.NewTimer(time.Duration(share(c.d.cfg.Holder, c.id) * float64(spread)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return
	}
	c.claimAt = time.Now()
	c.claim() // a courier without a lease and without anything to claim it is at its end
	end := ctx.Done()
	var over <-chan time.Time // what is under way is cut off, then what is not stored is given up
	for {
		c.work()
		if c.pending == 0 && len(c.done) == 0 && (c.lapsed || c.stopping()) {
			break
		}
		timer.Reset(c.rest())
		select {
		case f := <-c.results:
			c.take(f)
		case <-c.woken:
			c.readAt = time.Now()
		case <-timer.C:
		case <-end:
			end, over = nil, time.After(c.d.cfg.Drain)
		case <-over:
			over = time.After(storeTimeout)
			if sends.Err() != nil {
				c.d.log.Error("what was delivered could not be recorded; it is delivered again", "subscription", c.id, "deliveries", len(c.done))
				c.done = nil
			}
			cut()
		}
	}
	c.retire()
	for c.pending > 0 {
		c.take(<-c.results)
	}
	c.release()
}

// take takes a result and all that are there by now.
func (c *courier) take(f func()) {
	for {
		c.pending--
		f()
		select {
		case f = <-c.results:
		default:
			return
		}
	}
}

// background runs f beside the courier, who then runs what it returns.
func (c *courier) background(f func() (then func())) {
	c.pending++
	go func() { c.results <- f() }()
}

// stopping reports whether nothing more is to be sent.
func (c *courier) stopping() bool { return c.ctx.Err() != nil || !c.wanted || c.yielded.Load() }

// work starts all that can be started.
func (c *courier) work() {
	if c.changed.Swap(false) {
		c.refresh()
	}
	if !c.lapsed && !time.Now().Before(c.trusted) {
		c.lapse()
	}
	c.save()
	if c.stopping() {
		c.drop()
		return
	}
	c.claim()
	c.settle = c.settle && (c.flights > 0 || c.unsaved() > 0)
	c.send()
	c.read()
	c.note()
	c.forgetHeld()
	c.open.Store(c.breaker.open())
}

// rest is how long there is nothing to do.
func (c *courier) rest() time.Duration {
	now := time.Now()
	next := now.Add(readEvery)
	sooner := func(t time.Time, is bool) {
		if is && t.Before(next) {
			next = t
		}
	}
	sooner(c.saveAt, len(c.done) > 0 && c.saving == nil && !c.held.noting)
	sooner(c.trusted, !c.lapsed)
	if !c.stopping() {
		sooner(c.claimAt, !c.claiming)
		sooner(later(c.readAt, c.lastRead.Add(readGap)), c.mayRead())
		if c.maySend() && c.queue.size > 0 {
			sooner(c.breaker.probe, c.breaker.open() && !c.breaker.probing)
			sooner(c.queue.dueAt(c.d.clock), !c.breaker.open())
		}
	}
	return max(next.Sub(now), 0)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// refresh takes over what the subscription is by now.
func (c *courier) refresh() {
	s, ok := c.d.cfg.Subscriptions.Get(c.id)
	c.wanted = ok && deliverable(s)
	if !ok || s.Version == c.sub.Version {
		return
	}
	if s.Spec.Ordered != c.sub.Spec.Ordered {
		c.lapse() // the lease is taken anew, and who is held back is read with it
		c.queue, c.settle = newQueue(s.Spec.Ordered), true
	}
	c.sub = s
	c.breaker = breaker{}
	c.retire()
}

func (c *courier) concurrency() int {
	if c.sub.Spec.Concurrency > 0 {
		return c.sub.Spec.Concurrency
	}
	return defaultConcurrency
}

func (c *courier) maxAge() time.Duration {
	if c.sub.Spec.MaxAge > 0 {
		return time.Duration(c.sub.Spec.MaxAge) * time.Second
	}
	return defaultMaxAge
}

// claim takes or renews the lease.
func (c *courier) claim() {
	if c.claiming || time.Now().Before(c.claimAt) {
		return
	}
	c.claiming = true
	fresh, ordered := c.lapsed, c.sub.Spec.Ordered
	c.background(func() func() {
		ctx, cancel := context.WithTimeout(c.ctx, storeTimeout)
		defer cancel()
		asked := time.Now()
		lease, err := c.d.cfg.Store.AcquireLease(ctx, store.DeliveryLease(c.id), c.d.cfg.Holder, leaseTTL)
		var held heldBack
		var f failure
		if err == nil && fresh {
			if ordered {
				held, err = loadHeld(ctx, c.d.cfg.Store, c.id, c.d.clock.Now())
			}
			if err == nil {
				f, err = loadFailure(ctx, c.d.cfg.Store, c.id)
			}
		}
		return func() { c.claimed(lease, asked, fresh, held, f, err) }
	})
}

func (c *courier) claimed(lease store.Lease, asked time.Time, fresh bool, held heldBack, f failure, err error) {
	c.claiming = false
	if lease.Key != "" {
		c.lease = lease
	}
	switch {
	case errors.Is(err, store.ErrLeaseHeld):
		c.lapse()
		c.claimAt = time.Now().Add(lookEvery)
	case err != nil:
		c.failed("the lease on delivering cannot be had", err)
		c.claimAt = time.Now().Add(storeAgain)
	case c.lapsed && !fresh:
		c.claimAt = time.Now() // it had lapsed by the time
	default:
		c.trouble = false
		c.trusted, c.claimAt = asked.Add(leaseTTL-leaseMargin), asked.Add(leaseRenew)
		if fresh && time.Now().Before(c.trusted) {
			c.lapsed = false
			if held.until != nil {
				c.held.until, c.held.noted = held.until, held.noted
			}
			if !c.failure.noting {
				c.failure.noted = f.noted
			}
			if f.noted {
				c.failure.since = f.since
			}
			c.readAt = time.Now()
		}
	}
}

// lapse is for when the lease is over: somebody else may send now.
func (c *courier) lapse() {
	c.lapsed = true
	c.term++
	c.claimAt = time.Now()
	clear(c.held.until)
	c.drop()
	c.disown()
}

// drop forgets what was read and not sent.
func (c *courier) drop() {
	c.scrap = c.reading
	for _, d := range c.queue.clear() {
		c.unbusy(d.Event.ID)
	}
}

// release ends the lease, so that nobody has to wait for it to lapse.
func (c *courier) release() {
	if c.lease.Key == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), leaseMargin)
	defer cancel()
	if err := c.d.cfg.Store.ReleaseLease(ctx, c.lease); err != nil && !errors.Is(err, store.ErrLeaseLost) {
		c.d.log.Warn("lease on delivering not released, it will lapse", "subscription", c.id, "error", err)
	}
}

// failed says that the store does not do what it should; once, until it does.
func (c *courier) failed(what string, err error) {
	if !c.trouble && c.ctx.Err() == nil {
		c.d.log.Warn("the store does not do what it should for deliveries", "what", what, "subscription", c.id, "error", err)
	}
	c.trouble = true
}

// mayRead reports whether there is room for more.
func (c *courier) mayRead() bool {
	if c.lapsed || c.settle || c.reading || c.queue.size >= readAhead*c.concurrency() || c.unsaved() >= unsavedMost {
		return false
	}
	// Those who are held back are read in the right place once that is stored, and not before.
	return len(c.held.returning) == 0
}

// maySend reports whether there is room for one more under way.
func (c *courier) maySend() bool {
	return !c.lapsed && !c.settle && c.failure.disabling == nil && c.flights < c.concurrency() && c.unsaved() < unsavedMost
}

// read reads what is due.
func (c *courier) read() {
	now := time.Now()
	if !c.mayRead() || now.Before(c.readAt) || now.Before(c.lastRead.Add(readGap)) {
		return
	}
	c.reading, c.lastRead = true, now
	c.readAt = now.Add(readEvery - time.Duration(share(c.id)*float64(readEvery)/10))
	limit, at := max(c.wide, window)+len(c.busy), c.d.clock.Now()
	if c.queue.ordered {
		at = at.Add(skew)
	}
	doubted := c.held.doubted
	c.held.doubted = nil
	c.background(func() func() {
		ctx, cancel := context.WithTimeout(c.ctx, storeTimeout)
		defer cancel()
		var still map[tuoguan.Authorization]time.Time
		var due []store.Delivery
		var err error
		if len(doubted) > 0 {
			still, err = c.d.cfg.Store.HeldBack(ctx, c.id, at)
		}
		if err == nil {
			due, err = c.d.cfg.Store.DueDeliveries(ctx, c.id, at, limit)
		}
		return func() {
			var ahead map[tuoguan.Authorization]bool
			if err == nil && !c.scrap {
				ahead = c.held.resolve(doubted, still)
			}
			c.got(due, limit, ahead, err)
		}
	})
}

// got takes over what was read.
func (c *courier) got(due []store.Delivery, limit int, ahead map[tuoguan.Authorization]bool, err error) {
	c.reading = false
	full := len(due) >= limit
	defer func() {
		for _, id := range c.late {
			delete(c.busy, id)
		}
		c.late = nil
	}()
	closed := errors.Is(err, store.ErrQuarantined)
	scrap := c.scrap
	c.scrap = false
	if err != nil && !closed {
		c.failed("what is to be delivered cannot be read", err)
		return
	}
	c.trouble = false
	if c.lapsed || c.stopping() || scrap {
		return
	}
	if full {
		c.readAt = time.Now()
	}
	due = slices.DeleteFunc(due, func(d store.Delivery) bool { return c.busy[d.Event.ID] })
	if c.queue.ordered {
		due = c.inOrder(due, full, ahead)
	}
	ready := due[:0]
	for _, d := range due {
		c.busy[d.Event.ID] = true
		switch {
		case closed && len(d.Event.Body) == 0:
			c.bury(d, "the event does not open any more")
		case !event.Deliverable(d.Event.Kind):
			c.bury(d, "a credential is not delivered")
		default:
			ready = append(ready, d)
		}
	}
	c.queue.push(ready)
}

// bury gives up an event that cannot be sent to anybody.
func (c *courier) bury(d store.Delivery, why string) {
	now := c.d.clock.Now()
	d.State, d.FinishedAt = store.DeliveryDead, now
	d.Log = sink.AppendLog(d.Log, sink.Entry{At: now, Error: why})
	c.settled(d)
	c.observe(d, Dead, 0, now)
}

// send sends what may be sent.
func (c *courier) send() {
	for c.maySend() && c.queue.size > 0 {
		// A process may be stopped at any time, and go on when the lease is long over.
		now := time.Now()
		if !now.Before(c.trusted) || !c.breaker.allows(now) || !c.openOutlet(now) {
			return
		}
		d, ok := c.queue.next(c.d.clock.Now())
		if !ok {
			return
		}
		c.dispatch(d)
	}
}

// openOutlet makes sure that there is a sink.
func (c *courier) openOutlet(now time.Time) bool {
	if c.outlet != nil {
		return true
	}
	s, err := c.d.cfg.Sinks(c.sub)
	if err != nil {
		c.d.log.Error("subscription cannot be delivered to", "subscription", c.id, "error", err)
		c.breaker.trip(now)
		return false
	}
	c.outlet = &outlet{sink: s}
	return true
}

// retire closes the sink once nothing is under way through it.
func (c *courier) retire() {
	if o := c.outlet; o != nil {
		c.outlet, o.retired = nil, true
		c.closeIdle(o)
	}
}

func (c *courier) closeIdle(o *outlet) {
	if o.retired && o.flights == 0 {
		c.background(func() func() {
			err := o.sink.Close()
			return func() {
				if err != nil {
					c.d.log.Warn("sink not closed", "subscription", c.id, "error", err)
				}
			}
		})
	}
}

// dispatch sends one event.
func (c *courier) dispatch(d store.Delivery) {
	probe, o, term := c.breaker.sending(), c.outlet, c.term
	o.flights++
	c.flights++
	c.background(func() func() {
		at, began := c.d.clock.Now(), time.Now()
		receipt, err := send(c.sends, o.sink, sink.Message{ID: event.ID(d.Event.Key), Event: d.Event, Attempt: d.Attempts + 1})
		latency, cut := time.Since(began), c.sends.Err() != nil
		_ = failpoint.Hit(failpoint.DeliverAfterPOSTBeforeMark)
		return func() {
			c.flights--
			o.flights--
			c.closeIdle(o)
			if err != nil && cut {
				return // it was us; the next one who delivers sends it again
			}
			current := o == c.outlet
			if current {
				c.breaker.ended(err, probe, time.Now())
			}
			c.ended(d, at, latency, status(receipt, err), err, term)
			if current {
				c.judge(err, c.d.clock.Now())
			}
		}
	})
}

// send hands an event to a sink. An event over which the sink stumbles is refused for good,
// and harms no other.
func send(ctx context.Context, s sink.Sink, m sink.Message) (receipt sink.Receipt, err error) {
	defer func() {
		if r := recover(); r != nil {
			what := fmt.Sprintf("%T", r) // its text may tell of the event
			if e, ok := r.(runtime.Error); ok {
				what = e.Error()
			}
			err = &sink.Refusal{Final: true, Text: "sending it panicked: " + what}
		}
	}()
	return s.Send(ctx, m)
}

// ended takes note of what became of an attempt.
func (c *courier) ended(d store.Delivery, at time.Time, latency time.Duration, status int, err error, term int) {
	now := c.d.clock.Now()
	first := firstAttempt(d, at)
	d.Attempts++
	d.Log = sink.AppendLog(d.Log, sink.Entry{At: at, Status: status, Latency: latency.Milliseconds(), Error: text(err)})
	refusal, refused := errors.AsType[*sink.Refusal](err)
	result := Unreachable
	again := false
	switch {
	case err == nil:
		result = Delivered
	case errors.Is(err, sink.ErrBlocked):
		result = Blocked
	case refused:
		result = Refused
	}
	if err != nil && !(refused && refusal.Final) {
		d.DueAt, again = retryAt(err, d.Attempts, first, now, c.maxAge())
	}
	switch {
	case err == nil:
		d.State, d.FinishedAt = store.DeliveryDelivered, now
	case !again:
		result = Dead
		d.State, d.FinishedAt = store.DeliveryDead, now
	}
	c.observe(d, result, latency, now)
	switch {
	case !c.queue.ordered || !again:
		c.settled(d)
		c.queue.settled(authorization(d))
	case c.lapsed || term != c.term:
		// Another replica may have tried it, and goes by what it stored.
		c.unbusy(d.Event.ID)
		for _, behind := range c.queue.holdBack(authorization(d)) {
			c.unbusy(behind.Event.ID)
		}
		c.scrap, c.readAt = c.reading, time.Now()
	default:
		c.settled(d)
		c.holdBack(d)
	}
}

func (c *courier) observe(d store.Delivery, result string, latency time.Duration, now time.Time) {
	c.d.cfg.Observe(Observation{
		Subscription: c.id, Kind: d.Event.Kind, Result: result, Latency: latency, Lag: max(now.Sub(d.Event.ReceivedAt), 0),
	})
}

// settled has what became of a delivery stored.
func (c *courier) settled(d store.Delivery) {
	c.done = append(c.done, d)
	if c.queue.ordered && d.State == store.DeliveryPending {
		c.held.returning[authorization(d)]++
	}
}

// unsaved is how many outcomes are not stored yet.
func (c *courier) unsaved() int { return len(c.done) + len(c.saving) }

// save stores the outcomes there are by now.
func (c *courier) save() {
	if len(c.done) == 0 || c.saving != nil || c.held.noting || time.Now().Before(c.saveAt) {
		return
	}
	batch := c.done[:min(len(c.done), saveMost):min(len(c.done), saveMost)]
	c.saving, c.done = batch, c.done[len(batch):]
	timeout, note, term := storeTimeout, false, c.term
	if len(c.held.returning) > 0 {
		// What is held back must not be moved when another replica has the lease.
		timeout, note = max(min(timeout, time.Until(c.trusted)+leaseMargin), 0), !c.held.noted
		c.held.noted = true
	}
	c.background(func() func() {
		// Delivered is delivered, whoever may deliver now.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), timeout)
		defer cancel()
		var err error
		if note {
			err = noteHeld(ctx, c.d.cfg.Store, c.id, c.d.clock.Now())
		}
		if err == nil {
			err = c.d.cfg.Store.SaveDeliveries(ctx, batch)
		}
		return func() {
			c.saving = nil
			if err != nil {
				c.failed("what was delivered cannot be recorded", err)
				c.done, c.saveAt = append(batch, c.done...), time.Now().Add(storeAgain)
				c.held.noted = c.held.noted && !note
				if c.lapsed || term != c.term {
					c.disown()
				}
				return
			}
			c.trouble = false
			for _, d := range batch {
				c.unbusy(d.Event.ID)
				c.held.returned(d)
			}
		}
	})
}

// unbusy says that an event is no longer in memory. A read that is under way may still
// show it as it was.
func (c *courier) unbusy(id int64) {
	if c.reading {
		c.late = append(c.late, id)
	} else {
		delete(c.busy, id)
	}
}

// status is the HTTP status that an attempt brought.
func status(receipt sink.Receipt, err error) int {
	if refusal, ok := errors.AsType[*sink.Refusal](err); ok {
		return refusal.Status
	}
	return receipt.Status
}

// text says for people why an attempt failed.
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// sampleOf is an authorization that a subscription is about.
func sampleOf(s subscription.Subscription) (a tuoguan.Authorization) {
	if len(s.Spec.Match.Components) > 0 {
		a.Component = s.Spec.Match.Components[0]
	}
	if len(s.Spec.Match.Authorizers) > 0 {
		a.Authorizer = s.Spec.Match.Authorizers[0]
	}
	return a
}
