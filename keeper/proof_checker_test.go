package keeper_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxcrypt"
)

// The bounds of what is asserted.
const (
	// serveMargin is how long a token must live that is handed out (INV-8), and
	// clockMargin how far the clocks of replicas may differ.
	serveMargin = 10 * time.Second
	clockMargin = 300 * time.Millisecond
	// hearsay is after how long every keeper has heard of what one acknowledged (INV-9).
	hearsay = time.Second
	// deadToken is how long a token may still be handed out that was reported (INV-8).
	deadToken = 2 * time.Second
	// crashWindow is how long an answer may be in memory only (INV-1b).
	crashWindow = 50 * time.Millisecond
	// takeOver is how long nobody may look after an authorizer whose keeper is gone (INV-28):
	// the lease, and a look at what is due.
	takeOver = 15*time.Second + 2*time.Second
	// needless is how long an authorization that is well may be parked while nothing is
	// wrong any more.
	needless = 60 * time.Second
)

// checker knows what happened, and says what must not have. The run's lock guards it,
// except where a field says otherwise.
type checker struct {
	issued     map[string]issue // by SHA-256
	merchants  map[string]*merchant
	deliveries []*delivery          // of refresh tokens, since the last restore
	waiting    []*delivery          // those whose way into the history is to be seen
	unsaved    map[string]*node     // who got an access token by a refresh, by SHA-256, until the store has it
	acks       map[string]time.Time // pushes acknowledged, since the last restore
	ticket     time.Time            // CreateTime of the newest
	tickets    int
	counts     counts

	history atomic.Uint64 // sum of the hashes of all that happened

	failing    sync.Mutex // guards the rest
	told       bool
	violations []string
	trace      []string
	events     []string // what the history is the hash of
}

// issue is a secret that the platform made.
type issue struct {
	kind, appid   string
	number, grant uint32
	at            time.Time
}

// delivery is a token set that a node has received.
type delivery struct {
	node    *node
	appid   string
	refresh tuoguan.Secret
	hash    string
	access  string // hash of the access token
	call    string
	at      time.Time
	since   time.Time // from when on it is overdue in the history
	kept    bool
}

// merchant is what is known of one account.
type merchant struct {
	appid string

	// As the platform has it.
	standing bool
	grant    uint32
	newest   uint32 // number of the newest refresh token
	access   uint32 // number of the newest access token

	// What the keepers were told, with an acknowledgement.
	granted, revoked notice
	code             tuoguan.Secret // of the newest authorization
	busy             bool
	quietUntil       time.Time

	// What the keepers heard from the platform.
	denials     []time.Time
	falseDenial time.Time // though the authorization stood
	heard       map[*node]heard
	reported    map[*node]heard // refused, as callers said
	refreshes   int             // answered
	excuses     int             // for more of them

	// As the store had it when last seen.
	known   bool
	record  store.Authorizer
	number  uint32
	parked  time.Duration // needlessly, without a break and with nothing wrong
	overdue bool          // was told of
	claimed time.Time     // when its lease was last taken
	// dueSince is since when the record says when the refresh is due.
	dueSince time.Time
}

// notice is an acknowledged push.
type notice struct {
	grant uint32
	at    time.Time
	by    *node
	to    *cluster
}

// heard is an access token that a node has met: reported by a caller, got with a grant,
// or got by a refresh and saved.
type heard struct {
	number uint32
	at     time.Time
}

func (c *checker) init(told bool) {
	c.told = told
	c.issued = make(map[string]issue)
	c.unsaved = make(map[string]*node)
	c.merchants = make(map[string]*merchant)
	c.acks = make(map[string]time.Time)
}

// failf reports a broken invariant, with what is known of the account.
func (r *run) failf(appid, format string, args ...any) {
	r.failing.Lock()
	defer r.failing.Unlock()
	text := fmt.Sprintf("%v: %s: %s", r.elapsed(), appid, fmt.Sprintf(format, args...))
	// What concerns the account, and of the rest what is recent.
	var known []string
	own, all := 40, 25
	for _, line := range slices.Backward(r.trace) {
		switch {
		case appid != "" && strings.Contains(line, appid) && own > 0:
			own--
		case strings.HasPrefix(line, "! ") && all > 0:
			all--
		default:
			continue
		}
		known = append(known, line)
	}
	slices.Reverse(known)
	r.violations = append(r.violations, text+"\n"+strings.Join(known, "\n"))
}

