package simulator

import (
	"fmt"
	"net/http"
)

// openEndpoints bind accounts to open-platform accounts.
// Source: third-party platform docs, open-platform account management.
func openEndpoints() []endpoint {
	const post = http.MethodPost
	sets := []int{24, 25}
	return []endpoint{
		{path: "/cgi-bin/open/create", method: post, token: authorizerToken, sets: sets, handle: openCreate},
		{path: "/cgi-bin/open/bind", method: post, token: authorizerToken, sets: sets, handle: openBind},
		{path: "/cgi-bin/open/unbind", method: post, token: authorizerToken, sets: sets, handle: openUnbind},
		{path: "/cgi-bin/open/get", method: post, token: authorizerToken, sets: sets, handle: openGet},
		{path: "/cgi-bin/open/have", method: post, token: authorizerToken, sets: sets, lenient: true, noBody: true, handle: openHave},
		{path: "/cgi-bin/open/sameentity", method: http.MethodGet, token: authorizerToken, sets: sets, lenient: true, handle: openSameEntity},
	}
}

type openReply struct {
	OpenAppID string `json:"open_appid"`
	errorReply
}

// openBody reads the body of the open calls; appid must be the token's account.
func (c *call) openBody(appidOptional bool) (*accountDetail, string, errcode) {
	var in struct {
		AppID     string `json:"appid"`
		OpenAppID string `json:"open_appid"`
	}
	if code := c.decode(&in); code != 0 {
		return nil, "", code
	}
	if in.AppID != c.auth.acct.appid && !(appidOptional && in.AppID == "") {
		return nil, "", codeBadAppID
	}
	return c.auth.acct.own(), in.OpenAppID, 0
}

func openCreate(c *call) (any, errcode) {
	d, _, code := c.openBody(true)
	switch {
	case code != 0:
		return nil, code
	case d.openAppID != "":
		return nil, codeOpenAlreadyBound
	}
	c.s.openN++
	d.openAppID = fmt.Sprintf("wx%016x", scramble(c.s.dice.seed^uint64(c.s.openN)<<32))
	return openReply{d.openAppID, okReply}, 0
}

func openBind(c *call) (any, errcode) {
	d, open, code := c.openBody(false)
	switch {
	case code != 0:
		return nil, code
	case d.openAppID != "":
		return nil, codeOpenAlreadyBound
	}
	owner, found := c.s.openOwner(open)
	switch {
	case !found:
		return nil, codeOpenNotByAPI
	case owner != d.PrincipalName:
		return nil, codeOpenOtherOwner
	}
	d.openAppID = open
	return okReply, 0
}

// openOwner returns the owner of the accounts bound to an open-platform account. s.mu is held.
func (s *Simulator) openOwner(open string) (string, bool) {
	for _, a := range s.accountList {
		if a.detail != nil && open != "" && a.detail.openAppID == open {
			return a.detail.PrincipalName, true
		}
	}
	return "", false
}

func openUnbind(c *call) (any, errcode) {
	d, open, code := c.openBody(false)
	switch {
	case code != 0:
		return nil, code
	case open == "" || d.openAppID != open:
		return nil, codeOpenOtherOwner
	}
	d.openAppID = ""
	return okReply, 0
}

func openGet(c *call) (any, errcode) {
	d, _, code := c.openBody(false)
	switch {
	case code != 0:
		return nil, code
	case d.openAppID == "":
		return nil, codeOpenNotBound
	}
	return openReply{d.openAppID, okReply}, 0
}

func openHave(c *call) (any, errcode) {
	return struct {
		Have bool `json:"have_open"`
		errorReply
	}{c.auth.acct.own().openAppID != "", okReply}, 0
}

func openSameEntity(c *call) (any, errcode) {
	if c.auth.acct.own().openAppID == "" {
		return nil, codeOpenNotBound
	}
	return struct {
		errorReply
		Same bool `json:"same_entity"`
	}{okReply, true}, 0
}
