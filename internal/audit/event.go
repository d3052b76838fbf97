package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tuoguan/tuoguan/store"
)

const (
	maxText   = 1024 // bytes of one text; what is longer is cut
	maxDetail = 32   // entries
	formatNow = 1
)

// Event is one thing that somebody did. It must hold no secret.
type Event struct {
	Actor      string            // id of the API key, or "user:" and the id of a user
	ActorName  string            // its name at the time
	Address    string            // from which the request came
	Operation  string            // what was done; required
	Component  string            // AppID, if one is concerned
	Authorizer string            // AppID, if one is concerned
	Target     string            // what else was concerned, such as the id of a key or a link
	Result     string            // what came of it
	RequestID  string            // by which the log of the server tells of it
	Detail     map[string]string // the first 32 by name are kept

	// Repeats is set on totals only: so often since Since was a token handed to this
	// actor, at this address, that he had been handed before.
	Repeats int64
	Since   time.Time
}

// format is the body of a record. What is hashed are the bytes that this encodes to, so
// the order of the fields and their names stay as they are; new ones come at the end.
type format struct {
	Version    int               `json:"v"`
	Actor      string            `json:"actor"`
	ActorName  string            `json:"actor_name,omitempty"`
	Address    string            `json:"address,omitempty"`
	Operation  string            `json:"operation"`
	Component  string            `json:"component_appid,omitempty"`
	Authorizer string            `json:"authorizer_appid,omitempty"`
	Target     string            `json:"target,omitempty"`
	Result     string            `json:"result,omitempty"`
	RequestID  string            `json:"request_id,omitempty"`
	Detail     map[string]string `json:"detail,omitempty"`
	Repeats    int64             `json:"repeats,omitempty"`
	Since      time.Time         `json:"since,omitzero"`
}

// body returns the event as it is stored and hashed.
func (e Event) body() []byte {
	f := format{
		Version: formatNow, Actor: cut(e.Actor), ActorName: cut(e.ActorName), Address: cut(e.Address),
		Operation: cut(e.Operation), Component: cut(e.Component), Authorizer: cut(e.Authorizer), Target: cut(e.Target),
		Result: cut(e.Result), RequestID: cut(e.RequestID), Detail: cutDetail(e.Detail), Repeats: e.Repeats, Since: e.Since.UTC(),
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(f); err != nil {
		panic(err) // texts, a number and an instant always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// cut bounds a text and makes it one that JSON can hold.
func cut(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= maxText {
		return text
	}
	end := maxText - len("…")
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// cutDetail bounds the entries and their number.
func cutDetail(detail map[string]string) map[string]string {
	if len(detail) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(detail))
	bounded := make(map[string]string)
	for _, name := range names[:min(len(names), maxDetail)] {
		bounded[cut(name)] = cut(detail[name])
	}
	return bounded
}

// Entry is one record of the log, decoded.
type Entry struct {
	Seq  int64 // from 1, without gaps
	At   time.Time
	Hash []byte
	Event
	// Unreadable says that the body is no event: somebody has altered it.
	Unreadable bool
}

// Decode returns a stored record as an entry.
func Decode(r store.AuditRecord) Entry {
	entry := Entry{Seq: r.Seq, At: r.At, Hash: r.Hash}
	var f format
	if err := json.Unmarshal(r.Body, &f); err != nil {
		entry.Unreadable = true
		return entry
	}
	entry.Event = Event{
		Actor: f.Actor, ActorName: f.ActorName, Address: f.Address, Operation: f.Operation, Component: f.Component,
		Authorizer: f.Authorizer, Target: f.Target, Result: f.Result, RequestID: f.RequestID, Detail: f.Detail,
		Repeats: f.Repeats, Since: f.Since,
	}
	return entry
}

// Page lists entries with a number greater than after, oldest first.
func (l *Log) Page(ctx context.Context, after int64, limit int) ([]Entry, error) {
	return decodeAll(l.cfg.Store.Audit(ctx, after, limit))
}

// PageBackwards lists entries with a number smaller than before, newest first; 0 begins
// at the end.
func (l *Log) PageBackwards(ctx context.Context, before int64, limit int) ([]Entry, error) {
	return decodeAll(l.cfg.Store.AuditBackwards(ctx, before, limit))
}

func decodeAll(records []store.AuditRecord, err error) ([]Entry, error) {
	if err != nil {
		return nil, fmt.Errorf("audit: list: %w", err)
	}
	entries := make([]Entry, len(records))
	for i, r := range records {
		entries[i] = Decode(r)
	}
	return entries, nil
}
