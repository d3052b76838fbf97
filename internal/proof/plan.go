//go:build unix

package proof

import (
	"fmt"
	"slices"
	"time"

	"github.com/tuoguan/tuoguan/simulator"
)

// Plan says which rounds a proof has.
type Plan string

// Plans.
const (
	// Short is for every change: minutes, with 300 kills and 100 power cuts on SQLite.
	Short Plan = "short"
	// Full is what is published: 20,000 kills and 2,000 power cuts on SQLite, 2,000
	// kills on each of the others; 1,000,000 messages and what subscribers get of them.
	Full Plan = "full"
	// Endless goes on with other seeds, larger rounds and everything at once.
	Endless Plan = "endless"
)

// behaviour is what a platform does with refresh tokens, and tells about them.
type behaviour struct {
	rotation simulator.RefreshTokenMode
	list     simulator.ListMode
}

// behaviours, the one that forgives least first: there, custody alone can save a token.
var behaviours = []behaviour{
	{simulator.RotateStrict, simulator.ListEmpty},
	{simulator.RotateStrict, simulator.ListNewest},
	{simulator.RotateGrace, simulator.ListEmpty},
	{simulator.Static, simulator.ListError},
	{simulator.RotateStrict, simulator.ListError},
	{simulator.RotateGrace, simulator.ListNewest},
	{simulator.Static, simulator.ListEmpty},
}

func (b behaviour) round(name, store string) Round {
	r := Round{
		Name: fmt.Sprintf("%s-%s-%s-%s", store, name, b.rotation, b.list), Store: store, Replicas: 3, Rotation: b.rotation, List: b.list,
		Forced: 0.5, Change: 150 * time.Millisecond, Life: 600 * time.Millisecond, Calm: time.Second,
	}
	if store == SQLite {
		r.Replicas, r.MinLife, r.Life = 1, 10*time.Millisecond, 60*time.Millisecond
	}
	if b.rotation != simulator.RotateStrict || b.list == simulator.ListNewest {
		// A reply that is lost with the process can be made good here, so let many be.
		r.Latency = 3 * time.Millisecond
	}
	return r
}

var (
	killing   = []Blow{Kill, Kill, Failpoint, Failpoint, Terminate}
	platforms = []Spell{PlatformCut, PlatformSlow, PlatformHalfOpen, PlatformHostile}
	databases = []Spell{StoreCut, StoreSlow, StoreHalfOpen, StoreRestart, StoreKill}
)

