package gateway

import (
	"cmp"
	"slices"
	"sync"

	"github.com/tuoguan/tuoguan"
)

// maxCounted bounds the accounts that are counted one by one.
const maxCounted = 4096

// AccountCalls is what the gateway did for one account since it was counted first.
type AccountCalls struct {
	Component  tuoguan.ComponentAppID  `json:"component_appid"`
	Authorizer tuoguan.AuthorizerAppID `json:"authorizer_appid"`
	Calls      int64                   `json:"calls"`
	Refused    int64                   `json:"refused"`  // answered by WeChat with an errcode
	Problems   int64                   `json:"problems"` // answered with a problem
	Received   int64                   `json:"received_bytes"`
	Sent       int64                   `json:"sent_bytes"`
}

// busiest counts calls by account, for a status page: a metric's label would have as
// many values as there are accounts.
type busiest struct {
	mu      sync.Mutex
	counted map[tuoguan.Authorization]*AccountCalls
}

func (b *busiest) count(c Call) {
	if c.Authorizer == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	a := tuoguan.Authorization{Component: c.Component, Authorizer: c.Authorizer}
	n := b.counted[a]
	if n == nil {
		if b.counted == nil {
			b.counted = make(map[tuoguan.Authorization]*AccountCalls)
		}
		if len(b.counted) >= maxCounted {
			b.makeRoom()
		}
		n = &AccountCalls{Component: c.Component, Authorizer: c.Authorizer}
		b.counted[a] = n
	}
	n.Calls++
	if c.Errcode != 0 {
		n.Refused++
	}
	if c.Problem != "" {
		n.Problems++
	}
	n.Received += c.Received
	n.Sent += c.Sent
}

// makeRoom forgets the least busy of a few accounts, which the map's order picks. mu
// is held.
func (b *busiest) makeRoom() {
	const few = 8
	var least *AccountCalls
	seen := 0
	for _, n := range b.counted {
		if least == nil || n.Calls < least.Calls {
			least = n
		}
		if seen++; seen == few {
			break
		}
	}
	delete(b.counted, tuoguan.Authorization{Component: least.Component, Authorizer: least.Authorizer})
}

// Busiest returns the accounts with the most calls, at most n of them. The counts are
// this process's, and of accounts beyond a few thousand they are not complete.
func (g *Gateway) Busiest(n int) []AccountCalls {
	g.busiest.mu.Lock()
	all := make([]AccountCalls, 0, len(g.busiest.counted))
	for _, a := range g.busiest.counted {
		all = append(all, *a)
	}
	g.busiest.mu.Unlock()
	slices.SortFunc(all, func(a, b AccountCalls) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Authorizer, b.Authorizer), cmp.Compare(a.Component, b.Component))
	})
	return all[:min(max(n, 0), len(all))]
}
