package wxapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/wxapi"
)

// roundTripper answers in the process, so that time can be virtual.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func reply(status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// A refused token is replaced once, for every call, under its own parameter name.
func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	refresh := func(ctx context.Context, c *wxapi.Client) error {
		_, err := c.RefreshAuthorizerToken(ctx, authorization, tuoguan.NewSecret("refreshtoken@@@0"))
		return err
	}
	send := func(ctx context.Context, c *wxapi.Client) error {
		return c.SendCustomMessage(ctx, authorization, "o1", "hello")
	}
	clear := func(ctx context.Context, c *wxapi.Client) error { return c.ClearQuota(ctx, ownToken) }
	tests := []struct {
		name  string
		call  func(context.Context, *wxapi.Client) error
		param string
		old   string
		reply string
	}{
		{"component call", refresh, "component_access_token", "77_componentTokenOfTheTest", `{"authorizer_access_token":"77_access","expires_in":7200}`},
		{"call on behalf, not repeatable", send, "access_token", "77_authorizerTokenOfTheTest", `{"errcode":0,"errmsg":"ok"}`},
		{"component token as access_token", clear, "access_token", "77_componentTokenOfTheTest", `{"errcode":0,"errmsg":"ok"}`},
	}
	for _, tt := range tests {
		for _, code := range []int{40001, 40014, 42001, 42006} {
			t.Run(fmt.Sprint(tt.name, " ", code), func(t *testing.T) {
				t.Parallel()
				refusal := fmt.Sprintf(`{"errcode":%d,"errmsg":"no"}`, code)

				p, source := newPlatform(t, saysInTurn(refusal, tt.reply)), newTokens("77_freshTokenOfTheTest")
				if err := tt.call(t.Context(), newClient(t, wxapi.Config{BaseURLs: []string{p.base()}, Tokens: source})); err != nil {
					t.Fatal(err)
				}
				var sent []string
				for _, r := range p.requests() {
					for _, name := range []string{"component_access_token", "access_token"} {
						if r.Query.Has(name) {
							sent = append(sent, name+"="+strings.Join(r.Query[name], ","))
						}
					}
				}
				if diff := cmp.Diff([]string{tt.param + "=" + tt.old, tt.param + "=77_freshTokenOfTheTest"}, sent); diff != "" {
					t.Errorf("tokens sent (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff([]string{tt.old}, source.reported); diff != "" {
					t.Errorf("tokens reported (-want +got):\n%s", diff)
				}

				p, source = newPlatform(t, says(http.StatusOK, refusal)), newTokens("77_freshTokenOfTheTest", "77_anotherTokenOfTheTest")
				err := tt.call(t.Context(), newClient(t, wxapi.Config{BaseURLs: []string{p.base()}, Tokens: source}))
				wantClasses(t, err, "token")
				if n := len(p.requests()); n != 2 {
					t.Errorf("%d requests, want 2: a second refusal is final", n)
				}
			})
		}
	}
}

func TestRefusedTokenThatCannotBeReplaced(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, says(http.StatusOK, `{"errcode":40001,"errmsg":"no"}`))
	source := newTokens() // has no fresh one: the same token comes back
	client := newClient(t, wxapi.Config{BaseURLs: []string{p.base()}, Tokens: source})
	wantClasses(t, client.SendCustomMessage(t.Context(), authorization, "o1", "hello"), "token")

	source.err = errors.New("the ticket is gone")
	if err := client.SendCustomMessage(t.Context(), authorization, "o1", "hello"); !errors.Is(err, source.err) {
		t.Errorf("%v does not say why the token could not be replaced", err)
	}
	if n := len(p.requests()); n != 2 {
		t.Errorf("%d requests for two calls, want 2: the dead token must not be sent again", n)
	}
}

// On calls without a token 40001 is about the secret, and nothing can be replaced.
func TestWrongSecretIsNotATokenProblem(t *testing.T) {
	t.Parallel()
	p, source := newPlatform(t, says(http.StatusOK, `{"errcode":40001,"errmsg":"invalid credential"}`)), newTokens("77_freshTokenOfTheTest")
	client := newClient(t, wxapi.Config{BaseURLs: []string{p.base()}, Tokens: source})
	_, err := client.CreateComponentToken(t.Context(), component, tuoguan.NewSecret("wrong"), tuoguan.NewSecret("ticket@@@1"))
	wantClasses(t, err, "config")
	if len(source.reported) != 0 || len(p.requests()) != 1 {
		t.Errorf("reported %v, %d requests", source.reported, len(p.requests()))
	}
}

