package webhook

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/egress"
	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	component  = tuoguan.ComponentAppID("wx0123456789abcdef")
	authorizer = tuoguan.AuthorizerAppID("wxaaaaaaaaaaaaaaaa")
	textPush   = `<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName><FromUserName><![CDATA[oSim0001]]></FromUserName>` +
		`<CreateTime>1700000600</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[你好 s3cr3t-content]]></Content><MsgId>24</MsgId></xml>`
)

var (
	firstKey  = tuoguan.NewSecret("whsec_" + base64.StdEncoding.EncodeToString([]byte("the first key of 32 bytes ......")))
	secondKey = tuoguan.NewSecret("whsec_" + base64.StdEncoding.EncodeToString([]byte("the second key, of 32 bytes.....")))
)

// message returns a push on its way.
func message(body string) sink.Message {
	parsed := push.Parse(tuoguan.Authorization{Component: component, Authorizer: authorizer}, []byte(body))
	p := store.Push{
		ID: 7, Seq: 3, Key: parsed.DedupeKey(), Component: component, Authorizer: authorizer,
		Kind: parsed.Kind(), Body: []byte(body), CreatedAt: parsed.CreatedAt, ReceivedAt: time.Now(),
	}
	return sink.Message{ID: event.ID(p.Key), Event: p, Attempt: 1}
}

// guard lets this machine be called.
func guard(tb testing.TB) *egress.Guard {
	g := egress.New(egress.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	tb.Cleanup(g.Transport().CloseIdleConnections)
	return g
}

// spec returns a subscription of a webhook.
func spec(url string, change ...func(*subscription.Subscription)) subscription.Subscription {
	s := subscription.Subscription{
		ID: "sub_1", Spec: subscription.Spec{Sink: subscription.Sink{Type: subscription.Webhook, URL: url, Format: subscription.CloudEvents}},
		Secrets: subscription.Secrets{Signing: []subscription.SigningKey{{Key: firstKey}}},
	}
	for _, f := range change {
		f(&s)
	}
	return s
}

func open(tb testing.TB, s subscription.Subscription, c Config) *Webhook {
	tb.Helper()
	w, err := New(s, c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = w.Close() })
	return w
}

// receiver is a server, and the webhook that leads to it.
func receiver(t *testing.T, serve http.HandlerFunc, change ...func(*subscription.Subscription)) *Webhook {
	t.Helper()
	s := httptest.NewUnstartedServer(serve)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return open(t, spec(s.URL+"/hook?tenant=7", change...), Config{Guard: guard(t)})
}

