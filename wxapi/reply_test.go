package wxapi_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/wxapi"
)

func compressed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A reply that is not a clean success must never yield a token.
func TestHostileReplies(t *testing.T) {
	t.Parallel()
	const good = `{"authorizer_access_token":"77_access","expires_in":7200,"authorizer_refresh_token":"refreshtoken@@@1"}`
	tests := []struct {
		name   string
		status int
		body   string
		reason string
	}{
		{"html", 200, "<!DOCTYPE html><html>busy</html>", "html"},
		{"html error page", 502, "<html>bad gateway</html>", "http status"},
		{"html after blanks", 200, "\n \t<html>", "html"},
		{"empty", 200, "", "empty"},
		{"only blanks", 200, " \r\n", "empty"},
		{"no content", 204, "", "empty"},
		{"redirect", 302, "", "http status"},
		{"not found", 404, "404 page not found", "http status"},
		{"success with an error status", 500, good, "http status"},
		{"truncated", 200, good[:len(good)-20], "malformed json"},
		{"truncated in the first key", 200, `{"authori`, "malformed json"},
		{"only a brace", 200, `{`, "malformed json"},
		{"two objects", 200, good + good, "malformed json"},
		{"trailing text", 200, good + " <!-- proxy -->", "malformed json"},
		{"array", 200, "[" + good + "]", "not a json object"},
		{"null", 200, "null", "not a json object"},
		{"text", 200, "ok", "not a json object"},
		{"single quotes", 200, `{'authorizer_access_token':'77_access'}`, "malformed json"},
		{"byte order mark", 200, "\xef\xbb\xbf" + good, "byte order mark"},
		{"compressed unasked", 200, compressed(t, good), "compressed"},
		{"compression header and rubbish", 200, "\x1f\x8b\x08rubbish", "compressed"},
		{"NUL bytes", 200, "\x00\x00\x00\x00", "not a json object"},
		{"duplicate token", 200, `{"authorizer_access_token":"77_first","authorizer_access_token":"77_second","expires_in":7200}`, "duplicate key"},
		{"duplicate key through an escape", 200, `{"authorizer_access_token":"77_access","expires_in":7200,"\u0065xpires_in":7200}`, "duplicate key"},
		{"duplicate key below", 200, `{"authorizer_access_token":"77_access","expires_in":7200,"x":[{"a":1,"a":2}]}`, "duplicate key"},
		{"nested too deeply", 200, `{"authorizer_access_token":"77_access","x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}", "nested too deeply"},
		{"too large", 200, strings.Replace(good, "{", `{"x":"`+strings.Repeat("x", 64<<10)+`",`, 1), "too large"},
		{"token of the wrong type", 200, `{"authorizer_access_token":12,"expires_in":7200}`, "wrong type of authorizer_access_token"},
		{"lifetime of the wrong type", 200, `{"authorizer_access_token":"77_access","expires_in":{}}`, "wrong type"},
		{"lifetime in words", 200, `{"authorizer_access_token":"77_access","expires_in":"soon"}`, "wrong type"},
		{"errcode in words", 200, strings.Replace(good, "{", `{"errcode":"none",`, 1), "errcode is not a number"},
		{"errcode true", 200, strings.Replace(good, "{", `{"errcode":true,`, 1), "errcode is not a number"},
		{"no token", 200, `{"expires_in":7200}`, "no authorizer_access_token"},
		{"empty token", 200, `{"authorizer_access_token":"","expires_in":7200,"authorizer_refresh_token":"refreshtoken@@@1"}`, "no authorizer_access_token"},
		{"null token", 200, `{"authorizer_access_token":null,"expires_in":7200}`, "no authorizer_access_token"},
		{"success without anything", 200, `{"errcode":0,"errmsg":"ok"}`, "no authorizer_access_token"},
		{"token with a line break", 200, `{"authorizer_access_token":"77_\r\nHost: x","expires_in":7200}`, "authorizer_access_token is not a token"},
		{"token with a space", 200, `{"authorizer_access_token":"77 access","expires_in":7200}`, "authorizer_access_token is not a token"},
		{"token of broken UTF-8", 200, "{\"authorizer_access_token\":\"77_\xff\",\"expires_in\":7200}", "authorizer_access_token is not a token"},
		{"huge refresh token", 200, `{"authorizer_access_token":"77_access","expires_in":7200,"authorizer_refresh_token":"` + strings.Repeat("r", 1025) + `"}`, "authorizer_refresh_token is not a token"},
		{"unprintable refresh token", 200, `{"authorizer_access_token":"77_access","expires_in":7200,"authorizer_refresh_token":"\u0000"}`, "authorizer_refresh_token is not a token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				if strings.HasPrefix(tt.body, "\x1f\x8b") {
					w.Header().Set("Content-Encoding", "gzip")
				}
				says(tt.status, tt.body)(w, r)
			})
			set, err := clientOf(t, p).RefreshAuthorizerToken(t.Context(), authorization, tuoguan.NewSecret("refreshtoken@@@0"))
			wantClasses(t, err, "unusable", "unknown")
			var reply *wxapi.ReplyError
			if !errors.As(err, &reply) {
				t.Fatalf("%T: %v", err, err)
			}
			if !strings.HasPrefix(reply.Reason, tt.reason) || reply.HTTPStatus != tt.status || !reply.Temporary() {
				t.Errorf("%+v, want reason %q and status %d", reply, tt.reason, tt.status)
			}
			if diff := cmp.Diff(tuoguan.TokenSet{}, set, secrets); diff != "" {
				t.Errorf("an error came with a value:\n%s", diff)
			}
			if strings.Contains(err.Error(), "77_") {
				t.Errorf("the reply is quoted: %v", err)
			}
			if n := len(p.requests()); n != 1 {
				t.Errorf("%d requests, want 1: the endpoint is not repeatable", n)
			}
		})
	}
}

func TestAcceptableReplies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		body    string
		refresh string
		life    time.Duration
	}{
		{"plain", `{"authorizer_access_token":"77_access","expires_in":7200,"authorizer_refresh_token":"refreshtoken@@@1"}`, "refreshtoken@@@1", 2 * time.Hour},
		{"errcode 0", `{"errcode":0,"errmsg":"ok","authorizer_access_token":"77_access","expires_in":7200}`, "", 2 * time.Hour},
		{"errcode 0 as a string", `{"errcode":"0","authorizer_access_token":"77_access","expires_in":7200}`, "", 2 * time.Hour},
		{"errcode null", `{"errcode":null,"authorizer_access_token":"77_access","expires_in":7200}`, "", 2 * time.Hour},
		{"blanks around", "\r\n {\"authorizer_access_token\":\"77_access\",\"expires_in\":7200} \n", "", 2 * time.Hour},
		{"unknown fields", `{"authorizer_access_token":"77_access","expires_in":7200,"new":{"a":[1,{"a":2},{"a":2}]}}`, "", 2 * time.Hour},
		{"empty refresh token", `{"authorizer_access_token":"77_access","expires_in":7200,"authorizer_refresh_token":""}`, "", 2 * time.Hour},
		{"null refresh token", `{"authorizer_access_token":"77_access","expires_in":7200,"authorizer_refresh_token":null}`, "", 2 * time.Hour},
		{"refresh token of a KiB", `{"authorizer_access_token":"77_access","expires_in":7200,"authorizer_refresh_token":"` + strings.Repeat("r", 1024) + `"}`, strings.Repeat("r", 1024), 2 * time.Hour},
		{"lifetime as a string", `{"authorizer_access_token":"77_access","expires_in":"7200"}`, "", 2 * time.Hour},
		{"90 seconds", `{"authorizer_access_token":"77_access","expires_in":90}`, "", 90 * time.Second},
		{"300 seconds", `{"authorizer_access_token":"77_access","expires_in":300}`, "", 300 * time.Second},
		{"with a fraction", `{"authorizer_access_token":"77_access","expires_in":90.0}`, "", 90 * time.Second},
		{"zero", `{"authorizer_access_token":"77_access","expires_in":0}`, "", time.Minute},
		{"shorter than a minute", `{"authorizer_access_token":"77_access","expires_in":30}`, "", 30 * time.Second},
		{"negative", `{"authorizer_access_token":"77_access","expires_in":-1}`, "", time.Minute},
		{"absent", `{"authorizer_access_token":"77_access"}`, "", time.Minute},
		{"a thousand million", `{"authorizer_access_token":"77_access","expires_in":1000000000}`, "", 2 * time.Hour},
		{"1e9", `{"authorizer_access_token":"77_access","expires_in":1e9}`, "", 2 * time.Hour},
		{"beyond int64", `{"authorizer_access_token":"77_access","expires_in":99999999999999999999999}`, "", 2 * time.Hour},
		{"beyond float64", `{"authorizer_access_token":"77_access","expires_in":1e999}`, "", 2 * time.Hour},
		{"far below zero", `{"authorizer_access_token":"77_access","expires_in":-1e30}`, "", time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t, says(http.StatusOK, tt.body))
			before := time.Now()
			set, err := clientOf(t, p).RefreshAuthorizerToken(t.Context(), authorization, tuoguan.NewSecret("refreshtoken@@@0"))
			after := time.Now()
			if err != nil {
				t.Fatal(err)
			}
			want := tuoguan.TokenSet{AccessToken: tuoguan.NewSecret("77_access"), RefreshToken: tuoguan.NewSecret(tt.refresh), ExpiresAt: set.ExpiresAt}
			if diff := cmp.Diff(want, set, secrets); diff != "" {
				t.Errorf("token set (-want +got):\n%s", diff)
			}
			if set.ExpiresAt.Before(before.Add(tt.life)) || set.ExpiresAt.After(after.Add(tt.life)) {
				t.Errorf("lives until %v, want %v from now", set.ExpiresAt, tt.life)
			}
		})
	}
}

// The life of a token is counted on the configured clock, from before it was asked
// for.
func TestExpiryUsesTheClock(t *testing.T) {
	t.Parallel()
	clock := &tuoguan.Clock{}
	clock.Advance(1000 * time.Hour)
	p := newPlatform(t, func(w http.ResponseWriter, r *http.Request) {
		clock.Advance(time.Minute) // while the reply is on its way
		says(http.StatusOK, `{"authorizer_access_token":"77_access","expires_in":7200}`)(w, r)
	})
	client := newClient(t, wxapi.Config{BaseURLs: []string{p.base()}, Tokens: newTokens(), Clock: clock})
	set, err := client.RefreshAuthorizerToken(t.Context(), authorization, tuoguan.NewSecret("r"))
	if err != nil {
		t.Fatal(err)
	}
	if left := set.ExpiresAt.Sub(clock.Now()); left > 2*time.Hour-time.Minute || left < 2*time.Hour-2*time.Minute {
		t.Errorf("%v left, want 2h less the minute that passed", left)
	}
}

// An exchange must keep whichever token it got, and fail if it got none.
func TestQueryAuthKeepsWhatThereIs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		info    string
		access  string
		refresh string
		fails   bool
	}{
		{"both", `"authorizer_appid":"wxa","authorizer_access_token":"77_a","expires_in":7200,"authorizer_refresh_token":"r"`, "77_a", "r", false},
		{"refresh token only", `"authorizer_appid":"wxa","authorizer_refresh_token":"r"`, "", "r", false},
		{"access token only", `"authorizer_appid":"wxa","authorizer_access_token":"77_a","expires_in":7200`, "77_a", "", false},
		{"oldest key of the appid", `"appid":"wxa","authorizer_refresh_token":"r"`, "", "r", false},
		{"func_info of another form", `"authorizer_appid":"wxa","authorizer_refresh_token":"r","func_info":{"id":[]}`, "", "r", false},
		{"none", `"authorizer_appid":"wxa","func_info":[]`, "", "", true},
		{"no appid", `"authorizer_access_token":"77_a","expires_in":7200,"authorizer_refresh_token":"r"`, "", "", true},
		{"nothing", ``, "", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t, says(http.StatusOK, `{"authorization_info":{`+tt.info+`}}`))
			info, err := clientOf(t, p).QueryAuth(t.Context(), component, tuoguan.NewSecret("code"))
			if (err != nil) != tt.fails {
				t.Fatalf("error %v, want one: %v", err, tt.fails)
			}
			if tt.fails {
				wantClasses(t, err, "unusable", "unknown")
				return
			}
			if got := info.Tokens.AccessToken.Reveal(); got != tt.access {
				t.Errorf("access token %q, want %q", got, tt.access)
			}
			if got := info.Tokens.RefreshToken.Reveal(); got != tt.refresh {
				t.Errorf("refresh token %q, want %q", got, tt.refresh)
			}
			if info.Tokens.ExpiresAt.IsZero() != (tt.access == "") {
				t.Errorf("expires at %v", info.Tokens.ExpiresAt)
			}
		})
	}
}

func TestAuthorizerInfoOfAnotherAccount(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, says(http.StatusOK, `{"authorizer_info":{},"authorization_info":{"authorizer_appid":"wxother","authorizer_refresh_token":"refreshtoken@@@9"}}`))
	_, err := clientOf(t, p).GetAuthorizerInfo(t.Context(), authorization)
	wantClasses(t, err, "unusable", "unknown")
}

func TestListEntryWithABadToken(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, says(http.StatusOK, `{"total_count":2,"list":[{"authorizer_appid":"wxa","refresh_token":"\n"},{"authorizer_appid":"wxb","refresh_token":"good"}]}`))
	list, err := clientOf(t, p).GetAuthorizerList(t.Context(), component, 0, 500)
	if err != nil {
		t.Fatal(err)
	}
	if !list.Items[0].RefreshToken.IsZero() || list.Items[1].RefreshToken.Reveal() != "good" {
		t.Errorf("%v", list.Items)
	}
}

// A reply without an end is read up to the bound and no further.
func TestEndlessReply(t *testing.T) {
	t.Parallel()
	endless := &endlessBody{}
	client := newClient(t, wxapi.Config{Tokens: newTokens(), HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: endless}, nil
	})}})
	wantClasses(t, refresh(t.Context(), client), "unusable", "unknown")
	if endless.read > 64<<10+1 || !endless.closed {
		t.Errorf("read %d bytes, closed: %v", endless.read, endless.closed)
	}
}

// endlessBody is a JSON string that never ends, until a test would run for ever.
type endlessBody struct {
	read   int
	closed bool
}

func (b *endlessBody) Read(p []byte) (int, error) {
	if b.read > 1<<20 {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = 'x'
	}
	b.read += len(p)
	return len(p), nil
}

func (b *endlessBody) Close() error {
	b.closed = true
	return nil
}
