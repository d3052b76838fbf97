package keeper

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/awake"
	"github.com/tuoguan/tuoguan/internal/failpoint"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

const (
	// leaseMargin is how long before the end of a lease its holder stops trusting it.
	leaseMargin = 2 * time.Second
	// leasePoll is how often a flight looks whether another holder has finished.
	leasePoll = 100 * time.Millisecond
	// callTimeout bounds one call to WeChat within a flight.
	callTimeout = 6 * time.Second
	// callAttempts is how often a flight asks WeChat before it gives up for now.
	callAttempts = 3
)

// want says which token a flight has to bring.
type want struct {
	failed tuoguan.Secret // not this one
	ahead  bool           // a new one if it is due, though the present one may be good
}

// meets reports whether the stored token serves.
func (w want) meets(s stored, now time.Time) bool {
	if s.state != nil || s.Value.IsZero() || now.Add(minServe).After(s.ExpiresAt) {
		return false
	}
	if !w.failed.IsZero() && s.Value.Equal(w.failed) {
		return false
	}
	return !w.ahead || now.Before(s.refreshAt)
}

// stored is the token set in force as the store has it.
type stored struct {
	tuoguan.AccessToken
	refreshAt  time.Time
	version    version
	state      error            // ErrRevoked or ErrNeedsReauthorization
	authorizer store.Authorizer // zero for a component
}

// stored reads the token in force. It returns a token even if that is about to
// expire; the state of the authorization is in the result, not in the error.
func (k *Keeper) stored(ctx context.Context, owner tuoguan.TokenOwner) (stored, error) {
	if owner.IsComponent() {
		t, err := k.store.ComponentToken(ctx, owner.Component())
		if errors.Is(err, store.ErrNotFound) {
			return stored{}, nil
		}
		if err != nil {
			return stored{}, fmt.Errorf("%w: read the token of %s: %w", ErrStorage, owner, err)
		}
		return stored{
			AccessToken: tuoguan.AccessToken{Value: t.Value, ExpiresAt: t.ExpiresAt},
			refreshAt:   refreshAt(owner.String(), t.ObtainedAt, t.ExpiresAt.Sub(t.ObtainedAt)),
			version:     version{epoch: t.Epoch},
		}, nil
	}
	a, err := k.store.Authorizer(ctx, owner.Authorization())
	if errors.Is(err, store.ErrNotFound) {
		return stored{}, fmt.Errorf("%w: %s", ErrUnknownAuthorizer, owner)
	}
	k.health.readable(owner, err, k.now())
	if err != nil {
		return stored{}, fmt.Errorf("%w: read the token of %s: %w", ErrStorage, owner, err)
	}
	s := stored{
		AccessToken: tuoguan.AccessToken{Value: a.Tokens.AccessToken, ExpiresAt: a.Tokens.ExpiresAt},
		refreshAt:   a.RefreshAt,
		version:     version{a.Grant, a.Epoch},
		authorizer:  a,
	}
	switch a.State {
	case tuoguan.StateRevoked:
		s.state = fmt.Errorf("%w: %s", ErrRevoked, owner)
	case tuoguan.StateNeedsReauthorization:
		s.state = fmt.Errorf("%w: %s", ErrNeedsReauthorization, owner)
	}
	return s, nil
}

// await returns a token of owner that is not failed, waiting no longer than ctx
// or the configured limit.
func (k *Keeper) await(ctx context.Context, owner tuoguan.TokenOwner, failed tuoguan.Secret) (tuoguan.AccessToken, error) {
	ctx, cancel := k.limited(ctx)
	defer cancel()
	if err := k.sync(ctx); err != nil {
		return tuoguan.AccessToken{}, err
	}
	if err := k.awaitGrant(ctx, owner); err != nil {
		return tuoguan.AccessToken{}, err
	}
	w := want{failed: failed}
	if failed.IsZero() {
		w.failed = k.reportedToken(owner)
		// A refresh ahead of time may be under way and slow. The token that is
		// still good must not wait for it.
		if t, err := k.read(ctx, owner, w); err != nil || !t.Value.IsZero() {
			return t, err
		}
	}
	// The flight joined may have begun for somebody who did not know of the failed
	// token yet; then it is worth a second one.
	err := fmt.Errorf("refresh the token of %s: it is still the one reported as failed", owner)
	for range 2 {
		t, joinErr := k.join(ctx, owner, w)
		switch {
		case errors.Is(joinErr, errChanged):
			// A new authorization came meanwhile, and what it brings is wanted.
			err = joinErr
			if waitErr := k.awaitGrant(ctx, owner); waitErr != nil {
				return tuoguan.AccessToken{}, waitErr
			}
		case joinErr != nil || !t.Value.Equal(w.failed):
			return t, joinErr
		}
	}
	return tuoguan.AccessToken{}, err
}

