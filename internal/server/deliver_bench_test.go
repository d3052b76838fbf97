package server

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/delivery"
	"github.com/tuoguan/tuoguan/internal/egress"
	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/sink/webhook"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/store"
)

// BenchmarkRatioDelivery compares delivering events that wait in SQLite to a local
// receiver, each read, opened, written as CloudEvents, signed, posted and marked, with a
// bare net/http client that posts a body of the same size as often, on as many
// connections. Both alternate within one run, and so share the processors with the
// receiver and with what stores the events meanwhile: nothing.
func BenchmarkRatioDelivery(b *testing.B) {
	const perBatch = 5000
	var arrived atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
		arrived.Add(1)
	}))
	b.Cleanup(receiver.Close)
	db := benchSQLite(b)
	set := benchSet(b, db, receiver.URL)
	id := set.All()[0].ID
	d := dispatch(b, db, set)
	bare := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16, DisableCompression: true}}
	b.Cleanup(bare.CloseIdleConnections)

	var spent [2]time.Duration
	n, size := 0, 0
	for ; b.Loop(); n++ {
		b.StopTimer()
		// All become due at once, in the future, so that storing them is not measured.
		due := time.Now().Add(time.Hour)
		last := storeEvents(b, db, n*perBatch, perBatch, []store.Route{{Subscription: id, DueAt: due}})
		if size == 0 {
			body, err := event.CloudEvent(last)
			if err != nil {
				b.Fatal(err)
			}
			size = len(body)
		}
		b.StartTimer()
		began := time.Now()
		if _, err := d.Replay(b.Context(), delivery.Replay{Subscription: id, Query: &store.EventQuery{After: last.ID - perBatch}}, nil); err != nil {
			b.Fatal(err)
		}
		awaitNone(b, db, id)
		spent[0] += time.Since(began)
		spent[1] += postAll(b, bare, receiver.URL, make([]byte, size), perBatch)
	}
	b.StopTimer()
	if most := int64(2 * n * perBatch); arrived.Load() != most {
		b.Errorf("%d requests arrived, want %d", arrived.Load(), most)
	}
	events := float64(n * perBatch)
	b.ReportMetric(events/spent[0].Seconds(), "webhooks/s")
	b.ReportMetric(events/spent[1].Seconds(), "floor/s")
	b.ReportMetric(spent[1].Seconds()/spent[0].Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}

