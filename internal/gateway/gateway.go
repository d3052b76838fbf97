// Package gateway calls WeChat for services that hold no credential of WeChat's. They
// name the account, or hold a token of the gateway's own, and it puts in the real one.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// Keys says who calls. [access.Keys] does.
type Keys interface {
	Authenticate(ctx context.Context, key string, remote netip.Addr) (access.Caller, error)
	Caller(ctx context.Context, credential string, remote netip.Addr) (access.Caller, error)
	Allow(c access.Caller, a tuoguan.AuthorizerAppID) (retryAfter time.Duration, ok bool)
}

// Directory says which authorizations an account has given. [access.Directory] does.
type Directory interface {
	Find(ctx context.Context, a tuoguan.AuthorizerAppID, c tuoguan.ComponentAppID) ([]access.Entry, error)
}

// Config says what a Gateway works with. All without a default are required.
type Config struct {
	Keys      Keys
	Directory Directory
	// Tokens hands out WeChat's tokens.
	Tokens wxapi.TokenSource
	// WeChat makes the calls that the gateway needs for itself: tickets and quotas.
	WeChat *wxapi.Client
	// Values keeps tickets for all replicas.
	Values store.Values
	// TokenKey authenticates the tokens that SDKs are given in place of WeChat's. All
	// replicas have the same; it may not be zero.
	TokenKey [32]byte

	// BaseURLs are as in [wxapi.Config], and so are their defaults.
	BaseURLs []string
	// Transport defaults to [NewTransport]'s.
	Transport http.RoundTripper
	// QuotaFloor is how many calls of an interface are left to the account each day:
	// once WeChat has shown that no more remain, the gateway makes none. Defaults to 0.
	QuotaFloor int
	// Clock is the system's if nil.
	Clock *tuoguan.Clock
	// Logger defaults to one that discards.
	Logger *slog.Logger
	// Observe, if set, is told of every request. It must be fast and safe for
	// concurrent use.
	Observe func(Call)
	// Short, if set, is told whenever WeChat shows that a tenth of a day's quota is left
	// at most. Likewise.
	Short func(Shortage)
}

// Call is one request and what became of it.
type Call struct {
	KeyID      string                  // "" where the caller is not known
	Component  tuoguan.ComponentAppID  // "" where it did not come so far
	Authorizer tuoguan.AuthorizerAppID // "" likewise, and for calls of a component's own
	// Endpoint is a path of the catalogue, or "other": fit for a metric's label.
	Endpoint string
	Status   int // HTTP
	// Errcode is WeChat's, where a reply of WeChat's was passed on.
	Errcode int
	// Problem is the name of the problem answered; "" where a reply was passed on.
	Problem string
	// Renewed: WeChat refused the first token and the call was made once more.
	Renewed  bool
	Duration time.Duration
	// Received and Sent are bytes of bodies, as seen by the caller's side.
	Received, Sent int64
}

func (cfg Config) withDefaults() Config {
	if len(cfg.BaseURLs) == 0 {
		cfg.BaseURLs = []string{"https://api.weixin.qq.com", "https://api2.weixin.qq.com"}
	}
	if cfg.Transport == nil {
		cfg.Transport = NewTransport()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Observe == nil {
		cfg.Observe = func(Call) {}
	}
	if cfg.Short == nil {
		cfg.Short = func(Shortage) {}
	}
	return cfg
}

func (cfg Config) validate() error {
	var mistakes []error
	for name, absent := range map[string]bool{
		"Keys": cfg.Keys == nil, "Directory": cfg.Directory == nil, "Tokens": cfg.Tokens == nil,
		"WeChat": cfg.WeChat == nil, "Values": cfg.Values == nil, "TokenKey": cfg.TokenKey == [32]byte{},
	} {
		if absent {
			mistakes = append(mistakes, fmt.Errorf("gateway: %s is required", name))
		}
	}
	if cfg.QuotaFloor < 0 {
		mistakes = append(mistakes, errors.New("gateway: QuotaFloor cannot be negative"))
	}
	// The rules for base URLs are the client's.
	if _, err := wxapi.New(wxapi.Config{BaseURLs: cfg.BaseURLs}); err != nil {
		mistakes = append(mistakes, err)
	}
	return errors.Join(mistakes...)
}

// Gateway is the handler of the gateway's listener. Make it with [New], end it with
// [Gateway.Close].
type Gateway struct {
	cfg      Config
	upstream upstream
	sealer   sealer
	tickets  *tickets
	quotas   quotas
	busiest  busiest
	recent   recent
	buffers  sync.Pool // of *[]byte, maxHeld long
}

// New makes a Gateway. It calls nobody yet.
func New(cfg Config) (*Gateway, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	g := &Gateway{cfg: cfg, sealer: newSealer(cfg.TokenKey)}
	g.upstream = upstream{transport: cfg.Transport, logger: cfg.Logger}
	for _, raw := range cfg.BaseURLs {
		base, err := url.Parse(raw)
		if err != nil {
			return nil, errors.New("gateway: a base URL is not one") // validate has found it
		}
		g.upstream.hosts.bases = append(g.upstream.hosts.bases, trimmed(base))
	}
	g.tickets = newTickets(cfg)
	g.quotas.floor, g.quotas.tell, g.quotas.seen = cfg.QuotaFloor, cfg.Short, g.recent.quota
	g.buffers.New = func() any { b := make([]byte, maxHeld); return &b }
	return g, nil
}

// Close waits for what is under way beside requests, until ctx ends, and then
// cancels it.
func (g *Gateway) Close(ctx context.Context) error { return g.tickets.close(ctx) }

// ServeHTTP serves every path of the gateway.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := call{g: g, w: w, r: r, began: time.Now(), report: Call{Endpoint: "other"}}
	defer c.observe()
	if err := c.serve(); err != nil {
		c.fail(err)
	}
}

// call is one request on its way through the gateway.
type call struct {
	g     *Gateway
	w     http.ResponseWriter
	r     *http.Request
	began time.Time
	target
	// shaped: errors have the shape of WeChat's, for an SDK that knows no other.
	shaped bool

	caller access.Caller
	entry  access.Entry // zero for a component's own calls
	report Call
}

func (c *call) serve() error {
	var err error
	if c.target, err = parseTarget(c.r); err != nil {
		c.r.Pattern = "none"
		return err
	}
	c.shaped = c.form == dropIn
	c.r.Pattern = c.form.pattern()
	if c.r.Method != http.MethodGet && c.r.Method != http.MethodPost {
		c.w.Header().Set("Allow", "GET, POST")
		return problem.MethodNotAllowed
	}
	if c.form == dropIn && (c.path == "/cgi-bin/token" || c.path == "/cgi-bin/stable_token") {
		return c.issueToken()
	}
	if err := c.identify(); err != nil {
		return err
	}
	if c.form == showQuota {
		return c.showQuota()
	}
	return c.pass()
}

// pass makes the call of a caller who is known.
func (c *call) pass() error {
	route, err := c.route()
	if err != nil {
		return err
	}
	return c.forward(route)
}

func (c *call) observe() {
	c.report.Duration = time.Since(c.began)
	c.g.busiest.count(c.report)
	c.remember()
	c.g.cfg.Observe(c.report)
}

// fail answers with what err is, in the shape that the caller understands.
func (c *call) fail(err error) {
	if err = c.noted(err); c.shaped {
		c.failShaped(problem.Of(err), err)
		return
	}
	problem.Write(c.w, c.r, c.g.cfg.Logger, err)
}
