package services_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tuoguan/tuoguan/internal/services"
	"github.com/tuoguan/tuoguan/internal/services/servicetest"
)

// orphanEnv makes the test binary start a server of the kind named, in the directory
// named, and leave it behind.
const orphanEnv = "TUOGUAN_SERVICES_ORPHAN"

func TestMain(m *testing.M) {
	name, dir, isChild := strings.Cut(os.Getenv(orphanEnv), " ")
	if !isChild {
		goleak.VerifyTestMain(m)
	}
	s, err := allEngines()[name](context.Background(), services.Options{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.Addr())
	select {}
}

var engines = map[string]func(context.Context, services.Options) (*services.Service, error){
	"postgres": services.StartPostgres,
	"mariadb":  services.StartMariaDB,
}

var brokers = map[string]func(context.Context, services.Options) (*services.Service, error){
	"nats":     services.StartNATS,
	"redis":    services.StartRedis,
	"rabbitmq": services.StartRabbitMQ,
}

func allEngines() map[string]func(context.Context, services.Options) (*services.Service, error) {
	all := maps.Clone(engines)
	maps.Copy(all, brokers)
	return all
}

// openDir returns a directory that nobody can reach too.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for at := dir; at != os.TempDir() && len(at) > 1; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestLife takes each kind of server through everything that is done to one.
func TestLife(t *testing.T) {
	t.Parallel()
	for name, start := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := openDir(t)
			begun := time.Now()
			s, err := start(t.Context(), services.Options{Dir: dir})
			servicetest.Require(t, err)
			t.Logf("started within %v", time.Since(begun))
			stopped := false
			defer func() {
				if !stopped {
					t.Error(s.Stop())
				}
			}()
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(s.CreateDatabase(t.Context(), "one"))
			if url := s.URL("one"); !strings.Contains(url, s.Addr()+"/one") {
				t.Errorf("URL %s", url)
			}
			statement := func(statement string) string {
				t.Helper()
				out, err := s.Exec(t.Context(), "one", statement)
				must(err)
				return out
			}
			statement("CREATE TABLE kept (n INTEGER)")
			statement("INSERT INTO kept VALUES (7)")

			must(s.Kill())
			must(s.Kill()) // twice is no mistake
			if _, err := s.Exec(t.Context(), "one", "SELECT 1"); err == nil {
				t.Error("it answers after it was killed")
			}
			begun = time.Now()
			must(s.Restart(t.Context()))
			t.Logf("recovered within %v", time.Since(begun))
			if got := statement("SELECT n, n FROM kept"); got != "7\t7\n" {
				t.Errorf("after a kill: %q", got)
			}

			must(s.Pause())
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			if _, err := s.Exec(ctx, "one", "SELECT 1"); !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				t.Errorf("it answers while it is paused: %v", err)
			}
			cancel()
			must(s.Continue())
			statement("INSERT INTO kept VALUES (8)")

			must(s.Restart(t.Context())) // in an orderly way
			if got := statement("SELECT n FROM kept ORDER BY n"); got != "7\n8\n" {
				t.Errorf("after a restart: %q", got)
			}
			if _, err := s.Exec(t.Context(), "one", "nonsense"); err == nil {
				t.Error("nonsense was executed")
			}
			stopped = true
			must(s.Stop())
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// TestLifeOfBrokers takes each kind of broker likewise. What brokers keep is looked at
// where there are clients of them.
func TestLifeOfBrokers(t *testing.T) {
	t.Parallel()
	for name, start := range brokers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := openDir(t)
			begun := time.Now()
			s, err := start(t.Context(), services.Options{Dir: dir})
			servicetest.Require(t, err)
			t.Logf("started within %v", time.Since(begun))
			addr := s.Addr()
			if _, err := s.Exec(t.Context(), "", "anything"); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("a statement: %v", err)
			}
			for _, step := range []struct {
				name     string
				do       func() error
				accepted bool
			}{
				{"kill", s.Kill, false},
				{"restart", func() error { return s.Restart(t.Context()) }, true},
				{"pause", s.Pause, true},
				{"continue", s.Continue, true},
				{"stop", s.Stop, false},
			} {
				if err := step.do(); err != nil {
					t.Fatalf("%s: %v", step.name, err)
				}
				for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
					conn, err := net.Dial("tcp", addr)
					if err == nil {
						conn.Close()
					}
					if (err == nil) == step.accepted {
						break
					}
					if time.Since(begun) > 5*time.Second { // a process that was killed still takes a moment to go
						t.Fatalf("after %s: %v", step.name, err)
					}
				}
			}
			if s.Addr() != addr {
				t.Errorf("it moved from %s to %s", addr, s.Addr())
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// TestOrphan kills a process that has a server, which must not outlive it.
func TestOrphan(t *testing.T) {
	t.Parallel()
	for name := range allEngines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			dir := openDir(t)
			cmd := exec.CommandContext(t.Context(), self)
			cmd.Env = append(os.Environ(), orphanEnv+"="+name+" "+dir)
			cmd.Stderr = t.Output()
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			addr, _ := bufio.NewReader(out).ReadString('\n')
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // it was killed
			if addr == "" {
				servicetest.Require(t, fmt.Errorf("%w, see above", services.ErrMissing))
			}
			addr = strings.TrimSpace(addr)
			for range 500 {
				conn, err := net.Dial("tcp", addr)
				left, _ := os.ReadDir(dir)
				if err != nil && len(left) == 0 {
					return
				}
				if err == nil {
					conn.Close()
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Error("the server or its directory is still there")
		})
	}
}

func TestServerThatDoesNotStart(t *testing.T) {
	t.Parallel()
	for name, start := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := start(t.Context(), services.Options{Flags: []string{"--no-such-flag=1"}})
			if err == nil {
				t.Fatal("started", s.Stop())
			}
			if errors.Is(err, services.ErrMissing) {
				servicetest.Require(t, err)
			}
			if !strings.Contains(err.Error(), "no-such-flag") && !strings.Contains(err.Error(), "no_such_flag") {
				t.Errorf("the error does not show what the server said: %v", err)
			}
		})
	}
}

func TestSharedServers(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(testing.TB, ...string) string{"postgres": servicetest.Postgres, "mariadb": servicetest.MariaDB} {
		if one, other := database(t), database(t); one == other {
			t.Errorf("%s: twice the same database", name)
		}
	}
}
