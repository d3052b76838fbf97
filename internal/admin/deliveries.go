package admin

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/delivery"
	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/jobs"
	"github.com/tuoguan/tuoguan/internal/problem"
	sinks "github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/store"
)

// Delivery is one event on its way to one subscription, as the API shows it.
type Delivery struct {
	SubscriptionID string              `json:"subscription_id"`
	Event          deliveredEvent      `json:"event"`
	State          store.DeliveryState `json:"state" enum:"pending,delivered,dead"`
	DueAt          *time.Time          `json:"due_at" doc:"When the next attempt is due; null unless it is pending · 下次尝试时间，仅待投递时有值"`
	Attempts       int                 `json:"attempts" doc:"Since it was put, or replayed last · 最近一次投递或重放以来的尝试次数"`
	FinishedAt     *time.Time          `json:"finished_at"`
	Log            []attempt           `json:"log" doc:"The last attempts, oldest first · 最近的尝试，由旧到新"`
}

// deliveredEvent is what a delivery says of its event.
type deliveredEvent struct {
	ID             string     `json:"id"`
	Seq            int64      `json:"seq"`
	ComponentAppID string     `json:"component_appid"`
	AuthorizerID   string     `json:"authorizer_appid"`
	Kind           string     `json:"kind"`
	ReceivedAt     *time.Time `json:"received_at"`
}

// attempt is what became of one attempt.
type attempt struct {
	At        *time.Time `json:"at"`
	Status    int        `json:"status" doc:"HTTP status; 0 where there was none · HTTP 状态码，无则为 0"`
	LatencyMS int64      `json:"latency_ms"`
	Error     string     `json:"error" doc:"Empty if it was delivered · 成功则为空"`
}

func showDelivery(d store.Delivery) Delivery {
	shown := Delivery{
		SubscriptionID: d.Subscription, State: d.State, DueAt: instant(d.DueAt), Attempts: d.Attempts, FinishedAt: instant(d.FinishedAt), Log: []attempt{},
		Event: deliveredEvent{
			ID: strconv.FormatInt(d.Event.ID, 10), Seq: d.Event.Seq, ComponentAppID: string(d.Event.Component), AuthorizerID: string(d.Event.Authorizer),
			Kind: d.Event.Kind, ReceivedAt: instant(d.Event.ReceivedAt),
		},
	}
	for _, e := range sinks.ParseLog(d.Log) {
		shown.Log = append(shown.Log, attempt{instant(e.At), e.Status, e.Latency, e.Error})
	}
	return shown
}

// deliveriesOf returns the deliveries of an event to subscriptions that the caller sees.
func (a *API) deliveriesOf(ctx context.Context, number int64) ([]Delivery, error) {
	found, err := a.cfg.Store.Deliveries(ctx, store.DeliveryQuery{Event: number, Limit: maxPage})
	if err != nil {
		return nil, problem.Storage(err)
	}
	all := []Delivery{}
	for _, d := range found {
		if callOf(ctx).bound() {
			_, err := a.subscription(ctx, d.Subscription)
			if errors.Is(err, problem.UnknownSubscription) {
				continue
			}
			if err != nil {
				return nil, err
			}
		}
		all = append(all, showDelivery(d))
	}
	return all, nil
}

type listDeliveriesInput struct {
	Paging
	Subscription string `query:"subscription" doc:"The id of a subscription; this or event is required · 订阅 ID，与 event 至少给出一个"`
	Event        string `query:"event" doc:"The number of an event · 事件编号"`
	State        string `query:"state" enum:"pending,delivered,dead"`
}

