package operator

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	o := newOperators(t)
	create(t, o, "li", Owner)
	for _, tt := range []struct {
		name   string
		by     Actor
		user   NewUser
		fields []string // that are wrong
		err    error
	}{
		{"given password", owner, NewUser{Name: "Wang@Example.com", FullName: "王", Role: Viewer, Password: goodPassword}, nil, nil},
		{"made password", admin, NewUser{Name: "zhao", Role: Admin}, nil, nil},
		{"owner by owner", owner, NewUser{Name: "sun", Role: Owner}, nil, nil},
		{"owner by admin", admin, NewUser{Name: "qian", Role: Owner}, nil, ErrForbidden},
		{"by operator", Actor{Role: Operator}, NewUser{Name: "qian", Role: Viewer}, nil, ErrForbidden},
		{"everything wrong", owner, NewUser{Name: "x", FullName: " x", Role: "king", Password: "short"}, []string{"name", "full_name", "role", "password"}, nil},
		{"password is the name", owner, NewUser{Name: "Zhou-Zhou-Zhou", Role: Viewer, Password: "zhou-zhou-zhou"}, []string{"password"}, nil},
		{"taken", owner, NewUser{Name: "LI", Role: Viewer}, []string{"name"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, initial, err := o.Create(t.Context(), tt.by, tt.user)
			if tt.fields != nil {
				if diff := cmp.Diff(tt.fields, fields(t, err)); diff != "" {
					t.Errorf("mistakes (-want +got):\n%s", diff)
				}
				return
			}
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if initial.IsZero() != (tt.user.Password != "") {
				t.Errorf("initial password %q", initial.Reveal())
			}
			password := tt.user.Password
			var must []string
			if password == "" {
				password, must = initial.Reveal(), []string{MustPassword}
			}
			s, _, err := o.Login(t.Context(), Login{Name: tt.user.Name, Password: password}, here)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(must, s.Must, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("must (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(u, s.User, cmpopts.IgnoreFields(User{}, "LastSeenAt")); diff != "" {
				t.Errorf("user (-made +signed in):\n%s", diff)
			}
		})
	}
}

func TestChange(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	role := func(r Role) *Role { return &r }
	name := func(s string) *string { return &s }
	for _, tt := range []struct {
		name   string
		by     Actor
		of     Role
		change Change
		err    error
	}{
		{"name", admin, Viewer, Change{FullName: name("王")}, nil},
		{"role", admin, Viewer, Change{Role: role(Admin)}, nil},
		{"make owner", owner, Viewer, Change{Role: role(Owner)}, nil},
		{"admin makes owner", admin, Viewer, Change{Role: role(Owner)}, ErrForbidden},
		{"admin renames owner", admin, Owner, Change{FullName: name("王")}, ErrForbidden},
		{"admin disables owner", admin, Owner, Change{Disabled: &yes}, ErrForbidden},
		{"operator", Actor{Role: Operator}, Viewer, Change{FullName: name("王")}, ErrForbidden},
		{"disable", admin, Operator, Change{Disabled: &yes}, nil},
		{"enable what is not disabled", admin, Operator, Change{Disabled: &no}, nil},
		{"owner of two", owner, Owner, Change{Role: role(Viewer)}, nil},
		{"other version", owner, Viewer, Change{Version: 7, Disabled: &yes}, store.ErrConflict},
		{"this version", owner, Viewer, Change{Version: 1, Disabled: &yes}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := newOperators(t)
			create(t, o, "li", Owner)
			before := create(t, o, "wang", tt.of)
			got, err := o.Change(t.Context(), tt.by, before.ID, tt.change)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			want := before
			if tt.err == nil {
				want.Version++
				if tt.change.FullName != nil {
					want.FullName = *tt.change.FullName
				}
				if tt.change.Role != nil {
					want.Role = *tt.change.Role
				}
				if tt.change.Disabled != nil {
					want.Disabled = *tt.change.Disabled
				}
				if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(User{}, "UpdatedAt")); diff != "" {
					t.Errorf("returned (-want +got):\n%s", diff)
				}
			}
			if got, err = o.User(t.Context(), before.ID); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(User{}, "UpdatedAt")); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("wrong", func(t *testing.T) {
		o := newOperators(t)
		u := create(t, o, "li", Owner)
		_, err := o.Change(t.Context(), owner, u.ID, Change{FullName: name("a\x00"), Role: role("king")})
		if diff := cmp.Diff([]string{"full_name", "role"}, fields(t, err)); diff != "" {
			t.Error(diff)
		}
		if _, err := o.Change(t.Context(), owner, "nobody", Change{}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("unknown user: %v", err)
		}
	})
}

