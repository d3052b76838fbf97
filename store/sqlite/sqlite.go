// Package sqlite keeps everything in one SQLite file on the local disk of one
// machine. One process at a time may have it open; a lock on a file beside it sees
// to that.
//
// What a method has written is on the disk when it returns: the database runs with
// a write-ahead log that is synced at every commit (WAL, synchronous=FULL), which is
// checked when it is opened. Callers that write at the same time share a commit, so
// that durability costs one sync of the disk for all of them.
//
// A caller whose context ends stops waiting; what he asked for may still happen.
//
// When the disk is full or fails, writes are refused with [store.ErrUnavailable],
// while reads go on. After a full disk Probe finds out that there is room again.
// After a failed sync (also [ErrSyncFailed]) only a restart of the process helps.
package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/sqlkit"
	"github.com/tuoguan/tuoguan/store"
)

// ErrSyncFailed, matched besides [store.ErrUnavailable], says that the disk refused
// to sync. The store stays unavailable until another process opens it.
var ErrSyncFailed = errors.New("sqlite: a sync failed; restart the process")

// minVersion is the first SQLite without a bug by which two connections could
// corrupt the write-ahead log when it began anew.
var minVersion = [3]int{3, 51, 3}

const (
	readerCount = 4
	// The caches are small on purpose: the kernel caches the file as well.
	writerCacheKiB = 4000
	readerCacheKiB = 1000
	// busyMillis is how long a statement waits for a lock that another program has.
	busyMillis = 2000
)

//go:embed migrations/*.sql
var migrations embed.FS

// Config says where the database is and how secrets are sealed.
type Config struct {
	// Path of the database file. It is created if it is missing, for its owner only,
	// and so is its directory. The files beside it (-wal, -shm, .lock) belong to it.
	Path string
	// Cipher seals every secret. Required.
	Cipher store.Cipher
	// Clock decides about leases. Defaults to the system's clock.
	Clock *tuoguan.Clock
	// Logger hears of failures of the disk. Defaults to silence.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Path == "" {
		errs = append(errs, errors.New("sqlite: Path is empty"))
	}
	if c.Cipher == nil {
		errs = append(errs, errors.New("sqlite: Cipher is missing"))
	}
	return errors.Join(errs...)
}

// Store is a store in one SQLite file. Make it with [Open].
type Store struct {
	cipher store.Cipher
	clock  *tuoguan.Clock
	lock   *lockFile
	writer *writer

	readers     chan *conn // those that are free
	readersOpen int
	closed      chan struct{} // closed by Close
	session     string        // begins the holder of every lease made meanwhile
	once        sync.Once
	err         error // of Close
}

var _ store.Store = (*Store)(nil)

// Open opens the database, creating or migrating it as needed. It refuses a
// database that another process has open, that a newer version has migrated, that
// was sealed under another key, or that does not sync what it commits.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	lock, err := prepareFiles(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	s := &Store{
		cipher: cfg.Cipher, clock: cfg.Clock, lock: lock, session: rand.Text() + "/",
		readers: make(chan *conn, readerCount), closed: make(chan struct{}),
	}
	if err := s.start(ctx, path, cfg.Logger); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: open %s: %w", path, err), s.Close())
	}
	return s, nil
}

func (s *Store) start(ctx context.Context, path string, log *slog.Logger) error {
	if err := migrate(ctx, path); err != nil {
		return err
	}
	c, err := openConn(dsn(path,
		"busy_timeout("+strconv.Itoa(busyMillis)+")",
		"journal_mode(wal)", "synchronous(full)", "wal_autocheckpoint(0)",
		"journal_size_limit(67108864)",
		"cache_size(-"+strconv.Itoa(writerCacheKiB)+")"))
	if err != nil {
		return err
	}
	if err := errors.Join(checkDurability(c), checkVersion(c)); err != nil {
		return errors.Join(err, c.close())
	}
	s.writer = startWriter(c, log)
	for range readerCount {
		c, err := openConn(dsn(path,
			"busy_timeout("+strconv.Itoa(busyMillis)+")", "query_only(1)",
			"cache_size(-"+strconv.Itoa(readerCacheKiB)+")"))
		if err != nil {
			return err
		}
		s.readers <- c
		s.readersOpen++
	}
	return s.checkKey(ctx)
}

