//go:build unix

package proof

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuoguan/tuoguan/internal/proof/checker"
	"github.com/tuoguan/tuoguan/internal/proof/history"
	"github.com/tuoguan/tuoguan/internal/services"
	"github.com/tuoguan/tuoguan/simulator"
)

// site is one round of a proof: a platform, its merchants, server processes on one
// store, callers, and the history of it all.
type site struct {
	config   Config
	round    Round
	dir      string
	keyFile  string
	apiKey   string
	log      *os.File
	file     *os.File
	record   *history.Recorder
	checker  *checker.Checker
	platform *platform
	replicas []*replica
	store    *backing
	// platformProxies are on the way to the platform, one for each replica, where the
	// round has spells there.
	platformProxies []*services.Proxy

	traffic     *traffic // of a round with traffic, as the following
	subscribers []*subscriber
	decoy       net.Listener // where no server may come

	merchants []*merchant
	suspects  chan *merchant

	work   sync.WaitGroup // processes and servers, until close
	active sync.WaitGroup // callers and merchants, while the round lasts
	pushes pushLog
	disk   sync.Mutex // whoever does something to the disk

	cycles, cuts, spells atomic.Int64
}

// merchant is one account and what the driver knows of it. Its fields are for whoever
// holds busy.
type merchant struct {
	appid    string
	userName string // gh_…
	busy     sync.Mutex
	suspect  atomic.Bool
	standing bool
	told     bool // the last change was acknowledged
	toggle   bool
	changed  time.Time
}

// newSite makes everything but starts no server.
func newSite(ctx context.Context, config Config, round Round, dir string) (_ *site, err error) {
	config.Checker = config.Checker.WithDefaults()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	s := &site{
		config: config, round: round, dir: dir, keyFile: filepath.Join(dir, "master.key"), apiKey: random(48),
		suspects: make(chan *merchant, config.Merchants), checker: checker.New(config.Checker),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.file, err = os.Create(filepath.Join(dir, "history.jsonl")); err != nil {
		return nil, err
	}
	s.record = history.NewRecorder(s.file, s.checker.Add)
	if s.log, err = os.OpenFile(filepath.Join(dir, "server.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return nil, err
	}
	if s.platform, err = newPlatform(ctx, s.record, round.Seed, round.faults(), balancer{s}, s.asked); err != nil {
		return nil, err
	}
	s.work.Go(func() { _ = s.platform.server.Serve(s.platform.listener) })
	if err := s.register(); err != nil {
		return nil, err
	}
	if s.store, err = openBacking(ctx, s); err != nil {
		return nil, err
	}
	for i := range round.Replicas {
		r, err := newReplica(s, i)
		if err != nil {
			return nil, err
		}
		r.wechat = s.platform.listener.Addr().String()
		if slices.ContainsFunc(round.Spells, Spell.ofPlatform) {
			p, err := services.StartProxy(r.wechat)
			if err != nil {
				return nil, err
			}
			s.platformProxies = append(s.platformProxies, p)
			r.wechat = p.Addr()
		}
		if r.storage, err = s.store.url(i); err != nil {
			return nil, err
		}
		s.replicas = append(s.replicas, r)
	}
	return s, nil
}

// asked notes that a process has asked for tokens, of which it is about to hear.
func (s *site) asked(process string) {
	for _, r := range s.replicas {
		if name, _ := r.current(); name == process {
			select {
			case r.asks <- struct{}{}:
			default:
			}
		}
	}
}

// register makes the component and the merchants known to the platform.
func (s *site) register() error {
	c := simulator.Component{
		AppID: "wx" + random(16), Secret: random(32), Token: random(24), EncodingAESKey: random(43),
		EventURL: "http://server.invalid/wx/", EntryDomain: "server.invalid",
	}
	c.MessageURL = c.EventURL + c.AppID + "/message/$APPID$"
	c.EventURL += c.AppID + "/event"
	if _, err := s.platform.sim.AddComponent(c); err != nil {
		return err
	}
	s.platform.component = c
	for range s.config.Merchants {
		a, err := s.platform.sim.AddAccount(simulator.Account{Kind: simulator.OfficialAccount})
		if err != nil {
			return err
		}
		s.merchants = append(s.merchants, &merchant{appid: a.AppID, userName: a.UserName})
	}
	for _, path := range []string{"api_authorizer_token", "api_component_token", "api_query_auth", "api_get_authorizer_info", "api_get_authorizer_list"} {
		// A day's calls happen in minutes here.
		if err := s.platform.sim.SetDailyLimit("/cgi-bin/component/"+path, math.MaxInt32); err != nil {
			return err
		}
	}
	return s.platform.setFaults(s.round.faults())
}

func random(digits int) string {
	b := make([]byte, (digits+1)/2)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)[:digits]
}

// failpointReport is where a process says at which failpoint it acts.
func (s *site) failpointReport(replica int) string {
	return filepath.Join(s.dir, "failpoint"+strconv.Itoa(replica))
}

// died says when a process has died at the earliest, and of what.
func (s *site) died(replica int, err error) (at time.Duration, note string) {
	note = "ended"
	if err != nil {
		note = err.Error()
	}
	file, openErr := os.Open(s.failpointReport(replica))
	if openErr != nil {
		return s.record.Now(), note
	}
	defer file.Close()
	last := ""
	for lines := bufio.NewScanner(file); lines.Scan(); {
		last = lines.Text()
	}
	fields := strings.Fields(last)
	if len(fields) != 3 || fields[1] != "kill" && fields[1] != "panic" {
		return s.record.Now(), note
	}
	nanoseconds, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return s.record.Now(), note
	}
	return s.record.Since(time.Unix(0, nanoseconds)), fields[0]
}

