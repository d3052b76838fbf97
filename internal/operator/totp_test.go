package operator

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp/totp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
)

// overtaking is a store in which something happens just before a session is written.
type overtaking struct {
	Store
	before func()
}

func (s *overtaking) PutSession(ctx context.Context, o store.Session) error {
	s.before()
	return s.Store.PutSession(ctx, o)
}

func codeAt(t *testing.T, secret tuoguan.Secret, at time.Time) string {
	t.Helper()
	code, err := totp.GenerateCode(secret.Reveal(), at)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// enroll gives the user of a session a second factor.
func enroll(t *testing.T, o *Operators, s Session) (Session, string, tuoguan.Secret) {
	t.Helper()
	secret, _, err := o.BeginTOTP(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	s, token, err := o.ConfirmTOTP(t.Context(), s, codeAt(t, secret, o.cfg.Now()))
	if err != nil {
		t.Fatal(err)
	}
	return s, token.Reveal(), secret
}

func TestStepOf(t *testing.T) {
	t.Parallel()
	// The secret of RFC 6238, appendix B, and the last six digits of its codes.
	secret := tuoguan.NewSecret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
	for _, tt := range []struct {
		name string
		now  int64
		code string
		step int64 // 0: refused
	}{
		{"59 s", 59, "287082", 1},
		{"2005", 1111111109, "081804", 37037036},
		{"as apps show it", 1111111109, "081 804", 37037036},
		{"phone slow", 1111111109 + 30, "081804", 37037036},
		{"phone fast", 1111111109 - 30, "081804", 37037036},
		{"phone too slow", 1111111109 + 60, "081804", 0},
		{"phone too fast", 1111111109 - 60, "081804", 0},
		{"2603", 20000000000, "353130", 666666666},
		{"eight digits", 59, "94287082", 0},
		{"no digits", 59, "", 0},
	} {
		if step, ok := stepOf(secret, tt.code, time.Unix(tt.now, 0)); step != tt.step || ok != (tt.step != 0) {
			t.Errorf("%s: step %d, %v", tt.name, step, ok)
		}
	}
}

func TestTOTP(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New(memory.Config{})
		o := newReplica(t, st, func(c *Config) { c.TOTP = "" })
		u := create(t, o, "li", Owner)
		s, token := login(t, o, "li")
		_, elsewhere := login(t, o, "li")
		if diff := cmp.Diff([]string{MustTOTP}, s.Must); diff != "" || s.Operations() != nil {
			t.Fatalf("must %v, may %v", s.Must, s.Operations())
		}

		if _, _, err := o.ConfirmTOTP(t.Context(), s, "123456"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("nothing waits: %v", err)
		}
		former, _, err := o.BeginTOTP(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		secret, link, err := o.BeginTOTP(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := url.Parse(link.Reveal())
		if err != nil || parsed.Scheme != "otpauth" || parsed.Host != "totp" || parsed.Query().Get("secret") != secret.Reveal() ||
			parsed.Path != "/Tuoguan:li" || parsed.Query().Get("issuer") != "Tuoguan" {
			t.Errorf("URL %q", link.Reveal())
		}
		_, _, err = o.ConfirmTOTP(t.Context(), s, codeAt(t, former, time.Now()))
		if diff := cmp.Diff([]string{"code"}, fields(t, err)); diff != "" {
			t.Error(diff)
		}
		if u, err = o.User(t.Context(), u.ID); u.TOTP || err != nil {
			t.Fatalf("in force before it was confirmed: %v", err)
		}
		time.Sleep(9 * time.Minute)
		s, fresh, err := o.ConfirmTOTP(t.Context(), s, codeAt(t, secret, time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Must) != 0 || len(s.Operations()) == 0 || s.Method != MethodTOTP || !s.User.TOTP {
			t.Errorf("session %+v", s)
		}
		if _, err := o.Session(t.Context(), fresh.Reveal(), here); err != nil {
			t.Errorf("new token: %v", err)
		}
		// Whoever had signed in with the password alone is out, and has not become mightier.
		for name, old := range map[string]string{"former token": token, "other session": elsewhere} {
			if _, err := o.Session(t.Context(), old, here); !errors.Is(err, ErrNoSession) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, _, err := o.BeginTOTP(t.Context(), s); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a second one: %v", err)
		}

		try := func(code string) error {
			_, _, err := o.Login(t.Context(), Login{Name: "li", Password: goodPassword, Code: code}, there)
			return err
		}
		if err := try(codeAt(t, secret, time.Now())); !errors.Is(err, ErrRefused) {
			t.Errorf("the code that confirmed: %v", err)
		}
		time.Sleep(totpStep)
		if err := try(""); !errors.Is(err, ErrCodeNeeded) {
			t.Errorf("no code: %v", err)
		}
		if _, _, err := o.Login(t.Context(), Login{Name: "li", Password: "wrong", Code: codeAt(t, secret, time.Now())}, there); !errors.Is(err, ErrRefused) {
			t.Errorf("wrong password: %v", err)
		}
		if err := try(codeAt(t, secret, time.Now().Add(totpStep))); err != nil {
			t.Errorf("fast phone: %v", err)
		}
		if err := try(codeAt(t, secret, time.Now())); !errors.Is(err, ErrRefused) {
			t.Errorf("an older code: %v", err)
		}

		_, err = o.RemoveTOTP(t.Context(), s, "wrong")
		if diff := cmp.Diff([]string{"password"}, fields(t, err)); diff != "" {
			t.Error(diff)
		}
		if s, err = o.RemoveTOTP(t.Context(), s, goodPassword); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{MustTOTP}, s.Must); diff != "" || s.User.TOTP {
			t.Errorf("session %+v", s)
		}
		if again, err := o.Session(t.Context(), fresh.Reveal(), here); err != nil || len(again.Must) != 1 {
			t.Errorf("session %+v, %v", again, err)
		}
		enroll(t, o, s)
		if _, err := o.ResetTOTP(t.Context(), admin, u.ID); !errors.Is(err, ErrForbidden) {
			t.Errorf("of an owner by an admin: %v", err)
		}
		if u, err := o.ResetTOTP(t.Context(), owner, u.ID); err != nil || u.TOTP {
			t.Errorf("user %+v, %v", u, err)
		}
		if err := try(""); err != nil {
			t.Errorf("without a code: %v", err)
		}
	})
}

func TestTOTPPendingEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOperators(t)
		create(t, o, "li", Viewer)
		s, _ := login(t, o, "li")
		secret, _, err := o.BeginTOTP(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(totpPending)
		if _, _, err := o.ConfirmTOTP(t.Context(), s, codeAt(t, secret, time.Now())); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("error %v", err)
		}
	})
}