func (r *run) elapsed() time.Duration { return time.Since(r.began).Round(time.Microsecond) }

// tell notes what happens to one account, for the case of a failure.
func (r *run) tell(appid, format string, args ...any) {
	if r.told {
		r.write("  %v %s: "+format, append([]any{r.elapsed(), appid}, args...)...)
	}
}

// shout notes what happens to all.
func (r *run) shout(format string, args ...any) {
	if r.told {
		r.write("! %v "+format, append([]any{r.elapsed()}, args...)...)
	}
}

func (r *run) write(format string, args ...any) {
	r.failing.Lock()
	defer r.failing.Unlock()
	r.trace = append(r.trace, fmt.Sprintf(format, args...))
}

// traceWriter takes what a keeper logs.
type traceWriter struct{ r *run }

func (w traceWriter) Write(line []byte) (int, error) {
	w.r.write("  %v %s", w.r.elapsed(), bytes.TrimSpace(line))
	return len(line), nil
}

// note adds something that happened to the history. What happens at the same instant
// has no order there.
func (r *run) note(what, key string, by, outcome uint64) {
	h := hashText(hashText(uint64(time.Since(r.began)), what), key)
	r.history.Add(scramble(h ^ scramble(by<<8|outcome)))
	if r.told {
		r.failing.Lock()
		r.events = append(r.events, fmt.Sprintf("%015d %s %s %d %d", time.Since(r.began), what, key, by, outcome))
		r.failing.Unlock()
	}
}

// hashText is FNV-1a.
func hashText(h uint64, text string) uint64 {
	h ^= 14695981039346656037
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return h
}

// scramble is the finalizer of SplitMix64.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// observe follows the platform's journal.
func (r *run) observe(e simulator.Entry) {
	r.note(e.Kind+e.Path+e.Fault, e.AuthorizerAppID+e.SHA256, uint64(e.Number), uint64(e.Status)<<20|uint64(uint32(e.Errcode)))
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.merchants[e.AuthorizerAppID]
	switch {
	case e.Kind == simulator.KindPush:
		r.counts.Pushes++
	case e.Kind == simulator.KindRequest && e.Errcode == 0 && e.Path == "/cgi-bin/component/api_authorizer_token" && e.Presented != nil:
		r.counts.Refreshes++
	case e.Kind != simulator.KindIssue || m == nil:
	case e.State != "":
		m.standing, m.grant = e.State != "unauthorized", e.Grant
		m.excuses += 3
	case e.SHA256 != "":
		r.issued[e.SHA256] = issue{kind: e.Secret, appid: m.appid, number: e.Number, grant: e.Grant, at: e.Time}
		switch e.Secret {
		case "authorizer_refresh_token":
			m.newest = e.Number
		case "authorizer_access_token":
			m.access = e.Number
		}
	}
}

// excuse allows a merchant more refreshes.
func (r *run) excuse(m *merchant, n int) {
	r.mu.Lock()
	m.excuses += n
	r.mu.Unlock()
}

// asks checks whether a node may ask the platform that (INV-31, INV-32).
func (r *run) asks(n *node, call, appid string) {
	r.mu.Lock()
	isTwin := n.cluster == r.twin
	r.mu.Unlock()
	switch {
	case isTwin && (call == "api_authorizer_token" || call == "api_component_token" || call == "api_query_auth"):
		r.failf(appid, "INV-32: %v of the twin calls %s", n, call)
	case call == "api_authorizer_token" && n.cluster.gated():
		r.failf(appid, "INV-31: %v refreshes behind a closed gate", n)
	}
}

