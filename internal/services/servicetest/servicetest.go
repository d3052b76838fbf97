// Package servicetest gives tests databases on servers that are started when the
// first test of a process asks, are shared by all of it, and end with it.
package servicetest

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/tuoguan/tuoguan/internal/services"
)

// postgres and mariaDB are the servers that a test process shares. Nobody stops them:
// they end when the process does, whichever way it goes.
var (
	postgres = newServer(services.StartPostgres)
	mariaDB  = newServer(services.StartMariaDB)
)

type server struct {
	start func() (*services.Service, error)

	mu   sync.Mutex
	used []string // databases whose tables are empty again
}

func newServer(start func(context.Context, services.Options) (*services.Service, error)) *server {
	return &server{start: sync.OnceValues(func() (*services.Service, error) {
		return start(context.Background(), services.Options{})
	})}
}

// Postgres returns the URL of a PostgreSQL database. It is empty; or where tables are
// named it may be one in which an earlier test has made these, and they are empty.
// Making the tables takes most of the time of a short test.
func Postgres(t testing.TB, tables ...string) string {
	t.Helper()
	return postgres.database(t, tables)
}

// MariaDB returns the URL of a MariaDB database, likewise.
func MariaDB(t testing.TB, tables ...string) string {
	t.Helper()
	return mariaDB.database(t, tables)
}

func (s *server) database(t testing.TB, tables []string) string {
	t.Helper()
	service, err := s.start()
	Require(t, err)
	name := ""
	if len(tables) > 0 {
		name = s.take()
		t.Cleanup(func() {
			if t.Failed() {
				return // somebody may still be at work in it
			}
			_, err := service.Exec(context.Background(), name, "DELETE FROM "+strings.Join(tables, "; DELETE FROM "))
			if err != nil {
				t.Error(err)
				return
			}
			s.put(name)
		})
	}
	if name == "" {
		name = "t" + strings.ToLower(rand.Text())
		if err := service.CreateDatabase(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	return service.URL(name)
}

func (s *server) take() (name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.used) > 0 {
		name, s.used = s.used[0], s.used[1:]
	}
	return name
}

func (s *server) put(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = append(s.used, name)
}

// Require ends the test if a server did not start: it skips where a program is
// missing, unless REQUIRE_STORES=1 makes that a failure.
func Require(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, services.ErrMissing) && os.Getenv("REQUIRE_STORES") != "1":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}
