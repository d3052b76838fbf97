// Package storage opens the database that the configuration names, with the keys that
// seal it, and finds out whether it is the one that it says it is.
package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/mysql"
	"github.com/tuoguan/tuoguan/store/postgres"
	"github.com/tuoguan/tuoguan/store/sqlite"
)

var (
	// ErrKeyMissing: the storage holds something, and the file of its master key is gone.
	ErrKeyMissing = errors.New("the master key is missing")
	// ErrLocked: another process has the storage open, which one at a time may.
	ErrLocked = sqlite.ErrLocked
	// ErrPending: the database has to be migrated first.
	ErrPending = errors.New("migrations are pending")
	// ErrMissing: there is no database.
	ErrMissing = errors.New("there is no database yet")
)

// Options says how a storage is opened.
type Options struct {
	// Clock is the system's if nil.
	Clock *tuoguan.Clock
	// Logger defaults to one that discards.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Opened is a storage in use. Close it.
type Opened struct {
	Store   store.Store
	Archive store.Archive
	Ring    *seal.Ring // seals what is in Store; [seal.Ring.Refresh] it every [seal.RefreshInterval]
	KEK     seal.KEK

	Engine config.Engine
	// Shared is whether several processes may have the storage open at a time.
	Shared bool
	// Lost is closed when nobody knows any more what is on the disk and the process
	// has to end. Nil where that cannot happen.
	Lost <-chan struct{}
	// Installation is what the storage says of itself, as of now.
	Installation Installation
	// Copied is whether it was found just now to be a copy. The gate is closed then.
	Copied bool
}

// Close closes the storage.
func (o *Opened) Close() error { return o.Store.Close() }

// database is what every store on a disk is.
type database interface {
	store.Store
	store.Archive
}

// Open opens the storage named by a configuration that was checked. The database is
// brought up to date, and gets a key ring, and an identity, where it has none. A
// master key is made only where nothing was sealed yet.
//
// The error matches [seal.ErrWrongKey] or [ErrKeyMissing] where the master key is not
// the one of this storage; then nothing was written.
func Open(ctx context.Context, cfg config.Config, o Options) (*Opened, error) {
	opened, err := open(ctx, cfg, o.withDefaults())
	if err != nil {
		return nil, err
	}
	if err := opened.identify(ctx, cfg, o.withDefaults().Logger); err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return opened, nil
}

func open(ctx context.Context, cfg config.Config, o Options) (*Opened, error) {
	opened := &Opened{Engine: cfg.Engine()}
	if err := opened.connect(ctx, cfg, o, opened.keys(cfg)); err != nil {
		return nil, err
	}
	return opened, nil
}

// keys opens the key ring with the master key that the configuration names.
func (opened *Opened) keys(cfg config.Config) store.Keys {
	return func(ctx context.Context, settings store.Settings) (store.Cipher, error) {
		used, err := seal.Used(ctx, settings)
		if err != nil {
			return nil, err
		}
		if opened.KEK, err = MasterKey(cfg, used); err != nil {
			return nil, err
		}
		opened.Ring, err = seal.Open(ctx, opened.KEK, settings)
		return opened.Ring, err
	}
}

// connect opens the database with the keys given.
func (opened *Opened) connect(ctx context.Context, cfg config.Config, o Options, keys store.Keys) (err error) {
	if cfg.AllowUnsafeStorage {
		o.Logger.Warn("allow_unsafe_storage is set: a database that may lose what it has acknowledged is not refused", "storage", cfg.StorageName())
	}
	var db database
	switch opened.Engine {
	case config.SQLite:
		var s *sqlite.Store
		s, err = sqlite.Open(ctx, sqlite.Config{Path: cfg.SQLitePath(), Keys: keys, Clock: o.Clock, Logger: o.Logger})
		if err == nil {
			db, opened.Lost = s, s.Lost()
		}
	case config.PostgreSQL:
		opened.Shared = true
		db, err = postgres.Open(ctx, postgresConfig(cfg, o, keys))
	case config.MySQL:
		opened.Shared = true
		db, err = mysql.Open(ctx, mysqlConfig(cfg, o, keys))
	default:
		err = fmt.Errorf("storage %s: %w", cfg.StorageName(), errors.ErrUnsupported)
	}
	if err != nil {
		return err
	}
	opened.Store, opened.Archive = db, db
	return nil
}

func postgresConfig(cfg config.Config, o Options, keys store.Keys) postgres.Config {
	return postgres.Config{URL: tuoguan.NewSecret(cfg.Storage), Keys: keys, Clock: o.Clock, Logger: o.Logger, Unsafe: cfg.AllowUnsafeStorage}
}

func mysqlConfig(cfg config.Config, o Options, keys store.Keys) mysql.Config {
	return mysql.Config{URL: tuoguan.NewSecret(cfg.Storage), Keys: keys, Clock: o.Clock, Logger: o.Logger, Unsafe: cfg.AllowUnsafeStorage}
}

// MasterKey returns the master key that the configuration names. A missing file is
// made anew, unless the key is in use: a new one would open nothing, and look as if it
// were the one.
func MasterKey(cfg config.Config, inUse bool) (seal.KEK, error) {
	if !cfg.MasterKey.IsZero() {
		key, err := seal.ParseKey(cfg.MasterKey)
		if err != nil {
			return nil, fmt.Errorf("TUOGUAN_MASTER_KEY: %w", err)
		}
		return seal.NewLocal(key)
	}
	if inUse {
		return KeyFile(cfg.MasterKeyFile)
	}
	key, err := seal.LoadOrCreate(cfg.MasterKeyFile)
	if err != nil {
		return nil, err
	}
	return seal.NewLocal(key)
}

// KeyFile returns the master key in a file, which must be there: [ErrKeyMissing].
func KeyFile(path string) (seal.KEK, error) {
	key, err := seal.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is not there; put the key back from where you keep its copy: without it the data cannot be opened", ErrKeyMissing, path)
	}
	if err != nil {
		return nil, err
	}
	return seal.NewLocal(key)
}

