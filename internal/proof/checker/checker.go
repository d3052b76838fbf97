// Package checker judges a history. It is a pure function of the events: it knows
// nothing of servers or stores, only what reached the platform, what was handed out,
// and when processes lived.
//
// An operation that a fault has cut may or may not have happened. The checker never
// counts it as either.
//
// # What can be known from outside
//
// A refresh token is kept once a server has shown that it is: it handed out the
// access token of the same reply. It has to be kept once the reply that carries it
// was written out whole and the process has run for [Config.Window] after that. A
// token is acceptable while the platform would take it. A merchant's authorization
// can be saved while a token is both kept and acceptable, or the platform would tell
// the token to whoever asks. Where neither holds, nobody can save it: a process has
// died between the platform's decision and its own disk, and that is counted, not
// judged.
package checker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan/internal/proof/history"
)

// Config says how strictly a history is judged. Zero fields get their defaults.
type Config struct {
	// Window is how long a server that runs, on a store that works, may have a new
	// refresh token in memory alone. Defaults to 50 ms.
	Window time.Duration
	// FaultWindow is the same while the store or its disk does not work: by then the
	// token has to be in the spill file. Defaults to 3 s.
	FaultWindow time.Duration
	// Notice is how long what one server was told may take to reach the others.
	// Defaults to 2 s.
	Notice time.Duration
	// RevocationNotice is the same for a revocation. Defaults to 1 s.
	RevocationNotice time.Duration
	// Recovery is within which time all is well once faults have ended. Defaults to 60 s.
	Recovery time.Duration
	// Lease is the longest that a dead or frozen server keeps others from its work.
	// Defaults to 15 s.
	Lease time.Duration
	// Deadline is within which time a push gets its answer. Defaults to 4.5 s.
	Deadline time.Duration
	// Margin is what a token handed out has left at least. Defaults to 10 s.
	Margin time.Duration
	// Mark is how long a server that runs, on a store that works, may take to note that
	// an event was delivered. Defaults to 250 ms.
	Mark time.Duration
}

// WithDefaults fills in what is zero.
func (c Config) WithDefaults() Config {
	for field, value := range map[*time.Duration]time.Duration{
		&c.Window: 50 * time.Millisecond, &c.FaultWindow: 3 * time.Second, &c.Notice: 2 * time.Second, &c.RevocationNotice: time.Second,
		&c.Recovery: 60 * time.Second, &c.Lease: 15 * time.Second, &c.Deadline: 4500 * time.Millisecond, &c.Margin: 10 * time.Second,
		&c.Mark: 250 * time.Millisecond,
	} {
		if *field == 0 {
			*field = value
		}
	}
	return c
}

// Violation is an invariant that did not hold.
type Violation struct {
	Invariant string        `json:"invariant"` // "INV-1"
	Merchant  string        `json:"merchant,omitempty"`
	Events    []uint64      `json:"events"` // the numbers of the events that show it
	At        time.Duration `json:"at"`
	Message   string        `json:"message"`
	Times     int           `json:"times"` // that it did not hold for the merchant; the first is told
}

func (v Violation) String() string {
	again := ""
	if v.Times > 1 {
		again = fmt.Sprintf(", %d times", v.Times)
	}
	return fmt.Sprintf("%s %s at %v%s: %s (events %v)", v.Invariant, v.Merchant, v.At.Round(time.Microsecond), again, v.Message, v.Events)
}

// Checker follows one history. It is not safe for concurrent use.
type Checker struct {
	config     Config
	report     Report
	now        time.Duration
	ended      bool
	platform   platform
	processes  map[string]*process
	requests   map[uint64]*request
	merchants  map[string]*merchant
	faults     map[fault][]*spell
	disturbed  time.Duration // when something was last switched on or off, killed or frozen
	tickets    []told        // tickets acknowledged, each newer than the one before
	mintFailed time.Duration // when a mint was last refused
	restored   uint64        // the event of a restore, until the list was read after it
	forged     *history.Event
	pushed     map[pushed]told     // acknowledged
	stored     map[pushed][]string // keys in the store, by what they are
	inventory  bool
	arrivals   arrivals
}

type platform struct {
	rotation string
	tells    bool          // the list or the profile tells the newest refresh token
	since    time.Duration // since when
	grace    time.Duration
}

type process struct {
	name    string
	replica string
	began   time.Duration
	died    time.Duration // the earliest it can have been; 0 while it lives
	pauses  []spell
}

// spell is a stretch of time; it lasts while end is 0.
type spell struct{ begin, end time.Duration }

func (s spell) touches(from, to time.Duration) bool {
	return s.begin <= to && (s.end == 0 || s.end >= from)
}

// fault is a kind of fault and the replica that has it, "" for all.
type fault struct{ name, replica string }

