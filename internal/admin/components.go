package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
)

// component is a component as the API shows it: none of its secrets.
type component struct {
	AppID      string `json:"appid"`
	EventURL   string `json:"event_url" doc:"To be set in the console as the authorization event URL · 授权事件接收 URL"`
	MessageURL string `json:"message_url" doc:"To be set in the console as the message and event URL · 消息与事件接收 URL"`

	TicketReceivedAt *time.Time              `json:"ticket_received_at"`
	TokenExpiresAt   *time.Time              `json:"token_expires_at"`
	Problem          string                  `json:"problem" doc:"Why there is no new component token; empty if all is well · 无法获得新令牌的原因"`
	EgressIP         string                  `json:"egress_ip" doc:"The address that WeChat sees and refuses, as it is not in the IP whitelist; empty unless that is the problem · 微信看到且因不在 IP 白名单而拒绝的出口 IP；无此问题时为空"`
	Authorizers      map[tuoguan.State]int64 `json:"authorizers" doc:"How many, by state · 各状态的授权账号数"`

	StagedSecret           bool       `json:"staged_secret" doc:"Whether an AppSecret is staged · 是否有待启用的 AppSecret"`
	PreviousToken          bool       `json:"previous_token" doc:"Whether a previous Token is taken · 是否仍接受旧 Token"`
	PreviousEncodingAESKey bool       `json:"previous_encoding_aes_key" doc:"Whether a previous EncodingAESKey is taken · 是否仍接受旧 EncodingAESKey"`
	CreatedAt              *time.Time `json:"created_at"`
	UpdatedAt              *time.Time `json:"updated_at" doc:"When the credentials were last changed · 凭据上次修改时间"`
}

// settled implements live: tickets, tokens and authorizers come by themselves.
func (c component) settled() any {
	c.TicketReceivedAt, c.TokenExpiresAt, c.Problem, c.EgressIP, c.Authorizers = nil, nil, "", "", nil
	return c
}

func (a *API) showComponent(c keeper.ComponentStatus, stored store.Component) component {
	base := a.cfg.PublicURL + "/wx/" + string(c.AppID)
	shown := component{
		AppID: string(c.AppID), EventURL: base + "/event", MessageURL: base + "/message/$APPID$",
		TicketReceivedAt: instant(c.TicketReceivedAt), TokenExpiresAt: instant(c.TokenExpiresAt), Problem: c.Problem,
		Authorizers:  map[tuoguan.State]int64{tuoguan.StateActive: 0, tuoguan.StateNeedsReauthorization: 0, tuoguan.StateRevoked: 0},
		StagedSecret: !stored.StagedSecret.IsZero(), PreviousToken: !stored.PreviousToken.IsZero(), PreviousEncodingAESKey: !stored.PreviousEncodingAESKey.IsZero(),
		CreatedAt: instant(stored.CreatedAt), UpdatedAt: instant(stored.UpdatedAt),
	}
	if c.EgressIP.IsValid() {
		shown.EgressIP = c.EgressIP.String()
	}
	for state, count := range c.Authorizers {
		shown.Authorizers[state] = count
	}
	return shown
}

// components returns the components that a caller has to do with and that are wanted.
func (a *API) components(ctx context.Context, wanted func(tuoguan.ComponentAppID) bool) ([]component, error) {
	status, err := a.cfg.Keeper.Status(ctx)
	if err != nil {
		return nil, problem.Storage(err)
	}
	found := []component{}
	for _, c := range status.Components {
		if callOf(ctx).sees(c.AppID) != nil || !wanted(c.AppID) {
			continue
		}
		stored, err := a.cfg.Keeper.Component(ctx, c.AppID)
		if err != nil {
			return nil, problem.Storage(err)
		}
		found = append(found, a.showComponent(c, stored))
	}
	return found, nil
}

// component returns one component that the caller has to do with.
func (a *API) component(ctx context.Context, id tuoguan.ComponentAppID) (component, error) {
	found, err := a.components(ctx, func(candidate tuoguan.ComponentAppID) bool { return candidate == id })
	if err == nil && len(found) == 0 {
		err = problem.UnknownComponent
	}
	if err != nil {
		return component{}, err
	}
	return found[0], nil
}

