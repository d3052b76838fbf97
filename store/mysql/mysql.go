// Package mysql keeps everything in a database of MySQL, MariaDB or TiDB, which any
// number of processes may share.
//
// What a method has written is durable when it returns, as far as the server keeps
// its word: [Open] refuses one that is set up to forget, unless it is told otherwise.
// The database's clock decides about leases. Every transaction ends within seconds;
// that of a process that stands still, within as many as the server can be told.
//
// Errors that are the database's match [store.ErrUnavailable]. Where the connection
// is lost while a commit is under way nobody knows whether it happened; all writes
// are such that they may be repeated.
//
// TiDB and MySQL itself are written for from their documentation. MariaDB is what the
// tests run on.
package mysql

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/sqlkit"
	"github.com/tuoguan/tuoguan/internal/sqlpool"
	"github.com/tuoguan/tuoguan/internal/sqlstore"
	"github.com/tuoguan/tuoguan/store"
)

// ErrNotDurable says that the server may lose what it has committed. The error names
// the settings that are to blame, and how to change them.
var ErrNotDurable = sqlpool.ErrNotDurable

//go:embed migrations/*.sql
var migrations embed.FS

// Config says where the database is and how secrets are sealed.
type Config struct {
	// URL is mysql://user:password@host:port/database. Required. Parameters:
	//
	//	tls  true, skip-verify, preferred or false; defaults to preferred, by which the
	//	     server is not verified and may decline
	//	ca   a file of certificates, in PEM, by one of which the server's must be signed
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
		errs = append(errs, errors.New("mysql: URL is empty"))
	}
	if c.Keys == nil {
		errs = append(errs, errors.New("mysql: Keys is missing"))
	}
	return errors.Join(errs...)
}

// Store is a store in a MySQL database. Make it with [Open].
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
	var server flavor
	err := administer(ctx, cfg, func(db *sql.DB, f flavor) error {
		server = f
		return steps().Apply(ctx, db)
	})
	if err != nil {
		return nil, err
	}
	db, err := openPool(cfg.URL, server)
	if err != nil {
		return nil, err
	}
	pool := sqlpool.New(db, dialect(server))
	s, err := sqlstore.New(ctx, pool, queries(server), cfg.Keys, cfg.Clock)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mysql: open: %w", err), pool.Close())
	}
	return &Store{s}, nil
}

// Migrate checks the server as Open does and brings the database up to date. Keys
// are not needed.
func Migrate(ctx context.Context, cfg Config) error {
	return administer(ctx, cfg, func(db *sql.DB, _ flavor) error { return steps().Apply(ctx, db) })
}