// listDeliveries lists deliveries to a subscription, or of an event, the newest event first.
func (a *API) listDeliveries(ctx context.Context, in *listDeliveriesInput) (*output[list[Delivery]], error) {
	page := list[Delivery]{Items: []Delivery{}}
	if in.Subscription == "" {
		if in.Event == "" {
			return nil, problem.BadRequest.Field("subscription", "this or event is required", "与 event 至少给出一个")
		}
		p, err := a.event(ctx, in.Event)
		if err != nil {
			return nil, err
		}
		all, err := a.deliveriesOf(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		for _, d := range all {
			if in.State == "" || string(d.State) == in.State {
				page.Items = append(page.Items, d)
			}
		}
		return &output[list[Delivery]]{http.StatusOK, page}, nil
	}
	q := store.DeliveryQuery{Subscription: in.Subscription, State: store.DeliveryState(in.State), Limit: in.Limit + 1}
	var err error
	if in.Cursor != "" {
		if q.Before, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil || q.Before < 1 {
			return nil, badCursor
		}
	}
	if _, err := a.subscription(ctx, in.Subscription); err != nil {
		return nil, err
	}
	if in.Event != "" {
		p, err := a.event(ctx, in.Event)
		if err != nil {
			return nil, err
		}
		q.Event = p.ID
	}
	found, err := a.cfg.Store.Deliveries(ctx, q)
	if err != nil {
		return nil, problem.Storage(err)
	}
	if len(found) > in.Limit {
		found = found[:in.Limit]
		page.NextCursor = strconv.FormatInt(found[in.Limit-1].Event.ID, 10)
	}
	for _, d := range found {
		page.Items = append(page.Items, showDelivery(d))
	}
	return &output[list[Delivery]]{http.StatusOK, page}, nil
}

// maxEvents is how many events can be named in a request for a replay.
const maxEvents = 1000

// replayBody says what is to be delivered again: one of its three parts.
type replayBody struct {
	Dead   bool     `json:"dead,omitempty" doc:"All that was given up · 全部死信"`
	Events []string `json:"events,omitempty" maxItems:"1000" doc:"The numbers of events, whether the subscription matches them or not · 事件编号（无论是否匹配）"`

	Since      *time.Time              `json:"since,omitempty" doc:"Events received then or later · 起始接收时间（含）"`
	Until      *time.Time              `json:"until,omitempty" doc:"Events received before · 截止接收时间（不含）"`
	Kind       string                  `json:"kind,omitempty" doc:"A kind, or the beginning of some that ends in * · 类型，可以 * 结尾"`
	Component  tuoguan.ComponentAppID  `json:"component,omitempty" doc:"AppID of a component · 第三方平台 AppID"`
	Authorizer tuoguan.AuthorizerAppID `json:"authorizer,omitempty" doc:"AppID of an account · 授权账号 AppID"`
}

// filters reports whether a part of all events is asked for.
func (b replayBody) filters() bool {
	return b.Since != nil || b.Until != nil || b.Kind != "" || b.Component != "" || b.Authorizer != ""
}

// replays returns what is to be done for a caller, one after the other.
func (b replayBody) replays(ctx context.Context, a *API, s subscription.Subscription) ([]delivery.Replay, error) {
	said := 0
	for _, is := range []bool{b.Dead, len(b.Events) > 0, b.filters()} {
		if is {
			said++
		}
	}
	switch {
	case said != 1:
		return nil, problem.InvalidField.With(
			"say what is to be replayed: dead, or events, or any of since, until, kind, component and authorizer",
			"须指明重放内容：dead、events，或 since、until、kind、component、authorizer 中的若干项，三者取其一")
	case b.Dead:
		return []delivery.Replay{{Subscription: s.ID, Dead: true}}, nil
	case b.filters():
		return b.filtered(s), nil
	case len(b.Events) > maxEvents:
		return nil, problem.InvalidField.Field("events", "are too many, at most 1000", "数量过多，至多 1000 个")
	}
	named := delivery.Replay{Subscription: s.ID}
	for i, number := range b.Events {
		p, err := a.event(ctx, number)
		field := "events[" + strconv.Itoa(i) + "]"
		switch {
		case errors.Is(err, problem.UnknownEvent):
			return nil, problem.InvalidField.Field(field, "there is no such event, or it is not kept any more", "事件不存在或已不再保留")
		case err != nil:
			return nil, err
		case !event.Deliverable(p.Kind):
			return nil, problem.InvalidField.Field(field, "a verify ticket is never delivered", "component_verify_ticket 不会投递")
		}
		named.Events = append(named.Events, p.ID)
	}
	return []delivery.Replay{named}, nil
}

// filtered returns the replays of what the filter selects of the events that a subscription
// matches. They are within the caller's reach because the subscription is.
func (b replayBody) filtered(s subscription.Subscription) []delivery.Replay {
	m := s.Spec.Match
	var all []delivery.Replay
	for _, kind := range m.Kinds {
		if b.Kind != "" {
			var ok bool
			if kind, ok = narrower(kind, b.Kind); !ok {
				continue
			}
		}
		q := store.EventQuery{
			Kind: kind, Component: b.Component, Authorizer: b.Authorizer,
			Reach: store.Reach{Components: m.Components, Authorizers: m.Authorizers, Tags: m.Tags},
		}
		set(&q.Since, b.Since)
		set(&q.Until, b.Until)
		all = append(all, delivery.Replay{Subscription: s.ID, Query: &q})
	}
	return all
}

// narrower returns which of two kinds, or beginnings of some, the other one stands for too,
// and whether there is such.
func narrower(a, b string) (string, bool) {
	stands := func(wide, narrow string) bool {
		prefix, open := strings.CutSuffix(wide, "*")
		return wide == narrow || open && strings.HasPrefix(narrow, prefix)
	}
	if stands(a, b) {
		return b, true
	}
	return a, stands(b, a)
}

// detail is what the audit log says of a replay.
func (b replayBody) detail(s subscription.Subscription) map[string]string {
	detail := map[string]string{"name": s.Name}
	add := func(name, value string) {
		if value != "" {
			detail[name] = value
		}
	}
	if b.Dead {
		add("dead", "all")
	}
	add("events", strings.Join(b.Events, ", "))
	add("kind", b.Kind)
	add("component", string(b.Component))
	add("authorizer", string(b.Authorizer))
	if b.Since != nil {
		add("since", b.Since.UTC().Format(time.RFC3339))
	}
	if b.Until != nil {
		add("until", b.Until.UTC().Format(time.RFC3339))
	}
	return detail
}

// replayKind is the kind of the job that replays to a subscription.
func replayKind(subscription string) string { return "replay/" + subscription }

type replaySubscriptionInput struct {
	ID string `path:"id"`
	Input[replayBody]
}

// replaySubscription starts a job that delivers events to a subscription again.
func (a *API) replaySubscription(ctx context.Context, in *replaySubscriptionInput) (*output[jobs.Job], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	s, err := a.subscription(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if s.Spec.Sink.Type == subscription.Answer {
		return nil, toAnswer
	}
	replays, err := body.replays(ctx, a, s)
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{}, in.ID, body.detail(s)); err != nil {
		return nil, err
	}
	job, err := a.cfg.Jobs.Run(replayKind(in.ID), func(ctx context.Context, progress func(done, total int64)) error {
		return a.replay(ctx, replays, progress)
	})
	switch {
	case errors.Is(err, jobs.ErrRunning):
		return nil, problem.JobRunning.With("a replay to this subscription is under way, job "+job.ID, "该订阅的重放任务 "+job.ID+" 正在进行")
	case err != nil:
		return nil, problem.Unavailable
	}
	return &output[jobs.Job]{http.StatusAccepted, job}, nil
}

// replay does replays, one after the other.
func (a *API) replay(ctx context.Context, replays []delivery.Replay, progress func(done, total int64)) error {
	var before int64
	for _, r := range replays {
		done, err := a.cfg.Delivery.Replay(ctx, r, func(done int64) { progress(before+done, 0) })
		if err != nil {
			return err
		}
		before += done
	}
	progress(before, before)
	return nil
}

// getReplay shows the last replay to a subscription that this replica has started. Who may
// not see all jobs sees this one.
func (a *API) getReplay(ctx context.Context, in *getSubscriptionInput) (*resource[jobs.Job], error) {
	if _, err := a.subscription(ctx, in.ID); err != nil {
		return nil, err
	}
	for _, job := range a.cfg.Jobs.Jobs() {
		if job.Kind == replayKind(in.ID) {
			return show(job, in.Cached)
		}
	}
	return nil, problem.UnknownJob
}
