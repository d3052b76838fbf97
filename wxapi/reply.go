package wxapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
)

const (
	// maxTokenReply bounds the reply of an endpoint that yields tokens or nothing.
	maxTokenReply = 64 << 10
	// maxReply bounds the others. A page of 500 authorizers has about 100 KB.
	maxReply = 1 << 20
	// maxDepth bounds the nesting of a reply; the deepest known has 6 levels.
	maxDepth = 64
	// maxTokenLength bounds a token, ticket or code. WeChat asks to reserve 512.
	maxTokenLength = 1 << 10
)

// decode judges a reply and, if it is a success, decodes it into out, which may
// be nil. Every reply goes through here: first the form of the body, then errcode,
// then the HTTP status, then the fields. A success that lacks a required field is
// found by the caller, which knows the field.
func (r *request) decode(status int, body []byte, out any) error {
	fields, problem := parseObject(body)
	if problem != "" {
		if !isSuccess(status) {
			problem = "http status"
		}
		return newReplyError(r.op, status, body, problem)
	}
	code, problem := errcodeOf(fields["errcode"])
	switch {
	case problem != "":
		return newReplyError(r.op, status, body, problem)
	case code != 0:
		return r.refusal(status, code, fields["errmsg"])
	case !isSuccess(status):
		return newReplyError(r.op, status, body, "http status")
	case out == nil:
		return nil
	}
	if raw, ok := out.(*json.RawMessage); ok {
		*raw = bytes.Clone(body)
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		// The text of err may quote a value, so only the field's name is kept.
		problem = "wrong type"
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			problem = "wrong type of " + wrong.Field
		}
		return newReplyError(r.op, status, body, problem)
	}
	return nil
}

func isSuccess(status int) bool { return status >= 200 && status <= 299 }

func (r *request) refusal(status, code int, errmsg json.RawMessage) *APIError {
	var text string
	if json.Unmarshal(errmsg, &text) != nil {
		text = "" // the number decides; a text of another type is no reason to lose it
	}
	row, _ := findErrcode(code, r.with)
	e := &APIError{Op: r.op, Code: code, HTTPStatus: status, Owner: r.owner, Class: row.class, with: r.with}
	e.Message, e.RID = splitMessage(text, r.secrets)
	return e
}

// parseObject returns the fields of a body that is exactly one JSON object, or
// says why it is not. Keys must be unique at every level: of two tokens under one
// name nobody can tell which is meant.
func parseObject(body []byte) (fields map[string]json.RawMessage, problem string) {
	text := bytes.TrimLeft(body, " \t\r\n")
	switch {
	case len(text) == 0:
		return nil, "empty"
	case bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
		return nil, "byte order mark"
	case bytes.HasPrefix(text, []byte("\x1f\x8b")):
		return nil, "compressed"
	case text[0] == '<':
		return nil, "html"
	case text[0] != '{':
		return nil, "not a json object"
	}
	if problem := checkKeys(text); problem != "" {
		return nil, problem
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, "malformed json"
	}
	return fields, ""
}

// checkKeys walks over a JSON text without recursion and says what is wrong with
// its keys or nesting, if anything is.
func checkKeys(text []byte) (problem string) {
	type level struct {
		keys    map[string]bool // nil for an array
		wantKey bool
	}
	var levels []level
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err == io.EOF {
			return ""
		}
		if err != nil {
			return "malformed json"
		}
		var top *level
		if len(levels) > 0 {
			top = &levels[len(levels)-1]
		}
		if top != nil && top.keys != nil && top.wantKey && token != json.Delim('}') {
			key := token.(string) // the decoder accepts nothing else in this place
			if top.keys[key] {
				return "duplicate key"
			}
			top.keys[key] = true
			top.wantKey = false
			continue
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			if len(levels) == maxDepth {
				return "nested too deeply"
			}
			if top != nil {
				top.wantKey = true // after the value that begins here
			}
			next := level{}
			if token == json.Delim('{') {
				next = level{keys: map[string]bool{}, wantKey: true}
			}
			levels = append(levels, next)
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
		default:
			if top != nil {
				top.wantKey = true
			}
		}
	}
}

