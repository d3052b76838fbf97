package operator

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
)

func TestLoginRefused(t *testing.T) {
	t.Parallel()
	o := newOperators(t)
	yes := true
	create(t, o, "li", Owner)
	gone := create(t, o, "gone", Viewer)
	if _, err := o.Change(t.Context(), owner, gone.ID, Change{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	if _, err := o.cfg.Store.PutUser(t.Context(), store.User{ID: "0", Name: "federated", Role: string(Viewer), Subject: "https://id#1"}); err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]Login{
		"unknown name":     {Name: "nobody", Password: goodPassword},
		"not even a name":  {Name: "no\x00body", Password: goodPassword},
		"no name":          {Password: goodPassword},
		"wrong password":   {Name: "li", Password: goodPassword + "x"},
		"no password":      {Name: "li"},
		"disabled":         {Name: "gone", Password: goodPassword},
		"has no password":  {Name: "federated"},
		"hash as password": {Name: "li", Password: foreign},
	} {
		s, token, err := o.Login(t.Context(), l, here)
		if err != ErrRefused || !token.IsZero() || s.ID != "" { // the very same, so nothing can be told from it
			t.Errorf("%s: %+v, error %v", name, s, err)
		}
	}
	if _, _, err := o.Login(t.Context(), Login{Name: "LI", Password: goodPassword}, here); err != nil {
		t.Errorf("capital letters: %v", err)
	}
}

func TestUnknownNameCostsTheSame(t *testing.T) {
	t.Parallel()
	o := newOperators(t)
	o.hasher.cost = cost{memory: 4 << 10, time: 2, threads: 1}
	create(t, o, "li", Owner)
	median := func(name string) time.Duration {
		var all []time.Duration
		for i := range 9 {
			began := time.Now()
			from := Visitor{Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})}
			if _, _, err := o.Login(t.Context(), Login{Name: name, Password: "wrong password"}, from); err != ErrRefused {
				t.Fatal(err)
			}
			all = append(all, time.Since(began))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	known, unknown := median("li"), median("nobody")
	if unknown < known/5 { // without a hash it would be a hundredth
		t.Errorf("%s for an unknown name, %s for a wrong password", unknown, known)
	}
}

func TestLockout(t *testing.T) {
	t.Parallel()
	from := func(i int) Visitor {
		return Visitor{Address: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}
	}
	// Each attempt goes to another replica than the one before.
	try := func(t *testing.T, replicas []*Operators, i int, name, password string, v Visitor) error {
		_, _, err := replicas[i%len(replicas)].Login(t.Context(), Login{Name: name, Password: password}, v)
		return err
	}
	fail := func(t *testing.T, replicas []*Operators, i int, name string, v Visitor) {
		t.Helper()
		if err := try(t, replicas, i, name, "wrong", v); err != ErrRefused {
			t.Fatalf("attempt %d: %v", i, err)
		}
	}
	locked := func(t *testing.T, err error, want time.Duration) {
		t.Helper()
		e, ok := errors.AsType[*Locked](err)
		if !ok || e.RetryAfter != want {
			t.Fatalf("error %v, want locked for %s", err, want)
		}
	}
	for name, test := range map[string]func(t *testing.T, o []*Operators){
		"name and address": func(t *testing.T, o []*Operators) {
			for i := range 10 {
				fail(t, o, i, "li", here)
				time.Sleep(time.Minute)
			}
			locked(t, try(t, o, 0, "li", goodPassword, here), 5*time.Minute)
			if err := try(t, o, 0, "li", goodPassword, there); err != nil {
				t.Errorf("from elsewhere: %v", err)
			}
			if err := try(t, o, 0, "wang", goodPassword, here); err != nil {
				t.Errorf("another name: %v", err)
			}
			time.Sleep(5 * time.Minute)
			fail(t, o, 0, "li", here) // the first is forgotten, the second not
			locked(t, try(t, o, 0, "LI", goodPassword, here), time.Minute)
			time.Sleep(time.Minute)
			if err := try(t, o, 0, "li", goodPassword, here); err != nil {
				t.Errorf("after waiting: %v", err)
			}
			for i := range 10 {
				fail(t, o, i, "li", here) // success has cleared the count
			}
		},
		"name": func(t *testing.T, o []*Operators) {
			for i := range perName {
				fail(t, o, i, "li", from(i))
			}
			locked(t, try(t, o, 0, "li", goodPassword, here), 15*time.Minute)
			if err := try(t, o, 0, "wang", goodPassword, here); err != nil {
				t.Errorf("another name: %v", err)
			}
		},
		"address": func(t *testing.T, o []*Operators) {
			for i := range perAddress {
				fail(t, o, i, fmt.Sprint("nobody", i), here)
			}
			locked(t, try(t, o, 0, "wang", goodPassword, here), 15*time.Minute)
			if err := try(t, o, 0, "li", goodPassword, there); err != nil {
				t.Errorf("from elsewhere: %v", err)
			}
			time.Sleep(14 * time.Minute)
			for range perNameAndAddress {
				locked(t, try(t, o, 0, "li", "wrong", here), time.Minute)
			}
			time.Sleep(time.Minute)
			if err := try(t, o, 0, "li", goodPassword, here); err != nil {
				t.Errorf("what was not taken counts: %v", err)
			}
		},
		"one network of IPv6": func(t *testing.T, o []*Operators) {
			for i := range 10 {
				fail(t, o, i, "li", Visitor{Address: netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1))})
			}
			locked(t, try(t, o, 0, "li", goodPassword, Visitor{Address: netip.MustParseAddr("2001:db8::ffff:0:0:1")}), 15*time.Minute)
			if err := try(t, o, 0, "li", goodPassword, Visitor{Address: netip.MustParseAddr("2001:db8:0:1::1")}); err != nil {
				t.Errorf("the next network: %v", err)
			}
		},
		"success does not count": func(t *testing.T, o []*Operators) {
			for i := range perName + 20 {
				if err := try(t, o, i, "li", goodPassword, here); err != nil {
					t.Fatalf("attempt %d: %v", i, err)
				}
			}
		},
		"while locked nothing counts": func(t *testing.T, o []*Operators) {
			for i := range 10 {
				fail(t, o, i, "li", here)
			}
			for range perAddress {
				locked(t, try(t, o, 0, "li", "wrong", here), 15*time.Minute)
			}
			if err := try(t, o, 0, "wang", goodPassword, here); err != nil {
				t.Errorf("the address: %v", err)
			}
			time.Sleep(15 * time.Minute)
			if err := try(t, o, 0, "li", goodPassword, here); err != nil {
				t.Errorf("after waiting: %v", err)
			}
		},
		"all at once": func(t *testing.T, o []*Operators) {
			var wg sync.WaitGroup
			errs := make([]error, 40)
			for i := range errs {
				wg.Go(func() { errs[i] = try(t, o, i, "li", "wrong", here) })
			}
			wg.Wait()
			refused := 0
			for _, err := range errs {
				if err == ErrRefused {
					refused++
				} else if _, ok := errors.AsType[*Locked](err); !ok {
					t.Errorf("error %v", err)
				}
			}
			if refused != perNameAndAddress {
				t.Errorf("%d attempts got through", refused)
			}
		},
		"own password": func(t *testing.T, o []*Operators) {
			_, token, err := o[0].Login(t.Context(), Login{Name: "li", Password: goodPassword}, here)
			if err != nil {
				t.Fatal(err)
			}
			s, err := o[0].Session(t.Context(), token.Reveal(), here)
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				_, _, err := o[0].ChangePassword(t.Context(), s, "wrong", "another good one", here)
				fields(t, err)
				_, err = o[1].RemoveTOTP(t.Context(), s, "wrong")
				fields(t, err)
			}
			_, _, err = o[0].ChangePassword(t.Context(), s, goodPassword, "another good one", here)
			locked(t, err, 15*time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := memory.New(memory.Config{})
				replicas := []*Operators{newReplica(t, s), newReplica(t, s)}
				create(t, replicas[0], "li", Owner)
				create(t, replicas[0], "wang", Viewer)
				test(t, replicas)
			})
		})
	}
}

