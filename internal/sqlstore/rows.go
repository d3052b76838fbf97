package sqlstore

import (
	"iter"
	"math/bits"
	"strings"
)

// chunks cuts rows into pieces of as many as a power of two, most at the most, which is
// one too: so statements that take a piece are few to prepare.
func chunks[T any](rows []T, most int) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for len(rows) > 0 {
			n := 1 << (bits.Len(uint(min(len(rows), most))) - 1)
			if !yield(rows[:n]) {
				return
			}
			rows = rows[n:]
		}
	}
}

// repeated is n times the same, with commas between: rows after VALUES, placeholders.
func repeated(s string, n int) string {
	return strings.Repeat(s+", ", n-1) + s
}
