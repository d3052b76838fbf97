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
	"strings"
	"time"
)

// ErrNewerFormat is returned for a database that a newer version of the program has
// migrated further than this one understands.
var ErrNewerFormat = errors.New("the database was written by a newer version")

// migrationName is how a migration's file is called: 0001_what_it_does.sql.
var migrationName = regexp.MustCompile(`^(\d{4})_([a-z0-9_]+)\.sql$`)

// Migrations brings a database to the newest format, step by step. A start that was
// cut short goes on where it stopped. Migrations only go forward: a database that is
// newer is left alone, and [ErrNewerFormat] is returned.
type Migrations struct {
	// Dir holds numbered files 0001_name.sql, 0002_name.sql and so on without a gap.
	// Each runs in a transaction of its own, together with the note in
	// schema_migrations that it ran.
	Dir fs.FS
	// Lock is a query that keeps other processes from migrating at the same time, and
	// yields 1 once they are; Unlock is a statement that lets them. Without Unlock the
	// lock ends with the transaction. Without Lock the caller sees to it.
	Lock, Unlock string
	// Already is set for databases that commit each change of the schema by itself. A
	// file is then run statement by statement, each ending with a semicolon at the end
	// of a line, and one that was cut short runs again from its beginning. Already
	// tells the errors by which a statement finds its work done; one that changes rows
	// must be such that doing it twice does no harm.
	Already func(error) bool
}

// Migrate runs the migrations in dir on a database that changes its schema in
// transactions. The caller sees to it that no two processes migrate at the same time.
func Migrate(ctx context.Context, db *sql.DB, dir fs.FS) error {
	return Migrations{Dir: dir}.Apply(ctx, db)
}

// Pending returns the names of the migrations that Apply would run. It makes the
// table in which they are noted, if there is none yet.
func (m Migrations) Pending(ctx context.Context, db *sql.DB) (names []string, err error) {
	err = m.each(ctx, db, func(left []string) (again bool, run string) {
		names = left
		return false, ""
	})
	return names, err
}

// Apply runs the migrations that are pending.
func (m Migrations) Apply(ctx context.Context, db *sql.DB) error {
	return m.each(ctx, db, func(left []string) (again bool, run string) {
		if len(left) == 0 {
			return false, ""
		}
		return true, left[0]
	})
}

// each has choose look at what is pending and name what to run, under the lock. That
// is held for one migration at a time, so it is looked anew after each what others did.
func (m Migrations) each(ctx context.Context, db *sql.DB, choose func(left []string) (again bool, run string)) error {
	names, err := migrations(m.Dir)
	if err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	for again := true; again && err == nil; {
		err = m.locked(ctx, conn, func() error {
			left, err := pending(ctx, conn, names)
			if err != nil {
				return err
			}
			var name string
			if again, name = choose(left); name == "" {
				return nil
			}
			if err := m.apply(ctx, conn, len(names)-len(left)+1, name); err != nil {
				return fmt.Errorf("migration %s: %w", name, err)
			}
			return nil
		})
	}
	return errors.Join(err, conn.Close())
}

// locked calls f with the lock held, and in a transaction where there are such.
func (m Migrations) locked(ctx context.Context, conn *sql.Conn, f func() error) error {
	begin, commit, rollback := "BEGIN", "COMMIT", "ROLLBACK"
	if m.Already != nil {
		begin, commit, rollback = "", "", ""
	}
	unlock := "" // until it is locked
	err := execute(ctx, conn, begin)
	if err == nil {
		err = m.lock(ctx, conn)
	}
	if err == nil {
		unlock = m.Unlock
		err = f()
	}
	ctx = context.WithoutCancel(ctx)
	if err != nil {
		return errors.Join(err, execute(ctx, conn, rollback, unlock))
	}
	return execute(ctx, conn, commit, unlock)
}

// lock waits for the lock.
func (m Migrations) lock(ctx context.Context, conn *sql.Conn) error {
	if m.Lock == "" {
		return nil
	}
	var got sql.NullInt64
	if err := conn.QueryRowContext(ctx, m.Lock).Scan(&got); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if got.Int64 != 1 {
		return errors.New("another process has been migrating for too long")
	}
	return nil
}

// execute runs statements one after the other, leaving out empty ones.
func execute(ctx context.Context, conn *sql.Conn, statements ...string) error {
	for _, s := range statements {
		if s == "" {
			continue
		}
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return err
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

// pending returns the migrations that have not run to their end. A database that is
// newer is refused before anything is written.
func pending(ctx context.Context, conn *sql.Conn, names []string) ([]string, error) {
	err := execute(ctx, conn, `CREATE TABLE IF NOT EXISTS schema_migrations (
		version BIGINT NOT NULL PRIMARY KEY, name VARCHAR(191) NOT NULL, applied_at BIGINT NOT NULL)`)
	if err != nil {
		return nil, fmt.Errorf("create schema_migrations: %w", err)
	}
	var format, newest int
	err = conn.QueryRowContext(ctx, `SELECT COALESCE(MAX(CASE WHEN applied_at > 0 THEN version END), 0), COALESCE(MAX(version), 0)
		FROM schema_migrations`).Scan(&format, &newest)
	if err != nil {
		return nil, fmt.Errorf("read the format of the database: %w", err)
	}
	if newest > len(names) {
		return nil, fmt.Errorf("%w: it has format %d, this version knows up to %d; "+
			"run the newer version, or restore a backup made before it was installed", ErrNewerFormat, newest, len(names))
	}
	return names[format:], nil
}

// apply runs one migration and notes it.
func (m Migrations) apply(ctx context.Context, conn *sql.Conn, version int, name string) error {
	content, err := fs.ReadFile(m.Dir, name)
	if err != nil {
		return err
	}
	// Placeholders differ between databases; these values need none.
	note := func(at int64) string {
		return fmt.Sprintf(`INSERT INTO schema_migrations (version, name, applied_at) VALUES (%d, '%s', %d)`, version, name, at)
	}
	if m.Already == nil {
		return execute(ctx, conn, string(content), note(time.Now().UnixMilli()))
	}

	// What finds its work done is well only if an earlier attempt may have done it:
	// a table of that name may be somebody else's.
	var begun int
	err = conn.QueryRowContext(ctx, fmt.Sprintf(`SELECT count(*) FROM schema_migrations WHERE version = %d`, version)).Scan(&begun)
	if err == nil && begun == 0 {
		err = execute(ctx, conn, note(0))
	}
	if err != nil {
		return err
	}
	for statement := range strings.SplitSeq(string(content), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		err := execute(ctx, conn, statement)
		switch {
		case err == nil:
		case !m.Already(err):
			return err
		case begun == 0:
			return errors.Join(err, execute(ctx, conn, fmt.Sprintf(`DELETE FROM schema_migrations WHERE version = %d`, version)))
		}
	}
	return execute(ctx, conn, fmt.Sprintf(`UPDATE schema_migrations SET applied_at = %d WHERE version = %d`, time.Now().UnixMilli(), version))
}
