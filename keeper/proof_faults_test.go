package keeper_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/simulator/simtest"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
	"github.com/tuoguan/tuoguan/wxapi"
)

var (
	errDead  = errors.New("proof: the process is gone")
	errFault = errors.New("proof: the store is out of order")
)

// cluster is an installation: a store and some machines.
type cluster struct {
	r     *run
	store *memory.Store
	slots []*machine
	gate  atomic.Int32 // one of the gates
	gone  bool         // its processes were killed for good; under the run's lock
}

const (
	gateNever  = iota // there is none
	gateClosed        // nothing may be refreshed
	gateOpened        // it was open when last looked at
)

// machine runs a keeper, and has a disk for the spill file and a clock.
type machine struct {
	node  *node // nil where none runs
	spill *spill
	skew  time.Duration
}

// newCluster makes a cluster, on new machines if it is not given any.
func (r *run) newCluster(s *memory.Store, slots []*machine) *cluster {
	c := &cluster{r: r, store: s, slots: slots}
	if slots != nil {
		return c
	}
	for range r.keepers {
		m := &machine{spill: new(spill)}
		if r.keepers > 1 {
			m.skew = r.upTo(20*time.Minute) - 10*time.Minute
		}
		c.slots = append(c.slots, m)
	}
	return c
}

// close closes the gate, as restoring a backup and noticing a copy do.
func (c *cluster) close(reason string) {
	text, err := json.Marshal(keeper.Gate{ClosedAt: time.Now(), Reason: reason})
	if err != nil {
		c.r.t.Fatal(err)
	}
	_, version, err := c.store.Setting(context.Background(), keeper.GateSetting)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		c.r.t.Fatal(err)
	}
	if err := c.store.PutSetting(context.Background(), keeper.GateSetting, text, version); err != nil {
		c.r.t.Fatal(err)
	}
	c.gate.Store(gateClosed)
}

// gated reports whether the gate is closed.
func (c *cluster) gated() bool {
	if c.gate.Load() != gateClosed {
		return false
	}
	text, _, err := c.store.Setting(context.Background(), keeper.GateSetting)
	var g keeper.Gate
	if err != nil || json.Unmarshal(text, &g) != nil || g.Opened[c.r.id].IsZero() {
		return true
	}
	c.gate.Store(gateOpened)
	return false
}

// node returns what runs in a slot, or nil.
func (c *cluster) node(slot int) *node {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	return c.slots[slot].node
}

// next returns one of the nodes that run; nil if none does.
func (c *cluster) next(subject string) *node {
	first := int(c.r.draw("next", subject, 0) * float64(len(c.slots)))
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	for i := range c.slots {
		if n := c.slots[(first+i)%len(c.slots)].node; n != nil && n.ready() {
			return n
		}
	}
	return nil
}

// node is one process: a keeper with its own way to the store and to the platform.
type node struct {
	store.Store
	r       *run
	cluster *cluster
	machine *machine
	id      uint64
	keeper  *keeper.Keeper
	pushes  *push.Handler
	inside  sync.WaitGroup // requests that pushes is answering
	closed  bool           // no further request comes in; behind run.mu
	cancel  context.CancelFunc
	running sync.WaitGroup
	began   time.Time
	clock   *tuoguan.Clock

	dead        atomic.Bool
	pausedSince atomic.Int64 // Unix nanoseconds
	pausedUntil atomic.Int64 // Unix nanoseconds
	pauses      atomic.Int64
	healed      atomic.Int64 // when the last fault of the store ended, Unix nanoseconds
	readable    atomic.Int64 // when the last one ended that kept from reading
	broken      struct{ claims, saves, reads, hangs atomic.Int64 }
}

// String names the node.
func (n *node) String() string {
	if n == nil {
		return "nobody"
	}
	return fmt.Sprintf("node%d", n.id)
}

// ready reports whether the node gets requests: a load balancer waits a moment.
func (n *node) ready() bool { return time.Since(n.began) > time.Second }

