package sqlstore

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/tuoguan/tuoguan/store"
)

const (
	// batchRows is how many records of a table are inserted by one statement. More would
	// save little, and databases bound the number of arguments.
	batchRows = 64
	// batchBytes bounds what such a statement holds.
	batchBytes = 1 << 20
)

// batch are records of one table on their way into a database that is loaded: a
// million of them, each sent for itself, would take minutes on the way alone.
type batch struct {
	table   table
	columns []string // of the records that come at present
	places  []int    // where these have the values of the table's columns; -1 if they lack it
	args    []any
	rows    int
	size    int

	one, many string // statements for one row and for batchRows
}

func newBatch(t table) *batch {
	return &batch{table: t, one: t.insertQuery(1), many: t.insertQuery(batchRows)}
}

// add adds a record, and inserts what has gathered if that is enough. Columns that the
// record lacks, for it was dumped by an earlier version, are empty.
func (b *batch) add(tx Tx, record store.Record) error {
	if len(record.Columns) != len(record.Values) {
		return fmt.Errorf("%d columns with %d values", len(record.Columns), len(record.Values))
	}
	if b.places == nil || !slices.Equal(b.columns, record.Columns) {
		if err := b.expect(record.Columns); err != nil {
			return err
		}
	}
	for i, c := range b.table.columns {
		v := c.kind.zero()
		if at := b.places[i]; at >= 0 {
			if v = record.Values[at]; !c.kind.holds(v) {
				return fmt.Errorf("column %s holds a value of another kind", c.name)
			}
		}
		switch given := v.(type) {
		case []byte:
			v = bytes.Clone(given) // its memory is used again
			b.size += len(given)
		case string:
			b.size += len(given)
		}
		b.args = append(b.args, v)
	}
	if b.rows++; b.rows == batchRows {
		defer b.clear()
		_, err := tx.Exec(b.many, b.args...)
		return err
	}
	if b.size >= batchBytes {
		return b.flush(tx)
	}
	return nil
}

// expect prepares for records with these columns.
func (b *batch) expect(columns []string) error {
	places := make([]int, len(b.table.columns))
	for i, c := range b.table.columns {
		places[i] = slices.Index(columns, c.name)
	}
	for i, name := range columns {
		if _, ok := b.table.column(name); !ok {
			return fmt.Errorf("column %q is not known to this version", name)
		}
		if slices.Contains(columns[:i], name) {
			return fmt.Errorf("column %s is there twice", name)
		}
	}
	for _, name := range b.table.key {
		if !slices.Contains(columns, name) {
			return fmt.Errorf("column %s is missing", name)
		}
	}
	b.columns, b.places = slices.Clone(columns), places
	return nil
}

// flush inserts what has gathered. There are few of them, and statements for any
// number of rows would be as many to prepare.
func (b *batch) flush(tx Tx) error {
	defer b.clear()
	for row := range slices.Chunk(b.args, len(b.table.columns)) {
		if _, err := tx.Exec(b.one, row...); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) clear() {
	clear(b.args)
	b.args, b.rows, b.size = b.args[:0], 0, 0
}

func (t table) insertQuery(rows int) string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	row := "(" + strings.Repeat("?, ", len(names)-1) + "?)"
	return "INSERT INTO " + t.name + " (" + strings.Join(names, ", ") + ") VALUES " + strings.Repeat(row+", ", rows-1) + row
}