// TestSigned: the library of Standard Webhooks verifies what arrives, by either key
// while one replaces the other, and the SDK of CloudEvents reads it.
func TestSigned(t *testing.T) {
	t.Parallel()
	var request *http.Request
	var body []byte
	clock := new(tuoguan.Clock)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		request = r.Clone(context.WithoutCancel(r.Context()))
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(s.Close)
	w := open(t, spec(s.URL+"/hook?tenant=7", func(s *subscription.Subscription) {
		s.Secrets.Signing = []subscription.SigningKey{{Key: secondKey}, {Key: firstKey, Until: time.Now().Add(time.Hour)}}
		s.Spec.Sink.Headers = map[string]string{"X-Tenant": "7", "Webhook-Id": "forged", "Content-Type": "x/y"}
		s.Secrets.Headers = map[string]tuoguan.Secret{"Authorization": tuoguan.NewSecret("Bearer token")}
	}), Config{Guard: guard(t), Clock: clock})
	m := message(textPush)
	m.Attempt = 3

	verified := func() (byFirst, bySecond bool) {
		receipt, err := w.Send(t.Context(), m)
		if diff := cmp.Diff(sink.Receipt{Status: 202}, receipt); diff != "" || err != nil {
			t.Fatal(err, diff)
		}
		for key, ok := range map[tuoguan.Secret]*bool{firstKey: &byFirst, secondKey: &bySecond} {
			webhook, err := standardwebhooks.NewWebhook(key.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			*ok = webhook.Verify(body, request.Header) == nil
		}
		return byFirst, bySecond
	}
	if byFirst, bySecond := verified(); !byFirst || !bySecond {
		t.Errorf("verified by the first key: %t, by the second: %t", byFirst, bySecond)
	}
	for name, want := range map[string]string{
		"Webhook-Id": m.ID, "Tuoguan-Attempt": "3", "Tuoguan-Reply-By": "", "Content-Type": "application/cloudevents+json; charset=utf-8",
		"User-Agent": "Tuoguan", "X-Tenant": "7", "Authorization": "Bearer token", "Idempotency-Key": "", "Accept-Encoding": "",
	} {
		if got := request.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if request.Method != http.MethodPost || request.URL.String() != "/hook?tenant=7" || request.ContentLength != int64(len(body)) {
		t.Errorf("%s %s of %d bytes", request.Method, request.URL, request.ContentLength)
	}
	request.Body = io.NopCloser(strings.NewReader(string(body)))
	read, err := cehttp.NewEventFromHTTPRequest(request)
	if err != nil || read.Validate() != nil || read.ID() != m.ID || read.Type() != "wechat.text" || read.Subject() != "oSim0001" {
		t.Errorf("the SDK reads %v, %v", read, err)
	}

	clock.Advance(time.Hour)
	if byFirst, bySecond := verified(); byFirst || !bySecond {
		t.Errorf("once the first key has ended: verified by it: %t, by the second: %t", byFirst, bySecond)
	}
	body[len(body)/2] ^= 1
	webhook, _ := standardwebhooks.NewWebhook(secondKey.Reveal())
	if webhook.Verify(body, request.Header) == nil {
		t.Error("verified another body")
	}
}

// TestSameBody: every attempt and every copy has one id and one body.
func TestSameBody(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	w := receiver(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen[r.Header.Get("Webhook-Id")+string(body)] = true
	})
	m := message(textPush)
	for m.Attempt = 1; m.Attempt < 4; m.Attempt++ {
		if _, err := w.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 1 {
		t.Errorf("%d different ones", len(seen))
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	header := func(name, value string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.Header().Set(name, value) }
	}
	for name, test := range map[string]struct {
		status int
		header func(http.ResponseWriter)
		want   *sink.Refusal // nil: delivered
	}{
		"200": {status: 200}, "201": {status: 201}, "204": {status: 204}, "299": {status: 299},
		"301":                     {301, header("Location", other.URL), &sink.Refusal{Text: "redirects are not followed"}},
		"302":                     {302, header("Location", other.URL), &sink.Refusal{Text: "redirects are not followed"}},
		"307":                     {307, header("Location", other.URL), &sink.Refusal{Text: "redirects are not followed"}},
		"308":                     {308, header("Location", other.URL), &sink.Refusal{Text: "redirects are not followed"}},
		"304":                     {304, nil, &sink.Refusal{Text: "redirects are not followed"}},
		"400":                     {400, nil, &sink.Refusal{Text: "Bad Request"}},
		"401":                     {401, nil, &sink.Refusal{Text: "Unauthorized"}},
		"410":                     {410, nil, &sink.Refusal{Text: "Gone", Gone: true}},
		"429":                     {429, nil, &sink.Refusal{Text: "Too Many Requests"}},
		"429 with seconds":        {429, header("Retry-After", "120"), &sink.Refusal{Text: "Too Many Requests", RetryAfter: 2 * time.Minute}},
		"503 with too many":       {503, header("Retry-After", "86400"), &sink.Refusal{Text: "Service Unavailable", RetryAfter: time.Hour}},
		"503 with a date to come": {503, header("Retry-After", time.Now().Add(24*time.Hour).UTC().Format(http.TimeFormat)), &sink.Refusal{Text: "Service Unavailable", RetryAfter: time.Hour}},
		"503 with a past date":    {503, header("Retry-After", "Mon, 02 Jan 2006 15:04:05 GMT"), &sink.Refusal{Text: "Service Unavailable"}},
		"503 with nonsense":       {503, header("Retry-After", "-1 s3cr3t"), &sink.Refusal{Text: "Service Unavailable"}},
		"500 with seconds":        {500, header("Retry-After", "120"), &sink.Refusal{Text: "Internal Server Error"}},
		"599":                     {599, nil, &sink.Refusal{Text: "no known status"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
				if test.header != nil {
					test.header(w)
				}
				w.WriteHeader(test.status)
				if test.status != 204 && test.status != 304 {
					_, _ = io.WriteString(w, "s3cr3t of the receiver")
				}
			})
			receipt, err := w.Send(t.Context(), message(textPush))
			if diff := cmp.Diff(sink.Receipt{Status: test.status}, receipt); diff != "" {
				t.Error(diff)
			}
			if test.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			test.want.Status = test.status
			var refusal *sink.Refusal
			if errors.As(err, &refusal); refusal == nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, refusal); diff != "" || strings.Contains(err.Error(), "s3cr3t") {
				t.Error(err, diff)
			}
		})
	}
	t.Cleanup(func() {
		if n := elsewhere.Load(); n > 0 {
			t.Errorf("%d redirects were followed", n)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "30": 30 * time.Second, "3600": time.Hour, "3601": time.Hour, "4294967295": time.Hour, "99999999999999999999": 0, "-5": 0, "1.5": 0, "+3": 0,
		"Sat, 21 Nov 2026 12:00:30 GMT": 30 * time.Second, "Saturday, 21-Nov-26 12:00:30 GMT": 30 * time.Second, "Sat Nov 21 12:00:30 2026": 30 * time.Second,
		"Sat, 21 Nov 2026 11:00:00 GMT": 0, "Sun, 22 Nov 2026 12:00:00 GMT": time.Hour, "soon": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

// hijack lets a receiver answer what no server would.
func hijack(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = buffered.WriteString(answer)
		_ = buffered.Flush()
		_ = conn.Close()
	}
}

// TestErrors: what goes wrong on the way is an error that is no refusal, and tells
// nothing of what was sent or answered.
func TestErrors(t *testing.T) {
	t.Parallel()
	silent := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	for name, test := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"closed at once":     {hijack(""), "the connection was closed before the answer was complete"},
		"cut in the header":  {hijack("HTTP/1.1 200 OK\r\nX-S3cr3t: s3cr"), "the connection was closed before the answer was complete"},
		"not HTTP":           {hijack("s3cr3t of the receiver\r\n\r\n"), "the answer could not be read"},
		"header too large":   {hijack("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("s3cr3t", 100<<10) + "\r\n\r\n"), "the answer could not be read"},
		"header not allowed": {hijack("HTTP/1.1 200 OK\r\ns3cr3t\r\n\r\n"), "the answer could not be read"},
		"silent":             {silent, "no answer in time: context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := receiver(t, test.serve, func(s *subscription.Subscription) {
				s.Spec.Sink.URL += "&s3cr3t=1"
				s.Secrets.Headers = map[string]tuoguan.Secret{"Authorization": tuoguan.NewSecret("s3cr3t")}
				s.Spec.Sink.Timeout = 1
			})
			receipt, err := w.Send(t.Context(), message(textPush))
			var refusal *sink.Refusal
			if err == nil || errors.As(err, &refusal) || err.Error() != test.want {
				t.Errorf("%q, %v, want %q", err, refusal, test.want)
			}
			if receipt.Reply != nil || strings.Contains(strings.ToLower(fmt.Sprintf("%+v %+v", err, receipt)), "s3cr3t") {
				t.Errorf("%v, %v", receipt, err)
			}
		})
	}
}

