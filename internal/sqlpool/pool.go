// Package sqlpool is the [sqlstore.Engine] of databases that are reached over a
// network and shared with other processes, on database/sql.
//
// What such a database answers decides what happens. A transaction that was undone
// because of another one runs again, and so does one whose connection was lost before
// it was to be committed. Where the connection is lost while the commit is under way,
// nobody knows the outcome: that is [ErrUnknown], and it takes reading to find out.
package sqlpool

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan/internal/sqlstore"
	"github.com/tuoguan/tuoguan/store"
)

// ErrUnknown, matched besides [store.ErrUnavailable], says that it is not known
// whether something was committed.
var ErrUnknown = errors.New("it is not known whether this was committed")

const (
	// Deadline is how long a transaction may take, with all of its attempts. Dialects
	// have the database keep to it too, for a process that stands still cannot.
	Deadline = 5 * time.Second
	// manySteps is from where on a transaction may take as long as it needs: whoever
	// loads an archive is waited for.
	manySteps = 1000
	// Connections is how many there are at most. A server has few to give, and replicas
	// share them.
	Connections = 16

	attempts   = 8
	firstPause = 10 * time.Millisecond // before the second attempt, at most; then twice as much each
	lastPause  = 400 * time.Millisecond
	// commitWithin is what a commit gets at least, whoever has stopped waiting.
	commitWithin = time.Second
)

// Class says what an error means for a transaction.
type Class int

const (
	// Final: the statement is wrong or forbidden. Trying again does not help.
	Final Class = iota
	// Conflict: undone because of another transaction, or found out about one by a
	// violated unique constraint. Another attempt may succeed.
	Conflict
	// Refused: undone because the database has no room, no connection to give, or does
	// not take writes at the moment.
	Refused
	// Lost: the connection is gone, or nobody answers on it.
	Lost
)

// Dialect is what tells one kind of database from another.
type Dialect struct {
	// Numbered is set where placeholders are $1, $2 …; else they are question marks.
	Numbered bool
	// Returning is set where an insert that returns the new id yields it as a row.
	Returning bool
	// Begin is the statement that begins a transaction.
	Begin string
	// BeginSnapshot are those that begin one that only reads, sees everything as of one
	// instant, and takes as long as it likes.
	BeginSnapshot []string
	// Alone is set where a single statement may go without a transaction around it.
	Alone bool
	// Probe is a statement that writes durably.
	Probe string
	// Classify judges an error of the driver.
	Classify func(error) Class
	// Text makes a text one that the database takes.
	Text func(string) string
}

// Pool is a bounded number of connections to a database. Make it with [New].
type Pool struct {
	db         *sql.DB
	dialect    Dialect
	statements sync.Map // from a query to its *statement

	mu     sync.Mutex
	closed bool
	work   sync.WaitGroup
}

var _ sqlstore.Engine = (*Pool)(nil)

// New makes a pool of db, which becomes its own.
func New(db *sql.DB, d Dialect) *Pool {
	db.SetMaxOpenConns(Connections)
	db.SetMaxIdleConns(Connections)
	return &Pool{db: db, dialect: d}
}

// enter counts work in, unless the pool is closed.
func (p *Pool) enter() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("%w: it is closed", store.ErrUnavailable)
	}
	p.work.Add(1)
	return nil
}

// Close implements [sqlstore.Engine].
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.work.Wait()
	return p.db.Close()
}

// Write implements [sqlstore.Engine].
func (p *Pool) Write(ctx context.Context, steps int, run func(sqlstore.Tx) error) error {
	within := Deadline
	if steps >= manySteps {
		within = 0
	}
	if steps <= 1 && p.dialect.Alone {
		return p.repeat(ctx, within, func(ctx context.Context) (bool, error) { return p.alone(ctx, run) })
	}
	return p.repeat(ctx, within, func(ctx context.Context) (bool, error) {
		return p.transact(ctx, run)
	})
}

// Read implements [sqlstore.Engine].
func (p *Pool) Read(ctx context.Context, run func(sqlstore.Tx) error) error {
	return p.repeat(ctx, Deadline, func(ctx context.Context) (bool, error) { return p.alone(ctx, run) })
}

