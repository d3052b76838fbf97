package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/internal/operator"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/store"
)

// Operators is the people who use the console: [operator.Operators].
type Operators interface {
	NeedsSetup(ctx context.Context) (bool, error)
	Setup(ctx context.Context, s operator.Setup, v operator.Visitor) (operator.Session, tuoguan.Secret, error)
	Login(ctx context.Context, l operator.Login, v operator.Visitor) (operator.Session, tuoguan.Secret, error)
	Session(ctx context.Context, token string, v operator.Visitor) (operator.Session, error)
	Logout(ctx context.Context, token string) error
	ChangePassword(ctx context.Context, s operator.Session, current, replacement string, v operator.Visitor) (operator.Session, tuoguan.Secret, error)
	BeginTOTP(ctx context.Context, s operator.Session) (secret, url tuoguan.Secret, err error)
	ConfirmTOTP(ctx context.Context, s operator.Session, code string) (operator.Session, tuoguan.Secret, error)
	RemoveTOTP(ctx context.Context, s operator.Session, password string) (operator.Session, error)

	OIDC() (name string, ok bool)
	BeginOIDC(ctx context.Context, returnTo string, v operator.Visitor) (redirect, bind tuoguan.Secret, err error)
	FinishOIDC(ctx context.Context, bind, state, code string, v operator.Visitor) (operator.Session, tuoguan.Secret, string, error)

	Users(ctx context.Context, after string, limit int) ([]operator.User, error)
	User(ctx context.Context, id string) (operator.User, error)
	Create(ctx context.Context, by operator.Actor, n operator.NewUser) (operator.User, tuoguan.Secret, error)
	Change(ctx context.Context, by operator.Actor, id string, c operator.Change) (operator.User, error)
	Delete(ctx context.Context, by operator.Actor, id string, version int64) error
	ResetPassword(ctx context.Context, by operator.Actor, id string) (tuoguan.Secret, error)
	ResetTOTP(ctx context.Context, by operator.Actor, id string) (operator.User, error)
	Sessions(ctx context.Context, id string) ([]store.Session, error)
	EndSession(ctx context.Context, by operator.Actor, id, session string) error
	EndSessions(ctx context.Context, by operator.Actor, id, except string) error
}

var _ Operators = (*operator.Operators)(nil)

// setup is what the console has to know before anybody is signed in.
type setup struct {
	Needed    bool              `json:"needed" doc:"There is no user yet; the set-up token is in the server's log · 尚无用户，初始化令牌见服务日志"`
	OIDC      *identityProvider `json:"oidc" doc:"The identity provider; null: there is none · 身份提供方，null 表示未配置"`
	Simulator bool              `json:"simulator" doc:"The platform is the simulator, not WeChat · 对接的是模拟器而非微信"`
	Version   string            `json:"version"`
	TOTP      string            `json:"console_totp" enum:"admins,all,off" doc:"Who signs in with the code of an authenticator app · 哪些用户须使用身份验证器"`
}

type identityProvider struct {
	_ struct{} `nullable:"true"`

	Name string `json:"name" doc:"As the button says it · 按钮上的名称"`
}

type getSetupInput struct{}

func (a *API) getSetup(ctx context.Context, _ *getSetupInput) (*output[setup], error) {
	needed, err := a.cfg.Operators.NeedsSetup(ctx)
	if err != nil {
		return nil, operatorProblem(err)
	}
	shown := setup{Needed: needed, Simulator: a.cfg.Simulator != nil, Version: obs.Version(), TOTP: a.cfg.ConsoleTOTP}
	if name, ok := a.cfg.Operators.OIDC(); ok {
		shown.OIDC = &identityProvider{Name: name}
	}
	return &output[setup]{http.StatusOK, shown}, nil
}

// session is who is signed in, as the API shows it.
type session struct {
	ID          string             `json:"id"`
	User        sessionUser        `json:"user"`
	Operations  []access.Operation `json:"operations" doc:"What the user may do; nothing while there is something in must · 允许的操作；must 非空时为空"`
	Must        []string           `json:"must" doc:"What has to be done before anything else: password, totp · 须先完成的事项"`
	CreatedAt   time.Time          `json:"created_at"`
	ExpiresAt   time.Time          `json:"expires_at"`
	IdleSeconds int64              `json:"idle_seconds" doc:"So long without a request ends it before · 空闲多久后提前结束，秒"`
}

type sessionUser struct {
	ID       string        `json:"id"`
	Name     string        `json:"name"`
	FullName string        `json:"full_name"`
	Role     operator.Role `json:"role" enum:"owner,admin,operator,auditor,viewer"`
	TOTP     bool          `json:"totp" doc:"Signs in with the code of an authenticator app · 是否启用身份验证器"`
	Password bool          `json:"password" doc:"Has a password · 是否设有密码"`
}

