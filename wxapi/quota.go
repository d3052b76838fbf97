package wxapi

import (
	"context"
	"net/url"
	"time"

	"github.com/tuoguan/tuoguan"
)

// ownAppID is the appid of the account or component that owns a token.
func ownAppID(owner tuoguan.TokenOwner) string {
	if owner.IsComponent() {
		return string(owner.Component())
	}
	return string(owner.Authorizer())
}

type appIDBody struct {
	AppID string `json:"appid"`
}

// ClearQuota resets all daily quotas of owner, a component or an account. It can be
// done ten times a month, all ways of doing it taken together; then it is [ErrQuota].
//
// Source: third-party platform docs, clearQuota, read 2026.
//
//wx:api POST /cgi-bin/clear_quota
func (c *Client) ClearQuota(ctx context.Context, owner tuoguan.TokenOwner) error {
	_, err := c.call(ctx, post("/cgi-bin/clear_quota", owner, appIDBody{ownAppID(owner)}), nil)
	return err
}

// ClearQuotaBySecret resets all daily quotas of an ordinary account by its own
// AppSecret. It takes no token. A third-party platform cannot use it for its
// authorizers or for itself; that is [Client.ClearComponentQuota].
//
// Source: third-party platform docs, clearQuotaByAppSecret, read 2026. Its table
// has the parameters in the body and its sample in the query; they are sent in the
// body, where no log of URLs can catch the secret.
//
//wx:api POST /cgi-bin/clear_quota/v2
func (c *Client) ClearQuotaBySecret(ctx context.Context, appID string, secret tuoguan.Secret) error {
	r := post("/cgi-bin/clear_quota/v2", tuoguan.TokenOwner{}, struct {
		appIDBody
		Secret string `json:"appsecret"`
	}{appIDBody{appID}, secret.Reveal()}).holding(secret)
	_, err := c.call(ctx, r, nil)
	return err
}

// ClearComponentQuota resets daily quotas by the component's AppSecret: those of
// authorizer, or the component's own if authorizer is empty. It takes no token, so
// it helps when the quota of api_component_token itself is used up.
//
// Source: third-party platform docs, clearComponentQuotaByAppSecret, read 2026;
// what an absent appid means is not said there.
//
//wx:api POST /cgi-bin/component/clear_quota/v2
func (c *Client) ClearComponentQuota(ctx context.Context, component tuoguan.ComponentAppID, secret tuoguan.Secret, authorizer tuoguan.AuthorizerAppID) error {
	r := post("/cgi-bin/component/clear_quota/v2", tuoguan.TokenOwner{}, struct {
		componentBody
		AppID  tuoguan.AuthorizerAppID `json:"appid,omitempty"`
		Secret string                  `json:"appsecret"`
	}{componentBody{component}, authorizer, secret.Reveal()}).holding(secret)
	_, err := c.call(ctx, r, nil)
	return err
}

type cgiPathBody struct {
	Path string `json:"cgi_path"`
}

// ClearAPIQuota resets the daily quota of one path, such as
// "/cgi-bin/message/custom/send", for owner. It can be done 50 times a month.
//
// Source: Official Account docs, openapi/quota/clear, read 2026.
//
//wx:api POST /cgi-bin/openapi/quota/clear
func (c *Client) ClearAPIQuota(ctx context.Context, owner tuoguan.TokenOwner, path string) error {
	_, err := c.call(ctx, post("/cgi-bin/openapi/quota/clear", owner, cgiPathBody{path}), nil)
	return err
}

// APIQuota is how much of one API was used and may be used.
type APIQuota struct {
	DailyLimit, Used, Remaining int
	// Rate is the limit of the token's owner; zero if the reply has none.
	Rate RateLimit
	// ComponentRate is the limit of the component that calls; zero likewise.
	ComponentRate RateLimit
}

// RateLimit allows so many Calls in each period of Per.
type RateLimit struct {
	Calls int
	Per   time.Duration
}

