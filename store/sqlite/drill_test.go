package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/sqlite"
)

// childEnv makes the test binary play a part in a drill instead of testing. It
// holds the part and the database, with a space between them.
const childEnv = "TUOGUAN_SQLITE_DRILL"

// drills are the parts. They report what was acknowledged, line by line.
var drills = map[string]func(path string, out io.Writer) error{
	"append": drillAppend,
	"sync":   drillSync,
}

func TestMain(m *testing.M) {
	part, path, isChild := strings.Cut(os.Getenv(childEnv), " ")
	if !isChild {
		goleak.VerifyTestMain(m)
	}
	if err := drills[part](path, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child starts the test binary, behind a command if one is given.
func child(t *testing.T, part, path string, command ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command = append(command, self)
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = append(os.Environ(), childEnv+"="+part+" "+path)
	return cmd
}

func openDrill(path string) (*sqlite.Store, error) {
	cipher, err := seal.New(slices.Repeat([]byte{1}, seal.KeySize))
	if err != nil {
		return nil, err
	}
	return sqlite.Open(context.Background(), sqlite.Config{Path: path, Keys: store.Under(cipher)})
}

// drillAppend stores pushes and refreshes tokens until it is killed.
func drillAppend(path string, out io.Writer) error {
	s, err := openDrill(path)
	if err != nil {
		return err
	}
	ctx := context.Background()
	a, _, err := s.SaveGrant(ctx, store.Grant{Authorization: account, Tokens: tuoguan.TokenSet{RefreshToken: tuoguan.NewSecret(strconv.Itoa(os.Getpid()))}})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for worker := range 8 {
		go func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("push/%d/%d/%d", a.Grant, worker, i)
				_, _, err := s.AcceptPush(ctx, store.Intake{Push: store.Push{Key: key, Component: "wxc", Body: []byte(key)}})
				if err != nil {
					failed <- err
					return
				}
				fmt.Fprintln(out, key)
			}
		}()
	}
	go func() {
		for epoch := int64(1); ; epoch++ {
			value := fmt.Sprintf("refresh/%d/%d", a.Grant, epoch)
			moved, err := s.SaveTokens(ctx, store.TokenWrite{
				Authorization: account, Grant: a.Grant, Epoch: epoch,
				Tokens: tuoguan.TokenSet{RefreshToken: tuoguan.NewSecret(value)},
			})
			if err != nil || !moved {
				failed <- fmt.Errorf("moved %v, %w", moved, err)
				return
			}
			fmt.Fprintln(out, value)
		}
	}()
	return <-failed
}

