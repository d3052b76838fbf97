// Package push receives what WeChat sends to a third-party platform. [Handler]
// serves both of its URLs, the authorization event URL and the message and event
// URL; [Open] and [Parse] do the same work without HTTP.
//
// A [Push] is stored before it is acknowledged: the Handler verifies, decrypts
// and parses, gives the Push to a [Sink], and says success only after the Sink
// has it durably. Pushes repeat, overlap and arrive out of order; [Push.DedupeKey]
// tells which are the same one. Kinds that this package does not know, and
// authentic bodies that it cannot read, are kept as they came and acknowledged.
//
// An authenticated body is still read by a small parser of its own: a bounded,
// flat one that knows no document types, attributes or entities beyond the five
// predefined and numeric ones. See [Parse] for its limits.
//
// Source: third-party platform docs, "push of events and messages", read 2026-11.
package push

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/wxcrypt"
)

// Push is one decrypted push. It holds secrets (tickets, codes, what users write)
// in Body; printing or logging it shows none of them. A Push is not changed after
// it was made, so it may be read concurrently.
type Push struct {
	// Authorization says whose push it is. Its Authorizer is the account named in
	// the message and event URL, and "" on the authorization event URL.
	tuoguan.Authorization
	// InfoType is the kind of an authorization event, "" for anything else.
	InfoType string
	// MsgType is the kind of a message, "event" for an account event.
	MsgType string
	// Event is the kind of an account event, "" for anything else.
	Event string
	// CreatedAt is WeChat's own time, in whole seconds; zero if it gave none.
	CreatedAt time.Time
	// ReceivedAt is when it arrived here; zero unless a [Handler] set it.
	ReceivedAt time.Time
	// Generation says with which key and token it was made.
	Generation wxcrypt.Generation
	// Body is the decrypted text as it came, XML or JSON.
	Body []byte
	// Problem says why Body could not be read, and is nil if it could. Then Kind
	// is "unparsed" and there are no fields.
	Problem error

	msgID  span
	fields []field
	inline [8]field // room for the fields of most pushes
}

// The reasons for a Problem.
var (
	// ErrMalformed: the body is neither the XML nor the JSON of a push.
	ErrMalformed = errors.New("push: malformed body")
	// ErrTooComplex: the body is deeper or has more elements than any push.
	ErrTooComplex = errors.New("push: body too deep or too large")
	// ErrDoctype: the body has a document type. No push ever has; Open and
	// Handler refuse it.
	ErrDoctype = errors.New("push: body has a document type")
	// ErrEmpty: there is no body. Open and Handler refuse it.
	ErrEmpty = errors.New("push: empty body")
)

// Kind names what the push is, for logs, metrics and subscriptions: the InfoType,
// the MsgType, "event." with the Event, or "unparsed" or "unknown".
func (p *Push) Kind() string {
	switch {
	case p.Problem != nil:
		return "unparsed"
	case p.InfoType != "":
		return p.InfoType
	case p.MsgType == "event":
		return "event." + p.Event
	case p.MsgType != "":
		return p.MsgType
	}
	return "unknown"
}

// IsUserMessage reports whether a user of the account wrote it.
func (p *Push) IsUserMessage() bool { return p.MsgType != "" && p.MsgType != "event" }

// String tells which push it is and nothing of what it says.
func (p *Push) String() string {
	return fmt.Sprintf("push %s of %s at %d", p.Kind(), p.Authorization, p.CreatedAt.Unix())
}

// GoString returns what String does.
func (p *Push) GoString() string { return p.String() }

// LogValue logs which push it is and nothing of what it says.
func (p *Push) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("component_appid", string(p.Component)),
		slog.String("authorizer_appid", string(p.Authorizer)),
		slog.String("kind", p.Kind()),
		slog.Time("created_at", p.CreatedAt),
		slog.String("dedupe_key", p.DedupeKey()),
	)
}

// Open verifies, decrypts and parses the body of a push request. The authorizer is
// the one in the URL's path, "" on the authorization event URL. It checks neither
// the time nor the account's user name; [Handler] does.
//
// Errors: the ones of wxcrypt, [ErrDoctype], [ErrEmpty]. A body that cannot be read
// otherwise is no error but a Push with a Problem.
func Open(c *wxcrypt.Crypter, authorizer tuoguan.AuthorizerAppID, q wxcrypt.Query, body []byte) (*Push, error) {
	envelope, err := wxcrypt.ParseEnvelope(body)
	if err != nil {
		return nil, err
	}
	message, err := c.Open(q, envelope.Encrypt)
	if err != nil {
		return nil, err
	}
	p := Parse(tuoguan.Authorization{Component: tuoguan.ComponentAppID(c.AppID()), Authorizer: authorizer}, message.Body)
	p.Generation = message.Generation
	if p.Problem != nil && (errors.Is(p.Problem, ErrDoctype) || errors.Is(p.Problem, ErrEmpty)) {
		return nil, p.Problem
	}
	return p, nil
}

