package admin

import (
	"context"
	"errors"
	"math"
	"net/http"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/keeper"
)

// accessToken is a token handed out. It is the only shape in which one is.
type accessToken struct {
	AccessToken string    `json:"access_token"`
	ExpiresAt   time.Time `json:"expires_at" doc:"When it dies, or is replaced · 失效时间"`
}

// caused says in a context who calls the keeper, for the history of an authorizer.
func caused(ctx context.Context) context.Context {
	return tuoguan.WithActor(ctx, callOf(ctx).Name)
}

// getter returns a token of an owner.
type getter func(context.Context, tuoguan.TokenOwner) (tuoguan.AccessToken, error)

type getTokenInput struct{ Account }

func (a *API) getToken(ctx context.Context, in *getTokenInput) (*output[accessToken], error) {
	return a.handOut(ctx, in.Account, a.reader(ctx))
}

// reader returns how the caller may get at a token: with a refresh if need be, or only
// the one in force.
func (a *API) reader(ctx context.Context) getter {
	if callOf(ctx).May(access.RefreshTokens) {
		return a.cfg.Keeper.Token
	}
	return a.cfg.Keeper.Peek
}

type refusedToken struct {
	AccessToken string `json:"access_token" doc:"The token that WeChat refused · 被微信拒绝的令牌"`
}

type invalidateTokenInput struct {
	Account
	Input[refusedToken]
}

func (a *API) invalidateToken(ctx context.Context, in *invalidateTokenInput) (*output[accessToken], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	if body.AccessToken == "" {
		return nil, problem.BadRequest.Field("access_token", "is required: the token that WeChat refused", "必填：被微信拒绝的令牌")
	}
	return a.handOut(ctx, in.Account, func(ctx context.Context, owner tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
		return a.cfg.Keeper.Invalidate(ctx, owner, tuoguan.NewSecret(body.AccessToken))
	})
}

type refreshTokenInput struct{ Account }

func (a *API) refreshToken(ctx context.Context, in *refreshTokenInput) (*output[accessToken], error) {
	return a.handOut(ctx, in.Account, a.cfg.Keeper.Refresh)
}

// handOut answers with the token that get returns for the authorizer asked about.
func (a *API) handOut(ctx context.Context, in Account, get getter) (*output[accessToken], error) {
	authorization, err := a.find(ctx, in)
	switch {
	case err == nil:
		return a.handOutOf(ctx, authorization, get)
	case errors.Is(err, problem.UnknownAuthorizer), errors.Is(problem.Of(err), problem.StorageUnavailable):
		return a.handOutByTrying(ctx, in, get, err)
	}
	return nil, err
}

// find returns the authorization that is asked about, if the caller has to do with it.
func (a *API) find(ctx context.Context, in Account) (tuoguan.Authorization, error) {
	account, component, c := tuoguan.AuthorizerAppID(in.AppID), tuoguan.ComponentAppID(in.Component), callOf(ctx)
	if component != "" && !c.bound() {
		return tuoguan.Authorization{Component: component, Authorizer: account}, nil
	}
	entries, err := a.cfg.Directory.Find(ctx, account, component)
	if err != nil {
		return tuoguan.Authorization{}, problem.Storage(err)
	}
	reach := c.Reach()
	var found tuoguan.Authorization
	var components []string
	for _, e := range entries {
		if reach.Contains(e.Authorization, e.Tags) {
			found = e.Authorization
			components = append(components, string(e.Component))
		}
	}
	switch len(components) {
	case 0:
		return tuoguan.Authorization{}, problem.UnknownAuthorizer
	case 1:
		a.seen.LoadOrStore(found.Component, true)
		return found, nil
	}
	p := problem.AmbiguousComponent
	p.Components = components
	return tuoguan.Authorization{}, p
}

// handOutByTrying tries every component, where it is not known which one an account has
// authorized: the push that says so may have arrived, and its code not have been
// exchanged yet; or the store is away, and a token in memory is as good as ever.
func (a *API) handOutByTrying(ctx context.Context, in Account, get getter, unknown error) (*output[accessToken], error) {
	var candidates []tuoguan.ComponentAppID
	if in.Component != "" {
		candidates = append(candidates, tuoguan.ComponentAppID(in.Component))
	} else if components, err := a.cfg.Store.Components(ctx); err == nil {
		for _, c := range components {
			candidates = append(candidates, c.AppID)
		}
	} else {
		a.seen.Range(func(component, _ any) bool {
			candidates = append(candidates, component.(tuoguan.ComponentAppID))
			return true
		})
	}
	reach := callOf(ctx).Reach()
	for _, component := range candidates {
		authorization := tuoguan.Authorization{Component: component, Authorizer: tuoguan.AuthorizerAppID(in.AppID)}
		if !reach.Contains(authorization, nil) {
			continue
		}
		reply, err := a.handOutOf(ctx, authorization, get)
		switch {
		case errors.Is(err, keeper.ErrUnknownAuthorizer), errors.Is(err, keeper.ErrStorage):
			continue
		case errors.Is(err, keeper.ErrUnknownComponent) && in.Component != "":
			return nil, unknown
		}
		return reply, err
	}
	return nil, unknown
}

// handOutOf answers with the token that get returns for an authorization.
func (a *API) handOutOf(ctx context.Context, authorization tuoguan.Authorization, get getter) (*output[accessToken], error) {
	c := callOf(ctx)
	if c.route.changes() { // each may cause a call to WeChat
		if wait, ok := a.cfg.Access.AllowAccount(c.Caller, authorization.Authorizer); !ok {
			return nil, rateLimited(wait)
		}
	}
	token, err := get(caused(ctx), tuoguan.AuthorizerToken(authorization.Component, authorization.Authorizer))
	if err != nil {
		return nil, err
	}
	return a.handed(ctx, authorization, token)
}

// handed answers with a token, once it is recorded that the caller has it.
func (a *API) handed(ctx context.Context, authorization tuoguan.Authorization, token tuoguan.AccessToken) (*output[accessToken], error) {
	err := a.cfg.Audit.Handed(ctx, callOf(ctx).event(authorization, "", nil), token.Value.Fingerprint())
	if err != nil {
		return nil, problem.Storage(err)
	}
	// Cut to the second, towards safety: not every client reads fractions.
	return &output[accessToken]{http.StatusOK, accessToken{
		AccessToken: token.Value.Reveal(), ExpiresAt: token.ExpiresAt.UTC().Truncate(time.Second),
	}}, nil
}

func rateLimited(wait time.Duration) error {
	return problem.RateLimited.After(max(1, int(math.Ceil(wait.Seconds()))))
}

type getComponentTokenInput struct{ ComponentPath }

func (a *API) getComponentToken(ctx context.Context, in *getComponentTokenInput) (*output[accessToken], error) {
	id := tuoguan.ComponentAppID(in.AppID)
	if err := callOf(ctx).holds(id); err != nil {
		return nil, err
	}
	token, err := a.reader(ctx)(caused(ctx), tuoguan.ComponentToken(id))
	if err != nil {
		return nil, err
	}
	return a.handed(ctx, tuoguan.Authorization{Component: id}, token)
}