// up returns a replica that answers, or waits for one.
func (s *site) up(ctx context.Context, random *mathrand.Rand) (*replica, error) {
	for {
		first := random.IntN(len(s.replicas))
		for i := range s.replicas {
			r := s.replicas[(first+i)%len(s.replicas)]
			if _, up := r.current(); up {
				return r, nil
			}
		}
		if err := s.replicas[first].awaitUp(ctx); err != nil {
			return nil, err
		}
	}
}

// call asks a server on behalf of a caller and records the answer.
func (s *site) call(ctx context.Context, r *replica, op string, m *merchant) history.Event {
	method, path := http.MethodGet, "/v1/authorizers/"+m.appid
	switch op {
	case history.OpGet:
		path += "/access-token"
	case history.OpRefresh:
		method, path = http.MethodPost, path+"/refresh"
	}
	name, _ := r.current()
	e := history.Event{Kind: history.Answer, Op: op, Process: name, Merchant: m.appid, From: s.record.Now(), Result: history.Cut}
	defer func() { s.record.Add(e) }()
	_, admin := r.addresses()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+admin+path, nil)
	if err != nil {
		e.Note = err.Error()
		return e
	}
	request.Header.Set("Authorization", "Bearer "+s.apiKey)
	reply, err := r.client.Do(request)
	if err != nil {
		return e
	}
	defer reply.Body.Close()
	var body struct {
		Token   string `json:"access_token"`
		State   string `json:"state"`
		Type    string `json:"type"`
		Errcode int    `json:"errcode"`
	}
	raw, err := io.ReadAll(io.LimitReader(reply.Body, 1<<20))
	if err != nil || json.Unmarshal(raw, &body) != nil || r.silenced(name) {
		return e
	}
	e.Status = reply.StatusCode
	switch {
	case reply.StatusCode != http.StatusOK:
		e.Result, e.Errcode = history.Refused, body.Errcode
		_, e.Note, _ = strings.Cut(body.Type, "#")
		switch e.Note {
		case "needs-reauthorization":
			e.State = "needs_reauthorization"
		case "revoked":
			e.State = "revoked"
		}
	case op == history.OpState:
		e.Result, e.State = history.OK, body.State
	default:
		e.Result = history.OK
		if known := s.platform.identify(body.Token); known.kind == history.AccessToken && known.merchant == m.appid {
			e.Access, e.Grant = known.number, known.grant
		}
		status := s.platform.sim.Token(body.Token)
		e.Errcode = status.Errcode
		if status.Current {
			e.Left = time.Until(status.ExpiresAt)
		}
	}
	return e
}