func showSession(s operator.Session) session {
	shown := session{
		ID:         s.ID,
		User:       sessionUser{ID: s.User.ID, Name: s.User.Name, FullName: s.User.FullName, Role: s.User.Role, TOTP: s.User.TOTP, Password: s.User.Password},
		Operations: s.Operations(), Must: s.Must,
		CreatedAt: s.CreatedAt.UTC(), ExpiresAt: s.ExpiresAt.UTC(), IdleSeconds: int64(s.Idle / time.Second),
	}
	if shown.Operations == nil {
		shown.Operations = []access.Operation{}
	}
	if shown.Must == nil {
		shown.Must = []string{}
	}
	return shown
}

// signedIn is a reply with a session, and with a cookie if the token is new.
type signedIn struct {
	Status    int
	SetCookie string `header:"Set-Cookie" doc:"The session of the browser, where it is new · 新会话的 cookie"`
	Body      session
}

// showSignedIn answers with a session. A zero token stands for the one that there is.
func (c *call) showSignedIn(status int, s operator.Session, token tuoguan.Secret) *signedIn {
	out := &signedIn{Status: status, Body: showSession(s)}
	if !token.IsZero() {
		out.SetCookie = c.jar.keep(token.Reveal()).String()
	}
	return out
}

// begun records that a session has begun. Nobody has its token yet, so without a record
// it ends here.
func (a *API) begun(ctx context.Context, s operator.Session, token tuoguan.Secret) error {
	callOf(ctx).signedInAs(s)
	if err := a.record(ctx, tuoguan.Authorization{}, s.ID, map[string]string{"method": s.Method}); err != nil {
		return errors.Join(err, a.cfg.Operators.Logout(context.WithoutCancel(ctx), token.Reveal()))
	}
	return nil
}

type setUpBody struct {
	Token    string `json:"setup_token" doc:"From the server's log · 见服务日志"`
	Name     string `json:"name" doc:"By which the user signs in · 登录名"`
	FullName string `json:"full_name,omitempty"`
	Password string `json:"password"`
}

type setUpInput struct{ Input[setUpBody] }

func (a *API) setUp(ctx context.Context, in *setUpInput) (*signedIn, error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	c := callOf(ctx)
	if c.jar.session == "" {
		return nil, problem.InsecureConnection
	}
	s, token, err := a.cfg.Operators.Setup(ctx, operator.Setup{Token: strings.TrimSpace(body.Token), Name: body.Name, FullName: body.FullName, Password: body.Password}, c.visitor())
	if err != nil {
		return nil, operatorProblem(err)
	}
	if err := a.begun(ctx, s, token); err != nil {
		return nil, err
	}
	return c.showSignedIn(http.StatusCreated, s, token), nil
}

type signInBody struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Code     string `json:"code,omitempty" doc:"Of the authenticator app, after code-needed · 身份验证器验证码"`
}

type signInInput struct{ Input[signInBody] }

func (a *API) signIn(ctx context.Context, in *signInInput) (*signedIn, error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	c := callOf(ctx)
	if c.jar.session == "" {
		return nil, problem.InsecureConnection
	}
	s, token, err := a.cfg.Operators.Login(ctx, operator.Login{Name: body.Name, Password: body.Password, Code: body.Code}, c.visitor())
	if errors.Is(err, operator.ErrRefused) {
		err = a.refused(ctx, body.Name, err)
	}
	if err != nil {
		return nil, operatorProblem(err)
	}
	if err := a.begun(ctx, s, token); err != nil {
		return nil, err
	}
	return c.showSignedIn(http.StatusOK, s, token), nil
}

// refused records a failed attempt to sign in and returns its error. A name that nobody
// has is not recorded: it may be a password in the wrong field. How many attempts there
// can be is bounded by the lockout.
func (a *API) refused(ctx context.Context, name string, refusal error) error {
	e := callOf(ctx).event(tuoguan.Authorization{}, "", nil)
	e.Actor, e.Result = "", "refused"
	for after := ""; ; {
		users, err := a.cfg.Operators.Users(ctx, after, maxPage)
		if err != nil {
			return err
		}
		for _, u := range users {
			after = u.ID
			if strings.EqualFold(u.Name, name) {
				e.ActorName, e.Target = u.Name, u.ID
			}
		}
		if len(users) < maxPage {
			break
		}
	}
	if err := a.cfg.Audit.Record(ctx, e); err != nil {
		return problem.Storage(err)
	}
	return refusal
}

