package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// RefreshTokenMode says what becomes of a refresh token when it is used. Which
// of the three the platform follows is promised nowhere.
type RefreshTokenMode string

const (
	// Static: the same refresh token comes back every time. Observed.
	Static RefreshTokenMode = "static"
	// RotateGrace: every refresh yields a new one; the old one stays good for
	// [Faults.RefreshTokenGrace] seconds.
	RotateGrace RefreshTokenMode = "rotate-grace"
	// RotateStrict: every refresh yields a new one and the old one dies at once.
	RotateStrict RefreshTokenMode = "rotate-strict"
)

// ListMode says which refresh tokens a reply that recovers them contains.
type ListMode string

const (
	ListNewest ListMode = "newest" // the one in force
	ListStale  ListMode = "stale"  // the one before it
	ListEmpty  ListMode = "empty"  // none
	ListError  ListMode = "error"  // the call fails with -1
)

// Faults is what goes wrong, and how often: every probability is in 0–1. The
// zero value is not valid; start from a [Preset]. A field's JSON name is its
// name in the control API.
type Faults struct {
	// Replies of the API. Pages and the control API are not affected.

	// Busy: errcode -1, nothing was done.
	Busy float64 `json:"busy"`
	// HTTP5xx: a gateway's 502, nothing was done.
	HTTP5xx float64 `json:"http_5xx"`
	// HTMLReply: status 200 with an HTML page, nothing was done.
	HTMLReply float64 `json:"html_reply"`
	// TruncatedReply: it was done, and the reply stops halfway through.
	TruncatedReply float64 `json:"truncated_reply"`
	// SlowReply: it was done, and the reply takes up to SlowReplyMS of real time.
	SlowReply float64 `json:"slow_reply"`
	// ConnectionReset: the connection is reset, nothing was done.
	ConnectionReset float64 `json:"connection_reset"`
	// DropReplyAfterProcessing: it was done, and the connection closes without a reply.
	DropReplyAfterProcessing float64 `json:"drop_reply_after_processing"`
	// ErrcodeString: errcode comes as a JSON string.
	ErrcodeString float64 `json:"errcode_string"`
	// ExpiresInString: expires_in comes as a JSON string.
	ExpiresInString float64 `json:"expires_in_string"`
	// OddExpiresIn: it was done, and expires_in is 0, -1 or 1,000,000,000.
	OddExpiresIn float64 `json:"odd_expires_in"`
	// OddReply: it was done, and the reply is not what it should be: a byte order
	// mark, a key twice, a list around it, null, nothing, status 204, 2 MiB of blanks.
	OddReply float64 `json:"odd_reply"`
	// ExtraFields: the reply has fields that no documentation names.
	ExtraFields float64 `json:"extra_fields"`
	// EmptyRefreshToken: a refresh answers with an empty refresh token, which
	// means that the old one stays in force.
	EmptyRefreshToken float64 `json:"empty_refresh_token"`
	// False61003: 61003 for an account whose authorization stands, on a refresh
	// or a call made on its behalf.
	False61003 float64 `json:"false_61003"`
	// QuotaExhausted: 45009 though the quota is not used up.
	QuotaExhausted float64 `json:"quota_exhausted"`

	// Pushes and the redirect.

	// DuplicatePush: one to three further copies follow within half a second.
	DuplicatePush float64 `json:"duplicate_push"`
	// ReorderPush: the push is held until another one of the same component has
	// gone out, 2 s at most; of a ticket, the one before comes once more after it.
	ReorderPush float64 `json:"reorder_push"`
	// LatePush: the push comes up to LatePushMS of real time late.
	LatePush float64 `json:"late_push"`
	// LostPush: an authorization event is never pushed. The redirect still comes.
	LostPush float64 `json:"lost_push"`
	// LostRedirect: the authorization page never redirects. The push still comes,
	// also where LostPush would have taken it.
	LostRedirect float64 `json:"lost_redirect"`
	// RedirectFirst: on the authorization page the redirect does not wait for the push.
	RedirectFirst float64 `json:"redirect_first"`
	// WithholdTicket: a periodic ticket is not pushed.
	WithholdTicket float64 `json:"withhold_ticket"`
	// PreviousKey: within an hour of a change of Token or EncodingAESKey, a push
	// still uses the old pair.
	PreviousKey float64 `json:"previous_key"`

	// Lives of tokens.

	// EarlyDeadToken: an access token dies somewhere between 5 % and 90 % of its life.
	EarlyDeadToken float64 `json:"early_dead_token"`

	// What the platform leaves undocumented.

	RefreshTokenMode RefreshTokenMode `json:"refresh_token_mode"`
	// ListMode is about api_get_authorizer_list.
	ListMode ListMode `json:"list_mode"`
	// InfoMode is the same for api_get_authorizer_info.
	InfoMode ListMode `json:"info_mode"`
	// RevokedErrcode answers calls with the access token of a revoked
	// authorization: 40001 or 61003.
	RevokedErrcode int `json:"revoked_errcode"`

	// Durations in seconds of virtual time, where not marked otherwise.

	// RefreshTokenGrace is how long a rotated refresh token stays good in RotateGrace.
	RefreshTokenGrace int `json:"refresh_token_grace"`
	// ComponentTokenOverlap is how long a component token outlives its successor's issue.
	ComponentTokenOverlap int `json:"component_token_overlap"`
	// AuthorizerTokenOverlap is the same for the access tokens of authorizers.
	AuthorizerTokenOverlap int `json:"authorizer_token_overlap"`
	ComponentTokenTTL      int `json:"component_token_ttl"`
	AuthorizerTokenTTL     int `json:"authorizer_token_ttl"`
	PreAuthCodeTTL         int `json:"pre_auth_code_ttl"`
	AuthorizationCodeTTL   int `json:"authorization_code_ttl"`
	// SlowReplyMS is the longest delay of a slow reply, in real milliseconds.
	SlowReplyMS int `json:"slow_reply_ms"`
	// ReplyLatencyMS delays every reply of the API, in real milliseconds.
	ReplyLatencyMS int `json:"reply_latency_ms"`
	// LatePushMS is the longest delay of a late push, in real milliseconds.
	LatePushMS int `json:"late_push_ms"`
}

