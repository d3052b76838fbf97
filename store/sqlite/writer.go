package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tuoguan/tuoguan/internal/sqlstore"
	"github.com/tuoguan/tuoguan/store"
)

const (
	// maxBatch is how many operations share one commit at most.
	maxBatch = 256
	// gatherYields is how often the writer yields before it looks whether there is
	// more to do.
	gatherYields = 4
	// maxQueue is how many operations may wait. More than that are refused: a disk
	// that has come to a standstill must not fill the memory.
	maxQueue = 4096
	// checkpointPages is after how many pages the write-ahead log is copied into the
	// database: 8 MiB, which a start after a crash reads in a moment.
	checkpointPages = 2048
	// checkpointEvery is after how many commits the length of the log is looked at.
	checkpointEvery = 8
	// manySteps is from how many steps on an operation gets a large cache.
	manySteps = 1000
	// restartPages is how long the log may become before writers wait a little for
	// readers that keep it from beginning anew.
	restartPages = 16 * checkpointPages
)

var (
	errQueueFull = fmt.Errorf("%w: too many writes are waiting", store.ErrUnavailable)
	errClosed    = fmt.Errorf("%w: it is closed", store.ErrUnavailable)
)

// writer is the only one who writes. It runs whatever operations are waiting in one
// transaction, so that they share the one sync of the disk which makes them durable
// (group commit), and answers them once it is done. An operation that fails leaves
// its neighbours alone.
//
// A failure of the disk fails the whole batch and makes the store unavailable:
//
//   - While the disk is full or refuses a write, operations are refused without
//     being tried until a probe succeeds. The database itself is sound.
//   - After a sync that failed, nobody knows what is on the disk: the kernel may have
//     dropped the data and still report success the next time. The writer never
//     touches the database again, not even to close it. Only a new process, which
//     reads the disk anew, can tell what was kept.
type writer struct {
	conn *conn
	log  *slog.Logger

	mu     sync.Mutex
	queue  []*op
	closed bool

	wake chan struct{} // holds a token while there is something to do
	done chan struct{} // closed when the goroutine has ended

	failure atomic.Pointer[failure]
	lost    chan struct{} // closed when a sync has failed

	snapshot atomic.Bool // a reader needs the log as it is for long

	commits      int
	checkpointAt int64 // length of the log in pages at which to try again
}

// failure is why the store is unavailable.
type failure struct {
	err   error
	final bool
}

// op is one operation. Its outcome goes through done, never through shared
// variables: the caller may have left.
type op struct {
	ctx    context.Context
	run    func(sqlstore.Tx) error
	steps  int  // statements that write; several need a savepoint
	probe  bool // is let through while the store is unavailable
	err    error
	answer chan error
}

func startWriter(c *conn, log *slog.Logger) *writer {
	w := &writer{
		conn: c, log: log,
		wake: make(chan struct{}, 1), done: make(chan struct{}), lost: make(chan struct{}),
		checkpointAt: checkpointPages,
	}
	go w.loop()
	return w
}

// do has the writer run an operation and waits until it is durable. If ctx ends
// first, the operation may still happen.
func (w *writer) do(o *op) error {
	if err := o.ctx.Err(); err != nil {
		return err
	}
	if f := w.failure.Load(); f != nil && !o.probe {
		return f.err
	}
	o.answer = make(chan error, 1)
	if err := w.enqueue(o); err != nil {
		return err
	}
	select {
	case err := <-o.answer:
		return err
	case <-o.ctx.Done():
		return o.ctx.Err()
	}
}

func (w *writer) enqueue(o *op) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errClosed
	}
	if len(w.queue) >= maxQueue {
		w.queue = slices.DeleteFunc(w.queue, func(o *op) bool { return o.ctx.Err() != nil }) // nobody waits for these
	}
	if len(w.queue) >= maxQueue {
		return errQueueFull
	}
	w.queue = append(w.queue, o)
	w.rouse()
	return nil
}

func (w *writer) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// close lets the writer finish what is waiting and waits for it.
func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	w.rouse()
	w.mu.Unlock()
	<-w.done
}

func (w *writer) loop() {
	defer close(w.done)
	for {
		w.gather()
		batch, closed := w.take()
		switch {
		case len(batch) > 0:
			w.commit(batch)
		case closed:
			return
		default:
			<-w.wake
		}
	}
}

// gather lets others run as long as that brings more operations. Those who were
// answered by the last commit are about to come back with their next, and it costs
// far less to take them along than to sync the disk once more.
func (w *writer) gather() {
	for last := 0; ; {
		w.mu.Lock()
		n := len(w.queue)
		w.mu.Unlock()
		if n <= last || n >= maxBatch {
			return
		}
		last = n
		for range gatherYields {
			runtime.Gosched()
		}
	}
}

// take removes the next batch from the queue.
func (w *writer) take() (batch []*op, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.queue), maxBatch)
	batch, w.queue = w.queue[:n:n], w.queue[n:]
	if len(w.queue) == 0 {
		w.queue = nil // the next one must not grow into this batch
	}
	return batch, w.closed
}

// commit runs a batch and answers it.
func (w *writer) commit(batch []*op) {
	trial := w.failure.Load() != nil
	err := w.transact(batch)
	if err == nil && trial {
		err = w.recover()
	}
	for _, o := range batch {
		if err != nil {
			o.err = err
		}
		o.answer <- o.err
	}
	if w.commits++; err == nil && !trial && w.commits%checkpointEvery == 0 {
		w.checkpoint()
	}
}

