package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tuoguan/tuoguan/internal/sqlkit"
	"github.com/tuoguan/tuoguan/internal/sqlstore"
)

var (
	// ErrLocked: another process has the database open.
	ErrLocked = errLocked
	// ErrReadOnly: the database was opened by [OpenReader].
	ErrReadOnly = errors.New("sqlite: opened for reading only")
)

// Reader reads a database beside the process that has it open. Whatever would write
// fails with [ErrReadOnly]. Make it with [OpenReader].
type Reader struct{ *sqlstore.Store }

// OpenReader opens a database that is there, and up to date, for reading. It waits
// for nobody, and nobody for it: while it reads the write-ahead log grows, that is all.
func OpenReader(ctx context.Context, cfg Config) (*Reader, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	pending, err := Pending(ctx, path)
	if err == nil && len(pending) > 0 {
		err = fmt.Errorf("it has to be migrated first (%s), or read by the version that wrote it", pending[0])
	}
	if err != nil {
		return nil, fmt.Errorf("sqlite: read %s: %w", path, err)
	}
	s, err := sqlstore.New(ctx, readOnly{&engine{path: path}}, queries(), cfg.Keys, cfg.Clock)
	if err != nil {
		return nil, fmt.Errorf("sqlite: read %s: %w", path, err)
	}
	return &Reader{s}, nil
}

// Pending returns the names of the migrations that [Open] would run. It changes
// nothing; the error matches [fs.ErrNotExist] if there is no database.
func Pending(ctx context.Context, path string) (names []string, err error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn(path, "busy_timeout(2000)"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return sqlkit.Migrations{Dir: dir}.Pending(ctx, db)
}

// readOnly is an engine that opens a connection for whatever it is asked.
type readOnly struct{ files *engine }

func (e readOnly) Read(_ context.Context, run func(sqlstore.Tx) error) (err error) {
	c, err := e.files.openReader()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	return run(c)
}

func (e readOnly) Snapshot(ctx context.Context, run func(sqlstore.Tx) error) error {
	return e.Read(ctx, func(tx sqlstore.Tx) error {
		if _, err := tx.Exec("BEGIN"); err != nil {
			return err
		}
		return run(tx)
	})
}

func (readOnly) Write(context.Context, int, func(sqlstore.Tx) error) error { return ErrReadOnly }
func (readOnly) Probe(context.Context) error                               { return ErrReadOnly }
func (readOnly) Close() error                                              { return nil }
