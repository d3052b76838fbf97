package admin

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
)

// authorizer is an authorization as the API shows it.
type authorizer struct {
	AppID          string        `json:"appid"`
	ComponentAppID string        `json:"component_appid"`
	State          tuoguan.State `json:"state"`
	Kind           tuoguan.Kind  `json:"kind"`
	Reference      string        `json:"reference"`

	NickName      string `json:"nick_name"`
	UserName      string `json:"user_name"` // original id, gh_…
	Alias         string `json:"alias"`
	HeadImage     string `json:"head_image"`
	PrincipalName string `json:"principal_name"`
	ServiceType   int    `json:"service_type"`
	VerifyType    int    `json:"verify_type"`
	AccountStatus int    `json:"account_status"`

	PermissionSets []tuoguan.PermissionSet `json:"permission_sets"`

	Grant          int64      `json:"grant"` // counts the authorizations of this account
	AuthorizedAt   *time.Time `json:"authorized_at"`
	RevokedAt      *time.Time `json:"revoked_at"`
	TokenExpiresAt *time.Time `json:"token_expires_at"`
	RefreshedAt    *time.Time `json:"refreshed_at"`
	RefreshAt      *time.Time `json:"refresh_at"` // when the next refresh is due
	Trouble        *trouble   `json:"trouble"`    // null while refreshing goes well
	CreatedAt      *time.Time `json:"created_at"`
	UpdatedAt      *time.Time `json:"updated_at"`
}

// trouble is what went wrong with refreshing since it last went well.
type trouble struct {
	Failures     int        `json:"failures"`
	Errcode      int        `json:"errcode"`
	Message      string     `json:"message"`
	SuspectSince *time.Time `json:"suspect_since"`
}

func showAuthorizer(a store.Authorizer) authorizer {
	shown := authorizer{
		AppID: string(a.Authorizer), ComponentAppID: string(a.Component), State: a.State, Kind: a.Profile.Kind, Reference: a.Reference,
		NickName: a.Profile.NickName, UserName: a.Profile.UserName, Alias: a.Profile.Alias, HeadImage: a.Profile.HeadImage,
		PrincipalName: a.Profile.PrincipalName, ServiceType: a.Profile.ServiceType, VerifyType: a.Profile.VerifyType, AccountStatus: a.Profile.AccountStatus,
		PermissionSets: a.PermissionSets, Grant: a.Grant,
		AuthorizedAt: instant(a.AuthorizedAt), RevokedAt: instant(a.RevokedAt), TokenExpiresAt: instant(a.Tokens.ExpiresAt),
		RefreshedAt: instant(a.ObtainedAt), RefreshAt: instant(a.RefreshAt), CreatedAt: instant(a.CreatedAt), UpdatedAt: instant(a.UpdatedAt),
	}
	if shown.PermissionSets == nil {
		shown.PermissionSets = []tuoguan.PermissionSet{}
	}
	if a.Trouble != (store.TroubleInfo{}) {
		shown.Trouble = &trouble{
			Failures: a.Trouble.Failures, Errcode: a.Trouble.Code, Message: a.Trouble.Message, SuspectSince: instant(a.Trouble.SuspectSince),
		}
	}
	return shown
}

// instant returns t in UTC, or nil if it is zero.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (a *API) listAuthorizers(r *http.Request) (reply, error) {
	q := parseQuery(r, "component", "state", "q", "kind", "permission_set", "cursor", "limit")
	search := store.AuthorizerQuery{
		Component:     tuoguan.ComponentAppID(q.text("component")),
		State:         tuoguan.State(q.choice("state", string(tuoguan.StateActive), string(tuoguan.StateNeedsReauthorization), string(tuoguan.StateRevoked))),
		Kind:          tuoguan.Kind(q.choice("kind", string(tuoguan.KindOfficialAccount), string(tuoguan.KindMiniProgram))),
		PermissionSet: tuoguan.PermissionSet(q.number("permission_set", 1, 1<<30, 0)),
		Text:          q.text("q"),
	}
	limit := q.limit()
	if cursor := q.text("cursor"); cursor != "" {
		var ok bool
		if search.After, ok = parseCursor(cursor); !ok {
			q.err = badRequest.field("cursor", "is not a cursor of this list", "不是本列表的游标")
		}
	}
	if q.err != nil {
		return reply{}, q.err
	}
	search.Limit = limit + 1 // one more tells whether there is a next page
	found, err := a.cfg.Store.Authorizers(r.Context(), search)
	if err != nil {
		return reply{}, storeError{err}
	}
	page := list[authorizer]{Items: []authorizer{}}
	if len(found) > limit {
		found = found[:limit]
		page.NextCursor = cursorOf(found[limit-1].Authorization)
	}
	for _, item := range found {
		page.Items = append(page.Items, showAuthorizer(item))
	}
	return reply{body: page}, nil
}

// cursorOf names where a page of authorizers ended.
func cursorOf(a tuoguan.Authorization) string {
	return base64.RawURLEncoding.EncodeToString([]byte(a.String()))
}

func parseCursor(cursor string) (tuoguan.Authorization, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	component, account, ok := strings.Cut(string(raw), "/")
	return tuoguan.Authorization{Component: tuoguan.ComponentAppID(component), Authorizer: tuoguan.AuthorizerAppID(account)}, err == nil && ok
}

