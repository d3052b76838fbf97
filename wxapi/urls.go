package wxapi

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
)

// AuthType says which kinds of account the authorization page offers.
type AuthType int

// There is no 7.
const (
	AuthOfficialAccounts AuthType = 1
	AuthMiniPrograms     AuthType = 2
	AuthOfficialAndMini  AuthType = 3
	AuthPromoters        AuthType = 4 // 小程序推客
	AuthChannels         AuthType = 5 // 视频号
	AuthAll              AuthType = 6 // Official Accounts, Mini Programs and Channels
	AuthTalentAssistants AuthType = 8 // 带货助手
)

// Valid reports whether t is a documented type.
func (t AuthType) Valid() bool {
	return t >= AuthOfficialAccounts && t <= AuthAll || t == AuthTalentAssistants
}

// AuthorizationLink describes a link to the authorization page.
type AuthorizationLink struct {
	Component   tuoguan.ComponentAppID
	PreAuthCode tuoguan.Secret
	// RedirectURI is where the browser goes afterwards, with the authorization code in
	// its query. Its host must be the authorization entry domain (授权发起页域名) set in
	// the console, and the page that holds the link must be on that host too. There is
	// no state parameter: put what tells visitors apart into the URI.
	RedirectURI string
	// AuthType is left out if it is 0, except from the legacy link, which then has
	// [AuthOfficialAndMini].
	AuthType AuthType
	// BizAppID, if set, is the only account that can be authorized.
	BizAppID tuoguan.AuthorizerAppID
	// PermissionSets are the sets asked for (category_id_list); all that the component
	// has published if empty.
	PermissionSets []tuoguan.PermissionSet
}

func (l AuthorizationLink) validate() error {
	var mistakes []error
	if l.Component == "" {
		mistakes = append(mistakes, errors.New("no component"))
	}
	if l.PreAuthCode.IsZero() {
		mistakes = append(mistakes, errors.New("no pre-auth code"))
	}
	if !isWebURL(l.RedirectURI) {
		mistakes = append(mistakes, errors.New("the redirect URI is not an absolute http or https URL"))
	}
	if l.AuthType != 0 && !l.AuthType.Valid() {
		mistakes = append(mistakes, fmt.Errorf("auth_type %d does not exist", int(l.AuthType)))
	}
	if err := errors.Join(mistakes...); err != nil {
		return fmt.Errorf("wxapi: authorization link: %w", err)
	}
	return nil
}

