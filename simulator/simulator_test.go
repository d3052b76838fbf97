package simulator_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/simulator/simtest"
	"github.com/tuoguan/tuoguan/wxcrypt"
)

// inner is what the tests read of a decrypted push.
type inner struct {
	InfoType, AppID, MsgType, Event, Content, MsgID    string
	ToUserName, FromUserName                           string
	ComponentVerifyTicket, AuthorizerAppid             string
	AuthorizationCode, PreAuthCode                     string
	CreateTime, AuthorizationCodeExpiredTime, Latitude string
}

// received is one push as the platform sent it.
type received struct {
	inner
	path  string
	query url.Values
	outer string // the element beside Encrypt
}

// receiver is a small third-party platform: it opens pushes and answers them.
type receiver struct {
	t       *testing.T
	crypter *wxcrypt.Crypter
	answer  func(received) (status int, body string)

	mu     sync.Mutex
	pushes []received
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Errorf("push body: %v", err)
	}
	envelope, err := wxcrypt.ParseEnvelope(body)
	if err != nil {
		r.t.Errorf("push envelope %q: %v", body, err)
		return
	}
	q := req.URL.Query()
	message, err := r.crypter.Open(wxcrypt.Query{
		Timestamp: q.Get("timestamp"), Nonce: q.Get("nonce"), MsgSignature: q.Get("msg_signature"),
	}, envelope.Encrypt)
	if err != nil {
		r.t.Errorf("push: %v", err)
		return
	}
	p := received{path: req.URL.Path, query: q, outer: "ToUserName"}
	if envelope.AppID != nil {
		p.outer = "AppId"
	}
	var x struct {
		InfoType, MsgType, Event, Content, ToUserName, FromUserName string
		AppID                                                       string `xml:"AppId"`
		MsgID                                                       string `xml:"MsgId"`
		ComponentVerifyTicket, AuthorizerAppid                      string
		AuthorizationCode, PreAuthCode                              string
		CreateTime, AuthorizationCodeExpiredTime, Latitude          string
	}
	if err := xml.Unmarshal(message.Body, &x); err != nil {
		r.t.Errorf("push content %q: %v", message.Body, err)
	}
	p.inner = inner{
		InfoType: x.InfoType, AppID: x.AppID, MsgType: x.MsgType, Event: x.Event, Content: x.Content, MsgID: x.MsgID,
		ToUserName: x.ToUserName, FromUserName: x.FromUserName, ComponentVerifyTicket: x.ComponentVerifyTicket,
		AuthorizerAppid: x.AuthorizerAppid, AuthorizationCode: x.AuthorizationCode, PreAuthCode: x.PreAuthCode,
		CreateTime: x.CreateTime, AuthorizationCodeExpiredTime: x.AuthorizationCodeExpiredTime, Latitude: x.Latitude,
	}
	r.mu.Lock()
	r.pushes = append(r.pushes, p)
	r.mu.Unlock()
	status, text := http.StatusOK, "success"
	if r.answer != nil {
		status, text = r.answer(p)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// of returns the pushes of an InfoType, MsgType or Event so far.
func (r *receiver) of(kind string) []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []received
	for _, p := range r.pushes {
		if kind == "" || p.InfoType == kind || p.Event == kind || p.MsgType == kind {
			list = append(list, p)
		}
	}
	return list
}

// reply seals a passive text reply to a message.
func (r *receiver) reply(p received, text string) string {
	plain := fmt.Sprintf("<xml><ToUserName><![CDATA[%s]]></ToUserName><FromUserName><![CDATA[%s]]></FromUserName><CreateTime>%s</CreateTime><MsgType>text</MsgType><Content><![CDATA[%s]]></Content></xml>",
		p.FromUserName, p.ToUserName, p.CreateTime, text)
	sealed, err := r.crypter.SealXML(nil, []byte(plain), p.CreateTime, "nonce1", wxcrypt.Current)
	if err != nil {
		r.t.Errorf("seal: %v", err)
	}
	return string(sealed)
}

// world is a simulator with one component whose server is a receiver.
type world struct {
	*simulator.Simulator
	t         *testing.T
	component simulator.Component
	receiver  *receiver
	http      *http.Client
}

// receivers routes pushes by host, so that several components can live in one test.
type receivers struct {
	mu sync.Mutex
	by map[string]*receiver
}

func (r *receivers) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	to := r.by[req.Host]
	r.mu.Unlock()
	if to == nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	to.ServeHTTP(w, req)
}

func (r *receivers) add(t *testing.T, c simulator.Component) *receiver {
	crypter, err := wxcrypt.New(wxcrypt.Config{AppID: c.AppID, Token: c.Token, EncodingAESKey: c.EncodingAESKey})
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	to := &receiver{t: t, crypter: crypter}
	r.by[c.EntryDomain] = to
	return to
}

func newWorld(t *testing.T, change func(*simulator.Config)) (*world, *receivers) {
	t.Helper()
	routes := &receivers{by: make(map[string]*receiver)}
	config := simulator.Config{Seed: 1, PushTransport: simtest.HandlerTransport{Handler: routes}, RetryDelay: time.Millisecond}
	if change != nil {
		change(&config)
	}
	s := simtest.New(t, config)
	c := simtest.Register(t, s, simtest.Component("Acme", "http://acme.example"))
	w := &world{Simulator: s, t: t, component: c, receiver: routes.add(t, c), http: &http.Client{Transport: s.RoundTripper()}}
	w.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return w, routes
}