// ofStore: a token may have to go to the spill file.
func (f fault) ofStore() bool {
	switch f.name {
	case "store_cut", "store_stall", "store_slow", "store_half_open", "store_restart", "store_kill", "store_power", "disk_full", slowMachine:
		return true
	}
	return false
}

// bars: nobody who has it can ask the store.
func (f fault) bars() bool {
	switch f.name {
	case "store_cut", "store_stall", "store_half_open", "store_restart", "store_kill", "store_power":
		return true
	}
	return false
}

// ofPlatform: what was written to the connection need not have arrived.
func (f fault) ofPlatform() bool {
	switch f.name {
	case "platform_cut", "platform_slow", "platform_half_open":
		return true
	}
	return false
}

type request struct {
	seq      uint64
	op       string
	process  *process
	merchant *merchant
	number   uint32
	from     time.Duration
	answered bool // or just about to be
}

// refreshToken is one that the platform has issued.
type refreshToken struct {
	number, grant uint32
	issued        time.Duration
	issuedBy      uint64 // event
	rotated       bool   // issued by a refresh, so that the one before may live on

	deliveries []delivery
	kept       time.Duration // when a server has shown that it is kept; 0: it has not
	keptBy     uint64
}

// delivery is a reply with a token, written out whole.
type delivery struct {
	seq      uint64
	process  *process
	asked    time.Duration // when the request came
	from, at time.Duration
}

// transit is how long a request or a reply may be on its way through what the driver has
// put between the platform and a server.
const transit = 20 * time.Millisecond

// arrived reports whether a reply that was written out came through for certain.
func (c *Checker) arrived(d delivery) bool {
	return !c.faulty(d.process, d.asked, d.at+transit, fault.ofPlatform)
}

type accessToken struct {
	number, grant uint32
	refresh       uint32 // the refresh token in force since the same reply
	deliveries    []delivery
	kept          time.Duration
	diesEarly     bool
	lived         time.Duration // when the platform last took it
}

// told is something acknowledged by a server.
type told struct {
	number uint32
	at     time.Duration
	seq    uint64
}

type pushed struct {
	event, merchant, id string
}

type merchant struct {
	appid    string
	standing bool
	grant    uint32
	stateSeq uint64
	exchange bool // a token was issued for the code of the newest grant

	refresh []*refreshToken // newest last; old ones fall out
	access  []*accessToken

	granted, revoked told // number is the grant
	denied           []told
	keptNewest       told // the newest refresh token that is kept for certain
	diesEarly        bool
	open             []*request
	lost             []told // refresh tokens given up, judged as beyond saving
}

const remembered = 24 // tokens of one merchant; what is older is dead for long

// New makes a checker.
func New(c Config) *Checker {
	return &Checker{
		config: c.WithDefaults(), report: Report{Lost: make(map[string]int)},
		processes: make(map[string]*process), requests: make(map[uint64]*request), merchants: make(map[string]*merchant),
		faults: make(map[fault][]*spell), pushed: make(map[pushed]told), stored: make(map[pushed][]string), arrivals: newArrivals(),
	}
}