// identify finds out whether the database is a copy.
func (opened *Opened) identify(ctx context.Context, cfg config.Config, log *slog.Logger) (err error) {
	var binding string
	switch opened.Engine {
	case config.SQLite:
		binding, err = fileBinding(cfg.SQLitePath())
	case config.PostgreSQL:
		binding, err = postgres.Binding(ctx, postgresConfig(cfg, Options{}, nil))
	}
	if err != nil {
		log.Warn("a copy of this database could not be told from it", "error", err)
	}
	opened.Installation, opened.Copied, err = identify(ctx, opened.Store, binding)
	if err == nil && opened.Copied {
		log.Error("this database is not the one that it was: it was copied, moved, or taken over from another server; nothing is refreshed before the gate is open", "storage", cfg.StorageName(), "installation", opened.Installation.ID)
	}
	return err
}

// OpenReader opens the storage to back it up, and leaves it as it is: nothing is
// migrated or compared. A file of SQLite is opened beside the server that has it open.
// The error matches [ErrMissing] if there is no database, [ErrPending] if it has to be
// migrated before.
func OpenReader(ctx context.Context, cfg config.Config, o Options) (*Opened, error) {
	opened, err := openReader(ctx, cfg, o.withDefaults())
	if err != nil {
		return nil, err
	}
	if _, err := setting(ctx, opened.Store, InstallationSetting, &opened.Installation); err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return opened, nil
}

func openReader(ctx context.Context, cfg config.Config, o Options) (*Opened, error) {
	if err := migrated(ctx, cfg); err != nil {
		return nil, err
	}
	if cfg.Engine() != config.SQLite {
		return open(ctx, cfg, o)
	}
	opened := &Opened{Engine: config.SQLite}
	s, err := sqlite.OpenReader(ctx, sqlite.Config{Path: cfg.SQLitePath(), Keys: opened.keys(cfg), Clock: o.Clock})
	if err != nil {
		return nil, err
	}
	opened.Store, opened.Archive = s, s
	return opened, nil
}

// migrated fails with ErrPending if the database has to be migrated.
func migrated(ctx context.Context, cfg config.Config) error {
	pending, err := Pending(ctx, cfg)
	if err == nil && len(pending) > 0 {
		err = fmt.Errorf("%w: %s", ErrPending, strings.Join(pending, ", "))
	}
	return err
}

// Pending returns the names of the migrations that Open would run.
func Pending(ctx context.Context, cfg config.Config) ([]string, error) {
	switch cfg.Engine() {
	case config.SQLite:
		if !Exists(cfg) {
			return nil, fmt.Errorf("%w: %s", ErrMissing, cfg.StorageName())
		}
		return sqlite.Pending(ctx, cfg.SQLitePath())
	case config.PostgreSQL:
		return postgres.Pending(ctx, postgresConfig(cfg, Options{}, nil))
	case config.MySQL:
		return mysql.Pending(ctx, mysqlConfig(cfg, Options{}, nil))
	}
	return nil, errors.ErrUnsupported
}

// Inspect opens the storage like Open, for looking at it: whether it is a copy is
// not found out, and nothing is migrated.
func Inspect(ctx context.Context, cfg config.Config, o Options) (*Opened, error) {
	if err := migrated(ctx, cfg); err != nil {
		return nil, err
	}
	return open(ctx, cfg, o.withDefaults())
}

// Exists reports whether there is a database at all, as far as that can be told
// without connecting to it.
func Exists(cfg config.Config) bool {
	if cfg.Engine() != config.SQLite {
		return true
	}
	_, err := os.Stat(cfg.SQLitePath())
	return err == nil
}
