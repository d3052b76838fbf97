//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan/internal/services/servicetest"
	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/simulator/simtest"
)

const bootstrapKey = "0123456789abcdef0123456789abcdef"

// replica is a server in a process of its own.
type replica struct {
	cmd           *exec.Cmd
	public, admin string // base URLs
	logged        chan struct{}
}

// startReplica runs the server on a database and waits until it is ready.
func startReplica(t *testing.T, dir, storage string, n int, sim *simtest.Sim, c simulator.Component) *replica {
	t.Helper()
	file := filepath.Join(dir, fmt.Sprintf("%d.yaml", n))
	text := fmt.Sprintf(`
public: {listen: "127.0.0.1:0", base_url: "http://127.0.0.1"}
admin: {listen: "127.0.0.1:0"}
gateway: {listen: "127.0.0.1:0"}
storage: %q
spill_file: %q
master_key_file: %q
wechat: {api_base_urls: [%q], mp_base_url: %q, open_base_url: %q}
bootstrap:
  api_key: %s
  components: [{appid: %s, secret: %s, token: %s, encoding_aes_key: %s}]
`, storage, filepath.Join(dir, "spill"), filepath.Join(dir, "master.key"), sim.URL, sim.URL, sim.URL,
		bootstrapKey, c.AppID, c.Secret, c.Token, c.EncodingAESKey)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], "serve", "--config", file)
	cmd.Env = append(os.Environ(), "TUOGUAN_TEST_MAIN=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &replica{cmd: cmd, logged: make(chan struct{})}
	ready := make(chan [2]string, 1)
	var said strings.Builder
	go func() {
		defer close(r.logged)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			var line struct {
				Msg    string `json:"msg"`
				Public string `json:"public_addr"`
				Admin  string `json:"admin_addr"`
			}
			said.Write(append(lines.Bytes(), '\n'))
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
				ready <- [2]string{"http://" + line.Public, "http://" + line.Admin}
			}
		}
		_, _ = io.Copy(io.Discard, stderr)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Process.Signal(syscall.SIGCONT)
		<-r.logged
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("replica %d:\n%s", n, said.String())
		}
	})
	select {
	case at := <-ready:
		r.public, r.admin = at[0], at[1]
	case <-r.logged:
		t.Fatalf("replica %d ended:\n%s", n, said.String())
	}
	return r
}

// call makes one request to the admin listener.
func (r *replica) call(ctx context.Context, method, path, body string) (status int, reply string, err error) {
	request, err := http.NewRequestWithContext(ctx, method, r.admin+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Authorization", "Bearer "+bootstrapKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	return response.StatusCode, string(raw), err
}

// balancer takes the platform's pushes to the replicas in turn.
type balancer struct {
	mu       sync.Mutex
	replicas []*replica
	next     int
}

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	target := b.replicas[b.next%len(b.replicas)].public
	b.next++
	b.mu.Unlock()
	u, _ := url.Parse(target)
	httputil.NewSingleHostReverseProxy(u).ServeHTTP(w, r)
}

// cluster is a platform and several replicas on one database.
type cluster struct {
	sim       *simtest.Sim
	component simulator.Component
	balancer  *balancer
	replicas  []*replica
	storage   string
	dir       string
}

func newCluster(t *testing.T, storage string, replicas int) *cluster {
	t.Helper()
	c := &cluster{balancer: &balancer{}, storage: storage, dir: t.TempDir()}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	front := &http.Server{Handler: c.balancer}
	done := make(chan struct{})
	go func() { defer close(done); _ = front.Serve(socket) }()
	t.Cleanup(func() { _ = front.Close(); <-done })
	c.sim = simtest.Start(t, simulator.Config{Seed: 1, Faults: simtest.Faults(t, simulator.PresetOff)})
	c.component = simtest.Register(t, c.sim.Simulator, simtest.Component("cluster", "http://"+socket.Addr().String()))
	for n := range replicas {
		c.replicas = append(c.replicas, startReplica(t, c.dir, storage, n, c.sim, c.component))
	}
	c.balancer.replicas = c.replicas
	if _, err := c.sim.PushTicket(t.Context(), c.component.AppID); err != nil {
		t.Fatal(err)
	}
	return c
}

// authorize lets a new merchant authorize, and waits until the server has a token.
func (c *cluster) authorize(t *testing.T) (appid string) {
	t.Helper()
	a, err := c.sim.AddAccount(simulator.Account{Kind: simulator.OfficialAccount})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.sim.Authorize(t.Context(), a.AppID, simulator.AuthorizeRequest{ComponentAppID: c.component.AppID}); err != nil {
		t.Fatal(err)
	}
	for {
		status, _, err := c.replicas[0].call(t.Context(), "GET", "/v1/authorizers/"+a.AppID+"/access-token", "")
		if err != nil {
			t.Fatal(err)
		}
		if status == http.StatusOK {
			return a.AppID
		}
	}
}