// Add takes the next event in.
func (c *Checker) Add(e history.Event) {
	c.now = e.At
	c.report.Events++
	switch e.Kind {
	case history.Platform:
		tells := e.List == "newest" || e.Info == "newest"
		if tells != c.platform.tells {
			c.platform.since = e.At
		}
		c.disturbed = e.At
		c.platform = platform{rotation: e.Rotation, tells: tells, since: c.platform.since, grace: e.Grace}
	case history.Issue:
		c.issue(e)
	case history.State:
		c.state(e)
	case history.Dies:
		c.merchant(e.Merchant).diesEarly = true
	case history.Request:
		c.request(e)
	case history.Answering:
		c.answering(e)
	case history.Reply:
		c.reply(e)
	case history.Push:
		c.push(e)
	case history.Took:
		c.took(e)
	case history.Answer:
		c.answer(e)
	case history.Forged:
		c.forgery(e)
	case history.Start:
		c.disturbed = e.At
		c.report.Starts++
		c.process(e.Process).began = e.At
	case history.Kill:
		c.disturbed = e.At
		c.kill(e)
	case history.Gone:
		c.disturbed = e.At
		c.gone(e)
	case history.Stop:
		c.disturbed = e.At
		c.report.Pauses++
		p := c.process(e.Process)
		p.pauses = append(p.pauses, spell{begin: e.At})
		c.arrivals.pauses = append(c.arrivals.pauses, &spell{begin: e.At})
		c.arrivals.asleep[e.Process] = c.arrivals.pauses[len(c.arrivals.pauses)-1]
	case history.Continue:
		c.disturbed = e.At
		if s := c.arrivals.asleep[e.Process]; s != nil {
			s.end = e.At
		}
		if p := c.process(e.Process); len(p.pauses) > 0 {
			p.pauses[len(p.pauses)-1].end = e.At
		}
	case history.Fault:
		if e.Fault != slowMachine {
			c.disturbed = e.At
		}
		key := fault{e.Fault, e.Process}
		spells := c.faults[key]
		if e.On {
			if c.report.Faults == nil {
				c.report.Faults = make(map[string]int)
			}
			c.report.Faults[e.Fault]++
			begin := e.At
			if e.From != 0 {
				begin = e.From
			}
			if e.Fault == receiverDown {
				c.report.Arrivals.Downs++
			}
			spells = append(spells, &spell{begin: begin})
			c.faults[key] = spells[max(len(spells)-1<<14, 0):]
		} else if n := len(spells); n > 0 && spells[n-1].end == 0 {
			spells[n-1].end = e.At
		}
	case history.Restored:
		c.disturbed, c.restored = e.At, e.Seq
		for _, m := range c.merchants {
			m.keptNewest = told{} // what was stored since is known to the platform alone
		}
	case history.Lost:
		c.lost(e)
	case history.Settled:
		c.settled(e)
	case history.Subscribed:
		c.subscribed(e)
	case history.Delivered:
		c.delivered(e)
	case history.Unheard:
		c.unheard(e)
	case history.Again:
		c.again(e)
	case history.Listed:
		c.listed(e)
	case history.Strayed:
		c.violation("INV-26", "", e, "a connection came to %s", e.Note)
	case history.Stored:
		c.inventory = true
		c.inStore(e)
		key := pushed{e.Event, e.Merchant, e.MsgID}
		if e.Event != "" && !slices.Contains(c.stored[key], e.Note) {
			c.stored[key] = append(c.stored[key], e.Note)
		}
	case history.Found:
		c.violation("INV-22", "", e, "a secret was found in %s", e.Note)
	case history.End:
		c.ended = true
	}
}

// Finish judges what only shows at the end, and returns the report.
func (c *Checker) Finish() Report {
	if !c.ended {
		c.violation("history", "", history.Event{At: c.now}, "the history has no end: it was cut off")
	}
	if c.inventory {
		for key, acknowledged := range c.pushed {
			if len(c.stored[key]) == 0 {
				c.violationOf("INV-13", key.merchant, acknowledged.at, []uint64{acknowledged.seq}, "the push %s %s was answered with success and is not in the store", key.event, key.id)
			}
		}
		for key, keys := range c.stored {
			if len(keys) > 1 {
				c.violation("INV-15", key.merchant, history.Event{At: c.now}, "the push %s %s is in the store %d times", key.event, key.id, len(keys))
			}
		}
		c.finishArrivals()
	}
	return c.Report()
}

// Report returns what is known so far.
func (c *Checker) Report() Report {
	r := c.report
	r.Merchants = len(c.merchants)
	r.Duration = c.now
	return r
}

func (c *Checker) violation(invariant, merchant string, e history.Event, format string, args ...any) {
	c.violationOf(invariant, merchant, e.At, []uint64{e.Seq}, format, args...)
}

func (c *Checker) violationOf(invariant, merchant string, at time.Duration, events []uint64, format string, args ...any) {
	for i, v := range c.report.Violations {
		if v.Invariant == invariant && v.Merchant == merchant && merchant != "" {
			c.report.Violations[i].Times++
			return
		}
	}
	c.report.Violations = append(c.report.Violations, Violation{
		Invariant: invariant, Merchant: merchant, At: at, Events: events, Message: fmt.Sprintf(format, args...), Times: 1,
	})
}

func (c *Checker) merchant(appid string) *merchant {
	m := c.merchants[appid]
	if m == nil {
		m = &merchant{appid: appid}
		c.merchants[appid] = m
	}
	return m
}

func (c *Checker) process(name string) *process {
	p := c.processes[name]
	if p == nil {
		replica, _, _ := strings.Cut(name, ".")
		p = &process{name: name, replica: replica, began: c.now}
		c.processes[name] = p
	}
	return p
}

// --- the platform

func (c *Checker) issue(e history.Event) {
	m := c.merchant(e.Merchant)
	switch e.Secret {
	case history.RefreshToken:
		c.report.RefreshTokens++
		first := len(m.refresh) == 0 || m.refresh[len(m.refresh)-1].grant != e.Grant
		m.refresh = append(m.refresh, &refreshToken{number: e.Number, grant: e.Grant, issued: e.At, issuedBy: e.Seq, rotated: !first})
		m.refresh = m.refresh[max(len(m.refresh)-remembered, 0):]
	case history.AccessToken:
		c.report.AccessTokens++
		m.access = append(m.access, &accessToken{number: e.Number, grant: e.Grant, diesEarly: m.diesEarly})
		m.access = m.access[max(len(m.access)-remembered, 0):]
		m.diesEarly = false
		m.exchange = true
	}
}

