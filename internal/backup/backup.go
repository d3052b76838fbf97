// Package backup writes the content of a store into one encrypted file and reads
// it back, into a store of any engine.
//
// # Format
//
// A backup begins with a line of JSON, the header, which is not secret: format,
// time, engine, version, installation, the id of the master key, and the key of
// this backup, wrapped by the master key. The master key is in no backup.
//
// The rest are frames: each has 64 KiB of content, but the last, which has what is
// left, and the 16 bytes that AES-256-GCM adds. The nonce is the number of the frame
// in 11 bytes, big-endian, and a byte that is 1 in the last frame and else 0; the
// associated data is the SHA-256 of the header, with its newline. The key serves
// one backup only, so no nonce is used twice, and a frame that was altered, moved,
// left out or appended is noticed, wherever it is (the construction known as STREAM).
//
// The content is compressed (DEFLATE). It is a sequence of items, each with a byte
// before it that says which:
//
//   - 'T': the records that follow are of this table: its name, the number of its
//     columns, their names.
//   - 'R': a record, value by value: 0 null; 1 and a zigzag varint; 2 and a text; 3
//     and bytes.
//   - 'E': the end: JSON with the number of records of each table and the SHA-256 of
//     everything before the 'E'. Nothing follows.
//
// Texts and bytes have their length before them, as a varint like all numbers.
// Secrets among the values are sealed as they are in the store.
package backup

import (
	"errors"
	"time"
)

// Format is the newest format of backups, the one that is written.
const Format = 1

var (
	// ErrNotBackup: the file does not begin like a backup.
	ErrNotBackup = errors.New("backup: not a backup of tuoguan's")
	// ErrDamaged: the file was altered, or its end is missing.
	ErrDamaged = errors.New("backup: damaged")
	// ErrNewerFormat: a newer version of the program has written the file.
	ErrNewerFormat = errors.New("backup: written by a newer version")
)

// bound is what the wrapped key is bound to, so that it is of use in a backup only.
const bound = "tuoguan backup"

// Info is what a backup says of itself.
type Info struct {
	Format       int       `json:"tuoguan_backup"`
	MadeAt       time.Time `json:"made_at"`
	Engine       string    `json:"engine"`                 // where it comes from: sqlite, postgres, mysql
	Version      string    `json:"version"`                // of the program that made it
	Installation string    `json:"installation,omitempty"` // id of the installation it was made of
	KeyID        string    `json:"key_id"`                 // of the master key
	// Records is how many records there are of each table. It is known once the
	// backup has been read to its end.
	Records map[string]int64 `json:"-"`
}

// Total returns how many records there are.
func (i Info) Total() int64 {
	var n int64
	for _, count := range i.Records {
		n += count
	}
	return n
}

// header is the first line.
type header struct {
	Info
	DataKey []byte `json:"data_key"` // wrapped
}

// trailer is the last item.
type trailer struct {
	Records map[string]int64 `json:"records"`
	SHA256  string           `json:"sha256"`
}

// The items, and the types of values.
const (
	itemTable  = 'T'
	itemRecord = 'R'
	itemEnd    = 'E'

	valueNull  = 0
	valueInt   = 1
	valueText  = 2
	valueBytes = 3
)

// Bounds on what is read, so that a mistake does not take all memory.
const (
	maxHeader  = 16 << 10
	maxColumns = 256
	maxValue   = 64 << 20
)
