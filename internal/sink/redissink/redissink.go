// Package redissink publishes events to streams of Redis.
package redissink

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/sink/broker"
	"github.com/tuoguan/tuoguan/internal/subscription"
)

// DefaultStream gets the events of all accounts. A stream for each would have to be
// found by its readers first.
const DefaultStream = "tuoguan"

// maxConnections of a sink to its server.
const maxConnections = 32

type redisSink struct {
	client   *redis.Client
	calls    *broker.Calls
	template broker.Template
	maxLen   int64
	replicas int
	patience time.Duration
}

// New returns a sink to a Redis server: redis://host:port/database, or rediss:// for TLS.
// With ?replicas=1 an event is confirmed once that many replicas have it too. It does
// not connect before the first Send.
func New(s subscription.Subscription, c broker.Config) (sink.Sink, error) {
	address, err := broker.ParseAddress(s.Spec.Sink.URL, map[string]broker.Scheme{"redis": {Port: "6379"}, "rediss": {TLS: true, Port: "6379"}})
	if err != nil {
		return nil, fmt.Errorf("redissink: %w", err)
	}
	r := &redisSink{
		calls:    broker.NewCalls(broker.Timeout(s.Spec.Sink)),
		template: broker.Template(s.Spec.Sink.Subject), maxLen: s.Spec.Sink.MaxLen,
		patience: broker.Timeout(s.Spec.Sink),
	}
	if r.template == "" {
		r.template = DefaultStream
	}
	errs := []error{c.Check(), r.template.Check(":/")}
	if len(address.Hosts) > 1 {
		errs = append(errs, errors.New("only one address of Redis can be given"))
	}
	database := 0
	if address.Path != "" {
		if database, err = strconv.Atoi(address.Path); err != nil || database < 0 {
			errs = append(errs, errors.New("the path of the address is no number of a database"))
		}
	}
	if text := address.Query.Get("replicas"); text != "" {
		if r.replicas, err = strconv.Atoi(text); err != nil || r.replicas < 0 {
			errs = append(errs, errors.New("replicas in the address is no number"))
		}
	}
	if r.maxLen < 0 {
		errs = append(errs, errors.New("max_len is negative"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("redissink: %w", err)
	}
	redis.SetLogger(&logging.VoidLogger{}) // else it prints what its errors say, past any logger
	r.client = redis.NewClient(&redis.Options{
		Addr: address.Hosts[0], DB: database, Dialer: c.Dialer(address),
		Username: s.Secrets.User, Password: s.Secrets.Password.Reveal(),
		Protocol: 2, DisableIdentity: true, // what proxies and old servers understand
		ContextTimeoutEnabled: true, DialTimeout: broker.DialTimeout, ReadTimeout: r.patience, WriteTimeout: r.patience, PoolTimeout: r.patience,
		PoolSize: maxConnections, MaxRetries: -1, DialerRetries: 1, // whoever calls tries again
	})
	return r, nil
}

// Send adds an event to its stream. It is confirmed by Redis' answer, and by as many
// replicas as were asked for.
func (r *redisSink) Send(ctx context.Context, m sink.Message) (sink.Receipt, error) {
	body, err := broker.Body(m)
	if err != nil {
		return sink.Receipt{}, err
	}
	add := &redis.XAddArgs{
		Stream: r.template.Subject(m.Event), MaxLen: r.maxLen, Approx: r.maxLen > 0,
		Values: []any{"id", m.ID, "content-type", broker.ContentType, "event", body},
	}
	return sink.Receipt{}, r.calls.Do(ctx, func(ctx context.Context) error {
		pipe := r.client.Pipeline() // of one connection, which is what WAIT is about
		pipe.XAdd(ctx, add)
		var wait *redis.Cmd
		if r.replicas > 0 {
			wait = pipe.Do(ctx, "WAIT", r.replicas, r.waitFor(ctx).Milliseconds())
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return refusal(err)
		}
		if wait == nil {
			return nil
		}
		if have, err := wait.Int(); err != nil || have < r.replicas {
			return errors.Join(err, fmt.Errorf("%d replicas have it, not %d", have, r.replicas))
		}
		return nil
	})
}

// waitFor is how long Redis is to wait for replicas: such that its answer comes in time.
func (r *redisSink) waitFor(ctx context.Context) time.Duration {
	wait := r.patience
	if end, ok := ctx.Deadline(); ok {
		wait = time.Until(end)
	}
	return max(wait*3/4, time.Millisecond) // 0 would be forever
}

// refusal tells an answer of Redis from trouble on the way. Its answers are told apart by
// their first words alone, and what follows may repeat what was sent.
// Source: Redis documentation, serialization protocol, simple errors.
func refusal(err error) error {
	var answer redis.Error
	if !errors.As(err, &answer) {
		return err
	}
	code, _, _ := strings.Cut(answer.Error(), " ")
	return &sink.Refusal{Text: "Redis answers " + code}
}

// Close ends the connections.
func (r *redisSink) Close() error { return r.calls.Close(r.client.Close) }
