//go:build unix

package proof

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"github.com/tuoguan/tuoguan/internal/proof/checker"
	"github.com/tuoguan/tuoguan/internal/proof/history"
	"github.com/tuoguan/tuoguan/simulator"
)

// Config says what all rounds of a proof have in common.
type Config struct {
	// ServerBinary is the program tuoguan, built with the tag failpoint. Required.
	ServerBinary string
	// Dir holds one directory for each round. Required.
	Dir string
	// LogLevel is the servers'. Defaults to info.
	LogLevel string
	// Merchants and Callers are how many there are in a round. Default to 100 and 8.
	Merchants, Callers int
	// Checker says how strictly histories are judged.
	Checker checker.Config
	// Progress, if not nil, is called with a line about the round now and then.
	Progress func(string)
}

func (c Config) withDefaults() Config {
	if c.LogLevel == "" {
		c.LogLevel = "info"
	}
	if c.Merchants == 0 {
		c.Merchants = 100
	}
	if c.Callers == 0 {
		c.Callers = 8
	}
	c.Checker = c.Checker.WithDefaults()
	return c
}

// Round is one site and what is done to it.
type Round struct {
	Name     string
	Store    string // SQLite, Postgres or MySQL
	Seed     uint64
	Replicas int // 1 for SQLite
	Rotation simulator.RefreshTokenMode
	// List is how much the platform tells about refresh tokens, in the list and in the
	// profile.
	List simulator.ListMode

	// Blows happen to every replica, Cycles times in all or, if that is zero, until
	// the round has lasted Lasts. After each the process lives from MinLife to
	// MinLife + Life.
	Blows         []Blow
	Cycles        int
	Lasts         time.Duration // zero: until the cycles are done
	MinLife, Life time.Duration

	// Spells come over the site, each for about Calm, with about Between between them; if
	// that is zero, with about Calm.
	Spells    []Spell
	Calm      time.Duration
	Between   time.Duration
	Stall     time.Duration // how long a StoreStall lasts
	MaxSpells int           // with no blows and no time given, the round ends after so many

	// Restore is whether in the end a backup is restored that is older than every
	// refresh token. The platform has to tell the newest then.
	Restore bool

	Latency time.Duration // of the platform's answers
	Skew    time.Duration // every process's clock is wrong by as much, at the most
	Forced  float64       // share of callers' requests that force a refresh
	Change  time.Duration // mean time between two decisions of merchants

	Traffic Traffic // of what users write; with it, merchants decide nothing and callers ask for nothing
}

// faults is the platform of the round.
func (r Round) faults() simulator.Faults {
	f, err := simulator.Preset(simulator.PresetOff)
	if err != nil {
		panic(err) // the preset exists
	}
	f.RefreshTokenMode, f.ListMode, f.InfoMode = r.Rotation, r.List, r.List
	f.RefreshTokenGrace = 600
	f.AuthorizerTokenTTL, f.AuthorizerTokenOverlap = 90, 30
	f.ComponentTokenTTL, f.ComponentTokenOverlap = 120, 10
	f.ReplyLatencyMS = int(r.Latency / time.Millisecond)
	return f
}

// calm is the platform of the round on its best day. It still does not tell what it
// has not told before.
func (r Round) calm() simulator.Faults {
	f := r.faults()
	if r.List == simulator.ListError { // that calls fail is a fault; that they tell nothing is not
		f.ListMode, f.InfoMode = simulator.ListEmpty, simulator.ListEmpty
	}
	return f
}

// Outcome is what a round has shown.
type Outcome struct {
	Round   Round          `json:"round"`
	Report  checker.Report `json:"report"`
	Cycles  int64          `json:"cycles"` // blows that were struck
	Cuts    int64          `json:"cuts"`   // of power
	Spells  int64          `json:"spells"`
	Secrets int            `json:"secrets"` // searched for
	Bytes   int64          `json:"bytes"`   // searched
	Took    time.Duration  `json:"took"`
	History string         `json:"history"` // the file
}

// Run does one round. The error says that the round could not be done, not that
// something was violated: that is in the outcome's report.
func Run(ctx context.Context, c Config, round Round) (o Outcome, err error) {
	began := time.Now()
	c = c.withDefaults()
	dir := filepath.Join(c.Dir, round.Name)
	s, err := newSite(ctx, c, round, dir)
	if err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", round.Name, err)
	}
	defer func() {
		err = errors.Join(err, s.close())
		if err != nil {
			err = fmt.Errorf("%s: %w", round.Name, err)
		}
		o.Round, o.History, o.Took = round, s.file.Name(), time.Since(began)
		o.Cycles, o.Cuts, o.Spells = s.cycles.Load(), s.cuts.Load(), s.spells.Load()
		o.Report = s.checker.Finish()
	}()
	run, stop := context.WithCancel(ctx)
	defer stop()
	s.work.Go(func() { _ = s.platform.sim.Run(run) })
	s.work.Go(func() { s.tell(run) })
	defer stop()
	if err := s.startAll(ctx); err != nil {
		return o, err
	}
	if err := s.populate(ctx); err != nil {
		return o, err
	}
	act := s.act
	if round.Traffic.Messages > 0 {
		if err := s.subscribe(ctx); err != nil {
			return o, err
		}
		act = s.arrive
	}
	if err := act(ctx); err != nil {
		return o, err
	}
	if err := s.rest(ctx); err != nil {
		return o, err
	}
	o.Secrets, o.Bytes, err = s.search()
	if err == nil {
		s.record.Add(history.Event{Kind: history.End})
	}
	return o, err
}

