package backup

import (
	"bufio"
	"compress/flate"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/store"
)

// Write writes a backup of the records to w. Of info, Format, KeyID and Records are
// set by Write; the result has them. Progress, if it is not nil, is called now and
// then with the number of records written so far.
//
// What is written before an error is no backup. Flushing and syncing w is the caller's.
func Write(ctx context.Context, w io.Writer, kek seal.KEK, info Info, records iter.Seq2[store.Record, error], progress func(records int64)) (Info, error) {
	dataKey := make([]byte, keySize)
	_, _ = rand.Read(dataKey) // never fails
	wrapped, err := kek.Wrap(ctx, dataKey, []byte(bound))
	if err != nil {
		return Info{}, fmt.Errorf("backup: wrap its key: %w", err)
	}
	info.Format, info.KeyID, info.Records = Format, kek.ID(), make(map[string]int64)
	info.MadeAt = info.MadeAt.UTC().Truncate(time.Second)
	first, err := json.Marshal(header{Info: info, DataKey: wrapped})
	if err != nil {
		return Info{}, fmt.Errorf("backup: %w", err)
	}
	first = append(first, '\n')
	if _, err := w.Write(first); err != nil {
		return Info{}, fmt.Errorf("backup: %w", err)
	}
	f, err := newFrames(dataKey, sha256.Sum256(first))
	clear(dataKey)
	if err != nil {
		return Info{}, err
	}
	sealed := &frameWriter{to: w, frames: f}
	compressed, err := flate.NewWriter(sealed, flate.BestSpeed)
	if err != nil {
		return Info{}, fmt.Errorf("backup: %w", err)
	}
	e := encoder{out: bufio.NewWriterSize(compressed, 32<<10), sum: sha256.New(), counts: info.Records}
	for record, err := range records {
		if err == nil {
			err = e.record(record)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return Info{}, fmt.Errorf("backup: %w", err)
		}
		if e.total++; progress != nil && e.total%1000 == 0 {
			progress(e.total)
		}
	}
	if err := e.end(); err != nil {
		return Info{}, fmt.Errorf("backup: %w", err)
	}
	for _, finish := range []func() error{e.out.Flush, compressed.Close, sealed.Close} {
		if err := finish(); err != nil {
			return Info{}, fmt.Errorf("backup: %w", err)
		}
	}
	if progress != nil {
		progress(e.total)
	}
	return info, nil
}

// encoder writes items.
type encoder struct {
	out     *bufio.Writer
	sum     hash.Hash
	item    []byte
	table   string
	columns []string
	counts  map[string]int64
	total   int64
}

func (e *encoder) record(r store.Record) error {
	if len(r.Values) != len(r.Columns) {
		return fmt.Errorf("a record of %s has %d values in %d columns", r.Table, len(r.Values), len(r.Columns))
	}
	e.item = e.item[:0]
	if r.Table != e.table || !slices.Equal(r.Columns, e.columns) {
		e.table, e.columns = r.Table, slices.Clone(r.Columns)
		e.item = append(e.item, itemTable)
		e.text(r.Table)
		e.item = binary.AppendUvarint(e.item, uint64(len(r.Columns)))
		for _, column := range r.Columns {
			e.text(column)
		}
	}
	e.item = append(e.item, itemRecord)
	for i, value := range r.Values {
		switch v := value.(type) {
		case nil:
			e.item = append(e.item, valueNull)
		case int64:
			e.item = binary.AppendVarint(append(e.item, valueInt), v)
		case string:
			e.item = append(e.item, valueText)
			e.text(v)
		case []byte:
			e.item = append(e.item, valueBytes)
			e.item = binary.AppendUvarint(e.item, uint64(len(v)))
			e.item = append(e.item, v...)
		default:
			return fmt.Errorf("column %s of %s has a value of type %T", r.Columns[i], r.Table, value)
		}
	}
	e.counts[r.Table]++
	_, _ = e.sum.Write(e.item) // never fails
	_, err := e.out.Write(e.item)
	return err
}

func (e *encoder) text(s string) {
	e.item = binary.AppendUvarint(e.item, uint64(len(s)))
	e.item = append(e.item, s...)
}

func (e *encoder) end() error {
	last, err := json.Marshal(trailer{Records: e.counts, SHA256: hex.EncodeToString(e.sum.Sum(nil))})
	if err != nil {
		return err
	}
	e.item = append(e.item[:0], itemEnd)
	e.text(string(last))
	_, err = e.out.Write(e.item)
	return err
}
