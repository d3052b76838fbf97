package wxapi_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"encoding/json"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/wxapi"
)

const (
	byComponent  = "component_access_token=77_componentTokenOfTheTest"
	byComponent2 = "access_token=77_componentTokenOfTheTest"
	byAccount    = "access_token=77_authorizerTokenOfTheTest"
)

// in is how far away an expiry must be, roughly.
type in time.Duration

var endpoints = []struct {
	name  string
	call  func(context.Context, *wxapi.Client) (any, error)
	route string // method and path
	query string
	body  string
	reply string
	want  any
}{
	{
		name: "component token",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			token, err := c.CreateComponentToken(ctx, component, tuoguan.NewSecret("s3cret"), tuoguan.NewSecret("ticket@@@1"))
			return []any{token.Value, in(time.Until(token.ExpiresAt))}, err
		},
		route: "POST /cgi-bin/component/api_component_token",
		body:  `{"component_appid":"wx1111111111111111","component_appsecret":"s3cret","component_verify_ticket":"ticket@@@1"}`,
		reply: `{"component_access_token":"77_new","expires_in":7200}`,
		want:  []any{tuoguan.NewSecret("77_new"), in(2 * time.Hour)},
	},
	{
		name: "start push ticket",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return nil, c.StartPushTicket(ctx, component, tuoguan.NewSecret("s3cret"))
		},
		route: "POST /cgi-bin/component/api_start_push_ticket",
		body:  `{"component_appid":"wx1111111111111111","component_secret":"s3cret"}`,
		reply: `{"errcode":0,"errmsg":"in a normal state"}`,
	},
	{
		name: "pre-auth code",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			code, err := c.CreatePreAuthCode(ctx, component)
			return []any{code.Code, in(time.Until(code.ExpiresAt))}, err
		},
		route: "POST /cgi-bin/component/api_create_preauthcode",
		query: byComponent,
		body:  `{"component_appid":"wx1111111111111111"}`,
		reply: `{"pre_auth_code":"preauthcode@@@1","expires_in":600}`,
		want:  []any{tuoguan.NewSecret("preauthcode@@@1"), in(10 * time.Minute)},
	},
	{
		name: "query auth",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			info, err := c.QueryAuth(ctx, component, tuoguan.NewSecret("queryauthcode@@@1"))
			return []any{
				info.Authorizer, info.Tokens.AccessToken, info.Tokens.RefreshToken, in(time.Until(info.Tokens.ExpiresAt)),
				info.PermissionSets, string(info.FuncInfo),
			}, err
		},
		route: "POST /cgi-bin/component/api_query_auth",
		query: byComponent,
		body:  `{"component_appid":"wx1111111111111111","authorization_code":"queryauthcode@@@1"}`,
		reply: `{"authorization_info":{"authorizer_appid":"wxaaaaaaaaaaaaaaaa","authorizer_access_token":"77_a","expires_in":7200,"authorizer_refresh_token":"refreshtoken@@@1",
			"func_info":[{"funcscope_category":{"id":17}}, {"funcscope_category":{"id":999},"confirm_info":{"need_confirm":1}}]}}`,
		want: []any{
			authorizer, tuoguan.NewSecret("77_a"), tuoguan.NewSecret("refreshtoken@@@1"), in(2 * time.Hour),
			[]tuoguan.PermissionSet{17, 999},
			`[{"funcscope_category":{"id":17}}, {"funcscope_category":{"id":999},"confirm_info":{"need_confirm":1}}]`,
		},
	},
	{
		name: "authorizer token",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			set, err := c.RefreshAuthorizerToken(ctx, authorization, tuoguan.NewSecret("refreshtoken@@@1"))
			return []any{set.AccessToken, set.RefreshToken, in(time.Until(set.ExpiresAt))}, err
		},
		route: "POST /cgi-bin/component/api_authorizer_token",
		query: byComponent,
		body:  `{"component_appid":"wx1111111111111111","authorizer_appid":"wxaaaaaaaaaaaaaaaa","authorizer_refresh_token":"refreshtoken@@@1"}`,
		reply: `{"authorizer_access_token":"77_b","expires_in":90,"authorizer_refresh_token":"refreshtoken@@@2"}`,
		want:  []any{tuoguan.NewSecret("77_b"), tuoguan.NewSecret("refreshtoken@@@2"), in(90 * time.Second)},
	},
	{
		name: "authorizer info of a mini program",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			info, err := c.GetAuthorizerInfo(ctx, authorization)
			if err != nil {
				return nil, err
			}
			return []any{*info, info.Kind()}, nil
		},
		route: "POST /cgi-bin/component/api_get_authorizer_info",
		query: byComponent,
		body:  `{"component_appid":"wx1111111111111111","authorizer_appid":"wxaaaaaaaaaaaaaaaa"}`,
		reply: `{"authorizer_info":{"nick_name":"店","head_img":"https://img.example/0","service_type_info":{"id":12,"name":"trial"},"verify_type_info":{"id":-1},
			"user_name":"gh_1","alias":"shop","qrcode_url":"https://img.example/qr","business_info":{"open_pay":1,"open_shake":0,"open_scan":1,"open_card":0,"open_store":1},
			"idc":1,"principal_name":"Owner","signature":"hello","register_type":6,"account_status":19,"basic_config":{"is_phone_configured":true,"is_email_configured":false},
			"channels_info":{"id":"c"},"store_info":{"id":"s"},"talent_info":{"id":"t"},"supplier_info":{"id":"u"},
			"MiniProgramInfo":{"network":{"RequestDomain":["https://a.example"],"WsRequestDomain":["wss://a.example"],"UploadDomain":["https://u.example"],
			"DownloadDomain":["https://d.example"],"UDPDomain":["udp://a.example"],"TCPDomain":["tcp://a.example"],"BizDomain":["https://b.example"],"PrefetchDNSDomain":["https://p.example"]},
			"categories":[{"first":"Tools","second":"Office"}],"visit_status":1}},
			"authorization_info":{"authorizer_appid":"wxaaaaaaaaaaaaaaaa","authorizer_refresh_token":"refreshtoken@@@1","func_info":[{"funcscope_category":{"id":18}}]}}`,
		want: []any{wxapi.AuthorizerInfo{
			NickName: "店", HeadImage: "https://img.example/0", ServiceType: wxapi.NumberedType{ID: 12, Name: "trial"}, VerifyType: wxapi.NumberedType{ID: -1},
			UserName: "gh_1", Alias: "shop", QRCodeURL: "https://img.example/qr", Business: wxapi.BusinessInfo{Pay: 1, Scan: 1, Store: 1},
			IDC: 1, Principal: "Owner", Signature: "hello", Register: 6, Status: wxapi.AccountFrozen, Contact: wxapi.BasicConfig{PhoneConfigured: true},
			Channels: wxapi.IDInfo{ID: "c"}, Store: wxapi.IDInfo{ID: "s"}, Talent: wxapi.IDInfo{ID: "t"}, Supplier: wxapi.IDInfo{ID: "u"},
			MiniProgram: &wxapi.MiniProgramInfo{
				Network: wxapi.MiniProgramNetwork{
					RequestDomain: []string{"https://a.example"}, WsRequestDomain: []string{"wss://a.example"}, UploadDomain: []string{"https://u.example"},
					DownloadDomain: []string{"https://d.example"}, UDPDomain: []string{"udp://a.example"}, TCPDomain: []string{"tcp://a.example"},
					BizDomain: []string{"https://b.example"}, PrefetchDNSDomain: []string{"https://p.example"},
				},
				Categories: []wxapi.MiniProgramCategory{{First: "Tools", Second: "Office"}}, VisitStatus: 1,
			},
			Authorization: wxapi.AuthorizationInfo{
				Authorizer: authorizer, Tokens: tuoguan.TokenSet{RefreshToken: tuoguan.NewSecret("refreshtoken@@@1")},
				PermissionSets: []tuoguan.PermissionSet{18}, FuncInfo: json.RawMessage(`[{"funcscope_category":{"id":18}}]`),
			},
		}, tuoguan.KindMiniProgram},
	},
	{
		name: "authorizer info with the old key and a profile of odd types",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			info, err := c.GetAuthorizerInfo(ctx, authorization)
			if err != nil {
				return nil, err
			}
			return []any{info.NickName, info.Signature, info.Kind(), info.Authorization.Tokens.RefreshToken}, nil
		},
		route: "POST /cgi-bin/component/api_get_authorizer_info",
		query: byComponent,
		body:  `{"component_appid":"wx1111111111111111","authorizer_appid":"wxaaaaaaaaaaaaaaaa"}`,
		reply: `{"authorizer_info":{"nick_name":"Shop","idc":"one","register_type":{},"signature":"hi"},
			"authorization_info":{"authorization_appid":"wxaaaaaaaaaaaaaaaa","authorizer_refresh_token":"refreshtoken@@@1","func_info":"none"}}`,
		want: []any{"Shop", "hi", tuoguan.KindOfficialAccount, tuoguan.NewSecret("refreshtoken@@@1")},
	},
	{
		name: "authorizer list",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return c.GetAuthorizerList(ctx, component, 500, 100)
		},
		route: "POST /cgi-bin/component/api_get_authorizer_list",
		query: byComponent,
		body:  `{"component_appid":"wx1111111111111111","offset":500,"count":100}`,
		reply: `{"total_count":502,"list":[{"authorizer_appid":"wxaaaaaaaaaaaaaaaa","refresh_token":"refreshtoken@@@1","auth_time":1700000000},{"authorizer_appid":"wxb","refresh_token":"","auth_time":"1700000100"}]}`,
		want: wxapi.AuthorizerList{TotalCount: 502, Items: []wxapi.AuthorizerListItem{
			{Authorizer: authorizer, RefreshToken: tuoguan.NewSecret("refreshtoken@@@1"), AuthorizedAt: time.Unix(1700000000, 0).UTC()},
			{Authorizer: "wxb", AuthorizedAt: time.Unix(1700000100, 0).UTC()},
		}},
	},
	{
		name: "get option, v1",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return c.GetAuthorizerOptionV1(ctx, authorization, wxapi.OptionVoiceRecognize)
		},
		route: "POST /cgi-bin/component/api_get_authorizer_option",
		query: byComponent,
		body:  `{"component_appid":"wx1111111111111111","authorizer_appid":"wxaaaaaaaaaaaaaaaa","option_name":"voice_recognize"}`,
		reply: `{"authorizer_appid":"wxaaaaaaaaaaaaaaaa","option_name":"voice_recognize","option_value":"1"}`,
		want:  "1",
	},
	{
		name: "set option, v1",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return nil, c.SetAuthorizerOptionV1(ctx, authorization, wxapi.OptionLocationReport, "2")
		},
		route: "POST /cgi-bin/component/api_set_authorizer_option",
		query: byComponent,
		body:  `{"component_appid":"wx1111111111111111","authorizer_appid":"wxaaaaaaaaaaaaaaaa","option_name":"location_report","option_value":"2"}`,
		reply: `{"errcode":0,"errmsg":"ok"}`,
	},
	{
		name: "get option, v2",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return c.GetAuthorizerOptionV2(ctx, authorization, wxapi.OptionCustomerService)
		},
		route: "POST /cgi-bin/component/get_authorizer_option",
		query: byAccount,
		body:  `{"option_name":"customer_service"}`,
		reply: `{"option_name":"customer_service","option_value":0}`,
		want:  "0",
	},
	{
		name: "set option, v2",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return nil, c.SetAuthorizerOptionV2(ctx, authorization, wxapi.OptionCustomerService, "1")
		},
		route: "POST /cgi-bin/component/set_authorizer_option",
		query: byAccount,
		body:  `{"option_name":"customer_service","option_value":"1"}`,
		reply: `{"errcode":0,"errmsg":"ok"}`,
	},
	{
		name:  "clear quota of the component",
		call:  func(ctx context.Context, c *wxapi.Client) (any, error) { return nil, c.ClearQuota(ctx, ownToken) },
		route: "POST /cgi-bin/clear_quota",
		query: byComponent2,
		body:  `{"appid":"wx1111111111111111"}`,
		reply: `{"errcode":0,"errmsg":"ok"}`,
	},
	{
		name:  "clear quota of an account",
		call:  func(ctx context.Context, c *wxapi.Client) (any, error) { return nil, c.ClearQuota(ctx, accountToken) },
		route: "POST /cgi-bin/clear_quota",
		query: byAccount,
		body:  `{"appid":"wxaaaaaaaaaaaaaaaa"}`,
		reply: `{"errcode":0,"errmsg":"ok"}`,
	},
	{
		name: "clear quota by secret",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return nil, c.ClearQuotaBySecret(ctx, "wxplain", tuoguan.NewSecret("s3cret"))
		},
		route: "POST /cgi-bin/clear_quota/v2",
		body:  `{"appid":"wxplain","appsecret":"s3cret"}`,
		reply: `{"errcode":0,"errmsg":"ok"}`,
	},
	{
		name: "clear quota of an authorizer by the component's secret",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return nil, c.ClearComponentQuota(ctx, component, tuoguan.NewSecret("s3cret"), authorizer)
		},
		route: "POST /cgi-bin/component/clear_quota/v2",
		body:  `{"component_appid":"wx1111111111111111","appid":"wxaaaaaaaaaaaaaaaa","appsecret":"s3cret"}`,
		reply: `{"errcode":0,"errmsg":"ok"}`,
	},
	{
		name: "clear the component's own quota by its secret",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return nil, c.ClearComponentQuota(ctx, component, tuoguan.NewSecret("s3cret"), "")
		},
		route: "POST /cgi-bin/component/clear_quota/v2",
		body:  `{"component_appid":"wx1111111111111111","appsecret":"s3cret"}`,
		reply: `{"errcode":0,"errmsg":"ok"}`,
	},
	{
		name: "clear the quota of one path",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return nil, c.ClearAPIQuota(ctx, accountToken, "/cgi-bin/message/custom/send")
		},
		route: "POST /cgi-bin/openapi/quota/clear",
		query: byAccount,
		body:  `{"cgi_path":"/cgi-bin/message/custom/send"}`,
		reply: `{"errcode":0,"errmsg":"ok"}`,
	},
	{
		name: "quota",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return c.GetAPIQuota(ctx, ownToken, "/cgi-bin/component/api_component_token")
		},
		route: "POST /cgi-bin/openapi/quota/get",
		query: byComponent2,
		body:  `{"cgi_path":"/cgi-bin/component/api_component_token"}`,
		reply: `{"errcode":0,"errmsg":"ok","quota":{"daily_limit":10000,"used":3,"remain":9997},"rate_limit":{"call_count":300,"refresh_second":60}}`,
		want:  wxapi.APIQuota{DailyLimit: 10000, Used: 3, Remaining: 9997, Rate: wxapi.RateLimit{Calls: 300, Per: time.Minute}},
	},
	{
		name: "rid",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return c.GetRID(ctx, accountToken, "6545a1b2-01234567-89abcdef")
		},
		route: "POST /cgi-bin/openapi/rid/get",
		query: byAccount,
		body:  `{"rid":"6545a1b2-01234567-89abcdef"}`,
		reply: `{"request":{"invoke_time":1700000000,"cost_in_ms":30,"request_url":"https://api.weixin.qq.com/x?access_token=77_leaked&lang=zh","request_body":"in","response_body":"out","client_ip":"203.0.113.7"}}`,
		want: wxapi.RIDInfo{
			InvokedAt: time.Unix(1700000000, 0).UTC(), Cost: 30 * time.Millisecond, URL: "https://api.weixin.qq.com/x?access_token=&lang=",
			ClientIP: "203.0.113.7", RequestBody: tuoguan.NewSecret("in"), ResponseBody: tuoguan.NewSecret("out"),
		},
	},
	{
		name: "OAuth access token",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			token, err := c.OAuthAccessToken(ctx, authorization, tuoguan.NewSecret("code@1"))
			token.ExpiresAt = time.Time{}
			return token, err
		},
		route: "GET /sns/oauth2/component/access_token",
		query: "appid=wxaaaaaaaaaaaaaaaa&code=code%401&grant_type=authorization_code&component_appid=wx1111111111111111&" + byComponent,
		reply: `{"access_token":"77_user","expires_in":7200,"refresh_token":"77_userRefresh","openid":"o1","scope":"snsapi_userinfo","unionid":"u1","is_snapshotuser":1}`,
		want: wxapi.UserToken{
			AccessToken: tuoguan.NewSecret("77_user"), RefreshToken: tuoguan.NewSecret("77_userRefresh"),
			OpenID: "o1", UnionID: "u1", Scope: wxapi.ScopeUserInfo, SnapshotUser: true,
		},
	},
	{
		name: "OAuth refresh token",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			token, err := c.OAuthRefreshToken(ctx, authorization, tuoguan.NewSecret("77_userRefresh"))
			return []any{token.AccessToken, token.OpenID, in(time.Until(token.ExpiresAt))}, err
		},
		route: "GET /sns/oauth2/component/refresh_token",
		query: "appid=wxaaaaaaaaaaaaaaaa&grant_type=refresh_token&component_appid=wx1111111111111111&refresh_token=77_userRefresh&" + byComponent,
		reply: `{"access_token":"77_user2","expires_in":7200,"refresh_token":"77_userRefresh","openid":"o1","scope":"snsapi_base"}`,
		want:  []any{tuoguan.NewSecret("77_user2"), "o1", in(2 * time.Hour)},
	},
	{
		name: "user info",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return c.GetUserInfo(ctx, tuoguan.NewSecret("77_user"), "o1")
		},
		route: "GET /sns/userinfo",
		query: "access_token=77_user&openid=o1&lang=zh_CN",
		reply: `{"openid":"o1","nickname":"人","headimgurl":"https://img.example/1","unionid":"u1","privilege":[]}`,
		want:  wxapi.UserInfo{OpenID: "o1", NickName: "人", HeadImage: "https://img.example/1", UnionID: "u1"},
	},
	{
		name: "jscode2session",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return c.JSCode2Session(ctx, authorization, tuoguan.NewSecret("js1"))
		},
		route: "GET /sns/component/jscode2session",
		query: "appid=wxaaaaaaaaaaaaaaaa&js_code=js1&grant_type=authorization_code&component_appid=wx1111111111111111&" + byComponent,
		reply: `{"openid":"o1","session_key":"AAAAAAAAAAAAAAAAAAAAAA==","unionid":"u1"}`,
		want:  wxapi.Session{OpenID: "o1", UnionID: "u1", Key: tuoguan.NewSecret("AAAAAAAAAAAAAAAAAAAAAA==")},
	},
	{
		name: "create an open account",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return c.CreateOpenAccount(ctx, authorization)
		},
		route: "POST /cgi-bin/open/create",
		query: byAccount,
		body:  `{"appid":"wxaaaaaaaaaaaaaaaa"}`,
		reply: `{"open_appid":"wxopen","errcode":0,"errmsg":"ok"}`,
		want:  wxapi.OpenAppID("wxopen"),
	},
	{
		name: "bind to an open account",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return nil, c.BindOpenAccount(ctx, authorization, "wxopen")
		},
		route: "POST /cgi-bin/open/bind",
		query: byAccount,
		body:  `{"appid":"wxaaaaaaaaaaaaaaaa","open_appid":"wxopen"}`,
		reply: `{"errcode":0,"errmsg":"ok"}`,
	},
	{
		name: "unbind from an open account",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return nil, c.UnbindOpenAccount(ctx, authorization, "wxopen")
		},
		route: "POST /cgi-bin/open/unbind",
		query: byAccount,
		body:  `{"appid":"wxaaaaaaaaaaaaaaaa","open_appid":"wxopen"}`,
		reply: `{"errcode":0,"errmsg":"ok"}`,
	},
	{
		name: "get the open account",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return c.GetOpenAccount(ctx, authorization)
		},
		route: "POST /cgi-bin/open/get",
		query: byAccount,
		body:  `{"appid":"wxaaaaaaaaaaaaaaaa"}`,
		reply: `{"open_appid":"wxopen","errcode":0,"errmsg":"ok"}`,
		want:  wxapi.OpenAppID("wxopen"),
	},
	{
		name: "has an open account",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return c.HasOpenAccount(ctx, authorization)
		},
		route: "POST /cgi-bin/open/have",
		query: byAccount,
		body:  `{}`,
		reply: `{"errcode":0,"errmsg":"ok","have_open":true}`,
		want:  true,
	},
	{
		name: "same owner of the open account",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return c.SameOpenEntity(ctx, authorization)
		},
		route: "GET /cgi-bin/open/sameentity",
		query: byAccount,
		reply: `{"errcode":0,"errmsg":"ok","same_entity":true}`,
		want:  true,
	},
	{
		name:  "callback addresses",
		call:  func(ctx context.Context, c *wxapi.Client) (any, error) { return c.GetCallbackIP(ctx, ownToken) },
		route: "GET /cgi-bin/getcallbackip",
		query: byComponent2,
		reply: `{"ip_list":["203.0.113.7","203.0.113.0/25"]}`,
		want:  []string{"203.0.113.7", "203.0.113.0/25"},
	},
	{
		name:  "API addresses",
		call:  func(ctx context.Context, c *wxapi.Client) (any, error) { return c.GetAPIDomainIP(ctx, accountToken) },
		route: "GET /cgi-bin/get_api_domain_ip",
		query: byAccount,
		reply: `{"ip_list":["203.0.113.8"]}`,
		want:  []string{"203.0.113.8"},
	},
	{
		name: "callback check",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return c.CallbackCheck(ctx, ownToken, wxapi.CheckAll, wxapi.OperatorDefault)
		},
		route: "POST /cgi-bin/callback/check",
		query: byComponent2,
		body:  `{"action":"all","check_operator":"DEFAULT"}`,
		reply: `{"dns":[{"ip":"203.0.113.7","real_operator":"UNICOM"}],"ping":[{"ip":"203.0.113.7","from_operator":"UNICOM","package_loss":"0%","time":"23.5ms"}]}`,
		want: wxapi.CallbackCheckResult{
			DNS:  []wxapi.ResolvedAddress{{IP: "203.0.113.7", Operator: "UNICOM"}},
			Ping: []wxapi.PingResult{{IP: "203.0.113.7", FromOperator: "UNICOM", PackageLoss: "0%", Time: "23.5ms"}},
		},
	},
	{
		name: "custom message, in raw UTF-8",
		call: func(ctx context.Context, c *wxapi.Client) (any, error) {
			return nil, c.SendCustomMessage(ctx, authorization, "o1", "<a href=\"/?a=1&b=2\">你好</a>\u2028\\u2028\\\u2029😀")
		},
		route: "POST /cgi-bin/message/custom/send",
		query: byAccount,
		body:  "{\"touser\":\"o1\",\"msgtype\":\"text\",\"text\":{\"content\":\"<a href=\\\"/?a=1&b=2\\\">你好</a>\u2028\\\\u2028\\\\\u2029😀\"}}",
		reply: `{"errcode":0,"errmsg":"ok"}`,
	},
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	// An expiry is right if it is at most some seconds short of what was asked for.
	roughly := cmp.Comparer(func(a, b in) bool {
		return max(a, b)-min(a, b) < in(10*time.Second)
	})
	for _, tt := range endpoints {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t, says(http.StatusOK, tt.reply))
			got, err := tt.call(t.Context(), clientOf(t, p))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, secrets, roughly); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			query, err := url.ParseQuery(tt.query)
			if err != nil {
				t.Fatal(err)
			}
			requests := p.requests()
			if len(requests) != 1 {
				t.Fatalf("%d requests, want 1", len(requests))
			}
			r := requests[0]
			want := []any{tt.route, query, tt.body}
			if diff := cmp.Diff(want, []any{r.Method + " " + r.Path, r.Query, r.Body}, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEndpointsFail runs every method against a refusal, an unreadable reply, a
// reply without its fields and a platform that is not there.
func TestEndpointsFail(t *testing.T) {
	t.Parallel()
	gone := newPlatform(t, says(http.StatusOK, ""))
	gone.Close()
	for _, tt := range endpoints {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			refused := newPlatform(t, says(http.StatusOK, `{"errcode":50002,"errmsg":"user limited rid: 6545a1b2-01234567-89abcdef"}`))
			_, err := tt.call(t.Context(), clientOf(t, refused))
			wantClasses(t, err, "user")

			html := newPlatform(t, says(http.StatusOK, `<html><body>gateway</body></html>`))
			_, err = tt.call(t.Context(), clientOf(t, html))
			wantClasses(t, err, "unusable", "unknown")

			_, err = tt.call(t.Context(), clientOf(t, gone))
			wantClasses(t, err, "not sent")

			if tt.want == nil || tt.name == "callback check" {
				return // whatever is not a refusal is a success
			}
			bare := newPlatform(t, says(http.StatusOK, `{"errcode":0,"errmsg":"ok"}`))
			_, err = tt.call(t.Context(), clientOf(t, bare))
			wantClasses(t, err, "unusable", "unknown")
		})
	}
}

// TestDirectives checks that each method's //wx:api directive names what the method
// calls, and that no endpoint of the authorization core is missing.
func TestDirectives(t *testing.T) {
	t.Parallel()
	called := map[string]bool{}
	for _, tt := range endpoints {
		called[tt.route] = true
	}
	declared := map[string]bool{}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	directive := regexp.MustCompile(`(?m)^//wx:api (\S+ \S+)$`)
	for _, name := range sources {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range directive.FindAllStringSubmatch(string(source), -1) {
			if declared[match[1]] {
				t.Errorf("%s is declared twice", match[1])
			}
			declared[match[1]] = true
		}
	}
	if diff := cmp.Diff(called, declared); diff != "" {
		t.Errorf("directives (-called in the test +declared in the source):\n%s", diff)
	}
}
