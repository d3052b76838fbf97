package keeper

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/failpoint"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// userNamesKept bounds the original ids kept in memory; beyond it they are read anew.
const userNamesKept = 100_000

// Accept stores a push together with the change it causes, in one step, and then
// sees to what follows from it. It never calls WeChat.
func (k *Keeper) Accept(ctx context.Context, p *push.Push) (push.Outcome, error) {
	if err := k.sync(ctx); err != nil {
		return push.Outcome{}, err
	}
	received := k.now()
	if !k.cfg.Shared && !p.ReceivedAt.IsZero() {
		received = p.ReceivedAt
	}
	in := store.Intake{Push: store.Push{
		Key:        p.DedupeKey(),
		Component:  p.Component,
		Authorizer: p.Authorizer,
		Kind:       p.Kind(),
		Body:       p.Body,
		CreatedAt:  p.CreatedAt,
		ReceivedAt: received,
	}}
	switch p.InfoType {
	case "":
	case "component_verify_ticket":
		if ticket := p.Field("ComponentVerifyTicket"); ticket != "" {
			in.Ticket = &store.Ticket{Component: p.Component, Value: tuoguan.NewSecret(ticket), CreatedAt: p.CreatedAt, ReceivedAt: received}
		}
	case "authorized", "updateauthorized":
		in.Push.Authorizer = tuoguan.AuthorizerAppID(p.Field("AuthorizerAppid"))
		in.Exchange = k.exchangeOf(p, in.Push.Authorizer, p.Field("AuthorizationCode"), received)
	case "unauthorized":
		in.Push.Authorizer = tuoguan.AuthorizerAppID(p.Field("AuthorizerAppid"))
		in.Revoke = p.CreatedAt
		if in.Revoke.IsZero() {
			in.Revoke = received
		}
	case "notify_third_fasteregister":
		in.Push.Authorizer = tuoguan.AuthorizerAppID(p.Field("appid"))
		if p.Field("status") == "0" {
			in.Exchange = k.exchangeOf(p, in.Push.Authorizer, p.Field("auth_code"), received)
		}
	default:
		for _, name := range []string{"appid", "authorizer_appid", "AuthorizerAppid"} {
			if id := p.Field(name); id != "" {
				in.Push.Authorizer = tuoguan.AuthorizerAppID(id)
			}
		}
	}

	in.Routes = k.cfg.Router.Routes(ctx, in.Push, p)
	if err := failpoint.Hit(failpoint.InboxBeforeCommit); err != nil {
		return push.Outcome{}, err
	}
	stored, duplicate, err := k.store.AcceptPush(ctx, in)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			k.health.failedToStore(err, k.now())
		}
		return push.Outcome{}, fmt.Errorf("store a push: %w", err)
	}
	_ = failpoint.Hit(failpoint.InboxAfterCommitBeforeReply)
	k.health.stored()
	// Also of a duplicate: the first copy may have been stored by somebody who then
	// died, or have been answered as if it had not been.
	k.follow(in, !duplicate)
	k.cfg.Router.Stored(in.Routes)
	return push.Outcome{Duplicate: duplicate, Reply: stored.Reply}, nil
}

// SaveReply records the passive reply to p, so that a retry of the push gets it too.
func (k *Keeper) SaveReply(ctx context.Context, p *push.Push, reply []byte) error {
	if err := k.store.SaveReply(ctx, p.DedupeKey(), reply); err != nil {
		return fmt.Errorf("store a passive reply: %w", err)
	}
	return nil
}

// exchangeOf returns the exchange that a push asks for, or nil if it has no code.
func (k *Keeper) exchangeOf(p *push.Push, authorizer tuoguan.AuthorizerAppID, code string, received time.Time) *store.Exchange {
	if code == "" || authorizer == "" {
		return nil
	}
	e := &store.Exchange{
		Component:    p.Component,
		CodeHash:     HashCode(tuoguan.NewSecret(code)),
		Code:         tuoguan.NewSecret(code),
		Authorizer:   authorizer,
		AuthorizedAt: p.CreatedAt,
		State:        store.ExchangePending,
		DueAt:        k.now(),
		CreatedAt:    received,
	}
	if pre := p.Field("PreAuthCode"); pre != "" {
		e.PreAuthHash = HashCode(tuoguan.NewSecret(pre))
	}
	// AuthorizationCodeExpiredTime is an instant in all samples; the text allows a
	// duration too, which would be a small number. Only the span counts, since
	// WeChat's clock need not be ours.
	if n, err := strconv.ParseInt(p.Field("AuthorizationCodeExpiredTime"), 10, 64); err == nil && n > 0 {
		life := time.Duration(n) * time.Second
		if n >= 1e9 {
			life = time.Unix(n, 0).Sub(p.CreatedAt)
		}
		if life > 0 {
			e.ExpiresAt = received.Add(min(life, 24*time.Hour))
		}
	}
	return e
}

