package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The kinds of errors that a caller may act on; errors.Is tells them.
var (
	// ErrUnauthorized: the API key is wrong, or not good any more.
	ErrUnauthorized = errors.New("client: the API key is not accepted")
	// ErrExpiredKey and ErrRevokedKey say why it is not, besides.
	ErrExpiredKey = errors.New("client: the API key has expired")
	ErrRevokedKey = errors.New("client: the API key is revoked")
	// ErrForbiddenAddress: the key may not be used from this address.
	ErrForbiddenAddress = errors.New("client: the API key may not be used from this address")
	// ErrMissingScope: the key may not do that.
	ErrMissingScope = errors.New("client: the API key may not do that")
	// ErrRefreshNeeded: there is no valid token, and the key may only read.
	ErrRefreshNeeded = errors.New("client: a refresh is needed, and the API key may not cause one")

	// ErrNotFound: there is no such thing, or it is out of the key's reach.
	ErrNotFound = errors.New("client: not found")
	// ErrUnknownAuthorizer: the account has never authorized. It is ErrNotFound too.
	ErrUnknownAuthorizer = errors.New("client: unknown authorizer")
	// ErrAmbiguousComponent: the account authorizes several components; name one. They
	// are in [Error.Components].
	ErrAmbiguousComponent = errors.New("client: the account authorizes several components")
	// ErrRevoked: the merchant took the authorization back.
	ErrRevoked = errors.New("client: the authorization is revoked")
	// ErrNeedsReauthorization: the merchant has to authorize again.
	ErrNeedsReauthorization = errors.New("client: the merchant has to authorize again")
	// ErrPathRefused: the gateway does not pass the path on.
	ErrPathRefused = errors.New("client: the gateway does not pass this path on")
	// ErrConflict: something is not as the request assumes.
	ErrConflict = errors.New("client: conflict")
	// ErrPreconditionFailed: the thing has been changed meanwhile.
	ErrPreconditionFailed = errors.New("client: it has been changed meanwhile")

	// ErrRateLimited: too many requests; see [Error.RetryAfter].
	ErrRateLimited = errors.New("client: too many requests")
	// ErrQuotaExhausted: WeChat's quota for the call is used up.
	ErrQuotaExhausted = errors.New("client: the quota is used up")
	// ErrNoTicket: WeChat has not pushed a verify ticket yet.
	ErrNoTicket = errors.New("client: no verify ticket yet")
	// ErrWeChat: WeChat refused or did not answer; see [Error.Errcode].
	ErrWeChat = errors.New("client: WeChat refused or did not answer")
	// ErrUnavailable: the server, or what it needs, cannot be reached now. Trying again
	// later helps.
	ErrUnavailable = errors.New("client: not available now")

	// ErrComponentToken: a component's own token cannot be reported or refreshed by its
	// users; the server does so by itself.
	ErrComponentToken = errors.New("client: a component's own token is renewed by the server alone")
)

// kinds are what the named problems are besides their status.
var kinds = map[string][]error{
	"expired-key":           {ErrExpiredKey},
	"revoked-key":           {ErrRevokedKey},
	"forbidden-address":     {ErrForbiddenAddress},
	"missing-scope":         {ErrMissingScope},
	"refresh-needed":        {ErrRefreshNeeded},
	"path-refused":          {ErrPathRefused},
	"unknown-authorizer":    {ErrUnknownAuthorizer},
	"ambiguous-component":   {ErrAmbiguousComponent},
	"revoked":               {ErrRevoked},
	"needs-reauthorization": {ErrNeedsReauthorization},
	"quota-exhausted":       {ErrQuotaExhausted},
	"no-ticket":             {ErrNoTicket, ErrUnavailable},
	"wechat-refused":        {ErrWeChat},
	"wechat-unanswered":     {ErrWeChat, ErrUnavailable},
	"wechat-nonsense":       {ErrWeChat},
}

