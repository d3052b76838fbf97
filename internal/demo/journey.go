package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	// patience is how long a step may take that needs nothing but fair weather;
	// with faults it includes the second looks that custody takes before it
	// believes bad news.
	patience = 90 * time.Second
	// tokenLife is what WeChat promises and the simulator keeps.
	tokenLife = 2 * time.Hour
)

// journey is the walk from a merchant's scan to a token that stays fresh. It
// knows both sides only by their contracts.
type journey struct {
	control  caller // the simulator
	platform caller // WeChat's hosts
	rest     caller // the server's API
	admin    caller // the same listener, without a key
	gateway  caller // where services call WeChat, without a key

	component string
	account   string
	token     string // the authorizer's, as last read
	link      link

	service *service
	server  serverControl
	secret  leakCheck
}

// serverControl lets the journey kill the server and start it again.
type serverControl interface {
	// swap stops the server in this process and starts one of its own.
	swap(ctx context.Context) error
	kill() error
	restart(ctx context.Context) error
}

// leakCheck looks for secrets where none may be.
type leakCheck func(ctx context.Context) (searched int, err error)

type link struct {
	ID  string `json:"id"`
	URL string `json:"url"`
}

// step is one thing to be shown. It returns what it has checked, in a few words.
type step struct {
	name, nameZh string
	run          func(context.Context) (string, error)
}

func (j *journey) steps() []step {
	return []step{
		{"component registered", "注册第三方平台", j.componentRegistered},
		{"ticket pushed", "推送 verify ticket", j.ticketPushed},
		{"component token", "换取 component token", j.componentToken},
		{"link opened", "打开授权链接", j.linkOpened},
		{"merchant confirms; redirect and push race", "商家确认,跳转与推送竞争", j.merchantConfirms},
		{"token stored", "令牌入库", j.tokenStored},
		{"a service calls WeChat through the gateway", "业务经网关调用微信", j.serviceCalls},
		{"a service subscribes", "业务订阅事件", j.serviceSubscribes},
		{"two hours pass", "两小时过去,令牌提前刷新", j.twoHoursPass},
		{"a user's text is answered", "被动回复用户消息", j.userWrites},
		{"a message while the service is away", "业务离线期间的消息不丢失", j.serviceAway},
		{"permission change", "变更权限集", j.permissionsChange},
		{"revocation", "取消授权", j.revocation},
		{"re-authorization", "重新授权", j.reauthorization},
		{"kill -9 in the middle of a refresh", "刷新途中 kill -9", j.killed},
		{"release check, every group", "全网发布检测(全部五组)", j.releaseCheck},
		{"people sign in to the console", "登录控制台,各司其职", j.peopleSignIn},
		{"no secret in logs, metrics and pages", "日志、指标与页面中无密钥", j.noSecrets},
	}
}

func (j *journey) componentRegistered(ctx context.Context) (string, error) {
	var item struct {
		AppID string `json:"appid"`
	}
	err := eventually(ctx, patience, func(ctx context.Context) error {
		return j.rest.call(ctx, http.MethodGet, "/v1/components/"+j.component, nil, &item)
	})
	if err != nil {
		return "", err
	}
	if item.AppID != j.component {
		return "", fmt.Errorf("the server knows %q, not %q", item.AppID, j.component)
	}
	return j.component + " is known to both sides", nil
}

