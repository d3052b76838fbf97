package simulator

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The windows in which an account may write to a user. Source: Official
// Accounts docs, customer-service messages, read 2026.
const (
	messageWindow = 48 * time.Hour
	messageSends  = 5
	menuWindow    = time.Minute
	menuSends     = 3
)

// Message is what a user sends, or does.
type Message struct {
	// From is the user's openid.
	From string
	// Type is text, image, voice, video, shortvideo, location, link,
	// miniprogrampage or event.
	Type string
	// Fields are the rest, by the names of the control API (content, media_id,
	// event, event_key …) or, beginning with a capital, by WeChat's own element
	// names. A map becomes nested elements.
	Fields map[string]any
	// ComponentAppID chooses where several components hold the account.
	ComponentAppID string
	// MsgID repeats a message; "" is a new one.
	MsgID string
}

// MessageResult is what a message led to.
type MessageResult struct {
	PushResult
	MsgID string `json:"msg_id,omitempty"`
	// Reply is the decrypted passive reply under WeChat's element names, or nil.
	// Of a refused one it has only "problem".
	Reply map[string]any `json:"reply"`
}

// elements are the element names of the control API's field names, in the order
// in which WeChat writes them. Numbers are written bare.
var elements = []struct {
	name, element string
	number        bool
}{
	{"content", "Content", false}, {"bizmsgmenuid", "bizmsgmenuid", false},
	{"pic_url", "PicUrl", false}, {"media_id", "MediaId", false}, {"format", "Format", false},
	{"recognition", "Recognition", false}, {"media_id_16k", "MediaId16K", false}, {"thumb_media_id", "ThumbMediaId", false},
	{"location_x", "Location_X", true}, {"location_y", "Location_Y", true}, {"scale", "Scale", true}, {"label", "Label", false},
	{"title", "Title", false}, {"description", "Description", false}, {"url", "Url", false},
	{"app_id", "AppId", false}, {"page_path", "PagePath", false}, {"thumb_url", "ThumbUrl", false},
	{"event", "Event", false}, {"event_key", "EventKey", false}, {"ticket", "Ticket", false}, {"menu_id", "MenuId", true},
	{"latitude", "Latitude", true}, {"longitude", "Longitude", true}, {"precision", "Precision", true},
	{"session_from", "SessionFrom", false}, {"expired_time", "ExpiredTime", true}, {"fail_time", "FailTime", true},
	{"fail_reason", "FailReason", false}, {"succ_time", "SuccTime", true}, {"reason", "Reason", false},
	{"delay_time", "DelayTime", true}, {"screenshot", "ScreenShot", false},
}

var messageTypes = []string{"text", "image", "voice", "video", "shortvideo", "location", "link", "miniprogrampage", "event"}

// SendMessage lets a user write to an account, or act on it, and returns when
// the component has answered or failed three times.
func (s *Simulator) SendMessage(ctx context.Context, appid string, m Message) (MessageResult, error) {
	p, err := s.messagePush(appid, m)
	if err != nil {
		return MessageResult{}, err
	}
	return s.sendMessage(ctx, p), nil
}

func (s *Simulator) sendMessage(ctx context.Context, p *push) MessageResult {
	result := MessageResult{PushResult: s.send(ctx, p), MsgID: p.msgID}
	switch {
	case p.reply != nil:
		result.Reply = p.reply.fields
	case !result.Accepted && len(result.Attempts) > 0:
		result.Reply = map[string]any{"problem": result.Problem}
	}
	return result
}

// messagePush makes the push of a message and opens the user's reply window.
func (s *Simulator) messagePush(appid string, m Message) (*push, error) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	auth, err := s.chosenForMessage(appid, m)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(messageTypes, m.Type) {
		return nil, refuse(http.StatusBadRequest, "type is %q: must be one of %s", m.Type, strings.Join(messageTypes, ", "))
	}
	if m.From == "" {
		return nil, refuse(http.StatusBadRequest, "from is missing: the openid of the user who writes")
	}
	body, err := messageFields(m.Fields)
	if err != nil {
		return nil, err
	}
	a := auth.acct.own()
	fields := append([]field{
		text("ToUserName", a.UserName), text("FromUserName", m.From), number("CreateTime", now.Unix()), text("MsgType", m.Type),
	}, body...)
	event := m.Type
	if m.Type == "event" {
		event, _ = m.Fields["event"].(string)
		if event == "" {
			event, _ = m.Fields["Event"].(string)
		}
		if event == "" {
			return nil, refuse(http.StatusBadRequest, "event is missing: the name of the event, as in subscribe or CLICK")
		}
	} else {
		if m.MsgID == "" {
			s.messageN++
			m.MsgID = strconv.FormatUint(24_000_000_000_000_000+s.messageN, 10)
		}
		fields = append(fields, field{name: "MsgId", text: m.MsgID, bare: true})
	}
	a.openWindow(m.From, event, m.Type == "event", now)
	return &push{
		comp: auth.comp, url: strings.ReplaceAll(auth.comp.MessageURL, "$APPID$", appid), envelope: text("ToUserName", a.UserName),
		openid: m.From, event: event, msgID: m.MsgID, authorizer: appid, plain: document(fields...),
		onMessages: true, from: m.From, to: a.UserName,
	}, nil
}

