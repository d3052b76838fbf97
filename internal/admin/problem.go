package admin

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/tuoguan/tuoguan/internal/authorize"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// ProblemBase begins the type of every problem document; what follows is the name
// of the problem.
const ProblemBase = "https://github.com/tuoguan/tuoguan/blob/main/docs/problems.md#"

// Problem is the body of every error: an RFC 9457 problem document with a detail
// in Chinese beside the one in English.
type Problem struct {
	Type     string `json:"type"` // ProblemBase and a name that never changes
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	DetailZh string `json:"detail_zh,omitempty"`

	// Errcode and RID are WeChat's, where WeChat answered.
	Errcode int    `json:"errcode,omitempty"`
	RID     string `json:"rid,omitempty"`
	// Errors names the fields or parameters at fault.
	Errors []FieldProblem `json:"errors,omitempty"`
	// Components are those to choose from with ?component=.
	Components []string `json:"components,omitempty"`

	// retryAfter, in seconds, goes into the header.
	retryAfter int
}

// FieldProblem is what is wrong with one field of the body or parameter of the query.
type FieldProblem struct {
	Field    string `json:"field"`
	Detail   string `json:"detail"`
	DetailZh string `json:"detail_zh"`
}

// Error makes a Problem an error, so that handlers can return one.
func (p Problem) Error() string { return p.Title + ": " + p.Detail }

func problem(name string, status int, title, detail, chinese string) Problem {
	return Problem{Type: ProblemBase + name, Title: title, Status: status, Detail: detail, DetailZh: chinese}
}

func (p Problem) with(detail, chinese string) Problem {
	p.Detail, p.DetailZh = detail, chinese
	return p
}

func (p Problem) field(name, detail, chinese string) Problem {
	p.Detail, p.DetailZh = name+": "+detail, name+"："+chinese
	p.Errors = []FieldProblem{{Field: name, Detail: detail, DetailZh: chinese}}
	return p
}

func (p Problem) after(seconds int) Problem {
	p.retryAfter = seconds
	return p
}

// All problems there are.
var (
	unauthorized = problem("unauthorized", http.StatusUnauthorized, "API key needed",
		"send the API key as: Authorization: Bearer KEY", "请在请求头携带 API 密钥：Authorization: Bearer KEY")
	noSuchRoute      = problem("no-such-route", http.StatusNotFound, "no such route", "there is nothing at this path", "该路径不存在")
	methodNotAllowed = problem("method-not-allowed", http.StatusMethodNotAllowed, "method not allowed", "the Allow header names the methods", "请求方法不被允许，见 Allow 响应头")
	badRequest       = problem("bad-request", http.StatusBadRequest, "bad request", "", "")
	invalidField     = problem("invalid-field", http.StatusUnprocessableEntity, "invalid field", "", "")
	bodyTooLarge     = problem("body-too-large", http.StatusRequestEntityTooLarge, "body too large", "at most 64 KiB are taken", "请求体不得超过 64 KiB")

	unknownAuthorizer = problem("unknown-authorizer", http.StatusNotFound, "unknown authorizer",
		"the account has never authorized a component kept here", "该账号从未授权本平台")
	unknownComponent = problem("unknown-component", http.StatusNotFound, "unknown component",
		"no such component is kept here", "未登记该第三方平台")
	unknownLink        = problem("unknown-link", http.StatusNotFound, "unknown authorization link", "there is no such link", "授权链接不存在")
	ambiguousComponent = problem("ambiguous-component", http.StatusConflict, "several components hold the account",
		"say which one with ?component=", "该账号授权了多个第三方平台，请用 ?component= 指明")
	revoked = problem("revoked", http.StatusConflict, "authorization revoked",
		"the merchant took the authorization back; it has to be given again through an authorization link", "商家已取消授权，需通过授权链接重新授权")
	needsReauthorization = problem("needs-reauthorization", http.StatusConflict, "re-authorization needed",
		"WeChat refuses every refresh token of this authorization; the merchant has to authorize again through an authorization link", "微信已拒绝该授权的全部刷新令牌，需商家通过授权链接重新授权")
	noTicket = problem("no-ticket", http.StatusServiceUnavailable, "no verify ticket yet",
		"WeChat has not pushed a verify ticket within twelve hours; it pushes one every ten minutes to the authorization event URL", "十二小时内未收到微信推送的 component_verify_ticket，微信每十分钟向授权事件接收 URL 推送一次").after(60)
	gated = problem("gated", http.StatusServiceUnavailable, "the data was restored or copied",
		"nothing is refreshed before a new verify ticket has arrived here and WeChat's list was compared, so that two installations never work with the same authorizations", "数据由备份恢复或复制而来，收到新的 component_verify_ticket 并与微信的授权列表比对完成之前不会刷新令牌，以免两套系统同时使用同一授权").after(30)
	unknownJob = problem("unknown-job", http.StatusNotFound, "unknown job", "this replica knows no such job; ask the one that started it", "本实例没有该任务，请向启动它的实例查询")
	jobRunning = problem("job-running", http.StatusConflict, "a job of this kind is running", "", "")

	wechatRefused     = problem("wechat-refused", http.StatusBadGateway, "refused by WeChat", "", "")
	wechatUnanswered  = problem("wechat-unanswered", http.StatusBadGateway, "no usable answer from WeChat", "WeChat did not answer, or not in a usable form; try again", "微信未作应答或应答不可用，请重试").after(2)
	storeUnavailable  = problem("storage-unavailable", http.StatusServiceUnavailable, "storage unavailable", "the storage cannot be read or written at present; see /readyz", "存储暂时不可读写，详见 /readyz").after(5)
	serverUnavailable = problem("unavailable", http.StatusServiceUnavailable, "not available now", "the server is stopping, or was not done in time; try again", "服务正在停止或未能及时完成，请重试").after(2)
	internalError     = problem("internal-error", http.StatusInternalServerError, "internal error", "the server's log says more", "服务器内部错误，详见日志")
)

