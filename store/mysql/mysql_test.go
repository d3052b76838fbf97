package mysql_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/internal/services"
	"github.com/tuoguan/tuoguan/internal/services/servicetest"
	"github.com/tuoguan/tuoguan/internal/sqlpool/pooltest"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/mysql"
	"github.com/tuoguan/tuoguan/store/sqlite"
	"github.com/tuoguan/tuoguan/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keys opens the key ring of a database under one master key.
func keys(ctx context.Context, s store.Settings) (store.Cipher, error) {
	kek, err := seal.NewLocal(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		return nil, err
	}
	return seal.Open(ctx, kek, s)
}

// handle is a store of which the suite can open another.
type handle struct {
	*mysql.Store
	cfg mysql.Config
}

func (h *handle) Another(t *testing.T) store.Store { return open(t, h.cfg) }

func open(t testing.TB, cfg mysql.Config) *handle {
	t.Helper()
	s, err := mysql.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &handle{s, cfg}
}

func config(url string) mysql.Config {
	return mysql.Config{URL: tuoguan.NewSecret(url), Keys: keys}
}

// tables are all that hold anything.
func tables() []string {
	return []string{
		"meta", "components", "tickets", "component_tokens", "authorizers", "authorizer_permission_sets",
		"refresh_tokens", "exchanges", "links", "visits", "pushes", "leases",
		"api_keys", "audit", "kept_values", "event_sequences", "subscriptions", "deliveries",
		"users", "sessions", "token_events",
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, clock *tuoguan.Clock) store.Store {
		cfg := config(servicetest.MariaDB(t, tables()...))
		cfg.Clock = clock
		return open(t, cfg)
	})
}

func TestArchive(t *testing.T) {
	t.Parallel()
	storetest.RunArchive(t, func(t *testing.T, clock *tuoguan.Clock, keys store.Keys) storetest.Archived {
		return open(t, mysql.Config{URL: tuoguan.NewSecret(servicetest.MariaDB(t, tables()...)), Keys: keys, Clock: clock})
	}, func(t *testing.T, clock *tuoguan.Clock, keys store.Keys) storetest.Archived {
		s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "test.db"), Keys: keys, Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func subject() pooltest.Subject {
	return pooltest.Subject{
		Start:    services.StartMariaDB,
		Database: servicetest.MariaDB,
		Open: func(ctx context.Context, url string) (store.Store, error) {
			return mysql.Open(ctx, config(url))
		},
		Pending: func(ctx context.Context, url string) ([]string, error) {
			return mysql.Pending(ctx, config(url))
		},
		Pool:      mysql.OpenPool,
		Commit:    "\x03COMMIT",
		DropIndex: "DROP INDEX pushes_authorizer ON pushes",
		Exec:      exec,
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	pooltest.Run(t, subject())
}

// connect opens a database aside from any store.
func connect(t testing.TB, address string) *sql.DB {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", u.User.String()+"@tcp("+u.Host+")"+u.Path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func exec(t testing.TB, address, statement string) {
	t.Helper()
	if _, err := connect(t, address).ExecContext(t.Context(), statement); err != nil {
		t.Error(err)
	}
}

// TestServerThatForgets starts a server that is set up to lose what it has committed.
func TestServerThatForgets(t *testing.T) {
	t.Parallel()
	s, err := services.StartMariaDB(t.Context(), services.Options{
		Flags: []string{"--innodb-flush-log-at-trx-commit=2", "--skip-innodb-doublewrite", "--log-bin", "--sync-binlog=0"},
	})
	servicetest.Require(t, err)
	defer func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.CreateDatabase(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	cfg := config(s.URL("one"))
	_, err = mysql.Open(t.Context(), cfg)
	if !errors.Is(err, mysql.ErrNotDurable) {
		t.Fatalf("got %v", err)
	}
	settings := []string{"innodb_flush_log_at_trx_commit", "innodb_doublewrite"}
	for _, setting := range settings {
		if !strings.Contains(err.Error(), setting+" is ") {
			t.Errorf("%s is not named: %v", setting, err)
		}
	}

	var log bytes.Buffer
	cfg.Unsafe, cfg.Logger = true, slog.New(slog.NewTextHandler(&log, nil))
	for range 2 {
		log.Reset()
		if err := open(t, cfg).Close(); err != nil {
			t.Error(err)
		}
		for _, setting := range append(settings, "sync_binlog") {
			if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "setting="+setting) {
				t.Errorf("no warning about %s: %s", setting, &log)
			}
		}
	}

	if _, err := s.Exec(t.Context(), "one", "SET GLOBAL read_only = 1"); err != nil {
		t.Fatal(err)
	}
	if _, err := mysql.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "only reads") {
		t.Errorf("a replica: %v", err)
	}
}

// TestMigrationCutShort has a start go on that was cut short after any of its
// statements, and lets nothing of it pass where nobody has begun.
func TestMigrationCutShort(t *testing.T) {
	t.Parallel()
	whole := servicetest.MariaDB(t)
	if err := mysql.Migrate(t.Context(), config(whole)); err != nil {
		t.Fatal(err)
	}
	var tables []string
	rows, err := connect(t, whole).QueryContext(t.Context(), "SHOW TABLES")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			t.Fatal(err)
		}
		if table != "schema_migrations" {
			tables = append(tables, table)
		}
	}
	if err := rows.Err(); err != nil || len(tables) < 10 {
		t.Fatal(tables, err)
	}
	for _, left := range []int{len(tables), len(tables) / 2, 0} {
		database := servicetest.MariaDB(t)
		if err := mysql.Migrate(t.Context(), config(database)); err != nil {
			t.Fatal(err)
		}
		for _, table := range tables[left:] {
			exec(t, database, "DROP TABLE "+table)
		}
		exec(t, database, "UPDATE schema_migrations SET applied_at = 0")
		if pending, err := mysql.Pending(t.Context(), config(database)); err != nil || len(pending) != 4 {
			t.Errorf("pending: %v, %v", pending, err)
		}
		if err := open(t, config(database)).Close(); err != nil {
			t.Error(err)
		}
		if pending, err := mysql.Pending(t.Context(), config(database)); err != nil || len(pending) != 0 {
			t.Errorf("pending: %v, %v", pending, err)
		}
	}

	undone := map[int][]string{2: pooltest.UndoCallers(), 3: subject().UndoDeliveries(), 4: pooltest.UndoUsers()}
	for version, undo := range undone {
		database := servicetest.MariaDB(t)
		if err := mysql.Migrate(t.Context(), config(database)); err != nil {
			t.Fatal(err)
		}
		for n := range undo {
			statements := undo[: n+1 : n+1]
			for later := version + 1; undone[later] != nil; later++ {
				statements = append(statements, undone[later]...)
			}
			for _, statement := range statements {
				exec(t, database, statement)
			}
			exec(t, database, fmt.Sprintf("DELETE FROM schema_migrations WHERE version > %d", version))
			exec(t, database, fmt.Sprintf("UPDATE schema_migrations SET applied_at = 0 WHERE version = %d", version))
			s := open(t, config(database))
			_, err := s.Authorizers(t.Context(), store.AuthorizerQuery{Tag: "vip"})
			_, errComponents := s.Components(t.Context())
			_, errKeys := s.APIKeys(t.Context(), "", 1)
			_, errAudit := s.Audit(t.Context(), 0, 1)
			_, errEvents := s.Events(t.Context(), store.EventQuery{})
			_, errSubscriptions := s.Subscriptions(t.Context(), "", 1)
			_, errDue := s.DueDeliveries(t.Context(), "sub_1", time.Now(), 1)
			_, errUsers := s.Users(t.Context(), "", 1)
			_, errSessions := s.SessionsOf(t.Context(), "u1")
			_, errTokenEvents := s.TokenEvents(t.Context(), tuoguan.Authorization{}, 0, 1)
			if _, err := s.Value(t.Context(), "none"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("version %d with %d statements to do: %v", version, n+1, err)
			}
			if err := errors.Join(err, errComponents, errKeys, errAudit, errEvents, errSubscriptions, errDue, errUsers, errSessions, errTokenEvents, s.Close()); err != nil {
				t.Errorf("version %d with %d statements to do: %v", version, n+1, err)
			}
		}
	}

	others := servicetest.MariaDB(t)
	exec(t, others, "CREATE TABLE leases (lessee INT)")
	for range 2 {
		if _, err := mysql.Open(t.Context(), config(others)); err == nil || !strings.Contains(err.Error(), "0001_init.sql") {
			t.Errorf("the table of somebody else was taken for ours: %v", err)
		}
	}
}

