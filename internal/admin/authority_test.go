package admin_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/admin"
	"github.com/tuoguan/tuoguan/internal/operator"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
)

const stranger = tuoguan.AuthorizerAppID("wxbbbbbbbbbbbbbbbb")

// bounds are the scopes that keys are bound to, as seen from the account that the
// requests of the matrix are about: it has authorized component, and has the tag "vip".
var bounds = map[string]access.Scope{
	"unbound":                      {},
	"right account":                {Authorizers: []tuoguan.AuthorizerAppID{account}},
	"wrong account":                {Authorizers: []tuoguan.AuthorizerAppID{stranger}},
	"right tag":                    {Tags: []string{"vip"}},
	"wrong tag":                    {Tags: []string{"foreign"}},
	"right component":              {Components: []tuoguan.ComponentAppID{component}},
	"wrong component":              {Components: []tuoguan.ComponentAppID{other}},
	"right component, right tag":   {Components: []tuoguan.ComponentAppID{component}, Tags: []string{"vip"}},
	"wrong component, right tag":   {Components: []tuoguan.ComponentAppID{other}, Tags: []string{"vip"}},
	"right component, wrong tag":   {Components: []tuoguan.ComponentAppID{component}, Tags: []string{"foreign"}},
	"wrong account, but right tag": {Authorizers: []tuoguan.AuthorizerAppID{stranger}, Tags: []string{"vip"}},
}

// within are the bounds within which each kind of thing is.
var within = map[string][]string{
	"account":   {"unbound", "right account", "right tag", "right component", "right component, right tag", "wrong account, but right tag"},
	"component": {"unbound", "right account", "wrong account", "right tag", "wrong tag", "right component", "right component, right tag", "right component, wrong tag", "wrong account, but right tag"},
	// The whole of a component is not for those who have to do with some accounts only.
	"whole component": {"unbound", "right component"},
	// A link is for one account that may not be known yet, so it has no tags.
	"link": {"unbound", "right account", "right component"},
	// A key for one account of one component.
	"key": {"unbound", "right account", "right component"},
	// A subscription to the events of one account of one component.
	"subscription": {"unbound", "right account", "right component"},
	"installation": {"unbound"},
	"user":         {"unbound"},
	// What is known of WeChat is everybody's.
	"WeChat": slices.Collect(maps.Keys(bounds)),
}