// answered notes what a node was answered.
func (r *run) answered(n *node, call, appid string, status int, body []byte) {
	if call != "api_authorizer_token" && call != "api_query_auth" {
		return
	}
	type tokens struct {
		Authorizer string `json:"authorizer_appid"`
		Access     string `json:"authorizer_access_token"`
		Refresh    string `json:"authorizer_refresh_token"`
	}
	var reply struct {
		tokens
		Errcode     any    `json:"errcode"`
		Information tokens `json:"authorization_info"`
	}
	// A reply that is not what it should be may be thrown away: of the simulator's
	// odd replies, those that are valid JSON begin with a key that comes twice.
	if status != http.StatusOK || len(body) > 32<<10 || bytes.HasPrefix(body, []byte(`{"expires_in":1,"errcode":0,`)) || json.Unmarshal(body, &reply) != nil {
		return
	}
	if call == "api_query_auth" {
		reply.tokens, appid = reply.Information, reply.Information.Authorizer
	}
	access := ""
	if reply.Access != "" {
		access = hashOf(reply.Access)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.merchants[appid]
	if m == nil {
		return
	}
	now := time.Now()
	switch code := fmt.Sprint(reply.Errcode); {
	case code == "61003" || code == "61023":
		m.denials = append(m.denials, now)
		if code == "61003" && m.standing {
			m.falseDenial = now
		}
		return
	case reply.Access == "":
		m.excuses++
		return
	}
	if call == "api_authorizer_token" {
		m.refreshes++
		r.unsaved[access] = n
	} else {
		m.heard[n] = heard{number: r.issued[access].number, at: now}
	}
	if reply.Refresh != "" {
		d := &delivery{node: n, appid: appid, refresh: tuoguan.NewSecret(reply.Refresh), hash: hashOf(reply.Refresh), access: access, call: call, at: now, since: now}
		r.waiting = append(r.waiting, d)
		r.deliveries = append(r.deliveries, d)
	}
}

// saved notes that the store has taken what a node got by a refresh. As long as it does
// not, the node hands out what is stored: for how long the platform takes that nobody
// has told it, and callers say when it is refused.
func (r *run) saved(n *node, w store.TokenWrite) {
	r.mu.Lock()
	defer r.mu.Unlock()
	access := hashOf(w.Tokens.AccessToken.Reveal())
	if r.unsaved[access] != n {
		return // another process got it, and left it in the spill file
	}
	delete(r.unsaved, access)
	r.merchants[string(w.Authorizer)].heard[n] = heard{number: r.issued[access].number, at: time.Now()}
}

// observed checks what a keeper reports: what it says to have is in the store (INV-1).
func (r *run) observed(n *node, o keeper.Observation) {
	if o.Kind != "refresh" || o.Result != "ok" || n.dead.Load() {
		return
	}
	appid := string(o.Authorization.Authorizer)
	r.mu.Lock()
	var last *delivery
	for _, d := range slices.Backward(r.waiting) {
		if d.node == n && d.appid == appid && d.call == "api_authorizer_token" {
			last = d
			break
		}
	}
	kept := last == nil || n.cluster != r.main || r.held(last)
	r.mu.Unlock()
	if !kept {
		r.failf(appid, "INV-1: %v reports a refresh whose refresh token is not in the store", n)
	}
}

// died checks what a process takes with it: an answer that is older than a moment is
// in the store or in the spill file (INV-1b).
func (r *run) died(n *node) {
	r.mu.Lock()
	var lost []*delivery
	for _, d := range r.waiting {
		if d.node == n && n.cluster == r.main && time.Since(d.at) > crashWindow && !n.paused() &&
			time.Since(time.Unix(0, n.pausedUntil.Load())) > crashWindow && !r.held(d) && !n.machine.spill.has(d.refresh) {
			lost = append(lost, d)
		}
	}
	for _, m := range r.merchants {
		m.excuses++
	}
	r.mu.Unlock()
	for _, d := range lost {
		r.failf(d.appid, "INV-1b: %v dies with refresh token %d, received %v ago", n, r.issued[d.hash].number, time.Since(d.at))
	}
}

// held reports whether a delivery is in the history. The lock is held.
func (r *run) held(d *delivery) bool {
	if d.kept {
		return true
	}
	history, err := r.main.store.RefreshTokens(context.Background(), r.owner(d.appid).Authorization())
	if err != nil {
		return false
	}
	for _, h := range history {
		if h.Value.Equal(d.refresh) {
			d.kept = true
			return true
		}
	}
	return false
}

// claimed and claimedDue note that somebody looks after an authorizer.
func (r *run) claimed(n *node, key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, appid, ok := strings.Cut(key, "/"); ok && n.cluster == r.main && r.merchants[appid] != nil {
		r.merchants[appid].claimed = time.Now()
	}
}

// A refresh ahead of time is not claimed before it is due, whatever the clock of a
// replica says (INV-33).
func (r *run) claimedDue(n *node, d store.Due) {
	r.claimed(n, d.Lease.Key)
	if early := time.Until(d.RefreshAt); early > clockMargin {
		r.failf(string(d.Authorizer), "INV-33: %v claims a refresh %v before it is due", n, early)
	}
}

// record keeps a push for a replay.
func (r *run) record(q *http.Request, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.recorded) < 100 {
		r.recorded = append(r.recorded, recording{q.Clone(context.Background()), body})
	}
}

