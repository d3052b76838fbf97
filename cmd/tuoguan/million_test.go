//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/services"
	"github.com/tuoguan/tuoguan/internal/services/servicetest"
	"github.com/tuoguan/tuoguan/internal/storage"
	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/simulator/simtest"
	"github.com/tuoguan/tuoguan/store"
)

// crowd is a platform with many merchants and a database that holds all of them,
// every token expired and every refresh due.
type crowd struct {
	sim       *simtest.Sim
	component simulator.Component
	front     *balancer
	dir       string
	storage   string // URL of the database
	calls     calls

	appids        []string // of the merchants, the longest overdue first
	refreshTokens []string // of each
}

// calls notes when refreshes arrive at the platform.
type calls struct {
	mu sync.Mutex
	at []time.Time
}

func (c *calls) observe(e simulator.Entry) {
	if e.Kind != simulator.KindRequest || !strings.HasSuffix(e.Path, "/api_authorizer_token") {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = append(c.at, time.Now())
}

func (c *calls) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.at)
}

// since returns the calls after the first n.
func (c *calls) since(n int) []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.at[n:])
}

// busiest returns the greatest number of calls within one second, wherever it begins.
func busiest(at []time.Time) (most int) {
	first := 0
	for last, t := range at {
		for t.Sub(at[first]) >= time.Second {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}

// newCrowd fills an empty database with merchants. One of them authorizes for real, at
// a server of ours; the others are copies of what that has stored, each with the
// refresh token that the platform knows it by.
func newCrowd(tb testing.TB, storageURL string, merchants int) *crowd {
	tb.Helper()
	c := &crowd{front: &balancer{}, dir: tb.TempDir(), storage: storageURL}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	front := &http.Server{Handler: c.front}
	done := make(chan struct{})
	go func() { defer close(done); _ = front.Serve(socket) }()
	tb.Cleanup(func() { _ = front.Close(); <-done })
	c.sim = simtest.Start(tb, simulator.Config{Seed: 1, Faults: simtest.Faults(tb, simulator.PresetOff), Observe: c.calls.observe})
	c.component = simtest.Register(tb, c.sim.Simulator, simtest.Component("crowd", "http://"+socket.Addr().String()))

	template := c.template(tb)
	defer func() { _ = template.Close() }()
	records := c.multiply(tb, template, merchants)
	filled, err := storage.Open(tb.Context(), c.config(tb, c.storage, 0), storage.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = filled.Close() }()
	began := time.Now()
	if err := filled.Archive.Load(tb.Context(), records); err != nil {
		tb.Fatal(err)
	}
	tb.Logf("%d merchants loaded in %v", merchants, time.Since(began).Round(time.Millisecond))
	return c
}

// configFile writes the configuration of a server on a database. A rate of 0 stands
// for the default.
func (c *crowd) configFile(tb testing.TB, storageURL string, rate int) (file string) {
	tb.Helper()
	file = filepath.Join(c.dir, "config.yaml")
	text := fmt.Sprintf(`
public: {listen: "127.0.0.1:0", base_url: "http://127.0.0.1"}
admin: {listen: "127.0.0.1:0"}
gateway: {listen: "127.0.0.1:0"}
storage: %q
spill_file: %q
master_key_file: %q
wechat: {api_base_urls: [%q], mp_base_url: %q, open_base_url: %q}
refresh: {rate: %d}
bootstrap:
  api_key: %s
  components: [{appid: %s, secret: %s, token: %s, encoding_aes_key: %s}]
`, storageURL, filepath.Join(c.dir, "spill"), filepath.Join(c.dir, "master.key"), c.sim.URL, c.sim.URL, c.sim.URL, rate,
		bootstrapKey, c.component.AppID, c.component.Secret, c.component.Token, c.component.EncodingAESKey)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}

func (c *crowd) config(tb testing.TB, storageURL string, rate int) config.Config {
	tb.Helper()
	cfg, err := config.Load(config.Sources{File: c.configFile(tb, storageURL, rate)})
	if err != nil {
		tb.Fatal(err)
	}
	return cfg
}

// template lets one merchant authorize, and returns the storage that came of it.
func (c *crowd) template(tb testing.TB) *storage.Opened {
	tb.Helper()
	file := "sqlite://" + filepath.Join(c.dir, "template.db")
	r := c.start(tb, file, 0)
	if _, err := c.sim.PushTicket(tb.Context(), c.component.AppID); err != nil {
		tb.Fatal(err)
	}
	a, err := c.sim.AddAccount(simulator.Account{Kind: simulator.OfficialAccount})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := c.sim.Authorize(tb.Context(), a.AppID, simulator.AuthorizeRequest{ComponentAppID: c.component.AppID}); err != nil {
		tb.Fatal(err)
	}
	for known := false; !known; time.Sleep(10 * time.Millisecond) {
		_, reply, err := r.call(tb.Context(), "GET", "/v1/authorizers/"+a.AppID, "")
		if err != nil {
			tb.Fatal(err)
		}
		known = strings.Contains(reply, a.NickName)
	}
	r.stop(tb, syscall.SIGTERM)
	opened, err := storage.Open(tb.Context(), c.config(tb, file, 0), storage.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return opened
}

// setsCopied is how many permission sets each copy of the merchant has.
const setsCopied = 3

// multiply yields what the template holds, with a crowd in the place of its one
// merchant. Refreshes became due one after the other within the last hour.
func (c *crowd) multiply(tb testing.TB, template *storage.Opened, merchants int) iter.Seq2[store.Record, error] {
	tb.Helper()
	byTable := make(map[string][]store.Record)
	for r, err := range template.Archive.Dump(tb.Context()) {
		if err != nil {
			tb.Fatal(err)
		}
		r.Values = slices.Clone(r.Values)
		byTable[r.Table] = append(byTable[r.Table], r)
	}
	seeded, err := c.sim.Seed(c.component.AppID, merchants)
	if err != nil {
		tb.Fatal(err)
	}
	for appid, token := range seeded {
		c.appids, c.refreshTokens = append(c.appids, appid), append(c.refreshTokens, token)
	}
	now := time.Now()
	const epoch = 5 // every merchant was refreshed before
	return func(yield func(store.Record, error) bool) {
		for _, table := range []string{"meta", "components", "tickets"} {
			for _, r := range byTable[table] {
				if value(r, "name") != storage.InstallationSetting && !yield(r, nil) {
					return
				}
			}
		}
		for i, appid := range c.appids {
			token := c.refreshTokens[i]
			sum := sha256.Sum256([]byte(token))
			hash := hex.EncodeToString(sum[:])
			seal := func(field, row, text string) []byte {
				sealed, err := template.Ring.Seal(store.Place{
					Component: tuoguan.ComponentAppID(c.component.AppID), Authorizer: tuoguan.AuthorizerAppID(appid), Field: field, Row: row,
				}, []byte(text))
				if err != nil {
					tb.Error(err)
				}
				return sealed
			}
			due := now.Add(-time.Hour + time.Duration(i)*time.Hour/time.Duration(merchants))
			ok := yield(changed(byTable["authorizers"][0], map[string]any{
				"id": int64(i + 1), "authorizer": appid, "epoch": int64(epoch),
				"access_token": seal("access_token", "1", "expired "+strings.Repeat("x", 128)), "refresh_token": seal("refresh_token", "1", token),
				"obtained_at": due.Add(-time.Hour).UnixMilli(), "expires_at": due.UnixMilli(), "refresh_at": due.UnixMilli(),
				"updated_at": due.Add(-time.Hour).UnixMilli(), // not a change of the last moments
			}), nil) && yield(changed(byTable["refresh_tokens"][0], map[string]any{
				"id": int64(i + 1), "authorizer": appid, "value_hash": hash, "value": seal("refresh_token_history", hash, token),
			}), nil) && yield(store.Record{
				Table: "leases", Columns: []string{"lease_key", "holder", "epoch", "until"},
				Values: []any{c.component.AppID + "/" + appid, "", int64(epoch), int64(0)},
			}, nil)
			for _, r := range byTable["authorizer_permission_sets"][:setsCopied] {
				ok = ok && yield(changed(r, map[string]any{"authorizer": appid}), nil)
			}
			if !ok {
				return
			}
		}
	}
}

func value(r store.Record, column string) any {
	if i := slices.Index(r.Columns, column); i >= 0 {
		return r.Values[i]
	}
	return nil
}

// changed returns a copy of a record with other values in some columns.
func changed(r store.Record, values map[string]any) store.Record {
	r.Values = slices.Clone(r.Values)
	for i, name := range r.Columns {
		if v, ok := values[name]; ok {
			r.Values[i] = v
		}
	}
	return r
}

// member is a server on the crowd's database.
type member struct {
	*replica
	begun time.Time
	said  *bytes.Buffer // to be read after logged
}

// start starts a server and waits until it says that it is ready.
func (c *crowd) start(tb testing.TB, storageURL string, rate int) *member {
	tb.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(tb.Context()), os.Args[0], "serve", "--config", c.configFile(tb, storageURL, rate))
	cmd.Env = append(os.Environ(), "TUOGUAN_TEST_MAIN=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	m := &member{replica: &replica{cmd: cmd, logged: make(chan struct{})}, begun: time.Now(), said: new(bytes.Buffer)}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	ready := make(chan [2]string, 1)
	go func() {
		defer close(m.logged)
		for lines := bufio.NewScanner(io.TeeReader(stderr, m.said)); lines.Scan(); {
			var line struct {
				Msg    string `json:"msg"`
				Public string `json:"public_addr"`
				Admin  string `json:"admin_addr"`
			}
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
				ready <- [2]string{"http://" + line.Public, "http://" + line.Admin}
			}
		}
	}()
	tb.Cleanup(func() {
		if cmd.ProcessState == nil {
			m.stop(tb, syscall.SIGKILL)
		}
		if tb.Failed() {
			tb.Logf("server:\n%s", m.said)
		}
	})
	select {
	case at := <-ready:
		m.public, m.admin = at[0], at[1]
	case <-m.logged:
		tb.Fatal("the server ended")
	}
	c.front.mu.Lock()
	defer c.front.mu.Unlock()
	c.front.replicas = []*replica{m.replica}
	return m
}

// stop ends the server.
func (m *member) stop(tb testing.TB, signal os.Signal) {
	tb.Helper()
	if err := m.cmd.Process.Signal(signal); err != nil {
		tb.Error(err)
	}
	<-m.logged
	_ = m.cmd.Wait() // a kill is an error
}

// awaitReady waits until /readyz says so, and returns how long the server took from its start.
func (m *member) awaitReady(tb testing.TB) time.Duration {
	tb.Helper()
	for {
		if status, _, err := m.call(tb.Context(), "GET", "/readyz", ""); err != nil {
			tb.Fatal(err)
		} else if status == http.StatusOK {
			return time.Since(m.begun)
		}
	}
}

// token asks for the access token of a merchant, and returns how long that took.
func (c *crowd) token(tb testing.TB, m *member, appid string) time.Duration {
	tb.Helper()
	began := time.Now()
	status, reply, err := m.call(tb.Context(), "GET", "/v1/authorizers/"+appid+"/access-token", "")
	took := time.Since(began)
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if err == nil {
		err = json.Unmarshal([]byte(reply), &got)
	}
	if err != nil || status != http.StatusOK {
		tb.Fatalf("%d %s %v", status, reply, err)
	}
	if s := c.sim.Token(got.AccessToken); s.Errcode != 0 || s.AuthorizerAppID != appid {
		tb.Fatalf("the token is no good: %+v", s)
	}
	return took
}

// memory returns a figure of the process in MiB: VmRSS or VmHWM, its peak.
func (m *member) memory(tb testing.TB, figure string) float64 {
	tb.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, figure+":"); ok {
			var kib float64
			if _, err := fmt.Sscan(rest, &kib); err != nil {
				tb.Fatal(err)
			}
			return kib / 1024
		}
	}
	tb.Fatalf("the kernel does not tell %s", figure)
	return 0
}

