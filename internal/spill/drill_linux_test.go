package spill_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tuoguan/tuoguan/internal/powercut"
	"github.com/tuoguan/tuoguan/internal/spill"
)

// childEnv makes the test binary play a part in a drill instead of testing. It
// holds the file and the part, on a line each.
const childEnv = "TUOGUAN_SPILL_DRILL"

func TestMain(m *testing.M) {
	path, part, isChild := strings.Cut(os.Getenv(childEnv), "\n")
	if !isChild {
		goleak.VerifyTestMain(m)
	}
	drills := map[string]func(f *spill.File, out io.Writer) error{
		"1 caller": drillSync(1), "8 callers": drillSync(8), "limit": drillLimit,
	}
	f, err := spill.Open(spill.Config{Path: path, Size: smallSize, Cipher: sealing(1)})
	if err == nil {
		err = errors.Join(drills[part](f, os.Stdout), f.Close())
	}
	if err != nil {
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
	cmd.Env = append(os.Environ(), childEnv+"="+path+"\n"+part)
	return cmd
}

// unavailable ends a test for want of something: a program that is missing may be
// demanded, being root may not.
func unavailable(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("REQUIRE_TOOLS") == "1" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// drillSync puts from a number of callers until a sync fails, and checks that this
// is the end.
func drillSync(callers int) func(f *spill.File, out io.Writer) error {
	return func(f *spill.File, out io.Writer) error {
		ctx := context.Background()
		errs := make([]error, callers)
		var wg sync.WaitGroup
		for caller := range callers {
			wg.Go(func() {
				for i := 0; errs[caller] == nil; i++ {
					value := fmt.Sprintf("%d/%d", caller, i)
					var id uint64
					if id, errs[caller] = f.Put(ctx, found(value)); errs[caller] == nil && i%2 == 0 {
						fmt.Fprintln(out, value)
					} else if errs[caller] == nil {
						errs[caller] = f.Forget(id)
					}
				}
			})
		}
		wg.Wait()
		_, err := f.Put(ctx, found("after"))
		for _, err := range append(errs, err, f.Forget(1), f.Err()) {
			if !errors.Is(err, spill.ErrLost) || !errors.Is(err, syscall.EIO) {
				return fmt.Errorf("after the failure: %w", err)
			}
		}
		return nil
	}
}

// TestFailedSyncIsFinal lets one sync fail and all others succeed, by strace. After
// the failure the file may not be synced, and not be written to except by calls that
// were under way.
func TestFailedSyncIsFinal(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		unavailable(t, err)
	}
	for _, tt := range []struct {
		part      string
		when      int // which sync fails, counted for each thread
		untouched []string
	}{
		{"1 caller", 2, []string{"sync(", "pwrite64("}},
		{"1 caller", 7, []string{"sync(", "pwrite64("}},
		{"8 callers", 3, []string{"sync("}},
	} {
		t.Run(fmt.Sprintf("%s, sync %d", tt.part, tt.when), func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			closeFile(t, open(t, path))
			trace := path + ".trace"
			cmd := child(t, tt.part, path, strace, "-f", "-qq", "-o", trace, "-P", path,
				"-e", "trace=fsync,fdatasync,pwrite64,ftruncate", "-e", fmt.Sprintf("inject=fsync:error=EIO:when=%d", tt.when))
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
			for _, call := range tt.untouched {
				if strings.Contains(after, call) {
					t.Errorf("%s after the failure:\n%s", call, after)
				}
			}
			got := values(t, open(t, path))
			for want := range strings.Lines(stdout.String()) {
				if !slices.Contains(got, strings.TrimSpace(want)) {
					t.Errorf("%s was acknowledged and is lost", want)
				}
			}
		})
	}
}

// drillLimit fills the file, and empties it again, while the process may not make
// any file larger than this one is.
func drillLimit(f *spill.File, _ io.Writer) error {
	signal.Ignore(syscall.SIGXFSZ) // else the limit ends the process
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: smallSize, Max: math.MaxUint64}); err != nil {
		return err
	}
	return fillAndEmpty(f)
}

