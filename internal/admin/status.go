package admin

import (
	"net/http"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/internal/page"
	"github.com/tuoguan/tuoguan/store"
)

// statusView is what the status page shows. It holds no secret: the page asks for
// no key.
type statusView struct {
	Version    string
	Now        string
	Unreadable bool
	Components []componentView
	Problems   []obs.Problem
}

type componentView struct {
	component
	TicketAge, TokenLife             string // "" if there is none
	Active, Reauthorization, Revoked int64
}

// status serves GET /: how things are, for a person.
func (a *API) status(w http.ResponseWriter, r *http.Request) {
	now := a.cfg.Clock.Now()
	view := statusView{
		Version:  obs.Version(),
		Now:      now.UTC().Format(time.RFC3339),
		Problems: a.cfg.Problems(r.Context()),
	}
	status, err := a.cfg.Keeper.Status(r.Context())
	view.Unreadable = err != nil
	for _, c := range status.Components {
		shown := componentView{
			component: a.showComponent(c, store.Component{}),
			Active:    c.Authorizers[tuoguan.StateActive], Reauthorization: c.Authorizers[tuoguan.StateNeedsReauthorization], Revoked: c.Authorizers[tuoguan.StateRevoked],
		}
		if !c.TicketReceivedAt.IsZero() {
			shown.TicketAge = now.Sub(c.TicketReceivedAt).Round(time.Second).String()
		}
		if left := c.TokenExpiresAt.Sub(now).Round(time.Second); left > 0 {
			shown.TokenLife = left.String()
		}
		view.Components = append(view.Components, shown)
	}
	a.pages.Show(w, page.Language(r), http.StatusOK, "status", view)
}

// console stands in until there is one.
func (a *API) console(w http.ResponseWriter, r *http.Request) {
	a.pages.Show(w, page.Language(r), http.StatusNotImplemented, "console", nil)
}
