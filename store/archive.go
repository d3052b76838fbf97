package store

import (
	"context"
	"iter"
)

// Archive is what a store on a disk offers for its content as a whole: to back it
// up, to restore it, and to seal it under another key.
type Archive interface {
	// Dump yields every record as it was at one instant, table by table. Sealed values
	// stay sealed. The records must be used up before the loop goes on, for their
	// memory is used again. An error is the last that is yielded.
	Dump(ctx context.Context) iter.Seq2[Record, error]
	// Load stores records as dumped by any store, all of them or none. The store must
	// hold nothing but settings and leases, which are replaced. Columns that this version
	// does not know are an error; those that a record lacks are empty.
	Load(ctx context.Context, records iter.Seq2[Record, error]) error
	// Reseal seals up to limit records anew whose values are not sealed as the cipher
	// would now, going on where an earlier call has ended; the empty string is the
	// beginning. It may run beside everything else.
	Reseal(ctx context.Context, after string, limit int) (Resealed, error)
}

// Record is a row of a table.
type Record struct {
	Table   string
	Columns []string
	Values  []any // nil, int64, string or []byte, by column
}

// Resealed is what one call of Reseal has done.
type Resealed struct {
	Next    string // where to go on; "" at the end
	Looked  int    // records looked at
	Changed int    // records sealed anew
	Failed  int    // records with a value that does not open; they are as they were
}
