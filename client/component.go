package client

import (
	"context"
	"net/http"
	"time"

	"github.com/tuoguan/tuoguan"
)

// Component is a third-party platform kept by the server, without its secrets.
type Component struct {
	AppID tuoguan.ComponentAppID `json:"appid"`
	// EventURL and MessageURL are to be set in the component's console at WeChat.
	EventURL   string `json:"event_url"`
	MessageURL string `json:"message_url"`

	TicketReceivedAt *time.Time              `json:"ticket_received_at"`
	TokenExpiresAt   *time.Time              `json:"token_expires_at"`
	Problem          string                  `json:"problem"` // why there is no new component token
	Authorizers      map[tuoguan.State]int64 `json:"authorizers"`

	// Whether there are these, which are never shown.
	StagedSecret           bool       `json:"staged_secret"`
	PreviousToken          bool       `json:"previous_token"`
	PreviousEncodingAESKey bool       `json:"previous_encoding_aes_key"`
	CreatedAt              *time.Time `json:"created_at"`
	UpdatedAt              *time.Time `json:"updated_at"` // of the credentials

	ETag string `json:"-"` // names this state of the credentials; "" in a list
}

// Components returns all components within the key's reach.
func (c *Client) Components(ctx context.Context) ([]Component, error) {
	var found page[Component]
	_, err := c.call(ctx, get("v1", "components"), &found)
	return found.Items, err
}

// Component returns one component.
func (c *Client) Component(ctx context.Context, id tuoguan.ComponentAppID) (Component, error) {
	return c.oneComponent(ctx, get("v1", "components", string(id)))
}

// Credentials are what the server needs of a component, from the console at WeChat.
type Credentials struct {
	AppID          tuoguan.ComponentAppID
	Secret         tuoguan.Secret // the AppSecret
	Token          tuoguan.Secret // signs pushes
	EncodingAESKey tuoguan.Secret

	// PreviousToken and PreviousEncodingAESKey stay valid for pushes. If zero, those
	// that are replaced do.
	PreviousToken          tuoguan.Secret
	PreviousEncodingAESKey tuoguan.Secret
}

// PutComponent adds a component, or replaces all credentials of one, effective at once.
func (c *Client) PutComponent(ctx context.Context, put Credentials) (Component, error) {
	body := map[string]string{
		"appid": string(put.AppID), "secret": put.Secret.Reveal(), "token": put.Token.Reveal(), "encoding_aes_key": put.EncodingAESKey.Reveal(),
	}
	for name, value := range map[string]tuoguan.Secret{"previous_token": put.PreviousToken, "previous_encoding_aes_key": put.PreviousEncodingAESKey} {
		if !value.IsZero() {
			body[name] = value.Reveal()
		}
	}
	return c.oneComponent(ctx, create(body, "v1", "components"))
}

// ComponentChange is what is to be different about a component's credentials; nil
// fields stay.
type ComponentChange struct {
	// Secret replaces the AppSecret at once. StagedSecret is tried once WeChat refuses
	// the present one, and replaces it then; a zero one withdraws it.
	Secret, StagedSecret *tuoguan.Secret
	// Token and EncodingAESKey replace the present ones, which become the previous ones.
	Token, EncodingAESKey *tuoguan.Secret
	// The previous ones stay valid for pushes; zero ones are taken no more.
	PreviousToken, PreviousEncodingAESKey *tuoguan.Secret
}

// ChangeComponent changes or rotates credentials of a component. With the ETag of one
// read before it fails with [ErrPreconditionFailed] if they have changed since; "" is
// whatever they are now.
func (c *Client) ChangeComponent(ctx context.Context, id tuoguan.ComponentAppID, change ComponentChange, etag string) (Component, error) {
	body := make(map[string]string)
	for name, value := range map[string]*tuoguan.Secret{
		"secret": change.Secret, "staged_secret": change.StagedSecret, "token": change.Token, "encoding_aes_key": change.EncodingAESKey,
		"previous_token": change.PreviousToken, "previous_encoding_aes_key": change.PreviousEncodingAESKey,
	} {
		if value != nil {
			body[name] = value.Reveal()
		}
	}
	return c.oneComponent(ctx, request{method: http.MethodPatch, path: []string{"v1", "components", string(id)}, header: ifMatch(etag), body: body})
}

func (c *Client) oneComponent(ctx context.Context, r request) (Component, error) {
	var found Component
	got, err := c.call(ctx, r, &found)
	found.ETag = got.header.Get("ETag")
	return found, err
}

// Reconciliation is what a comparison with WeChat's list has found and mended.
type Reconciliation struct {
	Listed      int `json:"listed"`      // authorizations in WeChat's list
	Adopted     int `json:"adopted"`     // that were not known here
	Renewed     int `json:"renewed"`     // that had been given anew unnoticed
	Candidates  int `json:"candidates"`  // refresh tokens that were not known here
	Unexchanged int `json:"unexchanged"` // whose code was never exchanged: the merchant must authorize again
	Unlisted    int `json:"unlisted"`    // active here and not listed; each is verified by a refresh
}

// Reconcile compares a component's authorizations with WeChat's list, and repairs.
func (c *Client) Reconcile(ctx context.Context, id tuoguan.ComponentAppID) (Reconciliation, error) {
	var done Reconciliation
	_, err := c.call(ctx, post(nil, "v1", "components", string(id), "reconcile"), &done)
	return done, err
}
