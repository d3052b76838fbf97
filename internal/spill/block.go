package spill

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

const (
	blockSize  = 4096
	sectorSize = 512 // the least that a disk writes at once
	headerSize = 32
	roomSize   = blockSize - headerSize
)

// A block begins with a header, big endian:
//
//	 0  8  magic
//	 8  8  number of the answer, from 1
//	16  2  which part of it, from 0
//	18  2  of how many
//	20  4  length of the content, which follows the header
//	24  4  CRC-32C of the whole block, taken with zero here
//	28  4  zero
//
// The rest of the block is filled up with ones, so that no sector of it is zero.
const magic = "tuospill"

// label begins the first block.
const (
	labelStart  = "Tuoguan spill file, format "
	labelFormat = 1
	label       = labelStart + "1.\n" +
		"It holds sealed answers of WeChat that have not reached the database. Do not\n" +
		"delete it: it may be the only place where a merchant's refresh token is.\n"
)

// part is what one block holds.
type part struct {
	id        uint64
	index, of uint16
	content   []byte
}

func (p part) encode() []byte {
	b := make([]byte, 0, blockSize)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint64(b, p.id)
	b = binary.BigEndian.AppendUint16(b, p.index)
	b = binary.BigEndian.AppendUint16(b, p.of)
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.content)))
	b = append(b, make([]byte, headerSize-len(b))...)
	b = append(b, p.content...)
	b = append(b, bytes.Repeat([]byte{0xff}, blockSize-len(b))...)
	binary.BigEndian.PutUint32(b[24:], checksum(b))
	return b
}

// decode returns the part that a block holds. Its content is in b.
func decode(b []byte) (part, error) {
	if !bytes.HasPrefix(b, []byte(magic)) {
		return part{}, errors.New("it does not begin as it should")
	}
	sum := binary.BigEndian.Uint32(b[24:])
	length := binary.BigEndian.Uint32(b[20:])
	p := part{id: binary.BigEndian.Uint64(b[8:]), index: binary.BigEndian.Uint16(b[16:]), of: binary.BigEndian.Uint16(b[18:])}
	switch {
	case checksum(b) != sum:
		return part{}, errors.New("the checksum is wrong")
	case length > roomSize || p.index >= p.of:
		return part{}, errors.New("the header contradicts itself")
	}
	p.content = b[headerSize : headerSize+length]
	return p, nil
}

// checksum leaves out the field that holds it.
func checksum(b []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, b[:24])
	return crc32.Update(sum, table, b[28:blockSize])
}

// split distributes content over blocks.
func split(id uint64, content ...[]byte) [][]byte {
	parts := slices.Collect(slices.Chunk(bytes.Join(content, nil), roomSize))
	blocks := make([][]byte, len(parts))
	for i, content := range parts {
		blocks[i] = part{id: id, index: uint16(i), of: uint16(len(parts)), content: content}.encode()
	}
	return blocks
}

// join reads the content of an answer back.
func join(r io.ReaderAt, id uint64, blocks []int64) ([]byte, error) {
	var content []byte
	b := make([]byte, blockSize)
	for i, n := range blocks {
		if err := readBlock(r, n, b); err != nil {
			return nil, fmt.Errorf("block %d: %w", n, err)
		}
		p, err := decode(b)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", n, err)
		}
		if p.id != id || int(p.index) != i || int(p.of) != len(blocks) {
			return nil, fmt.Errorf("block %d holds something else", n)
		}
		content = append(content, p.content...)
	}
	return content, nil
}

