package server

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/store/sqlite"
)

func TestGuardOutlivesPanic(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := &Server{log: obs.NewLogger(&log, "debug", "json"), metrics: obs.NewMetrics()}
	handler := s.guard("public", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("canary-secret") }))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	if w.Code != http.StatusInternalServerError {
		t.Errorf("got %d", w.Code)
	}
	if strings.Contains(log.String()+w.Body.String(), "canary-secret") {
		t.Errorf("what was thrown is shown: %s", log.String())
	}
	if !strings.Contains(log.String(), `"msg":"panic"`) || !strings.Contains(log.String(), "guard_test.go") {
		t.Errorf("the panic is not logged with its place: %s", log.String())
	}
}

// After a sync that failed nobody knows what is stored, so the server ends with an
// error and leaves it to the next process to find out.
func TestServerEndsAfterAFailedSync(t *testing.T) {
	t.Parallel()
	cfg := minimal(t)
	s, err := New(t.Context(), Options{Config: cfg})
	if err != nil {
		t.Fatal(err)
	}
	lost := make(chan struct{})
	s.storage.Lost = lost
	close(lost)
	if err := s.Run(t.Context()); !errors.Is(err, sqlite.ErrSyncFailed) {
		t.Errorf("ended with %v, want ErrSyncFailed", err)
	}
}

// Where the master key is lost, a new one must not take its place.
func TestLostMasterKeyIsNotReplaced(t *testing.T) {
	t.Parallel()
	cfg := minimal(t)
	s, err := New(t.Context(), Options{Config: cfg})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(cfg.MasterKeyFile); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), Options{Config: cfg}); err == nil || !strings.Contains(err.Error(), "put the key back") {
		t.Errorf("started with %v", err)
	}
	if _, err := os.Stat(cfg.MasterKeyFile); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another key was made: %v", err)
	}
}

// minimal returns the least that a server needs.
func minimal(t *testing.T) config.Config {
	dir := t.TempDir()
	cfg := config.Default()
	cfg.Public = config.Public{Listen: "127.0.0.1:0", BaseURL: "http://127.0.0.1:1"}
	cfg.Admin.Listen, cfg.Gateway.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Storage = "sqlite://" + filepath.Join(dir, "test.db")
	cfg.MasterKeyFile = filepath.Join(dir, "master.key")
	return cfg
}
