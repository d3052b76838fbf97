// Package postgres keeps everything in a PostgreSQL database, which any number of
// processes may share.
//
// What a method has written is durable when it returns, as far as the server keeps
// its word: [Open] refuses one that is set up to forget (fsync, synchronous_commit or
// full_page_writes off), unless it is told otherwise. The database's clock decides
// about leases. Every transaction ends within seconds, also where the process that
// began it stands still.
//
// Errors that are the database's match [store.ErrUnavailable]. Where the connection
// is lost while a commit is under way nobody knows whether it happened; all writes
// are such that they may be repeated.
//
// Behind a pooler that gives each transaction another connection (PgBouncer in
// transaction mode), add default_query_exec_mode=exec to the URL.
package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/sqlkit"
	"github.com/tuoguan/tuoguan/internal/sqlpool"
	"github.com/tuoguan/tuoguan/internal/sqlstore"
	"github.com/tuoguan/tuoguan/store"
)

// ErrNotDurable says that the server may lose what it has committed. The error names
// the settings that are to blame, and how to change them.
var ErrNotDurable = sqlpool.ErrNotDurable

// minVersion is the oldest server that is supported by its makers.
const minVersion = 130000

//go:embed migrations/*.sql
var migrations embed.FS

// Config says where the database is and how secrets are sealed.
type Config struct {
	// URL is postgres://user:password@host:port/database, with parameters as libpq has
	// them: sslmode, sslrootcert, … What it leaves out comes from libpq's environment
	// variables and defaults. Required.
	URL tuoguan.Secret
	// Keys makes the cipher that seals every secret. Required.
	Keys store.Keys
	// Clock is added to the database's clock by its offset. Defaults to no offset.
	Clock *tuoguan.Clock
	// Logger hears of a server that is not durable. Defaults to silence.
	Logger *slog.Logger
	// Unsafe accepts a server that may lose what it has committed, with a warning
	// every time.
	Unsafe bool
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.URL.IsZero() {
		errs = append(errs, errors.New("postgres: URL is empty"))
	}
	if c.Keys == nil {
		errs = append(errs, errors.New("postgres: Keys is missing"))
	}
	return errors.Join(errs...)
}

// Store is a store in a PostgreSQL database. Make it with [Open].
type Store struct{ *sqlstore.Store }

var (
	_ store.Store   = (*Store)(nil)
	_ store.Archive = (*Store)(nil)
)

// Open connects to the database and migrates it as needed; of several processes that
// start at once one does it. It refuses a server that is too old, that only reads,
// or that may lose what it has committed ([ErrNotDurable]), and a database that a
// newer version has migrated.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	if err := Migrate(ctx, cfg); err != nil {
		return nil, err
	}
	conn, err := parse(cfg.URL)
	if err != nil {
		return nil, err
	}
	pool := sqlpool.New(openPool(conn), dialect(conn))
	s, err := sqlstore.New(ctx, pool, queries(), cfg.Keys, cfg.Clock)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("postgres: open: %w", err), pool.Close())
	}
	return &Store{s}, nil
}

// Migrate checks the server as Open does and brings the database up to date. Keys
// are not needed.
func Migrate(ctx context.Context, cfg Config) error {
	return administer(ctx, cfg, func(db *sql.DB) error { return steps().Apply(ctx, db) })
}

// Pending checks the server and names the migrations that Open would run.
func Pending(ctx context.Context, cfg Config) (names []string, err error) {
	err = administer(ctx, cfg, func(db *sql.DB) (err error) {
		names, err = steps().Pending(ctx, db)
		return err
	})
	return names, err
}

func steps() sqlkit.Migrations {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the name is a valid one
	}
	return sqlkit.Migrations{Dir: dir, Lock: `SELECT 1 FROM pg_advisory_xact_lock(` + strconv.Itoa(lockKey) + `)`}
}

// lockKey is the advisory lock that migrations take, in the database.
const lockKey = 0x74756f6775616e // tuoguan

// administer calls f with a connection as the server has it, without our settings,
// once that server has been found good.
func administer(ctx context.Context, cfg Config, f func(*sql.DB) error) error {
	cfg = cfg.withDefaults()
	conn, err := parse(cfg.URL)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*conn)
	db.SetMaxOpenConns(1)
	err = check(ctx, db, cfg)
	if err == nil {
		err = f(db)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("postgres: open: %w", err)
	}
	return nil
}

