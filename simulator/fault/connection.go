package fault

import (
	"net"
	"net/http"
)

// CloseConnection closes the client's connection without an answer; on TCP the client sees a reset. The handler must
// not use w afterwards. On HTTP/2, CloseConnection panics with http.ErrAbortHandler, so that net/http resets the
// stream.
func CloseConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // for example HTTP/2: net/http resets the stream
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // makes Close send a reset
	}
	_ = conn.Close()
}