func TestLastOwner(t *testing.T) {
	t.Parallel()
	viewer, yes := Viewer, true
	ways := map[string]func(o *Operators, t *testing.T, id string) error{
		"demoted": func(o *Operators, t *testing.T, id string) error {
			_, err := o.Change(t.Context(), owner, id, Change{Role: &viewer})
			return err
		},
		"disabled": func(o *Operators, t *testing.T, id string) error {
			_, err := o.Change(t.Context(), owner, id, Change{Disabled: &yes})
			return err
		},
		"deleted": func(o *Operators, t *testing.T, id string) error {
			return o.Delete(t.Context(), owner, id, 0)
		},
	}
	for name, leave := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOperators(t)
			last := create(t, o, "li", Owner)
			create(t, o, "admin", Admin)
			// Owners who cannot sign in do not count.
			disabled := create(t, o, "disabled", Owner)
			if _, err := o.Change(t.Context(), owner, disabled.ID, Change{Disabled: &yes}); err != nil {
				t.Fatal(err)
			}
			if _, err := o.cfg.Store.PutUser(t.Context(), store.User{ID: "0", Name: "federated", Role: string(Owner), Subject: "https://gone#1"}); err != nil {
				t.Fatal(err)
			}
			if err := leave(o, t, last.ID); !errors.Is(err, ErrLastOwner) {
				t.Fatalf("error %v", err)
			}
			create(t, o, "next", Owner)
			if err := leave(o, t, last.ID); err != nil {
				t.Errorf("with another owner: %v", err)
			}
		})
	}
	for name, leave := range ways {
		t.Run("round a circle, "+name, func(t *testing.T) {
			t.Parallel()
			for round := range 20 {
				synctest.Test(t, func(t *testing.T) {
					s := memory.New(memory.Config{})
					owners := make([]User, 2+round%3)
					for i := range owners {
						owners[i] = create(t, newReplica(t, s), fmt.Sprint("owner", i), Owner)
					}
					var wg sync.WaitGroup
					for _, u := range owners {
						o := newReplica(t, slow{s}) // each asks another replica, and all have read before any writes
						wg.Go(func() {
							err := leave(o, t, u.ID)
							if err != nil && !errors.Is(err, ErrLastOwner) && !errors.Is(err, store.ErrConflict) {
								t.Errorf("error %v", err)
							}
						})
					}
					wg.Wait()
					left, err := s.Users(t.Context(), "", 10)
					if err != nil {
						t.Fatal(err)
					}
					if !slices.ContainsFunc(left, newReplica(t, s).isOwner) {
						t.Fatalf("round %d: none of %d owners is left", round, len(owners))
					}
				})
			}
		})
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	o := newOperators(t)
	boss := create(t, o, "li", Owner)
	u := create(t, o, "wang", Viewer)
	_, token := login(t, o, "wang")
	if err := o.Delete(t.Context(), admin, boss.ID, 0); !errors.Is(err, ErrForbidden) {
		t.Errorf("owner by admin: %v", err)
	}
	if err := o.Delete(t.Context(), admin, u.ID, u.Version+5); !errors.Is(err, store.ErrConflict) {
		t.Errorf("other version: %v", err)
	}
	if err := o.Delete(t.Context(), admin, u.ID, u.Version); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Session(t.Context(), token, here); !errors.Is(err, ErrNoSession) {
		t.Errorf("session: %v", err)
	}
	if err := o.Delete(t.Context(), admin, u.ID, 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("again: %v", err)
	}
}

func TestResetPassword(t *testing.T) {
	t.Parallel()
	o := newOperators(t)
	boss := create(t, o, "li", Owner)
	u := create(t, o, "wang", Viewer)
	_, token := login(t, o, "wang")
	if _, err := o.ResetPassword(t.Context(), admin, boss.ID); !errors.Is(err, ErrForbidden) {
		t.Errorf("owner by admin: %v", err)
	}
	initial, err := o.ResetPassword(t.Context(), admin, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Session(t.Context(), token, here); !errors.Is(err, ErrNoSession) {
		t.Errorf("session goes on: %v", err)
	}
	if _, _, err := o.Login(t.Context(), Login{Name: "wang", Password: goodPassword}, here); !errors.Is(err, ErrRefused) {
		t.Errorf("former password: %v", err)
	}
	s, cookie, err := o.Login(t.Context(), Login{Name: "wang", Password: initial.Reveal()}, here)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{MustPassword}, s.Must); diff != "" || s.Operations() != nil {
		t.Errorf("must %v, and may %v", s.Must, s.Operations())
	}

	_, _, err = o.ChangePassword(t.Context(), s, "wrong", "qwertyuiop", here)
	if diff := cmp.Diff([]string{"new", "current"}, fields(t, err)); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
	_, _, err = o.ChangePassword(t.Context(), s, initial.Reveal(), initial.Reveal(), here)
	if diff := cmp.Diff([]string{"new"}, fields(t, err)); diff != "" {
		t.Errorf("the same again (-want +got):\n%s", diff)
	}
	_, elsewhere, err := o.Login(t.Context(), Login{Name: "wang", Password: initial.Reveal()}, there)
	if err != nil {
		t.Fatal(err)
	}
	changed, fresh, err := o.ChangePassword(t.Context(), s, initial.Reveal(), "another good one", here)
	if err != nil {
		t.Fatal(err)
	}
	if len(changed.Must) != 0 || len(changed.Operations()) == 0 || fresh.Equal(cookie) {
		t.Errorf("session %+v", changed)
	}
	for name, old := range map[string]string{"former token": cookie.Reveal(), "other session": elsewhere.Reveal()} {
		if _, err := o.Session(t.Context(), old, here); !errors.Is(err, ErrNoSession) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := o.Session(t.Context(), fresh.Reveal(), here); err != nil {
		t.Errorf("new token: %v", err)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	s := &failing{Store: memory.New(memory.Config{})}
	o := newReplica(t, s)
	for i := range 5 {
		create(t, o, fmt.Sprint("user", i), Viewer)
	}
	var all []User
	for after := ""; ; {
		page, err := o.Users(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		all = append(all, page...)
		after = page[len(page)-1].ID
	}
	if len(all) != 5 || !all[0].Password || all[0].TOTP || all[0].OIDC {
		t.Errorf("users %+v", all)
	}
	s.user = errors.New("disk on fire")
	if _, err := o.User(t.Context(), all[0].ID); !errors.Is(err, access.ErrStorage) {
		t.Errorf("error %v", err)
	}
}
