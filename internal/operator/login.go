package operator

import (
	"context"
	"errors"
	"strings"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/store"
)

// Login is what a user signs in with.
type Login struct {
	Name     string
	Password string
	Code     string // of the authenticator, six digits; "" where there is none
}

// Login signs a user in, and returns the token of the session, this once. The error is
// [ErrRefused], [ErrCodeNeeded] or a [Locked]. A name that nobody has costs the time of a
// wrong password.
func (o *Operators) Login(ctx context.Context, l Login, v Visitor) (Session, tuoguan.Secret, error) {
	name := strings.ToLower(l.Name)
	if err := o.hasher.enter(ctx); err != nil {
		return Session{}, tuoguan.Secret{}, err
	}
	defer o.hasher.leave()
	tried, err := o.attempt(ctx, passwordCounters(name, v.Address)...)
	if err != nil {
		return Session{}, tuoguan.Secret{}, err
	}
	var u store.User // without a password, if there is none of that name
	if namePattern.MatchString(name) {
		if u, err = o.cfg.Store.UserByName(ctx, name); err != nil && !errors.Is(err, store.ErrNotFound) {
			return Session{}, tuoguan.Secret{}, storeError(err)
		}
	}
	if !o.hasher.matches(u.Password, l.Password) || u.Disabled {
		return Session{}, tuoguan.Secret{}, ErrRefused
	}
	method := MethodPassword
	if !u.TOTP.IsZero() {
		method = MethodTOTP
		if l.Code == "" {
			tried.forgive(ctx)
			return Session{}, tuoguan.Secret{}, ErrCodeNeeded
		}
		if u, err = o.takeCode(ctx, u, l.Code); err != nil {
			return Session{}, tuoguan.Secret{}, err
		}
	}
	if o.hasher.outdated(u.Password) {
		u = o.hashAgain(ctx, u, l.Password)
	}
	session, token, err := o.begin(ctx, u, method, v, func(hash string) bool { return o.hasher.matches(hash, l.Password) })
	if err != nil {
		return Session{}, tuoguan.Secret{}, err
	}
	tried.succeed(ctx)
	return session, token, nil
}

// hashAgain keeps the password of a user at its present cost. Where that cannot be
// written the next time will do.
func (o *Operators) hashAgain(ctx context.Context, u store.User, password string) store.User {
	again := u
	again.Password = o.hasher.hash(password)
	stored, err := o.cfg.Store.PutUser(ctx, again)
	switch {
	case err == nil:
		return stored
	case !errors.Is(err, store.ErrConflict):
		o.cfg.Logger.WarnContext(ctx, "password not hashed again at its present cost", "user", u.Name, "error", err)
	}
	return u
}

// ChangePassword replaces the user's own password. All other sessions of the user end,
// and this one goes on as a new one, with the token returned. The error is an
// [access.Mistakes], also if the current password is not right, or a [Locked].
func (o *Operators) ChangePassword(ctx context.Context, s Session, current, replacement string, v Visitor) (Session, tuoguan.Secret, error) {
	var wrong access.Mistakes
	checkPassword(&wrong, "new", replacement, s.User.Name)
	if len(wrong) == 0 && replacement == current {
		add(&wrong, "new", "must not be the current one", "不能与当前密码相同")
	}
	if err := o.hasher.enter(ctx); err != nil {
		return Session{}, tuoguan.Secret{}, err
	}
	defer o.hasher.leave()
	u, err := o.confirm(ctx, &wrong, s, "current", current)
	if err != nil {
		return Session{}, tuoguan.Secret{}, err
	}
	if len(wrong) > 0 {
		return Session{}, tuoguan.Secret{}, wrong
	}
	confirmed, hash := u.Password, o.hasher.hash(replacement)
	u, err = o.change(ctx, u.ID, 0, func(u *store.User) error {
		if u.Password != confirmed {
			return ErrRefused
		}
		u.Password, u.PasswordExpired, u.UpdatedAt = hash, false, o.cfg.Now()
		return nil
	})
	if err != nil {
		return Session{}, tuoguan.Secret{}, err
	}
	return o.renew(ctx, u, s.Method, v)
}

// confirm returns the user of a session who gives the password once more. If it is not
// right, a mistake is added, and the attempt counts as a failed one.
func (o *Operators) confirm(ctx context.Context, wrong *access.Mistakes, s Session, field, password string) (store.User, error) {
	tried, err := o.attempt(ctx, passwordCounters(s.User.Name, s.visitor.Address)...)
	if err != nil {
		return store.User{}, err
	}
	u, err := o.cfg.Store.User(ctx, s.User.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && u.Disabled {
		return store.User{}, ErrNoSession
	}
	if err != nil {
		return store.User{}, storeError(err)
	}
	if o.hasher.matches(u.Password, password) {
		tried.forgive(ctx)
	} else {
		add(wrong, field, "is not right", "不正确")
	}
	return u, nil
}

// renew replaces all sessions of a user by a new one.
func (o *Operators) renew(ctx context.Context, u store.User, method string, v Visitor) (Session, tuoguan.Secret, error) {
	session, token, err := o.begin(ctx, u, method, v, func(string) bool { return false })
	if err != nil {
		return Session{}, tuoguan.Secret{}, err
	}
	if err := o.endSessions(ctx, u.ID, session.hash); err != nil {
		return Session{}, tuoguan.Secret{}, err
	}
	return session, token, nil
}
