package traffic

import (
	"bytes"
	"context"
	"fmt"
	"net"
)

// Connection is an HTTP connection that sends callbacks (delivery reports) to dlrloop, one after the other. It is not
// safe for concurrent use. Create it with Dial.
type Connection struct {
	net.Conn
	buf [1024]byte
}

// Dial connects to the listener of dlrloop's webhook at address, such as 127.0.0.1:8080. The caller must close the
// connection.
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

// RefusedError is the error of Connection.Send for every answer except an empty 200. The caller must then close the
// connection, since part of the answer may be unread.
type RefusedError struct {
	Answer string // beginning of the answer
}

func (e *RefusedError) Error() string { return fmt.Sprintf("answered %q", e.Answer) }

// Send sends a complete HTTP request and blocks until the answer has arrived. It returns a *RefusedError if the answer
// is not an empty 200. After any error, the connection must be closed.
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
