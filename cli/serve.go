package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/server"
)

func serveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Take callbacks, keep them, and send delivery feedback",
		Long: `Serve takes Sinch's callbacks on the public listener, keeps them, sends the delivery feedback they earn, and serves API and
metrics on the private listener.

SIGTERM and SIGINT end it in order: it turns not ready, goes on for the shutdown delay, lets requests and feedback calls in
flight end, and closes the store. A second signal ends it at once; nothing acknowledged is lost by that. SIGHUP has it take
over the webhooks' credentials from the configuration, and read the TLS files again, which it also does within 10 seconds after
they change. Anything else that changed takes effect with the next start.

It exits with 0 after a signal, with 2 when the configuration is wrong, and with 1 when something failed.`,
		Example: `  dlrloop serve
  dlrloop serve --config /etc/dlrloop/config.yaml
  DLRLOOP_PLANS_0_TOKEN=... dlrloop serve`,
		Args: cobra.NoArgs,
	}
	path := configFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return serve(c.Context(), *path, c.ErrOrStderr()) }
	return c
}

func serve(ctx context.Context, path string, stderr io.Writer) error {
	c, err := config.Load(path, environ())
	if err != nil {
		return err
	}
	server.Tune(c)
	log := newLogger(c.Log, stderr)
	for _, w := range c.Warnings {
		ofReplica(c, log).WarnContext(ctx, "configuration", slog.String("warning", w.Error()))
	}
	reloads, stop := hangups(ctx)
	defer stop()
	s, err := server.Start(ctx, c, server.Options{
		Version: Version(),
		Log:     log,
		Reload:  func() (*config.Config, error) { return config.Reload(path, environ()) },
		Reloads: reloads,
		Serving: func() { notify(log, daemon.SdNotifyReady) },
	})
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { notify(log, daemon.SdNotifyStopping) })
	return s.Run(ctx)
}

// ofReplica is the log before the server is there, which then names the replica itself. A name that it is to draw is not known yet.
func ofReplica(c *config.Config, log *slog.Logger) *slog.Logger {
	if c.Store.Driver != config.DriverPostgres || c.Replica == "" {
		return log
	}
	return log.With(slog.String("replica", c.Replica))
}

// hangups gives a value for each SIGHUP until stop is called; several that come at once may be one.
func hangups(ctx context.Context) (<-chan struct{}, func()) {
	signals, hangups := make(chan os.Signal, 1), make(chan struct{}, 1)
	signal.Notify(signals, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-signals:
			case <-ctx.Done():
				return
			}
			select {
			case hangups <- struct{}{}:
			default:
			}
		}
	}()
	return hangups, func() {
		signal.Stop(signals)
		cancel()
		<-done
	}
}

// notify tells the supervisor, if systemd is it.
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("supervisor not notified", slog.Any("error", err))
	}
}

// newLogger writes to w what the configuration asks for: JSON, or text for a person at a terminal.
func newLogger(c config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // checked with the configuration
	options := &slog.HandlerOptions{Level: level}
	if c.Format == config.FormatText || c.Format == config.FormatAuto && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	options.ReplaceAttr = func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration {
			a.Value = slog.StringValue(a.Value.Duration().String()) // "1.5s", as in text, instead of nanoseconds
		}
		return a
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
