package wxapi

import (
	"context"

	"github.com/tuoguan/tuoguan"
)

// OpenAppID identifies an open-platform account (开放平台账号), which gives the users
// of the accounts bound to it one UnionID.
type OpenAppID string

type openAccountBody struct {
	AppID     tuoguan.AuthorizerAppID `json:"appid"`
	OpenAppID OpenAppID               `json:"open_appid,omitempty"`
}

// CreateOpenAccount makes an open-platform account and binds the account to it.
// This and the following need [tuoguan.PermissionOpenAccount] or
// [tuoguan.PermissionMiniProgramOpenAccount].
//
// Errors: [ErrUser] if the account is bound already; any other [*APIError].
// Source: third-party platform docs, createOpenAccount, read 2026.
//
//wx:api POST /cgi-bin/open/create
func (c *Client) CreateOpenAccount(ctx context.Context, authorization tuoguan.Authorization) (OpenAppID, error) {
	return c.openAppID(ctx, post("/cgi-bin/open/create", accountToken(authorization), openAccountBody{AppID: authorization.Authorizer}))
}

// BindOpenAccount binds the account to an open-platform account of the same owner.
//
// Source: third-party platform docs, bindOpenAccount, read 2026.
//
//wx:api POST /cgi-bin/open/bind
func (c *Client) BindOpenAccount(ctx context.Context, authorization tuoguan.Authorization, open OpenAppID) error {
	_, err := c.call(ctx, post("/cgi-bin/open/bind", accountToken(authorization), openAccountBody{authorization.Authorizer, open}), nil)
	return err
}

// UnbindOpenAccount ends what [Client.BindOpenAccount] began.
//
// Source: third-party platform docs, unbindOpenAccount, read 2026.
//
//wx:api POST /cgi-bin/open/unbind
func (c *Client) UnbindOpenAccount(ctx context.Context, authorization tuoguan.Authorization, open OpenAppID) error {
	_, err := c.call(ctx, post("/cgi-bin/open/unbind", accountToken(authorization), openAccountBody{authorization.Authorizer, open}), nil)
	return err
}

// GetOpenAccount reads which open-platform account the account is bound to. None is
// errcode 89002, an [ErrUser].
//
// Source: third-party platform docs, getOpenAccount, read 2026.
//
//wx:api POST /cgi-bin/open/get
func (c *Client) GetOpenAccount(ctx context.Context, authorization tuoguan.Authorization) (OpenAppID, error) {
	return c.openAppID(ctx, post("/cgi-bin/open/get", accountToken(authorization), openAccountBody{AppID: authorization.Authorizer}).repeat())
}

func (c *Client) openAppID(ctx context.Context, r request) (OpenAppID, error) {
	var wire struct {
		OpenAppID OpenAppID `json:"open_appid"`
	}
	got, err := c.call(ctx, r, &wire)
	if err != nil {
		return "", err
	}
	if wire.OpenAppID == "" {
		return "", got.unusable("no open_appid")
	}
	return wire.OpenAppID, nil
}

// HasOpenAccount reports whether the account is bound to an open-platform account.
//
// Source: third-party platform docs, getBindOpenAccount, read 2026. SDKs disagree
// whether it is a GET or a POST.
//
//wx:api POST /cgi-bin/open/have
func (c *Client) HasOpenAccount(ctx context.Context, authorization tuoguan.Authorization) (bool, error) {
	var wire struct {
		Has *bool `json:"have_open"`
	}
	got, err := c.call(ctx, post("/cgi-bin/open/have", accountToken(authorization), struct{}{}).repeat(), &wire)
	if err != nil {
		return false, err
	}
	if wire.Has == nil {
		return false, got.unusable("no have_open")
	}
	return *wire.Has, nil
}

// SameOpenEntity reports whether the account and the open-platform account that it
// is bound to have the same owner.
//
// Source: third-party platform docs, getBindOpenAccountEntity, as two SDKs read it.
//
//wx:api GET /cgi-bin/open/sameentity
func (c *Client) SameOpenEntity(ctx context.Context, authorization tuoguan.Authorization) (bool, error) {
	var wire struct {
		Same *bool `json:"same_entity"`
	}
	got, err := c.call(ctx, get("/cgi-bin/open/sameentity", accountToken(authorization), nil).repeat(), &wire)
	if err != nil {
		return false, err
	}
	if wire.Same == nil {
		return false, got.unusable("no same_entity")
	}
	return *wire.Same, nil
}
