package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
)

// CloudEvent returns an event as CloudEvents 1.0 JSON. It is the same, byte for byte,
// whenever it is made.
//
// The data of a push are its fields, by WeChat's names: texts, objects, and arrays where
// an element is repeated; and "xml" (or "json"), the text as WeChat sent it but for
// codes and tickets, which are empty. A push that could not be read has a "problem" in
// place of the fields, and its text, as "base64" unless it is UTF-8; where that may hold
// a code or a ticket it is "withheld". The data of an event of our own are its body.
//
// Errors: [ErrEncoding].
func CloudEvent(p store.Push) ([]byte, error) {
	if err := check(p); err != nil {
		return nil, err
	}
	var parsed *push.Push
	var elements []push.Element
	if !Own(p.Kind) {
		parsed = parse(p)
		elements = parsed.Elements()
	}

	out := make([]byte, 0, 768+2*len(p.Body)+len(p.Body)/2)
	out = append(out, `{"specversion":"1.0"`...)
	out = appendMember(out, "id", ID(p.Key))
	out = appendMember(out, "source", source(p))
	if parsed == nil {
		out = appendMember(out, "type", p.Kind)
	} else {
		out = appendMember(out, "type", "wechat."+attribute(p.Kind))
		if user := attribute(parsed.Field("FromUserName")); user != "" {
			out = appendMember(out, "subject", user)
		}
	}
	if at := cmpTime(p.CreatedAt, p.ReceivedAt); !at.IsZero() {
		out = appendMember(out, "time", formatTime(at))
	}
	out = appendMember(out, "datacontenttype", "application/json")
	if p.Component != "" {
		out = appendMember(out, "componentappid", attribute(string(p.Component)))
	}
	if p.Authorizer != "" {
		out = appendMember(out, "authorizerappid", attribute(string(p.Authorizer)))
	}
	out = appendMember(out, "sequence", strconv.FormatInt(p.Seq, 10))
	out = appendMember(out, "eventnumber", strconv.FormatInt(p.ID, 10))
	out = append(out, `,"data":`...)
	if parsed == nil {
		return append(append(out, p.Body...), '}'), nil
	}
	return append(appendData(out, p, parsed, elements), '}'), nil
}

// XML returns the body of a push as WeChat sent it, without the secrets in it; nil if
// it could not be read and may hold some. An event of our own becomes an authorization
// event of that InfoType, with the members of its body that are no lists.
func XML(p store.Push) []byte {
	if check(p) != nil && Deliverable(p.Kind) {
		return nil
	}
	if Own(p.Kind) {
		return ownXML(p)
	}
	parsed := parse(p)
	return blank(parsed, parsed.Elements())
}

// check reports what makes an event one that cannot be written down.
func check(p store.Push) error {
	switch {
	case !Deliverable(p.Kind):
		return fmt.Errorf("%w: a verify ticket is not told to anybody", ErrEncoding)
	case len(p.Body) == 0:
		return fmt.Errorf("%w: it has no body", ErrEncoding)
	case Own(p.Kind) && !(isJSON(p.Body) && json.Valid(p.Body)):
		return fmt.Errorf("%w: its body is not a JSON object", ErrEncoding)
	}
	return nil
}

func parse(p store.Push) *push.Push {
	return push.Parse(tuoguan.Authorization{Component: p.Component, Authorizer: p.Authorizer}, p.Body)
}

// source returns the account that an event is about, as a path.
func source(p store.Push) string {
	switch {
	case p.Component == "":
		return "/"
	case p.Authorizer == "":
		return "/components/" + url.PathEscape(string(p.Component))
	}
	return "/components/" + url.PathEscape(string(p.Component)) + "/authorizers/" + url.PathEscape(string(p.Authorizer))
}

// attribute returns a text without the characters that CloudEvents forbids in attributes.
func attribute(text string) string {
	forbidden := func(r rune) bool {
		return r < ' ' || r >= 0x7F && r <= 0x9F || r >= 0xFDD0 && r <= 0xFDEF || r&0xFFFE == 0xFFFE
	}
	if strings.IndexFunc(text, forbidden) < 0 {
		return text
	}
	return strings.Map(func(r rune) rune {
		if forbidden(r) {
			return utf8.RuneError
		}
		return r
	}, text)
}

// appendData appends the data of a push.
func appendData(out []byte, p store.Push, parsed *push.Push, elements []push.Element) []byte {
	text := blank(parsed, elements)
	out = append(out, `{"kind":`...)
	out = appendString(out, p.Kind)
	out = appendMember(out, "component_appid", string(p.Component))
	out = appendMember(out, "authorizer_appid", string(p.Authorizer))
	if !p.ReceivedAt.IsZero() {
		out = appendMember(out, "received_at", formatTime(p.ReceivedAt))
	}
	if parsed.Problem == nil {
		out = append(out, `,"fields":`...)
		out = appendFields(out, elements)
	} else {
		out = appendMember(out, "problem", parsed.Problem.Error())
	}
	switch {
	case text == nil:
		out = append(out, `,"withheld":true`...)
	case !utf8.Valid(text):
		out = append(out, `,"base64":"`...)
		out = append(base64.StdEncoding.AppendEncode(out, text), '"')
	case isJSON(text):
		out = appendMember(out, "json", text)
	default:
		out = appendMember(out, "xml", text)
	}
	return append(out, '}')
}

