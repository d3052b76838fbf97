// Package oauth is a relay for web OAuth (网页授权): a service of the merchant's sends
// its visitor here, the visitor goes on to WeChat and comes back, and the service gets
// a code that it redeems for the visitor's openid. So the one domain that a component
// may register serves every product, and no service talks to WeChat.
//
// What a visit is about travels sealed in a cookie of the browser that made it, and
// WeChat carries only its name, as state. So a visit cannot be finished in another
// browser, starting one stores nothing, and any replica can finish it. The store is
// told which visits are over and keeps what a code of ours stands for, a minute long.
//
// Return addresses are those that [Config.ReturnURLs] allows and no others. No code
// and no token is ever shown or logged, and a user's token is not kept at all.
package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/page"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// Store is what is written here; see [store.Values].
type Store interface {
	PutValue(ctx context.Context, v store.Value) error
	TakeValue(ctx context.Context, key string) (store.Value, error)
}

// WeChat is the part of [wxapi.Client] used here.
type WeChat interface {
	OAuthAuthorizeURL(l wxapi.OAuthLink) (string, error)
	OAuthAccessToken(ctx context.Context, a tuoguan.Authorization, code tuoguan.Secret) (wxapi.UserToken, error)
	GetUserInfo(ctx context.Context, accessToken tuoguan.Secret, openID string) (wxapi.UserInfo, error)
}

// Config says what the relay works with. All but Clock and ReturnURLs is required.
type Config struct {
	Store  Store
	WeChat WeChat
	// Standing returns the authorizations of an account that stand: those to a
	// component, or to any if that is "".
	Standing func(ctx context.Context, a tuoguan.AuthorizerAppID, c tuoguan.ComponentAppID) ([]tuoguan.Authorization, error)
	Clock    *tuoguan.Clock // the system's if nil
	Logger   *slog.Logger

	// BaseURL is what browsers see, without a slash at the end. Its host has to be the
	// domain for web OAuth that the component's console names (公众号开发域名).
	BaseURL string
	// Key is 32 random bytes, the same in all replicas. It seals the visits.
	Key tuoguan.Secret
	// ReturnURLs are the addresses that visitors may be sent back to. Each allows its
	// scheme, host and port as they are written, and the paths below its own; one whose
	// path does not end in a slash allows itself and what is below it. Only https, and
	// http for loopback hosts. Without any, every visit is refused.
	ReturnURLs []string
}

// Relay serves the pages and redeems the codes. It is safe for concurrent use.
type Relay struct {
	cfg    Config
	pages  *page.Set
	rules  []returnRule
	secure bool // browsers come by https

	starts *limiter
	backs  *limiter // each costs a call to WeChat
}

// New makes a relay. The error joins all mistakes of cfg.
func New(cfg Config) (*Relay, error) {
	var mistakes []error
	if cfg.Store == nil || cfg.WeChat == nil || cfg.Standing == nil || cfg.Logger == nil || cfg.BaseURL == "" {
		mistakes = append(mistakes, errors.New("Store, WeChat, Standing, Logger and BaseURL are required"))
	}
	if len(cfg.Key.Reveal()) != keySize {
		mistakes = append(mistakes, fmt.Errorf("the key has to be %d bytes", keySize))
	}
	var rules []returnRule
	for _, text := range cfg.ReturnURLs {
		rule, err := parseReturnRule(text)
		if err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		rules = append(rules, rule)
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, fmt.Errorf("oauth: %w", err)
	}
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	return &Relay{
		cfg: cfg, pages: pages, rules: rules, secure: strings.HasPrefix(cfg.BaseURL, "https://"),
		starts: newLimiter(), backs: newLimiter(),
	}, nil
}

// Register adds the relay to the mux of the public listener.
func (l *Relay) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /oauth/{authorizer}/start", l.start)
	mux.HandleFunc("GET /oauth/{authorizer}/back", l.back)
}

// path returns the address of one of the pages.
func (l *Relay) path(a tuoguan.AuthorizerAppID, name string) string {
	return l.cfg.BaseURL + "/oauth/" + string(a) + "/" + name
}

func (l *Relay) now() time.Time { return l.cfg.Clock.Now() }
