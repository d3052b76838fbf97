package keeper

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/failpoint"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

const (
	// codeLife is how long an authorization code is tried where its life is unknown.
	// An hour was observed, though the official sample says ten minutes.
	codeLife = time.Hour
	// exchangePatience is how long an exchange that has failed is put off at the most.
	exchangePatience = 30 * time.Second
	// codeSlack is how long after its end a code is still tried, for clocks differ.
	codeSlack = 2 * time.Minute
)

// HashCode returns the key under which codes and nonces are stored and compared:
// the hex SHA-256 of the value.
func HashCode(code tuoguan.Secret) string {
	sum := sha256.Sum256([]byte(code.Reveal()))
	return hex.EncodeToString(sum[:])
}

// Redirect is a browser that came back from WeChat's authorization page. Nothing
// about it is to be trusted before WeChat has exchanged the code.
type Redirect struct {
	Component tuoguan.ComponentAppID
	Code      tuoguan.Secret // auth_code
	ExpiresIn time.Duration  // expires_in; zero if unknown
	Visit     string         // the visit it belongs to: the hash of its nonce
}

// Redirect records the code durably and exchanges it, unless the push has brought
// the same code before. It returns the exchange once that is done or has failed,
// or, with ctx's error, as far as it has come.
func (k *Keeper) Redirect(ctx context.Context, r Redirect) (store.Exchange, error) {
	return k.exchangeCode(ctx, store.Exchange{
		Component: r.Component,
		Code:      r.Code,
		Visit:     r.Visit,
		ExpiresAt: k.codeEnd(r.ExpiresIn),
	})
}

// Exchange exchanges a code that came by other means, as in the release check. It
// joins the exchange of the same code if there is one.
func (k *Keeper) Exchange(ctx context.Context, component tuoguan.ComponentAppID, code tuoguan.Secret) (store.Exchange, error) {
	return k.exchangeCode(ctx, store.Exchange{Component: component, Code: code})
}

func (k *Keeper) codeEnd(life time.Duration) time.Time {
	if life <= 0 {
		return time.Time{}
	}
	return k.now().Add(min(life, 24*time.Hour))
}

func (k *Keeper) exchangeCode(ctx context.Context, e store.Exchange) (store.Exchange, error) {
	if e.Code.IsZero() {
		return store.Exchange{}, errors.New("keeper: the authorization code is empty")
	}
	if err := k.sync(ctx); err != nil {
		return store.Exchange{}, err
	}
	if _, err := k.component(ctx, e.Component); err != nil {
		return store.Exchange{}, err
	}
	e.CodeHash = HashCode(e.Code)
	e.State = store.ExchangePending
	e.CreatedAt = k.now()
	e.DueAt = e.CreatedAt
	e, _, err := k.store.PutExchange(ctx, e)
	if err != nil {
		return store.Exchange{}, fmt.Errorf("store the authorization code: %w", err)
	}
	return k.awaitExchange(ctx, e)
}

// awaitExchange attempts e, joining whoever does so already, until it is done or
// has failed.
func (k *Keeper) awaitExchange(ctx context.Context, e store.Exchange) (store.Exchange, error) {
	for e.State == store.ExchangePending {
		if wait := e.DueAt.Sub(k.now()); wait > 0 && !k.pause(ctx, wait) {
			return e, fmt.Errorf("exchange the authorization code: %w", ctx.Err())
		}
		result := k.flights.DoChan(store.ExchangeLease(e.Component, e.CodeHash), func() (any, error) {
			if !k.enter() {
				return store.Exchange{}, ErrClosed
			}
			defer k.work.Done()
			return k.flyExchange(e.Component, e.CodeHash)
		})
		select {
		case r := <-result:
			if r.Err != nil {
				return e, r.Err
			}
			e = r.Val.(store.Exchange)
		case <-ctx.Done():
			return e, fmt.Errorf("exchange the authorization code: %w", ctx.Err())
		}
	}
	return e, nil
}

