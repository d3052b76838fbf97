package problem

import "net/http"

func problem(name string, status int, title, detail, chinese string) Problem {
	return Problem{Type: Base + name, Title: title, Status: status, Detail: detail, DetailZh: chinese}
}

// What the caller has to mend: the request.
var (
	NoSuchRoute      = problem("no-such-route", http.StatusNotFound, "no such route", "there is nothing at this path", "该路径不存在")
	MethodNotAllowed = problem("method-not-allowed", http.StatusMethodNotAllowed, "method not allowed", "the Allow header names the methods", "请求方法不被允许，见 Allow 响应头")
	BadRequest       = problem("bad-request", http.StatusBadRequest, "bad request", "the request is malformed", "请求格式有误")
	InvalidField     = problem("invalid-field", http.StatusUnprocessableEntity, "invalid field", "a field cannot be accepted", "字段值不被接受")
	BodyTooLarge     = problem("body-too-large", http.StatusRequestEntityTooLarge, "body too large", "at most 64 KiB are taken", "请求体不得超过 64 KiB")

	// IdempotencyConflict has status 422 where the key came with another request before,
	// and 409 as [IdempotencyRunning].
	IdempotencyConflict = problem("idempotency-conflict", http.StatusUnprocessableEntity, "Idempotency-Key used for another request",
		"within the last 24 hours another request came with this Idempotency-Key; a new request needs a new one", "24 小时内该 Idempotency-Key 已用于另一请求，新请求须使用新值")
	IdempotencyRunning = problem("idempotency-conflict", http.StatusConflict, "the first request with this Idempotency-Key is under way",
		"wait for its answer; the same request gets the same answer then", "携带该 Idempotency-Key 的首个请求仍在处理，完成后重发会得到同一应答").After(1)
	PreconditionFailed = problem("precondition-failed", http.StatusPreconditionFailed, "precondition failed",
		"the resource is not the one named by If-Match any more; read it again", "资源已被修改，与 If-Match 不符，请重新读取")
)

// Who calls, and what they may do.
var (
	Unauthorized = problem("unauthorized", http.StatusUnauthorized, "API key needed",
		"send the API key as: Authorization: Bearer KEY", "请在请求头携带 API 密钥：Authorization: Bearer KEY")
	ExpiredKey = problem("expired-key", http.StatusUnauthorized, "API key expired",
		"the API key has expired; have it rotated or use another one", "API 密钥已过期，请轮换或更换密钥")
	RevokedKey = problem("revoked-key", http.StatusUnauthorized, "API key revoked",
		"the API key was revoked and never works again; use another one", "API 密钥已被吊销，请更换密钥")
	ForbiddenAddress = problem("forbidden-address", http.StatusForbidden, "address not allowed",
		"the API key may not be used from this address", "该 API 密钥不允许从此地址使用")
	MissingScope = problem("missing-scope", http.StatusForbidden, "missing scope",
		"the scope of the API key does not include this operation", "API 密钥的权限范围不包含该操作")
	InsecureConnection = problem("insecure-connection", http.StatusForbidden, "the connection is not encrypted",
		"nobody signs in over plain http, where the session could be read on the way: use https, or a tunnel to the server such as ssh -L 8081:127.0.0.1:8081, and open the console on localhost; a proxy that ends TLS has to send X-Forwarded-Proto: https",
		"不允许通过明文 http 登录，以免会话在途中被读取：请使用 https，或建立隧道（如 ssh -L 8081:127.0.0.1:8081）后以 localhost 打开控制台；终结 TLS 的反向代理须发送 X-Forwarded-Proto: https")
	CrossOrigin = problem("cross-origin", http.StatusForbidden, "request from another site",
		"a request that changes something and comes with the session of a browser has to come from the console itself, with a body of application/json", "携带浏览器会话的写请求必须由控制台自身发出，请求体须为 application/json")
	NoSession = problem("no-session", http.StatusUnauthorized, "the session is over",
		"the session has ended; sign in again", "会话已结束，请重新登录")
	SetupRefused = problem("setup-refused", http.StatusForbidden, "set-up refused",
		"the set-up token is wrong, was used or is older than 30 minutes, or there are users already; opening the console makes a new token, which is in the server's log", "初始化令牌错误、已使用或已超过 30 分钟，或已存在用户；打开控制台会生成新令牌，见服务日志")
	LoginRefused = problem("login-refused", http.StatusUnauthorized, "sign-in refused",
		"name, password or code is wrong, or the user may not sign in", "用户名、密码或验证码错误，或该用户不允许登录")
	CodeNeeded = problem("code-needed", http.StatusUnauthorized, "code needed",
		"send the code of the authenticator app as well", "请同时提供身份验证器的验证码")
	LoginLocked = problem("login-locked", http.StatusTooManyRequests, "too many failed attempts to sign in",
		"no attempt is taken before the time that Retry-After says", "登录失败次数过多，请按 Retry-After 等待后重试").After(60)
	ProviderUnavailable = problem("provider-unavailable", http.StatusServiceUnavailable, "the identity provider cannot be used now",
		"the identity provider does not answer, or not as it should; the server's log says more", "身份提供方没有应答或应答异常，详见服务日志").After(5)
	MustChangePassword = problem("must-change-password", http.StatusForbidden, "the password has to be changed first",
		"the password was given out by somebody else; change it before anything else", "当前密码由他人设置，请先修改密码")
	MustSetTOTP = problem("must-set-totp", http.StatusForbidden, "a second factor has to be set up first",
		"this role signs in with the code of an authenticator app; set it up before anything else", "该角色须使用身份验证器验证码登录，请先完成设置")
	ForbiddenRole = problem("forbidden-role", http.StatusForbidden, "not allowed to this role",
		"only an owner may change owners or make somebody one", "只有所有者可以修改所有者，或将他人设为所有者")
	PathRefused = problem("path-refused", http.StatusForbidden, "path refused",
		"the gateway does not pass this path on", "网关不转发该路径")
	RateLimited = problem("rate-limited", http.StatusTooManyRequests, "too many requests",
		"slow down; Retry-After says how long to wait", "请求过于频繁，请按 Retry-After 等待后重试").After(1)
)

