package admin

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/delivery"
	"github.com/tuoguan/tuoguan/internal/problem"
	sinks "github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/store"
)

// Subscriptions changes subscriptions: [subscription.Set].
type Subscriptions interface {
	Create(ctx context.Context, name string, spec subscription.Spec, secrets subscription.Secrets) (subscription.Subscription, error)
	Update(ctx context.Context, id string, version int64, change func(*subscription.Subscription) error) (subscription.Subscription, error)
	SetState(ctx context.Context, id string, state store.SubscriptionState, problem string) (subscription.Subscription, error)
	Rotate(ctx context.Context, id string, version int64, overlap time.Duration) (subscription.Subscription, tuoguan.Secret, error)
	Delete(ctx context.Context, id string, version int64) error
}

// Deliverer is what delivers events: [delivery.Dispatcher].
type Deliverer interface {
	Test(ctx context.Context, s subscription.Subscription) (delivery.Result, error)
	Replay(ctx context.Context, r delivery.Replay, progress func(done int64)) (int64, error)
}

var (
	_ Subscriptions = (*subscription.Set)(nil)
	_ Deliverer     = (*delivery.Dispatcher)(nil)
)

const (
	// maxCounted is how far what waits for a subscription is counted.
	maxCounted = 10_000
	// defaultOverlap is how long a signing secret that is replaced is signed with besides
	// the new one if nothing else is said, and maxOverlap how long at most.
	defaultOverlap = 24 * time.Hour
	maxOverlap     = 30 * 24 * time.Hour
	// maxTest bounds a test, so that the request ends before its caller gives up.
	maxTest = 30 * time.Second
)

// match is [subscription.Match] with what the API says of it.
type match struct {
	Components  []tuoguan.ComponentAppID  `json:"components" required:"false" doc:"AppIDs of components; empty: all · 第三方平台，空为全部"`
	Authorizers []tuoguan.AuthorizerAppID `json:"authorizers" required:"false" doc:"AppIDs of accounts: one of these, or with one of the tags; both empty: all · 授权账号，与标签满足其一，均空为全部"`
	Tags        []string                  `json:"tags" required:"false" doc:"Tags of accounts · 账号标签"`
	Kinds       []string                  `json:"kinds" doc:"Kinds of events, or beginnings of them that end in *: text, event.*, tuoguan.*, * · 事件类型，可以 * 结尾"`
	Contains    []string                  `json:"contains" required:"false" doc:"Only texts that contain one of these, ignoring case · 仅限包含其一的文本消息，不分大小写"`
}

// sink is [subscription.Sink] with what the API says of it.
type sink struct {
	Type string `json:"type" enum:"webhook,answer,nats,kafka,rabbitmq,redis" doc:"answer: a reply that is always the same · answer 为固定的被动回复"`
	URL  string `json:"url,omitempty" doc:"Of a webhook, https; or addresses of a broker, apart by commas. What is behind ? is shown to keys that may write subscriptions only · webhook 地址，或以逗号分隔的消息队列地址；? 之后的内容仅对有写权限的密钥显示"`

	Format  string            `json:"format,omitempty" enum:"cloudevents,wechat" doc:"Of a webhook: CloudEvents 1.0, signed as by Standard Webhooks (default); or WeChat's own, encrypted · webhook 格式，默认 cloudevents"`
	Headers map[string]string `json:"headers,omitempty" doc:"Of a webhook; secret ones belong into secrets.headers · 附加请求头，机密的放入 secrets.headers"`
	Timeout int               `json:"timeout,omitempty" doc:"Seconds; 15 by default, at most 60 · 超时秒数，默认 15，至多 60"`

	Subject  string `json:"subject,omitempty" doc:"Subject, topic, routing key or stream; {component}, {authorizer} and {kind} stand for the event's · 主题、topic、routing key 或 stream，可含 {component}、{authorizer}、{kind}"`
	Exchange string `json:"exchange,omitempty" doc:"Of RabbitMQ"`
	MaxLen   int64  `json:"max_len,omitempty" doc:"Of Redis: about how many entries a stream keeps · Redis stream 大致保留的条数"`

	Answer *subscription.Reply `json:"answer,omitempty" doc:"The reply of an answer · answer 的回复内容"`
}