// Rounds returns the rounds of a plan on the stores given. Cycle counts how often the
// endless one has been gone through.
func (p Plan) Rounds(stores []string, seed uint64, cycle int) []Round {
	var rounds []Round
	add := func(r Round, change func(*Round)) {
		change(&r)
		r.Seed = seed + uint64(len(rounds)) + 1000*uint64(cycle)
		name := r.Name
		for n := 2; slices.ContainsFunc(rounds, func(other Round) bool { return other.Name == r.Name }); n++ {
			r.Name = fmt.Sprintf("%s-%d", name, n)
		}
		rounds = append(rounds, r)
	}
	kills := func(b behaviour, store string, n int, blows ...Blow) {
		name := "kill"
		if len(blows) > 1 {
			name = "failpoints"
		}
		add(b.round(name, store), func(r *Round) { r.Blows, r.Cycles = blows, n })
	}
	power := func(b behaviour, store string, n int) {
		add(b.round("power", store), func(r *Round) {
			if store == SQLite {
				r.Blows, r.Cycles, r.Life = []Blow{Power}, n, 150*time.Millisecond
				return
			}
			r.Replicas, r.Spells, r.Calm, r.MaxSpells = 2, []Spell{StorePower}, 200*time.Millisecond, n
		})
	}
	full := func(b behaviour, store string, lasts time.Duration) {
		add(b.round("disk-full", store), func(r *Round) {
			r.Blows, r.Spells, r.Lasts, r.Life = []Blow{Kill}, []Spell{DiskFull}, lasts, 2*time.Second
		})
	}
	weather := func(b behaviour, store string, lasts time.Duration) {
		add(b.round("weather", store), func(r *Round) {
			r.Blows, r.Spells, r.Lasts, r.MinLife, r.Life = []Blow{Kill, Pause, Terminate}, platforms, lasts, 500*time.Millisecond, 4*time.Second
			if store != SQLite {
				r.Spells = slices.Concat(platforms, databases)
			}
		})
	}
	clocks := func(b behaviour, store string, lasts time.Duration) {
		add(b.round("clocks", store), func(r *Round) {
			r.Blows, r.Lasts, r.Skew, r.MinLife, r.Life = []Blow{Kill, Pause}, lasts, 5*time.Minute, 500*time.Millisecond, 4*time.Second
		})
	}
	keys := func(b behaviour, store string, lasts time.Duration) {
		add(b.round("rekey", store), func(r *Round) {
			r.Blows, r.Spells, r.Lasts, r.MinLife, r.Life = []Blow{Kill}, []Spell{Rekey}, lasts, time.Second, 6*time.Second
			r.Restore = b.list == simulator.ListNewest
		})
	}
	arrivals := func(store string, messages int, rate float64, stall time.Duration) {
		add(behaviours[1].round("arrivals", store), func(r *Round) {
			r.Traffic = Traffic{Messages: messages, Rate: rate, Copies: 0.02}
			r.Blows, r.MinLife, r.Life, r.Latency = []Blow{Kill, Kill, Failpoint}, 200*time.Millisecond, 800*time.Millisecond, 0
			if store == SQLite {
				return
			}
			r.Blows, r.MinLife, r.Life = append(r.Blows, Pause), 1500*time.Millisecond, 3*time.Second
			r.Spells, r.Stall, r.Calm = []Spell{StoreCut, StoreSlow, StoreHalfOpen, StoreStall}, stall, 2*time.Second
			if stall > 10*time.Second {
				r.Between = 20 * time.Second
			}
		})
	}
	// With healthy servers nothing comes twice but for what subscribers do.
	calm := func(store string, messages int, rate float64) {
		add(behaviours[1].round("arrivals-calm", store), func(r *Round) {
			r.Traffic, r.Latency = Traffic{Messages: messages, Rate: rate, Copies: 0.02}, 0
		})
	}
	for _, store := range stores {
		lite := store == SQLite
		switch {
		case p == Short && lite:
			kills(behaviours[0], store, 100, Kill)
			kills(behaviours[1], store, 120, killing...)
			kills(behaviours[2], store, 60, Kill)
			kills(behaviours[3], store, 60, Kill)
			power(behaviours[0], store, 100)
			full(behaviours[0], store, 15*time.Second)
			weather(behaviours[0], store, 30*time.Second)
			clocks(behaviours[0], store, 15*time.Second)
			keys(behaviours[1], store, 15*time.Second)
			arrivals(store, 5_000, 500, 0)
			calm(store, 1_500, 500)
		case p == Short:
			kills(behaviours[0], store, 20, killing...)
			weather(behaviours[0], store, 40*time.Second)
			power(behaviours[0], store, 10)
			keys(behaviours[1], store, 10*time.Second)
			arrivals(store, 2_500, 200, 4*time.Second)
		case p == Full && lite:
			for i := range 24 {
				b := behaviours[i%len(behaviours)]
				if i%3 == 2 {
					kills(b, store, 1000, killing...)
				} else {
					kills(b, store, 1000, Kill)
				}
			}
			for i := range 10 {
				power(behaviours[i%3], store, 200)
			}
			full(behaviours[0], store, 2*time.Minute)
			full(behaviours[1], store, 2*time.Minute)
			weather(behaviours[0], store, 3*time.Minute)
			clocks(behaviours[0], store, 2*time.Minute)
			keys(behaviours[1], store, 2*time.Minute)
			for range 5 {
				arrivals(store, 130_000, 1_200, 0)
			}
			calm(store, 50_000, 1_200)
		case p == Full:
			for i := range 2 {
				kills(behaviours[2*i], store, 250, Kill)
				kills(behaviours[2*i+1], store, 220, killing...)
			}
			weather(behaviours[0], store, 4*time.Minute)
			weather(behaviours[1], store, 4*time.Minute)
			clocks(behaviours[0], store, 2*time.Minute)
			power(behaviours[0], store, 100)
			full(behaviours[0], store, time.Minute)
			keys(behaviours[1], store, 2*time.Minute)
			for range 2 {
				arrivals(store, 90_000, 600, 30*time.Second)
			}
			calm(store, 20_000, 600)
		default:
			b := behaviours[cycle%len(behaviours)]
			n := 1000
			if !lite {
				n = 200
			}
			kills(b, store, n, Kill)
			kills(b, store, n, killing...)
			power(b, store, n/5)
			weather(b, store, 5*time.Minute)
			full(b, store, 2*time.Minute)
			clocks(b, store, 2*time.Minute)
			keys(b, store, 2*time.Minute)
			arrivals(store, 50_000, 500, 30*time.Second)
		}
	}
	return rounds
}
