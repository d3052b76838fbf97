package wxapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/wxapi"
)

// wechat answers every call with the same body. Real code leaves Config.BaseURLs
// empty.
func wechat(body string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, body)
	}))
}

func ExampleClient_CreateComponentToken() {
	server := wechat(`{"component_access_token":"77_simComponentToken","expires_in":7200}`)
	defer server.Close()
	client, err := wxapi.New(wxapi.Config{BaseURLs: []string{server.URL}})
	if err != nil {
		fmt.Println(err)
		return
	}
	secret, ticket := tuoguan.NewSecret("the AppSecret"), tuoguan.NewSecret("ticket@@@simulated")
	token, err := client.CreateComponentToken(context.Background(), "wx1111111111111111", secret, ticket)
	fmt.Println(token.Value.Reveal(), err) // printing token.Value shows a fingerprint only
	// Output: 77_simComponentToken <nil>
}

func ExampleAPIError() {
	server := wechat(`{"errcode":61004,"errmsg":"access clientip is not registered requestIP: 203.0.113.7 rid: 6545a1b2-01234567-89abcdef"}`)
	defer server.Close()
	client, err := wxapi.New(wxapi.Config{BaseURLs: []string{server.URL}})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.CreateComponentToken(context.Background(), "wx1111111111111111", tuoguan.NewSecret("secret"), tuoguan.NewSecret("ticket"))

	var refusal *wxapi.APIError
	switch {
	case errors.Is(err, wxapi.ErrTicketInvalid):
		fmt.Println("wait for the next ticket")
	case errors.As(err, &refusal):
		fmt.Println(refusal.Code, refusal.RID, refusal.ClientIP())
		fmt.Println(refusal.Explain().Action)
		fmt.Println(refusal.Explain().ActionChinese)
	}
	// Output:
	// 61004 6545a1b2-01234567-89abcdef 203.0.113.7
	// add the address named in the message to the component's IP whitelist
	// 请把错误信息中的 IP 加入第三方平台的白名单 IP 地址列表
}

func ExampleClient_ComponentLoginPageURL() {
	client, err := wxapi.New(wxapi.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	link, err := client.ComponentLoginPageURL(wxapi.AuthorizationLink{
		Component:      "wx1111111111111111",
		PreAuthCode:    tuoguan.NewSecret("preauthcode@@@simulated"),
		RedirectURI:    "https://open.example.com/done",
		AuthType:       wxapi.AuthOfficialAndMini,
		PermissionSets: []tuoguan.PermissionSet{tuoguan.PermissionMessages, tuoguan.PermissionMenus},
	})
	fmt.Println(link, err)
	// Output: https://mp.weixin.qq.com/cgi-bin/componentloginpage?component_appid=wx1111111111111111&pre_auth_code=preauthcode%40%40%40simulated&redirect_uri=https%3A%2F%2Fopen.example.com%2Fdone&auth_type=3&category_id_list=1%7C15 <nil>
}

func ExampleParseRedirect() {
	query, _ := url.ParseQuery("nonce=ours&auth_code=queryauthcode%40%40%40simulated&expires_in=600")
	redirect, err := wxapi.ParseRedirect(query)
	fmt.Println(redirect.Code.IsZero(), redirect.ExpiresIn, err)
	// Output: false 10m0s <nil>
}

func ExampleClient_Call() {
	server := wechat(`{"errcode":0,"errmsg":"ok","category_list":[{"first_class":"工具"}]}`)
	defer server.Close()
	client, err := wxapi.New(wxapi.Config{BaseURLs: []string{server.URL}, Tokens: newTokens()})
	if err != nil {
		fmt.Println(err)
		return
	}
	var categories struct {
		List []struct {
			First string `json:"first_class"`
		} `json:"category_list"`
	}
	err = client.Call(context.Background(), wxapi.CallRequest{
		Owner:      tuoguan.AuthorizerToken("wx1111111111111111", "wxaaaaaaaaaaaaaaaa"),
		Method:     http.MethodGet,
		Path:       "/wxa/get_category",
		Repeatable: true,
	}, &categories)
	fmt.Println(categories.List, err)
	// Output: [{工具}] <nil>
}

func ExampleClient_AllAuthorizers() {
	server := wechat(`{"total_count":1,"list":[{"authorizer_appid":"wxaaaaaaaaaaaaaaaa","refresh_token":"refreshtoken@@@simulated","auth_time":1700000000}]}`)
	defer server.Close()
	client, err := wxapi.New(wxapi.Config{BaseURLs: []string{server.URL}, Tokens: newTokens()})
	if err != nil {
		fmt.Println(err)
		return
	}
	for item, err := range client.AllAuthorizers(context.Background(), "wx1111111111111111") {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(item.Authorizer, item.AuthorizedAt.Format("2006-01-02"))
	}
	// Output: wxaaaaaaaaaaaaaaaa 2023-11-14
}

func ExampleExplain() {
	e := wxapi.Explain(61023)
	fmt.Println(e.Meaning)
	fmt.Println(e.MeaningChinese)
	// Output:
	// the refresh token is empty, replaced by a new authorization, or revoked
	// 刷新令牌无效：为空、已被重新授权取代或已取消授权
}