// refreshes counts the refreshes of an account at the platform since an entry of its journal.
func (c *cluster) refreshes(after uint64) (n int) {
	for _, e := range c.sim.Journal(after, 1<<20) {
		if e.Kind == simulator.KindRequest && strings.Contains(e.Path, "api_authorizer_token") {
			n++
		}
	}
	return n
}

func (c *cluster) journalEnd() uint64 {
	var last uint64
	for _, e := range c.sim.Journal(0, 1<<20) {
		last = e.Seq
	}
	return last
}

func databases(t *testing.T) map[string]func(testing.TB, ...string) string {
	t.Helper()
	return map[string]func(testing.TB, ...string) string{"PostgreSQL": servicetest.Postgres, "MariaDB": servicetest.MariaDB}
}

// Four processes, 64 callers at each, one token that WeChat has refused, and an
// answer that takes its time.
func TestOneRefreshForAllReplicas(t *testing.T) {
	t.Parallel()
	for name, database := range databases(t) {
		for _, latency := range []int{0, 800} {
			t.Run(fmt.Sprintf("%s/%d ms", name, latency), func(t *testing.T) {
				t.Parallel()
				c := newCluster(t, database(t), 4)
				appid := c.authorize(t)
				_, reply, err := c.replicas[0].call(t.Context(), "GET", "/v1/authorizers/"+appid+"/access-token", "")
				if err != nil {
					t.Fatal(err)
				}
				var dead struct {
					AccessToken string `json:"access_token"`
				}
				if err := json.Unmarshal([]byte(reply), &dead); err != nil {
					t.Fatal(err)
				}
				if _, err := c.sim.ExpireTokens("", appid); err != nil {
					t.Fatal(err)
				}
				faults := c.sim.Faults()
				faults.ReplyLatencyMS = latency
				if err := c.sim.SetFaults(faults); err != nil {
					t.Fatal(err)
				}
				before := c.journalEnd()
				report, _ := json.Marshal(dead)

				var mu sync.Mutex
				tokens := make(map[string]int)
				var callers sync.WaitGroup
				for _, r := range c.replicas {
					for range 64 {
						callers.Go(func() {
							status, reply, err := r.call(t.Context(), "POST", "/v1/authorizers/"+appid+"/access-token/invalid", string(report))
							var got struct {
								AccessToken string `json:"access_token"`
							}
							if err == nil {
								err = json.Unmarshal([]byte(reply), &got)
							}
							if err != nil || status != http.StatusOK {
								t.Errorf("%d %s %v", status, reply, err)
							}
							mu.Lock()
							defer mu.Unlock()
							tokens[got.AccessToken]++
						})
					}
				}
				callers.Wait()
				if len(tokens) != 1 {
					t.Errorf("%d different tokens", len(tokens))
				}
				for token := range tokens {
					if c.sim.Token(token).Errcode != 0 {
						t.Error("WeChat does not take the token")
					}
				}
				if n := c.refreshes(before); n != 1 {
					t.Errorf("%d refreshes at WeChat, want 1", n)
				}
			})
		}
	}
}

// A replica that has handed out a token hears within a second that another one has
// replaced it, or that the merchant took the authorization back.
func TestReplicasTellEachOther(t *testing.T) {
	t.Parallel()
	for name, database := range databases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, database(t), 2)
			appid := c.authorize(t)
			path := "/v1/authorizers/" + appid + "/access-token"
			token := func(r *replica) (int, string) {
				status, reply, err := r.call(t.Context(), "GET", path, "")
				if err != nil {
					t.Fatal(err)
				}
				return status, reply
			}
			_, old := token(c.replicas[1])
			if status, reply, err := c.replicas[0].call(t.Context(), "POST", "/v1/authorizers/"+appid+"/refresh", ""); err != nil || status != http.StatusOK {
				t.Fatalf("refresh: %d %s %v", status, reply, err)
			}
			_, want := token(c.replicas[0])
			began := time.Now()
			for {
				if _, got := token(c.replicas[1]); got == want && got != old {
					break
				}
				if time.Since(began) > 10*time.Second {
					t.Fatal("the other replica still hands out the old token")
				}
			}
			if took := time.Since(began); took > 5*time.Second { // far more than a second: the machine may be busy
				t.Errorf("it took %v", took)
			}

			if _, err := c.sim.Unauthorize(t.Context(), appid, c.component.AppID); err != nil {
				t.Fatal(err)
			}
			for _, r := range c.replicas {
				for {
					if status, _ := token(r); status == http.StatusConflict {
						break
					}
					if time.Since(began) > 30*time.Second {
						t.Fatal("a revoked token is still handed out")
					}
				}
			}
		})
	}
}

