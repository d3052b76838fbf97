package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// listLimit is how many accounts or journal lines one call returns unless it asks for fewer or more.
const listLimit = 1000

// ControlHandler returns the control API: JSON over HTTP, as the README
// describes. It has no authentication: serve it to loopback only.
func (s *Simulator) ControlHandler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(context.Context, *http.Request, []byte) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.control(w, r, f) })
	}
	handle("GET /{$}", s.controlIndex)
	handle("GET /components", func(context.Context, *http.Request, []byte) (any, error) { return s.Components(), nil })
	handle("POST /components", s.controlAddComponent)
	handle("POST /components/{appid}/ticket", s.controlTicket)
	handle("POST /components/{appid}/release-check", s.controlReleaseCheck)
	handle("POST /components/{appid}/seed", s.controlSeed)
	handle("GET /accounts", s.controlAccounts)
	handle("POST /accounts", s.controlAddAccount)
	handle("GET /accounts/{appid}", func(_ context.Context, r *http.Request, _ []byte) (any, error) {
		return s.Account(r.PathValue("appid"))
	})
	handle("POST /accounts/{appid}/authorize", s.controlAuthorize)
	handle("POST /accounts/{appid}/update-authorization", s.controlUpdate)
	handle("POST /accounts/{appid}/unauthorize", s.controlUnauthorize)
	handle("POST /accounts/{appid}/messages", s.controlMessage)
	handle("POST /accounts/{appid}/login", s.controlLogin)
	handle("GET /accounts/{appid}/sent", func(_ context.Context, r *http.Request, _ []byte) (any, error) { return s.Sent(r.PathValue("appid")) })
	handle("POST /tokens/expire", s.controlExpire)
	handle("GET /clock", func(context.Context, *http.Request, []byte) (any, error) { return s.clockState(), nil })
	handle("POST /clock", s.controlClock)
	handle("GET /faults", func(context.Context, *http.Request, []byte) (any, error) { return s.Faults(), nil })
	handle("PUT /faults", s.controlFaults)
	handle("PUT /quotas", s.controlQuotas)
	handle("GET /stats", func(context.Context, *http.Request, []byte) (any, error) { return s.Stats(), nil })
	handle("GET /secrets", func(context.Context, *http.Request, []byte) (any, error) { return s.Secrets(), nil })
	mux.HandleFunc("GET /journal", s.controlJournal)
	return notFoundAsJSON(mux)
}

// notFoundAsJSON gives unknown routes and wrong methods the same kind of error
// as everything else.
func notFoundAsJSON(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			w2 := recorder{header: make(http.Header)}
			mux.ServeHTTP(&w2, r)
			maps.Copy(w.Header(), w2.header)
			w.Header().Del("Content-Length")
			writeJSON(w, w2.status, refuse(w2.status, "there is no %s %s; GET / lists every call", r.Method, r.URL.Path))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(render(value), '\n'))
}

// control runs one call: it reads the body, and turns an error into JSON.
func (s *Simulator) control(w http.ResponseWriter, r *http.Request, f func(context.Context, *http.Request, []byte) (any, error)) {
	status := http.StatusOK
	var value any
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err == nil {
		// The platform does not stop in the middle of a push because somebody who
		// watches goes away.
		value, err = f(context.WithoutCancel(r.Context()), r, bytes.TrimSpace(body))
	}
	if err != nil {
		var refusal *Error
		if !errors.As(err, &refusal) {
			refusal = refuse(http.StatusBadRequest, "%v", err)
		}
		status, value = refusal.Status, refusal
	}
	if r.Method != http.MethodGet {
		s.journal.add(Entry{Time: s.now(), Kind: KindControl, Method: r.Method, Path: r.URL.Path, Status: status})
	}
	writeJSON(w, status, value)
}

// decodeControl reads a JSON body; an empty one is an empty object. An unknown
// field is an error, since a misspelt one would be worse.
func decodeControl(body []byte, into any) error {
	if len(body) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("request body: %w", err)
	}
	return nil
}