func TestWhoMust(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		policy string
		must   []Role
	}{
		{TOTPAdmins, []Role{Owner, Admin}},
		{TOTPAll, Roles()},
		{TOTPOff, nil},
	} {
		o := newOperators(t, func(c *Config) { c.TOTP = tt.policy })
		var must []Role
		for _, r := range Roles() {
			if len(o.must(store.Session{Method: MethodPassword}, store.User{Role: string(r)})) > 0 {
				must = append(must, r)
			}
			if m := o.must(store.Session{Method: MethodOIDC}, store.User{Role: string(r), PasswordExpired: true}); len(m) > 0 {
				t.Errorf("%s by OIDC: must %v", r, m)
			}
			if m := o.must(store.Session{Method: MethodTOTP}, store.User{Role: string(r), TOTP: tuoguan.NewSecret("x")}); len(m) > 0 {
				t.Errorf("%s with a second factor: must %v", r, m)
			}
		}
		if diff := cmp.Diff(tt.must, must); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.policy, diff)
		}
	}
}

// Of many who present the same code at once, on several replicas, one is let in.
func TestCodeOnce(t *testing.T) {
	t.Parallel()
	st := memory.New(memory.Config{})
	o := newReplica(t, st)
	u := create(t, o, "li", Viewer)
	s, _ := login(t, o, "li")
	_, _, secret := enroll(t, o, s)
	code := codeAt(t, secret, time.Now().Add(totpStep))
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		o := newReplica(t, st)
		wg.Go(func() {
			v := Visitor{Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})}
			_, _, errs[i] = o.Login(t.Context(), Login{Name: "li", Password: goodPassword, Code: code}, v)
		})
	}
	wg.Wait()
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
		} else if !errors.Is(err, ErrRefused) && !errors.Is(err, store.ErrConflict) {
			t.Errorf("error %v", err)
		}
	}
	if done != 1 {
		t.Errorf("%d were let in", done)
	}
	if sessions, err := o.Sessions(t.Context(), u.ID); err != nil || len(sessions) != 2 {
		t.Errorf("%d sessions, %v", len(sessions), err)
	}
}

