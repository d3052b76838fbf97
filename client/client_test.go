package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/client"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	good := tuoguan.NewSecret(key)
	for _, tt := range []struct {
		name string
		cfg  client.Config
		want []string // parts of the error
	}{
		{"defaults", client.Config{APIKey: good}, nil},
		{"https below a path", client.Config{AdminURL: "https://example.com/tuoguan/", GatewayURL: "https://[::1]:8082", APIKey: good}, nil},
		{"no key", client.Config{}, []string{"APIKey is required"}},
		{"a key with a line's end", client.Config{APIKey: tuoguan.NewSecret(key + "\n")}, []string{"APIKey has a character"}},
		{"all mistakes at once", client.Config{AdminURL: "example.com", GatewayURL: "https://user:canary-password@example.com", Timeout: -1},
			[]string{"AdminURL must begin", "GatewayURL must have neither", "APIKey is required", "Timeout"}},
		{"a query", client.Config{AdminURL: "http://example.com/?a=b", APIKey: good}, []string{"AdminURL must have neither"}},
		{"no URL", client.Config{AdminURL: "http://exa mple.com", APIKey: good}, []string{"AdminURL is no URL"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := client.New(tt.cfg)
			if (err == nil) != (tt.want == nil) {
				t.Fatalf("got %v", err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q lacks %q", err, part)
				}
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("%q has a password in it", err)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	_, c := serve(t, client.Config{Patience: -1}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, `{"type":"https://github.com/tuoguan/tuoguan/blob/main/docs/problems.md#wechat-refused","title":"refused by WeChat","status":502,
			"detail":"a detail","detail_zh":"说明","errcode":61004,"rid":"6545a1b2","errors":[{"field":"a","detail":"b","detail_zh":"c"}],"components":["wx1"],"unknown":1}`)
	})
	_, err := c.Job(t.Context(), "1")
	refused, ok := errors.AsType[*client.Error](err)
	if !ok || !errors.Is(err, client.ErrWeChat) || errors.Is(err, client.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	want := &client.Error{
		Name: "wechat-refused", Status: 502, Title: "refused by WeChat", Detail: "a detail", DetailZh: "说明", Errcode: 61004, RID: "6545a1b2",
		Fields: []client.FieldError{{Field: "a", Detail: "b", DetailZh: "c"}}, Components: []string{"wx1"}, RetryAfter: 7 * time.Second,
	}
	if d := cmp.Diff(want, refused); d != "" {
		t.Error(d)
	}
	if got := err.Error(); got != "refused by WeChat: a detail (errcode 61004, rid 6545a1b2)" {
		t.Errorf("it reads %q", got)
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	every := []error{
		client.ErrUnauthorized, client.ErrExpiredKey, client.ErrRevokedKey, client.ErrForbiddenAddress, client.ErrMissingScope, client.ErrRefreshNeeded,
		client.ErrNotFound, client.ErrUnknownAuthorizer, client.ErrAmbiguousComponent, client.ErrRevoked, client.ErrNeedsReauthorization, client.ErrConflict,
		client.ErrPreconditionFailed, client.ErrRateLimited, client.ErrQuotaExhausted, client.ErrNoTicket, client.ErrWeChat, client.ErrUnavailable, client.ErrPathRefused,
	}
	for _, tt := range []struct {
		name   string
		status int
		want   []error
	}{
		{"unauthorized", 401, []error{client.ErrUnauthorized}},
		{"expired-key", 401, []error{client.ErrUnauthorized, client.ErrExpiredKey}},
		{"revoked-key", 401, []error{client.ErrUnauthorized, client.ErrRevokedKey}},
		{"forbidden-address", 403, []error{client.ErrForbiddenAddress}},
		{"missing-scope", 403, []error{client.ErrMissingScope}},
		{"path-refused", 403, []error{client.ErrPathRefused}},
		{"refresh-needed", 409, []error{client.ErrRefreshNeeded, client.ErrConflict}},
		{"unknown-authorizer", 404, []error{client.ErrNotFound, client.ErrUnknownAuthorizer}},
		{"unknown-link", 404, []error{client.ErrNotFound}},
		{"ambiguous-component", 409, []error{client.ErrAmbiguousComponent, client.ErrConflict}},
		{"revoked", 409, []error{client.ErrRevoked, client.ErrConflict}},
		{"needs-reauthorization", 409, []error{client.ErrNeedsReauthorization, client.ErrConflict}},
		{"precondition-failed", 412, []error{client.ErrPreconditionFailed}},
		{"rate-limited", 429, []error{client.ErrRateLimited}},
		{"quota-exhausted", 429, []error{client.ErrRateLimited, client.ErrQuotaExhausted}},
		{"no-ticket", 503, []error{client.ErrNoTicket, client.ErrUnavailable}},
		{"gated", 503, []error{client.ErrUnavailable}},
		{"wechat-unanswered", 502, []error{client.ErrWeChat, client.ErrUnavailable}},
		{"wechat-nonsense", 502, []error{client.ErrWeChat}},
		{"a-later-version's", 503, []error{client.ErrUnavailable}},
		{"internal-error", 500, nil},
		{"", 502, []error{client.ErrUnavailable}}, // a balancer's
		{"", 504, []error{client.ErrUnavailable}},
		{"", 500, nil},
	} {
		t.Run(fmt.Sprint(tt.name, tt.status), func(t *testing.T) {
			t.Parallel()
			_, c := serve(t, client.Config{Patience: -1}, func(w http.ResponseWriter, _ *http.Request) {
				if tt.name == "" {
					http.Error(w, "<html>", tt.status)
					return
				}
				refuse(w, tt.status, tt.name)
			})
			_, err := c.Jobs(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			var got []error
			for _, kind := range every {
				if errors.Is(err, kind) {
					got = append(got, kind)
				}
			}
			text := func(errs []error) map[string]bool {
				names := make(map[string]bool)
				for _, err := range errs {
					names[err.Error()] = true
				}
				return names
			}
			if d := cmp.Diff(text(tt.want), text(got)); d != "" {
				t.Errorf("%v is (-want +got):\n%s", err, d)
			}
		})
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"a page":       func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>canary") },
		"another type": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"access_token":7}`) },
		"no token":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{}`) },
		"nothing":      func(http.ResponseWriter, *http.Request) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, c := serve(t, client.Config{Patience: -1}, handler)
			token, err := c.Token(t.Context(), owner)
			if err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v, %v", token, err)
			}
		})
	}
	t.Run("half of one", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"access_token":`)
		}))
		defer server.Close()
		c, err := client.New(client.Config{AdminURL: server.URL, APIKey: tuoguan.NewSecret(key), Patience: -1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Token(t.Context(), owner); !errors.Is(err, client.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}

// A creation is sent again under the same Idempotency-Key, what may not be repeated is
// sent once.
func TestRepetition(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		call func(context.Context, *client.Client) error
		keys bool
	}{
		{"a link", func(ctx context.Context, c *client.Client) error {
			_, err := c.CreateLink(ctx, client.NewLink{ComponentAppID: ours})
			return err
		}, true},
		{"a job", func(ctx context.Context, c *client.Client) error { _, err := c.StartJob(ctx, "rekey"); return err }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, c := serve(t, client.Config{}, nil)
				s.setDown(true)
				if err := tt.call(t.Context(), c); !errors.Is(err, client.ErrUnavailable) {
					t.Errorf("got %v", err)
				}
				keys := make(map[string]bool)
				for _, r := range s.requests {
					keys[r.Header.Get("Idempotency-Key")] = true
				}
				if tt.keys && (len(keys) != 1 || keys[""] || len(s.requests) < 3) || !tt.keys && len(s.requests) != 1 {
					t.Errorf("%d requests, with the keys %v", len(s.requests), keys)
				}
			})
		})
	}
}

// Neither key nor tokens appear where they do not belong, whatever fails.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const canary = "token-canaryCanary"
		var told bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&told, &slog.HandlerOptions{Level: slog.LevelDebug}))
		mode := 0
		s, c := serve(t, client.Config{Logger: logger, Patience: time.Second}, func(w http.ResponseWriter, _ *http.Request) {
			switch mode {
			case 1:
				refuse(w, http.StatusConflict, "revoked")
			case 2:
				_, _ = io.WriteString(w, `{"access_token":"`+canary+`","expires_at":7}`)
			case 3:
				http.Error(w, canary, http.StatusBadGateway)
			default:
				token(w, canary, time.Hour)
			}
		})
		try := func(err error) { fmt.Fprintln(&told, err) }
		for range 2 {
			for mode = range 4 {
				got, err := c.Token(t.Context(), owner)
				fmt.Fprintf(&told, "%v %+v %#v %s\n", got, got, got, got)
				try(err)
				_, err = c.Invalidate(t.Context(), owner, tuoguan.NewSecret(canary))
				try(err)
				_, err = c.CreateLink(t.Context(), client.NewLink{})
				try(err)
				_, err = (&http.Client{Transport: c.Transport(owner)}).Get("https://api.weixin.qq.com/cgi-bin/user/info")
				try(err)
			}
			s.setDown(true)
			time.Sleep(time.Minute)
		}
		fmt.Fprintf(&told, "%v %+v", c, c)
		for _, r := range s.requests {
			fmt.Fprintln(&told, r.URL)
		}
		if told.Len() < 1000 || !strings.Contains(told.String(), "revoked") {
			t.Fatalf("too little was told: %s", &told)
		}
		for _, secret := range []string{key, "canary"} {
			if strings.Contains(told.String(), secret) {
				t.Errorf("%q is told in:\n%s", secret, &told)
			}
		}
	})
}

func TestPages(t *testing.T) {
	t.Parallel()
	asked := []string{}
	_, c := serve(t, client.Config{Patience: -1}, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		switch r.URL.Query().Get("cursor") {
		case "":
			answer(w, 200, map[string]any{"items": []map[string]string{{"appid": "wx1"}, {"appid": "wx2"}}, "next_cursor": "a/b"})
		case "a/b":
			answer(w, 200, map[string]any{"items": []map[string]string{{"appid": "wx3"}}, "next_cursor": "end"})
		default:
			refuse(w, 400, "bad-request")
		}
	})
	var got []string
	for a, err := range c.Authorizers(t.Context(), client.AuthorizerQuery{State: tuoguan.StateActive, PermissionSet: 7, Tag: "t", Text: "x y"}) {
		if err != nil {
			got = append(got, err.Error())
			continue
		}
		got = append(got, string(a.AppID))
	}
	if d := cmp.Diff([]string{"wx1", "wx2", "wx3", "bad-request: a detail"}, got); d != "" {
		t.Error(d)
	}
	want := []string{
		"limit=500&permission_set=7&q=x+y&state=active&tag=t",
		"cursor=a%2Fb&limit=500&permission_set=7&q=x+y&state=active&tag=t",
		"cursor=end&limit=500&permission_set=7&q=x+y&state=active&tag=t",
	}
	if d := cmp.Diff(want, asked); d != "" {
		t.Error(d)
	}
	asked = nil
	for range c.Authorizers(t.Context(), client.AuthorizerQuery{}) {
		break
	}
	if len(asked) != 1 {
		t.Errorf("who leaves after the first item has asked %d times", len(asked))
	}
}
