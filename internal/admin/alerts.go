package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/insight"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/store"
)

// alert is something that somebody should see to.
type alert struct {
	Code            string    `json:"code" doc:"Never changes: what /readyz names, or needs_reauthorization, dead_letters, quota_low, key_expiring · 固定代码"`
	Severity        string    `json:"severity" enum:"critical,warning,info"`
	ComponentAppID  string    `json:"component_appid"`
	AuthorizerAppID string    `json:"authorizer_appid"`
	Subscription    string    `json:"subscription" doc:"Its id · 订阅 ID"`
	Message         string    `json:"message"`
	MessageZh       string    `json:"message_zh"`
	Action          string    `json:"action" doc:"What to do · 处理办法（英文）"`
	ActionZh        string    `json:"action_zh" doc:"What to do, in Chinese · 处理办法"`
	Since           time.Time `json:"since"`

	needs access.Operation // of who is to see it; "" for anybody who sees the overview
}

// The severities, the most urgent first.
const (
	critical = "critical" // custody is at risk, or will be within hours
	warning  = "warning"  // some accounts or subscribers go without
	info     = "info"
)

// severities in their order.
var severities = []string{critical, warning, info}

// known says how urgent the problems of the server are, and what they are in Chinese.
var known = map[string]struct{ severity, zh string }{
	"store_unavailable":       {critical, "存储无法写入，令牌暂停刷新"},
	"token_unsaved":           {critical, "微信签发的令牌只保存在内存中，请勿停止服务"},
	"spill_damaged":           {critical, "溢出文件部分内容无法读取"},
	"spill_lost":              {critical, "溢出文件无法写入，数据库未接受的令牌只保存在内存中"},
	"spill_pending":           {warning, "微信的应答暂存于溢出文件，尚未写入数据库"},
	"record_quarantined":      {warning, "有记录被改动或不属于此处，已停用"},
	"gate_closed":             {critical, "数据来自备份或迁移，确认之前不刷新令牌"},
	"ticket_missing":          {critical, "尚未收到 component_verify_ticket"},
	"ticket_overdue":          {critical, "超过半小时未收到 component_verify_ticket"},
	"component_token_failing": {critical, "无法获取 component_access_token"},
	"component_missing":       {info, "尚未登记第三方平台"},
	"subscription_disabled":   {warning, "订阅因持续投递失败已停用"},
}

const (
	// alertedAccounts is how many accounts that must authorize again have an alert of
	// their own; the others are one.
	alertedAccounts = 5
	// alertedOthers bounds the alerts of each other kind.
	alertedOthers = 20
	// expiringWithin is how long before the end of an API key there is an alert.
	expiringWithin = 14 * 24 * time.Hour
	// keysLooked bounds how many API keys are looked at.
	keysLooked = 1000
)

// alertsFor leaves out what the caller may not see otherwise.
func (c *call) alertsFor(all []alert) []alert {
	shown := []alert{}
	for _, item := range all {
		if item.needs == "" || c.May(item.needs) {
			shown = append(shown, item)
		}
	}
	return shown
}

// alerts gathers what somebody should see to, the most urgent first.
func (a *API) alerts(ctx context.Context, o overview, backlogs []insight.Backlog) ([]alert, error) {
	var all []alert
	for _, p := range a.cfg.Problems(ctx) {
		all = append(all, alertOf(p))
	}
	reauthorizations, err := a.reauthorizationAlerts(ctx, o.Authorizers.NeedsReauthorization, o.Now)
	if err != nil {
		return nil, err
	}
	all = append(all, reauthorizations...)
	all = append(all, deadLetterAlerts(backlogs, o.Now)...)
	all = append(all, quotaAlerts(o.Quota)...)
	expiring, err := a.expiryAlerts(ctx, o.Now)
	if err != nil {
		return nil, err
	}
	all = append(all, expiring...)
	slices.SortStableFunc(all, func(x, y alert) int {
		return cmp.Or(cmp.Compare(slices.Index(severities, x.Severity), slices.Index(severities, y.Severity)), x.Since.Compare(y.Since))
	})
	return all, nil
}

func alertOf(p obs.Problem) alert {
	shown := alert{
		Code: p.Code, Severity: warning, ComponentAppID: p.Component, Subscription: p.Subscription,
		Message: p.Message, MessageZh: p.Message, Action: p.Action, ActionZh: p.ActionChinese, Since: p.Since.UTC(),
	}
	if k, ok := known[p.Code]; ok {
		shown.Severity, shown.MessageZh = k.severity, k.zh
	}
	if p.Blocking {
		shown.Severity = critical
	}
	return shown
}

