//go:build unix

package proof

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf16"

	"github.com/tuoguan/tuoguan/internal/proof/history"
)

// searched is how long a piece of a secret is looked for: long enough that no other
// text has it by accident.
const searched = 16

// needles finds pieces of many secrets in a text, in time that does not depend on how
// many there are. Every needle is cut to its first bytes, which tell it from all
// others; a rolling hash of as many bytes goes over the text.
type needles struct {
	found map[uint64][]needle // by hash
	bits  []uint64            // a first look: is there any needle with this hash?
	out   uint64              // what the byte that leaves the window counted for
}

type needle struct {
	text [searched]byte
	how  string // "as it is", "in hexadecimal" …
	kind string // of secret
}

const radix = 0x100000001b3

func newNeedles() *needles {
	n := &needles{found: make(map[uint64][]needle), bits: make([]uint64, 1<<16), out: 1}
	for range searched {
		n.out *= radix
	}
	return n
}

// add looks for a secret in all the ways in which it may have been written.
func (n *needles) add(secret string) {
	if len(secret) < searched {
		return // too short to tell from other text
	}
	// A secret's beginning may be what all of its kind have; its end is its own.
	prefix := 0
	if i := strings.LastIndex(secret, "@@@"); i >= 0 && len(secret)-i-3 >= searched {
		prefix = i + 3
	}
	kind := secret[:prefix]
	own := secret[prefix:]
	n.put(own, "as it is", kind)
	n.put(hex.EncodeToString([]byte(own)), "in hexadecimal", kind)
	n.put(strings.ToUpper(hex.EncodeToString([]byte(own))), "in hexadecimal", kind)
	// Of each alignment, what does not depend on what stands before.
	for skip := range 3 {
		if len(own) < skip+searched {
			break
		}
		encoded := base64.RawStdEncoding.EncodeToString([]byte(own[skip:]))
		n.put(encoded, "in base64", kind)
		n.put(base64.RawURLEncoding.EncodeToString([]byte(own[skip:])), "in base64", kind)
	}
	if escaped := url.QueryEscape(own); escaped != own {
		n.put(escaped, "escaped for a URL", kind)
	}
	for _, order := range []string{"little", "big"} {
		var wide []byte
		for _, u := range utf16.Encode([]rune(own)) {
			if order == "little" {
				wide = append(wide, byte(u), byte(u>>8))
			} else {
				wide = append(wide, byte(u>>8), byte(u))
			}
		}
		n.put(string(wide), "in UTF-16", kind)
	}
}

func (n *needles) put(text, how, kind string) {
	if len(text) < searched {
		return
	}
	var each needle
	copy(each.text[:], text)
	each.how, each.kind = how, kind
	var h uint64
	for _, b := range each.text {
		h = h*radix + uint64(b) + 1
	}
	n.found[h] = append(n.found[h], each)
	bit := mix(h) % uint64(len(n.bits)*64)
	n.bits[bit/64] |= 1 << (bit % 64)
}

func mix(h uint64) uint64 { return (h ^ h>>29) * 0x9e3779b97f4a7c15 >> 20 }

// in returns the first needle that is in the text.
func (n *needles) in(text io.Reader) (needle, int64, error) {
	var window [searched]byte
	var h uint64
	var size int64
	buffer := make([]byte, 1<<16)
	for {
		read, err := text.Read(buffer)
		for _, b := range buffer[:read] {
			at := size % searched
			h = h*radix + uint64(b) + 1
			if size >= searched {
				h -= n.out * (uint64(window[at]) + 1)
			}
			window[at] = b
			size++
			if size < searched {
				continue
			}
			if bit := mix(h) % uint64(len(n.bits)*64); n.bits[bit/64]&(1<<(bit%64)) == 0 {
				continue
			}
			for _, each := range n.found[h] {
				start := size % searched
				if bytes.Equal(each.text[:searched-start], window[start:]) && bytes.Equal(each.text[searched-start:], window[:start]) {
					return each, size, nil
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return needle{}, size, nil
		}
		if err != nil {
			return needle{}, size, err
		}
	}
}

// search looks for every secret of the round in every byte that the servers and their
// database have left behind.
func (s *site) search() (secrets int, size int64, err error) {
	n := newNeedles()
	all := append(s.platform.sim.Secrets(), s.apiKey)
	if s.traffic != nil {
		all = append(all, s.traffic.canary)
	}
	for _, sub := range s.subscribers {
		all = append(all, sub.secretText)
	}
	for _, secret := range all {
		n.add(secret)
	}
	places := append([]string{s.log.Name()}, s.store.scan...)
	places = append(places, s.backupFile())
	for _, r := range s.replicas {
		places = append(places, r.spillFile())
	}
	for _, place := range places {
		err := filepath.WalkDir(place, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			hit, n, err := n.in(f)
			size += n
			if hit.how != "" {
				s.record.Add(history.Event{Kind: history.Found, Note: fmt.Sprintf("%s, at byte %d, %s: a %s", path, n, hit.how, hit.kind)})
			}
			return err
		})
		if err != nil {
			return 0, 0, fmt.Errorf("search for secrets: %w", err)
		}
	}
	return len(all), size, nil
}
