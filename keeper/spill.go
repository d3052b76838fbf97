package keeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/failpoint"
	"github.com/tuoguan/tuoguan/store"
)

// spillAfter is how long the store may take to save what WeChat has answered before
// that is written to the spill file as well.
const spillAfter = 40 * time.Millisecond

// Spill is a second durable place for what WeChat has answered, for the time when
// the store does not take it.
type Spill interface {
	// Put stores an answer durably. With an error and an id it may have.
	Put(ctx context.Context, a Answer) (id uint64, err error)
	// Forget removes what has reached the store.
	Forget(id uint64) error
	// Answers returns what is there, oldest first. What cannot be read any more is
	// left out and reported in the error, beside the rest.
	Answers() ([]Spilled, error)
}

// Spilled is an answer found in a spill.
type Spilled struct {
	ID uint64
	Answer
}

// Answer is something that WeChat has answered and that has to be kept. Exactly one
// field is set.
type Answer struct {
	Tokens         *store.TokenWrite
	Grant          *store.Grant
	RefreshToken   *store.RefreshToken
	ComponentToken *store.ComponentToken
}

// keep saves what WeChat has answered. It does not give up while the process lives,
// because what it holds may be the only copy; and where the store takes its time,
// or refuses, the answer goes to the spill.
func (k *Keeper) keep(a Answer, save func(ctx context.Context) error) error {
	_ = failpoint.Hit(failpoint.RefreshAfterParseBeforeSpill)
	s := k.beginSpill(a)
	defer s.wait()
	for attempt := 0; ; attempt++ {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(k.base), 5*time.Second)
		err := save(ctx)
		cancel()
		if err == nil || errors.Is(err, store.ErrNotFound) {
			_ = failpoint.Hit(failpoint.RefreshAfterCommitBeforeAck)
			if attempt > 0 {
				k.health.saved()
			}
			s.forget()
			return err
		}
		s.hurry()
		if attempt == 0 {
			k.health.unsaved(err, k.now())
			k.log.Error("the store does not take what WeChat has answered; it is kept and tried again", "op", a.kind(), "error", err)
		}
		if !k.pause(k.base, backOff(attempt, 100*time.Millisecond, 5*time.Second)) {
			k.health.saved()
			return fmt.Errorf("%w: %s: %w", ErrStorage, a.kind(), err)
		}
	}
}

func (a Answer) kind() string {
	switch {
	case a.Tokens != nil:
		return "authorizer token"
	case a.Grant != nil:
		return "grant"
	case a.RefreshToken != nil:
		return "refresh token found"
	}
	return "component token"
}

// spilling is one answer on its way to the spill, unless the store is faster.
type spilling struct {
	k    *Keeper
	now  chan struct{} // closed to spill at once
	over chan struct{} // closed when the store has it
	done chan struct{} // closed when the goroutine has ended
	id   uint64
	kept bool // in the spill; to be read after done
}

func (k *Keeper) beginSpill(a Answer) *spilling {
	s := &spilling{k: k, now: make(chan struct{}), over: make(chan struct{}), done: make(chan struct{})}
	if k.cfg.Spill == nil {
		close(s.done)
		return s
	}
	go func() {
		defer close(s.done)
		timer := time.NewTimer(spillAfter)
		defer timer.Stop()
		select {
		case <-s.over:
			return
		case <-s.now:
		case <-timer.C:
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(k.base), 5*time.Second)
		defer cancel()
		id, err := k.cfg.Spill.Put(ctx, a)
		s.id, s.kept = id, id != 0
		if err != nil {
			k.log.Error("the spill file does not take what WeChat has answered", "op", a.kind(), "error", err)
			return
		}
		_ = failpoint.Hit(failpoint.RefreshAfterSpillBeforeCommit)
	}()
	return s
}

// hurry spills at once, and waits until that is done: the store has failed.
func (s *spilling) hurry() {
	select {
	case <-s.now:
	default:
		close(s.now)
	}
	<-s.done
}

