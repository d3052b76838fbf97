package operator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/store"
)

// So many attempts may fail in attemptWindow. They are counted in the store, or each
// replica, and each start of one, would allow as many again. An attempt costs a hash of
// 0.15 s anyway, so a few small writes beside it are no burden, and the limit of an
// address bounds how many counters it can make.
const (
	attemptWindow = 15 * time.Minute

	perNameAndAddress = 10
	// perName is wider, for whoever reaches it locks the user out from everywhere.
	perName = 100
	// perAddress is wider too: a whole company may be behind one.
	perAddress = 100
	// perCode is of wrong codes beside the right password of a name, from wherever they
	// come: who gets so far knows the password. Guessing with three codes valid at a time
	// succeeds once in a year of trying, on average.
	perCode = 10
	// perStart is of sign-ins by OIDC that an address begins, whatever comes of them, for
	// each of them waits in the store.
	perStart = 300

	// countAttempts is how often a counter is tried when others count at the same time.
	countAttempts = 64
)

var errTooManyAtOnce = fmt.Errorf("%w: too many count the same attempts at once", access.ErrStorage)

// counter is one of the counts that an attempt belongs to.
type counter struct {
	key   string
	limit int
}

func newCounter(kind string, limit int, parts ...string) counter {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return counter{key: "login/" + kind + "/" + hex.EncodeToString(sum[:16]), limit: limit}
}

// passwordCounters are those of an attempt with a password, the narrowest first.
func passwordCounters(name string, from netip.Addr) []counter {
	return []counter{
		newCounter("name-address", perNameAndAddress, name, network(from)),
		newCounter("address", perAddress, network(from)),
		newCounter("name", perName, name),
	}
}

func startCounter(from netip.Addr) counter { return newCounter("oidc", perStart, network(from)) }

func codeCounter(name string) counter { return newCounter("code", perCode, name) }

// network is what counts as one address: with IPv6, a whole /64 is somebody's.
func network(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().String()
	}
	return a.String()
}

// attempt is one that is counted as failed until it turns out not to have. So of many
// at the same moment no more get through than of many in a row.
type attempt struct {
	o        *Operators
	counters []counter
	at       int64 // as the counters keep it
}

// attempt counts one. The error is a [Locked] if a counter is full; then nothing is counted.
func (o *Operators) attempt(ctx context.Context, counters ...counter) (*attempt, error) {
	a := &attempt{o: o, at: o.cfg.Now().UnixMicro()}
	for _, c := range counters {
		if err := a.count(ctx, c); err != nil {
			a.forgive(ctx)
			return nil, err
		}
		a.counters = append(a.counters, c)
	}
	return a, nil
}

// forgive takes the attempt out of its counters: it has not failed. Where the store does
// not allow that it counts as one that has.
func (a *attempt) forgive(ctx context.Context) {
	for _, c := range a.counters {
		err := a.o.recount(ctx, c, func(failed []int64) ([]int64, error) {
			if i := slices.Index(failed, a.at); i >= 0 {
				failed = slices.Delete(failed, i, i+1)
			}
			return failed, nil
		})
		if err != nil {
			a.o.cfg.Logger.WarnContext(ctx, "an attempt to sign in counts as failed and was not", "error", err)
		}
	}
	a.counters = nil
}

// succeed forgives the attempt, and all before it in its narrowest counter.
func (a *attempt) succeed(ctx context.Context) {
	narrowest := a.counters[0]
	a.counters = a.counters[1:]
	if _, err := a.o.cfg.Store.TakeValue(ctx, narrowest.key); err != nil && !errors.Is(err, store.ErrNotFound) {
		a.o.cfg.Logger.WarnContext(ctx, "failed attempts to sign in stay counted", "error", err)
	}
	a.forgive(ctx)
}

func (a *attempt) count(ctx context.Context, c counter) error {
	return a.o.recount(ctx, c, func(failed []int64) ([]int64, error) {
		if len(failed) >= c.limit {
			until := time.UnixMicro(failed[len(failed)-c.limit]).Add(attemptWindow)
			return nil, &Locked{RetryAfter: until.Sub(time.UnixMicro(a.at))}
		}
		return append(failed, a.at), nil
	})
}

// recount changes the instants, in microseconds, at which attempts failed within the
// window. They are ascending.
func (o *Operators) recount(ctx context.Context, c counter, change func([]int64) ([]int64, error)) error {
	for n := 1; ; n++ {
		value, err := o.cfg.Store.Value(ctx, c.key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return storeError(err)
		}
		var failed []int64
		if err == nil {
			if err := json.Unmarshal(value.Data, &failed); err != nil {
				failed = nil // nobody else writes this; begin again
			}
		}
		began := o.cfg.Now().Add(-attemptWindow).UnixMicro()
		failed = slices.DeleteFunc(failed, func(at int64) bool { return at <= began })
		slices.Sort(failed)
		if failed, err = change(failed); err != nil {
			return err
		}
		data, err := json.Marshal(failed)
		if err != nil {
			return err
		}
		err = o.cfg.Store.PutValue(ctx, store.Value{
			Key: c.key, Data: data, Version: value.Version, ExpiresAt: o.cfg.Clock.Now().Add(attemptWindow),
		})
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, store.ErrConflict):
			return storeError(err)
		case n == countAttempts:
			return errTooManyAtOnce
		}
	}
}
