package operator

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan/internal/access"
)

// A test vector of the reference implementation.
const foreign = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"

func TestHash(t *testing.T) {
	t.Parallel()
	h := newHasher()
	if !h.matches(foreign, "password") || h.matches(foreign, "passwore") {
		t.Error("the known hash does not match its password alone")
	}
	if !h.outdated(foreign) {
		t.Error("a cheaper hash is not outdated")
	}
	h.cost = cheap
	a, b := h.hash(goodPassword), h.hash(goodPassword)
	if a == b {
		t.Error("two hashes have the same salt")
	}
	if !strings.HasPrefix(a, "$argon2id$v=19$m=8,t=1,p=1$") || h.outdated(a) {
		t.Errorf("hash %q", a)
	}
	if !h.matches(a, goodPassword) || h.matches(a, goodPassword+" ") || h.matches("", "") || h.matches("$", goodPassword) {
		t.Error("matches what it must not, or not what it must")
	}
}

func TestParsePHC(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string][2]string{
		"argon2i":             {"argon2id", "argon2i"},
		"other version":       {"v=19", "v=16"},
		"no version":          {"v=19$", ""},
		"plus":                {"t=2", "t=+2"},
		"zero before":         {"t=2", "t=02"},
		"no passes":           {"t=2", "t=0"},
		"too many passes":     {"t=2", "t=17"},
		"no threads":          {"p=1", "p=0"},
		"too many threads":    {"p=1", "p=256"},
		"too little memory":   {"m=65536", "m=7"},
		"too much memory":     {"m=65536", "m=262145"},
		"memory overflows":    {"m=65536", "m=4295032832"},
		"other order":         {"m=65536,t=2", "t=2,m=65536"},
		"more parameters":     {"p=1", "p=1,x=1"},
		"short salt":          {"c29tZXNhbHQ", "c29tZXM"},
		"padded":              {"c29tZXNhbHQ", "c29tZXNhbHQ="},
		"bits left over":      {"c29tZXNhbHQ", "c29tZXNhbHR"},
		"short hash":          {"CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "CTFhFdU"},
		"line end":            {"PPc", "PPc\n"},
		"one more":            {"PPc", "PPc$"},
		"text before":         {"$argon2id", "x$argon2id"},
		"URL-safe characters": {"CTFhFdXP", "CTFh-dXP"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(foreign, edit[0], edit[1], 1)
			if text == foreign {
				t.Fatal("nothing was changed")
			}
			if h, err := parsePHC(text); err == nil {
				t.Errorf("taken: %+v", h)
			} else if strings.Contains(err.Error(), "PPc") {
				t.Errorf("error shows the hash: %v", err)
			}
		})
	}
}

func FuzzParsePHC(f *testing.F) {
	f.Add(foreign)
	f.Add("$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=8,t=1,p=1$$")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parsePHC(text)
		if err != nil {
			if h.hash != nil || h.cost != (cost{}) {
				t.Errorf("refused, and yet %+v", h)
			}
			return
		}
		if h.String() != text {
			t.Errorf("%q becomes %q", text, h)
		}
		if h.memory > maxMemory || h.time > maxTime || h.time == 0 || h.threads == 0 {
			t.Errorf("%q costs too much, or nothing", text)
		}
	})
}

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, password string
		ok             bool
	}{
		{"good", goodPassword, true},
		{"ten", "abcdefghi!", true},
		{"nine", "abcdefgh!", false},
		{"ten Chinese", "一二三四五六七八九十", true},
		{"nine Chinese", "一二三四五六七八九", false},
		{"256", strings.Repeat("长短", 128), true},
		{"257", strings.Repeat("长短", 128) + "x", false},
		{"the name", "Li.Ming@example", false},
		{"common", "qwertyuiop", false},
		{"common in capitals", "PassWord123", false},
		{"not UTF-8", "abcdefghij\xff", false},
		{"empty", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var wrong access.Mistakes
			checkPassword(&wrong, "new", tt.password, "li.ming@example")
			if (len(wrong) == 0) != tt.ok {
				t.Errorf("mistakes %v", wrong)
			}
			for _, e := range wrong {
				if e.Field != "new" || e.Problem == "" || e.Chinese == "" {
					t.Errorf("mistake %+v", e)
				}
			}
		})
	}
}

func TestCommonPasswords(t *testing.T) {
	t.Parallel()
	for _, p := range strings.Fields(commonPasswords) {
		if len(p) < minPassword || p != strings.ToLower(p) {
			t.Errorf("%q is refused without the list, or never found in it", p)
		}
	}
}

func TestRandomText(t *testing.T) {
	t.Parallel()
	seen := make(map[rune]int)
	for _, r := range randomText(typed, 31_000) {
		seen[r]++
	}
	if len(seen) != len(typed) {
		t.Errorf("%d characters of %d occur", len(seen), len(typed))
	}
	for r, n := range seen {
		if n < 700 || n > 1300 { // 1000 ± 9.6 standard deviations
			t.Errorf("%q occurs %d times in 31000", r, n)
		}
	}
	if diff := cmp.Diff(24, len(randomText(typed, 24))); diff != "" {
		t.Error(diff)
	}
}
