package operator

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/store"
)

const (
	tokenBytes      = 32
	sessionIDLength = 12
	maxAgent        = 256 // bytes

	// touchEvery is how often at most it is written that a session is used, and a tenth
	// of the idle time if that is less.
	touchEvery = time.Minute

	// freshFor is how long a session is used as it was read. With readTimeout it makes up
	// the five seconds in which a change holds everywhere.
	freshFor    = 4 * time.Second
	readTimeout = time.Second
	// readsAtOnce bounds how many sessions are looked up at a time, so that a flood of
	// tokens that are none leaves the store to others.
	readsAtOnce = 32
	cacheBound  = 10_000
)

// Session is a browser that is signed in, as of one request.
type Session struct {
	ID        string // names it where it is shown; no secret
	User      User
	Must      []string // what has to be done before anything else is allowed: [MustPassword], [MustTOTP]
	CreatedAt time.Time
	ExpiresAt time.Time
	Idle      time.Duration // without a request ends the session before that
	Method    string        // how the user signed in

	hash    []byte
	visitor Visitor
}

// Operations returns what the session allows: that of the role of its user, and nothing
// at all while there is something that must be done before.
func (s Session) Operations() []access.Operation {
	if len(s.Must) > 0 {
		return nil
	}
	return s.User.Role.Operations()
}

// Session returns who presents the token of a session, and records that it is in use. The
// error is [ErrNoSession], or [access.ErrStorage] if the session cannot be read.
func (o *Operators) Session(ctx context.Context, token string, v Visitor) (Session, error) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) != tokenBytes {
		return Session{}, ErrNoSession
	}
	hash := hashOf(token)
	k, err := o.sessions.get(ctx, hash, o.load)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Session{}, ErrNoSession
	case err != nil:
		return Session{}, fmt.Errorf("%w: %w", access.ErrStorage, err)
	}
	now := o.cfg.Now()
	if k.user.Disabled || !o.lives(k.session, now) {
		return Session{}, ErrNoSession
	}
	if now.Sub(k.session.LastSeenAt) >= min(touchEvery, o.cfg.SessionIdle/10) && o.sessions.touch(hash, k.session.LastSeenAt, now) {
		if err := o.cfg.Store.TouchSession(ctx, hash[:], now); err != nil {
			o.cfg.Logger.WarnContext(ctx, "use of a session not written", "session", k.session.ID, "error", err)
		}
	}
	return o.present(k.session, k.user, v), nil
}

// load reads a session with its user.
func (o *Operators) load(ctx context.Context, hash [sha256.Size]byte) (session store.Session, user store.User, err error) {
	if session, err = o.cfg.Store.Session(ctx, hash[:]); err != nil {
		return session, user, err
	}
	user, err = o.cfg.Store.User(ctx, session.User)
	return session, user, err
}

// lives reports whether a session has neither ended nor been idle for too long, by real
// time. When the store forgets it is another matter.
func (o *Operators) lives(s store.Session, now time.Time) bool {
	return now.Before(s.CreatedAt.Add(o.cfg.SessionLife)) && now.Before(s.LastSeenAt.Add(o.cfg.SessionIdle))
}

// present returns a session as it is for one request.
func (o *Operators) present(s store.Session, u store.User, v Visitor) Session {
	return Session{
		ID: s.ID, User: show(u), Must: o.must(s, u), Method: s.Method,
		CreatedAt: s.CreatedAt, ExpiresAt: s.CreatedAt.Add(o.cfg.SessionLife), Idle: o.cfg.SessionIdle,
		hash: s.Hash, visitor: v,
	}
}

// must returns what has to be done first. It never returns nil.
func (o *Operators) must(s store.Session, u store.User) []string {
	must := []string{}
	if s.Method == MethodOIDC {
		return must
	}
	if u.PasswordExpired {
		must = append(must, MustPassword)
	}
	required := o.cfg.TOTP == TOTPAll || o.cfg.TOTP == TOTPAdmins && (Role(u.Role) == Owner || Role(u.Role) == Admin)
	if required && u.TOTP.IsZero() {
		must = append(must, MustTOTP)
	}
	return must
}

// begin makes a session for a user as read before, and its token. The user may have been
// changed since then, and the sessions ended: so the user is read once more when the
// session is there, and it is none after all if signing in would not be the same; still
// says whether the password is. The error is [ErrRefused] then.
func (o *Operators) begin(ctx context.Context, u store.User, method string, v Visitor, still func(hash string) bool) (Session, tuoguan.Secret, error) {
	now := o.cfg.Now()
	token := newToken()
	hash := hashOf(token)
	s := store.Session{
		Hash: hash[:], ID: randomText(idDigits, sessionIDLength), User: u.ID, Method: method,
		Address: address(v), Agent: agent(v), CreatedAt: now, LastSeenAt: now,
		ExpiresAt: o.cfg.Clock.Now().Add(o.cfg.SessionLife),
	}
	if err := o.cfg.Store.PutSession(ctx, s); err != nil {
		return Session{}, tuoguan.Secret{}, storeError(err)
	}
	present, err := o.cfg.Store.User(ctx, u.ID)
	if err == nil && (present.Disabled || !present.TOTP.Equal(u.TOTP) || present.Password != u.Password && !still(present.Password)) {
		err = store.ErrNotFound
	}
	if err != nil {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		if end := o.cfg.Store.DeleteSession(last, s.Hash); end != nil {
			o.cfg.Logger.ErrorContext(ctx, "a session that was refused is still there", "session", s.ID, "user", u.Name, "error", end)
		}
		if errors.Is(err, store.ErrNotFound) {
			return Session{}, tuoguan.Secret{}, ErrRefused
		}
		return Session{}, tuoguan.Secret{}, storeError(err)
	}
	if err := o.cfg.Store.TouchSession(ctx, s.Hash, now); err != nil { // for the user
		o.cfg.Logger.WarnContext(ctx, "use of a session not written", "session", s.ID, "error", err)
	}
	return o.present(s, present, v), tuoguan.NewSecret(token), nil
}

