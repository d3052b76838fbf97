package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tuoguan/tuoguan/internal/sqlpool"
)

// flavor is whose MySQL it is.
type flavor string

const (
	mySQL   flavor = "MySQL"
	mariaDB flavor = "MariaDB"
	tidb    flavor = "TiDB"
)

// oldest is the first release of each with everything that the statements use: SKIP
// LOCKED above all.
func (f flavor) oldest() [2]int {
	if f == mariaDB {
		return [2]int{10, 6}
	}
	return [2]int{8, 0} // which TiDB says that it is
}

// read tells a server by its version: 8.0.36, 10.11.6-MariaDB-1, 8.0.11-TiDB-v8.5.0,
// or 5.5.5-10.11.6-MariaDB from behind some proxies.
func read(version string) (f flavor, release [2]int) {
	switch lower := strings.ToLower(version); {
	case strings.Contains(lower, "tidb"):
		f = tidb
	case strings.Contains(lower, "mariadb"):
		f = mariaDB
		version = strings.TrimPrefix(version, "5.5.5-")
	default:
		f = mySQL
	}
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	release[0], _ = strconv.Atoi(major)
	release[1], _ = strconv.Atoi(minor)
	return f, release
}

// check looks at what the server is and how it is set up.
func check(ctx context.Context, db *sql.DB, cfg Config) (flavor, error) {
	var version string
	if err := db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return "", fmt.Errorf("ask for the version: %w", err)
	}
	f, release := read(version)
	if least := f.oldest(); release[0] < least[0] || release[0] == least[0] && release[1] < least[1] {
		return "", fmt.Errorf("%s %d.%d is too old, %d.%d is needed", f, release[0], release[1], least[0], least[1])
	}
	if f == tidb {
		return f, nil // its log is synced always; the settings of others mean nothing
	}
	var flush, binlog, sync int
	var doublewrite string
	var readOnly bool
	err := db.QueryRowContext(ctx, `SELECT @@innodb_flush_log_at_trx_commit, @@innodb_doublewrite,
		@@log_bin, @@sync_binlog, @@read_only`).Scan(&flush, &doublewrite, &binlog, &sync, &readOnly)
	if err != nil {
		return "", fmt.Errorf("read the settings: %w", err)
	}
	if readOnly {
		return "", errors.New("the server only reads (read_only): name the primary")
	}
	var problems []sqlpool.Problem
	if flush != 1 {
		problems = append(problems, sqlpool.Problem{
			Setting: "innodb_flush_log_at_trx_commit", Value: strconv.Itoa(flush),
			Meaning: "what was committed last is lost when the server or its machine crashes",
			Remedy:  "SET GLOBAL innodb_flush_log_at_trx_commit = 1, and in the server's configuration",
		})
	}
	if doublewrite == "0" || strings.EqualFold(doublewrite, "off") {
		problems = append(problems, sqlpool.Problem{
			Setting: "innodb_doublewrite", Value: doublewrite,
			Meaning: "a power cut may tear pages, unless the storage writes them whole",
			Remedy:  "innodb_doublewrite = ON in the server's configuration, and a restart",
		})
	}
	if binlog == 1 && sync == 0 {
		cfg.Logger.WarnContext(ctx, "a replica that takes over after a power cut may lack what was committed last",
			"setting", "sync_binlog", "value", sync, "remedy", "SET GLOBAL sync_binlog = 1")
	}
	return f, sqlpool.Judge(ctx, cfg.Logger, cfg.Unsafe, problems)
}
