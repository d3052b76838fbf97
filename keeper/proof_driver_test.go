package keeper_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/simulator/simtest"
	"github.com/tuoguan/tuoguan/store/memory"
)

// A run is some rounds of faults, each followed by a calm.
const (
	proofMerchants = 130
	proofRounds    = 2
	proofRound     = 210 * time.Second
	proofCalm      = 60 * time.Second
	// proofPace is the mean time between two things that happen.
	proofPace = 1200 * time.Millisecond
	// The lives are short, so that much happens in little time.
	proofTokenLife = 90 * time.Second
	proofOverlap   = 60 * time.Second
	// proofGap is how long a merchant does nothing between two decisions about his
	// authorization. CreateTime has whole seconds: what he decides within one second
	// arrives without an order.
	proofGap = 2 * time.Second
)

// run is one seed: a platform, an installation, perhaps its twin, and what the
// checker knows.
type run struct {
	t *testing.T
	schedule
	random    *rand.Rand // the driver's alone
	began     time.Time
	sim       *simulator.Simulator
	hostile   *simulator.Faults
	component simulator.Component
	id        tuoguan.ComponentAppID
	appids    []string
	work      sync.WaitGroup // whatever the driver has begun
	calm      atomic.Bool    // nothing new goes wrong

	mu       sync.Mutex
	main     *cluster // gets the pushes
	twin     *cluster // a copy of main at an earlier time, or nil
	copied   *memory.Store
	named    int
	spells   map[string]time.Time // by what they are: when the next may begin
	halts    [][2]time.Time       // when keepers were stopped, and went on
	recorded []recording          // pushes, to be sent again
	checker
}

func newRun(t *testing.T, s schedule, told bool) *run {
	r := &run{
		t: t, schedule: s, random: rand.New(rand.NewPCG(s.seed, 1)), began: time.Now(),
		spells: make(map[string]time.Time),
	}
	r.checker.init(told)
	r.hostile = simtest.Faults(t, simulator.PresetHostile)
	r.constants(r.hostile)
	r.hostile.LostPush = 0.05
	r.hostile.ReplyLatencyMS = 100
	r.sim = simtest.New(t, simulator.Config{Seed: s.seed, Faults: r.hostile, PushTransport: balancer{r}, Observe: r.observe, JournalSize: 1})
	r.component = simtest.Register(t, r.sim, simtest.Component("main", "http://127.0.0.1"))
	r.id = tuoguan.ComponentAppID(r.component.AppID)
	for range proofMerchants {
		a, err := r.sim.AddAccount(simulator.Account{Kind: simulator.OfficialAccount})
		if err != nil {
			t.Fatal(err)
		}
		r.appids = append(r.appids, a.AppID)
		r.merchants[a.AppID] = &merchant{appid: a.AppID, heard: make(map[*node]heard), reported: make(map[*node]heard)}
	}
	return r
}

// constants sets what stays the same whatever misbehaves.
func (r *run) constants(f *simulator.Faults) {
	f.RefreshTokenMode = r.mode
	f.RefreshTokenGrace = 40
	f.AuthorizerTokenTTL = int(proofTokenLife / time.Second)
	f.AuthorizerTokenOverlap = int(proofOverlap / time.Second)
	f.ComponentTokenTTL = 600
}

// all runs the whole.
func (r *run) all() result {
	r.main = r.newCluster(memory.New(memory.Config{}), nil)
	for slot := range r.main.slots {
		r.main.start(slot)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = r.sim.Run(ctx) })
	r.pause(2 * time.Second)
	if _, err := r.sim.PushTicket(r.t.Context(), r.component.AppID); err != nil {
		r.t.Fatal(err)
	}
	for _, appid := range r.appids {
		r.pause(r.upTo(200 * time.Millisecond))
		r.decide(appid)
	}
	for round := range proofRounds {
		r.round(round)
	}
	if n := r.main.next(""); n == nil {
		r.failf("", "no keeper is left")
	} else if _, err := n.keeper.Reconcile(r.t.Context(), r.id); err != nil {
		r.failf("", "reconcile: %v", err)
	}
	r.pause(proofCalm)
	r.converged(true)
	cancel()
	running.Wait()
	r.main.end()
	r.work.Wait()
	r.audit()
	return result{violations: r.violations, history: r.history.Load(), events: r.events, counts: r.counts}
}

