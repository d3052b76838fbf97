package admin_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestRedeem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, key)
	w.authorize(component, account, "")
	if r := w.call("POST", "/v1/oauth/redeem", `{"code":"right"}`); r.status != http.StatusOK || !strings.Contains(r.body, `"openid":"openid-1"`) {
		t.Errorf("got %d %s", r.status, r.body)
	}
	for body, name := range map[string]string{`{"code":"wrong"}`: "unknown-code", `{"code":""}`: "bad-request", `{}`: "bad-request"} {
		if r := w.call("POST", "/v1/oauth/redeem", body); r.name(t) != name {
			t.Errorf("%s got %d %s", body, r.status, r.body)
		}
	}
}
