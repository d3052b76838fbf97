package obs

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// Problem is something an operator should know of and act upon.
type Problem struct {
	Code          string    `json:"code"` // stable, such as ticket_missing
	Component     string    `json:"component_appid,omitempty"`
	Subscription  string    `json:"subscription,omitempty"` // its id
	Message       string    `json:"message"`
	Action        string    `json:"action"` // what to do
	ActionChinese string    `json:"action_zh"`
	Since         time.Time `json:"since"`
	// Blocking: pushes cannot be stored, so none should be sent here.
	Blocking bool `json:"blocking"`
}

// Health is the body of /readyz.
type Health struct {
	// Status is "ready", or "unavailable" if pushes cannot be stored.
	Status string `json:"status"`
	// Missing names what is not as it should be, the blocking first. A server that
	// waits for its first ticket is ready and says so here.
	Missing []Problem `json:"missing"`
}

// Alive answers /healthz: the process serves requests.
func Alive() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeHealth(w, http.StatusOK, map[string]string{"status": "alive"})
	})
}

// Ready answers /readyz with a [Health]: 200, or 503 while pushes cannot be stored.
// Waiting for a ticket is no reason to be taken out of a balancer: the ticket
// comes through it.
func Ready(problems func(context.Context) []Problem) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
		defer cancel()
		health := Health{Status: "ready", Missing: problems(ctx)}
		status := http.StatusOK
		if slices.ContainsFunc(health.Missing, func(p Problem) bool { return p.Blocking }) {
			health.Status, status = "unavailable", http.StatusServiceUnavailable
		}
		if health.Missing == nil {
			health.Missing = []Problem{}
		}
		writeHealth(w, status, health)
	})
}

func writeHealth(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client went away
}
