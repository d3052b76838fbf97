package simulator

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

const usersPerAccount = 3

// behalfEndpoints are the calls on behalf of an account that clients try first.
// All others of the catalogue are answered with "ok" only.
func behalfEndpoints() []endpoint {
	const get, post = http.MethodGet, http.MethodPost
	behalf := func(method, path string, handle func(*call) (any, errcode), sets ...int) endpoint {
		return endpoint{path: path, method: method, token: authorizerToken, sets: sets, lenient: method == get, handle: handle}
	}
	messages := []int{1, 6, 19, 100, 101}
	media := []int{1, 3, 8, 9, 11, 19, 30, 31, 100}
	upload := func(path string, handle func(*call) (any, errcode), sets ...int) endpoint {
		e := behalf(post, path, handle, sets...)
		e.noBody = true // it answers 41005 itself
		return e
	}
	return []endpoint{
		{path: "/cgi-bin/getcallbackip", method: get, token: eitherToken, names: nil, lenient: true, handle: ipList},
		{path: "/cgi-bin/get_api_domain_ip", method: get, token: eitherToken, lenient: true, handle: ipList},
		{path: "/cgi-bin/callback/check", method: post, token: eitherToken, handle: checkCallback},
		behalf(post, "/cgi-bin/message/custom/send", sendCustomMessage, messages...),
		behalf(post, "/cgi-bin/message/custom/typing", accepted, messages...),
		behalf(post, "/cgi-bin/message/template/send", sendTemplate, 7),
		behalf(get, "/cgi-bin/user/info", userInfo, 2),
		behalf(get, "/cgi-bin/user/get", userList, 2),
		behalf(post, "/cgi-bin/menu/create", createMenu, 15),
		behalf(get, "/cgi-bin/menu/get", getMenu, 15),
		behalf(get, "/cgi-bin/menu/delete", deleteMenu, 15),
		upload("/cgi-bin/media/upload", uploadMedia, media...),
		behalf(get, "/cgi-bin/media/get", getMedia, media...),
		upload("/cgi-bin/material/add_material", addMaterial, 11, 100),
		behalf(post, "/cgi-bin/material/get_material", getMaterial, 3, 11, 18, 30, 31, 100),
		behalf(get, "/cgi-bin/ticket/getticket", pageTicketOf, 4),
		behalf(get, "/cgi-bin/account/getaccountbasicinfo", accountBasicInfo, 3, 30),
		behalf(get, "/wxa/getaccountbasicinfo", accountBasicInfo, 3, 30),
	}
}

func ipList(*call) (any, errcode) {
	return struct {
		IPs []string `json:"ip_list"`
	}{[]string{"127.0.0.1"}}, 0
}

func checkCallback(c *call) (any, errcode) {
	var in struct {
		Action   string `json:"action"`
		Operator string `json:"check_operator"`
	}
	if code := c.decode(&in); code != 0 {
		return nil, code
	}
	type dns struct {
		IP       string `json:"ip"`
		Operator string `json:"real_operator"`
	}
	type ping struct {
		IP       string `json:"ip"`
		Operator string `json:"from_operator"`
		Loss     string `json:"package_loss"`
		Time     string `json:"time"`
	}
	var out struct {
		DNS  []dns  `json:"dns,omitempty"`
		Ping []ping `json:"ping,omitempty"`
	}
	if in.Action != "dns" && in.Action != "ping" && in.Action != "all" {
		return nil, codeBadArgument
	}
	if in.Action != "ping" {
		out.DNS = []dns{{"127.0.0.1", "CAP"}}
	}
	if in.Action != "dns" {
		out.Ping = []ping{{"127.0.0.1", "CAP", "0%", "0.05ms"}}
	}
	return out, 0
}

// keepSent records what users get to see. s.mu is held.
func (c *call) keepSent(m SentMessage) {
	m.Time, m.ComponentAppID, m.Path, m.Body = c.now.UTC().Round(0), c.comp.appid, c.path, bytes.Clone(c.body)
	d := c.auth.acct.own()
	d.sent = append(d.sent, m)
}

func sendCustomMessage(c *call) (any, errcode) {
	var m SentMessage
	if code := c.decode(&m); code != 0 {
		return nil, code
	}
	var content map[string]json.RawMessage
	_ = c.decode(&content) // it has just been decoded
	switch {
	case m.ToUser == "":
		return nil, codeBadOpenID
	case m.MsgType == "" || content[m.MsgType] == nil:
		return nil, codeBadMessageType
	}
	if code := c.auth.acct.own().useWindow(m.ToUser, c.now); code != 0 {
		return nil, code
	}
	c.keepSent(m)
	return okReply, 0
}

func sendTemplate(c *call) (any, errcode) {
	var in struct {
		ToUser   string `json:"touser"`
		Template string `json:"template_id"`
	}
	if code := c.decode(&in); code != 0 {
		return nil, code
	}
	switch {
	case in.ToUser == "":
		return nil, codeBadOpenID
	case in.Template == "":
		return nil, codeBadTemplate
	}
	c.keepSent(SentMessage{ToUser: in.ToUser, MsgType: "template"})
	c.s.messageN++
	return struct {
		errorReply
		MsgID uint64 `json:"msgid"`
	}{okReply, 3_000_000_000_000_000_000 + c.s.messageN}, 0
}

