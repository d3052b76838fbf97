//go:build unix

package proof

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tuoguan/tuoguan/internal/failpoint"
	"github.com/tuoguan/tuoguan/internal/proof/history"
	"github.com/tuoguan/tuoguan/internal/services"
	"github.com/tuoguan/tuoguan/simulator"
)

// Blow is something done to a single process.
type Blow string

// Blows.
const (
	Kill      Blow = "kill"      // SIGKILL at a random moment
	Failpoint Blow = "failpoint" // SIGKILL at a named place in the code
	Terminate Blow = "terminate" // SIGTERM
	Pause     Blow = "pause"     // SIGSTOP for longer than a lease, then SIGCONT
	Power     Blow = "power"     // the power of the disk is cut, with the process on it
)

// Spell is something that a whole site goes through for a while.
type Spell string

// Spells.
const (
	StoreCut         Spell = "store_cut"          // no connection to the database
	StoreSlow        Spell = "store_slow"         // a slow one
	StoreHalfOpen    Spell = "store_half_open"    // one on which nothing passes
	StoreRestart     Spell = "store_restart"      // the database is restarted
	StoreStall       Spell = "store_stall"        // it stands still, for 30 s or as long as the round says
	StoreKill        Spell = "store_kill"         // the database is killed, and started again
	StorePower       Spell = "store_power"        // the power of the database's disk is cut
	PlatformCut      Spell = "platform_cut"       // no connection to the platform
	PlatformSlow     Spell = "platform_slow"      // a slow one
	PlatformHalfOpen Spell = "platform_half_open" // one on which nothing passes
	PlatformHostile  Spell = "platform_hostile"   // it misbehaves in every way that it can
	DiskFull         Spell = "disk_full"          // nothing more can be written
	Rekey            Spell = "rekey"              // a server is told to seal everything under a new key
)

func (s Spell) ofPlatform() bool {
	return s == PlatformCut || s == PlatformSlow || s == PlatformHalfOpen
}

func (r Round) hasPower() bool { return slices.Contains(r.Blows, Power) }

func (r Round) needsDisk() bool {
	return r.hasPower() || slices.Contains(r.Spells, StorePower) || slices.Contains(r.Spells, DiskFull)
}

// torment does to one replica what the round says, as often as it says.
func (s *site) torment(ctx context.Context, r *replica, random *rand.Rand) error {
	for n := 0; n < s.round.Cycles || s.round.Cycles == 0; n++ {
		blow := s.round.Blows[random.IntN(len(s.round.Blows))]
		if r.awaitUpOrEnd(ctx) == nil {
			pause(ctx, s.round.MinLife+time.Duration(random.Float64()*float64(s.round.Life)))
		}
		if (blow == Kill || blow == Power) && random.IntN(4) > 0 {
			r.awaitAsk(ctx, random)
		}
		if over(ctx) {
			break
		}
		if err := s.strike(ctx, r, blow, random); err != nil {
			return err
		}
		s.cycles.Add(1)
	}
	return nil
}

// awaitAsk waits until the process asks the platform for tokens, or not for long, and
// then for as long as it may take to store the answer. That is when a blow hurts most.
func (r *replica) awaitAsk(ctx context.Context, random *rand.Rand) {
	select {
	case <-r.asks: // some time ago
	default:
	}
	timer := time.NewTimer(200 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-r.asks:
	case <-timer.C:
	case <-r.ended():
	case <-ctx.Done():
	}
	pause(ctx, r.site.round.Latency+time.Duration(random.ExpFloat64()*float64(4*time.Millisecond)))
}

// strike does one thing to a replica. Afterwards a process runs there.
func (s *site) strike(ctx context.Context, r *replica, blow Blow, random *rand.Rand) error {
	name, _ := r.current()
	switch blow {
	case Pause:
		lasts := time.Duration((0.2 + random.Float64()) * float64(s.config.Checker.Lease))
		s.record.Add(history.Event{Kind: history.Stop, Process: name})
		r.signal(syscall.SIGSTOP)
		pause(ctx, lasts)
		r.signal(syscall.SIGCONT)
		s.record.Add(history.Event{Kind: history.Continue, Process: name})
		return nil
	case Failpoint:
		// The process was started to die at a mark. If it does not come by, it is killed.
		select {
		case <-r.ended():
		case <-time.After(s.round.MinLife + s.round.Life):
			r.kill()
		case <-ctx.Done():
			return nil
		}
	case Terminate:
		r.signal(syscall.SIGTERM)
		select {
		case <-r.ended():
		case <-time.After(20 * time.Second):
			s.record.Add(history.Event{Kind: history.Fault, Fault: "does_not_stop", Process: strconv.Itoa(r.index), On: true})
			r.kill()
		}
	case Power:
		s.disk.Lock()
		defer s.disk.Unlock()
		// The process may live a little longer than its disk, which no process does: what
		// it says from now on is not heard. An fsync that the cut has interrupted may even
		// have told it that all was well.
		r.lookForStarvation()
		r.dark.Store(true)
		s.record.Add(history.Event{Kind: history.Kill, Process: name, Note: "power"})
		if err := s.store.disk.Cut(); err != nil {
			return err
		}
		r.end()
		if err := s.store.disk.Remount(); err != nil {
			return err
		}
		s.cuts.Add(1)
	default:
		r.kill()
	}
	return r.start(s.launch(random))
}