// TestUnreachable: likewise, of what is not there or not TLS.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = nobody.Close()
	for name, test := range map[string]struct{ url, want string }{
		"nobody listens":      {"http://" + nobody.Addr().String() + "/?s3cr3t", "connection refused"},
		"not TLS":             {strings.Replace(plain.URL, "http", "https", 1) + "/?s3cr3t", "the receiver does not speak TLS"},
		"unknown authority":   {secure.URL + "/?s3cr3t", "certificate not accepted: "},
		"no name server":      {"https://hooks.example.com/?s3cr3t", "the host name could not be looked up"},
		"TLS, called by http": {strings.Replace(secure.URL, "https", "http", 1) + "/?s3cr3t", "refused with 400: Bad Request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := egress.New(egress.Config{
				Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
				Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
					return nil, errors.New("s3cr3t")
				}},
			})
			t.Cleanup(g.Transport().CloseIdleConnections)
			w := open(t, spec(test.url), Config{Guard: g})
			_, err := w.Send(t.Context(), message(textPush))
			if err == nil || !strings.HasPrefix(err.Error(), test.want) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}

// TestBlocked: a URL that was allowed when it was kept, and is not any more, is not called.
func TestBlocked(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	w := open(t, spec(s.URL), Config{Guard: guard(t)})
	w.cfg.Guard = egress.New(egress.Config{})
	if _, err := w.Send(t.Context(), message(textPush)); !errors.Is(err, sink.ErrBlocked) || connections.Load() > 0 {
		t.Errorf("%v, %d connections", err, connections.Load())
	}
}

