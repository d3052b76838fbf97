package push

import (
	"time"

	"github.com/tuoguan/tuoguan"
)

// The structs of this file are what comes on the authorization event URL.
// Sources: third-party platform docs, the pages of the pushes named; where two
// libraries agree on something the pages lack, it is said so. Read 2026-11.

// VerifyTicket is component_verify_ticket, sent every ten minutes. The ticket
// lives for twelve hours.
type VerifyTicket struct {
	Ticket tuoguan.Secret `wx:"ComponentVerifyTicket"`
}

// Authorized is authorized, and updateauthorized after a merchant changed the
// permission sets; InfoType tells which.
type Authorized struct {
	Authorizer  tuoguan.AuthorizerAppID `wx:"AuthorizerAppid"`
	Code        tuoguan.Secret          `wx:"AuthorizationCode"` // one use
	PreAuthCode tuoguan.Secret          // may be of WeChat's own making
	// CodeExpiresAt is AuthorizationCodeExpiredTime. The pages only say "seconds";
	// libraries read a Unix time. What is too small for one is a duration since
	// CreatedAt.
	CodeExpiresAt time.Time `wx:"AuthorizationCodeExpiredTime"`
}

// codeExpiry reads AuthorizationCodeExpiredTime.
func (p *Push) codeExpiry() time.Time {
	const earliest = 1_000_000_000 // of 2001, before the platform
	t := unixTime([]byte(p.Field("AuthorizationCodeExpiredTime")))
	if !t.IsZero() && t.Unix() < earliest && !p.CreatedAt.IsZero() {
		return p.CreatedAt.Add(time.Duration(t.Unix()) * time.Second)
	}
	return t
}

// Unauthorized is unauthorized: the merchant, or an operator in the platform's
// console, took the authorization back.
type Unauthorized struct {
	Authorizer tuoguan.AuthorizerAppID `wx:"AuthorizerAppid"`
}

// FastRegistration is notify_third_fasteregister: how a fast registration of a
// mini program ended. Status 0 is success, every other one a failure.
type FastRegistration struct {
	AppID    tuoguan.AuthorizerAppID `wx:"appid"` // of the new mini program
	Status   int                     `wx:"status"`
	AuthCode tuoguan.Secret          `wx:"auth_code"` // an authorization code, on success
	Message  string                  `wx:"msg"`
	TaskID   string                  `wx:"taskid"` // seen with personal registrations
	Info     Registrant              `wx:"info"`
}

// Registrant is who a mini program is registered for: a company, or a person.
type Registrant struct {
	Name               string `wx:"name"`
	Code               string `wx:"code"`
	CodeType           int    `wx:"code_type"`
	LegalPersonaWeChat string `wx:"legal_persona_wechat"`
	LegalPersonaName   string `wx:"legal_persona_name"`
	ComponentPhone     string `wx:"component_phone"`
	WeChatUser         string `wx:"wxuser"` // personal
	IDName             string `wx:"idname"` // personal
	UniqueID           string `wx:"unique_id"`
}

// TrialRegistration is notify_third_fastregisterbetaapp: a trial mini program was
// made. Its Info holds the name and the unique id sent with the request.
type TrialRegistration struct {
	AppID   tuoguan.AuthorizerAppID `wx:"appid"`
	Status  int                     `wx:"status"`
	Message string                  `wx:"msg"`
	Info    Registrant              `wx:"info"`
}

// TrialVerification is notify_third_fastverifybetaapp: a trial mini program was
// turned into a formal one.
type TrialVerification struct {
	AppID   tuoguan.AuthorizerAppID `wx:"appid"`
	Status  int                     `wx:"status"`
	Message string                  `wx:"msg"`
	Info    Registrant              `wx:"info"`
}

// FilingVerified is notify_icpfiling_verify_result, the administrator's face
// check for an ICP filing. Result 2 is failure, 3 success. The pages show it as
// JSON on the message and event URL, a published log as XML on this one; either
// is taken.
type FilingVerified struct {
	TaskID              string                  `wx:"task_id"`
	AppID               tuoguan.AuthorizerAppID `wx:"verify_appid"`
	Result              int                     `wx:"result"`
	AlongWithAuthResult int                     `wx:"along_with_auth_result"`
}

// FilingState is notify_apply_icpfiling_result. Status: 2 the platform reviews,
// 3 it rejected, 4 the authority reviews, 5 it rejected, 6 filed, from 1024 on
// not filed. It comes like [FilingVerified].
type FilingState struct {
	AppID  tuoguan.AuthorizerAppID `wx:"authorizer_appid"`
	Status int                     `wx:"beian_status"`
}

// WeChatVerification is notify_3rd_wxa_auth: a WeChat verification that the
// platform started has got on. Among TaskStatus, 6 and 9 are face and phone
// checked, 12 the order made; ApplyStatus 2 reviewing, 3 returned, 4 passed,
// 5 failed.
type WeChatVerification struct {
	AppID       tuoguan.AuthorizerAppID `wx:"appid"`
	TaskID      string                  `wx:"taskid"`
	TaskStatus  int                     `wx:"task_status"`
	ApplyStatus int                     `wx:"apply_status"`
	Message     string                  `wx:"message"`
	Dispatch    Dispatch                `wx:"dispatch_info"` // with ApplyStatus 2
}

// Dispatch is the agency that reviews.
type Dispatch struct {
	Provider     string `wx:"provider"`
	Contact      string `wx:"contact"`
	DispatchTime string `wx:"dispatch_time"`
}

// VerificationReminder is notify_3rd_wxa_wxverify: the yearly verification is
// due, sent on the day of its end, and 30 and 60 days later.
type VerificationReminder struct {
	AppID     tuoguan.AuthorizerAppID `wx:"appid"`
	ExpiresAt time.Time               `wx:"expired"`
	Message   string                  `wx:"message"`
}

// VerificationAndFiling is notify_3rd_wxa_auth_and_icp, the two in one procedure.
type VerificationAndFiling struct {
	ProcedureID string `wx:"procedure_id"`
	Status      int    `wx:"procedure_status"`
}

// OrderPathApplied is order_path_apply_result_notify. Whether more than one
// account can be reported at once is not documented.
type OrderPathApplied struct {
	Results []OrderPathResult `wx:"list"`
}

// OrderPathResult says whether an order page path was taken for review. Code 0 is
// success, 1 already reviewing, -1 busy, -2 a bad appid.
type OrderPathResult struct {
	AppID tuoguan.AuthorizerAppID `wx:"appid"`
	Code  int                     `wx:"ret_code"`
}

// OrderPathAudited is order_path_audit_result_notify; see [OrderPathApplied].
type OrderPathAudited struct {
	Results []OrderPathAudit `wx:"list"`
}

// OrderPathAudit is the review of an order page path. Status 4 is success.
type OrderPathAudit struct {
	AppID     tuoguan.AuthorizerAppID `wx:"appid"`
	AuditID   string                  `wx:"audit_id"`
	Status    int                     `wx:"status"`
	ApplyTime time.Time               `wx:"apply_time"`
	AuditTime time.Time               `wx:"audit_time"`
	Reason    string                  `wx:"reason"`
}
