package admin

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/audit"
	"github.com/tuoguan/tuoguan/internal/operator"
	"github.com/tuoguan/tuoguan/internal/problem"
)

// Directory says which components an account has authorized: [access.Directory].
type Directory interface {
	Find(ctx context.Context, account tuoguan.AuthorizerAppID, component tuoguan.ComponentAppID) ([]access.Entry, error)
	Forget(account tuoguan.AuthorizerAppID)
}

// Audit is the audit log: [audit.Log].
type Audit interface {
	Record(ctx context.Context, e audit.Event) error
	Handed(ctx context.Context, e audit.Event, fingerprint string) error
	PageBackwards(ctx context.Context, before int64, limit int) ([]audit.Entry, error)
}

var (
	_ Directory = (*access.Directory)(nil)
	_ Audit     = (*audit.Log)(nil)
)

// call is a request whose caller is known.
type call struct {
	access.Caller
	address netip.Addr
	agent   string // the User-Agent
	request string // id, for the log, the audit log and the caller
	route   *Route // nil until it is known

	jar     jar               // unless the caller has a key
	session *operator.Session // nil unless the caller is signed in
	token   string            // of the session
}

type callKey struct{}

// callOf returns the call that a handler serves.
func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

func withCall(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// authenticated lets callers with a valid API key or a session through to the routes.
func (a *API) authenticated(w http.ResponseWriter, r *http.Request) {
	c, err := a.caller(r)
	if err != nil {
		if problem.NoSession.Is(err) {
			http.SetCookie(w, c.jar.drop())
		}
		if problem.Of(err).Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", challenge)
		}
		a.fail(w, r, err)
		return
	}
	a.serve(w, r, c)
}

// challenge tells who is not known what to come with.
const challenge = `Bearer realm="tuoguan"`

// serve serves a call by the route that it is for.
func (a *API) serve(w http.ResponseWriter, r *http.Request, c *call) {
	header := w.Header()
	// No reply of the API may be kept by anybody on the way: some hold tokens.
	header["Cache-Control"] = noStore
	header["X-Request-Id"] = []string{c.request}
	if a.cfg.Clock.Offset() != 0 { // else the server says the same
		header.Set("Date", a.cfg.Clock.Now().UTC().Format(http.TimeFormat))
	}
	known := r.WithContext(withCall(r.Context(), c))
	a.v1.ServeHTTP(w, known)
	r.Pattern = known.Pattern // by which requests are counted
}

// requestIDs are those that are taken over from whoever sends one.
var requestIDs = regexp.MustCompile(`^[0-9A-Za-z._:-]{1,64}$`)

// newCall returns what a request says of itself.
func newCall(r *http.Request) *call {
	remote, _ := netip.ParseAddrPort(r.RemoteAddr)
	c := &call{address: remote.Addr().Unmap(), agent: r.UserAgent(), request: r.Header.Get("X-Request-Id")}
	if !requestIDs.MatchString(c.request) {
		c.request = rand.Text()
	}
	return c
}

// caller finds out who makes a request: who holds the key in it, or if there is none,
// whose session it belongs to.
func (a *API) caller(r *http.Request) (*call, error) {
	c := newCall(r)
	headers := r.Header["Authorization"]
	if len(headers) == 0 {
		return c, a.signedIn(r, c)
	}
	scheme, key, _ := strings.Cut(headers[0], " ")
	if len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") || key == "" {
		return c, problem.Unauthorized
	}
	var err error
	c.Caller, err = a.cfg.Access.Authenticate(r.Context(), key, c.address)
	return c, err
}

// admit lets a call through to a route if the scope of its caller allows it. The id is
// the one in the path, if there is one.
func (a *API) admit(c *call, route *Route, id string) error {
	c.route = route
	var err error
	switch {
	case route.Open, route.Own:
	case route.Self && c.session != nil && c.session.User.ID == id:
		err = c.overdue()
	default:
		err = c.allowed(route.Needs)
	}
	if err != nil {
		return err
	}
	if route.Whole && c.bound() {
		return tooNarrow
	}
	if wait, ok := a.cfg.Access.Allow(c.Caller, ""); !ok {
		return rateLimited(wait)
	}
	return nil
}

// overdue fails while the user has to do something before anything else.
func (c *call) overdue() error {
	switch {
	case c.session != nil && slices.Contains(c.session.Must, operator.MustPassword):
		return problem.MustChangePassword
	case c.session != nil && slices.Contains(c.session.Must, operator.MustTOTP):
		return problem.MustSetTOTP
	}
	return nil
}

// allowed fails unless the caller may do such a thing.
func (c *call) allowed(op access.Operation) error {
	if err := c.overdue(); err != nil {
		return err
	}
	switch {
	case c.May(op):
		return nil
	case c.session != nil:
		return problem.MissingScope.With("the role "+string(c.session.User.Role)+" does not include "+string(op), "角色 "+string(c.session.User.Role)+" 的权限不包含 "+string(op))
	}
	return problem.MissingScope.With("the scope of the API key does not include "+string(op), "API 密钥的权限范围不包含 "+string(op))
}

// tooNarrow is the problem of a caller who may do such a thing, but not to everything
// that it would concern.
var tooNarrow = problem.MissingScope.With(
	"this concerns more than the components, accounts and tags that the scope of the API key is bound to",
	"该操作涉及 API 密钥权限范围限定的平台、账号、标签以外的对象")

// bound reports whether the caller has to do with a part of everything only.
func (c *call) bound() bool { return len(c.Scope.Components) > 0 || c.boundToAccounts() }

// boundToAccounts reports whether the caller has to do with some accounts only.
func (c *call) boundToAccounts() bool { return len(c.Scope.Authorizers) > 0 || len(c.Scope.Tags) > 0 }

// sees fails unless the caller has to do with a component.
func (c *call) sees(id tuoguan.ComponentAppID) error {
	if len(c.Scope.Components) > 0 && !slices.Contains(c.Scope.Components, id) {
		return problem.UnknownComponent
	}
	return nil
}

// holds fails unless the caller has to do with a component as a whole: with its own
// token and its credentials, which all accounts depend on.
func (c *call) holds(id tuoguan.ComponentAppID) error {
	if err := c.sees(id); err != nil {
		return err
	}
	if c.boundToAccounts() {
		return tooNarrow
	}
	return nil
}

// event returns the record of what a call does.
func (c *call) event(a tuoguan.Authorization, target string, detail map[string]string) audit.Event {
	return audit.Event{
		Actor: c.KeyID, ActorName: c.Name, Address: c.address.String(), RequestID: c.request,
		Operation: c.route.ID, Component: string(a.Component), Authorizer: string(a.Authorizer), Target: target,
		Result: "ok", Detail: detail,
	}
}

// record writes to the audit log what a call does, before it does it: what cannot be
// recorded does not happen. So a record says that somebody asked for a change and was
// allowed to; that it could not be made afterwards is rare, and not recorded.
func (a *API) record(ctx context.Context, authorization tuoguan.Authorization, target string, detail map[string]string) error {
	return problem.Storage(a.cfg.Audit.Record(ctx, callOf(ctx).event(authorization, target, detail)))
}

// instant returns t in UTC, or nil if it is zero.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