// tell tells how the round goes.
func (s *site) tell(ctx context.Context) {
	for s.config.Progress != nil {
		pause(ctx, 10*time.Second)
		if ctx.Err() != nil {
			return
		}
		var summary string
		s.record.Do(func() { summary = s.checker.Report().Summary() })
		s.config.Progress(fmt.Sprintf("%s: %d blows, %d power cuts, %d spells; %s", s.round.Name, s.cycles.Load(), s.cuts.Load(), s.spells.Load(), summary))
	}
}

// startAll starts a process without failpoints in every replica.
func (s *site) startAll(ctx context.Context) error {
	for _, r := range s.replicas {
		ready, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		for {
			if err := r.start(launch{}); err != nil {
				return err
			}
			if err := r.awaitUpOrEnd(ready); err != nil {
				return fmt.Errorf("replica %d does not start, see %s: %w", r.index, s.log.Name(), err)
			}
			if _, up := r.current(); up {
				break
			}
			pause(ready, 100*time.Millisecond) // it has ended; somebody may have taken its port
		}
	}
	return nil
}

// populate lets every merchant authorize.
func (s *site) populate(ctx context.Context) error {
	result, err := s.platform.sim.PushTicket(ctx, s.platform.component.AppID)
	if err != nil {
		return err
	}
	if !result.Accepted {
		return fmt.Errorf("the first ticket was not taken: %s", result.Problem)
	}
	s.each(ctx, 8, func(ctx context.Context, _ *rand.Rand, m *merchant) {
		m.busy.Lock()
		defer m.busy.Unlock()
		s.authorize(ctx, m)
	})
	return ctx.Err()
}

// act lets merchants, users, callers and intruders do what they do while the round's
// faults happen.
func (s *site) act(ctx context.Context) error {
	active, stop := context.WithCancel(ctx)
	defer func() { stop(); s.active.Wait() }()
	source := uint64(100)
	random := func() *rand.Rand {
		source++
		return rand.New(rand.NewPCG(s.round.Seed, source))
	}
	for range s.config.Callers {
		random := random()
		s.active.Go(func() { s.caller(active, random) })
	}
	for range 4 {
		s.active.Go(func() { s.nurse(active) })
	}
	for _, each := range []func(context.Context, *rand.Rand){s.live, s.chat, s.intrude, s.tickets} {
		random := random()
		s.active.Go(func() { each(active, random) })
	}
	return errors.Join(s.tormentAll(active), ctx.Err())
}

// rest ends all faults, sees to it that all is well within a minute, and ends the
// processes.
func (s *site) rest(ctx context.Context) error {
	if err := s.platform.setFaults(s.round.calm()); err != nil {
		return err
	}
	if s.round.Skew > 0 || slices.Contains(s.round.Blows, Failpoint) {
		for _, r := range s.replicas {
			r.kill() // it may die or err at a mark, or have a wrong clock
		}
		if err := s.startAll(ctx); err != nil {
			return err
		}
	}
	if s.traffic != nil {
		if err := s.drain(ctx); err != nil {
			return err
		}
	}
	if s.round.Restore {
		if err := s.command(ctx, "backup", "--output", s.backupFile()); err != nil {
			return err
		}
	}
	if err := s.settleAll(ctx); err != nil {
		return err
	}
	if slices.Contains(s.round.Spells, Rekey) {
		// Whatever was begun is brought to its end, and the old keys are gone.
		if err := s.command(ctx, "rekey", "--keep", "-1s"); err != nil {
			return err
		}
		if err := errors.Join(s.startAll(ctx), s.settleAll(ctx)); err != nil {
			return err
		}
	}
	if err := s.inventory(ctx); err != nil {
		return err
	}
	if s.round.Restore {
		return s.restore(ctx)
	}
	return nil
}

// settleAll sees to it that all merchants are well, and ends the processes.
func (s *site) settleAll(ctx context.Context) error {
	s.each(ctx, 16, s.settle)
	for _, r := range s.replicas {
		r.stop()
	}
	return ctx.Err()
}

// tickets pushes a verify ticket every few seconds.
func (s *site) tickets(ctx context.Context, random *rand.Rand) {
	for ctx.Err() == nil {
		pause(ctx, time.Second+time.Duration(random.ExpFloat64()*float64(2*time.Second)))
		_, _ = s.platform.sim.PushTicket(ctx, s.platform.component.AppID) // the journal says what became of it
	}
}
