// Package pooltest judges the stores on databases that are reached over a network by
// what networks and servers do to them.
package pooltest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/services"
	"github.com/tuoguan/tuoguan/internal/services/servicetest"
	"github.com/tuoguan/tuoguan/internal/sqlkit"
	"github.com/tuoguan/tuoguan/internal/sqlpool"
	"github.com/tuoguan/tuoguan/internal/sqlstore"
	"github.com/tuoguan/tuoguan/store"
)

// Subject is a kind of store.
type Subject struct {
	// Start starts a server of its own for a case that does harm to it.
	Start func(ctx context.Context, o services.Options) (*services.Service, error)
	// Database returns the URL of an empty database on a server that is shared.
	Database func(t testing.TB, tables ...string) string
	// Open opens a store.
	Open func(ctx context.Context, url string) (store.Store, error)
	// Pending names the migrations that Open would run.
	Pending func(ctx context.Context, url string) ([]string, error)
	// Pool opens the pool that a store works on, once a store has made the tables.
	Pool func(ctx context.Context, url string) (*sqlpool.Pool, error)
	// Commit is what is sent to commit a transaction, and nothing else.
	Commit string
	// DropIndex is the statement that takes back the index on the accounts of pushes.
	DropIndex string
	// Exec runs a statement on a database, aside from any store.
	Exec func(t testing.TB, url, statement string)
}

// Run runs the cases.
func Run(t *testing.T, s Subject) {
	for name, f := range map[string]func(*testing.T, Subject){
		"connection lost":     testConnectionLost,
		"server restarted":    testServerRestarted,
		"network frozen":      testNetworkFrozen,
		"process that stands": testProcessThatStands,
		"opened at once":      testOpenedAtOnce,
		"newer format":        testNewerFormat,
		"earlier format":      testEarlierFormat,
		"pending":             testPending,
		"odd text":            testOddText,
		"closed":              testClosed,
		"nobody there":        testNobodyThere,
		"addresses not taken": testAddresses,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, s)
		})
	}
}

var account = tuoguan.Authorization{Component: "wxc0000000000000", Authorizer: "wxa0000000000001"}

func (s Subject) open(t *testing.T, url string) store.Store {
	t.Helper()
	opened, err := s.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return opened
}

