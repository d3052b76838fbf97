package simulator_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/simulator/simtest"
)

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return string(body) + err.Error()
	}
	return string(body)
}

// browser opens pages of a simulator through its transport.
type browser struct {
	t *testing.T
	c *http.Client
}

func newBrowser(t *testing.T, w *world) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, &http.Client{Transport: w.RoundTripper(), Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

const host = "http://mp.weixin.qq.com"

// open gets a page; a redirect within the platform is followed.
func (b *browser) open(path, referer string) (page string, resp *http.Response) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, host+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if referer != "" {
		req.Header.Set("Referer", referer)
	}
	resp, err = b.c.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	page = readAll(b.t, resp)
	if to := resp.Header.Get("Location"); strings.HasPrefix(to, "/") {
		return b.open(to, "")
	}
	return page, resp
}

func (b *browser) submit(path string, form url.Values) (page string, resp *http.Response) {
	b.t.Helper()
	resp, err := b.c.PostForm(host+path, form)
	if err != nil {
		b.t.Fatal(err)
	}
	return readAll(b.t, resp), resp
}

var visitPattern = regexp.MustCompile(`/wxsim/scan/[0-9a-f]+`)

// preAuthCode asks the API for a pre-auth code.
func (w *world) preAuthCode(token url.Values) string {
	w.t.Helper()
	return field(w.call(api+"api_create_preauthcode", token, map[string]string{"component_appid": w.component.AppID}), "pre_auth_code")
}

func (w *world) link(path, preAuthCode string, more url.Values) string {
	q := url.Values{
		"component_appid": {w.component.AppID}, "pre_auth_code": {preAuthCode}, "redirect_uri": {"http://acme.example/done?nonce=7"}, "auth_type": {"3"},
		"action": {"bindcomponent"}, "no_scan": {"1"},
	}
	for name, values := range more {
		if values[0] == "" {
			q.Del(name)
		} else {
			q[name] = values
		}
	}
	return path + "?" + q.Encode()
}

func TestPCPage(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	token := w.token()
	a := w.account(simulator.OfficialAccount)
	b := newBrowser(t, w)
	page, _ := b.open(w.link("/cgi-bin/componentloginpage", w.preAuthCode(token), nil), "http://acme.example/authorize/x")
	for _, want := range []string{"data:image/png;base64,", "模拟扫码", "Acme"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	scan := visitPattern.FindString(page)
	state := func() (v struct{ State, Redirect string }) {
		body, _ := b.open(strings.Replace(scan, "/scan/", "/state/", 1), "")
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	if got := state(); got.State != "waiting" {
		t.Errorf("state %+v before the scan", got)
	}
	phone, _ := b.open(scan+"?q="+a.AppID, "")
	if !strings.Contains(phone, scan+"?account="+a.AppID) || state().State != "scanned" {
		t.Fatalf("the phone does not offer the account, or the scan was not noticed: %s", phone)
	}
	sets, _ := b.open(scan+"?account="+a.AppID+"&lang=en", "")
	if !strings.Contains(sets, `name="set" value="15"`) || !strings.Contains(sets, "Menus") || strings.Contains(sets, `value="18"`) {
		t.Error("the page of permission sets is wrong")
	}
	if done, _ := b.submit(scan+"/confirm", url.Values{"account": {a.AppID}, "set": {"1", "15"}}); !strings.Contains(done, "Authorized") { // the language stays
		t.Errorf("after confirming: %s", done)
	}
	got := state()
	u, err := url.Parse(got.Redirect)
	if err != nil || u.Host != "acme.example" || u.Query().Get("nonce") != "7" {
		t.Fatalf("state %+v", got)
	}
	pushes := w.receiver.of("authorized")
	if len(pushes) != 1 || pushes[0].AuthorizationCode != u.Query().Get("auth_code") {
		t.Errorf("%d pushes", len(pushes))
	}
	w.exchange(token, u.Query().Get("auth_code"))
	info, err := w.Account(a.AppID)
	if err != nil || len(info.Authorizations) != 1 || len(info.Authorizations[0].PermissionSets) != 2 {
		t.Errorf("account %+v, %v", info, err)
	}
}

// TestControlUsesTheLastVisit: the control API redirects to where the page would have.
func TestControlUsesTheLastVisit(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	authCode := w.preAuthCode(w.token())
	newBrowser(t, w).open(w.link("/cgi-bin/componentloginpage", authCode, nil), "")
	result, err := w.Authorize(t.Context(), w.account(simulator.OfficialAccount).AppID, simulator.AuthorizeRequest{
		ComponentAppID: w.component.AppID, PreAuthCode: authCode,
	})
	if err != nil || !strings.HasPrefix(result.RedirectURL, "http://acme.example/done?nonce=7&auth_code=") {
		t.Errorf("redirect %q, %v", result.RedirectURL, err)
	}
	if p := w.receiver.of("authorized")[0]; p.PreAuthCode != authCode {
		t.Error("the push carries another pre-auth code")
	}
}

func TestMobilePages(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/wxaopen/safe/bindcomponent", "/safe/bindcomponent"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			w, _ := newWorld(t, nil)
			token := w.token()
			a := w.account(simulator.MiniProgram)
			b := newBrowser(t, w)
			page, _ := b.open(w.link(path, w.preAuthCode(token), url.Values{"biz_appid": {a.AppID}}), "")
			scan := visitPattern.FindString(page)
			if !strings.Contains(page, `name="set" value="18"`) { // the only account needs no choice
				t.Fatalf("page %s", page)
			}
			other := w.account(simulator.MiniProgram)
			if _, resp := b.submit(scan+"/confirm", url.Values{"account": {other.AppID}}); resp.Header.Get("X-Wxsim-Refusal") != "-301" {
				t.Error("an account other than biz_appid was accepted")
			}
			_, resp := b.submit(scan+"/confirm", url.Values{"account": {a.AppID}, "set": {"18"}})
			if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusFound || !strings.HasPrefix(to, "http://acme.example/done?nonce=7&auth_code=queryauthcode%40%40%40") {
				t.Errorf("status %d to %s", resp.StatusCode, to)
			}
			if _, resp := b.submit(scan+"/confirm", url.Values{"account": {a.AppID}, "set": {"18"}}); resp.Header.Get("X-Wxsim-Refusal") != "-110" {
				t.Errorf("a second confirmation: %s", resp.Header.Get("X-Wxsim-Refusal"))
			}
		})
	}
}