// appendFields appends elements, all of them below one, as an object.
func appendFields(out []byte, elements []push.Element) []byte {
	out = append(out, '{')
	comma := false
	for i := 0; i < len(elements); i = end(elements, i) {
		name := elements[i].Name
		if standsBefore(elements, i) {
			continue
		}
		if comma {
			out = append(out, ',')
		}
		comma = true
		out = append(appendString(out, name), ':')
		repeated := false
		start := len(out)
		for j := i; j < len(elements); j = end(elements, j) {
			if elements[j].Name != name {
				continue
			}
			if j > i {
				if !repeated {
					out = append(out, 0)
					copy(out[start+1:], out[start:])
					out[start] = '['
					repeated = true
				}
				out = append(out, ',')
			}
			if elements[j].Parent {
				out = appendFields(out, elements[j+1:end(elements, j)])
			} else {
				out = appendString(out, elements[j].Text)
			}
		}
		if repeated {
			out = append(out, ']')
		}
	}
	return append(out, '}')
}

// standsBefore reports whether an element of the same name stands before the one at i,
// beside it.
func standsBefore(elements []push.Element, i int) bool {
	for j := 0; j < i; j++ {
		if elements[j].Depth == elements[i].Depth && elements[j].Name == elements[i].Name {
			return true
		}
	}
	return false
}

// end returns where the element at i, with what is below it, ends.
func end(elements []push.Element, i int) int {
	next := i + 1
	for next < len(elements) && elements[next].Depth > elements[i].Depth {
		next++
	}
	return next
}

// ownXML writes an event of our own as WeChat would.
func ownXML(p store.Push) []byte {
	decoder := json.NewDecoder(bytes.NewReader(p.Body))
	decoder.UseNumber()
	if _, err := decoder.Token(); err != nil {
		return nil
	}
	out := appendElement([]byte("<xml>"), "AppId", string(p.Component))
	if at := cmpTime(p.CreatedAt, p.ReceivedAt); !at.IsZero() {
		out = append(out, "<CreateTime>"...)
		out = append(strconv.AppendInt(out, at.Unix(), 10), "</CreateTime>"...)
	}
	out = appendElement(out, "InfoType", p.Kind)
	if p.Authorizer != "" {
		out = appendElement(out, "AuthorizerAppid", string(p.Authorizer))
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil
		}
		var value any
		if err := decoder.Decode(&value); err != nil {
			return nil
		}
		switch value.(type) {
		case string, json.Number, bool:
			out = appendElement(out, fmt.Sprint(name), fmt.Sprint(value))
		}
	}
	return append(out, "</xml>"...)
}

// appendElement appends an element. A text that would end its CDATA section is spread
// over two of them.
func appendElement(out []byte, name, text string) []byte {
	return fmt.Appendf(out, "<%s><![CDATA[%s]]></%s>", name, strings.ReplaceAll(text, "]]>", "]]]]><![CDATA[>"), name)
}

// cmpTime returns the first instant that is known.
func cmpTime(first, second time.Time) time.Time {
	if first.IsZero() {
		return second
	}
	return first
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// appendMember appends a member that is not the first of its object.
func appendMember[T string | []byte](out []byte, name string, value T) []byte {
	out = append(append(append(out, ',', '"'), name...), '"', ':')
	return appendString(out, value)
}

// appendString appends a JSON string. Unlike encoding/json it leaves the brackets of XML
// as they are; what is not UTF-8 becomes U+FFFD.
func appendString[T string | []byte](out []byte, text T) []byte {
	const hexadecimal = "0123456789abcdef"
	out = append(out, '"')
	start := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= utf8.RuneSelf {
			if r, n := utf8.DecodeRuneInString(string(text[i:min(len(text), i+utf8.UTFMax)])); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		} else if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		out = append(out, text[start:i]...)
		switch {
		case c == '"', c == '\\':
			out = append(out, '\\', c)
		case c == '\n':
			out = append(out, '\\', 'n')
		case c >= utf8.RuneSelf:
			out = append(out, "\uFFFD"...)
		default:
			out = append(out, '\\', 'u', '0', '0', hexadecimal[c>>4], hexadecimal[c&15])
		}
		i++
		start = i
	}
	return append(append(out, text[start:]...), '"')
}

// Parties returns the user, by openid, who wrote a message or caused an event, and the
// account, by original id, that was meant; "" for what concerns no user or account.
func Parties(p store.Push) (user, account string) {
	if Own(p.Kind) {
		return "", ""
	}
	parsed := parse(p)
	return parsed.Field("FromUserName"), parsed.Field("ToUserName")
}
