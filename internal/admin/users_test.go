package admin_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/operator"
)

func TestUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	r := w.call("POST", "/v1/users", `{"name":"Duty","full_name":"值班","role":"operator"}`).expect(t, http.StatusCreated, "")
	id, initial := field(t, r, "user", "id"), field(t, r, "initial_password")
	if initial == "" || field(t, r, "user", "name") != "duty" {
		t.Fatalf("got %s", r.body)
	}
	path := "/v1/users/" + id
	tag := r.header.Get("ETag")
	if got := w.callWith("If-None-Match", w.call("GET", path, "").header.Get("ETag"), "GET", path, ""); got.status != http.StatusNotModified {
		t.Errorf("got %d", got.status)
	}
	if r := w.call("GET", path, ""); !strings.Contains(r.body, `"sessions":0`) {
		t.Errorf("got %s", r.body)
	}
	w.call("POST", "/v1/users", `{"name":"duty","role":"viewer"}`).expect(t, http.StatusUnprocessableEntity, "invalid-field")
	w.call("POST", "/v1/users", `{"name":"wang","role":"king"}`).expect(t, http.StatusUnprocessableEntity, "invalid-field")
	w.call("GET", "/v1/users/nobody", "").expect(t, http.StatusNotFound, "unknown-user")
	w.call("PATCH", "/v1/users/nobody", `{}`).expect(t, http.StatusNotFound, "unknown-user")

	token := w.signIn(t, "duty", initial)
	w.browse(token, "GET", "/v1/authorizers", "").expect(t, http.StatusForbidden, "must-change-password")
	changed := w.browse(token, "POST", "/v1/session/password", body(map[string]string{"current": initial, "new": password})).expect(t, http.StatusOK, "")
	token = changed.cookie(t, loopbackCookie).Value
	w.browse(token, "GET", "/v1/authorizers", "").expect(t, http.StatusOK, "")

	if r := w.call("GET", path+"/sessions", ""); strings.Count(r.body, `"method":"password"`) != 1 || !strings.Contains(r.body, "Browser/1.0") || !strings.Contains(r.body, "192.0.2.1") {
		t.Errorf("got %s", r.body)
	}
	w.call("DELETE", path+"/sessions/nothing-of-the-kind", "").expect(t, http.StatusNotFound, "unknown-session")
	session := field(t, w.browse(token, "GET", "/v1/session", ""), "id")
	w.call("DELETE", path+"/sessions/"+session, "").expect(t, http.StatusNoContent, "")
	w.browse(token, "GET", "/v1/session", "").expect(t, http.StatusUnauthorized, "no-session")

	w.callWith("If-Match", tag, "PATCH", path, `{"role":"viewer"}`).expect(t, http.StatusPreconditionFailed, "precondition-failed") // the password has changed since
	w.callWith("If-Match", w.call("GET", path, "").header.Get("ETag"), "PATCH", path, `{"role":"viewer"}`).expect(t, http.StatusOK, "")
	token = w.begin(id)
	w.call("PATCH", path, `{"disabled":true}`).expect(t, http.StatusOK, "")
	w.browse(token, "GET", "/v1/session", "").expect(t, http.StatusUnauthorized, "no-session")
	w.call("PATCH", path, `{"disabled":false}`).expect(t, http.StatusOK, "")

	token = w.begin(id)
	next := field(t, w.call("POST", path+"/password", "").expect(t, http.StatusOK, ""), "initial_password")
	if next == "" || next == initial {
		t.Errorf("the new password is %q", next)
	}
	w.browse(token, "GET", "/v1/session", "").expect(t, http.StatusUnauthorized, "no-session")
	w.call("DELETE", path+"/totp", "").expect(t, http.StatusOK, "")
	w.begin(id)
	w.call("DELETE", path+"/sessions", "").expect(t, http.StatusNoContent, "")
	if r := w.call("GET", path+"/sessions", ""); r.body != "{\"items\":[]}\n" {
		t.Errorf("got %s", r.body)
	}
	w.call("DELETE", path, "").expect(t, http.StatusNoContent, "")
	w.call("GET", path, "").expect(t, http.StatusNotFound, "unknown-user")

	lines, text := w.recorded(t)
	seen := make(map[string]bool)
	for _, line := range lines {
		seen[line.Operation] = true
	}
	for _, operation := range []string{
		"create-user", "sign-in", "change-own-password", "end-user-session", "change-user", "reset-user-password", "reset-user-totp", "end-user-sessions", "delete-user",
	} {
		if !seen[operation] {
			t.Errorf("%s is not recorded", operation)
		}
	}
	for _, secret := range []string{initial, next, password} {
		if strings.Contains(text, secret) || strings.Contains(w.log.String(), secret) {
			t.Errorf("%q is in the audit log or in the log", secret)
		}
	}
}