// round lets things go wrong for a while, and then has everything get well.
func (r *run) round(number int) {
	r.mu.Lock()
	r.setFaults(*r.hostile)
	r.mu.Unlock()
	r.calm.Store(false)
	// In most runs the data is restored once: from a copy made in one round, in the
	// same one or the next.
	ends := time.Now().Add(proofRound)
	copies := time.Now().Add(r.upTo(proofRound / 2))
	restores := copies.Add(20*time.Second + r.upTo(proofRound/3))
	if r.random.IntN(2) == 0 || number == 0 && r.random.IntN(3) > 0 {
		restores = ends.Add(time.Hour)
	}
	for time.Now().Before(ends) {
		step := time.Duration(r.random.ExpFloat64()*float64(proofPace)) + time.Duration(r.random.IntN(1e6))
		r.pause(step)
		if r.copied == nil && time.Now().After(copies) {
			r.shout("a copy is made")
			r.copied = r.main.store.Clone()
		}
		if time.Now().After(restores) && time.Until(ends) > 30*time.Second {
			restores = ends.Add(time.Hour)
			r.restore()
		}
		r.act()
		r.inspect(step)
	}
	r.work.Wait()

	peaceful := *simtest.Faults(r.t, simulator.PresetOff)
	r.constants(&peaceful)
	r.mu.Lock()
	r.setFaults(peaceful)
	r.mu.Unlock()
	r.calm.Store(true)
	r.shout("all faults end")
	r.pause(proofCalm)
	r.inspect(0)
	r.converged(false)
}

// setFaults changes what WeChat does wrong. The lock is held.
func (r *run) setFaults(f simulator.Faults) {
	if err := r.sim.SetFaults(f); err != nil {
		r.t.Fatal(err)
	}
}

// pause lets time pass for the driver.
func (r *run) pause(d time.Duration) { time.Sleep(d) }

// upTo draws a duration for the driver.
func (r *run) upTo(d time.Duration) time.Duration { return time.Duration(r.random.Int64N(int64(d))) }

// draw returns a number in [0, 1) for whoever is not the driver. What is drawn
// depends on what it is for and when, not on the order in which goroutines come by.
func (r *run) draw(purpose, subject string, more uint64) float64 {
	h := hashText(hashText(more^uint64(time.Since(r.began))<<8, purpose), subject)
	return float64(scramble(scramble(h)^r.seed)>>11) / (1 << 53)
}

func (r *run) owner(appid string) tuoguan.TokenOwner {
	return tuoguan.AuthorizerToken(r.id, tuoguan.AuthorizerAppID(appid))
}

// act lets something happen.
func (r *run) act() {
	appid := r.appids[r.random.IntN(len(r.appids))]
	lasts := time.Duration(r.random.IntN(50)+5) * time.Second
	slot := r.random.IntN(r.keepers)
	switch p := r.random.IntN(1000); {
	case p < 500:
		r.read(appid)
	case p < 660:
		r.decide(appid)
	case p < 720:
		r.kill(appid)
	case p < 730:
		r.shout("component token killed")
		_, _ = r.sim.ExpireTokens(r.component.AppID, "")
	case p < 750:
		r.replay()
	case p < 770:
		r.stepClock(slot)
	case p < 810:
		r.crash(slot, time.Duration(r.random.IntN(30))*time.Second)
	case p < 835:
		r.halt(slot, lasts)
	case p < 860:
		r.breakStore(slot, lasts, storeFault{claims: true})
	case p < 885:
		r.breakStore(slot, lasts, storeFault{saves: true})
	case p < 900:
		r.breakStore(slot, lasts, storeFault{claims: true, saves: true, reads: true})
	case p < 915:
		r.breakStore(slot, lasts, storeFault{hangs: true})
	case p < 945:
		modes := []simulator.ListMode{simulator.ListStale, simulator.ListEmpty, simulator.ListError}
		list, info := modes[r.random.IntN(3)], modes[r.random.IntN(3)]
		r.spell(lasts, fmt.Sprintf("list %s, info %s", list, info),
			func(f *simulator.Faults) { f.ListMode, f.InfoMode = list, info },
			func(f *simulator.Faults) { f.ListMode, f.InfoMode = simulator.ListNewest, simulator.ListNewest })
	case p < 965:
		r.spell(min(lasts, 19*time.Second), "everything is denied",
			func(f *simulator.Faults) { f.False61003 = 1 }, func(f *simulator.Faults) { f.False61003 = 0.01 })
	case p < 982:
		r.spell(lasts, "quota exhausted",
			func(f *simulator.Faults) { f.QuotaExhausted = 1 }, func(f *simulator.Faults) { f.QuotaExhausted = 0 })
	default:
		r.spell(lasts, "every other reply is lost",
			func(f *simulator.Faults) { f.DropReplyAfterProcessing = 0.5 }, func(f *simulator.Faults) { f.DropReplyAfterProcessing = 0.02 })
	}
}

