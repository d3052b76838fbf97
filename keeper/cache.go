package keeper

import (
	"encoding/binary"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuoguan/tuoguan"
)

// minServe is how long a token must still live to be handed out: a caller needs
// time to send it.
const minServe = 10 * time.Second

// cache holds the tokens that may be handed out without asking anybody. It is
// never the truth: an entry may vanish at any moment.
//
// Every call of every service ends up here, so a read takes no lock: the cache is
// an open-addressed table of entries that are replaced and never changed. A map
// under a lock would cost as much again as the exact look at the clock does, and
// an approximate clock would serve dead tokens after the process was paused.
type cache struct {
	clock *tuoguan.Clock   // whose offset lets hours pass; nil where it only sets the clock right
	wall  func() time.Time // what ExpiresAt of a token is compared with
	base  time.Time        // readings are durations since base, so that the system's clock may jump
	table atomic.Pointer[table]
	// trusted is until when, since base, the entries may be handed out without asking
	// whether another replica has replaced them.
	trusted atomic.Int64

	mu    sync.Mutex // for those who replace entries
	taken int        // slots in use
	// generations count drops and new tokens, by hash. Who began before one of these must
	// not put the token that he has read: it may have been revoked, or replaced.
	generations [4096]uint64
}

// table has a power of two of slots, at most three quarters of them in use.
type table struct{ slots []atomic.Pointer[entry] }

type entry struct {
	owner      tuoguan.TokenOwner
	version    version
	serveUntil time.Duration // since base
	token      tuoguan.AccessToken
	asked      atomic.Bool // since it came in the place of another one
}

// version tells the token sets of one owner apart.
type version struct{ grant, epoch int64 }

// dropped is the serveUntil of an entry that only keeps its slot.
const dropped = time.Duration(math.MinInt64)

// newCache returns an empty cache. One that is ours alone is always to be trusted.
func newCache(clock *tuoguan.Clock, wall func() time.Time, alone bool) *cache {
	c := &cache{wall: wall, base: time.Now()}
	if alone {
		c.clock = clock
		c.trusted.Store(math.MaxInt64)
	}
	c.table.Store(&table{slots: make([]atomic.Pointer[entry], 64)})
	return c
}

// now is how much time has passed since base, by the monotonic clock.
func (c *cache) now() time.Duration { return time.Since(c.base) + c.clock.Offset() }

// hash mixes the end of the AppID, which WeChat draws at random. The components of
// one account are neighbours in the table; they are few.
func hash(o tuoguan.TokenOwner) uint64 {
	id := string(o.Authorizer())
	if id == "" {
		id = string(o.Component())
	}
	if len(id) < 8 {
		return 0 // not an AppID
	}
	return binary.LittleEndian.Uint64([]byte(id[len(id)-8:])) * 0x9e3779b97f4a7c15 >> 20
}

// slot returns where the entry of o is, or would be.
func (t *table) slot(o tuoguan.TokenOwner, h uint64) (*atomic.Pointer[entry], *entry) {
	for mask := uint64(len(t.slots) - 1); ; h++ {
		s := &t.slots[h&mask]
		e := s.Load()
		if e == nil || e.owner == o {
			return s, e
		}
	}
}

// get returns the entry of o if its token may still be handed out, else nil.
func (c *cache) get(o tuoguan.TokenOwner) *entry {
	_, e := c.table.Load().slot(o, hash(o))
	if e == nil {
		return nil
	}
	if now := time.Since(c.base) + c.clock.Offset(); now >= e.serveUntil || int64(now) >= c.trusted.Load() {
		return nil
	}
	if !e.asked.Load() {
		e.asked.Store(true)
	}
	return e
}

// doubtful returns the entry of o if its token lives, though it may have been
// replaced by another replica.
func (c *cache) doubtful(o tuoguan.TokenOwner) *entry {
	_, e := c.table.Load().slot(o, hash(o))
	if e == nil || c.now() >= e.serveUntil {
		return nil
	}
	return e
}

// trust says until when the entries are known to be what is stored.
func (c *cache) trust(until time.Duration) { c.trusted.Store(int64(until)) }

// generation returns the mark to hand to put, publish and renew.
func (c *cache) generation(o tuoguan.TokenOwner) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.generations[hash(o)%uint64(len(c.generations))]
}

// put publishes a token that was read from the store, unless something has changed
// since the generation was read, and reports whether it did.
func (c *cache) put(o tuoguan.TokenOwner, t tuoguan.AccessToken, v version, generation uint64) bool {
	h := hash(o)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generations[h%uint64(len(c.generations))] != generation {
		return false
	}
	c.set(o, h, t, v)
	return true
}

