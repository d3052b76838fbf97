// Package sinktest judges sinks by what they owe to whoever delivers through them: a
// confirmation that can be relied on, and an answer in time.
package sinktest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/store"
)

// Subject is a kind of sink and what stands behind it.
type Subject struct {
	// Place makes a place to send to, which is durable and in use by nobody else.
	Place func(t *testing.T) Place
	// Server is what takes events, for all places.
	Server Server
	// TooLarge is the size of a body that the server never takes, in bytes; 0 if it takes everything.
	TooLarge int
}

// Place is where one sink sends to.
type Place struct {
	// Open returns a sink to the place.
	Open func() (sink.Sink, error)
	// Read returns all that is there, in its order. It may leave it there or not.
	Read func(t *testing.T) []Received
}

// Received is what came of a message.
type Received struct {
	ID   string
	Body string
}

// Server is a server, or the network before it.
type Server interface {
	Kill() error                       // it is gone, at once
	Restart(ctx context.Context) error // it is back, with what it has kept
	Pause() error                      // it does not answer any more
	Continue() error                   // it does again
}

const (
	patience = 500 * time.Millisecond // of a caller who waits for a server in trouble
	grace    = 500 * time.Millisecond // in which a caller is to be told that it is over
	recovery = 30 * time.Second       // in which a sink finds its server again
)

// Run runs the cases.
func Run(t *testing.T, s Subject) {
	t.Run("calm", func(t *testing.T) {
		for name, f := range map[string]func(*testing.T, Subject){
			"confirmed":         testConfirmed,
			"sent again":        testSentAgain,
			"order":             testOrder,
			"concurrent":        testConcurrent,
			"too large":         testTooLarge,
			"cannot be encoded": testCannotBeEncoded,
			"context has ended": testContextHasEnded,
			"closed":            testClosed,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f(t, s)
			})
		}
	})
	// What follows does harm to the server that all share.
	t.Run("hanging", func(t *testing.T) { testHanging(t, s) })
	t.Run("closed while hanging", func(t *testing.T) { testClosedWhileHanging(t, s) })
	t.Run("killed", func(t *testing.T) { testKilled(t, s) })
}

// Dial is a dial that nobody restricts.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, address)
}

// Message is an event on its way whose id is made of its name.
func Message(name string) sink.Message {
	at := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	key := "wxc0000000000000/" + name
	return sink.Message{ID: event.ID(key), Attempt: 1, Event: store.Push{
		ID: 1, Seq: 1, Key: key, Component: tuoguan.ComponentAppID("wxc0000000000000"), Authorizer: "wxa0000000000001",
		Kind: event.Test, Body: []byte(`{"name": "` + name + `"}`), CreatedAt: at, ReceivedAt: at,
	}}
}

func open(t *testing.T, p Place) sink.Sink {
	t.Helper()
	s, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func send(t *testing.T, s sink.Sink, m sink.Message) {
	t.Helper()
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatalf("send: %v", err)
	}
}

// sendWithin sends until it succeeds.
func sendWithin(t *testing.T, s sink.Sink, m sink.Message) {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := s.Send(ctx, m)
		cancel()
		if err == nil {
			return
		}
		if time.Since(begun) > recovery {
			t.Fatalf("it does not find its server again: %v", err)
		}
	}
}

func want(t *testing.T, m sink.Message) Received {
	t.Helper()
	body, err := event.CloudEvent(m.Event)
	if err != nil {
		t.Fatal(err)
	}
	return Received{m.ID, string(body)}
}

// refused returns the refusal that an error is.
func refused(t *testing.T, err error) *sink.Refusal {
	t.Helper()
	var r *sink.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got %v, not a refusal", err)
	}
	return r
}

func testConfirmed(t *testing.T, s Subject) {
	p := s.Place(t)
	opened := open(t, p)
	var all []Received
	for i := range 10 {
		m := Message(fmt.Sprint("confirmed ", i))
		send(t, opened, m)
		all = append(all, want(t, m))
	}
	if diff := cmp.Diff(all, p.Read(t)); diff != "" {
		t.Error(diff)
	}
}

