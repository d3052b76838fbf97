package push

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/bits"
	"strings"
	"unicode/utf8"
)

const (
	maxBody     = 1 << 20
	maxDepth    = 4 // below the root
	maxElements = 256
)

// field is one element of a body, found but not decoded. Fields stand in the order
// of the body; the children of one follow it with a greater depth.
type field struct {
	name, value span
	depth       uint8
	form        form
}

// span is a part of a body.
type span struct{ from, to uint32 }

func (s span) of(body []byte) []byte { return body[s.from:s.to:s.to] }

// form says how a value is written.
type form uint8

const (
	parent      form = iota // it has children and no text
	xmlText                 // as it is, but for line ends
	xmlMixed                // with entities or CDATA sections
	jsonText                // as it is
	jsonEscaped             // with escapes
)

// kind returns the value decoded, sparing the common ones an allocation.
func (f *field) kind(body []byte) string {
	if f.form == xmlText {
		switch string(f.value.of(body)) {
		case "event":
			return "event"
		case "text":
			return "text"
		case "image":
			return "image"
		}
	}
	return f.text(body)
}

// text returns the value decoded.
func (f *field) text(body []byte) string {
	raw := f.value.of(body)
	switch f.form {
	case parent:
		return ""
	case jsonText:
		return string(raw)
	case jsonEscaped:
		var s string
		// The parser has seen that this is a string; the quotes stand around it.
		_ = json.Unmarshal(body[f.value.from-1:f.value.to+1], &s)
		return s
	}
	if f.form == xmlText && bytes.IndexByte(raw, '\r') < 0 {
		return string(raw)
	}
	return decodeXML(raw, f.form == xmlMixed)
}

// decodeXML resolves CDATA sections and entities, where there are any, and ends
// lines with a single LF as XML demands.
func decodeXML(raw []byte, mixed bool) string {
	var out strings.Builder
	out.Grow(len(raw))
	for len(raw) > 0 {
		switch c := raw[0]; {
		case c == '\r':
			out.WriteByte('\n')
			raw = bytes.TrimPrefix(raw[1:], []byte("\n"))
			continue
		case mixed && c == '&':
			r, n := entity(raw)
			out.WriteRune(r)
			raw = raw[n:]
			continue
		case mixed && c == '<':
			section, after, _ := bytes.Cut(raw[len(cdataOpen):], []byte(cdataClose))
			out.WriteString(decodeXML(section, false))
			raw = after
			continue
		default:
			out.WriteByte(c)
			raw = raw[1:]
		}
	}
	return out.String()
}

const (
	cdataOpen  = "<![CDATA["
	cdataClose = "]]>"
)

// entity returns the character that raw begins to name, and the length of its
// name, which is 0 if it names none.
func entity(raw []byte) (rune, int) {
	end := bytes.IndexByte(raw[:min(len(raw), 12)], ';')
	if end < 2 {
		return 0, 0
	}
	switch name := raw[1:end]; string(name) {
	case "amp":
		return '&', end + 1
	case "lt":
		return '<', end + 1
	case "gt":
		return '>', end + 1
	case "quot":
		return '"', end + 1
	case "apos":
		return '\'', end + 1
	default:
		if r, ok := numericEntity(name); ok {
			return r, end + 1
		}
	}
	return 0, 0
}

func numericEntity(name []byte) (rune, bool) {
	digits, ok := bytes.CutPrefix(name, []byte("#"))
	if !ok {
		return 0, false
	}
	base := rune(10)
	if hex, ok := bytes.CutPrefix(digits, []byte("x")); ok {
		digits, base = hex, 16
	}
	if len(digits) == 0 || len(digits) > 8 {
		return 0, false
	}
	r := rune(0)
	for _, c := range digits {
		digit := rune(99)
		switch {
		case c >= '0' && c <= '9':
			digit = rune(c - '0')
		case c >= 'a' && c <= 'f':
			digit = rune(c-'a') + 10
		case c >= 'A' && c <= 'F':
			digit = rune(c-'A') + 10
		}
		if digit >= base || r > utf8.MaxRune {
			return 0, false
		}
		r = r*base + digit
	}
	return r, isXMLChar(r)
}

