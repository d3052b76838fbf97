package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
)

// component is a component as the API shows it: none of its secrets.
type component struct {
	AppID string `json:"appid"`
	// EventURL and MessageURL are to be set in the component's console.
	EventURL   string `json:"event_url"`
	MessageURL string `json:"message_url"`

	TicketReceivedAt *time.Time              `json:"ticket_received_at"`
	TokenExpiresAt   *time.Time              `json:"token_expires_at"`
	Problem          string                  `json:"problem"` // why there is no new component token
	Authorizers      map[tuoguan.State]int64 `json:"authorizers"`
}

func (a *API) showComponent(c keeper.ComponentStatus) component {
	base := a.cfg.PublicURL + "/wx/" + string(c.AppID)
	shown := component{
		AppID: string(c.AppID), EventURL: base + "/event", MessageURL: base + "/message/$APPID$",
		TicketReceivedAt: instant(c.TicketReceivedAt), TokenExpiresAt: instant(c.TokenExpiresAt), Problem: c.Problem,
		Authorizers: map[tuoguan.State]int64{tuoguan.StateActive: 0, tuoguan.StateNeedsReauthorization: 0, tuoguan.StateRevoked: 0},
	}
	for state, count := range c.Authorizers {
		shown.Authorizers[state] = count
	}
	return shown
}

func (a *API) listComponents(r *http.Request) (reply, error) {
	if q := parseQuery(r); q.err != nil {
		return reply{}, q.err
	}
	status, err := a.cfg.Keeper.Status(r.Context())
	if err != nil {
		return reply{}, storeError{err}
	}
	page := list[component]{Items: []component{}}
	for _, c := range status.Components {
		page.Items = append(page.Items, a.showComponent(c))
	}
	return reply{body: page}, nil
}

func (a *API) getComponent(r *http.Request) (reply, error) {
	status, err := a.cfg.Keeper.Status(r.Context())
	if err != nil {
		return reply{}, storeError{err}
	}
	for _, c := range status.Components {
		if string(c.AppID) == r.PathValue("appid") {
			return reply{body: a.showComponent(c)}, nil
		}
	}
	return reply{}, unknownComponent
}

// putComponent adds a component, or replaces the credentials of one. They take
// effect at once; what is authorized stays.
func (a *API) putComponent(r *http.Request) (reply, error) {
	var body struct {
		AppID                  tuoguan.ComponentAppID `json:"appid"`
		Secret                 string                 `json:"secret"`
		Token                  string                 `json:"token"`
		EncodingAESKey         string                 `json:"encoding_aes_key"`
		PreviousToken          string                 `json:"previous_token"`
		PreviousEncodingAESKey string                 `json:"previous_encoding_aes_key"`
	}
	if err := decode(r, &body); err != nil {
		return reply{}, err
	}
	wanted := config.Component{
		AppID:                  body.AppID,
		Secret:                 tuoguan.NewSecret(body.Secret),
		Token:                  tuoguan.NewSecret(body.Token),
		EncodingAESKey:         tuoguan.NewSecret(body.EncodingAESKey),
		PreviousToken:          tuoguan.NewSecret(body.PreviousToken),
		PreviousEncodingAESKey: tuoguan.NewSecret(body.PreviousEncodingAESKey),
	}
	var mistakes config.Mistakes
	if errors.As(wanted.Check(), &mistakes) {
		p := invalidField.with("the component cannot be taken like this", "第三方平台参数有误")
		for _, m := range mistakes {
			p.Errors = append(p.Errors, FieldProblem{Field: m.Key, Detail: m.Problem + "; " + m.Fix, DetailZh: "缺失或格式不正确，请从开放平台控制台复制"})
		}
		return reply{}, p
	}
	added, err := PutComponent(r.Context(), a.cfg.Keeper, wanted)
	if err != nil {
		return reply{}, storeError{err}
	}
	a.cfg.Logger.InfoContext(r.Context(), "component stored", "component_appid", wanted.AppID)
	r.SetPathValue("appid", string(wanted.AppID))
	shown, err := a.getComponent(r)
	if added {
		shown.status = http.StatusCreated
	}
	return shown, err
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
