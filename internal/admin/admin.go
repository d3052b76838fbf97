// Package admin serves the admin listener: the REST API under /v1, behind an API
// key, and the plain status page. The table in routes.go names every route.
//
// Every error is an RFC 9457 problem document, in English and Chinese; problem.go
// holds all of its types. A token is only ever in the reply of a call that is
// there to hand one out.
package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/authorize"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/internal/page"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
)

// Keeper is the part of [keeper.Keeper] used here.
type Keeper interface {
	Token(ctx context.Context, owner tuoguan.TokenOwner) (tuoguan.AccessToken, error)
	Invalidate(ctx context.Context, owner tuoguan.TokenOwner, failed tuoguan.Secret) (tuoguan.AccessToken, error)
	Refresh(ctx context.Context, owner tuoguan.TokenOwner) (tuoguan.AccessToken, error)
	Component(ctx context.Context, id tuoguan.ComponentAppID) (store.Component, error)
	PutComponent(ctx context.Context, c store.Component) error
	Status(ctx context.Context) (keeper.Status, error)
}

// Store is what is read here.
type Store interface {
	Authorizer(ctx context.Context, a tuoguan.Authorization) (store.Authorizer, error)
	Authorizers(ctx context.Context, q store.AuthorizerQuery) ([]store.Authorizer, error)
	Components(ctx context.Context) ([]store.Component, error)
	Link(ctx context.Context, id string) (store.Link, error)
	Links(ctx context.Context, component tuoguan.ComponentAppID, after string, limit int) ([]store.Link, error)
}

// Config says what the admin listener works with. All fields but APIKey and Clock
// are required.
type Config struct {
	Keeper   Keeper
	Store    Store
	Links    *authorize.Links
	Problems func(context.Context) []obs.Problem // what is wrong now
	Jobs     Jobs
	Metrics  http.Handler
	Clock    *tuoguan.Clock
	Logger   *slog.Logger

	// APIKey opens the REST API. Only its hash is kept. Without one the API refuses
	// everybody.
	APIKey tuoguan.Secret
	// PublicURL is the base URL of the public listener, without a slash at the end.
	PublicURL string
}

// API serves the admin listener. Make it with [New].
type API struct {
	cfg   Config
	key   [sha256.Size]byte
	keyed bool
	pages *page.Set
	v1    *http.ServeMux

	seen sync.Map // components that an authorizer was found in, as keys
}

var _ Keeper = (*keeper.Keeper)(nil)

//go:embed pages
var files embed.FS

// New makes the admin listener's handler.
func New(cfg Config) (*API, error) {
	if cfg.Keeper == nil || cfg.Store == nil || cfg.Links == nil || cfg.Problems == nil || cfg.Jobs == nil || cfg.Metrics == nil || cfg.Logger == nil {
		return nil, errors.New("admin: Keeper, Store, Links, Problems, Jobs, Metrics and Logger are required")
	}
	dir, err := fs.Sub(files, "pages")
	if err != nil {
		return nil, err
	}
	pages, err := page.Parse(dir)
	if err != nil {
		return nil, err
	}
	a := &API{
		cfg:   cfg,
		key:   sha256.Sum256([]byte(cfg.APIKey.Reveal())),
		keyed: !cfg.APIKey.IsZero(),
		pages: pages,
		v1:    http.NewServeMux(),
	}
	a.cfg.APIKey = tuoguan.Secret{}
	for _, route := range routes {
		a.v1.HandleFunc(route.Method+" "+route.Pattern, a.serve(route))
	}
	return a, nil
}

// Handler returns everything that the admin listener serves.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/", http.HandlerFunc(a.authenticated))
	mux.Handle("GET /healthz", obs.Alive())
	mux.Handle("GET /readyz", obs.Ready(a.cfg.Problems))
	mux.Handle("GET /metrics", a.cfg.Metrics)
	mux.HandleFunc("GET /{$}", a.status)
	mux.HandleFunc("GET /console/", a.console)
	mux.Handle("GET /console", http.RedirectHandler("/console/", http.StatusPermanentRedirect))
	return mux
}

// authenticated lets the holder of the API key through to the routes.
func (a *API) authenticated(w http.ResponseWriter, r *http.Request) {
	if !a.authentic(r.Header.Values("Authorization")) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="tuoguan"`)
		a.fail(w, r, unauthorized)
		return
	}
	if _, pattern := a.v1.Handler(r); pattern == "" {
		a.noRoute(w, r)
		return
	}
	a.v1.ServeHTTP(w, r)
}

// authentic compares hashes, so that neither the length of the key nor how much of
// it is right shows in the time taken.
func (a *API) authentic(headers []string) bool {
	if len(headers) != 1 || !a.keyed {
		return false
	}
	scheme, key, _ := strings.Cut(headers[0], " ")
	sum := sha256.Sum256([]byte(key))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(sum[:], a.key[:]) == 1
}

// noRoute answers what the table of routes has nothing for. The mux tells an
// unknown path from a wrong method, in words of its own.
func (a *API) noRoute(w http.ResponseWriter, r *http.Request) {
	verdict := &verdict{header: make(http.Header)}
	a.v1.ServeHTTP(verdict, r)
	if verdict.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", verdict.header.Get("Allow"))
		a.fail(w, r, methodNotAllowed)
		return
	}
	a.fail(w, r, noSuchRoute)
}

// verdict is a response of which only the status and the header matter.
type verdict struct {
	header http.Header
	status int
}

func (v *verdict) Header() http.Header         { return v.header }
func (v *verdict) Write(b []byte) (int, error) { return len(b), nil }
func (v *verdict) WriteHeader(status int)      { v.status = status }
