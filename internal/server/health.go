package server

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/tuoguan/tuoguan/internal/delivery"
	"github.com/tuoguan/tuoguan/internal/gateway"
	"github.com/tuoguan/tuoguan/internal/insight"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// problems returns what is wrong now and what to do about it.
func (s *Server) problems(ctx context.Context) []obs.Problem {
	var problems []obs.Problem
	for _, sub := range s.told.set.All() {
		if sub.State == store.SubscriptionDisabled {
			problems = append(problems, obs.Problem{
				Code: "subscription_disabled", Subscription: sub.ID, Since: sub.UpdatedAt.UTC(), Message: "subscription " + sub.ID + " (" + sub.Name + ") is disabled: " + sub.Problem,
				Action:        "see that its receiver takes events, then resume it: tuoguan subscription resume " + sub.ID + "; what has come meanwhile is delivered then",
				ActionChinese: "确认接收方恢复正常后执行 tuoguan subscription resume " + sub.ID + "，期间的事件会补投",
			})
		}
	}
	for _, p := range s.keeper.Health(ctx) {
		shown := obs.Problem{
			Code: p.Code, Component: string(p.Component), Message: p.Message, Since: p.Since.UTC(), Blocking: p.Blocking,
		}
		eventURL := s.config.Public.BaseURL + "/wx/" + shown.Component + "/event"
		switch p.Code {
		case "store_unavailable":
			shown.Action = "see that the database " + s.config.StorageName() + " can be reached and has room on its disk; then it goes on by itself, and only after a failed sync of a SQLite file it has to be restarted"
			shown.ActionChinese = "检查数据库 " + s.config.StorageName() + " 能否访问、磁盘是否已满；恢复后自动继续，仅 SQLite 同步失败时需重启"
		case "token_unsaved":
			shown.Action = "do not stop the server before the storage works again"
			shown.ActionChinese = "存储恢复之前请勿停止服务"
		case "spill_damaged":
			shown.Action = "keep a copy of " + s.config.SpillPath() + " and look at the disk; authorizations that fail from now on are looked for in WeChat's list"
			shown.ActionChinese = "请保留 " + s.config.SpillPath() + " 的副本并检查磁盘；此后失败的授权会从微信的授权列表中恢复"
		case "record_quarantined":
			shown.Action = "look for who or what writes to the database besides Tuoguan, then restore the record from a backup, or let the merchant authorize again"
			shown.ActionChinese = "检查是否有其他程序改写数据库；可由备份恢复该记录，或请商家重新授权"
		case "gate_closed":
			shown.Action = "if this installation is to go on, let WeChat's authorization event URL point to " + eventURL + " and stop the other one; it opens by itself"
			shown.ActionChinese = "若由本系统接管，请将授权事件接收 URL 指向 " + eventURL + " 并停掉另一套系统，之后会自动放行"
		case "ticket_missing":
			shown.Action = "set the authorization event URL in the component's console to " + eventURL + " and wait ten minutes; if none comes, run: tuoguan doctor"
			shown.ActionChinese = "在开放平台控制台将授权事件接收 URL 设为 " + eventURL + " 并等待十分钟；仍未收到请运行 tuoguan doctor"
		case "ticket_overdue":
			shown.Action = "check that WeChat reaches " + eventURL + "; run: tuoguan doctor"
			shown.ActionChinese = "检查微信能否访问 " + eventURL + "；可运行 tuoguan doctor"
		case "component_token_failing":
			shown.Action = "do what the message says; run tuoguan doctor for the IP whitelist and the AppSecret"
			shown.ActionChinese = "按提示处理；可运行 tuoguan doctor 检查 IP 白名单与 AppSecret"
		}
		problems = append(problems, shown)
	}
	if err := s.spill.Err(); err != nil {
		problems = append(problems, obs.Problem{
			Code: "spill_lost", Message: err.Error(), Since: s.clock.Now().UTC(),
			Action:        "look at the disk of " + s.config.SpillPath() + " and restart the server; until then tokens that the database does not take are in memory only",
			ActionChinese: "检查 " + s.config.SpillPath() + " 所在磁盘后重启；在此之前数据库未接受的令牌只保存在内存中",
		})
	}
	if n := s.spill.Len(); n > 0 {
		problems = append(problems, obs.Problem{
			Code: "spill_pending", Message: strconv.Itoa(n) + " answers of WeChat are in the spill file and not in the database yet", Since: s.clock.Now().UTC(),
			Action:        "see that the database takes writes; do not remove " + s.config.SpillPath(),
			ActionChinese: "检查数据库能否写入；请勿删除 " + s.config.SpillPath(),
		})
	}
	if components, err := s.store.Components(ctx); err == nil && len(components) == 0 {
		problems = append(problems, obs.Problem{
			Code: "component_missing", Message: "no component is kept here yet", Since: s.clock.Now().UTC(),
			Action:        "add one under bootstrap.components and start again, or with POST /v1/components",
			ActionChinese: "在 bootstrap.components 中添加后重启，或调用 POST /v1/components",
		})
	}
	return problems
}

