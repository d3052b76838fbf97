package sqlkit_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	_ "modernc.org/sqlite"

	"github.com/tuoguan/tuoguan/internal/sqlkit"
)

func openDB(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func files(content map[string]string) fstest.MapFS {
	dir := make(fstest.MapFS)
	for name, text := range content {
		dir[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return dir
}

var (
	first  = map[string]string{"0001_one.sql": "CREATE TABLE one (a TEXT); INSERT INTO one (a) VALUES ('x');"}
	second = map[string]string{
		"0001_one.sql": "CREATE TABLE one (a TEXT); INSERT INTO one (a) VALUES ('x');",
		"0002_two.sql": "ALTER TABLE one ADD COLUMN b TEXT NOT NULL DEFAULT 'y';",
	}
	broken = map[string]string{
		"0001_one.sql": "CREATE TABLE one (a TEXT); INSERT INTO one (a) VALUES ('x');",
		"0002_two.sql": "CREATE TABLE half (a TEXT); nonsense;",
	}
)

// applied returns the migrations noted in the database.
func applied(t *testing.T, db *sql.DB) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT name FROM schema_migrations ORDER BY version")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return names
}

func TestMigrateRunsEachOnce(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	for _, dir := range []map[string]string{first, first, second, second} {
		if err := sqlkit.Migrate(t.Context(), db, files(dir)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"0001_one.sql", "0002_two.sql"}, applied(t, db)); diff != "" {
		t.Error(diff)
	}
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM one WHERE a = 'x' AND b = 'y'").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestPending(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	pending := func(dir map[string]string, want ...string) {
		t.Helper()
		got, err := sqlkit.Migrations{Dir: files(dir)}.Pending(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
	pending(second, "0001_one.sql", "0002_two.sql")
	if err := sqlkit.Migrate(t.Context(), db, files(first)); err != nil {
		t.Fatal(err)
	}
	pending(first)
	pending(second, "0002_two.sql")
}

// TestLock refuses to migrate without the lock, and gives it back whatever happened.
func TestLock(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	if err := (sqlkit.Migrations{Dir: files(first), Lock: "SELECT 0"}).Apply(t.Context(), db); err == nil {
		t.Error("migrated without the lock")
	}
	if err := (sqlkit.Migrations{Dir: files(first), Lock: "SELECT NULL"}).Apply(t.Context(), db); err == nil {
		t.Error("migrated without the lock")
	}
	if len(tables(t, db)) > 0 {
		t.Errorf("something was done without the lock: %v", tables(t, db))
	}
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE given (n INTEGER)"); err != nil {
		t.Fatal(err)
	}
	m := sqlkit.Migrations{Dir: files(broken), Lock: "SELECT 1", Unlock: "INSERT INTO given (n) VALUES (1)"}
	if err := m.Apply(t.Context(), db); err == nil {
		t.Error("a broken migration ran")
	}
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM given").Scan(&n); err != nil || n != 2 {
		t.Errorf("the lock was given back %d times instead of once a migration: %v", n, err)
	}
}

func tables(t *testing.T, db *sql.DB) (names []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT name FROM sqlite_master WHERE type = 'table'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return names
}

func TestMigrateLeavesNewerDatabaseAlone(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	if err := sqlkit.Migrate(t.Context(), db, files(second)); err != nil {
		t.Fatal(err)
	}
	err := sqlkit.Migrate(t.Context(), db, files(first))
	if !errors.Is(err, sqlkit.ErrNewerFormat) || !strings.Contains(err.Error(), "format 2") || !strings.Contains(err.Error(), "up to 1") {
		t.Errorf("got %v", err)
	}
}

func TestFailedMigrationLeavesNothing(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	err := sqlkit.Migrate(t.Context(), db, files(broken))
	if err == nil || !strings.Contains(err.Error(), "0002_two.sql") {
		t.Fatalf("got %v", err)
	}
	if diff := cmp.Diff([]string{"0001_one.sql"}, applied(t, db)); diff != "" {
		t.Error(diff)
	}
	if _, err := db.ExecContext(t.Context(), "SELECT 1 FROM half"); err == nil {
		t.Error("half of a migration stayed")
	}
	if err := sqlkit.Migrate(t.Context(), db, files(second)); err != nil {
		t.Errorf("repaired migration: %v", err)
	}
}

func TestMigrateRefusesBadNames(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]map[string]string{
		"gap":       {"0001_one.sql": "", "0003_three.sql": ""},
		"from zero": {"0000_zero.sql": ""},
		"twice":     {"0001_one.sql": "", "0001_other.sql": ""},
		"no number": {"one.sql": ""},
		"a quote":   {"0001_o'ne.sql": ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := sqlkit.Migrate(t.Context(), openDB(t), files(dir)); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestInstants(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("UTC+8", 8*3600)
	for name, tt := range map[string]struct{ in, want time.Time }{
		"zero":      {time.Time{}, time.Time{}},
		"cut off":   {time.Date(2026, 11, 21, 8, 0, 0, 123_999_999, zone), time.Date(2026, 11, 21, 0, 0, 0, 123_000_000, time.UTC)},
		"past 2038": {time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if got := sqlkit.Time(sqlkit.Millis(tt.in)); got != tt.want { // the representation too
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}
