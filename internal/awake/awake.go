// Package awake counts time as a process lives through it: while it is stopped, or its
// machine is, nothing passes.
package awake

import (
	"context"
	"sync"
	"time"
)

// steps is into how many parts a timeout is cut. A stop costs one of them, however long
// it was.
const steps = 16

// WithTimeout is [context.WithTimeout] for answers that must not be missed. A process
// that is stopped while an answer is on its way finds it in its socket when it goes on.
// The deadline has long passed by then, and whichever the runtime looked at first would
// decide: with an ordinary timeout the answer may be thrown away unread. The context has
// no Deadline; its cause is [context.DeadlineExceeded] where time has run out.
func WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	c := &countdown{step: max(d/steps, 1), left: steps, out: func() { cancel(context.DeadlineExceeded) }}
	if d <= 0 {
		c.left = 1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(c.step, c.tick)
	return ctx, func() { c.stop(); cancel(context.Canceled) }
}

type countdown struct {
	step time.Duration
	out  func()

	mu    sync.Mutex
	timer *time.Timer
	left  int // steps; 0 when it has ended
}

func (c *countdown) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == 0 {
		return
	}
	if c.left--; c.left > 0 {
		c.timer.Reset(c.step)
		return
	}
	c.out()
}

func (c *countdown) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = 0
	c.timer.Stop()
}
