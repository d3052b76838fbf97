//go:build unix && !solaris && !aix

package spill

import (
	"errors"
	"os"
	"syscall"
)

// lock takes the lock of the open file: it holds against another [File] in this
// process too, and ends with the process.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return err
}

// unlock does not leave it to closing: a child process that is just being started
// may have the file open for a moment longer.
func unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
