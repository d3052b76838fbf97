package simulator

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

const (
	oauthCodeLife    = 5 * time.Minute
	userTokenLife    = 2 * time.Hour
	userRefreshLife  = 30 * 24 * time.Hour
	jsCodeLife       = 5 * time.Minute
	scopeBase        = "snsapi_base"
	scopeUserInfo    = "snsapi_userinfo"
	webPagesSet      = 4
	defaultUserIndex = 1
)

// oauthCode is what web OAuth's redirect carried.
type oauthCode struct {
	auth    *authorization
	openid  string
	scope   string
	expires time.Time
	used    bool
}

// userToken is a user's OAuth grant; its access and refresh token have one number.
type userToken struct {
	auth           *authorization
	openid         string
	scope          string
	expires        time.Time
	refreshExpires time.Time
}

// jsCode is what wx.login gave to a mini program.
type jsCode struct {
	acct    *account
	openid  string
	expires time.Time
	used    bool
}

// openID names the n-th user of an account.
func (a *account) openID(n int) string {
	return fmt.Sprintf("oSim%06d%018x", n, scramble(uint64(a.id)<<16|uint64(n)))
}

// unionID is the same for all accounts of one owner.
func unionID(openid string) string { return "uSim" + openid[min(len(openid), 4):] }

// userEndpoints are web OAuth and mini-program login on behalf of accounts.
// Source: third-party platform docs, web authorization and mini-program login.
func userEndpoints() []endpoint {
	const get = http.MethodGet
	name := []string{"component_access_token"}
	return []endpoint{
		{path: "/sns/oauth2/component/access_token", method: get, token: componentToken, names: name, handle: oauthAccessToken},
		{path: "/sns/oauth2/component/refresh_token", method: get, token: componentToken, names: name, handle: oauthRefreshToken},
		{path: "/sns/component/jscode2session", method: get, token: componentToken, names: name, handle: codeToSession},
		{path: "/sns/userinfo", method: get, handle: snsUserInfo},
		{path: "/sns/auth", method: get, handle: snsAuth},
	}
}

// snsAccount checks the parameters that the three component calls share.
func (c *call) snsAccount() errcode {
	switch c.query.Get("component_appid") {
	case "":
		return codeComponentMissing
	case c.comp.appid:
		return c.authorizer(c.query.Get("appid"))
	}
	return codeBadAppID
}

