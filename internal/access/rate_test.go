package access

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store/memory"
)

func TestAllow(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		config     Config
		caller     Caller
		account    tuoguan.AuthorizerAppID
		perSecond  float64
		burst      int
		unlimited  bool
		otherUsers int // requests of another key for the account before
	}{
		"key":                  {caller: Caller{KeyID: "k"}, perSecond: 50, burst: 100},
		"account":              {caller: Caller{KeyID: "k"}, account: "a", perSecond: 20, burst: 40},
		"account of two keys":  {caller: Caller{KeyID: "k"}, account: "a", perSecond: 20, burst: 30, otherUsers: 10},
		"scope, lower":         {caller: Caller{KeyID: "k", Scope: Scope{Rate: 0.5}}, account: "a", perSecond: 0.5, burst: 1},
		"scope, higher":        {caller: Caller{KeyID: "k", Scope: Scope{Rate: 300}}, perSecond: 300, burst: 600},
		"configured":           {config: Config{KeyRate: 10, AuthorizerRate: 1000}, caller: Caller{KeyID: "k"}, account: "a", perSecond: 10, burst: 20},
		"configured unlimited": {config: Config{KeyRate: -1, AuthorizerRate: -1}, caller: Caller{KeyID: "k"}, account: "a", unlimited: true},
		"bootstrap":            {caller: Caller{KeyID: BootstrapID}, account: "a", unlimited: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := newKeys(t, memory.New(memory.Config{}), func(c *Config) {
					c.KeyRate, c.AuthorizerRate = tt.config.KeyRate, tt.config.AuthorizerRate
				})
				for range tt.otherUsers {
					k.Allow(Caller{KeyID: "other"}, tt.account)
				}
				allowed := 0
				for range 1000 {
					if _, ok := k.Allow(tt.caller, tt.account); ok {
						allowed++
					}
				}
				if tt.unlimited {
					if allowed != 1000 {
						t.Errorf("%d of 1000 allowed", allowed)
					}
					return
				}
				if allowed != tt.burst {
					t.Errorf("%d at once, want %d", allowed, tt.burst)
				}
				// Whoever waits as long as told is served, and no earlier; at the rate.
				began := time.Now()
				for range 50 {
					wait, ok := k.Allow(tt.caller, tt.account)
					if ok || wait <= 0 {
						t.Fatalf("allowed %v, to be tried again after %v", ok, wait)
					}
					time.Sleep(wait - min(wait/2, time.Millisecond))
					if _, ok := k.Allow(tt.caller, tt.account); ok {
						t.Fatal("served before the time that was told")
					}
					time.Sleep(min(wait/2, time.Millisecond) + time.Microsecond)
					if again, ok := k.Allow(tt.caller, tt.account); !ok {
						t.Fatalf("not served after the time that was told: another %v", again)
					}
				}
				if perSecond := 50 / time.Since(began).Seconds(); perSecond > 1.01*tt.perSecond || perSecond < 0.9*tt.perSecond {
					t.Errorf("%.1f per second, want %.1f", perSecond, tt.perSecond)
				}
			})
		})
	}
}

// TestAllowChangedRate: a scope that is changed holds for the bucket that is there.
// TestAllowAccount lets requests through that the key's own rate has been charged for.
func TestAllowAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKeys(t, memory.New(memory.Config{}), func(c *Config) { c.KeyRate, c.AuthorizerRate = 1, 2 })
		caller := Caller{KeyID: "k"}
		for i := range 4 {
			if _, ok := k.AllowAccount(caller, "a"); !ok {
				t.Errorf("request %d is refused", i)
			}
		}
		if wait, ok := k.AllowAccount(caller, "a"); ok || wait <= 0 {
			t.Errorf("one too many: %v, %v", wait, ok)
		}
		if _, ok := k.Allow(caller, ""); !ok {
			t.Error("the key was charged")
		}
		if _, ok := k.AllowAccount(Caller{KeyID: BootstrapID}, "a"); !ok {
			t.Error("the key of the configuration is limited")
		}
	})
}

func TestAllowChangedRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKeys(t, memory.New(memory.Config{}), nil)
		c := Caller{KeyID: "k"}
		k.Allow(c, "")
		c.Scope.Rate = 1
		allowed := 0
		for range 100 {
			if _, ok := k.Allow(c, ""); ok {
				allowed++
			}
		}
		if allowed != 2 {
			t.Errorf("%d at once with one per second", allowed)
		}
	})
}

func TestAllowBounded(t *testing.T) {
	t.Parallel()
	b, now := newBuckets(), time.Now()
	for range 40 {
		b.take("busy", 20, now, spend)
	}
	size := func() (n int) {
		for i := range b.shards {
			n += len(b.shards[i].byName)
		}
		return n
	}
	for i := range 200_000 {
		// Each rests after a tenth of a second; a million are used in ten.
		now = now.Add(10 * time.Microsecond)
		b.take(strconv.Itoa(i), 20, now, spend)
		if i%1000 == 0 {
			b.take("busy", 20, now, spend)
		}
	}
	if n := size(); n > bucketShards*bucketsPerShard {
		t.Errorf("%d buckets", n)
	}
	allowed := 0
	for range 100 {
		if _, ok := b.take("busy", 20, now, spend); ok {
			allowed++
		}
	}
	if allowed > 1 {
		t.Errorf("the bucket of a busy one was forgotten: %d allowed at once", allowed)
	}
}

func TestNothingAllocated(t *testing.T) {
	k := newKeys(t, memory.New(memory.Config{}), func(c *Config) {
		c.KeyRate, c.AuthorizerRate = 1e9, 1e9
	})
	_, key := create(t, k, everyFieldFrom(t))
	step := func() {
		c, err := k.Authenticate(t.Context(), key, anywhere)
		if err != nil || !c.MayCall("/wxa/getpage") || !c.May(ReadTokens) {
			t.Fatal(err)
		}
		if _, ok := k.Allow(c, "wx00000000000000a1"); !ok {
			t.Fatal("not allowed")
		}
	}
	step()
	if n := testing.AllocsPerRun(1000, step); n > 0 {
		t.Errorf("%v allocations for a request with a known key", n)
	}
}

// everyFieldFrom is a scope with every field, for requests from where they come in tests.
func everyFieldFrom(t testing.TB) Scope {
	t.Helper()
	s := everyField()
	s.Rate = 1e6
	s, err := s.Normalized()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func BenchmarkRequest(b *testing.B) {
	for name, parallel := range map[string]bool{"one": false, "many": true} {
		b.Run(name, func(b *testing.B) {
			k := newKeys(b, memory.New(memory.Config{}), func(c *Config) { c.AuthorizerRate = 1e9 })
			_, key := create(b, k, everyFieldFrom(b))
			step := func() {
				c, err := k.Authenticate(b.Context(), key, anywhere)
				if err != nil || !c.May(ReadTokens) {
					b.Error(err)
				}
				k.Allow(c, "wx00000000000000a1")
			}
			b.ReportAllocs()
			if !parallel {
				for b.Loop() {
					step()
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					step()
				}
			})
		})
	}
}
