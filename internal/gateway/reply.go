package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tuoguan/tuoguan/internal/gateway/catalogue"
	"github.com/tuoguan/tuoguan/internal/problem"
)

// maxHeld is how much of a body or of a reply is held in memory at the most. A
// request that fits can be sent again; a reply that fits is judged as a whole.
const maxHeld = 64 << 10

// Errcodes that the gateway acts upon.
const (
	codeInvalidCredential = 40001
	codeInvalidToken      = 40014
	codeExpiredToken      = 42001
	codeDailyQuota        = 45009
)

// reply is a reply of WeChat's, with as much of its body as was needed to judge it.
type reply struct {
	response *http.Response
	buffer   *[]byte // behind head; from the pool
	head     []byte
	whole    bool // head is all of the body
	errcode  int  // as far as it was looked for
	err      error
}

// read takes in the beginning of a reply: all of it if it is JSON or text and fits,
// else what came first.
func (g *Gateway) read(response *http.Response) *reply {
	rep := &reply{response: response, buffer: g.buffers.Get().(*[]byte)}
	buffer := *rep.buffer
	n := 0
	for n < len(buffer) {
		m, err := response.Body.Read(buffer[n:])
		n += m
		if err != nil {
			if rep.whole = errors.Is(err, io.EOF); !rep.whole {
				rep.err = err
			}
			break
		}
		if n > 0 && !rep.isText(buffer[:n]) {
			break
		}
	}
	rep.head = buffer[:n]
	return rep
}

// release ends the reply; nothing of it may be used any more.
func (g *Gateway) release(rep *reply) {
	_ = rep.response.Body.Close()
	rep.head = nil
	g.buffers.Put(rep.buffer)
}

// isText reports whether the body may be JSON, whatever its type says.
func (rep *reply) isText(head []byte) bool {
	kind := rep.response.Header.Get("Content-Type")
	return strings.Contains(kind, "json") || strings.HasPrefix(kind, "text/") || isObject(head)
}

// isObject reports whether a JSON object begins here.
func isObject(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && text[0] == '{'
}

func isPage(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	const doctype = "<!doctype"
	return bytes.HasPrefix(text, []byte("<html")) || len(text) >= len(doctype) && strings.EqualFold(string(text[:len(doctype)]), doctype)
}

// nonsense is a reply that is not passed on.
type nonsense struct {
	status int
	reason string
}

func (e *nonsense) Error() string { return fmt.Sprintf("HTTP status %d: %s", e.status, e.reason) }

// As makes the error the problem that callers are told.
func (e *nonsense) As(target any) bool {
	p, ok := target.(*problem.Problem)
	if ok {
		status := strconv.Itoa(e.status)
		*p = problem.WeChatNonsense.With(
			"WeChat's answer, with HTTP status "+status+", cannot be used ("+e.reason+"); the request may have taken effect",
			"微信的应答无法使用（HTTP 状态码 "+status+"），请求可能已生效").After(0)
	}
	return ok
}

// judge decides whether a reply is passed on, and finds its errcode.
func (rep *reply) judge(endpoint catalogue.Endpoint) error {
	status := rep.response.StatusCode
	reject := func(reason string) error { return &nonsense{status, reason} }
	object := isObject(rep.head)
	switch encoding := rep.response.Header.Get("Content-Encoding"); {
	case rep.err != nil:
		return reject("it broke off")
	case status >= http.StatusInternalServerError:
		return &lostError{sent: true, host: "WeChat", cause: fmt.Errorf("HTTP status %d", status)}
	case encoding != "" && encoding != "identity":
		return reject("it is compressed, which was not asked for")
	case status >= 300 && status < 400:
		return reject("a redirect")
	case status >= 400 && !object:
		return reject("not JSON")
	case !object && endpoint.Reply == catalogue.JSON:
		return reject("not JSON")
	case !object && isPage(rep.head):
		return reject("a page")
	}
	if !object || !rep.whole {
		return nil
	}
	if !isWhole(rep.head) {
		if endpoint.Reply == catalogue.JSON || status >= 400 || strings.Contains(rep.response.Header.Get("Content-Type"), "json") {
			return reject("broken JSON")
		}
		return nil // a file that happens to begin like an object
	}
	rep.errcode = errcodeOf(rep.head)
	return nil
}