// call makes one API call and returns the reply as a map; transport errors fail the test.
func (w *world) call(path string, query url.Values, body any) map[string]any {
	w.t.Helper()
	reply, err := w.tryCall(path, query, body)
	if err != nil {
		w.t.Fatalf("%s: %v", path, err)
	}
	return reply
}

func (w *world) tryCall(path string, query url.Values, body any) (map[string]any, error) {
	method, reader := http.MethodGet, io.Reader(nil)
	switch b := body.(type) {
	case nil:
	case string:
		method, reader = http.MethodPost, strings.NewReader(b)
	default:
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		method, reader = http.MethodPost, bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, "https://api.weixin.qq.com"+path+"?"+query.Encode(), reader)
	if err != nil {
		return nil, err
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var reply map[string]any
	if err := json.Unmarshal(raw, &reply); err != nil {
		return nil, fmt.Errorf("status %d, body %q: %w", resp.StatusCode, raw, err)
	}
	return reply, nil
}

func code(reply map[string]any) int {
	n, _ := reply["errcode"].(float64)
	return int(n)
}

func (w *world) wantCode(want int, reply map[string]any) {
	w.t.Helper()
	if code(reply) != want {
		w.t.Errorf("reply %v: errcode %d, want %d", reply, code(reply), want)
	}
	if message, _ := reply["errmsg"].(string); want != 0 && !strings.Contains(message, " rid: ") {
		w.t.Errorf("errmsg %q carries no rid", message)
	}
}

func field(m map[string]any, path ...string) string {
	for _, name := range path[:len(path)-1] {
		m, _ = m[name].(map[string]any)
	}
	text, _ := m[path[len(path)-1]].(string)
	return text
}

const api = "/cgi-bin/component/"

// ticket pushes a ticket and returns it.
func (w *world) ticket() string {
	w.t.Helper()
	result, err := w.PushTicket(w.t.Context(), w.component.AppID)
	if err != nil || !result.Accepted {
		w.t.Fatalf("ticket: %+v, %v", result, err)
	}
	all := w.receiver.of("component_verify_ticket")
	return all[len(all)-1].ComponentVerifyTicket
}

// token returns a component access token as a query.
func (w *world) token() url.Values {
	w.t.Helper()
	reply := w.call(api+"api_component_token", nil, map[string]string{
		"component_appid": w.component.AppID, "component_appsecret": w.component.Secret, "component_verify_ticket": w.ticket(),
	})
	if field(reply, "component_access_token") == "" {
		w.t.Fatalf("no component token: %v", reply)
	}
	return url.Values{"component_access_token": {field(reply, "component_access_token")}}
}

// account makes an account.
func (w *world) account(kind string) simulator.Account {
	w.t.Helper()
	a, err := w.AddAccount(simulator.Account{Kind: kind})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// authorized authorizes an account and exchanges the code.
func (w *world) authorized(token url.Values, appid string, sets ...int) (access, refresh string) {
	w.t.Helper()
	result, err := w.Authorize(w.t.Context(), appid, simulator.AuthorizeRequest{ComponentAppID: w.component.AppID, PermissionSets: sets})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.exchange(token, result.AuthorizationCode)
}

func (w *world) exchange(token url.Values, authCode string) (access, refresh string) {
	w.t.Helper()
	reply := w.call(api+"api_query_auth", token, map[string]string{"component_appid": w.component.AppID, "authorization_code": authCode})
	access, refresh = field(reply, "authorization_info", "authorizer_access_token"), field(reply, "authorization_info", "authorizer_refresh_token")
	if access == "" || refresh == "" {
		w.t.Fatalf("exchange: %v", reply)
	}
	return access, refresh
}

// refresh calls api_authorizer_token.
func (w *world) refresh(token url.Values, appid, refresh string) map[string]any {
	w.t.Helper()
	return w.call(api+"api_authorizer_token", token, map[string]string{
		"component_appid": w.component.AppID, "authorizer_appid": appid, "authorizer_refresh_token": refresh,
	})
}

// behalf makes a harmless call on behalf of an account.
func (w *world) behalf(access string) map[string]any {
	w.t.Helper()
	return w.call("/cgi-bin/user/get", url.Values{"access_token": {access}}, nil)
}

func TestComponentToken(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	ticket := w.ticket()
	account := w.account(simulator.OfficialAccount)
	body := func(appid, secret, ticket string) map[string]string {
		return map[string]string{"component_appid": appid, "component_appsecret": secret, "component_verify_ticket": ticket}
	}
	id, secret := w.component.AppID, w.component.Secret
	for _, c := range []struct {
		name string
		body any
		want int
	}{
		{"unknown component", body("wx0", secret, ticket), 40013},
		{"an account's appid", body(account.AppID, secret, ticket), 61011},
		{"no secret", body(id, "", ticket), 41004},
		{"wrong secret", body(id, "wrong", ticket), 40125},
		{"no ticket", body(id, secret, ""), 61006},
		{"cut ticket", body(id, secret, ticket[:20]), 61006},
		{"empty body", "", 44002},
		{"not JSON", "{", 47001},
		{"right", body(id, secret, ticket), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := *w
			w.t = t
			w.wantCode(c.want, w.call(api+"api_component_token", nil, c.body))
		})
	}
	t.Run("GET", func(t *testing.T) { w.wantCode(43002, w.call(api+"api_component_token", nil, nil)) })
	t.Run("ticket older than 12 h", func(t *testing.T) {
		if err := w.Advance(12*time.Hour + time.Second); err != nil {
			t.Fatal(err)
		}
		w.wantCode(61005, w.call(api+"api_component_token", nil, body(id, secret, ticket)))
	})
	t.Run("another component's ticket", func(t *testing.T) {
		other := simtest.Register(t, w.Simulator, simtest.Component("Other", "http://other.example"))
		w.wantCode(61006, w.call(api+"api_component_token", nil, body(other.AppID, other.Secret, w.ticket())))
	})
}

func TestComponentCallRefusals(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	token := w.token()
	a := w.account(simulator.OfficialAccount)
	access, _ := w.authorized(token, a.AppID)
	path, body := api+"api_create_preauthcode", map[string]string{"component_appid": w.component.AppID}
	is := func(name, value string) url.Values { return url.Values{name: {value}} }
	plain := token.Get("component_access_token")
	for _, c := range []struct {
		name  string
		path  string
		query url.Values
		body  any
		want  int
	}{
		{"no token", path, nil, body, 41001},
		{"malformed token", path, is("component_access_token", "short"), body, 40014},
		{"unknown token", path, is("component_access_token", "77_0123456789abcdefghij"), body, 40001},
		{"authorizer token", path, is("component_access_token", access), body, 61014},
		{"component token on behalf", "/cgi-bin/user/get", is("access_token", plain), nil, 61015},
		{"GET", path, token, nil, 43002},
		{"POST with nothing", path, token, "", 44002},
		{"not JSON", path, token, "x", 47001},
		{"another appid", path, token, map[string]string{"component_appid": "wx1"}, 40013},
		{"under the first name", path, is("component_access_token", plain), body, 0},
		{"under the second name", path, is("access_token", plain), body, 0},
		{"the first name wins", path, url.Values{"component_access_token": {plain}, "access_token": {"77_0123456789abcdefghij"}}, body, 0},
		{"list too long", api + "api_get_authorizer_list", token, map[string]any{"component_appid": w.component.AppID, "offset": 0, "count": 501}, 40170},
		{"ordinary token for a component", "/cgi-bin/token", url.Values{"grant_type": {"client_credential"}, "appid": {w.component.AppID}, "secret": {"x"}}, nil, 61024},
		{"stable token for a component", "/cgi-bin/stable_token", nil, map[string]string{"grant_type": "client_credential", "appid": w.component.AppID, "secret": "x"}, 61024},
		{"sns without a token", "/sns/component/jscode2session", nil, nil, 41021},
		{"sns without a component", "/sns/component/jscode2session", token, nil, 41018},
		{"catalogue call of a set not held", "/wxa/msg_sec_check", is("access_token", access), map[string]string{"content": "x"}, 61007},
		{"catalogue call of a set held", "/cgi-bin/tags/create", is("access_token", access), map[string]any{"tag": map[string]string{"name": "x"}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := *w
			w.t = t
			w.wantCode(c.want, w.call(c.path, c.query, c.body))
		})
	}
	t.Run("unknown path", func(t *testing.T) {
		resp, err := w.http.Get("https://api.weixin.qq.com/cgi-bin/nonsense")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
	t.Run("address outside the whitelist", func(t *testing.T) {
		c := w.component
		c.IPWhitelist = []string{"203.0.113.0/24"}
		simtest.Register(t, w.Simulator, c)
		reply := w.call(path, token, body)
		w.wantCode(61004, reply)
		if !strings.Contains(field(reply, "errmsg"), "requestIP: 127.0.0.1") {
			t.Errorf("errmsg %q does not name the address", reply["errmsg"])
		}
	})
	t.Run("expired", func(t *testing.T) {
		w.component.IPWhitelist = []string{"127.0.0.1"}
		simtest.Register(t, w.Simulator, w.component)
		if err := w.Advance(2 * time.Hour); err != nil {
			t.Fatal(err)
		}
		w.wantCode(42001, w.call(path, token, body))
	})
}

func TestComponentTokenOverlap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		overlap int
		wait    time.Duration
		want    int
	}{
		{"dies at once", 0, 0, 40001},
		{"lives five minutes", 300, 299 * time.Second, 0},
		{"no longer", 300, 300 * time.Second, 40001},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, _ := newWorld(t, func(config *simulator.Config) {
				config.Faults = simtest.Faults(t, simulator.PresetOff)
				config.Faults.ComponentTokenOverlap = c.overlap
			})
			first := w.token()
			w.token()
			if err := w.Advance(c.wait); err != nil {
				t.Fatal(err)
			}
			w.wantCode(c.want, w.call(api+"api_create_preauthcode", first, map[string]string{"component_appid": w.component.AppID}))
		})
	}
}