// testSentAgain demands that an event sent again is confirmed again, and is the same if
// it is there more than once.
func testSentAgain(t *testing.T, s Subject) {
	p := s.Place(t)
	opened := open(t, p)
	m := Message("again")
	send(t, opened, m)
	m.Attempt = 2
	send(t, opened, m)
	got := p.Read(t)
	if diff := cmp.Diff([]Received{want(t, m)}, slices.Compact(got)); diff != "" {
		t.Error(diff)
	}
}

func testOrder(t *testing.T, s Subject) {
	p := s.Place(t)
	opened := open(t, p)
	var all []string
	for i := range 50 {
		m := Message(fmt.Sprint("order ", i))
		send(t, opened, m)
		all = append(all, m.ID)
	}
	if diff := cmp.Diff(all, ids(p.Read(t))); diff != "" {
		t.Error(diff)
	}
}

func ids(all []Received) []string {
	var list []string
	for _, r := range all {
		list = append(list, r.ID)
	}
	return list
}

func testConcurrent(t *testing.T, s Subject) {
	p := s.Place(t)
	opened := open(t, p)
	var all sync.WaitGroup
	var sent []string
	for i := range 64 {
		for turn := range 4 {
			sent = append(sent, Message(fmt.Sprint("concurrent ", i, "-", turn)).ID)
		}
		all.Go(func() {
			for turn := range 4 {
				if _, err := opened.Send(t.Context(), Message(fmt.Sprint("concurrent ", i, "-", turn))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	got := ids(p.Read(t))
	slices.Sort(sent)
	slices.Sort(got)
	if diff := cmp.Diff(sent, got); diff != "" {
		t.Error(diff)
	}
}

// testTooLarge demands that an event which will never be taken is refused for good, and
// those after it are not.
func testTooLarge(t *testing.T, s Subject) {
	if s.TooLarge == 0 {
		return
	}
	opened := open(t, s.Place(t))
	m := Message("large")
	m.Event.Body = []byte(`{"name": "` + strings.Repeat("x", s.TooLarge) + `"}`)
	_, err := opened.Send(t.Context(), m)
	if r := refused(t, err); !r.Final || len(r.Error()) > 200 {
		t.Errorf("got %v, final: %v", r, r.Final)
	}
	sendWithin(t, opened, Message("small"))
}

func testCannotBeEncoded(t *testing.T, s Subject) {
	p := s.Place(t)
	opened := open(t, p)
	m := Message("poison")
	m.Event.Body = []byte("no JSON")
	_, err := opened.Send(t.Context(), m)
	if r := refused(t, err); !r.Final || strings.Contains(r.Error(), "no JSON") {
		t.Errorf("got %v, final: %v", r, r.Final)
	}
	if got := p.Read(t); len(got) > 0 {
		t.Errorf("it was sent: %v", got)
	}
}

func testContextHasEnded(t *testing.T, s Subject) {
	opened := open(t, s.Place(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := opened.Send(ctx, Message("late")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	send(t, opened, Message("in time"))
}

func testClosed(t *testing.T, s Subject) {
	for _, used := range []bool{false, true} {
		opened, err := s.Place(t).Open()
		if err != nil {
			t.Fatal(err)
		}
		if used {
			send(t, opened, Message("before"))
		}
		for range 2 {
			if err := opened.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		if _, err := opened.Send(t.Context(), Message("after")); err == nil {
			t.Error("a closed sink sends")
		}
	}
}

// testHanging demands that callers are told in time by a sink whose server stands still,
// with a connection and without one, and that those who can wait do not suffer from it.
func testHanging(t *testing.T, s Subject) {
	p := s.Place(t)
	used, unused := open(t, p), open(t, p)
	send(t, used, Message("before"))
	pause(t, s)
	var all sync.WaitGroup
	for _, opened := range []sink.Sink{used, unused} {
		for i := range 16 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				begun := time.Now()
				_, err := opened.Send(ctx, Message(fmt.Sprint("hanging ", i)))
				if refusal := (*sink.Refusal)(nil); err == nil || errors.As(err, &refusal) {
					t.Errorf("got %v", err)
				}
				if took := time.Since(begun); took > patience+grace {
					t.Errorf("told after %v", took)
				}
			})
		}
	}
	var patient sync.WaitGroup
	patient.Go(func() {
		ctx, cancel := context.WithTimeout(t.Context(), recovery)
		defer cancel()
		if _, err := used.Send(ctx, Message("patient")); err != nil {
			t.Errorf("a caller with patience got %v", err)
		}
	})
	defer patient.Wait()
	all.Wait()
	must(t, s.Server.Continue())
	patient.Wait()
	sendWithin(t, used, Message("after 1"))
	sendWithin(t, unused, Message("after 2"))
	got := ids(p.Read(t))
	for _, name := range []string{"before", "patient", "after 1", "after 2"} {
		if !slices.Contains(got, Message(name).ID) {
			t.Errorf("%q is not there", name)
		}
	}
}

// pause stops the server for the rest of the test, unless Continue is called before.
func pause(t *testing.T, s Subject) {
	t.Helper()
	must(t, s.Server.Pause())
	t.Cleanup(func() { must(t, s.Server.Continue()) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testClosedWhileHanging(t *testing.T, s Subject) {
	opened, err := s.Place(t).Open()
	must(t, err)
	send(t, opened, Message("before"))
	pause(t, s)
	var all sync.WaitGroup
	sending := make(chan struct{}, 8)
	for i := range cap(sending) {
		all.Go(func() {
			sending <- struct{}{}
			if _, err := opened.Send(t.Context(), Message(fmt.Sprint("hanging ", i))); err == nil {
				t.Error("a server that hangs has confirmed")
			}
		})
	}
	for range cap(sending) {
		<-sending
	}
	begun := time.Now()
	must(t, opened.Close())
	all.Wait()
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("closed after %v", took)
	}
}

// testKilled kills the server while events are sent, right after confirmations.
func testKilled(t *testing.T, s Subject) {
	p := s.Place(t)
	opened := open(t, p)
	var mu sync.Mutex
	var confirmed []string
	var stop, down atomic.Bool
	var all sync.WaitGroup
	enough := make(chan struct{}, 1)
	for i := range 8 {
		all.Go(func() {
			for turn := 0; !stop.Load(); turn++ {
				m := Message(fmt.Sprint("killed ", i, "-", turn))
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				wasDown, begun := down.Load(), time.Now()
				_, err := opened.Send(ctx, m)
				cancel()
				if took := time.Since(begun); took > patience+grace {
					t.Errorf("told after %v: %v", took, err)
				}
				if err != nil {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				if wasDown && down.Load() {
					t.Error("confirmed by a server that is gone")
				}
				mu.Lock()
				if confirmed = append(confirmed, m.ID); len(confirmed) == 200 {
					enough <- struct{}{}
				}
				mu.Unlock()
			}
		})
	}
	defer all.Wait()
	defer stop.Store(true)
	select {
	case <-enough:
	case <-time.After(recovery):
		t.Fatal("too few events are confirmed")
	}
	must(t, s.Server.Kill())
	down.Store(true)
	if _, err := opened.Send(t.Context(), Message("nobody there")); err == nil {
		t.Error("confirmed by nobody")
	}
	stop.Store(true)
	all.Wait()
	down.Store(false)
	must(t, s.Server.Restart(t.Context()))
	last := Message("after")
	sendWithin(t, opened, last)
	got := ids(p.Read(t))
	if !slices.Contains(got, last.ID) {
		t.Error("what was sent last is not there")
	}
	for _, id := range confirmed {
		if !slices.Contains(got, id) {
			t.Errorf("%s was confirmed and is lost", id)
		}
	}
	t.Logf("%d events were confirmed, and %d are there", len(confirmed)+1, len(got))
}
