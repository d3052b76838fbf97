package keeper_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/wxapi"
)

func TestVerify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, true)
		appid := w.account()
		owner := w.owner(appid)
		authorization := tuoguan.Authorization{Component: w.id, Authorizer: tuoguan.AuthorizerAppID(appid)}
		if err := w.keeper.Verify(t.Context(), authorization); !errors.Is(err, keeper.ErrUnknownAuthorizer) {
			t.Errorf("before the authorization: %v", err)
		}
		w.authorize(appid)
		w.good(owner)
		time.Sleep(time.Minute)

		before := w.record(appid)
		if err := w.keeper.Verify(t.Context(), authorization); err != nil {
			t.Fatalf("one that stands: %v", err)
		}
		after := w.record(appid)
		if !after.Profile.ReadAt.After(before.Profile.ReadAt) {
			t.Error("the profile was not read anew")
		}
		if !after.Tokens.AccessToken.Equal(before.Tokens.AccessToken) {
			t.Error("a token that works was replaced")
		}

		// WeChat has dropped the token: it is replaced.
		if n, err := w.sim.ExpireTokens(w.component.AppID, appid); err != nil || n == 0 {
			t.Fatal(n, err)
		}
		if err := w.keeper.Verify(t.Context(), authorization); err != nil {
			t.Fatalf("with a dead token: %v", err)
		}
		if w.record(appid).Tokens.AccessToken.Equal(before.Tokens.AccessToken) {
			t.Error("a dead token was not replaced")
		}
		w.good(owner)

		// The merchant takes the authorization back, and the push that says so is lost.
		w.faults(func(f *simulator.Faults) { f.LostPush = 1 })
		if _, err := w.sim.Unauthorize(t.Context(), appid, w.component.AppID); err != nil {
			t.Fatal(err)
		}
		err := w.keeper.Verify(t.Context(), authorization)
		if !errors.Is(err, wxapi.ErrNotAuthorized) && !errors.Is(err, wxapi.ErrRefreshTokenInvalid) {
			t.Errorf("one that was taken back: %v", err)
		}
		if a := w.record(appid); a.State != tuoguan.StateActive || a.Trouble.SuspectSince.IsZero() {
			t.Errorf("after one denial: %s, %+v; want a suspicion, which another look confirms", a.State, a.Trouble)
		}
		time.Sleep(time.Minute)
		if a := w.record(appid); a.State != tuoguan.StateNeedsReauthorization {
			t.Fatalf("after the second look: %s", a.State)
		}
		if err := w.keeper.Verify(t.Context(), authorization); err == nil {
			t.Error("one that is parked is said to stand")
		}

		// The merchant authorizes anew, and takes it back; that is heard of.
		w.faults(func(f *simulator.Faults) { f.LostPush = 0 })
		w.authorize(appid)
		time.Sleep(10 * time.Second)
		if err := w.keeper.Verify(t.Context(), authorization); err != nil {
			t.Errorf("after a new authorization: %v", err)
		}
		if _, err := w.sim.Unauthorize(t.Context(), appid, w.component.AppID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if err := w.keeper.Verify(t.Context(), authorization); !errors.Is(err, keeper.ErrRevoked) {
			t.Errorf("after a revocation that arrived: %v", err)
		}
	})
}

// An authorization that was parked for a false denial is found to stand, at once.
func TestVerifyUnparks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, true)
		appid := w.account()
		w.authorize(appid)
		w.good(w.owner(appid))
		w.faults(func(f *simulator.Faults) { f.False61003 = 1 })
		_, _ = w.keeper.Refresh(t.Context(), w.owner(appid))
		time.Sleep(2 * time.Hour)
		if a := w.record(appid); a.State != tuoguan.StateNeedsReauthorization {
			t.Fatalf("%s after two hours of denials", a.State)
		}
		w.faults(func(f *simulator.Faults) { f.False61003 = 0 })
		if err := w.keeper.Verify(t.Context(), tuoguan.Authorization{Component: w.id, Authorizer: tuoguan.AuthorizerAppID(appid)}); err != nil {
			t.Error(err)
		}
		if a := w.record(appid); a.State != tuoguan.StateActive || a.Trouble.Failures != 0 {
			t.Errorf("%s, %+v", a.State, a.Trouble)
		}
	})
}
