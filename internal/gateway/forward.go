package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/problem"
)

// forward makes the call and passes the reply on.
func (c *call) forward(to route) error {
	key, kind := quotaKey{to.owner, c.path}, c.ticketKind()
	if kind == "" {
		if err := c.g.quotas.admit(key, c.g.cfg.Clock.Now()); err != nil {
			return err
		}
	}
	query, err := c.outboundQuery(to)
	if err != nil {
		return err
	}
	var token tuoguan.AccessToken
	if to.endpoint.Parameter != "" {
		if token, err = c.g.cfg.Tokens.Token(c.caused(), to.owner); err != nil {
			return err
		}
	}
	if kind != "" {
		return c.serveTicket(kind)
	}
	out := outbound{
		method: c.r.Method, path: c.path, header: outboundHeader(c.r.Header),
		repeatable: to.known && to.endpoint.Read && c.r.Method == http.MethodGet,
	}
	if out.body, err = c.readBody(); err != nil {
		return err
	}
	c.report.Received = int64(len(out.body.held))
	if out.body.stream != nil {
		// The transport may still read it when the reply is there; not after this.
		defer func() { _ = c.r.Body.Close(); c.report.Received = out.body.stream.size.Load() }()
	}

	for {
		out.token = token.Value.Reveal()
		out.query = withToken(query, to.endpoint.Parameter, out.token)
		response, err := c.g.upstream.do(c.r.Context(), &out) //nolint:bodyclose // release closes it, and so does passing it on
		if err != nil {
			return err
		}
		rep := c.g.read(response)
		if err := rep.judge(to.endpoint); err != nil {
			c.g.release(rep)
			return err
		}
		if rep.tokenRefused() && out.token != "" && !c.report.Renewed {
			fresh, err := c.renew(to.owner, token, &out)
			switch {
			case err != nil:
				c.g.release(rep)
				return err
			case !fresh.Value.IsZero():
				c.g.release(rep)
				token = fresh
				continue
			}
		}
		c.g.quotas.learn(key, rep, out.body.held, c.g.cfg.Clock.Now())
		return c.passOn(rep, newMask(out.token))
	}
}

// caused returns the context in which tokens are asked for: it says who calls.
func (c *call) caused() context.Context {
	return tuoguan.WithActor(c.r.Context(), c.caller.Name)
}

// renew reports a dead token and returns the one to repeat the call with; a zero one
// if the call cannot be repeated. WeChat did nothing for the dead token, so that
// whatever can be sent again may be.
func (c *call) renew(owner tuoguan.TokenOwner, dead tuoguan.AccessToken, out *outbound) (tuoguan.AccessToken, error) {
	fresh, err := c.g.cfg.Tokens.Invalidate(c.caused(), owner, dead.Value)
	if out.body.stream != nil {
		c.w.Header().Set("X-Tuoguan-Retry", "no")
		return tuoguan.AccessToken{}, nil
	}
	if err != nil {
		return tuoguan.AccessToken{}, err
	}
	if fresh.Value.Equal(dead.Value) {
		return tuoguan.AccessToken{}, nil
	}
	c.report.Renewed = true
	return fresh, nil
}

// outboundQuery is the query without a token. What the gateway knows better is taken
// out of the caller's and put in anew.
func (c *call) outboundQuery(to route) ([]byte, error) {
	drop := tokenParameters
	if to.endpoint.Parameter == "" {
		drop = nil // a user's token, which the caller has
	}
	if c.form == dropIn {
		drop = tokenParameters
	}
	if to.appid == "" {
		return cleanQuery(nil, c.query, drop)
	}
	query := []byte("appid=" + string(to.appid) + "&component_appid=" + string(to.owner.Component()))
	if to.endpoint.Fixed != "" {
		query = append(append(query, '&'), to.endpoint.Fixed...)
	}
	return cleanQuery(query, c.query, append([]string{"appid", "component_appid", "grant_type"}, drop...))
}

// withToken puts the token in front.
func withToken(query []byte, parameter, token string) string {
	if parameter == "" {
		return string(query)
	}
	text := parameter + "=" + url.QueryEscape(token)
	if len(query) > 0 {
		text += "&" + string(query)
	}
	return text
}

