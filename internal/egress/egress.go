// Package egress guards what this program calls on behalf of others. Whoever may
// create a subscription could have it call the network it stands in, or the metadata
// service of its cloud. So [Guard] decides at the dial, on the address that is about to
// be connected to, after names were looked up: a name that answers differently the
// second time, or that leads to a private address, gains nothing by it.
package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrBlocked: an address, or the host of a URL, must not be called.
var ErrBlocked = errors.New("egress: not allowed")

// Error says why something must not be called. It matches [ErrBlocked].
type Error struct {
	Text   string // for people, as is TextZH
	TextZH string
}

func (e *Error) Error() string { return e.Text }

// Is matches [ErrBlocked].
func (e *Error) Is(target error) bool { return target == ErrBlocked }

// Config is what a [Guard] goes by.
type Config struct {
	// Allow are networks that may be called although they are not public. The address
	// of a cloud's metadata service is allowed only where it is named alone, as a /32
	// or a /128.
	Allow []netip.Prefix
	// Resolver looks up names. Defaults to the system's.
	Resolver *net.Resolver
}

// Limits of connections.
const (
	dialTimeout = 5 * time.Second
	tlsTimeout  = 5 * time.Second
	idleTimeout = 90 * time.Second
	pingAfter   = 15 * time.Second // on HTTP/2, where nothing was read
	maxIdleHost = 256              // many subscriptions may lead to one host
	maxIdle     = 4096
	maxHeaders  = 64 << 10
	maxURL      = 2048
	firstFree   = 1024 // ports below belong to protocols of their own
	plainPort   = 80
	securePort  = 443
	highestPort = 65535
)

// Guard dials addresses that may be called, and no others. It is safe for concurrent use.
type Guard struct {
	allow     []netip.Prefix
	blocks    []block
	metadata  map[netip.Addr]bool
	public    net.Dialer // to public addresses and allowed networks
	allowed   net.Dialer // to allowed networks alone
	transport *http.Transport
}

// New returns a Guard.
func New(c Config) *Guard {
	g := &Guard{blocks: blocks(), metadata: metadata()}
	for _, prefix := range c.Allow {
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		g.allow = append(g.allow, prefix.Masked())
	}
	g.public = net.Dialer{Timeout: dialTimeout, Resolver: c.Resolver, ControlContext: control(g.check)}
	g.allowed = net.Dialer{Timeout: dialTimeout, Resolver: c.Resolver, ControlContext: control(g.checkAllowed)}
	g.transport = &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dial(ctx, &g.allowed, network, address)
		},
		DialTLSContext:         g.dialTLS,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(maxIdleHost)},
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter},
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdleHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaders,
		DisableCompression:     true, // so that a small answer cannot become a large one
	}
	return g
}

// Transport returns the transport for all calls by HTTP, always the same one. It uses
// no proxy. Its round trips follow no redirects; an [http.Client] on it must be told
// not to. It calls http URLs within allowed networks only.
func (g *Guard) Transport() *http.Transport { return g.transport }

// DialContext connects by TCP to a public address or into an allowed network.
//
// Errors: [ErrBlocked] among those of the network.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return dial(ctx, &g.public, network, address)
}

func dial(ctx context.Context, dialer *net.Dialer, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	// A system's resolver takes 0x7f.1 for an address. What it takes it for is checked
	// below all the same; nobody asks in good faith.
	if _, _, err := parseHost(host); err != nil {
		return nil, err
	}
	return dialer.DialContext(ctx, network, address)
}

// dialTLS connects for an https URL.
func (g *Guard) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := g.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(address)
	config := g.transport.TLSClientConfig.Clone()
	config.ServerName = host
	secure := tls.Client(conn, config)
	ctx, cancel := context.WithTimeout(ctx, tlsTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// control returns what a dialer calls just before it connects to an address.
func control(check func(netip.Addr) error) func(context.Context, string, string, syscall.RawConn) error {
	return func(_ context.Context, network, address string, _ syscall.RawConn) error {
		if network != "tcp4" && network != "tcp6" {
			return blocked("only TCP is allowed", "只允许 TCP")
		}
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBlocked, err)
		}
		return check(to.Addr())
	}
}

