//go:build unix

package proof

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan/internal/proof/checker"
	"github.com/tuoguan/tuoguan/simulator"
)

// TestRound does a small round with real processes, twice: as it is meant to be, and
// with a checker that allows a server no time at all to store what it has received.
// That one has to find what the first one rightly counts as beyond saving.
func TestRound(t *testing.T) {
	t.Parallel()
	server := filepath.Join(t.TempDir(), "tuoguan")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "failpoint", "-o", server, "github.com/tuoguan/tuoguan/cmd/tuoguan")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the server: %v\n%s", err, out)
	}
	round := Round{
		Name: "small", Store: SQLite, Seed: 7, Replicas: 1, Rotation: simulator.RotateStrict, List: simulator.ListEmpty,
		Blows: []Blow{Kill, Failpoint}, Cycles: 40, Life: 80 * time.Millisecond, Forced: 0.7, Change: 200 * time.Millisecond,
	}
	t.Run("as it is", func(t *testing.T) {
		t.Parallel()
		o, err := Run(t.Context(), Config{ServerBinary: server, Dir: t.TempDir(), Merchants: 30}, round)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range o.Report.Violations {
			t.Error(v)
		}
		r := o.Report
		if o.Cycles != 40 || r.Starts < 41 || r.Refreshes == 0 || r.Answers == 0 || r.Settled == 0 || r.Acknowledged == 0 || r.Forgeries == 0 {
			t.Errorf("too little has happened: %+v", r)
		}
		if o.Secrets < 100 || o.Bytes < 1<<20 {
			t.Errorf("%d secrets were searched for in %d bytes", o.Secrets, o.Bytes)
		}
	})
	t.Run("arrivals", func(t *testing.T) {
		t.Parallel()
		arrivals := Round{
			Name: "arrivals", Store: SQLite, Seed: 9, Replicas: 1, Rotation: simulator.RotateStrict, List: simulator.ListNewest,
			Blows: []Blow{Kill, Failpoint}, MinLife: 300 * time.Millisecond, Life: 300 * time.Millisecond,
			Traffic: Traffic{Messages: 1500, Rate: 300, Copies: 0.05},
		}
		o, err := Run(t.Context(), Config{ServerBinary: server, Dir: t.TempDir(), Merchants: 20}, arrivals)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range o.Report.Violations {
			t.Error(v)
		}
		if a := o.Report.Arrivals; a.Pushes != 1500 || a.Taken < 3000 || a.Untaken == 0 || a.Downs == 0 || o.Report.Acknowledged < 1400 || o.Cycles == 0 {
			t.Errorf("too little has happened: %+v, %d acknowledged, %d blows", a, o.Report.Acknowledged, o.Cycles)
		}
	})
	t.Run("without a window", func(t *testing.T) {
		t.Parallel()
		strict := checker.Config{Window: time.Nanosecond, FaultWindow: time.Nanosecond, Recovery: time.Second}
		o, err := Run(t.Context(), Config{ServerBinary: server, Dir: t.TempDir(), Merchants: 30, Checker: strict}, round)
		if err != nil {
			t.Fatal(err)
		}
		if o.Report.LostTokens() == 0 {
			t.Errorf("no lost token was found: %s", o.Report.Summary())
		}
	})
}
