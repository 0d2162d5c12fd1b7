package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/dlrloop/dlrloop/config"
)

// The time limits of HTTP connections, and the maximum size of a request's headers in bytes. The webhook extends
// readTimeout while a body keeps arriving.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 120 * time.Second
	maxHeader         = 16 << 10
)

// listener is a listening socket with the HTTP server that answers its requests. Function listen creates one.
type listener struct {
	net.Listener
	name        string
	http        *http.Server
	certificate *certificate // nil for plain HTTP
}

// listen binds a TCP address but does not accept connections yet; serve does. If files names no TLS files, it uses
// plain HTTP. name appears in errors and logs.
func listen(ctx context.Context, name, address string, files config.TLS, h http.Handler, log *slog.Logger) (*listener,
	error,
) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s listener: %w", name, err)
	}
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          stdlog.New(errorLog{log.With("listener", name)}, "", 0),
	}
	if !files.Enabled() {
		return &listener{Listener: l, name: name, http: s}, nil
	}
	c, err := newCertificate(files)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s listener: %w", name, err), l.Close())
	}
	return &listener{Listener: tls.NewListener(l, c.config()), name: name, http: s, certificate: c}, nil
}

// errorLog receives the log lines of an http.Server. It logs them at DEBUG, since any client can cause most of them. A
// failed accept is logged at WARN, because the machine then lacks a resource, usually file descriptors.
type errorLog struct{ log *slog.Logger }

func (e errorLog) Write(line []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.HasPrefix(line, []byte("http: Accept error")) {
		level = slog.LevelWarn
	}
	e.log.Log(context.Background(), level, string(bytes.TrimSuffix(line, []byte("\n"))))
	return len(line), nil
}

// serve answers requests until shutdown is called, and then returns nil. It returns an error if the listener fails.
func (l *listener) serve() error {
	if err := l.http.Serve(l.Listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// shutdown accepts no more connections and waits until the requests in flight have been answered. After the timeout it
// aborts the remaining requests, which is not an error. It returns only errors of closing the listener.
func (l *listener) shutdown(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	err := l.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return l.http.Close()
	}
	return err
}
