package gateway_test

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/gateway"
	"github.com/tuoguan/tuoguan/simulator"
)

var call = []access.Operation{access.CallGateway}

func TestScopes(t *testing.T) {
	t.Parallel()
	const other, third = "wxbbbbbbbbbbbbbbbb", "wxcccccccccccccccc"
	reached := &recorder{}
	s, _ := newStub(t, options{transport: reached}, func(http.ResponseWriter, *http.Request) {})
	s.grant(stubComponent, other)
	s.grant("wx1111111111111111", third)
	if err := s.store.SaveTags(t.Context(), tuoguan.Authorization{Component: stubComponent, Authorizer: other}, []string{"north"}); err != nil {
		t.Fatal(err)
	}
	const path = "/cgi-bin/user/info"
	_, secret, err := s.keys.Create(t.Context(), access.NewKey{Name: "short", Scope: access.Scope{Operations: call}, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	expired := secret.Reveal()
	s.clock.Advance(2 * time.Hour)
	revoked, id := s.newKey(access.Scope{Operations: call})
	if _, err := s.keys.Revoke(t.Context(), id, 0); err != nil {
		t.Fatal(err)
	}
	key := func(scope access.Scope) string { k, _ := s.newKey(scope); return k }
	for name, test := range map[string]struct {
		key, target, problem string
		errcode              int // of asking for a token and then calling; 0: works
	}{
		"all":                           {s.key, "/as/" + stubAccount + path, "", 0},
		"no key":                        {"", "/as/" + stubAccount + path, "unauthorized", 41004},
		"no such key":                   {"wxk_nonsense", "/as/" + stubAccount + path, "unauthorized", 40125},
		"expired":                       {expired, "/as/" + stubAccount + path, "expired-key", 40125},
		"revoked":                       {revoked, "/as/" + stubAccount + path, "revoked-key", 40125},
		"other operations":              {key(access.Scope{Operations: []access.Operation{access.ReadTokens, access.RefreshTokens}}), "/as/" + stubAccount + path, "missing-scope", 48001},
		"everything":                    {key(access.Scope{Operations: []access.Operation{access.Everything}}), "/as/" + stubAccount + path, "", 0},
		"path":                          {key(access.Scope{Operations: call, Paths: []string{"/cgi-bin/user/*"}}), "/as/" + stubAccount + path, "", 0},
		"other path":                    {key(access.Scope{Operations: call, Paths: []string{"/cgi-bin/menu/*"}}), "/as/" + stubAccount + path, "missing-scope", 48001},
		"account":                       {key(access.Scope{Operations: call, Authorizers: []tuoguan.AuthorizerAppID{stubAccount}}), "/as/" + stubAccount + path, "", 0},
		"other account":                 {key(access.Scope{Operations: call, Authorizers: []tuoguan.AuthorizerAppID{other}}), "/as/" + stubAccount + path, "unknown-authorizer", 40013},
		"tag":                           {key(access.Scope{Operations: call, Tags: []string{"north"}}), "/as/" + other + path, "", 0},
		"other tag":                     {key(access.Scope{Operations: call, Tags: []string{"north"}}), "/as/" + stubAccount + path, "unknown-authorizer", 40013},
		"component":                     {key(access.Scope{Operations: call, Components: []tuoguan.ComponentAppID{stubComponent}}), "/as/" + stubAccount + path, "", 0},
		"other component":               {key(access.Scope{Operations: call, Components: []tuoguan.ComponentAppID{stubComponent}}), "/as/" + third + path, "unknown-authorizer", 40013},
		"unknown account":               {s.key, "/as/wxdddddddddddddddd" + path, "unknown-authorizer", 40013},
		"network":                       {key(access.Scope{Operations: call, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}), "/as/" + stubAccount + path, "", 0},
		"other network":                 {key(access.Scope{Operations: call, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}), "/as/" + stubAccount + path, "forbidden-address", 40164},
		"component call":                {s.key, "/component/" + stubComponent + "/wxa/gettemplatelist", "", 0},
		"component call, limited key":   {key(access.Scope{Operations: call, Tags: []string{"north"}}), "/component/" + stubComponent + "/wxa/gettemplatelist", "missing-scope", 0},
		"component call, other":         {key(access.Scope{Operations: call, Components: []tuoguan.ComponentAppID{"wx1111111111111111"}}), "/component/" + stubComponent + "/wxa/gettemplatelist", "unknown-component", 0},
		"component call, other paths":   {key(access.Scope{Operations: call, Paths: []string{"/cgi-bin/*"}}), "/component/" + stubComponent + "/wxa/gettemplatelist", "missing-scope", 0},
		"login, its account":            {key(access.Scope{Operations: call, Tags: []string{"north"}}), "/component/" + stubComponent + "/sns/component/jscode2session?appid=" + other, "", 0},
		"login, somebody else":          {key(access.Scope{Operations: call, Tags: []string{"north"}}), "/component/" + stubComponent + "/sns/component/jscode2session?appid=" + stubAccount, "unknown-authorizer", 0},
		"quota, other operations":       {key(access.Scope{Operations: []access.Operation{access.ReadTokens}}), "/quota/" + stubAccount + "?path=" + path, "missing-scope", 0},
		"quota, out of reach":           {key(access.Scope{Operations: call, Tags: []string{"north"}}), "/quota/" + stubAccount + "?path=" + path, "unknown-authorizer", 0},
		"quota, other path":             {key(access.Scope{Operations: call, Paths: []string{"/cgi-bin/menu/*"}}), "/quota/" + stubAccount + "?path=" + path, "missing-scope", 0},
		"quota, no path":                {s.key, "/quota/" + stubAccount, "bad-request", 0},
		"custody is for nobody":         {key(access.Scope{Operations: []access.Operation{access.Everything}}), "/as/" + stubAccount + "/cgi-bin/clear_quota", "path-refused", 0},
		"nothing is said without a key": {"", "/as/" + stubAccount + "/cgi-bin/clear_quota", "unauthorized", 0},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(reached.seen())
			for _, header := range []http.Header{
				{"Authorization": {"Bearer " + test.key}},
				{"Authorization": {"Basic somebody's own"}, "X-Tuoguan-Key": {test.key}},
			} {
				if a := s.send("GET", test.target, nil, header); a.problem() != test.problem || test.problem == "" && a.status != 200 {
					t.Errorf("%d %s, want %q", a.status, a.body, test.problem)
				}
			}
			if rest, ok := strings.CutPrefix(test.target, "/as/"); ok && strings.HasSuffix(rest, path) {
				account, _, _ := strings.Cut(rest, "/")
				got := s.token(account, test.key)
				if opaque := got.text("access_token"); opaque != "" {
					got = s.get(path + "?access_token=" + opaque)
				}
				if got.status != 200 || got.errcode() != test.errcode {
					t.Errorf("drop-in: %d %s, want %d", got.status, got.body, test.errcode)
				}
			}
			if n := len(reached.seen()) - before; (n == 0) != (test.problem != "") {
				t.Errorf("%d requests reached WeChat", n)
			}
		})
	}
}

