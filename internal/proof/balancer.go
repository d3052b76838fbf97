//go:build unix

package proof

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"time"

	"github.com/tuoguan/tuoguan/internal/proof/history"
)

// balancer stands where a site's load balancer is: it brings the platform's pushes
// to a replica that answers. While none does, a push waits for a moment.
type balancer struct{ site *site }

var errNobody = errors.New("no replica answers")

// RoundTrip forwards one push.
func (b balancer) RoundTrip(request *http.Request) (*http.Response, error) {
	s := b.site
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	_ = request.Body.Close()
	s.pushes.add(genuine{path: request.URL.Path, query: request.URL.Query(), body: body})
	ctx, cancel := context.WithTimeout(request.Context(), 2*time.Second)
	defer cancel()
	g := genuine{path: request.URL.Path, query: request.URL.Query(), body: body}
	var r *replica
	var reply *http.Response
	var e history.Event
	for err = error(syscall.ECONNREFUSED); errors.Is(err, syscall.ECONNREFUSED); {
		// Any one will do.
		if r, err = s.up(ctx, mathrand.New(mathrand.NewPCG(uint64(time.Now().UnixNano()), 0))); err != nil {
			return nil, errNobody
		}
		e = history.Event{Kind: history.Took, From: s.record.Now()}
		e.Process, _ = r.current()
		reply, err = r.deliver(request.Context(), g)
	}
	if err != nil {
		return nil, err
	}
	if r.silenced(e.Process) {
		return nil, errNobody
	}
	e.Status = reply.StatusCode
	s.record.Add(e)
	return reply, nil
}

// deliver brings a push to the process in place. The reply is read whole.
func (r *replica) deliver(ctx context.Context, g genuine) (*http.Response, error) {
	public, _ := r.addresses()
	target := url.URL{Scheme: "http", Host: public, Path: g.path, RawQuery: g.query.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(g.body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "text/xml")
	reply, err := r.client.Transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(reply.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	reply.Body = io.NopCloser(bytes.NewReader(answer))
	return reply, nil
}

// genuine is a push as the platform sent it.
type genuine struct {
	path  string
	query url.Values
	body  []byte
}

// pushLog remembers some pushes, to be replayed and forged.
type pushLog struct {
	mu   sync.Mutex
	kept []genuine
	next int
}

func (l *pushLog) add(g genuine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) < 512 {
		l.kept = append(l.kept, g)
		return
	}
	l.kept[l.next%len(l.kept)] = g
	l.next++
}

func (l *pushLog) pick(random *mathrand.Rand) (genuine, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) == 0 {
		return genuine{}, false
	}
	return l.kept[random.IntN(len(l.kept))], true
}

// forge makes a push that is not genuine of one that is, and says what is wrong with it.
func (g genuine) forge(random *mathrand.Rand) (genuine, string) {
	query := url.Values{}
	for name, values := range g.query {
		query[name] = append([]string{}, values...)
	}
	g.query, g.body = query, bytes.Clone(g.body)
	switch random.IntN(5) {
	case 0:
		// Within the ciphertext, behind any prefix of the envelope.
		at := bytes.Index(g.body, []byte("<Encrypt>"))
		if at < 0 {
			at = 0
		}
		at = min(at+40+random.IntN(64), len(g.body)-1)
		if g.body[at] == 'A' {
			g.body[at] = 'B'
		} else {
			g.body[at] = 'A'
		}
		return g, "a changed ciphertext"
	case 1:
		query.Set("msg_signature", hexOf(query.Get("msg_signature")+"x"))
		return g, "a wrong signature"
	case 2:
		query.Del("msg_signature")
		return g, "no signature"
	case 3:
		query.Add("msg_signature", query.Get("msg_signature"))
		return g, "a doubled parameter"
	default:
		query.Set("timestamp", "1000000000")
		return g, "another timestamp"
	}
}

func hexOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:20])
}

// intrude sends forged pushes and replays genuine ones until ctx ends.
func (s *site) intrude(ctx context.Context, random *mathrand.Rand) {
	for ctx.Err() == nil {
		pause(ctx, time.Duration(random.ExpFloat64()*float64(20*time.Millisecond)))
		g, ok := s.pushes.pick(random)
		if !ok {
			continue
		}
		r, err := s.up(ctx, random)
		if err != nil {
			return
		}
		e := history.Event{Kind: history.Forged, From: s.record.Now()}
		e.Process, _ = r.current()
		replay := random.IntN(2) == 0
		if !replay {
			g, e.Note = g.forge(random)
		}
		reply, err := r.deliver(ctx, g)
		if err != nil {
			continue
		}
		body, err := io.ReadAll(reply.Body)
		if closeErr := reply.Body.Close(); replay || err != nil || closeErr != nil {
			continue // what a replay must not change is seen elsewhere
		}
		e.Status, e.Digest = reply.StatusCode, hexOf(string(body))
		e.Accepted = reply.StatusCode == http.StatusOK
		s.record.Add(e)
	}
}
