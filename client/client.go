package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
)

// Config says where the server is and who asks. APIKey is required.
type Config struct {
	// AdminURL is the address of the admin listener, where the REST API is. Defaults
	// to http://127.0.0.1:8081. A path in it is put before every path.
	AdminURL string
	// GatewayURL is the address of the gateway listener. Defaults to
	// http://127.0.0.1:8082.
	GatewayURL string
	// APIKey opens both. It goes over the network as it is: use https where the
	// network is not your own.
	APIKey tuoguan.Secret
	// Component is the component meant by a [tuoguan.TokenOwner] that names none, and
	// by methods that are not told one. Without it the server finds the component,
	// which it can as long as an account has authorized one only.
	Component tuoguan.ComponentAppID

	// HTTPClient sends the requests. It is copied; the copy follows no redirects and
	// keeps no cookies. Defaults to one of the client's own with a time limit on each
	// phase, which uses no proxy.
	HTTPClient *http.Client
	// Timeout bounds one attempt of a request to the REST API. Defaults to 45 s, for
	// a token may have to be refreshed first. The gateway is not bounded by it.
	Timeout time.Duration
	// Patience is how long a request that may be repeated is tried again while the
	// server is away; ctx may end it earlier. Defaults to 15 s; a negative one means
	// a single attempt.
	Patience time.Duration
	// Logger is told, at debug level, about attempts that are repeated and about
	// tokens handed out while the server is away. Defaults to none.
	Logger *slog.Logger
}

func (cfg Config) withDefaults() Config {
	if cfg.AdminURL == "" {
		cfg.AdminURL = "http://127.0.0.1:8081"
	}
	if cfg.GatewayURL == "" {
		cfg.GatewayURL = "http://127.0.0.1:8082"
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{}
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 45 * time.Second
	}
	if cfg.Patience == 0 {
		cfg.Patience = 15 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// newTransport uses no proxy: server and gateway are of one's own network, and the
// key must not pass anybody else.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		TLSHandshakeTimeout:   3 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		IdleConnTimeout:       30 * time.Second,
		MaxIdleConns:          128,
		MaxIdleConnsPerHost:   64,
	}
}

// Client calls a Tuoguan server. Make it with [New].
type Client struct {
	admin, gateway *url.URL
	key            tuoguan.Secret
	component      tuoguan.ComponentAppID
	http           *http.Client
	timeout        time.Duration
	patience       time.Duration
	logger         *slog.Logger
	tokens         cache
}

// New makes a Client. It sends nothing. The error joins all mistakes of cfg.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	var mistakes []error
	parse := func(field, raw string) *url.URL {
		u, err := parseBaseURL(raw)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s %w", field, err))
		}
		return u
	}
	admin, gateway := parse("AdminURL", cfg.AdminURL), parse("GatewayURL", cfg.GatewayURL)
	switch key := cfg.APIKey.Reveal(); {
	case key == "":
		mistakes = append(mistakes, errors.New("APIKey is required"))
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		mistakes = append(mistakes, errors.New("APIKey has a character that no key has"))
	}
	if cfg.Timeout < 0 {
		mistakes = append(mistakes, errors.New("a Timeout cannot be negative"))
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	sender := *cfg.HTTPClient
	if sender.Transport == nil {
		sender.Transport = newTransport()
	}
	sender.Jar = nil
	sender.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		admin: admin, gateway: gateway, key: cfg.APIKey, component: cfg.Component,
		http: &sender, timeout: cfg.Timeout, patience: cfg.Patience, logger: cfg.Logger,
	}, nil
}

// Format prints where the server is, for every verb: what is printed of a struct's
// fields would be the key as it is.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "client of "+c.admin.String()) }

// parseBaseURL does not repeat what it is given, which may hold a password.
func parseBaseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(raw, "/"))
	switch {
	case err != nil:
		return nil, errors.New("is no URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, errors.New("must begin with http:// or https:// and name a host")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("must have neither user nor query nor fragment")
	}
	return u, nil
}

// request is one request to the REST API.
type request struct {
	method string
	path   []string // segments, not escaped
	query  url.Values
	header http.Header
	body   any  // nil for none
	again  bool // it may be repeated: it changes nothing, or nothing twice
}

