package admin

import (
	"context"
	"net/http"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/gateway"
)

// Gateway calls WeChat, and tells what it did: [gateway.Gateway].
type Gateway interface {
	Busiest(n int) []gateway.AccountCalls
	Recent(a tuoguan.Authorization) ([]gateway.RecentCall, []gateway.SeenQuota)
	Do(ctx context.Context, request gateway.Request) (gateway.Answer, error)
}

var _ Gateway = (*gateway.Gateway)(nil)

type gatewayAccountsInput struct {
	Limit int `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"How many accounts · 返回条数"`
}

// gatewayAccounts lists the accounts that the gateway of this replica has called WeChat
// for most often, which no metric can: there are as many as there are merchants.
func (a *API) gatewayAccounts(_ context.Context, in *gatewayAccountsInput) (*output[list[gateway.AccountCalls]], error) {
	return &output[list[gateway.AccountCalls]]{http.StatusOK, list[gateway.AccountCalls]{Items: a.cfg.Gateway.Busiest(in.Limit)}}, nil
}
