package keeper

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

const (
	tick           = time.Second
	dueBatch       = 512
	exchangeSlots  = 8
	profileSlots   = 4
	componentSlots = 4
	collectEvery   = time.Hour
	// exchangesKept is how long finished exchanges are kept.
	exchangesKept = 7 * 24 * time.Hour
	// refreshTokensKept is how long superseded refresh tokens of earlier grants are kept.
	refreshTokensKept = 30 * 24 * time.Hour
	// sessionsKept is how long expired sessions of the console are kept.
	sessionsKept = 24 * time.Hour
	// tokenEventsKept and maxTokenEvents bound what is told of the tokens of authorizers.
	tokenEventsKept = 7 * 24 * time.Hour
	maxTokenEvents  = 1_000_000
)

// Run does what is due until ctx ends: it refreshes ahead of expiry, exchanges
// codes, reads profiles, watches tickets and compares with WeChat's list. It
// returns nil once its work has stopped; flights under way are Close's business.
func (k *Keeper) Run(ctx context.Context) error {
	ctx = withCause(ctx, Cause{Kind: Background})
	if err := k.prepare(ctx); ctx.Err() != nil {
		return nil // it was ended before it had begun
	} else if err != nil {
		return err
	}
	r := &runner{
		k:          k,
		ctx:        ctx,
		done:       make(chan struct{}, 1),
		refreshes:  lane{slots: k.cfg.Workers},
		exchanges:  lane{slots: exchangeSlots},
		profiles:   lane{slots: profileSlots},
		components: lane{slots: componentSlots},
		began:      k.now(),
	}
	defer r.work.Wait()
	if k.cfg.Shared {
		k.meet(ctx)
		r.work.Go(func() {
			k.watch(ctx)
			k.leave()
		})
	}
	defer r.giveBack()
	timer := time.NewTimer(0)
	defer timer.Stop()
	r.more = time.NewTimer(tick)
	defer r.more.Stop()
	for {
		all := false
		select {
		case <-ctx.Done():
		case <-r.done:
		case <-r.more.C:
		case <-k.wake:
			all = true
		case <-timer.C:
			all = true
		}
		// If there is more than one reason, it makes no difference which was chosen.
		for more := true; more; {
			select {
			case <-r.done:
			case <-k.wake:
				all = true
			case <-timer.C:
				all = true
			default:
				more = false
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case all:
			timer.Reset(tick)
			r.tick()
		case !r.shut:
			r.refresh()
		}
	}
}

// prepare does what comes before everything that is due.
func (k *Keeper) prepare(ctx context.Context) error {
	if err := k.sync(ctx); err != nil {
		return err
	}
	if err := k.drain(ctx); err != nil && ctx.Err() == nil {
		// The store does not work yet; flights try again.
		k.log.Error("the spill file cannot be brought into the store yet", "error", err)
	}
	records, err := k.records(ctx)
	if err != nil {
		return fmt.Errorf("read the components: %w", err)
	}
	for _, r := range records {
		if _, err := k.component(ctx, r.AppID); err != nil {
			return err
		}
	}
	return nil
}

// rouse makes Run look at once what is due.
func (k *Keeper) rouse() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// runner hands out the background work. Only Run's goroutine calls its methods,
// but for those of lane.
type runner struct {
	k    *Keeper
	ctx  context.Context
	work sync.WaitGroup
	done chan struct{} // a refresh has finished

	refreshes, exchanges, profiles, components lane

	began     time.Time
	due       []claimedDue
	drained   bool      // the last look at what is due found all of it
	looked    time.Time // when that was
	shut      bool      // the gate is closed for all
	pace      pace
	more      *time.Timer // fires when more may start
	collected time.Time
}

// claimedDue is a refresh that is due and ours to make.
type claimedDue struct {
	owner tuoguan.TokenOwner
	lease *claimed
}

// lane bounds how much of one kind of work runs at once, each piece only once.
type lane struct {
	slots int
	mu    sync.Mutex
	busy  map[string]struct{}
}

func (l *lane) take(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.busy[key]; ok || len(l.busy) >= l.slots {
		return false
	}
	if l.busy == nil {
		l.busy = make(map[string]struct{})
	}
	l.busy[key] = struct{}{}
	return true
}

func (l *lane) leave(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.busy, key)
}

func (l *lane) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.busy) >= l.slots
}

