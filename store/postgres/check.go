package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"

	"github.com/tuoguan/tuoguan/internal/sqlpool"
)

// check looks at what the server is and how it is set up.
func check(ctx context.Context, db *sql.DB, cfg Config) error {
	var version string
	var replica bool
	settings := map[string]*string{"server_version_num": &version}
	var fsync, commit, pages string
	settings["fsync"], settings["synchronous_commit"], settings["full_page_writes"] = &fsync, &commit, &pages
	for name, value := range settings {
		if err := db.QueryRowContext(ctx, "SELECT current_setting($1)", name).Scan(value); err != nil {
			return fmt.Errorf("read the setting %s: %w", name, err)
		}
	}
	if n, err := strconv.Atoi(version); err != nil || n < minVersion {
		return fmt.Errorf("PostgreSQL %d is too old, %d is needed", n/10000, minVersion/10000)
	}
	if err := db.QueryRowContext(ctx, "SELECT pg_is_in_recovery()").Scan(&replica); err != nil {
		return fmt.Errorf("ask whether the server is a replica: %w", err)
	}
	if replica {
		return fmt.Errorf("the server is a replica and only reads: name the primary")
	}
	var problems []sqlpool.Problem
	off := func(name, value, meaning string) {
		if value == "off" {
			problems = append(problems, sqlpool.Problem{
				Setting: name, Value: value, Meaning: meaning,
				Remedy: "ALTER SYSTEM SET " + name + " = on; SELECT pg_reload_conf()",
			})
		}
	}
	off("fsync", fsync, "a power cut may corrupt the database")
	off("synchronous_commit", commit, "what was committed last is lost when the server crashes")
	off("full_page_writes", pages, "a power cut may tear pages, unless the storage writes them whole")
	return sqlpool.Judge(ctx, cfg.Logger, cfg.Unsafe, problems)
}
