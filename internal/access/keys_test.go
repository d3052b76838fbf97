package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
)

// unreliable is a store that can be slow or away, and counts.
type unreliable struct {
	*memory.Store
	reads atomic.Int64 // of keys and authorizers
	delay atomic.Int64 // of each, a time.Duration
	away  atomic.Pointer[error]
	// beforePut runs before a key is written.
	beforePut func()
}

func (s *unreliable) fail(err error) { s.away.Store(&err) }

func (s *unreliable) trouble(ctx context.Context) error {
	select {
	case <-time.After(time.Duration(s.delay.Load())):
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.away.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *unreliable) APIKey(ctx context.Context, id string) (store.APIKey, error) {
	s.reads.Add(1)
	// What is read is as old as the beginning.
	k, err := s.Store.APIKey(ctx, id)
	if trouble := s.trouble(ctx); trouble != nil {
		return store.APIKey{}, trouble
	}
	return k, err
}

func (s *unreliable) PutAPIKey(ctx context.Context, k store.APIKey) (store.APIKey, error) {
	if s.beforePut != nil {
		s.beforePut()
	}
	if err := s.trouble(ctx); err != nil {
		return store.APIKey{}, err
	}
	return s.Store.PutAPIKey(ctx, k)
}

func (s *unreliable) TouchAPIKeys(ctx context.Context, used map[string]time.Time) error {
	if err := s.trouble(ctx); err != nil {
		return err
	}
	return s.Store.TouchAPIKeys(ctx, used)
}

func (s *unreliable) Authorizers(ctx context.Context, q store.AuthorizerQuery) ([]store.Authorizer, error) {
	s.reads.Add(1)
	found, err := s.Store.Authorizers(ctx, q)
	if trouble := s.trouble(ctx); trouble != nil && !errors.Is(trouble, store.ErrQuarantined) {
		return nil, trouble
	} else if trouble != nil {
		return found, trouble
	}
	return found, err
}

var (
	errAway  = errors.New("connection refused")
	anywhere = netip.MustParseAddr("192.0.2.1")
	readers  = Scope{Operations: []Operation{ReadTokens}}
)

// newKeys returns the keys of one more replica, which runs until the test ends.
func newKeys(t testing.TB, s store.APIKeys, change func(*Config)) *Keys {
	t.Helper()
	cfg := Config{Store: s, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	k, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return k
}

func create(t testing.TB, k *Keys, scope Scope) (id, key string) {
	t.Helper()
	made, secret, err := k.Create(t.Context(), NewKey{Name: "orders", Scope: scope})
	if err != nil {
		t.Fatal(err)
	}
	return made.ID, secret.Reveal()
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	const bootstrap = "a bootstrap key of the configuration"
	past := func(k *store.APIKey) { k.ExpiresAt = time.Now().Add(-time.Second) }
	networks := func(texts ...string) func(*store.APIKey) {
		return func(k *store.APIKey) {
			k.Scope = `{"operations":["tokens:read"],"networks":["` + strings.Join(texts, `","`) + `"]}`
		}
	}
	tests := map[string]struct {
		change func(*store.APIKey) // of the stored key
		key    func(key string) string
		remote string
		want   error
	}{
		"valid":                   {},
		"not yet expired":         {change: func(k *store.APIKey) { k.ExpiresAt = time.Now().Add(time.Minute) }},
		"expired":                 {change: past, want: ErrExpiredKey},
		"revoked":                 {change: func(k *store.APIKey) { k.RevokedAt = time.Now() }, want: ErrRevokedKey},
		"revoked and expired":     {change: func(k *store.APIKey) { past(k); k.RevokedAt = time.Now() }, want: ErrRevokedKey},
		"other secret":            {key: func(key string) string { return generateFor(key[4:16]).Reveal() }, want: ErrUnknownKey},
		"other secret, revoked":   {key: func(key string) string { return generateFor(key[4:16]).Reveal() }, change: func(k *store.APIKey) { k.RevokedAt = time.Now() }, want: ErrUnknownKey},
		"other id":                {key: func(string) string { _, key := Generate(); return key.Reveal() }, want: ErrUnknownKey},
		"mistyped":                {key: func(key string) string { return key[:30] + "!" + key[31:] }, want: ErrUnknownKey},
		"empty":                   {key: func(string) string { return "" }, want: ErrUnknownKey},
		"its hash missing":        {change: func(k *store.APIKey) { k.Hash = nil }, want: ErrUnknownKey},
		"network":                 {change: networks("10.0.0.0/8", "192.0.2.0/24")},
		"other network":           {change: networks("10.0.0.0/8"), want: ErrNetwork},
		"IPv4 in IPv6":            {change: networks("192.0.2.0/24"), remote: "::ffff:192.0.2.1"},
		"IPv6 with a zone":        {change: networks("fe80::/10"), remote: "fe80::1%eth0"},
		"no address":              {change: networks("0.0.0.0/0", "::/0"), remote: "none", want: ErrNetwork},
		"bootstrap":               {key: func(string) string { return bootstrap }},
		"bootstrap and a newline": {key: func(string) string { return bootstrap + "\n" }, want: ErrUnknownKey},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := memory.New(memory.Config{})
			id, key := create(t, newKeys(t, db, nil), readers)
			stored, _ := db.APIKey(t.Context(), id)
			if tt.change != nil {
				tt.change(&stored)
			}
			if _, err := db.PutAPIKey(t.Context(), stored); err != nil {
				t.Fatal(err)
			}
			if tt.key != nil {
				key = tt.key(key)
			}
			remote := anywhere
			if tt.remote != "" {
				remote, _ = netip.ParseAddr(tt.remote)
			}
			k := newKeys(t, db, func(c *Config) { c.Bootstrap = tuoguan.NewSecret(bootstrap) })
			c, err := k.Authenticate(t.Context(), key, remote)
			if !errors.Is(err, tt.want) || (err != nil) != (tt.want != nil) {
				t.Fatalf("Authenticate = %v, want %v", err, tt.want)
			}
			if err != nil {
				if c.KeyID != "" || c.May(ReadTokens) {
					t.Errorf("a caller comes with %v: %+v", err, c)
				}
				return
			}
			named, err := k.Caller(t.Context(), c.Credential, remote)
			if diff := cmp.Diff(c, named, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" || err != nil {
				t.Error(err, diff)
			}
			if named, err = k.Caller(t.Context(), c.KeyID, remote); named.KeyID != c.KeyID || err != nil {
				t.Errorf("Caller by id = %+v, %v", named, err)
			}
		})
	}
}