// requests say of each route how it is called and what it is about.
var requests = map[string]struct {
	about  string
	target func(m *matrix) string
	body   func(m *matrix) string
	marker func(m *matrix) string // what a list shows to those who may see it; others get a list without
	denied []string               // problems of those who may not
	all    bool                   // it takes, besides, all that another one may do
}{
	"list-authorizers":        {about: "account", target: plain("/v1/authorizers"), marker: func(*matrix) string { return `"` + string(account) + `"` }},
	"get-authorizer":          {about: "account", target: plain("/v1/authorizers/" + string(account)), denied: []string{"unknown-authorizer"}},
	"list-authorizer-history": {about: "account", target: plain("/v1/authorizers/" + string(account) + "/history"), denied: []string{"unknown-authorizer"}},
	"put-authorizer-tags":     {about: "account", target: plain("/v1/authorizers/" + string(account) + "/tags"), body: plain(`{"tags":["vip"]}`), denied: []string{"unknown-authorizer"}},
	"get-access-token":        {about: "account", target: plain("/v1/authorizers/" + string(account) + "/access-token"), denied: []string{"unknown-authorizer"}},
	"report-access-token":     {about: "account", target: plain("/v1/authorizers/" + string(account) + "/access-token/invalid"), body: plain(`{"access_token":"x"}`), denied: []string{"unknown-authorizer"}},
	"refresh-access-token":    {about: "account", target: plain("/v1/authorizers/" + string(account) + "/refresh"), denied: []string{"unknown-authorizer"}},

	"list-authorization-links": {about: "link", target: plain("/v1/authorization-links?limit=500"), marker: func(m *matrix) string { return m.link }},
	"get-authorization-link":   {about: "link", target: func(m *matrix) string { return "/v1/authorization-links/" + m.link }, denied: []string{"unknown-link"}},
	"create-authorization-link": {about: "link", target: plain("/v1/authorization-links"),
		body: plain(`{"component_appid":"` + string(component) + `","biz_appid":"` + string(account) + `"}`), denied: []string{"missing-scope", "invalid-field"}},

	"list-components": {about: "component", target: plain("/v1/components"), marker: func(*matrix) string { return `"` + string(component) + `"` }},
	"get-component":   {about: "component", target: plain("/v1/components/" + string(component)), denied: []string{"unknown-component"}},
	"put-component": {about: "whole component", target: plain("/v1/components"), denied: []string{"unknown-component", "missing-scope"},
		body: plain(`{"appid":"` + string(component) + `","secret":"app-secret","token":"pushtoken","encoding_aes_key":"` + strings.Repeat("a", 43) + `"}`)},
	"change-component":           {about: "whole component", target: plain("/v1/components/" + string(component)), body: plain(`{"secret":"app-secret"}`), denied: []string{"unknown-component", "missing-scope"}},
	"get-component-access-token": {about: "whole component", target: plain("/v1/components/" + string(component) + "/access-token"), denied: []string{"unknown-component", "missing-scope"}},
	"reconcile-component":        {about: "whole component", target: plain("/v1/components/" + string(component) + "/reconcile"), denied: []string{"unknown-component", "missing-scope"}},

	"list-events": {about: "account", target: plain("/v1/events"), marker: func(*matrix) string { return `"` + string(account) + `"` }},
	"get-event":   {about: "account", target: func(m *matrix) string { return "/v1/events/" + m.event }, denied: []string{"unknown-event"}},

	"replay-event": {about: "account", target: func(m *matrix) string { return "/v1/events/" + m.event + "/replay" }, denied: []string{"unknown-event"}},

	"list-subscriptions":  {about: "subscription", target: plain("/v1/subscriptions?limit=500"), marker: func(m *matrix) string { return m.subscription }},
	"get-subscription":    {about: "subscription", target: func(m *matrix) string { return "/v1/subscriptions/" + m.subscription }, denied: []string{"unknown-subscription"}},
	"create-subscription": {about: "subscription", target: plain("/v1/subscriptions"), body: plain(newSubscription), denied: []string{"missing-scope"}},
	"change-subscription": {about: "subscription", target: func(m *matrix) string { return "/v1/subscriptions/" + m.subscription }, body: plain(`{"name":"m"}`), denied: []string{"unknown-subscription"}},
	"delete-subscription": {about: "subscription", target: func(m *matrix) string { return "/v1/subscriptions/" + m.subscribe() }, denied: []string{"unknown-subscription"}},
	"pause-subscription":  {about: "subscription", target: func(m *matrix) string { return "/v1/subscriptions/" + m.subscription + "/pause" }, denied: []string{"unknown-subscription"}},
	"resume-subscription": {about: "subscription", target: func(m *matrix) string { return "/v1/subscriptions/" + m.subscription + "/resume" }, denied: []string{"unknown-subscription"}},
	"test-subscription":   {about: "subscription", target: func(m *matrix) string { return "/v1/subscriptions/" + m.subscription + "/test" }, denied: []string{"unknown-subscription"}},
	"rotate-subscription-secret": {about: "subscription", target: func(m *matrix) string { return "/v1/subscriptions/" + m.subscription + "/secret/rotate" },
		denied: []string{"unknown-subscription"}},
	"replay-subscription": {about: "subscription", target: func(m *matrix) string { return "/v1/subscriptions/" + m.subscription + "/replay" }, body: plain(`{"dead":true}`), denied: []string{"unknown-subscription"}},
	"get-replay":          {about: "subscription", target: func(m *matrix) string { return "/v1/subscriptions/" + m.subscription + "/replay" }, denied: []string{"unknown-subscription"}},
	"list-deliveries":     {about: "subscription", target: func(m *matrix) string { return "/v1/deliveries?subscription=" + m.subscription }, denied: []string{"unknown-subscription"}},

	"redeem-oauth-code": {about: "account", target: plain("/v1/oauth/redeem"), body: plain(`{"code":"right"}`), denied: []string{"unknown-code"}},

	"list-gateway-accounts": {about: "installation", target: plain("/v1/gateway/accounts"), denied: []string{"missing-scope"}},

	"list-api-keys":  {about: "key", target: func(m *matrix) string { return "/v1/api-keys?limit=1&cursor=" + m.key[:11] }, marker: func(m *matrix) string { return m.key }},
	"get-api-key":    {about: "key", target: func(m *matrix) string { return "/v1/api-keys/" + m.key }, denied: []string{"unknown-key"}},
	"create-api-key": {about: "key", target: plain("/v1/api-keys"), body: func(m *matrix) string { return `{"name":"n","scope":` + m.keyScope + `}` }, denied: []string{"missing-scope"}},
	"change-api-key": {about: "key", target: func(m *matrix) string { return "/v1/api-keys/" + m.key }, body: plain(`{"name":"m"}`), denied: []string{"unknown-key"}},
	"rotate-api-key": {about: "key", target: func(m *matrix) string { return "/v1/api-keys/" + m.key + "/rotate" }, denied: []string{"unknown-key"}},
	"revoke-api-key": {about: "key", target: func(m *matrix) string { return "/v1/api-keys/" + m.key + "/revoke" }, denied: []string{"unknown-key"}},

	"list-users":          {about: "installation", target: plain("/v1/users"), denied: []string{"missing-scope"}},
	"get-user":            {about: "user", target: func(m *matrix) string { return "/v1/users/" + m.user }, denied: []string{"missing-scope"}},
	"create-user":         {about: "user", target: plain("/v1/users"), body: func(m *matrix) string { return `{"name":"` + m.user + `-2","role":"viewer"}` }, denied: []string{"missing-scope"}, all: true},
	"change-user":         {about: "user", target: func(m *matrix) string { return "/v1/users/" + m.user }, body: plain(`{"role":"viewer"}`), denied: []string{"missing-scope"}, all: true},
	"delete-user":         {about: "user", target: func(m *matrix) string { return "/v1/users/" + m.user }, denied: []string{"missing-scope"}, all: true},
	"reset-user-password": {about: "user", target: func(m *matrix) string { return "/v1/users/" + m.user + "/password" }, denied: []string{"missing-scope"}, all: true},
	"reset-user-totp":     {about: "user", target: func(m *matrix) string { return "/v1/users/" + m.user + "/totp" }, denied: []string{"missing-scope"}, all: true},
	"list-user-sessions":  {about: "user", target: func(m *matrix) string { return "/v1/users/" + m.user + "/sessions" }, denied: []string{"missing-scope"}},
	"end-user-sessions":   {about: "user", target: func(m *matrix) string { return "/v1/users/" + m.user + "/sessions" }, denied: []string{"missing-scope"}, all: true},
	"end-user-session":    {about: "user", target: func(m *matrix) string { return "/v1/users/" + m.user + "/sessions/" + m.session }, denied: []string{"missing-scope"}, all: true},

	"list-audit":     {about: "installation", target: plain("/v1/audit"), denied: []string{"missing-scope"}},
	"get-audit-head": {about: "installation", target: plain("/v1/audit/head"), denied: []string{"missing-scope"}},
	"list-jobs":      {about: "installation", target: plain("/v1/jobs"), marker: func(m *matrix) string { return m.job }}, // the others see those they started
	"start-job":      {about: "installation", target: plain("/v1/jobs"), body: plain(`{"kind":"rekey"}`), denied: []string{"missing-scope"}},
	"get-job":        {about: "installation", target: func(m *matrix) string { return "/v1/jobs/" + m.job }, denied: []string{"unknown-job"}},
	"cancel-job":     {about: "installation", target: func(m *matrix) string { return "/v1/jobs/" + m.job + "/cancel" }, denied: []string{"unknown-job"}},

	"list-authorizer-options": {about: "account", target: plain("/v1/authorizers/" + string(account) + "/options"), denied: []string{"unknown-authorizer"}},
	"put-authorizer-option":   {about: "account", target: plain("/v1/authorizers/" + string(account) + "/options/voice_recognize"), body: plain(`{"value":"1"}`), denied: []string{"unknown-authorizer"}},
	"verify-authorizer":       {about: "account", target: plain("/v1/authorizers/" + string(account) + "/verify"), denied: []string{"unknown-authorizer"}},
	"list-authorizer-calls":   {about: "account", target: plain("/v1/authorizers/" + string(account) + "/calls"), denied: []string{"unknown-authorizer"}},
	"call-wechat":             {about: "account", target: plain("/v1/calls"), body: plain(`{"authorizer_appid":"` + string(account) + `","endpoint":"user_list"}`), denied: []string{"unknown-authorizer"}},
	"list-endpoints":          {about: "WeChat", target: plain("/v1/catalogue")},
	"get-endpoint":            {about: "WeChat", target: plain("/v1/catalogue/user_list")},
	"list-permission-sets":    {about: "WeChat", target: plain("/v1/permission-sets")},
	"get-errcode":             {about: "WeChat", target: plain("/v1/errcodes/61003")},
	"run-doctor":              {about: "installation", target: plain("/v1/doctor"), denied: []string{"missing-scope"}},

	"get-overview":        {about: "installation", target: plain("/v1/overview"), denied: []string{"missing-scope"}},
	"get-overview-series": {about: "installation", target: plain("/v1/overview/series"), denied: []string{"missing-scope"}},
}