func TestPageCancel(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	token := w.token()
	a := w.account(simulator.OfficialAccount)
	b := newBrowser(t, w)
	page, _ := b.open(w.link("/wxaopen/safe/bindcomponent", w.preAuthCode(token), nil), "")
	scan := visitPattern.FindString(page)
	b.submit(scan+"/cancel", nil)
	if _, resp := b.submit(scan+"/confirm", url.Values{"account": {a.AppID}, "set": {"1"}}); resp.Header.Get("X-Wxsim-Refusal") != "-101" {
		t.Error("a cancelled visit could be confirmed")
	}
	if n := len(w.receiver.of("authorized")); n != 0 {
		t.Errorf("%d pushes", n)
	}
}

func TestPageRefusals(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	token := w.token()
	used := w.preAuthCode(token)
	a := w.account(simulator.OfficialAccount)
	if _, err := w.Authorize(t.Context(), a.AppID, simulator.AuthorizeRequest{ComponentAppID: w.component.AppID, PreAuthCode: used}); err != nil {
		t.Fatal(err)
	}
	expired := w.preAuthCode(token)
	if err := w.Advance(31 * time.Minute); err != nil {
		t.Fatal(err)
	}
	good := w.preAuthCode(token)
	const pc, mobile = "/cgi-bin/componentloginpage", "/wxaopen/safe/bindcomponent"
	for _, c := range []struct {
		name, path, code, referer string
		more                      url.Values
		want                      int
	}{
		{"good", pc, good, "", nil, 0},
		{"good from the entry page", pc, good, "http://acme.example/authorize/1", nil, 0},
		{"no component", pc, good, "", url.Values{"component_appid": {""}}, -306},
		{"no pre-auth code", pc, good, "", url.Values{"pre_auth_code": {""}}, -307},
		{"no redirect", pc, good, "", url.Values{"redirect_uri": {""}}, -308},
		{"unknown component", pc, good, "", url.Values{"component_appid": {"wx0"}}, -305},
		{"bad auth_type", pc, good, "", url.Values{"auth_type": {"7"}}, -301},
		{"mobile without action", mobile, good, "", url.Values{"action": {""}}, -301},
		{"redirect to another host", pc, good, "", url.Values{"redirect_uri": {"http://evil.example/"}}, -302},
		{"entry from another host", pc, good, "http://evil.example/", nil, -302},
		{"unknown set", pc, good, "", url.Values{"category_id_list": {"1|x"}}, -104},
		{"set not asked for", pc, good, "", url.Values{"category_id_list": {"9999"}}, -104},
		{"made-up code", pc, "preauthcode@@@x", "", nil, -101},
		{"used code", pc, used, "", nil, -110},
		{"expired code", pc, expired, "", nil, -105},
	} {
		t.Run(c.name, func(t *testing.T) {
			page, resp := newBrowser(t, w).open(w.link(c.path, c.code, c.more), c.referer)
			got, _ := strconv.Atoi(resp.Header.Get("X-Wxsim-Refusal"))
			if got != c.want || c.want != 0 && !strings.Contains(page, `<code id="errcode">`+strconv.Itoa(c.want)) {
				t.Errorf("refusal %d, want %d", got, c.want)
			}
		})
	}
	t.Run("ports on loopback do not matter", func(t *testing.T) {
		local := w.component
		local.EntryDomain = "127.0.0.1:8080"
		simtest.Register(t, w.Simulator, local)
		for address, want := range map[string]string{"http://127.0.0.1:9999/x": "", "http://localhost:8080/x": "-302"} {
			_, resp := newBrowser(t, w).open(w.link(pc, good, url.Values{"redirect_uri": {address}}), "")
			if got := resp.Header.Get("X-Wxsim-Refusal"); got != want {
				t.Errorf("%s: refusal %q, want %q", address, got, want)
			}
		}
	})
}

