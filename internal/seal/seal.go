// Package seal encrypts what the store writes.
//
// A [KEK], which never enters the database, wraps the key ring that the store keeps;
// the [Ring] holds numbered root keys; from these come the keys that seal values.
// docs/keys.md draws the tree. [Cipher] is what sealed values before there was a
// ring, and [Plain] is for those who encrypt elsewhere.
package seal

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/tuoguan/tuoguan/store"
)

// Every sealed value begins with a byte that names its format, so that values of
// several formats can live side by side while one replaces another. In the formats
// that encrypt, four bytes follow that name the key, then what AES-256-GCM made:
// nonce, ciphertext, tag.
const (
	formatPlain  = 0 // the value follows as it is
	formatMaster = 1 // derived from the master key itself, whose id follows
	formatRing   = 2 // derived from a root key of the ring, whose version follows, big-endian
)

const (
	keyNameSize = 4
	headerSize  = 1 + keyNameSize
)

type header [headerSize]byte

// ErrKeySize is returned for a master key of the wrong length.
var ErrKeySize = errors.New("seal: a master key has 32 bytes")

var (
	_ store.Cipher = (*Ring)(nil)
	_ store.Cipher = (*Cipher)(nil)
	_ store.Cipher = Plain{}
)

// Cipher seals with keys derived from the master key itself, as all versions did
// before the key ring. A [Ring] opens with it what such a version has left behind.
// Nothing in the store depends on it, so it also does where a store is needed for a
// moment.
//
// It is safe for concurrent use.
type Cipher struct {
	root  *root
	keyID [keyNameSize]byte
}

// New returns a cipher under the master key, which must have [KeySize] bytes.
func New(masterKey []byte) (*Cipher, error) {
	if len(masterKey) != KeySize {
		return nil, fmt.Errorf("%w, this one has %d", ErrKeySize, len(masterKey))
	}
	c := &Cipher{root: newRoot(append([]byte(nil), masterKey...))}
	id, err := c.root.derive(infoKeyID, keyNameSize)
	if err != nil {
		return nil, err
	}
	copy(c.keyID[:], id)
	return c, nil
}

// Seal encrypts plaintext for its place.
func (c *Cipher) Seal(place store.Place, plaintext []byte) ([]byte, error) {
	return c.root.sealUnder(header{formatMaster, c.keyID[0], c.keyID[1], c.keyID[2], c.keyID[3]}, place, plaintext)
}

// Open decrypts what was sealed for the place. Every failure wraps
// [store.ErrQuarantined]; one that a different master key explains names both key ids.
func (c *Cipher) Open(place store.Place, sealed []byte) ([]byte, error) {
	if !hasFormat(sealed, formatMaster) {
		return nil, errFormat(sealed, formatMaster)
	}
	if [keyNameSize]byte(sealed[1:headerSize]) != c.keyID {
		return nil, fmt.Errorf("seal: sealed under master key %x, the one at hand is %x: %w",
			sealed[1:headerSize], c.keyID, store.ErrQuarantined)
	}
	plaintext, err := c.root.openUnder(place, sealed)
	if err != nil {
		return nil, fmt.Errorf("seal: master key %x: %w", c.keyID, err)
	}
	return plaintext, nil
}

// Current reports whether the value was sealed by a Cipher under this key.
func (c *Cipher) Current(sealed []byte) bool {
	return hasFormat(sealed, formatMaster) && [keyNameSize]byte(sealed[1:headerSize]) == c.keyID
}

// hasFormat reports whether a value begins with the header of a format.
func hasFormat(sealed []byte, format byte) bool {
	return len(sealed) >= headerSize && sealed[0] == format
}

// errFormat says what is wrong with a value that has not.
func errFormat(sealed []byte, format byte) error {
	if len(sealed) < headerSize {
		return fmt.Errorf("seal: %d bytes are no sealed value: %w", len(sealed), store.ErrQuarantined)
	}
	return fmt.Errorf("seal: format %d instead of %d: %w", sealed[0], format, store.ErrQuarantined)
}

// Plain leaves values as they are, for those who encrypt elsewhere (a disk, a
// database) and for tests of the store itself. It protects nothing. What it wrote
// is marked, so that a [Ring] refuses it and the other way round.
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
	case hasFormat(sealed, formatMaster) || hasFormat(sealed, formatRing):
		return nil, fmt.Errorf("seal: sealed under key %s, no key is at hand: %w",
			hex.EncodeToString(sealed[1:headerSize]), store.ErrQuarantined)
	case sealed[0] != formatPlain:
		return nil, fmt.Errorf("seal: format %d instead of %d: %w", sealed[0], formatPlain, store.ErrQuarantined)
	}
	return append([]byte{}, sealed[1:]...), nil
}

// Current reports whether the value was marked by Plain.
func (Plain) Current(sealed []byte) bool { return len(sealed) > 0 && sealed[0] == formatPlain }