// errcodeOf reads an errcode, which is a number or, from some endpoints, a number
// in a string. An absent one is 0.
func errcodeOf(raw json.RawMessage) (code int, problem string) {
	if raw == nil || string(raw) == "null" {
		return 0, ""
	}
	text := string(raw)
	if unquoted, err := strconv.Unquote(text); err == nil && strings.HasPrefix(text, `"`) {
		text = unquoted
	}
	code, err := strconv.Atoi(text)
	if err != nil {
		return 0, "errcode is not a number"
	}
	return code, ""
}

// A number is an integer on the wire that may come as a string ("7200") or with a
// fraction or exponent. One out of range becomes the nearest int64.
type number int64

func (n *number) UnmarshalJSON(raw []byte) error {
	text := string(raw)
	if text == "null" {
		return nil
	}
	if strings.HasPrefix(text, `"`) {
		text = strings.Trim(text, `"`)
		if strings.Trim(text, "0123456789+-.eE") != "" {
			return errNotANumber
		}
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		*n = number(value) // ParseInt gives the nearest
		return nil
	}
	if err == nil {
		*n = number(value)
		return nil
	}
	fraction, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange):
		return errNotANumber
	case fraction >= math.MaxInt64:
		*n = math.MaxInt64
	case fraction <= math.MinInt64:
		*n = math.MinInt64
	default:
		*n = number(fraction)
	}
	return nil
}

var errNotANumber = errors.New("not a number")

const (
	// maxLifetime is how long WeChat's tokens live; a longer life is not believed.
	maxLifetime = 2 * time.Hour
	// unknownLifetime stands in for a life that is absent, zero or negative: short,
	// but long enough that not everybody refreshes all the time.
	unknownLifetime = time.Minute
)

// clampLifetime never returns a longer life than WeChat named.
func clampLifetime(seconds number) time.Duration {
	if seconds <= 0 {
		return unknownLifetime
	}
	return time.Duration(min(seconds, number(maxLifetime/time.Second))) * time.Second
}

// plausibleToken reports whether s can be a token, ticket or code: not empty, not
// over a KiB, printable ASCII without spaces. What it means is WeChat's affair.
func plausibleToken(s string) bool {
	if s == "" || len(s) > maxTokenLength {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// A reply is a successful reply whose required fields are still to be judged.
type reply struct {
	client *Client
	op     string
	status int
	body   []byte
	sentAt time.Time
}

// unusable is the error of a success that lacks what it must have.
func (r reply) unusable(reason string) error {
	return newReplyError(r.op, r.status, r.body, reason)
}

// token returns the value of a field that must hold a token.
func (r reply) token(field, value string) (tuoguan.Secret, error) {
	if value == "" {
		return tuoguan.Secret{}, r.unusable("no " + field)
	}
	return r.optionalToken(field, value)
}

// optionalToken is token for a field that may be absent or empty.
func (r reply) optionalToken(field, value string) (tuoguan.Secret, error) {
	if value != "" && !plausibleToken(value) {
		return tuoguan.Secret{}, r.unusable(field + " is not a token")
	}
	return tuoguan.NewSecret(value), nil
}

// expiry returns when something dies that was issued in this reply. The life is
// counted from before the request was sent, so that a slow reply does not
// lengthen it. An absent expires_in, which is 0, means the shortest life.
func (r reply) expiry(expiresIn number) time.Time {
	life := clampLifetime(expiresIn)
	if number(life/time.Second) != expiresIn {
		r.client.logger.Warn("lifetime out of range", "op", r.op, "expires_in", int64(expiresIn), "used", life)
	}
	return r.sentAt.Add(life)
}
