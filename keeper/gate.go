package keeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// GateSetting is the name of the setting that holds a [Gate] as JSON.
const GateSetting = "gate"

// gatePatience is how long the comparison with WeChat's list may fail before a gate
// is opened without it: the list helps, but custody must not depend on it.
const gatePatience = 2 * time.Minute

// gateRetry is how long after a comparison that failed the next one begins.
const gateRetry = 5 * time.Second

// gateRecheck is how long a refresh that met a closed gate is put off.
const gateRecheck = 20 * time.Second

// ErrGated: the data was restored or copied, and it is not certain yet that no other
// installation works with the same authorizations.
var ErrGated = errors.New("keeper: the data was restored or copied; nothing is refreshed before a new verify ticket has arrived and WeChat's list was compared")

// Gate keeps an installation whose data came from somewhere else from refreshing:
// what it has may be old, and the one it came from may still be at work. WeChat
// pushes tickets to one installation only. So a component is let through once a
// ticket has arrived after the gate was closed, and what is stored has been compared
// with api_get_authorizer_list.
type Gate struct {
	ClosedAt time.Time `json:"closed_at"` // zero: it was never closed
	Reason   string    `json:"reason"`    // "restored" or "copied"
	// Opened says when each component was let through. A component created after
	// ClosedAt needs no gate.
	Opened map[tuoguan.ComponentAppID]time.Time `json:"opened,omitempty"`
}

// gateStage is how far a component has come.
type gateStage int

const (
	gateOpen      gateStage = iota
	gateTicket              // waits for a ticket; nothing is asked of WeChat but that
	gateComparing           // waits for the comparison; only refreshes wait
)

// awaits says what has to happen next.
func (s gateStage) awaits() string {
	if s == gateTicket {
		return "a verify ticket arrives here: WeChat pushes them to one installation only"
	}
	return "what is stored has been compared with WeChat's list"
}

// stage returns how far a component has come through the gate.
func (k *Keeper) stage(ctx context.Context, id tuoguan.ComponentAppID) (gateStage, error) {
	if k.gateless.Load() {
		return gateOpen, nil
	}
	c, err := k.component(ctx, id)
	if err != nil || c.passed {
		return gateOpen, err
	}
	g, err := k.gate(ctx)
	if err != nil {
		return gateOpen, err
	}
	if g.ClosedAt.IsZero() || !g.Opened[id].IsZero() || c.record.CreatedAt.After(g.ClosedAt) {
		k.change(id, func(c *component) { c.passed = true })
		return gateOpen, nil
	}
	tickets, err := k.tickets(ctx, id)
	if err != nil {
		return gateTicket, fmt.Errorf("read the tickets of %s: %w", id, err)
	}
	if len(tickets) == 0 || !tickets[0].ReceivedAt.After(g.ClosedAt) {
		return gateTicket, nil
	}
	return gateComparing, nil
}

// gate reads the gate, from memory once it has been found open everywhere.
func (k *Keeper) gate(ctx context.Context) (Gate, error) {
	if k.gateless.Load() {
		return Gate{}, nil
	}
	var g Gate
	if _, err := k.setting(ctx, GateSetting, &g); err != nil {
		return Gate{}, err
	}
	if g.ClosedAt.IsZero() {
		k.gateless.Store(true)
	}
	return g, nil
}

// shut reports whether no component may refresh yet.
func (k *Keeper) shut(ctx context.Context) bool {
	for _, id := range k.componentIDs() {
		if stage, err := k.stage(ctx, id); err != nil || stage == gateOpen {
			return false
		}
	}
	return true
}

// pass fails with ErrGated if a component must not refresh yet.
func (k *Keeper) pass(ctx context.Context, id tuoguan.ComponentAppID, needed gateStage) error {
	stage, err := k.stage(ctx, id)
	if err == nil && stage != gateOpen && stage != needed {
		err = fmt.Errorf("%w: %s", ErrGated, id)
	}
	return err
}

// tendGate brings a component through the gate.
func (k *Keeper) tendGate(ctx context.Context, id tuoguan.ComponentAppID) error {
	stage, err := k.stage(ctx, id)
	if err != nil || stage != gateComparing {
		return err
	}
	if _, err := k.join(ctx, tuoguan.ComponentToken(id), want{}); err != nil {
		return err
	}
	_, err = k.Reconcile(ctx, id)
	now := k.now()
	if err != nil {
		var since time.Time
		k.change(id, func(c *component) {
			if c.gateSince.IsZero() {
				c.gateSince = now
			}
			since, c.due = c.gateSince, now.Add(gateRetry)
		})
		if now.Sub(since) < gatePatience {
			return err
		}
		k.log.Error("WeChat's list cannot be had; going on without the comparison", "component_appid", id, "error", err)
	}
	return k.openGate(ctx, id, now)
}

func (k *Keeper) openGate(ctx context.Context, id tuoguan.ComponentAppID, now time.Time) error {
	for {
		var g Gate
		version, err := k.setting(ctx, GateSetting, &g)
		if err != nil {
			return err
		}
		if g.Opened == nil {
			g.Opened = make(map[tuoguan.ComponentAppID]time.Time)
		}
		g.Opened[id] = now
		err = k.putSetting(ctx, GateSetting, g, version)
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err == nil {
			k.log.Info("the gate is open", "component_appid", id, "reason", g.Reason)
			k.rouse()
		}
		return err
	}
}
