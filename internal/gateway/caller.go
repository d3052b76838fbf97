package gateway

import (
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/gateway/catalogue"
	"github.com/tuoguan/tuoguan/internal/problem"
)

// ComponentHeader says which component is meant where an account has authorized
// several.
const ComponentHeader = "X-Tuoguan-Component"

// identify finds out who calls, and for which account unless the path says.
func (c *call) identify() error {
	if c.form == dropIn {
		return c.openToken()
	}
	key := c.r.Header.Get("X-Tuoguan-Key")
	if key == "" {
		key, _ = strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer ")
	}
	if key == "" {
		return problem.Unauthorized
	}
	var err error
	c.caller, err = c.g.cfg.Keys.Authenticate(c.r.Context(), key, remote(c.r))
	c.report.KeyID = c.caller.KeyID
	return err
}

func remote(r *http.Request) netip.Addr {
	address, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return address.Addr().Unmap()
}

// mayCall demands that the caller's scope holds a path.
func (c *call) mayCall(path string) error {
	switch {
	case !c.caller.May(access.CallGateway):
		return problem.MissingScope
	case !c.caller.MayCall(path):
		return problem.MissingScope.With("the paths in the scope of the API key do not include "+path, "API 密钥的权限范围不包含路径 "+path)
	}
	return nil
}

// find returns the authorization meant by an account, and by the component if one is
// named. What is out of the caller's reach does not exist for it.
func (c *call) find(account tuoguan.AuthorizerAppID, component tuoguan.ComponentAppID) (access.Entry, error) {
	if component == "" {
		component = tuoguan.ComponentAppID(c.r.Header.Get(ComponentHeader))
	}
	entries, err := c.g.cfg.Directory.Find(c.r.Context(), account, component)
	if err != nil {
		return access.Entry{}, problem.Storage(err)
	}
	reach := c.caller.Reach()
	var standing, revoked []access.Entry
	for _, e := range entries {
		switch {
		case !reach.Contains(e.Authorization, e.Tags):
		case e.State == tuoguan.StateRevoked:
			revoked = append(revoked, e)
		default:
			standing = append(standing, e)
		}
	}
	switch {
	case len(standing) == 1:
		return standing[0], nil
	case len(standing) > 1:
		p := problem.AmbiguousComponent.With(
			"say which one with the header "+ComponentHeader+", or use an API key whose scope names one component",
			"请用请求头 "+ComponentHeader+" 指明，或使用权限范围只含一个第三方平台的 API 密钥")
		for _, e := range standing {
			p.Components = append(p.Components, string(e.Authorization.Component))
		}
		slices.Sort(p.Components)
		return access.Entry{}, p
	case len(revoked) > 0:
		return access.Entry{}, problem.Revoked
	}
	return access.Entry{}, problem.UnknownAuthorizer
}

// allow counts the request against the caller's rate and the account's.
func (c *call) allow(account tuoguan.AuthorizerAppID) error {
	wait, ok := c.g.cfg.Keys.Allow(c.caller, account)
	if ok {
		return nil
	}
	return problem.RateLimited.After(max(1, int(math.Ceil(wait.Seconds()))))
}

// route is where a request goes: whose token it carries under which name, and which
// parameters the gateway fills in.
type route struct {
	endpoint catalogue.Endpoint
	known    bool // in the catalogue
	owner    tuoguan.TokenOwner
	// appid, if not "", is the account that the query names, with its component.
	appid tuoguan.AuthorizerAppID
}

var refusedCustody = problem.PathRefused.With(
	"this call is the server's own: it yields tokens or clears quotas that all callers share",
	"该接口由本服务自行调用：它会产生令牌，或清零所有调用方共用的额度")

// route checks that the caller may make the call.
func (c *call) route() (route, error) {
	var r route
	r.endpoint, r.known = catalogue.Lookup(c.path)
	if r.known {
		c.report.Endpoint = c.path
	} else {
		r.endpoint = catalogue.Endpoint{Path: c.path, Token: catalogue.AuthorizerToken, Parameter: "access_token", Reply: catalogue.BinaryOrJSON}
	}
	if err := c.mayCall(c.path); err != nil {
		return r, err
	}
	if isCustody(c.path) {
		return r, refusedCustody
	}
	if c.form == asComponent {
		return r, c.routeComponent(&r)
	}
	if c.form == asAccount {
		var err error
		if c.entry, err = c.find(tuoguan.AuthorizerAppID(c.appid), ""); err != nil {
			return r, err
		}
	}
	a := c.entry.Authorization
	c.report.Component, c.report.Authorizer = a.Component, a.Authorizer
	switch {
	case r.endpoint.Token != catalogue.ComponentToken:
		r.owner = tuoguan.AuthorizerToken(a.Component, a.Authorizer)
	case r.endpoint.AppID:
		r.owner, r.appid = tuoguan.ComponentToken(a.Component), a.Authorizer
	default:
		return r, problem.PathRefused.With("this call takes the component's token; it is at /component/{component_appid}"+c.path,
			"该接口使用第三方平台令牌，请改用 /component/{component_appid}"+c.path)
	}
	return r, c.allow(a.Authorizer)
}

// routeComponent is route for the component form. A call of the component's own may
// concern any account, so it takes a key that is not limited to some of them, unless
// the query names the account.
func (c *call) routeComponent(r *route) error {
	component := tuoguan.ComponentAppID(c.appid)
	c.report.Component = component
	if r.endpoint.Token != catalogue.ComponentToken && r.endpoint.Token != catalogue.EitherToken {
		return problem.PathRefused.With("this call is not one that takes the component's token; those of an account are at /as/{authorizer_appid}"+c.path,
			"该接口不使用第三方平台令牌，账号接口请改用 /as/{authorizer_appid}"+c.path)
	}
	r.owner = tuoguan.ComponentToken(component)
	if r.endpoint.AppID {
		account := tuoguan.AuthorizerAppID(parameter(c.query, "appid"))
		if account == "" {
			return problem.BadRequest.Field("appid", "is missing", "缺少参数")
		}
		var err error
		if c.entry, err = c.find(account, component); err != nil {
			return err
		}
		r.appid, c.report.Authorizer = account, account
		return c.allow(account)
	}
	reach := c.caller.Reach()
	switch {
	case len(reach.Components) > 0 && !slices.Contains(reach.Components, component):
		return problem.UnknownComponent
	case len(reach.Authorizers) > 0 || len(reach.Tags) > 0:
		return problem.MissingScope.With("a call of the component's own takes an API key that is not limited to certain accounts",
			"第三方平台自身的接口要求 API 密钥不限定账号")
	}
	return c.allow("")
}