// limited bounds the wait of a caller that has not done so.
func (k *Keeper) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, k.cfg.WaitLimit)
}

// reportedToken returns the token that WeChat has refused and that is still in force.
func (k *Keeper) reportedToken(owner tuoguan.TokenOwner) tuoguan.Secret {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reported[owner]
}

// read takes the token from the store if it serves; a zero token means that a
// flight is needed.
func (k *Keeper) read(ctx context.Context, owner tuoguan.TokenOwner, w want) (tuoguan.AccessToken, error) {
	result := k.flights.DoChan("read "+owner.String(), func() (any, error) {
		if !k.enter() {
			return tuoguan.AccessToken{}, ErrClosed
		}
		defer k.work.Done()
		ctx, cancel := context.WithTimeout(k.base, k.cfg.LeaseTTL)
		defer cancel()
		if owner.IsComponent() {
			if _, err := k.component(ctx, owner.Component()); err != nil {
				return tuoguan.AccessToken{}, err
			}
		}
		generation := k.cache.generation(owner)
		s, err := k.stored(ctx, owner)
		if err != nil {
			return tuoguan.AccessToken{}, err
		}
		if s.state != nil {
			return tuoguan.AccessToken{}, s.state
		}
		if !w.meets(s, k.now()) {
			return tuoguan.AccessToken{}, nil
		}
		k.cache.put(owner, s.AccessToken, s.version, generation)
		return s.AccessToken, nil
	})
	select {
	case r := <-result:
		return r.Val.(tuoguan.AccessToken), r.Err
	case <-ctx.Done():
		return tuoguan.AccessToken{}, fmt.Errorf("read the token of %s: %w", owner, ctx.Err())
	}
}

// join waits for the flight under way for owner, or starts one.
func (k *Keeper) join(ctx context.Context, owner tuoguan.TokenOwner, w want) (tuoguan.AccessToken, error) {
	return k.joinClaimed(ctx, owner, w, nil)
}

// joinClaimed is join where the lease is ours already. If a flight is under way it
// is left to lapse: that flight has a later one.
func (k *Keeper) joinClaimed(ctx context.Context, owner tuoguan.TokenOwner, w want, c *claimed) (tuoguan.AccessToken, error) {
	key, cause := owner.String(), causeOf(ctx)
	if !w.ahead {
		if err := k.refused(key); err != nil {
			return tuoguan.AccessToken{}, err
		}
	}
	result := k.flights.DoChan(key, func() (any, error) {
		if !k.enter() {
			return tuoguan.AccessToken{}, ErrClosed
		}
		defer k.work.Done()
		t, err := k.fly(owner, w, c, cause)
		k.settle(key, err)
		return t, err
	})
	select {
	case r := <-result:
		return r.Val.(tuoguan.AccessToken), r.Err
	case <-ctx.Done():
		return tuoguan.AccessToken{}, fmt.Errorf("wait for the token of %s: %w", owner, ctx.Err())
	}
}

