// Package sqlstore is the contract of [store.Store] and [store.Archive] on any SQL
// database, written once. What differs between databases is the [Engine], which runs
// transactions, and the [Queries], which are the statements.
//
// Instants are kept in milliseconds since 1970 UTC, 0 standing for none; sealed
// values as bytes, NULL standing for an empty one. Tables and columns have the same
// names everywhere (store/sqlite/migrations), for they are the format of an archive.
package sqlstore

import (
	"context"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/sqlkit"
	"github.com/tuoguan/tuoguan/store"
)

// Engine is a database: how transactions are run on it. It is safe for concurrent use.
//
// Transactions are written for READ COMMITTED: every statement sees what was
// committed before it began. What is read in order to be written is locked by the
// statement that reads it, or compared by the one that writes it.
type Engine interface {
	// Write runs a transaction and returns once it is durable. An error of run undoes
	// all of it. Run may be called again, from the beginning, after a conflict with
	// another transaction: a deadlock, a failed serialization, or a violated unique
	// constraint, by which two find out that they inserted the same. Where that does
	// not help after several attempts the error is returned. Where it is not known
	// whether the transaction was committed, that is an error too, and run is not
	// called again. If ctx ends, Write may return before run has.
	//
	// Steps is how many statements may write: one alone needs no transaction around it
	// that could be rolled back to where it began.
	Write(ctx context.Context, steps int, run func(Tx) error) error
	// Read runs queries, each of which may see another state of the database. Run may be
	// called again, from the beginning, where an answer was lost.
	Read(ctx context.Context, run func(Tx) error) error
	// Snapshot runs queries that all see the database as of one instant. It may take
	// long and must not keep others from their work.
	Snapshot(ctx context.Context, run func(Tx) error) error
	// Probe makes a small durable write.
	Probe(ctx context.Context) error
	// Close waits for work under way and releases everything.
	Close() error
}

// Tx runs statements. Not for concurrent use, and not after run has returned.
//
// Placeholders in all statements are numbered, ?1, ?2 and so on, in any order, each
// as often as need be; or plain question marks, for the arguments in order. A
// statement with numbered ones may leave arguments out. Arguments go through [Value].
type Tx interface {
	// Exec runs a statement that returns no rows. Changed is the number of rows
	// inserted, deleted, or found by an update, even if that gave them the values that
	// they had. It is 0 for an insert that gives way to a row that is there.
	Exec(query string, args ...any) (changed int64, err error)
	// One returns the only row, or store.ErrNotFound.
	One(query string, args ...any) (Row, error)
	// Query returns all rows.
	Query(query string, args ...any) ([]Row, error)
	// Each calls f for one row after the other, without holding all of them. The row
	// must not be used after f has returned. An error of f ends it.
	Each(query string, f func(Row) error, args ...any) error
}

// Value returns an argument as one of the types that drivers take: nil, int64,
// string or []byte. One that is none of ours passes unchanged.
func Value(arg any) any {
	switch v := arg.(type) {
	case int:
		return int64(v)
	case []byte:
		if v == nil {
			return nil
		}
		return v
	case time.Time:
		return sqlkit.Millis(v)
	case tuoguan.ComponentAppID:
		return string(v)
	case tuoguan.AuthorizerAppID:
		return string(v)
	case tuoguan.State:
		return string(v)
	case tuoguan.Kind:
		return string(v)
	case tuoguan.PermissionSet:
		return int64(v)
	case store.TokenSource:
		return string(v)
	case store.ExchangeState:
		return string(v)
	}
	return arg
}

// Row is one row of a result, read from the left to the right. It outlives the
// connection, so that secrets can be opened elsewhere.
type Row struct {
	values []any
	next   int
}

// NewRow makes a row of values as drivers deliver them: nil, int64, string or
// []byte, which it keeps. Text and bytes may stand for each other.
func NewRow(values []any) Row { return Row{values: values} }

// Take returns the next value as it is.
func (r *Row) Take() any {
	v := r.values[r.next]
	r.next++
	return v
}

// Int64 returns the next value, 0 for NULL.
func (r *Row) Int64() int64 {
	v, _ := r.Take().(int64)
	return v
}

// Int is Int64 for small numbers.
func (r *Row) Int() int { return int(r.Int64()) }

// Text returns the next value, "" for NULL.
func (r *Row) Text() string {
	switch v := r.Take().(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}

// Time returns the next value, an instant.
func (r *Row) Time() time.Time { return sqlkit.Time(r.Int64()) }

// Blob returns the next value, nil for NULL.
func (r *Row) Blob() []byte {
	switch v := r.Take().(type) {
	case []byte:
		if v == nil {
			return []byte{}
		}
		return v
	case string:
		return []byte(v)
	}
	return nil
}
