package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/internal/sqlkit"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/sqlite"
	"github.com/tuoguan/tuoguan/store/storetest"
)

func newCipher(t testing.TB, fill byte) store.Cipher {
	t.Helper()
	c, err := seal.New(bytes.Repeat([]byte{fill}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "test.db") }

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Keys: store.Under(newCipher(t, 1))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// sqlDB opens the file as another program would.
func sqlDB(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func execSQL(t testing.TB, path, query string, args ...any) {
	t.Helper()
	db := sqlDB(t, path)
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, clock *tuoguan.Clock) store.Store {
		s, err := sqlite.Open(t.Context(), sqlite.Config{Path: newPath(t), Keys: store.Under(newCipher(t, 1)), Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestArchive(t *testing.T) {
	t.Parallel()
	storetest.RunArchive(t, func(t *testing.T, clock *tuoguan.Clock, keys store.Keys) storetest.Archived {
		s, err := sqlite.Open(t.Context(), sqlite.Config{Path: newPath(t), Keys: keys, Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestConfigListsEveryMistake(t *testing.T) {
	t.Parallel()
	_, err := sqlite.Open(t.Context(), sqlite.Config{})
	if err == nil || !strings.Contains(err.Error(), "Path") || !strings.Contains(err.Error(), "Keys") {
		t.Errorf("got %v", err)
	}
}

var account = tuoguan.Authorization{Component: "wxc", Authorizer: "wxa"}

// plant stores one of every secret there is and returns them.
func plant(t testing.TB, s *sqlite.Store) (canaries []string) {
	t.Helper()
	secret := func(name string) tuoguan.Secret {
		canaries = append(canaries, "canary-of-the-"+name)
		return tuoguan.NewSecret("canary-of-the-" + name)
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, now := t.Context(), time.Now()
	ok(s.PutComponent(ctx, store.Component{
		AppID: "wxc", Secret: secret("app secret"), Token: secret("token"), EncodingAESKey: secret("aes key"),
		PreviousToken: secret("previous token"), PreviousEncodingAESKey: secret("previous aes key"),
	}))
	_, err := s.SaveComponentToken(ctx, store.ComponentToken{Component: "wxc", Value: secret("component token"), Epoch: 1})
	ok(err)
	_, _, err = s.SaveGrant(ctx, store.Grant{
		Authorization: account, ObtainedAt: now, Source: store.FromExchange,
		Tokens: tuoguan.TokenSet{AccessToken: secret("access token"), RefreshToken: secret("refresh token")},
	})
	ok(err)
	_, err = s.SaveTokens(ctx, store.TokenWrite{
		Authorization: account, Grant: 1, Epoch: 1, ObtainedAt: now, Source: store.FromRefresh,
		Tokens: tuoguan.TokenSet{AccessToken: secret("second access token"), RefreshToken: secret("second refresh token")},
	})
	ok(err)
	_, err = s.AppendRefreshToken(ctx, store.RefreshToken{Authorization: account, Grant: 1, Value: secret("candidate")})
	ok(err)
	_, _, err = s.PutExchange(ctx, store.Exchange{Component: "wxc", CodeHash: "h1", Code: secret("code"), State: store.ExchangePending})
	ok(err)
	ticket := store.Ticket{Component: "wxc", Value: secret("ticket"), CreatedAt: now}
	_, _, err = s.AcceptPush(ctx, store.Intake{
		Push:   store.Push{Key: "k1", Component: "wxc", Body: []byte(secret("push").Reveal())},
		Ticket: &ticket,
	})
	ok(err)
	pushed := store.Exchange{Component: "wxc", CodeHash: "h2", Code: secret("pushed code"), State: store.ExchangePending}
	_, _, err = s.AcceptPush(ctx, store.Intake{Push: store.Push{Key: "k2", Component: "wxc"}, Exchange: &pushed})
	ok(err)
	_, err = s.PutSubscription(ctx, store.Subscription{ID: "sub_1", Secrets: []byte(secret("subscription secret").Reveal())})
	ok(err)
	ok(s.SaveReply(ctx, "k1", []byte(secret("reply").Reveal())))
	_, err = s.PutUser(ctx, store.User{ID: "u1", Name: "ming", Password: secret("password").Reveal(), TOTP: secret("one-time secret")})
	ok(err)
	return canaries
}

func TestNoSecretInTheFiles(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := open(t, path)
	canaries := plant(t, s)
	search := func(when string) {
		files, err := filepath.Glob(path + "*")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, canary := range canaries {
				for encoding, text := range map[string]string{
					"as it is": canary, "hexadecimal": hex.EncodeToString([]byte(canary)),
					"base64": base64.RawStdEncoding.EncodeToString([]byte(canary))[:20],
				} {
					if bytes.Contains(content, []byte(text)) {
						t.Errorf("%s: %s holds %q %s", when, filepath.Base(file), canary, encoding)
					}
				}
			}
			if strings.HasSuffix(file, "-wal") && len(content) == 0 {
				t.Error("the log is empty: nothing was searched")
			}
		}
	}
	search("open")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	search("closed")
}

func TestDamagedValuesAreQuarantinedAlone(t *testing.T) {
	t.Parallel()
	// read reads what the damaged column is for; other is what must still work.
	type reading func(*sqlite.Store) error
	authorizer := func(s *sqlite.Store) error { _, err := s.Authorizer(t.Context(), account); return err }
	history := func(s *sqlite.Store) error { _, err := s.RefreshTokens(t.Context(), account); return err }
	component := func(s *sqlite.Store) error { _, err := s.Component(t.Context(), "wxc"); return err }
	tickets := func(s *sqlite.Store) error { _, err := s.Tickets(t.Context(), "wxc"); return err }
	push := func(s *sqlite.Store) error { _, err := s.Push(t.Context(), 1); return err }
	exchange := func(s *sqlite.Store) error { _, err := s.Exchange(t.Context(), "wxc", "h1"); return err }
	due := func(s *sqlite.Store) error { _, err := s.DueExchanges(t.Context(), time.Now(), 9); return err }
	user := func(s *sqlite.Store) error { _, err := s.UserByName(t.Context(), "ming"); return err }
	componentToken := func(s *sqlite.Store) error { _, err := s.ComponentToken(t.Context(), "wxc"); return err }
	readings := map[string]reading{
		"authorizer": authorizer, "history": history, "component": component, "tickets": tickets,
		"push": push, "exchange": exchange, "due": due, "component token": componentToken, "user": user,
	}
	for _, tt := range []struct {
		column, table, where string
		hit                  []string
	}{
		{"access_token", "authorizers", "1", []string{"authorizer"}},
		{"refresh_token", "authorizers", "1", []string{"authorizer"}},
		{"value", "refresh_tokens", "id = 1", []string{"history"}},
		{"secret", "components", "1", []string{"component"}},
		{"previous_encoding_aes_key", "components", "1", []string{"component"}},
		{"value", "component_tokens", "1", []string{"component token"}},
		{"value", "tickets", "1", []string{"tickets"}},
		{"body", "pushes", "id = 1", []string{"push"}},
		{"reply", "pushes", "id = 1", []string{"push"}},
		{"code", "exchanges", "code_hash = 'h1'", []string{"exchange", "due"}},
		{"password", "users", "1", []string{"user"}},
		{"totp", "users", "1", []string{"user"}},
	} {
		t.Run(tt.table+"."+tt.column, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			s := open(t, path)
			plant(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			// The last byte of the value, so that its format still looks right.
			execSQL(t, path, fmt.Sprintf(`UPDATE %s SET %s = substr(%[2]s, 1, length(%[2]s) - 1) ||
				CASE substr(%[2]s, -1) WHEN x'00' THEN x'01' ELSE x'00' END WHERE %s`, tt.table, tt.column, tt.where))
			execSQL(t, path, fmt.Sprintf(`UPDATE %s SET %s = CAST(%[2]s AS BLOB) WHERE %s`, tt.table, tt.column, tt.where))
			s = open(t, path)
			for name, read := range readings {
				if err, hit := read(s), slices.Contains(tt.hit, name); errors.Is(err, store.ErrQuarantined) != hit || !hit && err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestListsSkipWhatDoesNotOpen(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := open(t, path)
	for i := range 3 {
		id := tuoguan.Authorization{Component: "wxc", Authorizer: tuoguan.AuthorizerAppID(fmt.Sprintf("wx%d", i))}
		_, _, err := s.SaveGrant(t.Context(), store.Grant{
			Authorization: id, Tokens: tuoguan.TokenSet{RefreshToken: tuoguan.NewSecret("r")},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// Another merchant's token in place of one's own.
	execSQL(t, path, `UPDATE authorizers SET refresh_token =
		(SELECT refresh_token FROM authorizers WHERE authorizer = 'wx2') WHERE authorizer = 'wx1'`)
	s = open(t, path)
	all, err := s.Authorizers(t.Context(), store.AuthorizerQuery{})
	if !errors.Is(err, store.ErrQuarantined) || !strings.Contains(err.Error(), "wxc/wx1") {
		t.Errorf("got error %v", err)
	}
	if len(all) != 2 || all[0].Authorizer != "wx0" || all[1].Authorizer != "wx2" {
		t.Errorf("got %d authorizers", len(all))
	}
}

func TestKeysMayRefuse(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	refusal := errors.New("another master key")
	_, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Keys: func(ctx context.Context, s store.Settings) (store.Cipher, error) {
		return nil, errors.Join(refusal, s.PutSetting(ctx, "ring", []byte("ring"), 0))
	}})
	if !errors.Is(err, refusal) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	s := open(t, path) // nothing holds it any more
	if ring, _, err := s.Setting(t.Context(), "ring"); err != nil || string(ring) != "ring" {
		t.Errorf("the keys have stored %q, %v", ring, err)
	}
}

// TestFirstFormatIsMigrated opens a database as the first version left it.
func TestFirstFormatIsMigrated(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	script, err := os.ReadFile("migrations/0001_init.sql")
	if err != nil {
		t.Fatal(err)
	}
	execSQL(t, path, string(script))
	execSQL(t, path, `CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY, name VARCHAR(191) NOT NULL, applied_at BIGINT NOT NULL);
		INSERT INTO schema_migrations VALUES (1, '0001_init.sql', 1);
		INSERT INTO meta (name, value) VALUES ('key_check', x'0102'), ('probe', zeroblob(9));
		INSERT INTO components VALUES ('wxc', x'00', x'00', x'00', NULL, NULL, 1, 2);
		INSERT INTO exchanges VALUES ('wxc', 'h', NULL, 'wxa', '', '', 1, 2, 'pending', 0, 0, 3, '', 4, 0);
		INSERT INTO authorizers (component, authorizer, state, grant_no, authorized_at, reference, func_info,
			refresh_token_grant, expires_at, obtained_at, epoch, refresh_at, created_at, updated_at)
			VALUES ('wxc', 'wxa', 'active', 1, 1, '', '', 1, 2, 3, 0, 4, 5, 6);
		INSERT INTO leases VALUES ('k', 'SESSION/me', 7, 99999999999999)`)
	s := open(t, path)
	if value, version, err := s.Setting(t.Context(), "key_check"); err != nil || version != 1 || !bytes.Equal(value, []byte{1, 2}) {
		t.Errorf("key_check is %x, version %d, %v", value, version, err)
	}
	if x, err := s.Exchange(t.Context(), "wxc", "h"); err != nil || !x.RevokedAt.IsZero() || x.Authorizer != "wxa" {
		t.Errorf("exchange %+v, %v", x, err)
	}
	if err := s.SaveTags(t.Context(), account, []string{"vip"}); err != nil {
		t.Error(err)
	}
	if all, err := s.Authorizers(t.Context(), store.AuthorizerQuery{Tag: "vip"}); err != nil || len(all) != 1 {
		t.Errorf("authorizers %+v, %v", all, err)
	}
	if l, err := s.AcquireLease(t.Context(), "k", "you", time.Minute); err != nil || l.Epoch != 8 {
		t.Errorf("lease %+v, %v", l, err)
	}
	if u, err := s.PutUser(t.Context(), store.User{ID: "u1", Name: "ming"}); err != nil || u.Version != 1 {
		t.Errorf("user %+v, %v", u, err)
	}
}

func TestSecondProcessIsTurnedAway(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	first := open(t, path)
	_, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Keys: store.Under(newCipher(t, 1))})
	if err == nil || !strings.Contains(err.Error(), "another process") || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	execSQL(t, path, `INSERT INTO schema_migrations (version, name, applied_at) VALUES (999, 'future', 0)`)
	_, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Keys: store.Under(newCipher(t, 1))})
	if !errors.Is(err, sqlkit.ErrNewerFormat) || !strings.Contains(err.Error(), "999") {
		t.Errorf("got %v", err)
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "test.db")
	s := open(t, path)
	plant(t, s)
	want := []string{path, path + "-shm", path + "-wal", path + ".lock"}
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(files, want) {
		t.Errorf("files %q, want %q", files, want)
	}
	for _, file := range append(files, filepath.Dir(path)) {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %#o", file, info.Mode().Perm())
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("an open file stays open: %v, %v", info.Mode(), err)
	}
}

func TestSymbolicLinksAreRefused(t *testing.T) {
	t.Parallel()
	for _, suffix := range []string{"", ".lock", "-wal", "-shm", "-journal"} {
		t.Run("link"+suffix, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			target := filepath.Join(t.TempDir(), "target")
			if err := os.Symlink(target, path+suffix); err != nil {
				t.Fatal(err)
			}
			_, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Keys: store.Under(newCipher(t, 1))})
			if err == nil || !strings.Contains(err.Error(), "symbolic link") {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
				t.Error("something was written through the link")
			}
		})
	}
	t.Run("directory", func(t *testing.T) {
		t.Parallel()
		_, err := sqlite.Open(t.Context(), sqlite.Config{Path: t.TempDir(), Keys: store.Under(newCipher(t, 1))})
		if err == nil || !strings.Contains(err.Error(), "regular file") {
			t.Errorf("got %v", err)
		}
	})
}

func TestPathsWithOddCharacters(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "数据 100% ?&#", "a b?.db")
	open(t, path)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestForeignDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	if err := os.WriteFile(path, []byte(strings.Repeat("this is not a database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Keys: store.Under(newCipher(t, 1))}); err == nil {
		t.Error("opened")
	}
}

// TestNeighboursOfAFailure has operations that fail share commits with others.
func TestNeighboursOfAFailure(t *testing.T) {
	t.Parallel()
	s := open(t, newPath(t))
	plant(t, s)
	if err := s.PutSetting(t.Context(), "kept", []byte("value"), 0); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			id := fmt.Sprintf("link%03d", i/2)
			err := s.CreateLink(t.Context(), store.Link{ID: id}) // the second one fails
			if err != nil && !errors.Is(err, store.ErrConflict) {
				t.Error(err)
			}
		})
		wg.Go(func() { // fails after it has deleted the settings
			if err := s.Load(t.Context(), func(func(store.Record, error) bool) {}); !errors.Is(err, store.ErrConflict) {
				t.Errorf("got %v", err)
			}
		})
		wg.Go(func() {
			if _, _, err := s.AcceptPush(t.Context(), store.Intake{Push: store.Push{Key: fmt.Sprint("n", i)}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	links, err := s.Links(t.Context(), "", "", 1000)
	if err != nil || len(links) != 150 {
		t.Errorf("%d links, %v", len(links), err)
	}
	pushes, err := s.Pushes(t.Context(), 0, 1000)
	if err != nil || len(pushes) != 302 {
		t.Errorf("%d pushes, %v", len(pushes), err)
	}
	if setting, _, err := s.Setting(t.Context(), "kept"); err != nil || string(setting) != "value" {
		t.Errorf("half of a failed operation stayed: %q, %v", setting, err)
	}
}

// TestCallersNeedNotWait has another program hold the database's lock.
func TestCallersNeedNotWait(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := open(t, path)
	db := sqlDB(t, path)
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	const callers = 5000
	refused := make(chan struct{}, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			_, err := s.AppendRefreshToken(ctx, store.RefreshToken{Authorization: account, Value: tuoguan.NewSecret(fmt.Sprint(i))})
			switch {
			case errors.Is(err, store.ErrUnavailable):
				refused <- struct{}{}
			case !errors.Is(err, context.Canceled):
				t.Errorf("got %v", err)
			}
		})
	}
	<-refused // so many wait that one was refused
	cancel()
	wg.Wait()
	if _, err := db.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	// Those who left are not waited for, and nothing is wrong with the store.
	if err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tokens, err := s.RefreshTokens(t.Context(), account); err != nil || len(tokens) != 0 {
		t.Errorf("%d writes of callers who had left, %v", len(tokens), err)
	}
}

// TestLogIsBounded writes far more than the log may hold.
func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := open(t, path)
	body := make([]byte, 64<<10)
	for i := range 1000 {
		if _, _, err := s.AcceptPush(t.Context(), store.Intake{Push: store.Push{Key: fmt.Sprint(i), Body: body}}); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 16<<20 {
		t.Errorf("the log has grown to %d MiB", info.Size()>>20)
	}
}

// TestDumpHoldsNobodyUp writes far more than the log holds while a dump stands still.
// The log cannot begin anew then, and must not wait for it either.
func TestDumpHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	s := open(t, newPath(t))
	plant(t, s)
	body := make([]byte, 1<<20)
	accept := func(i int) {
		if _, _, err := s.AcceptPush(t.Context(), store.Intake{Push: store.Push{Key: fmt.Sprint(i), Body: body}}); err != nil {
			t.Fatal(err)
		}
	}
	all := 0
	for range s.Dump(t.Context()) {
		all++
	}
	closed := make(chan error, 1)
	n := 0
	for _, err := range s.Dump(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n > 1 {
			continue
		}
		began := time.Now()
		for i := range 250 {
			accept(i)
		}
		// Each of 15 attempts to begin anew would wait for two seconds.
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("250 writes took %v", took)
		}
		go func() { closed <- s.Close() }()
	}
	if n != all {
		t.Errorf("%d records of %d: Close has ended the dump", n, all)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	for _, err := range s.Dump(t.Context()) {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("dump of a closed store: %v", err)
		}
	}
}

// A process that was killed cannot release its leases. The next one has the
// database for itself, so it need not wait for them, and its terms are later ones.
func TestLeasesEndWithTheProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "t.db")
	open := func() *sqlite.Store {
		s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Keys: store.Under(seal.Plain{})})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := open()
	old, err := first.AcquireLease(t.Context(), "k", "a", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.AcquireLease(t.Context(), "k", "b", time.Hour); !errors.Is(err, store.ErrLeaseHeld) {
		t.Fatalf("held by another: %v, want ErrLeaseHeld", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := open()
	defer func() { _ = second.Close() }()
	l, err := second.AcquireLease(t.Context(), "k", "b", time.Hour)
	if err != nil || l.Epoch <= old.Epoch {
		t.Errorf("epoch %d after %d, %v", l.Epoch, old.Epoch, err)
	}
	if err := second.ReleaseLease(t.Context(), old); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("release by the former holder: %v, want ErrLeaseLost", err)
	}
}
