package oauth

import (
	"sync"

	"golang.org/x/time/rate"

	"github.com/tuoguan/tuoguan"
)

const (
	// One account: what a busy shop needs, and no more.
	accountRate, accountBurst = 50, 200
	// All accounts of this process together.
	globalRate, globalBurst = 500, 1000
	// accountsWatched bounds the memory that visitors can fill.
	accountsWatched = 10_000
)

// limiter bounds what the public can make us do. It lives in this process only: each
// replica allows as much.
type limiter struct {
	all *rate.Limiter

	mu       sync.Mutex
	accounts map[tuoguan.AuthorizerAppID]*rate.Limiter
}

func newLimiter() *limiter {
	return &limiter{all: rate.NewLimiter(globalRate, globalBurst), accounts: make(map[tuoguan.AuthorizerAppID]*rate.Limiter)}
}

// allowAny reports whether one more may be done at all.
func (l *limiter) allowAny() bool { return l.all.Allow() }

// allow reports whether one more may be done for an account, which has to exist.
func (l *limiter) allow(a tuoguan.AuthorizerAppID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket, ok := l.accounts[a]
	if !ok {
		if len(l.accounts) >= accountsWatched {
			clear(l.accounts) // the limit over all accounts still holds
		}
		bucket = rate.NewLimiter(accountRate, accountBurst)
		l.accounts[a] = bucket
	}
	return bucket.Allow()
}
