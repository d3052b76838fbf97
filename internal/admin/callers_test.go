package admin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
)

func TestReadOnlyKeyNeverCausesARefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.addComponent(component)
	w.authorize(component, account, "")
	_, reader := w.newKey(access.Scope{Operations: []access.Operation{access.ReadTokens}})
	w.token = func(tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
		t.Error("a refresh may have been caused")
		return tuoguan.AccessToken{}, keeper.ErrClosed
	}
	valid := true
	w.peek = func(tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
		if !valid {
			return tuoguan.AccessToken{}, keeper.ErrRefreshNeeded
		}
		return tuoguan.AccessToken{Value: tuoguan.NewSecret("in-force"), ExpiresAt: expiry}, nil
	}
	base := "/v1/authorizers/" + string(account)
	targets := []string{base + "/access-token", "/v1/components/" + string(component) + "/access-token"}
	for _, target := range targets {
		if r := w.callAs("Bearer "+reader, "GET", target, ""); r.status != 200 || !strings.Contains(r.body, "in-force") {
			t.Errorf("%s: got %d %s", target, r.status, r.body)
		}
	}
	valid = false
	for _, target := range targets {
		if r := w.callAs("Bearer "+reader, "GET", target, ""); r.status != 409 || r.name(t) != "refresh-needed" {
			t.Errorf("%s: got %d %s", target, r.status, r.body)
		}
	}
	for target, body := range map[string]string{base + "/refresh": "", base + "/access-token/invalid": `{"access_token":"x"}`} {
		if r := w.callAs("Bearer "+reader, "POST", target, body); r.status != 403 || r.name(t) != "missing-scope" {
			t.Errorf("%s: got %d %s", target, r.status, r.body)
		}
	}
	if w.refreshed.Load() != 0 || len(w.invalidated) != 0 {
		t.Error("the keeper was asked for a refresh")
	}
}

func TestKeysThatDoNotWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	everything := access.Scope{Operations: []access.Operation{access.Everything}}
	revokedID, revoked := w.newKey(everything)
	if _, err := w.keys.Revoke(t.Context(), revokedID, 0); err != nil {
		t.Fatal(err)
	}
	_, elsewhere := w.newKey(access.Scope{Operations: everything.Operations, Networks: prefixes("198.51.100.0/24")})
	_, here := w.newKey(access.Scope{Operations: everything.Operations, Networks: prefixes("192.0.2.0/24")})
	_, slow := w.newKey(access.Scope{Operations: everything.Operations, Rate: 0.1})
	created, expired, err := w.keys.Create(t.Context(), access.NewKey{Name: "short", Scope: everything, ExpiresAt: w.clock.Now().Add(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Until(created.ExpiresAt) + time.Minute)
	w.callAs("Bearer "+slow, "GET", "/v1/jobs", "")
	tests := map[string]struct {
		key    string
		status int
		name   string
	}{
		"revoked":       {revoked, 401, "revoked-key"},
		"expired":       {expired.Reveal(), 401, "expired-key"},
		"wrong network": {elsewhere, 403, "forbidden-address"},
		"right network": {here, 200, ""},
		"mistyped":      {here[:len(here)-1] + "-", 401, "unauthorized"},
		"too often":     {slow, 429, "rate-limited"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := w.callAs("Bearer "+tt.key, "GET", "/v1/jobs", "")
			if r.status != tt.status || tt.name != "" && r.name(t) != tt.name {
				t.Errorf("got %d %s", r.status, r.body)
			}
			if (r.status == 429) != (r.header.Get("Retry-After") != "") || (r.status == 401) != (r.header.Get("WWW-Authenticate") != "") {
				t.Errorf("the headers are %v", r.header)
			}
		})
	}
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	r := w.call("POST", "/v1/api-keys", `{"name":"billing","scope":{"operations":["tokens:read"],"tags":["vip"],"networks":["192.0.2.7/24"],"rate":5}}`)
	if r.status != http.StatusCreated || r.header.Get("ETag") == "" {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	id, made := w.field(r, "id"), w.field(r, "key")
	var k struct {
		ExpiresAt time.Time `json:"expires_at"`
		Scope     access.Scope
	}
	if err := json.Unmarshal([]byte(r.body), &k); err != nil {
		t.Fatal(err)
	}
	if left := k.ExpiresAt.Sub(w.clock.Now()); left < 89*24*time.Hour || left > 90*24*time.Hour {
		t.Errorf("by default it lives for %v", left)
	}
	if k.Scope.Networks[0].String() != "192.0.2.0/24" || k.Scope.Rate != 5 {
		t.Errorf("the scope is %+v", k.Scope)
	}
	if r := w.callAs("Bearer "+made, "GET", "/v1/components", ""); r.status != 403 {
		t.Errorf("the key got %d %s", r.status, r.body)
	}
	for _, target := range []string{"/v1/api-keys/" + id, "/v1/api-keys", "/v1/audit"} {
		if r := w.call("GET", target, ""); r.status != 200 || strings.Contains(r.body, made) || !strings.Contains(r.body, id) {
			t.Errorf("%s: got %d %s", target, r.status, r.body)
		}
	}
	r = w.call("PATCH", "/v1/api-keys/"+id, `{"name":"accounts","never_expires":true,"scope":{"operations":["tokens:refresh"]}}`)
	if r.status != 200 || !strings.Contains(r.body, `"expires_at":null`) || !strings.Contains(r.body, "accounts") || strings.Contains(r.body, "vip") {
		t.Errorf("got %d %s", r.status, r.body)
	}
	r = w.call("POST", "/v1/api-keys/"+id+"/rotate", `{"grace_seconds":60}`)
	if r.status != 200 {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	next := w.field(r, "key")
	works := func(k string) bool {
		r := w.callAs("Bearer "+k, "GET", "/v1/authorizers/"+string(account)+"/access-token", "")
		return r.status != 401
	}
	if !works(made) || !works(next) || made == next {
		t.Error("during the grace both keys have to work")
	}
	w.clock.Advance(2 * time.Minute)
	if works(made) || !works(next) {
		t.Error("after the grace only the new one works")
	}
	if r := w.call("POST", "/v1/api-keys/"+id+"/revoke", ""); r.status != 200 || strings.Contains(r.body, `"revoked_at":null`) {
		t.Errorf("got %d %s", r.status, r.body)
	}
	if works(next) {
		t.Error("a revoked key works")
	}
	if r := w.call("POST", "/v1/api-keys/"+id+"/rotate", ""); r.status != 409 || r.name(t) != "key-conflict" {
		t.Errorf("got %d %s", r.status, r.body)
	}
	for body, want := range map[string]struct {
		status int
		field  string
	}{
		`{}`:                      {422, "name"},
		`{"name":"n","scope":{}}`: {422, "scope.operations"},
		`{"name":"n","scope":{"operations":["fly"]}}`:                                    {422, "scope.operations[0]"},
		`{"name":"n","scope":{"operations":["*"]},"expires_in":0}`:                       {422, "expires_in"},
		`{"name":"n","scope":{"operations":["*"]},"expires_in":9223372036854775807}`:     {422, "expires_in"},
		`{"name":"n","scope":{"operations":["*"]},"expires_at":"2020-01-01T00:00:00Z"}`:  {422, "expires_at"},
		`{"name":"n","scope":{"operations":["*"]},"expires_in":60,"never_expires":true}`: {422, "expires_at"},
		`{"name":"n","scope":{"operations":["*"],"all":true}}`:                           {400, ""},
		`{"name":"n","scope":{"operations":["*"],"networks":["everywhere"]}}`:            {400, ""},
		`{"name":"` + strings.Repeat("x", 200) + `","scope":{"operations":["*"]}}`:       {422, "name"},
	} {
		r := w.call("POST", "/v1/api-keys", body)
		p := r.problem(t)
		if r.status != want.status || want.field != "" && (len(p.Errors) == 0 || p.Errors[0].Field != want.field) {
			t.Errorf("%s: got %d %s", body, r.status, r.body)
		}
	}
}

// TestKeysDoNotGrow tries to get more out of a key than it is for.
func TestKeysDoNotGrow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	mine := access.Scope{
		Operations: []access.Operation{access.ReadKeys, access.WriteKeys, access.ReadTokens}, Components: []tuoguan.ComponentAppID{component},
		Authorizers: []tuoguan.AuthorizerAppID{account}, Networks: prefixes("192.0.2.0/24"),
	}
	id, caller := w.newKey(mine)
	strongID, _ := w.newKey(access.Scope{Operations: []access.Operation{access.Everything}})
	for name, grow := range map[string]func(*access.Scope){
		"an operation":     func(s *access.Scope) { s.Operations = append(s.Operations, access.RefreshTokens) },
		"everything":       func(s *access.Scope) { s.Operations = []access.Operation{access.Everything} },
		"all components":   func(s *access.Scope) { s.Components = nil },
		"another one":      func(s *access.Scope) { s.Components = append(s.Components, other) },
		"all accounts":     func(s *access.Scope) { s.Authorizers = nil },
		"a tag":            func(s *access.Scope) { s.Tags = []string{"vip"} },
		"another account":  func(s *access.Scope) { s.Authorizers = append(s.Authorizers, stranger) },
		"all networks":     func(s *access.Scope) { s.Networks = nil },
		"a larger network": func(s *access.Scope) { s.Networks = prefixes("192.0.0.0/16") },
	} {
		wanted := mine
		wanted.Operations, wanted.Components, wanted.Authorizers = slices.Clone(mine.Operations), slices.Clone(mine.Components), slices.Clone(mine.Authorizers)
		grow(&wanted)
		raw, err := json.Marshal(wanted)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []response{
			w.callAs("Bearer "+caller, "POST", "/v1/api-keys", `{"name":"n","scope":`+string(raw)+`}`),
			w.callAs("Bearer "+caller, "PATCH", "/v1/api-keys/"+id, `{"scope":`+string(raw)+`}`),
		} {
			if r.status != 403 || r.name(t) != "missing-scope" {
				t.Errorf("%s: got %d %s", name, r.status, r.body)
			}
		}
	}
	for _, target := range []string{"/rotate", "/revoke"} {
		if r := w.callAs("Bearer "+caller, "POST", "/v1/api-keys/"+strongID+target, ""); r.status != 404 {
			t.Errorf("a stronger key: got %d %s", r.status, r.body)
		}
	}
	if k, err := w.keys.Get(t.Context(), id); err != nil || len(k.Scope.Operations) != 3 || k.Version != 1 {
		t.Errorf("the key is %+v, %v", k, err)
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.authorize(component, account, "")
	target := "/v1/authorizers/" + string(account) + "/tags"
	if r := w.call("PUT", target, `{"tags":["vip","test","vip"]}`); r.status != 200 || !strings.Contains(r.body, `"tags":["test","vip"]`) {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	if r := w.call("GET", "/v1/authorizers?tag=vip", ""); !strings.Contains(r.body, string(account)) {
		t.Errorf("got %s", r.body)
	}
	if r := w.call("GET", "/v1/authorizers?tag=v", ""); strings.Contains(r.body, string(account)) {
		t.Errorf("got %s", r.body)
	}
	for body, status := range map[string]int{`{}`: 400, `{"tags":null}`: 400, `{"tags":"vip"}`: 400, `{"tags":["a\nb"]}`: 422, `{"tags":[""]}`: 422, `{"tags":[` + strings.Repeat(`"a",`, 50) + `"b"]}`: 200} {
		if r := w.call("PUT", target, body); r.status != status {
			t.Errorf("%s: got %d %s", body, r.status, r.body)
		}
	}
	w.call("PUT", target, `{"tags":["vip","test"]}`)
	_, bound := w.newKey(access.Scope{Operations: []access.Operation{access.WriteAuthorizers}, Tags: []string{"vip", "test"}})
	for body, status := range map[string]int{`{"tags":["vip","gold"]}`: 403, `{"tags":["vip"]}`: 200} {
		if r := w.callAs("Bearer "+bound, "PUT", target, body); r.status != status {
			t.Errorf("%s: got %d %s", body, r.status, r.body)
		}
	}
	// A token for a tag is gone with the tag, at once.
	_, reader := w.newKey(access.Scope{Operations: []access.Operation{access.ReadTokens}, Tags: []string{"vip"}})
	token := "/v1/authorizers/" + string(account) + "/access-token"
	if r := w.callAs("Bearer "+reader, "GET", token, ""); r.status != 200 {
		t.Errorf("got %d %s", r.status, r.body)
	}
	w.call("PUT", target, `{"tags":[]}`)
	if r := w.callAs("Bearer "+reader, "GET", token, ""); r.status != 404 {
		t.Errorf("got %d %s", r.status, r.body)
	}
}

func TestChangeComponent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	oldKey, newKey := strings.Repeat("a", 43), strings.Repeat("b", 43)
	w.call("POST", "/v1/components", fmt.Sprintf(`{"appid":%q,"secret":"app-secret","token":"tokenone","encoding_aes_key":%q}`, component, oldKey))
	target := "/v1/components/" + string(component)
	steps := []struct {
		body, want string // secret, staged, token, previous token, key, previous key
	}{
		{`{"encoding_aes_key":"` + newKey + `"}`, "app-secret||tokenone||" + newKey + "|" + oldKey},
		{`{"token":"tokentwo"}`, "app-secret||tokentwo|tokenone|" + newKey + "|" + oldKey},
		{`{"staged_secret":"next-secret"}`, "app-secret|next-secret|tokentwo|tokenone|" + newKey + "|" + oldKey},
		{`{"previous_token":""}`, "app-secret|next-secret|tokentwo||" + newKey + "|" + oldKey},
		{`{"secret":"next-secret"}`, "next-secret||tokentwo||" + newKey + "|" + oldKey},
		{`{}`, "next-secret||tokentwo||" + newKey + "|" + oldKey},
	}
	for _, step := range steps {
		r := w.call("PATCH", target, step.body)
		if r.status != 200 {
			t.Fatalf("%s: got %d %s", step.body, r.status, r.body)
		}
		c, err := w.store.Component(t.Context(), component)
		if err != nil {
			t.Fatal(err)
		}
		got := []string{c.Secret.Reveal(), c.StagedSecret.Reveal(), c.Token.Reveal(), c.PreviousToken.Reveal(), c.EncodingAESKey.Reveal(), c.PreviousEncodingAESKey.Reveal()}
		if strings.Join(got, "|") != step.want {
			t.Errorf("%s: stored is %v, want %s", step.body, got, step.want)
		}
		for _, secret := range got {
			if secret != "" && strings.Contains(r.body, secret) {
				t.Errorf("a secret is in the reply: %s", r.body)
			}
		}
	}
	for body, want := range map[string]int{`{"token":"a b"}`: 422, `{"staged_secret":"has a space"}`: 422, `{"secret":""}`: 422, `{"appid":"x"}`: 400} {
		if r := w.call("PATCH", target, body); r.status != want {
			t.Errorf("%s: got %d %s", body, r.status, r.body)
		}
	}
	if r := w.call("PATCH", "/v1/components/"+string(other), `{}`); r.status != 404 {
		t.Errorf("got %d %s", r.status, r.body)
	}
	if r := w.call("POST", target+"/reconcile", ""); r.status != 200 || !strings.Contains(r.body, `"listed":7`) || len(w.reconciled) != 1 {
		t.Errorf("got %d %s", r.status, r.body)
	}
}

func TestETags(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.addComponent(component)
	w.authorize(component, account, "")
	id, _ := w.newKey(access.Scope{Operations: []access.Operation{access.ReadTokens}})
	for _, tt := range []struct{ read, method, change, first, second string }{
		{"/v1/components/" + string(component), "PATCH", "", `{"secret":"s1"}`, `{"secret":"s2"}`},
		{"/v1/authorizers/" + string(account), "PUT", "/tags", `{"tags":["a"]}`, `{"tags":["b"]}`},
		{"/v1/api-keys/" + id, "PATCH", "", `{"name":"a"}`, `{"name":"b"}`},
	} {
		read := w.call("GET", tt.read, "")
		tag := read.header.Get("ETag")
		if tag == "" {
			t.Fatalf("%s has no ETag: %d %s", tt.read, read.status, read.body)
		}
		for _, header := range []string{tag, `"x", W/` + tag, "*"} {
			if r := w.callWith("If-None-Match", header, "GET", tt.read, ""); r.status != 304 || r.body != "" || r.header.Get("ETag") != tag {
				t.Errorf("%s with %s: got %d %s", tt.read, header, r.status, r.body)
			}
		}
		w.clock.Advance(time.Millisecond)
		if r := w.callWith("If-Match", tag, tt.method, tt.read+tt.change, tt.first); r.status != 200 || r.header.Get("ETag") == tag {
			t.Errorf("%s: got %d %s %v", tt.read, r.status, r.body, r.header)
		}
		if r := w.callWith("If-Match", tag, tt.method, tt.read+tt.change, tt.second); r.status != 412 || r.name(t) != "precondition-failed" {
			t.Errorf("%s: got %d %s", tt.read, r.status, r.body)
		}
		if r := w.callWith("If-None-Match", tag, "GET", tt.read, ""); r.status != 200 {
			t.Errorf("%s: got %d %s", tt.read, r.status, r.body)
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.addComponent(component)
	make1 := func(idempotency, body string) response {
		return w.callWith("Idempotency-Key", idempotency, "POST", "/v1/authorization-links", body)
	}
	body := `{"component_appid":"` + string(component) + `"}`
	first, again, another := make1("a", body), make1("a", body), make1("b", body)
	if first.status != 201 || again.status != 201 || again.body != first.body || again.header.Get("ETag") != first.header.Get("ETag") || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("got %d %s, then %d %s", first.status, first.body, again.status, again.body)
	}
	if another.body == first.body || again.header.Get("Cache-Control") != "no-store" {
		t.Errorf("another key got %s", another.body)
	}
	if r := make1("a", `{"component_appid":"`+string(component)+`","reference":"x"}`); r.status != 422 || r.name(t) != "idempotency-conflict" {
		t.Errorf("got %d %s", r.status, r.body)
	}
	if r := make1(strings.Repeat("x", 256), body); r.status != 400 {
		t.Errorf("got %d %s", r.status, r.body)
	}
	if r := make1("big", `{"component_appid":"`+strings.Repeat("x", 70<<10)+`"}`); r.status != 413 {
		t.Errorf("got %d %s", r.status, r.body)
	}
	// Somebody else's keys are somebody else's.
	_, caller := w.newKey(access.Scope{Operations: []access.Operation{access.WriteLinks}})
	r := newRequest(t, "POST", "/v1/authorization-links", body)
	r.Header.Set("Authorization", "Bearer "+caller)
	r.Header.Set("Idempotency-Key", "a")
	if r := w.serve(r); r.status != 201 || r.body == first.body {
		t.Errorf("got %d %s", r.status, r.body)
	}
	// A mistake of the caller's is an answer too.
	if a, b := make1("wrong", `{}`), make1("wrong", `{}`); a.status != 400 || b.status != 400 || b.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("got %d, then %d", a.status, b.status)
	}

	// While the first is under way the second has to wait; what the server could not do
	// is not kept.
	patch := func() response {
		return w.callWith("Idempotency-Key", "c", "PATCH", "/v1/components/"+string(component), `{"secret":"s1"}`)
	}
	var during response
	w.putting = func() error {
		w.putting = nil
		during = patch()
		return errors.New("the disk is full")
	}
	if r := patch(); r.status != 503 || during.status != 409 || during.name(t) != "idempotency-conflict" {
		t.Errorf("got %d, and %d meanwhile", r.status, during.status)
	}
	if r := patch(); r.status != 200 || r.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("got %d %s", r.status, r.body)
	}
	// A day later the key may be used for anything.
	w.clock.Advance(25 * time.Hour)
	if r := make1("a", body); r.status != 201 || r.body == first.body {
		t.Errorf("got %d %s", r.status, r.body)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	pushes := []store.Push{
		{Kind: "component_verify_ticket", Body: []byte("<xml><ComponentVerifyTicket><![CDATA[ticket@@@secret]]></ComponentVerifyTicket></xml>")},
		{Kind: "authorized", Authorizer: account, Body: []byte(`{"InfoType":"authorized","AuthorizationCode":"queryauthcode@@@secret", "PreAuthCode" : "pre\"secret"}`)},
		{Kind: "text", Authorizer: account, Body: []byte("<xml><Content>hello</Content></xml>"), Reply: []byte("<xml>hi</xml>")},
		{Kind: "event.subscribe", Authorizer: stranger, Body: []byte("<xml/>")},
	}
	for i, p := range pushes {
		p.Component, p.Key, p.CreatedAt, p.ReceivedAt = component, fmt.Sprint(i), expiry, expiry
		if _, _, err := w.store.AcceptPush(t.Context(), store.Intake{Push: p}); err != nil {
			t.Fatal(err)
		}
		if p.Reply != nil {
			if err := w.store.SaveReply(t.Context(), p.Key, p.Reply); err != nil {
				t.Fatal(err)
			}
		}
	}
	var kinds, ids []string
	for cursor := ""; ; {
		var page struct {
			Items []struct{ ID, Kind string }
			Next  string `json:"next_cursor"`
		}
		r := w.call("GET", "/v1/events?limit=3&cursor="+cursor, "")
		if err := json.Unmarshal([]byte(r.body), &page); err != nil || r.status != 200 || strings.Contains(r.body, "hello") {
			t.Fatalf("got %d %s", r.status, r.body)
		}
		for _, item := range page.Items {
			kinds, ids = append(kinds, item.Kind), append(ids, item.ID)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if strings.Join(kinds, " ") != "component_verify_ticket authorized text event.subscribe" {
		t.Fatalf("got %v", kinds)
	}
	for query, want := range map[string]int{"?kind=text": 1, "?authorizer=" + string(account): 2, "?component=" + string(other): 0, "?component=" + string(component): 4} {
		if r := w.call("GET", "/v1/events"+query, ""); strings.Count(r.body, `"kind"`) != want {
			t.Errorf("%s: got %s", query, r.body)
		}
	}
	for i, id := range ids {
		r := w.call("GET", "/v1/events/"+id, "")
		if r.status != 200 || strings.Contains(r.body, "secret") {
			t.Errorf("%s: got %d %s", kinds[i], r.status, r.body)
		}
		if i == 2 && (!strings.Contains(r.body, "<Content>hello</Content>") || !strings.Contains(r.body, "<xml>hi</xml>")) {
			t.Errorf("got %s", r.body)
		}
	}
	for _, target := range []string{"/v1/events/0", "/v1/events/999", "/v1/events/x", "/v1/events/99999999999999999999"} {
		if r := w.call("GET", target, ""); r.status != 404 || r.name(t) != "unknown-event" {
			t.Errorf("%s: got %d %s", target, r.status, r.body)
		}
	}
	if r := w.call("GET", "/v1/events?cursor=x", ""); r.status != 400 {
		t.Errorf("got %d %s", r.status, r.body)
	}
}

// TestRecorded demands that whatever hands out a secret or changes something is in the
// audit log before it is answered, and does not happen if it cannot be.
func TestRecorded(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	scope := access.Scope{Operations: []access.Operation{access.ReadTokens}}
	m.keyScope = `{"operations":["tokens:read"]}`
	recorded := func() (operation string, seq int64) {
		entries, err := m.audit.PageBackwards(t.Context(), 0, 1)
		if err != nil || len(entries) == 0 {
			t.Fatalf("there is no record: %v", err)
		}
		return entries[0].Operation, entries[0].Seq
	}
	for _, id := range []string{
		"put-authorizer-tags", "get-access-token", "report-access-token", "refresh-access-token", "create-authorization-link",
		"put-component", "change-component", "get-component-access-token", "reconcile-component", "get-event", "replay-event",
		"create-subscription", "change-subscription", "delete-subscription", "pause-subscription", "resume-subscription",
		"test-subscription", "rotate-subscription-secret", "replay-subscription",
		"create-api-key", "change-api-key", "rotate-api-key", "revoke-api-key", "start-job",
	} {
		m.key, _ = m.newKey(scope)
		route, request := routeOf(t, id), requests[id]
		body := ""
		if request.body != nil {
			body = request.body(m)
		}
		target := request.target(m)
		_, before := recorded()
		m.auditFails = true
		r := m.call(route.Method, target, body)
		if r.status != 503 || r.name(t) != "storage-unavailable" {
			t.Errorf("%s without a record: got %d %s", id, r.status, r.body)
		}
		m.auditFails = false
		if k, err := m.keys.Get(t.Context(), m.key); err != nil || k.Version != 1 {
			t.Errorf("%s without a record changed the key: %+v, %v", id, k, err)
		}
		if r := m.call(route.Method, target, body); r.status != route.Status && r.status != route.Or {
			t.Errorf("%s: got %d %s", id, r.status, r.body)
		}
		if operation, after := recorded(); operation != id || after != before+1 {
			t.Errorf("%s is recorded as %s, %d records", id, operation, after-before)
		}
	}
	if len(m.reconciled) != 1 {
		t.Errorf("%d comparisons", len(m.reconciled))
	}
	r := m.call("GET", "/v1/audit?limit=2", "")
	var page struct {
		Items []struct {
			Seq             int64
			Actor, Address  string
			Operation, Hash string
			RequestID       string `json:"request_id"`
		}
		Next string `json:"next_cursor"`
	}
	if err := json.Unmarshal([]byte(r.body), &page); err != nil || len(page.Items) != 2 || page.Next != fmt.Sprint(page.Items[1].Seq) {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	if e := page.Items[0]; e.Actor != "bootstrap" || e.Address != "192.0.2.1" || e.RequestID == "" || len(e.Hash) != 64 || e.Seq != page.Items[1].Seq+1 {
		t.Errorf("got %+v", e)
	}
	if head := m.call("GET", "/v1/audit/head", ""); !strings.Contains(head.body, page.Items[0].Hash) {
		t.Errorf("the head is %s", head.body)
	}
	all := m.call("GET", "/v1/audit?limit=500", "")
	for _, secret := range []string{"access-token-1", "app-secret", "wxk_", key} {
		if strings.Contains(all.body, secret) {
			t.Errorf("a secret is in the audit log: %s", all.body)
		}
	}
}
