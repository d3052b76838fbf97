package wxapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/awake"
)

// Config says how a [Client] reaches WeChat. The zero Config is usable for calls
// that need no token.
type Config struct {
	// Tokens hands out the tokens that calls carry. Without it calls that need one
	// fail with [ErrNoTokenSource].
	Tokens TokenSource

	// BaseURLs are the API's addresses in order of preference. Defaults to
	// https://api.weixin.qq.com, then https://api2.weixin.qq.com. A path in a base
	// URL is put before every path. Plain http is accepted for loopback hosts only.
	BaseURLs []string
	// MPBaseURL is where merchants open the PC authorization page. Defaults to
	// https://mp.weixin.qq.com.
	MPBaseURL string
	// OpenBaseURL is where the mobile authorization page and web OAuth are.
	// Defaults to https://open.weixin.qq.com.
	OpenBaseURL string

	// HTTPClient sends the requests. It is copied; the copy follows no redirects
	// and keeps no cookies. Defaults to one of the client's own with a time limit on
	// each phase, which uses the proxy that the environment names.
	HTTPClient *http.Client
	// Timeout bounds one exchange with WeChat, all base URLs that it tries taken
	// together. A call is one exchange, one more if its token is refused, and up to
	// three more if WeChat is busy and the call may be repeated. Waiting for a token
	// is not counted; ctx bounds the whole. Defaults to 10 s.
	Timeout time.Duration
	// Clock tells when tokens expire. Defaults to the system's.
	Clock *tuoguan.Clock
	// Logger is told about replies that are odd and used nevertheless, and about
	// base URLs that fail. Defaults to none.
	Logger *slog.Logger
	// Observe, if set, is called after each exchange, for metrics. It must be fast
	// and safe for concurrent use.
	Observe func(Exchange)
}

// Exchange describes one request to WeChat and what became of it.
type Exchange struct {
	// Op is the platform's name of the call, such as "api_authorizer_token", or the
	// path where it has none.
	Op string
	// Host is the host and port that was asked last.
	Host string
	// Duration is real time, whatever Config.Clock says.
	Duration time.Duration
	// HTTPStatus is 0 if there was no reply.
	HTTPStatus int
	// Err is what the call would fail with if it ended here, or nil.
	Err error
}

const (
	defaultTimeout = 10 * time.Second
	// connectTimeout bounds dialing and TLS each, so that a dead host leaves time to
	// try the next.
	connectTimeout = 3 * time.Second
)

func (cfg Config) withDefaults() Config {
	if len(cfg.BaseURLs) == 0 {
		cfg.BaseURLs = []string{"https://api.weixin.qq.com", "https://api2.weixin.qq.com"}
	}
	if cfg.MPBaseURL == "" {
		cfg.MPBaseURL = "https://mp.weixin.qq.com"
	}
	if cfg.OpenBaseURL == "" {
		cfg.OpenBaseURL = "https://open.weixin.qq.com"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{Transport: newTransport()}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Observe == nil {
		cfg.Observe = func(Exchange) {}
	}
	return cfg
}

// newTransport speaks HTTP/1.1 only: one dead HTTP/2 connection would hold up all
// calls at once until their deadlines. How long an answer may take is the call's own.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout: connectTimeout,
		IdleConnTimeout:     30 * time.Second,
		MaxIdleConns:        128,
		MaxIdleConnsPerHost: 64,
	}
}

// Client calls WeChat. It is safe for concurrent use and starts no goroutines of
// its own.
type Client struct {
	tokens     TokenSource
	hosts      *hosts
	mp, open   *url.URL
	httpClient *http.Client
	timeout    time.Duration
	clock      *tuoguan.Clock
	logger     *slog.Logger
	observe    func(Exchange)
}

// New makes a Client. It does not call WeChat. The error joins all mistakes of cfg.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	var mistakes []error
	parse := func(field, raw string) *url.URL {
		u, err := parseBaseURL(raw)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", field, err))
		}
		return u
	}
	var bases []*url.URL
	for i, raw := range cfg.BaseURLs {
		bases = append(bases, parse(fmt.Sprintf("BaseURLs[%d]", i), raw))
	}
	mp, open := parse("MPBaseURL", cfg.MPBaseURL), parse("OpenBaseURL", cfg.OpenBaseURL)
	if cfg.Timeout < 0 {
		mistakes = append(mistakes, errors.New("negative Timeout"))
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, fmt.Errorf("wxapi: configuration: %w", err)
	}
	httpClient := *cfg.HTTPClient
	httpClient.Jar = nil
	httpClient.CheckRedirect = func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the query holds a token
	}
	return &Client{
		tokens:     cfg.Tokens,
		hosts:      &hosts{bases: bases},
		mp:         mp,
		open:       open,
		httpClient: &httpClient,
		timeout:    cfg.Timeout,
		clock:      cfg.Clock,
		logger:     cfg.Logger,
		observe:    cfg.Observe,
	}, nil
}

