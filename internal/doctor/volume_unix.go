//go:build unix

package doctor

import (
	"os"
	"syscall"
)

// sameVolume reports whether two files are on one file system, as far as that can be
// told.
func sameVolume(a, b string) bool {
	var devices [2]uint64
	for i, path := range []string{a, b} {
		info, err := os.Stat(path)
		if err != nil {
			return false
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return false
		}
		devices[i] = uint64(stat.Dev)
	}
	return devices[0] == devices[1]
}
