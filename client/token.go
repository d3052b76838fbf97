package client

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan"
)

const (
	// maxAge is how long a token is handed out before the server is asked again,
	// half of it jitter. The server refreshes before a token expires, and how long
	// WeChat takes the old one then is not promised.
	maxAge = time.Minute
	// lookTimeout bounds the question for a newer token while the one at hand is good.
	lookTimeout = 2 * time.Second
	// awayPause is how long the token at hand is used without asking again after the
	// server could not be reached.
	awayPause = 5 * time.Second
)

// Token returns an access token of owner that is good to be sent now: from memory, or from the server. While the server cannot be reached, a token at hand is
// returned as long as it has not expired.
//
// Errors: [ErrUnknownAuthorizer], [ErrRevoked], [ErrNeedsReauthorization],
// [ErrNoTicket], [ErrRefreshNeeded], [ErrUnauthorized], [ErrMissingScope],
// [ErrUnavailable], or any [*Error].
func (c *Client) Token(ctx context.Context, owner tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
	owner = c.named(owner)
	for {
		token, f, lead := c.tokens.read(owner, time.Now())
		switch {
		case f == nil:
			return token, nil
		case lead:
			c.read(ctx, owner, f)
		case !f.wait(ctx):
			return tuoguan.AccessToken{}, ctx.Err()
		}
		if !f.again {
			return f.token, f.err
		}
		if ctx.Err() != nil {
			return tuoguan.AccessToken{}, cmp.Or(f.err, ctx.Err())
		}
	}
}

// Invalidate reports that WeChat refused failed, a token of owner, and returns the
// one to use instead. The server refreshes only if failed is still the current one.
// Several callers that report the same token cause one request, a caller that is
// late none. Errors are those of [Client.Token], and [ErrComponentToken]: the server takes
// no report of a component's own token, and has no other yet.
func (c *Client) Invalidate(ctx context.Context, owner tuoguan.TokenOwner, failed tuoguan.Secret) (tuoguan.AccessToken, error) {
	owner = c.named(owner)
	for {
		token, f, lead := c.tokens.report(owner, failed, time.Now())
		switch {
		case f == nil:
			return token, nil
		case lead:
			c.report(ctx, owner, failed, f)
		case !f.wait(ctx):
			return tuoguan.AccessToken{}, ctx.Err()
		}
		if !f.again {
			return f.token, f.err
		}
		if ctx.Err() != nil {
			return tuoguan.AccessToken{}, cmp.Or(f.err, ctx.Err())
		}
	}
}

// Refresh has the server refresh the token of an authorizer even though the present
// one may be good.
func (c *Client) Refresh(ctx context.Context, owner tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
	owner = c.named(owner)
	if owner.IsComponent() {
		return tuoguan.AccessToken{}, ErrComponentToken
	}
	got, err := c.token(ctx, post(nil, about(owner, "refresh")...).with(which(owner.Component())))
	if err != nil {
		return tuoguan.AccessToken{}, err
	}
	c.tokens.put(owner, got)
	return got.token, nil
}

// named names the component where the caller has not, if there is one to name.
func (c *Client) named(owner tuoguan.TokenOwner) tuoguan.TokenOwner {
	if owner.Component() != "" {
		return owner
	}
	return tuoguan.AuthorizerToken(c.component, owner.Authorizer())
}

// about returns the path of something of an owner's.
func about(owner tuoguan.TokenOwner, rest ...string) []string {
	if owner.IsComponent() {
		return append([]string{"v1", "components", string(owner.Component())}, rest...)
	}
	return append([]string{"v1", "authorizers", string(owner.Authorizer())}, rest...)
}

// which returns the query that names a component, if one is to be named.
func which(component tuoguan.ComponentAppID) url.Values {
	return values("component", string(component))
}

// received is a token with the instants, by the clock of this machine, from which
// the server is to be asked again, and from which the token is not handed out.
type received struct {
	token  tuoguan.AccessToken
	askAt  time.Time
	endsAt time.Time
}

// token sends a request whose reply is a token.
func (c *Client) token(ctx context.Context, r request) (received, error) {
	var body struct {
		AccessToken string    `json:"access_token"`
		ExpiresAt   time.Time `json:"expires_at"`
	}
	got, err := c.call(ctx, r, &body)
	switch {
	case err != nil:
		return received{}, err
	case body.AccessToken == "":
		return received{}, &Error{Status: http.StatusOK, Title: c.admin.String() + " answered without a token"}
	}
	// The clocks of the two machines may differ, so the server's own is asked, which
	// its reply shows to the second.
	life := body.ExpiresAt.Sub(got.begun)
	if date, err := http.ParseTime(got.header.Get("Date")); err == nil {
		life = body.ExpiresAt.Sub(date) - time.Second
	}
	margin := min(2*time.Second+rand.N(8*time.Second), life/2)
	age := min(maxAge/2+rand.N(maxAge/2), life/4)
	return received{
		token:  tuoguan.AccessToken{Value: tuoguan.NewSecret(body.AccessToken), ExpiresAt: body.ExpiresAt.UTC()},
		askAt:  got.begun.Add(age),
		endsAt: got.begun.Add(life - margin),
	}, nil
}