func (a *API) listComponents(ctx context.Context, _ *struct{}) (*output[list[component]], error) {
	found, err := a.components(ctx, func(tuoguan.ComponentAppID) bool { return true })
	return &output[list[component]]{http.StatusOK, list[component]{Items: found}}, err
}

// ComponentPath is embedded in the input of routes about one component.
type ComponentPath struct {
	AppID string `path:"appid" doc:"AppID of the component · 第三方平台 AppID"`
}

type getComponentInput struct {
	ComponentPath
	Cached
}

func (a *API) getComponent(ctx context.Context, in *getComponentInput) (*resource[component], error) {
	found, err := a.component(ctx, tuoguan.ComponentAppID(in.AppID))
	if err != nil {
		return nil, err
	}
	return show(found, in.Cached)
}

type componentBody struct {
	AppID                  tuoguan.ComponentAppID `json:"appid"`
	Secret                 string                 `json:"secret" doc:"The AppSecret"`
	Token                  string                 `json:"token" doc:"Signs pushes, 3 to 32 letters and digits · 消息校验 Token"`
	EncodingAESKey         string                 `json:"encoding_aes_key" doc:"43 letters and digits · 消息加解密 Key"`
	PreviousToken          string                 `json:"previous_token,omitempty" doc:"Stays valid for pushes; without it, the one replaced · 仍用于校验的旧 Token，默认为被替换者"`
	PreviousEncodingAESKey string                 `json:"previous_encoding_aes_key,omitempty" doc:"Stays valid for pushes; without it, the one replaced · 仍用于解密的旧 Key，默认为被替换者"`
}

type putComponentInput struct{ Input[componentBody] }

// putComponent adds a component, or replaces the credentials of one. They take
// effect at once; what is authorized stays.
func (a *API) putComponent(ctx context.Context, in *putComponentInput) (*resource[component], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	wanted := config.Component{
		AppID:                  body.AppID,
		Secret:                 tuoguan.NewSecret(body.Secret),
		Token:                  tuoguan.NewSecret(body.Token),
		EncodingAESKey:         tuoguan.NewSecret(body.EncodingAESKey),
		PreviousToken:          tuoguan.NewSecret(body.PreviousToken),
		PreviousEncodingAESKey: tuoguan.NewSecret(body.PreviousEncodingAESKey),
	}
	if err := checkComponent(wanted, tuoguan.Secret{}, nil); err != nil {
		return nil, err
	}
	if err := callOf(ctx).holds(wanted.AppID); err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{Component: wanted.AppID}, "", nil); err != nil {
		return nil, err
	}
	added, err := PutComponent(ctx, a.cfg.Keeper, wanted)
	if err != nil {
		return nil, problem.Storage(err)
	}
	a.cfg.Logger.InfoContext(ctx, "component stored", "component_appid", wanted.AppID)
	found, err := a.component(ctx, wanted.AppID)
	if err != nil {
		return nil, err
	}
	if added {
		return changed(http.StatusCreated, found)
	}
	return changed(http.StatusOK, found)
}

// checkComponent says what is wrong with the credentials of a component, and with a
// secret that is staged, if there is one: with all, or with those that are given.
func checkComponent(c config.Component, staged tuoguan.Secret, given []string) error {
	var mistakes config.Mistakes
	_ = errors.As(c.Check(), &mistakes)
	if !staged.IsZero() {
		c.Secret = staged
		var more config.Mistakes
		_ = errors.As(c.Check(), &more)
		for _, m := range more {
			if m.Key == "secret" {
				m.Key = "staged_secret"
				mistakes = append(mistakes, m)
			}
		}
	}
	if given != nil {
		mistakes = slices.DeleteFunc(mistakes, func(m config.Mistake) bool { return !slices.Contains(given, m.Key) })
	}
	if len(mistakes) == 0 {
		return nil
	}
	p := problem.InvalidField.With("the component cannot be taken like this", "第三方平台参数有误")
	for _, m := range mistakes {
		p.Errors = append(p.Errors, problem.FieldProblem{Field: m.Key, Detail: m.Problem + "; " + m.Fix, DetailZh: "缺失或格式不正确，请从开放平台控制台复制"})
	}
	return p
}

