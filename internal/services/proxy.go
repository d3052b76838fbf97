package services

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy passes TCP connections on to a server and treats them as a bad network
// would. All of its methods may be called at any time, from anywhere.
type Proxy struct {
	listener net.Listener
	target   string
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	work     sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change of what follows
	latency time.Duration
	down    bool
	frozen  bool
	trap    *trap
	links   map[*link]bool
}

// trap cuts the connection on which certain bytes pass.
type trap struct {
	bytes  []byte
	passOn bool
	sprung chan struct{}
}

// link is a connection with its continuation.
type link struct {
	client, server *net.TCPConn
	deaf           atomic.Bool // whatever the server answers, nobody hears it
}

// StartProxy listens on a random port of the loopback interface and passes
// connections on to target, unharmed at first.
func StartProxy(target string) (*Proxy, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, target: target, changed: make(chan struct{}), links: make(map[*link]bool)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.work.Go(p.accept)
	return p, nil
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// SetLatency delays what passes from now on, in both directions.
func (p *Proxy) SetLatency(d time.Duration) { p.change(func() { p.latency = d }) }

// Cut ends all connections and refuses new ones, until Heal.
func (p *Proxy) Cut() {
	p.change(func() { p.down = true })
	p.each(func(l *link) { l.close() })
}

// Freeze lets connections stand while nothing passes: neither end learns of it.
// New ones are accepted and lead nowhere. Heal lets everything go on.
func (p *Proxy) Freeze() { p.change(func() { p.frozen = true }) }

// Reset ends all connections at once in the way that loses what is under way.
func (p *Proxy) Reset() { p.each(func(l *link) { l.reset() }) }

// Heal ends Cut, Freeze, the latency and a trap that has not sprung.
func (p *Proxy) Heal() {
	p.change(func() { p.down, p.frozen, p.latency, p.trap = false, false, 0, nil })
}

// CutOn cuts the first connection whose client sends the bytes given, within one
// write: before they reach the server, or with passOn right after, so that the
// server acts on them and nobody hears of it. The channel is closed when it has
// happened; the next client finds the proxy unharmed. One trap at a time is set.
func (p *Proxy) CutOn(b []byte, passOn bool) <-chan struct{} {
	t := &trap{bytes: bytes.Clone(b), passOn: passOn, sprung: make(chan struct{})}
	p.change(func() { p.trap = t })
	return t.sprung
}

// Close ends everything and waits until it has ended.
func (p *Proxy) Close() error {
	p.cancel()
	err := p.listener.Close()
	p.each(func(l *link) { l.close() })
	p.work.Wait()
	return err
}

// change changes the state and tells those who wait for it to change.
func (p *Proxy) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) each(f func(*link)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		f(l)
	}
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			if p.ctx.Err() != nil {
				return
			}
			continue // the client has left already
		}
		p.work.Go(func() { p.serve(conn.(*net.TCPConn)) })
	}
}

// serve passes one connection on until either end has had enough.
func (p *Proxy) serve(client *net.TCPConn) {
	defer client.Close()
	if !p.pass() {
		return
	}
	conn, err := new(net.Dialer).DialContext(p.ctx, "tcp", p.target)
	if err != nil {
		return
	}
	l := &link{client: client, server: conn.(*net.TCPConn)}
	defer l.close()
	p.mu.Lock()
	p.links[l] = true
	refused := p.down || p.ctx.Err() != nil
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.links, l)
		p.mu.Unlock()
	}()
	if refused {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.copy(l, l.server, l.client, true) })
	both.Go(func() { p.copy(l, l.client, l.server, false) })
	both.Wait()
}

// copy passes bytes in one direction.
func (p *Proxy) copy(l *link, to, from *net.TCPConn, fromClient bool) {
	defer l.close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !p.pass() {
				return
			}
			if !fromClient && l.deaf.Load() {
				continue
			}
			t := p.sprung(buffer[:n], fromClient)
			if t == nil || t.passOn {
				if t != nil {
					l.deaf.Store(true)
				}
				if _, err := to.Write(buffer[:n]); err != nil {
					return
				}
			}
			if t != nil {
				close(t.sprung) // first: whoever notices the cut may look
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// sprung returns the trap if these bytes spring it. It is set no more then.
func (p *Proxy) sprung(b []byte, fromClient bool) *trap {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.trap
	if t == nil || !fromClient || !bytes.Contains(b, t.bytes) {
		return nil
	}
	p.trap = nil
	return t
}

// pass waits as long as the network does. It reports whether to go on.
func (p *Proxy) pass() bool {
	delayed := false
	for {
		p.mu.Lock()
		down, frozen, latency, changed := p.down, p.frozen, p.latency, p.changed
		p.mu.Unlock()
		var wait <-chan time.Time
		switch {
		case down:
			return false
		case frozen:
		case latency > 0 && !delayed:
			wait = time.After(latency)
		default:
			return true
		}
		select {
		case <-p.ctx.Done():
			return false
		case <-changed:
		case <-wait:
			delayed = true
		}
	}
}

// close ends a connection in the usual way, at both ends: what the server was sent
// it still gets to read.
func (l *link) close() { _ = errors.Join(l.client.Close(), l.server.Close()) }

// reset ends a connection such that both ends get an error at once.
func (l *link) reset() {
	_ = errors.Join(l.client.SetLinger(0), l.server.SetLinger(0))
	l.close()
}
