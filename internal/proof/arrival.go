//go:build unix

package proof

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan/internal/proof/history"
)

// ask calls the REST API of any server, until one has answered.
func (s *site) ask(ctx context.Context, method, path string, in, out any) error {
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for {
		r, err := s.up(ctx, random)
		if err != nil {
			return err
		}
		err = s.askOf(ctx, r, method, path, in, out)
		if err == nil || ctx.Err() != nil || errors.As(err, new(*refused)) {
			return err
		}
		pause(ctx, 20*time.Millisecond)
	}
}

// refused is an answer that says no.
type refused struct {
	status int
	text   string
}

func (r *refused) Error() string { return fmt.Sprintf("refused with %d: %s", r.status, r.text) }

func (s *site) askOf(ctx context.Context, r *replica, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	_, admin := r.addresses()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+admin+path, body)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+s.apiKey)
	request.Header.Set("Content-Type", "application/json")
	reply, err := r.client.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(io.LimitReader(reply.Body, 16<<20))
	switch {
	case err != nil:
		return err
	case reply.StatusCode >= 500 || reply.StatusCode == http.StatusTooManyRequests:
		return fmt.Errorf("%s %s: status %d: %s", method, path, reply.StatusCode, text)
	case reply.StatusCode >= 400:
		return fmt.Errorf("%s %s: %w", method, path, &refused{reply.StatusCode, string(text)})
	case out == nil:
		return nil
	}
	return json.Unmarshal(text, out)
}

// subscribe opens the subscribers and tells a server of them.
func (s *site) subscribe(ctx context.Context) error {
	if err := s.openDecoy(ctx); err != nil {
		return err
	}
	s.subscribers = subscribersOf(s)
	for _, sub := range s.subscribers {
		if err := sub.open(); err != nil {
			return err
		}
		if err := sub.subscribe(ctx); err != nil {
			return fmt.Errorf("subscribe %s: %w", sub.name, err)
		}
	}
	pause(ctx, s.config.Checker.Notice) // until every server has heard
	return ctx.Err()
}

// subscribe tells a server of the subscriber.
func (s *subscriber) subscribe(ctx context.Context) error {
	in := map[string]any{
		"name":    s.name,
		"match":   map[string]any{"kinds": s.topics, "authorizers": slices.Concat([]string{}, s.merchants)},
		"sink":    map[string]any{"type": "webhook", "url": "http://" + s.address + "/" + s.name, "timeout": int(patience / time.Second)},
		"ordered": s.ordered,
	}
	var out struct {
		ID     string `json:"id"`
		Secret string `json:"signing_secret"`
	}
	if err := s.site.ask(ctx, http.MethodPost, "/v1/subscriptions", in, &out); err != nil {
		return err
	}
	text, isSecret := strings.CutPrefix(out.Secret, "whsec_")
	secret, err := base64.StdEncoding.DecodeString(text)
	if err != nil || !isSecret || out.ID == "" {
		return fmt.Errorf("the server has answered %q with a secret of %d bytes", out.ID, len(out.Secret))
	}
	s.id, s.secret, s.secretText = out.ID, secret, text
	s.site.record.Add(history.Event{
		Kind: history.Subscribed, Subscriber: s.name, Topics: s.topics, Merchants: s.merchants, Ordered: s.ordered, Left: patience,
	})
	close(s.known)
	return nil
}

