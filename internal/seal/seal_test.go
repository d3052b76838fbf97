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
	for name, c := range map[string]store.Cipher{"aes-gcm": newCipher(t, 1), "plain": seal.Plain{}} {
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

// TestFormatIsForEver opens what an earlier version has sealed.
func TestFormatIsForEver(t *testing.T) {
	t.Parallel()
	sealed, err := hex.DecodeString("016011b9976231f2fd76fe6c04131782ad567367edc54a1bcfeaea9c1369127277519ed258cdb5")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := newCipher(t, 7).Open(place, sealed); err != nil || string(got) != "golden" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestSealingTwiceDiffers(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	if bytes.Equal(mustSeal(t, c, place, "same"), mustSeal(t, c, place, "same")) {
		t.Error("two sealed values of one plaintext are equal")
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	sealed := mustSeal(t, c, place, "refreshtoken@@@value")
	for i := range sealed {
		for bit := range 8 {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1 << bit
			if got, err := c.Open(place, bad); !errors.Is(err, store.ErrQuarantined) || got != nil {
				t.Fatalf("byte %d bit %d: got %q, %v", i, bit, got, err)
			}
		}
	}
	for n := range sealed {
		if _, err := c.Open(place, sealed[:n]); !errors.Is(err, store.ErrQuarantined) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

func TestValueOpensOnlyInItsPlace(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	sealed := mustSeal(t, c, place, "secret")
	for name, other := range map[string]store.Place{
		"component":  {Component: "wxd", Authorizer: "wxa", Field: "refresh_token", Row: "1"},
		"authorizer": {Component: "wxc", Authorizer: "wxb", Field: "refresh_token", Row: "1"},
		"field":      {Component: "wxc", Authorizer: "wxa", Field: "access_token", Row: "1"},
		"row":        {Component: "wxc", Authorizer: "wxa", Field: "refresh_token", Row: "2"},
		"shifted":    {Component: "wxc", Authorizer: "wxa\"/\"refresh_token", Field: "1", Row: ""},
	} {
		if _, err := c.Open(other, sealed); !errors.Is(err, store.ErrQuarantined) {
			t.Errorf("%s: opened elsewhere: %v", name, err)
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
	if _, err := one.Open(place, mustSeal(t, seal.Plain{}, place, "secret")); !errors.Is(err, store.ErrQuarantined) {
		t.Errorf("unsealed value was taken for a sealed one: %v", err)
	}
}

func TestManyFamiliesConcurrently(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
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

func FuzzOpen(f *testing.F) {
	c := newCipher(f, 1)
	f.Add(mustSeal(f, c, place, "secret"))
	f.Add([]byte{})
	f.Add([]byte{1, 0, 0, 0, 0})
	genuine := mustSeal(f, c, place, "secret")
	f.Fuzz(func(t *testing.T, sealed []byte) {
		got, err := c.Open(place, sealed)
		switch {
		case err == nil && string(got) != "secret": // only the corpus' own entries can open
			t.Errorf("forged: %q", got)
		case err != nil && (got != nil || !errors.Is(err, store.ErrQuarantined)):
			t.Errorf("got %q, %v", got, err)
		}
		if bytes.Equal(sealed, genuine) && err != nil {
			t.Error(err)
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
	c := newCipher(b, 1)
	body := make([]byte, 400)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Seal(place, body); err != nil {
			b.Fatal(err)
		}
	}
}
