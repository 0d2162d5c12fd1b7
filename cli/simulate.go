package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/simulator"
)

// simulation holds the values of the flags of dlrloop simulate.
type simulation struct {
	listen, control string
	plan, token     string
	callback        string
	secret          string
	calm, verbose   bool
	seed            uint64
	speed, rate     float64
	replies         float64
	application     simulatedApplication
	originators     []string
}

func simulateCommand() *cobra.Command {
	var s simulation
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Simulate Sinch: accept batches, send delivery reports to the webhook, accept feedback, with faults",
		Long: `Simulate runs a simulator of Sinch's SMS REST API, for tests of dlrloop or any other receiver. It accepts
batches, decides which messages are delivered or fail, calls the webhook with signed reports on Sinch's retry
schedule, duplicates and reorders some, and accepts delivery feedback. Some recipients reply, a third of them with
STOP or the like: Sinch calls the webhook with an inbound message. Phones cannot reply to an alphanumeric from.

Unless --calm is set it injects random faults: rejected calls, errors, and answers that never come. The same --seed
gives the same faults.

The control listener serves a ledger of everything that happened, and accepts faults to inject. It needs no
credentials.

With --destination it also simulates an application, which receives events from dlrloop, or Sinch's callbacks in
the format sinch. It verifies the signatures and prints a line for each new event. Unless --calm is set it
fails a tenth of the requests on purpose: 500, 429, 404, 301, no answer, a reset connection, or an answer that is
lost after the event was accepted. GET /ledger tells what was accepted and what came again; POST /control switches
the application to down, slow, gone (410) and up.

Exit codes: 0 after a signal, 1 something failed, 2 invalid arguments.`,
		Example: `  # in one terminal: Sinch, which calls dlrloop
  dlrloop simulate --callback http://127.0.0.1:8080/webhooks/demo-plan --secret webhook-secret

  # in another: send a batch to two numbers and read the ledger
  curl http://127.0.0.1:9200/xms/v1/demo-plan/batches -H 'Authorization: Bearer demo-token' \
    -H 'Content-Type: application/json' \
    -d '{"to": ["447700900133", "447700900166"], "from": "12025550100", "body": "hello",
      "delivery_report": "per_recipient", "feedback_enabled": true}'
  curl http://127.0.0.1:9201/control/ledger

  # a phone sends a message
  curl http://127.0.0.1:9201/control/inbound -d '{"from": "447700900133", "to": "12025550100", "body": "STOP"}'

  # the next feedback call is answered 429
  curl http://127.0.0.1:9201/control/faults -d '{"operation": "feedback", "kind": "status", "status": 429, "times": 1}'

  # an application that receives events; its URL is http://127.0.0.1:9300/events
  dlrloop simulate --destination --destination-secret whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3
  curl 'http://127.0.0.1:9300/ledger?events=1'
  curl http://127.0.0.1:9300/control -d '{"mode": "down"}'

  # the configuration of a dlrloop that it calls, and that calls it
  echo '{"plans": [{"id": "demo-plan", "base_url": "http://127.0.0.1:9200", "token": "demo-token",
    "webhook": {"auth": {"hmac": {"secrets": ["webhook-secret"]}}}}]}' > config.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if s.calm && !c.Flags().Changed("replies") {
				s.replies = 0
			}
			if err := s.application.check(c); err != nil {
				return err
			}
			return s.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	flags := c.Flags()
	flags.StringVar(&s.listen, "listen", "127.0.0.1:9200", "`ADDRESS` of the API")
	flags.StringVar(&s.control, "control", "127.0.0.1:9201", "`ADDRESS` of the control listener")
	flags.StringVar(&s.plan, "plan", "demo-plan", "service plan `ID`")
	flags.StringVar(&s.token, "token", "demo-token", "API `TOKEN` of the plan")
	flags.StringVar(&s.callback, "callback", "", "default callback `URL`, for batches without callback_url")
	flags.StringVar(&s.secret, "secret", "", "`SECRET` that signs callbacks (default: not signed)")
	flags.BoolVar(&s.calm, "calm", false, "no faults: every message is delivered and every call succeeds")
	flags.Float64Var(&s.replies, "replies", 0.05,
		"fraction of the delivered messages to which recipients reply; with --calm 0 unless set")
	flags.Uint64Var(&s.seed, "seed", 0, "seed of the faults; 0 chooses a random one")
	flags.Float64Var(&s.speed, "speed", 1, "factor that shortens Sinch's waits: send_at, expire_at, retries of callbacks")
	flags.Float64Var(&s.rate, "rate", 0, "requests per second above which the answer is 429; 0 means no limit")
	flags.StringSliceVar(&s.originators, "originators", nil,
		"`NUMBERS` of the default originator pool; without it every batch needs from")
	flags.BoolVar(&s.verbose, "verbose", false, "log each API call, each callback and each delivery of events")
	s.application.addFlags(c)
	return c
}

// run serves the simulated Sinch API, and on a second listener the simulator's control API, until ctx ends. With
// --destination it also serves the simulated application.
func (s simulation) run(ctx context.Context, stdout, stderr io.Writer) error {
	for s.seed == 0 {
		s.seed = uint64(rand.Uint32())
	}
	level := slog.LevelWarn
	if s.verbose {
		level = slog.LevelDebug
	}
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	sinch, err := simulator.New(simulator.Config{
		Plans: []simulator.Plan{{
			ID: s.plan, Token: s.token, CallbackURL: s.callback, Secret: s.secret,
			Originators: s.originators,
		}},
		Seed:              s.seed,
		Calm:              s.calm,
		Replies:           s.replies,
		Speed:             s.speed,
		RequestsPerSecond: s.rate,
		Logger:            logger,
	})
	if err != nil {
		return usageError{err}
	}
	api, err := net.Listen("tcp", s.listen)
	if err != nil {
		return fmt.Errorf("api: %w", err)
	}
	defer api.Close()
	control, err := net.Listen("tcp", s.control)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	defer control.Close()
	if s.application.wanted {
		if err := s.application.open(s, stdout, logger); err != nil {
			return err
		}
		defer s.application.listener.Close()
	}
	s.announce(stdout, api.Addr(), control.Addr())

	group, ctx := errgroup.WithContext(ctx)
	if s.application.wanted {
		group.Go(func() error { return s.application.serve(ctx) })
	}
	group.Go(func() error { return sinch.Run(ctx) })
	group.Go(func() error { return serveHTTP(ctx, api, sinch.API()) })
	group.Go(func() error { return serveHTTP(ctx, control, sinch.Control()) })
	return group.Wait()
}

func (s simulation) announce(w io.Writer, api, control net.Addr) {
	fmt.Fprintf(w, "API      http://%s/xms/v1/%s\ncontrol  http://%s/control/ledger\n", api, s.plan, control)
	switch {
	case s.callback == "":
		fmt.Fprintln(w, "webhook  only the callback_url of each batch; --callback sets a default")
	case s.secret == "":
		fmt.Fprintf(w, "webhook  %s, not signed\n", s.callback)
	default:
		fmt.Fprintf(w, "webhook  %s, signed\n", s.callback)
	}
	if s.calm {
		fmt.Fprintln(w, "faults   none")
	} else {
		fmt.Fprintf(w, "faults   random, --seed %d\n", s.seed)
	}
	if s.application.wanted {
		s.application.announce(w)
	}
	fmt.Fprintln(w, "Press Ctrl-C to stop.")
}

// serveHTTP serves HTTP on the listener l until ctx ends. It then waits up to 2 seconds for requests in flight, ends
// those that remain, and returns nil. It returns an error earlier if l fails.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	const grace = 2 * time.Second
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if server.Shutdown(limited) != nil {
			return server.Close()
		}
		return nil
	})
	return group.Wait()
}
