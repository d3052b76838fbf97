package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/delivery"
	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/store"
)

// Event is an event as the API shows it in a list.
type Event struct {
	ID             string     `json:"id" doc:"Its number, ascending in the order of arrival · 编号，按到达顺序递增"`
	EventID        string     `json:"event_id" doc:"Its id in every delivery: the webhook-id · 投递时的事件 ID，即 webhook-id"`
	Seq            int64      `json:"seq" doc:"Numbers the events of an account to a component, without gaps · 同一账号事件的连续序号"`
	ComponentAppID string     `json:"component_appid"`
	AuthorizerID   string     `json:"authorizer_appid" doc:"Empty where it concerns the component alone · 仅涉及第三方平台时为空"`
	Kind           string     `json:"kind" doc:"InfoType; or MsgType; or event. and Event; or one of our own, tuoguan.… · InfoType、MsgType、event.加 Event，或以 tuoguan. 开头的自有事件"`
	CreatedAt      *time.Time `json:"created_at" doc:"WeChat's CreateTime · 微信的 CreateTime"`
	ReceivedAt     *time.Time `json:"received_at"`
}

// FullEvent is an event with what it says and what became of it.
type FullEvent struct {
	Event      Event          `json:"event"`
	Body       string         `json:"body" doc:"The decrypted text, XML or JSON; tickets and codes in it are empty. Empty where it cannot be read and may hold one · 解密后的 XML 或 JSON，其中 ticket 与授权码为空；无法解析且可能含有它们时整体为空"`
	Fields     map[string]any `json:"fields" doc:"What it says, by WeChat's names · 解析后的字段，沿用微信的名称"`
	Problem    string         `json:"problem" doc:"Why it cannot be read, empty if it can · 无法解析的原因，无则为空"`
	Reply      string         `json:"reply" doc:"The passive reply given, empty if none · 被动回复，无则为空"`
	Deliveries []Delivery     `json:"deliveries" doc:"To subscriptions that the key sees · 向该密钥可见的订阅的投递"`
}

func showEvent(p store.Push) Event {
	return Event{
		ID: strconv.FormatInt(p.ID, 10), EventID: event.ID(p.Key), Seq: p.Seq,
		ComponentAppID: string(p.Component), AuthorizerID: string(p.Authorizer), Kind: p.Kind,
		CreatedAt: instant(p.CreatedAt), ReceivedAt: instant(p.ReceivedAt),
	}
}

// said returns what an event says, as its subscribers are told.
func (full *FullEvent) said(p store.Push) error {
	full.Fields = map[string]any{}
	if event.Own(p.Kind) {
		full.Body = string(p.Body)
	} else {
		full.Body = string(event.XML(p))
	}
	told, err := event.CloudEvent(p)
	if errors.Is(err, event.ErrEncoding) {
		return nil // a ticket is told to nobody
	}
	if err != nil {
		return err
	}
	var envelope struct{ Data json.RawMessage }
	if err := json.Unmarshal(told, &envelope); err != nil {
		return err
	}
	if event.Own(p.Kind) {
		return json.Unmarshal(envelope.Data, &full.Fields)
	}
	var data struct {
		Fields  map[string]any
		Problem string
	}
	err = json.Unmarshal(envelope.Data, &data)
	if full.Problem = data.Problem; data.Fields != nil {
		full.Fields = data.Fields
	}
	return err
}

// concerns reports whether the caller has to do with a push.
func (a *API) concerns(ctx context.Context, p store.Push) (bool, error) {
	c := callOf(ctx)
	authorization := tuoguan.Authorization{Component: p.Component, Authorizer: p.Authorizer}
	if reach := c.Reach(); len(c.Scope.Tags) == 0 || p.Authorizer == "" || reach.Contains(authorization, nil) {
		return reach.Contains(authorization, nil), nil
	}
	entries, err := a.cfg.Directory.Find(ctx, p.Authorizer, p.Component)
	if err != nil || len(entries) == 0 {
		return false, problem.Storage(err)
	}
	return c.Reach().Contains(authorization, entries[0].Tags), nil
}

type listEventsInput struct {
	Paging
	Component  string `query:"component" doc:"AppID of a component · 第三方平台 AppID"`
	Authorizer string `query:"authorizer" doc:"AppID of an account · 授权账号 AppID"`
	Kind       string `query:"kind" doc:"A kind, or the beginning of some that ends in * · 类型，可以 * 结尾"`
	Since      string `query:"since" format:"date-time" doc:"Received then or later · 起始接收时间（含）"`
	Until      string `query:"until" format:"date-time" doc:"Received before · 截止接收时间（不含）"`
	Order      string `query:"order" enum:"asc,desc" default:"asc" doc:"desc: newest first · desc 为由新到旧"`
}