// TestKilledWhileWriting kills a process that writes, again and again. What it was
// told is stored must be there afterwards. (Killing a process loses nothing that
// the kernel has; synchronous=FULL is checked separately.)
func TestKilledWhileWriting(t *testing.T) {
	t.Parallel()
	const cycles = 20
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	path := newPath(t)
	var acknowledged []string
	for cycle := range cycles {
		cmd := child(t, "append", path)
		cmd.Stderr = os.Stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stdout)
		last := 1 + random.IntN(300)
		for n := 1; lines.Scan(); n++ {
			acknowledged = append(acknowledged, lines.Text())
			if n == last {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		err = cmd.Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != -1 {
			t.Fatalf("cycle %d: the child was not killed but ended by itself: %v", cycle, err)
		}
		verify(t, path, acknowledged)
	}
	t.Logf("%d writes were acknowledged", len(acknowledged))
}

// verify opens the database and looks for what was acknowledged.
func verify(t *testing.T, path string, acknowledged []string) {
	t.Helper()
	s := open(t, path)
	stored := make(map[string]bool)
	after := int64(0)
	for {
		page, err := s.Pushes(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, p := range page {
			stored[p.Key] = string(p.Body) == p.Key
			after = p.ID
		}
	}
	history, err := s.RefreshTokens(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range history {
		stored[token.Value.Reveal()] = true
	}
	lastRefresh := ""
	for _, key := range acknowledged {
		if !stored[key] {
			t.Errorf("%s was acknowledged and is lost", key)
		}
		if strings.HasPrefix(key, "refresh/") {
			lastRefresh = key
		}
	}
	if lastRefresh != "" {
		var grant, epoch int64
		if _, err := fmt.Sscanf(lastRefresh, "refresh/%d/%d", &grant, &epoch); err != nil {
			t.Fatal(err)
		}
		a, err := s.Authorizer(t.Context(), account)
		if err != nil || a.Grant < grant || a.Grant == grant && a.Epoch < epoch {
			t.Errorf("grant %d, epoch %d is current although %s was acknowledged: %v", a.Grant, a.Epoch, lastRefresh, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// drillSync stores pushes until a sync fails and checks that this is the end.
func drillSync(path string, out io.Writer) error {
	s, err := openDrill(path)
	if err != nil {
		return err
	}
	ctx := context.Background()
	body := make([]byte, 64<<10)
	for i := 0; ; i++ {
		key := "push/" + strconv.Itoa(i)
		copy(body, key)
		_, _, err = s.AcceptPush(ctx, store.Intake{Push: store.Push{Key: key, Component: "wxc", Body: body}})
		if err != nil {
			break
		}
		fmt.Fprintln(out, key)
		if i > 1000 {
			return errors.New("no sync has failed")
		}
	}
	for name, err := range map[string]error{
		"the write itself": err,
		"a probe":          s.Probe(ctx),
		"another write":    s.PutComponent(ctx, store.Component{AppID: "wxc"}),
	} {
		if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, sqlite.ErrSyncFailed) {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if _, err := s.Pushes(ctx, 0, 1); err != nil {
		return fmt.Errorf("reads do not go on: %w", err)
	}
	select {
	case <-s.Lost():
	default:
		return errors.New("nobody is told that the process has to end")
	}
	return s.Close()
}

// TestFailedSyncIsFinal lets one sync fail and all others succeed, by strace. After
// the failure none may be asked for.
func TestFailedSyncIsFinal(t *testing.T) {
	t.Parallel()
	strace := requireTool(t, "strace")
	for _, tt := range []struct {
		name  string
		files []string // whose syncs are watched
		n     int      // which of them fails, counted for each thread
	}{
		{"first commit", []string{"", "-wal"}, 1},
		{"some commit", []string{"", "-wal"}, 30},
		{"checkpoint", []string{""}, 1}, // else the database file itself is not synced
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			if err := open(t, path).Close(); err != nil {
				t.Fatal(err)
			}
			trace := path + ".trace"
			command := []string{
				strace, "-f", "-qq", "-o", trace, "-e", "trace=fsync,fdatasync",
				"-e", fmt.Sprintf("inject=fsync,fdatasync:error=EIO:when=%d", tt.n),
			}
			for _, suffix := range tt.files {
				command = append(command, "-P", path+suffix)
			}
			cmd := child(t, "sync", path, command...)
			var stdout, stderr strings.Builder
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s", err, stderr.String())
			}
			log, err := os.ReadFile(trace)
			if err != nil {
				t.Fatal(err)
			}
			_, after, failed := strings.Cut(string(log), "EIO")
			if !failed {
				t.Fatalf("nothing was injected:\n%s", log)
			}
			if strings.Contains(after, "sync(") {
				t.Errorf("synced again after a failure:\n%s", after)
			}
			s := open(t, path)
			for key := range strings.Lines(stdout.String()) {
				p, duplicate, err := s.AcceptPush(t.Context(), store.Intake{Push: store.Push{Key: strings.TrimSpace(key)}})
				if err != nil || !duplicate || !strings.HasPrefix(string(p.Body), strings.TrimSpace(key)) {
					t.Errorf("%q was acknowledged and is lost: %v", key, err)
				}
			}
		})
	}
}

func requireTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatalf("%s is missing", name)
		}
		t.Skipf("%s is missing", name)
	}
	return path
}

// fillUp writes until the store refuses, and checks how it behaves. Room makes room.
func fillUp(ctx context.Context, s *sqlite.Store, room func() error) (acknowledged []string, err error) {
	body := make([]byte, 4<<10)
	accept := func(i int) error {
		key := "push/" + strconv.Itoa(i)
		copy(body, key)
		_, _, err := s.AcceptPush(ctx, store.Intake{Push: store.Push{Key: key, Component: "wxc", Body: body}})
		if err == nil {
			acknowledged = append(acknowledged, key)
		}
		return err
	}
	i := 0
	for ; i < 100_000; i++ {
		if err = accept(i); err != nil {
			break
		}
	}
	if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, sqlite.ErrSyncFailed) {
		return nil, fmt.Errorf("full, but: %w", err)
	}
	if err := s.Probe(ctx); !errors.Is(err, store.ErrUnavailable) {
		return nil, fmt.Errorf("probe of a full disk: %w", err)
	}
	if _, err := s.AcquireLease(ctx, "k", "me", time.Minute); !errors.Is(err, store.ErrUnavailable) {
		return nil, fmt.Errorf("lease on a full disk: %w", err)
	}
	if page, err := s.Pushes(ctx, 0, 10); err != nil || len(page) != 10 {
		return nil, fmt.Errorf("reads do not go on: %d pushes, %w", len(page), err)
	}
	if err := room(); err != nil {
		return nil, err
	}
	if err := accept(i); !errors.Is(err, store.ErrUnavailable) {
		return nil, fmt.Errorf("write before a probe: %w", err)
	}
	if err := s.Probe(ctx); err != nil {
		return nil, fmt.Errorf("there is room again, but: %w", err)
	}
	var wg sync.WaitGroup
	errs := make([]error, 20)
	for n := range errs {
		wg.Go(func() {
			_, errs[n] = s.AcquireLease(ctx, strconv.Itoa(n), "me", time.Minute)
		})
	}
	wg.Wait()
	return acknowledged, errors.Join(append(errs, accept(i))...)
}
