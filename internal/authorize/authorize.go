// Package authorize serves authorization links: pages of ours through which a
// merchant gets to WeChat's authorization page and comes back.
//
// A link is made for one tenant and works once. Each visit gets a pre-auth code of
// its own, because a code that was used to authorize cannot be used again, and a
// nonce that the redirect has to bring back. The pages stand on the component's
// authorization entry domain and the merchant clicks through to WeChat, which
// refuses visitors whose Referer is of another domain.
//
// No token and no authorization code is ever shown. What a browser brings is
// believed only after WeChat has exchanged it.
package authorize

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/page"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// Store is what is read and written here.
type Store interface {
	CreateLink(ctx context.Context, l store.Link) error
	Link(ctx context.Context, id string) (store.Link, error)
	CreateVisit(ctx context.Context, v store.Visit) error
	VisitByNonce(ctx context.Context, nonceHash string) (store.Visit, error)
	Exchange(ctx context.Context, component tuoguan.ComponentAppID, codeHash string) (store.Exchange, error)
	Authorizer(ctx context.Context, a tuoguan.Authorization) (store.Authorizer, error)
}

// Keeper is the part of [keeper.Keeper] used here.
type Keeper interface {
	Component(ctx context.Context, id tuoguan.ComponentAppID) (store.Component, error)
	Redirect(ctx context.Context, r keeper.Redirect) (store.Exchange, error)
}

// WeChat is the part of [wxapi.Client] used here.
type WeChat interface {
	CreatePreAuthCode(ctx context.Context, component tuoguan.ComponentAppID) (wxapi.PreAuthCode, error)
	ComponentLoginPageURL(l wxapi.AuthorizationLink) (string, error)
	BindComponentURL(l wxapi.AuthorizationLink) (string, error)
}

// Config says what the links work with.
type Config struct {
	Store  Store          // required
	Keeper Keeper         // required
	WeChat WeChat         // required
	Clock  *tuoguan.Clock // the system's if nil
	Logger *slog.Logger   // required

	// BaseURL is what browsers see, without a slash at the end. Required.
	BaseURL string
	// WaitLimit is how long a merchant who came back waits for the first answer.
	// Defaults to 8 s.
	WaitLimit time.Duration
}

// Links makes authorization links and serves their pages. It is safe for
// concurrent use.
type Links struct {
	cfg   Config
	pages *page.Set

	visits    *limiter // openings of a link: each costs a pre-auth code
	redirects *limiter // codes brought by browsers: each costs an exchange
}

// New makes the links.
func New(cfg Config) (*Links, error) {
	if cfg.Store == nil || cfg.Keeper == nil || cfg.WeChat == nil || cfg.Logger == nil || cfg.BaseURL == "" {
		return nil, errors.New("authorize: Store, Keeper, WeChat, Logger and BaseURL are required")
	}
	if cfg.WaitLimit == 0 {
		cfg.WaitLimit = 8 * time.Second
	}
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	return &Links{cfg: cfg, pages: pages, visits: newLimiter(), redirects: newLimiter()}, nil
}

// Register adds the pages to the mux of the public listener.
func (l *Links) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /authorize/{link}", l.entry)
	mux.HandleFunc("GET /authorize/{link}/done", l.done)
}

// URL returns the address of a link.
func (l *Links) URL(id string) string { return l.cfg.BaseURL + "/authorize/" + id }

// State says whether a link can still be used.
type State string

const (
	Open    State = "open"
	Used    State = "used"
	Expired State = "expired"
)

// StateOf returns the state of a link at present.
func (l *Links) StateOf(link store.Link) State {
	switch {
	case !link.UsedAt.IsZero():
		return Used
	case !l.cfg.Clock.Now().Before(link.ExpiresAt):
		return Expired
	}
	return Open
}

// Create makes a link. The error is a [*FieldError] if the request is at fault.
func (l *Links) Create(ctx context.Context, n NewLink) (store.Link, error) {
	if err := n.check(); err != nil {
		return store.Link{}, err
	}
	switch _, err := l.cfg.Keeper.Component(ctx, n.Component); {
	case errors.Is(err, keeper.ErrUnknownComponent):
		return store.Link{}, &FieldError{Field: "component_appid", Problem: "no such component is kept here", Chinese: "未登记该第三方平台"}
	case err != nil:
		return store.Link{}, err
	}
	now := l.cfg.Clock.Now().UTC().Truncate(time.Millisecond) // as the store keeps it
	link := store.Link{
		ID:             newLinkID(now),
		Component:      n.Component,
		AuthType:       int(n.AuthType),
		BizAppID:       n.BizAppID,
		PermissionSets: n.PermissionSets,
		Reference:      n.Reference,
		ReturnURL:      n.ReturnURL,
		CreatedAt:      now,
		ExpiresAt:      now.Add(n.ExpiresIn),
	}
	if link.AuthType == 0 {
		link.AuthType = int(wxapi.AuthOfficialAndMini)
	}
	if n.ExpiresIn == 0 {
		link.ExpiresAt = now.Add(DefaultLife)
	}
	if err := l.cfg.Store.CreateLink(ctx, link); err != nil {
		return store.Link{}, fmt.Errorf("store an authorization link: %w", err)
	}
	return link, nil
}
