package operator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
)

const goodPassword = "correct horse battery"

var (
	here  = Visitor{Address: netip.MustParseAddr("192.0.2.1"), Agent: "test"}
	there = Visitor{Address: netip.MustParseAddr("198.51.100.7"), Agent: "other"}

	cheap = cost{memory: 8, time: 1, threads: 1}
	owner = Actor{Role: Owner}
	admin = Actor{Role: Admin}
)

// newReplica returns one of several that share a store, with hashes that cost nothing.
func newReplica(t *testing.T, s Store, edit ...func(*Config)) *Operators {
	t.Helper()
	cfg := Config{Store: s, Logger: slog.New(slog.DiscardHandler), TOTP: TOTPOff}
	for _, e := range edit {
		e(&cfg)
	}
	o, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	o.hasher.cost = cheap
	return o
}

func newOperators(t *testing.T, edit ...func(*Config)) *Operators {
	t.Helper()
	return newReplica(t, memory.New(memory.Config{}), edit...)
}

// create makes a user with goodPassword.
func create(t *testing.T, o *Operators, name string, role Role) User {
	t.Helper()
	u, _, err := o.Create(t.Context(), owner, NewUser{Name: name, Role: role, Password: goodPassword})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func login(t *testing.T, o *Operators, name string) (Session, string) {
	t.Helper()
	s, token, err := o.Login(t.Context(), Login{Name: name, Password: goodPassword}, here)
	if err != nil {
		t.Fatal(err)
	}
	return s, token.Reveal()
}

// fields returns the fields that an error complains about.
func fields(t *testing.T, err error) (names []string) {
	t.Helper()
	wrong, ok := errors.AsType[access.Mistakes](err)
	if !ok {
		t.Fatalf("error %v, want mistakes", err)
	}
	for _, e := range wrong {
		if e.Problem == "" || e.Chinese == "" {
			t.Errorf("mistake %+v is not in both languages", e)
		}
		names = append(names, e.Field)
	}
	return names
}

func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := New(Config{TOTP: "some", SessionIdle: -1, OIDC: &OIDCConfig{
		Issuer: "http://id.example.com", RedirectURL: "https://here/x", RoleClaim: "groups", DefaultRole: "king", Scopes: []string{"email"},
	}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"Store", "Logger", "TOTP", "SessionIdle", "Issuer", "ClientID", "openid", "RoleClaim", "DefaultRole", "HTTPClient"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error does not tell of %s: %v", part, err)
		}
	}
	if strings.Contains(err.Error(), "RedirectURL") {
		t.Errorf("error tells of RedirectURL, which is right: %v", err)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		role     Role
		may, not []access.Operation
		changes  []Role
	}{
		{Owner, []access.Operation{access.Everything}, nil, Roles()},
		{Admin, []access.Operation{access.WriteKeys, access.ReadTokens, access.WriteComponents, access.ReadAudit, access.WriteUsers},
			[]access.Operation{access.Everything}, []Role{Admin, Operator, Auditor, Viewer}},
		{Operator, []access.Operation{access.RefreshTokens, access.CallGateway, access.RunJobs, access.ReadKeys, access.WriteSubscriptions},
			[]access.Operation{access.WriteComponents, access.WriteKeys, access.ReadAudit, access.ReadUsers, access.Everything}, nil},
		{Auditor, []access.Operation{access.ReadAudit, access.ReadKeys, access.ReadComponents, access.ReadUsers},
			[]access.Operation{access.ReadTokens, access.WriteLinks, access.CallGateway, access.RunJobs}, nil},
		{Viewer, []access.Operation{access.ReadJobs, access.ReadEvents},
			[]access.Operation{access.ReadAudit, access.ReadKeys, access.ReadTokens, access.ReplayEvents, access.ReadUsers}, nil},
		{"king", nil, access.Operations(), nil},
	} {
		t.Run(string(tt.role), func(t *testing.T) {
			held := access.Caller{Scope: access.Scope{Operations: tt.role.Operations()}}
			for _, op := range tt.may {
				if !held.May(op) {
					t.Errorf("may not %s", op)
				}
			}
			for _, op := range tt.not {
				if held.May(op) {
					t.Errorf("may %s", op)
				}
			}
			var changes []Role
			for _, r := range Roles() {
				if tt.role.MayChange(r) {
					changes = append(changes, r)
				}
			}
			if diff := cmp.Diff(tt.changes, changes); diff != "" {
				t.Errorf("may change (-want +got):\n%s", diff)
			}
		})
	}
}

// What an admin may give to an API key must not make the key an owner.
func TestAdminMakesNoOwnerKey(t *testing.T) {
	t.Parallel()
	held := access.Scope{Operations: Admin.Operations()}
	if held.Covers(access.Scope{Operations: []access.Operation{access.Everything}}) {
		t.Error("an admin can make a key that counts as an owner")
	}
}