// transact runs a batch in one transaction. If it returns an error nothing of the
// batch has happened, except that after a failed sync this is not known.
func (w *writer) transact(batch []*op) error {
	if f := w.failure.Load(); f != nil {
		if f.final || !probing(batch) {
			return f.err
		}
	}
	if _, err := w.conn.Exec("BEGIN IMMEDIATE"); err != nil {
		return w.failed("begin", err)
	}
	for _, o := range batch {
		if o.err = o.ctx.Err(); o.err != nil {
			continue // nobody waits for it any more
		}
		var ruin error
		if o.err, ruin = w.run(o); ruin != nil {
			_, _ = w.conn.Exec("ROLLBACK") // SQLite may have done it already
			return w.failed("write", ruin)
		}
	}
	if _, err := w.conn.Exec("COMMIT"); err != nil {
		err = w.failed("commit", err)
		if !w.final() {
			_, _ = w.conn.Exec("ROLLBACK")
		}
		return err
	}
	return nil
}

// final reports whether the database must not be touched any more.
func (w *writer) final() bool {
	f := w.failure.Load()
	return f != nil && f.final
}

func probing(batch []*op) bool {
	for _, o := range batch {
		if o.probe {
			return true
		}
	}
	return false
}

// run runs one operation within the transaction. Ruin is an error that concerns
// all of it.
func (w *writer) run(o *op) (err, ruin error) {
	if o.steps >= manySteps {
		// Rows come in the order of one index only. Pages of the others that do not stay
		// in memory would be written once for nearly every row.
		if err := w.conn.pragma("cache_size", -loadCacheKiB); err != nil {
			return nil, err
		}
		defer func() { ruin = errors.Join(ruin, w.conn.pragma("cache_size", -writerCacheKiB)) }()
	}
	if o.steps < 2 {
		err = o.run(w.conn)
		return err, ruinous(err)
	}
	if _, err := w.conn.Exec("SAVEPOINT op"); err != nil {
		return nil, err
	}
	err = o.run(w.conn)
	if ruin := ruinous(err); ruin != nil {
		return nil, ruin
	}
	if err != nil {
		if _, err := w.conn.Exec("ROLLBACK TO op"); err != nil {
			return nil, err
		}
	}
	_, ruin = w.conn.Exec("RELEASE op")
	return err, ruin
}

// code returns SQLite's extended result code, 0 if err is none of SQLite's.
func code(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code()
}

// ruinous returns err if SQLite may have rolled back the whole transaction by it.
func ruinous(err error) error {
	switch code(err) & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_BUSY,
		sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB,
		sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL:
		return err
	}
	return nil
}

// failed notes a failure of the disk and returns what to answer.
func (w *writer) failed(what string, err error) error {
	var f *failure
	switch c := code(err); {
	case c == sqlite3.SQLITE_IOERR_FSYNC || c == sqlite3.SQLITE_IOERR_DIR_FSYNC:
		f = &failure{err: fmt.Errorf("%w: %w: %w", store.ErrUnavailable, ErrSyncFailed, err), final: true}
	case c&0xff == sqlite3.SQLITE_BUSY || c&0xff == sqlite3.SQLITE_NOMEM || c&0xff == sqlite3.SQLITE_INTERRUPT:
		return fmt.Errorf("sqlite: %s: %w", what, err) // passes
	default:
		f = &failure{err: fmt.Errorf("%w: %s: %w", store.ErrUnavailable, what, err)}
	}
	old := w.failure.Swap(f)
	if f.final && (old == nil || !old.final) {
		close(w.lost)
	}
	if old == nil || f.final {
		w.log.Error("the database does not take writes", "op", what, "error", err, "final", f.final)
	}
	return f.err
}

// recover ends the unavailability after a probe was committed, if the log can be
// copied into the database too: where only the log has room left, the next write
// that matters may be the one that finds none.
func (w *writer) recover() error {
	if _, err := w.walCheckpoint("PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		return w.failed("checkpoint", err)
	}
	w.failure.Store(nil)
	w.log.Info("the database takes writes again")
	return nil
}

// checkpoint copies the write-ahead log into the database once it is long enough.
// SQLite would do so by itself after a commit, but it keeps failures to itself; a
// failed sync of the database file must not be followed by another.
func (w *writer) checkpoint() {
	length, err := w.walCheckpoint("PRAGMA wal_checkpoint(NOOP)")
	if err == nil && length >= w.checkpointAt {
		mode := "PRAGMA wal_checkpoint(PASSIVE)"
		if length >= restartPages && !w.snapshot.Load() {
			mode = "PRAGMA wal_checkpoint(RESTART)" // waits for readers, by busy_timeout
		}
		_, err = w.walCheckpoint(mode)
		w.checkpointAt = length + checkpointPages
	} else if length < checkpointPages {
		w.checkpointAt = checkpointPages // the log began anew
	}
	if err != nil {
		_ = w.failed("checkpoint", err)
	}
}

// walCheckpoint runs a checkpoint statement and returns the length of the log in pages.
func (w *writer) walCheckpoint(statement string) (int64, error) {
	r, err := w.conn.One(statement)
	if err != nil {
		return 0, err
	}
	r.Take() // whether a reader was in the way
	return r.Int64(), nil
}
