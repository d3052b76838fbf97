package admin

import (
	"context"
	"net/http"
	"strconv"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/gateway/catalogue"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/wxapi"
)

// endpoint is all that is known of an endpoint of WeChat's.
type endpoint struct {
	catalogue.EndpointSummary
	Query        []catalogue.Field `json:"query" doc:"Query parameters besides the token · 令牌以外的查询参数"`
	Body         string            `json:"body" enum:"json,multipart,none"`
	Request      []catalogue.Field `json:"request"`
	Response     []catalogue.Field `json:"response"`
	ResponseKind string            `json:"response_kind" enum:"json,binary,json_or_binary"`
	Errcodes     []Errcode         `json:"errcodes" doc:"Those that are known to come from it · 已知会返回的错误码"`
	Doc          string            `json:"doc" doc:"A page of WeChat's about it; empty where none is known · 微信官方文档，未知为空"`
}

type listEndpointsInput struct{ Cached }

func (a *API) listEndpoints(_ context.Context, in *listEndpointsInput) (*resource[list[catalogue.EndpointSummary]], error) {
	entries, err := catalogue.Entries()
	if err != nil {
		return nil, err
	}
	page := list[catalogue.EndpointSummary]{Items: []catalogue.EndpointSummary{}}
	for _, e := range entries {
		page.Items = append(page.Items, e.EndpointSummary)
	}
	return show(page, in.Cached)
}

type getEndpointInput struct {
	ID string `path:"id" doc:"Such as get_user_info · 如 get_user_info"`
	Cached
}

func (a *API) getEndpoint(_ context.Context, in *getEndpointInput) (*resource[endpoint], error) {
	e, ok, err := catalogue.Find(in.ID)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, problem.UnknownEndpoint
	}
	shown := endpoint{
		EndpointSummary: e.EndpointSummary, Query: e.Query, Body: e.Body, Request: e.Request, Response: e.Response, ResponseKind: e.ResponseKind,
		Errcodes: []Errcode{}, Doc: e.Doc,
	}
	for _, code := range e.Errcodes {
		shown.Errcodes = append(shown.Errcodes, showErrcode(wxapi.Explain(code)))
	}
	return show(shown, in.Cached)
}

// permissionSet is a bundle of endpoints that a merchant grants.
type permissionSet struct {
	ID        tuoguan.PermissionSet `json:"id"`
	Name      string                `json:"name"`
	NameZh    string                `json:"name_zh" doc:"As WeChat calls it · 微信的名称"`
	Kind      string                `json:"kind" enum:"official_account,mini_program,channels" doc:"Which accounts can grant it: channels stands for those of Channels and talents · 可授权的账号类型，channels 指视频号与带货助手"`
	Exclusive bool                  `json:"exclusive" doc:"Only one component at a time can hold it · 同一时间只能授权给一个第三方平台"`
}

type listPermissionSetsInput struct{ Cached }

func (a *API) listPermissionSets(_ context.Context, in *listPermissionSetsInput) (*resource[list[permissionSet]], error) {
	page := list[permissionSet]{Items: []permissionSet{}}
	for _, id := range tuoguan.PermissionSets() {
		kind := string(id.Kind())
		if kind == "" {
			kind = "channels"
		}
		page.Items = append(page.Items, permissionSet{id, id.EnglishName(), id.ChineseName(), kind, id.Exclusive()})
	}
	return show(page, in.Cached)
}

// Errcode is what an errcode of WeChat's means and what to do about it.
type Errcode struct {
	Code      int    `json:"code"`
	Known     bool   `json:"known" doc:"Whether its meaning is known here · 是否已知其含义"`
	Class     string `json:"class" enum:"ok,busy,rate_limited,quota,token_invalid,ticket_invalid,refresh_token_invalid,not_authorized,code_invalid,permission,config,user,bug"`
	Meaning   string `json:"meaning"`
	MeaningZh string `json:"meaning_zh"`
	Action    string `json:"action" doc:"What to do · 处理办法"`
	ActionZh  string `json:"action_zh"`
}

// explanation is an errcode, or null where there is none.
type explanation struct {
	_ struct{} `nullable:"true"`
	Errcode
}

func showErrcode(e wxapi.Explanation) Errcode {
	return Errcode{
		Code: e.Code, Known: e.Known, Class: className(e.Class),
		Meaning: e.Meaning, MeaningZh: e.MeaningChinese, Action: e.Action, ActionZh: e.ActionChinese,
	}
}

// className is how the API names a class of errcodes.
func className(class error) string {
	switch class {
	case nil:
		return "ok"
	case wxapi.ErrBusy:
		return "busy"
	case wxapi.ErrRateLimited:
		return "rate_limited"
	case wxapi.ErrQuota:
		return "quota"
	case wxapi.ErrTokenInvalid:
		return "token_invalid"
	case wxapi.ErrTicketInvalid:
		return "ticket_invalid"
	case wxapi.ErrRefreshTokenInvalid:
		return "refresh_token_invalid"
	case wxapi.ErrNotAuthorized:
		return "not_authorized"
	case wxapi.ErrCodeInvalid:
		return "code_invalid"
	case wxapi.ErrPermission:
		return "permission"
	case wxapi.ErrConfig:
		return "config"
	case wxapi.ErrUser:
		return "user"
	}
	return "bug"
}

type getErrcodeInput struct {
	Code string `path:"code"`
}

func (a *API) getErrcode(_ context.Context, in *getErrcodeInput) (*output[Errcode], error) {
	code, err := strconv.Atoi(in.Code)
	if err != nil {
		return nil, problem.BadRequest.Field("code", "must be a number", "须为数字")
	}
	return &output[Errcode]{http.StatusOK, showErrcode(wxapi.Explain(code))}, nil
}
