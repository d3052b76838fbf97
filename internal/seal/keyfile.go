package seal

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// maxKeyFile is more than any key file needs.
const maxKeyFile = 1024

// LoadOrCreate returns the master key kept in the file at path: one line of text,
// 32 bytes in hexadecimal or base64. If there is no such file a random key is
// made and written there, readable by its owner only (0400). The key is the only
// way to what was sealed under it; whoever keeps backups of the data keeps this
// file too, in another place.
//
// A file that others may read is refused (on Windows this is not checked), and so
// is one that holds anything but a key.
func LoadOrCreate(path string) ([]byte, error) {
	key, err := Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key, err = create(path)
	if errors.Is(err, fs.ErrExist) { // somebody was faster; his key counts
		return Load(path)
	}
	return key, err
}

// Load is like [LoadOrCreate] where a key must be there already: its error matches
// [fs.ErrNotExist] if there is none.
func Load(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return nil, fmt.Errorf("master key %s: not a regular file", path)
	case mode.Perm()&0o077 != 0 && runtime.GOOS != "windows":
		return nil, fmt.Errorf("master key %s: others may read it (mode %#o); take their rights away: chmod 400 %[1]s", path, mode.Perm())
	case info.Size() > maxKeyFile:
		return nil, fmt.Errorf("master key %s: %d bytes are too many for a key", path, info.Size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	key, err := parse(string(text))
	switch {
	case errors.Is(err, errNoKey):
		return nil, fmt.Errorf("master key %s: %w; restore it, or remove it where nothing was sealed yet", path, err)
	case err != nil:
		return nil, fmt.Errorf("master key %s: %w", path, err)
	}
	return key, nil
}

var errNoKey = errors.New("it is empty")

// parse decodes a key. Its errors never quote the text.
func parse(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, errNoKey
	}
	decoders := []func(string) ([]byte, error){
		hex.DecodeString,
		base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	}
	for _, decode := range decoders {
		// 32 bytes have different lengths in hexadecimal and base64: no text is both.
		if key, err := decode(text); err == nil && len(key) == KeySize {
			return key, nil
		}
	}
	return nil, errors.New("not one line of 32 bytes in hexadecimal or base64")
}

// create writes a new key. It returns an error matching fs.ErrExist if the file
// is there by now.
func create(path string) (key []byte, err error) {
	key = make([]byte, KeySize)
	_, _ = rand.Read(key) // never fails

	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return nil, fmt.Errorf("create master key: %w", err)
	}
	defer func() {
		if err != nil {
			// Half a key file would stop the next start.
			err = errors.Join(fmt.Errorf("create master key: %w", err), os.Remove(path))
		}
	}()
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return key, syncDir(filepath.Dir(path))
}

// syncDir makes a new name in dir durable.
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
