// Package event says what subscribers are told: which events there are, what each is
// called, and how it is written down, as CloudEvents 1.0 JSON or as WeChat's own XML.
// Secrets that a push brings (tickets, codes) are custody's business and never part
// of what subscribers are told.
package event

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
)

// Kinds of our own, besides those of WeChat's pushes. Their bodies are JSON objects.
const (
	// Prefix begins every kind of our own.
	Prefix = "tuoguan."

	Authorized           = "tuoguan.authorized"            // a code was exchanged; tokens are there
	Updated              = "tuoguan.updated"               // likewise, by an authorizer that was active
	NeedsReauthorization = "tuoguan.needs_reauthorization" // the merchant has to authorize again
	TicketOverdue        = "tuoguan.ticket_overdue"        // WeChat does not push tickets
	QuotaLow             = "tuoguan.quota_low"             // a day's quota is nearly or wholly used up
	SubscriptionDisabled = "tuoguan.subscription_disabled" // a receiver failed for too long, or is gone
	Test                 = "tuoguan.test"                  // a sample
)

// KeyPrefix begins the de-duplication keys of events of our own.
const KeyPrefix = "tuoguan/"

// ErrEncoding: an event cannot be written down, and never will be.
var ErrEncoding = errors.New("event cannot be encoded")

// ID returns the id of the event that has a de-duplication key: the same for all its
// copies and deliveries, wherever and whenever, also after a restore.
func ID(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "evt_" + hex.EncodeToString(sum[:16])
}

// Deliverable reports whether subscribers may be told of a kind at all. A verify ticket
// is a credential and nothing else.
func Deliverable(kind string) bool { return kind != "component_verify_ticket" }

// Own reports whether a kind is one of our own.
func Own(kind string) bool { return strings.HasPrefix(kind, Prefix) }
