package admin

import (
	"context"
	"net/http"
	"slices"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// WeChat is what WeChat is asked for an operator: [wxapi.Client].
type WeChat interface {
	GetAuthorizerOptionV2(ctx context.Context, a tuoguan.Authorization, name string) (value string, err error)
	SetAuthorizerOptionV2(ctx context.Context, a tuoguan.Authorization, name, value string) error
}

var _ WeChat = (*wxapi.Client)(nil)

// option is a setting of an account that is kept at WeChat.
type option struct {
	Name    string        `json:"name"`
	Title   string        `json:"title"`
	TitleZh string        `json:"title_zh"`
	Value   string        `json:"value" doc:"Empty where it cannot be read · 无法读取时为空"`
	Values  []optionValue `json:"values"`
	// Writable says no more than that nothing is known to stand in the way.
	Writable bool   `json:"writable"`
	Error    string `json:"error" doc:"Why it cannot be read or set; empty if it can · 无法读取或设置的原因，正常为空"`
	ErrorZh  string `json:"error_zh"`

	needs tuoguan.PermissionSet
}

// optionValue is one of the values that an option can have.
type optionValue struct {
	Value   string `json:"value"`
	Title   string `json:"title"`
	TitleZh string `json:"title_zh"`
}

var offOrOn = []optionValue{{"0", "off", "关闭"}, {"1", "on", "开启"}}

// options are all that there are. Never written.
// Source: third-party platform docs, authorizer options, read 2026.
var options = []option{
	{
		Name: wxapi.OptionLocationReport, Title: "location reports", TitleZh: "地理位置上报", needs: tuoguan.PermissionUsers,
		Values: []optionValue{{"0", "off", "不上报"}, {"1", "on entering the chat", "进入会话时上报"}, {"2", "every five seconds", "每 5 秒上报"}},
	},
	{Name: wxapi.OptionVoiceRecognize, Title: "speech recognition", TitleZh: "语音识别", needs: tuoguan.PermissionMessages, Values: offOrOn},
	{Name: wxapi.OptionCustomerService, Title: "customer service agents", TitleZh: "多客服", needs: tuoguan.PermissionCustomerService, Values: offOrOn},
}

type listOptionsInput struct{ Account }

// listOptions asks WeChat for the options of an account.
func (a *API) listOptions(ctx context.Context, in *listOptionsInput) (*output[list[option]], error) {
	found, err := a.authorizer(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	if err := a.allow(ctx, found.Authorization); err != nil {
		return nil, err
	}
	page := list[option]{}
	for _, o := range options {
		page.Items = append(page.Items, a.readOption(ctx, found, o))
	}
	return &output[list[option]]{http.StatusOK, page}, nil
}

// readOption asks WeChat for the value of an option.
func (a *API) readOption(ctx context.Context, of store.Authorizer, o option) option {
	if !slices.Contains(of.PermissionSets, o.needs) {
		o.Error, o.ErrorZh = "the merchant has not granted the permission set "+o.needs.String(), "商家未授予权限集："+o.needs.ChineseName()
		return o
	}
	err := standing(of)
	if err == nil {
		o.Value, err = a.cfg.WeChat.GetAuthorizerOptionV2(ctx, of.Authorization, o.Name)
	}
	if o.Writable = err == nil; !o.Writable {
		p := problem.Of(err)
		o.Error, o.ErrorZh = p.Detail, p.DetailZh
	}
	return o
}

// standing fails unless an authorization stands.
func standing(of store.Authorizer) error {
	switch of.State {
	case tuoguan.StateRevoked:
		return problem.Revoked
	case tuoguan.StateNeedsReauthorization:
		return problem.NeedsReauthorization
	}
	return nil
}

// allow counts a request that makes WeChat be asked against the account's rate.
func (a *API) allow(ctx context.Context, of tuoguan.Authorization) error {
	if wait, ok := a.cfg.Access.AllowAccount(callOf(ctx).Caller, of.Authorizer); !ok {
		return rateLimited(wait)
	}
	return nil
}

type optionBody struct {
	Value string `json:"value" doc:"One of the values of the option · 选项可取的值之一"`
}

type putOptionInput struct {
	Account
	Name string `path:"name" enum:"location_report,voice_recognize,customer_service"`
	Input[optionBody]
}

// putOption sets an option at WeChat.
func (a *API) putOption(ctx context.Context, in *putOptionInput) (*output[option], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(options, func(o option) bool { return o.Name == in.Name })
	if i < 0 {
		return nil, problem.NoSuchRoute.With("there is no such option", "不存在该选项")
	}
	o := options[i]
	if !slices.ContainsFunc(o.Values, func(v optionValue) bool { return v.Value == body.Value }) {
		return nil, problem.InvalidField.Field("value", "is not one of the values of this option", "不是该选项可取的值")
	}
	found, err := a.authorizer(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	if err := standing(found); err != nil {
		return nil, err
	}
	if err := a.allow(ctx, found.Authorization); err != nil {
		return nil, err
	}
	if err := a.record(ctx, found.Authorization, o.Name, map[string]string{"value": body.Value}); err != nil {
		return nil, err
	}
	if err := a.cfg.WeChat.SetAuthorizerOptionV2(ctx, found.Authorization, o.Name, body.Value); err != nil {
		return nil, err
	}
	o.Value, o.Writable = body.Value, true
	return &output[option]{http.StatusOK, o}, nil
}
