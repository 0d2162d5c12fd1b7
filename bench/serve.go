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
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dlrloop/dlrloop/bench/traffic"
	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/handlers"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/server"
	"github.com/dlrloop/dlrloop/store"
)

// subject is what is measured.
type subject string

// The subjects. All are driven by the same client with the same bytes, and verify and decode them with the same handler.
const (
	subjectNull     subject = "null"     // stores nothing: what HTTP, the signature and decoding cost
	subjectAppend   subject = "append"   // appends the bodies to a flat file: what the disk allows
	subjectDlrloop  subject = "dlrloop"  // the whole server; no batch wants feedback
	subjectFeedback subject = "feedback" // the whole server; every batch wants feedback and gets it
	subjectPostgres subject = "postgres" // as dlrloop, on PostgreSQL
	subjectStored   subject = "stored"   // as postgres, with many recipients stored before
)

func (s subject) known() bool {
	return s == subjectNull || s == subjectAppend || s == subjectDlrloop || s == subjectFeedback || s.onPostgres()
}

func (s subject) onPostgres() bool { return s == subjectPostgres || s == subjectStored }

// place is where a subject serves.
type place struct {
	Public  string
	Private string // of dlrloop
}

// serve runs a subject in this process until ctx ends. serving is told once where it accepts.
func serve(ctx context.Context, o options, serving func(place)) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	switch o.serve {
	case subjectNull:
		return serveBare(ctx, o.plan, nothing{}, log, serving)
	case subjectAppend:
		f, err := newFlat(o.folder)
		if err != nil {
			return err
		}
		return errors.Join(serveBare(ctx, o.plan, f, log, serving), f.Close())
	case subjectDlrloop, subjectFeedback, subjectPostgres, subjectStored:
		return serveDlrloop(ctx, o, log, serving)
	}
	return fmt.Errorf("there is no subject %q", o.serve)
}

// serveDlrloop runs what `dlrloop serve` runs, with its defaults.
func serveDlrloop(ctx context.Context, o options, log *slog.Logger, serving func(place)) error {
	c := config.Default()
	c.Store.Retention = config.Duration(100 * 365 * 24 * time.Hour) // what is stored has times of its own; none of it expires meanwhile
	c.Public.Listen, c.Private.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.Store.Path = o.folder
	if o.serve.onPostgres() {
		c.Store.Driver, c.Store.URL = config.DriverPostgres, config.Secret(o.database)
	}
	p := config.DefaultPlan()
	p.ID, p.BaseURL, p.Token = o.plan, o.upstream, "bench-token"
	p.Webhook.Auth.HMAC.Secrets = []config.Secret{traffic.Secret}
	c.Plans = []config.Plan{p}
	var s *server.Server
	s, err := server.Start(ctx, c, server.Options{Version: "bench", Log: log, Serving: func() {
		serving(place{Public: s.PublicAddr().String(), Private: s.PrivateAddr().String()})
	}})
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// serveBare serves the webhook alone over k.
func serveBare(ctx context.Context, plan string, k store.Store, log *slog.Logger, serving func(place)) error {
	m := metrics.New(prometheus.NewRegistry(), metrics.Config{Plans: []string{plan}})
	plans := []handlers.PublicPlan{{ID: plan, Auth: handlers.Auth{HMAC: handlers.HMAC{Secrets: []string{traffic.Secret}}}}}
	p, err := handlers.NewPublic(handlers.PublicConfig{Plans: plans}, k, m, log)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	// As the server package has it.
	h := &http.Server{
		Handler: p.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 120 * time.Second, MaxHeaderBytes: 16 << 10,
	}
	serving(place{Public: l.Addr().String()})
	defer context.AfterFunc(ctx, func() { _ = h.Close() })()
	if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// serveForParent serves until the process that started this one lets go of stdin, and tells it on stdout where.
func serveForParent(o options) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	server.Tune(config.Default()) // as `dlrloop serve` does; all subjects have it
	finish, err := startProfile(o.profiles, o.serve)
	if err != nil {
		return err
	}
	err = serve(ctx, o, func(p place) {
		_ = json.NewEncoder(os.Stdout).Encode(p) // a parent that is gone closes stdin
	})
	return errors.Join(err, finish())
}
