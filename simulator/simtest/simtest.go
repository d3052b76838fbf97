// Package simtest starts simulators for tests.
package simtest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/tuoguan/tuoguan/simulator"
)

// Sim is a running simulator with both listeners on random ports of loopback.
type Sim struct {
	*simulator.Simulator
	URL        string // of the platform
	ControlURL string
}

// Start runs a simulator until the test ends. Where config.Faults is nil the
// faults are off, unlike [simulator.New]: a test asks for what it wants to see.
func Start(t testing.TB, config simulator.Config) *Sim {
	t.Helper()
	s := New(t, config)
	platform := httptest.NewServer(s.Handler())
	t.Cleanup(platform.Close)
	control := httptest.NewServer(s.ControlHandler())
	t.Cleanup(control.Close)
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { _ = s.Run(ctx) }) // it has no way to fail
	t.Cleanup(func() {
		cancel()
		run.Wait()
	})
	return &Sim{Simulator: s, URL: platform.URL, ControlURL: control.URL}
}

// New makes a simulator without listeners and without [simulator.Simulator.Run],
// and closes it when the test ends. Use it with its RoundTripper, as in a
// synctest bubble. Faults are off where config.Faults is nil.
func New(t testing.TB, config simulator.Config) *simulator.Simulator {
	t.Helper()
	if config.Faults == nil {
		config.Faults = Faults(t, simulator.PresetOff)
	}
	s, err := simulator.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Faults returns a preset to start from.
func Faults(t testing.TB, preset string) *simulator.Faults {
	t.Helper()
	f, err := simulator.Preset(preset)
	if err != nil {
		t.Fatal(err)
	}
	return &f
}

// Component makes up a component of which everything but the URLs follows from
// name. receiver is the base URL of the server under test; the routes are those
// of the Tuoguan server, and the entry domain is its host.
func Component(name, receiver string) simulator.Component {
	digest := func(purpose string) []byte {
		sum := sha256.Sum256([]byte(purpose + "\x00" + name))
		return sum[:]
	}
	appid := "wx" + hex.EncodeToString(digest("appid")[:8])
	host := receiver
	if _, after, found := strings.Cut(receiver, "://"); found {
		host = after
	}
	return simulator.Component{
		AppID:          appid,
		Name:           name,
		Secret:         hex.EncodeToString(digest("secret")[:16]),
		Token:          hex.EncodeToString(digest("token")[:10]),
		EncodingAESKey: letters(digest("key")),
		EventURL:       receiver + "/wx/" + appid + "/event",
		MessageURL:     receiver + "/wx/" + appid + "/message/$APPID$",
		EntryDomain:    host,
	}
}

// letters makes an EncodingAESKey of 43 letters and digits.
func letters(random []byte) string {
	return strings.NewReplacer("+", "a", "/", "b").Replace(base64.RawStdEncoding.EncodeToString(random))
}

// Register registers a component and returns it.
func Register(t testing.TB, s *simulator.Simulator, c simulator.Component) simulator.Component {
	t.Helper()
	if _, err := s.AddComponent(c); err != nil {
		t.Fatal(err)
	}
	return c
}

// HandlerTransport is an [http.RoundTripper] that calls a handler directly, as
// [simulator.Config.PushTransport] for pushes that need no network.
type HandlerTransport struct{ Handler http.Handler }

// RoundTrip serves one request.
func (t HandlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:1"
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	t.Handler.ServeHTTP(w, in)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	reply := w.Result()
	reply.Request = r
	return reply, nil
}

// WithoutSecrets fails the test if text contains a secret that the simulator
// issued or was given, and says which kind of text it was.
func WithoutSecrets(t testing.TB, s *simulator.Simulator, what, text string) {
	t.Helper()
	for _, secret := range s.Secrets() {
		if secret != "" && strings.Contains(text, secret) {
			sum := sha256.Sum256([]byte(secret))
			t.Errorf("%s contains a secret (SHA-256 %s)", what, hex.EncodeToString(sum[:8]))
		}
	}
}
