package main

import (
	"bufio"
	"bytes"
	"context"
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
	"syscall"
	"testing"
	"time"

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
	storage   string   // URL of the database
	appids    []string // of the merchants, the longest overdue first
	calls     calls
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
	var refreshTokens []string
	for appid, token := range seeded {
		c.appids, refreshTokens = append(c.appids, appid), append(refreshTokens, token)
	}
	now := time.Now()
	const epoch = 5 // every merchant was refreshed before
	seal := func(place store.Place, text string) ([]byte, error) { return template.Ring.Seal(place, []byte(text)) }
	return func(yield func(store.Record, error) bool) {
		for _, table := range []string{"meta", "components", "tickets"} {
			for _, r := range byTable[table] {
				if value(r, "name") != storage.InstallationSetting && !yield(r, nil) {
					return
				}
			}
		}
		for i, appid := range c.appids {
			place := store.Place{Component: tuoguan.ComponentAppID(c.component.AppID), Authorizer: tuoguan.AuthorizerAppID(appid), Row: "1"}
			due := now.Add(-time.Hour + time.Duration(i)*time.Hour/time.Duration(merchants))
			sum := sha256.Sum256([]byte(refreshTokens[i]))
			hash := hex.EncodeToString(sum[:])

			place.Field = "access_token"
			access, err := seal(place, "expired "+strings.Repeat("x", 128)+strconv.Itoa(i))
			if err != nil && !yield(store.Record{}, err) {
				return
			}
			place.Field = "refresh_token"
			refresh, err := seal(place, refreshTokens[i])
			if err != nil && !yield(store.Record{}, err) {
				return
			}
			place.Field, place.Row = "refresh_token_history", hash
			history, err := seal(place, refreshTokens[i])
			if err != nil && !yield(store.Record{}, err) {
				return
			}
			ok := yield(changed(byTable["authorizers"][0], map[string]any{
				"id": int64(i + 1), "authorizer": appid, "access_token": access, "refresh_token": refresh, "epoch": int64(epoch),
				"obtained_at": due.Add(-time.Hour).UnixMilli(), "expires_at": due.UnixMilli(), "refresh_at": due.UnixMilli(),
				"updated_at": due.Add(-time.Hour).UnixMilli(), // not a change of the last moments
			}), nil) && yield(changed(byTable["refresh_tokens"][0], map[string]any{
				"id": int64(i + 1), "authorizer": appid, "value": history, "value_hash": hash,
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

// postgresOnce is a PostgreSQL server with the sizes that it has by itself, which are
// larger than those of other tests.
var postgresOnce = sync.OnceValues(func() (*services.Service, error) {
	return services.StartPostgres(context.Background(), services.Options{Flags: []string{"-c", "shared_buffers=128MB", "-c", "max_wal_size=1GB"}})
})

// BenchmarkMillion starts servers on databases of 10⁴, 10⁵ and 10⁶ merchants, all of
// whose tokens have expired, beside a platform that answers at once. That runs in this
// process and shares the processors with the server and its database, so the
// processor time of each is reported too.
//
// MILLION_SIZES names other sizes, separated by commas; MILLION_RATE is the limit in
// the second half, where the refreshes are to be as fast as they can.
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
				var service *services.Service
				url := "sqlite://" + filepath.Join(b.TempDir(), "crowd.db")
				if database == "PostgreSQL" {
					var err error
					service, err = postgresOnce()
					servicetest.Require(b, err)
					name := "crowd" + size
					if err := service.CreateDatabase(b.Context(), name); err != nil {
						b.Fatal(err)
					}
					url = service.URL(name)
					b.Cleanup(func() {
						if _, err := service.Exec(context.Background(), "", "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
							b.Error(err)
						}
					})
				}
				c := newCrowd(b, url, merchants)
				for b.Loop() {
					c.measure(b, databaseTime(b, service))
				}
			})
		}
	}
}

// measure runs a server at the default limit, kills it, and runs another one as fast
// as it can. The merchants must not come to an end.
func (c *crowd) measure(b *testing.B, databaseTime func() time.Duration) {
	rate := 100_000
	if text := os.Getenv("MILLION_RATE"); text != "" {
		var err error
		if rate, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	last := len(c.appids)
	begin := func(phase string, rate int) *member {
		m := c.start(b, c.storage, rate)
		b.ReportMetric(float64(m.awaitReady(b).Microseconds())/1000, phase+"ready-ms")
		last--
		b.ReportMetric(float64(c.token(b, m, c.appids[last]).Microseconds())/1000, phase+"token-ms")
		return m
	}

	m := begin("", 0)
	limited := min(15_000, len(c.appids)/5)
	before := c.count(b, 0, limited)
	b.ReportMetric(float64(busiest(c.calls.since(0))), "limited-refreshes/s-peak")
	b.ReportMetric(before.rate(), "limited-refreshes/s")
	b.ReportMetric(m.memory(b, "VmHWM"), "limited-MiB-peak")
	m.stop(b, syscall.SIGKILL)

	m = begin("restart-", rate)
	warm := c.calls.count() + 500
	c.count(b, warm, warm)
	usage := func() [3]time.Duration {
		return [3]time.Duration{processTime(b, m.cmd.Process.Pid), databaseTime(), ownTime(b)}
	}
	// As many for every size, so that nothing but the size differs.
	measured := func(suffix string, n int) {
		from := usage()
		did := c.count(b, c.calls.count(), c.calls.count()+n)
		to := usage()
		b.ReportMetric(did.rate(), "refreshes/s"+suffix)
		for i, who := range []string{"server", "database", "platform"} {
			b.ReportMetric((to[i]-from[i]).Seconds()*1e6/float64(did.calls), who+"-µs/refresh"+suffix)
		}
	}
	measured("", min(5000, len(c.appids)/2))
	if more := min(40_000, len(c.appids)-c.calls.count()-10_000); more > 5000 {
		measured("-later", more)
	}
	b.ReportMetric(m.memory(b, "VmHWM"), "MiB-peak")
	b.ReportMetric(m.memory(b, "VmRSS"), "MiB-resident")
	m.stop(b, syscall.SIGKILL)

	m = begin("second-restart-", rate)
	m.stop(b, syscall.SIGTERM)
	b.ReportMetric(0, "ns/op")
}

// stretch is a number of refreshes that arrived one after the other.
type stretch struct {
	calls int
	took  time.Duration
}

func (s stretch) rate() float64 { return float64(s.calls) / s.took.Seconds() }

// count waits until so many refreshes have arrived in all, and tells of those after the first.
func (c *crowd) count(tb testing.TB, first, last int) stretch {
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