// reauthorizationAlerts names the first accounts that have to authorize again, and counts
// the rest.
func (a *API) reauthorizationAlerts(ctx context.Context, count int64, now time.Time) ([]alert, error) {
	if count == 0 {
		return nil, nil
	}
	found, err := a.cfg.Store.Authorizers(ctx, store.AuthorizerQuery{State: tuoguan.StateNeedsReauthorization, Limit: alertedAccounts})
	if err != nil && len(found) == 0 {
		return nil, err
	}
	template := alert{
		Code: "needs_reauthorization", Severity: warning, Since: now.UTC(),
		Action:   "make an authorization link and send it to the merchant: tuoguan link create",
		ActionZh: "生成授权链接并发送给商家：tuoguan link create",
	}
	var all []alert
	for _, account := range found {
		item := template
		item.ComponentAppID, item.AuthorizerAppID = string(account.Component), string(account.Authorizer)
		name := cmp.Or(account.Profile.NickName, item.AuthorizerAppID)
		item.Message = name + " has to authorize again: WeChat refuses every refresh token known"
		item.MessageZh = name + " 需重新授权：已知的刷新令牌均被微信拒绝"
		if since := account.Trouble.SuspectSince; !since.IsZero() {
			item.Since = since.UTC()
		}
		all = append(all, item)
	}
	if more := count - int64(len(found)); more > 0 {
		item := template
		item.Message = fmt.Sprintf("%d more accounts have to authorize again", more)
		item.MessageZh = fmt.Sprintf("另有 %d 个账号需重新授权", more)
		all = append(all, item)
	}
	return all, nil
}

func deadLetterAlerts(backlogs []insight.Backlog, now time.Time) []alert {
	var all []alert
	for _, b := range backlogs {
		if b.Dead == 0 || len(all) == alertedOthers {
			continue
		}
		name := cmp.Or(b.Name, b.Subscription)
		all = append(all, alert{
			Code: "dead_letters", Severity: warning, Subscription: b.Subscription, Since: now.UTC(),
			Message:   fmt.Sprintf("%d events were given up for subscription %s", b.Dead, name),
			MessageZh: fmt.Sprintf("订阅 %s 有 %d 条死信", name, b.Dead),
			Action:    "see why its receiver did not take them, then deliver them again: tuoguan subscription replay " + b.Subscription + " --dead",
			ActionZh:  "查明接收方失败原因后重放：tuoguan subscription replay " + b.Subscription + " --dead",
		})
	}
	return all
}

func quotaAlerts(quota []quotaOverview) []alert {
	var all []alert
	for _, q := range quota[:min(len(quota), alertedOthers)] {
		all = append(all, alert{
			Code: "quota_low", Severity: warning, ComponentAppID: q.ComponentAppID, AuthorizerAppID: q.AppID, Since: q.At,
			Message:   fmt.Sprintf("%d calls of %s remain today", q.Remaining, q.Endpoint),
			MessageZh: fmt.Sprintf("%s 今日剩余调用次数 %d", q.Endpoint, q.Remaining),
			Action:    "find who calls it so often; the quota is renewed at midnight, China time",
			ActionZh:  "查明频繁调用方；额度于北京时间零点恢复",
		})
	}
	return all
}

// expiryAlerts names the API keys that are about to expire.
func (a *API) expiryAlerts(ctx context.Context, now time.Time) ([]alert, error) {
	var all []alert
	after := ""
	for looked := 0; looked < keysLooked && len(all) < alertedOthers; {
		keys, err := a.cfg.Access.List(ctx, after, maxPage)
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			if left := k.ExpiresAt.Sub(now); k.ExpiresAt.IsZero() || !k.RevokedAt.IsZero() || left <= 0 || left > expiringWithin || len(all) == alertedOthers {
				continue
			}
			all = append(all, alert{
				Code: "key_expiring", Severity: info, Since: k.ExpiresAt.Add(-expiringWithin).UTC(), needs: access.ReadKeys,
				Message:   "API key " + k.Name + " expires at " + k.ExpiresAt.UTC().Format(time.RFC3339),
				MessageZh: "API 密钥 " + k.Name + " 将于 " + k.ExpiresAt.UTC().Format(time.RFC3339) + " 过期",
				Action:    "rotate it with a later expiry, and give the new one to its user",
				ActionZh:  "轮换密钥并延长有效期，将新密钥交给使用方",
			})
		}
		if looked += len(keys); len(keys) < maxPage {
			break
		}
		after = keys[len(keys)-1].ID
	}
	return all, nil
}
