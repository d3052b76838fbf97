//go:build unix

package main

// contract is the suite that judges every store, on SQLite.
func contract(part string) check {
	return check{pkg: "./store/sqlite", run: "^TestContract$/^" + part + "$"}
}

// storeBugs break what a store promises.
func storeBugs() []bug {
	const queries, authorizers, leases = "store/sqlite/queries.go", "internal/sqlstore/authorizer.go", "internal/sqlstore/lease.go"
	return []bug{
		{
			name: "the epoch is left out of the compare-and-swap", breaks: "INV-7",
			edits: []edit{{queries, "AND grant_no = ?3 AND state <> 'revoked' AND epoch < ?4`", "AND grant_no = ?3 AND state <> 'revoked' AND ?4 >= 0`"}},
			check: contract("refreshes"), says: "--- FAIL: TestContract/refreshes/an_earlier_epoch_joins_the_history_only",
		},
		{
			name: "the refresh token of a fenced holder is thrown away", breaks: "INV-5",
			edits: []edit{{authorizers, "\t\tif _, err := s.addHistory(tx, history); err != nil {\n\t\t\treturn false, err\n\t\t}\n\t\tchanged, err", "\t\tif g, err := s.known(tx, w.Authorization); err == nil && (g.number != w.Grant || g.epoch >= w.Epoch) {\n\t\t\thistory.sealed = nil\n\t\t}\n\t\tif _, err := s.addHistory(tx, history); err != nil {\n\t\t\treturn false, err\n\t\t}\n\t\tchanged, err"}},
			check: contract("refreshes"), says: "--- FAIL: TestContract/refreshes/an_earlier_epoch_joins_the_history_only",
		},
		{
			name: "access and refresh token are stored by two transactions", breaks: "INV-1",
			edits: []edit{{authorizers, "\treturn writeFor(ctx, s, 4, func(tx Tx) (bool, error) {\n\t\t// The history first", "\tfirst, err := writeFor(ctx, s, 1, func(tx Tx) (bool, error) {\n\t\tn, err := tx.Exec(s.q.SaveTokens, w.Component, w.Authorizer, w.Grant, w.Epoch, access, []byte(nil),\n\t\t\tw.Tokens.ExpiresAt, w.ObtainedAt, w.RefreshAt, s.shift())\n\t\treturn n > 0, err\n\t})\n\tif err != nil {\n\t\treturn false, err\n\t}\n\treturn writeFor(ctx, s, 4, func(tx Tx) (bool, error) {\n\t\tif first {\n\t\t\tif _, err := tx.Exec(`UPDATE authorizers SET refresh_token = ? WHERE component = ? AND authorizer = ?`, refresh, w.Component, w.Authorizer); err != nil {\n\t\t\t\treturn false, err\n\t\t\t}\n\t\t}\n\t\t// The history first"}},
			check: check{pkg: "./store/sqlite", run: "^TestTokenSetsAreWhole$"}, says: "in epoch ",
		},
		{
			name: "a lease is ended without looking whose it is", breaks: "INV-6",
			edits: []edit{{queries, "SET holder = '', until = 0 WHERE lease_key = ? AND holder = ? AND epoch = ?`", "SET holder = '', until = 0 WHERE lease_key = ?1 AND ?2 <> '' AND ?3 > 0`"}},
			check: contract("leases"), says: "--- FAIL: TestContract/leases/only_as_the_very_one",
		},
		{
			name: "a lease is judged by the clock of the process", breaks: "INV-33",
			edits: []edit{{leases, "now := r.Time()\n", "now := time.Now()\n\t\t_ = r.Time()\n"}},
			check: contract("leases"), says: "--- FAIL: TestContract/leases/ends_by_the_store's_clock",
		},
		{
			name: "a late grant replaces a newer one", breaks: "INV-2",
			edits: []edit{{authorizers, "if !g.AuthorizedAt.IsZero() && newest.After(g.AuthorizedAt) {", "if !g.AuthorizedAt.IsZero() && newest.After(g.AuthorizedAt) && isNew {"}},
			check: contract("grant order"), says: "--- FAIL: TestContract/grant_order",
		},
		{
			name: "a refresh that was under way brings a revoked authorization back", breaks: "INV-9",
			edits: []edit{{queries, "AND grant_no = ?3 AND state <> 'revoked' AND epoch < ?4`", "AND grant_no = ?3 AND epoch < ?4`"}},
			check: contract("refreshes"), says: "--- FAIL: TestContract/refreshes/a_revoked_one_stays_revoked",
		},
		{
			name: "an empty refresh token replaces the stored one", breaks: "INV-3",
			edits: []edit{{queries, "expires_at = ?7, obtained_at = ?8, epoch = ?4, refresh_at = ?9,", "expires_at = ?7, obtained_at = ?8, epoch = ?4, refresh_at = ?9, refresh_token = ?6,"},
				{queries, "access_token = ?5,\n\t\t\trefresh_token = COALESCE(?6, refresh_token),\n", "access_token = ?5,\n"}},
			check: contract("refreshes"), says: "--- FAIL: TestContract/refreshes/an_empty_one_never_replaces",
		},
		{
			name: "an unauthorized push deletes the refresh token", breaks: "INV-3",
			edits: []edit{{queries, "SET state = 'revoked', revoked_at = ?3, refresh_at = 0,", "SET state = 'revoked', revoked_at = ?3, refresh_at = 0, refresh_token = NULL,"}},
			check: contract("refreshes"), says: "--- FAIL: TestContract/refreshes/a_revoked_one_stays_revoked",
		},
		{
			name: "61023 deletes the refresh token", breaks: "INV-4",
			edits: []edit{{queries, "refresh_at = CASE WHEN ?5 = 'revoked' THEN 0 ELSE ?10 END,", "refresh_at = CASE WHEN ?5 = 'revoked' THEN 0 ELSE ?10 END, refresh_token = CASE WHEN ?5 = 'active' THEN refresh_token END,"}},
			check: contract("troubles"), says: "--- FAIL: TestContract/troubles",
		},
		{
			name: "an older ticket replaces a newer one", breaks: "INV-11",
			edits: []edit{{queries, "SelectTickets: `SELECT component, value, created_at, received_at FROM tickets WHERE component = ?\n\t\tORDER BY created_at DESC, received_at DESC, id DESC", "SelectTickets: `SELECT component, value, created_at, received_at FROM tickets WHERE component = ?\n\t\tORDER BY id DESC"}},
			check: contract("tickets"), says: "--- FAIL: TestContract/tickets/the_newest_three_stay,_in_whatever_order_they_come",
		},
		{
			name: "one record that does not open takes the whole list down", breaks: "INV-23",
			edits: []edit{{"internal/sqlstore/store.go", "errs = append(errs, err)\n\t\t\tcontinue\n", "return nil, err\n"}},
			check: check{pkg: "./store/sqlite", run: "^TestListsSkipWhatDoesNotOpen$"}, says: "got 0 authorizers",
		},
		{
			name: "a backup is not of one instant", breaks: "INV-31",
			edits: []edit{{"internal/sqlstore/archive.go", "err := s.engine.Snapshot(ctx,", "err := s.engine.Read(ctx,"}},
			check: check{pkg: "./store/sqlite", run: "^TestArchive$/^as_of_one_instant$"}, says: "--- FAIL: TestArchive",
		},
		{
			name: "rekeying overwrites what was stored meanwhile", breaks: "INV-34",
			edits: []edit{{"internal/sqlstore/reseal.go", "condition, same := equal(append(slices.Clone(t.binds), u.columns...), u.row)", "condition, same := equal(slices.Clone(t.key), u.row)"}},
			check: check{pkg: "./store/sqlite", run: "^TestResealDoesNotUndo$"}, says: "stored are \"access old\"",
		},
		{
			name: "a newer schema is not refused", breaks: "INV-30",
			edits: []edit{{"internal/sqlkit/migrate.go", "if newest > len(names) {", "if newest > len(names) && format > newest {"},
				{"internal/sqlkit/migrate.go", "return names[format:], nil", "return names[min(format, len(names)):], nil"}},
			check: check{pkg: "./store/sqlite", run: "^TestNewerDatabaseIsRefused$"}, says: "--- FAIL: TestNewerDatabaseIsRefused",
		},
		{
			name: "a migration that is cut short does not go on", breaks: "INV-30",
			edits: []edit{{"internal/sqlkit/migrate.go", `begin, commit, rollback := "BEGIN", "COMMIT", "ROLLBACK"`, `begin, commit, rollback := "", "", ""`}},
			check: check{pkg: "./internal/sqlkit", run: "^TestFailedMigrationLeavesNothing$"}, says: "--- FAIL: TestFailedMigrationLeavesNothing",
		},
	}
}
