package seal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuoguan/tuoguan/store"
)

// RefreshInterval is how often every process that has a ring open should call
// [Ring.Refresh]. [Ring.Rekey] counts on it.
const RefreshInterval = 5 * time.Second

const (
	// reloadEvery is how often values under unknown versions make a ring look for
	// them: a damaged value must not load the store each time that it is read.
	reloadEvery   = time.Second
	reloadTimeout = 3 * time.Second
)

// Ring seals with the root keys of a store's key ring. Each component, account and
// field has a key of its own under each root: random nonces of 96 bits are safe for
// about 2³² values under one key, which one key for everything would use up within
// months on a large installation. The canonical form of the place is the associated
// data, so a value opens only where it belongs.
//
// The processes on a store share its ring. Each keeps the keys in memory and needs
// neither the KEK nor the store to seal and to open; [Ring.Refresh] makes it follow.
// It is safe for concurrent use.
type Ring struct {
	settings store.Settings
	state    atomic.Pointer[state]

	mu     sync.Mutex
	kek    KEK
	reload *reload
}

// state is the ring in memory, as of one version of the setting.
type state struct {
	setting int64
	current uint32
	key     []byte // the ring key
	roots   map[uint32]*root
	legacy  *Cipher // for values sealed under the master key itself; nil if there is none
}

// reload is one attempt to find an unknown version.
type reload struct {
	began time.Time
	done  chan struct{}
	err   error // after done
}

// Open opens the key ring that the store keeps, or makes one where there is none.
// Processes that open an empty store at the same time end with the same ring.
//
// The error matches [ErrWrongKey], and nothing is written, if the ring is not under
// kek; likewise where a version of this program without a ring has sealed under
// another master key.
func Open(ctx context.Context, kek KEK, settings store.Settings) (*Ring, error) {
	if kek == nil {
		return nil, errors.New("seal: a key ring needs a key encryption key")
	}
	r := &Ring{settings: settings, kek: kek}
	err := r.Refresh(ctx)
	if !errors.Is(err, store.ErrNotFound) {
		return r.ifOpen(err)
	}
	if err := checkLegacy(ctx, kek, settings); err != nil {
		return nil, err
	}
	c := newContents(time.Now())
	if err := c.wrap(ctx, kek, randomKey()); err != nil {
		return nil, err
	}
	err = r.put(ctx, c, 0)
	if errors.Is(err, store.ErrConflict) { // somebody was faster; his ring counts
		err = r.Refresh(ctx)
	}
	return r.ifOpen(err)
}

func (r *Ring) ifOpen(err error) (*Ring, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Used reports whether something was sealed in this store: by a ring, or by a
// version of this program without one. Where it was, a new key is of no use.
func Used(ctx context.Context, settings store.Settings) (bool, error) {
	for _, name := range []string{settingRing, settingKeyCheck} {
		switch _, _, err := settings.Setting(ctx, name); {
		case err == nil:
			return true, nil
		case !errors.Is(err, store.ErrNotFound):
			return false, fmt.Errorf("seal: read %s: %w", name, err)
		}
	}
	return false, nil
}

// checkLegacy makes sure that a ring does not come to a store that was sealed under
// another key, as far as the store tells.
func checkLegacy(ctx context.Context, kek KEK, settings store.Settings) error {
	sealed, _, err := settings.Setting(ctx, settingKeyCheck)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("seal: read %s: %w", settingKeyCheck, err)
	}
	local, ok := kek.(*Local)
	if !ok {
		return fmt.Errorf("%w: the store is sealed under a master key; open it with that key once, then wrap the ring under %s", ErrWrongKey, kek.ID())
	}
	if hasFormat(sealed, formatMaster) && !local.legacy.Current(sealed) {
		return fmt.Errorf("%w: the store is sealed under %x, the key at hand is %x", ErrWrongKey, sealed[1:headerSize], local.legacy.keyID)
	}
	if _, err := local.legacy.Open(store.Place{Field: settingKeyCheck}, sealed); err != nil {
		return fmt.Errorf("%w: %w", ErrWrongKey, err)
	}
	return nil
}

// Refresh takes over what other processes have changed in the ring. It costs one
// read of a setting. On an error the ring stays as it was, and stays usable.
func (r *Ring) Refresh(ctx context.Context) error {
	before := r.state.Load()
	c, version, err := r.read(ctx, func(version int64) bool { return before != nil && before.setting == version })
	switch {
	case err != nil:
		return err
	case c == nil:
		return nil
	case before != nil && version < before.setting:
		return fmt.Errorf("seal: the stored key ring went back from version %d to %d: was the store replaced under a running process?", before.setting, version)
	}
	r.install(c, version)
	return nil
}

// read returns what is stored, unless its version is one that the caller has.
func (r *Ring) read(ctx context.Context, has func(version int64) bool) (*contents, int64, error) {
	text, version, err := r.settings.Setting(ctx, settingRing)
	if err != nil {
		return nil, 0, fmt.Errorf("seal: read the key ring: %w", err)
	}
	if has(version) {
		return nil, version, nil
	}
	var known []byte
	if s := r.state.Load(); s != nil {
		known = s.key
	}
	c, err := decode(ctx, text, known, r.currentKEK())
	if err != nil {
		return nil, 0, err
	}
	return c, version, nil
}

func (r *Ring) currentKEK() KEK {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kek
}

