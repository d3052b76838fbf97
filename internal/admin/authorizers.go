package admin

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/store"
)

// authorizer is an authorization as the API shows it.
type authorizer struct {
	AppID          string        `json:"appid"`
	ComponentAppID string        `json:"component_appid"`
	State          tuoguan.State `json:"state" enum:"active,needs_reauthorization,revoked"`
	Kind           tuoguan.Kind  `json:"kind" doc:"official_account, mini_program, or empty while unknown · 账号类型，未知时为空"`
	Reference      string        `json:"reference" doc:"The tenant, as named by the authorization link · 授权链接中给出的租户标识"`
	Tags           []string      `json:"tags" doc:"Given by operators · 运营者设置的标签"`

	NickName      string `json:"nick_name"`
	UserName      string `json:"user_name" doc:"The original id, gh_… · 原始 ID"`
	Alias         string `json:"alias"`
	HeadImage     string `json:"head_image"`
	PrincipalName string `json:"principal_name"`
	ServiceType   int    `json:"service_type"`
	VerifyType    int    `json:"verify_type"`
	AccountStatus int    `json:"account_status"`

	PermissionSets []tuoguan.PermissionSet `json:"permission_sets"`

	Grant          int64      `json:"grant" doc:"Counts the authorizations of this account · 授权次数"`
	AuthorizedAt   *time.Time `json:"authorized_at"`
	RevokedAt      *time.Time `json:"revoked_at"`
	TokenExpiresAt *time.Time `json:"token_expires_at"`
	RefreshedAt    *time.Time `json:"refreshed_at"`
	RefreshAt      *time.Time `json:"refresh_at" doc:"When the next refresh is due · 下次刷新时间"`
	Trouble        *trouble   `json:"trouble" doc:"What went wrong with refreshing; null while it goes well · 刷新异常，正常时为 null"`
	CreatedAt      *time.Time `json:"created_at"`
	UpdatedAt      *time.Time `json:"updated_at"`
}