// flyExchange makes one attempt at an exchange, under its lease.
func (k *Keeper) flyExchange(component tuoguan.ComponentAppID, hash string) (store.Exchange, error) {
	lease, err := k.claim(store.ExchangeLease(component, hash))
	if err != nil {
		return store.Exchange{}, err
	}
	defer k.release(lease)
	ctx, cancel := context.WithDeadline(k.base, lease.end)
	defer cancel()
	if err := k.ready(ctx); err != nil {
		return store.Exchange{}, err
	}
	if err := k.pass(ctx, component, gateComparing); err != nil {
		return store.Exchange{}, err
	}

	e, err := k.store.Exchange(ctx, component, hash)
	if err != nil {
		return store.Exchange{}, fmt.Errorf("read the exchange: %w", err)
	}
	if e.State != store.ExchangePending {
		return e, nil
	}
	start := time.Now()
	err = k.attemptExchange(ctx, e)
	k.observe(Observation{Kind: "exchange", Authorization: tuoguan.Authorization{Component: component, Authorizer: e.Authorizer}, Err: err, Cause: exchangeCause(e), Duration: time.Since(start)})
	if err != nil {
		if err := k.postponeExchange(ctx, e, err); err != nil {
			return store.Exchange{}, err
		}
	}
	if e, err = k.store.Exchange(ctx, component, hash); err != nil {
		return store.Exchange{}, fmt.Errorf("read the exchange: %w", err)
	}
	if e.State != store.ExchangePending {
		k.regranted(e)
	}
	return e, nil
}

// expectation is an exchange whose grant readers have to wait for.
type expectation struct {
	store.Exchange
	since time.Duration // by the cache's clock
}

// expectGrant notes that an account has authorized anew: its old token is dead over
// there, and readers have to wait for the new one. Of several codes that are not
// exchanged yet the one of the latest authorization counts.
func (k *Keeper) expectGrant(e store.Exchange) {
	authorization := tuoguan.Authorization{Component: e.Component, Authorizer: e.Authorizer}
	k.mu.Lock()
	known, ok := k.expected[authorization]
	if ok && later(known.Exchange, e) {
		k.mu.Unlock()
		return
	}
	k.expected[authorization] = expectation{e, k.cache.now()}
	k.mu.Unlock()
	k.cache.drop(tuoguan.AuthorizerToken(e.Component, e.Authorizer))
}

// later reports whether the authorization that led to a is later than that of b.
func later(a, b store.Exchange) bool {
	if !a.AuthorizedAt.Equal(b.AuthorizedAt) {
		return a.AuthorizedAt.After(b.AuthorizedAt)
	}
	return a.CreatedAt.After(b.CreatedAt)
}

// regranted ends what expectGrant began.
func (k *Keeper) regranted(e store.Exchange) {
	authorization := tuoguan.Authorization{Component: e.Component, Authorizer: e.Authorizer}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.expected[authorization].CodeHash == e.CodeHash {
		delete(k.expected, authorization)
	}
}

// expecting reports whether a new grant of owner is expected.
func (k *Keeper) expecting(owner tuoguan.TokenOwner) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.expected[owner.Authorization()]
	return ok
}

// awaitGrant waits for a new grant of owner if one is expected.
func (k *Keeper) awaitGrant(ctx context.Context, owner tuoguan.TokenOwner) error {
	k.mu.Lock()
	expected, ok := k.expected[owner.Authorization()]
	k.mu.Unlock()
	if !ok {
		return nil
	}
	e := expected.Exchange
	a, err := k.store.Authorizer(ctx, owner.Authorization())
	if err == nil && !e.AuthorizedAt.IsZero() && a.AuthorizedAt.After(e.AuthorizedAt) {
		k.regranted(e) // a later authorization is stored already
		return nil
	}
	// Without a component token the exchange would only be waited for in vain.
	if _, err := k.Token(ctx, tuoguan.ComponentToken(e.Component)); err != nil {
		return err
	}
	if e, err = k.awaitExchange(ctx, e); err != nil {
		return err
	}
	k.regranted(e)
	return nil
}