// install makes stored contents those in memory, unless later ones are there.
func (r *Ring) install(c *contents, version int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.state.Load()
	if before != nil && before.setting >= version {
		return
	}
	s := &state{setting: version, current: c.Current, key: c.key, roots: make(map[uint32]*root, len(c.roots))}
	if local, ok := r.kek.(*Local); ok {
		s.legacy = local.legacy
	}
	for number, key := range c.roots {
		switch {
		case number == 0:
			s.legacy, _ = New(key) // it has the right size
		case before != nil && before.roots[number] != nil:
			s.roots[number] = before.roots[number] // with its subkeys
		default:
			s.roots[number] = newRoot(key)
		}
	}
	r.state.Store(s)
}

// put stores contents in the place of a version of the setting, and takes them over.
func (r *Ring) put(ctx context.Context, c *contents, version int64) error {
	text, err := c.encode()
	if err != nil {
		return err
	}
	if err := r.settings.PutSetting(ctx, settingRing, text, version); err != nil {
		return fmt.Errorf("seal: store the key ring: %w", err)
	}
	return r.Refresh(ctx)
}

// update changes the stored ring. If somebody else does so at the same time, change
// is called again with the outcome. It reports whether there is something to store.
func (r *Ring) update(ctx context.Context, change func(c *contents) (bool, error)) error {
	for {
		c, version, err := r.read(ctx, func(int64) bool { return false })
		if err != nil {
			return err
		}
		changed, err := change(c)
		if err != nil {
			return err
		}
		if !changed {
			r.install(c, version)
			return nil
		}
		if err := r.put(ctx, c, version); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// Rewrap puts the ring under another KEK. It touches no sealed value, so it takes as
// long for a million accounts as for one. Processes that are running need not be told;
// whoever opens the store from now on needs the new KEK. [Ring.Rekey] afterwards makes
// the old one worthless.
func (r *Ring) Rewrap(ctx context.Context, kek KEK) error {
	err := r.update(ctx, func(c *contents) (bool, error) {
		// Values of versions without a ring may be there until a rekeying is complete.
		if local, ok := r.currentKEK().(*Local); ok && c.Versions[0].Version == 1 && c.Versions[0].RetiredAt.IsZero() {
			c.add(0, local.legacy.root.key, time.Now())
		}
		return true, c.wrap(ctx, kek, c.key)
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kek = kek
	return nil
}

// Seal encrypts plaintext for its place.
func (r *Ring) Seal(place store.Place, plaintext []byte) ([]byte, error) {
	s := r.state.Load()
	h := header{formatRing}
	binary.BigEndian.PutUint32(h[1:], s.current)
	return s.roots[s.current].sealUnder(h, place, plaintext)
}

// Open decrypts what was sealed for the place. A root key that is not in memory is
// looked for in the store, though not all the time. Every failure wraps
// [store.ErrQuarantined].
func (r *Ring) Open(place store.Place, sealed []byte) ([]byte, error) {
	s := r.state.Load()
	if s.legacy != nil && hasFormat(sealed, formatMaster) {
		return s.legacy.Open(place, sealed)
	}
	if !hasFormat(sealed, formatRing) {
		return nil, errFormat(sealed, formatRing)
	}
	version := binary.BigEndian.Uint32(sealed[1:headerSize])
	key := s.roots[version]
	if key == nil {
		err := r.lookAgain()
		if key = r.state.Load().roots[version]; key == nil {
			if err != nil {
				return nil, fmt.Errorf("seal: sealed under version %d of the key ring, which is not in memory: %w (%w)", version, store.ErrQuarantined, err)
			}
			return nil, fmt.Errorf("seal: sealed under version %d, which is not in the key ring: %w", version, store.ErrQuarantined)
		}
	}
	plaintext, err := key.openUnder(place, sealed)
	if err != nil {
		return nil, fmt.Errorf("seal: version %d of the key ring: %w", version, err)
	}
	return plaintext, nil
}

// Current reports whether the value is sealed under the root key that seals now.
func (r *Ring) Current(sealed []byte) bool {
	return hasFormat(sealed, formatRing) && binary.BigEndian.Uint32(sealed[1:headerSize]) == r.Version()
}

// lookAgain refreshes the ring, or waits for the one who does. What was found out a
// moment ago still holds: versions are announced long before they seal.
func (r *Ring) lookAgain() error {
	r.mu.Lock()
	last := r.reload
	if last != nil && time.Since(last.began) < reloadEvery {
		r.mu.Unlock()
		<-last.done
		return last.err
	}
	mine := &reload{began: time.Now(), done: make(chan struct{})}
	r.reload = mine
	r.mu.Unlock()

	defer close(mine.done)
	ctx, cancel := context.WithTimeout(context.Background(), reloadTimeout)
	defer cancel()
	mine.err = r.Refresh(ctx)
	return mine.err
}

// Version returns the number of the root key that seals now.
func (r *Ring) Version() uint32 { return r.state.Load().current }

// Subkey derives a key of 32 bytes from a root key, for a purpose other than sealing
// values in the store. Purposes are for ever; docs/keys.md lists them. Whoever keeps
// what was made with the key keeps the version beside it, and follows [Ring.Version]
// with new things. [store.ErrQuarantined] if the ring has no such version.
func (r *Ring) Subkey(version uint32, purpose string) ([]byte, error) {
	key := r.state.Load().roots[version]
	if key == nil {
		return nil, fmt.Errorf("seal: version %d is not in the key ring: %w", version, store.ErrQuarantined)
	}
	return key.purpose(purpose)
}
