package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/wxcrypt"
)

// Components knows the settings of the components served here.
type Components interface {
	// Crypter returns the component's Crypter. It must be quick: it is asked about
	// requests that nobody has verified. For a component that is not served it
	// returns an error that wraps [ErrUnknownComponent]; any other error is taken
	// as a failure of our own, and WeChat is let to try again.
	Crypter(ctx context.Context, c tuoguan.ComponentAppID) (*wxcrypt.Crypter, error)
}

// ErrUnknownComponent is what [Components] says of a component that is not served.
var ErrUnknownComponent = errors.New("push: unknown component")

// Accounts knows the accounts that have authorized.
type Accounts interface {
	// UserName returns the original id (gh_…) of the account, and whether it is
	// known. Messages may arrive before an authorization is, or without one during
	// a release check, so that an unknown account is no reason to refuse any.
	UserName(ctx context.Context, a tuoguan.Authorization) (string, bool)
	// Holder returns the account of the component whose original id is userName, and
	// whether one is known.
	Holder(ctx context.Context, c tuoguan.ComponentAppID, userName string) (tuoguan.AuthorizerAppID, bool)
}

// Sink stores pushes.
type Sink interface {
	// Accept stores the push durably and then returns; the push is acknowledged
	// on its word. It must recognize a duplicate by the DedupeKey, across
	// processes, and leave what is stored then untouched. It may keep the Push.
	Accept(ctx context.Context, p *Push) (Outcome, error)
	// SaveReply stores the plaintext of the passive reply to a push that Accept
	// has stored, so that a later duplicate gets the same one.
	SaveReply(ctx context.Context, p *Push, plaintext []byte) error
}

// Outcome is what became of a push at a [Sink].
type Outcome struct {
	// Duplicate says that the push was stored before.
	Duplicate bool
	// Reply is the plaintext saved for a duplicate, or nil.
	Reply []byte
}

// Responder makes passive replies. It is called once for every push on the message
// and event URL that was stored for the first time, and should return before its
// context ends. A nil Reply or an error lets the push be answered with success.
type Responder interface {
	Respond(ctx context.Context, p *Push) (Reply, error)
}

// Config is what a [Handler] works with.
type Config struct {
	// Components and Sink are required.
	Components Components
	Sink       Sink
	// Accounts, if given, binds the message and event URL's path to the account
	// named in the message.
	Accounts Accounts
	// Responder, if given, answers messages.
	Responder Responder
	// Clock is what ReceivedAt and the times of replies are made from. Defaults to
	// the system's.
	Clock *tuoguan.Clock
	// Window is how far the timestamp of a request may be off, either way, by the
	// system's clock: it tells how long a request was on its way, so that a Clock
	// that was moved does not matter. Defaults to 10 minutes. WeChat documents none.
	Window time.Duration
	// StoreTimeout is how long after its arrival a push must be stored. Else the
	// answer is an error, and WeChat tries again. Defaults to 3 seconds.
	StoreTimeout time.Duration
	// ReplyTimeout is how long after its arrival a push must be answered, with
	// success if there is no reply by then. Defaults to 4.5 seconds; WeChat closes
	// the connection after 5.
	ReplyTimeout time.Duration
	// Logger hears why requests are refused. Defaults to none.
	Logger *slog.Logger
	// Observe, if given, is called after each request, for metrics. It must
	// return at once.
	Observe func(Observation)
}

// Observation is what a [Handler] did with one request.
type Observation struct {
	// Push is nil where the request was refused or failed before it was opened.
	Push   *Push
	Result Result
	// Reason is why a request was refused, "" otherwise.
	Reason  Reason
	Latency time.Duration
}

// Result is how a request ended.
type Result string

const (
	Stored    Result = "stored"    // answered with success
	Replied   Result = "replied"   // answered with a passive reply
	Duplicate Result = "duplicate" // answered as its first copy was
	Refused   Result = "refused"   // not authentic, or not for this path
	Failed    Result = "failed"    // not stored
)

// Reason is why a request was refused. The requester is not told.
type Reason string

