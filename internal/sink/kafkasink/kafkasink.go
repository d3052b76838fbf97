// Package kafkasink publishes events to topics of Kafka.
package kafkasink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/sink/broker"
	"github.com/tuoguan/tuoguan/internal/subscription"
)

// DefaultTopic gets the events of all accounts. Those of one account are in one partition.
const DefaultTopic = "tuoguan"

// maxBackOff is how long the client waits at most before it tries a broker again.
const maxBackOff = time.Second

type kafkaSink struct {
	client   *kgo.Client
	calls    *broker.Calls
	template broker.Template
}

// New returns a sink to Kafka brokers: kafka://host:port,…, or kafka+tls:// for TLS. A
// user logs in by SASL, with the mechanism that the query names: ?sasl=plain (which is
// the default), scram-sha-256 or scram-sha-512. It does not connect before the first Send.
func New(s subscription.Subscription, c broker.Config) (sink.Sink, error) {
	address, err := broker.ParseAddress(s.Spec.Sink.URL, map[string]broker.Scheme{"kafka": {Port: "9092"}, "kafka+tls": {TLS: true, Port: "9092"}})
	if err != nil {
		return nil, fmt.Errorf("kafkasink: %w", err)
	}
	k := &kafkaSink{calls: broker.NewCalls(broker.Timeout(s.Spec.Sink)), template: broker.Template(s.Spec.Sink.Subject)}
	if k.template == "" {
		k.template = DefaultTopic
	}
	errs := []error{c.Check(), k.template.Check("")}
	if address.Path != "" {
		errs = append(errs, errors.New("addresses of Kafka have no path"))
	}
	login, err := mechanism(address.Query.Get("sasl"), s.Secrets)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, fmt.Errorf("kafkasink: %w", err)
	}
	log := c.Logger.With("subscription", s.ID)
	timeout := broker.Timeout(s.Spec.Sink)
	options := []kgo.Opt{
		kgo.ClientID("tuoguan"), kgo.SeedBrokers(address.Hosts...), kgo.Dialer(c.Dialer(address)), kgo.DisableClientMetrics(),
		kgo.WithHooks(watcher{log}), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(0),
		kgo.RetryBackoffFn(backOff), kgo.MetadataMinAge(maxBackOff),
		kgo.ProduceRequestTimeout(timeout), kgo.RecordDeliveryTimeout(timeout),
		kgo.AllowIdempotentProduceCancellation(), // a broker that hangs must not hold back what its callers have given up
	}
	if login != nil {
		options = append(options, kgo.SASL(login))
	}
	if k.client, err = kgo.NewClient(options...); err != nil {
		return nil, fmt.Errorf("kafkasink: %w", err)
	}
	return k, nil
}

// mechanism is how a user logs in; nil if there is none.
func mechanism(name string, secrets subscription.Secrets) (sasl.Mechanism, error) {
	if secrets.User == "" {
		return nil, nil
	}
	login := scram.Auth{User: secrets.User, Pass: secrets.Password.Reveal()}
	switch name {
	case "", "plain":
		return plain.Auth{User: login.User, Pass: login.Pass}.AsMechanism(), nil
	case "scram-sha-256":
		return login.AsSha256Mechanism(), nil
	case "scram-sha-512":
		return login.AsSha512Mechanism(), nil
	}
	return nil, errors.New("sasl in the address is none of plain, scram-sha-256, scram-sha-512")
}

// backOff is how long the client waits after that many failures.
func backOff(failures int) time.Duration {
	return min(time.Duration(failures)*100*time.Millisecond, maxBackOff)
}

// watcher logs why there is no connection. The client goes on trying, and callers learn
// only that nothing was confirmed.
type watcher struct{ log *slog.Logger }

// OnBrokerConnect is told of every attempt.
func (w watcher) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err != nil {
		w.log.Warn("cannot connect to Kafka", slog.Any("error", err))
	}
}

// Send produces an event and waits until all replicas in sync have it.
func (k *kafkaSink) Send(ctx context.Context, m sink.Message) (sink.Receipt, error) {
	body, err := broker.Body(m)
	if err != nil {
		return sink.Receipt{}, err
	}
	// Source: CloudEvents, Kafka protocol binding.
	record := &kgo.Record{
		Topic: k.template.Subject(m.Event), Key: []byte(m.Key()), Value: body,
		Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte(broker.ContentType)}, {Key: "ce_id", Value: []byte(m.ID)}},
	}
	return sink.Receipt{}, k.calls.Do(ctx, func(ctx context.Context) error {
		// The client fails all of a partition with a record whose context ends: it has a time of its own.
		return refusal(k.client.ProduceSync(context.WithoutCancel(ctx), record).FirstErr(), len(body))
	})
}

// refusal tells an answer of Kafka from trouble on the way.
func refusal(err error, bytes int) error {
	var answer *kerr.Error
	switch {
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		return broker.TooLarge(bytes)
	case errors.As(err, &answer):
		return &sink.Refusal{Text: "Kafka answers " + answer.Message}
	}
	return err
}

// Close ends the connections.
func (k *kafkaSink) Close() error {
	return k.calls.Close(func() error {
		k.client.Close()
		return nil
	})
}
