package sqlpool

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strconv"
	"strings"

	"github.com/tuoguan/tuoguan/internal/sqlstore"
	"github.com/tuoguan/tuoguan/store"
)

// tx runs statements on one connection.
type tx struct {
	pool    *Pool
	ctx     context.Context // of the attempt
	conn    *sql.Conn
	wrote   bool  // a statement that writes may have been sent
	failure error // the first error of the database, after which none counts
	sound   bool  // the connection is as it was
}

var _ sqlstore.Tx = (*tx)(nil)

// give gives the connection back, or closes it if it is not known to be sound.
func (t *tx) give() {
	if !t.sound {
		_ = t.conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	_ = t.conn.Close() // nothing that was to be kept depends on it any more
}

// class is what the failure means.
func (t *tx) class() Class { return t.pool.dialect.Classify(t.failure) }

// command runs statements without arguments.
func (t *tx) command(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := t.conn.ExecContext(ctx, s); err != nil {
			return t.failed(err)
		}
	}
	return nil
}

// rollback undoes the transaction. Where it fails, closing the connection does.
func (t *tx) rollback() {
	ctx, cancel := withAtLeast(t.ctx, commitWithin)
	defer cancel()
	_, err := t.conn.ExecContext(ctx, "ROLLBACK")
	t.sound = err == nil
}

func (t *tx) failed(err error) error {
	if t.failure == nil {
		t.failure = err
	}
	return err
}

// Exec implements [sqlstore.Tx].
func (t *tx) Exec(query string, args ...any) (changed int64, err error) {
	text, args := t.statement(query, args)
	result, err := t.conn.ExecContext(t.ctx, text, args...)
	if err != nil {
		return 0, t.failed(err)
	}
	changed, err = result.RowsAffected()
	if err != nil {
		return 0, t.failed(err)
	}
	return changed, nil
}

// One implements [sqlstore.Tx].
func (t *tx) One(query string, args ...any) (sqlstore.Row, error) {
	rows, err := t.Query(query, args...)
	switch {
	case err != nil:
		return sqlstore.Row{}, err
	case len(rows) == 0:
		return sqlstore.Row{}, store.ErrNotFound
	}
	return rows[0], nil
}

// Query implements [sqlstore.Tx].
func (t *tx) Query(query string, args ...any) ([]sqlstore.Row, error) {
	var all []sqlstore.Row
	err := t.Each(query, func(r sqlstore.Row) error {
		all = append(all, r)
		return nil
	}, args...)
	return all, err
}

// Each implements [sqlstore.Tx].
func (t *tx) Each(query string, f func(sqlstore.Row) error, args ...any) error {
	text, args := t.statement(query, args)
	rows, err := t.conn.QueryContext(t.ctx, text, args...)
	if err != nil {
		return t.failed(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return t.failed(err)
	}
	pointers := make([]any, len(columns))
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			pointers[i] = &values[i]
		}
		if err := rows.Scan(pointers...); err != nil {
			return t.failed(err)
		}
		if err := f(sqlstore.NewRow(values)); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return t.failed(err)
	}
	return nil
}

// statement is a query as the database wants it.
type statement struct {
	text   string
	order  []int // the arguments that it takes, by their places among those given
	writes bool
}

// statement returns the text of a query that is about to be sent, and the arguments
// for it.
func (t *tx) statement(query string, args []any) (string, []any) {
	p := t.pool
	known, ok := p.statements.Load(query)
	if !ok {
		known, _ = p.statements.LoadOrStore(query, translate(query, p.dialect.Numbered))
	}
	s := known.(*statement)
	t.wrote = t.wrote || s.writes
	ordered := make([]any, len(s.order))
	for i, at := range s.order {
		v := sqlstore.Value(args[at])
		if text, ok := v.(string); ok {
			v = p.dialect.Text(text)
		}
		ordered[i] = v
	}
	return s.text, ordered
}

// translate rewrites the placeholders of a query: ?1, ?2 … in any order, or plain
// question marks. Question marks within quotes are none.
func translate(query string, numbered bool) *statement {
	var text strings.Builder
	s := &statement{writes: !strings.HasPrefix(query, "SELECT ")}
	number := make(map[int]int) // of the placeholder for an argument
	for rest := query; rest != ""; {
		i := strings.IndexAny(rest, "?'")
		if i < 0 {
			text.WriteString(rest)
			break
		}
		text.WriteString(rest[:i])
		if rest[i] == '\'' {
			end := i + 1 + strings.IndexByte(rest[i+1:], '\'') + 1
			if end == i+1 {
				end = len(rest) // the database complains
			}
			text.WriteString(rest[i:end])
			rest = rest[end:]
			continue
		}
		rest = rest[i+1:]
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		at := len(s.order)
		if digits > 0 {
			n, _ := strconv.Atoi(rest[:digits])
			at, rest = n-1, rest[digits:]
		}
		if !numbered {
			s.order = append(s.order, at)
			text.WriteByte('?')
			continue
		}
		if number[at] == 0 {
			s.order = append(s.order, at)
			number[at] = len(s.order)
		}
		text.WriteString("$" + strconv.Itoa(number[at]))
	}
	s.text = text.String()
	return s
}
