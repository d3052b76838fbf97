package seal

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The settings of the store that belong to this package.
const (
	settingRing     = "key_ring"
	settingRekey    = "rekey"     // how far a rekeying has come
	settingKeyCheck = "key_check" // left by versions without a ring: a value sealed by a [Cipher]
)

// documentFormat is the form of the document below.
const documentFormat = 1

// ringAssociatedData is bound to the wrapped ring key.
var ringAssociatedData = []byte("tuoguan key ring")

// errDamaged: the setting with the key ring is not what was stored.
var errDamaged = errors.New("seal: the stored key ring is damaged")

// document is the key ring as the store keeps it. The root keys are sealed together
// under the ring key, which binds everything else; the ring key is wrapped by the KEK.
// Thereby one small value passes through the KEK however long the ring is, and a
// process that has the ring key follows every change of the ring without the KEK.
type document struct {
	Format   int       `json:"format"`
	KEK      string    `json:"kek"`      // who can unwrap the ring key
	RingKey  []byte    `json:"ring_key"` // wrapped
	Current  uint32    `json:"current"`  // the version that seals; later ones are only announced
	Versions []version `json:"versions"` // ascending
	Roots    []byte    `json:"roots,omitempty"`
}

// version describes a root key. Version 0 is the master key itself, which sealed
// before there was a ring.
type version struct {
	Version   uint32    `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	// RetiredAt is when nothing was found any more that is sealed under it.
	RetiredAt time.Time `json:"retired_at,omitzero"`
}

// contents is a document with its keys.
type contents struct {
	document
	key   []byte            // the ring key
	roots map[uint32][]byte // by version
}

// newContents makes a ring with one root key. It is not wrapped yet.
func newContents(now time.Time) *contents {
	c := &contents{document: document{Format: documentFormat}, roots: make(map[uint32][]byte)}
	c.add(1, randomKey(), now)
	c.Current = 1
	return c
}

// add appends a root key, or puts version 0 before all others.
func (c *contents) add(number uint32, key []byte, now time.Time) {
	v := version{Version: number, CreatedAt: now.UTC().Truncate(time.Second)}
	if number == 0 {
		c.Versions = append([]version{v}, c.Versions...)
	} else {
		c.Versions = append(c.Versions, v)
	}
	c.roots[number] = key
}

// latest returns the highest version.
func (c *contents) latest() uint32 { return c.Versions[len(c.Versions)-1].Version }

// wrap puts the ring key under kek, after trying that it comes back: a ring that
// cannot be unwrapped is lost at the next start.
func (c *contents) wrap(ctx context.Context, kek KEK, ringKey []byte) error {
	wrapped, err := kek.Wrap(ctx, ringKey, ringAssociatedData)
	if err != nil {
		return fmt.Errorf("seal: wrap the key ring under %s: %w", kek.ID(), err)
	}
	back, err := kek.Unwrap(ctx, wrapped, ringAssociatedData)
	switch {
	case err != nil:
		return fmt.Errorf("seal: try to unwrap the key ring under %s: %w", kek.ID(), err)
	case !bytes.Equal(back, ringKey):
		return fmt.Errorf("seal: %s does not unwrap what it has wrapped", kek.ID())
	}
	c.KEK, c.RingKey, c.key = kek.ID(), wrapped, ringKey
	return nil
}

// encode seals the root keys and returns the document.
func (c *contents) encode() ([]byte, error) {
	aead, err := newAEAD(c.key)
	if err != nil {
		return nil, err
	}
	plaintext := make([]byte, 0, len(c.Versions)*KeySize)
	for _, v := range c.Versions {
		plaintext = append(plaintext, c.roots[v.Version]...)
	}
	defer clear(plaintext)
	readable, err := c.readable()
	if err != nil {
		return nil, err
	}
	c.Roots = aead.Seal(nil, nil, plaintext, readable)
	return json.Marshal(c.document)
}

// readable is the document without its root keys, which bind it.
func (d document) readable() ([]byte, error) {
	d.Roots = nil
	return json.Marshal(d)
}

// decode reads a document. The ring key known from an earlier reading is tried
// first; nil asks the KEK at once.
func decode(ctx context.Context, text []byte, known []byte, kek KEK) (*contents, error) {
	c := &contents{}
	if err := json.Unmarshal(text, &c.document); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if c.Format != documentFormat {
		return nil, fmt.Errorf("seal: the stored key ring has format %d, this program knows %d; a newer program wrote it", c.Format, documentFormat)
	}
	if known != nil && c.openRoots(known) == nil {
		return c, nil
	}
	if c.KEK != kek.ID() {
		return nil, fmt.Errorf("%w: the key ring is wrapped under %q, the key at hand is %q", ErrWrongKey, c.KEK, kek.ID())
	}
	key, err := kek.Unwrap(ctx, c.RingKey, ringAssociatedData)
	if err != nil {
		return nil, fmt.Errorf("seal: unwrap the key ring under %s: %w", kek.ID(), err)
	}
	return c, c.openRoots(key)
}

func (c *contents) openRoots(key []byte) error {
	if len(key) != KeySize {
		return fmt.Errorf("%w: the ring key has %d bytes", errDamaged, len(key))
	}
	aead, err := newAEAD(key)
	if err != nil {
		return err
	}
	readable, err := c.readable()
	if err != nil {
		return err
	}
	plaintext, err := aead.Open(nil, nil, c.Roots, readable)
	if err != nil || len(plaintext) != len(c.Versions)*KeySize {
		return fmt.Errorf("%w: its root keys do not open", errDamaged)
	}
	c.key, c.roots = key, make(map[uint32][]byte)
	for i, v := range c.Versions {
		c.roots[v.Version] = plaintext[i*KeySize : (i+1)*KeySize : (i+1)*KeySize]
	}
	if c.roots[c.Current] == nil {
		return fmt.Errorf("%w: version %d is missing", errDamaged, c.Current)
	}
	return nil
}

func randomKey() []byte {
	key := make([]byte, KeySize)
	_, _ = rand.Read(key) // never fails
	return key
}
