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
	// Deadline is how long a transaction may take. Dialects have the database keep to it
	// too, for a process that stands still cannot.
	Deadline = 5 * time.Second
	// Patience is how long all attempts may take together, and the waits before them.
	Patience = 2 * Deadline
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
	return p.repeat(ctx, steps < manySteps, func(t *tx) (again bool, err error) {
		if steps <= 1 && p.dialect.Alone {
			return t.alone(run)
		}
		return t.transact(run)
	})
}

// Read implements [sqlstore.Engine].
func (p *Pool) Read(ctx context.Context, run func(sqlstore.Tx) error) error {
	return p.repeat(ctx, true, func(t *tx) (again bool, err error) { return t.alone(run) })
}

// Snapshot implements [sqlstore.Engine]. The connection is of no further use, so the
// statements that begin one may change what they like about it.
func (p *Pool) Snapshot(ctx context.Context, run func(sqlstore.Tx) error) error {
	return p.repeat(ctx, false, func(t *tx) (again bool, err error) {
		if err := t.command(t.ctx, p.dialect.BeginSnapshot...); err != nil {
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

// repeat makes attempts until one succeeds, or says that another is of no use. Each
// has a connection; bounded, it also has a deadline, and all of them have another.
func (p *Pool) repeat(ctx context.Context, bounded bool, attempt func(*tx) (again bool, err error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.enter(); err != nil {
		return err
	}
	defer p.work.Done()
	patient, cancel := ctx, context.CancelFunc(func() {})
	if bounded {
		patient, cancel = context.WithTimeout(ctx, Patience)
	}
	defer cancel()
	pause := firstPause
	for left := attempts - 1; ; left-- {
		again, err := p.connected(patient, bounded, attempt)
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
		case <-patient.Done():
			return err
		case <-time.After(rand.N(pause)):
		}
		pause = min(2*pause, lastPause)
	}
}

// connected makes an attempt as soon as there is a connection.
func (p *Pool) connected(ctx context.Context, bounded bool, attempt func(*tx) (again bool, err error)) (again bool, err error) {
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return true, fmt.Errorf("%w: connect: %w", store.ErrUnavailable, err)
	}
	if bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, Deadline)
		defer cancel()
	}
	t := &tx{pool: p, ctx: ctx, conn: conn}
	defer t.give()
	return attempt(t)
}

// alone runs statements each of which is a transaction of its own.
func (t *tx) alone(run func(sqlstore.Tx) error) (again bool, err error) {
	err = run(t)
	if t.failure == nil {
		t.sound = true
		return false, err
	}
	switch t.class() {
	case Conflict:
		t.sound = true
		return true, unavailable(t.failure)
	case Refused:
		return true, unavailable(t.failure)
	case Lost:
		if t.wrote && !errors.Is(t.failure, driver.ErrBadConn) { // which says that it was not sent
			return false, unknown(t.failure)
		}
		return true, unavailable(t.failure)
	}
	t.sound = true
	return false, t.failure
}

// transact runs a transaction.
func (t *tx) transact(run func(sqlstore.Tx) error) (again bool, err error) {
	err = t.command(t.ctx, t.pool.dialect.Begin)
	if err == nil {
		err = run(t)
	}
	if err == nil && t.failure == nil {
		return t.commit()
	}
	if t.failure == nil {
		t.rollback()
		return false, err
	}
	switch t.class() {
	case Conflict:
		t.rollback()
		return true, unavailable(t.failure)
	case Refused, Lost: // closing the connection undoes it
		return true, unavailable(t.failure)
	}
	t.rollback()
	return false, t.failure
}

// commit ends a transaction. It is not given up because of somebody who stopped
// waiting for it.
func (t *tx) commit() (again bool, err error) {
	patient, cancel := withAtLeast(t.ctx, commitWithin)
	defer cancel()
	if t.command(patient, "COMMIT") == nil {
		t.sound = true
		return false, nil
	}
	if t.class() == Conflict {
		t.rollback()
		return true, unavailable(t.failure)
	}
	return false, unknown(t.failure)
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