func TestUnpublishedComponent(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	a, tester := w.account(simulator.OfficialAccount), w.account(simulator.OfficialAccount)
	no := false
	c := w.component
	c.Published, c.TestAccounts = &no, []string{tester.AppID}
	simtest.Register(t, w.Simulator, c)
	token := w.token()
	b := newBrowser(t, w)
	page, _ := b.open(w.link("/wxaopen/safe/bindcomponent", w.preAuthCode(token), nil), "")
	if _, resp := b.submit(visitPattern.FindString(page)+"/confirm", url.Values{"account": {a.AppID}, "set": {"1"}}); resp.Header.Get("X-Wxsim-Refusal") != "-108" {
		t.Errorf("refusal %s", resp.Header.Get("X-Wxsim-Refusal"))
	}
	if _, resp := b.submit(visitPattern.FindString(page)+"/confirm", url.Values{"account": {tester.AppID}, "set": {"1"}}); resp.StatusCode != http.StatusFound {
		t.Error("a test account was refused")
	}
}

// TestPageFaults checks that the push, the redirect, or both get through.
func TestPageFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name             string
		change           func(*simulator.Faults)
		redirect, pushed bool
	}{
		{"lost redirect", func(f *simulator.Faults) { f.LostRedirect, f.LostPush = 1, 1 }, false, true},
		{"lost push", func(f *simulator.Faults) { f.LostPush = 1 }, true, false},
		{"redirect first", func(f *simulator.Faults) { f.RedirectFirst = 1 }, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, _ := newWorld(t, func(config *simulator.Config) {
				config.Faults = simtest.Faults(t, simulator.PresetOff)
				c.change(config.Faults)
			})
			token := w.token()
			a := w.account(simulator.OfficialAccount)
			b := newBrowser(t, w)
			page, _ := b.open(w.link("/wxaopen/safe/bindcomponent", w.preAuthCode(token), nil), "")
			_, resp := b.submit(visitPattern.FindString(page)+"/confirm", url.Values{"account": {a.AppID}, "set": {"1"}})
			if redirected := resp.StatusCode == http.StatusFound; redirected != c.redirect {
				t.Errorf("redirected: %t", redirected)
			}
			deadline := time.Now().Add(5 * time.Second)
			for c.pushed && len(w.receiver.of("authorized")) == 0 && time.Now().Before(deadline) {
				time.Sleep(5 * time.Millisecond)
			}
			if n := len(w.receiver.of("authorized")); (n > 0) != c.pushed {
				t.Errorf("%d pushes", n)
			}
		})
	}
}