func TestSeveralComponents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	second := w.addComponent("second")
	w.authorize(w.account, second)
	w.directory.Forget(tuoguan.AuthorizerAppID(w.account))
	const path = "/cgi-bin/user/info?openid=o"
	a := w.get("/as/" + w.account + path)
	if a.status != 409 || a.problem() != "ambiguous-component" || len(a.field("components").([]any)) != 2 {
		t.Errorf("without a choice: %d %s", a.status, a.body)
	}
	for _, component := range []string{w.component, second} {
		if a := w.send("GET", "/as/"+w.account+path, nil, http.Header{"X-Tuoguan-Component": {component}}); a.status != 200 || a.errcode() != 0 {
			t.Errorf("with the header: %d %s", a.status, a.body)
		}
		if c := w.lastCall(); c.Component == "" {
			t.Errorf("observed %+v", c)
		}
		// An SDK cannot set a header; its key can be limited to one component.
		key, _ := w.newKey(access.Scope{Operations: call, Components: []tuoguan.ComponentAppID{tuoguan.ComponentAppID(component)}})
		if a := w.get(path + "&access_token=" + w.token(w.account, key).text("access_token")); a.text("openid") != "o" {
			t.Errorf("with a limited key: %d %s", a.status, a.body)
		}
	}
	if a := w.token(w.account, w.key); a.errcode() != 40013 {
		t.Errorf("token without a choice: %s", a.body)
	}
	// Once one of them is taken back, the other is meant.
	if _, err := w.sim.Unauthorize(context.Background(), w.account, second); err != nil {
		t.Fatal(err)
	}
	w.directory.Forget(tuoguan.AuthorizerAppID(w.account))
	if a := w.get("/as/" + w.account + path); a.status != 200 {
		t.Errorf("with one left: %d %s", a.status, a.body)
	}
	if _, err := w.sim.Unauthorize(context.Background(), w.account, w.component); err != nil {
		t.Fatal(err)
	}
	w.directory.Forget(tuoguan.AuthorizerAppID(w.account))
	if a := w.get("/as/" + w.account + path); a.problem() != "revoked" {
		t.Errorf("with none left: %d %s", a.status, a.body)
	}
	if a := w.token(w.account, w.key); a.errcode() != 61003 {
		t.Errorf("token with none left: %s", a.body)
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	s, _ := newStub(t, options{transport: &recorder{}, rate: 1}, func(http.ResponseWriter, *http.Request) {})
	var a answer
	for range 4 {
		a = s.get("/as/" + stubAccount + "/cgi-bin/user/info")
	}
	if a.status != 429 || a.problem() != "rate-limited" || a.header.Get("Retry-After") != "1" {
		t.Errorf("%d %s %v", a.status, a.body, a.header)
	}
	if a := s.token(stubAccount, s.key); a.errcode() != 45011 {
		t.Errorf("token: %s", a.body)
	}
}

