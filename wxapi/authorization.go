package wxapi

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/tuoguan/tuoguan"
)

// PreAuthCode is a pre-auth code (预授权码), which opens the authorization page.
type PreAuthCode struct {
	Code      tuoguan.Secret
	ExpiresAt time.Time
}

// CreatePreAuthCode asks for a pre-auth code (api_create_preauthcode). It serves
// one completed authorization; make a new one for each visitor. The authorized
// push names it, which ties the push to the visit.
//
// Its life is what the reply says: the official text says 1800 s, its sample 600.
// Source: third-party platform docs, api_create_preauthcode, read 2026.
//
//wx:api POST /cgi-bin/component/api_create_preauthcode
func (c *Client) CreatePreAuthCode(ctx context.Context, component tuoguan.ComponentAppID) (PreAuthCode, error) {
	r := post("/cgi-bin/component/api_create_preauthcode", tuoguan.ComponentToken(component),
		componentBody{component}).holding().repeat()
	var wire struct {
		Code      string `json:"pre_auth_code"`
		ExpiresIn number `json:"expires_in"`
	}
	got, err := c.call(ctx, r, &wire)
	if err != nil {
		return PreAuthCode{}, err
	}
	code, err := got.token("pre_auth_code", wire.Code)
	if err != nil {
		return PreAuthCode{}, err
	}
	return PreAuthCode{Code: code, ExpiresAt: got.expiry(wire.ExpiresIn)}, nil
}

type componentBody struct {
	ComponentAppID tuoguan.ComponentAppID `json:"component_appid"`
}

type authorizationBody struct {
	ComponentAppID  tuoguan.ComponentAppID  `json:"component_appid"`
	AuthorizerAppID tuoguan.AuthorizerAppID `json:"authorizer_appid"`
}

// AuthorizationInfo is what WeChat says about one authorization.
type AuthorizationInfo struct {
	Authorizer tuoguan.AuthorizerAppID
	// Tokens is complete after an exchange. In [AuthorizerInfo] there is only the
	// refresh token, and not even that if the code was never exchanged.
	Tokens tuoguan.TokenSet
	// PermissionSets are the ids in FuncInfo, in its order. A set that was asked for
	// and is missing was not ticked, or is exclusive and held by another component.
	PermissionSets []tuoguan.PermissionSet
	// FuncInfo is func_info as it came, with confirm_info and what else there is.
	FuncInfo json.RawMessage
}

type authorizationInfoWire struct {
	AuthorizerAppID    tuoguan.AuthorizerAppID `json:"authorizer_appid"`
	AppID              tuoguan.AuthorizerAppID `json:"appid"`               // in old replies
	AuthorizationAppID tuoguan.AuthorizerAppID `json:"authorization_appid"` // in older ones
	AccessToken        string                  `json:"authorizer_access_token"`
	ExpiresIn          number                  `json:"expires_in"`
	RefreshToken       string                  `json:"authorizer_refresh_token"`
	FuncInfo           json.RawMessage         `json:"func_info"`
}

// authorizationInfo judges authorization_info. Each token may be absent.
func (r reply) authorizationInfo(wire authorizationInfoWire) (AuthorizationInfo, error) {
	info := AuthorizationInfo{
		Authorizer: cmp.Or(wire.AuthorizerAppID, wire.AppID, wire.AuthorizationAppID),
		FuncInfo:   wire.FuncInfo,
	}
	if info.Authorizer == "" {
		return AuthorizationInfo{}, r.unusable("no authorizer_appid")
	}
	var err error
	if info.Tokens.AccessToken, err = r.optionalToken("authorizer_access_token", wire.AccessToken); err != nil {
		return AuthorizationInfo{}, err
	}
	if info.Tokens.RefreshToken, err = r.optionalToken("authorizer_refresh_token", wire.RefreshToken); err != nil {
		return AuthorizationInfo{}, err
	}
	if wire.AccessToken != "" {
		info.Tokens.ExpiresAt = r.expiry(wire.ExpiresIn)
	}
	info.PermissionSets = r.permissionSets(wire.FuncInfo)
	return info, nil
}