// processTime returns what a process has used of processors, with the children that it has waited for.
func processTime(tb testing.TB, pid int) time.Duration {
	tb.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0 // it is gone
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	var ticks int64
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			tb.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// ownTime returns what this process has used of processors: the platform's share.
func ownTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// databaseTime returns a function that tells what the servers of a database have used
// of processors: nothing where the database is in our own process.
func databaseTime(tb testing.TB, service *services.Service) func() time.Duration {
	tb.Helper()
	if service == nil {
		return func() time.Duration { return 0 }
	}
	text, err := service.Exec(tb.Context(), "", "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)")
	if err != nil {
		tb.Fatal(err)
	}
	main, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		tb.Fatal(err)
	}
	return func() time.Duration {
		used := processTime(tb, main)
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", main, main))
		if err != nil {
			tb.Fatal(err)
		}
		for _, child := range strings.Fields(string(children)) {
			pid, _ := strconv.Atoi(child)
			used += processTime(tb, pid)
		}
		return used
	}
}

// largePostgres is a PostgreSQL server with the sizes that it has by itself, which are
// larger than those of other tests.
var largePostgres = sync.OnceValues(func() (*services.Service, error) {
	return services.StartPostgres(context.Background(), services.Options{Flags: []string{"-c", "shared_buffers=128MB", "-c", "max_wal_size=1GB"}})
})

