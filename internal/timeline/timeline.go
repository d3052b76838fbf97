// Package timeline writes down what happens to the tokens of authorizers, for people to
// read. It writes behind what it tells of and holds nothing up: what the store does not
// take in time is dropped and counted.
package timeline

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
)

const (
	// waiting is how many events may wait to be written.
	waiting = 10_000
	// together is how many are written at once at the most, and delay how long one waits
	// for others.
	together = 50
	delay    = time.Second
	// patience bounds one write.
	patience = 10 * time.Second
	// maxMessage bounds the message of an event, in bytes.
	maxMessage = 300
)

// kinds are the observations that are of interest.
var kinds = []string{"refresh", "recovery", "exchange", "state", "profile"}

// Store is where events are written to: [store.TokenEvents].
type Store interface {
	AppendTokenEvents(ctx context.Context, events []store.TokenEvent) error
}

// Config says what a Log works with. Store is required.
type Config struct {
	Store   Store
	Replica string // names this process in the events
	Clock   *tuoguan.Clock
	Logger  *slog.Logger // defaults to one that discards
}

// Log takes in observations of a keeper. Make it with [New], end it with [Log.Close].
type Log struct {
	cfg     Config
	dropped atomic.Int64

	mu     sync.RWMutex // held for writing by Close
	closed bool
	events chan store.TokenEvent

	done   chan struct{}
	ctx    context.Context // of writes
	cancel context.CancelFunc
}

// New makes a Log, which works until it is closed.
func New(cfg Config) (*Log, error) {
	if cfg.Store == nil {
		return nil, errors.New("timeline: Store is required")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{cfg: cfg, events: make(chan store.TokenEvent, waiting), done: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	go l.run()
	return l, nil
}

// Observe takes in an observation. It never blocks.
func (l *Log) Observe(o keeper.Observation) {
	if o.Authorization.Authorizer == "" || !slices.Contains(kinds, o.Kind) {
		return
	}
	e := store.TokenEvent{
		Authorization: o.Authorization, Kind: o.Kind, Result: o.Result, Cause: o.Cause.Kind, Actor: o.Cause.Actor,
		Errcode: o.Errcode, Message: message(o.Err), Replica: l.cfg.Replica, At: l.cfg.Clock.Now(), Duration: o.Duration,
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		l.dropped.Add(1)
		return
	}
	select {
	case l.events <- e:
	default:
		l.dropped.Add(1)
	}
}

// message returns what an error says, cut to its bound.
func message(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if len(text) <= maxMessage {
		return text
	}
	end := maxMessage
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// Dropped returns how many events were not written.
func (l *Log) Dropped() int64 { return l.dropped.Load() }

// run writes events until there will be none.
func (l *Log) run() {
	defer close(l.done)
	for first := range l.events {
		batch, more := l.gather(first)
		if err := l.write(batch); err != nil {
			l.dropped.Add(int64(len(batch)))
			l.cfg.Logger.Warn("what happened to tokens could not be written down", "events", len(batch), "dropped", l.Dropped(), "error", err)
		}
		if !more {
			return
		}
	}
}

// gather returns the events that are written together with the first, and whether there
// may be more.
func (l *Log) gather(first store.TokenEvent) (batch []store.TokenEvent, more bool) {
	batch = []store.TokenEvent{first}
	late := time.NewTimer(delay)
	defer late.Stop()
	for len(batch) < together {
		select {
		case e, ok := <-l.events:
			if !ok {
				return batch, false
			}
			batch = append(batch, e)
		case <-late.C:
			return batch, true
		}
	}
	return batch, true
}

func (l *Log) write(batch []store.TokenEvent) error {
	ctx, cancel := context.WithTimeout(l.ctx, patience)
	defer cancel()
	return l.cfg.Store.AppendTokenEvents(ctx, batch)
}

// Close writes what waits, as long as ctx lasts. What is observed after it is dropped.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.events)
	}
	l.mu.Unlock()
	defer l.cancel()
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		l.cancel()
		<-l.done
		return ctx.Err()
	}
}
