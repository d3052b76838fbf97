package keeper

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// Observation is one thing worth counting.
type Observation struct {
	// Kind is one of refresh, recovery, component_token, start_push_ticket, exchange,
	// profile, reconcile, ticket, state.
	Kind          string
	Authorization tuoguan.Authorization
	// Result is one of ok, busy, denied, ticket, config, quota, storage, changed,
	// error; for a state, the new state.
	Result   string
	Err      error
	Errcode  int // of WeChat's answer; 0 if there was none
	Cause    Cause
	Duration time.Duration // by the system's clock, whatever Config.Clock says
}

// observe reports o, with its result named.
func (k *Keeper) observe(o Observation) {
	if k.cfg.Observe == nil {
		return
	}
	if o.Result == "" {
		o.Result = resultOf(o.Err)
	}
	if api, ok := errors.AsType[*wxapi.APIError](o.Err); ok {
		o.Errcode = api.Code
	}
	k.cfg.Observe(o)
}

func resultOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, errChanged):
		return "changed"
	case errors.Is(err, ErrStorage):
		return "storage"
	case denied(err):
		return "denied"
	case errors.Is(err, ErrNoTicket), errors.Is(err, wxapi.ErrTicketInvalid):
		return "ticket"
	case errors.Is(err, wxapi.ErrConfig):
		return "config"
	case errors.Is(err, wxapi.ErrQuota):
		return "quota"
	case temporary(err):
		return "busy"
	}
	return "error"
}

// Problem is something an operator should know of.
type Problem struct {
	// Code is one of store_unavailable, token_unsaved, spill_damaged,
	// record_quarantined, gate_closed, ticket_missing, ticket_overdue,
	// component_token_failing.
	Code      string
	Component tuoguan.ComponentAppID // "" where all are concerned
	Message   string                 // holds no secret
	Since     time.Time
	// Blocking: pushes cannot be stored, so WeChat must not send them here.
	Blocking bool
}

// health remembers whether the store works.
type health struct {
	mu       sync.Mutex
	err      error // of the last write; nil if it worked
	since    time.Time
	pending  int // results of WeChat that are in memory only
	unsafeAt time.Time

	spill   error // why some of the spill file could not be read
	spillAt time.Time
	// quarantined are authorizations whose record does not open.
	quarantined map[tuoguan.TokenOwner]time.Time
	left        map[string]time.Time // what lists came without, and when last
}

// quarantinedKept bounds how many records that do not open are told apart.
const quarantinedKept = 1000

// leftShown is how long a record that a list came without is reported after that.
const leftShown = 2 * time.Minute

// readable notes whether the record of owner opens.
func (h *health) readable(owner tuoguan.TokenOwner, err error, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !errors.Is(err, store.ErrQuarantined) {
		if err == nil {
			delete(h.quarantined, owner)
		}
		return
	}
	if h.quarantined == nil {
		h.quarantined = make(map[tuoguan.TokenOwner]time.Time)
	}
	if _, ok := h.quarantined[owner]; !ok && len(h.quarantined) < quarantinedKept {
		h.quarantined[owner] = now
	}
}

// unreadable notes that a list came without a record that does not open.
func (h *health) unreadable(what string, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.left == nil {
		h.left = make(map[string]time.Time)
	}
	if len(h.left) < quarantinedKept {
		h.left[what] = now
	}
}

func (h *health) damaged(err error, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.spill, h.spillAt = err, now
}

func (h *health) stored() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = nil
}

func (h *health) failedToStore(err error, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil {
		h.since = now
	}
	h.err = err
}

func (h *health) unsaved(err error, now time.Time) {
	h.failedToStore(err, now)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pending == 0 {
		h.unsafeAt = now
	}
	h.pending++
}

func (h *health) saved() {
	h.stored()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pending--
}

// failing reports whether the last write failed.
func (h *health) failing() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err != nil
}