// isWhole reports whether a JSON object that begins with the text ends with it. What was
// cut short does not; what else may be wrong with an object is between WeChat and the
// caller. Checking the grammar would cost more than all else that is done to a reply.
func isWhole(text []byte) bool {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth <= 0 {
				return depth == 0 && len(bytes.TrimRight(text[i+1:], " \t\r\n")) == 0
			}
		case '"':
			end := endOfString(text[i+1:])
			if end < 0 {
				return false
			}
			i += 1 + end
		}
	}
	return false
}

// endOfString returns where the quote is that ends the string which text begins in, or -1.
func endOfString(text []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(text[from:], '"')
		if i < 0 {
			return -1
		}
		i += from
		escapes := 0
		for i-escapes > from && text[i-escapes-1] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i
		}
		from = i + 1
	}
}

// errcodeOf returns the errcode of a JSON object, which some endpoints send as a
// string; 0 if it has none.
func errcodeOf(object []byte) int {
	if rest, ok := bytes.CutPrefix(object, []byte(`{"errcode":`)); ok { // as nearly always
		i := 0
		for i < len(rest) && '0' <= rest[i] && rest[i] <= '9' {
			i++
		}
		if code, err := strconv.Atoi(string(rest[:i])); err == nil {
			return code
		}
	}
	if !bytes.Contains(object, []byte(`"errcode"`)) {
		return 0
	}
	var fields struct {
		Errcode json.RawMessage `json:"errcode"`
	}
	if json.Unmarshal(object, &fields) != nil {
		return 0
	}
	code, err := strconv.Atoi(strings.Trim(string(fields.Errcode), `"`))
	if err != nil {
		return 0
	}
	return code
}

// tokenRefused reports whether WeChat did nothing because the token is dead.
func (rep *reply) tokenRefused() bool {
	switch rep.errcode {
	case codeInvalidCredential, codeInvalidToken, codeExpiredToken:
		return true
	}
	return false
}

// mask is a token that may not be seen in a reply, as it is and as in a query.
type mask struct{ plain, escaped string }

func newMask(token string) mask { return mask{token, url.QueryEscape(token)} }

// hide overwrites the token wherever it stands in text, whose length stays.
func (m mask) hide(text []byte) {
	hide(text, m.plain)
	if m.escaped != m.plain {
		hide(text, m.escaped)
	}
}

func hide(text []byte, token string) {
	if token == "" {
		return
	}
	for {
		i := bytes.Index(text, []byte(token))
		if i < 0 {
			return
		}
		for j := range len(token) {
			text[i+j] = '*'
		}
		text = text[i+len(token):]
	}
}

func (m mask) isIn(text string) bool {
	return m.plain != "" && (strings.Contains(text, m.plain) || strings.Contains(text, m.escaped))
}

// copy copies what src still has to dst, hiding the token also where it stands
// across two reads. The first n bytes of buffer were read before.
func (m mask) copy(dst io.Writer, src io.Reader, buffer []byte, n int, moved func()) (written int64, err error) {
	hold := max(0, len(m.escaped)-1) // so much at the end may be the beginning of the token
	for eof := false; ; {
		m.hide(buffer[:n])
		out := n
		if !eof {
			out = max(0, n-hold)
		}
		w, err := dst.Write(buffer[:out])
		written += int64(w)
		if err != nil || eof {
			return written, err
		}
		n = copy(buffer, buffer[out:n])
		m, err := src.Read(buffer[n:])
		n += m
		if eof = errors.Is(err, io.EOF); err != nil && !eof {
			return written, err
		}
		moved()
	}
}
