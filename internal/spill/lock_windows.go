package spill

import (
	"errors"
	"os"
	"syscall"
	"unsafe"
)

// lock locks a byte far behind the end of f until f is closed. On what is locked
// itself, others could not even read.
func lock(f *os.File) error {
	const (
		exclusive = 2  // LOCKFILE_EXCLUSIVE_LOCK
		noWait    = 1  // LOCKFILE_FAIL_IMMEDIATELY
		violation = 33 // ERROR_LOCK_VIOLATION
	)
	at := syscall.Overlapped{OffsetHigh: 1 << 30}
	lockFileEx := syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")
	ok, _, err := lockFileEx.Call(f.Fd(), exclusive|noWait, 0, 1, 0, uintptr(unsafe.Pointer(&at)))
	switch {
	case ok != 0:
		return nil
	case errors.Is(err, syscall.Errno(violation)):
		return ErrInUse
	}
	return err
}

// unlock leaves it to closing.
func unlock(*os.File) error { return nil }
