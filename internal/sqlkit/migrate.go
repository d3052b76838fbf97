// Package sqlkit holds what the SQL stores share: numbered migrations and the way
// instants are kept.
package sqlkit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"time"
)

// ErrNewerFormat is returned by [Migrate] for a database that a newer version of
// the program has migrated further than this one understands.
var ErrNewerFormat = errors.New("the database was written by a newer version")

// migrationName is how a migration's file is called: 0001_what_it_does.sql.
var migrationName = regexp.MustCompile(`^(\d{4})_([a-z0-9_]+)\.sql$`)

// Migrate brings the database to the newest format in dir, which holds numbered
// files 0001_name.sql, 0002_name.sql and so on without a gap. Each runs in a
// transaction of its own together with the note in schema_migrations that it ran,
// so a start that was cut short goes on where it stopped. (A database that commits
// each change of its schema by itself needs migrations of one statement.)
//
// Migrations only go forward. A database newer than dir is left alone and
// [ErrNewerFormat] is returned. The caller sees to it that no two processes
// migrate at the same time.
func Migrate(ctx context.Context, db *sql.DB, dir fs.FS) error {
	names, err := migrations(dir)
	if err != nil {
		return err
	}
	const table = `CREATE TABLE IF NOT EXISTS schema_migrations (
		version BIGINT NOT NULL PRIMARY KEY, name VARCHAR(191) NOT NULL, applied_at BIGINT NOT NULL)`
	if _, err := db.ExecContext(ctx, table); err != nil {
		return fmt.Errorf("create schema_migrations: %w", err)
	}
	var format int
	err = db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM schema_migrations`).Scan(&format)
	if err != nil {
		return fmt.Errorf("read the format of the database: %w", err)
	}
	if format > len(names) {
		return fmt.Errorf("%w: it has format %d, this version knows up to %d; "+
			"run the newer version, or restore a backup made before it was installed", ErrNewerFormat, format, len(names))
	}
	for i, name := range names[format:] {
		if err := apply(ctx, db, dir, format+i+1, name); err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
	}
	return nil
}

// migrations lists the files of dir and checks their numbers.
func migrations(dir fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(dir, ".") // in the order of the names
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		m := migrationName.FindStringSubmatch(e.Name())
		if m == nil {
			return nil, fmt.Errorf("migration %s: not named like 0001_name.sql", e.Name())
		}
		if n, _ := strconv.Atoi(m[1]); n != len(names)+1 {
			return nil, fmt.Errorf("migration %s: number %04d was expected", e.Name(), len(names)+1)
		}
		names = append(names, e.Name())
	}
	return names, nil
}

// apply runs one migration and notes it.
func apply(ctx context.Context, db *sql.DB, dir fs.FS, version int, name string) error {
	script, err := fs.ReadFile(dir, name)
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing once committed
	if _, err := tx.ExecContext(ctx, string(script)); err != nil {
		return err
	}
	// Placeholders differ between databases; these values need none.
	note := fmt.Sprintf(`INSERT INTO schema_migrations (version, name, applied_at) VALUES (%d, '%s', %d)`,
		version, name, time.Now().UnixMilli())
	if _, err := tx.ExecContext(ctx, note); err != nil {
		return err
	}
	return tx.Commit()
}
