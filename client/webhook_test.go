package client_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/client"
)

// The example of the Standard Webhooks specification.
const (
	exampleKey       = "whsec_plJ3nmyCDGBKInavdOK15jsl"
	exampleBody      = `{"event_type":"ping","data":{"success":true}}`
	exampleID        = "msg_loFOjxBNrRLzqYUf"
	exampleTimestamp = 1731705121
	exampleSignature = "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="
)

func TestVerifyWebhook(t *testing.T) {
	t.Parallel()
	now := time.Unix(exampleTimestamp, 0)
	right := tuoguan.NewSecret(exampleKey)
	other := tuoguan.NewSecret("whsec_" + base64.StdEncoding.EncodeToString([]byte("some other key of ours")))
	for name, tt := range map[string]struct {
		id, timestamp, signature, body string
		now                            time.Time
		keys                           []tuoguan.Secret
		valid                          bool
	}{
		"right":             {valid: true},
		"the newer key too": {keys: []tuoguan.Secret{other, right}, valid: true},
		"two signatures":    {signature: "v1,AAAA " + exampleSignature, valid: true},
		"nearly too old":    {now: now.Add(5 * time.Minute), valid: true},
		"too old":           {now: now.Add(5*time.Minute + time.Second)},
		"of the future":     {now: now.Add(-5*time.Minute - time.Second)},
		"other key":         {keys: []tuoguan.Secret{other}},
		"no key":            {keys: []tuoguan.Secret{}},
		"other body":        {body: exampleBody + " "},
		"other id":          {id: "msg_x"},
		"other timestamp":   {timestamp: fmt.Sprint(exampleTimestamp + 1)},
		"other version":     {signature: "v1a" + exampleSignature[2:]},
		"no signature":      {signature: "-"},
		"no timestamp":      {timestamp: "-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			or := func(text, otherwise string) string {
				if text == "" {
					return otherwise
				}
				return text
			}
			header := http.Header{}
			header.Set("webhook-id", or(tt.id, exampleID))
			header.Set("webhook-timestamp", or(tt.timestamp, fmt.Sprint(exampleTimestamp)))
			header.Set("webhook-signature", or(tt.signature, exampleSignature))
			at, keys := now, []tuoguan.Secret{right}
			if !tt.now.IsZero() {
				at = tt.now
			}
			if tt.keys != nil {
				keys = tt.keys
			}
			err := client.VerifyWebhook(header, []byte(or(tt.body, exampleBody)), at, keys...)
			if valid := err == nil; valid != tt.valid || !valid && !errors.Is(err, client.ErrWebhook) {
				t.Errorf("got %v", err)
			}
		})
	}
	err := client.VerifyWebhook(http.Header{"Webhook-Id": {"x"}, "Webhook-Timestamp": {fmt.Sprint(exampleTimestamp)}}, nil, now, tuoguan.NewSecret("canary!"))
	if err == nil || errors.Is(err, client.ErrWebhook) || strings.Contains(err.Error(), "canary") {
		t.Errorf("a key that is none: %v", err)
	}
}

// signed returns a request as the server sends it.
func signed(body string, at time.Time) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/hook", strings.NewReader(body))
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(exampleKey, "whsec_"))
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "evt_1.%d.%s", at.Unix(), body)
	r.Header.Set("webhook-id", "evt_1")
	r.Header.Set("webhook-timestamp", fmt.Sprint(at.Unix()))
	r.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	r.Header.Set("tuoguan-attempt", "3")
	return r
}

func TestReadWebhook(t *testing.T) {
	t.Parallel()
	body := `{"specversion":"1.0","id":"evt_1","source":"/components/wx0123456789abcdef/authorizers/wxaaaaaaaaaaaaaaaa","type":"wechat.text","subject":"openid-1",` +
		`"time":"2026-11-21T08:00:00Z","datacontenttype":"application/json","componentappid":"wx0123456789abcdef","authorizerappid":"wxaaaaaaaaaaaaaaaa","sequence":"7","eventnumber":"41",` +
		`"data":{"kind":"text","component_appid":"wx0123456789abcdef","authorizer_appid":"wxaaaaaaaaaaaaaaaa","received_at":"2026-11-21T08:00:01Z","fields":{"Content":"你好"},"xml":"<xml/>"}}`
	r := signed(body, time.Now())
	r.Header.Set("tuoguan-reply-by", "2026-11-21T08:00:04.250Z")
	e, err := client.ReadWebhook(r, tuoguan.NewSecret(exampleKey))
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Push()
	if err != nil || p.Kind != "text" || p.Field("Content") != "你好" || p.Field("Nothing") != "" || p.XML != "<xml/>" || p.ReceivedAt.IsZero() {
		t.Errorf("got %+v, %v", p, err)
	}
	e.Data = nil
	want := client.WebhookEvent{
		ID: "evt_1", Type: "wechat.text", Source: "/components/wx0123456789abcdef/authorizers/wxaaaaaaaaaaaaaaaa", Subject: "openid-1",
		Time: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), ComponentAppID: "wx0123456789abcdef", AuthorizerAppID: "wxaaaaaaaaaaaaaaaa",
		Sequence: 7, Number: "41", Attempt: 3, ReplyBy: time.Date(2026, 11, 21, 8, 0, 4, 250e6, time.UTC),
	}
	if d := cmp.Diff(want, e); d != "" {
		t.Error(d)
	}
	if _, err := (client.WebhookEvent{Type: "tuoguan.authorized"}).Push(); err == nil {
		t.Error("an event of the server's own is taken for a push")
	}
	if _, err := client.ReadWebhook(signed(body, time.Now().Add(-time.Hour)), tuoguan.NewSecret(exampleKey)); !errors.Is(err, client.ErrWebhook) {
		t.Errorf("an old one: %v", err)
	}
	if _, err := client.ReadWebhook(signed("nonsense", time.Now()), tuoguan.NewSecret(exampleKey)); err == nil || errors.Is(err, client.ErrWebhook) {
		t.Errorf("one that is no event: %v", err)
	}
}
