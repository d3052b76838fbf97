package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/netip"
	"time"

	"github.com/tuoguan/tuoguan"
)

// Scope is what an API key may do. Empty lists but Operations do not bound it.
type Scope struct {
	// Operations are such as "tokens:read", "gateway:call" or "*"; docs/api.md lists
	// them.
	Operations []string                 `json:"operations"`
	Components []tuoguan.ComponentAppID `json:"components,omitempty"`
	// Authorizers and Tags: accounts that are named, or have one of the tags.
	Authorizers []tuoguan.AuthorizerAppID `json:"authorizers,omitempty"`
	Tags        []string                  `json:"tags,omitempty"`
	Paths       []string                  `json:"paths,omitempty"` // of WeChat's, for the gateway: "/cgi-bin/user/info", "/cgi-bin/menu/*"
	Networks    []netip.Prefix            `json:"networks,omitempty"`
	Rate        float64                   `json:"rate,omitempty"` // requests per second; 0 is the server's default
}

// APIKey is a key as the server shows it: without the key itself.
type APIKey struct {
	ID            string     `json:"id"`
	Name          string     `json:"name"`
	Scope         Scope      `json:"scope"`
	CreatedAt     time.Time  `json:"created_at"`
	UpdatedAt     time.Time  `json:"updated_at"`
	ExpiresAt     *time.Time `json:"expires_at"` // nil: never
	RevokedAt     *time.Time `json:"revoked_at"`
	PreviousUntil *time.Time `json:"previous_until"` // until when the key before the last rotation is taken
	LastUsedAt    *time.Time `json:"last_used_at"`

	ETag string `json:"-"` // names this state; "" in a list
}

// Expiry says when a key expires. At most one field may be set.
type Expiry struct {
	In    time.Duration // from now, in whole seconds
	At    time.Time
	Never bool // has to be said expressly
}

// body returns the fields of the API for e.
func (e Expiry) body() expiryBody {
	body := expiryBody{In: int64(e.In / time.Second), Never: e.Never}
	if !e.At.IsZero() {
		body.At = &e.At
	}
	return body
}

type expiryBody struct {
	In    int64      `json:"expires_in,omitzero"`
	At    *time.Time `json:"expires_at,omitempty"`
	Never bool       `json:"never_expires,omitzero"`
}

// NewAPIKey is a key to be made.
type NewAPIKey struct {
	Name    string // for people
	Scope   Scope
	Expires Expiry // 90 days from now if zero
}

// MadeAPIKey is a key that was made or rotated, with the key itself, which is not
// shown again.
type MadeAPIKey struct {
	APIKey
	Key tuoguan.Secret `json:"-"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (k *MadeAPIKey) UnmarshalJSON(text []byte) error {
	var body struct {
		APIKey
		Key string `json:"key"`
	}
	err := json.Unmarshal(text, &body)
	*k = MadeAPIKey{body.APIKey, tuoguan.NewSecret(body.Key)}
	return err
}

// APIKeys lists the API keys, revoked and expired ones included.
func (c *Client) APIKeys(ctx context.Context) iter.Seq2[APIKey, error] {
	return list[APIKey](ctx, c, get("v1", "api-keys"))
}

// APIKey returns one API key.
func (c *Client) APIKey(ctx context.Context, id string) (APIKey, error) {
	return c.apiKey(ctx, get("v1", "api-keys", id))
}

// CreateAPIKey makes an API key, which can do no more than the key that asks for it.
func (c *Client) CreateAPIKey(ctx context.Context, n NewAPIKey) (MadeAPIKey, error) {
	var made MadeAPIKey
	_, err := c.call(ctx, create(struct {
		Name  string `json:"name"`
		Scope Scope  `json:"scope"`
		expiryBody
	}{n.Name, n.Scope, n.Expires.body()}, "v1", "api-keys"), &made)
	return made, err
}

// APIKeyChange is what is to be different about a key; what is nil or zero stays.
type APIKeyChange struct {
	Name    *string
	Scope   *Scope // all of it
	Expires Expiry
}

// ChangeAPIKey changes an API key. With the ETag of one read before it fails with
// [ErrPreconditionFailed] if the key has changed since; "" is whatever it is now.
func (c *Client) ChangeAPIKey(ctx context.Context, id string, change APIKeyChange, etag string) (APIKey, error) {
	return c.apiKey(ctx, request{method: http.MethodPatch, path: []string{"v1", "api-keys", id}, header: ifMatch(etag), body: struct {
		Name  *string `json:"name,omitempty"`
		Scope *Scope  `json:"scope,omitempty"`
		expiryBody
	}{change.Name, change.Scope, change.Expires.body()}})
}

// Rotation is how a key is replaced. The zero Rotation leaves the old one valid for a day.
type Rotation struct {
	// Grace is how long the old key stays valid beside the new one, up to 30 days. A
	// negative one ends it at once.
	Grace time.Duration
	// Expires replaces when the key expires, unless it is zero. Never is not possible.
	Expires Expiry
}

// RotateAPIKey replaces the key itself.
func (c *Client) RotateAPIKey(ctx context.Context, id string, how Rotation) (MadeAPIKey, error) {
	body := struct {
		Grace *int64 `json:"grace_seconds,omitempty"`
		expiryBody
	}{expiryBody: how.Expires.body()}
	if how.Grace != 0 {
		grace := max(0, int64(how.Grace/time.Second))
		body.Grace = &grace
	}
	var made MadeAPIKey
	_, err := c.call(ctx, create(body, "v1", "api-keys", id, "rotate"), &made)
	return made, err
}

// RevokeAPIKey takes an API key back for ever, on every replica within seconds. A
// revoked one stays revoked.
func (c *Client) RevokeAPIKey(ctx context.Context, id string) (APIKey, error) {
	r := post(nil, "v1", "api-keys", id, "revoke")
	r.again = true
	return c.apiKey(ctx, r)
}

func (c *Client) apiKey(ctx context.Context, r request) (APIKey, error) {
	var found APIKey
	got, err := c.call(ctx, r, &found)
	found.ETag = got.header.Get("ETag")
	return found, err
}
