package wxapi

import (
	"context"

	"github.com/tuoguan/tuoguan"
)

// CreateComponentToken mints the component access token from the AppSecret and a
// verify ticket (api_component_token). It takes no token and repeats nothing by
// itself unless it was never sent.
//
// Each success may end the life of the token before, so let one place do it. A
// ticket is good for 12 hours and for any number of tokens.
//
// Errors: [ErrTicketInvalid]; [ErrConfig] for a wrong secret or an address that is
// not in the IP whitelist; [ErrQuota]; any other [*APIError].
// Source: third-party platform docs, api_component_token, read 2026.
//
//wx:api POST /cgi-bin/component/api_component_token
func (c *Client) CreateComponentToken(ctx context.Context, component tuoguan.ComponentAppID, secret, ticket tuoguan.Secret) (tuoguan.AccessToken, error) {
	r := post("/cgi-bin/component/api_component_token", tuoguan.TokenOwner{}, struct {
		ComponentAppID tuoguan.ComponentAppID `json:"component_appid"`
		Secret         string                 `json:"component_appsecret"`
		Ticket         string                 `json:"component_verify_ticket"`
	}{component, secret.Reveal(), ticket.Reveal()}).holding(secret, ticket)
	var wire struct {
		Token     string `json:"component_access_token"`
		ExpiresIn number `json:"expires_in"`
	}
	got, err := c.call(ctx, r, &wire)
	if err != nil {
		return tuoguan.AccessToken{}, err
	}
	token, err := got.token("component_access_token", wire.Token)
	if err != nil {
		return tuoguan.AccessToken{}, err
	}
	return tuoguan.AccessToken{Value: token, ExpiresAt: got.expiry(wire.ExpiresIn)}, nil
}

// StartPushTicket asks WeChat to push verify tickets again
// (api_start_push_ticket), which stops after long failure. The next push comes
// within about ten minutes. It takes no token, and does no harm while tickets are
// pushed.
//
// Source: third-party platform docs, api_start_push_ticket, read 2026; here, and
// only here, the AppSecret is called component_secret.
//
//wx:api POST /cgi-bin/component/api_start_push_ticket
func (c *Client) StartPushTicket(ctx context.Context, component tuoguan.ComponentAppID, secret tuoguan.Secret) error {
	r := post("/cgi-bin/component/api_start_push_ticket", tuoguan.TokenOwner{}, struct {
		ComponentAppID tuoguan.ComponentAppID `json:"component_appid"`
		Secret         string                 `json:"component_secret"`
	}{component, secret.Reveal()}).holding(secret).repeat()
	_, err := c.call(ctx, r, nil)
	return err
}
