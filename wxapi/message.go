package wxapi

import (
	"context"

	"github.com/tuoguan/tuoguan"
)

// SendCustomMessage sends a text to a user who wrote to the account lately, as a
// customer-service message. It is not repeatable: after [ErrOutcomeUnknown] the
// user may have it. Needs [tuoguan.PermissionMessages], or
// [tuoguan.PermissionMiniProgramCustomerService] for a Mini Program.
//
// Errors: [ErrUser] if the user wrote too long ago or got too many; [ErrQuota];
// any other [*APIError].
// Source: Official Account docs, message/custom/send, read 2026.
//
//wx:api POST /cgi-bin/message/custom/send
func (c *Client) SendCustomMessage(ctx context.Context, authorization tuoguan.Authorization, openID, text string) error {
	type content struct {
		Content string `json:"content"`
	}
	_, err := c.call(ctx, post("/cgi-bin/message/custom/send", accountToken(authorization), struct {
		ToUser string  `json:"touser"`
		Type   string  `json:"msgtype"`
		Text   content `json:"text"`
	}{openID, "text", content{text}}), nil)
	return err
}