// Snapshot implements [sqlstore.Engine]. The connection is of no further use, so the
// statements that begin one may change what they like about it.
func (p *Pool) Snapshot(ctx context.Context, run func(sqlstore.Tx) error) error {
	return p.repeat(ctx, 0, func(ctx context.Context) (again bool, err error) {
		t, err := p.take(ctx)
		if err != nil {
			return true, err
		}
		defer t.give(false)
		if err := t.command(ctx, p.dialect.BeginSnapshot...); err != nil {
			return true, unavailable(err)
		}
		if err = run(t); t.failure != nil {
			err = unavailable(t.failure)
		}
		return false, err // run may have passed on what it read
	})
}

// Probe implements [sqlstore.Engine].
func (p *Pool) Probe(ctx context.Context) error {
	return p.Write(ctx, 1, func(tx sqlstore.Tx) error {
		_, err := tx.Exec(p.dialect.Probe)
		return err
	})
}

// repeat makes attempts until one succeeds, or says that another is of no use. There
// is no deadline if within is zero.
func (p *Pool) repeat(ctx context.Context, within time.Duration, attempt func(context.Context) (again bool, err error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.enter(); err != nil {
		return err
	}
	defer p.work.Done()
	bounded, cancel := ctx, context.CancelFunc(func() {})
	if within > 0 {
		bounded, cancel = context.WithTimeout(ctx, within)
	}
	defer cancel()
	pause := firstPause
	for left := attempts - 1; ; left-- {
		again, err := attempt(bounded)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err() // he has stopped waiting, which may be all that went wrong
		}
		if !again || left == 0 {
			return err
		}
		select {
		case <-bounded.Done():
			return err
		case <-time.After(rand.N(pause)):
		}
		pause = min(2*pause, lastPause)
	}
}

// alone runs statements each of which is a transaction of its own.
func (p *Pool) alone(ctx context.Context, run func(sqlstore.Tx) error) (again bool, err error) {
	t, err := p.take(ctx)
	if err != nil {
		return true, err
	}
	sound := false
	defer func() { t.give(sound) }()
	err = run(t)
	if t.failure == nil {
		sound = true
		return false, err
	}
	switch p.dialect.Classify(t.failure) {
	case Conflict:
		sound = true
		return true, t.failure
	case Refused:
		return true, unavailable(t.failure)
	case Lost:
		if t.wrote && !errors.Is(t.failure, driver.ErrBadConn) { // which says that it was not sent
			return false, unknown(t.failure)
		}
		return true, unavailable(t.failure)
	}
	sound = true
	return false, t.failure
}

// transact runs a transaction.
func (p *Pool) transact(ctx context.Context, run func(sqlstore.Tx) error) (again bool, err error) {
	t, err := p.take(ctx)
	if err != nil {
		return true, err
	}
	sound := false
	defer func() { t.give(sound) }()
	err = t.command(ctx, p.dialect.Begin)
	if err == nil {
		err = run(t)
	}
	if err == nil && t.failure == nil {
		// A commit is not given up because of somebody who stopped waiting for it.
		patient, cancel := withAtLeast(ctx, commitWithin)
		defer cancel()
		if t.command(patient, "COMMIT") == nil {
			sound = true
			return false, nil
		}
		if p.dialect.Classify(t.failure) == Conflict {
			sound = t.rollback(ctx)
			return true, t.failure
		}
		return false, unknown(t.failure)
	}
	if t.failure == nil {
		sound = t.rollback(ctx)
		return false, err
	}
	switch p.dialect.Classify(t.failure) {
	case Conflict:
		sound = t.rollback(ctx)
		return true, t.failure
	case Refused, Lost: // closing the connection undoes it
		return true, unavailable(t.failure)
	}
	sound = t.rollback(ctx)
	return false, t.failure
}

// withAtLeast returns a context with the values and the deadline of ctx, or one that
// leaves some time if that is later, and is not canceled before.
func withAtLeast(ctx context.Context, some time.Duration) (context.Context, context.CancelFunc) {
	end := time.Now().Add(some)
	if deadline, ok := ctx.Deadline(); !ok {
		end = time.Now().Add(Deadline)
	} else if deadline.After(end) {
		end = deadline
	}
	return context.WithDeadline(context.WithoutCancel(ctx), end)
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", store.ErrUnavailable, err) }

func unknown(err error) error { return fmt.Errorf("%w: %w: %w", store.ErrUnavailable, ErrUnknown, err) }
