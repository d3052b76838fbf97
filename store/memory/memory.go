// Package memory is the reference store: the contract in its shortest form, for
// tests, trials and simulations. It keeps everything in the memory of one process
// and loses it when that ends; nothing is durable and nothing is sealed. Never keep
// a merchant's refresh token in it.
//
// It starts no goroutines and makes no system calls, so it works inside a
// testing/synctest bubble.
package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// Config configures a [Store]. Its zero value is useful.
type Config struct {
	// Clock decides about leases. Defaults to the system's clock.
	Clock *tuoguan.Clock
}

// Store is a store in memory. Make it with [New].
type Store struct {
	clock *tuoguan.Clock

	mu     sync.RWMutex
	closed bool

	components      map[tuoguan.ComponentAppID]store.Component
	tickets         map[tuoguan.ComponentAppID][]store.Ticket // newest first
	componentTokens map[tuoguan.ComponentAppID]store.ComponentToken

	authorizers map[tuoguan.Authorization]*authorizer
	order       []tuoguan.Authorization // all of them, ordered
	due         dueHeap                 // those with RefreshAt
	profilesDue map[tuoguan.Authorization]struct{}
	history     map[tuoguan.Authorization][]store.RefreshToken // oldest first

	exchanges map[exchangeKey]*store.Exchange
	pending   map[exchangeKey]struct{}

	links  map[string]*store.Link
	visits map[string]store.Visit

	pushes   []*store.Push // by ID
	pushKeys map[string]*store.Push
	lastPush int64
	lastSeq  map[tuoguan.Authorization]int64
	lastDue  map[tuoguan.Authorization]time.Time // the latest receipt

	subscriptions map[string]store.Subscription
	outboxes      map[string]*outbox // by subscription

	leases map[string]store.Lease

	apiKeys map[string]store.APIKey
	audit   []store.AuditRecord // by Seq
	values  map[string]store.Value

	users          map[string]store.User
	sessions       map[string]store.Session // by hash
	tokenEvents    []store.TokenEvent       // by ID
	lastTokenEvent int64

	settings map[string]setting
	notes    []note // oldest first
	// notesFrom is since when they are complete.
	notesFrom time.Time
}

var _ store.Store = (*Store)(nil)

// errClosed is what every method returns after Close.
var errClosed = fmt.Errorf("%w: it is closed", store.ErrUnavailable)

// New returns an empty store.
func New(cfg Config) *Store {
	return &Store{
		clock:           cfg.Clock,
		components:      make(map[tuoguan.ComponentAppID]store.Component),
		tickets:         make(map[tuoguan.ComponentAppID][]store.Ticket),
		componentTokens: make(map[tuoguan.ComponentAppID]store.ComponentToken),
		authorizers:     make(map[tuoguan.Authorization]*authorizer),
		profilesDue:     make(map[tuoguan.Authorization]struct{}),
		history:         make(map[tuoguan.Authorization][]store.RefreshToken),
		exchanges:       make(map[exchangeKey]*store.Exchange),
		pending:         make(map[exchangeKey]struct{}),
		links:           make(map[string]*store.Link),
		visits:          make(map[string]store.Visit),
		pushKeys:        make(map[string]*store.Push),
		lastSeq:         make(map[tuoguan.Authorization]int64),
		lastDue:         make(map[tuoguan.Authorization]time.Time),
		subscriptions:   make(map[string]store.Subscription),
		outboxes:        make(map[string]*outbox),
		leases:          make(map[string]store.Lease),
		apiKeys:         make(map[string]store.APIKey),
		values:          make(map[string]store.Value),
		users:           make(map[string]store.User),
		sessions:        make(map[string]store.Session),
		settings:        make(map[string]setting),
	}
}

// write runs f alone.
func (s *Store) write(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	return f()
}

// read runs f beside other reads.
func (s *Store) read(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return errClosed
	}
	return f()
}

// Probe implements [store.Store].
func (s *Store) Probe(ctx context.Context) error {
	return s.write(ctx, func() error { return nil })
}

// Close implements [store.Store].
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// Collect implements [store.Store].
func (s *Store) Collect(ctx context.Context, before store.Retention) error {
	return s.write(ctx, func() error {
		s.collectPushes(before)
		for a, tokens := range s.history {
			known := s.authorizers[a]
			s.history[a] = slices.DeleteFunc(tokens, func(t store.RefreshToken) bool {
				return isBefore(t.ReceivedAt, before.RefreshTokens) && known != nil && t.Grant < known.Grant
			})
		}
		for id, l := range s.links {
			if isBefore(l.ExpiresAt, before.Links) {
				delete(s.links, id)
				for nonce, v := range s.visits {
					if v.Link == id {
						delete(s.visits, nonce)
					}
				}
			}
		}
		for key, e := range s.exchanges {
			if isBefore(e.FinishedAt, before.Exchanges) {
				delete(s.exchanges, key)
			}
		}
		s.collectLeases()
		s.collectValues()
		s.collectSessions(before)
		s.collectTokenEvents(before)
		return nil
	})
}

// isBefore reports whether an instant that is known is before a limit that is given.
func isBefore(t, limit time.Time) bool {
	return !t.IsZero() && !limit.IsZero() && t.Before(kept(limit))
}

// kept returns an instant as a store keeps it: in UTC, to the millisecond.
func kept(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

// limit returns how many records to list.
func limit(n int) int {
	if n <= 0 {
		return store.DefaultLimit
	}
	return n
}