// GetAPIQuota reads the quota of one path, such as "/cgi-bin/message/custom/send",
// for owner. A path that only the other kind of token can call is [ErrPermission].
//
// Source: Official Account docs, openapi/quota/get, read 2026.
//
//wx:api POST /cgi-bin/openapi/quota/get
func (c *Client) GetAPIQuota(ctx context.Context, owner tuoguan.TokenOwner, path string) (APIQuota, error) {
	type rate struct {
		Calls  number `json:"call_count"`
		Period number `json:"refresh_second"`
	}
	var wire struct {
		Quota *struct {
			DailyLimit number `json:"daily_limit"`
			Used       number `json:"used"`
			Remain     number `json:"remain"`
		} `json:"quota"`
		Rate          rate `json:"rate_limit"`
		ComponentRate rate `json:"component_rate_limit"`
	}
	got, err := c.call(ctx, post("/cgi-bin/openapi/quota/get", owner, cgiPathBody{path}).repeat(), &wire)
	if err != nil {
		return APIQuota{}, err
	}
	if wire.Quota == nil {
		return APIQuota{}, got.unusable("no quota")
	}
	limit := func(r rate) RateLimit {
		return RateLimit{Calls: int(r.Calls), Per: time.Duration(r.Period) * time.Second}
	}
	return APIQuota{
		DailyLimit:    int(wire.Quota.DailyLimit),
		Used:          int(wire.Quota.Used),
		Remaining:     int(wire.Quota.Remain),
		Rate:          limit(wire.Rate),
		ComponentRate: limit(wire.ComponentRate),
	}, nil
}

// RIDInfo is what WeChat recorded about one request.
type RIDInfo struct {
	InvokedAt time.Time
	Cost      time.Duration
	// URL is the request's URL with the values of its query removed.
	URL      string
	ClientIP string
	// RequestBody and ResponseBody are as WeChat saw them and may hold tokens.
	RequestBody, ResponseBody tuoguan.Secret
}

// GetRID looks up a request of owner by the rid of its refusal, see
// [APIError.RID], for seven days.
//
// Source: Official Account docs, openapi/rid/get, read 2026.
//
//wx:api POST /cgi-bin/openapi/rid/get
func (c *Client) GetRID(ctx context.Context, owner tuoguan.TokenOwner, rid string) (RIDInfo, error) {
	var wire struct {
		Request *struct {
			InvokeTime   number `json:"invoke_time"`
			CostInMS     number `json:"cost_in_ms"`
			RequestURL   string `json:"request_url"`
			RequestBody  string `json:"request_body"`
			ResponseBody string `json:"response_body"`
			ClientIP     string `json:"client_ip"`
		} `json:"request"`
	}
	got, err := c.call(ctx, post("/cgi-bin/openapi/rid/get", owner, struct {
		RID string `json:"rid"`
	}{rid}).repeat(), &wire)
	if err != nil {
		return RIDInfo{}, err
	}
	if wire.Request == nil {
		return RIDInfo{}, got.unusable("no request")
	}
	return RIDInfo{
		InvokedAt:    time.Unix(int64(wire.Request.InvokeTime), 0).UTC(),
		Cost:         time.Duration(wire.Request.CostInMS) * time.Millisecond,
		URL:          withoutQueryValues(wire.Request.RequestURL),
		ClientIP:     wire.Request.ClientIP,
		RequestBody:  tuoguan.NewSecret(wire.Request.RequestBody),
		ResponseBody: tuoguan.NewSecret(wire.Request.ResponseBody),
	}, nil
}

// withoutQueryValues keeps the names of a query, which tell how the token was sent.
func withoutQueryValues(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	query := u.Query()
	for name := range query {
		query[name] = []string{""}
	}
	u.User, u.RawQuery, u.Fragment = nil, query.Encode(), ""
	return u.String()
}
