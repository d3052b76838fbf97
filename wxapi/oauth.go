package wxapi

import (
	"context"
	"net/url"
	"time"

	"github.com/tuoguan/tuoguan"
)

// UserToken is what web OAuth yields about one user of an Official Account.
type UserToken struct {
	// AccessToken is the user's, good for [Client.GetUserInfo] only.
	AccessToken tuoguan.Secret
	ExpiresAt   time.Time
	// RefreshToken lives 30 days.
	RefreshToken tuoguan.Secret
	OpenID       string
	// UnionID is empty unless the account is bound to an open-platform account.
	UnionID string
	Scope   OAuthScope
	// SnapshotUser is true for the made-up user of WeChat's preview mode.
	SnapshotUser bool
}

// OAuthAccessToken exchanges the code that [Client.OAuthAuthorizeURL] brought back.
// The code is used up by it.
//
// Errors: [ErrUser] for a code that is wrong, used or expired; any other [*APIError].
// Source: third-party platform docs, web OAuth on behalf of an account, read 2026.
//
//wx:api GET /sns/oauth2/component/access_token
func (c *Client) OAuthAccessToken(ctx context.Context, authorization tuoguan.Authorization, code tuoguan.Secret) (UserToken, error) {
	return c.userToken(ctx, get("/sns/oauth2/component/access_token", tuoguan.ComponentToken(authorization.Component), url.Values{
		"appid":           {string(authorization.Authorizer)},
		"code":            {code.Reveal()},
		"grant_type":      {"authorization_code"},
		"component_appid": {string(authorization.Component)},
	}).holding(code))
}

// OAuthRefreshToken renews a user's token.
//
// Errors: [ErrRefreshTokenInvalid] if the user has to come again; any other
// [*APIError].
// Source: third-party platform docs, web OAuth on behalf of an account, read 2026.
//
//wx:api GET /sns/oauth2/component/refresh_token
func (c *Client) OAuthRefreshToken(ctx context.Context, authorization tuoguan.Authorization, refreshToken tuoguan.Secret) (UserToken, error) {
	return c.userToken(ctx, get("/sns/oauth2/component/refresh_token", tuoguan.ComponentToken(authorization.Component), url.Values{
		"appid":           {string(authorization.Authorizer)},
		"grant_type":      {"refresh_token"},
		"component_appid": {string(authorization.Component)},
		"refresh_token":   {refreshToken.Reveal()},
	}).holding(refreshToken))
}

func (c *Client) userToken(ctx context.Context, r request) (UserToken, error) {
	var wire struct {
		AccessToken  string     `json:"access_token"`
		ExpiresIn    number     `json:"expires_in"`
		RefreshToken string     `json:"refresh_token"`
		OpenID       string     `json:"openid"`
		UnionID      string     `json:"unionid"`
		Scope        OAuthScope `json:"scope"`
		Snapshot     number     `json:"is_snapshotuser"`
	}
	got, err := c.call(ctx, r, &wire)
	if err != nil {
		return UserToken{}, err
	}
	access, err := got.token("access_token", wire.AccessToken)
	if err != nil {
		return UserToken{}, err
	}
	refresh, err := got.optionalToken("refresh_token", wire.RefreshToken)
	if err != nil {
		return UserToken{}, err
	}
	if wire.OpenID == "" {
		return UserToken{}, got.unusable("no openid")
	}
	return UserToken{
		AccessToken:  access,
		ExpiresAt:    got.expiry(wire.ExpiresIn),
		RefreshToken: refresh,
		OpenID:       wire.OpenID,
		UnionID:      wire.UnionID,
		Scope:        wire.Scope,
		SnapshotUser: wire.Snapshot == 1,
	}, nil
}

// UserInfo is the profile of a user who agreed to show it.
type UserInfo struct {
	OpenID    string `json:"openid"`
	UnionID   string `json:"unionid"`
	NickName  string `json:"nickname"`
	HeadImage string `json:"headimgurl"`
}

// GetUserInfo reads the profile of the user whom accessToken, from a [UserToken],
// belongs to; it needs [ScopeUserInfo]. It carries no token of ours.
//
// Source: Official Account docs, web OAuth, read 2026.
//
//wx:api GET /sns/userinfo
func (c *Client) GetUserInfo(ctx context.Context, accessToken tuoguan.Secret, openID string) (UserInfo, error) {
	r := get("/sns/userinfo", tuoguan.TokenOwner{}, url.Values{
		"access_token": {accessToken.Reveal()},
		"openid":       {openID},
		"lang":         {"zh_CN"},
	}).holding(accessToken).repeat()
	r.with = userToken
	var info UserInfo
	got, err := c.call(ctx, r, &info)
	if err != nil {
		return UserInfo{}, err
	}
	if info.OpenID == "" {
		return UserInfo{}, got.unusable("no openid")
	}
	return info, nil
}

// Session is the login of a Mini Program's user.
type Session struct {
	OpenID string
	// UnionID is empty unless the Mini Program is bound to an open-platform account.
	UnionID string
	// Key decrypts and signs data of this user; it stays on the server.
	Key tuoguan.Secret
}

// JSCode2Session exchanges the code of wx.login for the user's session. The code is
// used up by it.
//
// Errors: [ErrUser] for a wrong code or a blocked user; [ErrRateLimited];
// [ErrNotAuthorized]; any other [*APIError].
// Source: third-party platform docs, Mini Program login on behalf, read 2026.
//
//wx:api GET /sns/component/jscode2session
func (c *Client) JSCode2Session(ctx context.Context, authorization tuoguan.Authorization, code tuoguan.Secret) (Session, error) {
	r := get("/sns/component/jscode2session", tuoguan.ComponentToken(authorization.Component), url.Values{
		"appid":           {string(authorization.Authorizer)},
		"js_code":         {code.Reveal()},
		"grant_type":      {"authorization_code"},
		"component_appid": {string(authorization.Component)},
	}).holding(code)
	var wire struct {
		OpenID     string `json:"openid"`
		UnionID    string `json:"unionid"`
		SessionKey string `json:"session_key"`
	}
	got, err := c.call(ctx, r, &wire)
	if err != nil {
		return Session{}, err
	}
	key, err := got.token("session_key", wire.SessionKey)
	if err != nil {
		return Session{}, err
	}
	if wire.OpenID == "" {
		return Session{}, got.unusable("no openid")
	}
	return Session{OpenID: wire.OpenID, UnionID: wire.UnionID, Key: key}, nil
}
