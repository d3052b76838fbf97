package seal_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/internal/seal/kmstest"
	"github.com/tuoguan/tuoguan/store"
)

// settings is a store.Settings in memory.
type settings struct {
	mu            sync.Mutex
	values        map[string]setting
	reads, writes int
}

type setting struct {
	value   []byte
	version int64
}

func newSettings() *settings { return &settings{values: make(map[string]setting)} }

// Setting implements store.Settings.
func (s *settings) Setting(ctx context.Context, name string) ([]byte, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	known, ok := s.values[name]
	if err := ctx.Err(); err != nil || !ok {
		return nil, 0, cmp.Or(err, store.ErrNotFound)
	}
	return bytes.Clone(known.value), known.version, nil
}

// PutSetting implements store.Settings.
func (s *settings) PutSetting(ctx context.Context, name string, value []byte, version int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil || s.values[name].version != version {
		return cmp.Or(err, store.ErrConflict)
	}
	s.writes++
	s.values[name] = setting{bytes.Clone(value), version + 1}
	return nil
}

// hooked calls before and after around every operation; an error of theirs is its error.
type hooked struct {
	store.Settings
	before, after hook
}

type hook func(op string) error

func (h hook) call(op string) error {
	if h == nil {
		return nil
	}
	return h(op)
}

// Setting implements store.Settings.
func (h *hooked) Setting(ctx context.Context, name string) ([]byte, int64, error) {
	if err := h.before.call("read " + name); err != nil {
		return nil, 0, err
	}
	value, version, err := h.Settings.Setting(ctx, name)
	return value, version, cmp.Or(h.after.call("read "+name), err)
}

// PutSetting implements store.Settings.
func (h *hooked) PutSetting(ctx context.Context, name string, value []byte, version int64) error {
	if err := h.before.call("write " + name); err != nil {
		return err
	}
	err := h.Settings.PutSetting(ctx, name, value, version)
	return cmp.Or(h.after.call("write "+name), err)
}

func (s *settings) raw(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.values[name].value)
}

func (s *settings) set(name string, value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[name] = setting{value, s.values[name].version + 1}
}

func masterKey(fill byte) []byte { return bytes.Repeat([]byte{fill}, seal.KeySize) }

func local(t testing.TB, fill byte) *seal.Local {
	t.Helper()
	kek, err := seal.NewLocal(masterKey(fill))
	if err != nil {
		t.Fatal(err)
	}
	return kek
}

