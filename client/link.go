package client

import (
	"context"
	"iter"
	"time"

	"github.com/tuoguan/tuoguan"
)

// NewLink is an authorization link to be made. Only the component is required.
type NewLink struct {
	ComponentAppID tuoguan.ComponentAppID `json:"component_appid"` // "" is [Config.Component]
	// AuthType is which accounts WeChat offers: 1 Official Accounts, 2 Mini Programs,
	// 3 both, which is the default, and others of docs/api.md.
	AuthType       int                     `json:"auth_type,omitzero"`
	BizAppID       tuoguan.AuthorizerAppID `json:"biz_appid,omitzero"` // only this account
	PermissionSets []tuoguan.PermissionSet `json:"permission_sets,omitempty"`
	Reference      string                  `json:"reference,omitzero"`  // your name for the tenant
	ReturnURL      string                  `json:"return_url,omitzero"` // where the result page leads back to
	ExpiresIn      time.Duration           `json:"-"`                   // in whole seconds; 0 is 7 days
}

// Link is an authorization link.
type Link struct {
	ID             string                  `json:"id"`
	URL            string                  `json:"url"`   // for the merchant
	State          string                  `json:"state"` // open, used or expired
	ComponentAppID tuoguan.ComponentAppID  `json:"component_appid"`
	AuthType       int                     `json:"auth_type"`
	BizAppID       tuoguan.AuthorizerAppID `json:"biz_appid"`
	PermissionSets []tuoguan.PermissionSet `json:"permission_sets"`
	Reference      string                  `json:"reference"`
	ReturnURL      string                  `json:"return_url"`
	CreatedAt      time.Time               `json:"created_at"`
	ExpiresAt      time.Time               `json:"expires_at"`
	UsedAt         *time.Time              `json:"used_at"`
	UsedBy         tuoguan.AuthorizerAppID `json:"used_by"` // the account that authorized
}

// CreateLink makes an authorization link, whose URL a merchant opens.
func (c *Client) CreateLink(ctx context.Context, n NewLink) (Link, error) {
	if n.ComponentAppID == "" {
		n.ComponentAppID = c.component
	}
	body := struct {
		NewLink
		ExpiresIn int64 `json:"expires_in,omitzero"`
	}{n, int64(n.ExpiresIn / time.Second)}
	var made Link
	_, err := c.call(ctx, create(body, "v1", "authorization-links"), &made)
	return made, err
}

// Link returns one authorization link.
func (c *Client) Link(ctx context.Context, id string) (Link, error) {
	var found Link
	_, err := c.call(ctx, get("v1", "authorization-links", id), &found)
	return found, err
}

// Links lists the authorization links of a component, or of all if it is "".
func (c *Client) Links(ctx context.Context, component tuoguan.ComponentAppID) iter.Seq2[Link, error] {
	return list[Link](ctx, c, get("v1", "authorization-links").with(which(component)))
}
