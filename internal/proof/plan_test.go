//go:build unix

package proof

import (
	"slices"
	"testing"

	"github.com/tuoguan/tuoguan/simulator"
)

func TestPlans(t *testing.T) {
	t.Parallel()
	all := []string{SQLite, Postgres, MySQL}
	for _, p := range []Plan{Short, Full, Endless} {
		seeds, names := make(map[uint64]bool), make(map[string]bool)
		for _, r := range p.Rounds(all, 1, 0) {
			if seeds[r.Seed] {
				t.Errorf("%s: two rounds have seed %d", p, r.Seed)
			}
			seeds[r.Seed] = true
			if names[r.Name] {
				t.Errorf("%s: two rounds are called %s", p, r.Name)
			}
			names[r.Name] = true
			if r.Store == SQLite && r.Replicas != 1 {
				t.Errorf("%s: %s has %d processes on one file", p, r.Name, r.Replicas)
			}
			if r.Cycles == 0 && r.Lasts == 0 && r.MaxSpells == 0 && r.Traffic.Messages == 0 {
				t.Errorf("%s: %s never ends", p, r.Name)
			}
		}
		for _, r := range p.Rounds(all, 1, 1) {
			if seeds[r.Seed] {
				t.Errorf("%s: the next cycle has seed %d again", p, r.Seed)
			}
		}
	}
}

// TestPlansKeepTheirPromises counts what the plans are said to contain.
func TestPlansKeepTheirPromises(t *testing.T) {
	t.Parallel()
	count := func(p Plan, store string, blow Blow) (n int) {
		for _, r := range p.Rounds([]string{store}, 1, 0) {
			switch {
			case slices.Contains(r.Blows, blow):
				fatal := 0 // kills, wherever they happen
				for _, b := range r.Blows {
					if b == blow || b == Failpoint {
						fatal++
					}
				}
				n += r.Cycles * r.Replicas * fatal / len(r.Blows)
			case blow == Power && slices.Contains(r.Spells, StorePower):
				n += r.MaxSpells
			}
		}
		return n
	}
	for _, c := range []struct {
		plan  Plan
		store string
		blow  Blow
		least int
	}{
		{Short, SQLite, Kill, 300},
		{Short, SQLite, Power, 100},
		{Full, SQLite, Kill, 20_000},
		{Full, SQLite, Power, 2_000},
		{Full, Postgres, Kill, 2_000},
		{Full, MySQL, Kill, 2_000},
		{Full, Postgres, Power, 100},
	} {
		if n := count(c.plan, c.store, c.blow); n < c.least {
			t.Errorf("%s, %s: %d times %s, fewer than %d", c.plan, c.store, n, c.blow, c.least)
		}
	}
	messages := 0
	for _, r := range Full.Rounds([]string{SQLite, Postgres, MySQL}, 1, 0) {
		messages += r.Traffic.Messages
	}
	if messages < 1_000_000 {
		t.Errorf("the full plan has %d messages", messages)
	}
	modes := make(map[simulator.RefreshTokenMode]bool)
	for _, r := range Full.Rounds([]string{SQLite}, 1, 0) {
		modes[r.Rotation] = true
	}
	if len(modes) != 3 {
		t.Errorf("the full plan has the rotation modes %v", modes)
	}
}
