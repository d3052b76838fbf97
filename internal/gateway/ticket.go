package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

const (
	ticketPath = "/cgi-bin/ticket/getticket"
	// renewAhead is how long before its end a ticket is replaced.
	renewAhead = 10 * time.Minute
	// ticketRetry is how long after a failure to replace a ticket, which still lives,
	// it is tried again.
	ticketRetry = 30 * time.Second
	// ticketAgain is how soon WeChat is asked again at the soonest.
	ticketAgain = 5 * time.Second
	// ticketTimeout bounds getting a ticket, from the store and from WeChat.
	ticketTimeout = 30 * time.Second
	// maxTickets bounds those in memory.
	maxTickets = 100_000
)

// ticketKind returns the kind of ticket that a call asks for, if it is one that is
// kept: jsapi for the JS-SDK, wx_card for cards.
func (c *call) ticketKind() string {
	if c.path != ticketPath || c.r.Method != http.MethodGet {
		return ""
	}
	switch kind := parameter(c.query, "type"); kind {
	case "jsapi", "wx_card":
		return kind
	}
	return ""
}

// serveTicket answers with a ticket in WeChat's shape.
func (c *call) serveTicket(kind string) error {
	t, err := c.g.tickets.get(c.r.Context(), ticketKey{c.entry.Authorization, kind})
	if refused, ok := errors.AsType[*wxapi.APIError](err); ok {
		c.report.Errcode = refused.Code
		text := refused.Message
		if refused.RID != "" {
			text += " rid: " + refused.RID
		}
		c.writeJSON(http.StatusOK, refusal{refused.Code, text})
		return nil
	}
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, struct {
		refusal
		Ticket    string `json:"ticket"`
		ExpiresIn int64  `json:"expires_in"`
	}{refusal{0, "ok"}, t.value.Reveal(), max(0, int64(t.expiresAt.Sub(c.g.cfg.Clock.Now())/time.Second))})
	return nil
}

// ticketKey names a ticket.
type ticketKey struct {
	tuoguan.Authorization
	kind string
}

// stored is the key in the store.
func (k ticketKey) stored() string { return "ticket/" + k.Authorization.String() + "/" + k.kind }

// ticket is one ticket. It is never changed.
type ticket struct {
	value     tuoguan.Secret
	expiresAt time.Time
}

// tickets keeps tickets: in the store for all replicas, in memory in front of it. For
// one ticket there is one flight at a time, however many callers wait for it; it goes
// on when they leave.
type tickets struct {
	api    *wxapi.Client
	values store.Values
	clock  *tuoguan.Clock
	log    *slog.Logger

	base   context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	kept   map[ticketKey]*keptTicket
}

// keptTicket is a ticket in memory, or the flight that gets it.
type keptTicket struct {
	ticket  ticket  // zero if there is none yet
	flight  *flight // nil if none is under way
	renewAt time.Time
}

// flight is the getting of a ticket. What it came to may be read once done is closed.
type flight struct {
	done   chan struct{}
	ticket ticket
	err    error
}

func newTickets(cfg Config) *tickets {
	t := &tickets{api: cfg.WeChat, values: cfg.Values, clock: cfg.Clock, log: cfg.Logger, kept: make(map[ticketKey]*keptTicket)}
	t.base, t.cancel = context.WithCancel(context.Background())
	return t
}

var errClosed = errors.New("gateway: closed")

func (t *tickets) close(ctx context.Context) error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	done := make(chan struct{})
	go func() { t.work.Wait(); close(done) }()
	select {
	case <-done:
		t.cancel()
		return nil
	case <-ctx.Done():
		t.cancel()
		<-done
		return ctx.Err()
	}
}

// get returns a ticket that lives. One that ends soon is handed out while its
// successor is fetched. One that has ended by the time it was fetched is fetched
// anew, once.
func (t *tickets) get(ctx context.Context, key ticketKey) (ticket, error) {
	got, err := t.once(ctx, key)
	if err == nil && !t.clock.Now().Before(got.expiresAt) {
		return t.once(ctx, key)
	}
	return got, err
}

func (t *tickets) once(ctx context.Context, key ticketKey) (ticket, error) {
	now := t.clock.Now()
	t.mu.Lock()
	k := t.kept[key]
	if k == nil {
		t.makeRoom(now)
		k = &keptTicket{}
		t.kept[key] = k
	}
	lives := now.Before(k.ticket.expiresAt)
	if lives && now.Before(k.renewAt) {
		defer t.mu.Unlock()
		return k.ticket, nil
	}
	if k.flight == nil {
		if t.closed {
			t.mu.Unlock()
			return ticket{}, errClosed
		}
		k.flight = &flight{done: make(chan struct{})}
		f := k.flight
		t.work.Go(func() { t.fly(key, k, f) })
	}
	f := k.flight
	current := k.ticket
	t.mu.Unlock()
	if lives {
		return current, nil
	}
	select {
	case <-f.done:
		return f.ticket, f.err
	case <-ctx.Done():
		return ticket{}, ctx.Err()
	}
}