// parse reads the URL. Errors do not repeat it, for it holds a password.
func parse(secret tuoguan.Secret) (*pgx.ConnConfig, error) {
	const form = "postgres: the URL is not of the form postgres://user:password@host:port/database?sslmode=verify-full"
	u, err := url.Parse(secret.Reveal())
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, errors.New(form)
	}
	conn, err := pgx.ParseConfig(secret.Reveal())
	if err != nil {
		var parsing *pgconn.ParseConfigError
		if errors.As(err, &parsing) {
			err = parsing.Unwrap()
		}
		reason := "unknown"
		if err != nil {
			reason = err.Error()
		}
		if password, ok := u.User.Password(); ok && password != "" {
			reason = strings.ReplaceAll(reason, password, "…")
		}
		return nil, fmt.Errorf("postgres: URL: %s", strings.ReplaceAll(reason, secret.Reveal(), "…"))
	}
	setDefault(conn, "application_name", "tuoguan")
	return conn, nil
}

func setDefault(conn *pgx.ConnConfig, parameter, value string) {
	if conn.RuntimeParams[parameter] == "" {
		conn.RuntimeParams[parameter] = value
	}
}

// pooled reports whether sessions are somebody else's, as behind PgBouncer: nothing
// may be left behind in one.
func pooled(conn *pgx.ConnConfig) bool {
	return conn.DefaultQueryExecMode == pgx.QueryExecModeExec || conn.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol
}

// settings are in force during every transaction. Every query that comes often has an
// index to go by, most of them in its order. Without statistics yet, as after a restore
// or when very much waits of a sudden, the planner would rather read whole tables for
// some, or all that an index has on offer, to sort it.
func settings() [][2]string {
	deadline := strconv.FormatInt(sqlpool.Deadline.Milliseconds(), 10)
	return [][2]string{
		{"synchronous_commit", "on"},
		{"statement_timeout", deadline},
		{"idle_in_transaction_session_timeout", deadline},
		{"enable_seqscan", "off"},
		{"enable_bitmapscan", "off"},
		// What is read in vain counts as very dear then, and the dear is compiled first,
		// which takes a hundred times as long as any of ours.
		{"jit", "off"},
	}
}

func openPool(conn *pgx.ConnConfig) *sql.DB {
	if !pooled(conn) {
		for _, s := range settings() {
			setDefault(conn, s[0], s[1])
		}
		conn.RuntimeParams["default_transaction_isolation"] = "read committed"
	}
	db := stdlib.OpenDB(*conn)
	db.SetConnMaxIdleTime(time.Minute)
	db.SetConnMaxLifetime(30 * time.Minute) // so that a server that was added gets its share
	return db
}

func dialect(conn *pgx.ConnConfig) sqlpool.Dialect {
	local, unbounded := "", ""
	if pooled(conn) {
		for _, s := range settings() {
			local += "; SET LOCAL " + s[0] + " = " + s[1]
		}
	} else {
		unbounded = "; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
	}
	return sqlpool.Dialect{
		Numbered:      true,
		Alone:         !pooled(conn),
		Begin:         "BEGIN ISOLATION LEVEL READ COMMITTED" + local,
		BeginSnapshot: []string{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" + unbounded},
		Probe: `INSERT INTO meta (name, value) VALUES ('probe', decode(repeat('00', 16384), 'hex'))
			ON CONFLICT (name) DO UPDATE SET value = excluded.value, version = meta.version + 1`,
		Classify: classify,
		Text:     text,
	}
}

// text replaces what the database does not take: bytes that are not UTF-8, and NUL.
func text(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// classify judges an error by its SQLSTATE. What is none of the server's concerns the
// connection.
// Source: PostgreSQL documentation, appendix A, error codes.
func classify(err error) sqlpool.Class {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return sqlpool.Lost
	}
	switch e.Code {
	case "40003": // statement completion unknown
		return sqlpool.Lost
	case "23505", // unique violation
		"55P03",          // lock not available
		"0A000", "26000": // the schema has changed under a prepared statement
		return sqlpool.Conflict
	case "25006", // read-only transaction: not the primary any more
		"57014": // canceled, by the timeout
		return sqlpool.Refused
	}
	switch e.Code[:2] {
	case "40": // deadlock, failed serialization
		return sqlpool.Conflict
	case "53", "58": // no room, memory or connections; input or output failed
		return sqlpool.Refused
	case "08", "57", "25": // the connection; the server shuts down; a transaction that was ended
		return sqlpool.Lost
	}
	return sqlpool.Final
}