type componentChange struct {
	Secret                 *string `json:"secret,omitempty" doc:"Replaces the AppSecret at once · 立即替换 AppSecret"`
	StagedSecret           *string `json:"staged_secret,omitempty" doc:"An AppSecret that WeChat's console has been told or will be: it is tried once WeChat refuses the present one, and replaces it then; empty to withdraw it · 待启用的 AppSecret，微信拒绝现有值后启用；空串撤回"`
	Token                  *string `json:"token,omitempty" doc:"The present one becomes the previous one · 现有 Token 转为旧值继续接受"`
	EncodingAESKey         *string `json:"encoding_aes_key,omitempty" doc:"The present one becomes the previous one · 现有 Key 转为旧值继续接受"`
	PreviousToken          *string `json:"previous_token,omitempty" doc:"Empty to take it no more · 空串表示不再接受"`
	PreviousEncodingAESKey *string `json:"previous_encoding_aes_key,omitempty" doc:"Empty to take it no more · 空串表示不再接受"`
}

// names returns the fields that are given.
func (c componentChange) names() []string {
	given := []string{}
	for name, field := range map[string]*string{
		"secret": c.Secret, "staged_secret": c.StagedSecret, "token": c.Token, "encoding_aes_key": c.EncodingAESKey,
		"previous_token": c.PreviousToken, "previous_encoding_aes_key": c.PreviousEncodingAESKey,
	} {
		if field != nil {
			given = append(given, name)
		}
	}
	slices.Sort(given)
	return given
}

// apply returns what a component becomes by the change.
func (c componentChange) apply(stored store.Component) store.Component {
	next := stored
	next.UpdatedAt = time.Time{}
	set := func(field *tuoguan.Secret, given *string) {
		if given != nil {
			*field = tuoguan.NewSecret(*given)
		}
	}
	set(&next.Secret, c.Secret)
	set(&next.StagedSecret, c.StagedSecret)
	if next.StagedSecret.Equal(next.Secret) {
		next.StagedSecret = tuoguan.Secret{}
	}
	set(&next.Token, c.Token)
	set(&next.EncodingAESKey, c.EncodingAESKey)
	next.PreviousToken = previous(stored.Token, next.Token, stored.PreviousToken, tuoguan.Secret{})
	next.PreviousEncodingAESKey = previous(stored.EncodingAESKey, next.EncodingAESKey, stored.PreviousEncodingAESKey, tuoguan.Secret{})
	set(&next.PreviousToken, c.PreviousToken)
	set(&next.PreviousEncodingAESKey, c.PreviousEncodingAESKey)
	return next
}

type changeComponentInput struct {
	ComponentPath
	Guarded
	Input[componentChange]
}

// changeComponent changes or rotates single credentials.
func (a *API) changeComponent(ctx context.Context, in *changeComponentInput) (*resource[component], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	id := tuoguan.ComponentAppID(in.AppID)
	if err := callOf(ctx).holds(id); err != nil {
		return nil, err
	}
	shown, err := a.component(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := in.Guarded.check(shown); err != nil {
		return nil, err
	}
	stored, err := a.cfg.Keeper.Component(ctx, id)
	if err != nil {
		return nil, err
	}
	next := body.apply(stored)
	if err := checkComponent(config.Component{
		AppID: id, Secret: next.Secret, Token: next.Token, EncodingAESKey: next.EncodingAESKey,
		PreviousToken: next.PreviousToken, PreviousEncodingAESKey: next.PreviousEncodingAESKey,
	}, next.StagedSecret, body.names()); err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{Component: id}, "", map[string]string{"fields": strings.Join(body.names(), ", ")}); err != nil {
		return nil, err
	}
	if err := a.cfg.Keeper.PutComponent(ctx, next); err != nil {
		return nil, problem.Storage(err)
	}
	a.cfg.Logger.InfoContext(ctx, "component changed", "component_appid", id, "fields", body.names())
	if shown, err = a.component(ctx, id); err != nil {
		return nil, err
	}
	return changed(http.StatusOK, shown)
}

