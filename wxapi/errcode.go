package wxapi

import (
	"fmt"

	"github.com/tuoguan/tuoguan"
)

// The errcodes that the code itself has to tell apart.
const (
	codeBusy             = -1
	codeIPNotWhitelisted = 40164
	codeIPNotRegistered  = 61004
)

// carried is which token a call carried. The same errcode means different things:
// 40001 on a call with a token says that this token is dead, on one without it
// says that the secret is wrong.
type carried int

const (
	anyToken carried = iota
	noToken
	componentToken
	authorizerToken
	userToken
)

func carriedBy(owner tuoguan.TokenOwner) carried {
	switch {
	case owner == tuoguan.TokenOwner{}:
		return noToken
	case owner.IsComponent():
		return componentToken
	default:
		return authorizerToken
	}
}

// Explanation is what an errcode means and what to do about it, in two languages.
type Explanation struct {
	Code int
	// Known is false for a code that the table lacks; its class is then [ErrBug].
	Known bool
	// Class is one of the sentinels of this package; nil for code 0.
	Class           error
	Meaning, Action string
	// MeaningChinese and ActionChinese say the same in Chinese.
	MeaningChinese, ActionChinese string
}

// Explain says what an errcode means where it is not known which token the call
// carried. Where it is, ask [APIError.Explain].
func Explain(code int) Explanation { return explain(code, anyToken) }

func explain(code int, with carried) Explanation {
	if code == 0 {
		return Explanation{Known: true, Meaning: "success", MeaningChinese: "成功"}
	}
	row, known := findErrcode(code, with)
	if !known {
		row.meaning = fmt.Sprintf("unknown errcode %d", code)
		row.chinese = fmt.Sprintf("未知错误码 %d", code)
	}
	e := Explanation{
		Code: code, Known: known, Class: row.class,
		Meaning: row.meaning, MeaningChinese: row.chinese,
		Action: row.action, ActionChinese: row.actionChinese,
	}
	if e.Action == "" {
		e.Action, e.ActionChinese = usualAction(row.class)
	}
	return e
}

// usualAction is what to do about a class where a code's row says nothing better.
func usualAction(class error) (english, chinese string) {
	switch class {
	case ErrBusy:
		return "try again shortly", "稍后重试"
	case ErrRateLimited:
		return "slow down and try again in a minute", "降低频率，一分钟后再试"
	case ErrQuota:
		return "wait for the quota to be reset, about midnight China time, or clear it by hand", "等待额度重置（约北京时间零点），或手动清零"
	case ErrTokenInvalid:
		return "get a fresh token once and repeat the call with it", "换取新的令牌并重试一次"
	case ErrTicketInvalid:
		return "wait for the next ticket push; api_start_push_ticket restarts the pushes", "等待下一次 ticket 推送；必要时调用 api_start_push_ticket"
	case ErrRefreshTokenInvalid:
		return "look for a newer refresh token with api_get_authorizer_info; if there is none the merchant has to authorize again", "先用 api_get_authorizer_info 查找新的刷新令牌；没有则需商家重新授权"
	case ErrNotAuthorized:
		return "confirm with api_get_authorizer_info and again later; then the merchant has to authorize again", "用 api_get_authorizer_info 确认并稍后复核；确认后需商家重新授权"
	case ErrCodeInvalid:
		return "check whether the account is already authorized; else start the authorization again", "先确认账号是否已完成授权；否则重新发起授权"
	case ErrPermission:
		return "ask the merchant to grant the permission set, or check what the account is able to do", "请商家授予所需权限集，或检查账号本身的能力"
	case ErrConfig:
		return "correct the component's settings in the open-platform console", "请在微信开放平台修正第三方平台的配置"
	case ErrUser:
		return "tell the user or the merchant", "请提示用户或商家处理"
	default:
		return "correct the request; repeating it does not help", "请修正请求，重试无效"
	}
}

