package authorize

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/page"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// entry serves GET /authorize/{link}: the page that leads to WeChat.
func (l *Links) entry(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	lang := page.Language(r)
	link, err := l.cfg.Store.Link(ctx, r.PathValue("link"))
	switch {
	case errors.Is(err, store.ErrNotFound):
		l.show(w, lang, http.StatusNotFound, "unknown", view{})
		return
	case err != nil:
		l.cfg.Logger.Error("an authorization link cannot be read", "error", err)
		l.unavailable(w, lang)
		return
	}
	switch l.StateOf(link) {
	case Used:
		l.show(w, lang, http.StatusGone, "used", view{ReturnURL: link.ReturnURL})
		return
	case Expired:
		l.show(w, lang, http.StatusGone, "expired", view{ReturnURL: link.ReturnURL})
		return
	}
	if spendsNothing(r) {
		l.show(w, lang, http.StatusOK, "preview", view{Here: "?" + url.Values{"lang": {lang}, "open": {"1"}}.Encode()})
		return
	}
	if !l.visits.allow(link.ID) {
		w.Header().Set("Retry-After", "10")
		l.show(w, lang, http.StatusTooManyRequests, "busy", view{})
		return
	}
	target, err := l.visit(ctx, link, r.URL.Query().Get("lang"))
	if err != nil {
		l.entryFailed(w, lang, link, err)
		return
	}
	target.Wanted = named(link.PermissionSets, lang)
	target.BizAppID = string(link.BizAppID)
	target.InWeChat, target.OnPhone = browser(r)
	target.Here = l.URL(link.ID)
	// WeChat checks that the visitor comes from our domain, so this page tells it,
	// without the path. All other pages tell nothing.
	w.Header().Set("Referrer-Policy", "strict-origin-when-cross-origin")
	l.show(w, lang, http.StatusOK, "entry", target)
}

// visit makes a pre-auth code and a nonce for one opening of a link.
func (l *Links) visit(ctx context.Context, link store.Link, lang string) (view, error) {
	made, err := l.cfg.WeChat.CreatePreAuthCode(ctx, link.Component)
	if err != nil {
		return view{}, err
	}
	nonce := newNonce()
	err = l.cfg.Store.CreateVisit(ctx, store.Visit{
		NonceHash:   keeper.HashCode(nonce),
		PreAuthHash: keeper.HashCode(made.Code),
		Link:        link.ID,
		Component:   link.Component,
		CreatedAt:   l.cfg.Clock.Now().UTC(),
	})
	if err != nil {
		return view{}, err
	}
	back := url.Values{"nonce": {nonce.Reveal()}}
	if lang == "zh" || lang == "en" {
		back.Set("lang", lang)
	}
	target := wxapi.AuthorizationLink{
		Component:      link.Component,
		PreAuthCode:    made.Code,
		RedirectURI:    l.URL(link.ID) + "/done?" + back.Encode(),
		AuthType:       wxapi.AuthType(link.AuthType),
		BizAppID:       link.BizAppID,
		PermissionSets: link.PermissionSets,
	}
	pc, err := l.cfg.WeChat.ComponentLoginPageURL(target)
	if err != nil {
		return view{}, err
	}
	mobile, err := l.cfg.WeChat.BindComponentURL(target)
	return view{PCURL: pc, MobileURL: mobile}, err
}

func (l *Links) entryFailed(w http.ResponseWriter, lang string, link store.Link, err error) {
	l.cfg.Logger.Warn("an authorization link could not be opened", "component_appid", link.Component, "error", err)
	var refusal *wxapi.APIError
	switch {
	case errors.Is(err, keeper.ErrNoTicket):
		w.Header().Set("Retry-After", "600")
		l.show(w, lang, http.StatusServiceUnavailable, "waiting", view{})
	case errors.As(err, &refusal):
		l.show(w, lang, http.StatusBadGateway, "refused", view{Errcode: refusal.Code})
	case errors.Is(err, wxapi.ErrNotSent), errors.Is(err, wxapi.ErrOutcomeUnknown):
		l.show(w, lang, http.StatusBadGateway, "refused", view{})
	default:
		l.unavailable(w, lang)
	}
}

func (l *Links) unavailable(w http.ResponseWriter, lang string) {
	w.Header().Set("Retry-After", "10")
	l.show(w, lang, http.StatusServiceUnavailable, "unavailable", view{})
}

// robots are programs that fetch links to show or index them.
var robots = regexp.MustCompile(`(?i)bot\b|crawl|spider|slurp|preview|facebookexternalhit|whatsapp`)

// spendsNothing reports whether the page is fetched by something that will not
// click, so that a pre-auth code would be wasted. A person taken for a robot gets
// through with ?open=1.
func spendsNothing(r *http.Request) bool {
	if r.Method == http.MethodHead {
		return true
	}
	for _, header := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		if value := strings.ToLower(r.Header.Get(header)); strings.Contains(value, "prefetch") || strings.Contains(value, "preview") {
			return true
		}
	}
	return robots.MatchString(r.UserAgent()) && r.URL.Query().Get("open") == ""
}

// browser tells where the page is open. WeChat for the desktop counts as a PC: it
// has a phone beside it that can scan.
func browser(r *http.Request) (inWeChat, onPhone bool) {
	agent := r.UserAgent()
	onPhone = strings.Contains(agent, "Mobile") || strings.Contains(agent, "Android")
	desktop := strings.Contains(agent, "WindowsWechat") || strings.Contains(agent, "MacWechat")
	return strings.Contains(agent, "MicroMessenger") && !desktop, onPhone && !desktop
}

// setName is a permission set as shown to a merchant.
type setName struct {
	ID        int
	Name      string
	Exclusive bool
}

func named(sets []tuoguan.PermissionSet, lang string) []setName {
	names := make([]setName, len(sets))
	for i, set := range sets {
		names[i] = setName{ID: int(set), Name: set.Name(lang), Exclusive: set.Exclusive()}
	}
	return names
}