// listEvents lists events without what they say. A page may be short, even empty, and
// have a next one.
func (a *API) listEvents(ctx context.Context, in *listEventsInput) (*output[list[Event]], error) {
	within := store.EventQuery{Backwards: in.Order == "desc", Limit: 1}
	if in.Cursor != "" {
		cursor, err := strconv.ParseInt(in.Cursor, 10, 64)
		if err != nil || cursor < 0 {
			return nil, badCursor
		}
		seek(&within, cursor)
	}
	var err error
	if within.Since, err = parameterInstant("since", in.Since); err != nil {
		return nil, err
	}
	if within.Until, err = parameterInstant("until", in.Until); err != nil {
		return nil, err
	}
	page := list[Event]{Items: []Event{}}
	first, _, err := a.events(ctx, within)
	if err != nil && (in.Cursor == "" || !errors.Is(err, store.ErrQuarantined)) { // behind a page that opened such are the end
		return nil, err
	}
	if len(first) == 0 {
		return &output[list[Event]]{http.StatusOK, page}, nil
	}
	// One page looks at so many numbers and no further.
	wanted := within
	wanted.Component, wanted.Authorizer, wanted.Kind = tuoguan.ComponentAppID(in.Component), tuoguan.AuthorizerAppID(in.Authorizer), in.Kind
	wanted.Reach, wanted.Limit = callOf(ctx).Reach(), in.Limit+1
	var last int64
	if within.Backwards {
		last = max(first[0].ID-maxScan, 1)
		wanted.After = last - 1
	} else {
		last = first[0].ID + maxScan
		wanted.Before = last + 1
	}
	found, whole, err := a.events(ctx, wanted)
	if err != nil && !errors.Is(err, store.ErrQuarantined) {
		return nil, err
	}
	more := len(found) > in.Limit || !whole
	if more {
		found = found[:min(len(found), in.Limit)]
		last = found[len(found)-1].ID
	}
	for _, p := range found {
		page.Items = append(page.Items, showEvent(p))
	}
	if !more {
		behind := within
		seek(&behind, last)
		rest, _, err := a.events(ctx, behind)
		if err != nil && !errors.Is(err, store.ErrQuarantined) {
			return nil, err
		}
		more = len(rest) > 0
	}
	if more {
		page.NextCursor = strconv.FormatInt(last, 10)
	}
	return &output[list[Event]]{http.StatusOK, page}, nil
}

// events returns the events that a query selects, but for those whose text does not open;
// it is whole if there are none of these. Where it could return none for that reason, it
// looks further, and fails with ErrQuarantined if that does not help.
func (a *API) events(ctx context.Context, q store.EventQuery) (found []store.Push, whole bool, err error) {
	found, err = a.cfg.Store.Events(ctx, q)
	if errors.Is(err, store.ErrQuarantined) && len(found) == 0 && q.Limit < maxPage {
		q.Limit = maxPage
		found, err = a.cfg.Store.Events(ctx, q)
	}
	if errors.Is(err, store.ErrQuarantined) && len(found) > 0 {
		return found, false, nil
	}
	return found, true, problem.Storage(err)
}

// seek has a query go on behind an event.
func seek(q *store.EventQuery, last int64) {
	if q.Backwards {
		q.Before = last
	} else {
		q.After = last
	}
}

// parameterInstant reads a parameter that is an instant; "" is none.
func parameterInstant(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, problem.BadRequest.Field(name, "must be an instant such as 2026-11-21T08:00:00Z", "须为 2026-11-21T08:00:00Z 形式的时间")
	}
	return at, nil
}

// event returns an event that the caller has to do with. Another is as one that does not
// exist.
func (a *API) event(ctx context.Context, id string) (store.Push, error) {
	number, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return store.Push{}, problem.UnknownEvent
	}
	p, err := a.cfg.Store.Push(ctx, number)
	if errors.Is(err, store.ErrNotFound) {
		return p, problem.UnknownEvent
	}
	if err != nil {
		return p, problem.Storage(err)
	}
	concerned, err := a.concerns(ctx, p)
	if err == nil && !concerned {
		err = problem.UnknownEvent
	}
	return p, err
}

type getEventInput struct {
	ID string `path:"id"`
	Cached
}

func (a *API) getEvent(ctx context.Context, in *getEventInput) (*resource[FullEvent], error) {
	p, err := a.event(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	full := FullEvent{Event: showEvent(p), Reply: string(p.Reply)}
	if err := full.said(p); err != nil {
		return nil, err
	}
	if full.Deliveries, err = a.deliveriesOf(ctx, p.ID); err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{Component: p.Component, Authorizer: p.Authorizer}, in.ID, map[string]string{"kind": p.Kind}); err != nil {
		return nil, err
	}
	return show(full, in.Cached)
}

type replayEventBody struct {
	Subscription string `json:"subscription,omitempty" doc:"The id of one subscription, whether it matches or not; without it, all that match · 指定的订阅（无论是否匹配），默认为所有匹配的订阅"`
}

type replayEventInput struct {
	ID string `path:"id"`
	OptionalInput[replayEventBody]
}

// replayed says to whom an event is delivered again.
type replayed struct {
	Subscriptions []string `json:"subscriptions" doc:"The ids of those it is delivered to now · 将投递到的订阅"`
}

func (a *API) replayEvent(ctx context.Context, in *replayEventInput) (*output[replayed], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	p, err := a.event(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if !event.Deliverable(p.Kind) {
		return nil, problem.InvalidField.Field("id", "a verify ticket is never delivered", "component_verify_ticket 不会投递")
	}
	wanted := []string{body.Subscription}
	if body.Subscription == "" {
		wanted = a.cfg.Matching(ctx, p)
	}
	to := replayed{Subscriptions: []string{}}
	for _, id := range wanted {
		s, err := a.subscription(ctx, id)
		switch {
		case body.Subscription == "" && errors.Is(err, problem.UnknownSubscription):
			continue // it is not the caller's, or gone
		case err != nil:
			return nil, err
		case s.Spec.Sink.Type == subscription.Answer:
			return nil, toAnswer
		}
		to.Subscriptions = append(to.Subscriptions, id)
	}
	for _, id := range to.Subscriptions {
		if err := a.record(ctx, tuoguan.Authorization{Component: p.Component, Authorizer: p.Authorizer}, in.ID, map[string]string{"kind": p.Kind, "subscription": id}); err != nil {
			return nil, err
		}
		_, err := a.cfg.Delivery.Replay(ctx, delivery.Replay{Subscription: id, Events: []int64{p.ID}}, nil)
		if err != nil && !errors.Is(err, delivery.ErrUnknownSubscription) { // deleted just now
			return nil, problem.Storage(err)
		}
	}
	return &output[replayed]{http.StatusAccepted, to}, nil
}
