// Package server is dlrloop as one running thing: it opens the store, listens, relays feedback, retires what is old, and ends
// in the order in which nothing is lost. Tests and the demo start it in-process.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/handlers"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/store"
)

// Options are what a server needs beside its configuration. Zero members get the defaults.
type Options struct {
	Version string
	Log     *slog.Logger   // default: slog.Default()
	Watch   store.Observer // told what the store does, beside the metrics
	// Reload reads the configuration again when Run is told to; nil keeps the first for good.
	Reload func() (*config.Config, error)
	// Reloads asks for it: a SIGHUP, for instance.
	Reloads <-chan struct{}
	// Serving is called once all listeners accept.
	Serving func()
}

// Server is one replica. It is made by Start and ends with Run.
type Server struct {
	config   *config.Config
	options  Options
	replica  string // its id among those that share the store
	log      *slog.Logger
	store    store.Store
	metrics  *metrics.Metrics
	relay    atomic.Pointer[relay.Relay] // nil until the store is open, which folds before
	reports  *relay.Reconciler
	webhook  *handlers.Public
	gateway  *handlers.Gateway
	public   *listener
	private  *listener
	apps     *listener // the gateway's own; nil where it is on the private one
	draining atomic.Bool
}

// Start opens the store and binds the listeners, but serves nothing yet: that is Run's. Whoever does not call Run closes
// the server with Close.
func Start(ctx context.Context, c *config.Config, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &Server{config: c, options: o, log: o.Log, replica: replicaOf(c)}
	if c.Store.Driver == config.DriverPostgres {
		s.log = s.log.With(slog.String("replica", s.replica))
	}
	registry := prometheus.NewRegistry()
	s.metrics = metrics.New(registry, metrics.Config{Plans: planIDs(c), Version: o.Version, StoreLimit: int64(c.Store.SizeLimit)})
	var err error
	if s.store, err = openStore(ctx, c, s.replica, watch(s.metrics.Observer(), logged(s.log), s.requeued(), o.Watch)); err != nil {
		return nil, err
	}
	s.metrics.Store(s.store.Gauges)
	if err := s.wire(registry); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// PublicAddr is where Sinch's callbacks are taken.
func (s *Server) PublicAddr() net.Addr { return s.public.Addr() }

// PrivateAddr is where the API and the metrics are.
func (s *Server) PrivateAddr() net.Addr { return s.private.Addr() }

// GatewayAddr is where applications send: the gateway's own listener, or the private one.
func (s *Server) GatewayAddr() net.Addr {
	if s.apps == nil {
		return s.private.Addr()
	}
	return s.apps.Addr()
}

// Run serves until ctx ends and then ends everything in order: it turns not ready, goes on for the shutdown delay, lets requests in
// flight end, lets the relay settle or give back its calls, and closes the store. An error says what ended it before its
// time or what could not end well; ctx's own end is no error.
func (s *Server) Run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	relaying, stopRelay := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRelay()

	var listeners, workers sync.WaitGroup
	part := func(group *sync.WaitGroup, name string, run func() error) {
		group.Go(func() {
			if err := run(); err != nil {
				fail(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	part(&listeners, "public listener", s.public.serve)
	part(&listeners, "private listener", s.private.serve)
	if s.apps != nil {
		part(&listeners, "gateway listener", s.apps.serve)
	}
	part(&workers, "relay", func() error { return s.relay.Load().Run(relaying) })
	part(&workers, "reconciler", func() error { return s.reports.Run(relaying) })
	part(&workers, "retention", func() error { return s.retire(relaying) })
	part(&workers, "reload", func() error { return s.reload(relaying) })
	part(&workers, "memory", func() error { return s.release(relaying) })
	part(&workers, "store", func() error { return s.watchStore(relaying) })

	s.log.LogAttrs(ctx, slog.LevelInfo, "serving", slog.String("version", s.options.Version),
		slog.String("public", s.public.Addr().String()), slog.String("private", s.private.Addr().String()),
		slog.String("gateway", s.GatewayAddr().String()), slog.Int("plans", len(s.config.Plans)))
	if s.options.Serving != nil {
		s.options.Serving()
	}
	<-ctx.Done()
	cause := context.Cause(ctx)
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		cause = nil
	}
	err := s.drain(cause == nil)
	stopRelay()
	workers.Wait()
	err = errors.Join(err, s.private.shutdown(time.Second))
	listeners.Wait()
	err = errors.Join(cause, err, s.store.Close())
	var why []slog.Attr
	if err != nil {
		why = append(why, slog.Any("error", err))
	}
	s.log.LogAttrs(context.Background(), slog.LevelInfo, "stopped", why...)
	return err
}

// drain lets load balancers turn away and requests in flight end.
func (s *Server) drain(orderly bool) error {
	s.draining.Store(true)
	if delay := time.Duration(s.config.ShutdownDelay); orderly && delay > 0 {
		s.log.Info("draining", slog.Duration("shutdown_delay", delay))
		select {
		case <-time.After(delay):
		case <-s.store.Done():
		}
	}
	patience := time.Duration(s.config.ShutdownTimeout)
	var sends errgroup.Group
	sends.Go(func() error { return s.drainGateway(patience) })
	return errors.Join(s.public.shutdown(patience), sends.Wait())
}

// drainGateway lets calls to Sinch end, and what they taught be recorded.
func (s *Server) drainGateway(patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var err error
	if s.apps != nil {
		err = s.apps.shutdown(patience)
	}
	s.gateway.Drain(ctx)
	return err
}

// Close releases what Start took, without having served.
func (s *Server) Close() error {
	var errs []error
	for _, l := range []*listener{s.public, s.private, s.apps} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(append(errs, s.store.Close())...)
}

// watchStore ends the server when the store has ended itself: only a start finds out what is on disk.
func (s *Server) watchStore(ctx context.Context) error {
	select {
	case <-s.store.Done():
		return fmt.Errorf("it ended itself; start dlrloop again: %w", s.store.Err())
	case <-ctx.Done():
		return nil
	}
}