// forget removes the answer from the spill: the store has it.
func (s *spilling) forget() {
	close(s.over)
	<-s.done
	if !s.kept {
		return
	}
	if err := s.k.cfg.Spill.Forget(s.id); err != nil {
		s.k.log.Warn("the spill file keeps what the store has by now", "error", err)
	}
}

func (s *spilling) wait() { <-s.done }

// drain brings into the store what an earlier process has left in the spill.
func (k *Keeper) drain(ctx context.Context) error {
	if k.cfg.Spill == nil || k.drained.Load() {
		return nil
	}
	result := k.flights.DoChan("drain", func() (any, error) {
		if !k.enter() {
			return nil, ErrClosed
		}
		defer k.work.Done()
		if k.drained.Load() {
			return nil, nil
		}
		ctx, cancel := context.WithTimeout(k.base, k.cfg.LeaseTTL)
		defer cancel()
		err := k.Drain(ctx, k.cfg.Spill)
		k.drained.Store(err == nil)
		return nil, err
	})
	select {
	case r := <-result:
		return r.Err
	case <-ctx.Done():
		return fmt.Errorf("bring the spill file into the store: %w", ctx.Err())
	}
}

// Drain brings into the store what is in a spill: what other processes on this
// machine have left, while the keeper's own is drained by itself.
func (k *Keeper) Drain(ctx context.Context, from Spill) error {
	answers, err := from.Answers()
	if err != nil {
		k.log.Error("the spill file is damaged; what can be read is used", "error", err)
		k.health.damaged(err, k.now())
	}
	for _, a := range answers {
		if err := k.restore(ctx, a.Answer); err != nil {
			k.health.failedToStore(err, k.now())
			return fmt.Errorf("%w: bring the spill file into the store: %w", ErrStorage, err)
		}
		if err := from.Forget(a.ID); err != nil {
			k.log.Warn("the spill file keeps what the store has by now", "error", err)
		}
		_ = failpoint.Hit(failpoint.SpillMidDrain)
		k.log.Info("brought into the store from the spill file", "op", a.kind())
	}
	return nil
}

// restore saves one answer of an earlier process. Where it is no longer the newest
// it joins the history, and a refresh finds out which refresh token is good.
func (k *Keeper) restore(ctx context.Context, a Answer) error {
	g, err := k.gate(ctx)
	if err != nil {
		return err
	}
	// Before the data was restored leases had terms that those of now are behind. A
	// token set stored under one could not be replaced for long.
	foreign := func(obtained time.Time) bool { return obtained.Before(g.ClosedAt) }
	var moved bool
	var of tuoguan.Authorization
	switch {
	case a.ComponentToken != nil && foreign(a.ComponentToken.ObtainedAt):
		return nil // another one is to be had
	case a.Tokens != nil:
		of = a.Tokens.Authorization
		if !foreign(a.Tokens.ObtainedAt) {
			moved, err = k.store.SaveTokens(ctx, *a.Tokens)
			break
		}
		// If the account is not known WeChat's list will bring it back.
		_, err = k.store.AppendRefreshToken(ctx, store.RefreshToken{
			Authorization: of, Grant: a.Tokens.Grant, Value: a.Tokens.Tokens.RefreshToken, Source: a.Tokens.Source, ReceivedAt: a.Tokens.ObtainedAt,
		})
	case a.Grant != nil:
		of = a.Grant.Authorization
		_, moved, err = k.storeGrant(ctx, *a.Grant)
	case a.RefreshToken != nil:
		_, err = k.store.AppendRefreshToken(ctx, *a.RefreshToken)
		return err
	case a.ComponentToken != nil:
		_, err = k.store.SaveComponentToken(ctx, *a.ComponentToken)
		return err
	}
	if err == nil && !moved {
		err = k.verifySuperseded(ctx, of)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
