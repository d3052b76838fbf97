package keeper

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

const (
	// reconcileEvery is how often all authorizations are compared with WeChat's list.
	reconcileEvery = 24 * time.Hour
	// reconcileFirst is how long after the start of Run the first comparison comes.
	reconcileFirst = 10 * time.Minute
)

// Reconciliation is what a comparison with api_get_authorizer_list has found.
type Reconciliation struct {
	Listed      int // authorizations in WeChat's list
	Adopted     int // that we did not know
	Renewed     int // that had been given anew without our noticing
	Candidates  int // refresh tokens new to the history
	Unexchanged int // authorizations whose code was never exchanged: the merchant must authorize again
	Unlisted    int // active here but not in the list; each is verified by a refresh

	restoring bool // the gate is closed: what is stored may be old
}

// reconciledSetting is the prefix of the settings that say when each component was
// last compared, by any replica.
const reconciledSetting = "reconciled/"

// Reconcile compares what is stored with what WeChat lists and repairs it. It
// never deletes anything: presence in the list is no proof, and absence neither.
func (k *Keeper) Reconcile(ctx context.Context, id tuoguan.ComponentAppID) (r Reconciliation, err error) {
	start := time.Now()
	defer func() {
		k.observe(Observation{Kind: "reconcile", Authorization: tuoguan.Authorization{Component: id}, Err: err, Cause: causeOf(ctx), Duration: time.Since(start)})
	}()
	stage, err := k.stage(ctx, id)
	if err != nil {
		return r, err
	}
	r.restoring = stage != gateOpen
	// Of a million that are listed nothing stays in memory but a number each. If two
	// have the same, one that is missing may go unnoticed for a day.
	listed := make(map[uint64]struct{})
	seed := maphash.MakeSeed()
	for entry, err := range k.api.AllAuthorizers(ctx, id) {
		if err != nil {
			return r, fmt.Errorf("read WeChat's list of %s: %w", id, err)
		}
		r.Listed++
		listed[maphash.String(seed, string(entry.Authorizer))] = struct{}{}
		if err := k.reconcileOne(ctx, id, entry, &r); err != nil {
			return r, err
		}
	}
	after := tuoguan.Authorization{}
	for {
		page, err := k.store.Authorizers(ctx, store.AuthorizerQuery{Component: id, State: tuoguan.StateActive, After: after, Limit: dueBatch})
		if err = k.tolerate(err); err != nil {
			return r, fmt.Errorf("read the authorizers of %s: %w", id, err)
		}
		for _, a := range page {
			if _, ok := listed[maphash.String(seed, string(a.Authorizer))]; ok {
				continue
			}
			r.Unlisted++
			if _, err := k.verifyByRefresh(ctx, a); err != nil {
				return r, err
			}
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1].Authorization
	}
	k.log.Info("compared with WeChat's list", "component_appid", id, "listed", r.Listed, "adopted", r.Adopted, "renewed", r.Renewed, "unexchanged", r.Unexchanged, "unlisted", r.Unlisted)
	k.rouse()
	return r, nil
}

func (k *Keeper) reconcileOne(ctx context.Context, id tuoguan.ComponentAppID, entry wxapi.AuthorizerListItem, r *Reconciliation) error {
	authorization := tuoguan.Authorization{Component: id, Authorizer: entry.Authorizer}
	a, err := k.store.Authorizer(ctx, authorization)
	unknown := errors.Is(err, store.ErrNotFound)
	if errors.Is(err, store.ErrQuarantined) {
		return k.tolerate(err)
	}
	if err != nil && !unknown {
		return fmt.Errorf("read %s: %w", authorization, err)
	}
	if entry.RefreshToken.IsZero() {
		if unknown {
			r.Unexchanged++
			k.log.Warn("an account has authorized, but its code was never exchanged; the merchant has to authorize again", "authorizer_appid", entry.Authorizer, "component_appid", id)
		}
		return nil
	}
	known := false
	if !unknown {
		history, err := k.store.RefreshTokens(ctx, authorization)
		if err = k.tolerate(err); err != nil {
			return fmt.Errorf("read the refresh tokens of %s: %w", authorization, err)
		}
		for _, h := range history {
			known = known || h.Value.Equal(entry.RefreshToken)
		}
	}
	newer := entry.AuthorizedAt.After(a.AuthorizedAt) && entry.AuthorizedAt.After(a.RevokedAt)
	switch {
	case known && a.State == tuoguan.StateNeedsReauthorization:
		// WeChat lists it, so it is worth another look.
		_, err = k.verifyByRefresh(ctx, a)
		return err
	case known && !(newer && a.State == tuoguan.StateRevoked): // else only its token has survived, in a spill file
		return nil
	case unknown, newer:
		if unknown {
			r.Adopted++
		} else {
			r.Renewed++
		}
		_, err := k.saveGrant(store.Grant{
			AuthorizedAt:  entry.AuthorizedAt,
			Authorization: authorization,
			Tokens:        tuoguan.TokenSet{RefreshToken: entry.RefreshToken},
			ObtainedAt:    k.now(),
			Source:        store.FromList,
		})
		return err
	}
	r.Candidates++
	if err = k.keepCandidate(authorization, a.Grant, entry.RefreshToken, store.FromList); err != nil {
		return fmt.Errorf("keep a refresh token of %s: %w", authorization, err)
	}
	if a.State == tuoguan.StateNeedsReauthorization || r.restoring {
		_, err = k.verifyByRefresh(ctx, a)
	}
	return err
}

