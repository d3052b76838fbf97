// Package natssink publishes events to streams of NATS JetStream.
package natssink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/sink/broker"
	"github.com/tuoguan/tuoguan/internal/subscription"
)

// DefaultSubject is what events are published to unless the subscription says otherwise.
const DefaultSubject = "tuoguan.{component}.{authorizer}"

const (
	writeWithin = 5 * time.Second // what a connection is given up after
	pingEvery   = 5 * time.Second // one that leaves two pings unanswered is given up
	reconnectIn = 500 * time.Millisecond
)

type natsSink struct {
	calls    *broker.Calls
	template broker.Template
	servers  string
	options  []nats.Option

	turn   chan struct{} // whoever has put something in opens or closes what follows
	closed bool
	conn   *nats.Conn
	stream jetstream.JetStream
}

// New returns a sink to NATS servers: nats://host:port,…, or tls:// (or nats+tls://) for
// TLS. A password without a user is a token. It does not connect before the first Send.
func New(s subscription.Subscription, c broker.Config) (sink.Sink, error) {
	address, err := broker.ParseAddress(s.Spec.Sink.URL, map[string]broker.Scheme{
		"nats": {Port: "4222"}, "tls": {TLS: true, Port: "4222"}, "nats+tls": {TLS: true, Port: "4222"},
	})
	if err != nil {
		return nil, fmt.Errorf("natssink: %w", err)
	}
	n := &natsSink{
		calls: broker.NewCalls(broker.Timeout(s.Spec.Sink)), template: broker.Template(s.Spec.Sink.Subject),
		servers: "nats://" + strings.Join(address.Hosts, ",nats://"), turn: make(chan struct{}, 1),
	}
	if n.template == "" {
		n.template = DefaultSubject
	}
	errs := []error{c.Check(), n.template.Check("")}
	if address.Path != "" || len(address.Query) > 0 {
		errs = append(errs, errors.New("addresses of NATS have no path and no query"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("natssink: %w", err)
	}
	log := c.Logger.With("subscription", s.ID)
	n.options = []nats.Option{
		nats.Name("tuoguan"), nats.SetCustomDialer(dialer{c}), nats.SkipHostLookup(), // names are looked up where it is checked what they lead to
		nats.Timeout(broker.DialTimeout), nats.FlusherTimeout(writeWithin), nats.PingInterval(pingEvery),
		nats.MaxReconnects(-1), nats.ReconnectWait(reconnectIn),
		nats.ReconnectBufSize(-1), // what is not on its way fails: whoever calls tries again
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("lost the connection to NATS", slog.Any("error", err))
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("NATS reports an error", slog.Any("error", err))
		}),
	}
	if address.TLS {
		n.options = append(n.options, nats.Secure(c.TLS())) // begins after the server's greeting
	}
	switch user, password := s.Secrets.User, s.Secrets.Password.Reveal(); {
	case user != "":
		n.options = append(n.options, nats.UserInfo(user, password))
	case password != "":
		n.options = append(n.options, nats.Token(password))
	}
	return n, nil
}

// dialer is the dialer as NATS wants it.
type dialer struct{ broker.Config }

func (d dialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), broker.DialTimeout)
	defer cancel()
	return d.Config.Dial(ctx, network, address)
}

// Send publishes an event and waits for the acknowledgement of the stream that takes its
// subject. By its id, a stream takes an event once within its window for duplicates.
func (n *natsSink) Send(ctx context.Context, m sink.Message) (sink.Receipt, error) {
	body, err := broker.Body(m)
	if err != nil {
		return sink.Receipt{}, err
	}
	// Source: CloudEvents, NATS protocol binding.
	header := nats.Header{"content-type": {broker.ContentType}, "ce-id": {m.ID}}
	message := &nats.Msg{Subject: n.template.Subject(m.Event), Header: header, Data: body}
	return sink.Receipt{}, n.calls.Do(ctx, func(ctx context.Context) error {
		stream, err := n.open(ctx)
		if err != nil {
			return err
		}
		_, err = stream.PublishMsg(ctx, message, jetstream.WithMsgID(m.ID))
		return refusal(err, len(body))
	})
}

// open connects, where that was not done yet. Thereafter the connection restores itself,
// unless it was refused for good.
func (n *natsSink) open(ctx context.Context) (jetstream.JetStream, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case n.turn <- struct{}{}:
		defer func() { <-n.turn }()
	}
	if n.closed {
		return nil, broker.ErrClosed
	}
	if n.conn != nil && !n.conn.IsClosed() {
		return n.stream, nil
	}
	conn, err := nats.Connect(n.servers, n.options...)
	if err != nil {
		return nil, err
	}
	stream, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	n.conn, n.stream = conn, stream
	return stream, nil
}

// refusal tells an answer of NATS from trouble on the way.
func refusal(err error, bytes int) error {
	var answer *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum):
		return broker.TooLarge(bytes)
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		return &sink.Refusal{Text: "no stream of NATS takes this subject"}
	case errors.As(err, &answer):
		return &sink.Refusal{Text: fmt.Sprintf("NATS answers with error %d", answer.ErrorCode)}
	case errors.Is(err, nats.ErrReconnectBufExceeded):
		return nats.ErrDisconnected // which is what it means where nothing is buffered
	}
	return err
}

// Close ends the connection.
func (n *natsSink) Close() error {
	return n.calls.Close(func() error {
		n.turn <- struct{}{}
		defer func() { <-n.turn }()
		n.closed = true
		if n.conn != nil {
			n.conn.Close()
		}
		return nil
	})
}
