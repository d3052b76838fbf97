package keeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/failpoint"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

const (
	// secondLook is how long after the first denial of an authorization the second
	// one counts. A single 61003 or 61023 is never believed.
	secondLook = 10 * time.Second
	// suspicionLasts is how long after the first denial a second one may confirm it. In
	// between there were other failures, or the record comes from a backup.
	suspicionLasts = 2 * time.Minute
	// historyTried is how many refresh tokens of the history one look tries.
	historyTried = 4
	// soonTried is how many failures in a row are followed by another attempt within a
	// minute, so that all is well that soon after WeChat is. They take some six minutes.
	soonTried = 12
)

// refresh gets a new token set for a, under lease.
func (k *Keeper) refresh(ctx context.Context, a store.Authorizer, lease *claimed) (tuoguan.AccessToken, error) {
	if err := k.pass(ctx, a.Component, gateOpen); err != nil {
		k.recordTrouble(ctx, a, k.now(), err)
		return tuoguan.AccessToken{}, err
	}
	began, start := k.now(), time.Now()
	var tried []tuoguan.Secret
	var token tuoguan.AccessToken
	err := error(nil)
	if a.Tokens.RefreshToken.IsZero() {
		// Nothing to send. WeChat would answer 61023 as for a dead one, so look for
		// a refresh token elsewhere at once.
		err = fmt.Errorf("refresh %s: %w: none is stored", a.Authorization, wxapi.ErrRefreshTokenInvalid)
	} else {
		token, err = k.exchangeRefreshToken(ctx, a, a.Tokens.RefreshToken, false, store.FromRefresh, lease)
		tried = append(tried, a.Tokens.RefreshToken)
	}
	if denied(err) {
		token, err = k.recover(ctx, a, tried, lease, err)
	}
	k.observe(Observation{Kind: "refresh", Authorization: a.Authorization, Err: err, Cause: causeOf(ctx), Duration: time.Since(start)})
	if err != nil {
		k.recordTrouble(ctx, a, began, err)
		return tuoguan.AccessToken{}, err
	}
	if a.Trouble.Failures > 0 || a.State != tuoguan.StateActive {
		k.log.Info("authorizer is well again", "authorizer_appid", a.Authorizer, "component_appid", a.Component)
		k.observe(Observation{Kind: "state", Authorization: a.Authorization, Result: string(tuoguan.StateActive), Cause: causeOf(ctx)})
	}
	return token, nil
}

// denied reports whether WeChat says that the authorization is not there.
func denied(err error) bool {
	return errors.Is(err, wxapi.ErrRefreshTokenInvalid) || errors.Is(err, wxapi.ErrNotAuthorized)
}

// errChanged: the authorization moved on while we were at WeChat's, so what came
// back is history only.
var errChanged = errors.New("keeper: the authorization changed during the refresh")

// exchangeRefreshToken sends one refresh token and keeps what comes back. If that has
// none, the one sent becomes current if it is newer than that of a, and a is still
// what is stored: somebody whose lease has lapsed may have saved the newest meanwhile.
func (k *Keeper) exchangeRefreshToken(ctx context.Context, a store.Authorizer, refreshToken tuoguan.Secret, newer bool, source store.TokenSource, lease *claimed) (tuoguan.AccessToken, error) {
	var reply tuoguan.TokenSet
	var asked time.Time
	err := k.ask(ctx, func(ctx context.Context) (err error) {
		asked = k.now()
		_ = failpoint.Hit(failpoint.RefreshBeforeSend)
		reply, err = k.api.RefreshAuthorizerToken(ctx, a.Authorization, refreshToken)
		reply.ExpiresAt = k.ours(reply.ExpiresAt)
		_ = failpoint.Hit(failpoint.RefreshAfterReplyBeforeParse)
		return err
	})
	if err != nil {
		return tuoguan.AccessToken{}, err
	}
	var used tuoguan.Secret
	if newer {
		used = refreshToken
	}
	w := store.TokenWrite{
		Authorization: a.Authorization,
		Grant:         a.Grant,
		Epoch:         lease.Epoch,
		Tokens:        reply,
		Used:          used,
		Found:         a.Epoch,
		ObtainedAt:    asked,
		RefreshAt:     refreshAt(a.String(), asked, reply.ExpiresAt.Sub(asked)),
		Source:        source,
		Release:       lease.Lease,
	}
	moved := false
	err = k.keep(Answer{Tokens: &w}, func(ctx context.Context) (err error) {
		moved, err = k.store.SaveTokens(ctx, w)
		return err
	})
	if err != nil {
		return tuoguan.AccessToken{}, err
	}
	lease.over = true
	if !moved {
		return tuoguan.AccessToken{}, fmt.Errorf("refresh %s: %w", a.Authorization, errChanged)
	}
	return tuoguan.AccessToken{Value: reply.AccessToken, ExpiresAt: reply.ExpiresAt}, nil
}

