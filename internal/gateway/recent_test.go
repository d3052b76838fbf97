package gateway

import (
	"fmt"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
)

func TestRecentIsBounded(t *testing.T) {
	t.Parallel()
	g := new(Gateway)
	busy := tuoguan.Authorization{Component: "c", Authorizer: "busy"}
	for i := range maxRecent + 7 {
		g.recent.add(busy, RecentCall{Path: fmt.Sprint("/", i)})
	}
	calls, _ := g.Recent(busy)
	if len(calls) != maxRecent || calls[0].Path != fmt.Sprint("/", maxRecent+6) || calls[maxRecent-1].Path != "/7" {
		t.Errorf("%d calls, from %s to %s", len(calls), calls[0].Path, calls[len(calls)-1].Path)
	}
	for i := range maxRecentAccounts {
		g.recent.add(tuoguan.Authorization{Component: "c", Authorizer: tuoguan.AuthorizerAppID(fmt.Sprint("a", i))}, RecentCall{Path: "/a"})
		if i == maxRecentAccounts/2 {
			g.recent.add(busy, RecentCall{Path: "/again"}) // it was not called for last any more
		}
	}
	if calls, _ := g.Recent(busy); len(calls) != maxRecent || calls[0].Path != "/again" {
		t.Errorf("the account that was called for again is forgotten: %v", calls)
	}
	if calls, _ := g.Recent(tuoguan.Authorization{Component: "c", Authorizer: "a0"}); len(calls) != 0 {
		t.Error("the account that was not called for longest is remembered")
	}
	if n := len(g.recent.accounts); n != maxRecentAccounts || g.recent.order.Len() != n {
		t.Errorf("%d accounts are remembered", n)
	}
	g.recent.add(tuoguan.Authorization{Component: "c"}, RecentCall{})
	if calls, _ := g.Recent(tuoguan.Authorization{Component: "c"}); len(calls) != 0 {
		t.Error("a call of the component's own is remembered")
	}
}

func TestSeenQuotas(t *testing.T) {
	t.Parallel()
	g := new(Gateway)
	a := tuoguan.Authorization{Component: "c", Authorizer: "a"}
	owner := tuoguan.AuthorizerToken(a.Component, a.Authorizer)
	for i := range maxSeenQuotas + 5 {
		g.recent.quota(owner, SeenQuota{Path: fmt.Sprintf("/%02d", i), Remaining: 9})
	}
	later := time.Now()
	g.recent.quota(owner, SeenQuota{Path: "/00", Remaining: 3, At: later})
	g.recent.quota(tuoguan.ComponentToken("c"), SeenQuota{Path: "/own"})
	_, quotas := g.Recent(a)
	if len(quotas) != maxSeenQuotas || quotas[0].Path != "/00" || quotas[0].Remaining != 3 || !quotas[0].At.Equal(later) {
		t.Errorf("%d quotas, %+v", len(quotas), quotas[0])
	}
}
