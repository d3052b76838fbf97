//go:build unix

package proof

import (
	"strings"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan/internal/proof/checker"
)

// TestMarkdown writes a report with a round of either kind.
func TestMarkdown(t *testing.T) {
	t.Parallel()
	var r Report
	r.Add(Outcome{Round: Round{Name: "sqlite-kill", Store: SQLite, Replicas: 1, Seed: 3}, Report: checker.Report{Kills: 17}})
	r.Add(Outcome{
		Round: Round{Name: "sqlite-arrivals", Store: SQLite, Replicas: 1, Seed: 4, Traffic: Traffic{Messages: 5000}}, Took: time.Minute,
		Report: checker.Report{
			Kills: 5, Deaths: map[string]int{"inbox.beforeCommit": 2, "ended": 1},
			Arrivals: checker.Arrivals{Pushes: 5000, GivenUp: 1, Slowest: time.Second, Downs: 9, Taken: 12000, Deliveries: 12345, Duplicates: 6},
		},
	})
	var b strings.Builder
	if err := r.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{
		"| sqlite × 1 | kill | ", "| sqlite × 1 | 4 | 5000 | 1 | 1s | 7 | 9 | 0 | 0 | 12000 | 12345 | 6 | 0 | 0 | 0 | 1m0s |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	var columns int
	for line := range strings.Lines(text) {
		n := strings.Count(line, "|")
		if n > 0 && columns > 0 && n != columns {
			t.Errorf("%d columns, and then %d: %s", columns-1, n-1, line)
		}
		columns = n
	}
	if strings.Contains(text, "%!") {
		t.Errorf("something is not written as it should be:\n%s", text)
	}
}
