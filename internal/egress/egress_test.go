package egress

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// target is one line of a corpus.
type target struct {
	host  string
	looks [][]netip.Addr // what a look-up finds, the first time and from then on
}

// corpus reads the targets of a file.
func corpus(tb testing.TB, file string) []target {
	tb.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		tb.Fatal(err)
	}
	var targets []target
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		host, found, isName := strings.Cut(line, " = ")
		one := target{host: host}
		for look := range strings.SplitSeq(found, "/") {
			var addrs []netip.Addr
			for _, addr := range strings.Fields(look) {
				addrs = append(addrs, netip.MustParseAddr(addr))
			}
			if isName {
				one.looks = append(one.looks, addrs)
			}
		}
		targets = append(targets, one)
	}
	return targets
}

// names is a name server that knows the names of targets.
type names struct {
	mu    sync.Mutex
	looks map[string][][]netip.Addr
	asked map[string]int // rounds of look-ups
}

func newNames(targets []target) *names {
	n := &names{looks: make(map[string][][]netip.Addr), asked: make(map[string]int)}
	for _, target := range targets {
		n.looks[strings.ToLower(target.host)] = target.looks
	}
	return n
}

// next has all names found where the following look-up finds them.
func (n *names) next() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name := range n.looks {
		n.asked[name]++
	}
}

// resolver asks the name server, and nobody else.
func (n *names) resolver(t *testing.T) *net.Resolver {
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		serving.Go(func() {
			defer ours.Close()
			for n.answer(ours) == nil {
			}
		})
		return theirs, nil
	}}
}

// answer answers one query, as they are sent by TCP.
func (n *names) answer(conn net.Conn) error {
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return err
	}
	query := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, query); err != nil {
		return err
	}
	var labels []string
	i := 12
	for query[i] != 0 {
		labels = append(labels, string(query[i+1:i+1+int(query[i])]))
		i += 1 + int(query[i])
	}
	kind := binary.BigEndian.Uint16(query[i+1:])
	question := query[12 : i+5]

	n.mu.Lock()
	name := strings.ToLower(strings.Join(labels, "."))
	looks := n.looks[name]
	var addrs []netip.Addr
	if len(looks) > 0 {
		addrs = looks[min(n.asked[name], len(looks)-1)]
	}
	n.mu.Unlock()

	var records []byte
	count := uint16(0)
	for _, addr := range addrs {
		if addr.Is4() != (kind == 1) || kind != 1 && kind != 28 {
			continue
		}
		count++
		records = append(records, 0xC0, 12, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(addr.AsSlice())))
		records = append(records, addr.AsSlice()...)
	}
	code := byte(0)
	if len(looks) == 0 {
		code = 3 // no such name
	}
	reply := append([]byte{query[0], query[1], 0x81, 0x80 | code, 0, 1, byte(count >> 8), byte(count), 0, 0, 0, 0}, question...)
	reply = append(reply, records...)
	_, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
	return err
}

// errStop is what a recorder returns in place of a connection.
var errStop = errors.New("would have connected")

// recorder stands below a Guard and notes which addresses it lets be connected to. None
// of them is.
type recorder struct {
	mu        sync.Mutex
	connected []string
}

func record(g *Guard) *recorder {
	r := &recorder{}
	for _, dialer := range []*net.Dialer{&g.public, &g.allowed} {
		inner := dialer.ControlContext
		dialer.ControlContext = func(ctx context.Context, network, address string, c syscall.RawConn) error {
			if err := inner(ctx, network, address, c); err != nil {
				return err
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.connected = append(r.connected, address)
			return errStop
		}
	}
	return r
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.connected)
}

// call tries to reach a host in every way there is.
func call(t *testing.T, g *Guard, n *names, host string) (errs []error) {
	t.Helper()
	n.mu.Lock()
	n.asked[strings.ToLower(host)] = 0
	n.mu.Unlock()
	if _, err := g.public.Resolver.LookupNetIP(t.Context(), "ip", host); err == nil {
		n.next() // somebody has looked; a name that rebinds does so now
	}
	for _, network := range []string{"tcp", "tcp4", "tcp6"} {
		conn, err := g.DialContext(t.Context(), network, net.JoinHostPort(host, "443"))
		if err == nil {
			_ = conn.Close()
		}
		errs = append(errs, err)
	}
	for _, scheme := range []string{"https://", "http://"} {
		hosts := []string{host}
		if strings.Contains(host, ":") {
			hosts = append(hosts, "["+host+"]")
		}
		for _, host := range hosts {
			u, err := url.Parse(scheme + host + "/")
			if err != nil {
				continue
			}
			answer, err := g.Transport().RoundTrip((&http.Request{Method: http.MethodGet, URL: u, Header: http.Header{}}).WithContext(t.Context()))
			if err == nil {
				_ = answer.Body.Close()
			}
			errs = append(errs, err)
		}
	}
	return errs
}

