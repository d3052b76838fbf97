package store

import (
	"context"
	"time"

	"github.com/tuoguan/tuoguan"
)

// Subscriptions keeps who wants to be told of which events.
type Subscriptions interface {
	// PutSubscription adds a subscription, or replaces it where its version is still the
	// one given; a version of 0 stands for one that is not there yet. Else ErrConflict. It
	// returns the subscription as it is stored now, its version one higher. CreatedAt of an
	// existing one is kept.
	PutSubscription(ctx context.Context, s Subscription) (Subscription, error)
	Subscription(ctx context.Context, id string) (Subscription, error)
	// Subscriptions lists subscriptions with an id greater than after, ordered by id.
	Subscriptions(ctx context.Context, after string, limit int) ([]Subscription, error)
	// DeleteSubscription removes a subscription whose version is still the one given; else
	// ErrConflict. [Store.Collect] removes what was still to be delivered to it, and what
	// was given up; what was delivered stays with its event.
	DeleteSubscription(ctx context.Context, id string, version int64) error
}

// Subscription is one wish to be told, with where to.
type Subscription struct {
	ID      string // at most 64 bytes, ASCII
	Name    string // for people
	Spec    string // what is wanted and where it goes, JSON; its form is the business of internal/subscription
	Secrets []byte // what Spec must not hold in the open; sealed at rest

	State   SubscriptionState
	Problem string // why it is disabled, for people; holds no secret

	CreatedAt time.Time
	UpdatedAt time.Time
	Version   int64 // counts the changes, from 1
}

// SubscriptionState says whether a subscription is delivered to.
type SubscriptionState string

// States of a subscription.
const (
	// SubscriptionActive: events are gathered and delivered.
	SubscriptionActive SubscriptionState = "active"
	// SubscriptionPaused: events are gathered, and delivered once it is resumed.
	SubscriptionPaused SubscriptionState = "paused"
	// SubscriptionDisabled: as paused, because it has failed for too long or its receiver
	// is gone.
	SubscriptionDisabled SubscriptionState = "disabled"
)

// Route says to whom an event goes, and when at the earliest.
type Route struct {
	Subscription string
	// DueAt is the instant; zero: at once. Where it is that of the event's receipt, the
	// delivery is due no earlier than the one before it of the same account: those who
	// receive may disagree about the time, by up to RouteSkew, and still what came later is
	// not due before.
	DueAt time.Time
}

// RouteSkew is by how much replicas may disagree about the time before that shows in the
// order of deliveries.
const RouteSkew = time.Minute

// Events finds pushes again. Pushes are the events that subscriptions are about.
type Events interface {
	// PushByKey returns the push with a de-duplication key.
	PushByKey(ctx context.Context, key string) (Push, error)
	// Events lists what a query selects.
	Events(ctx context.Context, q EventQuery) ([]Push, error)
}

// EventQuery selects events. Zero fields do not restrict.
type EventQuery struct {
	Component  tuoguan.ComponentAppID
	Authorizer tuoguan.AuthorizerAppID
	Kind       string    // exactly; or, ending in "*", what begins so
	Since      time.Time // received at or after
	Until      time.Time // received before
	// Reach leaves out what a caller must not see. An event that concerns a component
	// alone is within the reach of authorizers or tags never.
	Reach Reach

	// After and Before are exclusive bounds of the id. The list is ascending, or newest
	// first if Backwards is set; then a Before of 0 begins at the end.
	After     int64
	Before    int64
	Backwards bool
	Limit     int // defaults to DefaultLimit
}

// Deliveries keeps what is still to be delivered to whom, and what became of it. The
// rows come into being in the step that stores the event ([Intake.Routes]). There is at
// most one for an event and a subscription. Whoever delivers to a subscription holds
// the lease of [DeliveryLease] meanwhile, so there is no state of being delivered.
type Deliveries interface {
	// DueDeliveries returns pending deliveries to a subscription that are due at the
	// instant given, the longest overdue first, those due at the same instant in the
	// order of their events; each with its event. A delivery whose event does not open
	// any more comes with an empty body, and the list with ErrQuarantined.
	DueDeliveries(ctx context.Context, subscription string, at time.Time, limit int) ([]Delivery, error)
	// HeldBack returns the authorizations that have pending deliveries to a subscription
	// which are due later than the instant given: each with the last instant for which one
	// of them is due.
	HeldBack(ctx context.Context, subscription string, after time.Time) (map[tuoguan.Authorization]time.Time, error)

	// SaveDeliveries records what became of deliveries: State, DueAt, Attempts, Log and
	// FinishedAt of each, in one step. One that is not pending stays as it is, and so
	// does one of which more attempts are recorded than given, unless it is delivered
	// now. Unknown ones are passed over.
	SaveDeliveries(ctx context.Context, done []Delivery) error
	// PutDeliveries makes events due for a subscription at the instant given, whether
	// they were delivered before, are dead, or never were to be: as new, but for their
	// Log. Unknown events are passed over. It returns how many there are now. At most
	// 1,000 at a time.
	PutDeliveries(ctx context.Context, subscription string, events []int64, at time.Time) (int, error)

	// Deliveries lists deliveries without what the events say, the newest event first.
	Deliveries(ctx context.Context, q DeliveryQuery) ([]Delivery, error)
	// Backlog counts what waits for a subscription, each no further than most.
	Backlog(ctx context.Context, subscription string, most int) (Backlog, error)
}

// DeliveryLease is the key of the lease on delivering to a subscription.
func DeliveryLease(subscription string) string { return "delivery/" + subscription }

// Delivery is one event on its way to one subscription.
type Delivery struct {
	Subscription string
	Event        Push // what Deliveries lists has its ID, Seq, Authorization, Kind and times alone

	State      DeliveryState
	DueAt      time.Time // of a pending one
	Attempts   int       // since it was put
	Log        []byte    // what became of the last attempts, JSON; its form is the business of internal/delivery
	FinishedAt time.Time // zero while it is pending
}

// DeliveryState says how far a delivery has come.
type DeliveryState string

// States of a delivery.
const (
	DeliveryPending   DeliveryState = "pending"
	DeliveryDelivered DeliveryState = "delivered"
	// DeliveryDead: given up; it waits for somebody to look at it.
	DeliveryDead DeliveryState = "dead"
)

// DeliveryQuery selects deliveries: those of an event, or those to a subscription.
type DeliveryQuery struct {
	Event        int64
	Subscription string
	State        DeliveryState // "" for all
	Before       int64         // event id, exclusive; 0: from the newest
	Limit        int           // defaults to DefaultLimit
}

// Backlog is what waits for a subscription.
type Backlog struct {
	Pending int
	Dead    int
	// Since is when the longest overdue delivery was due; zero if nothing is pending.
	Since time.Time
}
