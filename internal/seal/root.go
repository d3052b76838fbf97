package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"strconv"
	"sync"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// KeySize is the length in bytes of every key of the tree.
const KeySize = 32

// What is derived from a key is told apart by the text that goes into HKDF. These
// texts are for ever: what was sealed depends on them.
const (
	infoSubkey  = "tuoguan subkey "       // then the place without its row
	infoPurpose = "tuoguan purpose "      // then the quoted purpose
	infoWrap    = "tuoguan wrap"          // of a master key only
	infoKeyID   = "tuoguan master key id" // of a master key only
)

// maxSubkeys bounds the subkeys of one root that are kept ready. Deriving one takes
// a few microseconds, so forgetting all of them now and then does no harm.
const maxSubkeys = 2048

// root is a key from which the keys that seal values are derived, one for each
// component, account and field.
type root struct {
	key []byte

	mu      sync.RWMutex
	subkeys map[family]cipher.AEAD
}

// family is what shares a subkey.
type family struct {
	component  tuoguan.ComponentAppID
	authorizer tuoguan.AuthorizerAppID
	field      string
}

func newRoot(key []byte) *root {
	return &root{key: key, subkeys: make(map[family]cipher.AEAD)}
}

// derive returns size bytes that say nothing about the root and nothing about what
// is derived with another info. The roots are random, so HKDF needs no extraction.
func (r *root) derive(info string, size int) ([]byte, error) {
	key, err := hkdf.Expand(sha256.New, r.key, info, size)
	if err != nil {
		return nil, fmt.Errorf("seal: derive key: %w", err)
	}
	return key, nil
}

func (r *root) purpose(name string) ([]byte, error) {
	return r.derive(infoPurpose+strconv.Quote(name), KeySize)
}

// subkey returns the key of the place's family, ready for use.
func (r *root) subkey(place store.Place) (cipher.AEAD, error) {
	f := family{place.Component, place.Authorizer, place.Field}
	r.mu.RLock()
	aead, ok := r.subkeys[f]
	r.mu.RUnlock()
	if ok {
		return aead, nil
	}

	// Without its row a place names the family, as injectively as before.
	key, err := r.derive(infoSubkey+store.Place{Component: f.component, Authorizer: f.authorizer, Field: f.field}.String(), KeySize)
	if err != nil {
		return nil, err
	}
	aead, err = newAEAD(key)
	clear(key)
	if err != nil {
		return nil, err
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.subkeys) >= maxSubkeys {
		clear(r.subkeys)
	}
	r.subkeys[f] = aead
	return aead, nil
}

// newAEAD returns AES-256-GCM that puts a random nonce before the ciphertext.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return aead, nil
}

// sealUnder returns the header and what the place's subkey makes of plaintext.
func (r *root) sealUnder(h header, place store.Place, plaintext []byte) ([]byte, error) {
	aead, err := r.subkey(place)
	if err != nil {
		return nil, err
	}
	sealed := append(make([]byte, 0, headerSize+len(plaintext)+aead.Overhead()), h[:]...)
	return aead.Seal(sealed, nil, plaintext, associatedData(sealed, place)), nil
}

// openUnder is the reverse.
func (r *root) openUnder(place store.Place, sealed []byte) ([]byte, error) {
	aead, err := r.subkey(place)
	if err != nil {
		return nil, err
	}
	plaintext, err := aead.Open(nil, nil, sealed[headerSize:], associatedData(sealed[:headerSize], place))
	if err != nil {
		return nil, fmt.Errorf("altered or moved: %w", store.ErrQuarantined)
	}
	return plaintext, nil
}

// associatedData binds the header and the place.
func associatedData(header []byte, place store.Place) []byte {
	return append(append([]byte(nil), header...), place.String()...)
}