func TestWebOAuth(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	token := w.token()
	a := w.account(simulator.OfficialAccount)
	w.authorized(token, a.AppID)
	b := newBrowser(t, w)
	link := func(scope, redirect string) string {
		return "/connect/oauth2/authorize?" + url.Values{
			"appid": {a.AppID}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {scope}, "state": {"s1"}, "component_appid": {w.component.AppID},
		}.Encode()
	}
	if _, resp := b.open(link("snsapi_base", "http://evil.example/"), ""); resp.Header.Get("X-Wxsim-Refusal") == "" {
		t.Error("a redirect to another domain was allowed")
	}
	page, _ := b.open(link("snsapi_userinfo", "http://acme.example/cb"), "")
	if !strings.Contains(page, "允许") || !strings.Contains(page, "http://acme.example/cb?state=s1") {
		t.Errorf("page %s", page)
	}
	_, resp := b.open(link("snsapi_userinfo", "http://acme.example/cb")+"&wxsim_allow=1", "")
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || u.Query().Get("state") != "s1" || u.Query().Get("appid") != a.AppID {
		t.Fatalf("redirect %v, %v", u, err)
	}
	q := url.Values{"appid": {a.AppID}, "code": {u.Query().Get("code")}, "grant_type": {"authorization_code"}, "component_appid": {w.component.AppID}}
	q.Set("component_access_token", token.Get("component_access_token"))
	grant := w.call("/sns/oauth2/component/access_token", q, nil)
	if field(grant, "access_token") == "" || field(grant, "openid") == "" {
		t.Fatalf("grant %v", grant)
	}
	w.wantCode(40163, w.call("/sns/oauth2/component/access_token", q, nil))
	user := url.Values{"access_token": {field(grant, "access_token")}, "openid": {field(grant, "openid")}}
	if got := field(w.call("/sns/userinfo", user, nil), "nickname"); got != "模拟用户" {
		t.Errorf("nickname %q", got)
	}
	q.Del("code")
	q.Set("grant_type", "refresh_token")
	q.Set("refresh_token", field(grant, "refresh_token"))
	w.wantCode(0, w.call("/sns/oauth2/component/refresh_token", q, nil))
	q.Set("refresh_token", "nonsense")
	w.wantCode(40030, w.call("/sns/oauth2/component/refresh_token", q, nil))
}

// control makes one call of the control API over a real socket.
func control(t *testing.T, s *simtest.Sim, method, path, body string) (int, map[string]any, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.ControlURL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text := readAll(t, resp)
	var reply map[string]any
	_ = json.Unmarshal([]byte(text), &reply) // lists are checked as text
	return resp.StatusCode, reply, text
}