// newSubscription is one to the events of the account.
const newSubscription = `{"name":"s","match":{"components":["` + string(component) + `"],"authorizers":["` + string(account) + `"],"kinds":["*"]},"sink":{"type":"webhook","url":"https://example.com/hook"}}`

// subscribe makes a subscription and returns its id.
func (m *matrix) subscribe() string {
	return m.field(m.call("POST", "/v1/subscriptions", newSubscription), "id")
}

func plain(text string) func(*matrix) string { return func(*matrix) string { return text } }

// matrix is a world with one of each thing.
type matrix struct {
	*world
	link, event, job string
	subscription     string
	key, keyScope    string // made anew for each request
	user, session    string // likewise
}

func newMatrix(t *testing.T) *matrix {
	m := &matrix{world: newWorld(t, key)}
	close(m.rekeyed) // jobs end at once
	for i, a := range []tuoguan.Authorization{{Component: component, Authorizer: account}, {Component: other, Authorizer: stranger}} {
		tag := []string{"vip", "foreign"}[i]
		m.addComponent(a.Component)
		m.authorize(a.Component, a.Authorizer, "")
		if err := m.store.SaveTags(t.Context(), a, []string{tag}); err != nil {
			t.Fatal(err)
		}
		p, _, err := m.store.AcceptPush(t.Context(), store.Intake{Push: store.Push{Key: tag, Component: a.Component, Authorizer: a.Authorizer, Kind: "text", Body: []byte("<xml/>"), CreatedAt: expiry, ReceivedAt: expiry}})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			m.event = fmt.Sprint(p.ID)
		}
	}
	m.token = func(owner tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
		if _, err := m.store.Authorizer(t.Context(), owner.Authorization()); err != nil && !owner.IsComponent() {
			return tuoguan.AccessToken{}, keeper.ErrUnknownAuthorizer
		}
		return tuoguan.AccessToken{Value: tuoguan.NewSecret("access-token-1"), ExpiresAt: expiry}, nil
	}
	m.subscription = m.subscribe()
	m.call("POST", "/v1/subscriptions/"+m.subscription+"/replay", `{"dead":true}`)
	m.link = m.field(m.call("POST", "/v1/authorization-links", `{"component_appid":"`+string(component)+`","biz_appid":"`+string(account)+`"}`), "id")
	m.job = m.field(m.call("POST", "/v1/jobs", `{"kind":"rekey"}`), "id")
	for m.field(m.call("GET", "/v1/jobs/"+m.job, ""), "state") == "running" {
		runtime.Gosched()
	}
	return m
}

