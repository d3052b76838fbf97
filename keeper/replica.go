package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

const (
	// lookEvery is how often a replica asks the store what others have changed.
	lookEvery = 300 * time.Millisecond
	// trustFor is how long after the beginning of such a look memory is believed. A
	// replica that was paused or cut off asks the store before it hands out a token.
	trustFor = 900 * time.Millisecond
	// lookBack is how far a look reaches back behind the one before, for what was
	// written then and committed late.
	lookBack = 6 * time.Second
	// lookGap is after how long without a look everything is forgotten instead.
	lookGap = 5 * time.Minute
	// doubtfulRead bounds how long the store is asked about a token that is in memory
	// and can no longer be trusted, before it is handed out nevertheless.
	doubtfulRead = time.Second
	// clockTolerance is how far our clock may be from the store's before it is set.
	clockTolerance = 250 * time.Millisecond
	// expectedLinger is how long an exchange that is no longer pending stays expected.
	expectedLinger = 2 * time.Second

	presencePrefix = "replica/"
	dutyLease      = "duty"
)

// replica is what one of several keepers on a store knows about the others.
type replica struct {
	told  time.Time     // by the store's clock: up to where changes are known
	heard time.Duration // when that was found out, by the cache's clock
	alive int           // replicas, this one included
	slow  int           // looks that took too long to tell the time

	presence store.Lease // says that we are alive
	duty     store.Lease // housekeeping is ours, if it has a key
}

// watch keeps memory in line with what other replicas do, and tells them that this
// one is alive. It returns when ctx ends.
func (k *Keeper) watch(ctx context.Context) {
	var met time.Time
	for {
		began := time.Now()
		if err := k.look(ctx); err != nil && ctx.Err() == nil {
			k.log.Warn("what other replicas have changed cannot be read; the store is asked for every token", "error", err)
		}
		if time.Since(met) >= k.cfg.LeaseTTL/3 {
			met = time.Now()
			k.meet(ctx)
		}
		if !k.pause(ctx, lookEvery-time.Since(began)) {
			return
		}
	}
}

// look takes over what has changed since the last time.
func (k *Keeper) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, k.cfg.LeaseTTL/3)
	defer cancel()
	began := k.cache.now()
	k.mu.Lock()
	since := k.replica.told
	if began-k.replica.heard > lookGap {
		since = time.Time{}
	}
	k.mu.Unlock()
	asked := time.Now()
	c, err := k.store.Changes(ctx, since)
	if err != nil {
		return err
	}
	k.setClock(c.Now, asked)
	if since.IsZero() {
		k.cache.clear()
	}
	for _, ch := range append(c.ComponentTokens, c.Authorizers...) {
		active := ch.Owner.IsComponent() || ch.State == tuoguan.StateActive
		k.cache.dropUnless(ch.Owner, version{ch.Grant, ch.Epoch}, active)
	}
	for _, id := range c.Components {
		if err := k.reload(ctx, id); err != nil {
			return err
		}
	}
	k.expectAll(c.Exchanges)

	k.mu.Lock()
	k.replica.told, k.replica.heard = c.Now.Add(-lookBack), began
	k.mu.Unlock()
	k.cache.trust(began + trustFor)
	return nil
}

// reading is what the store's clock said, and when that was by our monotonic one.
type reading struct{ theirs, at time.Time }

// now is the present. Replicas go by the store's clock: what one of them received
// another one hands out, and neither may believe that it lives longer than it does.
// Between two looks the monotonic clock goes on from there, so that it makes no
// difference if somebody sets the clock of this machine.
func (k *Keeper) now() time.Time {
	if r := k.synced.Load(); r != nil {
		return r.theirs.Add(time.Since(r.at))
	}
	return k.clock.Now()
}

// ours translates an instant that was counted from time.Now to what now goes by.
func (k *Keeper) ours(t time.Time) time.Time {
	if !k.cfg.Shared {
		return t
	}
	return k.now().Add(time.Until(t))
}

// pendingExpected is how many pending exchanges are looked for at the beginning.
const pendingExpected = 10_000

// sync makes sure, before anything else is done, that the store's clock is known if
// it is to be ours, and whose tokens died with a code that an earlier process was
// told and did not exchange any more.
func (k *Keeper) sync(ctx context.Context) error {
	if k.began.Load() {
		return nil
	}
	for k.cfg.Shared && k.synced.Load() == nil {
		if err := k.look(ctx); err != nil {
			return fmt.Errorf("%w: read what has changed: %w", ErrStorage, err)
		}
	}
	pending, err := k.pending(ctx, k.now().Add(codeLife), pendingExpected)
	if err != nil {
		return fmt.Errorf("%w: read the pending exchanges: %w", ErrStorage, err)
	}
	for _, e := range pending {
		if now := k.now(); e.DueAt.Sub(now) > exchangePatience {
			// The clock was set back since. Its code would die meanwhile.
			e.DueAt = now
			if err := k.store.UpdateExchange(ctx, e); err != nil {
				return fmt.Errorf("%w: bring a pending exchange forward: %w", ErrStorage, err)
			}
		}
		if e.Authorizer != "" {
			k.expectGrant(e)
		}
	}
	k.began.Store(true)
	return nil
}