func TestRefreshTokenModes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode       simulator.RefreshTokenMode
		same       bool
		oldAtOnce  int
		oldAt5Mins int
	}{
		{simulator.Static, true, 0, 0},
		{simulator.RotateGrace, false, 0, 61023},
		{simulator.RotateStrict, false, 61023, 61023},
	} {
		t.Run(string(c.mode), func(t *testing.T) {
			t.Parallel()
			w, _ := newWorld(t, func(config *simulator.Config) {
				config.Faults = simtest.Faults(t, simulator.PresetOff)
				config.Faults.RefreshTokenMode = c.mode
			})
			token := w.token()
			try := func(wait time.Duration) int {
				a := w.account(simulator.OfficialAccount)
				_, old := w.authorized(token, a.AppID)
				reply := w.refresh(token, a.AppID, old)
				w.wantCode(0, reply)
				if got := field(reply, "authorizer_refresh_token"); (got == old) != c.same || got == "" {
					t.Errorf("refresh token stayed the same: %t", got == old)
				}
				w.wantCode(0, w.behalf(field(reply, "authorizer_access_token")))
				if err := w.Advance(wait); err != nil {
					t.Fatal(err)
				}
				return code(w.refresh(token, a.AppID, old))
			}
			if got := try(0); got != c.oldAtOnce {
				t.Errorf("the old refresh token answers %d at once, want %d", got, c.oldAtOnce)
			}
			if got := try(5 * time.Minute); got != c.oldAt5Mins {
				t.Errorf("the old refresh token answers %d after 5 min, want %d", got, c.oldAt5Mins)
			}
		})
	}
}

