package operator

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
)

func TestSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Config{})
		o := newReplica(t, s)
		u := create(t, o, "li", Viewer)
		agent := strings.Repeat("é", 200) + "\r\n"
		began, secret, err := o.Login(t.Context(), Login{Name: "li", Password: goodPassword},
			Visitor{Address: netip.MustParseAddr("::ffff:192.0.2.1"), Agent: agent})
		if err != nil {
			t.Fatal(err)
		}
		token := secret.Reveal()
		u.LastSeenAt = time.Now()
		want := Session{
			ID: began.ID, User: u, Must: []string{}, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(12 * time.Hour),
			Idle: 30 * time.Minute, Method: MethodPassword,
		}
		equal := cmp.Options{cmpopts.IgnoreUnexported(Session{}), cmpopts.EquateApproxTime(time.Millisecond)}
		got, err := o.Session(t.Context(), token, here)
		if diff := cmp.Diff(want, got, equal); diff != "" || err != nil {
			t.Errorf("session (-want +got):\n%s%v", diff, err)
		}
		want.User.LastSeenAt = time.Time{} // not read again
		if diff := cmp.Diff(want, began, equal, cmpopts.IgnoreFields(User{}, "LastSeenAt")); diff != "" {
			t.Errorf("as begun (-want +got):\n%s", diff)
		}
		if len(token) != 43 || began.ID == "" || strings.Contains(token, began.ID) {
			t.Errorf("token of %d characters, ID %q", len(token), began.ID)
		}
		list, err := o.Sessions(t.Context(), u.ID)
		if err != nil || len(list) != 1 {
			t.Fatalf("%d sessions, %v", len(list), err)
		}
		if list[0].Address != "192.0.2.1" || list[0].Agent != strings.Repeat("é", 128) || strings.Contains(string(list[0].Hash), token) {
			t.Errorf("stored %+v", list[0])
		}
		if _, err := o.Sessions(t.Context(), "nobody"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("of nobody: %v", err)
		}
		for name, wrong := range map[string]string{
			"none": "", "other": newToken(), "cut": token[:42], "longer": token + "A", "not base64": strings.Repeat("!", 43), "ID": began.ID,
		} {
			if _, err := o.Session(t.Context(), wrong, here); !errors.Is(err, ErrNoSession) {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, other := login(t, o, "li")
		if other == token {
			t.Error("the same token twice")
		}
		if err := o.Logout(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Session(t.Context(), token, here); !errors.Is(err, ErrNoSession) {
			t.Errorf("after logout: %v", err)
		}
		if _, err := o.Session(t.Context(), other, here); err != nil {
			t.Errorf("the other one: %v", err)
		}
		if err := o.Logout(t.Context(), token); err != nil {
			t.Errorf("second logout: %v", err)
		}
	})
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		life, idle  time.Duration
		every, last time.Duration // is used so often until then
		lives       bool
	}{
		{"not yet idle", 0, 0, 0, 30*time.Minute - time.Second, true},
		{"idle", 0, 0, 0, 30 * time.Minute, false},
		{"used all the time", 0, 0, 10 * time.Second, 12*time.Hour - time.Second, true},
		{"too old", 0, 0, 20 * time.Minute, 12 * time.Hour, false},
		{"shorter life", time.Hour, 0, time.Minute, time.Hour, false},
		{"shorter idle", 0, time.Second, 500 * time.Millisecond, time.Hour, true},
		{"idle for less", 0, time.Second, 0, time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOperators(t, func(c *Config) { c.SessionLife, c.SessionIdle = tt.life, tt.idle })
				u := create(t, o, "li", Viewer)
				_, token := login(t, o, "li")
				end := time.Now().Add(tt.last)
				for tt.every > 0 && time.Until(end) > tt.every {
					time.Sleep(tt.every)
					if _, err := o.Session(t.Context(), token, here); err != nil {
						t.Fatalf("%s before the end: %v", time.Until(end), err)
					}
				}
				time.Sleep(time.Until(end))
				_, err := o.Session(t.Context(), token, here)
				if (err == nil) != tt.lives || err != nil && !errors.Is(err, ErrNoSession) {
					t.Errorf("error %v", err)
				}
				if all, err := o.Sessions(t.Context(), u.ID); (len(all) == 1) != tt.lives || err != nil {
					t.Errorf("%d sessions, %v", len(all), err)
				}
			})
		})
	}
}

