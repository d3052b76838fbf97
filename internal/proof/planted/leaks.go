//go:build unix

package main

// leakBugs let a secret out.
func leakBugs() []bug {
	return []bug{
		{
			name: "an error of the HTTP client is passed on with its URL", breaks: "INV-22",
			edits: []edit{{"wxapi/errors.go", "if !errors.As(err, &withURL) || withURL.Err == nil {", "if !errors.As(err, &withURL) || withURL.Err != nil {"},
				{"wxapi/errors.go", "if clean := scrubText(text, secrets); clean != text {", "if clean := scrubText(text, secrets); clean != text && len(secrets) > 1000 {"}},
			check: check{pkg: "./wxapi", run: "^TestNoSecretInErrors$"}, says: "--- FAIL: TestNoSecretInErrors",
		},
		{
			name: "%v of a secret prints it", breaks: "INV-22",
			edits: []edit{{"secret.go", "{ _, _ = io.WriteString(f, s.Fingerprint()) }", "{ _, _ = io.WriteString(f, s.value) }"}},
			check: check{pkg: ".", run: "^TestSecretDoesNotLeaveByAccident$"}, says: "%v of tuoguan.Secret prints",
		},
		{
			name: "%v of a configuration prints the password of the database", breaks: "INV-22",
			edits: []edit{{"internal/config/decode.go", "{ _, _ = fmt.Fprint(f, c.Redacted()) }", "{ _, _ = fmt.Fprint(f, c.Storage, c.Redacted()) }"}},
			check: check{pkg: "./internal/config", run: "^TestRedacted$"}, says: `"app-secret" is in`,
		},
	}
}
