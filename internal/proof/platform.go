//go:build unix

package proof

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuoguan/tuoguan/internal/proof/history"
	"github.com/tuoguan/tuoguan/simulator"
)

// platform is the simulator behind a listener, with all that happens there recorded.
// Every process of a server calls it by a base URL of its own, so that it is known
// whose call each is, whenever and however the process dies.
type platform struct {
	sim       *simulator.Simulator
	record    *history.Recorder
	handler   http.Handler
	listener  net.Listener
	server    *http.Server
	component simulator.Component
	requests  atomic.Uint64
	asked     func(process string) // is called when a token is on its way to a process

	mu      sync.RWMutex
	known   map[uint64]secret // by the beginning of the SHA-256
	revoked map[string]uint32 // merchant: the grant taken back last
	// revocations are the grants taken back, by the second.
	revocations map[revocation]uint32
}

type revocation struct {
	merchant string
	at       int64 // Unix seconds, as in CreateTime
}

// secret is what the journal says about one that was issued.
type secret struct {
	kind          string
	merchant      string
	number, grant uint32
}

// kindOf translates the journal's names of secrets.
func kindOf(name string) string {
	switch name {
	case "authorizer_refresh_token":
		return history.RefreshToken
	case "authorizer_access_token":
		return history.AccessToken
	case "authorization_code":
		return history.Code
	case "component_verify_ticket":
		return history.Ticket
	case "component_access_token":
		return history.ComponentToken
	}
	return ""
}

func newPlatform(ctx context.Context, record *history.Recorder, seed uint64, faults simulator.Faults, pushes http.RoundTripper, asked func(string)) (*platform, error) {
	p := &platform{record: record, asked: asked, known: make(map[uint64]secret), revoked: make(map[string]uint32), revocations: make(map[revocation]uint32)}
	var err error
	p.sim, err = simulator.New(simulator.Config{
		Seed: seed, Faults: &faults, RetryDelay: 25 * time.Millisecond, PushTransport: pushes, JournalSize: 1, Observe: p.observe,
	})
	if err != nil {
		return nil, err
	}
	p.handler = p.sim.Handler()
	if p.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		p.sim.Close()
		return nil, err
	}
	p.server = &http.Server{Handler: http.HandlerFunc(p.serve), ReadHeaderTimeout: 10 * time.Second}
	return p, nil
}

// setFaults changes how the platform behaves.
func (p *platform) setFaults(f simulator.Faults) error {
	if err := p.sim.SetFaults(f); err != nil {
		return err
	}
	p.record.Add(history.Event{
		Kind: history.Platform, Rotation: string(f.RefreshTokenMode), List: string(f.ListMode), Info: string(f.InfoMode),
		Grace: time.Duration(f.RefreshTokenGrace) * time.Second,
	})
	return nil
}

// observe follows the journal. It is called under locks of the simulator.
func (p *platform) observe(e simulator.Entry) {
	switch {
	case e.Kind == simulator.KindIssue && e.State != "":
		if e.State == "unauthorized" {
			p.mu.Lock()
			p.revoked[e.AuthorizerAppID] = e.Grant
			p.revocations[revocation{e.AuthorizerAppID, e.Time.Unix()}] = e.Grant
			p.mu.Unlock()
		}
		p.record.Add(history.Event{Kind: history.State, Merchant: e.AuthorizerAppID, State: e.State, Grant: e.Grant})
	case e.Kind == simulator.KindIssue:
		kind := kindOf(e.Secret)
		if kind == "" {
			return
		}
		p.mu.Lock()
		p.known[keyOfHash(e.SHA256)] = secret{kind, e.AuthorizerAppID, e.Number, e.Grant}
		p.mu.Unlock()
		p.record.Add(history.Event{Kind: history.Issue, Secret: kind, Merchant: e.AuthorizerAppID, Number: e.Number, Grant: e.Grant})
	case e.Kind == simulator.KindPush:
		p.record.Add(p.pushOf(e))
	case e.Kind == simulator.KindFault && e.Fault == "early_dead_token":
		p.record.Add(history.Event{Kind: history.Dies, Merchant: e.Path})
	}
}

