package keeper_test

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/simulator/simtest"
	"github.com/tuoguan/tuoguan/store/memory"
)

// TestProof is the proof of custody inside of one process, in simulated time. In
// every run one to four keepers share a store, and merchants authorize, update and
// revoke, while WeChat misbehaves, keepers are killed, paused and cut off from the
// store, their clocks are wrong, and the data is restored from an old copy, also
// while the installation that it was copied from is still at work. A checker watches
// what is stored, what WeChat is asked and what is handed out; see proof_checker_test.go
// for what it asserts. The driver is in proof_driver_test.go, the faults are in
// proof_faults_test.go.
//
// A seed decides everything. The environment says what is run:
//
//	PROOF_SEEDS    how many seeds (24; with PROOF_SEED 1)
//	PROOF_FIRST    the first of them (0)
//	PROOF_SEED     this one alone, and what led to a failure in more detail
//	PROOF_KEEPERS  so many keepers, instead of one to four by seed
//	PROOF_WORKERS  how many seeds at once (GOMAXPROCS)
//	PROOF_COMMIT   named in the report
//	PROOF_REPORT   file to which the report is written, one line of JSON
func TestProof(t *testing.T) {
	t.Parallel()
	first, seeds, workers := setting(t, "PROOF_FIRST", 0), setting(t, "PROOF_SEEDS", 24), setting(t, "PROOF_WORKERS", uint64(runtime.GOMAXPROCS(0)))
	if raceEnabled || testing.Short() {
		seeds = min(seeds, 12)
	}
	if _, one := os.LookupEnv("PROOF_SEED"); one {
		first, seeds = setting(t, "PROOF_SEED", 0), 1
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // the runs make much garbage and need little memory
	began := time.Now()
	total := newReport()
	var mu sync.Mutex
	t.Run("seeds", func(t *testing.T) {
		for w := range workers {
			t.Run(strconv.FormatUint(w, 10), func(t *testing.T) {
				t.Parallel()
				for seed := first + w; seed < first+seeds; seed += workers {
					s := scheduleOf(t, seed)
					r := runSeed(t, s, false)
					if len(r.violations) > 0 {
						again := runSeed(t, s, true)
						t.Errorf("%s: %d violations; repeat it with\n\tPROOF_SEED=%d PROOF_KEEPERS=%d go test -count=1 -run '^TestProof$' ./keeper\n%s",
							s, len(r.violations), seed, s.keepers, strings.Join(again.violations[:min(len(again.violations), 3)], "\n"))
						if again.history != r.history {
							t.Errorf("%s: the second run had another history", s)
						}
					}
					mu.Lock()
					total.add(s, r)
					mu.Unlock()
				}
			})
		}
	})
	total.finish(t, began)
}

// TestProofIsRepeatable runs a few seeds twice: the same seed has the same history.
func TestProofIsRepeatable(t *testing.T) {
	t.Parallel()
	seeds := setting(t, "PROOF_TWICE", 4)
	if raceEnabled || testing.Short() {
		seeds = min(seeds, 2)
	}
	for seed := range seeds {
		s := scheduleOf(t, seed)
		a, b := runSeed(t, s, true), runSeed(t, s, true)
		if a.history == b.history {
			continue
		}
		slices.Sort(a.events)
		slices.Sort(b.events)
		i := 0
		for i < min(len(a.events), len(b.events))-1 && a.events[i] == b.events[i] {
			i++
		}
		t.Errorf("%s: two runs had different histories, from here:\n%s\nand\n%s", s,
			strings.Join(a.events[i:min(i+3, len(a.events))], "\n"), strings.Join(b.events[i:min(i+3, len(b.events))], "\n"))
	}
}

// TestProofHoldsAKeeperToWhatItSaved has an old token handed out, which the platform has
// forgotten since it answered a refresh.
func TestProofHoldsAKeeperToWhatItSaved(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault storeFault
		want  int
	}{
		"the new one is saved":        {want: 1},
		"the new one cannot be saved": {fault: storeFault{saves: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRun(t, schedule{seed: 1, keepers: 1, mode: simulator.Static}, false)
				r.calm.Store(true)
				peaceful := *simtest.Faults(t, simulator.PresetOff)
				r.constants(&peaceful)
				r.setFaults(peaceful)
				r.main = r.newCluster(memory.New(memory.Config{}), nil)
				r.main.start(0)
				defer r.main.end()
				n := r.main.node(0)
				r.pause(2 * time.Second)
				if _, err := r.sim.PushTicket(t.Context(), r.component.AppID); err != nil {
					t.Fatal(err)
				}
				appid := r.appids[0]
				r.decide(appid)
				r.pause(time.Second)
				old, err := n.keeper.Token(t.Context(), r.owner(appid))
				if err != nil {
					t.Fatal(err)
				}

				r.breakStore(0, proofOverlap+5*time.Second, tt.fault)
				r.work.Go(func() { _, _ = n.keeper.Refresh(t.Context(), r.owner(appid)) })
				r.pause(proofOverlap + time.Second)
				if !r.check(n, appid, old, n.pauses.Load()) {
					t.Fatal("the platform still takes the old token")
				}
				if len(r.violations) != tt.want {
					t.Errorf("%d violations, not %d: %v", len(r.violations), tt.want, r.violations)
				}
				r.work.Wait()
			})
		})
	}
}