// finalError ends an exchange: trying again would be in vain.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// attemptExchange turns the code into a grant. A nil error means that the exchange
// is stored as done.
func (k *Keeper) attemptExchange(ctx context.Context, e store.Exchange) error {
	asked := k.now()
	callCtx, cancel, err := k.patient(ctx)
	if err != nil {
		return err
	}
	_ = failpoint.Hit(failpoint.ExchangeBeforeSend)
	reply, err := k.api.QueryAuth(callCtx, e.Component, e.Code)
	_ = failpoint.Hit(failpoint.ExchangeAfterReplyBeforeCommit)
	cancel()
	switch {
	case err == nil:
		reply.Tokens.ExpiresAt = k.ours(reply.Tokens.ExpiresAt)
		_, err := k.saveGrant(store.Grant{
			CodeHash:       e.CodeHash,
			Authorization:  tuoguan.Authorization{Component: e.Component, Authorizer: reply.Authorizer},
			Tokens:         reply.Tokens,
			ObtainedAt:     asked,
			PermissionSets: reply.PermissionSets,
			FuncInfo:       string(reply.FuncInfo),
			Source:         store.FromExchange,
		})
		return err
	case errors.Is(err, wxapi.ErrCodeInvalid):
		return k.exchangeSpent(ctx, e, err)
	case k.codeOver(e):
		// The code is past its end and its fate unknown. The authorization may stand.
		return k.exchangeSpent(ctx, e, err)
	}
	return err
}

// codeOver reports whether the code cannot be alive any more.
func (k *Keeper) codeOver(e store.Exchange) bool {
	end := e.ExpiresAt
	if end.IsZero() {
		end = e.CreatedAt.Add(codeLife)
	}
	return k.now().After(end.Add(codeSlack))
}

// exchangeSpent deals with a code that WeChat does not take (any more). Perhaps it
// was us who used it and the answer was lost: then the refresh token is to be had
// from api_get_authorizer_info.
func (k *Keeper) exchangeSpent(ctx context.Context, e store.Exchange, refusal error) error {
	if e.Authorizer == "" {
		if e.Attempts > 0 {
			// An earlier attempt may have used the code. The push names the account;
			// else the comparison with the list finds it.
			k.change(e.Component, func(c *component) { c.reconcileAt, c.wanted = k.now(), true })
			k.rouse()
		}
		return finalError{refusal}
	}
	authorization := tuoguan.Authorization{Component: e.Component, Authorizer: e.Authorizer}
	var info *wxapi.AuthorizerInfo
	err := k.ask(ctx, func(ctx context.Context) (err error) {
		info, err = k.api.GetAuthorizerInfo(ctx, authorization)
		return err
	})
	age := k.now().Sub(e.CreatedAt)
	g := store.Grant{Authorization: authorization, CodeHash: e.CodeHash, ObtainedAt: k.now(), Source: store.FromInfo}
	switch {
	case err == nil:
		g.Tokens.RefreshToken = info.Authorization.Tokens.RefreshToken
		g.PermissionSets, g.FuncInfo = info.Authorization.PermissionSets, string(info.Authorization.FuncInfo)
	case !denied(err) || age < secondLook:
		return err
	}
	if g.Tokens.RefreshToken.IsZero() {
		a, readErr := k.store.Authorizer(ctx, authorization)
		switch {
		case errors.Is(readErr, store.ErrNotFound) && err == nil && age < codeLife:
			// The authorization stands, and what WeChat tells may lag behind.
			return fmt.Errorf("the code is used up and WeChat has no refresh token for it yet: %w", refusal)
		case errors.Is(readErr, store.ErrNotFound):
			return finalError{fmt.Errorf("the code is used up and WeChat has no refresh token for it: %w", refusal)}
		case readErr != nil:
			return readErr
		case a.State == tuoguan.StateRevoked && err != nil:
			return finalError{err}
		}
		g.PermissionSets, g.FuncInfo = a.PermissionSets, a.FuncInfo
	}
	// Whatever is stored, the old access token is dead: the new grant begins without
	// one, and the refresh that is due at once finds out which refresh token is good,
	// if any.
	_, err = k.saveGrant(g)
	return err
}

