package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/tuoguan/tuoguan/store"
)

// errEnough ends a dump whose reader has seen enough.
var errEnough = errors.New("sqlstore: the reader has seen enough")

// Dump implements [store.Archive]. Leases are dumped as ended: nobody holds one on a
// copy, but the epochs go on.
func (s *Store) Dump(ctx context.Context) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		err := s.engine.Snapshot(ctx, func(tx Tx) error {
			for _, t := range tables() {
				if err := t.dump(ctx, tx, func(r store.Record) bool { return yield(r, nil) }); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(store.Record{}, fmt.Errorf("dump: %w", err))
		}
	}
}

func (t table) dump(ctx context.Context, tx Tx, yield func(store.Record) bool) error {
	record := store.Record{Table: t.name, Values: make([]any, len(t.columns))}
	expressions := make([]string, len(t.columns))
	for i, c := range t.columns {
		record.Columns = append(record.Columns, c.name)
		expressions[i] = c.name
		if e, ok := t.instead[c.name]; ok {
			expressions[i] = e
		}
	}
	query := "SELECT " + strings.Join(expressions, ", ") + " FROM " + t.name
	if t.where != "" {
		query += " WHERE " + t.where
	}
	query += " ORDER BY " + strings.Join(t.key, ", ")
	return tx.Each(query, func(r Row) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i, c := range t.columns {
			record.Values[i] = c.kind.value(&r)
		}
		if !yield(record) {
			return errEnough
		}
		return nil
	})
}

// loadSteps stands for as many statements as there may be records, so that an engine
// does not expect a load to be over in a moment.
const loadSteps = 1 << 20

// Load implements [store.Archive]. A store that holds anything but settings and
// leases is refused with [store.ErrConflict].
func (s *Store) Load(ctx context.Context, records iter.Seq2[store.Record, error]) error {
	begun := false
	// The records are read within the transaction, so it must not outlast this call.
	err := s.engine.Write(context.WithoutCancel(ctx), loadSteps, func(tx Tx) error {
		if begun {
			return errors.New("the database asks for the records a second time")
		}
		begun = true
		return s.load(ctx, tx, records)
	})
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return nil
}

func (s *Store) load(ctx context.Context, tx Tx, records iter.Seq2[store.Record, error]) error {
	all := tables()
	batches := make(map[string]*batch, len(all))
	for _, t := range all {
		batches[t.name] = newBatch(t)
		if t.name == "meta" || t.name == "leases" {
			query := "DELETE FROM " + t.name
			if t.where != "" {
				query += " WHERE " + t.where
			}
			if _, err := tx.Exec(query); err != nil {
				return err
			}
			continue
		}
		rows, err := tx.Query("SELECT 1 FROM " + t.name + " LIMIT 1")
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			return fmt.Errorf("%w: the store is not empty: there are %s", store.ErrConflict, t.name)
		}
	}
	for record, err := range records {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		b := batches[record.Table]
		if b == nil {
			return fmt.Errorf("table %q is not known to this version", record.Table)
		}
		if err := b.add(tx, record); err != nil {
			return fmt.Errorf("table %s: %w", record.Table, err)
		}
	}
	for _, t := range all {
		if err := batches[t.name].flush(tx); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	for _, query := range s.q.AfterLoad {
		if _, err := tx.Exec(query); err != nil {
			return err
		}
	}
	return nil
}
