package operator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/store"
)

const (
	idDigits    = "0123456789abcdefghijklmnopqrstuvwxyz"
	idLength    = 16
	maxFullName = 128 // bytes

	// changeAttempts is how often a change is tried when others change the same user.
	changeAttempts = 8
	usersAtOnce    = 100
)

var namePattern = regexp.MustCompile(`^[a-z0-9._@-]{2,64}$`)

// User is a user as it may be shown.
type User struct {
	ID, Name, FullName string
	Role               Role
	Disabled           bool
	TOTP               bool // has a second factor
	Password           bool // has a password
	OIDC               bool // signs in by the identity provider
	CreatedAt          time.Time
	UpdatedAt          time.Time
	LastSeenAt         time.Time // to the minute; zero: never
	Version            int64     // counts the changes, from 1
}

func show(u store.User) User {
	return User{
		ID: u.ID, Name: u.Name, FullName: u.FullName, Role: Role(u.Role), Disabled: u.Disabled,
		TOTP: !u.TOTP.IsZero(), Password: u.Password != "", OIDC: u.Subject != "",
		CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt, LastSeenAt: u.LastSeenAt, Version: u.Version,
	}
}

// Actor is who changes users.
type Actor struct {
	// ID is that of a user, who may end own sessions whatever the role; "" for an API key.
	ID string
	// Role of the user. An API key whose scope is [access.Everything] counts as an
	// [Owner], another one as an [Admin].
	Role Role
}

// NewUser is what a user is made from.
type NewUser struct {
	Name     string // 2 to 64 characters of a-z, 0-9 and . _ @ -; capital letters become small
	FullName string // a line of at most 128 bytes; may be ""
	Role     Role
	Password string // of 10 to 256 characters; "": one is made, to be changed at its first use
}

// Change is what is to be different about a user; nil fields stay.
type Change struct {
	Version  int64 // of the user that is to be changed; 0: whatever it is
	FullName *string
	Role     *Role
	Disabled *bool
}

// Users returns users with an id greater than after, ordered by id.
func (o *Operators) Users(ctx context.Context, after string, limit int) ([]User, error) {
	stored, err := o.cfg.Store.Users(ctx, after, limit)
	if err != nil {
		return nil, storeError(err)
	}
	users := make([]User, len(stored))
	for i, u := range stored {
		users[i] = show(u)
	}
	return users, nil
}

// User returns a user, or store.ErrNotFound.
func (o *Operators) User(ctx context.Context, id string) (User, error) {
	stored, err := o.cfg.Store.User(ctx, id)
	if err != nil {
		return User{}, storeError(err)
	}
	return show(stored), nil
}

// Create makes a user, and a password if none is given, which is returned this once. The
// error is an [access.Mistakes], or [ErrForbidden].
func (o *Operators) Create(ctx context.Context, by Actor, n NewUser) (User, tuoguan.Secret, error) {
	n.Name = strings.ToLower(n.Name)
	var wrong access.Mistakes
	checkName(&wrong, n.Name)
	checkFullName(&wrong, n.FullName)
	checkRole(&wrong, n.Role)
	if n.Password != "" {
		checkPassword(&wrong, "password", n.Password, n.Name)
	}
	if len(wrong) > 0 {
		return User{}, tuoguan.Secret{}, wrong
	}
	if !by.Role.MayChange(n.Role) {
		return User{}, tuoguan.Secret{}, ErrForbidden
	}
	var initial tuoguan.Secret
	password := n.Password
	if password == "" {
		password = randomText(typed, initialLength)
		initial = tuoguan.NewSecret(password)
	}
	if err := o.hasher.enter(ctx); err != nil {
		return User{}, tuoguan.Secret{}, err
	}
	hash := o.hasher.hash(password)
	o.hasher.leave()
	stored, err := o.add(ctx, store.User{
		Name: n.Name, FullName: n.FullName, Role: string(n.Role), Password: hash, PasswordExpired: n.Password == "",
	})
	if err != nil {
		return User{}, tuoguan.Secret{}, err
	}
	return show(stored), initial, nil
}