// TestCorpus: nothing of what must not be called is connected to, whichever way.
func TestCorpus(t *testing.T) {
	t.Parallel()
	targets := corpus(t, "blocked.txt")
	if len(targets) < 300 {
		t.Fatalf("a corpus of %d", len(targets))
	}
	n := newNames(targets)
	g := New(Config{Resolver: n.resolver(t)})
	r := record(g)
	for _, target := range targets {
		for _, err := range call(t, g, n, target.host) {
			if err == nil || errors.Is(err, errStop) {
				t.Errorf("%s: %v", target.host, err)
			}
		}
		if len(target.looks) > 0 {
			continue
		}
		for _, host := range []string{target.host, "[" + target.host + "]"} {
			for _, raw := range []string{"https://" + host + "/", "http://" + host, "https://" + host + ":8443/x?y=z"} {
				if err := g.CheckURL(raw); !errors.Is(err, ErrBlocked) {
					t.Errorf("%s may be kept: %v", raw, err)
				}
			}
		}
	}
	if n := r.count(); n > 0 {
		t.Errorf("%d connections, to %s", n, r.connected)
	}
	t.Logf("%d hosts, 0 connections", len(targets))
}

// TestRebinding: the names of the corpus that rebind did answer otherwise at first, so
// they were stopped at the dial.
func TestRebinding(t *testing.T) {
	t.Parallel()
	targets := corpus(t, "blocked.txt")
	n := newNames(targets)
	g := New(Config{Resolver: n.resolver(t)})
	r := record(g)
	rebinding := 0
	for _, target := range targets {
		if len(target.looks) < 2 {
			continue
		}
		rebinding++
		if _, err := g.DialContext(t.Context(), "tcp", target.host+":443"); !errors.Is(err, errStop) {
			t.Errorf("%s at first: %v", target.host, err)
		}
	}
	connected := r.count()
	n.next()
	for _, target := range targets {
		if len(target.looks) < 2 {
			continue
		}
		if _, err := g.DialContext(t.Context(), "tcp", target.host+":443"); !errors.Is(err, ErrBlocked) {
			t.Errorf("%s then: %v", target.host, err)
		}
	}
	if rebinding < 20 || connected < rebinding || r.count() != connected {
		t.Errorf("%d names, %d connections at first, %d in all", rebinding, connected, r.count())
	}
}

// TestPublic: what is public is connected to, over https and by brokers, and never
// over http.
func TestPublic(t *testing.T) {
	t.Parallel()
	targets := corpus(t, "public.txt")
	n := newNames(targets)
	g := New(Config{Resolver: n.resolver(t)})
	r := record(g)
	for _, target := range targets {
		before := r.count()
		if _, err := g.DialContext(t.Context(), "tcp", net.JoinHostPort(target.host, "4222")); target.host != "first-private.example" && !errors.Is(err, errStop) {
			t.Errorf("%s: %v", target.host, err)
		}
		if r.count() == before {
			t.Errorf("%s was not connected to", target.host)
		}
		host := target.host
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		for _, raw := range []string{"https://" + host, "https://" + host + ":443/a?b=c", "https://" + host + ":8443/%E4%BD%A0", "HTTPS://" + host + "/"} {
			if err := g.CheckURL(raw); err != nil {
				t.Errorf("%s: %v", raw, err)
			}
		}
		if err := g.CheckURL("http://" + host); !errors.Is(err, ErrBlocked) {
			t.Errorf("http://%s may be kept: %v", host, err)
		}
		for scheme, want := range map[string]bool{"https": true, "http": false} {
			before := r.count()
			answer, err := g.Transport().RoundTrip((&http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: scheme, Host: host}, Header: http.Header{}}).WithContext(t.Context()))
			if err == nil {
				_ = answer.Body.Close()
			}
			if connected := r.count() > before; connected != want {
				t.Errorf("%s://%s: connected %t, %v", scheme, host, connected, err)
			}
		}
	}
}