// launch says how the next process starts.
func (s *site) launch(random *rand.Rand) launch {
	var l launch
	if slices.Contains(s.round.Blows, Failpoint) {
		// At one mark, or at any of them.
		marks := []failpoint.Name{
			failpoint.ClaimBeforeCommit, failpoint.ClaimAfterCommit, failpoint.RefreshBeforeSend, failpoint.RefreshAfterReplyBeforeParse,
			failpoint.RefreshAfterParseBeforeSpill, failpoint.RefreshAfterSpillBeforeCommit, failpoint.RefreshAfterCommitBeforeAck,
			failpoint.ExchangeBeforeSend, failpoint.ExchangeAfterReplyBeforeCommit, failpoint.ExchangeAfterCommit,
			failpoint.InboxBeforeCommit, failpoint.InboxAfterCommitBeforeReply, failpoint.SpillMidDrain,
		}
		soon := 12 // it comes by there so often before something happens, at the most
		if s.traffic != nil {
			soon = max(int(s.round.Traffic.Rate), soon)
			marks = []failpoint.Name{failpoint.InboxBeforeCommit, failpoint.InboxAfterCommitBeforeReply, failpoint.DeliverAfterPOSTBeforeMark}
		}
		mark := marks[random.IntN(len(marks))]
		action := []string{"kill", "kill", "kill", "panic", "delay(5ms)", "error"}[random.IntN(6)]
		l.failpoints = fmt.Sprintf("%s=%s#%d", mark, action, 1+random.IntN(soon))
	}
	if s.round.Skew > 0 {
		l.offset = time.Duration((2*random.Float64() - 1) * float64(s.round.Skew)).Round(time.Millisecond)
	}
	return l
}

// weather brings one spell after the other over the site.
func (s *site) weather(ctx context.Context, random *rand.Rand) error {
	if len(s.round.Spells) == 0 {
		return nil
	}
	for n := 0; n < s.round.MaxSpells || s.round.MaxSpells == 0; n++ {
		pause(ctx, time.Duration(random.ExpFloat64()*float64(cmp.Or(s.round.Between, s.round.Calm))))
		if over(ctx) {
			break
		}
		spell := s.round.Spells[random.IntN(len(s.round.Spells))]
		lasts := time.Duration(random.ExpFloat64() * float64(s.round.Calm))
		if err := s.bring(ctx, spell, min(lasts, 4*s.round.Calm), random); err != nil {
			return fmt.Errorf("%s: %w", spell, err)
		}
		s.spells.Add(1)
	}
	return nil
}

// bring brings one spell for so long.
func (s *site) bring(ctx context.Context, spell Spell, lasts time.Duration, random *rand.Rand) error {
	switch spell {
	case StoreCut, StoreSlow, StoreHalfOpen, PlatformCut, PlatformSlow, PlatformHalfOpen:
		proxies := s.store.proxies
		if strings.HasPrefix(string(spell), "platform") {
			proxies = s.platformProxies
		}
		if len(proxies) == 0 {
			return errors.New("there is no proxy on the way")
		}
		which := random.IntN(len(proxies) + 1) // the last stands for all of them
		e := history.Event{Kind: history.Fault, Fault: string(spell), On: true}
		if which < len(proxies) {
			e.Process, proxies = strconv.Itoa(which), proxies[which:which+1]
		}
		s.record.Add(e)
		for _, p := range proxies {
			disturb(p, spell, random)
		}
		pause(ctx, lasts)
		for _, p := range proxies {
			p.Heal()
		}
		e.On = false
		s.record.Add(e)
		return nil
	case DiskFull:
		return s.fill(ctx, lasts, random)
	}
	s.record.Add(history.Event{Kind: history.Fault, Fault: string(spell), On: true})
	defer s.record.Add(history.Event{Kind: history.Fault, Fault: string(spell)})
	switch spell {
	case StoreRestart:
		return s.store.service.Restart(context.WithoutCancel(ctx))
	case StoreStall:
		if err := s.store.service.Pause(); err != nil {
			return err
		}
		pause(ctx, s.round.Stall)
		return s.store.service.Continue()
	case StoreKill:
		if err := s.store.service.Kill(); err != nil {
			return err
		}
		pause(ctx, lasts)
		return s.store.service.Restart(context.WithoutCancel(ctx))
	case StorePower:
		s.disk.Lock()
		defer s.disk.Unlock()
		for _, p := range s.store.proxies {
			p.Cut() // a machine without power says nothing
			defer p.Heal()
		}
		if err := s.store.disk.Cut(); err != nil {
			return err
		}
		// It cannot tidy up after itself any more.
		if err := s.store.service.Kill(); err != nil && !errors.Is(err, syscall.EIO) {
			return err
		}
		if err := s.store.disk.Remount(); err != nil {
			return err
		}
		s.cuts.Add(1)
		return s.store.service.Restart(context.WithoutCancel(ctx))
	case Rekey:
		s.rekey(ctx, random)
		pause(ctx, lasts)
		return nil
	case PlatformHostile:
		if err := s.platform.setFaults(s.round.hostile()); err != nil {
			return err
		}
		pause(ctx, lasts)
		return s.platform.setFaults(s.round.faults())
	}
	return fmt.Errorf("there is no spell %q", spell)
}