func userInfo(c *call) (any, errcode) {
	openid := c.query.Get("openid")
	if openid == "" {
		return nil, codeBadOpenID
	}
	return struct {
		Subscribe     int    `json:"subscribe"`
		OpenID        string `json:"openid"`
		NickName      string `json:"nickname"`
		Sex           int    `json:"sex"`
		Language      string `json:"language"`
		City          string `json:"city"`
		Province      string `json:"province"`
		Country       string `json:"country"`
		HeadImgURL    string `json:"headimgurl"`
		SubscribeTime int64  `json:"subscribe_time"`
		UnionID       string `json:"unionid,omitempty"`
		Remark        string `json:"remark"`
		GroupID       int    `json:"groupid"`
		Tags          []int  `json:"tagid_list"`
		Scene         string `json:"subscribe_scene"`
		QRScene       int    `json:"qr_scene"`
		QRSceneText   string `json:"qr_scene_str"`
	}{
		Subscribe: 1, OpenID: openid, Language: "zh_CN", SubscribeTime: c.now.Unix() - 86400, Tags: []int{},
		Scene: "ADD_SCENE_SEARCH", UnionID: c.unionIfBound(openid),
	}, 0
}

func (c *call) unionIfBound(openid string) string {
	if c.auth.acct.own().openAppID == "" {
		return ""
	}
	return unionID(openid)
}

func userList(c *call) (any, errcode) {
	type data struct {
		OpenID []string `json:"openid"`
	}
	out := struct {
		Total int    `json:"total"`
		Count int    `json:"count"`
		Data  *data  `json:"data,omitempty"`
		Next  string `json:"next_openid"`
	}{Total: usersPerAccount}
	if c.query.Get("next_openid") == "" {
		out.Data = &data{}
		for n := 1; n <= usersPerAccount; n++ {
			out.Data.OpenID = append(out.Data.OpenID, c.auth.acct.openID(n))
		}
		out.Count, out.Next = usersPerAccount, c.auth.acct.openID(usersPerAccount)
	}
	return out, 0
}

func createMenu(c *call) (any, errcode) {
	var in struct {
		Button []struct {
			Name string `json:"name"`
		} `json:"button"`
	}
	if code := c.decode(&in); code != 0 {
		return nil, code
	}
	if len(in.Button) == 0 || len(in.Button) > 3 {
		return nil, codeBadButtonCount
	}
	c.auth.acct.own().menu = bytes.Clone(c.body)
	return okReply, 0
}

func getMenu(c *call) (any, errcode) {
	menu := c.auth.acct.own().menu
	if menu == nil {
		return nil, codeNoMenu
	}
	return struct {
		Menu json.RawMessage `json:"menu"`
	}{menu}, 0
}

func deleteMenu(c *call) (any, errcode) {
	c.auth.acct.own().menu = nil
	return okReply, 0
}

// pageTicketLife is that of the tickets for web pages.
const pageTicketLife = 2 * time.Hour

// pageTicket is what web pages of an account sign with.
type pageTicket struct {
	n       uint64
	expires time.Time
}

// pageTicketOf returns the account's ticket of a kind, a new one once the last has
// expired.
func pageTicketOf(c *call) (any, errcode) {
	kind := c.query.Get("type")
	if kind != "jsapi" && kind != "wx_card" {
		return nil, codeBadArgument
	}
	d := c.auth.acct.own()
	if d.tickets == nil {
		d.tickets = make(map[string]pageTicket)
	}
	t := d.tickets[kind]
	if !c.now.Before(t.expires) {
		t = pageTicket{t.n + 1, c.now.Add(pageTicketLife)}
		d.tickets[kind] = t
	}
	ticket := "HoagFKDcsGMVCIY2vOjf9" + strconv.FormatUint(scramble(uint64(c.auth.acct.id)^c.s.dice.seed^t.n<<32), 36) + kind
	c.s.given[ticket] = struct{}{}
	return struct {
		errorReply
		Ticket    string `json:"ticket"`
		ExpiresIn int    `json:"expires_in"`
	}{okReply, ticket, int((t.expires.Sub(c.now) + time.Second - 1) / time.Second)}, 0
}

func accountBasicInfo(c *call) (any, errcode) {
	a := c.auth.acct.describe()
	type changes struct {
		Used  int `json:"modify_used_count"`
		Quota int `json:"modify_quota"`
	}
	var out struct {
		errorReply
		AppID         string `json:"appid"`
		AccountType   int    `json:"account_type"`
		PrincipalType int    `json:"principal_type"`
		Principal     string `json:"principal_name"`
		Credential    string `json:"credential"`
		RealName      int    `json:"realname_status"`
		NickName      struct {
			NickName string `json:"nickname"`
			changes
		} `json:"nickname_info"`
		HeadImage struct {
			URL string `json:"head_image_url"`
			changes
		} `json:"head_image_info"`
		Signature struct {
			Signature string `json:"signature"`
			changes
		} `json:"signature_info"`
		Verify struct {
			Qualification bool `json:"qualification_verify"`
			Naming        bool `json:"naming_verify"`
		} `json:"wx_verify_info"`
	}
	out.errorReply = okReply
	out.AppID, out.Principal, out.PrincipalType, out.RealName = a.AppID, a.PrincipalName, 1, 1
	out.AccountType = 2
	if a.Kind == MiniProgram {
		out.AccountType = 3
	}
	out.NickName.NickName, out.NickName.changes = a.NickName, changes{0, 2}
	out.HeadImage.URL, out.HeadImage.changes = "https://wx.qlogo.example/sim/0", changes{0, 5}
	out.Signature.Signature, out.Signature.changes = "模拟账号 / simulated account", changes{0, 5}
	out.Verify.Qualification, out.Verify.Naming = !a.Unverified, !a.Unverified
	return out, 0
}
