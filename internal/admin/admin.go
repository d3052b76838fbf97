// Package admin serves the admin listener: the REST API under /v1 with its
// description, and the plain status page. The table in routes.go names every route
// with the operation that a caller's scope needs for it.
//
// Every error is a problem document in English and Chinese, see internal/problem. A
// secret is only ever in the reply of a call that is there to hand one out, and that
// it was handed out is recorded before.
package admin

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/authorize"
	"github.com/tuoguan/tuoguan/internal/doctor"
	"github.com/tuoguan/tuoguan/internal/insight"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/internal/page"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
)

// Keeper is the part of [keeper.Keeper] used here.
type Keeper interface {
	Token(ctx context.Context, owner tuoguan.TokenOwner) (tuoguan.AccessToken, error)
	Peek(ctx context.Context, owner tuoguan.TokenOwner) (tuoguan.AccessToken, error)
	Invalidate(ctx context.Context, owner tuoguan.TokenOwner, failed tuoguan.Secret) (tuoguan.AccessToken, error)
	Refresh(ctx context.Context, owner tuoguan.TokenOwner) (tuoguan.AccessToken, error)
	Component(ctx context.Context, id tuoguan.ComponentAppID) (store.Component, error)
	PutComponent(ctx context.Context, c store.Component) error
	Reconcile(ctx context.Context, id tuoguan.ComponentAppID) (keeper.Reconciliation, error)
	Verify(ctx context.Context, a tuoguan.Authorization) error
	Status(ctx context.Context) (keeper.Status, error)
	Replicas() int
}

// Store is what is read and written here without the keeper.
type Store interface {
	Authorizers(ctx context.Context, q store.AuthorizerQuery) ([]store.Authorizer, error)
	SaveTags(ctx context.Context, a tuoguan.Authorization, tags []string) error
	Components(ctx context.Context) ([]store.Component, error)
	Link(ctx context.Context, id string) (store.Link, error)
	Links(ctx context.Context, component tuoguan.ComponentAppID, after string, limit int) ([]store.Link, error)
	Push(ctx context.Context, id int64) (store.Push, error)
	Events(ctx context.Context, q store.EventQuery) ([]store.Push, error)
	Subscription(ctx context.Context, id string) (store.Subscription, error)
	Subscriptions(ctx context.Context, after string, limit int) ([]store.Subscription, error)
	Deliveries(ctx context.Context, q store.DeliveryQuery) ([]store.Delivery, error)
	Backlog(ctx context.Context, subscription string, most int) (store.Backlog, error)
	TokenEvents(ctx context.Context, a tuoguan.Authorization, before int64, limit int) ([]store.TokenEvent, error)
}

// Config says what the admin listener works with. Clock and what is said to
// have a default, or to be nil, may be left out.
type Config struct {
	Keeper    Keeper
	Store     Store
	Access    Access
	Directory Directory
	Audit     Audit
	OAuth     OAuth
	Gateway   Gateway
	Delivery  Deliverer
	WeChat    WeChat
	// Doctor looks for what is wrong, within ten seconds.
	Doctor func(context.Context) doctor.Report

	Subscriptions Subscriptions
	// Matching returns the ids of the subscriptions that an event is to be delivered to.
	Matching func(ctx context.Context, p store.Push) []string
	// CheckURL says why a webhook must not be called, as far as its URL tells.
	CheckURL func(url string) error

	Values   store.Values // keeps the answers to requests with an Idempotency-Key
	Links    *authorize.Links
	Problems func(context.Context) []obs.Problem // what is wrong now
	Jobs     Jobs
	Metrics  http.Handler
	Clock    *tuoguan.Clock
	Logger   *slog.Logger

	// Replica names this process. Insight is what it remembers of what it did; defaults to
	// one that nobody feeds.
	Replica string
	Insight Insight

	// Operators are the people who use the console.
	Operators Operators
	// Console serves /console/; nil: a page says that there is no console.
	Console http.Handler
	// ConsoleTOTP is who signs in with a code: admins, all or off. For GET /v1/setup alone.
	ConsoleTOTP string
	// Simulator is the control API of the simulator, where the platform is not WeChat.
	Simulator http.Handler

	// PublicURL is the base URL of the public listener, without a slash at the end.
	PublicURL string
}

