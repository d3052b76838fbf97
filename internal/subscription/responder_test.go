package subscription

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
)

// receiver is a sink that answers.
type receiver struct {
	say func(ctx context.Context, m sink.Message) (sink.Receipt, error)
}

func (r receiver) Send(ctx context.Context, m sink.Message) (sink.Receipt, error) {
	return r.say(ctx, m)
}
func (receiver) Close() error { return nil }

// says returns a receiver that answers this after a while.
func says(after time.Duration, body string, err error) receiver {
	return receiver{func(ctx context.Context, _ sink.Message) (sink.Receipt, error) {
		select {
		case <-time.After(after):
		case <-ctx.Done():
			return sink.Receipt{}, ctx.Err()
		}
		if err != nil {
			return sink.Receipt{}, err
		}
		return sink.Receipt{Status: 200, Reply: []byte(body)}, nil
	}}
}

// trouble is what goes wrong with a store.
type trouble struct {
	read  error
	write error
	slow  time.Duration // of what is written
}

// rows keeps a push and what became of its deliveries.
type rows struct {
	push store.Push
	trouble

	mu   sync.Mutex
	done []store.Delivery
}

func (r *rows) PushByKey(_ context.Context, key string) (store.Push, error) {
	if key != r.push.Key {
		return store.Push{}, store.ErrNotFound
	}
	return r.push, r.read
}