// chosenForMessage returns the authorization whose component hears of a message:
// the one named, else the only one that holds a set for it. s.mu is held.
func (s *Simulator) chosenForMessage(appid string, m Message) (*authorization, error) {
	if m.ComponentAppID != "" {
		return s.chosen(appid, m.ComponentAppID)
	}
	a, err := s.findAccount(appid)
	if err != nil {
		return nil, err
	}
	hearing := slices.DeleteFunc(a.standing(), func(auth *authorization) bool { return m.Type != "event" && !auth.hears() })
	switch len(hearing) {
	case 0:
		return nil, refuse(http.StatusConflict, "no component hears of messages to %s: it must authorize one with permission set %d", appid, messageSet(a.kind))
	case 1:
		return hearing[0], nil
	}
	return nil, refuse(http.StatusBadRequest, "%d components hear of messages to %s; choose one with component_appid", len(hearing), appid)
}

// messageSet is the permission set for messages to a kind of account.
func messageSet(kind string) int {
	if kind == MiniProgram {
		return 19
	}
	return 1
}

func (a *authorization) hears() bool { return slices.Contains(a.sets, messageSet(a.acct.kind)) }

// messageFields renders the free part of a message.
func messageFields(given map[string]any) ([]field, error) {
	given = maps.Clone(given)
	var fields []field
	for _, e := range elements {
		if value, ok := given[e.name]; ok {
			f, err := element(e.element, value)
			if err != nil {
				return nil, err
			}
			f.bare = f.bare || e.number
			fields = append(fields, f)
			delete(given, e.name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if name == "" || name[0] < 'A' || name[0] > 'Z' {
			return nil, refuse(http.StatusBadRequest, "there is no field %q; WeChat's own element names, as in EventKey, are taken as they are", name)
		}
		f, err := element(name, given[name])
		if err != nil {
			return nil, err
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// element renders one JSON value as an XML element.
func element(name string, value any) (field, error) {
	for i, r := range name {
		if !(r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || i > 0 && '0' <= r && r <= '9') {
			return field{}, refuse(http.StatusBadRequest, "%q cannot be the name of an element", name)
		}
	}
	switch v := value.(type) {
	case string:
		return text(name, v), nil
	case bool:
		return field{name: name, text: map[bool]string{true: "1", false: "0"}[v], bare: true}, nil
	case float64:
		return field{name: name, text: strconv.FormatFloat(v, 'f', -1, 64), bare: true}, nil
	case int:
		return number(name, int64(v)), nil
	case json.Number:
		return field{name: name, text: v.String(), bare: true}, nil
	case map[string]any:
		f := field{name: name, children: []field{}}
		for _, child := range slices.Sorted(maps.Keys(v)) {
			c, err := element(child, v[child])
			if err != nil {
				return field{}, err
			}
			f.children = append(f.children, c)
		}
		return f, nil
	}
	return field{}, refuse(http.StatusBadRequest, "%s is %T: must be text, a number or an object", name, value)
}

// openWindow lets the account write to a user who has just acted.
func (d *accountDetail) openWindow(openid, event string, isEvent bool, now time.Time) {
	length, sends := messageWindow, messageSends
	if isEvent {
		switch event {
		case "CLICK", "SCAN", "subscribe", "VIEW":
			length, sends = menuWindow, menuSends
		case "user_enter_tempsession":
		default:
			return
		}
	}
	if d.windows == nil {
		d.windows = make(map[string]*replyWindow)
	}
	w := d.windows[openid]
	if w == nil {
		w = new(replyWindow)
		d.windows[openid] = w
	}
	if until := now.Add(length); until.After(w.until) {
		w.until = until
	}
	w.left = max(w.left, sends)
}

// useWindow says whether the account may write to a user now, and counts it.
func (d *accountDetail) useWindow(openid string, now time.Time) errcode {
	w := d.windows[openid]
	switch {
	case w == nil || now.After(w.until):
		return codeReplyWindow
	case w.left == 0:
		return codeReplyCount
	}
	w.left--
	return 0
}

// SentMessage is a message that a component sent to a user through the API.
type SentMessage struct {
	Time           time.Time `json:"time"`
	ComponentAppID string    `json:"component_appid"`
	Path           string    `json:"path"` // of the API
	ToUser         string    `json:"touser"`
	MsgType        string    `json:"msgtype"`
	// Text is the content of a text message.
	Text *struct {
		Content string `json:"content"`
	} `json:"text,omitempty"`
	// Body is the request as it came.
	Body json.RawMessage `json:"body"`
}

// Sent lists what was sent to users of an account through the API.
func (s *Simulator) Sent(appid string) ([]SentMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.findAccount(appid)
	if err != nil {
		return nil, err
	}
	if a.detail == nil {
		return []SentMessage{}, nil
	}
	return append([]SentMessage{}, a.detail.sent...), nil
}
