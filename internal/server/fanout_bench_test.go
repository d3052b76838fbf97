package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/services/servicetest"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/postgres"
)

// BenchmarkRatioFanOut compares receiving pushes that three subscriptions want, each
// verified, decrypted, parsed, sealed, numbered and stored with its three deliveries before
// it is acknowledged, with a bare handler that reads the same body and answers the same
// bytes; and an empty store with one in which deliveries wait: 100,000, or 1,000,000 with
// LONG=1. All alternate within one run. What drives them is what a push costs at least:
// calls of the handler in this process, or 64 connections that send requests made
// beforehand. "flat" is the rate with deliveries waiting as a part of that without.
func BenchmarkRatioFanOut(b *testing.B) {
	for _, engine := range []struct {
		name string
		open func(*testing.B) store.Store
	}{{"SQLite", benchSQLite}, {"PostgreSQL", benchPostgres}} {
		b.Run(engine.name, func(b *testing.B) {
			empty, full := newFanOut(b, engine.open(b)), newFanOut(b, engine.open(b))
			full.fill(b)
			b.Run("in process", func(b *testing.B) {
				benchmarkFanOut(b, empty, full, func(h http.Handler) client { return handlerClient{h} })
			})
			b.Run("raw client", func(b *testing.B) {
				servers := make(map[*fanOut]*httptest.Server)
				benchmarkFanOut(b, empty, full, func(h http.Handler) client {
					f, _ := h.(*fanOut)
					if servers[f] == nil {
						servers[f] = httptest.NewServer(h)
						b.Cleanup(servers[f].Close)
					}
					return newRawClient(b, servers[f])
				})
			})
		})
	}
}

func benchmarkFanOut(b *testing.B, empty, full *fanOut, newClient func(http.Handler) client) {
	const (
		callers  = 64
		perBatch = 4096
	)
	handlers := []http.Handler{empty, full, http.HandlerFunc(bare)}
	sides, spent := make([][]client, len(handlers)), make([]time.Duration, len(handlers))
	for side, h := range handlers {
		for range callers {
			sides[side] = append(sides[side], newClient(h))
		}
	}
	n := 0
	for ; b.Loop(); n++ {
		b.StopTimer()
		requests := empty.batch(perBatch)
		b.StartTimer()
		for i := range sides {
			side := (i + n) % len(sides) // none has the others' disk behind it every time
			spent[side] += sendAll(b, sides[side], requests)
		}
	}
	b.StopTimer()
	full.messages = empty.messages
	pushes := float64(n * perBatch)
	b.ReportMetric(pushes/spent[0].Seconds(), "pushes/s")
	b.ReportMetric(pushes/spent[1].Seconds(), "waiting-pushes/s")
	b.ReportMetric(pushes/spent[2].Seconds(), "floor/s")
	b.ReportMetric(spent[2].Seconds()/spent[0].Seconds(), "ratio")
	b.ReportMetric(spent[0].Seconds()/spent[1].Seconds(), "flat")
	b.ReportMetric(0, "ns/op")
	for _, f := range []*fanOut{empty, full} {
		f.check(b)
	}
}

// benchPostgres opens a database.
func benchPostgres(b *testing.B) store.Store {
	db, err := postgres.Open(b.Context(), postgres.Config{URL: tuoguan.NewSecret(servicetest.Postgres(b)), Keys: benchKeys(b)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return db
}

// fanOut is an intake of which three subscriptions want everything.
type fanOut struct {
	*intake
	routes []store.Route
}

func (f *fanOut) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.handler.ServeHTTP(w, r) }

// routing is a set of subscriptions as the keeper asks it.
type routing struct{ *subscription.Set }

func (routing) Stored([]store.Route) {}

func newFanOut(b *testing.B, db store.Store) *fanOut {
	set := benchSet(b, db, "https://a.example.test/", "https://b.example.test/", "https://c.example.test/")
	f := &fanOut{intake: newIntake(b, db, routing{set})}
	for _, s := range set.All() {
		f.routes = append(f.routes, store.Route{Subscription: s.ID, DueAt: time.Now()})
	}
	return f
}

// benchSet has a subscription for each URL, which wants everything.
func benchSet(b *testing.B, db store.Store, urls ...string) *subscription.Set {
	set, err := subscription.NewSet(subscription.SetConfig{
		Store: db, Logger: slog.New(slog.DiscardHandler),
		Tags: func(context.Context, tuoguan.Authorization) ([]string, error) { return nil, nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	for i, to := range urls {
		_, err := set.Create(b.Context(), "s"+strconv.Itoa(i), subscription.Spec{
			Match: subscription.Match{Kinds: []string{"*"}}, Sink: subscription.Sink{Type: subscription.Webhook, URL: to},
		}, subscription.Secrets{})
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := set.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	return set
}

// fill stores events of other accounts that nobody has delivered.
func (f *fanOut) fill(b *testing.B) {
	waiting := 100_000
	if os.Getenv("LONG") != "" {
		waiting = 1_000_000
	}
	storeEvents(b, f.store, 0, waiting/len(f.routes)+1, f.routes)
	for _, r := range f.routes {
		if backlog, err := f.store.Backlog(b.Context(), r.Subscription, waiting); err != nil || backlog.Pending < waiting/len(f.routes) {
			b.Fatalf("%d deliveries wait, %v", backlog.Pending, err)
		}
	}
}

// handlerClient calls a handler in this process.
type handlerClient struct{ handler http.Handler }

func (c handlerClient) send(r request) error {
	path, query, _ := strings.Cut(r.target, "?")
	w := &answer{header: make(http.Header), status: http.StatusOK}
	c.handler.ServeHTTP(w, &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{"Content-Type": {"text/xml"}},
		Body: io.NopCloser(strings.NewReader(r.body)), ContentLength: int64(len(r.body)),
	})
	return judge(w.status, w.body.Bytes())
}

// answer is what a handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header               { return a.header }
func (a *answer) WriteHeader(status int)            { a.status = status }
func (a *answer) Write(b []byte) (int, error)       { return a.body.Write(b) }
func (a *answer) WriteString(s string) (int, error) { return a.body.WriteString(s) }
