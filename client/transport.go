package client

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/tuoguan/tuoguan"
)

// wechatHosts are the hosts whose requests go to the gateway instead.
var wechatHosts = []string{
	"api.weixin.qq.com", "api2.weixin.qq.com", "sh.api.weixin.qq.com", "sz.api.weixin.qq.com", "hk.api.weixin.qq.com",
}

// keyHeader carries the key to the gateway, so that a caller's own Authorization
// header can be left alone.
const keyHeader = "X-Tuoguan-Key"

// componentHeader says which component is meant where an account has authorized
// several.
const componentHeader = "X-Tuoguan-Component"

// Transport returns a transport by which any http.Client calls WeChat with the token
// of owner, an authorizer or a component: a request to api.weixin.qq.com (or api2,
// sh.api, sz.api, hk.api) goes to the gateway instead, which adds the token. An
// access_token that the request has is dropped there. Requests to other hosts are sent
// as they are, without the key, so that redirects work and the key goes nowhere else.
//
// An answer of the gateway's own, as for a revoked authorization, is a problem
// document; [Problem] reads it.
func (c *Client) Transport(owner tuoguan.TokenOwner) http.RoundTripper {
	if owner.IsComponent() {
		return &transport{client: c, prefix: []string{"component", string(cmp.Or(owner.Component(), c.component))}}
	}
	return &transport{client: c, prefix: []string{"as", string(owner.Authorizer())}, component: cmp.Or(owner.Component(), c.component)}
}

type transport struct {
	client    *Client
	prefix    []string               // of the path
	component tuoguan.ComponentAppID // for the header; "" for none
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !slices.Contains(wechatHosts, strings.ToLower(r.URL.Hostname())) {
		return t.client.http.Transport.RoundTrip(r)
	}
	sent := r.Clone(r.Context())
	// What is below the prefix is the gateway's to judge, so it is passed on as it is.
	address := below(t.client.gateway, t.prefix, r.URL.EscapedPath())
	address.RawQuery = r.URL.RawQuery
	sent.URL, sent.Host = address, ""
	sent.Header.Set(keyHeader, t.client.key.Reveal())
	if t.component != "" {
		sent.Header.Set(componentHeader, string(t.component))
	}
	response, err := t.client.http.Transport.RoundTrip(sent)
	if response != nil {
		response.Request = r // the other one holds the key
	}
	return response, err
}
