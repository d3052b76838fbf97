package access

import (
	"hash/maphash"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tuoguan/tuoguan"
)

const (
	// DefaultKeyRate is how many requests per second one key may make.
	DefaultKeyRate = 50
	// DefaultAuthorizerRate is how many requests per second all keys may make for one account.
	DefaultAuthorizerRate = 20

	// Buckets are spread over shards, so that requests do not wait for each other.
	bucketShards    = 16
	bucketsPerShard = 4096
)

// Allow reports whether a caller may make one more request, for an account if one is
// named; if not, it says when the next may be made. The rates are those of this
// process: each replica allows as much. The key of the configuration is not limited.
func (k *Keys) Allow(c Caller, a tuoguan.AuthorizerAppID) (retryAfter time.Duration, ok bool) {
	if c.KeyID == BootstrapID {
		return 0, true
	}
	perKey := k.cfg.KeyRate
	if c.Scope.Rate > 0 {
		perKey = c.Scope.Rate
	}
	now := time.Now()
	if a != "" {
		// What the account refuses does not count for the key.
		if retryAfter, ok = k.keyRates.take(c.KeyID, perKey, now, look); !ok {
			return retryAfter, ok
		}
		if retryAfter, ok = k.accountRates.take(string(a), k.cfg.AuthorizerRate, now, spend); !ok {
			return retryAfter, ok
		}
	}
	return k.keyRates.take(c.KeyID, perKey, now, spend)
}

// AllowAccount is Allow for a request that the caller's own rate has let through already.
func (k *Keys) AllowAccount(c Caller, a tuoguan.AuthorizerAppID) (retryAfter time.Duration, ok bool) {
	if c.KeyID == BootstrapID {
		return 0, true
	}
	return k.accountRates.take(string(a), k.cfg.AuthorizerRate, time.Now(), spend)
}

// buckets are token buckets by name, of which each holds twice its rate.
type buckets struct {
	seed   maphash.Seed
	shards [bucketShards]bucketShard
}

type bucketShard struct {
	mu     sync.Mutex
	byName map[string]bucket
}

type bucket struct {
	*rate.Limiter
	perSecond float64
}

func newBuckets() *buckets {
	b := &buckets{seed: maphash.MakeSeed()}
	for i := range b.shards {
		b.shards[i].byName = make(map[string]bucket)
	}
	return b
}

// Whether a token is taken, or there only has to be one.
const (
	spend = true
	look  = false
)

// take takes one token, or looks for one. A negative rate is no limit.
func (b *buckets) take(name string, perSecond float64, now time.Time, spend bool) (wait time.Duration, ok bool) {
	if perSecond < 0 {
		return 0, true
	}
	shard := &b.shards[maphash.String(b.seed, name)%bucketShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	of, ok := shard.byName[name]
	switch {
	case !ok:
		if len(shard.byName) >= bucketsPerShard {
			shard.forgetRested(now)
		}
		of = bucket{rate.NewLimiter(rate.Limit(perSecond), burst(perSecond)), perSecond}
		shard.byName[name] = of
	case of.perSecond != perSecond:
		of.SetLimitAt(now, rate.Limit(perSecond))
		of.SetBurstAt(now, burst(perSecond))
		of.perSecond = perSecond
		shard.byName[name] = of
	}
	tokens := of.TokensAt(now)
	if tokens >= 1 && (!spend || of.AllowN(now, 1)) {
		return 0, true
	}
	return time.Duration(math.Ceil((1 - tokens) / perSecond * float64(time.Second))), false
}

func burst(perSecond float64) int { return max(1, int(2*perSecond)) }

// forgetRested forgets the buckets that are full again, which changes nothing for
// anybody; if there are none, all, for memory has to stay bounded.
func (s *bucketShard) forgetRested(now time.Time) {
	for name, of := range s.byName {
		if of.TokensAt(now) >= float64(of.Burst()) {
			delete(s.byName, name)
		}
	}
	if len(s.byName) >= bucketsPerShard {
		clear(s.byName)
	}
}
