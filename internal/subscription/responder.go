package subscription

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
)

const (
	// replyReserve is what is left of the time for a reply to record what became of it.
	replyReserve = 100 * time.Millisecond
	// replyTime is how long a receiver is waited for if the context does not say.
	replyTime = 4 * time.Second
	// recordTime bounds how long a reply is held up by the record of what became of it.
	recordTime = time.Second
	// repliesAtOnce bounds how many replies of one subscription are waited for: a
	// receiver that hangs must not hold everything.
	repliesAtOnce = 256
	// maxRetryAfter bounds what a receiver may ask for.
	maxRetryAfter = time.Hour
)

// ResponderConfig says what a [Responder] works with.
type ResponderConfig struct {
	Set   *Set // whose subscriptions answer; [Set.Responder] sets it
	Store interface {
		PushByKey(ctx context.Context, key string) (store.Push, error)
		SaveDeliveries(ctx context.Context, done []store.Delivery) error
	} // required
	// Sinks returns the sink of a subscription. Required.
	Sinks  func(Subscription) (sink.Sink, error)
	Clock  *tuoguan.Clock // defaults to the system's
	Logger *slog.Logger   // required
	// Observe, if given, is called after each reply that was asked for. It must return at
	// once.
	Observe func(ReplyObservation)
}

// ReplyObservation is what became of one question for a passive reply.
type ReplyObservation struct {
	Subscription string
	Result       ReplyResult
	Latency      time.Duration
}

// ReplyResult is how a question for a passive reply ended.
type ReplyResult string

// Results. After the last three the push becomes an ordinary delivery.
const (
	ReplyStatic  ReplyResult = "static"  // answered with what the subscription says
	ReplyGiven   ReplyResult = "given"   // answered by the receiver
	ReplySilent  ReplyResult = "silent"  // the receiver took the push and has nothing to say
	ReplyRefused ReplyResult = "refused" // the receiver answered with what is no passive reply
	ReplyFailed  ReplyResult = "failed"  // the receiver was not reached, or not in time, or took nothing
	ReplyBusy    ReplyResult = "busy"    // too many replies of the receiver are waited for
)

// Responder answers pushes with what subscriptions say. It is safe for concurrent use.
type Responder struct {
	cfg ResponderConfig

	mu      sync.Mutex
	waiting map[string]int // replies waited for, by subscription
}

var _ push.Responder = (*Responder)(nil)