// start puts a keeper on a machine.
func (c *cluster) start(slot int) {
	r, m := c.r, c.slots[slot]
	n := &node{Store: c.store, r: r, cluster: c, machine: m, began: time.Now(), clock: new(tuoguan.Clock)}
	n.clock.SetOffset(m.skew)
	r.mu.Lock()
	r.named++
	n.id = uint64(r.named)
	r.mu.Unlock()
	log := slog.New(slog.DiscardHandler)
	if r.told {
		log = slog.New(slog.NewTextHandler(traceWriter{r}, nil)).With("node", n.String())
	}
	var err error
	n.keeper, err = keeper.New(keeper.Config{
		Store: n, Holder: n.String(), Logger: log, Clock: n.clock, Shared: len(c.slots) > 1, Spill: machineSpill{n},
		API:     wxapi.Config{HTTPClient: &http.Client{Transport: n}, Logger: log},
		Observe: func(o keeper.Observation) { r.observed(n, o) },
	})
	if err != nil {
		r.t.Fatal(err)
	}
	if n.pushes, err = push.NewHandler(push.Config{Components: n.keeper, Sink: n.keeper, Accounts: n.keeper, Clock: n.clock}); err != nil {
		r.t.Fatal(err)
	}
	if _, err := c.store.Component(r.t.Context(), r.id); errors.Is(err, store.ErrNotFound) {
		if err := c.store.PutComponent(r.t.Context(), store.Component{
			AppID:          r.id,
			Secret:         tuoguan.NewSecret(r.component.Secret),
			Token:          tuoguan.NewSecret(r.component.Token),
			EncodingAESKey: tuoguan.NewSecret(r.component.EncodingAESKey),
			CreatedAt:      time.Now(),
			UpdatedAt:      time.Now(),
		}); err != nil {
			r.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.running.Go(func() {
		// A server that cannot start is started again.
		for {
			err := n.keeper.Run(ctx)
			if err == nil || ctx.Err() != nil {
				return
			}
			r.shout("%v: Run: %v", n, err)
			time.Sleep(time.Second + time.Duration(n.id))
		}
	})
	r.mu.Lock()
	m.node = n
	r.mu.Unlock()
	r.shout("%v starts", n)
}

// take takes the keeper from a machine.
func (c *cluster) take(slot int) *node {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	n := c.slots[slot].node
	c.slots[slot].node = nil
	return n
}

// die ends a process as kill -9 does: nothing that it still does has an effect.
func (n *node) die() {
	n.dead.Store(true)
	n.r.died(n)
	n.cancel()
	gone, cancel := context.WithCancel(n.r.t.Context())
	cancel()
	// Run may wait for a save that will never go well until Close gives up.
	_ = n.keeper.Close(gone)
	n.running.Wait()
	n.refuse()
}

// enter counts a request in, unless the node takes none any more.
func (n *node) enter() bool {
	n.r.mu.Lock()
	defer n.r.mu.Unlock()
	if !n.closed {
		n.inside.Add(1)
	}
	return !n.closed
}

// refuse lets no further request in and waits for what the earlier ones began.
func (n *node) refuse() {
	n.r.mu.Lock()
	n.closed = true
	n.r.mu.Unlock()
	n.inside.Wait()
	n.pushes.Wait()
}

// kill ends all processes of the cluster.
func (c *cluster) kill() {
	c.r.mu.Lock()
	c.gone = true
	c.r.mu.Unlock()
	for slot := range c.slots {
		if n := c.take(slot); n != nil {
			n.die()
		}
	}
}

// end stops all processes of the cluster in good order.
func (c *cluster) end() {
	for slot := range c.slots {
		n := c.take(slot)
		if n == nil {
			continue
		}
		n.cancel()
		n.running.Wait()
		if err := n.keeper.Close(context.WithoutCancel(n.r.t.Context())); err != nil {
			n.r.failf("", "%v: Close: %v", n, err)
		}
		n.refuse()
	}
}

// crash kills a keeper and puts another one in its place later.
func (r *run) crash(slot int, after time.Duration) {
	c := r.main
	n := c.take(slot)
	if n == nil {
		return
	}
	r.counts.Kills++
	r.shout("%v crashes, for %v", n, after)
	n.die()
	r.work.Go(func() {
		time.Sleep(after + time.Duration(n.id))
		r.mu.Lock()
		gone := c.gone
		r.mu.Unlock()
		if !gone {
			c.start(slot)
		}
	})
}

// halt stops a keeper for a while, as SIGSTOP or a long collection do.
func (r *run) halt(slot int, lasts time.Duration) {
	n := r.main.node(slot)
	if n == nil || n.paused() {
		return
	}
	r.counts.Pauses++
	n.pauses.Add(1)
	n.pausedSince.Store(time.Now().UnixNano())
	n.pausedUntil.Store(time.Now().Add(lasts).UnixNano())
	r.halts = append(r.halts, [2]time.Time{time.Now(), time.Now().Add(lasts)})
	r.shout("%v is paused for %v", n, lasts)
}

// stepClock sets the clock of a machine. Only where several keepers go by the
// store's clock there is anything to go by.
func (r *run) stepClock(slot int) {
	steps := []time.Duration{24 * time.Hour, -24 * time.Hour, 10 * time.Minute, -10 * time.Minute, 40 * time.Second}
	by := steps[r.random.IntN(len(steps))]
	n := r.main.node(slot)
	if n == nil || len(r.main.slots) == 1 {
		return
	}
	r.counts.Steps++
	r.shout("the clock of %v is set by %v", n, by)
	n.clock.Advance(by)
}

// storeFault says what of the store does not work.
type storeFault struct{ claims, saves, reads, hangs bool }

// breakStore makes the store fail for one keeper.
func (r *run) breakStore(slot int, lasts time.Duration, f storeFault) {
	n := r.main.node(slot)
	if n == nil {
		return
	}
	r.counts.Cuts++
	r.shout("the store fails for %v, for %v: %+v", n, lasts, f)
	add := func(by int64) {
		for _, of := range []struct {
			broken  bool
			counter *atomic.Int64
		}{{f.claims, &n.broken.claims}, {f.saves, &n.broken.saves}, {f.reads, &n.broken.reads}, {f.hangs, &n.broken.hangs}} {
			if of.broken {
				of.counter.Add(by)
			}
		}
	}
	add(1)
	r.work.Go(func() {
		time.Sleep(lasts)
		add(-1)
		n.healed.Store(time.Now().UnixNano())
		if f.reads || f.hangs {
			n.readable.Store(time.Now().UnixNano())
		}
		r.shout("the store no longer fails for %v: %+v", n, f)
	})
}

// hold stops whoever comes by while the process is paused, deaf to every context.
// When it goes on each takes up to a millisecond to get going, for no two things may
// happen at the same instant.
func (n *node) hold(op, key string) {
	held := false
	for {
		left := time.Until(time.Unix(0, n.pausedUntil.Load()))
		if left <= 0 || n.dead.Load() {
			break
		}
		held = true
		// A process that is killed while it is paused ends.
		time.Sleep(min(left, time.Second))
	}
	if held {
		time.Sleep(time.Duration(n.r.draw(op, key, n.id) * float64(time.Millisecond)))
	}
}

func (n *node) paused() bool { return time.Now().UnixNano() < n.pausedUntil.Load() }

// cutOff reports whether the node cannot read the store, or could not just now.
func (n *node) cutOff() bool {
	return n.broken.reads.Load() > 0 || n.broken.hangs.Load() > 0 || time.Since(time.Unix(0, n.readable.Load())) < 1500*time.Millisecond
}

// well reports whether nothing was wrong with the node for so long.
func (n *node) well(since time.Duration) bool {
	if n == nil || n.dead.Load() || time.Since(n.began) < since {
		return false
	}
	ill := max(n.healed.Load(), n.pausedUntil.Load())
	return n.broken.claims.Load()+n.broken.saves.Load()+n.broken.reads.Load()+n.broken.hangs.Load() == 0 && time.Since(time.Unix(0, ill)) > since
}

// kind is what an operation of the store does.
type kind int

const (
	reading kind = iota
	claiming
	saving
)

// through does one operation of the store on behalf of a node. It takes a moment of
// its own, so that no two happen at the same instant. A write may be lost, and may
// be done and reported as failed all the same.
func through[T any](ctx context.Context, n *node, op, key string, of kind, f func() (T, error)) (v T, err error) {
	var none T
	took := 20*time.Microsecond + time.Duration(n.r.draw(op, key, n.id)*float64(time.Millisecond))
	if of != reading {
		took *= 20
	}
	time.Sleep(took)
	n.hold(op, key)
	for n.broken.hangs.Load() > 0 && !n.dead.Load() && ctx.Err() == nil {
		time.Sleep(100*time.Millisecond + took)
	}
	broken := n.broken.reads.Load() > 0 || of == claiming && n.broken.claims.Load() > 0 || of == saving && n.broken.saves.Load() > 0
	switch {
	case n.dead.Load():
		return none, errDead
	case ctx.Err() != nil:
		return none, ctx.Err()
	case broken:
		return none, errFault
	}
	unsafe := of != reading && !n.r.calm.Load()
	if unsafe && n.r.draw("lost write", key, n.id) < 0.002 {
		return none, fmt.Errorf("%w: connection lost", errFault)
	}
	v, err = f()
	outcome := uint64(0)
	if err != nil {
		outcome = 1
	}
	n.r.note(op, key, n.id, outcome)
	n.hold(op, key)
	switch {
	case n.dead.Load():
		return none, errDead
	case unsafe && err == nil && n.r.draw("lost reply", key, n.id) < 0.003:
		return none, fmt.Errorf("%w: connection lost at COMMIT", errFault)
	}
	return v, err
}

// pair is through for an operation with two results.
func pair[A, B any](ctx context.Context, n *node, op, key string, of kind, f func() (A, B, error)) (A, B, error) {
	type both struct {
		a A
		b B
	}
	v, err := through(ctx, n, op, key, of, func() (both, error) {
		a, b, err := f()
		return both{a, b}, err
	})
	return v.a, v.b, err
}

// alone is for an operation without a result.
func alone(ctx context.Context, n *node, op, key string, of kind, f func() error) error {
	_, err := through(ctx, n, op, key, of, func() (struct{}, error) { return struct{}{}, f() })
	return err
}

func (n *node) Probe(ctx context.Context) error {
	return alone(ctx, n, "Probe", "", claiming, func() error { return n.Store.Probe(ctx) })
}

func (n *node) AcquireLease(ctx context.Context, key, holder string, ttl time.Duration) (store.Lease, error) {
	return through(ctx, n, "AcquireLease", key, claiming, func() (store.Lease, error) {
		l, err := n.Store.AcquireLease(ctx, key, holder, ttl)
		if err == nil {
			n.r.claimed(n, key)
		}
		return l, err
	})
}

func (n *node) ReleaseLease(ctx context.Context, l store.Lease) error {
	return alone(ctx, n, "ReleaseLease", l.Key, claiming, func() error { return n.Store.ReleaseLease(ctx, l) })
}

func (n *node) Leases(ctx context.Context, prefix string) ([]store.Lease, error) {
	return through(ctx, n, "Leases", prefix, reading, func() ([]store.Lease, error) { return n.Store.Leases(ctx, prefix) })
}

func (n *node) Changes(ctx context.Context, since time.Time) (store.Changes, error) {
	return through(ctx, n, "Changes", "", reading, func() (store.Changes, error) { return n.Store.Changes(ctx, since) })
}

func (n *node) Setting(ctx context.Context, name string) ([]byte, int64, error) {
	return pair(ctx, n, "Setting", name, reading, func() ([]byte, int64, error) { return n.Store.Setting(ctx, name) })
}

func (n *node) PutSetting(ctx context.Context, name string, value []byte, version int64) error {
	return alone(ctx, n, "PutSetting", name, saving, func() error { return n.Store.PutSetting(ctx, name, value, version) })
}

func (n *node) Components(ctx context.Context) ([]store.Component, error) {
	return through(ctx, n, "Components", "", reading, func() ([]store.Component, error) { return n.Store.Components(ctx) })
}

func (n *node) Component(ctx context.Context, id tuoguan.ComponentAppID) (store.Component, error) {
	return through(ctx, n, "Component", "", reading, func() (store.Component, error) { return n.Store.Component(ctx, id) })
}

func (n *node) Tickets(ctx context.Context, id tuoguan.ComponentAppID) ([]store.Ticket, error) {
	return through(ctx, n, "Tickets", "", reading, func() ([]store.Ticket, error) { return n.Store.Tickets(ctx, id) })
}

func (n *node) ComponentToken(ctx context.Context, id tuoguan.ComponentAppID) (store.ComponentToken, error) {
	return through(ctx, n, "ComponentToken", "", reading, func() (store.ComponentToken, error) { return n.Store.ComponentToken(ctx, id) })
}

func (n *node) SaveComponentToken(ctx context.Context, t store.ComponentToken) (bool, error) {
	return through(ctx, n, "SaveComponentToken", "", saving, func() (bool, error) { return n.Store.SaveComponentToken(ctx, t) })
}

func (n *node) Authorizer(ctx context.Context, a tuoguan.Authorization) (store.Authorizer, error) {
	return through(ctx, n, "Authorizer", string(a.Authorizer), reading, func() (store.Authorizer, error) { return n.Store.Authorizer(ctx, a) })
}

func (n *node) Authorizers(ctx context.Context, q store.AuthorizerQuery) ([]store.Authorizer, error) {
	return through(ctx, n, "Authorizers", string(q.After.Authorizer), reading, func() ([]store.Authorizer, error) { return n.Store.Authorizers(ctx, q) })
}

func (n *node) RefreshTokens(ctx context.Context, a tuoguan.Authorization) ([]store.RefreshToken, error) {
	return through(ctx, n, "RefreshTokens", string(a.Authorizer), reading, func() ([]store.RefreshToken, error) { return n.Store.RefreshTokens(ctx, a) })
}

func (n *node) ClaimDue(ctx context.Context, at time.Time, holder string, ttl time.Duration, limit int) ([]store.Due, error) {
	return through(ctx, n, "ClaimDue", "", claiming, func() ([]store.Due, error) {
		due, err := n.Store.ClaimDue(ctx, at, holder, ttl, limit)
		for _, d := range due {
			n.r.claimedDue(n, d)
		}
		return due, err
	})
}

func (n *node) ProfilesDue(ctx context.Context, limit int) ([]tuoguan.Authorization, error) {
	return through(ctx, n, "ProfilesDue", "", reading, func() ([]tuoguan.Authorization, error) { return n.Store.ProfilesDue(ctx, limit) })
}

func (n *node) DueExchanges(ctx context.Context, at time.Time, limit int) ([]store.Exchange, error) {
	return through(ctx, n, "DueExchanges", "", reading, func() ([]store.Exchange, error) { return n.Store.DueExchanges(ctx, at, limit) })
}

func (n *node) Exchange(ctx context.Context, id tuoguan.ComponentAppID, hash string) (store.Exchange, error) {
	return through(ctx, n, "Exchange", hash, reading, func() (store.Exchange, error) { return n.Store.Exchange(ctx, id, hash) })
}

func (n *node) PutExchange(ctx context.Context, e store.Exchange) (store.Exchange, bool, error) {
	return pair(ctx, n, "PutExchange", e.CodeHash, saving, func() (store.Exchange, bool, error) {
		defer n.r.look(n, n.r.owner(string(e.Authorizer)).Authorization())
		return n.Store.PutExchange(ctx, e)
	})
}

func (n *node) UpdateExchange(ctx context.Context, e store.Exchange) error {
	return alone(ctx, n, "UpdateExchange", e.CodeHash, saving, func() error { return n.Store.UpdateExchange(ctx, e) })
}

func (n *node) SaveTrouble(ctx context.Context, t store.Trouble) (bool, error) {
	return through(ctx, n, "SaveTrouble", string(t.Authorizer), saving, func() (bool, error) {
		defer n.r.look(n, t.Authorization)
		return n.Store.SaveTrouble(ctx, t)
	})
}

func (n *node) SaveTokens(ctx context.Context, w store.TokenWrite) (bool, error) {
	moved, err := through(ctx, n, "SaveTokens", string(w.Authorizer), saving, func() (bool, error) {
		defer n.r.look(n, w.Authorization)
		return n.Store.SaveTokens(ctx, w)
	})
	if err == nil {
		n.r.saved(n, w)
	}
	return moved, err
}

func (n *node) AppendRefreshToken(ctx context.Context, t store.RefreshToken) (bool, error) {
	return through(ctx, n, "AppendRefreshToken", string(t.Authorizer), saving, func() (bool, error) { return n.Store.AppendRefreshToken(ctx, t) })
}

func (n *node) SaveProfile(ctx context.Context, a tuoguan.Authorization, p store.Profile) error {
	return alone(ctx, n, "SaveProfile", string(a.Authorizer), saving, func() error { return n.Store.SaveProfile(ctx, a, p) })
}

func (n *node) SaveGrant(ctx context.Context, g store.Grant) (store.Authorizer, bool, error) {
	return pair(ctx, n, "SaveGrant", string(g.Authorizer), saving, func() (store.Authorizer, bool, error) {
		defer n.r.look(n, g.Authorization)
		return n.Store.SaveGrant(ctx, g)
	})
}

func (n *node) AcceptPush(ctx context.Context, in store.Intake) (store.Push, bool, error) {
	return pair(ctx, n, "AcceptPush", in.Push.Key, saving, func() (store.Push, bool, error) {
		defer n.r.look(n, tuoguan.Authorization{Component: in.Push.Component, Authorizer: in.Push.Authorizer})
		stored, duplicate, err := n.Store.AcceptPush(ctx, in)
		if at, ok := ctx.Value(intakeKey{}).(*intake); ok {
			at.key = in.Push.Key
		}
		n.r.accepted(n, in)
		return stored, duplicate, err
	})
}

// RoundTrip calls the platform. What it answers to a process that died meanwhile is
// lost; a paused one gets it afterwards, if it got the question out before.
func (n *node) RoundTrip(q *http.Request) (*http.Response, error) {
	var asked struct {
		Authorizer string `json:"authorizer_appid"`
	}
	var question []byte
	call := path.Base(q.URL.Path)
	if q.GetBody != nil {
		if body, err := q.GetBody(); err == nil {
			question, _ = io.ReadAll(body)
		}
	}
	if call == "api_authorizer_token" {
		_ = json.Unmarshal(question, &asked)
	}
	time.Sleep(time.Duration(n.r.draw(call, string(question), n.id) * float64(time.Millisecond)))
	n.hold(call, string(question))
	if n.dead.Load() {
		return nil, errDead
	}
	n.r.asks(n, call, asked.Authorizer)
	reply, err := n.r.sim.RoundTripper().RoundTrip(q)
	n.hold(call, string(question))
	if n.dead.Load() {
		return nil, errDead
	}
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		return nil, err
	}
	reply.Body = io.NopCloser(bytes.NewReader(body))
	n.r.answered(n, call, asked.Authorizer, reply.StatusCode, body)
	return reply, nil
}

// spill is a spill file. It outlives the processes of its machine.
type spill struct {
	mu      sync.Mutex
	last    uint64
	answers []keeper.Spilled
}

// has reports whether a refresh token is in the file.
func (s *spill) has(value tuoguan.Secret) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.answers {
		switch {
		case a.Tokens != nil && a.Tokens.Tokens.RefreshToken.Equal(value),
			a.Grant != nil && a.Grant.Tokens.RefreshToken.Equal(value),
			a.RefreshToken != nil && a.RefreshToken.Value.Equal(value):
			return true
		}
	}
	return false
}

