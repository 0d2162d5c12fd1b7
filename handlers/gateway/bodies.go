package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/dlrloop/dlrloop/handlers/problem"
)

// requestBody is the body of a request that the gateway passes on to Sinch. It keeps the error at which reading the
// body ended, because httputil.ReverseProxy does not report that error.
type requestBody struct {
	io.ReadCloser
	begun  atomic.Bool // at least one byte was read
	failed atomic.Pointer[error]
}

func (in *requestBody) Read(b []byte) (int, error) {
	n, err := in.ReadCloser.Read(b)
	if n > 0 {
		in.begun.Store(true)
	}
	if err != nil && err != io.EOF { //nolint:errorlint // an io.Reader returns io.EOF unwrapped
		in.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}

// failure returns the error at which reading the body ended. It returns nil if the body has been read without an error,
// even if not to its end.
func (in *requestBody) failure() error {
	if err := in.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// whole reads and returns the complete body. length is the Content-Length, or negative if unknown. It returns an
// *http.MaxBytesError if the body is too large, and a *problem.Problem with status 503 if it is incomplete.
func (in *requestBody) whole(length int64) ([]byte, error) {
	var body []byte
	var err error
	if length >= 0 {
		body = make([]byte, length)
		_, err = io.ReadFull(in, body)
	} else {
		body, err = io.ReadAll(in)
	}
	if err != nil {
		return nil, problem.Unread(err)
	}
	return body, nil
}

// errStalled is the cause with which a call to Sinch is canceled after it has made no progress for too long, neither in
// sending nor in receiving.
var errStalled = errors.New("the call to Sinch made no progress")

// answerBody is the body of Sinch's answer while the gateway copies it to the caller. Each read from Sinch and each
// write to the caller may take up to stallTime; the total time is not limited.
type answerBody struct {
	io.ReadCloser
	connection *http.ResponseController // to the caller
	guard      *time.Timer              // ends the call when it fires; proxiedRequest sets it, too
}

func (a *answerBody) Read(b []byte) (int, error) {
	a.guard.Reset(stallTime)
	n, err := a.ReadCloser.Read(b)
	a.guard.Stop() // from here the write deadline guards the caller's side
	_ = a.connection.SetWriteDeadline(time.Now().Add(stallTime))
	return n, err
}

func (a *answerBody) Close() error {
	a.guard.Stop()
	return a.ReadCloser.Close()
}

// proxyLog is an io.Writer for the error log of httputil.ReverseProxy. It logs each message at level Debug, because the
// messages only report answers that broke off.
type proxyLog struct{ log *slog.Logger }

func (l proxyLog) Write(line []byte) (int, error) {
	l.log.Log(context.Background(), slog.LevelDebug, string(bytes.TrimSuffix(line, []byte("\n"))))
	return len(line), nil
}