// snapshot is what the gauges show.
func (s *Server) snapshot(ctx context.Context) (obs.Snapshot, error) {
	status, err := s.keeper.Status(ctx)
	if err != nil {
		return obs.Snapshot{}, err
	}
	now := s.clock.Now()
	snapshot := obs.Snapshot{Problems: make(map[string]int)}
	for _, c := range status.Components {
		shown := obs.ComponentSnapshot{AppID: string(c.AppID), TicketAge: -time.Second, Authorizers: make(map[string]int64)}
		if !c.TicketReceivedAt.IsZero() {
			shown.TicketAge = now.Sub(c.TicketReceivedAt)
		}
		if !c.TokenExpiresAt.IsZero() {
			shown.TokenExpiresIn = c.TokenExpiresAt.Sub(now)
		}
		for state, count := range c.Authorizers {
			shown.Authorizers[string(state)] = count
		}
		snapshot.Components = append(snapshot.Components, shown)
	}
	backlogs, err := s.backlogs(ctx)
	if err != nil {
		return snapshot, err
	}
	for _, b := range backlogs {
		snapshot.Subscriptions = append(snapshot.Subscriptions, obs.SubscriptionSnapshot{ID: b.Subscription, Pending: b.Pending, Dead: b.Dead})
	}
	for _, p := range s.keeper.Health(ctx) {
		snapshot.Problems[p.Code]++
	}
	return snapshot, nil
}

const (
	// shownSubscriptions bounds how many subscriptions have gauges.
	shownSubscriptions = 1000
	// countedDeliveries is how far what waits for one is counted.
	countedDeliveries = 10_000
)

// backlogs returns what waits for the subscriptions.
func (s *Server) backlogs(ctx context.Context) ([]insight.Backlog, error) {
	var backlogs []insight.Backlog
	all := s.told.set.All()
	for _, sub := range all[:min(len(all), shownSubscriptions)] {
		b, err := s.store.Backlog(ctx, sub.ID, countedDeliveries)
		if err != nil {
			return nil, err
		}
		backlogs = append(backlogs, insight.Backlog{Subscription: sub.ID, Name: sub.Name, Pending: b.Pending, Dead: b.Dead, Since: b.Since})
	}
	return backlogs, nil
}

func (s *Server) observePush(o push.Observation) {
	url := "unknown" // refused before it was opened
	switch {
	case o.Push != nil && o.Push.Authorizer == "":
		url = "event"
	case o.Push != nil:
		url = "message"
	}
	outcome := string(o.Result)
	if o.Result == push.Refused {
		outcome += "_" + string(o.Reason)
	}
	s.metrics.Push(url, outcome, o.Latency)
	s.insight.Push(string(o.Result), o.Latency)
}

func (s *Server) observeOperation(o keeper.Observation) {
	s.metrics.Operation(o.Kind, o.Result, o.Duration)
	s.timeline.Observe(o)
	if o.Kind == "refresh" {
		s.insight.Refresh(o.Result, o.Duration)
	}
}

func (s *Server) observeCall(e wxapi.Exchange) {
	result := "ok"
	var refusal *wxapi.APIError
	switch {
	case errors.As(e.Err, &refusal):
		result = "refused"
		s.metrics.Refusal(refusal.Code, refusal.Explain().Known)
	case e.Err != nil:
		result = "unanswered"
	}
	s.metrics.Call(e.Op, result, e.Duration)
	s.insight.Call(result, e.Duration)
}

func (s *Server) observeGateway(c gateway.Call) {
	result := "ok"
	switch {
	case c.Problem != "":
		result = c.Problem
	case c.Errcode != 0:
		result = "refused"
	}
	s.metrics.Gateway(c.Endpoint, result, c.Duration, c.Received, c.Sent)
	s.insight.Gateway(result, c.Duration)
}

func (s *Server) observeDelivery(o delivery.Observation) {
	kind := "gone" // the subscription was removed meanwhile
	if sub, ok := s.told.set.Get(o.Subscription); ok {
		kind = sub.Spec.Sink.Type
	}
	s.metrics.Delivery(kind, o.Result, o.Latency, o.Lag)
	s.insight.Delivery(o.Result, o.Latency)
}

func (s *Server) observeReply(o subscription.ReplyObservation) { s.metrics.Reply(string(o.Result)) }
