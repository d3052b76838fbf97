//go:build unix

package proof

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuoguan/tuoguan/internal/proof/history"
)

// A subscriber is a receiver of webhooks, and how it behaves while there are faults.
type subscriber struct {
	site      *site
	name      string
	topics    []string // kinds of events that it wants
	merchants []string // none: all
	ordered   bool
	moods     []mood // what it does to what it is sent; none: it takes it
	mortal    bool   // it is killed time and again

	known  chan struct{} // closed when id and secret are
	id     string        // given by the server
	secret []byte
	// secretText is the secret as the server has written it.
	secretText string
	hurried    time.Time // when a server was last told to deliver what waits
	address    string
	well       atomic.Bool // all faults are off
	ids        *atomic.Uint64

	mu          sync.Mutex
	random      *rand.Rand
	server      *http.Server
	connections map[net.Conn]bool
}

// mood is what a subscriber does to a share of what it is sent.
type mood struct {
	share float64
	act   func(w http.ResponseWriter, r *http.Request, a *answering)
}

// patience is how long servers wait for a subscriber's answer: the timeout of the
// subscriptions.
const patience = 2 * time.Second

// answering records what a subscriber does, once, just before it does it.
type answering struct {
	s     *subscriber
	event history.Event
	dice  float64
}

// says records the status that is about to be answered; 0 is none.
func (a *answering) says(status int) {
	a.event.Status = status
	a.s.site.record.Add(a.event)
}

// heard takes note that an answer could not be written whole.
func (a *answering) heard(err error) {
	if err != nil {
		a.s.site.record.Add(history.Event{Kind: history.Unheard, ID: a.event.ID, Subscriber: a.event.Subscriber, Number: a.event.Number, Note: err.Error()})
	}
}

// take answers as a receiver should.
func take(w http.ResponseWriter, _ *http.Request, a *answering) {
	a.says(http.StatusNoContent)
	w.WriteHeader(http.StatusNoContent)
	a.heard(http.NewResponseController(w).Flush())
}

// slowly takes an event after a while.
func slowly(w http.ResponseWriter, r *http.Request, a *answering) {
	pause(r.Context(), time.Duration(a.dice*float64(patience/2)))
	take(w, r, a)
}

// hang does not answer until the server has given up.
func hang(_ http.ResponseWriter, r *http.Request, a *answering) {
	a.says(0)
	pause(r.Context(), 3*patience)
	panic(http.ErrAbortHandler)
}

// refuse answers with an error, sometimes with the wish to be left alone for a moment.
func refuse(w http.ResponseWriter, _ *http.Request, a *answering) {
	status := []int{500, 502, 503, 429, 404, 400}[int(a.dice*6)]
	if status == 503 || status == 429 {
		w.Header().Set("Retry-After", "1")
	}
	a.says(status)
	w.WriteHeader(status)
}

// redirect sends the server elsewhere, where it must not go.
func redirect(w http.ResponseWriter, _ *http.Request, a *answering) {
	status := []int{301, 302, 303, 307, 308}[int(a.dice*5)]
	w.Header().Set("Location", "http://"+a.s.site.decoy.Addr().String()+"/")
	a.says(status)
	w.WriteHeader(status)
}

// lie says something else than it does: it takes an event and says that it has not, or says
// that it has and talks on, or breaks off.
func lie(w http.ResponseWriter, r *http.Request, a *answering) {
	flusher := http.NewResponseController(w)
	switch int(a.dice * 4) {
	case 0:
		a.says(500)
		w.WriteHeader(500)
		_, _ = io.WriteString(w, "success")
	case 1: // more than anybody wants to read
		a.says(200)
		w.WriteHeader(200)
		a.heard(flusher.Flush())
		for range 64 {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	case 2: // less than is announced
		w.Header().Set("Content-Length", "1000")
		a.says(200)
		_, err := io.WriteString(w, "{")
		a.heard(errors.Join(err, flusher.Flush()))
		panic(http.ErrAbortHandler)
	default:
		a.says(0)
		panic(http.ErrAbortHandler)
	}
}

// subscribersOf are those of a site: one who is always there, one with order, and those
// that do what receivers do.
func subscribersOf(s *site) []*subscriber {
	var ids atomic.Uint64
	some := func(every int) (chosen []string) {
		for i, m := range s.merchants {
			if i%every == 0 {
				chosen = append(chosen, m.appid)
			}
		}
		return chosen
	}
	all := []*subscriber{
		{name: "steady", topics: []string{"*"}},
		{name: "mortal", topics: []string{"text", "image", "unparsed", "event.*"}, mortal: true},
		{name: "ordered", topics: []string{"*"}, merchants: some(4), ordered: true, mortal: true, moods: []mood{{0.002, refuse}}},
		{name: "moody", topics: []string{"text", "tuoguan.*"}, merchants: some(5), mortal: true, moods: []mood{{0.02, refuse}, {0.02, redirect}, {0.02, lie}, {0.02, slowly}}},
		{name: "tarpit", topics: []string{"event.*"}, merchants: some(3), moods: []mood{{0.05, hang}, {0.1, slowly}}},
	}
	for i, sub := range all {
		sub.site, sub.ids, sub.connections, sub.known = s, &ids, make(map[net.Conn]bool), make(chan struct{})
		sub.random = rand.New(rand.NewPCG(s.round.Seed, uint64(3000+i)))
	}
	return all
}

// open lets the subscriber listen, at the same address every time.
func (s *subscriber) open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var listener net.Listener
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		address, err := s.address, error(nil)
		if address == "" {
			if address, err = freeAddress(""); err != nil {
				return err
			}
		}
		// Whoever looks for a free port may have it for a moment.
		if listener, err = new(net.ListenConfig).Listen(context.Background(), "tcp", address); err == nil {
			s.address = address
			break
		}
		if time.Since(began) > 10*time.Second {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	s.server = &http.Server{
		Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		ConnState: func(c net.Conn, state http.ConnState) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if state == http.StateClosed || state == http.StateHijacked {
				delete(s.connections, c)
			} else {
				s.connections[c] = true
			}
		},
	}
	server := s.server
	s.site.work.Go(func() { _ = server.Serve(listener) })
	return nil
}