// Codes cannot be guessed from many addresses by who knows the password.
func TestCodeLockout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOperators(t)
		create(t, o, "li", Viewer)
		s, _ := login(t, o, "li")
		_, _, secret := enroll(t, o, s)
		time.Sleep(time.Minute)
		try := func(i int, code string) error {
			v := Visitor{Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})}
			_, _, err := o.Login(t.Context(), Login{Name: "li", Password: goodPassword, Code: code}, v)
			return err
		}
		for i := range perCode {
			if err := try(i, strings.Repeat("x", 6)); err != ErrRefused {
				t.Fatalf("attempt %d: %v", i, err)
			}
			// That the password is right without a code clears nothing.
			if err := try(i, ""); err != ErrCodeNeeded {
				t.Fatalf("attempt %d: %v", i, err)
			}
		}
		e, ok := errors.AsType[*Locked](try(99, codeAt(t, secret, time.Now())))
		if !ok || e.RetryAfter != attemptWindow {
			t.Fatalf("error %v", e)
		}
		time.Sleep(attemptWindow)
		if err := try(99, codeAt(t, secret, time.Now())); err != nil {
			t.Errorf("after waiting: %v", err)
		}
	})
}

// That the code is missing neither counts as a failure nor clears those before.
func TestCodeNeeded(t *testing.T) {
	t.Parallel()
	o := newOperators(t)
	create(t, o, "li", Viewer)
	s, _ := login(t, o, "li")
	enroll(t, o, s)
	try := func(password string) error {
		_, _, err := o.Login(t.Context(), Login{Name: "li", Password: password}, here)
		return err
	}
	for i := range 2 * perNameAndAddress {
		if err := try(goodPassword); err != ErrCodeNeeded {
			t.Fatalf("attempt %d: %v", i, err)
		}
	}
	for i := range perNameAndAddress {
		if err := try("wrong"); err != ErrRefused {
			t.Fatalf("attempt %d: %v", i, err)
		}
		if err := try(goodPassword); err != ErrCodeNeeded && i < perNameAndAddress-1 {
			t.Fatalf("attempt %d: %v", i, err)
		}
	}
	if _, ok := errors.AsType[*Locked](try(goodPassword)); !ok {
		t.Error("not locked")
	}
}

// Of two secrets for one user the first that is confirmed counts.
func TestConfirmTOTPOnce(t *testing.T) {
	t.Parallel()
	o := newOperators(t)
	u := create(t, o, "li", Viewer)
	a, _ := login(t, o, "li")
	b, _ := login(t, o, "li")
	second, _, err := o.BeginTOTP(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	_, _, first := enroll(t, o, a)
	if _, _, err := o.ConfirmTOTP(t.Context(), b, codeAt(t, second, time.Now())); !errors.Is(err, store.ErrConflict) {
		t.Errorf("error %v", err)
	}
	if stored, err := o.cfg.Store.User(t.Context(), u.ID); err != nil || !stored.TOTP.Equal(first) {
		t.Errorf("not the first: %v", err)
	}
}