// A replica that is stopped does not keep the others from refreshing for longer than
// its lease lasts, and when it goes on it hands out nothing that was replaced.
func TestStoppedReplicaIsReplaced(t *testing.T) {
	t.Parallel()
	c := newCluster(t, servicetest.Postgres(t), 2)
	appid := c.authorize(t)
	path := "/v1/authorizers/" + appid
	if _, _, err := c.replicas[0].call(t.Context(), "GET", path+"/access-token", ""); err != nil {
		t.Fatal(err)
	}
	// It stops while WeChat answers, with the lease in its hands.
	faults := c.sim.Faults()
	faults.ReplyLatencyMS = 500
	if err := c.sim.SetFaults(faults); err != nil {
		t.Fatal(err)
	}
	before := c.journalEnd()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_, _, _ = c.replicas[0].call(t.Context(), "POST", path+"/refresh", "")
	}()
	for c.refreshes(before) == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := c.replicas[0].cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		status, _, err := c.replicas[1].call(ctx, "POST", path+"/refresh", "")
		if err != nil {
			t.Fatal(err)
		}
		if status == http.StatusOK {
			break
		}
	}
	t.Logf("replaced after %v", time.Since(began).Round(time.Millisecond))
	if took := time.Since(began); took > 25*time.Second { // fifteen, and what a busy machine takes
		t.Errorf("replaced after %v", took)
	}
	if err := c.replicas[0].cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	<-answered
	// The answer that it missed may have been the newest. Both find back to one token.
	for settled := false; !settled; {
		_, a, errA := c.replicas[0].call(ctx, "GET", path+"/access-token", "")
		_, b, errB := c.replicas[1].call(ctx, "GET", path+"/access-token", "")
		status, _, errC := c.replicas[0].call(ctx, "POST", path+"/refresh", "") // fails at first: its own call was cut short
		if err := errors.Join(errA, errB, errC); err != nil {
			t.Fatal(err)
		}
		var token struct {
			AccessToken string `json:"access_token"`
		}
		settled = status == http.StatusOK && json.Unmarshal([]byte(a), &token) == nil && a == b
	}
}

// run runs a command of the same program to its end.
func (c *cluster) run(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "TUOGUAN_TEST_MAIN=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// A backup is restored beside the installation that it comes from. The twin leaves
// the merchants' tokens alone while WeChat pushes to the other one, and takes over by
// itself once the pushes come to it.
func TestTwinFromABackup(t *testing.T) {
	t.Parallel()
	for name, storage := range map[string]func(*testing.T, string) string{
		"SQLite":               func(_ *testing.T, dir string) string { return "sqlite://" + filepath.Join(dir, "twin.db") },
		"SQLite to PostgreSQL": func(t *testing.T, _ string) string { return servicetest.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := t.TempDir()
			c := newCluster(t, "sqlite://"+filepath.Join(first, "first.db"), 1)
			appid := c.authorize(t)
			backup := filepath.Join(first, "backup")
			c.run(t, "backup", "--config", filepath.Join(c.dir, "0.yaml"), "--output", backup)

			config, err := os.ReadFile(filepath.Join(c.dir, "0.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			where := storage(t, first)
			if err := os.WriteFile(filepath.Join(c.dir, "1.yaml"), []byte(strings.Replace(string(config), c.storage, where, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			c.run(t, "restore", "--config", filepath.Join(c.dir, "1.yaml"), backup)
			twin := startReplica(t, c.dir, where, 1, c.sim, c.component)
			path := "/v1/authorizers/" + appid
			before := c.journalEnd()
			for range 20 {
				if status, reply, err := twin.call(t.Context(), "POST", path+"/refresh", ""); err != nil || status != http.StatusServiceUnavailable || !strings.Contains(reply, "#gated") {
					t.Fatalf("refresh by the twin: %d %s %v", status, reply, err)
				}
			}
			if n := c.refreshes(before); n != 0 {
				t.Fatalf("the twin refreshed %d times", n)
			}
			// What it has is still good, so it may be used.
			if status, reply, err := twin.call(t.Context(), "GET", path+"/access-token", ""); err != nil || status != http.StatusOK {
				t.Errorf("token from the twin: %d %s %v", status, reply, err)
			}
			if status, reply, err := twin.call(t.Context(), "GET", "/readyz", ""); err != nil || status != http.StatusOK || !strings.Contains(reply, "gate_closed") {
				t.Errorf("readyz: %d %s %v", status, reply, err)
			}

			c.balancer.mu.Lock()
			c.balancer.replicas = []*replica{twin}
			c.balancer.mu.Unlock()
			if err := c.replicas[0].cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if _, err := c.sim.PushTicket(t.Context(), c.component.AppID); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for {
				status, reply, err := twin.call(ctx, "POST", path+"/refresh", "")
				if err != nil {
					t.Fatal(err)
				}
				if status == http.StatusOK {
					break
				}
				if status != http.StatusServiceUnavailable {
					t.Fatalf("refresh after taking over: %d %s", status, reply)
				}
			}
		})
	}
}