// add writes a user who is new. If the name is taken, that is an [access.Mistakes].
func (o *Operators) add(ctx context.Context, u store.User) (store.User, error) {
	now := o.cfg.Now()
	u.ID, u.CreatedAt, u.UpdatedAt = randomText(idDigits, idLength), now, now
	stored, err := o.cfg.Store.PutUser(ctx, u)
	if errors.Is(err, store.ErrConflict) {
		var wrong access.Mistakes
		add(&wrong, "name", "is taken", "已被使用")
		return store.User{}, wrong
	}
	return stored, storeError(err)
}

// Change changes a user. A role that is taken away holds nowhere after five seconds, and
// the sessions of who is disabled end. The error is store.ErrNotFound, store.ErrConflict
// if the version is another, [ErrForbidden], [ErrLastOwner], or an [access.Mistakes].
//
// Who stops being an owner needs a witness, another owner who can sign in, whose record
// is written again, unchanged, before the change itself. Both writes need the version
// that was read, the user's own having been read first. If two owners remove each other
// at once, whichever writes the witness first thereby makes the removal of that witness
// fail; the same holds round a circle of any length, on any number of replicas, and if
// one of them stops half way.
func (o *Operators) Change(ctx context.Context, by Actor, id string, c Change) (User, error) {
	var wrong access.Mistakes
	if c.FullName != nil {
		checkFullName(&wrong, *c.FullName)
	}
	if c.Role != nil {
		checkRole(&wrong, *c.Role)
	}
	if len(wrong) > 0 {
		return User{}, wrong
	}
	stored, err := o.change(ctx, id, c.Version, func(u *store.User) error {
		if !by.Role.MayChange(Role(u.Role)) || c.Role != nil && !by.Role.MayChange(*c.Role) {
			return ErrForbidden
		}
		if c.FullName != nil {
			u.FullName = *c.FullName
		}
		if c.Role != nil {
			u.Role = string(*c.Role)
		}
		if c.Disabled != nil {
			u.Disabled = *c.Disabled
		}
		u.UpdatedAt = o.cfg.Now()
		return nil
	})
	if err != nil {
		return User{}, err
	}
	if stored.Disabled {
		if err := o.endSessions(ctx, id, nil); err != nil {
			return User{}, err
		}
	}
	return show(stored), nil
}

// Delete removes a user with all sessions. The error is as that of [Operators.Change],
// and the version may be 0 as well.
func (o *Operators) Delete(ctx context.Context, by Actor, id string, version int64) error {
	defer o.sessions.dropUser(id)
	return retry(ctx, func() error {
		u, err := o.read(ctx, id, version)
		if err != nil {
			return err
		}
		if !by.Role.MayChange(Role(u.Role)) {
			return ErrForbidden
		}
		if o.isOwner(u) {
			if err := o.witness(ctx, id); err != nil {
				return err
			}
		}
		return storeError(o.cfg.Store.DeleteUser(ctx, id, u.Version))
	})
}

// ResetPassword gives a user a new password, which is returned this once and has to be
// changed at its first use, and ends all sessions of the user. The error is
// store.ErrNotFound or [ErrForbidden].
func (o *Operators) ResetPassword(ctx context.Context, by Actor, id string) (tuoguan.Secret, error) {
	password := randomText(typed, initialLength)
	if err := o.hasher.enter(ctx); err != nil {
		return tuoguan.Secret{}, err
	}
	hash := o.hasher.hash(password)
	o.hasher.leave()
	_, err := o.change(ctx, id, 0, func(u *store.User) error {
		if !by.Role.MayChange(Role(u.Role)) {
			return ErrForbidden
		}
		u.Password, u.PasswordExpired, u.UpdatedAt = hash, true, o.cfg.Now()
		return nil
	})
	if err != nil {
		return tuoguan.Secret{}, err
	}
	if err := o.endSessions(ctx, id, nil); err != nil {
		return tuoguan.Secret{}, err
	}
	return tuoguan.NewSecret(password), nil
}