// CheckURL reports why a URL can never be called, before it is kept; nil says no more
// than that it may be tried. What its host's name leads to is seen at the dial.
//
// Errors: [ErrBlocked], as an [*Error].
func (g *Guard) CheckURL(raw string) error {
	if len(raw) > maxURL {
		return blocked("the URL is longer than 2048 bytes", "URL 超过 2048 字节")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return blocked("this is not a URL", "不是合法的 URL") // the parser's error quotes it
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return blocked("the URL must begin with https://", "URL 须以 https:// 开头")
	case u.User != nil:
		return blocked("the URL must not contain a user name or password; put credentials into a secret header", "URL 不得包含用户名或密码，凭证请放入机密请求头")
	case u.Opaque != "" || u.Hostname() == "":
		return blocked("the URL names no host", "URL 缺少主机名")
	case u.Fragment != "":
		return blocked("the URL must not have a fragment (#)", "URL 不得带有 # 片段")
	}
	addr, literal, err := parseHost(u.Hostname())
	if err != nil {
		return err
	}
	name := strings.ToLower(u.Hostname())
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		addr, literal = netip.AddrFrom4([4]byte{127, 0, 0, 1}), true
	}
	if literal {
		if err := g.check(addr); err != nil {
			return err
		}
	}
	within := g.checkAllowed(addr) == nil // false for a name
	if u.Scheme == "http" && !within && (literal || len(g.allow) == 0) {
		return blocked("the URL must begin with https://; http:// is for allowed networks only", "URL 须以 https:// 开头；http:// 仅限允许的网络")
	}
	return checkPort(u, within || !literal && len(g.allow) > 0)
}

// checkPort refuses ports of other protocols, unless the host may be one of our own.
func checkPort(u *url.URL, ours bool) error {
	if u.Port() == "" {
		if strings.HasSuffix(u.Host, ":") {
			return blocked("the URL has a colon and no port", "URL 有冒号却没有端口")
		}
		return nil
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil || port < 1 || port > highestPort {
		return blocked("the port must be 1 to 65535", "端口须为 1 至 65535")
	}
	if port < firstFree && port != securePort && port != plainPort && !ours {
		return blocked("the port belongs to another protocol: use 443, or one from 1024 on", "该端口属于其他协议：请使用 443 或 1024 以上的端口")
	}
	return nil
}

// parseHost takes a host for what it is: an address in its one usual form, or a name.
func parseHost(host string) (addr netip.Addr, literal bool, err error) {
	if strings.Contains(host, ":") {
		addr, err := netip.ParseAddr(host)
		switch {
		case err != nil:
			return netip.Addr{}, false, blocked("the host is not an IPv6 address", "主机不是合法的 IPv6 地址")
		case addr.Is4In6():
			return netip.Addr{}, false, blocked("write an IPv4 address as four decimal numbers", "IPv4 地址请写成四段十进制数")
		}
		return addr, true, nil
	}
	if strings.HasSuffix(host, ".") {
		return netip.Addr{}, false, blocked("the host must not end in a dot", "主机名不得以点结尾")
	}
	labels := strings.Split(host, ".")
	if last := strings.ToLower(labels[len(labels)-1]); isNumber(last) {
		addr, err := netip.ParseAddr(host)
		if err != nil {
			return netip.Addr{}, false, blocked("write an IPv4 address as four decimal numbers", "IPv4 地址请写成四段十进制数")
		}
		return addr, true, nil
	}
	if len(host) > 253 {
		return netip.Addr{}, false, blocked("the host name is too long", "主机名过长")
	}
	for _, label := range labels {
		if !isLabel(label) {
			return netip.Addr{}, false, blocked("the host name must consist of letters, digits, hyphens and dots; write others as xn--", "主机名只能包含字母、数字、连字符和点；中文域名请写成 xn-- 形式")
		}
	}
	return netip.Addr{}, false, nil
}

// isNumber reports whether resolvers may take the last label of a host for a number,
// and so the host for an address.
func isNumber(label string) bool {
	digits, hexadecimal := strings.CutPrefix(label, "0x")
	for _, c := range []byte(digits) {
		if (c < '0' || c > '9') && (!hexadecimal || c < 'a' || c > 'f') {
			return false
		}
	}
	return label != ""
}

func isLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, c := range []byte(label) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func blocked(text, textZH string) *Error { return &Error{Text: text, TextZH: textZH} }