func TestControl(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, simulator.Config{RetryDelay: time.Millisecond})
	routes := &receivers{by: make(map[string]*receiver)}
	server := newServer(t, routes)
	c := simtest.Component("Acme", server)
	to := routes.add(t, c)
	registration, err := json.Marshal(map[string]any{
		"appid": c.AppID, "secret": c.Secret, "token": c.Token, "encoding_aes_key": c.EncodingAESKey,
		"event_url": c.EventURL, "message_url": c.MessageURL, "entry_domain": c.EntryDomain,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // idempotent
		if status, _, text := control(t, s, "POST", "/components", string(registration)); status != 200 || strings.Contains(text, c.Secret) {
			t.Fatalf("registration: %d %s", status, text)
		}
	}
	ok := func(method, path, body string) map[string]any {
		t.Helper()
		status, reply, text := control(t, s, method, path, body)
		if status != 200 {
			t.Errorf("%s %s: %d %s", method, path, status, text)
		}
		return reply
	}
	if reply := ok("POST", "/components/"+c.AppID+"/ticket", ""); reply["accepted"] != true {
		t.Errorf("ticket %v", reply)
	}
	account := ok("POST", "/accounts", `{"kind":"mini_program","nick_name":"小店"}`)
	appid := field(account, "appid")
	if !strings.HasPrefix(field(account, "user_name"), "gh_") || field(account, "nick_name") != "小店" {
		t.Errorf("account %v", account)
	}
	done := ok("POST", "/accounts/"+appid+"/authorize", `{"component_appid":"`+c.AppID+`","redirect_uri":"`+server+`/done"}`)
	if attempts, _ := done["attempts"].([]any); field(done, "authorization_code") == "" || !strings.HasPrefix(field(done, "redirect_url"), server+"/done?auth_code=") || len(attempts) != 1 {
		t.Errorf("authorize %v", done)
	}
	to.mu.Lock()
	to.answer = func(p received) (int, string) {
		if p.MsgType == "text" {
			return 200, to.reply(p, "pong")
		}
		return 200, "success"
	}
	to.mu.Unlock()
	reply := ok("POST", "/accounts/"+appid+"/messages", `{"from":"oUser1","type":"text","content":"ping"}`)
	attempts, _ := reply["attempts"].([]any)
	if field(reply, "reply", "Content") != "pong" || len(attempts) != 1 || attempts[0].(map[string]any)["status"] != 200.0 {
		t.Errorf("message %v", reply)
	}
	if reply := ok("POST", "/accounts/"+appid+"/messages", `{"from":"oUser1","type":"event","event":"CLICK","event_key":"k"}`); reply["reply"] != nil || reply["accepted"] != true {
		t.Errorf("event %v", reply)
	}
	if reply := ok("POST", "/accounts/"+appid+"/update-authorization", `{"permission_sets":[17]}`); field(reply, "event") != "updateauthorized" {
		t.Errorf("update %v", reply)
	}
	if reply := ok("POST", "/tokens/expire", `{"authorizer_appid":"`+appid+`"}`); reply["expired"] != 0.0 {
		t.Errorf("expire %v", reply)
	}
	if reply := ok("POST", "/clock", `{"advance":"2h"}`); reply["offset_seconds"] != 7200.0 {
		t.Errorf("clock %v", reply)
	}
	if now, err := time.Parse(time.RFC3339, field(ok("GET", "/clock", ""), "now")); err != nil || time.Until(now) < time.Hour {
		t.Errorf("now %s, %v", now, err)
	}
	faults := ok("GET", "/faults", "")
	for _, knob := range strings.Fields("busy http_5xx html_reply truncated_reply slow_reply connection_reset drop_reply_after_processing duplicate_push reorder_push late_push early_dead_token") {
		if faults[knob] != 0.0 {
			t.Errorf("knob %s is %v when off", knob, faults[knob])
		}
	}
	if faults["refresh_token_mode"] != "static" || faults["list_mode"] != "newest" {
		t.Errorf("faults %v", faults)
	}
	if reply := ok("PUT", "/faults", `{"preset":"hostile","busy":0.5}`); reply["busy"] != 0.5 || reply["refresh_token_mode"] != "rotate-strict" {
		t.Errorf("faults %v", reply)
	}
	if reply := ok("PUT", "/faults", `{"refresh_token_mode":"rotate-grace"}`); reply["busy"] != 0.5 || reply["refresh_token_mode"] != "rotate-grace" {
		t.Errorf("faults %v", reply)
	}
	ok("PUT", "/faults", `{"preset":"off"}`)
	if reply := ok("POST", "/accounts/"+appid+"/unauthorize", ""); reply["accepted"] != true {
		t.Errorf("unauthorize %v", reply)
	}
	if _, _, text := control(t, s, "GET", "/accounts/"+appid+"/sent", ""); strings.TrimSpace(text) != "[]" {
		t.Errorf("sent %s", text)
	}
	if _, _, text := control(t, s, "GET", "/accounts?limit=3", ""); strings.Count(text, `"user_name"`) != 3 {
		t.Errorf("accounts %s", text)
	}

	t.Run("mistakes are explained", func(t *testing.T) {
		for _, c := range []struct {
			method, path, body string
			status             int
			want               string
		}{
			{"GET", "/nonsense", "", 404, "GET /"},
			{"DELETE", "/clock", "", 405, "GET /"},
			{"POST", "/accounts/wxnone/authorize", "{}", 404, "POST /accounts"},
			{"POST", "/components/wxnone/ticket", "", 404, "POST /components"},
			{"POST", "/clock", `{"advance":"two hours"}`, 400, "2h"},
			{"POST", "/clock", `{"advance":"-1h"}`, 400, "forward"},
			{"POST", "/clock", `{"advnce":"1h"}`, 400, "advnce"},
			{"PUT", "/faults", `{"bussy":1}`, 400, "bussy"},
			{"PUT", "/faults", `{"busy":2}`, 400, "between 0 and 1"},
			{"PUT", "/faults", `{"preset":"evil"}`, 400, "hostile"},
			{"POST", "/tokens/expire", "", 400, "component_appid"},
			{"POST", "/accounts/" + appid + "/messages", `{"from":"o","type":"text","content":"x"}`, 409, "permission set 19"},
			{"POST", "/accounts", `{"kind":"shop"}`, 400, "official_account"},
			{"POST", "/components", `{"appid":"wx1"}`, 400, "secret is missing"},
			{"GET", "/journal?after=x", "", 400, "after"},
		} {
			status, reply, text := control(t, s, c.method, c.path, c.body)
			if status != c.status || !strings.Contains(field(reply, "error"), c.want) {
				t.Errorf("%s %s: %d %s", c.method, c.path, status, text)
			}
		}
	})

	t.Run("journal", func(t *testing.T) {
		_, _, text := control(t, s, "GET", "/journal?after=2&limit=5", "")
		lines := strings.Split(strings.TrimSpace(text), "\n")
		if len(lines) != 5 {
			t.Fatalf("%d lines", len(lines))
		}
		for i, line := range lines {
			var e simulator.Entry
			if err := json.Unmarshal([]byte(line), &e); err != nil || e.Seq != uint64(3+i) || e.Kind == "" || e.Time.IsZero() {
				t.Errorf("line %s: %v", line, err)
			}
		}
		_, _, whole := control(t, s, "GET", "/journal", "")
		simtest.WithoutSecrets(t, s.Simulator, "the journal", whole)
		for _, kind := range []string{"request", "push", "issue", "control", "fault"} {
			if kind != "fault" && kind != "request" && !strings.Contains(whole, `"kind":"`+kind+`"`) {
				t.Errorf("no entry of kind %s", kind)
			}
		}
	})

	t.Run("secrets", func(t *testing.T) {
		_, _, text := control(t, s, "GET", "/secrets", "")
		for _, secret := range []string{c.Secret, c.Token, c.EncodingAESKey, field(done, "authorization_code"), to.of("component_verify_ticket")[0].ComponentVerifyTicket} {
			if !strings.Contains(text, secret) {
				t.Error("a secret is missing in the list")
			}
		}
	})
}

