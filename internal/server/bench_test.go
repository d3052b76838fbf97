package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/sqlite"
	"github.com/tuoguan/tuoguan/wxcrypt"
)

// BenchmarkRatioIntake compares receiving pushes over HTTP on 64 connections,
// each verified, decrypted, parsed, sealed and synced to the disk before it is
// acknowledged, with a bare net/http handler that reads the same body and answers
// the same bytes. Both sides alternate within one run and are driven by the same
// client on the same processors, so both include its cost: once net/http's, and
// once the cheapest there can be, which sends requests made beforehand. The
// database is in $BENCH_DIR, or in the directory for temporary files; it should be
// on a real disk.
func BenchmarkRatioIntake(b *testing.B) {
	b.Run("net_http client", func(b *testing.B) { benchmarkIntake(b, newHTTPClient) })
	b.Run("raw client", func(b *testing.B) { benchmarkIntake(b, newRawClient) })
}

func benchmarkIntake(b *testing.B, newClient func(*testing.B, *httptest.Server) client) {
	const (
		connections = 64
		perBatch    = 8192
		component   = "wx0123456789abcdef"
		account     = "wxaaaaaaaaaaaaaaaa"
	)
	dir, err := os.MkdirTemp(os.Getenv("BENCH_DIR"), "intake-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	key, err := seal.NewLocal(bytes.Repeat([]byte{7}, seal.KeySize))
	if err != nil {
		b.Fatal(err)
	}
	db, err := sqlite.Open(b.Context(), sqlite.Config{
		Path: filepath.Join(dir, "bench.db"),
		Keys: func(ctx context.Context, s store.Settings) (store.Cipher, error) { return seal.Open(ctx, key, s) },
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	k, err := keeper.New(keeper.Config{Store: db})
	if err != nil {
		b.Fatal(err)
	}
	settings := wxcrypt.Config{AppID: component, Token: "BenchToken", EncodingAESKey: strings.Repeat("a", 43)}
	if err := k.PutComponent(b.Context(), store.Component{
		AppID: component, Secret: tuoguan.NewSecret("secret"), Token: tuoguan.NewSecret(settings.Token), EncodingAESKey: tuoguan.NewSecret(settings.EncodingAESKey),
	}); err != nil {
		b.Fatal(err)
	}
	authorization := tuoguan.Authorization{Component: component, Authorizer: account}
	grant := store.Grant{Authorization: authorization, Tokens: tuoguan.TokenSet{RefreshToken: tuoguan.NewSecret("refresh")}, ObtainedAt: time.Now(), Source: store.FromExchange}
	if _, _, err := db.SaveGrant(b.Context(), grant); err != nil {
		b.Fatal(err)
	}
	if err := db.SaveProfile(b.Context(), authorization, store.Profile{Grant: 1, UserName: "gh_0123456789ab", ReadAt: time.Now()}); err != nil {
		b.Fatal(err)
	}
	handler, err := push.NewHandler(push.Config{Components: k, Sink: k, Accounts: k})
	if err != nil {
		b.Fatal(err)
	}
	ours := httptest.NewServer(handler)
	b.Cleanup(ours.Close)
	floor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "success")
	}))
	b.Cleanup(floor.Close)

	crypter, err := wxcrypt.New(settings)
	if err != nil {
		b.Fatal(err)
	}
	var messages atomic.Int64
	// batch makes requests that nobody has seen before.
	batch := func() []request {
		requests := make([]request, perBatch)
		for i := range requests {
			id := strconv.FormatInt(24_000_000_000_000_000+messages.Add(1), 10)
			plain := []byte("<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName><FromUserName><![CDATA[oSim0001]]></FromUserName><CreateTime>1700000600</CreateTime>" +
				"<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[how much is it?]]></Content><MsgId>" + id + "</MsgId></xml>")
			encrypt, err := crypter.Encrypt(plain, wxcrypt.Current)
			if err != nil {
				b.Fatal(err)
			}
			timestamp := strconv.FormatInt(time.Now().Unix(), 10)
			query := url.Values{
				"signature": {crypter.Sign(timestamp, id, nil, wxcrypt.Current)}, "timestamp": {timestamp}, "nonce": {id},
				"encrypt_type": {"aes"}, "msg_signature": {crypter.Sign(timestamp, id, encrypt, wxcrypt.Current)},
			}
			body := fmt.Sprintf("<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName><Encrypt><![CDATA[%s]]></Encrypt></xml>", encrypt)
			target := "/wx/" + component + "/message/" + account + "?" + query.Encode()
			requests[i] = request{target: target, body: body, raw: fmt.Appendf(nil,
				"POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s", target, len(body), body)}
		}
		return requests
	}
	dial := func(server *httptest.Server) []client {
		clients := make([]client, connections)
		for i := range clients {
			clients[i] = newClient(b, server)
		}
		return clients
	}
	sides := [2][]client{dial(ours), dial(floor)}
	var spent [2]time.Duration
	for b.Loop() {
		b.StopTimer()
		requests := batch()
		b.StartTimer()
		for side, clients := range sides {
			began := time.Now()
			var next atomic.Int64
			var all sync.WaitGroup
			for _, c := range clients {
				all.Go(func() {
					for {
						i := next.Add(1) - 1
						if i >= perBatch {
							return
						}
						if err := c.send(requests[i]); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			spent[side] += time.Since(began)
		}
	}
	b.StopTimer()
	last, err := db.Pushes(b.Context(), messages.Load()-1, 10)
	if err != nil || len(last) != 1 {
		b.Errorf("%d pushes were sent, and the store has not as many (%d beyond the last but one, %v)", messages.Load(), len(last), err)
	}
	pushes := float64(b.N * perBatch)
	b.ReportMetric(spent[1].Seconds()/spent[0].Seconds(), "ratio")
	b.ReportMetric(pushes/spent[0].Seconds(), "pushes/s")
	b.ReportMetric(pushes/spent[1].Seconds(), "floor/s")
	b.ReportMetric(0, "ns/op")
}

// request is a push ready to be sent.
type request struct {
	target, body string
	raw          []byte // the same as it goes over the wire
}

// client sends one request after the other on one connection.
type client interface{ send(r request) error }

// httpClient is net/http's.
type httpClient struct {
	base   string
	client *http.Client
}

func newHTTPClient(b *testing.B, server *httptest.Server) client {
	transport := &http.Transport{MaxConnsPerHost: 1, DisableCompression: true}
	b.Cleanup(transport.CloseIdleConnections)
	return &httpClient{base: server.URL, client: &http.Client{Transport: transport}}
}

func (c *httpClient) send(r request) error {
	resp, err := c.client.Post(c.base+r.target, "text/xml", strings.NewReader(r.body))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return judge(resp.StatusCode, body)
}

func judge(status int, body []byte) error {
	if status != http.StatusOK || string(body) != "success" {
		return fmt.Errorf("answered %d %q", status, body)
	}
	return nil
}

// rawClient writes requests made beforehand and reads no more of an answer than it must.
type rawClient struct {
	conn   net.Conn
	reader *bufio.Reader
}

func newRawClient(b *testing.B, server *httptest.Server) client {
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return &rawClient{conn: conn, reader: bufio.NewReader(conn)}
}

func (c *rawClient) send(r request) error {
	if _, err := c.conn.Write(r.raw); err != nil {
		return err
	}
	status, length := 0, 0
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		if rest, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 ")); ok && len(rest) > 3 {
			status, _ = strconv.Atoi(string(rest[:3]))
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		}
		if len(line) == len("\r\n") {
			break
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(c.reader, body); err != nil {
		return err
	}
	return judge(status, body)
}