// Error is an answer of the server that is not what was asked for: a problem
// document, or, where Name is "", an answer of something else in its place. It
// holds no secret.
type Error struct {
	Name     string // of the problem, as in docs/problems.md: "needs-reauthorization"
	Status   int    // of HTTP
	Title    string
	Detail   string
	DetailZh string // the same in Chinese

	Errcode int    // WeChat's, 0 if WeChat has not answered
	RID     string // of the request to WeChat, by which its staff finds it

	Fields     []FieldError // of the request that are at fault
	Components []string     // to choose from, with [ErrAmbiguousComponent]
	RetryAfter time.Duration
}

// FieldError is what is wrong with one field of a request.
type FieldError struct {
	Field    string `json:"field"`
	Detail   string `json:"detail"`
	DetailZh string `json:"detail_zh"`
}

// Error returns the text in English.
func (e *Error) Error() string {
	text := e.Title
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Errcode != 0 {
		text += fmt.Sprintf(" (errcode %d, rid %s)", e.Errcode, e.RID)
	}
	return text
}

// Is reports whether the error is of one of the kinds above.
func (e *Error) Is(target error) bool {
	if known := kinds[e.Name]; known != nil && slices.Contains(known, target) {
		return true
	}
	switch target {
	case ErrUnauthorized:
		return e.Status == http.StatusUnauthorized
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrConflict:
		return e.Status == http.StatusConflict
	case ErrPreconditionFailed:
		return e.Status == http.StatusPreconditionFailed
	case ErrRateLimited:
		return e.Status == http.StatusTooManyRequests
	case ErrUnavailable:
		return e.Status == http.StatusServiceUnavailable ||
			e.Name == "" && (e.Status == http.StatusBadGateway || e.Status == http.StatusGatewayTimeout) // a balancer's
	}
	return false
}

// unanswered: there was no answer, or it broke off.
type unanswered struct {
	base string
	err  error
}

func (e *unanswered) Error() string {
	return fmt.Sprintf("the server at %s does not answer: %v", e.base, e.err)
}
func (e *unanswered) Unwrap() []error { return []error{ErrUnavailable, e.err} }

// transient reports whether the server was away, as while it restarts, or is at the
// same request already.
func transient(err error) bool {
	if refused, ok := errors.AsType[*Error](err); ok {
		return refused.Name == "unavailable" || refused.Name == "" && errors.Is(err, ErrUnavailable) ||
			refused.Name == "idempotency-conflict" && refused.Status == http.StatusConflict
	}
	_, lost := errors.AsType[*unanswered](err)
	return lost
}

// away reports whether the error says nothing about a token that was good before.
func away(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrRateLimited) || errors.Is(err, ErrWeChat) ||
		errors.Is(err, ErrRefreshNeeded) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// problemTypes begins the type of every problem document of the server.
const problemTypes = "https://github.com/tuoguan/tuoguan/blob/main/docs/problems.md#"

// problemOf makes an Error of an answer that came from the address given.
func problemOf(from string, response *http.Response, raw []byte) *Error {
	var p struct {
		Type       string       `json:"type"`
		Title      string       `json:"title"`
		Detail     string       `json:"detail"`
		DetailZh   string       `json:"detail_zh"`
		Errcode    int          `json:"errcode"`
		RID        string       `json:"rid"`
		Errors     []FieldError `json:"errors"`
		Components []string     `json:"components"`
	}
	e := &Error{Status: response.StatusCode}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(min(seconds, 86400)) * time.Second
	}
	name, ours := "", false
	if json.Unmarshal(raw, &p) == nil {
		name, ours = strings.CutPrefix(p.Type, problemTypes)
	}
	if !ours || name == "" {
		e.Title = from + " answered " + response.Status + ", which is not an answer of tuoguan's"
		return e
	}
	e.Name, e.Title, e.Detail, e.DetailZh = name, p.Title, p.Detail, p.DetailZh
	e.Errcode, e.RID, e.Fields, e.Components = p.Errcode, p.RID, p.Errors, p.Components
	return e
}

// Problem returns the error that the gateway answered with, an [*Error], or nil if
// the answer is WeChat's. It reads the body only in the former case. Whoever calls
// through [Client.Transport] may ask it first.
func Problem(response *http.Response) error {
	kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	if kind != "application/problem+json" {
		return nil
	}
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	if err != nil {
		return &unanswered{"the gateway", cause(err)}
	}
	return problemOf("the gateway", response, raw)
}