// storeError marks an error of the store's, other than a sentinel.
type storeError struct{ error }

func (e storeError) Unwrap() error { return e.error }

// problemOf turns an error into what the client is told.
func problemOf(err error) Problem {
	var known Problem
	var field *authorize.FieldError
	var refusal *wxapi.APIError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &field):
		return invalidField.field(field.Field, field.Problem, field.Chinese)
	case errors.Is(err, keeper.ErrUnknownAuthorizer):
		return unknownAuthorizer
	case errors.Is(err, keeper.ErrUnknownComponent):
		return unknownComponent
	case errors.Is(err, keeper.ErrRevoked):
		return revoked
	case errors.Is(err, keeper.ErrNeedsReauthorization):
		return needsReauthorization
	case errors.Is(err, keeper.ErrNoTicket):
		return noTicket
	case errors.Is(err, keeper.ErrGated):
		return gated
	case errors.Is(err, keeper.ErrStorage), errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrQuarantined), errors.As(err, new(storeError)):
		return storeUnavailable
	case errors.As(err, &refusal):
		explanation := refusal.Explain()
		p := wechatRefused.with(
			refusal.Op+": "+explanation.Meaning+"; "+explanation.Action,
			refusal.Op+"："+explanation.MeaningChinese+"；"+explanation.ActionChinese)
		p.Errcode, p.RID = refusal.Code, refusal.RID
		if ip := refusal.ClientIP(); ip.IsValid() {
			p.Detail += "; WeChat saw the address " + ip.String()
			p.DetailZh += "；微信看到的出口 IP 为 " + ip.String()
		}
		return p
	case errors.Is(err, wxapi.ErrNotSent), errors.Is(err, wxapi.ErrOutcomeUnknown):
		return wechatUnanswered
	case errors.Is(err, keeper.ErrClosed), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return serverUnavailable
	}
	return internalError
}

// fail answers with a problem and logs what the client cannot mend.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.Status >= http.StatusInternalServerError && r.Context().Err() == nil {
		a.cfg.Logger.WarnContext(r.Context(), "request not served", "method", r.Method, "route", r.Pattern, "status", p.Status, "error", err)
	}
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	writeJSON(w, "application/problem+json", p.Status, p)
}
