package seal

import (
	"context"
	"crypto/cipher"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/tuoguan/tuoguan"
)

// ErrWrongKey: the key encryption key at hand is not the one that was used. The
// message names both by their ids.
var ErrWrongKey = errors.New("seal: wrong master key")

// KEK is a key encryption key, which wraps other keys and nothing else. A master key
// in memory is one ([Local]), a key management service can be another. What was
// wrapped unwraps only under the same key and with the same associated data; keys
// given to Wrap are at most 64 bytes long. Implementations are safe for concurrent use.
//
// A ring asks its KEK when it is opened, and when it is wrapped anew. In between a
// KEK may be out of reach.
type KEK interface {
	// ID names the key, for people and to notice a wrong one. It is no secret.
	ID() string
	Wrap(ctx context.Context, key, associatedData []byte) ([]byte, error)
	Unwrap(ctx context.Context, wrapped, associatedData []byte) ([]byte, error)
}

var _ KEK = (*Local)(nil)

// Local is a KEK made from a master key. It needs nothing outside of the process.
type Local struct {
	id     string
	aead   cipher.AEAD
	legacy *Cipher // opens what the master key has sealed without a ring
}

// NewLocal returns a KEK made from a master key, which must have [KeySize] bytes.
func NewLocal(masterKey []byte) (*Local, error) {
	legacy, err := New(masterKey)
	if err != nil {
		return nil, err
	}
	id, err := legacy.root.derive(infoKeyID, 8)
	if err != nil {
		return nil, err
	}
	key, err := legacy.root.derive(infoWrap, KeySize)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return &Local{id: "local:" + hex.EncodeToString(id), aead: aead, legacy: legacy}, nil
}

// ID returns "local:" and 16 hexadecimal digits that are derived from the master key.
func (l *Local) ID() string { return l.id }

// Wrap encrypts a key.
func (l *Local) Wrap(_ context.Context, key, associatedData []byte) ([]byte, error) {
	return l.aead.Seal(nil, nil, key, associatedData), nil
}

// Unwrap decrypts a key.
func (l *Local) Unwrap(_ context.Context, wrapped, associatedData []byte) ([]byte, error) {
	key, err := l.aead.Open(nil, nil, wrapped, associatedData)
	if err != nil {
		return nil, fmt.Errorf("%w: what was to be unwrapped was altered, or wrapped under a key that is not %s", ErrWrongKey, l.id)
	}
	return key, nil
}

// ParseKey decodes a master key: 32 bytes in hexadecimal or base64. Its errors do
// not quote the text.
func ParseKey(text tuoguan.Secret) ([]byte, error) {
	key, err := parse(text.Reveal())
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	return key, nil
}
