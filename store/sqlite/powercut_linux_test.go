package sqlite_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan/internal/powercut"
)

// TestPowerCut cuts the power of the disk under a process that writes, again and
// again. What it was told is stored must be there afterwards: the kernel has lost all
// that was not synced.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	if err := powercut.Available(); err != nil {
		if errors.Is(err, exec.ErrNotFound) && os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	disk, err := powercut.New(t.TempDir(), 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	}()
	cuts := 20
	if testing.Short() {
		cuts = 5
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(disk.Path, "test.db")
	var acknowledged []string
	for range cuts {
		cmd := child(t, "append", path)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stdout)
		for range 1 + random.IntN(300) {
			if lines.Scan() {
				acknowledged = append(acknowledged, lines.Text())
			}
		}
		// What is acknowledged from now on does not count: with the power, the process
		// would have gone as well, but here it may still be told that a sync went well.
		err = disk.Cut()
		for lines.Scan() {
		}
		_ = cmd.Wait() // it ends because its disk is gone
		if err := errors.Join(err, disk.Remount()); err != nil {
			t.Fatal(err)
		}
		verify(t, path, acknowledged)
		verifyWhole(t, path)
		if t.Failed() {
			break
		}
	}
	t.Logf("%d writes were acknowledged", len(acknowledged))
}

// verifyWhole looks whether the refresh token is that of the epoch.
func verifyWhole(t *testing.T, path string) {
	t.Helper()
	s := open(t, path)
	a, err := s.Authorizer(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("refresh/%d/%d", a.Grant, a.Epoch)
	got := a.Tokens.RefreshToken.Reveal()
	if _, err := strconv.Atoi(got); a.Epoch == 0 && err == nil {
		want = got // that of the grant is the number of a process
	}
	if got != want {
		t.Errorf("half of a token set is stored: %s instead of %s", got, want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
