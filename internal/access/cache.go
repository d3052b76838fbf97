package access

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuoguan/tuoguan/store"
)

const (
	// freshFor is how long a record is used as it was read. After that it is read
	// again when it is used, in the background.
	freshFor = time.Second
	// waitAfter is when whoever needs a record waits until it has been read again. With
	// readTimeout it makes up the five seconds in which a change holds everywhere.
	waitAfter = 4 * time.Second
	// readTimeout bounds one read.
	readTimeout = time.Second
	// absentFor is how long what does not exist is not looked for again.
	absentFor = 2 * time.Second
	// absentBound bounds how much is known not to exist.
	absentBound = 4096
	// strangersAtOnce bounds how many records are looked up at a time that are not in memory.
	strangersAtOnce = 32
)

// cache keeps records of the store in memory. Each is read by one at a time. While the
// store is away, what is in memory stays valid.
type cache[V any] struct {
	load   func(ctx context.Context, id string) (V, error) // store.ErrNotFound: there is none
	what   string                                          // for the log
	logger *slog.Logger
	bound  int // on the number of records, roughly
	absent *absences

	ctx        context.Context // of the reads in the background
	cancel     context.CancelFunc
	background sync.WaitGroup
	strangers  chan struct{}
	away       atomic.Bool // the last read failed, and that is in the log

	mu      sync.RWMutex
	closed  bool
	flights map[string]*flight[V]
	// What is not used while young fills up once is dropped with old.
	young, old map[string]*known[V]
}

// known is a record as of an instant. It does not change.
type known[V any] struct {
	value V
	// at is when its reading began, or when a later attempt failed.
	at time.Time
}

// flight is one read under way.
type flight[V any] struct {
	done     chan struct{} // closed at the end; value and err may be read then
	value    V
	err      error
	stranger bool // it has a place among cache.strangers
	void     bool // under cache.mu: the record has changed since, so the result is not kept
}

func newCache[V any](what string, bound int, logger *slog.Logger, load func(context.Context, string) (V, error)) *cache[V] {
	ctx, cancel := context.WithCancel(context.Background())
	return &cache[V]{
		load: load, what: what, logger: logger, bound: bound,
		ctx: ctx, cancel: cancel,
		strangers: make(chan struct{}, strangersAtOnce),
		flights:   make(map[string]*flight[V]),
		young:     make(map[string]*known[V]),
	}
}

// get returns a record. The error is store.ErrNotFound, that of ctx, or that of the
// store if the record is not in memory.
func (c *cache[V]) get(ctx context.Context, id string) (V, error) {
	k := c.find(id)
	if k == nil {
		return c.introduce(ctx, id)
	}
	age := time.Since(k.at)
	if age <= freshFor {
		return k.value, nil
	}
	f := c.start(ctx, id, false)
	if age <= waitAfter {
		return k.value, nil
	}
	value, err := f.wait(ctx)
	if err == nil || errors.Is(err, store.ErrNotFound) || ctx.Err() != nil {
		return value, err
	}
	return k.value, nil
}

// again returns a record as it is in the store now, or as it was at the last success.
func (c *cache[V]) again(ctx context.Context, id string) (V, error) {
	k := c.find(id)
	value, err := c.start(ctx, id, false).wait(ctx)
	if k != nil && err != nil && !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil {
		return k.value, nil
	}
	return value, err
}