func TestRecoveryModes(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, func(config *simulator.Config) {
		config.Faults = simtest.Faults(t, simulator.PresetOff)
		config.Faults.RefreshTokenMode = simulator.RotateStrict
	})
	token := w.token()
	a := w.account(simulator.OfficialAccount)
	never := w.account(simulator.MiniProgram)
	if _, err := w.Authorize(t.Context(), never.AppID, simulator.AuthorizeRequest{ComponentAppID: w.component.AppID}); err != nil {
		t.Fatal(err)
	}
	_, first := w.authorized(token, a.AppID)
	second := field(w.refresh(token, a.AppID, first), "authorizer_refresh_token")
	for _, c := range []struct {
		mode    simulator.ListMode
		want    string
		errcode int
	}{
		{simulator.ListNewest, second, 0}, {simulator.ListStale, first, 0}, {simulator.ListEmpty, "", 0}, {simulator.ListError, "", -1},
	} {
		t.Run(string(c.mode), func(t *testing.T) {
			f := w.Faults()
			f.ListMode, f.InfoMode = c.mode, c.mode
			if err := w.SetFaults(f); err != nil {
				t.Fatal(err)
			}
			list := w.call(api+"api_get_authorizer_list", token, map[string]any{"component_appid": w.component.AppID, "offset": 0, "count": 500})
			info := w.call(api+"api_get_authorizer_info", token, map[string]any{"component_appid": w.component.AppID, "authorizer_appid": a.AppID})
			w.wantCode(c.errcode, list)
			w.wantCode(c.errcode, info)
			if c.errcode != 0 {
				return
			}
			found := map[string]string{}
			for _, item := range list["list"].([]any) {
				m := item.(map[string]any)
				found[field(m, "authorizer_appid")] = field(m, "refresh_token")
			}
			if len(found) != 2 || found[a.AppID] != c.want || found[never.AppID] != "" {
				t.Errorf("the list has %d entries; token as wanted: %t; never exchanged empty: %t", len(found), found[a.AppID] == c.want, found[never.AppID] == "")
			}
			if got := field(info, "authorization_info", "authorizer_refresh_token"); got != c.want {
				t.Error("the info has another refresh token than wanted")
			}
		})
	}
}

func TestAuthorizationCode(t *testing.T) {
	t.Parallel()
	w, routes := newWorld(t, nil)
	token := w.token()
	a := w.account(simulator.OfficialAccount)
	result, err := w.Authorize(t.Context(), a.AppID, simulator.AuthorizeRequest{
		ComponentAppID: w.component.AppID, RedirectURI: "http://acme.example/done?nonce=1", PermissionSets: []int{1, 15},
	})
	if err != nil {
		t.Fatal(err)
	}
	pushed := w.receiver.of("authorized")
	if len(pushed) != 1 || !result.Accepted || result.Event != "authorized" {
		t.Fatalf("pushed %d times, result %+v", len(pushed), result)
	}
	p := pushed[0]
	if p.AppID != w.component.AppID || p.AuthorizerAppid != a.AppID || p.AuthorizationCode != result.AuthorizationCode || p.PreAuthCode == "" || p.outer != "AppId" {
		t.Errorf("push %+v", p)
	}
	u, err := url.Parse(result.RedirectURL)
	if err != nil || u.Query().Get("auth_code") != result.AuthorizationCode || u.Query().Get("nonce") != "1" || u.Query().Get("expires_in") != "3600" {
		t.Errorf("redirect %v, %v", u, err)
	}
	query := func(c string) map[string]any {
		return w.call(api+"api_query_auth", token, map[string]string{"component_appid": w.component.AppID, "authorization_code": c})
	}
	reply := query(result.AuthorizationCode)
	info, _ := reply["authorization_info"].(map[string]any)
	if sets := fmt.Sprint(info["func_info"]); sets != "[map[funcscope_category:map[id:1]] map[funcscope_category:map[id:15]]]" {
		t.Errorf("func_info %s", sets)
	}
	w.wantCode(61009, query(result.AuthorizationCode)) // one use
	w.wantCode(61009, query("queryauthcode@@@forged"))
	w.wantCode(61009, query(p.PreAuthCode))

	late, err := w.Authorize(t.Context(), a.AppID, simulator.AuthorizeRequest{ComponentAppID: w.component.AppID})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Advance(time.Hour + time.Second); err != nil {
		t.Fatal(err)
	}
	w.wantCode(61010, query(late.AuthorizationCode))

	other := simtest.Register(t, w.Simulator, simtest.Component("Other", "http://other.example"))
	routes.add(t, other)
	foreign, err := w.Authorize(t.Context(), a.AppID, simulator.AuthorizeRequest{ComponentAppID: other.AppID})
	if err != nil {
		t.Fatal(err)
	}
	w.wantCode(61009, query(foreign.AuthorizationCode))
}

