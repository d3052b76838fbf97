// Package problem holds the error documents of everything that this server offers to
// callers: RFC 9457 problem documents, in English and Chinese. docs/problems.md
// describes every one of them.
package problem

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// Base begins the type of every problem document; what follows is its name.
const Base = "https://github.com/tuoguan/tuoguan/blob/main/docs/problems.md#"

// Problem is the body of every error: an RFC 9457 problem document with a detail in
// Chinese beside the one in English.
type Problem struct {
	Type     string `json:"type" format:"uri" doc:"Names the problem, and never changes"`
	Title    string `json:"title" doc:"The problem in a few words"`
	Status   int    `json:"status" doc:"The HTTP status"`
	Detail   string `json:"detail" doc:"What is wrong here and what helps, in English"`
	DetailZh string `json:"detail_zh" doc:"The same in Chinese"`

	Errcode int    `json:"errcode,omitempty" doc:"WeChat's errcode, where WeChat answered with one"`
	RID     string `json:"rid,omitempty" doc:"WeChat's request id, where WeChat gave one"`

	Errors     []FieldProblem `json:"errors,omitempty" doc:"The fields or parameters at fault"`
	Components []string       `json:"components,omitempty" doc:"The components to choose from with ?component="`

	// RetryAfter, in seconds, goes into the header; 0 for none.
	RetryAfter int `json:"-"`
}

// FieldProblem is what is wrong with one field of the body or one parameter.
type FieldProblem struct {
	Field    string `json:"field" doc:"Its name"`
	Detail   string `json:"detail" doc:"What is wrong with it, in English"`
	DetailZh string `json:"detail_zh" doc:"The same in Chinese"`
}

// Error makes a Problem an error, so that handlers can return one.
func (p Problem) Error() string { return p.Title + ": " + p.Detail }

// Is reports whether target is the same kind of problem, whatever its details.
func (p Problem) Is(target error) bool {
	other, ok := target.(Problem)
	return ok && other.Type == p.Type
}

// Name is what the problem is called in docs/problems.md.
func (p Problem) Name() string { return strings.TrimPrefix(p.Type, Base) }

// With returns the problem with other details.
func (p Problem) With(detail, chinese string) Problem {
	p.Detail, p.DetailZh = detail, chinese
	return p
}

// Field returns the problem as one of the field or parameter named.
func (p Problem) Field(name, detail, chinese string) Problem {
	p.Detail, p.DetailZh = name+": "+detail, name+"："+chinese
	p.Errors = []FieldProblem{{Field: name, Detail: detail, DetailZh: chinese}}
	return p
}

// After returns the problem with an advice to try again after so many seconds.
func (p Problem) After(seconds int) Problem {
	p.RetryAfter = seconds
	return p
}

// Refusal returns the problem of a call that WeChat answered with an errcode.
func Refusal(e *wxapi.APIError) Problem {
	explanation := e.Explain()
	p := WeChatRefused.With(
		e.Op+": "+explanation.Meaning+"; "+explanation.Action,
		e.Op+"："+explanation.MeaningChinese+"；"+explanation.ActionChinese)
	p.Errcode, p.RID = e.Code, e.RID
	if ip := e.ClientIP(); ip.IsValid() {
		p.Detail += "; WeChat saw the address " + ip.String()
		p.DetailZh += "；微信看到的出口 IP 为 " + ip.String()
	}
	return p
}

// storageError marks an error of the store's, other than a sentinel.
type storageError struct{ error }

func (e storageError) Unwrap() error { return e.error }

// Storage marks err as one of the storage's, so that [Of] knows it for
// [StorageUnavailable]. Nil stays nil.
func Storage(err error) error {
	if err == nil {
		return nil
	}
	return storageError{err}
}

// Of turns an error into what the caller is told. One that it does not know is an
// [InternalError], of which nothing is shown.
func Of(err error) Problem {
	var known Problem
	var refusal *wxapi.APIError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, access.ErrUnknownKey):
		return Unauthorized
	case errors.Is(err, access.ErrExpiredKey):
		return ExpiredKey
	case errors.Is(err, access.ErrRevokedKey):
		return RevokedKey
	case errors.Is(err, access.ErrNetwork):
		return ForbiddenAddress
	case errors.Is(err, keeper.ErrUnknownAuthorizer):
		return UnknownAuthorizer
	case errors.Is(err, keeper.ErrUnknownComponent):
		return UnknownComponent
	case errors.Is(err, keeper.ErrRevoked):
		return Revoked
	case errors.Is(err, keeper.ErrNeedsReauthorization):
		return NeedsReauthorization
	case errors.Is(err, keeper.ErrRefreshNeeded):
		return RefreshNeeded
	case errors.Is(err, keeper.ErrNoTicket):
		return NoTicket
	case errors.Is(err, keeper.ErrGated):
		return Gated
	case errors.Is(err, keeper.ErrStorage), errors.Is(err, access.ErrStorage), errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrQuarantined), errors.As(err, new(storageError)):
		return StorageUnavailable
	case errors.As(err, &refusal):
		return Refusal(refusal)
	case errors.Is(err, wxapi.ErrUnusableReply):
		return WeChatNonsense
	case errors.Is(err, wxapi.ErrNotSent), errors.Is(err, wxapi.ErrOutcomeUnknown):
		return WeChatUnanswered
	case errors.Is(err, keeper.ErrClosed), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return Unavailable
	}
	return InternalError
}

// Write answers with the problem that err is, and logs what the caller cannot mend.
func Write(w http.ResponseWriter, r *http.Request, logger *slog.Logger, err error) {
	p := Of(err)
	Log(r.Context(), logger, r.Method, r.Pattern, p, err)
	header := w.Header()
	if p.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(p) // the caller went away
}

// Log logs an error that is answered as p, unless the caller can mend it or has gone.
func Log(ctx context.Context, logger *slog.Logger, method, route string, p Problem, err error) {
	if p.Status >= http.StatusInternalServerError && ctx.Err() == nil {
		logger.WarnContext(ctx, "request not served", "method", method, "route", route, "status", p.Status, "error", err)
	}
}
