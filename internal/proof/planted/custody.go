//go:build unix

package main

// simulation is the proof inside of one process, in simulated time.
func simulation(seeds string) check {
	return check{pkg: "./keeper", run: "^TestProof$", env: "PROOF_SEEDS=" + seeds, alone: true}
}

// custodyBugs are in what the keeper does with tokens. Where it can, the simulation
// has to find them; it runs on the store in memory, so bugs of a store are planted
// there too.
func custodyBugs() []bug {
	const refresh, flight, spill, gate, replica = "keeper/refresh.go", "keeper/flight.go", "keeper/spill.go", "keeper/gate.go", "keeper/replica.go"
	const authorizers = "store/memory/authorizer.go"
	proof := simulation("24")
	return []bug{
		{
			name: "the epoch is left out of the compare-and-swap, in memory", breaks: "INV-7",
			edits: []edit{{authorizers, "|| a.State == tuoguan.StateRevoked || a.Epoch >= w.Epoch {", "|| a.State == tuoguan.StateRevoked {"}},
			check: proof, says: "INV-7: the epoch goes back",
		},
		{
			name: "the refresh token of a fenced holder is thrown away, in memory", breaks: "INV-5",
			edits: []edit{{authorizers, "\t\ts.remember(store.RefreshToken{\n\t\t\tAuthorization: w.Authorization, Grant: w.Grant,\n", "\t\tif a.Grant == w.Grant && a.State != tuoguan.StateRevoked && a.Epoch < w.Epoch {\n\t\ts.remember(store.RefreshToken{\n\t\t\tAuthorization: w.Authorization, Grant: w.Grant,\n"},
				{authorizers, "Value: w.Tokens.RefreshToken, Source: w.Source, ReceivedAt: w.ObtainedAt,\n\t\t})\n", "Value: w.Tokens.RefreshToken, Source: w.Source, ReceivedAt: w.ObtainedAt,\n\t\t})\n\t\t}\n"}},
			check: proof, says: "INV-5: refresh token",
		},
		{
			name: "an empty refresh token replaces the stored one, in memory", breaks: "INV-3",
			edits: []edit{{authorizers, "\t\tif w.Tokens.RefreshToken.IsZero() {\n\t\t\tw.Tokens.RefreshToken = w.Used\n\t\t}\n", ""},
				{authorizers, "\tif set.RefreshToken.IsZero() {\n", "\tif set.RefreshToken.IsZero() && epoch == 0 {\n"}},
			check: proof, says: "INV-3: the refresh token is gone",
		},
		{
			name: "a refresh that was under way brings a revoked authorization back, in memory", breaks: "INV-9",
			edits: []edit{{authorizers, "if a.Grant != w.Grant || a.State == tuoguan.StateRevoked || a.Epoch >= w.Epoch {", "if a.Grant != w.Grant || a.Epoch >= w.Epoch {"}},
			check: proof, says: "INV-9: a revoked authorization becomes active",
		},
		{
			name: "WeChat is asked though the store did not take the claim", breaks: "INV-1",
			edits: []edit{{flight, "\t\tcase !errors.As(err, &held):\n\t\t\tk.health.failedToStore(err, k.now())\n\t\t\treturn nil,", "\t\tcase !errors.As(err, &held):\n\t\t\tif err != nil {\n\t\t\t\treturn &claimed{Lease: store.Lease{Key: key, Epoch: time.Now().UnixNano()}, end: start.Add(k.cfg.LeaseTTL)}, nil\n\t\t\t}\n\t\t\treturn nil,"}},
			check: check{pkg: "./keeper", run: "^TestStoreThatCannotWriteStopsRefreshing$"}, says: "--- FAIL: TestStoreThatCannotWriteStopsRefreshing",
		},
		{
			name: "what the store does not take is dropped", breaks: "INV-5",
			edits: []edit{{spill, "\t\tif err == nil || errors.Is(err, store.ErrNotFound) {\n", "\t\tif err == nil || errors.Is(err, store.ErrNotFound) || a.Tokens != nil {\n"}},
			check: proof, says: "INV-",
		},
		{
			name: "nothing is written to the spill file", breaks: "INV-1b",
			edits: []edit{{spill, "\tif k.cfg.Spill == nil {\n\t\tclose(s.done)\n", "\tif k.cfg.Spill != nil || k.cfg.Spill == nil {\n\t\tclose(s.done)\n"}},
			check: proof, says: "INV-1b: ",
		},
		{
			name: "the spill file is written after the store gave up only", breaks: "INV-1b",
			edits: []edit{{spill, "const spillAfter = 40 * time.Millisecond", "const spillAfter = 400 * time.Second"},
				{spill, "\t\ts.hurry()\n", ""}},
			check: proof, says: "INV-1b: ",
		},
		{
			name: "the spill file is not drained", breaks: "INV-1b",
			edits: []edit{{spill, "\tif k.cfg.Spill == nil || k.drained.Load() {\n", "\tif k.cfg.Spill == nil || !k.drained.Load() {\n"}},
			check: check{pkg: "./keeper", run: "^TestSpillIsDrained$", alone: true}, says: "the refresh token that was in the spill is lost",
		},
		{
			name: "61023 is believed at once", breaks: "INV-4",
			edits: []edit{{refresh, "case t.Info.SuspectSince.IsZero(), t.State == tuoguan.StateActive &&", "case t.Info.Failures == 0, t.Info.Failures == 0 && t.State == tuoguan.StateActive &&"}},
			check: proof, says: "INV-4: parked after 1 denials",
		},
		{
			name: "after a denial nothing else is tried", breaks: "INV-4",
			edits: []edit{{refresh, "\tif denied(err) {\n\t\ttoken, err = k.recover(", "\tif denied(err) && len(tried) > 1 {\n\t\ttoken, err = k.recover("}},
			check: proof, says: "INV-4: ",
		},
		{
			name: "a refresh whose outcome is unknown is sent to the next host", breaks: "INV-6",
			edits: []edit{{"wxapi/client.go", "return r.repeatable || errors.Is(err, ErrNotSent)", "return r.repeatable || err != nil"}},
			check: check{pkg: "./wxapi", run: "^TestFailOver$"}, says: "--- FAIL: TestFailOver",
		},
		{
			name: "a report of an old token expires whatever is there", breaks: "INV-6",
			edits: []edit{{"keeper/keeper.go", "\tif e := k.cache.get(owner); e != nil && !e.token.Value.Equal(failed) {\n\t\treturn e.token, nil\n\t}\n\tk.cache.dropToken(owner, failed)\n", "\tk.cache.drop(owner)\n\tif e, err := k.stored(ctx, owner); err == nil {\n\t\tfailed = e.Value\n\t}\n"}},
			check: check{pkg: "./keeper", run: "^TestInvalidate$"}, says: "--- FAIL: TestInvalidate",
		},
		{
			name: "memory ignores a revocation", breaks: "INV-9",
			edits: []edit{{"keeper/intake.go", "\tcase !in.Revoke.IsZero():\n\t\tk.cache.drop(tuoguan.AuthorizerToken(authorization.Component, authorization.Authorizer))\n", "\tcase !in.Revoke.IsZero():\n"}},
			check: check{pkg: "./keeper", run: "^TestRevocation$", alone: true}, says: "--- FAIL: TestRevocation",
		},
		{
			name: "memory ignores what other replicas have changed", breaks: "INV-9",
			edits: []edit{{replica, "k.cache.dropUnless(ch.Owner, version{ch.Grant, ch.Epoch}, active)", "_ = active"}},
			check: proof, says: "INV-9: ",
		},
		{
			name: "a replica that was cut off believes its memory", breaks: "INV-9",
			edits: []edit{{replica, "trustFor = 900 * time.Millisecond", "trustFor = 900 * time.Second"}},
			check: check{pkg: "./keeper", run: "^TestReplicaThatHearsNothingAsks$", alone: true}, says: "does not ask",
		},
		{
			name: "the clock of a replica is not set to that of the database", breaks: "INV-33",
			edits: []edit{{replica, "\tk.synced.Store(&reading{theirs, asked})\n", "\tif mine := asked.Add(k.clock.Offset()); mine.Sub(theirs).Abs() < 11*time.Minute {\n\t\ttheirs = mine\n\t}\n\tk.synced.Store(&reading{theirs, asked})\n"}},
			check: proof, says: "INV-33: ",
		},
		{
			name: "a token is served to its last second", breaks: "INV-8",
			edits: []edit{{"keeper/cache.go", "e.serveUntil = c.now() + t.ExpiresAt.Sub(c.wall()) - minServe", "e.serveUntil = c.now() + t.ExpiresAt.Sub(c.wall()) + minServe"}},
			check: proof, says: "INV-8: ",
		},
		{
			name: "the old token is served while a new authorization is awaited", breaks: "INV-9",
			edits: []edit{{"keeper/exchange.go", "\t_, ok := k.expected[owner.Authorization()]\n\treturn ok\n", "\t_, ok := k.expected[owner.Authorization()]\n\treturn ok && k.closed\n"},
				{"keeper/exchange.go", "\tif !ok {\n\t\treturn nil\n\t}\n\te := expected.Exchange\n", "\tif !ok || !k.closed {\n\t\treturn nil\n\t}\n\te := expected.Exchange\n"}},
			check: proof, says: "INV-9: ",
		},
		{
			name: "the gate is not respected", breaks: "INV-31",
			edits: []edit{{gate, "if err == nil && stage != gateOpen && stage != needed {", "if err == nil && stage != gateOpen && stage != needed && k.gateless.Load() {"}},
			check: proof, says: "INV-31: ",
		},
		{
			name: "the gate opens without a ticket", breaks: "INV-32",
			edits: []edit{{gate, "\tif len(tickets) == 0 || !tickets[0].ReceivedAt.After(g.ClosedAt) {\n", "\tif len(tickets) == 0 {\n"}},
			check: proof, says: "INV-32: ",
		},
		{
			name: "the comparison with WeChat's list gives up what is not in it", breaks: "INV-4",
			edits: []edit{{"keeper/reconcile.go", "\t\t\tr.Unlisted++\n", "\t\t\tr.Unlisted++\n\t\t\ta.State = tuoguan.StateNeedsReauthorization\n"}},
			check: proof, says: "INV-4: parked after 0 denials",
		},
		{
			name: "a failed refresh is tried again at once", breaks: "INV-27",
			edits: []edit{{refresh, "t.RefreshAt = now.Add(time.Duration(share * float64(nextLook(now.Sub(t.Info.SuspectSince)))))", "t.RefreshAt = now"}},
			check: check{pkg: "./keeper", run: "^TestDeadAuthorizationIsParked$"}, says: "--- FAIL: TestDeadAuthorizationIsParked",
		},
		{
			name: "refreshes have no jitter", breaks: "INV-33",
			edits: []edit{{flight, "share := 0.5 + 0.4*jitter(owner,", "share := 0.5 + 0*jitter(owner,"}},
			check: check{pkg: "./keeper", run: "^TestRefreshesAreSpread$"}, says: "--- FAIL: TestRefreshesAreSpread",
		},
		{
			name: "every replica has the whole rate to itself", breaks: "INV-27",
			edits: []edit{{replica, "return float64(k.cfg.RefreshRate) / float64(max(k.replica.alive, 1))", "return float64(k.cfg.RefreshRate)"}},
			check: check{pkg: "./keeper", run: "^TestReplicasShareTheRate$"}, says: "--- FAIL: TestReplicasShareTheRate",
		},
		{
			name: "a push is answered before it is stored, in the simulation", breaks: "INV-13",
			edits: []edit{{"push/handler.go", "\tvar outcome Outcome\n\tf.err = h.guard(", "\tvar outcome Outcome\n\tclose(f.stored)\n\tf.err = h.guard("},
				{"push/handler.go", "\tclose(f.stored)\n\tif f.err != nil {", "\tif f.err != nil {"}},
			check: proof, says: "INV-13: ",
		},
		{
			name: "pushes are told apart by their nonce", breaks: "INV-15",
			edits: []edit{{"push/push.go", "p.Generation = message.Generation", "p.Generation, p.nonce = message.Generation, q.Nonce"},
				{"push/push.go", "\tkey := make([]byte, 0, 160)\n", "\tkey := append(make([]byte, 0, 160), p.nonce...)\n"},
				{"push/push.go", "\tGeneration wxcrypt.Generation\n", "\tGeneration wxcrypt.Generation\n\tnonce string\n"}},
			check: proof, says: "INV-15: ",
		},
		{
			name: "a lease outlives its holder", breaks: "INV-28",
			edits: []edit{{"store/memory/lease.go", "remaining > 0 && old.Holder != holder {", "(remaining > 0 || old.Holder != \"\") && old.Holder != holder {"}},
			check: proof, says: "INV-28: ",
		},
		{
			name: "the same seed does not lead to the same history", breaks: "INV-37",
			edits: []edit{{flight, "\treturn float64(x>>11) / (1 << 53)\n", "\tx = rand.Uint64()\n\treturn float64(x>>11) / (1 << 53)\n"},
				{flight, "\t\"hash/fnv\"\n", "\t\"hash/fnv\"\n\t\"math/rand/v2\"\n"}},
			check: check{pkg: "./keeper", run: "^TestProofIsRepeatable$", alone: true}, says: "two runs had different histories",
		},
	}
}
