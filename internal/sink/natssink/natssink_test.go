package natssink_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/services"
	"github.com/tuoguan/tuoguan/internal/services/servicetest"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/sink/broker"
	"github.com/tuoguan/tuoguan/internal/sink/natssink"
	"github.com/tuoguan/tuoguan/internal/sink/sinktest"
	"github.com/tuoguan/tuoguan/internal/subscription"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, flags ...string) *services.Service {
	t.Helper()
	server, err := services.StartNATS(t.Context(), services.Options{Flags: flags})
	servicetest.Require(t, err)
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func open(url, subject string, secrets subscription.Secrets) (sink.Sink, error) {
	return natssink.New(subscription.Subscription{
		ID: "s1", Spec: subscription.Spec{Sink: subscription.Sink{Type: subscription.NATS, URL: url, Subject: subject}}, Secrets: secrets,
	}, broker.Config{Dial: sinktest.Dial, Logger: slog.New(slog.DiscardHandler)})
}

// stream makes a stream and returns how to read it.
func stream(t *testing.T, server *services.Service, config jetstream.StreamConfig, options ...nats.Option) func(t *testing.T) []sinktest.Received {
	t.Helper()
	config.Name = rand.Text()
	with := func(t *testing.T, f func(js jetstream.JetStream) error) {
		t.Helper()
		conn, err := nats.Connect(server.URL(""), options...)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		js, err := jetstream.New(conn)
		if err == nil {
			err = f(js)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	with(t, func(js jetstream.JetStream) error {
		_, err := js.CreateStream(t.Context(), config)
		return err
	})
	return func(t *testing.T) []sinktest.Received {
		var all []sinktest.Received
		with(t, func(js jetstream.JetStream) error {
			s, err := js.Stream(t.Context(), config.Name)
			if err != nil {
				return err
			}
			for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
				m, err := s.GetMsg(t.Context(), seq)
				if err != nil {
					return err
				}
				if m.Header.Get("ce-id") != m.Header.Get("Nats-Msg-Id") || m.Header.Get("content-type") != broker.ContentType {
					t.Errorf("headers %v", m.Header)
				}
				all = append(all, sinktest.Received{ID: m.Header.Get("ce-id"), Body: string(m.Data)})
			}
			return nil
		})
		return all
	}
}

func TestSink(t *testing.T) {
	server := start(t)
	sinktest.Run(t, sinktest.Subject{
		Server: server, TooLarge: 2 << 20,
		Place: func(t *testing.T) sinktest.Place {
			subject := rand.Text()
			return sinktest.Place{
				Open: func() (sink.Sink, error) {
					return open(server.URL(""), subject+".{component}.{authorizer}", subscription.Secrets{})
				},
				Read: stream(t, server, jetstream.StreamConfig{Subjects: []string{subject + ".wxc0000000000000.wxa0000000000001"}}),
			}
		},
	})
}

// TestDuplicates demands that a stream recognizes an event that it has already.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	server := start(t)
	read := stream(t, server, jetstream.StreamConfig{Subjects: []string{"tuoguan.>"}})
	for range 2 {
		s, err := open(server.URL(""), "", subscription.Secrets{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Send(t.Context(), sinktest.Message("one")); err != nil {
			t.Error(err)
		}
	}
	if got := read(t); len(got) != 1 {
		t.Errorf("it is there %d times", len(got))
	}
}

// TestRefused demands refusals that show neither the password nor the event.
func TestRefused(t *testing.T) {
	t.Parallel()
	const password = "pa55word"
	open1 := start(t)
	guarded := start(t, "--user", "u", "--pass", password)
	stream(t, open1, jetstream.StreamConfig{Subjects: []string{"small"}, MaxMsgSize: 10})
	stream(t, open1, jetstream.StreamConfig{Subjects: []string{"full"}, MaxMsgs: 1, Discard: jetstream.DiscardNew})
	stream(t, guarded, jetstream.StreamConfig{Subjects: []string{"guarded"}}, nats.UserInfo("u", password))
	for _, tt := range []struct {
		name    string
		server  *services.Service
		subject string
		secrets subscription.Secrets
		want    string // how the error begins
		final   bool
	}{
		{"no stream", open1, "nobody.{kind}", subscription.Secrets{}, "refused: no stream", false},
		{"large for the stream", open1, "small", subscription.Secrets{}, "refused: ", true},
		{"stream is full", open1, "full", subscription.Secrets{}, "refused: NATS answers with error ", false},
		{"login", guarded, "guarded", subscription.Secrets{User: "u", Password: tuoguan.NewSecret(password)}, "", false},
		{"no login", guarded, "guarded", subscription.Secrets{}, "nats: Authorization Violation", false},
		{"wrong login", guarded, "guarded", subscription.Secrets{User: "u", Password: tuoguan.NewSecret("wr0ng")}, "nats: Authorization Violation", false},
		{"token", guarded, "guarded", subscription.Secrets{Password: tuoguan.NewSecret("wr0ng")}, "nats: Authorization Violation", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := open(tt.server.URL(""), tt.subject, tt.secrets)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for _, name := range []string{"one", "two"} { // one is there once the stream is full
				_, err = s.Send(context.Background(), sinktest.Message(name))
			}
			got := ""
			if err != nil {
				got = err.Error()
			}
			if !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" || strings.Contains(got, password) || strings.Contains(got, "wr0ng") {
				t.Errorf("got %q", got)
			}
			if r, ok := errors.AsType[*sink.Refusal](err); (ok && r.Final) != tt.final {
				t.Errorf("final: %v", !tt.final)
			}
		})
	}
}

// TestTLS reaches a server that wants TLS, with and without the authority that vouches for it.
func TestTLS(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(nil) // for its certificate
	web.Close()
	key, err := x509.MarshalPKCS8PrivateKey(web.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "natssink-") // where the server's user may come
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert": {Type: "CERTIFICATE", Bytes: web.Certificate().Raw}, "key": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	server := start(t, "--tls", "--tlscert", filepath.Join(dir, "cert"), "--tlskey", filepath.Join(dir, "key"))
	known := x509.NewCertPool()
	known.AddCert(web.Certificate())
	stream(t, server, jetstream.StreamConfig{Subjects: []string{"tuoguan.>"}}, nats.Secure(&tls.Config{RootCAs: known}))
	for _, tt := range []struct {
		name  string
		url   string
		roots *x509.CertPool
		good  bool
	}{
		{"known authority", "tls://" + server.Addr(), known, true},
		{"other name of the scheme", "nats+tls://" + server.Addr(), known, true},
		{"unknown authority", "tls://" + server.Addr(), x509.NewCertPool(), false},
	} {
		s, err := natssink.New(subscription.Subscription{Spec: subscription.Spec{Sink: subscription.Sink{URL: tt.url}}},
			broker.Config{Dial: sinktest.Dial, Logger: slog.New(slog.DiscardHandler), Roots: tt.roots})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Send(t.Context(), sinktest.Message("one")); (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.name, err)
		}
		s.Close()
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, subject string }{
		{"redis://h", ""}, {"nats://h/path", ""}, {"nats://h?x=y", ""}, {"nats://h", "a.*"}, {"nats://h", ">"}, {"nats://h", "$JS.API"},
		{"nats://h", "a..b"}, {"nats://h", "{user}"},
	} {
		if s, err := open(tt.url, tt.subject, subscription.Secrets{}); err == nil {
			t.Errorf("%q, %q: taken", tt.url, tt.subject)
			s.Close()
		}
	}
}
