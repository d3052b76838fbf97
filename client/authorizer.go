package client

import (
	"cmp"
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tuoguan/tuoguan"
)

// Authorizer is an account that has authorized a component.
type Authorizer struct {
	AppID          tuoguan.AuthorizerAppID `json:"appid"`
	ComponentAppID tuoguan.ComponentAppID  `json:"component_appid"`
	State          tuoguan.State           `json:"state"`
	Kind           tuoguan.Kind            `json:"kind"`
	Reference      string                  `json:"reference"` // the tenant, as named by the authorization link
	Tags           []string                `json:"tags"`

	NickName      string `json:"nick_name"`
	UserName      string `json:"user_name"` // original id, gh_…
	Alias         string `json:"alias"`
	HeadImage     string `json:"head_image"`
	PrincipalName string `json:"principal_name"`
	ServiceType   int    `json:"service_type"`   // WeChat's number
	VerifyType    int    `json:"verify_type"`    // WeChat's number
	AccountStatus int    `json:"account_status"` // WeChat's number

	PermissionSets []tuoguan.PermissionSet `json:"permission_sets"`

	Grant          int64      `json:"grant"` // counts the authorizations of this account
	AuthorizedAt   *time.Time `json:"authorized_at"`
	RevokedAt      *time.Time `json:"revoked_at"`
	TokenExpiresAt *time.Time `json:"token_expires_at"`
	RefreshedAt    *time.Time `json:"refreshed_at"`
	RefreshAt      *time.Time `json:"refresh_at"` // when the next refresh is due
	Trouble        *Trouble   `json:"trouble"`    // nil while refreshing goes well
	CreatedAt      *time.Time `json:"created_at"`
	UpdatedAt      *time.Time `json:"updated_at"`

	ETag string `json:"-"` // names this state; "" in a list
}

// Trouble is what went wrong with refreshing since it last went well.
type Trouble struct {
	Failures     int        `json:"failures"`
	Errcode      int        `json:"errcode"`
	Message      string     `json:"message"`
	SuspectSince *time.Time `json:"suspect_since"` // when WeChat first denied the authorization
}

// AuthorizerQuery says which authorizers are listed. The zero query is all.
type AuthorizerQuery struct {
	Component     tuoguan.ComponentAppID
	State         tuoguan.State
	Kind          tuoguan.Kind
	PermissionSet tuoguan.PermissionSet
	Tag           string
	Text          string // part of the name, or an AppID
}

// Authorizers lists authorizers.
func (c *Client) Authorizers(ctx context.Context, q AuthorizerQuery) iter.Seq2[Authorizer, error] {
	set := ""
	if q.PermissionSet != 0 {
		set = strconv.Itoa(int(q.PermissionSet))
	}
	return list[Authorizer](ctx, c, get("v1", "authorizers").with(values(
		"component", string(q.Component), "state", string(q.State), "kind", string(q.Kind),
		"permission_set", set, "tag", q.Tag, "q", q.Text)))
}

// Authorizer returns one authorizer. A component is to be named if the account
// authorizes several; "" is [Config.Component].
func (c *Client) Authorizer(ctx context.Context, a tuoguan.Authorization) (Authorizer, error) {
	return c.authorizer(ctx, get(about(tuoguan.AuthorizerToken("", a.Authorizer))...).with(c.which(a)))
}

// SetTags replaces the tags of an authorizer, by which API keys may be bounded. With
// the ETag of an [Authorizer] read before, it fails with [ErrPreconditionFailed] if
// that has changed since; "" is whatever it is now.
func (c *Client) SetTags(ctx context.Context, a tuoguan.Authorization, tags []string, etag string) (Authorizer, error) {
	return c.authorizer(ctx, request{
		method: http.MethodPut, path: about(tuoguan.AuthorizerToken("", a.Authorizer), "tags"), query: c.which(a), header: ifMatch(etag),
		body: map[string][]string{"tags": append([]string{}, tags...)}, again: etag == "",
	})
}

// which names the component of an authorization, if there is one to name.
func (c *Client) which(a tuoguan.Authorization) url.Values {
	return which(cmp.Or(a.Component, c.component))
}

func (c *Client) authorizer(ctx context.Context, r request) (Authorizer, error) {
	var found Authorizer
	got, err := c.call(ctx, r, &found)
	found.ETag = got.header.Get("ETag")
	return found, err
}
