package keeper

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

var (
	// ErrUnknownComponent: no such component is kept here. It is also what package
	// push calls so.
	ErrUnknownComponent = fmt.Errorf("keeper: %w", push.ErrUnknownComponent)
	// ErrUnknownAuthorizer: the account has never authorized the component.
	ErrUnknownAuthorizer = errors.New("keeper: unknown authorizer")
	// ErrRevoked: the merchant took the authorization back.
	ErrRevoked = errors.New("keeper: the authorization was revoked")
	// ErrNeedsReauthorization: WeChat refuses every refresh token known; the
	// merchant has to authorize again.
	ErrNeedsReauthorization = errors.New("keeper: the merchant has to authorize again")
	// ErrNoTicket: no verify ticket younger than twelve hours has arrived yet.
	ErrNoTicket = errors.New("keeper: no verify ticket has arrived yet")
	// ErrStorage: the store does not work. It could not keep a new token, so WeChat is
	// not asked for one.
	ErrStorage = errors.New("keeper: the store does not work at present")
	// ErrRefreshNeeded: no token serves at present, and the caller did not want one to be
	// fetched.
	ErrRefreshNeeded = errors.New("keeper: no token is in force, and none may be fetched")
	// ErrClosed: the keeper has been closed.
	ErrClosed = errors.New("keeper: closed")
)

// Config says what a Keeper works with.
type Config struct {
	// Store is the truth. Required.
	Store store.Store
	// API says how WeChat is reached. Its Tokens and Clock are set by New.
	API wxapi.Config
	// Shared: other keepers work on the same store. Memory is then kept in line with
	// what they do, and the store's clock is made ours.
	Shared bool
	// Spill keeps what WeChat has answered while the store does not take it. Without
	// one that is kept in memory only.
	Spill Spill
	// Clock is the system's clock if nil. With Shared it is set by the store's.
	Clock *tuoguan.Clock
	// Logger defaults to one that discards.
	Logger *slog.Logger
	// Holder names this process in leases. Defaults to a random name.
	Holder string
	// Observe, if set, is told of everything worth counting. It must not block.
	Observe func(Observation)
	// Router says who is told of what happens. Without one nobody is.
	Router Router
	// KeepPushes is how long pushes and other events are kept, unless somebody is still to
	// be told. Defaults to 7 days; de-duplication needs three.
	KeepPushes time.Duration
	// MaxPushes bounds how many are kept. Zero: any number.
	MaxPushes int64

	// Workers is how many refreshes run at once in the background. Defaults to 128.
	Workers int
	// RefreshRate is how many background refreshes start per second at the most, by
	// all replicas together. Defaults to 500.
	RefreshRate int
	// LeaseTTL is how long a claim lasts; a process that died is replaced after it.
	// Defaults to 15 s.
	LeaseTTL time.Duration
	// WaitLimit bounds how long a caller whose context has no deadline waits for a
	// token. Defaults to 15 s.
	WaitLimit time.Duration
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Holder == "" {
		b := make([]byte, 8)
		_, _ = rand.Read(b)
		c.Holder = hex.EncodeToString(b)
	}
	if c.Workers == 0 {
		c.Workers = 128
	}
	if c.RefreshRate == 0 {
		c.RefreshRate = 500
	}
	if c.KeepPushes == 0 {
		c.KeepPushes = 7 * 24 * time.Hour
	}
	if c.Router == nil {
		c.Router = nobody{}
	}
	if c.Clock == nil {
		c.Clock = new(tuoguan.Clock)
	}
	if c.LeaseTTL == 0 {
		c.LeaseTTL = 15 * time.Second
	}
	if c.WaitLimit == 0 {
		c.WaitLimit = 15 * time.Second
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("keeper: Store is required"))
	}
	if c.Workers < 0 || c.RefreshRate < 0 {
		errs = append(errs, errors.New("keeper: Workers and RefreshRate cannot be negative"))
	}
	if c.LeaseTTL < 0 || c.LeaseTTL > 0 && c.LeaseTTL < 5*time.Second {
		errs = append(errs, fmt.Errorf("keeper: LeaseTTL is %v, it must be at least 5s", c.LeaseTTL))
	}
	return errors.Join(errs...)
}

// Keeper keeps authorizations. It is a [wxapi.TokenSource] and a [push.Sink], and
// is safe for concurrent use. Make it with [New], let it work with [Keeper.Run],
// end it with [Keeper.Close].
type Keeper struct {
	cfg     Config
	store   store.Store
	api     *wxapi.Client
	clock   *tuoguan.Clock // see now
	log     *slog.Logger
	cache   *cache
	flights singleflight.Group
	health  health

	// base lives until Close: flights run on it, not on a caller's context.
	base   context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu         sync.Mutex
	closed     bool
	components map[tuoguan.ComponentAppID]*component
	refusals   map[string]refusal // by flight key
	expected   map[tuoguan.Authorization]expectation
	// reported holds tokens that WeChat has refused and that are still in force here,
	// because no refresh has gone well since. They are not handed out again.
	reported  map[tuoguan.TokenOwner]tuoguan.Secret
	listings  map[tuoguan.ComponentAppID]listing
	userNames map[tuoguan.Authorization]string
	replica   replica

	synced   atomic.Pointer[reading] // of the store's clock; nil unless Shared
	began    atomic.Bool             // see sync
	gateless atomic.Bool             // no gate was ever closed
	drained  atomic.Bool             // what the spill held is in the store
	counted  atomic.Pointer[counted] // nil: not yet

	wake chan struct{} // something became due
}

