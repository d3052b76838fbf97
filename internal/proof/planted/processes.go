//go:build unix

package main

// processBugs are those that rounds with real processes have to find: what only shows
// when a process or the power is gone, or in what a server leaves behind.
func processBugs() []bug {
	kill, power := check{round: "kill"}, check{round: "power"}
	return []bug{
		{
			name: "SQLite runs with synchronous=NORMAL, and a server has it", breaks: "INV-13",
			edits: []edit{
				{"store/sqlite/engine.go", `"journal_mode(wal)", "synchronous(full)", "wal_autocheckpoint(0)",`, `"journal_mode(wal)", "synchronous(normal)", "wal_autocheckpoint(0)",`},
				{"store/sqlite/sqlite.go", `{"synchronous", "2",`, `{"synchronous", "1",`},
			},
			check: power, says: "INV-13 ",
		},
		{
			name: "a push is answered a moment before it is stored, by a server that is killed", breaks: "INV-13",
			edits: []edit{
				{"push/handler.go", "\tvar outcome Outcome\n\tf.err = h.guard(", "\tvar outcome Outcome\n\tclose(f.stored)\n\ttime.Sleep(20 * time.Millisecond)\n\tf.err = h.guard("},
				{"push/handler.go", "\tclose(f.stored)\n\tif f.err != nil {", "\tif f.err != nil {"},
				{"push/handler.go", "\ttimer.Reset(time.Until(start.Add(h.config.ReplyTimeout)))\n", "\tif p.MsgType == \"\" {\n\t\treturn nil, result\n\t}\n\ttimer.Reset(time.Until(start.Add(h.config.ReplyTimeout)))\n"},
			},
			check: kill, says: "INV-13 ",
		},
		{
			name: "a server logs a token", breaks: "INV-22",
			edits: []edit{{"keeper/component.go", `k.log.Info("component token obtained", `, `k.log.Info("component token obtained", "value", reply.Value.Reveal(), `}},
			check: kill, says: "INV-22 ",
		},
		{
			name: "a server stores tickets in the clear, in the keys of their pushes", breaks: "INV-22",
			edits: []edit{{"push/push.go", "\t\tkey = append(key, \"component_verify_ticket\"...)\n", "\t\tkey = append(append(key, \"component_verify_ticket\"...), p.Field(\"ComponentVerifyTicket\")...)\n"}},
			check: kill, says: "INV-22 ",
		},
		{
			name: "a server takes a push that has a parameter twice", breaks: "INV-19",
			edits: []edit{{"push/handler.go", "if len(values[name]) != 1 || values[name][0] == \"\" {", "if len(values[name]) < 1 || values[name][0] == \"\" {"}},
			check: kill, says: "INV-19 ",
		},
		{
			name: "a server tells why it refuses a push", breaks: "INV-21",
			edits: []edit{{"push/handler.go", "answer(w, http.StatusForbidden, refusedBody)", "answer(w, http.StatusForbidden, string(refused.reason)+refusedBody[:0])"}},
			check: kill, says: "INV-21 ",
		},
		{
			name: "a replica takes a lease that another one holds", breaks: "INV-6",
			edits: []edit{{"internal/sqlstore/lease.go", "remaining > 0 && held.Holder != holder {", "remaining > 24*time.Hour && held.Holder != holder {"}},
			check: check{pkg: "./cmd/tuoguan", run: "^TestOneRefreshForAllReplicas$/^PostgreSQL$/^800_ms$"}, says: "refreshes at WeChat, want 1",
		},
		{
			name: "a replica does not look at what others have changed", breaks: "INV-8",
			edits: []edit{{"keeper/replica.go", "\t\tif err := k.look(ctx); err != nil && ctx.Err() == nil {", "\t\tk.cache.trust(k.cache.now() + trustFor)\n\t\tif err := ctx.Err(); err != nil {"}},
			check: check{pkg: "./cmd/tuoguan", run: "^TestReplicasTellEachOther$/^PostgreSQL$"}, says: "the other replica still hands out the old token",
		},
		{
			name: "a server on a restored backup refreshes beside the one that it was made of", breaks: "INV-32",
			edits: []edit{{"internal/storage/archive.go", "keeper.GateSetting:  keeper.Gate{ClosedAt: restoredAt, Reason: ReasonRestored},", "keeper.GateSetting:  keeper.Gate{},"}},
			check: check{pkg: "./cmd/tuoguan", run: "^TestTwinFromABackup$/^SQLite$"}, says: "--- FAIL: TestTwinFromABackup",
		},
	}
}
