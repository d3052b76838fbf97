//go:build unix

package proof

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"
)

func TestSecretsAreFoundHoweverWritten(t *testing.T) {
	t.Parallel()
	const secret = "refreshtoken@@@Zm9vYmFyYmF6cXV4cXV1eGNvcmdlZ3JhdWx0"
	n := newNeedles()
	n.add(secret)
	n.add("another+secret/with=signs&that-are-escaped")
	wide := func(text string) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(text)) {
			b = append(b, byte(u), byte(u>>8))
		}
		return string(b)
	}
	for name, text := range map[string]string{
		"as it is":               secret,
		"in the middle":          strings.Repeat("x", 100_001) + secret + "y",
		"in hexadecimal":         hex.EncodeToString([]byte(secret)),
		"in capital hexadecimal": strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"in base64":              base64.StdEncoding.EncodeToString([]byte(secret)),
		"in base64, one on":      base64.StdEncoding.EncodeToString([]byte("a" + secret)),
		"in base64, two on":      base64.StdEncoding.EncodeToString([]byte("ab" + secret)),
		"in base64 for URLs":     base64.RawURLEncoding.EncodeToString([]byte(`{"t":"` + secret + `"}`)),
		"in UTF-16":              wide(secret),
		"escaped for a URL":      "token=another%2Bsecret%2Fwith%3Dsigns%26that-are-escaped",
		"its own part alone":     "Zm9vYmFyYmF6cXV4cXV1eGNvcmdl",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hit, size, err := n.in(iotest.HalfReader(strings.NewReader(text)))
			if err != nil || hit.how == "" || size > int64(len(text)) {
				t.Errorf("found %q after %d bytes, error %v", hit.how, size, err)
			}
		})
	}
}

func TestWhatIsNoSecretIsNotFound(t *testing.T) {
	t.Parallel()
	n := newNeedles()
	n.add("refreshtoken@@@Zm9vYmFyYmF6cXV4cXV1eGNvcmdlZ3JhdWx0")
	n.add("short")
	for name, text := range map[string]string{
		"nothing":              "",
		"less than a needle":   "Zm9vYmFy",
		"what all of its kind": "refreshtoken@@@refreshtoken@@@",
		"a short secret":       "short short short short",
		"almost":               "Zm9vYmFyYmF6cXVX Zm9vYmFyYmF6cXV",
		"much":                 strings.Repeat("0123456789abcdef", 50_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hit, size, err := n.in(bytes.NewReader([]byte(text)))
			if err != nil || hit.how != "" || size != int64(len(text)) {
				t.Errorf("found %q after %d of %d bytes, error %v", hit.how, size, len(text), err)
			}
		})
	}
}
