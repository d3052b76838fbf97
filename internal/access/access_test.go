package access

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
)

func TestKeyForm(t *testing.T) {
	t.Parallel()
	id, secret := Generate()
	key := secret.Reveal()
	if got, err := ParseKey(key); got != id || err != nil {
		t.Fatalf("ParseKey of a new key = %q, %v, want %q", got, err, id)
	}
	if len(key) != 67 || !strings.HasPrefix(key, "wxk_"+id+"_") || strings.ContainsFunc(id, unicode.IsUpper) {
		t.Errorf("the key has %d characters and the id %q", len(key), id)
	}
	// Whatever single character is mistyped, the store need not be asked.
	for i := range key {
		for _, c := range []byte("0aAzZ9_-/\x00\xff") {
			if c == key[i] {
				continue
			}
			wrong := key[:i] + string(c) + key[i+1:]
			if _, err := ParseKey(wrong); !errors.Is(err, ErrUnknownKey) {
				t.Fatalf("ParseKey with character %d changed to %q = %v, want ErrUnknownKey", i, c, err)
			}
		}
	}
	for name, wrong := range map[string]string{
		"empty": "", "cut": key[:66], "longer": key + "0", "other prefix": "WXK_" + key[4:], "prefix alone": "wxk_",
	} {
		if _, err := ParseKey(wrong); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("ParseKey, %s: %v, want ErrUnknownKey", name, err)
		}
	}
	if _, again := Generate(); again.Equal(secret) {
		t.Error("two keys are the same")
	}
}

// TestKeyChecksum pins the form that keys in use have.
func TestKeyChecksum(t *testing.T) {
	t.Parallel()
	text := "wxk_" + strings.Repeat("a", 12) + "_" + strings.Repeat("B", 43)
	sum := checksum(text)
	id, err := ParseKey(text + "_" + string(sum[:]))
	if id != strings.Repeat("a", 12) || err != nil || string(sum[:]) != "01BAIR" {
		t.Errorf("checksum %s, id %q, %v", sum, id, err)
	}
}

func everyField() Scope {
	return Scope{
		Operations:  []Operation{ReadTokens, CallGateway, ReadTokens},
		Components:  []tuoguan.ComponentAppID{"wx00000000000000c2", "wx00000000000000c1"},
		Authorizers: []tuoguan.AuthorizerAppID{"wx00000000000000a1"},
		Tags:        []string{"华东", "a b"},
		Paths:       []string{"/wxa/*", "/cgi-bin/menu/create"},
		Networks:    []netip.Prefix{netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("::ffff:192.0.2.0/120"), netip.MustParsePrefix("2001:db8::/32")},
		Rate:        12.5,
	}
}

