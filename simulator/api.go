package simulator

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const maxBody = 1 << 20

// tokenUse says whose token a call carries.
type tokenUse uint8

const (
	noToken tokenUse = iota
	componentToken
	authorizerToken
	eitherToken
)

// endpoint is one call of the platform's API.
type endpoint struct {
	path   string
	method string // the other one answers 43001 or 43002
	token  tokenUse
	// names are the query parameters that may carry the token, best first.
	names []string
	// sets are the permission sets of which the component needs any one; anySet
	// stands for whichever. Without both a standing authorization is enough.
	sets   []int
	anySet bool
	// lenient calls are documented with one method and used with the other too.
	lenient bool
	// noBody calls need no JSON, though they are POSTs.
	noBody bool
	handle func(*call) (any, errcode)
}

// raw is a reply that is not a JSON object.
type raw struct {
	contentType string
	disposition string
	body        []byte
}

// call is one request of the API on its way through the simulator.
type call struct {
	s       *Simulator
	now     time.Time
	e       *endpoint
	method  string
	path    string
	query   url.Values
	content string // Content-Type
	body    []byte
	ip      string

	multipart bool    // the body is a form, and not kept
	upload    *upload // the file in it, if there is one

	comp *component     // whose token it is, or the component that the token is for
	auth *authorization // whose token it is; nil for a component's own
	// target is the authorization that a component call concerns.
	target *authorization

	presented  map[string]string
	refreshing *authorization // counted as under way until the reply is out
	minting    *component
}

// present records a secret that the request carried.
func (c *call) present(name, secret string) {
	if secret == "" {
		return
	}
	if c.presented == nil {
		c.presented = make(map[string]string, 2)
	}
	c.presented[name] = hashOf(secret)
}

// decode reads the JSON body.
func (c *call) decode(v any) errcode {
	if err := json.Unmarshal(c.body, v); err != nil {
		return codeBadJSON
	}
	return 0
}

// abort says how a connection ends without a whole reply.
type abort uint8

const (
	whole       abort = iota
	resetBefore       // the connection is reset, nothing was done
	closedAfter       // it was done, the connection closes
)

// outcome is what goes out.
type outcome struct {
	status      int
	contentType string
	disposition string
	body        []byte
	abort       abort
}

// errorReply is WeChat's error object.
type errorReply struct {
	Errcode errcode `json:"errcode"`
	Errmsg  string  `json:"errmsg"`
}

var okReply = errorReply{0, "ok"}

//go:embed catalogue.txt
var catalogueText string

// endpoints returns every call that is known: those emulated, and those of the
// catalogue that are merely accepted.
func endpoints() (map[string]endpoint, error) {
	all := make(map[string]endpoint)
	for _, e := range slices.Concat(componentEndpoints(), quotaEndpoints(), userEndpoints(), openEndpoints(), behalfEndpoints()) {
		if e.names == nil && e.token != noToken {
			e.names = []string{"access_token"}
		}
		all[e.path] = e
	}
	for line := range strings.Lines(catalogueText) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Fields(line)
		if len(f) != 4 {
			return nil, fmt.Errorf("catalogue: %q does not have four columns", line)
		}
		if _, emulated := all[f[1]]; emulated {
			continue
		}
		e := endpoint{path: f[1], method: f[0], names: []string{"access_token"}, lenient: f[0] == http.MethodGet, handle: accepted}
		switch f[2] {
		case "component":
			e.token, e.names = componentToken, []string{"component_access_token", "access_token"}
		case "authorizer":
			e.token = authorizerToken
		}
		switch f[3] {
		case "-":
		case "any":
			e.anySet = true
		default:
			for _, id := range strings.Split(f[3], ",") {
				n, err := strconv.Atoi(id)
				if err != nil {
					return nil, fmt.Errorf("catalogue: %s: %w", f[1], err)
				}
				e.sets = append(e.sets, n)
			}
		}
		all[e.path] = e
	}
	return all, nil
}

// accepted answers calls that are known but not emulated.
func accepted(*call) (any, errcode) { return okReply, 0 }

