// Package server runs a complete dlrloop: it opens the store, serves the listeners, relays feedback, deletes old
// batches, and shuts down without losing a report. Tests and the demo start it in-process.
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
	"github.com/dlrloop/dlrloop/handlers/gateway"
	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/relay/destinations"
	"github.com/dlrloop/dlrloop/relay/feedback"
	"github.com/dlrloop/dlrloop/relay/reconcile"
	"github.com/dlrloop/dlrloop/store"
)

// Options holds the settings of a Server that are not in the configuration file, such as the log. The zero value is
// valid.
type Options struct {
	Version string
	Log     *slog.Logger // default: slog.Default()
	// Folded is called with the changes of each fold, under the rules of store.Observer; may be nil.
	Folded func([]store.Changes)
	// Reload loads the configuration again. If it is nil, Reloads makes Run read only the TLS files.
	Reload func() (*config.Config, error)
	// Reloads makes Run reload the configuration and the TLS files for each value, for example after SIGHUP.
	Reloads <-chan struct{}
	// Serving is called once, when all listeners accept connections; may be nil.
	Serving func()
}

// Server is one running dlrloop: its store, its listeners and its background work. Start creates it; Run serves and
// then closes it.
type Server struct {
	config     *config.Config
	options    Options
	replica    string // name of this replica; "" if none is configured and the store is not shared
	log        *slog.Logger
	store      store.Store
	metrics    *metrics.Metrics
	relay      atomic.Pointer[feedback.Relay] // nil while the store opens, which already folds
	reports    *reconcile.Reconciler
	deliveries *destinations.Deliverer
	webhook    *webhook.Webhook
	gateway    *gateway.Gateway
	public     *listener
	private    *listener
	gatewayOwn *listener // nil if the private listener serves the gateway
	draining   atomic.Bool
}

// Start opens the store and binds the listeners, but does not answer requests yet. The caller must call Run, or Close
// if the server will not run. After an error everything is closed again.
func Start(ctx context.Context, c *config.Config, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &Server{config: c, options: o, log: o.Log, replica: replicaOf(c)}
	if c.Store.Driver == config.DriverPostgres {
		s.log = s.log.With(slog.String("replica", s.replica))
	}
	registry := prometheus.NewRegistry()
	s.metrics = metrics.New(registry, metrics.Config{
		Plans: planIDs(c), Version: o.Version,
		StoreLimit: int64(c.Store.SizeLimit), InboundKept: c.Inbound.Keep, Destinations: destinationNames(c),
	})
	var err error
	if s.store, err = openStore(ctx, c, s.replica, s.observer()); err != nil {
		return nil, err
	}
	s.metrics.Store(s.store.Gauges)
	if err := s.wire(registry); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.deliveries.Prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// PublicAddr returns the address of the public listener, which receives Sinch's callbacks. The port is the real one,
// even if the configured port is 0.
func (s *Server) PublicAddr() net.Addr { return s.public.Addr() }

// PrivateAddr returns the address of the private listener, which serves the web page, the API and the metrics. The port
// is the real one, even if the configured port is 0.
func (s *Server) PrivateAddr() net.Addr { return s.private.Addr() }

// GatewayAddr returns the address of the gateway, the proxy for Sinch's API. If no listener is configured for the
// gateway, the result is the address of the private listener, which then serves the gateway.
func (s *Server) GatewayAddr() net.Addr {
	if s.gatewayOwn == nil {
		return s.private.Addr()
	}
	return s.gatewayOwn.Addr()
}

// Run serves until ctx ends and then shuts down. For the configured delay it goes on serving, but reports itself as not
// ready. It then waits for requests in flight, lets the feedback relay finish or give back its tasks, and closes the
// store. It returns an error if a component failed or the shutdown was not clean. Call it only once.
func (s *Server) Run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	relaying, stopRelay := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRelay()

	var listeners, workers sync.WaitGroup
	start := func(group *sync.WaitGroup, name string, run func() error) {
		group.Go(func() {
			if err := run(); err != nil {
				fail(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	start(&listeners, "public listener", s.public.serve)
	start(&listeners, "private listener", s.private.serve)
	if s.gatewayOwn != nil {
		start(&listeners, "gateway listener", s.gatewayOwn.serve)
	}
	start(&workers, "relay", func() error { return s.relay.Load().Run(relaying) })
	start(&workers, "reconciler", func() error { return s.reports.Run(relaying) })
	start(&workers, "destinations", func() error { return s.deliveries.Run(relaying) })
	start(&workers, "retention", func() error { return s.runRetention(relaying) })
	start(&workers, "reload", func() error { return s.reload(relaying) })
	start(&workers, "memory", func() error { return s.release(relaying) })
	start(&workers, "store", func() error { return s.watchStore(relaying) })

	s.log.LogAttrs(ctx, slog.LevelInfo, "serving", slog.String("version", s.options.Version),
		slog.String("public", s.public.Addr().String()), slog.String("private", s.private.Addr().String()),
		slog.String("gateway", s.GatewayAddr().String()), slog.Int("plans", len(s.config.Plans)))
	if !s.config.Inbound.Keep {
		s.log.LogAttrs(ctx, slog.LevelWarn, "inbound messages are acknowledged but not stored: inbound.keep is false")
	}
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

// drain stops the public listener and the gateway. If graceful is true, because no component has failed, it first goes
// on serving for the configured shutdown delay. It then refuses new callbacks and gateway calls, and waits for those in
// flight, up to the configured timeout. It returns only errors of closing the listeners.
func (s *Server) drain(graceful bool) error {
	s.draining.Store(true)
	if delay := time.Duration(s.config.ShutdownDelay); graceful && delay > 0 {
		s.log.Info("draining", slog.Duration("shutdown_delay", delay))
		select {
		case <-time.After(delay):
		case <-s.storeStopped():
		}
	}
	timeout := time.Duration(s.config.ShutdownTimeout)
	var sends errgroup.Group
	sends.Go(func() error { return s.drainGateway(timeout) })
	return errors.Join(s.public.shutdown(timeout), sends.Wait())
}

// drainGateway waits until the gateway's calls to Sinch have ended and their batches are recorded, or until the timeout
// has passed, which is not an error. It returns only an error of closing the gateway's own listener.
func (s *Server) drainGateway(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var err error
	if s.gatewayOwn != nil {
		err = s.gatewayOwn.shutdown(timeout)
	}
	s.gateway.Drain(ctx)
	return err
}

// Close closes the listeners and the store of a Server. Use it only if Run was not called, since Run does that itself.
func (s *Server) Close() error {
	var errs []error
	for _, l := range []*listener{s.public, s.private, s.gatewayOwn} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(append(errs, s.store.Close())...)
}

// watchStore blocks until ctx ends and returns nil, or until the store stops itself after a fatal error and returns
// that error. The process must then end, since only the next start can find out what is on disk.
func (s *Server) watchStore(ctx context.Context) error {
	select {
	case <-s.storeStopped():
		return fmt.Errorf("stopped after a fatal error; restart dlrloop: %w", s.store.(store.Stopper).Err())
	case <-ctx.Done():
		return nil
	}
}

// storeStopped returns a channel that is closed when the store stops itself after a fatal error. It returns nil, which
// blocks for ever, if this kind of store never does so.
func (s *Server) storeStopped() <-chan struct{} {
	if stopper, ok := s.store.(store.Stopper); ok {
		return stopper.Done()
	}
	return nil
}