// read asks for a token and lets all who wait for f know.
func (c *Client) read(ctx context.Context, owner tuoguan.TokenOwner, f *flight) {
	question := get(about(owner, "access-token")...)
	if !owner.IsComponent() {
		question = question.with(which(owner.Component()))
	}
	asking := ctx
	if f.spare {
		// There is a token to go on with; so do not wait for long.
		question.again = false
		var cancel context.CancelFunc
		asking, cancel = context.WithTimeout(ctx, lookTimeout)
		defer cancel()
	}
	got, err := c.token(asking, question)
	if c.tokens.finishRead(owner, f, got, err, ctx.Err() != nil) {
		c.logger.DebugContext(ctx, "the token at hand is used, the server is away", "owner", owner, "error", err)
	}
}

// report tells the server that a token was refused and lets all who wait for f know.
// A component's token cannot be reported, so it is asked for once more.
func (c *Client) report(ctx context.Context, owner tuoguan.TokenOwner, failed tuoguan.Secret, f *flight) {
	r := get(about(owner, "access-token")...)
	if !owner.IsComponent() {
		r = post(map[string]string{"access_token": failed.Reveal()}, about(owner, "access-token", "invalid")...).with(which(owner.Component()))
		r.again = true
	}
	got, err := c.token(ctx, r)
	if err == nil && got.token.Value.Equal(failed) {
		got, err = received{}, ErrComponentToken
	}
	c.tokens.finishReport(owner, f, got, err, ctx.Err() != nil)
}

// flight is a request under way. Its results may be read once done is closed.
type flight struct {
	done       chan struct{}
	generation int            // of the entry, when it began
	spare      bool           // there is a token to go on with
	failed     tuoguan.Secret // the token reported, if it is a report

	token tuoguan.AccessToken
	err   error
	again bool // the result is nobody's: who led has left, or a token was refused meanwhile
}

// wait reports whether the flight ended before ctx did.
func (f *flight) wait(ctx context.Context) bool {
	select {
	case <-f.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// cache keeps tokens and the requests for them. The zero cache is empty.
type cache struct {
	mu      sync.Mutex
	entries map[tuoguan.TokenOwner]*entry
	sweepAt int // how many entries there may be before those of no use are removed
}

type entry struct {
	received
	generation   int // counts the reports
	read, report *flight
}

func (c *cache) entry(owner tuoguan.TokenOwner, now time.Time) *entry {
	e := c.entries[owner]
	if e != nil {
		return e
	}
	if c.entries == nil {
		c.entries = make(map[tuoguan.TokenOwner]*entry)
	}
	if len(c.entries) >= max(c.sweepAt, 1024) {
		for key, e := range c.entries {
			if e.read == nil && e.report == nil && !now.Before(e.endsAt) {
				delete(c.entries, key)
			}
		}
		c.sweepAt = 2 * len(c.entries)
	}
	e = &entry{}
	c.entries[owner] = e
	return e
}

// read returns a token to use, or else the flight that will bring one, which the
// caller has to lead or to wait for.
func (c *cache) read(owner tuoguan.TokenOwner, now time.Time) (token tuoguan.AccessToken, f *flight, lead bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entry(owner, now)
	good := now.Before(e.endsAt)
	switch {
	case good && (now.Before(e.askAt) || e.read != nil):
		return e.token, nil, false
	case e.report != nil:
		return tuoguan.AccessToken{}, e.report, false
	case e.read != nil:
		return tuoguan.AccessToken{}, e.read, false
	}
	e.read = &flight{done: make(chan struct{}), generation: e.generation, spare: good}
	return tuoguan.AccessToken{}, e.read, true
}

// finishRead ends a flight begun by read. It reports whether the token at hand has
// to do, because of err.
func (c *cache) finishRead(owner tuoguan.TokenOwner, f *flight, got received, err error, left bool) (spared bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(f.done)
	now := time.Now()
	e := c.entry(owner, now)
	e.read = nil
	switch {
	case e.generation != f.generation:
		f.err, f.again = err, true // what was received may be what was refused meanwhile
		return false
	case err == nil:
		e.received = got
		f.token = got.token
		return false
	case away(err) && now.Before(e.endsAt):
		e.askAt = now.Add(awayPause/2 + rand.N(awayPause/2))
		f.token = e.token
		return true
	case !away(err):
		e.received = received{}
	}
	f.err, f.again = err, left
	return false
}

// report returns the token at hand if it is not the one that failed. Else that is
// forgotten, and the flight returned has to be led or waited for.
func (c *cache) report(owner tuoguan.TokenOwner, failed tuoguan.Secret, now time.Time) (token tuoguan.AccessToken, f *flight, lead bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entry(owner, now)
	if now.Before(e.endsAt) && !e.token.Value.Equal(failed) {
		return e.token, nil, false
	}
	if e.report != nil {
		// Whatever it reports, what it brings is newer than any token that failed.
		return tuoguan.AccessToken{}, e.report, false
	}
	e.received = received{}
	e.generation++
	e.report = &flight{done: make(chan struct{}), generation: e.generation, failed: failed}
	return tuoguan.AccessToken{}, e.report, true
}

// finishReport ends a flight begun by report.
func (c *cache) finishReport(owner tuoguan.TokenOwner, f *flight, got received, err error, left bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(f.done)
	e := c.entry(owner, time.Now())
	e.report = nil
	if err == nil {
		e.received = got
	}
	f.token, f.err, f.again = got.token, err, err != nil && left
}

// put stores a token that is newer than any other.
func (c *cache) put(owner tuoguan.TokenOwner, got received) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entry(owner, time.Now())
	e.generation++
	e.received = got
}
