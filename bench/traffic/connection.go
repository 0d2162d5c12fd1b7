package traffic

import (
	"bytes"
	"context"
	"fmt"
	"net"
)

// Connection brings callbacks, one after the other.
type Connection struct {
	net.Conn
	buf [1024]byte
}

// Dial connects to the webhook's listener.
func Dial(ctx context.Context, address string) (*Connection, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &Connection{Conn: c}, nil
}

var (
	headEnd = []byte("\r\n\r\n")
	success = []byte("HTTP/1.1 200 ")
	empty   = []byte("\r\nContent-Length: 0\r\n")
)

// RefusedError is an answer that is not an empty 200. The connection may hold more of it: do not use it any more.
type RefusedError struct{ Answer string }

func (e *RefusedError) Error() string { return fmt.Sprintf("answered %q", e.Answer) }

// Send sends one request and reads its answer. If that is not an empty 200, the error is a *RefusedError.
func (c *Connection) Send(request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	answer := c.buf[:0]
	for !bytes.Contains(answer, headEnd) && len(answer) < len(c.buf) {
		n, err := c.Read(c.buf[len(answer):])
		if err != nil {
			return err
		}
		answer = c.buf[:len(answer)+n]
	}
	if !bytes.HasPrefix(answer, success) || !bytes.Contains(answer, empty) {
		return &RefusedError{string(answer)}
	}
	return nil
}