// trouble is what went wrong with refreshing since it last went well.
type trouble struct {
	_ struct{} `nullable:"true"`

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
	if shown.Tags = a.Tags; shown.Tags == nil {
		shown.Tags = []string{}
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

// settled implements live: by requests, only the tags change.
func (a authorizer) settled() any { return a.Tags }

type listAuthorizersInput struct {
	Paging
	Component     string `query:"component" doc:"AppID of a component · 第三方平台 AppID"`
	State         string `query:"state" enum:"active,needs_reauthorization,revoked"`
	Kind          string `query:"kind" enum:"official_account,mini_program"`
	PermissionSet int    `query:"permission_set" minimum:"1" maximum:"1073741824" doc:"The id of a permission set · 权限集 ID"`
	Tag           string `query:"tag"`
	Text          string `query:"q" doc:"Matches the AppID, the original id or a part of the nick name · 匹配 AppID、原始 ID 或部分昵称"`
}

func (a *API) listAuthorizers(ctx context.Context, in *listAuthorizersInput) (*output[list[authorizer]], error) {
	search := store.AuthorizerQuery{
		Component:     tuoguan.ComponentAppID(in.Component),
		State:         tuoguan.State(in.State),
		Kind:          tuoguan.Kind(in.Kind),
		PermissionSet: tuoguan.PermissionSet(in.PermissionSet),
		Tag:           in.Tag,
		Text:          in.Text,
		Reach:         callOf(ctx).Reach(),
		Limit:         in.Limit + 1, // one more tells whether there is a next page
	}
	if in.Cursor != "" {
		var ok bool
		if search.After, ok = parseCursor(in.Cursor); !ok {
			return nil, badCursor
		}
	}
	found, err := a.cfg.Store.Authorizers(ctx, search)
	if err != nil {
		return nil, problem.Storage(err)
	}
	page := list[authorizer]{Items: []authorizer{}}
	if len(found) > in.Limit {
		found = found[:in.Limit]
		page.NextCursor = cursorOf(found[in.Limit-1].Authorization)
	}
	for _, item := range found {
		page.Items = append(page.Items, showAuthorizer(item))
	}
	return &output[list[authorizer]]{http.StatusOK, page}, nil
}

var badCursor = problem.BadRequest.Field("cursor", "is not a cursor of this list", "不是本列表的游标")

// cursorOf names where a page of authorizers ended.
func cursorOf(a tuoguan.Authorization) string {
	return base64.RawURLEncoding.EncodeToString([]byte(a.String()))
}

func parseCursor(cursor string) (tuoguan.Authorization, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	component, account, ok := strings.Cut(string(raw), "/")
	return tuoguan.Authorization{Component: tuoguan.ComponentAppID(component), Authorizer: tuoguan.AuthorizerAppID(account)}, err == nil && ok
}

// Account is embedded in the input of routes about one account.
type Account struct {
	AppID     string `path:"appid" doc:"AppID of the account · 授权账号 AppID"`
	Component string `query:"component" doc:"Which component is meant, where the account has authorized several · 账号授权了多个第三方平台时指明其一"`
}

// authorizer returns the authorization that is asked about, if the caller has to do
// with it. One out of reach is as one that does not exist.
func (a *API) authorizer(ctx context.Context, in Account) (store.Authorizer, error) {
	found, err := a.cfg.Store.Authorizers(ctx, store.AuthorizerQuery{
		Authorizer: tuoguan.AuthorizerAppID(in.AppID), Component: tuoguan.ComponentAppID(in.Component), Reach: callOf(ctx).Reach(),
	})
	switch {
	case err != nil:
		return store.Authorizer{}, problem.Storage(err)
	case len(found) == 0:
		return store.Authorizer{}, problem.UnknownAuthorizer
	case len(found) == 1:
		return found[0], nil
	}
	p := problem.AmbiguousComponent
	for _, candidate := range found {
		p.Components = append(p.Components, string(candidate.Component))
	}
	return store.Authorizer{}, p
}

type getAuthorizerInput struct {
	Account
	Cached
}

// Authorizer is [authorizer] by a name that huma sees when it is embedded.
type Authorizer = authorizer

// authorizerDetail is an authorization as it is shown by itself.
type authorizerDetail struct {
	Authorizer
	Wanted wantedSets `json:"wanted_permission_sets" doc:"Those that the newest link this account authorized through asked for; null if there is no such link, or it asked for all · 最近一次授权链接所要求的权限集，无则为 null"`
}

func (a *API) getAuthorizer(ctx context.Context, in *getAuthorizerInput) (*resource[authorizerDetail], error) {
	found, err := a.authorizer(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	shown := authorizerDetail{Authorizer: showAuthorizer(found)}
	if shown.Wanted, err = a.wanted(ctx, found.Authorization); err != nil {
		return nil, err
	}
	return show(shown, in.Cached)
}

// maxTags is how many tags an authorizer may have.
const maxTags = 50

type tagsBody struct {
	Tags []string `json:"tags" maxItems:"50" doc:"All tags from now on: lines of at most 64 bytes · 全部标签，每个为不超过 64 字节的单行文本"`
}

type putTagsInput struct {
	Account
	Guarded
	Input[tagsBody]
}

// mayRetag reports whether the caller may replace tags. They decide who has to do with
// an authorizer, so who is bound to accounts or tags can give and take only tags of the
// own scope.
func (c *call) mayRetag(before, after []string) bool {
	foreign := func(tags []string) []string {
		return slices.DeleteFunc(slices.Clone(tags), func(tag string) bool { return slices.Contains(c.Scope.Tags, tag) })
	}
	return !c.boundToAccounts() || slices.Equal(foreign(before), foreign(after))
}

// putTags replaces the tags of an authorizer.
func (a *API) putTags(ctx context.Context, in *putTagsInput) (*resource[authorizer], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	if body.Tags == nil {
		return nil, problem.BadRequest.Field("tags", "is required", "必填")
	}
	tags := slices.Compact(slices.Sorted(slices.Values(body.Tags)))
	if len(tags) > maxTags {
		return nil, problem.InvalidField.Field("tags", "are too many, at most 50", "数量过多，至多 50 个")
	}
	for i, tag := range body.Tags {
		if !access.ValidTag(tag) {
			return nil, problem.InvalidField.Field(fmt.Sprintf("tags[%d]", i), "must be a line of at most 64 bytes", "须为单行且不超过 64 字节")
		}
	}
	found, err := a.authorizer(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	if err := in.Guarded.check(showAuthorizer(found)); err != nil {
		return nil, err
	}
	if err := a.retag(ctx, found, tags); err != nil {
		return nil, err
	}
	found.Tags = tags
	return changed(http.StatusOK, showAuthorizer(found))
}

// retag replaces the tags of an authorizer, if the caller may.
func (a *API) retag(ctx context.Context, found store.Authorizer, tags []string) error {
	if !callOf(ctx).mayRetag(found.Tags, tags) {
		return problem.MissingScope.With("only tags in the scope of the API key can be given and taken", "只能增减 API 密钥权限范围内的标签")
	}
	if err := a.record(ctx, found.Authorization, "", map[string]string{"tags": strings.Join(tags, ", ")}); err != nil {
		return err
	}
	if err := a.cfg.Store.SaveTags(ctx, found.Authorization, tags); errors.Is(err, store.ErrNotFound) {
		return problem.UnknownAuthorizer
	} else if err != nil {
		return problem.Storage(err)
	}
	a.cfg.Directory.Forget(found.Authorization.Authorizer)
	return nil
}