// fly brings a token: steps two to six of the package comment.
func (k *Keeper) fly(owner tuoguan.TokenOwner, w want, lease *claimed, cause Cause) (_ tuoguan.AccessToken, err error) {
	generation := k.cache.generation(owner)
	if lease == nil {
		if lease, err = k.claim(store.TokenLease(owner)); err != nil {
			return tuoguan.AccessToken{}, err
		}
	}
	defer k.release(lease)
	ctx, cancel := context.WithDeadline(withCause(k.base, cause), lease.end)
	defer cancel()
	if err := k.ready(ctx); err != nil {
		return tuoguan.AccessToken{}, err
	}

	s, err := k.stored(ctx, owner)
	if err != nil {
		return tuoguan.AccessToken{}, err
	}
	if errors.Is(s.state, ErrRevoked) || s.state != nil && !w.ahead {
		return tuoguan.AccessToken{}, s.state
	}
	if !w.meets(s, k.now()) {
		if owner.IsComponent() {
			s.AccessToken, err = k.mint(ctx, owner.Component(), lease)
		} else {
			s.AccessToken, err = k.refresh(ctx, s.authorizer, lease)
		}
		if err != nil && !errors.Is(err, errChanged) {
			return tuoguan.AccessToken{}, err
		}
		s.version.epoch = lease.Epoch
	}
	if err == nil {
		k.absolve(owner, s.Value)
		put := k.cache.publish
		if w.ahead && !owner.IsComponent() {
			put = k.cache.renew
		}
		alive := k.now().Add(minServe).Before(s.ExpiresAt) // saving it may have taken long
		if alive && !k.expecting(owner) && put(owner, s.AccessToken, s.version, generation) {
			return s.AccessToken, nil
		}
	}
	// The authorization changed meanwhile: a revocation, a new grant. Ask the truth.
	// Saving may have outlasted the lease, which reading does not need.
	superseded := errors.Is(err, errChanged)
	ctx, cancel = context.WithTimeout(k.base, k.cfg.LeaseTTL)
	defer cancel()
	s, err = k.stored(ctx, owner)
	if superseded && err == nil {
		k.supersede(owner)
	}
	switch {
	case k.expecting(owner):
		return tuoguan.AccessToken{}, fmt.Errorf("refresh %s: %w", owner, errChanged)
	case err != nil:
		return tuoguan.AccessToken{}, err
	case s.state != nil:
		return tuoguan.AccessToken{}, s.state
	case !(want{failed: w.failed}).meets(s, k.now()):
		return tuoguan.AccessToken{}, fmt.Errorf("refresh %s: %w", owner, errChanged)
	}
	return s.AccessToken, nil
}

// ready prepares for the first flight: it takes over the store's clock and what an
// earlier process has left.
func (k *Keeper) ready(ctx context.Context) error {
	if err := k.sync(ctx); err != nil {
		return err
	}
	return k.drain(ctx)
}

// absolve forgets the token reported as failed, now that current is another one.
func (k *Keeper) absolve(owner tuoguan.TokenOwner, current tuoguan.Secret) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r, ok := k.reported[owner]; ok && !r.Equal(current) {
		delete(k.reported, owner)
	}
}

// claimed is a lease of ours.
type claimed struct {
	store.Lease
	// end is when we stop trusting it, counted from before the claim was made, so that
	// a slow store never stretches it.
	end  time.Time
	over bool // released with what was saved under it
}

// claim takes the lease on key, waiting for whoever has it.
func (k *Keeper) claim(key string) (*claimed, error) {
	giveUp := time.Now().Add(2 * k.cfg.LeaseTTL)
	for {
		start := time.Now()
		_ = failpoint.Hit(failpoint.ClaimBeforeCommit)
		ctx, cancel := context.WithTimeout(k.base, k.cfg.LeaseTTL)
		lease, err := k.store.AcquireLease(ctx, key, k.cfg.Holder, k.cfg.LeaseTTL)
		cancel()
		var held *store.LeaseHeldError
		switch {
		case err == nil:
			k.health.stored()
			_ = failpoint.Hit(failpoint.ClaimAfterCommit)
			return &claimed{Lease: lease, end: start.Add(k.cfg.LeaseTTL - leaseMargin)}, nil
		case !errors.As(err, &held):
			k.health.failedToStore(err, k.now())
			return nil, fmt.Errorf("%w: claim %s: %w", ErrStorage, key, err)
		case time.Now().After(giveUp):
			return nil, fmt.Errorf("claim %s: %w", key, err)
		}
		if !k.pause(k.base, min(leasePoll, held.Remaining)) {
			return nil, ErrClosed
		}
	}
}

