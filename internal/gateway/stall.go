package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// stall is how long a connection may stand still, to callers as to WeChat, before it
// is given up: also while WeChat thinks about an answer.
const stall = 30 * time.Second

// deadlines puts the listener's time limits off while a large body moves: they are for
// small requests.
type deadlines struct {
	control *http.ResponseController
	next    atomic.Int64 // Unix nanoseconds: no need to put anything off before
}

func newDeadlines(w http.ResponseWriter) *deadlines {
	return &deadlines{control: http.NewResponseController(w)}
}

// moved says that something was read or written, or is about to be. A connection
// without deadlines does without.
func (d *deadlines) moved() {
	now := time.Now()
	if now.UnixNano() < d.next.Load() {
		return
	}
	d.next.Store(now.Add(stall / 10).UnixNano())
	_ = d.control.SetReadDeadline(now.Add(stall))
	// What is answered after an upload has to wait for WeChat first.
	_ = d.control.SetWriteDeadline(now.Add(4 * stall))
}

// received says that the caller's body is all there. A deadline for reading would end
// the call while WeChat is thinking.
func (d *deadlines) received() { _ = d.control.SetReadDeadline(time.Time{}) }

// upload is a caller's body that is passed on as it comes.
type upload struct {
	body      io.Reader
	deadlines *deadlines
	size      atomic.Int64 // so far
}

func (u *upload) Read(p []byte) (int, error) {
	u.deadlines.moved()
	n, err := u.body.Read(p)
	u.size.Add(int64(n))
	if errors.Is(err, io.EOF) {
		u.deadlines.received()
	}
	return n, err
}

// dialMoving dials connections that end when nothing moves on them.
func dialMoving(dialer *net.Dialer) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &movingConn{Conn: conn}, nil
	}
}

// movingConn is a connection to WeChat. While one direction moves the other may stand
// still, as the answer does during an upload.
type movingConn struct {
	net.Conn
	next atomic.Int64 // Unix nanoseconds: the deadline need not be put off before
}

func (c *movingConn) moved() error {
	now := time.Now()
	if now.UnixNano() < c.next.Load() {
		return nil
	}
	c.next.Store(now.Add(stall / 10).UnixNano())
	return c.SetDeadline(now.Add(stall))
}

func (c *movingConn) Read(p []byte) (int, error) {
	if err := c.moved(); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *movingConn) Write(p []byte) (int, error) {
	if err := c.moved(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
