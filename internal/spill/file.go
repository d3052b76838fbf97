package spill

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// openLocked opens or creates the file for its owner only, and locks it.
func openLocked(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	// A symbolic link would let whoever can plant one choose what is written over.
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	if err := f.Chmod(0o600); err != nil && runtime.GOOS != "windows" {
		return nil, errors.Join(err, unlock(f), f.Close())
	}
	return f, nil
}

// extend writes zeros behind the end of f. Reserving space would not do: where the
// file system notes what was reserved but never written, the first write needs
// space for that note.
func extend(f *os.File, size, want int64) error {
	zeros := make([]byte, 1<<20)
	for size < want {
		n, err := f.WriteAt(zeros[:min(want-size, int64(len(zeros)))], size)
		if err != nil {
			return err
		}
		size += int64(n)
	}
	return nil
}

// syncDir makes the name of the file durable.
func syncDir(path string) error {
	if runtime.GOOS == "windows" { // directories cannot be synced there
		return nil
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
