package seal_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/store"
)

var place = store.Place{Component: "wxc", Authorizer: "wxa", Field: "refresh_token", Row: "1"}

func newCipher(t testing.TB, fill byte) *seal.Cipher {
	t.Helper()
	c, err := seal.New(bytes.Repeat([]byte{fill}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustSeal(t testing.TB, c store.Cipher, p store.Place, plaintext string) []byte {
	t.Helper()
	sealed, err := c.Seal(p, []byte(plaintext))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]store.Cipher{"ring": newRing(t), "master key": newCipher(t, 1), "plain": seal.Plain{}} {
		for _, plaintext := range []string{"", "x", strings.Repeat("refresh", 1000)} {
			t.Run(fmt.Sprintf("%s/%d bytes", name, len(plaintext)), func(t *testing.T) {
				sealed := mustSeal(t, c, place, plaintext)
				got, err := c.Open(place, sealed)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(plaintext, string(got)); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// goldenLegacy was sealed by a version without a ring, with the master key of 32 bytes 7.
const goldenLegacy = "016011b9976231f2fd76fe6c04131782ad567367edc54a1bcfeaea9c1369127277519ed258cdb5"

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFormatIsForEver opens what an earlier version has sealed.
func TestFormatIsForEver(t *testing.T) {
	t.Parallel()
	if got, err := newCipher(t, 7).Open(place, unhex(t, goldenLegacy)); err != nil || string(got) != "golden" {
		t.Errorf("got %q, %v", got, err)
	}
}

// encrypting are the ciphers that protect what they seal.
func encrypting(t testing.TB) map[string]store.Cipher {
	return map[string]store.Cipher{"ring": newRing(t), "master key": newCipher(t, 1)}
}

func TestSealingTwiceDiffers(t *testing.T) {
	t.Parallel()
	for name, c := range encrypting(t) {
		if bytes.Equal(mustSeal(t, c, place, "same"), mustSeal(t, c, place, "same")) {
			t.Errorf("%s: two sealed values of one plaintext are equal", name)
		}
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	t.Parallel()
	for name, c := range encrypting(t) {
		sealed := mustSeal(t, c, place, "refreshtoken@@@value")
		for i := range sealed {
			for bit := range 8 {
				bad := bytes.Clone(sealed)
				bad[i] ^= 1 << bit
				if got, err := c.Open(place, bad); !errors.Is(err, store.ErrQuarantined) || got != nil {
					t.Fatalf("%s: byte %d bit %d: got %q, %v", name, i, bit, got, err)
				}
			}
		}
		for n := range sealed {
			if _, err := c.Open(place, sealed[:n]); !errors.Is(err, store.ErrQuarantined) {
				t.Fatalf("%s: cut to %d bytes: %v", name, n, err)
			}
		}
		if _, err := c.Open(place, append(bytes.Clone(sealed), 0)); !errors.Is(err, store.ErrQuarantined) {
			t.Fatalf("%s: with a byte more: %v", name, err)
		}
	}
}

func TestValueOpensOnlyInItsPlace(t *testing.T) {
	t.Parallel()
	places := map[string]store.Place{
		"own":        place,
		"component":  {Component: "wxd", Authorizer: "wxa", Field: "refresh_token", Row: "1"},
		"authorizer": {Component: "wxc", Authorizer: "wxb", Field: "refresh_token", Row: "1"},
		"field":      {Component: "wxc", Authorizer: "wxa", Field: "access_token", Row: "1"},
		"row":        {Component: "wxc", Authorizer: "wxa", Field: "refresh_token", Row: "2"},
		"shifted":    {Component: "wxc", Authorizer: "wxa\"/\"refresh_token", Field: "1", Row: ""},
	}
	for name, c := range encrypting(t) {
		for from, sealedFor := range places {
			sealed := mustSeal(t, c, sealedFor, "secret")
			for to, openedAt := range places {
				got, err := c.Open(openedAt, sealed)
				if from == to {
					if err != nil || string(got) != "secret" {
						t.Errorf("%s, %s: got %q, %v", name, from, got, err)
					}
				} else if !errors.Is(err, store.ErrQuarantined) || got != nil {
					t.Errorf("%s: sealed for %s, opened at %s: %q, %v", name, from, to, got, err)
				}
			}
		}
	}
}

func TestWrongKeyNamesBothKeyIDs(t *testing.T) {
	t.Parallel()
	one, two := newCipher(t, 1), newCipher(t, 2)
	sealed := mustSeal(t, one, place, "secret")
	idOne, idTwo := hex.EncodeToString(sealed[1:5]), hex.EncodeToString(mustSeal(t, two, place, "")[1:5])
	if idOne == idTwo {
		t.Fatal("two keys have one id")
	}
	_, err := two.Open(place, sealed)
	if !errors.Is(err, store.ErrQuarantined) || !strings.Contains(err.Error(), idOne) || !strings.Contains(err.Error(), idTwo) {
		t.Errorf("got %v, want ErrQuarantined naming %s and %s", err, idOne, idTwo)
	}
	_, err = seal.Plain{}.Open(place, sealed)
	if !errors.Is(err, store.ErrQuarantined) || !strings.Contains(err.Error(), idOne) {
		t.Errorf("without a key: got %v, want ErrQuarantined naming %s", err, idOne)
	}
	plain := mustSeal(t, seal.Plain{}, place, "secret")
	for name, c := range encrypting(t) {
		if _, err := c.Open(place, plain); !errors.Is(err, store.ErrQuarantined) || c.Current(plain) {
			t.Errorf("%s: an unsealed value was taken for a sealed one: %v", name, err)
		}
	}
	if _, err := (seal.Plain{}).Open(place, mustSeal(t, newRing(t), place, "secret")); !errors.Is(err, store.ErrQuarantined) {
		t.Errorf("a sealed value was taken for an unsealed one: %v", err)
	}
}

func TestManyFamiliesConcurrently(t *testing.T) {
	t.Parallel()
	c := newRing(t)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 3000 { // more than are kept ready
				p := store.Place{Component: "wxc", Authorizer: tuoguan.AuthorizerAppID(fmt.Sprintf("wx%d-%d", worker, i)), Field: "f"}
				sealed, err := c.Seal(p, []byte("v"))
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := c.Open(p, sealed); err != nil || string(got) != "v" {
					t.Errorf("got %q, %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestNewRefusesOtherSizes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := seal.New(make([]byte, n)); !errors.Is(err, seal.ErrKeySize) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// FuzzOpen alters a genuine value: what opens must be the value itself. The workers
// of a fuzz run are processes of their own, so the values are the golden ones.
func FuzzOpen(f *testing.F) {
	s := newSettings()
	s.set("key_ring", []byte(goldenRing))
	r := openRing(f, local(f, 7), s)
	ringed, legacy := unhex(f, goldenSealed), unhex(f, goldenLegacy)
	f.Add([]byte{})
	f.Add([]byte{2, 0, 0, 0, 1})
	f.Add([]byte{2, 0, 0, 0, 2, 1})
	f.Add(ringed)
	f.Add(legacy)
	f.Fuzz(func(t *testing.T, mask []byte) {
		// As it is, and as a mask over a genuine value, which gets past the header.
		for _, genuine := range [][]byte{ringed, legacy} {
			masked := bytes.Clone(genuine)
			for i := range min(len(mask), len(masked)) {
				masked[i] ^= mask[i]
			}
			for _, sealed := range [][]byte{mask, masked} {
				got, err := r.Open(place, sealed)
				switch isGenuine := bytes.Equal(sealed, ringed) || bytes.Equal(sealed, legacy); {
				case isGenuine && (err != nil || string(got) != "golden"):
					t.Errorf("genuine: %q, %v", got, err)
				case !isGenuine && (got != nil || !errors.Is(err, store.ErrQuarantined)):
					t.Errorf("forged: %q, %v", got, err)
				}
			}
		}
	})
}

func TestLoadOrCreate(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{0xfb}, seal.KeySize)
	tests := map[string]struct {
		text string
		mode fs.FileMode
		want string // part of the error; "" if the key is read
	}{
		"hexadecimal":      {hex.EncodeToString(key), 0o400, ""},
		"upper case":       {strings.ToUpper(hex.EncodeToString(key)) + "\n", 0o600, ""},
		"base64":           {base64.StdEncoding.EncodeToString(key) + "\n", 0o400, ""},
		"base64 for URLs":  {base64.RawURLEncoding.EncodeToString(key) + "\r\n", 0o400, ""},
		"group may read":   {hex.EncodeToString(key), 0o440, "chmod 400"},
		"others may read":  {hex.EncodeToString(key), 0o644, "chmod 400"},
		"empty":            {"\n", 0o400, "empty"},
		"short":            {hex.EncodeToString(key[:31]), 0o400, "32 bytes"},
		"two lines":        {hex.EncodeToString(key) + "\n" + hex.EncodeToString(key), 0o400, "32 bytes"},
		"something else":   {"correct horse battery staple", 0o400, "32 bytes"},
		"unreasonably big": {strings.Repeat("a", 5000), 0o400, "too many"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "master.key")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			got, err := seal.LoadOrCreate(path)
			if tt.want == "" {
				if err != nil || !bytes.Equal(got, key) {
					t.Errorf("got %x, %v", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want an error with %q and the path", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), strings.TrimSpace(tt.text)) && strings.TrimSpace(tt.text) != "" {
				t.Errorf("error quotes the file: %v", err)
			}
		})
	}
}

func TestCreatedKeyIsPrivateAndStays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "master.key")
	keys := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			// Who comes while the file is being written may find it empty, and says so.
			key, err := seal.LoadOrCreate(path)
			if err != nil && !strings.Contains(err.Error(), "empty") {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	wg.Wait()
	stored, err := seal.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if key != nil && !bytes.Equal(key, stored) {
			t.Error("two keys were made for one file")
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o400 {
		t.Errorf("mode %#o", info.Mode().Perm())
	}
}

func TestMissingDirectoryIsNamed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "absent", "master.key")
	if _, err := seal.LoadOrCreate(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkSeal(b *testing.B) {
	for name, c := range encrypting(b) {
		b.Run(name, func(b *testing.B) {
			token := make([]byte, 200)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Seal(place, token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for name, c := range encrypting(b) {
		b.Run(name, func(b *testing.B) {
			sealed := mustSeal(b, c, place, strings.Repeat("t", 200))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Open(place, sealed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkManyAccounts is for accounts whose subkey is not kept ready.
func BenchmarkManyAccounts(b *testing.B) {
	r := newRing(b)
	token := make([]byte, 200)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p := store.Place{Component: "wxc", Authorizer: tuoguan.AuthorizerAppID(strconv.Itoa(i % 1_000_000)), Field: "f"}
		if _, err := r.Seal(p, token); err != nil {
			b.Fatal(err)
		}
	}
}
