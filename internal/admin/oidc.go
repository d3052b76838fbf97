package admin

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/operator"
	"github.com/tuoguan/tuoguan/internal/problem"
)

// oidcPath is where signing in by an identity provider begins and ends.
const oidcPath = "/console/oidc/"

// oidcRoute is how the audit log names a sign-in by the identity provider: like any other.
var oidcRoute = Route{ID: "sign-in"}

// bind returns the cookie that ties the answer of the identity provider to the browser
// that was sent there. It has to come with the navigation back, from the provider's
// site, so it is Lax.
func (j jar) bind(value string) *http.Cookie {
	return &http.Cookie{Name: j.session + "-oidc", Value: value, Path: "/", MaxAge: 600, Secure: j.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// oidcCall returns the call that a navigation to or from the identity provider is.
func (a *API) oidcCall(w http.ResponseWriter, r *http.Request) (*call, error) {
	w.Header()["Cache-Control"] = noStore
	c := newCall(r)
	c.jar, c.route = jarOf(r), &oidcRoute
	c.Caller = access.Caller{KeyID: "address:" + c.address.String(), Scope: access.Scope{Rate: strangerRate}}
	if _, ok := a.cfg.Operators.OIDC(); !ok {
		return nil, problem.NoSuchRoute
	}
	if c.jar.session == "" {
		return nil, problem.InsecureConnection
	}
	if wait, ok := a.cfg.Access.Allow(c.Caller, ""); !ok {
		return nil, rateLimited(wait)
	}
	return c, nil
}

// startOIDC serves GET /console/oidc/start: it sends the browser to the identity provider.
func (a *API) startOIDC(w http.ResponseWriter, r *http.Request) {
	c, err := a.oidcCall(w, r)
	if err != nil {
		a.backWith(w, r, err)
		return
	}
	redirect, bind, err := a.cfg.Operators.BeginOIDC(r.Context(), r.URL.Query().Get("return"), c.visitor())
	if err != nil {
		a.backWith(w, r, operatorProblem(err))
		return
	}
	http.SetCookie(w, c.jar.bind(bind.Reveal()))
	goTo(w, redirect.Reveal())
}

// finishOIDC serves GET /console/oidc/callback: the browser comes back from the identity
// provider. The session's cookie is Strict, so the browser does not send it where this
// reply leads: that navigation still counts as one from the provider's site. It leads to
// a page of the console, which is the same for everybody; what that page then asks for
// comes from this site, with the cookie.
func (a *API) finishOIDC(w http.ResponseWriter, r *http.Request) {
	c, err := a.oidcCall(w, r)
	if err != nil {
		a.backWith(w, r, err)
		return
	}
	used := c.jar.bind("")
	used.MaxAge = -1
	http.SetCookie(w, used)
	bind, err := r.Cookie(used.Name)
	query := r.URL.Query()
	if err != nil || query.Get("code") == "" { // begun in another browser, or declined
		a.backWith(w, r, problem.LoginRefused)
		return
	}
	s, token, returnTo, err := a.cfg.Operators.FinishOIDC(r.Context(), bind.Value, query.Get("state"), query.Get("code"), c.visitor())
	if errors.Is(err, operator.ErrRefused) {
		a.cfg.Logger.WarnContext(r.Context(), "sign-in by the identity provider refused", "address", c.address.String(), "error", err)
	}
	if err != nil {
		a.backWith(w, r, operatorProblem(err))
		return
	}
	if err := a.begun(withCall(r.Context(), c), s, token); err != nil {
		a.backWith(w, r, err)
		return
	}
	http.SetCookie(w, c.jar.keep(token.Reveal()))
	goTo(w, returnTo)
}

// backWith sends the browser to the console, which tells of a problem.
func (a *API) backWith(w http.ResponseWriter, r *http.Request, err error) {
	p := problem.Of(err)
	problem.Log(r.Context(), a.cfg.Logger, r.Method, r.Pattern, p, err)
	goTo(w, "/console/?problem="+url.QueryEscape(p.Name()))
}

// goTo leads the browser on. Unlike [http.Redirect] it repeats the address in no body.
func goTo(w http.ResponseWriter, address string) {
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusSeeOther)
}