// accepted checks the tickets after a push was stored (INV-11).
func (r *run) accepted(n *node, in store.Intake) {
	if in.Ticket == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n.cluster != r.main {
		return
	}
	tickets, err := r.main.store.Tickets(context.Background(), r.id)
	if err != nil || len(tickets) == 0 || len(tickets) < min(r.tickets, 3) || tickets[0].CreatedAt.Before(r.ticket) {
		r.failf("", "INV-11: there are %d tickets, the newest of %v, after one of %v: %v", len(tickets), in.Ticket.CreatedAt, r.ticket, err)
		return
	}
	r.ticket, r.tickets = tickets[0].CreatedAt, len(tickets)
}

// acknowledged notes that the platform was told that a push is stored (INV-13).
func (r *run) acknowledged(n *node, key string, q *http.Request, body []byte) {
	if key == "" { // a copy came meanwhile, and shared the work of the first
		crypter, err := n.keeper.Crypter(r.t.Context(), r.id)
		if err != nil {
			return
		}
		v := q.URL.Query()
		p, err := push.Open(crypter, "", wxcrypt.Query{Timestamp: v.Get("timestamp"), Nonce: v.Get("nonce"), MsgSignature: v.Get("msg_signature")}, body)
		if err != nil {
			return
		}
		key = p.DedupeKey()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n.cluster == r.main {
		r.acks[key] = time.Now()
	}
}

// refused notes that a caller said that a token is refused.
func (r *run) refused(n *node, appid string, token tuoguan.AccessToken) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.merchants[appid]
	m.excuses += 2
	m.reported[n] = heard{number: r.issued[hashOf(token.Value.Reveal())].number, at: time.Now()}
}

