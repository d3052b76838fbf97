package admin

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/problem"
)

// tokenProblems are those of every route that hands out a token.
var tokenProblems = []problem.Problem{
	problem.UnknownAuthorizer, problem.UnknownComponent, problem.AmbiguousComponent, problem.Revoked, problem.NeedsReauthorization,
	problem.NoTicket, problem.Gated, problem.WeChatRefused, problem.WeChatUnanswered, problem.WeChatNonsense,
}

var routes = []Route{
	{
		Method: http.MethodGet, Pattern: "/v1/overview", ID: "get-overview", Summary: "How everything is at a glance, and what needs somebody · 运行概览与待处理事项",
		Needs: access.ReadAuthorizers, Whole: true, Status: http.StatusOK, mount: handle((*API).getOverview),
	},
	{
		Method: http.MethodGet, Pattern: "/v1/overview/series", ID: "get-overview-series", Summary: "What this replica did of late, step by step · 本实例近期的运行曲线",
		Needs: access.ReadAuthorizers, Whole: true, Status: http.StatusOK, mount: handle((*API).getSeries),
	},
	{
		Method: http.MethodGet, Pattern: "/v1/authorizers", ID: "list-authorizers", Summary: "List authorizers · 授权账号列表",
		Needs: access.ReadAuthorizers, Status: http.StatusOK, mount: handle((*API).listAuthorizers),
	},
	{
		Method: http.MethodGet, Pattern: "/v1/authorizers/{appid}", ID: "get-authorizer", Summary: "One authorizer · 单个授权账号",
		Needs: access.ReadAuthorizers, Status: http.StatusOK, mount: handle((*API).getAuthorizer),
		Problems: []problem.Problem{problem.UnknownAuthorizer, problem.AmbiguousComponent},
	},
	{
		Method: http.MethodGet, Pattern: "/v1/authorizers/{appid}/history", ID: "list-authorizer-history", Summary: "What happened to the tokens, newest first · 令牌变动记录，由新到旧",
		Needs: access.ReadAuthorizers, Status: http.StatusOK, mount: handle((*API).getHistory),
		Problems: []problem.Problem{problem.UnknownAuthorizer, problem.AmbiguousComponent},
	},
	{
		Method: http.MethodPut, Pattern: "/v1/authorizers/{appid}/tags", ID: "put-authorizer-tags", Summary: "Replace the tags · 设置标签",
		Needs: access.WriteAuthorizers, Status: http.StatusOK, mount: handle((*API).putTags),
		Problems: []problem.Problem{problem.UnknownAuthorizer, problem.AmbiguousComponent, problem.PreconditionFailed},
	},
	{
		Method: http.MethodGet, Pattern: "/v1/authorizers/{appid}/access-token", ID: "get-access-token", Summary: "A valid access token · 有效的 access_token",
		Needs: access.ReadTokens, Status: http.StatusOK, mount: handle((*API).getToken),
		Problems: append(slices.Clone(tokenProblems), problem.RefreshNeeded),
	},
	{
		Method: http.MethodPost, Pattern: "/v1/authorizers/{appid}/access-token/invalid", ID: "report-access-token", Summary: "Report a token that WeChat refused · 报告被微信拒绝的令牌",
		Needs: access.RefreshTokens, NotKept: true, Status: http.StatusOK, mount: handle((*API).invalidateToken),
		Problems: tokenProblems,
	},
	{
		Method: http.MethodPost, Pattern: "/v1/authorizers/{appid}/refresh", ID: "refresh-access-token", Summary: "Refresh the access token now · 立即刷新 access_token",
		Needs: access.RefreshTokens, NotKept: true, Status: http.StatusOK, mount: handle((*API).refreshToken),
		Problems: tokenProblems,
	},
	{
		Method: http.MethodGet, Pattern: "/v1/authorizers/{appid}/options", ID: "list-authorizer-options", Summary: "The options of an account, asked from WeChat · 授权方选项，向微信查询",
		Needs: access.ReadAuthorizers, Status: http.StatusOK, mount: handle((*API).listOptions),
		Problems: []problem.Problem{problem.UnknownAuthorizer, problem.AmbiguousComponent},
	},
	{
		Method: http.MethodPut, Pattern: "/v1/authorizers/{appid}/options/{name}", ID: "put-authorizer-option", Summary: "Set an option of an account at WeChat · 设置授权方选项",
		Needs: access.WriteAuthorizers, Status: http.StatusOK, mount: handle((*API).putOption),
		Problems: tokenProblems,
	},
	{
		Method: http.MethodPost, Pattern: "/v1/authorizers/{appid}/verify", ID: "verify-authorizer", Summary: "Ask WeChat now whether an authorization stands · 立即向微信核实授权",
		Needs: access.RefreshTokens, Status: http.StatusOK, mount: handle((*API).verify),
		Problems: tokenProblems,
	},
	{
		Method: http.MethodGet, Pattern: "/v1/authorizers/{appid}/calls", ID: "list-authorizer-calls", Summary: "The last calls made for an account, and its quotas · 账号最近的接口调用与额度",
		Needs: access.ReadAuthorizers, Status: http.StatusOK, mount: handle((*API).listCalls),
		Problems: []problem.Problem{problem.UnknownAuthorizer, problem.AmbiguousComponent},
	},
	{
		Method: http.MethodPost, Pattern: "/v1/calls", ID: "call-wechat", Summary: "Call an endpoint of WeChat's through the gateway · 通过网关调用微信接口",
		Needs: access.CallGateway, NotKept: true, Status: http.StatusOK, mount: handle((*API).callWeChat),
		Problems: append(slices.Clone(tokenProblems), problem.PathRefused, problem.QuotaExhausted),
	},
	{
		Method: http.MethodGet, Pattern: "/v1/catalogue", ID: "list-endpoints", Summary: "The endpoints of WeChat's that are known, all of them · 微信接口目录，一次返回全部",
		Needs: access.ReadAuthorizers, Status: http.StatusOK, mount: handle((*API).listEndpoints),
	},
	{
		Method: http.MethodGet, Pattern: "/v1/catalogue/{id}", ID: "get-endpoint", Summary: "One endpoint with its fields · 单个接口及其字段",
		Needs: access.ReadAuthorizers, Status: http.StatusOK, mount: handle((*API).getEndpoint),
		Problems: []problem.Problem{problem.UnknownEndpoint},
	},
	{
		Method: http.MethodGet, Pattern: "/v1/permission-sets", ID: "list-permission-sets", Summary: "The permission sets that have a name, all of them · 权限集列表，一次返回全部",
		Needs: access.ReadAuthorizers, Status: http.StatusOK, mount: handle((*API).listPermissionSets),
	},
	{
		Method: http.MethodGet, Pattern: "/v1/errcodes/{code}", ID: "get-errcode", Summary: "What an errcode means and what to do · 错误码的含义与处理办法",
		Needs: access.ReadAuthorizers, Status: http.StatusOK, mount: handle((*API).getErrcode),
	},
	{
		Method: http.MethodPost, Pattern: "/v1/doctor", ID: "run-doctor", Summary: "Look for what is wrong, from inside the server · 从服务内部诊断",
		Needs: access.RunJobs, Whole: true, NotKept: true, Status: http.StatusOK, mount: handle((*API).examine),
	},
	{
		Method: http.MethodGet, Pattern: "/v1/authorization-links", ID: "list-authorization-links", Summary: "List authorization links · 授权链接列表",
		Needs: access.ReadLinks, Status: http.StatusOK, mount: handle((*API).listLinks),
	},
	{
		Method: http.MethodPost, Pattern: "/v1/authorization-links", ID: "create-authorization-link", Summary: "Make an authorization link · 生成授权链接",
		Needs: access.WriteLinks, Status: http.StatusCreated, mount: handle((*API).createLink),
	},
	{
		Method: http.MethodGet, Pattern: "/v1/authorization-links/{id}", ID: "get-authorization-link", Summary: "One authorization link · 单个授权链接",
		Needs: access.ReadLinks, Status: http.StatusOK, mount: handle((*API).getLink),
		Problems: []problem.Problem{problem.UnknownLink},
	},
	{
		Method: http.MethodGet, Pattern: "/v1/components", ID: "list-components", Summary: "List components · 第三方平台列表",
		Needs: access.ReadComponents, Status: http.StatusOK, mount: handle((*API).listComponents),
	},
	{
		Method: http.MethodPost, Pattern: "/v1/components", ID: "put-component", Summary: "Add a component (201) or replace its credentials (200) · 登记第三方平台（201）或替换凭据（200）",
		Needs: access.WriteComponents, Status: http.StatusCreated, Or: http.StatusOK, mount: handle((*API).putComponent),
		Problems: []problem.Problem{problem.UnknownComponent},
	},
	{
		Method: http.MethodGet, Pattern: "/v1/components/{appid}", ID: "get-component", Summary: "One component · 单个第三方平台",
		Needs: access.ReadComponents, Status: http.StatusOK, mount: handle((*API).getComponent),
		Problems: []problem.Problem{problem.UnknownComponent},
	},
	{
		Method: http.MethodPatch, Pattern: "/v1/components/{appid}", ID: "change-component", Summary: "Change or rotate credentials · 修改或轮换凭据",
		Needs: access.WriteComponents, Status: http.StatusOK, mount: handle((*API).changeComponent),
		Problems: []problem.Problem{problem.UnknownComponent, problem.PreconditionFailed},
	},
	{
		Method: http.MethodGet, Pattern: "/v1/components/{appid}/access-token", ID: "get-component-access-token", Summary: "A valid component access token · 有效的 component_access_token",
		Needs: access.ReadTokens, Status: http.StatusOK, mount: handle((*API).getComponentToken),
		Problems: []problem.Problem{problem.UnknownComponent, problem.RefreshNeeded, problem.NoTicket, problem.WeChatRefused, problem.WeChatUnanswered, problem.WeChatNonsense},
	},
	{
		Method: http.MethodPost, Pattern: "/v1/components/{appid}/reconcile", ID: "reconcile-component", Summary: "Compare with WeChat's list and repair · 与微信授权列表比对并修复",
		Needs: access.WriteAuthorizers, Status: http.StatusOK, mount: handle((*API).reconcile),
		Problems: []problem.Problem{problem.UnknownComponent, problem.NoTicket, problem.WeChatRefused, problem.WeChatUnanswered, problem.WeChatNonsense},
	},
	{
		Method: http.MethodGet, Pattern: "/v1/events", ID: "list-events", Summary: "List events, oldest first unless asked otherwise · 事件列表，默认由旧到新",
		Needs: access.ReadEvents, Status: http.StatusOK, mount: handle((*API).listEvents),
	},
	{
		Method: http.MethodGet, Pattern: "/v1/events/{id}", ID: "get-event", Summary: "One event with its decrypted body and its deliveries · 单个事件、解密内容及投递情况",
		Needs: access.ReadEvents, Status: http.StatusOK, mount: handle((*API).getEvent),
		Problems: []problem.Problem{problem.UnknownEvent},
	},
	{
		Method: http.MethodPost, Pattern: "/v1/events/{id}/replay", ID: "replay-event", Summary: "Deliver an event again · 重新投递一个事件",
		Needs: access.ReplayEvents, Status: http.StatusAccepted, mount: handle((*API).replayEvent),
		Problems: []problem.Problem{problem.UnknownEvent, problem.UnknownSubscription},
	},
	{
		Method: http.MethodGet, Pattern: "/v1/subscriptions", ID: "list-subscriptions", Summary: "List subscriptions · 订阅列表",
		Needs: access.ReadSubscriptions, Status: http.StatusOK, mount: handle((*API).listSubscriptions),
	},
	{
		Method: http.MethodPost, Pattern: "/v1/subscriptions", ID: "create-subscription", Summary: "Make a subscription; its signing secret is shown this once · 创建订阅，签名密钥仅显示一次",
		Needs: access.WriteSubscriptions, Status: http.StatusCreated, mount: handle((*API).createSubscription),
	},
	{
		Method: http.MethodGet, Pattern: "/v1/subscriptions/{id}", ID: "get-subscription", Summary: "One subscription, without its secrets · 单个订阅，不含机密",
		Needs: access.ReadSubscriptions, Status: http.StatusOK, mount: handle((*API).getSubscription),
		Problems: []problem.Problem{problem.UnknownSubscription},
	},
	{
		Method: http.MethodPatch, Pattern: "/v1/subscriptions/{id}", ID: "change-subscription", Summary: "Change a subscription; what is left out stays · 修改订阅，未给出的保持不变",
		Needs: access.WriteSubscriptions, Status: http.StatusOK, mount: handle((*API).changeSubscription),
		Problems: []problem.Problem{problem.UnknownSubscription, problem.SubscriptionConflict, problem.PreconditionFailed},
	},
	{
		Method: http.MethodDelete, Pattern: "/v1/subscriptions/{id}", ID: "delete-subscription", Summary: "Delete a subscription with all that waits for it · 删除订阅及其待投递事件",
		Needs: access.WriteSubscriptions, Status: http.StatusNoContent, mount: handle((*API).deleteSubscription),
		Problems: []problem.Problem{problem.UnknownSubscription, problem.SubscriptionConflict, problem.PreconditionFailed},
	},
	{
		Method: http.MethodPost, Pattern: "/v1/subscriptions/{id}/pause", ID: "pause-subscription", Summary: "Gather events and deliver none · 暂停投递，事件继续积累",
		Needs: access.WriteSubscriptions, Status: http.StatusOK, mount: handle((*API).pauseSubscription),
		Problems: []problem.Problem{problem.UnknownSubscription, problem.SubscriptionConflict, problem.PreconditionFailed},
	},
	{
		Method: http.MethodPost, Pattern: "/v1/subscriptions/{id}/resume", ID: "resume-subscription", Summary: "Deliver what was gathered while it was paused or disabled · 恢复投递",
		Needs: access.WriteSubscriptions, Status: http.StatusOK, mount: handle((*API).resumeSubscription),
		Problems: []problem.Problem{problem.UnknownSubscription, problem.SubscriptionConflict, problem.PreconditionFailed},
	},
	{
		Method: http.MethodPost, Pattern: "/v1/subscriptions/{id}/test", ID: "test-subscription", Summary: "Send a sample now and tell what became of it · 立即发送样例并返回结果",
		Needs: access.WriteSubscriptions, NotKept: true, Status: http.StatusOK, mount: handle((*API).testSubscription),
		Problems: []problem.Problem{problem.UnknownSubscription},
	},
	{
		Method: http.MethodPost, Pattern: "/v1/subscriptions/{id}/secret/rotate", ID: "rotate-subscription-secret", Summary: "Replace the signing secret, shown this once · 轮换签名密钥，新密钥仅显示一次",
		Needs: access.WriteSubscriptions, Status: http.StatusOK, mount: handle((*API).rotateSecret),
		Problems: []problem.Problem{problem.UnknownSubscription, problem.SubscriptionConflict, problem.PreconditionFailed},
	},
	{
		Method: http.MethodPost, Pattern: "/v1/subscriptions/{id}/replay", ID: "replay-subscription", Summary: "Deliver dead letters, events by number, or those of a filter again · 重放死信、指定事件或按条件筛选的事件",
		Needs: access.ReplayEvents, Status: http.StatusAccepted, mount: handle((*API).replaySubscription),
		Problems: []problem.Problem{problem.UnknownSubscription, problem.JobRunning},
	},
	{
		Method: http.MethodGet, Pattern: "/v1/subscriptions/{id}/replay", ID: "get-replay", Summary: "How far the last replay of this replica has come · 本实例最近一次重放的进度",
		Needs: access.ReadSubscriptions, Status: http.StatusOK, mount: handle((*API).getReplay),
		Problems: []problem.Problem{problem.UnknownSubscription, problem.UnknownJob},
	},
	{
		Method: http.MethodGet, Pattern: "/v1/deliveries", ID: "list-deliveries", Summary: "List deliveries to a subscription or of an event, the newest event first · 某订阅或某事件的投递列表，由新到旧",
		Needs: access.ReadEvents, Status: http.StatusOK, mount: handle((*API).listDeliveries),
		Problems: []problem.Problem{problem.UnknownSubscription, problem.UnknownEvent},
	},
	{
		Method: http.MethodPost, Pattern: "/v1/oauth/redeem", ID: "redeem-oauth-code", Summary: "Who a user is who came back from a web login, told once · 以网页授权 code 换取用户身份，仅一次",
		Needs: access.RelayOAuth, Status: http.StatusOK, mount: handle((*API).redeem),
		Problems: []problem.Problem{problem.UnknownCode},
	},
	{
		Method: http.MethodGet, Pattern: "/v1/gateway/accounts", ID: "list-gateway-accounts", Summary: "The accounts that this replica's gateway serves most · 本实例网关调用最多的账号",
		Needs: access.ReadAuthorizers, Whole: true, Status: http.StatusOK, mount: handle((*API).gatewayAccounts),
	},
	{
		Method: http.MethodGet, Pattern: "/v1/api-keys", ID: "list-api-keys", Summary: "List API keys · API 密钥列表",
		Needs: access.ReadKeys, Status: http.StatusOK, mount: handle((*API).listKeys),
	},
	{
		Method: http.MethodPost, Pattern: "/v1/api-keys", ID: "create-api-key", Summary: "Make an API key, shown this once · 创建 API 密钥，仅显示一次",
		Needs: access.WriteKeys, Status: http.StatusCreated, mount: handle((*API).createKey),
	},
	{
		Method: http.MethodGet, Pattern: "/v1/api-keys/{id}", ID: "get-api-key", Summary: "One API key, without the key itself · 单个 API 密钥，不含密钥本身",
		Needs: access.ReadKeys, Status: http.StatusOK, mount: handle((*API).getKey),
		Problems: []problem.Problem{problem.UnknownKey},
	},
	{
		Method: http.MethodPatch, Pattern: "/v1/api-keys/{id}", ID: "change-api-key", Summary: "Change name, scope or expiry · 修改名称、权限范围或有效期",
		Needs: access.WriteKeys, Status: http.StatusOK, mount: handle((*API).changeKey),
		Problems: []problem.Problem{problem.UnknownKey, problem.KeyConflict, problem.PreconditionFailed},
	},
	{
		Method: http.MethodPost, Pattern: "/v1/api-keys/{id}/rotate", ID: "rotate-api-key", Summary: "Replace the key itself, shown this once · 轮换密钥，新密钥仅显示一次",
		Needs: access.WriteKeys, Status: http.StatusOK, mount: handle((*API).rotateKey),
		Problems: []problem.Problem{problem.UnknownKey, problem.KeyConflict, problem.PreconditionFailed},
	},
	{
		Method: http.MethodPost, Pattern: "/v1/api-keys/{id}/revoke", ID: "revoke-api-key", Summary: "Take an API key back for ever · 永久吊销 API 密钥",
		Needs: access.WriteKeys, Status: http.StatusOK, mount: handle((*API).revokeKey),
		Problems: []problem.Problem{problem.UnknownKey, problem.KeyConflict, problem.PreconditionFailed},
	},
	{
		Method: http.MethodGet, Pattern: "/v1/setup", ID: "get-setup", Summary: "Whether there is a user yet, and how to sign in · 是否需要初始化及登录方式",
		Open: true, Status: http.StatusOK, mount: handle((*API).getSetup),
	},
	{
		Method: http.MethodPost, Pattern: "/v1/setup", ID: "set-up", Summary: "Make the first owner, with the token in the server's log · 凭服务日志中的令牌创建首位所有者",
		Open: true, NotKept: true, Status: http.StatusCreated, mount: handle((*API).setUp),
		Problems: []problem.Problem{problem.SetupRefused, problem.InsecureConnection},
	},
	{
		Method: http.MethodPost, Pattern: "/v1/session", ID: "sign-in", Summary: "Sign in · 登录",
		Open: true, NotKept: true, Status: http.StatusOK, mount: handle((*API).signIn),
		Problems: []problem.Problem{problem.LoginRefused, problem.CodeNeeded, problem.LoginLocked, problem.InsecureConnection},
	},
	{
		Method: http.MethodGet, Pattern: "/v1/session", ID: "get-session", Summary: "Who is signed in, and what that allows · 当前会话",
		Own: true, Status: http.StatusOK, mount: handle((*API).getSession),
		Problems: []problem.Problem{problem.UnknownSession},
	},
	{
		Method: http.MethodDelete, Pattern: "/v1/session", ID: "sign-out", Summary: "Sign out · 退出登录",
		Own: true, NotKept: true, Status: http.StatusNoContent, mount: handle((*API).signOut),
		Problems: []problem.Problem{problem.UnknownSession},
	},
	{
		Method: http.MethodPost, Pattern: "/v1/session/password", ID: "change-own-password", Summary: "Change one's password; other sessions end · 修改本人密码，其他会话随即结束",
		Own: true, NotKept: true, Status: http.StatusOK, mount: handle((*API).changePassword),
		Problems: []problem.Problem{problem.UnknownSession, problem.UserConflict, problem.LoginLocked},
	},
	{
		Method: http.MethodPost, Pattern: "/v1/session/totp", ID: "begin-own-totp", Summary: "A new secret for an authenticator app, in force once confirmed · 生成身份验证器密钥，确认后生效",
		Own: true, NotKept: true, Status: http.StatusCreated, mount: handle((*API).beginTOTP),
		Problems: []problem.Problem{problem.UnknownSession, problem.UserConflict},
	},
	{
		Method: http.MethodPut, Pattern: "/v1/session/totp", ID: "confirm-own-totp", Summary: "Confirm the secret with a code · 以验证码确认密钥",
		Own: true, NotKept: true, Status: http.StatusOK, mount: handle((*API).confirmTOTP),
		Problems: []problem.Problem{problem.UnknownSession, problem.UserConflict, problem.LoginLocked},
	},
	{
		Method: http.MethodDelete, Pattern: "/v1/session/totp", ID: "remove-own-totp", Summary: "Do without an authenticator app · 停用身份验证器",
		Own: true, NotKept: true, Status: http.StatusOK, mount: handle((*API).removeTOTP),
		Problems: []problem.Problem{problem.UnknownSession, problem.UserConflict, problem.LoginLocked},
	},
	{
		Method: http.MethodGet, Pattern: "/v1/users", ID: "list-users", Summary: "List the users of the console · 控制台用户列表",
		Needs: access.ReadUsers, Whole: true, Status: http.StatusOK, mount: handle((*API).listUsers),
	},
	{
		Method: http.MethodPost, Pattern: "/v1/users", ID: "create-user", Summary: "Make a user; an initial password is shown this once · 创建用户，初始密码仅显示一次",
		Needs: access.WriteUsers, Whole: true, Status: http.StatusCreated, mount: handle((*API).createUser),
		Problems: []problem.Problem{problem.ForbiddenRole, problem.UserConflict},
	},
	{
		Method: http.MethodGet, Pattern: "/v1/users/{id}", ID: "get-user", Summary: "One user · 单个用户",
		Needs: access.ReadUsers, Whole: true, Status: http.StatusOK, mount: handle((*API).getUser),
		Problems: []problem.Problem{problem.UnknownUser},
	},
	{
		Method: http.MethodPatch, Pattern: "/v1/users/{id}", ID: "change-user", Summary: "Change the name, the role, or whether the user may sign in · 修改姓名、角色或启停用户",
		Needs: access.WriteUsers, Whole: true, Status: http.StatusOK, mount: handle((*API).changeUser),
		Problems: []problem.Problem{problem.UnknownUser, problem.UserConflict, problem.LastOwner, problem.ForbiddenRole, problem.PreconditionFailed},
	},
	{
		Method: http.MethodDelete, Pattern: "/v1/users/{id}", ID: "delete-user", Summary: "Delete a user with all sessions · 删除用户及其会话",
		Needs: access.WriteUsers, Whole: true, Status: http.StatusNoContent, mount: handle((*API).deleteUser),
		Problems: []problem.Problem{problem.UnknownUser, problem.UserConflict, problem.LastOwner, problem.ForbiddenRole, problem.PreconditionFailed},
	},
	{
		Method: http.MethodPost, Pattern: "/v1/users/{id}/password", ID: "reset-user-password", Summary: "A new initial password, shown this once; sessions end · 重置密码，新初始密码仅显示一次，会话随即结束",
		Needs: access.WriteUsers, Whole: true, Status: http.StatusOK, mount: handle((*API).resetPassword),
		Problems: []problem.Problem{problem.UnknownUser, problem.UserConflict, problem.ForbiddenRole},
	},
	{
		Method: http.MethodDelete, Pattern: "/v1/users/{id}/totp", ID: "reset-user-totp", Summary: "Take a lost authenticator app off a user · 解除用户丢失的身份验证器",
		Needs: access.WriteUsers, Whole: true, Status: http.StatusOK, mount: handle((*API).resetTOTP),
		Problems: []problem.Problem{problem.UnknownUser, problem.UserConflict, problem.ForbiddenRole},
	},
	{
		Method: http.MethodGet, Pattern: "/v1/users/{id}/sessions", ID: "list-user-sessions", Summary: "Where a user is signed in · 用户的会话列表",
		Needs: access.ReadUsers, Self: true, Whole: true, Status: http.StatusOK, mount: handle((*API).listSessions),
		Problems: []problem.Problem{problem.UnknownUser},
	},
	{
		Method: http.MethodDelete, Pattern: "/v1/users/{id}/sessions", ID: "end-user-sessions", Summary: "End all sessions of a user · 结束用户的全部会话",
		Needs: access.WriteUsers, Self: true, Whole: true, Status: http.StatusNoContent, mount: handle((*API).endSessions),
		Problems: []problem.Problem{problem.UnknownUser, problem.ForbiddenRole},
	},
	{
		Method: http.MethodDelete, Pattern: "/v1/users/{id}/sessions/{session}", ID: "end-user-session", Summary: "End one session of a user · 结束用户的一个会话",
		Needs: access.WriteUsers, Self: true, Whole: true, Status: http.StatusNoContent, mount: handle((*API).endSession),
		Problems: []problem.Problem{problem.UnknownUser, problem.UnknownSession, problem.ForbiddenRole},
	},
	{
		Method: http.MethodGet, Pattern: "/v1/audit", ID: "list-audit", Summary: "List the audit log, newest first · 审计日志，由新到旧",
		Needs: access.ReadAudit, Whole: true, Status: http.StatusOK, mount: handle((*API).listAudit),
	},
	{
		Method: http.MethodGet, Pattern: "/v1/audit/head", ID: "get-audit-head", Summary: "The end of the audit log's chain · 审计日志哈希链的末端",
		Needs: access.ReadAudit, Whole: true, Status: http.StatusOK, mount: handle((*API).auditHead),
	},
	{
		Method: http.MethodGet, Pattern: "/v1/jobs", ID: "list-jobs", Summary: "List the jobs of this replica · 本实例的任务列表",
		Needs: access.ReadJobs, Status: http.StatusOK, mount: handle((*API).listJobs),
	},
	{
		Method: http.MethodPost, Pattern: "/v1/jobs", ID: "start-job", Summary: "Start a job · 启动任务",
		Needs: access.RunJobs, Status: http.StatusAccepted, mount: handle((*API).startJob),
		Problems: []problem.Problem{problem.JobRunning},
	},
	{
		Method: http.MethodPost, Pattern: "/v1/jobs/{id}/cancel", ID: "cancel-job", Summary: "End a job before it is done · 取消任务",
		Needs: access.RunJobs, Status: http.StatusOK, mount: handle((*API).cancelJob),
		Problems: []problem.Problem{problem.UnknownJob},
	},
	{
		Method: http.MethodGet, Pattern: "/v1/jobs/{id}", ID: "get-job", Summary: "How far a job has come · 任务进度",
		Needs: access.ReadJobs, Status: http.StatusOK, mount: handle((*API).getJob),
		Problems: []problem.Problem{problem.UnknownJob},
	},
}

// Routes returns every route of the REST API.
func Routes() []Route { return slices.Clone(routes) }

// methodsAt returns the methods that there are routes for at a path.
func methodsAt(path string) []string {
	var methods []string
	parts := strings.Split(path, "/")
	for _, route := range routes {
		pattern := strings.Split(route.Pattern, "/")
		if slices.EqualFunc(pattern, parts, func(want, got string) bool { return want == got || strings.HasPrefix(want, "{") && got != "" }) {
			methods = append(methods, route.Method)
		}
	}
	return methods
}
