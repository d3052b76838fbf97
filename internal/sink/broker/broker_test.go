package broker_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/tuoguan/tuoguan/internal/sink/broker"
	"github.com/tuoguan/tuoguan/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseAddress(t *testing.T) {
	t.Parallel()
	schemes := map[string]broker.Scheme{"b": {Port: "1"}, "bs": {TLS: true, Port: "2"}, "b+tls": {TLS: true, Port: "2"}}
	for _, tt := range []struct {
		list string
		want broker.Address
		text string // of the error
	}{
		{"b://h", broker.Address{Hosts: []string{"h:1"}}, ""},
		{"bs://h:7,i, b+tls://[::1]:8/p?x=y", broker.Address{Hosts: []string{"h:7", "i:2", "[::1]:8"}, TLS: true, Path: "p", Query: map[string][]string{"x": {"y"}}}, ""},
		{"", broker.Address{}, "scheme"},
		{"h:1", broker.Address{}, "scheme"},
		{"c://h", broker.Address{}, "scheme"},
		{"b://h,bs://i", broker.Address{}, "TLS"},
		{"b://", broker.Address{}, "host"},
		{"b://h,,i", broker.Address{}, "host"},
		{"b://h/p,i", broker.Address{}, "last"},
		{"b://h#x", broker.Address{}, "host"},
		{"b://u:pa55word@h", broker.Address{}, "secrets"},
		{"b://pa55word:x@h:port", broker.Address{}, "no URL"},
		{"b://h?%zz=pa55word", broker.Address{}, "query"},
	} {
		got, err := broker.ParseAddress(tt.list, schemes)
		if err != nil && (tt.text == "" || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "pa55word")) || err == nil && tt.text != "" {
			t.Errorf("%q: %v", tt.list, err)
		}
		if got.Query != nil && len(got.Query) == 0 {
			got.Query = nil
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q: %s", tt.list, diff)
		}
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	p := store.Push{Component: "wxc", Authorizer: "wxa", Kind: "event.sub scribe.*"}
	for _, tt := range []struct {
		template broker.Template
		push     store.Push
		want     string
	}{
		{"a.{component}.{authorizer}.{kind}", p, "a.wxc.wxa.event.sub_scribe._"},
		{"{component}-{authorizer}", store.Push{}, "---"},
		{"x.{kind}", store.Push{Kind: "a..b."}, "x.a.-.b.-"},
		{"x.{kind}", store.Push{Kind: "图片{kind}\x00"}, "x.___kind__"},
		{"{kind}", store.Push{Kind: strings.Repeat("a.", 300)}, strings.TrimSuffix(strings.Repeat("a.", 125), ".")},
	} {
		if err := tt.template.Check(""); err != nil {
			t.Errorf("%q: %v", tt.template, err)
		}
		if got := tt.template.Subject(tt.push); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.template, got, tt.want)
		}
	}
	for _, template := range []broker.Template{"", ".a", "a.", "a..b", "a b", "a*", "{other}", "{", "a:b", "中", broker.Template(strings.Repeat("a", 250))} {
		if template.Check("") == nil {
			t.Errorf("%q is taken", template)
		}
	}
	if err := broker.Template("a:b/c").Check(":/"); err != nil {
		t.Error(err)
	}
}

// TestTLS dials a server with and without the authority that vouches for it.
func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	for _, tt := range []struct {
		name  string
		roots *x509.CertPool
		tls   bool
		good  bool
	}{
		{"known authority", roots, true, true},
		{"unknown authority", x509.NewCertPool(), true, false},
		{"no TLS", nil, false, true},
	} {
		c := broker.Config{Roots: tt.roots, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		}}
		conn, err := c.Dialer(broker.Address{TLS: tt.tls})(t.Context(), "tcp", server.Listener.Addr().String())
		if (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err != nil {
			continue
		}
		if _, secured := conn.(*tls.Conn); secured != tt.tls {
			t.Errorf("%s: a %T", tt.name, conn)
		}
		conn.Close()
	}
}

// TestCalls has callers wait for what does not return.
func TestCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := broker.NewCalls(10 * time.Second)
		stuck := make(chan struct{})
		hang := func(context.Context) error { <-stuck; return nil }
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if err := c.Do(short, hang); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		var all sync.WaitGroup
		for range 1000 { // more than there is room for
			all.Go(func() {
				if err := c.Do(t.Context(), hang); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		if took := time.Since(begun); took != 11*time.Second {
			t.Errorf("after %v", took)
		}
		close(stuck)
		synctest.Wait()
		if err := c.Do(t.Context(), func(context.Context) error { return errors.ErrUnsupported }); err != errors.ErrUnsupported {
			t.Errorf("got %v", err)
		}

		all.Go(func() {
			if err := c.Do(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return nil }); err != broker.ErrClosed {
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		for _, want := range []error{errors.ErrUnsupported, nil} {
			if err := c.Close(func() error { return errors.ErrUnsupported }); err != want {
				t.Errorf("got %v", err)
			}
		}
		all.Wait()
		if err := c.Do(t.Context(), hang); err != broker.ErrClosed {
			t.Errorf("got %v", err)
		}
	})
}

func TestConfig(t *testing.T) {
	t.Parallel()
	if got := fmt.Sprint(broker.Config{}.Check()); !strings.Contains(got, "Dial") || !strings.Contains(got, "Logger") {
		t.Errorf("got %s", got)
	}
}
