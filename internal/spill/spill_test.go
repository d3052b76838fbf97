package spill_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	mathrand "math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/spill"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
)

const (
	blockSize = 4096
	smallSize = 16 * blockSize
)

// sealing is AES-256-GCM under a key of one repeated byte, bound to the place.
type sealing byte

func (k sealing) aead() cipher.AEAD {
	block, err := aes.NewCipher(bytes.Repeat([]byte{byte(k)}, 32))
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func (k sealing) Seal(p store.Place, plaintext []byte) ([]byte, error) {
	nonce := make([]byte, 12)
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return k.aead().Seal(nonce, nonce, plaintext, []byte(p.String())), nil
}

func (k sealing) Open(p store.Place, sealed []byte) ([]byte, error) {
	if len(sealed) < 12 {
		return nil, store.ErrQuarantined
	}
	plaintext, err := k.aead().Open(nil, sealed[:12], sealed[12:], []byte(p.String()))
	if err != nil {
		return nil, store.ErrQuarantined
	}
	return plaintext, nil
}

func (sealing) Current([]byte) bool { return true }

// unsealed does not seal.
type unsealed struct{}

func (unsealed) Seal(_ store.Place, plaintext []byte) ([]byte, error) { return plaintext, nil }
func (unsealed) Open(_ store.Place, sealed []byte) ([]byte, error)    { return sealed, nil }
func (unsealed) Current([]byte) bool                                  { return true }

func newPath(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "test.spill")
}

// open opens a small file.
func open(t testing.TB, path string) *spill.File {
	t.Helper()
	return openWith(t, spill.Config{Path: path, Size: smallSize, Cipher: sealing(1)})
}

func openWith(t testing.TB, cfg spill.Config) *spill.File {
	t.Helper()
	f, err := spill.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeFile(t, f) })
	return f
}

func closeFile(t testing.TB, f *spill.File) {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func put(t testing.TB, f *spill.File, a keeper.Answer) uint64 {
	t.Helper()
	id, err := f.Put(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// found is a refresh token that was found.
func found(value string) keeper.Answer {
	return keeper.Answer{RefreshToken: &store.RefreshToken{
		Authorization: tuoguan.Authorization{Component: "wxc", Authorizer: "wxa"}, Value: tuoguan.NewSecret(value),
	}}
}

// values returns the values of what was put as found.
func values(t testing.TB, f *spill.File) []string {
	t.Helper()
	answers, err := f.Answers()
	if err != nil {
		t.Fatal(err)
	}
	return valuesOf(answers)
}

func valuesOf(answers []keeper.Spilled) []string {
	var values []string
	for _, a := range answers {
		values = append(values, a.RefreshToken.Value.Reveal())
	}
	return values
}

// compare compares secrets as well.
var compare = cmp.Comparer(tuoguan.Secret.Equal)

// fullAnswers returns an answer of every kind, with no field that is zero. Whoever
// adds a kind or a field gets it here without doing anything.
func fullAnswers(t testing.TB) []keeper.Answer {
	t.Helper()
	random := mathrand.New(mathrand.NewPCG(1, 2))
	var answers []keeper.Answer
	for i := range reflect.TypeFor[keeper.Answer]().NumField() {
		var a keeper.Answer
		fillIn(t, reflect.ValueOf(&a).Elem().Field(i), random)
		answers = append(answers, a)
	}
	return answers
}

func fillIn(t testing.TB, v reflect.Value, random *mathrand.Rand) {
	t.Helper()
	switch x := v.Addr().Interface().(type) {
	case *tuoguan.Secret:
		*x = tuoguan.NewSecret(fmt.Sprintf("canary+/=%016x\x00\xff%%?&", random.Uint64()))
		return
	case *time.Time:
		*x = time.Unix(random.Int64N(1<<32), random.Int64N(1e9)).UTC()
		return
	case **store.Intake: // is not kept
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillIn(t, v.Elem(), random)
	case reflect.Struct:
		for i := range v.NumField() {
			fillIn(t, v.Field(i), random)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("托管\xfe%x", random.Uint64()))
	case reflect.Int, reflect.Int64:
		v.SetInt(-random.Int64())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			fillIn(t, v.Index(i), random)
		}
	default:
		t.Fatalf("a %s has no fixture", v.Type())
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	want := fullAnswers(t)
	component := want[len(want)-1].ComponentToken.Component
	want = append(want,
		found(strings.Repeat("long", 10_000)), // ten blocks
		keeper.Answer{ComponentToken: &store.ComponentToken{Component: component}},
		keeper.Answer{Grant: &store.Grant{PermissionSets: []tuoguan.PermissionSet{}}},
	)
	path := newPath(t)
	f := openWith(t, spill.Config{Path: path, Size: 1 << 20, Cipher: sealing(1)})
	for _, a := range want {
		if a.Grant != nil { // who is told of it is found out anew
			announced := *a.Grant
			announced.Announce = &store.Intake{Push: store.Push{Body: []byte("{}")}}
			a.Grant = &announced
		}
		put(t, f, a)
	}
	check := func(t *testing.T, f *spill.File) {
		t.Helper()
		answers, err := f.Answers()
		if err != nil {
			t.Fatal(err)
		}
		var got []keeper.Answer
		for i, a := range answers {
			got = append(got, a.Answer)
			if i > 0 && a.ID <= answers[i-1].ID {
				t.Errorf("%d comes after %d", a.ID, answers[i-1].ID)
			}
		}
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Error(diff)
		}
		if f.Len() != len(want) || f.Damaged() != 0 || f.Err() != nil {
			t.Errorf("%d answers, %d damaged, %v", f.Len(), f.Damaged(), f.Err())
		}
	}
	check(t, f)
	closeFile(t, f)
	check(t, openWith(t, spill.Config{Path: path, Size: blockSize * 2, Cipher: sealing(1)}))
}

func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := spill.Open(spill.Config{Size: 1})
	for _, want := range []string{"Path", "Size", "Cipher"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not mention %s", err, want)
		}
	}
}

