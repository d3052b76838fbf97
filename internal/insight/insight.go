// Package insight remembers what this replica did of late, for people to look at: a ring
// of samples of ten seconds for an hour and one of a minute for a day. It is no archive
// and no metric; both are elsewhere, and this begins anew with the process.
package insight

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan"
)

// Steps of the two rings, and how far they reach back.
const (
	FineStep    = 10 * time.Second
	FineReach   = time.Hour
	CoarseStep  = time.Minute
	CoarseReach = 24 * time.Hour
)

// Backlog is what waits for one subscription.
type Backlog struct {
	Subscription string // its id
	Name         string
	Pending      int
	Dead         int
	// Since is when the longest overdue delivery was due; zero if nothing is pending.
	Since time.Time
}

// Shortage is a quota of WeChat's that is nearly used up.
type Shortage struct {
	tuoguan.Authorization        // its Authorizer is empty where the component's own quota is meant
	Path                  string // of the interface
	Remaining             int
	At                    time.Time // when WeChat said so; set by [Recorder.Short]
	Until                 time.Time // when WeChat's day ends
}

// maxShortages bounds how many shortages are remembered.
const maxShortages = 1000

// Config says what a Recorder works with.
type Config struct {
	// Backlogs tells what waits for the subscriptions. It is asked every ten seconds at
	// most. Without it nothing waits.
	Backlogs func(context.Context) ([]Backlog, error)
	// Logger defaults to one that discards.
	Logger *slog.Logger
}

// Recorder takes in what happens. Its methods may be called by anybody at any time, and
// hold a mutex for no more than a moment. Make it with [New].
type Recorder struct {
	cfg   Config
	since time.Time

	mu        sync.Mutex
	fine      ring
	coarse    ring
	shortages map[shortageKey]Shortage

	sampling  chan struct{} // holds a token while backlogs are not being read
	backlogs  []Backlog
	sampledAt time.Time
}

type shortageKey struct {
	tuoguan.Authorization
	path string
}

// New makes a Recorder.
func New(cfg Config) *Recorder {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Recorder{
		cfg: cfg, since: time.Now(), sampling: make(chan struct{}, 1), shortages: make(map[shortageKey]Shortage),
		fine: newRing(FineStep, FineReach), coarse: newRing(CoarseStep, CoarseReach),
	}
	r.sampling <- struct{}{}
	return r
}

// Since returns when recording began.
func (r *Recorder) Since() time.Time { return r.since }

// Run samples the backlogs until ctx ends.
func (r *Recorder) Run(ctx context.Context) error {
	tick := time.NewTicker(FineStep)
	defer tick.Stop()
	for {
		if _, err := r.Backlogs(ctx); err != nil && ctx.Err() == nil {
			r.cfg.Logger.Warn("what waits for subscriptions cannot be counted", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Backlogs returns what waited for the subscriptions less than ten seconds ago.
func (r *Recorder) Backlogs(ctx context.Context) ([]Backlog, error) {
	if r.cfg.Backlogs == nil {
		return nil, nil
	}
	select {
	case <-r.sampling:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { r.sampling <- struct{}{} }()
	if time.Since(r.sampledAt) < FineStep {
		return r.backlogs, nil
	}
	found, err := r.cfg.Backlogs(ctx)
	if err != nil {
		return nil, err
	}
	r.backlogs, r.sampledAt = found, time.Now()
	var pending, dead int
	for _, b := range found {
		pending += b.Pending
		dead += b.Dead
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.now() {
		s.pending, s.dead, s.sampled = pending, dead, true
	}
	return found, nil
}

// now returns the samples that are being taken. It is for callers that hold mu.
func (r *Recorder) now() [2]*sample {
	now := time.Now()
	return [2]*sample{r.fine.at(now), r.coarse.at(now)}
}

// Refresh takes in a refresh of an authorizer's token: ok, or what class of failure.
func (r *Recorder) Refresh(result string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.now() {
		s.refreshes.add(result != "ok")
		s.refreshTime.add(took)
	}
}

// Push takes in a push of WeChat's: stored, replied, duplicate, or another outcome, with
// which it was not taken.
func (r *Recorder) Push(outcome string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.now() {
		s.pushes.add(outcome != "stored" && outcome != "replied" && outcome != "duplicate")
		s.pushTime.add(took)
	}
}

// Delivery takes in an attempt to deliver an event: delivered, or how it failed.
func (r *Recorder) Delivery(result string, _ time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.now() {
		s.deliveries.add(result != "delivered")
	}
}

// Gateway takes in a request to the gateway: ok, or how it failed.
func (r *Recorder) Gateway(result string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.now() {
		s.gateway.add(result != "ok")
		s.gatewayTime.add(took)
	}
}

// Call takes in a call to WeChat: ok, refused, or unanswered.
func (r *Recorder) Call(result string, _ time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.now() {
		s.calls.add(result == "refused")
	}
}

// Short takes in that a quota is nearly used up.
func (r *Recorder) Short(q Shortage) {
	q.At = time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.shortages) >= maxShortages {
		r.forgetShortages(q.At)
	}
	if len(r.shortages) < maxShortages {
		r.shortages[shortageKey{q.Authorization, q.Path}] = q
	}
}

// forgetShortages forgets what is over. It is for callers that hold mu.
func (r *Recorder) forgetShortages(now time.Time) {
	for key, q := range r.shortages {
		if !now.Before(q.Until) {
			delete(r.shortages, key)
		}
	}
}

// Shortages returns the quotas that are nearly used up, the scarcest first.
func (r *Recorder) Shortages() []Shortage {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgetShortages(time.Now())
	all := make([]Shortage, 0, len(r.shortages))
	for _, q := range r.shortages {
		all = append(all, q)
	}
	slices.SortFunc(all, compareShortages)
	return all
}
