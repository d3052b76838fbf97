package subscription

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
)

const (
	// askedFirst is how long an ordinary delivery waits for the outcome of a passive
	// reply. WeChat waits five seconds for that.
	askedFirst = 10 * time.Second
	// tagsPause is how long to wait before tags are looked up again.
	tagsPause = 50 * time.Millisecond
)

// row is a stored subscription as it was read.
type row struct {
	id      string
	version int64
	opened  bool          // its secrets did open
	parsed  *Subscription // nil: it cannot be read by this version
}

// snapshot is all subscriptions at an instant. It does not change.
type snapshot struct {
	rows map[string]row
	all  []Subscription // ordered by id
	byID map[string]*Subscription

	// Subscriptions for accounts that they name are found by account. Others are found
	// by kind: by one that they want exactly, or among those that want more than that.
	named  map[tuoguan.AuthorizerAppID][]*candidate
	byKind map[string][]*candidate
	open   []*candidate
}

// candidate is a subscription prepared for matching.
type candidate struct {
	Match
	id       string
	priority int
	contains []string // in lower case
	static   bool     // an answer that is always the same
	replies  bool     // it is in force and may answer
	of       *Subscription
}

// newSnapshot takes rows ordered by id.
func newSnapshot(rows []row) *snapshot {
	s := &snapshot{
		rows:   make(map[string]row, len(rows)),
		byID:   make(map[string]*Subscription, len(rows)),
		named:  make(map[tuoguan.AuthorizerAppID][]*candidate),
		byKind: make(map[string][]*candidate),
	}
	for _, r := range rows {
		s.rows[r.id] = r
		if r.parsed != nil {
			s.all = append(s.all, *r.parsed)
			s.byID[r.id] = r.parsed
			s.index(r.parsed)
		}
	}
	return s
}

// reuse returns what was read before, if that is what is stored.
func (s *snapshot) reuse(record store.Subscription) (row, bool) {
	r, ok := s.rows[record.ID]
	return r, ok && r.version == record.Version && r.opened == (len(record.Secrets) > 0)
}

func (s *snapshot) index(of *Subscription) {
	spec := of.Spec.Normalize()
	c := &candidate{
		Match: spec.Match, id: of.ID, priority: spec.Priority, of: of,
		static:  spec.Sink.Type == Answer,
		replies: of.State == store.SubscriptionActive && (spec.Sink.Type == Answer || spec.Reply),
	}
	for _, text := range spec.Match.Contains {
		c.contains = append(c.contains, strings.ToLower(text))
	}
	if len(c.Authorizers) > 0 && len(c.Tags) == 0 {
		for _, id := range c.Authorizers {
			s.named[id] = append(s.named[id], c)
		}
		return
	}
	// Normalize has left no kind that another one covers, so nobody is found twice.
	open := false
	for _, kind := range c.Kinds {
		if strings.HasSuffix(kind, "*") {
			open = true
		} else {
			s.byKind[kind] = append(s.byKind[kind], c)
		}
	}
	if open {
		s.open = append(s.open, c)
	}
}

// subject is an event about to be matched, with what is found out about it on the way.
type subject struct {
	tuoguan.Authorization
	kind   string
	parsed *push.Push // nil for an event of our own

	text      string // in lower case
	textKnown bool
	tags      []string
	tagsKnown bool
}

// matching appends the subscriptions that an event matches, each once.
func (s *Set) matching(ctx context.Context, e *subject, found []*candidate) []*candidate {
	if !event.Deliverable(e.kind) {
		return found
	}
	now := s.current.Load()
	for _, c := range now.named[e.Authorizer] {
		if slices.ContainsFunc(c.Kinds, func(kind string) bool { return covers(kind, e.kind) }) && s.matches(ctx, c, e) {
			found = append(found, c)
		}
	}
	for _, c := range now.byKind[e.kind] {
		if s.matches(ctx, c, e) {
			found = append(found, c)
		}
	}
	for _, c := range now.open {
		if c.wantsMore(e.kind) && s.matches(ctx, c, e) {
			found = append(found, c)
		}
	}
	return found
}

// wantsMore reports whether a kind is covered by one that ends in "*".
func (c *candidate) wantsMore(kind string) bool {
	for _, wanted := range c.Kinds {
		if prefix, open := strings.CutSuffix(wanted, "*"); open && strings.HasPrefix(kind, prefix) {
			return true
		}
	}
	return false
}

// matches reports whether all but the kind matches. What is dear comes last.
func (s *Set) matches(ctx context.Context, c *candidate, e *subject) bool {
	if len(c.Components) > 0 && !contains(c.Components, e.Component) {
		return false
	}
	if len(c.contains) > 0 && !e.says(c.contains) {
		return false
	}
	if len(c.Authorizers) == 0 && len(c.Tags) == 0 {
		return true
	}
	if e.Authorizer == "" {
		return false
	}
	return contains(c.Authorizers, e.Authorizer) || len(c.Tags) > 0 && s.tagged(ctx, c.Tags, e)
}

// contains searches an ascending list.
func contains[T ~string](list []T, entry T) bool {
	_, found := slices.BinarySearch(list, entry)
	return found
}

// says reports whether the event is a text that contains one of these.
func (e *subject) says(texts []string) bool {
	if e.kind != "text" || e.parsed == nil {
		return false
	}
	if !e.textKnown {
		e.text, e.textKnown = strings.ToLower(e.parsed.Field("Content")), true
	}
	for _, text := range texts {
		if strings.Contains(e.text, text) {
			return true
		}
	}
	return false
}

// tagged reports whether the account of an event has one of these tags.
func (s *Set) tagged(ctx context.Context, wanted []string, e *subject) bool {
	if !e.tagsKnown {
		e.tags, e.tagsKnown = s.tags(ctx, e.Authorization), true
	}
	for _, tag := range e.tags {
		if contains(wanted, tag) {
			return true
		}
	}
	return false
}

// tags looks up the tags of an account, again and again until ctx ends if the store is
// away. An account whose record does not open has none.
func (s *Set) tags(ctx context.Context, a tuoguan.Authorization) []string {
	for attempt := 1; ; attempt++ {
		tags, err := s.cfg.Tags(ctx, a)
		if err == nil {
			return tags
		}
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if attempt == 1 {
			s.cfg.Logger.ErrorContext(ctx, "tags cannot be looked up, which decide to whom events go",
				"component_appid", a.Component, "authorizer_appid", a.Authorizer, "error", err)
		}
		if errors.Is(err, store.ErrQuarantined) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(tagsPause):
		}
	}
}

// answerable reports whether WeChat takes an answer to a push: one to the message and
// event URL.
func answerable(p *push.Push) bool {
	return p.Authorizer != "" && p.MsgType != "" && p.InfoType == ""
}

// answerer returns who of those found is to answer, or nil.
func answerer(found []*candidate) *candidate {
	var first *candidate
	for _, c := range found {
		if c.replies && (first == nil || c.priority > first.priority || c.priority == first.priority && c.id < first.id) {
			first = c
		}
	}
	return first
}
