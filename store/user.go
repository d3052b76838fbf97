package store

import (
	"context"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
)

// Users keeps the people who may use the console.
type Users interface {
	// PutUser adds a user, or replaces one where its version is still the one given; a
	// version of 0 stands for a user that is not there yet. Else ErrConflict, and also if
	// another user has the name or the subject. It returns the user as it is stored now,
	// its version one higher. CreatedAt and LastSeenAt of an existing one are kept.
	PutUser(ctx context.Context, u User) (User, error)
	User(ctx context.Context, id string) (User, error)
	// UserByName finds a user by name, ignoring the case of ASCII letters.
	UserByName(ctx context.Context, name string) (User, error)
	// UserBySubject finds a user by who an identity provider says it is.
	UserBySubject(ctx context.Context, subject string) (User, error)
	// Users lists users with an id greater than after, ordered by id.
	Users(ctx context.Context, after string, limit int) ([]User, error)
	// DeleteUser removes a user with all sessions, if the version is still the one given.
	// Else ErrConflict, or ErrNotFound.
	DeleteUser(ctx context.Context, id string, version int64) error
}

// User is one of them. What a role may do, and the form of the password's hash, are the
// business of whoever checks them.
type User struct {
	ID       string // [a-z0-9], at most 32
	Name     string // by which the user signs in; unique, ignoring the case of ASCII letters
	FullName string
	Role     string

	Password string // PHC string of argon2id; "" if there is none. Sealed at rest
	// PasswordExpired: the password has to be changed before anything else is done.
	PasswordExpired bool
	TOTP            tuoguan.Secret // the shared secret; zero if there is none. Sealed at rest
	TOTPUsed        int64          // the last time step whose code was taken
	Subject         string         // issuer and subject at the identity provider; "" if there is none; unique

	Disabled   bool
	CreatedAt  time.Time
	UpdatedAt  time.Time
	LastSeenAt time.Time // zero: never
	Version    int64     // counts the changes, from 1
}

// FoldedName is the name by which users are told apart: its ASCII letters are small.
func (u User) FoldedName() string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, u.Name)
}

// Sessions keeps who is signed in. The token of a session is known to its browser alone;
// what is kept is a hash.
type Sessions interface {
	// PutSession adds a session, or replaces the one with its hash.
	PutSession(ctx context.Context, s Session) error
	// Session returns a session that has not expired, or ErrNotFound. It is the store's
	// clock that says whether one has.
	Session(ctx context.Context, hash []byte) (Session, error)
	// SessionsOf lists the sessions of a user that have not expired, the newest first.
	SessionsOf(ctx context.Context, user string) ([]Session, error)
	// TouchSession records when a session was last used, and the same for its user. An
	// earlier instant than the stored one changes nothing, nor does an unknown hash.
	TouchSession(ctx context.Context, hash []byte, at time.Time) error
	// DeleteSession ends a session. It is no error if there is none.
	DeleteSession(ctx context.Context, hash []byte) error
	// DeleteSessionsOf ends all sessions of a user but the one with the hash except, which
	// may be nil. It returns how many there were that had not expired.
	DeleteSessionsOf(ctx context.Context, user string, except []byte) (int, error)
}

// Session is one browser that is signed in. [Store.Collect] removes it some time after it
// has expired.
type Session struct {
	Hash    []byte // SHA-256 of its token
	ID      string // names it where it is shown; no secret
	User    string
	Address string // from where it was begun
	Agent   string // of the browser, at most 256 bytes
	Method  string // how the user signed in: password, totp, oidc, setup

	CreatedAt  time.Time
	LastSeenAt time.Time
	ExpiresAt  time.Time // by the clock of the caller, like the rest
}

// TokenEvents keeps what happened to the tokens of authorizers, for people to read.
// Nothing depends on it: it is written behind what it tells of, and may lack the last
// moments of a process that was killed.
type TokenEvents interface {
	AppendTokenEvents(ctx context.Context, events []TokenEvent) error
	// TokenEvents lists those of an authorization with an ID smaller than before, newest
	// first; a before of 0 begins at the end.
	TokenEvents(ctx context.Context, a tuoguan.Authorization, before int64, limit int) ([]TokenEvent, error)
}

// TokenEvent is one of them.
type TokenEvent struct {
	tuoguan.Authorization
	ID       int64  // given by the store, ascending
	Kind     string // refresh, recovery, exchange, state, profile, reconcile
	Result   string // ok, or what class of failure; for a state, the new one
	Cause    string // background, read, reported, asked, push, link, restore; "" if unknown
	Actor    string // name of the API key or user behind the cause; "" if there was none
	Errcode  int    // of WeChat's answer; 0 if there was none
	Message  string // holds no secret; at most 300 bytes
	Replica  string
	At       time.Time
	Duration time.Duration
}
