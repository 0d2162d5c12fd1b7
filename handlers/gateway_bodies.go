package handlers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// requestBody is the body of a request. It remembers why it could not be read: a proxy tells only that the call failed.
type requestBody struct {
	io.ReadCloser
	begun  atomic.Bool // some of it was read
	failed atomic.Pointer[error]
}

func (in *requestBody) Read(b []byte) (int, error) {
	n, err := in.ReadCloser.Read(b)
	if n > 0 {
		in.begun.Store(true)
	}
	if err != nil && err != io.EOF { //nolint:errorlint // a Reader returns it as it is
		in.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}

// failure is why the body could not be read, if so.
func (in *requestBody) failure() error {
	if err := in.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// whole reads the body to its end; length is what it announces, or less than 0.
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
		return nil, unreadBody(err)
	}
	return body, nil
}

// unreadBody is the problem that a request's body did not arrive.
func unreadBody(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return err
	}
	return &problem{kind: kindIncomplete, detail: "the body did not arrive whole; the same call will do later", cause: err}
}

// errStalled ends a call that makes no progress: Sinch does not take the request, does not answer, or the answer stands still.
var errStalled = errors.New("the call to Sinch made no progress")

// flow is the body of an answer. It may take as long as it likes, while it moves.
type answerBody struct {
	io.ReadCloser
	connection *http.ResponseController // to the caller
	guard      *time.Timer              // ends the call; not of flow alone
}

func (a *answerBody) Read(b []byte) (int, error) {
	a.guard.Reset(gatewayStall)
	n, err := a.ReadCloser.Read(b)
	a.guard.Stop() // now it is the caller's turn
	_ = a.connection.SetWriteDeadline(time.Now().Add(gatewayStall))
	return n, err
}

func (a *answerBody) Close() error {
	a.guard.Stop()
	return a.ReadCloser.Close()
}

// proxyLog takes what ReverseProxy logs: answers that broke off, on either side.
type proxyLog struct{ log *slog.Logger }

func (l proxyLog) Write(line []byte) (int, error) {
	l.log.Log(context.Background(), slog.LevelDebug, string(bytes.TrimSuffix(line, []byte("\n"))))
	return len(line), nil
}
