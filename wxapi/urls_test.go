package wxapi_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/wxapi"
)

func TestAuthorizationLinks(t *testing.T) {
	t.Parallel()
	least := wxapi.AuthorizationLink{
		Component: component, PreAuthCode: tuoguan.NewSecret("preauthcode@@@1+/="), RedirectURI: "https://open.example.com/authorize/L1/done?nonce=a b&x=1",
	}
	full := least
	full.AuthType, full.BizAppID = wxapi.AuthAll, authorizer
	full.PermissionSets = []tuoguan.PermissionSet{tuoguan.PermissionMessages, tuoguan.PermissionMiniProgramDevelopment, 999}
	local := wxapi.Config{MPBaseURL: "http://127.0.0.1:8090/mp/", OpenBaseURL: "http://127.0.0.1:8090"}
	const core = "component_appid=wx1111111111111111&pre_auth_code=preauthcode%40%40%401%2B%2F%3D&redirect_uri=https%3A%2F%2Fopen.example.com%2Fauthorize%2FL1%2Fdone%3Fnonce%3Da%20b%26x%3D1"
	const rest = "&auth_type=6&biz_appid=wxaaaaaaaaaaaaaaaa&category_id_list=1%7C18%7C999"
	type builder = func(*wxapi.Client, wxapi.AuthorizationLink) (string, error)
	pc, mobile, legacy := builder((*wxapi.Client).ComponentLoginPageURL), builder((*wxapi.Client).BindComponentURL), builder((*wxapi.Client).LegacyBindComponentURL)
	tests := []struct {
		name  string
		cfg   wxapi.Config
		build builder
		link  wxapi.AuthorizationLink
		want  string
	}{
		{"PC, least", wxapi.Config{}, pc, least, "https://mp.weixin.qq.com/cgi-bin/componentloginpage?" + core},
		{"PC, full", wxapi.Config{}, pc, full, "https://mp.weixin.qq.com/cgi-bin/componentloginpage?" + core + rest},
		{"PC, local", local, pc, least, "http://127.0.0.1:8090/mp/cgi-bin/componentloginpage?" + core},
		{"mobile, least", wxapi.Config{}, mobile, least, "https://open.weixin.qq.com/wxaopen/safe/bindcomponent?action=bindcomponent&no_scan=1&" + core + "#wechat_redirect"},
		{"mobile, full", wxapi.Config{}, mobile, full, "https://open.weixin.qq.com/wxaopen/safe/bindcomponent?action=bindcomponent&no_scan=1&" + core + rest + "#wechat_redirect"},
		{"mobile, local", local, mobile, least, "http://127.0.0.1:8090/wxaopen/safe/bindcomponent?action=bindcomponent&no_scan=1&" + core + "#wechat_redirect"},
		{"legacy, least", wxapi.Config{}, legacy, least, "https://mp.weixin.qq.com/safe/bindcomponent?action=bindcomponent&auth_type=3&no_scan=1&" + core + "#wechat_redirect"},
		{"legacy, full", wxapi.Config{}, legacy, full, "https://mp.weixin.qq.com/safe/bindcomponent?action=bindcomponent&auth_type=6&no_scan=1&" + core + strings.TrimPrefix(rest, "&auth_type=6") + "#wechat_redirect"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.build(newClient(t, tt.cfg), tt.link)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
			u, err := url.Parse(got)
			if err != nil {
				t.Fatal(err)
			}
			if back := u.Query().Get("redirect_uri"); back != tt.link.RedirectURI {
				t.Errorf("the redirect URI reads back as %q", back)
			}
		})
	}
}

func TestAuthorizationLinkMistakes(t *testing.T) {
	t.Parallel()
	client := newClient(t, wxapi.Config{})
	for _, build := range []func(wxapi.AuthorizationLink) (string, error){client.ComponentLoginPageURL, client.BindComponentURL, client.LegacyBindComponentURL} {
		link, err := build(wxapi.AuthorizationLink{AuthType: 7, RedirectURI: "//host/path"})
		if err == nil || link != "" {
			t.Fatalf("%q, %v", link, err)
		}
		for _, want := range []string{"no component", "no pre-auth code", "redirect URI", "auth_type 7"} {
			wantText(t, err.Error(), want)
		}
	}
	for kind := wxapi.AuthType(-1); kind < 12; kind++ {
		if got, want := kind.Valid(), strings.Contains("1 2 3 4 5 6 8", string('0'+rune(kind))) && kind > 0 && kind < 10; got != want {
			t.Errorf("auth_type %d valid: %v", kind, got)
		}
	}
}

func TestOAuthAuthorizeURL(t *testing.T) {
	t.Parallel()
	client := newClient(t, wxapi.Config{})
	got, err := client.OAuthAuthorizeURL(wxapi.OAuthLink{
		Authorization: authorization, RedirectURI: "https://shop.example.com/in?a=1&b=2", Scope: wxapi.ScopeUserInfo, State: "s t&",
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = "https://open.weixin.qq.com/connect/oauth2/authorize?appid=wxaaaaaaaaaaaaaaaa&redirect_uri=https%3A%2F%2Fshop.example.com%2Fin%3Fa%3D1%26b%3D2" +
		"&response_type=code&scope=snsapi_userinfo&state=s%20t%26&component_appid=wx1111111111111111#wechat_redirect"
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	got, err = client.OAuthAuthorizeURL(wxapi.OAuthLink{Authorization: authorization, RedirectURI: "https://shop.example.com/"})
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, got, "&scope=snsapi_base&state=&component_appid=")

	_, err = client.OAuthAuthorizeURL(wxapi.OAuthLink{RedirectURI: "shop", Scope: "all", State: strings.Repeat("s", 129)})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"no authorizer", "redirect URI", `scope "all"`, "128 bytes"} {
		wantText(t, err.Error(), part)
	}
}

func TestParseRedirect(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		query string
		code  string // empty: refused
		life  time.Duration
	}{
		{"as documented", "auth_code=queryauthcode%40%40%401&expires_in=600", "queryauthcode@@@1", 10 * time.Minute},
		{"with our own parameter", "nonce=n&auth_code=c&expires_in=3600", "c", time.Hour},
		{"no lifetime", "auth_code=c", "c", time.Minute},
		{"absurd lifetime", "auth_code=c&expires_in=999999999999", "c", 2 * time.Hour},
		{"rubbish lifetime", "auth_code=c&expires_in=soon", "c", time.Minute},
		{"nothing", "", "", 0},
		{"empty code", "auth_code=&expires_in=600", "", 0},
		{"two codes", "auth_code=a&auth_code=b&expires_in=600", "", 0},
		{"line break", "auth_code=a%0d%0ab&expires_in=600", "", 0},
		{"giant code", "auth_code=" + strings.Repeat("c", 1025), "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			query, err := url.ParseQuery(tt.query)
			if err != nil {
				t.Fatal(err)
			}
			redirect, err := wxapi.ParseRedirect(query)
			if errors.Is(err, wxapi.ErrNoCode) != (tt.code == "") {
				t.Fatalf("error %v", err)
			}
			if redirect.Code.Reveal() != tt.code || redirect.ExpiresIn != tt.life {
				t.Errorf("%q for %v, want %q for %v", redirect.Code.Reveal(), redirect.ExpiresIn, tt.code, tt.life)
			}
		})
	}
}
