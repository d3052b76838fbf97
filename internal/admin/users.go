package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/operator"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/store"
)

// user is somebody who may use the console, as the API shows it.
type user struct {
	ID         string        `json:"id"`
	Name       string        `json:"name" doc:"By which the user signs in · 登录名"`
	FullName   string        `json:"full_name"`
	Role       operator.Role `json:"role" enum:"owner,admin,operator,auditor,viewer"`
	Disabled   bool          `json:"disabled" doc:"May not sign in · 已停用"`
	TOTP       bool          `json:"totp" doc:"Signs in with the code of an authenticator app · 是否启用身份验证器"`
	Password   bool          `json:"password" doc:"Has a password · 是否设有密码"`
	OIDC       bool          `json:"oidc" doc:"Signs in by the identity provider · 通过身份提供方登录"`
	CreatedAt  *time.Time    `json:"created_at"`
	UpdatedAt  *time.Time    `json:"updated_at"`
	LastSeenAt *time.Time    `json:"last_seen_at" doc:"To the minute; null: never · 精确到分钟，null 表示从未登录"`
	Sessions   *int          `json:"sessions,omitempty" doc:"How many browsers are signed in; not in lists · 会话数，列表中不含"`
}

// settled implements live: being seen comes by itself.
func (u user) settled() any {
	u.LastSeenAt, u.Sessions = nil, nil
	return u
}

func showUser(u operator.User) user {
	return user{
		ID: u.ID, Name: u.Name, FullName: u.FullName, Role: u.Role, Disabled: u.Disabled, TOTP: u.TOTP, Password: u.Password, OIDC: u.OIDC,
		CreatedAt: instant(u.CreatedAt), UpdatedAt: instant(u.UpdatedAt), LastSeenAt: instant(u.LastSeenAt),
	}
}

// userProblem is operatorProblem for what concerns one user.
func userProblem(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return problem.UnknownUser
	case errors.Is(err, store.ErrConflict):
		return problem.UserConflict
	}
	return operatorProblem(err)
}

func (g Guarded) userProblem(err error) error {
	if g.IfMatch != "" && errors.Is(err, store.ErrConflict) {
		return problem.PreconditionFailed
	}
	return userProblem(err)
}

// actor returns in which role a call changes users. A key has none: one that may do
// everything is taken for an owner.
func (c *call) actor() operator.Actor {
	switch {
	case c.session != nil:
		return operator.Actor{ID: c.session.User.ID, Role: c.session.User.Role}
	case c.May(access.Everything):
		return operator.Actor{Role: operator.Owner}
	}
	return operator.Actor{Role: operator.Admin}
}

// commands fails unless the caller may change users of a role: nobody gives to others,
// or takes over, what is not his to do.
func (c *call) commands(role operator.Role) error {
	switch {
	case !role.Valid():
		return nil // whoever checks the fields says so
	case !c.actor().Role.MayChange(role):
		return problem.ForbiddenRole
	case !c.Scope.Covers(access.Scope{Operations: role.Operations()}):
		return problem.MissingScope.With(
			"the role "+string(role)+" allows more than the scope of who asks for this",
			"角色 "+string(role)+" 的权限超出请求者的权限范围")
	}
	return nil
}

// commanded returns a user whom the caller may change.
func (a *API) commanded(ctx context.Context, id string, guard Guarded) (operator.User, error) {
	found, err := a.cfg.Operators.User(ctx, id)
	if err != nil {
		return operator.User{}, userProblem(err)
	}
	if err := callOf(ctx).commands(found.Role); err != nil {
		return operator.User{}, err
	}
	return found, guard.check(showUser(found))
}

// userVersion returns which version of a user is to be changed: the one that was looked at,
// if the caller cares.
func (g Guarded) userVersion(u operator.User) int64 {
	if g.IfMatch == "" {
		return 0
	}
	return u.Version
}

func userDetail(u operator.User) map[string]string {
	return map[string]string{"name": u.Name, "role": string(u.Role), "disabled": strconv.FormatBool(u.Disabled)}
}

type listUsersInput struct{ Paging }

func (a *API) listUsers(ctx context.Context, in *listUsersInput) (*output[list[user]], error) {
	found, err := a.cfg.Operators.Users(ctx, in.Cursor, in.Limit+1)
	if err != nil {
		return nil, userProblem(err)
	}
	page := list[user]{Items: []user{}}
	if len(found) > in.Limit {
		found = found[:in.Limit]
		page.NextCursor = found[in.Limit-1].ID
	}
	for _, u := range found {
		page.Items = append(page.Items, showUser(u))
	}
	return &output[list[user]]{http.StatusOK, page}, nil
}