func openRing(t testing.TB, kek seal.KEK, s store.Settings) *seal.Ring {
	t.Helper()
	r, err := seal.Open(context.Background(), kek, s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newRing(t testing.TB) *seal.Ring { return openRing(t, local(t, 1), newSettings()) }

// rekey rotates at once, over an archive that holds nothing.
func rekey(t testing.TB, r *seal.Ring, keep time.Duration) seal.Report {
	t.Helper()
	report, err := r.Rekey(context.Background(), &archive{ring: r}, seal.RekeyConfig{Grace: -1, Keep: keep})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func wantOpen(t testing.TB, c store.Cipher, p store.Place, sealed []byte, want string) {
	t.Helper()
	if got, err := c.Open(p, sealed); err != nil || string(got) != want {
		t.Errorf("opened %q, %v; want %q", got, err, want)
	}
}

func TestSecondOpeningReadsWhatTheFirstSealed(t *testing.T) {
	t.Parallel()
	s := newSettings()
	sealed := mustSeal(t, openRing(t, local(t, 1), s), place, "secret")
	wantOpen(t, openRing(t, local(t, 1), s), place, sealed, "secret")
	if s.writes != 1 {
		t.Errorf("%d writes for two openings", s.writes)
	}
}

// Made with the master key of 32 bytes 7.
const (
	goldenRing   = `{"format":1,"kek":"local:6011b997fe9093c5","ring_key":"mOzom3y/zGw6p0/323WaL9HKy74UeGGrk/q0kJz0z31SPSYkqe5vPSiXMLdoFH1hNm87tjmsTAKuHu3O","current":1,"versions":[{"version":1,"created_at":"2026-11-21T10:10:16Z"}],"roots":"44dKUrDtJPGKtUVftEhPuFwWPjNH8JaNcx7dkSvDojezOjOj1gA4IFY934p1/2aD9Dv+EHR2Ph+uzS+p"}`
	goldenSealed = "020000000102c2eb3eaeb09c277295bfb62e168841bc80a69341d7616afa097fb19bf67607ac5c"
	goldenSubkey = "e271aac9016df7bbe8fb5e496d3ee55b95769285f04f9209533eedc6512b2b0d"
)

// TestRingFormatIsForEver opens what this version has stored, with a ring that it has stored.
func TestRingFormatIsForEver(t *testing.T) {
	t.Parallel()
	s := newSettings()
	s.set("key_ring", []byte(goldenRing))
	r := openRing(t, local(t, 7), s)
	wantOpen(t, r, place, unhex(t, goldenSealed), "golden")
	wantOpen(t, r, place, unhex(t, goldenLegacy), "golden")
	key, err := r.Subkey(1, "audit")
	if err != nil || hex.EncodeToString(key) != goldenSubkey {
		t.Errorf("subkey %x, %v", key, err)
	}
}

func TestHeaderNamesFormatAndVersion(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	if sealed := mustSeal(t, r, place, ""); !bytes.Equal(sealed[:5], []byte{2, 0, 0, 0, 1}) {
		t.Errorf("header %x", sealed[:5])
	}
	rekey(t, r, 0)
	if sealed := mustSeal(t, r, place, ""); !bytes.Equal(sealed[:5], []byte{2, 0, 0, 0, 2}) {
		t.Errorf("header %x after a rotation", sealed[:5])
	}
}

func TestNothingInTheRingIsInClear(t *testing.T) {
	t.Parallel()
	s := newSettings()
	r := openRing(t, local(t, 1), s)
	if err := r.Rewrap(t.Context(), local(t, 2)); err != nil { // takes master key 1 along
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(s.raw("key_ring")), &doc); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"format", "kek", "ring_key", "current", "versions", "roots"} {
		if doc[field] == nil {
			t.Errorf("no field %s in %s", field, s.raw("key_ring"))
		}
	}
	text := s.raw("key_ring")
	for _, fill := range []byte{1, 2} {
		key := masterKey(fill)
		encoded, _ := json.Marshal(key)
		for name, form := range map[string]string{"raw": string(key[:16]), "hex": hex.EncodeToString(key[:16]), "base64": string(encoded[1:22])} {
			if strings.Contains(text, form) {
				t.Errorf("master key %d is there (%s)", fill, name)
			}
		}
	}
}

func TestWrongKeyIsRefusedAndNothingWritten(t *testing.T) {
	t.Parallel()
	kms := kmstest.Start(t, "one", 1)
	legacy := mustSeal(t, newCipher(t, 1), store.Place{Field: "key_check"}, "tuoguan")
	legacyID := func(fill byte) string {
		return hex.EncodeToString(mustSeal(t, newCipher(t, fill), place, "")[1:5])
	}
	tests := map[string]struct {
		prepare func(s *settings)
		kek     seal.KEK
		names   []string
	}{
		"another master key": {
			func(s *settings) { openRing(t, local(t, 1), s) }, local(t, 2), []string{local(t, 1).ID(), local(t, 2).ID()}},
		"a key service instead of the master key": {
			func(s *settings) { openRing(t, local(t, 1), s) }, kms.KEK(), []string{local(t, 1).ID(), "kmstest:one"}},
		"another key that claims the same name": {
			func(s *settings) { openRing(t, local(t, 1), s) }, impostor{local(t, 2), local(t, 1).ID()}, []string{local(t, 1).ID()}},
		"another master key, store without ring": {
			func(s *settings) { s.set("key_check", legacy) }, local(t, 2), []string{legacyID(1), legacyID(2)}},
		"a key service, store without ring": {
			func(s *settings) { s.set("key_check", legacy) }, kms.KEK(), []string{"kmstest:one"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSettings()
			tt.prepare(s)
			writes := s.writes
			_, err := seal.Open(t.Context(), tt.kek, s)
			if !errors.Is(err, seal.ErrWrongKey) {
				t.Fatalf("got %v, want ErrWrongKey", err)
			}
			for _, id := range tt.names {
				if !strings.Contains(err.Error(), id) {
					t.Errorf("%v does not name %s", err, id)
				}
			}
			if s.writes != writes {
				t.Errorf("%d writes", s.writes-writes)
			}
		})
	}
}

// impostor is a key under another one's name.
type impostor struct {
	seal.KEK
	id string
}

func (i impostor) ID() string { return i.id }

func TestMasterKeyIDTellsKeysApartAndNothingElse(t *testing.T) {
	t.Parallel()
	if a, b := local(t, 1).ID(), local(t, 1).ID(); a != b {
		t.Errorf("%s and %s for one key", a, b)
	}
	seen := make(map[string]bool)
	for fill := range byte(100) {
		id := local(t, fill).ID()
		if seen[id] || strings.Contains(id, hex.EncodeToString(masterKey(fill)[:2])) {
			t.Errorf("key %d: id %s", fill, id)
		}
		seen[id] = true
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	key := masterKey(0xfb)
	if got, err := seal.ParseKey(tuoguan.NewSecret(" " + hex.EncodeToString(key) + "\n")); err != nil || !bytes.Equal(got, key) {
		t.Errorf("got %x, %v", got, err)
	}
	for _, text := range []string{"", "correct horse", hex.EncodeToString(key[:31])} {
		if _, err := seal.ParseKey(tuoguan.NewSecret(text)); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestWrappedKeyIsBoundToItsAssociatedData(t *testing.T) {
	t.Parallel()
	for name, kek := range map[string]seal.KEK{"local": local(t, 1), "service": kmstest.Start(t, "one", 1).KEK()} {
		wrapped, err := kek.Wrap(t.Context(), masterKey(9), []byte("backup"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := kek.Unwrap(t.Context(), wrapped, []byte("backup")); err != nil || !bytes.Equal(got, masterKey(9)) {
			t.Errorf("%s: got %x, %v", name, got, err)
		}
		if got, err := kek.Unwrap(t.Context(), wrapped, []byte("ring")); err == nil {
			t.Errorf("%s: unwrapped elsewhere: %x", name, got)
		}
		for i := range wrapped {
			bad := bytes.Clone(wrapped)
			bad[i] ^= 1
			if got, err := kek.Unwrap(t.Context(), bad, []byte("backup")); err == nil {
				t.Errorf("%s: byte %d altered, unwrapped: %x", name, i, got)
			}
		}
	}
}

// TestAlteredRingIsRefused alters every byte of the stored ring. What opens all the
// same must be the same ring: there is more than one way to write a document.
func TestAlteredRingIsRefused(t *testing.T) {
	t.Parallel()
	s := newSettings()
	sealed := mustSeal(t, openRing(t, local(t, 1), s), place, "secret")
	text := s.raw("key_ring")
	for i := range text {
		for _, flip := range []byte{0x01, 0x20, 0x80} {
			bad := []byte(text)
			bad[i] ^= flip
			altered := newSettings()
			altered.set("key_ring", bad)
			r, err := seal.Open(t.Context(), local(t, 1), altered)
			if err != nil {
				continue
			}
			if got, err := r.Open(place, sealed); err != nil || string(got) != "secret" {
				t.Errorf("byte %d of the ring altered (%q): opened, but the value does not: %v", i, bad, err)
			}
			if r.Version() != 1 {
				t.Errorf("byte %d of the ring altered (%q): version %d", i, bad, r.Version())
			}
		}
	}
}

func TestNewerRingIsRefused(t *testing.T) {
	t.Parallel()
	s := newSettings()
	s.set("key_ring", []byte(`{"format":2}`))
	if _, err := seal.Open(t.Context(), local(t, 1), s); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("got %v", err)
	}
}

func TestOpenersRacing(t *testing.T) {
	t.Parallel()
	for range 50 {
		const openers = 4
		s := newSettings()
		// All of them find the store empty before any of them writes.
		var found sync.WaitGroup
		found.Add(openers)
		h := &hooked{Settings: s, before: func(op string) error {
			if op == "write key_ring" {
				found.Done()
				found.Wait()
			}
			return nil
		}}
		rings := make([]*seal.Ring, openers)
		var wg sync.WaitGroup
		for i := range rings {
			wg.Go(func() { rings[i], _ = seal.Open(context.Background(), local(t, 1), h) })
		}
		wg.Wait()
		for i, a := range rings {
			for j, b := range rings {
				if a == nil || b == nil {
					t.Fatalf("opener %d or %d failed", i, j)
				}
				wantOpen(t, b, place, mustSeal(t, a, place, "secret"), "secret")
			}
		}
	}
}

func TestLegacyValuesOpenAndAreNotCurrent(t *testing.T) {
	t.Parallel()
	old := newCipher(t, 1)
	sealed := mustSeal(t, old, place, "old")
	check := mustSeal(t, old, store.Place{Field: "key_check"}, "tuoguan")
	for name, visible := range map[string]bool{"with key_check": true, "without": false} {
		s := newSettings()
		if visible {
			s.set("key_check", check)
		}
		r := openRing(t, local(t, 1), s)
		wantOpen(t, r, place, sealed, "old")
		if !old.Current(sealed) || r.Current(sealed) {
			t.Errorf("%s: an old value counts as current", name)
		}
		if fresh := mustSeal(t, r, place, "new"); fresh[0] != 2 || !r.Current(fresh) || old.Current(fresh) {
			t.Errorf("%s: a new value is in format %d", name, fresh[0])
		}

		// They open under another KEK as well, until a rekeying has removed the key.
		kms := kmstest.Start(t, "one", 1)
		if err := r.Rewrap(t.Context(), kms.KEK()); err != nil {
			t.Fatal(err)
		}
		r = openRing(t, kms.KEK(), s)
		wantOpen(t, r, place, sealed, "old")
		if diff := gocmp.Diff([]uint32{0, 1}, rekey(t, r, -1).Removed); diff != "" {
			t.Errorf("%s: removed: %s", name, diff)
		}
		if _, err := r.Open(place, sealed); !errors.Is(err, store.ErrQuarantined) {
			t.Errorf("%s: the old master key is still there: %v", name, err)
		}
	}
}

// TestMasterKeyIsNotTakenAlongAfterRekey: once nothing is sealed under it any more.
func TestMasterKeyIsNotTakenAlongAfterRekey(t *testing.T) {
	t.Parallel()
	s := newSettings()
	r := openRing(t, local(t, 1), s)
	rekey(t, r, 0)
	if err := r.Rewrap(t.Context(), local(t, 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := openRing(t, local(t, 2), s).Open(place, mustSeal(t, newCipher(t, 1), place, "old")); !errors.Is(err, store.ErrQuarantined) {
		t.Errorf("got %v", err)
	}
}

func TestUsed(t *testing.T) {
	t.Parallel()
	s := newSettings()
	if used, err := seal.Used(t.Context(), s); used || err != nil {
		t.Errorf("empty: %t, %v", used, err)
	}
	openRing(t, local(t, 1), s)
	if used, err := seal.Used(t.Context(), s); !used || err != nil {
		t.Errorf("with a ring: %t, %v", used, err)
	}
	old := newSettings()
	old.set("key_check", []byte("x"))
	if used, err := seal.Used(t.Context(), old); !used || err != nil {
		t.Errorf("of an earlier version: %t, %v", used, err)
	}
	down := &hooked{Settings: s, before: func(string) error { return store.ErrUnavailable }}
	if _, err := seal.Used(t.Context(), down); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("store out of reach: %v", err)
	}
}

// TestKeyServiceOutage: the service is needed to open the ring, and for nothing afterwards.
func TestKeyServiceOutage(t *testing.T) {
	t.Parallel()
	kms := kmstest.Start(t, "one", 1)
	s := newSettings()
	kms.SetDown(true)
	if _, err := seal.Open(t.Context(), kms.KEK(), s); err == nil || !strings.Contains(err.Error(), "kmstest:one") || s.writes != 0 {
		t.Errorf("outage before the first start: %v, %d writes", err, s.writes)
	}
	kms.SetDown(false)
	kms.SetLatency(20 * time.Millisecond)
	one, two := openRing(t, kms.KEK(), s), openRing(t, kms.KEK(), s)
	calls := kms.Calls()

	kms.SetDown(true)
	sealed := mustSeal(t, one, place, "secret")
	for i := range 100 {
		p := store.Place{Component: "wxc", Authorizer: tuoguan.AuthorizerAppID(fmt.Sprint(i)), Field: "f"}
		wantOpen(t, two, p, mustSeal(t, one, p, "v"), "v")
	}
	wantOpen(t, two, place, sealed, "secret")
	if kms.Calls() != calls {
		t.Errorf("%d calls to the service for sealing and opening", kms.Calls()-calls)
	}
	// A ring that changes is followed without the service, up to the end of the rekeying.
	report, err := one.Rekey(t.Context(), &archive{ring: one}, seal.RekeyConfig{Grace: -1, Progress: func(seal.Report) {
		if err := two.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
	}})
	if err == nil || report.Phase != seal.Retire {
		t.Fatalf("rekeying without the service: %+v, %v", report, err)
	}
	wantOpen(t, two, place, mustSeal(t, one, place, "under 2"), "under 2")
	if _, err := seal.Open(t.Context(), kms.KEK(), s); err == nil || !strings.Contains(err.Error(), "503") || errors.Is(err, seal.ErrWrongKey) {
		t.Errorf("outage at a later start: %v", err)
	}

	kms.SetDown(false)
	rekey(t, one, 0)
	if err := two.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
	wantOpen(t, openRing(t, kms.KEK(), s), place, sealed, "secret")
}

func TestSlowKeyServiceIsGivenUp(t *testing.T) {
	t.Parallel()
	kms := kmstest.Start(t, "one", 1)
	kms.SetLatency(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := seal.Open(ctx, kms.KEK(), newSettings()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestRewrap(t *testing.T) {
	t.Parallel()
	kms := kmstest.Start(t, "one", 1)
	s := newSettings()
	running, r := openRing(t, local(t, 1), s), openRing(t, local(t, 1), s)
	sealed := mustSeal(t, running, place, "secret")
	if err := r.Rewrap(t.Context(), kms.KEK()); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Open(t.Context(), local(t, 1), s); !errors.Is(err, seal.ErrWrongKey) {
		t.Errorf("the old key opens: %v", err)
	}
	wantOpen(t, openRing(t, kms.KEK(), s), place, sealed, "secret")

	// A process from before goes on and follows, but does not rekey.
	if err := running.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
	before := s.raw("key_ring")
	if _, err := running.Rekey(t.Context(), &archive{ring: running}, seal.RekeyConfig{Grace: -1}); !errors.Is(err, seal.ErrWrongKey) || s.raw("key_ring") != before {
		t.Errorf("a process with the old key rekeys: %v", err)
	}
	_, err := r.Rekey(t.Context(), &archive{ring: r}, seal.RekeyConfig{Grace: -1, Progress: func(p seal.Report) {
		if err := running.Refresh(t.Context()); err != nil && p.Phase != seal.Done {
			t.Errorf("%s: %v", p.Phase, err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	wantOpen(t, running, place, mustSeal(t, r, place, "new"), "new")
	if err := running.Refresh(t.Context()); !errors.Is(err, seal.ErrWrongKey) {
		t.Errorf("after the rekeying: %v", err)
	}
}

func TestRewrapUnderAKeyThatDoesNotUnwrap(t *testing.T) {
	t.Parallel()
	s := newSettings()
	r := openRing(t, local(t, 1), s)
	before := s.raw("key_ring")
	for name, kek := range map[string]seal.KEK{"refuses": wrapOnly{local(t, 2), nil}, "lies": wrapOnly{local(t, 2), masterKey(3)}} {
		if err := r.Rewrap(t.Context(), kek); err == nil || s.raw("key_ring") != before {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantOpen(t, openRing(t, local(t, 1), s), place, mustSeal(t, r, place, "secret"), "secret")
}

// wrapOnly is a service that grants no right to unwrap.
type wrapOnly struct {
	seal.KEK
	key []byte
}

func (k wrapOnly) Unwrap(context.Context, []byte, []byte) ([]byte, error) {
	if k.key == nil {
		return nil, errors.New("forbidden")
	}
	return k.key, nil
}

func TestUnknownVersionIsLookedForInTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSettings()
		h := &hooked{Settings: s, before: func(string) error { // long enough for all to wait
			time.Sleep(time.Millisecond)
			return nil
		}}
		one, two := openRing(t, local(t, 1), s), openRing(t, local(t, 1), h)
		rekey(t, one, 0)
		sealed := mustSeal(t, one, place, "under 2")

		reads := s.reads
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { wantOpen(t, two, place, sealed, "under 2") })
		}
		wg.Wait()
		if s.reads != reads+1 {
			t.Errorf("%d reads for one new version", s.reads-reads)
		}
		if sealed := mustSeal(t, two, place, ""); binary.BigEndian.Uint32(sealed[1:]) != 2 {
			t.Error("it goes on sealing under the old version")
		}

		// What is in no ring does not load the store.
		forged := bytes.Clone(sealed)
		forged[1] = 0xff
		reads = s.reads
		for range 1000 {
			if _, err := two.Open(place, forged); !errors.Is(err, store.ErrQuarantined) || !strings.Contains(err.Error(), "4278190082") {
				t.Fatalf("got %v", err)
			}
		}
		if s.reads != reads {
			t.Errorf("%d reads within a second", s.reads-reads)
		}
		time.Sleep(2 * time.Second)
		if _, err := two.Open(place, forged); !errors.Is(err, store.ErrQuarantined) || s.reads != reads+1 {
			t.Errorf("got %v, %d reads", err, s.reads-reads)
		}

		// Where the store is out of reach, the error says so.
		time.Sleep(2 * time.Second)
		h.before = func(string) error { return store.ErrUnavailable }
		if _, err := two.Open(place, forged); !errors.Is(err, store.ErrQuarantined) || !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		wantOpen(t, two, place, sealed, "under 2")
	})
}

func TestRefreshNoticesARingThatWentBack(t *testing.T) {
	t.Parallel()
	s := newSettings()
	r := openRing(t, local(t, 1), s)
	old := s.values["key_ring"]
	rekey(t, r, 0)
	sealed := mustSeal(t, r, place, "secret")
	s.values["key_ring"] = old
	if err := r.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "back") {
		t.Errorf("got %v", err)
	}
	wantOpen(t, r, place, sealed, "secret")
}

// TestLateRefresh: a refresh that read the ring before another one, and comes to an
// end after it, does not bring an older ring back.
func TestLateRefresh(t *testing.T) {
	t.Parallel()
	s := newSettings()
	h := &hooked{Settings: s}
	one, two := openRing(t, local(t, 1), s), openRing(t, local(t, 1), h)
	announced := false
	_, err := one.Rekey(t.Context(), &archive{ring: one}, seal.RekeyConfig{Grace: -1, Progress: func(p seal.Report) {
		if p.Phase != seal.Activate {
			return
		}
		h.after = func(string) error {
			h.after = nil
			announced = true
			rekey(t, openRing(t, local(t, 1), s), 0)
			return two.Refresh(t.Context())
		}
		if err := two.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
	}})
	if !announced || !errors.Is(err, seal.ErrRekeying) {
		t.Fatalf("got %v", err)
	}
	if two.Version() != 2 {
		t.Errorf("back at version %d", two.Version())
	}
}

func TestSubkey(t *testing.T) {
	t.Parallel()
	s := newSettings()
	r := openRing(t, local(t, 1), s)
	audit, err := r.Subkey(1, "audit")
	if err != nil || len(audit) != seal.KeySize {
		t.Fatalf("%x, %v", audit, err)
	}
	webhook, _ := r.Subkey(1, "webhook")
	rekey(t, r, 0)
	later, _ := r.Subkey(r.Version(), "audit")
	if bytes.Equal(audit, webhook) || bytes.Equal(audit, later) {
		t.Error("two purposes or two versions have one key")
	}
	if again, err := openRing(t, local(t, 1), s).Subkey(1, "audit"); err != nil || !bytes.Equal(audit, again) {
		t.Errorf("not the same key after a restart: %v", err)
	}
	if _, err := r.Subkey(9, "audit"); !errors.Is(err, store.ErrQuarantined) {
		t.Errorf("unknown version: %v", err)
	}
}

// TestRotationWhileSealing: three processes seal and open what the others have
// sealed, while a fourth rekeys again and again.
func TestRotationWhileSealing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSettings()
		driver := openRing(t, local(t, 1), s)
		a := newArchive(driver, 0)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for n := range 3 {
			r := openRing(t, local(t, 1), s)
			wg.Go(func() { poll(ctx, r) })
			for w := range 2 {
				random := rand.New(rand.NewPCG(uint64(n), uint64(w)))
				wg.Go(func() {
					for i := 0; ctx.Err() == nil; i++ {
						key := fmt.Sprintf("%02d", random.IntN(40))
						if i%2 == 0 {
							a.write(t, r, key, key)
						} else {
							a.read(t, r, key)
						}
						time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond)
					}
				})
			}
		}
		for range 4 {
			report, err := driver.Rekey(t.Context(), a, seal.RekeyConfig{Batch: 3, Keep: time.Minute})
			if err != nil || report.Failed != 0 {
				t.Errorf("%+v, %v", report, err)
			}
			a.wantAllUnder(t, report.Version)
			time.Sleep(time.Minute)
		}
		stop()
		wg.Wait()
	})
}

// poll does what a server does.
func poll(ctx context.Context, r *seal.Ring) {
	for {
		select {
		case <-time.After(seal.RefreshInterval):
			_ = r.Refresh(ctx)
		case <-ctx.Done():
			return
		}
	}
}
