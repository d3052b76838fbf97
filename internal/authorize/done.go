package authorize

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/page"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
)

const (
	// longestCode is more than any authorization code; observed are about 100 characters.
	longestCode = 1024
	// patience is how long the result page goes on asking by itself.
	patience = 3 * time.Minute
)

// done serves GET /authorize/{link}/done: where WeChat sends the browser back to.
// It comes in two forms. The redirect itself brings auth_code, which is recorded
// and exchanged; the browser is then sent on to the same address with the code's
// hash in its place, which can be reloaded at will and leaks nothing.
func (l *Links) done(w http.ResponseWriter, r *http.Request) {
	ctx, lang := r.Context(), page.Language(r)
	query := r.URL.Query()
	visit, link, err := l.visitOf(ctx, r.PathValue("link"), query["nonce"])
	switch {
	case errors.Is(err, store.ErrNotFound):
		l.cfg.Logger.Warn("a redirect came back with a nonce that was not given to it")
		l.show(w, lang, http.StatusBadRequest, "forged", view{})
		return
	case err != nil:
		l.cfg.Logger.Error("the visit of a redirect cannot be read", "error", err)
		l.unavailable(w, lang)
		return
	}
	code, hash := query["auth_code"], query["exchange"]
	switch {
	case r.Method == http.MethodHead:
		w.WriteHeader(http.StatusNoContent)
	case len(code) == 1 && code[0] != "" && len(code[0]) <= longestCode:
		l.cameBack(w, r, lang, visit, tuoguan.NewSecret(code[0]))
	case len(code) == 0 && len(hash) == 1:
		l.result(w, r, lang, visit, link, hash[0])
	default:
		l.show(w, lang, http.StatusBadRequest, "forged", view{ReturnURL: link.ReturnURL})
	}
}

// visitOf returns the visit to which a nonce was given, and its link. It fails with
// store.ErrNotFound if there is none, or if it was given to another link.
func (l *Links) visitOf(ctx context.Context, id string, nonces []string) (store.Visit, store.Link, error) {
	if len(nonces) != 1 || nonces[0] == "" {
		return store.Visit{}, store.Link{}, store.ErrNotFound
	}
	visit, err := l.cfg.Store.VisitByNonce(ctx, keeper.HashCode(tuoguan.NewSecret(nonces[0])))
	if err != nil {
		return store.Visit{}, store.Link{}, err
	}
	if visit.Link != id {
		return store.Visit{}, store.Link{}, store.ErrNotFound
	}
	link, err := l.cfg.Store.Link(ctx, id)
	return visit, link, err
}

// cameBack has a code recorded and exchanged, waits a moment for the outcome, and
// sends the browser to an address without the code.
func (l *Links) cameBack(w http.ResponseWriter, r *http.Request, lang string, visit store.Visit, code tuoguan.Secret) {
	hash := keeper.HashCode(code)
	_, err := l.cfg.Store.Exchange(r.Context(), visit.Component, hash)
	if errors.Is(err, store.ErrNotFound) && !l.redirects.allow(visit.Link) {
		w.Header().Set("Retry-After", "10")
		l.show(w, lang, http.StatusTooManyRequests, "busy", view{})
		return
	}
	seconds, _ := strconv.Atoi(r.URL.Query().Get("expires_in"))
	ctx, cancel := context.WithTimeout(r.Context(), l.cfg.WaitLimit)
	defer cancel()
	exchange, err := l.cfg.Keeper.Redirect(ctx, keeper.Redirect{
		Component: visit.Component,
		Code:      code,
		ExpiresIn: time.Duration(min(max(seconds, 0), 86400)) * time.Second,
		Visit:     visit.NonceHash,
	})
	if err != nil {
		l.cfg.Logger.Warn("a redirect is not exchanged yet", "component_appid", visit.Component, "error", err)
		if exchange.CodeHash == "" { // not even recorded
			l.unavailable(w, lang)
			return
		}
	}
	clean := url.Values{"nonce": {r.URL.Query().Get("nonce")}, "exchange": {hash}}
	if chosen := r.URL.Query().Get("lang"); chosen == "zh" || chosen == "en" {
		clean.Set("lang", chosen)
	}
	l.pages.Harden(w)
	http.Redirect(w, r, l.URL(visit.Link)+"/done?"+clean.Encode(), http.StatusSeeOther)
}

// result shows how far the exchange has come. It asks nobody but the store.
func (l *Links) result(w http.ResponseWriter, r *http.Request, lang string, visit store.Visit, link store.Link, hash string) {
	exchange, err := l.cfg.Store.Exchange(r.Context(), visit.Component, hash)
	switch {
	case err == nil && exchange.Visit != visit.NonceHash, errors.Is(err, store.ErrNotFound):
		l.show(w, lang, http.StatusBadRequest, "forged", view{ReturnURL: link.ReturnURL})
		return
	case err != nil:
		l.cfg.Logger.Error("an exchange cannot be read", "error", err)
		l.unavailable(w, lang)
		return
	}
	v := view{ReturnURL: link.ReturnURL, BizAppID: string(link.BizAppID)}
	switch {
	case exchange.State == store.ExchangeDone:
		l.authorized(w, r, lang, link, exchange, v)
	case exchange.State == store.ExchangeFailed && exchange.Attempts > 1:
		// WeChat may have used the code up and its answer was lost. The authorization
		// then stands, and is found by comparing with WeChat's list.
		l.show(w, lang, http.StatusOK, "uncertain", v)
	case exchange.State == store.ExchangeFailed:
		l.show(w, lang, http.StatusBadRequest, "rejected", v)
	default:
		v.Refresh = l.cfg.Clock.Now().Sub(exchange.CreatedAt) < patience
		l.show(w, lang, http.StatusOK, "processing", v)
	}
}

func (l *Links) authorized(w http.ResponseWriter, r *http.Request, lang string, link store.Link, exchange store.Exchange, v view) {
	a, err := l.cfg.Store.Authorizer(r.Context(), tuoguan.Authorization{Component: link.Component, Authorizer: exchange.Authorizer})
	if err != nil {
		l.cfg.Logger.Error("an authorizer cannot be read", "authorizer_appid", exchange.Authorizer, "error", err)
		l.unavailable(w, lang)
		return
	}
	v.AppID = string(a.Authorizer)
	v.NickName = a.Profile.NickName
	v.Granted = named(a.PermissionSets, lang)
	v.Missing = named(missing(link.PermissionSets, a.PermissionSets), lang)
	v.OtherAccount = link.BizAppID != "" && link.BizAppID != a.Authorizer
	v.Revoked = a.State == tuoguan.StateRevoked
	l.show(w, lang, http.StatusOK, "authorized", v)
}

// missing returns what is wanted and not granted.
func missing(wanted, granted []tuoguan.PermissionSet) []tuoguan.PermissionSet {
	var left []tuoguan.PermissionSet
	for _, set := range wanted {
		if !slices.Contains(granted, set) {
			left = append(left, set)
		}
	}
	return left
}