// introduce returns a record that is not in memory. Few are looked up at a time, so
// that a flood of them leaves the store to others.
func (c *cache[V]) introduce(ctx context.Context, id string) (V, error) {
	var none V
	if c.absent.has(id) {
		return none, store.ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	select {
	case c.strangers <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	return c.start(ctx, id, true).wait(ctx)
}

// find returns what is in memory, or nil.
func (c *cache[V]) find(id string) *known[V] {
	c.mu.RLock()
	k, young := c.young[id]
	if !young {
		k = c.old[id]
	}
	c.mu.RUnlock()
	if k == nil || young {
		return k
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young[id] == nil && c.old[id] == k {
		c.keep(id, k)
	}
	return k
}

// start begins to read a record, or joins who is doing so. The place of a stranger is
// given up when that is done. After [cache.close] start returns when the record has
// been read.
func (c *cache[V]) start(ctx context.Context, id string, stranger bool) *flight[V] {
	c.mu.Lock()
	if f := c.flights[id]; f != nil {
		c.mu.Unlock()
		if stranger {
			<-c.strangers
		}
		return f
	}
	f := &flight[V]{done: make(chan struct{}), stranger: stranger}
	c.flights[id] = f
	closed := c.closed
	if !closed {
		c.background.Go(func() { c.read(c.ctx, id, f) })
	}
	c.mu.Unlock()
	if closed {
		c.read(ctx, id, f)
	}
	return f
}

func (c *cache[V]) read(ctx context.Context, id string, f *flight[V]) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	began := time.Now()
	f.value, f.err = c.load(ctx, id)
	absent := errors.Is(f.err, store.ErrNotFound)
	c.tell(ctx, f.err == nil || absent, f.err)

	c.mu.Lock()
	if !f.void {
		delete(c.flights, id)
		switch {
		case f.err == nil:
			c.keep(id, &known[V]{value: f.value, at: began})
		case absent:
			c.absent.add(id)
			c.drop(id)
		default:
			c.date(id, time.Now()) // until the next attempt is due
		}
	}
	c.mu.Unlock()
	close(f.done)
	if f.stranger {
		<-c.strangers
	}
}

func (f *flight[V]) wait(ctx context.Context) (V, error) {
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

// put replaces a record that this process has just written.
func (c *cache[V]) put(id string, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abandon(id)
	c.keep(id, &known[V]{value: value, at: time.Now()})
}

// expire makes the next use wait until a record has been read again.
func (c *cache[V]) expire(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abandon(id)
	c.date(id, time.Time{})
}

// abandon makes sure that a read that began before a change does not undo it.
func (c *cache[V]) abandon(id string) {
	if f := c.flights[id]; f != nil {
		f.void = true
		delete(c.flights, id)
	}
}

func (c *cache[V]) keep(id string, k *known[V]) {
	delete(c.old, id)
	if _, ok := c.young[id]; !ok && len(c.young) >= c.bound/2 {
		c.young, c.old = make(map[string]*known[V]), c.young
	}
	c.young[id] = k
}

func (c *cache[V]) drop(id string) {
	delete(c.young, id)
	delete(c.old, id)
}

// date gives a record another instant.
func (c *cache[V]) date(id string, at time.Time) {
	for _, generation := range []map[string]*known[V]{c.young, c.old} {
		if k := generation[id]; k != nil {
			generation[id] = &known[V]{value: k.value, at: at}
		}
	}
}

// tell logs when the store goes away and when it is back.
func (c *cache[V]) tell(ctx context.Context, back bool, err error) {
	switch {
	case back && c.away.Swap(false):
		c.logger.InfoContext(ctx, "storage can be read again", "records", c.what)
	case !back && c.ctx.Err() == nil && !c.away.Swap(true):
		c.logger.WarnContext(ctx, "storage cannot be read; what is in memory stays valid", "records", c.what, "error", err)
	}
}

// close ends the reads in the background and waits for them.
func (c *cache[V]) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.background.Wait()
}

// absences is what is known not to exist. A nil one knows nothing.
type absences struct {
	mu    sync.Mutex
	since map[string]time.Time
}

func newAbsences() *absences { return &absences{since: make(map[string]time.Time)} }

func (a *absences) has(id string) bool {
	if a == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	since, ok := a.since[id]
	return ok && time.Since(since) < absentFor
}

func (a *absences) add(id string) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.since) >= absentBound {
		clear(a.since)
	}
	a.since[id] = time.Now()
}
