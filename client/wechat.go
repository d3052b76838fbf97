package client

import (
	"context"
	"encoding/json"

	"github.com/tuoguan/tuoguan"
)

// Endpoint is an endpoint of WeChat's that the server knows.
type Endpoint struct {
	ID             string `json:"id"`
	Group          string `json:"group"`
	GroupTitle     string `json:"group_title"`
	GroupTitleZh   string `json:"group_title_zh"`
	Title          string `json:"title"`
	TitleZh        string `json:"title_zh"`
	Method         string `json:"method"`
	Path           string `json:"path"`
	Token          string `json:"token"` // whose it takes: authorizer, component, either or none
	PermissionSets []int  `json:"permission_sets"`
	Read           bool   `json:"read"` // it changes nothing
}

// Field is a parameter of an endpoint, or a field of its body or its reply.
type Field struct {
	Name     string `json:"name"` // dotted; name[] is an element of a list, and * any name
	Type     string `json:"type"`
	Required string `json:"required"` // yes, no, conditional or unknown
	Values   []any  `json:"values,omitempty"`
}

// FullEndpoint is an endpoint with its fields.
type FullEndpoint struct {
	Endpoint
	Query        []Field   `json:"query"`
	Body         string    `json:"body"` // json, multipart or none
	Request      []Field   `json:"request"`
	Response     []Field   `json:"response"`
	ResponseKind string    `json:"response_kind"` // json, binary or json_or_binary
	Errcodes     []Errcode `json:"errcodes"`
	Doc          string    `json:"doc"` // a page of WeChat's; "" where none is known
}

// Errcode is what an errcode of WeChat's means and what to do about it.
type Errcode struct {
	Code      int    `json:"code"`
	Known     bool   `json:"known"`
	Class     string `json:"class"`
	Meaning   string `json:"meaning"`
	MeaningZh string `json:"meaning_zh"`
	Action    string `json:"action"`
	ActionZh  string `json:"action_zh"`
}

// Endpoints returns all endpoints that the server knows.
func (c *Client) Endpoints(ctx context.Context) ([]Endpoint, error) {
	var found page[Endpoint]
	_, err := c.call(ctx, get("v1", "catalogue"), &found)
	return found.Items, err
}

// Endpoint returns one endpoint with its fields. [ErrNotFound] if there is none with
// this id.
func (c *Client) Endpoint(ctx context.Context, id string) (FullEndpoint, error) {
	var found FullEndpoint
	_, err := c.call(ctx, get("v1", "catalogue", id), &found)
	return found, err
}

// WeChatCall is a call of an endpoint, which the server makes. A program calls through
// [Client.Transport] instead: that is faster, and passes files and tokens on.
type WeChatCall struct {
	// Authorizer is the account to call for; empty for a call of the component's own.
	Authorizer tuoguan.AuthorizerAppID `json:"authorizer_appid,omitempty"`
	// Component may be empty unless it is the component's call, or the account has
	// authorized several.
	Component tuoguan.ComponentAppID `json:"component_appid,omitempty"`

	// Endpoint is an id; or else Method and Path say what to call.
	Endpoint string            `json:"endpoint,omitempty"`
	Method   string            `json:"method,omitempty"`
	Path     string            `json:"path,omitempty"`
	Query    map[string]string `json:"query,omitempty"` // without a token
	Body     json.RawMessage   `json:"body,omitempty"`
}

// WeChatReply is what WeChat has answered: Body if it is JSON, else Text, or Base64 if it
// is a file. Tokens are masked.
type WeChatReply struct {
	Status      int             `json:"status"`
	ContentType string          `json:"content_type"`
	Body        json.RawMessage `json:"body"`
	Text        string          `json:"text"`
	Base64      []byte          `json:"base64"`
	TooLong     bool            `json:"too_long"` // more than 1 MiB, and left out
	Errcode     int             `json:"errcode"`
	Errmsg      string          `json:"errmsg"`
	Explanation *Errcode        `json:"explanation"` // nil unless there is an errcode
	DurationMS  int64           `json:"duration_ms"`
	RequestID   string          `json:"request_id"`
}

// CallWeChat has the server call an endpoint, once. That WeChat answers with an errcode
// is no error here.
func (c *Client) CallWeChat(ctx context.Context, call WeChatCall) (WeChatReply, error) {
	var got WeChatReply
	_, err := c.call(ctx, post(call, "v1", "calls"), &got)
	return got, err
}