func TestReauthorizeAndRevoke(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	token := w.token()
	a := w.account(simulator.OfficialAccount)
	access, refresh := w.authorized(token, a.AppID, 1, 2, 3)
	w.wantCode(0, w.behalf(access))

	same, err := w.UpdateAuthorization(t.Context(), a.AppID, simulator.AuthorizeRequest{})
	if err != nil || same.Event != "" || len(same.Attempts) != 0 {
		t.Fatalf("an update without change pushed: %+v, %v", same, err)
	}
	w.wantCode(40001, w.behalf(access)) // dead at once
	w.wantCode(61023, w.refresh(token, a.AppID, refresh))
	_, refresh = w.exchange(token, same.AuthorizationCode)

	changed, err := w.UpdateAuthorization(t.Context(), a.AppID, simulator.AuthorizeRequest{PermissionSets: []int{1, 2}})
	if err != nil || changed.Event != "updateauthorized" || len(w.receiver.of("updateauthorized")) != 1 {
		t.Fatalf("update: %+v, %v", changed, err)
	}
	w.wantCode(61023, w.refresh(token, a.AppID, refresh))
	_, refresh = w.exchange(token, changed.AuthorizationCode)
	access = field(w.refresh(token, a.AppID, refresh), "authorizer_access_token")

	unused, err := w.UpdateAuthorization(t.Context(), a.AppID, simulator.AuthorizeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	_, refresh = w.exchange(token, unused.AuthorizationCode)
	if unused, err = w.UpdateAuthorization(t.Context(), a.AppID, simulator.AuthorizeRequest{}); err != nil {
		t.Fatal(err)
	}
	if gone, err := w.Unauthorize(t.Context(), a.AppID, ""); err != nil || !gone.Accepted || len(w.receiver.of("unauthorized")) != 1 {
		t.Fatalf("unauthorize: %+v, %v", gone, err)
	}
	w.wantCode(40001, w.behalf(access))
	w.wantCode(61003, w.refresh(token, a.AppID, refresh))
	w.wantCode(61003, w.call(api+"api_get_authorizer_info", token, map[string]any{"component_appid": w.component.AppID, "authorizer_appid": a.AppID}))
	list := w.call(api+"api_get_authorizer_list", token, map[string]any{"component_appid": w.component.AppID, "offset": 0, "count": 10})
	if list["total_count"] != 0.0 {
		t.Errorf("list %v", list)
	}

	again, err := w.Authorize(t.Context(), a.AppID, simulator.AuthorizeRequest{ComponentAppID: w.component.AppID})
	if err != nil || again.Event != "authorized" {
		t.Fatalf("authorize again: %+v, %v", again, err)
	}
	w.wantCode(61023, w.refresh(token, a.AppID, refresh))
	w.wantCode(61009, w.call(api+"api_query_auth", token, map[string]any{"component_appid": w.component.AppID, "authorization_code": unused.AuthorizationCode}))
	access, _ = w.exchange(token, again.AuthorizationCode)
	w.wantCode(0, w.behalf(access))
}

func TestExclusiveSets(t *testing.T) {
	t.Parallel()
	w, routes := newWorld(t, nil)
	other := simtest.Register(t, w.Simulator, simtest.Component("Other", "http://other.example"))
	routes.add(t, other)
	a := w.account(simulator.MiniProgram)
	authorize := func(component string) []int {
		r, err := w.Authorize(t.Context(), a.AppID, simulator.AuthorizeRequest{ComponentAppID: component, PermissionSets: []int{17, 18, 1}})
		if err != nil {
			t.Fatal(err)
		}
		return r.PermissionSets
	}
	if got := fmt.Sprint(authorize(w.component.AppID)); got != "[17 18]" { // 1 is not for mini programs
		t.Errorf("first component got %s", got)
	}
	if got := fmt.Sprint(authorize(other.AppID)); got != "[17]" {
		t.Errorf("second component got %s", got)
	}
	if _, err := w.Unauthorize(t.Context(), a.AppID, w.component.AppID); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(authorize(other.AppID)); got != "[17 18]" {
		t.Errorf("second component got %s after the first was revoked", got)
	}
}

func TestAccessTokenLife(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	token := w.token()
	a := w.account(simulator.OfficialAccount)
	access, refresh := w.authorized(token, a.AppID)
	if n, err := w.ExpireTokens("", a.AppID); err != nil || n != 1 {
		t.Fatalf("expired %d, %v", n, err)
	}
	w.wantCode(42001, w.behalf(access))
	reply := w.refresh(token, a.AppID, refresh)
	next := field(reply, "authorizer_access_token")
	w.wantCode(0, w.behalf(next))
	w.refresh(token, a.AppID, refresh)
	w.wantCode(0, w.behalf(next)) // overlap
	if status := w.Token(next); status.Current || status.Errcode != 0 || status.AuthorizerAppID != a.AppID {
		t.Errorf("status %+v", status)
	}
	if err := w.Advance(5 * time.Minute); err != nil {
		t.Fatal(err)
	}
	w.wantCode(40001, w.behalf(next))
	if n, err := w.ExpireTokens(w.component.AppID, ""); err != nil || n != 1 {
		t.Fatalf("expired %d, %v", n, err)
	}
	w.wantCode(42001, w.refresh(token, a.AppID, refresh))
}

func TestQuota(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	token := w.token()
	a, b := w.account(simulator.OfficialAccount), w.account(simulator.OfficialAccount)
	_, refreshA := w.authorized(token, a.AppID)
	_, refreshB := w.authorized(token, b.AppID)
	if err := w.SetDailyLimit(api+"api_authorizer_token", 1); err != nil {
		t.Fatal(err)
	}
	w.wantCode(0, w.refresh(token, a.AppID, refreshA))
	w.wantCode(45009, w.refresh(token, a.AppID, refreshA))
	w.wantCode(0, w.refresh(token, b.AppID, refreshB)) // each account has its own

	clearBy := func(appid string) map[string]any {
		return w.call("/cgi-bin/component/clear_quota/v2", nil, map[string]string{"component_appid": w.component.AppID, "appsecret": w.component.Secret, "appid": appid})
	}
	var accessA string
	for i := range 10 {
		w.wantCode(0, clearBy(a.AppID))
		if i == 0 {
			accessA = field(w.refresh(token, a.AppID, refreshA), "authorizer_access_token")
		}
	}
	w.wantCode(48006, clearBy(a.AppID))
	own := url.Values{"access_token": {accessA}}
	w.wantCode(48006, w.call("/cgi-bin/clear_quota", own, map[string]string{"appid": a.AppID})) // shared
	w.wantCode(40013, w.call("/cgi-bin/clear_quota", own, map[string]string{"appid": b.AppID}))

	w.behalf(accessA)
	reply := w.call("/cgi-bin/openapi/quota/get", own, map[string]string{"cgi_path": "/cgi-bin/user/get"})
	if got := fmt.Sprint(reply["quota"]); got != "map[daily_limit:1e+06 remain:999999 used:1]" {
		t.Errorf("quota %s", got)
	}
	w.wantCode(76021, w.call("/cgi-bin/openapi/quota/get", own, map[string]string{"cgi_path": "/nonsense"}))
	w.wantCode(76022, w.call("/cgi-bin/openapi/quota/get", own, map[string]string{"cgi_path": "/sns/userinfo"}))

	w.refresh(token, a.AppID, refreshA)
	w.wantCode(45009, w.refresh(token, a.AppID, refreshA))
	china := time.FixedZone("", 8*3600)
	now := w.Clock().Now().In(china)
	if err := w.Advance(time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, china).Sub(now)); err != nil {
		t.Fatal(err)
	}
	w.wantCode(0, w.refresh(w.token(), a.AppID, refreshA)) // a new day in China
}

