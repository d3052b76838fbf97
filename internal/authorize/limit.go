package authorize

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// One link: ten at once, then one every two seconds.
	perLinkBurst = 10
	perLinkEvery = 2 * time.Second
	// All links of this process together.
	globalBurst = 200
	globalRate  = 20
	// linksWatched bounds the memory that visitors can fill.
	linksWatched = 10_000
)

// limiter bounds what the public can make us spend at WeChat's. It lives in this
// process only: each replica allows as much.
type limiter struct {
	mu    sync.Mutex
	all   *rate.Limiter
	links map[string]*rate.Limiter
}

func newLimiter() *limiter {
	return &limiter{all: rate.NewLimiter(globalRate, globalBurst), links: make(map[string]*rate.Limiter)}
}

// allow reports whether one more may be spent on a link. Only links that exist
// may be asked about.
func (l *limiter) allow(link string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket, ok := l.links[link]
	if !ok {
		if len(l.links) >= linksWatched {
			l.forgetRested()
		}
		bucket = rate.NewLimiter(rate.Every(perLinkEvery), perLinkBurst)
		l.links[link] = bucket
	}
	return bucket.Allow() && l.all.Allow()
}

// forgetRested forgets the links whose bucket is full again, which changes nothing
// for them; if there are none, all, for a bound on memory comes first and the
// limit over all links still holds.
func (l *limiter) forgetRested() {
	for id, bucket := range l.links {
		if bucket.Tokens() >= perLinkBurst {
			delete(l.links, id)
		}
	}
	if len(l.links) >= linksWatched {
		clear(l.links)
	}
}