func (c *Checker) state(e history.Event) {
	m := c.merchant(e.Merchant)
	m.standing, m.grant, m.stateSeq = e.State != "unauthorized", e.Grant, e.Seq
	if m.standing {
		m.exchange = false
		c.report.Grants++
	}
}

func (m *merchant) refreshNumber(n uint32) *refreshToken {
	for _, r := range slices.Backward(m.refresh) {
		if r.number == n {
			return r
		}
	}
	return nil
}

func (m *merchant) accessNumber(n uint32) *accessToken {
	for _, a := range slices.Backward(m.access) {
		if a.number == n {
			return a
		}
	}
	return nil
}

func (m *merchant) newest() *refreshToken {
	if len(m.refresh) == 0 {
		return nil
	}
	return m.refresh[len(m.refresh)-1]
}

// acceptable returns the refresh tokens that the platform would take.
func (c *Checker) acceptable(m *merchant) []*refreshToken {
	n := len(m.refresh)
	if n == 0 {
		return nil
	}
	newest := m.refresh[n-1]
	tokens := []*refreshToken{newest}
	if n > 1 && newest.rotated && c.platform.rotation == "rotate-grace" && c.now < newest.issued+c.platform.grace {
		tokens = append(tokens, m.refresh[n-2])
	}
	return tokens
}

func (c *Checker) request(e history.Event) {
	r := &request{seq: e.Seq, op: e.Op, process: c.process(e.Process), number: e.Number, from: e.At}
	c.requests[e.ID] = r
	switch e.Op {
	case history.OpRefresh:
		r.merchant = c.merchant(e.Merchant)
		if c.restored != 0 {
			c.violationOf("INV-31", e.Merchant, e.At, []uint64{c.restored, e.Seq}, "%s refreshes before what was restored has been compared with the platform's list", e.Process)
		}
		c.presented(e, r)
		c.overlaps(e, r)
		r.merchant.open = append(r.merchant.open, r)
	case history.OpCode:
		if e.Merchant != "" {
			r.merchant = c.merchant(e.Merchant)
			r.merchant.open = append(r.merchant.open, r)
		}
	case history.OpMint:
		c.minted(e)
	}
}

// presented judges which refresh token a server uses.
func (c *Checker) presented(e history.Event, r *request) {
	m := r.merchant
	switch {
	case e.Number == 0 && e.Note == "":
		c.violation("INV-3", m.appid, e, "%s asks for a refresh without a refresh token", e.Process)
		return
	case e.Number == 0:
		c.violation("INV-23", m.appid, e, "%s presents a refresh token that is not this merchant's: %s", e.Process, e.Note)
		return
	}
	newest := m.keptNewest
	if newest.number == 0 || e.Number >= newest.number || e.At <= newest.at+transit || c.underWay(r.process, newest.at, e.At) {
		return
	}
	// An older one may be tried after the newer one was denied.
	for _, d := range slices.Backward(m.denied) {
		if d.number >= newest.number && e.At-d.at < c.config.Recovery {
			return
		}
	}
	c.violationOf("INV-2", m.appid, e.At, []uint64{newest.seq, e.Seq},
		"%s presents refresh token %d, though %d was reported as stored %v before and nobody has denied it", e.Process, e.Number, newest.number, e.At-newest.at)
}

// underWay reports whether a request that came at the time to may have been sent before
// the time from: by a process that was dead or frozen since, or over a connection on
// which nothing passed.
func (c *Checker) underWay(p *process, from, to time.Duration) bool {
	if p.died != 0 && p.died <= from {
		return true
	}
	for _, s := range p.pauses {
		if s.touches(from, to) {
			return true
		}
	}
	return c.faulty(p, from-transit, to, fault.ofPlatform)
}

// overlaps judges whether somebody else is refreshing already.
func (c *Checker) overlaps(e history.Event, r *request) {
	m := r.merchant
	var open []*request
	for _, o := range m.open {
		if o.process.died == 0 && o.op == history.OpRefresh && !o.answered {
			open = append(open, o)
		}
	}
	c.report.MaxOverlap = max(c.report.MaxOverlap, len(open)+1)
	if len(open) == 0 {
		return
	}
	allowed := 1
	for _, p := range []*process{open[0].process, r.process} {
		if c.pausedOrCut(p, open[0].from-c.config.Lease, e.At) {
			allowed = 2
		}
	}
	if len(open)+1 > allowed {
		c.violationOf("INV-6", m.appid, e.At, []uint64{open[0].seq, e.Seq}, "%d refreshes at once, by %s and %s", len(open)+1, open[0].process.name, e.Process)
	}
}