// permissionSets reads the ids out of func_info. A form that it does not know must
// not cost us the tokens beside it; FuncInfo keeps it.
func (r reply) permissionSets(funcInfo json.RawMessage) []tuoguan.PermissionSet {
	if funcInfo == nil {
		return nil
	}
	var entries []struct {
		Category struct {
			ID *number `json:"id"`
		} `json:"funcscope_category"`
	}
	if json.Unmarshal(funcInfo, &entries) != nil {
		r.client.logger.Warn("func_info of unknown form", "op", r.op)
	}
	var ids []tuoguan.PermissionSet
	for _, entry := range entries {
		if entry.Category.ID != nil {
			ids = append(ids, tuoguan.PermissionSet(*entry.Category.ID))
		}
	}
	return ids
}

// QueryAuth exchanges the authorization code of a redirect or push for the tokens
// of the account (api_query_auth). The code is used up by it: store the result at
// once, before anything else.
//
// It is not repeatable. After [ErrOutcomeUnknown], and after [ErrCodeInvalid] on a
// code that nobody here has exchanged, the authorization may stand: look for its
// refresh token with [Client.GetAuthorizerInfo] or [Client.GetAuthorizerList].
//
// Either of the two tokens may be missing from the result, but not both: of an
// account without any permission WeChat sends neither, and this is an
// [ErrUnusableReply], because there is nothing to keep.
// Source: third-party platform docs, api_query_auth, read 2026.
//
//wx:api POST /cgi-bin/component/api_query_auth
func (c *Client) QueryAuth(ctx context.Context, component tuoguan.ComponentAppID, code tuoguan.Secret) (AuthorizationInfo, error) {
	r := post("/cgi-bin/component/api_query_auth", tuoguan.ComponentToken(component), struct {
		ComponentAppID tuoguan.ComponentAppID `json:"component_appid"`
		Code           string                 `json:"authorization_code"`
	}{component, code.Reveal()}).holding(code)
	var wire struct {
		Info authorizationInfoWire `json:"authorization_info"`
	}
	got, err := c.call(ctx, r, &wire)
	if err != nil {
		return AuthorizationInfo{}, err
	}
	info, err := got.authorizationInfo(wire.Info)
	if err != nil {
		return AuthorizationInfo{}, err
	}
	if info.Tokens.AccessToken.IsZero() && info.Tokens.RefreshToken.IsZero() {
		return AuthorizationInfo{}, got.unusable("no authorizer_access_token and no authorizer_refresh_token")
	}
	return info, nil
}

// RefreshAuthorizerToken gets a new access token of an authorizer
// (api_authorizer_token).
//
// If the refresh token in the result is not empty it replaces the old one and must
// be stored together with the access token; normally it is the same again. If it
// is empty the old one stays in force. After [ErrOutcomeUnknown] the old one may
// have been replaced by one that nobody has seen. Nothing is repeated by itself
// unless it was never sent or the component's token was refused.
//
// Errors: [ErrRefreshTokenInvalid] and [ErrNotAuthorized], neither of which a
// single answer proves; [ErrQuota], which is the account's; any other [*APIError].
// Source: third-party platform docs, api_authorizer_token, read 2026; that the
// refresh token normally stays the same is reported by users of several SDKs.
//
//wx:api POST /cgi-bin/component/api_authorizer_token
func (c *Client) RefreshAuthorizerToken(ctx context.Context, authorization tuoguan.Authorization, refreshToken tuoguan.Secret) (tuoguan.TokenSet, error) {
	r := post("/cgi-bin/component/api_authorizer_token", tuoguan.ComponentToken(authorization.Component), struct {
		authorizationBody
		RefreshToken string `json:"authorizer_refresh_token"`
	}{authorizationBody{authorization.Component, authorization.Authorizer}, refreshToken.Reveal()}).holding(refreshToken)
	var wire struct {
		AccessToken  string `json:"authorizer_access_token"`
		ExpiresIn    number `json:"expires_in"`
		RefreshToken string `json:"authorizer_refresh_token"`
	}
	got, err := c.call(ctx, r, &wire)
	if err != nil {
		return tuoguan.TokenSet{}, err
	}
	access, err := got.token("authorizer_access_token", wire.AccessToken)
	if err != nil {
		return tuoguan.TokenSet{}, err
	}
	refresh, err := got.optionalToken("authorizer_refresh_token", wire.RefreshToken)
	if err != nil {
		return tuoguan.TokenSet{}, err
	}
	return tuoguan.TokenSet{AccessToken: access, RefreshToken: refresh, ExpiresAt: got.expiry(wire.ExpiresIn)}, nil
}
