package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// Identity is who a visitor is, as a service gets it for a code.
type Identity struct {
	AuthorizerAppID tuoguan.AuthorizerAppID `json:"authorizer_appid"`
	ComponentAppID  tuoguan.ComponentAppID  `json:"component_appid"`
	OpenID          string                  `json:"openid"`
	// UnionID is empty unless the account is bound to an open-platform account.
	UnionID string           `json:"unionid,omitempty"`
	Scope   wxapi.OAuthScope `json:"scope"`
	// SnapshotUser is true for the made-up user of WeChat's preview mode, which must
	// not be taken for a login.
	SnapshotUser bool `json:"snapshot_user"`
	// UserInfo is there if snsapi_userinfo was asked for and WeChat gave the profile.
	UserInfo *UserInfo `json:"user_info,omitempty"`
}

// UserInfo is the profile of a user who agreed to show it.
type UserInfo struct {
	NickName     string `json:"nickname"`
	HeadImageURL string `json:"headimgurl"`
}

// ErrUnknownCode: the code does not exist, is older than a minute, or was redeemed.
var ErrUnknownCode = errors.New("oauth: unknown code")

// Redeem returns who the visitor is whom a code was given for, once. The code is used
// up even if the caller then has nothing to do with that account.
//
// Errors: [ErrUnknownCode]; [store.ErrUnavailable], after which the code may be good.
func (l *Relay) Redeem(ctx context.Context, code string) (Identity, error) {
	if len(code) != codeLength {
		return Identity{}, ErrUnknownCode
	}
	value, err := l.cfg.Store.TakeValue(ctx, codeKey(code))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Identity{}, ErrUnknownCode
	case err != nil:
		return Identity{}, fmt.Errorf("redeem a code: %w", err)
	}
	var who Identity
	if err := json.Unmarshal(value.Data, &who); err != nil {
		return Identity{}, fmt.Errorf("redeem a code: %w", err)
	}
	return who, nil
}
