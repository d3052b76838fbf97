package sqlite

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"

	"github.com/tuoguan/tuoguan/internal/sqlstore"
)

// engine runs transactions on one file: those that write on the writer's
// connection, one after the other, and queries on connections of their own.
type engine struct {
	path   string
	lock   *lockFile
	writer *writer

	readers     chan *conn // those that are free
	readersOpen int
	snapshot    chan struct{} // holds a token while there is none under way
	closed      chan struct{} // closed by Close
	once        sync.Once
	err         error // of Close
}

func openEngine(ctx context.Context, path string, log *slog.Logger) (*engine, error) {
	lock, err := prepareFiles(path)
	if err != nil {
		return nil, err
	}
	e := &engine{
		path: path, lock: lock, readers: make(chan *conn, readerCount),
		snapshot: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	e.snapshot <- struct{}{}
	if err := e.start(ctx, log); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func (e *engine) start(ctx context.Context, log *slog.Logger) error {
	if err := migrate(ctx, e.path); err != nil {
		return err
	}
	c, err := openConn(dsn(e.path,
		"busy_timeout("+strconv.Itoa(busyMillis)+")",
		"journal_mode(wal)", "synchronous(full)", "wal_autocheckpoint(0)",
		"journal_size_limit(67108864)",
		"temp_store(memory)", // what undoes an operation alone is never as much as the log
		"cache_size(-"+strconv.Itoa(writerCacheKiB)+")"))
	if err != nil {
		return err
	}
	if err := errors.Join(checkDurability(c), checkVersion(c)); err != nil {
		return errors.Join(err, c.close())
	}
	e.writer = startWriter(c, log)
	for range readerCount {
		c, err := e.openReader()
		if err != nil {
			return err
		}
		e.readers <- c
		e.readersOpen++
	}
	err = e.Write(ctx, 1, func(tx sqlstore.Tx) error {
		_, err := tx.Exec(endLeases)
		return err
	})
	if err != nil {
		log.Warn("the leases of an earlier process last until they end by themselves", "error", err)
	}
	return nil
}

func (e *engine) openReader() (*conn, error) {
	return openConn(dsn(e.path,
		"busy_timeout("+strconv.Itoa(busyMillis)+")", "query_only(1)",
		"cache_size(-"+strconv.Itoa(readerCacheKiB)+")"))
}

// Write implements [sqlstore.Engine].
func (e *engine) Write(ctx context.Context, steps int, run func(sqlstore.Tx) error) error {
	return e.writer.do(&op{ctx: ctx, steps: steps, run: run})
}

// Probe makes a small durable write. After the disk was full it ends the
// unavailability, if there is room again.
func (e *engine) Probe(ctx context.Context) error {
	return e.writer.do(&op{ctx: ctx, steps: 1, probe: true, run: func(tx sqlstore.Tx) error {
		_, err := tx.Exec(putProbe)
		return err
	}})
}

// Read implements [sqlstore.Engine].
func (e *engine) Read(ctx context.Context, run func(sqlstore.Tx) error) error {
	c, err := take(ctx, e, e.readers)
	if err != nil {
		return err
	}
	defer func() { e.readers <- c }()
	return run(c)
}

// take waits until something is free.
func take[T any](ctx context.Context, e *engine, free <-chan T) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	select {
	case <-e.closed:
		return none, errClosed
	default:
	}
	select {
	case <-e.closed:
		return none, errClosed
	case <-ctx.Done():
		return none, ctx.Err()
	case v := <-free:
		return v, nil
	}
}

// Snapshot implements [sqlstore.Engine], on a connection of its own. There is one
// at a time, for the write-ahead log cannot begin anew meanwhile.
func (e *engine) Snapshot(ctx context.Context, run func(sqlstore.Tx) error) (err error) {
	if _, err := take(ctx, e, e.snapshot); err != nil {
		return err
	}
	e.writer.snapshot.Store(true)
	defer func() {
		e.writer.snapshot.Store(false)
		e.snapshot <- struct{}{}
	}()
	c, err := e.openReader()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if _, err := c.Exec("BEGIN"); err != nil {
		return err
	}
	return run(c)
}

// Close waits for what is under way and closes the database, unless a sync has
// failed: closing would write and sync again, so it is left to the next process.
func (e *engine) Close() error {
	e.once.Do(func() {
		close(e.closed)
		var errs []error
		if e.writer != nil {
			<-e.snapshot
			e.writer.close()
			if e.writer.final() {
				return
			}
			for range e.readersOpen {
				errs = append(errs, (<-e.readers).close())
			}
			errs = append(errs, e.writer.conn.close()) // last, for it checkpoints
		}
		e.err = errors.Join(append(errs, e.lock.release())...)
	})
	return e.err
}