// What is asked for.
var (
	UnknownAuthorizer = problem("unknown-authorizer", http.StatusNotFound, "unknown authorizer",
		"the account has never authorized a component kept here", "该账号从未授权本平台")
	UnknownComponent = problem("unknown-component", http.StatusNotFound, "unknown component",
		"no such component is kept here", "未登记该第三方平台")
	UnknownLink         = problem("unknown-link", http.StatusNotFound, "unknown authorization link", "there is no such link", "授权链接不存在")
	UnknownEvent        = problem("unknown-event", http.StatusNotFound, "unknown event", "there is no such event, or it is not kept any more", "事件不存在或已不再保留")
	UnknownCode         = problem("unknown-code", http.StatusNotFound, "unknown code", "the code does not exist, is older than a minute, was redeemed, or is not this API key's business", "code 不存在、已过期、已使用，或不在该 API 密钥的范围内")
	UnknownKey          = problem("unknown-key", http.StatusNotFound, "unknown API key", "there is no API key with this id", "不存在该 ID 的 API 密钥")
	UnknownSession      = problem("unknown-session", http.StatusNotFound, "unknown session", "there is no such session; an API key has none", "会话不存在；API 密钥没有会话")
	UnknownUser         = problem("unknown-user", http.StatusNotFound, "unknown user", "there is no user with this id", "不存在该 ID 的用户")
	UnknownJob          = problem("unknown-job", http.StatusNotFound, "unknown job", "this replica knows no such job; ask the one that started it", "本实例没有该任务，请向启动它的实例查询")
	UnknownEndpoint     = problem("unknown-endpoint", http.StatusNotFound, "unknown endpoint", "the catalogue has no endpoint with this id", "接口目录中没有该 ID")
	UnknownSubscription = problem("unknown-subscription", http.StatusNotFound, "unknown subscription",
		"there is no subscription with this id", "不存在该 ID 的订阅")

	AmbiguousComponent = problem("ambiguous-component", http.StatusConflict, "several components hold the account",
		"say which one with ?component=", "该账号授权了多个第三方平台，请用 ?component= 指明")
	Revoked = problem("revoked", http.StatusConflict, "authorization revoked",
		"the merchant took the authorization back; it has to be given again through an authorization link", "商家已取消授权，需通过授权链接重新授权")
	NeedsReauthorization = problem("needs-reauthorization", http.StatusConflict, "re-authorization needed",
		"WeChat refuses every refresh token of this authorization; the merchant has to authorize again through an authorization link", "微信已拒绝该授权的全部刷新令牌，需商家通过授权链接重新授权")
	RefreshNeeded = problem("refresh-needed", http.StatusConflict, "the token has to be refreshed first",
		"there is no valid token at present, and the API key may read tokens but not cause a refresh", "当前没有有效令牌，而该 API 密钥只能读取、不能触发刷新").After(5)
	KeyConflict = problem("key-conflict", http.StatusConflict, "the API key has changed meanwhile",
		"somebody else changed the API key at the same time; read it again", "该 API 密钥同时被他人修改，请重新读取")
	UserConflict = problem("user-conflict", http.StatusConflict, "the user has changed meanwhile",
		"somebody else changed the user at the same time, or the name is taken; read it again", "该用户同时被他人修改，或用户名已被占用，请重新读取")
	LastOwner = problem("last-owner", http.StatusConflict, "the last owner has to stay",
		"no owner would be left who can sign in; make somebody else an owner first", "操作后将没有可登录的所有者，请先设置另一位所有者")
	SubscriptionConflict = problem("subscription-conflict", http.StatusConflict, "the subscription has changed meanwhile",
		"somebody else changed the subscription at the same time; read it again", "该订阅同时被他人修改，请重新读取")
	JobRunning = problem("job-running", http.StatusConflict, "a job of this kind is running", "wait until it has ended", "请等待其结束")
)