// release ends a lease. If it cannot be ended it lapses.
func (k *Keeper) release(l *claimed) {
	if l.over {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(k.base), leaseMargin)
	defer cancel()
	if err := k.store.ReleaseLease(ctx, l.Lease); err != nil && !errors.Is(err, store.ErrLeaseLost) {
		k.log.Warn("lease not released, it will lapse", "key", l.Key, "term", l.Epoch, "error", err)
	}
}

// ask calls WeChat, again if it was only busy. A call that got no answer in time
// may still be under way over there, so that one is not repeated here.
func (k *Keeper) ask(ctx context.Context, call func(ctx context.Context) error) error {
	for attempt := 0; ; attempt++ {
		callCtx, cancel, err := k.patient(ctx)
		if err != nil {
			return err
		}
		err = call(callCtx)
		late := callCtx.Err() != nil
		cancel()
		if err == nil || late || attempt+1 == callAttempts || !temporary(err) {
			return err
		}
		if !k.pause(ctx, backOff(attempt, 100*time.Millisecond, time.Second)) {
			return err
		}
	}
}

// patient returns the context of one call to WeChat that begins within ctx. It does not
// end with ctx: a process that was stopped for longer than its lease lasts may find the
// only answer there is waiting for it. What is then too late to become current is
// history, and not lost.
func (k *Keeper) patient(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	patience := callTimeout
	if end, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(end))
	}
	callCtx, cancel := awake.WithTimeout(k.base, patience)
	return callCtx, cancel, nil
}

// temporary reports whether the same call may go well later.
func temporary(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}

// pause waits and reports whether it was not cut short.
func (k *Keeper) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(max(d, time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// refusal remembers that a flight has failed, so that callers who come right after
// it are answered without asking WeChat again.
type refusal struct {
	err      error
	until    time.Time
	failures int
}

// refused returns why a flight would be in vain now.
func (k *Keeper) refused(key string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r, ok := k.refusals[key]; ok && k.now().Before(r.until) {
		return r.err
	}
	return nil
}

// settle records how a flight ended.
func (k *Keeper) settle(key string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil || errors.Is(err, ErrNoTicket) || errors.Is(err, ErrClosed) {
		delete(k.refusals, key)
		return
	}
	r := k.refusals[key]
	limit := 5 * time.Second
	if errors.Is(err, wxapi.ErrConfig) || errors.Is(err, wxapi.ErrQuota) {
		limit = 30 * time.Second
	}
	r.err, r.until = err, k.now().Add(backOff(r.failures, time.Second, limit))
	r.failures++
	k.refusals[key] = r
}

// forgive forgets that flights for key have failed.
func (k *Keeper) forgive(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.refusals, key)
}

// enter announces work that Close has to wait for.
func (k *Keeper) enter() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	k.work.Add(1)
	return true
}

// backOff doubles from first to limit.
func backOff(attempt int, first, limit time.Duration) time.Duration {
	if attempt > 20 {
		return limit
	}
	return min(first<<attempt, limit)
}

// jitter returns a share in [0, 1) that depends on the words alone, so that a run
// can be repeated.
func jitter(words ...string) float64 {
	h := fnv.New64a()
	for _, w := range words {
		_, _ = h.Write([]byte(w))
		_, _ = h.Write([]byte{0})
	}
	// FNV's high bits are weak for short inputs; mix once more.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}

// refreshAt says when a token obtained at the instant given is due: at a share of
// its life between one half and nine tenths, and no later than minServe before its end.
func refreshAt(owner string, obtained time.Time, life time.Duration) time.Time {
	share := 0.5 + 0.4*jitter(owner, obtained.UTC().Format(time.RFC3339Nano))
	after := time.Duration(share * float64(life))
	return obtained.Add(min(after, max(life-minServe, life/2)))
}
