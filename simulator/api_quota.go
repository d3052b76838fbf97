package simulator

import (
	"net/http"
	"sync"
	"time"
)

// Limits. The platform publishes few of them; see the README for the rest.
const (
	defaultDailyLimit    = 1_000_000
	clearQuotaPerMonth   = 10
	clearOneAPIPerMonth  = 50
	ridLife              = 7 * 24 * time.Hour
	maxRIDs              = 8192
	callsPerMinute       = 3000 // shown by openapi/quota/get, not enforced
	componentCallsMinute = 30000
)

// dailyLimits differ from the default. Source: Official Accounts docs, call
// limits, read 2026; the two token calls are guesses, as nothing is published.
var dailyLimits = map[string]int{
	"/cgi-bin/component/api_component_token":  10_000,
	"/cgi-bin/component/api_authorizer_token": 10_000,
	"/cgi-bin/message/custom/send":            500_000,
	"/cgi-bin/menu/create":                    1_000,
}

// owner is who a quota belongs to: a component or an account.
type owner struct {
	component bool
	id        uint32
}

type quotaKey struct {
	owner owner
	path  string
}

type clearKey struct {
	owner  owner
	oneAPI bool
}

// quota counts calls. A day and a month begin at 00:00 China time.
type quota struct {
	day, month int
	used       map[quotaKey]int
	clears     map[clearKey]int
	limits     map[string]int
}

func newQuota() quota {
	return quota{used: make(map[quotaKey]int), clears: make(map[clearKey]int), limits: make(map[string]int)}
}

var chinaTime = time.FixedZone("UTC+8", 8*3600)

// turn forgets what was counted on an earlier day or in an earlier month.
func (q *quota) turn(now time.Time) {
	local := now.In(chinaTime)
	if day := local.Year()*1000 + local.YearDay(); day != q.day {
		q.day = day
		clear(q.used)
	}
	if month := local.Year()*100 + int(local.Month()); month != q.month {
		q.month = month
		clear(q.clears)
	}
}

func (q *quota) limit(path string) int {
	if n, set := q.limits[path]; set {
		return n
	}
	if n, set := dailyLimits[path]; set {
		return n
	}
	return defaultDailyLimit
}

// spend counts a call, or says that there are none left.
func (q *quota) spend(now time.Time, who owner, path string) errcode {
	q.turn(now)
	key := quotaKey{who, path}
	if q.used[key] >= q.limit(path) {
		return codeQuota
	}
	q.used[key]++
	return 0
}