// field returns a text of a JSON object.
func (w *world) field(r response, name string) string {
	w.t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(r.body), &object); err != nil || object[name] == nil {
		w.t.Fatalf("there is no %s in %d %s", name, r.status, r.body)
	}
	return fmt.Sprint(object[name])
}

// newKey makes a key and returns it with its id.
func (w *world) newKey(s access.Scope) (id, secret string) {
	w.t.Helper()
	k, secretKey, err := w.keys.Create(w.t.Context(), access.NewKey{Name: "test", Scope: s})
	if err != nil {
		w.t.Fatal(err)
	}
	return k.ID, secretKey.Reveal()
}

// implied reports whether a key with one operation has another one by it.
func implied(held, needed access.Operation) bool {
	return held == needed || held == access.Everything || held == access.RefreshTokens && needed == access.ReadTokens
}

// renew makes what a request uses up.
func (m *matrix) renew(t *testing.T, route admin.Route, about string) {
	t.Helper()
	target := access.Scope{Operations: []access.Operation{route.Needs}, Components: []tuoguan.ComponentAppID{component}, Authorizers: []tuoguan.AuthorizerAppID{account}}
	switch about {
	case "key":
		m.key, _ = m.newKey(target)
	case "user":
		m.user = m.addUser("", operator.Viewer, func(u *store.User) { u.Name = u.ID })
		m.begin(m.user)
		sessions, err := m.store.SessionsOf(t.Context(), m.user)
		if err != nil {
			t.Fatal(err)
		}
		m.session = sessions[0].ID
	}
	raw, err := json.Marshal(target)
	if err != nil {
		t.Fatal(err)
	}
	m.keyScope = string(raw)
}