// awaitNone waits until nothing waits for a subscription.
func awaitNone(b *testing.B, db store.Store, id string) {
	for {
		backlog, err := db.Backlog(b.Context(), id, 1)
		if err != nil {
			b.Fatal(err)
		}
		if backlog.Pending == 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// postAll posts a body so many times on 16 connections.
func postAll(b *testing.B, c *http.Client, to string, body []byte, times int) time.Duration {
	began := time.Now()
	var next atomic.Int64
	var work sync.WaitGroup
	for range 16 {
		work.Go(func() {
			for next.Add(1) <= int64(times) {
				reply, err := c.Post(to, "application/cloudevents+json; charset=utf-8", bytes.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				_ = reply.Body.Close()
			}
		})
	}
	work.Wait()
	return time.Since(began)
}

// storeEvents stores so many events of a hundred accounts, and returns the last.
func storeEvents(b *testing.B, db store.Store, after, events int, routes []store.Route) store.Push {
	b.Helper()
	var next atomic.Int64
	var work sync.WaitGroup
	for range 64 {
		work.Go(func() {
			for i := next.Add(1); i <= int64(events) && !b.Failed(); i = next.Add(1) {
				p := benchPush(int64(after) + i)
				if _, _, err := db.AcceptPush(b.Context(), store.Intake{Push: p, Routes: routes}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	work.Wait()
	newest, err := db.Events(b.Context(), store.EventQuery{Backwards: true, Limit: 1})
	if err != nil || len(newest) != 1 {
		b.Fatalf("%d events, %v", len(newest), err)
	}
	return newest[0]
}

// benchPush is one push of the accounts that are measured with. Its text says when it was
// received, in nanoseconds.
func benchPush(n int64) store.Push {
	now := time.Now()
	authorizer := tuoguan.AuthorizerAppID("wx" + strconv.FormatInt(1e15+n%100, 16))
	return store.Push{
		Key: benchComponent + "/" + string(authorizer) + "/" + strconv.FormatInt(n, 10), Component: benchComponent, Authorizer: authorizer,
		Kind: "text", CreatedAt: now, ReceivedAt: now,
		Body: []byte("<xml><ToUserName>gh_0123456789ab</ToUserName><FromUserName>oSim0001</FromUserName><CreateTime>1700000600</CreateTime>" +
			"<MsgType>text</MsgType><Content>at " + strconv.FormatInt(now.UnixNano(), 10) + " ns</Content><MsgId>" + strconv.FormatInt(n, 10) + "</MsgId></xml>"),
	}
}

// dispatch delivers until the benchmark ends.
func dispatch(b *testing.B, db store.Store, set *subscription.Set) *delivery.Dispatcher {
	guard := egress.New(egress.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	d, err := delivery.New(delivery.Config{
		Store: db, Subscriptions: set, Holder: "bench", Drain: time.Second,
		Sinks: func(s subscription.Subscription) (sink.Sink, error) {
			return webhook.New(s, webhook.Config{Guard: guard})
		},
		Disable: func(context.Context, string, string, string) error { return nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = d.Run(ctx) })
	b.Cleanup(func() { stop(); work.Wait() })
	return d
}

// BenchmarkRatioTarpit looks at how long events take to 99 subscribers, from just before
// they are stored until the receiver has them, where the hundredth hangs, and where it
// does not. Both have a store and a dispatcher of their own and get the same events in
// turns, five a second, which makes 1,000 webhooks a second; so whatever else the machine
// does meets both. "ratio" is the 99th percentile of the others where one hangs, as a
// multiple of that where none does.
func BenchmarkRatioTarpit(b *testing.B) {
	const (
		subscribers = 100
		perSecond   = 5
		perTurn     = 10 * perSecond
	)
	well, hung := newCrowd(b, subscribers, false), newCrowd(b, subscribers, true)
	n := int64(0)
	turn := func() {
		ticker := time.NewTicker(time.Second / perSecond / 2)
		defer ticker.Stop()
		for range perTurn {
			n++
			for _, c := range []*crowd{well, hung} {
				<-ticker.C
				c.tell(b, n)
			}
		}
		for began := time.Now(); time.Since(began) < 20*time.Second && min(well.arrived(), hung.arrived()) < int(n)*(subscribers-1); {
			time.Sleep(5 * time.Millisecond)
		}
	}
	turn() // connections are made, leases taken
	well.forget()
	hung.forget()
	for b.Loop() {
		turn()
	}
	for _, c := range []*crowd{well, hung} {
		if most := int(n) * (subscribers - 1); c.arrived() != most {
			b.Errorf("%d webhooks arrived, want %d", c.arrived(), most)
		}
	}
	b.ReportMetric(well.percentile(99).Seconds()*1000, "p99-ms")
	b.ReportMetric(hung.percentile(99).Seconds()*1000, "p99-hanging-ms")
	b.ReportMetric(hung.percentile(99).Seconds()/well.percentile(99).Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}

// crowd is a number of subscribers to everything, the first of whom may hang.
type crowd struct {
	db         store.Store
	set        *subscription.Set
	dispatcher *delivery.Dispatcher

	mu     sync.Mutex
	took   []time.Duration // to those who do not hang, since forget
	before int             // arrived by then
}

func newCrowd(b *testing.B, subscribers int, hangs bool) *crowd {
	c := &crowd{db: benchSQLite(b)}
	end := make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		arrived := time.Now()
		switch {
		case r.URL.Path != "/0" && err == nil:
			c.mu.Lock()
			c.took = append(c.took, arrived.Sub(writtenAt(body)))
			c.mu.Unlock()
		case hangs:
			select {
			case <-r.Context().Done():
			case <-end:
			}
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	b.Cleanup(receiver.Close)
	urls := make([]string, subscribers)
	for i := range urls {
		urls[i] = receiver.URL + "/" + strconv.Itoa(i)
	}
	c.set = benchSet(b, c.db, urls...)
	c.dispatcher = dispatch(b, c.db, c.set)
	b.Cleanup(func() { close(end) })
	return c
}

// tell stores an event, and has it delivered.
func (c *crowd) tell(b *testing.B, n int64) {
	p := benchPush(n)
	routes := c.set.Routes(b.Context(), p, nil)
	if _, _, err := c.db.AcceptPush(b.Context(), store.Intake{Push: p, Routes: routes}); err != nil {
		b.Fatal(err)
	}
	c.dispatcher.Wake(routes)
}

func (c *crowd) arrived() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.before + len(c.took)
}

// forget begins to measure.
func (c *crowd) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before, c.took = c.before+len(c.took), nil
}

func (c *crowd) percentile(percent int) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.took)
	return c.took[len(c.took)*percent/100]
}

// writtenAt finds when a push was made, in what is told of it.
func writtenAt(body []byte) time.Time {
	_, rest, _ := strings.Cut(string(body), "at ")
	text, _, _ := strings.Cut(rest, " ns")
	at, _ := strconv.ParseInt(text, 10, 64)
	return time.Unix(0, at)
}
