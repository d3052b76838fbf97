package simulator

import (
	"net/http"
	"slices"
	"time"
)

const (
	pathComponentToken  = "/cgi-bin/component/api_component_token"
	pathAuthorizerToken = "/cgi-bin/component/api_authorizer_token"
	maxListCount        = 500
)

// componentEndpoints are the calls of the third-party platform itself.
// Source: third-party platform docs, ticket-token and authorization-management.
func componentEndpoints() []endpoint {
	const post, prefix = http.MethodPost, "/cgi-bin/component/"
	either := []string{"component_access_token", "access_token"}
	return []endpoint{
		{path: pathComponentToken, method: post, handle: createComponentToken},
		{path: prefix + "api_start_push_ticket", method: post, handle: startPushTicket},
		{path: prefix + "api_create_preauthcode", method: post, token: componentToken, names: either, handle: createPreAuthCode},
		{path: prefix + "api_query_auth", method: post, token: componentToken, names: either, handle: queryAuth},
		{path: pathAuthorizerToken, method: post, token: componentToken, names: either, handle: refreshAuthorizerToken},
		{path: prefix + "api_get_authorizer_info", method: post, token: componentToken, names: either, handle: getAuthorizerInfo},
		{path: prefix + "api_get_authorizer_list", method: post, token: componentToken, names: either, handle: getAuthorizerList},
		{path: prefix + "api_get_authorizer_option", method: post, token: componentToken, names: either, handle: getOptionV1},
		{path: prefix + "api_set_authorizer_option", method: post, token: componentToken, names: either, handle: setOptionV1},
		{path: prefix + "get_authorizer_option", method: post, token: authorizerToken, handle: getOption},
		{path: prefix + "set_authorizer_option", method: post, token: authorizerToken, handle: setOption},
		{path: "/cgi-bin/token", method: http.MethodGet, handle: ordinaryToken},
		{path: "/cgi-bin/stable_token", method: post, handle: stableToken},
	}
}

// named finds the component that a call without a token names. s.mu is held.
func (c *call) named(appid string) errcode {
	if c.comp = c.s.components[appid]; c.comp != nil {
		return c.checkIP()
	}
	if c.s.accounts[appid] != nil {
		return codeNotComponent
	}
	return codeBadAppID
}

// own checks that the component_appid in the body is the token's.
func (c *call) own(appid string) errcode {
	if appid == c.comp.appid {
		return 0
	}
	if c.s.accounts[appid] != nil {
		return codeNotComponent
	}
	return codeBadAppID
}

func createComponentToken(c *call) (any, errcode) {
	var in struct {
		AppID  string `json:"component_appid"`
		Secret string `json:"component_appsecret"`
		Ticket string `json:"component_verify_ticket"`
	}
	if code := c.decode(&in); code != 0 {
		return nil, code
	}
	c.present("component_appsecret", in.Secret)
	c.present("component_verify_ticket", in.Ticket)
	if code := c.named(in.AppID); code != 0 {
		return nil, code
	}
	c.beginMint(c.comp)
	if code := c.s.quota.spend(c.now, owner{true, c.comp.id}, c.path); code != 0 {
		return nil, code
	}
	if in.Secret == "" {
		return nil, codeSecretMissing
	}
	if !sameText(in.Secret, c.comp.Secret) {
		return nil, codeBadSecret
	}
	if code := c.s.checkTicket(c.comp, in.Ticket, c.now); code != 0 {
		return nil, code
	}
	f := c.s.Faults()
	t := &c.comp.token
	t.renew(c.now, seconds(f.ComponentTokenTTL), seconds(f.ComponentTokenOverlap))
	c.s.maybeDieEarly(t, c.now, c.comp.appid)
	return struct {
		Token     string `json:"component_access_token"`
		ExpiresIn int    `json:"expires_in"`
	}{c.s.issued(c.now, secretComponentToken, c.comp, nil, c.comp.id, t.n), f.ComponentTokenTTL}, 0
}

func startPushTicket(c *call) (any, errcode) {
	var in struct {
		AppID  string `json:"component_appid"`
		Secret string `json:"component_secret"`
	}
	if code := c.decode(&in); code != 0 {
		return nil, code
	}
	c.present("component_secret", in.Secret)
	if code := c.named(in.AppID); code != 0 {
		return nil, code
	}
	switch {
	case in.Secret == "":
		return nil, codeSecretMissing
	case !sameText(in.Secret, c.comp.Secret):
		return nil, codeBadSecret
	case c.comp.ticketsOn:
		return errorReply{0, "in a normal state"}, 0
	}
	c.comp.ticketsOn, c.comp.nextTicket = true, c.now
	select {
	case c.s.wake <- struct{}{}:
	default:
	}
	return okReply, 0
}