// TestScopeStored pins the form in which scopes are stored: changing it changes what
// the keys in use may do.
func TestScopeStored(t *testing.T) {
	t.Parallel()
	normalized, err := everyField().Normalized()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"operations":["gateway:call","tokens:read"],"components":["wx00000000000000c1","wx00000000000000c2"],` +
		`"authorizers":["wx00000000000000a1"],"tags":["a b","华东"],"paths":["/cgi-bin/menu/create","/wxa/*"],` +
		`"networks":["10.0.0.0/8","192.0.2.0/24","2001:db8::/32"],"rate":12.5}`
	if diff := cmp.Diff(want, normalized.text()); diff != "" {
		t.Error(diff)
	}
	parsed, err := parseScope(want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(normalized, parsed, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if got := (Scope{Operations: []Operation{Everything}}).text(); got != `{"operations":["*"]}` {
		t.Errorf("a scope with operations alone is stored as %s", got)
	}
	if _, err := parseScope(`{"operations":["*"],"not_after_noon":true}`); err == nil {
		t.Error("a restriction that is not known is ignored")
	}
	if s, err := parseScope(`{"operations":["moon:read"]}`); err != nil || s.may(ReadTokens) {
		t.Errorf("an operation that is not known: %v, %v", s, err)
	}
}

func TestScopeMistakes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*Scope)
		fields []string
	}{
		"none":                    {func(*Scope) {}, nil},
		"no operations":           {func(s *Scope) { s.Operations = nil }, []string{"operations"}},
		"unknown operation":       {func(s *Scope) { s.Operations[1] = "tokens:write" }, []string{"operations[1]"}},
		"AppIDs":                  {func(s *Scope) { s.Components[0], s.Authorizers[0] = "wx1", "gh_0000000000000001" }, []string{"components[0]", "authorizers[0]"}},
		"empty tag":               {func(s *Scope) { s.Tags[0] = "" }, []string{"tags[0]"}},
		"tag of two lines":        {func(s *Scope) { s.Tags[1] = "a\nb" }, []string{"tags[1]"}},
		"tag with space around":   {func(s *Scope) { s.Tags[1] = " a" }, []string{"tags[1]"}},
		"relative path":           {func(s *Scope) { s.Paths[0] = "wxa/*" }, []string{"paths[0]"}},
		"path upwards":            {func(s *Scope) { s.Paths[0] = "/wxa/../cgi-bin" }, []string{"paths[0]"}},
		"path upwards to pattern": {func(s *Scope) { s.Paths[0] = "/wxa/../*" }, []string{"paths[0]"}},
		"doubled slash":           {func(s *Scope) { s.Paths[0] = "/wxa//x" }, []string{"paths[0]"}},
		"slash at the end":        {func(s *Scope) { s.Paths[0] = "/wxa/" }, []string{"paths[0]"}},
		"root alone":              {func(s *Scope) { s.Paths[0] = "/" }, []string{"paths[0]"}},
		"star inside":             {func(s *Scope) { s.Paths[0] = "/wxa/*/x" }, []string{"paths[0]"}},
		"star in a name":          {func(s *Scope) { s.Paths[0] = "/wxa/get*" }, []string{"paths[0]"}},
		"escape":                  {func(s *Scope) { s.Paths[0] = "/wxa/%2e" }, []string{"paths[0]"}},
		"query":                   {func(s *Scope) { s.Paths[0] = "/wxa/x?y=1" }, []string{"paths[0]"}},
		"everything":              {func(s *Scope) { s.Paths[0] = "/*" }, nil},
		"no network":              {func(s *Scope) { s.Networks[0] = netip.Prefix{} }, []string{"networks[0]"}},
		"negative rate":           {func(s *Scope) { s.Rate = -1 }, []string{"rate"}},
		"too many":                {func(s *Scope) { s.Tags = make([]string, 1001) }, []string{"tags"}},
		"several": {func(s *Scope) { s.Operations, s.Rate, s.Tags = []Operation{"x"}, 2e6, []string{"", "ok", "\x01"} },
			[]string{"operations[0]", "tags[0]", "tags[2]", "rate"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := everyField()
			tt.change(&s)
			_, err := s.Normalized()
			var fields []string
			mistakes, _ := errors.AsType[Mistakes](err)
			for _, m := range mistakes {
				fields = append(fields, m.Field)
				if m.Problem == "" || m.Chinese == "" {
					t.Errorf("%s is not explained in both languages", m.Field)
				}
			}
			if diff := cmp.Diff(tt.fields, fields); diff != "" {
				t.Error(diff)
			}
			if (err != nil) != errors.As(err, new(*FieldError)) {
				t.Errorf("errors.As(%v, *FieldError) does not hold", err)
			}
		})
	}
}

func TestMay(t *testing.T) {
	t.Parallel()
	for _, held := range Operations() {
		c := Caller{Scope: Scope{Operations: []Operation{held}}}
		for _, op := range append(Operations(), "later:version") {
			want := held == op || held == Everything || held == RefreshTokens && op == ReadTokens
			if got := c.May(op); got != want {
				t.Errorf("with %s, May(%s) = %v", held, op, got)
			}
		}
	}
	if (Caller{}).May(ReadTokens) || (Caller{}).May("") {
		t.Error("the zero Caller may do something")
	}
}

func TestMayCall(t *testing.T) {
	t.Parallel()
	call := []Operation{CallGateway}
	tests := map[string]struct {
		scope Scope
		path  string
		want  bool
	}{
		"all paths":            {Scope{Operations: call}, "/wxa/getpage", true},
		"not the operation":    {Scope{Operations: []Operation{ReadTokens}}, "/wxa/getpage", false},
		"everything":           {Scope{Operations: []Operation{Everything}}, "/wxa/getpage", true},
		"exact":                {Scope{Operations: call, Paths: []string{"/wxa/getpage"}}, "/wxa/getpage", true},
		"below exact":          {Scope{Operations: call, Paths: []string{"/wxa/getpage"}}, "/wxa/getpage/x", false},
		"prefix":               {Scope{Operations: call, Paths: []string{"/x", "/wxa/*"}}, "/wxa/a/b", true},
		"the prefix itself":    {Scope{Operations: call, Paths: []string{"/wxa/*"}}, "/wxa", false},
		"its slash":            {Scope{Operations: call, Paths: []string{"/wxa/*"}}, "/wxa/", false},
		"a longer name":        {Scope{Operations: call, Paths: []string{"/wxa/*"}}, "/wxaapi/x", false},
		"every path":           {Scope{Operations: call, Paths: []string{"/*"}}, "/wxa/x", true},
		"upwards":              {Scope{Operations: call, Paths: []string{"/wxa/*"}}, "/wxa/../cgi-bin/x", false},
		"doubled slash":        {Scope{Operations: call, Paths: []string{"/wxa/*"}}, "/wxa//x", false},
		"upwards, all paths":   {Scope{Operations: call}, "/wxa/../cgi-bin/x", false},
		"relative, everything": {Scope{Operations: []Operation{Everything}}, "wxa/x", false},
		"other case":           {Scope{Operations: call, Paths: []string{"/wxa/*"}}, "/WXA/x", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := (Caller{Scope: tt.scope}).MayCall(tt.path); got != tt.want {
				t.Errorf("MayCall(%q) = %v", tt.path, got)
			}
		})
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	net := func(texts ...string) (networks []netip.Prefix) {
		for _, text := range texts {
			networks = append(networks, netip.MustParsePrefix(text))
		}
		return networks
	}
	all := []Operation{Everything}
	tests := map[string]struct {
		outer, inner Scope
		want         bool
	}{
		"same":                    {everyField(), everyField(), true},
		"everything":              {Scope{Operations: all}, everyField(), true},
		"not everything":          {Scope{Operations: []Operation{WriteKeys, ReadTokens}}, Scope{Operations: all}, false},
		"implied operation":       {Scope{Operations: []Operation{RefreshTokens}}, Scope{Operations: []Operation{ReadTokens}}, true},
		"implying operation":      {Scope{Operations: []Operation{ReadTokens}}, Scope{Operations: []Operation{RefreshTokens}}, false},
		"fewer components":        {Scope{Operations: all, Components: []tuoguan.ComponentAppID{"a", "b"}}, Scope{Operations: all, Components: []tuoguan.ComponentAppID{"b"}}, true},
		"other component":         {Scope{Operations: all, Components: []tuoguan.ComponentAppID{"a"}}, Scope{Operations: all, Components: []tuoguan.ComponentAppID{"b"}}, false},
		"all components":          {Scope{Operations: all, Components: []tuoguan.ComponentAppID{"a"}}, Scope{Operations: all}, false},
		"all accounts":            {Scope{Operations: all, Tags: []string{"t"}}, Scope{Operations: all}, false},
		"account for a tag":       {Scope{Operations: all, Tags: []string{"t"}}, Scope{Operations: all, Authorizers: []tuoguan.AuthorizerAppID{"a"}}, false},
		"tag of account and tag":  {Scope{Operations: all, Tags: []string{"t"}, Authorizers: []tuoguan.AuthorizerAppID{"a"}}, Scope{Operations: all, Tags: []string{"t"}}, true},
		"tag besides":             {Scope{Operations: all, Tags: []string{"t"}}, Scope{Operations: all, Tags: []string{"t", "u"}}, false},
		"path below pattern":      {Scope{Operations: all, Paths: []string{"/wxa/*"}}, Scope{Operations: all, Paths: []string{"/wxa/x", "/wxa/y/*"}}, true},
		"wider pattern":           {Scope{Operations: all, Paths: []string{"/wxa/*"}}, Scope{Operations: all, Paths: []string{"/*"}}, false},
		"all paths":               {Scope{Operations: all, Paths: []string{"/wxa/*"}}, Scope{Operations: []Operation{CallGateway}}, false},
		"all paths, not gateway":  {Scope{Operations: all, Paths: []string{"/wxa/*"}}, Scope{Operations: []Operation{ReadTokens}}, true},
		"network inside":          {Scope{Operations: all, Networks: net("10.0.0.0/8")}, Scope{Operations: all, Networks: net("10.1.0.0/16", "10.2.3.4/32")}, true},
		"network outside":         {Scope{Operations: all, Networks: net("10.0.0.0/8")}, Scope{Operations: all, Networks: net("11.0.0.0/16")}, false},
		"wider network":           {Scope{Operations: all, Networks: net("10.0.0.0/8")}, Scope{Operations: all, Networks: net("0.0.0.0/0")}, false},
		"from anywhere":           {Scope{Operations: all, Networks: net("10.0.0.0/8")}, Scope{Operations: all}, false},
		"network of other family": {Scope{Operations: all, Networks: net("0.0.0.0/0")}, Scope{Operations: all, Networks: net("2001:db8::/32")}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tt.outer.Covers(tt.inner); got != tt.want {
				t.Errorf("Covers = %v", got)
			}
		})
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	reach := Caller{Scope: everyField()}.Reach()
	at := func(c, a string) tuoguan.Authorization {
		return tuoguan.Authorization{Component: tuoguan.ComponentAppID(c), Authorizer: tuoguan.AuthorizerAppID(a)}
	}
	if !reach.Contains(at("wx00000000000000c1", "wx00000000000000a1"), nil) || !reach.Contains(at("wx00000000000000c2", "x"), []string{"a b"}) ||
		reach.Contains(at("wx00000000000000c3", "wx00000000000000a1"), nil) || reach.Contains(at("wx00000000000000c1", "x"), []string{"b"}) {
		t.Error("the reach is not that of the scope")
	}
}