// pushOf tells one attempt at a push. MsgID tells logical pushes of an event and a
// merchant apart: the number of the code or ticket inside, the grant taken back, or
// the platform's own MsgId.
func (p *platform) pushOf(e simulator.Entry) history.Event {
	push := history.Event{
		Kind: history.Push, Event: e.Event, Merchant: e.AuthorizerAppID, MsgID: e.MsgID, Attempt: e.Attempt,
		Accepted: e.Accepted, Copy: e.Copy, Status: e.Status, Note: e.Problem,
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if s, ok := p.known[keyOfHash(e.SHA256)]; ok && e.SHA256 != "" {
		push.Number, push.Grant = s.number, s.grant
		push.MsgID = strconv.FormatUint(uint64(s.number), 10)
	}
	if e.Event == "unauthorized" {
		push.Grant = p.revoked[e.AuthorizerAppID]
		push.MsgID = strconv.FormatUint(uint64(push.Grant), 10)
	}
	return push
}

func keyOfHash(sum string) uint64 {
	var b [8]byte
	if len(sum) < 2*len(b) {
		return 0
	}
	if _, err := hex.Decode(b[:], []byte(sum[:2*len(b)])); err != nil {
		return 0
	}
	return binary.BigEndian.Uint64(b[:])
}

// identify says which secret a text is; the zero secret if it was never issued.
func (p *platform) identify(text string) secret {
	if text == "" {
		return secret{}
	}
	sum := sha256.Sum256([]byte(text))
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.known[binary.BigEndian.Uint64(sum[:8])]
}

// baseURL is where a process reaches the platform, by way of address.
func (p *platform) baseURL(address, process string) string {
	return "http://" + address + "/as/" + process
}

// opOf names the calls that are recorded.
func opOf(path string) string {
	switch strings.TrimPrefix(path, "/cgi-bin/component/") {
	case "api_authorizer_token":
		return history.OpRefresh
	case "api_query_auth":
		return history.OpCode
	case "api_component_token":
		return history.OpMint
	case "api_get_authorizer_info":
		return history.OpInfo
	case "api_get_authorizer_list":
		return history.OpList
	}
	return ""
}

// serve passes a call on to the simulator and records it: the request as it comes,
// the reply once all of it is written to the connection.
func (p *platform) serve(w http.ResponseWriter, r *http.Request) {
	rest, prefixed := strings.CutPrefix(r.URL.Path, "/as/")
	if !prefixed {
		p.handler.ServeHTTP(w, r)
		return
	}
	process, path, _ := strings.Cut(rest, "/")
	r.URL.Path, r.URL.RawPath = "/"+path, ""
	op := opOf(r.URL.Path)
	if op == "" {
		p.handler.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	request := p.requestOf(op, body)
	request.ID, request.Process = p.requests.Add(1), process
	p.record.Add(request)
	if op == history.OpRefresh || op == history.OpCode {
		p.asked(process)
	}
	reply := history.Event{Kind: history.Reply, ID: request.ID, Op: op, Process: process, Merchant: request.Merchant}
	answered := &answer{inner: w, header: make(http.Header)}
	func() {
		defer func() {
			if fault := recover(); fault != nil {
				p.record.Add(reply) // the connection ends without a reply
				panic(fault)
			}
		}()
		p.handler.ServeHTTP(answered, r)
	}()
	p.replyOf(&reply, answered.body.Bytes())
	p.record.Add(history.Event{Kind: history.Answering, ID: reply.ID, Errcode: reply.Errcode})
	reply.From = p.record.Now()
	reply.Sent = answered.send(w) == nil
	p.record.Add(reply)
}

// answer holds a reply back until it is whole.
type answer struct {
	inner  http.ResponseWriter
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
func (a *answer) WriteHeader(status int)      { a.status = status }

// Unwrap lets the simulator take the connection, to reset it.
func (a *answer) Unwrap() http.ResponseWriter { return a.inner }

// send writes all of the reply to the connection.
func (a *answer) send(w http.ResponseWriter) error {
	maps.Copy(w.Header(), a.header)
	w.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.status == http.StatusNoContent {
		w.Header().Del("Content-Length")
	}
	w.WriteHeader(a.status)
	_, err := w.Write(a.body.Bytes())
	return errors.Join(err, http.NewResponseController(w).Flush())
}

// requestOf reads what a call presents.
func (p *platform) requestOf(op string, body []byte) history.Event {
	var in struct {
		Authorizer   string `json:"authorizer_appid"`
		RefreshToken string `json:"authorizer_refresh_token"`
		Code         string `json:"authorization_code"`
		Ticket       string `json:"component_verify_ticket"`
	}
	_ = json.Unmarshal(body, &in) // the simulator will say what is wrong with it
	e := history.Event{Kind: history.Request, Op: op, Merchant: in.Authorizer}
	var presented, kind string
	switch op {
	case history.OpRefresh:
		presented, kind = in.RefreshToken, history.RefreshToken
	case history.OpCode:
		presented, kind = in.Code, history.Code
	case history.OpMint:
		presented, kind = in.Ticket, history.Ticket
	default:
		return e
	}
	s := p.identify(presented)
	switch {
	case presented == "":
	case s.kind != kind:
		e.Note = fmt.Sprintf("it was never issued as one (%d bytes)", len(presented))
	case op == history.OpRefresh && s.merchant != in.Authorizer:
		e.Note = "it is that of " + s.merchant
	default:
		e.Number, e.Grant = s.number, s.grant
		if op == history.OpCode {
			e.Merchant = s.merchant
		}
	}
	return e
}

// replyOf reads which tokens a reply carries to the server, if it can be read at all.
func (p *platform) replyOf(e *history.Event, body []byte) {
	var out struct {
		Errcode      json.RawMessage `json:"errcode"`
		AccessToken  string          `json:"authorizer_access_token"`
		RefreshToken string          `json:"authorizer_refresh_token"`
		Information  struct {
			AccessToken  string `json:"authorizer_access_token"`
			RefreshToken string `json:"authorizer_refresh_token"`
		} `json:"authorization_info"`
	}
	if json.Unmarshal(body, &out) != nil {
		e.Errcode = -1
		return
	}
	if len(out.Errcode) > 0 {
		code, err := strconv.Atoi(strings.Trim(string(out.Errcode), `"`))
		if err != nil {
			code = -1
		}
		e.Errcode = code
	}
	for _, text := range []string{out.AccessToken, out.RefreshToken, out.Information.AccessToken, out.Information.RefreshToken} {
		switch s := p.identify(text); s.kind {
		case history.AccessToken:
			e.Access, e.Grant = s.number, s.grant
		case history.RefreshToken:
			e.Refresh, e.Grant = s.number, s.grant
		}
	}
}