// parseBaseURL never repeats raw in an error: it may hold a password.
func parseBaseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("not a URL")
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return nil, errors.New("not an absolute http or https URL")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return nil, errors.New("must have no user, query or fragment")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("plain http to %s: tokens would travel in clear; only loopback hosts may have it", u.Hostname())
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// CloseIdleConnections closes connections that are not in use.
func (c *Client) CloseIdleConnections() { c.httpClient.CloseIdleConnections() }

// A request describes a call. It is built once; each attempt makes its own
// http.Request from it, with the token of that moment.
type request struct {
	op     string // for errors
	method string
	path   string
	query  url.Values // without the token
	body   []byte     // nil for GET
	owner  tuoguan.TokenOwner
	with   carried
	// repeatable: sending the request twice does no more than sending it once.
	repeatable bool
	maxReply   int64
	// secrets are those in query and body, to be removed from error texts. The token
	// is added to a copy.
	secrets []tuoguan.Secret
}

// maxBusyRetries is how often a repeatable call is repeated when WeChat is busy.
const maxBusyRetries = 3

// call carries out r and decodes a success into out. A token that is refused is
// replaced once, and a busy WeChat is asked again if r is repeatable.
func (c *Client) call(ctx context.Context, r request, out any) (reply, error) {
	if r.with == anyToken {
		r.with = carriedBy(r.owner)
	}
	token, err := c.token(ctx, &r)
	if err != nil {
		return reply{}, err
	}
	replaced := false
	for busy := 0; ; {
		got, err := c.exchange(ctx, r, token, out)
		refused, ok := errors.AsType[*APIError](err)
		switch {
		case !ok:
			return got, err

		case refused.Class == ErrTokenInvalid && !replaced && r.owner != tuoguan.TokenOwner{}:
			replaced = true
			fresh, replaceErr := c.tokens.Invalidate(ctx, r.owner, token)
			if replaceErr != nil {
				return reply{}, fmt.Errorf("%s: replace the token refused with errcode %d: %w", r.op, refused.Code, replaceErr)
			}
			if fresh.Value.IsZero() || fresh.Value.Equal(token) {
				return reply{}, err
			}
			token = fresh.Value

		case refused.Code == codeBusy && r.repeatable && busy < maxBusyRetries:
			if !sleep(ctx, r.busyDelay(busy)) {
				return reply{}, err
			}
			busy++

		default:
			return reply{}, err
		}
	}
}

// busyDelay is about 100 ms, 200 ms, 400 ms. It differs between requests, so that
// they do not come again all at once, and is the same for the same, so that a run
// can be repeated.
func (r *request) busyDelay(attempt int) time.Duration {
	base := 100 * time.Millisecond << attempt
	h := fnv.New32a()
	_, _ = h.Write(r.body)
	_, _ = io.WriteString(h, r.path)
	return base/2 + base*time.Duration(h.Sum32()%1024)/1024
}

// sleep waits for d and reports whether ctx lasted that long.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// token gets the token that r has to carry; none for a request without an owner.
func (c *Client) token(ctx context.Context, r *request) (tuoguan.Secret, error) {
	if (r.owner == tuoguan.TokenOwner{}) {
		return tuoguan.Secret{}, nil
	}
	if c.tokens == nil {
		return tuoguan.Secret{}, fmt.Errorf("%s: %w", r.op, ErrNoTokenSource)
	}
	token, err := c.tokens.Token(ctx, r.owner)
	if err != nil {
		return tuoguan.Secret{}, fmt.Errorf("%s: %w", r.op, err)
	}
	if token.Value.IsZero() {
		return tuoguan.Secret{}, fmt.Errorf("%s: the token source returned an empty token", r.op)
	}
	return token.Value, nil
}

// tokenParameter is the name under which the query carries the token. WeChat's
// newer pages say access_token for a component's token too; both work, and on the
// paths below the older name works everywhere.
func (r *request) tokenParameter() string {
	if r.with == componentToken &&
		(strings.HasPrefix(r.path, "/cgi-bin/component/") || strings.HasPrefix(r.path, "/sns/")) {
		return "component_access_token"
	}
	return "access_token"
}