// saveGrant stores a new grant, finishing the exchange and using up the link that
// led to it, and publishes its token.
func (k *Keeper) saveGrant(g store.Grant) (store.Authorizer, error) {
	owner := tuoguan.AuthorizerToken(g.Component, g.Authorizer)
	g.RefreshAt = g.ObtainedAt
	if !g.Tokens.AccessToken.IsZero() {
		g.RefreshAt = refreshAt(owner.String(), g.ObtainedAt, g.Tokens.ExpiresAt.Sub(g.ObtainedAt))
	}
	generation := k.cache.generation(owner)
	var a store.Authorizer
	var moved bool
	// Whatever else it takes to know, the answer may have to be spilled before.
	err := k.keep(Answer{Grant: &g}, func(ctx context.Context) (err error) {
		a, moved, err = k.storeGrant(ctx, g)
		return err
	})
	if err != nil {
		return store.Authorizer{}, err
	}
	_ = failpoint.Hit(failpoint.ExchangeAfterCommit)
	switch {
	case !moved:
		if a.State == tuoguan.StateActive && !g.Tokens.AccessToken.IsZero() && g.ObtainedAt.After(a.ObtainedAt) {
			// A later authorization is stored, but this access token is WeChat's latest, and
			// the one that is served may be dead.
			k.supersede(owner)
		}
		k.log.Info("authorization known already", "authorizer_appid", g.Authorizer, "component_appid", g.Component, "grant", a.Grant, "source", g.Source)
	case a.State == tuoguan.StateRevoked:
		// It was taken back before it was stored.
		k.cache.drop(owner)
	default:
		// The old token died over there; nobody may see it from now on.
		k.cache.publish(owner, tuoguan.AccessToken{Value: a.Tokens.AccessToken, ExpiresAt: a.Tokens.ExpiresAt}, version{grant: a.Grant}, generation)
		k.absolve(owner, a.Tokens.AccessToken)
		k.forgive(owner.String())
		k.log.Info("authorization stored", "authorizer_appid", g.Authorizer, "component_appid", g.Component, "grant", a.Grant, "source", g.Source)
		k.observe(Observation{Kind: "state", Authorization: g.Authorization, Result: string(tuoguan.StateActive), Cause: grantCause(g)})
	}
	k.rouse()
	return a, nil
}

// supersede has a token replaced at once, since WeChat has given a newer one that did not
// become current.
func (k *Keeper) supersede(owner tuoguan.TokenOwner) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(k.base), 5*time.Second)
	defer cancel()
	k.cache.drop(owner)
	if err := k.verifySuperseded(ctx, owner.Authorization()); err != nil {
		k.log.Warn("refresh not scheduled", "authorizer_appid", owner.Authorizer(), "error", err)
	}
}

// storeGrant completes a grant with what is stored about its exchange, and stores it.
func (k *Keeper) storeGrant(ctx context.Context, g store.Grant) (a store.Authorizer, moved bool, err error) {
	if g.CodeHash != "" {
		// The push may have come while we were at WeChat's, and knows more.
		e, err := k.store.Exchange(ctx, g.Component, g.CodeHash)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return a, false, err
		}
		g.AuthorizedAt = e.AuthorizedAt
		link, err := k.linkOf(ctx, e)
		if err != nil {
			k.log.Error("the authorization link cannot be read; the grant is stored without its reference", "authorizer_appid", g.Authorizer, "error", err)
		}
		switch {
		case link.BizAppID != "" && link.BizAppID != g.Authorizer:
			k.log.Warn("another account than the link asks for has authorized", "authorizer_appid", g.Authorizer, "component_appid", g.Component)
		case link.ID != "":
			g.Link, g.Reference = link.ID, link.Reference
		}
	}
	known, err := k.store.Authorizer(ctx, g.Authorization)
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrQuarantined) {
		return a, false, err
	}
	if known.State == tuoguan.StateRevoked && g.AuthorizedAt.IsZero() && known.RevokedAt.After(g.ObtainedAt) {
		// Storing it took so long that it was taken back meanwhile.
		return known, false, k.finishExchange(ctx, known, g)
	}
	// What was obtained after this one, and stored before it, came from a refresh token
	// that WeChat took then: it is the younger.
	superseded := known.State == tuoguan.StateActive && known.ObtainedAt.After(g.ObtainedAt)
	// What is superseded, or what WeChat does not vouch for but only tells, becomes
	// current once it has worked. The new grant begins with the refresh token we have.
	told := tuoguan.Secret{}
	if !known.Tokens.RefreshToken.IsZero() && (superseded || g.Source != store.FromExchange) {
		told, g.Tokens = g.Tokens.RefreshToken, tuoguan.TokenSet{}
		g.RefreshAt = k.now()
	}
	kind := event.Authorized
	if known.State == tuoguan.StateActive {
		kind = event.Updated
	}
	g.Announce = k.announcement(ctx, event.NewGrant(kind, g))
	if a, moved, err = k.store.SaveGrant(ctx, g); err == nil && !told.IsZero() {
		err = k.remember(ctx, g, a.Grant, told)
	}
	if moved {
		k.announced(g.Announce)
	}
	return a, moved, err
}

