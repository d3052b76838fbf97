package gateway

import (
	"io"
	"net/url"
	"testing"
	"testing/synctest"
	"time"
)

func TestOrderOfHosts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hosts{bases: []*url.URL{{Host: "a"}, {Host: "b"}, {Host: "c"}}}
		order := func() string {
			text, first := "", h.first()
			for i := range h.bases {
				text += h.bases[h.nth(first, i)].Host
			}
			return text
		}
		step := func(want string) {
			t.Helper()
			if got := order(); got != want {
				t.Errorf("order %s, want %s", got, want)
			}
		}
		step("abc")
		h.answered(2)
		step("cab")
		time.Sleep(preferFor)
		step("abc") // one request looks whether a is well
		step("cab") // the others do not
		h.answered(0)
		step("abc")
		h.answered(1)
		step("bac")
	})
}

func TestMaskAcrossReads(t *testing.T) {
	t.Parallel()
	m := newMask("token@1")
	for size := 16; size < 40; size++ {
		var out writer
		n, err := m.copy(&out, &chunks{text: "0123456token@1789token%401-token@token@1", size: 3}, make([]byte, size), 0, func() {})
		if err != nil || n != 40 || string(out) != "0123456*******789*********-token@*******" {
			t.Errorf("buffer of %d: %q, %d, %v", size, out, n, err)
		}
	}
}

type writer []byte

func (w *writer) Write(p []byte) (int, error) { *w = append(*w, p...); return len(p), nil }

// chunks yields a text in pieces.
type chunks struct {
	text string
	size int
}

func (c *chunks) Read(p []byte) (int, error) {
	if c.text == "" {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.size)], c.text)
	c.text = c.text[n:]
	return n, nil
}