// serve handles one request of the API, faults included, and journals it.
func (s *Simulator) serve(ctx context.Context, r *http.Request, ip string) outcome {
	f := s.Faults()
	path := r.URL.Path
	c := &call{s: s, now: s.now(), method: r.Method, path: path, ip: ip, content: r.Header.Get("Content-Type")}
	e, known := s.api[path]
	if !known {
		s.stats.count(path, 0)
		s.journal.add(Entry{Time: c.now, Kind: KindRequest, Method: r.Method, Path: path, Status: http.StatusNotFound})
		return outcome{status: http.StatusNotFound}
	}
	c.e, c.path = &e, e.path
	if out, refused := c.read(r); refused {
		return out
	}
	var out outcome
	var code errcode
	var rid string
	switch {
	case c.exempt():
		out, code, rid = c.process()
	case s.strikes(f.ConnectionReset, "connection_reset", e.path):
		out = outcome{abort: resetBefore}
	case s.strikes(f.HTTP5xx, "http_5xx", e.path):
		out = outcome{status: http.StatusBadGateway, contentType: "text/html", body: []byte(gatewayPage)}
	case s.strikes(f.HTMLReply, "html_reply", e.path):
		out = outcome{status: http.StatusOK, contentType: "text/html; charset=utf-8", body: []byte(busyPage)}
	case s.strikes(f.Busy, "busy", e.path):
		out, code, rid = c.fail(codeBusy)
	case s.strikes(f.QuotaExhausted, "quota_exhausted", e.path):
		out, code, rid = c.fail(codeQuota)
	default:
		out, code, rid = c.process()
		s.disfigure(f, c, &out)
		sleep(ctx, milliseconds(f.ReplyLatencyMS))
		if s.strikes(f.SlowReply, "slow_reply", e.path) {
			sleep(ctx, s.dice.between("slow", e.path, 0, milliseconds(f.SlowReplyMS)))
		}
	}
	c.finish()
	s.stats.count(e.path, code)
	entry := Entry{
		Time: c.now, Kind: KindRequest, Method: c.method, Path: c.path, Status: out.status, Errcode: int(code), RID: rid, Presented: c.presented,
	}
	if out.abort == resetBefore || out.abort == closedAfter {
		entry.Status = 0
	}
	if c.comp != nil {
		entry.ComponentAppID = c.comp.appid
	}
	for _, a := range []*authorization{c.auth, c.target} {
		if a != nil {
			entry.AuthorizerAppID = a.acct.appid
		}
	}
	s.journal.add(entry)
	return out
}

// exempt reports whether the call is the release check's customer-service
// message: a send that may or may not have happened cannot be repeated safely,
// so a fault there would fail clients that do everything right.
func (c *call) exempt() bool {
	if c.path != "/cgi-bin/message/custom/send" {
		return false
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	id, ok := c.s.mint.identify(c.query.Get("access_token"), secretAccessToken)
	return ok && int(id.owner) <= len(c.s.authorizations) && c.s.authorizations[id.owner-1].acct.testAccount
}

// read takes the request in.
func (c *call) read(r *http.Request) (outcome, bool) {
	var err error
	if c.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return outcome{status: http.StatusBadRequest}, true
	}
	if r.Body == nil || r.Body == http.NoBody {
		return outcome{}, false
	}
	if boundary := boundaryOf(c.content); boundary != "" {
		c.multipart = true
		c.upload, err = readUpload(r.Body, boundary)
	} else if c.body, err = io.ReadAll(io.LimitReader(r.Body, maxBody+1)); len(c.body) > maxBody {
		err = errTooLarge
	}
	switch {
	case errors.Is(err, errTooLarge):
		return outcome{status: http.StatusRequestEntityTooLarge}, true
	case err != nil:
		return outcome{abort: closedAfter}, true
	}
	return outcome{}, false
}

// process does what the call asks for and renders the reply.
func (c *call) process() (outcome, errcode, string) {
	value, code := c.run()
	if code != 0 {
		return c.fail(code)
	}
	if r, ok := value.(raw); ok {
		return outcome{status: http.StatusOK, contentType: r.contentType, disposition: r.disposition, body: r.body}, 0, ""
	}
	return outcome{status: http.StatusOK, contentType: jsonType, body: render(value)}, 0, ""
}

const jsonType = "application/json; encoding=utf-8"

// run checks the call in the order in which the platform seems to, then handles it.
func (c *call) run() (any, errcode) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.method != c.e.method && !c.e.lenient {
		if c.e.method == http.MethodPost {
			return nil, codeNeedPOST
		}
		return nil, codeNeedGET
	}
	if code := c.authenticate(); code != 0 {
		return nil, code
	}
	if c.method == http.MethodPost && !c.e.noBody && c.e.method == http.MethodPost && !c.multipart {
		if len(c.body) == 0 {
			return nil, codeEmptyBody
		}
		if !json.Valid(c.body) {
			return nil, codeBadJSON
		}
	}
	if code := c.spendQuota(); code != 0 {
		return nil, code
	}
	return c.e.handle(c)
}