// newServer serves a handler on loopback and returns its URL.
func newServer(t *testing.T, routes *receivers) string {
	t.Helper()
	server := httptest.NewServer(routes)
	t.Cleanup(server.Close)
	return server.URL
}

func TestJournalForgetsTheOldestOnly(t *testing.T) {
	t.Parallel()
	s := simtest.New(t, simulator.Config{JournalSize: 10})
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() {
			for range 5 {
				resp, err := s.RoundTripper().RoundTrip(mustRequest(t, "https://api.weixin.qq.com/x"))
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
			}
		})
	}
	group.Wait()
	all := s.Journal(0, 100)
	if len(all) != 10 || all[0].Seq != 16 || all[9].Seq != 25 {
		t.Errorf("%d entries from %d", len(all), all[0].Seq)
	}
	if some := s.Journal(20, 2); len(some) != 2 || some[0].Seq != 21 {
		t.Errorf("entries %+v", some)
	}
	if none := s.Journal(25, 5); len(none) != 0 {
		t.Errorf("entries %+v", none)
	}
}

func mustRequest(t *testing.T, address string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, bytes.NewReader(nil))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// TestHandlerFaults checks that faults of the connection reach a client over a real socket.
func TestHandlerFaults(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*simulator.Faults){
		"connection_reset":            func(f *simulator.Faults) { f.ConnectionReset = 1 },
		"drop_reply_after_processing": func(f *simulator.Faults) { f.DropReplyAfterProcessing = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := simtest.Faults(t, simulator.PresetOff)
			change(f)
			s := simtest.Start(t, simulator.Config{Faults: f})
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			resp, err := client.Post(s.URL+api+"api_component_token", "application/json", strings.NewReader(`{"component_appid":"wx1"}`))
			if err == nil {
				t.Errorf("a reply came: %d", resp.StatusCode)
				resp.Body.Close()
			}
		})
	}
}