// Parse reads a decrypted body, such as one that was stored. The Push keeps body,
// which must not be changed afterwards. If it cannot be read, Problem says why.
//
// A body is UTF-8 without NUL, at most 1 MiB. In XML, elements hold either text
// or elements, at most four deep below <xml> and 256 in all: the deepest push,
// SendPicsInfo/PicList/item/PicMd5Sum, needs the four, and the report on a mass
// message of eight articles some 110 elements. There are no attributes, comments,
// processing instructions but an XML declaration for UTF-8, and no entities but
// the predefined and numeric ones. JSON has the same limits. What tells pushes
// apart (AppId, InfoType, AuthorizerAppid, ToUserName, FromUserName, CreateTime,
// MsgType, Event, MsgId) stands there once at most.
func Parse(a tuoguan.Authorization, body []byte) *Push {
	p := &Push{Authorization: a, Body: body}
	d := document{body: body, fields: p.inline[:0]}
	if p.Problem = d.parse(); p.Problem == nil {
		p.fields = d.fields
		p.Problem = p.identify()
	}
	return p
}

// identify reads the fields that say which push this is.
func (p *Push) identify() error {
	const (
		appID = 1 << iota
		infoType
		authorizer
		to
		from
		created
		msgType
		event
		msgID
	)
	seen := 0
	for i := range p.fields {
		f := &p.fields[i]
		if f.depth != 1 {
			continue
		}
		this := 0
		switch string(f.name.of(p.Body)) {
		case "InfoType":
			this, p.InfoType = infoType, f.text(p.Body)
		case "MsgType":
			this, p.MsgType = msgType, f.kind(p.Body)
		case "Event":
			this, p.Event = event, f.text(p.Body)
		case "CreateTime":
			this, p.CreatedAt = created, unixTime(f.value.of(p.Body))
		case "AppId":
			this = appID
		case "AuthorizerAppid":
			this = authorizer
		case "ToUserName":
			this = to
		case "FromUserName":
			this = from
		case "MsgId":
			this, p.msgID = msgID, f.value
		}
		if seen&this != 0 {
			p.InfoType, p.MsgType, p.Event, p.CreatedAt, p.msgID, p.fields = "", "", "", time.Time{}, span{}, nil
			return fmt.Errorf("%w: %s given twice", ErrMalformed, f.name.of(p.Body))
		}
		seen |= this
	}
	return nil
}

// unixTime returns the instant that a number of seconds names, or zero.
func unixTime(seconds []byte) time.Time {
	n := int64(0)
	if len(seconds) == 0 || len(seconds) > 11 {
		return time.Time{}
	}
	for _, c := range seconds {
		if c < '0' || c > '9' {
			return time.Time{}
		}
		n = 10*n + int64(c-'0')
	}
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

// DedupeKey returns a key that is equal for all copies of a push and differs between
// any two others, whoever they are for. It is made of AppIDs, kinds, numbers and
// hashes, and has at most 200 bytes.
//
// A message has an id of its own. The four events of an authorization are told
// apart by account, second and one-time code or ticket, so that the key survives
// another order of fields. Whatever else happens twice in a second differs
// somewhere in its body.
func (p *Push) DedupeKey() string {
	key := make([]byte, 0, 160)
	key = append(key, p.Component...)
	key = append(key, '/')
	key = append(key, p.Authorizer...)
	key = append(key, '/')
	if id := p.msgID.of(p.Body); p.IsUserMessage() && isPlain(id) {
		return string(append(append(key, "message/"...), id...))
	}
	hashed, created := p.Body, p.CreatedAt.Unix()
	switch {
	case p.Problem != nil:
		return string(appendHash(append(key, "raw/"...), hashed))
	case p.InfoType == "component_verify_ticket":
		key = append(key, "component_verify_ticket"...)
		hashed = []byte(p.Field("ComponentVerifyTicket"))
	case p.isAuthorization() && isPlain(p.raw("AuthorizerAppid")):
		key = append(append(append(key, p.InfoType...), '/'), p.raw("AuthorizerAppid")...)
		hashed = []byte(p.Field("AuthorizationCode"))
	case p.InfoType != "":
		key = append(key, "info"...)
	default:
		key = append(key, "event"...)
	}
	if p.CreatedAt.IsZero() {
		created, hashed = 0, p.Body
	}
	key = strconv.AppendInt(append(key, '/'), created, 10)
	return string(appendHash(append(key, '/'), hashed))
}

// isAuthorization reports whether the push changes an authorization.
func (p *Push) isAuthorization() bool {
	switch p.InfoType {
	case "authorized", "updateauthorized", "unauthorized":
		return true
	}
	return false
}

func appendHash(dst, data []byte) []byte {
	sum := sha256.Sum256(data)
	return hex.AppendEncode(dst, sum[:16])
}

// isPlain reports whether s is an id that may stand in a key as it is.
func isPlain[T ~string | ~[]byte](s T) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