// isXMLChar reports whether XML 1.0 allows the character.
func isXMLChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= ' ' && r <= 0xD7FF ||
		r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune
}

// document is a body being parsed.
type document struct {
	body   []byte
	fields []field
}

func malformed(problem string) error { return fmt.Errorf("%w: %s", ErrMalformed, problem) }

func (d *document) parse() error {
	switch {
	case len(d.body) == 0:
		return ErrEmpty
	case len(d.body) > maxBody:
		return ErrTooComplex
	case !isText(d.body):
		return malformed("NUL or not UTF-8")
	}
	i := d.space(0)
	var err error
	if i < len(d.body) && d.body[i] == '{' {
		i, err = d.jsonObject(i, 1)
	} else {
		i, err = d.xml(i)
	}
	if err != nil {
		return err
	}
	if d.space(i) != len(d.body) {
		return malformed("text after the end")
	}
	return nil
}

// isText reports whether the text is UTF-8 without NUL. It goes through it once, and
// it is quick over Chinese, which has three bytes a character.
func isText(text []byte) bool {
	const lows, highs = 0x0101010101010101, 0x8080808080808080
	for len(text) >= 8 {
		word := binary.LittleEndian.Uint64(text)
		// The lowest bit set is in the first byte that is NUL or not ASCII.
		stop := (word | (word - lows)) & highs
		if stop == 0 {
			text = text[8:]
			continue
		}
		text = text[bits.TrailingZeros64(stop)/8:]
		for len(text) >= 4 {
			// A lead byte of three and two continuation bytes. E0 and ED allow not
			// all of the latter and are left to the standard library.
			word := binary.LittleEndian.Uint32(text)
			if lead := word & 0xFF; word&0xC0C0F0 != 0x8080E0 || lead == 0xE0 || lead == 0xED {
				break
			}
			text = text[3:]
		}
		if len(text) > 0 && text[0] >= utf8.RuneSelf {
			_, n := utf8.DecodeRune(text)
			if n == 1 {
				return false
			}
			text = text[n:]
		} else if len(text) > 0 && text[0] == 0 {
			return false
		}
	}
	return utf8.Valid(text) && bytes.IndexByte(text, 0) < 0
}

// add appends a field, if it may.
func (d *document) add(f field) error {
	if f.depth > maxDepth || len(d.fields) == maxElements {
		return ErrTooComplex
	}
	d.fields = append(d.fields, f)
	return nil
}