// Spec is [subscription.Spec] with what the API says of it.
type Spec struct {
	Match       match `json:"match"`
	Priority    int   `json:"priority" doc:"Of those that may reply to a user, the one with the highest does · 可回复用户的订阅中优先级最高者回复"`
	Sink        sink  `json:"sink,omitzero" doc:"Left out if this version cannot read it · 此版本无法读取时缺省"`
	Ordered     bool  `json:"ordered" doc:"The events of an account one after the other, in order; one that fails holds back those after it · 同一账号的事件按序投递，失败时其后的等待"`
	Concurrency int   `json:"concurrency" doc:"How many deliveries at a time; 0: the default, 16 · 并发数，0 为默认值 16"`
	Reply       bool  `json:"reply" doc:"What the webhook answers is the passive reply to the user · 以 webhook 的应答作为被动回复"`
	MaxAge      int   `json:"max_age" doc:"For how many seconds an event is tried; 0: 72 hours · 重试期限秒数，0 为 72 小时"`
}

// Subscription is a subscription as the API shows it: with everything but its
// secrets.
type Subscription struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Spec
	State     store.SubscriptionState `json:"state" enum:"active,paused,disabled"`
	Problem   string                  `json:"problem" doc:"Why it is disabled · 停用原因"`
	Secrets   heldSecrets             `json:"secrets" doc:"Which secrets there are · 已设置的机密"`
	Status    waiting                 `json:"status"`
	CreatedAt *time.Time              `json:"created_at"`
	UpdatedAt *time.Time              `json:"updated_at"`

	version int64
}

// settled implements live: what waits changes by itself, and who may write sees more.
func (s Subscription) settled() any { return s.ID + "/" + strconv.FormatInt(s.version, 10) }

// heldSecrets says which secrets a subscription has.
type heldSecrets struct {
	Signing        []heldKey `json:"signing" doc:"Newest first · 签名密钥，新的在前"`
	Token          bool      `json:"token"`
	EncodingAESKey bool      `json:"encoding_aes_key"`
	Headers        []string  `json:"headers" doc:"Their names · 机密请求头的名称"`
	User           bool      `json:"user"`
	Password       bool      `json:"password"`
}

// heldKey is a signing secret without the secret.
type heldKey struct {
	Fingerprint string     `json:"fingerprint"`
	Until       *time.Time `json:"until" doc:"When it ends, having been replaced; null: it is in force · 被替换后的失效时间，null 表示有效"`
}

// waiting is what waits for a subscription.
type waiting struct {
	Pending   int        `json:"pending" doc:"Deliveries to be made, counted up to 10000 · 待投递数，至多计到 10000"`
	Dead      int        `json:"dead" doc:"Deliveries that were given up, counted up to 10000 · 死信数，至多计到 10000"`
	Since     *time.Time `json:"since" doc:"When the longest overdue delivery was due; null: none waits · 最早一条待投递的应投时间"`
	LastError string     `json:"last_error" doc:"Why the newest delivery that waits or was given up has failed, empty if none has · 最近一次失败的原因"`
}

// NewSubscription is a subscription in the one reply that has its signing secret.
type NewSubscription struct {
	Subscription
	SigningSecret string `json:"signing_secret,omitempty" doc:"A new one, of a webhook in CloudEvents; shown this once · CloudEvents webhook 的新签名密钥，仅显示这一次"`
}

// withoutQuery returns addresses without what may be secret in them.
func withoutQuery(addresses string) string {
	kept, _, cut := strings.Cut(addresses, "?")
	if cut {
		kept += "?…"
	}
	return kept
}

