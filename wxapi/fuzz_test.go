package wxapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tuoguan/tuoguan"
)

// FuzzDecode feeds replies through the funnel and checks what the rest of the
// package relies on: an accepted reply is a JSON object without an errcode, its
// token is one, and its lifetime is within bounds; a refused one shows no token.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"authorizer_access_token":"77_access","expires_in":7200,"authorizer_refresh_token":"refreshtoken@@@1"}`,
		`{"errcode":0,"errmsg":"ok"}`,
		`{"errcode":"40001","errmsg":"invalid credential rid: 6545a1b2-01234567-89abcdef"}`,
		`{"errcode":-1,"errmsg":null,"authorizer_access_token":"77_access"}`,
		`{"expires_in":"7200","authorizer_access_token":"77_access"}`,
		`{"expires_in":1e400,"authorizer_access_token":"\u0037"}`,
		`{"a":{"b":[{"c":1},{"c":2}],"b":2}}`,
		"\xef\xbb\xbf{}", "\x1f\x8b\x08", "<html>", "", " ", "{", "[]", "null", `{"errcode":{}}`, `{"":""}`,
	} {
		f.Add(http.StatusOK, []byte(seed))
	}
	f.Add(http.StatusBadGateway, []byte("<html>"))
	sent := tuoguan.NewSecret("77_sentTokenThatMustNotShow")
	client := &Client{logger: slog.New(slog.DiscardHandler)}
	now := time.Unix(1700000000, 0)
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r := request{op: "fuzz", with: componentToken, secrets: []tuoguan.Secret{sent}}
		var wire struct {
			Token     string `json:"authorizer_access_token"`
			ExpiresIn number `json:"expires_in"`
		}
		before := bytes.Clone(body)
		err := r.decode(status, body, &wire)
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		if err != nil {
			refusal, refused := errors.AsType[*APIError](err)
			if unusable := errors.Is(err, ErrUnusableReply); refused == unusable {
				t.Fatalf("%v: refused %v, unusable %v", err, refused, unusable)
			}
			if refused && (refusal.Code == 0 || refusal.Class == nil || len([]rune(refusal.Message)) > maxMessageLength+1) {
				t.Fatalf("%#v", refusal)
			}
			if strings.Contains(err.Error(), sent.Reveal()) {
				t.Fatalf("%v shows the token", err)
			}
			return
		}
		if !isSuccess(status) {
			t.Fatalf("status %d was accepted", status)
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(body, &object); err != nil || object == nil {
			t.Fatalf("%q was accepted: %v", body, err)
		}
		if code := string(object["errcode"]); code != "null" && strings.Trim(code, `"+-0`) != "" {
			t.Fatalf("errcode %s was accepted", code)
		}
		got := reply{client: client, op: r.op, status: status, body: body, sentAt: now}
		if token, err := got.token("authorizer_access_token", wire.Token); err == nil && !plausibleToken(token.Reveal()) {
			t.Fatalf("token %q was accepted", token.Reveal())
		}
		if life := got.expiry(wire.ExpiresIn).Sub(now); life < time.Second || life > maxLifetime {
			t.Fatalf("lifetime %v", life)
		}
	})
}

// FuzzEncode checks that any text reaches WeChat as it is and without \u escapes of
// what need not be escaped.
func FuzzEncode(f *testing.F) {
	for _, seed := range []string{"", "你好😀", "<a href=\"x\">&", "\u2028\u2029", `\u2028`, `\\u2028`, "\\", "\x00\x1f", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		encoded, err := encode(map[string]string{"k": text})
		if err != nil {
			t.Fatal(err)
		}
		var back map[string]string
		if err := json.Unmarshal(encoded, &back); err != nil {
			t.Fatalf("%q: %v", encoded, err)
		}
		if utf8.ValidString(text) && back["k"] != text {
			t.Fatalf("%q came back as %q", text, back["k"])
		}
		if bytes.Contains(encoded, []byte(`\u202`)) && !strings.Contains(text, `\u202`) {
			t.Fatalf("%q escapes a separator", encoded)
		}
	})
}
