package client

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"net/http"
	"time"

	"github.com/tuoguan/tuoguan"
)

// Match says which events a subscription is about. Empty lists but Kinds do not bound it.
type Match struct {
	Components []tuoguan.ComponentAppID `json:"components,omitempty"`
	// Authorizers and Tags: accounts that are named, or have one of the tags.
	Authorizers []tuoguan.AuthorizerAppID `json:"authorizers,omitempty"`
	Tags        []string                  `json:"tags,omitempty"`
	// Kinds are kinds of events, or beginnings of them that end in "*": "text",
	// "event.*", "tuoguan.*", "*". docs/events.md lists them.
	Kinds    []string `json:"kinds"`
	Contains []string `json:"contains,omitempty"` // only texts that contain one of these, ignoring case
}

// SinkType is the kind of place that events go to.
type SinkType string

const (
	SinkWebhook  SinkType = "webhook"
	SinkAnswer   SinkType = "answer" // a reply that is always the same: nothing is delivered
	SinkNATS     SinkType = "nats"
	SinkKafka    SinkType = "kafka"
	SinkRabbitMQ SinkType = "rabbitmq"
	SinkRedis    SinkType = "redis"
)

// SinkFormat is the form in which a webhook gets events.
type SinkFormat string

const (
	FormatCloudEvents SinkFormat = "cloudevents" // 1.0, signed as by Standard Webhooks: see [ReadWebhook]
	FormatWeChat      SinkFormat = "wechat"      // WeChat's own, encrypted with a key of the receiver's
)

// Sink is where events go. Which fields count depends on Type.
type Sink struct {
	Type     SinkType          `json:"type"`
	URL      string            `json:"url,omitempty"`     // of a webhook, https; or addresses of a broker, apart by commas
	Format   SinkFormat        `json:"format,omitempty"`  // of a webhook; [FormatCloudEvents] if ""
	Headers  map[string]string `json:"headers,omitempty"` // of a webhook; secret ones belong into [SubscriptionSecrets]
	Timeout  int               `json:"timeout,omitempty"` // of a webhook, in seconds; 0 is the server's default
	Subject  string            `json:"subject,omitempty"` // subject, topic, routing key or stream; may hold {component}, {authorizer}, {kind}
	Exchange string            `json:"exchange,omitempty"`
	MaxLen   int64             `json:"max_len,omitempty"`
	Answer   json.RawMessage   `json:"answer,omitempty"` // the reply of [SinkAnswer], such as {"msg_type": "text", "content": "…"}
}

// SubscriptionState says whether a subscription is delivered to.
type SubscriptionState string

const (
	SubscriptionActive   SubscriptionState = "active"
	SubscriptionPaused   SubscriptionState = "paused"   // events are gathered and delivered once it is resumed
	SubscriptionDisabled SubscriptionState = "disabled" // likewise, because of [Subscription.Problem]
)

// Subscription is one wish to be told of events, without its secrets.
type Subscription struct {
	ID          string             `json:"id"`
	Name        string             `json:"name"`
	Match       Match              `json:"match"`
	Priority    int                `json:"priority"` // of those that may reply to a user, the one with the highest does
	Sink        Sink               `json:"sink"`
	Ordered     bool               `json:"ordered"`     // the events of an account one after the other
	Concurrency int                `json:"concurrency"` // 0 is the server's default
	Reply       bool               `json:"reply"`       // what the webhook answers is the passive reply to the user
	MaxAge      int                `json:"max_age"`     // seconds for which an event is tried; 0 is the server's default
	State       SubscriptionState  `json:"state"`
	Problem     string             `json:"problem"` // why it is disabled
	Secrets     HeldSecrets        `json:"secrets"`
	Status      SubscriptionStatus `json:"status"`
	CreatedAt   time.Time          `json:"created_at"`
	UpdatedAt   time.Time          `json:"updated_at"`

	ETag string `json:"-"` // names this state; "" in a list
}

// HeldSecrets says which secrets a subscription has.
type HeldSecrets struct {
	Signing        []HeldKey `json:"signing"` // newest first; two while one is being replaced
	Token          bool      `json:"token"`
	EncodingAESKey bool      `json:"encoding_aes_key"`
	Headers        []string  `json:"headers"` // their names
	User           bool      `json:"user"`
	Password       bool      `json:"password"`
}

