package sqlite

import (
	"errors"
	"os"
	"syscall"
	"unsafe"
)

// acquire locks f until it is closed.
func acquire(f *os.File) error {
	const (
		exclusive = 2  // LOCKFILE_EXCLUSIVE_LOCK
		noWait    = 1  // LOCKFILE_FAIL_IMMEDIATELY
		violation = 33 // ERROR_LOCK_VIOLATION
	)
	var at syscall.Overlapped
	lockFileEx := syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")
	ok, _, err := lockFileEx.Call(f.Fd(), exclusive|noWait, 0, 1, 0, uintptr(unsafe.Pointer(&at)))
	switch {
	case ok != 0:
		return nil
	case errors.Is(err, syscall.Errno(violation)):
		return errLocked
	}
	return err
}

// unlock leaves it to closing.
func unlock(*os.File) error { return nil }