func dsn(path string, pragmas ...string) string {
	path = "/" + strings.TrimPrefix(filepath.ToSlash(path), "/") // C:/… needs the slash
	return (&url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_pragma": pragmas}.Encode()}).String()
}

// migrate brings the schema up to date on a connection of its own.
func migrate(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", dsn(path,
		"busy_timeout("+strconv.Itoa(busyMillis)+")", "journal_mode(wal)", "synchronous(full)"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	dir, err := fs.Sub(migrations, "migrations")
	if err == nil {
		err = sqlkit.Migrate(ctx, db, dir)
	}
	return errors.Join(err, db.Close())
}

// checkDurability reads back what the database was told. A pragma that cannot be
// obeyed, as on some network file systems, is no error to SQLite.
func checkDurability(c *conn) error {
	for _, want := range []struct{ pragma, value, meaning string }{
		{"journal_mode", "wal", "the file system cannot hold a write-ahead log; use a local disk"},
		{"synchronous", "2", "commits would not be synced to the disk"},
	} {
		r, err := c.one("PRAGMA " + want.pragma)
		if err != nil {
			return err
		}
		if got := fmt.Sprint(r.take()); got != want.value {
			return fmt.Errorf("%s is %s instead of %s: %s", want.pragma, got, want.value, want.meaning)
		}
	}
	return nil
}

func checkVersion(c *conn) error {
	r, err := c.one("SELECT sqlite_version()")
	if err != nil {
		return err
	}
	return versionAtLeast(r.text(), minVersion)
}

// versionAtLeast compares a version of the form 3.51.3.
func versionAtLeast(version string, least [3]int) error {
	parts := strings.Split(version, ".")
	for i, want := range least {
		got := -1
		if i < len(parts) {
			got, _ = strconv.Atoi(parts[i])
		}
		if got > want {
			return nil
		}
		if got < want {
			return fmt.Errorf("SQLite %s may corrupt the database, %d.%d.%d is needed", version, least[0], least[1], least[2])
		}
	}
	return nil
}

// checkKey makes sure that the cipher opens what this database holds, before
// anything is written that only another key could open.
func (s *Store) checkKey(ctx context.Context) error {
	place := store.Place{Field: "key_check"}
	known, err := read(ctx, s, func(c *conn) (row, error) { return c.one(selectMeta, place.Field) })
	if err == nil {
		if _, err := s.cipher.Open(place, known.blob()); err != nil {
			return fmt.Errorf("the master key is not the one of this database: %w", err)
		}
		return nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	sealed, err := s.cipher.Seal(place, []byte("tuoguan"))
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return s.write(ctx, 1, func(c *conn) error {
		_, _, err := c.exec(putMeta, place.Field, sealed)
		return err
	})
}

// Probe makes a small durable write. After the disk was full it ends the
// unavailability, if there is room again.
func (s *Store) Probe(ctx context.Context) error {
	return s.writer.do(&op{ctx: ctx, steps: 1, probe: true, run: func(c *conn) error {
		_, _, err := c.exec(putProbe)
		return err
	}})
}

// Lost is closed when a sync of the disk has failed. Nobody knows then what is
// stored; the process has to end, and the next one finds out.
func (s *Store) Lost() <-chan struct{} { return s.writer.lost }

// Close waits for what is under way and closes the database, unless a sync has
// failed: closing would write and sync again, so it is left to the next process.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.closed)
		var errs []error
		if s.writer != nil {
			s.writer.close()
			if s.writer.final() {
				return
			}
			for range s.readersOpen {
				errs = append(errs, (<-s.readers).close())
			}
			errs = append(errs, s.writer.conn.close()) // last, for it checkpoints
		}
		s.err = errors.Join(append(errs, s.lock.release())...)
	})
	return s.err
}

