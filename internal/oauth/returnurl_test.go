package oauth

import (
	"net/url"
	"strings"
	"testing"
)

func TestReturnable(t *testing.T) {
	t.Parallel()
	l := &Relay{}
	for _, text := range []string{
		"https://shop.example.com/", "https://pay.example.com:8443/cb", "https://docs.example.com/in/", "http://127.0.0.1:3000/", "http://[::1]/dev",
		"http://localhost:3000", "https://xn--fiqs8s.example.com/",
	} {
		rule, err := parseReturnRule(text)
		if err != nil {
			t.Fatal(err)
		}
		l.rules = append(l.rules, rule)
	}
	tests := map[string]struct {
		address string
		want    bool
	}{
		"root":                     {"https://shop.example.com/", true},
		"no path":                  {"https://shop.example.com", true},
		"no path and query":        {"https://shop.example.com?next=1", true},
		"below":                    {"https://shop.example.com/a/b.html?x=%2F%2F&y=a.b", true},
		"escaped Chinese":          {"https://shop.example.com/%E5%BA%97", true},
		"a URL in the query":       {"https://shop.example.com/?next=https://evil.example/", true},
		"port":                     {"https://pay.example.com:8443/cb", true},
		"below an exact path":      {"https://pay.example.com:8443/cb/7", true},
		"below a folder":           {"https://docs.example.com/in/x", true},
		"loopback":                 {"http://127.0.0.1:3000/x", true},
		"loopback of IPv6":         {"http://[::1]/dev", true},
		"localhost":                {"http://localhost:3000/x", true},
		"Chinese host in ASCII":    {"https://xn--fiqs8s.example.com/", true},
		"empty":                    {"", false},
		"relative":                 {"/a", false},
		"without a scheme":         {"//shop.example.com/", false},
		"other scheme":             {"http://shop.example.com/", false},
		"script":                   {"javascript:alert(1)", false},
		"script with the host":     {"javascript://shop.example.com/%0aalert(1)", false},
		"data":                     {"data:text/html,x", false},
		"other host":               {"https://evil.example/", false},
		"longer host":              {"https://shop.example.com.evil.example/", false},
		"host as a prefix":         {"https://shop.example.comevil.example/", false},
		"subdomain":                {"https://a.shop.example.com/", false},
		"trailing dot":             {"https://shop.example.com./", false},
		"user":                     {"https://shop.example.com@evil.example/", false},
		"user of the right host":   {"https://evil@shop.example.com/", false},
		"user and password":        {"https://shop.example.com:443@evil.example/", false},
		"escaped at":               {"https://shop.example.com%40evil.example/", false},
		"port added":               {"https://shop.example.com:8443/", false},
		"default port":             {"https://shop.example.com:443/", false},
		"empty port":               {"https://shop.example.com:/", false},
		"port left out":            {"https://pay.example.com/cb", false},
		"other port":               {"https://pay.example.com:84430/cb", false},
		"backslash":                {`https://shop.example.com\@evil.example/`, false},
		"backslashes":              {`https:\\evil.example/`, false},
		"backslash in the path":    {`https://shop.example.com/\evil.example`, false},
		"three slashes":            {"https:///shop.example.com/", false},
		"one slash":                {"https:/shop.example.com/", false},
		"no slash":                 {"https:shop.example.com/", false},
		"two slashes in the path":  {"https://shop.example.com//evil.example", false},
		"fragment":                 {"https://shop.example.com/#x", false},
		"empty fragment":           {"https://shop.example.com/#", false},
		"fragment before the host": {"https://evil.example#shop.example.com/", false},
		"capital scheme":           {"HTTPS://shop.example.com/", false},
		"capital host":             {"https://SHOP.example.com/", false},
		"dots":                     {"https://docs.example.com/in/../admin", false},
		"dots at the end":          {"https://docs.example.com/in/..", false},
		"one dot":                  {"https://docs.example.com/in/./x", false},
		"escaped dots":             {"https://docs.example.com/in/%2e%2E/admin", false},
		"escaped slash":            {"https://docs.example.com/in/..%2fadmin", false},
		"escaped slash and dot":    {"https://docs.example.com/in/%2f%2e", false},
		"escaped backslash":        {"https://docs.example.com/in/%5C..", false},
		"escaped twice":            {"https://docs.example.com/in/%252e%252e/admin", false},
		"folder itself":            {"https://docs.example.com/in", false},
		"beside a folder":          {"https://docs.example.com/inside", false},
		"beside an exact path":     {"https://pay.example.com:8443/cbx", false},
		"above":                    {"https://pay.example.com:8443/", false},
		"tab":                      {"https://shop.example.com/\tx", false},
		"tab before":               {"\thttps://shop.example.com/", false},
		"line":                     {"https://shop.example.com/\r\nSet-Cookie:x", false},
		"space":                    {" https://shop.example.com/", false},
		"zero":                     {"https://shop.example.com/\x00", false},
		"wide dot":                 {"https://shop.example。com/", false},
		"Cyrillic":                 {"https://shоp.example.com/", false},
		"Chinese host":             {"https://中国.example.com/", false},
		"wide slash":               {"https://shop.example.com／evil.example/", false},
		"soft hyphen":              {"https://shop.exam\u00adple.com/", false},
		"escaped host":             {"https://shop%2eexample.com/", false},
		"escape is wrong":          {"https://shop.example.com/%zz", false},
		"quote":                    {`https://shop.example.com/"><script>`, false},
		"zone":                     {"http://[::1%25x]/dev", false},
		"loopback by another name": {"http://127.1:3000/", false},
		"its own code":             {"https://shop.example.com/?code=1", false},
		"its own state":            {"https://shop.example.com/?a=b&state=1", false},
		"its own error, escaped":   {"https://shop.example.com/?%65rror=1", false},
		"semicolon":                {"https://shop.example.com/?a=1;code=2", false},
		"too long":                 {"https://shop.example.com/" + strings.Repeat("a", 1000), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := l.returnable(tt.address); got != tt.want {
				t.Errorf("%q: %t, want %t", tt.address, got, tt.want)
			}
		})
	}
}

