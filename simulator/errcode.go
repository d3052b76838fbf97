package simulator

import (
	"fmt"
	"time"
)

// errcode is an error of the platform's API. Its texts below are the beginnings
// seen in real replies where one is known; the rest follow WeChat's manner.
type errcode int

const (
	codeBusy                 errcode = -1
	codeInvalidCredential    errcode = 40001
	codeBadGrantType         errcode = 40002
	codeBadOpenID            errcode = 40003
	codeBadMediaType         errcode = 40004
	codeBadMediaSize         errcode = 40006
	codeBadMediaID           errcode = 40007
	codeBadMessageType       errcode = 40008
	codeBadImageSize         errcode = 40009
	codeBadAppID             errcode = 40013
	codeMalformedToken       errcode = 40014
	codeBadOAuthCode         errcode = 40029
	codeBadUserRefreshToken  errcode = 40030
	codeBadButtonCount       errcode = 40016
	codeBadTemplate          errcode = 40037
	codeBadArgument          errcode = 40097
	codeBadSecret            errcode = 40125
	codeOAuthCodeUsed        errcode = 40163
	codeCountTooLarge        errcode = 40170
	codeTokenMissing         errcode = 41001
	codeAppIDMissing         errcode = 41002
	codeSecretMissing        errcode = 41004
	codeMediaMissing         errcode = 41005
	codeComponentMissing     errcode = 41018
	codeComponentTokenAbsent errcode = 41021
	codeTokenExpired         errcode = 42001
	codeUserRefreshExpired   errcode = 42002
	codeOAuthCodeExpired     errcode = 42003
	codeNeedGET              errcode = 43001
	codeNeedPOST             errcode = 43002
	codeNotAuthorizedAccount errcode = 43007
	codeEmptyBody            errcode = 44002
	codeQuota                errcode = 45009
	codeReplyWindow          errcode = 45015
	codeReplyCount           errcode = 45047
	codeNoMenu               errcode = 46003
	codeBadJSON              errcode = 47001
	codeUnauthorizedAPI      errcode = 48001
	codeClearQuotaLimit      errcode = 48006
	codeUserLimited          errcode = 50002
	codeNotAuthorized        errcode = 61003
	codeBadClientIP          errcode = 61004
	codeTicketExpired        errcode = 61005
	codeTicketInvalid        errcode = 61006
	codeSetMissing           errcode = 61007
	codeAuthCodeInvalid      errcode = 61009
	codeAuthCodeExpired      errcode = 61010
	codeNotComponent         errcode = 61011
	codeBadOptionName        errcode = 61012
	codeBadOptionValue       errcode = 61013
	codeNeedComponentToken   errcode = 61014
	codeNeedAuthorizerToken  errcode = 61015
	codeRefreshTokenInvalid  errcode = 61023
	codeComponentAppID       errcode = 61024
	codeRIDNotFound          errcode = 76001
	codeRIDMalformed         errcode = 76002
	codeRIDForeign           errcode = 76003
	codePathNotFound         errcode = 76021
	codePathForbidden        errcode = 76022
	codeOpenAlreadyBound     errcode = 89000
	codeOpenOtherOwner       errcode = 89001
	codeOpenNotBound         errcode = 89002
	codeOpenNotByAPI         errcode = 89003
)

var errcodeTexts = map[errcode]string{
	codeBusy:                 "system error",
	codeInvalidCredential:    "invalid credential, access_token is invalid or not latest",
	codeBadGrantType:         "invalid grant_type",
	codeBadOpenID:            "invalid openid",
	codeBadMediaType:         "invalid media type",
	codeBadMediaSize:         "invalid media size",
	codeBadMediaID:           "invalid media_id",
	codeBadImageSize:         "invalid image size",
	codeBadMessageType:       "invalid message type",
	codeBadAppID:             "invalid appid",
	codeMalformedToken:       "invalid access_token",
	codeBadOAuthCode:         "invalid code",
	codeBadUserRefreshToken:  "invalid refresh_token",
	codeBadButtonCount:       "invalid button size",
	codeBadTemplate:          "invalid template_id",
	codeBadArgument:          "invalid args",
	codeBadSecret:            "invalid appsecret",
	codeOAuthCodeUsed:        "code been used",
	codeCountTooLarge:        "args count exceed count limit",
	codeTokenMissing:         "access_token missing",
	codeAppIDMissing:         "appid missing",
	codeSecretMissing:        "appsecret missing",
	codeMediaMissing:         "media data missing",
	codeComponentMissing:     "component_appid missing",
	codeComponentTokenAbsent: "component_access_token missing",
	codeTokenExpired:         "access_token expired",
	codeUserRefreshExpired:   "refresh_token expired",
	codeOAuthCodeExpired:     "code expired",
	codeNeedGET:              "require GET method",
	codeNeedPOST:             "require POST method",
	codeNotAuthorizedAccount: "require account authorize",
	codeEmptyBody:            "empty post data",
	codeQuota:                "reach max api daily quota limit",
	codeReplyWindow:          "response out of time limit or subscription is canceled",
	codeReplyCount:           "out of response count limit",
	codeNoMenu:               "menu no exist",
	codeBadJSON:              "data format error",
	codeUnauthorizedAPI:      "api unauthorized",
	codeClearQuotaLimit:      "forbid to clear quota because of reaching the limit",
	codeUserLimited:          "user limited",
	codeNotAuthorized:        "component is not authorized by this account",
	codeBadClientIP:          "access clientip is not registered",
	codeTicketExpired:        "component ticket is expired",
	codeTicketInvalid:        "component ticket is invalid",
	codeSetMissing:           "api is unauthorized to component",
	codeAuthCodeInvalid:      "code is invalid",
	codeAuthCodeExpired:      "code is expired",
	codeNotComponent:         "invalid component",
	codeBadOptionName:        "invalid option name",
	codeBadOptionValue:       "invalid option value",
	codeNeedComponentToken:   "must use component token for component api",
	codeNeedAuthorizerToken:  "must use biz token not component api",
	codeRefreshTokenInvalid:  "refresh_token is invalid",
	codeComponentAppID:       "must use api(api_component_token) to get token for component acct",
	codeRIDNotFound:          "rid not found",
	codeRIDMalformed:         "rid is error",
	codeRIDForeign:           "could not query this rid,no permission",
	codePathNotFound:         "cgi_path not found, please check",
	codePathForbidden:        "could not use this cgi_path，no permission",
	codeOpenAlreadyBound:     "account has bound open",
	codeOpenOtherOwner:       "not same contractor",
	codeOpenNotBound:         "open not exists",
	codeOpenNotByAPI:         "this open account was not created by api",
}

// text returns the beginning of errmsg, before the rid.
func (e errcode) text(clientIP string) string {
	if e == codeBadClientIP {
		return errcodeTexts[e] + " requestIP: " + clientIP
	}
	if text, known := errcodeTexts[e]; known {
		return text
	}
	return "error"
}

// newRID makes the request id that every error carries: the Unix time, then two
// numbers that mean nothing to the caller.
func (s *Simulator) newRID(now time.Time) string {
	r := s.dice.next("rid", "")
	return fmt.Sprintf("%08x-%08x-%08x", uint32(now.Unix()), uint32(r>>32), uint32(r))
}
