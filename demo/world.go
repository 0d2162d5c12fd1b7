package demo

import (
	"context"
	"crypto/rand"
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
)

const plan = "demo"

// lostNumber is the phone number of a recipient whose callback the simulator never sends, so that dlrloop must fetch
// the report. The second batch contains it.
const lostNumber = "12025550233"

// world holds the servers of one demo: dlrloop and the simulated Sinch, connected by loopback sockets.
type world struct {
	printer *printer
	token   string
	sinch   *simulator.Simulator
	api     *http.Server
	control *http.Server
	server  *server.Server

	apiListener, controlListener net.Listener
	dir                          string // temporary directory
}

func newWorld(ctx context.Context, c Config, dir string, p *printer) (w *world, err error) {
	w = &world{printer: p, token: rand.Text(), dir: dir}
	secret := rand.Text()
	w.sinch, err = simulator.New(simulator.Config{
		Plans: []simulator.Plan{{ID: plan, Token: w.token, Secret: secret}},
		Seed:  c.Seed,
		Pace:  250 * time.Millisecond,
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
	if w.apiListener, w.api, err = serve(ctx, w.sinch.API()); err != nil {
		return nil, err
	}
	if w.controlListener, w.control, err = serve(ctx, w.sinch.Control()); err != nil {
		return nil, errors.Join(err, w.apiListener.Close())
	}
	w.server, err = server.Start(ctx, w.config(secret), server.Options{
		Version: c.Version,
		Log:     slog.New(slog.DiscardHandler), // the printer prints the same
		Folded:  p.folded,
	})
	if err != nil {
		return nil, errors.Join(err, w.apiListener.Close(), w.controlListener.Close())
	}
	return w, w.sinch.SetCallbackURL(plan, w.webhook())
}

// config returns dlrloop's configuration, with short delays. secret is the key that signs the callbacks.
func (w *world) config(secret string) *config.Config {
	c := config.Default()
	c.Public.Listen, c.Private.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.Store.Path = filepath.Join(w.dir, "data")
	p := config.DefaultPlan()
	p.ID, p.BaseURL, p.Token = plan, w.origin(w.apiListener), config.Secret(w.token)
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
	return c
}

func serve(ctx context.Context, h http.Handler) (net.Listener, *http.Server, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	return l, &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}, err
}

// run runs dlrloop, the simulator and the simulator's HTTP servers until ctx ends, and waits for them.
func (w *world) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range []struct {
		*http.Server
		net.Listener
	}{{w.api, w.apiListener}, {w.control, w.controlListener}} {
		g.Go(func() error {
			if err := s.Server.Serve(s.Listener); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	simulated, stopSimulator := context.WithCancel(context.WithoutCancel(ctx))
	g.Go(func() error { return w.sinch.Run(simulated) })
	g.Go(func() error {
		// dlrloop stops first, so that its last calls reach the simulator.
		err := w.server.Run(ctx)
		stopSimulator()
		return errors.Join(err, w.api.Close(), w.control.Close())
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (w *world) origin(l net.Listener) string { return "http://" + l.Addr().String() }

func (w *world) webhook() string {
	return fmt.Sprintf("http://%s/webhooks/%s", w.server.PublicAddr(), plan)
}

func (w *world) private(path string) string {
	return fmt.Sprintf("http://%s%s", w.server.PrivateAddr(), path)
}