// reconciliation is what a comparison with WeChat's list has found and mended.
type reconciliation struct {
	Listed      int `json:"listed" doc:"Authorizations in WeChat's list · 微信列表中的授权数"`
	Adopted     int `json:"adopted" doc:"That were not known here · 新发现的授权"`
	Renewed     int `json:"renewed" doc:"That had been given anew unnoticed · 已重新授权的账号"`
	Candidates  int `json:"candidates" doc:"Refresh tokens that were not known here · 新发现的刷新令牌"`
	Unexchanged int `json:"unexchanged" doc:"Whose code was never exchanged: the merchant must authorize again · 授权码未换取，需商家重新授权"`
	Unlisted    int `json:"unlisted" doc:"Active here and not listed; each is verified by a refresh · 本地有效但不在列表中，将逐一验证"`
}

type reconcileInput struct{ ComponentPath }

func (a *API) reconcile(ctx context.Context, in *reconcileInput) (*output[reconciliation], error) {
	id := tuoguan.ComponentAppID(in.AppID)
	if err := callOf(ctx).holds(id); err != nil {
		return nil, err
	}
	if _, err := a.cfg.Keeper.Component(ctx, id); err != nil {
		return nil, err
	}
	if err := a.record(ctx, tuoguan.Authorization{Component: id}, "", nil); err != nil {
		return nil, err
	}
	r, err := a.cfg.Keeper.Reconcile(ctx, id)
	if err != nil {
		return nil, err
	}
	return &output[reconciliation]{http.StatusOK, reconciliation{
		Listed: r.Listed, Adopted: r.Adopted, Renewed: r.Renewed, Candidates: r.Candidates, Unexchanged: r.Unexchanged, Unlisted: r.Unlisted,
	}}, nil
}

// Components is where components are kept: [keeper.Keeper].
type Components interface {
	Component(ctx context.Context, id tuoguan.ComponentAppID) (store.Component, error)
	PutComponent(ctx context.Context, c store.Component) error
}

// PutComponent adds a component or replaces its credentials, if they differ from
// what is stored; it reports whether the component is new. A Token or
// EncodingAESKey that is replaced stays valid as the previous one, for WeChat goes
// on using it for a while, unless the previous ones are given too.
func PutComponent(ctx context.Context, components Components, wanted config.Component) (added bool, err error) {
	stored, err := components.Component(ctx, wanted.AppID)
	switch {
	case errors.Is(err, keeper.ErrUnknownComponent):
		added = true
	case err != nil:
		return false, err
	}
	next := stored
	next.AppID, next.UpdatedAt = wanted.AppID, time.Time{}
	next.Secret, next.Token, next.EncodingAESKey = wanted.Secret, wanted.Token, wanted.EncodingAESKey
	if next.StagedSecret.Equal(next.Secret) {
		next.StagedSecret = tuoguan.Secret{}
	}
	next.PreviousToken = previous(stored.Token, wanted.Token, stored.PreviousToken, wanted.PreviousToken)
	next.PreviousEncodingAESKey = previous(stored.EncodingAESKey, wanted.EncodingAESKey, stored.PreviousEncodingAESKey, wanted.PreviousEncodingAESKey)
	if !added && next.Secret.Equal(stored.Secret) && next.Token.Equal(stored.Token) && next.EncodingAESKey.Equal(stored.EncodingAESKey) &&
		next.PreviousToken.Equal(stored.PreviousToken) && next.PreviousEncodingAESKey.Equal(stored.PreviousEncodingAESKey) {
		return false, nil
	}
	return added, components.PutComponent(ctx, next)
}

// previous returns the value that stays valid beside the new one.
func previous(stored, wanted, storedPrevious, wantedPrevious tuoguan.Secret) tuoguan.Secret {
	switch {
	case !wantedPrevious.IsZero():
		return wantedPrevious
	case stored.IsZero() || stored.Equal(wanted):
		return storedPrevious
	}
	return stored
}
