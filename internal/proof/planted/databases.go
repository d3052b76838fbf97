//go:build unix

package main

// databaseBugs are those that PostgreSQL and MariaDB have to be there for.
func databaseBugs() []bug {
	return []bug{
		{
			name: "PostgreSQL with synchronous_commit=off is accepted", breaks: "INV-1",
			edits: []edit{{"store/postgres/check.go", "\toff(\"synchronous_commit\", commit,", "\toff(\"synchronous_commit\", commit+\"?\","}},
			check: check{pkg: "./store/postgres", run: "^TestDatabaseThatForgets$"}, says: "--- FAIL: TestDatabaseThatForgets",
		},
		{
			name: "MariaDB with innodb_flush_log_at_trx_commit=2 is accepted", breaks: "INV-1",
			edits: []edit{{"store/mysql/check.go", "\tif flush != 1 {\n", "\tif flush == 0 {\n"}},
			check: check{pkg: "./store/mysql", run: "^TestServerThatForgets$"}, says: "--- FAIL: TestServerThatForgets",
		},
		{
			name: "a migration of MariaDB that was cut short does not go on", breaks: "INV-30",
			edits: []edit{{"internal/sqlkit/migrate.go", "case !m.Already(err):", "case begun > 0 || !m.Already(err):"}},
			check: check{pkg: "./store/mysql", run: "^TestMigrationCutShort$"}, says: "--- FAIL: TestMigrationCutShort",
		},
	}
}