// start runs f in the lane if there is room and key is not in it already.
func (r *runner) start(l *lane, key string, f func()) bool {
	if !l.take(key) {
		return false
	}
	r.work.Go(func() {
		defer func() {
			l.leave(key)
			if l == &r.refreshes {
				select {
				case r.done <- struct{}{}:
				default:
				}
			}
		}()
		f()
	})
	return true
}

// tick looks at everything that may be due.
func (r *runner) tick() {
	k := r.k
	if k.health.failing() {
		ctx, cancel := context.WithTimeout(r.ctx, 5*time.Second)
		err := k.store.Probe(ctx)
		cancel()
		if err != nil {
			k.health.failedToStore(err, k.now())
			return
		}
		k.health.stored()
		k.log.Info("the store takes writes again")
	}
	now := k.now()
	for _, id := range k.componentIDs() {
		r.start(&r.components, string(id), func() { k.tendComponent(r.ctx, id) })
		r.reconcile(id, now)
	}
	r.exchange(now)
	if k.onDuty() {
		r.profile(now)
	}
	r.looked = time.Time{}
	if r.shut = k.shut(r.ctx); !r.shut {
		r.refresh()
	}
	if now.Sub(r.collected) >= collectEvery && k.onDuty() {
		r.collected = now
		r.start(&r.components, "collect", func() { k.collect(r.ctx) })
	}
}

func (k *Keeper) componentIDs() []tuoguan.ComponentAppID {
	k.mu.Lock()
	defer k.mu.Unlock()
	ids := make([]tuoguan.ComponentAppID, 0, len(k.components))
	for id := range k.components {
		ids = append(ids, id)
	}
	return ids
}

// refresh starts the refreshes that are due, as many as there is room for.
func (r *runner) refresh() {
	k := r.k
	rate := k.refreshShare()
	left, wait := r.pace.left(time.Since(k.cache.base), rate)
	for left > 0 && !r.refreshes.full() {
		if len(r.due) == 0 && !r.claimDue(rate) {
			break
		}
		d := r.due[0]
		r.due = r.due[1:]
		// What has waited too long is somebody else's by now, or will be.
		if time.Now().After(d.lease.end.Add(-callTimeout)) {
			continue
		}
		if k.refused(d.owner.String()) != nil {
			r.work.Go(func() { k.release(d.lease) })
			continue
		}
		if r.start(&r.refreshes, d.owner.String(), func() {
			// The outcome is recorded by the flight itself.
			_, _ = k.joinClaimed(r.ctx, d.owner, want{ahead: true}, d.lease)
		}) {
			r.pace.start()
			left--
		}
	}
	if left == 0 {
		r.more.Reset(wait)
	}
	if 2*len(r.due) < r.claimSize(rate) {
		r.claimDue(rate) // now, while those under way leave time for it
	}
}

// giveBack ends the claims on what was not begun, so that nobody has to wait for
// them to lapse.
func (r *runner) giveBack() {
	for _, d := range r.due {
		r.k.release(d.lease)
	}
}

// claimSize is how many refreshes are claimed at once: as many as may start within a
// tenth of a second.
func (r *runner) claimSize(rate float64) int {
	return min(dueBatch, max(int(rate/10), 1), 2*r.k.cfg.Workers)
}

// claimDue claims what is due, so that each replica works on something else, and
// reports whether there is any.
func (r *runner) claimDue(rate float64) bool {
	k := r.k
	if r.drained && !r.looked.IsZero() {
		return false // the next tick looks again
	}
	n, real := r.claimSize(rate), time.Now()
	ctx, cancel := context.WithTimeout(r.ctx, 5*time.Second)
	due, err := k.store.ClaimDue(ctx, k.now(), k.cfg.Holder, k.cfg.LeaseTTL, n)
	cancel()
	r.drained, r.looked = err != nil || len(due) < n, real
	if err != nil {
		if r.ctx.Err() == nil {
			k.health.failedToStore(err, k.now())
			k.log.Error("what is due cannot be claimed", "error", err)
		}
		return false
	}
	for _, d := range due {
		r.due = append(r.due, claimedDue{
			owner: tuoguan.AuthorizerToken(d.Component, d.Authorizer),
			lease: &claimed{Lease: d.Lease, end: real.Add(k.cfg.LeaseTTL - leaseMargin)},
		})
	}
	return len(due) > 0
}