// field returns a text of a JSON object, or of one in it.
func field(t *testing.T, r response, path ...string) string {
	t.Helper()
	var value any
	err := json.Unmarshal([]byte(r.body), &value)
	for _, name := range path {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	text, ok := value.(string)
	if err != nil || !ok {
		t.Fatalf("there is no %v in %d %s", path, r.status, r.body)
	}
	return text
}

// TestSecretsOfUsers demands that what users sign in with is in the one reply that hands
// it out, and nowhere else.
func TestSecretsOfUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	owner := w.addUser("duty", operator.Owner, withPassword)
	token := w.begin(owner)
	made := w.browse(token, "POST", "/v1/users", `{"name":"wang","role":"viewer"}`).expect(t, http.StatusCreated, "")
	reset := w.browse(token, "POST", "/v1/users/"+field(t, made, "user", "id")+"/password", "").expect(t, http.StatusOK, "")
	armed := w.browse(token, "POST", "/v1/session/totp", "").expect(t, http.StatusCreated, "")
	if !strings.HasPrefix(field(t, armed, "url"), "otpauth://totp/") {
		t.Errorf("got %s", armed.body)
	}
	secrets := []string{token, password, cheap, field(t, made, "initial_password"), field(t, reset, "initial_password"), field(t, armed, "secret")}
	shown := []string{w.log.String()}
	for _, target := range []string{
		"/v1/session", "/v1/users", "/v1/users/" + owner, "/v1/users/" + owner + "/sessions", "/v1/audit", "/v1/setup", "/", "/metrics",
	} {
		shown = append(shown, w.browse(token, "GET", target, "").body)
	}
	shown = append(shown,
		w.browse(token, "PATCH", "/v1/users/"+owner, `{"full_name":"值班"}`).body,
		w.browse(token, "PUT", "/v1/session/totp", `{"code":"000000"}`).expect(t, http.StatusUnprocessableEntity, "invalid-field").body,
		w.browse(token, "POST", "/v1/session/password", body(map[string]string{"current": password + "!", "new": password})).body,
	)
	for i, text := range shown {
		for j, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("secret %d is in %d: %s", j, i, text)
			}
		}
	}
	lines, _ := w.recorded(t)
	recorded := make(map[string]int)
	for _, line := range lines {
		recorded[line.Operation]++
	}
	for _, operation := range []string{"create-user", "reset-user-password", "begin-own-totp"} {
		if recorded[operation] != 1 {
			t.Errorf("%s handed something out and is recorded %d times", operation, recorded[operation])
		}
	}
}

// TestWhoMayChangeUsers demands that nobody changes, or makes, users who may do more.
func TestWhoMayChangeUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	owner, admin, viewer := w.addUser("owner", operator.Owner, withPassword), w.addUser("admin", operator.Admin), w.addUser("viewer", operator.Viewer)
	_, narrow := w.newKey(access.Scope{Operations: []access.Operation{access.ReadUsers, access.WriteUsers}})
	_, wide := w.newKey(access.Scope{Operations: operator.Admin.Operations()})
	asKey := func(key string) func(method, target, body string) response {
		return func(method, target, body string) response { return w.callAs("Bearer "+key, method, target, body) }
	}
	asUser := func(id string) func(method, target, body string) response {
		return func(method, target, body string) response { return w.browse(w.begin(id), method, target, body) }
	}
	for name, tt := range map[string]struct {
		call   func(method, target, body string) response
		target string
		role   string // that is given
		want   string
	}{
		"an admin, an owner":                 {asUser(admin), owner, "viewer", "forbidden-role"},
		"an admin makes an owner":            {asUser(admin), viewer, "owner", "forbidden-role"},
		"an admin makes himself an owner":    {asUser(admin), admin, "owner", "forbidden-role"},
		"a key for users alone":              {asKey(narrow), viewer, "auditor", "missing-scope"},
		"a key with an admin's scope":        {asKey(wide), owner, "viewer", "forbidden-role"},
		"a key with an admin's scope, raise": {asKey(wide), viewer, "owner", "forbidden-role"},
		"the last owner":                     {asUser(owner), owner, "admin", "last-owner"},
	} {
		t.Run(name, func(t *testing.T) {
			path := "/v1/users/" + tt.target
			r := tt.call("PATCH", path, `{"role":"`+tt.role+`"}`)
			if r.name(t) != tt.want {
				t.Errorf("got %d %s, want %s", r.status, r.body, tt.want)
			}
			if tt.want == "last-owner" {
				tt.call("DELETE", path, "").expect(t, http.StatusConflict, tt.want)
				tt.call("PATCH", path, `{"disabled":true}`).expect(t, http.StatusConflict, tt.want)
				return
			}
			tt.call("POST", "/v1/users", `{"name":"new","role":"`+tt.role+`"}`)
			if tt.target == owner || strings.Contains(tt.want, "scope") {
				for _, other := range [][2]string{{"DELETE", ""}, {"POST", "/password"}, {"DELETE", "/totp"}, {"DELETE", "/sessions"}, {"DELETE", "/sessions/x"}} {
					tt.call(other[0], path+other[1], "").expect(t, http.StatusForbidden, tt.want)
				}
			}
		})
	}
}
