// Package subscription is who wants to be told of what, and where: subscriptions as
// data, which events they match, and what they need to be delivered to.
package subscription

import (
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// Subscription is a subscription with its wishes taken apart.
type Subscription struct {
	ID      string
	Name    string
	State   store.SubscriptionState
	Problem string // why it is disabled
	Spec    Spec
	Secrets Secrets

	CreatedAt time.Time
	UpdatedAt time.Time
	Version   int64
}

// Spec is what a subscription wants. It is kept as JSON, and that JSON is also what the
// API takes and shows.
type Spec struct {
	Match Match `json:"match"`
	// Priority orders subscriptions that match the same event: of those that may answer,
	// the one with the highest does.
	Priority int  `json:"priority"`
	Sink     Sink `json:"sink"`
	// Ordered has the events of an authorizer delivered one after the other, in the order
	// in which they were stored; one that fails holds back those after it.
	Ordered bool `json:"ordered"`
	// Concurrency is how many deliveries are under way at a time; 0: the default.
	Concurrency int `json:"concurrency"`
	// Reply says that what the webhook answers is the passive reply to the user.
	Reply bool `json:"reply"`
	// MaxAge is how many seconds an event is tried for; 0: 72 hours.
	MaxAge int `json:"max_age"`
}

// Match says which events are wanted. Empty lists do not restrict.
type Match struct {
	Components  []tuoguan.ComponentAppID  `json:"components"`
	Authorizers []tuoguan.AuthorizerAppID `json:"authorizers"` // one of these, or with one of the tags
	Tags        []string                  `json:"tags"`
	// Kinds are kinds of events, or beginnings of them ending in "*": "text", "event.*",
	// "tuoguan.*". Required; "*" is all.
	Kinds []string `json:"kinds"`
	// Contains restricts to texts that contain one of these, ignoring case.
	Contains []string `json:"contains"`
}

// Sink types.
const (
	Webhook  = "webhook"
	Answer   = "answer" // a reply that is always the same: nothing is delivered
	NATS     = "nats"
	Kafka    = "kafka"
	RabbitMQ = "rabbitmq"
	Redis    = "redis"
)

// Formats of a webhook.
const (
	CloudEvents = "cloudevents" // signed as by Standard Webhooks
	WeChat      = "wechat"      // WeChat's own, encrypted and signed with a key of the receiver's
)

// Sink says where events go. Which fields count depends on Type.
type Sink struct {
	Type string `json:"type"`
	// URL of a webhook, without credentials; or addresses of a broker, apart by commas,
	// such as nats://host:4222.
	URL string `json:"url,omitempty"`

	Format  string            `json:"format,omitempty"`  // of a webhook
	Headers map[string]string `json:"headers,omitempty"` // of a webhook; no secrets: these go into Secrets
	Timeout int               `json:"timeout,omitempty"` // seconds; 0: the default

	// Subject is what a message is published to: subject of NATS, topic of Kafka, routing
	// key of RabbitMQ, stream of Redis. {component}, {authorizer} and {kind} stand for the event's.
	Subject  string `json:"subject,omitempty"`
	Exchange string `json:"exchange,omitempty"` // of RabbitMQ
	MaxLen   int64  `json:"max_len,omitempty"`  // of a stream of Redis: how many entries are kept, about

	// Answer is the reply of an "answer": a passive reply as JSON, such as
	// {"msg_type": "text", "content": "…"} or {"msg_type": "transfer_customer_service"}.
	Answer *Reply `json:"answer,omitempty"`
}

// Reply is a passive reply as JSON. Which fields count depends on MsgType, as in
// WeChat's documentation of passive replies.
type Reply struct {
	MsgType      string    `json:"msg_type"`
	Content      string    `json:"content,omitempty"`
	MediaID      string    `json:"media_id,omitempty"`
	Title        string    `json:"title,omitempty"`
	Description  string    `json:"description,omitempty"`
	MusicURL     string    `json:"music_url,omitempty"`
	HQMusicURL   string    `json:"hq_music_url,omitempty"`
	ThumbMediaID string    `json:"thumb_media_id,omitempty"`
	Articles     []Article `json:"articles,omitempty"`
	KfAccount    string    `json:"kf_account,omitempty"`
}

// Article is one of the articles of a reply.
type Article struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	PicURL      string `json:"pic_url"`
	URL         string `json:"url"`
}

// Secrets are what Spec must not hold in the open. They are sealed at rest and shown
// once, if ever.
type Secrets struct {
	// Signing are the keys of Standard Webhooks, whsec_…: the newest first. There are two
	// while one is being replaced; then messages carry a signature of each.
	Signing []SigningKey
	// Token and EncodingAESKey are the receiver's of the format "wechat".
	Token          tuoguan.Secret
	EncodingAESKey tuoguan.Secret
	// Headers are headers of a webhook whose values are secret.
	Headers map[string]tuoguan.Secret
	// User and Password are for a broker.
	User     string
	Password tuoguan.Secret
}

// SigningKey is one key with which webhooks are signed.
type SigningKey struct {
	Key   tuoguan.Secret
	Until time.Time // when it ends, having been replaced; zero: it is in force
}
