package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/simulator"
)

// receiver takes events, or says what it is told to say.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	types  []string
	bodies []string
}

func newReceiver(t *testing.T, status int) *receiver {
	r := &receiver{status: status}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		var e struct{ Type string }
		body, err := io.ReadAll(request.Body)
		if err != nil || json.Unmarshal(body, &e) != nil {
			t.Errorf("a webhook: %s, %v", body, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.types, r.bodies = append(r.types, e.Type), append(r.bodies, string(body))
		w.WriteHeader(r.status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) got(kind string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(r.types), func(t string) bool { return t != kind }))
}

// subscribe makes a subscription and returns its id.
func (w *world) subscribe(name, url string, kinds ...string) string {
	w.t.Helper()
	var made struct{ ID string }
	wanted, _ := json.Marshal(kinds)
	w.rest("POST", "/v1/subscriptions", fmt.Sprintf(`{"name":%q,"match":{"kinds":%s},"sink":{"type":"webhook","url":%q}}`, name, wanted, url), http.StatusCreated, &made)
	return made.ID
}

// What WeChat pushes, and what we have to tell, reaches those who subscribe; one whose
// receiver is gone is set aside, and that is told as well.
func TestSubscribers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.config.Delivery.AllowNetworks = []string{"127.0.0.0/8"}
	w.start()
	w.ready()
	all, gone := newReceiver(t, http.StatusOK), newReceiver(t, http.StatusGone)
	w.subscribe("all", all.URL, "*")
	lost := w.subscribe("gone", gone.URL, "text")

	account := w.account(simulator.OfficialAccount)
	_, login := w.open(`{"component_appid":"` + w.component.AppID + `"}`)
	w.page(w.confirm(account, login), "")
	w.eventually("the authorization is told", func() bool { return all.got("wechat.authorized") == 1 && all.got(event.Authorized) == 1 })

	if _, err := w.sim.SendMessage(t.Context(), account, simulator.Message{From: "oUser", Type: "text", Fields: map[string]any{"content": "hi"}}); err != nil {
		t.Fatal(err)
	}
	w.eventually("the message arrives", func() bool { return all.got("wechat.text") == 1 })
	w.eventually("that a subscription was disabled is told", func() bool { return all.got(event.SubscriptionDisabled) == 1 })
	var state struct{ State, Problem string }
	w.rest("GET", "/v1/subscriptions/"+lost, "", 200, &state)
	if state.State != "disabled" || !strings.Contains(state.Problem, "410") {
		t.Errorf("%+v", state)
	}
	if a := w.do("GET", w.admin+"/readyz", ""); a.status != 200 || !strings.Contains(a.body, "subscription_disabled") || !strings.Contains(a.body, lost) {
		t.Errorf("readyz: %d %s", a.status, a.body)
	}
	metrics := w.do("GET", w.admin+"/metrics", "").body
	for _, line := range []string{
		`tuoguan_deliveries_total{result="delivered",sink="webhook"}`, `tuoguan_deliveries_pending{subscription="` + lost + `"} 1`, `tuoguan_delivery_lag_seconds_count{sink="webhook"}`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("no %s in the metrics", line)
		}
	}

	// It is not lost to one who comes back.
	gone.mu.Lock()
	gone.status = http.StatusNoContent
	gone.mu.Unlock()
	w.rest("POST", "/v1/subscriptions/"+lost+"/resume", "", 200, nil)
	w.rest("POST", "/v1/subscriptions/"+lost+"/replay", `{"since":"2000-01-01T00:00:00Z"}`, http.StatusAccepted, nil)
	w.eventually("the message arrives there too", func() bool { return gone.got("wechat.text") >= 2 })

	secrets := w.sim.Secrets()
	for _, text := range slices.Concat(all.bodies, gone.bodies, []string{w.log.String(), metrics}, w.seen) {
		for _, secret := range secrets {
			if len(secret) >= 8 && strings.Contains(text, secret) {
				t.Fatalf("a secret stands in %.300s", text)
			}
		}
	}
}

// A receiver in a network that nobody has allowed is not called.
func TestSubscriberInAPrivateNetwork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	r := newReceiver(t, http.StatusOK)
	a := w.do("POST", w.admin+"/v1/subscriptions", `{"name":"x","match":{"kinds":["*"]},"sink":{"type":"webhook","url":"`+r.URL+`"}}`, "Authorization", "Bearer "+key)
	if a.status != http.StatusUnprocessableEntity && a.status != http.StatusBadRequest || !strings.Contains(a.body, "allow_networks") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if r.types != nil {
		t.Errorf("it was called: %q", r.types)
	}
}