// pausedOrCut reports whether a process was frozen, or cut from anything, in that time.
func (c *Checker) pausedOrCut(p *process, from, to time.Duration) bool {
	for _, s := range p.pauses {
		if s.touches(from, to) {
			return true
		}
	}
	return c.faulty(p, from, to, func(f fault) bool { return f.ofPlatform() || f.ofStore() })
}

// reachable returns for how long, in that time, the process could ask the store. While it
// cannot it hands out what it has, and hears nothing of what others were told just before.
func (c *Checker) reachable(process string, from, to time.Duration) time.Duration {
	var away []spell
	for f, spells := range c.faults {
		if !f.bars() || f.replica != "" && f.replica != c.process(process).replica {
			continue
		}
		for _, s := range spells {
			clipped := spell{begin: max(s.begin, from), end: to}
			if s.end != 0 {
				clipped.end = min(s.end, to)
			}
			if clipped.begin < clipped.end {
				away = append(away, clipped)
			}
		}
	}
	slices.SortFunc(away, func(a, b spell) int { return cmp.Compare(a.begin, b.begin) })
	left, seen := to-from, from
	for _, s := range away {
		if s.end > seen {
			left -= s.end - max(s.begin, seen)
			seen = s.end
		}
	}
	return left
}

// faulty reports whether a process had a fault of the kind in that time.
func (c *Checker) faulty(p *process, from, to time.Duration, kind func(fault) bool) bool {
	return c.touched(from, to, func(f fault) bool { return (f.replica == "" || f.replica == p.replica) && kind(f) })
}

// answering ends what the platform does for a request.
func (c *Checker) answering(e history.Event) {
	r := c.requests[e.ID]
	if r == nil || r.merchant == nil {
		return
	}
	r.answered = true
	if m := r.merchant; r.op == history.OpRefresh && e.Errcode != 0 {
		m.denied = append(m.denied, told{r.number, e.At, e.Seq})
		m.denied = m.denied[max(len(m.denied)-remembered, 0):]
		c.report.Denials++
	}
}

func (c *Checker) reply(e history.Event) {
	r := c.requests[e.ID]
	if r == nil {
		c.violation("history", e.Merchant, e, "a reply without a request")
		return
	}
	delete(c.requests, e.ID)
	if r.op == history.OpList && e.Errcode == 0 && e.Sent {
		c.restored = 0
	}
	if r.op == history.OpMint && (e.Errcode != 0 || !e.Sent) {
		c.mintFailed = e.At
	}
	if m := r.merchant; m != nil {
		m.open = slices.DeleteFunc(m.open, func(o *request) bool { return o == r })
		if r.op == history.OpRefresh && e.Errcode == 0 && e.Sent {
			c.report.Refreshes++
		}
	}
	if !e.Sent || e.Merchant == "" {
		return
	}
	m := c.merchant(e.Merchant)
	d := delivery{seq: e.Seq, process: r.process, asked: r.from, from: e.From, at: e.At}
	if t := m.refreshNumber(e.Refresh); t != nil {
		// The first deliveries are what counts; where the token stays the same there may be many.
		if len(t.deliveries) < remembered {
			t.deliveries = append(t.deliveries, d)
		}
	}
	if a := m.accessNumber(e.Access); a != nil {
		a.deliveries = append(a.deliveries, d)
		a.refresh = e.Refresh
	}
}

// --- what a server has to have

// due is when a delivered token has to be on a disk.
func (c *Checker) due(d delivery) time.Duration {
	due := d.at + c.config.Window
	if c.faulty(d.process, d.from, due, fault.ofStore) {
		due = max(due, d.at+c.config.FaultWindow)
	}
	for _, s := range d.process.pauses {
		switch {
		case !s.touches(d.from, due):
		case s.end == 0:
			return 1 << 62 // it is frozen with it
		default:
			due += s.end - max(s.begin, d.from)
		}
	}
	return due
}

// keptSince returns since when a delivered token has to be on a disk, if it has to.
func (c *Checker) keptSince(ds []delivery, kept time.Duration) (time.Duration, bool) {
	since, ok := kept, kept != 0
	for _, d := range ds {
		due := c.due(d)
		if due < c.now && (d.process.died == 0 || d.process.died > due) && (!ok || due < since) && c.arrived(d) {
			since, ok = due, true
		}
	}
	return since, ok
}

