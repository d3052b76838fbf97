package kafkasink_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/services"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/sink/broker"
	"github.com/tuoguan/tuoguan/internal/sink/kafkasink"
	"github.com/tuoguan/tuoguan/internal/sink/sinktest"
	"github.com/tuoguan/tuoguan/internal/subscription"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster starts a broker that speaks Kafka's protocol, and returns its address.
func cluster(t *testing.T, options ...kfake.Opt) (*kfake.Cluster, string) {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, c.ListenAddrs()[0]
}

type dial func(ctx context.Context, network, address string) (net.Conn, error)

func open(url, topic string, secrets subscription.Secrets, d dial) (sink.Sink, error) {
	return kafkasink.New(subscription.Subscription{
		ID: "s1", Spec: subscription.Spec{Sink: subscription.Sink{Type: subscription.Kafka, URL: url, Subject: topic}}, Secrets: secrets,
	}, broker.Config{Dial: d, Logger: slog.New(slog.DiscardHandler)})
}

// records reads what a topic holds.
func records(t *testing.T, c *kfake.Cluster, topic string) []*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	held := int64(0)
	for partition := int32(0); c.PartitionInfo(topic, partition) != nil; partition++ {
		held += c.PartitionInfo(topic, partition).HighWatermark
	}
	var all []*kgo.Record
	for int64(len(all)) < held {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		all = append(all, fetches.Records()...)
	}
	return all
}

// network is the network before a broker, which outlives what the network does.
type network struct{ *services.Proxy }

func (n network) Kill() error                   { n.Cut(); return nil }
func (n network) Restart(context.Context) error { n.Heal(); return nil }
func (n network) Pause() error                  { n.Freeze(); return nil }
func (n network) Continue() error               { n.Heal(); return nil }

func TestSink(t *testing.T) {
	var topics []string
	for range 32 {
		topics = append(topics, rand.Text())
	}
	c, addr := cluster(t, kfake.SeedTopics(1, topics...))
	proxy, err := services.StartProxy(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	through := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return sinktest.Dial(ctx, network, proxy.Addr())
	}
	fresh := make(chan string, len(topics))
	for _, topic := range topics {
		fresh <- topic
	}
	sinktest.Run(t, sinktest.Subject{
		Server: network{proxy}, TooLarge: 2 << 20,
		Place: func(*testing.T) sinktest.Place {
			topic := <-fresh
			return sinktest.Place{
				Open: func() (sink.Sink, error) { return open("kafka://"+addr, topic, subscription.Secrets{}, through) },
				Read: func(t *testing.T) []sinktest.Received {
					var all []sinktest.Received
					for _, r := range records(t, c, topic) {
						want := []kgo.RecordHeader{{Key: "content-type", Value: []byte(broker.ContentType)}, {Key: "ce_id", Value: r.Headers[1].Value}}
						if diff := cmp.Diff(want, r.Headers); diff != "" {
							t.Error(diff)
						}
						all = append(all, sinktest.Received{ID: string(r.Headers[1].Value), Body: string(r.Value)})
					}
					return all
				},
			}
		},
	})
}

// TestPartitions demands that the events of an account are in one partition, and those of
// many accounts in many.
func TestPartitions(t *testing.T) {
	t.Parallel()
	c, addr := cluster(t, kfake.SeedTopics(8, kafkasink.DefaultTopic))
	s, err := open("kafka://"+addr, "", subscription.Secrets{}, sinktest.Dial)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, account := range []string{"wxa1", "wxa2", "wxa3", "wxa4", "wxa5", "wxa6", "wxa7", "wxa8"} {
		for _, name := range []string{"one", "two", "three"} {
			m := sinktest.Message(name)
			m.Event.Authorizer = tuoguan.AuthorizerAppID(account)
			if _, err := s.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
	}
	of, used := make(map[string]int32), make(map[int32]bool)
	for _, r := range records(t, c, kafkasink.DefaultTopic) {
		if before, known := of[string(r.Key)]; known && before != r.Partition {
			t.Errorf("%s is in partitions %d and %d", r.Key, before, r.Partition)
		}
		of[string(r.Key)], used[r.Partition] = r.Partition, true
	}
	if len(of) != 8 || len(used) < 2 {
		t.Errorf("accounts in partitions: %v", of)
	}
}

// TestRefused demands refusals that show neither the password nor the event.
func TestRefused(t *testing.T) {
	t.Parallel()
	const password = "pa55word"
	_, addr := cluster(t, kfake.SeedTopics(1, "there"), kfake.EnableSASL(),
		kfake.Superuser("PLAIN", "u", password))
	for _, tt := range []struct {
		name, query, topic string
		secrets            subscription.Secrets
		want               string
	}{
		{"login", "", "there", subscription.Secrets{User: "u", Password: tuoguan.NewSecret(password)}, ""},
		{"no topic", "", "nowhere", subscription.Secrets{User: "u", Password: tuoguan.NewSecret(password)}, "refused: Kafka answers UNKNOWN_TOPIC_OR_PARTITION"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := open("kafka://"+addr+tt.query, tt.topic, tt.secrets, sinktest.Dial)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			got := ""
			if _, err := s.Send(context.Background(), sinktest.Message("one")); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestWrongLogin demands that the log says what callers are not told.
func TestWrongLogin(t *testing.T) {
	t.Parallel()
	_, addr := cluster(t, kfake.SeedTopics(1, kafkasink.DefaultTopic), kfake.EnableSASL(), kfake.Superuser("PLAIN", "u", "pa55word"))
	var log bytes.Buffer
	s, err := kafkasink.New(subscription.Subscription{
		Spec:    subscription.Spec{Sink: subscription.Sink{URL: "kafka://" + addr, Timeout: 1}},
		Secrets: subscription.Secrets{User: "u", Password: tuoguan.NewSecret("wr0ng")},
	}, broker.Config{Dial: sinktest.Dial, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Send(t.Context(), sinktest.Message("one"))
	if err == nil || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if said := log.String(); !strings.Contains(said, "cannot connect to Kafka") || strings.Contains(said, "wr0ng") {
		t.Errorf("the log says %q", said)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	secrets := subscription.Secrets{User: "u", Password: tuoguan.NewSecret("pa55word")}
	for _, tt := range []struct{ url, topic string }{
		{"nats://h", ""}, {"kafka://h/path", ""}, {"kafka://h?sasl=digest", ""}, {"kafka://h", "a/b"}, {"kafka://h", "a b"},
		{"kafka://h,kafka+tls://i", ""},
	} {
		if s, err := open(tt.url, tt.topic, secrets, sinktest.Dial); err == nil {
			t.Errorf("%q, %q: taken", tt.url, tt.topic)
			s.Close()
		} else if strings.Contains(err.Error(), "pa55word") {
			t.Errorf("%q shows the password", err)
		}
	}
	for _, mechanism := range []string{"", "?sasl=plain", "?sasl=scram-sha-256", "?sasl=scram-sha-512"} {
		s, err := open("kafka://h,i:9093"+mechanism, "", secrets, func(context.Context, string, string) (net.Conn, error) { return nil, errors.ErrUnsupported })
		if err != nil {
			t.Errorf("%q: %v", mechanism, err)
			continue
		}
		s.Close()
	}
}
