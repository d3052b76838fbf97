package operator

import (
	"context"
	"crypto/subtle"
	"errors"
	"strings"
	"time"

	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/store"
)

const (
	totpIssuer = "Tuoguan"
	// totpStep and the six digits by SHA-1 are what every authenticator app can do.
	totpStep = 30 * time.Second
	// totpSkew is by how many steps the clock of a phone may be wrong.
	totpSkew = 1
	// totpPending is how long a new secret waits for its confirmation.
	totpPending = 10 * time.Minute
)

// stepOf returns the time step whose code it is, the present one or one beside it.
func stepOf(secret tuoguan.Secret, code string, now time.Time) (step int64, ok bool) {
	code = strings.ReplaceAll(code, " ", "") // as the apps show it
	present := now.Unix() / int64(totpStep/time.Second)
	for s := present - totpSkew; s <= present+totpSkew; s++ {
		want, err := hotp.GenerateCode(secret.Reveal(), uint64(s))
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}

// takeCode accepts a code of a user who has given the right password, once: of several
// who present it at the same time one gets through. The error is [ErrRefused] or a [Locked].
func (o *Operators) takeCode(ctx context.Context, u store.User, code string) (store.User, error) {
	tried, err := o.attempt(ctx, codeCounter(u.Name))
	if err != nil {
		return store.User{}, err
	}
	secret, password := u.TOTP, u.Password
	u, err = o.change(ctx, u.ID, 0, func(u *store.User) error {
		step, ok := stepOf(u.TOTP, code, o.cfg.Now())
		if !ok || step <= u.TOTPUsed || u.Disabled || u.Password != password || !u.TOTP.Equal(secret) {
			return ErrRefused
		}
		u.TOTPUsed = step
		return nil
	})
	if err != nil {
		return store.User{}, err
	}
	tried.succeed(ctx)
	return u, nil
}

func pendingTOTP(s Session) string { return "totp/" + s.ID }

// BeginTOTP makes a secret for the authenticator app of the user, and the otpauth:// URL
// with it. It is not in force before [Operators.ConfirmTOTP]. The error is
// store.ErrConflict if the user has a second factor already, which must be removed first,
// or no password to go with one.
func (o *Operators) BeginTOTP(ctx context.Context, s Session) (secret, url tuoguan.Secret, err error) {
	none := tuoguan.Secret{}
	u, err := o.cfg.Store.User(ctx, s.User.ID)
	switch {
	case err != nil:
		return none, none, storeError(err)
	case !u.TOTP.IsZero() || u.Password == "":
		return none, none, errStands
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: totpIssuer, AccountName: u.Name})
	if err != nil {
		return none, none, err
	}
	before, err := o.cfg.Store.Value(ctx, pendingTOTP(s))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return none, none, storeError(err)
	}
	err = o.cfg.Store.PutValue(ctx, store.Value{
		Key: pendingTOTP(s), Data: []byte(key.Secret()), Version: before.Version, ExpiresAt: o.cfg.Clock.Now().Add(totpPending),
	})
	if err != nil {
		return none, none, storeError(err)
	}
	return tuoguan.NewSecret(key.Secret()), tuoguan.NewSecret(key.URL()), nil
}

// ConfirmTOTP puts the secret of [Operators.BeginTOTP] in force, once the authenticator
// shows its codes. Whoever else is signed in as this user has not shown one: all other
// sessions end, and this one goes on as a new one, with the token returned. The error is
// an [access.Mistakes] if the code is not right, store.ErrNotFound if there is no secret
// that waits, or store.ErrConflict as with [Operators.BeginTOTP].
func (o *Operators) ConfirmTOTP(ctx context.Context, s Session, code string) (Session, tuoguan.Secret, error) {
	pending, err := o.cfg.Store.Value(ctx, pendingTOTP(s))
	if err != nil {
		return Session{}, tuoguan.Secret{}, storeError(err)
	}
	secret := tuoguan.NewSecret(string(pending.Data))
	step, ok := stepOf(secret, code, o.cfg.Now())
	if !ok {
		var wrong access.Mistakes
		add(&wrong, "code", "is not right; see whether the clock of the phone is", "不正确，请检查手机时间是否准确")
		return Session{}, tuoguan.Secret{}, wrong
	}
	u, err := o.change(ctx, s.User.ID, 0, func(u *store.User) error {
		if !u.TOTP.IsZero() || u.Password == "" {
			return errStands
		}
		u.TOTP, u.TOTPUsed, u.UpdatedAt = secret, step, o.cfg.Now()
		return nil
	})
	if err != nil {
		return Session{}, tuoguan.Secret{}, err
	}
	if _, err := o.cfg.Store.TakeValue(ctx, pendingTOTP(s)); err != nil && !errors.Is(err, store.ErrNotFound) {
		o.cfg.Logger.WarnContext(ctx, "a secret that is in force is kept as a new one as well", "error", err)
	}
	return o.renew(ctx, u, MethodTOTP, s.visitor)
}

// RemoveTOTP takes the user's own second factor away, for one on another phone, say. The
// error is an [access.Mistakes] if the password is not right, or a [Locked].
func (o *Operators) RemoveTOTP(ctx context.Context, s Session, password string) (Session, error) {
	if err := o.hasher.enter(ctx); err != nil {
		return Session{}, err
	}
	defer o.hasher.leave()
	var wrong access.Mistakes
	u, err := o.confirm(ctx, &wrong, s, "password", password)
	if err != nil {
		return Session{}, err
	}
	if len(wrong) > 0 {
		return Session{}, wrong
	}
	u, err = o.change(ctx, u.ID, 0, func(u *store.User) error {
		u.TOTP, u.TOTPUsed, u.UpdatedAt = tuoguan.Secret{}, 0, o.cfg.Now()
		return nil
	})
	if err != nil {
		return Session{}, err
	}
	return o.present(store.Session{
		ID: s.ID, Hash: s.hash, Method: s.Method, CreatedAt: s.CreatedAt,
	}, u, s.visitor), nil
}
