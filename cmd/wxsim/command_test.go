package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// start runs wxsim until the test ends and returns what it printed.
func start(t *testing.T, args ...string) addresses {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	c := newCommand(in, io.Discard)
	c.SetArgs(append([]string{"--json", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"}, args...))
	done := make(chan error, 1)
	go func() {
		err := c.ExecuteContext(ctx)
		in.CloseWithError(io.EOF)
		done <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("wxsim ended with %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		cancel()
		t.Fatalf("nothing printed: %v; %v", err, <-done)
	}
	var at addresses
	if err := json.Unmarshal(line, &at); err != nil {
		t.Fatal(err)
	}
	return at
}

func get(t *testing.T, c *http.Client, address string) string {
	t.Helper()
	resp, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestConfigurationFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "wxsim.yaml")
	text := `
seed: 42
faults: {preset: off, late_push: 0.25, authorizer_token_ttl: 90}
quotas: {/cgi-bin/menu/create: 2}
accounts:
  - {appid: wxaaaaaaaaaaaaaaaa, kind: mini_program, nick_name: 小店}
components:
  - appid: wx0123456789abcdef
    secret: 0123456789abcdef0123456789abcdef
    token: sometoken
    encoding_aes_key: abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG
    event_url: http://127.0.0.1:1/event
    message_url: http://127.0.0.1:1/message/$APPID$
    entry_domain: 127.0.0.1:1
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	at := start(t, "--config", path)
	if at.Seed != 42 {
		t.Errorf("seed %d", at.Seed)
	}
	for call, want := range map[string]string{
		"/components":                  `"appid":"wx0123456789abcdef"`,
		"/accounts/wxaaaaaaaaaaaaaaaa": `"nick_name":"小店"`,
		"/faults":                      `"late_push":0.25`,
	} {
		if got := get(t, http.DefaultClient, at.Control+call); !strings.Contains(got, want) {
			t.Errorf("%s: %s lacks %s", call, got, want)
		}
	}
	if got := get(t, http.DefaultClient, at.Platform+"/cgi-bin/getcallbackip"); !strings.Contains(got, `"errcode":41001`) {
		t.Errorf("platform: %s", got)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := start(t, "--faults", "off", "--tls", "--tls-dir", dir)
	pem, err := os.ReadFile(at.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("the CA file holds no certificate")
	}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(at.Platform, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) { // as /etc/hosts would
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
		},
	}}
	t.Cleanup(client.CloseIdleConnections)
	for _, host := range []string{"api.weixin.qq.com", "api2.weixin.qq.com", "mp.weixin.qq.com", "open.weixin.qq.com", "localhost", "127.0.0.1"} {
		if got := get(t, client, "https://"+host+"/cgi-bin/getcallbackip"); !strings.Contains(got, "41001") {
			t.Errorf("%s: %s", host, got)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "ca-key.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the CA's key: %v, %v", info, err)
	}
	if again := start(t, "--tls", "--tls-dir", dir); again.CA != at.CA {
		t.Errorf("CA %s", again.CA)
	}
	if now, err := os.ReadFile(at.CA); err != nil || !bytes.Equal(now, pem) {
		t.Errorf("the CA was not kept: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("faluts: {preset: off}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"control beyond loopback", []string{"--control", "0.0.0.0:0"}, "--allow-remote-control"},
		{"unknown preset", []string{"--faults", "evil"}, "hostile"},
		{"unknown key", []string{"--config", bad}, "faluts"},
		{"no such file", []string{"--config", bad + "x"}, "no such file"},
		{"argument", []string{"x"}, "unknown command"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd := newCommand(io.Discard, io.Discard)
			cmd.SetArgs(append([]string{"--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"}, c.args...))
			if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v does not mention %s", err, c.want)
			}
		})
	}
}

func TestHelpTeaches(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := newCommand(&out, io.Discard)
	c.SetArgs([]string{"--help"})
	if err := c.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"curl -X POST localhost:8091/components", "--faults", "release-check", "/journal"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the help lacks %s", want)
		}
	}
}
