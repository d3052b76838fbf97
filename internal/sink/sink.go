// Package sink is the seam behind which events leave: a webhook or a broker. What is
// sent, when, how often and in which order is decided before it.
package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tuoguan/tuoguan/store"
)

// Sink takes events to one place. It is safe for concurrent use.
type Sink interface {
	// Send returns nil once the other side has confirmed the event durably, by whatever
	// counts as that there. An error that is no *Refusal is one of the way: try again.
	Send(ctx context.Context, m Message) (Receipt, error)
	// Close releases what Send has opened. Sends under way fail.
	Close() error
}

// Message is one event on its way.
type Message struct {
	ID      string     // as by event.ID: the same at every attempt
	Event   store.Push // with its body
	Attempt int        // from 1
	// ReplyBy is set where a passive reply is asked for: until then.
	ReplyBy time.Time
}

// Key is what decides about order and partition: component and authorizer.
func (m Message) Key() string { return string(m.Event.Component) + "/" + string(m.Event.Authorizer) }

// Receipt is what the other side said.
type Receipt struct {
	Status int    // HTTP status; 0 for a broker
	Reply  []byte // what a webhook answered, where a reply was asked for; at most 64 KiB
	// ContentType of Reply.
	ContentType string
}

// Refusal says that the other side was reached and did not take the event.
type Refusal struct {
	Status     int           // HTTP status; 0 for a broker
	RetryAfter time.Duration // what it asked for; zero if nothing
	Gone       bool          // it wants no more events, ever (410)
	Final      bool          // this event will never be taken: too large, not encodable
	Text       string        // for people; holds nothing of the event and no secret
}

func (r *Refusal) Error() string {
	if r.Status != 0 {
		return fmt.Sprintf("refused with %d: %s", r.Status, r.Text)
	}
	return "refused: " + r.Text
}

// ErrBlocked: the address is one that must not be called. See internal/egress.
var ErrBlocked = errors.New("address is not allowed")
