package delivery

import (
	"context"
	"time"

	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/subscription"
)

// Result is what became of a test.
type Result struct {
	Status    int    // HTTP status; 0 for a broker, or if nothing was answered
	LatencyMS int64  // how long it took
	Error     string // for people; "" if the event was taken
}

// Test sends a sample to a subscription, whatever its state, and without any trace in the
// store. The error is one of ours; that the other side does not take it is a Result.
func (d *Dispatcher) Test(ctx context.Context, s subscription.Subscription) (Result, error) {
	out, err := d.cfg.Sinks(s)
	if err != nil {
		return Result{}, err
	}
	defer out.Close()
	sample := event.Sample(event.Test, sampleOf(s), d.clock.Now())
	began := time.Now()
	receipt, err := send(ctx, out, sink.Message{ID: event.ID(sample.Key), Event: sample, Attempt: 1})
	if ctx.Err() != nil {
		return Result{}, ctx.Err()
	}
	return Result{Status: status(receipt, err), LatencyMS: time.Since(began).Milliseconds(), Error: text(err)}, nil
}
