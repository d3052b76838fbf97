package keeper_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// bitten is a store in which something of every kind of list does not open.
type bitten struct {
	store.Store
	dead tuoguan.AuthorizerAppID
}

func bite(what string) error { return fmt.Errorf("open %s: %w", what, store.ErrQuarantined) }

func (b bitten) Components(ctx context.Context) ([]store.Component, error) {
	all, err := b.Store.Components(ctx)
	return all, errors.Join(err, bite("app_secret"))
}

func (b bitten) Tickets(ctx context.Context, id tuoguan.ComponentAppID) ([]store.Ticket, error) {
	all, err := b.Store.Tickets(ctx, id)
	return all, errors.Join(err, bite("ticket"))
}

func (b bitten) DueExchanges(ctx context.Context, at time.Time, n int) ([]store.Exchange, error) {
	all, err := b.Store.DueExchanges(ctx, at, n)
	return all, errors.Join(err, bite("code"))
}

func (b bitten) RefreshTokens(ctx context.Context, a tuoguan.Authorization) ([]store.RefreshToken, error) {
	all, err := b.Store.RefreshTokens(ctx, a)
	return all, errors.Join(err, bite("refresh_token_history"))
}

func (b bitten) Authorizer(ctx context.Context, a tuoguan.Authorization) (store.Authorizer, error) {
	if a.Authorizer == b.dead {
		return store.Authorizer{}, bite("access_token")
	}
	return b.Store.Authorizer(ctx, a)
}

// A record that was altered on the disk is an alarm, and takes no other with it.
func TestQuarantineLeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		dead, alive := w.account(), w.account()
		w.authorize(dead)
		w.authorize(alive)
		w.good(w.owner(dead))

		k, err := keeper.New(keeper.Config{
			Store: bitten{w.store, w.owner(dead).Authorizer()},
			API:   wxapi.Config{HTTPClient: &http.Client{Transport: w.sim.RoundTripper()}},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- k.Run(ctx) }()
		time.Sleep(3 * time.Second)
		if _, err := k.Token(ctx, w.owner(alive)); err != nil {
			t.Errorf("token of the other: %v", err)
		}
		if _, err := k.Refresh(ctx, w.owner(alive)); err != nil {
			t.Errorf("refresh of the other: %v", err)
		}
		if _, err := k.Token(ctx, w.owner(dead)); !errors.Is(err, store.ErrQuarantined) {
			t.Errorf("token of the altered one: %v", err)
		}
		if _, err := k.Reconcile(ctx, w.id); err != nil {
			t.Errorf("comparison: %v", err)
		}
		alarms := 0
		for _, p := range k.Health(ctx) {
			if p.Code == "record_quarantined" {
				alarms++
			} else {
				t.Errorf("problem %+v", p)
			}
		}
		if alarms < 4 {
			t.Errorf("%d alarms: %+v", alarms, k.Health(ctx))
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := k.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A process that died between the push and the exchange has left a code behind. The
// token before it is dead over there, so the next process does not hand it out.
func TestCodeLeftBehindIsExchangedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, false)
		appid := w.account()
		w.authorize(appid)
		old := w.good(w.owner(appid))
		w.faults(func(f *simulator.Faults) { f.LostPush = 1 })
		code := tuoguan.NewSecret(w.authorize(appid).AuthorizationCode)
		if _, _, err := w.store.PutExchange(t.Context(), store.Exchange{
			Component: w.id, Authorizer: w.owner(appid).Authorizer(), CodeHash: keeper.HashCode(code), Code: code,
			State: store.ExchangePending, CreatedAt: time.Now(), DueAt: time.Now(), AuthorizedAt: time.Now(),
		}); err != nil {
			t.Fatal(err)
		}
		k := w.newKeeper()
		got, err := k.Token(t.Context(), w.owner(appid)) // Run has not even begun
		if err != nil || got.Value.Equal(old.Value) {
			t.Errorf("the token of the grant before is handed out, %v", err)
		}
		if err := k.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