func (s *Simulator) controlIndex(context.Context, *http.Request, []byte) (any, error) {
	return map[string]any{
		"simulator": "WeChat third-party platform",
		"calls": []string{
			"GET /components", "POST /components {appid, secret, token, encoding_aes_key, event_url, message_url, entry_domain}",
			"POST /components/{appid}/ticket", "POST /components/{appid}/release-check {group?}", "POST /components/{appid}/seed {count}",
			"GET /accounts", "POST /accounts {appid?, kind, nick_name?}", "GET /accounts/{appid}",
			"POST /accounts/{appid}/authorize {component_appid, pre_auth_code?, permission_sets?, redirect_uri?}",
			"POST /accounts/{appid}/update-authorization", "POST /accounts/{appid}/unauthorize {component_appid?}",
			"POST /accounts/{appid}/messages {from, type, …}", "POST /accounts/{appid}/login {openid?}", "GET /accounts/{appid}/sent",
			"POST /tokens/expire {component_appid?, authorizer_appid?}", "GET /clock", "POST /clock {advance}",
			"GET /faults", "PUT /faults {preset?, …}", "PUT /quotas {path: calls a day}", "GET /stats", "GET /secrets",
			"GET /journal?after=SEQ&limit=N",
		},
	}, nil
}

func (s *Simulator) controlAddComponent(_ context.Context, _ *http.Request, body []byte) (any, error) {
	var c Component
	if err := decodeControl(body, &c); err != nil {
		return nil, err
	}
	return s.AddComponent(c)
}

func (s *Simulator) controlTicket(ctx context.Context, r *http.Request, _ []byte) (any, error) {
	return s.PushTicket(ctx, r.PathValue("appid"))
}

func (s *Simulator) controlReleaseCheck(ctx context.Context, r *http.Request, body []byte) (any, error) {
	var options ReleaseCheckOptions
	if err := decodeControl(body, &options); err != nil {
		return nil, err
	}
	if text := r.URL.Query().Get("group"); text != "" {
		group, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("group is %q: must be 1 to 5", text)
		}
		options.Group = group
	}
	return s.ReleaseCheck(ctx, r.PathValue("appid"), options)
}

// seeded is one account made by a seed call.
type seeded struct {
	AppID        string `json:"appid"`
	RefreshToken string `json:"refresh_token"`
}

func (s *Simulator) controlSeed(_ context.Context, r *http.Request, body []byte) (any, error) {
	var in struct {
		Count int `json:"count"`
	}
	if err := decodeControl(body, &in); err != nil {
		return nil, err
	}
	if in.Count < 1 || in.Count > 2_000_000 {
		return nil, refuse(http.StatusBadRequest, "count is %d: must be 1 to 2,000,000", in.Count)
	}
	seq, err := s.Seed(r.PathValue("appid"), in.Count)
	if err != nil {
		return nil, err
	}
	accounts := make([]seeded, 0, in.Count)
	for appid, token := range seq {
		accounts = append(accounts, seeded{appid, token})
	}
	return accounts, nil
}

func (s *Simulator) controlAccounts(_ context.Context, r *http.Request, _ []byte) (any, error) {
	limit, err := intParameter(r, "limit", listLimit)
	if err != nil {
		return nil, err
	}
	return s.Accounts(r.URL.Query().Get("after"), limit), nil
}

func (s *Simulator) controlAddAccount(_ context.Context, _ *http.Request, body []byte) (any, error) {
	var a Account
	if err := decodeControl(body, &a); err != nil {
		return nil, err
	}
	return s.AddAccount(a)
}

func (s *Simulator) controlAuthorize(ctx context.Context, r *http.Request, body []byte) (any, error) {
	var in AuthorizeRequest
	if err := decodeControl(body, &in); err != nil {
		return nil, err
	}
	return s.Authorize(ctx, r.PathValue("appid"), in)
}

func (s *Simulator) controlUpdate(ctx context.Context, r *http.Request, body []byte) (any, error) {
	var in AuthorizeRequest
	if err := decodeControl(body, &in); err != nil {
		return nil, err
	}
	return s.UpdateAuthorization(ctx, r.PathValue("appid"), in)
}

