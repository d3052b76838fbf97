package push

import (
	"time"

	"github.com/tuoguan/tuoguan"
)

// The structs of this file are what happens to an account. Names of events are
// case-sensitive.
// Sources: official account, mini program and third-party platform docs, the
// pages of the events named; what is known from libraries only says so. Read 2026-11.

// AccountEvent is what all events have.
type AccountEvent struct {
	ToUserName   string // the account's original id, gh_…
	FromUserName string // the user's openid, or a name of WeChat's own
}

// Subscribe is subscribe. Key and Ticket are set where a QR code led to it.
type Subscribe struct {
	AccountEvent
	EventKey string // qrscene_…
	Ticket   string
}

// Unsubscribe is unsubscribe.
type Unsubscribe struct{ AccountEvent }

// Scan is SCAN: a subscriber scanned a QR code.
type Scan struct {
	AccountEvent
	EventKey string
	Ticket   string
}

// LocationReport is LOCATION, sent where the user agreed to it.
type LocationReport struct {
	AccountEvent
	Latitude  float64
	Longitude float64
	Precision float64
}

// MenuClick is CLICK.
type MenuClick struct {
	AccountEvent
	EventKey string
}

// MenuView is VIEW, with a URL as its key, or view_miniprogram, with a path.
type MenuView struct {
	AccountEvent
	EventKey string
	MenuID   string `wx:"MenuId"`
}

// MenuScan is scancode_push or scancode_waitmsg.
type MenuScan struct {
	AccountEvent
	EventKey   string
	ScanType   string `wx:"ScanCodeInfo>ScanType"`
	ScanResult string `wx:"ScanCodeInfo>ScanResult"`
}

// MenuPictures is pic_sysphoto, pic_photo_or_album or pic_weixin. The pictures
// themselves come as messages.
type MenuPictures struct {
	AccountEvent
	EventKey string
	Count    int       `wx:"SendPicsInfo>Count"`
	Pictures []Picture `wx:"SendPicsInfo>PicList>item"`
}

// Picture is one picture chosen in a menu.
type Picture struct {
	MD5 string `wx:"PicMd5Sum"`
}

// MenuLocation is location_select.
type MenuLocation struct {
	AccountEvent
	EventKey string
	Location SelectedLocation `wx:"SendLocationInfo"`
}

// SelectedLocation is a place chosen on the map.
type SelectedLocation struct {
	Latitude  float64 `wx:"Location_X"`
	Longitude float64 `wx:"Location_Y"`
	Scale     float64
	Label     string
	POIName   string `wx:"Poiname"`
}

// SessionEntered is user_enter_tempsession: a user opened the customer service
// chat of a mini program.
type SessionEntered struct {
	AccountEvent
	SessionFrom string
}

// MassSendFinished is MASSSENDJOBFINISH.
type MassSendFinished struct {
	AccountEvent
	MsgID       string `wx:"MsgID"` // of the mass message
	Status      string
	TotalCount  int64
	FilterCount int64
	SentCount   int64
	ErrorCount  int64
}

// TemplateSendFinished is TEMPLATESENDJOBFINISH.
type TemplateSendFinished struct {
	AccountEvent
	MsgID  string `wx:"MsgID"`
	Status string
}

// PublishFinished is PUBLISHJOBFINISH. Status 0 is success.
type PublishFinished struct {
	AccountEvent
	PublishID string `wx:"PublishEventInfo>publish_id"`
	Status    int    `wx:"PublishEventInfo>publish_status"`
	ArticleID string `wx:"PublishEventInfo>article_id"`
}

// AccountVerified is qualification_verify_success, naming_verify_success,
// annual_renew or verify_expired.
type AccountVerified struct {
	AccountEvent
	ExpiresAt time.Time `wx:"ExpiredTime"`
}

// AccountVerificationFailed is qualification_verify_fail or naming_verify_fail.
type AccountVerificationFailed struct {
	AccountEvent
	FailedAt time.Time `wx:"FailTime"`
	Reason   string    `wx:"FailReason"`
}

// CodeAuditPassed is weapp_audit_success: a submitted version may be released.
type CodeAuditPassed struct {
	AccountEvent
	PassedAt time.Time `wx:"SuccTime"`
}