// fillAndEmpty uses every block of a small file, three times.
func fillAndEmpty(f *spill.File) error {
	for round := range 3 {
		var ids []uint64
		for {
			id, err := f.Put(context.Background(), found("value"))
			if errors.Is(err, spill.ErrFull) {
				break
			}
			if err != nil {
				return fmt.Errorf("round %d, after %d: %w", round, len(ids), err)
			}
			ids = append(ids, id)
		}
		if len(ids) != smallSize/blockSize-1 {
			return fmt.Errorf("round %d: room for %d", round, len(ids))
		}
		for _, id := range ids {
			if err := f.Forget(id); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestDiskFull opens the file, lets others take all the space that is left on the
// disk, and uses the file.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	fillUp := func(t *testing.T, dir string) {
		t.Helper()
		// What ext4 sets aside while it has not decided where to put something is free
		// again after a sync.
		for i := 0; ; i++ {
			filler, err := os.Create(filepath.Join(dir, "filler"+strconv.Itoa(i)))
			if errors.Is(err, syscall.ENOSPC) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wrote := 0
			for size := 1 << 20; size > 0; {
				n, err := filler.Write(make([]byte, size))
				wrote += n
				if errors.Is(err, syscall.ENOSPC) {
					size /= 2
				} else if err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(filler.Sync(), filler.Close()); err != nil {
				t.Fatal(err)
			}
			if wrote == 0 {
				return
			}
		}
	}
	use := func(t *testing.T, dir string) {
		t.Helper()
		path := filepath.Join(dir, "test.spill")
		f := open(t, path)
		fillUp(t, dir)
		if err := fillAndEmpty(f); err != nil {
			t.Error(err)
		}
		put(t, f, found("last"))
		closeFile(t, f)
		f = open(t, path) // still full
		if got := values(t, f); !slices.Equal(got, []string{"last"}) {
			t.Errorf("%q", got)
		}
		closeFile(t, f)
	}
	t.Run("limit of the file size", func(t *testing.T) {
		t.Parallel()
		cmd := child(t, "limit", newPath(t))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("tmpfs", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m")
		if errors.Is(err, syscall.EPERM) {
			unavailable(t, err)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}()
		use(t, dir)
	})
	t.Run("ext4", func(t *testing.T) {
		t.Parallel()
		use(t, newDisk(t).Path)
	})
	t.Run("no room for the file itself", func(t *testing.T) {
		t.Parallel()
		disk := newDisk(t)
		fillUp(t, disk.Path)
		cfg := spill.Config{Path: filepath.Join(disk.Path, "test.spill"), Size: smallSize, Cipher: sealing(1)}
		if _, err := spill.Open(cfg); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("opened: %v", err)
		}
		if err := os.Remove(filepath.Join(disk.Path, "filler0")); err != nil {
			t.Fatal(err)
		}
		f := openWith(t, cfg)
		if err := fillAndEmpty(f); err != nil {
			t.Error(err)
		}
		closeFile(t, f)
	})
}

func newDisk(t *testing.T) *powercut.Disk {
	t.Helper()
	if err := powercut.Available(); err != nil {
		unavailable(t, err)
	}
	disk, err := powercut.New(t.TempDir(), powercut.MinSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	return disk
}

// TestPowerCut cuts the power while answers of all sizes are put and forgotten.
// What was acknowledged and not to be forgotten must be there afterwards, and nothing
// may be there that was never put, or was forgotten before the last cut but one.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := mathrand.New(mathrand.NewPCG(seed, 0))
	cfg := spill.Config{Path: filepath.Join(disk.Path, "test.spill"), Size: 1 << 20, Cipher: sealing(1)}
	expected := make(map[string]bool) // true: must be there; false: may be there
	acknowledged := 0
	cuts := 50
	if testing.Short() {
		cuts = 10
	}
	for cut := range cuts {
		f, err := spill.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		check(t, cut, f, expected)
		if t.Failed() {
			closeFile(t, f)
			return
		}
		var mu sync.Mutex
		puts, last := 0, 1+random.IntN(60)
		enough := make(chan struct{})
		var wg sync.WaitGroup
		for worker := range 4 {
			random := mathrand.New(mathrand.NewPCG(seed, uint64(cut*4+worker+1)))
			wg.Go(func() {
				for i := 0; ; i++ {
					value := fmt.Sprintf("%d/%d/%d/%s", cut, worker, i, strings.Repeat("x", random.IntN(2*blockSize)))
					mu.Lock()
					expected[value] = false
					mu.Unlock()
					id, err := f.Put(t.Context(), found(value))
					switch {
					case errors.Is(err, spill.ErrLost):
						return
					case err != nil:
						t.Error(err)
						return
					}
					mu.Lock()
					expected[value] = true
					acknowledged++
					if puts++; puts == last {
						close(enough)
					}
					mu.Unlock()
					if random.IntN(50) == 0 && i > 0 {
						continue // stays until it is found after the cut
					}
					mu.Lock()
					expected[value] = false
					mu.Unlock()
					if err := f.Forget(id); err != nil && !errors.Is(err, spill.ErrLost) {
						t.Error(err)
						return
					}
				}
			})
		}
		<-enough
		err = disk.Cut()
		wg.Wait()
		closeFile(t, f)
		if err := errors.Join(err, disk.Remount()); err != nil {
			t.Fatal(err)
		}
	}
	f := openWith(t, cfg)
	check(t, cuts, f, expected)
	closeFile(t, f)
	t.Logf("%d cuts, %d puts were acknowledged", cuts, acknowledged)
}

// check compares a file with what is expected, and empties it.
func check(t *testing.T, cut int, f *spill.File, expected map[string]bool) {
	t.Helper()
	answers, err := f.Answers()
	if err != nil {
		t.Errorf("cut %d: %v", cut, err)
	}
	for _, a := range answers {
		value := a.RefreshToken.Value.Reveal()
		if _, ok := expected[value]; !ok {
			t.Errorf("cut %d: %.20s was never put, or is back again", cut, value)
		}
		delete(expected, value)
		if err := f.Forget(a.ID); err != nil {
			t.Error(err)
		}
	}
	for value, must := range expected {
		if must {
			t.Errorf("cut %d: %.20s was acknowledged and is lost", cut, value)
		}
	}
	clear(expected)
	for _, a := range answers { // a crash may undo Forget
		expected[a.RefreshToken.Value.Reveal()] = false
	}
}