// Responder returns one that asks the subscriptions of the set.
func (s *Set) Responder(cfg ResponderConfig) (*Responder, error) {
	cfg.Set = s
	var wrong []error
	if cfg.Store == nil {
		wrong = append(wrong, errors.New("subscription: ResponderConfig.Store is required"))
	}
	if cfg.Sinks == nil {
		wrong = append(wrong, errors.New("subscription: ResponderConfig.Sinks is required"))
	}
	if cfg.Logger == nil {
		wrong = append(wrong, errors.New("subscription: ResponderConfig.Logger is required"))
	}
	if cfg.Observe == nil {
		cfg.Observe = func(ReplyObservation) {}
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return &Responder{cfg: cfg, waiting: make(map[string]int)}, nil
}

// Respond has the subscription with the highest priority answer, of those that match the
// push and may. It returns before ctx ends.
func (r *Responder) Respond(ctx context.Context, p *push.Push) (push.Reply, error) {
	if !answerable(p) {
		return nil, nil
	}
	var room [16]*candidate
	asked := answerer(r.cfg.Set.matching(ctx, &subject{Authorization: p.Authorization, kind: p.Kind(), parsed: p}, room[:0]))
	switch {
	case asked == nil:
		return nil, nil
	case asked.static:
		return r.fixed(ctx, asked.of, p), nil
	}
	return r.ask(ctx, asked.of, p), nil
}

// fixed returns the reply that is always the same, if it suits the push.
func (r *Responder) fixed(ctx context.Context, of *Subscription, p *push.Push) push.Reply {
	if of.Spec.Sink.Answer == nil {
		return nil
	}
	reply, err := of.Spec.Sink.Answer.reply()
	if err == nil {
		_, err = push.Plaintext(p, reply, r.cfg.Clock.Now())
	}
	if err != nil {
		r.cfg.Logger.WarnContext(ctx, "the answer of a subscription does not suit the push", "subscription", of.ID, "push", p, "error", err)
		return nil
	}
	r.cfg.Observe(ReplyObservation{Subscription: of.ID, Result: ReplyStatic})
	return reply
}

// ask waits for what the receiver says. What becomes of that is recorded as an attempt
// at the delivery of the push. Where it cannot be, the delivery is made once more when
// it becomes due.
func (r *Responder) ask(ctx context.Context, of *Subscription, p *push.Push) push.Reply {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(replyTime)
	}
	until := deadline.Add(-replyReserve)
	limited, cancel := context.WithDeadline(ctx, until)
	defer cancel()

	stored, err := r.cfg.Store.PushByKey(limited, p.DedupeKey())
	if err != nil {
		r.cfg.Logger.WarnContext(ctx, "a push is not asked a reply for: it cannot be read", "subscription", of.ID, "push", p, "error", err)
		return nil
	}
	began, start := r.cfg.Clock.Now(), time.Now()
	answer := r.send(limited, of, sink.Message{ID: event.ID(stored.Key), Event: stored, Attempt: 1, ReplyBy: began.Add(until.Sub(start))}, p)
	latency := time.Since(start)
	r.cfg.Observe(ReplyObservation{Subscription: of.ID, Result: answer.result, Latency: latency})

	now := r.cfg.Clock.Now()
	done := store.Delivery{
		Subscription: of.ID, Event: stored, Attempts: 1,
		State: store.DeliveryDelivered, DueAt: now, FinishedAt: now,
		Log: sink.AppendLog(nil, sink.Entry{At: began, Status: answer.status, Latency: latency.Milliseconds(), Error: answer.problem}),
	}
	if answer.problem != "" {
		done.State, done.FinishedAt = store.DeliveryPending, time.Time{}
		done.DueAt = now.Add(min(max(answer.retryAfter, 0), maxRetryAfter))
		r.cfg.Logger.WarnContext(ctx, "no passive reply", "subscription", of.ID, "push", p, "reason", answer.problem)
	}
	ctx, cancel = context.WithTimeout(ctx, recordTime)
	defer cancel()
	if err := r.cfg.Store.SaveDeliveries(ctx, []store.Delivery{done}); err != nil {
		r.cfg.Logger.WarnContext(ctx, "what became of a passive reply cannot be recorded", "subscription", of.ID, "push", p, "error", err)
	}
	return answer.reply
}

// answer is what became of a question.
type answer struct {
	result     ReplyResult
	reply      push.Reply
	status     int
	problem    string // why the push is to be delivered once more; "" if it is not
	retryAfter time.Duration
}

// send asks the receiver.
func (r *Responder) send(ctx context.Context, of *Subscription, m sink.Message, p *push.Push) answer {
	if !r.enter(of.ID) {
		return answer{result: ReplyBusy, problem: "passive reply: too many are waited for already"}
	}
	defer r.leave(of.ID)
	to, err := r.cfg.Sinks(*of)
	if err != nil {
		return answer{result: ReplyFailed, problem: "passive reply: " + err.Error()}
	}
	receipt, err := to.Send(ctx, m)
	var refusal *sink.Refusal
	switch {
	case errors.As(err, &refusal):
		return answer{result: ReplyFailed, status: refusal.Status, problem: "passive reply: " + refusal.Error(), retryAfter: refusal.RetryAfter}
	case err != nil && ctx.Err() != nil:
		return answer{result: ReplyFailed, problem: "passive reply: not answered in time"}
	case err != nil:
		return answer{result: ReplyFailed, problem: "passive reply: " + err.Error()}
	}
	reply, err := ParseReply(p, receipt.Reply)
	switch {
	case err != nil:
		return answer{result: ReplyRefused, status: receipt.Status, problem: "passive reply: " + err.Error()}
	case reply == nil:
		return answer{result: ReplySilent, status: receipt.Status}
	}
	return answer{result: ReplyGiven, status: receipt.Status, reply: reply}
}

// enter reports whether one more reply of a subscription may be waited for.
func (r *Responder) enter(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[id] >= repliesAtOnce {
		return false
	}
	r.waiting[id]++
	return true
}

func (r *Responder) leave(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[id]--; r.waiting[id] == 0 {
		delete(r.waiting, id)
	}
}
