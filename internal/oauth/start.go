package oauth

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/page"
	"github.com/tuoguan/tuoguan/wxapi"
)

const maxBusinessState = 256

// start serves GET /oauth/{authorizer}/start: where a service sends its visitor, with
// return_url and, if it likes, scope, state and component.
func (l *Relay) start(w http.ResponseWriter, r *http.Request) {
	lang := page.Language(r)
	if !l.starts.allowAny() {
		l.busy(w, lang)
		return
	}
	v, wrong := l.request(r)
	if wrong != "" {
		l.show(w, lang, http.StatusBadRequest, "malformed", view{Parameter: wrong})
		return
	}
	standing, err := l.cfg.Standing(r.Context(), v.Authorizer, v.Component)
	switch {
	case err != nil:
		l.cfg.Logger.Error("the authorizations of an account cannot be read", "authorizer_appid", v.Authorizer, "error", err)
		l.unavailable(w, lang, view{})
		return
	case len(standing) == 0:
		l.show(w, lang, http.StatusNotFound, "unknown", view{})
		return
	case len(standing) > 1:
		l.show(w, lang, http.StatusBadRequest, "malformed", view{Parameter: "component"})
		return
	}
	if !l.starts.allow(v.Authorizer) {
		l.busy(w, lang)
		return
	}
	v.Component = standing[0].Component
	if r.Method == http.MethodHead {
		l.pages.Harden(w)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	l.leave(w, r, lang, v)
}

// leave gives the browser its visit and sends it to WeChat.
func (l *Relay) leave(w http.ResponseWriter, r *http.Request, lang string, v visit) {
	now := l.now()
	state := newState(now)
	v.Expires = now.Add(visitLife).Unix()
	target, err := l.cfg.WeChat.OAuthAuthorizeURL(wxapi.OAuthLink{
		Authorization: tuoguan.Authorization{Component: v.Component, Authorizer: v.Authorizer},
		RedirectURI:   l.path(v.Authorizer, "back"),
		Scope:         v.Scope,
		State:         state,
	})
	if err = errors.Join(err, l.put(w, r, state, v)); err != nil {
		l.cfg.Logger.Error("a visitor cannot be sent to WeChat", "authorizer_appid", v.Authorizer, "error", err)
		l.unavailable(w, lang, view{})
		return
	}
	l.pages.Harden(w)
	http.Redirect(w, r, target, http.StatusFound)
}

// request reads what a service asks for; wrong names the parameter at fault.
func (l *Relay) request(r *http.Request) (v visit, wrong string) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return visit{}, "?"
	}
	for _, name := range []string{"return_url", "scope", "state", "component"} {
		if len(query[name]) > 1 {
			return visit{}, name
		}
	}
	v = visit{
		Authorizer: tuoguan.AuthorizerAppID(r.PathValue("authorizer")),
		Component:  tuoguan.ComponentAppID(query.Get("component")),
		ReturnURL:  query.Get("return_url"),
		State:      query.Get("state"),
		Scope:      wxapi.OAuthScope(query.Get("scope")),
	}
	if v.Scope == "" {
		v.Scope = wxapi.ScopeBase
	}
	switch {
	case !l.returnable(v.ReturnURL):
		return visit{}, "return_url"
	case v.Scope != wxapi.ScopeBase && v.Scope != wxapi.ScopeUserInfo:
		return visit{}, "scope"
	case len(v.State) > maxBusinessState || !printable(v.State):
		return visit{}, "state"
	}
	return v, ""
}

// again returns the address that begins a visit anew.
func (l *Relay) again(v visit) string {
	query := url.Values{"return_url": {v.ReturnURL}, "scope": {string(v.Scope)}, "component": {string(v.Component)}}
	if v.State != "" {
		query.Set("state", v.State)
	}
	return l.path(v.Authorizer, "start") + "?" + query.Encode()
}
