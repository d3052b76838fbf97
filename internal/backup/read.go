package backup

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"maps"

	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/store"
)

// Backup is a backup that has been verified from its first byte to its last. Make it
// with [Open].
type Backup struct {
	Info Info

	file io.ReadSeeker
	key  []byte
	head [sha256.Size]byte // of the header
	body int64             // where the frames begin
}

// Inspect reads what a backup says of itself, which needs no key and proves nothing.
func Inspect(r io.Reader) (Info, error) {
	h, _, err := readHeader(bufio.NewReaderSize(r, maxHeader))
	return h.Info, err
}

// Open verifies a whole backup and returns it. It keeps file, which must not change.
// Progress, if it is not nil, is called now and then with the number of records read
// so far. The errors of this package say what is wrong with the file; one that wraps
// [seal.ErrWrongKey] names both keys.
func Open(ctx context.Context, file io.ReadSeeker, kek seal.KEK, progress func(records int64)) (*Backup, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	h, line, err := readHeader(bufio.NewReaderSize(file, maxHeader))
	if err != nil {
		return nil, err
	}
	if h.KeyID != kek.ID() {
		return nil, fmt.Errorf("backup: %w: it needs key %s, the key at hand is %s", seal.ErrWrongKey, h.KeyID, kek.ID())
	}
	b := &Backup{Info: h.Info, file: file, head: sha256.Sum256(line), body: int64(len(line))}
	if b.key, err = kek.Unwrap(ctx, h.DataKey, []byte(bound)); err != nil {
		return nil, fmt.Errorf("%w: its own key does not open under master key %s: %w", ErrDamaged, h.KeyID, err)
	}
	b.Info.Records = make(map[string]int64)
	var n int64
	for record, err := range b.Records(ctx) {
		if err != nil {
			return nil, err
		}
		b.Info.Records[record.Table]++
		if n++; progress != nil && n%1000 == 0 {
			progress(n)
		}
	}
	if progress != nil {
		progress(n)
	}
	return b, nil
}

// Records yields the records in the order in which they were written. An error is
// the last that is yielded; without one the backup is whole. A record must be used
// up before the loop goes on.
func (b *Backup) Records(ctx context.Context) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		err := b.read(ctx, func(r store.Record) bool { return yield(r, nil) })
		if err != nil && !errors.Is(err, errStopped) {
			yield(store.Record{}, err)
		}
	}
}

// errStopped: the one who reads wants no more.
var errStopped = errors.New("backup: stopped")

func (b *Backup) read(ctx context.Context, yield func(store.Record) bool) error {
	if _, err := b.file.Seek(b.body, io.SeekStart); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	f, err := newFrames(b.key, b.head)
	if err != nil {
		return err
	}
	frames := bufio.NewReaderSize(&frameReader{from: bufio.NewReaderSize(b.file, 256<<10), frames: f}, 32<<10)
	content := flate.NewReader(frames) // reads byte by byte, so that it does not swallow what follows
	d := decoder{in: bufio.NewReaderSize(content, 64<<10), sum: sha256.New(), counts: make(map[string]int64)}
	for {
		more, err := d.next()
		if err != nil {
			return damaged(err)
		}
		if !more {
			break
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !yield(d.record) {
			return errStopped
		}
	}
	// Behind the end there may be nothing, neither in the content nor in the file.
	for _, rest := range []io.Reader{d.in, frames} {
		if n, err := rest.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			return damaged(errors.Join(err, errors.New("something follows its end")))
		}
	}
	return content.Close()
}

// damaged makes everything that is wrong with the content match ErrDamaged.
func damaged(err error) error {
	if errors.Is(err, ErrDamaged) {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: its end is missing", ErrDamaged)
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// readHeader returns the header and its line.
func readHeader(r *bufio.Reader) (header, []byte, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return header{}, nil, ErrNotBackup
	}
	var h header
	if err := json.Unmarshal(line, &h); err != nil || h.Format < 1 {
		return header{}, nil, ErrNotBackup
	}
	if h.Format > Format {
		return header{}, nil, fmt.Errorf("%w: it has format %d, this version knows up to %d", ErrNewerFormat, h.Format, Format)
	}
	return h, bytes.Clone(line), nil
}

// decoder reads items. What it reads is authentic, so it need not be suspicious, only sober.
type decoder struct {
	in     *bufio.Reader
	sum    hash.Hash
	record store.Record
	raw    []byte // the present item, for the sum
	counts map[string]int64
}

// next reads the next record into d.record. It returns false at the end.
func (d *decoder) next() (bool, error) {
	d.raw = d.raw[:0]
	for {
		item, err := d.byte()
		if err != nil {
			return false, err
		}
		switch item {
		case itemTable:
			err = d.table()
		case itemRecord:
			err = d.values()
			_, _ = d.sum.Write(d.raw) // never fails
			d.counts[d.record.Table]++
			return err == nil, err
		case itemEnd:
			return false, d.end()
		default:
			return false, fmt.Errorf("unknown item %q", item)
		}
		if err != nil {
			return false, err
		}
	}
}

func (d *decoder) table() error {
	name, err := d.text()
	if err != nil {
		return err
	}
	n, err := d.length(maxColumns)
	if err != nil {
		return err
	}
	d.record = store.Record{Table: string(name), Columns: make([]string, n), Values: make([]any, n)}
	for i := range d.record.Columns {
		column, err := d.text()
		if err != nil {
			return err
		}
		d.record.Columns[i] = string(column)
	}
	return nil
}

func (d *decoder) values() error {
	if d.record.Table == "" {
		return errors.New("a record of no table")
	}
	for i := range d.record.Values {
		kind, err := d.byte()
		if err != nil {
			return err
		}
		switch kind {
		case valueNull:
			d.record.Values[i] = nil
		case valueInt:
			v, err := binary.ReadVarint(byteReader{d})
			if err != nil {
				return err
			}
			d.record.Values[i] = v
		case valueText:
			v, err := d.text()
			if err != nil {
				return err
			}
			d.record.Values[i] = string(v)
		case valueBytes:
			v, err := d.text()
			if err != nil {
				return err
			}
			d.record.Values[i] = v
		default:
			return fmt.Errorf("unknown type of value %d", kind)
		}
	}
	return nil
}

func (d *decoder) end() error {
	got := hex.EncodeToString(d.sum.Sum(nil))
	raw, err := d.text()
	if err != nil {
		return err
	}
	var t trailer
	if err := json.Unmarshal(raw, &t); err != nil {
		return err
	}
	if t.SHA256 != got || !maps.Equal(t.Records, d.counts) {
		return errors.New("its content is not what its end says")
	}
	return nil
}

func (d *decoder) byte() (byte, error) {
	b, err := d.in.ReadByte()
	d.raw = append(d.raw, b)
	return b, err
}

// byteReader lets package binary read.
type byteReader struct{ d *decoder }

func (r byteReader) ReadByte() (byte, error) { return r.d.byte() }

func (d *decoder) length(most uint64) (int, error) {
	n, err := binary.ReadUvarint(byteReader{d})
	if err == nil && n > most {
		err = fmt.Errorf("a length of %d", n)
	}
	return int(n), err
}

// text returns new memory.
func (d *decoder) text() ([]byte, error) {
	n, err := d.length(maxValue)
	if err != nil {
		return nil, err
	}
	v := make([]byte, n)
	if _, err := io.ReadFull(d.in, v); err != nil {
		return nil, err
	}
	d.raw = append(d.raw, v...)
	return v, nil
}
