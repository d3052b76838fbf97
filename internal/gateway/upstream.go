package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tuoguan/tuoguan/internal/problem"
)

// NewTransport returns what the gateway reaches WeChat with by default. It speaks
// HTTP/1.1 only, as one dead HTTP/2 connection would hold up all calls at once; it
// asks for no compression, since replies are looked at; and it stops using a
// connection before the connection gives itself up.
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialMoving(&net.Dialer{Timeout: 3 * time.Second}),
		TLSHandshakeTimeout: 3 * time.Second,
		IdleConnTimeout:     stall - 10*time.Second,
		MaxIdleConns:        512,
		MaxIdleConnsPerHost: 128,
		DisableCompression:  true,
	}
}

// upstream is WeChat: several addresses of the same service.
type upstream struct {
	transport http.RoundTripper
	hosts     hosts
	logger    *slog.Logger
}

// outbound is a request to WeChat. Each attempt makes its own http.Request from it.
type outbound struct {
	method, path, query string // the query has the token
	header              http.Header
	body                body
	token               string // to be kept out of errors
	// repeatable: it may be sent again though it is not known what became of it.
	repeatable bool
}

// body is what a request carries: held in memory, to be sent as often as needed, or
// else a stream that can be sent once.
type body struct {
	held   []byte
	stream *upload
	length int64 // of stream; -1 if unknown
}

// do sends a request to one address after the other, as far as that is safe: to the
// next one if it never left, or if it may be repeated. The error is a [lostError].
func (u *upstream) do(ctx context.Context, out *outbound) (*http.Response, error) {
	var failure error // the most that is known to have gone wrong
	first, n := u.hosts.first(), len(u.hosts.bases)
	for i := range n {
		index := u.hosts.nth(first, i)
		base := u.hosts.bases[index]
		response, err := u.attempt(ctx, out, base)
		last := i == n-1
		if err == nil {
			if response.StatusCode < http.StatusInternalServerError {
				u.hosts.answered(index)
				return response, nil
			}
			if last || !out.repeatable {
				return response, nil
			}
			_ = response.Body.Close()
			u.logger.WarnContext(ctx, "base URL failed, trying the next", "path", out.path, "host", base.Host, "status", response.StatusCode)
			continue
		}
		if failure == nil || err.sent {
			failure = err
		}
		if last || ctx.Err() != nil || err.sent && !out.repeatable {
			break
		}
		u.logger.WarnContext(ctx, "base URL failed, trying the next", "path", out.path, "host", base.Host, "error", err)
	}
	return nil, failure
}

func (u *upstream) attempt(ctx context.Context, out *outbound, base *url.URL) (*http.Response, *lostError) {
	var way progress
	if !out.repeatable { // else it makes no difference how far it came
		ctx = httptrace.WithClientTrace(ctx, way.trace())
	}
	request := (&http.Request{
		Method: out.method, Host: base.Host, Header: out.header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		URL: &url.URL{Scheme: base.Scheme, Host: base.Host, Path: base.Path + out.path, RawQuery: out.query},
	}).WithContext(ctx)
	switch {
	case out.body.stream != nil:
		// Not closed by the transport: where it was not read it can go elsewhere.
		request.Body, request.ContentLength = io.NopCloser(out.body.stream), out.body.length
	case len(out.body.held) > 0:
		request.ContentLength = int64(len(out.body.held))
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.body.held)), nil }
		request.Body, _ = request.GetBody()
	case out.method == http.MethodGet && !out.repeatable:
		// With a body that it cannot rewind, net/http does not send a GET a second time
		// by itself when the connection breaks. It finds out that the body is empty.
		request.Body = io.NopCloser(strings.NewReader(""))
	}
	response, err := u.transport.RoundTrip(request)
	if err != nil {
		return nil, &lostError{sent: !way.neverSent(err), host: base.Host, token: out.token, cause: err}
	}
	return response, nil
}

// progress follows how far a request came. net/http calls the trace from other
// goroutines too.
type progress struct{ traced, wrote atomic.Bool }

func (p *progress) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn:      func(string) { p.traced.Store(true) },
		WroteHeaders: func() { p.wrote.Store(true) },
	}
}

// neverSent reports whether the request certainly did not leave. Of a transport that
// is not net/http's nothing is certain but that it could not connect.
func (p *progress) neverSent(err error) bool {
	var operation *net.OpError
	return p.traced.Load() && !p.wrote.Load() || errors.As(err, &operation) && operation.Op == "dial"
}

// lostError is a request without a reply.
type lostError struct {
	sent  bool // or perhaps
	host  string
	token string
	cause error
}

func (e *lostError) Error() string {
	outcome := "never sent"
	if e.sent {
		outcome = "outcome unknown"
	}
	text := e.cause.Error()
	if e.token != "" {
		text = strings.ReplaceAll(text, e.token, "[redacted]")
	}
	return fmt.Sprintf("%s: %s: %s", e.host, outcome, text)
}

var (
	neverSent = problem.WeChatUnanswered.With("WeChat cannot be reached; the request was not sent, so that it can be repeated safely",
		"无法连接微信；请求尚未发出，可安全重试")
	outcomeUnknown = problem.WeChatUnanswered.With("the request was sent and no answer came: outcome unknown; find out whether it took effect before you repeat it",
		"请求已发出但未收到应答，结果未知，重试前请先核实是否已生效").After(0)
)

// As makes the error the problem that callers are told.
func (e *lostError) As(target any) bool {
	p, ok := target.(*problem.Problem)
	if ok {
		*p = neverSent
		if e.sent {
			*p = outcomeUnknown
		}
	}
	return ok
}

// preferFor is how long an address that helped out stays first.
const preferFor = time.Minute

// hosts is the list of WeChat's addresses and the memory of which one works, by the
// rule that package wxapi follows with its own: a list of the gateway's own because
// its traffic must not wait for a lock, and because the client's is not for others.
type hosts struct {
	bases     []*url.URL
	preferred atomic.Int32 // index in bases
	until     atomic.Int64 // Unix nanoseconds
}

func trimmed(base *url.URL) *url.URL {
	base.Path, base.RawPath = strings.TrimRight(base.Path, "/"), ""
	return base
}

// first returns the index of the address to try first. Once its time is over, one
// request finds out whether the list's first is well again.
func (h *hosts) first() int {
	preferred := h.preferred.Load()
	if preferred == 0 {
		return 0
	}
	until, now := h.until.Load(), time.Now()
	if now.UnixNano() >= until && h.until.CompareAndSwap(until, now.Add(preferFor).UnixNano()) {
		return 0
	}
	return int(preferred)
}

// nth returns the index of the address to try as number i, counted from 0.
func (h *hosts) nth(first, i int) int {
	switch {
	case i == 0:
		return first
	case i <= first:
		return i - 1
	}
	return i
}

// answered makes an address the first, if it is not that already.
func (h *hosts) answered(index int) {
	if int(h.preferred.Load()) != index {
		h.until.Store(time.Now().Add(preferFor).UnixNano())
		h.preferred.Store(int32(index))
	}
}
