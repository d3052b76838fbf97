//go:build unix

package main

// keyBugs are in what seals, and in backups.
func keyBugs() []bug {
	const rekey = "internal/seal/rekey.go"
	return []bug{
		{
			name: "a value is not bound to its place", breaks: "INV-23",
			edits: []edit{{"internal/seal/root.go", "return append(append([]byte(nil), header...), place.String()...)", "return append(append([]byte(nil), header...), place.Field...)"}},
			check: check{pkg: "./internal/seal", run: "^TestValueOpensOnlyInItsPlace$"}, says: "--- FAIL: TestValueOpensOnlyInItsPlace",
		},
		{
			name: "secrets are stored as they are", breaks: "INV-22",
			edits: []edit{{"internal/sqlstore/store.go", "sealed, err := s.cipher.Seal(place, plaintext)", "sealed, err := s.cipher.Seal(place, plaintext)\n\tsealed = append(sealed, plaintext...)"}},
			check: check{pkg: "./store/sqlite", run: "^TestNoSecretInTheFiles$"}, says: "--- FAIL: TestNoSecretInTheFiles",
		},
		{
			name: "a store is opened with the wrong master key", breaks: "INV-23",
			edits: []edit{{"internal/storage/storage.go", "opened.Ring, err = seal.Open(ctx, opened.KEK, settings)\n\t\treturn opened.Ring, err", "opened.Ring, err = seal.Open(ctx, opened.KEK, settings)\n\t\tif err != nil {\n\t\t\treturn seal.Plain{}, nil\n\t\t}\n\t\treturn opened.Ring, err"}},
			check: check{pkg: "./internal/storage", run: "^TestWrongAndMissingKey$"}, says: "--- FAIL: TestWrongAndMissingKey",
		},
		{
			name: "rekeying retires the old key before everything is sealed anew", breaks: "INV-34",
			edits: []edit{{rekey, "\tcase Settle:\n\t\tj.Phase = Reseal\n", "\tcase Settle:\n\t\tj.Phase = Retire\n"}},
			check: check{pkg: "./internal/seal", run: "^TestRekey$"}, says: "--- FAIL: TestRekey",
		},
		{
			name: "rekeying gives up the old keys though a value does not open", breaks: "INV-34",
			edits: []edit{{rekey, "case j.Failed > 0:\n", "case j.Failed > 1000:\n"}},
			check: check{pkg: "./internal/seal", run: "^TestValueThatDoesNotOpenKeepsTheOldKeys$"}, says: "--- FAIL: TestValueThatDoesNotOpenKeepsTheOldKeys",
		},
		{
			name: "a new key seals before all processes have it", breaks: "INV-34",
			edits: []edit{{rekey, "c.add(number, randomKey(), time.Now())\n", "c.add(number, randomKey(), time.Now())\n\t\tc.Current = number\n"}},
			check: check{pkg: "./internal/seal", run: "^TestNewVersionIsAnnouncedBeforeItSeals$"}, says: "--- FAIL: TestNewVersionIsAnnouncedBeforeItSeals",
		},
		{
			name: "the head of a backup is not authenticated", breaks: "INV-31",
			edits: []edit{{"internal/backup/read.go", "head: sha256.Sum256(line),", "head: sha256.Sum256(h.DataKey),"},
				{"internal/backup/write.go", "newFrames(dataKey, sha256.Sum256(first))", "newFrames(dataKey, sha256.Sum256(wrapped))"}},
			check: check{pkg: "./internal/backup", run: "^TestEveryAlterationIsNoticed$"}, says: "bit",
		},
		{
			name: "the end of a backup is not verified", breaks: "INV-31",
			edits: []edit{{"internal/backup/read.go", "if t.SHA256 != got || !maps.Equal(t.Records, d.counts) {", "if t.SHA256 != got && !maps.Equal(t.Records, t.Records) {"}},
			check: check{pkg: "./internal/backup", run: "^TestTheEndIsVerified$"}, says: "--- FAIL: TestTheEndIsVerified",
		},
		{
			name: "a backup that breaks off is restored as far as it goes", breaks: "INV-31",
			edits: []edit{{"internal/sqlstore/archive.go", "err = ctx.Err()\n\t\t}\n\t\tif err != nil {\n\t\t\treturn err\n", "err = ctx.Err()\n\t\t}\n\t\tif err != nil {\n\t\t\tbreak\n"}},
			check: check{pkg: "./store/sqlite", run: "^TestArchive$/^nothing_of_what_cannot_be_loaded$"}, says: "--- FAIL: TestArchive/nothing_of_what_cannot_be_loaded",
		},
		{
			name: "a restored database has no gate", breaks: "INV-31",
			edits: []edit{{"internal/storage/archive.go", "keeper.GateSetting:  keeper.Gate{ClosedAt: restoredAt, Reason: ReasonRestored},", "keeper.GateSetting:  keeper.Gate{},"}},
			check: check{pkg: "./internal/storage", run: "^TestBackupAndRestore$"}, says: "--- FAIL: TestBackupAndRestore",
		},
		{
			name: "a copy of a database goes to work beside the original", breaks: "INV-32",
			edits: []edit{{"internal/storage/identity.go", "if i.ID != \"\" && (binding == \"\" || i.Binding == binding) {", "if i.ID != \"\" {"}},
			check: check{pkg: "./internal/storage", run: "^TestCopyClosesTheGate$"}, says: "--- FAIL: TestCopyClosesTheGate",
		},
	}
}