// arrive lets users write while the round's faults happen, and ends when they have.
func (s *site) arrive(ctx context.Context) error {
	var err error
	if s.traffic, err = newTraffic(s); err != nil {
		return err
	}
	active, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	errs := make([]error, len(s.subscribers)+2)
	for i, sub := range s.subscribers {
		if sub.mortal {
			work.Go(func() { errs[i] = sub.torment(active, rand.New(rand.NewPCG(s.round.Seed, uint64(4000+i)))) })
		}
	}
	work.Go(func() { s.tickets(active, rand.New(rand.NewPCG(s.round.Seed, 100))) })
	work.Go(func() { errs[len(s.subscribers)] = s.tormentAll(active) })
	work.Go(func() { errs[len(s.subscribers)+1] = s.vigil(active) })
	s.traffic.run(ctx)
	stop()
	work.Wait()
	for _, sub := range s.subscribers {
		sub.well.Store(true)
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// undelivered is what the API tells of a delivery that was not made.
type undelivered struct {
	Event struct {
		ID uint32 `json:"id,string"`
	} `json:"event"`
	State string     `json:"state"`
	DueAt *time.Time `json:"due_at"`
}

// undelivered lists what a server says has not come to the subscriber, at most so many.
func (s *subscriber) undelivered(ctx context.Context, state string, most int) (all []undelivered, err error) {
	cursor := ""
	for {
		var page struct {
			Items      []undelivered `json:"items"`
			NextCursor string        `json:"next_cursor"`
		}
		query := url.Values{"subscription": {s.id}, "state": {state}, "limit": {"200"}, "cursor": {cursor}}
		if cursor == "" {
			query.Del("cursor")
		}
		if err := s.site.ask(ctx, http.MethodGet, "/v1/deliveries?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if cursor = page.NextCursor; cursor == "" || len(all) >= most {
			return all, nil
		}
	}
}

// drain waits until every subscriber, all of whom are well, has everything. What servers
// would try much later is replayed, as an operator would do it.
func (s *site) drain(ctx context.Context) (err error) {
	watched, stop := context.WithCancel(ctx)
	var vigil sync.WaitGroup
	var slowErr error
	vigil.Go(func() { slowErr = s.vigil(watched) })
	defer func() { stop(); vigil.Wait(); err = errors.Join(err, slowErr) }()
	deadline := time.Now().Add(s.config.Checker.Recovery)
	for least := -1; ; {
		left := 0
		for _, sub := range s.subscribers {
			n, err := sub.hurry(ctx)
			if err != nil {
				return fmt.Errorf("drain %s: %w", sub.name, err)
			}
			left += n
		}
		if left == 0 {
			break
		}
		if least < 0 || left < least { // it goes on
			least, deadline = left, time.Now().Add(s.config.Checker.Recovery)
		}
		if time.Now().After(deadline) {
			break
		}
		pause(ctx, 500*time.Millisecond)
	}
	for _, sub := range s.subscribers {
		for _, state := range []string{"pending", "dead"} {
			left, err := sub.undelivered(ctx, state, 1<<20)
			if err != nil {
				return err
			}
			for _, u := range left {
				s.record.Add(history.Event{Kind: history.Listed, Subscriber: sub.name, Number: u.Event.ID, State: u.State})
			}
		}
	}
	return ctx.Err()
}

// hurry has what waits for the subscriber, and would do so for long, delivered now. It
// returns how much waits.
func (s *subscriber) hurry(ctx context.Context) (int, error) {
	var status struct {
		State  string `json:"state"`
		Status struct {
			Pending int `json:"pending"`
		} `json:"status"`
	}
	if err := s.site.ask(ctx, http.MethodGet, "/v1/subscriptions/"+s.id, nil, &status); err != nil {
		return 0, err
	}
	if status.State != "active" {
		return 0, fmt.Errorf("the subscription is %s", status.State)
	}
	if status.Status.Pending == 0 || time.Since(s.hurried) < 5*time.Second {
		return status.Status.Pending, nil
	}
	s.hurried = time.Now()
	waiting, err := s.undelivered(ctx, "pending", 5000)
	if err != nil {
		return 0, err
	}
	var late []uint32
	for _, u := range waiting {
		if u.DueAt != nil && time.Until(*u.DueAt) > 2*time.Second {
			late = append(late, u.Event.ID)
			s.site.record.Add(history.Event{Kind: history.Again, Subscriber: s.name, Number: u.Event.ID})
		}
	}
	slices.Sort(late)
	for chunk := range slices.Chunk(late, 1000) {
		events := make([]string, len(chunk))
		for i, number := range chunk {
			events[i] = strconv.FormatUint(uint64(number), 10)
		}
		err := s.site.ask(ctx, http.MethodPost, "/v1/subscriptions/"+s.id+"/replay", map[string]any{"events": events}, nil)
		if refusal := new(refused); errors.As(err, &refusal) && refusal.status == http.StatusConflict {
			break // the one before is under way
		}
		if err != nil {
			return 0, err
		}
	}
	return status.Status.Pending, nil
}
