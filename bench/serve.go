package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dlrloop/dlrloop/bench/traffic"
	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/server"
)

// subject is the name of a program that the benchmark measures, such as "postgres" for dlrloop on PostgreSQL.
type subject string

// The programs that the benchmark measures, with their names in the option -subjects and in the tables. All of them
// receive the same reports at their webhook.
const (
	subjectNull     subject = "null"     // stores nothing: the cost of HTTP, signature and decoding
	subjectAppend   subject = "append"   // appends the bodies to a flat file: the limit set by the disk
	subjectDlrloop  subject = "dlrloop"  // the whole server without events; no batch has feedback enabled
	subjectFeedback subject = "feedback" // like dlrloop; every batch has feedback enabled
	subjectPostgres subject = "postgres" // like dlrloop, on PostgreSQL
	subjectStored   subject = "stored"   // like postgres, with many recipients stored before

	// Like dlrloop and postgres, with events for the feed, or also with a destination that accepts all events at once.
	subjectFeed                subject = "feed"
	subjectDestination         subject = "destination"
	subjectPostgresFeed        subject = "postgres-feed"
	subjectPostgresDestination subject = "postgres-destination"
)

// subjects lists the names of all programs that the benchmark can measure. Other names in the option -subjects are
// errors.
var subjects = []subject{
	subjectNull, subjectAppend, subjectDlrloop, subjectFeedback, subjectFeed, subjectDestination,
	subjectPostgres, subjectPostgresFeed, subjectPostgresDestination, subjectStored,
}

func (s subject) valid() bool { return slices.Contains(subjects, s) }

func (s subject) onPostgres() bool {
	return s == subjectStored || strings.HasPrefix(string(s), string(subjectPostgres))
}

// delivers reports whether the program is dlrloop with a destination: the URL of an application to which it sends
// events.
func (s subject) delivers() bool { return s == subjectDestination || s == subjectPostgresDestination }

// hasEvents reports whether the program stores events, which an application can read or receive. The other programs
// store at most the reports.
func (s subject) hasEvents() bool {
	return s == subjectFeed || s == subjectPostgresFeed || s.delivers()
}

// addresses holds the listen addresses (host:port) of a program that the benchmark measures. The child process that
// runs the program writes them as JSON to its standard output, where the benchmark reads them.
type addresses struct {
	Public  string
	Private string // of the API; empty if the program is only a webhook
}

// serve runs the program named in o.serve and blocks until ctx ends or the program fails. The end of ctx is not an
// error. When the program accepts connections, serve passes the listen addresses to function serving.
func serve(ctx context.Context, o options, serving func(addresses)) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	switch o.serve {
	case subjectNull:
		return serveWebhook(ctx, o.plan, discardStore{}, log, serving)
	case subjectAppend:
		f, err := newFileStore(o.dir)
		if err != nil {
			return err
		}
		return errors.Join(serveWebhook(ctx, o.plan, f, log, serving), f.Close())
	}
	if !o.serve.valid() {
		return fmt.Errorf("unknown subject %q", o.serve)
	}
	return serveDlrloop(ctx, o, log, serving)
}

// serveDlrloop runs a complete dlrloop server and blocks until ctx ends or the server fails. When the server accepts
// connections, serveDlrloop passes the listen addresses to function serving.
func serveDlrloop(ctx context.Context, o options, log *slog.Logger, serving func(addresses)) error {
	c := config.Default()
	c.Store.Retention = config.Duration(100 * 365 * 24 * time.Hour) // reports have old times and must not be deleted
	c.Public.Listen, c.Private.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.Store.Path = o.dir
	if o.serve.onPostgres() {
		c.Store.Driver, c.Store.URL = config.DriverPostgres, config.Secret(o.database)
	}
	p := config.DefaultPlan()
	p.ID, p.BaseURL, p.Token = o.plan, o.upstream, "bench-token"
	p.Webhook.Auth.HMAC.Secrets = []config.Secret{traffic.Secret}
	c.Plans = []config.Plan{p}
	if !o.serve.hasEvents() {
		c.Events.Keep = 0
	}
	if o.serve.delivers() {
		d := config.DefaultDestination()
		d.Name, d.URL, d.MaxEvents = "bench", o.upstream+traffic.ApplicationPath, 1000
		d.Secrets = []config.Secret{traffic.EventSecret}
		c.Destinations = []config.Destination{d}
	}
	var s *server.Server
	s, err := server.Start(ctx, c, server.Options{Version: "bench", Log: log, Serving: func() {
		serving(addresses{Public: s.PublicAddr().String(), Private: s.PrivateAddr().String()})
	}})
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// serveWebhook runs only dlrloop's webhook, which passes the reports that it receives to recorder. It blocks until ctx
// ends or the server fails. When the webhook accepts connections, serveWebhook passes the listen address to function
// serving.
func serveWebhook(
	ctx context.Context, plan string, recorder webhook.Recorder, log *slog.Logger, serving func(addresses),
) error {
	m := metrics.New(prometheus.NewRegistry(), metrics.Config{Plans: []string{plan}})
	plans := []webhook.Plan{{
		ID:   plan,
		Auth: webhook.Auth{HMAC: webhook.HMAC{Secrets: []string{traffic.Secret}}},
	}}
	p, err := webhook.New(webhook.Config{Plans: plans}, recorder, m, log)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	// The same limits as in the server package.
	h := &http.Server{
		Handler: p.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 120 * time.Second, MaxHeaderBytes: 16 << 10,
	}
	serving(addresses{Public: l.Addr().String()})
	defer context.AfterFunc(ctx, func() { _ = h.Close() })()
	if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// serveForParent runs the program named in o.serve in this process, a child process of the benchmark. It writes the
// listen addresses as JSON to standard output. It returns when the parent closes standard input, or if the program
// fails.
func serveForParent(o options) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	server.Tune(config.Default()) // like `dlrloop serve`, for all measured programs
	finish, err := startProfile(o.profiles, o.serve)
	if err != nil {
		return err
	}
	err = serve(ctx, o, func(p addresses) {
		_ = json.NewEncoder(os.Stdout).Encode(p) // if the parent has ended, stdin is closed
	})
	return errors.Join(err, finish())
}
