package backup_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan/internal/backup"
	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/store"
)

var update = flag.Bool("update", false, "write the golden backup anew")

// masterKey is a master key for tests: its byte, 32 times.
type masterKey byte

func (k masterKey) ID() string { return fmt.Sprintf("key-%d", byte(k)) }

func (k masterKey) aead() cipher.AEAD {
	block, err := aes.NewCipher(bytes.Repeat([]byte{byte(k)}, 32))
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func (k masterKey) Wrap(_ context.Context, key, bound []byte) ([]byte, error) {
	return k.aead().Seal(nil, nil, key, bound), nil
}

func (k masterKey) Unwrap(_ context.Context, wrapped, bound []byte) ([]byte, error) {
	return k.aead().Open(nil, nil, wrapped, bound)
}

var info = backup.Info{MadeAt: time.Date(2026, 11, 2, 3, 4, 5, 6, time.UTC), Engine: "sqlite", Version: "v1", Installation: "abc"}

// sample has every type of value, its extremes, and two tables in turn.
func sample() []store.Record {
	a, b := []string{"id", "name", "sealed"}, []string{"x"}
	return []store.Record{
		{Table: "a", Columns: a, Values: []any{int64(0), "", []byte{}}},
		{Table: "a", Columns: a, Values: []any{int64(math.MinInt64), "微信\x00", []byte{0, 255}}},
		{Table: "b", Columns: b, Values: []any{nil}},
		{Table: "a", Columns: a, Values: []any{int64(math.MaxInt64), "x", nil}},
		{Table: "empty", Columns: []string{}, Values: []any{}},
	}
}

// bulk has about so many bytes that do not compress.
func bulk(size int) []store.Record {
	random := rand.NewChaCha8([32]byte{1})
	var records []store.Record
	for ; size > 0; size -= 1000 {
		value := make([]byte, min(size, 1000))
		_, _ = random.Read(value)
		records = append(records, store.Record{Table: "bulk", Columns: []string{"v"}, Values: []any{value}})
	}
	return records
}

func each(records []store.Record) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func write(t testing.TB, records []store.Record) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := backup.Write(t.Context(), &out, masterKey(1), info, each(records), nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func read(t testing.TB, file []byte) (*backup.Backup, []store.Record, error) {
	t.Helper()
	b, err := backup.Open(t.Context(), bytes.NewReader(file), masterKey(1), nil)
	if err != nil {
		return nil, nil, err
	}
	var records []store.Record
	for r, err := range b.Records(t.Context()) {
		if err != nil {
			return nil, nil, err
		}
		r.Columns, r.Values = append([]string{}, r.Columns...), append([]any{}, r.Values...)
		records = append(records, r)
	}
	return b, records, nil
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, records := range map[string][]store.Record{
		"nothing": nil, "every type": sample(), "one frame": bulk(60 << 10), "many frames": bulk(300 << 10),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, got, err := read(t, write(t, records))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(records, got) { // cmp.Diff would take seconds
				t.Errorf("%d records come back as other ones", len(records))
			}
			want := info
			want.Format, want.KeyID, want.MadeAt, want.Records = backup.Format, "key-1", info.MadeAt.Truncate(time.Second), make(map[string]int64)
			for _, r := range records {
				want.Records[r.Table]++
			}
			if diff := cmp.Diff(want, b.Info); diff != "" {
				t.Error(diff)
			}
			if b.Info.Total() != int64(len(records)) {
				t.Errorf("%d records in all, want %d", b.Info.Total(), len(records))
			}
		})
	}
}

// Whatever the length of the content, also where it fills its last frame.
func TestLengthsAroundAFrame(t *testing.T) {
	t.Parallel()
	body := func(file []byte) int { return len(file) - bytes.IndexByte(file, '\n') - 1 }
	const full = 64<<10 + 16
	size := 64<<10 - 1000
	for range 10 { // what does not compress grows with its length, more or less
		size += full - body(write(t, bulk(size)))
	}
	for around := size - 5; around <= size+5; around++ {
		file := write(t, bulk(around))
		if around == size && body(file) != full {
			t.Fatalf("%d bytes of frames, want exactly one: the test misses what it is about", body(file))
		}
		if _, got, err := read(t, file); err != nil || len(got) != (around+999)/1000 {
			t.Fatalf("%d bytes: %d records, %v", around, len(got), err)
		}
	}
}

