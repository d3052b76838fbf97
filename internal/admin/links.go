package admin

import (
	"errors"
	"net/http"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/authorize"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// link is an authorization link as the API shows it.
type link struct {
	ID             string                  `json:"id"`
	URL            string                  `json:"url"`
	State          authorize.State         `json:"state"`
	ComponentAppID string                  `json:"component_appid"`
	AuthType       int                     `json:"auth_type"`
	BizAppID       string                  `json:"biz_appid"`
	PermissionSets []tuoguan.PermissionSet `json:"permission_sets"`
	Reference      string                  `json:"reference"`
	ReturnURL      string                  `json:"return_url"`
	CreatedAt      time.Time               `json:"created_at"`
	ExpiresAt      time.Time               `json:"expires_at"`
	UsedAt         *time.Time              `json:"used_at"`
	UsedBy         string                  `json:"used_by"` // the account that authorized
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

func (a *API) createLink(r *http.Request) (reply, error) {
	var body struct {
		ComponentAppID tuoguan.ComponentAppID  `json:"component_appid"`
		AuthType       *wxapi.AuthType         `json:"auth_type"`
		BizAppID       tuoguan.AuthorizerAppID `json:"biz_appid"`
		PermissionSets []tuoguan.PermissionSet `json:"permission_sets"`
		Reference      string                  `json:"reference"`
		ReturnURL      string                  `json:"return_url"`
		ExpiresIn      *int64                  `json:"expires_in"` // seconds
	}
	if err := decode(r, &body); err != nil {
		return reply{}, err
	}
	n := authorize.NewLink{
		Component: body.ComponentAppID, BizAppID: body.BizAppID, PermissionSets: body.PermissionSets,
		Reference: body.Reference, ReturnURL: body.ReturnURL, ExpiresIn: authorize.DefaultLife,
	}
	if n.Component == "" {
		return reply{}, badRequest.field("component_appid", "is required", "必填")
	}
	if body.AuthType != nil {
		if n.AuthType = *body.AuthType; n.AuthType == 0 {
			n.AuthType = -1 // 0 is what leaving it out means, not a value
		}
	}
	if body.ExpiresIn != nil {
		if *body.ExpiresIn < 1 || *body.ExpiresIn > int64(authorize.MaxLife/time.Second) {
			return reply{}, invalidField.field("expires_in", "must be from 1 to 7776000 seconds (90 days)", "取值为 1 至 7776000 秒（90 天）")
		}
		n.ExpiresIn = time.Duration(*body.ExpiresIn) * time.Second
	}
	created, err := a.cfg.Links.Create(r.Context(), n)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusCreated, body: a.showLink(created)}, nil
}

func (a *API) getLink(r *http.Request) (reply, error) {
	found, err := a.cfg.Store.Link(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return reply{}, unknownLink
	case err != nil:
		return reply{}, storeError{err}
	}
	return reply{body: a.showLink(found)}, nil
}

func (a *API) listLinks(r *http.Request) (reply, error) {
	q := parseQuery(r, "component", "cursor", "limit")
	limit := q.limit()
	if q.err != nil {
		return reply{}, q.err
	}
	found, err := a.cfg.Store.Links(r.Context(), tuoguan.ComponentAppID(q.text("component")), q.text("cursor"), limit+1)
	if err != nil {
		return reply{}, storeError{err}
	}
	page := list[link]{Items: []link{}}
	if len(found) > limit {
		found = found[:limit]
		page.NextCursor = found[limit-1].ID
	}
	for _, item := range found {
		page.Items = append(page.Items, a.showLink(item))
	}
	return reply{body: page}, nil
}