func (r *rows) SaveDeliveries(ctx context.Context, done []store.Delivery) error {
	select {
	case <-time.After(r.slow):
	case <-ctx.Done():
		return ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = append(r.done, done...)
	return r.write
}

// handlerTime is how long the handler of pushes gives a responder.
const handlerTime = 4200 * time.Millisecond

func TestRespond(t *testing.T) {
	t.Parallel()
	const hello = `{"msg_type":"text","content":"hello"}`
	all := Match{Kinds: []string{"text"}}
	text, parsed := arrived(aText)
	_, notice := arrived("<InfoType>unauthorized</InfoType>")
	for name, test := range map[string]struct {
		subscriptions []Subscription
		push          *push.Push // parsed if nil
		receiver      receiver
		store         trouble
		sinks         error

		want   push.Reply
		result ReplyResult
		state  store.DeliveryState // "": nothing is recorded
		due    time.Duration
		entry  sink.Entry
		takes  time.Duration
	}{
		"replied": {
			subscriptions: []Subscription{of("sub_a", all, reply(0))}, receiver: says(time.Second, hello, nil),
			want: push.Text{Content: "hello"}, result: ReplyGiven, state: store.DeliveryDelivered, entry: sink.Entry{Status: 200, Latency: 1000}, takes: time.Second,
		},
		"silent": {
			subscriptions: []Subscription{of("sub_a", all, reply(0))}, receiver: says(0, "success", nil),
			result: ReplySilent, state: store.DeliveryDelivered, entry: sink.Entry{Status: 200},
		},
		"nonsense": {
			subscriptions: []Subscription{of("sub_a", all, reply(0))}, receiver: says(0, "<html>", nil),
			result: ReplyRefused, state: store.DeliveryPending, entry: sink.Entry{Status: 200, Error: "malformed XML"},
		},
		"for another user": {
			subscriptions: []Subscription{of("sub_a", all, reply(0))},
			receiver:      says(0, "<xml><ToUserName>o2</ToUserName><MsgType>text</MsgType><Content>c</Content></xml>", nil),
			result:        ReplyRefused, state: store.DeliveryPending, entry: sink.Entry{Status: 200, Error: "not the user"},
		},
		"hanging": {
			subscriptions: []Subscription{of("sub_a", all, reply(0))}, receiver: says(time.Hour, hello, nil),
			result: ReplyFailed, state: store.DeliveryPending, entry: sink.Entry{Latency: 4100, Error: "not answered in time"}, takes: handlerTime - replyReserve,
		},
		"refused": {
			subscriptions: []Subscription{of("sub_a", all, reply(0))}, receiver: says(0, "", &sink.Refusal{Status: 503, RetryAfter: time.Minute, Text: "busy"}),
			result: ReplyFailed, state: store.DeliveryPending, due: time.Minute, entry: sink.Entry{Status: 503, Error: "busy"},
		},
		"wants rest for long": {
			subscriptions: []Subscription{of("sub_a", all, reply(0))}, receiver: says(0, "", &sink.Refusal{Status: 503, RetryAfter: 48 * time.Hour, Text: "busy"}),
			result: ReplyFailed, state: store.DeliveryPending, due: time.Hour, entry: sink.Entry{Status: 503, Error: "busy"},
		},
		"not reached": {
			subscriptions: []Subscription{of("sub_a", all, reply(0))}, receiver: says(0, "", sink.ErrBlocked),
			result: ReplyFailed, state: store.DeliveryPending, entry: sink.Entry{Error: "not allowed"},
		},
		"no sink": {
			subscriptions: []Subscription{of("sub_a", all, reply(0))}, sinks: errors.New("no such certificate"),
			result: ReplyFailed, state: store.DeliveryPending, entry: sink.Entry{Error: "no such certificate"},
		},
		"not recorded": {
			subscriptions: []Subscription{of("sub_a", all, reply(0))}, receiver: says(0, hello, nil), store: trouble{write: store.ErrUnavailable},
			want: push.Text{Content: "hello"}, result: ReplyGiven, state: store.DeliveryDelivered, entry: sink.Entry{Status: 200},
		},
		"recording hangs": {
			subscriptions: []Subscription{of("sub_a", all, reply(0))}, receiver: says(time.Second, hello, nil), store: trouble{slow: time.Hour},
			want: push.Text{Content: "hello"}, result: ReplyGiven, takes: time.Second + recordTime,
		},
		"recording hangs at the end": {
			subscriptions: []Subscription{of("sub_a", all, reply(0))}, receiver: says(time.Hour, hello, nil), store: trouble{slow: time.Hour},
			result: ReplyFailed, takes: handlerTime,
		},
		"push not to be read": {
			subscriptions: []Subscription{of("sub_a", all, reply(0))}, receiver: says(0, hello, nil), store: trouble{read: store.ErrUnavailable},
		},
		"the highest alone is asked": {
			subscriptions: []Subscription{of("sub_a", all, reply(0)), of("sub_b", all, reply(1)), of("sub_c", all)}, receiver: receiver{func(_ context.Context, m sink.Message) (sink.Receipt, error) {
				return sink.Receipt{Status: 200}, nil
			}},
			result: ReplySilent, state: store.DeliveryDelivered, entry: sink.Entry{Status: 200},
		},
		"static":             {subscriptions: []Subscription{of("sub_a", all, reply(0)), of("sub_b", all, static(1))}, want: push.Text{Content: "always"}, result: ReplyStatic},
		"static of no store": {subscriptions: []Subscription{of("sub_a", all, static(1))}, store: trouble{read: store.ErrUnavailable}, want: push.Text{Content: "always"}, result: ReplyStatic},
		"static that does not suit": {subscriptions: []Subscription{of("sub_a", all, func(s *Subscription) {
			s.Spec.Sink = Sink{Type: Answer, Answer: &Reply{MsgType: "news", Articles: make([]Article, 3)}}
		})}},
		"paused":            {subscriptions: []Subscription{of("sub_a", all, reply(0), state(store.SubscriptionPaused))}},
		"nobody may answer": {subscriptions: []Subscription{of("sub_a", all)}},
		"no message":        {subscriptions: []Subscription{of("sub_a", Match{Kinds: []string{"*"}}, static(1))}, push: notice},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, _ := set(t, test.subscriptions...)
				kept := &rows{push: text, trouble: test.store}
				var asked []sink.Message
				var observed []ReplyObservation
				var log bytes.Buffer
				r, err := s.Responder(ResponderConfig{
					Store: kept,
					Sinks: func(Subscription) (sink.Sink, error) {
						return receiver{func(ctx context.Context, m sink.Message) (sink.Receipt, error) {
							asked = append(asked, m)
							return test.receiver.say(ctx, m)
						}}, test.sinks
					},
					Logger:  slog.New(slog.NewTextHandler(&log, nil)),
					Observe: func(o ReplyObservation) { observed = append(observed, o) },
				})
				if err != nil {
					t.Fatal(err)
				}
				p := test.push
				if p == nil {
					p = parsed
				}
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), handlerTime)
				defer cancel()
				got, err := r.Respond(ctx, p)
				if took := time.Since(start); took != test.takes {
					t.Errorf("it took %v, want %v", took, test.takes)
				}
				if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
					t.Errorf("reply %v (-want +got):\n%s", err, diff)
				}
				if strings.Contains(log.String(), "hello") || strings.Contains(log.String(), "退款") {
					t.Errorf("a message is in the log:\n%s", &log)
				}
				for _, m := range asked {
					if want := start.Add(handlerTime - replyReserve); !m.ReplyBy.Equal(want) || m.ID != event.ID(text.Key) || m.Attempt != 1 || m.Event.ID != text.ID {
						t.Errorf("asked with %+v", m)
					}
				}
				var results []ReplyResult
				for _, o := range observed {
					results = append(results, o.Result)
				}
				if (test.result == "") != (len(results) == 0) || len(results) > 1 || len(results) == 1 && results[0] != test.result {
					t.Errorf("observed %v, want %v", results, test.result)
				}
				if test.state == "" {
					if len(kept.done) > 0 {
						t.Errorf("recorded %+v", kept.done)
					}
					return
				}
				now := time.Now()
				want := store.Delivery{Subscription: test.subscriptions[min(1, len(test.subscriptions)-1)].ID, Event: text, State: test.state, Attempts: 1, DueAt: now.Add(test.due)}
				if test.state == store.DeliveryDelivered {
					want.FinishedAt = now
				}
				if diff := cmp.Diff([]store.Delivery{want}, kept.done, cmpopts.IgnoreFields(store.Delivery{}, "Log")); diff != "" {
					t.Fatalf("recorded (-want +got):\n%s", diff)
				}
				entries := sink.ParseLog(kept.done[0].Log)
				if len(entries) != 1 || entries[0].Status != test.entry.Status || entries[0].Latency != test.entry.Latency || !entries[0].At.Equal(start) ||
					(entries[0].Error == "") != (test.entry.Error == "") || !strings.Contains(entries[0].Error, test.entry.Error) {
					t.Errorf("the log says %+v, want %+v", entries, test.entry)
				}
			})
		})
	}
}