// TestTLS: by HTTP/2 where the receiver speaks it.
func TestTLS(t *testing.T) {
	t.Parallel()
	major := 0
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { major = r.ProtoMajor }))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	g := guard(t)
	g.Transport().TLSClientConfig.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	g.Transport().TLSClientConfig.MinVersion = tls.VersionTLS13
	if _, err := open(t, spec(s.URL), Config{Guard: g}).Send(t.Context(), message(textPush)); err != nil || major != 2 {
		t.Errorf("HTTP/%d, %v", major, err)
	}
}

// TestSlowBody: once the status is there, a body that does not end holds nothing up.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(w http.ResponseWriter) bool{
		"never ends": func(w http.ResponseWriter) bool { _, err := w.Write(make([]byte, 4<<10)); return err == nil },
		"trickles": func(w http.ResponseWriter) bool {
			time.Sleep(10 * time.Millisecond)
			_, err := w.Write([]byte{'x'})
			return err == nil
		},
		"hangs": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			written := 0
			done := make(chan struct{})
			w := receiver(t, func(w http.ResponseWriter, r *http.Request) {
				defer close(done)
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(http.StatusOK)
				_ = http.NewResponseController(w).Flush()
				if write == nil {
					<-r.Context().Done()
					return
				}
				for write(w) && r.Context().Err() == nil {
					_ = http.NewResponseController(w).Flush()
					written++
				}
			})
			begun := time.Now()
			if receipt, err := w.Send(t.Context(), message(textPush)); err != nil || receipt.Status != 200 {
				t.Errorf("%v, %v", receipt, err)
			}
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("after %v", took)
			}
			<-done // so the connection was given up
		})
	}
}

