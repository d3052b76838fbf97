package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/client"
)

// TestRequests demands that each method asks for what it is there for.
func TestRequests(t *testing.T) {
	t.Parallel()
	a := tuoguan.Authorization{Authorizer: account}
	secret := func(value string) *tuoguan.Secret { s := tuoguan.NewSecret(value); return &s }
	name := "a name"
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name string
		call func(context.Context, *client.Client) error
		want string // method, URI, If-Match and body
	}{
		{"authorizer", func(ctx context.Context, c *client.Client) error { _, err := c.Authorizer(ctx, a); return err },
			"GET /v1/authorizers/wxaaaaaaaaaaaaaaaa?component=wx0123456789abcdef  "},
		{"authorizer of a component", func(ctx context.Context, c *client.Client) error {
			_, err := c.Authorizer(ctx, tuoguan.Authorization{Component: "wx1", Authorizer: account})
			return err
		}, "GET /v1/authorizers/wxaaaaaaaaaaaaaaaa?component=wx1  "},
		{"tags", func(ctx context.Context, c *client.Client) error {
			_, err := c.SetTags(ctx, a, []string{"x", "茶"}, `"e"`)
			return err
		}, `PUT /v1/authorizers/wxaaaaaaaaaaaaaaaa/tags?component=wx0123456789abcdef "e" {"tags":["x","茶"]}`},
		{"no tags", func(ctx context.Context, c *client.Client) error { _, err := c.SetTags(ctx, a, nil, ""); return err },
			`PUT /v1/authorizers/wxaaaaaaaaaaaaaaaa/tags?component=wx0123456789abcdef  {"tags":[]}`},
		{"component", func(ctx context.Context, c *client.Client) error { _, err := c.Component(ctx, ours); return err },
			"GET /v1/components/wx0123456789abcdef  "},
		{"components", func(ctx context.Context, c *client.Client) error { _, err := c.Components(ctx); return err },
			"GET /v1/components  "},
		{"credentials", func(ctx context.Context, c *client.Client) error {
			_, err := c.PutComponent(ctx, client.Credentials{AppID: ours, Secret: *secret("s"), Token: *secret("t"), EncodingAESKey: *secret("k"), PreviousToken: *secret("p")})
			return err
		}, `POST /v1/components  {"appid":"wx0123456789abcdef","encoding_aes_key":"k","previous_token":"p","secret":"s","token":"t"}`},
		{"changed credentials", func(ctx context.Context, c *client.Client) error {
			_, err := c.ChangeComponent(ctx, ours, client.ComponentChange{StagedSecret: secret("s"), PreviousToken: secret("")}, `"e"`)
			return err
		}, `PATCH /v1/components/wx0123456789abcdef "e" {"previous_token":"","staged_secret":"s"}`},
		{"reconcile", func(ctx context.Context, c *client.Client) error { _, err := c.Reconcile(ctx, ours); return err },
			"POST /v1/components/wx0123456789abcdef/reconcile  "},
		{"link", func(ctx context.Context, c *client.Client) error { _, err := c.Link(ctx, "a/b"); return err },
			"GET /v1/authorization-links/a%2Fb  "},
		{"a new link", func(ctx context.Context, c *client.Client) error {
			_, err := c.CreateLink(ctx, client.NewLink{AuthType: 2, BizAppID: account, PermissionSets: []tuoguan.PermissionSet{1}, Reference: "r", ReturnURL: "u", ExpiresIn: time.Hour})
			return err
		}, `POST /v1/authorization-links  {"component_appid":"wx0123456789abcdef","auth_type":2,"biz_appid":"wxaaaaaaaaaaaaaaaa","permission_sets":[1],"reference":"r","return_url":"u","expires_in":3600}`},
		{"the least link", func(ctx context.Context, c *client.Client) error {
			_, err := c.CreateLink(ctx, client.NewLink{})
			return err
		},
			`POST /v1/authorization-links  {"component_appid":"wx0123456789abcdef"}`},
		{"key", func(ctx context.Context, c *client.Client) error { _, err := c.APIKey(ctx, "k1"); return err },
			"GET /v1/api-keys/k1  "},
		{"a new key", func(ctx context.Context, c *client.Client) error {
			_, err := c.CreateAPIKey(ctx, client.NewAPIKey{Name: "n", Expires: client.Expiry{In: time.Hour}, Scope: client.Scope{
				Operations: []string{"*"}, Components: []tuoguan.ComponentAppID{ours}, Authorizers: []tuoguan.AuthorizerAppID{account}, Tags: []string{"t"},
				Paths: []string{"/cgi-bin/*"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Rate: 2.5,
			}})
			return err
		}, `POST /v1/api-keys  {"name":"n","scope":{"operations":["*"],"components":["wx0123456789abcdef"],"authorizers":["wxaaaaaaaaaaaaaaaa"],"tags":["t"],"paths":["/cgi-bin/*"],"networks":["10.0.0.0/8"],"rate":2.5},"expires_in":3600}`},
		{"a changed name", func(ctx context.Context, c *client.Client) error {
			_, err := c.ChangeAPIKey(ctx, "k1", client.APIKeyChange{Name: &name, Expires: client.Expiry{Never: true}}, `"e"`)
			return err
		}, `PATCH /v1/api-keys/k1 "e" {"name":"a name","never_expires":true}`},
		{"a changed scope", func(ctx context.Context, c *client.Client) error {
			_, err := c.ChangeAPIKey(ctx, "k1", client.APIKeyChange{Scope: &client.Scope{Operations: []string{"tokens:read"}}, Expires: client.Expiry{At: at}}, "")
			return err
		}, `PATCH /v1/api-keys/k1  {"scope":{"operations":["tokens:read"]},"expires_at":"2030-01-02T03:04:05Z"}`},
		{"rotate", func(ctx context.Context, c *client.Client) error {
			_, err := c.RotateAPIKey(ctx, "k1", client.Rotation{})
			return err
		}, "POST /v1/api-keys/k1/rotate  {}"},
		{"rotate at once", func(ctx context.Context, c *client.Client) error {
			_, err := c.RotateAPIKey(ctx, "k1", client.Rotation{Grace: -1, Expires: client.Expiry{In: time.Minute}})
			return err
		}, `POST /v1/api-keys/k1/rotate  {"grace_seconds":0,"expires_in":60}`},
		{"revoke", func(ctx context.Context, c *client.Client) error { _, err := c.RevokeAPIKey(ctx, "k1"); return err },
			"POST /v1/api-keys/k1/revoke  "},
		{"event", func(ctx context.Context, c *client.Client) error { _, err := c.Event(ctx, "7"); return err },
			"GET /v1/events/7  "},
		{"head", func(ctx context.Context, c *client.Client) error { _, err := c.AuditHead(ctx); return err },
			"GET /v1/audit/head  "},
		{"a new job", func(ctx context.Context, c *client.Client) error { _, err := c.StartJob(ctx, "rekey"); return err },
			`POST /v1/jobs  {"kind":"rekey"}`},
		{"lists", func(ctx context.Context, c *client.Client) error {
			for _, err := range c.Events(ctx, client.EventQuery{Component: ours, Authorizer: account, Kind: "text", After: "7"}) {
				return err
			}
			return nil
		}, "GET /v1/events?authorizer=wxaaaaaaaaaaaaaaaa&component=wx0123456789abcdef&cursor=7&kind=text&limit=500  "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got string
			_, c := serve(t, client.Config{Component: ours}, func(w http.ResponseWriter, r *http.Request) {
				got = fmt.Sprintf("%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("If-Match"), text(t, r.Body))
				answer(w, http.StatusOK, map[string]any{})
			})
			if err := tt.call(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestETags(t *testing.T) {
	t.Parallel()
	_, c := serve(t, client.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"e"`)
		answer(w, http.StatusOK, map[string]any{})
	})
	a, err := c.Authorizer(t.Context(), tuoguan.Authorization{Authorizer: account})
	if err != nil || a.ETag != `"e"` {
		t.Errorf("an authorizer: %q, %v", a.ETag, err)
	}
	k, err := c.APIKey(t.Context(), "k1")
	if err != nil || k.ETag != `"e"` {
		t.Errorf("a key: %q, %v", k.ETag, err)
	}
	p, err := c.Component(t.Context(), ours)
	if err != nil || p.ETag != `"e"` {
		t.Errorf("a component: %q, %v", p.ETag, err)
	}
}