// HeldKey is a signing secret without the secret.
type HeldKey struct {
	Fingerprint string     `json:"fingerprint"`
	Until       *time.Time `json:"until"` // when it ends, having been replaced; nil: it is in force
}

// SubscriptionStatus is what waits for a subscription, counted up to 10,000.
type SubscriptionStatus struct {
	Pending   int        `json:"pending"`
	Dead      int        `json:"dead"`       // given up
	Since     *time.Time `json:"since"`      // when the longest overdue delivery was due
	LastError string     `json:"last_error"` // "" in a list
}

// SubscriptionSecrets are the secrets of a subscription that its owner chooses. Nil
// fields of a change stay; an empty secret takes one away.
type SubscriptionSecrets struct {
	Token          *tuoguan.Secret // of [FormatWeChat], as is EncodingAESKey
	EncodingAESKey *tuoguan.Secret
	Headers        map[string]tuoguan.Secret // of a webhook
	User           *string                   // of a broker, as is Password
	Password       *tuoguan.Secret
}

// body returns the fields of the API for s, nil if there are none.
func (s SubscriptionSecrets) body() map[string]any {
	body := make(map[string]any)
	for name, value := range map[string]*tuoguan.Secret{"token": s.Token, "encoding_aes_key": s.EncodingAESKey, "password": s.Password} {
		if value != nil {
			body[name] = value.Reveal()
		}
	}
	if s.User != nil {
		body["user"] = *s.User
	}
	headers := make(map[string]string)
	for name, value := range s.Headers {
		headers[name] = value.Reveal()
	}
	if len(headers) > 0 {
		body["headers"] = headers
	}
	return body
}

// NewSubscription is a subscription to be made. Name, Match.Kinds and Sink.Type are required.
type NewSubscription struct {
	Name        string
	Match       Match
	Sink        Sink
	Priority    int
	Ordered     bool
	Concurrency int
	Reply       bool
	MaxAge      time.Duration // in whole seconds; 0 is the server's default
	Secrets     SubscriptionSecrets
}

