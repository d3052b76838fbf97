package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkRatioGateway compares calls through the gateway on 64 connections with the
// same calls through net/http/httputil's ReverseProxy with pooled buffers and as many
// idle connections, and with nginx where it is installed. All stand before the same
// WeChat, take turns within one run, and are driven by the same client on the same
// processors, so that each side includes its cost.
func BenchmarkRatioGateway(b *testing.B) {
	wechat := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json; encoding=utf-8")
		_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
	}
	b.Run("message", func(b *testing.B) {
		body := `{"touser":"oUser","msgtype":"text","text":{"content":"` + strings.Repeat("x", 200) + `"}}`
		benchmarkGateway(b, wechat, "POST", "/cgi-bin/message/custom/send", body)
	})
	b.Run("read", func(b *testing.B) {
		reply := []byte(`{"subscribe":1,"openid":"oUser","remark":"` + strings.Repeat("x", 400) + `"}`)
		benchmarkGateway(b, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json; encoding=utf-8")
			_, _ = w.Write(reply)
		}, "GET", "/cgi-bin/user/info?openid=oUser&lang=zh_CN", "")
	})
}

func benchmarkGateway(b *testing.B, wechat http.HandlerFunc, method, path, body string) {
	const connections, perTurn = 64, 1024
	server := httptest.NewServer(wechat)
	b.Cleanup(server.Close)
	s, _ := newStub(b, options{baseURLs: []string{server.URL}}, nil)
	target, err := url.Parse(server.URL)
	if err != nil {
		b.Fatal(err)
	}
	floor := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Authorization")
			r.Out.URL.RawQuery += "&access_token=77_benchTokenBenchTokenBenchTokenBenchToken"
		},
		Transport:  &http.Transport{MaxIdleConns: 512, MaxIdleConnsPerHost: 128, DisableCompression: true},
		BufferPool: &bufferPool{},
	})
	b.Cleanup(floor.Close)
	sides := []side{{name: "ours", url: s.url + "/as/" + stubAccount + path}, {name: "floor", url: floor.URL + path}}
	if nginx := startNginx(b, target.Host); nginx != "" {
		sides = append(sides, side{name: "nginx", url: nginx + path})
	}
	transport := &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true}
	b.Cleanup(transport.CloseIdleConnections)
	turn := func(sd *side) {
		latencies := make([][]time.Duration, connections)
		var next atomic.Int64
		var all sync.WaitGroup
		began := time.Now()
		for i := range latencies {
			all.Go(func() {
				for next.Add(1) <= perTurn {
					start := time.Now()
					if err := once(transport, method, sd.url, body, s.key); err != nil {
						b.Error(sd.name, err)
						return
					}
					latencies[i] = append(latencies[i], time.Since(start))
				}
			})
		}
		all.Wait()
		sd.spent += time.Since(began)
		sd.latencies = append(sd.latencies, slices.Concat(latencies...)...)
	}
	for i := range sides { // connections are opened
		turn(&sides[i])
		sides[i].spent, sides[i].latencies = 0, nil
	}
	turns := 0
	for b.Loop() {
		for i := range sides {
			turn(&sides[(i+turns)%len(sides)])
		}
		turns++
	}
	for _, sd := range sides {
		b.ReportMetric(float64(turns*perTurn)/sd.spent.Seconds(), sd.name+"/s")
		b.ReportMetric(float64(sd.p99().Microseconds()), sd.name+"-p99-µs")
	}
	b.ReportMetric(sides[1].spent.Seconds()/sides[0].spent.Seconds(), "ratio")
	b.ReportMetric(sides[0].p99().Seconds()/sides[1].p99().Seconds(), "p99-ratio")
	b.ReportMetric(0, "ns/op")
}

type side struct {
	name, url string
	spent     time.Duration
	latencies []time.Duration
}

func (s *side) p99() time.Duration {
	slices.Sort(s.latencies)
	return s.latencies[len(s.latencies)*99/100]
}

func once(transport *http.Transport, method, target, body, key string) error {
	r, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	response, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return err
}

type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) Get() []byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 32<<10)
}

func (p *bufferPool) Put(b []byte) { p.pool.Put(&b) }

// startNginx starts nginx as a reverse proxy before upstream and returns its address;
// "" where it is not installed.
func startNginx(b *testing.B, upstream string) string {
	b.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx"
		if _, err := os.Stat(program); err != nil {
			if os.Getenv("REQUIRE_TOOLS") != "" {
				b.Fatal("nginx is missing")
			}
			b.Log("nginx is missing: measured without it")
			return ""
		}
	}
	dir := b.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	config := fmt.Sprintf(`
worker_processes auto; daemon off; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 1024; }
http {
  access_log off; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  keepalive_requests 100000000;
  upstream wechat { server %[2]s; keepalive 128; keepalive_requests 100000000; }
  server { listen %[3]s; location / { proxy_pass http://wechat; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Authorization ""; } }
}
`, dir, upstream, address)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, program, "-p", dir, "-c", file)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) } // its workers end with it
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cancel()
		_ = command.Wait()
	})
	for range 200 {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return "http://" + address
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.Fatal("nginx does not listen")
	return ""
}
