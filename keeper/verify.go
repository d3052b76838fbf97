package keeper

import (
	"context"
	"errors"
	"fmt"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// Verify asks WeChat now whether an authorization stands: it reads the profile anew and
// tries the token, which is replaced if it is dead. Where WeChat denies the profile, or
// the authorization is parked already, a refresh finds out, with all that belongs to
// it: a denial counts as a look, and is confirmed by another one.
//
// Errors are those of [Keeper.Token]. What was found is in the store.
func (k *Keeper) Verify(ctx context.Context, authorization tuoguan.Authorization) error {
	ctx, cancel := k.limited(because(ctx, Asked))
	defer cancel()
	if err := k.sync(ctx); err != nil {
		return err
	}
	a, err := k.store.Authorizer(ctx, authorization)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%w: %s", ErrUnknownAuthorizer, authorization)
	case err != nil:
		return fmt.Errorf("%w: read %s: %w", ErrStorage, authorization, err)
	case a.State == tuoguan.StateRevoked:
		return fmt.Errorf("%w: %s", ErrRevoked, authorization)
	}
	if err := k.pass(ctx, a.Component, gateOpen); err != nil {
		return err
	}
	owner := tuoguan.AuthorizerToken(a.Component, a.Authorizer)
	err = k.readProfile(ctx, authorization)
	k.observe(Observation{Kind: "profile", Authorization: authorization, Err: err, Cause: causeOf(ctx)})
	switch {
	case err == nil && a.State == tuoguan.StateActive:
		_, err = k.api.GetCallbackIP(ctx, owner) // any account may ask, and nothing comes of it
		return err
	case err != nil && !denied(err):
		return err
	}
	if _, err := k.verifyByRefresh(ctx, a); err != nil {
		return fmt.Errorf("%w: %w", ErrStorage, err)
	}
	_, err = k.join(ctx, owner, want{ahead: true})
	return err
}
