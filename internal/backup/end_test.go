package backup

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/tuoguan/tuoguan/store"
)

// TestTheEndIsVerified seals contents whose end does not say what they are, as only a
// mistake of ours could.
func TestTheEndIsVerified(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		before, after func(*encoder)
		wrong         bool
	}{
		"as it should be":      {},
		"another sum":          {before: func(e *encoder) { e.sum = sha256.New() }, wrong: true},
		"another number":       {before: func(e *encoder) { e.counts["a"]++ }, wrong: true},
		"a table of no record": {before: func(e *encoder) { e.counts["b"] = 1 }, wrong: true},
		"something follows":    {after: func(e *encoder) { e.out.WriteByte(itemEnd) }, wrong: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, head := make([]byte, keySize), sha256.Sum256(nil)
			f, err := newFrames(key, head)
			if err != nil {
				t.Fatal(err)
			}
			var file bytes.Buffer
			sealed := &frameWriter{to: &file, frames: f}
			compressed, err := flate.NewWriter(sealed, flate.BestSpeed)
			if err != nil {
				t.Fatal(err)
			}
			e := &encoder{out: bufio.NewWriter(compressed), sum: sha256.New(), counts: make(map[string]int64)}
			if err := e.record(store.Record{Table: "a", Columns: []string{"x"}, Values: []any{int64(1)}}); err != nil {
				t.Fatal(err)
			}
			if tt.before != nil {
				tt.before(e)
			}
			err = e.end()
			if tt.after != nil {
				tt.after(e)
			}
			if err := errors.Join(err, e.out.Flush(), compressed.Close(), sealed.Close()); err != nil {
				t.Fatal(err)
			}
			b := &Backup{file: bytes.NewReader(file.Bytes()), key: key, head: head}
			err = b.read(t.Context(), func(store.Record) bool { return true })
			if errors.Is(err, ErrDamaged) != tt.wrong || err != nil && !tt.wrong {
				t.Errorf("got %v", err)
			}
		})
	}
}
