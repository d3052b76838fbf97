package event

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// GrantBody is the body of [Authorized] and [Updated].
type GrantBody struct {
	Component      tuoguan.ComponentAppID  `json:"component_appid"`
	Authorizer     tuoguan.AuthorizerAppID `json:"authorizer_appid"`
	PermissionSets []tuoguan.PermissionSet `json:"permission_sets"`
	Reference      string                  `json:"reference"` // of the authorization link; "" if there was none
	AuthorizedAt   time.Time               `json:"authorized_at"`
}

// NewGrant returns the event that a grant was stored, [Authorized] or [Updated]. There
// is one for an authorization, whether its code was exchanged or WeChat's list had it;
// where it is not known when it was given, one for its code.
func NewGrant(kind string, g store.Grant) store.Push {
	at := g.ObtainedAt
	authorized := cmpTime(g.AuthorizedAt, at)
	occurrence := strconv.FormatInt(authorized.UnixNano(), 10)
	if g.AuthorizedAt.IsZero() && g.CodeHash != "" {
		occurrence = g.CodeHash
	}
	sets := g.PermissionSets
	if sets == nil {
		sets = []tuoguan.PermissionSet{}
	}
	return own(kind, g.Authorization, occurrence, authorized, at, GrantBody{
		Component: g.Component, Authorizer: g.Authorizer, PermissionSets: sets, Reference: g.Reference, AuthorizedAt: authorized.UTC(),
	})
}

// NeedsReauthorizationBody is the body of [NeedsReauthorization].
type NeedsReauthorizationBody struct {
	Component  tuoguan.ComponentAppID  `json:"component_appid"`
	Authorizer tuoguan.AuthorizerAppID `json:"authorizer_appid"`
	Code       int                     `json:"errcode"` // WeChat's, to the last refresh
	Reason     string                  `json:"reason"`  // for people
	At         time.Time               `json:"at"`
}

// NewNeedsReauthorization returns the event that an authorization is lost: once for a
// set of tokens.
func NewNeedsReauthorization(t store.Trouble) store.Push {
	occurrence := fmt.Sprintf("%d/%d", t.Grant, t.Epoch)
	return own(NeedsReauthorization, t.Authorization, occurrence, t.At, t.At, NeedsReauthorizationBody{
		Component: t.Component, Authorizer: t.Authorizer, Code: t.Info.Code, Reason: t.Info.Message, At: t.At.UTC(),
	})
}

// TicketOverdueBody is the body of [TicketOverdue].
type TicketOverdueBody struct {
	Component tuoguan.ComponentAppID `json:"component_appid"`
	Since     time.Time              `json:"since"` // when the last ticket came
}

// NewTicketOverdue returns the event that no ticket came since the last one: once for
// each silence, whoever notices it and however often.
func NewTicketOverdue(c tuoguan.ComponentAppID, since, at time.Time) store.Push {
	occurrence := strconv.FormatInt(since.UnixMilli(), 10)
	return own(TicketOverdue, tuoguan.Authorization{Component: c}, occurrence, at, at, TicketOverdueBody{Component: c, Since: since.UTC()})
}

// QuotaLowBody is the body of [QuotaLow].
type QuotaLowBody struct {
	Component  tuoguan.ComponentAppID  `json:"component_appid"`
	Authorizer tuoguan.AuthorizerAppID `json:"authorizer_appid"` // "" for the component's own quota
	Path       string                  `json:"path"`             // of the interface, such as /cgi-bin/user/info
	Remaining  int                     `json:"remaining"`        // calls today; 0: used up
	Until      time.Time               `json:"until"`            // when WeChat's day ends
}

// NewQuotaLow returns the event that few calls of an interface, or none, are left until
// the end of WeChat's day: once a day for being low, and once for being used up.
func NewQuotaLow(a tuoguan.Authorization, path string, remaining int, until, at time.Time) store.Push {
	degree := "low"
	if remaining <= 0 {
		degree, remaining = "used-up", 0
	}
	occurrence := fmt.Sprintf("%d/%s%s", until.Unix(), degree, path)
	return own(QuotaLow, a, occurrence, at, at, QuotaLowBody{
		Component: a.Component, Authorizer: a.Authorizer, Path: path, Remaining: remaining, Until: until.UTC(),
	})
}

// SubscriptionDisabledBody is the body of [SubscriptionDisabled].
type SubscriptionDisabledBody struct {
	Subscription string    `json:"subscription"` // its id
	Name         string    `json:"name"`
	Reason       string    `json:"reason"` // for people
	At           time.Time `json:"at"`
}

