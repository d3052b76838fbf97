// Package rabbitsink publishes events to exchanges of RabbitMQ.
package rabbitsink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/sink/broker"
	"github.com/tuoguan/tuoguan/internal/subscription"
)

const (
	// DefaultKey is the routing key where an exchange is named.
	DefaultKey = "tuoguan.{component}.{authorizer}"
	// DefaultQueue is the routing key, hence the queue, where none is.
	DefaultQueue = "tuoguan"
)

const (
	heartbeat   = 5 * time.Second // a connection is given up after three that did not come
	writeWithin = 5 * time.Second // or once a write took so long
	closeWithin = time.Second
)

type rabbitSink struct {
	calls    *broker.Calls
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	hosts    []string
	config   amqp.Config
	exchange string
	template broker.Template
	log      *slog.Logger

	turn   chan struct{} // whoever has put something in opens or closes what follows
	closed bool
	link   *link
}

// link is a connection with channels that nobody uses at the moment.
type link struct {
	conn *amqp.Connection
	raw  net.Conn

	mu   sync.Mutex
	idle []*channel
}

// channel is a channel with one event under way at most, so that whatever comes back on
// it is about this one.
type channel struct {
	*amqp.Channel
	returns chan amqp.Return
	closes  chan *amqp.Error
}

// New returns a sink to RabbitMQ servers, of which the first that answers is taken:
// amqp://host:port,…/vhost, or amqps:// for TLS. It does not connect before the first
// Send, and declares nothing: exchanges and queues are their owner's.
func New(s subscription.Subscription, c broker.Config) (sink.Sink, error) {
	address, err := broker.ParseAddress(s.Spec.Sink.URL, map[string]broker.Scheme{"amqp": {Port: "5672"}, "amqps": {TLS: true, Port: "5671"}})
	if err != nil {
		return nil, fmt.Errorf("rabbitsink: %w", err)
	}
	r := &rabbitSink{
		calls: broker.NewCalls(broker.Timeout(s.Spec.Sink)), dial: c.Dialer(address), hosts: address.Hosts,
		exchange: s.Spec.Sink.Exchange, template: broker.Template(s.Spec.Sink.Subject),
		turn: make(chan struct{}, 1),
	}
	switch {
	case r.template != "":
	case r.exchange != "":
		r.template = DefaultKey
	default:
		r.template = DefaultQueue
	}
	errs := []error{c.Check(), r.template.Check(":/")}
	if len(address.Query) > 0 {
		errs = append(errs, errors.New("addresses of RabbitMQ have no query"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("rabbitsink: %w", err)
	}
	r.log = c.Logger.With("subscription", s.ID)
	r.config = amqp.Config{
		Vhost: "/", Heartbeat: heartbeat, Properties: amqp.Table{"product": "tuoguan"},
		SASL: []amqp.Authentication{&amqp.PlainAuth{Username: s.Secrets.User, Password: s.Secrets.Password.Reveal()}},
	}
	if address.Path != "" {
		r.config.Vhost = address.Path
	}
	return r, nil
}

// Send publishes an event, to be written to disk, and waits for the server's confirmation.
// An event that no queue takes is refused.
func (r *rabbitSink) Send(ctx context.Context, m sink.Message) (sink.Receipt, error) {
	body, err := broker.Body(m)
	if err != nil {
		return sink.Receipt{}, err
	}
	message := amqp.Publishing{
		MessageId: m.ID, ContentType: broker.ContentType, DeliveryMode: amqp.Persistent, AppId: "tuoguan",
		Headers: amqp.Table{"ce-id": m.ID}, Body: body,
	}
	key := r.template.Subject(m.Event)
	return sink.Receipt{}, r.calls.Do(ctx, func(ctx context.Context) error {
		l, err := r.open(ctx)
		if err != nil {
			return err
		}
		ch, err := l.take()
		if err != nil {
			return err
		}
		// This goes on if ctx ends: until the confirmation comes, the channel is not free.
		confirmation, err := ch.PublishWithDeferredConfirm(r.exchange, key, true, false, message)
		if err != nil {
			return err
		}
		acknowledged := confirmation.Wait() // or until the connection is given up
		if !acknowledged && ch.IsClosed() {
			return ch.reason(len(body))
		}
		defer l.put(ch)
		select {
		case <-ch.returns: // comes before the confirmation
			return &sink.Refusal{Text: "no queue of RabbitMQ is bound for this routing key"}
		default:
		}
		if !acknowledged {
			return &sink.Refusal{Text: "RabbitMQ does not confirm: a queue is full or has no majority"}
		}
		return nil
	})
}

// open returns the connection, a new one if there is none that works.
func (r *rabbitSink) open(ctx context.Context) (*link, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	}
	if r.closed {
		return nil, broker.ErrClosed
	}
	if r.link != nil {
		if !r.link.conn.IsClosed() {
			return r.link, nil
		}
		r.log.Warn("lost the connection to RabbitMQ")
		r.link = nil
	}
	var errs []error
	for _, host := range r.hosts {
		l, err := r.connect(ctx, host)
		if err == nil {
			r.link = l
			return l, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// connect makes a connection, within the time that a dial has.
func (r *rabbitSink) connect(ctx context.Context, host string) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, broker.DialTimeout)
	defer cancel()
	raw, err := r.dial(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() }) // the greetings know nothing of ctx
	conn, err := amqp.Open(&impatient{raw}, r.config)
	if !stop() {
		_ = raw.Close()
		return nil, ctx.Err()
	}
	if err != nil {
		_ = raw.Close() // it is closed already
		return nil, err
	}
	return &link{conn: conn, raw: raw}, nil
}

// impatient is a connection whose writes do not take forever. Whoever writes holds up
// everybody else on the connection.
type impatient struct{ net.Conn }

func (c *impatient) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// take returns a channel in confirm mode.
func (l *link) take() (*channel, error) {
	l.mu.Lock()
	if last := len(l.idle) - 1; last >= 0 {
		ch := l.idle[last]
		l.idle = l.idle[:last]
		l.mu.Unlock()
		return ch, nil
	}
	l.mu.Unlock()
	opened, err := l.conn.Channel()
	if err != nil {
		return nil, err
	}
	ch := &channel{opened, make(chan amqp.Return, 1), make(chan *amqp.Error, 1)}
	ch.NotifyReturn(ch.returns)
	ch.NotifyClose(ch.closes)
	return ch, ch.Confirm(false)
}

func (l *link) put(ch *channel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle = append(l.idle, ch)
}

// reason says why a channel was closed: by the server, which thereby refuses what was
// published, or with its connection.
// Source: AMQP 0-9-1, reply codes; RabbitMQ documentation, max_message_size.
func (ch *channel) reason(bytes int) error {
	err := <-ch.closes
	switch {
	case err == nil:
		return amqp.ErrClosed
	case err.Code == amqp.PreconditionFailed: // of all that is published the size alone varies
		return broker.TooLarge(bytes)
	case err.Code == amqp.NotFound, err.Code == amqp.AccessRefused:
		return &sink.Refusal{Text: fmt.Sprintf("RabbitMQ answers %d: %s", err.Code, err.Reason)}
	}
	return err
}

// Close ends the connection.
func (r *rabbitSink) Close() error {
	return r.calls.Close(func() error {
		r.turn <- struct{}{}
		defer func() { <-r.turn }()
		r.closed = true
		if r.link == nil || r.link.conn.IsClosed() {
			return nil
		}
		hurry := time.AfterFunc(closeWithin, func() { _ = r.link.raw.Close() })
		defer hurry.Stop()
		_ = r.link.conn.Close() // of no consequence: whatever was confirmed is there
		return nil
	})
}