// exchange sends r with token to one base URL after the other, as far as that is
// safe, and judges the reply.
func (c *Client) exchange(ctx context.Context, r request, token tuoguan.Secret, out any) (reply, error) {
	began := time.Now()
	caller := ctx
	// What answers only once must be heard, even if this process was stopped meanwhile.
	withTimeout := awake.WithTimeout
	if r.repeatable {
		withTimeout = context.WithTimeout
	}
	ctx, cancel := withTimeout(ctx, c.timeout)
	defer cancel()
	if !token.IsZero() {
		r.secrets = append(r.secrets[:len(r.secrets):len(r.secrets)], token)
	}

	var got reply
	var failure error // the most that is known to have gone wrong
	order := c.hosts.order()
	var host string
	for i, base := range order {
		host = base.Host
		var err error
		got, err = c.attempt(ctx, &r, base, token, len(order)-i)
		if err == nil {
			err = r.decode(got.status, got.body, out)
		}
		if err == nil || !hostIsUnwell(got.status, err) {
			c.hosts.answered(base)
			failure = err
			break
		}
		if failure == nil || errors.Is(failure, ErrNotSent) {
			failure = err
		}
		if i == len(order)-1 || caller.Err() != nil || !r.mayGoElsewhere(err) {
			break
		}
		c.logger.Warn("base URL failed, trying the next", "op", r.op, "host", host, "err", err)
	}
	c.observe(Exchange{Op: r.op, Host: host, Duration: time.Since(began), HTTPStatus: got.status, Err: failure})
	return got, failure
}

// hostIsUnwell reports whether another base URL might do better.
func hostIsUnwell(status int, err error) bool {
	_, transport := errors.AsType[*TransportError](err)
	return transport || status >= http.StatusInternalServerError
}

// mayGoElsewhere reports whether r may be sent to another base URL after err.
func (r *request) mayGoElsewhere(err error) bool {
	return r.repeatable || errors.Is(err, ErrNotSent)
}

// attempt sends r to base. left counts the base URLs not tried yet, this one
// included: a repeatable request leaves them their share of the time.
func (c *Client) attempt(ctx context.Context, r *request, base *url.URL, token tuoguan.Secret, left int) (reply, error) {
	failed := func(sent bool, err error) error {
		if cause := context.Cause(ctx); errors.Is(err, context.Canceled) && cause != nil {
			err = cause // time has run out, perhaps
		}
		return &TransportError{Op: r.op, Host: base.Host, Sent: sent, Err: scrubError(err, r.secrets)}
	}
	if err := ctx.Err(); err != nil {
		return reply{}, failed(false, err)
	}
	if deadline, ok := ctx.Deadline(); ok && r.repeatable && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}

	var progress progress
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, progress.trace()), r.method, base.String(), nil)
	if err != nil {
		return reply{}, failed(false, err)
	}
	target := *base
	target.Path += r.path
	query := url.Values{}
	for name, values := range r.query {
		query[name] = values
	}
	if !token.IsZero() {
		query.Set(r.tokenParameter(), token.Reveal())
	}
	target.RawQuery = query.Encode()
	req.URL = &target
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "identity") // a compressed reply could grow
	req.Header.Set("User-Agent", "tuoguan")
	switch {
	case r.body != nil:
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
		req.ContentLength = int64(len(r.body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.body)), nil }
		req.Body, _ = req.GetBody()
	case !r.repeatable:
		// With a body that it cannot rewind, net/http does not silently send a GET a
		// second time when the connection breaks. It finds out that the body is empty
		// and sends none.
		req.Body = io.NopCloser(strings.NewReader(""))
	}

	sentAt := c.clock.Now()
	resp, err := c.httpClient.Do(req)
	if err != nil {
		return reply{}, failed(!progress.neverSent(err), err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, r.maxReply+1))
	got := reply{client: c, op: r.op, status: resp.StatusCode, body: body, sentAt: sentAt}
	if err != nil {
		return got, failed(true, err)
	}
	if int64(len(body)) > r.maxReply {
		return got, got.unusable("too large")
	}
	return got, nil
}

// progress follows how far a request came. net/http may call the trace from other
// goroutines.
type progress struct{ traced, wrote atomic.Bool }

func (p *progress) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn:      func(string) { p.traced.Store(true) },
		WroteHeaders: func() { p.wrote.Store(true) },
	}
}

// neverSent reports whether the request certainly did not leave. Of a transport
// that is not net/http's nothing is certain.
func (p *progress) neverSent(err error) bool {
	return (p.traced.Load() && !p.wrote.Load()) || dialFailed(err)
}