// authenticate finds whose token the call carries and whether it may be used. s.mu is held.
func (c *call) authenticate() errcode {
	s := c.s
	if c.e.token == noToken {
		return 0
	}
	var token string
	for _, name := range c.e.names {
		if token = c.query.Get(name); token != "" {
			break
		}
	}
	if token == "" {
		if len(c.e.names) == 1 && c.e.names[0] == "component_access_token" {
			return codeComponentTokenAbsent
		}
		return codeTokenMissing
	}
	c.present(c.e.names[0], token)
	if !looksLikeToken(token) {
		return codeMalformedToken
	}
	id, ok := s.mint.identify(token, secretComponentToken, secretAccessToken)
	switch {
	case !ok:
		return codeInvalidCredential
	case id.kind == secretComponentToken:
		return c.asComponent(id)
	}
	return c.asAuthorizer(id)
}

func (c *call) asComponent(id identity) errcode {
	if int(id.owner) > len(c.s.componentList) {
		return codeInvalidCredential
	}
	c.comp = c.s.componentList[id.owner-1]
	if code := c.comp.token.check(id.n, c.now); code != 0 {
		return code
	}
	if c.e.token == authorizerToken {
		return codeNeedAuthorizerToken
	}
	return c.checkIP()
}

func (c *call) asAuthorizer(id identity) errcode {
	if int(id.owner) > len(c.s.authorizations) {
		return codeInvalidCredential
	}
	c.auth = c.s.authorizations[id.owner-1]
	c.comp = c.auth.comp
	if code := c.auth.access.check(id.n, c.now); code != 0 {
		return code
	}
	switch {
	case c.e.token == componentToken:
		return codeNeedComponentToken
	case !c.auth.standing:
		return codeNotAuthorized
	}
	if code := c.checkIP(); code != 0 {
		return code
	}
	if status := c.auth.acct.describe().Status; status != 1 && status != 18 {
		return codeUserLimited
	}
	if c.s.strikes(c.s.Faults().False61003, "false_61003", c.path) {
		return codeNotAuthorized
	}
	if c.e.anySet && len(c.auth.sets) == 0 {
		return codeSetMissing
	}
	if len(c.e.sets) > 0 && !slices.ContainsFunc(c.e.sets, func(set int) bool { return slices.Contains(c.auth.sets, set) }) {
		return codeSetMissing
	}
	return 0
}

func (c *call) checkIP() errcode {
	if !c.comp.allows(c.ip) {
		return codeBadClientIP
	}
	return 0
}

// fail renders an error and remembers its rid.
func (c *call) fail(code errcode) (outcome, errcode, string) {
	rid := c.s.newRID(c.now)
	body := render(errorReply{code, code.text(c.ip) + " rid: " + rid})
	c.s.rids.add(rid, c, body)
	return outcome{status: http.StatusOK, contentType: jsonType, body: body}, code, rid
}