func disturb(p *services.Proxy, spell Spell, random *rand.Rand) {
	switch spell {
	case StoreCut, PlatformCut:
		if random.IntN(2) == 0 {
			p.Reset()
		}
		p.Cut()
	case StoreSlow, PlatformSlow:
		p.SetLatency(time.Duration(random.ExpFloat64() * float64(300*time.Millisecond)))
	case StoreHalfOpen, PlatformHalfOpen:
		p.Freeze()
	}
}

// fill fills the disk, so that nothing more can be written to it, for so long.
func (s *site) fill(ctx context.Context, lasts time.Duration, random *rand.Rand) error {
	s.record.Add(history.Event{Kind: history.Fault, Fault: string(DiskFull), On: true})
	path := filepath.Join(s.store.disk.Path, "filler")
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	block := make([]byte, 1<<20)
	for size := len(block); size > 0; {
		if _, err := f.Write(block[:size]); err != nil {
			size /= 4 // to the last byte, most of the time
			if random.IntN(8) == 0 {
				break
			}
		}
	}
	pause(ctx, lasts)
	err = errors.Join(f.Close(), os.Remove(path))
	s.record.Add(history.Event{Kind: history.Fault, Fault: string(DiskFull)})
	return err
}

// hostile is the platform of the round at its worst.
func (r Round) hostile() simulator.Faults {
	f, err := simulator.Preset(simulator.PresetHostile)
	if err != nil {
		panic(err) // the preset exists
	}
	calm := r.faults()
	f.RefreshTokenMode, f.ListMode, f.InfoMode = calm.RefreshTokenMode, calm.ListMode, calm.InfoMode
	f.RefreshTokenGrace = calm.RefreshTokenGrace
	f.AuthorizerTokenTTL, f.AuthorizerTokenOverlap = calm.AuthorizerTokenTTL, calm.AuthorizerTokenOverlap
	f.ComponentTokenTTL, f.ComponentTokenOverlap = calm.ComponentTokenTTL, calm.ComponentTokenOverlap
	// Whether a server can use such a reply is its own business, so nobody could tell
	// from outside which tokens it has to keep. The simulation in process covers it.
	f.OddReply = 0
	return f
}

// tormentAll lets all blows and spells happen, until every replica has had its share
// or the round's time is over.
func (s *site) tormentAll(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.round.Lasts > 0 && s.traffic == nil {
		ctx, cancel = context.WithTimeout(ctx, s.round.Lasts)
		defer cancel()
	}
	var all, rest sync.WaitGroup
	errs := make([]error, len(s.replicas)+2)
	if len(s.round.Blows) > 0 {
		for i, r := range s.replicas {
			all.Go(func() { errs[i] = s.torment(ctx, r, rand.New(rand.NewPCG(s.round.Seed, uint64(10+i)))) })
		}
	}
	group := &rest
	if len(s.round.Blows) == 0 {
		group = &all
	}
	group.Go(func() { errs[len(s.replicas)] = s.weather(ctx, rand.New(rand.NewPCG(s.round.Seed, 4))) })
	if s.traffic == nil { // else there is one until the end
		rest.Go(func() { errs[len(s.replicas)+1] = s.vigil(ctx) })
	}
	all.Wait()
	cancel()
	rest.Wait()
	return errors.Join(errs...)
}

// over reports whether the round has ended, which is no failure.
func over(ctx context.Context) bool { return ctx.Err() != nil }
