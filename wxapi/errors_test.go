package wxapi_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/wxapi"
)

func wantText(t *testing.T, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%q lacks %q", text, part)
	}
}

func wantNoText(t *testing.T, text, part string) {
	t.Helper()
	if strings.Contains(text, part) {
		t.Errorf("%q holds %q", text, part)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		status  int
		body    string
		code    int
		message string
		rid     string
		ip      string
		class   string
		temp    bool
	}{
		{"rid", 200, `{"errcode":61009,"errmsg":"code is invalid rid: 6545a1b2-01234567-89abcdef"}`, 61009, "code is invalid", "6545a1b2-01234567-89abcdef", "", "code", false},
		{"expired code", 200, `{"errcode":61010,"errmsg":"code is expired"}`, 61010, "code is expired", "", "", "code", false},
		{"hint", 200, `{"errcode":48001,"errmsg":"api unauthorized hint: [mZa0123456]"}`, 48001, "api unauthorized hint: [mZa0123456]", "", "", "permission", false},
		{"errcode as a string", 200, `{"errcode":"45009","errmsg":"reach max api daily quota limit"}`, 45009, "reach max api daily quota limit", "", "", "quota", false},
		{"token beside the refusal", 200, `{"errcode":61003,"errmsg":"no","authorizer_access_token":"77_access"}`, 61003, "no", "", "", "not authorized", false},
		{"refresh token", 200, `{"errcode":61023,"errmsg":"refresh_token is invalid"}`, 61023, "refresh_token is invalid", "", "", "refresh token", false},
		{"address", 200, `{"errcode":61004,"errmsg":"access clientip is not registered requestIP: 203.0.113.7 rid: 6545a1b2-01234567-89abcdef"}`, 61004, "access clientip is not registered requestIP: 203.0.113.7", "6545a1b2-01234567-89abcdef", "203.0.113.7", "config", false},
		{"address of an ordinary account", 200, `{"errcode":40164,"errmsg":"invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist rid: 6545a1b2-01234567-89abcdef"}`, 40164, "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist", "6545a1b2-01234567-89abcdef", "203.0.113.9", "config", false},
		{"address with version 6", 200, `{"errcode":61004,"errmsg":"requestIP: 2001:db8::1"}`, 61004, "requestIP: 2001:db8::1", "", "2001:db8::1", "config", false},
		{"address in the long form", 200, `{"errcode":61004,"errmsg":"requestIP: ::ffff:203.0.113.9"}`, 61004, "requestIP: ::ffff:203.0.113.9", "", "203.0.113.9", "config", false},
		{"address missing", 200, `{"errcode":61004,"errmsg":"requestIP: none, added: a.b"}`, 61004, "requestIP: none, added: a.b", "", "", "config", false},
		{"address of another refusal", 200, `{"errcode":50002,"errmsg":"limited 203.0.113.7"}`, 50002, "limited 203.0.113.7", "", "", "user", false},
		{"busy", 200, `{"errcode":-1,"errmsg":"system error"}`, -1, "system error", "", "", "busy", true},
		{"too frequent", 200, `{"errcode":45011,"errmsg":"slow down"}`, 45011, "slow down", "", "", "rate", true},
		{"unknown code", 200, `{"errcode":123456,"errmsg":"new"}`, 123456, "new", "", "", "bug", false},
		{"unknown code with 503", 503, `{"errcode":123456,"errmsg":"new"}`, 123456, "new", "", "", "bug", true},
		{"no text", 200, `{"errcode":40097}`, 40097, "", "", "", "bug", false},
		{"text of another type", 200, `{"errcode":40097,"errmsg":{"a":1}}`, 40097, "", "", "", "bug", false},
		{"control characters", 200, `{"errcode":40097,"errmsg":"a\nb\u0000c"}`, 40097, "a b c", "", "", "bug", false},
		{"long text", 200, `{"errcode":40097,"errmsg":"` + strings.Repeat("长 ", 4000) + `"}`, 40097, strings.Repeat("长 ", 150) + "…", "", "", "bug", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t, says(tt.status, tt.body))
			err := refresh(t.Context(), clientOf(t, p))
			wantClasses(t, err, tt.class)
			var e *wxapi.APIError
			if !errors.As(err, &e) {
				t.Fatalf("%T: %v", err, err)
			}
			ip := ""
			if e.ClientIP().IsValid() {
				ip = e.ClientIP().String()
			}
			want := []any{"api_authorizer_token", tt.code, tt.message, tt.rid, tt.status, ownToken.String(), tt.ip, tt.temp}
			got := []any{e.Op, e.Code, e.Message, e.RID, e.HTTPStatus, e.Owner.String(), ip, e.Temporary()}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("refusal (-want +got):\n%s", diff)
			}
			wantText(t, err.Error(), fmt.Sprint("errcode ", tt.code))
		})
	}
}