func TestPutRefuses(t *testing.T) {
	t.Parallel()
	f := open(t, newPath(t))
	if _, err := f.Put(t.Context(), keeper.Answer{}); err == nil {
		t.Error("an empty answer was taken")
	}
	if f.Len() != 0 {
		t.Errorf("%d answers", f.Len())
	}
}

func TestFullAndReuse(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	f := open(t, path)
	fill := func(round int) (ids []uint64) {
		for i := 0; ; i++ {
			id, err := f.Put(t.Context(), found(fmt.Sprintf("%d/%d", round, i)))
			if errors.Is(err, spill.ErrFull) {
				return ids
			}
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
	}
	const room = smallSize/blockSize - 1
	for round := range 5 {
		ids := fill(round)
		if len(ids) != room || f.Len() != room {
			t.Fatalf("round %d: room for %d, %d are there", round, len(ids), f.Len())
		}
		if _, err := f.Put(t.Context(), found(strings.Repeat("x", 2*blockSize))); !errors.Is(err, spill.ErrFull) {
			t.Errorf("round %d: %v", round, err)
		}
		for _, id := range slices.Concat(ids, ids) { // a second time is nothing
			if err := f.Forget(id); err != nil {
				t.Fatal(err)
			}
		}
		if f.Len() != 0 {
			t.Errorf("round %d: %d are left", round, f.Len())
		}
	}
	put(t, f, found(strings.Repeat("x", (room-4)*blockSize))) // sealed, it needs a few more
	closeFile(t, f)
	info, err := os.Stat(path)
	if err != nil || info.Size() != smallSize || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v %v", info.Size(), info.Mode(), err)
	}
	if got := values(t, open(t, path)); len(got) != 1 || len(got[0]) != (room-4)*blockSize {
		t.Errorf("%d answers", len(got))
	}
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	f := openWith(t, spill.Config{Path: path, Size: 1 << 20, Cipher: sealing(1)})
	const callers, rounds = 64, 8
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for round := range rounds {
				id, err := f.Put(t.Context(), found(fmt.Sprintf("%d/%d", caller, round)))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := f.Answers(); err != nil {
					t.Error(err)
				}
				if round == rounds-1 {
					return
				}
				if err := f.Forget(id); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	closeFile(t, f)
	got := values(t, open(t, path))
	var want []string
	for caller := range callers {
		want = append(want, fmt.Sprintf("%d/%d", caller, rounds-1))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestCloseWaits closes while calls are under way.
func TestCloseWaits(t *testing.T) {
	t.Parallel()
	for range 20 {
		path := newPath(t)
		f := openWith(t, spill.Config{Path: path, Size: 1 << 20, Cipher: sealing(1)})
		var mu sync.Mutex
		var want []string
		var wg sync.WaitGroup
		for caller := range 16 {
			wg.Go(func() {
				for i := 0; ; i++ {
					value := fmt.Sprintf("%d/%d", caller, i)
					_, err := f.Put(t.Context(), found(value))
					if errors.Is(err, spill.ErrClosed) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					want = append(want, value)
					enough := len(want) == 30
					mu.Unlock()
					if enough {
						closeFile(t, f)
					}
				}
			})
		}
		wg.Wait()
		if _, err := f.Answers(); !errors.Is(err, spill.ErrClosed) {
			t.Error(err)
		}
		if err := f.Forget(1); !errors.Is(err, spill.ErrClosed) {
			t.Error(err)
		}
		got := values(t, open(t, path))
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// TestCancelled gives up waiting. What was put then may be there, and can be forgotten.
func TestCancelled(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	f := open(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cancelled := 0
	for range 100 {
		id, err := f.Put(ctx, found("value"))
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			cancelled++
		}
		if id == 0 {
			continue // all blocks wait for a sync
		}
		if err := f.Forget(id); err != nil {
			t.Fatal(err)
		}
	}
	if cancelled == 0 {
		t.Error("nothing was cancelled")
	}
	put(t, f, found("last"))
	closeFile(t, f)
	if diff := cmp.Diff([]string{"last"}, values(t, open(t, path))); diff != "" {
		t.Error(diff)
	}
}

func TestOneProcess(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	f := open(t, path)
	cfg := spill.Config{Path: path, Cipher: sealing(1)}
	if _, err := spill.Open(cfg); !errors.Is(err, spill.ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	closeFile(t, f)
	closeFile(t, openWith(t, cfg))
}

func TestGrows(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	f := open(t, path)
	put(t, f, found("old"))
	closeFile(t, f)
	f = openWith(t, spill.Config{Path: path, Size: 2*smallSize + 1, Cipher: sealing(1)})
	for range 2*smallSize/blockSize - 2 {
		put(t, f, found("new"))
	}
	if _, err := f.Put(t.Context(), found("new")); !errors.Is(err, spill.ErrFull) {
		t.Error(err)
	}
	if got := values(t, f); got[0] != "old" {
		t.Errorf("%q", got)
	}
}

// TestForeign must not write to what is not a spill file.
func TestForeign(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"a database":     "SQLite format 3\x00" + strings.Repeat("\x00page", 3000),
		"a short text":   "hello",
		"a newer format": "Tuoguan spill file, format 2.\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := spill.Open(spill.Config{Path: path, Cipher: sealing(1)}); !errors.Is(err, spill.ErrForeign) {
				t.Error(err)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != content {
				t.Errorf("it was changed: %v", err)
			}
		})
	}
	t.Run("a symbolic link", func(t *testing.T) {
		t.Parallel()
		path := newPath(t)
		if err := os.Symlink(path+".target", path); err != nil {
			t.Fatal(err)
		}
		if _, err := spill.Open(spill.Config{Path: path, Cipher: sealing(1)}); err == nil {
			t.Error("it was followed")
		}
	})
}

// TestUnfinishedCreation opens what a crash during creation leaves.
func TestUnfinishedCreation(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	closeFile(t, open(t, path))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	label := len(bytes.TrimRight(whole, "\x00"))
	for name, content := range map[string][]byte{
		"nothing":          nil,
		"some zeros":       make([]byte, 5000),
		"all zeros":        make([]byte, smallSize),
		"half the label":   append(bytes.Clone(whole[:label/2]), make([]byte, smallSize-label/2)...),
		"label, no blocks": whole[:label],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			f := open(t, path)
			for range smallSize/blockSize - 1 {
				put(t, f, found("value"))
			}
			if f.Damaged() != 0 {
				t.Errorf("%d damaged", f.Damaged())
			}
		})
	}
}

// TestTornWrite stops a Put of two blocks after some bytes, at every border of sectors
// among others, and after random sets of sectors. (TestTornAtEveryByte goes through all
// bytes, without a disk.)
func TestTornWrite(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	f := open(t, path)
	put(t, f, found("old 1"))
	put(t, f, found("old 2"))
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, f, found(strings.Repeat("new", 1000)))
	closeFile(t, f)
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var changed []int
	for i := range before {
		if before[i] != after[i] {
			changed = append(changed, i)
		}
	}
	first, last := changed[0]/blockSize*blockSize, (changed[len(changed)-1]/blockSize+1)*blockSize
	if last-first != 2*blockSize || !bytes.Equal(before[first:last], make([]byte, 2*blockSize)) {
		t.Fatalf("bytes %d to %d were changed", first, last)
	}
	crashed := newPath(t)
	// check returns how many pieces of damage are reported.
	check := func(t *testing.T, name string, content []byte, whole bool) int {
		t.Helper()
		if err := os.WriteFile(crashed, content, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := spill.Open(spill.Config{Path: crashed, Size: smallSize, Cipher: sealing(1)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer closeFile(t, f)
		answers, err := f.Answers()
		if (err != nil) != (f.Damaged() > 0) || err != nil && !errors.Is(err, spill.ErrDamaged) {
			t.Errorf("%s: %d damaged, %v", name, f.Damaged(), err)
		}
		want := []string{"old 1", "old 2"}
		if whole {
			want = append(want, strings.Repeat("new", 1000))
		}
		if diff := cmp.Diff(want, valuesOf(answers)); diff != "" {
			t.Fatalf("%s: %s", name, diff)
		}
		room := 0
		for ; err == nil; room++ {
			_, err = f.Put(t.Context(), found("after"))
		}
		if f.Damaged() == 0 && f.Len() != smallSize/blockSize-1 && !whole {
			t.Errorf("%s: room is missing", name)
		}
		return f.Damaged()
	}
	for n := 0; n <= 2*blockSize; n++ {
		if n%128 > 1 && n%128 < 127 {
			continue
		}
		content := slices.Concat(before[:first], after[first:first+n], before[first+n:])
		damaged := check(t, fmt.Sprintf("%d bytes", n), content, n == 2*blockSize)
		if damaged > 0 && n%512 == 0 {
			t.Errorf("%d bytes: a torn write is taken for damage", n)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := mathrand.New(mathrand.NewPCG(seed, 0))
	for range 200 {
		content := bytes.Clone(before)
		whole := true
		sectors := ""
		for at := first; at < last; at += 512 {
			if random.IntN(4) == 0 {
				whole = false
				sectors += "0"
				continue
			}
			sectors += "1"
			copy(content[at:], after[at:at+512])
		}
		if damaged := check(t, sectors, content, whole); damaged > 0 {
			t.Errorf("sectors %s: a torn write is taken for damage", sectors)
		}
	}
	for n := first; n < len(after); n += blockSize / 3 { // the file is cut off
		check(t, fmt.Sprintf("cut off at %d", n), after[:n], n >= last)
	}
}

// TestDamage changes a byte of one answer out of three.
func TestDamage(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	f := open(t, path)
	for _, value := range []string{"one", strings.Repeat("two", 2000), "three"} {
		put(t, f, found(value))
	}
	closeFile(t, f)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const at = 2 * blockSize // behind the label and the first answer
	for name, offset := range map[string]int{
		"magic": 0, "number": 15, "part": 17, "parts": 19, "length": 23, "checksum": 24, "content": 100, "padding": blockSize - 1,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := bytes.Clone(whole)
			content[at+offset] ^= 0x10
			path := newPath(t)
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // it stays
				var log bytes.Buffer
				f := openWith(t, spill.Config{Path: path, Size: smallSize, Cipher: sealing(1), Logger: slog.New(slog.NewTextHandler(&log, nil))})
				answers, err := f.Answers()
				if !errors.Is(err, spill.ErrDamaged) || f.Damaged() == 0 || !strings.Contains(log.String(), "level=ERROR") {
					t.Errorf("%d damaged, %v, log:\n%s", f.Damaged(), err, &log)
				}
				if diff := cmp.Diff([]string{"one", "three"}, valuesOf(answers)); diff != "" {
					t.Error(diff)
				}
				var more []uint64
				for {
					id, err := f.Put(t.Context(), found("more"))
					if err != nil {
						break
					}
					more = append(more, id)
				}
				for _, id := range more {
					if err := f.Forget(id); err != nil {
						t.Error(err)
					}
				}
				closeFile(t, f)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(after[at:at+2*blockSize], content[at:at+2*blockSize]) {
				t.Error("the damaged answer was written over")
			}
		})
	}
	t.Run("label", func(t *testing.T) {
		t.Parallel()
		content := bytes.Clone(whole)
		content[3] ^= 0x10
		path := newPath(t)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		for damaged := 1; damaged >= 0; damaged-- {
			f := open(t, path)
			if f.Damaged() != damaged || f.Len() != 3 {
				t.Errorf("%d damaged, %d answers", f.Damaged(), f.Len())
			}
			closeFile(t, f)
		}
	})
	t.Run("two parts of one answer exchanged for another's", func(t *testing.T) {
		t.Parallel()
		content := bytes.Clone(whole)
		copy(content[at:], whole[at+blockSize:at+2*blockSize])
		path := newPath(t)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		f := open(t, path)
		if _, err := f.Answers(); !errors.Is(err, spill.ErrDamaged) {
			t.Error(err)
		}
	})
}

// TestWrongKey leaves alone what it cannot open: the right key may come back.
func TestWrongKey(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	f := open(t, path)
	put(t, f, found("value"))
	closeFile(t, f)
	f = openWith(t, spill.Config{Path: path, Size: smallSize, Cipher: sealing(2)})
	answers, err := f.Answers()
	if len(answers) != 0 || !errors.Is(err, spill.ErrDamaged) || !errors.Is(err, store.ErrQuarantined) || f.Damaged() != 1 {
		t.Errorf("%d answers, %d damaged, %v", len(answers), f.Damaged(), err)
	}
	put(t, f, found("other"))
	closeFile(t, f)
	f = open(t, path)
	answers, err = f.Answers()
	if diff := cmp.Diff([]string{"value"}, valuesOf(answers)); diff != "" || !errors.Is(err, spill.ErrDamaged) {
		t.Error(diff, err)
	}
}

// TestMoved gives an answer another number, with a checksum that is right: it does
// not open there.
func TestMoved(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	f := open(t, path)
	put(t, f, found("value"))
	closeFile(t, f)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block := content[blockSize : 2*blockSize]
	block[15] = 9
	sum := crc32.Checksum(slices.Concat(block[:24], block[28:]), crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(block[24:], sum)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if answers, err := open(t, path).Answers(); len(answers) != 0 || !errors.Is(err, store.ErrQuarantined) {
		t.Errorf("%d answers, %v", len(answers), err)
	}
}

// TestNoSecretInFile looks for the secrets in the file, in many spellings, and makes
// sure that it would find them.
func TestNoSecretInFile(t *testing.T) {
	t.Parallel()
	var secrets []string
	answers := fullAnswers(t)
	for _, a := range answers {
		secrets = append(secrets, secretsOf(reflect.ValueOf(a))...)
	}
	if len(secrets) < 7 {
		t.Fatalf("only %d secrets", len(secrets))
	}
	for _, tt := range []struct {
		name   string
		cipher store.Cipher
		found  bool
	}{{"sealed", sealing(1), false}, {"not sealed", unsealed{}, true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			f := openWith(t, spill.Config{Path: path, Size: smallSize, Cipher: tt.cipher})
			for _, a := range answers {
				if err := f.Forget(put(t, f, a)); err != nil {
					t.Fatal(err)
				}
				put(t, f, a)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range secrets {
				found := false
				for _, spelling := range spellings(secret) {
					found = found || bytes.Contains(content, []byte(spelling))
				}
				if found != tt.found {
					t.Errorf("found %v: %q", found, secret)
				}
			}
		})
	}
}

func secretsOf(v reflect.Value) (secrets []string) {
	if s, ok := v.Interface().(tuoguan.Secret); ok {
		return []string{s.Reveal()}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return secretsOf(v.Elem())
		}
	case reflect.Struct:
		if _, ok := v.Interface().(time.Time); ok {
			return nil
		}
		for i := range v.NumField() {
			secrets = append(secrets, secretsOf(v.Field(i))...)
		}
	}
	return secrets
}

// spellings returns ways to write s. Inside of a longer text base64 looks different
// by where s begins; what is certain is what the middle of it looks like.
func spellings(s string) []string {
	var little, big []byte
	for _, u := range utf16.Encode([]rune(s)) {
		little = append(little, byte(u), byte(u>>8))
		big = append(big, byte(u>>8), byte(u))
	}
	all := []string{
		s, hex.EncodeToString([]byte(s)), strings.ToUpper(hex.EncodeToString([]byte(s))),
		url.QueryEscape(s), url.PathEscape(s), string(little), string(big),
	}
	for shift := range 3 {
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			text := encoding.EncodeToString([]byte(strings.Repeat("x", shift) + s))
			all = append(all, text[4:len(text)-4])
		}
	}
	return all
}