// TestAuthority calls every route with keys of every operation and every bound, and
// demands that exactly those get through whom the model lets through.
func TestAuthority(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	callers := make(map[string]string) // by bound and operation
	for bound, scope := range bounds {
		for _, held := range access.Operations() {
			scope.Operations = []access.Operation{held}
			_, callers[bound+" "+string(held)] = m.newKey(scope)
		}
	}
	for _, route := range admin.Routes() {
		request, ok := requests[route.ID]
		if route.Open || route.Own { // these take no operation; see TestRoles and the tests of sessions
			continue
		}
		if !ok || !slices.Contains(access.Operations(), route.Needs) || route.Needs == access.Everything {
			t.Errorf("%s %s: every route has to declare the operation that it needs, and to be in this matrix", route.Method, route.Pattern)
			continue
		}
		reachable := within[request.about]
		for bound := range bounds {
			for _, held := range access.Operations() {
				m.renew(t, route, request.about)
				body := ""
				if request.body != nil {
					body = request.body(m)
				}
				r := m.callAs("Bearer "+callers[bound+" "+string(held)], route.Method, request.target(m), body)
				name := fmt.Sprintf("%s with %s, %s", route.ID, held, bound)
				switch {
				case !implied(held, route.Needs):
					if r.status != http.StatusForbidden || r.name(t) != "missing-scope" || !strings.Contains(r.body, string(route.Needs)) {
						t.Errorf("%s: got %d %s, want missing-scope", name, r.status, r.body)
					}
				case request.marker != nil:
					if r.status != http.StatusOK || strings.Contains(r.body, request.marker(m)) != slices.Contains(reachable, bound) {
						t.Errorf("%s: got %d %s", name, r.status, r.body)
					}
				case slices.Contains(reachable, bound) && (!request.all || held == access.Everything):
					if r.status != route.Status && r.status != route.Or && (route.ID != "start-job" && route.ID != "replay-subscription" || r.status != http.StatusConflict) {
						t.Errorf("%s: got %d %s, want %d", name, r.status, r.body, route.Status)
					}
				default:
					if r.status < 400 || !slices.Contains(request.denied, r.name(t)) {
						t.Errorf("%s: got %d %s, want one of %v", name, r.status, r.body, request.denied)
					}
				}
			}
		}
	}
}

// routeOf returns a route by its id.
func routeOf(t *testing.T, id string) admin.Route {
	t.Helper()
	routes := admin.Routes()
	i := slices.IndexFunc(routes, func(r admin.Route) bool { return r.ID == id })
	if i < 0 {
		t.Fatalf("there is no route %s", id)
	}
	return routes[i]
}

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func newRequest(t testing.TB, method, target, body string) *http.Request {
	t.Helper()
	return httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
}