// through returns the URL of a database as it is reached through a proxy.
func through(t *testing.T, database string) (string, *services.Proxy) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	p, err := services.StartProxy(u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	u.Host = p.Addr()
	return u.String(), p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func grant() store.Grant {
	return store.Grant{
		Authorization: account, Tokens: tuoguan.TokenSet{RefreshToken: tuoguan.NewSecret("refresh 0")},
		ObtainedAt: time.Now(), AuthorizedAt: time.Now().Truncate(time.Second), Source: store.FromExchange,
	}
}

// testConnectionLost cuts the connection on which certain bytes pass: a statement or
// a commit. Whether the server got to see them or not, the caller is told that it is
// not known, or the store has found out by itself; and whoever does the same again
// has done it once.
func testConnectionLost(t *testing.T, s Subject) {
	for _, tt := range []struct {
		name string
		cut  string
		do   func(ctx context.Context, s store.Store, turn int) error
		done func(ctx context.Context, s store.Store, turn int) (times int, err error)
	}{
		{
			// A push with a ticket is a transaction of several statements.
			"push", s.Commit,
			func(ctx context.Context, s store.Store, turn int) error {
				at := time.UnixMilli(int64(turn) * 1e9)
				_, _, err := s.AcceptPush(ctx, store.Intake{
					Push:   store.Push{Key: fmt.Sprint("push ", turn), Component: account.Component, Body: []byte("x")},
					Ticket: &store.Ticket{Component: account.Component, Value: tuoguan.NewSecret(fmt.Sprint("ticket ", turn)), CreatedAt: at, ReceivedAt: at},
				})
				return err
			},
			func(ctx context.Context, s store.Store, turn int) (times int, err error) {
				tickets, err := s.Tickets(ctx, account.Component)
				for _, ticket := range tickets {
					if ticket.Value.Reveal() == fmt.Sprint("ticket ", turn) {
						times++
					}
				}
				return times, err
			},
		},
		{
			"tokens", "the holder of this lease",
			func(ctx context.Context, s store.Store, turn int) error {
				moved, err := s.SaveTokens(ctx, store.TokenWrite{
					Authorization: account, Grant: 1, Epoch: int64(turn),
					Tokens: tuoguan.TokenSet{RefreshToken: tuoguan.NewSecret(fmt.Sprint("refresh ", turn))},
					Source: store.FromRefresh, ObtainedAt: time.UnixMilli(int64(turn) * 1e9),
					Release: store.Lease{Key: "a lease", Holder: "the holder of this lease", Epoch: 1},
				})
				if err == nil && !moved {
					err = errors.New("the token set has not moved")
				}
				return err
			},
			func(ctx context.Context, s store.Store, turn int) (times int, err error) {
				history, err := s.RefreshTokens(ctx, account)
				for _, token := range history {
					if token.Value.Reveal() == fmt.Sprint("refresh ", turn) {
						times++
					}
				}
				a, errA := s.Authorizer(ctx, account)
				if a.Tokens.RefreshToken.Reveal() != fmt.Sprint("refresh ", turn) {
					times = 0
				}
				return times, errors.Join(err, errA)
			},
		},
		{
			"link", "id of this link",
			func(ctx context.Context, s store.Store, turn int) error {
				err := s.CreateLink(ctx, store.Link{ID: fmt.Sprint("id of this link ", turn)})
				if errors.Is(err, store.ErrConflict) {
					err = nil // it is there already
				}
				return err
			},
			func(ctx context.Context, s store.Store, turn int) (int, error) {
				_, err := s.Link(ctx, fmt.Sprint("id of this link ", turn))
				return 1, err
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address, proxy := through(t, s.Database(t))
			opened := s.open(t, address)
			_, _, err := opened.SaveGrant(t.Context(), grant())
			must(t, err)
			must(t, tt.do(t.Context(), opened, 1)) // what is prepared is prepared now
			for turn, passOn := range []bool{false, true, false, true} {
				turn += 2
				sprung := proxy.CutOn([]byte(tt.cut), passOn)
				err := tt.do(t.Context(), opened, turn)
				select {
				case <-sprung:
				default:
					t.Fatal("nothing was cut: ", err)
				}
				switch {
				case err == nil && tt.name == "tokens": // it was not the commit that was cut, so it was done anew
				case err == nil:
					t.Error("an outcome that nobody can know was reported as known")
				case !errors.Is(err, sqlpool.ErrUnknown) || !errors.Is(err, store.ErrUnavailable):
					t.Errorf("passed on %v: got %v", passOn, err)
				}
				must(t, tt.do(t.Context(), opened, turn))
				if times, err := tt.done(t.Context(), opened, turn); err != nil || times != 1 {
					t.Errorf("passed on %v: it is there %d times, %v", passOn, times, err)
				}
			}
		})
	}
}

// testServerRestarted kills the server while writers are at work. What was
// acknowledged is there afterwards, and the same store works on.
func testServerRestarted(t *testing.T, s Subject) {
	server, err := s.Start(t.Context(), services.Options{})
	servicetest.Require(t, err)
	defer func() { must(t, server.Stop()) }()
	must(t, server.CreateDatabase(t.Context(), "one"))
	opened, err := s.Open(t.Context(), server.URL("one"))
	must(t, err)
	defer func() { must(t, opened.Close()) }() // before the server ends

	var mu sync.Mutex
	acknowledged := make(map[string]bool)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	enough := make(chan struct{}, 100000)
	var work sync.WaitGroup
	defer work.Wait()
	for worker := range 4 {
		work.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				key := fmt.Sprintf("%d/%d", worker, i)
				_, _, err := opened.AcceptPush(ctx, store.Intake{Push: store.Push{Key: key, Component: account.Component, Body: []byte(key)}})
				switch {
				case err == nil:
					mu.Lock()
					acknowledged[key] = true
					mu.Unlock()
					enough <- struct{}{}
				case !errors.Is(err, store.ErrUnavailable) && ctx.Err() == nil:
					t.Errorf("got %v", err)
					return
				}
			}
		})
	}
	for range 3 {
		for range 30 {
			<-enough
		}
		must(t, server.Kill())
		must(t, server.Restart(t.Context()))
	}
	<-enough // it is at work again
	cancel()
	work.Wait()
	found := make(map[string]bool)
	for after := int64(0); ; {
		page, err := opened.Pushes(t.Context(), after, 1000)
		must(t, err)
		if len(page) == 0 {
			break
		}
		for _, p := range page {
			if found[p.Key] {
				t.Errorf("%s is there twice", p.Key)
			}
			found[p.Key], after = true, p.ID
		}
	}
	for key := range acknowledged {
		if !found[key] {
			t.Errorf("%s was acknowledged and is lost", key)
		}
	}
	t.Logf("%d writes were acknowledged", len(acknowledged))
}

