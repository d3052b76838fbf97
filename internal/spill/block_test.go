package spill

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
)

// golden is an answer as it is written. A file with it may be there when a new
// version is started, so it must be read for ever.
const golden = `{"Tokens":{` +
	`"Authorization":{"Authorizer":"d3hh","Component":"d3hj"},` +
	`"Epoch":3,"Grant":2,` +
	`"ObtainedAt":"2026-01-02T03:04:05.006Z",` +
	`"Release":{"Epoch":3,"Key":"a2V5"},` +
	`"Source":"cmVmcmVzaA==",` +
	`"Tokens":{"AccessToken":"YWNjZXNz","ExpiresAt":"2026-01-02T05:04:05.006Z","RefreshToken":"cmVmcmVzaA=="},` +
	`"Used":"dXNlZA=="}}`

func goldenAnswer() keeper.Answer {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	return keeper.Answer{Tokens: &store.TokenWrite{
		Authorization: tuoguan.Authorization{Component: "wxc", Authorizer: "wxa"}, Grant: 2, Epoch: 3,
		Tokens: tuoguan.TokenSet{
			AccessToken: tuoguan.NewSecret("access"), RefreshToken: tuoguan.NewSecret("refresh"), ExpiresAt: at.Add(2 * time.Hour),
		},
		Used: tuoguan.NewSecret("used"), ObtainedAt: at, Source: store.FromRefresh, Release: store.Lease{Key: "key", Epoch: 3},
	}}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	data, err := marshal(goldenAnswer())
	if err != nil || string(data) != golden {
		t.Errorf("%s\n%v", data, err)
	}
	a, err := unmarshal([]byte(golden))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(goldenAnswer(), a, cmp.Comparer(tuoguan.Secret.Equal)); diff != "" {
		t.Error(diff)
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		``, `{}`, `[]`, `{"Tokens":{"NextToken":"cmVmcmVzaA=="}}`, `{"Tokens":{"Component":"d3hj"}}`, `{"Tickets":{}}`,
		`{"Tokens":{"Used":"not base64"}}`, `{"Tokens":{"Grant":"1"}}`, `{"Tokens":{"ObtainedAt":0}}`,
		`{"Grant":{"PermissionSets":{}}}`, `{"Grant":{"PermissionSets":["1"]}}`,
	} {
		if a, err := unmarshal([]byte(data)); err == nil {
			t.Errorf("%s gave %+v", data, a)
		}
	}
}

// TestTornAtEveryByte stops a Put of two blocks at every byte: what was there before
// is there, and what was being put is there whole or not at all.
func TestTornAtEveryByte(t *testing.T) {
	t.Parallel()
	before := make([]byte, 6*blockSize)
	copy(before, label)
	copy(before[blockSize:], part{id: 1, of: 1, content: []byte("old")}.encode())
	content := bytes.Repeat([]byte("new"), 2000)
	after := slices.Concat(append([][]byte{before[:2*blockSize]}, split(2, content)...)...)
	for _, order := range []string{"first part first", "last part first"} {
		for n := 0; n <= 2*blockSize; n++ {
			file := bytes.Clone(before)
			whole := n == 2*blockSize
			if order == "first part first" {
				copy(file, after[:2*blockSize+n])
			} else {
				at := 3 * blockSize
				copy(file[at:], after[at:at+min(n, blockSize)])
				copy(file[at-blockSize:], after[at-blockSize:at-blockSize+max(n-blockSize, 0)])
			}
			c, err := scan(bytes.NewReader(file), 6)
			if err != nil {
				t.Fatalf("%s, %d bytes: %v", order, n, err)
			}
			for id, want := range map[uint64][]byte{1: []byte("old"), 2: content} {
				got, err := join(bytes.NewReader(file), id, c.answers[id])
				if err != nil || id == 2 && !whole && c.answers[id] != nil || (id == 1 || whole) && !bytes.Equal(got, want) {
					t.Fatalf("%s, %d bytes: answer %d is %q, %v", order, n, id, got, err)
				}
			}
			if n%sectorSize == 0 && len(c.damage) > 0 {
				t.Errorf("%s, %d bytes: a torn write is taken for damage: %v", order, n, c.damage)
			}
		}
	}
}

