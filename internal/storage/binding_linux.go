package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// fileBinding tells a file from its copies: by its number on its file system, by the
// instant at which it was born, and by the machine, where that has an id. All of
// them outlive a restart. A copy of a whole machine with its id shares them.
func fileBinding(path string) (string, error) {
	var s unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO|unix.STATX_BTIME, &s); err != nil {
		return "", fmt.Errorf("look at %s: %w", path, err)
	}
	binding := fmt.Sprintf("file %d", s.Ino)
	if s.Mask&unix.STATX_BTIME != 0 {
		binding += fmt.Sprintf(" born %d.%09d", s.Btime.Sec, s.Btime.Nsec)
	}
	// The id of a machine is not meant to be shown around.
	if id, err := os.ReadFile("/etc/machine-id"); err == nil && len(strings.TrimSpace(string(id))) > 0 {
		sum := sha256.Sum256(append([]byte("tuoguan "), id...))
		binding += " machine " + hex.EncodeToString(sum[:8])
	}
	return binding, nil
}
