package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"

	"github.com/tuoguan/tuoguan"
)

// User is somebody who may use the console.
type User struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"` // by which the user signs in
	FullName   string     `json:"full_name"`
	Role       string     `json:"role"` // owner, admin, operator, auditor or viewer
	Disabled   bool       `json:"disabled"`
	TOTP       bool       `json:"totp"`     // signs in with the code of an authenticator app
	Password   bool       `json:"password"` // has one
	OIDC       bool       `json:"oidc"`     // signs in by the identity provider
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
	LastSeenAt *time.Time `json:"last_seen_at"`

	ETag string `json:"-"` // names this state; "" in a list
}

// NewUser is a user to be made.
type NewUser struct {
	Name     string
	FullName string
	Role     string
	Password tuoguan.Secret // zero: the server makes one
}

// MadeUser is a user who was made, with the initial password, which is not shown again.
type MadeUser struct {
	User            User
	InitialPassword tuoguan.Secret // zero if one was given
}

// UnmarshalJSON implements [json.Unmarshaler].
func (u *MadeUser) UnmarshalJSON(text []byte) error {
	var body struct {
		User            User   `json:"user"`
		InitialPassword string `json:"initial_password"`
	}
	err := json.Unmarshal(text, &body)
	*u = MadeUser{User: body.User}
	if body.InitialPassword != "" {
		u.InitialPassword = tuoguan.NewSecret(body.InitialPassword)
	}
	return err
}

// Users lists the users, disabled ones included.
func (c *Client) Users(ctx context.Context) iter.Seq2[User, error] {
	return list[User](ctx, c, get("v1", "users"))
}

// User returns one user.
func (c *Client) User(ctx context.Context, id string) (User, error) {
	return c.user(ctx, get("v1", "users", id))
}

// CreateUser makes a user. A password that the server makes has to be changed at its first
// use. The key that asks for it must be allowed all that the role allows.
func (c *Client) CreateUser(ctx context.Context, n NewUser) (MadeUser, error) {
	var made MadeUser
	got, err := c.call(ctx, create(struct {
		Name     string `json:"name"`
		FullName string `json:"full_name,omitempty"`
		Role     string `json:"role"`
		Password string `json:"password,omitempty"`
	}{n.Name, n.FullName, n.Role, n.Password.Reveal()}, "v1", "users"), &made)
	made.User.ETag = got.header.Get("ETag")
	return made, err
}

// UserChange is what is to be different about a user; what is nil stays.
type UserChange struct {
	FullName *string `json:"full_name,omitempty"`
	Role     *string `json:"role,omitempty"`
	Disabled *bool   `json:"disabled,omitempty"` // true ends all sessions
}

// ChangeUser changes a user. With the ETag of one read before it fails with
// [ErrPreconditionFailed] if the user has changed since; "" is whatever it is now.
func (c *Client) ChangeUser(ctx context.Context, id string, change UserChange, etag string) (User, error) {
	return c.user(ctx, request{method: http.MethodPatch, path: []string{"v1", "users", id}, header: ifMatch(etag), body: change, again: etag == ""})
}

// DeleteUser deletes a user with all sessions.
func (c *Client) DeleteUser(ctx context.Context, id string) error {
	_, err := c.call(ctx, request{method: http.MethodDelete, path: []string{"v1", "users", id}}, nil)
	return err
}

// ResetUserPassword gives a user another initial password and ends all sessions.
func (c *Client) ResetUserPassword(ctx context.Context, id string) (tuoguan.Secret, error) {
	var made struct {
		InitialPassword string `json:"initial_password"`
	}
	_, err := c.call(ctx, create(nil, "v1", "users", id, "password"), &made)
	return tuoguan.NewSecret(made.InitialPassword), err
}

// ResetUserTOTP takes a lost authenticator app off a user.
func (c *Client) ResetUserTOTP(ctx context.Context, id string) (User, error) {
	return c.user(ctx, request{method: http.MethodDelete, path: []string{"v1", "users", id, "totp"}, again: true})
}

// UserSession is a browser in which a user is signed in.
type UserSession struct {
	ID         string    `json:"id"`
	Address    string    `json:"address"` // from where it was begun
	Agent      string    `json:"agent"`   // the browser's name for itself
	Method     string    `json:"method"`  // password, totp, oidc or setup
	CreatedAt  time.Time `json:"created_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
}

// UserSessions returns where a user is signed in, the newest session first.
func (c *Client) UserSessions(ctx context.Context, id string) ([]UserSession, error) {
	var found struct{ Items []UserSession }
	_, err := c.call(ctx, get("v1", "users", id, "sessions"), &found)
	return found.Items, err
}

// EndUserSession ends one session of a user, on every replica within seconds.
func (c *Client) EndUserSession(ctx context.Context, id, session string) error {
	_, err := c.call(ctx, request{method: http.MethodDelete, path: []string{"v1", "users", id, "sessions", session}}, nil)
	return err
}

// EndUserSessions ends all sessions of a user.
func (c *Client) EndUserSessions(ctx context.Context, id string) error {
	_, err := c.call(ctx, request{method: http.MethodDelete, path: []string{"v1", "users", id, "sessions"}, again: true}, nil)
	return err
}

func (c *Client) user(ctx context.Context, r request) (User, error) {
	var found User
	got, err := c.call(ctx, r, &found)
	found.ETag = got.header.Get("ETag")
	return found, err
}