// Health returns what is wrong at present, the blocking first.
func (k *Keeper) Health(ctx context.Context) []Problem {
	var problems []Problem
	k.health.mu.Lock()
	if err := k.health.err; err != nil {
		problems = append(problems, Problem{
			Code:     "store_unavailable",
			Message:  "the store does not take writes, so no token is refreshed: " + err.Error(),
			Since:    k.health.since,
			Blocking: true,
		})
	}
	if k.health.pending > 0 {
		problems = append(problems, Problem{
			Code:    "token_unsaved",
			Message: "tokens that WeChat issued are in memory only; do not stop the process",
			Since:   k.health.unsafeAt,
		})
	}
	if err := k.health.spill; err != nil {
		problems = append(problems, Problem{
			Code:    "spill_damaged",
			Message: "a part of the spill file cannot be read: " + err.Error(),
			Since:   k.health.spillAt,
		})
	}
	for owner, since := range k.health.quarantined {
		problems = append(problems, Problem{
			Code:      "record_quarantined",
			Component: owner.Component(),
			Message:   fmt.Sprintf("the record of %s was altered on the disk or belongs elsewhere, and is not used", owner),
			Since:     since,
		})
	}
	for what, seen := range k.health.left {
		if k.now().Sub(seen) > leftShown {
			delete(k.health.left, what)
			continue
		}
		problems = append(problems, Problem{Code: "record_quarantined", Message: what, Since: seen})
	}
	k.health.mu.Unlock()

	status, err := k.uncounted(ctx)
	if err != nil {
		return append(problems, Problem{Code: "store_unavailable", Message: err.Error(), Since: k.now(), Blocking: true})
	}
	now := k.now()
	gate, err := k.gate(ctx)
	if err != nil {
		return append(problems, Problem{Code: "store_unavailable", Message: err.Error(), Since: now, Blocking: true})
	}
	for _, c := range status.Components {
		if stage, err := k.stage(ctx, c.AppID); err == nil && stage != gateOpen {
			problems = append(problems, Problem{Code: "gate_closed", Component: c.AppID, Since: gate.ClosedAt,
				Message: "the data was " + gate.Reason + "; nothing is refreshed until " + stage.awaits()})
		}
		switch {
		case c.TicketReceivedAt.IsZero():
			problems = append(problems, Problem{Code: "ticket_missing", Component: c.AppID, Since: c.WaitingSince,
				Message: "no verify ticket has arrived yet; WeChat pushes one every ten minutes to the authorization event URL"})
		case now.Sub(c.TicketReceivedAt) > ticketSilence+startPushEvery:
			problems = append(problems, Problem{Code: "ticket_overdue", Component: c.AppID, Since: c.TicketReceivedAt,
				Message: "no verify ticket for more than half an hour; without one there is no component token twelve hours after the last"})
		}
		if c.Problem != "" {
			problems = append(problems, Problem{Code: "component_token_failing", Component: c.AppID, Since: c.ProblemSince, Message: c.Problem})
		}
	}
	return problems
}

// Status is the state of custody in numbers.
type Status struct{ Components []ComponentStatus }

// ComponentStatus is the state of one component.
type ComponentStatus struct {
	AppID            tuoguan.ComponentAppID
	TicketReceivedAt time.Time // zero: never
	WaitingSince     time.Time // since when a ticket is awaited
	TokenExpiresAt   time.Time // zero: there is none
	Problem          string    // why there is no new component token; "" if all is well
	ProblemSince     time.Time
	// EgressIP is the address that WeChat refuses calls from, as the problem names it:
	// it is not in the IP whitelist. Else it is the zero Addr.
	EgressIP    netip.Addr
	Authorizers map[tuoguan.State]int64
}

// Status reads the state of all components. The authorizers of many were counted a
// while ago: counting takes a hundredth of the time at the most.
func (k *Keeper) Status(ctx context.Context) (Status, error) {
	s, err := k.uncounted(ctx)
	if err != nil {
		return Status{}, err
	}
	counts, err := k.count(ctx)
	if err != nil {
		return Status{}, err
	}
	for _, c := range s.Components {
		for _, n := range counts {
			if n.Component == c.AppID {
				c.Authorizers[n.State] = n.Count
			}
		}
	}
	return s, nil
}

// uncounted is Status without the authorizers.
func (k *Keeper) uncounted(ctx context.Context) (Status, error) {
	records, err := k.records(ctx)
	if err != nil {
		return Status{}, err
	}
	var s Status
	for _, r := range records {
		c, err := k.component(ctx, r.AppID)
		if err != nil {
			return Status{}, err
		}
		cs := ComponentStatus{AppID: r.AppID, WaitingSince: c.seen, Authorizers: make(map[tuoguan.State]int64)}
		tickets, err := k.tickets(ctx, r.AppID)
		if err != nil {
			return Status{}, err
		}
		if len(tickets) > 0 {
			cs.TicketReceivedAt = tickets[0].ReceivedAt
		}
		t, err := k.stored(ctx, tuoguan.ComponentToken(r.AppID))
		if err != nil {
			return Status{}, err
		}
		cs.TokenExpiresAt = t.ExpiresAt
		if c.problem != nil && !errors.Is(c.problem, ErrNoTicket) {
			cs.Problem, cs.ProblemSince = c.problem.Error(), c.problemAt
			if refusal, ok := errors.AsType[*wxapi.APIError](c.problem); ok {
				cs.EgressIP = refusal.ClientIP()
			}
		}
		s.Components = append(s.Components, cs)
	}
	return s, nil
}

const (
	// countShare is how many times as long as it took to count the result is used.
	countShare = 100
	// countCheap is how long counting may take without anything of that.
	countCheap = 20 * time.Millisecond
)

// counted is how many authorizers there were.
type counted struct {
	counts []store.AuthorizerCount
	at     time.Time
	took   time.Duration
}

// count counts the authorizers, unless that was done a short while ago: a million take
// long enough to be felt if every look at the metrics counted them.
func (k *Keeper) count(ctx context.Context) ([]store.AuthorizerCount, error) {
	if c := k.counted.Load(); c != nil && c.took > countCheap && time.Since(c.at) < countShare*c.took {
		return c.counts, nil
	}
	result := k.flights.DoChan("count", func() (any, error) {
		if !k.enter() {
			return []store.AuthorizerCount(nil), ErrClosed
		}
		defer k.work.Done()
		ctx, cancel := context.WithTimeout(k.base, k.cfg.LeaseTTL)
		defer cancel()
		began := time.Now()
		counts, err := k.store.CountAuthorizers(ctx)
		if err == nil {
			k.counted.Store(&counted{counts: counts, at: time.Now(), took: time.Since(began)})
		}
		return counts, err
	})
	select {
	case r := <-result:
		return r.Val.([]store.AuthorizerCount), r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
