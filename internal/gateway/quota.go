package gateway

import (
	"encoding/json"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/problem"
)

const (
	// probeEvery is how often one call is let through although WeChat has said that
	// the day's quota is used up: somebody may have cleared it.
	probeEvery = 10 * time.Minute
	// maxExhausted bounds what is remembered; a call too many is refused by WeChat then.
	maxExhausted = 10_000
)

// chinaTime is where WeChat's day ends at midnight.
var chinaTime = time.FixedZone("UTC+8", 8*60*60)

// quotaKey is what WeChat counts: the calls of one interface by one owner.
type quotaKey struct {
	owner tuoguan.TokenOwner
	path  string
}

// exhaustion is a quota that is used up.
type exhaustion struct {
	until time.Time // WeChat's midnight
	probe time.Time // when to let the next call through; zero: never
}

// lowShare is which part of a day's quota is the last of it: from there on it is short.
const lowShare = 10

// Shortage is a quota of which WeChat has shown that little is left, or nothing.
type Shortage struct {
	Owner     tuoguan.TokenOwner
	Path      string // of the interface
	Remaining int
	Until     time.Time // when WeChat's day ends
}

// quotas remembers whose quota is used up, so that nobody spends calls on asking.
type quotas struct {
	floor int
	tell  func(Shortage)
	seen  func(tuoguan.TokenOwner, SeenQuota)
	any   atomic.Bool // there is something in exhausted

	mu        sync.Mutex
	exhausted map[quotaKey]exhaustion
}

