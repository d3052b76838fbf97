package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

const (
	// writeLastUse is how often it is written when keys were last used, and
	// lastUseUnit how precisely.
	writeLastUse = 30 * time.Second
	lastUseUnit  = time.Minute

	// keysBound bounds how many keys are in memory.
	keysBound = 20_000

	// A key that does not match is looked at again in the store, for it may have been
	// rotated elsewhere just now; so often per second, for all keys together.
	secondLooks      = 10
	secondLooksBurst = 20
)

// Config configures [Keys].
type Config struct {
	Store store.APIKeys // required
	// Bootstrap is the key of the configuration, which may do everything from
	// anywhere. Zero: there is none.
	Bootstrap tuoguan.Secret
	Clock     *tuoguan.Clock // decides about expiry; nil is the system's
	Logger    *slog.Logger   // required
	// KeyRate is how many requests per second a key may make whose scope does not say
	// so, and AuthorizerRate how many all keys together may make for one account; twice
	// as many at once. They default to [DefaultKeyRate] and [DefaultAuthorizerRate];
	// negative: any number.
	KeyRate        float64
	AuthorizerRate float64
}

// Keys knows the API keys and who calls with them. It is safe for concurrent use.
type Keys struct {
	cfg           Config
	bootstrap     Caller
	bootstrapHash [sha256.Size]byte
	cache         *cache[*record]
	secondLook    *rate.Limiter
	keyRates      *buckets
	accountRates  *buckets

	mu   sync.Mutex
	used map[string]time.Time // when keys were last used, until that is written
}

