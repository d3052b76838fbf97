package gateway

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/tuoguan/tuoguan/internal/problem"
)

// shapedError is an error that exists in WeChat's own words only.
type shapedError struct {
	code int
	text string
}

func (e shapedError) Error() string { return "errcode " + strconv.Itoa(e.code) + ": " + e.text }

// codeUnknownOutcome answers a call of which it is not known whether it took effect.
// It is none of WeChat's: for -1, WeChat's word for a passing trouble, SDKs repeat the
// call by themselves.
const codeUnknownOutcome = -502

// codeBusy says that nothing was done and the call may be repeated.
const codeBusy = -1

// errcodes says in WeChat's words what a problem is, by its name. Never written.
var errcodes = map[string]int{
	problem.Unauthorized.Name():         codeInvalidCredential,
	problem.ExpiredKey.Name():           codeInvalidCredential,
	problem.RevokedKey.Name():           codeInvalidCredential,
	problem.ForbiddenAddress.Name():     40164,
	problem.MissingScope.Name():         48001,
	problem.PathRefused.Name():          48001,
	problem.RateLimited.Name():          45011,
	problem.UnknownAuthorizer.Name():    40013,
	problem.UnknownComponent.Name():     40013,
	problem.AmbiguousComponent.Name():   40013,
	problem.Revoked.Name():              61003,
	problem.NeedsReauthorization.Name(): 61003,
	problem.QuotaExhausted.Name():       codeDailyQuota,
	problem.BadRequest.Name():           40035,
	problem.MethodNotAllowed.Name():     43002,
	problem.NoTicket.Name():             codeBusy,
	problem.Gated.Name():                codeBusy,
	problem.StorageUnavailable.Name():   codeBusy,
	problem.Unavailable.Name():          codeBusy,
}

// failShaped answers with a problem in the shape of WeChat's errors: HTTP status 200,
// except where WeChat would not have answered either.
func (c *call) failShaped(p problem.Problem, err error) {
	code, text, status := codeUnknownOutcome, p.Detail, http.StatusOK
	if known, ok := errcodes[p.Name()]; ok {
		code = known
	}
	if p.Is(neverSent) && p.Detail == neverSent.Detail {
		code = codeBusy
	}
	if p.Errcode != 0 {
		code = p.Errcode
	} else if p.Status >= http.StatusInternalServerError {
		status = p.Status
	}
	if own, ok := errors.AsType[shapedError](err); ok {
		code, text, status = own.code, own.text, http.StatusOK
		c.report.Problem, c.report.Errcode = "", code
	} else {
		problem.Log(c.r.Context(), c.g.cfg.Logger, c.r.Method, c.r.Pattern, p, err)
	}
	if p.RID != "" {
		text += " rid: " + p.RID
	}
	if p.RetryAfter > 0 && code != codeUnknownOutcome {
		c.w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	c.writeJSON(status, refusal{code, text})
}

// refusal is WeChat's error object.
type refusal struct {
	Errcode int    `json:"errcode"`
	Errmsg  string `json:"errmsg"`
}
