package event

import (
	"bytes"
	"strings"

	"github.com/tuoguan/tuoguan/push"
)

// secretNames are the elements of a push whose text is a secret, by [fold].
var secretNames = [...]string{"componentverifyticket", "authorizationcode", "preauthcode", "authcode"}

// isSecret reports whether an element of this name holds a secret, however it spells it.
func isSecret(name string) bool {
	if len(name) < len("authcode") || len(name) > 64 {
		return false
	}
	folded := fold([]byte(name))
	for _, secret := range secretNames {
		if string(folded) == secret {
			return true
		}
	}
	return false
}

// fold returns the letters, digits and @ of a text, in lower case.
func fold(text []byte) []byte {
	folded := make([]byte, 0, len(text))
	for _, c := range text {
		switch {
		case c >= 'A' && c <= 'Z':
			folded = append(folded, c+'a'-'A')
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '@':
			folded = append(folded, c)
		}
	}
	return folded
}

// mayHoldSecret reports whether a text that could not be read may hold a secret: it has
// the beginning of the name of one, the kind of a push that brings one, or what codes and
// tickets have in them, or escapes behind which these could hide. Between the letters
// anything may stand, such as the NULs of UTF-16.
func mayHoldSecret(text []byte) bool {
	if bytes.Contains(text, []byte(`\u`)) {
		return true
	}
	folded := fold(text)
	for _, mark := range [...]string{"verifyt", "authorizationc", "authc", "authorized", "fasteregister", "@@@"} {
		if bytes.Contains(folded, []byte(mark)) {
			return true
		}
	}
	return false
}

// blank empties the elements that hold secrets, in what was read and in the text of the
// push, which it returns. It returns nil where that cannot be trusted.
func blank(p *push.Push, elements []push.Element) []byte {
	if p.Problem != nil {
		if mayHoldSecret(p.Body) {
			return nil
		}
		return p.Body
	}
	var text []byte
	done, below := 0, 0 // how far Body is copied; the depth of the secret that is being left, 0 for none
	for i := range elements {
		e := &elements[i]
		if below > 0 && e.Depth <= below {
			below = 0
		}
		if below == 0 && isSecret(e.Name) {
			below = e.Depth
		}
		if below == 0 || e.Parent || e.Start == e.End {
			continue
		}
		text = append(text, p.Body[done:e.Start]...)
		if isJSON(p.Body) && p.Body[e.Start-1] != '"' {
			text = append(text, `""`...) // a number is no value when it is empty
		}
		done, e.Text = e.End, ""
	}
	if done == 0 {
		return p.Body
	}
	text = append(text, p.Body[done:]...)
	if !isBlank(push.Parse(p.Authorization, text)) {
		return nil
	}
	return text
}

// isBlank reports whether a push can be read and has no secrets.
func isBlank(p *push.Push) bool {
	below := 0
	for _, e := range p.Elements() {
		if below > 0 && e.Depth <= below {
			below = 0
		}
		if below == 0 && isSecret(e.Name) {
			below = e.Depth
		}
		if below > 0 && e.Text != "" {
			return false
		}
	}
	return p.Problem == nil
}

// isJSON reports whether a body is JSON, if it is anything.
func isJSON(body []byte) bool {
	return strings.HasPrefix(strings.TrimLeft(string(body[:min(len(body), 64)]), " \t\r\n"), "{")
}