func (j *journey) ticketPushed(ctx context.Context) (string, error) {
	var latency int
	err := eventually(ctx, patience, func(ctx context.Context) error {
		a, err := j.push(ctx, "/components/"+j.component+"/ticket", nil)
		latency = a.latency()
		return err
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("answered success in %d ms", latency), nil
}

func (j *journey) componentToken(ctx context.Context) (string, error) {
	minted := func(ctx context.Context) (int, error) {
		n := 0
		err := j.journal(ctx, func(l line) {
			if l.Kind == "request" && strings.HasSuffix(l.Path, "/api_component_token") && l.Status == http.StatusOK && l.Errcode == 0 {
				n++
			}
		})
		return n, err
	}
	var before int
	err := eventually(ctx, patience, func(ctx context.Context) (err error) {
		var item struct {
			TokenExpiresAt time.Time `json:"token_expires_at"`
		}
		if err := j.rest.call(ctx, http.MethodGet, "/v1/components/"+j.component, nil, &item); err != nil {
			return err
		}
		if item.TokenExpiresAt.IsZero() {
			return errors.New("there is no component token yet")
		}
		before, err = minted(ctx)
		return err
	})
	if err != nil {
		return "", err
	}
	// Another ticket must not cost another token.
	if err := eventually(ctx, patience, func(ctx context.Context) error {
		_, err := j.push(ctx, "/components/"+j.component+"/ticket", nil)
		return err
	}); err != nil {
		return "", err
	}
	after, err := minted(ctx)
	if err != nil {
		return "", err
	}
	if after != before {
		return "", fmt.Errorf("a second ticket caused %d more tokens", after-before)
	}
	return "obtained; another ticket caused no call", nil
}

var loginPage = regexp.MustCompile(`href="([^"]*/cgi-bin/componentloginpage\?[^"]*)"`)

func (j *journey) linkOpened(ctx context.Context) (string, error) {
	page, err := j.openLink(ctx, "shop-1")
	if err != nil {
		return "", err
	}
	return "entry page leads to " + page.Host + page.Path, nil
}

// openLink makes a link, opens it as a browser and returns WeChat's page that it leads to.
func (j *journey) openLink(ctx context.Context, reference string) (*url.URL, error) {
	err := j.rest.call(ctx, http.MethodPost, "/v1/authorization-links", map[string]any{
		"component_appid": j.component, "reference": reference, "auth_type": 3, "permission_sets": []int{1, 2, 7, 15},
	}, &j.link)
	if err != nil {
		return nil, err
	}
	var target string
	err = eventually(ctx, patience, func(ctx context.Context) error {
		code, body, err := j.admin.page(ctx, j.link.URL, "")
		if err != nil {
			return err
		}
		m := loginPage.FindStringSubmatch(body)
		if code != http.StatusOK || m == nil {
			return fmt.Errorf("the entry page answered %d and has no link to WeChat", code)
		}
		target = html.UnescapeString(m[1])
		code, _, err = j.admin.page(ctx, target, j.link.URL)
		if err != nil {
			return err
		}
		if code != http.StatusOK {
			return fmt.Errorf("WeChat's page answered %d", code)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return url.Parse(target)
}

// authorize lets the merchant confirm on the page opened last, and the browser come back.
func (j *journey) authorize(ctx context.Context, page *url.URL, sets []int) error {
	body := map[string]any{"component_appid": j.component, "pre_auth_code": page.Query().Get("pre_auth_code")}
	if sets != nil {
		body["permission_sets"] = sets
	}
	a, err := j.push(ctx, "/accounts/"+j.account+"/authorize", body)
	if err != nil && a.RedirectURL == "" {
		return err
	}
	// The browser comes back whether or not the push got through.
	code, text, err := j.admin.page(ctx, a.RedirectURL, page.String())
	if err != nil {
		return err
	}
	if code >= 400 {
		return fmt.Errorf("the redirect was answered %d: %.200s", code, text)
	}
	return nil
}

func (j *journey) merchantConfirms(ctx context.Context) (string, error) {
	page, err := j.openLink(ctx, "shop-1")
	if err != nil {
		return "", err
	}
	if err := j.authorize(ctx, page, []int{1, 2, 7, 15}); err != nil {
		return "", err
	}
	var a authorizer
	err = eventually(ctx, patience, func(ctx context.Context) error {
		if err := j.rest.call(ctx, http.MethodGet, "/v1/authorizers/"+j.account, nil, &a); err != nil {
			return err
		}
		if a.State != "active" {
			return fmt.Errorf("the authorizer is %s", a.State)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	exchanged := 0
	if err := j.journal(ctx, func(l line) {
		switch {
		case !strings.HasSuffix(l.Path, "/api_query_auth"):
		case l.Fault == "html_reply":
			exchanged-- // a status of 200 all the same, and nothing was done
		case l.Kind == "request" && l.Status == http.StatusOK && l.Errcode == 0:
			exchanged++
		}
	}); err != nil {
		return "", err
	}
	if exchanged > 1 {
		return "", fmt.Errorf("the code was exchanged %d times", exchanged)
	}
	return "one exchange, state " + a.State, nil
}

type authorizer struct {
	State          string `json:"state"`
	Reference      string `json:"reference"`
	PermissionSets []int  `json:"permission_sets"`
}

type accessToken struct {
	AccessToken string    `json:"access_token"`
	ExpiresAt   time.Time `json:"expires_at"`
}

// goodToken reads the token and has WeChat judge it.
func (j *journey) goodToken(ctx context.Context) (t accessToken, err error) {
	err = eventually(ctx, patience, func(ctx context.Context) error {
		if err := j.rest.call(ctx, http.MethodGet, "/v1/authorizers/"+j.account+"/access-token", nil, &t); err != nil {
			return err
		}
		return j.judge(ctx, t.AccessToken)
	})
	j.token = t.AccessToken
	return t, err
}

// judge asks WeChat whether a token is good; a bad one is reported to the server.
func (j *journey) judge(ctx context.Context, token string) error {
	var reply struct {
		Errcode int      `json:"errcode"`
		IPList  []string `json:"ip_list"`
	}
	if err := j.platform.call(ctx, http.MethodGet, "/cgi-bin/getcallbackip?access_token="+url.QueryEscape(token), nil, &reply); err != nil {
		return errors.New("WeChat gave no usable answer")
	}
	if len(reply.IPList) > 0 {
		return nil
	}
	if slices.Contains([]int{40001, 40014, 42001}, reply.Errcode) {
		_ = j.rest.call(ctx, http.MethodPost, "/v1/authorizers/"+j.account+"/access-token/invalid", map[string]string{"access_token": token}, nil)
	}
	return fmt.Errorf("WeChat refuses the token: errcode %d", reply.Errcode)
}

func (j *journey) tokenStored(ctx context.Context) (string, error) {
	t, err := j.goodToken(ctx)
	if err != nil {
		return "", err
	}
	var now clock
	if err := j.control.call(ctx, http.MethodGet, "/clock", nil, &now); err != nil {
		return "", err
	}
	left := t.ExpiresAt.Sub(now.Now)
	if left <= 0 || left > tokenLife {
		return "", fmt.Errorf("the token lives another %v", left)
	}
	return "WeChat takes it; it lives another " + left.Round(time.Minute).String(), nil
}

// serviceCalls plays a service that holds no credential of WeChat's: with a key of its
// own, and then as an SDK that was written for a single account.
func (j *journey) serviceCalls(ctx context.Context) (string, error) {
	var key struct{ ID, Key string }
	scope := map[string]any{"operations": []string{"gateway:call"}, "authorizers": []string{j.account}}
	if err := j.rest.call(ctx, http.MethodPost, "/v1/api-keys", map[string]any{"name": "demo", "scope": scope}, &key); err != nil {
		return "", err
	}
	service := j.gateway
	service.key = key.Key
	var users struct {
		Total   int `json:"total"`
		Errcode int `json:"errcode"`
	}
	read := func(from caller, path string) func(context.Context) error {
		return func(ctx context.Context) error {
			users.Total, users.Errcode = 0, 0
			if err := from.call(ctx, http.MethodGet, path, nil, &users); err != nil {
				return err
			}
			if users.Errcode != 0 || users.Total == 0 {
				return fmt.Errorf("errcode %d, %d followers", users.Errcode, users.Total)
			}
			return nil
		}
	}
	if err := eventually(ctx, patience, read(service, "/as/"+j.account+"/cgi-bin/user/get")); err != nil {
		return "", fmt.Errorf("with the key: %w", err)
	}

	var token accessToken
	login := url.Values{"grant_type": {"client_credential"}, "appid": {j.account}, "secret": {key.Key}}
	if err := j.gateway.call(ctx, http.MethodGet, "/cgi-bin/token?"+login.Encode(), nil, &token); err != nil {
		return "", err
	}
	path := "/cgi-bin/user/get?" + url.Values{"access_token": {token.AccessToken}}.Encode()
	if err := eventually(ctx, patience, read(j.gateway, path)); err != nil {
		return "", fmt.Errorf("as an SDK for a single account: %w", err)
	}
	if err := read(j.platform, path)(ctx); err == nil {
		return "", errors.New("WeChat takes the token that the gateway gave")
	}
	if err := j.rest.call(ctx, http.MethodPost, "/v1/api-keys/"+key.ID+"/revoke", struct{}{}, nil); err != nil {
		return "", err
	}
	err := eventually(ctx, patience, func(ctx context.Context) error {
		if err := read(j.gateway, path)(ctx); err == nil {
			return errors.New("it goes on")
		}
		if users.Errcode != 40001 && users.Errcode != 42001 {
			return fmt.Errorf("errcode %d", users.Errcode)
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("after the key was revoked: %w", err)
	}
	return "with a key of its own, and as an SDK for one account; neither goes on after the key is revoked", nil
}

type clock struct {
	Now time.Time `json:"now"`
}

func (j *journey) twoHoursPass(ctx context.Context) (string, error) {
	first, err := j.goodToken(ctx)
	if err != nil {
		return "", err
	}
	const stride = 10 * time.Minute
	for passed := time.Duration(0); passed < tokenLife; passed += stride {
		var now clock
		if err := j.control.call(ctx, http.MethodPost, "/clock", map[string]string{"advance": stride.String()}, &now); err != nil {
			return "", err
		}
		// Whoever reads the token now must find one that outlives the next stride.
		err := eventually(ctx, patience, func(ctx context.Context) error {
			var t accessToken
			if err := j.rest.call(ctx, http.MethodGet, "/v1/authorizers/"+j.account+"/access-token", nil, &t); err != nil {
				return err
			}
			if left := t.ExpiresAt.Sub(now.Now); left <= stride+time.Minute {
				return fmt.Errorf("the token has only %v left", left)
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	last, err := j.goodToken(ctx)
	if err != nil {
		return "", err
	}
	if last.AccessToken == first.AccessToken {
		return "", errors.New("the token has not changed")
	}
	return "refreshed ahead; at no time less than ten minutes left", nil
}

func (j *journey) userWrites(ctx context.Context) (string, error) {
	a, err := j.push(ctx, "/accounts/"+j.account+"/messages", map[string]any{
		"component_appid": j.component, "from": "oDemoUser", "type": "text", "content": "hello",
	})
	if err != nil {
		return "", err
	}
	content, _ := a.Reply["Content"].(string)
	if !strings.Contains(content, "hello") {
		return "", fmt.Errorf("the reply is %q", content)
	}
	return fmt.Sprintf("%q, in %d ms", content, a.latency()), nil
}

func (j *journey) permissionsChange(ctx context.Context) (string, error) {
	old, err := j.goodToken(ctx)
	if err != nil {
		return "", err
	}
	want := []int{1, 2, 7, 11, 15}
	a, err := j.push(ctx, "/accounts/"+j.account+"/update-authorization", map[string]any{"component_appid": j.component, "permission_sets": want})
	if err != nil && a.RedirectURL == "" {
		return "", err
	}
	err = eventually(ctx, patience, func(ctx context.Context) error {
		var got authorizer
		if err := j.rest.call(ctx, http.MethodGet, "/v1/authorizers/"+j.account, nil, &got); err != nil {
			return err
		}
		if !slices.Equal(got.PermissionSets, want) {
			return fmt.Errorf("the permission sets are %v", got.PermissionSets)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	fresh, err := j.goodToken(ctx)
	if err != nil {
		return "", err
	}
	if fresh.AccessToken == old.AccessToken {
		return "", errors.New("the token of the old authorization is still handed out")
	}
	return "new sets known, old token gone", nil
}

func (j *journey) revocation(ctx context.Context) (string, error) {
	if err := eventually(ctx, patience, func(ctx context.Context) error {
		_, err := j.push(ctx, "/accounts/"+j.account+"/unauthorize", map[string]any{"component_appid": j.component})
		return err
	}); err != nil {
		return "", err
	}
	err := eventually(ctx, patience, func(ctx context.Context) error {
		err := j.rest.call(ctx, http.MethodGet, "/v1/authorizers/"+j.account+"/access-token", nil, nil)
		var s *status
		if errors.As(err, &s) && s.Code == http.StatusConflict {
			return nil
		}
		return fmt.Errorf("a token of a revoked authorization was asked for: %w", err)
	})
	if err != nil {
		return "", err
	}
	return "409, no token handed out", nil
}

func (j *journey) reauthorization(ctx context.Context) (string, error) {
	page, err := j.openLink(ctx, "shop-1")
	if err != nil {
		return "", err
	}
	if err := j.authorize(ctx, page, []int{1, 2, 7, 15}); err != nil {
		return "", err
	}
	if _, err := j.goodToken(ctx); err != nil {
		return "", err
	}
	return "served again, with a new grant", nil
}

// killed kills the server while WeChat has used up the refresh token and the
// answer is on its way: the worst moment there is.
func (j *journey) killed(ctx context.Context) (string, error) {
	var before map[string]any
	if err := j.control.call(ctx, http.MethodGet, "/faults", nil, &before); err != nil {
		return "", err
	}
	if err := j.server.swap(ctx); err != nil {
		return "", err
	}
	if _, err := j.goodToken(ctx); err != nil {
		return "", err
	}
	// The answer to the next refresh never arrives, and the old refresh token is dead.
	worst := map[string]any{"refresh_token_mode": "rotate-strict", "drop_reply_after_processing": 1}
	if err := j.control.call(ctx, http.MethodPut, "/faults", worst, nil); err != nil {
		return "", err
	}
	seen := 0
	count := func(ctx context.Context) (n int, err error) {
		err = j.journal(ctx, func(l line) {
			if l.Kind == "request" && strings.HasSuffix(l.Path, "/api_authorizer_token") {
				n++
			}
		})
		return n, err
	}
	seen, err := count(ctx)
	if err != nil {
		return "", err
	}
	refresh, cancel := context.WithCancel(ctx)
	defer cancel()
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		_ = j.rest.call(refresh, http.MethodPost, "/v1/authorizers/"+j.account+"/refresh", nil, nil)
	}()
	err = eventually(ctx, patience, func(ctx context.Context) error {
		n, err := count(ctx)
		if err == nil && n == seen {
			err = errors.New("no refresh has begun")
		}
		return err
	})
	if err != nil {
		return "", err
	}
	if err := j.server.kill(); err != nil {
		return "", err
	}
	cancel()
	<-asked
	if err := j.control.call(ctx, http.MethodPut, "/faults", before, nil); err != nil {
		return "", err
	}
	began := time.Now()
	if err := j.server.restart(ctx); err != nil {
		return "", err
	}
	if _, err := j.goodToken(ctx); err != nil {
		return "", err
	}
	served := time.Since(began).Round(10 * time.Millisecond)
	// The refresh token that was lost with the answer must be found again, too.
	err = eventually(ctx, patience, func(ctx context.Context) error {
		return j.rest.call(ctx, http.MethodPost, "/v1/authorizers/"+j.account+"/refresh", nil, nil)
	})
	if err != nil {
		return "", err
	}
	if _, err := j.goodToken(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("served again %v after the restart, refreshed again after %v", served, time.Since(began).Round(10*time.Millisecond)), nil
}

func (j *journey) releaseCheck(ctx context.Context) (string, error) {
	for group := 1; group <= 5; group++ {
		var result struct {
			Passed bool `json:"passed"`
			Group  int  `json:"group"`
			Steps  []struct {
				Name   string `json:"name"`
				OK     bool   `json:"ok"`
				Detail string `json:"detail"`
			} `json:"steps"`
		}
		err := eventually(ctx, patience, func(ctx context.Context) error {
			if err := j.control.call(ctx, http.MethodPost, "/components/"+j.component+"/release-check", map[string]int{"group": group}, &result); err != nil {
				return err
			}
			if result.Passed {
				return nil
			}
			var failed []string
			for _, s := range result.Steps {
				if !s.OK {
					failed = append(failed, s.Name+": "+s.Detail)
				}
			}
			return fmt.Errorf("group %d: %s", group, strings.Join(failed, "; "))
		})
		if err != nil {
			return "", err
		}
		if result.Group != group {
			return "", fmt.Errorf("group %d was checked instead of %d", result.Group, group)
		}
	}
	return "groups 1 to 5 passed", nil
}

func (j *journey) noSecrets(ctx context.Context) (string, error) {
	n, err := j.secret(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("none of %d secrets found", n), nil
}

// answer is what the simulator replies to a call that makes WeChat push.
type answer struct {
	RedirectURL string         `json:"redirect_url"`
	Accepted    bool           `json:"accepted"`
	Reply       map[string]any `json:"reply"`
	Attempts    []struct {
		Status    int    `json:"status"`
		LatencyMS int    `json:"latency_ms"`
		Body      string `json:"body"`
	} `json:"attempts"`
}

// latency is how long the last attempt took, in milliseconds.
func (a answer) latency() int {
	if len(a.Attempts) == 0 {
		return 0
	}
	return a.Attempts[len(a.Attempts)-1].LatencyMS
}

// push makes WeChat push and demands that it was accepted.
func (j *journey) push(ctx context.Context, path string, body any) (a answer, err error) {
	if body == nil {
		body = struct{}{}
	}
	if err := j.control.call(ctx, http.MethodPost, path, body, &a); err != nil {
		return a, err
	}
	if !a.Accepted {
		return a, fmt.Errorf("%s: the push was not accepted", path)
	}
	return a, nil
}

// line is what the journey reads of the simulator's journal.
type line struct {
	Seq     int64  `json:"seq"`
	Kind    string `json:"kind"`
	Path    string `json:"path"`
	Status  int    `json:"status"`
	Errcode int    `json:"errcode"`
	Fault   string `json:"fault"`
}

// journal reads the whole journal.
func (j *journey) journal(ctx context.Context, each func(line)) error {
	for after := int64(0); ; {
		var text string
		if err := j.control.call(ctx, http.MethodGet, fmt.Sprintf("/journal?after=%d&limit=1000", after), nil, &text); err != nil {
			return err
		}
		n := 0
		for _, raw := range strings.Split(strings.TrimSpace(text), "\n") {
			if raw == "" {
				continue
			}
			var l line
			if err := json.Unmarshal([]byte(raw), &l); err != nil {
				return fmt.Errorf("journal line: %w", err)
			}
			each(l)
			after, n = l.Seq, n+1
		}
		if n == 0 {
			return nil
		}
	}
}
