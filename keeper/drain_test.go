package keeper_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// left is a spill in which an earlier process has left answers.
type left struct {
	mu      sync.Mutex
	answers []keeper.Spilled
}

func (l *left) Put(context.Context, keeper.Answer) (uint64, error) { return 0, nil }

func (l *left) Forget(id uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, a := range l.answers {
		if a.ID == id {
			l.answers = append(l.answers[:i:i], l.answers[i+1:]...)
			break
		}
	}
	return nil
}

func (l *left) Answers() ([]keeper.Spilled, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers, nil
}

// TestSpillIsDrained starts a keeper whose predecessor got a refresh token that only
// the spill file has: it is in the store before anything is asked of WeChat, and only
// then forgotten. So the merchant is served, though the token stored is dead and WeChat
// tells nobody the new one.
func TestSpillIsDrained(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		w.faults(func(f *simulator.Faults) {
			f.RefreshTokenMode, f.ListMode, f.InfoMode = simulator.RotateStrict, simulator.ListEmpty, simulator.ListEmpty
		})
		appid := w.account()
		w.authorize(appid)
		w.good(w.owner(appid))
		a := w.record(appid)
		lease, err := w.store.AcquireLease(t.Context(), store.TokenLease(w.owner(appid)), "predecessor", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		reply, err := w.keeper.API().RefreshAuthorizerToken(t.Context(), a.Authorization, a.Tokens.RefreshToken)
		if err != nil {
			t.Fatal(err)
		}
		spill := &left{answers: []keeper.Spilled{{ID: 7, Answer: keeper.Answer{Tokens: &store.TokenWrite{
			Authorization: a.Authorization, Grant: a.Grant, Epoch: lease.Epoch, Tokens: reply,
			Used: a.Tokens.RefreshToken, ObtainedAt: time.Now(), RefreshAt: reply.ExpiresAt, Source: store.FromRefresh,
		}}}}}
		k, err := keeper.New(keeper.Config{
			Store: w.store, Spill: spill, Clock: new(tuoguan.Clock),
			API: wxapi.Config{HTTPClient: &http.Client{Transport: w.sim.RoundTripper()}},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := k.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(10 * time.Second)
		if answers, _ := spill.Answers(); len(answers) != 0 {
			t.Errorf("%d answers are still in the spill", len(answers))
		}
		if token, err := k.Refresh(t.Context(), w.owner(appid)); err != nil {
			t.Errorf("the refresh token that was in the spill is lost: %v", err)
		} else if s := w.sim.Token(token.Value.Reveal()); s.Errcode != 0 {
			t.Errorf("the token is refused with %d", s.Errcode)
		}
		cancel()
		running.Wait()
		if err := k.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
}