// spell changes what WeChat does wrong for a while.
func (r *run) spell(lasts time.Duration, what string, on, off func(*simulator.Faults)) {
	change := func(alter func(*simulator.Faults)) {
		r.mu.Lock()
		defer r.mu.Unlock()
		f := r.sim.Faults()
		alter(&f)
		r.setFaults(f)
	}
	// One of a kind at a time: denials that last longer than half a minute are to be
	// believed. What is over has time to heal.
	kind, _, _ := strings.Cut(what, " ")
	if time.Now().Before(r.spells[kind]) {
		return
	}
	r.spells[kind] = time.Now().Add(lasts + 90*time.Second)
	r.counts.Spells++
	r.shout("for %v: %s", lasts, what)
	change(on)
	r.work.Go(func() {
		time.Sleep(lasts)
		change(off)
		r.shout("no longer: %s", what)
	})
}

// kill lets a token die early. Nobody tells a keeper but a caller.
func (r *run) kill(appid string) {
	r.tell(appid, "token killed")
	_, _ = r.sim.ExpireTokens(r.component.AppID, appid)
}

// decide lets a merchant authorize, update or revoke.
func (r *run) decide(appid string) {
	r.mu.Lock()
	m := r.merchants[appid]
	ready := !m.busy && !time.Now().Before(m.quietUntil)
	m.busy = m.busy || ready
	standing := m.standing
	r.mu.Unlock()
	if !ready {
		return
	}
	revoke := standing && r.random.IntN(3) == 0
	var sets []int // the same again
	if r.random.IntN(4) > 0 {
		for set := 1; set <= 12; set++ {
			if r.random.IntN(3) > 0 {
				sets = append(sets, set)
			}
		}
	}
	var redirects []time.Duration
	for range r.random.IntN(3) {
		redirects = append(redirects, r.upTo(6*time.Second))
	}
	early := r.upTo(200 * time.Millisecond)
	r.work.Go(func() {
		defer func() {
			r.mu.Lock()
			m.busy, m.quietUntil = false, time.Now().Add(proofGap)
			r.mu.Unlock()
		}()
		way := &route{subject: appid}
		ctx := context.WithValue(r.t.Context(), routeKey{}, way)
		if revoke {
			// A refresh is often under way when a merchant revokes.
			if n := r.next(appid); n != nil && !n.paused() {
				r.excuse(m, 1)
				r.work.Go(func() { _, _ = n.keeper.Refresh(r.t.Context(), r.owner(appid)) })
				time.Sleep(early)
			}
			done, err := r.sim.Unauthorize(ctx, appid, r.component.AppID)
			if err != nil {
				r.failf(appid, "unauthorize: %v", err)
				return
			}
			r.tell(appid, "revoked, pushed %v to %v", done.Accepted, way.by)
			if done.Accepted {
				r.mu.Lock()
				m.revoked = notice{m.grant, time.Now(), way.by, r.main}
				r.mu.Unlock()
			}
			return
		}
		done, err := r.sim.Authorize(ctx, appid, simulator.AuthorizeRequest{ComponentAppID: r.component.AppID, PermissionSets: sets})
		if err != nil {
			r.failf(appid, "authorize: %v", err)
			return
		}
		code := tuoguan.NewSecret(done.AuthorizationCode)
		r.mu.Lock()
		m.code = code
		if done.Accepted {
			m.granted = notice{m.grant, time.Now(), way.by, r.main}
		}
		grant := m.grant
		r.mu.Unlock()
		r.tell(appid, "grant %d, %q pushed %v to %v, redirects after %v", grant, done.Event, done.Accepted, way.by, redirects)
		for _, after := range redirects {
			r.work.Go(func() {
				time.Sleep(after)
				n := r.next(appid)
				if n == nil || n.paused() {
					return
				}
				ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
				defer cancel()
				_, _ = n.keeper.Redirect(ctx, keeper.Redirect{Component: r.id, Code: code, ExpiresIn: time.Hour})
			})
		}
	})
}