// exchange starts the exchanges that are due.
func (r *runner) exchange(now time.Time) {
	k := r.k
	due, err := k.pending(r.ctx, now, 2*exchangeSlots)
	if err != nil {
		if r.ctx.Err() == nil {
			k.log.Error("due exchanges cannot be read", "error", err)
		}
		return
	}
	for _, e := range due {
		key := store.ExchangeLease(e.Component, e.CodeHash)
		if k.refused(key) != nil {
			continue
		}
		r.start(&r.exchanges, key, func() {
			result := k.flights.DoChan(key, func() (any, error) {
				if !k.enter() {
					return store.Exchange{}, ErrClosed
				}
				defer k.work.Done()
				done, err := k.flyExchange(e.Component, e.CodeHash)
				k.settle(key, err)
				return done, err
			})
			select {
			case <-result:
			case <-r.ctx.Done():
			}
		})
	}
}

// profile starts reading the profiles of accounts that have authorized anew.
func (r *runner) profile(now time.Time) {
	k := r.k
	due, err := k.store.ProfilesDue(r.ctx, 4*profileSlots)
	if err != nil {
		if r.ctx.Err() == nil {
			k.log.Error("due profiles cannot be read", "error", err)
		}
		return
	}
	for _, a := range due {
		key := "profile/" + a.String()
		if k.refused(key) != nil {
			continue
		}
		r.start(&r.profiles, key, func() {
			ctx, cancel := context.WithTimeout(r.ctx, k.cfg.LeaseTTL)
			defer cancel()
			err := k.readProfile(ctx, a)
			if denied(err) {
				// Whether the authorization stands is for a refresh to find out.
				if record, err := k.store.Authorizer(ctx, a); err == nil && record.Trouble.SuspectSince.IsZero() {
					_, _ = k.verifyByRefresh(ctx, record) // else the next attempt does
				}
			}
			k.settle(key, err)
			k.observe(Observation{Kind: "profile", Authorization: a, Err: err, Cause: causeOf(ctx)})
			if err != nil && r.ctx.Err() == nil {
				k.log.Warn("profile cannot be read", "authorizer_appid", a.Authorizer, "component_appid", a.Component, "error", err)
			}
		})
	}
}

// readProfile asks WeChat about an account. The refresh token that comes with the
// answer joins the history.
func (k *Keeper) readProfile(ctx context.Context, authorization tuoguan.Authorization) error {
	a, err := k.store.Authorizer(ctx, authorization)
	if err != nil {
		return err
	}
	info, err := k.api.GetAuthorizerInfo(ctx, authorization)
	if err != nil {
		return err
	}
	if found := info.Authorization.Tokens.RefreshToken; !found.IsZero() {
		if err := k.keepCandidate(authorization, a.Grant, found, store.FromInfo); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(info)
	if err != nil {
		return err
	}
	return k.store.SaveProfile(ctx, authorization, store.Profile{
		Grant:          a.Grant,
		Kind:           info.Kind(),
		NickName:       info.NickName,
		UserName:       info.UserName,
		Alias:          info.Alias,
		HeadImage:      info.HeadImage,
		PrincipalName:  info.Principal,
		ServiceType:    info.ServiceType.ID,
		VerifyType:     info.VerifyType.ID,
		AccountStatus:  int(info.Status),
		Raw:            string(raw),
		PermissionSets: info.Authorization.PermissionSets,
		FuncInfo:       string(info.Authorization.FuncInfo),
		ReadAt:         k.now(),
	})
}

// collect removes what is no longer needed.
func (k *Keeper) collect(ctx context.Context) {
	now := k.now()
	err := k.store.Collect(ctx, store.Retention{
		Pushes:          now.Add(-k.cfg.KeepPushes),
		PushCount:       k.cfg.MaxPushes,
		Exchanges:       now.Add(-exchangesKept),
		Links:           now.Add(-refreshTokensKept),
		RefreshTokens:   now.Add(-refreshTokensKept),
		Sessions:        now.Add(-sessionsKept),
		TokenEvents:     now.Add(-tokenEventsKept),
		TokenEventCount: maxTokenEvents,
	})
	if err != nil && ctx.Err() == nil {
		k.log.Warn("old records not removed", "error", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for key, r := range k.refusals {
		if now.Sub(r.until) > collectEvery {
			delete(k.refusals, key)
		}
	}
}
