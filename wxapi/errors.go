package wxapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/tuoguan/tuoguan"
)

// Classes of refusals. An [*APIError] is exactly one of them by errors.Is; what
// to do about it in words is in [APIError.Explain]. A class depends on the
// errcode and, for a few codes, on which token the call carried.
var (
	// ErrBusy: WeChat is busy (-1). Try again shortly, if the call may be repeated.
	ErrBusy = errors.New("wxapi: WeChat is busy")
	// ErrRateLimited: too many calls within a minute. Try again in a while.
	ErrRateLimited = errors.New("wxapi: too frequent")
	// ErrQuota: the quota of the day or month is used up.
	ErrQuota = errors.New("wxapi: quota used up")
	// ErrTokenInvalid: the access token which the call carried is dead; whose it
	// was is [APIError.Owner]. A call returns it only after a fresh token was
	// refused as well.
	ErrTokenInvalid = errors.New("wxapi: access token invalid")
	// ErrTicketInvalid: the verify ticket is expired or not the component's. Try
	// another one or wait for the next push.
	ErrTicketInvalid = errors.New("wxapi: verify ticket invalid")
	// ErrRefreshTokenInvalid: the refresh token which the call carried is dead.
	// One such answer is not proof that the merchant has to authorize again.
	ErrRefreshTokenInvalid = errors.New("wxapi: refresh token invalid")
	// ErrNotAuthorized: the account does not authorize this component (61003).
	// False ones have been reported; confirm before acting on it.
	ErrNotAuthorized = errors.New("wxapi: not authorized by this account")
	// ErrCodeInvalid: the authorization code is used, expired or not the
	// component's (61009, 61010). If a reply to an earlier exchange was lost, the
	// authorization stands nevertheless.
	ErrCodeInvalid = errors.New("wxapi: authorization code invalid")
	// ErrPermission: the permission set was not granted, or the account lacks the
	// ability.
	ErrPermission = errors.New("wxapi: not permitted")
	// ErrConfig: the operator must act: IP whitelist, AppSecret, console settings.
	ErrConfig = errors.New("wxapi: operator must act")
	// ErrUser: the state of an end user or of the merchant's account is the cause.
	ErrUser = errors.New("wxapi: refused because of the user's or account's state")
	// ErrBug: our request is wrong, or the errcode is unknown. Do not repeat it.
	ErrBug = errors.New("wxapi: request refused")
)

// Classes of calls that ended without WeChat's answer.
var (
	// ErrNotSent: the request never left, so that repeating it is always safe.
	ErrNotSent = errors.New("wxapi: never sent")
	// ErrOutcomeUnknown: the request may have been processed, and no usable answer
	// came. What it was to achieve has to be looked up before it is repeated.
	ErrOutcomeUnknown = errors.New("wxapi: outcome unknown")
	// ErrUnusableReply: what came back is no acceptable answer. It is always an
	// ErrOutcomeUnknown too.
	ErrUnusableReply = errors.New("wxapi: unusable reply")
)

// ErrNoTokenSource: the call needs a token and the client has no [TokenSource].
var ErrNoTokenSource = errors.New("wxapi: no token source")

// ErrListIncomplete ends [Client.AllAuthorizers] when the list did not hold still
// long enough to be read as a whole. What was yielded before it is valid.
var ErrListIncomplete = errors.New("wxapi: authorizer list incomplete")

// APIError is a refusal by WeChat: an errcode other than 0.
type APIError struct {
	// Op is the platform's own name of the call, such as "api_query_auth", or the
	// path where it has none.
	Op string
	// Code is the errcode.
	Code int
	// Message is errmsg without the rid, shortened and without anything that looks
	// like a token. Never branch on it.
	Message string
	// RID is WeChat's id of the request; [Client.GetRID] looks it up for 7 days.
	RID string
	// HTTPStatus is nearly always 200.
	HTTPStatus int
	// Owner is whose access token the call carried; zero if it carried none.
	Owner tuoguan.TokenOwner
	// Class is one of the sentinels of this package, such as [ErrQuota].
	Class error

	with carried
}

// Error names the operation, the errcode, WeChat's text and the rid.
func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: errcode %d", e.Op, e.Code)
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.RID != "" {
		b.WriteString(" (rid " + e.RID + ")")
	}
	return b.String()
}

// Is reports whether target is the error's class.
func (e *APIError) Is(target error) bool { return target == e.Class }

// Temporary reports whether the same request may succeed later without anybody
// acting. Whether it may be repeated is another question.
func (e *APIError) Temporary() bool {
	return e.Class == ErrBusy || e.Class == ErrRateLimited || e.HTTPStatus >= http.StatusInternalServerError
}

// Explain says what the errcode means and what to do about it.
func (e *APIError) Explain() Explanation { return explain(e.Code, e.with) }

// ClientIP returns the address from which WeChat saw the call come, if this is
// the refusal of an address that is not in the whitelist (61004, 40164) and its
// text names it; else the zero Addr. It is for the operator's eyes.
func (e *APIError) ClientIP() netip.Addr {
	if e.Code != codeIPNotRegistered && e.Code != codeIPNotWhitelisted {
		return netip.Addr{}
	}
	for word := range strings.FieldsFuncSeq(e.Message, func(r rune) bool {
		return !(r == '.' || r == ':' || unicode.Is(unicode.ASCII_Hex_Digit, r))
	}) {
		addr, err := netip.ParseAddr(strings.Trim(word, ".:"))
		if err != nil {
			addr, err = netip.ParseAddr(word) // "::1" must keep its colons
		}
		if err == nil {
			return addr.Unmap()
		}
	}
	return netip.Addr{}
}

