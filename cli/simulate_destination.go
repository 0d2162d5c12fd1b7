package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/simulator/application"
)

// simulatedApplication is the application that dlrloop simulate --destination runs. It receives events from dlrloop.
// The fields wanted, listen, secret and faults are the values of flags.
type simulatedApplication struct {
	wanted bool
	listen string
	secret string
	faults float64

	// The method open sets these fields.
	app      *application.Application
	listener net.Listener
}

func (a *simulatedApplication) addFlags(c *cobra.Command) {
	flags := c.Flags()
	flags.BoolVar(&a.wanted, "destination", false, "also simulate an application that receives events from dlrloop")
	flags.StringVar(&a.listen, "destination-listen", "127.0.0.1:9300", "`ADDRESS` of the application")
	flags.StringVar(&a.secret, "destination-secret", "",
		"`SECRET` of the destination, whsec_ and base64 (default: signatures of events are not verified)")
	flags.Float64Var(&a.faults, "destination-faults", 0.1,
		"fraction of the requests that the application fails on purpose; with --calm 0")
}

// check returns a usageError if a flag about the simulated application is set without --destination.
func (a *simulatedApplication) check(c *cobra.Command) error {
	for _, name := range []string{"destination-listen", "destination-secret", "destination-faults"} {
		if !a.wanted && c.Flags().Changed(name) {
			return usageError{fmt.Errorf("--%s requires --destination", name)}
		}
	}
	return nil
}

// open creates the application and its listener, which the caller must close. The application prints a line to stdout
// for each event that it accepts for the first time.
func (a *simulatedApplication) open(s simulation, stdout io.Writer, logger *slog.Logger) (err error) {
	faults := a.faults
	if faults == 0 {
		faults = -1 // never: in the Config, 0 means the default
	}
	a.app, err = application.New(application.Config{
		Secret: a.secret, CallbackSecret: s.secret, Seed: s.seed, Calm: s.calm, FaultRate: faults, Logger: logger,
		Observe: func(e application.Event) { fmt.Fprintf(stdout, "%s  %s\n", e.At.Format(time.TimeOnly), e) },
	})
	if err != nil {
		return usageError{fmt.Errorf("destination: %w", err)}
	}
	if a.listener, err = net.Listen("tcp", a.listen); err != nil {
		return fmt.Errorf("destination: %w", err)
	}
	return nil
}

func (a *simulatedApplication) announce(w io.Writer) {
	verified := "verifies signatures"
	if a.secret == "" {
		verified = "verifies no signatures of events"
	}
	address := a.listener.Addr()
	fmt.Fprintf(w, "events   http://%s/events, %s\nreceived http://%s/ledger\n", address, verified, address)
}

// serve serves the application until ctx ends. It then also ends requests that the application leaves unanswered on
// purpose.
func (a *simulatedApplication) serve(ctx context.Context) error {
	keep := context.AfterFunc(ctx, func() { _ = a.app.SetMode(application.Up, 0) }) // no error: Up is a mode
	defer keep()
	return serveHTTP(ctx, a.listener, a.app.Handler())
}
