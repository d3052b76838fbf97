// Package audit keeps the audit log: who was given which secret, and who changed what.
//
// A record is durable before the answer that it is about. Each holds the hash of the
// one before, so what was altered, removed or put in between later is found by
// [Verify]. The chain needs no key; against somebody who can write the whole of it
// anew, note its [Head] elsewhere from time to time.
package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

var (
	// ErrUnavailable: the log could not be written in time, so what was to be recorded
	// must not happen.
	ErrUnavailable = errors.New("audit: the log cannot be written")
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("audit: the log is closed")
)

const (
	// DefaultTimeout is how long recording may take if nothing else is said.
	DefaultTimeout = time.Second
	// totalsEvery is how often the totals of repeats are recorded.
	totalsEvery = time.Minute

	queueLength = 1024 // events waiting; more callers than that wait themselves
	maxBatch    = 256  // events written at once

	// The pause before another attempt is random, up to the first of these, then up to
	// twice as long each time, and never longer than the second.
	firstPause   = 2 * time.Millisecond
	longestPause = 50 * time.Millisecond
)

// Config configures a [Log].
type Config struct {
	Store   store.Audits   // required
	Clock   *tuoguan.Clock // dates the records; nil is the system's
	Logger  *slog.Logger   // required
	Timeout time.Duration  // of recording an event; 0 is [DefaultTimeout]
}

// Log writes the audit log. Several processes may write to one store. It is safe for
// concurrent use.
type Log struct {
	cfg     Config
	queue   chan *pending
	closing chan struct{} // closed by Close
	closed  chan struct{} // closed when the writer has ended
	once    sync.Once
	handed  handed

	// Of the writer alone.
	last      Head
	lastKnown bool
}

// pending is an event that somebody waits to see recorded.
type pending struct {
	ctx  context.Context
	link link
	done chan error // has room for one
}

// New returns a log, to be closed.
func New(cfg Config) (*Log, error) {
	var wrong []error
	if cfg.Store == nil {
		wrong = append(wrong, errors.New("audit: Config.Store is required"))
	}
	if cfg.Logger == nil {
		wrong = append(wrong, errors.New("audit: Config.Logger is required"))
	}
	if cfg.Timeout < 0 {
		wrong = append(wrong, errors.New("audit: Config.Timeout must not be negative"))
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	l := &Log{
		cfg:     cfg,
		queue:   make(chan *pending, queueLength),
		closing: make(chan struct{}),
		closed:  make(chan struct{}),
		handed:  newHanded(),
	}
	go l.run()
	return l, nil
}

// Record returns once an event is durable. After an error ([ErrUnavailable],
// [ErrClosed], or that of ctx) it may be or become so, but need not.
func (l *Log) Record(ctx context.Context, e Event) error {
	if e.Operation == "" {
		return errors.New("audit: an event needs an operation")
	}
	limited, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	p := &pending{ctx: limited, link: link{at: l.now(), body: e.body()}, done: make(chan error, 1)}
	select {
	case <-l.closing:
		return ErrClosed
	default:
	}
	select {
	case l.queue <- p:
	case <-l.closing:
		return ErrClosed
	case <-limited.Done():
		return late(ctx)
	}
	select {
	case err := <-p.done:
		return err
	case <-limited.Done():
		return late(ctx)
	case <-l.closed:
	}
	select {
	case err := <-p.done:
		return err
	default:
		return ErrClosed // it was queued behind the last
	}
}

// late says whose patience has ended: that of the caller, or ours.
func late(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return fmt.Errorf("%w: timeout", ErrUnavailable)
}

// now returns the present as it is stored.
func (l *Log) now() time.Time { return l.cfg.Clock.Now().UTC().Truncate(time.Millisecond) }

// Close records what is waiting and the totals, and ends the log. It returns the error
// of ctx if that ends first.
func (l *Log) Close(ctx context.Context) error {
	l.once.Do(func() { close(l.closing) })
	select {
	case <-l.closed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run is the one writer of this process.
func (l *Log) run() {
	defer close(l.closed)
	ticker := time.NewTicker(totalsEvery)
	defer ticker.Stop()
	for {
		select {
		case p := <-l.queue:
			l.writeBatch(p)
		case <-ticker.C:
			l.writeTotals()
		case <-l.closing:
			for {
				select {
				case p := <-l.queue:
					l.writeBatch(p)
				default:
					l.writeTotals()
					return
				}
			}
		}
	}
}

// writeBatch writes an event together with those that wait behind it. Whose caller has
// given up is left out.
func (l *Log) writeBatch(p *pending) {
	var batch []*pending
	var links []link
	for more := true; more && len(batch) < maxBatch; {
		if p.ctx.Err() == nil {
			batch, links = append(batch, p), append(links, p.link)
		}
		select {
		case p = <-l.queue:
		default:
			more = false
		}
	}
	if len(batch) == 0 {
		return
	}
	err := l.write(links)
	for _, p := range batch {
		p.done <- err
	}
}

// writeTotals writes the totals of repeats. What cannot be written waits for the next time.
func (l *Log) writeTotals() {
	totals := l.handed.take()
	for len(totals) > 0 {
		n := min(len(totals), maxBatch)
		links := make([]link, n)
		for i, t := range totals[:n] {
			links[i] = link{at: l.now(), body: t.body()}
		}
		if err := l.write(links); err != nil {
			l.cfg.Logger.Warn("totals of handed tokens not recorded yet", "totals", len(totals), "error", err)
			l.handed.giveBack(totals)
			return
		}
		totals = totals[n:]
	}
}

// write appends to the chain, all or nothing. Where another process has appended since,
// it continues from there.
func (l *Log) write(links []link) error {
	ctx, cancel := context.WithTimeout(context.Background(), l.cfg.Timeout)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		if err := l.findLast(ctx); err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		records, head := chain(l.last, links)
		before := l.last
		l.lastKnown = false
		err := l.cfg.Store.AppendAudit(ctx, records)
		if errors.Is(err, store.ErrConflict) && l.isStored(ctx, before, records[0]) {
			return nil // an attempt of the store's own got through, and a later one met it
		}
		if err == nil {
			l.last, l.lastKnown = head, true
			return nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		select {
		case <-time.After(rand.N(pause)):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
}

// findLast makes sure that the end of the chain is known.
func (l *Log) findLast(ctx context.Context) error {
	if l.lastKnown {
		return nil
	}
	head, err := ReadHead(ctx, l.cfg.Store)
	if err != nil {
		return err
	}
	l.last, l.lastKnown = head, true
	return nil
}

// isStored reports whether a record stands right after the place given.
func (l *Log) isStored(ctx context.Context, before Head, r store.AuditRecord) bool {
	page, err := l.cfg.Store.Audit(ctx, before.Seq, 1)
	return err == nil && len(page) == 1 && page[0].Seq == r.Seq && bytes.Equal(page[0].Hash, r.Hash)
}
