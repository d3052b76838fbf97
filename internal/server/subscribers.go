package server

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/delivery"
	"github.com/tuoguan/tuoguan/internal/egress"
	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/gateway"
	"github.com/tuoguan/tuoguan/internal/insight"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/sink/broker"
	"github.com/tuoguan/tuoguan/internal/sink/kafkasink"
	"github.com/tuoguan/tuoguan/internal/sink/natssink"
	"github.com/tuoguan/tuoguan/internal/sink/rabbitsink"
	"github.com/tuoguan/tuoguan/internal/sink/redissink"
	"github.com/tuoguan/tuoguan/internal/sink/webhook"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
)

// subscribers is what has to do with those who are told of events.
type subscribers struct {
	log        *slog.Logger
	clock      *tuoguan.Clock
	guard      *egress.Guard
	set        *subscription.Set
	dispatcher *delivery.Dispatcher
	responder  *subscription.Responder
}

// newSubscribers makes it, and reads who subscribes: from the first push on they are told.
func (s *Server) newSubscribers(ctx context.Context, directory *access.Directory) (t subscribers, err error) {
	t.log, t.clock = s.log, s.clock
	t.guard = egress.New(egress.Config{Allow: s.config.Delivery.Networks()})
	tags := func(ctx context.Context, a tuoguan.Authorization) ([]string, error) {
		entries, err := directory.Find(ctx, a.Authorizer, a.Component)
		if err != nil || len(entries) == 0 {
			return nil, err
		}
		return entries[0].Tags, nil
	}
	if t.set, err = subscription.NewSet(subscription.SetConfig{Store: s.store, Tags: tags, Clock: s.clock, Logger: s.log}); err != nil {
		return t, err
	}
	if err = t.set.Load(ctx); err != nil {
		return t, err
	}
	if t.dispatcher, err = delivery.New(delivery.Config{
		Store: s.store, Subscriptions: t.set, Sinks: t.sink, Disable: s.disable,
		Holder: s.holder, Clock: s.clock, Logger: s.log, Observe: s.observeDelivery, Alive: func() int { return s.keeper.Replicas() },
	}); err != nil {
		return t, err
	}
	t.responder, err = t.set.Responder(subscription.ResponderConfig{Store: s.store, Sinks: t.sink, Clock: s.clock, Logger: s.log, Observe: s.observeReply})
	return t, err
}

// Routes implements [keeper.Router].
func (t subscribers) Routes(ctx context.Context, p store.Push, parsed *push.Push) []store.Route {
	return t.set.Routes(ctx, p, parsed)
}

// Stored implements [keeper.Router].
func (t subscribers) Stored(routes []store.Route) { t.dispatcher.Wake(routes) }

// matching returns the subscriptions to which an event that was stored goes, as things
// are now.
func (t subscribers) matching(ctx context.Context, p store.Push) []string {
	var parsed *push.Push
	if !event.Own(p.Kind) {
		parsed = push.Parse(tuoguan.Authorization{Component: p.Component, Authorizer: p.Authorizer}, p.Body)
	}
	var ids []string
	for _, route := range t.set.Routes(ctx, p, parsed) {
		ids = append(ids, route.Subscription)
	}
	return ids
}

// sink returns where the events of a subscription go.
func (t subscribers) sink(s subscription.Subscription) (sink.Sink, error) {
	brokers := broker.Config{Dial: t.guard.DialContext, Logger: t.log}
	switch s.Spec.Sink.Type {
	case subscription.Webhook:
		return webhook.New(s, webhook.Config{Guard: t.guard, Clock: t.clock})
	case subscription.NATS:
		return natssink.New(s, brokers)
	case subscription.Kafka:
		return kafkasink.New(s, brokers)
	case subscription.RabbitMQ:
		return rabbitsink.New(s, brokers)
	case subscription.Redis:
		return redissink.New(s, brokers)
	}
	return nil, fmt.Errorf("subscription %s: nothing is delivered to a sink of type %q", s.ID, s.Spec.Sink.Type)
}

// disable sets a subscription aside and announces it. What others say of the same version
// is the same event.
func (s *Server) disable(ctx context.Context, id, zh, en string) error {
	disabled, err := s.told.set.SetState(ctx, id, store.SubscriptionDisabled, en+" · "+zh)
	if err != nil {
		return err
	}
	return s.keeper.Announce(ctx, event.NewSubscriptionDisabled(id, disabled.Name, en, disabled.Version-1, s.clock.Now()))
}

// short takes in that a quota is nearly used up. What cannot be announced now, because
// more are waiting, will be noticed again.
func (s *Server) short(shortage gateway.Shortage) {
	s.insight.Short(insight.Shortage{Authorization: of(shortage.Owner), Path: shortage.Path, Remaining: shortage.Remaining, Until: shortage.Until})
	select {
	case s.shortages <- shortage:
	default:
	}
}

// of returns the authorization whose token it is, or one without an account where it is
// the component's own.
func of(owner tuoguan.TokenOwner) tuoguan.Authorization {
	if owner.IsComponent() {
		return tuoguan.Authorization{Component: owner.Component()}
	}
	return owner.Authorization()
}

// announceShortages announces quotas that are nearly used up until ctx ends.
func (s *Server) announceShortages(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case q := <-s.shortages:
			a := of(q.Owner)
			if err := s.keeper.Announce(ctx, event.NewQuotaLow(a, q.Path, q.Remaining, q.Until, s.clock.Now())); err != nil && ctx.Err() == nil {
				s.log.Warn("that a quota is nearly used up could not be announced", "authorizer_appid", a.Authorizer, "path", q.Path, "error", err)
			}
		}
	}
}