// SetDailyLimit changes how often each component or account may call a path a
// day; a negative limit restores the default.
func (s *Simulator) SetDailyLimit(path string, calls int) error {
	if _, known := s.api[path]; !known {
		return refuse(http.StatusNotFound, "the API has no path %q", path)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if calls < 0 {
		delete(s.quota.limits, path)
	} else {
		s.quota.limits[path] = calls
	}
	return nil
}

// spendQuota counts the call against the owner of its token: a call on behalf of
// an account uses that account's quota, which its other providers share. Calls
// that need the body to know the owner count themselves. s.mu is held.
func (c *call) spendQuota() errcode {
	switch {
	case c.auth != nil:
		return c.s.quota.spend(c.now, owner{id: c.auth.acct.id}, c.e.path)
	case c.comp != nil && c.e.path != pathAuthorizerToken && !freeOfQuota[c.e.path]:
		return c.s.quota.spend(c.now, owner{true, c.comp.id}, c.e.path)
	}
	return 0
}

// freeOfQuota are calls that must work when quotas are used up.
var freeOfQuota = map[string]bool{
	"/cgi-bin/clear_quota":              true,
	"/cgi-bin/component/clear_quota/v2": true,
	"/cgi-bin/openapi/quota/clear":      true,
}

func (c *call) owner() owner {
	if c.auth != nil {
		return owner{id: c.auth.acct.id}
	}
	return owner{true, c.comp.id}
}

// clear forgets what an owner used today: all of it, or one path.
func (q *quota) clear(now time.Time, who owner, path string) errcode {
	q.turn(now)
	limit := clearQuotaPerMonth
	if path != "" {
		limit = clearOneAPIPerMonth
	}
	key := clearKey{who, path != ""}
	if q.clears[key] >= limit {
		return codeClearQuotaLimit
	}
	q.clears[key]++
	for k := range q.used {
		if k.owner == who && (path == "" || k.path == path) {
			delete(q.used, k)
		}
	}
	return 0
}

func quotaEndpoints() []endpoint {
	const post = http.MethodPost
	return []endpoint{
		{path: "/cgi-bin/clear_quota", method: post, token: eitherToken, anySet: true, handle: clearQuota},
		{path: "/cgi-bin/clear_quota/v2", method: post, noBody: true, handle: clearQuotaBySecret},
		{path: "/cgi-bin/component/clear_quota/v2", method: post, noBody: true, handle: clearComponentQuota},
		{path: "/cgi-bin/openapi/quota/clear", method: post, token: eitherToken, anySet: true, handle: clearOneQuota},
		{path: "/cgi-bin/openapi/quota/get", method: post, token: eitherToken, anySet: true, handle: getQuota},
		{path: "/cgi-bin/openapi/rid/get", method: post, token: eitherToken, anySet: true, handle: getRID},
	}
}

func clearQuota(c *call) (any, errcode) {
	var in struct {
		AppID string `json:"appid"`
	}
	if code := c.decode(&in); code != 0 {
		return nil, code
	}
	own := c.comp.appid
	if c.auth != nil {
		own = c.auth.acct.appid
	}
	if in.AppID != own {
		return nil, codeBadAppID
	}
	return okReply, c.s.quota.clear(c.now, c.owner(), "")
}

// clearQuotaBySecret is for accounts with a secret of their own; the simulator's
// accounts have none, and components are told so.
func clearQuotaBySecret(c *call) (any, errcode) {
	var in struct {
		AppID     string `json:"appid"`
		AppSecret string `json:"appsecret"`
	}
	if len(c.body) > 0 {
		if code := c.decode(&in); code != 0 {
			return nil, code
		}
	} else {
		in.AppID, in.AppSecret = c.query.Get("appid"), c.query.Get("appsecret")
	}
	switch {
	case in.AppID == "":
		return nil, codeAppIDMissing
	case in.AppSecret == "":
		return nil, codeSecretMissing
	}
	return nil, codeBadAppID
}

func clearComponentQuota(c *call) (any, errcode) {
	var in struct {
		ComponentAppID string `json:"component_appid"`
		AppSecret      string `json:"appsecret"`
		AppID          string `json:"appid"`
	}
	if len(c.body) == 0 {
		return nil, codeEmptyBody
	}
	if code := c.decode(&in); code != 0 {
		return nil, code
	}
	switch {
	case in.ComponentAppID == "":
		return nil, codeAppIDMissing
	case in.AppSecret == "":
		return nil, codeSecretMissing
	}
	comp := c.s.components[in.ComponentAppID]
	if comp == nil {
		return nil, codeBadAppID
	}
	c.comp = comp
	c.present("appsecret", in.AppSecret)
	if code := c.checkIP(); code != 0 {
		return nil, code
	}
	if !sameText(in.AppSecret, comp.Secret) {
		return nil, codeBadSecret
	}
	who := owner{true, comp.id}
	if in.AppID != "" {
		acct := c.s.accounts[in.AppID]
		if acct == nil {
			return nil, codeBadAppID
		}
		auth := acct.to(comp)
		if auth == nil || !auth.standing {
			return nil, codeNotAuthorizedAccount
		}
		who = owner{id: acct.id}
	}
	return okReply, c.s.quota.clear(c.now, who, "")
}

// pathIn checks a cgi_path as the quota calls do. s.mu is held.
func (c *call) pathIn() (string, errcode) {
	var in struct {
		Path string `json:"cgi_path"`
	}
	if code := c.decode(&in); code != 0 {
		return "", code
	}
	e, known := c.s.api[in.Path]
	switch {
	case len(in.Path) > 5 && in.Path[:5] == "/sns/":
		return "", codePathForbidden
	case !known:
		return "", codePathNotFound
	case c.auth == nil && e.token == authorizerToken, c.auth != nil && e.token == componentToken:
		return "", codePathForbidden
	}
	return in.Path, 0
}

func clearOneQuota(c *call) (any, errcode) {
	path, code := c.pathIn()
	if code != 0 {
		return nil, code
	}
	return okReply, c.s.quota.clear(c.now, c.owner(), path)
}

func getQuota(c *call) (any, errcode) {
	path, code := c.pathIn()
	if code != 0 {
		return nil, code
	}
	type rate struct {
		Calls   int `json:"call_count"`
		Seconds int `json:"refresh_second"`
	}
	var out struct {
		errorReply
		Quota struct {
			Daily  int `json:"daily_limit"`
			Used   int `json:"used"`
			Remain int `json:"remain"`
		} `json:"quota"`
		Rate          rate `json:"rate_limit"`
		ComponentRate rate `json:"component_rate_limit"`
	}
	out.errorReply = okReply
	c.s.quota.turn(c.now)
	out.Quota.Daily = c.s.quota.limit(path)
	out.Quota.Used = c.s.quota.used[quotaKey{c.owner(), path}]
	out.Quota.Remain = out.Quota.Daily - out.Quota.Used
	out.Rate, out.ComponentRate = rate{callsPerMinute, 60}, rate{componentCallsMinute, 60}
	return out, 0
}

// ridLog remembers the newest errors by their rid.
type ridLog struct {
	mu      *sync.Mutex
	records map[string]ridRecord
	order   []string
}

type ridRecord struct {
	owner owner
	known bool // whose call it was
	at    time.Time
	path  string
	reply string
	ip    string
}

func newRIDLog() ridLog { return ridLog{mu: new(sync.Mutex), records: make(map[string]ridRecord)} }

func (l *ridLog) add(rid string, c *call, reply []byte) {
	r := ridRecord{at: c.now, path: c.path, reply: string(reply), ip: c.ip}
	if c.comp != nil {
		r.owner, r.known = c.owner(), true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records[rid] = r
	l.order = append(l.order, rid)
	if len(l.order) > maxRIDs {
		delete(l.records, l.order[0])
		l.order = l.order[1:]
	}
}

// getRID answers with what is known of a failed call. Bodies are left out: they
// may hold secrets.
func getRID(c *call) (any, errcode) {
	var in struct {
		RID string `json:"rid"`
	}
	if code := c.decode(&in); code != 0 {
		return nil, code
	}
	if len(in.RID) != 26 {
		return nil, codeRIDMalformed
	}
	c.s.rids.mu.Lock()
	r, found := c.s.rids.records[in.RID]
	c.s.rids.mu.Unlock()
	switch {
	case !found || c.now.Sub(r.at) > ridLife:
		return nil, codeRIDNotFound
	case !r.known || r.owner != c.owner():
		return nil, codeRIDForeign
	}
	var out struct {
		errorReply
		Request struct {
			InvokeTime   int64  `json:"invoke_time"`
			CostInMS     int    `json:"cost_in_ms"`
			RequestURL   string `json:"request_url"`
			RequestBody  string `json:"request_body"`
			ResponseBody string `json:"response_body"`
			ClientIP     string `json:"client_ip"`
		} `json:"request"`
	}
	out.errorReply = okReply
	out.Request.InvokeTime, out.Request.RequestURL = r.at.Unix(), r.path
	out.Request.ResponseBody, out.Request.ClientIP = r.reply, r.ip
	return out, 0
}