// follow does what a stored push asks for in memory, and wakes who does the rest.
// Only a push that is new is news.
func (k *Keeper) follow(in store.Intake, isNew bool) {
	authorization := tuoguan.Authorization{Component: in.Push.Component, Authorizer: in.Push.Authorizer}
	switch {
	case in.Ticket != nil:
		k.change(in.Push.Component, func(c *component) {
			c.seen = in.Ticket.ReceivedAt
			c.due = time.Time{}
		})
		k.forgive(string(in.Push.Component))
		if isNew {
			k.observe(Observation{Kind: "ticket", Authorization: authorization})
		}
		k.rouse()
	case in.Exchange != nil:
		k.expectGrant(*in.Exchange)
		k.rouse()
	case !in.Revoke.IsZero():
		k.cache.drop(tuoguan.AuthorizerToken(authorization.Component, authorization.Authorizer))
		if isNew {
			k.log.Info("authorization revoked", "authorizer_appid", authorization.Authorizer, "component_appid", authorization.Component)
			k.observe(Observation{Kind: "state", Authorization: authorization, Result: string(tuoguan.StateRevoked), Cause: Cause{Kind: Pushed}})
		}
		if k.enter() {
			go func() {
				defer k.work.Done()
				k.doubtRevocation(authorization, in.Revoke)
			}()
		}
	}
}

// doubtRevocation asks WeChat which came last if an account was authorized and
// revoked within the same second: pushes overtake each other, and their times have
// no more than seconds. Until WeChat says otherwise the authorization is revoked.
func (k *Keeper) doubtRevocation(authorization tuoguan.Authorization, at time.Time) {
	ctx, cancel := context.WithTimeout(k.base, time.Minute)
	defer cancel()
	for attempt := 0; ; attempt++ {
		a, err := k.store.Authorizer(ctx, authorization)
		if err == nil && (a.State != tuoguan.StateRevoked || !a.AuthorizedAt.Equal(at)) || errors.Is(err, store.ErrNotFound) {
			return
		}
		var info *wxapi.AuthorizerInfo
		if err == nil {
			info, err = k.api.GetAuthorizerInfo(ctx, authorization)
		}
		switch {
		case denied(err):
			return
		case err == nil && info.Authorization.Tokens.RefreshToken.IsZero():
			return // authorized, but the code was not exchanged; its push does that
		case err == nil:
			k.log.Info("authorization stands: it was given again in the second of the revocation", "authorizer_appid", authorization.Authorizer, "component_appid", authorization.Component)
			_, err = k.saveGrant(store.Grant{
				Authorization:  authorization,
				Tokens:         tuoguan.TokenSet{RefreshToken: info.Authorization.Tokens.RefreshToken},
				ObtainedAt:     k.now(),
				PermissionSets: info.Authorization.PermissionSets,
				FuncInfo:       string(info.Authorization.FuncInfo),
				Source:         store.FromInfo,
			})
			if err == nil {
				return
			}
		}
		if !k.pause(ctx, backOff(attempt, time.Second, 10*time.Second)) {
			k.log.Warn("a revocation in the second of the authorization could not be verified", "authorizer_appid", authorization.Authorizer, "component_appid", authorization.Component, "error", err)
			return
		}
	}
}

// Holder returns the account of a component that has the original id userName, and
// whether one is known.
func (k *Keeper) Holder(ctx context.Context, c tuoguan.ComponentAppID, userName string) (tuoguan.AuthorizerAppID, bool) {
	if userName == "" {
		return "", false
	}
	// The text also matches a part of the nick name, which few would choose so.
	found, err := k.store.Authorizers(ctx, store.AuthorizerQuery{Component: c, Text: userName, Limit: 100})
	if err = k.tolerate(err); err != nil {
		return "", false
	}
	for _, a := range found {
		if a.Profile.UserName == userName {
			return a.Authorizer, true
		}
	}
	return "", false
}

// UserName returns the original id (gh_…) of an account, if its profile is known.
func (k *Keeper) UserName(ctx context.Context, a tuoguan.Authorization) (string, bool) {
	k.mu.Lock()
	name, ok := k.userNames[a]
	k.mu.Unlock()
	if ok {
		return name, true
	}
	record, err := k.store.Authorizer(ctx, a)
	if err != nil || record.Profile.UserName == "" {
		return "", false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.userNames) >= userNamesKept {
		clear(k.userNames)
	}
	k.userNames[a] = record.Profile.UserName
	return record.Profile.UserName, true
}