// render encodes a reply as raw UTF-8 without escaping, as the platform does.
func render(value any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		panic("simulator: " + err.Error()) // replies are our own types, which always encode
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// disfigure lets faults strike a reply that was processed.
func (s *Simulator) disfigure(f Faults, c *call, out *outcome) {
	if s.strikes(f.DropReplyAfterProcessing, "drop_reply_after_processing", c.path) {
		out.abort = closedAfter
		return
	}
	if !bytes.HasPrefix(out.body, []byte("{")) {
		return
	}
	if s.strikes(f.ErrcodeString, "errcode_string", c.path) {
		out.body = replaceNumber(out.body, `"errcode":`, func(n string) string { return `"` + n + `"` })
	}
	if s.strikes(f.ExpiresInString, "expires_in_string", c.path) {
		out.body = replaceNumber(out.body, `"expires_in":`, func(n string) string { return `"` + n + `"` })
	}
	if s.strikes(f.OddExpiresIn, "odd_expires_in", c.path) {
		odd := [...]string{"0", "-1", "1000000000"}[s.dice.next("odd expiry", c.path)%3]
		out.body = replaceNumber(out.body, `"expires_in":`, func(string) string { return odd })
	}
	if s.strikes(f.ExtraFields, "extra_fields", c.path) && len(out.body) > 2 {
		out.body = slices.Concat([]byte(`{"sim_undocumented":{"list":[1,null,"x"]},`), out.body[1:])
	}
	if s.strikes(f.OddReply, "odd_reply", c.path) {
		s.oddReply(c.path, out)
		return
	}
	if s.strikes(f.TruncatedReply, "truncated_reply", c.path) {
		out.body = out.body[:len(out.body)/2]
	}
}

// oddReply makes a reply that no documentation foresees.
func (s *Simulator) oddReply(path string, out *outcome) {
	switch s.dice.next("odd reply", path) % 7 {
	case 0:
		out.body = slices.Concat([]byte("\xef\xbb\xbf"), out.body)
	case 1:
		out.body = slices.Concat([]byte(`{"expires_in":1,"errcode":0,`), out.body[1:])
	case 2:
		out.body = slices.Concat([]byte{'['}, out.body, []byte{']'})
	case 3:
		out.body = []byte("null")
	case 4:
		out.body = nil
	case 5:
		out.status, out.body = http.StatusNoContent, nil
	case 6:
		out.body = slices.Concat(bytes.Repeat([]byte{' '}, 2<<20), out.body)
	}
}

// replaceNumber changes the number behind a key.
func replaceNumber(body []byte, key string, change func(string) string) []byte {
	from := bytes.Index(body, []byte(key))
	if from < 0 {
		return body
	}
	from += len(key)
	to := from
	for to < len(body) && (body[to] == '-' || '0' <= body[to] && body[to] <= '9') {
		to++
	}
	return slices.Concat(body[:from], []byte(change(string(body[from:to]))), body[to:])
}

const (
	gatewayPage = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"
	busyPage    = "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><title>系统繁忙</title></head><body><p>系统繁忙，请稍后再试</p></body></html>"
)

// begin counts a refresh as under way. s.mu is held.
func (c *call) begin(a *authorization) {
	c.refreshing = a
	a.refreshes++
	if a.inFlight < 255 {
		a.inFlight++
	}
	if a.inFlight > a.maxInFlight {
		a.maxInFlight = a.inFlight
		c.s.stats.overlapped(int(a.inFlight))
	}
}

// beginMint counts the issue of a component token as under way. s.mu is held.
func (c *call) beginMint(comp *component) {
	c.minting = comp
	c.s.stats.minting(comp.appid, 1)
}

// finish ends what begin began.
func (c *call) finish() {
	if c.refreshing != nil {
		c.s.mu.Lock()
		c.refreshing.inFlight--
		c.s.mu.Unlock()
	}
	if c.minting != nil {
		c.s.stats.minting(c.minting.AppID, -1)
	}
}

// transport calls the handlers directly; it implements http.RoundTripper.
type transport struct{ s *Simulator }

// RoundTripper returns a transport that reaches the platform without a network,
// whatever the host of a URL. It starts no goroutines. Calls come from 127.0.0.1;
// faults of the connection become errors.
func (s *Simulator) RoundTripper() http.RoundTripper { return transport{s} }

var (
	errReset  = errors.New("simulator: connection reset by peer")
	errClosed = fmt.Errorf("simulator: connection closed without a reply: %w", io.EOF)
)

// RoundTrip serves one request.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	var out outcome
	header := make(http.Header, 2)
	if t.s.isPage(r.URL.Path) {
		w := recorder{header: header}
		clone := r.Clone(r.Context())
		clone.RemoteAddr = "127.0.0.1:1"
		if clone.Host == "" {
			clone.Host = r.URL.Host
		}
		t.s.pages.ServeHTTP(&w, clone)
		out = outcome{status: max(w.status, http.StatusOK), body: w.body.Bytes()}
	} else {
		out = t.s.serve(r.Context(), r, "127.0.0.1")
		maps.Copy(header, out.header())
	}
	switch {
	case r.Context().Err() != nil:
		return nil, r.Context().Err()
	case out.abort == resetBefore:
		return nil, errReset
	case out.abort == closedAfter:
		return nil, errClosed
	}
	return &http.Response{
		Status: strconv.Itoa(out.status) + " " + http.StatusText(out.status), StatusCode: out.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(out.body)), ContentLength: int64(len(out.body)), Request: r,
	}, nil
}

func (o outcome) header() http.Header {
	h := make(http.Header, 2)
	if o.contentType != "" {
		h["Content-Type"] = []string{o.contentType}
	}
	if o.disposition != "" {
		h["Content-Disposition"] = []string{o.disposition}
	}
	return h
}

// recorder keeps what a page handler writes.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) Write(p []byte) (int, error) { return w.body.Write(p) }
func (w *recorder) WriteHeader(status int)      { w.status = status }

// Handler returns the platform: API and authorization pages on one host.
func (s *Simulator) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.isPage(r.URL.Path) {
			s.pages.ServeHTTP(w, r)
			return
		}
		out := s.serve(r.Context(), r, hostname(r.RemoteAddr))
		switch out.abort {
		case resetBefore:
			reset(w)
		case closedAfter:
			panic(http.ErrAbortHandler) // closes the connection without a reply
		}
		maps.Copy(w.Header(), out.header())
		w.WriteHeader(out.status)
		_, _ = w.Write(out.body)
	})
}

// reset ends a connection with a TCP reset where the transport allows it.
func reset(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if inner, ok := conn.(interface{ NetConn() net.Conn }); ok {
			conn = inner.NetConn()
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
	panic(http.ErrAbortHandler)
}
