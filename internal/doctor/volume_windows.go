package doctor

import (
	"path/filepath"
	"strings"
)

// sameVolume reports whether two files are on one volume.
func sameVolume(a, b string) bool {
	return strings.EqualFold(filepath.VolumeName(a), filepath.VolumeName(b))
}
