package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
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
		{"user", func(ctx context.Context, c *client.Client) error { _, err := c.User(ctx, "u1"); return err },
			"GET /v1/users/u1  "},
		{"a new user", func(ctx context.Context, c *client.Client) error {
			_, err := c.CreateUser(ctx, client.NewUser{Name: "duty", FullName: "值班", Role: "viewer", Password: *secret("p")})
			return err
		}, `POST /v1/users  {"name":"duty","full_name":"值班","role":"viewer","password":"p"}`},
		{"the least user", func(ctx context.Context, c *client.Client) error {
			_, err := c.CreateUser(ctx, client.NewUser{Name: "duty", Role: "viewer"})
			return err
		}, `POST /v1/users  {"name":"duty","role":"viewer"}`},
		{"a changed user", func(ctx context.Context, c *client.Client) error {
			_, err := c.ChangeUser(ctx, "u1", client.UserChange{Role: new("admin"), Disabled: new(false)}, `"e"`)
			return err
		}, `PATCH /v1/users/u1 "e" {"role":"admin","disabled":false}`},
		{"a deleted user", func(ctx context.Context, c *client.Client) error { return c.DeleteUser(ctx, "u1") },
			"DELETE /v1/users/u1  "},
		{"another password", func(ctx context.Context, c *client.Client) error {
			_, err := c.ResetUserPassword(ctx, "u1")
			return err
		},
			"POST /v1/users/u1/password  "},
		{"no authenticator", func(ctx context.Context, c *client.Client) error { _, err := c.ResetUserTOTP(ctx, "u1"); return err },
			"DELETE /v1/users/u1/totp  "},
		{"sessions", func(ctx context.Context, c *client.Client) error { _, err := c.UserSessions(ctx, "u1"); return err },
			"GET /v1/users/u1/sessions  "},
		{"an ended session", func(ctx context.Context, c *client.Client) error { return c.EndUserSession(ctx, "u1", "s1") },
			"DELETE /v1/users/u1/sessions/s1  "},
		{"ended sessions", func(ctx context.Context, c *client.Client) error { return c.EndUserSessions(ctx, "u1") },
			"DELETE /v1/users/u1/sessions  "},
		{"event", func(ctx context.Context, c *client.Client) error { _, err := c.Event(ctx, "7"); return err },
			"GET /v1/events/7  "},
		{"subscription", func(ctx context.Context, c *client.Client) error { _, err := c.Subscription(ctx, "sub_1"); return err },
			"GET /v1/subscriptions/sub_1  "},
		{"a new subscription", func(ctx context.Context, c *client.Client) error {
			_, err := c.CreateSubscription(ctx, client.NewSubscription{
				Name: "n", Match: client.Match{Kinds: []string{"text"}, Tags: []string{"t"}}, Sink: client.Sink{Type: client.SinkWebhook, URL: "https://example.com", Format: client.FormatWeChat},
				Priority: 3, Ordered: true, Concurrency: 2, Reply: true, MaxAge: time.Hour,
				Secrets: client.SubscriptionSecrets{Token: secret("t"), EncodingAESKey: secret("k"), Headers: map[string]tuoguan.Secret{"A": *secret("b")}},
			})
			return err
		}, `POST /v1/subscriptions  {"concurrency":2,"match":{"tags":["t"],"kinds":["text"]},"max_age":3600,"name":"n","ordered":true,"priority":3,"reply":true,"secrets":{"encoding_aes_key":"k","headers":{"A":"b"},"token":"t"},"sink":{"type":"webhook","url":"https://example.com","format":"wechat"}}`},
		{"the least subscription", func(ctx context.Context, c *client.Client) error {
			_, err := c.CreateSubscription(ctx, client.NewSubscription{Name: "n", Match: client.Match{Kinds: []string{"*"}}, Sink: client.Sink{Type: client.SinkNATS}})
			return err
		}, `POST /v1/subscriptions  {"match":{"kinds":["*"]},"name":"n","sink":{"type":"nats"}}`},
		{"a changed subscription", func(ctx context.Context, c *client.Client) error {
			no, age := false, time.Duration(0)
			_, err := c.ChangeSubscription(ctx, "sub_1", client.SubscriptionChange{Ordered: &no, MaxAge: &age, Secrets: client.SubscriptionSecrets{User: new(""), Password: secret("")}}, `"e"`)
			return err
		}, `PATCH /v1/subscriptions/sub_1 "e" {"max_age":0,"ordered":false,"secrets":{"password":"","user":""}}`},
		{"deleted", func(ctx context.Context, c *client.Client) error { return c.DeleteSubscription(ctx, "sub_1", `"e"`) },
			`DELETE /v1/subscriptions/sub_1 "e" `},
		{"pause", func(ctx context.Context, c *client.Client) error {
			_, err := c.PauseSubscription(ctx, "sub_1")
			return err
		}, "POST /v1/subscriptions/sub_1/pause  "},
		{"resume", func(ctx context.Context, c *client.Client) error {
			_, err := c.ResumeSubscription(ctx, "sub_1")
			return err
		}, "POST /v1/subscriptions/sub_1/resume  "},
		{"test", func(ctx context.Context, c *client.Client) error {
			_, err := c.TestSubscription(ctx, "sub_1")
			return err
		},
			"POST /v1/subscriptions/sub_1/test  "},
		{"a new signing secret", func(ctx context.Context, c *client.Client) error {
			_, err := c.RotateSigningSecret(ctx, "sub_1", time.Hour)
			return err
		}, `POST /v1/subscriptions/sub_1/secret/rotate  {"overlap_seconds":3600}`},
		{"a new signing secret at once", func(ctx context.Context, c *client.Client) error {
			_, err := c.RotateSigningSecret(ctx, "sub_1", -1)
			return err
		}, `POST /v1/subscriptions/sub_1/secret/rotate  {"overlap_seconds":0}`},
		{"replay of the dead", func(ctx context.Context, c *client.Client) error {
			_, err := c.ReplaySubscription(ctx, "sub_1", client.Replay{Dead: true})
			return err
		}, `POST /v1/subscriptions/sub_1/replay  {"dead":true}`},
		{"replay of a part", func(ctx context.Context, c *client.Client) error {
			_, err := c.ReplaySubscription(ctx, "sub_1", client.Replay{Since: at, Kind: "event.*", Authorizer: account})
			return err
		}, `POST /v1/subscriptions/sub_1/replay  {"authorizer":"wxaaaaaaaaaaaaaaaa","kind":"event.*","since":"2030-01-02T03:04:05Z"}`},
		{"how far a replay is", func(ctx context.Context, c *client.Client) error { _, err := c.ReplayJob(ctx, "sub_1"); return err },
			"GET /v1/subscriptions/sub_1/replay  "},
		{"replay of an event", func(ctx context.Context, c *client.Client) error { _, err := c.ReplayEvent(ctx, "7", ""); return err },
			"POST /v1/events/7/replay  {}"},
		{"replay of an event to one", func(ctx context.Context, c *client.Client) error {
			_, err := c.ReplayEvent(ctx, "7", "sub_1")
			return err
		}, `POST /v1/events/7/replay  {"subscription":"sub_1"}`},
		{"deliveries", func(ctx context.Context, c *client.Client) error {
			for _, err := range c.Deliveries(ctx, client.DeliveryQuery{Subscription: "sub_1", State: client.DeliveryDead, Before: "7"}) {
				return err
			}
			return nil
		}, "GET /v1/deliveries?cursor=7&limit=500&state=dead&subscription=sub_1  "},
		{"the newest events", func(ctx context.Context, c *client.Client) error {
			for _, err := range c.Events(ctx, client.EventQuery{Since: at, Until: at.Add(time.Hour), Newest: true}) {
				return err
			}
			return nil
		}, "GET /v1/events?limit=500&order=desc&since=2030-01-02T03%3A04%3A05Z&until=2030-01-02T04%3A04%3A05Z  "},
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
	s, err := c.Subscription(t.Context(), "sub_1")
	if err != nil || s.ETag != `"e"` {
		t.Errorf("a subscription: %q, %v", s.ETag, err)
	}
	p, err := c.Component(t.Context(), ours)
	if err != nil || p.ETag != `"e"` {
		t.Errorf("a component: %q, %v", p.ETag, err)
	}
}

func TestSigningSecret(t *testing.T) {
	t.Parallel()
	_, c := serve(t, client.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"e"`)
		answer(w, http.StatusCreated, map[string]any{"id": "sub_1", "state": "active", "signing_secret": "whsec_canary"})
	})
	made, err := c.CreateSubscription(t.Context(), client.NewSubscription{})
	if err != nil || made.ID != "sub_1" || made.State != client.SubscriptionActive || made.SigningSecret.Reveal() != "whsec_canary" || made.ETag != `"e"` {
		t.Errorf("got %+v, %v", made, err)
	}
	if text := fmt.Sprintf("%+v", made); strings.Contains(text, "canary") {
		t.Errorf("printed it shows %s", text)
	}
}