// TestForgottenBlocksWaitForASync: until then a crash may bring back what they held.
func TestForgottenBlocksWaitForASync(t *testing.T) {
	t.Parallel()
	f := openTest(t)
	put := func() uint64 {
		id, err := f.Put(t.Context(), goldenAnswer())
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	id := put()
	blocks := f.held[id]
	if err := f.Forget(id); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(f.empty, blocks[0]) || !slices.Equal(f.forgotten, blocks) {
		t.Errorf("empty %d, forgotten %d", f.empty, f.forgotten)
	}
	put()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.empty, blocks[0]) || len(f.forgotten) != 0 {
		t.Errorf("empty %d, forgotten %d", f.empty, f.forgotten)
	}
}

// TestNoSyncOfALostFile: a sync that succeeds after one that failed means nothing.
func TestNoSyncOfALostFile(t *testing.T) {
	t.Parallel()
	f := openTest(t)
	_ = f.lose(io.ErrUnexpectedEOF)
	if err := f.sync(t.Context()); !errors.Is(err, ErrLost) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func openTest(t *testing.T) *File {
	t.Helper()
	f, err := Open(Config{Path: t.TempDir() + "/file", Size: 8 * blockSize, Cipher: noCipher{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

type noCipher struct{}

func (noCipher) Seal(_ store.Place, plaintext []byte) ([]byte, error) { return plaintext, nil }
func (noCipher) Open(_ store.Place, sealed []byte) ([]byte, error)    { return sealed, nil }
func (noCipher) Current([]byte) bool                                  { return true }

// FuzzScan looks at a file with any content.
func FuzzScan(f *testing.F) {
	whole := strings.Join([]string{
		label + strings.Repeat("\x00", blockSize-len(label)),
		string(part{id: 1, of: 1, content: []byte("one")}.encode()),
		string(split(2, make([]byte, roomSize+1))[1]), string(split(2, make([]byte, roomSize+1))[0]),
		strings.Repeat("\x00", blockSize),
	}, "")
	f.Add([]byte(whole), 0, byte(0))
	f.Add([]byte(whole[:len(whole)-3*blockSize]), blockSize+100, byte(1))
	f.Add([]byte(whole[blockSize:]), 0, byte(1))
	f.Fuzz(func(t *testing.T, content []byte, at int, change byte) {
		if at >= 0 && at < len(content) {
			content[at] ^= change
		}
		size := int64(len(content))
		blocks := (size + blockSize - 1) / blockSize
		file := io.NewSectionReader(strings.NewReader(string(content)), 0, size)
		c, err := scan(file, blocks)
		if err != nil {
			return
		}
		// Every block is in one place only, and what is said to be an answer is one.
		seen := make(map[int64]string)
		put := func(n int64, as string) {
			if n < 1 || n >= blocks || seen[n] != "" {
				t.Errorf("block %d is %s and %s", n, seen[n], as)
			}
			seen[n] = as
		}
		for _, n := range c.empty {
			put(n, "empty")
		}
		for _, n := range c.torn {
			put(n, "torn")
		}
		for id, of := range c.answers {
			for _, n := range of {
				put(n, fmt.Sprintf("answer %d", id))
			}
			joined, err := join(file, id, of)
			if err != nil || id > c.last {
				t.Errorf("answer %d: %v", id, err)
			}
			_, _, _ = cutPlace(joined)
		}
		if len(seen) < int(blocks)-1 && len(c.damage) == 0 {
			t.Errorf("%d of %d blocks are something", len(seen), blocks)
		}
	})
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(`{"Grant":{"PermissionSets":[1,2,null]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := unmarshal(data)
		if err != nil {
			return
		}
		again, err := marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := unmarshal(again)
		if diff := cmp.Diff(a, b, cmp.Comparer(tuoguan.Secret.Equal)); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}