func TestReturnTo(t *testing.T) {
	t.Parallel()
	add := url.Values{"state": {"a&b"}, "code": {"c"}}
	for address, want := range map[string]string{
		"https://a/":       "https://a/?code=c&state=a%26b",
		"https://a":        "https://a?code=c&state=a%26b",
		"https://a/?":      "https://a/?code=c&state=a%26b",
		"https://a/?b=1&a": "https://a/?b=1&a&code=c&state=a%26b",
		"https://a/?b&":    "https://a/?b&code=c&state=a%26b",
	} {
		if got := returnTo(address, add); got != want {
			t.Errorf("%s became %s, want %s", address, got, want)
		}
	}
}

// FuzzReturnable demands that whatever is allowed leads to an allowed host.
func FuzzReturnable(f *testing.F) {
	rule, err := parseReturnRule("https://shop.example.com/in/")
	if err != nil {
		f.Fatal(err)
	}
	l := &Relay{rules: []returnRule{rule}}
	for _, seed := range []string{"https://shop.example.com/in/", "https://shop.example.com/in/x?y=z", `https://shop.example.com\@evil/in/`, "https://shop.example.com/in/%2e%2e/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !l.returnable(text) {
			return
		}
		back := returnTo(text, url.Values{"code": {"c"}})
		u, err := url.Parse(back)
		if err != nil || u.Scheme != "https" || u.Host != "shop.example.com" || u.User != nil || u.Fragment != "" ||
			!strings.HasPrefix(back, "https://shop.example.com/in/") || !strings.HasPrefix(u.JoinPath().Path, "/in/") ||
			len(u.Query()["code"]) != 1 {
			t.Errorf("%q became %q, %v", text, back, err)
		}
	})
}