func TestReply(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status      int
		contentType string
		body        string
		want        string
		refused     string
	}{
		"xml":       {200, "text/xml", `<xml><MsgType>text</MsgType></xml>`, `<xml><MsgType>text</MsgType></xml>`, ""},
		"json":      {200, "application/json", ` {"msg_type":"text","content":"hi"}`, ` {"msg_type":"text","content":"hi"}`, ""},
		"none":      {200, "", "", "", ""},
		"204":       {204, "", "", "", ""},
		"success":   {200, "text/plain", " success\n", "", ""},
		"largest":   {200, "text/xml", strings.Repeat("x", maxAnswer), strings.Repeat("x", maxAnswer), ""},
		"too large": {200, "text/xml", strings.Repeat("x", maxAnswer+1), "", "refused with 200: the reply is larger than 64 KiB"},
		"failed":    {500, "text/xml", "<xml></xml>", "", "refused with 500: Internal Server Error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := message(textPush)
			m.ReplyBy = time.Now().Add(3 * time.Second)
			header := ""
			w := receiver(t, func(w http.ResponseWriter, r *http.Request) {
				header = r.Header.Get("Tuoguan-Reply-By")
				w.Header().Set("Content-Type", test.contentType)
				w.WriteHeader(test.status)
				if test.status != 204 {
					_, _ = io.WriteString(w, test.body)
				}
			})
			receipt, err := w.Send(t.Context(), m)
			if string(receipt.Reply) != test.want || receipt.Status != test.status || test.want != "" && receipt.ContentType != test.contentType {
				t.Errorf("%d %s %.100q", receipt.Status, receipt.ContentType, receipt.Reply)
			}
			if text := fmt.Sprint(err); err != nil && text != test.refused || err == nil && test.refused != "" {
				t.Errorf("%v, want %q", err, test.refused)
			}
			if want := m.ReplyBy.UTC().Format("2006-01-02T15:04:05.000Z"); header != want {
				t.Errorf("Tuoguan-Reply-By %q, want %q", header, want)
			}
		})
	}
}

// TestLateReply: nobody waits beyond the deadline of a reply, even for its body.
func TestLateReply(t *testing.T) {
	t.Parallel()
	w := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "<xml>")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	m := message(textPush)
	m.ReplyBy = time.Now().Add(200 * time.Millisecond)
	begun := time.Now()
	receipt, err := w.Send(t.Context(), m)
	if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || receipt.Reply != nil || took > 3*time.Second {
		t.Errorf("%v, %v, after %v", receipt, err, took)
	}
	m.ReplyBy = time.Now().Add(-time.Second)
	if _, err := w.Send(t.Context(), m); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// poison is a format that panics.
type poison struct{ value any }

func (p poison) write(sink.Message, time.Time) (content, error) { panic(p.value) }
func (poison) open(sink.Message, *sink.Receipt) error           { return nil }

// TestPoison: an event that cannot be encoded is refused for good, and alone.
func TestPoison(t *testing.T) {
	t.Parallel()
	calls := 0
	w := receiver(t, func(http.ResponseWriter, *http.Request) { calls++ })
	working := w.format
	var list []int
	for _, f := range []format{poison{"s3cr3t"}, poison{func() (v any) {
		defer func() { v = recover() }()
		return list[5]
	}()}} {
		w.format = f
		var refusal *sink.Refusal
		if _, err := w.Send(t.Context(), message(textPush)); !errors.As(err, &refusal) || !refusal.Final || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%v", err)
		}
	}
	w.format = working
	ticket := message(`<xml><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>s3cr3t</ComponentVerifyTicket></xml>`)
	empty := message(textPush)
	empty.Event.Body = nil
	for _, m := range []sink.Message{ticket, empty} {
		var refusal *sink.Refusal
		if _, err := w.Send(t.Context(), m); !errors.As(err, &refusal) || !refusal.Final || calls > 0 {
			t.Errorf("%v, %d calls", err, calls)
		}
	}
	if _, err := w.Send(t.Context(), message(textPush)); err != nil || calls != 1 {
		t.Errorf("%v, %d calls", err, calls)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{})
	w := receiver(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(reached)
		<-r.Context().Done()
	})
	result := make(chan error)
	go func() {
		_, err := w.Send(t.Context(), message(textPush))
		result <- err
	}()
	<-reached
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := w.Send(t.Context(), message(textPush)); err == nil {
		t.Error("sent after Close")
	}
}

