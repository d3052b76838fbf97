package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan/store"
)

// Head is the end of the chain at some time: whoever has noted it can tell later
// whether the log up to there is still the same. The zero Head is that of an empty log.
type Head struct {
	Seq  int64
	Hash [sha256.Size]byte
}

// String returns the form that [ParseHead] reads: the number, a colon and the hash in
// hexadecimal digits.
func (h Head) String() string {
	return strconv.FormatInt(h.Seq, 10) + ":" + hex.EncodeToString(h.Hash[:])
}

// ParseHead reads a noted head.
func ParseHead(text string) (Head, error) {
	number, digits, _ := strings.Cut(strings.TrimSpace(text), ":")
	var h Head
	seq, err := strconv.ParseInt(number, 10, 64)
	hash, hashErr := hex.DecodeString(digits)
	if err != nil || hashErr != nil || seq < 1 || len(hash) != len(h.Hash) {
		return Head{}, errors.New(`audit: a head is a number from 1, ":" and 64 hexadecimal digits`)
	}
	h.Seq = seq
	copy(h.Hash[:], hash)
	return h, nil
}

// Reader is what reading the log takes of a store.
type Reader interface {
	LastAudit(ctx context.Context) (store.AuditRecord, error)
	Audit(ctx context.Context, after int64, limit int) ([]store.AuditRecord, error)
}

// ReadHead returns the end of the chain.
func ReadHead(ctx context.Context, r Reader) (Head, error) {
	last, err := r.LastAudit(ctx)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Head{}, nil
	case err != nil:
		return Head{}, fmt.Errorf("read the last record: %w", err)
	case len(last.Hash) != sha256.Size:
		return Head{}, fmt.Errorf("record %d: its hash has been altered", last.Seq)
	}
	return Head{Seq: last.Seq, Hash: [sha256.Size]byte(last.Hash)}, nil
}

// Head returns the end of the chain.
func (l *Log) Head(ctx context.Context) (Head, error) { return ReadHead(ctx, l.cfg.Store) }

// link is what will be a record once its place in the chain is known.
type link struct {
	at   time.Time
	body []byte
}

// chain returns the records that follow a head, and the head after them.
func chain(head Head, links []link) ([]store.AuditRecord, Head) {
	records := make([]store.AuditRecord, len(links))
	for i, l := range links {
		r := store.AuditRecord{Seq: head.Seq + 1, At: l.at, Body: l.body}
		head = Head{Seq: r.Seq, Hash: hashOf(head.Hash, r)}
		r.Hash = bytes.Clone(head.Hash[:])
		records[i] = r
	}
	return records, head
}

// hashOf is the hash of a record: SHA-256 over the hash before it, its number and its
// time in milliseconds since 1970, both as 8 bytes, most significant first, and its
// body. The hash before the first is zero.
func hashOf(before [sha256.Size]byte, r store.AuditRecord) [sha256.Size]byte {
	b := make([]byte, 0, len(before)+16+len(r.Body))
	b = append(b, before[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Seq))
	b = binary.BigEndian.AppendUint64(b, uint64(r.At.UnixMilli()))
	return sha256.Sum256(append(b, r.Body...))
}
