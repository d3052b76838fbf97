package client_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/client"
	"github.com/tuoguan/tuoguan/wxapi"
)

var _ wxapi.TokenSource = (*client.Client)(nil)

const (
	key     = "wxk_0123456789ab_canaryCanaryCanaryCanaryCanaryCanaryCanary1_abcdef"
	account = tuoguan.AuthorizerAppID("wxaaaaaaaaaaaaaaaa")
	other   = tuoguan.AuthorizerAppID("wxbbbbbbbbbbbbbbbb")
	ours    = tuoguan.ComponentAppID("wx0123456789abcdef")
)

var (
	owner      = tuoguan.AuthorizerToken(ours, account)
	errRefused = errors.New("connection refused")
)

// server is a handler reached without a network, so that time may be virtual.
type server struct {
	http.Handler
	mu       sync.Mutex
	down     bool
	requests []*http.Request
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	down := s.down
	s.mu.Unlock()
	if down {
		return nil, errRefused
	}
	done := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		w := httptest.NewRecorder()
		served := r.Clone(r.Context())
		if served.Body == nil {
			served.Body = http.NoBody
		}
		s.ServeHTTP(w, served)
		done <- w
	}()
	select {
	case w := <-done:
		response := w.Result()
		response.Request = r
		if response.Header.Get("Date") == "" {
			response.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
		}
		return response, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func (s *server) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// serve returns a server and a client of it.
func serve(t *testing.T, cfg client.Config, handler http.HandlerFunc) (*server, *client.Client) {
	t.Helper()
	s := &server{Handler: handler}
	cfg.APIKey = tuoguan.NewSecret(key)
	cfg.HTTPClient = &http.Client{Transport: s}
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, name string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"type": "https://github.com/tuoguan/tuoguan/blob/main/docs/problems.md#" + name, "title": name, "status": status,
		"detail": "a detail", "detail_zh": "说明",
	})
}

func token(w http.ResponseWriter, value string, life time.Duration) {
	answer(w, http.StatusOK, map[string]any{"access_token": value, "expires_at": time.Now().UTC().Add(life).Truncate(time.Second)})
}

func text(t *testing.T, r io.Reader) string {
	t.Helper()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return string(raw)
}
