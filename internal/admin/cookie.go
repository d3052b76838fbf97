package admin

import (
	"context"
	"errors"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/operator"
	"github.com/tuoguan/tuoguan/internal/problem"
)

// Names of the cookie with a session's token. A browser takes the first one only over
// TLS, for all paths and for no other host. Without TLS it would be refused, so on the
// server's own machine there is the second one.
const (
	secureCookie   = "__Host-tuoguan"
	loopbackCookie = "tuoguan-session"
)

// jar is how cookies travel with a request. The zero jar is for connections on which
// others may listen: it holds none.
type jar struct {
	session string // name of the cookie with the session's token
	secure  bool
}

// jarOf tells from a request which cookies its browser keeps.
//
// X-Forwarded-Proto is believed, whoever sent it: nothing but the form of the caller's
// own cookies depends on it. Somebody who lies gets a cookie marked Secure, which no
// browser sends back over plain http.
func jarOf(r *http.Request) jar {
	switch {
	case overTLS(r):
		return jar{session: secureCookie, secure: true}
	case isLoopback(r.Host):
		return jar{session: loopbackCookie}
	}
	return jar{}
}

// overTLS reports whether a browser talks to us, or to the proxy before us, over TLS. A
// header that says so falsely changes nothing in [secured] either: browsers take
// Strict-Transport-Security over TLS alone.
func overTLS(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// isLoopback reports whether a Host header names the machine that the browser runs on.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// keep returns the cookie with a session's token. It ends with the browser or with the
// session, whichever is first.
func (j jar) keep(token string) *http.Cookie {
	return &http.Cookie{Name: j.session, Value: token, Path: "/", Secure: j.secure, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// drop returns what makes a browser forget the session's token.
func (j jar) drop() *http.Cookie {
	gone := j.keep("")
	gone.MaxAge = -1
	return gone
}

// visitor returns the browser that made the call.
func (c *call) visitor() operator.Visitor {
	return operator.Visitor{Address: c.address, Agent: c.agent}
}

// signedIn finds out whose session a request belongs to.
func (a *API) signedIn(r *http.Request, c *call) error {
	c.jar = jarOf(r)
	if c.jar.session == "" {
		return problem.Unauthorized
	}
	cookie, err := r.Cookie(c.jar.session)
	if err != nil || cookie.Value == "" {
		return problem.Unauthorized
	}
	if err := a.fromHere(r); err != nil {
		return err
	}
	session, err := a.cfg.Operators.Session(r.Context(), cookie.Value, c.visitor())
	if err != nil {
		return operatorProblem(err)
	}
	c.session, c.token = &session, cookie.Value
	c.Caller = callerOf(session)
	return nil
}

// callerOf returns who makes requests with a session.
func callerOf(s operator.Session) access.Caller {
	return access.Caller{
		KeyID: "user:" + s.User.ID, Name: s.User.Name, Credential: "session:" + s.ID,
		Scope: access.Scope{Operations: s.Operations()}, ExpiresAt: s.ExpiresAt,
	}
}

// fromHere demands that what a browser asks to be changed is asked for by our own pages:
// a browser says where a request comes from, and no page of another site makes it send
// JSON without asking first. What is no browser may say nothing.
func (a *API) fromHere(r *http.Request) error {
	if err := a.origin.Check(r); err != nil {
		return problem.CrossOrigin
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.ContentLength == 0 {
		return nil
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return problem.CrossOrigin.With("the body has to be application/json", "请求体类型须为 application/json")
	}
	return nil
}

// anybody lets everybody through to the routes that are open. Whatever key or cookie
// there is says nothing, and a token that a browser already has is never adopted.
func (a *API) anybody(w http.ResponseWriter, r *http.Request) {
	c := newCall(r)
	c.jar = jarOf(r)
	c.Caller = access.Caller{KeyID: "address:" + c.address.String(), Scope: access.Scope{Rate: strangerRate}}
	if err := a.fromHere(r); err != nil {
		a.fail(w, r, err)
		return
	}
	a.serve(w, r, c)
}

// strangerRate is how many requests per second are taken from one address without a key
// or a session. All that come through one proxy have one address.
const strangerRate = 20

// operatorProblem turns an error of the operators' into what the caller is told.
func operatorProblem(err error) error {
	var locked *operator.Locked
	var mistakes access.Mistakes
	switch {
	case errors.As(err, &locked):
		return problem.LoginLocked.After(max(1, int(locked.RetryAfter.Seconds()+0.999)))
	case errors.As(err, &mistakes):
		return wrongFields(mistakes)
	case errors.Is(err, operator.ErrRefused):
		return problem.LoginRefused
	case errors.Is(err, operator.ErrCodeNeeded):
		return problem.CodeNeeded
	case errors.Is(err, operator.ErrSetup):
		return problem.SetupRefused
	case errors.Is(err, operator.ErrNoSession):
		return problem.NoSession
	case errors.Is(err, operator.ErrLastOwner):
		return problem.LastOwner
	case errors.Is(err, operator.ErrForbidden):
		return problem.ForbiddenRole
	case errors.Is(err, operator.ErrProvider):
		return providerAway{err}
	}
	return err
}

// providerAway is problem.ProviderUnavailable with its cause, for the log.
type providerAway struct{ error }

func (e providerAway) Unwrap() []error { return []error{problem.ProviderUnavailable, e.error} }

// signedInAs changes whose call it is: who signs in is not known before.
func (c *call) signedInAs(s operator.Session) {
	c.session, c.Caller = &s, callerOf(s)
}

// own returns the session that a call is about.
func own(ctx context.Context) (*call, operator.Session, error) {
	c := callOf(ctx)
	if c.session == nil {
		return nil, operator.Session{}, problem.UnknownSession
	}
	return c, *c.session, nil
}
