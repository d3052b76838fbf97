//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tuoguan/tuoguan/internal/proof"
	"github.com/tuoguan/tuoguan/internal/proof/checker"
	"github.com/tuoguan/tuoguan/simulator"
)

// rounds of the proof, as short as they can be and still find what they have to. The
// platform forgives nothing.
func rounds() map[string]proof.Round {
	round := func(life time.Duration, cycles int, blow proof.Blow) proof.Round {
		return proof.Round{
			Name: string(blow), Seed: 1, Store: proof.SQLite, Replicas: 1, Rotation: simulator.RotateStrict, List: simulator.ListEmpty,
			Blows: []proof.Blow{blow}, Cycles: cycles, MinLife: 5 * time.Millisecond, Life: life,
			Forced: 0.5, Change: 100 * time.Millisecond, Calm: time.Second,
		}
	}
	// Without a fault of ours nothing comes twice; with them everything comes once at least.
	arrivals := round(500*time.Millisecond, 0, proof.Kill)
	arrivals.Name, arrivals.MinLife, arrivals.List = "arrivals", 300*time.Millisecond, simulator.ListNewest
	arrivals.Traffic = proof.Traffic{Messages: 2000, Rate: 400, Copies: 0.05}
	calm := arrivals
	calm.Name, calm.Blows = "calm", nil
	return map[string]proof.Round{
		"arrivals": arrivals, "calm": calm,
		"kill":  round(60*time.Millisecond, 60, proof.Kill),
		"power": round(150*time.Millisecond, 30, proof.Power),
	}
}

var errViolated = errors.New("the round has found violations")

// goThrough does a round with a server and prints what it found, in the words of
// package testing.
func (g *garden) goThrough(ctx context.Context, name, server string) ([]byte, error) {
	round, known := rounds()[name]
	if !known {
		return nil, fmt.Errorf("there is no round %q", name)
	}
	var out bytes.Buffer
	if err := round.Available(ctx); err != nil {
		_, _ = fmt.Fprintf(&out, "--- SKIP: %s: %v\n", name, err)
		return out.Bytes(), nil
	}
	dir, err := os.MkdirTemp(g.dir, "round")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	merchants := 40
	if len(round.Blows) > 0 && round.Blows[0] == proof.Power {
		merchants = 16 // with all that is lost, the end takes its time
	}
	_, _ = fmt.Fprintf(&out, "seed %d\n", round.Seed)
	outcome, err := proof.Run(ctx, proof.Config{
		ServerBinary: server, Dir: dir, Merchants: merchants, Checker: checker.Config{Recovery: 15 * time.Second},
	}, round)
	for _, v := range outcome.Report.Violations {
		_, _ = fmt.Fprintln(&out, v)
	}
	switch {
	case err != nil:
		_, _ = fmt.Fprintf(&out, "--- FAIL: %s: %v\n", name, err)
	case len(outcome.Report.Violations) > 0:
		err = errViolated
		_, _ = fmt.Fprintf(&out, "--- FAIL: %s\n", name)
	default:
		_, _ = fmt.Fprintf(&out, "--- PASS: %s\n", name)
	}
	return out.Bytes(), err
}
