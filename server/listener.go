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

// Times of a connection. The webhook lets a body that keeps coming take longer.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 120 * time.Second
	maxHeader         = 16 << 10
)

// listener is a bound address and the server that will serve it.
type listener struct {
	net.Listener
	name        string
	http        *http.Server
	certificate *certificate // nil for plain HTTP
}

// listen binds address; files may be empty for plain HTTP.
func listen(ctx context.Context, name, address string, files config.TLS, h http.Handler, log *slog.Logger) (*listener, error) {
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

// errorLog takes the lines that net/http logs. Any client can cause them, at will, but for one kind: where nothing can be
// accepted, the machine is short of something, descriptors most often.
type errorLog struct{ log *slog.Logger }

func (e errorLog) Write(line []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.HasPrefix(line, []byte("http: Accept error")) {
		level = slog.LevelWarn
	}
	e.log.Log(context.Background(), level, string(bytes.TrimSuffix(line, []byte("\n"))))
	return len(line), nil
}

// serve serves until shutdown.
func (l *listener) serve() error {
	if err := l.http.Serve(l.Listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// shutdown lets requests in flight end, for at most patience; then it cuts them off.
func (l *listener) shutdown(patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := l.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return l.http.Close()
	}
	return err
}