// The password is hashed again where its hash was cheaper.
func TestHashAgain(t *testing.T) {
	t.Parallel()
	o := newOperators(t)
	u := create(t, o, "li", Owner)
	o.hasher.cost = cost{memory: 16, time: 1, threads: 1}
	for range 2 {
		s, _ := login(t, o, "li")
		stored, err := o.cfg.Store.User(t.Context(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		if o.hasher.outdated(stored.Password) || stored.Version != 2 || s.User.Version != 2 {
			t.Errorf("user %+v", stored)
		}
	}
}

// Whoever is disabled, or gets another password, while signing in is not signed in.
func TestLoginOvertaken(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*store.User){
		"disabled":         func(u *store.User) { u.Disabled = true },
		"another password": func(u *store.User) { u.Password = foreign },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &overtaking{Store: memory.New(memory.Config{})}
			o := newReplica(t, s)
			u := create(t, o, "li", Viewer)
			s.before = func() {
				stored, err := s.Store.User(t.Context(), u.ID)
				if err != nil {
					t.Error(err)
				}
				edit(&stored)
				if _, err := s.Store.PutUser(t.Context(), stored); err != nil {
					t.Error(err)
				}
			}
			if _, _, err := o.Login(t.Context(), Login{Name: "li", Password: goodPassword}, here); !errors.Is(err, ErrRefused) {
				t.Errorf("error %v", err)
			}
			if left, err := s.SessionsOf(t.Context(), u.ID); len(left) != 0 || err != nil {
				t.Errorf("sessions %v, %v", left, err)
			}
		})
	}
}

// contested is a store in which others are faster to write values, so many times.
type contested struct {
	Store
	times int
}

func (s *contested) PutValue(ctx context.Context, v store.Value) error {
	if s.times--; s.times >= 0 {
		return store.ErrConflict
	}
	return s.Store.PutValue(ctx, v)
}

func TestAttemptContested(t *testing.T) {
	t.Parallel()
	s := &contested{Store: memory.New(memory.Config{})}
	o := newReplica(t, s)
	s.times = countAttempts - 1
	if _, _, err := o.Login(t.Context(), Login{Name: "li", Password: "wrong"}, here); err != ErrRefused {
		t.Errorf("a few faster: %v", err)
	}
	s.times = countAttempts
	if _, _, err := o.Login(t.Context(), Login{Name: "li", Password: "wrong"}, here); !errors.Is(err, access.ErrStorage) {
		t.Errorf("many faster: %v", err)
	}
}
