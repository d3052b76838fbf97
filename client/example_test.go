package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/client"
	"github.com/tuoguan/tuoguan/wxapi"
)

// tuoguanServer stands in for a server: it answers each path with a body. Real code
// has the addresses of its own in the Config.
func tuoguanServer(bodies map[string]string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := bodies[r.Method+" "+r.URL.Path]
		if !ok {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusConflict)
			body = `{"type":"https://github.com/tuoguan/tuoguan/blob/main/docs/problems.md#revoked","title":"authorization revoked","status":409,
				"detail":"the merchant took the authorization back","detail_zh":"商家已取消授权"}`
		}
		_, _ = io.WriteString(w, body)
	}))
}

// newClient makes a client of such a server.
func newClient(server *httptest.Server) *client.Client {
	c, err := client.New(client.Config{
		AdminURL:   server.URL,
		GatewayURL: server.URL,
		APIKey:     tuoguan.NewSecret("the-API-key"),
		Component:  "wx0123456789abcdef",
	})
	if err != nil {
		panic(err)
	}
	return c
}

func Example() {
	server := tuoguanServer(map[string]string{
		"GET /v1/authorizers/wxaaaaaaaaaaaaaaaa/access-token": `{"access_token":"88_token","expires_at":"2030-01-01T00:00:00Z"}`,
	})
	defer server.Close()
	c := newClient(server)
	token, err := c.Token(context.Background(), tuoguan.AuthorizerToken("", "wxaaaaaaaaaaaaaaaa"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.Value.Reveal(), token.ExpiresAt.Format(time.DateOnly)) // printing token.Value shows a fingerprint only
	// Output: 88_token 2030-01-01
}

// A Client is the source of tokens for a wxapi.Client, which reports those that WeChat
// refuses by itself.
func ExampleClient_Token() {
	server := tuoguanServer(map[string]string{
		"GET /v1/authorizers/wxaaaaaaaaaaaaaaaa/access-token": `{"access_token":"88_token","expires_at":"2030-01-01T00:00:00Z"}`,
	})
	defer server.Close()
	wechat, err := wxapi.New(wxapi.Config{Tokens: newClient(server)})
	fmt.Println(wechat != nil, err)
	// Output: true <nil>
}

func ExampleClient_Invalidate() {
	server := tuoguanServer(map[string]string{
		"POST /v1/authorizers/wxaaaaaaaaaaaaaaaa/access-token/invalid": `{"access_token":"88_new","expires_at":"2030-01-01T00:00:00Z"}`,
	})
	defer server.Close()
	c := newClient(server)
	// WeChat has answered a call with errcode 40001.
	token, err := c.Invalidate(context.Background(), tuoguan.AuthorizerToken("", "wxaaaaaaaaaaaaaaaa"), tuoguan.NewSecret("88_old"))
	fmt.Println(token.Value.Reveal(), err)
	// Output: 88_new <nil>
}

func ExampleClient_Refresh() {
	server := tuoguanServer(map[string]string{
		"POST /v1/authorizers/wxaaaaaaaaaaaaaaaa/refresh": `{"access_token":"88_new","expires_at":"2030-01-01T00:00:00Z"}`,
	})
	defer server.Close()
	token, err := newClient(server).Refresh(context.Background(), tuoguan.AuthorizerToken("", "wxaaaaaaaaaaaaaaaa"))
	fmt.Println(token.Value.Reveal(), err)
	// Output: 88_new <nil>
}

// Code that was written for an account of its own works for any authorizer.
func ExampleClient_Transport() {
	server := tuoguanServer(map[string]string{
		"GET /as/wxaaaaaaaaaaaaaaaa/cgi-bin/menu/get": `{"menu":{}}`,
	})
	defer server.Close()
	c := newClient(server)
	wechat := &http.Client{Transport: c.Transport(tuoguan.AuthorizerToken("", "wxaaaaaaaaaaaaaaaa"))}
	response, err := wechat.Get("https://api.weixin.qq.com/cgi-bin/menu/get")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	fmt.Println(string(body), err)
	// Output: {"menu":{}} <nil>
}

func ExampleProblem() {
	server := tuoguanServer(nil) // where every authorization is revoked
	defer server.Close()
	wechat := &http.Client{Transport: newClient(server).Transport(tuoguan.AuthorizerToken("", "wxaaaaaaaaaaaaaaaa"))}
	response, err := wechat.Get("https://api.weixin.qq.com/cgi-bin/menu/get")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = response.Body.Close() }()
	if err := client.Problem(response); err != nil {
		fmt.Println(errors.Is(err, client.ErrRevoked), err)
		return
	}
	// What is left is WeChat's answer.
	// Output: true authorization revoked: the merchant took the authorization back
}

