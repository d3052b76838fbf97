// Package kmstest is a key management service for tests: an HTTP server that wraps
// and unwraps with a key of its own, that can be slow and out of reach, and the
// [seal.KEK] that calls it. It shows how little an adapter for a real service has to do.
package kmstest

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan/internal/seal"
)

// Server is the service. Its key never leaves it.
type Server struct {
	name  string
	http  *httptest.Server
	aead  cipher.AEAD
	calls atomic.Int64

	mu      sync.Mutex
	latency time.Duration
	down    bool
}

// message is what goes over the wire, in both directions.
type message struct {
	Data    []byte `json:"data"`
	Context []byte `json:"context,omitempty"`
}

// Start runs a service whose key is named name and made from fill, until the test ends.
func Start(t testing.TB, name string, fill byte) *Server {
	t.Helper()
	block, err := aes.NewCipher(bytes.Repeat([]byte{fill}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{name: name, aead: aead}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /"+name+"/wrap", s.handle(func(m message) ([]byte, error) {
		return aead.Seal(nil, nil, m.Data, m.Context), nil
	}))
	mux.HandleFunc("POST /"+name+"/unwrap", s.handle(func(m message) ([]byte, error) {
		return aead.Open(nil, nil, m.Data, m.Context)
	}))
	s.http = httptest.NewServer(mux)
	t.Cleanup(s.http.Close)
	return s
}

// SetDown makes the service refuse everything, or work again.
func (s *Server) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// SetLatency makes every answer take a while.
func (s *Server) SetLatency(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latency = d
}

// Calls returns how often the service was called.
func (s *Server) Calls() int64 { return s.calls.Load() }

func (s *Server) handle(do func(message) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.calls.Add(1)
		var m message
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4096)) // to its end: only then is a caller's leaving noticed
		if err == nil {
			err = json.Unmarshal(body, &m)
		}
		if err != nil {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		latency, down := s.latency, s.down
		s.mu.Unlock()
		select {
		case <-time.After(latency):
		case <-r.Context().Done():
			return
		}
		if down {
			http.Error(w, "out of service", http.StatusServiceUnavailable)
			return
		}
		data, err := do(m)
		if err != nil {
			http.Error(w, "does not unwrap", http.StatusUnprocessableEntity)
			return
		}
		_ = json.NewEncoder(w).Encode(message{Data: data})
	}
}

// KEK returns an adapter, as one process would have it.
func (s *Server) KEK() seal.KEK { return &kek{s.name, s.http.URL + "/" + s.name, s.http.Client()} }

type kek struct {
	name, url string
	client    *http.Client
}

// ID implements [seal.KEK].
func (k *kek) ID() string { return "kmstest:" + k.name }

// Wrap implements [seal.KEK].
func (k *kek) Wrap(ctx context.Context, key, associatedData []byte) ([]byte, error) {
	return k.call(ctx, "wrap", message{key, associatedData})
}

// Unwrap implements [seal.KEK].
func (k *kek) Unwrap(ctx context.Context, wrapped, associatedData []byte) ([]byte, error) {
	return k.call(ctx, "unwrap", message{wrapped, associatedData})
}

func (k *kek) call(ctx context.Context, op string, m message) ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.url+"/"+op, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("key service: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("key service: %s: status %d", op, resp.StatusCode)
	}
	var reply message
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil {
		return nil, fmt.Errorf("key service: %s: %w", op, err)
	}
	return reply.Data, nil
}