type oauthReply struct {
	AccessToken  string `json:"access_token"`
	ExpiresIn    int    `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	OpenID       string `json:"openid"`
	Scope        string `json:"scope"`
	UnionID      string `json:"unionid,omitempty"`
}

// userTokenFor makes a user's tokens. s.mu is held.
func (c *call) userTokenFor(grant userToken) oauthReply {
	s := c.s
	s.userTokenN++
	grant.expires, grant.refreshExpires = c.now.Add(userTokenLife), c.now.Add(userRefreshLife)
	s.userTokens[s.userTokenN] = &grant
	out := oauthReply{
		AccessToken:  s.issued(c.now, secretUserToken, grant.auth.comp, grant.auth, 0, s.userTokenN),
		ExpiresIn:    int(userTokenLife / time.Second),
		RefreshToken: s.issued(c.now, secretUserRefreshToken, grant.auth.comp, grant.auth, 0, s.userTokenN),
		OpenID:       grant.openid,
		Scope:        grant.scope,
	}
	if grant.scope == scopeUserInfo {
		out.UnionID = unionID(grant.openid)
	}
	return out
}

func oauthAccessToken(c *call) (any, errcode) {
	if code := c.snsAccount(); code != 0 {
		return nil, code
	}
	if c.query.Get("grant_type") != "authorization_code" {
		return nil, codeBadGrantType
	}
	c.present("code", c.query.Get("code"))
	id, ok := c.s.mint.identify(c.query.Get("code"), secretOAuthCode)
	known := c.s.oauthCodes[id.n]
	switch {
	case !ok || known == nil || known.auth != c.target:
		return nil, codeBadOAuthCode
	case known.used:
		return nil, codeOAuthCodeUsed
	case c.now.After(known.expires):
		return nil, codeOAuthCodeExpired
	}
	known.used = true
	return c.userTokenFor(userToken{auth: known.auth, openid: known.openid, scope: known.scope}), 0
}

func oauthRefreshToken(c *call) (any, errcode) {
	if code := c.snsAccount(); code != 0 {
		return nil, code
	}
	if c.query.Get("grant_type") != "refresh_token" {
		return nil, codeBadGrantType
	}
	text := c.query.Get("refresh_token")
	c.present("refresh_token", text)
	id, ok := c.s.mint.identify(text, secretUserRefreshToken)
	known := c.s.userTokens[id.n]
	switch {
	case !ok || known == nil || known.auth != c.target:
		return nil, codeBadUserRefreshToken
	case c.now.After(known.refreshExpires):
		return nil, codeUserRefreshExpired
	}
	known.expires = c.now.Add(userTokenLife)
	return oauthReply{
		AccessToken: c.s.mint.coin(secretUserToken, 0, id.n), ExpiresIn: int(userTokenLife / time.Second),
		RefreshToken: text, OpenID: known.openid, Scope: known.scope,
	}, 0
}

// user checks a user's own OAuth token.
func (c *call) user() (*userToken, errcode) {
	text := c.query.Get("access_token")
	if text == "" {
		return nil, codeTokenMissing
	}
	c.present("access_token", text)
	id, ok := c.s.mint.identify(text, secretUserToken)
	known := c.s.userTokens[id.n]
	switch {
	case !ok || known == nil:
		return nil, codeInvalidCredential
	case c.now.After(known.expires):
		return nil, codeTokenExpired
	case c.query.Get("openid") != known.openid:
		return nil, codeBadOpenID
	}
	return known, 0
}

func snsUserInfo(c *call) (any, errcode) {
	known, code := c.user()
	if code != 0 {
		return nil, code
	}
	if known.scope != scopeUserInfo {
		return nil, codeUnauthorizedAPI
	}
	return struct {
		OpenID     string   `json:"openid"`
		NickName   string   `json:"nickname"`
		Sex        int      `json:"sex"`
		Language   string   `json:"language"`
		City       string   `json:"city"`
		Province   string   `json:"province"`
		Country    string   `json:"country"`
		HeadImgURL string   `json:"headimgurl"`
		Privilege  []string `json:"privilege"`
		UnionID    string   `json:"unionid"`
	}{OpenID: known.openid, NickName: "模拟用户", HeadImgURL: "https://wx.qlogo.example/user/0", Privilege: []string{}, UnionID: unionID(known.openid)}, 0
}

func snsAuth(c *call) (any, errcode) {
	_, code := c.user()
	return okReply, code
}

func codeToSession(c *call) (any, errcode) {
	if code := c.snsAccount(); code != 0 {
		return nil, code
	}
	if c.query.Get("grant_type") != "authorization_code" {
		return nil, codeBadGrantType
	}
	c.present("js_code", c.query.Get("js_code"))
	id, ok := c.s.mint.identify(c.query.Get("js_code"), secretJSCode)
	known := c.s.jsCodes[id.n]
	switch {
	case !ok || known == nil || known.acct != c.target.acct, c.now.After(known.expires):
		return nil, codeBadOAuthCode
	case known.used:
		return nil, codeOAuthCodeUsed
	}
	known.used = true
	return struct {
		SessionKey string `json:"session_key"`
		OpenID     string `json:"openid"`
		UnionID    string `json:"unionid"`
	}{c.s.issued(c.now, secretSessionKey, c.comp, c.target, 0, id.n), known.openid, unionID(known.openid)}, 0
}

// Login is wx.login in a mini program: it returns the js_code for a user, whose
// openid is made up if it is "".
func (s *Simulator) Login(appid, openid string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.findAccount(appid)
	if err != nil {
		return "", err
	}
	if a.kind != MiniProgram {
		return "", refuse(http.StatusConflict, "account %s is not a mini program", appid)
	}
	if openid == "" {
		openid = a.openID(defaultUserIndex)
	}
	s.jsCodeN++
	s.jsCodes[s.jsCodeN] = &jsCode{acct: a, openid: openid, expires: s.now().Add(jsCodeLife)}
	return s.mint.coin(secretJSCode, 0, s.jsCodeN), nil
}

// webCode makes the code of a web OAuth redirect. s.mu is held.
func (s *Simulator) webCode(auth *authorization, scope string) string {
	now := s.now()
	s.oauthN++
	s.oauthCodes[s.oauthN] = &oauthCode{
		auth: auth, openid: auth.acct.openID(defaultUserIndex), scope: scope, expires: now.Add(oauthCodeLife),
	}
	return s.issued(now, secretOAuthCode, auth.comp, auth, 0, s.oauthN)
}

// webAuthorization finds who may use web OAuth for an account. s.mu is held.
func (s *Simulator) webAuthorization(componentAppID, appid string) *authorization {
	c, a := s.components[componentAppID], s.accounts[appid]
	if c == nil || a == nil {
		return nil
	}
	if auth := a.to(c); auth != nil && auth.standing && slices.Contains(auth.sets, webPagesSet) {
		return auth
	}
	return nil
}