func createPreAuthCode(c *call) (any, errcode) {
	var in struct {
		AppID string `json:"component_appid"`
	}
	if code := c.decode(&in); code != 0 {
		return nil, code
	}
	if code := c.own(in.AppID); code != 0 {
		return nil, code
	}
	return struct {
		Code      string `json:"pre_auth_code"`
		ExpiresIn int    `json:"expires_in"`
	}{c.s.issuePreAuthCode(c.comp, c.now).text, c.s.Faults().PreAuthCodeTTL}, 0
}

type funcscope struct {
	Category struct {
		ID int `json:"id"`
	} `json:"funcscope_category"`
	Confirm *confirmInfo `json:"confirm_info,omitempty"`
}

type confirmInfo struct {
	Need    int `json:"need_confirm"`
	Already int `json:"already_confirm"`
	Can     int `json:"can_confirm"`
}

// funcInfo lists granted sets as the platform does; a few carry confirm_info.
func funcInfo(sets []int) []funcscope {
	list := make([]funcscope, len(sets))
	for i, set := range sets {
		list[i].Category.ID = set
		if set == 18 || set == 24 || set == 25 {
			list[i].Confirm = &confirmInfo{}
		}
	}
	return list
}

func queryAuth(c *call) (any, errcode) {
	var in struct {
		AppID string `json:"component_appid"`
		Code  string `json:"authorization_code"`
	}
	if code := c.decode(&in); code != 0 {
		return nil, code
	}
	c.present("authorization_code", in.Code)
	if code := c.own(in.AppID); code != 0 {
		return nil, code
	}
	id, ok := c.s.mint.identify(in.Code, secretAuthorizationCode)
	if !ok || int(id.owner) > len(c.s.authorizations) {
		return nil, codeAuthCodeInvalid
	}
	auth := c.s.authorizations[id.owner-1]
	known := c.s.codes[codeKey{id.owner, id.n}]
	switch {
	case auth.comp != c.comp, known == nil, known.used, known.epoch != auth.epoch, !auth.standing:
		return nil, codeAuthCodeInvalid
	case c.now.After(known.expires):
		return nil, codeAuthCodeExpired
	}
	known.used, auth.exchanged, c.target = true, true, auth
	type information struct {
		AppID        string      `json:"authorizer_appid"`
		AccessToken  string      `json:"authorizer_access_token,omitempty"`
		ExpiresIn    int         `json:"expires_in,omitempty"`
		RefreshToken string      `json:"authorizer_refresh_token,omitempty"`
		FuncInfo     []funcscope `json:"func_info"`
	}
	out := information{AppID: auth.acct.appid, FuncInfo: funcInfo(auth.sets)}
	if len(auth.sets) > 0 {
		out.AccessToken, out.ExpiresIn = c.s.issueAccessToken(auth, c.now)
		out.RefreshToken = c.s.mint.coin(secretRefreshToken, auth.id, auth.refreshN)
	}
	return struct {
		Information information `json:"authorization_info"`
	}{out}, 0
}

// authorizer finds the standing authorization of an account to the calling
// component. s.mu is held.
func (c *call) authorizer(appid string) errcode {
	a := c.s.accounts[appid]
	if a == nil {
		return codeNotAuthorized
	}
	auth := a.to(c.comp)
	if auth == nil || !auth.standing {
		return codeNotAuthorized
	}
	c.target = auth
	return 0
}

func refreshAuthorizerToken(c *call) (any, errcode) {
	var in struct {
		AppID        string `json:"component_appid"`
		Authorizer   string `json:"authorizer_appid"`
		RefreshToken string `json:"authorizer_refresh_token"`
	}
	if code := c.decode(&in); code != 0 {
		return nil, code
	}
	c.present("authorizer_refresh_token", in.RefreshToken)
	if code := c.own(in.AppID); code != 0 {
		return nil, code
	}
	if code := c.authorizer(in.Authorizer); code != 0 {
		return nil, code
	}
	auth, f := c.target, c.s.Faults()
	c.begin(auth)
	if code := c.s.quota.spend(c.now, owner{id: auth.acct.id}, c.path); code != 0 {
		return nil, code
	}
	if c.s.strikes(f.False61003, "false_61003", c.path) {
		return nil, codeNotAuthorized
	}
	if !c.s.acceptsRefreshToken(auth, in.RefreshToken, c.now) {
		return nil, codeRefreshTokenInvalid
	}
	empty := c.s.strikes(f.EmptyRefreshToken, "empty_refresh_token", c.path)
	if !empty {
		switch f.RefreshTokenMode {
		case RotateGrace:
			c.s.issueRefreshToken(auth, c.now, seconds(f.RefreshTokenGrace))
		case RotateStrict:
			c.s.issueRefreshToken(auth, c.now, 0)
		}
	}
	var out struct {
		AccessToken  string `json:"authorizer_access_token"`
		ExpiresIn    int    `json:"expires_in"`
		RefreshToken string `json:"authorizer_refresh_token"`
	}
	out.AccessToken, out.ExpiresIn = c.s.issueAccessToken(auth, c.now)
	if !empty {
		out.RefreshToken = c.s.mint.coin(secretRefreshToken, auth.id, auth.refreshN)
	}
	return out, 0
}