// Presets of [Preset].
const (
	PresetOff     = "off"
	PresetDefault = "default"
	PresetHostile = "hostile"
)

// Preset returns the faults of that name. "off" is a platform on its best day:
// ordered, single pushes and static refresh tokens. "default" misbehaves as
// often as a bad week; "hostile" is meant to break clients, yet a correct one
// survives it without losing an authorization.
func Preset(name string) (Faults, error) {
	f := Faults{
		RefreshTokenMode:       Static,
		ListMode:               ListNewest,
		InfoMode:               ListNewest,
		RevokedErrcode:         int(codeInvalidCredential),
		RefreshTokenGrace:      300,
		ComponentTokenOverlap:  0,
		AuthorizerTokenOverlap: 300,
		ComponentTokenTTL:      7200,
		AuthorizerTokenTTL:     7200,
		PreAuthCodeTTL:         1800,
		AuthorizationCodeTTL:   3600,
		SlowReplyMS:            1000,
		LatePushMS:             2000,
	}
	switch name {
	case PresetOff:
	case PresetDefault:
		f.Busy = 0.01
		f.HTTP5xx = 0.005
		f.HTMLReply = 0.005
		f.TruncatedReply = 0.005
		f.SlowReply = 0.02
		f.ConnectionReset = 0.005
		f.DropReplyAfterProcessing = 0.005
		f.ExtraFields = 0.1
		f.EmptyRefreshToken = 0.01
		f.DuplicatePush = 0.05
		f.ReorderPush = 0.05
		f.LatePush = 0.05
		f.RedirectFirst = 0.5
		f.PreviousKey = 0.2
		f.EarlyDeadToken = 0.005
	case PresetHostile:
		f.Busy = 0.05
		f.HTTP5xx = 0.02
		f.HTMLReply = 0.02
		f.TruncatedReply = 0.02
		f.SlowReply = 0.05
		f.ConnectionReset = 0.02
		f.DropReplyAfterProcessing = 0.02
		f.ErrcodeString = 0.02
		f.ExpiresInString = 0.02
		f.OddReply = 0.01
		f.ExtraFields = 0.2
		f.EmptyRefreshToken = 0.05
		f.False61003 = 0.01
		f.DuplicatePush = 0.2
		f.ReorderPush = 0.1
		f.LatePush = 0.2
		f.LostRedirect = 0.05
		f.RedirectFirst = 0.5
		f.WithholdTicket = 0.05
		f.PreviousKey = 0.3
		f.EarlyDeadToken = 0.02
		f.RefreshTokenMode = RotateStrict
	default:
		return Faults{}, fmt.Errorf("fault preset %q: must be %s, %s or %s", name, PresetOff, PresetDefault, PresetHostile)
	}
	return f, nil
}

