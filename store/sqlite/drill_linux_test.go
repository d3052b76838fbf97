package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tuoguan/tuoguan/store"
)

func init() { drills["limit"] = drillLimit }

// drillLimit fills a file up to the greatest size that the process may write.
func drillLimit(path string, out io.Writer) error {
	signal.Ignore(syscall.SIGXFSZ) // else the limit ends the process
	s, err := openDrill(path)
	if err != nil {
		return err
	}
	limit := func(n uint64) error {
		return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: math.MaxUint64})
	}
	if err := limit(3 << 20); err != nil {
		return err
	}
	acknowledged, err := fillUp(context.Background(), s, func() error { return limit(math.MaxUint64) })
	for _, key := range acknowledged {
		fmt.Fprintln(out, key)
	}
	return errors.Join(err, s.Close())
}

// TestDiskFull fills the disk and makes room again.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, path string, acknowledged []string) {
		if len(acknowledged) < 50 {
			t.Errorf("only %d writes went well", len(acknowledged))
		}
		s := open(t, path)
		defer s.Close() // before its file system goes
		for _, key := range acknowledged {
			p, duplicate, err := s.AcceptPush(t.Context(), store.Intake{Push: store.Push{Key: key}})
			if err != nil || !duplicate || !strings.HasPrefix(string(p.Body), key) {
				t.Errorf("%q was acknowledged and is lost: %v", key, err)
			}
		}
	}
	t.Run("limit of the file size", func(t *testing.T) {
		t.Parallel()
		path := newPath(t)
		cmd := child(t, "limit", path)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		check(t, path, strings.Fields(string(out)))
	})
	t.Run("file system", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=6m")
		if errors.Is(err, syscall.EPERM) {
			t.Log("mounting is not permitted; the limit of the file size stands in for it")
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := syscall.Unmount(dir, 0); err != nil {
				t.Error(err)
			}
		}()
		filler := filepath.Join(dir, "filler")
		if err := os.WriteFile(filler, make([]byte, 3<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "test.db")
		s, err := openDrill(path)
		if err != nil {
			t.Fatal(err)
		}
		acknowledged, err := fillUp(t.Context(), s, func() error { return os.Remove(filler) })
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
		check(t, path, acknowledged)
	})
}
