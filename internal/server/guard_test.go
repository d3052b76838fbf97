package server

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tuoguan/tuoguan/internal/obs"
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