// notPassedOn are request headers that end here: what concerns one connection, who
// the caller is, and what would make the transport repeat a request by itself.
var notPassedOn = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Authorization": true, "Proxy-Authorization": true, "Cookie": true, "Origin": true, "Referer": true, "Forwarded": true, "Via": true, "X-Real-Ip": true,
	"Accept-Encoding": true, "Content-Length": true, "Expect": true, "Host": true, "User-Agent": true,
	"Idempotency-Key": true, "X-Idempotency-Key": true, "X-Http-Method-Override": true,
}

// notPassedBack are reply headers that end here.
var notPassedBack = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Proxy-Authenticate": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Set-Cookie": true, "Set-Cookie2": true, "Alt-Svc": true, "Location": true, "Refresh": true, "Clear-Site-Data": true, "Content-Length": true,
}

var userAgent = []string{"tuoguan"}

func outboundHeader(from http.Header) http.Header {
	to := make(http.Header, len(from)+1)
	copyHeader(to, from, notPassedOn, "X-Forwarded-")
	to["User-Agent"] = userAgent
	return to
}

// copyHeader copies what is neither listed, nor named by Connection, nor ours.
func copyHeader(to, from http.Header, not map[string]bool, notPrefix string) {
	for name, values := range from {
		if not[name] || strings.HasPrefix(name, "X-Tuoguan-") || strings.HasPrefix(name, notPrefix) {
			continue
		}
		to[name] = values
	}
	for _, line := range from["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			delete(to, textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)))
		}
	}
}

// readBody takes the body in if it is small, and else prepares to stream it.
func (c *call) readBody() (body, error) {
	if c.r.Body == nil || c.r.Body == http.NoBody || c.r.ContentLength == 0 {
		return body{}, nil
	}
	d := newDeadlines(c.w)
	if c.r.ContentLength > maxHeld {
		return body{stream: &upload{body: c.r.Body, deadlines: d}, length: c.r.ContentLength}, nil
	}
	d.moved()
	if c.r.ContentLength > 0 {
		held := make([]byte, c.r.ContentLength)
		if _, err := io.ReadFull(c.r.Body, held); err != nil {
			return body{}, errBrokenBody
		}
		d.received()
		return body{held: held}, nil
	}
	held, err := io.ReadAll(io.LimitReader(c.r.Body, maxHeld+1))
	if err != nil {
		return body{}, errBrokenBody
	}
	if len(held) > maxHeld {
		return body{stream: &upload{body: io.MultiReader(bytes.NewReader(held), c.r.Body), deadlines: d}, length: -1}, nil
	}
	d.received()
	return body{held: held}, nil
}

var errBrokenBody = problem.BadRequest.With("the body broke off", "请求体不完整")

// passOn gives the caller what WeChat answered.
func (c *call) passOn(rep *reply, token mask) error {
	defer c.g.release(rep)
	header := c.w.Header()
	copyHeader(header, rep.response.Header, notPassedBack, "X-Tuoguan-")
	for name, values := range header {
		for _, value := range values {
			if token.isIn(value) {
				delete(header, name)
			}
		}
	}
	length := rep.response.ContentLength
	if rep.whole {
		length = int64(len(rep.head))
	}
	if length >= 0 {
		header.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	c.report.Status, c.report.Errcode = rep.response.StatusCode, rep.errcode
	c.w.WriteHeader(rep.response.StatusCode)
	if rep.whole {
		token.hide(rep.head)
		n, _ := c.w.Write(rep.head) // the caller went away
		c.report.Sent = int64(n)
		return nil
	}
	var err error
	c.report.Sent, err = token.copy(c.w, rep.response.Body, *rep.buffer, len(rep.head), newDeadlines(c.w).moved)
	if err != nil {
		// The status is out: only a broken connection tells the caller that it is not all.
		panic(http.ErrAbortHandler)
	}
	return nil
}

// writeJSON answers with a document of the gateway's own in WeChat's manner, without a
// newline at its end: there are SDKs that stumble over it.
func (c *call) writeJSON(status int, document any) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(document); err != nil {
		panic("gateway: " + err.Error()) // answers are our own types, which always encode
	}
	text.Truncate(text.Len() - 1)
	header := c.w.Header()
	header.Set("Content-Type", "application/json; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Length", strconv.Itoa(text.Len()))
	c.report.Status = status
	c.w.WriteHeader(status)
	n, _ := c.w.Write(text.Bytes()) // the caller went away
	c.report.Sent = int64(n)
}
