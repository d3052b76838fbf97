package delivery_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/delivery"
	"github.com/tuoguan/tuoguan/internal/egress"
	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/sink/webhook"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
	"github.com/tuoguan/tuoguan/store/sqlite"
)

// BenchmarkDeliver delivers what is due already: from memory to nobody, and from SQLite,
// sealed at rest, to an HTTP server of this process that reads what it gets.
func BenchmarkDeliver(b *testing.B) {
	for _, ordered := range []bool{false, true} {
		name := map[bool]string{false: "unordered", true: "ordered"}[ordered]
		b.Run("memory/"+name, func(b *testing.B) {
			benchmarkDeliver(b, memory.New(memory.Config{}), ordered, func(subscription.Subscription) (sink.Sink, error) { return nowhere{}, nil }, "")
		})
		b.Run("SQLite and webhook/"+name, func(b *testing.B) {
			master, err := seal.NewLocal(bytes.Repeat([]byte{7}, seal.KeySize))
			if err != nil {
				b.Fatal(err)
			}
			db, err := sqlite.Open(b.Context(), sqlite.Config{
				Path: filepath.Join(b.TempDir(), "bench.db"),
				Keys: func(ctx context.Context, s store.Settings) (store.Cipher, error) { return seal.Open(ctx, master, s) },
			})
			if err != nil {
				b.Fatal(err)
			}
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
			b.Cleanup(server.Close)
			guard := egress.New(egress.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
			b.Cleanup(guard.Transport().CloseIdleConnections)
			benchmarkDeliver(b, db, ordered, func(s subscription.Subscription) (sink.Sink, error) {
				return webhook.New(s, webhook.Config{Guard: guard})
			}, server.URL)
		})
	}
}

// nowhere takes everything.
type nowhere struct{}

func (nowhere) Send(context.Context, sink.Message) (sink.Receipt, error) { return sink.Receipt{}, nil }
func (nowhere) Close() error                                             { return nil }

func benchmarkDeliver(b *testing.B, db interface {
	delivery.Store
	store.Pushes
	io.Closer
}, ordered bool, sinks func(subscription.Subscription) (sink.Sink, error), url string) {
	defer db.Close()
	const id = "s"
	fill(b, db, id)
	all := &subs{changed: make(chan struct{})}
	all.put(subscription.Subscription{
		ID: id, State: store.SubscriptionActive,
		Spec: subscription.Spec{Ordered: ordered, Concurrency: 32, Sink: subscription.Sink{Type: subscription.Webhook, URL: url, Format: subscription.CloudEvents}},
		Secrets: subscription.Secrets{Signing: []subscription.SigningKey{{
			Key: tuoguan.NewSecret("whsec_" + base64.StdEncoding.EncodeToString([]byte("a signing key that has 32 bytes!"))),
		}}},
	})
	var delivered, failed atomic.Int64
	done := make(chan struct{})
	d, err := delivery.New(delivery.Config{
		Store: db, Subscriptions: all, Sinks: sinks, Holder: "bench",
		Disable: func(context.Context, string, string, string) error { return nil },
		Observe: func(o delivery.Observation) {
			if o.Result != delivery.Delivered {
				failed.Add(1)
			}
			if delivered.Add(1) == int64(b.N) {
				close(done)
			}
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var work sync.WaitGroup
	b.ResetTimer()
	work.Go(func() { _ = d.Run(ctx) })
	<-done
	cancel()
	work.Wait() // all is recorded
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
	if n := failed.Load(); n > 0 {
		b.Errorf("%d of %d failed", n, b.N)
	}
	if backlog, err := db.Backlog(b.Context(), id, 10); err != nil || backlog.Pending != 0 {
		b.Errorf("left: %+v, %v", backlog, err)
	}
}

// fill takes in b.N pushes of a hundred accounts.
func fill(b *testing.B, db store.Pushes, id string) {
	b.Helper()
	var next atomic.Int64
	var work sync.WaitGroup
	for range 128 {
		work.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				now := time.Now()
				_, _, err := db.AcceptPush(b.Context(), store.Intake{
					Push: store.Push{
						Key: fmt.Sprint("push/", n), Component: component, Authorizer: tuoguan.AuthorizerAppID(fmt.Sprintf("wx%016d", n%100)), Kind: "text",
						Body: fmt.Appendf(nil, "<xml><ToUserName>gh_0123456789ab</ToUserName><FromUserName>o%027d</FromUserName><CreateTime>%d</CreateTime>"+
							"<MsgType>text</MsgType><Content>%s</Content><MsgId>%d</MsgId></xml>", n, now.Unix(), strings.Repeat("你好", 40), n),
						CreatedAt: now.Truncate(time.Second), ReceivedAt: now,
					},
					Routes: []store.Route{{Subscription: id, DueAt: now}},
				})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
}
