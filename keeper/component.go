package keeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
	"github.com/tuoguan/tuoguan/wxcrypt"
)

const (
	// ticketLife is how long a verify ticket is good after its push.
	// Source: third-party platform docs, component_verify_ticket, read 2026-11.
	ticketLife = 12 * time.Hour
	// ticketSilence is how long no ticket may arrive before pushing is restarted;
	// WeChat pushes one every ten minutes.
	ticketSilence = 20 * time.Minute
	// startPushEvery spaces calls of api_start_push_ticket; after it has succeeded
	// the next push may take ten minutes.
	startPushEvery = 10 * time.Minute
)

// component is what is kept in memory of one component.
type component struct {
	record  store.Component
	crypter *wxcrypt.Crypter
	seen    time.Time // when the last ticket arrived, or when we began to wait for one

	pushStarted time.Time // when api_start_push_ticket was last called
	overdueTold time.Time // the ticket after which others were announced to be overdue
	problem     error     // why there is no new component token; nil if there is
	problemAt   time.Time
	due         time.Time // when to try again after problem
	reconcileAt time.Time // when to compare with WeChat's list; zero: not since the start
	wanted      bool      // somebody has a reason not to wait for the nightly comparison
	gateSince   time.Time // when the comparison that opens the gate first failed
	passed      bool      // the gate is open for it
	failures    int
}

// PutComponent adds a component or changes its credentials. It takes effect at
// once; tokens and tickets stay.
func (k *Keeper) PutComponent(ctx context.Context, c store.Component) error {
	crypter, err := newCrypter(c)
	if err != nil {
		return fmt.Errorf("component %s: %w", c.AppID, err)
	}
	if c.Secret.IsZero() {
		return fmt.Errorf("component %s: the AppSecret is missing", c.AppID)
	}
	if c.UpdatedAt.IsZero() {
		c.UpdatedAt = k.now()
	}
	if c.CreatedAt.IsZero() {
		c.CreatedAt = c.UpdatedAt
	}
	if err := k.store.PutComponent(ctx, c); err != nil {
		return fmt.Errorf("store component %s: %w", c.AppID, err)
	}
	k.mu.Lock()
	known := k.components[c.AppID]
	if known != nil {
		known.record, known.crypter, known.due = c, crypter, time.Time{}
	}
	k.mu.Unlock()
	if known == nil {
		if _, err := k.component(ctx, c.AppID); err != nil {
			return err
		}
	}
	k.forgive(string(c.AppID))
	k.rouse()
	return nil
}

func newCrypter(c store.Component) (*wxcrypt.Crypter, error) {
	return wxcrypt.New(wxcrypt.Config{
		AppID:                  string(c.AppID),
		Token:                  c.Token.Reveal(),
		EncodingAESKey:         c.EncodingAESKey.Reveal(),
		PreviousToken:          c.PreviousToken.Reveal(),
		PreviousEncodingAESKey: c.PreviousEncodingAESKey.Reveal(),
	})
}

// Component returns a component with its credentials, or ErrUnknownComponent.
func (k *Keeper) Component(ctx context.Context, id tuoguan.ComponentAppID) (store.Component, error) {
	c, err := k.component(ctx, id)
	if err != nil {
		return store.Component{}, err
	}
	return c.record, nil
}

