package wxapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/tuoguan/tuoguan"
)

// CallRequest describes a call of a path for which there is no method here.
type CallRequest struct {
	// Owner is whose token the call carries; the zero TokenOwner is for a path that
	// takes none.
	Owner tuoguan.TokenOwner
	// Method is GET or POST. Defaults to POST.
	Method string
	// Path begins with a slash and has no query: "/wxa/get_category".
	Path string
	// Query holds the parameters other than the token, which may not be among them.
	// They must not be secret.
	Query url.Values
	// Body is encoded as JSON in raw UTF-8; a json.RawMessage is sent as it is. A
	// POST without a body sends {}, because WeChat refuses an empty one.
	Body any
	// Repeatable says that doing it twice does no more than doing it once, as for
	// anything that only reads. Then a busy WeChat or a failing host leads to another
	// attempt; else only what was never sent, or was refused for its token, is sent
	// again.
	Repeatable bool
	// MaxReply bounds the reply in bytes. Defaults to 1 MiB.
	MaxReply int64
}

var pathGrammar = regexp.MustCompile(`^(/[A-Za-z0-9_\-][A-Za-z0-9_.\-]*)+$`)

// tokenParameters may not be among a caller's own parameters: the query would hold
// two tokens, and WeChat decides which one counts.
var tokenParameters = []string{"access_token", "component_access_token", "authorizer_access_token"}

// Call carries out any call whose reply is JSON, with the same token handling and
// errors as the methods of this package, and decodes the reply into out: a pointer
// to a struct or to a json.RawMessage, or nil. What the reply lacks, the caller has
// to notice. Paths that reply with an image or take a file are not for it.
func (c *Client) Call(ctx context.Context, req CallRequest, out any) error {
	r, err := req.request()
	if err != nil {
		return fmt.Errorf("call %s: %w", req.Path, err)
	}
	_, err = c.call(ctx, r, out)
	return err
}

func (req CallRequest) request() (request, error) {
	r := request{
		op: req.Path, method: req.Method, path: req.Path, query: req.Query,
		owner: req.Owner, repeatable: req.Repeatable, maxReply: req.MaxReply,
	}
	if !pathGrammar.MatchString(r.path) {
		return request{}, errors.New("path is not of the form /a/b")
	}
	for _, name := range tokenParameters {
		if r.query.Has(name) {
			return request{}, fmt.Errorf("the query may not hold %s", name)
		}
	}
	if r.maxReply == 0 {
		r.maxReply = maxReply
	}
	switch r.method {
	case "", http.MethodPost:
		r.method = http.MethodPost
	case http.MethodGet:
		if req.Body != nil {
			return request{}, errors.New("GET takes no body")
		}
		return r, nil
	default:
		return request{}, fmt.Errorf("method %s: WeChat knows GET and POST", r.method)
	}
	if req.Body == nil {
		req.Body = struct{}{}
	}
	body, err := encode(req.Body)
	if err != nil {
		return request{}, fmt.Errorf("encode the body: %w", err)
	}
	r.body = body
	return r, nil
}

// post begins the description of a POST. The body is a struct of strings and
// numbers, which cannot fail to encode.
func post(path string, owner tuoguan.TokenOwner, body any) request {
	text, _ := encode(body)
	return request{op: opName(path), method: http.MethodPost, path: path, body: text, owner: owner, maxReply: maxReply}
}

// get begins the description of a GET.
func get(path string, owner tuoguan.TokenOwner, query url.Values) request {
	return request{op: opName(path), method: http.MethodGet, path: path, query: query, owner: owner, maxReply: maxReply}
}

// opName is how an operation is called in errors and metrics: the last part of its
// path where this is the platform's name for it, else the path.
func opName(path string) string {
	if i := strings.LastIndex(path, "/api_"); i >= 0 {
		return path[i+1:]
	}
	return path
}

// repeat marks r as repeatable.
func (r request) repeat() request {
	r.repeatable = true
	return r
}

// holding names the secrets in r's query and body, and bounds its reply as that of
// an endpoint which hands out secrets.
func (r request) holding(secrets ...tuoguan.Secret) request {
	r.secrets = secrets
	r.maxReply = maxTokenReply
	return r
}

// accountToken names the token of the account itself.
func accountToken(a tuoguan.Authorization) tuoguan.TokenOwner {
	return tuoguan.AuthorizerToken(a.Component, a.Authorizer)
}