// No secret that went out, and none that came back, may show in an error or a log,
// however the transport or WeChat quotes it.
func TestNoSecretInErrors(t *testing.T) {
	t.Parallel()
	canaries := []string{
		"canarySecret+/=", "ticket@@@canary", "queryauthcode@@@canary", "refreshtoken@@@canary", "canaryCode",
		"77_componentTokenOfTheTest", "77_authorizerTokenOfTheTest", "88_anotherCanaryToken", "canaryWithoutAnyFormThatIsVeryLong0123456789",
	}
	var echo strings.Builder
	for _, canary := range canaries {
		fmt.Fprintf(&echo, "%s and %s ", canary, url.QueryEscape(canary))
	}
	own := func(r *http.Request) string { // what a careless peer would quote
		return fmt.Sprintf("%s %s %s", r.URL, r.URL.RawQuery, echo.String())
	}
	transports := map[string]roundTripper{
		"refusal that quotes the request": func(r *http.Request) (*http.Response, error) {
			return reply(http.StatusOK, fmt.Sprintf(`{"errcode":40013,"errmsg":%q}`, own(r)))
		},
		"refusal whose rid is a token": func(r *http.Request) (*http.Response, error) {
			return reply(http.StatusOK, `{"errcode":40013,"errmsg":"no rid: 77_componentTokenOfTheTest"}`)
		},
		"refusal whose rid has no form": func(r *http.Request) (*http.Response, error) {
			return reply(http.StatusOK, `{"errcode":40013,"errmsg":"no rid: canaryWithoutAnyFormThatIsVeryLong0123456789"}`)
		},
		"page that quotes the request": func(r *http.Request) (*http.Response, error) {
			return reply(http.StatusBadGateway, "<html>"+own(r)+"</html>")
		},
		"value of a wrong type": func(r *http.Request) (*http.Response, error) {
			return reply(http.StatusOK, `{"component_access_token":["88_anotherCanaryToken"],"authorization_info":"88_anotherCanaryToken","authorizer_access_token":{"88_anotherCanaryToken":1},"pre_auth_code":[88],"access_token":true,"session_key":5}`)
		},
		"transport error that quotes the URL": func(r *http.Request) (*http.Response, error) {
			return nil, errors.New("proxy: cannot reach " + r.URL.String() + " " + echo.String())
		},
		"url.Error within": func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("attempt 1: %w", &url.Error{Op: "Post", URL: r.URL.String(), Err: errors.New("reset")})
		},
		"redirect": func(r *http.Request) (*http.Response, error) {
			resp, err := reply(http.StatusFound, "")
			resp.Header.Set("Location", "https://elsewhere.example/?"+r.URL.RawQuery)
			return resp, err
		},
	}
	calls := map[string]func(context.Context, *wxapi.Client) error{
		"component token": func(ctx context.Context, c *wxapi.Client) error {
			_, err := c.CreateComponentToken(ctx, component, tuoguan.NewSecret("canarySecret+/="), tuoguan.NewSecret("ticket@@@canary"))
			return err
		},
		"pre-auth code": func(ctx context.Context, c *wxapi.Client) error {
			_, err := c.CreatePreAuthCode(ctx, component)
			return err
		},
		"exchange": func(ctx context.Context, c *wxapi.Client) error {
			_, err := c.QueryAuth(ctx, component, tuoguan.NewSecret("queryauthcode@@@canary"))
			return err
		},
		"refresh": func(ctx context.Context, c *wxapi.Client) error {
			_, err := c.RefreshAuthorizerToken(ctx, authorization, tuoguan.NewSecret("refreshtoken@@@canary"))
			return err
		},
		"login": func(ctx context.Context, c *wxapi.Client) error {
			_, err := c.JSCode2Session(ctx, authorization, tuoguan.NewSecret("canaryCode"))
			return err
		},
		"web login": func(ctx context.Context, c *wxapi.Client) error {
			_, err := c.OAuthAccessToken(ctx, authorization, tuoguan.NewSecret("canaryCode"))
			return err
		},
		"on behalf": func(ctx context.Context, c *wxapi.Client) error {
			return c.Call(ctx, wxapi.CallRequest{Owner: accountToken, Path: "/wxa/commit"}, &struct {
				Token int `json:"component_access_token"`
			}{})
		},
	}
	mayHold := func(call string) []string { // secrets that this call cannot know and that have no form
		held := map[string]string{"component token": "canarySecret+/=", "login": "canaryCode", "web login": "canaryCode"}
		var others []string
		for _, formless := range []string{"canarySecret+/=", "canaryCode"} {
			if held[call] != formless {
				others = append(others, formless)
			}
		}
		return others
	}
	for name, transport := range transports {
		for callName, call := range calls {
			t.Run(name+", "+callName, func(t *testing.T) {
				t.Parallel()
				var logged bytes.Buffer
				client := newClient(t, wxapi.Config{
					Tokens: newTokens(), HTTPClient: &http.Client{Transport: transport},
					Logger: slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
				})
				err := call(t.Context(), client)
				if err == nil {
					t.Fatal("no error")
				}
				text := fmt.Sprintf("%v %+v %#v %s", err, err, err, logged.String())
				for e := err; e != nil; e = errors.Unwrap(e) {
					text += fmt.Sprintf(" %v %+v", e, e)
				}
			canary:
				for _, canary := range canaries {
					for _, unknowable := range mayHold(callName) {
						if canary == unknowable {
							continue canary
						}
					}
					if strings.Contains(text, canary) || strings.Contains(text, url.QueryEscape(canary)) {
						t.Errorf("%q is in: %v", canary, err)
					}
				}
			})
		}
	}
}

