// Package seal encrypts what the store writes. It implements [store.Cipher] under
// a master key that never enters the database, and under none at all for those
// who encrypt elsewhere.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// KeySize is the length of a master key in bytes.
const KeySize = 32

// Every sealed value begins with a byte that names its format, so that values of
// several formats can live side by side while one replaces another.
const (
	formatPlain  = 0 // the value follows as it is
	formatAESGCM = 1 // key id, then what AES-256-GCM made: nonce, ciphertext, tag
)

const keyIDSize = 4

// maxSubkeys bounds the subkeys that are kept ready. Deriving one takes a few
// microseconds, so forgetting all of them now and then does no harm.
const maxSubkeys = 2048

// ErrKeySize is returned by [New] for a key of the wrong length.
var ErrKeySize = errors.New("seal: a master key has 32 bytes")

var (
	_ store.Cipher = (*Cipher)(nil)
	_ store.Cipher = Plain{}
)

// Cipher seals with AES-256-GCM. Each component, account and field has a key of
// its own, derived from the master key with HKDF-SHA-256: random nonces of 96 bits
// are safe for about 2³² values under one key, which one key for everything would
// use up within months on a large installation. The canonical form of the place is
// the associated data, so a value opens only where it belongs.
//
// It is safe for concurrent use.
type Cipher struct {
	master []byte
	keyID  [keyIDSize]byte

	mu      sync.RWMutex
	subkeys map[family]cipher.AEAD
}

// family is what shares a subkey.
type family struct {
	component  tuoguan.ComponentAppID
	authorizer tuoguan.AuthorizerAppID
	field      string
}

// New returns a cipher under the master key, which must have [KeySize] bytes.
func New(masterKey []byte) (*Cipher, error) {
	if len(masterKey) != KeySize {
		return nil, fmt.Errorf("%w, this one has %d", ErrKeySize, len(masterKey))
	}
	c := &Cipher{master: append([]byte(nil), masterKey...), subkeys: make(map[family]cipher.AEAD)}
	id, err := hkdf.Expand(sha256.New, c.master, "tuoguan master key id", keyIDSize)
	if err != nil {
		return nil, fmt.Errorf("seal: derive key id: %w", err)
	}
	copy(c.keyID[:], id)
	return c, nil
}

// Seal encrypts plaintext for its place.
func (c *Cipher) Seal(place store.Place, plaintext []byte) ([]byte, error) {
	aead, err := c.subkey(place)
	if err != nil {
		return nil, err
	}
	sealed := make([]byte, 0, 1+keyIDSize+len(plaintext)+aead.Overhead())
	sealed = append(sealed, formatAESGCM)
	sealed = append(sealed, c.keyID[:]...)
	return aead.Seal(sealed, nil, plaintext, associatedData(sealed, place)), nil
}

// Open decrypts what was sealed for the place. Every failure wraps
// [store.ErrQuarantined]; one that a different master key explains names both key ids.
func (c *Cipher) Open(place store.Place, sealed []byte) ([]byte, error) {
	const header = 1 + keyIDSize
	switch {
	case len(sealed) < header:
		return nil, fmt.Errorf("seal: %d bytes are no sealed value: %w", len(sealed), store.ErrQuarantined)
	case sealed[0] != formatAESGCM:
		return nil, fmt.Errorf("seal: format %d instead of %d: %w", sealed[0], formatAESGCM, store.ErrQuarantined)
	case [keyIDSize]byte(sealed[1:header]) != c.keyID:
		return nil, fmt.Errorf("seal: sealed under key %s, the key at hand is %s: %w",
			hex.EncodeToString(sealed[1:header]), hex.EncodeToString(c.keyID[:]), store.ErrQuarantined)
	}
	aead, err := c.subkey(place)
	if err != nil {
		return nil, err
	}
	plaintext, err := aead.Open(nil, nil, sealed[header:], associatedData(sealed[:header], place))
	if err != nil {
		return nil, fmt.Errorf("seal: altered or moved, key %s: %w", hex.EncodeToString(c.keyID[:]), store.ErrQuarantined)
	}
	return plaintext, nil
}

// associatedData binds the header and the place.
func associatedData(header []byte, place store.Place) []byte {
	return append(append([]byte(nil), header...), place.String()...)
}

// subkey returns the key of a family, ready for use.
func (c *Cipher) subkey(place store.Place) (cipher.AEAD, error) {
	f := family{place.Component, place.Authorizer, place.Field}
	c.mu.RLock()
	aead, ok := c.subkeys[f]
	c.mu.RUnlock()
	if ok {
		return aead, nil
	}

	// Without its row a place names the family, as injectively as before.
	info := "tuoguan subkey " + store.Place{Component: f.component, Authorizer: f.authorizer, Field: f.field}.String()
	key, err := hkdf.Expand(sha256.New, c.master, info, KeySize)
	if err != nil {
		return nil, fmt.Errorf("seal: derive subkey: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	aead, err = cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.subkeys) >= maxSubkeys {
		clear(c.subkeys)
	}
	c.subkeys[f] = aead
	return aead, nil
}

// Plain leaves values as they are, for those who encrypt elsewhere (a disk, a
// database) and for tests of the store itself. It protects nothing. What it wrote
// is marked, so that a [Cipher] refuses it and the other way round.
type Plain struct{}

// Seal marks plaintext and returns a copy.
func (Plain) Seal(_ store.Place, plaintext []byte) ([]byte, error) {
	return append([]byte{formatPlain}, plaintext...), nil
}

// Open returns a copy of what Seal was given, wherever it stands.
func (Plain) Open(_ store.Place, sealed []byte) ([]byte, error) {
	switch {
	case len(sealed) == 0:
		return nil, fmt.Errorf("seal: empty: %w", store.ErrQuarantined)
	case sealed[0] == formatAESGCM && len(sealed) > keyIDSize:
		return nil, fmt.Errorf("seal: sealed under key %s, no key is at hand: %w",
			hex.EncodeToString(sealed[1:1+keyIDSize]), store.ErrQuarantined)
	case sealed[0] != formatPlain:
		return nil, fmt.Errorf("seal: format %d instead of %d: %w", sealed[0], formatPlain, store.ErrQuarantined)
	}
	return append([]byte{}, sealed[1:]...), nil
}