// NewSubscriptionDisabled returns the event that a subscription was disabled, of the
// version that it had before. It concerns no component.
func NewSubscriptionDisabled(id, name, reason string, version int64, at time.Time) store.Push {
	occurrence := fmt.Sprintf("%s/%d", id, version)
	return own(SubscriptionDisabled, tuoguan.Authorization{}, occurrence, at, at, SubscriptionDisabledBody{
		Subscription: id, Name: name, Reason: reason, At: at.UTC(),
	})
}

// TestBody is the body of [Test].
type TestBody struct {
	Message string    `json:"message"`
	At      time.Time `json:"at"`
}

// own makes an event. Its key tells it apart from any other and is the same whoever
// makes it.
func own(kind string, a tuoguan.Authorization, occurrence string, happened, at time.Time, body any) store.Push {
	raw, err := json.Marshal(body)
	if err != nil {
		raw = nil // an instant in the year 10000; such an event is not encodable
	}
	if len(occurrence) > 100 {
		sum := sha256.Sum256([]byte(occurrence))
		occurrence = hex.EncodeToString(sum[:16])
	}
	return store.Push{
		Key:       KeyPrefix + strings.TrimPrefix(kind, Prefix) + "/" + a.String() + "/" + occurrence,
		Component: a.Component, Authorizer: a.Authorizer, Kind: kind, Body: raw, CreatedAt: happened, ReceivedAt: at,
	}
}

// Sample returns an event of a kind that did not happen, to try a receiver with. What it
// says is made up. Two of different instants have different ids.
func Sample(kind string, a tuoguan.Authorization, at time.Time) store.Push {
	if a.Component == "" {
		a.Component = "wx0123456789abcdef"
	}
	if a.Authorizer == "" && kind != TicketOverdue && kind != SubscriptionDisabled {
		a.Authorizer = "wxfedcba9876543210"
	}
	var p store.Push
	switch kind {
	case Authorized, Updated:
		p = NewGrant(kind, store.Grant{Authorization: a, ObtainedAt: at, PermissionSets: []tuoguan.PermissionSet{tuoguan.PermissionMessages, tuoguan.PermissionUsers}})
	case NeedsReauthorization:
		p = NewNeedsReauthorization(store.Trouble{Authorization: a, Info: store.TroubleInfo{Code: 61023, Message: "a sample"}, At: at})
	case TicketOverdue:
		p = NewTicketOverdue(a.Component, at.Add(-time.Hour), at)
	case QuotaLow:
		p = NewQuotaLow(a, "/cgi-bin/user/info", 0, at.Add(time.Hour), at)
	case SubscriptionDisabled:
		p = NewSubscriptionDisabled("sample", "sample", "a sample", 1, at)
	case Test:
		p = own(Test, a, "", at, at, TestBody{Message: "A test from Tuoguan. 托管的测试事件。", At: at.UTC()})
	default:
		p = store.Push{Component: a.Component, Authorizer: a.Authorizer, Kind: kind, Body: samplePush(kind, a, at), CreatedAt: at.Truncate(time.Second), ReceivedAt: at}
	}
	p.Key = fmt.Sprintf("%ssample/%s/%s/%d", KeyPrefix, kind, a, at.UnixNano())
	return p
}

// samplePush writes a push such as WeChat sends.
func samplePush(kind string, a tuoguan.Authorization, at time.Time) []byte {
	created := strconv.FormatInt(at.Unix(), 10)
	switch kind {
	case "authorized", "updateauthorized", "unauthorized":
		out := appendElement([]byte("<xml>"), "AppId", string(a.Component))
		out = append(out, "<CreateTime>"+created+"</CreateTime>"...)
		out = appendElement(out, "InfoType", kind)
		return append(appendElement(out, "AuthorizerAppid", string(a.Authorizer)), "</xml>"...)
	}
	out := appendElement([]byte("<xml>"), "ToUserName", "gh_0123456789ab")
	out = appendElement(out, "FromUserName", "oSample0000000000000000000000")
	out = append(out, "<CreateTime>"+created+"</CreateTime>"...)
	if name, isEvent := strings.CutPrefix(kind, "event."); isEvent {
		out = appendElement(out, "MsgType", "event")
		return append(appendElement(out, "Event", name), "</xml>"...)
	}
	out = appendElement(out, "MsgType", kind)
	out = appendElement(out, "Content", "A test from Tuoguan. 托管的测试消息。")
	return append(out, "<MsgId>"+created+"000000</MsgId></xml>"...)
}
