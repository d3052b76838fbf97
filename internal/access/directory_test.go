package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
)

func grant(t *testing.T, s *memory.Store, c tuoguan.ComponentAppID, a tuoguan.AuthorizerAppID) tuoguan.Authorization {
	t.Helper()
	authorization := tuoguan.Authorization{Component: c, Authorizer: a}
	_, _, err := s.SaveGrant(t.Context(), store.Grant{
		Authorization: authorization, ObtainedAt: time.Now(), AuthorizedAt: time.Now(),
		Tokens: tuoguan.TokenSet{RefreshToken: tuoguan.NewSecret(rngText())},
	})
	if err != nil {
		t.Fatal(err)
	}
	return authorization
}

func newDirectory(t *testing.T, s *unreliable) *Directory {
	t.Helper()
	d, err := NewDirectory(DirectoryConfig{Store: s, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// found shows what a directory finds as a line of text.
func found(d *Directory, ctx context.Context, a tuoguan.AuthorizerAppID, c tuoguan.ComponentAppID) string {
	entries, err := d.Find(ctx, a, c)
	if err != nil {
		return "error"
	}
	text := ""
	for _, e := range entries {
		text += fmt.Sprintf("%s %s %v;", e.Authorization, e.State, e.Tags)
	}
	return text
}

func TestFind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &unreliable{Store: memory.New(memory.Config{})}
		d := newDirectory(t, db)
		two := grant(t, db.Store, "c2", "shop")
		grant(t, db.Store, "c1", "shop")
		if err := db.SaveTags(t.Context(), two, []string{"east"}); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			account   tuoguan.AuthorizerAppID
			component tuoguan.ComponentAppID
			want      string
		}{
			{"shop", "", "c1/shop active [];c2/shop active [east];"},
			{"shop", "c1", "c1/shop active [];"},
			{"shop", "c2", "c2/shop active [east];"},
			{"shop", "c3", ""},
			{"nobody", "", ""},
			{"nobody", "c1", ""},
		} {
			if diff := cmp.Diff(tt.want, found(d, t.Context(), tt.account, tt.component)); diff != "" {
				t.Errorf("%s for %q: %s", tt.account, tt.component, diff)
			}
		}
		// Somebody new is found at once.
		grant(t, db.Store, "c1", "nobody")
		if got := found(d, t.Context(), "nobody", ""); got != "c1/nobody active [];" {
			t.Errorf("a newcomer is found as %q", got)
		}
		// What this process changes holds at once, what others change within five seconds.
		if err := db.SaveTags(t.Context(), two, []string{"west"}); err != nil {
			t.Fatal(err)
		}
		d.Forget("shop")
		if got := found(d, t.Context(), "shop", "c2"); got != "c2/shop active [west];" {
			t.Errorf("after Forget: %q", got)
		}
		if _, err := db.Revoke(t.Context(), two, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if got := found(d, t.Context(), "shop", "c2"); got != "c2/shop revoked [west];" {
			t.Errorf("five seconds after a revocation: %q", got)
		}
		// While the store is away, memory answers.
		db.fail(errAway)
		for range 100 {
			time.Sleep(time.Second)
			if got := found(d, t.Context(), "shop", "c1"); got != "c1/shop active [];" {
				t.Fatalf("while the store is away: %q", got)
			}
		}
		d.Forget("shop")
		if got := found(d, t.Context(), "shop", "c1"); got != "c1/shop active [];" {
			t.Errorf("while the store is away, after Forget: %q", got)
		}
		if _, err := d.Find(t.Context(), "stranger", ""); !errors.Is(err, errAway) {
			t.Errorf("a stranger while the store is away: %v", err)
		}
		d.Close()
		if got := found(d, t.Context(), "shop", "c1"); got != "c1/shop active [];" {
			t.Errorf("after Close: %q", got)
		}
	})
}

// TestFindQuarantined: a record that does not open hides only itself.
func TestFindQuarantined(t *testing.T) {
	t.Parallel()
	db := &unreliable{Store: memory.New(memory.Config{})}
	d := newDirectory(t, db)
	grant(t, db.Store, "c1", "shop") // that of c2 does not open
	db.fail(fmt.Errorf("%w: c2/shop", store.ErrQuarantined))
	if got := found(d, t.Context(), "shop", "c1"); got != "c1/shop active [];" {
		t.Errorf("the other one is found as %q", got)
	}
	for _, component := range []tuoguan.ComponentAppID{"", "c2"} {
		if _, err := d.Find(t.Context(), "shop", component); !errors.Is(err, store.ErrQuarantined) {
			t.Errorf("for component %q: %v", component, err)
		}
	}
}

func TestFindNothingAllocated(t *testing.T) {
	db := &unreliable{Store: memory.New(memory.Config{})}
	d := newDirectory(t, db)
	grant(t, db.Store, "c1", "shop")
	grant(t, db.Store, "c2", "shop")
	if n := testing.AllocsPerRun(1000, func() {
		if e, err := d.Find(t.Context(), "shop", "c2"); err != nil || len(e) != 1 || cap(e) != 1 {
			t.Fatal(e, err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestCacheBounded: what is used stays, the rest makes room.
func TestCacheBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		loads := make(map[string]int)
		c := newCache("things", 100, slog.New(slog.DiscardHandler), func(_ context.Context, id string) (string, error) {
			loads[id]++ // one at a time, as get waits for it
			return id, nil
		})
		defer c.close()
		for i := range 10_000 {
			for _, id := range []string{strconv.Itoa(i), "used"} {
				if got, err := c.get(t.Context(), id); got != id || err != nil {
					t.Fatal(got, err)
				}
			}
			if n := len(c.young) + len(c.old); n > 100 {
				t.Fatalf("%d are in memory", n)
			}
		}
		if loads["used"] > 1 {
			t.Errorf("what is used all the time was read %d times", loads["used"])
		}
	})
}

// TestCloseWaits: nothing reads after Close.
func TestCloseWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reading := false
		c := newCache("things", 100, slog.New(slog.DiscardHandler), func(ctx context.Context, id string) (string, error) {
			reading = true
			<-ctx.Done()
			time.Sleep(time.Second) // a driver that takes its time
			reading = false
			return "", ctx.Err()
		})
		c.put("x", "y")
		time.Sleep(2 * time.Second)
		if got, err := c.get(t.Context(), "x"); got != "y" || err != nil {
			t.Fatal(got, err)
		}
		synctest.Wait()
		if !reading {
			t.Fatal("an old record is not read again")
		}
		c.close()
		if reading {
			t.Error("the store is being read after close")
		}
	})
}