func (d *document) space(i int) int {
	for i < len(d.body) && isSpace(d.body[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func isBlank(text []byte) bool {
	for _, c := range text {
		if !isSpace(c) {
			return false
		}
	}
	return true
}

// at reports whether text stands at i.
func (d *document) at(i int, text string) bool {
	return len(d.body)-i >= len(text) && string(d.body[i:i+len(text)]) == text
}

// find returns where text next stands from i on, or -1.
func (d *document) find(i int, text string) int {
	// Mostly its first byte stands there only, and that is found much faster.
	n := bytes.IndexByte(d.body[i:], text[0])
	if n < 0 {
		return -1
	}
	if d.at(i+n, text) {
		return i + n
	}
	i += n
	if n = bytes.Index(d.body[i:], []byte(text)); n < 0 {
		return -1
	}
	return i + n
}

// xml reads the root element at i and returns where it ends. It keeps the elements
// that are open in an array, so depth costs nothing.
func (d *document) xml(i int) (int, error) {
	i, err := d.declaration(i)
	if err != nil {
		return 0, err
	}
	var open [maxDepth]int // the fields whose children are being read
	depth := 0
	name, i, closed, err := d.openTag(i)
	if err != nil {
		return 0, err
	}
	root := name.of(d.body)
	if string(root) != "xml" {
		return 0, malformed("no <xml>")
	}
	if closed {
		return i, nil
	}
	for {
		i = d.space(i)
		if d.at(i, "</") {
			expected := root
			if depth > 0 {
				f := &d.fields[open[depth-1]]
				f.value.to = uint32(i)
				expected = f.name.of(d.body)
			}
			if i, err = d.closeTag(i, expected); err != nil {
				return 0, err
			}
			if depth == 0 {
				return i, nil
			}
			depth--
			continue
		}
		name, after, closed, err := d.openTag(i)
		if err != nil {
			return 0, err
		}
		i = after
		f := field{name: name, value: span{uint32(i), uint32(i)}, depth: uint8(depth + 1), form: xmlText}
		if !closed {
			if f.value, f.form, i, err = d.content(i); err != nil {
				return 0, err
			}
		}
		if err := d.add(f); err != nil {
			return 0, err
		}
		if f.form == parent {
			open[depth] = len(d.fields) - 1
			depth++
		} else if !closed {
			if i, err = d.closeTag(i, name.of(d.body)); err != nil {
				return 0, err
			}
		}
	}
}

// declaration steps over an XML declaration.
func (d *document) declaration(i int) (int, error) {
	if !d.at(i, "<?xml") || i+5 >= len(d.body) || !isSpace(d.body[i+5]) {
		return i, nil
	}
	end := d.find(i, "?>")
	if end < 0 || end-i > 100 {
		return 0, malformed("XML declaration")
	}
	text := strings.ToLower(strings.Join(strings.Fields(string(d.body[i+5:end])), " "))
	text = strings.ReplaceAll(text, "'", `"`)
	text = strings.TrimSuffix(text, ` standalone="yes"`)
	if text != `version="1.0"` && text != `version="1.0" encoding="utf-8"` {
		return 0, malformed("XML declaration")
	}
	return d.space(end + len("?>")), nil
}

// openTag reads the start of an element at i: its name, where its content begins,
// and whether it is closed at once.
func (d *document) openTag(i int) (name span, after int, closed bool, err error) {
	if !d.at(i, "<") {
		return span{}, 0, false, malformed("no element")
	}
	start := i + 1
	end := d.name(start)
	if end == start {
		return span{}, 0, false, d.refuseMarkup(i)
	}
	name = span{uint32(start), uint32(end)}
	i = d.space(end)
	switch {
	case d.at(i, ">"):
		return name, i + 1, false, nil
	case d.at(i, "/>"):
		return name, i + 2, true, nil
	}
	return span{}, 0, false, malformed("attribute or unfinished tag")
}

// name returns the end of the element name at i, which is i if there is none.
func (d *document) name(i int) int {
	start := i
	for ; i < len(d.body); i++ {
		c := d.body[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == start || (c < '0' || c > '9') && c != '-' && c != '.') {
			break
		}
	}
	return i
}

// refuseMarkup says what is wrong with the '<' at i, which begins no element.
func (d *document) refuseMarkup(i int) error {
	if d.at(i, "<!") && !d.at(i, "<!--") && !d.at(i, cdataOpen) {
		return ErrDoctype
	}
	return malformed("markup that is not an element")
}

func (d *document) closeTag(i int, name []byte) (int, error) {
	i += len("</")
	if !bytes.HasPrefix(d.body[i:], name) {
		return 0, malformed("element closed by another")
	}
	if i = d.space(i + len(name)); !d.at(i, ">") {
		return 0, malformed("element closed by another")
	}
	return i + 1, nil
}

// content reads what is in an element up to its end tag, or, if it is a parent, up
// to its first child.
func (d *document) content(start int) (value span, f form, after int, err error) {
	f = xmlText
	value = span{uint32(start), uint32(start)}
	blank, sections := true, 0
	for i := start; ; {
		if i == len(d.body) {
			return span{}, 0, 0, malformed("unfinished element")
		}
		if d.body[i] != '<' {
			n := bytes.IndexByte(d.body[i:], '<')
			if n < 0 {
				return span{}, 0, 0, malformed("unfinished element")
			}
			text := d.body[i : i+n]
			entities, err := checkText(text)
			if err != nil {
				return span{}, 0, 0, err
			}
			if entities || sections > 0 {
				f = xmlMixed
			}
			blank = blank && isBlank(text)
			i += n
		}
		switch {
		case d.at(i, "</"):
			if sections == 0 || f == xmlMixed {
				value = span{uint32(start), uint32(i)}
			}
			return value, f, i, nil
		case d.at(i, cdataOpen):
			if sections++; sections > 1 || i > start {
				f = xmlMixed
			}
			from := i + len(cdataOpen)
			to := d.find(from, cdataClose)
			if to < 0 {
				return span{}, 0, 0, malformed("unfinished CDATA")
			}
			value = span{uint32(from), uint32(to)}
			i = to + len(cdataClose)
		case d.at(i, "<!") || d.at(i, "<?"):
			return span{}, 0, 0, d.refuseMarkup(i)
		case !blank || sections > 0:
			return span{}, 0, 0, malformed("text beside elements")
		default:
			return span{uint32(start), uint32(i)}, parent, i, nil
		}
	}
}

// checkText checks text outside of CDATA and reports whether it has entities.
func checkText(text []byte) (entities bool, err error) {
	if len(text) > 8 && bytes.IndexByte(text, '&') < 0 && bytes.IndexByte(text, '>') < 0 {
		return false, nil
	}
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '&':
			_, n := entity(text[i:])
			if n == 0 {
				return false, malformed("unknown entity")
			}
			entities = true
			i += n - 1
		case '>':
			if i >= 2 && text[i-1] == ']' && text[i-2] == ']' {
				return false, malformed("]]> outside CDATA")
			}
		}
	}
	return entities, nil
}

// jsonObject reads the object at i, whose members are at depth, and returns where
// it ends. It calls itself at most maxDepth times.
func (d *document) jsonObject(i, depth int) (int, error) {
	i = d.space(i + 1)
	if d.at(i, "}") {
		return i + 1, nil
	}
	for {
		key, escaped, after, err := d.jsonString(i)
		if err != nil {
			return 0, err
		}
		if escaped || key.from == key.to {
			return 0, malformed("JSON name")
		}
		if i = d.space(after); !d.at(i, ":") {
			return 0, malformed("JSON object")
		}
		if i, err = d.jsonMember(d.space(i+1), key, depth); err != nil {
			return 0, err
		}
		i = d.space(i)
		switch {
		case d.at(i, "}"):
			return i + 1, nil
		case !d.at(i, ","):
			return 0, malformed("JSON object")
		}
		i = d.space(i + 1)
	}
}

// jsonMember reads a value or an array of values, which become fields of one name.
func (d *document) jsonMember(i int, name span, depth int) (int, error) {
	if !d.at(i, "[") {
		return d.jsonValue(i, name, depth)
	}
	i = d.space(i + 1)
	if d.at(i, "]") {
		return i + 1, nil
	}
	for {
		after, err := d.jsonValue(i, name, depth)
		if err != nil {
			return 0, err
		}
		i = d.space(after)
		switch {
		case d.at(i, "]"):
			return i + 1, nil
		case !d.at(i, ","):
			return 0, malformed("JSON array")
		}
		i = d.space(i + 1)
	}
}

func (d *document) jsonValue(i int, name span, depth int) (int, error) {
	f := field{name: name, depth: uint8(depth), form: jsonText}
	switch {
	case d.at(i, "{"):
		f.form = parent
		if err := d.add(f); err != nil {
			return 0, err
		}
		return d.jsonObject(i, depth+1)
	case d.at(i, `"`):
		value, escaped, after, err := d.jsonString(i)
		if err != nil {
			return 0, err
		}
		if f.value = value; escaped {
			f.form = jsonEscaped
		}
		return after, d.add(f)
	}
	end := i
	for end < len(d.body) && !isSpace(d.body[end]) && strings.IndexByte(",]}", d.body[end]) < 0 {
		end++
	}
	token := d.body[i:end]
	if len(token) == 0 || token[0] == '[' || !json.Valid(token) {
		return 0, malformed("JSON value")
	}
	if f.value = (span{uint32(i), uint32(end)}); string(token) == "null" {
		f.value.to = f.value.from
	}
	return end, d.add(f)
}

// jsonString reads the string at i.
func (d *document) jsonString(i int) (text span, escaped bool, after int, err error) {
	if !d.at(i, `"`) {
		return span{}, false, 0, malformed("JSON string")
	}
	start := i + 1
	for i = start; i < len(d.body); i++ {
		switch c := d.body[i]; {
		case c == '"':
			if escaped && !json.Valid(d.body[start-1:i+1]) {
				return span{}, false, 0, malformed("JSON escape")
			}
			return span{uint32(start), uint32(i)}, escaped, i + 1, nil
		case c == '\\':
			escaped = true
			i++
		case c < ' ':
			return span{}, false, 0, malformed("JSON string")
		}
	}
	return span{}, false, 0, malformed("JSON string")
}

// lookup returns the index of the first field at the path, or -1.
func (p *Push) lookup(path ...string) int {
	from, to := 0, len(p.fields)
	found := -1
	for level, name := range path {
		found = -1
		for i := from; i < to; i++ {
			f := &p.fields[i]
			if int(f.depth) == level+1 && string(f.name.of(p.Body)) == name {
				found = i
				break
			}
		}
		if found < 0 {
			return -1
		}
		from, to = p.children(found)
	}
	return found
}

// children returns the range of the fields below the one at i.
func (p *Push) children(i int) (from, to int) {
	to = i + 1
	for to < len(p.fields) && p.fields[to].depth > p.fields[i].depth {
		to++
	}
	return i + 1, to
}

// Field returns the text of the field at a path of WeChat's own element names, the
// first if it stands there repeatedly, and "" if there is none.
//
//	p.Field("FromUserName")
//	p.Field("ScanCodeInfo", "ScanResult")
func (p *Push) Field(path ...string) string {
	if i := p.lookup(path...); i >= 0 {
		return p.fields[i].text(p.Body)
	}
	return ""
}

// Has reports whether there is a field at the path.
func (p *Push) Has(path ...string) bool { return p.lookup(path...) >= 0 }

// Element is one element of an XML body, or one value of a JSON body.
type Element struct {
	Name   string
	Depth  int  // 1: directly below the root
	Parent bool // it holds elements instead of a text
	Text   string
	// Start and End say where the text stands in Body, as it is written there: with
	// entities or escapes, without the quotes of a string and the brackets of a CDATA
	// section. They are equal where it is empty.
	Start, End int
}

// Elements returns all of what was read, in the order of Body: what an element holds
// follows it with a greater depth. Values of a JSON array are elements of one name.
func (p *Push) Elements() []Element {
	elements := make([]Element, len(p.fields))
	for i := range p.fields {
		f := &p.fields[i]
		elements[i] = Element{
			Name: string(f.name.of(p.Body)), Depth: int(f.depth), Parent: f.form == parent, Text: f.text(p.Body),
			Start: int(f.value.from), End: int(f.value.to),
		}
	}
	return elements
}

// raw returns a top-level value as it is written, nil if there is none or it
// would have to be decoded.
func (p *Push) raw(name string) []byte {
	i := p.lookup(name)
	if i < 0 {
		return nil
	}
	if f := &p.fields[i]; f.form == xmlText || f.form == jsonText {
		return f.value.of(p.Body)
	}
	return nil
}