// Pending checks the server and names the migrations that Open would run.
func Pending(ctx context.Context, cfg Config) (names []string, err error) {
	err = administer(ctx, cfg, func(db *sql.DB, _ flavor) (err error) {
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
	// The lock is the server's, so it is named for the database. An hour is as long as
	// every kind of server is ready to wait.
	const name = `CONCAT('tuoguan ', SHA1(DATABASE()))`
	return sqlkit.Migrations{
		Dir:     dir,
		Lock:    `SELECT GET_LOCK(` + name + `, 3600)`,
		Unlock:  `DO RELEASE_LOCK(` + name + `)`,
		Already: already,
	}
}

// already tells errors of a statement whose work is done.
// Source: MySQL 8.0 error message reference.
func already(err error) bool {
	switch number(err) {
	case 1050, // the table exists
		1060, // the column exists
		1061, // the index exists
		1091: // what is to be dropped does not
		return true
	}
	return false
}

// administer calls f with a connection as the server has it, without our settings,
// once that server has been found good.
func administer(ctx context.Context, cfg Config, f func(*sql.DB, flavor) error) error {
	cfg = cfg.withDefaults()
	conn, err := parse(cfg.URL)
	if err != nil {
		return err
	}
	db, err := openDB(conn)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	server, err := check(ctx, db, cfg)
	if err == nil {
		err = f(db, server)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("mysql: open: %w", err)
	}
	return nil
}

// parse reads the URL. Errors do not repeat it, for it holds a password.
func parse(secret tuoguan.Secret) (*mysql.Config, error) {
	const form = "mysql: the URL is not of the form mysql://user:password@host:port/database?tls=true"
	u, err := url.Parse(secret.Reveal())
	if err != nil || u.Scheme != "mysql" || u.Hostname() == "" {
		return nil, errors.New(form)
	}
	database := strings.TrimPrefix(u.Path, "/")
	if database == "" || strings.Contains(database, "/") {
		return nil, errors.New("mysql: the URL names no database")
	}
	port := u.Port()
	if port == "" {
		port = "3306"
	}
	conn := mysql.NewConfig()
	conn.User = u.User.Username()
	conn.Passwd, _ = u.User.Password()
	conn.Net, conn.Addr, conn.DBName = "tcp", net.JoinHostPort(u.Hostname(), port), database
	conn.Timeout = sqlpool.Deadline
	conn.InterpolateParams = true // one round trip a statement, and proxies that know no others
	conn.ClientFoundRows = true
	conn.Logger = &mysql.NopLogger{} // errors are returned as well
	if err := conn.Apply(mysql.Charset("utf8mb4", "utf8mb4_bin")); err != nil {
		return nil, fmt.Errorf("mysql: %w", err)
	}
	if err := encrypt(conn, u); err != nil {
		return nil, fmt.Errorf("mysql: URL: %w", err)
	}
	return conn, nil
}

// encrypt sets up TLS as the parameters of the URL say.
func encrypt(conn *mysql.Config, u *url.URL) error {
	conn.TLSConfig = "preferred"
	var ca string
	for name, values := range u.Query() {
		switch value := values[len(values)-1]; name {
		case "tls":
			switch value {
			case "true", "skip-verify", "preferred", "false":
				conn.TLSConfig = value
			default:
				return errors.New("tls is none of true, skip-verify, preferred and false")
			}
		case "ca":
			ca = value
		default:
			return fmt.Errorf("there is no parameter %q; there are tls and ca", name)
		}
	}
	if ca == "" {
		return nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s holds no certificate", ca)
	}
	conn.TLSConfig = ""
	conn.TLS = &tls.Config{RootCAs: roots, ServerName: u.Hostname()}
	return nil
}

func openDB(conn *mysql.Config) (*sql.DB, error) {
	connector, err := mysql.NewConnector(conn)
	if err != nil {
		return nil, fmt.Errorf("mysql: %w", err)
	}
	return sql.OpenDB(connector), nil
}

// openPool opens connections with the settings that are in force during every
// transaction.
func openPool(secret tuoguan.Secret, server flavor) (*sql.DB, error) {
	conn, err := parse(secret)
	if err != nil {
		return nil, err
	}
	seconds := strconv.Itoa(int(sqlpool.Deadline / time.Second))
	conn.Params = map[string]string{
		"autocommit":               "1",
		"time_zone":                "'+00:00'",
		"sql_mode":                 "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
		"group_concat_max_len":     "1048576",
		"innodb_lock_wait_timeout": seconds,
		"lock_wait_timeout":        seconds,
		"net_write_timeout":        "600", // whoever makes a backup may be slow
	}
	idle := time.Minute
	switch server {
	case mariaDB:
		conn.Params["tx_isolation"] = "'READ-COMMITTED'"
		conn.Params["max_statement_time"] = seconds
		conn.Params["idle_transaction_timeout"] = seconds
	default:
		// There is no limit for a transaction that stands still, only for a connection.
		// It is above what connections may idle in the pool.
		conn.Params["transaction_isolation"] = "'READ-COMMITTED'"
		conn.Params["max_execution_time"] = strconv.FormatInt(sqlpool.Deadline.Milliseconds(), 10)
		conn.Params["wait_timeout"] = "15"
		idle = 10 * time.Second
	}
	db, err := openDB(conn)
	if err != nil {
		return nil, err
	}
	db.SetConnMaxIdleTime(idle)
	db.SetConnMaxLifetime(30 * time.Minute) // so that a server that was added gets its share
	return db, nil
}

func dialect(server flavor) sqlpool.Dialect {
	unbounded := "SET SESSION max_execution_time = 0, wait_timeout = 3600"
	if server == mariaDB {
		unbounded = "SET SESSION max_statement_time = 0, idle_transaction_timeout = 0"
	}
	return sqlpool.Dialect{
		Alone: true,
		Begin: "START TRANSACTION",
		BeginSnapshot: []string{
			unbounded, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
		},
		Probe: `INSERT INTO meta (name, value) VALUES ('probe', REPEAT('0', 16384))
			ON DUPLICATE KEY UPDATE value = VALUES(value), version = version + 1`,
		Classify: classify,
		Text:     text,
	}
}

// text replaces what the database does not take: bytes that are not UTF-8.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// number returns the server's number of an error, 0 if it is none of the server's.
func number(err error) uint16 {
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return 0
	}
	return e.Number
}

// classify judges an error by its number. What is none of the server's concerns the
// connection.
// Sources: MySQL 8.0 error message reference; MariaDB error codes; TiDB error codes.
func classify(err error) sqlpool.Class {
	switch number(err) {
	case 0,
		1053, 1077, 1079, // the server shuts down
		1152, 1158, 1159, 1160, 1161, 1184, // the connection
		1180,       // an error during a commit
		1927, 4031: // the connection was ended by the server
		return sqlpool.Lost
	case 1213, 1205, // deadlock; waited too long for a lock
		1062, 1586, // the key is there
		1020, 1412, 1615, // changed since it was read; the schema has
		8002, 8005, 8022, 8028, 9007: // TiDB: write conflict; the schema has changed
		return sqlpool.Conflict
	case 3, 5, 23, 28, 1021, 1026, 1028, 1030, 1037, 1038, 1041, 1114, // no room or memory; input or output failed
		1040, 1203, 1226, // no connection to give
		1047, 1290, 1792, 1836, // takes no writes: not the primary any more
		1317, 1969, 3024, // interrupted, by a timeout
		9001, 9002, 9003, 9005: // TiDB: a part of the cluster does not answer
		return sqlpool.Refused
	}
	return sqlpool.Final
}