// setting reads a number from the environment.
func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text, ok := os.LookupEnv(name)
	if !ok || text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s is %q: it must be a number", name, text)
	}
	return n
}

// schedule is what a seed decides before anything happens.
type schedule struct {
	seed    uint64
	keepers int
	mode    simulator.RefreshTokenMode
}

func scheduleOf(t *testing.T, seed uint64) schedule {
	t.Helper()
	return schedule{
		seed:    seed,
		keepers: int(setting(t, "PROOF_KEEPERS", 1+seed/3%4)),
		mode:    []simulator.RefreshTokenMode{simulator.RotateStrict, simulator.RotateGrace, simulator.Static}[seed%3],
	}
}

func (s schedule) String() string {
	return fmt.Sprintf("seed %d, %s, %d keepers", s.seed, s.mode, s.keepers)
}

// result is what became of one run.
type result struct {
	violations []string
	history    uint64
	events     []string
	counts     counts
}

// counts says how much happened.
type counts struct {
	Seeds      int `json:"seeds"`
	Refreshes  int `json:"refreshes"`
	Tokens     int `json:"tokens_checked"`
	Pushes     int `json:"pushes"`
	Kills      int `json:"kills"`
	Pauses     int `json:"pauses"`
	Cuts       int `json:"store_faults"`
	Steps      int `json:"clock_steps"`
	Spells     int `json:"platform_faults"`
	Restores   int `json:"restores"`
	Twins      int `json:"twins"`
	Replays    int `json:"replays"`
	Violations int `json:"violations"`
}

func (c *counts) add(d counts) {
	c.Seeds += d.Seeds
	c.Refreshes += d.Refreshes
	c.Tokens += d.Tokens
	c.Pushes += d.Pushes
	c.Kills += d.Kills
	c.Pauses += d.Pauses
	c.Cuts += d.Cuts
	c.Steps += d.Steps
	c.Spells += d.Spells
	c.Restores += d.Restores
	c.Twins += d.Twins
	c.Replays += d.Replays
	c.Violations += d.Violations
}

// report is the outcome of all runs.
type report struct {
	Commit  string `json:"commit"`
	First   uint64 `json:"first_seed"`
	Last    uint64 `json:"last_seed"`
	Seconds int    `json:"seconds"`
	counts
	Modes   map[simulator.RefreshTokenMode]*counts `json:"modes"`
	History string                                 `json:"history"` // of all runs
	history uint64
	known   bool
}

func newReport() *report {
	return &report{Commit: os.Getenv("PROOF_COMMIT"), Modes: make(map[simulator.RefreshTokenMode]*counts)}
}

func (r *report) add(s schedule, one result) {
	one.counts.Seeds, one.counts.Violations = 1, len(one.violations)
	if r.Modes[s.mode] == nil {
		r.Modes[s.mode] = new(counts)
	}
	r.Modes[s.mode].add(one.counts)
	r.counts.add(one.counts)
	r.history += one.history
	if !r.known {
		r.First, r.Last, r.known = s.seed, s.seed, true
	}
	r.First, r.Last = min(r.First, s.seed), max(r.Last, s.seed)
}

// finish prints the report as one line.
func (r *report) finish(t *testing.T, began time.Time) {
	t.Helper()
	r.Seconds = int(time.Since(began).Seconds())
	r.History = fmt.Sprintf("%016x", r.history)
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", line)
	if path := os.Getenv("PROOF_REPORT"); path != "" {
		if err := os.WriteFile(path, append(line, '\n'), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// runSeed makes one run. If it is told, what happened is kept, to explain a failure.
func runSeed(t *testing.T, s schedule, told bool) (r result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { r = newRun(t, s, told).all() })
	return r
}