// API serves the admin listener. Make it with [New].
type API struct {
	cfg   Config
	pages *page.Set
	v1    *http.ServeMux
	rest  huma.API

	origin *http.CrossOriginProtection

	seen sync.Map // components that an authorizer was found in, as keys

	overviews overviews
}

var _ Keeper = (*keeper.Keeper)(nil)

//go:embed pages
var files embed.FS

// New makes the admin listener's handler.
func New(cfg Config) (*API, error) {
	if cfg.Keeper == nil || cfg.Store == nil || cfg.Links == nil || cfg.Problems == nil || cfg.Jobs == nil || cfg.Metrics == nil || cfg.Logger == nil {
		return nil, errors.New("admin: Keeper, Store, Links, Problems, Jobs, Metrics and Logger are required")
	}
	if cfg.Access == nil || cfg.Directory == nil || cfg.Audit == nil || cfg.OAuth == nil || cfg.Gateway == nil || cfg.Values == nil {
		return nil, errors.New("admin: Access, Directory, Audit, OAuth, Gateway and Values are required")
	}
	if cfg.WeChat == nil || cfg.Doctor == nil {
		return nil, errors.New("admin: WeChat and Doctor are required")
	}
	if cfg.Subscriptions == nil || cfg.Delivery == nil || cfg.Matching == nil || cfg.CheckURL == nil {
		return nil, errors.New("admin: Subscriptions, Delivery, Matching and CheckURL are required")
	}
	if cfg.Operators == nil {
		return nil, errors.New("admin: Operators is required")
	}
	if cfg.Insight == nil {
		cfg.Insight = insight.New(insight.Config{})
	}
	dir, err := fs.Sub(files, "pages")
	if err != nil {
		return nil, err
	}
	pages, err := page.Parse(dir)
	if err != nil {
		return nil, err
	}
	a := &API{cfg: cfg, pages: pages, v1: http.NewServeMux(), origin: http.NewCrossOriginProtection()}
	a.register()
	a.v1.HandleFunc("/v1/", a.noRoute)
	return a, nil
}

// Handler returns everything that the admin listener serves.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/", http.HandlerFunc(a.authenticated))
	for _, route := range routes {
		if route.Open {
			mux.HandleFunc(route.Method+" "+route.Pattern, a.anybody)
		}
	}
	mux.HandleFunc("GET /openapi.json", a.openAPI("application/openapi+json", a.json))
	mux.HandleFunc("GET /openapi.yaml", a.openAPI("application/openapi+yaml; charset=utf-8", a.yaml))
	mux.HandleFunc("GET /docs", a.docs)
	mux.Handle("GET /healthz", obs.Alive())
	mux.Handle("GET /readyz", obs.Ready(a.cfg.Problems))
	mux.Handle("GET /metrics", a.cfg.Metrics)
	mux.HandleFunc("GET /{$}", a.status)
	if a.cfg.Console != nil {
		mux.Handle("GET /console/", a.cfg.Console)
	} else {
		mux.HandleFunc("GET /console/", a.console)
	}
	if a.cfg.Simulator != nil {
		mux.HandleFunc(simulatorPath, a.simulated)
	}
	mux.HandleFunc("GET "+oidcPath+"start", a.startOIDC)
	mux.HandleFunc("GET "+oidcPath+"callback", a.finishOIDC)
	mux.Handle("GET /console", http.RedirectHandler("/console/", http.StatusPermanentRedirect))
	return secured(mux)
}

// noRoute answers what the table of routes has nothing for.
func (a *API) noRoute(w http.ResponseWriter, r *http.Request) {
	r.Pattern = "" // requests for nothing are counted as such
	if allowed := methodsAt(r.URL.Path); len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		a.fail(w, r, problem.MethodNotAllowed)
		return
	}
	a.fail(w, r, problem.NoSuchRoute)
}

// fail answers with a problem and logs what the caller cannot mend.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	problem.Write(w, r, a.cfg.Logger, err)
}