// publish is put for a token that is new, or none. Whatever becomes of it, the one before
// is forgotten.
func (c *cache) publish(o tuoguan.TokenOwner, t tuoguan.AccessToken, v version, generation uint64) bool {
	h := hash(o)
	c.mu.Lock()
	defer c.mu.Unlock()
	published := c.advance(h, generation)
	if !published {
		t = tuoguan.AccessToken{}
	}
	c.set(o, h, t, v)
	return published
}

// advance makes what was read before outdated, and reports whether the generation was
// still the one given. The lock is held.
func (c *cache) advance(h, generation uint64) bool {
	g := &c.generations[h%uint64(len(c.generations))]
	*g++
	return *g == generation+1
}

// renew is publish for a token that was refreshed ahead of time, unless nobody has asked
// for the one before. So memory grows with those that are in use, not with all there are.
func (c *cache) renew(o tuoguan.TokenOwner, t tuoguan.AccessToken, v version, generation uint64) bool {
	h := hash(o)
	c.mu.Lock()
	defer c.mu.Unlock()
	renewed := c.advance(h, generation)
	if slot, e := c.table.Load().slot(o, h); renewed && e != nil && e.asked.Load() {
		c.set(o, h, t, v)
		slot.Load().asked.Store(false)
	} else if e != nil {
		c.set(o, h, tuoguan.AccessToken{}, version{})
	}
	return renewed
}

// drop forgets the token of o.
func (c *cache) drop(o tuoguan.TokenOwner) {
	h := hash(o)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generations[h%uint64(len(c.generations))]++
	c.set(o, h, tuoguan.AccessToken{}, version{})
}

// dropUnless forgets the token of o unless it is of the version that is stored and
// that may be handed out.
func (c *cache) dropUnless(o tuoguan.TokenOwner, stored version, valid bool) {
	h := hash(o)
	if _, e := c.table.Load().slot(o, h); e == nil || e.serveUntil == dropped {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, e := c.table.Load().slot(o, h); e != nil && (e.version != stored || !valid) {
		c.generations[h%uint64(len(c.generations))]++
		c.set(o, h, tuoguan.AccessToken{}, version{})
	}
}

// clear forgets everything.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.generations {
		c.generations[i]++
	}
	c.taken = 0
	c.table.Store(&table{slots: make([]atomic.Pointer[entry], 64)})
}

// dropToken forgets the token of o if it is the one that failed.
func (c *cache) dropToken(o tuoguan.TokenOwner, failed tuoguan.Secret) {
	h := hash(o)
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, e := c.table.Load().slot(o, h); e != nil && e.token.Value.Equal(failed) {
		c.generations[h%uint64(len(c.generations))]++
		c.set(o, h, tuoguan.AccessToken{}, version{})
	}
}

// set replaces the entry of o; a zero token drops it. The lock is held.
func (c *cache) set(o tuoguan.TokenOwner, h uint64, t tuoguan.AccessToken, v version) {
	e := &entry{owner: o, version: v, token: t, serveUntil: dropped}
	if !t.Value.IsZero() {
		e.serveUntil = c.now() + t.ExpiresAt.Sub(c.wall()) - minServe
		e.asked.Store(true)
	}
	slot, old := c.table.Load().slot(o, h)
	if old == nil {
		if t.Value.IsZero() {
			return
		}
		slot = c.room(o, h)
		c.taken++
	}
	slot.Store(e)
}

// room returns a free slot for o, in a larger table if this one is full.
func (c *cache) room(o tuoguan.TokenOwner, h uint64) *atomic.Pointer[entry] {
	old := c.table.Load()
	if 4*(c.taken+1) <= 3*len(old.slots) {
		slot, _ := old.slot(o, h)
		return slot
	}
	var kept []*entry
	now := c.now()
	for i := range old.slots {
		if e := old.slots[i].Load(); e != nil && e.serveUntil > now {
			kept = append(kept, e)
		}
	}
	size := 64
	for 2*(len(kept)+1) > size {
		size *= 2
	}
	t := &table{slots: make([]atomic.Pointer[entry], size)}
	for _, e := range kept {
		slot, _ := t.slot(e.owner, hash(e.owner))
		slot.Store(e)
	}
	c.taken = len(kept)
	c.table.Store(t)
	slot, _ := t.slot(o, h)
	return slot
}