// machineSpill is the spill file as a process has it.
type machineSpill struct{ n *node }

func (m machineSpill) enter(op, key string) error {
	time.Sleep(time.Duration(m.n.r.draw(op, key, m.n.id) * float64(3*time.Millisecond)))
	m.n.hold(op, key)
	if m.n.dead.Load() {
		return errDead
	}
	return nil
}

// subjectOf returns whom an answer concerns.
func subjectOf(a keeper.Answer) string {
	switch {
	case a.Tokens != nil:
		return string(a.Tokens.Authorizer)
	case a.Grant != nil:
		return string(a.Grant.Authorizer)
	case a.RefreshToken != nil:
		return string(a.RefreshToken.Authorizer)
	}
	return ""
}

// Put implements [keeper.Spill].
func (m machineSpill) Put(_ context.Context, a keeper.Answer) (uint64, error) {
	if err := m.enter("spill", subjectOf(a)); err != nil {
		return 0, err
	}
	s := m.n.machine.spill
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	s.answers = append(s.answers, keeper.Spilled{ID: s.last, Answer: a})
	return s.last, nil
}

// Forget implements [keeper.Spill].
func (m machineSpill) Forget(id uint64) error {
	if err := m.enter("forget", strconv.FormatUint(id, 10)); err != nil {
		return err
	}
	s := m.n.machine.spill
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, a := range s.answers {
		if a.ID == id {
			s.answers = append(s.answers[:i:i], s.answers[i+1:]...)
			break
		}
	}
	return nil
}