// readBlock fills b; beyond its end a file is zero.
func readBlock(r io.ReaderAt, n int64, b []byte) error {
	got, err := r.ReadAt(b, n*blockSize)
	clear(b[got:])
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// contents is what is in a file.
type contents struct {
	labelled bool
	last     uint64             // the highest number seen
	answers  map[uint64][]int64 // the blocks of each whole answer, in the order of its parts
	empty    []int64
	torn     []int64 // blocks of writes that were never acknowledged, and of answers half forgotten
	damage   []error // wrap ErrDamaged
}

// scan looks at the given number of blocks. It fails with ErrForeign if they are not
// of a spill file.
func scan(r io.ReaderAt, blocks int64) (*contents, error) {
	c := &contents{answers: make(map[uint64][]int64)}
	b := make([]byte, blockSize)
	labelErr := readBlock(r, 0, b)
	text := bytes.TrimRight(b, "\x00")
	blank := bytes.HasPrefix([]byte(label), text) // perhaps torn
	c.labelled = labelErr == nil && string(text) == label
	var format int
	if _, err := fmt.Sscanf(string(text), labelStart+"%d.", &format); err == nil && format != labelFormat {
		return nil, fmt.Errorf("%w: its format is %d", ErrForeign, format)
	}
	held := make(map[uint64][]numbered)
	for n := int64(1); n < blocks; n++ {
		if err := readBlock(r, n, b); err != nil {
			c.damaged("block %d: %w", n, err)
			continue
		}
		if isZero(b) {
			c.empty = append(c.empty, n)
			continue
		}
		p, err := decode(b)
		switch {
		case err == nil:
			p.content = nil // which is in b
			held[p.id] = append(held[p.id], numbered{p, n})
			c.last = max(c.last, p.id)
		case slices.ContainsFunc(slices.Collect(slices.Chunk(b, sectorSize)), isZero):
			c.torn = append(c.torn, n)
		default:
			c.damaged("block %d: %w", n, err)
		}
	}
	lossy := len(c.damage) > 0
	for id, parts := range held {
		c.gather(id, parts, lossy)
	}
	switch {
	case c.labelled, blank && len(held)+len(c.torn)+len(c.damage) == 0:
	case len(held) == 0:
		return nil, errors.Join(ErrForeign, labelErr)
	default:
		c.damaged("the first block is not as it should be")
	}
	return c, nil
}

// numbered is a part with the number of its block.
type numbered struct {
	part
	block int64
}

// gather decides what to make of the parts of one answer. If blocks of the file
// are damaged, a part that is missing may be among them.
func (c *contents) gather(id uint64, parts []numbered, lossy bool) {
	slices.SortFunc(parts, func(a, b numbered) int { return cmp.Compare(a.index, b.index) })
	blocks := make([]int64, len(parts))
	of := int(parts[0].of)
	consistent := len(parts) <= of
	for i, p := range parts {
		blocks[i] = p.block
		consistent = consistent && int(p.of) == of && (i == 0 || p.index > parts[i-1].index)
	}
	switch {
	case consistent && len(parts) == of:
		c.answers[id] = blocks
	case consistent && !lossy:
		c.torn = append(c.torn, blocks...)
	default:
		c.damaged("answer %d has %d of %d parts", id, len(parts), of)
	}
}

func (c *contents) damaged(format string, args ...any) {
	c.damage = append(c.damage, fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...))
}

func isZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// appendPlace writes what has to be known to open what follows: whose it is. AppIDs
// are no secret.
func appendPlace(b []byte, p store.Place) []byte {
	for _, id := range []string{string(p.Component), string(p.Authorizer)} {
		b = binary.AppendUvarint(b, uint64(len(id)))
		b = append(b, id...)
	}
	return b
}

func cutPlace(b []byte) (p store.Place, rest []byte, err error) {
	var ids [2]string
	for i := range ids {
		length, n := binary.Uvarint(b)
		if n <= 0 || length > uint64(len(b)-n) {
			return store.Place{}, nil, errors.New("it does not say whose it is")
		}
		end := n + int(length)
		ids[i], b = string(b[n:end]), b[end:]
	}
	return placeAt(tuoguan.ComponentAppID(ids[0]), tuoguan.AuthorizerAppID(ids[1])), b, nil
}