func TestNoBootstrap(t *testing.T) {
	t.Parallel()
	k := newKeys(t, memory.New(memory.Config{}), nil)
	if _, err := k.Authenticate(t.Context(), "", anywhere); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("without a bootstrap key, the empty one: %v", err)
	}
	if _, err := k.Caller(t.Context(), BootstrapID, anywhere); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("without a bootstrap key, its name: %v", err)
	}
	with := newKeys(t, memory.New(memory.Config{}), func(c *Config) { c.Bootstrap = tuoguan.NewSecret("the one") })
	if _, err := with.Caller(t.Context(), BootstrapID+".0011223344556677", anywhere); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("credential of another bootstrap key: %v", err)
	}
	_, err := New(Config{})
	if err == nil || !strings.Contains(err.Error(), "Store") || !strings.Contains(err.Error(), "Logger") {
		t.Errorf("New without anything = %v", err)
	}
}

// TestUnreadableScope: a key whose stored scope cannot be read is of no use.
func TestUnreadableScope(t *testing.T) {
	t.Parallel()
	db := memory.New(memory.Config{})
	id, key := create(t, newKeys(t, db, nil), readers)
	stored, _ := db.APIKey(t.Context(), id)
	stored.Scope = `{"operations":["*"],"only_on_sundays":true}`
	if _, err := db.PutAPIKey(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	k := newKeys(t, db, nil)
	if c, err := k.Authenticate(t.Context(), key, anywhere); err == nil {
		t.Errorf("it makes the caller %+v", c)
	}
	shown, err := k.Get(t.Context(), id)
	if err != nil || (Scope{Operations: []Operation{WriteKeys}}).Covers(shown.Scope) {
		t.Errorf("somebody with a narrow scope may rotate it: %+v, %v", shown, err)
	}
}

// TestRevocationElsewhere: whatever the phase in which another replica revokes a key,
// and however slow the store is, nobody gets in with it five seconds later.
func TestRevocationElsewhere(t *testing.T) {
	t.Parallel()
	for _, delay := range []time.Duration{0, 300 * time.Millisecond, 990 * time.Millisecond} {
		for gap := time.Duration(0); gap <= 6*time.Second; gap += 500 * time.Millisecond {
			for _, every := range []time.Duration{100 * time.Millisecond, 900 * time.Millisecond, 3900 * time.Millisecond, time.Hour} {
				t.Run(fmt.Sprintf("store %v, revoked after %v, used every %v", delay, gap, every), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						db := &unreliable{Store: memory.New(memory.Config{})}
						here, there := newKeys(t, db.Store, nil), newKeys(t, db, nil)
						id, key := create(t, here, readers)
						db.delay.Store(int64(delay))
						if _, err := there.Authenticate(t.Context(), key, anywhere); err != nil {
							t.Fatal(err)
						}
						go func() {
							time.Sleep(gap)
							if _, err := here.Revoke(t.Context(), id, 0); err != nil {
								t.Error(err)
							}
						}()
						began := time.Now()
						for time.Since(began) < gap+5*time.Second {
							_, err := there.Authenticate(t.Context(), key, anywhere)
							if err != nil && time.Since(began) < gap {
								t.Fatalf("refused before it was revoked: %v", err)
							}
							time.Sleep(min(every, gap+5*time.Second-time.Since(began)))
						}
						if _, err := there.Authenticate(t.Context(), key, anywhere); !errors.Is(err, ErrRevokedKey) {
							t.Errorf("five seconds later: %v", err)
						}
					})
				})
			}
		}
	}
}