// subscriptionView returns a subscription as the caller may see it; brief is for lists.
func (a *API) subscriptionView(ctx context.Context, s subscription.Subscription, brief bool) (Subscription, error) {
	shown := Subscription{
		ID: s.ID, Name: s.Name, State: s.State, Problem: s.Problem, CreatedAt: instant(s.CreatedAt), UpdatedAt: instant(s.UpdatedAt), version: s.Version,
		Spec: Spec{
			Match: match(s.Spec.Match), Priority: s.Spec.Priority, Sink: sink(s.Spec.Sink), Ordered: s.Spec.Ordered,
			Concurrency: s.Spec.Concurrency, Reply: s.Spec.Reply, MaxAge: s.Spec.MaxAge,
		},
		Secrets: heldSecrets{
			Signing: []heldKey{}, Token: !s.Secrets.Token.IsZero(), EncodingAESKey: !s.Secrets.EncodingAESKey.IsZero(),
			Headers: append([]string{}, slices.Sorted(maps.Keys(s.Secrets.Headers))...), User: s.Secrets.User != "", Password: !s.Secrets.Password.IsZero(),
		},
	}
	m := &shown.Match
	m.Components, m.Authorizers, m.Tags, m.Kinds, m.Contains = listed(m.Components), listed(m.Authorizers), listed(m.Tags), listed(m.Kinds), listed(m.Contains)
	now := a.cfg.Clock.Now()
	for _, k := range s.Secrets.Signing {
		if k.Until.IsZero() || k.Until.After(now) {
			shown.Secrets.Signing = append(shown.Secrets.Signing, heldKey{k.Key.Fingerprint(), instant(k.Until)})
		}
	}
	if brief || !callOf(ctx).May(access.WriteSubscriptions) {
		shown.Sink.URL = withoutQuery(shown.Sink.URL)
	}
	backlog, err := a.cfg.Store.Backlog(ctx, s.ID, maxCounted)
	if err != nil {
		return shown, problem.Storage(err)
	}
	shown.Status = waiting{Pending: backlog.Pending, Dead: backlog.Dead, Since: instant(backlog.Since)}
	if brief {
		return shown, nil
	}
	shown.Status.LastError, err = a.lastError(ctx, s.ID)
	return shown, err
}

// lastError returns why the newest delivery that waits or is dead has failed.
func (a *API) lastError(ctx context.Context, id string) (string, error) {
	last := sinks.Entry{}
	for _, state := range []store.DeliveryState{store.DeliveryPending, store.DeliveryDead} {
		found, err := a.cfg.Store.Deliveries(ctx, store.DeliveryQuery{Subscription: id, State: state, Limit: 10})
		if err != nil {
			return "", problem.Storage(err)
		}
		for _, d := range found {
			if log := sinks.ParseLog(d.Log); len(log) > 0 && log[len(log)-1].At.After(last.At) {
				last = log[len(log)-1]
			}
		}
	}
	return last.Error, nil
}

// listed returns a list that is not null.
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// governs reports whether the caller has to do with everything that a subscription may
// ever match.
func (c *call) governs(m subscription.Match) bool {
	return c.Scope.Covers(access.Scope{Components: m.Components, Authorizers: m.Authorizers, Tags: m.Tags, Networks: c.Scope.Networks})
}

// subscription returns a subscription that the caller has to do with. Another is as one
// that does not exist.
func (a *API) subscription(ctx context.Context, id string) (subscription.Subscription, error) {
	record, err := a.cfg.Store.Subscription(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return subscription.Subscription{}, problem.UnknownSubscription
	case err != nil && !errors.Is(err, store.ErrQuarantined):
		return subscription.Subscription{}, problem.Storage(err)
	}
	found := parsed(record)
	if !callOf(ctx).governs(found.Spec.Match) {
		return subscription.Subscription{}, problem.UnknownSubscription
	}
	return found, nil
}

// parsed reads a stored subscription. One that this version cannot read can still be seen
// and deleted.
func parsed(record store.Subscription) subscription.Subscription {
	s, err := subscription.Parse(record)
	if err != nil && !errors.Is(err, store.ErrQuarantined) {
		return subscription.Subscription{
			ID: record.ID, Name: record.Name, State: store.SubscriptionDisabled, Problem: "this version cannot read it",
			CreatedAt: record.CreatedAt, UpdatedAt: record.UpdatedAt, Version: record.Version,
		}
	}
	return s
}

// version returns the version that a subscription must still have: 0, where the caller has
// not said what it was like.
func (g Guarded) version(s subscription.Subscription) (int64, error) {
	if g.IfMatch == "" {
		return 0, nil
	}
	return s.Version, g.check(Subscription{ID: s.ID, version: s.Version})
}

// subscriptionProblem turns an error about a subscription into what the caller is told, who
// may have said what it was like.
func (g Guarded) subscriptionProblem(err error) error {
	var mistakes subscription.Mistakes
	switch {
	case errors.As(err, new(problem.Problem)):
		return err
	case errors.As(err, &mistakes):
		return mistaken(mistakes)
	case errors.Is(err, store.ErrConflict) && g.IfMatch != "":
		return problem.PreconditionFailed
	case errors.Is(err, store.ErrConflict):
		return problem.SubscriptionConflict
	case errors.Is(err, store.ErrNotFound):
		return problem.UnknownSubscription
	}
	return problem.Storage(err)
}

