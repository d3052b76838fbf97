package wxapi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/wxapi"
)

const (
	component  = tuoguan.ComponentAppID("wx1111111111111111")
	authorizer = tuoguan.AuthorizerAppID("wxaaaaaaaaaaaaaaaa")
)

var (
	authorization = tuoguan.Authorization{Component: component, Authorizer: authorizer}
	ownToken      = tuoguan.ComponentToken(component)
	accountToken  = tuoguan.AuthorizerToken(component, authorizer)
)

// secrets compares secrets by value.
var secrets = cmp.Comparer(tuoguan.Secret.Equal)

// seen is one request as it arrived at the platform.
type seen struct {
	Method, Path string
	Query        url.Values
	Body         string
}

// platform is a stand-in for WeChat under a path prefix, so that a client that
// forgets its base URL's path is found out. It records what it is asked.
type platform struct {
	*httptest.Server
	mu      sync.Mutex
	arrived []seen
}

const prefix = "/behind/a/proxy"

func newPlatform(t *testing.T, answer http.HandlerFunc) *platform {
	t.Helper()
	p := &platform{}
	p.Server = httptest.NewServer(http.StripPrefix(prefix, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the request: %v", err)
		}
		p.mu.Lock()
		p.arrived = append(p.arrived, seen{r.Method, r.URL.Path, r.URL.Query(), string(body)})
		p.mu.Unlock()
		answer(w, r)
	})))
	t.Cleanup(p.Close)
	return p
}

func (p *platform) base() string { return p.URL + prefix }

func (p *platform) requests() []seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]seen(nil), p.arrived...)
}

// says answers every request with the same body.
func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// saysInTurn answers the nth request with the nth body, and the last one for ever.
func saysInTurn(bodies ...string) http.HandlerFunc {
	var mu sync.Mutex
	n := 0
	return func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		body := bodies[min(n, len(bodies)-1)]
		n++
		mu.Unlock()
		_, _ = io.WriteString(w, body)
	}
}

// tokens is a TokenSource with one current token for each owner. A token that is
// reported as failed is replaced by the next of fresh if it is still the current one.
type tokens struct {
	mu       sync.Mutex
	current  map[tuoguan.TokenOwner]string
	fresh    []string
	reported []string
	err      error
}

func newTokens(fresh ...string) *tokens {
	return &tokens{
		current: map[tuoguan.TokenOwner]string{ownToken: "77_componentTokenOfTheTest", accountToken: "77_authorizerTokenOfTheTest"},
		fresh:   fresh,
	}
}

func (s *tokens) Token(_ context.Context, owner tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return tuoguan.AccessToken{Value: tuoguan.NewSecret(s.current[owner])}, nil
}

func (s *tokens) Invalidate(_ context.Context, owner tuoguan.TokenOwner, failed tuoguan.Secret) (tuoguan.AccessToken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reported = append(s.reported, failed.Reveal())
	if s.err != nil {
		return tuoguan.AccessToken{}, s.err
	}
	if s.current[owner] == failed.Reveal() && len(s.fresh) > 0 {
		s.current[owner], s.fresh = s.fresh[0], s.fresh[1:]
	}
	return tuoguan.AccessToken{Value: tuoguan.NewSecret(s.current[owner])}, nil
}

func newClient(t *testing.T, cfg wxapi.Config) *wxapi.Client {
	t.Helper()
	client, err := wxapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func clientOf(t *testing.T, p *platform) *wxapi.Client {
	t.Helper()
	return newClient(t, wxapi.Config{BaseURLs: []string{p.base()}, Tokens: newTokens()})
}

// classes are all the errors that a call can be by errors.Is.
var classes = map[string]error{
	"busy": wxapi.ErrBusy, "rate": wxapi.ErrRateLimited, "quota": wxapi.ErrQuota, "token": wxapi.ErrTokenInvalid,
	"ticket": wxapi.ErrTicketInvalid, "refresh token": wxapi.ErrRefreshTokenInvalid, "not authorized": wxapi.ErrNotAuthorized,
	"code": wxapi.ErrCodeInvalid, "permission": wxapi.ErrPermission, "config": wxapi.ErrConfig, "user": wxapi.ErrUser,
	"bug": wxapi.ErrBug, "not sent": wxapi.ErrNotSent, "unknown": wxapi.ErrOutcomeUnknown, "unusable": wxapi.ErrUnusableReply,
}

// wantClasses fails unless err belongs to exactly these classes.
func wantClasses(t *testing.T, err error, want ...string) {
	t.Helper()
	wanted := map[string]bool{}
	for _, name := range want {
		wanted[name] = true
	}
	for name, class := range classes {
		if got := errors.Is(err, class); got != wanted[name] {
			t.Errorf("%v: is %q: %v, want %v", err, name, got, wanted[name])
		}
	}
}