func (a *API) getAuthorizer(r *http.Request) (reply, error) {
	authorization, err := a.authorizationOf(r)
	if err != nil {
		return reply{}, err
	}
	found, err := a.cfg.Store.Authorizer(r.Context(), authorization)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return reply{}, unknownAuthorizer
	case err != nil:
		return reply{}, storeError{err}
	}
	return reply{body: showAuthorizer(found)}, nil
}

// authorizationOf returns the authorization that a path and ?component= name.
func (a *API) authorizationOf(r *http.Request) (tuoguan.Authorization, error) {
	q := parseQuery(r, "component")
	if q.err != nil {
		return tuoguan.Authorization{}, q.err
	}
	authorization := tuoguan.Authorization{
		Component:  tuoguan.ComponentAppID(q.text("component")),
		Authorizer: tuoguan.AuthorizerAppID(r.PathValue("appid")),
	}
	if authorization.Component != "" {
		return authorization, nil
	}
	found, err := a.cfg.Store.Authorizers(r.Context(), store.AuthorizerQuery{Authorizer: authorization.Authorizer})
	if err != nil {
		return tuoguan.Authorization{}, storeError{err}
	}
	switch len(found) {
	case 0:
		return tuoguan.Authorization{}, unknownAuthorizer
	case 1:
		a.seen.Store(found[0].Component, true)
		return found[0].Authorization, nil
	}
	p := ambiguousComponent
	for _, candidate := range found {
		p.Components = append(p.Components, string(candidate.Component))
	}
	return tuoguan.Authorization{}, p
}

// accessToken is a token handed out. It is the only shape in which one is.
type accessToken struct {
	AccessToken string    `json:"access_token"`
	ExpiresAt   time.Time `json:"expires_at"`
}

// tokenReply answers with the token that get returns for the authorizer named.
func (a *API) tokenReply(r *http.Request, get func(context.Context, tuoguan.TokenOwner) (tuoguan.AccessToken, error)) (reply, error) {
	authorization, err := a.authorizationOf(r)
	if p, ok := errors.AsType[Problem](err); ok && p.Type == unknownAuthorizer.Type {
		return a.tokenOfNewcomer(r, get)
	}
	if err != nil {
		return reply{}, err
	}
	token, err := get(r.Context(), tuoguan.AuthorizerToken(authorization.Component, authorization.Authorizer))
	if err != nil {
		return reply{}, err
	}
	return reply{body: showToken(token)}, nil
}

// tokenOfNewcomer tries every component: the push that says whom an account has
// authorized may have arrived, and its code not have been exchanged yet.
func (a *API) tokenOfNewcomer(r *http.Request, get func(context.Context, tuoguan.TokenOwner) (tuoguan.AccessToken, error)) (reply, error) {
	components, err := a.cfg.Store.Components(r.Context())
	if err != nil {
		return reply{}, storeError{err}
	}
	for _, c := range components {
		token, err := get(r.Context(), tuoguan.AuthorizerToken(c.AppID, tuoguan.AuthorizerAppID(r.PathValue("appid"))))
		if errors.Is(err, keeper.ErrUnknownAuthorizer) {
			continue
		}
		if err != nil {
			return reply{}, err
		}
		return reply{body: showToken(token)}, nil
	}
	return reply{}, unknownAuthorizer
}

// showToken cuts the instant to the second, towards safety: not every client reads
// fractions.
func showToken(t tuoguan.AccessToken) accessToken {
	return accessToken{AccessToken: t.Value.Reveal(), ExpiresAt: t.ExpiresAt.UTC().Truncate(time.Second)}
}

func (a *API) getToken(r *http.Request) (reply, error) {
	reply, err := a.tokenReply(r, a.cfg.Keeper.Token)
	if errors.As(err, new(storeError)) {
		// Whose it is cannot be read, but a token in memory is as good as ever.
		return a.tokenFromMemory(r, err)
	}
	return reply, err
}

// tokenFromMemory tries the components that were asked about before.
func (a *API) tokenFromMemory(r *http.Request, failure error) (reply, error) {
	var only reply
	found := 0
	a.seen.Range(func(component, _ any) bool {
		owner := tuoguan.AuthorizerToken(component.(tuoguan.ComponentAppID), tuoguan.AuthorizerAppID(r.PathValue("appid")))
		if token, err := a.cfg.Keeper.Token(r.Context(), owner); err == nil {
			only = reply{body: showToken(token)}
			found++
		}
		return true
	})
	if found != 1 {
		return reply{}, failure
	}
	return only, nil
}

func (a *API) invalidateToken(r *http.Request) (reply, error) {
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if err := decode(r, &body); err != nil {
		return reply{}, err
	}
	if body.AccessToken == "" {
		return reply{}, badRequest.field("access_token", "is required: the token that WeChat refused", "必填：被微信拒绝的令牌")
	}
	return a.tokenReply(r, func(ctx context.Context, owner tuoguan.TokenOwner) (tuoguan.AccessToken, error) {
		return a.cfg.Keeper.Invalidate(ctx, owner, tuoguan.NewSecret(body.AccessToken))
	})
}

func (a *API) refreshToken(r *http.Request) (reply, error) {
	return a.tokenReply(r, a.cfg.Keeper.Refresh)
}
