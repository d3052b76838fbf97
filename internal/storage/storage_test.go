package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/backup"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/internal/services/servicetest"
	"github.com/tuoguan/tuoguan/internal/storage"
	"github.com/tuoguan/tuoguan/store"
)

const (
	component = tuoguan.ComponentAppID("wx0123456789abcdef")
	canary    = "refreshtoken@@@canary"
)

var account = tuoguan.Authorization{Component: component, Authorizer: "wxaaaaaaaaaaaaaaaa"}

// sqliteConfig is a configuration with everything in a directory of its own.
func sqliteConfig(t testing.TB) config.Config {
	dir := t.TempDir()
	cfg := config.Default()
	cfg.Storage = "sqlite://" + filepath.Join(dir, "test.db")
	cfg.MasterKeyFile = filepath.Join(dir, "master.key")
	return cfg
}

func open(t testing.TB, cfg config.Config) *storage.Opened {
	t.Helper()
	opened, err := storage.Open(t.Context(), cfg, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	return opened
}

func closed(t testing.TB, opened *storage.Opened) {
	t.Helper()
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
}

// fill stores a component, and an account with its tokens.
func fill(t testing.TB, s store.Store) {
	t.Helper()
	now := time.Now()
	err := s.PutComponent(t.Context(), store.Component{
		AppID: component, Secret: tuoguan.NewSecret("secret"), Token: tuoguan.NewSecret("token"), EncodingAESKey: tuoguan.NewSecret("key"),
		CreatedAt: now, UpdatedAt: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.SaveGrant(t.Context(), store.Grant{
		Authorization: account, ObtainedAt: now, RefreshAt: now, AuthorizedAt: now, Source: store.FromExchange,
		Tokens: tuoguan.TokenSet{AccessToken: tuoguan.NewSecret("access"), RefreshToken: tuoguan.NewSecret(canary), ExpiresAt: now.Add(time.Hour)},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// filled reports whether what fill stored is there.
func filled(t testing.TB, s store.Store) bool {
	t.Helper()
	a, err := s.Authorizer(t.Context(), account)
	if errors.Is(err, store.ErrNotFound) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	return a.Tokens.RefreshToken.Reveal() == canary
}

func gateReason(t testing.TB, s store.Settings) string {
	t.Helper()
	gate, err := storage.Gate(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if gate.ClosedAt.IsZero() != (gate.Reason == "") || len(gate.Opened) > 0 {
		t.Errorf("the gate is %+v", gate)
	}
	return gate.Reason
}

func TestOpenAgain(t *testing.T) {
	t.Parallel()
	cfg := sqliteConfig(t)
	first := open(t, cfg)
	if first.Shared || first.Lost == nil || first.Engine != config.SQLite || first.Installation.ID == "" {
		t.Errorf("opened %+v", first)
	}
	if _, err := storage.Open(t.Context(), cfg, storage.Options{}); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("opened a second time: %v", err)
	}
	fill(t, first.Store)
	closed(t, first)
	second := open(t, cfg)
	if second.Copied || second.Installation.ID != first.Installation.ID || second.KEK.ID() != first.KEK.ID() {
		t.Errorf("it became another one: %+v, %+v", first, second)
	}
	if !filled(t, second.Store) || gateReason(t, second.Store) != "" {
		t.Error("what was stored is not there, or the gate is closed")
	}
}

func TestMasterKeyFromTheEnvironment(t *testing.T) {
	t.Parallel()
	cfg := sqliteConfig(t)
	cfg.MasterKeyFile, cfg.MasterKey = "", tuoguan.NewSecret(strings.Repeat("ab", 32))
	fill(t, open(t, cfg).Store)

	cfg = sqliteConfig(t)
	cfg.MasterKeyFile, cfg.MasterKey = "", tuoguan.NewSecret("canary-no-key")
	_, err := storage.Open(t.Context(), cfg, storage.Options{})
	if err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "TUOGUAN_MASTER_KEY") {
		t.Errorf("got %v", err)
	}
}

func TestWrongAndMissingKey(t *testing.T) {
	t.Parallel()
	cfg := sqliteConfig(t)
	opened := open(t, cfg)
	id := opened.KEK.ID()
	closed(t, opened)

	other := cfg
	other.MasterKeyFile = ""
	other.MasterKey = tuoguan.NewSecret(strings.Repeat("ab", 32))
	kek, err := storage.MasterKey(other, true)
	if err != nil {
		t.Fatal(err)
	}
	_, err = storage.Open(t.Context(), other, storage.Options{})
	if !errors.Is(err, seal.ErrWrongKey) || !strings.Contains(err.Error(), id) || !strings.Contains(err.Error(), kek.ID()) {
		t.Errorf("another key: %v", err)
	}
	if err := os.Rename(cfg.MasterKeyFile, cfg.MasterKeyFile+".away"); err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func(context.Context, config.Config, storage.Options) (*storage.Opened, error){
		"Open": storage.Open, "OpenReader": storage.OpenReader, "Inspect": storage.Inspect,
	} {
		if _, err := open(t.Context(), cfg, storage.Options{}); !errors.Is(err, storage.ErrKeyMissing) {
			t.Errorf("%s without the key: %v", name, err)
		}
	}
	if _, err := os.Stat(cfg.MasterKeyFile); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another key was made: %v", err)
	}
}

// A copy of the files is another database that says it is the first.
func TestCopyClosesTheGate(t *testing.T) {
	t.Parallel()
	cfg := sqliteConfig(t)
	original := open(t, cfg)
	fill(t, original.Store)
	closed(t, original)

	twin := sqliteConfig(t)
	twin.MasterKeyFile = cfg.MasterKeyFile
	raw, err := os.ReadFile(cfg.SQLitePath())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(twin.SQLitePath(), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	inspected, err := storage.Inspect(t.Context(), twin, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if gateReason(t, inspected.Store) != "" {
		t.Error("looking at it has closed the gate")
	}
	closed(t, inspected)

	var log bytes.Buffer
	opened, err := storage.Open(t.Context(), twin, storage.Options{Logger: obs.NewLogger(&log, "info", "json")})
	if err != nil {
		t.Fatal(err)
	}
	if !opened.Copied || gateReason(t, opened.Store) != storage.ReasonCopied || !strings.Contains(log.String(), "not the one that it was") {
		t.Errorf("copied %t, gate %q, log %s", opened.Copied, gateReason(t, opened.Store), &log)
	}
	if !filled(t, opened.Store) {
		t.Error("the copy does not open")
	}
	closed(t, opened)

	again := open(t, twin)
	if again.Copied || gateReason(t, again.Store) != storage.ReasonCopied {
		t.Errorf("the second time: copied %t, gate %q", again.Copied, gateReason(t, again.Store))
	}
	if first := open(t, cfg); first.Copied || gateReason(t, first.Store) != "" {
		t.Error("the original suffers from its copy")
	}

	moved := sqliteConfig(t)
	moved.MasterKeyFile = cfg.MasterKeyFile
	closed(t, again)
	if err := os.Rename(twin.SQLitePath(), moved.SQLitePath()); err != nil {
		t.Fatal(err)
	}
	if opened := open(t, moved); opened.Copied {
		t.Error("a file that was renamed counts as a copy")
	}
}

func makeBackup(t testing.TB, opened *storage.Opened) []byte {
	t.Helper()
	var file bytes.Buffer
	if _, err := opened.Backup(t.Context(), &file, "v1", nil); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(file.Bytes(), []byte(canary)) {
		t.Error("a secret is readable in the backup")
	}
	return file.Bytes()
}

func restore(t testing.TB, cfg config.Config, file []byte) error {
	t.Helper()
	kek, err := storage.MasterKey(cfg, true)
	if err != nil {
		t.Fatal(err)
	}
	b, err := backup.Open(t.Context(), bytes.NewReader(file), kek, nil)
	if err != nil {
		t.Fatal(err)
	}
	return storage.Restore(t.Context(), cfg, storage.Options{}, b, kek, nil)
}

func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	cfg := sqliteConfig(t)
	source := open(t, cfg)
	fill(t, source.Store)
	// As a second process does, beside the one that runs.
	reader, err := storage.OpenReader(t.Context(), cfg, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	file := makeBackup(t, reader)
	if err := reader.Store.Probe(t.Context()); err == nil {
		t.Error("the reader writes")
	}
	closed(t, reader)

	target := sqliteConfig(t)
	target.MasterKeyFile = cfg.MasterKeyFile
	if err := restore(t, target, file); err != nil {
		t.Fatal(err)
	}
	restored := open(t, target)
	if !filled(t, restored.Store) {
		t.Error("what was backed up is not there")
	}
	if restored.Copied || gateReason(t, restored.Store) != storage.ReasonRestored {
		t.Errorf("copied %t, gate %q", restored.Copied, gateReason(t, restored.Store))
	}
	i := restored.Installation
	if i.ID != source.Installation.ID || i.BackupAt == nil || i.RestoredAt == nil || i.Binding == source.Installation.Binding {
		t.Errorf("it says of itself %+v, the one before said %+v", i, source.Installation)
	}
	closed(t, restored)

	// What is there is not overwritten, whatever it is.
	if err := restore(t, target, file); !errors.Is(err, storage.ErrNotEmpty) {
		t.Errorf("restored over something: %v", err)
	}
	aside, err := storage.MoveAside(target, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := restore(t, target, file); err != nil {
		t.Error(err)
	}
	kept := target
	kept.Storage = "sqlite://" + aside
	if !filled(t, open(t, kept).Store) {
		t.Error("what was moved aside is damaged")
	}
}

// A store that has been started once, and holds nothing yet, takes a backup.
func TestRestoreIntoAnEmptyInstallation(t *testing.T) {
	t.Parallel()
	cfg := sqliteConfig(t)
	source := open(t, cfg)
	fill(t, source.Store)
	file := makeBackup(t, source)

	target := sqliteConfig(t)
	target.MasterKeyFile = cfg.MasterKeyFile
	closed(t, open(t, target))
	if err := restore(t, target, file); err != nil {
		t.Fatal(err)
	}
	if restored := open(t, target); !filled(t, restored.Store) || gateReason(t, restored.Store) != storage.ReasonRestored {
		t.Error("it was not restored, or the gate is open")
	}
}

// changing is a file that becomes another one once it has been verified.
type changing struct {
	*bytes.Reader
	seeks int
}

func (c *changing) Seek(offset int64, whence int) (int64, error) {
	if c.seeks++; c.seeks > 3 { // Open: header, records; Verify: records
		c.Reader = bytes.NewReader(make([]byte, 4096))
		return offset, nil
	}
	return c.Reader.Seek(offset, whence)
}

func TestNothingOfADamagedBackupIsStored(t *testing.T) {
	t.Parallel()
	cfg := sqliteConfig(t)
	source := open(t, cfg)
	fill(t, source.Store)
	file := &changing{Reader: bytes.NewReader(makeBackup(t, source))}
	var _ io.ReadSeeker = file

	target := sqliteConfig(t)
	target.MasterKeyFile = cfg.MasterKeyFile
	kek, err := storage.MasterKey(cfg, true)
	if err != nil {
		t.Fatal(err)
	}
	b, err := backup.Open(t.Context(), file, kek, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.Restore(t.Context(), target, storage.Options{}, b, kek, nil); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("restored with %v", err)
	}
	opened := open(t, target)
	components, err := opened.Store.Components(t.Context())
	if err != nil || len(components) > 0 || filled(t, opened.Store) {
		t.Errorf("something was stored: %v, %v", components, err)
	}
}

func TestPending(t *testing.T) {
	t.Parallel()
	cfg := sqliteConfig(t)
	if _, err := storage.Pending(t.Context(), cfg); !errors.Is(err, storage.ErrMissing) {
		t.Errorf("where there is nothing: %v", err)
	}
	if _, err := storage.OpenReader(t.Context(), cfg, storage.Options{}); !errors.Is(err, storage.ErrMissing) {
		t.Errorf("where there is nothing to read: %v", err)
	}
	open(t, cfg)
	if pending, err := storage.Pending(t.Context(), cfg); err != nil || len(pending) > 0 {
		t.Errorf("beside a server that runs: %v, %v", pending, err)
	}
}

// shared returns configurations for an empty database of every server at hand.
func shared(t *testing.T) map[string]func(t testing.TB) config.Config {
	on := func(database func(testing.TB) string) func(t testing.TB) config.Config {
		return func(t testing.TB) config.Config {
			cfg := sqliteConfig(t)
			cfg.Storage = database(t)
			return cfg
		}
	}
	return map[string]func(t testing.TB) config.Config{
		"PostgreSQL": on(func(t testing.TB) string { return servicetest.Postgres(t) }),
		"MariaDB":    on(func(t testing.TB) string { return servicetest.MariaDB(t) }),
	}
}

func TestShared(t *testing.T) {
	t.Parallel()
	for name, database := range shared(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := database(t)
			if _, err := storage.OpenReader(t.Context(), cfg, storage.Options{}); !errors.Is(err, storage.ErrPending) {
				t.Errorf("reading what has no tables yet: %v", err)
			}
			first := open(t, cfg)
			if !first.Shared || first.Lost != nil || first.Engine != cfg.Engine() {
				t.Errorf("opened %+v", first)
			}
			fill(t, first.Store)
			second := open(t, cfg)
			if second.Copied || second.Installation.ID != first.Installation.ID || gateReason(t, second.Store) != "" {
				t.Errorf("the second is %+v, the first %+v", second.Installation, first.Installation)
			}
			if !filled(t, second.Store) {
				t.Error("what one stored the other does not see")
			}
			if pending, err := storage.Pending(t.Context(), cfg); err != nil || len(pending) > 0 {
				t.Errorf("pending: %v, %v", pending, err)
			}
			if err := os.Remove(cfg.MasterKeyFile); err != nil {
				t.Fatal(err)
			}
			if _, err := storage.Open(t.Context(), cfg, storage.Options{}); !errors.Is(err, storage.ErrKeyMissing) {
				t.Errorf("without the key: %v", err)
			}
		})
	}
}

// From one engine into another and back, nothing gets lost.
func TestRestoreAcrossEngines(t *testing.T) {
	t.Parallel()
	for name, database := range shared(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := sqliteConfig(t)
			source := open(t, one)
			fill(t, source.Store)

			many := database(t)
			many.MasterKeyFile = one.MasterKeyFile
			if err := restore(t, many, makeBackup(t, source)); err != nil {
				t.Fatal(err)
			}
			moved := open(t, many)
			if !filled(t, moved.Store) || moved.Copied || gateReason(t, moved.Store) != storage.ReasonRestored {
				t.Errorf("filled %t, copied %t, gate %q", filled(t, moved.Store), moved.Copied, gateReason(t, moved.Store))
			}
			if err := restore(t, many, makeBackup(t, source)); !errors.Is(err, storage.ErrNotEmpty) {
				t.Errorf("restored over something: %v", err)
			}

			back := sqliteConfig(t)
			back.MasterKeyFile = one.MasterKeyFile
			if err := restore(t, back, makeBackup(t, moved)); err != nil {
				t.Fatal(err)
			}
			if returned := open(t, back); !filled(t, returned.Store) || returned.Installation.ID != source.Installation.ID {
				t.Error("it did not come back as it was")
			}
		})
	}
}

func TestBindingOfPostgres(t *testing.T) {
	t.Parallel()
	database := shared(t)["PostgreSQL"]
	one, other := open(t, database(t)).Installation, open(t, database(t)).Installation
	if one.Binding == "" || one.Binding == other.Binding {
		t.Errorf("two databases on one server are bound to %q and %q", one.Binding, other.Binding)
	}
}
