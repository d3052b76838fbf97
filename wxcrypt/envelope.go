package wxcrypt

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// Envelope is what surrounds an Encrypt text, in a push or in a reply. Only
// Encrypt is protected by the signature; believe none of the rest before the
// same is found inside. The slices alias the body that was parsed, except where
// a JSON string had to be unescaped; absent fields are nil.
type Envelope struct {
	Encrypt      []byte
	MsgSignature []byte // replies
	TimeStamp    []byte // replies
	Nonce        []byte // replies
	ToUserName   []byte // pushes on the message and event URL
	AppID        []byte // pushes on the authorization event URL
	JSON         bool   // the envelope is a JSON object, not XML
}

// field returns where the value of an element or key belongs, or nil.
func (e *Envelope) field(name []byte) *[]byte {
	switch string(name) {
	case "Encrypt":
		return &e.Encrypt
	case "MsgSignature":
		return &e.MsgSignature
	case "TimeStamp":
		return &e.TimeStamp
	case "Nonce":
		return &e.Nonce
	case "ToUserName":
		return &e.ToUserName
	case "AppId":
		return &e.AppID
	}
	return nil
}

const maxEnvelopeFields = 16

// ParseEnvelope reads an XML or JSON envelope. It is strict, because what it
// reads is not authenticated yet: one level of fields in UTF-8, no NUL, no
// DOCTYPE, processing instruction, comment, attribute or entity, each known field
// once, Encrypt present. Fields it does not know are passed over. The
// one declaration it accepts is an XML declaration for UTF-8. What Encrypt
// consists of is left to [Crypter.Open], which takes nothing but base64.
//
// Errors: [ErrEnvelope]; the Envelope is then zero.
func ParseEnvelope(body []byte) (Envelope, error) {
	s := scanner{body: body}
	s.space()
	var e Envelope
	var detail string
	if s.at('{') {
		e.JSON = true
		detail = s.json(&e)
	} else {
		detail = s.xml(&e)
	}
	if s.space(); detail == "" && s.i < len(body) {
		detail = "text after the end"
	}
	if detail == "" && len(e.Encrypt) == 0 {
		detail = "no Encrypt"
	}
	if detail != "" {
		return Envelope{}, &Error{Code: CodeParse, Err: ErrEnvelope, Detail: detail}
	}
	return e, nil
}

// isText reports whether b is UTF-8 without NUL.
func isText(b []byte) bool {
	for _, c := range b {
		if c == 0 || c >= utf8.RuneSelf {
			return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0
		}
	}
	return true
}

// set stores a field, once.
func (e *Envelope) set(name, value []byte) string {
	field := e.field(name)
	if field != &e.Encrypt && !isText(value) {
		return "NUL or not UTF-8"
	}
	if field == nil {
		return ""
	}
	if *field != nil {
		return "field given twice"
	}
	*field = value[:len(value):len(value)]
	return ""
}

// scanner walks over a body. Those of its methods that return a string return ""
// or what is wrong.
type scanner struct {
	body []byte
	i    int
}

func (s *scanner) at(c byte) bool { return s.i < len(s.body) && s.body[s.i] == c }

