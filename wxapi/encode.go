package wxapi

import (
	"bytes"
	"encoding/json"
)

// encode returns v as JSON in raw UTF-8. WeChat does not undo \u escapes, so a
// text that holds <, & or U+2028 must not be escaped as encoding/json likes to.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return unescapeSeparators(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// unescapeSeparators undoes the escapes of the line and paragraph separators,
// which encoding/json cannot be told to leave alone.
func unescapeSeparators(text []byte) []byte {
	if !bytes.Contains(text, []byte(`\u202`)) {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch rest := text[i:]; {
		case bytes.HasPrefix(rest, []byte(`\u2028`)):
			out = append(out, "\u2028"...)
			i += 5
		case bytes.HasPrefix(rest, []byte(`\u2029`)):
			out = append(out, "\u2029"...)
			i += 5
		case rest[0] == '\\': // the next byte is escaped and begins nothing
			out = append(out, rest[0], rest[1])
			i++
		default:
			out = append(out, rest[0])
		}
	}
	return out
}