// A session that began when they lasted longer lasts as long as they do now.
func TestSessionLifeIsCutShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Config{})
		create(t, newReplica(t, s), "li", Viewer)
		_, token := login(t, newReplica(t, s), "li")
		o := newReplica(t, s, func(c *Config) { c.SessionLife = time.Minute })
		if s, err := o.Session(t.Context(), token, here); err != nil || time.Until(s.ExpiresAt) > time.Minute {
			t.Errorf("expires in %s, %v", time.Until(s.ExpiresAt), err)
		}
		time.Sleep(time.Minute)
		if _, err := o.Session(t.Context(), token, here); !errors.Is(err, ErrNoSession) {
			t.Errorf("error %v", err)
		}
	})
}

// What is read while a session ends is not kept.
func TestReadOvertaken(t *testing.T) {
	t.Parallel()
	c := newCache()
	hash := hashOf("x")
	_, err := c.get(t.Context(), hash, func(context.Context, [32]byte) (store.Session, store.User, error) {
		c.dropUser("somebody")
		return store.Session{}, store.User{}, nil
	})
	if err != nil || len(c.known) != 0 {
		t.Errorf("kept %d, %v", len(c.known), err)
	}
}

// A clock that runs ahead, as in a demo, ends no session that would live by real time.
func TestSessionWithClockAhead(t *testing.T) {
	t.Parallel()
	clock := new(tuoguan.Clock)
	clock.Advance(1000 * time.Hour)
	o := newReplica(t, memory.New(memory.Config{Clock: clock}), func(c *Config) { c.Clock = clock })
	create(t, o, "li", Viewer)
	_, token := login(t, o, "li")
	clock.Advance(11 * time.Hour)
	if _, err := o.Session(t.Context(), token, here); err != nil {
		t.Error(err)
	}
	for range 10 {
		if _, _, err := o.Login(t.Context(), Login{Name: "li", Password: "wrong"}, here); err != ErrRefused {
			t.Fatal(err)
		}
	}
	if _, ok := errors.AsType[*Locked](func() error {
		_, _, err := o.Login(t.Context(), Login{Name: "li", Password: goodPassword}, here)
		return err
	}()); !ok {
		t.Error("not locked")
	}
}

func TestTouch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &failing{Store: memory.New(memory.Config{})}
		o := newReplica(t, s)
		u := create(t, o, "li", Viewer)
		_, token := login(t, o, "li")
		s.touched = 0
		for range 600 {
			if _, err := o.Session(t.Context(), token, here); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if s.touched != 9 {
			t.Errorf("written %d times in ten minutes", s.touched)
		}
		if u, err := o.User(t.Context(), u.ID); err != nil || time.Since(u.LastSeenAt) > time.Minute+time.Second {
			t.Errorf("last seen %s ago, %v", time.Since(u.LastSeenAt), err)
		}
	})
}

// What one replica ends holds at the others within five seconds, and here at once.
func TestRevocation(t *testing.T) {
	t.Parallel()
	yes, viewer := true, Viewer
	for name, tt := range map[string]struct {
		revoke func(t *testing.T, o *Operators, u User, token string) error
		holds  func(Session, error) bool
	}{
		"logout": {func(t *testing.T, o *Operators, u User, token string) error { return o.Logout(t.Context(), token) }, nil},
		"one session": {func(t *testing.T, o *Operators, u User, token string) error {
			all, err := o.Sessions(t.Context(), u.ID)
			if err != nil {
				return err
			}
			return o.EndSession(t.Context(), owner, u.ID, all[0].ID)
		}, nil},
		"all sessions": {func(t *testing.T, o *Operators, u User, token string) error {
			return o.EndSessions(t.Context(), owner, u.ID, "")
		}, nil},
		"disabled": {func(t *testing.T, o *Operators, u User, token string) error {
			_, err := o.Change(t.Context(), owner, u.ID, Change{Disabled: &yes})
			return err
		}, nil},
		"deleted": {func(t *testing.T, o *Operators, u User, token string) error {
			return o.Delete(t.Context(), owner, u.ID, 0)
		}, nil},
		"demoted": {func(t *testing.T, o *Operators, u User, token string) error {
			_, err := o.Change(t.Context(), owner, u.ID, Change{Role: &viewer})
			return err
		}, func(s Session, err error) bool { return err == nil && s.User.Role == Viewer }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := memory.New(memory.Config{})
				a, b := newReplica(t, s), newReplica(t, s)
				create(t, a, "boss", Owner)
				u := create(t, a, "li", Admin)
				_, token := login(t, a, "li")
				for _, o := range []*Operators{a, b} {
					if _, err := o.Session(t.Context(), token, here); err != nil {
						t.Fatal(err)
					}
				}
				if err := tt.revoke(t, a, u, token); err != nil {
					t.Fatal(err)
				}
				holds := tt.holds
				if holds == nil {
					holds = func(_ Session, err error) bool { return errors.Is(err, ErrNoSession) }
				}
				if s, err := a.Session(t.Context(), token, here); !holds(s, err) {
					t.Errorf("here: %+v, %v", s, err)
				}
				time.Sleep(5 * time.Second)
				if s, err := b.Session(t.Context(), token, here); !holds(s, err) {
					t.Errorf("there after five seconds: %+v, %v", s, err)
				}
			})
		})
	}
}