type getUserInput struct {
	ID string `path:"id"`
	Cached
}

func (a *API) getUser(ctx context.Context, in *getUserInput) (*resource[user], error) {
	found, err := a.cfg.Operators.User(ctx, in.ID)
	if err != nil {
		return nil, userProblem(err)
	}
	sessions, err := a.cfg.Operators.Sessions(ctx, in.ID)
	if err != nil {
		return nil, userProblem(err)
	}
	shown := showUser(found)
	shown.Sessions = new(len(sessions))
	return show(shown, in.Cached)
}

type createUserBody struct {
	Name     string        `json:"name" doc:"By which the user signs in · 登录名"`
	FullName string        `json:"full_name,omitempty"`
	Role     operator.Role `json:"role" enum:"owner,admin,operator,auditor,viewer"`
	Password string        `json:"password,omitempty" doc:"Without one an initial password is made, to be changed at the first use · 未给出则生成初始密码，首次登录须修改"`
}

type createUserInput struct{ Input[createUserBody] }

// newUser is a user in the one reply that has the initial password.
type newUser struct {
	User            user   `json:"user"`
	InitialPassword string `json:"initial_password" doc:"Shown this once; empty if one was given · 仅显示这一次；自行指定时为空"`
}

func (a *API) createUser(ctx context.Context, in *createUserInput) (*resource[newUser], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	c := callOf(ctx)
	if err := c.commands(body.Role); err != nil {
		return nil, err
	}
	made, initial, err := a.cfg.Operators.Create(ctx, c.actor(), operator.NewUser{Name: body.Name, FullName: body.FullName, Role: body.Role, Password: body.Password})
	if err != nil {
		return nil, userProblem(err)
	}
	// Its id is in the record, so there is no recording it before.
	if err := a.record(ctx, tuoguan.Authorization{}, made.ID, userDetail(made)); err != nil {
		return nil, errors.Join(err, a.cfg.Operators.Delete(context.WithoutCancel(ctx), c.actor(), made.ID, 0))
	}
	shown := showUser(made)
	tag, err := etag(shown) // not of the password
	return &resource[newUser]{Status: http.StatusCreated, ETag: tag, Body: newUser{shown, initial.Reveal()}}, err
}

type changeUserBody struct {
	FullName *string        `json:"full_name,omitempty"`
	Role     *operator.Role `json:"role,omitempty" enum:"owner,admin,operator,auditor,viewer"`
	Disabled *bool          `json:"disabled,omitempty" doc:"true ends all sessions · true 会结束全部会话"`
}

type changeUserInput struct {
	ID string `path:"id"`
	Guarded
	Input[changeUserBody]
}

func (a *API) changeUser(ctx context.Context, in *changeUserInput) (*resource[user], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	found, err := a.commanded(ctx, in.ID, in.Guarded)
	if err != nil {
		return nil, err
	}
	next := found
	set(&next.Role, body.Role)
	set(&next.Disabled, body.Disabled)
	c := callOf(ctx)
	if err := c.commands(next.Role); err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{}, in.ID, userDetail(next)); err != nil {
		return nil, err
	}
	updated, err := a.cfg.Operators.Change(ctx, c.actor(), in.ID, operator.Change{
		Version: in.userVersion(found), FullName: body.FullName, Role: body.Role, Disabled: body.Disabled,
	})
	if err != nil {
		return nil, in.userProblem(err)
	}
	return changed(http.StatusOK, showUser(updated))
}

type guardedUserInput struct {
	ID string `path:"id"`
	Guarded
}

func (a *API) deleteUser(ctx context.Context, in *guardedUserInput) (*nothing, error) {
	found, err := a.commanded(ctx, in.ID, in.Guarded)
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{}, in.ID, userDetail(found)); err != nil {
		return nil, err
	}
	if err := a.cfg.Operators.Delete(ctx, callOf(ctx).actor(), in.ID, in.userVersion(found)); err != nil {
		return nil, in.userProblem(err)
	}
	return &nothing{http.StatusNoContent}, nil
}

type userInput struct {
	ID string `path:"id"`
}

// initialPassword is the one reply that has a password.
type initialPassword struct {
	InitialPassword string `json:"initial_password" doc:"Shown this once; has to be changed at the first use · 仅显示这一次，首次登录须修改"`
}