func ExampleError() {
	server := tuoguanServer(nil)
	defer server.Close()
	_, err := newClient(server).Token(context.Background(), tuoguan.AuthorizerToken("", "wxaaaaaaaaaaaaaaaa"))
	var refused *client.Error
	switch {
	case errors.Is(err, client.ErrRevoked), errors.Is(err, client.ErrNeedsReauthorization):
		errors.As(err, &refused)
		fmt.Println("send the merchant an authorization link:", refused.DetailZh)
	case errors.Is(err, client.ErrUnavailable):
		fmt.Println("try again later")
	}
	// Output: send the merchant an authorization link: 商家已取消授权
}

func ExampleClient_Authorizers() {
	server := tuoguanServer(map[string]string{
		"GET /v1/authorizers": `{"items":[{"appid":"wxaaaaaaaaaaaaaaaa","nick_name":"Tea House"},{"appid":"wxbbbbbbbbbbbbbbbb","nick_name":"茶馆"}],"next_cursor":""}`,
	})
	defer server.Close()
	for a, err := range newClient(server).Authorizers(context.Background(), client.AuthorizerQuery{State: tuoguan.StateActive}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(a.AppID, a.NickName)
	}
	// Output:
	// wxaaaaaaaaaaaaaaaa Tea House
	// wxbbbbbbbbbbbbbbbb 茶馆
}

func ExampleClient_SetTags() {
	server := tuoguanServer(map[string]string{
		"PUT /v1/authorizers/wxaaaaaaaaaaaaaaaa/tags": `{"appid":"wxaaaaaaaaaaaaaaaa","tags":["production"]}`,
	})
	defer server.Close()
	a, err := newClient(server).SetTags(context.Background(), tuoguan.Authorization{Authorizer: "wxaaaaaaaaaaaaaaaa"}, []string{"production"}, "")
	fmt.Println(a.Tags, err)
	// Output: [production] <nil>
}

func ExampleClient_CreateLink() {
	server := tuoguanServer(map[string]string{
		"POST /v1/authorization-links": `{"id":"4Zr1mXbq0Yd2","url":"https://open.example.com/authorize/4Zr1mXbq0Yd2","state":"open"}`,
	})
	defer server.Close()
	link, err := newClient(server).CreateLink(context.Background(), client.NewLink{Reference: "shop-1", ExpiresIn: 24 * time.Hour})
	fmt.Println(link.URL, err)
	// Output: https://open.example.com/authorize/4Zr1mXbq0Yd2 <nil>
}

func ExampleClient_PutComponent() {
	server := tuoguanServer(map[string]string{
		"POST /v1/components": `{"appid":"wx0123456789abcdef","event_url":"https://open.example.com/wx/wx0123456789abcdef/event"}`,
	})
	defer server.Close()
	stored, err := newClient(server).PutComponent(context.Background(), client.Credentials{
		AppID:          "wx0123456789abcdef",
		Secret:         tuoguan.NewSecret("the AppSecret"),
		Token:          tuoguan.NewSecret("theToken"),
		EncodingAESKey: tuoguan.NewSecret("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"),
	})
	fmt.Println(stored.EventURL, err)
	// Output: https://open.example.com/wx/wx0123456789abcdef/event <nil>
}

func ExampleClient_ChangeComponent() {
	server := tuoguanServer(map[string]string{
		"PATCH /v1/components/wx0123456789abcdef": `{"appid":"wx0123456789abcdef","staged_secret":true}`,
	})
	defer server.Close()
	next := tuoguan.NewSecret("the AppSecret to come")
	stored, err := newClient(server).ChangeComponent(context.Background(), "wx0123456789abcdef", client.ComponentChange{StagedSecret: &next}, "")
	fmt.Println(stored.StagedSecret, err)
	// Output: true <nil>
}