type sessionInput struct{}

func (a *API) getSession(ctx context.Context, _ *sessionInput) (*signedIn, error) {
	c, s, err := own(ctx)
	if err != nil {
		return nil, err
	}
	return c.showSignedIn(http.StatusOK, s, tuoguan.Secret{}), nil
}

// signedOut is a reply that makes the browser forget its session.
type signedOut struct {
	Status    int
	SetCookie string `header:"Set-Cookie" doc:"Empty, and over · 清除会话 cookie"`
}

func (a *API) signOut(ctx context.Context, _ *sessionInput) (*signedOut, error) {
	c, s, err := own(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{}, s.ID, nil); err != nil {
		return nil, err
	}
	if err := a.cfg.Operators.Logout(ctx, c.token); err != nil {
		return nil, operatorProblem(err)
	}
	return &signedOut{http.StatusNoContent, c.jar.drop().String()}, nil
}

// declined records that what a user wanted to change about himself was refused: that he
// asked for it is recorded already. It returns what he is told.
func (a *API) declined(ctx context.Context, refusal error) error {
	told := userProblem(refusal)
	if problem.Of(told).Status >= http.StatusInternalServerError {
		return told
	}
	c := callOf(ctx)
	e := c.event(tuoguan.Authorization{}, c.session.User.ID, nil)
	e.Result = "refused"
	if err := a.cfg.Audit.Record(ctx, e); err != nil {
		return problem.Storage(err)
	}
	return told
}

type changePasswordBody struct {
	Current string `json:"current"`
	New     string `json:"new"`
}

type changePasswordInput struct{ Input[changePasswordBody] }

func (a *API) changePassword(ctx context.Context, in *changePasswordInput) (*signedIn, error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	c, s, err := own(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{}, s.User.ID, nil); err != nil {
		return nil, err
	}
	next, token, err := a.cfg.Operators.ChangePassword(ctx, s, body.Current, body.New, c.visitor())
	if err != nil {
		return nil, a.declined(ctx, err)
	}
	return c.showSignedIn(http.StatusOK, next, token), nil
}

// newTOTP is the secret of an authenticator app, in the one reply that has it.
type newTOTP struct {
	Secret string `json:"secret" doc:"Base32, to be typed into the app · 可手工录入验证器"`
	URL    string `json:"url" doc:"otpauth://…, for a QR code · 用于生成二维码"`
}

func (a *API) beginTOTP(ctx context.Context, _ *sessionInput) (*output[newTOTP], error) {
	_, s, err := own(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{}, s.User.ID, nil); err != nil {
		return nil, err
	}
	secret, url, err := a.cfg.Operators.BeginTOTP(ctx, s)
	if errors.Is(err, store.ErrConflict) {
		err = problem.UserConflict.With("there is an authenticator app already, which has to be removed first, or there is no password to go with one", "已启用身份验证器（须先停用），或该用户没有密码")
	}
	if err != nil {
		return nil, a.declined(ctx, err)
	}
	return &output[newTOTP]{http.StatusCreated, newTOTP{secret.Reveal(), url.Reveal()}}, nil
}

type confirmTOTPBody struct {
	Code string `json:"code" doc:"As the app shows it now · 验证器当前显示的验证码"`
}

type confirmTOTPInput struct{ Input[confirmTOTPBody] }

func (a *API) confirmTOTP(ctx context.Context, in *confirmTOTPInput) (*signedIn, error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	c, s, err := own(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{}, s.User.ID, nil); err != nil {
		return nil, err
	}
	next, token, err := a.cfg.Operators.ConfirmTOTP(ctx, s, body.Code)
	if errors.Is(err, store.ErrNotFound) {
		err = problem.UserConflict.With("no secret waits to be confirmed, or no more; ask for a new one", "没有待确认的密钥或已失效，请重新生成")
	}
	if err != nil {
		return nil, a.declined(ctx, err)
	}
	return c.showSignedIn(http.StatusOK, next, token), nil
}

type removeTOTPBody struct {
	Password string `json:"password"`
}

type removeTOTPInput struct{ Input[removeTOTPBody] }

func (a *API) removeTOTP(ctx context.Context, in *removeTOTPInput) (*signedIn, error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	c, s, err := own(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{}, s.User.ID, nil); err != nil {
		return nil, err
	}
	next, err := a.cfg.Operators.RemoveTOTP(ctx, s, body.Password)
	if err != nil {
		return nil, a.declined(ctx, err)
	}
	return c.showSignedIn(http.StatusOK, next, tuoguan.Secret{}), nil
}
