package client

import (
	"context"
	"iter"
	"time"

	"github.com/tuoguan/tuoguan"
)

// Event is something that WeChat has pushed, or that the server tells of itself.
type Event struct {
	ID              string                  `json:"id"`       // decimal, ascending in the order of arrival
	EventID         string                  `json:"event_id"` // its id in every delivery, evt_…
	Seq             int64                   `json:"seq"`      // numbers the events of an account to a component, without gaps
	ComponentAppID  tuoguan.ComponentAppID  `json:"component_appid"`
	AuthorizerAppID tuoguan.AuthorizerAppID `json:"authorizer_appid"` // "" where it concerns the component alone
	Kind            string                  `json:"kind"`             // InfoType; or MsgType; or "event." and Event; or one that begins with "tuoguan."
	CreatedAt       *time.Time              `json:"created_at"`       // WeChat's CreateTime
	ReceivedAt      *time.Time              `json:"received_at"`
}

// FullEvent is an event with what it says and what became of it.
type FullEvent struct {
	Event      Event          `json:"event"`
	Body       string         `json:"body"`    // decrypted, XML or JSON; tickets and codes in it are empty
	Fields     map[string]any `json:"fields"`  // of it, by WeChat's names
	Problem    string         `json:"problem"` // why it cannot be read, "" if it can
	Reply      string         `json:"reply"`   // the passive reply given, "" if none
	Deliveries []Delivery     `json:"deliveries"`
}

// EventQuery says which events are listed. The zero query is all.
type EventQuery struct {
	Component    tuoguan.ComponentAppID
	Authorizer   tuoguan.AuthorizerAppID
	Kind         string    // or the beginning of some that ends in "*"
	Since, Until time.Time // when they were received; Until is exclusive
	Newest       bool      // newest first
	After        string    // only those that the list has after the event with this ID
}

// Events lists events without their bodies, oldest first unless asked otherwise.
func (c *Client) Events(ctx context.Context, q EventQuery) iter.Seq2[Event, error] {
	order := ""
	if q.Newest {
		order = "desc"
	}
	return list[Event](ctx, c, get("v1", "events").with(values(
		"component", string(q.Component), "authorizer", string(q.Authorizer), "kind", q.Kind,
		"since", instant(q.Since), "until", instant(q.Until), "order", order, "cursor", q.After)))
}

// instant is how an instant stands in a query.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// Event returns one event with what it says.
func (c *Client) Event(ctx context.Context, id string) (FullEvent, error) {
	var found FullEvent
	_, err := c.call(ctx, get("v1", "events", id), &found)
	return found, err
}