// recoverable returns the refresh token that a reply of the given mode contains.
func (c *call) recoverable(auth *authorization, mode ListMode) string {
	switch {
	case !auth.exchanged || mode == ListEmpty || len(auth.sets) == 0:
		return ""
	case mode == ListStale:
		return c.s.mint.coin(secretRefreshToken, auth.id, max(auth.refreshN-1, 1))
	}
	return c.s.mint.coin(secretRefreshToken, auth.id, auth.refreshN)
}

type identifier struct {
	ID int `json:"id"`
}

// authorizerInfo is the profile part of api_get_authorizer_info.
type authorizerInfo struct {
	NickName     string         `json:"nick_name"`
	HeadImage    string         `json:"head_img"`
	ServiceType  identifier     `json:"service_type_info"`
	VerifyType   identifier     `json:"verify_type_info"`
	UserName     string         `json:"user_name"`
	Alias        string         `json:"alias"`
	QRCode       string         `json:"qrcode_url"`
	Business     map[string]int `json:"business_info"`
	IDC          int            `json:"idc"`
	Principal    string         `json:"principal_name"`
	Signature    string         `json:"signature"`
	MiniProgram  any            `json:"MiniProgramInfo,omitempty"`
	RegisterType int            `json:"register_type"`
	Status       int            `json:"account_status"`
	Basic        any            `json:"basic_config"`
}

type miniProgramInfo struct {
	Network    map[string][]string `json:"network"`
	Categories []map[string]string `json:"categories"`
	Visit      int                 `json:"visit_status"`
}

func getAuthorizerInfo(c *call) (any, errcode) {
	var in struct {
		AppID      string `json:"component_appid"`
		Authorizer string `json:"authorizer_appid"`
	}
	if code := c.decode(&in); code != 0 {
		return nil, code
	}
	if code := c.own(in.AppID); code != 0 {
		return nil, code
	}
	if code := c.authorizer(in.Authorizer); code != 0 {
		return nil, code
	}
	mode := c.s.Faults().InfoMode
	if mode == ListError {
		return nil, codeBusy
	}
	a := c.target.acct.describe()
	profile := authorizerInfo{
		NickName: a.NickName, HeadImage: "https://wx.qlogo.example/sim/0", ServiceType: identifier{2},
		UserName: a.UserName, QRCode: "https://mp.example/qr/" + a.AppID,
		Business:  map[string]int{"open_pay": 0, "open_shake": 0, "open_scan": 0, "open_card": 0, "open_store": 0},
		IDC:       1,
		Principal: a.PrincipalName, Signature: "模拟账号 / simulated account", Status: a.Status,
		Basic: map[string]bool{"is_phone_configured": true, "is_email_configured": true},
	}
	if a.Unverified {
		profile.VerifyType.ID = -1
	}
	if a.Kind == MiniProgram {
		profile.ServiceType.ID = 0
		profile.MiniProgram = miniProgramInfo{
			Network: map[string][]string{
				"RequestDomain": {"https://api.example.com"}, "WsRequestDomain": {}, "UploadDomain": {}, "DownloadDomain": {},
				"UDPDomain": {}, "TCPDomain": {}, "BizDomain": {},
			},
			Categories: []map[string]string{{"first": "工具", "second": "办公"}},
		}
	}
	type information struct {
		AppID        string      `json:"authorizer_appid"`
		RefreshToken string      `json:"authorizer_refresh_token"`
		FuncInfo     []funcscope `json:"func_info"`
	}
	return struct {
		Profile     authorizerInfo `json:"authorizer_info"`
		Information information    `json:"authorization_info"`
	}{profile, information{a.AppID, c.recoverable(c.target, mode), funcInfo(c.target.sets)}}, 0
}