// TestRestart: a receiver that has closed the connections which were open to it is
// reached all the same.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	w := open(t, spec(s.URL), Config{Guard: guard(t)})
	for range 50 {
		if _, err := w.Send(t.Context(), message(textPush)); err != nil {
			t.Fatal(err)
		}
		s.CloseClientConnections()
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	const good = "https://hooks.example.com/"
	for name, test := range map[string]struct {
		url    string
		change func(*subscription.Subscription)
		want   string
	}{
		"usual":           {good, func(*subscription.Subscription) {}, ""},
		"format left out": {good, func(s *subscription.Subscription) { s.Spec.Sink.Format = "" }, ""},
		"private URL":     {"https://192.168.0.1/", func(*subscription.Subscription) {}, "not public"},
		"unknown format":  {good, func(s *subscription.Subscription) { s.Spec.Sink.Format = "soap" }, "unknown format"},
		"no key":          {good, func(s *subscription.Subscription) { s.Secrets.Signing = nil }, "no signing key"},
		"ended key":       {good, func(s *subscription.Subscription) { s.Secrets.Signing[0].Until = time.Now() }, "no signing key"},
		"short key": {good, func(s *subscription.Subscription) {
			s.Secrets.Signing[0].Key = tuoguan.NewSecret("whsec_c2hvcnQ=")
		}, "signing key 1"},
		"bare key": {good, func(s *subscription.Subscription) {
			s.Secrets.Signing[0].Key = tuoguan.NewSecret(strings.TrimPrefix(firstKey.Reveal(), "whsec_"))
		}, "signing key 1"},
		"not base64": {good, func(s *subscription.Subscription) {
			s.Secrets.Signing[0].Key = tuoguan.NewSecret("whsec_" + strings.Repeat("!", 44))
		}, "signing key 1"},
		"wechat": {good, func(s *subscription.Subscription) {
			s.Spec.Sink.Format = subscription.WeChat
			s.Secrets = subscription.Secrets{Token: tuoguan.NewSecret("token123"), EncodingAESKey: tuoguan.NewSecret(strings.Repeat("A", 43))}
		}, ""},
		"wechat without a key": {good, func(s *subscription.Subscription) {
			s.Spec.Sink.Format = subscription.WeChat
			s.Secrets = subscription.Secrets{Token: tuoguan.NewSecret("token123"), EncodingAESKey: tuoguan.NewSecret("s3cr3t")}
		}, "EncodingAESKey"},
		"two mistakes": {"ftp://x/", func(s *subscription.Subscription) { s.Secrets.Signing = nil }, "https"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := New(spec(test.url, test.change), Config{Guard: egress.New(egress.Config{})})
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				_ = w.Close()
				return
			}
			if err == nil || w != nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
	for seconds, want := range map[int]time.Duration{0: 15 * time.Second, 5: 5 * time.Second, 60: time.Minute, 61: time.Minute, 1 << 40: time.Minute} {
		w, err := New(spec(good, func(s *subscription.Subscription) { s.Spec.Sink.Timeout = seconds }), Config{Guard: egress.New(egress.Config{})})
		if err != nil || w.timeout != want {
			t.Errorf("%d seconds: %v, %v", seconds, w.timeout, err)
		}
		_ = w.Close()
	}
}

// BenchmarkWebhook is what a delivery costs: an event written down, signed, sent by
// HTTP to a receiver in this process and confirmed; beside it the floor, the same bytes
// posted by an http.Client.
func BenchmarkWebhook(b *testing.B) {
	var received atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		received.Add(1)
	}))
	b.Cleanup(s.Close)
	m := message(textPush)
	run := func(name string, send func(context.Context) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(8) // times the processors: 16 on two
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := send(b.Context()); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "webhooks/s")
		})
	}
	for name, change := range map[string]func(*subscription.Subscription){
		"cloudevents": func(*subscription.Subscription) {},
		"wechat":      inWeChat,
	} {
		w := open(b, spec(s.URL, change), Config{Guard: guard(b)})
		run(name, func(ctx context.Context) error {
			_, err := w.Send(ctx, m)
			return err
		})
	}
	body, err := event.CloudEvent(m.Event)
	if err != nil {
		b.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	b.Cleanup(client.CloseIdleConnections)
	run("floor", func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, strings.NewReader(string(body)))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/cloudevents+json")
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, answer.Body)
		return errors.Join(err, answer.Body.Close())
	})
}