// Answers implements [keeper.Spill].
func (m machineSpill) Answers() ([]keeper.Spilled, error) {
	if err := m.enter("answers", ""); err != nil {
		return nil, err
	}
	s := m.n.machine.spill
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]keeper.Spilled(nil), s.answers...), nil
}

type (
	routeKey  struct{}
	intakeKey struct{}
)

// route is the way of a push: whom it concerns, and who took it.
type route struct {
	subject string
	by      *node
}

// intake is what became of one request that brought a push.
type intake struct{ key string }

// balancer brings pushes to the keepers in turn.
type balancer struct{ r *run }

// RoundTrip implements [http.RoundTripper].
func (b balancer) RoundTrip(q *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, err
	}
	b.r.record(q, body)
	way, ok := q.Context().Value(routeKey{}).(*route)
	if !ok {
		way = new(route)
	}
	time.Sleep(time.Duration(b.r.draw("push", way.subject, 0) * float64(time.Millisecond)))
	n := b.r.next(way.subject)
	if n == nil {
		return nil, errors.New("proof: connection refused")
	}
	if n.paused() {
		<-q.Context().Done()
		return nil, q.Context().Err()
	}
	reply, err := n.receive(q, body)
	if err == nil {
		way.by = n
	}
	return reply, err
}

// receive lets the node answer a push.
func (n *node) receive(q *http.Request, body []byte) (*http.Response, error) {
	var at intake
	q = q.WithContext(context.WithValue(q.Context(), intakeKey{}, &at))
	q.Body, q.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if !n.enter() {
		return nil, errDead
	}
	reply, err := simtest.HandlerTransport{Handler: n.pushes}.RoundTrip(q)
	n.inside.Done()
	n.hold("receive", at.key)
	if n.dead.Load() {
		return nil, errDead
	}
	if err == nil && reply.StatusCode == http.StatusOK {
		n.r.acknowledged(n, at.key, q, body)
	}
	return reply, err
}
