package backup

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

const (
	frameSize = 64 << 10 // of the content of all frames but the last
	tagSize   = 16
	keySize   = 32
)

// frames seals or opens the frames of one backup, in their order.
type frames struct {
	aead  cipher.AEAD
	head  [sha256.Size]byte // of the header; the associated data
	nonce [12]byte
}

func newFrames(key []byte, head [sha256.Size]byte) (*frames, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return &frames{aead: aead, head: head}, nil
}

// step counts a frame.
func (f *frames) step() {
	for i := len(f.nonce) - 2; i >= 0; i-- {
		f.nonce[i]++
		if f.nonce[i] != 0 {
			return
		}
	}
}

func (f *frames) seal(content []byte, last bool) []byte {
	if last {
		f.nonce[len(f.nonce)-1] = 1
	}
	sealed := f.aead.Seal(nil, f.nonce[:], content, f.head[:])
	f.step()
	return sealed
}

func (f *frames) open(sealed []byte, last bool) ([]byte, error) {
	if last {
		f.nonce[len(f.nonce)-1] = 1
	}
	content, err := f.aead.Open(sealed[:0], f.nonce[:], sealed, f.head[:])
	f.step()
	return content, err
}

// frameWriter seals what is written to it. Close writes the last frame.
type frameWriter struct {
	to     io.Writer
	frames *frames
	rest   []byte
}

func (w *frameWriter) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		// A full frame waits until it is known not to be the last.
		if len(w.rest) == frameSize {
			if _, err := w.to.Write(w.frames.seal(w.rest, false)); err != nil {
				return 0, err
			}
			w.rest = w.rest[:0]
		}
		n := min(frameSize-len(w.rest), len(p))
		w.rest = append(w.rest, p[:n]...)
		p = p[n:]
	}
	return written, nil
}

func (w *frameWriter) Close() error {
	_, err := w.to.Write(w.frames.seal(w.rest, true))
	return err
}

// frameReader returns the content of the frames. It reaches io.EOF only behind the
// last frame, if nothing follows.
type frameReader struct {
	from   *bufio.Reader
	frames *frames
	sealed []byte
	rest   []byte
	done   bool
}

func (r *frameReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.done {
			return 0, io.EOF
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *frameReader) next() error {
	if r.sealed == nil {
		r.sealed = make([]byte, frameSize+tagSize)
	}
	n, err := io.ReadFull(r.from, r.sealed)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		r.done = true
	case err != nil:
		return fmt.Errorf("backup: %w", err)
	default:
		// A full frame is the last if nothing follows.
		if _, err := r.from.Peek(1); errors.Is(err, io.EOF) {
			r.done = true
		} else if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
	}
	if r.rest, err = r.frames.open(r.sealed[:n], r.done); err != nil {
		return fmt.Errorf("%w: a part of it was altered, or its end is missing", ErrDamaged)
	}
	return nil
}
