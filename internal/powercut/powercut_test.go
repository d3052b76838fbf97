package powercut_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan/internal/powercut"
)

// childEnv makes the test binary make a disk in the directory named and wait.
const childEnv = "TUOGUAN_POWERCUT_CHILD"

func TestMain(m *testing.M) {
	dir, isChild := os.LookupEnv(childEnv)
	if !isChild {
		os.Exit(m.Run())
	}
	d, err := powercut.New(dir, powercut.MinSize)
	fmt.Println(d != nil, err)
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// available skips what cannot be done here.
func available(t *testing.T) {
	t.Helper()
	err := powercut.Available()
	switch {
	case err == nil:
	case errors.Is(err, exec.ErrNotFound) && os.Getenv("REQUIRE_TOOLS") == "1":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}

func newDisk(t *testing.T) *powercut.Disk {
	t.Helper()
	available(t)
	d, err := powercut.New(t.TempDir(), 16<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func write(t *testing.T, name, text string, sync bool) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if sync {
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCut shows that a cut loses what was not synced, and nothing else.
func TestCut(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	for cut := range 10 {
		synced, unsynced := fmt.Sprintf("%s/synced%d", d.Path, cut), fmt.Sprintf("%s/unsynced%d", d.Path, cut)
		write(t, synced, "synced", true)
		write(t, unsynced, "unsynced", false)
		if err := d.Cut(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(d.Path+"/late", nil, 0o600); err == nil {
			t.Fatal("written without power")
		}
		if err := d.Remount(); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(synced); err != nil || string(text) != "synced" {
			t.Errorf("cut %d lost what was synced: %q, %v", cut, text, err)
		}
		if text, err := os.ReadFile(unsynced); err == nil && len(text) > 0 {
			t.Errorf("cut %d left what was not synced: %q", cut, text)
		}
	}
}

// TestRepair lets a disk come up whose superblock is damaged.
func TestRepair(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	write(t, d.Path+"/file", "content", true)
	if err := d.Cut(); err != nil {
		t.Fatal(err)
	}
	image, err := os.OpenFile(filepath.Join(filepath.Dir(d.Path), "image"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	if _, err := image.WriteAt(make([]byte, 1024), 1024); err != nil {
		t.Fatal(err)
	}
	if err := d.Remount(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(d.Path + "/file"); err != nil || string(text) != "content" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestNothingStays looks for mounts and loop devices left behind.
func TestNothingStays(t *testing.T) {
	t.Parallel()
	available(t)
	left := func(t *testing.T, dir string) (names []string) {
		t.Helper()
		mounts, err := os.ReadFile("/proc/mounts")
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(mounts, []byte(dir)) {
			names = append(names, "the mount")
		}
		files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if backing, err := os.ReadFile(file); err == nil && bytes.Contains(backing, []byte(dir)) {
				names = append(names, file)
			}
		}
		return names
	}
	nothingLeft := func(t *testing.T, dir string) {
		t.Helper()
		if names := left(t, dir); names != nil {
			t.Errorf("left behind: %q", names)
		}
	}
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		d, err := powercut.New(dir, powercut.MinSize)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
		nothingLeft(t, dir)
	})
	t.Run("closed in use", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		d, err := powercut.New(dir, powercut.MinSize)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(d.Path + "/file")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.Close(), f.Close()); err != nil {
			t.Error(err)
		}
		nothingLeft(t, dir)
	})
	t.Run("not mounted", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if err := os.WriteFile(dir+"/mounted", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := powercut.New(dir, powercut.MinSize); err == nil {
			t.Error("mounted on a file")
		}
		nothingLeft(t, dir)
	})
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), childEnv+"="+dir)
		if _, err := cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if err != nil || strings.TrimSpace(line) != "true <nil>" {
			t.Fatalf("%q, %v", line, err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		// The guard is nobody's child any more, so nobody is told when it is done.
		for deadline := time.Now().Add(10 * time.Second); left(t, dir) != nil && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		nothingLeft(t, dir)
	})
}

func TestTooSmall(t *testing.T) {
	t.Parallel()
	if d, err := powercut.New(t.TempDir(), 4096); err == nil {
		t.Error("made", d, d.Close())
	}
}

func TestAvailable(t *testing.T) {
	t.Parallel()
	err := powercut.Available()
	if err != nil && !errors.Is(err, powercut.ErrUnavailable) {
		t.Error(err)
	}
	if os.Geteuid() > 0 && !errors.Is(err, fs.ErrPermission) {
		t.Errorf("not root, but %v", err)
	}
}