func TestRID(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	token := w.token()
	a, b := w.account(simulator.OfficialAccount), w.account(simulator.OfficialAccount)
	accessA, _ := w.authorized(token, a.AppID, 2)
	accessB, _ := w.authorized(token, b.AppID, 2)
	failed := w.call("/cgi-bin/menu/get", url.Values{"access_token": {accessA}}, nil)
	w.wantCode(61007, failed)
	_, rid, _ := strings.Cut(field(failed, "errmsg"), "rid: ")
	get := func(access, rid string) map[string]any {
		return w.call("/cgi-bin/openapi/rid/get", url.Values{"access_token": {access}}, map[string]string{"rid": rid})
	}
	reply := get(accessA, rid)
	w.wantCode(0, reply)
	if got := field(reply, "request", "request_url"); got != "/cgi-bin/menu/get" {
		t.Errorf("request_url %q", got)
	}
	w.wantCode(76003, get(accessB, rid))
	w.wantCode(76002, get(accessA, ""))
	w.wantCode(76001, get(accessA, "00000000-00000000-00000000"))
}

func TestOptions(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	token := w.token()
	a := w.account(simulator.OfficialAccount)
	access, _ := w.authorized(token, a.AppID, 1, 2)
	own := url.Values{"access_token": {access}}
	v1 := func(action, name, value string) map[string]any {
		return w.call(api+"api_"+action+"_authorizer_option", token, map[string]string{
			"component_appid": w.component.AppID, "authorizer_appid": a.AppID, "option_name": name, "option_value": value,
		})
	}
	w.wantCode(0, v1("set", "location_report", "2"))
	if got := field(v1("get", "location_report", ""), "option_value"); got != "2" {
		t.Errorf("option %q", got)
	}
	if got := field(w.call(api+"get_authorizer_option", own, map[string]string{"option_name": "location_report"}), "option_value"); got != "2" {
		t.Errorf("option by the second generation %q", got)
	}
	w.wantCode(0, w.call(api+"set_authorizer_option", own, map[string]string{"option_name": "voice_recognize", "option_value": "1"}))
	w.wantCode(61012, v1("get", "nonsense", ""))
	w.wantCode(61013, v1("set", "voice_recognize", "2"))
	w.wantCode(61007, v1("get", "customer_service", ""))
}

