package keeper

import (
	"context"
	"fmt"

	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
)

// Router says who is told of what happens. It is asked about every push before the push
// is stored, so it must be quick.
type Router interface {
	// Routes returns the deliveries that an event asks for. Parsed is the event read, or
	// nil if it is none of WeChat's.
	Routes(ctx context.Context, p store.Push, parsed *push.Push) []store.Route
	// Stored is told of routes that are in the store.
	Stored(routes []store.Route)
}

// nobody is the Router of a keeper without one.
type nobody struct{}

func (nobody) Routes(context.Context, store.Push, *push.Push) []store.Route { return nil }
func (nobody) Stored([]store.Route)                                         {}

// Announce stores an event of our own, unless it is there already, and has those told
// who want to be.
func (k *Keeper) Announce(ctx context.Context, p store.Push) error {
	in := k.announcement(ctx, p)
	if _, _, err := k.store.AcceptPush(ctx, *in); err != nil {
		return fmt.Errorf("store an event: %w", err)
	}
	k.cfg.Router.Stored(in.Routes)
	return nil
}

// announcement is an event of our own that is to be stored together with what it tells of.
func (k *Keeper) announcement(ctx context.Context, p store.Push) *store.Intake {
	return &store.Intake{Push: p, Routes: k.cfg.Router.Routes(ctx, p, nil)}
}

// announced tells the router of what was stored together with something else.
func (k *Keeper) announced(in *store.Intake) {
	if in != nil {
		k.cfg.Router.Stored(in.Routes)
	}
}

// tellOverdue announces that tickets have not come although WeChat was asked for them:
// once each time that they fall silent, whichever replica finds out.
func (k *Keeper) tellOverdue(ctx context.Context, c component, tickets []store.Ticket) {
	since := c.record.CreatedAt
	if len(tickets) > 0 {
		since = tickets[0].ReceivedAt
	}
	if since.Equal(c.overdueTold) {
		return
	}
	id := c.record.AppID
	if err := k.Announce(ctx, event.NewTicketOverdue(id, since, k.now())); err != nil {
		k.log.Warn("that tickets are overdue could not be announced", "component_appid", id, "error", err)
		return
	}
	k.change(id, func(c *component) { c.overdueTold = since })
}