// read asks a keeper for a token and, like every caller, reports one that is refused.
func (r *run) read(appid string) {
	n := r.next(appid)
	if n == nil || n.paused() {
		return
	}
	r.work.Go(func() {
		pauses := n.pauses.Load()
		token, err := n.keeper.Token(r.t.Context(), r.owner(appid))
		if err != nil {
			r.note("token", appid, n.id, 1)
			return
		}
		if !r.check(n, appid, token, pauses) {
			return
		}
		r.tell(appid, "reported to %v as refused", n)
		r.refused(n, appid, token)
		if token, err = n.keeper.Invalidate(r.t.Context(), r.owner(appid), token.Value); err == nil {
			r.check(n, appid, token, pauses)
		}
	})
}

// recording is a push as it arrived.
type recording struct {
	request *http.Request
	body    []byte
}

// replay sends a push again that somebody has recorded.
func (r *run) replay() {
	r.mu.Lock()
	pushes := len(r.recorded)
	r.mu.Unlock()
	if pushes == 0 {
		return
	}
	i := r.random.IntN(pushes)
	n := r.next("")
	if n == nil || n.paused() {
		return
	}
	r.counts.Replays++
	r.mu.Lock()
	p := r.recorded[i]
	r.mu.Unlock()
	r.work.Go(func() {
		reply, err := n.receive(p.request.Clone(r.t.Context()), p.body)
		if err == nil {
			_ = reply.Body.Close()
		}
	})
}

// next returns a keeper that gets pushes and is asked for tokens, or nil.
func (r *run) next(subject string) *node {
	r.mu.Lock()
	c := r.main
	r.mu.Unlock()
	return c.next(subject)
}

// restore brings the data back to what it was when the copy was made.
func (r *run) restore() {
	if r.copied == nil {
		return
	}
	old := r.main
	twin := r.random.IntN(2) == 0
	r.counts.Restores++
	after := time.Second + r.upTo(20*time.Second)
	if !twin {
		// The machines are the same, so their spill files are there.
		r.shout("everything crashes and is restored")
		old.kill()
		r.pause(after)
		c := r.newCluster(r.copied.Clone(), old.slots)
		r.copied = nil
		r.takeOver(c, "restored")
		return
	}
	r.counts.Twins++
	r.shout("a twin is started")
	c := r.newCluster(r.copied.Clone(), nil)
	r.copied = nil
	c.close("copied")
	r.mu.Lock()
	r.twin = c
	r.mu.Unlock()
	for slot := range c.slots {
		c.start(slot)
	}
	replaces := r.random.IntN(2) == 0
	for range 8 {
		r.pause(after)
		r.act()
		r.inspect(after)
		after = time.Second + r.upTo(6*time.Second)
	}
	r.mu.Lock()
	r.twin = nil
	r.mu.Unlock()
	if !replaces {
		r.shout("the twin ends")
		c.kill()
		return
	}
	r.shout("the twin takes over")
	old.kill()
	r.pause(after)
	r.takeOver(c, "")
}

// takeOver makes a cluster the one that gets the pushes. The gate of a restored one
// is closed.
func (r *run) takeOver(c *cluster, reason string) {
	r.mu.Lock()
	r.main = c
	r.mu.Unlock()
	r.restored()
	if reason != "" {
		c.close(reason)
		for slot := range c.slots {
			c.start(slot)
		}
	}
	after := 2*time.Second + r.upTo(15*time.Second)
	r.work.Go(func() {
		for {
			time.Sleep(after)
			if done, err := r.sim.PushTicket(r.t.Context(), r.component.AppID); err == nil && done.Accepted {
				return
			}
		}
	})
}