func TestTokenSourceFailures(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, says(http.StatusOK, `{}`))
	without := newClient(t, wxapi.Config{BaseURLs: []string{p.base()}})
	if _, err := without.CreatePreAuthCode(t.Context(), component); !errors.Is(err, wxapi.ErrNoTokenSource) {
		t.Errorf("without a source: %v", err)
	}
	if _, err := clientOf(t, p).CreatePreAuthCode(t.Context(), "wx-unknown"); err == nil {
		t.Error("an empty token was accepted")
	}
	if n := len(p.requests()); n != 0 {
		t.Errorf("%d requests were sent without a token", n)
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	const busy = `{"errcode":-1,"errmsg":"system error"}`
	list := func(ctx context.Context, c *wxapi.Client) error {
		_, err := c.GetAuthorizerList(ctx, component, 0, 500)
		return err
	}
	tests := []struct {
		name     string
		call     func(context.Context, *wxapi.Client) error
		requests int
	}{
		{"repeatable", list, 4},
		{"component token", func(ctx context.Context, c *wxapi.Client) error {
			_, err := c.CreateComponentToken(ctx, component, tuoguan.NewSecret("s"), tuoguan.NewSecret("t"))
			return err
		}, 1},
		{"exchange", func(ctx context.Context, c *wxapi.Client) error {
			_, err := c.QueryAuth(ctx, component, tuoguan.NewSecret("c"))
			return err
		}, 1},
		{"refresh", func(ctx context.Context, c *wxapi.Client) error {
			_, err := c.RefreshAuthorizerToken(ctx, authorization, tuoguan.NewSecret("r"))
			return err
		}, 1},
		{"message", func(ctx context.Context, c *wxapi.Client) error {
			return c.SendCustomMessage(ctx, authorization, "o1", "hello")
		}, 1},
		{"generic call", func(ctx context.Context, c *wxapi.Client) error {
			return c.Call(ctx, wxapi.CallRequest{Owner: accountToken, Path: "/wxa/commit"}, nil)
		}, 1},
		{"generic call, repeatable", func(ctx context.Context, c *wxapi.Client) error {
			return c.Call(ctx, wxapi.CallRequest{Owner: accountToken, Method: http.MethodGet, Path: "/wxa/get_category", Repeatable: true}, nil)
		}, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				requests := 0
				client := newClient(t, wxapi.Config{Tokens: newTokens(), HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
					requests++
					return reply(http.StatusOK, busy)
				})}})
				began := time.Now()
				wantClasses(t, tt.call(t.Context(), client), "busy")
				if requests != tt.requests {
					t.Errorf("%d requests, want %d", requests, tt.requests)
				}
				if took := time.Since(began); took > 2*time.Second || (tt.requests > 1 && took < 350*time.Millisecond) {
					t.Errorf("took %v", took)
				}
			})
		})
	}
	t.Run("until the caller gives up", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t, wxapi.Config{Tokens: newTokens(), HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
				return reply(http.StatusOK, busy)
			})}})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			began := time.Now()
			wantClasses(t, list(ctx, client), "busy")
			if took := time.Since(began); took != 10*time.Millisecond {
				t.Errorf("took %v after the caller gave up at 10ms", took)
			}
		})
	})
	t.Run("then well", func(t *testing.T) {
		t.Parallel()
		p := newPlatform(t, saysInTurn(busy, `{"total_count":0,"list":[]}`))
		if err := list(t.Context(), clientOf(t, p)); err != nil {
			t.Error(err)
		}
	})
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	hang := roundTripper(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	synctest.Test(t, func(t *testing.T) {
		client := newClient(t, wxapi.Config{Tokens: newTokens(), HTTPClient: &http.Client{Transport: hang}})
		began := time.Now()
		err := client.SendCustomMessage(t.Context(), authorization, "o1", "hello")
		wantClasses(t, err, "unknown")
		if took := time.Since(began); took != 10*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v after %v, want the deadline after 10s", err, took)
		}

		// A repeatable call leaves the second host half of the time.
		began = time.Now()
		_, err = client.GetAuthorizerList(t.Context(), component, 0, 500)
		wantClasses(t, err, "unknown")
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("two hosts together took %v, want 10s", took)
		}

		half := newClient(t, wxapi.Config{Tokens: newTokens(), HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == first {
				return hang(r)
			}
			return reply(http.StatusOK, `{"total_count":0,"list":[]}`)
		})}})
		began = time.Now()
		if err := list(t.Context(), half); err != nil || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v, want the second host's answer after 5s", err, time.Since(began))
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err = client.SendCustomMessage(ctx, authorization, "o1", "hello")
		wantClasses(t, err, "not sent")
		var failure *wxapi.TransportError
		if !errors.As(err, &failure) || failure.Temporary() || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled before it began: %v", err)
		}
	})
}

// net/http repeats a GET by itself when a kept connection breaks. For a code that
// serves once this must not happen.
func TestBrokenConnectionDoesNotSpendACodeTwice(t *testing.T) {
	t.Parallel()
	var arrived atomic.Int32
	p := newPlatform(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cgi-bin/getcallbackip" {
			says(http.StatusOK, `{"ip_list":["203.0.113.7"]}`)(w, r)
			return
		}
		arrived.Add(1)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.Close()
	})
	client := clientOf(t, p)
	if _, err := client.GetCallbackIP(t.Context(), ownToken); err != nil { // keeps a connection
		t.Fatal(err)
	}
	_, err := client.JSCode2Session(t.Context(), authorization, tuoguan.NewSecret("js1"))
	wantClasses(t, err, "unknown")
	if n := arrived.Load(); n != 1 {
		t.Errorf("the code arrived %d times", n)
	}
}
