package client

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
)

const (
	// webhookTolerance is how far the clocks of sender and receiver may be apart, and how
	// old a webhook may be.
	webhookTolerance = 5 * time.Minute
	// maxWebhook bounds the body of a webhook.
	maxWebhook = 8 << 20
)

// ErrWebhook: a request is not a webhook of the server's, or it is too old. Answer it with
// 401 and do nothing else: who sent it is not known.
var ErrWebhook = errors.New("client: not a webhook signed with one of the keys")

// WebhookEvent is an event as a webhook brings it in the format [FormatCloudEvents].
type WebhookEvent struct {
	ID      string    `json:"id"`      // the same at every attempt and every replay: an event seen before is a repetition
	Type    string    `json:"type"`    // "wechat." and the kind of a push, or a kind that begins with "tuoguan."
	Source  string    `json:"source"`  // /components/{appid}, or /components/{appid}/authorizers/{appid}
	Subject string    `json:"subject"` // the OpenID of the user who did something, "" if it was none
	Time    time.Time `json:"time"`    // when it happened

	ComponentAppID  tuoguan.ComponentAppID  `json:"componentappid"`
	AuthorizerAppID tuoguan.AuthorizerAppID `json:"authorizerappid"` // "" where it concerns the component alone
	Sequence        int64                   `json:"sequence,string"` // numbers the events of an account to a component, without gaps
	Number          string                  `json:"eventnumber"`     // what [Client.Event] takes

	Data json.RawMessage `json:"data"` // what [WebhookEvent.Push] reads; else the event itself

	// Attempt counts from 1.
	Attempt int `json:"-"`
	// ReplyBy is until when an answer is the passive reply to the user; zero where none
	// is asked for.
	ReplyBy time.Time `json:"-"`
}

// WebhookPush is what WeChat has pushed.
type WebhookPush struct {
	Kind       string         `json:"kind"`
	ReceivedAt time.Time      `json:"received_at"`
	Fields     map[string]any `json:"fields"`  // by WeChat's names: texts, objects, and arrays where an element is repeated
	XML        string         `json:"xml"`     // as WeChat sent it; tickets and codes in it are empty
	JSON       string         `json:"json"`    // instead, where it was JSON
	Problem    string         `json:"problem"` // why it cannot be read, "" if it can
}

// Field returns a field that is a text, "" if there is none.
func (p WebhookPush) Field(name string) string {
	text, _ := p.Fields[name].(string)
	return text
}

// Push reads the data of an event whose type begins with "wechat.".
func (e WebhookEvent) Push() (WebhookPush, error) {
	var p WebhookPush
	if !strings.HasPrefix(e.Type, "wechat.") {
		return p, fmt.Errorf("client: %s is not a push of WeChat's", e.Type)
	}
	if err := json.Unmarshal(e.Data, &p); err != nil {
		return p, fmt.Errorf("client: data of event %s: %w", e.ID, err)
	}
	return p, nil
}

// ReadWebhook reads a webhook, having verified that it is signed with one of the keys: the
// signing secrets of the subscription, two while one is being replaced. It reads the
// body. Errors: [ErrWebhook]; those of reading.
//
// Answer with 2xx once the event is safe with you. Anything else, or silence, has it
// sent again.
func ReadWebhook(r *http.Request, keys ...tuoguan.Secret) (WebhookEvent, error) {
	var e WebhookEvent
	body, err := io.ReadAll(io.LimitReader(r.Body, maxWebhook+1))
	switch {
	case err != nil:
		return e, fmt.Errorf("client: %w", err)
	case len(body) > maxWebhook:
		return e, fmt.Errorf("%w: it is larger than %d bytes", ErrWebhook, maxWebhook)
	}
	if err := VerifyWebhook(r.Header, body, time.Now(), keys...); err != nil {
		return e, err
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return e, fmt.Errorf("client: the webhook is no CloudEvent: %w", err)
	}
	e.Attempt, _ = strconv.Atoi(r.Header.Get("Tuoguan-Attempt"))
	e.ReplyBy, _ = time.Parse(time.RFC3339Nano, r.Header.Get("Tuoguan-Reply-By"))
	return e, nil
}

// VerifyWebhook verifies the signature of a webhook, of ours or of anybody who follows
// Standard Webhooks, and that it is at most five minutes old. Errors: [ErrWebhook].
func VerifyWebhook(header http.Header, body []byte, now time.Time, keys ...tuoguan.Secret) error {
	id, timestamp := header.Get("Webhook-Id"), header.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || id == "" {
		return fmt.Errorf("%w: its headers are missing", ErrWebhook)
	}
	if age := now.Sub(time.Unix(seconds, 0)); age.Abs() > webhookTolerance {
		return fmt.Errorf("%w: it is not of this time", ErrWebhook)
	}
	for _, key := range keys {
		secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key.Reveal(), "whsec_"))
		if err != nil || len(secret) == 0 {
			return errors.New("client: a signing secret is not of the form whsec_…")
		}
		mac := hmac.New(sha256.New, secret)
		fmt.Fprintf(mac, "%s.%s.", id, timestamp)
		mac.Write(body)
		want := mac.Sum(nil)
		for signature := range strings.FieldsSeq(header.Get("Webhook-Signature")) {
			encoded, ok := strings.CutPrefix(signature, "v1,")
			if got, err := base64.StdEncoding.DecodeString(encoded); ok && err == nil && hmac.Equal(got, want) {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: no signature is right", ErrWebhook)
}