// Savable reports whether the merchant's authorization can be saved by the servers,
// and since when that has been so.
func (c *Checker) Savable(appid string) (since time.Duration, ok bool) {
	m := c.merchant(appid)
	for _, t := range c.acceptable(m) {
		if at, kept := c.keptSince(t.deliveries, t.kept); kept && (!ok || at < since) {
			since, ok = at, true
		}
	}
	if !m.exchange && m.granted.number == m.grant && m.standing && (!ok || m.granted.at < since) {
		since, ok = m.granted.at, true // the code is still there to be exchanged
	}
	if c.platform.tells && m.exchange && (!ok || c.platform.since < since) {
		since, ok = c.platform.since, true
	}
	return since, ok
}

// Pending reports whether a living process may have a token of the merchant in its hands.
func (c *Checker) Pending(appid string) bool {
	m := c.merchant(appid)
	for _, o := range m.open {
		if o.process.died == 0 {
			return true
		}
	}
	for _, t := range c.acceptable(m) {
		for _, d := range t.deliveries {
			if d.process.died == 0 && c.due(d) >= c.now {
				return true
			}
		}
	}
	return false
}

func (c *Checker) lost(e history.Event) {
	m := c.merchant(e.Merchant)
	newest := m.newest()
	if newest == nil {
		return
	}
	for _, t := range c.acceptable(m) {
		if t.kept != 0 {
			c.violationOf("INV-1", m.appid, e.At, []uint64{t.issuedBy, t.keptBy, e.Seq}, "refresh token %d was reported as stored and is lost", t.number)
			return
		}
	}
	if since, ok := c.Savable(m.appid); ok {
		events := []uint64{newest.issuedBy}
		for _, d := range newest.deliveries {
			events = append(events, d.seq)
		}
		c.violationOf("INV-1b", m.appid, e.At, append(events, e.Seq), "refresh token %d is lost, though it could have been saved since %v: %s", newest.number, since, c.fate(newest))
		return
	}
	class := "unanswered"
	for _, d := range newest.deliveries {
		switch gap := d.process.died - d.at; {
		case d.process.died == 0:
		case !c.arrived(d):
			class = "cut"
		case gap > c.config.Window:
			class = "slow"
			c.report.Gaps.add(gap)
		default:
			class = "window"
			c.report.Gaps.add(gap)
		}
	}
	c.report.Lost[class]++
	m.lost = append(m.lost, told{newest.number, e.At, e.Seq})
}

// fate says what became of the processes that have received a token.
func (c *Checker) fate(t *refreshToken) string {
	text := ""
	for _, d := range t.deliveries {
		if d.process.died != 0 {
			text += fmt.Sprintf("%s received it %v before it died; ", d.process.name, d.process.died-d.at)
		} else {
			text += fmt.Sprintf("%s received it %v ago and lives; ", d.process.name, c.now-d.at)
		}
	}
	return text
}

// --- processes

func (c *Checker) kill(e history.Event) {
	c.report.Kills++
	p := c.process(e.Process)
	flying, window := 0, 0
	for _, r := range c.requests {
		if r.process == p && r.op == history.OpRefresh {
			flying++
		}
	}
	for _, m := range c.merchants {
		newest := m.newest()
		if newest == nil || newest.kept != 0 {
			continue
		}
		for _, d := range newest.deliveries {
			if d.process == p && e.At-d.at < c.config.Window {
				window++
				break
			}
		}
	}
	c.report.InFlight += flying
	c.report.InWindow += window
	if flying+window > 0 {
		c.report.KillsInFlight++
	}
	if p.died == 0 {
		p.died = e.At
		c.arrivals.deaths = append(c.arrivals.deaths, e.At)
	}
}

func (c *Checker) gone(e history.Event) {
	p := c.process(e.Process)
	if p.died == 0 {
		if c.report.Deaths == nil {
			c.report.Deaths = make(map[string]int)
		}
		c.report.Deaths[e.Note]++
		p.died = max(e.From, 1)
		c.arrivals.deaths = append(c.arrivals.deaths, p.died)
	}
	for _, r := range c.requests {
		if r.process == p && r.merchant != nil {
			r.merchant.open = slices.DeleteFunc(r.merchant.open, func(o *request) bool { return o == r })
		}
	}
	// A process that is gone may still be named by what it was sent; its name may not come again.
	if len(c.processes) > 4096 {
		for name, old := range c.processes {
			if old.died != 0 && c.now-old.died > 10*time.Minute {
				delete(c.processes, name)
			}
		}
	}
}

// --- what is handed out