// check judges a token that was handed out. It reports whether the platform refuses it.
func (r *run) check(n *node, appid string, token tuoguan.AccessToken, pauses int64) (refused bool) {
	hash := hashOf(token.Value.Reveal())
	status := r.sim.Token(token.Value.Reveal())
	now := time.Now()
	if n.dead.Load() || n.pauses.Load() != pauses {
		return false // nobody sees it, or it was stopped on its way out
	}
	r.note("token", hash, n.id, uint64(status.Errcode))
	r.mu.Lock()
	r.counts.Tokens++
	m, made := r.merchants[appid], r.issued[hash]
	granted, revoked, heard, reported := m.granted, m.revoked, m.heard[n], m.reported[n]
	stored := m.number
	safe := true
	for _, d := range slices.Backward(r.waiting) {
		if d.node == n && d.access == hash {
			safe = n.cluster != r.main || r.held(d)
			break
		}
	}
	r.mu.Unlock()
	told := func(by notice) bool {
		return by.to == n.cluster && now.Sub(by.at) > hearsay && (by.by == n || !n.cutOff())
	}
	lives := made.at.Add(proofTokenLife).Sub(now)
	switch {
	case made.kind != "authorizer_access_token" || made.appid != appid:
		r.failf(appid, "INV-23: %v hands out a token that is not its own: %+v", n, made)
	case lives < serveMargin-clockMargin:
		r.failf(appid, "INV-8: %v hands out a token that lives for %v", n, lives)
	case !safe:
		r.failf(appid, "INV-1: %v hands out a token whose refresh token is not in the store", n)
	case made.grant <= revoked.grant && told(revoked):
		r.failf(appid, "INV-9: %v hands out a token of grant %d, whose revocation %v acknowledged %v ago", n, made.grant, revoked.by, now.Sub(revoked.at))
	case made.grant < granted.grant && told(granted):
		r.failf(appid, "INV-9: %v hands out a token of grant %d, but %v acknowledged grant %d %v ago", n, made.grant, granted.by, granted.grant, now.Sub(granted.at))
	case status.Errcode != 0 && made.number == reported.number && now.Sub(reported.at) > deadToken:
		r.failf(appid, "INV-8: %v hands out token %d, reported to it %v ago", n, made.number, now.Sub(reported.at))
	case status.Errcode != 0 && made.number < heard.number && now.Sub(heard.at) > proofOverlap:
		r.failf(appid, "INV-8: %v hands out token %d, but got and saved token %d %v ago", n, made.number, heard.number, now.Sub(heard.at))
	}
	_ = stored
	return status.Errcode != 0
}

// look compares what the store has with what it had.
func (r *run) look(n *node, id tuoguan.Authorization) {
	r.mu.Lock()
	var broken []string
	defer func() {
		r.mu.Unlock()
		for _, b := range broken {
			r.failf(string(id.Authorizer), "%s", b)
		}
	}()
	m := r.merchants[string(id.Authorizer)]
	if m == nil || n.cluster != r.main {
		return
	}
	a, err := r.main.store.Authorizer(context.Background(), id)
	if errors.Is(err, store.ErrNotFound) {
		return
	}
	fail := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	if err != nil {
		fail("%v", err)
		return
	}
	old, now := m.record, time.Now()
	number := m.number
	if !m.known || !a.Tokens.RefreshToken.Equal(old.Tokens.RefreshToken) {
		number = r.issued[hashOf(a.Tokens.RefreshToken.Reveal())].number
	}
	switch {
	case a.Tokens.RefreshToken.IsZero() && m.number > 0:
		fail("INV-3: the refresh token is gone")
	case number == 0 && !a.Tokens.RefreshToken.IsZero():
		fail("INV-23: the refresh token was never issued to it")
	case !m.known:
	case a.Grant < old.Grant:
		fail("INV-2: the grant goes back from %d to %d", old.Grant, a.Grant)
	case number < m.number:
		fail("INV-2: the refresh token goes back from %d (grant %d) to %d (grant %d)", m.number, old.Grant, number, a.Grant)
	case a.Grant == old.Grant && a.Epoch < old.Epoch:
		fail("INV-7: the epoch goes back from %d to %d", old.Epoch, a.Epoch)
	case a.Grant == old.Grant && old.State == tuoguan.StateRevoked && a.State != old.State:
		fail("INV-9: a revoked authorization becomes %s", a.State)
	}
	if a.State == tuoguan.StateNeedsReauthorization && old.State != a.State && m.known {
		// The keeper writes down a little later what it heard, and later still where it
		// was stopped in between.
		const little = 15 * time.Second
		since := a.Trouble.SuspectSince.Add(-little)
		for _, halt := range r.halts {
			if began, ended := halt[0], halt[1]; !ended.Before(since) && began.Before(a.Trouble.SuspectSince) && began.Add(-little).Before(since) {
				since = began.Add(-little)
			}
		}
		denials := slices.DeleteFunc(slices.Clone(m.denials), func(at time.Time) bool { return at.Before(since) })
		if len(denials) < 2 || denials[len(denials)-1].Sub(denials[0]) < 10*time.Second {
			fail("INV-4: parked after %d denials", len(denials))
		}
		if m.standing && now.Sub(m.falseDenial) > 90*time.Second && r.has(m.appid, m.newest) {
			fail("INV-4: parked though its newest refresh token is in the history and was never denied")
		}
	}
	if r.told && (a.State != old.State || a.Grant != old.Grant || number != m.number) {
		r.tell(m.appid, "%v stores %s, grant %d, epoch %d, refresh token %d", n, a.State, a.Grant, a.Epoch, number)
	}
	if !a.RefreshAt.Equal(old.RefreshAt) {
		m.dueSince = now
	}
	m.known, m.record, m.number = true, a, number
}

