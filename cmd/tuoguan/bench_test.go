package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan/simulator/simtest"
)

// TestMain lets benchmarks and tests start this very program.
func TestMain(m *testing.M) {
	if os.Getenv("TUOGUAN_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// BenchmarkServerStart starts the server on an existing database, in a process of
// its own, and reports how long it takes until /healthz answers, and how much
// memory is resident once it has idled for two seconds.
func BenchmarkServerStart(b *testing.B) {
	dir := b.TempDir()
	public, admin, gateway := freeAddress(b), freeAddress(b), freeAddress(b)
	component := simtest.Component("bench", "http://"+public)
	file := filepath.Join(dir, "config.yaml")
	config := fmt.Sprintf(`
public: {listen: %q, base_url: "http://%s"}
admin: {listen: %q}
gateway: {listen: %q}
storage: "sqlite://%s/bench.db"
master_key_file: "%s/master.key"
wechat: {api_base_urls: ["http://127.0.0.1:1"], mp_base_url: "http://127.0.0.1:1", open_base_url: "http://127.0.0.1:1"}
bootstrap: {api_key: "0123456789abcdef0123456789abcdef", components: [{appid: %q, secret: %q, token: %q, encoding_aes_key: %q}]}
`, public, public, admin, gateway, dir, dir, component.AppID, component.Secret, component.Token, component.EncodingAESKey)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	run := func(idle time.Duration) (start time.Duration, resident float64) {
		cmd := exec.CommandContext(context.Background(), self, "serve", "--config", file)
		cmd.Env = append(os.Environ(), "TUOGUAN_TEST_MAIN=1")
		began := time.Now()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		for {
			resp, err := http.Get("http://" + admin + "/healthz")
			if err == nil {
				_ = resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					break
				}
			}
			if time.Since(began) > 10*time.Second {
				b.Fatal("the server does not come up")
			}
			time.Sleep(time.Millisecond)
		}
		start = time.Since(began)
		time.Sleep(idle)
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		if err != nil {
			b.Fatal(err)
		}
		for line := range strings.Lines(string(status)) {
			if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				var kib float64
				if _, err := fmt.Sscan(rest, &kib); err != nil {
					b.Fatal(err)
				}
				resident = kib / 1024
			}
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			b.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			b.Fatalf("the server did not end well: %v", err)
		}
		return start, resident
	}
	run(0) // makes the database
	var started time.Duration
	var resident float64
	n := 0
	for b.Loop() {
		start, rss := run(2 * time.Second)
		started += start
		resident = max(resident, rss)
		n++
	}
	b.ReportMetric(float64(started.Milliseconds())/float64(n), "ms/start")
	b.ReportMetric(resident, "MiB-resident")
	b.ReportMetric(0, "ns/op")
}

// freeAddress returns an address of loopback that nobody listens on.
func freeAddress(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