func (c *Checker) answer(e history.Event) {
	c.report.Answers++
	m := c.merchant(e.Merchant)
	p := c.process(e.Process)
	if e.Result == history.Cut {
		c.report.CutAnswers++
		return
	}
	frozen := p.frozen(e.From, e.At)
	if took := e.At - e.From; took > c.config.Lease+c.config.Notice && !frozen && !c.pausedOrCut(p, e.From, e.At) {
		c.violation("INV-28", m.appid, e, "%s took %v to answer", e.Process, took)
	}
	if e.State == "needs_reauthorization" && m.standing && !frozen && e.From-c.disturbed > c.config.Recovery {
		if since, ok := c.Savable(m.appid); ok && e.From-since > c.config.Recovery {
			c.violation("INV-4", m.appid, e, "%s says that the merchant has to authorize again, though its refresh token has been to be had since %v", e.Process, since)
		}
	}
	if e.Result == history.Refused {
		c.report.Refusals++
		if e.Status >= 500 && e.From-c.disturbed > c.config.Recovery && m.standing && !frozen {
			if since, ok := c.Savable(m.appid); ok && e.From-since > c.config.Recovery {
				c.violation("INV-28", m.appid, e, "%s refuses with status %d though nothing has been wrong for %v", e.Process, e.Status, e.From-c.disturbed)
			}
		}
		return
	}
	if e.Op == history.OpState {
		return
	}
	a := m.accessNumber(e.Access)
	if e.Access == 0 {
		c.violation("INV-23", m.appid, e, "%s handed out a token that was never issued to this merchant", e.Process)
		return
	}
	if a == nil {
		c.violation("INV-8", m.appid, e, "%s handed out access token %d, which is older than the last %d", e.Process, e.Access, remembered)
		return
	}
	c.keptNow(m, a, e)
	if frozen {
		return // nobody knows how long it was on its way out
	}
	c.fresh(m, a, e)
}

// frozen reports whether the process was stopped at any time from from to to.
func (p *process) frozen(from, to time.Duration) bool {
	return slices.ContainsFunc(p.pauses, func(s spell) bool { return s.touches(from, to) })
}

// keptNow notes that a server has shown what it keeps.
func (c *Checker) keptNow(m *merchant, a *accessToken, e history.Event) {
	if a.kept == 0 {
		a.kept = e.At
	}
	t := m.refreshNumber(a.refresh)
	if t == nil {
		return
	}
	if t.kept == 0 {
		t.kept, t.keptBy = e.At, e.Seq
		c.report.Kept++
	}
	if t.number > m.keptNewest.number {
		m.keptNewest = told{t.number, e.At, e.Seq}
	}
	for _, l := range m.lost {
		if l.number == t.number && e.At > l.at && e.From < l.at {
			// It was reported as stored before it was given up; the report came in late.
			c.violationOf("INV-1", m.appid, e.At, []uint64{l.seq, e.Seq}, "refresh token %d was reported as stored, and had been lost", t.number)
		}
	}
}

// fresh judges a token handed out.
func (c *Checker) fresh(m *merchant, a *accessToken, e history.Event) {
	if m.revoked.number >= a.grant && e.From > m.revoked.at+c.config.RevocationNotice {
		c.violationOf("INV-9", m.appid, e.At, []uint64{m.revoked.seq, e.Seq}, "%s handed out a token of grant %d, whose revocation was acknowledged %v before", e.Process, a.grant, e.From-m.revoked.at)
		return
	}
	if e.Errcode == 0 {
		a.lived = e.At
		if e.Left > 0 && e.Left+e.At-e.From < c.config.Margin-100*time.Millisecond && !a.diesEarly {
			c.violation("INV-8", m.appid, e, "%s handed out a token that dies in %v", e.Process, e.Left)
		}
		return
	}
	switch {
	case e.Errcode == 42001 && !a.diesEarly:
		c.violation("INV-8", m.appid, e, "%s handed out a token that had expired", e.Process)
	case a.diesEarly:
		c.report.DiedEarly++
	case a.grant < m.grant || !m.standing:
		// The merchant has authorized anew or revoked, which killed it. The server is
		// held to what it was told.
		if m.granted.number > a.grant && c.reachable(e.Process, m.granted.at, e.From) > c.config.Notice {
			c.violationOf("INV-8", m.appid, e.At, []uint64{m.granted.seq, e.Seq}, "%s handed out a token of grant %d, though grant %d was acknowledged %v before", e.Process, a.grant, m.granted.number, e.From-m.granted.at)
			return
		}
		c.report.Untold++
	default:
		for _, newer := range m.access {
			if newer.number <= a.number {
				continue
			}
			// What has not been handed out yet may be in the spill file of the process that
			// got it, of which others know nothing.
			mine := slices.DeleteFunc(slices.Clone(newer.deliveries), func(d delivery) bool { return d.process.name != e.Process })
			if since, ok := c.keptSince(mine, newer.kept); ok && c.reachable(e.Process, max(since, a.lived), e.From) > c.config.Notice {
				c.violationOf("INV-8", m.appid, e.At, []uint64{e.Seq}, "%s handed out access token %d, which is dead; %d has been stored since %v", e.Process, a.number, newer.number, since)
				return
			}
		}
		if m.access[len(m.access)-1] == a {
			c.violation("INV-8", m.appid, e, "%s handed out a token that the platform refuses with %d, for no reason known", e.Process, e.Errcode)
			return
		}
		c.report.Orphans++ // replaced by one that no server has got
	}
}

