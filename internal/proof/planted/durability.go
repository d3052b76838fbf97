//go:build unix

package main

// durabilityBugs are noticed when the power goes or a disk fails, and not before.
func durabilityBugs() []bug {
	return []bug{
		{
			name: "SQLite runs with synchronous=NORMAL", breaks: "INV-1",
			edits: []edit{{"store/sqlite/engine.go", `"journal_mode(wal)", "synchronous(full)", "wal_autocheckpoint(0)",`, `"journal_mode(wal)", "synchronous(normal)", "wal_autocheckpoint(0)",`},
				{"store/sqlite/sqlite.go", `{"synchronous", "2",`, `{"synchronous", "1",`}},
			check: check{pkg: "./store/sqlite", run: "^TestPowerCut$"}, says: "was acknowledged and is lost",
		},
		{
			name: "after a failed sync SQLite is synced again", breaks: "INV-1",
			edits: []edit{{"store/sqlite/writer.go", "c == sqlite3.SQLITE_IOERR_FSYNC || c == sqlite3.SQLITE_IOERR_DIR_FSYNC:", "c == sqlite3.SQLITE_IOERR_DIR_FSYNC:"}},
			check: check{pkg: "./store/sqlite", run: "^TestFailedSyncIsFinal$"}, says: "--- FAIL: TestFailedSyncIsFinal",
		},
		{
			name: "the spill file is not synced", breaks: "INV-1b",
			edits: []edit{{"internal/spill/spill.go", "if err = f.file.Sync(); err != nil {", "if err = f.Err(); err != nil {"}},
			check: check{pkg: "./internal/spill", run: "^TestPowerCut$"}, says: "was acknowledged and is lost",
		},
		{
			name: "after a failed sync the spill file is synced again", breaks: "INV-1b",
			edits: []edit{{"internal/spill/spill.go", "if err = f.file.Sync(); err != nil {\n\t\t\t\terr = f.lose(err)\n", "if err = f.file.Sync(); err != nil {\n\t\t\t\terr = f.file.Sync()\n"}},
			check: check{pkg: "./internal/spill", run: "^TestFailedSyncIsFinal$"}, says: "--- FAIL: TestFailedSyncIsFinal",
		},
		{
			name: "a push is answered before it is stored", breaks: "INV-13",
			edits: []edit{{"push/handler.go", "\tvar outcome Outcome\n\tf.err = h.guard(", "\tvar outcome Outcome\n\tclose(f.stored)\n\tf.err = h.guard("},
				{"push/handler.go", "\tclose(f.stored)\n\tif f.err != nil {", "\tif f.err != nil {"}},
			check: check{pkg: "./push", run: "^TestStoreFailures$"}, says: "answer 200",
		},
	}
}
