package admin

import (
	"context"
	"errors"
	"net/http"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/oauth"
	"github.com/tuoguan/tuoguan/internal/problem"
)

// OAuth redeems the codes that users come back with: [oauth.Relay].
type OAuth interface {
	Redeem(ctx context.Context, code string) (oauth.Identity, error)
}

var _ OAuth = (*oauth.Relay)(nil)

type oauthCode struct {
	Code string `json:"code" doc:"The code that the user came back with · 用户返回时携带的 code"`
}

type redeemInput struct{ Input[oauthCode] }

// redeem says who a user is, once. A code of an account that the caller has nothing to
// do with is used up all the same: it has got into the wrong hands.
func (a *API) redeem(ctx context.Context, in *redeemInput) (*output[oauth.Identity], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	if body.Code == "" {
		return nil, problem.BadRequest.Field("code", "is required: the one that the user came back with", "必填：用户返回时携带的 code")
	}
	who, err := a.cfg.OAuth.Redeem(ctx, body.Code)
	if errors.Is(err, oauth.ErrUnknownCode) {
		return nil, problem.UnknownCode
	}
	if err != nil {
		return nil, problem.Storage(err)
	}
	_, err = a.find(ctx, Account{AppID: string(who.AuthorizerAppID), Component: string(who.ComponentAppID)})
	if errors.Is(err, problem.UnknownAuthorizer) {
		return nil, problem.UnknownCode
	}
	if err != nil {
		return nil, err
	}
	authorization := tuoguan.Authorization{Component: who.ComponentAppID, Authorizer: who.AuthorizerAppID}
	if err := a.record(ctx, authorization, "", nil); err != nil {
		return nil, err
	}
	return &output[oauth.Identity]{http.StatusOK, who}, nil
}
