package wxapi

import (
	"context"

	"github.com/tuoguan/tuoguan"
)

// GetCallbackIP lists the addresses and networks from which WeChat pushes. The list
// changes without notice.
//
// Source: Official Account docs, getcallbackip, read 2026.
//
//wx:api GET /cgi-bin/getcallbackip
func (c *Client) GetCallbackIP(ctx context.Context, owner tuoguan.TokenOwner) ([]string, error) {
	return c.ipList(ctx, get("/cgi-bin/getcallbackip", owner, nil))
}

// GetAPIDomainIP lists the addresses and networks of WeChat's API, for firewalls.
//
// Source: Official Account docs, get_api_domain_ip, read 2026.
//
//wx:api GET /cgi-bin/get_api_domain_ip
func (c *Client) GetAPIDomainIP(ctx context.Context, owner tuoguan.TokenOwner) ([]string, error) {
	return c.ipList(ctx, get("/cgi-bin/get_api_domain_ip", owner, nil))
}

func (c *Client) ipList(ctx context.Context, r request) ([]string, error) {
	var wire struct {
		List []string `json:"ip_list"`
	}
	got, err := c.call(ctx, r.repeat(), &wire)
	if err != nil {
		return nil, err
	}
	if len(wire.List) == 0 {
		return nil, got.unusable("no ip_list")
	}
	return wire.List, nil
}

// CheckAction is what [Client.CallbackCheck] tries.
type CheckAction string

const (
	CheckDNS  CheckAction = "dns"
	CheckPing CheckAction = "ping"
	CheckAll  CheckAction = "all"
)

// CheckOperator is the network from which [Client.CallbackCheck] tries it.
type CheckOperator string

const (
	OperatorDefault      CheckOperator = "DEFAULT"
	OperatorChinaTelecom CheckOperator = "CHINANET"
	OperatorChinaUnicom  CheckOperator = "UNICOM"
	OperatorTencent      CheckOperator = "CAP"
)

// CallbackCheckResult says how WeChat sees the host of the callback URL.
type CallbackCheckResult struct {
	DNS  []ResolvedAddress `json:"dns"`
	Ping []PingResult      `json:"ping"`
}

// ResolvedAddress is an address that the host resolves to, and whose network it is.
type ResolvedAddress struct {
	IP       string `json:"ip"`
	Operator string `json:"real_operator"`
}

// PingResult is how an address answered.
type PingResult struct {
	IP           string `json:"ip"`
	FromOperator string `json:"from_operator"`
	PackageLoss  string `json:"package_loss"` // such as "0%"
	Time         string `json:"time"`         // such as "23.5ms"
}

// CallbackCheck lets WeChat try to reach the callback URL of owner.
//
// Source: Official Account docs, callback/check, read 2026.
//
//wx:api POST /cgi-bin/callback/check
func (c *Client) CallbackCheck(ctx context.Context, owner tuoguan.TokenOwner, action CheckAction, operator CheckOperator) (CallbackCheckResult, error) {
	var result CallbackCheckResult
	_, err := c.call(ctx, post("/cgi-bin/callback/check", owner, struct {
		Action   CheckAction   `json:"action"`
		Operator CheckOperator `json:"check_operator"`
	}{action, operator}).repeat(), &result)
	if err != nil {
		return CallbackCheckResult{}, err
	}
	return result, nil
}