// errcodeRow is one line of the table. A row with a particular token wins over one
// with anyToken. An empty action is the usual one of the class.
type errcodeRow struct {
	code                  int
	last                  int // of a range that begins with code; 0 if it is no range
	with                  carried
	class                 error
	meaning, chinese      string
	action, actionChinese string
}

// findErrcode returns the row that fits best. For an unknown code only the class
// is set: such a call is not repeated.
func findErrcode(code int, with carried) (errcodeRow, bool) {
	best, known := errcodeRow{class: ErrBug}, false
	for _, row := range errcodes {
		if code != row.code && (code < row.code || code > row.last) {
			continue
		}
		if row.with == with {
			return row, true
		}
		if row.with == anyToken {
			best, known = row, true
		}
	}
	return best, known
}

// errcodes is the one place where errcodes have a meaning. It is never written.
//
// Source: the error tables of the third-party platform and Official Account docs,
// read 2026; where these are silent, live replies and the tables of two SDKs.
// Where sources disagree the row follows live replies: 61004 is an address that is
// not registered, although one SDK calls it an API that was not granted, and 40125
// is a wrong secret, although the same SDK calls it a wrong appid.
var errcodes = [...]errcodeRow{
	{code: codeBusy, class: ErrBusy, meaning: "WeChat is busy", chinese: "微信系统繁忙"},

	// Tokens, credentials, parameters.
	{code: 40001, class: ErrTokenInvalid, meaning: "the access token is invalid or was replaced by a newer one", chinese: "令牌无效或已被新令牌取代"},
	{code: 40001, with: noToken, class: ErrConfig, meaning: "the secret is wrong", chinese: "AppSecret 错误",
		action: "store the AppSecret shown when it was last reset in the console", actionChinese: "请填写最近一次在开放平台重置得到的 AppSecret"},
	{code: 40002, class: ErrBug, meaning: "wrong grant type", chinese: "凭证类型错误"},
	{code: 40003, class: ErrUser, meaning: "the openid is not a follower's or belongs to another account", chinese: "openid 无效：未关注或属于其他账号"},
	{code: 40013, class: ErrBug, meaning: "wrong appid, often not that of the token or secret sent", chinese: "appid 无效，常见原因是与令牌或密钥不属于同一主体"},
	{code: 40014, class: ErrTokenInvalid, meaning: "the access token is malformed or of the wrong kind", chinese: "令牌格式错误或种类不符"},
	{code: 40029, class: ErrUser, meaning: "the login code is invalid", chinese: "登录 code 无效", action: "let the user log in again", actionChinese: "请用户重新登录"},
	{code: 40030, class: ErrRefreshTokenInvalid, meaning: "the refresh token is invalid", chinese: "刷新令牌无效"},
	{code: 40033, class: ErrBug, meaning: "illegal characters in the request, for example \\u escapes", chinese: "请求含非法字符，例如 \\u 转义"},
	{code: 40090, class: ErrConfig, meaning: "wrong client address", chinese: "客户端地址不合法"},
	{code: 40091, class: ErrTicketInvalid, meaning: "wrong verify ticket", chinese: "component_verify_ticket 无效"},
	{code: 40094, class: ErrConfig, meaning: "wrong component credential", chinese: "第三方平台凭证无效"},
	{code: 40097, class: ErrBug, meaning: "wrong argument", chinese: "参数错误"},
	{code: 40125, class: ErrConfig, meaning: "the secret is wrong or was reset", chinese: "AppSecret 错误或已被重置",
		action: "store the AppSecret shown when it was last reset in the console", actionChinese: "请填写最近一次在开放平台重置得到的 AppSecret"},
	{code: 40163, class: ErrUser, meaning: "the login code was used already", chinese: "登录 code 已被使用", action: "let the user log in again", actionChinese: "请用户重新登录"},
	{code: codeIPNotWhitelisted, class: ErrConfig, meaning: "the server's address is not in the account's IP whitelist", chinese: "服务器 IP 不在账号的 IP 白名单中",
		action: "add the address named in the message to the IP whitelist", actionChinese: "请把错误信息中的 IP 加入 IP 白名单"},
	{code: 40170, class: ErrBug, meaning: "count is above the limit", chinese: "count 超过上限"},
	{code: 40201, class: ErrConfig, meaning: "no callback URL is configured", chinese: "未配置回调 URL"},
	{code: 40202, class: ErrBug, meaning: "wrong action of the callback check", chinese: "网络检测的 action 不合法"},
	{code: 40203, class: ErrBug, meaning: "wrong operator of the callback check", chinese: "网络检测的 check_operator 不合法"},
	{code: 40226, class: ErrUser, meaning: "the user is blocked as high-risk", chinese: "高风险用户，登录被拦截"},
	{code: 40230, last: 40240, class: ErrConfig, meaning: "the signature or encryption of a server API call is wrong or not set up", chinese: "服务端 API 签名或加密配置有误"},
	{code: 40243, class: ErrConfig, meaning: "the secret is frozen", chinese: "AppSecret 已被冻结",
		action: "unfreeze or reset the AppSecret in the console", actionChinese: "请在开放平台解冻或重置 AppSecret"},
	{code: 41001, class: ErrBug, meaning: "the access token is missing", chinese: "缺少令牌参数"},
	{code: 41002, class: ErrBug, meaning: "the appid is missing", chinese: "缺少 appid"},
	{code: 41003, class: ErrBug, meaning: "the refresh token is missing", chinese: "缺少刷新令牌"},
	{code: 41004, class: ErrBug, meaning: "the secret is missing", chinese: "缺少 AppSecret"},
	{code: 41008, class: ErrBug, meaning: "the code is missing", chinese: "缺少 code"},
	{code: 41009, class: ErrBug, meaning: "the openid is missing", chinese: "缺少 openid"},
	{code: 41018, class: ErrBug, meaning: "component_appid is missing", chinese: "缺少 component_appid"},
	{code: 41021, class: ErrBug, meaning: "component_access_token is missing", chinese: "缺少 component_access_token"},
	{code: 42001, class: ErrTokenInvalid, meaning: "the access token is expired", chinese: "令牌已过期"},
	{code: 42002, class: ErrRefreshTokenInvalid, meaning: "the refresh token is expired", chinese: "刷新令牌已过期"},
	{code: 42003, class: ErrUser, meaning: "the login code is expired", chinese: "登录 code 已过期", action: "let the user log in again", actionChinese: "请用户重新登录"},
	{code: 42006, class: ErrTokenInvalid, meaning: "the component access token is expired", chinese: "component_access_token 已过期"},
	{code: 42007, class: ErrRefreshTokenInvalid, meaning: "the tokens ended with a change of the WeChat password", chinese: "修改微信密码后令牌失效"},
	{code: 43001, class: ErrBug, meaning: "the call needs GET", chinese: "需要 GET 请求"},
	{code: 43002, class: ErrBug, meaning: "the call needs POST", chinese: "需要 POST 请求"},
	{code: 43003, class: ErrBug, meaning: "the call needs HTTPS", chinese: "需要 HTTPS 请求"},
	{code: 43004, class: ErrUser, meaning: "the recipient does not follow the account", chinese: "接收者未关注账号"},
	{code: 43007, class: ErrPermission, meaning: "the account has to authorize this", chinese: "需要账号授权"},
	{code: 43101, class: ErrUser, meaning: "the user declined the subscription message", chinese: "用户拒收订阅消息"},
	{code: 44002, class: ErrBug, meaning: "the POST body is empty", chinese: "POST 数据为空"},
	{code: 47001, class: ErrBug, meaning: "the request cannot be parsed", chinese: "请求数据无法解析"},
	{code: 50001, class: ErrPermission, meaning: "this API was not granted", chinese: "接口未授权"},
	{code: 50002, class: ErrUser, meaning: "the account or user is frozen, cancelled or restricted", chinese: "账号或用户受限、冻结或已注销"},
	{code: 50003, class: ErrUser, meaning: "not in the list of those allowed", chinese: "不在允许名单中"},
	{code: 50004, class: ErrUser, meaning: "the use of the token is forbidden as a penalty", chinese: "因违规被禁止使用令牌"},

	// Rates and quotas.
	{code: 45009, class: ErrQuota, meaning: "the daily quota of this API is used up", chinese: "接口当日调用额度已用完"},
	{code: 45011, class: ErrRateLimited, meaning: "too many calls in a minute", chinese: "调用过于频繁"},
	{code: 45015, class: ErrUser, meaning: "the time in which the user may be answered is over", chinese: "超出可回复用户的时间窗口"},
	{code: 45035, class: ErrConfig, meaning: "the server's address is not registered", chinese: "服务器 IP 未登记"},
	{code: 45047, class: ErrUser, meaning: "too many messages without a reply of the user", chinese: "客服消息下行条数超过上限"},
	{code: 48006, class: ErrQuota, meaning: "the quota of clearing quotas is used up, ten a month", chinese: "清零次数已用完（每月十次）",
		action: "wait for the next month", actionChinese: "请等待下个月"},
	{code: 76001, class: ErrBug, meaning: "rid not found", chinese: "rid 不存在"},
	{code: 76002, class: ErrBug, meaning: "the rid is empty or malformed", chinese: "rid 为空或格式错误"},
	{code: 76003, class: ErrBug, meaning: "the rid belongs to another account", chinese: "rid 属于其他账号"},
	{code: 76004, class: ErrBug, meaning: "the rid is older than seven days", chinese: "rid 已超过七天"},
	{code: 76021, class: ErrBug, meaning: "unknown cgi_path", chinese: "cgi_path 不存在"},
	{code: 76022, class: ErrPermission, meaning: "the owner of the token cannot use this path", chinese: "令牌所属账号不能使用该接口"},
	{code: 9402202, class: ErrRateLimited, meaning: "an earlier submission is still being processed", chinese: "上一次提交仍在处理"},

	// What the account is able to do.
	{code: 48001, class: ErrPermission, meaning: "the account lacks the ability, or a token of the wrong kind was sent", chinese: "账号没有该接口能力，或令牌种类错误"},
	{code: 48002, class: ErrUser, meaning: "the recipient refuses messages", chinese: "接收者拒收消息"},
	{code: 48003, class: ErrUser, meaning: "the merchant has not accepted the terms of mass sending", chinese: "商家未同意群发协议"},
	{code: 48004, class: ErrPermission, meaning: "the API is banned for this account", chinese: "接口已被封禁"},

	// Third-party platforms.
	{code: 61000, class: ErrConfig, meaning: "wrong type of component", chinese: "第三方平台类型错误"},
	{code: 61001, class: ErrConfig, meaning: "the type of component does not fit the appid", chinese: "第三方平台类型与 appid 不符"},
	{code: 61002, class: ErrConfig, meaning: "the component has no customer service", chinese: "第三方平台没有客服能力"},
	{code: 61003, class: ErrNotAuthorized, meaning: "the account does not authorize this component", chinese: "该账号未授权给此第三方平台"},
	{code: codeIPNotRegistered, class: ErrConfig, meaning: "the server's address is not in the component's IP whitelist", chinese: "服务器 IP 不在第三方平台的 IP 白名单中",
		action: "add the address named in the message to the component's IP whitelist", actionChinese: "请把错误信息中的 IP 加入第三方平台的白名单 IP 地址列表"},
	{code: 61005, class: ErrTicketInvalid, meaning: "the verify ticket is expired", chinese: "component_verify_ticket 已过期"},
	{code: 61006, class: ErrTicketInvalid, meaning: "the verify ticket is empty, cut short or another component's", chinese: "component_verify_ticket 无效：为空、被截断或属于其他平台"},
	{code: 61007, class: ErrPermission, meaning: "the permission set was not granted to this component", chinese: "该权限集未授权给此第三方平台"},
	{code: 61008, class: ErrBug, meaning: "a key occurs twice in the request", chinese: "请求含重复的键"},
	{code: 61009, class: ErrCodeInvalid, meaning: "the authorization code is used, expired, another component's, or a pre-auth code", chinese: "授权码无效：已使用、已过期、属于其他平台，或误用预授权码"},
	{code: 61010, class: ErrCodeInvalid, meaning: "the authorization code is expired", chinese: "授权码已过期"},
	{code: 61011, class: ErrBug, meaning: "not the appid of a component", chinese: "不是第三方平台的 appid"},
	{code: 61012, class: ErrBug, meaning: "wrong option name", chinese: "选项名称错误"},
	{code: 61013, class: ErrBug, meaning: "wrong option value", chinese: "选项值错误"},
	{code: 61014, class: ErrBug, meaning: "the call needs the component access token", chinese: "需要使用 component_access_token"},
	{code: 61015, class: ErrBug, meaning: "the call needs the authorizer access token", chinese: "需要使用 authorizer_access_token"},
	{code: 61016, class: ErrPermission, meaning: "the permission set has to be confirmed", chinese: "权限集需要确认"},
	{code: 61017, class: ErrPermission, meaning: "the permission set to be confirmed was not granted", chinese: "待确认的权限集未授权"},
	{code: 61018, class: ErrPermission, meaning: "the permission set is confirmed already", chinese: "权限集已确认"},
	{code: 61019, class: ErrPermission, meaning: "the permission set needs no confirmation", chinese: "权限集无需确认"},
	{code: 61020, class: ErrBug, meaning: "wrong parameter", chinese: "参数错误"},
	{code: 61021, class: ErrPermission, meaning: "the permission set cannot be confirmed", chinese: "权限集不能确认"},
	{code: 61022, class: ErrPermission, meaning: "the confirmation cannot be submitted again", chinese: "不能重复提交确认"},
	{code: 61023, class: ErrRefreshTokenInvalid, meaning: "the refresh token is empty, replaced by a new authorization, or revoked", chinese: "刷新令牌无效：为空、已被重新授权取代或已取消授权"},
	{code: 61024, class: ErrBug, meaning: "a component gets its token from api_component_token", chinese: "第三方平台须用 api_component_token 获取令牌"},
	{code: 61025, class: ErrBug, meaning: "the option is read-only", chinese: "选项只读"},
	{code: 61026, class: ErrPermission, meaning: "registration is denied", chinese: "不允许注册"},
	{code: 61027, class: ErrPermission, meaning: "the limit of registrations is reached", chinese: "注册数量达到上限"},
	{code: 61028, class: ErrConfig, meaning: "the component is not published", chinese: "第三方平台未全网发布",
		action: "publish the component in the console", actionChinese: "请在开放平台完成全网发布"},
	{code: 61029, class: ErrConfig, meaning: "the component has to be published again", chinese: "第三方平台需要重新全网发布",
		action: "publish the component again in the console", actionChinese: "请在开放平台重新全网发布"},
	{code: 61030, class: ErrBug, meaning: "a component cannot cancel an authorization", chinese: "第三方平台不能取消授权",
		action: "let the merchant cancel it in the account's own console", actionChinese: "请商家在公众平台自行取消授权"},
	{code: 61039, class: ErrRateLimited, meaning: "the privacy check of the code is not finished", chinese: "代码隐私检测尚未完成"},
	{code: 61040, class: ErrUser, meaning: "the code uses a privacy interface without permission", chinese: "代码使用了未申请的隐私接口"},
	{code: 61051, last: 61056, class: ErrUser, meaning: "a check of the owner's identity or a limit of registrations failed", chinese: "主体实名或注册限制校验未通过"},
	{code: 61058, class: ErrUser, meaning: "wrong ticket of the registration by reuse", chinese: "复用注册的 ticket 无效"},
	{code: 61061, class: ErrUser, meaning: "a check of the owner's identity or a limit of registrations failed", chinese: "主体实名或注册限制校验未通过"},
	{code: 61063, last: 61069, class: ErrUser, meaning: "a check of the owner's identity or a limit of registrations failed", chinese: "主体实名或注册限制校验未通过"},
	{code: 61070, class: ErrUser, meaning: "name, id card and WeChat name of the legal person do not agree", chinese: "法人姓名、身份证与微信号不一致"},

	// Neighbours: Mini Program management and open-platform accounts.
	{code: 85001, last: 85004, class: ErrUser, meaning: "the tester cannot be bound: wrong WeChat id, a limit, or bound already", chinese: "体验者无法绑定：微信号错误、超过上限或已绑定"},
	{code: 85009, class: ErrUser, meaning: "a review is already running", chinese: "已有审核中的版本"},
	{code: 85019, class: ErrUser, meaning: "no version is under review", chinese: "没有审核中的版本"},
	{code: 85020, class: ErrUser, meaning: "the version is not in a state to be released", chinese: "版本状态不满足发布条件"},
	{code: 85064, class: ErrBug, meaning: "template not found", chinese: "找不到模板"},
	{code: 85085, class: ErrQuota, meaning: "the component's monthly limit of submissions is reached", chinese: "第三方平台本月提审额度已用完"},
	{code: 86000, class: ErrBug, meaning: "the call must come through a component", chinese: "须由第三方平台调用"},
	{code: 86001, class: ErrUser, meaning: "no code was uploaded", chinese: "尚未上传代码"},
	{code: 86002, class: ErrUser, meaning: "name, avatar or introduction is not set", chinese: "未设置名称、头像或简介"},
	{code: 86007, class: ErrUser, meaning: "the account may not submit", chinese: "该账号禁止提审"},
	{code: 86008, last: 86010, class: ErrConfig, meaning: "submissions through this component are stopped as a penalty", chinese: "第三方平台被处罚，暂停提审"},
	{code: 89000, class: ErrUser, meaning: "the account is bound to an open-platform account already", chinese: "该账号已绑定开放平台账号"},
	{code: 89001, class: ErrUser, meaning: "account and open-platform account have different owners", chinese: "账号与开放平台账号主体不同"},
	{code: 89002, class: ErrUser, meaning: "the account is bound to no open-platform account", chinese: "该账号未绑定开放平台账号"},
	{code: 89003, class: ErrUser, meaning: "the open-platform account was not made by API", chinese: "该开放平台账号并非由接口创建"},
	{code: 89004, class: ErrUser, meaning: "the open-platform account holds as many accounts as it may", chinese: "开放平台账号绑定数量已达上限"},
	{code: 89247, class: ErrBusy, meaning: "internal error of WeChat", chinese: "微信内部错误"},
	{code: 89249, class: ErrRateLimited, meaning: "a registration for this owner is running", chinese: "该主体已有注册任务在进行",
		action: "try again after 24 hours", actionChinese: "请 24 小时后再试"},
	{code: 89254, class: ErrConfig, meaning: "the component lacks permission sets that this call needs", chinese: "第三方平台缺少所需权限集"},
	{code: 89503, class: ErrConfig, meaning: "the administrator has not confirmed the server's address yet", chinese: "等待管理员确认调用 IP"},
	{code: 89506, class: ErrConfig, meaning: "the administrator refused the server's address; again after 24 hours", chinese: "管理员拒绝该 IP，24 小时内不可再试"},
	{code: 89507, class: ErrConfig, meaning: "the administrator refused the server's address; again after an hour", chinese: "管理员拒绝该 IP，1 小时内不可再试"},
	{code: 91001, last: 91019, class: ErrUser, meaning: "the name cannot be set", chinese: "名称设置不被接受"},
}