func newToken() string {
	var raw [tokenBytes]byte
	_, _ = rand.Read(raw[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// hashOf is what the store keeps of a token. It is random enough that no slow hash is needed.
func hashOf(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }

func address(v Visitor) string {
	if !v.Address.IsValid() {
		return ""
	}
	return v.Address.Unmap().String()
}

// agent returns what a browser says of itself, as one short line.
func agent(v Visitor) string {
	line := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, v.Agent)
	return strings.ToValidUTF8(line[:min(len(line), maxAgent)], "")
}

// Logout ends the session of a token. It is no error if there is none.
func (o *Operators) Logout(ctx context.Context, token string) error {
	hash := hashOf(token)
	defer o.sessions.drop(hash)
	return storeError(o.cfg.Store.DeleteSession(ctx, hash[:]))
}

// Sessions returns the sessions of a user, the newest first, with the instants at which
// they end at the latest. The error is store.ErrNotFound if there is no such user.
func (o *Operators) Sessions(ctx context.Context, id string) ([]store.Session, error) {
	if _, err := o.cfg.Store.User(ctx, id); err != nil {
		return nil, storeError(err)
	}
	all, err := o.cfg.Store.SessionsOf(ctx, id)
	if err != nil {
		return nil, storeError(err)
	}
	now := o.cfg.Now()
	all = slices.DeleteFunc(all, func(s store.Session) bool { return !o.lives(s, now) })
	for i := range all {
		all[i].ExpiresAt = all[i].CreatedAt.Add(o.cfg.SessionLife)
	}
	return all, nil
}

// EndSession ends one session of a user, named by its ID. The error is store.ErrNotFound
// or [ErrForbidden].
func (o *Operators) EndSession(ctx context.Context, by Actor, id, session string) error {
	all, err := o.endable(ctx, by, id)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(s store.Session) bool { return s.ID == session })
	if i < 0 {
		return store.ErrNotFound
	}
	defer o.sessions.dropUser(id)
	return storeError(o.cfg.Store.DeleteSession(ctx, all[i].Hash))
}

// EndSessions ends all sessions of a user but the one whose ID is except, "" for none.
// The error is store.ErrNotFound or [ErrForbidden].
func (o *Operators) EndSessions(ctx context.Context, by Actor, id, except string) error {
	all, err := o.endable(ctx, by, id)
	if err != nil {
		return err
	}
	var hash []byte
	if i := slices.IndexFunc(all, func(s store.Session) bool { return except != "" && s.ID == except }); i >= 0 {
		hash = all[i].Hash
	}
	return o.endSessions(ctx, id, hash)
}

// endable returns the sessions of a user if they are the actor's to end.
func (o *Operators) endable(ctx context.Context, by Actor, id string) ([]store.Session, error) {
	u, err := o.cfg.Store.User(ctx, id)
	if err != nil {
		return nil, storeError(err)
	}
	if by.ID != u.ID && !by.Role.MayChange(Role(u.Role)) {
		return nil, ErrForbidden
	}
	all, err := o.cfg.Store.SessionsOf(ctx, id)
	return all, storeError(err)
}

func (o *Operators) endSessions(ctx context.Context, id string, except []byte) error {
	defer o.sessions.dropUser(id)
	_, err := o.cfg.Store.DeleteSessionsOf(ctx, id, except)
	return storeError(err)
}

// cache keeps sessions in memory for a moment, for a page makes many requests at once.
type cache struct {
	reads chan struct{}

	mu    sync.Mutex
	known map[[sha256.Size]byte]*known
	drops int // counted, for what was read before one is not kept after it
}

// known is a session with its user.
type known struct {
	session store.Session
	user    store.User
	at      time.Time // when its reading began
}

func newCache() *cache {
	return &cache{reads: make(chan struct{}, readsAtOnce), known: make(map[[sha256.Size]byte]*known)}
}

type loader func(context.Context, [sha256.Size]byte) (store.Session, store.User, error)

func (c *cache) get(ctx context.Context, hash [sha256.Size]byte, load loader) (known, error) {
	c.mu.Lock()
	if k := c.known[hash]; k != nil && time.Since(k.at) < freshFor {
		defer c.mu.Unlock()
		return *k, nil
	}
	drops := c.drops
	c.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	select {
	case c.reads <- struct{}{}:
		defer func() { <-c.reads }()
	case <-ctx.Done():
		return known{}, ctx.Err()
	}
	k := &known{at: time.Now()}
	var err error
	k.session, k.user, err = load(ctx, hash)

	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		delete(c.known, hash)
		return known{}, err
	}
	if c.drops == drops {
		if len(c.known) >= cacheBound {
			clear(c.known)
		}
		c.known[hash] = k
	}
	return *k, nil
}

// touch takes note of a use, and reports whether it is the first to do so since seen.
func (c *cache) touch(hash [sha256.Size]byte, seen, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.known[hash]
	if k == nil || !k.session.LastSeenAt.Equal(seen) {
		return false
	}
	k.session.LastSeenAt = now
	return true
}

func (c *cache) drop(hash [sha256.Size]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	delete(c.known, hash)
}

func (c *cache) dropUser(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	for hash, k := range c.known {
		if k.session.User == id {
			delete(c.known, hash)
		}
	}
}
