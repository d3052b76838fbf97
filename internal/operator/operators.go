package operator

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/store"
)

var (
	// ErrRefused: nobody signs in like this. It does not say whether the name is unknown,
	// the password or the code is wrong, or the user is disabled.
	ErrRefused = errors.New("operator: sign-in refused")
	// ErrCodeNeeded: the password is right, and the code of the authenticator is missing.
	ErrCodeNeeded = errors.New("operator: a code is needed as well")
	// ErrSetup: there are users, or the set-up token is wrong, used, or too old.
	ErrSetup = errors.New("operator: set-up refused")
	// ErrNoSession: there is no such session, it has ended, or its user is disabled.
	ErrNoSession = errors.New("operator: no session")
	// ErrLastOwner: no owner would be left who can sign in.
	ErrLastOwner = errors.New("operator: the last owner who can sign in has to stay")
	// ErrForbidden: the role of who asks does not allow it.
	ErrForbidden = errors.New("operator: not allowed to this role")
	// ErrProvider: the identity provider is away, or answers what cannot be understood.
	ErrProvider = errors.New("operator: identity provider is of no use now")
)

// Locked says that too many attempts to sign in have failed.
type Locked struct {
	RetryAfter time.Duration // until the next attempt is taken
}

func (e *Locked) Error() string {
	return fmt.Sprintf("operator: too many failed attempts, the next one in %s", e.RetryAfter)
}

// Which users have to have a second factor; see [Config].
const (
	TOTPAdmins = "admins" // owners and admins
	TOTPAll    = "all"
	TOTPOff    = "off"
)

// What [Session.Must] holds.
const (
	MustPassword = "password" // change the password
	MustTOTP     = "totp"     // begin to use an authenticator
)

// How users sign in, as in [Session.Method].
const (
	MethodPassword = "password"
	MethodTOTP     = "totp" // password and code
	MethodOIDC     = "oidc"
	MethodSetup    = "setup"
)

// Defaults of [Config].
const (
	DefaultSessionLife = 12 * time.Hour
	DefaultSessionIdle = 30 * time.Minute
)

// Store is what this package needs of [store.Store].
type Store interface {
	store.Users
	store.Sessions
	store.Values
}

// Config configures [Operators].
type Config struct {
	Store Store // required
	// Clock is that of the store, by which it forgets values; nil is the system's. All
	// else here happens at the speed of people and their authenticators and goes by real
	// time, also where a demo lets this clock run ahead by hours.
	Clock  *tuoguan.Clock
	Logger *slog.Logger // required
	// TOTP says who has to have a second factor: [TOTPAdmins] (default), [TOTPAll] or
	// [TOTPOff]. Who signs in by OIDC is exempt, for that is the provider's business.
	TOTP string
	// SessionLife is how long a session lasts at most, and SessionIdle how long without
	// being used. They default to [DefaultSessionLife] and [DefaultSessionIdle].
	SessionLife, SessionIdle time.Duration
	OIDC                     *OIDCConfig // nil: no identity provider
	// HTTPClient reaches the identity provider; required with OIDC.
	HTTPClient *http.Client
	// Now is real time; defaults to [time.Now].
	Now func() time.Time
}

// Operators knows who uses the console. It is safe for concurrent use.
type Operators struct {
	cfg      Config
	hasher   *hasher
	sessions *cache
	provider *provider   // nil without OIDC
	settled  atomic.Bool // there are users, and there will be
}

// New returns those who use the console, or all mistakes in the configuration.
func New(cfg Config) (*Operators, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	o := &Operators{cfg: cfg, hasher: newHasher(), sessions: newCache()}
	if cfg.OIDC != nil {
		o.provider = newProvider(cfg)
	}
	return o, nil
}

func (c Config) withDefaults() Config {
	c.TOTP = cmp.Or(c.TOTP, TOTPAdmins)
	c.SessionLife = cmp.Or(c.SessionLife, DefaultSessionLife)
	c.SessionIdle = cmp.Or(c.SessionIdle, DefaultSessionIdle)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.OIDC != nil {
		provider := c.OIDC.withDefaults()
		c.OIDC = &provider
	}
	return c
}

func (c Config) validate() error {
	var wrong []error
	if c.Store == nil {
		wrong = append(wrong, errors.New("operator: Config.Store is required"))
	}
	if c.Logger == nil {
		wrong = append(wrong, errors.New("operator: Config.Logger is required"))
	}
	if !slices.Contains([]string{TOTPAdmins, TOTPAll, TOTPOff}, c.TOTP) {
		wrong = append(wrong, fmt.Errorf("operator: Config.TOTP is %q, not admins, all or off", c.TOTP))
	}
	if c.SessionLife < 0 || c.SessionIdle < 0 {
		wrong = append(wrong, errors.New("operator: Config.SessionLife and SessionIdle must not be negative"))
	}
	if c.OIDC != nil {
		wrong = append(wrong, c.OIDC.validate()...)
		if c.HTTPClient == nil {
			wrong = append(wrong, errors.New("operator: Config.HTTPClient is required with OIDC"))
		}
	}
	return errors.Join(wrong...)
}

// storeError passes on what the contract says and marks the rest.
func storeError(err error) error {
	if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return err
	}
	return fmt.Errorf("%w: %w", access.ErrStorage, err)
}

// Visitor is the browser that makes a request.
type Visitor struct {
	Address netip.Addr
	Agent   string // its User-Agent; what is beyond 256 bytes is cut off
}