// A cause that holds nothing secret stays whole, so that a doctor can look into it.
func TestCauseIsKept(t *testing.T) {
	t.Parallel()
	cause := x509.UnknownAuthorityError{}
	client := newClient(t, wxapi.Config{Tokens: newTokens(), HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, cause
	})}})
	err := refresh(t.Context(), client)
	if !errors.As(err, &cause) {
		t.Errorf("%v lost its cause", err)
	}

	hidden := errors.New("refreshtoken@@@0 was refused")
	client = newClient(t, wxapi.Config{Tokens: newTokens(), HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, hidden
	})}})
	err = refresh(t.Context(), client)
	if !errors.Is(err, hidden) {
		t.Errorf("%v cannot be asked for its cause", err)
	}
	wantText(t, err.Error(), "[redacted] was refused")
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for _, code := range []int{ // all that the reactions of the client rest on
		-1, 40001, 40002, 40013, 40014, 40029, 40091, 40094, 40097, 40125, 40163, 40164, 40170, 40243, 41001, 41002, 41004, 41018, 41021,
		42001, 42002, 42003, 42006, 42007, 43001, 43002, 43003, 44002, 45009, 45011, 45015, 45047, 47001, 48001, 48004, 48006, 50001, 50002,
		61003, 61004, 61005, 61006, 61007, 61009, 61010, 61011, 61012, 61013, 61014, 61015, 61016, 61017, 61020, 61023, 61024, 61025, 61028, 61029,
		61053, 61066, 85003, 89000, 9402202,
	} {
		e := wxapi.Explain(code)
		if !e.Known || e.Code != code || e.Class == nil || e.Meaning == "" || e.Action == "" || e.MeaningChinese == "" || e.ActionChinese == "" {
			t.Errorf("%d is not explained: %+v", code, e)
		}
	}
	if e := wxapi.Explain(0); !e.Known || e.Class != nil {
		t.Errorf("0: %+v", e)
	}
	if e := wxapi.Explain(777); e.Known || e.Class != wxapi.ErrBug || !strings.Contains(e.Meaning, "777") || e.Action == "" {
		t.Errorf("an unknown code: %+v", e)
	}
	if e := wxapi.Explain(61062); e.Known {
		t.Errorf("between two ranges: %+v", e)
	}

	p := newPlatform(t, says(http.StatusOK, `{"errcode":40001,"errmsg":"no"}`))
	_, err := clientOf(t, p).CreateComponentToken(t.Context(), component, tuoguan.NewSecret("wrong"), tuoguan.NewSecret("t"))
	var e *wxapi.APIError
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	wantText(t, e.Explain().Meaning, "secret")
	wantText(t, wxapi.Explain(40001).Meaning, "access token")
}
