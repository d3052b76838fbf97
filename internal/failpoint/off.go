//go:build !failpoint || !unix

package failpoint

import "time"

// Enabled reports whether marks do anything in this build.
const Enabled = false

// Hit passes a mark. The error is the one that the environment asks for there.
func Hit(Name) error { return nil }

// ClockOffset is how far this process's clock is to be ahead.
func ClockOffset() time.Duration { return 0 }