// New returns the keys of a store. [Keys.Run] has to run while they are used.
func New(cfg Config) (*Keys, error) {
	var wrong []error
	if cfg.Store == nil {
		wrong = append(wrong, errors.New("access: Config.Store is required"))
	}
	if cfg.Logger == nil {
		wrong = append(wrong, errors.New("access: Config.Logger is required"))
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	if cfg.KeyRate == 0 {
		cfg.KeyRate = DefaultKeyRate
	}
	if cfg.AuthorizerRate == 0 {
		cfg.AuthorizerRate = DefaultAuthorizerRate
	}
	k := &Keys{
		cfg:          cfg,
		secondLook:   rate.NewLimiter(secondLooks, secondLooksBurst),
		keyRates:     newBuckets(),
		accountRates: newBuckets(),
		used:         make(map[string]time.Time),
	}
	if !cfg.Bootstrap.IsZero() {
		k.bootstrapHash = hashOf(cfg.Bootstrap.Reveal())
		k.bootstrap = Caller{
			KeyID: BootstrapID, Name: BootstrapID, Credential: credential(BootstrapID, k.bootstrapHash[:]),
			Scope: Scope{Operations: []Operation{Everything}},
		}
	}
	k.cache = newCache("API keys", keysBound, cfg.Logger, k.load)
	k.cache.absent = newAbsences()
	return k, nil
}

// record is a key in memory.
type record struct {
	key     store.APIKey
	current Caller       // who presents the key
	former  Caller       // who presents the one before its rotation
	broken  error        // why the stored scope is of no use
	minute  atomic.Int64 // of the last use, if that is known
}

func (k *Keys) load(ctx context.Context, id string) (*record, error) {
	key, err := k.cfg.Store.APIKey(ctx, id)
	if err != nil {
		return nil, err
	}
	return newRecord(key), nil
}

func newRecord(key store.APIKey) *record {
	scope, err := parseScope(key.Scope)
	r := &record{key: key, broken: err}
	r.current = Caller{KeyID: key.ID, Name: key.Name, Credential: credential(key.ID, key.Hash), Scope: scope, ExpiresAt: key.ExpiresAt}
	r.former = r.current
	r.former.Credential = credential(key.ID, key.PreviousHash)
	return r
}

// Authenticate returns who presents a key from a remote address. The error is
// [ErrUnknownKey], [ErrExpiredKey], [ErrRevokedKey] or [ErrNetwork]; or [ErrStorage] if
// the key is not in memory and the store cannot be read.
func (k *Keys) Authenticate(ctx context.Context, key string, remote netip.Addr) (Caller, error) {
	hash := hashOf(key)
	if k.bootstrap.KeyID != "" && subtle.ConstantTimeCompare(hash[:], k.bootstrapHash[:]) == 1 {
		return k.bootstrap, nil
	}
	id, err := ParseKey(key)
	if err != nil {
		return Caller{}, err
	}
	r, err := k.record(k.cache.get(ctx, id))
	if err != nil {
		return Caller{}, err
	}
	if !r.isCurrent(hash[:]) && !r.isFormer(hash[:]) && k.secondLook.Allow() {
		if r, err = k.record(k.cache.again(ctx, id)); err != nil {
			return Caller{}, err
		}
	}
	now := k.cfg.Clock.Now()
	switch {
	case r.isCurrent(hash[:]):
		return k.admit(r, &r.current, now, remote)
	case !r.isFormer(hash[:]):
		return Caller{}, ErrUnknownKey
	case r.key.RevokedAt.IsZero() && !now.Before(r.key.PreviousUntil):
		return Caller{}, ErrExpiredKey
	}
	return k.admit(r, &r.former, now, remote)
}

// Caller returns who holds a key that is named by its id or by a [Caller.Credential],
// after the checks of [Keys.Authenticate]. It is for what is derived from a key and
// authenticated by itself.
func (k *Keys) Caller(ctx context.Context, named string, remote netip.Addr) (Caller, error) {
	id, _, isCredential := strings.Cut(named, ".")
	if id == BootstrapID && k.bootstrap.KeyID != "" {
		if isCredential && named != k.bootstrap.Credential {
			return Caller{}, ErrUnknownKey
		}
		return k.bootstrap, nil
	}
	r, err := k.record(k.cache.get(ctx, id))
	if err != nil {
		return Caller{}, err
	}
	now := k.cfg.Clock.Now()
	switch {
	case !isCredential || named == r.current.Credential:
		return k.admit(r, &r.current, now, remote)
	case named == r.former.Credential && r.key.RevokedAt.IsZero() && now.Before(r.key.PreviousUntil):
		return k.admit(r, &r.former, now, remote)
	}
	if !r.key.RevokedAt.IsZero() {
		return Caller{}, ErrRevokedKey
	}
	return Caller{}, ErrExpiredKey
}

// record turns what the cache says into what callers are told.
func (k *Keys) record(r *record, err error) (*record, error) {
	switch {
	case err == nil:
		return r, nil
	case errors.Is(err, store.ErrNotFound):
		return nil, ErrUnknownKey
	}
	return nil, fmt.Errorf("%w: %w", ErrStorage, err)
}

func (r *record) isCurrent(hash []byte) bool {
	return subtle.ConstantTimeCompare(hash, r.key.Hash) == 1
}

func (r *record) isFormer(hash []byte) bool {
	return subtle.ConstantTimeCompare(hash, r.key.PreviousHash) == 1
}

// admit checks everything but the key itself.
func (k *Keys) admit(r *record, c *Caller, now time.Time, remote netip.Addr) (Caller, error) {
	switch {
	case !r.key.RevokedAt.IsZero():
		return Caller{}, ErrRevokedKey
	case !c.ExpiresAt.IsZero() && !now.Before(c.ExpiresAt):
		return Caller{}, ErrExpiredKey
	case r.broken != nil:
		return Caller{}, fmt.Errorf("access: key %s: %w", c.KeyID, r.broken)
	case !c.Scope.reachableFrom(remote):
		return Caller{}, ErrNetwork
	}
	if minute := now.Unix() / 60; r.minute.Load() != minute {
		r.minute.Store(minute)
		k.mu.Lock()
		k.used[c.KeyID] = now.Truncate(lastUseUnit)
		k.mu.Unlock()
	}
	return *c, nil
}

// reachableFrom reports whether a key may be used from an address.
func (s *Scope) reachableFrom(remote netip.Addr) bool {
	if len(s.Networks) == 0 {
		return true
	}
	remote = remote.Unmap().WithZone("")
	for _, network := range s.Networks {
		if network.Contains(remote) {
			return true
		}
	}
	return false
}

// Run writes from time to time when keys were last used, until ctx ends; then once
// more, and ends the reads in the background.
func (k *Keys) Run(ctx context.Context) error {
	ticker := time.NewTicker(writeLastUse)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			k.writeUsed(ctx)
		case <-ctx.Done():
			k.cache.close()
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*readTimeout)
			defer cancel()
			k.writeUsed(last)
			return nil
		}
	}
}

// writeUsed writes when keys were last used. What cannot be written waits for the next time.
func (k *Keys) writeUsed(ctx context.Context) {
	k.mu.Lock()
	used := k.used
	k.used = make(map[string]time.Time)
	k.mu.Unlock()
	if len(used) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*readTimeout)
	defer cancel()
	err := k.cfg.Store.TouchAPIKeys(ctx, used)
	if err == nil {
		return
	}
	if !k.cache.away.Load() { // else the log says it already
		k.cfg.Logger.WarnContext(ctx, "last use of API keys not written", "keys", len(used), "error", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, at := range used {
		if k.used[id].Before(at) {
			k.used[id] = at
		}
	}
}