// ResetTOTP takes the second factor from a user who has lost it. The error is
// store.ErrNotFound or [ErrForbidden].
func (o *Operators) ResetTOTP(ctx context.Context, by Actor, id string) (User, error) {
	stored, err := o.change(ctx, id, 0, func(u *store.User) error {
		if !by.Role.MayChange(Role(u.Role)) {
			return ErrForbidden
		}
		u.TOTP, u.TOTPUsed, u.UpdatedAt = tuoguan.Secret{}, 0, o.cfg.Now()
		return nil
	})
	if err != nil {
		return User{}, err
	}
	return show(stored), nil
}

// change reads a user, lets edit change it, and writes it, with a witness if an owner
// stops being one.
func (o *Operators) change(ctx context.Context, id string, version int64, edit func(*store.User) error) (store.User, error) {
	defer o.sessions.dropUser(id)
	var stored store.User
	err := retry(ctx, func() error {
		before, err := o.read(ctx, id, version)
		if err != nil {
			return err
		}
		after := before
		if err := edit(&after); err != nil {
			return err
		}
		if o.isOwner(before) && !o.isOwner(after) {
			if err := o.witness(ctx, id); err != nil {
				return err
			}
		}
		stored, err = o.cfg.Store.PutUser(ctx, after)
		return storeError(err)
	})
	return stored, err
}

func (o *Operators) read(ctx context.Context, id string, version int64) (store.User, error) {
	u, err := o.cfg.Store.User(ctx, id)
	if err == nil && version != 0 && version != u.Version {
		return store.User{}, errStands
	}
	return u, storeError(err)
}

// errStands is a conflict that another try would not end.
var errStands = fmt.Errorf("%w: the user is not as was thought", store.ErrConflict)

// retry tries a change again that somebody else came before.
func retry(ctx context.Context, try func() error) error {
	for n := 1; ; n++ {
		err := try()
		if !errors.Is(err, store.ErrConflict) || errors.Is(err, errStands) || n == changeAttempts {
			return err
		}
		// Two who are each other's witness would get in each other's way again.
		select {
		case <-time.After(rand.N(time.Duration(n) * 10 * time.Millisecond)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// isOwner reports whether the user is an owner who can sign in.
func (o *Operators) isOwner(u store.User) bool {
	return Role(u.Role) == Owner && !u.Disabled && (u.Password != "" || u.Subject != "" && o.provider != nil)
}

// witness writes the record of another owner again. The error is [ErrLastOwner] if there
// is none; see [Operators.Change].
func (o *Operators) witness(ctx context.Context, leaving string) error {
	after := ""
	for {
		users, err := o.cfg.Store.Users(ctx, after, usersAtOnce)
		if err != nil {
			return storeError(err)
		}
		for _, u := range users {
			if u.ID != leaving && o.isOwner(u) {
				_, err := o.cfg.Store.PutUser(ctx, u)
				return storeError(err)
			}
		}
		if len(users) < usersAtOnce {
			return ErrLastOwner
		}
		after = users[len(users)-1].ID
	}
}

func checkName(wrong *access.Mistakes, name string) {
	if !namePattern.MatchString(name) {
		add(wrong, "name", "must have 2 to 64 characters of a-z, 0-9 and . _ @ -", "须为 2 至 64 个字符，可用 a-z、0-9 和 . _ @ -")
	}
}

func checkFullName(wrong *access.Mistakes, name string) {
	if len(name) > maxFullName || !utf8.ValidString(name) || strings.TrimSpace(name) != name || strings.ContainsFunc(name, unicode.IsControl) {
		add(wrong, "full_name", "must be a line of at most 128 bytes", "须为单行且不超过 128 字节")
	}
}

func checkRole(wrong *access.Mistakes, role Role) {
	if !role.Valid() {
		add(wrong, "role", "must be owner, admin, operator, auditor or viewer", "须为 owner、admin、operator、auditor 或 viewer")
	}
}