// mistaken is the problem of a subscription with mistakes.
func mistaken(mistakes subscription.Mistakes) error {
	p := problem.InvalidField.With(mistakes[0].Field+": "+mistakes[0].Text, mistakes[0].Field+"："+mistakes[0].TextZH)
	for _, m := range mistakes {
		p.Errors = append(p.Errors, problem.FieldProblem{Field: m.Field, Detail: m.Text, DetailZh: m.TextZH})
	}
	return p
}

// subscriptionDetail is what the audit log says of a subscription that is made or changed.
func subscriptionDetail(s subscription.Subscription) map[string]string {
	join := func(list []string) string { return strings.Join(list, ", ") }
	detail := map[string]string{
		"name": s.Name, "sink": s.Spec.Sink.Type, "kinds": join(s.Spec.Match.Kinds), "tags": join(s.Spec.Match.Tags),
		"components": join(texts(s.Spec.Match.Components)), "authorizers": join(texts(s.Spec.Match.Authorizers)),
		"url": withoutQuery(s.Spec.Sink.URL), "subject": s.Spec.Sink.Subject,
	}
	maps.DeleteFunc(detail, func(_, value string) bool { return value == "" })
	return detail
}

func texts[T ~string](list []T) []string {
	all := make([]string, len(list))
	for i, item := range list {
		all[i] = string(item)
	}
	return all
}

type listSubscriptionsInput struct{ Paging }

func (a *API) listSubscriptions(ctx context.Context, in *listSubscriptionsInput) (*output[list[Subscription]], error) {
	page := list[Subscription]{Items: []Subscription{}}
	for after, scanned := in.Cursor, 0; ; {
		found, err := a.cfg.Store.Subscriptions(ctx, after, in.Limit+1)
		if err != nil && !errors.Is(err, store.ErrQuarantined) {
			return nil, problem.Storage(err)
		}
		for _, record := range found {
			if len(page.Items) == in.Limit {
				page.NextCursor = after
				return &output[list[Subscription]]{http.StatusOK, page}, nil
			}
			s := parsed(record)
			if after = s.ID; !callOf(ctx).governs(s.Spec.Match) {
				continue
			}
			shown, err := a.subscriptionView(ctx, s, true)
			if err != nil {
				return nil, err
			}
			page.Items = append(page.Items, shown)
		}
		if scanned += len(found); len(found) > in.Limit && scanned >= maxScan {
			page.NextCursor = after
			return &output[list[Subscription]]{http.StatusOK, page}, nil
		}
		if len(found) <= in.Limit {
			return &output[list[Subscription]]{http.StatusOK, page}, nil
		}
	}
}

type getSubscriptionInput struct {
	ID string `path:"id"`
	Cached
}