func TestEndSessions(t *testing.T) {
	t.Parallel()
	o := newOperators(t)
	boss := create(t, o, "boss", Owner)
	u := create(t, o, "li", Operator)
	keep, token := login(t, o, "li")
	_, other := login(t, o, "li")
	ofBoss, bossToken := login(t, o, "boss")
	self := Actor{ID: u.ID, Role: Operator}
	for name, err := range map[string]error{
		"owner's by admin":       o.EndSessions(t.Context(), admin, boss.ID, ""),
		"owner's one by admin":   o.EndSession(t.Context(), admin, boss.ID, ofBoss.ID),
		"another's by an actor":  o.EndSessions(t.Context(), self, boss.ID, ""),
		"operator who is nobody": o.EndSessions(t.Context(), Actor{Role: Operator}, u.ID, ""),
		"one by nobody at all":   o.EndSession(t.Context(), Actor{}, u.ID, keep.ID),
	} {
		if !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"no such session": o.EndSession(t.Context(), self, u.ID, "none"),
		"session of else": o.EndSession(t.Context(), self, u.ID, ofBoss.ID),
		"no such user":    o.EndSessions(t.Context(), owner, "nobody", ""),
	} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := o.EndSessions(t.Context(), self, u.ID, keep.ID); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		token string
		lives bool
	}{"kept": {token, true}, "other": {other, false}, "boss": {bossToken, true}} {
		if _, err := o.Session(t.Context(), tt.token, here); (err == nil) != tt.lives {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := o.EndSession(t.Context(), self, u.ID, keep.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Session(t.Context(), token, here); !errors.Is(err, ErrNoSession) {
		t.Errorf("ended: %v", err)
	}
}

// While the store is away, a session is known for a moment and then nobody's.
func TestSessionStoreAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &failing{Store: memory.New(memory.Config{})}
		o := newReplica(t, s)
		create(t, o, "li", Viewer)
		_, token := login(t, o, "li")
		if _, err := o.Session(t.Context(), token, here); err != nil {
			t.Fatal(err)
		}
		s.user = errors.New("away")
		if _, err := o.Session(t.Context(), token, here); err != nil {
			t.Errorf("at once: %v", err)
		}
		time.Sleep(5 * time.Second)
		if _, err := o.Session(t.Context(), token, here); !errors.Is(err, access.ErrStorage) {
			t.Errorf("later: %v", err)
		}
		s.user = nil
		if _, err := o.Session(t.Context(), token, here); err != nil {
			t.Errorf("back: %v", err)
		}
	})
}

func TestSessionManyAtOnce(t *testing.T) {
	t.Parallel()
	o := newOperators(t, func(c *Config) { c.SessionIdle = 10 * time.Second })
	create(t, o, "li", Viewer)
	_, token := login(t, o, "li")
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if _, err := o.Session(t.Context(), token, here); err != nil {
				t.Error(err)
			}
			if _, err := o.Session(t.Context(), newToken(), here); !errors.Is(err, ErrNoSession) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := o.Logout(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Session(t.Context(), token, here); !errors.Is(err, ErrNoSession) {
		t.Errorf("after logout: %v", err)
	}
}