// recover looks for a refresh token that WeChat takes, after it denied one: in the
// history, in api_get_authorizer_info and in api_get_authorizer_list.
func (k *Keeper) recover(ctx context.Context, a store.Authorizer, tried []tuoguan.Secret, lease *claimed, denial error) (token tuoguan.AccessToken, err error) {
	defer func() {
		k.observe(Observation{Kind: "recovery", Authorization: a.Authorization, Err: err, Cause: causeOf(ctx)})
	}()
	var older []tuoguan.Secret // if one of these works, so may the current one
	attempt := func(candidate tuoguan.Secret, source store.TokenSource) (done bool) {
		if candidate.IsZero() || contains(tried, candidate) {
			return false
		}
		tried = append(tried, candidate)
		// A new authorization may have come meanwhile. Then nothing of this one counts.
		if current, readErr := k.store.Authorizer(ctx, a.Authorization); readErr == nil && current.Grant != a.Grant {
			err = fmt.Errorf("refresh %s: %w", a.Authorization, errChanged)
			return true
		}
		if source == store.FromInfo || source == store.FromList {
			if err := k.keepCandidate(a.Authorization, a.Grant, candidate, source); err != nil {
				k.log.Error("a refresh token found could not be kept", "authorizer_appid", a.Authorizer, "error", err)
			}
		}
		// What info and the list tell may be stale: it counts as newer once a reply says so.
		newer := !contains(older, candidate) && source != store.FromInfo && source != store.FromList
		token, err = k.exchangeRefreshToken(ctx, a, candidate, newer, source, lease)
		return !denied(err)
	}

	remembered := func() (done bool) {
		// Entries that do not open any more must not keep us from trying the others.
		var history []store.RefreshToken
		history, err = k.store.RefreshTokens(ctx, a.Authorization)
		if err != nil && !errors.Is(err, store.ErrQuarantined) {
			err = fmt.Errorf("read the refresh tokens of %s: %w", a.Authorization, err)
			return true
		}
		current := slices.IndexFunc(history, func(h store.RefreshToken) bool { return h.Value.Equal(a.Tokens.RefreshToken) })
		// What comes from a spill file is late in the history, and old all the same.
		older = nil
		for i, h := range history {
			if current >= 0 && i != current && !h.ReceivedAt.After(history[current].ReceivedAt) {
				older = append(older, h.Value)
			}
		}
		for _, h := range history[:min(len(history), historyTried)] {
			if attempt(h.Value, h.Source) {
				return true
			}
		}
		return false
	}
	if remembered() {
		return token, err
	}

	var info *wxapi.AuthorizerInfo
	err = k.ask(ctx, func(ctx context.Context) (err error) {
		info, err = k.api.GetAuthorizerInfo(ctx, a.Authorization)
		return err
	})
	switch {
	case err == nil:
		if attempt(info.Authorization.Tokens.RefreshToken, store.FromInfo) {
			return token, err
		}
	case !denied(err):
		// We do not know. That is not a denial.
		return tuoguan.AccessToken{}, err
	}

	listed, err := k.listed(ctx, a.Component)
	if err != nil {
		return tuoguan.AccessToken{}, err
	}
	// Somebody whose claim has lapsed may have added to the history meanwhile.
	if attempt(listed[a.Authorizer], store.FromList) || remembered() {
		return token, err
	}
	return tuoguan.AccessToken{}, denial
}

// keepCandidate adds a refresh token that WeChat has told to the history.
func (k *Keeper) keepCandidate(id tuoguan.Authorization, grant int64, value tuoguan.Secret, source store.TokenSource) error {
	found := store.RefreshToken{Authorization: id, Grant: grant, Value: value, Source: source, ReceivedAt: k.now()}
	return k.keep(Answer{RefreshToken: &found}, func(ctx context.Context) error {
		_, err := k.store.AppendRefreshToken(ctx, found)
		return err
	})
}

func contains(secrets []tuoguan.Secret, s tuoguan.Secret) bool {
	for _, t := range secrets {
		if t.Equal(s) {
			return true
		}
	}
	return false
}

