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
	)
	in := newIntake(b, benchSQLite(b), nil)
	ours := httptest.NewServer(in.handler)
	b.Cleanup(ours.Close)
	bare := httptest.NewServer(http.HandlerFunc(bare))
	b.Cleanup(bare.Close)

	dial := func(server *httptest.Server) []client {
		clients := make([]client, connections)
		for i := range clients {
			clients[i] = newClient(b, server)
		}
		return clients
	}
	sides := [][]client{dial(ours), dial(bare)}
	spent := make([]time.Duration, len(sides))
	for b.Loop() {
		b.StopTimer()
		requests := in.batch(perBatch)
		b.StartTimer()
		for side, clients := range sides {
			spent[side] += sendAll(b, clients, requests)
		}
	}
	b.StopTimer()
	in.check(b)
	pushes := float64(b.N * perBatch)
	b.ReportMetric(spent[1].Seconds()/spent[0].Seconds(), "ratio")
	b.ReportMetric(pushes/spent[0].Seconds(), "pushes/s")
	b.ReportMetric(pushes/spent[1].Seconds(), "floor/s")
	b.ReportMetric(0, "ns/op")
}

// sendAll has clients send requests, each the next one, and returns how long that took.
func sendAll(b *testing.B, clients []client, requests []request) time.Duration {
	began := time.Now()
	var next atomic.Int64
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(requests)); i = next.Add(1) - 1 {
				if err := c.send(requests[i]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return time.Since(began)
}

// bare is the floor: it reads a push and answers as ours does, and nothing else.
func bare(w http.ResponseWriter, r *http.Request) {
	body := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "success")
}

// benchKeys opens the cipher of stores that are measured.
func benchKeys(b *testing.B) store.Keys {
	key, err := seal.NewLocal(bytes.Repeat([]byte{7}, seal.KeySize))
	if err != nil {
		b.Fatal(err)
	}
	return func(ctx context.Context, s store.Settings) (store.Cipher, error) { return seal.Open(ctx, key, s) }
}

// benchSQLite opens a store in $BENCH_DIR.
func benchSQLite(b *testing.B) store.Store {
	dir, err := os.MkdirTemp(os.Getenv("BENCH_DIR"), "intake-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	db, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(dir, "bench.db"), Keys: benchKeys(b)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return db
}

// intake is what receives pushes of one account, and makes them.
type intake struct {
	store    store.Store
	handler  *push.Handler
	crypter  *wxcrypt.Crypter
	messages int64
}

const (
	benchComponent = "wx0123456789abcdef"
	benchAccount   = "wxaaaaaaaaaaaaaaaa"
)

// newIntake receives pushes into a store. Router may be nil.
func newIntake(b *testing.B, db store.Store, router keeper.Router) *intake {
	k, err := keeper.New(keeper.Config{Store: db, Router: router})
	if err != nil {
		b.Fatal(err)
	}
	settings := wxcrypt.Config{AppID: benchComponent, Token: "BenchToken", EncodingAESKey: strings.Repeat("a", 43)}
	if err := k.PutComponent(b.Context(), store.Component{
		AppID: benchComponent, Secret: tuoguan.NewSecret("secret"), Token: tuoguan.NewSecret(settings.Token), EncodingAESKey: tuoguan.NewSecret(settings.EncodingAESKey),
	}); err != nil {
		b.Fatal(err)
	}
	authorization := tuoguan.Authorization{Component: benchComponent, Authorizer: benchAccount}
	grant := store.Grant{Authorization: authorization, Tokens: tuoguan.TokenSet{RefreshToken: tuoguan.NewSecret("refresh")}, ObtainedAt: time.Now(), Source: store.FromExchange}
	if _, _, err := db.SaveGrant(b.Context(), grant); err != nil {
		b.Fatal(err)
	}
	if err := db.SaveProfile(b.Context(), authorization, store.Profile{Grant: 1, UserName: "gh_0123456789ab", ReadAt: time.Now()}); err != nil {
		b.Fatal(err)
	}
	in := &intake{store: db}
	if in.handler, err = push.NewHandler(push.Config{Components: k, Sink: k, Accounts: k}); err != nil {
		b.Fatal(err)
	}
	if in.crypter, err = wxcrypt.New(settings); err != nil {
		b.Fatal(err)
	}
	return in
}

// batch makes requests that nobody has seen before.
func (in *intake) batch(n int) []request {
	requests := make([]request, n)
	for i := range requests {
		in.messages++
		id := strconv.FormatInt(24_000_000_000_000_000+in.messages, 10)
		plain := []byte("<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName><FromUserName><![CDATA[oSim0001]]></FromUserName><CreateTime>1700000600</CreateTime>" +
			"<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[how much is it?]]></Content><MsgId>" + id + "</MsgId></xml>")
		encrypt, err := in.crypter.Encrypt(plain, wxcrypt.Current)
		if err != nil {
			panic(err) // no randomness
		}
		timestamp := strconv.FormatInt(time.Now().Unix(), 10)
		query := url.Values{
			"signature": {in.crypter.Sign(timestamp, id, nil, wxcrypt.Current)}, "timestamp": {timestamp}, "nonce": {id},
			"encrypt_type": {"aes"}, "msg_signature": {in.crypter.Sign(timestamp, id, encrypt, wxcrypt.Current)},
		}
		body := fmt.Sprintf("<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName><Encrypt><![CDATA[%s]]></Encrypt></xml>", encrypt)
		target := "/wx/" + benchComponent + "/message/" + benchAccount + "?" + query.Encode()
		requests[i] = request{target: target, body: body, raw: fmt.Appendf(nil,
			"POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s", target, len(body), body)}
	}
	return requests
}

// check sees whether all that was made is in the store.
func (in *intake) check(b *testing.B) {
	b.Helper()
	newest, err := in.store.Events(b.Context(), store.EventQuery{Kind: "text", Backwards: true, Limit: 1})
	if err != nil || len(newest) != 1 || newest[0].Seq != in.messages {
		b.Errorf("%d pushes were sent, and the newest in the store is %+v, %v", in.messages, newest, err)
	}
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