// testNetworkFrozen lets nothing pass for a while: callers are told before
// long, and everything goes on afterwards.
func testNetworkFrozen(t *testing.T, s Subject) {
	address, proxy := through(t, s.Database(t))
	opened := s.open(t, address)
	put := func(ctx context.Context) error { return opened.Probe(ctx) }
	must(t, put(t.Context()))
	proxy.Freeze()
	var all sync.WaitGroup
	for range 2 * sqlpool.Connections {
		all.Go(func() {
			begun := time.Now()
			if err := put(t.Context()); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(begun); took > sqlpool.Patience+3*time.Second {
				t.Errorf("told after %v", took)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := put(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a caller who waits no longer got %v", err)
	}
	all.Wait()
	proxy.Heal()
	must(t, put(t.Context()))
}

// testProcessThatStands leaves a transaction open with a row locked, as a process does
// that stands still. Others get at the row before long, and nothing of it happens.
func testProcessThatStands(t *testing.T, s Subject) {
	database := s.Database(t)
	opened := s.open(t, database)
	must(t, opened.PutSetting(t.Context(), "contended", []byte("0"), 0))
	address, proxy := through(t, database)
	pool, err := s.Pool(t.Context(), address)
	must(t, err)
	defer func() { must(t, pool.Close()) }()
	locked, healed := make(chan struct{}), make(chan struct{})
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() {
		once := sync.OnceFunc(func() {
			proxy.Freeze()
			close(locked)
			<-healed
		})
		err := pool.Write(t.Context(), 2, func(tx sqlstore.Tx) error {
			if _, err := tx.Exec("UPDATE meta SET value = ?1 WHERE name = 'contended' AND version = 1", []byte("1")); err != nil {
				return err
			}
			once()
			return nil
		})
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("who stood still got %v", err)
		}
	})
	<-locked
	begun := time.Now()
	for {
		err := opened.PutSetting(t.Context(), "contended", []byte("2"), 1)
		if err == nil || errors.Is(err, store.ErrConflict) { // an attempt that was reported as unknown was committed
			break
		}
		if !errors.Is(err, store.ErrUnavailable) || time.Since(begun) > 3*sqlpool.Deadline {
			t.Errorf("after %v: %v", time.Since(begun), err)
			break
		}
	}
	t.Logf("the row was free after %v", time.Since(begun))
	proxy.Heal()
	close(healed)
	work.Wait()
	if value, _, err := opened.Setting(t.Context(), "contended"); err != nil || string(value) != "2" {
		t.Errorf("the setting is %q, %v", value, err)
	}
}

// testOpenedAtOnce has many processes start on an empty database.
func testOpenedAtOnce(t *testing.T, s Subject) {
	database := s.Database(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			opened, err := s.Open(t.Context(), database)
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(opened.Probe(t.Context()), opened.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func testNewerFormat(t *testing.T, s Subject) {
	database := s.Database(t)
	s.open(t, database)
	s.Exec(t, database, "INSERT INTO schema_migrations (version, name, applied_at) VALUES (99, '0099_later.sql', 1)")
	_, err := s.Open(t.Context(), database)
	if !errors.Is(err, sqlkit.ErrNewerFormat) || !strings.Contains(err.Error(), "99") {
		t.Errorf("got %v", err)
	}
	if _, err := s.Pending(t.Context(), database); !errors.Is(err, sqlkit.ErrNewerFormat) {
		t.Errorf("got %v", err)
	}
}

// UndoUsers takes back what the fourth migration has made, the last first.
func UndoUsers() []string {
	return []string{"DROP TABLE token_events", "DROP TABLE sessions", "DROP TABLE users"}
}

// UndoDeliveries takes back what the third migration has made, the last first.
func (s Subject) UndoDeliveries() []string {
	return []string{
		"DROP TABLE deliveries", "DROP TABLE subscriptions", "DROP TABLE event_sequences",
		s.DropIndex, "ALTER TABLE pushes DROP COLUMN seq",
	}
}

// UndoCallers takes back what the second migration has made, the last first.
func UndoCallers() []string {
	return []string{
		"DROP TABLE kept_values", "DROP TABLE audit", "DROP TABLE api_keys",
		"ALTER TABLE components DROP COLUMN staged_secret", "ALTER TABLE authorizers DROP COLUMN tags",
	}
}

// testEarlierFormat opens a database that has content as the first migration left it.
func testEarlierFormat(t *testing.T, s Subject) {
	database := s.Database(t)
	old, err := s.Open(t.Context(), database)
	must(t, err)
	_, _, err = old.SaveGrant(t.Context(), grant())
	must(t, err)
	_, _, err = old.AcceptPush(t.Context(), store.Intake{Push: store.Push{Key: "old", Component: account.Component, Authorizer: account.Authorizer}})
	must(t, err)
	component := store.Component{AppID: account.Component, Secret: tuoguan.NewSecret("app secret")}
	must(t, old.PutComponent(t.Context(), component))
	before, err := old.Authorizer(t.Context(), account)
	must(t, err)
	must(t, old.Close())
	for _, statement := range slices.Concat(UndoUsers(), s.UndoDeliveries(), UndoCallers(), []string{"DELETE FROM schema_migrations WHERE version > 1"}) {
		s.Exec(t, database, statement)
	}

	opened := s.open(t, database)
	after, err := opened.Authorizer(t.Context(), account)
	if diff := cmp.Diff(before, after); diff != "" || err != nil || after.Tags != nil {
		t.Errorf("%s, %v", diff, err)
	}
	if c, err := opened.Component(t.Context(), account.Component); err != nil || !c.Secret.Equal(component.Secret) || !c.StagedSecret.IsZero() {
		t.Errorf("component %+v, %v", c, err)
	}
	reach := store.AuthorizerQuery{Reach: store.Reach{Authorizers: []tuoguan.AuthorizerAppID{account.Authorizer}, Tags: []string{"vip"}}}
	if all, err := opened.Authorizers(t.Context(), reach); err != nil || len(all) != 1 {
		t.Errorf("without tags: %v, %v", all, err)
	}
	reach.Reach.Authorizers = nil
	if all, err := opened.Authorizers(t.Context(), reach); err != nil || len(all) != 0 {
		t.Errorf("without tags: %v, %v", all, err)
	}
	must(t, opened.SaveTags(t.Context(), account, []string{"vip"}))
	if all, err := opened.Authorizers(t.Context(), reach); err != nil || len(all) != 1 {
		t.Errorf("with a tag: %v, %v", all, err)
	}
	must(t, opened.AppendAudit(t.Context(), []store.AuditRecord{{Seq: 1, Body: []byte("{}")}}))
	_, err = opened.PutUser(t.Context(), store.User{ID: "u1", Name: "ming"})
	must(t, err)
	p, err := opened.PushByKey(t.Context(), "old")
	if must(t, err); p.Seq != 0 {
		t.Errorf("what was stored before there were numbers has number %d", p.Seq)
	}
	p.Key = "new"
	p, _, err = opened.AcceptPush(t.Context(), store.Intake{Push: p, Routes: []store.Route{{Subscription: "sub_1"}}})
	if must(t, err); p.Seq != 1 {
		t.Errorf("the first has number %d", p.Seq)
	}
	if due, err := opened.DueDeliveries(t.Context(), "sub_1", time.Now(), 0); err != nil || len(due) != 1 {
		t.Errorf("due: %v, %v", due, err)
	}
}

func testPending(t *testing.T, s Subject) {
	database := s.Database(t)
	for range 2 {
		names, err := s.Pending(t.Context(), database)
		if err != nil || len(names) == 0 || names[0] != "0001_init.sql" {
			t.Errorf("pending: %v, %v", names, err)
		}
	}
	s.open(t, database)
	if names, err := s.Pending(t.Context(), database); err != nil || len(names) > 0 {
		t.Errorf("pending: %v, %v", names, err)
	}
}

// testOddText stores what WeChat's JSON may hold and databases do not take as text.
func testOddText(t *testing.T, s Subject) {
	opened := s.open(t, s.Database(t))
	_, _, err := opened.SaveGrant(t.Context(), grant())
	must(t, err)
	for _, name := range []string{"nul \x00", "not UTF-8 \xff", "😀 托管", `back\slash and 'quotes' "%_`, "", strings.Repeat("长", 4000)} {
		must(t, opened.SaveProfile(t.Context(), account, store.Profile{Grant: 1, NickName: name, Raw: name}))
		a, err := opened.Authorizer(t.Context(), account)
		must(t, err)
		want := strings.ToValidUTF8(name, "\uFFFD")
		if got := a.Profile.NickName; got != want && got != strings.ReplaceAll(want, "\x00", "\uFFFD") {
			t.Errorf("%q came back as %q", name, got)
		}
		if name == "" {
			continue
		}
		found, err := opened.Authorizers(t.Context(), store.AuthorizerQuery{Text: name})
		if err != nil || len(found) != 1 {
			t.Errorf("%q: found %d times, %v", name, len(found), err)
		}
	}
}

func testClosed(t *testing.T, s Subject) {
	opened, err := s.Open(t.Context(), s.Database(t))
	must(t, err)
	must(t, opened.Close())
	must(t, opened.Close())
	if err := opened.Probe(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("write: %v", err)
	}
	if _, err := opened.Components(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("read: %v", err)
	}
}

func testNobodyThere(t *testing.T, s Subject) {
	address, proxy := through(t, s.Database(t))
	opened := s.open(t, address)
	proxy.Cut()
	begun := time.Now()
	if err := opened.Probe(t.Context()); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, sqlpool.ErrUnknown) {
		t.Errorf("write: %v", err)
	}
	if _, err := opened.Components(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("read: %v", err)
	}
	if took := time.Since(begun); took > 2*sqlpool.Patience {
		t.Errorf("told after %v", took)
	}
	if _, err := s.Open(t.Context(), address); err == nil {
		t.Error("opened where nobody is")
	}
	proxy.Heal()
	must(t, opened.Probe(t.Context()))
}

// testAddresses demands that errors about a URL keep its password to themselves.
func testAddresses(t *testing.T, s Subject) {
	good, err := url.Parse(s.Database(t))
	must(t, err)
	const password = "pa55word"
	scheme := good.Scheme
	for _, address := range []string{
		"", password, scheme + "://", scheme + "://u:" + password + "@", scheme + "://u:" + password + "@host:port/db", scheme + "://u:" + password + "@[::1/db",
		scheme + "://u:" + password + "@127.0.0.1:1/db?sslmode=" + password + "&tls=" + password, scheme + "://u:" + password + "%zz@127.0.0.1/db",
		scheme + "://u:" + password + "@127.0.0.1:1/db", "http://u:" + password + "@127.0.0.1/db",
		scheme + "://u:" + password + "@127.0.0.1:1/db?sslrootcert=/nowhere&ca=/nowhere",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := s.Open(ctx, address)
		cancel()
		if err == nil || slices.Contains([]string{"", password}, address) && !strings.Contains(err.Error(), "URL") {
			t.Errorf("%q: %v", address, err)
			continue
		}
		if strings.Contains(fmt.Sprintf("%v %+v %q", err, err, err), password) {
			t.Errorf("the error for %q shows the password: %v", address, err)
		}
	}
}