// newDatabase returns the URL of an empty database of the kind, and what runs it: nothing
// where that is our own process.
func newDatabase(tb testing.TB, kind string) (url string, service *services.Service) {
	tb.Helper()
	if kind == "SQLite" {
		return "sqlite://" + filepath.Join(tb.TempDir(), "crowd.db"), nil
	}
	service, err := largePostgres()
	servicetest.Require(tb, err)
	name := "crowd" + strings.ToLower(rand.Text())
	if err := service.CreateDatabase(tb.Context(), name); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if _, err := service.Exec(context.Background(), "", "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
	})
	return service.URL(name), service
}

// TestLongCrowd starts a server on many merchants whose tokens have all expired. It is
// ready, and brings a token for the one who is last in the queue, without working off
// the others first or holding them in memory, and it keeps to the limit.
func TestLongCrowd(t *testing.T) {
	const rate = 200
	merchants := 20_000
	if raceEnabled {
		merchants = 2000
	}
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		t.Run(database, func(t *testing.T) {
			url, _ := newDatabase(t, database)
			c := newCrowd(t, url, merchants)
			m := c.start(t, url, rate)
			m.awaitReady(t)
			c.token(t, m, c.appids[merchants-1])
			if n := c.calls.count(); n > merchants/2 {
				t.Errorf("%d others were refreshed before", n)
			}
			c.await(t, 0, 2*rate)
			// What starts at its time may arrive late, and then together with others.
			if n := busiest(c.calls.since(0)); n > rate*3/2 {
				t.Errorf("%d refreshes within a second, at a limit of %d", n, rate)
			}
			c.token(t, m, c.appids[merchants-2])
			peak := m.memory(t, "VmHWM")
			m.stop(t, syscall.SIGTERM)

			url, _ = newDatabase(t, database)
			few := newCrowd(t, url, 2*rate)
			m = few.start(t, url, rate)
			few.await(t, 0, rate)
			least := m.memory(t, "VmHWM")
			m.stop(t, syscall.SIGTERM)
			t.Logf("at most %.1f MiB, and %.1f MiB with few merchants", peak, least)
			if !raceEnabled && peak-least > 24 {
				t.Errorf("%d merchants take %.0f MiB more than %d", merchants, peak-least, 2*rate)
			}
		})
	}
}