func (s *scanner) space() {
	for s.i < len(s.body) && isSpace(s.body[s.i]) {
		s.i++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// skip steps over text if it comes next.
func (s *scanner) skip(text string) bool {
	if len(s.body)-s.i < len(text) || string(s.body[s.i:s.i+len(text)]) != text {
		return false
	}
	s.i += len(text)
	return true
}

// until returns what stands before text and steps over both.
func (s *scanner) until(text string) ([]byte, bool) {
	rest := s.body[s.i:]
	// Mostly its first byte stands there only, and that is found much faster.
	n := bytes.IndexByte(rest, text[0])
	if n < 0 {
		return nil, false
	}
	if !bytes.HasPrefix(rest[n:], []byte(text)) {
		if n = bytes.Index(rest, []byte(text)); n < 0 {
			return nil, false
		}
	}
	s.i += n + len(text)
	return rest[:n], true
}

// name returns the element name that comes next.
func (s *scanner) name() []byte {
	start := s.i
	for s.i < len(s.body) && isNameByte(s.body[s.i]) {
		s.i++
	}
	return s.body[start:s.i]
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

func (s *scanner) xml(e *Envelope) string {
	if s.skip("<?xml ") {
		declaration, found := s.until("?>")
		if !found || !declaresUTF8(declaration) {
			return "XML declaration"
		}
		s.space()
	}
	if !s.skip("<xml") {
		return "no <xml>"
	}
	if s.space(); !s.skip(">") {
		return "no <xml>"
	}
	for fields := 0; ; fields++ {
		s.space()
		if !s.skip("<") {
			return "text between elements"
		}
		if s.skip("/xml") {
			if s.space(); !s.skip(">") {
				return "end of <xml>"
			}
			return ""
		}
		if fields == maxEnvelopeFields {
			return "too many elements"
		}
		if detail := s.element(e); detail != "" {
			return detail
		}
	}
}

// declaresUTF8 reports whether an XML declaration names UTF-8 or no encoding.
func declaresUTF8(declaration []byte) bool {
	if len(declaration) > 80 || !isText(declaration) || bytes.ContainsAny(declaration, "<>") {
		return false
	}
	_, encoding, found := bytes.Cut(bytes.ToLower(declaration), []byte("encoding"))
	if !found {
		return true
	}
	encoding = bytes.Trim(encoding, " \t\r\n=")
	return bytes.HasPrefix(encoding, []byte(`"utf-8"`)) || bytes.HasPrefix(encoding, []byte(`'utf-8'`))
}

// element reads an element whose '<' is read.
func (s *scanner) element(e *Envelope) string {
	name := s.name()
	if len(name) == 0 || name[0] <= '9' {
		return "markup that is not an element"
	}
	if !s.at('>') {
		if s.space(); s.skip("/>") {
			return e.set(name, []byte{})
		}
		if !s.at('>') {
			return "attribute or unfinished tag"
		}
	}
	s.i++
	s.space()
	var value []byte
	if s.skip("<![CDATA[") {
		var found bool
		if value, found = s.until("]]>"); !found {
			return "unfinished CDATA"
		}
		s.space()
	} else {
		n := bytes.IndexByte(s.body[s.i:], '<')
		if n < 0 {
			return "unfinished element"
		}
		value = bytes.TrimRight(s.body[s.i:s.i+n], " \t\r\n")
		s.i += n
		if bytes.IndexByte(value, '&') >= 0 || bytes.IndexByte(value, '>') >= 0 {
			return "entity or stray bracket"
		}
	}
	if !s.skip("</") {
		return "element in an element, or text beside CDATA"
	}
	if !bytes.HasPrefix(s.body[s.i:], name) {
		return "element closed by another"
	}
	s.i += len(name)
	if s.space(); !s.at('>') {
		return "element closed by another"
	}
	s.i++
	return e.set(name, value)
}

func (s *scanner) json(e *Envelope) string {
	s.skip("{")
	if s.space(); s.skip("}") {
		return ""
	}
	for range maxEnvelopeFields {
		s.space()
		name, detail := s.jsonString()
		if detail != "" {
			return detail
		}
		if s.space(); !isText(name) || !s.skip(":") {
			return "bad name or no colon"
		}
		s.space()
		value, detail := s.jsonValue()
		if detail != "" {
			return detail
		}
		if detail := e.set(name, value); detail != "" {
			return detail
		}
		if s.space(); s.skip("}") {
			return ""
		}
		if !s.skip(",") {
			return "no comma"
		}
	}
	return "too many fields"
}

// jsonValue returns a string's content or the text of another flat value.
func (s *scanner) jsonValue() ([]byte, string) {
	if s.at('"') {
		return s.jsonString()
	}
	n := bytes.IndexAny(s.body[s.i:], ",} \t\r\n")
	if n < 0 {
		return nil, "unfinished object"
	}
	value := s.body[s.i : s.i+n]
	s.i += n
	if n == 0 || value[0] == '{' || value[0] == '[' || !json.Valid(value) {
		return nil, "value is not flat"
	}
	return value, ""
}

func (s *scanner) jsonString() ([]byte, string) {
	if !s.skip(`"`) {
		return nil, "no string"
	}
	start, escaped := s.i, false
	for ; s.i < len(s.body); s.i++ {
		switch c := s.body[s.i]; {
		case c == '\\':
			escaped = true
			s.i++
		case c < ' ':
			return nil, "control character in a string"
		case c == '"':
			s.i++
			if !escaped {
				return s.body[start : s.i-1], ""
			}
			var text string
			if json.Unmarshal(s.body[start-1:s.i], &text) != nil {
				return nil, "bad escape"
			}
			return []byte(text), ""
		}
	}
	return nil, "unfinished string"
}

// SealXML appends to dst the envelope of a passive reply with msg inside. Use the
// generation of the push that is answered. timestamp is in seconds; the nonce may
// be the push's own. With room enough in dst it allocates nothing.
//
// Errors: [ErrSeal], with a nil result.
func (c *Crypter) SealXML(dst, msg []byte, timestamp, nonce string, g Generation) ([]byte, error) {
	return c.seal(dst, msg, timestamp, nonce, g, [...]string{
		"<xml><Encrypt><![CDATA[", "]]></Encrypt><MsgSignature><![CDATA[", "]]></MsgSignature><TimeStamp>",
		"</TimeStamp><Nonce><![CDATA[", "]]></Nonce></xml>",
	})
}

// SealJSON is [Crypter.SealXML] for accounts that chose JSON. A third-party
// platform is sent XML only, and answers so.
func (c *Crypter) SealJSON(dst, msg []byte, timestamp, nonce string, g Generation) ([]byte, error) {
	return c.seal(dst, msg, timestamp, nonce, g, [...]string{
		`{"Encrypt":"`, `","MsgSignature":"`, `","TimeStamp":`, `,"Nonce":"`, `"}`,
	})
}

func (c *Crypter) seal(dst, msg []byte, timestamp, nonce string, g Generation, around [5]string) ([]byte, error) {
	if err := c.checkSealing(msg, g); err != nil {
		return nil, err
	}
	if !decimal(timestamp) || !plain(nonce) {
		return nil, &Error{Code: CodeReply, Err: ErrSeal, Detail: "timestamp or nonce"}
	}
	s := c.borrow()
	defer c.scratch.Put(s)

	size := c.encryptedLen(msg) + signatureLen + len(timestamp) + len(nonce)
	for _, part := range around {
		size += len(part)
	}
	dst = slices.Grow(dst, size)
	dst = append(dst, around[0]...)
	start := len(dst)
	dst = c.appendEncrypt(dst, s, msg, g)
	signature := s.sign(c.tokens[g.tokenIndex()], timestamp, nonce, dst[start:])
	dst = append(dst, around[1]...)
	dst = append(dst, signature...)
	dst = append(dst, around[2]...)
	dst = append(dst, timestamp...)
	dst = append(dst, around[3]...)
	dst = append(dst, nonce...)
	return append(dst, around[4]...), nil
}

// decimal reports whether s is a number as XML and JSON both take it.
func decimal(s string) bool {
	if s == "" || len(s) > 19 || s[0] == '0' && s != "0" {
		return false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// plain reports whether s can stand in XML and JSON as it is.
func plain(s string) bool {
	if len(s) > 128 {
		return false
	}
	for _, c := range []byte(s) {
		if !isNameByte(c) && c != '.' {
			return false
		}
	}
	return true
}