func ExampleClient_CreateAPIKey() {
	server := tuoguanServer(map[string]string{
		"POST /v1/api-keys": `{"id":"0a1b2c3d4e5f","name":"crm","scope":{"operations":["tokens:refresh"]},"key":"wxk_0a1b2c3d4e5f_…"}`,
	})
	defer server.Close()
	made, err := newClient(server).CreateAPIKey(context.Background(), client.NewAPIKey{
		Name:    "crm",
		Scope:   client.Scope{Operations: []string{"tokens:refresh"}, Tags: []string{"production"}},
		Expires: client.Expiry{In: 90 * 24 * time.Hour},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(made.ID, made.Key.IsZero()) // made.Key.Reveal() is shown this once
	// Output: 0a1b2c3d4e5f false
}

func ExampleClient_RotateAPIKey() {
	server := tuoguanServer(map[string]string{
		"POST /v1/api-keys/0a1b2c3d4e5f/rotate": `{"id":"0a1b2c3d4e5f","previous_until":"2030-01-01T00:00:00Z","key":"wxk_0a1b2c3d4e5f_…"}`,
	})
	defer server.Close()
	made, err := newClient(server).RotateAPIKey(context.Background(), "0a1b2c3d4e5f", client.Rotation{Grace: time.Hour})
	fmt.Println(made.PreviousUntil.Format(time.DateOnly), err)
	// Output: 2030-01-01 <nil>
}

func ExampleClient_RevokeAPIKey() {
	server := tuoguanServer(map[string]string{
		"POST /v1/api-keys/0a1b2c3d4e5f/revoke": `{"id":"0a1b2c3d4e5f","revoked_at":"2030-01-01T00:00:00Z"}`,
	})
	defer server.Close()
	revoked, err := newClient(server).RevokeAPIKey(context.Background(), "0a1b2c3d4e5f")
	fmt.Println(revoked.RevokedAt.Format(time.DateOnly), err)
	// Output: 2030-01-01 <nil>
}

func ExampleClient_Events() {
	server := tuoguanServer(map[string]string{
		"GET /v1/events": `{"items":[{"id":"7","kind":"authorized"},{"id":"8","kind":"event.subscribe"}],"next_cursor":""}`,
	})
	defer server.Close()
	for e, err := range newClient(server).Events(context.Background(), client.EventQuery{After: "6"}) {
		fmt.Println(e.ID, e.Kind, err)
	}
	// Output:
	// 7 authorized <nil>
	// 8 event.subscribe <nil>
}

func ExampleClient_Audit() {
	server := tuoguanServer(map[string]string{
		"GET /v1/audit":      `{"items":[{"seq":1,"actor":"bootstrap","operation":"create-api-key","target":"0a1b2c3d4e5f"}],"next_cursor":""}`,
		"GET /v1/audit/head": `{"seq":1,"hash":"9f86d081"}`,
	})
	defer server.Close()
	c := newClient(server)
	for e, err := range c.Audit(context.Background()) {
		fmt.Println(e.Seq, e.Actor, e.Operation, e.Target, err)
	}
	head, err := c.AuditHead(context.Background())
	fmt.Println(head, err) // to be kept elsewhere
	// Output:
	// 1 bootstrap create-api-key 0a1b2c3d4e5f <nil>
	// 1:9f86d081 <nil>
}

func ExampleClient_StartJob() {
	server := tuoguanServer(map[string]string{
		"POST /v1/jobs":  `{"id":"1","kind":"rekey","state":"running"}`,
		"GET /v1/jobs/1": `{"id":"1","kind":"rekey","state":"done","done":1200}`,
	})
	defer server.Close()
	c := newClient(server)
	job, err := c.StartJob(context.Background(), "rekey")
	for err == nil && job.State == client.JobRunning {
		job, err = c.Job(context.Background(), job.ID)
	}
	fmt.Println(job.State, job.Done, err)
	// Output: done 1200 <nil>
}