func (a *API) getSubscription(ctx context.Context, in *getSubscriptionInput) (*resource[Subscription], error) {
	found, err := a.subscription(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	shown, err := a.subscriptionView(ctx, found, false)
	if err != nil {
		return nil, err
	}
	return show(shown, in.Cached)
}

// subscriptionBody is a subscription that is to be made, or what is to be different about
// one: then what is left out stays.
type subscriptionBody struct {
	Name        *string       `json:"name,omitempty" doc:"For people, a line of at most 128 bytes · 名称，不超过 128 字节"`
	Match       *match        `json:"match,omitempty" doc:"Which events; required of a new one, and always all of it · 匹配哪些事件，新建时必填，须完整给出"`
	Sink        *sink         `json:"sink,omitempty" doc:"Where they go; likewise · 投递到哪里，同上"`
	Priority    *int          `json:"priority,omitempty" doc:"Of those that may reply to a user, the one with the highest does · 可回复用户的订阅中优先级最高者回复"`
	Ordered     *bool         `json:"ordered,omitempty" doc:"The events of an account one after the other, in order · 同一账号的事件按序投递"`
	Concurrency *int          `json:"concurrency,omitempty" doc:"How many deliveries at a time; 0: the default, 16 · 并发数，0 为默认值 16"`
	Reply       *bool         `json:"reply,omitempty" doc:"What the webhook answers is the passive reply to the user · 以 webhook 的应答作为被动回复"`
	MaxAge      *int          `json:"max_age,omitempty" doc:"For how many seconds an event is tried; 0: 72 hours · 重试期限秒数，0 为 72 小时"`
	Secrets     *givenSecrets `json:"secrets,omitempty" doc:"Never shown again · 不会再次显示"`
}

// givenSecrets are the secrets that a caller chooses. What is left out stays; an empty
// text takes one away.
type givenSecrets struct {
	Token          *string           `json:"token,omitempty" doc:"Of the format wechat · wechat 格式的 Token"`
	EncodingAESKey *string           `json:"encoding_aes_key,omitempty" doc:"Of the format wechat · wechat 格式的 EncodingAESKey"`
	Headers        map[string]string `json:"headers,omitempty" doc:"Headers of a webhook whose values are secret · 值为机密的请求头"`
	User           *string           `json:"user,omitempty" doc:"Of a broker · 消息队列的用户名"`
	Password       *string           `json:"password,omitempty" doc:"Of a broker · 消息队列的密码"`
}

// apply changes a subscription as asked for.
func (b subscriptionBody) apply(s *subscription.Subscription) {
	set(&s.Name, b.Name)
	set(&s.Spec.Priority, b.Priority)
	set(&s.Spec.Ordered, b.Ordered)
	set(&s.Spec.Concurrency, b.Concurrency)
	set(&s.Spec.Reply, b.Reply)
	set(&s.Spec.MaxAge, b.MaxAge)
	if b.Match != nil {
		s.Spec.Match = subscription.Match(*b.Match)
	}
	if b.Sink != nil {
		s.Spec.Sink = subscription.Sink(*b.Sink)
	}
	if b.Secrets == nil {
		return
	}
	set(&s.Secrets.User, b.Secrets.User)
	setSecret(&s.Secrets.Token, b.Secrets.Token)
	setSecret(&s.Secrets.EncodingAESKey, b.Secrets.EncodingAESKey)
	setSecret(&s.Secrets.Password, b.Secrets.Password)
	headers := maps.Clone(s.Secrets.Headers)
	if headers == nil {
		headers = make(map[string]tuoguan.Secret)
	}
	for name, value := range b.Secrets.Headers {
		name = http.CanonicalHeaderKey(name)
		if headers[name] = tuoguan.NewSecret(value); value == "" {
			delete(headers, name)
		}
	}
	s.Secrets.Headers = headers
}

// forget takes away the secrets that mean nothing any more to a subscription, except those
// that are just given: these are a mistake.
func (b subscriptionBody) forget(s *subscription.Subscription) {
	var given givenSecrets
	if b.Secrets != nil {
		given = *b.Secrets
	}
	webhook := s.Spec.Sink.Type == subscription.Webhook
	wechat := webhook && s.Spec.Sink.Format == subscription.WeChat
	broker := !webhook && s.Spec.Sink.Type != subscription.Answer
	if !webhook || wechat {
		s.Secrets.Signing = nil
	}
	if !wechat && given.Token == nil {
		s.Secrets.Token = tuoguan.Secret{}
	}
	if !wechat && given.EncodingAESKey == nil {
		s.Secrets.EncodingAESKey = tuoguan.Secret{}
	}
	if !webhook && given.Headers == nil {
		s.Secrets.Headers = nil
	}
	if !broker && given.User == nil {
		s.Secrets.User = ""
	}
	if !broker && given.Password == nil {
		s.Secrets.Password = tuoguan.Secret{}
	}
}

func set[T any](to *T, value *T) {
	if value != nil {
		*to = *value
	}
}

func setSecret(to *tuoguan.Secret, value *string) {
	if value != nil {
		*to = tuoguan.NewSecret(*value)
	}
}

// checkSubscription returns all mistakes of a subscription; or fails if the caller may not
// have it.
func (a *API) checkSubscription(ctx context.Context, s subscription.Subscription) error {
	s.Spec = s.Spec.Normalize()
	var mistakes subscription.Mistakes
	if err := s.Check(); err != nil && !errors.As(err, &mistakes) {
		return err
	}
	if s.Spec.Sink.Type == subscription.Webhook && !slices.ContainsFunc(mistakes, func(m subscription.Mistake) bool { return m.Field == "sink.url" }) {
		if err := a.cfg.CheckURL(s.Spec.Sink.URL); err != nil {
			mistakes = append(mistakes, subscription.Mistake{
				Field: "sink.url", Text: err.Error(), TextZH: "该地址不允许访问；内网地址须先在配置 delivery.allow_networks 中放行",
			})
		}
	}
	if len(mistakes) > 0 {
		return mistakes
	}
	if !callOf(ctx).governs(s.Spec.Match) {
		return problem.MissingScope.With(
			"the scope of the API key is bound; match has to name components, accounts or tags within it",
			"API 密钥的范围受限，match 须限定在该范围内的平台、账号或标签")
	}
	return nil
}

type createSubscriptionInput struct{ Input[subscriptionBody] }

func (a *API) createSubscription(ctx context.Context, in *createSubscriptionInput) (*resource[NewSubscription], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	wanted := subscription.Subscription{State: store.SubscriptionActive}
	body.apply(&wanted)
	if err := a.checkSubscription(ctx, wanted); err != nil {
		return nil, Guarded{}.subscriptionProblem(err)
	}
	made, err := a.cfg.Subscriptions.Create(ctx, wanted.Name, wanted.Spec, wanted.Secrets)
	if err != nil {
		return nil, Guarded{}.subscriptionProblem(err)
	}
	// Its id is in the record, so there is no recording it before.
	if err := a.record(ctx, tuoguan.Authorization{}, made.ID, subscriptionDetail(made)); err != nil {
		return nil, errors.Join(err, a.cfg.Subscriptions.Delete(context.WithoutCancel(ctx), made.ID, 0))
	}
	return a.withSecret(ctx, http.StatusCreated, made, true)
}

// withSecret answers with a subscription, and with its newest signing secret where that is new.
func (a *API) withSecret(ctx context.Context, status int, s subscription.Subscription, fresh bool) (*resource[NewSubscription], error) {
	shown, err := a.subscriptionView(ctx, s, false)
	if err != nil {
		return nil, err
	}
	made := NewSubscription{Subscription: shown}
	if fresh && len(s.Secrets.Signing) > 0 {
		made.SigningSecret = s.Secrets.Signing[0].Key.Reveal()
	}
	return changed(status, made)
}

type changeSubscriptionInput struct {
	ID string `path:"id"`
	Guarded
	Input[subscriptionBody]
}

func (a *API) changeSubscription(ctx context.Context, in *changeSubscriptionInput) (*resource[NewSubscription], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	found, err := a.subscription(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	version, err := in.version(found)
	if err != nil {
		return nil, err
	}
	signed := false // before
	changed, err := a.cfg.Subscriptions.Update(ctx, in.ID, version, func(s *subscription.Subscription) error {
		if !callOf(ctx).governs(s.Spec.Match) {
			return problem.UnknownSubscription // somebody has changed it since
		}
		before := *s
		signed = len(before.Secrets.Signing) > 0
		body.apply(s)
		body.forget(s)
		if err := a.checkSubscription(ctx, *s); err != nil {
			return err
		}
		if err := keepsSecrets(before, *s, body.Secrets); err != nil {
			return err
		}
		return a.record(ctx, tuoguan.Authorization{}, in.ID, subscriptionDetail(*s))
	})
	if err != nil {
		return nil, in.subscriptionProblem(err)
	}
	return a.withSecret(ctx, http.StatusOK, changed, !signed)
}

// keepsSecrets fails where secrets that are sent along would go to another place than
// before, unless they are given again: who may change a subscription need not know them.
func keepsSecrets(before, after subscription.Subscription, given *givenSecrets) error {
	if before.Spec.Sink.Type == after.Spec.Sink.Type && origin(before.Spec.Sink.URL) == origin(after.Spec.Sink.URL) {
		return nil
	}
	p := problem.InvalidField.With(
		"the sink is another one; secrets that go along with deliveries have to be given again, or be taken away",
		"投递目标已更换，随投递发送的机密须重新给出或清除")
	again := func(field string) {
		p.Errors = append(p.Errors, problem.FieldProblem{Field: field, Detail: "has to be given again, or be empty", DetailZh: "须重新给出，或置空"})
	}
	for _, name := range slices.Sorted(maps.Keys(before.Secrets.Headers)) {
		if given == nil || !slices.ContainsFunc(slices.Collect(maps.Keys(given.Headers)), func(n string) bool { return http.CanonicalHeaderKey(n) == name }) {
			again("secrets.headers." + name)
		}
	}
	if !before.Secrets.Password.IsZero() && (given == nil || given.Password == nil) {
		again("secrets.password")
	}
	if len(p.Errors) > 0 {
		return p
	}
	return nil
}

// origin is where an address leads: it without path and query.
func origin(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Scheme + "://" + strings.ToLower(u.Host)
	}
	return address // several addresses of a broker
}

// nothing is a reply without a body.
type nothing struct{ Status int }

type deleteSubscriptionInput struct {
	ID string `path:"id"`
	Guarded
}

func (a *API) deleteSubscription(ctx context.Context, in *deleteSubscriptionInput) (*nothing, error) {
	found, err := a.subscription(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	version, err := in.version(found)
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{}, in.ID, subscriptionDetail(found)); err != nil {
		return nil, err
	}
	if err := a.cfg.Subscriptions.Delete(ctx, in.ID, version); err != nil {
		return nil, in.subscriptionProblem(err)
	}
	return &nothing{http.StatusNoContent}, nil
}

type subscriptionInput struct {
	ID string `path:"id"`
	Guarded
}

func (a *API) pauseSubscription(ctx context.Context, in *subscriptionInput) (*resource[Subscription], error) {
	return a.setState(ctx, in, store.SubscriptionPaused)
}

func (a *API) resumeSubscription(ctx context.Context, in *subscriptionInput) (*resource[Subscription], error) {
	return a.setState(ctx, in, store.SubscriptionActive)
}

func (a *API) setState(ctx context.Context, in *subscriptionInput, state store.SubscriptionState) (*resource[Subscription], error) {
	found, err := a.subscription(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if _, err := in.version(found); err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{}, in.ID, map[string]string{"name": found.Name, "was": string(found.State)}); err != nil {
		return nil, err
	}
	is, err := a.cfg.Subscriptions.SetState(ctx, in.ID, state, "")
	if err != nil {
		return nil, in.subscriptionProblem(err)
	}
	shown, err := a.subscriptionView(ctx, is, false)
	if err != nil {
		return nil, err
	}
	return changed(http.StatusOK, shown)
}

type overlapBody struct {
	OverlapSeconds *int64 `json:"overlap_seconds,omitempty" doc:"How long webhooks carry a signature of the present secret too; a day by default, at most 30 · 旧密钥继续签名的秒数，默认一天，至多 30 天"`
}

type rotateSecretInput struct {
	ID string `path:"id"`
	Guarded
	OptionalInput[overlapBody]
}

func (a *API) rotateSecret(ctx context.Context, in *rotateSecretInput) (*resource[NewSubscription], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	overlap := defaultOverlap
	if body.OverlapSeconds != nil {
		if *body.OverlapSeconds < 0 || *body.OverlapSeconds > int64(maxOverlap/time.Second) {
			return nil, problem.InvalidField.Field("overlap_seconds", "must be from 0 to 2592000 seconds (30 days)", "取值为 0 至 2592000 秒（30 天）")
		}
		overlap = time.Duration(*body.OverlapSeconds) * time.Second
	}
	found, err := a.subscription(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	version, err := in.version(found)
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{}, in.ID, map[string]string{"name": found.Name, "overlap": overlap.String()}); err != nil {
		return nil, err
	}
	rotated, _, err := a.cfg.Subscriptions.Rotate(ctx, in.ID, version, overlap)
	if err != nil {
		return nil, in.subscriptionProblem(err)
	}
	return a.withSecret(ctx, http.StatusOK, rotated, true)
}

// toAnswer is the problem of who wants something delivered to an answer.
var toAnswer = problem.InvalidField.Field("sink.type", "to an answer nothing is delivered", "answer 类订阅没有投递")

// testResult is what became of a sample.
type testResult struct {
	Delivered bool   `json:"delivered"`
	Status    int    `json:"status" doc:"The receiver's HTTP status; 0 where there was none · 接收方的 HTTP 状态码，无则为 0"`
	LatencyMS int64  `json:"latency_ms"`
	Error     string `json:"error" doc:"Why it was not delivered · 未送达的原因"`
}

type testSubscriptionInput struct {
	ID string `path:"id"`
}

func (a *API) testSubscription(ctx context.Context, in *testSubscriptionInput) (*output[testResult], error) {
	found, err := a.subscription(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if found.Spec.Sink.Type == subscription.Answer {
		return nil, toAnswer
	}
	if err := a.record(ctx, tuoguan.Authorization{}, in.ID, map[string]string{"name": found.Name}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, maxTest)
	defer cancel()
	result, err := a.cfg.Delivery.Test(ctx, found)
	if err != nil {
		return nil, err
	}
	return &output[testResult]{http.StatusOK, testResult{
		Delivered: result.Error == "", Status: result.Status, LatencyMS: result.LatencyMS, Error: result.Error,
	}}, nil
}
