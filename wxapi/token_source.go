package wxapi

import (
	"context"

	"github.com/tuoguan/tuoguan"
)

// A TokenSource hands out the access tokens that calls carry, for a component's
// own calls as well as for calls on behalf of an authorizer. An implementation
// must be safe for concurrent use.
type TokenSource interface {
	// Token returns a token of owner that is good to be sent now. It blocks until
	// it has one, ctx ends, or none can be had. It never returns an empty token
	// with a nil error.
	Token(ctx context.Context, owner tuoguan.TokenOwner) (tuoguan.AccessToken, error)

	// Invalidate reports that WeChat refused failed, a token of owner. It returns
	// the current token, which is refreshed first only if failed is still the
	// current one: of many callers that hold the same dead token one causes a
	// refresh, and a caller that is late causes none.
	Invalidate(ctx context.Context, owner tuoguan.TokenOwner, failed tuoguan.Secret) (tuoguan.AccessToken, error)
}