func TestQuota(t *testing.T) {
	t.Parallel()
	var short []gateway.Shortage
	w := newWorld(t, options{floor: 2, short: func(s gateway.Shortage) { short = append(short, s) }})
	// A quota is a day's: begin in the morning, China time, so that no midnight comes in between.
	china := time.Now().In(time.FixedZone("UTC+8", 8*3600))
	w.clock.Advance(time.Date(china.Year(), china.Month(), china.Day()+1, 9, 0, 0, 0, china.Location()).Sub(china))
	if _, err := w.sim.PushTicket(t.Context(), w.component); err != nil {
		t.Fatal(err)
	}
	const path = "/cgi-bin/tags/create"
	if err := w.sim.SetDailyLimit(path, 4); err != nil {
		t.Fatal(err)
	}
	create := func() answer { return w.post("/as/"+w.account+path, `{"tag":{"name":"x"}}`) }
	reached := func() int { return w.sim.Stats().Calls[path] }
	for range 4 {
		if a := create(); a.errcode() != 0 || a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if a := create(); a.status != 200 || a.errcode() != 45009 {
		t.Errorf("one too many: %d %s", a.status, a.body)
	}
	if len(short) != 1 || short[0].Path != path || short[0].Remaining != 0 || short[0].Owner.Authorization().Authorizer != tuoguan.AuthorizerAppID(w.account) || short[0].Until.Sub(w.clock.Now()).Round(time.Hour) != 15*time.Hour {
		t.Errorf("told of %+v", short)
	}
	if a := create(); a.status != 429 || a.problem() != "quota-exhausted" || a.header.Get("Retry-After") == "" || reached() != 5 {
		t.Errorf("after that: %d %s, %d calls", a.status, a.body, reached())
	}
	opaque := w.token(w.account, w.key).text("access_token")
	if a := w.post(path+"?access_token="+opaque, "{}"); a.status != 200 || a.errcode() != 45009 || reached() != 5 {
		t.Errorf("drop-in: %d %s", a.status, a.body)
	}
	if a := w.get("/as/" + w.account + "/cgi-bin/user/get"); a.status != 200 {
		t.Errorf("another path: %d %s", a.status, a.body)
	}
	// Now and then one call finds out.
	w.clock.Advance(11 * time.Minute)
	if a := create(); a.errcode() != 45009 || reached() != 6 {
		t.Errorf("probe: %d %s, %d calls", a.status, a.body, reached())
	}
	if a := create(); a.problem() != "quota-exhausted" {
		t.Errorf("after the probe: %d %s", a.status, a.body)
	}
	if err := w.sim.SetDailyLimit(path, 10); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(11 * time.Minute)
	for range 2 {
		if a := create(); a.errcode() != 0 || a.status != 200 {
			t.Errorf("after somebody has raised it: %d %s", a.status, a.body)
		}
	}

	// What WeChat shows is believed, here with two calls to be left over.
	a := w.get("/quota/" + w.account + "?path=" + path)
	if a.status != 200 || a.field("daily_limit") != 10.0 || a.field("remaining") != 4.0 || a.field("blocked_until") != nil || a.text("component_appid") != w.component {
		t.Errorf("quota: %d %s", a.status, a.body)
	}
	create()
	create()
	if a := w.post("/as/"+w.account+"/cgi-bin/openapi/quota/get", `{"cgi_path":"`+path+`"}`); a.status != 200 || a.errcode() != 0 {
		t.Errorf("openapi/quota/get: %d %s", a.status, a.body)
	}
	if a := create(); a.problem() != "quota-exhausted" {
		t.Errorf("at the floor: %d %s", a.status, a.body)
	}
	if n := len(short); n != 2 { // by the probe; two of ten are more than a tenth
		t.Errorf("told of %+v", short)
	}
	if a := w.get("/quota/" + w.account + "?path=" + path); a.field("blocked_until") == nil || a.field("remaining") != 2.0 {
		t.Errorf("quota at the floor: %d %s", a.status, a.body)
	}
	w.clock.Advance(11 * time.Minute) // no probe: the floor is ours
	if a := create(); a.problem() != "quota-exhausted" {
		t.Errorf("at the floor, later: %d %s", a.status, a.body)
	}
	w.clock.Advance(24 * time.Hour)
	if _, err := w.sim.PushTicket(t.Context(), w.component); err != nil {
		t.Fatal(err)
	}
	if a := create(); a.status != 200 || a.errcode() != 0 {
		t.Errorf("the next day: %d %s", a.status, a.body)
	}
}

// A key that is taken back ends the tokens made with it.
func TestDropIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	key, id := w.newKey(access.Scope{Operations: call})
	a := w.token(w.account, key)
	opaque := a.text("access_token")
	if a.status != 200 || !strings.HasPrefix(opaque, "tgt_") || len(opaque) > 512 || a.field("expires_in") != 7200.0 || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("token: %d %s %v", a.status, a.body, a.header)
	}
	stable := w.send("POST", "/cgi-bin/stable_token", strings.NewReader(`{"grant_type":"client_credential","appid":"`+w.account+`","secret":"`+key+`","force_refresh":true}`), http.Header{"Authorization": nil})
	if !strings.HasPrefix(stable.text("access_token"), "tgt_") {
		t.Errorf("stable token: %d %s", stable.status, stable.body)
	}
	without := http.Header{"Authorization": nil}
	const query = "?lang=zh_CN&openid=oUser&access_token="
	for name, token := range map[string]string{"token": opaque, "stable token": stable.text("access_token")} {
		if a := w.send("GET", "/cgi-bin/user/info"+query+token, nil, without); a.status != 200 || a.text("openid") != "oUser" {
			t.Errorf("with the %s: %d %s", name, a.status, a.body)
		}
	}
	w.userWrites("oUser")
	if a := w.send("POST", "/cgi-bin/message/custom/send?access_token="+opaque, strings.NewReader(`{"touser":"oUser","msgtype":"text","text":{"content":"hello"}}`), without); a.errcode() != 0 || a.status != 200 {
		t.Errorf("message: %d %s", a.status, a.body)
	}

	for name, test := range map[string]struct {
		target string
		code   int
	}{
		"no token":             {"/cgi-bin/user/info?openid=o", 41001},
		"somebody's token":     {"/cgi-bin/user/info" + query + "77_abcdefg", 40001},
		"a changed token":      {"/cgi-bin/user/info" + query + opaque[:len(opaque)-5] + "AAAAA", 40001},
		"half a token":         {"/cgi-bin/user/info" + query + opaque[:60], 40001},
		"custody":              {"/cgi-bin/clear_quota" + query + opaque, 48001},
		"rid":                  {"/cgi-bin/openapi/rid/get" + query + opaque, 48001},
		"no grant type":        {"/cgi-bin/token?appid=" + w.account + "&secret=" + key, 40002},
		"no appid":             {"/cgi-bin/token?grant_type=client_credential&secret=" + key, 41002},
		"no secret":            {"/cgi-bin/token?grant_type=client_credential&appid=" + w.account, 41004},
		"wrong secret":         {"/cgi-bin/token?grant_type=client_credential&secret=abc&appid=" + w.account, 40125},
		"wrong appid":          {"/cgi-bin/token?grant_type=client_credential&appid=wxffffffffffffffff&secret=" + key, 40013},
		"stable token by GET":  {"/cgi-bin/stable_token", 43002},
		"login without a code": {"/sns/component/jscode2session" + query + opaque + "&js_code=x", 40029},
	} {
		if a := w.send("GET", test.target, nil, without); a.status != 200 || a.errcode() != test.code {
			t.Errorf("%s: %d %s, want %d", name, a.status, a.body, test.code)
		}
	}

	w.clock.Advance(7201 * time.Second)
	if a := w.send("GET", "/cgi-bin/user/info"+query+opaque, nil, without); a.errcode() != 42001 {
		t.Errorf("after two hours: %d %s", a.status, a.body)
	}
	opaque = w.token(w.account, key).text("access_token")
	if _, err := w.keys.Revoke(t.Context(), id, 0); err != nil {
		t.Fatal(err)
	}
	if a := w.send("GET", "/cgi-bin/user/info"+query+opaque, nil, without); a.errcode() != 40001 {
		t.Errorf("after the key was revoked: %d %s", a.status, a.body)
	}
	if log := w.logged(); strings.Contains(log, opaque) || strings.Contains(log, key) {
		t.Errorf("a secret is in the log: %s", log)
	}
}