// Crypter returns what opens and seals the component's pushes, or ErrUnknownComponent.
func (k *Keeper) Crypter(ctx context.Context, id tuoguan.ComponentAppID) (*wxcrypt.Crypter, error) {
	c, err := k.component(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.crypter, nil
}

// component returns a snapshot of what is kept in memory, reading the store if the
// component is not there yet.
func (k *Keeper) component(ctx context.Context, id tuoguan.ComponentAppID) (component, error) {
	k.mu.Lock()
	if c, ok := k.components[id]; ok {
		defer k.mu.Unlock()
		return *c, nil
	}
	k.mu.Unlock()

	record, err := k.store.Component(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return component{}, fmt.Errorf("%w: %s", ErrUnknownComponent, id)
	}
	if err != nil {
		return component{}, fmt.Errorf("read component %s: %w", id, err)
	}
	crypter, err := newCrypter(record)
	if err != nil {
		return component{}, fmt.Errorf("component %s: %w", id, err)
	}
	tickets, err := k.tickets(ctx, id)
	if err != nil {
		return component{}, fmt.Errorf("read the tickets of %s: %w", id, err)
	}
	c := &component{record: record, crypter: crypter, seen: k.now()}
	if len(tickets) > 0 {
		c.seen = tickets[0].ReceivedAt
	}

	k.mu.Lock()
	defer k.mu.Unlock()
	if known, ok := k.components[id]; ok {
		return *known, nil
	}
	k.components[id] = c
	return *c, nil
}

// change alters what is kept in memory of a component.
func (k *Keeper) change(id tuoguan.ComponentAppID, alter func(*component)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c, ok := k.components[id]; ok {
		alter(c)
	}
}

// mint gets a component access token with the newest ticket that WeChat takes.
func (k *Keeper) mint(ctx context.Context, id tuoguan.ComponentAppID, lease *claimed) (token tuoguan.AccessToken, err error) {
	if err := k.pass(ctx, id, gateComparing); err != nil {
		return tuoguan.AccessToken{}, err
	}
	began, start := k.now(), time.Now()
	defer func() {
		k.observe(Observation{Kind: "component_token", Authorization: tuoguan.Authorization{Component: id}, Err: err, Cause: causeOf(ctx), Duration: time.Since(start)})
		k.change(id, func(c *component) {
			if err == nil {
				c.problem, c.failures, c.due = nil, 0, time.Time{}
				return
			}
			if c.problem == nil {
				c.problemAt = began
			}
			c.problem = err
			c.due = began.Add(backOff(c.failures, 2*time.Second, 5*time.Minute))
			c.failures++
		})
	}()

	c, err := k.component(ctx, id)
	if err != nil {
		return tuoguan.AccessToken{}, err
	}
	tickets, err := k.tickets(ctx, id)
	if err != nil {
		return tuoguan.AccessToken{}, fmt.Errorf("read the tickets of %s: %w", id, err)
	}
	tickets = slices.DeleteFunc(tickets, func(t store.Ticket) bool { return began.Sub(t.ReceivedAt) > ticketLife })
	reply, asked, err := k.createToken(ctx, id, c.record.Secret, tickets)
	if staged := c.record.StagedSecret; !staged.IsZero() && (errors.Is(err, wxapi.ErrConfig) || errors.Is(err, wxapi.ErrTokenInvalid)) {
		refusal := err
		if reply, asked, err = k.createToken(ctx, id, staged, tickets); err != nil {
			return tuoguan.AccessToken{}, refusal
		}
		k.promote(ctx, id, staged)
	}
	if err != nil {
		return tuoguan.AccessToken{}, err
	}
	kept := store.ComponentToken{
		Component:  id,
		Value:      reply.Value,
		ObtainedAt: asked,
		ExpiresAt:  reply.ExpiresAt,
		Epoch:      lease.Epoch,
	}
	err = k.keep(Answer{ComponentToken: &kept}, func(ctx context.Context) error {
		_, err := k.store.SaveComponentToken(ctx, kept)
		return err
	})
	if err != nil {
		return tuoguan.AccessToken{}, err
	}
	k.log.Info("component token obtained", "component_appid", id, "expires_in", reply.ExpiresAt.Sub(asked).Round(time.Second), "term", lease.Epoch)
	return reply, nil
}

// createToken asks WeChat for a component token. The newest ticket may not be good
// yet, and the one before may no longer be.
func (k *Keeper) createToken(ctx context.Context, id tuoguan.ComponentAppID, secret tuoguan.Secret, tickets []store.Ticket) (reply tuoguan.AccessToken, asked time.Time, err error) {
	err = fmt.Errorf("%w: %s", ErrNoTicket, id)
	for _, t := range tickets {
		err = k.ask(ctx, func(ctx context.Context) (err error) {
			asked = k.now()
			reply, err = k.api.CreateComponentToken(ctx, id, secret, t.Value)
			reply.ExpiresAt = k.ours(reply.ExpiresAt)
			return err
		})
		if !errors.Is(err, wxapi.ErrTicketInvalid) {
			break
		}
		k.log.Warn("WeChat does not take a ticket, trying the one before", "component_appid", id, "error", err)
	}
	return reply, asked, err
}

// promote makes the staged AppSecret, which WeChat has taken, the one in use. If that
// cannot be stored the next token finds out again.
func (k *Keeper) promote(ctx context.Context, id tuoguan.ComponentAppID, staged tuoguan.Secret) {
	c, err := k.store.Component(ctx, id)
	if err == nil && !c.StagedSecret.Equal(staged) {
		return // somebody has changed it meanwhile
	}
	if err == nil {
		c.Secret, c.StagedSecret, c.UpdatedAt = staged, tuoguan.Secret{}, k.now()
		err = k.store.PutComponent(ctx, c)
	}
	if err != nil {
		k.log.Warn("the staged AppSecret is in use and could not be stored as such", "component_appid", id, "error", err)
		return
	}
	k.change(id, func(known *component) { known.record = c })
	k.log.Info("WeChat takes the staged AppSecret; it replaces the one before", "component_appid", id)
}

// tendComponent does what is due for one component: a token ahead of its expiry, a
// restart of ticket pushes that fell silent.
func (k *Keeper) tendComponent(ctx context.Context, id tuoguan.ComponentAppID) {
	c, err := k.component(ctx, id)
	if err != nil {
		k.log.Error("component cannot be read", "component_appid", id, "error", err)
		return
	}
	now := k.now()
	stage, err := k.stage(ctx, id)
	if err != nil {
		k.log.Error("whether the gate is open cannot be read", "component_appid", id, "error", err)
		return
	}
	k.tendTickets(ctx, c, stage == gateTicket)
	if stage == gateTicket || now.Before(c.due) {
		return
	}
	if stage == gateComparing && k.onDuty() {
		if err := k.tendGate(ctx, id); err != nil && ctx.Err() == nil {
			k.log.Warn("the gate stays closed", "component_appid", id, "error", err)
		}
		return
	}
	owner := tuoguan.ComponentToken(id)
	s, err := k.stored(ctx, owner)
	if err != nil {
		return
	}
	if (want{ahead: true}).meets(s, now) {
		// Perhaps another replica got it.
		k.change(id, func(c *component) { c.problem, c.failures = nil, 0 })
		return
	}
	if tickets, err := k.tickets(ctx, id); err != nil || len(tickets) == 0 || now.Sub(tickets[0].ReceivedAt) > ticketLife {
		return // nothing to mint with; the next ticket will bring us back
	}
	if _, err := k.join(ctx, owner, want{ahead: true}); err != nil {
		k.log.Warn("no new component token", "component_appid", id, "error", err)
	}
}

// tendTickets has WeChat push tickets again after they fell silent, or at once.
func (k *Keeper) tendTickets(ctx context.Context, c component, atOnce bool) {
	now := k.now()
	id := c.record.AppID
	if !atOnce && now.Sub(c.seen) < ticketSilence || now.Sub(c.pushStarted) < startPushEvery || !k.onDuty() {
		return
	}
	// They may have come to another replica.
	tickets, err := k.tickets(ctx, id)
	if err != nil {
		return
	}
	if !atOnce && len(tickets) > 0 && now.Sub(tickets[0].ReceivedAt) < ticketSilence {
		k.change(id, func(c *component) { c.seen = tickets[0].ReceivedAt })
		return
	}
	if !atOnce && now.Sub(c.seen) >= ticketSilence+startPushEvery {
		k.tellOverdue(ctx, c, tickets)
	}
	k.change(id, func(c *component) { c.pushStarted = now })
	k.startPushTicket(ctx, c.record)
}

// startPushTicket asks WeChat to push tickets again.
func (k *Keeper) startPushTicket(ctx context.Context, c store.Component) {
	err := k.ask(ctx, func(ctx context.Context) error {
		return k.api.StartPushTicket(ctx, c.AppID, c.Secret)
	})
	k.observe(Observation{Kind: "start_push_ticket", Authorization: tuoguan.Authorization{Component: c.AppID}, Err: err})
	if err != nil {
		k.log.Warn("no ticket for twenty minutes, and pushes could not be restarted", "component_appid", c.AppID, "error", err)
		return
	}
	k.log.Warn("no ticket for twenty minutes; asked WeChat to push them again", "component_appid", c.AppID)
}

// What lists have in common: a record that does not open is an alarm, and must not
// take the others with it.

func (k *Keeper) records(ctx context.Context) ([]store.Component, error) {
	all, err := k.store.Components(ctx)
	return all, k.tolerate(err)
}

func (k *Keeper) tickets(ctx context.Context, id tuoguan.ComponentAppID) ([]store.Ticket, error) {
	all, err := k.store.Tickets(ctx, id)
	return all, k.tolerate(err)
}

func (k *Keeper) pending(ctx context.Context, at time.Time, limit int) ([]store.Exchange, error) {
	all, err := k.store.DueExchanges(ctx, at, limit)
	return all, k.tolerate(err)
}

func (k *Keeper) tolerate(err error) error {
	if !errors.Is(err, store.ErrQuarantined) {
		return err
	}
	k.health.unreadable(err.Error(), k.now())
	return nil
}