// finishExchange ends the exchange that led to g without a new grant.
func (k *Keeper) finishExchange(ctx context.Context, known store.Authorizer, g store.Grant) error {
	if err := k.remember(ctx, g, known.Grant, g.Tokens.RefreshToken); err != nil || g.CodeHash == "" {
		return err
	}
	err := k.store.UpdateExchange(ctx, store.Exchange{
		Component: g.Component, CodeHash: g.CodeHash, Authorizer: g.Authorizer,
		State: store.ExchangeDone, Grant: known.Grant, FinishedAt: k.now(),
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// remember adds a refresh token of g to the history.
func (k *Keeper) remember(ctx context.Context, g store.Grant, grant int64, value tuoguan.Secret) error {
	_, err := k.store.AppendRefreshToken(ctx, store.RefreshToken{
		Authorization: g.Authorization, Grant: grant, Value: value, Source: g.Source, ReceivedAt: g.ObtainedAt,
	})
	return err
}

// linkOf returns the authorization link that led to the exchange; a zero one if none did.
func (k *Keeper) linkOf(ctx context.Context, e store.Exchange) (store.Link, error) {
	var byNonce, byPreAuth store.Visit
	var err error
	if e.Visit != "" {
		if byNonce, err = k.store.VisitByNonce(ctx, e.Visit); err != nil && !errors.Is(err, store.ErrNotFound) {
			return store.Link{}, err
		}
	}
	if e.PreAuthHash != "" {
		if byPreAuth, err = k.store.VisitByPreAuth(ctx, e.PreAuthHash); err != nil && !errors.Is(err, store.ErrNotFound) {
			return store.Link{}, err
		}
	}
	visit := byPreAuth // WeChat's word; the redirect is only a browser's
	switch {
	case visit.Link == "":
		visit = byNonce
	case byNonce.Link != "" && byNonce.Link != visit.Link:
		k.log.Warn("a redirect came back to another link than the authorization began at", "component_appid", e.Component)
	}
	if visit.Link == "" {
		return store.Link{}, nil
	}
	link, err := k.store.Link(ctx, visit.Link)
	if errors.Is(err, store.ErrNotFound) {
		return store.Link{}, nil
	}
	return link, err
}

// postponeExchange records that an attempt has failed.
func (k *Keeper) postponeExchange(ctx context.Context, e store.Exchange, failure error) error {
	now := k.now()
	var final finalError
	switch {
	case errors.As(failure, &final):
		e.State, e.FinishedAt = store.ExchangeFailed, now
	default:
		e.DueAt = now.Add(backOff(e.Attempts, 300*time.Millisecond, exchangePatience))
	}
	e.Attempts++
	e.Problem = failure.Error()
	k.log.Warn("authorization code not exchanged", "component_appid", e.Component, "authorizer_appid", e.Authorizer, "attempt", e.Attempts, "final", e.State == store.ExchangeFailed, "error", failure)
	if err := k.store.UpdateExchange(ctx, e); err != nil {
		k.health.failedToStore(err, now)
		return fmt.Errorf("%w: record a failed exchange: %w", ErrStorage, err)
	}
	return nil
}