var (
	_ wxapi.TokenSource = (*Keeper)(nil)
	_ push.Sink         = (*Keeper)(nil)
)

// New makes a Keeper. It reads nothing and starts nothing yet.
func New(cfg Config) (*Keeper, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	k := &Keeper{
		cfg:        cfg,
		store:      cfg.Store,
		clock:      cfg.Clock,
		log:        cfg.Logger,
		components: make(map[tuoguan.ComponentAppID]*component),
		refusals:   make(map[string]refusal),
		expected:   make(map[tuoguan.Authorization]expectation),
		reported:   make(map[tuoguan.TokenOwner]tuoguan.Secret),
		listings:   make(map[tuoguan.ComponentAppID]listing),
		userNames:  make(map[tuoguan.Authorization]string),
		wake:       make(chan struct{}, 1),
	}
	k.cache = newCache(cfg.Clock, k.now, !cfg.Shared)
	cfg.API.Tokens, cfg.API.Clock = k, cfg.Clock
	if cfg.Shared {
		// An answer that is under way while the clock is set must not get another life.
		cfg.API.Clock = nil
	}
	var err error
	if k.api, err = wxapi.New(cfg.API); err != nil {
		return nil, err
	}
	k.base, k.cancel = context.WithCancel(context.Background())
	return k, nil
}

// Close stops taking new work, waits for flights under way until ctx ends, and
// then cancels them. It does not close the store.
func (k *Keeper) Close(ctx context.Context) error {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	done := make(chan struct{})
	go func() { k.work.Wait(); close(done) }()
	select {
	case <-done:
		k.cancel()
		return nil
	case <-ctx.Done():
		k.cancel()
		<-done
		return ctx.Err()
	}
}

// API returns the client through which the keeper calls WeChat. Its tokens come
// from the keeper.
func (k *Keeper) API() *wxapi.Client { return k.api }

// Token returns a token of owner with more than ten seconds to live: from memory
// if possible, else from the store, else from WeChat.
//
// Errors: ErrUnknownComponent, ErrUnknownAuthorizer, ErrRevoked,
// ErrNeedsReauthorization, ErrNoTicket, ErrStorage, or what WeChat answered as a
// *wxapi.APIError or *wxapi.TransportError.
func (k *Keeper) Token(ctx context.Context, owner tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
	if e := k.cache.get(owner); e != nil {
		return e.token, nil
	}
	ctx = because(ctx, Read)
	if e := k.cache.doubtful(owner); e != nil {
		return k.verified(ctx, owner, e.token)
	}
	return k.await(ctx, owner, tuoguan.Secret{})
}

// verified asks the store about a token in memory that another replica may have
// replaced. If the store does not answer nobody can change anything either, as far
// as we can know, and the token is handed out while it lives.
func (k *Keeper) verified(ctx context.Context, owner tuoguan.TokenOwner, token tuoguan.AccessToken) (tuoguan.AccessToken, error) {
	bounded, cancel := context.WithTimeout(ctx, doubtfulRead)
	defer cancel()
	t, err := k.read(bounded, owner, want{})
	switch {
	case err == nil && !t.Value.IsZero():
		return t, nil
	case errors.Is(err, ErrStorage), errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		if e := k.cache.doubtful(owner); e != nil && e.token.Value.Equal(token.Value) { // it got older meanwhile
			return token, nil
		}
	}
	return k.await(ctx, owner, tuoguan.Secret{})
}

// Peek returns the token in force as Token does, but never asks WeChat for one: where
// none serves it fails with ErrRefreshNeeded. A refresh that somebody else has asked
// for is not waited for.
func (k *Keeper) Peek(ctx context.Context, owner tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
	if e := k.cache.get(owner); e != nil {
		return e.token, nil
	}
	ctx, cancel := k.limited(ctx)
	defer cancel()
	if err := k.sync(ctx); err != nil {
		return tuoguan.AccessToken{}, err
	}
	t, err := k.read(ctx, owner, want{failed: k.reportedToken(owner)})
	if err == nil && t.Value.IsZero() {
		err = fmt.Errorf("%w: %s", ErrRefreshNeeded, owner)
	}
	return t, err
}

// Invalidate reports that WeChat refused the token failed. It returns the current
// token if that is another one; else it refreshes and returns the new one.
// Errors are those of Token.
func (k *Keeper) Invalidate(ctx context.Context, owner tuoguan.TokenOwner, failed tuoguan.Secret) (tuoguan.AccessToken, error) {
	if e := k.cache.get(owner); e != nil && !e.token.Value.Equal(failed) {
		return e.token, nil
	}
	k.cache.dropToken(owner, failed)
	k.mu.Lock()
	k.reported[owner] = failed
	k.mu.Unlock()
	return k.await(because(ctx, Reported), owner, failed)
}

// Refresh gets a new token of owner even though the present one may be good.
// Errors are those of Token.
func (k *Keeper) Refresh(ctx context.Context, owner tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
	current, err := k.stored(ctx, owner)
	if err != nil {
		return tuoguan.AccessToken{}, err
	}
	return k.await(because(ctx, Asked), owner, current.Value)
}
