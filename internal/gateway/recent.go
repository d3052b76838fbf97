package gateway

import (
	"container/list"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan"
)

const (
	// maxRecent is how many calls of an account are remembered.
	maxRecent = 50
	// maxRecentAccounts is of how many accounts: those that were called for last.
	maxRecentAccounts = 1000
	// maxSeenQuotas bounds the quotas remembered of one account.
	maxSeenQuotas = 32
)

// RecentCall is a call that was made for an account, without its query and its body.
type RecentCall struct {
	At         time.Time `json:"at"`
	Method     string    `json:"method"`
	Path       string    `json:"path" doc:"Of WeChat's, without the query · 微信接口路径，不含查询参数"`
	Status     int       `json:"status" doc:"HTTP status answered · 应答的 HTTP 状态码"`
	Errcode    int       `json:"errcode" doc:"WeChat's, 0 if it went well or did not come so far · 微信错误码，成功或未到达微信时为 0"`
	Problem    string    `json:"problem" doc:"The name of the problem answered; empty where WeChat's reply was passed on · 应答的 problem 名称，转发微信应答时为空"`
	DurationMS int64     `json:"duration_ms"`
	Caller     string    `json:"caller" doc:"The API key, or the user of the console · API 密钥或控制台用户"`
	RequestID  string    `json:"request_id" doc:"X-Request-Id, if there was one · 请求携带的 X-Request-Id"`
}

// SeenQuota is what WeChat has last shown of the daily quota of an interface.
type SeenQuota struct {
	Path      string    `json:"path"`
	Limit     *int      `json:"limit" doc:"Null where WeChat only said that none is left · 微信仅告知额度用尽时为 null"`
	Used      *int      `json:"used"`
	Remaining int       `json:"remaining"`
	At        time.Time `json:"at"`
}

// recent remembers the last calls of the accounts that were called for last.
type recent struct {
	mu       sync.Mutex
	accounts map[tuoguan.Authorization]*list.Element // of *account
	order    list.List                               // the last one called for is in front
}

// account is what is remembered of one account.
type account struct {
	of     tuoguan.Authorization
	calls  []RecentCall // a ring once it is full
	next   int          // where the next one goes then
	quotas map[string]SeenQuota
}

// of returns what is remembered of an account, making room for it. mu is held.
func (r *recent) of(a tuoguan.Authorization) *account {
	if e := r.accounts[a]; e != nil {
		r.order.MoveToFront(e)
		return e.Value.(*account)
	}
	if r.accounts == nil {
		r.accounts = make(map[tuoguan.Authorization]*list.Element)
	}
	if r.order.Len() >= maxRecentAccounts {
		oldest := r.order.Back()
		delete(r.accounts, r.order.Remove(oldest).(*account).of)
	}
	entry := &account{of: a}
	r.accounts[a] = r.order.PushFront(entry)
	return entry
}

func (r *recent) add(a tuoguan.Authorization, c RecentCall) {
	if a.Authorizer == "" {
		return
	}
	c.Path = strings.Clone(c.Path) // it is a part of the URL, which may hold a token
	r.mu.Lock()
	defer r.mu.Unlock()
	entry := r.of(a)
	if len(entry.calls) < maxRecent {
		entry.calls = append(entry.calls, c)
		return
	}
	entry.calls[entry.next] = c
	entry.next = (entry.next + 1) % maxRecent
}

func (r *recent) quota(owner tuoguan.TokenOwner, q SeenQuota) {
	if owner.IsComponent() {
		return
	}
	q.Path, q.At = strings.Clone(q.Path), q.At.UTC()
	r.mu.Lock()
	defer r.mu.Unlock()
	entry := r.of(tuoguan.Authorization{Component: owner.Component(), Authorizer: owner.Authorizer()})
	if _, known := entry.quotas[q.Path]; !known && len(entry.quotas) >= maxSeenQuotas {
		return
	}
	if entry.quotas == nil {
		entry.quotas = make(map[string]SeenQuota)
	}
	entry.quotas[q.Path] = q
}

// Recent returns the last calls made for an account by this process, newest first, and
// what WeChat has shown of its quotas. Accounts that nobody calls for are forgotten.
func (g *Gateway) Recent(a tuoguan.Authorization) ([]RecentCall, []SeenQuota) {
	r := &g.recent
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.accounts[a]
	if e == nil {
		return []RecentCall{}, []SeenQuota{}
	}
	entry := e.Value.(*account)
	calls := slices.Concat(entry.calls[entry.next:], entry.calls[:entry.next])
	slices.Reverse(calls)
	quotas := make([]SeenQuota, 0, len(entry.quotas))
	for _, q := range entry.quotas {
		quotas = append(quotas, q)
	}
	slices.SortFunc(quotas, func(x, y SeenQuota) int { return strings.Compare(x.Path, y.Path) })
	return calls, quotas
}

// requestIDs are those of callers that are shown.
var requestIDs = regexp.MustCompile(`^[0-9A-Za-z._:-]{1,64}$`)

// remember adds the call to the recent ones of its account.
func (c *call) remember() {
	id := c.r.Header.Get("X-Request-Id")
	if id != "" && !requestIDs.MatchString(id) {
		id = ""
	}
	caller := c.caller.Name
	if caller == "" {
		caller = c.report.KeyID
	}
	c.g.recent.add(tuoguan.Authorization{Component: c.report.Component, Authorizer: c.report.Authorizer}, RecentCall{
		At: c.g.cfg.Clock.Now().Add(-c.report.Duration).UTC(), Method: c.r.Method, Path: c.path, Status: c.report.Status, Errcode: c.report.Errcode,
		Problem: c.report.Problem, DurationMS: c.report.Duration.Milliseconds(), Caller: caller, RequestID: id,
	})
}
