// Package broker is what the sinks to brokers have in common: how a broker is reached,
// what is published to it and under which name, and that nobody waits for it longer
// than agreed.
package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/internal/sink"
	"github.com/tuoguan/tuoguan/internal/subscription"
	"github.com/tuoguan/tuoguan/store"
)

const (
	// DialTimeout is how long reaching a broker may take, with all greetings.
	DialTimeout = 5 * time.Second
	// ContentType is of what is published: an event in CloudEvents' structured mode.
	ContentType = "application/cloudevents+json; charset=utf-8"

	defaultTimeout = 15 * time.Second
	maxSubject     = 249 // bytes: what Kafka allows, and the narrowest of all
)

// Config says what the sinks to brokers are built on.
type Config struct {
	// Dial makes every connection to a broker. Required.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Logger is told of connections that were lost. Required.
	Logger *slog.Logger
	// Roots are the authorities that broker certificates are verified by. Defaults to the system's.
	Roots *x509.CertPool
}

// Check reports what is missing.
func (c Config) Check() error {
	var errs []error
	if c.Dial == nil {
		errs = append(errs, errors.New("broker: Dial is missing"))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("broker: Logger is missing"))
	}
	return errors.Join(errs...)
}

// TLS is how brokers are verified.
func (c Config) TLS() *tls.Config { return &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12} }

// Dialer connects to addresses of a broker, and greets by TLS where that is asked for.
func (c Config) Dialer(a Address) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, DialTimeout)
		defer cancel()
		conn, err := c.Dial(ctx, network, address)
		if err != nil || !a.TLS {
			return conn, err
		}
		config := c.TLS()
		if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return secured, nil
	}
}

// Address is where a broker is.
type Address struct {
	Hosts []string // host:port, at least one
	TLS   bool
	Path  string // without the slash that it begins with
	Query url.Values
}

// Scheme is how a broker is reached by an address that begins with its name.
type Scheme struct {
	TLS  bool
	Port string // where none is given
}

// ParseAddress reads addresses that are apart by commas: scheme://host:port, the scheme
// being that of the first where it is left out. Path and query stand at the last.
// Errors never show the addresses: people put passwords into them.
func ParseAddress(list string, schemes map[string]Scheme) (Address, error) {
	var a Address
	first := ""
	addresses := strings.Split(list, ",")
	for i, address := range addresses {
		address = strings.TrimSpace(address)
		if i > 0 && !strings.Contains(address, "://") {
			address = first + "://" + address
		}
		u, err := url.Parse(address)
		if err != nil {
			return Address{}, fmt.Errorf("address %d of the broker is no URL", i+1)
		}
		scheme, known := schemes[u.Scheme]
		switch {
		case !known:
			return Address{}, fmt.Errorf("address %d of the broker has a scheme that is none of its kind", i+1)
		case u.User != nil:
			return Address{}, fmt.Errorf("address %d of the broker holds a user or a password: these are secrets of the subscription", i+1)
		case u.Hostname() == "" || u.Fragment != "":
			return Address{}, fmt.Errorf("address %d of the broker is not scheme://host:port", i+1)
		case i > 0 && scheme.TLS != a.TLS:
			return Address{}, errors.New("some addresses of the broker have TLS and some have not")
		case i < len(addresses)-1 && (u.Path != "" || u.RawQuery != ""):
			return Address{}, errors.New("only the last address of the broker may have a path or a query")
		}
		if i == 0 {
			first = u.Scheme
		}
		port := u.Port()
		if port == "" {
			port = scheme.Port
		}
		a.TLS = scheme.TLS
		a.Hosts = append(a.Hosts, net.JoinHostPort(u.Hostname(), port))
		a.Path = strings.TrimPrefix(u.Path, "/")
		if a.Query, err = url.ParseQuery(u.RawQuery); err != nil {
			return Address{}, errors.New("the query of the broker's address cannot be read")
		}
	}
	return a, nil
}

// Timeout is how long a Send may take where its caller does not say.
func Timeout(s subscription.Sink) time.Duration {
	if s.Timeout > 0 {
		return time.Duration(s.Timeout) * time.Second
	}
	return defaultTimeout
}

// Template names what an event is published to: {component}, {authorizer} and {kind}
// stand for the event's.
type Template string

// placeholder is what a template may hold besides plain text.
var placeholder = regexp.MustCompile(`\{(component|authorizer|kind)\}`)

// Check reports what the brokers would not take. What else than letters, digits and
// . _ - is allowed depends on the broker.
func (t Template) Check(allowed string) error {
	plain := placeholder.ReplaceAllString(string(t), "-")
	switch i := strings.IndexFunc(plain, func(r rune) bool { return !isWord(r) && !strings.ContainsRune("."+allowed, r) }); {
	case t == "":
		return errors.New("subject is empty")
	case i >= 0:
		return fmt.Errorf("subject holds %q, which is neither allowed nor {component}, {authorizer} or {kind}", plain[i])
	case len(plain) > maxSubject:
		return fmt.Errorf("subject is longer than %d bytes", maxSubject)
	case strings.HasPrefix(plain, ".") || strings.HasSuffix(plain, ".") || strings.Contains(plain, ".."):
		return errors.New("subject has a dot too many")
	}
	return nil
}

// Subject is what an event is published to. What brokers do not take is replaced by "_",
// and what the event does not have by "-". A kind may be several words, apart by dots.
func (t Template) Subject(p store.Push) string {
	subject := placeholder.ReplaceAllStringFunc(string(t), func(name string) string {
		switch name {
		case "{component}":
			return word(string(p.Component))
		case "{authorizer}":
			return word(string(p.Authorizer))
		}
		words := strings.Split(p.Kind, ".")
		for i := range words {
			words[i] = word(words[i])
		}
		return strings.Join(words, ".")
	})
	if len(subject) > maxSubject {
		subject = strings.TrimRight(subject[:maxSubject], ".")
	}
	return subject
}

func word(text string) string {
	if text == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if isWord(r) {
			return r
		}
		return '_'
	}, text)
}

func isWord(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
}

// Body is what is published.
func Body(m sink.Message) ([]byte, error) {
	body, err := event.CloudEvent(m.Event)
	if err != nil {
		return nil, &sink.Refusal{Final: true, Text: "the event cannot be encoded"}
	}
	return body, nil
}

// TooLarge is the refusal of an event that the broker will never take.
func TooLarge(bytes int) error {
	return &sink.Refusal{Final: true, Text: fmt.Sprintf("%d bytes are more than the broker takes", bytes)}
}