// BenchmarkMillion starts servers on databases of 10⁴, 10⁵ and 10⁶ merchants, all of
// whose tokens have expired, beside a platform that answers at once. That runs in this
// process and shares the processors with the server and its database, so the
// processor time of each is reported too.
//
// MILLION_SIZES names other sizes, separated by commas. MILLION_MODE is what becomes of
// a refresh token that was used (static, rotate-grace, rotate-strict).
func BenchmarkMillion(b *testing.B) {
	sizes := os.Getenv("MILLION_SIZES")
	if sizes == "" {
		sizes = "10000,100000,1000000"
	}
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		for size := range strings.SplitSeq(sizes, ",") {
			merchants, err := strconv.Atoi(size)
			if err != nil {
				b.Fatal(err)
			}
			b.Run(database+"/"+size, func(b *testing.B) {
				url, service := newDatabase(b, database)
				c := newCrowd(b, url, merchants)
				if mode := os.Getenv("MILLION_MODE"); mode != "" {
					faults := c.sim.Faults()
					faults.RefreshTokenMode = simulator.RefreshTokenMode(mode)
					if err := c.sim.SetFaults(faults); err != nil {
						b.Fatal(err)
					}
				}
				for b.Loop() {
					c.measure(b, databaseTime(b, service))
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// measure runs a server at the default limit, kills it, and runs others that may go as
// fast as they can.
func (c *crowd) measure(b *testing.B, databaseTime func() time.Duration) {
	const unlimited = 100_000
	report := func(figure string, value float64) { b.ReportMetric(value, figure) }
	milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	last := len(c.appids)
	next := func() string { last--; return c.appids[last] }
	begin := func(phase string, rate int) *member {
		m := c.start(b, c.storage, rate)
		report(phase+"ready-ms", milliseconds(m.awaitReady(b)))
		report(phase+"token-ms", milliseconds(c.token(b, m, next())))
		return m
	}
	ask := func(m *member) (longest time.Duration) {
		for range 20 {
			longest = max(longest, c.token(b, m, next()))
		}
		return longest
	}
	floor := c.claimAndSave(b, 5000)

	// At the limit, which is 500 a second.
	m := begin("", 0)
	limited := c.await(b, 0, min(15_000, len(c.appids)/5))
	report("limited-refreshes/s", limited.rate())
	report("limited-refreshes/s-peak", float64(busiest(c.calls.since(0))))
	report("limited-MiB-peak", m.memory(b, "VmHWM"))
	report("limited-token-ms-max", milliseconds(ask(m)))
	m.stop(b, syscall.SIGKILL)

	// As fast as it can.
	m = begin("restart-", unlimited)
	usage := func() [3]time.Duration {
		return [3]time.Duration{processTime(b, m.cmd.Process.Pid), databaseTime(), ownTime(b)}
	}
	measure := func(suffix string, n int) {
		from := usage()
		did := c.await(b, c.calls.count(), c.calls.count()+n)
		to := usage()
		report("refreshes/s"+suffix, did.rate())
		if suffix == "" {
			report("ratio-to-bare-store", did.rate()/floor)
		}
		for i, who := range []string{"server", "database", "platform"} {
			report(who+"-µs/refresh"+suffix, (to[i]-from[i]).Seconds()*1e6/float64(did.calls))
		}
	}
	warm := c.calls.count() + 500
	c.await(b, warm, warm)
	measure("", min(5000, len(c.appids)/3)) // as many for every size, so that nothing but the size differs
	if len(c.appids) >= 100_000 {
		measure("-later", 40_000)
		report("token-ms-max", milliseconds(ask(m)))
	}
	report("MiB-peak", m.memory(b, "VmHWM"))
	report("MiB-resident", m.memory(b, "VmRSS"))
	m.stop(b, syscall.SIGKILL)

	m = begin("second-restart-", unlimited)
	m.stop(b, syscall.SIGTERM)
}

// claimAndSave has the store alone claim and save so many refreshes, and reports how
// many it does in a second: no server on it can do more.
func (c *crowd) claimAndSave(b *testing.B, n int) (rate float64) {
	opened, err := storage.Open(b.Context(), c.config(b, c.storage, 0), storage.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	ctx := b.Context()
	tokens := make(map[tuoguan.AuthorizerAppID]string)
	for i, appid := range c.appids[:min(len(c.appids), 2*n)] {
		tokens[tuoguan.AuthorizerAppID(appid)] = c.refreshTokens[i]
	}
	var saved atomic.Int64
	began, used := time.Now(), ownTime(b)
	var work errgroup.Group
	claims := make(chan store.Due)
	work.Go(func() error {
		defer close(claims)
		for claimed := 0; claimed < n; {
			due, err := opened.Store.ClaimDue(ctx, time.Now(), "bare", time.Minute, 256)
			if err != nil || len(due) == 0 {
				return err
			}
			for _, d := range due {
				claims <- d
			}
			claimed += len(due)
		}
		return nil
	})
	for range 128 {
		work.Go(func() error {
			for d := range claims {
				now := time.Now()
				_, err := opened.Store.SaveTokens(ctx, store.TokenWrite{
					Authorization: d.Authorization, Grant: 1, Epoch: d.Lease.Epoch,
					Tokens:     tuoguan.TokenSet{AccessToken: tuoguan.NewSecret("expired" + strings.Repeat("x", 128)), ExpiresAt: d.RefreshAt},
					Used:       tuoguan.NewSecret(tokens[d.Authorizer]),
					ObtainedAt: now, RefreshAt: now, Source: store.FromRefresh, Release: d.Lease,
				})
				if err != nil {
					return err
				}
				saved.Add(1)
			}
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		b.Fatal(err)
	}
	rate = float64(saved.Load()) / time.Since(began).Seconds()
	b.ReportMetric(rate, "bare-store-refreshes/s")
	b.ReportMetric((ownTime(b)-used).Seconds()*1e6/float64(saved.Load()), "bare-store-µs/refresh")
	return rate
}

// stretch is a number of refreshes that arrived one after the other.
type stretch struct {
	calls int
	took  time.Duration
}

func (s stretch) rate() float64 { return float64(s.calls) / s.took.Seconds() }

// await waits until so many refreshes have arrived in all, and tells of those after
// the first ones.
func (c *crowd) await(tb testing.TB, first, last int) stretch {
	tb.Helper()
	for n, since := -1, time.Now(); ; time.Sleep(5 * time.Millisecond) {
		now := c.calls.count()
		if now > last {
			at := c.calls.since(first)
			return stretch{len(at) - 1, at[len(at)-1].Sub(at[0])}
		}
		if now != n {
			n, since = now, time.Now()
		} else if time.Since(since) > 30*time.Second {
			tb.Fatalf("nothing is refreshed any more after %d of %d", now, last)
		}
	}
}