// admit refuses a call whose quota is known to be used up.
func (q *quotas) admit(key quotaKey, now time.Time) error {
	if !q.any.Load() {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	e, ok := q.exhausted[key]
	switch {
	case !ok:
		return nil
	case !now.Before(e.until):
		q.forget(key)
		return nil
	case !e.probe.IsZero() && !now.Before(e.probe):
		e.probe = now.Add(probeEvery)
		q.exhausted[key] = e
		return nil
	}
	again := e.until
	if !e.probe.IsZero() {
		again = e.probe
	}
	return problem.QuotaExhausted.With(
		"the daily quota of "+key.path+" is used up; it is renewed at midnight, China time; openapi/quota/get shows it",
		key.path+" 的当日额度已用尽，北京时间零点恢复；可用 openapi/quota/get 查询").After(int(math.Ceil(again.Sub(now).Seconds())))
}

// learn takes in what a reply says about quotas: of the path called, or, of
// openapi/quota/get, of the path asked about.
func (q *quotas) learn(key quotaKey, rep *reply, asked []byte, now time.Time) {
	switch {
	case rep.errcode == codeDailyQuota:
		q.exhaust(key, now, now.Add(probeEvery))
		q.seen(key.owner, SeenQuota{Path: key.path, At: now})
		q.tell(Shortage{Owner: key.owner, Path: key.path, Until: midnight(now)})
	case key.path == "/cgi-bin/openapi/quota/get" && rep.errcode == 0 && rep.whole:
		var question struct {
			Path string `json:"cgi_path"`
		}
		var answer struct {
			Quota *struct {
				DailyLimit int `json:"daily_limit"`
				Used       int `json:"used"`
				Remain     int `json:"remain"`
			} `json:"quota"`
		}
		if json.Unmarshal(asked, &question) == nil && json.Unmarshal(rep.head, &answer) == nil && answer.Quota != nil {
			q.shown(quotaKey{key.owner, question.Path}, answer.Quota.DailyLimit, answer.Quota.Used, answer.Quota.Remain, now)
		}
	case q.any.Load():
		q.mu.Lock()
		defer q.mu.Unlock()
		if e, ok := q.exhausted[key]; ok && !e.probe.IsZero() {
			q.forget(key) // it went through
		}
	}
}

// shown takes in how many calls WeChat says remain.
func (q *quotas) shown(key quotaKey, limit, used, remain int, now time.Time) {
	q.seen(key.owner, SeenQuota{Path: key.path, Limit: &limit, Used: &used, Remaining: remain, At: now})
	if remain <= limit/lowShare {
		q.tell(Shortage{Owner: key.owner, Path: key.path, Remaining: remain, Until: midnight(now)})
	}
	if remain <= q.floor {
		q.exhaust(key, now, time.Time{})
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.forget(key)
}

func (q *quotas) exhaust(key quotaKey, now, probe time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.exhausted == nil {
		q.exhausted = make(map[quotaKey]exhaustion)
	}
	if len(q.exhausted) >= maxExhausted {
		for other, e := range q.exhausted {
			if !now.Before(e.until) {
				delete(q.exhausted, other)
			}
		}
		if len(q.exhausted) >= maxExhausted {
			return
		}
	}
	q.exhausted[key] = exhaustion{until: midnight(now), probe: probe}
	q.any.Store(true)
}

// forget is for callers that hold mu.
func (q *quotas) forget(key quotaKey) {
	delete(q.exhausted, key)
	q.any.Store(len(q.exhausted) > 0)
}

// blockedUntil returns when calls will be made again, or zero if they are made now.
func (q *quotas) blockedUntil(key quotaKey, now time.Time) time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e, ok := q.exhausted[key]; ok && now.Before(e.until) {
		return e.until
	}
	return time.Time{}
}

// midnight returns the end of WeChat's day.
func midnight(now time.Time) time.Time {
	year, month, day := now.In(chinaTime).Date()
	return time.Date(year, month, day+1, 0, 0, 0, 0, chinaTime)
}

// Quota is what GET /quota/{authorizer_appid} answers with: WeChat's numbers for one
// interface, and what the gateway makes of them.
type Quota struct {
	Authorizer tuoguan.AuthorizerAppID `json:"authorizer_appid"`
	Component  tuoguan.ComponentAppID  `json:"component_appid"`
	Path       string                  `json:"path"`
	DailyLimit int                     `json:"daily_limit"`
	Used       int                     `json:"used"`
	Remaining  int                     `json:"remaining"`
	// BlockedUntil is when the gateway makes calls again; null if it does now.
	BlockedUntil *time.Time `json:"blocked_until"`
}

// showQuota asks WeChat how much of an interface's quota is left.
func (c *call) showQuota() error {
	if c.r.Method != http.MethodGet {
		c.w.Header().Set("Allow", "GET")
		return problem.MethodNotAllowed
	}
	path := parameter(c.query, "path")
	if !plainPath(path) {
		return problem.BadRequest.Field("path", "must be a path of WeChat's, such as /cgi-bin/user/info", "须为微信接口路径，如 /cgi-bin/user/info")
	}
	if err := c.mayCall(path); err != nil {
		return err
	}
	entry, err := c.find(tuoguan.AuthorizerAppID(c.appid), "")
	if err != nil {
		return err
	}
	c.report.Endpoint, c.report.Component, c.report.Authorizer = "/cgi-bin/openapi/quota/get", entry.Component, entry.Authorizer
	if err := c.allow(entry.Authorizer); err != nil {
		return err
	}
	owner := tuoguan.AuthorizerToken(entry.Component, entry.Authorizer)
	key := quotaKey{owner, path}
	answer, err := c.g.cfg.WeChat.GetAPIQuota(c.r.Context(), owner, path)
	if err != nil {
		return err
	}
	now := c.g.cfg.Clock.Now()
	c.g.quotas.shown(key, answer.DailyLimit, answer.Used, answer.Remaining, now)
	q := Quota{
		Authorizer: entry.Authorizer, Component: entry.Component, Path: path,
		DailyLimit: answer.DailyLimit, Used: answer.Used, Remaining: answer.Remaining,
	}
	if until := c.g.quotas.blockedUntil(key, now); !until.IsZero() {
		until = until.UTC()
		q.BlockedUntil = &until
	}
	c.writeJSON(http.StatusOK, q)
	return nil
}