// write has the writer run an operation. Steps says how many statements write.
func (s *Store) write(ctx context.Context, steps int, run func(*conn) error) error {
	return s.writer.do(&op{ctx: ctx, steps: steps, run: run})
}

// writeFor is write for an operation with a result, which is zero if it fails.
func writeFor[T any](ctx context.Context, s *Store, steps int, run func(*conn) (T, error)) (T, error) {
	var result, none T
	err := s.write(ctx, steps, func(c *conn) (err error) {
		result, err = run(c)
		return err
	})
	if err != nil {
		return none, err // result may still be written to
	}
	return result, nil
}

// read runs a query on a connection of its own, waiting until one is free.
func read[T any](ctx context.Context, s *Store, run func(*conn) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	select {
	case <-s.closed:
		return none, errClosed
	default:
	}
	select {
	case <-s.closed:
		return none, errClosed
	case <-ctx.Done():
		return none, ctx.Err()
	case c := <-s.readers:
		defer func() { s.readers <- c }()
		return run(c)
	}
}

// seal seals a secret for its place; an empty one stays empty.
func (s *Store) seal(place store.Place, secret tuoguan.Secret) ([]byte, error) {
	if secret.IsZero() {
		return nil, nil
	}
	return s.sealBytes(place, []byte(secret.Reveal()))
}

// sealBytes seals what is not nil.
func (s *Store) sealBytes(place store.Place, plaintext []byte) ([]byte, error) {
	if plaintext == nil {
		return nil, nil
	}
	sealed, err := s.cipher.Seal(place, plaintext)
	if err != nil {
		return nil, fmt.Errorf("seal %s of %s: %w", place.Field, owner(place), err)
	}
	return sealed, nil
}

// open is the reverse of seal.
func (s *Store) open(place store.Place, sealed []byte) (tuoguan.Secret, error) {
	plaintext, err := s.openBytes(place, sealed)
	return tuoguan.NewSecret(string(plaintext)), err
}

func (s *Store) openBytes(place store.Place, sealed []byte) ([]byte, error) {
	if sealed == nil {
		return nil, nil
	}
	plaintext, err := s.cipher.Open(place, sealed)
	if err != nil {
		return nil, fmt.Errorf("open %s of %s: %w", place.Field, owner(place), err)
	}
	if plaintext == nil {
		plaintext = []byte{} // empty, but there
	}
	return plaintext, nil
}

// owner names whose value is at a place.
func owner(place store.Place) tuoguan.TokenOwner {
	return tuoguan.AuthorizerToken(place.Component, place.Authorizer)
}

// readOne returns a single record, or store.ErrNotFound.
func readOne[T any](ctx context.Context, s *Store, decode func(row) (T, error), query string, args ...any) (T, error) {
	var none T
	r, err := read(ctx, s, func(c *conn) (row, error) { return c.one(query, args...) })
	if err != nil {
		return none, err
	}
	return whole(decode(r))
}

// whole returns a record, or nothing of it if a part of it did not open.
func whole[T any](record T, err error) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	return record, nil
}

// readAll returns records in the order of the query. Those whose secrets do not
// open are left out, and the error tells of them.
func readAll[T any](ctx context.Context, s *Store, decode func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := read(ctx, s, func(c *conn) ([]row, error) { return c.query(query, args...) })
	if err != nil {
		return nil, err
	}
	var all []T
	var errs []error
	for _, r := range rows {
		record, err := decode(r)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, record)
	}
	return all, errors.Join(errs...)
}

// limit returns how many records to list.
func limit(n int) int {
	if n <= 0 {
		return store.DefaultLimit
	}
	return n
}
