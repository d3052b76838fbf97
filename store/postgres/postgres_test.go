package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/internal/services"
	"github.com/tuoguan/tuoguan/internal/services/servicetest"
	"github.com/tuoguan/tuoguan/internal/sqlpool/pooltest"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/postgres"
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
	*postgres.Store
	cfg postgres.Config
}

func (h *handle) Another(t *testing.T) store.Store { return open(t, h.cfg) }

func open(t testing.TB, cfg postgres.Config) *handle {
	t.Helper()
	s, err := postgres.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &handle{s, cfg}
}

func config(url string) postgres.Config {
	return postgres.Config{URL: tuoguan.NewSecret(url), Keys: keys}
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
		cfg := config(servicetest.Postgres(t, tables()...))
		cfg.Clock = clock
		return open(t, cfg)
	})
}

func TestArchive(t *testing.T) {
	t.Parallel()
	storetest.RunArchive(t, func(t *testing.T, clock *tuoguan.Clock, keys store.Keys) storetest.Archived {
		return open(t, postgres.Config{URL: tuoguan.NewSecret(servicetest.Postgres(t, tables()...)), Keys: keys, Clock: clock})
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
		Start:    services.StartPostgres,
		Database: servicetest.Postgres,
		Open: func(ctx context.Context, url string) (store.Store, error) {
			return postgres.Open(ctx, config(url))
		},
		Pending: func(ctx context.Context, url string) ([]string, error) {
			return postgres.Pending(ctx, config(url))
		},
		Pool:      postgres.OpenPool,
		Commit:    "COMMIT\x00",
		DropIndex: "DROP INDEX pushes_authorizer",
		Exec:      exec,
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	pooltest.Run(t, subject())
}

// exec runs a statement aside from any store.
func exec(t testing.TB, url, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Error(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestServerThatForgets starts a server that is set up to lose what it has committed.
func TestServerThatForgets(t *testing.T) {
	t.Parallel()
	s, err := services.StartPostgres(t.Context(), services.Options{
		Flags: []string{"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off"},
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
	refused(t, cfg, "fsync", "full_page_writes", "synchronous_commit")

	var log bytes.Buffer
	cfg.Unsafe, cfg.Logger = true, slog.New(slog.NewTextHandler(&log, nil))
	for range 2 {
		log.Reset()
		if err := open(t, cfg).Close(); err != nil {
			t.Error(err)
		}
		for _, setting := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
			if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "setting="+setting) {
				t.Errorf("no warning about %s: %s", setting, &log)
			}
		}
	}
}

// refused demands that Open refuses a server and names the settings.
func refused(t *testing.T, cfg postgres.Config, settings ...string) {
	t.Helper()
	_, err := postgres.Open(t.Context(), cfg)
	if !errors.Is(err, postgres.ErrNotDurable) {
		t.Fatalf("got %v", err)
	}
	for _, setting := range settings {
		if !strings.Contains(err.Error(), setting+" is off") || !strings.Contains(err.Error(), "ALTER SYSTEM SET "+setting) {
			t.Errorf("%s is not named: %v", setting, err)
		}
	}
}

// TestDatabaseThatForgets has the setting where a server's own is not looked for.
func TestDatabaseThatForgets(t *testing.T) {
	t.Parallel()
	url := servicetest.Postgres(t)
	name := url[strings.LastIndexByte(url, '/')+1 : strings.IndexByte(url, '?')]
	exec(t, url, "ALTER DATABASE "+name+" SET synchronous_commit = off")
	refused(t, config(url), "synchronous_commit")
	refused(t, config(servicetest.Postgres(t)+"&synchronous_commit=off"), "synchronous_commit")
}

// TestSession demands that sessions are as safe as they must be, whatever changes
// about the server meanwhile, and that no transaction lasts.
func TestSession(t *testing.T) {
	t.Parallel()
	for name, parameters := range map[string]string{
		"own": "", "pooled": "&default_query_exec_mode=exec", "pooled, simple": "&default_query_exec_mode=simple_protocol",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := servicetest.Postgres(t)
			s := open(t, config(url+parameters))
			defer s.Close()
			name := url[strings.LastIndexByte(url, '/')+1 : strings.IndexByte(url, '?')]
			exec(t, url, "ALTER DATABASE "+name+" SET synchronous_commit = off")
			exec(t, url, "ALTER DATABASE "+name+" SET default_transaction_isolation = serializable")
			exec(t, url, `CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				NEW.body = convert_to(concat_ws(' ', current_setting('synchronous_commit'), current_setting('statement_timeout'),
					current_setting('idle_in_transaction_session_timeout'), current_setting('transaction_isolation')), 'UTF8');
				RETURN NEW; END $$;
				CREATE TRIGGER note BEFORE INSERT ON pushes FOR EACH ROW EXECUTE FUNCTION note()`)
			for key, in := range map[string]store.Intake{
				"one statement": {}, "several": {Ticket: &store.Ticket{Component: "wxc", Value: tuoguan.NewSecret("ticket")}},
			} {
				in.Push = store.Push{Key: key, Component: "wxc", Body: []byte("x")}
				if _, _, err := s.AcceptPush(t.Context(), in); err != nil {
					t.Fatal(err)
				}
			}
			conn, err := pgx.Connect(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(t.Context())
			rows, err := conn.Query(t.Context(), "SELECT convert_from(body, 'UTF8') FROM pushes")
			if err != nil {
				t.Fatal(err)
			}
			settings, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil || len(settings) != 2 {
				t.Fatal(settings, err)
			}
			for _, got := range settings {
				if got != "on 5s 5s read committed" {
					t.Errorf("a transaction ran under %q", got)
				}
			}
		})
	}
}

func TestBinding(t *testing.T) {
	t.Parallel()
	url := servicetest.Postgres(t)
	binding := func(url string) string {
		b, err := postgres.Binding(t.Context(), config(url))
		if err != nil || b == "" {
			t.Errorf("binding %q, %v", b, err)
		}
		return b
	}
	first := binding(url)
	if again := binding(url); again != first {
		t.Errorf("was %s, is %s", first, again)
	}
	if other := binding(servicetest.Postgres(t)); other == first {
		t.Errorf("another database has %s too", other)
	}
}

// TestKeysThatAreTheSame stores pushes whose keys the database would not take.
func TestKeysThatAreTheSame(t *testing.T) {
	t.Parallel()
	s := open(t, config(servicetest.Postgres(t, tables()...)))
	defer s.Close()
	for i, key := range []string{"key \x00", "key \x00", "key \xff"} {
		p, duplicate, err := s.AcceptPush(t.Context(), store.Intake{Push: store.Push{Key: key, Component: "wxc", Authorizer: "wx\x00", Body: []byte("body")}})
		if err != nil || duplicate != (i > 0) || p.Seq != 1 || string(p.Body) != "body" {
			t.Errorf("%q: %+v, duplicate %v, %v", key, p, duplicate, err)
		}
	}
}