// kill does to the subscriber what the death of its process would: nobody listens, and
// connections are reset.
func (s *subscriber) kill() {
	s.mu.Lock()
	server := s.server
	for c := range s.connections {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	}
	s.mu.Unlock()
	if server != nil {
		_ = server.Close()
	}
}

// torment kills the subscriber every 0.1 to 2 s until ctx ends. Then it lives.
func (s *subscriber) torment(ctx context.Context, random *rand.Rand) error {
	down := history.Event{Kind: history.Fault, Fault: "receiver_down", Process: s.name}
	for {
		pause(ctx, 100*time.Millisecond+time.Duration(random.Float64()*float64(1900*time.Millisecond)))
		if over(ctx) {
			return nil
		}
		down.On = true
		s.site.record.Add(down)
		s.kill()
		pause(ctx, time.Duration(random.ExpFloat64()*float64(100*time.Millisecond)))
		err := s.open()
		down.On = false
		s.site.record.Add(down)
		if err != nil {
			return err
		}
	}
}

// serve takes one event, or does otherwise.
func (s *subscriber) serve(w http.ResponseWriter, r *http.Request) {
	a := &answering{s: s, event: history.Event{Kind: history.Delivered, Subscriber: s.name, ID: s.ids.Add(1), From: s.site.record.Now()}}
	body, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		panic(http.ErrAbortHandler) // it never came whole
	}
	select {
	case <-s.known: // the first event may be faster than the answer that has the secret
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	}
	s.read(&a.event, r.Header, body)
	a.act()(w, r, a)
}

// act chooses what to do.
func (a *answering) act() func(http.ResponseWriter, *http.Request, *answering) {
	s := a.s
	s.mu.Lock()
	which := s.random.Float64()
	a.dice = s.random.Float64()
	s.mu.Unlock()
	if s.well.Load() || a.event.Note != "" {
		return take
	}
	for _, m := range s.moods {
		if which -= m.share; which < 0 {
			return m.act
		}
	}
	return take
}

// read reads an event as any receiver would that knows CloudEvents and Standard Webhooks.
func (s *subscriber) read(e *history.Event, header http.Header, body []byte) {
	sum := sha256.Sum256(body)
	e.Digest = hex.EncodeToString(sum[:8])
	e.EventID = header.Get("webhook-id")
	var event struct {
		SpecVersion string `json:"specversion"`
		ID          string `json:"id"`
		Type        string `json:"type"`
		Component   string `json:"componentappid"`
		Authorizer  string `json:"authorizerappid"`
		Sequence    string `json:"sequence"`
		Number      string `json:"eventnumber"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		e.Note = "it is no JSON"
		return
	}
	e.Merchant, e.Topic, e.MsgID = event.Authorizer, strings.TrimPrefix(event.Type, "wechat."), numberIn(body)
	var err error
	e.Sequence, err = strconv.ParseInt(event.Sequence, 10, 64)
	number, numberErr := strconv.ParseUint(event.Number, 10, 32)
	e.Number = uint32(number)
	attempt, attemptErr := strconv.Atoi(header.Get("Tuoguan-Attempt"))
	e.Attempt = attempt
	switch {
	case err != nil || numberErr != nil || attemptErr != nil || attempt < 1 || event.SpecVersion != "1.0" || event.Component != s.site.platform.component.AppID:
		e.Note = "it is not the event that it should be"
	case event.ID != e.EventID:
		e.Note = "its id differs from the header's"
	case !s.signed(header, body):
		e.Note = "its signature is not good"
	}
}

// signed checks the signature of Standard Webhooks.
func (s *subscriber) signed(header http.Header, body []byte) bool {
	mac := hmac.New(sha256.New, s.secret)
	_, _ = io.WriteString(mac, header.Get("webhook-id")+"."+header.Get("webhook-timestamp")+".")
	_, _ = mac.Write(body)
	at, err := strconv.ParseInt(header.Get("webhook-timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(at, 0)).Abs() > 5*time.Minute {
		return false
	}
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return slices.ContainsFunc(strings.Fields(header.Get("webhook-signature")), func(given string) bool {
		return hmac.Equal([]byte(given), []byte(want))
	})
}

// openDecoy listens where nobody may be sent by a subscriber, and records who comes.
func (s *site) openDecoy(ctx context.Context) (err error) {
	if s.decoy, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	s.work.Go(func() {
		for {
			c, err := s.decoy.Accept()
			if err != nil {
				return
			}
			s.record.Add(history.Event{Kind: history.Strayed, Note: "where a subscriber has sent it, from " + c.RemoteAddr().String()})
			_ = c.Close()
		}
	})
	return nil
}
