package redissink_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/services"
	"github.com/tuoguan/tuoguan/internal/services/servicetest"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/sink/broker"
	"github.com/tuoguan/tuoguan/internal/sink/redissink"
	"github.com/tuoguan/tuoguan/internal/sink/sinktest"
	"github.com/tuoguan/tuoguan/internal/subscription"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, flags ...string) *services.Service {
	t.Helper()
	server, err := services.StartRedis(t.Context(), services.Options{Flags: flags})
	servicetest.Require(t, err)
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func open(url, stream string, secrets subscription.Secrets) (sink.Sink, error) {
	return redissink.New(subscription.Subscription{
		ID: "s1", Spec: subscription.Spec{Sink: subscription.Sink{Type: subscription.Redis, URL: url, Subject: stream}}, Secrets: secrets,
	}, broker.Config{Dial: sinktest.Dial, Logger: slog.New(slog.DiscardHandler)})
}

// read returns what a stream holds.
func read(t *testing.T, server *services.Service, stream string) []sinktest.Received {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Protocol: 2})
	defer client.Close()
	entries, err := client.XRange(t.Context(), stream, "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	var all []sinktest.Received
	for _, entry := range entries {
		if entry.Values["content-type"] != broker.ContentType {
			t.Errorf("content type %v", entry.Values["content-type"])
		}
		all = append(all, sinktest.Received{ID: entry.Values["id"].(string), Body: entry.Values["event"].(string)})
	}
	return all
}

func TestSink(t *testing.T) {
	server := start(t)
	sinktest.Run(t, sinktest.Subject{
		Server: server, // its limit of 512 MB is out of reach
		Place: func(*testing.T) sinktest.Place {
			stream := rand.Text()
			return sinktest.Place{
				Open: func() (sink.Sink, error) { return open(server.URL("0"), stream, subscription.Secrets{}) },
				Read: func(t *testing.T) []sinktest.Received { return read(t, server, stream) },
			}
		},
	})
}

func TestStreams(t *testing.T) {
	t.Parallel()
	server := start(t)
	for template, stream := range map[string]string{
		"":                                "tuoguan",
		"events:{component}/{authorizer}": "events:wxc0000000000000/wxa0000000000001",
		"{kind}.of.{authorizer}":          "tuoguan.test.of.wxa0000000000001",
	} {
		s, err := open(server.URL("0"), template, subscription.Secrets{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Send(t.Context(), sinktest.Message("one")); err != nil {
			t.Error(err)
		}
		if got := read(t, server, stream); len(got) != 1 {
			t.Errorf("%q: %d entries in %q", template, len(got), stream)
		}
	}
}

// TestMaxLen demands that a stream is cut, if only in pieces as large as Redis likes.
func TestMaxLen(t *testing.T) {
	t.Parallel()
	server := start(t)
	s, err := redissink.New(subscription.Subscription{Spec: subscription.Spec{Sink: subscription.Sink{URL: server.URL("0"), MaxLen: 100}}},
		broker.Config{Dial: sinktest.Dial, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 500 {
		if _, err := s.Send(t.Context(), sinktest.Message("one")); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(read(t, server, "tuoguan")); got < 100 || got > 300 {
		t.Errorf("%d entries are left", got)
	}
}

// TestReplicas waits for replicas that are there and for one that is not.
func TestReplicas(t *testing.T) {
	t.Parallel()
	first := start(t, "--repl-diskless-sync-delay", "0")
	host, port, _ := strings.Cut(first.Addr(), ":")
	start(t, "--replicaof", host+" "+port)
	for url, want := range map[string]bool{first.URL("0") + "?replicas=1": true, first.URL("0") + "?replicas=2": false} {
		s, err := redissink.New(subscription.Subscription{Spec: subscription.Spec{Sink: subscription.Sink{URL: url, Timeout: 1}}},
			broker.Config{Dial: sinktest.Dial, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for range 30 { // while the replica comes up
			if _, err = s.Send(t.Context(), sinktest.Message("one")); err == nil || !want {
				break
			}
		}
		if (err == nil) != want {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// TestRefused demands refusals that show neither the password nor the event.
func TestRefused(t *testing.T) {
	t.Parallel()
	const password = "pa55word"
	guarded, full := start(t, "--requirepass", password), start(t, "--maxmemory", "1")
	for _, tt := range []struct {
		name    string
		server  *services.Service
		secrets subscription.Secrets
		want    string
	}{
		{"login", guarded, subscription.Secrets{Password: tuoguan.NewSecret(password)}, ""},
		{"no login", guarded, subscription.Secrets{}, "refused: Redis answers NOAUTH"},
		{"wrong login", guarded, subscription.Secrets{User: "u", Password: tuoguan.NewSecret("wr0ng")}, "refused: Redis answers WRONGPASS"},
		{"full", full, subscription.Secrets{}, "refused: Redis answers OOM"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := open(tt.server.URL("0"), "", tt.secrets)
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

func TestNew(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, stream string }{
		{"nats://h", ""}, {"redis://h,redis://i", ""}, {"redis://h/x", ""}, {"redis://h/-1", ""}, {"redis://h?replicas=x", ""},
		{"redis://h", "with space"}, {"redis://h", "{user}"},
	} {
		if s, err := open(tt.url, tt.stream, subscription.Secrets{}); err == nil {
			t.Errorf("%q, %q: taken", tt.url, tt.stream)
			s.Close()
		}
	}
}