// --- pushes

func (c *Checker) push(e history.Event) {
	if e.From != 0 {
		c.written(e)
	}
	if !e.Accepted {
		return
	}
	c.report.Acknowledged++
	key := pushed{e.Event, e.Merchant, e.MsgID}
	if _, known := c.pushed[key]; !known && !c.inventory {
		c.pushed[key] = told{at: e.At, seq: e.Seq}
	}
	switch e.Event {
	case "component_verify_ticket":
		if n := len(c.tickets); n == 0 || c.tickets[n-1].number < e.Number {
			c.tickets = append(c.tickets, told{e.Number, e.At, e.Seq})
			c.tickets = c.tickets[max(len(c.tickets)-64, 0):]
		}
	case "authorized", "updateauthorized":
		if m := c.merchant(e.Merchant); e.Grant > m.granted.number {
			m.granted = told{e.Grant, e.At, e.Seq}
		}
	case "unauthorized":
		if m := c.merchant(e.Merchant); e.Grant > m.revoked.number {
			m.revoked = told{e.Grant, e.At, e.Seq}
		}
	}
}

func (c *Checker) minted(e history.Event) {
	if e.At-c.mintFailed < c.config.Recovery && c.mintFailed > 0 {
		return // an older one may be tried after a refusal
	}
	for _, t := range slices.Backward(c.tickets) {
		if t.at+c.config.Notice > e.At {
			continue
		}
		if e.Number < t.number {
			c.violationOf("INV-11", "", e.At, []uint64{t.seq, e.Seq}, "%s uses ticket %d, though %d was acknowledged %v before", e.Process, e.Number, t.number, e.At-t.at)
		}
		return
	}
}

func (c *Checker) took(e history.Event) {
	c.report.Pushes++
	p := c.process(e.Process)
	if p.died != 0 || p.frozen(e.From, e.At) {
		return
	}
	took := e.At - e.From
	if took > c.config.Deadline {
		c.violation("INV-14", "", e, "%s took %v to answer a push", e.Process, took)
	}
	c.report.Arrivals.answered(took)
}

func (c *Checker) forgery(e history.Event) {
	if e.Status == 0 {
		return // it was cut
	}
	c.report.Forgeries++
	if e.Accepted {
		c.violation("INV-19", e.Merchant, e, "%s took a forged push: %s", e.Process, e.Note)
		return
	}
	if c.forged == nil {
		c.forged = &e
		return
	}
	if c.forged.Digest != e.Digest || c.forged.Status != e.Status {
		c.violationOf("INV-21", e.Merchant, e.At, []uint64{c.forged.Seq, e.Seq}, "the refusal of %q differs from that of %q", e.Note, c.forged.Note)
	}
}

// --- in the end

func (c *Checker) settled(e history.Event) {
	c.report.Settled++
	m := c.merchant(e.Merchant)
	if e.Result == history.OK {
		return
	}
	if !m.standing {
		c.violationOf("INV-10", m.appid, e.At, []uint64{m.stateSeq, e.Seq}, "the merchant has revoked, and the server shows %q: %s", e.State, e.Note)
		return
	}
	// The note is there only if the refresh token is denied: else the server may have it,
	// and does not come to use it.
	for _, t := range c.acceptable(m) {
		since, kept := c.keptSince(t.deliveries, t.kept)
		switch {
		case e.Note == "" || !kept:
		case t.kept != 0:
			c.violationOf("INV-1", m.appid, e.At, []uint64{t.issuedBy, t.keptBy, e.Seq}, "refresh token %d was reported as stored and is lost: %s", t.number, e.Note)
			return
		default:
			c.violationOf("INV-1b", m.appid, e.At, []uint64{t.issuedBy, e.Seq}, "refresh token %d is lost, though it could have been saved since %v: %s%s", t.number, since, c.fate(t), e.Note)
			return
		}
	}
	if !m.exchange && m.granted.number == m.grant {
		c.violationOf("INV-13", m.appid, e.At, []uint64{m.granted.seq, e.Seq}, "the push with the code of grant %d was acknowledged, and the code was never exchanged: %s", m.grant, e.Note)
		return
	}
	if since, ok := c.Savable(m.appid); ok {
		c.violation("INV-10", m.appid, e, "the merchant is not well again, though it could have been saved since %v: server shows %q: %s", since, e.State, e.Note)
		return
	}
	c.report.Lost["unsettled"]++
}
