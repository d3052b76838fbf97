package admin

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/store"
)

// event is a push as the API shows it in a list.
type event struct {
	ID             string     `json:"id"`
	ComponentAppID string     `json:"component_appid"`
	AuthorizerID   string     `json:"authorizer_appid" doc:"Empty where it concerns the component alone · 仅涉及第三方平台时为空"`
	Kind           string     `json:"kind" doc:"InfoType; or MsgType; or event. and Event · InfoType、MsgType 或 event.加 Event"`
	CreatedAt      *time.Time `json:"created_at" doc:"WeChat's CreateTime · 微信的 CreateTime"`
	ReceivedAt     *time.Time `json:"received_at"`
}

// fullEvent is a push with what it says.
type fullEvent struct {
	Event event  `json:"event"`
	Body  string `json:"body" doc:"The decrypted text, XML or JSON; tickets and codes are left out · 解密后的 XML 或 JSON，其中 ticket 与授权码已略去"`
	Reply string `json:"reply" doc:"The passive reply given, empty if none · 被动回复，无则为空"`
}

func showEvent(p store.Push) event {
	return event{
		ID: strconv.FormatInt(p.ID, 10), ComponentAppID: string(p.Component), AuthorizerID: string(p.Authorizer), Kind: p.Kind,
		CreatedAt: instant(p.CreatedAt), ReceivedAt: instant(p.ReceivedAt),
	}
}

// credentials are the parts of a push that are secrets, in XML and in JSON: verify
// tickets and codes.
var credentials = regexp.MustCompile(
	`(?is)(<(?:ComponentVerifyTicket|AuthorizationCode|PreAuthCode|auth_code)>).*?(</(?:ComponentVerifyTicket|AuthorizationCode|PreAuthCode|auth_code)>)` +
		`|("(?:ComponentVerifyTicket|AuthorizationCode|PreAuthCode|auth_code)"\s*:\s*")(?:[^"\\]|\\.)*(")`)

// withoutCredentials returns the text of a push without the secrets in it.
func withoutCredentials(text []byte) string {
	return string(credentials.ReplaceAll(text, []byte("${1}${3}…${2}${4}")))
}

// concerns reports whether the caller has to do with a push.
func (a *API) concerns(ctx context.Context, p store.Push) (bool, error) {
	c := callOf(ctx)
	authorization := tuoguan.Authorization{Component: p.Component, Authorizer: p.Authorizer}
	if reach := c.Reach(); len(c.Scope.Tags) == 0 || p.Authorizer == "" || reach.Contains(authorization, nil) {
		return reach.Contains(authorization, nil), nil
	}
	entries, err := a.cfg.Directory.Find(ctx, p.Authorizer, p.Component)
	if err != nil || len(entries) == 0 {
		return false, problem.Storage(err)
	}
	return c.Reach().Contains(authorization, entries[0].Tags), nil
}

type listEventsInput struct {
	Paging
	Component  string `query:"component" doc:"AppID of a component · 第三方平台 AppID"`
	Authorizer string `query:"authorizer" doc:"AppID of an account · 授权账号 AppID"`
	Kind       string `query:"kind" doc:"InfoType; or MsgType; or event. and Event · InfoType、MsgType 或 event.加 Event"`
}

// listEvents lists pushes without what they say. A page may be short, even empty, and
// have a next one.
func (a *API) listEvents(ctx context.Context, in *listEventsInput) (*output[list[event]], error) {
	var after int64
	if in.Cursor != "" {
		var err error
		if after, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil || after < 0 {
			return nil, badCursor
		}
	}
	page := list[event]{Items: []event{}}
	for scanned := 0; ; {
		found, err := a.cfg.Store.Pushes(ctx, after, maxPage)
		if err != nil {
			return nil, problem.Storage(err)
		}
		for _, p := range found {
			if len(page.Items) == in.Limit || scanned == maxScan {
				page.NextCursor = strconv.FormatInt(after, 10)
				return &output[list[event]]{http.StatusOK, page}, nil
			}
			after = p.ID
			scanned++
			if in.Component != "" && string(p.Component) != in.Component || in.Authorizer != "" && string(p.Authorizer) != in.Authorizer || in.Kind != "" && p.Kind != in.Kind {
				continue
			}
			concerned, err := a.concerns(ctx, p)
			if err != nil {
				return nil, err
			}
			if concerned {
				page.Items = append(page.Items, showEvent(p))
			}
		}
		if len(found) < maxPage {
			return &output[list[event]]{http.StatusOK, page}, nil
		}
	}
}

type getEventInput struct {
	ID string `path:"id"`
	Cached
}

func (a *API) getEvent(ctx context.Context, in *getEventInput) (*resource[fullEvent], error) {
	id, err := strconv.ParseInt(in.ID, 10, 64)
	if err != nil {
		return nil, problem.UnknownEvent
	}
	p, err := a.cfg.Store.Push(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, problem.UnknownEvent
	}
	if err != nil {
		return nil, problem.Storage(err)
	}
	concerned, err := a.concerns(ctx, p)
	if err != nil {
		return nil, err
	}
	if !concerned {
		return nil, problem.UnknownEvent
	}
	if err := a.record(ctx, tuoguan.Authorization{Component: p.Component, Authorizer: p.Authorizer}, in.ID, map[string]string{"kind": p.Kind}); err != nil {
		return nil, err
	}
	return show(fullEvent{Event: showEvent(p), Body: withoutCredentials(p.Body), Reply: string(p.Reply)}, in.Cached)
}
