package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrClosed is returned by a sink that was closed.
var ErrClosed = errors.New("the sink is closed")

// underWay is how many calls of a sink's driver are under way at most, with those that
// nobody waits for any more. It bounds the memory and the goroutines of a broker that hangs.
const underWay = 256

// Calls runs calls of a driver that may not return when it should, on behalf of callers
// that do.
type Calls struct {
	timeout time.Duration
	slots   chan struct{}
	closed  chan struct{}

	mu   sync.Mutex // held when work is added to and when closed is closed
	work sync.WaitGroup
}

// NewCalls returns calls that take no longer than timeout, whatever their callers say.
func NewCalls(timeout time.Duration) *Calls {
	return &Calls{timeout: timeout, slots: make(chan struct{}, underWay), closed: make(chan struct{})}
}

// Do runs f and returns what it returns, or an error once ctx has ended or Close was
// called. The context that f gets ends then too.
func (c *Calls) Do(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("nothing was sent: %w", err)
	}
	select {
	case <-c.closed:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("too many messages wait for the broker: %w", ctx.Err())
	case c.slots <- struct{}{}:
	}
	done := make(chan error, 1)
	begun := c.begin(func() {
		defer func() { <-c.slots }()
		done <- f(ctx)
	})
	if !begun {
		<-c.slots
		return ErrClosed
	}
	select {
	case err := <-done:
		return err
	case <-c.closed:
		return ErrClosed
	case <-ctx.Done():
		select {
		case err := <-done: // which may say more
			return err
		default:
			return fmt.Errorf("no confirmation: %w", ctx.Err())
		}
	}
}

func (c *Calls) begin(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
		return false
	default:
		c.work.Go(f)
		return true
	}
}

// Close makes all calls fail, has end cut them off from the broker, and waits for them.
// It does so once.
func (c *Calls) Close(end func() error) error {
	c.mu.Lock()
	select {
	case <-c.closed:
		c.mu.Unlock()
		c.work.Wait()
		return nil
	default:
	}
	close(c.closed)
	c.mu.Unlock()
	err := end()
	c.work.Wait()
	return err
}
