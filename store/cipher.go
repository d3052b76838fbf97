package store

import (
	"strconv"

	"github.com/tuoguan/tuoguan"
)

// Place says where a sealed value belongs. A value sealed for one place must not
// open in another.
type Place struct {
	Component  tuoguan.ComponentAppID
	Authorizer tuoguan.AuthorizerAppID
	Field      string // "app_secret", "ticket", "refresh_token", "push", …
	// Row tells values of the same field apart: the grant, the push's key, the code's hash.
	Row string
}

// String is the canonical form of the place: injective, for use as associated data.
func (p Place) String() string {
	b := strconv.AppendQuote(make([]byte, 0, 128), string(p.Component))
	b = strconv.AppendQuote(append(b, '/'), string(p.Authorizer))
	b = strconv.AppendQuote(append(b, '/'), p.Field)
	b = strconv.AppendQuote(append(b, '/'), p.Row)
	return string(b)
}

// Cipher seals what is written and opens what is read. Implementations are safe
// for concurrent use. Open fails with an error that wraps [ErrQuarantined] if the
// value was altered, moved, or sealed under a key that is not there.
type Cipher interface {
	Seal(place Place, plaintext []byte) ([]byte, error)
	Open(place Place, sealed []byte) ([]byte, error)
}
