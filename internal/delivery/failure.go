package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/store"
)

const (
	// disableAfter is for how long nothing may succeed.
	disableAfter = 5 * 24 * time.Hour
	// noteAfter is for how long nothing has succeeded when that is noted in the store, so
	// that whoever delivers later knows it too.
	noteAfter = time.Minute
	// noteKept is how long such a note is kept.
	noteKept = 6 * disableAfter
)

// failure is since when nothing has succeeded.
type failure struct {
	since     time.Time // of the first that failed; zero: the last one succeeded
	noted     bool      // the store knows
	noting    bool
	noteAt    time.Time // not before
	disabling *reason   // why the subscription is to be disabled
}

// reason is why a subscription is disabled, for people.
type reason struct{ zh, en string }

func failureKey(subscription string) string { return "delivery/failing/" + subscription }

func loadFailure(ctx context.Context, values store.Values, subscription string) (failure, error) {
	v, err := values.Value(ctx, failureKey(subscription))
	if errors.Is(err, store.ErrNotFound) {
		return failure{}, nil
	}
	if err != nil {
		return failure{}, fmt.Errorf("read since when it fails: %w", err)
	}
	since, _ := time.Parse(time.RFC3339Nano, string(v.Data)) // what cannot be read is written anew
	return failure{since: since, noted: true}, nil
}

// judge draws the conclusions for the subscription from an attempt. Those who change a
// subscription, or resume it, give it its five days anew.
func (c *courier) judge(err error, now time.Time) {
	refusal, refused := errors.AsType[*sink.Refusal](err)
	switch {
	case err == nil:
		c.failure.since = time.Time{}
	case refused && refusal.Final:
		// It is the event's fault.
	default:
		if c.failure.since.IsZero() {
			c.failure.since = now
		}
		switch since := later(c.failure.since, c.sub.UpdatedAt); {
		case refused && refusal.Gone:
			c.disable(reason{
				"接收方声明不再接收任何事件（410 Gone）",
				"the receiver says that it wants no more events (410 Gone)",
			})
		case now.Sub(since) >= disableAfter:
			c.disable(reason{
				fmt.Sprintf("自 %s 起没有一次投递成功", since.UTC().Format(time.RFC3339)),
				fmt.Sprintf("no delivery has succeeded since %s", since.UTC().Format(time.RFC3339)),
			})
		}
	}
}

// note keeps the store's note up to date. What is forgotten when the process ends is a
// minute at most.
func (c *courier) note() {
	f := &c.failure
	failing := !f.since.IsZero()
	if f.noting || failing == f.noted || time.Now().Before(f.noteAt) || failing && c.d.clock.Now().Sub(f.since) < noteAfter {
		return
	}
	f.noting = true
	since := f.since
	c.background(func() func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), storeTimeout)
		defer cancel()
		var err error
		if failing {
			err = c.d.cfg.Store.PutValue(ctx, store.Value{
				Key: failureKey(c.id), Data: []byte(since.UTC().Format(time.RFC3339Nano)), ExpiresAt: since.Add(noteKept),
			})
			if errors.Is(err, store.ErrConflict) {
				err = nil // there is an earlier one
			}
		} else {
			_, err = c.d.cfg.Store.TakeValue(ctx, failureKey(c.id))
			if errors.Is(err, store.ErrNotFound) {
				err = nil
			}
		}
		return func() {
			c.failure.noting = false
			if err != nil {
				c.failed("since when delivering fails cannot be recorded", err)
				c.failure.noteAt = time.Now().Add(storeAgain)
				return
			}
			c.failure.noted = failing
		}
	})
}

// disable sets the subscription aside.
func (c *courier) disable(why reason) {
	if c.failure.disabling != nil {
		return
	}
	c.failure.disabling = &why
	c.background(func() func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), storeTimeout)
		defer cancel()
		err := c.d.cfg.Disable(ctx, c.id, why.zh, why.en)
		return func() {
			c.failure.disabling = nil
			if err != nil {
				c.d.log.Error("subscription that fails cannot be disabled", "subscription", c.id, "error", err)
				return // the next failure tries again
			}
			c.d.log.Warn("subscription disabled", "subscription", c.id, "reason", why.en)
			c.wanted = false
		}
	})
}