// setClock takes over the store's clock, for the keeper and for whoever shares its
// clock.
func (k *Keeper) setClock(theirs, asked time.Time) {
	if time.Since(asked) > clockTolerance {
		// Who knows when it was read. Where a store is always that slow it has to do.
		k.mu.Lock()
		k.replica.slow++
		enough := k.synced.Load() == nil && k.replica.slow > 3
		k.mu.Unlock()
		if !enough {
			return
		}
	}
	// It was read after asked, so ours is ahead by a trifle, and no token outlives its life.
	k.synced.Store(&reading{theirs, asked})
	if ahead := k.clock.Now().Sub(k.now()); ahead.Abs() > clockTolerance {
		k.log.Warn("this machine's clock differs from the database's, which counts", "ahead", ahead)
		k.clock.Advance(-ahead)
	}
}

// reload reads the credentials of a component anew.
func (k *Keeper) reload(ctx context.Context, id tuoguan.ComponentAppID) error {
	record, err := k.store.Component(ctx, id)
	if err != nil {
		return fmt.Errorf("read component %s: %w", id, err)
	}
	crypter, err := newCrypter(record)
	if err != nil {
		return fmt.Errorf("component %s: %w", id, err)
	}
	if _, err := k.component(ctx, id); err != nil {
		return err
	}
	k.change(id, func(c *component) { c.record, c.crypter = record, crypter })
	return nil
}

// expectAll notes the pending exchanges of other replicas, and forgets what they
// have finished.
func (k *Keeper) expectAll(pending []store.Exchange) {
	now := k.cache.now()
	k.mu.Lock()
	var added []store.Exchange
	still := make(map[tuoguan.Authorization]bool, len(pending))
	for _, e := range pending {
		a := tuoguan.Authorization{Component: e.Component, Authorizer: e.Authorizer}
		still[a] = true
		if known, ok := k.expected[a]; !ok || later(e, known.Exchange) {
			added = append(added, e)
		}
	}
	for a, e := range k.expected {
		if !still[a] && now-e.since > expectedLinger {
			delete(k.expected, a)
		}
	}
	k.mu.Unlock()
	for _, e := range added {
		k.expectGrant(e)
	}
}

// Replicas returns how many keepers on the store are alive, this one included.
func (k *Keeper) Replicas() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return max(k.replica.alive, 1)
}

// meet renews the lease that says we are alive, counts who else is, and takes over
// the duty of housekeeping if nobody has it.
func (k *Keeper) meet(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, k.cfg.LeaseTTL/3)
	defer cancel()
	presence, err := k.store.AcquireLease(ctx, presencePrefix+k.cfg.Holder, k.cfg.Holder, k.cfg.LeaseTTL)
	var living []store.Lease
	if err == nil {
		living, err = k.store.Leases(ctx, presencePrefix)
	}
	var duty store.Lease
	if err == nil {
		duty, err = k.store.AcquireLease(ctx, dutyLease, k.cfg.Holder, k.cfg.LeaseTTL)
	}
	if err != nil && !errors.Is(err, store.ErrLeaseHeld) {
		k.log.Warn("other replicas cannot be told that this one is alive", "error", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.replica.presence, k.replica.duty = presence, duty
	if len(living) > 0 {
		k.replica.alive = len(living)
	}
}

// leave tells the others that this replica ends.
func (k *Keeper) leave() {
	k.mu.Lock()
	leases := []store.Lease{k.replica.presence, k.replica.duty}
	k.mu.Unlock()
	for _, l := range leases {
		if l.Key != "" {
			k.release(&claimed{Lease: l})
		}
	}
}

// onDuty reports whether housekeeping is ours: profiles, comparisons, removal of
// what is old.
func (k *Keeper) onDuty() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.cfg.Shared || k.replica.duty.Key != ""
}

// refreshShare is how many background refreshes per second are ours to start.
func (k *Keeper) refreshShare() float64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return float64(k.cfg.RefreshRate) / float64(max(k.replica.alive, 1))
}

// setting reads a value as JSON; it is left alone if there is none.
func (k *Keeper) setting(ctx context.Context, name string, into any) (version int64, err error) {
	value, version, err := k.store.Setting(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err == nil {
		err = json.Unmarshal(value, into)
	}
	if err != nil {
		return 0, fmt.Errorf("read the setting %s: %w", name, err)
	}
	return version, nil
}

func (k *Keeper) putSetting(ctx context.Context, name string, value any, version int64) error {
	text, err := json.Marshal(value)
	if err == nil {
		err = k.store.PutSetting(ctx, name, text, version)
	}
	if err != nil {
		return fmt.Errorf("store the setting %s: %w", name, err)
	}
	return nil
}
