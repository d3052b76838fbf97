// Package webhook sends events by HTTP: as CloudEvents signed as by Standard Webhooks,
// or in WeChat's own format, encrypted and signed with a key of the receiver's, so that
// a handler written for WeChat takes them.
package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/egress"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/subscription"
)

const (
	defaultTimeout = 15 * time.Second
	maxTimeout     = 60 * time.Second
	drainTime      = time.Second // for an answer that nobody reads
	maxAnswer      = 64 << 10
	maxRetryAfter  = time.Hour
	replyByFormat  = "2006-01-02T15:04:05.000Z07:00"
)

// Config is what all webhooks share.
type Config struct {
	// Guard decides about addresses, and its transport makes the calls. Required.
	Guard *egress.Guard
	// Clock decides whether a signing key has ended, and how much time there is for a
	// reply. Defaults to the system's. Requests are dated by the system's, since receivers
	// go by that.
	Clock *tuoguan.Clock
}

// Webhook is a [sink.Sink] for the subscriptions of type webhook.
type Webhook struct {
	cfg     Config
	url     *url.URL
	header  http.Header
	timeout time.Duration
	format  format

	closed context.Context
	close  context.CancelFunc
}

// format is how events are written down and signed.
type format interface {
	write(m sink.Message, at time.Time) (content, error)
	// open takes the reply in a receipt out of what it is wrapped in.
	open(m sink.Message, r *sink.Receipt) error
}

// content is what is sent for an event.
type content struct {
	body        []byte
	contentType string
	query       string // joins that of the URL
	timestamp   string // of the signature
	signature   string // as by Standard Webhooks; "" if the format has its own
}

// New returns the webhook of a subscription. Its error names everything that is wrong
// with the subscription and no secret.
func New(s subscription.Subscription, c Config) (*Webhook, error) {
	var errs []error
	if err := c.Guard.CheckURL(s.Spec.Sink.URL); err != nil {
		errs = append(errs, err)
	}
	w := &Webhook{cfg: c, timeout: defaultTimeout, header: make(http.Header)}
	if seconds := s.Spec.Sink.Timeout; seconds > 0 {
		w.timeout = min(time.Duration(min(seconds, 3600))*time.Second, maxTimeout)
	}
	for name, value := range s.Spec.Sink.Headers {
		w.header.Set(name, value)
	}
	for name, value := range s.Secrets.Headers {
		w.header.Set(name, value.Reveal())
	}
	w.header.Set("User-Agent", "Tuoguan")
	// Never sent, since it is empty: receivers know copies by their id, so the transport
	// may send again at once what met a connection that was just being closed.
	w.header["Idempotency-Key"] = nil

	var err error
	switch s.Spec.Sink.Format {
	case "", subscription.CloudEvents:
		w.format, err = newSigned(s.Secrets.Signing, c.Clock)
	case subscription.WeChat:
		w.format, err = newSealed(s.Secrets)
	default:
		err = fmt.Errorf("unknown format %q", s.Spec.Sink.Format)
	}
	if err = errors.Join(append(errs, err)...); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	w.url, _ = url.Parse(s.Spec.Sink.URL)
	w.closed, w.close = context.WithCancel(context.Background())
	return w, nil
}

// Send calls the receiver once.
//
// Errors: [*sink.Refusal], [sink.ErrBlocked], [context.DeadlineExceeded] and what else
// befalls a call. None of them holds what was sent or answered, a secret, or the URL.
func (w *Webhook) Send(ctx context.Context, m sink.Message) (sink.Receipt, error) {
	timeout := w.timeout
	if !m.ReplyBy.IsZero() {
		timeout = min(timeout, m.ReplyBy.Sub(w.cfg.Clock.Now()))
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer context.AfterFunc(w.closed, cancel)()

	content, err := w.write(m)
	if err != nil {
		return sink.Receipt{}, &sink.Refusal{Final: true, Text: err.Error()}
	}
	r, err := w.request(ctx, m, content)
	if err != nil {
		return sink.Receipt{}, err
	}
	// Not by an http.Client: nothing is to be followed or remembered, and its errors
	// hold the URL.
	answer, err := w.cfg.Guard.Transport().RoundTrip(r)
	if err != nil {
		return sink.Receipt{}, explain(ctx, err)
	}
	defer func() { _ = answer.Body.Close() }()
	receipt := sink.Receipt{Status: answer.StatusCode}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		drain(answer, cancel)
		return receipt, refusal(answer, time.Now())
	}
	if m.ReplyBy.IsZero() {
		drain(answer, cancel)
		return receipt, nil
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return receipt, explain(ctx, err)
	}
	if len(text) > maxAnswer {
		return receipt, &sink.Refusal{Status: answer.StatusCode, Text: "the reply is larger than 64 KiB"}
	}
	if trimmed := bytes.TrimSpace(text); len(trimmed) == 0 || string(trimmed) == "success" {
		return receipt, nil // what says to WeChat that there is no reply
	}
	receipt.Reply, receipt.ContentType = text, answer.Header.Get("Content-Type")
	if err := w.format.open(m, &receipt); err != nil {
		return sink.Receipt{Status: answer.StatusCode}, &sink.Refusal{Status: answer.StatusCode, Text: err.Error()}
	}
	return receipt, nil
}

// write has the event written down. One that makes the encoder panic is refused alone.
func (w *Webhook) write(m sink.Message) (c content, err error) {
	defer func() {
		if v := recover(); v != nil {
			// What was thrown may quote the event; only the runtime's own errors do not.
			err = fmt.Errorf("panic of type %T in the encoder", v)
			if e, ok := v.(runtime.Error); ok {
				err = fmt.Errorf("panic in the encoder: %w", e)
			}
		}
	}()
	return w.format.write(m, time.Now())
}

// request returns the request for one attempt.
func (w *Webhook) request(ctx context.Context, m sink.Message, c content) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "", bytes.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	u := *w.url
	if u.RawQuery != "" && c.query != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += c.query
	r.URL, r.Host, r.Header = &u, u.Host, w.header.Clone()
	r.Header.Set("Content-Type", c.contentType)
	r.Header.Set("Webhook-Id", m.ID)
	if c.signature != "" {
		r.Header.Set("Webhook-Timestamp", c.timestamp)
		r.Header.Set("Webhook-Signature", c.signature)
	}
	r.Header.Set("Tuoguan-Attempt", strconv.Itoa(m.Attempt))
	if !m.ReplyBy.IsZero() {
		r.Header.Set("Tuoguan-Reply-By", m.ReplyBy.UTC().Format(replyByFormat))
	}
	return r, nil
}

// Close ends what is being sent.
func (w *Webhook) Close() error {
	w.close()
	return nil
}