func TestTokenLivesNoLongerThanItsKey(t *testing.T) {
	t.Parallel()
	s, _ := newStub(t, options{transport: &recorder{}}, func(http.ResponseWriter, *http.Request) {})
	_, secret, err := s.keys.Create(t.Context(), access.NewKey{Name: "short", Scope: access.Scope{Operations: call}, ExpiresAt: time.Now().Add(10 * time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := s.token(stubAccount, secret.Reveal()).field("expires_in").(float64); n < 590 || n > 600 {
		t.Errorf("expires_in %v", n)
	}
}

func TestBadDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	// A platform on a bad day: every answer the caller gets is WeChat's, or a problem
	// that says what happened; nothing is sent twice.
	w.userWrites("oUser")
	w.faults(func(f *simulator.Faults) {
		f.Busy, f.HTTP5xx, f.HTMLReply, f.TruncatedReply, f.ConnectionReset, f.DropReplyAfterProcessing, f.OddReply, f.ErrcodeString = .1, .1, .1, .1, .1, .1, .1, .1
	})
	accepted := 0
	for range 100 {
		a := w.post("/as/"+w.account+"/cgi-bin/tags/create", `{"tag":{"name":"x"}}`)
		switch {
		case a.status == 200:
			accepted++
		case a.problem() == "wechat-unanswered", a.problem() == "wechat-nonsense":
		default:
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if n := w.sim.Stats().Calls["/cgi-bin/tags/create"]; n != 100 {
		t.Errorf("%d calls reached WeChat for 100 requests", n)
	}
	if accepted == 0 || accepted == 100 {
		t.Errorf("%d of 100 answers passed", accepted)
	}
}
