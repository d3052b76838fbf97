package keeper

import (
	"fmt"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
)

// TestRenewKeepsWhatIsInUse refreshes the tokens of many merchants ahead of time, over
// and over. Memory holds those that somebody asks for, and never an old one.
func TestRenewKeepsWhatIsInUse(t *testing.T) {
	t.Parallel()
	const merchants, inUse = 10_000, 100
	c := newCache(nil, time.Now, true)
	owner := func(i int) tuoguan.TokenOwner {
		return tuoguan.AuthorizerToken("wxc0000000000000", tuoguan.AuthorizerAppID(fmt.Sprintf("wx%016x", i)))
	}
	token := func(i, turn int) tuoguan.AccessToken {
		return tuoguan.AccessToken{Value: tuoguan.NewSecret(fmt.Sprint(i, "/", turn)), ExpiresAt: time.Now().Add(2 * time.Hour)}
	}
	for i := range 2 * inUse { // half of these will not be asked for again
		c.put(owner(i), token(i, 0), version{}, c.generation(owner(i)))
	}
	for turn := 1; turn <= 3; turn++ {
		for i := range merchants {
			if !c.renew(owner(i), token(i, turn), version{}, c.generation(owner(i))) {
				t.Fatalf("merchant %d is not renewed", i)
			}
		}
		for i := range inUse {
			if e := c.get(owner(i)); e == nil || !e.token.Value.Equal(token(i, turn).Value) {
				t.Fatalf("turn %d: merchant %d has %v in memory", turn, i, e)
			}
		}
	}
	for i := inUse; i < merchants; i++ {
		if c.get(owner(i)) != nil {
			t.Fatalf("merchant %d is in memory though nobody asks", i)
		}
	}
	if n := len(c.table.Load().slots); n > 8*inUse {
		t.Errorf("the table has %d slots for %d merchants in use", n, inUse)
	}

	generation := c.generation(owner(0))
	c.drop(owner(0))
	if c.renew(owner(0), token(0, 4), version{}, generation) || c.get(owner(0)) != nil {
		t.Error("a token is renewed that was dropped meanwhile")
	}
}

// TestWhatWasReadDoesNotOutliveWhatIsNew reads a token, gets a new one, and is slow to
// put the first into memory.
func TestWhatWasReadDoesNotOutliveWhatIsNew(t *testing.T) {
	t.Parallel()
	o := tuoguan.AuthorizerToken("wxc0000000000000", "wx00000000000000a1")
	token := func(value string) tuoguan.AccessToken {
		return tuoguan.AccessToken{Value: tuoguan.NewSecret(value), ExpiresAt: time.Now().Add(2 * time.Hour)}
	}
	for name, renew := range map[string]func(*cache) bool{
		"published":               func(c *cache) bool { return c.publish(o, token("new"), version{}, c.generation(o)) },
		"renewed ahead of time":   func(c *cache) bool { return c.renew(o, token("new"), version{}, c.generation(o)) },
		"by somebody out of date": func(c *cache) bool { return !c.publish(o, token("new"), version{}, c.generation(o)-1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCache(nil, time.Now, true)
			read := c.generation(o)
			if !renew(c) {
				t.Error("the new token was not taken as it should be")
			}
			if c.put(o, token("old"), version{}, read) {
				t.Error("the old one was put")
			}
			if e := c.get(o); e != nil && e.token.Value.Reveal() != "new" {
				t.Errorf("memory has %q", e.token.Value.Reveal())
			}
		})
	}
}