// probabilities names every knob of [Faults] that is a probability.
func (f *Faults) probabilities() map[string]*float64 {
	return map[string]*float64{
		"busy": &f.Busy, "http_5xx": &f.HTTP5xx, "html_reply": &f.HTMLReply, "truncated_reply": &f.TruncatedReply,
		"slow_reply": &f.SlowReply, "connection_reset": &f.ConnectionReset, "drop_reply_after_processing": &f.DropReplyAfterProcessing,
		"errcode_string": &f.ErrcodeString, "expires_in_string": &f.ExpiresInString, "extra_fields": &f.ExtraFields,
		"odd_expires_in": &f.OddExpiresIn, "odd_reply": &f.OddReply,
		"empty_refresh_token": &f.EmptyRefreshToken, "false_61003": &f.False61003, "quota_exhausted": &f.QuotaExhausted,
		"duplicate_push": &f.DuplicatePush, "reorder_push": &f.ReorderPush, "late_push": &f.LatePush, "lost_push": &f.LostPush,
		"lost_redirect": &f.LostRedirect, "redirect_first": &f.RedirectFirst, "withhold_ticket": &f.WithholdTicket,
		"previous_key": &f.PreviousKey, "early_dead_token": &f.EarlyDeadToken,
	}
}

// validate names every mistake at once.
func (f Faults) validate() error {
	var errs []error
	for name, p := range f.probabilities() {
		if *p < 0 || *p > 1 || math.IsNaN(*p) {
			errs = append(errs, fmt.Errorf("%s is %v: a probability is between 0 and 1", name, *p))
		}
	}
	switch f.RefreshTokenMode {
	case Static, RotateGrace, RotateStrict:
	default:
		errs = append(errs, fmt.Errorf("refresh_token_mode is %q: must be %s, %s or %s", f.RefreshTokenMode, Static, RotateGrace, RotateStrict))
	}
	for name, mode := range map[string]ListMode{"list_mode": f.ListMode, "info_mode": f.InfoMode} {
		switch mode {
		case ListNewest, ListStale, ListEmpty, ListError:
		default:
			errs = append(errs, fmt.Errorf("%s is %q: must be %s, %s, %s or %s", name, mode, ListNewest, ListStale, ListEmpty, ListError))
		}
	}
	if c := errcode(f.RevokedErrcode); c != codeInvalidCredential && c != codeNotAuthorized {
		errs = append(errs, fmt.Errorf("revoked_errcode is %d: must be 40001 or 61003", f.RevokedErrcode))
	}
	const day = 86400
	for _, d := range []struct {
		name             string
		value, low, high int
	}{
		{"refresh_token_grace", f.RefreshTokenGrace, 0, day},
		{"component_token_overlap", f.ComponentTokenOverlap, 0, day},
		{"authorizer_token_overlap", f.AuthorizerTokenOverlap, 0, day},
		{"component_token_ttl", f.ComponentTokenTTL, 1, day},
		{"authorizer_token_ttl", f.AuthorizerTokenTTL, 1, day},
		{"pre_auth_code_ttl", f.PreAuthCodeTTL, 1, day},
		{"authorization_code_ttl", f.AuthorizationCodeTTL, 1, day},
		{"slow_reply_ms", f.SlowReplyMS, 0, 60_000},
		{"reply_latency_ms", f.ReplyLatencyMS, 0, 60_000},
		{"late_push_ms", f.LatePushMS, 0, 60_000},
	} {
		if d.value < d.low || d.value > d.high {
			errs = append(errs, fmt.Errorf("%s is %d: must be between %d and %d", d.name, d.value, d.low, d.high))
		}
	}
	return errors.Join(errs...)
}

// Merge applies a JSON object of knobs, as in the control API, and before them the
// preset that it may name. Its error names an unknown knob or a value out of range.
func (f Faults) Merge(object []byte) (Faults, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil {
		return f, fmt.Errorf("faults: %w", err)
	}
	if preset, named := fields["preset"]; named {
		var name string
		if err := json.Unmarshal(preset, &name); err != nil {
			return f, fmt.Errorf("preset: %w", err)
		}
		var err error
		if f, err = Preset(name); err != nil {
			return f, err
		}
		delete(fields, "preset")
	}
	rest, err := json.Marshal(fields)
	if err != nil {
		return f, fmt.Errorf("faults: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(rest))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
			return f, fmt.Errorf("faults: there is no knob %s; GET /faults lists them all", name)
		}
		return f, fmt.Errorf("faults: %w", err)
	}
	return f, f.validate()
}

// Faults returns the faults in force.
func (s *Simulator) Faults() Faults { return *s.faults.Load() }

// SetFaults replaces the faults in force from the next call on.
func (s *Simulator) SetFaults(f Faults) error {
	if err := f.validate(); err != nil {
		return err
	}
	s.faults.Store(&f)
	return nil
}

// strikes decides whether a fault of probability p happens to subject now, and
// records it if so.
func (s *Simulator) strikes(p float64, fault, subject string) bool {
	if p <= 0 || s.dice.share(fault, subject) >= p {
		return false
	}
	s.journal.add(Entry{Time: s.now(), Kind: KindFault, Fault: fault, Path: subject})
	return true
}

func seconds(n int) time.Duration      { return time.Duration(n) * time.Second }
func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }
