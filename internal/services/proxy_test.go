package services_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan/internal/services"
)

// echo is a server that answers what it is sent and remembers it.
type echo struct {
	net.Listener
	work sync.WaitGroup
	got  chan string
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{Listener: l, got: make(chan string, 100)}
	e.work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			e.work.Go(func() {
				defer conn.Close()
				buffer := make([]byte, 1000)
				for {
					n, err := conn.Read(buffer)
					if err != nil {
						return
					}
					e.got <- string(buffer[:n])
					if _, err := conn.Write(buffer[:n]); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		e.work.Wait()
	})
	return e
}

func newProxy(t *testing.T) (*services.Proxy, *echo) {
	t.Helper()
	e := newEcho(t)
	p, err := services.StartProxy(e.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() }) // before the server ends
	return p, e
}

func dial(t *testing.T, p *services.Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ask sends a word and waits for its echo.
func ask(conn net.Conn, word string, within time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, word); err != nil {
		return err
	}
	answer := make([]byte, len(word))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if !bytes.Equal(answer, []byte(word)) {
		return errors.New("another answer: " + string(answer))
	}
	return nil
}

const (
	enough = 10 * time.Second
	little = 50 * time.Millisecond
)

func TestProxyPassesAndDelays(t *testing.T) {
	t.Parallel()
	p, _ := newProxy(t)
	conn := dial(t, p)
	if err := ask(conn, "one", enough); err != nil {
		t.Fatal(err)
	}
	p.SetLatency(40 * time.Millisecond)
	begun := time.Now()
	if err := ask(conn, "two", enough); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took < 80*time.Millisecond {
		t.Errorf("there and back within %v", took)
	}
}

func TestProxyCuts(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(*services.Proxy){"cut": (*services.Proxy).Cut, "reset": (*services.Proxy).Reset} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := newProxy(t)
			conn := dial(t, p)
			if err := ask(conn, "one", enough); err != nil {
				t.Fatal(err)
			}
			cut(p)
			if err := ask(conn, "two", enough); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a connection that was cut: %v", err)
			}
			if err := ask(dial(t, p), "three", enough); (err == nil) != (name == "reset") {
				t.Errorf("a new connection: %v", err)
			}
			p.Heal()
			if err := ask(dial(t, p), "four", enough); err != nil {
				t.Errorf("after healing: %v", err)
			}
		})
	}
}

func TestProxyFreezes(t *testing.T) {
	t.Parallel()
	p, e := newProxy(t)
	conn := dial(t, p)
	if err := ask(conn, "one", enough); err != nil {
		t.Fatal(err)
	}
	<-e.got
	p.Freeze()
	for name, conn := range map[string]net.Conn{"old": conn, "new": dial(t, p)} {
		if err := ask(conn, "two", little); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("an %s connection: %v", name, err)
		}
	}
	p.Heal()
	for range 2 {
		if got := <-e.got; got != "two" {
			t.Errorf("what was held up arrived as %q", got)
		}
	}
}

func TestProxyCutsOnBytes(t *testing.T) {
	t.Parallel()
	for name, passOn := range map[string]bool{"before": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, e := newProxy(t)
			conn := dial(t, p)
			sprung := p.CutOn([]byte("COMMIT"), passOn)
			if err := ask(conn, "begin", enough); err != nil {
				t.Fatal(err)
			}
			if got := <-e.got; got != "begin" {
				t.Fatal(got)
			}
			if err := ask(conn, "xCOMMITx", enough); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			<-sprung
			want := "xCOMMITx"
			if passOn {
				if got := <-e.got; got != want {
					t.Errorf("passed on: %q", got)
				}
			}
			if err := ask(dial(t, p), "COMMIT again", enough); err != nil {
				t.Errorf("the next: %v", err)
			}
			if got := <-e.got; got != "COMMIT again" {
				t.Errorf("the server got %q", got)
			}
		})
	}
}