func (s *Simulator) controlUnauthorize(ctx context.Context, r *http.Request, body []byte) (any, error) {
	var in struct {
		ComponentAppID string `json:"component_appid"`
	}
	if err := decodeControl(body, &in); err != nil {
		return nil, err
	}
	return s.Unauthorize(ctx, r.PathValue("appid"), in.ComponentAppID)
}

func (s *Simulator) controlMessage(ctx context.Context, r *http.Request, body []byte) (any, error) {
	fields := make(map[string]any)
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&fields); err != nil {
		return nil, fmt.Errorf("request body: %w", err)
	}
	take := func(name string) string {
		value, _ := fields[name].(string)
		delete(fields, name)
		return value
	}
	m := Message{
		From: take("from"), Type: take("type"), ComponentAppID: take("component_appid"), MsgID: take("msg_id"), Fields: fields,
	}
	return s.SendMessage(ctx, r.PathValue("appid"), m)
}

func (s *Simulator) controlLogin(_ context.Context, r *http.Request, body []byte) (any, error) {
	var in struct {
		OpenID string `json:"openid"`
	}
	if err := decodeControl(body, &in); err != nil {
		return nil, err
	}
	code, err := s.Login(r.PathValue("appid"), in.OpenID)
	return map[string]string{"js_code": code}, err
}

func (s *Simulator) controlExpire(_ context.Context, _ *http.Request, body []byte) (any, error) {
	var in struct {
		ComponentAppID  string `json:"component_appid"`
		AuthorizerAppID string `json:"authorizer_appid"`
	}
	if err := decodeControl(body, &in); err != nil {
		return nil, err
	}
	killed, err := s.ExpireTokens(in.ComponentAppID, in.AuthorizerAppID)
	return map[string]int{"expired": killed}, err
}

// clockState is the reply of both clock calls.
type clockState struct {
	Now    time.Time `json:"now"`
	Offset float64   `json:"offset_seconds"`
}

func (s *Simulator) clockState() clockState {
	return clockState{s.now().UTC().Round(0), s.clock.Offset().Seconds()}
}

func (s *Simulator) controlClock(_ context.Context, _ *http.Request, body []byte) (any, error) {
	var in struct {
		Advance string `json:"advance"`
	}
	if err := decodeControl(body, &in); err != nil {
		return nil, err
	}
	d, err := time.ParseDuration(in.Advance)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "advance is %q: must be a duration such as 2h or 90s", in.Advance)
	}
	if err := s.Advance(d); err != nil {
		return nil, err
	}
	return s.clockState(), nil
}

func (s *Simulator) controlFaults(_ context.Context, _ *http.Request, body []byte) (any, error) {
	f, err := s.Faults().Merge(body)
	if err != nil {
		return nil, err
	}
	return f, s.SetFaults(f)
}

func (s *Simulator) controlQuotas(_ context.Context, _ *http.Request, body []byte) (any, error) {
	limits := make(map[string]int)
	if err := decodeControl(body, &limits); err != nil {
		return nil, err
	}
	for path, calls := range limits {
		if err := s.SetDailyLimit(path, calls); err != nil {
			return nil, err
		}
	}
	return limits, nil
}

// controlJournal writes one entry a line.
func (s *Simulator) controlJournal(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.ParseUint(strings.TrimSpace(r.URL.Query().Get("after")), 10, 64)
	if err != nil && r.URL.Query().Has("after") {
		writeJSON(w, http.StatusBadRequest, refuse(http.StatusBadRequest, "after is not the number of an entry"))
		return
	}
	limit, err := intParameter(r, "limit", s.config.JournalSize)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, refuse(http.StatusBadRequest, "%v", err))
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	for _, e := range s.Journal(after, limit) {
		if _, err := w.Write(append(render(e), '\n')); err != nil {
			return
		}
	}
}

func intParameter(r *http.Request, name string, otherwise int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s is %q: must be a number", name, text)
	}
	return n, nil
}