// What is not well.
var (
	NoTicket = problem("no-ticket", http.StatusServiceUnavailable, "no verify ticket yet",
		"WeChat has not pushed a verify ticket within twelve hours; it pushes one every ten minutes to the authorization event URL", "十二小时内未收到微信推送的 component_verify_ticket，微信每十分钟向授权事件接收 URL 推送一次").After(60)
	Gated = problem("gated", http.StatusServiceUnavailable, "the data was restored or copied",
		"nothing is refreshed before a new verify ticket has arrived here and WeChat's list was compared, so that two installations never work with the same authorizations", "数据由备份恢复或复制而来，收到新的 component_verify_ticket 并与微信的授权列表比对完成之前不会刷新令牌，以免两套系统同时使用同一授权").After(30)
	QuotaExhausted = problem("quota-exhausted", http.StatusTooManyRequests, "WeChat's quota is used up",
		"the account has used up its daily calls of this interface at WeChat", "该账号当日的接口调用额度已用尽")
	WeChatRefused = problem("wechat-refused", http.StatusBadGateway, "refused by WeChat",
		"WeChat answered with an errcode", "微信返回了错误码")
	WeChatUnanswered = problem("wechat-unanswered", http.StatusBadGateway, "no answer from WeChat",
		"WeChat did not answer; try again", "微信未作应答，请重试").After(2)
	WeChatNonsense = problem("wechat-nonsense", http.StatusBadGateway, "no usable answer from WeChat",
		"WeChat answered with something that cannot be used; try again", "微信的应答无法使用，请重试").After(2)
	StorageUnavailable = problem("storage-unavailable", http.StatusServiceUnavailable, "storage unavailable",
		"the storage cannot be read or written at present; see /readyz", "存储暂时不可读写，详见 /readyz").After(5)
	Unavailable = problem("unavailable", http.StatusServiceUnavailable, "not available now",
		"the server is stopping, or was not done in time; try again", "服务正在停止或未能及时完成，请重试").After(2)
	InternalError = problem("internal-error", http.StatusInternalServerError, "internal error",
		"the server's log says more", "服务器内部错误，详见日志")
)

// All returns every problem, one of each name.
func All() []Problem {
	return []Problem{
		NoSuchRoute, MethodNotAllowed, BadRequest, InvalidField, BodyTooLarge, IdempotencyConflict, PreconditionFailed,
		Unauthorized, ExpiredKey, RevokedKey, ForbiddenAddress, MissingScope, PathRefused, RateLimited,
		InsecureConnection, CrossOrigin, NoSession, SetupRefused, LoginRefused, CodeNeeded, LoginLocked, ProviderUnavailable, MustChangePassword, MustSetTOTP, ForbiddenRole,
		UnknownAuthorizer, UnknownComponent, UnknownLink, UnknownEvent, UnknownCode, UnknownKey, UnknownSubscription, UnknownJob, UnknownEndpoint, UnknownSession, UnknownUser,
		AmbiguousComponent, Revoked, NeedsReauthorization, RefreshNeeded, KeyConflict, UserConflict, LastOwner, SubscriptionConflict, JobRunning,
		NoTicket, Gated, QuotaExhausted, WeChatRefused, WeChatUnanswered, WeChatNonsense, StorageUnavailable, Unavailable, InternalError,
	}
}
