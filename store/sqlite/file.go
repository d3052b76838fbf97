package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// errLocked is what lock reports while another process holds the lock.
var errLocked = errors.New("another process has it open: stop that one first, " +
	"or give this one a database of its own (to see which it is: fuser -v on the .lock file)")

// lockFile is the file whose lock stands for the database. Another lock on the
// database itself would get in the way of SQLite's own.
type lockFile struct{ file *os.File }

// prepareFiles creates what is missing, takes everybody else's rights away and
// locks. SQLite gives its other files the mode of the database, whatever the umask.
func prepareFiles(path string) (*lockFile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	// Whoever can plant a symbolic link where a secret is about to be written
	// chooses where it goes.
	for _, name := range []string{path, path + ".lock", path + "-wal", path + "-shm", path + "-journal"} {
		info, err := os.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case info.Mode()&fs.ModeSymlink != 0:
			return nil, fmt.Errorf("%s is a symbolic link: name the file that it points to", name)
		case !info.Mode().IsRegular():
			return nil, fmt.Errorf("%s is not a regular file", name)
		}
	}
	lock, err := openPrivate(path + ".lock")
	if err != nil {
		return nil, err
	}
	if err := acquire(lock); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	file, err := openPrivate(path)
	if err == nil {
		err = file.Close()
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &lockFile{lock}, nil
}

// openPrivate opens or creates a file for its owner only, whatever the umask.
func openPrivate(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().Perm() != 0o600 {
		err = f.Chmod(0o600)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// syncDir makes new names in dir durable.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // directories cannot be synced there
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// release gives the lock up. The file stays: removing it would let two processes
// hold locks on two files of one name.
func (l *lockFile) release() error { return errors.Join(unlock(l.file), l.file.Close()) }