// TestFormatIsForEver reads what an earlier version has written.
func TestFormatIsForEver(t *testing.T) {
	t.Parallel()
	golden := filepath.Join("testdata", "format1.backup")
	if *update {
		if err := os.WriteFile(golden, write(t, sample()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	_, got, err := read(t, file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryAlterationIsNoticed(t *testing.T) {
	t.Parallel()
	file := write(t, sample())
	refused := func(t *testing.T, what string, bad []byte) {
		t.Helper()
		_, _, err := read(t, bad)
		known := false
		for _, sentinel := range []error{backup.ErrNotBackup, backup.ErrDamaged, backup.ErrNewerFormat, seal.ErrWrongKey} {
			known = known || errors.Is(err, sentinel)
		}
		if !known {
			t.Errorf("%s: got %v", what, err)
		}
	}
	for i := range file {
		bad := bytes.Clone(file)
		bad[i] ^= 1 << (i % 8)
		refused(t, fmt.Sprintf("byte %d bit %d", i, i%8), bad)
	}
	for n := range file {
		refused(t, fmt.Sprintf("cut to %d bytes", n), file[:n])
	}
	refused(t, "something appended", append(bytes.Clone(file), 0))
	refused(t, "appended to itself", append(bytes.Clone(file), file...))

	const frame = 64<<10 + 16
	long := write(t, bulk(300<<10))
	at := bytes.IndexByte(long, '\n') + 1
	cut := func(from, to int) []byte { return long[at+from*frame : at+to*frame] }
	head, rest := long[:at], long[at+3*frame:]
	refused(t, "two frames exchanged", bytes.Join([][]byte{head, cut(1, 2), cut(0, 1), cut(2, 3), rest}, nil))
	refused(t, "a frame left out", bytes.Join([][]byte{head, cut(0, 1), cut(2, 3), rest}, nil))
	refused(t, "a frame twice", bytes.Join([][]byte{head, cut(0, 1), cut(0, 3), rest}, nil))
	for frames := range 5 {
		refused(t, fmt.Sprintf("ends after %d frames", frames), long[:at+frames*frame])
	}
	other := write(t, bulk(300<<10))
	refused(t, "frames of another backup", append(bytes.Clone(head), other[bytes.IndexByte(other, '\n')+1:]...))
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	file := write(t, sample())
	_, err := backup.Open(t.Context(), bytes.NewReader(file), masterKey(2), nil)
	if !errors.Is(err, seal.ErrWrongKey) || !strings.Contains(err.Error(), "key-1") || !strings.Contains(err.Error(), "key-2") {
		t.Errorf("another key: %v", err)
	}
	newer := bytes.Replace(file, []byte(`"tuoguan_backup":1`), []byte(`"tuoguan_backup":2`), 1)
	if _, _, err := read(t, newer); !errors.Is(err, backup.ErrNewerFormat) {
		t.Errorf("newer format: %v", err)
	}
	for name, text := range map[string]string{"empty": "", "a database": "SQLite format 3\x00", "JSON": "{}\n", "one long line": strings.Repeat("x", 1<<20)} {
		if _, _, err := read(t, []byte(text)); !errors.Is(err, backup.ErrNotBackup) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := backup.Inspect(bytes.NewReader(file)); err != nil || got.KeyID != "key-1" || got.Engine != "sqlite" {
		t.Errorf("without a key: %+v, %v", got, err)
	}
}

func TestFailuresWhileWriting(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	failing := func(yield func(store.Record, error) bool) {
		_ = yield(sample()[0], nil) && yield(store.Record{}, broken)
	}
	if _, err := backup.Write(t.Context(), &bytes.Buffer{}, masterKey(1), info, failing, nil); !errors.Is(err, broken) {
		t.Errorf("the store fails: %v", err)
	}
	if _, err := backup.Write(t.Context(), failingWriter{broken}, masterKey(1), info, each(bulk(1<<20)), nil); !errors.Is(err, broken) {
		t.Errorf("the disk fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := backup.Write(ctx, &bytes.Buffer{}, masterKey(1), info, each(sample()), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	odd := store.Record{Table: "a", Columns: []string{"x"}, Values: []any{1.5}}
	if _, err := backup.Write(t.Context(), &bytes.Buffer{}, masterKey(1), info, each([]store.Record{odd}), nil); err == nil {
		t.Error("a value of an unknown type was written")
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// The file shows how much there is and when it was made, but nothing of the content.
func TestNothingOfTheContentIsSeen(t *testing.T) {
	t.Parallel()
	const canary = "canary-of-a-merchant"
	file := write(t, []store.Record{{Table: "authorizers", Columns: []string{"nick_name"}, Values: []any{canary}}})
	line, frames, _ := bytes.Cut(file, []byte("\n"))
	if bytes.Contains(file, []byte(canary)) || bytes.Contains(frames, []byte("authorizers")) {
		t.Error("the content is readable")
	}
	if _, again, _ := bytes.Cut(write(t, []store.Record{{Table: "authorizers", Columns: []string{"nick_name"}, Values: []any{canary}}}), []byte("\n")); bytes.Equal(frames[:len(frames)-16], again[:len(again)-16]) { // without the tags
		t.Error("two backups are encrypted in the same way")
	}
	var header map[string]any
	if err := json.Unmarshal(line, &header); err != nil {
		t.Fatal(err)
	}
	for key := range header {
		switch key {
		case "tuoguan_backup", "made_at", "engine", "version", "installation", "key_id", "data_key":
		default:
			t.Errorf("the header has %q", key)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(write(f, sample()))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		b, err := backup.Open(t.Context(), bytes.NewReader(file), masterKey(1), nil)
		if (b == nil) == (err == nil) {
			t.Fatalf("got %v and %v", b, err)
		}
	})
}
