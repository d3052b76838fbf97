package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/problem"
)

// MaxAnswer bounds the body of an [Answer], in bytes.
const MaxAnswer = 1 << 20

// Request is a call from inside the process, of a caller who is known already.
type Request struct {
	Caller access.Caller
	ID     string // of the request, to be shown among the recent calls
	// Authorizer is the account to call for; empty for a call of the component's own.
	Authorizer tuoguan.AuthorizerAppID
	// Component is whose call it is, or else which authorization of the account's is
	// meant; then it may be empty.
	Component tuoguan.ComponentAppID
	Method    string // GET or POST
	Path      string // of WeChat's
	Query     url.Values
	Body      []byte // JSON; nil for none
}

// Answer is WeChat's reply to a [Request].
type Answer struct {
	Status  int
	Header  http.Header
	Errcode int
	// Body is empty if it is longer than MaxAnswer: then it is Cut.
	Body []byte
	Cut  bool
}

// Do makes one call as if it had come to the listener: with the same rules, limits,
// quotas and records. What the listener would answer as a problem is the error.
func (g *Gateway) Do(ctx context.Context, request Request) (answer Answer, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &answerWriter{header: make(http.Header), full: cancel}
	header := http.Header{"X-Request-Id": {request.ID}}
	if request.Component != "" {
		header.Set(ComponentHeader, string(request.Component))
	}
	r := &http.Request{Method: request.Method, Header: header, URL: new(url.URL), Body: http.NoBody}
	if len(request.Body) > 0 {
		header.Set("Content-Type", "application/json")
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(request.Body)), int64(len(request.Body))
	}
	c := call{g: g, w: w, r: r.WithContext(ctx), began: time.Now(), caller: request.Caller, report: Call{Endpoint: "other", KeyID: request.Caller.KeyID}}
	c.target = target{form: asAccount, appid: string(request.Authorizer), path: request.Path, query: request.Query.Encode()}
	if request.Authorizer == "" {
		c.form, c.appid = asComponent, string(request.Component)
	}
	defer c.observe()
	defer func() {
		if thrown := recover(); thrown != nil {
			// As on the listener, where it ends the connection.
			if cause, ok := thrown.(error); !ok || !errors.Is(cause, http.ErrAbortHandler) {
				panic(thrown)
			}
			if err = nil; !w.cut {
				err = c.noted(&nonsense{c.report.Status, "it broke off"})
			}
		}
		answer = Answer{Status: c.report.Status, Header: w.header, Errcode: c.report.Errcode, Body: w.body.Bytes(), Cut: w.cut}
		if w.cut {
			answer.Body = nil
		}
	}()
	switch {
	case !plainPath(request.Path) || strings.Contains(c.appid, "/"):
		err = problem.PathRefused.With("the path is not one of WeChat's, such as /cgi-bin/user/info", "路径不是微信接口路径，如 /cgi-bin/user/info")
	case request.Method != http.MethodGet && request.Method != http.MethodPost:
		err = problem.InvalidField.Field("method", "must be GET or POST", "取值为 GET 或 POST")
	default:
		err = c.pass()
	}
	return answer, c.noted(err)
}

// noted puts into the report what a call has failed with.
func (c *call) noted(err error) error {
	if err != nil {
		p := problem.Of(err)
		c.report.Status, c.report.Problem, c.report.Errcode = p.Status, p.Name(), 0
	}
	return err
}

// answerWriter keeps what is answered, as far as there is room for it.
type answerWriter struct {
	header http.Header
	body   bytes.Buffer
	cut    bool
	full   func() // called when there is no room
}

var errFull = errors.New("gateway: the answer is too long to be kept")

func (w *answerWriter) Header() http.Header { return w.header }
func (w *answerWriter) WriteHeader(int)     {}

func (w *answerWriter) Write(p []byte) (int, error) {
	if w.body.Len()+len(p) > MaxAnswer {
		w.cut = true
		w.full()
		return 0, errFull
	}
	return w.body.Write(p)
}
