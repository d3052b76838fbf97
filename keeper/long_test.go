package keeper_test

import (
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/simulator/simtest"
)

// TestLongThreeDays lets three days pass for ten thousand authorizers while WeChat
// misbehaves, in every mode of refresh-token rotation. No token that is handed out
// may have expired, and in the end every authorization must still be served
// without its merchant. It is run with a few authorizers, and in full size with LONG
// in the environment.
func TestLongThreeDays(t *testing.T) {
	t.Parallel()
	authorizers := 300
	if os.Getenv("LONG") != "" {
		authorizers = 10_000
	}
	for _, mode := range []simulator.RefreshTokenMode{simulator.Static, simulator.RotateGrace, simulator.RotateStrict} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { threeDays(t, mode, authorizers) })
		})
	}
}

func threeDays(t *testing.T, mode simulator.RefreshTokenMode, authorizers int) {
	const seed = 20261121
	random := rand.New(rand.NewPCG(seed, uint64(authorizers)))
	t.Logf("seed %d, %d authorizers", seed, authorizers)
	w := newWorld(t, nil, true)
	seeded, err := w.sim.Seed(w.component.AppID, authorizers)
	if err != nil {
		t.Fatal(err)
	}
	var owners []tuoguan.TokenOwner
	for appid := range seeded {
		owners = append(owners, w.owner(appid))
	}
	if r, err := w.keeper.Reconcile(t.Context(), w.id); err != nil || r.Adopted != authorizers {
		t.Fatalf("adopted %d of %d: %v", r.Adopted, authorizers, err)
	}
	hostile := *simtest.Faults(t, simulator.PresetDefault)
	hostile.RefreshTokenMode = mode
	if err := w.sim.SetFaults(hostile); err != nil {
		t.Fatal(err)
	}

	read, late, dead, failed := 0, 0, 0, 0
	for range 3 * 24 * 6 {
		time.Sleep(10 * time.Minute)
		for range 100 {
			owner := owners[random.IntN(len(owners))]
			token, err := w.keeper.Token(t.Context(), owner)
			read++
			if err != nil {
				failed++
				continue
			}
			status := w.sim.Token(token.Value.Reveal())
			switch status.Errcode {
			case 0:
			case 42001:
				late++ // it had expired when it was handed out
			default:
				dead++ // WeChat killed it early; whoever finds out reports it
				if _, err := w.keeper.Invalidate(t.Context(), owner, token.Value); err != nil {
					failed++
				}
			}
		}
	}
	stats := w.sim.Stats()
	t.Logf("%d reads, %d killed early, %d failed; %d refreshes, overlap %d", read, dead, failed,
		stats.Calls["/cgi-bin/component/api_authorizer_token"], stats.MaxRefreshOverlap)
	if late > 0 {
		t.Errorf("%d expired tokens were handed out", late)
	}
	if failed*1000 > read {
		t.Errorf("%d of %d reads failed", failed, read)
	}
	if stats.MaxRefreshOverlap > 1 {
		t.Errorf("%d refreshes of one authorizer at once", stats.MaxRefreshOverlap)
	}

	w.faults(func(f *simulator.Faults) { *f = *simtest.Faults(t, simulator.PresetOff); f.RefreshTokenMode = mode })
	time.Sleep(time.Minute)
	for _, owner := range owners {
		token, err := w.keeper.Refresh(t.Context(), owner)
		if err != nil {
			t.Fatalf("%s was lost: %v", owner, err)
		}
		if s := w.sim.Token(token.Value.Reveal()); s.Errcode != 0 {
			t.Fatalf("%s: its token is refused with %d", owner, s.Errcode)
		}
	}
}
