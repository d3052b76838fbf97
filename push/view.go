package push

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
)

// As returns the push as a T if that is what it is:
//
//	if text, ok := push.As[push.TextMessage](p); ok { … }
func As[T any](p *Push) (*T, bool) {
	view, ok := p.View().(*T)
	return view, ok
}

// View returns the push as a pointer to the struct of its kind, [*VerifyTicket]
// for one, or nil if this package has none for it. A number or time that is not
// written as such is zero in the struct; [Push.Field] has it as it came.
func (p *Push) View() any {
	view := p.newView()
	if view == nil {
		return nil
	}
	p.fill(reflect.ValueOf(view).Elem(), 0, len(p.fields), 1)
	if authorized, ok := view.(*Authorized); ok {
		authorized.CodeExpiresAt = p.codeExpiry()
	}
	return view
}

// newView returns an empty struct for the kind of push, or nil.
func (p *Push) newView() any {
	if p.Problem != nil {
		return nil
	}
	switch p.InfoType {
	case "":
	case "component_verify_ticket":
		return new(VerifyTicket)
	case "authorized", "updateauthorized":
		return new(Authorized)
	case "unauthorized":
		return new(Unauthorized)
	case "notify_third_fasteregister":
		return new(FastRegistration)
	case "notify_third_fastregisterbetaapp":
		return new(TrialRegistration)
	case "notify_third_fastverifybetaapp":
		return new(TrialVerification)
	case "notify_3rd_wxa_auth":
		return new(WeChatVerification)
	case "notify_3rd_wxa_wxverify":
		return new(VerificationReminder)
	case "notify_3rd_wxa_auth_and_icp":
		return new(VerificationAndFiling)
	case "order_path_apply_result_notify":
		return new(OrderPathApplied)
	case "order_path_audit_result_notify":
		return new(OrderPathAudited)
	default:
		return newFilingView(p.InfoType)
	}
	switch p.MsgType {
	case "text":
		return new(TextMessage)
	case "image":
		return new(ImageMessage)
	case "voice":
		return new(VoiceMessage)
	case "video", "shortvideo":
		return new(VideoMessage)
	case "location":
		return new(LocationMessage)
	case "link":
		return new(LinkMessage)
	case "miniprogrampage":
		return new(MiniProgramPageMessage)
	case "event":
		return newEventView(p.Event)
	}
	return nil
}

// newFilingView returns the struct for the ICP filing notices, which are known to
// come on either URL, under InfoType or Event.
func newFilingView(kind string) any {
	switch kind {
	case "notify_icpfiling_verify_result":
		return new(FilingVerified)
	case "notify_apply_icpfiling_result":
		return new(FilingState)
	}
	return nil
}

// isFiling reports whether the push is such a notice.
func (p *Push) isFiling() bool {
	return newFilingView(p.InfoType) != nil || newFilingView(p.Event) != nil
}

func newEventView(event string) any {
	switch event {
	case "subscribe":
		return new(Subscribe)
	case "unsubscribe":
		return new(Unsubscribe)
	case "SCAN":
		return new(Scan)
	case "LOCATION":
		return new(LocationReport)
	case "CLICK":
		return new(MenuClick)
	case "VIEW", "view_miniprogram":
		return new(MenuView)
	case "scancode_push", "scancode_waitmsg":
		return new(MenuScan)
	case "pic_sysphoto", "pic_photo_or_album", "pic_weixin":
		return new(MenuPictures)
	case "location_select":
		return new(MenuLocation)
	case "user_enter_tempsession":
		return new(SessionEntered)
	case "MASSSENDJOBFINISH":
		return new(MassSendFinished)
	case "TEMPLATESENDJOBFINISH":
		return new(TemplateSendFinished)
	case "PUBLISHJOBFINISH":
		return new(PublishFinished)
	case "qualification_verify_success", "naming_verify_success", "annual_renew", "verify_expired":
		return new(AccountVerified)
	case "qualification_verify_fail", "naming_verify_fail":
		return new(AccountVerificationFailed)
	case "weapp_audit_success":
		return new(CodeAuditPassed)
	case "weapp_audit_fail":
		return new(CodeAuditFailed)
	case "weapp_audit_delay":
		return new(CodeAuditDelayed)
	case "wxa_nickname_audit":
		return new(NicknameAudited)
	case "wxa_category_audit":
		return new(CategoryAudited)
	case "wxa_privacy_apply":
		return new(PrivacyApplied)
	case "wxa_illegal_record":
		return new(IllegalRecord)
	case "wxa_appeal_record":
		return new(AppealRecord)
	case "betaapp_authorization_apply_event", "betaapp_verify_apply_event", "betaapp_verify_event":
		return new(TrialEvent)
	case "user_info_modified", "user_authorization_revoke", "user_authorization_cancellation":
		return new(UserConsent)
	case "debug_demo":
		return new(DebugDemo)
	}
	return newFilingView(event)
}

// fill sets the members of a struct from the fields in [from,to) at the depth. A
// member's field is named as in its wx tag, else like itself; an embedded struct
// stands for its members.
func (p *Push) fill(v reflect.Value, from, to, depth int) {
	for i := range v.NumField() {
		member, info := v.Field(i), v.Type().Field(i)
		if info.Anonymous {
			p.fill(member, from, to, depth)
			continue
		}
		name := info.Tag.Get("wx")
		if name == "" {
			name = info.Name
		}
		p.fillMember(member, strings.Split(name, ">"), from, to, depth)
	}
}

// fillMember finds the fields at a path; a slice takes them all.
func (p *Push) fillMember(v reflect.Value, path []string, from, to, depth int) {
	for i := from; i < to; i++ {
		f := &p.fields[i]
		if int(f.depth) != depth || string(f.name.of(p.Body)) != path[0] {
			continue
		}
		below, end := p.children(i)
		switch {
		case len(path) > 1:
			p.fillMember(v, path[1:], below, end, depth+1)
		case v.Kind() == reflect.Slice:
			element := reflect.New(v.Type().Elem()).Elem()
			p.set(element, i)
			v.Set(reflect.Append(v, element))
			continue
		default:
			p.set(v, i)
		}
		return
	}
}

func (p *Push) set(v reflect.Value, i int) {
	text := p.fields[i].text(p.Body)
	switch v.Interface().(type) {
	case tuoguan.Secret:
		v.Set(reflect.ValueOf(tuoguan.NewSecret(text)))
		return
	case time.Time:
		v.Set(reflect.ValueOf(unixTime([]byte(strings.TrimSpace(text)))))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		from, to := p.children(i)
		p.fill(v, from, to, int(p.fields[i].depth)+1)
	case reflect.String:
		v.SetString(text)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err == nil {
			v.SetInt(n)
		}
	case reflect.Float64:
		x, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err == nil {
			v.SetFloat(x)
		}
	}
}
