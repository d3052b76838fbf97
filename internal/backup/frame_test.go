package backup

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
)

// Nothing is encrypted twice in the same way: that would give the content away.
func TestEqualFramesDiffer(t *testing.T) {
	t.Parallel()
	f, err := newFrames(make([]byte, keySize), [sha256.Size]byte{})
	if err != nil {
		t.Fatal(err)
	}
	const count = 300 // so that the counter carries
	var out bytes.Buffer
	w := &frameWriter{to: &out, frames: f}
	if _, err := w.Write(make([]byte, count*frameSize)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	seen := make(map[[16]byte]bool)
	for range count {
		seen[[16]byte(out.Next(frameSize+tagSize))] = true
	}
	if len(seen) != count || out.Len() != 0 {
		t.Errorf("%d different frames of %d, and %d bytes more", len(seen), count, out.Len())
	}
}

// oneKey is a master key that wraps nothing.
type oneKey struct{}

func (oneKey) ID() string { return "one" }

func (oneKey) Wrap(_ context.Context, key, _ []byte) ([]byte, error) { return key, nil }

func (oneKey) Unwrap(_ context.Context, wrapped, _ []byte) ([]byte, error) { return wrapped, nil }

// craft returns a backup with the content given, and with what follows it when compressed.
func craft(t *testing.T, content, behind string) *bytes.Reader {
	t.Helper()
	key := make([]byte, keySize)
	line, err := json.Marshal(header{Info: Info{Format: Format, KeyID: "one"}, DataKey: key})
	if err != nil {
		t.Fatal(err)
	}
	line = append(line, '\n')
	f, err := newFrames(key, sha256.Sum256(line))
	if err != nil {
		t.Fatal(err)
	}
	out := bytes.NewBuffer(line)
	frames := &frameWriter{to: out, frames: f}
	compressed, err := flate.NewWriter(frames, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{
		func() error { _, err := compressed.Write([]byte(content)); return err },
		compressed.Close,
		func() error { _, err := frames.Write([]byte(behind)); return err },
		frames.Close,
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return bytes.NewReader(out.Bytes())
}

// end is the item that ends some content.
func end(content, records string) string {
	sum := sha256.Sum256([]byte(content))
	last := fmt.Sprintf(`{"records":{%s},"sha256":"%x"}`, records, sum)
	return "E" + string(binary.AppendUvarint(nil, uint64(len(last)))) + last
}

// A program that goes wrong may write what is authentic and yet no backup.
func TestContentThatIsNone(t *testing.T) {
	t.Parallel()
	const record = "T\x01a\x01\x01xR\x01\x02" // table a, column x, the number 1
	tests := map[string]struct {
		content, behind string
		good            bool
	}{
		"good":                        {content: record + end(record, `"a":1`), good: true},
		"good and empty":              {content: end("", ""), good: true},
		"no end":                      {content: record},
		"another number of records":   {content: record + end(record, `"a":2`)},
		"another sum":                 {content: record + end(record+"x", `"a":1`)},
		"something behind the end":    {content: record + end(record, `"a":1`) + record},
		"something behind the stream": {content: record + end(record, `"a":1`), behind: "x"},
		"a record of no table":        {content: "R" + end("R", `"":1`)},
		"an unknown item":             {content: "X" + end("X", "")},
		"an unknown type":             {content: "T\x01a\x01\x01xR\x09" + end("T\x01a\x01\x01xR\x09", `"a":1`)},
		"a text that is too long":     {content: "T\xff\xff\xff\xff\xff\xff\x01"},
		"too many columns":            {content: "T\x01a\xff\xff\x03"},
		"half a record":               {content: "T\x01a\x01\x01xR\x03\x05ab"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Open(t.Context(), craft(t, tt.content, tt.behind), oneKey{}, nil)
			if tt.good != (err == nil) || !tt.good && !errors.Is(err, ErrDamaged) {
				t.Errorf("got %v", err)
			}
		})
	}
}