// TestAllow: networks that are named may be called, also by http, and metadata services
// within them only if they are named alone.
func TestAllow(t *testing.T) {
	t.Parallel()
	prefixes := func(texts ...string) (list []netip.Prefix) {
		for _, text := range texts {
			list = append(list, netip.MustParsePrefix(text))
		}
		return list
	}
	for name, test := range map[string]struct {
		allow   []netip.Prefix
		yes, no []string
	}{
		"private": {prefixes("10.0.0.0/8", "fd00::/8"), []string{"10.1.2.3", "fd00::1", "1.1.1.1", "::ffff:10.0.0.1"},
			[]string{"192.168.0.1", "127.0.0.1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "64:ff9b::a00:1"}},
		"loopback": {prefixes("127.0.0.0/8", "::1/128"), []string{"127.0.0.1", "127.1.2.3", "::1"}, []string{"10.0.0.1", "::", "0.0.0.0", "::2"}},
		"all":      {prefixes("0.0.0.0/0", "::/0"), []string{"10.0.0.1", "fd00::1", "64:ff9b::a00:1"}, []string{"169.254.169.254", "100.100.100.200", "169.254.0.23", "168.63.129.16", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "::169.254.169.254", "2002:a9fe:a9fe::1", "::ffff:0:169.254.169.254", "64:ff9b:1::100.100.100.200"}},
		"named":    {prefixes("100.100.100.200/32", "fd00:ec2::254/128", "169.254.0.0/16"), []string{"100.100.100.200", "fd00:ec2::254", "169.254.1.1"}, []string{"100.100.100.201", "169.254.169.254", "fd00:ec2::23"}},
		"mapped":   {prefixes("::ffff:10.0.0.0/104"), []string{"10.9.8.7"}, []string{"11.0.0.0%x", "192.168.1.1"}},
		"nat64":    {prefixes("64:ff9b::/96"), []string{"64:ff9b::808:808", "8.8.8.8"}, []string{"64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::6464:64c8"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := New(Config{Allow: test.allow})
			check := control(g.check)
			for _, host := range test.yes {
				if err := check(t.Context(), "tcp4", net.JoinHostPort(host, "80"), nil); err != nil {
					t.Errorf("%s: %v", host, err)
				}
			}
			for _, host := range test.no {
				if err := check(t.Context(), "tcp6", net.JoinHostPort(host, "80"), nil); !errors.Is(err, ErrBlocked) {
					t.Errorf("%s: %v", host, err)
				}
			}
		})
	}
}

// TestServer: the guard in front of a server on this machine, for real.
func TestServer(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	connections := 0
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return connections
	}
	start := func(tls bool) *httptest.Server {
		s := httptest.NewUnstartedServer(http.RedirectHandler("http://127.0.0.1/", http.StatusFound))
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				mu.Lock()
				defer mu.Unlock()
				connections++
			}
		}
		if tls {
			s.EnableHTTP2 = true
			s.StartTLS()
		} else {
			s.Start()
		}
		t.Cleanup(s.Close)
		return s
	}
	plain, secure := start(false), start(true)
	get := func(g *Guard, raw string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, raw, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(g.Transport().CloseIdleConnections)
		answer, err := g.Transport().RoundTrip(r)
		if err == nil {
			_ = answer.Body.Close()
		}
		return answer, err
	}

	closed := New(Config{})
	for _, raw := range []string{plain.URL, secure.URL} {
		if _, err := get(closed, raw); !errors.Is(err, ErrBlocked) {
			t.Errorf("%v", err)
		}
	}
	if n := count(); n != 0 {
		t.Errorf("%d connections", n)
	}
	open := New(Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}})
	open.Transport().TLSClientConfig.RootCAs = secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	for i, raw := range []string{plain.URL, secure.URL} {
		answer, err := get(open, raw)
		if err != nil || answer.StatusCode != http.StatusFound || answer.ProtoMajor != 1+i {
			t.Errorf("%v, %v: want a redirect that is not followed, the secure one by HTTP/2", answer, err)
		}
		if err := open.CheckURL(raw); err != nil {
			t.Error(err)
		}
	}
	if n := count(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// TestProxy is not parallel, as it sets the environment.
func TestProxy(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:9")
	}
	if New(Config{}).Transport().Proxy != nil {
		t.Error("there is a proxy")
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	none := New(Config{})
	inside := New(Config{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8")}})
	for name, test := range map[string]struct {
		raw           string
		none, private bool // may be kept
	}{
		"usual":               {"https://hooks.example.com/wechat?tenant=7", true, true},
		"port":                {"https://hooks.example.com:8443/", true, true},
		"punycode":            {"https://xn--fiqs8s.example/", true, true},
		"http":                {"http://hooks.example.com/", false, true}, // may be in an allowed network: seen at the dial
		"http, public":        {"http://1.1.1.1/", false, false},
		"private":             {"https://10.0.0.1/", false, true},
		"private, http":       {"http://10.0.0.1:22/", false, true},
		"localhost":           {"http://localhost:8080/x", false, true},
		"other private":       {"https://192.168.0.1/", false, false},
		"ftp":                 {"ftp://hooks.example.com/", false, false},
		"no scheme":           {"hooks.example.com", false, false},
		"no host":             {"https:///x", false, false},
		"opaque":              {"https:hooks.example.com", false, false},
		"user":                {"https://user@hooks.example.com/", false, false},
		"password":            {"https://user:s3cr3t@hooks.example.com/", false, false},
		"hidden host":         {"https://hooks.example.com@169.254.169.254/", false, false},
		"backslash":           {`https://hooks.example.com\@169.254.169.254/`, false, false},
		"fragment":            {"https://hooks.example.com/#x", false, false},
		"ssh":                 {"https://hooks.example.com:22/", false, true},
		"smtp":                {"https://1.1.1.1:25/", false, false},
		"port 0":              {"https://hooks.example.com:0/", false, false},
		"port too high":       {"https://hooks.example.com:65536/", false, false},
		"port not a number":   {"https://hooks.example.com:x/", false, false},
		"port missing":        {"https://hooks.example.com:/", false, false},
		"line break":          {"https://hooks.example.com/\r\nX: y", false, false},
		"host with space":     {"https://hooks example.com/", false, false},
		"chinese":             {"https://托管.example/", false, false},
		"dot at the end":      {"https://hooks.example.com./", false, false},
		"too long":            {"https://hooks.example.com/" + strings.Repeat("x", 2048), false, false},
		"too long a name":     {"https://" + strings.Repeat("abcdefgh.", 30) + "example/", false, false},
		"not an IPv6 address": {"https://[::g]/", false, false},
		"empty":               {"", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, side := range []struct {
				guard *Guard
				want  bool
			}{{none, test.none}, {inside, test.private}} {
				err := side.guard.CheckURL(test.raw)
				if side.want != (err == nil) {
					t.Errorf("%s with %v: %v", test.raw, side.guard.allow, err)
				}
				var blocked *Error
				if err != nil && (!errors.As(err, &blocked) || blocked.Text == "" || blocked.TextZH == "" || strings.Contains(blocked.Text+blocked.TextZH, "s3cr3t")) {
					t.Errorf("%#v", err)
				}
			}
		})
	}
}

// FuzzCheckURL: what may be kept names a host that the transport would dial as it was
// checked, and none that is not public by what it says.
func FuzzCheckURL(f *testing.F) {
	for _, raw := range []string{"https://hooks.example.com:8443/x?y=z", "http://0x7f.1/", "https://[::ffff:127.0.0.1]/", "https://2130706433", "https://a@b", "https://127.1.", "https://１２７.0.0.1/"} {
		f.Add(raw)
	}
	g := New(Config{})
	f.Fuzz(func(t *testing.T, raw string) {
		if g.CheckURL(raw) != nil {
			return
		}
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "https" || u.User != nil {
			t.Fatalf("%q may be kept", raw)
		}
		host := u.Hostname()
		if addr, err := netip.ParseAddr(host); err == nil {
			if g.check(addr) != nil {
				t.Fatalf("%q may be kept", raw)
			}
			return
		}
		for _, c := range []byte(host) {
			if c <= ' ' || c >= 0x7f || strings.IndexByte(`/\@:%[]?#`, c) >= 0 {
				t.Fatalf("%q may be kept, with the host %q", raw, host)
			}
		}
		last := host[strings.LastIndexByte(host, '.')+1:]
		if last == "" || strings.Trim(last, "0123456789") == "" {
			t.Fatalf("%q may be kept, with the host %q", raw, host)
		}
	})
}

// TestTimeout: a dial ends with its context.
func TestTimeout(t *testing.T) {
	t.Parallel()
	g := New(Config{})
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := g.DialContext(ctx, "tcp", "1.1.1.1:443"); err == nil {
		t.Error("connected")
	}
}