func getAuthorizerList(c *call) (any, errcode) {
	var in struct {
		AppID  string `json:"component_appid"`
		Offset int    `json:"offset"`
		Count  int    `json:"count"`
	}
	if code := c.decode(&in); code != 0 {
		return nil, code
	}
	if code := c.own(in.AppID); code != 0 {
		return nil, code
	}
	mode := c.s.Faults().ListMode
	switch {
	case mode == ListError:
		return nil, codeBusy
	case in.Count > maxListCount:
		return nil, codeCountTooLarge
	case in.Count < 0 || in.Offset < 0:
		return nil, codeBadArgument
	}
	type item struct {
		AppID        string `json:"authorizer_appid"`
		RefreshToken string `json:"refresh_token"`
		AuthTime     int64  `json:"auth_time"`
	}
	out := struct {
		Total int    `json:"total_count"`
		List  []item `json:"list"`
	}{List: []item{}}
	standing := c.comp.authorizers
	if c.comp.gone > 0 {
		standing = slices.DeleteFunc(slices.Clone(standing), func(a *authorization) bool { return !a.standing })
	}
	out.Total = len(standing)
	from := min(in.Offset, out.Total)
	for _, auth := range standing[from:min(from+in.Count, out.Total)] {
		out.List = append(out.List, item{auth.acct.appid, c.recoverable(auth, mode), time.Unix(0, auth.authTime).Unix()})
	}
	return out, 0
}

// optionSets are the options of an account, the set each needs, and how many
// values from "0" on it takes.
var optionSets = map[string]struct{ set, values int }{
	"location_report":  {2, 3},
	"voice_recognize":  {1, 2},
	"customer_service": {6, 2},
}

type optionBody struct {
	AppID      string `json:"component_appid"`
	Authorizer string `json:"authorizer_appid"`
	Name       string `json:"option_name"`
	Value      string `json:"option_value"`
}

// option checks an option call; the account is c.target afterwards.
func (c *call) option(in *optionBody) errcode {
	if code := c.decode(in); code != 0 {
		return code
	}
	if c.auth != nil {
		c.target = c.auth
	} else {
		if code := c.own(in.AppID); code != 0 {
			return code
		}
		if code := c.authorizer(in.Authorizer); code != 0 {
			return code
		}
	}
	option, known := optionSets[in.Name]
	switch {
	case !known:
		return codeBadOptionName
	case !slices.Contains(c.target.sets, option.set):
		return codeSetMissing
	}
	return 0
}

func (c *call) optionValue(name string) string {
	if d := c.target.acct.detail; d != nil && d.options[name] != "" {
		return d.options[name]
	}
	return "0"
}

func (c *call) setOption(in optionBody) (any, errcode) {
	if len(in.Value) != 1 || in.Value[0] < '0' || int(in.Value[0]-'0') >= optionSets[in.Name].values {
		return nil, codeBadOptionValue
	}
	d := c.target.acct.own()
	if d.options == nil {
		d.options = make(map[string]string)
	}
	d.options[in.Name] = in.Value
	return okReply, 0
}

func getOptionV1(c *call) (any, errcode) {
	var in optionBody
	if code := c.option(&in); code != 0 {
		return nil, code
	}
	return struct {
		AppID string `json:"authorizer_appid"`
		Name  string `json:"option_name"`
		Value string `json:"option_value"`
	}{in.Authorizer, in.Name, c.optionValue(in.Name)}, 0
}

func setOptionV1(c *call) (any, errcode) {
	var in optionBody
	if code := c.option(&in); code != 0 {
		return nil, code
	}
	return c.setOption(in)
}

func getOption(c *call) (any, errcode) {
	var in optionBody
	if code := c.option(&in); code != 0 {
		return nil, code
	}
	return struct {
		Name  string `json:"option_name"`
		Value string `json:"option_value"`
	}{in.Name, c.optionValue(in.Name)}, 0
}

func setOption(c *call) (any, errcode) {
	var in optionBody
	if code := c.option(&in); code != 0 {
		return nil, code
	}
	return c.setOption(in)
}

// ordinaryToken and stableToken are for accounts that use their own secret; the
// simulator's accounts have none.
func ordinaryToken(c *call) (any, errcode) {
	if c.query.Get("grant_type") != "client_credential" {
		return nil, codeBadGrantType
	}
	return nil, c.secretToken(c.query.Get("appid"), c.query.Get("secret"))
}

func stableToken(c *call) (any, errcode) {
	var in struct {
		GrantType string `json:"grant_type"`
		AppID     string `json:"appid"`
		Secret    string `json:"secret"`
	}
	if code := c.decode(&in); code != 0 {
		return nil, code
	}
	if in.GrantType != "client_credential" {
		return nil, codeBadGrantType
	}
	return nil, c.secretToken(in.AppID, in.Secret)
}

func (c *call) secretToken(appid, secret string) errcode {
	c.present("secret", secret)
	switch {
	case appid == "":
		return codeAppIDMissing
	case secret == "":
		return codeSecretMissing
	case c.s.components[appid] != nil:
		return codeComponentAppID
	case c.s.accounts[appid] != nil:
		return codeBadSecret
	}
	return codeBadAppID
}