// CodeAuditFailed is weapp_audit_fail.
type CodeAuditFailed struct {
	AccountEvent
	Reason     string
	FailedAt   time.Time `wx:"FailTime"`
	ScreenShot string    // media ids, separated by |
}

// CodeAuditDelayed is weapp_audit_delay.
type CodeAuditDelayed struct {
	AccountEvent
	Reason    string
	DelayedAt time.Time `wx:"DelayTime"`
}

// NicknameAudited is wxa_nickname_audit. Result 2 is rejected, 3 passed.
type NicknameAudited struct {
	AccountEvent
	Result   int    `wx:"ret"`
	Nickname string `wx:"nickname"`
	Reason   string `wx:"reason"`
}

// CategoryAudited is wxa_category_audit.
type CategoryAudited struct {
	AccountEvent
	Result int    `wx:"ret"`
	First  string `wx:"first"`
	Second string `wx:"second"`
	Reason string `wx:"reason"`
}

// PrivacyApplied is wxa_privacy_apply: the use of an interface was reviewed.
type PrivacyApplied struct {
	AccountEvent
	Result PrivacyAudit `wx:"result_info"`
}

// PrivacyAudit is the review of one interface.
type PrivacyAudit struct {
	APIName   string    `wx:"api_name"`
	AuditID   string    `wx:"audit_id"`
	Status    int       `wx:"status"`
	ApplyTime time.Time `wx:"apply_time"`
	AuditTime time.Time `wx:"audit_time"`
	Reason    string    `wx:"reason"`
}

// IllegalRecord is wxa_illegal_record. Its fields are known from one library.
type IllegalRecord struct {
	AccountEvent
	RecordID string `wx:"illegal_record_id"`
	AppID    string `wx:"appid"`
	Reason   string `wx:"illegal_reason"`
	Content  string `wx:"illegal_content"`
	RuleURL  string `wx:"rule_url"`
	RuleName string `wx:"rule_name"`
}

// AppealRecord is wxa_appeal_record.
type AppealRecord struct {
	AccountEvent
	AppID             string           `wx:"appid"`
	RecordID          string           `wx:"appeal_record_id"`
	From              int              `wx:"appeal_from"`
	Count             int              `wx:"appeal_count"`
	Status            int              `wx:"appeal_status"`
	AppealedAt        time.Time        `wx:"appeal_time"`
	PunishDescription string           `wx:"punish_description"`
	AuditReason       string           `wx:"audit_reason"`
	Materials         []AppealMaterial `wx:"material"`
}

// AppealMaterial is one piece of an appeal: what was found, and what was answered.
type AppealMaterial struct {
	Content          string   `wx:"illegal_material>content"`
	ContentURL       string   `wx:"illegal_material>content_url"`
	Reason           string   `wx:"appeal_material>reason"`
	ProofMaterialIDs []string `wx:"appeal_material>proof_material_id"`
}

// TrialEvent is betaapp_authorization_apply_event, betaapp_verify_apply_event or
// betaapp_verify_event. These names are known from one library; the misspelt
// element is WeChat's.
type TrialEvent struct {
	AccountEvent
	Info TrialInfo `wx:"ApplyAuthorizationInfoNoitfy"`
}

// TrialInfo says what became of a step towards a formal mini program.
type TrialInfo struct {
	AppID         string         `wx:"appid"`
	OfficialAppID string         `wx:"mp_appid"`
	OperationTime string         `wx:"operation_time"`
	Status        int            `wx:"status"`
	Message       string         `wx:"msg"`
	Ticket        tuoguan.Secret `wx:"ticket"`
}

// UserConsent is user_info_modified, user_authorization_revoke or
// user_authorization_cancellation: a user changed what they let the account know.
// The merchant's authorization is not touched.
type UserConsent struct {
	AccountEvent
	OpenID     string `wx:"OpenID"`
	AppID      string `wx:"AppID"`
	RevokeInfo string
}

// DebugDemo is debug_demo, sent from the console to try the URL.
type DebugDemo struct {
	AccountEvent
	DebugString string `wx:"debug_str"`
}
