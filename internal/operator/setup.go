package operator

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/store"
)

const (
	setupKey    = "setup" // of the hash of the set-up token
	setupLife   = 30 * time.Minute
	setupLength = 24 // characters: 118 bits
)

// NeedsSetup reports whether there is no user yet. Then it makes sure that there is a
// set-up token; the replica that makes it writes it to the log, where whoever has the
// server can read it, and keeps no more than its hash.
func (o *Operators) NeedsSetup(ctx context.Context) (bool, error) {
	if empty, err := o.isEmpty(ctx); err != nil || !empty {
		return false, err
	}
	_, err := o.cfg.Store.Value(ctx, setupKey)
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return false, storeError(err)
	}
	token := randomText(typed, setupLength)
	hash := hashOf(token)
	err = o.cfg.Store.PutValue(ctx, store.Value{Key: setupKey, Data: hash[:], ExpiresAt: o.cfg.Clock.Now().Add(setupLife)})
	switch {
	case err == nil:
		o.cfg.Logger.WarnContext(ctx, "nobody uses the console yet; its first owner needs this token", "set_up_with", token,
			"valid_for", setupLife.String())
	case !errors.Is(err, store.ErrConflict): // else another replica was faster
		return false, storeError(err)
	}
	return true, nil
}

// isEmpty reports whether there are no users. Once there are, there always will be.
func (o *Operators) isEmpty(ctx context.Context) (bool, error) {
	if o.settled.Load() {
		return false, nil
	}
	users, err := o.cfg.Store.Users(ctx, "", 1)
	if err != nil {
		return false, storeError(err)
	}
	if len(users) > 0 {
		o.settled.Store(true)
	}
	return len(users) == 0, nil
}

// Setup is what the first owner is made from.
type Setup struct {
	Token    string // from the log; case, spaces and hyphens do not matter
	Name     string
	FullName string
	Password string
}

// Setup makes the first owner, who is signed in thereby. The token is used up by success
// alone; of several requests with it at the same time one succeeds. The error is
// [ErrSetup] or an [access.Mistakes].
func (o *Operators) Setup(ctx context.Context, s Setup, v Visitor) (Session, tuoguan.Secret, error) {
	s.Name = strings.ToLower(s.Name)
	hash := hashOf(strings.Map(foldToken, s.Token))
	known, err := o.cfg.Store.Value(ctx, setupKey)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Session{}, tuoguan.Secret{}, storeError(err)
	}
	if subtle.ConstantTimeCompare(known.Data, hash[:]) != 1 {
		return Session{}, tuoguan.Secret{}, ErrSetup
	}
	var wrong access.Mistakes
	checkName(&wrong, s.Name)
	checkFullName(&wrong, s.FullName)
	checkPassword(&wrong, "password", s.Password, s.Name)
	if len(wrong) > 0 {
		return Session{}, tuoguan.Secret{}, wrong
	}
	if err := o.hasher.enter(ctx); err != nil {
		return Session{}, tuoguan.Secret{}, err
	}
	password := o.hasher.hash(s.Password)
	o.hasher.leave()

	taken, err := o.cfg.Store.TakeValue(ctx, setupKey)
	if errors.Is(err, store.ErrNotFound) {
		return Session{}, tuoguan.Secret{}, ErrSetup
	}
	if err != nil {
		return Session{}, tuoguan.Secret{}, storeError(err)
	}
	u, err := o.first(ctx, taken, hash, store.User{Name: s.Name, FullName: s.FullName, Role: string(Owner), Password: password})
	if err != nil {
		o.putBack(ctx, taken)
		return Session{}, tuoguan.Secret{}, err
	}
	return o.begin(ctx, u, MethodSetup, v, func(string) bool { return false })
}

// first makes the first user with a token that was taken, which may be another one by now.
func (o *Operators) first(ctx context.Context, taken store.Value, hash [sha256.Size]byte, u store.User) (store.User, error) {
	if subtle.ConstantTimeCompare(taken.Data, hash[:]) != 1 {
		return store.User{}, ErrSetup
	}
	if empty, err := o.isEmpty(ctx); err != nil || !empty {
		if err == nil {
			err = ErrSetup
		}
		return store.User{}, err
	}
	return o.add(ctx, u)
}

// putBack gives a token back that was taken and not used.
func (o *Operators) putBack(ctx context.Context, taken store.Value) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	taken.Version = 0
	if err := o.cfg.Store.PutValue(ctx, taken); err != nil && !errors.Is(err, store.ErrConflict) {
		o.cfg.Logger.WarnContext(ctx, "set-up token is lost; opening the console makes another one", "error", err)
	}
}

func foldToken(r rune) rune {
	switch {
	case r == ' ' || r == '-':
		return -1
	case 'A' <= r && r <= 'Z':
		return r + ('a' - 'A')
	}
	return r
}