// has reports whether the history has the refresh token with the number. The lock is held.
func (r *run) has(appid string, number uint32) bool {
	history, err := r.main.store.RefreshTokens(context.Background(), r.owner(appid).Authorization())
	if err != nil {
		return false
	}
	for _, h := range history {
		if i := r.issued[hashOf(h.Value.Reveal())]; i.appid == appid && i.number == number {
			return true
		}
	}
	return false
}

// inspect looks at what only shows with time.
func (r *run) inspect(step time.Duration) {
	gated := r.main.gated()
	r.mu.Lock()
	now := time.Now()
	type broken struct{ appid, text string }
	var found []broken
	fail := func(appid, format string, args ...any) {
		found = append(found, broken{appid, fmt.Sprintf(format, args...)})
	}
	all, some := !gated, false
	for _, m := range r.main.slots {
		all = all && m.node.well(0)
		some = some || m.node.well(takeOver+clockMargin)
	}
	some = some && !gated
	f := r.sim.Faults()
	all = all && f.False61003 < 1 && f.QuotaExhausted < 1 && f.ListMode == simulator.ListNewest && f.InfoMode == simulator.ListNewest && f.DropReplyAfterProcessing < 0.5
	for _, appid := range r.appids {
		m := r.merchants[appid]
		if gated {
			m.dueSince = now // nothing may be claimed before it opens
		}
		due := m.record.RefreshAt
		if due.Before(m.dueSince) {
			due = m.dueSince
		}
		if late := now.Sub(due); some && m.known && !m.overdue && !m.record.RefreshAt.IsZero() && late > takeOver && now.Sub(m.claimed) > takeOver {
			m.overdue = true
			fail(appid, "INV-28: %s, due %v ago, and nobody has claimed it for %v", m.record.State, late, now.Sub(m.claimed))
		}
		if !all || !m.known || m.record.State != tuoguan.StateNeedsReauthorization || !m.standing || !r.has(appid, m.newest) {
			m.parked = 0
			continue
		}
		if m.parked += step; m.parked > needless {
			fail(appid, "INV-10: parked for %v though its refresh token is good and all is well", m.parked)
			m.parked = -24 * time.Hour
		}
	}
	// A refresh token received is in the history within half a minute of the last fault (INV-5).
	var waiting []*delivery
	for _, d := range r.waiting {
		n := d.node
		switch {
		case r.held(d):
		case n.dead.Load(): // it died with it, or waits in the spill file
			if n.machine.spill.has(d.refresh) {
				waiting = append(waiting, d)
			}
		case !n.well(0):
			d.since = now
			waiting = append(waiting, d)
		case now.Sub(d.since) > 30*time.Second && n.well(30*time.Second):
			fail(d.appid, "INV-5: refresh token %d was received by %v and is not in the history", r.issued[d.hash].number, n)
		default:
			waiting = append(waiting, d)
		}
	}
	r.waiting = waiting
	r.mu.Unlock()
	for _, b := range found {
		r.failf(b.appid, "%s", b.text)
	}
	most := 1
	if r.counts.Pauses > 0 {
		most = 2
	}
	if n := r.sim.Stats().MaxRefreshOverlap; n > most {
		r.failf("", "INV-6: %d refreshes of one authorizer at once", n)
	}
}

// restored forgets what the store cannot have any more.
func (r *run) restored() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting, r.deliveries = nil, nil
	clear(r.acks)
	r.ticket, r.tickets = time.Time{}, 0
	for _, appid := range r.appids {
		m := r.merchants[appid]
		m.known, m.record, m.number = false, store.Authorizer{}, 0
		m.granted, m.revoked = notice{}, notice{}
		m.excuses += 5
	}
}