// recordTrouble writes down that a refresh failed and when to try again. It parks
// the authorizer if WeChat has denied it twice.
func (k *Keeper) recordTrouble(ctx context.Context, a store.Authorizer, began time.Time, failure error) {
	if errors.Is(failure, errChanged) || errors.Is(failure, ErrStorage) {
		return // nobody's fault; the record is as it should be
	}
	if ctx.Err() != nil && k.outdated(a) {
		return // the lease was over before that, and somebody else knows better
	}
	now := k.now()
	t := store.Trouble{
		Authorization: a.Authorization,
		Grant:         a.Grant,
		Epoch:         a.Epoch,
		State:         a.State,
		Info:          a.Trouble,
		At:            now,
	}
	if errors.Is(failure, ErrGated) {
		// Nobody asked WeChat. Look again, but not all the time.
		t.RefreshAt = now.Add(gateRecheck)
		k.saveTrouble(a, t)
		return
	}
	t.Info.Failures++
	t.Info.Code = 0
	t.Info.Message = failure.Error()
	var api *wxapi.APIError
	if errors.As(failure, &api) {
		t.Info.Code = api.Code
	}
	share := 0.75 + 0.5*jitter(a.String(), now.String())
	switch {
	case !denied(failure):
		limit := 40 * time.Second
		if t.Info.Failures > soonTried {
			limit = backOff(t.Info.Failures-soonTried, limit, time.Hour)
		}
		t.RefreshAt = now.Add(time.Duration(share * float64(backOff(t.Info.Failures-1, 4*time.Second, limit))))
	case t.Info.SuspectSince.IsZero(), t.State == tuoguan.StateActive && began.Sub(t.Info.SuspectSince) > suspicionLasts:
		t.Info.SuspectSince = now
		t.RefreshAt = now.Add(secondLook + time.Duration(2*share*float64(time.Second)))
	case began.Sub(t.Info.SuspectSince) < secondLook:
		t.RefreshAt = t.Info.SuspectSince.Add(secondLook + time.Duration(2*share*float64(time.Second)))
	default:
		t.State = tuoguan.StateNeedsReauthorization
		t.RefreshAt = now.Add(time.Duration(share * float64(nextLook(now.Sub(t.Info.SuspectSince)))))
	}
	if t.State != a.State {
		t.Announce = k.announcement(k.base, event.NewNeedsReauthorization(t))
	}
	changed := k.saveTrouble(a, t)
	k.log.Warn("refresh failed", "authorizer_appid", a.Authorizer, "component_appid", a.Component, "attempt", t.Info.Failures, "errcode", t.Info.Code, "error", failure, "next", t.RefreshAt)
	if changed && t.State != a.State {
		k.announced(t.Announce)
		k.cache.drop(tuoguan.AuthorizerToken(a.Component, a.Authorizer))
		k.log.Error("the merchant has to authorize again", "authorizer_appid", a.Authorizer, "component_appid", a.Component, "errcode", t.Info.Code)
		k.observe(Observation{Kind: "state", Authorization: a.Authorization, Result: string(t.State), Err: failure, Cause: causeOf(ctx)})
	}
}

// outdated reports whether somebody has tried since a was read.
func (k *Keeper) outdated(a store.Authorizer) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(k.base), 5*time.Second)
	defer cancel()
	stored, err := k.store.Authorizer(ctx, a.Authorization)
	return err == nil && (stored.Trouble.Failures != a.Trouble.Failures || !stored.RefreshAt.Equal(a.RefreshAt))
}

// saveTrouble stores t, and reports whether it found the record as it was read.
func (k *Keeper) saveTrouble(a store.Authorizer, t store.Trouble) (changed bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(k.base), 5*time.Second)
	defer cancel()
	changed, err := k.store.SaveTrouble(ctx, t)
	if err != nil {
		k.health.failedToStore(err, t.At)
		k.log.Error("trouble with a refresh could not be recorded", "authorizer_appid", a.Authorizer, "error", err)
	}
	return changed
}

// nextLook says how long to leave a parked authorizer alone. For ten minutes it is
// looked at so often that a false alarm is over within one; after that ever less,
// until a dead one costs one look a day.
func nextLook(suspectFor time.Duration) time.Duration {
	if suspectFor < 10*time.Minute {
		return min(max(15*time.Second, suspectFor), 35*time.Second)
	}
	return min(suspectFor, 24*time.Hour)
}