// verifyByRefresh makes a refresh due at once, which tells whether an authorization
// stands, unless the record has changed since.
func (k *Keeper) verifyByRefresh(ctx context.Context, a store.Authorizer) (changed bool, err error) {
	return k.store.SaveTrouble(ctx, store.Trouble{
		Authorization: a.Authorization, Grant: a.Grant, Epoch: a.Epoch, State: a.State, Info: a.Trouble,
		RefreshAt: k.now(), At: k.now(),
	})
}

// verifySuperseded makes a refresh due at once after WeChat has answered something
// that did not become current: it may be newer than what is, which then dies soon.
func (k *Keeper) verifySuperseded(ctx context.Context, id tuoguan.Authorization) error {
	for {
		a, err := k.store.Authorizer(ctx, id)
		if err != nil {
			return fmt.Errorf("read %s: %w", id, err)
		}
		if a.State == tuoguan.StateRevoked {
			return nil
		}
		if changed, err := k.verifyByRefresh(ctx, a); changed || err != nil {
			return err
		}
	}
}

// reconcile starts the comparison for a component when it is due.
func (r *runner) reconcile(id tuoguan.ComponentAppID, now time.Time) {
	k := r.k
	c, err := k.component(r.ctx, id)
	if err != nil || !k.onDuty() && !c.wanted || now.Before(c.reconcileAt) || c.reconcileAt.IsZero() && now.Sub(r.began) < reconcileFirst {
		return
	}
	if s, err := k.stored(r.ctx, tuoguan.ComponentToken(id)); err != nil || !(want{}).meets(s, now) {
		return
	}
	r.start(&r.components, "reconcile/"+string(id), func() {
		next := reconcileEvery
		var last time.Time
		version, err := k.setting(r.ctx, reconciledSetting+string(id), &last)
		if err == nil && !c.wanted && now.Sub(last) < reconcileEvery {
			k.change(id, func(c *component) { c.reconcileAt = last.Add(reconcileEvery) })
			return
		}
		k.change(id, func(c *component) { c.wanted = false })
		if err == nil {
			_, err = k.Reconcile(r.ctx, id)
		}
		if err == nil {
			err = k.putSetting(r.ctx, reconciledSetting+string(id), k.now(), version)
		}
		if err != nil && !errors.Is(err, store.ErrConflict) { // in conflict somebody else has compared meanwhile
			next = reconcileFirst
			if r.ctx.Err() == nil {
				k.log.Warn("comparison with WeChat's list failed", "component_appid", id, "error", err)
			}
		}
		k.change(id, func(known *component) {
			if known.wanted {
				return // again, meanwhile
			}
			known.reconcileAt, known.wanted = k.now().Add(next), c.wanted && next != reconcileEvery
		})
	})
}

// listing is a walk of the list that several recoveries share.
type listing struct {
	entries map[tuoguan.AuthorizerAppID]tuoguan.Secret // refresh tokens
	at      time.Time
}

// listed returns the list, not older than a few seconds, or than it takes to read
// it anew: a million authorizers are two thousand calls.
func (k *Keeper) listed(ctx context.Context, id tuoguan.ComponentAppID) (map[tuoguan.AuthorizerAppID]tuoguan.Secret, error) {
	k.mu.Lock()
	last := k.listings[id]
	k.mu.Unlock()
	age := 5*time.Second + time.Duration(len(last.entries)/500)*time.Second
	if !last.at.IsZero() && k.now().Sub(last.at) < age {
		return last.entries, nil
	}
	result := k.flights.DoChan("list/"+string(id), func() (any, error) {
		if !k.enter() {
			return listing{}, ErrClosed
		}
		defer k.work.Done()
		ctx, cancel := context.WithTimeout(k.base, 10*time.Minute)
		defer cancel()
		at := k.now()
		entries := make(map[tuoguan.AuthorizerAppID]tuoguan.Secret)
		for entry, err := range k.api.AllAuthorizers(ctx, id) {
			if err != nil {
				return listing{}, fmt.Errorf("read WeChat's list of %s: %w", id, err)
			}
			entries[entry.Authorizer] = entry.RefreshToken
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.listings[id] = listing{entries: entries, at: at}
		return listing{entries: entries, at: at}, nil
	})
	select {
	case r := <-result:
		return r.Val.(listing).entries, r.Err
	case <-ctx.Done():
		return nil, fmt.Errorf("read WeChat's list of %s: %w", id, ctx.Err())
	}
}
