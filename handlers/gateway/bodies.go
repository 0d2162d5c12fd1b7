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

// requestBody is the body of a caller's request. It keeps the error that ended the reading, which httputil.ReverseProxy
// does not report.
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

// failure returns the error other than io.EOF that ended the reading of the body, or nil.
func (in *requestBody) failure() error {
	if err := in.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// whole returns the whole body. length is the Content-Length in bytes, or negative if unknown. If the body is too large
// or incomplete, whole returns the result of problem.Unread.
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

// errStalled is the cause for canceling a call to Sinch if neither the request nor the answer makes progress.
var errStalled = errors.New("the call to Sinch made no progress")

// answerBody is the body of Sinch's answer as it is passed to the caller. It limits each stall, but not the total time.
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

// proxyLog receives the log lines of httputil.ReverseProxy and logs them at level Debug, since they only report answers
// that broke off on either side.
type proxyLog struct{ log *slog.Logger }

func (l proxyLog) Write(line []byte) (int, error) {
	l.log.Log(context.Background(), slog.LevelDebug, string(bytes.TrimSuffix(line, []byte("\n"))))
	return len(line), nil
}
