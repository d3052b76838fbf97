package checker

import (
	"fmt"
	"time"
)

// Report is what a history shows.
type Report struct {
	Violations []Violation `json:"violations"`

	Events    int           `json:"events"`
	Duration  time.Duration `json:"duration"`
	Merchants int           `json:"merchants"`
	Grants    int           `json:"grants"` // confirmations by merchants

	// Tokens that the platform made, and replies with them that were written out whole.
	RefreshTokens int `json:"refresh_tokens"`
	AccessTokens  int `json:"access_tokens"`
	Refreshes     int `json:"refreshes"`
	Denials       int `json:"denials"` // of refreshes
	Kept          int `json:"kept"`    // refresh tokens that a server has shown to keep
	MaxOverlap    int `json:"max_overlap"`

	Starts int            `json:"starts"`
	Kills  int            `json:"kills"`
	Deaths map[string]int `json:"deaths,omitempty"` // not by the driver: at failpoints, or by themselves
	Pauses int            `json:"pauses"`
	Faults map[string]int `json:"faults,omitempty"`
	// KillsInFlight are the kills that met a refresh: InFlight refreshes were at the
	// platform, and InWindow had been answered no longer than Window before without
	// anybody having seen the new token.
	KillsInFlight int `json:"kills_in_flight"`
	InFlight      int `json:"in_flight"`
	InWindow      int `json:"in_window"`

	// Lost counts refresh tokens that nobody could have saved: "unanswered", where the
	// process died before it had the answer; "cut", where the connection to the platform
	// was disturbed; "window", where it had the answer no longer than the window; "slow",
	// where it had it longer, on a store or a machine that did not work as it should; and
	// "unsettled", where any of these showed only at the end.
	Lost map[string]int `json:"lost"`
	Gaps Gaps           `json:"gaps"` // of those in "window": from the answer to the death

	Answers    int `json:"answers"` // to callers
	CutAnswers int `json:"cut_answers"`
	Refusals   int `json:"refusals"`
	// Dead tokens handed out for which no server can be blamed: DiedEarly at the
	// platform's whim, Untold because no push has come, Orphans because the reply with
	// the next one was lost.
	DiedEarly int `json:"died_early"`
	Untold    int `json:"untold"`
	Orphans   int `json:"orphans"`

	Pushes       int `json:"pushes"`       // answered
	Acknowledged int `json:"acknowledged"` // with success, as the platform saw it
	Forgeries    int `json:"forgeries"`
	Settled      int `json:"settled"` // looks at a merchant with all faults off

	Arrivals Arrivals `json:"arrivals"`
}

// Gaps counts how long tokens were in memory alone when the process died.
type Gaps struct {
	Under1ms  int           `json:"under_1ms"`
	Under5ms  int           `json:"under_5ms"`
	Under20ms int           `json:"under_20ms"`
	Longer    int           `json:"longer"`
	Longest   time.Duration `json:"longest"`
}

func (g *Gaps) add(d time.Duration) {
	switch {
	case d < time.Millisecond:
		g.Under1ms++
	case d < 5*time.Millisecond:
		g.Under5ms++
	case d < 20*time.Millisecond:
		g.Under20ms++
	default:
		g.Longer++
	}
	g.Longest = max(g.Longest, d)
}

// LostToken counts the violations by which a token is gone that had to be there.
func (r Report) LostTokens() int {
	n := 0
	for _, v := range r.Violations {
		if v.Invariant == "INV-1" || v.Invariant == "INV-1b" {
			n++
		}
	}
	return n
}

// Add sums up the reports of several histories.
func (r Report) Add(o Report) Report {
	r.Violations = append(r.Violations, o.Violations...)
	for _, pair := range [][2]*int{
		{&r.Events, &o.Events}, {&r.Merchants, &o.Merchants}, {&r.Grants, &o.Grants}, {&r.RefreshTokens, &o.RefreshTokens},
		{&r.AccessTokens, &o.AccessTokens}, {&r.Refreshes, &o.Refreshes}, {&r.Denials, &o.Denials}, {&r.Kept, &o.Kept},
		{&r.Starts, &o.Starts}, {&r.Kills, &o.Kills}, {&r.Pauses, &o.Pauses},
		{&r.KillsInFlight, &o.KillsInFlight}, {&r.InFlight, &o.InFlight}, {&r.InWindow, &o.InWindow},
		{&r.Gaps.Under1ms, &o.Gaps.Under1ms}, {&r.Gaps.Under5ms, &o.Gaps.Under5ms}, {&r.Gaps.Under20ms, &o.Gaps.Under20ms}, {&r.Gaps.Longer, &o.Gaps.Longer},
		{&r.Answers, &o.Answers}, {&r.CutAnswers, &o.CutAnswers}, {&r.Refusals, &o.Refusals}, {&r.DiedEarly, &o.DiedEarly},
		{&r.Untold, &o.Untold}, {&r.Orphans, &o.Orphans}, {&r.Pushes, &o.Pushes}, {&r.Acknowledged, &o.Acknowledged},
		{&r.Forgeries, &o.Forgeries}, {&r.Settled, &o.Settled},
	} {
		*pair[0] += *pair[1]
	}
	r.Arrivals = r.Arrivals.add(o.Arrivals)
	r.Duration += o.Duration
	r.MaxOverlap = max(r.MaxOverlap, o.MaxOverlap)
	r.Gaps.Longest = max(r.Gaps.Longest, o.Gaps.Longest)
	sum := func(a, b map[string]int) map[string]int {
		all := make(map[string]int)
		for _, m := range []map[string]int{a, b} {
			for k, n := range m {
				all[k] += n
			}
		}
		return all
	}
	r.Lost, r.Deaths, r.Faults = sum(r.Lost, o.Lost), sum(r.Deaths, o.Deaths), sum(r.Faults, o.Faults)
	return r
}

// Summary is the report in one line.
func (r Report) Summary() string {
	if r.Arrivals.Pushes > 0 {
		return fmt.Sprintf("%d violations; %d kills; %s", len(r.Violations), r.Kills, r.Arrivals.summary())
	}
	return fmt.Sprintf("%d violations, %d tokens lost; %d kills (%d met a refresh: %d at the platform, %d just answered), %d refreshes, %d tokens handed out, beyond saving %v",
		len(r.Violations), r.LostTokens(), r.Kills, r.KillsInFlight, r.InFlight, r.InWindow, r.Refreshes, r.Answers, r.Lost)
}