const (
	ReasonMethod    Reason = "method"    // not POST
	ReasonPath      Reason = "path"      // no such URL, or a push of the other one
	ReasonQuery     Reason = "query"     // a parameter missing, doubled or malformed
	ReasonTimestamp Reason = "timestamp" // outside of the window
	ReasonBody      Reason = "body"      // too large, empty or not readable
	ReasonComponent Reason = "component" // not served here, or named otherwise inside
	ReasonEnvelope  Reason = "envelope"  // without Encrypt, or not well-formed
	ReasonSignature Reason = "signature" // msg_signature does not match
	ReasonDecrypt   Reason = "decrypt"   // signed, but not under our key
	ReasonReceiver  Reason = "receiver"  // signed, but for another AppID
	ReasonDoctype   Reason = "doctype"   // a document type or nothing inside
	ReasonAccount   Reason = "account"   // meant for another account than the path says
)

const (
	success          = "success"
	refusedBody      = "forbidden\n"
	failedBody       = "try again\n"
	maxRequest       = 256 << 10
	defaultWindow    = 10 * time.Minute
	defaultStoreTime = 3 * time.Second
	defaultReplyTime = 4500 * time.Millisecond
)

// Handler serves the two URLs of any number of components:
//
//	POST /wx/{component_appid}/event                       authorization event URL
//	POST /wx/{component_appid}/message/{authorizer_appid}  message and event URL
//
// What is not an authentic push for its path is refused with one status and one
// body, whatever the reason; the reason goes to the log. There is no echostr to
// answer on these URLs, so GET is refused as well. A push that cannot be stored
// gets 500, any other its passive reply or the seven bytes "success".
//
// Copies of a push that arrive while the first is worked on wait for it and get
// the same answer. That holds within one Handler; copies that reach another
// process meanwhile are found to be duplicates there and answered with success.
type Handler struct {
	config  Config
	running sync.WaitGroup

	mu      sync.Mutex
	flights map[string]*flight // by DedupeKey
}

// NewHandler returns a Handler. Its error names every mistake in the Config.
func NewHandler(config Config) (*Handler, error) {
	c, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Handler{config: c, flights: make(map[string]*flight)}, nil
}

func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.Components == nil {
		errs = append(errs, errors.New("push: Components is missing"))
	}
	if c.Sink == nil {
		errs = append(errs, errors.New("push: Sink is missing"))
	}
	for _, d := range []struct {
		name         string
		value        *time.Duration
		defaultValue time.Duration
	}{
		{"Window", &c.Window, defaultWindow},
		{"StoreTimeout", &c.StoreTimeout, defaultStoreTime},
		{"ReplyTimeout", &c.ReplyTimeout, defaultReplyTime},
	} {
		if *d.value == 0 {
			*d.value = d.defaultValue
		}
		if *d.value < 0 {
			errs = append(errs, fmt.Errorf("push: %s is negative", d.name))
		}
	}
	if c.StoreTimeout > c.ReplyTimeout {
		errs = append(errs, errors.New("push: StoreTimeout exceeds ReplyTimeout"))
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(Observation) {}
	}
	return c, errors.Join(errs...)
}

// Wait returns when no Sink and no Responder is at work any more. A slow one goes
// on after its request was answered; call Wait after the server was shut down and
// before what they use is closed.
func (h *Handler) Wait() { h.running.Wait() }

// ServeHTTP serves both URLs.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	o := Observation{Result: Refused}
	defer func() {
		o.Latency = time.Since(start)
		h.config.Observe(o)
	}()

	a, found := route(r.URL.Path)
	ctx, cancel := context.WithDeadline(r.Context(), start.Add(h.config.StoreTimeout))
	defer cancel()
	in, err := h.receive(ctx, r, a, found)
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		o.Reason = refused.reason
		h.config.Logger.LogAttrs(r.Context(), slog.LevelWarn, "push refused", append(attrs(a, found),
			slog.String("reason", string(refused.reason)), slog.Any("error", refused.err), slog.String("remote", r.RemoteAddr))...)
		answer(w, http.StatusForbidden, refusedBody)
		return
	case err != nil:
		o.Result = Failed
		h.config.Logger.LogAttrs(r.Context(), slog.LevelError, "push not read", append(attrs(a, found), slog.Any("error", err))...)
		answer(w, http.StatusInternalServerError, failedBody)
		return
	}

	o.Push = in.push
	reply, result := h.settle(r.Context(), start, in.push)
	o.Result = result
	switch {
	case result == Failed:
		answer(w, http.StatusInternalServerError, failedBody)
	case reply == nil:
		answer(w, http.StatusOK, success)
	default:
		h.answerSealed(w, in, reply)
	}
}

