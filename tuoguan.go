// Package tuoguan holds the words that every other package shares: the two kinds
// of AppID, secrets that do not print themselves, tokens, permission sets and
// the clock. It has no behaviour of its own and depends on nothing.
//
// What does the work is in the packages beside it: [wxcrypt] opens and seals
// pushes, [wxapi] calls the platform, [push] receives from it, [keeper] keeps
// the authorizations, [store] says how they are stored, and [simulator] plays
// WeChat's side.
//
// [wxcrypt]: https://pkg.go.dev/github.com/tuoguan/tuoguan/wxcrypt
// [wxapi]: https://pkg.go.dev/github.com/tuoguan/tuoguan/wxapi
// [push]: https://pkg.go.dev/github.com/tuoguan/tuoguan/push
// [keeper]: https://pkg.go.dev/github.com/tuoguan/tuoguan/keeper
// [store]: https://pkg.go.dev/github.com/tuoguan/tuoguan/store
// [simulator]: https://pkg.go.dev/github.com/tuoguan/tuoguan/simulator
package tuoguan

import "time"

// ComponentAppID identifies a third-party platform (第三方平台), wire name component_appid.
type ComponentAppID string

// AuthorizerAppID identifies a merchant's Official Account or Mini Program that
// has authorized a component, wire name authorizer_appid.
type AuthorizerAppID string

// Authorization names one authorization: which account, and for which component.
// One account may authorize several components at the same time; these are
// different authorizations with different tokens.
type Authorization struct {
	Component  ComponentAppID
	Authorizer AuthorizerAppID
}

// String returns "component/authorizer". AppIDs are not secret.
func (a Authorization) String() string { return string(a.Component) + "/" + string(a.Authorizer) }

// TokenOwner names whose access token is meant: a component's own, or the one of
// an authorizer. Make it with [ComponentToken] or [AuthorizerToken], so that the
// two kinds cannot be mixed up.
type TokenOwner struct {
	component  ComponentAppID
	authorizer AuthorizerAppID
}

// ComponentToken names the component access token of c.
func ComponentToken(c ComponentAppID) TokenOwner { return TokenOwner{component: c} }

// AuthorizerToken names the access token of the account a as authorized to c.
func AuthorizerToken(c ComponentAppID, a AuthorizerAppID) TokenOwner {
	return TokenOwner{component: c, authorizer: a}
}

// Component returns the component concerned.
func (o TokenOwner) Component() ComponentAppID { return o.component }

// Authorizer returns the account, or "" where the component's own token is meant.
func (o TokenOwner) Authorizer() AuthorizerAppID { return o.authorizer }

// Authorization returns the authorization that the token belongs to; its
// Authorizer is "" for a component's own token.
func (o TokenOwner) Authorization() Authorization {
	return Authorization{Component: o.component, Authorizer: o.authorizer}
}

// IsComponent reports whether the component's own token is meant.
func (o TokenOwner) IsComponent() bool { return o.authorizer == "" }

// String names the owner for logs and errors.
func (o TokenOwner) String() string {
	if o.IsComponent() {
		return string(o.component)
	}
	return o.Authorization().String()
}

// AccessToken is a token ready to be sent, with the instant at which it dies.
type AccessToken struct {
	Value     Secret
	ExpiresAt time.Time
}

// TokenSet is what one exchange or refresh yields. A RefreshToken may be empty:
// then the one that is already stored stays in force.
type TokenSet struct {
	AccessToken  Secret
	RefreshToken Secret
	ExpiresAt    time.Time
}

// State is what became of an authorization.
type State string

const (
	// StateActive: tokens are kept fresh and handed out.
	StateActive State = "active"
	// StateNeedsReauthorization: WeChat refuses every refresh token we know of,
	// confirmed twice; the merchant has to authorize again.
	StateNeedsReauthorization State = "needs_reauthorization"
	// StateRevoked: the merchant took the authorization back. The record is kept.
	StateRevoked State = "revoked"
)

// Kind tells Official Accounts from Mini Programs.
type Kind string

const (
	KindUnknown         Kind = ""
	KindOfficialAccount Kind = "official_account"
	KindMiniProgram     Kind = "mini_program"
)
