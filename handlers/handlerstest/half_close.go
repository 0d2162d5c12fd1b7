package handlerstest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store/storetest"
)

// HalfClose tests that h answers a client that closes its sending side early. It sends request, which is raw HTTP, to h
// over TCP. While h waits for the operation op of the store s, HalfClose closes the client's sending side, so that
// net/http cancels the request's context. Then HalfClose lets the operation continue, and returns the answer of h. The
// test fails if there is no answer.
func HalfClose(t *testing.T, h http.Handler, s *storetest.Failing, op storetest.Operation,
	request string,
) (status int, body string) {
	t.Helper()
	requests := make(chan context.Context, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r.Context()
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	s.Fail(op, storetest.Stuck, nil, 1)
	defer s.Heal()
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer connection.Close()
	_, err = io.WriteString(connection, request)
	require.NoError(t, err)
	s.AwaitWaiting(1)
	require.NoError(t, connection.(*net.TCPConn).CloseWrite())
	<-(<-requests).Done()
	s.Release()

	answer, err := io.ReadAll(connection)
	require.NoError(t, err)
	head, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	_, err = fmt.Sscanf(head, "HTTP/1.1 %d", &status)
	require.NoError(t, err, "%q", answer)
	return status, body
}

// RawRequest returns the bytes of an HTTP/1.1 request, for HalfClose. It adds Host and Content-Length. header holds any
// further header lines, each ending in \r\n, and may be empty.
func RawRequest(method, path, header, body string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n%s\r\n%s", method, path, len(body),
		header, body)
}