func (a *API) resetPassword(ctx context.Context, in *userInput) (*output[initialPassword], error) {
	found, err := a.commanded(ctx, in.ID, Guarded{})
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{}, in.ID, userDetail(found)); err != nil {
		return nil, err
	}
	initial, err := a.cfg.Operators.ResetPassword(ctx, callOf(ctx).actor(), in.ID)
	if err != nil {
		return nil, userProblem(err)
	}
	return &output[initialPassword]{http.StatusOK, initialPassword{initial.Reveal()}}, nil
}

func (a *API) resetTOTP(ctx context.Context, in *userInput) (*resource[user], error) {
	found, err := a.commanded(ctx, in.ID, Guarded{})
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{}, in.ID, userDetail(found)); err != nil {
		return nil, err
	}
	updated, err := a.cfg.Operators.ResetTOTP(ctx, callOf(ctx).actor(), in.ID)
	if err != nil {
		return nil, userProblem(err)
	}
	return changed(http.StatusOK, showUser(updated))
}

// userSession is a browser that is signed in, as the API shows it to others.
type userSession struct {
	ID         string    `json:"id"`
	Address    string    `json:"address" doc:"From where it was begun · 登录来源地址"`
	Agent      string    `json:"agent" doc:"The browser's name for itself · 浏览器标识"`
	Method     string    `json:"method" doc:"How the user signed in: password, totp, oidc, setup · 登录方式"`
	CreatedAt  time.Time `json:"created_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	Current    bool      `json:"current" doc:"It is the one of this request · 是否为本次请求的会话"`
}

// userSessions are all sessions of a user, the newest first.
type userSessions struct {
	Items []userSession `json:"items"`
}

func (a *API) listSessions(ctx context.Context, in *userInput) (*output[userSessions], error) {
	if _, err := a.cfg.Operators.User(ctx, in.ID); err != nil {
		return nil, userProblem(err)
	}
	found, err := a.cfg.Operators.Sessions(ctx, in.ID)
	if err != nil {
		return nil, userProblem(err)
	}
	c := callOf(ctx)
	all := userSessions{Items: []userSession{}}
	for _, s := range found {
		all.Items = append(all.Items, userSession{
			ID: s.ID, Address: s.Address, Agent: s.Agent, Method: s.Method,
			CreatedAt: s.CreatedAt.UTC(), LastSeenAt: s.LastSeenAt.UTC(), ExpiresAt: s.ExpiresAt.UTC(),
			Current: c.session != nil && c.session.ID == s.ID,
		})
	}
	return &output[userSessions]{http.StatusOK, all}, nil
}

// endable returns a user whose sessions are the caller's to end.
func (a *API) endable(ctx context.Context, id string) (operator.User, error) {
	if c := callOf(ctx); c.session != nil && c.session.User.ID == id {
		return c.session.User, nil
	}
	return a.commanded(ctx, id, Guarded{})
}

func (a *API) endSessions(ctx context.Context, in *userInput) (*nothing, error) {
	found, err := a.endable(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{}, in.ID, map[string]string{"name": found.Name}); err != nil {
		return nil, err
	}
	if err := a.cfg.Operators.EndSessions(ctx, callOf(ctx).actor(), in.ID, ""); err != nil {
		return nil, userProblem(err)
	}
	return &nothing{http.StatusNoContent}, nil
}

type endSessionInput struct {
	ID      string `path:"id"`
	Session string `path:"session"`
}

func (a *API) endSession(ctx context.Context, in *endSessionInput) (*nothing, error) {
	found, err := a.endable(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	sessions, err := a.cfg.Operators.Sessions(ctx, in.ID)
	if err != nil {
		return nil, userProblem(err)
	}
	if !slices.ContainsFunc(sessions, func(s store.Session) bool { return s.ID == in.Session }) {
		return nil, problem.UnknownSession
	}
	if err := a.record(ctx, tuoguan.Authorization{}, in.ID, map[string]string{"name": found.Name, "session": in.Session}); err != nil {
		return nil, err
	}
	err = a.cfg.Operators.EndSession(ctx, callOf(ctx).actor(), in.ID, in.Session)
	if err != nil && !errors.Is(err, store.ErrNotFound) { // it may have ended by itself
		return nil, userProblem(err)
	}
	return &nothing{http.StatusNoContent}, nil
}
