// Package powercut takes the power from a disk, so that it can be seen what was
// really on it. Killing a process proves nothing about that: the kernel still has
// all that the process wrote. Here the kernel loses it too.
//
// A [Disk] is an ext4 file system with a journal, as systems usually have it, in an
// image file behind a loop device. [Disk.Cut] shuts it down at once: what was not
// synced is gone, and every process with a file there gets errors from then on.
// [Disk.Remount] lets it come up again as after a boot.
//
// This models the loss of everything that the kernel had not written. It does not
// model a drive that tears sectors or lies about having written.
//
// It works on Linux, for root. The mount is gone once the Disk is closed or the
// process that made it has ended, however it ended; the loop device goes with it.
package powercut

import "errors"

// ErrUnavailable: power cuts cannot be made here. What wraps it names what is
// missing: it matches [os/exec.ErrNotFound] too if that is a program, and
// [io/fs.ErrPermission] if it is being root.
var ErrUnavailable = errors.New("powercut: unavailable")

// MinSize is the size of the smallest disk, in bytes.
const MinSize = 8 << 20
