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
	// pushesKept is how long stored pushes are kept: de-duplication needs three days.
	pushesKept = 7 * 24 * time.Hour
	// refreshTokensKept is how long superseded refresh tokens of earlier grants are kept.
	refreshTokensKept = 30 * 24 * time.Hour
)

// Run does what is due until ctx ends: it refreshes ahead of expiry, exchanges
// codes, reads profiles, watches tickets and compares with WeChat's list. It
// returns nil once its work has stopped; flights under way are Close's business.
func (k *Keeper) Run(ctx context.Context) error {
	records, err := k.store.Components(ctx)
	if err != nil {
		return fmt.Errorf("read the components: %w", err)
	}
	for _, r := range records {
		if _, err := k.component(ctx, r.AppID); err != nil {
			return err
		}
	}
	pending, err := k.store.DueExchanges(ctx, k.clock.Now().Add(codeLife), dueBatch)
	if err != nil {
		return fmt.Errorf("read the pending exchanges: %w", err)
	}
	for _, e := range pending {
		if e.Authorizer != "" {
			k.expectGrant(e)
		}
	}
	r := &runner{
		k:          k,
		ctx:        ctx,
		done:       make(chan struct{}, 1),
		refreshes:  lane{slots: k.cfg.Workers},
		exchanges:  lane{slots: exchangeSlots},
		profiles:   lane{slots: profileSlots},
		components: lane{slots: componentSlots},
		began:      k.clock.Now(),
	}
	defer r.work.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.done:
			r.refresh()
			continue
		case <-k.wake:
		case <-timer.C:
			timer.Reset(tick)
		}
		r.tick()
	}
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
	due       []store.Due
	drained   bool      // the last look at what is due found all of it
	looked    time.Time // when that was
	budget    float64   // refreshes that may start now
	budgetAt  time.Time
	collected time.Time
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

func (l *lane) has(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.busy[key]
	return ok
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
			k.health.failedToStore(err, k.clock.Now())
			return
		}
		k.health.stored()
		k.log.Info("the store takes writes again")
	}
	now := k.clock.Now()
	for _, id := range k.componentIDs() {
		r.start(&r.components, string(id), func() { k.tendComponent(r.ctx, id) })
		r.reconcile(id, now)
	}
	r.exchange(now)
	r.profile(now)
	r.looked = time.Time{}
	r.refresh()
	if now.Sub(r.collected) >= collectEvery {
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
	now := k.clock.Now()
	real := time.Now()
	r.budget = min(float64(k.cfg.RefreshRate), r.budget+real.Sub(r.budgetAt).Seconds()*float64(k.cfg.RefreshRate))
	r.budgetAt = real
	for !r.refreshes.full() && r.budget >= 1 {
		if len(r.due) == 0 {
			if r.drained && !r.looked.IsZero() {
				return // the next tick looks again
			}
			ctx, cancel := context.WithTimeout(r.ctx, 5*time.Second)
			due, err := k.store.DueAuthorizers(ctx, now, dueBatch)
			cancel()
			if err != nil {
				if r.ctx.Err() == nil {
					k.log.Error("what is due cannot be read", "error", err)
				}
				r.drained, r.looked = true, real
				return
			}
			r.drained, r.looked = true, real
			for _, d := range due {
				// What is under way or was refused a moment ago is still due in the store.
				if !r.refreshes.has(d.String()) && k.refused(tuoguan.AuthorizerToken(d.Component, d.Authorizer).String()) == nil {
					r.due = append(r.due, d)
				}
			}
			r.drained = len(due) < dueBatch || len(r.due) == 0
			if len(r.due) == 0 {
				return
			}
		}
		d := r.due[0]
		r.due = r.due[1:]
		if r.start(&r.refreshes, d.String(), func() {
			// The outcome is recorded by the flight itself.
			_, _ = k.join(r.ctx, tuoguan.AuthorizerToken(d.Component, d.Authorizer), want{ahead: true})
		}) {
			r.budget--
		}
	}
}

// exchange starts the exchanges that are due.
func (r *runner) exchange(now time.Time) {
	k := r.k
	due, err := k.store.DueExchanges(r.ctx, now, 2*exchangeSlots)
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
					_ = k.verifyByRefresh(ctx, record) // else the next attempt does
				}
			}
			k.settle(key, err)
			k.observe(Observation{Kind: "profile", Authorization: a, Err: err})
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
		if _, err := k.store.AppendRefreshToken(ctx, store.RefreshToken{
			Authorization: authorization, Grant: a.Grant, Value: found, Source: store.FromInfo, ReceivedAt: k.clock.Now(),
		}); err != nil {
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
		ReadAt:         k.clock.Now(),
	})
}

// collect removes what is no longer needed.
func (k *Keeper) collect(ctx context.Context) {
	now := k.clock.Now()
	err := k.store.Collect(ctx, store.Retention{
		Pushes:        now.Add(-pushesKept),
		Exchanges:     now.Add(-pushesKept),
		Links:         now.Add(-refreshTokensKept),
		RefreshTokens: now.Add(-refreshTokensKept),
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
