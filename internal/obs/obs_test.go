package obs_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan/internal/obs"
)

func get(t *testing.T, h http.Handler, target string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

func TestReady(t *testing.T) {
	t.Parallel()
	waiting := obs.Problem{Code: "ticket_missing", Component: "wx0123456789abcdef", Since: time.Unix(1, 0).UTC()}
	full := obs.Problem{Code: "store_unavailable", Blocking: true}
	tests := map[string]struct {
		problems []obs.Problem
		code     int
		status   string
	}{
		"nothing":            {nil, 200, "ready"},
		"waiting for ticket": {[]obs.Problem{waiting}, 200, "ready"},
		"cannot store":       {[]obs.Problem{full, waiting}, 503, "unavailable"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, body := get(t, obs.Ready(func(context.Context) []obs.Problem { return tt.problems }), "/readyz")
			var health obs.Health
			if err := json.Unmarshal([]byte(body), &health); err != nil {
				t.Fatal(err)
			}
			if code != tt.code || health.Status != tt.status || len(health.Missing) != len(tt.problems) {
				t.Errorf("got %d %s", code, body)
			}
			if !strings.Contains(body, `"missing":[`) {
				t.Errorf("missing is not a list: %s", body)
			}
		})
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	m := obs.NewMetrics()
	failing := false
	m.Watch(func(context.Context) (obs.Snapshot, error) {
		if failing {
			return obs.Snapshot{}, errors.New("store away")
		}
		return obs.Snapshot{
			Components: []obs.ComponentSnapshot{{AppID: "wx0123456789abcdef", TicketAge: -time.Second, TokenExpiresIn: time.Hour, Authorizers: map[string]int64{"active": 3}}},
			Problems:   map[string]int{"ticket_missing": 1},
		}, nil
	})
	m.Push("event", "stored", time.Millisecond)
	m.Operation("refresh", "ok", time.Second)
	m.Refusal(61004, true)
	m.Refusal(987654, false)
	m.Call("api_query_auth", "ok", time.Millisecond)
	m.Call("/wxa/some/path", "ok", time.Millisecond)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /authorize/{link}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	counted := m.Count("public", mux)
	get(t, counted, "/authorize/first")
	get(t, counted, "/authorize/second")
	get(t, counted, "/somewhere/else")

	_, body := get(t, m.Handler(), "/metrics")
	for _, want := range []string{
		`tuoguan_pushes_total{outcome="stored",url="event"} 1`,
		`tuoguan_operations_total{kind="refresh",result="ok"} 1`,
		`tuoguan_wechat_refusals_total{errcode="61004"} 1`,
		`tuoguan_wechat_refusals_total{errcode="other"} 1`,
		`tuoguan_wechat_calls_total{op="api_query_auth",result="ok"} 1`,
		`tuoguan_wechat_calls_total{op="other",result="ok"} 1`,
		`tuoguan_http_requests_total{listener="public",route="GET /authorize/{link}",status="410"} 2`,
		`tuoguan_http_requests_total{listener="public",route="none",status="404"} 1`,
		`tuoguan_ticket_age_seconds{component_appid="wx0123456789abcdef"} -1`,
		`tuoguan_component_token_expires_in_seconds{component_appid="wx0123456789abcdef"} 3600`,
		`tuoguan_authorizers{component_appid="wx0123456789abcdef",state="active"} 3`,
		`tuoguan_problems{code="ticket_missing"} 1`,
		`tuoguan_status_readable 1`,
		`tuoguan_build_info{`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing", want)
		}
	}
	failing = true
	if _, body := get(t, m.Handler(), "/metrics"); !strings.Contains(body, "tuoguan_status_readable 0") || !strings.Contains(body, "tuoguan_pushes_total") {
		t.Error("a state that cannot be read takes the other metrics away or is not shown")
	}
}