// TestPushNotTaken has the database refuse some of the pushes that come together. The
// others are stored.
func TestPushNotTaken(t *testing.T) {
	t.Parallel()
	s := open(t, config(servicetest.MariaDB(t, tables()...)))
	defer s.Close()
	const n = 64
	var work sync.WaitGroup
	for i := range n {
		work.Go(func() {
			p := store.Push{Key: fmt.Sprint("key ", i), Component: "wxc", Authorizer: "wxa"}
			refused := i%16 == 0
			if refused {
				p.Key += strings.Repeat("x", 600)
			}
			_, _, err := s.AcceptPush(t.Context(), store.Intake{Push: p, Routes: []store.Route{{Subscription: "sub_1"}}})
			if (err != nil) != refused || errors.Is(err, store.ErrUnavailable) {
				t.Errorf("push %d: %v", i, err)
			}
		})
	}
	work.Wait()
	all, err := s.Pushes(t.Context(), 0, n)
	if err != nil || len(all) != n-n/16 {
		t.Errorf("%d are stored, %v", len(all), err)
	}
	for i, p := range all {
		if p.Seq != int64(i+1) {
			t.Errorf("%q has number %d, want %d", p.Key, p.Seq, i+1)
		}
	}
}

// TestKeysThatAreTheSame stores pushes whose keys the database takes for one.
func TestKeysThatAreTheSame(t *testing.T) {
	t.Parallel()
	s := open(t, config(servicetest.MariaDB(t, tables()...)))
	defer s.Close()
	for i, key := range []string{"key", "key ", "key  "} {
		p, duplicate, err := s.AcceptPush(t.Context(), store.Intake{Push: store.Push{Key: key, Component: "wxc", Authorizer: "wxa ", Body: []byte("body")}})
		if err != nil || duplicate != (i > 0) || p.Seq != 1 || string(p.Body) != "body" {
			t.Errorf("%q: %+v, duplicate %v, %v", key, p, duplicate, err)
		}
	}
}
