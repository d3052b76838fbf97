package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/tuoguan/tuoguan/internal/gateway/catalogue"
	"github.com/tuoguan/tuoguan/internal/problem"
)

// form says in which way a request names what it wants.
type form uint8

const (
	dropIn      form = iota // any path of WeChat's, with a token of the gateway's own
	asAccount               // /as/{authorizer_appid}/…
	asComponent             // /component/{component_appid}/…
	showQuota               // /quota/{authorizer_appid}
)

// pattern names the form in logs and metrics.
func (f form) pattern() string {
	return [...]string{"/", "/as/{authorizer_appid}/", "/component/{component_appid}/", "/quota/{authorizer_appid}"}[f]
}

// target is what a request asks for.
type target struct {
	form  form
	appid string // in the path; "" for dropIn
	path  string // of WeChat's; it keeps to the grammar
	query string // as it came
}

// maxPathLength bounds a path, ours with WeChat's.
const maxPathLength = 512

// parseTarget takes the request apart as it came over the wire. Nothing in it is
// decoded, tidied or guessed: what is not of the plainest form is refused.
func parseTarget(r *http.Request) (target, error) {
	uri := r.RequestURI
	if uri == "" {
		uri = r.URL.RequestURI()
	}
	path, query, _ := strings.Cut(uri, "?")
	if !plainPath(path) {
		return target{}, problem.PathRefused.With(
			"a path has segments of letters, digits, hyphen, underscore and dot, none of them empty or beginning with a dot, and nothing is percent-encoded",
			"路径各段只能由字母、数字、连字符、下划线和点组成，不得为空或以点开头，也不得使用百分号编码")
	}
	t := target{path: path, query: query}
	for _, own := range []struct {
		prefix string
		form   form
	}{{"/as/", asAccount}, {"/component/", asComponent}, {"/quota/", showQuota}} {
		rest, ok := strings.CutPrefix(path, own.prefix)
		if !ok {
			continue
		}
		t.form = own.form
		i := strings.IndexByte(rest, '/')
		if (i < 0) != (own.form == showQuota) {
			return target{}, problem.NoSuchRoute
		}
		if i < 0 {
			i = len(rest)
		}
		t.appid, t.path = rest[:i], rest[i:]
		break
	}
	return t, nil
}

// plainPath reports whether a path is of the form /a/b, of a few harmless characters.
func plainPath(path string) bool {
	if len(path) < 2 || len(path) > maxPathLength || path[0] != '/' {
		return false
	}
	for i := 1; i < len(path); i++ {
		switch b := path[i]; {
		case b == '/' || b == '.':
			if path[i-1] == '/' {
				return false
			}
		case !isWord(b) && b != '-':
			return false
		}
	}
	return path[len(path)-1] != '/'
}

func isWord(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_'
}

// isCustody reports whether a call is the keeper's alone: it yields tokens, or spends
// what all callers share. Of the calls below /cgi-bin/component/ only those that the
// catalogue knows are for others. WeChat's record of a request, which rid/get
// shows, holds what the request held.
func isCustody(path string) bool {
	lower := strings.ToLower(path)
	switch lower {
	case "/cgi-bin/token", "/cgi-bin/stable_token", "/cgi-bin/openapi/rid/get":
		return true
	}
	for _, prefix := range []string{"/cgi-bin/clear_quota", "/cgi-bin/openapi/quota/clear", "/cgi-bin/component/clear_quota"} {
		if strings.HasPrefix(lower, prefix) {
			return true
		}
	}
	if strings.HasPrefix(lower, "/cgi-bin/component/") {
		_, known := catalogue.Lookup(path)
		return !known
	}
	return false
}

// tokenParameters never pass from a caller to WeChat, which would see two tokens.
var tokenParameters = []string{"access_token", "component_access_token", "authorizer_access_token"}

// cleanQuery appends a query to dst without the parameters named in drop, in any
// spelling, and with every character escaped that could be taken for a separator.
func cleanQuery(dst []byte, query string, drop []string) ([]byte, error) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if pair == "" {
			continue
		}
		raw, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(raw)
		if err == nil {
			_, err = url.QueryUnescape(value)
		}
		if err != nil {
			return nil, problem.BadRequest.With("the query is not well-formed", "查询字符串格式有误")
		}
		if isAmong(name, drop) {
			continue
		}
		if len(dst) > 0 {
			dst = append(dst, '&')
		}
		dst = appendEscaped(dst, pair)
	}
	return dst, nil
}

func isAmong(name string, names []string) bool {
	name = strings.TrimSpace(name)
	for _, n := range names {
		if strings.EqualFold(name, n) {
			return true
		}
	}
	return false
}

// appendEscaped appends a part of a query, escaping what does not belong there. What
// is escaped stays as it is.
func appendEscaped(dst []byte, text string) []byte {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(text); i++ {
		b := text[i]
		if isWord(b) || strings.IndexByte("-.~!$'()*,/:@=%+", b) >= 0 {
			dst = append(dst, b)
		} else {
			dst = append(dst, '%', hex[b>>4], hex[b&15])
		}
	}
	return dst
}

// parameter returns the first value of a query parameter, or "".
func parameter(query, name string) string {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		key, value, _ := strings.Cut(pair, "=")
		if key != name {
			continue
		}
		if decoded, err := url.QueryUnescape(value); err == nil {
			return decoded
		}
	}
	return ""
}