func TestSetup(t *testing.T) {
	t.Parallel()
	newLogged := func(t *testing.T, s Store) (*Operators, func() string) {
		var log bytes.Buffer
		o := newReplica(t, s, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		return o, func() string {
			_, after, _ := strings.Cut(log.String(), "set_up_with=")
			log.Reset()
			token, _, _ := strings.Cut(after, " ")
			return token
		}
	}
	needs := func(t *testing.T, o *Operators, want bool) {
		t.Helper()
		if got, err := o.NeedsSetup(t.Context()); got != want || err != nil {
			t.Fatalf("NeedsSetup is %v, %v; want %v", got, err, want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Config{})
		a, logged := newLogged(t, s)
		b, elsewhere := newLogged(t, s)
		needs(t, a, true)
		needs(t, b, true)
		needs(t, a, true)
		token := logged()
		if len(token) != 24 || elsewhere() != "" {
			t.Fatalf("token %q is not of 24 characters, or there are two", token)
		}
		if v, err := s.Value(t.Context(), setupKey); err != nil || bytes.Contains(v.Data, []byte(token)) {
			t.Fatalf("stored: %v", err)
		}

		time.Sleep(30 * time.Minute)
		right := Setup{Token: token, Name: "Li.Ming", FullName: "李明", Password: goodPassword}
		if _, _, err := a.Setup(t.Context(), right, here); !errors.Is(err, ErrSetup) {
			t.Fatalf("old token: %v", err)
		}
		needs(t, b, true)
		token = elsewhere()
		right.Token = strings.ToUpper(token[:4] + "-" + token[4:] + " ")

		if _, _, err := a.Setup(t.Context(), Setup{Token: "wrong", Name: "li", Password: goodPassword}, here); !errors.Is(err, ErrSetup) {
			t.Fatalf("wrong token: %v", err)
		}
		_, _, err := a.Setup(t.Context(), Setup{Token: token, Name: "李", FullName: "a\nb", Password: "short"}, here)
		if diff := cmp.Diff([]string{"name", "full_name", "password"}, fields(t, err)); diff != "" {
			t.Fatalf("mistakes (-want +got):\n%s", diff)
		}
		session, cookie, err := a.Setup(t.Context(), right, here)
		if err != nil {
			t.Fatal(err)
		}
		if session.User.Name != "li.ming" || session.User.Role != Owner || session.Method != MethodSetup || cookie.IsZero() {
			t.Errorf("session %+v", session)
		}
		if _, err := b.Session(t.Context(), cookie.Reveal(), here); err != nil {
			t.Errorf("session at the other replica: %v", err)
		}
		needs(t, a, false)
		needs(t, b, false)
		if _, _, err := b.Setup(t.Context(), right, here); !errors.Is(err, ErrSetup) {
			t.Errorf("used token: %v", err)
		}
		if u, err := a.Users(t.Context(), "", 10); len(u) != 1 || err != nil {
			t.Errorf("users %v, %v", u, err)
		}
	})
}

func TestSetupTwiceAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := slow{memory.New(memory.Config{})}
		token := "abcdefghjkmnpqrstuvwxyz2"
		hash := hashOf(token)
		if err := s.PutValue(t.Context(), store.Value{Key: setupKey, Data: hash[:], ExpiresAt: time.Now().Add(time.Minute)}); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			o := newReplica(t, s)
			wg.Go(func() {
				_, _, errs[i] = o.Setup(t.Context(), Setup{Token: token, Name: fmt.Sprint("owner", i), Password: goodPassword}, here)
			})
		}
		wg.Wait()
		done := 0
		for _, err := range errs {
			if err == nil {
				done++
			} else if !errors.Is(err, ErrSetup) {
				t.Errorf("error %v", err)
			}
		}
		if done != 1 {
			t.Errorf("%d requests succeeded", done)
		}
	})
}

// A token that is left over makes no second first owner.
func TestSetupWithUsers(t *testing.T) {
	t.Parallel()
	o := newOperators(t)
	token := "abcdefghjkmnpqrstuvwxyz2"
	hash := hashOf(token)
	if err := o.cfg.Store.PutValue(t.Context(), store.Value{Key: setupKey, Data: hash[:], ExpiresAt: time.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	create(t, o, "li", Viewer)
	if _, _, err := o.Setup(t.Context(), Setup{Token: token, Name: "wang", Password: goodPassword}, here); !errors.Is(err, ErrSetup) {
		t.Errorf("error %v", err)
	}
}

// slow is a store whose lists of users are a second old when they arrive. So those who
// ask at the same time see the same.
type slow struct{ Store }

func (s slow) Users(ctx context.Context, after string, limit int) ([]store.User, error) {
	users, err := s.Store.Users(ctx, after, limit)
	time.Sleep(time.Second)
	return users, err
}

// A token that was taken comes back if the user cannot be written.
func TestSetupPutsBack(t *testing.T) {
	t.Parallel()
	s := &failing{Store: memory.New(memory.Config{})}
	o := newReplica(t, s)
	token := "abcdefghjkmnpqrstuvwxyz2"
	hash := hashOf(token)
	if err := s.PutValue(t.Context(), store.Value{Key: setupKey, Data: hash[:], ExpiresAt: time.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	setup := Setup{Token: token, Name: "li", Password: goodPassword}
	s.putUser = errors.New("disk full")
	if _, _, err := o.Setup(t.Context(), setup, here); !errors.Is(err, access.ErrStorage) {
		t.Fatalf("error %v", err)
	}
	s.putUser = nil
	if _, _, err := o.Setup(t.Context(), setup, here); err != nil {
		t.Fatalf("second attempt: %v", err)
	}
}

// failing is a store that fails where it is told to.
type failing struct {
	Store
	putUser, user error
	touched       int
}

func (f *failing) PutUser(ctx context.Context, u store.User) (store.User, error) {
	if f.putUser != nil {
		return store.User{}, f.putUser
	}
	return f.Store.PutUser(ctx, u)
}

func (f *failing) User(ctx context.Context, id string) (store.User, error) {
	if f.user != nil {
		return store.User{}, f.user
	}
	return f.Store.User(ctx, id)
}

func (f *failing) TouchSession(ctx context.Context, hash []byte, at time.Time) error {
	f.touched++
	return f.Store.TouchSession(ctx, hash, at)
}
