package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"

	"modernc.org/sqlite"

	"github.com/tuoguan/tuoguan/internal/sqlstore"
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
// queries, so they are kept for good.
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

// pragma sets something on the connection. Some take effect when they are prepared,
// so they are every time.
func (c *conn) pragma(name string, value int) error {
	s, err := c.raw.Prepare("PRAGMA " + name + " = " + strconv.Itoa(value))
	if err != nil {
		return err
	}
	_, err = s.(stmt).ExecContext(context.Background(), nil)
	return errors.Join(err, s.Close())
}

// Exec implements [sqlstore.Tx].
func (c *conn) Exec(query string, args ...any) (changed int64, err error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	// No caller's context: statements are short, and one that is cut short in the
	// middle of a batch would take its neighbours along.
	result, err := s.ExecContext(context.Background(), c.bind(args))
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Query implements [sqlstore.Tx].
func (c *conn) Query(query string, args ...any) (all []sqlstore.Row, err error) {
	err = c.Each(query, func(r sqlstore.Row) error {
		all = append(all, r)
		return nil
	}, args...)
	return all, err
}

// Each implements [sqlstore.Tx].
func (c *conn) Each(query string, f func(sqlstore.Row) error, args ...any) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(context.Background(), c.bind(args))
	if err != nil {
		return err
	}
	read := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(read); err {
		case nil:
		case io.EOF:
			return rows.Close()
		default:
			return errors.Join(err, rows.Close())
		}
		values := make([]any, len(read))
		for i, v := range read {
			values[i] = v
		}
		if err := f(sqlstore.NewRow(values)); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
}

// One implements [sqlstore.Tx].
func (c *conn) One(query string, args ...any) (sqlstore.Row, error) {
	rows, err := c.Query(query, args...)
	switch {
	case err != nil:
		return sqlstore.Row{}, err
	case len(rows) == 0:
		return sqlstore.Row{}, store.ErrNotFound
	}
	return rows[0], nil
}

// bind turns arguments into what the driver takes.
func (c *conn) bind(args []any) []driver.NamedValue {
	c.args = c.args[:0]
	for i, arg := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: sqlstore.Value(arg)})
	}
	return c.args
}