// converged compares every account with the platform (INV-10). What no push and no
// redirect has told is not asked for before the comparison with the list.
func (r *run) converged(compared bool) {
	n := r.main.next("")
	if n == nil {
		r.failf("", "INV-10: no keeper runs")
		return
	}
	for _, appid := range r.appids {
		info, err := r.sim.Account(appid)
		if err != nil {
			r.t.Fatal(err)
		}
		standing, exchanged := false, false
		for _, a := range info.Authorizations {
			standing, exchanged = a.Standing, a.Exchanged
		}
		r.mu.Lock()
		m := r.merchants[appid]
		told, state := r.tells(m), m.record.State
		r.mu.Unlock()
		if !compared && !told {
			continue
		}
		token, err := n.keeper.Token(r.t.Context(), r.owner(appid))
		// Nobody tells a keeper that a token died early but a caller: first of the one in
		// its memory, then of the one that another keeper got.
		for range 2 {
			if err == nil && r.sim.Token(token.Value.Reveal()).Errcode != 0 {
				r.excuse(m, 2)
				token, err = n.keeper.Invalidate(r.t.Context(), r.owner(appid), token.Value)
			}
		}
		switch {
		case !standing && err == nil:
			r.failf(appid, "INV-10: has revoked, but is served; told %v", told)
		case standing && !exchanged && !told: // nobody can know its refresh token
		case standing && err != nil:
			r.failf(appid, "INV-10: stands, but is not served (%s, compared %v, told %v, exchanged %v): %v", state, compared, told, exchanged, err)
		case standing:
			if status := r.sim.Token(token.Value.Reveal()); status.Errcode != 0 {
				r.failf(appid, "INV-10: stands, but its token is refused with %d; told %v", status.Errcode, told)
			}
		}
	}
}

// tells reports whether the newest decision of a merchant has become known: its push
// was acknowledged, or a redirect has brought its code and that was exchanged. The
// lock is held.
func (r *run) tells(m *merchant) bool {
	if !m.standing {
		return m.grant == 0 || m.revoked.grant == m.grant
	}
	e, err := r.main.store.Exchange(context.Background(), r.id, keeper.HashCode(m.code))
	return m.granted.grant == m.grant || err == nil && e.State == store.ExchangeDone
}

// audit looks at everything once more in the end.
func (r *run) audit() {
	ctx := context.Background()
	if path := os.Getenv("PROOF_TRACE"); path != "" && r.told {
		_ = os.WriteFile(path, []byte(strings.Join(r.trace, "\n")), 0o644)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	fail := func(appid, format string, args ...any) { r.failf(appid, format, args...) }

	// Every push acknowledged is there (INV-13), and once (INV-15, INV-20).
	keys, bodies := make(map[string]bool), make(map[string]bool)
	for after := int64(0); ; {
		page, err := r.main.store.Pushes(ctx, after, 1000)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, p := range page {
			said := p.Kind + string(p.Body)
			if bodies[said] {
				fail(string(p.Authorizer), "INV-15: a push is stored twice: %s", p.Kind)
			}
			keys[p.Key], bodies[said] = true, true
			after = p.ID
		}
		if len(page) == 0 {
			break
		}
	}
	for key, at := range r.acks {
		if !keys[key] {
			fail("", "INV-13: the push %q, acknowledged at %v, is not stored", key, at.Sub(r.began))
		}
	}
	// Every refresh token received is there (INV-1, INV-5), but for what died in memory.
	for _, d := range r.deliveries {
		if !d.node.dead.Load() && !r.held(d) {
			fail(d.appid, "INV-5: refresh token %d, received by %v, is not in the history", r.issued[d.hash].number, d.node)
		}
	}
	// Nobody was refreshed more often than there was a reason (INV-6).
	most := int(time.Since(r.began)/(proofTokenLife/2)) + 1
	for _, appid := range r.appids {
		if m := r.merchants[appid]; m.refreshes > most+3*m.excuses {
			fail(appid, "INV-6: %d refreshes, %d were to be expected and %d excused", m.refreshes, most, m.excuses)
		}
	}
}
