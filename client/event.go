package client

import (
	"context"
	"iter"
	"time"

	"github.com/tuoguan/tuoguan"
)

// Event is something that WeChat has pushed.
type Event struct {
	ID              string                  `json:"id"` // decimal, ascending in the order of arrival
	ComponentAppID  tuoguan.ComponentAppID  `json:"component_appid"`
	AuthorizerAppID tuoguan.AuthorizerAppID `json:"authorizer_appid"` // "" where it concerns the component alone
	Kind            string                  `json:"kind"`             // InfoType; or MsgType; or "event." and Event
	CreatedAt       *time.Time              `json:"created_at"`       // WeChat's CreateTime
	ReceivedAt      *time.Time              `json:"received_at"`
}

// FullEvent is an event with what it says.
type FullEvent struct {
	Event Event  `json:"event"`
	Body  string `json:"body"`  // decrypted, XML or JSON; tickets and codes are left out
	Reply string `json:"reply"` // the passive reply given, "" if none
}

// EventQuery says which events are listed. The zero query is all.
type EventQuery struct {
	Component  tuoguan.ComponentAppID
	Authorizer tuoguan.AuthorizerAppID
	Kind       string
	After      string // only those after the event with this ID
}

// Events lists events without their bodies, oldest first.
func (c *Client) Events(ctx context.Context, q EventQuery) iter.Seq2[Event, error] {
	return list[Event](ctx, c, get("v1", "events").with(values(
		"component", string(q.Component), "authorizer", string(q.Authorizer), "kind", q.Kind, "cursor", q.After)))
}

// Event returns one event with what it says.
func (c *Client) Event(ctx context.Context, id string) (FullEvent, error) {
	var found FullEvent
	_, err := c.call(ctx, get("v1", "events", id), &found)
	return found, err
}
