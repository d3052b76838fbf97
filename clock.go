package tuoguan

import (
	"sync/atomic"
	"time"
)

// Clock is the system's clock plus an offset. Only the demo and tests move the
// offset, to let hours pass in an instant; a nil *Clock is the system's clock.
// It is safe for concurrent use.
type Clock struct{ offset atomic.Int64 }

// Now returns the present, with its monotonic reading.
func (c *Clock) Now() time.Time { return time.Now().Add(c.Offset()) }

// Offset returns how far the clock is ahead of the system's.
func (c *Clock) Offset() time.Duration {
	if c == nil {
		return 0
	}
	return time.Duration(c.offset.Load())
}

// Advance moves the clock forward by d.
func (c *Clock) Advance(d time.Duration) { c.offset.Add(int64(d)) }

// SetOffset sets how far the clock is ahead of the system's.
func (c *Clock) SetOffset(d time.Duration) { c.offset.Store(int64(d)) }