// ReplyError is a reply that cannot be used: not JSON, cut short, ambiguous, or
// lacking what a success must have. Nothing of the body is kept but a digest.
type ReplyError struct {
	Op         string
	HTTPStatus int
	// Reason says what is wrong, such as "html" or "duplicate key".
	Reason string
	// Size is the length of the body in bytes, as far as it was read.
	Size int
	// Digest is the first half of the body's SHA-256 in hex, by which two replies can
	// be told apart.
	Digest string
}

func newReplyError(op string, status int, body []byte, reason string) *ReplyError {
	sum := sha256.Sum256(body)
	return &ReplyError{
		Op: op, HTTPStatus: status, Reason: reason,
		Size: len(body), Digest: hex.EncodeToString(sum[:16]),
	}
}

// Error names the operation, the reason and the HTTP status.
func (e *ReplyError) Error() string {
	return fmt.Sprintf("%s: unusable reply: %s (HTTP status %d, %d bytes, sha256 %s)",
		e.Op, e.Reason, e.HTTPStatus, e.Size, e.Digest)
}

// Is reports whether target is [ErrUnusableReply] or [ErrOutcomeUnknown].
func (e *ReplyError) Is(target error) bool {
	return target == ErrUnusableReply || target == ErrOutcomeUnknown
}

// Temporary is true: an unusable reply says nothing about the next one.
func (e *ReplyError) Temporary() bool { return true }

// TransportError is a call to which no complete HTTP reply came.
type TransportError struct {
	Op   string
	Host string
	// Sent is false only if the request certainly never left.
	Sent bool
	// Err is the cause, without the URL. It matches context.DeadlineExceeded and
	// context.Canceled where these were it.
	Err error
}

// Error names the operation, the host and the cause.
func (e *TransportError) Error() string {
	outcome := "never sent"
	if e.Sent {
		outcome = "outcome unknown"
	}
	return fmt.Sprintf("%s: %s: %s: %v", e.Op, e.Host, outcome, e.Err)
}

// Is reports whether target is [ErrNotSent] or [ErrOutcomeUnknown], whichever holds.
func (e *TransportError) Is(target error) bool {
	if e.Sent {
		return target == ErrOutcomeUnknown
	}
	return target == ErrNotSent
}

// Unwrap returns the cause.
func (e *TransportError) Unwrap() error { return e.Err }

// Temporary reports whether the cause is anything but the caller's own
// cancellation.
func (e *TransportError) Temporary() bool { return !errors.Is(e.Err, context.Canceled) }

// dialFailed reports whether err says that no connection came about.
func dialFailed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// scrubError removes what may hold a secret from the cause of a transport error:
// the URL that *url.Error prints, and any of secrets elsewhere in the text.
func scrubError(err error, secrets []tuoguan.Secret) error {
	for {
		var withURL *url.Error
		if !errors.As(err, &withURL) || withURL.Err == nil {
			break
		}
		err = withURL.Err
	}
	text := err.Error()
	if clean := scrubText(text, secrets); clean != text {
		return &scrubbedError{text: clean, cause: err}
	}
	return err
}

// scrubbedError shows a clean text and hides the cause, which can still be asked
// what it is, but not be had.
type scrubbedError struct {
	text  string
	cause error
}

func (e *scrubbedError) Error() string        { return e.text }
func (e *scrubbedError) Is(target error) bool { return errors.Is(e.cause, target) }

const redacted = "[redacted]"

// tokenLike matches what has the form of a token, ticket or code: the prefixes
// that WeChat uses, plain or escaped as in a query, and long runs without a space.
var tokenLike = regexp.MustCompile(`[A-Za-z]+(?:@|%40){3}[^\s"'&]+|\b\d+_[A-Za-z0-9_\-]{8,}|[A-Za-z0-9_\-+]{32,}`)

// scrubText replaces the secrets of the call, plain or escaped as in a query, and
// everything that looks like one.
func scrubText(text string, secrets []tuoguan.Secret) string {
	for _, secret := range secrets {
		if secret.IsZero() {
			continue
		}
		text = strings.ReplaceAll(text, secret.Reveal(), redacted)
		text = strings.ReplaceAll(text, url.QueryEscape(secret.Reveal()), redacted)
	}
	return tokenLike.ReplaceAllLiteralString(text, redacted)
}

var ridSuffix = regexp.MustCompile(`[ ,]*rid: ?([0-9A-Za-z\-]{1,64})\s*$`)

const maxMessageLength = 300

// splitMessage parts errmsg into a text that is safe to show and the rid.
func splitMessage(errmsg string, secrets []tuoguan.Secret) (message, rid string) {
	if m := ridSuffix.FindStringSubmatchIndex(errmsg); m != nil {
		rid = scrubText(errmsg[m[2]:m[3]], secrets)
		errmsg = errmsg[:m[0]]
	}
	message = scrubText(strings.ToValidUTF8(errmsg, "�"), secrets)
	message = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, message))
	if runes := []rune(message); len(runes) > maxMessageLength {
		message = string(runes[:maxMessageLength]) + "…"
	}
	return message, rid
}
