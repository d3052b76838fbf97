package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/authorize"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// link is an authorization link as the API shows it.
type link struct {
	ID             string                  `json:"id"`
	URL            string                  `json:"url"`
	State          authorize.State         `json:"state" enum:"open,used,expired"`
	ComponentAppID string                  `json:"component_appid"`
	AuthType       int                     `json:"auth_type"`
	BizAppID       string                  `json:"biz_appid"`
	PermissionSets []tuoguan.PermissionSet `json:"permission_sets"`
	Reference      string                  `json:"reference"`
	ReturnURL      string                  `json:"return_url"`
	CreatedAt      time.Time               `json:"created_at"`
	ExpiresAt      time.Time               `json:"expires_at"`
	UsedAt         *time.Time              `json:"used_at"`
	UsedBy         string                  `json:"used_by" doc:"The account that authorized · 完成授权的账号"`
}

func (a *API) showLink(l store.Link) link {
	shown := link{
		ID: l.ID, URL: a.cfg.Links.URL(l.ID), State: a.cfg.Links.StateOf(l), ComponentAppID: string(l.Component),
		AuthType: l.AuthType, BizAppID: string(l.BizAppID), PermissionSets: l.PermissionSets, Reference: l.Reference, ReturnURL: l.ReturnURL,
		CreatedAt: l.CreatedAt.UTC(), ExpiresAt: l.ExpiresAt.UTC(), UsedAt: instant(l.UsedAt), UsedBy: string(l.UsedBy),
	}
	if shown.PermissionSets == nil {
		shown.PermissionSets = []tuoguan.PermissionSet{}
	}
	return shown
}

// reaches reports whether the caller has to do with a link: with its component, and,
// where the scope is bound to accounts, with the one account that it is for.
func (c *call) reaches(l store.Link) bool {
	return c.Reach().Contains(tuoguan.Authorization{Component: l.Component, Authorizer: l.BizAppID}, nil)
}

type linkBody struct {
	ComponentAppID tuoguan.ComponentAppID  `json:"component_appid"`
	AuthType       *wxapi.AuthType         `json:"auth_type,omitempty" doc:"Which accounts WeChat offers: 1 Official Accounts, 2 Mini Programs, 3 both (default), 4 promoters, 5 Channels, 6 all of these, 8 talent assistants · 可授权的账号类型"`
	BizAppID       tuoguan.AuthorizerAppID `json:"biz_appid,omitempty" doc:"Only this account · 仅限该账号"`
	PermissionSets []tuoguan.PermissionSet `json:"permission_sets,omitempty" doc:"The ids that WeChat's page offers; without it, all that the component has · 授权页展示的权限集 ID，默认全部"`
	Reference      string                  `json:"reference,omitempty" doc:"Your name for the tenant · 租户标识"`
	ReturnURL      string                  `json:"return_url,omitempty" doc:"Where the result page leads back to · 结果页的返回地址"`
	ExpiresIn      *int64                  `json:"expires_in,omitempty" doc:"Seconds, at most 7776000 (90 days); 7 days by default · 有效秒数，至多 90 天，默认 7 天"`
}

type createLinkInput struct{ Input[linkBody] }

func (a *API) createLink(ctx context.Context, in *createLinkInput) (*resource[link], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	n := authorize.NewLink{
		Component: body.ComponentAppID, BizAppID: body.BizAppID, PermissionSets: body.PermissionSets,
		Reference: body.Reference, ReturnURL: body.ReturnURL, ExpiresIn: authorize.DefaultLife,
	}
	if n.Component == "" {
		return nil, problem.BadRequest.Field("component_appid", "is required", "必填")
	}
	if body.AuthType != nil {
		if n.AuthType = *body.AuthType; n.AuthType == 0 {
			n.AuthType = -1 // 0 is what leaving it out means, not a value
		}
	}
	if body.ExpiresIn != nil {
		if *body.ExpiresIn < 1 || *body.ExpiresIn > int64(authorize.MaxLife/time.Second) {
			return nil, problem.InvalidField.Field("expires_in", "must be from 1 to 7776000 seconds (90 days)", "取值为 1 至 7776000 秒（90 天）")
		}
		n.ExpiresIn = time.Duration(*body.ExpiresIn) * time.Second
	}
	c := callOf(ctx)
	if c.sees(n.Component) != nil {
		return nil, problem.InvalidField.Field("component_appid", "is not a component kept here", "未登记该第三方平台")
	}
	if !c.reaches(store.Link{Component: n.Component, BizAppID: n.BizAppID}) {
		return nil, problem.MissingScope.With(
			"the scope of the API key is bound to accounts; biz_appid has to name one of them", "API 密钥限定了账号，biz_appid 须为其中之一")
	}
	created, err := a.cfg.Links.Create(ctx, n)
	if field, ok := errors.AsType[*authorize.FieldError](err); ok {
		return nil, problem.InvalidField.Field(field.Field, field.Problem, field.Chinese)
	}
	if err != nil {
		return nil, err
	}
	// Nobody can guess a link, so it is of no use before this call is answered.
	authorization := tuoguan.Authorization{Component: n.Component, Authorizer: n.BizAppID}
	if err := a.record(ctx, authorization, created.ID, map[string]string{"reference": n.Reference}); err != nil {
		return nil, err
	}
	return changed(http.StatusCreated, a.showLink(created))
}

type getLinkInput struct {
	ID string `path:"id"`
	Cached
}

func (a *API) getLink(ctx context.Context, in *getLinkInput) (*resource[link], error) {
	found, err := a.cfg.Store.Link(ctx, in.ID)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !callOf(ctx).reaches(found):
		return nil, problem.UnknownLink
	case err != nil:
		return nil, problem.Storage(err)
	}
	return show(a.showLink(found), in.Cached)
}

type listLinksInput struct {
	Paging
	Component string `query:"component" doc:"AppID of a component · 第三方平台 AppID"`
}

func (a *API) listLinks(ctx context.Context, in *listLinksInput) (*output[list[link]], error) {
	page := list[link]{Items: []link{}}
	for after, scanned := in.Cursor, 0; ; {
		found, err := a.cfg.Store.Links(ctx, tuoguan.ComponentAppID(in.Component), after, in.Limit+1)
		if err != nil {
			return nil, problem.Storage(err)
		}
		for _, l := range found {
			after = l.ID
			if !callOf(ctx).reaches(l) {
				continue
			}
			if len(page.Items) == in.Limit {
				page.NextCursor = page.Items[in.Limit-1].ID
				return &output[list[link]]{http.StatusOK, page}, nil
			}
			page.Items = append(page.Items, a.showLink(l))
		}
		if scanned += len(found); len(found) > in.Limit && scanned >= maxScan {
			page.NextCursor = after
			return &output[list[link]]{http.StatusOK, page}, nil
		}
		if len(found) <= in.Limit {
			return &output[list[link]]{http.StatusOK, page}, nil
		}
	}
}