// TestHereAtOnce: the replica that changes a key does not need five seconds, even if it
// was reading the key at that moment.
func TestHereAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &unreliable{Store: memory.New(memory.Config{})}
		k := newKeys(t, db, nil)
		id, key := create(t, k, readers)
		authenticate := func() error { _, err := k.Authenticate(t.Context(), key, anywhere); return err }
		time.Sleep(2 * time.Second)
		db.delay.Store(int64(500 * time.Millisecond))
		if err := authenticate(); err != nil { // and begins to read the key as it is now
			t.Fatal(err)
		}
		synctest.Wait()
		db.delay.Store(0)
		if _, err := k.Revoke(t.Context(), id, 0); err != nil {
			t.Fatal(err)
		}
		if err := authenticate(); !errors.Is(err, ErrRevokedKey) {
			t.Errorf("right after: %v", err)
		}
		time.Sleep(600 * time.Millisecond)
		if err := authenticate(); !errors.Is(err, ErrRevokedKey) {
			t.Errorf("after the read that began before: %v", err)
		}
	})
}

func TestStoreAway(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]func(*unreliable){
		"refusing": func(s *unreliable) { s.fail(errAway) },
		"hanging":  func(s *unreliable) { s.delay.Store(int64(time.Hour)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				db := &unreliable{Store: memory.New(memory.Config{})}
				k := newKeys(t, db, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
				_, key := create(t, k, readers)
				_, stranger := create(t, newKeys(t, db.Store, nil), readers)
				trouble(db)
				db.reads.Store(0)
				var longest time.Duration
				waits := 0
				for range 600 { // a minute
					began := time.Now()
					if _, err := k.Authenticate(t.Context(), key, anywhere); err != nil {
						t.Fatalf("a known key is locked out: %v", err)
					}
					if took := time.Since(began); took > 0 {
						waits++
						longest = max(longest, took)
					}
					time.Sleep(100 * time.Millisecond)
				}
				if longest > readTimeout || waits > 1 {
					t.Errorf("%d requests waited, up to %v", waits, longest)
				}
				if reads := db.reads.Load(); reads > 62 {
					t.Errorf("%d reads in a minute", reads)
				}
				began := time.Now()
				if _, err := k.Authenticate(t.Context(), stranger, anywhere); !errors.Is(err, ErrStorage) || time.Since(began) > readTimeout {
					t.Errorf("a key that is not known: %v after %v", err, time.Since(began))
				}
				db.away.Store(nil)
				db.delay.Store(0)
				time.Sleep(5 * time.Second)
				for range 2 {
					if _, err := k.Authenticate(t.Context(), stranger, anywhere); err != nil {
						t.Errorf("once the store is back: %v", err)
					}
				}
				synctest.Wait()
				if away, back := strings.Count(log.String(), "level=WARN"), strings.Count(log.String(), "level=INFO"); away != 1 || back != 1 {
					t.Errorf("the log tells %d times that the store is away and %d times that it is back:\n%s", away, back, &log)
				}
			})
		})
	}
}

func TestFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &unreliable{Store: memory.New(memory.Config{})}
		k := newKeys(t, db, nil)
		_, key := create(t, k, readers)
		try := func(key string) error { _, err := k.Authenticate(t.Context(), key, anywhere); return err }
		for range 1000 {
			if err := try(key[:20] + "x" + key[21:]); !errors.Is(err, ErrUnknownKey) {
				t.Fatal(err)
			}
		}
		if reads := db.reads.Load(); reads != 0 {
			t.Errorf("%d reads for keys whose checksum is wrong", reads)
		}
		_, unknown := Generate()
		for range 1000 {
			_ = try(unknown.Reveal())
		}
		if reads := db.reads.Swap(0); reads != 1 {
			t.Errorf("%d reads for one unknown key", reads)
		}
		time.Sleep(time.Minute)
		for range 1000 {
			_ = try(generateFor(key[4:16]).Reveal())
		}
		if reads := db.reads.Swap(0); reads > secondLooksBurst+1 {
			t.Errorf("%d reads for wrong secrets of a known key", reads)
		}

		// Many different ones: few at a time, and who is known does not notice.
		db.delay.Store(int64(900 * time.Millisecond))
		var flood sync.WaitGroup
		for range 500 {
			flood.Go(func() {
				_, unknown := Generate()
				if err := try(unknown.Reveal()); err == nil {
					t.Error("an unknown key gets in")
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		if err := try(key); err != nil || time.Since(began) > 0 {
			t.Errorf("a known key during a flood: %v after %v", err, time.Since(began))
		}
		flood.Wait()
		if reads := db.reads.Load(); reads > 70 {
			t.Errorf("%d reads within a second for 500 unknown keys", reads)
		}
		for range 2 * absentBound {
			k.cache.absent.add(rngText())
		}
		if n := len(k.cache.absent.since); n > absentBound {
			t.Errorf("%d unknown keys are remembered", n)
		}
	})
}

func rngText() string { id, _ := Generate(); return id }

func TestRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := memory.New(memory.Config{})
		here, there := newKeys(t, db, nil), newKeys(t, db, nil)
		id, first := create(t, here, readers)
		authenticate := func(k *Keys, key string) error { _, err := k.Authenticate(t.Context(), key, anywhere); return err }
		firstCaller, err := there.Authenticate(t.Context(), first, anywhere)
		if err != nil {
			t.Fatal(err)
		}

		// The new one is good at once, also where the old one was seen a moment ago.
		rotated, secret, err := here.Rotate(t.Context(), id, Rotation{Grace: time.Hour})
		if err != nil || rotated.Version != 2 || !rotated.PreviousUntil.Equal(time.Now().Add(time.Hour).Truncate(time.Millisecond)) {
			t.Fatalf("Rotate = %+v, %v", rotated, err)
		}
		second := secret.Reveal()
		for _, k := range []*Keys{here, there} {
			if err := errors.Join(authenticate(k, first), authenticate(k, second)); err != nil {
				t.Error(err)
			}
		}
		if c, err := there.Authenticate(t.Context(), second, anywhere); err != nil || c.Credential == firstCaller.Credential || c.KeyID != id {
			t.Errorf("the rotated key makes the caller %+v, %v", c, err)
		}
		time.Sleep(time.Hour - time.Second)
		if err := authenticate(there, first); err != nil {
			t.Errorf("the old key a second before its end: %v", err)
		}
		if _, err := there.Caller(t.Context(), firstCaller.Credential, anywhere); err != nil {
			t.Errorf("what is derived from the old key a second before its end: %v", err)
		}
		time.Sleep(time.Second)
		if err := authenticate(there, first); !errors.Is(err, ErrExpiredKey) {
			t.Errorf("the old key at its end: %v", err)
		}
		if _, err := there.Caller(t.Context(), firstCaller.Credential, anywhere); !errors.Is(err, ErrExpiredKey) {
			t.Errorf("what is derived from the old key at its end: %v", err)
		}

		// Without a grace, the old one is out at once; the oldest was anyway.
		_, secret, err = here.Rotate(t.Context(), id, Rotation{ExpiresAt: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]error{first: ErrUnknownKey, second: ErrExpiredKey, secret.Reveal(): nil} {
			if err := authenticate(here, key); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}
		time.Sleep(time.Hour)
		if err := authenticate(here, secret.Reveal()); !errors.Is(err, ErrExpiredKey) {
			t.Errorf("after its expiry: %v", err)
		}
		if _, _, err := here.Rotate(t.Context(), id, Rotation{}); !errors.As(err, new(*FieldError)) {
			t.Errorf("rotating an expired key without a new expiry: %v", err)
		}
		if _, _, err := here.Rotate(t.Context(), id, Rotation{Grace: -1, ExpiresAt: time.Now().Add(1)}); !errors.As(err, new(*FieldError)) {
			t.Errorf("a negative grace: %v", err)
		}
		if _, err := here.Revoke(t.Context(), id, 0); err != nil {
			t.Fatal(err)
		}
		if err := authenticate(here, secret.Reveal()); !errors.Is(err, ErrRevokedKey) {
			t.Errorf("after its revocation: %v", err)
		}
		if _, err := here.Caller(t.Context(), firstCaller.Credential, anywhere); !errors.Is(err, ErrRevokedKey) {
			t.Errorf("what is derived from it, after its revocation: %v", err)
		}
		if _, _, err := here.Rotate(t.Context(), id, Rotation{ExpiresAt: time.Now().Add(time.Hour)}); !errors.Is(err, ErrRevokedKey) {
			t.Errorf("rotating a revoked key: %v", err)
		}
	})
}

