package subscription

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
)

const (
	// readEvery is how often a set is read again: what others change holds everywhere
	// within about that time.
	readEvery = time.Second
	// readTimeout bounds one reading.
	readTimeout = 10 * time.Second
	// pageSize is how many subscriptions are read at a time.
	pageSize = 500
)

// SetConfig says what a [Set] works with.
type SetConfig struct {
	Store store.Subscriptions // required
	// Tags returns the tags of an authorizer, none if it is not known. It is asked in the
	// course of each push to which a subscription that names tags may apply, so it should
	// remember.
	Tags   func(ctx context.Context, a tuoguan.Authorization) ([]string, error) // required
	Clock  *tuoguan.Clock                                                       // defaults to the system's
	Logger *slog.Logger                                                         // required
}

// Set is all subscriptions, in memory. While the store is away the last known ones
// stay in force. It is safe for concurrent use.
type Set struct {
	cfg     SetConfig
	reading chan struct{} // holds one while the store is being read
	current atomic.Pointer[snapshot]
	closed  atomic.Bool // at the last reading some did not open

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when current is
}

// NewSet returns an empty set, to be filled by [Set.Load] and kept so by [Set.Run].
func NewSet(cfg SetConfig) (*Set, error) {
	var wrong []error
	if cfg.Store == nil {
		wrong = append(wrong, errors.New("subscription: SetConfig.Store is required"))
	}
	if cfg.Tags == nil {
		wrong = append(wrong, errors.New("subscription: SetConfig.Tags is required"))
	}
	if cfg.Logger == nil {
		wrong = append(wrong, errors.New("subscription: SetConfig.Logger is required"))
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	s := &Set{cfg: cfg, reading: make(chan struct{}, 1), changed: make(chan struct{})}
	s.current.Store(newSnapshot(nil))
	return s, nil
}

// Run reads the subscriptions again every second until ctx ends.
func (s *Set) Run(ctx context.Context) error {
	ticker := time.NewTicker(readEvery)
	defer ticker.Stop()
	away := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		err := s.Load(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil && !away:
			s.cfg.Logger.WarnContext(ctx, "subscriptions cannot be read; the last known ones stay in force", "error", err)
		case err == nil && away:
			s.cfg.Logger.InfoContext(ctx, "subscriptions can be read again")
		}
		away = err != nil
	}
}

// Load reads the subscriptions. If that fails, the last known ones stay in force. One
// that this version cannot read is left out, which is logged once.
func (s *Set) Load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	select {
	case s.reading <- struct{}{}:
		defer func() { <-s.reading }()
	case <-ctx.Done():
		return fmt.Errorf("read subscriptions: %w", ctx.Err())
	}
	before := s.current.Load()
	var rows []row
	var closed error // some do not open
	changed := false
	for after, more := "", true; more; {
		page, err := s.cfg.Store.Subscriptions(ctx, after, pageSize)
		if errors.Is(err, store.ErrQuarantined) {
			closed = err
		} else if err != nil {
			return fmt.Errorf("read subscriptions: %w", err)
		}
		for _, record := range page {
			r, known := before.reuse(record)
			if !known {
				r, changed = s.read(ctx, record), true
			}
			rows = append(rows, r)
			after = record.ID
		}
		// Those that do not open are missing from their page.
		more = len(page) == pageSize || err != nil && len(page) > 0
	}
	if s.closed.Swap(closed != nil) != (closed != nil) {
		s.tell(ctx, closed)
	}
	if changed || len(rows) != len(before.rows) {
		s.replace(newSnapshot(rows))
	}
	return nil
}

// tell logs when subscriptions cease to open, and when all do again.
func (s *Set) tell(ctx context.Context, closed error) {
	if closed == nil {
		s.cfg.Logger.InfoContext(ctx, "all subscriptions can be opened again")
		return
	}
	s.cfg.Logger.ErrorContext(ctx, "subscriptions cannot be opened and are left out", "error", closed)
}

// read takes a stored subscription apart.
func (s *Set) read(ctx context.Context, record store.Subscription) row {
	r := row{id: record.ID, version: record.Version, opened: len(record.Secrets) > 0}
	parsed, err := Parse(record)
	if err != nil {
		s.cfg.Logger.ErrorContext(ctx, "a subscription cannot be read", "subscription", record.ID, "error", err)
	}
	if err == nil || errors.Is(err, store.ErrQuarantined) {
		r.parsed = &parsed
	}
	return r
}

func (s *Set) replace(next *snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current.Store(next)
	close(s.changed)
	s.changed = make(chan struct{})
}

// Changed returns a channel that is closed when the set changes next.
func (s *Set) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// All returns the subscriptions ordered by id, whatever their state. They are not to be
// changed.
func (s *Set) All() []Subscription { return s.current.Load().all }

// Get returns a subscription, which is not to be changed, and whether there is one.
func (s *Set) Get(id string) (Subscription, bool) {
	found, ok := s.current.Load().byID[id]
	if !ok {
		return Subscription{}, false
	}
	return *found, true
}

// Routes returns to whom an event goes. parsed is the push that it is, nil for an event
// of our own. It is called for each push, in the step that stores it.
//
// Subscriptions that do not deliver at present get their events too. The one that is
// to answer gets it a little later, so that it is not told twice while it is asked.
//
// Where tags decide, and cannot be looked up for want of the store, Routes waits for
// them until ctx ends: the event cannot be stored meanwhile either.
func (s *Set) Routes(ctx context.Context, p store.Push, parsed *push.Push) []store.Route {
	e := subject{Authorization: tuoguan.Authorization{Component: p.Component, Authorizer: p.Authorizer}, kind: p.Kind, parsed: parsed}
	var room [16]*candidate
	found := s.matching(ctx, &e, room[:0])
	if len(found) == 0 {
		return nil
	}
	var asked *candidate
	if parsed != nil && answerable(parsed) {
		asked = answerer(found)
	}
	received := p.ReceivedAt
	if received.IsZero() {
		received = s.cfg.Clock.Now()
	}
	routes := make([]store.Route, 0, len(found))
	for _, c := range found {
		route := store.Route{Subscription: c.id, DueAt: received}
		switch {
		case c.static:
			continue
		case c == asked:
			route.DueAt = received.Add(askedFirst)
		}
		routes = append(routes, route)
	}
	return routes
}
