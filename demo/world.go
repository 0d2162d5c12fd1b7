package demo

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/server"
	"github.com/dlrloop/dlrloop/simulator"
	"github.com/dlrloop/dlrloop/simulator/application"
)

const plan = "demo"

// lostNumber is the phone number of a recipient whose callback the simulator never sends, so that dlrloop must fetch
// the report. The second batch contains it.
const lostNumber = "12025550233"

// world holds the servers of one demo: dlrloop, the simulated Sinch and the simulated application. They talk to each
// other over loopback sockets.
type world struct {
	printer *printer
	token   string
	sinch   *simulator.Simulator
	server  *server.Server

	application *application.Application

	servers []simulatedServer // the three servers below, for closing them
	api     simulatedServer   // Sinch's API
	control simulatedServer   // inspects and controls the simulated Sinch
	// receiver is the application: the destination of dlrloop's events.
	receiver simulatedServer
	dir      string // temporary directory that holds dlrloop's store
}

func newWorld(ctx context.Context, c Config, dir string, p *printer) (w *world, err error) {
	w = &world{printer: p, token: rand.Text(), dir: dir}
	defer func() {
		if err != nil {
			w.closeServers()
		}
	}()
	secret, eventSecret := rand.Text(), newEventSecret()
	w.sinch, err = simulator.New(simulator.Config{
		Plans: []simulator.Plan{{ID: plan, Token: w.token, Secret: secret}},
		Seed:  c.Seed,
		Pace:  250 * time.Millisecond,
		// Enough for some inbound messages in each round.
		Replies: 0.02,
		// Sinch's first retry comes after 5 s, which is too long for a demo.
		RetryUnit: 500 * time.Millisecond,
	})
	if err != nil {
		return nil, err
	}
	w.sinch.Observe(p.sinchEntry)
	if err := w.sinch.SetOutcome(lostNumber, simulator.Outcome{Lost: true}); err != nil {
		return nil, err
	}
	w.application, err = application.New(application.Config{
		Secret: eventSecret, Seed: c.Seed, Observe: p.accepted,
		FaultRate: 0.04, // more would make the demo longer, since some faults ask for a wait of a second
	})
	if err != nil {
		return nil, err
	}
	for _, s := range []struct {
		server  *simulatedServer
		handler http.Handler
	}{{&w.api, w.sinch.API()}, {&w.control, w.sinch.Control()}, {&w.receiver, w.application.Handler()}} {
		if *s.server, err = listen(ctx, s.handler); err != nil {
			return nil, err
		}
		w.servers = append(w.servers, *s.server)
	}
	w.server, err = server.Start(ctx, w.config(secret, eventSecret), server.Options{
		Version: c.Version,
		Log:     slog.New(slog.DiscardHandler), // the printer prints the same
		Folded:  p.changed,
	})
	if err != nil {
		return nil, err
	}
	return w, w.sinch.SetCallbackURL(plan, w.webhook())
}

// newEventSecret returns a new random secret with which dlrloop signs events: the prefix whsec_, followed by 32 random
// bytes in base64.
func newEventSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never returns an error
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}

// config returns dlrloop's configuration for the demo. Feedback, retries and the fetch of missing reports begin sooner
// than by default. secret is the key with which Sinch signs callbacks, eventSecret the key with which dlrloop signs
// events.
func (w *world) config(secret, eventSecret string) *config.Config {
	c := config.Default()
	c.Public.Listen, c.Private.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.Store.Path = filepath.Join(w.dir, "data")
	p := config.DefaultPlan()
	p.ID, p.BaseURL, p.Token = plan, w.api.origin(), config.Secret(w.token)
	p.Webhook.Auth.HMAC.Secrets = []config.Secret{config.Secret(secret)}
	p.Feedback.Coalesce = config.Duration(500 * time.Millisecond)
	p.Feedback.Backoff = config.Backoff{
		Base: config.Duration(300 * time.Millisecond),
		Cap:  config.Duration(2 * time.Second),
	}
	p.Feedback.Timeout = config.Duration(2 * time.Second)
	// The default of an hour until a report counts as missing is too long for a demo.
	p.Reconcile.Silence, p.Reconcile.Rate = config.Duration(3*time.Second), 10
	c.Plans = []config.Plan{p}
	d := config.DefaultDestination()
	d.Name, d.URL, d.Secrets = "application", w.receiver.origin()+"/events", []config.Secret{config.Secret(eventSecret)}
	d.Backoff, d.Timeout = p.Feedback.Backoff, p.Feedback.Timeout
	c.Destinations = []config.Destination{d}
	return c
}

// simulatedServer is an HTTP server on a loopback address for a part of the simulation: Sinch's API, the control of the
// simulator, or the application.
type simulatedServer struct {
	http     *http.Server
	listener net.Listener
}

// listen returns an HTTP server for h that listens on a free loopback port. Call serve to serve requests. If err is
// nil, the caller must close the server and the listener, even if it never calls serve.
func listen(ctx context.Context, h http.Handler) (s simulatedServer, err error) {
	s.http = &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	s.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	return s, err
}

// serve serves requests and blocks until the server is closed, and then returns nil. If the server stops for another
// reason, serve returns the error.
func (s simulatedServer) serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// origin returns the URL of the server without a path, such as http://127.0.0.1:40213.
func (s simulatedServer) origin() string { return "http://" + s.listener.Addr().String() }

// run runs dlrloop, the simulator and their HTTP servers until ctx ends or one of them fails. When all of them have
// stopped, it returns the error of the one that failed first, or nil if none failed.
func (w *world) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range w.servers {
		g.Go(s.serve)
	}
	simulated, stopSimulator := context.WithCancel(context.WithoutCancel(ctx))
	g.Go(func() error { return w.sinch.Run(simulated) })
	g.Go(func() error {
		// dlrloop stops first, so that its last calls reach the simulator.
		err := w.server.Run(ctx)
		stopSimulator()
		return errors.Join(err, w.closeServers())
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// closeServers closes the HTTP servers of the simulation and their listeners. It may be called before they serve.
func (w *world) closeServers() (err error) {
	for _, s := range w.servers {
		err = errors.Join(err, s.http.Close())
		if closed := s.listener.Close(); !errors.Is(closed, net.ErrClosed) {
			err = errors.Join(err, closed)
		}
	}
	return err
}

func (w *world) webhook() string {
	return fmt.Sprintf("http://%s/webhooks/%s", w.server.PublicAddr(), plan)
}

func (w *world) private(path string) string {
	return fmt.Sprintf("http://%s%s", w.server.PrivateAddr(), path)
}