// attrs names the URL in logs.
func attrs(a tuoguan.Authorization, found bool) []slog.Attr {
	if !found {
		return nil
	}
	return []slog.Attr{
		slog.String("component_appid", string(a.Component)),
		slog.String("authorizer_appid", string(a.Authorizer)),
	}
}

// answer writes a short text. Refusals and failures end the connection, so that
// they look alike whether or not the rest of a body would have been read.
func answer(w http.ResponseWriter, status int, body string) {
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	if status != http.StatusOK {
		header.Set("Connection", "close")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// answerSealed writes a passive reply, encrypted as the push was.
func (h *Handler) answerSealed(w http.ResponseWriter, in *request, plaintext []byte) {
	timestamp := strconv.FormatInt(h.config.Clock.Now().Unix(), 10)
	body, err := in.crypter.SealXML(nil, plaintext, timestamp, in.query.Nonce, in.push.Generation)
	if err != nil {
		h.config.Logger.Error("reply not sealed", "push", in.push, "error", err)
		answer(w, http.StatusOK, success)
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body)
}

// route reads the two AppIDs from a path.
func route(path string) (tuoguan.Authorization, bool) {
	rest, ok := strings.CutPrefix(path, "/wx/")
	component, rest, _ := strings.Cut(rest, "/")
	a := tuoguan.Authorization{Component: tuoguan.ComponentAppID(component)}
	if authorizer, found := strings.CutPrefix(rest, "message/"); found {
		a.Authorizer = tuoguan.AuthorizerAppID(authorizer)
		ok = ok && isAppID(authorizer)
	} else {
		ok = ok && rest == "event"
	}
	if !ok || !isPlain(component) {
		return tuoguan.Authorization{}, false
	}
	return a, true
}

// isAppID reports whether s has the form of an account's AppID.
func isAppID(s string) bool {
	rest, ok := strings.CutPrefix(s, "wx")
	if !ok || len(rest) != 16 {
		return false
	}
	for i := range len(rest) {
		if c := rest[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// refusal is the error of a request that is not an authentic push for its path.
type refusal struct {
	reason Reason
	err    error
}

func (r *refusal) Error() string { return string(r.reason) + ": " + r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func refuse(reason Reason, text string) error { return &refusal{reason, errors.New(text)} }

// request is a verified push with what its reply needs.
type request struct {
	push    *Push
	query   wxcrypt.Query
	crypter *wxcrypt.Crypter
}

// receive verifies and opens a request.
func (h *Handler) receive(ctx context.Context, r *http.Request, a tuoguan.Authorization, found bool) (*request, error) {
	if !found {
		return nil, refuse(ReasonPath, "no such URL")
	}
	if r.Method != http.MethodPost {
		return nil, refuse(ReasonMethod, r.Method)
	}
	q, err := h.query(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	crypter, err := h.config.Components.Crypter(ctx, a.Component)
	if errors.Is(err, ErrUnknownComponent) {
		return nil, &refusal{ReasonComponent, err}
	}
	if err != nil {
		return nil, fmt.Errorf("look up component: %w", err)
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	p, err := Open(crypter, a.Authorizer, q, body)
	if err != nil {
		return nil, &refusal{reasonOf(err), err}
	}
	p.ReceivedAt = h.config.Clock.Now()
	if err := h.bind(ctx, p); err != nil {
		return nil, err
	}
	return &request{push: p, query: q, crypter: crypter}, nil
}

// query reads the parameters of a push URL. WeChat sends each of them once. The
// value of signature proves nothing that msg_signature does not, so it is not looked at.
func (h *Handler) query(raw string) (wxcrypt.Query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return wxcrypt.Query{}, refuse(ReasonQuery, "not a query")
	}
	for _, name := range []string{"signature", "timestamp", "nonce", "encrypt_type", "msg_signature"} {
		if len(values[name]) != 1 || values[name][0] == "" {
			return wxcrypt.Query{}, refuse(ReasonQuery, name+" is not there exactly once")
		}
	}
	if values["encrypt_type"][0] != "aes" {
		return wxcrypt.Query{}, refuse(ReasonQuery, "encrypt_type is not aes")
	}
	q := wxcrypt.Query{Timestamp: values["timestamp"][0], Nonce: values["nonce"][0], MsgSignature: values["msg_signature"][0]}
	if !isPlain(q.Nonce) {
		return wxcrypt.Query{}, refuse(ReasonQuery, "nonce is malformed")
	}
	at := unixTime([]byte(q.Timestamp))
	if off := time.Since(at).Abs(); at.IsZero() || off > h.config.Window {
		return wxcrypt.Query{}, refuse(ReasonTimestamp, "outside of the window")
	}
	return q, nil
}

// readBody reads a bounded body.
func readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength > maxRequest {
		return nil, refuse(ReasonBody, "too large")
	}
	var body []byte
	var err error
	if r.ContentLength > 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	}
	switch {
	case err != nil:
		return nil, &refusal{ReasonBody, err}
	case len(body) == 0:
		return nil, refuse(ReasonBody, "empty")
	case len(body) > maxRequest:
		return nil, refuse(ReasonBody, "too large")
	}
	return body, nil
}

// reasonOf names the reason for which Open failed.
func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, wxcrypt.ErrEnvelope):
		return ReasonEnvelope
	case errors.Is(err, wxcrypt.ErrSignature):
		return ReasonSignature
	case errors.Is(err, wxcrypt.ErrReceiver):
		return ReasonReceiver
	case errors.Is(err, ErrDoctype), errors.Is(err, ErrEmpty):
		return ReasonDoctype
	}
	return ReasonDecrypt
}

// bind checks that a push is for the path on which it came. The signature covers
// neither, so an authentic push could be sent again to another path. The ICP filing
// notices are known to come on either URL, everything else comes on one of them.
func (h *Handler) bind(ctx context.Context, p *Push) error {
	if p.Problem != nil {
		return nil // it says nothing, so nothing can come of it
	}
	onEventURL := p.Authorizer == ""
	if p.InfoType != "" {
		if p.Has("AppId") && p.Field("AppId") != string(p.Component) {
			return refuse(ReasonComponent, "AppId inside is another component's")
		}
		if !onEventURL && !p.isFiling() {
			return refuse(ReasonPath, "authorization event on the message and event URL")
		}
	}
	if onEventURL {
		if p.MsgType != "" && !p.isFiling() {
			return refuse(ReasonPath, "message on the authorization event URL")
		}
		return nil
	}
	for _, name := range []string{"authorizer_appid", "verify_appid"} {
		if p.isFiling() && p.Has(name) && p.Field(name) != string(p.Authorizer) {
			return refuse(ReasonAccount, name+" is not the account in the path")
		}
	}
	if h.config.Accounts == nil || p.InfoType != "" && !p.Has("ToUserName") {
		return nil
	}
	to := p.Field("ToUserName")
	if want, known := h.config.Accounts.UserName(ctx, p.Authorization); known {
		if to != want {
			return refuse(ReasonAccount, "ToUserName is not the account's in the path")
		}
		return nil
	}
	if holder, known := h.config.Accounts.Holder(ctx, p.Component, to); known && holder != p.Authorizer {
		return refuse(ReasonAccount, "ToUserName is another account's than the one in the path")
	}
	return nil
}

// flight is the work on one push. All requests that bring copies of it meanwhile
// wait for the same flight.
type flight struct {
	stored    chan struct{} // closed when the Sink is done
	done      chan struct{} // closed when it is known what to answer
	err       error         // of the Sink; to be read after stored
	duplicate bool          // to be read after stored
	reply     []byte        // plaintext, to be read after done
}

// settle has the push stored and answered, and returns the plaintext of its reply
// if it has one. It returns in time, even if Sink and Responder do not.
func (h *Handler) settle(ctx context.Context, start time.Time, p *Push) ([]byte, Result) {
	f, first := h.join(ctx, start, p)

	timer := time.NewTimer(time.Until(start.Add(h.config.StoreTimeout)))
	defer timer.Stop()
	select {
	case <-f.stored:
	case <-timer.C:
		h.config.Logger.LogAttrs(ctx, slog.LevelError, "push not stored in time", slog.Any("push", p))
		return nil, Failed
	}
	if f.err != nil {
		return nil, Failed
	}
	result := Stored
	if f.duplicate || !first {
		result = Duplicate
	}
	timer.Reset(time.Until(start.Add(h.config.ReplyTimeout)))
	select {
	case <-f.done:
	case <-timer.C:
		h.config.Logger.LogAttrs(ctx, slog.LevelWarn, "no reply in time", slog.Any("push", p))
		return nil, result
	}
	if f.reply != nil && result == Stored {
		result = Replied
	}
	return f.reply, result
}

// join returns the flight of a push, and whether it was begun for it. The work goes
// on when the requester leaves.
func (h *Handler) join(ctx context.Context, start time.Time, p *Push) (f *flight, first bool) {
	key := p.DedupeKey()
	h.mu.Lock()
	defer h.mu.Unlock()
	if f := h.flights[key]; f != nil {
		return f, false
	}
	f = &flight{stored: make(chan struct{}), done: make(chan struct{})}
	h.flights[key] = f
	h.running.Go(func() {
		h.fly(context.WithoutCancel(ctx), start, p, f)
		h.mu.Lock()
		delete(h.flights, key)
		h.mu.Unlock()
		close(f.done)
	})
	return f, true
}

// fly stores the push and finds out what to answer.
func (h *Handler) fly(ctx context.Context, start time.Time, p *Push, f *flight) {
	var outcome Outcome
	f.err = h.guard(ctx, "store push", p, start.Add(h.config.StoreTimeout), func(ctx context.Context) (err error) {
		outcome, err = h.config.Sink.Accept(ctx, p)
		return err
	})
	f.duplicate = outcome.Duplicate
	close(f.stored)
	if f.err != nil {
		return
	}
	if outcome.Duplicate {
		f.reply = outcome.Reply
		return
	}
	if h.config.Responder == nil || p.Authorizer == "" || p.MsgType == "" {
		return
	}

	var plaintext []byte
	// A part of the time is left for saving the reply.
	err := h.guard(ctx, "make reply", p, start.Add(h.config.ReplyTimeout*15/16), func(ctx context.Context) error {
		reply, err := h.config.Responder.Respond(ctx, p)
		if err != nil || reply == nil {
			return err
		}
		plaintext, err = Plaintext(p, reply, h.config.Clock.Now())
		return err
	})
	if err != nil || plaintext == nil {
		return
	}
	f.reply = plaintext
	// A reply that could not be saved is sent nevertheless: the worst is that a
	// duplicate goes without.
	_ = h.guard(ctx, "save reply", p, start.Add(h.config.ReplyTimeout), func(ctx context.Context) error {
		return h.config.Sink.SaveReply(ctx, p, plaintext)
	})
}

// guard calls f with a deadline, turns a panic into an error, and logs either.
func (h *Handler) guard(ctx context.Context, op string, p *Push, deadline time.Time, f func(context.Context) error) (err error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			// What was thrown may quote a message; only the runtime's own errors do not.
			err = fmt.Errorf("panic of type %T", v)
			if e, ok := v.(runtime.Error); ok {
				err = fmt.Errorf("panic: %w", e)
			}
			h.config.Logger.LogAttrs(ctx, slog.LevelError, "panic", slog.String("op", op), slog.String("stack", string(debug.Stack())))
		}
		if err != nil {
			h.config.Logger.LogAttrs(ctx, slog.LevelError, "push not handled", slog.String("op", op), slog.Any("push", p), slog.Any("error", err))
		}
	}()
	return f(ctx)
}
