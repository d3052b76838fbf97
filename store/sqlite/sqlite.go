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

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/sqlkit"
	"github.com/tuoguan/tuoguan/internal/sqlstore"
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
	loadCacheKiB   = 256_000
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
	// Keys make the cipher that seals every secret. Required.
	Keys store.Keys
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
	if c.Keys == nil {
		errs = append(errs, errors.New("sqlite: Keys are missing"))
	}
	return errors.Join(errs...)
}

// Store is a store in one SQLite file. Make it with [Open].
type Store struct {
	*sqlstore.Store
	engine *engine
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Archive = (*Store)(nil)
)

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
	e, err := openEngine(ctx, path, cfg.Logger)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	s, err := sqlstore.New(ctx, e, queries(), cfg.Keys, cfg.Clock)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: open %s: %w", path, err), e.Close())
	}
	return &Store{Store: s, engine: e}, nil
}

// Lost is closed when a sync of the disk has failed. Nobody knows then what is
// stored; the process has to end, and the next one finds out.
func (s *Store) Lost() <-chan struct{} { return s.engine.writer.lost }

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
		r, err := c.One("PRAGMA " + want.pragma)
		if err != nil {
			return err
		}
		if got := fmt.Sprint(r.Take()); got != want.value {
			return fmt.Errorf("%s is %s instead of %s: %s", want.pragma, got, want.value, want.meaning)
		}
	}
	return nil
}

func checkVersion(c *conn) error {
	r, err := c.One("SELECT sqlite_version()")
	if err != nil {
		return err
	}
	return versionAtLeast(r.Text(), minVersion)
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
