package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"

	"modernc.org/sqlite"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/sqlkit"
	"github.com/tuoguan/tuoguan/store"
)

// conn is one connection with the statements prepared on it. It speaks to the
// driver itself: database/sql would spend more time on a statement than SQLite
// does, and its pool is of no use to a single writer. Not for concurrent use.
type conn struct {
	raw   driver.Conn
	stmts map[string]stmt
	args  []driver.NamedValue // reused; nothing keeps it after a statement ran
}

// stmt is what the driver's statements can do.
type stmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

func openConn(dsn string) (*conn, error) {
	raw, err := new(sqlite.Driver).Open(dsn)
	if err != nil {
		return nil, err
	}
	return &conn{raw: raw, stmts: make(map[string]stmt)}, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.raw.Close())...)
}

// prepare returns the statement for a query. There are as many as there are
// queries in this package, so they are kept for good.
func (c *conn) prepare(query string) (stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	prepared, err := c.raw.Prepare(query)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	s, ok := prepared.(stmt)
	if !ok {
		return nil, errors.Join(errors.New("sqlite: the driver has lost ExecContext"), prepared.Close())
	}
	c.stmts[query] = s
	return s, nil
}

// exec runs a statement that returns no rows. It tells how many rows it changed
// and the id of the one inserted last.
func (c *conn) exec(query string, args ...any) (changed, id int64, err error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, 0, err
	}
	// No caller's context: statements are short, and one that is cut short in the
	// middle of a batch would take its neighbours along.
	result, err := s.ExecContext(context.Background(), c.bind(args))
	if err != nil {
		return 0, 0, err
	}
	if changed, err = result.RowsAffected(); err != nil {
		return 0, 0, err
	}
	id, err = result.LastInsertId()
	return changed, id, err
}

// query runs a statement and returns all of its rows.
func (c *conn) query(query string, args ...any) ([]row, error) {
	s, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(context.Background(), c.bind(args))
	if err != nil {
		return nil, err
	}
	width := len(rows.Columns())
	var all []row
	for {
		values := make([]driver.Value, width)
		switch err := rows.Next(values); err {
		case nil:
			all = append(all, row{values: values})
		case io.EOF:
			return all, rows.Close()
		default:
			return nil, errors.Join(err, rows.Close())
		}
	}
}

// one runs a query for a single row. It returns store.ErrNotFound if there is none.
func (c *conn) one(query string, args ...any) (row, error) {
	rows, err := c.query(query, args...)
	switch {
	case err != nil:
		return row{}, err
	case len(rows) == 0:
		return row{}, store.ErrNotFound
	}
	return rows[0], nil
}

// bind turns arguments into what the driver takes.
func (c *conn) bind(args []any) []driver.NamedValue {
	c.args = c.args[:0]
	for i, arg := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: value(arg)})
	}
	return c.args
}

// value returns arg as one of the types a driver takes. One that is not listed
// passes unchanged, to be refused by the driver.
func value(arg any) driver.Value {
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

// row is one row of a result, read from the left to the right. It outlives the
// connection, so that secrets can be opened elsewhere.
type row struct {
	values []driver.Value
	next   int
}

func (r *row) take() driver.Value {
	v := r.values[r.next]
	r.next++
	return v
}

func (r *row) int64() int64 {
	v, _ := r.take().(int64)
	return v
}

func (r *row) int() int { return int(r.int64()) }

func (r *row) text() string {
	v, _ := r.take().(string)
	return v
}

func (r *row) time() time.Time { return sqlkit.Time(r.int64()) }

// blob returns nil for NULL.
func (r *row) blob() []byte {
	v, _ := r.take().([]byte)
	return v
}
