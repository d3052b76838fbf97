package sqlstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tuoguan/tuoguan/store"
)

// position is where a call of Reseal goes on: after the row of a table with the key
// given, or with its first row.
type position struct {
	Table   string
	Numbers []int64  `json:",omitempty"` // a key is either of numbers
	Texts   []string `json:",omitempty"` // or of texts
}

func (p position) key() (key []any) {
	for _, n := range p.Numbers {
		key = append(key, n)
	}
	for _, t := range p.Texts {
		key = append(key, t)
	}
	return key
}

func (p *position) add(v any) {
	switch v := v.(type) {
	case int64:
		p.Numbers = append(p.Numbers, v)
	case string:
		p.Texts = append(p.Texts, v)
	}
}

// Reseal implements [store.Archive]. A record is read, sealed anew, and written if
// its sealed values are still the ones that were read; else it is read again. So
// what others write meanwhile is never undone.
func (s *Store) Reseal(ctx context.Context, after string, n int) (store.Resealed, error) {
	all := slices.DeleteFunc(tables(), func(t table) bool { return t.place == nil })
	at := position{Table: all[0].name}
	if after != "" {
		at = position{}
		if err := json.Unmarshal([]byte(after), &at); err != nil {
			return store.Resealed{}, fmt.Errorf("reseal: position %q: %w", after, err)
		}
	}
	i := slices.IndexFunc(all, func(t table) bool { return t.name == at.Table })
	if i < 0 || len(at.key()) != 0 && len(at.key()) != len(all[i].key) {
		return store.Resealed{}, fmt.Errorf("reseal: there is no position %q", after)
	}
	done := store.Resealed{}
	for n = limit(n); ; {
		t, room := all[i], n-done.Looked
		rows, err := t.page(ctx, s, at.key(), room)
		if err != nil {
			return store.Resealed{}, fmt.Errorf("reseal %s: %w", t.name, err)
		}
		changed, failed, err := s.reseal(ctx, t, rows)
		if err != nil {
			return store.Resealed{}, fmt.Errorf("reseal %s: %w", t.name, err)
		}
		done.Looked, done.Changed, done.Failed = done.Looked+len(rows), done.Changed+changed, done.Failed+failed
		if len(rows) == room {
			at = position{Table: t.name}
			for _, column := range t.key {
				at.add(rows[len(rows)-1][column])
			}
			break
		}
		if i++; i == len(all) {
			return done, nil
		}
		at = position{Table: all[i].name}
	}
	next, err := json.Marshal(at)
	done.Next = string(next)
	return done, err
}

// page reads rows after a key, or from the first one: what places are made of, and
// the sealed values.
func (t table) page(ctx context.Context, s *Store, after []any, n int) ([]fields, error) {
	condition, args := "", []any(nil)
	if len(after) > 0 {
		condition, args = s.after(t.key, after)
		condition = " WHERE " + condition
	}
	return t.rows(ctx, s, condition+" ORDER BY "+strings.Join(t.key, ", ")+" LIMIT ?", append(args, n)...)
}

// again reads a row once more; nothing if it is gone.
func (t table) again(ctx context.Context, s *Store, row fields) ([]fields, error) {
	condition, args := equal(t.key, row)
	return t.rows(ctx, s, " WHERE "+condition, args...)
}

func (t table) rows(ctx context.Context, s *Store, rest string, args ...any) ([]fields, error) {
	read := append(slices.Clone(t.binds), t.sealed()...)
	return readAll(ctx, s, func(r Row) (fields, error) {
		f := make(fields, len(read))
		for _, name := range read {
			c, _ := t.column(name)
			f[name] = c.kind.value(&r)
		}
		return f, nil
	}, "SELECT "+strings.Join(read, ", ")+" FROM "+t.name+rest, args...)
}

// equal is the condition that columns are as in a row, with its arguments.
func equal(columns []string, row fields) (condition string, args []any) {
	for i, name := range columns {
		if i > 0 {
			condition += " AND "
		}
		condition += name + " = ?"
		args = append(args, row[name])
	}
	return condition, args
}

// reseal seals anew what of the rows needs it.
func (s *Store) reseal(ctx context.Context, t table, rows []fields) (changed, failed int, err error) {
	for len(rows) > 0 {
		var updates []update
		for _, row := range rows {
			u, err := s.update(t, row)
			switch {
			case errors.Is(err, store.ErrQuarantined):
				failed++
			case err != nil:
				return 0, 0, err
			case len(u.columns) > 0:
				updates = append(updates, u)
			}
		}
		if len(updates) == 0 {
			return changed, failed, nil
		}
		missed, err := writeFor(ctx, s, len(updates)+1, func(tx Tx) (missed []fields, err error) {
			for _, u := range updates {
				query, args := u.statement(t)
				n, err := tx.Exec(query, args...)
				if err != nil {
					return nil, err
				}
				if n == 0 {
					missed = append(missed, u.row)
				}
			}
			return missed, nil
		})
		if err != nil {
			return 0, 0, err
		}
		changed += len(updates) - len(missed)
		rows = nil
		for _, row := range missed { // somebody was faster
			now, err := t.again(ctx, s, row)
			if err != nil {
				return 0, 0, err
			}
			rows = append(rows, now...)
		}
	}
	return changed, failed, nil
}

// update is what a row's sealed values become.
type update struct {
	row     fields
	columns []string
	values  [][]byte
}

// update seals anew what is not sealed as it would be now. A record of which a
// value does not open stays as it is.
func (s *Store) update(t table, row fields) (update, error) {
	u := update{row: row}
	for _, name := range t.sealed() {
		old, ok := row[name].([]byte)
		if !ok {
			continue
		}
		place := t.place(row, name)
		if s.cipher.Current(old) {
			continue
		}
		plaintext, err := s.openBytes(place, old)
		if err != nil {
			return update{}, err
		}
		value, err := s.sealBytes(place, plaintext)
		if err != nil {
			return update{}, err
		}
		if !bytes.Equal(old, value) {
			u.columns, u.values = append(u.columns, name), append(u.values, value)
		}
	}
	return u, nil
}

// statement writes the new values if the old ones, and all that their places are
// made of, are as they were read.
func (u update) statement(t table) (query string, args []any) {
	set := make([]string, len(u.columns))
	for i, name := range u.columns {
		set[i] = name + " = ?"
		args = append(args, u.values[i])
	}
	condition, same := equal(append(slices.Clone(t.binds), u.columns...), u.row)
	return "UPDATE " + t.name + " SET " + strings.Join(set, ", ") + " WHERE " + condition, append(args, same...)
}