func TestCustomerServiceWindow(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	token := w.token()
	a := w.account(simulator.OfficialAccount)
	access, _ := w.authorized(token, a.AppID)
	send := func() map[string]any {
		return w.call("/cgi-bin/message/custom/send", url.Values{"access_token": {access}}, map[string]any{
			"touser": "oUser1", "msgtype": "text", "text": map[string]string{"content": "hello"},
		})
	}
	w.wantCode(45015, send())
	if _, err := w.SendMessage(t.Context(), a.AppID, simulator.Message{From: "oUser1", Type: "text", Fields: map[string]any{"content": "hi"}}); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		w.wantCode(0, send())
	}
	w.wantCode(45047, send())
	sent, err := w.Sent(a.AppID)
	if err != nil || len(sent) != 5 || sent[0].Text.Content != "hello" || sent[0].ToUser != "oUser1" {
		t.Errorf("sent %+v, %v", sent, err)
	}
}

func TestOpenAccounts(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	token := w.token()
	a, b := w.account(simulator.OfficialAccount), w.account(simulator.OfficialAccount)
	accessA, _ := w.authorized(token, a.AppID)
	accessB, _ := w.authorized(token, b.AppID)
	call := func(access, action string, body map[string]string) map[string]any {
		return w.call("/cgi-bin/open/"+action, url.Values{"access_token": {access}}, body)
	}
	w.wantCode(89002, call(accessA, "get", map[string]string{"appid": a.AppID}))
	made := call(accessA, "create", map[string]string{"appid": a.AppID})
	w.wantCode(0, made)
	open := field(made, "open_appid")
	w.wantCode(89000, call(accessA, "create", map[string]string{}))
	w.wantCode(40013, call(accessA, "get", map[string]string{"appid": b.AppID}))
	w.wantCode(89003, call(accessB, "bind", map[string]string{"appid": b.AppID, "open_appid": "wx1"}))
	w.wantCode(0, call(accessB, "bind", map[string]string{"appid": b.AppID, "open_appid": open}))
	if got := field(call(accessB, "get", map[string]string{"appid": b.AppID}), "open_appid"); got != open || open == "" {
		t.Errorf("open_appid %q, made %q", got, open)
	}
	w.wantCode(0, call(accessB, "unbind", map[string]string{"appid": b.AppID, "open_appid": open}))
	if have := call(accessB, "have", map[string]string{})["have_open"]; have != false {
		t.Errorf("have_open %v", have)
	}
}

func TestMiniProgramLogin(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	token := w.token()
	a := w.account(simulator.MiniProgram)
	w.authorized(token, a.AppID)
	js, err := w.Login(a.AppID, "oUser1")
	if err != nil {
		t.Fatal(err)
	}
	q := url.Values{"appid": {a.AppID}, "js_code": {js}, "grant_type": {"authorization_code"}, "component_appid": {w.component.AppID}}
	q.Set("component_access_token", token.Get("component_access_token"))
	reply := w.call("/sns/component/jscode2session", q, nil)
	if field(reply, "openid") != "oUser1" || len(field(reply, "session_key")) != 24 || reply["errcode"] != nil {
		t.Errorf("reply %v", reply)
	}
	w.wantCode(40163, w.call("/sns/component/jscode2session", q, nil))
	q.Set("js_code", "nonsense")
	w.wantCode(40029, w.call("/sns/component/jscode2session", q, nil))
}

func TestStartPushTicket(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	start := func() string {
		return field(w.call(api+"api_start_push_ticket", nil, map[string]string{"component_appid": w.component.AppID, "component_secret": w.component.Secret}), "errmsg")
	}
	if got := start(); got != "in a normal state" {
		t.Errorf("while pushes are on: %q", got)
	}
	off := false
	c := w.component
	c.TicketPush = &off
	simtest.Register(t, w.Simulator, c)
	if got := start(); got != "ok" {
		t.Errorf("while pushes are off: %q", got)
	}
	w.wantCode(41004, w.call(api+"api_start_push_ticket", nil, map[string]string{"component_appid": w.component.AppID, "component_appsecret": w.component.Secret}))
}

