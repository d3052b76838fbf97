//go:build !linux

package powercut

import (
	"fmt"
	"runtime"
)

// Available reports what is missing to make power cuts, or nil.
func Available() error { return fmt.Errorf("%w on %s", ErrUnavailable, runtime.GOOS) }

// Disk is a disk whose power can be cut.
type Disk struct {
	Path string // the mounted file system
}

// New is for Linux.
func New(string, int64) (*Disk, error) { return nil, Available() }

// Cut is for Linux.
func (d *Disk) Cut() error { return Available() }

// Remount is for Linux.
func (d *Disk) Remount() error { return Available() }

// Close is for Linux.
func (d *Disk) Close() error { return nil }