// MadeSubscription is a subscription with a signing secret that is new and not shown again.
type MadeSubscription struct {
	Subscription
	// SigningSecret, whsec_…, is what [ReadWebhook] verifies with. It is empty where
	// nothing is signed, or nothing was changed about it.
	SigningSecret tuoguan.Secret `json:"-"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (s *MadeSubscription) UnmarshalJSON(text []byte) error {
	var body struct {
		Subscription
		SigningSecret string `json:"signing_secret"`
	}
	err := json.Unmarshal(text, &body)
	*s = MadeSubscription{body.Subscription, tuoguan.NewSecret(body.SigningSecret)}
	return err
}

// Subscriptions lists the subscriptions.
func (c *Client) Subscriptions(ctx context.Context) iter.Seq2[Subscription, error] {
	return list[Subscription](ctx, c, get("v1", "subscriptions"))
}

// Subscription returns one subscription.
func (c *Client) Subscription(ctx context.Context, id string) (Subscription, error) {
	return c.subscription(ctx, get("v1", "subscriptions", id))
}

// CreateSubscription makes a subscription.
func (c *Client) CreateSubscription(ctx context.Context, n NewSubscription) (MadeSubscription, error) {
	body := map[string]any{"name": n.Name, "match": n.Match, "sink": n.Sink}
	if n.Priority != 0 {
		body["priority"] = n.Priority
	}
	if n.Ordered {
		body["ordered"] = true
	}
	if n.Concurrency != 0 {
		body["concurrency"] = n.Concurrency
	}
	if n.Reply {
		body["reply"] = true
	}
	if n.MaxAge != 0 {
		body["max_age"] = int(n.MaxAge / time.Second)
	}
	if secrets := n.Secrets.body(); len(secrets) > 0 {
		body["secrets"] = secrets
	}
	return c.madeSubscription(ctx, create(body, "v1", "subscriptions"))
}

// SubscriptionChange is what is to be different about a subscription; what is nil stays.
type SubscriptionChange struct {
	Name        *string
	Match       *Match // all of it
	Sink        *Sink  // all of it; if it leads to another host, secrets that go along have to be given again
	Priority    *int
	Ordered     *bool
	Concurrency *int
	Reply       *bool
	MaxAge      *time.Duration
	Secrets     SubscriptionSecrets
}

// ChangeSubscription changes a subscription. With the ETag of one read before it fails
// with [ErrPreconditionFailed] if it has changed since; "" is whatever it is now.
func (c *Client) ChangeSubscription(ctx context.Context, id string, change SubscriptionChange, etag string) (MadeSubscription, error) {
	body := make(map[string]any)
	put(body, "name", change.Name)
	put(body, "match", change.Match)
	put(body, "sink", change.Sink)
	put(body, "priority", change.Priority)
	put(body, "ordered", change.Ordered)
	put(body, "concurrency", change.Concurrency)
	put(body, "reply", change.Reply)
	if change.MaxAge != nil {
		body["max_age"] = int(*change.MaxAge / time.Second)
	}
	if secrets := change.Secrets.body(); len(secrets) > 0 {
		body["secrets"] = secrets
	}
	return c.madeSubscription(ctx, request{method: http.MethodPatch, path: []string{"v1", "subscriptions", id}, header: ifMatch(etag), body: body})
}

func put[T any](body map[string]any, name string, value *T) {
	if value != nil {
		body[name] = *value
	}
}

// DeleteSubscription deletes a subscription, with all that waits for it. The ETag is as
// for [Client.ChangeSubscription].
func (c *Client) DeleteSubscription(ctx context.Context, id, etag string) error {
	_, err := c.call(ctx, request{method: http.MethodDelete, path: []string{"v1", "subscriptions", id}, header: ifMatch(etag)}, nil)
	return err
}

// PauseSubscription has events gathered and none delivered.
func (c *Client) PauseSubscription(ctx context.Context, id string) (Subscription, error) {
	r := post(nil, "v1", "subscriptions", id, "pause")
	r.again = true
	return c.subscription(ctx, r)
}

// ResumeSubscription has a paused or disabled subscription delivered to again.
func (c *Client) ResumeSubscription(ctx context.Context, id string) (Subscription, error) {
	r := post(nil, "v1", "subscriptions", id, "resume")
	r.again = true
	return c.subscription(ctx, r)
}

// RotateSigningSecret replaces the signing secret. For the overlap, up to 30 days,
// webhooks carry a signature of the old one too; 0 is a day, a negative one ends it now.
func (c *Client) RotateSigningSecret(ctx context.Context, id string, overlap time.Duration) (MadeSubscription, error) {
	body := struct {
		Overlap *int64 `json:"overlap_seconds,omitempty"`
	}{}
	if overlap != 0 {
		seconds := max(0, int64(overlap/time.Second))
		body.Overlap = &seconds
	}
	return c.madeSubscription(ctx, create(body, "v1", "subscriptions", id, "secret", "rotate"))
}

// TestResult is what became of a sample.
type TestResult struct {
	Delivered bool   `json:"delivered"`
	Status    int    `json:"status"` // of HTTP; 0 where there was none
	LatencyMS int64  `json:"latency_ms"`
	Error     string `json:"error"` // why it was not delivered
}

// TestSubscription has a sample sent now, whatever the state of the subscription.
func (c *Client) TestSubscription(ctx context.Context, id string) (TestResult, error) {
	var result TestResult
	_, err := c.call(ctx, post(nil, "v1", "subscriptions", id, "test"), &result)
	return result, err
}

// Replay says what is to be delivered again: all that is dead, or events by their IDs, or
// those that a filter selects of the events that the subscription matches.
type Replay struct {
	Dead   bool
	Events []string // at most 1,000, whether the subscription matches them or not

	Since, Until time.Time // when they were received
	Kind         string    // or the beginning of some that ends in "*"
	Component    tuoguan.ComponentAppID
	Authorizer   tuoguan.AuthorizerAppID
}

// ReplaySubscription starts a job that delivers events again. [Client.ReplayJob] tells
// how far it has come. [ErrConflict] if one to the same subscription runs.
func (c *Client) ReplaySubscription(ctx context.Context, id string, what Replay) (Job, error) {
	body := make(map[string]any)
	if what.Dead {
		body["dead"] = true
	}
	if len(what.Events) > 0 {
		body["events"] = what.Events
	}
	for name, at := range map[string]time.Time{"since": what.Since, "until": what.Until} {
		if !at.IsZero() {
			body[name] = at
		}
	}
	maps.Copy(body, notEmpty(map[string]string{"kind": what.Kind, "component": string(what.Component), "authorizer": string(what.Authorizer)}))
	var started Job
	_, err := c.call(ctx, create(body, "v1", "subscriptions", id, "replay"), &started)
	return started, err
}

func notEmpty(fields map[string]string) map[string]any {
	kept := make(map[string]any)
	for name, value := range fields {
		if value != "" {
			kept[name] = value
		}
	}
	return kept
}

// ReplayJob returns the last replay to a subscription, which only the replica knows that
// runs it.
func (c *Client) ReplayJob(ctx context.Context, id string) (Job, error) {
	var found Job
	_, err := c.call(ctx, get("v1", "subscriptions", id, "replay"), &found)
	return found, err
}

func (c *Client) subscription(ctx context.Context, r request) (Subscription, error) {
	var found Subscription
	got, err := c.call(ctx, r, &found)
	found.ETag = got.header.Get("ETag")
	return found, err
}

func (c *Client) madeSubscription(ctx context.Context, r request) (MadeSubscription, error) {
	var made MadeSubscription
	got, err := c.call(ctx, r, &made)
	made.ETag = got.header.Get("ETag")
	return made, err
}

// DeliveryState says how far a delivery has come.
type DeliveryState string

const (
	DeliveryPending   DeliveryState = "pending"
	DeliveryDelivered DeliveryState = "delivered"
	DeliveryDead      DeliveryState = "dead" // given up
)

// Delivery is one event on its way to one subscription.
type Delivery struct {
	SubscriptionID string         `json:"subscription_id"`
	Event          DeliveredEvent `json:"event"`
	State          DeliveryState  `json:"state"`
	DueAt          *time.Time     `json:"due_at"` // of a pending one
	Attempts       int            `json:"attempts"`
	FinishedAt     *time.Time     `json:"finished_at"`
	Log            []Attempt      `json:"log"` // the last attempts, oldest first
}

// DeliveredEvent is what a delivery says of its event.
type DeliveredEvent struct {
	ID              string                  `json:"id"`
	Seq             int64                   `json:"seq"`
	ComponentAppID  tuoguan.ComponentAppID  `json:"component_appid"`
	AuthorizerAppID tuoguan.AuthorizerAppID `json:"authorizer_appid"`
	Kind            string                  `json:"kind"`
	ReceivedAt      *time.Time              `json:"received_at"`
}

// Attempt is what became of one attempt at a delivery.
type Attempt struct {
	At        time.Time `json:"at"`
	Status    int       `json:"status"` // of HTTP; 0 where there was none
	LatencyMS int64     `json:"latency_ms"`
	Error     string    `json:"error"` // "" if it was delivered
}

// DeliveryQuery says which deliveries are listed. Subscription or Event is required.
type DeliveryQuery struct {
	Subscription string
	Event        string
	State        DeliveryState
	Before       string // only those of events before the one with this ID
}

// Deliveries lists deliveries, the newest event first.
func (c *Client) Deliveries(ctx context.Context, q DeliveryQuery) iter.Seq2[Delivery, error] {
	return list[Delivery](ctx, c, get("v1", "deliveries").with(values(
		"subscription", q.Subscription, "event", q.Event, "state", string(q.State), "cursor", q.Before)))
}

// ReplayEvent delivers an event again: to one subscription, whether it matches or not; or,
// if that is "", to all that match. It returns the ids of those it goes to.
func (c *Client) ReplayEvent(ctx context.Context, id, subscription string) ([]string, error) {
	var to struct {
		Subscriptions []string `json:"subscriptions"`
	}
	_, err := c.call(ctx, create(notEmpty(map[string]string{"subscription": subscription}), "v1", "events", id, "replay"), &to)
	return to.Subscriptions, err
}