func TestChanges(t *testing.T) {
	t.Parallel()
	db := &unreliable{Store: memory.New(memory.Config{})}
	k := newKeys(t, db, nil)
	ctx := t.Context()

	_, _, err := k.Create(ctx, NewKey{Scope: Scope{Rate: -1}, ExpiresAt: time.Now()})
	var fields []string
	mistakes, _ := errors.AsType[Mistakes](err)
	for _, m := range mistakes {
		fields = append(fields, m.Field)
	}
	if diff := cmp.Diff([]string{"name", "scope.operations", "scope.rate", "expires_at"}, fields); diff != "" {
		t.Error(diff)
	}

	id, key := create(t, k, readers)
	stored, err := db.APIKey(ctx, id)
	if err != nil || strings.Contains(string(stored.Hash), key) || len(stored.Hash) != 32 {
		t.Errorf("stored is %q, %v", stored.Hash, err)
	}
	name, wider := "billing", Scope{Operations: []Operation{RefreshTokens}}
	changed, err := k.Update(ctx, id, Change{Version: 1, Name: &name, Scope: &wider})
	if err != nil || changed.Name != name || changed.Version != 2 || !changed.ExpiresAt.IsZero() {
		t.Errorf("Update = %+v, %v", changed, err)
	}
	if c, err := k.Authenticate(ctx, key, anywhere); err != nil || c.Name != name || !c.May(RefreshTokens) {
		t.Errorf("after the update the caller is %+v, %v", c, err)
	}
	if _, err := k.Update(ctx, id, Change{Version: 1, Name: &name}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("with the version before: %v", err)
	}
	if _, _, err := k.Rotate(ctx, id, Rotation{Version: 1}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("rotation with the version before: %v", err)
	}
	if _, err := k.Revoke(ctx, id, 1); !errors.Is(err, store.ErrConflict) {
		t.Errorf("revocation with the version before: %v", err)
	}
	if _, err := k.Update(ctx, "000000000000", Change{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of a key that is not there: %v", err)
	}

	// Somebody else changes it between our reading and writing.
	interfere := func() {
		db.beforePut = nil
		other, _ := db.Store.APIKey(ctx, id)
		if _, err := db.Store.PutAPIKey(ctx, other); err != nil {
			t.Error(err)
		}
	}
	db.beforePut = interfere
	if changed, err = k.Update(ctx, id, Change{Name: &name}); err != nil || changed.Version != 4 {
		t.Errorf("without a version: %+v, %v", changed, err)
	}
	db.beforePut = interfere
	if _, err = k.Update(ctx, id, Change{Version: 4, Name: &name}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("with a version: %v", err)
	}

	for range 2 {
		if changed, err = k.Revoke(ctx, id, 0); err != nil || changed.RevokedAt.IsZero() || changed.Version != 6 {
			t.Errorf("Revoke = %+v, %v", changed, err)
		}
	}
	if _, err := k.Update(ctx, id, Change{Name: &name}); !errors.Is(err, ErrRevokedKey) {
		t.Errorf("of a revoked key: %v", err)
	}
	second, _ := create(t, k, readers)
	listed, err := k.List(ctx, "", 10)
	if err != nil || len(listed) != 2 || listed[0].ID != min(id, second) {
		t.Errorf("List = %+v, %v", listed, err)
	}
	db.fail(errAway)
	if _, err := k.Update(ctx, second, Change{Name: &name}); !errors.Is(err, ErrStorage) || !errors.Is(err, errAway) {
		t.Errorf("while the store is away: %v", err)
	}
}

// TestOutcomeUnknown: a change whose outcome the store cannot tell locks nobody out.
func TestOutcomeUnknown(t *testing.T) {
	t.Parallel()
	db := &unreliable{Store: memory.New(memory.Config{})}
	k := newKeys(t, db, nil)
	id, key := create(t, k, readers)
	name := "x"
	db.beforePut = func() { db.fail(errAway) }
	if _, err := k.Update(t.Context(), id, Change{Name: &name}); !errors.Is(err, ErrStorage) {
		t.Fatal(err)
	}
	if _, err := k.Authenticate(t.Context(), key, anywhere); err != nil {
		t.Errorf("with the store away: %v", err)
	}
}

func TestLastUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &unreliable{Store: memory.New(memory.Config{})}
		ctx, cancel := context.WithCancel(t.Context())
		k, err := New(Config{Store: db, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- k.Run(ctx) }()
		id, key := create(t, k, readers)
		lastUse := func() time.Time { stored, _ := db.Store.APIKey(t.Context(), id); return stored.LastUsedAt }
		use := func() time.Time {
			if _, err := k.Authenticate(t.Context(), key, anywhere); err != nil {
				t.Fatal(err)
			}
			return time.Now().Truncate(time.Minute)
		}
		used := use()
		if !lastUse().IsZero() {
			t.Error("written at once")
		}
		time.Sleep(31 * time.Second)
		if !lastUse().Equal(used) {
			t.Errorf("after half a minute it is %v, want %v", lastUse(), used)
		}
		// What cannot be written is not lost.
		db.fail(errAway)
		time.Sleep(5 * time.Minute)
		used = use()
		time.Sleep(time.Minute)
		db.away.Store(nil)
		time.Sleep(31 * time.Second)
		if !lastUse().Equal(used) {
			t.Errorf("after an outage it is %v, want %v", lastUse(), used)
		}
		time.Sleep(3 * time.Minute)
		used = use()
		cancel()
		if err := <-done; err != nil || !lastUse().Equal(used) {
			t.Errorf("at the end it is %v, want %v (%v)", lastUse(), used, err)
		}
		// Requests that are still being served find their keys.
		time.Sleep(time.Minute)
		use()
	})
}

// TestConcurrent calls from many at once, for the race detector.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := memory.New(memory.Config{})
		here, there := newKeys(t, db, nil), newKeys(t, db, nil)
		id, key := create(t, here, readers)
		var all sync.WaitGroup
		for i := range 8 {
			k := []*Keys{here, there}[i%2]
			all.Go(func() {
				for n := range 200 {
					if c, err := k.Authenticate(t.Context(), key, anywhere); err != nil {
						t.Error(err)
					} else {
						k.Allow(c, tuoguan.AuthorizerAppID(rngText()))
					}
					if n%50 == i {
						name := fmt.Sprint(i, n)
						if _, err := k.Update(t.Context(), id, Change{Name: &name}); err != nil && !errors.Is(err, store.ErrConflict) {
							t.Error(err)
						}
					}
					time.Sleep(37 * time.Millisecond)
				}
			})
		}
		all.Wait()
	})
}
