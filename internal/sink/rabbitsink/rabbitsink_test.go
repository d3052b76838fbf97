package rabbitsink_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/services"
	"github.com/tuoguan/tuoguan/internal/services/servicetest"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/sink/broker"
	"github.com/tuoguan/tuoguan/internal/sink/rabbitsink"
	"github.com/tuoguan/tuoguan/internal/sink/sinktest"
	"github.com/tuoguan/tuoguan/internal/subscription"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func guest() subscription.Secrets {
	return subscription.Secrets{User: "guest", Password: tuoguan.NewSecret("guest")}
}

func open(url, exchange, key string, secrets subscription.Secrets) (sink.Sink, error) {
	return rabbitsink.New(subscription.Subscription{
		ID:      "s1",
		Spec:    subscription.Spec{Sink: subscription.Sink{Type: subscription.RabbitMQ, URL: url, Exchange: exchange, Subject: key}},
		Secrets: secrets,
	}, broker.Config{Dial: sinktest.Dial, Logger: slog.New(slog.DiscardHandler)})
}

// channel runs f on a channel of its own.
func channel(t *testing.T, server *services.Service, f func(ch *amqp.Channel) error) {
	t.Helper()
	conn, err := amqp.Dial("amqp://guest:guest@" + server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err == nil {
		err = f(ch)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// declare makes a queue that is written to disk.
func declare(t *testing.T, server *services.Service, name string, arguments amqp.Table) {
	t.Helper()
	channel(t, server, func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclare(name, true, false, false, false, arguments)
		return err
	})
}

// read takes everything out of a queue.
func read(t *testing.T, server *services.Service, queue string) []sinktest.Received {
	t.Helper()
	var all []sinktest.Received
	channel(t, server, func(ch *amqp.Channel) error {
		for {
			m, ok, err := ch.Get(queue, true)
			if err != nil || !ok {
				return err
			}
			if m.Headers["ce-id"] != m.MessageId || m.ContentType != broker.ContentType || m.DeliveryMode != amqp.Persistent {
				t.Errorf("properties %+v", m)
			}
			all = append(all, sinktest.Received{ID: m.MessageId, Body: string(m.Body)})
		}
	})
	return all
}

// TestSink shares one server among all that it does, for one takes long to start.
func TestSink(t *testing.T) {
	server, err := services.StartRabbitMQ(t.Context(), services.Options{Flags: []string{"max_message_size = 1048576"}})
	servicetest.Require(t, err)
	t.Cleanup(func() {
		if err := server.Kill(); err != nil { // an orderly end takes long, too
			t.Error(err)
		}
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Run("refused", func(t *testing.T) { testRefused(t, server) })
	t.Run("routed", func(t *testing.T) { testRouted(t, server) })
	sinktest.Run(t, sinktest.Subject{
		Server: server, TooLarge: 2 << 20,
		Place: func(t *testing.T) sinktest.Place {
			queue := rand.Text()
			// No quorum queue: a server that is killed soon after has forgotten those (seen with 3.10.8).
			declare(t, server, queue, nil)
			return sinktest.Place{
				Open: func() (sink.Sink, error) { return open(server.URL(""), "", queue, guest()) },
				Read: func(t *testing.T) []sinktest.Received { return read(t, server, queue) },
			}
		},
	})
}

// testRouted publishes to an exchange, from which events go to queues by their accounts.
func testRouted(t *testing.T, server *services.Service) {
	declare(t, server, "routed", amqp.Table{"x-queue-type": "quorum"})
	channel(t, server, func(ch *amqp.Channel) error {
		if err := ch.ExchangeDeclare("events", amqp.ExchangeTopic, true, false, false, false, nil); err != nil {
			return err
		}
		return ch.QueueBind("routed", "tuoguan.wxc0000000000000.*", "events", false, nil)
	})
	s, err := open(server.URL(""), "events", "", guest())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Send(t.Context(), sinktest.Message("one")); err != nil {
		t.Error(err)
	}
	other := sinktest.Message("two")
	other.Event.Component = "wxc1"
	if _, err := s.Send(t.Context(), other); err == nil {
		t.Error("confirmed, and there is no queue for it")
	}
	if got := read(t, server, "routed"); len(got) != 1 {
		t.Errorf("%d events were routed", len(got))
	}
}

// testRefused demands refusals that show neither the password nor the event.
func testRefused(t *testing.T, server *services.Service) {
	declare(t, server, "there", nil)
	declare(t, server, "full", amqp.Table{"x-max-length": 1, "x-overflow": "reject-publish"})
	for _, tt := range []struct {
		name, path, exchange, key string
		secrets                   subscription.Secrets
		want                      string
	}{
		{"taken", "", "", "there", guest(), ""},
		{"no queue", "", "", "nowhere", guest(), "refused: no queue"},
		{"no exchange", "", "nowhere", "", guest(), "refused: RabbitMQ answers 404"},
		{"queue is full", "", "", "full", guest(), "refused: RabbitMQ does not confirm"},
		{"no vhost", "nowhere", "", "there", guest(), "Exception (530)"},
		{"wrong login", "", "", "there", subscription.Secrets{User: "guest", Password: tuoguan.NewSecret("wr0ng")}, "Exception (403)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := open(server.URL(tt.path), tt.exchange, tt.key, tt.secrets)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for range 4 { // a queue may take more than it should at first
				if _, err = s.Send(context.Background(), sinktest.Message("one")); err != nil {
					break
				}
			}
			got := ""
			if err != nil {
				got = err.Error()
			}
			if !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" || strings.Contains(got, "wr0ng") {
				t.Errorf("got %q", got)
			}
			if r, ok := errors.AsType[*sink.Refusal](err); ok && r.Final {
				t.Error("it is refused for good")
			}
		})
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, key string }{
		{"nats://h", ""}, {"amqp://h?x=y", ""}, {"amqp://h", "a.*"}, {"amqp://h", "#"}, {"amqp://u:pa55word@h", ""},
	} {
		if s, err := open(tt.url, "", tt.key, guest()); err == nil {
			t.Errorf("%q, %q: taken", tt.url, tt.key)
			s.Close()
		} else if strings.Contains(err.Error(), "pa55word") {
			t.Errorf("%q shows the password", err)
		}
	}
}