// denied reports whether an answer says that the refresh token is no good.
func denied(e history.Event) bool {
	return e.Result == history.Refused &&
		(e.State == "needs_reauthorization" || e.Status == http.StatusNotFound || e.Errcode == 61023 || e.Errcode == 61003)
}

// caller asks for tokens, and has some refreshed, until ctx ends.
func (s *site) caller(ctx context.Context, random *mathrand.Rand) {
	for ctx.Err() == nil {
		r, err := s.up(ctx, random)
		if err != nil {
			return
		}
		m := s.merchants[random.IntN(len(s.merchants))]
		op := history.OpGet
		if random.Float64() < s.round.Forced {
			op = history.OpRefresh
		}
		e := s.call(ctx, r, op, m)
		if denied(e) {
			s.suspect(m)
		}
		if e.Result != history.OK {
			pause(ctx, time.Millisecond) // what is refused, or cut, now will be so at once again
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// suspect has somebody look after a merchant whose refresh token seems to be dead.
func (s *site) suspect(m *merchant) {
	if m.suspect.CompareAndSwap(false, true) {
		select {
		case s.suspects <- m:
		default:
			m.suspect.Store(false)
		}
	}
}

// nurse lets merchants authorize again whose refresh token nobody could have saved.
func (s *site) nurse(ctx context.Context) {
	for {
		select {
		case m := <-s.suspects:
			m.suspect.Store(false)
			m.busy.Lock()
			s.treat(ctx, m)
			m.busy.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// treat gives up a merchant's refresh token if it is beyond saving. Busy is held.
func (s *site) treat(ctx context.Context, m *merchant) {
	if !m.standing {
		return
	}
	var pending, savable bool
	s.record.Do(func() {
		pending = s.checker.Pending(m.appid)
		_, savable = s.checker.Savable(m.appid)
	})
	if pending || savable {
		return // it has all the time until the faults are over
	}
	s.record.Add(history.Event{Kind: history.Lost, Merchant: m.appid})
	s.authorize(ctx, m)
}

// authorize lets a merchant authorize, or update its authorization, until a server
// has heard of it. Busy is held.
func (s *site) authorize(ctx context.Context, m *merchant) {
	for ctx.Err() == nil {
		m.toggle = !m.toggle
		sets := []int{1, 2, 3, 4}
		if m.toggle {
			sets = []int{1, 2, 3}
		}
		result, err := s.platform.sim.Authorize(ctx, m.appid, simulator.AuthorizeRequest{ComponentAppID: s.platform.component.AppID, PermissionSets: sets})
		if err != nil {
			return // the simulator is being closed
		}
		m.standing, m.told, m.changed = true, result.Accepted, time.Now()
		if result.Accepted {
			return
		}
		pause(ctx, time.Second) // CreateTime has whole seconds: what happens within one has no order
	}
}

// revoke lets a merchant take the authorization back. Busy is held.
func (s *site) revoke(ctx context.Context, m *merchant) {
	result, err := s.platform.sim.Unauthorize(ctx, m.appid, s.platform.component.AppID)
	if err != nil {
		return
	}
	m.standing, m.told, m.changed = false, result.Accepted, time.Now()
}

// live lets merchants decide about their authorizations now and then.
func (s *site) live(ctx context.Context, random *mathrand.Rand) {
	for {
		pause(ctx, time.Duration(random.ExpFloat64()*float64(s.round.Change)))
		if ctx.Err() != nil {
			return
		}
		m := s.merchants[random.IntN(len(s.merchants))]
		if !m.busy.TryLock() {
			continue
		}
		switch {
		case time.Since(m.changed) < 2*time.Second: // see authorize
		case m.standing && random.IntN(3) == 0:
			s.revoke(ctx, m)
		default:
			s.authorize(ctx, m)
		}
		m.busy.Unlock()
	}
}

// chat lets users write to the merchants.
func (s *site) chat(ctx context.Context, random *mathrand.Rand) {
	for {
		pause(ctx, time.Duration(random.ExpFloat64()*float64(s.round.Change)))
		if ctx.Err() != nil {
			return
		}
		m := s.merchants[random.IntN(len(s.merchants))]
		// One who has revoked hears of nothing; the journal has the rest.
		_, _ = s.platform.sim.SendMessage(ctx, m.appid, simulator.Message{
			From: "o" + strconv.Itoa(random.IntN(1000)), Type: "text", Fields: map[string]any{"content": "hello"},
		})
	}
}

// each does something for every merchant, several at a time.
func (s *site) each(ctx context.Context, width int, f func(context.Context, *mathrand.Rand, *merchant)) {
	todo := make(chan *merchant)
	var all sync.WaitGroup
	for i := range width {
		all.Go(func() {
			random := mathrand.New(mathrand.NewPCG(s.round.Seed, uint64(1000+i)))
			for m := range todo {
				f(ctx, random, m)
			}
		})
	}
	for _, m := range s.merchants {
		todo <- m
	}
	close(todo)
	all.Wait()
}

// settle looks at every merchant with all faults off: within a minute it has to be
// as the platform has it, and its refresh token has to work.
func (s *site) settle(ctx context.Context, random *mathrand.Rand, m *merchant) {
	m.busy.Lock()
	defer m.busy.Unlock()
	if !m.told {
		if m.standing {
			s.authorize(ctx, m)
		} else {
			return // it revoked, and every push of it was lost
		}
	}
	deadline := time.Now().Add(s.config.Checker.Recovery + 2*time.Second)
	settled := history.Event{Kind: history.Settled, Merchant: m.appid}
	for try := 0; ; try++ {
		ok, state, note := s.well(ctx, random, m)
		if ok {
			settled.Result, settled.State = history.OK, state
			break
		}
		if ctx.Err() != nil {
			return
		}
		var savable, pending bool
		s.record.Do(func() {
			_, savable = s.checker.Savable(m.appid)
			pending = s.checker.Pending(m.appid)
		})
		if m.standing && !savable && !pending && note != "" {
			s.record.Add(history.Event{Kind: history.Lost, Merchant: m.appid, Note: note})
			s.authorize(ctx, m)
			continue
		}
		if time.Now().After(deadline) {
			settled.Result, settled.State, settled.Note = history.Refused, state, note
			break
		}
		pause(ctx, min(time.Duration(try+1)*20*time.Millisecond, time.Second))
	}
	s.record.Add(settled)
}

// well reports whether a merchant is at a server as it is at the platform.
func (s *site) well(ctx context.Context, random *mathrand.Rand, m *merchant) (ok bool, state, note string) {
	r, err := s.up(ctx, random)
	if err != nil {
		return false, "", ""
	}
	if !m.standing {
		e := s.call(ctx, r, history.OpGet, m)
		if e.Result == history.Refused && (e.State == "revoked" || e.Status == http.StatusNotFound) {
			return true, "revoked", ""
		}
		return false, e.State, "a token is asked for: " + e.Result + " " + e.Note
	}
	e := s.call(ctx, r, history.OpRefresh, m)
	if e.Result != history.OK || e.Errcode != 0 {
		note := ""
		if denied(e) {
			note = fmt.Sprintf("a refresh is answered with status %d, errcode %d %s", e.Status, e.Errcode, e.Note)
		}
		return false, e.State, note
	}
	e = s.call(ctx, r, history.OpState, m)
	return e.State == "active", e.State, "the token is fresh, the state is not"
}

// close ends all processes and releases everything.
func (s *site) close() error {
	var errs []error
	for _, r := range s.replicas {
		if done := r.ended(); done != nil {
			r.kill()
		}
	}
	for _, sub := range s.subscribers {
		sub.kill()
	}
	if s.decoy != nil {
		errs = append(errs, s.decoy.Close())
	}
	if s.platform != nil {
		errs = append(errs, s.platform.server.Close())
		s.platform.sim.Close()
	}
	s.work.Wait()
	for _, p := range s.platformProxies {
		errs = append(errs, p.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.close())
	}
	if s.record != nil {
		errs = append(errs, s.record.Flush())
	}
	for _, f := range []*os.File{s.file, s.log} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