func isWebURL(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// core is what all three links have in common.
func (l AuthorizationLink) core() orderedQuery {
	return orderedQuery{
		{"component_appid", string(l.Component)},
		{"pre_auth_code", l.PreAuthCode.Reveal()},
		{"redirect_uri", l.RedirectURI},
	}
}

func (l AuthorizationLink) restrictions() orderedQuery {
	var q orderedQuery
	if l.BizAppID != "" {
		q = append(q, parameter{"biz_appid", string(l.BizAppID)})
	}
	if len(l.PermissionSets) > 0 {
		ids := make([]string, len(l.PermissionSets))
		for i, set := range l.PermissionSets {
			ids[i] = strconv.Itoa(int(set))
		}
		q = append(q, parameter{"category_id_list", strings.Join(ids, "|")})
	}
	return q
}

func (l AuthorizationLink) authType() orderedQuery {
	if l.AuthType == 0 {
		return nil
	}
	return orderedQuery{{"auth_type", strconv.Itoa(int(l.AuthType))}}
}

// ComponentLoginPageURL returns the link of the PC page, which shows a QR code for
// the merchant's administrator to scan. Like the two after it, the link holds the
// pre-auth code and is not for logs.
//
// Source: third-party platform docs, authorization process, read 2026.
func (c *Client) ComponentLoginPageURL(l AuthorizationLink) (string, error) {
	if err := l.validate(); err != nil {
		return "", err
	}
	return c.mp.String() + "/cgi-bin/componentloginpage?" +
		join(l.core(), l.authType(), l.restrictions()).encode(), nil
}

// BindComponentURL returns the link that the merchant's administrator opens inside
// WeChat on a phone.
//
// Source: third-party platform docs, authorization process, read 2026.
func (c *Client) BindComponentURL(l AuthorizationLink) (string, error) {
	if err := l.validate(); err != nil {
		return "", err
	}
	return c.open.String() + "/wxaopen/safe/bindcomponent?" +
		join(orderedQuery{{"action", "bindcomponent"}, {"no_scan", "1"}}, l.core(), l.authType(), l.restrictions()).encode() +
		"#wechat_redirect", nil
}

// LegacyBindComponentURL returns the link for phones as it was before
// [Client.BindComponentURL], on another host and with another order of parameters.
//
// Source: third-party platform docs of 2020, authorization process.
func (c *Client) LegacyBindComponentURL(l AuthorizationLink) (string, error) {
	if l.AuthType == 0 {
		l.AuthType = AuthOfficialAndMini
	}
	if err := l.validate(); err != nil {
		return "", err
	}
	return c.mp.String() + "/safe/bindcomponent?" +
		join(orderedQuery{{"action", "bindcomponent"}}, l.authType(), orderedQuery{{"no_scan", "1"}}, l.core(), l.restrictions()).encode() +
		"#wechat_redirect", nil
}

// OAuthScope is how much web OAuth asks of the user.
type OAuthScope string

const (
	// ScopeBase yields the openid and does not ask.
	ScopeBase OAuthScope = "snsapi_base"
	// ScopeUserInfo yields the profile and asks.
	ScopeUserInfo OAuthScope = "snsapi_userinfo"
)

// maxState is the documented bound of state, in bytes.
const maxState = 128

// OAuthLink describes a link by which a user of an Official Account logs in to a web
// page of the merchant.
type OAuthLink struct {
	Authorization tuoguan.Authorization
	// RedirectURI is where the user goes afterwards, with code, state and appid in
	// its query. Its host must be the domain set in the console (公众号开发域名).
	RedirectURI string
	// Scope defaults to [ScopeBase].
	Scope OAuthScope
	// State comes back as it is; at most 128 bytes.
	State string
}

// OAuthAuthorizeURL returns the link of web OAuth on behalf of an Official Account.
// Needs [tuoguan.PermissionWeb].
//
// Source: third-party platform docs, web OAuth on behalf of an account, read 2026.
// WeChat demands the parameters in exactly this order.
func (c *Client) OAuthAuthorizeURL(l OAuthLink) (string, error) {
	if l.Scope == "" {
		l.Scope = ScopeBase
	}
	var mistakes []error
	if l.Authorization.Component == "" || l.Authorization.Authorizer == "" {
		mistakes = append(mistakes, errors.New("no component or no authorizer"))
	}
	if !isWebURL(l.RedirectURI) {
		mistakes = append(mistakes, errors.New("the redirect URI is not an absolute http or https URL"))
	}
	if l.Scope != ScopeBase && l.Scope != ScopeUserInfo {
		mistakes = append(mistakes, fmt.Errorf("scope %q does not exist", l.Scope))
	}
	if len(l.State) > maxState {
		mistakes = append(mistakes, fmt.Errorf("state is longer than %d bytes", maxState))
	}
	if err := errors.Join(mistakes...); err != nil {
		return "", fmt.Errorf("wxapi: OAuth link: %w", err)
	}
	return c.open.String() + "/connect/oauth2/authorize?" + orderedQuery{
		{"appid", string(l.Authorization.Authorizer)},
		{"redirect_uri", l.RedirectURI},
		{"response_type", "code"},
		{"scope", string(l.Scope)},
		{"state", l.State},
		{"component_appid", string(l.Authorization.Component)},
	}.encode() + "#wechat_redirect", nil
}

type parameter struct{ name, value string }

// orderedQuery is a query whose order matters, unlike that of url.Values.
type orderedQuery []parameter

func join(parts ...orderedQuery) orderedQuery {
	var all orderedQuery
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

func (q orderedQuery) encode() string {
	pairs := make([]string, len(q))
	for i, p := range q {
		// A space becomes %20, which every reader of a URL understands.
		pairs[i] = p.name + "=" + strings.ReplaceAll(url.QueryEscape(p.value), "+", "%20")
	}
	return strings.Join(pairs, "&")
}

// Redirect is what WeChat adds to the redirect URI when the merchant has confirmed.
// A browser brings it, so it may be forged, come twice or not at all; only
// [Client.QueryAuth] tells whether the code is worth anything.
type Redirect struct {
	Code      tuoguan.Secret
	ExpiresIn time.Duration
}

// ErrNoCode: a redirect without exactly one plausible authorization code.
var ErrNoCode = errors.New("wxapi: redirect without an authorization code")

// ParseRedirect reads the query of a redirect: auth_code and expires_in.
func ParseRedirect(query url.Values) (Redirect, error) {
	codes := query["auth_code"]
	if len(codes) != 1 || !plausibleToken(codes[0]) {
		return Redirect{}, ErrNoCode
	}
	seconds, err := strconv.ParseInt(query.Get("expires_in"), 10, 64)
	if err != nil {
		seconds = 0 // the code is tried at once anyway
	}
	return Redirect{Code: tuoguan.NewSecret(codes[0]), ExpiresIn: clampLifetime(number(seconds))}, nil
}