func get(path ...string) request {
	return request{method: http.MethodGet, path: path, again: true}
}

func post(body any, path ...string) request {
	return request{method: http.MethodPost, path: path, body: body}
}

// create is a post that makes something. With its Idempotency-Key the server does it
// once, however often it is sent.
func create(body any, path ...string) request {
	r := post(body, path...)
	r.header, r.again = http.Header{"Idempotency-Key": {rand.Text()}}, true
	return r
}

// ifMatch is the header of a change that assumes a state, unless etag is "".
func ifMatch(etag string) http.Header {
	if etag == "" {
		return nil
	}
	return http.Header{"If-Match": {etag}}
}

func (r request) with(query url.Values) request {
	r.query = query
	return r
}

// reply is what is needed of a reply besides its body.
type reply struct {
	header http.Header
	begun  time.Time // when the request was begun
}

// call sends a request, again if it may be repeated and the server is away, and
// decodes the reply into out.
func (c *Client) call(ctx context.Context, r request, out any) (reply, error) {
	var deadline time.Time
	if r.again && c.patience > 0 {
		deadline = time.Now().Add(c.patience)
	}
	for attempt := 0; ; attempt++ {
		got, err := c.once(ctx, r, out)
		if err == nil || !transient(err) || ctx.Err() != nil {
			return got, err
		}
		pause := backOff(attempt)
		if time.Now().Add(pause).After(deadline) {
			return got, err
		}
		c.logger.DebugContext(ctx, "the server is away, trying again", "attempt", attempt+1, "pause", pause, "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return got, fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// backOff returns how long to wait after an attempt: 100 ms at first, twice as long
// each time up to 2 s, of which a half is jitter.
func backOff(attempt int) time.Duration {
	longest := min(100*time.Millisecond<<min(attempt, 10), 2*time.Second)
	return longest/2 + mathrand.N(longest/2)
}

// maxReply bounds what is read of a reply.
const maxReply = 16 << 20

// once makes one attempt.
func (c *Client) once(ctx context.Context, r request, out any) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	address := below(c.admin, r.path, "")
	address.RawQuery = r.query.Encode()
	var sent io.Reader
	if r.body != nil {
		raw, err := json.Marshal(r.body)
		if err != nil {
			return reply{}, fmt.Errorf("client: %w", err)
		}
		sent = bytes.NewReader(raw)
	}
	request, err := http.NewRequestWithContext(ctx, r.method, address.String(), sent)
	if err != nil {
		return reply{}, fmt.Errorf("client: %w", err)
	}
	for name, values := range r.header {
		request.Header[name] = values
	}
	request.Header.Set("Authorization", "Bearer "+c.key.Reveal())
	request.Header.Set("Accept", "application/json, application/problem+json")
	if r.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	got := reply{begun: time.Now()}
	response, err := c.http.Do(request)
	if err != nil {
		return got, &unanswered{c.admin.String(), cause(err)}
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	got.header = response.Header
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	switch {
	case err != nil:
		return got, &unanswered{c.admin.String(), cause(err)}
	case response.StatusCode >= http.StatusMultipleChoices:
		return got, problemOf(c.admin.String(), response, raw)
	case out == nil:
		return got, nil
	}
	if json.Unmarshal(raw, out) != nil { // the error may quote the body
		return got, &Error{Status: response.StatusCode, Title: c.admin.String() + " answered " + response.Status + " with something that is no answer of tuoguan's"}
	}
	return got, nil
}

// below returns the address of a path below a base URL: of segments, each escaped so
// that it stays one, and of a rest that is escaped already.
func below(base *url.URL, segments []string, rest string) *url.URL {
	address := *base
	address.RawPath = base.EscapedPath()
	for _, segment := range segments {
		escaped := url.PathEscape(segment)
		if strings.Trim(segment, ".") == "" {
			escaped = strings.ReplaceAll(segment, ".", "%2E")
		}
		address.RawPath += "/" + escaped
	}
	address.RawPath += rest
	address.Path, _ = url.PathUnescape(address.RawPath) // all of it was escaped properly
	return &address
}

// cause takes an error out of *url.Error, which repeats method and URL.
func cause(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