// TestRespondBounded checks that a receiver that hangs holds no more than its share.
func TestRespondBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		text, parsed := arrived(aText)
		s, _ := set(t, of("sub_a", Match{Kinds: []string{"text"}}, reply(0)))
		kept := &rows{push: text}
		r, err := s.Responder(ResponderConfig{
			Store: kept, Sinks: func(Subscription) (sink.Sink, error) { return says(time.Hour, "", nil), nil }, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), handlerTime)
		defer cancel()
		var work sync.WaitGroup
		for range repliesAtOnce {
			work.Go(func() { _, _ = r.Respond(ctx, parsed) })
		}
		synctest.Wait()
		start := time.Now()
		if _, err := r.Respond(ctx, parsed); err != nil || time.Since(start) > 0 {
			t.Errorf("one more waits for %v, %v", time.Since(start), err)
		}
		kept.mu.Lock()
		if len(kept.done) != 1 || kept.done[0].State != store.DeliveryPending || !strings.Contains(string(kept.done[0].Log), "too many") {
			t.Errorf("one more is recorded as %+v", kept.done)
		}
		kept.mu.Unlock()
		work.Wait()
		if len(r.waiting) != 0 {
			t.Errorf("waiting for %v in the end", r.waiting)
		}
	})
}

// TestRespondAfterPanic checks that a sink that panics gives its place back; the
// handler of pushes logs the panic.
func TestRespondAfterPanic(t *testing.T) {
	t.Parallel()
	text, parsed := arrived(aText)
	s, _ := set(t, of("sub_a", Match{Kinds: []string{"text"}}, reply(0)))
	r, err := s.Responder(ResponderConfig{
		Store: &rows{push: text}, Logger: slog.New(slog.DiscardHandler),
		Sinks: func(Subscription) (sink.Sink, error) {
			return receiver{func(context.Context, sink.Message) (sink.Receipt, error) { panic("sink") }}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is hidden")
			}
		}()
		_, _ = r.Respond(t.Context(), parsed)
	}()
	if len(r.waiting) != 0 {
		t.Errorf("waiting for %v after a panic", r.waiting)
	}
}

func TestResponderRefuses(t *testing.T) {
	t.Parallel()
	s, _ := set(t)
	_, err := s.Responder(ResponderConfig{})
	for _, name := range []string{"Store", "Sinks", "Logger"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Responder() without %s: %v", name, err)
		}
	}
}
