package store

import (
	"context"
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
	// Current reports whether a value is sealed as Seal would seal it now: in the same
	// format, under the same key.
	Current(sealed []byte) bool
}

// Keys makes the cipher of a store when that is opened, from what the store keeps
// about its keys. An error keeps the store from being opened.
type Keys func(ctx context.Context, s Settings) (Cipher, error)

// Under returns Keys for a cipher that needs nothing from the store.
func Under(c Cipher) Keys {
	return func(context.Context, Settings) (Cipher, error) { return c, nil }
}