// makeRoom forgets tickets that are dead, or else any. mu is held.
func (t *tickets) makeRoom(now time.Time) {
	if len(t.kept) < maxTickets {
		return
	}
	for key, k := range t.kept {
		if k.flight == nil && !now.Before(k.ticket.expiresAt) {
			delete(t.kept, key)
		}
	}
	for key, k := range t.kept {
		if len(t.kept) < maxTickets {
			return
		}
		if k.flight == nil {
			delete(t.kept, key)
		}
	}
}

func (t *tickets) fly(key ticketKey, k *keptTicket, f *flight) {
	ctx, cancel := context.WithTimeout(t.base, ticketTimeout)
	defer cancel()
	f.ticket, f.err = t.fetch(ctx, key)
	now := t.clock.Now()
	t.mu.Lock()
	switch {
	case f.err == nil:
		k.ticket, k.renewAt = f.ticket, renewal(f.ticket, now)
	case now.Before(k.ticket.expiresAt):
		t.log.WarnContext(ctx, "ticket not renewed, the old one is used", "authorization", key.Authorization, "kind", key.kind, "error", f.err)
		k.renewAt = now.Add(ticketRetry)
	default:
		delete(t.kept, key)
	}
	k.flight = nil
	t.mu.Unlock()
	close(f.done)
}

// renewal is when to replace a ticket: some time ahead of its end. WeChat may answer
// with the same ticket until it has ended; then it is asked again, ever sooner.
func renewal(t ticket, now time.Time) time.Time {
	if ahead := t.expiresAt.Add(-renewAhead); ahead.After(now) {
		return ahead
	}
	return now.Add(max(t.expiresAt.Sub(now)/2, ticketAgain))
}

// storedTicket is a ticket in the store, which seals it.
type storedTicket struct {
	Ticket    string `json:"ticket"`
	ExpiresAt int64  `json:"expires_at"` // Unix seconds
}

// fetch takes the ticket that another replica has stored, or gets one from WeChat and
// stores it. A store that does not work only costs calls.
func (t *tickets) fetch(ctx context.Context, key ticketKey) (ticket, error) {
	stored, version, err := t.load(ctx, key)
	if err != nil {
		t.log.WarnContext(ctx, "ticket not read from the store", "authorization", key.Authorization, "kind", key.kind, "error", err)
	}
	if now := t.clock.Now(); now.Before(stored.expiresAt.Add(-renewAhead)) {
		return stored, nil
	}
	asked := t.clock.Now()
	var wire struct {
		Ticket    string      `json:"ticket"`
		ExpiresIn json.Number `json:"expires_in"` // a string from some replies
	}
	err = t.api.Call(ctx, wxapi.CallRequest{
		Owner:  tuoguan.AuthorizerToken(key.Component, key.Authorizer),
		Method: http.MethodGet, Path: ticketPath, Query: url.Values{"type": {key.kind}}, Repeatable: true,
	}, &wire)
	if err != nil {
		return ticket{}, err
	}
	seconds, err := wire.ExpiresIn.Int64()
	if err != nil || wire.Ticket == "" {
		return ticket{}, &nonsense{http.StatusOK, "no ticket"}
	}
	fresh := ticket{tuoguan.NewSecret(wire.Ticket), asked.Add(time.Duration(min(max(seconds, 0), 7200)) * time.Second)}
	data, err := json.Marshal(storedTicket{wire.Ticket, fresh.expiresAt.Unix()})
	if err != nil {
		return ticket{}, err
	}
	err = t.values.PutValue(ctx, store.Value{Key: key.stored(), Data: data, ExpiresAt: fresh.expiresAt, Version: version})
	if errors.Is(err, store.ErrConflict) {
		// Another replica was first. All are to hand out the same one.
		if theirs, _, err := t.load(ctx, key); err == nil && t.clock.Now().Before(theirs.expiresAt) {
			return theirs, nil
		}
		return fresh, nil
	}
	if err != nil {
		t.log.WarnContext(ctx, "ticket not stored", "authorization", key.Authorization, "kind", key.kind, "error", err)
	}
	return fresh, nil
}

// load returns the stored ticket and its version, both zero if there is none.
func (t *tickets) load(ctx context.Context, key ticketKey) (ticket, int64, error) {
	value, err := t.values.Value(ctx, key.stored())
	if errors.Is(err, store.ErrNotFound) {
		return ticket{}, 0, nil
	}
	if err != nil {
		return ticket{}, 0, err
	}
	var stored storedTicket
	if json.Unmarshal(value.Data, &stored) != nil || stored.Ticket == "" {
		return ticket{}, value.Version, nil //nolint:nilerr // not ours, or of another version: it is replaced
	}
	return ticket{tuoguan.NewSecret(stored.Ticket), time.Unix(stored.ExpiresAt, 0)}, value.Version, nil
}
