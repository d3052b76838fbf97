package powercut

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"
)

// Available reports what is missing to make power cuts, or nil. Since a container
// may be refused what its root user seems to have, it finds out by making one.
func Available() (err error) {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: this takes root: %w", ErrUnavailable, fs.ErrPermission)
	}
	for _, program := range []string{"mkfs.ext4", "e2fsck", "mount", "umount", "sh"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	dir, err := os.MkdirTemp("", "powercut")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d, err := New(dir, MinSize)
	if err == nil {
		err = errors.Join(d.Cut(), d.Remount(), d.Close())
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// Disk is a disk whose power can be cut. Its methods are for one goroutine.
type Disk struct {
	// Path is the mounted file system.
	Path string

	image string
	guard *exec.Cmd
	alive io.Closer // the guard acts once it is closed; the kernel sees to that, however this process ends
}

// New makes a disk of size bytes in the directory dir, which must be there. It holds
// the image and the mount point, and belongs to the Disk until that is closed; an
// image left by an earlier Disk is made anew.
func New(dir string, size int64) (*Disk, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("powercut: %w", err)
	}
	d := &Disk{Path: filepath.Join(dir, "mounted"), image: filepath.Join(dir, "image")}
	if err := d.format(size); err != nil {
		return nil, fmt.Errorf("powercut: %w", err)
	}
	if err := d.startGuard(); err != nil {
		return nil, fmt.Errorf("powercut: %w", err)
	}
	if err := d.mount(); err != nil {
		return nil, errors.Join(fmt.Errorf("powercut: %w", err), d.Close())
	}
	return d, nil
}

func (d *Disk) format(size int64) error {
	if size < MinSize {
		return fmt.Errorf("%d bytes are too few for a disk, it takes %d", size, int64(MinSize))
	}
	if err := os.Mkdir(d.Path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.OpenFile(d.image, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return err
	}
	// The block size of a large disk, which a small one would not get by itself; and
	// nothing that the kernel would do later in the background.
	return run("mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-O", "has_journal",
		"-E", "lazy_itable_init=0,lazy_journal_init=0", d.image)
}

// startGuard starts the process that unmounts when this one is gone.
func (d *Disk) startGuard() error {
	d.guard = exec.CommandContext(context.Background(), "sh", "-c", `read -r _; umount -l "$1" 2>/dev/null; exit 0`, "sh", d.Path)
	d.guard.Dir = "/"
	d.guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a signal to our group is not for it
	alive, err := d.guard.StdinPipe()
	if err != nil {
		return err
	}
	d.alive = alive
	return d.guard.Start()
}

// mount lets mount find a loop device, which the kernel frees with the mount.
func (d *Disk) mount() error { return run("mount", "-t", "ext4", "-o", "loop", d.image, d.Path) }

// Cut takes the power. What was not synced is lost, and the file system gives
// nothing but errors until [Disk.Remount].
func (d *Disk) Cut() error {
	const (
		goingDown  = 0x8004587d // FS_IOC_GOINGDOWN
		noLogFlush = 2          // FS_SHUTDOWN_FLAGS_NOLOGFLUSH: not even the journal is written
	)
	f, err := os.Open(d.Path)
	if err != nil {
		return fmt.Errorf("powercut: cut: %w", err)
	}
	flags := uint32(noLogFlush)
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), goingDown, uintptr(unsafe.Pointer(&flags)))
	if errno != 0 {
		err = os.NewSyscallError("FS_IOC_GOINGDOWN", errno)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("powercut: cut: %w", err)
	}
	return nil
}

// Remount unmounts the disk and mounts it again: the journal is replayed, and the
// file system is repaired if it still does not mount. Whoever had files open there
// must be gone, and waited for.
func (d *Disk) Remount() error {
	if err := d.unmount(); err != nil {
		return fmt.Errorf("powercut: remount: %w", err)
	}
	err := d.mount()
	if err == nil {
		return nil
	}
	// Its exit status says what it repaired; whether that was enough, mount will tell.
	repair := run("e2fsck", "-f", "-y", d.image)
	if d.mount() != nil {
		return fmt.Errorf("powercut: remount: %w", errors.Join(err, repair))
	}
	return nil
}

// unmount is patient for a moment: a process that is just being started may hold
// the files of its parent until it runs its own program.
func (d *Disk) unmount() error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		err := syscall.Unmount(d.Path, 0)
		if !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline) {
			return os.NewSyscallError("umount", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Close unmounts the disk, even if somebody still has files open there: he keeps
// them until he ends. It may be called again.
func (d *Disk) Close() error {
	if d.alive == nil {
		return nil
	}
	err := syscall.Unmount(d.Path, syscall.MNT_DETACH)
	if errors.Is(err, syscall.EINVAL) { // it is not mounted: an earlier call has failed
		err = nil
	}
	err = errors.Join(os.NewSyscallError("umount", err), d.alive.Close(), d.guard.Wait())
	d.alive = nil
	if err != nil {
		return fmt.Errorf("powercut: close: %w", err)
	}
	return nil
}

// run runs a program that ends by itself.
func run(name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}