func TestSeed(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	token := w.token()
	seeds, err := w.Seed(w.component.AppID, 1000)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for appid, refresh := range seeds {
		if n++; n%250 == 0 {
			reply := w.refresh(token, appid, refresh)
			w.wantCode(0, w.behalf(field(reply, "authorizer_access_token")))
		}
	}
	list := w.call(api+"api_get_authorizer_list", token, map[string]any{"component_appid": w.component.AppID, "offset": 990, "count": 500})
	if items, _ := list["list"].([]any); n != 1000 || list["total_count"] != 1000.0 || len(items) != 10 {
		t.Errorf("%d seeds, total %v, last page %d", n, list["total_count"], len(items))
	}
}

func TestConfigMistakesAreListedTogether(t *testing.T) {
	t.Parallel()
	f := simtest.Faults(t, simulator.PresetOff)
	f.Busy, f.RefreshTokenMode = 2, "sometimes"
	_, err := simulator.New(simulator.Config{Faults: f, JournalSize: -1})
	for _, want := range []string{"busy", "refresh_token_mode", "journal size"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not mention %s", err, want)
		}
	}
	s := simtest.New(t, simulator.Config{})
	_, err = s.AddComponent(simulator.Component{AppID: "x", EventURL: "nonsense"})
	var refusal *simulator.Error
	if !errors.As(err, &refusal) || refusal.Status != http.StatusBadRequest {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"appid", "secret is missing", "token is missing", "event_url", "message_url"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not mention %s", err, want)
		}
	}
}

// history renders what the journal remembers apart from time.
func history(s *simulator.Simulator) string {
	var b strings.Builder
	for _, e := range s.Journal(0, 1<<20) {
		e.Time, e.LatencyMS, e.RID = time.Time{}, 0, ""
		line, err := json.Marshal(e)
		if err != nil {
			return err.Error()
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.String()
}

func TestOneSeedOneHistory(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) string {
		w, _ := newWorld(t, func(c *simulator.Config) {
			c.Seed = seed
			c.Faults = simtest.Faults(t, simulator.PresetHostile)
			c.Faults.DuplicatePush, c.Faults.ReorderPush, c.Faults.LatePush, c.Faults.SlowReply = 0, 0, 0, 0 // these take real time
		})
		if _, err := w.PushTicket(t.Context(), w.component.AppID); err != nil {
			t.Fatal(err)
		}
		ticket := w.receiver.of("component_verify_ticket")[0].ComponentVerifyTicket
		for i := range 200 {
			_, _ = w.tryCall(api+"api_component_token", nil, map[string]string{
				"component_appid": w.component.AppID, "component_appsecret": w.component.Secret, "component_verify_ticket": ticket + strconv.Itoa(i % 2)[1:],
			}) // most of the answers are faults, and that is what is compared
		}
		return history(w.Simulator)
	}
	first, second, third := run(7), run(7), run(8)
	if first != second {
		t.Error("two runs with one seed differ")
	}
	if first == third {
		t.Error("two seeds gave one history")
	}
	for _, fault := range []string{"busy", "html_reply", "truncated_reply", "connection_reset", "drop_reply_after_processing", "early_dead_token"} {
		if !strings.Contains(first, `"fault":"`+fault+`"`) {
			t.Errorf("no %s in 200 hostile calls", fault)
		}
	}
}

func BenchmarkRefresh(b *testing.B) {
	s := simtest.New(b, simulator.Config{})
	c := simtest.Register(b, s, simtest.Component("Acme", "http://127.0.0.1:1"))
	seeds, err := s.Seed(c.AppID, 1000)
	if err != nil {
		b.Fatal(err)
	}
	token := componentTokenWithoutPush(b, s, c)
	var bodies []string
	for appid, refresh := range seeds {
		bodies = append(bodies, fmt.Sprintf(`{"component_appid":%q,"authorizer_appid":%q,"authorizer_refresh_token":%q}`, c.AppID, appid, refresh))
	}
	transport := s.RoundTripper()
	address := "https://api.weixin.qq.com/cgi-bin/component/api_authorizer_token?component_access_token=" + token
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(bodies[i%len(bodies)]))
		if err != nil {
			b.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Fatal(resp, err)
		}
		resp.Body.Close()
	}
}

// componentTokenWithoutPush mints a component token with a ticket whose push fails.
func componentTokenWithoutPush(tb testing.TB, s *simulator.Simulator, c simulator.Component) string {
	tb.Helper()
	if _, err := s.PushTicket(tb.Context(), c.AppID); err != nil {
		tb.Fatal(err)
	}
	for _, secret := range s.Secrets() {
		if !strings.HasPrefix(secret, "ticket@@@") {
			continue
		}
		body := fmt.Sprintf(`{"component_appid":%q,"component_appsecret":%q,"component_verify_ticket":%q}`, c.AppID, c.Secret, secret)
		req, err := http.NewRequest(http.MethodPost, "https://api.weixin.qq.com/cgi-bin/component/api_component_token", strings.NewReader(body))
		if err != nil {
			tb.Fatal(err)
		}
		resp, err := s.RoundTripper().RoundTrip(req)
		if err != nil {
			tb.Fatal(err)
		}
		defer resp.Body.Close()
		var reply struct {
			Token string `json:"component_access_token"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil || reply.Token == "" {
			tb.Fatal(reply, err)
		}
		return reply.Token
	}
	tb.Fatal("no ticket")
	return ""
}
